package ui

import (
	"context"
	"errors"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
)

// alarmWork is what the console knows of the alarms beyond the picture, as far as it
// outlives a screen: the desk, the last answers, what is being applied.
type alarmWork struct {
	opening
	desk AlarmDesk // of the present account and region, nil until it is open

	cover   asked[covered]
	plan    asked[alarms.Plan]
	ask     alarms.Ask          // what the last plan was asked for
	wishes  []func(*alarms.Ask) // what the person chose over the configuration
	checkup asked[alarms.Checkup]
	mutes   asked[[]alarms.Mute]
	muting  map[string][]alarms.Mute // by alarm

	again bool // what is shown is read again when the look that was asked for has answered

	applying *applying // the last plan that was applied, nil: none
	drilling *drilling // the last alarm that was rung, nil: none
}

// covered is the coverage and the alarms that it was measured against.
type covered struct {
	alarms.Coverage
	ask    alarms.Ask
	wanted alarms.Wanted
	specs  map[cellKey][]int // into wanted.Specs
	named  map[string]int
}

type cellKey struct {
	resource ops.ARN
	rule     string
}

// asked is something that is read from AWS away from the drawing loop. The last
// answer stays until the next one.
type asked[T any] struct {
	value   T
	at      time.Time // of the answer, zero: none yet
	of      time.Time // when the picture was taken that it was worked out from
	busy    bool
	gen     int
	problem *ops.Problem
}

// begin says that it is being read, and returns the number that the answer must carry.
func (x *asked[T]) begin() int {
	x.busy, x.problem = true, nil
	x.gen++
	return x.gen
}

// answer takes an answer; it reports whether it was the one that is waited for.
func (x *asked[T]) answer(gen int, value T, of, now time.Time, err error) bool {
	if gen != x.gen {
		return false
	}
	x.busy, x.problem = false, ops.AsProblem(err)
	if err == nil {
		x.value, x.of, x.at = value, of, now
	}
	return true
}

// unread reports whether it was never answered, not even by an error.
func (x *asked[T]) unread() bool { return x.at.IsZero() && x.problem == nil }

// alarmTold is a message about alarms. It belongs to an epoch: what comes back after a
// switch of account is about alarms that are not shown any more.
type alarmTold interface {
	from() int
	tell(a *App) tea.Cmd
}

// inEpoch is the epoch that a message was asked for in.
type inEpoch struct{ epoch int }

func (e inEpoch) from() int { return e.epoch }

func (a *App) alarmsTold(msg alarmTold) tea.Cmd {
	if msg.from() != a.poll.epoch {
		return nil
	}
	return msg.tell(a)
}

const (
	coverMost  = 90 * time.Second
	doctorMost = 3 * time.Minute
	muteMost   = 30 * time.Second
	trialMost  = 10 * time.Minute
)

// alarmDeskOpenedMsg brings the alarm desk of an account.
type alarmDeskOpenedMsg struct {
	inEpoch
	desk AlarmDesk
	err  error
}

// openAlarmDesk opens the alarm desk of the present account, once.
func (a *App) openAlarmDesk() tea.Cmd {
	b, has := a.opts.Backend.(AlarmBackend)
	epoch := a.poll.epoch
	return a.alarms.open(a, has, a.alarms.desk != nil, "alarms", func(ctx context.Context) tea.Msg {
		d, err := b.AlarmDesk(ctx)
		return alarmDeskOpenedMsg{inEpoch{epoch}, d, err}
	})
}

func (msg alarmDeskOpenedMsg) tell(a *App) tea.Cmd {
	w := a.alarms
	w.busy = false
	if msg.err != nil {
		w.why = ops.AsProblem(msg.err).Error()
		return nil
	}
	w.desk = msg.desk
	return a.readMutes() // the badges say what is muted
}

// reread reads again what a person asked to refresh, now that the picture is newer too.
func (a *App) reread() tea.Cmd {
	w := a.alarms
	if ok, _ := a.alarmsReady(); !ok || !w.again {
		return nil
	}
	w.again = false
	switch a.top().(type) {
	case *coverage, *coverCell:
		return a.readCover()
	case *alarmPlan:
		return a.planAlarms()
	case *doctor:
		return a.readCheckup()
	case *alarmList:
		return a.readMutes()
	}
	return nil
}

func newAlarmWork() *alarmWork { return &alarmWork{opening: noDeskYet()} }

// forget leaves the desk of an account that was switched away from. What is being
// applied or rung goes on.
func (w *alarmWork) forget() {
	*w = alarmWork{opening: noDeskYet(), applying: w.applying, drilling: w.drilling}
}

// alarmsReady says whether the alarms can be worked on.
func (a *App) alarmsReady() (bool, string) {
	switch {
	case a.alarms.desk == nil:
		return false, a.alarms.why
	case !a.pic.whole():
		return false, "the account is still being read"
	}
	return true, ""
}

// whole reports whether the picture is of this run and every section that alarms are
// drawn up from has answered: what is not read yet must not look as if it were gone.
func (p *picture) whole() bool {
	if p.snap.Recalled || !p.read() {
		return false
	}
	for _, s := range p.snap.Sections() {
		if s.At.IsZero() && s.Problem == nil && s.Name != "buckets" && s.Name != "metrics" {
			return false
		}
	}
	return true
}

// coveredMsg brings the coverage.
type coveredMsg struct {
	inEpoch
	gen   int
	of    time.Time
	value covered
	err   error
}

// wished is what the configuration says, and the person over it.
func wished(ctx context.Context, d AlarmDesk, s ops.Snapshot, wishes []func(*alarms.Ask)) (alarms.Ask, error) {
	ask, err := d.Ask(ctx, s)
	for _, wish := range wishes {
		wish(&ask)
	}
	return ask, err
}

// readCover reads who watches what.
func (a *App) readCover() tea.Cmd {
	w := a.alarms
	gen, epoch := w.cover.begin(), a.poll.epoch
	desk, snap, wishes, ctx := w.desk, a.pic.snap, w.wishes, a.poll.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, coverMost)
		defer done()
		msg := coveredMsg{inEpoch: inEpoch{epoch}, gen: gen, of: snap.At}
		ask, err := wished(ctx, desk, snap, wishes)
		if err != nil {
			msg.err = err
			return msg
		}
		msg.value.ask, msg.value.wanted = ask, desk.Wanted(snap, ask)
		msg.value.Coverage, msg.err = desk.Coverage(ctx, snap, ask)
		msg.value.specs, msg.value.named = map[cellKey][]int{}, map[string]int{}
		for i, s := range msg.value.wanted.Specs {
			k := cellKey{s.Resource, s.Rule}
			msg.value.specs[k] = append(msg.value.specs[k], i)
			msg.value.named[s.Name] = i
		}
		return msg
	}
}

func (msg coveredMsg) tell(a *App) tea.Cmd {
	w := a.alarms
	if !w.cover.answer(msg.gen, msg.value, msg.of, a.now(), msg.err) {
		return nil
	}
	for _, s := range a.stack {
		if s, ok := s.(*coverage); ok {
			s.refresh()
		}
	}
	return nil
}

// plannedAlarmsMsg brings a plan.
type plannedAlarmsMsg struct {
	inEpoch
	gen  int
	of   time.Time
	ask  alarms.Ask
	plan alarms.Plan
	err  error
}

// planAlarms works a plan out, by reading only.
func (a *App) planAlarms() tea.Cmd {
	w := a.alarms
	gen, epoch := w.plan.begin(), a.poll.epoch
	desk, snap, wishes, ctx := w.desk, a.pic.snap, w.wishes, a.poll.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, coverMost)
		defer done()
		msg := plannedAlarmsMsg{inEpoch: inEpoch{epoch}, gen: gen, of: snap.At}
		if msg.ask, msg.err = wished(ctx, desk, snap, wishes); msg.err == nil {
			msg.plan, msg.err = desk.Plan(ctx, snap, msg.ask)
		}
		return msg
	}
}

func (msg plannedAlarmsMsg) tell(a *App) tea.Cmd {
	w := a.alarms
	if !w.plan.answer(msg.gen, msg.plan, msg.of, a.now(), msg.err) {
		return nil
	}
	w.ask = msg.ask
	a.pressed = a.work.clock() // what is typed now was typed before the plan could be read
	for _, s := range a.stack {
		if s, ok := s.(*alarmPlan); ok {
			s.refresh()
		}
	}
	return nil
}

// checkedMsg brings the doctor's report.
type checkedMsg struct {
	inEpoch
	gen   int
	of    time.Time
	value alarms.Checkup
	err   error
}

func (a *App) readCheckup() tea.Cmd {
	w := a.alarms
	gen, epoch := w.checkup.begin(), a.poll.epoch
	desk, snap, ctx := w.desk, a.pic.snap, a.poll.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, doctorMost)
		defer done()
		value, err := desk.Doctor(ctx, snap)
		return checkedMsg{inEpoch{epoch}, gen, snap.At, value, err}
	}
}

func (msg checkedMsg) tell(a *App) tea.Cmd {
	if !a.alarms.checkup.answer(msg.gen, msg.value, msg.of, a.now(), msg.err) {
		return nil
	}
	for _, s := range a.stack {
		if s, ok := s.(*doctor); ok {
			s.refresh()
		}
	}
	return nil
}

// mutesReadMsg brings the mute rules.
type mutesReadMsg struct {
	inEpoch
	gen   int
	mutes []alarms.Mute
	err   error
}

func (a *App) readMutes() tea.Cmd {
	w := a.alarms
	gen, epoch := w.mutes.begin(), a.poll.epoch
	desk, ctx := w.desk, a.poll.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, muteMost)
		defer done()
		mutes, err := desk.Mutes(ctx)
		return mutesReadMsg{inEpoch{epoch}, gen, mutes, err}
	}
}

func (msg mutesReadMsg) tell(a *App) tea.Cmd {
	w := a.alarms
	if !w.mutes.answer(msg.gen, msg.mutes, time.Time{}, a.now(), msg.err) || msg.err != nil {
		return nil
	}
	w.muting = map[string][]alarms.Mute{}
	for _, m := range msg.mutes {
		for _, name := range m.Alarms {
			w.muting[name] = append(w.muting[name], m)
		}
	}
	return nil
}

// mutesOf are the mute rules that keep an alarm silent now, or from the next minute on:
// CloudWatch begins on a whole minute.
func (w *alarmWork) mutesOf(alarm string, now time.Time) []alarms.Mute {
	var out []alarms.Mute
	for _, m := range w.muting[alarm] {
		endless := m.Until.IsZero() && m.State == "active" // a recurring rule does not say when its window ends
		if endless || m.Until.After(now) && !m.From.After(now.Add(time.Minute)) {
			out = append(out, m)
		}
	}
	return out
}

// muted says that an alarm is muted and for how long; "" where it is not.
func (w *alarmWork) muted(alarm string, now time.Time) string {
	mutes := w.mutesOf(alarm, now)
	if len(mutes) == 0 {
		return ""
	}
	last := slices.MaxFunc(mutes, func(a, b alarms.Mute) int { return a.Until.Compare(b.Until) })
	if last.Until.IsZero() {
		return "muted"
	}
	return "muted " + ops.Span(last.Until.Sub(now).Seconds())
}

// mutedMsg says what became of muting or unmuting.
type mutedMsg struct {
	inEpoch
	words string
	err   error
}

func (a *App) mute(names []string, d time.Duration, reason string) tea.Cmd {
	desk, ctx, epoch := a.alarms.desk, a.work.ctx, a.poll.epoch
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, muteMost)
		defer done()
		_, err := desk.Mute(ctx, names, d, reason)
		return mutedMsg{inEpoch{epoch}, plural(len(names), "alarm") + " muted for " + ops.Span(d.Seconds()) + ": the state is still watched, no action runs", err}
	}
}

func (a *App) unmute(rules []string) tea.Cmd {
	desk, ctx, epoch := a.alarms.desk, a.work.ctx, a.poll.epoch
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, muteMost)
		defer done()
		var failed []error
		for _, name := range rules {
			failed = append(failed, desk.Unmute(ctx, name))
		}
		return mutedMsg{inEpoch{epoch}, "unmuted: actions run again when the state changes", errors.Join(failed...)}
	}
}

func (msg mutedMsg) tell(a *App) tea.Cmd {
	if msg.err != nil {
		a.warn("not done: " + ops.AsProblem(msg.err).Error())
	} else {
		a.say(msg.words)
	}
	return a.readMutes()
}
