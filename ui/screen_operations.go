package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// operations lists what this console runs and ran, and what earlier runs of this
// machine left unfinished.
type operations struct {
	list
	a    *App
	l    light
	runs []*run
	left []Unfinished
}

var operationColumns = []table.Column{
	{ID: "state", Title: "STATE", Width: 11},
	{ID: "what", Title: "WHAT", Width: 30, Min: 16, Grow: true},
	{ID: "done", Title: "DONE", Width: 5, Right: true},
	{ID: "total", Title: "OF", Width: 8, Min: 5, Priority: 1, Right: true},
	{ID: "sent", Title: "SENT", Width: 8, Min: 5, Priority: 2, Right: true},
	{ID: "failed", Title: "FAILED", Width: 6, Priority: 3, Right: true},
	{ID: "left", Title: "LEFT", Width: 8, Min: 5, Priority: 2, Right: true},
	{ID: "age", Title: "BEGAN", Width: 6, Priority: 2, Right: true},
	{ID: "id", Title: "OPERATION", Width: 26, Min: 10, Priority: 4},
}

func openOperations(a *App, _ ops.ARN) screen {
	return &operations{list: newList(table.NewFixed(operationColumns)), a: a}
}

func (s *operations) Title() string      { return "operations" }
func (s *operations) Load(*picture)      { s.refresh() }
func (s *operations) Visible() []ops.ARN { return nil }
func (s *operations) Hints() []string {
	return []string{"open", "hold", "cancel", "back", "journal", "help"}
}

func (s *operations) SetFilter(words string) {
	s.parse(words)
	s.refresh()
}

// refresh lists again: newest first, then what is interrupted.
func (s *operations) refresh() {
	s.runs, s.left = nil, s.a.work.unfinished
	for i := len(s.a.work.runs) - 1; i >= 0; i-- {
		s.runs = append(s.runs, s.a.work.runs[i])
	}
	s.table.Load(operationRows{s})
}

func (s *operations) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	if len(s.runs) != len(s.a.work.runs) || len(s.left) != len(s.a.work.unfinished) {
		s.refresh()
	}
	s.list.draw(c, height, l, "nothing was started here, and no earlier operation of this machine is unfinished")
}

func (s *operations) Selected() ops.ARN {
	switch r, left := s.under(); {
	case r != nil:
		return r.progress.From
	case left != nil:
		return left.From
	}
	return ""
}

func (s *operations) under() (*run, *Unfinished) {
	switch row := s.table.Row(); {
	case row < 0:
		return nil, nil
	case row < len(s.runs):
		return s.runs[row], nil
	default:
		return nil, &s.left[row-len(s.runs)]
	}
}

func (s *operations) runUnder() *run {
	r, _ := s.under()
	return r
}

// Open shows an operation; an interrupted one it offers to resume.
func (s *operations) Open(a *App) tea.Cmd {
	r, left := s.under()
	switch {
	case r != nil:
		return a.open(newOperation(r))
	case left != nil:
		return a.askResume(*left)
	}
	return nil
}

// askResume says what an interrupted operation left before it goes on.
func (a *App) askResume(x Unfinished) tea.Cmd {
	if ok, why := canChange(a); !ok {
		a.warn("resume: " + why)
		return nil
	}
	a.ask(newSureDialog("resume "+string(x.Verb)+" of "+x.From.Name()+"?", "resume", func(w *writer) {
		w.field("operation", x.ID, w.l.strong)
		w.field("began", age(x.Started, w.l.now)+" ago by "+x.By, text.Style{})
		w.field("messages", fmt.Sprintf("%s, of them %s sent and %s deleted", count(float64(x.Total)), count(float64(x.Sent)), count(float64(x.Deleted))), text.Style{})
		if x.Open > 0 {
			w.field("unknown", plural(x.Open, "send")+" without an answer: they are not sent again, and are named in the result", w.l.ticket)
		}
		if x.Notice != "" {
			w.field("record", x.Notice, w.l.ticket)
		}
		w.blank()
		w.para("What is recorded as sent is deleted and never sent again; what is not recorded is sent.", w.l.dim)
	}, func(a *App) tea.Cmd { return a.resume(x) }))
	return nil
}

// operationRows is the list as the source of its table.
type operationRows struct{ *operations }

func (t operationRows) Len() int { return len(t.runs) + len(t.left) }

func (t operationRows) ID(row int) string {
	if row < len(t.runs) {
		return t.runs[row].progress.ID
	}
	return t.left[row-len(t.runs)].ID
}

func (t operationRows) Compare(i, j, _ int) int { return i - j }

func (t operationRows) Match(row int) bool {
	return t.passes(func(col int) string { s, _ := t.cell(row, col); return s })
}

func (t operationRows) cell(row, col int) (string, text.Style) {
	l := t.l
	if l.theme == nil {
		l.theme = t.a.theme
	}
	if row >= len(t.runs) {
		x := t.left[row-len(t.runs)]
		switch col {
		case 0:
			if strings.HasPrefix(x.Notice, "running") { // another kxops has its lock
				return "elsewhere", l.accent
			}
			return "interrupted", l.page
		case 1:
			return string(x.Verb) + " of " + x.From.Name(), text.Style{}
		case 2:
			return percent(float64(x.Deleted) / float64(max(x.Total, 1))), text.Style{}
		case 3:
			return count(float64(x.Total)), l.dim
		case 4:
			return count(float64(x.Sent)), l.dim
		case 5:
			return count(float64(x.Open)), l.dim
		case 6:
			return count(float64(max(x.Total-x.Sent-x.Open, 0))), l.dim
		case 7:
			return age(x.Started, l.now), l.dim
		}
		return x.ID, l.dim
	}
	r := t.runs[row]
	p := r.progress
	switch col {
	case 0:
		look := l.accent
		switch p.State {
		case ops.Finished:
			look = l.good
		case ops.Halted, ops.Broken:
			look = l.page
		case ops.Incomplete, ops.Cancelled, ops.Paused:
			look = l.ticket
		}
		return string(p.State), look
	case 1:
		return r.name(), text.Style{}
	case 2:
		return percent(r.share()), text.Style{}
	case 3:
		return count(float64(p.Total)), l.dim
	case 4:
		return count(float64(p.Sent)), l.dim
	case 5:
		look := l.dim
		if p.Rejected+p.Unknown > 0 {
			look = l.page
		}
		return count(float64(p.Rejected + p.Unknown)), look
	case 6:
		return count(float64(leftOf(p))), l.dim
	case 7:
		return age(p.Started, l.now), l.dim
	}
	return p.ID, l.dim
}

func (t operationRows) Draw(c *text.Canvas, row, col, width int) {
	words, look := t.cell(row, col)
	if operationColumns[col].Right {
		c.Right(words, width, look)
		return
	}
	c.Cell(words, width, look)
}
