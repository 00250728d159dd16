package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/rogpeppe/go-internal/testscript"

	"kxops/labs/sandbox"
)

// deadQueue is the script command "deadqueue NAME GROUP=COUNT…": a queue NAME and
// its dead-letter queue NAME-dlq (with .fifo behind both where NAME ends so), and
// in it COUNT messages of each GROUP, put there by SQS's own redrive policy. Each
// body has its group as event type and a token GROUP-N, so that every message can be told.
func deadQueue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: deadqueue NAME GROUP=COUNT…")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	q, err := newDeadQueue(ctx, scriptQueues(ts), args[0])
	ts.Check(err)
	for _, a := range args[1:] {
		group, count, _ := strings.Cut(a, "=")
		n, err := strconv.Atoi(count)
		ts.Check(err)
		var bodies []string
		for i := range n {
			bodies = append(bodies, deadBody(group, i))
		}
		_, err = q.fill(ctx, group, bodies)
		ts.Check(err)
	}
}

// deadBody is a body that tells its group by its event type and its shape.
func deadBody(group string, i int) string {
	return fmt.Sprintf(`{"eventType":%q,"of_%s":{"%s":1},"token":"%s-%d"}`, group, group, group, group, i)
}

// depthIs is the script command "depth QUEUE VISIBLE IN-FLIGHT".
func depthIs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: depth QUEUE VISIBLE IN-FLIGHT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client := scriptQueues(ts)
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: address(ctx, ts, client, args[0]), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	ts.Check(err)
	visible, flying := out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
	if visible != args[1] || flying != args[2] {
		ts.Fatalf("%s holds %s visible and %s in flight, want %s and %s", args[0], visible, flying, args[1], args[2])
	}
}

// waitHeld is the script command "waitheld QUEUE": until somebody holds messages of it.
func waitHeld(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitheld QUEUE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := scriptQueues(ts)
	url := address(ctx, ts, client, args[0])
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		ts.Check(err)
		if out.Attributes["ApproximateNumberOfMessagesNotVisible"] != "0" {
			return
		}
	}
}

// firstID is the script command "firstid QUEUE": $ID is the id of a message that
// is in it, which stays as it was.
func firstID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: firstid QUEUE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client := scriptQueues(ts)
	url := address(ctx, ts, client, args[0])
	out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 1, VisibilityTimeout: 30})
	ts.Check(err)
	if len(out.Messages) == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
	_, err = client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: out.Messages[0].ReceiptHandle})
	ts.Check(err)
	ts.Setenv("ID", aws.ToString(out.Messages[0].MessageId))
}

// groupKey is the script command "groupkey COUNT": $KEY is the key of the group of
// so many messages in the JSON that was printed last.
func groupKey(ts *testscript.TestScript, neg bool, args []string) {
	var report groupsReport
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &report))
	for _, g := range report.Groups {
		if strconv.Itoa(g.Messages) == strings.Join(args, " ") {
			ts.Setenv("KEY", g.Cause.Key)
			return
		}
	}
	ts.Fatalf("no group of %s messages", args)
}

// lastOperation is the script command "operation": $OP is the id in the last line
// of the journal that was printed last.
func lastOperation(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	words := strings.Fields(lines[len(lines)-1])
	if len(words) < 4 || words[3] != "operation" {
		ts.Fatalf("no operation in %q", lines[len(lines)-1])
	}
	ts.Setenv("OP", words[2])
}

// editFile is the script command "edit FILE OLD NEW": exactly one replacement.
func editFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	path := ts.MkAbs(args[0])
	content, err := os.ReadFile(path)
	ts.Check(err)
	if n := strings.Count(string(content), args[1]); n != 1 {
		ts.Fatalf("%q is %d times in %s", args[1], n, args[0])
	}
	ts.Check(os.WriteFile(path, []byte(strings.Replace(string(content), args[1], args[2], 1)), 0o600))
}

// setRetention is the script command "retention QUEUE SECONDS": somebody else
// changes the queue.
func setRetention(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: retention QUEUE SECONDS")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client := scriptQueues(ts)
	_, err := client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: address(ctx, ts, client, args[0]), Attributes: map[string]string{"MessageRetentionPeriod": args[1]},
	})
	ts.Check(err)
}

// attributeIs is the script command "attribute QUEUE NAME VALUE".
func attributeIs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: attribute QUEUE NAME VALUE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client := scriptQueues(ts)
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: address(ctx, ts, client, args[0]), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	ts.Check(err)
	if got := out.Attributes[args[1]]; got != args[2] {
		ts.Fatalf("%s of %s is %q, want %q", args[1], args[0], got, args[2])
	}
}

// moveTask is the script command "movetask QUEUE RATE": somebody else's task runs.
func moveTask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: movetask QUEUE RATE")
	}
	rate, err := strconv.ParseInt(args[1], 10, 32)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = scriptQueues(ts).StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{
		SourceArn:                    aws.String(fmt.Sprintf("arn:aws:sqs:%s:%s:%s", sandbox.HomeRegion, sandbox.Account, args[0])),
		MaxNumberOfMessagesPerSecond: aws.Int32(int32(rate)),
	})
	ts.Check(err)
}

// failing is the script command "failing QUEUE": until the script ends a consumer
// receives its messages and fails on each at once.
func failing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: failing QUEUE")
	}
	ctx, stop := context.WithCancel(context.Background())
	client := scriptQueues(ts)
	url := address(ctx, ts, client, args[0])
	ended := make(chan error, 1)
	go func() { ended <- failOn(ctx, client, url) }()
	ts.Defer(func() {
		stop()
		if err := <-ended; err != nil {
			ts.Logf("the failing consumer: %v", err)
		}
	})
}

func failOn(ctx context.Context, client *sqs.Client, url *string) error {
	for ctx.Err() == nil {
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			break
		}
		for _, m := range out.Messages {
			if _, err := client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// totalIs is the script command "total N QUEUE…": so many messages in all, none in
// flight.
func totalIs(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, sum := scriptQueues(ts), 0
	for _, name := range args[1:] {
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: address(ctx, ts, client, name), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		ts.Check(err)
		n, err := strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"])
		ts.Check(err)
		sum += n
	}
	if strconv.Itoa(sum) != args[0] {
		ts.Fatalf("%d messages in %v, want %s", sum, args[1:], args[0])
	}
}

// waitDepth is the script command "waitdepth QUEUE N": until N messages of it are
// visible.
func waitDepth(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitdepth QUEUE N")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := scriptQueues(ts)
	url := address(ctx, ts, client, args[0])
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		ts.Check(err)
		if out.Attributes["ApproximateNumberOfMessages"] == args[1] {
			return
		}
	}
}

// waitRecord is the script command "waitrecord N": until the newest operation has
// recorded N messages as sent.
func waitRecord(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitrecord N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	end := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		records, err := filepath.Glob(filepath.Join(ts.Getenv("XDG_STATE_HOME"), "kxops", "*", "*.jsonl"))
		ts.Check(err)
		if len(records) > 0 {
			content, err := os.ReadFile(slices.Max(records))
			ts.Check(err)
			if strings.Count(string(content), `"is":"sent"`) >= want {
				return
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("no record of %d messages sent: %v", want, records)
		}
	}
}

// send is the script command "send QUEUE BODY": one more message.
func send(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: send QUEUE BODY")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client := scriptQueues(ts)
	_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: address(ctx, ts, client, args[0]), MessageBody: aws.String(args[1])})
	ts.Check(err)
}

func scriptQueues(ts *testscript.TestScript) *sqs.Client {
	return sqs.NewFromConfig((*ts.Value(sandboxKey{}).(**sandbox.Sandbox)).Config())
}

func address(ctx context.Context, ts *testscript.TestScript, client *sqs.Client, name string) *string {
	out, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(name)})
	ts.Check(err)
	return out.QueueUrl
}

// deadPair is a queue and its dead-letter queue in the sandbox.
type deadPair struct {
	sqs         *sqs.Client
	name, dlq   string
	url, dlqURL *string
	fifo        bool
	sent        int
}

func newDeadQueue(ctx context.Context, client *sqs.Client, name string) (*deadPair, error) {
	base, fifo := strings.CutSuffix(name, ".fifo")
	q := &deadPair{sqs: client, name: name, dlq: base + "-dlq", fifo: fifo}
	attributes := map[string]string{"VisibilityTimeout": "60"}
	if fifo {
		q.dlq += ".fifo"
		attributes["FifoQueue"] = "true"
	}
	out, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(q.dlq), Attributes: attributes})
	if err != nil {
		return nil, err
	}
	q.dlqURL = out.QueueUrl
	attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:%s:%s","maxReceiveCount":"1"}`, sandbox.HomeRegion, sandbox.Account, q.dlq)
	if out, err = client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes}); err != nil {
		return nil, err
	}
	q.url = out.QueueUrl
	return q, nil
}

// fill sends the bodies to the queue and receives them until SQS has moved them
// to the dead-letter queue. It returns the message ids, which the move keeps.
func (q *deadPair) fill(ctx context.Context, group string, bodies []string) (ids []string, err error) {
	for _, body := range bodies {
		in := &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String(body)}
		if q.fifo {
			in.MessageGroupId, in.MessageDeduplicationId = aws.String(group), aws.String(fmt.Sprintf("%s-%d", group, q.sent))
		}
		q.sent++
		out, err := q.sqs.SendMessage(ctx, in)
		if err != nil {
			return ids, err
		}
		ids = append(ids, aws.ToString(out.MessageId))
	}
	for empty := 0; empty < 2; {
		out, err := q.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url, MaxNumberOfMessages: 10, VisibilityTimeout: 60})
		if err != nil {
			return ids, err
		}
		if len(out.Messages) == 0 {
			empty++
			continue
		}
		empty = 0
		for _, m := range out.Messages {
			if _, err := q.sqs.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return ids, err
			}
		}
	}
	return ids, nil
}

// The script command itself is checked: what it says is in the queue is there.
func TestDeadQueueIsFilled(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{Live: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, name := range []string{"a", "b.fifo"} {
		q, err := newDeadQueue(ctx, sqs.NewFromConfig(sb.Config()), name)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := q.fill(ctx, "x", []string{"1", "2", "3"})
		if err != nil || len(ids) != 3 {
			t.Fatalf("%v, %v", ids, err)
		}
		out, err := q.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.dlqURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		if err != nil || len(out.Messages) == 0 {
			t.Fatalf("%s: %v, %v", name, out, err)
		}
		if got := out.Messages[0].Attributes["DeadLetterQueueSourceArn"]; !strings.HasSuffix(got, ":"+name) {
			t.Errorf("%s: dead letters come from %q", name, got)
		}
	}
}
