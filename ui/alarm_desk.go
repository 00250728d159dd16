package ui

import (
	"context"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// AlarmBackend is a backend where the CloudWatch alarms can be worked on.
type AlarmBackend interface {
	// AlarmDesk returns the alarm desk of the present account and region. It may ask
	// AWS who is calling.
	AlarmDesk(ctx context.Context) (AlarmDesk, error)
}

// AlarmDesk is where the alarms of one account and region are worked on. What may be
// changed is decided by Desk.Access: both stand behind the same door. TrialCost answers
// at once; everything else is called from commands with a deadline, and at the same time.
type AlarmDesk interface {
	// Ask is what the configuration and the resources' tags say about the alarms of
	// this account. It may read tags.
	Ask(ctx context.Context, s ops.Snapshot) (alarms.Ask, error)
	// Wanted draws up the alarms that should exist. It sends nothing.
	Wanted(s ops.Snapshot, ask alarms.Ask) alarms.Wanted
	// Coverage says who watches what.
	Coverage(ctx context.Context, s ops.Snapshot, ask alarms.Ask) (alarms.Coverage, error)

	// Plan works out what would be done, by reading only.
	Plan(ctx context.Context, s ops.Snapshot, ask alarms.Ask) (alarms.Plan, error)
	// Apply does it, and returns when it is over or ctx ends: what was done until then
	// stays done, and a second run goes on. say may be called from any goroutine.
	Apply(ctx context.Context, plan alarms.Plan, say func(alarms.Progress)) (alarms.Result, error)

	// Doctor says which alarms nobody would hear.
	Doctor(ctx context.Context, s ops.Snapshot) (alarms.Checkup, error)

	// DrillPreview says what a drill of an alarm would do and who would hear it, or why it
	// would be refused; it only reads. Drill rings the alarm, waits for what becomes of its
	// actions and sets the state back, also when ctx ends.
	DrillPreview(ctx context.Context, alarm string) ([]string, error)
	Drill(ctx context.Context, alarm string, say func(string)) (alarms.Drill, error)

	// TrialCost is what trying the alarms on the past costs. It sends nothing.
	TrialCost(specs []alarms.Spec, over time.Duration) (usd float64, calls int)
	// Backtest tries alarms on the past. say may be called from any goroutine.
	Backtest(ctx context.Context, specs []alarms.Spec, over time.Duration, say func(done, total int)) (alarms.Backtest, error)

	// Mute keeps the actions of alarms from running for a while, Unmute ends that.
	Mute(ctx context.Context, names []string, d time.Duration, reason string) ([]alarms.Mute, error)
	Mutes(ctx context.Context) ([]alarms.Mute, error)
	Unmute(ctx context.Context, name string) error
}
