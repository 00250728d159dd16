package cloud_test

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// The meter counts on the client's side, the sandbox on the server's: what they
// say about the same calls must be the same money.
func TestTheMeterEqualsTheSandboxsBill(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	config := sb.Config()
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // failures are part of the test, waiting is not
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &config, Access: cloud.Peek, NoQuotas: true})
	if err != nil {
		t.Fatal(err)
	}
	cfg := door.Config()
	queues, topics, streams, buckets := sqs.NewFromConfig(cfg), sns.NewFromConfig(cfg), kinesis.NewFromConfig(cfg), s3.NewFromConfig(cfg)

	// Calls that succeed, are refused by the service, are throttled and are denied.
	for i := range 30 {
		sb.SetFaults()
		if i%5 == 4 {
			sb.SetFaults(sandbox.Fault{Kind: sandbox.Throttle}, sandbox.Fault{Kind: sandbox.DeniedAction, Percent: 50})
		}
		_, queuesErr := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{})
		_, topicsErr := topics.ListTopics(t.Context(), &sns.ListTopicsInput{})
		_, streamsErr := streams.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
		_, bucketErr := buckets.GetBucketNotificationConfiguration(t.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: aws.String("none")})
		_, queueErr := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("none")})
		_, metricsErr := door.CloudWatch().ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
		_, dataErr := door.CloudWatch().GetMetricData(t.Context(), someMetrics(sb.Now(), i))
		if fails := i%5 == 4; fails != (queuesErr != nil) || fails != (topicsErr != nil) || fails != (streamsErr != nil) || fails != (metricsErr != nil) || fails != (dataErr != nil) {
			t.Fatalf("round %d: %v %v %v %v %v", i, queuesErr, topicsErr, streamsErr, metricsErr, dataErr)
		}
		if bucketErr == nil || queueErr == nil {
			t.Fatal("what does not exist was found")
		}
	}
	spend, bill := door.Meter().Spend(), sb.Bill()
	if math.Abs(spend.USD-bill.USD) > 1e-9 || bill.USD == 0 {
		t.Errorf("the meter says $%.6f, the sandbox $%.6f", spend.USD, bill.USD)
	}
	if spend.Metrics != bill.Metrics {
		t.Errorf("the meter counts %d metrics, the sandbox %d", spend.Metrics, bill.Metrics)
	}
	if spend.Calls != 30*7 {
		t.Errorf("%d calls, want %d", spend.Calls, 30*7)
	}
}

// SQS bills a call for every 64 KiB of messages in it, sent or received.
func TestLargeMessagesAreBilledByTheChunk(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	made, err := sqs.NewFromConfig(sb.Config()).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("large")})
	if err != nil {
		t.Fatal(err)
	}
	config := sb.Config()
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &config, Access: cloud.Change, NoQuotas: true})
	if err != nil {
		t.Fatal(err)
	}
	queue := sqs.NewFromConfig(door.Config())
	const chunk = 64 << 10
	attribute := map[string]sqstypes.MessageAttributeValue{"k": {DataType: aws.String("String"), StringValue: aws.String("v")}} // 8 bytes
	for _, c := range []struct{ bytes, requests int }{{1, 1}, {chunk - 8, 1}, {chunk - 7, 2}, {5 * chunk, 6}} {
		before := door.Meter().Spend().USD
		sent, err := queue.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: made.QueueUrl, Entries: []sqstypes.SendMessageBatchRequestEntry{
			{Id: aws.String("0"), MessageBody: aws.String(strings.Repeat("x", c.bytes)), MessageAttributes: attribute}}})
		if err != nil || len(sent.Failed) > 0 {
			t.Fatal(err, sent)
		}
		between := door.Meter().Spend().USD
		got, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, VisibilityTimeout: 600, MessageAttributeNames: []string{"All"}})
		if err != nil || len(got.Messages) != 1 {
			t.Fatal(err, len(got.Messages))
		}
		after := door.Meter().Spend().USD
		want := float64(c.requests) * 0.40 / 1e6
		if math.Abs(between-before-want) > 1e-12 || math.Abs(after-between-want) > 1e-12 {
			t.Errorf("%d bytes: sending $%.9f, receiving $%.9f, want $%.9f each", c.bytes, between-before, after-between, want)
		}
	}
	if spend, bill := door.Meter().Spend(), sb.Bill(); math.Abs(spend.USD-(bill.USD-ops.PricePerQueueCall)) > 1e-12 { // less CreateQueue
		t.Errorf("the meter says $%.9f, the sandbox $%.9f", spend.USD, bill.USD)
	}
}

// someMetrics asks for i+1 metrics in several statistics, and an expression.
func someMetrics(now time.Time, i int) *cloudwatch.GetMetricDataInput {
	in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(now.Add(-time.Hour)), EndTime: &now}
	for m := range i + 1 {
		for s, stat := range []string{"Maximum", "Minimum", "Sum", "Average", "SampleCount", "p99"}[:1+i%6] {
			in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: aws.String(fmt.Sprintf("m%d_%d", m, s)), MetricStat: &types.MetricStat{
				Stat: aws.String(stat), Period: aws.Int32(60),
				Metric: &types.Metric{Namespace: aws.String("AWS/SQS"), MetricName: aws.String("NumberOfMessagesSent"),
					Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String(fmt.Sprint(m))}}},
			}})
		}
	}
	in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: aws.String("e"), Expression: aws.String("m0_0 * 2")})
	return in
}

// The least IAM policy is made from the gate's list, so an operation that nobody
// calls must not stand on it.
func TestEveryListedOperationIsCalled(t *testing.T) {
	source := productSource(t)
	for _, o := range cloud.Operations {
		if !strings.Contains(source, "."+o.Name+"(") && !strings.Contains(source, "New"+o.Name+"Paginator(") {
			t.Errorf("%s %s is on the gate's list, but nothing calls it", o.Service, o.Name)
		}
	}
}

// productSource is the text of all packages that may call AWS.
func productSource(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, dir := range []string{"..", filepath.Join("..", "..", "alarms")} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			text.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}
