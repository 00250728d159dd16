package ui

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// alarmList shows the CloudWatch alarms that exist.
type alarmList struct {
	list
	a   *App
	pic *picture
	l   light
}

const (
	alState = iota
	alName
	alSince
	alWatches
	alWhen
	alEval
	alActions
)

var alarmColumns = []table.Column{
	alState:   {ID: "state", Title: "STATE", Width: 9, Min: 7},
	alName:    {ID: "name", Title: "ALARM", Width: 36, Min: 16, Comfort: 30, Grow: true},
	alSince:   {ID: "since", Title: "SINCE", Width: 7, Right: true},
	alWatches: {ID: "watches", Title: "WATCHES", Width: 24, Min: 14, Priority: 2},
	alWhen:    {ID: "when", Title: "RINGS AT", Width: 44, Min: 24, Priority: 3, Grow: true},
	alEval:    {ID: "datapoints", Title: "OF", Width: 6, Priority: 5},
	alActions: {ID: "actions", Title: "ACTIONS", Width: 12, Min: 11, Priority: 1},
}

func openAlarms(a *App, _ ops.ARN) screen {
	return &alarmList{list: newList(table.New(alarmColumns, "state")), a: a}
}

func (s *alarmList) Hints() []string {
	return []string{"open", "mute", "drill", "coverage", "plan", "doctor", "backtest", "filter", "mark", "back", "help"}
}

// Want reads what should exist: only that can be tried on the past.
func (s *alarmList) Want(a *App) tea.Cmd {
	if a.alarms.desk == nil {
		return nil
	}
	if x := &a.alarms.cover; x.unread() && !x.busy && a.pic.whole() {
		return a.readCover()
	}
	return nil
}

// Copies offers the marked alarms, or the one under the cursor.
func (s *alarmList) Copies() *menu {
	var names, arns []string
	for _, i := range s.rowsChosen() {
		x := &s.pic.snap.Alarms.Items[i]
		names, arns = append(names, x.Name), append(arns, string(x.ARN))
	}
	return copyLines("name", strings.Join(names, "\n"), "ARN", strings.Join(arns, "\n"), "watches", string(s.Selected()))
}

// rowsChosen are the marked alarms, else the one under the cursor.
func (s *alarmList) rowsChosen() []int {
	if s.table.Marked() == 0 {
		if row := s.table.Row(); row >= 0 {
			return []int{row}
		}
		return nil
	}
	marked := map[string]bool{}
	for _, id := range s.table.Marks() {
		marked[id] = true
	}
	var rows []int
	for i := range s.pic.snap.Alarms.Items {
		if marked[alarmRows{s}.ID(i)] {
			rows = append(rows, i)
		}
	}
	return rows
}

func (s *alarmList) chosen() []string {
	var names []string
	for _, i := range s.rowsChosen() {
		names = append(names, s.pic.snap.Alarms.Items[i].Name)
	}
	return names
}

func (s *alarmList) Title() string { return "alarms" }

func (s *alarmList) Load(p *picture) {
	s.pic = p
	s.table.Load(alarmRows{s})
}

func (s *alarmList) SetFilter(f string) {
	s.parse(f)
	s.table.Reload()
}

// Selected is the resource that the alarm watches: enter leads there.
func (s *alarmList) Selected() ops.ARN {
	if row := s.table.Row(); row >= 0 {
		return s.pic.snap.Alarms.Items[row].Resource
	}
	return ""
}

func (s *alarmList) Visible() []ops.ARN { return nil }

func (s *alarmList) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	empty := "no CloudWatch alarms exist in this region"
	section := s.pic.snap.Alarms
	switch {
	case section.Problem != nil:
		empty = "alarms could not be read: " + section.Problem.What
	case section.At.IsZero():
		empty = "reading the alarms…"
	}
	end := c.Line() + height
	s.list.draw(c, max(height-alarmStrip, 2), l, empty)
	s.drawStrip(c, l)
	c.Until(end)
}

// alarmStrip is how many lines tell of the alarm under the cursor.
const alarmStrip = 2

// drawStrip tells the alarm under the cursor in full: a name may be 255 characters.
func (s *alarmList) drawStrip(c *text.Canvas, l light) {
	row := s.table.Row()
	if row < 0 {
		return
	}
	x := &s.pic.snap.Alarms.Items[row]
	c.Text(x.Name, l.title)
	c.End()
	words := []string{alarmWord(x.State) + " for " + age(x.Since, l.now), "rings at " + ringsWhen(x)}
	look := l.dim
	if muted := s.a.alarms.muted(x.Name, l.now); muted != "" {
		why := s.a.alarms.mutesOf(x.Name, l.now)[0].Reason
		words, look = append(nonEmpty(muted, why), words...), l.ticket
	}
	if p := s.a.alarms.mutes.problem; p != nil {
		words, look = append([]string{"what is muted could not be read: " + p.What}, words...), l.ticket
	}
	c.Text(strings.Join(append(words, nonEmpty(x.Reason)...), " · "), look)
	c.End()
}

// alarmRows is the list as the source of its table.
type alarmRows struct{ *alarmList }

func (s alarmRows) Len() int { return len(s.pic.snap.Alarms.Items) }
func (s alarmRows) ID(row int) string {
	a := &s.pic.snap.Alarms.Items[row]
	return string(a.ARN) + a.Name
}

func (s alarmRows) Match(row int) bool {
	return s.passes(func(col int) string { return s.cell(row, col) })
}

func (s *alarmList) cell(row, col int) string {
	a := &s.pic.snap.Alarms.Items[row]
	switch col {
	case alState:
		return alarmWord(a.State)
	case alName:
		return a.Name
	case alSince:
		return age(a.Since, s.l.now)
	case alWatches:
		switch {
		case a.Composite:
			return "other alarms"
		case a.Resource == "":
			return "nothing kxops shows"
		}
		return shortKind(a.Resource.Kind(), false) + " " + a.Resource.Name()
	case alWhen:
		return ringsWhen(a)
	case alEval:
		return a.Evaluation
	case alActions:
		muted := s.a.alarms.muted(a.Name, s.l.now)
		switch {
		case muted != "":
			return muted
		case !a.Enabled:
			return "switched off"
		case a.Actions == 0:
			return "none"
		}
		return fmt.Sprint(a.Actions)
	}
	return ""
}

func alarmWord(state string) string {
	if state == "INSUFFICIENT_DATA" {
		return "no data"
	}
	return state
}

// ringsWhen puts an alarm's condition in words.
func ringsWhen(a *ops.Alarm) string {
	if a.Composite {
		return "composite rule"
	}
	sign := map[string]string{
		"GreaterThanThreshold": ">", "GreaterThanOrEqualToThreshold": "≥",
		"LessThanThreshold": "<", "LessThanOrEqualToThreshold": "≤",
	}[a.Comparison]
	if sign == "" {
		sign = a.Comparison
	}
	limit := string(a.Threshold.Why())
	if v, ok := a.Threshold.Value(); ok {
		limit = alarmLimit(a.MetricName, v)
		if a.Math { // its value has a unit of its own
			limit = alarmLimit("", v)
		}
	}
	switch {
	case a.MetricName == "":
		return sign + " " + limit + " by metric math"
	case a.Math:
		return sign + " " + limit + " by metric math on " + a.MetricName
	}
	return fmt.Sprintf("%s %s %s per %s", sign, limit, a.MetricName, ops.Span(a.Period.Seconds()))
}

// alarmLimit writes a threshold in the unit of its metric, where that is a time:
// nobody reads 21600000 as six hours.
func alarmLimit(metric string, v float64) string {
	switch {
	case v > 0 && strings.HasSuffix(metric, "AgeMilliseconds"), v > 0 && strings.HasSuffix(metric, "MillisBehindLatest"), v > 0 && metric == "IteratorAge":
		return ops.Span(v / 1000)
	case v > 0 && (metric == "ApproximateAgeOfOldestMessage" || strings.HasSuffix(metric, "DataFreshness")):
		return ops.Span(v)
	}
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0")
}

func (s alarmRows) Compare(i, j, col int) int {
	a, b := &s.pic.snap.Alarms.Items[i], &s.pic.snap.Alarms.Items[j]
	by := 0
	switch col {
	case alState:
		by = cmp.Compare(alarmRank(a.State), alarmRank(b.State))
	case alSince:
		by = -a.Since.Compare(b.Since)
	case alActions:
		by = cmp.Compare(a.Actions, b.Actions)
	default:
		by = strings.Compare(s.cell(i, col), s.cell(j, col))
	}
	return cmp.Or(by, strings.Compare(a.Name, b.Name))
}

func alarmRank(state string) int {
	switch state {
	case "ALARM":
		return 0
	case "OK":
		return 2
	}
	return 1
}

func (s alarmRows) Draw(c *text.Canvas, row, col, width int) {
	a := &s.pic.snap.Alarms.Items[row]
	look := text.Style{}
	switch col {
	case alState:
		look = map[string]text.Style{"ALARM": s.l.page, "OK": s.l.good}[a.State]
		if look == (text.Style{}) {
			look = s.l.ticket
		}
	case alSince:
		c.Right(s.cell(row, col), width, s.l.dim)
		return
	case alActions:
		if words := s.cell(row, col); !a.Enabled || a.Actions == 0 || strings.HasPrefix(words, "muted") {
			look = s.l.ticket
		}
	case alWatches, alWhen, alEval:
		look = s.l.dim
	}
	c.Cell(s.cell(row, col), width, look)
}
