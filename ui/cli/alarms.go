package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/alarms/watch"
	"kxops/ops"
	"kxops/ops/survey"
	"kxops/ui/config"
)

// alarmsCommands is THE list of what can be done with alarms.
var alarmsCommands = []func(*session) *cobra.Command{
	newAlarmsCoverage,
	newAlarmsPlan,
	newAlarmsApply,
	newAlarmsDrift,
	newAlarmsDoctor,
	newAlarmsDrill,
	newAlarmsMute,
	newAlarmsBacktest,
	newAlarmsExport,
	newAlarmsRm,
	newAlarmsRules,
}

func newAlarms(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "alarms",
		Short: "The CloudWatch alarms that should exist: what is missing, plan, apply, prove",
		Long: `Works out which CloudWatch alarms should exist for what is in this account and region,
each threshold computed from the resource's own configuration and shown with its formula,
and makes them.

AWS is the only memory: an alarm is ours when its name begins with kxops/, it has the tag
kxops:managed=true and says so in its description. Nothing else is ever changed or
deleted. Somebody else's alarm that does the same counts.

What changes something is a plan first: printed whole, asked about, then applied. It
needs --access change; --dry-run stops after the plan, --yes does not ask.`,
		Example: `  kxops alarms coverage
  kxops alarms plan --backtest 7d
  kxops --access change alarms apply --topic oncall
  kxops alarms doctor`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, add := range alarmsCommands {
		c.AddCommand(add(s))
	}
	return c
}

// rounds is one alarms command at work: a desk and, where the command is about
// what should exist, a look at everything.
type rounds struct {
	*session
	account  *account
	desk     *watch.Desk
	snapshot ops.Snapshot
}

// onRounds opens the account's desk for alarms, without looking.
func (s *session) onRounds(ctx context.Context) (*rounds, error) {
	a, err := s.reach(ctx)
	if err != nil {
		return nil, err
	}
	d, err := a.watchDesk(ctx)
	if err != nil {
		return nil, err
	}
	return &rounds{session: s, account: a, desk: d}, nil
}

// look looks at the account once, completely, and says what could not be read.
func (r *rounds) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	bar := r.progressLine()
	defer bar.end()
	bar.show("looking at the account")
	r.snapshot = r.account.collect(ctx, survey.Ask{}, nil)
	if err := ctx.Err(); err != nil {
		return err
	}
	return nothingRead(r.snapshot)
}

// lookedAround opens the desk and looks.
func (s *session) lookedAround(ctx context.Context) (*rounds, error) {
	r, err := s.onRounds(ctx)
	if err != nil {
		return nil, err
	}
	return r, r.look(ctx)
}

// mayChange refuses, before anything is planned, a change that the session's
// access level does not allow or that nobody can say yes to.
func (r *rounds) mayChange() error {
	if r.dryRun {
		return nil
	}
	return firstError(mayChange(r.account), r.somebodyToAsk())
}

// scopeFlags say which alarms are meant.
type scopeFlags struct {
	tier      choiceFlag
	pipeline  string
	rules     []string
	resources []string
	topic     string
	ticket    string
	gone      bool // resources that are meant need not be here any more
	topics    bool // it matters who is told
}

// scopeNames are the flags of scopeFlags.
var scopeNames = []string{"tier", "pipeline", "rule", "resource", "topic", "ticket-topic"}

func (f *scopeFlags) register(c *cobra.Command) {
	f.tier = choiceFlag{allowed: []string{"E", "R", "F"}}
	fs := c.Flags()
	fs.Var(&f.tier, "tier", "E (essential), R (and recommended) or F (full set); default: as configured, else E")
	fs.StringVar(&f.pipeline, "pipeline", "", "only resources that are connected with this one")
	fs.StringArrayVar(&f.rules, "rule", nil, "only this rule: an id or a pattern such as 'kds.*'; may be repeated")
	fs.StringArrayVar(&f.resources, "resource", nil, "only this resource: a name, an ARN or a pattern; may be repeated")
	completeWith(c, "tier", f.tier.allowed)
	complete(c, "rule", ruleIDs)
}

// registerTopics adds who is told.
func (f *scopeFlags) registerTopics(c *cobra.Command) {
	f.topics = true
	c.Flags().StringVar(&f.topic, "topic", "", "SNS topic of alarms that page: name or ARN; default: as configured")
	c.Flags().StringVar(&f.ticket, "ticket-topic", "", "SNS topic of alarms that can wait; default: as configured, else the same")
}

// check finds what is wrong with the flags before anything is asked.
func (f *scopeFlags) check(c *cobra.Command) error {
	for _, n := range scopeNames {
		flag := c.Flags().Lookup(n)
		if flag == nil || !flag.Changed {
			continue
		}
		if v := flag.Value.String(); v == "" || v == "[]" {
			return wrongUsage("--" + n + " needs a value")
		}
	}
	return firstError(knownRules(f.rules), topicFlag("topic", f.topic), topicFlag("ticket-topic", f.ticket))
}

func topicFlag(name, value string) error {
	if value == "" || config.IsTopic(value) {
		return nil
	}
	return wrongUsage(fmt.Sprintf("--%s must be the name or the ARN of an SNS topic, not %q", name, value))
}

// wish is what is wanted, by the flags over the configuration.
func (r *rounds) wish(ctx context.Context, f scopeFlags) (alarms.Ask, error) {
	out := alarms.Ask{Pipeline: f.pipeline, Rules: f.rules, Resources: f.resources, Reason: r.reason}
	if err := r.known(f); err != nil {
		return out, err
	}
	c, err := r.configuration()
	if err != nil {
		return out, err
	}
	out.Settings, err = alarmSettings(c, r.account.set.Name, r.snapshot, config.Alarms{Tier: alarms.Tier(f.tier.value), Page: f.topic, Ticket: f.ticket})
	if err != nil || !f.topics {
		return out, err
	}
	kept, err := keepTopics(ctx, r.desk, &out.Settings)
	if kept {
		r.say("no topic is named: the alarms tell " + out.Settings.Page.Name() + ", as ours here do already")
	}
	return out, err
}

// known refuses the name of a resource that is not here. A pattern may match
// nothing, and so may a name when not everything could be read.
func (r *rounds) known(f scopeFlags) error {
	if f.gone {
		return nil
	}
	names := f.resources
	if f.pipeline != "" {
		names = append(slices.Clone(names), f.pipeline)
	}
	verdicts := alarms.Judge(r.snapshot, r.account.clock())
	for _, name := range names {
		if strings.ContainsAny(name, "*?[") {
			continue
		}
		if !slices.ContainsFunc(verdicts, func(v alarms.Verdict) bool { return v.Name == name || string(v.ARN) == name }) {
			return unknownResource(name, verdicts)
		}
	}
	return nil
}

// notRead are the sections of the look that could not be read whole, in words.
func notRead(s ops.Snapshot) []string {
	var out []string
	for _, x := range s.Sections() {
		switch {
		case x.Problem != nil:
			out = append(out, x.Name+": "+oneLine(x.Problem.Error()))
		case x.Partial:
			out = append(out, fmt.Sprintf("%s: %d of %d", x.Name, x.Count, x.Known))
		}
	}
	return out
}
