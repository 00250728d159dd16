package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/ops"
)

// doubtUSD is the most that a backtest may cost without being asked about.
const doubtUSD = 0.10

// makeFlags say what becomes of alarms that are not as they should be.
type makeFlags struct {
	prune     bool
	adopt     bool
	duplicate bool
	loud      bool
	verbose   bool
}

// makeNames are the flags of makeFlags that a saved plan contradicts.
var makeNames = []string{"prune", "adopt", "duplicate", "loud"}

func (f *makeFlags) register(c *cobra.Command) {
	fs := c.Flags()
	fs.BoolVar(&f.prune, "prune", false, "also delete our alarms whose resource or rule is gone; each resource is asked for again first")
	fs.BoolVar(&f.adopt, "adopt", false, "take over alarms of others that do the same")
	fs.BoolVar(&f.duplicate, "duplicate", false, "make ours also where an alarm of others does the same")
	fs.BoolVar(&f.loud, "loud", false, "create with actions on, also where more than 20 alarms are new")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "every field, and what stays as it is")
}

func (f *makeFlags) check() error {
	if f.adopt && f.duplicate {
		return wrongUsage("--adopt takes over what --duplicate makes again; leave one of them out")
	}
	return nil
}

func (f *makeFlags) into(a *alarms.Ask) {
	a.Prune, a.Adopt, a.Duplicate, a.Loud = f.prune, f.adopt, f.duplicate, f.loud
}

// planExitCodes is a paragraph of the help.
const planExitCodes = `Exit codes: 0 done · 1 error · 2 wrong usage · 3 something could not be read, so it is
unknown whether there should be an alarm · 4 something stands against the plan · 10 there
is something to do (--detailed-exitcode; wins over 3).`

func newAlarmsPlan(s *session) *cobra.Command {
	var scope scopeFlags
	var make makeFlags
	var out string
	var detailed bool
	var over spanFlag
	c := &cobra.Command{
		Use:   "plan",
		Short: "What would be created, changed and deleted, with each threshold's formula",
		Long: `Looks at the account, reads the alarms that exist, and prints what would have to change,
one line for each alarm, grouped by pipeline:

  + create   ~ change   - delete   < take over   o orphan (its resource or rule is gone)
  = as it should be, and c covered by an alarm of others, show with -v

It only reads. --backtest tries each new alarm on the past first and says how often it
would have fired; what that costs is said before.

` + planExitCodes,
		Example: `  kxops alarms plan
  kxops alarms plan --tier R --pipeline orders --backtest 7d
  kxops alarms plan --plan-out alarms.plan`,
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("plan-out") && out == "" {
				return wrongUsage("--plan-out needs the name of a file")
			}
			if err := firstError(scope.check(c), make.check(), checkOver(over)); err != nil {
				return err
			}
			return s.alarmsPlan(c.Context(), scope, make, out, detailed, time.Duration(over))
		},
	}
	scope.register(c)
	scope.registerTopics(c)
	make.register(c)
	c.Flags().StringVar(&out, "plan-out", "", "write the plan into this new file: `kxops alarms apply --plan` applies exactly that")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 10 when there is something to do")
	c.Flags().Var(&over, "backtest", "try each new alarm on so much of the past, such as 7d")
	return c
}

func (s *session) alarmsPlan(ctx context.Context, scope scopeFlags, make makeFlags, out string, detailed bool, over time.Duration) error {
	r, plan, err := s.plannedAlarms(ctx, scope, make.into)
	if err != nil {
		return err
	}
	shown := alarmPlan{plan: plan, verbose: make.verbose}
	if over > 0 {
		if shown.trials, err = r.trialsOf(ctx, plan, over); err != nil {
			return err
		}
		shown.over = ops.Span(over.Seconds())
	}
	if err := r.printAlarmPlan(shown, false); err != nil {
		return err
	}
	if len(plan.Blockers) > 0 {
		return refused("this plan could not be applied: "+strings.Join(plan.Blockers, "; "), "")
	}
	if out != "" && !r.dryRun {
		if err := writePlan(out, plan); err != nil {
			return err
		}
		r.say(fmt.Sprintf("the plan is in %s; `kxops --access change alarms apply --plan %s` applies it", out, shellWord(out)))
	}
	if detailed && tallied(plan.Items).changes() > 0 {
		return &exitWith{code: exitFindings}
	}
	return planCode(plan)
}

// plannedAlarms looks, and plans what the flags ask for.
func (s *session) plannedAlarms(ctx context.Context, scope scopeFlags, more func(*alarms.Ask)) (*rounds, alarms.Plan, error) {
	r, err := s.lookedAround(ctx)
	if err != nil {
		return nil, alarms.Plan{}, err
	}
	ask, err := r.wish(ctx, scope)
	if err != nil {
		return nil, alarms.Plan{}, err
	}
	more(&ask)
	if missing := cmp.Or(r.noTopic("page", ask.Settings.Page), r.noTopic("can wait", ask.Settings.Ticket)); missing != nil {
		return nil, alarms.Plan{}, missing
	}
	plan, err := r.desk.Plan(ctx, r.snapshot, ask)
	return r, plan, err
}

// planCode is 3 when something could not be read; what it is was printed.
func planCode(plan alarms.Plan) error {
	if len(plan.Partial) > 0 || len(unknownSkips(plan)) > 0 {
		return &exitWith{code: exitPartial}
	}
	return nil
}

// printAlarmPlan writes the plan for people or as a document; as one of two
// documents it is one line.
func (r *rounds) printAlarmPlan(x alarmPlan, line bool) error {
	switch {
	case r.json() && line:
		return r.printLine(newAlarmPlanReport(x))
	case r.json():
		return r.printJSON(newAlarmPlanReport(x))
	}
	p := r.paper()
	p.alarmPlan(x)
	return r.printText(p.b.String())
}

// alarmPlanReport is a plan as a document: the plan as it is saved, and what a
// script would have to count.
type alarmPlanReport struct {
	alarms.Plan
	Counts map[alarms.Action]int `json:"counts"`
	Trials []alarms.Trial        `json:"backtest,omitempty"`
}

func newAlarmPlanReport(x alarmPlan) alarmPlanReport {
	r := alarmPlanReport{Plan: x.plan, Counts: tallied(x.plan.Items)}
	for _, i := range x.plan.Items {
		if t, ok := x.trials[i.Name]; ok {
			r.Trials = append(r.Trials, t)
		}
	}
	return r
}

func newAlarmsDrift(s *session) *cobra.Command {
	var scope scopeFlags
	var check, verbose bool
	c := &cobra.Command{
		Use:   "drift",
		Short: "Which alarms are missing, different, or without their resource; --check for CI",
		Long: `The plan again, read the other way: which alarms are not as the resources' present
configuration asks for. Somebody changed one, a retention or a shard count changed, a
resource is new or gone. It only reads.

Exit codes: 0 no drift, or without --check · 1 error · 2 wrong usage · 3 something could
not be read · 10 there is drift (--check; wins over 3).`,
		Example: "  kxops alarms drift --check",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := scope.check(c); err != nil {
				return err
			}
			r, plan, err := s.plannedAlarms(c.Context(), scope, func(*alarms.Ask) {})
			if err != nil {
				return err
			}
			if err := r.printAlarmPlan(alarmPlan{plan: plan, verbose: verbose, drift: true}, false); err != nil {
				return err
			}
			if check && tallied(plan.Items).drifted() > 0 {
				return &exitWith{code: exitFindings}
			}
			return planCode(plan)
		},
	}
	scope.register(c)
	scope.registerTopics(c)
	c.Flags().BoolVar(&check, "check", false, "exit with 10 when there is drift")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "every field, and what stays as it is")
	return c
}
