package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"kxops/ops"
)

const (
	firstBackoff = 50 * time.Millisecond
	mostBackoff  = 5 * time.Second
	// unsureMost is how often a request is repeated whose answers are lost, before the
	// replay stops: each repetition may double its records.
	unsureMost = 5
	// busyMost is how many answers in a row ask to slow down before the replay stops; with
	// the backoff that is eight minutes without a record taken.
	busyMost = 100
	// scanMost is how far behind its head a lane looks for records of other keys, in
	// requests: one key that fills the lane must not make each take a walk over all of it.
	scanMost = 4
	// A lane that was idle has no rate to go by: it is not held back below these, in
	// records a second.
	leastPeak = 100
	leastRate = 5
)

// item is a record on its way.
type item struct {
	Parcel
	page   *page
	record Record
	n      int64 // its place in the part
	size   int
	lost   int       // answers that were: so often it may be there already
	when   time.Time // its arrival, for the pace: see pacer.order
}

// lane sends its records one request after the other. Records of one key are always
// in the same lane, and in one request only where the target keeps their order.
type lane struct {
	run *Operation

	mu      sync.Mutex
	more    sync.Cond
	waiting []*item
	closed  bool // nothing more comes
	sent    int64
	slowed  int64
	allowed *rate.Limiter // nil: not held back
	peak    float64       // records a second when it was first slowed down
	since   time.Time     // of counting for it
	counted int64
}

func newLane(o *Operation) *lane {
	l := &lane{run: o, since: time.Now()}
	l.more.L = &l.mu
	return l
}

func (l *lane) put(items []*item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run.pacer == nil {
		l.waiting = append(l.waiting, items...)
	} else { // parts come side by side: what arrived first goes first
		for _, it := range items {
			at := sort.Search(len(l.waiting), func(i int) bool { return l.waiting[i].when.After(it.when) })
			l.waiting = slices.Insert(l.waiting, at, it)
		}
		l.run.pacer.holds(l, l.waiting[0].when)
	}
	l.more.Signal()
}

func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.more.Broadcast()
}

// take is the next request's records; none when the lane is over.
func (l *lane) take(lim Limits, strict bool, most int) []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.due() {
		batch, wait := l.pick(lim, strict, most)
		if len(batch) > 0 {
			return batch
		}
		stop := l.run.desk.clock.after(wait, l.knock) // its shards are all held back
		l.more.Wait()
		stop()
	}
	return nil
}

// pick takes the next request's records out of those that wait. There are none where all
// that may come next go to shards that are held back, and for how long. Call it under the lock.
func (l *lane) pick(lim Limits, strict bool, most int) (batch []*item, wait time.Duration) {
	n, bytes := 0, 0
	full := func(i *item) bool {
		return !l.run.pacer.isDue(i.when) && n > 0 || lim.Records > 0 && n >= lim.Records || most > 0 && n >= most || lim.Bytes > 0 && n > 0 && bytes+i.size > lim.Bytes
	}
	shards := l.run.brakes
	if lim.Ordered || !strict && shards == nil {
		for n < len(l.waiting) && !full(l.waiting[n]) {
			bytes += l.waiting[n].size
			n++
		}
		batch = l.waiting[:n:n]
		l.waiting = l.waiting[n:]
		return batch, 0
	}
	// One record of each key: what is behind another of its key stays where it is.
	var rest []*item
	keys := map[string]bool{}
	reach := min(len(l.waiting), scanMost*max(lim.Records, 1))
	for at, i := range l.waiting[:reach] {
		if full(i) {
			reach = at
			break
		}
		if strict && i.Key != "" && keys[i.Key] { // without a key there is no order to keep
			rest = append(rest, i)
			continue
		}
		keys[i.Key] = true
		if held := shards.holds(i.Parcel); held > 0 { // others go on; those of its key stay behind it
			if rest = append(rest, i); wait == 0 || held < wait {
				wait = held
			}
			continue
		}
		batch = append(batch, i)
		bytes += i.size
		n++
	}
	l.waiting = l.waiting[reach-len(rest):] // what is left moves up to what was passed over
	copy(l.waiting, rest)
	return batch, wait
}

// due waits for a record whose time has come. It reports false when the lane is over.
// Call it under the lock.
func (l *lane) due() bool {
	p := l.run.pacer
	for {
		if l.run.stopping() || l.closed && len(l.waiting) == 0 {
			p.gone(l)
			return false
		}
		if len(l.waiting) == 0 {
			p.gone(l)
			l.more.Wait()
			continue
		}
		if p == nil {
			return true
		}
		wait, known := p.until(l, l.waiting[0].when)
		switch {
		case !known:
			l.more.Wait()
		case wait > 0:
			stop := p.clock.after(wait, l.knock)
			l.more.Wait()
			stop()
		default:
			return true
		}
	}
}

// knock makes the lane look again.
func (l *lane) knock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.more.Broadcast()
}

// back puts records that were not taken at the head again, in their order.
func (l *lane) back(items []*item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run.pacer == nil {
		l.waiting = append(append(make([]*item, 0, len(items)+len(l.waiting)), items...), l.waiting...)
		return
	}
	for _, it := range slices.Backward(items) { // what came meanwhile may have arrived before
		at := sort.Search(len(l.waiting), func(i int) bool { return !l.waiting[i].when.Before(it.when) })
		l.waiting = slices.Insert(l.waiting, at, it)
	}
}

// work sends until the lane is over. An error ends the replay.
func (l *lane) work(ctx context.Context) error {
	lim := l.run.target.limits()
	strict := l.run.plan.Pace.Order != OrderNone
	busy, unsure := 0, 0
	for {
		batch := l.take(lim, strict, l.run.most())
		if len(batch) == 0 {
			return nil
		}
		l.run.pacer.sends(l, batch[len(batch)-1].when)
		if !l.run.permit(ctx, len(batch)) || !l.wait(ctx, len(batch)) {
			l.back(batch)
			continue // it is stopping: take says so
		}
		again, throttled, named, lost, err := l.send(ctx, batch)
		l.run.gate.landed(len(batch))
		if err != nil {
			l.back(again)
			return err
		}
		if throttled > 0 && throttled == named { // the shards that said so are held back, and nothing else
			l.mu.Lock()
			l.slowed++
			l.mu.Unlock()
		} else if throttled > 0 {
			l.slow(float64(throttled) / float64(len(batch)))
		} else if len(again) == 0 {
			l.faster()
		}
		switch {
		case len(again) < len(batch): // some of it went through
			busy, unsure = 0, 0
		case lost > 0:
			unsure++
		default:
			busy, unsure = busy+1, 0
		}
		if len(again) == 0 {
			continue
		}
		l.back(again)
		if unsure >= unsureMost {
			return &ops.Problem{Fault: ops.FaultUnreachable, What: fmt.Sprintf("%s did not answer %d times in a row; %d records may be there or not, and resuming sends them again",
				l.run.plan.To.Name(), unsure, len(again))}
		}
		if busy >= busyMost {
			return &ops.Problem{Fault: ops.FaultThrottled, What: fmt.Sprintf("%s asked to slow down %d times in a row", l.run.plan.To.Name(), busy),
				Hint: "look who else writes to it, then resume with a lower rate"}
		}
		if named == len(again) && len(again) < len(batch) {
			continue // the other shards need not wait
		}
		pauseFor(ctx, l.run.stop, backoff(busy+unsure))
	}
}

// send sends one request and books its answers. It returns what has to be sent again:
// what was throttled (named: by a shard that is known) and what got no answer.
func (l *lane) send(ctx context.Context, batch []*item) (again []*item, throttled, named, lost int, err error) {
	parcels := make([]Parcel, len(batch))
	for i, it := range batch {
		parcels[i] = it.Parcel
	}
	answers := l.run.target.send(ctx, parcels)
	var taken []*item
	var places []string
	for i, a := range answers {
		it := batch[i]
		if a.Stop != nil && err == nil {
			err = a.Stop
		}
		switch a.Fate {
		case Taken:
			taken, places = append(taken, it), append(places, a.At)
			if a.Shard != "" {
				l.run.brakes.took(a.Shard)
			}
		case Refused:
			if e := l.run.park(it, a.Code, a.Why); e != nil {
				return append(again, batch[i:]...), throttled, named, lost, e
			}
		case Unsure:
			it.lost++
			lost++
			again = append(again, it)
		case Busy:
			throttled++
			if a.Shard != "" && l.run.brakes != nil {
				named++
				l.run.brakes.slow(a.Shard)
			}
			again = append(again, it)
		}
	}
	l.run.called(lost, throttled)
	l.mu.Lock()
	l.sent += int64(len(taken))
	l.mu.Unlock()
	if e := l.run.took(taken, places); e != nil {
		return again, throttled, named, lost, e
	}
	return again, throttled, named, lost, err
}

// slow takes away up to half of what the lane allows itself, by the share of a request
// that was throttled.
func (l *lane) slow(share float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowed++
	if l.allowed == nil {
		took := time.Since(l.since).Seconds()
		l.peak = max(leastPeak, float64(l.sent-l.counted)/max(took, 0.001))
		l.allowed = rate.NewLimiter(rate.Limit(l.peak), 1)
	}
	l.allowed.SetLimit(max(leastRate, l.allowed.Limit()*rate.Limit(1-share/2)))
}

// faster allows more: quickly up to where it was slowed down, 5 % above, and everything
// again once it is far above that.
func (l *lane) faster() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.allowed == nil {
		return
	}
	more := rate.Limit(1.05)
	if float64(l.allowed.Limit()) < l.peak {
		more = 1.25
	}
	l.allowed.SetLimit(l.allowed.Limit() * more)
	if float64(l.allowed.Limit()) > 4*l.peak {
		l.allowed, l.since, l.counted = nil, time.Now(), l.sent
	}
}

// wait waits until the lane may send n records. It reports false when the replay is
// stopping meanwhile.
func (l *lane) wait(ctx context.Context, n int) bool {
	l.mu.Lock()
	limiter := l.allowed
	l.mu.Unlock()
	if limiter == nil {
		return true
	}
	limiter.SetBurst(max(n, 1))
	return waitN(ctx, l.run.stop, limiter, n)
}

// look is the lane for the screen.
func (l *lane) look() ops.ReplayLane {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := ops.ReplayLane{Waiting: len(l.waiting), Sent: l.sent, Throttle: l.slowed}
	if l.allowed != nil {
		out.Allowed = float64(l.allowed.Limit())
	}
	return out
}

func backoff(tries int) time.Duration {
	most := min(mostBackoff, firstBackoff<<min(tries, 10))
	return most/2 + rand.N(most/2)
}

// pauseFor waits, but not longer than the replay goes on.
func pauseFor(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
	case <-ctx.Done():
	}
	return false
}

// waitN takes n tokens of a limiter.
func waitN(ctx context.Context, stop <-chan struct{}, limiter *rate.Limiter, n int) bool {
	r := limiter.ReserveN(time.Now(), n)
	if !r.OK() {
		return false
	}
	if d := r.Delay(); d > 0 && !pauseFor(ctx, stop, d) {
		r.Cancel()
		return false
	}
	return true
}
