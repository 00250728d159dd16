package watch

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
)

const (
	// writesPerSecond is CloudWatch's quota of PutMetricAlarm, DeleteAlarms and
	// EnableAlarmActions, each. Source: CloudWatch service quotas.
	writesPerSecond = 3.0
	// tagsPerSecond is its quota of TagResource. Source: as above.
	tagsPerSecond = 20.0
	// batch is how many names one call of DeleteAlarms or EnableAlarmActions takes.
	batch = 100
	// quietFrom is how many new alarms are created quietly unless one asks otherwise:
	// each would otherwise send its first OK at once.
	quietFrom = 20
)

// catalogue is what the rules want of an account.
type catalogue struct {
	wanted  alarms.Wanted
	wide    alarms.Wanted // of every tier: what exists of a larger set is kept up to date
	unread  []string      // what could not be read for it
	warning string
}

// Plan works out what to do about the alarms of an account, by reading only. Tags
// of resources that ask does not bring are read here. A plan with Partial is true
// for what it holds, but does not hold all.
func (d *Desk) Plan(ctx context.Context, s ops.Snapshot, ask alarms.Ask) (alarms.Plan, error) {
	c, ask, err := d.catalogue(ctx, s, ask)
	if err != nil {
		return alarms.Plan{}, err
	}
	return d.plan(ctx, s, ask, c)
}

// catalogue asks the rules.
func (d *Desk) catalogue(ctx context.Context, s ops.Snapshot, ask alarms.Ask) (catalogue, alarms.Ask, error) {
	var c catalogue
	if ask.Remove {
		return c, ask, nil
	}
	if ask.Settings.Tags == nil {
		tags, err := d.ReadTags(ctx, slices.Collect(maps.Keys(presentIn(s))))
		ask.Settings.Tags = tags
		if p := ops.AsProblem(err); p != nil && p.Fault == ops.FaultUnsupported { // an emulator
			c.warning = p.What + ": tags of resources are not heeded"
		} else if p != nil {
			c.unread = append(c.unread, p.What+": resources whose tag switches alarms off are not told apart")
		}
	}
	if err := ask.Settings.Check(); err != nil {
		return c, ask, &ops.Problem{Fault: ops.FaultRefused, What: err.Error(), Hint: "correct it in the configuration or at the resource", Err: err}
	}
	d.ask(s, ask, &c)
	return c, ask, nil
}

// ask draws up what the rules want, of the set and of every set.
func (d *Desk) ask(s ops.Snapshot, ask alarms.Ask, c *catalogue) {
	now := d.o.Now()
	c.wanted = alarms.Want(s, ask.Settings, now)
	wide := ask.Settings
	wide.Tier = alarms.OptIn
	c.wide = alarms.Want(s, wide, now)
}

// plan works out what to do about the alarms, by reading only.
func (d *Desk) plan(ctx context.Context, s ops.Snapshot, ask alarms.Ask, c catalogue) (alarms.Plan, error) {
	if s.Identity.Account != d.o.Identity.Account || s.Identity.Region != d.o.Identity.Region {
		return alarms.Plan{}, &ops.Problem{Fault: ops.FaultRefused,
			What: fmt.Sprintf("the survey is of %s %s, the alarms are of %s %s", s.Identity.Account, s.Identity.Region, d.o.Identity.Account, d.o.Identity.Region)}
	}
	existing, err := d.Existing(ctx)
	if err != nil {
		return alarms.Plan{}, err
	}
	c = d.measured(ctx, s, ask, existing, c)
	id, err := newID(d.o.Now())
	if err != nil {
		return alarms.Plan{}, err
	}
	p := alarms.Plan{
		Schema: alarms.PlanSchema, ID: id, Account: d.o.Identity.Account, Alias: d.o.Identity.Alias, Region: d.o.Identity.Region,
		By: d.o.Identity.Who, Reason: ask.Reason, Created: d.o.Now().UTC(), Catalogue: alarms.Catalogue, Tier: ask.Settings.Tier,
		Page: ask.Settings.Page, Ticket: ask.Settings.Ticket,
	}
	if p.Tier == "" && !ask.Remove {
		p.Tier = alarms.Essential
	}
	p.Partial = c.unread
	if c.warning != "" {
		p.Warnings = append(p.Warnings, c.warning)
	}
	b := newDraft(s, ask, existing, &p)
	if ask.Remove {
		err = b.remove()
	} else {
		err = b.build(c)
		d.checkTopics(ctx, &p)
	}
	if err != nil {
		return alarms.Plan{}, err
	}
	b.total()
	return p, p.Seal()
}

// newID sorts by time and can be typed, as the journal's ids.
func newID(at time.Time) (string, error) {
	var b [3]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("name the plan: %w", err)
	}
	return at.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:]), nil
}

func (d *Desk) checkTopics(ctx context.Context, p *alarms.Plan) {
	used := map[ops.ARN]bool{}
	for _, it := range p.Items {
		for _, a := range it.Actions {
			used[ops.ARN(a)] = true
		}
	}
	for _, topic := range slices.Compact([]ops.ARN{p.Page, p.Ticket}) {
		if topic == "" || !used[topic] {
			continue
		}
		blocker, warning := d.topicCheck(ctx, topic)
		if blocker != "" {
			p.Blockers = append(p.Blockers, blocker)
		}
		if warning != "" {
			p.Warnings = append(p.Warnings, warning)
		}
	}
	if n := p.Count(alarms.Create, alarms.Update, alarms.Adopt); n > 0 && p.Page == "" && p.Ticket == "" {
		p.Warnings = append(p.Warnings, fmt.Sprintf("no topic is given: the %d alarms would tell nobody", n))
	}
}

// draft is a plan in the making.
type draft struct {
	*alarms.Plan
	ask       alarms.Ask
	snapshot  ops.Snapshot
	existing  Existing
	to        routes
	pipelines map[ops.ARN]string // names
	part      map[ops.ARN]bool   // the resources of ask.Pipeline
	foreign   map[string][]*Alarm
	adopted   map[string]*Alarm // by Mark.As
	used      map[*Alarm]bool   // what this plan keeps, changes or adopts
	present   map[ops.ARN]bool  // the resources that the survey found
}

func newDraft(s ops.Snapshot, ask alarms.Ask, e Existing, p *alarms.Plan) *draft {
	b := &draft{
		Plan: p, ask: ask, snapshot: s, existing: e, to: routes{ask.Settings.Page, ask.Settings.Ticket},
		foreign: map[string][]*Alarm{}, adopted: map[string]*Alarm{}, used: map[*Alarm]bool{}, present: presentIn(s),
	}
	b.pipelines, b.part = pipelinesOf(s, ask.Pipeline)
	for i := range e.Metric {
		a := &e.Metric[i]
		if a.Managed() {
			if a.Mark.As != "" {
				b.adopted[a.Mark.As] = a
			}
			continue
		}
		if key := watchesKey(copied(a.MetricAlarm)); key != "" && !a.untagged {
			b.foreign[key] = append(b.foreign[key], a)
		}
	}
	for _, x := range s.Sections() {
		if x.Name != "alarms" && (x.Partial || x.Problem != nil || x.At.IsZero()) { // alarms were read just now
			what := x.Name + " could not be read whole"
			if x.Problem != nil {
				what += ": " + x.Problem.What
			}
			p.Partial = append(p.Partial, what)
		}
	}
	if s.Recalled {
		p.Partial = append(p.Partial, "the survey is of an earlier run")
	}
	p.Partial = append(p.Partial, e.Partial...)
	return b
}

// build fills the plan with what the rules want.
func (b *draft) build(c catalogue) error {
	wanted := map[string]bool{}
	for _, s := range c.wanted.Specs {
		if wanted[s.Name] { // one would overwrite the other, for ever
			b.Skipped = append(b.Skipped, alarms.Skipped{Rule: s.Rule, Resource: s.Resource, Unknown: true, Why: "its alarm would have the name of another: " + s.Name})
			continue
		}
		wanted[s.Name] = true
		if err := b.wish(s); err != nil {
			return err
		}
	}
	wide := map[string]alarms.Spec{}
	for _, s := range c.wide.Specs {
		if !wanted[s.Name] {
			wide[s.Name], wide[shortSum(s.Name)] = s, s
		}
	}
	for i := range b.existing.Metric {
		a := &b.existing.Metric[i]
		if !a.Managed() || b.used[a] || wanted[a.Name()] || !b.selects(a.Mark.Rule, a.Mark.Resource) {
			continue
		}
		s, ok := wide[a.Name()]
		if a.Mark.As != "" {
			s, ok = wide[a.Mark.As]
		}
		err := error(nil)
		if ok {
			err = b.compare(s, a)
		} else {
			err = b.leftOver(a, slices.Concat(c.wanted.Skipped, c.wide.Skipped))
		}
		if err != nil {
			return err
		}
	}
	for _, x := range c.wanted.Skipped {
		if b.selects(x.Rule, x.Resource) {
			b.Skipped = append(b.Skipped, x)
		}
	}
	b.findings()
	return nil
}

// selects reports whether a rule on a resource is within what was asked for.
func (b *draft) selects(rule string, resource ops.ARN) bool {
	if b.ask.Pipeline != "" && !b.part[resource] {
		return false
	}
	if len(b.ask.Rules) > 0 && !slices.ContainsFunc(b.ask.Rules, func(p string) bool { return matches(p, rule) }) {
		return false
	}
	return len(b.ask.Resources) == 0 || slices.ContainsFunc(b.ask.Resources, func(p string) bool {
		return resource != "" && (p == string(resource) || matches(p, resource.Name()))
	})
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return pattern == name || err == nil && ok
}

// wish plans one alarm that the rules want.
func (b *draft) wish(s alarms.Spec) error {
	if !b.selects(s.Rule, s.Resource) {
		return nil
	}
	there := b.existing.Named(s.Name)
	if there == nil {
		there = b.adopted[shortSum(s.Name)]
	}
	switch {
	case there == nil:
		return b.wishNew(s)
	case there.untagged:
		b.Skipped = append(b.Skipped, alarms.Skipped{Rule: s.Rule, Resource: s.Resource, Unknown: true, Why: "whether the alarm " + there.Name() + " is ours could not be read"})
		return nil
	case there.Managed():
		return b.compare(s, there)
	case b.ask.Adopt:
		return b.adopt(s, there)
	}
	b.add(alarms.Item{Action: alarms.Covered, Name: s.Name, Spec: &s, By: []string{there.Name()}, Why: "an alarm of this name exists that does not carry our tag; --adopt takes it over"})
	return nil
}

// wishNew plans an alarm that does not exist by our name.
func (b *draft) wishNew(s alarms.Spec) error {
	in := wanted(s, b.to, nil)
	same := b.foreign[watchesKey(in)]
	switch {
	case len(same) == 0 || b.ask.Duplicate:
		b.create(s)
		return nil
	case !b.ask.Adopt:
		it := alarms.Item{Action: alarms.Covered, Name: s.Name, Spec: &s}
		var says []string
		for _, a := range same {
			it.By = append(it.By, a.Name())
			says = append(says, comparison(a))
		}
		it.Why = strings.Join(says, "; ") + "; ours: " + thresholdText(in)
		b.add(it)
		return nil
	}
	for _, a := range same {
		if !b.used[a] {
			return b.adopt(s, a)
		}
	}
	b.create(s) // all equivalents stand for other rules now
	return nil
}

func (b *draft) create(s alarms.Spec) {
	b.add(alarms.Item{Action: alarms.Create, Name: s.Name, Spec: &s, Actions: b.to.of(s)})
}

// comparison says what somebody else's alarm does, and whether it tells anybody.
func comparison(a *Alarm) string {
	text := a.Name() + ": " + thresholdText(copied(a.MetricAlarm))
	switch {
	case len(a.AlarmActions) == 0:
		text += ", has no action"
	case !aws.ToBool(a.ActionsEnabled):
		text += ", its actions are off"
	}
	return text
}

var signs = map[string]string{"GreaterThanThreshold": ">", "GreaterThanOrEqualToThreshold": ">=", "LessThanThreshold": "<", "LessThanOrEqualToThreshold": "<="}

func thresholdText(in *cloudwatch.PutMetricAlarmInput) string {
	values := map[string]string{}
	for _, f := range owned(in) {
		values[f.name] = f.value
	}
	sign := signs[values["comparison"]]
	if sign == "" {
		sign = values["comparison"]
	}
	return strings.Join(slices.DeleteFunc([]string{sign, values["threshold"], "in", values["datapoints"], values["statistic"], values["period"]}, func(s string) bool { return s == "" }), " ")
}

// compare plans an alarm that is ours.
func (b *draft) compare(s alarms.Spec, there *Alarm) error {
	b.used[there] = true
	s = steadfast(s, there)
	it := alarms.Item{Action: alarms.Keep, Name: there.Name(), Spec: &s, Changes: changes(there, s, b.to), Actions: b.to.of(s)}
	if len(it.Changes) > 0 {
		it.Action = alarms.Update
	}
	return b.addSeen(it, there)
}

// steadfast keeps a rule's own word about missing data once the alarm has it. The
// catalogue softens it where the metric was not seen lately; but when the last
// reader dies the metric goes too, and the alarm must not be told in the middle of
// an incident that silence is good.
func steadfast(s alarms.Spec, there *Alarm) alarms.Spec {
	r, ok := alarms.RuleOf(s.Rule)
	if ok && r.Watch != nil && r.Watch.Missing == alarms.MissingIsBad && there.Ours() && aws.ToString(there.TreatMissingData) == alarms.MissingIsBad {
		s.Missing = alarms.MissingIsBad
	}
	return s
}

// adopt plans to make somebody else's alarm ours. Its name stays.
func (b *draft) adopt(s alarms.Spec, there *Alarm) error {
	b.used[there] = true
	return b.addSeen(alarms.Item{Action: alarms.Adopt, Name: there.Name(), Spec: &s, Changes: changes(there, s, b.to), Actions: b.to.of(s)}, there)
}

func (b *draft) addSeen(it alarms.Item, there *Alarm) error {
	sum, err := seen(there)
	it.Seen = sum
	if ours := it.Actions; len(ours) > 0 && (it.Action == alarms.Update || it.Action == alarms.Adopt) && !slices.Contains(wanted(*it.Spec, b.to, there).AlarmActions, ours[0]) {
		b.Warnings = append(b.Warnings, fmt.Sprintf("%s has five actions of others: ours does not fit in", it.Name))
	}
	b.add(it)
	return err
}

func (b *draft) add(it alarms.Item) {
	if it.Spec != nil {
		it.Pipeline = b.pipelines[it.Spec.Resource]
		if it.Pipeline == "" {
			it.Pipeline = it.Spec.Resource.Name()
		}
	}
	b.Items = append(b.Items, it)
}

// leftOver plans an alarm of ours that no rule wants. Unknown is never gone: with
// anything unread it is kept.
func (b *draft) leftOver(a *Alarm, skipped []alarms.Skipped) error {
	b.used[a] = true
	it := alarms.Item{Action: alarms.Orphan, Name: a.Name(), Pipeline: b.pipelines[a.Mark.Resource]}
	if it.Pipeline == "" {
		it.Pipeline = a.Mark.Resource.Name()
	}
	sum, err := seen(a)
	if err != nil {
		return err
	}
	it.Seen = sum
	i := slices.IndexFunc(skipped, func(x alarms.Skipped) bool { return x.Rule == a.Mark.Rule && x.Resource == a.Mark.Resource })
	switch {
	case i >= 0 && skipped[i].Unknown:
		it.Action, it.Why = alarms.Keep, "what it should be could not be worked out: "+skipped[i].Why
	case i >= 0:
		it.Why = skipped[i].Why
	case !b.present[a.Mark.Resource] && a.Mark.Resource != "":
		it.Why, it.Gone = string(a.Mark.Resource.Kind())+" "+a.Mark.Resource.Name()+" was not found", a.Mark.Resource
	case !slices.ContainsFunc(alarms.Rules, func(r alarms.Rule) bool { return r.ID == a.Mark.Rule }):
		it.Why = "there is no rule " + a.Mark.Rule + " any more"
	default:
		it.Why = "the rule " + a.Mark.Rule + " does not apply any more"
	}
	switch {
	case it.Action == alarms.Keep:
	case len(b.Partial) > 0:
		it.Action, it.Why = alarms.Keep, it.Why+", but not everything could be read: "+b.Partial[0]
	case b.ask.Prune && it.Gone == "" && a.StateValue == types.StateValueAlarm: // what made the rule stop applying may be what it warns of
		it.Why += "; it is in ALARM, so it is not deleted"
	case b.ask.Prune && !a.Ours():
		it.Why += "; it was adopted, so kxops does not delete it"
	case b.ask.Prune:
		it.Action = alarms.Delete
	}
	b.Items = append(b.Items, it)
	return nil
}

// remove plans to delete what is ours, without asking what the rules say.
func (b *draft) remove() error {
	for i := range b.existing.Metric {
		a := &b.existing.Metric[i]
		if !a.Managed() || !b.selects(a.Mark.Rule, a.Mark.Resource) || b.ask.Settings.Tier != "" && a.Mark.Tier != b.ask.Settings.Tier {
			continue
		}
		if !a.Ours() {
			b.Warnings = append(b.Warnings, fmt.Sprintf("%s was adopted: kxops does not delete what it did not make", a.Name()))
			continue
		}
		sum, err := seen(a)
		if err != nil {
			return err
		}
		b.Items = append(b.Items, alarms.Item{Action: alarms.Delete, Name: a.Name(), Pipeline: b.pipelines[a.Mark.Resource], Seen: sum, Why: "asked for"})
	}
	return nil
}

// findings are what is wrong and no alarm can help.
func (b *draft) findings() {
	silent := map[string]bool{}
	for _, r := range alarms.Rules {
		silent[r.ID] = r.Watch == nil
	}
	for _, v := range alarms.Judge(b.snapshot, b.Created) {
		for _, f := range v.Findings {
			if silent[f.Rule] && b.selects(f.Rule, f.Resource) {
				b.Findings = append(b.Findings, f)
			}
		}
	}
}

// total orders the items and adds up what they cost.
func (b *draft) total() {
	slices.SortStableFunc(b.Items, func(x, y alarms.Item) int { return strings.Compare(x.Pipeline, y.Pipeline) })
	puts, deletes, tags, metrics := 0, 0, 0, 0
	for _, it := range b.Items {
		switch it.Action {
		case alarms.Create:
			puts++
			metrics += it.Spec.Metrics()
		case alarms.Update, alarms.Adopt:
			puts++
			tags++
			metrics += it.Spec.Metrics() - b.billed(it.Name)
		case alarms.Delete:
			deletes++
			metrics -= b.billed(it.Name)
		}
	}
	created := b.Count(alarms.Create)
	b.Quiet = created > quietFrom && !b.ask.Loud
	b.USDMonth = float64(metrics) * ops.PriceAlarmMetric
	calls := puts + (deletes+batch-1)/batch
	if b.Quiet {
		calls += (created + batch - 1) / batch
		tags += created
	}
	b.Seconds = float64(calls)/writesPerSecond + float64(tags)/tagsPerSecond
	if len(b.Partial) > 0 && b.ask.Prune {
		b.Warnings = append(b.Warnings, "nothing is pruned: "+b.Partial[0])
	}
	if n := b.Count(alarms.Adopt); n > 0 {
		b.Warnings = append(b.Warnings, fmt.Sprintf("%d adopted alarms keep their names: the identity needs its permissions on them, not only on kxops*", n))
	}
}

// billed is how many alarm metrics CloudWatch bills for an alarm that exists.
func (b *draft) billed(name string) int {
	a := b.existing.Named(name)
	n := 0
	for _, q := range a.Metrics {
		if q.MetricStat != nil {
			n++
		}
	}
	return max(1, n)
}

// presentIn is every resource that the survey found.
func presentIn(s ops.Snapshot) map[ops.ARN]bool {
	found := map[ops.ARN]bool{}
	for _, x := range s.Streams.Items {
		found[x.ARN] = true
	}
	for _, x := range s.Deliveries.Items {
		found[x.ARN] = true
	}
	for _, x := range s.Queues.Items {
		found[x.ARN] = true
	}
	for _, x := range s.Topics.Items {
		found[x.ARN] = true
	}
	for _, x := range s.Functions.Items {
		found[x.ARN] = true
	}
	for _, x := range s.Buckets.Items {
		found[x.ARN] = true
	}
	for _, x := range s.APIs.Items {
		found[x.ARN] = true
	}
	return found
}

// pipelinesOf names the pipeline of each resource by its first stream or queue, and
// collects the resources of the one that was asked for (by that name, or by the
// name of any resource in it). What is linked with nothing is its own pipeline.
func pipelinesOf(s ops.Snapshot, asked string) (names map[ops.ARN]string, part map[ops.ARN]bool) {
	names, part = map[ops.ARN]string{}, map[ops.ARN]bool{}
	links := s.Links
	if len(links) == 0 {
		links = ops.Linked(s)
	}
	for _, p := range ops.Pipelines(links) {
		name := p.Name
		if i := slices.IndexFunc(p.Nodes, func(a ops.ARN) bool { return a.Kind() == ops.KindStream || a.Kind() == ops.KindQueue }); i >= 0 {
			name = p.Nodes[i].Name()
		}
		in := name == asked || slices.ContainsFunc(p.Nodes, func(a ops.ARN) bool { return a.Name() == asked })
		for _, a := range p.Nodes {
			names[a] = name
			if in {
				part[a] = true
			}
		}
	}
	for _, a := range slices.Sorted(maps.Keys(presentIn(s))) {
		if names[a] == "" {
			names[a] = a.Name()
			if a.Name() == asked {
				part[a] = true
			}
		}
	}
	return names, part
}
