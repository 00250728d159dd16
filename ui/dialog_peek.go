package ui

import (
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// peekDialog says what a look would do to the queue before it is done: SQS has
// no look without a trace.
type peekDialog struct {
	writing
	s     *triage
	limit int
}

func newPeekDialog(s *triage) *peekDialog {
	d := &peekDialog{s: s, limit: defaultLook}
	d.writing = newWriting(d.tell)
	return d
}

func (d *peekDialog) Title() string { return "look at " + d.s.arn.Name() + "?" }

func (d *peekDialog) cost() ops.PeekCost { return d.s.desk.Cost(*d.s.queue, d.limit) }

func (d *peekDialog) tell(w *writer) {
	cost := d.cost()
	if cost.FromMemory {
		w.para("This run looked at these messages twice already. The third look is answered from memory: one more receive would send them to the back of the queue and out of its age metric. Nothing is asked of AWS.", w.l.strong)
		return
	}
	w.para(fmt.Sprintf("SQS cannot be looked at without receiving. A look at up to %s messages:", count(float64(d.limit))), text.Style{})
	w.blank()
	depth := "?"
	if n, ok := d.s.depth(); ok {
		depth = count(n)
	}
	w.field("in the queue", depth+" messages", text.Style{})
	w.field("leases", fmt.Sprintf("at most %s messages", count(float64(cost.Messages))), text.Style{})
	w.field("for", ops.Span(cost.Lease.Seconds())+": nobody else sees them until then, or until they are released", text.Style{})
	w.field("costs", fmt.Sprintf("about %s calls, %s", count(float64(cost.Calls)), money(cost.USD)), text.Style{})
	for _, x := range cost.Warnings {
		w.field("note", x, w.l.ticket)
	}
	w.blank()
	w.para("They are given back when this screen is left, or at once with "+w.l.keyOf("release")+".", w.l.dim)
}

func (d *peekDialog) Keys(a *App) []dialogKey {
	look := dialogKey{keys: []string{"enter", "y"}, title: "look", run: func(a *App) tea.Cmd {
		a.leaveDialog()
		return d.s.look(a, d.limit)
	}}
	many := dialogKey{keys: []string{"m"}, title: "how many", run: func(a *App) tea.Cmd {
		a.prompt = d.manyPrompt()
		return nil
	}}
	return []dialogKey{look, no("do not look"), many}
}

// maxLook is the most one look may hold: what SQS lets be in flight.
const maxLook = ops.MaxStandardInFlight

func (d *peekDialog) manyPrompt() *prompt {
	return &prompt{sign: "messages at most: ", chosen: -1, accept: func(a *App, line string) tea.Cmd {
		n, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(line), ",", ""))
		if err != nil || n < 1 || n > maxLook {
			a.warn(fmt.Sprintf("%q: a whole number from 1 to %s is wanted", line, count(maxLook)))
			return nil
		}
		d.limit = n
		return nil
	}}
}
