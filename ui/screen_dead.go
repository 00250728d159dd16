package ui

import (
	"cmp"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// dead is the list of all dead-letter queues.
type dead struct {
	list
	a    *App
	pic  *picture
	rows []deadRow
	l    light
}

// deadRow is one dead-letter queue.
type deadRow struct {
	q *ops.Queue
	v *alarms.Verdict // nil when it was not judged
}

const (
	deadState = iota
	deadName
	deadDepth
	deadHeld
	deadOldest
	deadRate
	deadLoss
	deadRuns
	deadSources
	deadAlarm
)

var deadColumns = []table.Column{
	deadState:   {ID: "state", Title: "STATE", Width: 6},
	deadName:    {ID: "name", Title: "QUEUE", Width: 26, Min: 14, Grow: true},
	deadDepth:   {ID: "depth", Title: "DEPTH", Width: 9, Min: 7, Right: true},
	deadHeld:    {ID: "flight", Title: "IN FLIGHT", Width: 9, Min: 6, Priority: 2, Right: true},
	deadOldest:  {ID: "oldest", Title: "OLDEST", Width: 7, Priority: 1, Right: true},
	deadRate:    {ID: "rate", Title: "RATE", Width: 12, Min: 9, Priority: 3},
	deadLoss:    {ID: "loss", Title: "LOSS IN", Width: 8, Right: true},
	deadRuns:    {ID: "running", Title: "RUNNING", Width: 14, Min: 8, Priority: 2},
	deadSources: {ID: "sources", Title: "SOURCES", Width: 24, Min: 10, Priority: 4},
	deadAlarm:   {ID: "alarm", Title: "ALARM", Width: 16, Min: 10, Priority: 5},
}

func openDead(a *App, target ops.ARN) screen {
	s := &dead{list: newList(table.New(deadColumns, "loss")), a: a}
	if target != "" {
		s.table.Seek(string(target))
	}
	return s
}

func (s *dead) Title() string { return "dlq" }

func (s *dead) Load(p *picture) {
	s.pic, s.rows = p, nil
	seen := map[ops.ARN]bool{}
	for i := range p.verdicts { // in the judge's order: who needs a person first
		v := &p.verdicts[i]
		if q := p.queues[v.ARN]; q != nil && q.IsDeadLetter() {
			s.rows = append(s.rows, deadRow{q, v})
			seen[v.ARN] = true
		}
	}
	for i := range p.snap.Queues.Items {
		if q := &p.snap.Queues.Items[i]; q.IsDeadLetter() && !seen[q.ARN] {
			s.rows = append(s.rows, deadRow{q: q})
		}
	}
	s.table.Load(deadRows{s})
}

func (s *dead) SetFilter(words string) {
	s.parse(words)
	s.table.Reload()
}

func (s *dead) Selected() ops.ARN  { return ops.ARN(s.table.Cursor()) }
func (s *dead) Visible() []ops.ARN { return arns(s.table.Visible()) }

// Open opens the triage of the queue under the cursor.
func (s *dead) Open(a *App) tea.Cmd { return a.triageOf(s.Selected()) }

func (s *dead) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	empty := emptyWords(s.pic)
	if s.pic.read() && !s.pic.snap.Queues.At.IsZero() {
		empty = "no queue here takes dead letters: nothing redrives, fails or parks into one"
	}
	s.list.draw(c, height, l, empty)
}

// deadRows is the list as the source of its table.
type deadRows struct{ *dead }

func (t deadRows) Len() int          { return len(t.rows) }
func (t deadRows) ID(row int) string { return string(t.rows[row].q.ARN) }
func (t deadRows) Match(row int) bool {
	return t.passes(func(col int) string { s, _ := t.cell(row, col); return s })
}

func (t deadRows) Compare(i, j, col int) int {
	a, b, by := t.rows[i], t.rows[j], 0
	last := func(q *ops.Queue, m ops.Metric) float64 { return q.Measures.Last(m).Or(-1) }
	switch col {
	case deadName:
		by = strings.Compare(a.q.Name, b.q.Name)
	case deadDepth:
		by = cmp.Compare(b.q.Depth().Or(-1), a.q.Depth().Or(-1))
	case deadHeld:
		by = cmp.Compare(last(b.q, ops.InFlight), last(a.q, ops.InFlight))
	case deadOldest:
		by = cmp.Compare(last(b.q, ops.OldestAge), last(a.q, ops.OldestAge))
	case deadRate:
		by = cmp.Compare(slope(b.v), slope(a.v))
	case deadSources:
		by = strings.Compare(sourcesOf(a.q), sourcesOf(b.q))
	case deadAlarm:
		by = cmp.Compare(rings(b.v), rings(a.v))
	case deadRuns:
		by = strings.Compare(t.running(b.q.ARN), t.running(a.q.ARN))
	}
	return cmp.Or(by, cmp.Compare(i, j)) // the judge's order is the order of loss
}

func slope(v *alarms.Verdict) float64 {
	if v == nil {
		return -1e18
	}
	return v.Loss.Slope.Or(-1e18)
}

func rings(v *alarms.Verdict) int {
	if v == nil {
		return 0
	}
	return ringing(v)
}

// sourcesOf names what sends dead letters here.
func sourcesOf(q *ops.Queue) string {
	var names []string
	for _, d := range q.DeadLetterOf {
		names = append(names, shortKind(d.Source.Kind(), false)+" "+d.Source.Name())
	}
	return strings.Join(names, ", ")
}

// cell returns the words of a cell and their look.
func (s *dead) cell(row, col int) (string, text.Style) {
	r, l := s.rows[row], s.l
	dim := text.Style{}
	if l.theme != nil {
		dim = l.dim
	}
	switch col {
	case deadName:
		return r.q.Name, text.Style{}
	case deadDepth:
		return reading(r.q.Depth(), ops.Count), text.Style{}
	case deadHeld:
		return reading(r.q.Measures.Last(ops.InFlight), ops.Count), dim
	case deadOldest:
		return reading(r.q.Measures.Last(ops.OldestAge), ops.Seconds), dim
	case deadRuns:
		return s.running(r.q.ARN), text.Style{}
	case deadSources:
		return sourcesOf(r.q), dim
	}
	if r.v == nil {
		return "?", dim
	}
	switch col {
	case deadState:
		return string(r.v.State), text.Style{}
	case deadRate:
		return trendText(r.v.Loss), text.Style{}
	case deadLoss:
		return lossText(r.v.Loss), text.Style{}
	case deadAlarm:
		return alarmText(r.v, l), dim
	}
	return "", dim
}

// running says what is being done with the queue by this console.
func (s *dead) running(q ops.ARN) string {
	for _, r := range s.a.work.runs {
		if r.progress.From == q && !r.progress.State.Over() {
			return fmt.Sprintf("%s %s", r.progress.Verb, percent(r.share()))
		}
	}
	for _, x := range s.a.work.unfinished {
		if x.From == q {
			return "interrupted"
		}
	}
	return ""
}

func (t deadRows) Draw(c *text.Canvas, row, col, width int) {
	words, look := t.cell(row, col)
	v, l := t.rows[row].v, t.l
	switch {
	case v == nil:
	case col == deadState:
		look = l.state(v.State)
	case col == deadRate:
		look = motionLook(l, v.Loss.Motion)
	case col == deadLoss:
		look = lossLook(l, v)
	case col == deadAlarm:
		look = alarmLook(l, v)
	case col == deadName && v.State == alarms.StatePage:
		look = l.strong
	}
	if deadColumns[col].Right {
		c.Right(words, width, look)
		return
	}
	c.Cell(words, width, look)
}

// triageOf opens the triage of a queue.
func (a *App) triageOf(queue ops.ARN) tea.Cmd {
	for i, s := range a.stack {
		if t, ok := s.(*triage); ok && t.arn == queue {
			return a.cutTo(i)
		}
	}
	return a.open(openTriage(a, queue))
}
