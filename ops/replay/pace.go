package replay

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"kxops/ops"
)

// Original pace: a record goes no earlier than its arrival says, counted from the first
// that is meant, a number of times as fast. What is read or taken later than its time
// goes at once: it is caught up with, as fast as the rate and the target allow.

// clock is the wall, or a test's.
type clock struct {
	now   func() time.Time
	after func(time.Duration, func()) (stop func() bool)
}

var wall = clock{time.Now, func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }}

// pacer knows when each record of a replay is due. A nil pacer lets everything go at once.
//
// Parts are read side by side, so what lies in the lanes is not yet all that there is: a
// pacer begins, and cuts a gap short, only when nothing that is being read can still come
// before the earliest record in hand.
type pacer struct {
	speed  float64
	gap    time.Duration // the longest wait between two records; 0: as it was
	single bool          // parts are read one after the other: they have one order
	clock  clock
	wake   func() // all lanes look again; called without locks

	mu      sync.Mutex
	begun   bool
	origin  time.Time           // of the clock, when …
	from    time.Time           // … what arrived then is due
	last    time.Time           // of the clock: when the newest that has gone was due
	reading map[int]time.Time   // parts: arrival of the last record read, zero: none yet
	floors  map[int]time.Time   // arrivals of a part never go back: see order
	heads   map[*lane]time.Time // lanes that wait, and for what
	busy    map[*lane]bool      // lanes with a request in the air: they may have earlier ones behind it
}

// newPacer is nil where a plan has no pace to keep.
func newPacer(p ops.ReplayPace, c clock, wake func()) *pacer {
	if p.Speed <= 0 {
		return nil
	}
	return &pacer{speed: p.Speed, gap: time.Duration(p.MaxGap * float64(time.Second)), single: p.Readers <= 1, clock: c, wake: wake,
		reading: map[int]time.Time{}, floors: map[int]time.Time{}, heads: map[*lane]time.Time{}, busy: map[*lane]bool{}}
}

// order is the arrival by which a record is ordered. Within a part it never goes back,
// even where the arrivals do: else those of one key would overtake each other.
func (p *pacer) order(part int, at time.Time) time.Time {
	if p == nil {
		return at
	}
	if p.single {
		part = 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.Before(p.floors[part]) {
		return p.floors[part]
	}
	p.floors[part] = at
	return at
}

// reads says that a part is being read, and up to which arrival its records are in the lanes.
func (p *pacer) reads(part int, upTo time.Time) {
	p.change(func() {
		if was := p.reading[part]; upTo.Before(was) {
			upTo = was
		}
		p.reading[part] = upTo
	})
}

// rests says that nothing comes of a part: it is at its end, or has to wait until
// records that are in hand have gone.
func (p *pacer) rests(part int) { p.change(func() { delete(p.reading, part) }) }

// again begins anew with the next record, after a pause that was none of the events'.
func (p *pacer) again() { p.change(func() { p.begun = false }) }

// holds says what a lane has first, when something was put into it.
func (p *pacer) holds(l *lane, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.busy[l] && !at.IsZero() {
		p.heads[l] = at
	}
}

// gone says that a lane has nothing to send.
func (p *pacer) gone(l *lane) { p.change(func() { delete(p.busy, l); delete(p.heads, l) }) }

// sends says that a lane sends what arrived until then.
func (p *pacer) sends(l *lane, last time.Time) {
	p.change(func() {
		delete(p.heads, l)
		p.busy[l] = true
		if due := p.due(last); p.begun && due.After(p.last) {
			p.last = due
		}
	})
}

// change changes something, and wakes the lanes where that moves what is due.
func (p *pacer) change(what func()) {
	if p == nil {
		return
	}
	p.mu.Lock()
	what()
	moved := p.settle()
	p.mu.Unlock()
	if moved {
		go p.wake()
	}
}

// until is how long a lane has to wait for the first of its records. It reports false
// when that is not known yet: the lane will be woken.
func (p *pacer) until(l *lane, at time.Time) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, l)
	delete(p.heads, l)
	if at.IsZero() { // nobody knows when it arrived: it waits for nothing
		return 0, true
	}
	p.heads[l] = at
	if p.settle() {
		go p.wake()
	}
	if !p.begun {
		return 0, false
	}
	return p.due(at).Sub(p.clock.now()), true
}

// isDue reports whether a record may go now.
func (p *pacer) isDue(at time.Time) bool {
	if p == nil || at.IsZero() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun && !p.due(at).After(p.clock.now())
}

// due is when a record that arrived then may go. Call it under the lock.
func (p *pacer) due(at time.Time) time.Time {
	return p.origin.Add(time.Duration(float64(at.Sub(p.from)) / p.speed))
}

// left is how long it is until what arrived last is due. It reports false while that is
// not known, and when it should be over: then the target decides.
func (p *pacer) left(last time.Time) (time.Duration, bool) {
	if p == nil || last.IsZero() {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.due(last).Sub(p.clock.now())
	return d, p.begun && d > 0
}

// settle begins, or cuts a gap short, where it is sure what comes next. It reports
// whether something is due earlier than before. Call it under the lock.
func (p *pacer) settle() bool {
	if len(p.heads) == 0 || len(p.busy) > 0 {
		return false
	}
	var next time.Time
	for at := range maps.Values(p.heads) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for upTo := range maps.Values(p.reading) {
		if upTo.IsZero() || upTo.Before(next) {
			return false
		}
	}
	if !p.begun {
		p.begun, p.from, p.origin = true, next, p.clock.now()
		p.last = p.origin
		return true
	}
	if p.gap == 0 {
		return false
	}
	more := p.due(next).Sub(p.last) - p.gap
	if more <= 0 {
		return false
	}
	p.origin = p.origin.Add(-more)
	return true
}

// pacing says in the plan how its records are spaced, and how long that takes. first and
// last are the arrivals of what was tried and is meant; all: nothing else is meant.
func pacing(plan *ops.ReplayPlan, first, last time.Time, all, unknown bool) {
	p, e := plan.Pace, &plan.Estimate
	if p.Speed <= 0 {
		return
	}
	if first.IsZero() && unknown {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("the records of %s do not say when they arrived: there is no pace to keep", plan.From.Name()))
		return
	}
	if unknown {
		plan.Warnings = append(plan.Warnings, "some records do not say when they arrived: they go together with those before them")
	}
	if !all {
		if s := plan.Select.Since; !s.IsZero() && (first.IsZero() || s.Before(first)) {
			first = s
		}
		last = windowEnd(*plan)
	}
	if first.IsZero() || last.Before(first) {
		return
	}
	plan.Pace.Last = last
	takes := last.Sub(first).Seconds() / p.Speed
	n, counted := e.Matched.Value()
	if p.MaxGap > 0 && counted {
		takes = min(takes, n*p.MaxGap)
	}
	if p.Rate > 0 && counted {
		takes = max(takes, n/p.Rate)
	}
	e.Seconds = ops.Know(takes, plan.Created)
	said := fmt.Sprintf("%s of arrivals take %s", ops.Span(last.Sub(first).Seconds()), ops.Span(max(takes, 1)))
	if !all || p.MaxGap > 0 {
		said += " at most, while the target keeps up"
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "pace", Value: said})
}
