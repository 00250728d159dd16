package ui

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

// trial is some alarms tried on the past. It ends with its screen.
type trial struct {
	document
	specs   []alarms.Spec
	over    time.Duration
	cancel  context.CancelFunc
	done    chan struct{}
	result  *alarms.Backtest // nil while it runs
	problem *ops.Problem

	mu        sync.Mutex
	read, all int
}

// trialOver is the past that alarms are tried on: what a person remembers.
const trialOver = 7 * 24 * time.Hour

// triedMsg brings the result of a backtest.
type triedMsg struct {
	inEpoch
	screen *trial
	result alarms.Backtest
	err    error
}

// trialMovedMsg says that it is time to draw the progress again.
type trialMovedMsg struct {
	inEpoch
	screen *trial
}

// trialDialog says what a backtest costs before it is run.
type trialDialog struct {
	writing
	a     *App
	specs []alarms.Spec
	over  time.Duration
}

func (a *App) askTrial(specs []alarms.Spec) {
	d := &trialDialog{a: a, specs: specs, over: trialOver}
	d.writing = newWriting(d.tell)
	a.ask(d)
}

func (d *trialDialog) Title() string { return "try " + trialName(d.specs) + " on the past?" }

func trialName(specs []alarms.Spec) string {
	if len(specs) == 1 {
		return specAbout(&specs[0])
	}
	return plural(len(specs), "alarm")
}

func (d *trialDialog) tell(w *writer) {
	usd, calls := d.a.alarms.desk.TrialCost(d.specs, d.over)
	w.para("CloudWatch's history is read and judged as CloudWatch would have judged it. Nothing is changed.", text.Style{})
	w.blank()
	w.field("over", "the last "+ops.Span(d.over.Seconds()), text.Style{})
	w.field("costs", fmt.Sprintf("about %s, %s", plural(calls, "call"), money(usd)), w.l.strong)
	for i := range d.specs[:min(len(d.specs), 12)] {
		w.field("", specAbout(&d.specs[i])+" "+specLine(&d.specs[i]), w.l.dim)
	}
	if more := len(d.specs) - 12; more > 0 {
		w.field("", fmt.Sprintf("and %d more", more), w.l.dim)
	}
}

func (d *trialDialog) Keys(*App) []dialogKey {
	keys := []dialogKey{{keys: []string{"enter", "y"}, title: "try it", run: func(a *App) tea.Cmd {
		a.leaveDialog()
		return a.try(d.specs, d.over)
	}}, no("no")}
	for _, x := range []struct {
		key, title string
		over       time.Duration
	}{{"1", "1 day", 24 * time.Hour}, {"7", "7 days", trialOver}, {"4", "14 days", 2 * trialOver}} {
		if x.over != d.over {
			keys = append(keys, dialogKey{keys: []string{x.key}, title: x.title, run: func(*App) tea.Cmd { d.over = x.over; return nil }})
		}
	}
	return keys
}

func (a *App) try(specs []alarms.Spec, over time.Duration) tea.Cmd {
	ctx, cancel := context.WithTimeout(a.poll.ctx, trialMost)
	s := &trial{document: newDocument(), specs: specs, over: over, cancel: cancel, done: make(chan struct{})}
	desk, epoch := a.alarms.desk, a.poll.epoch
	return tea.Batch(a.open(s), func() tea.Msg {
		defer cancel()
		defer close(s.done)
		result, err := desk.Backtest(ctx, specs, over, s.put)
		return triedMsg{inEpoch{epoch}, s, result, err}
	}, s.watch(a))
}

func (s *trial) put(done, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.all = done, total
}

func (s *trial) get() (done, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read, s.all
}

func (s *trial) watch(a *App) tea.Cmd {
	ctx, epoch := a.ctx, a.poll.epoch
	return func() tea.Msg {
		t := time.NewTimer(progressPace)
		defer t.Stop()
		select {
		case <-t.C:
			return trialMovedMsg{inEpoch{epoch}, s}
		case <-s.done:
		case <-ctx.Done():
		}
		return nil
	}
}

func (msg trialMovedMsg) tell(a *App) tea.Cmd {
	if s := msg.screen; s.result == nil && s.problem == nil {
		return s.watch(a)
	}
	return nil
}

func (msg triedMsg) tell(*App) tea.Cmd {
	msg.screen.problem = ops.AsProblem(msg.err)
	if msg.err == nil || len(msg.result.Trials) > 0 {
		msg.screen.result = &msg.result
	}
	return nil
}

func (s *trial) Title() string      { return "backtest " + trialName(s.specs) }
func (s *trial) Load(*picture)      {}
func (s *trial) Visible() []ops.ARN { return nil }
func (s *trial) Hints() []string    { return []string{"back", "plan", "help"} }

func (s *trial) Selected() ops.ARN {
	if len(s.specs) == 1 {
		return s.specs[0].Resource
	}
	return ""
}

// Leave ends it: a result that nobody reads is not worth its calls.
func (s *trial) Leave() tea.Cmd {
	s.cancel()
	return nil
}

func (s *trial) Draw(c *text.Canvas, height int, l light) {
	w := &writer{l: l, width: c.Width() - 3}
	switch {
	case s.result == nil && s.problem != nil:
		drawEmpty(c, height, l, "could not be tried: "+problemText(s.problem))
		return
	case s.result == nil:
		done, total := s.get()
		w.blank()
		share := 0.0
		if total > 0 {
			share = float64(done) / float64(total)
		}
		w.bar(share, fmt.Sprintf("%s of %s read", count(float64(done)), plural(max(total, len(s.specs)), "alarm")))
		w.para("esc leaves and ends it", l.dim)
	default:
		s.tell(w)
	}
	s.set(w.lines)
	s.document.draw(c, height, l)
}

func (s *trial) tell(w *writer) {
	r := s.result
	w.line(span{"from " + r.From.UTC().Format("Mon 2 Jan 15:04") + " to " + r.Until.UTC().Format("Mon 2 Jan 15:04 UTC"), w.l.strong},
		span{fmt.Sprintf("   %s, %s", plural(r.Calls, "call"), money(r.USD)), w.l.dim})
	if s.problem != nil {
		w.para("not whole: "+problemText(s.problem), w.l.ticket)
	}
	for i := range r.Trials {
		t := &r.Trials[i]
		w.head(strings.Join(nonEmpty(t.Rule, t.Resource.Name()), " "))
		words, look := trialWords(t, w.l)
		w.line(span{words, look})
		if t.Unknown != "" {
			continue
		}
		w.line(strip(t, r.From, r.Until, min(max(w.width-2, 10), 84), w.l)...)
		if t.Fired > 0 {
			w.field("first", t.First.UTC().Format("Mon 2 Jan 15:04")+", "+ops.Span(max(w.l.now.Sub(t.First).Seconds(), 0))+" ago", text.Style{})
			w.field("longest", ops.Span(t.Longest)+", "+ops.Span(t.Total)+" in all", text.Style{})
		}
		if t.Periods > 0 {
			w.field("data", fmt.Sprintf("%s of %s periods had a datapoint", count(float64(t.Points)), count(float64(t.Periods))), w.l.dim)
		}
		if t.Factor > 0 {
			w.field("quieter", fmt.Sprintf("times %.3g the threshold it would ring at most once a week: set factor in the configuration, with a reason", t.Factor), w.l.ticket)
		}
	}
}

func trialWords(t *alarms.Trial, l light) (string, text.Style) {
	switch {
	case t.Unknown != "":
		return "not known: " + t.Unknown, l.ticket
	case t.Points == 0:
		return "there was no datapoint to judge", l.ticket
	case t.Fired == 0:
		return "would not have rung", l.good
	}
	words := "would have rung " + times(t.Fired)
	if t.Ringing {
		words += ", and would ring now"
		return words, l.page
	}
	return words, l.ticket
}

// strip draws when it would have rung: from the spells where they are known, else the
// first and the last.
func strip(t *alarms.Trial, from, until time.Time, width int, l light) []span {
	cells := make([]bool, width)
	whole := until.Sub(from)
	mark := func(a, b time.Time) {
		if whole <= 0 {
			return
		}
		at := func(x time.Time) int { return int(float64(width) * float64(x.Sub(from)) / float64(whole)) }
		for i := max(at(a), 0); i <= min(at(b), width-1); i++ {
			cells[i] = true
		}
	}
	for _, x := range t.Spells {
		mark(x.From, x.Until)
	}
	if len(t.Spells) == 0 && t.Fired > 0 {
		mark(t.First, t.First)
		mark(t.Last, t.Last)
	}
	var out []span
	for i := 0; i < width; {
		j := i
		for j < width && cells[j] == cells[i] {
			j++
		}
		if cells[i] {
			out = append(out, span{strings.Repeat("█", j-i), l.page})
		} else {
			out = append(out, span{strings.Repeat("░", j-i), l.dim})
		}
		i = j
	}
	return out
}
