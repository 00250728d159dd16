package sandbox

import (
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// messageKinds are the resource types of SQS and SNS.
var messageKinds = map[string]resourceKind{
	"AWS::SQS::Queue": {
		properties: append([]string{"QueueName", "Tags"}, queueProperties...),
		replaceOn:  []string{"QueueName", "FifoQueue"},
		create:     createQueue,
		update: func(m *maker, have *made, _, p properties) error {
			attributes, err := queueAttributes(p)
			if err != nil {
				return err
			}
			delete(attributes, "FifoQueue")
			_, err = ask[sqs.SetQueueAttributesOutput](m.r, "sqs", "SetQueueAttributes", &sqs.SetQueueAttributesInput{QueueUrl: &have.physical, Attributes: attributes})
			return err
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[sqs.DeleteQueueOutput](m.r, "sqs", "DeleteQueue", &sqs.DeleteQueueInput{QueueUrl: &have.physical})
			return err
		},
	},
	"AWS::SQS::QueuePolicy": {
		properties: []string{"Queues", "PolicyDocument"},
		create: func(m *maker, p properties) (made, error) {
			return made{physical: m.name("", 200)}, setQueuePolicies(m, p)
		},
		update: func(m *maker, _ *made, _, p properties) error { return setQueuePolicies(m, p) },
		remove: func(m *maker, _ made, p properties) error {
			return eachQueue(m, p, func(url string) error { return setQueueAttribute(m, url, "Policy", "") })
		},
	},
	"AWS::SNS::Topic": {
		properties: append([]string{"TopicName", "Subscription", "Tags"}, topicProperties...),
		replaceOn:  []string{"TopicName", "FifoTopic", "Subscription"},
		create:     createTopic,
		update: func(m *maker, have *made, old, p properties) error {
			for _, name := range topicProperties {
				if p.text(name) == old.text(name) {
					continue
				}
				in := &sns.SetTopicAttributesInput{TopicArn: &have.physical, AttributeName: aws.String(name), AttributeValue: aws.String(p.text(name))}
				if _, err := ask[sns.SetTopicAttributesOutput](m.r, "sns", "SetTopicAttributes", in); err != nil {
					return err
				}
			}
			return nil
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[sns.DeleteTopicOutput](m.r, "sns", "DeleteTopic", &sns.DeleteTopicInput{TopicArn: &have.physical})
			return err
		},
	},
	"AWS::SNS::TopicPolicy": {
		properties: []string{"Topics", "PolicyDocument"},
		create: func(m *maker, p properties) (made, error) {
			return made{physical: m.name("", 200)}, setTopicPolicies(m, p)
		},
		update: func(m *maker, _ *made, _, p properties) error { return setTopicPolicies(m, p) },
		// A topic has no way without a policy; the default one comes back with the
		// next (SNS API reference, SetTopicAttributes). Here the topic keeps it.
		remove: func(*maker, made, properties) error { return nil },
	},
	"AWS::SNS::Subscription": {
		properties: []string{"TopicArn", "Protocol", "Endpoint", "RawMessageDelivery", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy", "SubscriptionRoleArn"},
		replaceOn:  []string{"TopicArn", "Protocol", "Endpoint"},
		create: func(m *maker, p properties) (made, error) {
			arn, err := subscribe(m, p.text("TopicArn"), p)
			return made{physical: arn}, err
		},
		update: func(m *maker, have *made, _, p properties) error {
			attributes, err := subscriptionAttributes(p)
			if err != nil {
				return err
			}
			for _, name := range sortedNames(attributes) {
				in := &sns.SetSubscriptionAttributesInput{SubscriptionArn: &have.physical, AttributeName: aws.String(name), AttributeValue: aws.String(attributes[name])}
				if _, err := ask[sns.SetSubscriptionAttributesOutput](m.r, "sns", "SetSubscriptionAttributes", in); err != nil {
					return err
				}
			}
			return nil
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[sns.UnsubscribeOutput](m.r, "sns", "Unsubscribe", &sns.UnsubscribeInput{SubscriptionArn: &have.physical})
			return err
		},
	},
}

// queueProperties are the properties of a queue that are attributes of the same name.
var queueProperties = []string{"DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout",
	"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds",
	"SqsManagedSseEnabled", "RedrivePolicy", "RedriveAllowPolicy"}

func queueAttributes(p properties) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range queueProperties {
		switch v := p[name].(type) {
		case nil:
		case map[string]any:
			text, err := p.document(name)
			if err != nil {
				return nil, err
			}
			out[name] = text
		default:
			out[name] = textOf(v)
		}
	}
	return out, nil
}

func createQueue(m *maker, p properties) (made, error) {
	attributes, err := queueAttributes(p)
	if err != nil {
		return made{}, err
	}
	name := m.name(p.text("QueueName"), 80)
	if p.yes("FifoQueue") && p.text("QueueName") == "" {
		name = m.name("", 75) + ".fifo"
	}
	if attributes["FifoQueue"] == "false" {
		delete(attributes, "FifoQueue")
	}
	if _, err := ask[sqs.GetQueueUrlOutput](m.r, "sqs", "GetQueueUrl", &sqs.GetQueueUrlInput{QueueName: &name}); err == nil {
		return made{}, alreadyThere("AWS::SQS::Queue", name)
	}
	got, err := ask[sqs.CreateQueueOutput](m.r, "sqs", "CreateQueue", &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes, Tags: m.labels(p)})
	if err != nil {
		return made{}, err
	}
	return made{physical: *got.QueueUrl, attributes: map[string]any{"Arn": string(m.r.arn("sqs", name)), "QueueName": name, "QueueUrl": *got.QueueUrl}}, nil
}

func alreadyThere(kind, name string) error {
	return fail("AlreadyExists", "Resource of type '%s' with identifier '%s' already exists.", kind, name)
}

func eachQueue(m *maker, p properties, f func(url string) error) error {
	for _, url := range p.texts("Queues") {
		if err := f(url); err != nil {
			return err
		}
	}
	return nil
}

func setQueueAttribute(m *maker, url, name, value string) error {
	_, err := ask[sqs.SetQueueAttributesOutput](m.r, "sqs", "SetQueueAttributes", &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{name: value}})
	return err
}

func setQueuePolicies(m *maker, p properties) error {
	policy, err := p.document("PolicyDocument")
	if err != nil {
		return err
	}
	return eachQueue(m, p, func(url string) error { return setQueueAttribute(m, url, "Policy", policy) })
}

// topicProperties are the properties of a topic that are attributes of the same name.
var topicProperties = []string{"DisplayName", "FifoTopic", "ContentBasedDeduplication", "KmsMasterKeyId"}

func createTopic(m *maker, p properties) (made, error) {
	name := p.text("TopicName")
	if name == "" && p.yes("FifoTopic") {
		name = m.name("", 250) + ".fifo"
	}
	name = m.name(name, 256)
	in := &sns.CreateTopicInput{Name: &name, Attributes: map[string]string{}}
	for _, a := range topicProperties {
		if p.text(a) != "" && !(a == "FifoTopic" && !p.yes(a)) {
			in.Attributes[a] = p.text(a)
		}
	}
	labels := m.labels(p)
	for _, k := range sortedNames(labels) {
		in.Tags = append(in.Tags, snstypes.Tag{Key: aws.String(k), Value: aws.String(labels[k])})
	}
	arn := string(m.r.arn("sns", name))
	if _, err := ask[sns.GetTopicAttributesOutput](m.r, "sns", "GetTopicAttributes", &sns.GetTopicAttributesInput{TopicArn: &arn}); err == nil {
		return made{}, alreadyThere("AWS::SNS::Topic", arn)
	}
	if _, err := ask[sns.CreateTopicOutput](m.r, "sns", "CreateTopic", in); err != nil {
		return made{}, err
	}
	for _, s := range p.objects("Subscription") {
		if _, err := subscribe(m, arn, s); err != nil {
			return made{}, err
		}
	}
	return made{physical: arn, attributes: map[string]any{"TopicArn": arn, "TopicName": name}}, nil
}

func setTopicPolicies(m *maker, p properties) error {
	policy, err := p.document("PolicyDocument")
	if err != nil {
		return err
	}
	for _, arn := range p.texts("Topics") {
		in := &sns.SetTopicAttributesInput{TopicArn: &arn, AttributeName: aws.String("Policy"), AttributeValue: &policy}
		if _, err := ask[sns.SetTopicAttributesOutput](m.r, "sns", "SetTopicAttributes", in); err != nil {
			return err
		}
	}
	return nil
}

func subscriptionAttributes(p properties) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range []string{"RawMessageDelivery", "FilterPolicyScope", "SubscriptionRoleArn"} {
		if p.text(name) != "" {
			out[name] = p.text(name)
		}
	}
	for _, name := range []string{"FilterPolicy", "RedrivePolicy"} {
		if p[name] == nil {
			continue
		}
		text, err := p.document(name)
		if err != nil {
			return nil, err
		}
		out[name] = text
	}
	return out, nil
}

func subscribe(m *maker, topic string, p properties) (string, error) {
	attributes, err := subscriptionAttributes(p)
	if err != nil {
		return "", err
	}
	in := &sns.SubscribeInput{TopicArn: &topic, Protocol: aws.String(p.text("Protocol")), Endpoint: aws.String(p.text("Endpoint")), ReturnSubscriptionArn: true}
	if len(attributes) > 0 {
		in.Attributes = maps.Clone(attributes)
	}
	got, err := ask[sns.SubscribeOutput](m.r, "sns", "Subscribe", in)
	if err != nil {
		return "", err
	}
	if aws.ToString(got.SubscriptionArn) == "" {
		return "", fmt.Errorf("the subscription of %s has no ARN", p.text("Endpoint"))
	}
	return *got.SubscriptionArn, nil
}
