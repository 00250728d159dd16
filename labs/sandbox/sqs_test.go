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
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithy "github.com/aws/smithy-go"
)

// queues is a sandbox seen through a real SQS client, without retries.
type queues struct {
	*testing.T
	sb     *Sandbox
	client *sqs.Client
}

func sqsOf(t *testing.T) *queues {
	t.Helper()
	sb := empty(t)
	return &queues{t, sb, sqs.NewFromConfig(sb.Config(), func(o *sqs.Options) { o.RetryMaxAttempts = 1 })}
}

func (q *queues) ok(err error) {
	q.Helper()
	if err != nil {
		q.Fatal(err)
	}
}

// refused checks the code of an error and a part of its text.
func (q *queues) refused(err error, code, text string) {
	q.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), text) {
		q.Errorf("got %v, want %s with %q", err, code, text)
	}
}

// create makes a queue with attributes given as name, value …
func (q *queues) create(name string, attributes ...string) *string {
	q.Helper()
	in := &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{}}
	for i := 0; i+1 < len(attributes); i += 2 {
		in.Attributes[attributes[i]] = attributes[i+1]
	}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes["FifoQueue"] = "true"
	}
	out, err := q.client.CreateQueue(q.Context(), in)
	q.ok(err)
	return out.QueueUrl
}

// pair makes a queue with a dead-letter queue.
func (q *queues) pair(suffix string, maxReceives int) (source, dead *string) {
	q.Helper()
	dead = q.create("orders-dlq" + suffix)
	return q.create("orders"+suffix, "RedrivePolicy", redriveTo("orders-dlq"+suffix, maxReceives)), dead
}

func arnOf(queue string) string { return "arn:aws:sqs:" + HomeRegion + ":" + Account + ":" + queue }

func redriveTo(queue string, maxReceives int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arnOf(queue), maxReceives)
}

func (q *queues) send(url *string, body string) *sqs.SendMessageOutput {
	q.Helper()
	out, err := q.client.SendMessage(q.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body})
	q.ok(err)
	return out
}

func (q *queues) sendTo(url *string, group, dedup, body string) *sqs.SendMessageOutput {
	q.Helper()
	out, err := q.client.SendMessage(q.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: aws.String(dedup)})
	q.ok(err)
	return out
}

func (q *queues) receive(url *string, n int) []types.Message {
	q.Helper()
	out, err := q.client.ReceiveMessage(q.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: int32(n),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"All"}})
	q.ok(err)
	return out.Messages
}

func (q *queues) delete(url *string, m types.Message) error {
	_, err := q.client.DeleteMessage(q.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
	return err
}

// depth is visible, in flight and delayed.
func (q *queues) depth(url *string) [3]int {
	q.Helper()
	a := q.attributes(url)
	var out [3]int
	for i, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		n, err := strconv.Atoi(a[name])
		q.ok(err)
		out[i] = n
	}
	return out
}

func (q *queues) attributes(url *string) map[string]string {
	q.Helper()
	out, err := q.client.GetQueueAttributes(q.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}})
	q.ok(err)
	return out.Attributes
}

func bodies(messages []types.Message) string {
	out := make([]string, 0, len(messages))
	for _, m := range messages {
		out = append(out, *m.Body)
	}
	return strings.Join(out, " ")
}

func TestQueueSendReceiveDelete(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	sent, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("héllo"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"tenant": {DataType: aws.String("String"), StringValue: aws.String("a")},
			"blob":   {DataType: aws.String("Binary.gz"), BinaryValue: []byte{1, 2}},
		},
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1")}},
	})
	q.ok(err)
	got := q.receive(url, 10)
	if len(got) != 1 || *got[0].MessageId != *sent.MessageId || aws.ToString(got[0].MD5OfMessageAttributes) != aws.ToString(sent.MD5OfMessageAttributes) {
		t.Fatalf("received %v of %v", got, sent)
	}
	a := got[0].Attributes
	now := strconv.FormatInt(q.sb.Now().UnixMilli(), 10)
	if a["SentTimestamp"] != now || a["ApproximateFirstReceiveTimestamp"] != now || a["ApproximateReceiveCount"] != "1" || a["AWSTraceHeader"] != "Root=1" || a["SenderId"] == "" {
		t.Errorf("system attributes %v", a)
	}
	if string(got[0].MessageAttributes["blob"].BinaryValue) != "\x01\x02" || *got[0].MessageAttributes["tenant"].StringValue != "a" {
		t.Errorf("attributes %v", got[0].MessageAttributes)
	}
	if d := q.depth(url); d != [3]int{0, 1, 0} {
		t.Errorf("depth %v while leased", d)
	}
	q.ok(q.delete(url, got[0]))
	q.sb.Advance(time.Hour)
	if d := q.depth(url); d != [3]int{} {
		t.Errorf("depth %v after delete", d)
	}
}

// A message that was received maxReceiveCount times moves at the next receive; it
// keeps MessageId and SentTimestamp and names its source (Developer Guide,
// sqs-dead-letter-queues).
func TestQueueDeadLetters(t *testing.T) {
	q := sqsOf(t)
	url, dead := q.pair("", 2)
	sent := q.send(url, "poison")
	when := strconv.FormatInt(q.sb.Now().UnixMilli(), 10)
	for range 2 {
		if got := q.receive(url, 1); len(got) != 1 {
			t.Fatal("the message is not there")
		}
		q.sb.Advance(31 * time.Second)
	}
	if got := q.receive(url, 1); len(got) != 0 {
		t.Fatalf("received a third time: %v", got)
	}
	got := q.receive(dead, 1)
	if len(got) != 1 || *got[0].MessageId != *sent.MessageId {
		t.Fatalf("in the dead-letter queue: %v", got)
	}
	a := got[0].Attributes
	if a["SentTimestamp"] != when || a["ApproximateReceiveCount"] != "3" || a["DeadLetterQueueSourceArn"] != arnOf("orders") {
		t.Errorf("attributes %v", a)
	}
}

func unmarshal(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
