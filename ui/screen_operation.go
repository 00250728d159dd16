package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// operation shows one operation while it runs and its result afterwards. It can
// be left and opened again: the run belongs to the App.
type operation struct {
	document
	run *run
}

func newOperation(r *run) *operation { return &operation{newDocument(), r} }

func (s *operation) Title() string      { return s.run.name() }
func (s *operation) Load(*picture)      {}
func (s *operation) Selected() ops.ARN  { return s.run.progress.From }
func (s *operation) Visible() []ops.ARN { return []ops.ARN{s.run.progress.From} }
func (s *operation) Hints() []string {
	return []string{"hold", "cancel", "back", "operations", "triage", "journal", "help"}
}

func (s *operation) Draw(c *text.Canvas, height int, l light) {
	w := &writer{l: l, width: c.Width() - 3}
	if s.run.over() {
		writeResult(w, s.run)
	} else {
		writeProgress(w, s.run)
	}
	s.set(w.lines)
	s.document.draw(c, height, l)
}

// barWidth is how wide progress is drawn.
const barWidth = 40

func (w *writer) bar(share float64, words string) {
	n := int(min(max(share, 0), 1)*barWidth + 0.5)
	w.line(span{strings.Repeat("█", n), w.l.cool}, span{strings.Repeat("░", barWidth-n), w.l.dim}, span{"  " + words, w.l.strong})
}

func writeProgress(w *writer, r *run) {
	p := r.progress
	w.line(span{pad(string(p.State), 10), w.l.accent}, span{p.Stage, w.l.strong})
	words := "how many is not known yet"
	if p.Total > 0 {
		words = fmt.Sprintf("%s of %s", percent(r.share()), plural(p.Total, "message"))
	}
	w.bar(r.share(), words)
	if p.Note != "" {
		w.para(p.Note, w.l.ticket)
	}
	if !p.Until.IsZero() {
		w.field("watches", clock(p.Until.Sub(w.l.now).Seconds())+" more for messages that come back", text.Style{})
	}
	w.blank()
	writeCounts(w, p)
	w.blank()
	w.field("speed", fmt.Sprintf("%.1f messages a second", p.Rate), text.Style{})
	if left, ok := p.ETA.Value(); ok {
		w.field("time left", "about "+ops.Span(left), text.Style{})
	}
	w.field("spent", fmt.Sprintf("%s calls, %s", count(float64(p.Calls)), money(p.USD)), w.l.dim)
	w.field("operation", p.ID, w.l.dim)
	w.blank()
	words = "It goes on when this screen is left; " + w.l.keyOf("operations") + " comes back."
	if w.l.demo {
		words += " The demo's operations end with it."
	} else { // on a line of its own, to be copied
		w.field("after a crash", resumeLine(p.ID), w.l.dim)
	}
	w.para(words, w.l.dim)
}

// resumeLine is the command that goes on with an operation. Without the access it
// only refuses.
func resumeLine(id string) string { return "kxops --access change dlq resume " + id }

// writeCounts tells what became of the messages so far. Of a move task there are
// two counters side by side: SQS's own lags.
func writeCounts(w *writer, p ops.Progress) {
	if p.Verb == ops.Move {
		w.field("SQS says", reading(p.Moved, ops.Count)+" moved of "+count(float64(p.Total)), text.Style{})
		w.field("queue holds", reading(p.Depth, ops.Count)+" now (the two counters lag, and not alike)", text.Style{})
		return
	}
	number := func(label string, n int, st text.Style, what string) {
		if n == 0 {
			st = w.l.dim
		}
		w.line(span{pad(label, labelWidth), w.l.dim}, span{fmt.Sprintf("%8s  ", count(float64(n))), st}, span{what, w.l.dim})
	}
	number("sent", p.Sent, w.l.good, "recorded as sent")
	number("deleted", p.Deleted, w.l.good, "and deleted here")
	number("pending", p.Pending, w.l.ticket, "sent, the delete is not confirmed yet")
	number("rejected", p.Rejected, w.l.page, "the target did not take them: they are still here")
	number("unknown", p.Unknown, w.l.page, "no answer: they are still here, and may be there too")
	number("returned", p.Returned, w.l.page, "sent, failed again and back in this queue")
	if lookedForAll(p) {
		number("missing", p.Missing, w.l.ticket, "not found: expired, or taken by somebody else")
	} else {
		number("left", leftOf(p), text.Style{}, "not begun with: they are where they were")
	}
	if held, ok := p.Depth.Value(); ok {
		w.field("queue holds", count(held), w.l.dim)
	}
}

// maxIDs bounds the ids of one kind that a card lists; the journal has all.
const maxIDs = 200

func writeResult(w *writer, r *run) {
	x := r.result
	look := w.l.good
	switch x.State {
	case ops.Incomplete, ops.Cancelled:
		look = w.l.ticket
	case ops.Halted, ops.Broken:
		look = w.l.page
	}
	w.line(span{pad(strings.ToUpper(string(x.State)), 12), look}, span{string(x.Verb) + " of " + x.From.Name(), w.l.strong}, span{"   " + x.Stage, w.l.dim})
	share := r.share()
	if x.State == ops.Finished { // a move's counter may still lag
		share = 1
	}
	w.bar(share, plural(x.Total, "message"))
	if x.Note != "" {
		w.para(x.Note, look)
	}
	if x.Problem != nil {
		w.para(problemText(x.Problem), w.l.ticket)
	}
	w.blank()
	if x.Sent > 0 && x.Verb == ops.Redrive {
		w.field("pass rate", passRate(x.Progress), w.l.strong)
	}
	writeCounts(w, x.Progress)
	if len(x.Next) > 0 {
		w.head("what to do now")
		for _, s := range x.Next {
			w.field("→", s, text.Style{})
		}
	}
	if len(x.Rejections) > 0 {
		w.head("rejected")
		for _, f := range x.Rejections[:min(len(x.Rejections), maxIDs)] {
			w.line(span{text.Clean(text.Bound(f.ID, 120)), text.Style{}}, span{"  " + f.Code, w.l.ticket})
			w.field("", f.Why, w.l.dim)
		}
	}
	writeIDs(w, "unknown: look for them at the target before sending again", x.UnknownIDs)
	writeIDs(w, "returned", x.ReturnedIDs)
	writeIDs(w, "sent and not deleted here yet", x.PendingIDs)
	if lookedForAll(x.Progress) {
		writeIDs(w, "missing", x.MissingIDs)
	} else {
		writeIDs(w, "not begun with", x.MissingIDs)
	}
	w.head("record")
	w.field("operation", x.ID, w.l.dim)
	w.field("spent", fmt.Sprintf("%s calls, %s", count(float64(x.Calls)), money(x.USD)), w.l.dim)
}

// passRate is the share of what was sent that did not come back.
func passRate(p ops.Progress) string {
	if p.Sent == 0 {
		return "?"
	}
	back := min(p.Returned, p.Sent)
	return fmt.Sprintf("%.1f%%: %s sent, %s came back", 100*float64(p.Sent-back)/float64(p.Sent), count(float64(p.Sent)), count(float64(back)))
}

func writeIDs(w *writer, title string, ids []string) {
	if len(ids) == 0 {
		return
	}
	w.head(fmt.Sprintf("%s (%s)", title, count(float64(len(ids)))))
	for _, id := range ids[:min(len(ids), maxIDs)] {
		w.line(span{text.Clean(text.Bound(id, 120)), text.Style{}})
	}
	if more := len(ids) - maxIDs; more > 0 {
		w.line(span{count(float64(more)) + " more: kxops journal has them all", w.l.dim})
	}
}

// hold pauses the operation, or goes on with it.
func (r *run) hold() {
	if r.progress.State == ops.Paused {
		r.op.Continue()
		return
	}
	r.op.Pause()
}

// runAt is the operation that the screen is about, nil when there is none.
func (a *App) runAt() *run {
	switch s := a.top().(type) {
	case *operation:
		return s.run
	case *operations:
		return s.runUnder()
	}
	return nil
}

func onRun(a *App) (bool, string) {
	r := a.runAt()
	switch {
	case r == nil:
		return false, "only on an operation"
	case r.over():
		return false, "the operation is over"
	}
	return true, ""
}

// cancelRun asks before an operation is cancelled.
func (a *App) cancelRun() tea.Cmd {
	r := a.runAt()
	a.ask(newSureDialog("cancel "+r.name()+"?", "cancel it", func(w *writer) {
		w.para("It stops before the next batch, finishes what is in hand and gives the rest back. What was sent stays sent.", text.Style{})
	}, func(a *App) tea.Cmd {
		r.op.Cancel()
		a.say("cancelled: finishing what is in hand")
		return nil
	}))
	return nil
}
