package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// alarmPlan shows what would be done with the alarms: one line for each change, by
// pipeline, with the threshold and how it was computed.
type alarmPlan struct {
	list
	a     *App
	l     light
	rows  []planRow
	whole map[string]bool // pipelines whose unchanged alarms are shown too
}

// planRow is a change, or the head of a pipeline.
type planRow struct {
	group string
	item  *alarms.Item // nil for a head
	n     map[alarms.Action]int
}

var alarmPlanColumns = []table.Column{
	{ID: "action", Title: "", Width: 1},
	{ID: "what", Title: "ALARM", Width: 34, Min: 24, Comfort: 30, Grow: true},
	{ID: "threshold", Title: "RINGS AT", Width: 16, Min: 10, Comfort: 14},
	{ID: "formula", Title: "BECAUSE", Width: 34, Min: 20, Priority: 2, Grow: true},
	{ID: "severity", Title: "SEV", Width: 6, Priority: 3},
	{ID: "cost", Title: "$/MONTH", Width: 7, Priority: 4, Right: true},
}

const (
	apAction = iota
	apWhat
	apThreshold
	apFormula
	apSeverity
	apCost
)

func openAlarmPlan(a *App, _ ops.ARN) screen {
	s := &alarmPlan{list: newList(table.NewFixed(alarmPlanColumns)), a: a, whole: map[string]bool{}}
	s.refresh()
	return s
}

func (s *alarmPlan) Title() string      { return "plan" }
func (s *alarmPlan) Load(*picture)      {}
func (s *alarmPlan) Visible() []ops.ARN { return nil }
func (s *alarmPlan) Hints() []string {
	return []string{"open", "apply", "plan-options", "backtest", "unlock", "refresh", "coverage", "filter", "back", "help"}
}

// Want plans once. What is shown changes only when it is asked for: nobody should
// confirm a list that moved.
func (s *alarmPlan) Want(a *App) tea.Cmd {
	x := &a.alarms.plan
	if ok, _ := a.alarmsReady(); !ok || x.busy || !x.unread() {
		return nil
	}
	return a.planAlarms()
}

func (s *alarmPlan) plan() *alarms.Plan { return &s.a.alarms.plan.value }

// refresh groups the plan again.
func (s *alarmPlan) refresh() {
	s.rows = planRows(s.plan(), s.whole)
	s.table.Load(alarmPlanRows{s})
}

func (s *alarmPlan) SetFilter(words string) {
	s.parse(words)
	s.table.Reload()
}

// changes reports whether an item does something.
func changes(x alarms.Action) bool {
	switch x {
	case alarms.Create, alarms.Update, alarms.Adopt, alarms.Delete:
		return true
	}
	return false
}

// planRows lists the items by pipeline: what changes always, the rest where it was
// asked for. Pipelines with changes come first.
func planRows(p *alarms.Plan, whole map[string]bool) []planRow {
	type group struct {
		name  string
		items []*alarms.Item
		n     map[alarms.Action]int
		moved int
	}
	of := map[string]*group{}
	var groups []*group
	for i := range p.Items {
		x := &p.Items[i]
		g := of[x.Pipeline]
		if g == nil {
			g = &group{name: x.Pipeline, n: map[alarms.Action]int{}}
			of[x.Pipeline] = g
			groups = append(groups, g)
		}
		g.items = append(g.items, x)
		g.n[x.Action]++
		if changes(x.Action) || x.Action == alarms.Orphan {
			g.moved++
		}
	}
	slices.SortStableFunc(groups, func(a, b *group) int {
		return cmp.Or(cmp.Compare(min(b.moved, 1), min(a.moved, 1)), cmp.Compare(lastName(a.name), lastName(b.name)))
	})
	var rows []planRow
	for _, g := range groups {
		rows = append(rows, planRow{group: g.name, n: g.n})
		for _, x := range g.items {
			if changes(x.Action) || x.Action == alarms.Orphan || whole[g.name] {
				rows = append(rows, planRow{group: g.name, item: x})
			}
		}
	}
	return rows
}

func (s *alarmPlan) under() (planRow, bool) {
	row := s.table.Row()
	if row < 0 || row >= len(s.rows) {
		return planRow{}, false
	}
	return s.rows[row], true
}

func (s *alarmPlan) Selected() ops.ARN {
	if r, ok := s.under(); ok && r.item != nil && r.item.Spec != nil {
		return r.item.Spec.Resource
	}
	return ""
}

// Copies offers the names of the marked alarms, or of the one under the cursor.
func (s *alarmPlan) Copies() *menu {
	names := slices.DeleteFunc(s.table.Marks(), func(id string) bool { return strings.HasPrefix(id, planHead) })
	r, ok := s.under()
	if len(names) == 0 && ok && r.item != nil {
		return copiesOfItem(r.item)
	}
	return copyLines("name", strings.Join(names, "\n"))
}

func copiesOfItem(x *alarms.Item) *menu {
	pairs := []string{"name", x.Name}
	if x.Spec != nil {
		pairs = append(pairs, "threshold", threshold(x.Spec)+" ("+x.Spec.Formula+")", "resource", string(x.Spec.Resource))
	}
	return copyLines(pairs...)
}

// copyLines is a menu of titles and what each copies, nil where there is nothing.
func copyLines(pairs ...string) *menu {
	m := &menu{title: "copy"}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.add(pairs[i], pairs[i+1])
	}
	if len(m.items) == 0 {
		return nil
	}
	return m
}

// Open tells a change in full; on the head of a pipeline it shows or hides what stays
// as it is.
func (s *alarmPlan) Open(a *App) tea.Cmd {
	r, ok := s.under()
	switch {
	case !ok:
		return nil
	case r.item != nil:
		return a.open(newPlanItem(*r.item))
	}
	s.whole[r.group] = !s.whole[r.group]
	s.refresh()
	return nil
}

func (s *alarmPlan) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	end := c.Line() + height
	x := &s.a.alarms.plan
	if words := askedWords(s.a, x, "working out what should exist; this only reads…"); words != "" {
		drawEmpty(c, height, l, words)
		return
	}
	s.drawTotals(c, l)
	empty := "nothing to do: every alarm of tier " + tierWord(s.plan().Tier) + " exists as it should"
	s.list.draw(c, max(end-c.Line()-2, 2), l, empty)
	s.drawStrip(c, l)
	c.Until(end)
}

// maxPlanWords bounds the lines of blockers and warnings above the list.
const maxPlanWords = 3

func (s *alarmPlan) drawTotals(c *text.Canvas, l light) {
	p := s.plan()
	totals := segment{planTotals(p), l.strong, 0}
	if p.Writes() == 0 {
		totals = segment{"nothing to change  " + planTotals(p), l.good, 0}
	}
	left := []segment{totals, {planPrice(p), text.Style{}, 0}, {"tier " + string(cmp.Or(p.Tier, alarms.Essential)), l.dim, 2}}
	if p.Quiet {
		left = append(left, segment{"quietly", l.dim, 3})
	}
	var right []segment
	switch {
	case s.a.alarms.plan.busy:
		right = append(right, segment{"working it out again…", l.accent, 0})
	case s.a.alarms.plan.problem != nil:
		right = append(right, segment{"not worked out again: " + text.Cut(s.a.alarms.plan.problem.What, 40), l.ticket, 0})
	default:
		right = append(right, segment{"read " + age(s.a.alarms.plan.at, l.now) + " ago", l.dim, 3})
	}
	drawSegments(c, left, right)
	if p.Page != "" || p.Ticket != "" || len(p.Warnings) == 0 { // without a topic a warning says so
		drawSegments(c, []segment{{topicWords(p), topicLook(p, l), 0}}, nil)
	}
	words := planWords(p)
	for i, x := range words {
		if i == maxPlanWords-1 && len(words) > maxPlanWords {
			c.Text(fmt.Sprintf("%d more: %s shows all", len(words)-i, l.keyOf("apply")), l.dim)
			c.End()
			break
		}
		c.Text(x.label+" ", l.title)
		c.Text(x.text, x.look(l))
		c.End()
	}
}

type planWord struct {
	label, text string
	bad         bool
}

func (w planWord) look(l light) text.Style {
	if w.bad {
		return l.page
	}
	return l.ticket
}

// planWords are what has to be known about a plan, worst first.
func planWords(p *alarms.Plan) []planWord {
	var out []planWord
	for _, s := range p.Blockers {
		out = append(out, planWord{"BLOCKED", s, true})
	}
	for _, s := range p.Partial {
		out = append(out, planWord{"not read", s + ": nothing is deleted", false})
	}
	unknown := 0
	for _, x := range p.Skipped {
		if x.Unknown {
			unknown++
		}
	}
	if unknown > 0 {
		out = append(out, planWord{"not known", plural(unknown, "alarm") + " could not be drawn up: a setting could not be read", false})
	}
	for _, s := range p.Warnings {
		out = append(out, planWord{"warning", s, false})
	}
	return out
}

// planTotals is "+5 ~1 -0 =9": what is created, changed, deleted and stays.
func planTotals(p *alarms.Plan) string {
	n := map[alarms.Action]int{}
	for i := range p.Items {
		n[p.Items[i].Action]++
	}
	return actionTotals(n, true)
}

func actionTotals(n map[alarms.Action]int, all bool) string {
	var parts []string
	add := func(sign string, n int, always bool) {
		if n > 0 || always {
			parts = append(parts, sign+count(float64(n)))
		}
	}
	add("+", n[alarms.Create], all)
	add("~", n[alarms.Update], all)
	add("@", n[alarms.Adopt], false)
	add("-", n[alarms.Delete], all)
	add("=", n[alarms.Keep], false)
	if c := n[alarms.Covered]; c > 0 {
		parts = append(parts, count(float64(c))+" covered")
	}
	if c := n[alarms.Orphan]; c > 0 {
		parts = append(parts, plural(c, "orphan"))
	}
	return strings.Join(parts, "  ")
}

func planPrice(p *alarms.Plan) string {
	words := "no change of cost"
	if p.USDMonth > 0 {
		words = "+" + money(p.USDMonth) + " a month"
	} else if p.USDMonth < 0 {
		words = "-" + money(-p.USDMonth) + " a month"
	}
	if p.Seconds > 0 {
		words += fmt.Sprintf(", about %s to apply", ops.Span(max(p.Seconds, 1)))
	}
	return words
}

func topicWords(p *alarms.Plan) string {
	switch {
	case p.Page == "" && p.Ticket == "":
		return "no topic: these alarms would tell nobody"
	case p.Ticket == "" || p.Ticket == p.Page:
		return "tells " + p.Page.Name()
	case p.Page == "":
		return "tickets tell " + p.Ticket.Name() + "; pages tell nobody"
	}
	return "pages tell " + p.Page.Name() + ", tickets " + p.Ticket.Name()
}

func topicLook(p *alarms.Plan, l light) text.Style {
	if p.Page == "" {
		return l.ticket
	}
	return l.dim
}

// drawStrip tells the change under the cursor in two lines.
func (s *alarmPlan) drawStrip(c *text.Canvas, l light) {
	r, ok := s.under()
	if !ok || r.item == nil {
		if ok {
			words := "shows"
			if s.whole[r.group] {
				words = "hides"
			}
			c.Text(l.keyOf("open")+" "+words+" the alarms that stay as they are", l.dim)
			c.End()
		}
		c.Until(c.Line() + 1)
		return
	}
	x := r.item
	c.Text(x.Name, l.title)
	c.End()
	c.Text(itemWords(x), l.dim)
	c.End()
}

// itemWords are what there is to say about a change in one line.
func itemWords(x *alarms.Item) string {
	var words []string
	for _, ch := range x.Changes {
		w := ch.Field + " " + ch.Old + " → " + ch.New
		if ch.Because != "" {
			w += " (" + ch.Because + ")"
		}
		words = append(words, w)
	}
	if len(x.By) > 0 {
		words = append(words, "by "+strings.Join(x.By, ", "))
	}
	if x.Why != "" {
		words = append(words, x.Why)
	}
	if x.Spec != nil && len(words) == 0 {
		words = append(words, specLine(x.Spec), x.Spec.Formula, x.Spec.Why)
	}
	return strings.Join(words, " · ")
}

// planHead begins the id of a pipeline's row.
const planHead = "pipeline:"

// alarmPlanRows is the plan as the source of its table.
type alarmPlanRows struct{ *alarmPlan }

func (s alarmPlanRows) Len() int { return len(s.rows) }

func (s alarmPlanRows) ID(i int) string {
	if r := s.rows[i]; r.item != nil {
		return r.item.Name
	}
	return planHead + s.rows[i].group
}

func (s alarmPlanRows) Compare(i, j, _ int) int { return i - j }

func (s alarmPlanRows) Match(i int) bool {
	return s.passes(func(col int) string { return s.words(i, col) })
}

func (s alarmPlanRows) words(i, col int) string {
	r := s.rows[i]
	if r.item == nil {
		switch col {
		case apWhat:
			return cmp.Or(r.group, "no pipeline")
		case apThreshold:
			return actionTotals(r.n, false)
		}
		return ""
	}
	x := r.item
	switch col {
	case apAction:
		return actionSign(x.Action)
	case apWhat:
		if x.Spec == nil {
			return "  " + x.Name
		}
		return "  " + specAbout(x.Spec)
	case apThreshold:
		if x.Spec == nil {
			return string(x.Action)
		}
		return shortThreshold(x.Spec)
	case apFormula:
		if ch := thresholdChange(x); ch != nil && ch.Because != "" {
			return ch.Because
		}
		if x.Spec == nil {
			return x.Why
		}
		if x.Action == alarms.Covered {
			return "someone else's: " + strings.Join(x.By, ", ")
		}
		return x.Spec.Formula
	case apSeverity:
		if x.Spec != nil {
			return x.Spec.Severity.String()
		}
	case apCost:
		switch {
		case x.Spec == nil:
		case x.Action == alarms.Create:
			return "+" + money(float64(x.Spec.Metrics())*ops.PriceAlarmMetric)
		case x.Action == alarms.Delete:
			return "-" + money(float64(x.Spec.Metrics())*ops.PriceAlarmMetric)
		}
	}
	return ""
}

func thresholdChange(x *alarms.Item) *alarms.Change {
	for i := range x.Changes {
		if x.Changes[i].Because != "" {
			return &x.Changes[i]
		}
	}
	return nil
}

func actionSign(x alarms.Action) string {
	switch x {
	case alarms.Create:
		return "+"
	case alarms.Update:
		return "~"
	case alarms.Adopt:
		return "@"
	case alarms.Delete:
		return "-"
	case alarms.Orphan:
		return "!"
	}
	return "="
}

func actionLook(l light, x alarms.Action) text.Style {
	switch x {
	case alarms.Create:
		return l.good
	case alarms.Update, alarms.Adopt:
		return l.ticket
	case alarms.Delete:
		return l.page
	case alarms.Orphan:
		return l.ticket
	}
	return l.dim
}

func (s alarmPlanRows) Draw(c *text.Canvas, i, col, width int) {
	r, l := s.rows[i], s.l
	look := text.Style{}
	switch {
	case r.item == nil && col == apWhat:
		look = l.title
	case r.item == nil:
		look = l.dim
	case col == apAction:
		look = actionLook(l, r.item.Action)
	case col == apFormula, col == apCost, !changes(r.item.Action):
		look = l.dim
	case col == apSeverity && r.item.Spec != nil && r.item.Spec.Severity == alarms.Page:
		look = l.page
	}
	if alarmPlanColumns[col].Right {
		c.Right(s.words(i, col), width, look)
		return
	}
	c.Cell(s.words(i, col), width, look)
}

// planItem tells one change in full.
type planItem struct {
	page
	item alarms.Item
}

func newPlanItem(x alarms.Item) *planItem {
	s := &planItem{item: x}
	title := x.Name
	if x.Spec != nil {
		title = specAbout(x.Spec)
	}
	s.page = *newPage(title, func(w *writer, _ *picture) { s.tell(w) })
	return s
}

func (s *planItem) Copies() *menu { return copiesOfItem(&s.item) }

func (s *planItem) Hints() []string { return []string{"backtest", "back", "apply", "help"} }

func (s *planItem) Selected() ops.ARN {
	if s.item.Spec != nil {
		return s.item.Spec.Resource
	}
	return ""
}

func (s *planItem) tell(w *writer) {
	x := &s.item
	w.line(span{actionSign(x.Action) + " " + actionWord(x.Action), actionLook(w.l, x.Action)}, span{"   " + x.Name, w.l.strong})
	w.blank()
	if x.Why != "" {
		w.field("because", x.Why, text.Style{})
	}
	for _, by := range x.By {
		w.field("covered by", by, text.Style{})
	}
	if len(x.Changes) > 0 {
		w.head("what changes")
		for _, ch := range x.Changes {
			w.wide(ch.Field, cmp.Or(ch.Old, "nothing")+" → "+cmp.Or(ch.New, "nothing"))
			if ch.Because != "" {
				w.wide("", ch.Because)
			}
		}
	}
	if x.Spec != nil {
		w.head("the alarm")
		w.link("resource", x.Spec.Resource, "")
		if x.Pipeline != "" {
			w.field("pipeline", x.Pipeline, text.Style{})
		}
		writeSpec(w, x.Spec)
	}
	for i, arn := range x.Actions {
		label := ""
		if i == 0 {
			label = "tells"
		}
		w.field(label, arn, w.l.dim)
	}
}

func actionWord(x alarms.Action) string {
	switch x {
	case alarms.Create:
		return "is created"
	case alarms.Update:
		return "is changed"
	case alarms.Adopt:
		return "becomes ours"
	case alarms.Delete:
		return "is deleted"
	case alarms.Covered:
		return "exists: someone else's"
	case alarms.Orphan:
		return "is left over"
	}
	return "stays as it is"
}

// lastName sorts what belongs to no pipeline after what belongs to one.
func lastName(pipeline string) string { return cmp.Or(pipeline, "\uffff") }
