package sandbox

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// topics is a sandbox seen through real SNS and SQS clients.
type topics struct {
	*queues
	sns *sns.Client
}

func snsOf(t *testing.T) *topics {
	t.Helper()
	q := sqsOf(t)
	return &topics{q, sns.NewFromConfig(q.sb.Config(), func(o *sns.Options) { o.RetryMaxAttempts = 1 })}
}

// topic makes a topic with attributes given as name, value …
func (s *topics) topic(name string, attributes ...string) *string {
	s.Helper()
	in := &sns.CreateTopicInput{Name: &name, Attributes: map[string]string{}}
	for i := 0; i+1 < len(attributes); i += 2 {
		in.Attributes[attributes[i]] = attributes[i+1]
	}
	out, err := s.sns.CreateTopic(s.Context(), in)
	s.ok(err)
	return out.TopicArn
}

func (s *topics) subscribe(topic *string, protocol, endpoint string, attributes ...string) *string {
	s.Helper()
	in := &sns.SubscribeInput{TopicArn: topic, Protocol: &protocol, Endpoint: &endpoint, Attributes: map[string]string{}, ReturnSubscriptionArn: true}
	for i := 0; i+1 < len(attributes); i += 2 {
		in.Attributes[attributes[i]] = attributes[i+1]
	}
	out, err := s.sns.Subscribe(s.Context(), in)
	s.ok(err)
	return out.SubscriptionArn
}

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

// The envelope's members are those of the SNS Developer Guide,
// sns-message-and-json-formats; raw delivery maps the attributes (sns-large-payload-raw-message-delivery).
func TestTopicDeliversToQueues(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("events")
	wrapped, raw := s.create("wrapped"), s.create("raw")
	subscription := s.subscribe(topic, "sqs", arnOf("wrapped"))
	s.subscribe(topic, "sqs", arnOf("raw"), "RawMessageDelivery", "true")
	out, err := s.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: aws.String("a <b>\n"), Subject: aws.String("hi"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"tenant": text("x"), "size": {DataType: aws.String("Number"), StringValue: aws.String("7")}, "blob": {DataType: aws.String("Binary"), BinaryValue: []byte{9}}}})
	s.ok(err)
	var got struct {
		Type, MessageId, TopicArn, Subject, Message, Timestamp, SignatureVersion, Signature, SigningCertURL, UnsubscribeURL string
		MessageAttributes                                                                                                   map[string]struct{ Type, Value string }
	}
	messages := s.receive(wrapped, 1)
	if len(messages) != 1 {
		t.Fatal("nothing was delivered")
	}
	if err := json.Unmarshal([]byte(*messages[0].Body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "Notification" || got.MessageId != *out.MessageId || got.TopicArn != *topic || got.Subject != "hi" || got.Message != "a <b>\n" ||
		got.Timestamp != "2026-11-22T12:00:00.000Z" || got.SignatureVersion != "1" || got.Signature == "" || got.SigningCertURL == "" ||
		!strings.HasSuffix(got.UnsubscribeURL, *subscription) || got.MessageAttributes["size"] != struct{ Type, Value string }{"Number", "7"} || got.MessageAttributes["blob"].Value != "CQ==" {
		t.Errorf("envelope %+v", got)
	}
	if len(messages[0].MessageAttributes) != 0 {
		t.Errorf("a wrapped message has the attributes %v", messages[0].MessageAttributes)
	}
	m := s.receive(raw, 1)[0]
	if *m.Body != "a <b>\n" || *m.MessageAttributes["size"].DataType != "Number" || string(m.MessageAttributes["blob"].BinaryValue) != "\x09" {
		t.Errorf("raw message %q with %v", *m.Body, m.MessageAttributes)
	}
}

func TestTopicThatIsNotThere(t *testing.T) {
	s := snsOf(t)
	_, err := s.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String("arn:aws:sns:eu-west-1:" + Account + ":none"), Message: aws.String("x")})
	var gone *types.NotFoundException
	if !errors.As(err, &gone) {
		t.Errorf("got %v", err)
	}
}
