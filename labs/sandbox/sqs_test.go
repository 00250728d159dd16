package sandbox

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// refused checks the code of an error and a part of its text. SQS's SDK shows the
// codes of the old Query protocol where there was another.
func (q *queues) refused(err error, code, text string) {
	q.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code && api.ErrorCode() != queryCode("sqs", code) || !strings.Contains(api.ErrorMessage(), text) {
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

// The pair survives the lease: short polls see nothing while all is leased, the
// newest handle deletes, an old one succeeds and deletes nothing (API, DeleteMessage).
func TestQueueStaleHandleDeletesNothing(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders", "VisibilityTimeout", "10")
	q.send(url, "a")
	old := q.receive(url, 1)
	if again := q.receive(url, 1); len(again) != 0 {
		t.Fatalf("a leased message was received: %v", again)
	}
	q.sb.Advance(10 * time.Second)
	newest := q.receive(url, 1)
	q.ok(q.delete(url, old[0]))
	if d := q.depth(url); d != [3]int{0, 1, 0} {
		t.Errorf("depth %v after a delete with a stale handle", d)
	}
	q.sb.Advance(time.Minute) // the newest handle is good even after its lease
	q.ok(q.delete(url, newest[0]))
	if d := q.depth(url); d != [3]int{} {
		t.Errorf("depth %v after the delete", d)
	}
	q.ok(q.delete(url, newest[0])) // gone already: success
	q.refused(q.delete(url, types.Message{ReceiptHandle: aws.String("nonsense")}), "ReceiptHandleIsInvalid", "nonsense")
}

// FIFO refuses a handle whose lease is over (API, DeleteMessage).
func TestFIFOStaleHandleIsRefused(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders.fifo", "VisibilityTimeout", "10")
	q.sendTo(url, "g", "1", "a")
	got := q.receive(url, 1)
	q.sb.Advance(11 * time.Second)
	q.refused(q.delete(url, got[0]), "InvalidParameterValue", "expired")
}

func TestQueueChangeVisibility(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	q.send(url, "a")
	m := q.receive(url, 1)[0]
	change := func(seconds int32) error {
		_, err := q.client.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
		return err
	}
	q.ok(change(600))
	q.sb.Advance(9 * time.Minute)
	if d := q.depth(url); d != [3]int{0, 1, 0} {
		t.Errorf("depth %v while the longer lease runs", d)
	}
	// Twelve hours count from the receive (API, ChangeMessageVisibility).
	q.refused(change(43200), "InvalidParameterValue", "beyond the limit")
	q.ok(change(0))
	q.refused(change(10), "MessageNotInflight", "")
	if got := q.receive(url, 1); len(got) != 1 || got[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("after release: %v", got)
	}
	q.refused(change(10), "InvalidParameterValue", "not available") // a newer handle exists
}

func TestQueueDelays(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders", "DelaySeconds", "60")
	q.send(url, "slow")
	_, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("quick"), DelaySeconds: 5})
	q.ok(err)
	if d := q.depth(url); d != [3]int{0, 0, 2} {
		t.Errorf("depth %v", d)
	}
	q.sb.Advance(5 * time.Second)
	if got := bodies(q.receive(url, 10)); got != "quick" {
		t.Errorf("after 5 s: %q", got)
	}
	q.sb.Advance(55 * time.Second)
	if got := bodies(q.receive(url, 10)); !strings.Contains(got, "slow") {
		t.Errorf("after 60 s: %q", got)
	}
}

// Retention counts from the first send, in a standard dead-letter queue too; in a
// FIFO one it starts again (Developer Guide, setting-up-dead-letter-queue-retention).
func TestQueueRetentionCountsFromTheFirstSend(t *testing.T) {
	q := sqsOf(t)
	url, dead := q.pair("", 1)
	fifo, fifoDead := q.pair(".fifo", 1)
	q.send(url, "a")
	q.sendTo(fifo, "g", "1", "a")
	first := q.sb.Now()
	q.sb.Advance(2 * 24 * time.Hour) // of 4 days
	for _, u := range []*string{url, fifo} {
		if got := q.receive(u, 1); len(got) != 1 {
			t.Fatal("the message is not there after half its life")
		}
		q.sb.Advance(31 * time.Second)
		if got := q.receive(u, 1); len(got) != 0 {
			t.Fatal("the message was not dead-lettered")
		}
	}
	if q.depth(dead) != [3]int{1, 0, 0} || q.depth(fifoDead) != [3]int{1, 0, 0} {
		t.Fatal("the dead letters did not arrive")
	}
	if sent := q.receive(fifoDead, 1)[0].Attributes["SentTimestamp"]; sent == strconv.FormatInt(first.UnixMilli(), 10) {
		t.Error("the FIFO dead letter kept its clock")
	}
	q.sb.Advance(first.Add(4*24*time.Hour - time.Second).Sub(q.sb.Now()))
	if d := q.depth(dead); d != [3]int{1, 0, 0} {
		t.Errorf("depth %v a second before the end", d)
	}
	q.sb.Advance(time.Second)
	if d := q.depth(dead); d != [3]int{} {
		t.Errorf("depth %v after four days from the first send", d)
	}
	if d := q.depth(fifoDead); d != [3]int{1, 0, 0} {
		t.Errorf("FIFO depth %v: its clock started again", d)
	}
}

// A new retention applies to messages already there, up to 15 minutes late (API,
// SetQueueAttributes).
func TestQueueRetentionChangesLate(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	q.send(url, "a")
	_, err := q.client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"MessageRetentionPeriod": "60"}})
	q.ok(err)
	if got := q.attributes(url)["MessageRetentionPeriod"]; got != "60" {
		t.Errorf("the attribute says %s", got)
	}
	q.sb.Advance(14 * time.Minute)
	if d := q.depth(url); d != [3]int{1, 0, 0} {
		t.Errorf("depth %v after 14 minutes", d)
	}
	q.sb.Advance(time.Minute)
	if d := q.depth(url); d != [3]int{} {
		t.Errorf("depth %v after 15 minutes", d)
	}
}

// FIFO keeps the order of a group, locks the group while one of its messages is
// leased and prefers one group per call (Developer Guide, FIFO-queues-understanding-logic).
func TestFIFOGroups(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders.fifo")
	for i, m := range []string{"a1", "b1", "a2", "b2", "a3"} {
		q.sendTo(url, m[:1], strconv.Itoa(i), m)
	}
	first := q.receive(url, 2)
	if got := bodies(first); got != "a1 a2" {
		t.Fatalf("first call: %q", got)
	}
	if got := bodies(q.receive(url, 10)); got != "b1 b2" {
		t.Errorf("second call: %q, group a is locked", got)
	}
	q.ok(q.delete(url, first[0]))
	if got := q.receive(url, 10); len(got) != 0 {
		t.Errorf("group a is locked by a2, got %q", bodies(got))
	}
	q.ok(q.delete(url, first[1]))
	if got := bodies(q.receive(url, 10)); got != "a3" {
		t.Errorf("after both deletes: %q", got)
	}
}

// The window is five minutes, continues after a delete, and a suppressed send
// still succeeds with the first id (API, SendMessage).
func TestFIFODeduplication(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders.fifo", "ContentBasedDeduplication", "true")
	send := func(group, body string) *sqs.SendMessageOutput {
		out, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body, MessageGroupId: &group})
		q.ok(err)
		return out
	}
	first := send("g", "a")
	q.ok(q.delete(url, q.receive(url, 1)[0]))
	again := send("h", "a")
	if *again.MessageId != *first.MessageId || *again.SequenceNumber != *first.SequenceNumber || q.depth(url) != [3]int{} {
		t.Error("the second send was not suppressed")
	}
	q.sb.Advance(5 * time.Minute)
	if later := send("g", "a"); *later.MessageId == *first.MessageId || *later.SequenceNumber <= *first.SequenceNumber {
		t.Error("the window did not end")
	}
	byGroup := q.create("grouped.fifo", "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId")
	q.sendTo(byGroup, "g", "1", "a")
	q.sendTo(byGroup, "h", "1", "a")
	q.sendTo(byGroup, "h", "1", "a")
	if d := q.depth(byGroup); d[0] != 2 {
		t.Errorf("depth %v with one duplicate per group", d)
	}
}

// The dedup id of a dead-lettered FIFO message is its original MessageId
// (Developer Guide, dead-letter-queues redrive page).
func TestFIFODeadLetterDedupID(t *testing.T) {
	q := sqsOf(t)
	url, dead := q.pair(".fifo", 1)
	sent := q.sendTo(url, "g", "mine", "a")
	q.receive(url, 1)
	q.sb.Advance(31 * time.Second)
	q.receive(url, 1)
	got := q.receive(dead, 1)
	if len(got) != 1 || got[0].Attributes["MessageDeduplicationId"] != *sent.MessageId || got[0].Attributes["MessageGroupId"] != "g" || *got[0].MessageId != *sent.MessageId {
		t.Errorf("dead letter %v", got)
	}
}

// A repeated attempt returns the same messages and handles with a fresh lease
// (API, ReceiveMessage).
func TestFIFOReceiveAttempt(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders.fifo")
	q.sendTo(url, "g", "1", "a")
	q.sendTo(url, "h", "2", "b")
	receive := func(attempt string) []types.Message {
		out, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, ReceiveRequestAttemptId: &attempt})
		q.ok(err)
		return out.Messages
	}
	first := receive("x")
	q.sb.Advance(20 * time.Second)
	second := receive("x")
	if len(second) != 1 || *second[0].ReceiptHandle != *first[0].ReceiptHandle {
		t.Fatalf("repeat gave %v", second)
	}
	q.sb.Advance(20 * time.Second) // past the first lease, not past the renewed one
	q.ok(q.delete(url, second[0]))
	if got := bodies(receive("x")); got != "b" {
		t.Errorf("after the delete the attempt gave %q", got)
	}
}

// One call for each group before a group that holds most of what is in flight
// (Developer Guide, sqs-fair-queues).
func TestFairQueueServesQuietTenantsFirst(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	for i := range 30 {
		_, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String(fmt.Sprintf("noisy%d", i)), MessageGroupId: aws.String("noisy")})
		q.ok(err)
	}
	_, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("quiet"), MessageGroupId: aws.String("quiet")})
	q.ok(err)
	q.receive(url, 10)
	got := q.receive(url, 10)
	if *got[0].Body != "quiet" || len(got) != 10 || got[0].Attributes["MessageGroupId"] != "quiet" {
		t.Errorf("second call: %q", bodies(got))
	}
}

// At 120,000 in flight a short poll answers OverLimit and a long poll nothing
// (API, ReceiveMessage and ChangeMessageVisibility).
func TestQueueInFlightLimit(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders", "VisibilityTimeout", "43200")
	q.sb.do(func() {
		r := q.sb.regions[HomeRegion]
		s := r.queues.(*sqsService)
		orders := s.queues["orders"]
		for range maxInFlight + 1 {
			orders.accept(&message{body: "x"}, -1)
		}
		for orders.count[leased] < maxInFlight {
			orders.take(r.now(), 10, time.Hour)
		}
	})
	_, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url})
	q.refused(err, "OverLimit", "in flight")
	if d := q.depth(url); d != [3]int{1, maxInFlight, 0} {
		t.Errorf("depth %v", d)
	}
}

func TestQueueLongPollWakesUp(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders", "VisibilityTimeout", "5")
	type answer struct {
		out *sqs.ReceiveMessageOutput
		err error
	}
	poll := func() chan answer {
		done := make(chan answer, 1)
		go func() {
			out, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
			done <- answer{out, err}
		}()
		for waiting := false; !waiting; {
			q.sb.mu.Lock()
			waiting = q.sb.waiters > 0
			q.sb.mu.Unlock()
		}
		return done
	}
	done := poll()
	q.send(url, "woken by a send")
	if a := <-done; a.err != nil || bodies(a.out.Messages) != "woken by a send" {
		t.Fatalf("got %v", a)
	}
	done = poll()
	q.sb.Advance(5 * time.Second) // the lease ends
	if a := <-done; a.err != nil || len(a.out.Messages) != 1 {
		t.Fatalf("after the lease: %v", a)
	}
	q.ok(func() error {
		_, err := q.client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url})
		return err
	}())
	done = poll()
	q.sb.Advance(20 * time.Second)
	if a := <-done; a.err != nil || len(a.out.Messages) != 0 {
		t.Errorf("at the deadline: %v", a)
	}
	done = poll()
	_, err := q.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url})
	q.ok(err)
	q.refused((<-done).err, "QueueDoesNotExist", "does not exist")
}

func TestQueueBatches(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	send := func(entries ...types.SendMessageBatchRequestEntry) (*sqs.SendMessageBatchOutput, error) {
		return q.client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries})
	}
	eleven := make([]types.SendMessageBatchRequestEntry, 11)
	for i := range eleven {
		eleven[i] = entry(strconv.Itoa(i), "x")
	}
	half := strings.Repeat("x", maxMessage/2+1)
	for code, entries := range map[string][]types.SendMessageBatchRequestEntry{
		"EmptyBatchRequest":            {},
		"TooManyEntriesInBatchRequest": eleven,
		"BatchEntryIdsNotDistinct":     {entry("a", "x"), entry("a", "y")},
		"InvalidBatchEntryId":          {entry("a b", "x")},
		"BatchRequestTooLong":          {entry("a", half), entry("b", half)},
	} {
		_, err := send(entries...)
		q.refused(err, code, "")
	}
	out, err := send(entry("good", "x"), entry("bad", "\x01"))
	q.ok(err)
	if len(out.Successful) != 1 || len(out.Failed) != 1 || *out.Failed[0].Id != "bad" || *out.Failed[0].Code != "InvalidMessageContents" || !out.Failed[0].SenderFault {
		t.Errorf("answer %+v", out)
	}
	q.sb.SetFaults(Fault{Kind: PartialBatch, Service: "sqs"})
	out, err = send(entry("a", "1"), entry("b", "2"), entry("c", "3"))
	q.ok(err)
	if len(out.Successful) != 1 || len(out.Failed) != 2 || *out.Failed[0].Code != "InternalError" || out.Failed[0].SenderFault {
		t.Errorf("partial batch %+v", out)
	}
	q.sb.SetFaults()
	got := q.receive(url, 10)
	deleted, err := q.client.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got[0].ReceiptHandle}, {Id: aws.String("b"), ReceiptHandle: aws.String("bad")}}})
	q.ok(err)
	if len(deleted.Successful) != 1 || len(deleted.Failed) != 1 || *deleted.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("delete %+v", deleted)
	}
	changed, err := q.client.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got[0].ReceiptHandle}, {Id: aws.String("b"), ReceiptHandle: got[1].ReceiptHandle}}})
	q.ok(err)
	if len(changed.Successful) != 1 || len(changed.Failed) != 1 || *changed.Failed[0].Id != "a" || q.depth(url) != [3]int{1, 0, 0} {
		t.Errorf("release %+v, depth %v", changed, q.depth(url))
	}
}

// Limits and refusals of one message (API, SendMessage).
func TestQueueRefusesMessages(t *testing.T) {
	q := sqsOf(t)
	url, small, fifo := q.create("orders"), q.create("small", "MaximumMessageSize", "1024"), q.create("orders.fifo")
	attributes := func(n int) map[string]types.MessageAttributeValue {
		out := map[string]types.MessageAttributeValue{}
		for i := range n {
			out[strconv.Itoa(i)] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("x")}
		}
		return out
	}
	for _, c := range []struct {
		in         sqs.SendMessageInput
		code, text string
	}{
		{sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("")}, "MissingParameter", "MessageBody"},
		{sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("a\x00b")}, "InvalidMessageContents", "#x0"},
		{sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("a\uffff")}, "InvalidMessageContents", "#xFFFF"},
		{sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String(strings.Repeat("x", maxMessage+1))}, "InvalidParameterValue", "1048576"},
		{sqs.SendMessageInput{QueueUrl: small, MessageBody: aws.String(strings.Repeat("x", 1015)), MessageAttributes: attributes(2)}, "InvalidParameterValue", "1024"},
		{sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageAttributes: attributes(11)}, "InvalidParameterValue", "[11]"},
		{sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), DelaySeconds: 901}, "InvalidParameterValue", "DelaySeconds"},
		{sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageDeduplicationId: aws.String("x")}, "InvalidParameterValue", "queue type"},
		{sqs.SendMessageInput{QueueUrl: fifo, MessageBody: aws.String("x")}, "MissingParameter", "MessageGroupId"},
		{sqs.SendMessageInput{QueueUrl: fifo, MessageBody: aws.String("x"), MessageGroupId: aws.String("g")}, "InvalidParameterValue", "ContentBasedDeduplication"},
		{sqs.SendMessageInput{QueueUrl: fifo, MessageBody: aws.String("x"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("1"), DelaySeconds: 1}, "InvalidParameterValue", "DelaySeconds"},
		{sqs.SendMessageInput{QueueUrl: aws.String("http://x/" + Account + "/none"), MessageBody: aws.String("x")}, "QueueDoesNotExist", ""},
		{sqs.SendMessageInput{QueueUrl: aws.String("http://x/999999999999/orders"), MessageBody: aws.String("x")}, "QueueDoesNotExist", ""},
	} {
		_, err := q.client.SendMessage(t.Context(), &c.in)
		q.refused(err, c.code, c.text)
	}
}

// Example of the Developer Guide's algorithm, hashed by hand: MD5 of the framed
// name, type and value (sqs-message-metadata).
func TestAttributesMD5(t *testing.T) {
	framed := "\x00\x00\x00\x01a\x00\x00\x00\x06String\x01\x00\x00\x00\x01x" + "\x00\x00\x00\x01b\x00\x00\x00\x06Binary\x02\x00\x00\x00\x01\x09"
	sum := md5.Sum([]byte(framed))
	got := attributesMD5(map[string]attribute{"b": {Type: "Binary", Binary: []byte{9}}, "a": {Type: "String", String: "x"}})
	if got != hex.EncodeToString(sum[:]) {
		t.Errorf("got %s", got)
	}
}

func TestQueueLists(t *testing.T) {
	q := sqsOf(t)
	dead := q.create("dlq")
	for i := range 5 {
		q.create(fmt.Sprintf("orders-%d", i), "RedrivePolicy", redriveTo("dlq", 3))
	}
	var names []string
	pages := sqs.NewListQueuesPaginator(q.client, &sqs.ListQueuesInput{QueueNamePrefix: aws.String("orders"), MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		q.ok(err)
		for _, u := range page.QueueUrls {
			names = append(names, u[strings.LastIndex(u, "/")+1:])
		}
	}
	if got := strings.Join(names, " "); got != "orders-0 orders-1 orders-2 orders-3 orders-4" {
		t.Errorf("listed %s", got)
	}
	sources := 0
	more := sqs.NewListDeadLetterSourceQueuesPaginator(q.client, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead, MaxResults: aws.Int32(3)})
	for more.HasMorePages() {
		page, err := more.NextPage(t.Context())
		q.ok(err)
		sources += len(page.QueueUrls)
	}
	if sources != 5 {
		t.Errorf("%d sources", sources)
	}
	_, err := q.client.ListQueues(t.Context(), &sqs.ListQueuesInput{NextToken: aws.String("%"), MaxResults: aws.Int32(1)})
	q.refused(err, "InvalidParameterValue", "next token")
	out, err := q.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("dlq")})
	q.ok(err)
	if *out.QueueUrl != *dead {
		t.Errorf("url %s", *out.QueueUrl)
	}
}

func TestQueueAttributesAreChecked(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	q.create("dlq.fifo")
	q.create("closed", "RedriveAllowPolicy", `{"redrivePermission":"denyAll"}`)
	q.create("open", "RedriveAllowPolicy", `{"redrivePermission":"byQueue","sourceQueueArns":["`+arnOf("orders")+`"]}`)
	set := func(name, value string) error {
		_, err := q.client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{name: value}})
		return err
	}
	q.refused(set("Nonsense", "1"), "InvalidAttributeName", "Nonsense")
	q.refused(set("MessageRetentionPeriod", "59"), "InvalidAttributeValue", "MessageRetentionPeriod")
	q.refused(set("FifoQueue", "true"), "InvalidAttributeValue", "FifoQueue")
	q.refused(set("ContentBasedDeduplication", "true"), "InvalidAttributeName", "ContentBasedDeduplication")
	q.refused(set("RedrivePolicy", redriveTo("none", 3)), "InvalidParameterValue", "does not exist")
	q.refused(set("RedrivePolicy", redriveTo("dlq.fifo", 3)), "InvalidParameterValue", "same type")
	q.refused(set("RedrivePolicy", redriveTo("closed", 3)), "InvalidParameterValue", "RedriveAllowPolicy")
	q.refused(set("RedrivePolicy", redriveTo("open", 1001)), "InvalidParameterValue", "1001")
	q.ok(set("RedrivePolicy", redriveTo("open", 1000)))
	q.ok(set("VisibilityTimeout", "99"))
	a := q.attributes(url)
	if a["VisibilityTimeout"] != "99" || a["RedrivePolicy"] != redriveTo("open", 1000) || a["MaximumMessageSize"] != "1048576" || a["MessageRetentionPeriod"] != "345600" || a["QueueArn"] != arnOf("orders") {
		t.Errorf("attributes %v", a)
	}
	q.ok(set("RedrivePolicy", ""))
	if a := q.attributes(url); a["RedrivePolicy"] != "" {
		t.Errorf("the policy is still there: %v", a)
	}
	_, err := q.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("orders"), Attributes: map[string]string{"VisibilityTimeout": "1"}})
	q.refused(err, "QueueNameExists", "VisibilityTimeout")
	_, err = q.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("a b")})
	q.refused(err, "InvalidParameterValue", "alphanumeric")
}

// A purge once a minute (API, PurgeQueue), a name free a minute after its queue
// was deleted (API, DeleteQueue).
func TestQueueSixtySecondRules(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	q.send(url, "a")
	purge := func() error {
		_, err := q.client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url})
		return err
	}
	q.ok(purge())
	if d := q.depth(url); d != [3]int{} {
		t.Errorf("depth %v after purge", d)
	}
	q.refused(purge(), "PurgeQueueInProgress", "60 seconds")
	q.sb.Advance(time.Minute)
	q.ok(purge())
	_, err := q.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url})
	q.ok(err)
	_, err = q.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("orders")})
	q.refused(err, "QueueDeletedRecently", "60 seconds")
	q.sb.Advance(time.Minute)
	q.create("orders")
}

func TestQueueTags(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	_, err := q.client.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"team": "a", "env": "x"}})
	q.ok(err)
	_, err = q.client.UntagQueue(t.Context(), &sqs.UntagQueueInput{QueueUrl: url, TagKeys: []string{"env"}})
	q.ok(err)
	out, err := q.client.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: url})
	q.ok(err)
	if len(out.Tags) != 1 || out.Tags["team"] != "a" {
		t.Errorf("tags %v", out.Tags)
	}
}

func TestQueueFaults(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	q.sb.Advance(2 * time.Minute)
	q.send(url, "a")
	q.sb.SetFaults(Fault{Kind: FalseEmpty, Service: "sqs"}, Fault{Kind: CountLag, Service: "sqs"})
	if got := q.receive(url, 1); len(got) != 0 {
		t.Error("the short poll saw the message")
	}
	out, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 1, VisibilityTimeout: 1})
	q.ok(err)
	if len(out.Messages) != 1 {
		t.Error("the long poll missed the message") // it asks all servers (API, ReceiveMessage)
	}
	if d := q.depth(url); d != [3]int{} {
		t.Errorf("depth %v, should lag", d)
	}
	q.sb.Advance(2 * time.Minute)
	if d := q.depth(url); d != [3]int{1, 0, 0} {
		t.Errorf("depth %v after two minutes", d)
	}
}

// The Go SDK cannot send a zero for these; other clients can, and it is not the
// queue's default (aws/aws-sdk-go-v2#1704).
func TestQueueTakesZeroesOfOtherClients(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders", "DelaySeconds", "60", "ReceiveMessageWaitTimeSeconds", "20")
	call := func(operation, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+inProcessHost+"/", strings.NewReader(body))
		q.ok(err)
		req.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		resp, err := inProcess{q.sb}.RoundTrip(req)
		q.ok(err)
		answer, err := io.ReadAll(resp.Body)
		q.ok(err)
		return string(answer)
	}
	if answer := call("ReceiveMessage", `{"QueueUrl":"`+*url+`","WaitTimeSeconds":0}`); answer != "{}" {
		t.Errorf("a short poll of an empty queue: %s", answer)
	}
	call("SendMessage", `{"QueueUrl":"`+*url+`","MessageBody":"a","DelaySeconds":0}`)
	call("SendMessageBatch", `{"QueueUrl":"`+*url+`","Entries":[{"Id":"1","MessageBody":"b","DelaySeconds":0}]}`)
	if d := q.depth(url); d != [3]int{2, 0, 0} {
		t.Errorf("depth %v, nothing should be delayed", d)
	}
	if answer := call("ReceiveMessage", `{"QueueUrl":"`+*url+`","VisibilityTimeout":0,"MaxNumberOfMessages":10}`); strings.Count(answer, "ReceiptHandle") != 2 {
		t.Errorf("received %s", answer)
	}
	if d := q.depth(url); d != [3]int{2, 0, 0} {
		t.Errorf("depth %v after a receive without a lease", d)
	}
	if answer := call("ReceiveMessage", `{"QueueUrl":"`+*url+`","MaxNumberOfMessages":0}`); !strings.Contains(answer, "MaxNumberOfMessages") {
		t.Errorf("a receive of none: %s", answer)
	}
}
