package ui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

const (
	previewMost = 30 * time.Second
	drillMost   = 3 * time.Minute // the desk's own patience is a minute, beside the calls
)

// previewedMsg brings what a drill would do, or why it would be refused.
type previewedMsg struct {
	inEpoch
	alarm string
	lines []string
	err   error
}

// previewDrill asks who would hear an alarm, by reading only; the answer is a question.
func (a *App) previewDrill(alarm string) tea.Cmd {
	desk, ctx, epoch := a.alarms.desk, a.poll.ctx, a.poll.epoch
	a.say("asking who would hear " + alarm + "…")
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, previewMost)
		defer done()
		lines, err := desk.DrillPreview(ctx, alarm)
		return previewedMsg{inEpoch{epoch}, alarm, lines, err}
	}
}

func (msg previewedMsg) tell(a *App) tea.Cmd {
	if msg.err != nil {
		a.warn("no drill: " + ops.AsProblem(msg.err).Error())
		return nil
	}
	a.ask(newChangeDialog("drill "+msg.alarm+"?", "ring it", func(w *writer) {
		w.para("A drill rings the alarm on purpose: its state is set, CloudWatch's history is watched until it says of each action that it was done or failed, and the state is set back.", text.Style{})
		w.blank()
		for _, line := range msg.lines {
			w.para(line, w.l.strong)
		}
		w.blank()
		w.para("The message says that this is a drill, and whose.", w.l.dim)
	}, func(a *App) tea.Cmd { return a.drill(msg.alarm) }))
	return nil
}

// drilling is an alarm that is being rung. It belongs to the App and not to a screen: the
// state that was set is set back whatever is shown, and before the console is left.
type drilling struct {
	alarm  string
	cancel context.CancelFunc
	done   chan struct{}
	told   bool
}

func (x *drilling) over() bool { return x == nil || x.told }

// over reports whether nothing is being applied or rung.
func (w *alarmWork) over() bool { return w.applying.over() && w.drilling.over() }

// drilledMsg says what became of a drill. Like what was applied it has no epoch.
type drilledMsg struct {
	of    *drilling
	drill alarms.Drill
	err   error
}

func (a *App) drill(alarm string) tea.Cmd {
	ctx, cancel := context.WithTimeout(a.work.ctx, drillMost)
	x := &drilling{alarm: alarm, cancel: cancel, done: make(chan struct{})}
	a.alarms.drilling = x
	desk := a.alarms.desk
	a.say(alarm + " is being rung; waiting for what becomes of its actions…")
	return func() tea.Msg {
		defer cancel()
		defer close(x.done)
		result, err := desk.Drill(ctx, alarm, func(string) {})
		return drilledMsg{x, result, err}
	}
}

func (a *App) drilled(msg drilledMsg) tea.Cmd {
	msg.of.told = true
	if msg.err != nil && len(msg.drill.Actions) == 0 {
		a.warn("drill: " + ops.AsProblem(msg.err).Error())
		return a.look(true)
	}
	return tea.Batch(a.open(newDrilled(msg.drill, msg.err)), a.look(true))
}

// close ends a drill when the console is left: the state is set back.
func (x *drilling) close() error {
	if x.over() {
		return nil
	}
	x.cancel()
	select {
	case <-x.done:
	case <-time.After(closeMost):
		return fmt.Errorf("whether %s was set back after its drill is not known; CloudWatch judges it again at its next evaluation", x.alarm)
	}
	return nil
}

// drilled is the report of a drill.
type drilled struct {
	page
	x alarms.Drill
}

func newDrilled(x alarms.Drill, err error) *drilled {
	s := &drilled{x: x}
	s.page = *newPage("drill", func(w *writer, _ *picture) { s.tell(w, err) })
	return s
}

func (s *drilled) Hints() []string { return []string{"doctor", "back", "help"} }

func (s *drilled) tell(w *writer, err error) {
	word, look := "proven: every action was done", w.l.good
	switch {
	case !s.x.Proven():
		word, look = "not proven", w.l.page
	case len(s.x.Deserted) > 0:
		word, look = "every action was done, and nobody listens", w.l.page
	}
	w.line(span{word, look}, span{"   " + text.Clean(text.Bound(s.x.Alarm, 255)), w.l.strong})
	w.line(span{fmt.Sprintf("took %.0f s", s.x.Took), w.l.dim})
	w.head(plural(len(s.x.Actions), "action"))
	for _, x := range s.x.Actions {
		word, look := "unknown", w.l.ticket
		switch {
		case x.Delivered:
			word, look = "done", w.l.good
		case x.Failed:
			word, look = "FAILED", w.l.page
		}
		w.line(span{fmt.Sprintf("%-8s", word), look}, span{text.Clean(x.ARN.Name()), w.l.strong})
		w.field("", x.What, w.l.dim)
	}
	if len(s.x.Actions) == 0 {
		w.para("It has no actions: nobody would hear it.", w.l.page)
	}
	w.blank()
	if s.x.Reset {
		w.para("The state was put back.", text.Style{})
	} else {
		w.para("The state was NOT put back; CloudWatch does at its next evaluation.", w.l.page)
	}
	if s.x.Note != "" {
		w.para(s.x.Note, w.l.ticket)
	}
	if err != nil {
		w.para(ops.AsProblem(err).Error(), w.l.page)
	}
	w.blank()
	w.para("Done means that SNS took the message. Whether a person read it, that person must say.", w.l.dim)
	if !s.x.Proven() || len(s.x.Deserted) > 0 {
		w.line(span{w.l.keyOf("doctor") + " follows each alarm to the person, with the fix", w.l.dim})
	}
}

// canDrill says whether the one alarm under the cursor can be rung.
func canDrill(a *App) (bool, string) {
	ok, why := canMute(a)
	switch names := a.alarmsUnder(); {
	case !ok:
		return false, why
	case len(names) > 1:
		return false, "a drill rings one alarm, and these are " + plural(len(names), "alarm")
	case !a.alarms.drilling.over():
		return false, "the drill of " + a.alarms.drilling.alarm + " is not over"
	}
	return true, ""
}
