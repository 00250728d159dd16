package dlq

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// redriveBench is a bench with a journal and the right to change.
func redriveBench(t testing.TB) *bench {
	t.Helper()
	b := newBench(t)
	b.ticking()
	b.changing(t.TempDir())
	return b
}

// changing makes a new desk with a journal in a directory: the program started again.
func (b *bench) changing(dir string) {
	b.t.Helper()
	b.reopen(cloud.Change)
	j, err := journal.Open(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	b.desk = New(Options{Config: b.door.Config(), Identity: ops.Identity{Account: sandbox.Account, Region: sandbox.HomeRegion},
		Journal: j, Now: b.Now, Explain: b.door.Explain})
}

// dead makes a source queue with a dead-letter queue and puts n dead letters into
// it, the way SQS does: by receiving them too often.
func (b *bench) dead(name string, n int, fifo bool) (source, dead string) {
	b.t.Helper()
	end, attributes := "", map[string]string{"MessageRetentionPeriod": "1209600"}
	if fifo {
		end = ".fifo"
		attributes["FifoQueue"] = "true"
	}
	dead = b.queue(name+"-dlq"+end, attributes)
	of := map[string]string{"VisibilityTimeout": "1", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:%s:%s-dlq%s","maxReceiveCount":1}`, sandbox.HomeRegion, sandbox.Account, name, end)}
	if fifo {
		of["FifoQueue"] = "true"
	}
	source = b.queue(name+end, of)
	b.fill(source, n, numbered)
	b.fail(source, dead, n)
	return source, dead
}

// fail receives from the source until its dead-letter queue holds n.
func (b *bench) fail(source, dead string, n int) {
	b.t.Helper()
	for range 40 * (n + 5) {
		_, err := b.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &source, MaxNumberOfMessages: 10})
		if err != nil {
			b.t.Fatal(err)
		}
		b.Advance(1500 * time.Millisecond)
		if visible, _ := b.depth(dead); visible >= n {
			return
		}
	}
	b.t.Fatalf("only %v of %d messages are dead", dead, n)
}

// bodies is what a queue holds, each body as often as it is there, without touching a
// message for long.
func (b *bench) bodies(url string) map[string]int {
	b.t.Helper()
	out := map[string]int{}
	for empty := 0; empty < 2; {
		got, err := b.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 3600,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		if err != nil {
			b.t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			empty++
			continue
		}
		for _, m := range got.Messages {
			out[*m.Body]++
			if strings.HasSuffix(url, ".fifo") { // the next of its group comes when it is gone
				if _, err := b.sqs.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
					b.t.Fatal(err)
				}
			}
		}
	}
	return out
}

func (b *bench) plan(ask ops.Ask) ops.Plan {
	b.t.Helper()
	q := b.describe(string(ask.Queue))
	pile, err := b.desk.Look(context.Background(), q, Look{Limit: 5000, Again: true}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := pile.Release(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	plan, err := b.desk.Plan(context.Background(), ask, pile)
	if err != nil {
		b.t.Fatal(err)
	}
	return plan
}

func (b *bench) apply(plan ops.Plan) ops.Result {
	b.t.Helper()
	o, err := b.desk.Start(context.Background(), plan)
	if err != nil {
		b.t.Fatal(err)
	}
	return o.Wait()
}

func TestRedriveEverythingHome(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		t.Run("fifo "+strconv.FormatBool(fifo), func(t *testing.T) {
			b := redriveBench(t)
			source, dead := b.dead("orders", 137, fifo)
			plan := b.plan(ops.Ask{Verb: ops.Redrive, Queue: ops.ARN(dead[strings.LastIndex(dead, "/")+1:]), Select: ops.Selection{All: true}})
			if plan.Messages() != 137 && !fifo || len(plan.Blockers) > 0 {
				t.Fatalf("%d messages, blockers %q", plan.Messages(), plan.Blockers)
			}
			r := b.apply(plan)
			if r.State != ops.Finished || r.Deleted != plan.Messages() {
				t.Errorf("%s: %+v %v", r.State, r, r.Problem)
			}
			got := b.bodies(source)
			for body, n := range got {
				if n != 1 {
					t.Errorf("%s arrived %d times", body, n)
				}
			}
			if len(got) != plan.Messages() {
				t.Errorf("%d messages arrived, want %d", len(got), plan.Messages())
			}
		})
	}
}

// With a rate the first second brings one message, not a burst; then it climbs.
func TestARateRampsUp(t *testing.T) {
	b := redriveBench(t)
	source, dead := b.dead("orders", 150, false)
	plan := b.plan(ops.Ask{Verb: ops.Redrive, Queue: ops.ARN(queueName(dead)), Select: ops.Selection{All: true}, Pace: ops.Pace{Rate: 40}})
	start := b.Now()
	if r := b.apply(plan); r.State != ops.Finished {
		t.Fatalf("%s: %v", r.State, r.Problem)
	}
	// One, ten, forty and forty: 150 messages cannot be there before the fifth second.
	if took := b.Now().Sub(start); took < 4*time.Second {
		t.Errorf("150 messages at 40 a second took %s", took)
	}
	if got := len(b.bodies(source)); got != 150 {
		t.Errorf("%d messages arrived", got)
	}
}

func TestRamp(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		set   float64
		want  float64
	}{
		{0, 50, 1}, {999 * time.Millisecond, 50, 1}, {time.Second, 50, 10}, {2 * time.Second, 50, 50}, {2 * time.Second, 500, 100}, {3 * time.Second, 500, 500},
		{0, 0.5, 0.5}, {time.Hour, 0.5, 0.5},
	} {
		if got := rampAt(c.after, c.set); got != c.want {
			t.Errorf("after %s of %g a second: %g, want %g", c.after, c.set, got, c.want)
		}
	}
}
