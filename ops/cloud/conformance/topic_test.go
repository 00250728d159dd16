package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

func (x *run) topic() string { return x.topicNamed(x.name("topic")) }

func (x *run) topicNamed(name string) string {
	out, err := x.set.sns.CreateTopic(x.ctx, &sns.CreateTopicInput{Name: &name})
	x.must("CreateTopic", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.sns.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: out.TopicArn})
		return err
	})
	return aws.ToString(out.TopicArn)
}

// subscription subscribes a new queue with raw delivery, a filter and a redrive policy.
func (x *run) subscription(topic string) (arn, queue, dlq string) {
	_, queue = x.queue(nil)
	_, dlq = x.queue(nil)
	out, err := x.set.sns.Subscribe(x.ctx, &sns.SubscribeInput{TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: &queue, ReturnSubscriptionArn: true,
		Attributes: map[string]string{"RawMessageDelivery": "true", "FilterPolicy": `{"kind":["order"]}`, "RedrivePolicy": `{"deadLetterTargetArn":"` + dlq + `"}`}})
	x.must("Subscribe", err)
	return aws.ToString(out.SubscriptionArn), queue, dlq
}

var topicCases = []oneCase{
	{name: "pages through all topics", service: "SNS", operation: "ListTopics", run: func(x *run) {
		prefix := x.name("page")
		for i := range 101 { // a page has 100
			x.topicNamed(fmt.Sprintf("%s-%d", prefix, i))
		}
		pages := sns.NewListTopicsPaginator(x.sns, &sns.ListTopicsInput{})
		n, found := 0, 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("ListTopics", err)
			for _, topic := range page.Topics {
				if strings.Contains(aws.ToString(topic.TopicArn), prefix) {
					found++
				}
			}
			n++
		}
		equal(x, "topics found", found, 101)
		if n < 2 {
			x.errorf("%d page, want 2 or more", n)
		}
	}},
	{name: "says what a topic is", service: "SNS", operation: "GetTopicAttributes", run: func(x *run) {
		topic := x.topic()
		out, err := x.sns.GetTopicAttributes(x.ctx, &sns.GetTopicAttributesInput{TopicArn: &topic})
		x.must("GetTopicAttributes", err)
		equal(x, "ARN", out.Attributes["TopicArn"], topic)
		if out.Attributes["Owner"] == "" {
			x.errorf("no owner: %v", out.Attributes)
		}
	}},
	{name: "a missing topic is NotFound", service: "SNS", operation: "GetTopicAttributes", run: func(x *run) {
		_, err := x.sns.GetTopicAttributes(x.ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(x.topic() + "-none")})
		var missing *types.NotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "lists every subscription", service: "SNS", operation: "ListSubscriptions", run: func(x *run) {
		topic := x.topic()
		arn, queue, _ := x.subscription(topic)
		pages := sns.NewListSubscriptionsPaginator(x.sns, &sns.ListSubscriptionsInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("ListSubscriptions", err)
			for _, s := range page.Subscriptions {
				if aws.ToString(s.SubscriptionArn) == arn {
					equal(x, "topic", aws.ToString(s.TopicArn), topic)
					equal(x, "protocol", aws.ToString(s.Protocol), "sqs")
					equal(x, "endpoint", aws.ToString(s.Endpoint), queue)
					return
				}
			}
		}
		x.errorf("%s is not listed", arn)
	}},
	{name: "says how a subscription delivers", service: "SNS", operation: "GetSubscriptionAttributes", run: func(x *run) {
		arn, queue, dlq := x.subscription(x.topic())
		out, err := x.sns.GetSubscriptionAttributes(x.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
		x.must("GetSubscriptionAttributes", err)
		equal(x, "endpoint", out.Attributes["Endpoint"], queue)
		equal(x, "raw delivery", out.Attributes["RawMessageDelivery"], "true")
		if !strings.Contains(out.Attributes["RedrivePolicy"], dlq) {
			x.errorf("redrive policy %q does not name %s", out.Attributes["RedrivePolicy"], dlq)
		}
		if !strings.Contains(out.Attributes["FilterPolicy"], "order") {
			x.errorf("filter policy is %q", out.Attributes["FilterPolicy"])
		}
	}},
	{name: "publishes up to ten, each with its own answer", service: "SNS", operation: "PublishBatch", run: func(x *run) {
		topic := x.topic()
		out, err := x.sns.PublishBatch(x.ctx, &sns.PublishBatchInput{TopicArn: &topic, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
			{Id: aws.String("0"), Message: aws.String("one"), MessageAttributes: map[string]types.MessageAttributeValue{
				"kind": {DataType: aws.String("String"), StringValue: aws.String("order")}}},
			{Id: aws.String("1"), Message: aws.String("two")},
		}})
		x.must("PublishBatch", err)
		equal(x, "published", len(out.Successful), 2)
		equal(x, "failed", len(out.Failed), 0)
		for _, s := range out.Successful {
			if aws.ToString(s.MessageId) == "" || aws.ToString(s.Id) == "" {
				x.errorf("%+v lacks an id", s)
			}
		}
	}},
	{name: "the same entry id twice is refused", service: "SNS", operation: "PublishBatch", run: func(x *run) {
		topic := x.topic()
		_, err := x.sns.PublishBatch(x.ctx, &sns.PublishBatchInput{TopicArn: &topic, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
			{Id: aws.String("0"), Message: aws.String("one")}, {Id: aws.String("0"), Message: aws.String("two")},
		}})
		var twice *types.BatchEntryIdsNotDistinctException
		if !errors.As(err, &twice) {
			x.errorf("err = %v", err)
		}
	}},
}
