package ui

import (
	"context"
	"time"

	"kxops/ops"
)

// ReplayBackend is a backend where old events can be sent again.
type ReplayBackend interface {
	// ReplayDesk returns the replay desk of the present account and region. It may ask AWS
	// who is calling.
	ReplayDesk(ctx context.Context) (ReplayDesk, error)
}

// ReplayDesk is where the replays of one account and region are planned and carried
// out. What may be changed is decided by Desk.Access. Everything is called from commands
// with a deadline, and at the same time.
type ReplayDesk interface {
	// Plan works out what a replay would do, by reading only. samples are for the eye.
	Plan(ctx context.Context, ask ops.ReplayAsk) (plan ops.ReplayPlan, samples []ops.ReplaySample, err error)
	// Queries lists the last queries of Athena that a replay can begin with. With an error
	// it lists those that could be read.
	Queries(ctx context.Context) ([]ops.PastQuery, error)
	// Arrivals says when events arrived at a source, over what can be replayed of it.
	Arrivals(ctx context.Context, from string) (ops.Arrivals, error)
	// Start applies a plan, Resume goes on with a replay. It goes on when ctx, that of the
	// console, ends: by pausing.
	Start(ctx context.Context, plan ops.ReplayPlan) (Replaying, error)
	Resume(ctx context.Context, id string) (Replaying, error)
	// Past lists the replays of this machine, newest first. With an error it lists those
	// that can be read.
	Past(ctx context.Context) ([]PastReplay, error)
	// Verify proves what a replay has sent.
	Verify(ctx context.Context, id string) (ops.ReplayProof, error)
}

// Replaying is a replay that was started here.
type Replaying interface {
	Plan() ops.ReplayPlan
	Progress() ops.ReplayProgress
	Pause()
	Cancel()
	// SetRate holds it to so many records a second; 0 is as planned. It refuses more than
	// the plan allows.
	SetRate(r float64) error
	Done() <-chan struct{}
	Wait() ops.ReplayResult
}

// PastReplay is a replay by its record.
type PastReplay struct {
	Plan     ops.ReplayPlan
	Progress ops.ReplayProgress
	Running  bool // by a process of this machine
	Last     time.Time
	Receipts string
}
