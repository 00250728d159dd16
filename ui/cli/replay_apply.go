package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/replay"
	"kxops/ui/text"
)

func newReplayApply(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "apply PLANFILE",
		Short: "Send what a plan says, exactly",
		Long: `Applies a plan as it was saved. It refuses one that was edited, expired, is for another
account, or whose source or target is not what it was.

A plan that waited for archived objects is looked at again when they are back: what is
read stays the same objects, the target must be what it was, and the samples that could
not be read before are shown. Until then it says when they are to be expected.

Ctrl+c pauses: what is in the air is answered, the place is on the disk, and "kxops replay
resume" goes on. Ctrl+c again stops at once; resuming then may send some records twice,
and says how many at most. A rehearsal (to null: or a file) needs no --access change.

Exit codes: 0 done · 1 error · 2 wrong usage · 3 done in part (something was parked, or it
was paused or cancelled) · 4 refused · 5 halted by a guard.`,
		Example: "  kxops --access change replay apply 4712.plan",
		Args:    takes(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return s.replayApply(c.Context(), args[0]) },
	}
}

func (s *session) replayApply(ctx context.Context, path string) error {
	var plan ops.ReplayPlan
	if err := readPlanFile(path, &plan); err != nil {
		return err
	}
	if err := plan.Check(); err != nil {
		return refused(fmt.Sprintf("%s: %v", path, err), "make a new one: kxops replay plan … --plan-out FILE")
	}
	t, err := s.atTapes(ctx)
	if err != nil {
		return err
	}
	if err := t.mayRead(); err != nil {
		return err
	}
	var samples []ops.ReplaySample
	if plan.Waits() { // for archived objects: nobody has seen yet what is in them
		if plan, samples, err = t.thaw(ctx, plan, path); err != nil {
			return err
		}
	}
	if s.dryRun || !s.json() { // else there are two documents: the result alone is the answer
		if err := t.printReplayPlan(plan, samples, samplesShown); err != nil {
			return err
		}
	}
	switch {
	case len(plan.Blockers) > 0:
		return refused("not applied: "+strings.Join(plan.Blockers, "; "), "")
	case s.dryRun:
		return nil
	}
	if err := t.agreed(ctx, plan); err != nil {
		return err
	}
	if plan.Managed != nil {
		return t.managedApply(ctx, plan)
	}
	op, err := t.desk.Start(context.WithoutCancel(ctx), plan)
	if err != nil {
		return err
	}
	return t.finish(ctx, op)
}

// agreed asks a person, where something leaves the machine.
func (t *tapes) agreed(ctx context.Context, plan ops.ReplayPlan) error {
	switch plan.To.Kind {
	case ops.KindNull, ops.KindFile:
		if plan.FanOut == "" { // a consumer of a stream is registered at AWS
			return nil
		}
	}
	if err := mayChange(t.account); err != nil {
		return err
	}
	if plan.Risk == ops.HighRisk {
		return t.sure(ctx, "type "+text.Clean(plan.Confirm)+" to apply this: ", plan.Confirm)
	}
	return t.sure(ctx, "apply this? y/N ", "y", "yes")
}

// finish shows the progress to the end, and says what became of it.
func (t *tapes) finish(ctx context.Context, op *replay.Operation) error {
	id := op.Plan().ID
	t.say("replay " + id + " has begun; ctrl+c pauses it")
	started := time.Now()
	result, err := t.follow(ctx, op)
	if err != nil {
		return err
	}
	if err := t.printReplayResult(op.Plan(), result, time.Since(started)); err != nil {
		return err
	}
	return replayCode(result)
}

// follow shows the progress. The first interrupt pauses, the second leaves it where it
// stands, which its record knows.
func (t *tapes) follow(ctx context.Context, op *replay.Operation) (ops.ReplayResult, error) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	bar := t.progressLine()
	defer bar.end()
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	asked := ctx.Done()
	for seen := 0; ; {
		select {
		case <-op.Done():
			return op.Wait(), nil
		case <-asked:
			asked = nil
			op.Pause()
			bar.tell("pausing: what is in the air is answered first; once more stops at once")
		case <-signals:
			if seen++; seen < 2 {
				continue // the context tells the first one
			}
			return ops.ReplayResult{}, &exitWith{
				code: exitError, what: "stopped at once; replay " + op.Plan().ID + " is not finished, its record stands",
				hint: "kxops --access change replay resume " + op.Plan().ID,
			}
		case <-tick.C:
			bar.show(replayProgress(op.Progress()))
		}
	}
}

// replayProgress is where a replay is, in one line.
func replayProgress(p ops.ReplayProgress) string {
	c := p.Counts
	parts := []string{string(p.State), fmt.Sprintf("read %s", thousands(int(c.Read))), fmt.Sprintf("meant %s", thousands(int(c.Matched))), fmt.Sprintf("sent %s", thousands(int(c.Sent)))}
	if c.Parked > 0 {
		parts = append(parts, thousands(int(c.Parked))+" parked")
	}
	parts = append(parts, fmt.Sprintf("part %d of %d", p.Over, p.Parts))
	if rate, ok := p.Rate.Value(); ok {
		parts = append(parts, fmt.Sprintf("%.0f/s", rate))
	}
	if p.Limit > 0 {
		parts = append(parts, fmt.Sprintf("held to %g/s", p.Limit))
	}
	if _, ok := p.Soonest.Value(); ok {
		parts = append(parts, ops.Spans(p.Soonest, p.Latest)+" left")
	} else if eta, ok := p.ETA.Value(); ok && eta > 0 {
		parts = append(parts, "about "+ops.Span(eta)+" left")
	}
	if p.USD > 0 {
		spent := dollars(p.USD)
		if v, ok := p.Forecast.Value(); ok {
			spent += " of about " + dollars(v)
		}
		parts = append(parts, spent)
	}
	if p.Note != "" {
		parts = append(parts, p.Note)
	}
	return strings.Join(parts, " · ")
}

// replayCode is the exit code of a result; what it says is printed already.
func replayCode(r ops.ReplayResult) error {
	switch r.State {
	case ops.Finished:
		return nil
	case ops.Halted:
		return &exitWith{code: exitHalted}
	case ops.Broken:
		if r.Problem != nil {
			return r.Problem
		}
		return &exitWith{code: exitError, what: "stopped by an error", hint: "kxops --access change replay resume " + r.ID}
	}
	return &exitWith{code: exitPartial}
}
