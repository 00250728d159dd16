package ui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// replaying shows a replay while it runs, its result, and the proof.
type replaying struct {
	document
	r *replayRun
	a *App
}

func newReplaying(r *replayRun) *replaying { return &replaying{document: newDocument(), r: r} }

// openReplaying shows the last replay of this console.
func openReplaying(a *App, _ ops.ARN) screen {
	return &replaying{document: newDocument(), r: a.replays.now, a: a}
}

func (s *replaying) Title() string      { return "replaying" }
func (s *replaying) Load(*picture)      {}
func (s *replaying) Selected() ops.ARN  { return "" }
func (s *replaying) Visible() []ops.ARN { return nil }
func (s *replaying) Hints() []string {
	return []string{"hold", "slower", "faster", "cancel", "verify", "replays", "replay", "back", "help"}
}

// Want keeps the App at hand: what was proven is the App's.
func (s *replaying) Want(a *App) tea.Cmd { s.a = a; return nil }

func (s *replaying) Draw(c *text.Canvas, height int, l light) {
	w := &writer{l: l, width: c.Width() - 3}
	switch {
	case s.r == nil:
		w.para("no replay was started in this console; "+l.keyOf("replay")+" begins one, "+l.keyOf("replays")+" lists those of the past", l.dim)
	case s.r.over():
		s.writeResult(w)
	default:
		s.writeProgress(w)
	}
	s.set(w.lines)
	s.document.draw(c, height, l)
}

func (s *replaying) writeProgress(w *writer) {
	p := s.r.op.Progress()
	w.line(span{pad(string(p.State), 10), w.l.accent}, span{s.r.plan.From.Name() + " to " + s.r.plan.To.Name(), w.l.strong})
	total, known := s.r.plan.Estimate.Bytes.Value()
	share, words := 0.0, "how much is not known"
	if known && total > 0 {
		share = min(float64(p.Counts.Bytes)/total, 1)
		words = percent(share) + " of what is to be read"
	}
	w.bar(share, words)
	if p.Note != "" {
		w.para(p.Note, w.l.ticket)
	}
	w.blank()
	writeReplayCounts(w, p.Counts)
	w.blank()
	w.field("parts", fmt.Sprintf("%d of %d read and sent whole", p.Over, p.Parts), text.Style{})
	if !p.At.IsZero() {
		w.field("is at", p.At.UTC().Format("2006-01-02 15:04:05 MST"), text.Style{})
	}
	speed := "?"
	if v, ok := p.Rate.Value(); ok {
		speed = fmt.Sprintf("%.0f records a second", v)
	}
	if p.Limit > 0 {
		speed += ", held to " + count(p.Limit) + " by hand"
	}
	w.field("speed", speed, text.Style{})
	w.field("time left", timeLeft(p), text.Style{})
	w.field("lanes", laneStrip(p.Lanes, w.l.ascii), w.l.cool)
	w.field("spent", fmt.Sprintf("%s calls, %s so far, %s in all", count(float64(p.Counts.Calls)), money(p.USD), forecastText(p)), w.l.dim)
	w.field("replay", p.ID, w.l.dim)
	w.blank()
	w.para("It goes on when this screen is left. "+w.l.keyOf("hold")+" pauses it durably; leaving the console too.", w.l.dim)
}

// timeLeft is a range as soon as there are enough speeds to know how they vary.
func timeLeft(p ops.ReplayProgress) string {
	if _, ok := p.Soonest.Value(); ok {
		return ops.Spans(p.Soonest, p.Latest)
	}
	if left, ok := p.ETA.Value(); ok {
		return "about " + ops.Span(left) + ", by a few seconds only"
	}
	return "?"
}

func forecastText(p ops.ReplayProgress) string {
	if v, ok := p.Forecast.Value(); ok {
		return "about " + money(v)
	}
	return "?"
}

// laneStrip is one sign for each lane, by how much waits in it: a hot one is a key, or a
// shard, that holds the others up. A lane that was throttled is marked.
func laneStrip(lanes []ops.ReplayLane, ascii bool) string {
	most := 1
	for _, l := range lanes {
		most = max(most, l.Waiting)
	}
	signs := []rune("·▁▂▃▄▅▆▇█")
	if ascii {
		signs = []rune(".123456789")
	}
	var b strings.Builder
	slowed := 0
	for _, l := range lanes {
		b.WriteRune(signs[(l.Waiting*(len(signs)-1)+most-1)/most])
		if l.Allowed > 0 {
			slowed++
		}
	}
	if slowed > 0 {
		fmt.Fprintf(&b, "  %s slowed down by the target", plural(slowed, "lane"))
	}
	return b.String()
}

func writeReplayCounts(w *writer, c ops.ReplayCounts) {
	number := func(label string, n int64, st text.Style, what string) {
		if n == 0 {
			st = w.l.dim
		}
		w.line(span{pad(label, labelWidth), w.l.dim}, span{fmt.Sprintf("%8s  ", count(float64(n))), st}, span{what, w.l.dim})
	}
	number("read", c.Read, text.Style{}, fmt.Sprintf("%s are not meant", count(float64(c.Rejected))))
	number("meant", c.Matched, text.Style{}, "by the selection")
	number("sent", c.Sent, w.l.good, "with a receipt each")
	number("parked", c.Parked, w.l.page, "not sent: kept whole in a file with the reason")
	number("held", c.Held(), text.Style{}, "read and not sent yet")
	number("broken", c.Broken, w.l.ticket, "pieces of the source that are no records")
}

func (s *replaying) writeResult(w *writer) {
	x := s.r.result
	look := w.l.good
	switch x.State {
	case ops.Incomplete, ops.Cancelled, ops.Paused:
		look = w.l.ticket
	case ops.Halted, ops.Broken:
		look = w.l.page
	}
	w.line(span{pad(strings.ToUpper(string(x.State)), 12), look}, span{s.r.plan.From.Name() + " to " + s.r.plan.To.Name(), w.l.strong})
	if x.Note != "" {
		w.para(x.Note, look)
	}
	if x.Problem != nil {
		w.para(problemText(x.Problem), w.l.ticket)
	}
	w.blank()
	writeReplayCounts(w, x.Counts)
	if x.Bound > 0 {
		w.field("twice", count(float64(x.Bound))+" at most: their answers were lost, and they were sent again", w.l.ticket)
	}
	w.head("what to do now")
	switch x.State {
	case ops.Paused, ops.Halted, ops.Broken:
		w.field("→", w.l.keyOf("hold")+" goes on; so does "+resumeReplayLine(x.ID), text.Style{})
	case ops.Finished, ops.Incomplete:
		w.field("→", w.l.keyOf("verify")+" proves what was sent", text.Style{})
		if s.r.plan.To.Kind == ops.KindNull {
			w.field("→", w.l.keyOf("replay")+" opens the form with the same selection: name the target, and it is sent", text.Style{})
		}
	}
	for _, n := range x.Next {
		w.field("→", n, w.l.dim)
	}
	if s.a != nil {
		writeProof(w, &s.a.replays.proof, x.ID)
	}
	w.head("record")
	w.field("replay", x.ID, w.l.dim)
	w.field("receipts", x.Receipts, w.l.dim)
	w.field("spent", fmt.Sprintf("%s calls, %s", count(float64(x.Counts.Calls)), money(x.USD)), w.l.dim)
}

const proofMark = 7 // cells before what was checked

// writeProof tells what checking has shown.
func writeProof(w *writer, x *asked[ops.ReplayProof], id string) {
	switch {
	case x.busy:
		w.head("proof")
		w.para("checking the receipts, and the target where it can be read…", w.l.accent)
		return
	case x.problem != nil:
		w.head("proof")
		w.para(problemText(x.problem), w.l.page)
		return
	case x.at.IsZero() || x.value.ID != id:
		return
	}
	word, look := "the proof holds", w.l.good
	if !x.value.Holds() {
		word, look = "THE PROOF DOES NOT HOLD", w.l.page
	}
	w.head("proof")
	w.line(span{word, look})
	for _, c := range x.value.Checks {
		mark, look := "ok", w.l.good
		if !c.Holds {
			mark, look = "WRONG", w.l.page
		}
		for i, part := range text.Fold(text.Clean(c.What+": "+c.Says), max(w.width-proofMark, 16)) {
			if i > 0 {
				mark = ""
			}
			w.line(span{pad(mark, proofMark), look}, span{part, text.Style{}})
		}
	}
	for _, n := range x.value.NotChecked {
		w.field("not checked", n, w.l.dim)
	}
	w.field("hash", x.value.Sum, w.l.dim)
}

// hold pauses the replay, or goes on with it.
func (s *replaying) hold(a *App) tea.Cmd {
	if !s.r.over() {
		s.r.op.Pause()
		a.say("pausing: what is in the air is answered first")
		return nil
	}
	desk, id := a.replays.desk, s.r.plan.ID
	return a.startReplay(func(ctx context.Context) (Replaying, error) { return desk.Resume(ctx, id) })
}

// canHold says whether it can be paused, or gone on with.
func (s *replaying) canHold(a *App) (bool, string) {
	switch {
	case s.r == nil:
		return false, "there is no replay"
	case !s.r.over():
		return true, ""
	case a.replays.desk == nil:
		return false, a.replays.why
	}
	switch s.r.result.State {
	case ops.Paused, ops.Halted, ops.Broken:
		return true, ""
	}
	return false, "it is over"
}

func (s *replaying) askCancel(a *App) tea.Cmd {
	a.ask(newSureDialog("end this replay?", "end it", func(w *writer) {
		w.para("It ends for good; what was sent stays sent, with its receipts. To stop for a while, "+w.l.keyOf("hold")+" pauses it.", text.Style{})
	}, func(a *App) tea.Cmd {
		s.r.op.Cancel()
		a.say("ending: what is in the air is answered first")
		return nil
	}))
	return nil
}
