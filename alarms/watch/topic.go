package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"kxops/ops"
)

// This file is about the topics that alarms publish to.

const (
	publisher = "cloudwatch.amazonaws.com"
	ourSid    = "KxopsLetsCloudWatchPublish"
)

// topicCheck says what is wrong with a topic as an action of alarms: a blocker
// makes CloudWatch refuse the alarm or its every notification; a warning is for
// the doctor to look at.
func (d *Desk) topicCheck(ctx context.Context, topic ops.ARN) (blocker, warning string) {
	switch {
	case topic.Service() != "sns":
		return fmt.Sprintf("%s is not an SNS topic", topic), ""
	case topic.Region() != d.o.Config.Region:
		return fmt.Sprintf("the topic %s is in %s, the alarms are in %s: CloudWatch takes topics of its own region only", topic.Name(), topic.Region(), d.o.Config.Region), ""
	}
	attributes, err := d.topicAttributes(ctx, topic)
	if isNoTopic(err) {
		return fmt.Sprintf("the topic %s does not exist", topic), ""
	}
	if err != nil {
		return "", fmt.Sprintf("the topic %s could not be checked: %s", topic.Name(), d.o.Explain(err).What)
	}
	if key := attributes["KmsMasterKeyId"]; strings.HasSuffix(key, "alias/aws/sns") {
		return "", fmt.Sprintf("the topic %s is encrypted with alias/aws/sns, which CloudWatch cannot use: nobody would hear its alarms", topic.Name())
	}
	if policy, err := readPolicy(attributes["Policy"]); err == nil && !policy.letsPublish() {
		return "", fmt.Sprintf("the policy of the topic %s does not let CloudWatch publish: nobody would hear its alarms", topic.Name())
	}
	return "", d.silence(ctx, topic)
}

// silence says why nobody hears a topic although CloudWatch may publish to it; "" where
// somebody does.
func (d *Desk) silence(ctx context.Context, topic ops.ARN) string {
	subs, err := d.subscribers(ctx, topic)
	switch n := len(subs.confirmed); {
	case err != nil:
		return fmt.Sprintf("who is subscribed to the topic %s could not be asked: %s", topic.Name(), d.o.Explain(err).What)
	case n == 0 && len(subs.pending) > 0:
		return fmt.Sprintf("the topic %s has no confirmed subscription, %d wait for their confirmation: its alarms would tell nobody", topic.Name(), len(subs.pending))
	case n == 0:
		return fmt.Sprintf("the topic %s has no confirmed subscription: its alarms would tell nobody", topic.Name())
	case len(subs.deaf) == n:
		return fmt.Sprintf("the filter of every subscription of the topic %s drops alarms: they would tell nobody", topic.Name())
	}
	return ""
}

func (d *Desk) topicAttributes(ctx context.Context, topic ops.ARN) (map[string]string, error) {
	out, err := bounded(ctx, func(ctx context.Context) (*sns.GetTopicAttributesOutput, error) {
		return d.topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(string(topic))})
	})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

func isNoTopic(err error) bool {
	var missing *types.NotFoundException
	return errors.As(err, &missing)
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// MakeTopic creates a topic that CloudWatch may publish to, for alarms of this
// account only. One of this name that exists keeps its settings; what its policy
// lacks is added to it.
func (d *Desk) MakeTopic(ctx context.Context, name string) (ops.ARN, error) {
	if !topicName.MatchString(name) {
		return "", &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("%q is no name for a topic", name), Hint: "use up to 256 letters, digits, - and _"}
	}
	out, err := bounded(ctx, func(ctx context.Context) (*sns.CreateTopicOutput, error) {
		return d.topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name}) // answers an existing one as it is
	})
	if err != nil {
		return "", fmt.Errorf("create the topic %s: %w", name, d.o.Explain(err))
	}
	topic := ops.ARN(aws.ToString(out.TopicArn))
	return topic, d.letPublish(ctx, topic)
}

// letPublish adds the statement that lets CloudWatch publish, unless it is there.
func (d *Desk) letPublish(ctx context.Context, topic ops.ARN) error {
	attributes, err := d.topicAttributes(ctx, topic)
	if err != nil {
		return fmt.Errorf("read the policy of %s: %w", topic.Name(), d.o.Explain(err))
	}
	policy, err := readPolicy(attributes["Policy"])
	if err != nil {
		return fmt.Errorf("read the policy of %s: %w", topic.Name(), err)
	}
	if policy.names(publisher) && policy.letsPublish() {
		return nil
	}
	text, err := policy.with(ourStatement(topic))
	if err != nil {
		return fmt.Errorf("write the policy of %s: %w", topic.Name(), err)
	}
	_, err = bounded(ctx, func(ctx context.Context) (*sns.SetTopicAttributesOutput, error) {
		return d.topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: aws.String(string(topic)), AttributeName: aws.String("Policy"), AttributeValue: &text})
	})
	if err != nil {
		return fmt.Errorf("let CloudWatch publish to %s: %w", topic.Name(), d.o.Explain(err))
	}
	return nil
}

func ourStatement(topic ops.ARN) map[string]any {
	partition, _, _ := strings.Cut(strings.TrimPrefix(string(topic), "arn:"), ":")
	return map[string]any{
		"Sid": ourSid, "Effect": "Allow",
		"Principal": map[string]any{"Service": publisher},
		"Action":    "SNS:Publish", "Resource": string(topic),
		"Condition": map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": topic.Account()},
			"ArnLike":      map[string]any{"aws:SourceArn": fmt.Sprintf("arn:%s:cloudwatch:%s:%s:alarm:*", partition, topic.Region(), topic.Account())},
		},
	}
}

// policy is a topic's policy, with whatever else stands in it.
type policy map[string]any

func readPolicy(text string) (policy, error) {
	p := policy{}
	if text == "" {
		return p, nil
	}
	err := json.Unmarshal([]byte(text), &p)
	return p, err
}

func (p policy) statements() []map[string]any {
	var list []map[string]any
	switch s := p["Statement"].(type) {
	case map[string]any:
		list = append(list, s)
	case []any:
		for _, x := range s {
			if m, ok := x.(map[string]any); ok {
				list = append(list, m)
			}
		}
	}
	return list
}

// letsPublish reports whether a statement allows CloudWatch to publish. Its
// conditions are not weighed: a drill proves what they mean.
func (p policy) letsPublish() bool {
	return slices.ContainsFunc(p.statements(), func(s map[string]any) bool {
		acts := slices.ContainsFunc(words(s["Action"]), func(a string) bool {
			a = strings.ToLower(a)
			return a == "sns:publish" || a == "sns:*" || a == "*" || a == "sns:pub*"
		})
		return s["Effect"] == "Allow" && acts && (addresses(s, publisher) || addresses(s, "*"))
	})
}

// names reports whether a statement is about a service by name.
func (p policy) names(service string) bool {
	return slices.ContainsFunc(p.statements(), func(s map[string]any) bool { return addresses(s, service) })
}

func addresses(statement map[string]any, who string) bool {
	principal := statement["Principal"]
	if m, ok := principal.(map[string]any); ok {
		return slices.Contains(words(m["Service"]), who) || slices.Contains(words(m["AWS"]), who)
	}
	return principal == who
}

// with adds a statement, in place of an older one of the same name.
func (p policy) with(statement map[string]any) (string, error) {
	var list []map[string]any
	for _, s := range p.statements() {
		if s["Sid"] != statement["Sid"] {
			list = append(list, s)
		}
	}
	if p["Version"] == nil {
		p["Version"] = "2012-10-17"
	}
	p["Statement"] = append(list, statement)
	text, err := json.Marshal(p)
	return string(text), err
}

// words is a string or a list of strings.
func words(x any) []string {
	switch x := x.(type) {
	case string:
		return []string{x}
	case []any:
		var list []string
		for _, w := range x {
			if s, ok := w.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}
