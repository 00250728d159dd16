package ui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// run is an operation of this console. It belongs to the App and not to a screen:
// leaving a screen ends nothing.
type run struct {
	op       Operation
	desk     Desk
	plan     ops.Plan // empty but for its id where an earlier run was resumed
	progress ops.Progress
	result   *ops.Result // nil while it runs
}

// share is how much of it is done, 0 to 1.
func (r *run) share() float64 {
	p := r.progress
	if moved, ok := p.Moved.Value(); ok && p.Verb == ops.Move && p.Total > 0 {
		return min(moved/float64(p.Total), 1)
	}
	if p.Total == 0 {
		return 0
	}
	done := p.Deleted + p.Rejected + p.Unknown
	if lookedForAll(p) {
		done += p.Missing
	}
	return min(float64(done)/float64(p.Total), 1)
}

// lookedForAll reports whether an operation came to its end. What one that stopped
// before did not find was not begun with: it is not missing.
func lookedForAll(p ops.Progress) bool { return p.State == ops.Finished || p.State == ops.Incomplete }

// leftOf is how many messages were not begun with.
func leftOf(p ops.Progress) int {
	switch moved, ok := p.Moved.Value(); {
	case lookedForAll(p):
		return 0
	case p.Verb == ops.Move && ok:
		return max(p.Total-int(moved), 0)
	}
	return max(p.Total-p.Sent-p.Rejected-p.Unknown, 0)
}

func (r *run) over() bool { return r.result != nil }

func (r *run) name() string { return string(r.progress.Verb) + " of " + r.progress.From.Name() }

// runSample is one look at an operation.
type runSample struct {
	run      *run
	progress ops.Progress
	result   *ops.Result
}

// runsSampledMsg brings one look at all operations: one message, five times a second.
type runsSampledMsg struct{ samples []runSample }

// samplePaceBlur is the pace while nobody watches.
const samplePaceBlur = 2 * time.Second

// watchRuns starts the chain of samples, unless it is under way or nothing runs.
func (a *App) watchRuns() tea.Cmd {
	w := a.work
	if w.sampling {
		return nil
	}
	active := w.active()
	if len(active) == 0 {
		return nil
	}
	w.sampling = true
	pace := progressPace
	if a.poll.blur {
		pace = samplePaceBlur
	}
	done := active[0].op.Done() // the first to end is told at once
	ctx := a.ctx
	return func() tea.Msg {
		t := time.NewTimer(pace)
		defer t.Stop()
		select {
		case <-t.C:
		case <-done:
		case <-ctx.Done():
			return nil
		}
		return sampleRuns(active)
	}
}

func sampleRuns(active []*run) runsSampledMsg {
	var msg runsSampledMsg
	for _, r := range active {
		s := runSample{run: r, progress: r.op.Progress()}
		select {
		case <-r.op.Done():
			result := r.op.Wait()
			s.result, s.progress = &result, result.Progress
		default:
		}
		msg.samples = append(msg.samples, s)
	}
	return msg
}

func (w *work) active() []*run {
	var active []*run
	for _, r := range w.runs {
		if !r.over() {
			active = append(active, r)
		}
	}
	return active
}

func (a *App) runsSampled(msg runsSampledMsg) tea.Cmd {
	a.work.sampling = false
	var cmds []tea.Cmd
	for _, s := range msg.samples {
		s.run.progress = s.progress
		if s.result != nil && s.run.result == nil {
			s.run.result = s.result
			cmds = append(cmds, a.runEnded(s.run))
		}
	}
	return tea.Batch(append(cmds, a.watchRuns())...)
}

// runEnded tells the end of an operation where it is not on the screen.
func (a *App) runEnded(r *run) tea.Cmd {
	if s, ok := a.top().(*operation); !ok || s.run != r {
		words := fmt.Sprintf("%s: %s; %s shows the result", r.name(), r.result.State, a.keyOf("operations"))
		if r.result.State == ops.Finished {
			a.say(words)
		} else {
			a.warn(words)
		}
	}
	cmds := []tea.Cmd{a.look(true), relist(r.desk)}
	for _, s := range a.stack {
		if s, ok := s.(*triage); ok && s.arn == r.progress.From {
			cmds = append(cmds, s.reread())
		}
	}
	return tea.Batch(cmds...)
}

// relistedMsg brings what is unfinished now: an operation can end with deletes to do.
type relistedMsg struct {
	desk       Desk
	unfinished []Unfinished
}

// relist lists the unfinished operations again. Where that fails the list stays as
// it was: the end of the operation is told already, and the next start lists again.
func relist(d Desk) tea.Cmd {
	return func() tea.Msg {
		ctx, done := context.WithTimeout(context.Background(), deskMost)
		defer done()
		left, err := d.Unfinished(ctx)
		if err != nil {
			return nil
		}
		return relistedMsg{d, left}
	}
}

// startedMsg brings an operation that was begun or resumed.
type startedMsg struct {
	desk Desk
	op   Operation
	plan ops.Plan
	err  error
}

func (a *App) started(msg startedMsg) tea.Cmd {
	if msg.err != nil {
		a.warn("not started: " + ops.AsProblem(msg.err).Error())
		if d, ok := a.dialog.(*planDialog); ok {
			d.starting = false
		}
		return nil
	}
	r := &run{op: msg.op, desk: msg.desk, plan: msg.plan, progress: msg.op.Progress()}
	a.work.runs = append(a.work.runs, r)
	a.work.unfinished = withoutID(a.work.unfinished, msg.plan.ID)
	if _, ok := a.dialog.(*planDialog); ok {
		a.leaveDialog()
	}
	return tea.Batch(a.open(newOperation(r)), a.watchRuns())
}

func withoutID(all []Unfinished, id string) []Unfinished {
	var out []Unfinished
	for _, x := range all {
		if x.ID != id {
			out = append(out, x)
		}
	}
	return out
}

// resume continues an operation of an earlier run.
func (a *App) resume(x Unfinished) tea.Cmd {
	desk, ctx := a.work.desk, a.work.ctx
	a.say("resuming " + x.ID + ": old leases are waited for")
	return func() tea.Msg {
		op, err := desk.Resume(ctx, x.ID)
		return startedMsg{desk: desk, op: op, plan: ops.Plan{ID: x.ID, Verb: x.Verb, From: x.From, Region: x.Region}, err: err}
	}
}
