package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/replay"
)

type restoreFlags struct {
	tier   choiceFlag
	days   int
	status bool
}

func newReplayRestore(s *session) *cobra.Command {
	f := restoreFlags{tier: choiceFlag{value: string(ops.ThawStandard), allowed: []string{string(ops.ThawStandard), string(ops.ThawBulk), string(ops.ThawExpedited)}}}
	c := &cobra.Command{
		Use:   "restore PLAN",
		Short: "Ask for the archived objects of a plan back: GLACIER, DEEP_ARCHIVE",
		Long: `Asks S3 for temporary copies of the archived objects that a plan reads. It says what that
costs and how long it takes, asks, and returns as soon as S3 has all requests. PLAN is the
file of a plan, or the id of a replay that stopped because copies had ended.

What is on its way or back already is not asked for again, so an interrupted restore is
gone on with by the same command. The plan waits up to 30 days; apply it when all are back.

  standard   GLACIER 3 to 5 hours, DEEP_ARCHIVE 12 hours
  bulk       GLACIER 5 to 12 hours (free), DEEP_ARCHIVE 48 hours; the cheapest
  expedited  GLACIER 1 to 5 minutes, 200 times the price a request

Exit codes: 0 done · 1 error · 2 wrong usage · 3 with --status: not all are back · 4 refused.`,
		Example: `  kxops --access change replay restore 4712.plan --tier bulk
  kxops replay restore 4712.plan --status`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if f.days < 1 || f.days > replay.DaysMost {
				return wrongUsage(fmt.Sprintf("--days must be 1 to %d", replay.DaysMost))
			}
			return s.replayRestore(c.Context(), args[0], f)
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.Var(&f.tier, "tier", "how fast, and how dear: standard, bulk, expedited")
	fs.IntVar(&f.days, "days", replay.DaysAsked, "so many days the copies stay, from when they are there")
	fs.BoolVar(&f.status, "status", false, "only say how many are back, and until when")
	completeWith(c, "tier", f.tier.allowed)
	return c
}

func (s *session) replayRestore(ctx context.Context, name string, f restoreFlags) error {
	t, err := s.atTapes(ctx)
	if err != nil {
		return err
	}
	plan, err := t.planOrReplay(name)
	if err != nil {
		return err
	}
	now, err := t.desk.Standing(ctx, plan)
	if err != nil {
		return err
	}
	r := restoreReport{Schema: "kxops/replay-restore/v1", ID: plan.ID, Tier: ops.ThawTier(f.tier.value), Days: f.days, Ready: now.Ready(), Now: now}
	r.Expected = when(now.Expected())
	n, _ := ops.ColdSum(now.Cold)
	if f.status || s.dryRun || n == 0 || len(now.Changed) > 0 {
		if !f.status && n > 0 {
			r.USD = replay.RestorePrice(now.Cold, r.Tier, r.Days)
		}
		if err := t.printRestore(plan, name, r); err != nil {
			return err
		}
		return restoreCode(r, f.status)
	}
	r.USD = replay.RestorePrice(now.Cold, r.Tier, r.Days)
	if !s.json() {
		if err := t.printRestore(plan, name, r); err != nil {
			return err
		}
	}
	if err := mayChange(t.account); err != nil {
		return err
	}
	if err := t.sure(ctx, fmt.Sprintf("ask for %s, about %s? y/N ", countOf(n, "object"), dollars(r.USD)), "y", "yes"); err != nil {
		return err
	}
	return t.restore(ctx, plan, name, r)
}

// planOrReplay reads a plan out of its file, or out of the record of a replay.
func (t *tapes) planOrReplay(name string) (ops.ReplayPlan, error) {
	var plan ops.ReplayPlan
	err := readPlanFile(name, &plan)
	if errors.Is(err, fs.ErrNotExist) {
		if past, bad := t.desk.Show(name); bad == nil {
			return past.Plan, nil
		}
	}
	return plan, err
}

// restore asks for all, and tells how far it is. An interrupt leaves the rest for later.
func (t *tapes) restore(ctx context.Context, plan ops.ReplayPlan, name string, r restoreReport) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	bar := t.progressLine()
	done, err := t.desk.Restore(ctx, plan, replay.RestoreAsk{Tier: r.Tier, Days: r.Days, Reason: t.reason, Tell: func(asked, of int) {
		bar.show(fmt.Sprintf("asked for %s of %s objects", thousands(asked), thousands(of)))
	}})
	bar.end()
	if err != nil {
		if done.Asked+done.Already > 0 {
			t.say(fmt.Sprintf("%s were asked for before this; the same command asks for the rest", countOf(done.Asked+done.Already, "object")))
		}
		return err
	}
	r.Asked, r.USD, r.Now, r.Ready, r.Expected = done.Asked, done.USD, done.Now, done.Now.Ready(), when(done.Now.Expected())
	if t.json() {
		return t.printJSON(r)
	}
	t.say(fmt.Sprintf("asked for %s, about %s", countOf(done.Asked, "object"), dollars(done.USD)))
	if at := done.Now.Expected(); !at.IsZero() {
		t.say(fmt.Sprintf("expected by %s; `kxops replay restore %s --status` looks", at.Format("2006-01-02 15:04 MST"), shellWord(name)))
	}
	return nil
}

// restoreReport is `kxops replay restore -o json`: a contract with scripts.
type restoreReport struct {
	Schema   string         `json:"schema"`
	ID       string         `json:"id"`
	Tier     ops.ThawTier   `json:"tier"`
	Days     int            `json:"days"`
	Asked    int            `json:"asked"`
	USD      float64        `json:"usd"`
	Ready    bool           `json:"ready"`
	Expected *time.Time     `json:"expected_by"`
	Now      ops.ReplayThaw `json:"objects"`
}

func restoreCode(r restoreReport, status bool) error {
	switch {
	case len(r.Now.Changed) > 0:
		return refused(fmt.Sprintf("%s of the plan are gone or not what they were, such as %s", countOf(len(r.Now.Changed), "object"), r.Now.Changed[0]), "make a new plan")
	case status && !r.Ready:
		return &exitWith{code: exitPartial}
	}
	return nil
}

func (t *tapes) printRestore(plan ops.ReplayPlan, name string, r restoreReport) error {
	if t.json() {
		return t.printJSON(r)
	}
	p := t.paper()
	p.line(p.paint("1", "restore for replay "+plan.ID+": "+oneLine(plan.From.Name())))
	field := func(name, value string) {
		if value != "" {
			p.folded(fmt.Sprintf("  %-11s", name), oneLine(value))
		}
	}
	field("objects", countOf(r.Now.Objects, "object")+" of the plan")
	field("back", coldText(r.Now.Back))
	if !r.Now.Until.IsZero() {
		field("until", r.Now.Until.Format("2006-01-02 15:04 MST")+", when the first copy ends")
	}
	field("on the way", coldText(r.Now.Coming))
	if r.Expected != nil {
		field("expected", fmt.Sprintf("by %s (%s, asked for at %s)", r.Expected.Format("2006-01-02 15:04 MST"), r.Now.Tier, r.Now.Asked.Format("2006-01-02 15:04 MST")))
	}
	field("archived", coldText(r.Now.Cold))
	if r.USD > 0 || r.Tier == ops.ThawBulk && len(r.Now.Cold) > 0 {
		field("costs", fmt.Sprintf("about %s by the price list of %s: requests, retrieval, and copies for %s after they are there", dollars(r.USD), ops.PricesOf, countOf(r.Days, "day")))
	}
	if len(r.Now.Cold) > 0 {
		field("takes", replay.ThawTime(r.Now.Cold, r.Tier))
	}
	if r.Ready {
		field("next", "everything can be read: `kxops --access change replay apply "+shellWord(name)+"`")
	}
	return t.printText(p.b.String())
}

func coldText(of []ops.ReplayCold) string {
	var parts []string
	for _, c := range of {
		parts = append(parts, fmt.Sprintf("%s in %s, %s", thousands(c.Objects), c.Class, sizeText(float64(c.Bytes))))
	}
	return strings.Join(parts, "; ")
}

// thaw looks at a waiting plan again, and at what is behind its target now.
func (t *tapes) thaw(ctx context.Context, plan ops.ReplayPlan, path string) (ops.ReplayPlan, []ops.ReplaySample, error) {
	var ask ops.ReplayAsk
	switch plan.To.Kind {
	case ops.KindNull, ops.KindFile:
	default:
		var account string
		ask.Links, account = t.behind(ctx)
		ask.Protect = t.account.guarded(account)
	}
	now, samples, err := t.desk.Thaw(ctx, plan, ask)
	var p *ops.Problem
	if errors.As(err, &p) && p.Fault == ops.FaultRefused {
		return plan, nil, refused("not applied: "+p.What, strings.ReplaceAll(p.Hint, "PLAN", shellWord(path)))
	}
	return now, samples, err
}
