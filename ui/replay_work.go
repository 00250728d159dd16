package ui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

const (
	replayPlanMost   = 90 * time.Second
	replayQueryMost  = 15 * time.Minute // with a query of Athena
	replayVerifyMost = 5 * time.Minute
	queriesMost      = 60 * time.Second
)

// replayWork is what the console does with old events, as far as it outlives a screen.
type replayWork struct {
	opening
	desk ReplayDesk // of the present account and region, nil until it is open

	wish  replayWish
	plan  asked[plannedReplay]
	past  asked[[]PastReplay]
	query asked[[]ops.PastQuery]
	proof asked[ops.ReplayProof]

	arrived arrived // at the source that the form names

	now *replayRun // the last one that was started here, nil: none
}

// replayWish is what the person wrote into the form.
type replayWish struct {
	from, to, since, until, filter, contains, key, mapKey, order, rate string

	more moreWish
}

// plannedReplay is a plan with what was read for it, and what it was asked for.
type plannedReplay struct {
	plan    ops.ReplayPlan
	samples []ops.ReplaySample
	wish    replayWish
}

// replayRun is a replay that runs here, or has.
type replayRun struct {
	op     Replaying
	plan   ops.ReplayPlan
	result *ops.ReplayResult // nil while it runs
}

func (r *replayRun) over() bool { return r == nil || r.result != nil }

func newReplayWork() *replayWork { return &replayWork{opening: noDeskYet()} }

// forget leaves the desk of an account that was switched away from. What runs goes on.
func (w *replayWork) forget() { *w = replayWork{opening: noDeskYet(), now: w.now} }

// replayDeskOpenedMsg brings the replay desk of an account.
type replayDeskOpenedMsg struct {
	inEpoch
	desk ReplayDesk
	err  error
}

// openReplayDesk opens the replay desk of the present account, once.
func (a *App) openReplayDesk() tea.Cmd {
	b, has := a.opts.Backend.(ReplayBackend)
	epoch := a.poll.epoch
	return a.replays.open(a, has, a.replays.desk != nil, "replays", func(ctx context.Context) tea.Msg {
		d, err := b.ReplayDesk(ctx)
		return replayDeskOpenedMsg{inEpoch{epoch}, d, err}
	})
}

func (msg replayDeskOpenedMsg) tell(a *App) tea.Cmd {
	w := a.replays
	w.busy = false
	if msg.err != nil {
		w.why = ops.AsProblem(msg.err).Error()
		return nil
	}
	w.desk = msg.desk
	if _, on := a.top().(*replayForm); on {
		return a.readArrivals()
	}
	return nil
}

// asking turns what the person wrote into a question. The error names the field.
func (w replayWish) asking(a *App) (ops.ReplayAsk, error) {
	ask := ops.ReplayAsk{From: w.from, To: w.to, Links: ops.Linked(a.pic.snap), Select: ops.ReplaySelect{Filter: w.filter}}
	if ask.Links == nil {
		ask.Links = []ops.Link{}
	}
	_, ask.Protect = a.protection(a.pic.snap.Identity)
	var err error
	if ask.Select.Since, err = ops.ParseWhen(w.since, a.now()); err != nil {
		return ask, errors.New("since " + err.Error())
	}
	if ask.Select.Until, err = ops.ParseWhen(w.until, a.now()); err != nil {
		return ask, errors.New("until " + err.Error())
	}
	if ask.Rate, err = rateOf(w.rate); err != nil {
		return ask, err
	}
	err = w.askMore(&ask)
	return ask, err
}

// replayPlannedMsg brings a plan.
type replayPlannedMsg struct {
	inEpoch
	gen   int
	value plannedReplay
	err   error
}

// planReplay plans what the form says.
func (a *App) planReplay() tea.Cmd { return a.planReplayOf("") }

// planReplayOf plans what the form says. Of queries of Athena it runs the one that was
// agreed to, and asks about any other.
func (a *App) planReplayOf(agreed string) tea.Cmd {
	w := a.replays
	if w.desk == nil {
		a.warn(w.why)
		return nil
	}
	ask, err := w.wish.asking(a)
	if err != nil {
		a.warn(err.Error())
		return nil
	}
	ask.Agree = func(q ops.ReplayQuery) error {
		if agreement(q) != agreed {
			return &costsFirst{q}
		}
		return nil
	}
	gen, epoch, desk, wish, ctx := w.plan.begin(), a.poll.epoch, w.desk, w.wish, a.poll.ctx
	return func() tea.Msg {
		most := replayPlanMost
		if wish.ofTable() {
			most = replayQueryMost
		}
		ctx, done := context.WithTimeout(ctx, most)
		defer done()
		plan, samples, err := desk.Plan(ctx, ask)
		return replayPlannedMsg{inEpoch{epoch}, gen, plannedReplay{plan, samples, wish}, err}
	}
}

func (msg replayPlannedMsg) tell(a *App) tea.Cmd {
	var first *costsFirst
	if a.replays.plan.answer(msg.gen, msg.value, time.Time{}, a.now(), msg.err) && errors.As(msg.err, &first) {
		a.replays.plan.problem = nil // it is no fault
		if _, on := a.top().(*replayForm); on {
			a.askQuery(first.query)
		}
	}
	return nil
}

// replayStartedMsg says that a replay runs, or why not. It has no epoch: it has begun.
type replayStartedMsg struct {
	op  Replaying
	err error
}

// startReplay applies a plan, or goes on with a replay where the plan is only an id.
func (a *App) startReplay(start func(context.Context) (Replaying, error)) tea.Cmd {
	if !a.replays.now.over() {
		a.warn("another replay runs; " + a.keyOf("replaying") + " shows it")
		return nil
	}
	a.leaveDialog()
	ctx := a.work.ctx
	a.say("it is being checked that nothing has changed since the plan was made…")
	return func() tea.Msg {
		op, err := start(ctx)
		return replayStartedMsg{op, err}
	}
}

func (a *App) replayStarted(msg replayStartedMsg) tea.Cmd {
	if msg.err != nil {
		a.warn("not started: " + problemText(ops.AsProblem(msg.err)))
		return nil
	}
	r := &replayRun{op: msg.op, plan: msg.op.Plan()}
	a.replays.now = r
	a.replays.proof = asked[ops.ReplayProof]{}
	if s, ok := a.top().(*replaying); ok { // it goes on where it stopped
		s.r = r
		return a.watchReplay(r)
	}
	return tea.Batch(a.open(newReplaying(r)), a.watchReplay(r))
}

// replayMovedMsg says that it is time to draw the progress again, or that it is over.
type replayMovedMsg struct{ of *replayRun }

func (a *App) watchReplay(r *replayRun) tea.Cmd {
	ctx, pace := a.ctx, progressPace
	if a.poll.blur {
		pace = samplePaceBlur
	}
	return func() tea.Msg {
		t := time.NewTimer(pace)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.op.Done():
		case <-ctx.Done():
			return nil
		}
		return replayMovedMsg{r}
	}
}

func (a *App) replayMoved(msg replayMovedMsg) tea.Cmd {
	r := msg.of
	select {
	case <-r.op.Done():
	default:
		return a.watchReplay(r)
	}
	result := r.op.Wait()
	r.result = &result
	a.replays.past.at = time.Time{} // what was listed is old now
	if s, ok := a.top().(*replaying); !ok || s.r != r {
		a.say("replay " + r.plan.ID + ": " + string(result.State) + ", " + count(float64(result.Counts.Sent)) + " sent; " + a.keyOf("replaying") + " shows it")
	}
	return a.look(true)
}

// replayProvenMsg brings a proof.
type replayProvenMsg struct {
	inEpoch
	gen   int
	proof ops.ReplayProof
	err   error
}

func (a *App) verifyReplay(id string) tea.Cmd {
	w := a.replays
	if w.desk == nil {
		a.warn(w.why)
		return nil
	}
	gen, epoch, desk, ctx := w.proof.begin(), a.poll.epoch, w.desk, a.poll.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, replayVerifyMost)
		defer done()
		proof, err := desk.Verify(ctx, id)
		return replayProvenMsg{inEpoch{epoch}, gen, proof, err}
	}
}

func (msg replayProvenMsg) tell(a *App) tea.Cmd {
	a.replays.proof.answer(msg.gen, msg.proof, time.Time{}, a.now(), msg.err)
	return nil
}

// replaysListedMsg brings the replays of the past.
type replaysListedMsg struct {
	inEpoch
	gen  int
	past []PastReplay
	err  error
}

func (a *App) listReplays() tea.Cmd {
	w := a.replays
	gen, epoch, desk, ctx := w.past.begin(), a.poll.epoch, w.desk, a.poll.ctx
	return func() tea.Msg {
		past, err := desk.Past(ctx)
		return replaysListedMsg{inEpoch{epoch}, gen, past, err}
	}
}

func (msg replaysListedMsg) tell(a *App) tea.Cmd {
	if msg.err != nil && len(msg.past) > 0 { // one that cannot be read hides no other
		a.warn(problemText(ops.AsProblem(msg.err)))
		msg.err = nil
	}
	a.replays.past.answer(msg.gen, msg.past, time.Time{}, a.now(), msg.err)
	return nil
}

// queriesListedMsg brings what was asked in Athena.
type queriesListedMsg struct {
	inEpoch
	gen     int
	queries []ops.PastQuery
	err     error
}

func (a *App) listQueries() tea.Cmd {
	w := a.replays
	gen, epoch, desk, ctx := w.query.begin(), a.poll.epoch, w.desk, a.poll.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, queriesMost)
		defer done()
		queries, err := desk.Queries(ctx)
		return queriesListedMsg{inEpoch{epoch}, gen, queries, err}
	}
}

func (msg queriesListedMsg) tell(a *App) tea.Cmd {
	if msg.err != nil && len(msg.queries) > 0 { // a workgroup that is denied hides no other
		a.warn(problemText(ops.AsProblem(msg.err)))
		msg.err = nil
	}
	a.replays.query.answer(msg.gen, msg.queries, time.Time{}, a.now(), msg.err)
	return nil
}

// close pauses what runs when the console is left: its place is on the disk, and
// another run goes on.
func (w *replayWork) close() error {
	r := w.now
	if r.over() {
		return nil
	}
	r.op.Pause()
	select {
	case <-r.op.Done():
		return nil
	case <-time.After(closeMost):
		return errors.New("replay " + r.plan.ID + " did not pause in time; " + resumeReplayLine(r.plan.ID) + " goes on")
	}
}

func resumeReplayLine(id string) string { return "kxops --access change replay resume " + id }
