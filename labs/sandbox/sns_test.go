package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"kxops/ops"
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

func (s *topics) publish(topic *string, message string, attributes map[string]types.MessageAttributeValue) {
	s.Helper()
	_, err := s.sns.Publish(s.Context(), &sns.PublishInput{TopicArn: topic, Message: &message, MessageAttributes: attributes})
	s.ok(err)
}

// count is the sum of a topic's metric over the last hour.
func (s *topics) count(topic, name string) float64 {
	s.Helper()
	var sum float64
	s.sb.do(func() {
		if m := s.sb.regions[HomeRegion].metrics.find("AWS/SNS", name, "TopicName", topic); m != nil {
			sum = m.between(s.sb.now().Add(-time.Hour), s.sb.now().Add(time.Minute)).sum
		}
	})
	return sum
}

func (s *topics) counts(topic string, want map[string]float64) {
	s.Helper()
	for name, n := range want {
		if got := s.count(topic, name); got != n {
			s.Errorf("%s is %v, want %v", name, got, n)
		}
	}
}

// A client error is not tried again: the message goes to the subscription's
// dead-letter queue at once, or is lost (SNS Developer Guide, sns-dead-letter-queues).
func TestTopicRedrives(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("events")
	dead := s.create("dlq")
	s.subscribe(topic, "sqs", arnOf("gone"), "RedrivePolicy", `{"deadLetterTargetArn":"`+arnOf("dlq")+`"}`, "RawMessageDelivery", "true")
	s.subscribe(topic, "sqs", arnOf("gone-too"), "RedrivePolicy", `{"deadLetterTargetArn":"`+arnOf("gone-dlq")+`"}`)
	s.subscribe(topic, "sqs", arnOf("gone-for-good"))
	s.publish(topic, "x", map[string]types.MessageAttributeValue{"tenant": text("a")})
	got := s.receive(dead, 1)
	if len(got) != 1 || *got[0].Body != "x" || *got[0].MessageAttributes["tenant"].StringValue != "a" || got[0].Attributes["DeadLetterQueueSourceArn"] != "" {
		t.Errorf("dead letter %v", got)
	}
	s.counts("events", map[string]float64{"NumberOfMessagesPublished": 1, "PublishSize": 14, "NumberOfNotificationsDelivered": 0, "NumberOfNotificationsFailed": 3,
		"NumberOfNotificationsRedrivenToDlq": 1, "NumberOfNotificationsFailedToRedriveToDlq": 1})
}

// With raw delivery SQS takes ten attributes; more is a client error (SNS
// Developer Guide, sns-large-payload-raw-message-delivery).
func TestTopicRawDeliveryTakesTenAttributes(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("events")
	raw, wrapped := s.create("raw"), s.create("wrapped")
	s.subscribe(topic, "sqs", arnOf("raw"), "RawMessageDelivery", "true")
	s.subscribe(topic, "sqs", arnOf("wrapped"))
	eleven := map[string]types.MessageAttributeValue{}
	for i := range 11 {
		eleven[strconv.Itoa(i)] = text("x")
	}
	s.publish(topic, "x", eleven)
	if s.depth(raw)[0] != 0 || s.depth(wrapped)[0] != 1 {
		t.Errorf("raw %v, wrapped %v", s.depth(raw), s.depth(wrapped))
	}
	s.counts("events", map[string]float64{"NumberOfNotificationsDelivered": 1, "NumberOfNotificationsFailed": 1})
}

// What each operator takes is in the SNS Developer Guide, sns-subscription-filter-policies.
func TestFilterPolicies(t *testing.T) {
	number := func(n string) attribute { return attribute{Type: "Number", String: n} }
	word := func(s string) attribute { return attribute{Type: "String", String: s} }
	list := func(s string) attribute { return attribute{Type: "String.Array", String: s} }
	for _, c := range []struct {
		policy     string
		attributes map[string]attribute
		body       string // with a body the scope is MessageBody
		want       bool
		why        string
	}{
		{policy: `{"a":["x","y"]}`, attributes: map[string]attribute{"a": word("y")}, want: true},
		{policy: `{"a":["x"]}`, attributes: map[string]attribute{"a": word("z")}, why: "MessageAttributes"},
		{policy: `{"a":["x"]}`, why: "NoMessageAttributes"},
		{policy: `{"a":["x"],"b":["y"]}`, attributes: map[string]attribute{"a": word("x")}, why: "MessageAttributes"},
		{policy: `{"a":[{"prefix":"or"}]}`, attributes: map[string]attribute{"a": word("orders")}, want: true},
		{policy: `{"a":[{"suffix":"or"}]}`, attributes: map[string]attribute{"a": word("orders")}, why: "MessageAttributes"},
		{policy: `{"a":[{"equals-ignore-case":"X"}]}`, attributes: map[string]attribute{"a": word("x")}, want: true},
		{policy: `{"a":[{"anything-but":["x"]}]}`, attributes: map[string]attribute{"a": word("y")}, want: true},
		{policy: `{"a":[{"anything-but":"x"}]}`, attributes: map[string]attribute{"a": word("x")}, why: "MessageAttributes"},
		{policy: `{"a":[{"anything-but":["x"]}]}`, attributes: map[string]attribute{"b": word("y")}, why: "MessageAttributes"},
		{policy: `{"a":[{"anything-but":{"prefix":"or"}}]}`, attributes: map[string]attribute{"a": word("orders")}, why: "MessageAttributes"},
		{policy: `{"a":[{"exists":true}]}`, attributes: map[string]attribute{"a": word("y")}, want: true},
		{policy: `{"a":[{"exists":false}]}`, attributes: map[string]attribute{"b": word("y")}, want: true},
		{policy: `{"a":[{"exists":false}]}`, attributes: map[string]attribute{"a": word("y")}, why: "MessageAttributes"},
		{policy: `{"a":[{"numeric":[">",0,"<=",5]}]}`, attributes: map[string]attribute{"a": number("5")}, want: true},
		{policy: `{"a":[{"numeric":["=",5]}]}`, attributes: map[string]attribute{"a": number("5.0")}, want: true},
		{policy: `{"a":[{"numeric":["<",5]}]}`, attributes: map[string]attribute{"a": number("5")}, why: "MessageAttributes"},
		{policy: `{"a":[100]}`, attributes: map[string]attribute{"a": number("1e2")}, want: true},
		{policy: `{"a":[100]}`, attributes: map[string]attribute{"a": word("100")}, why: "MessageAttributes"},
		{policy: `{"a":["y"]}`, attributes: map[string]attribute{"a": list(`["x","y"]`)}, want: true},
		{policy: `{"a":["y"]}`, attributes: map[string]attribute{"a": list(`nonsense`)}, why: "InvalidAttributes"},
		{policy: `{"a":{"b":["x"]}}`, body: `{"a":{"b":"x"}}`, want: true},
		{policy: `{"a":{"b":["x"]}}`, body: `{"a":[{"b":"y"},{"b":["z","x"]}]}`, want: true},
		{policy: `{"a":{"b":["x"]}}`, body: `{"a":"b"}`, why: "MessageBody"},
		{policy: `{"a":[true,null]}`, body: `{"a":null}`, want: true},
		{policy: `{"a":["x"]}`, body: `not JSON`, why: "InvalidMessageBody"},
	} {
		filter, err := readFilter(c.policy, c.body != "")
		if err != nil {
			t.Errorf("%s: %v", c.policy, err)
			continue
		}
		sub := &subscription{protocol: "sqs", subscriptionRules: subscriptionRules{filter: filter, inBody: c.body != ""}}
		ok, why := sub.wants(&notification{delivery: delivery{Body: []byte(c.body), Attributes: c.attributes}})
		if ok != c.want || !ok && why != c.why {
			t.Errorf("%s with %v %s: %v %q, want %v %q", c.policy, c.attributes, c.body, ok, why, c.want, c.why)
		}
	}
	for _, bad := range []string{`[]`, `{"a":"x"}`, `{"a":[]}`, `{"a":{"b":["x"]}}`, `{"a":[{"near":"x"}]}`, `{"a":[{"numeric":[">"]}]}`, `{"a":[{"exists":1}]}`,
		`{"a":["x"],"b":["x"],"c":["x"],"d":["x"],"e":["x"],"f":["x"]}`} {
		if _, err := readFilter(bad, false); err == nil {
			t.Errorf("the policy %s was taken", bad)
		}
	}
}

func FuzzFilterPolicy(f *testing.F) {
	for _, seed := range []string{`{"a":["x",{"prefix":"y"}]}`, `{"a":{"b":[{"numeric":[">",0]}]}}`, `{"a":[[1],{"anything-but":[null]}]}`} {
		f.Add(seed, `{"a":{"b":1},"c":[{"x":[]}]}`)
	}
	f.Fuzz(func(t *testing.T, policy, body string) {
		filter, err := readFilter(policy, true)
		if err != nil {
			return
		}
		sub := &subscription{subscriptionRules: subscriptionRules{filter: filter, inBody: true}}
		first, _ := sub.wants(&notification{delivery: delivery{Body: []byte(body)}})
		if second, _ := sub.wants(&notification{delivery: delivery{Body: []byte(body)}}); first != second {
			t.Errorf("%s decides differently on the same message", policy)
		}
	})
}

func TestTopicFilterMetrics(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("events")
	url := s.create("orders")
	subscription := s.subscribe(topic, "sqs", arnOf("orders"), "FilterPolicy", `{"tenant":["a"]}`, "RawMessageDelivery", "true")
	s.publish(topic, "1", map[string]types.MessageAttributeValue{"tenant": text("a")})
	s.publish(topic, "2", map[string]types.MessageAttributeValue{"tenant": text("b")})
	s.publish(topic, "3", nil)
	_, err := s.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: subscription,
		AttributeName: aws.String("FilterPolicyScope"), AttributeValue: aws.String("MessageBody")})
	s.ok(err)
	s.publish(topic, `{"tenant":"a"}`, nil)
	s.publish(topic, "nonsense", nil)
	if got := bodies(s.receive(url, 10)); got != `1 {"tenant":"a"}` {
		t.Errorf("received %s", got)
	}
	s.counts("events", map[string]float64{"NumberOfNotificationsFilteredOut": 3, "NumberOfNotificationsFilteredOut-MessageAttributes": 1,
		"NumberOfNotificationsFilteredOut-NoMessageAttributes": 1, "NumberOfNotificationsFilteredOut-InvalidMessageBody": 1, "NumberOfNotificationsDelivered": 2})
	_, err = s.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: subscription,
		AttributeName: aws.String("FilterPolicy"), AttributeValue: aws.String(`{"a":"b"}`)})
	s.refused(err, "InvalidParameter", "FilterPolicy")
}

// An alarm's action fails when the topic's policy does not admit CloudWatch, or
// when its key is the one that AWS manages (CloudWatch User Guide, alarm actions).
func TestTopicAdmits(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("alerts")
	url := s.create("inbox")
	s.subscribe(topic, "sqs", arnOf("inbox"))
	notify := func() (err error) {
		s.sb.do(func() {
			r := s.sb.regions[HomeRegion]
			err = r.deliver(ops.ARN(*topic), delivery{Body: []byte("alarm"), From: r.arn("cloudwatch", "alarm:high")})
		})
		return err
	}
	set := func(name, value string) {
		_, err := s.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: topic, AttributeName: &name, AttributeValue: &value})
		s.ok(err)
	}
	policy := func(effect, principal, condition string) string {
		return `{"Statement":[{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"SNS:Publish","Resource":"` + *topic + `"` + condition + `}]}`
	}
	s.ok(notify()) // the default policy
	attributes, err := s.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: topic})
	s.ok(err)
	set("Policy", attributes.Attributes["Policy"])
	s.ok(notify()) // the same, written out
	set("Policy", policy("Allow", `{"Service":"s3.amazonaws.com"}`, ""))
	s.refused(notify(), "AuthorizationError", "SNS:Publish")
	s.publish(topic, "the account's own", nil)
	set("Policy", policy("Allow", `{"Service":["cloudwatch.amazonaws.com"]}`, `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:cloudwatch:*:`+Account+`:alarm:*"}}`))
	s.ok(notify())
	set("Policy", policy("Allow", `{"Service":"cloudwatch.amazonaws.com"}`, `,"Condition":{"StringEquals":{"aws:SourceAccount":"999999999999"}}`))
	s.refused(notify(), "AuthorizationError", "SNS:Publish")
	set("Policy", policy("Deny", `"*"`, `,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`))
	s.publish(topic, "over TLS", nil)
	set("Policy", policy("Deny", `{"AWS":"`+Account+`"}`, ""))
	_, err = s.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	s.refused(err, "AuthorizationError", "SNS:Publish")
	set("Policy", "")
	set("KmsMasterKeyId", "alias/aws/sns")
	s.refused(notify(), "KMSAccessDenied", "cloudwatch")
	if got := s.depth(url)[0]; got != 5 {
		t.Errorf("%d messages came through, want 5", got)
	}
}

// A queue whose policy does not admit the topic is a client error.
func TestQueuePolicyDeniesTopic(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("events")
	s.create("closed", "Policy", `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:eu-west-1:`+Account+`:other"}}}]}`)
	open := s.create("open", "Policy", `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:*","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"`+*topic+`"}}}]}`)
	s.subscribe(topic, "sqs", arnOf("closed"))
	s.subscribe(topic, "sqs", arnOf("open"))
	s.publish(topic, "x", nil)
	if s.depth(open)[0] != 1 {
		t.Error("the open queue got nothing")
	}
	s.counts("events", map[string]float64{"NumberOfNotificationsDelivered": 1, "NumberOfNotificationsFailed": 1})
}

// FIFO topics keep order and suppress duplicates for five minutes (SNS Developer
// Guide, fifo-message-dedup).
func TestFIFOTopic(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("events.fifo", "FifoTopic", "true", "ContentBasedDeduplication", "true")
	fifo, standard := s.create("orders.fifo"), s.create("orders")
	s.subscribe(topic, "sqs", arnOf("orders.fifo"), "RawMessageDelivery", "true")
	s.subscribe(topic, "sqs", arnOf("orders"), "RawMessageDelivery", "true")
	publish := func(message string) *sns.PublishOutput {
		out, err := s.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: &message, MessageGroupId: aws.String("g")})
		s.ok(err)
		return out
	}
	first := publish("a")
	if again := publish("a"); *again.MessageId != *first.MessageId || aws.ToString(again.SequenceNumber) != aws.ToString(first.SequenceNumber) {
		t.Error("the duplicate was not recognised")
	}
	publish("b")
	if got := s.receive(fifo, 10); bodies(got) != "a b" || got[0].Attributes["MessageGroupId"] != "g" || got[0].Attributes["MessageDeduplicationId"] != contentHash("a") {
		t.Errorf("received %v", got)
	}
	if got := bodies(s.receive(standard, 10)); got != "a b" {
		t.Errorf("the standard queue got %q", got)
	}
	_, err := s.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: aws.String("x")})
	s.refused(err, "InvalidParameter", "MessageGroupId")
	_, err = s.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: s.topic("plain"), Protocol: aws.String("sqs"), Endpoint: aws.String(arnOf("orders.fifo"))})
	s.refused(err, "InvalidParameter", "FIFO SQS Queues")
	_, err = s.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("email"), Endpoint: aws.String("a@example.com")})
	s.refused(err, "InvalidParameter", "email")
}

func TestTopicsAndSubscriptionsInPages(t *testing.T) {
	s := snsOf(t)
	var topic *string
	for i := range 205 {
		topic = s.topic(fmt.Sprintf("t%03d", i))
	}
	for i := range 101 {
		s.subscribe(topic, "sqs", arnOf(fmt.Sprintf("q%03d", i)))
	}
	pending := s.subscribe(topic, "email", "oncall@example.com")
	if !strings.HasPrefix(*pending, *topic+":") {
		t.Errorf("pending subscription %s", *pending)
	}
	seen := map[string]bool{}
	pages := 0
	for p := sns.NewListTopicsPaginator(s.sns, &sns.ListTopicsInput{}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		s.ok(err)
		for _, x := range page.Topics {
			seen[*x.TopicArn] = true
		}
	}
	if len(seen) != 205 || pages != 3 {
		t.Errorf("%d topics in %d pages", len(seen), pages)
	}
	waiting, all := 0, 0
	for p := sns.NewListSubscriptionsByTopicPaginator(s.sns, &sns.ListSubscriptionsByTopicInput{TopicArn: topic}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		s.ok(err)
		for _, x := range page.Subscriptions {
			all++
			if *x.SubscriptionArn == "PendingConfirmation" {
				waiting++
			}
		}
	}
	if all != 102 || waiting != 1 {
		t.Errorf("%d subscriptions, %d pending", all, waiting)
	}
	_, err := s.sns.ListTopics(t.Context(), &sns.ListTopicsInput{NextToken: aws.String("%")})
	s.refused(err, "InvalidParameter", "nextToken")
	_, err = s.sns.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: pending})
	s.ok(err)
	attributes, err := s.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: topic})
	s.ok(err)
	if a := attributes.Attributes; a["SubscriptionsConfirmed"] != "101" || a["SubscriptionsPending"] != "0" || a["SubscriptionsDeleted"] != "1" {
		t.Errorf("attributes %v", a)
	}
	_, err = s.sns.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: topic})
	s.ok(err)
	left, err := s.sns.ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{})
	s.ok(err)
	if len(left.Subscriptions) != 0 {
		t.Errorf("%d subscriptions outlived their topic", len(left.Subscriptions))
	}
}

func TestTopicAttributesTagsAndBatches(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("events", "DisplayName", "Events")
	if again := s.topic("events", "DisplayName", "Events"); *again != *topic {
		t.Errorf("made %s", *again)
	}
	_, err := s.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("events"), Attributes: map[string]string{"DisplayName": "Other"}})
	s.refused(err, "InvalidParameter", "different attributes")
	_, err = s.sns.TagResource(t.Context(), &sns.TagResourceInput{ResourceArn: topic, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}})
	s.ok(err)
	_, err = s.sns.UntagResource(t.Context(), &sns.UntagResourceInput{ResourceArn: topic, TagKeys: []string{"a"}})
	s.ok(err)
	tags, err := s.sns.ListTagsForResource(t.Context(), &sns.ListTagsForResourceInput{ResourceArn: topic})
	s.ok(err)
	if len(tags.Tags) != 1 || *tags.Tags[0].Value != "2" {
		t.Errorf("tags %v", tags.Tags)
	}
	url := s.create("orders")
	subscription := s.subscribe(topic, "sqs", arnOf("orders"), "RawMessageDelivery", "true")
	if again := s.subscribe(topic, "sqs", arnOf("orders"), "RawMessageDelivery", "true"); *again != *subscription {
		t.Errorf("subscribed twice: %s", *again)
	}
	shown, err := s.sns.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: subscription})
	s.ok(err)
	if a := shown.Attributes; a["RawMessageDelivery"] != "true" || a["PendingConfirmation"] != "false" || a["Endpoint"] != arnOf("orders") {
		t.Errorf("attributes %v", a)
	}
	out, err := s.sns.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: topic, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
		{Id: aws.String("1"), Message: aws.String("a"), MessageAttributes: map[string]types.MessageAttributeValue{"k": text("v")}},
		{Id: aws.String("2"), Message: aws.String("b"), Subject: aws.String("two\nlines")},
		{Id: aws.String("3"), Message: aws.String(`{"default":"d","sqs":"for queues"}`), MessageStructure: aws.String("json")},
	}})
	s.ok(err)
	if len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Id != "2" || !out.Failed[0].SenderFault {
		t.Errorf("batch %+v", out)
	}
	got := s.receive(url, 10)
	if bodies(got) != "a for queues" || *got[0].MessageAttributes["k"].StringValue != "v" {
		t.Errorf("received %v", got)
	}
	s.sb.SetFaults(Fault{Kind: PartialBatch, Service: "sns"})
	out, err = s.sns.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: topic, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
		{Id: aws.String("1"), Message: aws.String("a")}, {Id: aws.String("2"), Message: aws.String("b")}}})
	s.ok(err)
	if len(out.Failed) != 1 || out.Failed[0].SenderFault {
		t.Errorf("partial batch %+v", out)
	}
}

// Functions get Records[].Sns (Lambda Developer Guide, with-sns); a server error
// is tried again on SNS's schedule.
func TestTopicInvokesFunctions(t *testing.T) {
	s := snsOf(t)
	topic := s.topic("events")
	function := "arn:aws:lambda:eu-west-1:" + Account + ":function:f"
	s.subscribe(topic, "lambda", function)
	var got []delivery
	failures := 6
	s.sb.do(func() {
		s.sb.regions[HomeRegion].receivers["lambda"] = func(_ ops.ARN, d delivery) error {
			if failures--; failures >= 0 {
				return errInternal
			}
			got = append(got, d)
			return nil
		}
	})
	s.publish(topic, "x", nil)
	s.sb.Advance(time.Minute)
	var event struct {
		Records []struct {
			EventSource, EventSubscriptionArn string
			Sns                               map[string]any
		}
	}
	if len(got) != 1 {
		t.Fatalf("%d deliveries", len(got))
	}
	if err := json.Unmarshal(got[0].Body, &event); err != nil {
		t.Fatal(err)
	}
	if r := event.Records[0]; r.EventSource != "aws:sns" || r.Sns["Message"] != "x" || r.Sns["SigningCertUrl"] == nil || string(got[0].From) != *topic {
		t.Errorf("event %s", got[0].Body)
	}
	s.counts("events", map[string]float64{"NumberOfNotificationsDelivered": 1, "NumberOfNotificationsFailed": 0})
}

func FuzzAccessPolicy(f *testing.F) {
	f.Add(`{"Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["SNS:*"],"Condition":{"ArnLike":{"aws:SourceArn":"arn:*:x"}}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := readPolicy(text)
		if err != nil || p == nil {
			return
		}
		if allowed, denied := p.verdict("arn:aws:cloudwatch:eu-west-1:"+Account+":alarm:x", "SNS:Publish"); allowed && denied {
			t.Error("both allowed and denied")
		}
	})
}

func FuzzReceiptHandle(f *testing.F) {
	q := &queue{name: "orders", messages: map[uint64]*message{}}
	f.Add(q.handle(&message{id: "x", serial: 7, lease: 2}))
	f.Fuzz(func(t *testing.T, handle string) {
		if m, current, err := q.byHandle(handle); m != nil || current && err != nil {
			t.Errorf("an empty queue found %v", m)
		}
	})
}
