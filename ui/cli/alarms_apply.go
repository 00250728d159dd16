package cli

import (
	"cmp"
	"context"
	"fmt"
	"github.com/spf13/cobra"
	"slices"
	"strings"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

const (
	// manyChanges is how many alarms are changed on a mere y.
	manyChanges = 100

	// pageTopic and ticketTopic are the topics that are offered where none is configured.
	pageTopic, ticketTopic = "kxops-page", "kxops-ticket"
)

// applyFlags are all that `kxops alarms apply` takes beside the scope.
type applyFlags struct {
	scope     scopeFlags
	make      makeFlags
	planIn    string
	makeTopic bool
}

func newAlarmsApply(s *session) *cobra.Command {
	var f applyFlags
	c := &cobra.Command{
		Use:   "apply",
		Short: "Make the alarms that should exist: plan, show, ask, apply",
		Long: `Plans as "kxops alarms plan" does, shows the plan, asks, and applies it at CloudWatch's
quota of writes. Of an alarm that exists only the fields that kxops owns are changed:
actions that somebody added, a switch that somebody turned, a warm-up stay. What is
interrupted is finished by running it again; a second run says "no changes".

Alarms tell an SNS topic. Where none is named, apply offers to create ` + pageTopic + ` and
` + ticketTopic + ` with a policy that lets CloudWatch publish; with --yes it goes on without,
and says so. --make-topic creates topics that are named and not there.

More than 20 new alarms are created with actions off and switched on after one evaluation,
so that nobody gets a message for each; --loud does not wait.

` + planExitCodes + `
apply: also 3 when some alarm could not be written.`,
		Example: `  kxops --access change alarms apply --topic oncall
  kxops --access change --yes alarms apply --tier R --pipeline orders
  kxops --access change alarms apply --plan alarms.plan`,
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c, s); err != nil {
				return err
			}
			if f.planIn != "" {
				return s.applySavedAlarms(c.Context(), f)
			}
			return s.alarmsApply(c.Context(), f)
		},
	}
	f.scope.register(c)
	f.scope.registerTopics(c)
	f.make.register(c)
	c.Flags().BoolVar(&f.makeTopic, "make-topic", false, "create the topics that are named and do not exist")
	c.Flags().StringVar(&f.planIn, "plan", "", "apply exactly this plan, if nothing changed since")
	return c
}

func (f *applyFlags) check(c *cobra.Command, s *session) error {
	if c.Flags().Changed("plan") && f.planIn == "" {
		return wrongUsage("--plan needs the name of a file")
	}
	if f.planIn == "" {
		return firstError(f.scope.check(c), f.make.check())
	}
	var others []string
	for _, n := range slices.Concat(scopeNames, makeNames, []string{"make-topic"}) {
		if c.Flags().Changed(n) {
			others = append(others, "--"+n)
		}
	}
	if s.reason != "" {
		others = append(others, "--reason")
	}
	if len(others) > 0 {
		return wrongUsage("--plan applies a plan as it stands; leave out " + strings.Join(others, ", "))
	}
	return nil
}

func (s *session) alarmsApply(ctx context.Context, f applyFlags) error {
	r, err := s.onRounds(ctx)
	if err != nil {
		return err
	}
	if err := firstError(r.mayChange(), r.look(ctx)); err != nil {
		return err
	}
	ask, err := r.wish(ctx, f.scope)
	if err != nil {
		return err
	}
	f.make.into(&ask)
	if err := r.chooseTopics(ctx, &ask.Settings, f.makeTopic); err != nil {
		return err
	}
	plan, err := r.desk.Plan(ctx, r.snapshot, ask)
	if err != nil {
		return err
	}
	return r.carryOut(ctx, plan, f.make.verbose)
}

// applySavedAlarms applies a plan that was saved, as it stands; whether it is
// about this account and still true is checked by the desk.
func (s *session) applySavedAlarms(ctx context.Context, f applyFlags) error {
	plan, err := readAlarmPlan(f.planIn)
	if err != nil {
		return err
	}
	r, err := s.onRounds(ctx)
	if err != nil {
		return err
	}
	if err := r.mayChange(); err != nil {
		return err
	}
	return r.carryOut(ctx, plan, f.make.verbose)
}

func readAlarmPlan(path string) (alarms.Plan, error) {
	var plan alarms.Plan
	if err := readPlanFile(path, &plan); err != nil {
		return plan, err
	}
	if plan.Schema != alarms.PlanSchema {
		return plan, wrongUsage(fmt.Sprintf("%s is no plan of alarms: its schema is %q, not %q", path, plan.Schema, alarms.PlanSchema))
	}
	if err := plan.Check(); err != nil {
		return plan, refused(fmt.Sprintf("%s: %v", path, err), "make a new one with `kxops alarms plan --plan-out`")
	}
	return plan, nil
}

// carryOut shows a plan whole, asks, applies it and tells what became of it.
func (r *rounds) carryOut(ctx context.Context, plan alarms.Plan, verbose bool) error {
	todo := tallied(plan.Items).changes()
	if err := r.printAlarmPlan(alarmPlan{plan: plan, verbose: verbose}, !r.dryRun && todo > 0); err != nil {
		return err
	}
	switch {
	case len(plan.Blockers) > 0:
		return refused("not applied: "+strings.Join(plan.Blockers, "; "), "")
	case r.dryRun, todo == 0:
		return planCode(plan)
	}
	if plan.Page == "" && tallied(plan.Items)[alarms.Create] > 0 {
		r.say("warning: no topic is configured, so NOBODY WILL HEAR THESE ALARMS: they show in CloudWatch and in kxops only")
	}
	if err := r.confirm(ctx, plan, todo); err != nil {
		return err
	}
	result, err := r.apply(ctx, plan)
	if err != nil {
		return err
	}
	if result.Created > 0 {
		result.Next = append(result.Next, "kxops alarms doctor says whether anybody would hear them")
	}
	if err := r.printAlarmResult(result); err != nil {
		return err
	}
	if len(result.Failed) > 0 || result.Left > 0 {
		return &exitWith{code: exitPartial}
	}
	return planCode(plan)
}

// confirm asks a person: y for a few alarms, the account's name where they are
// many or the configuration protects the account.
func (r *rounds) confirm(ctx context.Context, plan alarms.Plan, todo int) error {
	guarded := r.account.set.Protected || r.account.guards != nil && r.account.guards(plan.Account)
	if todo <= manyChanges && !guarded {
		return r.sure(ctx, "apply this? y/N ", "y", "yes")
	}
	word := cmp.Or(plan.Alias, plan.Account, plan.Region)
	return r.sure(ctx, fmt.Sprintf("%s will change; type %s to apply this: ", countOf(todo, "alarm"), text.Clean(word)), word)
}

// apply applies a plan with its progress on stderr. An interrupt stops it between
// two alarms; running it again goes on.
func (r *rounds) apply(ctx context.Context, plan alarms.Plan) (alarms.Result, error) {
	bar := r.progressLine()
	defer bar.end()
	return r.desk.Apply(ctx, plan, func(p alarms.Progress) { bar.show(applyLine(p)) })
}

func applyLine(p alarms.Progress) string {
	line := fmt.Sprintf("%s of %s alarms", thousands(p.Done), thousands(p.Total))
	if eta, ok := p.ETA.Value(); ok && eta > 0 {
		line += ", " + ops.Span(eta) + " left"
	}
	if p.Note != "" {
		line += "; " + p.Note
	}
	if p.Name != "" {
		line += "; " + p.Name
	}
	return line
}

// alarmResultReport is what became of a plan: a contract with scripts.
type alarmResultReport struct {
	Schema string `json:"schema"` // kxops/alarms-result/v1
	alarms.Result
}

func (r *rounds) printAlarmResult(result alarms.Result) error {
	if r.json() {
		return r.printLine(alarmResultReport{"kxops/alarms-result/v1", result})
	}
	p := r.paper()
	p.alarmResult(result)
	return r.printText(p.b.String())
}

func (p *printer) alarmResult(r alarms.Result) {
	word, color := "done", "32"
	if len(r.Failed) > 0 || r.Left > 0 {
		word, color = "done in part", "33"
	}
	p.folded("", p.paint("1", "alarms "+r.ID)+": "+p.paint(color, word)+
		fmt.Sprintf(", %s created, %s changed, %s deleted", thousands(r.Created), thousands(r.Updated), thousands(r.Deleted)))
	if r.Left > 0 {
		p.folded("  ", countOf(r.Left, "alarm")+" not tried: it was interrupted; the same command goes on")
	}
	p.list(p.paint("31", "failed"), min(len(r.Failed), idsShown), func(i int) {
		f := r.Failed[i]
		p.folded("  "+text.Clean(f.Name)+": ", oneLine(f.Why))
		if f.Hint != "" {
			p.folded("    ", oneLine(f.Hint))
		}
	})
	p.rest(len(r.Failed))
	p.list(p.paint("33", "in ALARM already; their actions did not run"), min(len(r.Ringing), idsShown), func(i int) {
		p.line("  " + text.Clean(r.Ringing[i]))
	})
	p.rest(len(r.Ringing))
	p.sentences("next", "", r.Next)
}

// chooseTopics makes sure that somebody can hear the alarms: topics that are
// named exist or are created when a person says so, and where none is named some
// are offered.
func (r *rounds) chooseTopics(ctx context.Context, set *alarms.Settings, create bool) error {
	if set.Page == "" && set.Ticket == "" {
		return r.offerTopics(ctx, set)
	}
	if err := r.topicThere(ctx, "page", &set.Page, create); err != nil {
		return err
	}
	if set.Ticket == set.Page {
		return nil
	}
	return r.topicThere(ctx, "can wait", &set.Ticket, create)
}

// offerTopics asks whether to create topics where none is configured. Saying no
// goes on without actions: the plan says loudly what that means.
func (r *rounds) offerTopics(ctx context.Context, set *alarms.Settings) error {
	if r.yes || r.dryRun {
		return nil
	}
	r.say("no topic is configured: nobody would hear these alarms")
	if err := r.somebodyToAsk(); err != nil {
		return err
	}
	answer, err := r.ask(ctx, fmt.Sprintf("create the SNS topics %s and %s for them? y: create · p: %s only · n: go on without ", pageTopic, ticketTopic, pageTopic))
	if err != nil {
		return err
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		if set.Page, err = r.madeTopic(ctx, pageTopic); err != nil {
			return err
		}
		set.Ticket, err = r.madeTopic(ctx, ticketTopic)
		return err
	case "p":
		set.Page, err = r.madeTopic(ctx, pageTopic)
		return err
	case "n", "no":
		return nil
	}
	return refused(fmt.Sprintf("not applied: %q is neither y, p nor n", text.Clean(answer)), "")
}

// noTopic is the problem of a topic that was named and is not here, nil when it is,
// or when that cannot be known: in another account, or where not all were read.
func (r *rounds) noTopic(what string, arn ops.ARN) *ops.Problem {
	here := r.snapshot
	if arn == "" || arn.Account() != here.Identity.Account || here.Topics.Problem != nil || here.Topics.Partial {
		return nil
	}
	var names []string
	for _, t := range here.Topics.Items {
		if t.ARN == arn {
			return nil
		}
		names = append(names, t.Name)
	}
	missing := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("there is no topic %q here for alarms that %s", arn.Name(), what), Hint: "`apply --make-topic` creates it"}
	if near := ops.Near(arn.Name(), names, 3); len(near) > 0 {
		missing.Hint = "did you mean " + orList(near) + "? `apply --make-topic` creates it"
	}
	return missing
}

// topicThere makes sure that a topic exists that was named: one that does not is
// created where a person says so.
func (r *rounds) topicThere(ctx context.Context, what string, arn *ops.ARN, create bool) error {
	missing := r.noTopic(what, *arn)
	switch {
	case missing == nil:
		return nil
	case r.dryRun, !create && r.yes:
		return missing
	case !create:
		r.say(missing.What)
		if err := r.sure(ctx, "create it? y/N ", "y", "yes"); err != nil {
			return err
		}
	}
	var err error
	*arn, err = r.madeTopic(ctx, arn.Name())
	return err
}

// madeTopic creates a topic that CloudWatch may publish to.
func (r *rounds) madeTopic(ctx context.Context, name string) (ops.ARN, error) {
	arn, err := r.desk.MakeTopic(ctx, name)
	if err != nil {
		return "", err
	}
	r.say("created the topic "+string(arn)+"; nobody is subscribed yet:",
		fmt.Sprintf("  aws sns subscribe --topic-arn %s --protocol email --notification-endpoint you@example.com", arn))
	r.snapshot.Topics.Items = append(slices.Clone(r.snapshot.Topics.Items), ops.Topic{ARN: arn, Name: name})
	return arn, nil
}

func newAlarmsRm(s *session) *cobra.Command {
	scope := scopeFlags{gone: true} // what an alarm was for may be gone
	var verbose bool
	c := &cobra.Command{
		Use:   "rm",
		Short: "Delete our alarms, and only ours: plan, show, ask, delete",
		Long: `Deletes the alarms that kxops made: all of them, or those of a set, rule, resource or
pipeline. An alarm without our name, tag and mark is never touched, and neither are
topics. Needs --access change; asks, unless --yes.

` + planExitCodes + `
rm: also 3 when some alarm could not be deleted.`,
		Example: "  kxops alarms rm --dry-run\n  kxops --access change alarms rm --tier F\n  kxops --access change alarms rm --rule 'kds.capacity_*'",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := scope.check(c); err != nil {
				return err
			}
			return s.alarmsRm(c.Context(), scope, verbose)
		},
	}
	scope.register(c)
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "every field")
	return c
}

func (s *session) alarmsRm(ctx context.Context, scope scopeFlags, verbose bool) error {
	r, err := s.onRounds(ctx)
	if err != nil {
		return err
	}
	if err := firstError(r.mayChange(), r.look(ctx)); err != nil {
		return err
	}
	ask, err := r.wish(ctx, scope)
	if err != nil {
		return err
	}
	ask.Remove, ask.Settings.Tier = true, alarms.Tier(scope.tier.value)
	plan, err := r.desk.Plan(ctx, r.snapshot, ask)
	if err != nil {
		return err
	}
	return r.carryOut(ctx, plan, verbose)
}
