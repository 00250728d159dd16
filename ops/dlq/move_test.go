package dlq

import (
	"context"
	"strings"
	"testing"
	"time"

	"kxops/labs/sandbox"
	"kxops/ops"
)

func TestMoveTask(t *testing.T) {
	b := redriveBench(t)
	source, dead := b.dead("orders", 60, false)
	b.SetFaults(sandbox.Fault{Kind: sandbox.CountLag, Service: "sqs", Operation: "GetQueueAttributes"})
	plan := b.plan(ops.Ask{Verb: ops.Move, Queue: queueOf(dead), Native: true, Pace: ops.Pace{Rate: 20}})
	if len(plan.Blockers) > 0 || plan.Confirm == "" {
		t.Fatalf("blockers %q, confirm %q", plan.Blockers, plan.Confirm)
	}
	o, err := b.desk.Start(context.Background(), plan)
	if err != nil {
		t.Fatal(err)
	}
	r := o.Wait()
	if r.State != ops.Finished || !strings.Contains(r.Note, "60 moved of 60") {
		t.Fatalf("%s: %s %v", r.State, r.Note, r.Problem)
	}
	b.SetFaults()
	if got := b.bodies(source); len(got) != 60 {
		t.Errorf("%d messages arrived", len(got))
	}
	lines, _, err := b.desk.o.Journal.ReadLog(plan.ID)
	if err != nil || !strings.Contains(string(lines[len(lines)-2]), `"is":"task"`) || !strings.Contains(string(lines[len(lines)-2]), `"new":"`) {
		t.Errorf("the handle is not in the record: %s %v", lines, err)
	}
}

func TestNeverMoreMovedThanTheDepthAllows(t *testing.T) {
	at := time.Unix(1, 0)
	for _, c := range []struct{ said, before, depth, want float64 }{{10, 60, 55, 5}, {0, 60, 40, 0}, {10, 60, 70, 0}, {10, 60, 50, 10}} {
		if got := movedAtLeast(c.said, c.before, ops.Know(c.depth, at)); got != c.want {
			t.Errorf("said %v, depth %v -> %v: %v moved, want %v", c.said, c.before, c.depth, got, c.want)
		}
	}
}

func TestMoveIsRefused(t *testing.T) {
	b := redriveBench(t)
	_, dead := b.dead("orders", 3, false)
	plain := b.queue("plain", nil)
	b.fill(plain, 1, numbered)
	fifo := b.queue("to.fifo", map[string]string{"FifoQueue": "true"})
	for _, c := range []struct {
		queue, to, words string
		rate             float64
	}{
		{plain, "", "no", 0}, {dead, string(queueOf(fifo)), "one type", 0}, {dead, "topic:x", "queues only", 0}, {dead, "", "at most 500", 501},
	} {
		plan := b.plan(ops.Ask{Verb: ops.Move, Queue: queueOf(c.queue), To: c.to, Pace: ops.Pace{Rate: c.rate}})
		if !strings.Contains(strings.Join(plan.Blockers, "; "), c.words) {
			t.Errorf("%s to %q: blockers %q, want %q", c.queue, c.to, plan.Blockers, c.words)
		}
		if _, err := b.desk.Start(context.Background(), plan); err == nil {
			t.Error("a blocked plan was started")
		}
	}
}

// The program dies after SQS took the request: resuming finds the task and does
// not start another.
func TestResumeFindsTheTask(t *testing.T) {
	b := redriveBench(t)
	_, dead := b.dead("orders", 40, false)
	plan := b.plan(ops.Ask{Verb: ops.Move, Queue: queueOf(dead), Pace: ops.Pace{Rate: 5}})
	b.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "sqs", Operation: "StartMessageMoveTask"}, sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs", Operation: "ListMessageMoveTasks"})
	if r := b.apply(plan); r.State != ops.Broken {
		t.Fatalf("%s: %s", r.State, r.Note)
	}
	b.SetFaults()
	o, err := b.desk.Resume(context.Background(), plan.ID)
	if err != nil {
		t.Fatal(err)
	}
	if r := o.Wait(); r.State != ops.Finished {
		t.Errorf("%s: %s %v", r.State, r.Note, r.Problem)
	}
	tasks, err := b.desk.Tasks(context.Background(), b.describe(string(queueOf(dead))))
	if err != nil || len(tasks) != 1 {
		t.Errorf("%d tasks, want the one, %v", len(tasks), err)
	}
}

func TestCancelledMove(t *testing.T) {
	b := redriveBench(t)
	_, dead := b.dead("orders", 50, false)
	o, err := b.desk.Start(context.Background(), b.plan(ops.Ask{Verb: ops.Move, Queue: queueOf(dead), Pace: ops.Pace{Rate: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	o.Cancel()
	if r := o.Wait(); r.State != ops.Cancelled {
		t.Errorf("%s: %s %v", r.State, r.Note, r.Problem)
	}
}

func TestRetention(t *testing.T) {
	b := redriveBench(t)
	dead := b.queue("a-dlq", map[string]string{"MessageRetentionPeriod": "86400"})
	b.fill(dead, 1, numbered)
	plan := b.plan(ops.Ask{Verb: ops.Retention, Queue: queueOf(dead)})
	if len(plan.Blockers) > 0 {
		t.Fatalf("%q", plan.Blockers)
	}
	if r := b.apply(plan); r.State != ops.Finished {
		t.Fatalf("%s %v", r.State, r.Problem)
	}
	if q := b.describe(string(queueOf(dead))); q.Retention != ops.MaxRetention {
		t.Errorf("retention %s", q.Retention)
	}
	for _, keep := range []time.Duration{time.Hour, ops.MaxRetention, 15 * 24 * time.Hour} {
		if plan := b.plan(ops.Ask{Verb: ops.Retention, Queue: queueOf(dead), Keep: keep}); len(plan.Blockers) != 1 {
			t.Errorf("%s: blockers %q", keep, plan.Blockers)
		}
	}
}

// As above, but the task is over when somebody resumes: it is reported, and no
// second one is started.
func TestResumeFindsTheTaskThatIsOver(t *testing.T) {
	b := redriveBench(t)
	source, dead := b.dead("orders", 10, false)
	other := b.queue("other", nil)
	plan := b.plan(ops.Ask{Verb: ops.Move, Queue: queueOf(dead), To: "queue:other"})
	b.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "sqs", Operation: "StartMessageMoveTask"}, sandbox.Fault{Kind: sandbox.Expired, Service: "sqs", Operation: "ListMessageMoveTasks"})
	o, err := b.desk.Start(context.Background(), plan)
	if err == nil {
		t.Fatalf("started although the tasks cannot be listed: %+v", o.Wait())
	}
	b.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "sqs", Operation: "StartMessageMoveTask"}, sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs", Operation: "ListMessageMoveTasks"})
	plan = b.plan(ops.Ask{Verb: ops.Move, Queue: queueOf(dead), To: "queue:other"})
	if r := b.apply(plan); r.State != ops.Broken {
		t.Fatalf("%s: %s", r.State, r.Note)
	}
	b.SetFaults()
	if o, err = b.desk.Resume(context.Background(), plan.ID); err != nil {
		t.Fatal(err)
	}
	o.Wait()
	b.fill(dead, 1, numbered)
	if o, err = b.desk.Resume(context.Background(), plan.ID); err != nil {
		t.Fatal(err)
	}
	if r := o.Wait(); r.State != ops.Finished {
		t.Errorf("%s: %s %v", r.State, r.Note, r.Problem)
	}
	if tasks, err := b.desk.Tasks(context.Background(), b.describe(string(queueOf(dead)))); err != nil || len(tasks) > 1 {
		t.Errorf("%d tasks, want one, %v", len(tasks), err)
	}
	if got := b.bodies(other); len(got) != 10 {
		t.Errorf("%d messages at the destination", len(got))
	}
	if got := b.bodies(source); len(got) != 0 {
		t.Errorf("%d messages went home instead", len(got))
	}
}
