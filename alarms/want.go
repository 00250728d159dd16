package alarms

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kxops/ops"
)

// NamePrefix begins the name of every alarm that is ours.
const NamePrefix = "kxops/"

// nameLimit is the longest name of an alarm, in characters (CloudWatch, PutMetricAlarm).
const nameLimit = 255

// alarmsTag is the tag of a resource that says something about its alarms: "off",
// or "tier=R".
const alarmsTag = "kxops:alarms"

// Bounds of a factor: beyond them a person wants another rule.
const (
	leastFactor = 0.01
	mostFactor  = 100
)

// Want draws up every alarm that should exist. It is pure.
func Want(s ops.Snapshot, set Settings, now time.Time) Wanted {
	w := &drawing{facts: Facts{Snapshot: s, Now: now, Window: set.Window, Baselines: set.Baselines, look: lookAt(s, now)}, set: set}
	w.facts.Snapshot.Links = s.Links
	if len(s.Links) == 0 {
		w.facts.Snapshot.Links = ops.Linked(s)
	}
	for _, x := range s.Streams.Items {
		w.resource(x.ARN, func(r *Watch) []Draft { return drafts(r.Stream, x, w.facts) })
	}
	for _, x := range s.Deliveries.Items {
		w.resource(x.ARN, func(r *Watch) []Draft { return drafts(r.Delivery, x, w.facts) })
	}
	for _, x := range s.Queues.Items {
		w.resource(x.ARN, func(r *Watch) []Draft {
			if x.IsDeadLetter() {
				return drafts(r.Dead, x, w.facts)
			}
			return drafts(r.Queue, x, w.facts)
		})
	}
	for _, x := range s.Functions.Items {
		w.resource(x.ARN, func(r *Watch) []Draft { return drafts(r.Function, x, w.facts) })
	}
	for _, x := range s.Topics.Items {
		w.resource(x.ARN, func(r *Watch) []Draft { return drafts(r.Topic, x, w.facts) })
	}
	for _, x := range s.APIs.Items {
		w.resource(x.ARN, func(r *Watch) []Draft { return drafts(r.API, x, w.facts) })
	}
	for _, x := range s.Buckets.Items {
		w.resource(x.ARN, func(r *Watch) []Draft { return drafts(r.Bucket, x, w.facts) })
	}
	w.resource("", func(r *Watch) []Draft {
		if r.Region == nil {
			return nil
		}
		return r.Region(w.facts)
	})
	return w.out
}

func drafts[T any](draw func(T, Facts) []Draft, x T, f Facts) []Draft {
	if draw == nil {
		return nil
	}
	return draw(x, f)
}

// drawing is the work of Want.
type drawing struct {
	facts Facts
	set   Settings
	out   Wanted
}

func (w *drawing) resource(arn ops.ARN, draw func(*Watch) []Draft) {
	for i := range Rules {
		r := &Rules[i]
		if r.Watch == nil {
			continue
		}
		for _, d := range draw(r.Watch) {
			w.draft(r, arn, d)
		}
	}
}

func (w *drawing) draft(r *Rule, arn ops.ARN, d Draft) {
	skipped := Skipped{Rule: r.ID, Resource: arn}
	say := w.said(r, arn)
	tier := cmp.Or(say.Tier, d.Tier, r.Watch.Tier)
	switch {
	case d.Skip != "":
		skipped.Why = d.Skip
	case !tier.Within(cmp.Or(say.Set, w.set.Tier, Essential)):
		return // of another set: neither wanted nor worth a word
	case say.Off:
		skipped.Why, skipped.Off = say.why(), true
	case d.Unknown != "":
		skipped.Why, skipped.Unknown = d.Unknown, true
	default:
		w.out.Specs = append(w.out.Specs, spec(r, arn, d, say))
		return
	}
	w.out.Skipped = append(w.out.Skipped, skipped)
}

// said is everything that overrides and the resource's tag say about a rule on a
// resource; a later one counts more, the tag most.
func (w *drawing) said(r *Rule, arn ops.ARN) Override {
	var out Override
	add := func(o Override) {
		out.Off = o.Off || out.Off && o.Tier == "" && o.Set == ""
		out.Tier, out.Set = cmp.Or(o.Tier, out.Tier), cmp.Or(o.Set, out.Set)
		out.Severity = cmp.Or(o.Severity, out.Severity)
		if o.Factor != 0 {
			out.Factor = o.Factor
		}
		if o.Threshold != nil {
			out.Threshold = o.Threshold
		}
		out.From = o.From
		out.Reason = strings.TrimPrefix(out.Reason+"; "+o.Reason, "; ")
	}
	for _, o := range w.set.Overrides {
		if matches(o.Rule, r.ID) && (matches(o.Resource, arn.Name()) || o.Resource == string(arn)) {
			add(o)
		}
	}
	if v, ok := w.set.Tags[arn][alarmsTag]; ok && arn != "" {
		if o, err := tagged(v); err == nil {
			add(o)
		}
	}
	return out
}

// matches reports whether a pattern with * means a name; "" means all.
func matches(pattern, name string) bool {
	if pattern == "" || pattern == name {
		return true
	}
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return err == nil && ok
}

// tagged reads the value of the tag kxops:alarms.
func tagged(value string) (Override, error) {
	o := Override{From: "tag", Reason: "the resource's tag " + alarmsTag + "=" + value}
	if value == "off" {
		o.Off = true
		return o, nil
	}
	if t, ok := strings.CutPrefix(value, "tier="); ok && slices.Contains([]Tier{Essential, Recommended, Full, OptIn}, Tier(t)) {
		o.Set = Tier(t)
		return o, nil
	}
	return o, fmt.Errorf("the tag %s is %q; it is off or tier=E, R, F or O", alarmsTag, value)
}

func (o Override) why() string { return cmp.Or(o.Reason, "switched off") }

func spec(r *Rule, arn ops.ARN, d Draft, say Override) Spec {
	w := r.Watch
	s := Spec{
		Name: AlarmName(r.ID, arn, d.Part), Rule: r.ID, Resource: arn, Part: d.Part, Tier: cmp.Or(say.Tier, d.Tier, w.Tier), Severity: r.Severity,
		Query: d.Query, Math: d.Math, Stat: w.Stat, Period: w.Period, M: cmp.Or(d.M, w.M), N: cmp.Or(d.N, w.N),
		Comparison: w.Comparison, Threshold: d.Level, Unit: d.Unit, Missing: cmp.Or(d.Missing, w.Missing), OK: w.OK,
		Formula: d.Formula, Inputs: d.Inputs, Why: r.Title, Runbook: w.Runbook, Source: w.Source,
	}
	if d.NoSample {
		s.LowSamples = MissingIsIgnored
	}
	if len(s.Math) > 0 {
		s.Stat = ""
	}
	if v, ok := severities[say.Severity]; ok {
		s.Severity = v
	}
	switch {
	case say.Threshold != nil:
		s.Threshold = *say.Threshold
		s.Formula = fmt.Sprintf("set by hand; computed: %s", s.Formula)
	case say.Factor != 0:
		s.Threshold *= say.Factor
		s.Formula = fmt.Sprintf("%g × (%s)", say.Factor, s.Formula)
	}
	s.Note = say.Reason
	if say.Factor != 0 && say.Threshold == nil && d.Level == 0 {
		s.Note = strings.TrimPrefix(s.Note+"; a factor changes nothing of a threshold of 0: give a threshold", "; ")
	}
	if s.Note == "" && w.Unproven != "" {
		s.Note = "not tried on AWS yet: " + w.Unproven
	}
	return s
}

var severities = map[string]Severity{"page": Page, "ticket": Ticket, "info": Info}

// AlarmName is the name of a rule's alarm on a resource. A longer one than
// CloudWatch takes is cut and ends in eight digits of the whole's hash.
func AlarmName(rule string, arn ops.ARN, part string) string {
	name := NamePrefix + rule
	for _, p := range []string{arn.Name(), part} {
		if p != "" {
			name += "/" + p
		}
	}
	if utf8.RuneCountInString(name) <= nameLimit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return string([]rune(name)[:nameLimit-9]) + "~" + hex.EncodeToString(sum[:4])
}

// RuleOf finds a rule.
func RuleOf(id string) (Rule, bool) {
	i := slices.IndexFunc(Rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return Rules[i], true
}

// RuleIDs lists the ids of all rules that have an alarm, in the catalogue's order.
func RuleIDs() []string {
	var ids []string
	for _, r := range Rules {
		if r.Watch != nil {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// Check finds what cannot be meant: it says what, where, and what to do.
func (s Settings) Check() error {
	tiers := []Tier{"", Essential, Recommended, Full, OptIn}
	if !slices.Contains(tiers, s.Tier) {
		return fmt.Errorf("tier %q: it is E, R, F or O", s.Tier)
	}
	for _, o := range s.Overrides {
		at := cmp.Or(o.From, "an override")
		switch {
		case o.Rule != "" && !slices.ContainsFunc(RuleIDs(), func(id string) bool { return matches(o.Rule, id) }):
			return fmt.Errorf("%s: there is no alarm rule %q; the nearest: %s", at, o.Rule, strings.Join(ops.Nearest(o.Rule, RuleIDs(), 3), ", "))
		case o.Factor != 0 && (o.Factor < leastFactor || o.Factor > mostFactor):
			return fmt.Errorf("%s: factor %g is out of range: %g to %g", at, o.Factor, leastFactor, float64(mostFactor))
		case o.Factor != 0 && o.Threshold != nil:
			return fmt.Errorf("%s: give a factor or a threshold, not both", at)
		case o.Severity != "" && !slices.Contains([]string{"page", "ticket", "info"}, o.Severity):
			return fmt.Errorf("%s: severity %q: it is page, ticket or info", at, o.Severity)
		case !slices.Contains(tiers, o.Tier) || !slices.Contains(tiers, o.Set):
			return fmt.Errorf("%s: tier %q: it is E, R, F or O", at, cmp.Or(o.Set, o.Tier))
		case o.Reason == "":
			return fmt.Errorf("%s: a reason is missing: it is shown in the plan", at)
		}
	}
	for arn, tags := range s.Tags {
		if v, ok := tags[alarmsTag]; ok {
			if _, err := tagged(v); err != nil {
				return fmt.Errorf("%s: %w", arn.Name(), err)
			}
		}
	}
	return nil
}

// CoverageOf builds the matrix of resources and rules. who says about one wanted alarm
// whether it exists.
func CoverageOf(s ops.Snapshot, w Wanted, who func(Spec) CoverCell) Coverage {
	out := Coverage{Rules: RuleIDs()}
	column := map[string]int{}
	for i, id := range out.Rules {
		column[id] = i
	}
	pipeline := map[ops.ARN]string{}
	links := s.Links
	if len(links) == 0 {
		links = ops.Linked(s)
	}
	for _, p := range ops.Pipelines(links) {
		for _, n := range p.Nodes {
			pipeline[n] = p.Name
		}
	}
	rows := map[ops.ARN]int{}
	row := func(arn ops.ARN) *CoverRow {
		i, ok := rows[arn]
		if !ok {
			i = len(out.Rows)
			rows[arn] = i
			out.Rows = append(out.Rows, CoverRow{Resource: arn, Pipeline: pipeline[arn], Cells: make([]CoverCell, len(out.Rules))})
			for c := range out.Rows[i].Cells {
				out.Rows[i].Cells[c].Cover = CoverNone
			}
		}
		return &out.Rows[i]
	}
	for _, x := range w.Skipped {
		c := CoverCell{Cover: CoverNone, Why: x.Why}
		switch {
		case x.Unknown:
			c.Cover = CoverUnknown
		case x.Off:
			c.Cover = CoverOff
		}
		if old := &row(x.Resource).Cells[column[x.Rule]]; old.Cover != CoverUnknown {
			*old = c
		}
	}
	for _, x := range w.Specs {
		r := row(x.Resource)
		cell, old := who(x), &r.Cells[column[x.Rule]]
		if cell.Cover == CoverMissing {
			r.Missing++
		}
		if len(old.Alarms) > 0 || old.Cover == CoverMissing || old.Cover == CoverUnknown { // several parts: the worst counts
			cell.Alarms = append(old.Alarms, cell.Alarms...)
			switch {
			case old.Cover == CoverUnknown: // an alarm of one part says nothing about the other
				cell.Cover, cell.Why = CoverUnknown, old.Why
			case old.Cover == CoverMissing && cell.Cover != CoverUnknown:
				cell.Cover = CoverMissing
			}
		}
		*old = cell
	}
	return out
}
