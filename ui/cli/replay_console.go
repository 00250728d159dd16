package cli

import (
	"context"

	"kxops/ops"
	"kxops/ops/replay"
	"kxops/ui"
)

// ReplayDesk returns the console's replay desk of the present account.
func (b *backend) ReplayDesk(ctx context.Context) (ui.ReplayDesk, error) {
	a, err := b.here(ctx)
	if err != nil {
		return nil, err
	}
	d, err := a.replayDesk(ctx)
	if err != nil {
		return nil, err
	}
	return &consoleReplays{d: d, a: a, reason: b.reason}, nil
}

// consoleReplays is the replay desk of an account as the console sees it.
type consoleReplays struct {
	d      *replay.Desk
	a      *account
	reason string
}

func (c *consoleReplays) Plan(ctx context.Context, ask ops.ReplayAsk) (ops.ReplayPlan, []ops.ReplaySample, error) {
	ask.Reason = c.reason
	return c.d.Plan(ctx, ask)
}

func (c *consoleReplays) Queries(ctx context.Context) ([]ops.PastQuery, error) {
	return c.d.Queries(ctx)
}

func (c *consoleReplays) Arrivals(ctx context.Context, from string) (ops.Arrivals, error) {
	return c.d.Arrivals(ctx, from)
}

func (c *consoleReplays) Start(ctx context.Context, plan ops.ReplayPlan) (ui.Replaying, error) {
	return c.running(c.d.Start(ctx, plan))
}

func (c *consoleReplays) Resume(ctx context.Context, id string) (ui.Replaying, error) {
	return c.running(c.d.Resume(ctx, id))
}

// running keeps changes allowed until the replay is over: one that stops half-way
// because an unlock ran out helps nobody.
func (c *consoleReplays) running(op *replay.Operation, err error) (ui.Replaying, error) {
	if err != nil {
		return nil, err
	}
	release := c.a.cloud.KeepAccess()
	go func() {
		<-op.Done()
		release()
	}()
	return op, nil
}

func (c *consoleReplays) Past(context.Context) ([]ui.PastReplay, error) {
	past, err := c.d.Past()
	var out []ui.PastReplay
	for _, x := range past {
		out = append(out, ui.PastReplay{Plan: x.Plan, Progress: x.Progress, Running: x.Running, Last: x.Last, Receipts: x.Receipts})
	}
	return out, err
}

func (c *consoleReplays) Verify(ctx context.Context, id string) (ops.ReplayProof, error) {
	return c.d.Verify(ctx, id)
}
