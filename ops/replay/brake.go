package replay

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A shard takes 1000 records a second, whoever sends them: it was never faster than that.
	shardMost = 1000
	// slowedOnce is how long several answers count as one: requests that were in the air
	// together are all throttled by the same second.
	slowedOnce = time.Second
	// fasterBy is what a shard is allowed more, each second without being throttled.
	fasterBy = 1.05
)

// sharded is a target whose shards have limits of their own.
type sharded interface {
	// shardOf is where a parcel will lie; "" where that is not known.
	shardOf(p Parcel) string
}

// brakes hold back what goes to single shards of the target: half as much when a shard is
// throttled, 5 % a second more when it is not, and everything again far above of where it
// was slowed down. Other shards go on meanwhile.
type brakes struct {
	target sharded
	clock  clock
	active atomic.Bool // some shard was throttled once

	mu sync.Mutex
	of map[string]*brake
}

// brake is one shard.
type brake struct {
	allowed float64 // records a second; 0: not held back
	peak    float64 // … when it was first slowed down
	tokens  float64
	at      time.Time // of tokens and allowed
	slowed  time.Time

	sent  float64 // since …
	since time.Time
	pace  float64 // in the window before it
}

// newBrakes is nil where the target has no shards.
func newBrakes(t target, c clock) *brakes {
	s, ok := t.(sharded)
	if !ok {
		return nil
	}
	return &brakes{target: s, clock: c, of: map[string]*brake{}}
}

func (b *brakes) shard(id string) *brake {
	k := b.of[id]
	if k == nil {
		k = &brake{since: b.clock.now()}
		b.of[id] = k
	}
	return k
}

// took counts what a shard has taken.
func (b *brakes) took(id string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k, now := b.shard(id), b.clock.now()
	if span := now.Sub(k.since).Seconds(); span >= 1 {
		k.pace, k.sent, k.since = k.sent/span, 0, now
	}
	k.sent++
}

// slow halves what a shard may get.
func (b *brakes) slow(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active.Store(true)
	k, now := b.shard(id), b.clock.now()
	b.grow(k, now)
	if k.allowed == 0 {
		k.peak = min(shardMost, max(leastPeak, k.pace, k.sent/max(1, now.Sub(k.since).Seconds())))
		k.allowed, k.at, k.tokens, k.slowed = k.peak, now, 0, time.Time{}
	}
	if now.Sub(k.slowed) >= slowedOnce {
		k.allowed, k.slowed = max(leastRate, k.allowed/2), now
		k.tokens = min(k.tokens, 0)
	}
}

// grow brings a brake up to now. Call it under the lock.
func (b *brakes) grow(k *brake, now time.Time) {
	span := now.Sub(k.at).Seconds()
	if k.allowed == 0 || span <= 0 {
		return
	}
	k.tokens = min(k.tokens+span*k.allowed, max(1, k.allowed/4)) // a quarter of a second may be saved up
	k.allowed *= math.Pow(fasterBy, span)
	k.at = now
	if k.allowed > 4*k.peak {
		k.allowed = 0
	}
}

// holds reports how long a parcel has to wait for its shard; 0: it may go, and counts.
func (b *brakes) holds(p Parcel) time.Duration {
	if b == nil || !b.active.Load() {
		return 0
	}
	id := b.target.shardOf(p)
	if id == "" {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.shard(id)
	if b.grow(k, b.clock.now()); k.allowed == 0 {
		return 0
	}
	if k.tokens >= 1 {
		k.tokens--
		return 0
	}
	return max(time.Millisecond, time.Duration((1-k.tokens)/k.allowed*float64(time.Second)))
}
