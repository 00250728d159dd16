package ui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// work is what the console does with dead letters, as far as it outlives a
// screen: the desk of the account, what is held, what runs.
type work struct {
	opening
	ctx  context.Context // of operations: they end with the console, not with a screen
	end  context.CancelFunc
	desk Desk   // of the present account and region, nil until it is open
	all  []Desk // every desk of this run: what they hold is released at the end

	runs       []*run
	sampling   bool // the chain of samples is under way
	unfinished []Unfinished
	clock      func() time.Time // the wall clock: how long keys were quiet, how long an unlock lasts
}

func newWork() *work {
	w := &work{opening: noDeskYet(), clock: time.Now}
	w.ctx, w.end = context.WithCancel(context.Background())
	return w
}

const (
	deskMost    = 20 * time.Second
	releaseMost = 8 * time.Second
	closeMost   = 15 * time.Second // for what is in hand when the console is left
)

// deskOpenedMsg brings the desk of an account.
type deskOpenedMsg struct {
	epoch      int
	desk       Desk
	unfinished []Unfinished
	err        error
}

// opening is how far the console is with opening a desk.
type opening struct {
	why  string // why there is no desk
	busy bool   // it is being opened
}

func noDeskYet() opening { return opening{why: "the account was not read yet"} }

// open begins to open a desk of the present account, where the backend has one and it
// is neither open nor about to be. opened is the message that brings it.
func (o *opening) open(a *App, has, isOpen bool, what string, opened func(context.Context) tea.Msg) tea.Cmd {
	switch {
	case !has:
		o.why = what + " cannot be worked on here"
		return nil
	case o.busy || isOpen:
		return nil
	}
	o.busy, o.why = true, "the account is being opened"
	ctx := a.poll.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, deskMost)
		defer done()
		return opened(ctx)
	}
}

// openDesk opens the desk of the present account, once.
func (a *App) openDesk() tea.Cmd {
	b, has := a.opts.Backend.(DeskBackend)
	epoch := a.poll.epoch
	return a.work.open(a, has, a.work.desk != nil, "dead letters", func(ctx context.Context) tea.Msg {
		d, err := b.Desk(ctx)
		if err != nil {
			return deskOpenedMsg{epoch: epoch, err: err}
		}
		left, err := d.Unfinished(ctx)
		return deskOpenedMsg{epoch, d, left, err}
	})
}

func (a *App) deskOpened(msg deskOpenedMsg) {
	if msg.epoch != a.poll.epoch {
		return
	}
	w := a.work
	w.busy, w.desk = false, msg.desk
	w.relisted(relistedMsg{msg.desk, msg.unfinished})
	if msg.err != nil {
		w.why = ops.AsProblem(msg.err).Error()
	}
	if msg.desk == nil {
		return
	}
	w.all = append(w.all, msg.desk)
	for _, s := range a.stack {
		if s, ok := s.(*triage); ok {
			s.deskOpened(a)
		}
	}
	switch n := len(w.unfinished); {
	case msg.err != nil:
		a.warn("interrupted operations could not be listed: " + w.why)
	case n > 0:
		a.warn(plural(n, "operation") + " of an earlier run did not end; " + a.keyOf("operations") + " shows what is left to do")
	}
}

// relisted keeps what is unfinished, without what runs here.
func (w *work) relisted(msg relistedMsg) {
	if msg.desk != w.desk {
		return
	}
	w.unfinished = msg.unfinished
	for _, r := range w.active() {
		w.unfinished = withoutID(w.unfinished, r.progress.ID)
	}
}

// keyOf names the key of an action, or its command where it has none.
func (a *App) keyOf(id string) string {
	if x, ok := a.keys.id(id); ok && len(x.Keys) > 0 {
		return x.Keys[0]
	}
	return ":" + id
}

// forget leaves the desk of an account that was switched away from. Operations go on.
func (w *work) forget() {
	w.desk, w.unfinished, w.opening = nil, nil, noDeskYet()
}

// access is how much may be done now.
func (w *work) access() Access {
	if w.desk == nil {
		return Access{}
	}
	return w.desk.Access()
}

// releasedMsg says what became of giving leases back.
type releasedMsg struct {
	queue ops.ARN
	err   error
	quiet bool // the person did not ask for it: only a failure is worth a word
}

// release gives back what is held of a queue. It has a context of its own: it has
// to happen also when everything else is being ended.
func release(d Desk, queue ops.ARN, quiet bool) tea.Cmd {
	return func() tea.Msg {
		ctx, done := context.WithTimeout(context.Background(), releaseMost)
		defer done()
		return releasedMsg{queue, d.Release(ctx, queue), quiet}
	}
}

func (a *App) released(msg releasedMsg) {
	switch {
	case msg.err != nil:
		a.warn("not all messages of " + msg.queue.Name() + " could be given back, they come back by themselves: " + ops.AsProblem(msg.err).Error())
	case !msg.quiet:
		a.say("released: the messages of " + msg.queue.Name() + " can be received by others again")
	}
}

// leftOver are the operations of this console that are not whole, to be called after
// close: stopped by leaving, broken, or with deletes to do.
func (w *work) leftOver() []ops.Progress {
	var out []ops.Progress
	for _, r := range w.runs {
		p := r.op.Progress()
		undone := p.Total - p.Deleted - p.Rejected - p.Unknown
		switch {
		case !p.State.Over(), p.State == ops.Broken, p.Pending > 0, r.result == nil && undone > 0:
			out = append(out, p)
		}
	}
	return out
}

// close ends what outlives the screens: operations finish what they have in hand,
// leases are given back. It is bounded and has its own time, for it runs when the
// console was left, by whatever way.
func (w *work) close() error {
	ctx, done := context.WithTimeout(context.Background(), closeMost)
	defer done()
	for _, r := range w.runs {
		r.op.Cancel()
	}
	var failed []error
	for _, r := range w.runs {
		select {
		case <-r.op.Done():
		case <-ctx.Done():
			failed = append(failed, errors.New("operation "+r.plan.ID+" did not stop in time; "+resumeLine(r.plan.ID)+" continues it"))
		}
	}
	w.end()
	for _, d := range w.all {
		failed = append(failed, d.ReleaseAll(ctx))
	}
	return errors.Join(failed...)
}
