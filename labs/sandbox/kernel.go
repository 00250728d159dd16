package sandbox

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// kernel is the heart of the sandbox: one lock, one clock, one random source and
// one queue of timed events. Everything that happens, happens as an API call or
// as an event, under the lock; so the past can be simulated at full speed and
// two runs with one seed are alike.
type kernel struct {
	mu      sync.Mutex
	rng     *rand.Rand
	virtual time.Time     // the clock while it is stepped
	offset  time.Duration // the clock while it is live: wall clock + offset
	live    bool
	events  eventQueue
	seq     uint64
	nudge   chan struct{} // tells the live loop that an earlier event was added

	waiters int
	changed chan struct{} // closed and replaced when something happened
}

type event struct {
	at  time.Time
	seq uint64 // first in, first out among events of one instant
	run func()
}

type eventQueue []*event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}

func newKernel(start time.Time, seed uint64) *kernel {
	return &kernel{
		rng:     rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)),
		virtual: start.UTC(),
		nudge:   make(chan struct{}, 1),
		changed: make(chan struct{}),
	}
}

// now is the sandbox's time. Call it under the lock.
func (k *kernel) now() time.Time {
	if k.live {
		if t := time.Now().Add(k.offset).UTC(); t.After(k.virtual) {
			k.virtual = t // the clock never goes back, whatever the wall clock does
		}
	}
	return k.virtual
}

// at schedules run for time t, under the lock; a time in the past means as soon
// as possible.
func (k *kernel) at(t time.Time, run func()) {
	k.seq++
	heap.Push(&k.events, &event{at: t, seq: k.seq, run: run})
	select {
	case k.nudge <- struct{}{}:
	default:
	}
}

func (k *kernel) after(d time.Duration, run func()) { k.at(k.now().Add(d), run) }

// every runs f at each multiple of d, from the next one on.
func (k *kernel) every(d time.Duration, f func(now time.Time)) {
	next := k.now().Truncate(d).Add(d)
	var tick func()
	tick = func() {
		f(next)
		next = next.Add(d)
		k.at(next, tick)
	}
	k.at(next, tick)
}

// catchUp runs the events that are due at or before t, each at its own time.
func (k *kernel) catchUp(t time.Time) {
	ran := false
	for len(k.events) > 0 && !k.events[0].at.After(t) {
		e := heap.Pop(&k.events).(*event)
		if !k.live && e.at.After(k.virtual) {
			k.virtual = e.at
		}
		e.run()
		ran = true
	}
	if !k.live && t.After(k.virtual) {
		k.virtual = t
	}
	if ran {
		k.wake()
	}
}

// do runs f under the lock, after everything that is due before it.
func (k *kernel) do(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.catchUp(k.now())
	f()
	k.wake()
}

// wake lets everyone in wait look again.
func (k *kernel) wake() {
	if k.waiters > 0 {
		close(k.changed)
		k.changed = make(chan struct{})
	}
}

// wait blocks until done answers true, the deadline passes on the sandbox's
// clock, or ctx ends. Call it under the lock; it gives the lock up while waiting.
func (k *kernel) wait(ctx context.Context, deadline time.Time, done func() bool) {
	if done() || inside(ctx) { // a function that waited would stop the world it waits for
		return
	}
	k.at(deadline, func() {}) // so that somebody wakes us then
	for !done() && k.now().Before(deadline) && ctx.Err() == nil {
		ch := k.changed
		k.waiters++
		k.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
		}
		k.mu.Lock()
		k.waiters--
	}
}

// advance steps the clock, running every event on the way at full speed.
func (k *kernel) advance(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.catchUp(k.virtual.Add(d))
	k.wake()
}

// goLive ties the clock to the wall clock from now on and runs events as they
// fall due, until ctx ends.
func (k *kernel) goLive(ctx context.Context) {
	k.mu.Lock()
	k.offset = time.Until(k.virtual)
	k.live = true
	k.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-k.nudge:
		}
		timer.Reset(k.step())
	}
}

// step runs what is due and returns the time until the next event.
func (k *kernel) step() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock() // also when an event panics
	k.catchUp(k.now())
	if len(k.events) == 0 {
		return time.Hour
	}
	return max(0, k.events[0].at.Sub(k.now()))
}
