package ui

import (
	"errors"
	"testing"

	"kxops/ops"
)

// replayOfValues is a replay that runs and says what it is told to.
type replayOfValues struct {
	plan     ops.ReplayPlan
	progress ops.ReplayProgress
	refuses  error
}

func (r *replayOfValues) Plan() ops.ReplayPlan         { return r.plan }
func (r *replayOfValues) Progress() ops.ReplayProgress { return r.progress }
func (r *replayOfValues) Pause()                       {}
func (r *replayOfValues) Cancel()                      {}
func (r *replayOfValues) SetRate(v float64) error {
	if r.refuses == nil {
		r.progress.Limit = v
	}
	return r.refuses
}
func (r *replayOfValues) Done() <-chan struct{}  { return nil }
func (r *replayOfValues) Wait() ops.ReplayResult { return ops.ReplayResult{} }

// A replay that runs shows the time left as a range and what all of it will cost; what is
// not known yet is a ?, not 0.
func TestARunningReplayTellsTheRange(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		c := replayConsole(t, &replaysOfValues{arrivals: aDay()}, size[0], size[1])
		op := &replayOfValues{progress: ops.ReplayProgress{State: ops.Running, ETA: ops.Missing(ops.NoData), USD: 0.5, Counts: ops.ReplayCounts{Calls: 12},
			Lanes: []ops.ReplayLane{{Waiting: 1}, {Waiting: 8, Allowed: 3}}}}
		c.app.replays.now = &replayRun{op: op}
		c.press("Q")
		c.sees("speed           ?", "time left       ?", "so far, ? in all", "█ 1 lane slowed down by the target")
		op.progress.Rate, op.progress.ETA = ops.Know(0, sampleNow), ops.Know(900, sampleNow)
		c.sees("speed           0 records a second", "about 15m, by a few seconds only")
		op.progress.Soonest, op.progress.Latest, op.progress.Forecast = ops.Know(725, sampleNow), ops.Know(1130, sampleNow), ops.Know(2, sampleNow)
		c.sees("time left       12-19 min", "$0.50 so far, about $2.00 in all")
	}
}

// Two keys halve and double the speed of a running replay, from what it goes at, and never
// above its plan; what is held to is shown.
func TestTheSpeedOfARunningReplay(t *testing.T) {
	c := replayConsole(t, &replaysOfValues{arrivals: aDay()}, 80, 24)
	op := &replayOfValues{progress: ops.ReplayProgress{State: ops.Running, Rate: ops.Missing(ops.NoData), ETA: ops.Missing(ops.NoData)}}
	c.app.replays.now = &replayRun{op: op}
	step := func(key string, want float64, sees string) {
		t.Helper()
		c.press(key)
		c.sees(sees)
		if op.progress.Limit != want {
			t.Errorf("held to %g, want %g", op.progress.Limit, want)
		}
	}
	c.press("Q")
	step("(", 0, "how fast it goes is not known yet")
	op.progress.Rate = ops.Know(400, sampleNow)
	step(")", 0, "as fast as its plan allows")
	step("(", 200, "held to 200 by hand")
	step("(", 100, "held to 100 by hand")
	op.progress.Rate = ops.Know(100, sampleNow)
	step(")", 200, "held to 200 by hand")
	op.progress.Rate = ops.Know(120, sampleNow) // the limit is not what holds it
	step(")", 0, "as fast as its plan allows")
	c.app.replays.now.plan.Pace.Rate = 150
	op.progress.Limit = 100
	step(")", 0, "as fast as its plan allows")
	op.refuses = errors.New("the disk is full")
	step("(", 0, "the disk is full")
}
