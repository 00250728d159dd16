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

// doctor lists why alarms would not be heard, each with the fix.
type doctor struct {
	list
	a *App
	l light
}

var doctorColumns = []table.Column{
	{ID: "severity", Title: "SEV", Width: 6},
	{ID: "kind", Title: "WHAT IS WRONG", Width: 17, Min: 12, Priority: 2},
	{ID: "what", Title: "IN WORDS", Width: 40, Min: 24, Grow: true},
	{ID: "alarms", Title: "ALARMS", Width: 6, Right: true},
}

const (
	dcSeverity = iota
	dcKind
	dcWhat
	dcAlarms
)

func openDoctor(a *App, _ ops.ARN) screen {
	s := &doctor{list: newList(table.New(doctorColumns, "severity")), a: a}
	s.refresh()
	return s
}

func (s *doctor) Title() string      { return "doctor" }
func (s *doctor) Load(*picture)      {}
func (s *doctor) Selected() ops.ARN  { return "" }
func (s *doctor) Visible() []ops.ARN { return nil }
func (s *doctor) Hints() []string {
	return []string{"open", "copy", "refresh", "alarms", "coverage", "filter", "back", "help"}
}

func (s *doctor) all() []alarms.Ailment { return s.a.alarms.checkup.value.Ailments }

func (s *doctor) refresh() { s.table.Load(doctorRows{s}) }

func (s *doctor) SetFilter(words string) {
	s.parse(words)
	s.table.Reload()
}

// Want asks the doctor once; again when it is asked for.
func (s *doctor) Want(a *App) tea.Cmd {
	x := &a.alarms.checkup
	if ok, _ := a.alarmsReady(); !ok || x.busy || !x.unread() {
		return nil
	}
	return a.readCheckup()
}

func (s *doctor) under() (alarms.Ailment, bool) {
	row := s.table.Row()
	if row < 0 || row >= len(s.all()) {
		return alarms.Ailment{}, false
	}
	return s.all()[row], true
}

// Open tells an ailment in full.
func (s *doctor) Open(a *App) tea.Cmd {
	if x, ok := s.under(); ok {
		return a.open(newAilment(x))
	}
	return nil
}

// Copies offers the fix.
func (s *doctor) Copies() *menu {
	x, ok := s.under()
	if !ok {
		return nil
	}
	return copiesOf(x)
}

func copiesOf(x alarms.Ailment) *menu {
	return copyLines("the fix", x.Fix, "the alarms", strings.Join(ailing(x), "\n"), "in words", x.What)
}

// ailing are the alarms that suffer from it.
func ailing(x alarms.Ailment) []string {
	if len(x.Alarms) > 0 {
		return x.Alarms
	}
	return nonEmpty(x.Alarm)
}

func (s *doctor) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	end := c.Line() + height
	x := &s.a.alarms.checkup
	if words := askedWords(s.a, x, "following each alarm to its topic, policy, key and subscribers; this only reads…"); words != "" {
		drawEmpty(c, height, l, words)
		return
	}
	s.drawTotals(c, l)
	s.list.draw(c, max(end-c.Line()-2, 2), l, "every alarm that was checked should reach somebody; a drill of an alarm proves it")
	if ill, ok := s.under(); ok {
		c.Text(ill.What, l.strong)
		c.End()
		c.Text("fix  ", l.title)
		c.Text(ill.Fix, text.Style{})
		c.End()
	}
	c.Until(end)
}

func (s *doctor) drawTotals(c *text.Canvas, l light) {
	x := &s.a.alarms.checkup
	look := l.good
	if x.value.Healthy < x.value.Checked {
		look = l.ticket
	}
	left := []segment{{fmt.Sprintf("%s of %s should reach somebody", count(float64(x.value.Healthy)), plural(x.value.Checked, "alarm")), look, 0}}
	for _, why := range x.value.Partial[:min(len(x.value.Partial), 1)] {
		left = append(left, segment{"not all checked: " + text.Cut(why, 60), l.ticket, 1})
	}
	right := []segment{{"checked " + age(x.at, l.now) + " ago", l.dim, 2}}
	switch {
	case x.busy:
		right = []segment{{"checking again…", l.accent, 0}}
	case x.problem != nil:
		right = []segment{{"not checked again: " + text.Cut(x.problem.What, 40), l.ticket, 0}}
	}
	drawSegments(c, left, right)
}

// doctorRows is the report as the source of its table.
type doctorRows struct{ *doctor }

func (s doctorRows) Len() int { return len(s.all()) }

func (s doctorRows) ID(i int) string { x := s.all()[i]; return x.Kind + " " + x.Alarm + x.What }

func (s doctorRows) Match(i int) bool {
	return s.passes(func(col int) string { return s.words(i, col) })
}

func (s doctorRows) Compare(i, j, col int) int {
	a, b, by := &s.all()[i], &s.all()[j], 0
	switch col {
	case dcSeverity:
		by = cmp.Compare(b.Severity, a.Severity)
	case dcAlarms:
		by = cmp.Compare(len(ailing(*b)), len(ailing(*a)))
	default:
		by = strings.Compare(s.words(i, col), s.words(j, col))
	}
	return cmp.Or(by, cmp.Compare(i, j))
}

func (s doctorRows) words(i, col int) string {
	x := s.all()[i]
	switch col {
	case dcSeverity:
		if x.Unknown {
			return "?"
		}
		return x.Severity.String()
	case dcKind:
		return strings.ReplaceAll(x.Kind, "_", " ")
	case dcWhat:
		return x.What
	}
	if n := len(ailing(x)); n > 0 {
		return count(float64(n))
	}
	return "-"
}

func (s doctorRows) Draw(c *text.Canvas, i, col, width int) {
	x, look := s.all()[i], text.Style{}
	switch col {
	case dcSeverity:
		look = severityLook(s.l, x)
	case dcKind:
		look = s.l.dim
	case dcAlarms:
		c.Right(s.words(i, col), width, s.l.dim)
		return
	}
	c.Cell(s.words(i, col), width, look)
}

func severityLook(l light, x alarms.Ailment) text.Style {
	switch {
	case x.Unknown:
		return l.dim
	case x.Severity == alarms.Page:
		return l.page
	case x.Severity == alarms.Ticket:
		return l.ticket
	}
	return l.dim
}

// ailment tells what is wrong with some alarms in full.
type ailment struct {
	page
	x alarms.Ailment
}

func newAilment(x alarms.Ailment) *ailment {
	s := &ailment{x: x}
	s.page = *newPage(strings.ReplaceAll(x.Kind, "_", " "), func(w *writer, _ *picture) { s.tell(w) })
	return s
}

func (s *ailment) Hints() []string { return []string{"copy", "back", "help"} }
func (s *ailment) Copies() *menu   { return copiesOf(s.x) }

func (s *ailment) tell(w *writer) {
	word := s.x.Severity.String()
	if s.x.Unknown {
		word = "could not be checked"
	}
	w.line(span{word, severityLook(w.l, s.x)}, span{"   " + strings.ReplaceAll(s.x.Kind, "_", " "), w.l.strong})
	w.blank()
	w.para(s.x.What, text.Style{})
	w.head("the fix")
	w.para(s.x.Fix, w.l.strong)
	w.line(span{w.l.keyOf("copy") + " copies it", w.l.dim})
	names := slices.Clone(ailing(s.x))
	if len(names) > 0 {
		w.head(plural(len(names), "alarm"))
	}
	for _, name := range names[:min(len(names), maxIDs)] {
		w.line(span{text.Clean(text.Bound(name, 255)), text.Style{}})
	}
}
