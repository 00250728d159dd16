package replay

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// received are the messages of a queue by their bodies: name, type and value of each
// attribute that is no mark.
func (w *world) received(url string) map[string][]string {
	w.Helper()
	got := map[string][]string{}
	for empty := 0; empty < 3; {
		out, err := w.sqs.ReceiveMessage(w.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 600, MessageAttributeNames: []string{"All"}})
		w.must(err)
		if len(out.Messages) == 0 {
			empty++
		}
		for _, m := range out.Messages {
			of := []string{}
			for name, v := range m.MessageAttributes {
				if !strings.HasPrefix(name, "kxops-") {
					of = append(of, name+" "+aws.ToString(v.DataType)+" "+aws.ToString(v.StringValue)+string(v.BinaryValue))
				}
			}
			got[*m.Body] = sorted(of)
		}
	}
	return got
}

// What SNS put around an event comes off, and of its attributes those go along that were
// named; others are made of the body. A record that lacks one is sent without it.
func TestAttributesOfTheOriginal(t *testing.T) {
	w := newWorld(t)
	w.bucket("events")
	lines := []string{
		`{"Type":"Notification","Message":"{\"n\":1}","MessageAttributes":{"kind":{"Type":"String","Value":"order"},"size":{"Type":"Number","Value":"12.50"},"raw":{"Type":"Binary","Value":"AAH/"},"tags":{"Type":"String.Array","Value":"[\"a\"]"},"trace":{"Type":"String","Value":"secret"}}}`,
		`{"Type":"Notification","Message":"{\"n\":2}","MessageAttributes":{"kind":{"Type":"String","Value":"refund"}}}`,
		`{"Type":"Notification","Message":"{\"n\":3}"}`,
		`{"Type":"Notification","Message":"{\"n\":4}","MessageAttributes":{"raw":{"Type":"Binary","Value":"no base64"}}}`,
	}
	_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("events"), Key: aws.String("in"), Body: strings.NewReader(strings.Join(lines, "\n"))})
	w.must(err)
	url := w.queue("again")
	want := map[string][]string{
		`{"n":1}`: {"kind String order", "number Number 1", "raw Binary \x00\x01\xff", "size Number 12.50", "tags String.Array [\"a\"]"},
		`{"n":2}`: {"kind String refund", "number Number 2"},
		`{"n":3}`: {"number Number 3"},
	}
	names := []ops.ReplayAttribute{{Name: "kind"}, {Name: "size"}, {Name: "raw"}, {Name: "tags"}, {Name: "number", Value: ".Message | fromjson | .n"}}
	ask := ops.ReplayAsk{From: "archive:events/", To: "queue:again", Map: ops.ReplayMap{Body: ".Message", Attributes: names}}
	plan := w.plan(ask)
	if says := strings.Join(plan.Warnings, "\n"); !strings.Contains(says, "1 of 4 records that were tried would be parked") || !strings.Contains(says, "the attribute raw") {
		t.Errorf("%q", plan.Warnings)
	}
	if r := started(t, w.desk, plan).Wait(); r.State != ops.Incomplete || r.Counts.Sent != 3 || r.Counts.Parked != 1 {
		t.Fatalf("%+v", r)
	}
	if diff := cmp.Diff(want, w.received(url)); diff != "" {
		t.Error(diff)
	}
	w.proven(plan.ID)

	// Through a topic, raw to the same queue, they are the same.
	topics := sns.NewFromConfig(w.sb.Config())
	topic, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("again")})
	w.must(err)
	q, err := w.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})
	w.must(err)
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`
	_, err = w.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": allow}})
	w.must(err)
	_, err = topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String(q.Attributes["QueueArn"]), Attributes: map[string]string{"RawMessageDelivery": "true"}})
	w.must(err)
	_, err = w.sqs.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &url})
	w.must(err)
	ask.To = "topic:again"
	if r := started(t, w.desk, w.plan(ask)).Wait(); r.Counts.Sent != 3 {
		t.Fatalf("%+v", r)
	}
	w.sb.Advance(time.Minute)
	if diff := cmp.Diff(want, w.received(url)); diff != "" {
		t.Error(diff)
	}
}

func TestAttributesThatNoMessageHas(t *testing.T) {
	w := newWorld(t)
	w.queue("again")
	w.stream("orders", 1)
	seven := []ops.ReplayAttribute{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}, {Name: "f"}, {Name: "g"}}
	for says, ask := range map[string]ops.ReplayAsk{
		"queues and topics have attributes": {To: "stream:orders", Map: ops.ReplayMap{Attributes: seven[:1]}},
		"6 are left, and 7 are asked for":   {To: "queue:again", Map: ops.ReplayMap{Attributes: seven}},
		"is no name of an attribute":        {To: "queue:again", Map: ops.ReplayMap{Attributes: []ops.ReplayAttribute{{Name: "AWS.x"}}}},
		"is the name of a mark":             {To: "queue:again", Map: ops.ReplayMap{Attributes: []ops.ReplayAttribute{{Name: "kxops-hop"}}}},
		"asked for twice":                   {To: "queue:again", Map: ops.ReplayMap{Attributes: []ops.ReplayAttribute{{Name: "a"}, {Name: "a"}}}},
		`the attribute x ".[" is no jq`:     {To: "queue:again", Map: ops.ReplayMap{Attributes: []ops.ReplayAttribute{{Name: "x", Value: ".["}}}},
	} {
		ask.From = "stream:orders"
		if _, _, err := w.desk.Plan(t.Context(), ask); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, _, err := w.desk.Plan(t.Context(), ops.ReplayAsk{From: "stream:orders", To: "queue:again", Map: ops.ReplayMap{Mark: MarkNone, Attributes: seven}}); err != nil {
		t.Errorf("without marks there is room: %v", err)
	}
}
