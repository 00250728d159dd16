package ui

import (
	"fmt"
	"net/url"
	"strings"

	"kxops/ops"
)

// ConsoleURL returns the address of a resource in the AWS console, "" for a kind
// without a page. The partition decides the host: aws, aws-cn, aws-us-gov.
func ConsoleURL(a ops.ARN) string {
	region := a.Region()
	host := consoleHost(a, region)
	name := url.PathEscape(a.Name())
	switch a.Kind() {
	case ops.KindStream:
		return fmt.Sprintf("https://%s/kinesis/home?region=%s#/streams/details/%s/monitoring", host, region, name)
	case ops.KindDelivery:
		return fmt.Sprintf("https://%s/firehose/home?region=%s#/details/%s/monitoring", host, region, name)
	case ops.KindQueue:
		queue := fmt.Sprintf("https://sqs.%s.%s/%s/%s", region, domain(a), a.Account(), a.Name())
		return fmt.Sprintf("https://%s/sqs/v3/home?region=%s#/queues/%s", host, region, url.QueryEscape(queue))
	case ops.KindTopic:
		return fmt.Sprintf("https://%s/sns/v3/home?region=%s#/topic/%s", host, region, url.PathEscape(string(a)))
	case ops.KindFunction:
		return fmt.Sprintf("https://%s/lambda/home?region=%s#/functions/%s", host, region, name)
	case ops.KindBucket:
		return fmt.Sprintf("https://%s/s3/buckets/%s", consoleHost(a, ""), name)
	case ops.KindAPI:
		if a.ByMetrics() { // its id is not known
			return fmt.Sprintf("https://%s/apigateway/main/apis?region=%s", host, region)
		}
		return fmt.Sprintf("https://%s/apigateway/main/api-detail?api=%s&region=%s", host, name, region)
	}
	return ""
}

func partition(a ops.ARN) string {
	p := strings.SplitN(string(a), ":", 3)
	if len(p) < 3 {
		return "aws"
	}
	return p[1]
}

func domain(a ops.ARN) string {
	if partition(a) == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

func consoleHost(a ops.ARN, region string) string {
	if region != "" {
		region += "."
	}
	switch partition(a) {
	case "aws-cn":
		return region + "console.amazonaws.cn"
	case "aws-us-gov":
		return region + "console.amazonaws-us-gov.com"
	}
	return region + "console.aws.amazon.com"
}

// CLILines returns the aws-cli commands that show what the console shows about a
// resource, most useful first. They only read. Names are quoted for a shell.
func CLILines(a ops.ARN, profile string) []string {
	name := quote(a.Name())
	tail := ""
	if r := a.Region(); r != "" {
		tail += " --region " + quote(r)
	}
	if profile != "" {
		tail += " --profile " + quote(profile)
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, "aws "+fmt.Sprintf(format, args...)+tail) }
	switch a.Kind() {
	case ops.KindStream:
		add("kinesis describe-stream-summary --stream-name %s", name)
		add("kinesis list-shards --stream-name %s", name)
		add("lambda list-event-source-mappings --event-source-arn %s", quote(string(a)))
		add("kinesis list-stream-consumers --stream-arn %s", quote(string(a)))
	case ops.KindDelivery:
		add("firehose describe-delivery-stream --delivery-stream-name %s", name)
	case ops.KindQueue:
		queue := quote(fmt.Sprintf("https://sqs.%s.%s/%s/%s", a.Region(), domain(a), a.Account(), a.Name()))
		add("sqs get-queue-attributes --attribute-names All --queue-url %s", queue)
		add("sqs list-dead-letter-source-queues --queue-url %s", queue)
		add("sqs list-message-move-tasks --source-arn %s", quote(string(a)))
	case ops.KindTopic:
		add("sns get-topic-attributes --topic-arn %s", quote(string(a)))
		add("sns list-subscriptions-by-topic --topic-arn %s", quote(string(a)))
	case ops.KindFunction:
		add("lambda get-function-configuration --function-name %s", name)
		add("lambda list-event-source-mappings --function-name %s", name)
		add("logs tail %s --since 1h", quote("/aws/lambda/"+a.Name()))
	case ops.KindBucket:
		add("s3api get-bucket-notification-configuration --bucket %s", name)
	case ops.KindAPI:
		if a.ByMetrics() {
			add("apigateway get-rest-apis")
			break
		}
		add("apigatewayv2 get-stages --api-id %s", name)
		add("apigatewayv2 get-routes --api-id %s", name)
		add("apigatewayv2 get-integrations --api-id %s", name)
	}
	return lines
}

// quote makes one shell word of s: what is copied may be pasted into a shell, so
// nothing in a name may run there.
func quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
