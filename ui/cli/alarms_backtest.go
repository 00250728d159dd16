package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/ops"
)

// CloudWatch keeps datapoints of a minute for 15 days, of five minutes for 63.
const leastOver, mostOver = time.Hour, 63 * 24 * time.Hour

func checkOver(over spanFlag) error {
	if d := time.Duration(over); d != 0 && (d < leastOver || d > mostOver) {
		return wrongUsage(fmt.Sprintf("the past must be %s to %s: CloudWatch keeps no more", ops.Span(leastOver.Seconds()), ops.Span(mostOver.Seconds())))
	}
	return nil
}

func newAlarmsBacktest(s *session) *cobra.Command {
	var scope scopeFlags
	over := spanFlag(7 * 24 * time.Hour)
	var all bool
	c := &cobra.Command{
		Use:   "backtest",
		Short: "Try the alarms that should exist on the past: how often would each have fired",
		Long: `Reads the real history of every metric that an alarm would watch and puts it through the
same evaluation as CloudWatch's: M of N, missing data and all. Says how often each alarm
would have fired, for how long, and by which factor its threshold would have to be raised
for one alarm a week at most. The factor goes into [[alarms.override]] of the configuration.

GetMetricData is never free: what it costs is said before, and asked about above $0.10.

Exit codes: 0 done · 1 error · 2 wrong usage · 3 some history could not be read · 4 refused.`,
		Example: "  kxops alarms backtest\n  kxops alarms backtest --over 14d --tier R --rule 'kds.*'",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := firstError(scope.check(c), checkOver(over)); err != nil {
				return err
			}
			return s.alarmsBacktest(c.Context(), scope, time.Duration(over), all)
		},
	}
	scope.register(c)
	c.Flags().Var(&over, "over", "how far back, 1h to 63d; beyond 15d by five minutes")
	c.Flags().BoolVar(&all, "all", false, "print also the alarms that would not have fired (json always does)")
	return c
}

func (s *session) alarmsBacktest(ctx context.Context, scope scopeFlags, over time.Duration, all bool) error {
	r, err := s.lookedAround(ctx)
	if err != nil {
		return err
	}
	ask, err := r.wish(ctx, scope)
	if err != nil {
		return err
	}
	specs, skipped, err := r.wanted(ctx, ask)
	if err != nil {
		return err
	}
	back, err := r.backtest(ctx, specs, over)
	if err != nil || s.dryRun {
		return err
	}
	if s.json() {
		err = s.printJSON(newBacktestReport(back))
	} else {
		p := s.paper()
		p.backtest(back, all)
		err = s.printText(p.b.String())
	}
	if err != nil {
		return err
	}
	unknown := slices.ContainsFunc(back.Trials, func(t alarms.Trial) bool { return t.Unknown != "" })
	if unknown || slices.ContainsFunc(skipped, func(s alarms.Skipped) bool { return s.Unknown }) || r.snapshot.Partial() {
		return &exitWith{code: exitPartial}
	}
	return nil
}

// wanted are the alarms that should exist, whether they do or not.
func (r *rounds) wanted(ctx context.Context, ask alarms.Ask) ([]alarms.Spec, []alarms.Skipped, error) {
	ask.Duplicate = true // also what others watch already
	plan, err := r.desk.Plan(ctx, r.snapshot, ask)
	if err != nil {
		return nil, nil, err
	}
	var specs []alarms.Spec
	for _, i := range plan.Items {
		if i.Spec != nil {
			specs = append(specs, *i.Spec)
		}
	}
	r.say(notRead(r.snapshot)...)
	return specs, plan.Skipped, nil
}

// backtest says what it costs, asks where that is much, and tries.
func (r *rounds) backtest(ctx context.Context, specs []alarms.Spec, over time.Duration) (alarms.Backtest, error) {
	usd, calls := r.desk.TrialCost(specs, over)
	r.say(fmt.Sprintf("trying %s on the last %s: about %s, %s", countOf(len(specs), "alarm"), ops.Span(over.Seconds()), countOf(calls, "call"), dollars(usd)))
	if r.dryRun {
		return alarms.Backtest{}, nil
	}
	if usd > doubtUSD {
		if err := r.sure(ctx, fmt.Sprintf("spend %s? y/N ", dollars(usd)), "y", "yes"); err != nil {
			return alarms.Backtest{}, err
		}
	}
	bar := r.progressLine()
	defer bar.end()
	return r.desk.Backtest(ctx, specs, over, func(done, total int) {
		bar.show(fmt.Sprintf("tried %s of %s", thousands(done), thousands(total)))
	})
}

// trialsOf tries the alarms that a plan would create or change.
func (r *rounds) trialsOf(ctx context.Context, plan alarms.Plan, over time.Duration) (map[string]alarms.Trial, error) {
	var specs []alarms.Spec
	for _, i := range plan.Items {
		if i.Spec != nil && (i.Action == alarms.Create || i.Action == alarms.Update) {
			specs = append(specs, *i.Spec)
		}
	}
	if len(specs) == 0 {
		return nil, nil
	}
	back, err := r.backtest(ctx, specs, over)
	trials := map[string]alarms.Trial{}
	for _, t := range back.Trials {
		trials[t.Name] = t
	}
	return trials, err
}

// backtestReport is `kxops alarms backtest -o json`: a contract with scripts.
type backtestReport struct {
	Schema string `json:"schema"` // kxops/backtest/v1
	alarms.Backtest
}

func newBacktestReport(b alarms.Backtest) backtestReport {
	if b.Trials == nil {
		b.Trials = []alarms.Trial{}
	}
	return backtestReport{"kxops/backtest/v1", b}
}

func (p *printer) backtest(b alarms.Backtest, all bool) {
	fired, unknown := 0, 0
	trials := slices.Clone(b.Trials)
	for _, t := range trials {
		switch {
		case t.Unknown != "":
			unknown++
		case t.Fired > 0 || t.Ringing:
			fired++
		}
	}
	line := fmt.Sprintf("%s tried from %s to %s: %s would have fired", countOf(len(trials), "alarm"), stamp(b.From), stamp(b.Until), thousands(fired))
	if unknown > 0 {
		line += ", " + thousands(unknown) + " unknown"
	}
	p.folded("", fmt.Sprintf("%s (%s, %s)", line, countOf(b.Calls, "call"), dollars(b.USD)))
	slices.SortStableFunc(trials, func(a, b alarms.Trial) int { return b.Fired - a.Fired })
	var rows [][]string
	for _, t := range trials {
		if !all && t.Fired == 0 && !t.Ringing && t.Unknown == "" {
			continue
		}
		rows = append(rows, trialRow(t))
	}
	if len(rows) > 0 {
		p.b.WriteByte('\n')
		p.aligned([]string{"RULE", "RESOURCE", "FIRED", "LONGEST", "FIRST", "NOW", "DATA", "FACTOR"}, rows)
	}
	if quiet := len(trials) - len(rows); quiet > 0 {
		p.line(fmt.Sprintf("and %s that would not have fired; --all shows them", thousands(quiet)))
	}
}

func trialRow(t alarms.Trial) []string {
	row := []string{t.Rule, named(t.Resource.Name()), thousands(t.Fired), "-", "-", "ok", "-", "-"}
	if t.Resource == "" {
		row[1] = "the region"
	}
	if t.Unknown != "" {
		row[2], row[5], row[7] = "?", "?", oneLine(t.Unknown)
		return row
	}
	if t.Fired > 0 || t.Ringing {
		row[3], row[4] = ops.Span(t.Longest), stamp(t.First)
	}
	if t.Ringing {
		row[5] = "ALARM"
	}
	if t.Periods > 0 {
		row[6] = fmt.Sprintf("%d%%", 100*t.Points/t.Periods)
	}
	if t.Factor > 0 {
		row[7] = strconv.FormatFloat(t.Factor, 'g', 3, 64)
	}
	return row
}
