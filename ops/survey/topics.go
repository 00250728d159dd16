package survey

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"kxops/ops"
)

// topic is a topic without its subscriptions, which are listed for the whole
// account: that takes one call for a hundred of them.
type topic struct {
	ops.Topic
	Buckets []string // buckets that its policy lets publish
}

// subscription is one subscription and the topic it belongs to.
type subscription struct {
	ops.Subscription
	Topic ops.ARN
}

func (s *Survey) surveyTopics(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() {
		s.safely("topics", func() {
			survey(ctx, s, &s.picture.Topics, source[topic]{
				workers:  8,
				list:     s.listTopics,
				key:      func(t topic) string { return string(t.ARN) },
				describe: s.describeTopic,
			})
		})
	})
	both.Go(func() {
		s.safely("topics", func() {
			survey(ctx, s, &s.picture.Subscriptions, source[subscription]{
				workers:  8,
				every:    describeEvery / 2,
				list:     s.listSubscriptions,
				key:      subscriptionKey,
				describe: s.describeSubscription,
			})
		})
	})
	both.Wait()
}

func (s *Survey) listTopics(ctx context.Context, found func([]topic)) error {
	pages := sns.NewListTopicsPaginator(s.topics, &sns.ListTopicsInput{})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return errTooManyPages("topics")
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list topics: %w", err)
		}
		page := make([]topic, 0, len(out.Topics))
		for _, x := range out.Topics {
			arn := ops.ARN(aws.ToString(x.TopicArn))
			// SNS requires the suffix on FIFO topics and refuses it on others.
			page = append(page, topic{Topic: ops.Topic{ARN: arn, Name: arn.Name(), FIFO: strings.HasSuffix(string(arn), ".fifo")}})
		}
		found(page)
	}
	return nil
}

func (s *Survey) describeTopic(ctx context.Context, t topic) (topic, error) {
	out, err := s.topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(string(t.ARN))})
	if err != nil {
		return t, fmt.Errorf("read topic %s: %w", t.Name, err)
	}
	t.Encryption = out.Attributes["KmsMasterKeyId"]
	t.Buckets = bucketsNamed(out.Attributes["Policy"])
	return t, nil
}

func (s *Survey) listSubscriptions(ctx context.Context, found func([]subscription)) error {
	pages := sns.NewListSubscriptionsPaginator(s.topics, &sns.ListSubscriptionsInput{})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return errTooManyPages("subscriptions")
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list subscriptions: %w", err)
		}
		page := make([]subscription, 0, len(out.Subscriptions))
		for _, x := range out.Subscriptions {
			page = append(page, subscription{
				Topic: ops.ARN(aws.ToString(x.TopicArn)),
				Subscription: ops.Subscription{
					ARN:      aws.ToString(x.SubscriptionArn),
					Protocol: aws.ToString(x.Protocol),
					Endpoint: aws.ToString(x.Endpoint),
				},
			})
		}
		found(page)
	}
	return nil
}

// subscriptionKey is unique also for the unconfirmed, which all have the same
// "ARN" PendingConfirmation.
func subscriptionKey(x subscription) string {
	return strings.Join([]string{string(x.Topic), x.ARN, x.Protocol, x.Endpoint}, " ")
}

// confirmed reports whether the subscription has attributes to read.
func (x subscription) confirmed() bool { return ops.ARN(x.ARN).Kind() == ops.KindTopic }

func (s *Survey) describeSubscription(ctx context.Context, x subscription) (subscription, error) {
	if !x.confirmed() {
		return x, nil
	}
	out, err := s.topics.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &x.ARN})
	if err != nil {
		return x, fmt.Errorf("read subscription of %s: %w", x.Topic.Name(), err)
	}
	x.Raw = out.Attributes["RawMessageDelivery"] == "true"
	x.Filter = out.Attributes["FilterPolicy"]
	x.RedriveTo, _ = redrivePolicy(out.Attributes["RedrivePolicy"])
	return x, nil
}
