package cloud

import (
	"sync"
	"time"
)

// raised is a level that holds for a while. It lies over the session's level.
type raised struct {
	mu    sync.Mutex
	on    bool
	level Level
	until time.Time // zero: without an end
	kept  int       // who is in the middle of something: it does not fall back under them
	now   func() time.Time
}

// access is the level in force.
func (g *gate) access() Level {
	g.raised.mu.Lock()
	defer g.raised.mu.Unlock()
	if g.raised.inForce() {
		return g.raised.level
	}
	return g.level
}

// inForce is asked under the lock. What has run out is forgotten, so that it
// cannot come back when a clock is set back.
func (r *raised) inForce() bool {
	if r.on && !r.until.IsZero() && r.kept == 0 && !r.clock().Before(r.until) {
		r.on = false
	}
	return r.on
}

func (r *raised) clock() time.Time {
	if r.now == nil {
		return time.Now()
	}
	return r.now()
}

// SetAccess sets the gate's level until a time, after which it falls back by
// itself to the level that the session was opened with; the zero time is without
// an end. SetAccess(level, now) ends it at once. Calls that are under way are not
// touched.
func (c *Cloud) SetAccess(level Level, until time.Time) {
	r := &c.gate.raised
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.level, r.until = true, level, until
}

// Access returns the level in force now.
func (c *Cloud) Access() Level { return c.gate.access() }

// AccessUntil returns when the level falls back by itself, zero when it stays.
// While KeepAccess holds it, the time may be in the past.
func (c *Cloud) AccessUntil() time.Time {
	r := &c.gate.raised
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.inForce() {
		return time.Time{}
	}
	return r.until
}

// KeepAccess keeps the level from falling back until release is called: an
// operation that was begun must be able to finish, for a message that was sent and
// may not be deleted any more is a duplicate. Release may be called twice.
func (c *Cloud) KeepAccess() (release func()) {
	r := &c.gate.raised
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inForce() // what has run out is not kept alive
	r.kept++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.kept--
	})
}
