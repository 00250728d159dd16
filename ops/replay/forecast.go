package replay

import (
	"math"
	"time"

	"kxops/ops"
)

const (
	// speedMemory is how long the speed of a moment counts: after it, for a third.
	speedMemory = 10 * time.Minute
	// speedSample is the shortest time that a speed is taken over: pages come in bursts.
	speedSample = 10 * time.Second
	// speedSamples is how many speeds it takes before their spread says anything.
	speedSamples = 3
)

// speed is how fast a source is read, in bytes a second: an average that forgets, with
// how far single speeds lie from it.
type speed struct {
	at       time.Time // of the last sample; zero: none
	bytes    int64     // read until then
	seen     time.Duration
	samples  int
	mean     float64
	variance float64
}

// note takes how much was read until now.
func (s *speed) note(now time.Time, bytes int64) {
	took := now.Sub(s.at)
	switch {
	case s.at.IsZero() || took < 0 || bytes < s.bytes: // the clock was set back, or it began again
		s.at, s.bytes = now, bytes
		return
	case took < speedSample:
		return
	}
	v := float64(bytes-s.bytes) / took.Seconds()
	s.at, s.bytes = now, bytes
	s.seen += took
	s.samples++
	// In the beginning all samples count by their time; later old ones fade.
	weight := max(1-math.Exp(-took.Seconds()/speedMemory.Seconds()), took.Seconds()/s.seen.Seconds())
	off := v - s.mean
	s.mean += weight * off
	s.variance = (1 - weight) * (s.variance + weight*off*off)
}

// left is how many seconds so many bytes take, at the soonest and at the latest: with
// speeds one standard deviation above and below the average. It is unknown while there are
// too few speeds, and the latest where nothing may come at all.
func (s *speed) left(bytes float64, now time.Time) (soonest, latest ops.Reading) {
	if s.samples < speedSamples || s.mean <= 0 {
		return ops.Missing(ops.NoData), ops.Missing(ops.NoData)
	}
	bytes = max(bytes, 0)
	spread := math.Sqrt(s.variance)
	soonest, latest = ops.Know(bytes/(s.mean+spread), now), ops.Missing(ops.NoData)
	if slow := s.mean - spread; slow > 0 {
		latest = ops.Know(bytes/slow, now)
	}
	return soonest, latest
}

// forecast is what the whole replay will have cost when what is left is like what was.
func forecast(plan ops.ReplayPlan, c ops.ReplayCounts, now time.Time) ops.Reading {
	total, known := plan.Estimate.Bytes.Value()
	if !known || c.Bytes <= 0 {
		return ops.Missing(ops.NoData)
	}
	times := max(total/float64(c.Bytes), 1)
	c.Bytes = int64(math.Round(float64(c.Bytes) * times))
	c.Sent = int64(math.Round(float64(c.Sent) * times))
	c.Out = int64(math.Round(float64(c.Out) * times))
	return ops.Know(costOf(plan, c), now)
}
