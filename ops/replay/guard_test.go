package replay

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"kxops/ops"
)

// Lanes that all want more than is left of the canary do not wait for each other: what
// goes is never more than the canary, and it is always complete.
func TestACanaryIsCompleteWhateverTheRequestsAre(t *testing.T) {
	for n := 1; n <= 12; n++ {
		o := &Operation{plan: ops.ReplayPlan{Pace: ops.ReplayPace{Canary: 10}}, stop: make(chan struct{})}
		c := newCanary(o, 0, false)
		var lanes sync.WaitGroup
		for range 16 {
			lanes.Go(func() { c.pass(n) })
		}
		<-c.asked
		if c.inAir > 10 || c.inAir+n <= 10 {
			t.Errorf("%d passed in requests of %d", c.inAir, n)
		}
		close(c.open)
		lanes.Wait()
	}
}

// What is throttled while it is a canary's does not keep the gate shut: the watch waits
// for answers, and a throttle is one.
func TestACanaryThatIsThrottledGoesOn(t *testing.T) {
	to := &shelf{random: rand.New(rand.NewPCG(7, 7)), wrong: 0.12}
	on(t, &tape{parts: 2, pages: 10, records: 20, keys: 5}, to)
	d := testDesk(t)
	plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y", Canary: 30})
	plan.Pace.CanaryWait = 0.1
	if err := plan.Seal(); err != nil {
		t.Fatal(err)
	}
	o := started(t, d, plan)
	select {
	case <-o.Done():
	case <-time.After(time.Minute):
		t.Fatalf("it hangs: %+v", o.Progress())
	}
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != r.Counts.Matched {
		t.Errorf("%+v %v", r, r.Problem)
	}
}

// A canary that was interrupted while it was watched is watched again when the replay
// goes on: the rest does not slip past it, and no second canary is sent.
func TestAnInterruptedCanaryIsWatchedAgain(t *testing.T) {
	to := &shelf{random: rand.New(rand.NewPCG(9, 9))}
	on(t, &tape{parts: 2, pages: 10, records: 20, keys: 5}, to)
	d := testDesk(t)
	plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y", Canary: 30})
	plan.Pace.CanaryWait = 3600
	if err := plan.Seal(); err != nil {
		t.Fatal(err)
	}
	watched := func(o *Operation) int64 {
		t.Helper()
		limit := time.After(time.Minute)
		look := time.NewTicker(5 * time.Millisecond)
		defer look.Stop()
		for {
			if p := o.Progress(); p.State == ops.Watching {
				return p.Counts.Sent
			}
			select {
			case <-look.C:
			case <-limit:
				t.Fatalf("nobody watches: %+v", o.Progress())
			}
		}
	}
	o := started(t, d, plan)
	first := watched(o)
	o.Pause()
	if r := o.Wait(); r.State != ops.Paused || r.Counts.Sent != first {
		t.Fatalf("paused: %+v", r)
	}
	o, err := d.Resume(t.Context(), plan.ID)
	if err != nil {
		t.Fatal(err)
	}
	if again := watched(o); first == 0 || first > 30 || again > 30 {
		t.Errorf("%d were sent before the pause, %d after it: the canary is 30", first, again)
	}
	o.Pause()
	if r := o.Wait(); r.Counts.Sent > 30 {
		t.Errorf("%d went past a canary that nobody had watched to its end", r.Counts.Sent)
	}
}
