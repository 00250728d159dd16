package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kxops/ops"
	"kxops/ui/text"
)

// managedLook is how often AWS is asked how far a replay is that it carries out.
const managedLook = 5 * time.Second

// managedFlags are those that mean something where AWS carries out the replay.
var managedFlags = []string{"from", "to", "since", "until", "rule", "plan-out"}

// checkManaged refuses flags of replays that kxops carries out.
func checkManaged(c *cobra.Command) (err error) {
	local := c.LocalNonPersistentFlags()
	local.VisitAll(func(f *pflag.Flag) {
		if err == nil && f.Changed && !slices.Contains(managedFlags, f.Name) {
			err = wrongUsage(fmt.Sprintf("--%s is not for --from events-archive:NAME: EventBridge itself replays a window, to all rules of the bus or to those of --rule", f.Name))
		}
	})
	return err
}

// managedReport is a replay that AWS carries out, as a document.
type managedReport struct {
	Schema string `json:"schema"` // kxops/managed-replay/v1
	From   string `json:"from"`
	To     string `json:"to"`
	ops.ManagedState
	Next []string `json:"next"`
}

// managedApply starts a plan that AWS carries out, and watches it.
func (t *tapes) managedApply(ctx context.Context, plan ops.ReplayPlan) error {
	x, err := t.desk.StartManaged(context.WithoutCancel(ctx), plan)
	if err != nil {
		return err
	}
	t.say("EventBridge has begun the replay " + x.Name + "; ctrl+c only stops watching it")
	return t.managedWatch(ctx, plan)
}

// managedWatch shows how far it is until it is over, or until somebody has seen enough.
func (t *tapes) managedWatch(ctx context.Context, plan ops.ReplayPlan) error {
	bar := t.progressLine()
	look := time.NewTicker(managedLook)
	defer look.Stop()
	for {
		x, err := t.desk.Managed(context.WithoutCancel(ctx), plan.ID)
		if err != nil || x.State.Over() {
			bar.end()
			if err != nil {
				return err
			}
			return t.managedEnd(plan, x)
		}
		bar.show(managedLine(x))
		select {
		case <-look.C:
		case <-ctx.Done():
			bar.end()
			t.say("not watched any more; it goes on")
			return t.managedEnd(plan, x)
		}
	}
}

// managedEnd prints where it is. The code says whether it is over, and how.
func (t *tapes) managedEnd(plan ops.ReplayPlan, x ops.ManagedState) error {
	if err := t.printManaged(plan, x); err != nil {
		return err
	}
	switch x.State {
	case ops.Finished:
		return nil
	case ops.Broken:
		return &exitWith{code: exitError, what: "EventBridge ended the replay: " + orUnknown(oneLine(x.Why))}
	}
	return &exitWith{code: exitPartial}
}

// managedLine is one line of progress.
func managedLine(x ops.ManagedState) string {
	parts := []string{strings.ToLower(x.Says)}
	if share, ok := x.Share.Value(); ok {
		parts = append(parts, fmt.Sprintf("%.0f %% of the window", 100*share), "at "+x.Last.Format("2006-01-02 15:04:05 MST"))
	} else {
		parts = append(parts, "? of the window")
	}
	if left, ok := x.ETA.Value(); ok {
		parts = append(parts, "about "+ops.Span(left)+" left")
	}
	return strings.Join(parts, " · ")
}

func (t *tapes) printManaged(plan ops.ReplayPlan, x ops.ManagedState) error {
	r := managedReport{Schema: "kxops/managed-replay/v1", From: plan.From.Name(), To: plan.To.Name(), ManagedState: x, Next: []string{}}
	r.Why = oneLine(r.Why)
	switch {
	case !x.State.Over():
		r.Next = []string{"kxops replay resume " + x.ID + " watches it", "kxops --access change replay cancel " + x.ID + " ends it"}
	case x.State == ops.Finished:
		r.Next = []string{"kxops replay verify " + x.ID + " says what can be proved"}
	}
	if t.json() {
		return t.printLine(r)
	}
	p := t.paper()
	word, color := stateText(x.State)
	p.line(p.paint("1", "replay "+x.ID) + ": " + p.paint(color, word) + ", by EventBridge as " + text.Clean(x.Name))
	p.folded("  window    ", windowText(plan.Select))
	p.folded("  is at     ", managedLine(x))
	p.line("  sent      ?  EventBridge does not say how many events")
	if x.Why != "" {
		p.folded("  because   ", r.Why)
	}
	p.sentences("next", "", r.Next)
	return t.printText(p.b.String())
}

// managedCancel ends it at AWS.
func (t *tapes) managedCancel(ctx context.Context, plan ops.ReplayPlan) error {
	if err := mayChange(t.account); err != nil {
		return err
	}
	x, err := t.desk.CancelManaged(ctx, plan.ID)
	if err != nil {
		return err
	}
	return t.printManaged(plan, x)
}
