package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kxops/labs/sandbox"
	"kxops/ops"
)

func here(service, name string) ops.ARN {
	return ops.ARN("arn:aws:" + service + ":" + sandbox.HomeRegion + ":" + sandbox.Account + ":" + name)
}

// worker makes a function that reads the queue "again", and its arrow.
func (w *world) worker() []ops.Link {
	w.Helper()
	code, name := lambda.NewFromConfig(w.sb.Config()), aws.String("worker")
	_, err := code.CreateFunction(w.Context(), &lambda.CreateFunctionInput{FunctionName: name, Role: aws.String("arn:aws:iam::" + sandbox.Account + ":role/worker"),
		Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Code: &lambdatypes.FunctionCode{ZipFile: []byte("x")}, Timeout: aws.Int32(3)})
	w.must(err)
	_, err = code.CreateEventSourceMapping(w.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: name, EventSourceArn: aws.String(string(here("sqs", "again")))})
	w.must(err)
	w.sb.Advance(2 * time.Minute)
	return []ops.Link{{From: here("sqs", "again"), To: here("lambda", "function:worker"), Kind: ops.LinkTriggers}}
}

// old puts events into a stream and makes them old.
func (w *world) old(n int) {
	w.stream("orders", 1)
	for i := range n {
		w.put("orders", "c", i)
	}
	w.sb.Advance(10 * time.Minute)
}

// A function behind the target that begins to fail halts the replay in the middle, with its
// numbers; when it is mended, resuming sends the rest and is not halted by the old errors.
func TestAFunctionThatBeginsToFailHaltsTheReplay(t *testing.T) {
	w := newWorld(t)
	w.desk.watches = 20 * time.Millisecond
	w.old(900)
	url := w.queue("again")
	links := w.worker()
	var seen atomic.Int64
	var broken atomic.Bool
	w.sb.Handler("worker", func(_ context.Context, payload []byte) ([]byte, error) {
		if n := seen.Add(int64(strings.Count(string(payload), `"messageId"`))); n > 150 && broken.Load() {
			return nil, errors.New("it is full")
		}
		return nil, nil
	})
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Order: OrderNone, Links: links, Canary: 50, Rate: 150})
	var kinds []string
	for _, g := range plan.Guards {
		kinds = append(kinds, g.What+" "+g.ARN.Name())
	}
	if diff := cmp.Diff([]string{"errors worker", "lag again"}, kinds); diff != "" || plan.Pace.CanaryMost != canaryMost || plan.Guards[0].Most != errorsAllowed {
		t.Fatalf("%s %+v", diff, plan)
	}
	if s := plan.Guards[0].String(); s != "halts when more than 5 % of the calls of worker fail (now unknown)" {
		t.Error(s)
	}
	plan.Pace.CanaryWait = 0.1
	w.must(plan.Seal())
	broken.Store(true)
	w.ticking()
	r := started(t, w.desk, plan).Wait()
	if r.State != ops.Halted || r.Counts.Sent < 150 || r.Counts.Sent >= 900 || !strings.Contains(r.Note, "calls of worker failed since") || !strings.Contains(r.Note, "the plan allows 5 %") {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	broken.Store(false)
	w.sb.Advance(5 * time.Minute)
	o, err := w.desk.Resume(t.Context(), plan.ID)
	w.must(err)
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != 900 {
		t.Fatalf("resumed: %+v %v", r, r.Problem)
	}
	w.sb.Advance(10 * time.Minute)
	if left, _ := w.drain(url); len(left) > 0 || seen.Load() < 900 {
		t.Errorf("%d are left, the function saw %d", len(left), seen.Load())
	}
}

// Consumers that fall behind by more than the plan allows halt the replay.
func TestConsumersThatLagHaltTheReplay(t *testing.T) {
	w := newWorld(t)
	w.desk.watches = 20 * time.Millisecond
	w.old(900)
	w.queue("again")
	links := []ops.Link{{From: here("sqs", "again"), To: here("lambda", "function:gone"), Kind: ops.LinkTriggers}} // it reads nothing
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Order: OrderNone, Links: links, Canary: -1, Rate: 100, Lag: 120})
	if s := plan.Guards[1].String(); s != "halts when again is more than 2m behind (now unknown)" {
		t.Error(s)
	}
	w.ticking()
	r := started(t, w.desk, plan).Wait()
	if r.State != ops.Halted || r.Counts.Sent == 900 || !strings.Contains(r.Note, "again is ") || !strings.Contains(r.Note, "behind, and the plan allows 2m") {
		t.Fatalf("%+v %v", r, r.Problem)
	}
}

// What is not known is never taken for fine: the canary waits for the first numbers, at
// most as long as the plan says, and the result says of whom there were none.
func TestACanaryWaitsForNumbersThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	w.desk.watches = 20 * time.Millisecond
	w.old(60)
	w.queue("again")
	links := []ops.Link{{From: here("sqs", "again"), To: here("lambda", "function:silent"), Kind: ops.LinkTriggers}}
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Order: OrderNone, Links: links, Canary: 10})
	plan.Pace.CanaryWait, plan.Pace.CanaryMost = 0.05, 3600
	w.must(plan.Seal())
	o := started(t, w.desk, plan)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for p := o.Progress(); !strings.Contains(p.Note, "waiting for the first numbers of silent, again"); p = o.Progress() {
		select {
		case <-look.C:
		case <-o.Done():
			t.Fatalf("it went on: %+v", o.Wait())
		}
	}
	if p := o.Progress(); p.State != ops.Watching || p.Counts.Sent != 10 {
		t.Errorf("%+v", p)
	}
	o.Pause()
	r := o.Wait()
	if want := "how silent, again did with it is not known"; r.State != ops.Paused || !strings.Contains(fmt.Sprint(r.Next), want) {
		t.Errorf("%+v", r)
	}
}

// The numbers of guards: what has no points has no number, and one that goes on after
// a halt leaves out the minute in which that was.
func TestNumbersOfGuards(t *testing.T) {
	at := time.Date(2026, 11, 17, 8, 0, 30, 0, time.UTC)
	known := func(v float64) ops.Reading { return ops.Know(v, at) }
	for name, c := range map[string]struct {
		errors, calls []float64
		want          ops.Reading
	}{
		"some":             {[]float64{1, 2}, []float64{10, 20}, known(0.1)},
		"none fail":        {[]float64{0}, []float64{5}, known(0)},
		"nothing at all":   {nil, nil, ops.Missing(ops.NoData)},
		"calls only":       {nil, []float64{5}, ops.Missing(ops.NoData)},
		"was not called":   {[]float64{0}, []float64{0}, ops.Missing(ops.NoData)},
		"errors by itself": {[]float64{3}, nil, ops.Missing(ops.NoData)},
	} {
		if diff := cmp.Diff(c.want, shareOf(c.errors, c.calls, at).now, cmp.AllowUnexported(ops.Reading{}), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	worker1, again := ops.ReplayGuard{ARN: here("lambda", "function:worker"), What: ops.GuardErrors, Most: 0.05}, ops.ReplayGuard{ARN: here("sqs", "again"), What: ops.GuardLag, Most: 60}
	iterator := ops.ReplayGuard{ARN: here("lambda", "function:worker"), What: ops.GuardLag, Most: 60}
	fresh, stale := []time.Time{at.Add(-time.Minute)}, []time.Time{at.Add(-time.Hour)}
	for name, c := range map[string]struct {
		g    ops.ReplayGuard
		n    gauge
		over bool
	}{
		"one call of two is no share":   {worker1, shareOf([]float64{1}, []float64{2}, at), false},
		"three of four":                 {worker1, shareOf([]float64{3}, []float64{4}, at), true},
		"three of a hundred":            {worker1, shareOf([]float64{3}, []float64{100}, at), false},
		"errors that are not known":     {worker1, shareOf(nil, []float64{100}, at), false},
		"a queue is measured in s":      {again, gauge{now: lagOf(again, []float64{61, 1}, fresh, at)}, true},
		"its newest point counts":       {again, gauge{now: lagOf(again, []float64{59, 900}, fresh, at)}, false},
		"an iterator is measured in ms": {iterator, gauge{now: lagOf(iterator, []float64{59_000}, fresh, at)}, false},
		"… and is behind":               {iterator, gauge{now: lagOf(iterator, []float64{61_000}, fresh, at)}, true},
		"an old point tells nothing":    {iterator, gauge{now: lagOf(iterator, []float64{61_000}, stale, at)}, false},
	} {
		if got := c.n.over(c.g); got != c.over {
			t.Errorf("%s: %v", name, got)
		}
	}
	if r := lagOf(iterator, []float64{1}, stale, at); r.Why() != ops.NoData {
		t.Errorf("an old point: %+v", r)
	}
	if a, b := watchFrom(at, false).since, watchFrom(at, true).since; !a.Equal(at.Truncate(time.Minute)) || !b.Equal(a.Add(time.Minute)) {
		t.Errorf("%v %v", a, b)
	}

	stream, queue, reader, worker := here("kinesis", "stream/s"), here("sqs", "q"), here("lambda", "function:reader"), here("lambda", "function:worker")
	links := []ops.Link{
		{From: stream, To: reader, Kind: ops.LinkConsumes}, {From: stream, To: here("kinesis", "consumer/x"), Kind: ops.LinkConsumes}, {From: reader, To: queue, Kind: ops.LinkOnSuccess},
		{From: queue, To: worker, Kind: ops.LinkTriggers}, {From: worker, To: here("sqs", "dead"), Kind: ops.LinkDeadLetter},
	}
	of := func(from ops.ARN) (out []string) {
		plan := &ops.ReplayPlan{From: ops.ReplayEnd{Kind: ops.KindStream, ARN: from}, To: ops.ReplayEnd{Kind: ops.KindStream, ARN: stream}}
		for _, g := range downstream(plan, links) {
			out = append(out, g.What+" "+g.ARN.Name())
		}
		return out
	}
	if diff := cmp.Diff([]string{"errors reader", "lag reader", "lag s", "errors worker", "lag q"}, of(here("kinesis", "stream/other"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"errors reader", "lag reader", "errors worker", "lag q"}, of(stream)); diff != "" {
		t.Errorf("its own reading of old records would show: %s", diff)
	}
}
