package cli

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

// actionSigns are what stands before a line of the plan.
var actionSigns = map[alarms.Action]struct{ sign, color string }{
	alarms.Create:  {"+", "32"},
	alarms.Update:  {"~", "33"},
	alarms.Adopt:   {"<", "33"},
	alarms.Delete:  {"-", "31"},
	alarms.Keep:    {"=", ""},
	alarms.Covered: {"c", ""},
	alarms.Orphan:  {"o", "33"},
}

// tally counts the items of a plan by what is done.
type tally map[alarms.Action]int

func tallied(items []alarms.Item) tally {
	n := tally{}
	for _, i := range items {
		n[i.Action]++
	}
	return n
}

// changes is how many alarms would be written or deleted.
func (n tally) changes() int {
	return n[alarms.Create] + n[alarms.Update] + n[alarms.Adopt] + n[alarms.Delete]
}

// drifted is how many alarms are not as they should be.
func (n tally) drifted() int { return n.changes() + n[alarms.Orphan] }

// short is "+5 ~1 -0", with what else there is.
func (n tally) short() string {
	s := fmt.Sprintf("+%s ~%s -%s", thousands(n[alarms.Create]), thousands(n[alarms.Update]), thousands(n[alarms.Delete]))
	if n[alarms.Adopt] > 0 {
		s += fmt.Sprintf(" <%s", thousands(n[alarms.Adopt]))
	}
	return s
}

// alarmPlan is how a plan is printed.
type alarmPlan struct {
	plan    alarms.Plan
	trials  map[string]alarms.Trial // by the alarm's name, of a backtest
	over    string                  // how far back: "7d"
	verbose bool
	drift   bool // the words of `kxops alarms drift`
}

// summary is the line that a plan begins and ends with.
func (x alarmPlan) summary() string {
	n := tallied(x.plan.Items)
	if n.drifted() == 0 && !x.drift {
		return "no changes" + others(n) + x.unknowns()
	}
	if n.drifted() == 0 {
		return "no drift" + others(n) + x.unknowns()
	}
	line := n.short() + others(n) + x.unknowns()
	if n.changes() > 0 {
		line += " · " + monthly(x.plan.USDMonth) + " · about " + ops.Span(math.Ceil(x.plan.Seconds)) + " to write"
	}
	return line
}

func others(n tally) string {
	line := ""
	add := func(a alarms.Action, what string) {
		if n[a] > 0 {
			line += " · " + thousands(n[a]) + " " + what
		}
	}
	add(alarms.Keep, "as they should be")
	add(alarms.Covered, "covered by alarms of others")
	add(alarms.Orphan, "without their resource or rule (--prune deletes them)")
	return line
}

func (x alarmPlan) unknowns() string {
	if n := len(unknownSkips(x.plan)); n > 0 {
		return " · " + thousands(n) + " unknown"
	}
	return ""
}

func unknownSkips(plan alarms.Plan) []alarms.Skipped {
	return slices.DeleteFunc(slices.Clone(plan.Skipped), func(s alarms.Skipped) bool { return !s.Unknown })
}

// monthly is by how much the bill grows.
func monthly(usd float64) string {
	sign := "+"
	if usd < 0 {
		sign, usd = "-", -usd
	}
	return fmt.Sprintf("%s$%.2f/month", sign, usd)
}

// alarmPlan writes a plan: the summary, one line a change by pipeline, what is
// skipped, unknown and found, totals, and the summary again.
func (p *printer) alarmPlan(x alarmPlan) {
	plan := x.plan
	p.folded("", p.paint("1", x.title())+": "+oneLine(x.summary()))
	p.folded("  ", place(ops.Identity{Account: plan.Account, Alias: plan.Alias, Region: plan.Region})+
		fmt.Sprintf(" · set %s · catalogue %d · by %s", plan.Tier, plan.Catalogue, orUnknown(plan.By)))
	if slices.ContainsFunc(plan.Items, func(i alarms.Item) bool { return i.Spec != nil }) { // not where alarms are only deleted
		p.folded("  ", hearers(plan))
	}
	if plan.Quiet {
		p.folded("  ", "quiet rollout: created with actions off, switched on after one evaluation (--loud creates them with actions on)")
	}
	if plan.Reason != "" {
		p.folded("  because ", oneLine(plan.Reason))
	}
	p.sentences("what stands against it", "1;31", plan.Blockers)
	p.sentences("what could not be read: nothing is deleted", "33", plan.Partial)
	p.sentences("warnings", "33", plan.Warnings)
	p.items(x)
	p.skips(x)
	p.alarmFindings(plan.Findings)
	p.totals(plan.Items)
	p.folded("", p.paint("1", oneLine(x.summary())))
	if !x.drift {
		p.line("sha256 " + plan.Hash)
	}
}

func (x alarmPlan) title() string {
	if x.drift {
		return "drift"
	}
	return "plan " + x.plan.ID
}

// hearers says who is told, and loudly when nobody is.
func hearers(plan alarms.Plan) string {
	switch {
	case plan.Page == "" && plan.Ticket == "":
		return "NOBODY WILL HEAR THESE ALARMS: no topic is configured (--topic NAME, or page_topic in the configuration)"
	case plan.Ticket == "" || plan.Ticket == plan.Page:
		return "page and ticket -> " + text.Clean(plan.Page.Name())
	case plan.Page == "":
		return "ticket -> " + text.Clean(plan.Ticket.Name()) + " · NOBODY WILL HEAR ALARMS THAT PAGE: no page topic is configured"
	}
	return "page -> " + text.Clean(plan.Page.Name()) + " · ticket -> " + text.Clean(plan.Ticket.Name())
}

// items writes a line a change, grouped by pipeline. What stays as it is shows
// with -v only.
func (p *printer) items(x alarmPlan) {
	var groups []string
	of := map[string][]alarms.Item{}
	for _, i := range x.plan.Items {
		if of[i.Pipeline] == nil {
			groups = append(groups, i.Pipeline)
		}
		of[i.Pipeline] = append(of[i.Pipeline], i)
	}
	rule, resource := 0, 0
	for _, i := range x.plan.Items {
		if x.shows(i) {
			r, res := aboutItem(i)
			rule, resource = max(rule, text.Width(r)), max(resource, min(text.Width(res), 40))
		}
	}
	for _, g := range groups {
		n := tallied(of[g])
		if n.drifted() == 0 && !x.verbose {
			continue
		}
		name := text.Clean(g)
		if g == "" {
			name = "the region"
		}
		p.line(p.paint("1", name) + "  " + strings.TrimSuffix(n.short(), " -0") + kept(n))
		for _, i := range of[g] {
			if x.shows(i) {
				p.item(x, i, rule, resource)
			}
		}
	}
}

func kept(n tally) string {
	if k := n[alarms.Keep] + n[alarms.Covered]; k > 0 {
		return " =" + thousands(k)
	}
	return ""
}

// shows reports whether an item has a line of its own.
func (x alarmPlan) shows(i alarms.Item) bool {
	return x.verbose || i.Action != alarms.Keep && i.Action != alarms.Covered
}

// aboutItem are the rule and the resource of an item; of one without a spec its
// name tells: kxops/RULE/RESOURCE.
func aboutItem(i alarms.Item) (rule, resource string) {
	if i.Spec == nil {
		words := strings.SplitN(i.Name, "/", 3)
		if len(words) == 3 {
			return text.Clean(words[1]), text.Clean(words[2])
		}
		if rule, ok := strings.CutPrefix(i.Name, alarms.NamePrefix); ok && !strings.Contains(rule, "/") {
			return text.Clean(rule), "the region" // an alarm of no resource
		}
		return "?", text.Clean(i.Name)
	}
	resource = i.Spec.Resource.Name()
	if resource == "" {
		resource = "the region"
	}
	if i.Spec.Part != "" {
		resource += "/" + i.Spec.Part
	}
	return text.Clean(i.Spec.Rule), text.Clean(resource)
}

// item writes one line; on a narrow terminal what does not fit goes under it.
func (p *printer) item(x alarmPlan, i alarms.Item, ruleWidth, resourceWidth int) {
	rule, resource := aboutItem(i)
	s := actionSigns[i.Action]
	head := p.paint(s.color, s.sign) + " " + rule + strings.Repeat(" ", max(0, ruleWidth-text.Width(rule))) + "  " + resource
	room := 4 + ruleWidth + 2 + max(text.Width(resource), resourceWidth) + 2
	rest := oneLine(x.about(i))
	switch {
	case rest == "":
		p.line("  " + head)
	case p.width == 0 || room+text.Width(rest) <= p.width:
		p.b.WriteString("  " + head + strings.Repeat(" ", max(0, resourceWidth-text.Width(resource))) + "  " + rest + "\n")
	default:
		p.line("  " + head)
		p.folded("      ", rest)
	}
	if x.verbose {
		p.fields(i)
	}
}

// about is what an item's line says beside rule and resource.
func (x alarmPlan) about(i alarms.Item) string {
	var parts []string
	switch i.Action {
	case alarms.Create:
		parts = append(parts, wanted(*i.Spec))
	case alarms.Update, alarms.Adopt:
		for _, c := range i.Changes {
			parts = append(parts, changed(c, i.Spec))
		}
		if i.Action == alarms.Adopt {
			parts = append([]string{"takes over " + i.Name}, parts...)
		}
	case alarms.Delete, alarms.Orphan:
		parts = append(parts, i.Why)
	case alarms.Keep:
		parts = append(parts, wanted(*i.Spec))
	case alarms.Covered:
		parts = append(parts, "covered by "+strings.Join(i.By, ", "))
		if i.Why != "" {
			parts = append(parts, i.Why)
		}
	}
	if i.Spec != nil && i.Spec.Note != "" && i.Action != alarms.Covered {
		parts = append(parts, i.Spec.Note)
	}
	if t, ok := x.trials[i.Name]; ok {
		parts = append(parts, x.over+" backtest: "+tried(t))
	}
	return strings.Join(parts, " · ")
}

// wanted is the condition of an alarm with its formula:
// "> 43,200,000 ms = 12h (0.5 × retention 24h)".
func wanted(s alarms.Spec) string {
	line := sign(s.Comparison) + " " + quantity(s.Threshold, s.Unit)
	if s.Formula != "" {
		line += " (" + s.Formula + ")"
	}
	return line
}

// changed is one field's old and new value, and why.
func changed(c alarms.Change, s *alarms.Spec) string {
	old, now := c.Old, c.New
	if s != nil && strings.EqualFold(c.Field, "threshold") {
		if a, err := strconv.ParseFloat(old, 64); err == nil {
			if b, err := strconv.ParseFloat(now, 64); err == nil {
				old, now = digits(a), quantity(b, s.Unit)
			}
		}
	}
	line := fmt.Sprintf("%s %s -> %s", c.Field, orNothing(old), orNothing(now))
	if c.Because != "" {
		line += " (" + c.Because + ")"
	}
	return line
}

// orNothing is a value, or a word for none; a long one (a description) is cut.
func orNothing(s string) string {
	const most = 60
	if s == "" {
		return "nothing"
	}
	return text.Cut(oneLine(s), most)
}

// quantity is a number with its unit; a time also as people say it.
func quantity(v float64, unit string) string {
	line := digits(v)
	switch unit {
	case "":
		return line
	case "ms":
		line += " ms"
		if v >= 60_000 {
			line += " = " + ops.Span(v/1000)
		}
		return line
	case "s":
		line += " s"
		if v >= 60 {
			line += " = " + ops.Span(v)
		}
		return line
	}
	return line + " " + unit
}

// digits is a number with its thousands grouped and no needless decimals.
func digits(v float64) string {
	whole, part := math.Modf(v)
	if math.Abs(whole) >= 1e15 {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	line := thousands(int(whole))
	if part != 0 {
		_, decimals, _ := strings.Cut(strconv.FormatFloat(math.Abs(v), 'f', -1, 64), ".")
		line += "." + decimals
		if v < 0 && whole == 0 {
			line = "-" + line
		}
	}
	return line
}

// fields is what -v shows of an item.
func (p *printer) fields(i alarms.Item) {
	say := func(name, value string) {
		if value != "" {
			p.folded(fmt.Sprintf("      %-9s ", name), oneLine(value))
		}
	}
	say("name", i.Name)
	if i.Action == alarms.Update || i.Action == alarms.Adopt {
		for _, c := range i.Changes {
			say("changes", fmt.Sprintf("%s: %s -> %s", c.Field, c.Old, c.New))
		}
	}
	s := i.Spec
	if s == nil {
		return
	}
	say("metric", metricText(*s))
	say("alarms", fmt.Sprintf("%s, %s, a missing datapoint is %s", wanted(*s), window(s.M, s.N), s.Missing))
	say("severity", s.Severity.String()+", set "+string(s.Tier))
	say("why", s.Why)
	say("source", s.Source)
	if len(i.Actions) > 0 {
		say("tells", strings.Join(i.Actions, ", "))
	}
}

// metricText is what an alarm watches: one metric, or math over several.
func metricText(s alarms.Spec) string {
	if len(s.Math) == 0 {
		return fmt.Sprintf("%s of %s %s, by %s", s.Stat, s.Query.Namespace, s.Query.Metric, ops.Span(float64(s.Period)))
	}
	var parts []string
	for _, q := range s.Math {
		if q.Expression != "" {
			parts = append(parts, q.ID+" = "+q.Expression)
		} else {
			parts = append(parts, fmt.Sprintf("%s = %s of %s %s", q.ID, q.Stat, q.Namespace, q.Metric))
		}
	}
	return strings.Join(parts, "; ") + ", by " + ops.Span(float64(s.Period))
}

// skips says what has no alarm: unknown always, switched off always, what does
// not apply as a number, with -v each.
func (p *printer) skips(x alarmPlan) {
	var unknown, off, rest []string
	for _, s := range x.plan.Skipped {
		resource := s.Resource.Name()
		if resource == "" {
			resource = "the region"
		}
		line := s.Rule + " " + resource + ": " + s.Why
		switch {
		case s.Unknown:
			unknown = append(unknown, line)
		case s.Off:
			off = append(off, line)
		default:
			rest = append(rest, line)
		}
	}
	p.sentences("unknown: a setting could not be read, so there is no alarm", "33", unknown)
	p.sentences("switched off", "2", off)
	if x.verbose {
		p.sentences("does not apply", "2", rest)
	} else if n := len(rest); n > 0 {
		p.line(p.paint("2", countOf(n, "rule")+" where they do not apply; -v says why"))
	}
}

// alarmFindings are what is wrong and no alarm can help.
func (p *printer) alarmFindings(findings []alarms.Finding) {
	p.list(p.paint("33", "findings: no alarm helps, a person does"), len(findings), func(i int) {
		f := findings[i]
		p.folded("  ! ", oneLine(named(f.Resource.Name())+": "+f.Sentence)+" ["+f.Rule+"]")
	})
}

// totals are the sums by kind of resource.
func (p *printer) totals(items []alarms.Item) {
	var kinds []string
	of := map[string][]alarms.Item{}
	for _, i := range items {
		rule, _ := aboutItem(i)
		kind, _, _ := strings.Cut(rule, ".")
		if of[kind] == nil {
			kinds = append(kinds, kind)
		}
		of[kind] = append(of[kind], i)
	}
	slices.Sort(kinds)
	var parts []string
	for _, k := range kinds {
		n := tallied(of[k])
		parts = append(parts, strings.TrimSuffix(k+" "+n.short(), " -0")+kept(n))
	}
	if len(parts) > 0 {
		p.folded("totals  ", strings.Join(parts, " · "))
	}
}

// tried is what became of an alarm on the past: "2 alarms, longest 11m".
func tried(t alarms.Trial) string {
	switch {
	case t.Unknown != "":
		return "? (" + t.Unknown + ")"
	case t.Fired == 0 && t.Ringing:
		return "in ALARM all the time"
	case t.Fired == 0:
		return "0 alarms"
	}
	line := fmt.Sprintf("%s, longest %s", countOf(t.Fired, "alarm"), ops.Span(t.Longest))
	if t.Ringing {
		line += ", in ALARM at the end"
	}
	if t.Factor > 0 {
		line += fmt.Sprintf(", factor %s gives one a week at most", strconv.FormatFloat(t.Factor, 'g', 3, 64))
	}
	return line
}
