package ui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// tasks shows SQS's own move tasks of a queue: what SQS says it moved and what the
// queue lost, side by side, for SQS's counter lags.
type tasks struct {
	document
	arn     ops.ARN
	queue   *ops.Queue
	desk    Desk
	all     []Task
	at      time.Time // when they were read; zero: not yet
	first   float64   // what the queue held when the screen opened
	problem *ops.Problem
	left    bool
}

// tasksReadMsg brings the tasks of a queue.
type tasksReadMsg struct {
	screen *tasks
	all    []Task
	err    error
}

// tasksAgainMsg says that it is time to read them again.
type tasksAgainMsg struct{ screen *tasks }

const (
	tasksMost = 15 * time.Second
	tasksPace = 2 * time.Second // while one runs
)

func newTasks(desk Desk, q *ops.Queue) *tasks {
	return &tasks{document: newDocument(), arn: q.ARN, queue: q, desk: desk, first: q.Depth().Or(-1)}
}

func (s *tasks) Title() string      { return "move tasks of " + s.arn.Name() }
func (s *tasks) Selected() ops.ARN  { return s.arn }
func (s *tasks) Visible() []ops.ARN { return []ops.ARN{s.arn} }
func (s *tasks) Leave() tea.Cmd     { s.left = true; return nil }
func (s *tasks) Hints() []string    { return []string{"cancel", "move", "triage", "back", "help"} }

func (s *tasks) Load(p *picture) {
	if q := p.queues[s.arn]; q != nil {
		s.queue = q
	}
}

func (s *tasks) Start(a *App) tea.Cmd { return s.readCmd(a) }

func (s *tasks) readCmd(a *App) tea.Cmd {
	desk, queue, ctx := s.desk, *s.queue, a.work.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, tasksMost)
		defer done()
		all, err := desk.Tasks(ctx, queue)
		return tasksReadMsg{s, all, err}
	}
}

func (a *App) tasksRead(msg tasksReadMsg) tea.Cmd {
	s := msg.screen
	if s.left {
		return nil
	}
	s.at, s.problem = a.now(), ops.AsProblem(msg.err)
	if msg.err == nil {
		s.all = msg.all
	}
	if s.running() == nil {
		return nil
	}
	return after(a.ctx, tasksPace, tasksAgainMsg{s})
}

func (s *tasks) running() *Task {
	for i := range s.all {
		if s.all[i].Running() {
			return &s.all[i]
		}
	}
	return nil
}

func (s *tasks) Draw(c *text.Canvas, height int, l light) {
	switch {
	case s.at.IsZero():
		drawEmpty(c, height, l, "asking SQS about its move tasks…")
		return
	case s.problem != nil && len(s.all) == 0:
		drawEmpty(c, height, l, "could not be read: "+problemText(s.problem))
		return
	case len(s.all) == 0:
		drawEmpty(c, height, l, "SQS knows of no move task of this queue; "+l.keyOf("move")+" plans one: everything goes, nothing can be chosen")
		return
	}
	w := &writer{l: l, width: c.Width() - 3}
	if s.problem != nil {
		w.para("could not be read again: "+problemText(s.problem), l.ticket)
	}
	for i, t := range s.all {
		s.tell(w, t, i == 0)
	}
	s.set(w.lines)
	s.document.draw(c, height, l)
}

func (s *tasks) tell(w *writer, t Task, newest bool) {
	look := w.l.dim
	switch t.Status {
	case "RUNNING", "CANCELLING":
		look = w.l.accent
	case "COMPLETED":
		look = w.l.good
	case "FAILED":
		look = w.l.page
	}
	to := "each to the queue it came from"
	if t.To != "" {
		to = "to " + t.To.Name()
	}
	w.line(span{pad(t.Status, 12), look}, span{to, w.l.strong}, span{"   began " + age(t.Started, w.l.now) + " ago", w.l.dim})
	if t.Total > 0 && (t.Running() || t.Moved > 0) { // a late counter of a finished task says nothing
		w.bar(float64(t.Moved)/float64(t.Total), percent(float64(t.Moved)/float64(t.Total)))
	}
	w.field("SQS says", fmt.Sprintf("%s moved of %s (this counter lags)", count(float64(t.Moved)), count(float64(t.Total))), text.Style{})
	if newest {
		held := "the queue holds " + reading(s.queue.Depth(), ops.Count)
		if now, ok := s.queue.Depth().Value(); ok && s.first >= 0 {
			held += fmt.Sprintf(", %s fewer than when this screen opened", count(max(s.first-now, 0)))
		}
		w.field("the queue", held, text.Style{})
	}
	rate := "as SQS decides"
	if t.Rate > 0 {
		rate = fmt.Sprintf("at most %d a second", t.Rate)
	}
	w.field("rate", rate, text.Style{})
	if t.Failure != "" {
		w.field("failed", t.Failure, w.l.page)
	}
	w.blank()
}

// taskCancelledMsg says what a cancel did.
type taskCancelledMsg struct {
	screen *tasks
	moved  int64
	err    error
}

// askCancel asks before the running task is cancelled.
func (s *tasks) askCancel(a *App) tea.Cmd {
	if ok, why := canChange(a); !ok {
		a.warn("cancel: " + why)
		return nil
	}
	a.ask(newSureDialog("cancel the move task of "+s.arn.Name()+"?", "cancel it", func(w *writer) {
		w.para("What was moved stays moved. SQS stops as soon as it can.", text.Style{})
	}, func(a *App) tea.Cmd {
		desk, queue, ctx := s.desk, *s.queue, a.work.ctx
		return func() tea.Msg {
			ctx, done := context.WithTimeout(ctx, tasksMost)
			defer done()
			moved, err := desk.CancelTask(ctx, queue)
			return taskCancelledMsg{s, moved, err}
		}
	}))
	return nil
}

func (a *App) taskCancelled(msg taskCancelledMsg) tea.Cmd {
	if msg.err != nil {
		a.warn("not cancelled: " + ops.AsProblem(msg.err).Error())
		return nil
	}
	a.say("cancelled; SQS says it had moved about " + count(float64(msg.moved)))
	return msg.screen.readCmd(a)
}
