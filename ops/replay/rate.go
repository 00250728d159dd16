package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"kxops/ops"
)

// A replay may be slowed down while it runs, and set free again: never above what its
// plan allows, because that was shown and agreed to.

// slowestRate is the slowest that a person may ask for, in records a second: slower is a pause.
const slowestRate = 0.01

// SetRate holds the replay to so many records a second from now on, also after a pause;
// 0 is as the plan says. The plan's own limits stay.
func (o *Operation) SetRate(r float64) error {
	if err := checkRate(o.plan, r); err != nil {
		return err
	}
	err := o.log.Append(line{Word: lineRate, At: o.desk.o.Now().UTC(), Rate: &r})
	if errors.Is(err, os.ErrClosed) { // its record is: it is over, or just about to be
		return refused("replay %s does not run: there is nothing to slow down", o.plan.ID)
	}
	if err != nil {
		return o.explained("record the new rate", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = r
	o.setLimit()
	return nil
}

// checkRate refuses what is no rate, and what the plan does not allow.
func checkRate(plan ops.ReplayPlan, r float64) error {
	if r != 0 && !(r >= slowestRate && r <= 1e6) {
		return refused("a rate is %g to 1000000 records a second, or 0: as planned", slowestRate)
	}
	if most := plan.Pace.Rate; most > 0 && r > most {
		return refused("the plan allows %g records a second at most, and that was agreed to: a new plan allows more", most)
	}
	return nil
}

// setLimit sets the limiter to the least of what plan, person and headroom allow. Call it
// under the lock.
func (o *Operation) setLimit() {
	defer func() {
		close(o.turned)
		o.turned = make(chan struct{})
	}()
	allowed := math.Inf(1)
	for _, r := range []float64{o.plan.Pace.Rate, o.asked, o.headroom.now()} {
		if r > 0 {
			allowed = min(allowed, r)
		}
	}
	if math.IsInf(allowed, 1) {
		o.limiter.SetLimit(rate.Inf)
		return
	}
	o.limiter.SetBurst(burstOf(allowed, o.limits))
	o.limiter.SetLimit(rate.Limit(allowed))
}

// inTime waits until n records may go by the limiter. Who waits under an old rate begins
// again under the new one.
func (o *Operation) inTime(ctx context.Context, n int) bool {
	for n > 0 {
		o.mu.Lock()
		turned := o.turned
		o.mu.Unlock()
		some := min(n, max(1, o.limiter.Burst()))
		r := o.limiter.ReserveN(time.Now(), some)
		if !r.OK() { // it was set lower between two lines
			if o.stopping() || ctx.Err() != nil {
				return false
			}
			continue
		}
		again, ok := waitTurned(ctx, o.stop, turned, r.Delay())
		if again || !ok {
			r.Cancel()
		}
		switch {
		case !ok:
			return false
		case !again:
			n -= some
		}
	}
	return true
}

// waitTurned waits; again: something has turned meanwhile; not ok: the replay ends.
func waitTurned(ctx context.Context, stop, turned <-chan struct{}, d time.Duration) (again, ok bool) {
	if d <= 0 {
		return false, true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false, true
	case <-turned:
		return true, true
	case <-stop:
	case <-ctx.Done():
	}
	return false, false
}

// The word of the control file that sets the rate, before a number.
const controlRate = "rate"

// TellRate sets the rate of a replay that another process of this machine runs; 0 is as
// its plan says.
func (d *Desk) TellRate(id string, r float64) error {
	s, err := d.stateOf(id)
	if err != nil {
		return err
	}
	if err := checkRate(s.plan, r); err != nil {
		return err
	}
	held, err := d.held(s.plan)
	if err != nil {
		return err
	}
	if s.end != nil || !held {
		return refused("replay %s does not run: there is nothing to slow down", id)
	}
	return writeControl(replayDirectory(d.o.Journal.Directory(), id), controlRate+" "+strconv.FormatFloat(r, 'g', -1, 64))
}

// obeyRate does what another process wants, and says why not.
func (o *Operation) obeyRate(text string) {
	r, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err == nil {
		err = o.SetRate(r)
	}
	if err != nil {
		o.mu.Lock()
		o.note = fmt.Sprintf("the rate stays as it is: %s", ops.AsProblem(err).What)
		o.mu.Unlock()
	}
}
