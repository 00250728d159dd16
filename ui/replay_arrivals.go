package ui

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

const (
	arrivalsMost = 60 * time.Second
	arrivalRows  = 3 // lines of bars
	// windowForm is how a moved window is written into the form: ops.ParseWhen reads it.
	windowForm = "2006-01-02T15:04Z"
)

// arrived is when events arrived at the source of the form. It is read once for a source;
// the keys that move the window ask nobody.
type arrived struct {
	asked[ops.Arrivals]
	source string // that it was read of
}

// arrivalsReadMsg brings what arrived.
type arrivalsReadMsg struct {
	inEpoch
	gen   int
	value ops.Arrivals
	err   error
}

// readArrivals asks once what arrived at the source of the form.
func (a *App) readArrivals() tea.Cmd {
	w := a.replays
	x := &w.arrived
	kind, _, _ := strings.Cut(w.wish.from, ":")
	switch {
	case w.desk == nil || x.source == w.wish.from:
		return nil
	case kind != string(ops.KindStream) && kind != string(ops.KindDelivery) && kind != string(ops.KindArchive):
		*x = arrived{source: w.wish.from, asked: asked[ops.Arrivals]{gen: x.gen + 1}} // nobody knows, and nobody is asked
		return nil
	}
	*x = arrived{source: w.wish.from, asked: asked[ops.Arrivals]{gen: x.gen}}
	gen, epoch, desk, from, ctx := x.begin(), a.poll.epoch, w.desk, w.wish.from, a.poll.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, arrivalsMost)
		defer done()
		value, err := desk.Arrivals(ctx, from)
		return arrivalsReadMsg{inEpoch{epoch}, gen, value, err}
	}
}

func (msg arrivalsReadMsg) tell(a *App) tea.Cmd {
	a.replays.arrived.answer(msg.gen, msg.value, time.Time{}, a.now(), msg.err)
	return nil
}

// window is what the form's times say.
func (w replayWish) window(a ops.Arrivals, now time.Time) (since, until time.Time, ok bool) {
	since, err := ops.ParseWhen(w.since, now)
	if err != nil {
		return since, until, false
	}
	if since.IsZero() {
		since = a.Begin
	}
	until, err = ops.ParseWhen(w.until, now)
	if err != nil {
		return since, until, false
	}
	if until.IsZero() {
		until = now
	}
	return since, until, since.Before(until)
}

// movedWindow is the window after a key: its beginning and its end go so many strides
// further, on whole steps, and stay among what is shown. A window is never empty.
func movedWindow(a ops.Arrivals, since, until, now time.Time, begin, end int) (time.Time, time.Time) {
	last := now.Truncate(a.Step).Add(a.Step) // the step that is not over yet is of the window too
	from, to := since.Truncate(a.Step), until.Truncate(a.Step)
	if to.Before(until) {
		to = to.Add(a.Step)
	}
	stride := max(to.Sub(from)/8, a.Step).Truncate(a.Step)
	forth := stride * time.Duration(begin)
	if begin == end { // moved, not stretched: it keeps its length
		forth = min(max(forth, a.Begin.Sub(from)), last.Sub(to))
		return from.Add(forth), to.Add(forth)
	}
	from, to = from.Add(forth), to.Add(stride*time.Duration(end))
	if from.Before(a.Begin) {
		from = a.Begin
	}
	if to.After(last) {
		to = last
	}
	if !from.Before(to) {
		from = to.Add(-a.Step)
	}
	return from, to
}

// turnWindow writes the moved window into the form.
func (s *replayForm) turnWindow(begin, end int) {
	r := s.a.replays
	x, now := &r.arrived, s.a.now()
	if x.at.IsZero() {
		s.a.say("the window is moved on a picture of what arrived, and there is none of this source; " + s.a.keyOf("open") + " writes its times")
		return
	}
	since, until, ok := r.wish.window(x.value, now)
	if !ok {
		s.a.warn("since is not before until, or is no time: " + s.a.keyOf("open") + " mends it")
		return
	}
	since, until = movedWindow(x.value, since, until, now, begin, end)
	r.wish.since, r.wish.until = since.UTC().Format(windowForm), ""
	if until.Before(now) {
		r.wish.until = until.UTC().Format(windowForm)
	}
}

// Side moves the window.
func (s *replayForm) Side(step int) bool {
	s.turnWindow(step, step)
	return true
}

func canTurnWindow(a *App) (bool, string) {
	switch _, on := a.top().(*replayForm); {
	case !on:
		return false, "only on the form of a replay"
	case a.replays.arrived.at.IsZero():
		return false, "there is no picture of what arrived at this source"
	}
	return true, ""
}

// column is one cell of the picture: the sum of its steps. Some of them may be unknown.
type column struct {
	sum   float64
	known bool
}

// columnsOf puts as many steps into a column as it takes to fit into the width.
func columnsOf(a ops.Arrivals, width int) (columns []column, each int) {
	each = max((len(a.Steps)+width-1)/max(width, 1), 1)
	columns = make([]column, (len(a.Steps)+each-1)/each)
	for i, r := range a.Steps {
		if v, ok := r.Value(); ok {
			c := &columns[i/each]
			c.sum, c.known = c.sum+v, true
		}
	}
	return columns, each
}

// barLines draws columns, the top line first. What is unknown is a ? on the lowest line,
// and what is known to be nothing is empty.
func barLines(columns []column, rows int, ascii bool) []string {
	signs := []rune(" ▁▂▃▄▅▆▇█")
	if ascii {
		signs = []rune(" .:#")
	}
	levels := len(signs) - 1
	top := 0.0
	for _, c := range columns {
		top = max(top, c.sum)
	}
	lines := make([]string, rows)
	for y := range rows {
		var b strings.Builder
		for _, c := range columns {
			full := 0
			if c.sum > 0 {
				full = max(int(c.sum/top*float64(rows*levels)+0.5), 1)
			}
			sign := signs[min(max(full-(rows-1-y)*levels, 0), levels)]
			if !c.known && y == rows-1 {
				sign = '?'
			}
			b.WriteRune(sign)
		}
		lines[y] = b.String()
	}
	return lines
}

// windowLine marks the window under the columns by signs, not by colour.
func windowLine(a ops.Arrivals, columns, each int, since, until time.Time, ascii bool) string {
	inside, outside, open, shut := '━', '─', '[', ']'
	if ascii {
		inside, outside, open, shut = '=', '-', '[', ']'
	}
	line := make([]rune, columns)
	first, last := -1, -1
	for i := range line {
		from := a.Begin.Add(time.Duration(i*each) * a.Step)
		line[i] = outside
		if from.Before(until) && from.Add(time.Duration(each)*a.Step).After(since) {
			line[i] = inside
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first >= 0 && last > first { // a window of one column has no room for its ends
		line[first], line[last] = open, shut
	}
	return string(line)
}

// writeArrivals draws what arrived, with the window.
func (s *replayForm) writeArrivals(w *writer) {
	x := &s.a.replays.arrived
	switch {
	case x.source != s.a.replays.wish.from, s.a.replays.wish.whole(): // a range has no window
		return
	case x.busy:
		w.para("reading when events arrived…", w.l.dim)
		w.blank()
		return
	case x.problem != nil:
		w.para("when events arrived is ?: "+problemText(x.problem), w.l.ticket)
		w.blank()
		return
	case x.at.IsZero():
		return
	}
	a := x.value
	columns, each := columnsOf(a, w.width)
	for _, line := range barLines(columns, arrivalRows, w.l.ascii) {
		w.line(span{line, w.l.cool})
	}
	since, until, ok := s.a.replays.wish.window(a, w.l.now)
	if !ok {
		w.para("since is not before until, or is no time", w.l.ticket)
		w.blank()
		return
	}
	w.line(span{windowLine(a, len(columns), each, since, until, w.l.ascii), w.l.strong})
	left, right := a.Begin.Format("01-02 15:04"), "now "+w.l.now.UTC().Format("15:04Z")
	w.line(span{pad(left, max(len(columns)-len(right), len(left)+1)) + right, w.l.dim})
	w.field("window", since.UTC().Format("01-02 15:04")+" to "+until.UTC().Format("01-02 15:04Z")+" "+windowHolds(a, since, until)+"; a column is "+ops.Span((time.Duration(each)*a.Step).Seconds()), text.Style{})
	w.para(w.l.keyOf("left")+" "+w.l.keyOf("right")+" move it, "+w.l.keyOf("wider")+" "+w.l.keyOf("narrower")+" begin it earlier or later; ? is unknown", w.l.dim)
	if a.Note != "" {
		w.para(a.Note, w.l.ticket)
	}
	w.blank()
}

// windowHolds says how much arrived in the window.
func windowHolds(a ops.Arrivals, since, until time.Time) string {
	sum, whole := a.Within(since, until)
	v, known := sum.Value()
	if !known {
		return "holds ? " + a.What
	}
	words := count(v) + " records"
	if a.What == ops.ArrivedBytes {
		words = bytesText(v) + " of objects"
	}
	if !whole {
		return "holds at least " + words + " (some of it is ?)"
	}
	return "holds about " + words
}
