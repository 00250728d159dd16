package replay

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"kxops/ops"
)

// However the rate is turned while it runs, and paused: everything arrives, once.
func TestARateThatIsTurned(t *testing.T) {
	to := &shelf{random: rand.New(rand.NewPCG(1, 1))}
	on(t, &tape{parts: 3, pages: 6, records: 50, keys: 30}, to)
	d := testDesk(t)
	plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y", Lanes: 4})
	o := started(t, d, plan)
	random := rand.New(rand.NewPCG(2, 2))
	for turns := 0; ; turns++ {
		select {
		case <-o.Done():
		default:
			r := 500 + 5000*random.Float64()
			if turns%5 == 4 {
				r = 0
			}
			if turns%20 == 19 {
				o.Pause()
			} else if err := o.SetRate(r); err != nil && !strings.Contains(err.Error(), "does not run") {
				t.Fatal(err)
			}
			continue
		}
		r := o.Wait()
		if r.State == ops.Paused {
			var err error
			if o, err = d.Resume(t.Context(), plan.ID); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if r.State != ops.Finished || r.Counts.Sent != 750 {
			t.Fatalf("%+v %v", r, r.Problem)
		}
		break
	}
	seen := map[string]bool{}
	for _, body := range to.got {
		if seen[body] {
			t.Errorf("%s came twice", body)
		}
		seen[body] = true
	}
	if len(seen) != 750 {
		t.Errorf("%d of 750 arrived", len(seen))
	}
}

// What was slowed down stays so after a pause, until it is set free; never above its plan,
// and not when it is over.
func TestARateIsKept(t *testing.T) {
	to := &shelf{random: rand.New(rand.NewPCG(1, 1))}
	on(t, &tape{parts: 1, pages: 4, records: 20, keys: 20}, to)
	d := testDesk(t)
	plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y", Rate: 2000})
	sent := make(chan bool, 100)
	to.after = func() { sent <- true }
	o := started(t, d, plan)
	if err := o.SetRate(0.05); err != nil {
		t.Fatal(err)
	}
	for _, r := range []float64{-1, 0.001, 2001, 1e9} {
		if err := o.SetRate(r); ops.AsProblem(err) == nil || ops.AsProblem(err).Fault != ops.FaultRefused {
			t.Errorf("%g: %v", r, err)
		}
	}
	o.Pause()
	if r := o.Wait(); r.State != ops.Paused || r.Limit != 0.05 {
		t.Fatalf("%+v", r)
	}
	if err := d.TellRate(plan.ID, 5); err == nil {
		t.Error("what does not run was told")
	}
	o, err := d.Resume(t.Context(), plan.ID)
	if err != nil {
		t.Fatal(err)
	}
	if p := o.Progress(); p.Limit != 0.05 || o.limiter.Limit() != 0.05 {
		t.Errorf("held to %g, by the limiter %g", p.Limit, o.limiter.Limit())
	}
	// Another process sets it free.
	if err := d.TellRate(plan.ID, 3000); err == nil {
		t.Error("above the plan")
	}
	if err := d.TellRate(plan.ID, 0); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(time.Minute); o.limiter.Limit() != 2000; {
		select {
		case <-deadline:
			t.Fatalf("it still allows %g", o.limiter.Limit())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != 80 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	if err := o.SetRate(5); err == nil {
		t.Error("what is over was slowed down")
	}
	if o.limiter.Limit() == rate.Inf {
		t.Error("the plan's own limit is gone")
	}
}
