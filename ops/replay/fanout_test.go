package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// registered are the names of a stream's consumers. One that is being removed needs time.
func (w *world) registered(stream string) (names []string) {
	w.Helper()
	w.sb.Advance(2 * time.Minute)
	d, err := w.kinesis.DescribeStreamSummary(w.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
	w.must(err)
	out, err := w.kinesis.ListStreamConsumers(w.Context(), &kinesis.ListStreamConsumersInput{StreamARN: d.StreamDescriptionSummary.StreamARN})
	w.must(err)
	for _, c := range out.Consumers {
		names = append(names, *c.ConsumerName)
	}
	return names
}

// Pushed instead of polled: over a split, subscriptions that break and pauses, every
// record arrives once, those of a key in their order, and the consumer is gone whenever
// nobody reads.
func TestAReplayByFanOut(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 2)
	w.stream("again", 3)
	want := map[string][]string{}
	put := func(from, n int) {
		for i := from; i < from+n; i++ {
			key := fmt.Sprintf("c%d", i%7)
			want[key] = append(want[key], w.put("orders", key, i))
		}
		w.sb.Advance(time.Minute)
	}
	put(0, 150)
	_, err := w.kinesis.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("orders"), ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("85070591730234615865843651857942052864")})
	w.must(err)
	w.sb.Advance(time.Minute)
	put(150, 150)
	w.sb.Advance(10 * time.Minute)
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "stream:again", Lanes: 4, Rate: 400, FanOut: true})
	if says := strings.Join(plan.Warnings, "\n"); strings.Contains(says, "IteratorAge") || !strings.Contains(factOf(plan, "read by"), plan.FanOut) {
		t.Errorf("%q %q", says, factOf(plan, "read by"))
	}
	if plan.Estimate.USD < 4*ops.PricePerFanOutHour {
		t.Errorf("planned $%g", plan.Estimate.USD)
	}
	if names := w.registered("orders"); names != nil {
		t.Errorf("planning registered %q", names)
	}
	faults := []sandbox.Fault{
		{Kind: sandbox.ServerError, Service: "kinesis", Operation: "SubscribeToShardEvent", Percent: 15},
		{Kind: sandbox.ResetAfter, Service: "kinesis", Operation: "RegisterStreamConsumer", Percent: 50},
	}
	w.sb.SetFaults(faults...)
	w.ticking()
	o := started(t, w.desk, plan)
	w.sb.SetFaults(append(faults, sandbox.Fault{Kind: sandbox.DeniedAction, Service: "kinesis", Operation: "GetRecords"})...) // it does not poll
	for o.Progress().Counts.Sent < 30 {
		select {
		case <-o.Done():
			t.Fatalf("%+v", o.Wait())
		case <-time.After(time.Millisecond):
		}
	}
	o.Pause()
	if r := o.Wait(); r.State != ops.Paused || r.Counts.Sent >= 300 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	if names := w.registered("orders"); names != nil {
		t.Errorf("after the pause %q are registered", names)
	}
	w.sb.SetFaults(faults...)
	o, err = w.desk.Resume(t.Context(), plan.ID)
	w.must(err)
	r := o.Wait()
	w.sb.SetFaults()
	if r.State != ops.Finished || r.Counts.Sent != 300 || len(r.Next) != 1 {
		t.Fatalf("%+v %v %q", r.Counts, r.Problem, r.Next)
	}
	if names := w.registered("orders"); names != nil {
		t.Errorf("at the end %q are registered", names)
	}
	if diff := cmp.Diff(want, w.shelved("again")); diff != "" && r.Bound == 0 {
		t.Error(diff)
	}
	w.proven(plan.ID)
}

// What was killed leaves its consumer: it is said, and cancelling removes it. One that
// cannot be removed is said too.
func TestAConsumerThatIsLeft(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	w.put("orders", "c", 1)
	w.sb.Advance(10 * time.Minute)
	w.ticking()
	ask := ops.ReplayAsk{From: "stream:orders", To: "null:", FanOut: true}
	plan := w.plan(ask)
	log, err := w.desk.o.Journal.Begin(plan.ID)
	w.must(err)
	w.must(begin(log, plan, w.sb.Now()))
	w.must(log.Close())
	w.must(w.desk.register(t.Context(), plan)) // and here it was killed
	past, err := w.desk.Show(plan.ID)
	w.must(err)
	if !strings.Contains(past.Progress.Note, "may still be registered") {
		t.Errorf("%q", past.Progress.Note)
	}
	if err := w.desk.Tell(plan.ID, true); err != nil {
		t.Fatal(err)
	}
	if names := w.registered("orders"); names != nil {
		t.Errorf("%q are registered", names)
	}

	plan = w.plan(ask)
	w.sb.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "kinesis", Operation: "DeregisterStreamConsumer"})
	r := started(t, w.desk, plan).Wait()
	w.sb.SetFaults()
	if r.State != ops.Finished || !strings.Contains(strings.Join(r.Next, "\n"), "deregister-stream-consumer --stream-arn arn:aws:kinesis:") {
		t.Errorf("%+v %q", r, r.Next)
	}
	w.must(w.desk.deregister(t.Context(), plan))
}

// A stream that has all the consumers it can have takes no other; nothing else has them.
func TestNoRoomForAConsumer(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	w.put("orders", "c", 1)
	d, err := w.kinesis.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("orders")})
	w.must(err)
	for n := range mostConsumers {
		_, err := w.kinesis.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: d.StreamDescriptionSummary.StreamARN, ConsumerName: aws.String(fmt.Sprint("other-", n))})
		w.must(err)
		w.sb.Advance(time.Minute)
	}
	w.sb.Advance(10 * time.Minute)
	if plan := planOf(t, w.desk, ops.ReplayAsk{From: "stream:orders", To: "null:", FanOut: true}); len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "20 registered consumers") {
		t.Errorf("%q", plan.Blockers)
	}
	if _, _, err := w.desk.Plan(t.Context(), ops.ReplayAsk{From: "archive:b/", To: "null:", FanOut: true}); err == nil || !strings.Contains(err.Error(), "only a stream has registered consumers") {
		t.Errorf("%v", err)
	}
}
