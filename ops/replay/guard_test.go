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
		c := newCanary(o, 0)
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
	to := &shelf{random: rand.New(rand.NewPCG(7, 7)), wrong: 0.5}
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
