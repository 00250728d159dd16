package dlq

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"kxops/ops"
)

// canarySizes are the stages before everything goes: slow start as AWS advises for
// redrive velocity, with a look at what comes back after each.
var canarySizes = []int{1, 10, 100}

const everything = int(^uint(0) >> 2)

// stage is one part of an operation.
type stage struct {
	name     string
	messages int // that may be sent in it
	rate     float64
	watch    time.Duration // for returns, after it
}

// stagesOf are the stages that are left. What was sent before an interruption
// counts towards the canary.
func stagesOf(p ops.Plan, c counts) []stage {
	var out []stage
	done, from := c.sent+c.deleted+c.rejected+c.unknown, 0
	wait := time.Duration(p.Pace.CanaryWait * float64(time.Second))
	if p.Pace.Canary {
		for _, n := range canarySizes {
			from += n
			if from >= p.Messages() {
				break
			}
			if done >= from {
				if done == from { // interrupted before, or while, it was watched
					out = append(out, stage{name: fmt.Sprintf("canary: %d of %d", from, p.Messages()), rate: p.Pace.Rate, watch: wait})
				}
				continue
			}
			out = append(out, stage{name: fmt.Sprintf("canary: %d of %d", from, p.Messages()), messages: from - done, rate: p.Pace.Rate, watch: wait})
			done = from
		}
	}
	name := "all"
	if p.Pace.Rate > 0 {
		name = fmt.Sprintf("all, at %g a second", p.Pace.Rate)
	}
	return append(out, stage{name: name, messages: everything, rate: p.Pace.Rate, watch: time.Duration(p.Pace.Watch * float64(time.Second))})
}

// limiter is the stage's rate, nil for none. It starts empty: the first second is
// not a burst.
func (s stage) limiter(now time.Time) *rate.Limiter {
	if s.rate <= 0 {
		return nil
	}
	l := rate.NewLimiter(rate.Limit(rampAt(0, s.rate)), ops.MaxBatchEntries)
	l.ReserveN(now, ops.MaxBatchEntries)
	return l
}

// rampAt is the rate after so long: 1 a second in the first, 10 in the second, 100
// in the third, then what was set. A consumer that has slept has to wake up.
func rampAt(after time.Duration, set float64) float64 {
	ramp := 1.0
	for range min(int(after/time.Second), len(canarySizes)) {
		ramp *= 10
	}
	if int(after/time.Second) >= len(canarySizes) {
		return set
	}
	return min(ramp, set)
}

// watch looks for messages that come back, until the stage's time is over.
func (r *redriver) watch(ctx context.Context, s stage) error {
	end := r.now().Add(s.watch)
	r.o.set(func() { r.o.state, r.o.until = ops.Watching, end })
	defer r.o.set(func() { r.o.state, r.o.until = running(r.o.state), time.Time{} })
	for r.o.goes() && r.now().Before(end) {
		got, err := r.poll(ctx)
		if err != nil {
			return err
		}
		if err := r.remove(ctx, r.sort(got)); err != nil {
			return err
		}
		r.mu.Lock()
		err = r.err // of what sort wrote
		r.mu.Unlock()
		if err != nil {
			return err
		}
		if len(got) == 0 && !r.o.sleep(min(time.Second, end.Sub(r.now()))) {
			break
		}
	}
	return nil
}

// judge halts the operation when too many messages fail again.
func (r *redriver) judge() {
	if !r.plan.Pace.Canary {
		return
	}
	r.mu.Lock()
	unanswered := r.unanswered // not those of an earlier run: an interruption is not the target's fault
	r.mu.Unlock()
	c := r.record.counts()
	tried, bad := c.sent+c.deleted+c.rejected+unanswered, c.returned+c.rejected+unanswered
	if tried == 0 || float64(bad)/float64(tried) <= r.plan.Pace.MaxReturns {
		return
	}
	also := ""
	if unanswered > 0 {
		also = fmt.Sprintf(", %d got no answer", unanswered)
	}
	r.o.halt(fmt.Sprintf("halted: %d of %d messages failed again (%d came back, %d were refused%s), more than %g %%",
		bad, tried, c.returned, c.rejected, also, 100*r.plan.Pace.MaxReturns))
}
