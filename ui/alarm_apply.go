package ui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

// applying is a plan that is being applied. It belongs to the App and not to a screen:
// leaving a screen ends nothing.
type applying struct {
	plan   alarms.Plan
	cancel context.CancelFunc
	done   chan struct{}
	result *alarms.Result // nil while it runs
	err    *ops.Problem

	mu       sync.Mutex
	progress alarms.Progress
}

func (x *applying) put(p alarms.Progress) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.progress = p
}

func (x *applying) get() alarms.Progress {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.progress
}

func (x *applying) over() bool { return x == nil || x.result != nil || x.err != nil }

func (x *applying) share() float64 {
	p := x.get()
	if p.Total == 0 {
		return 0
	}
	return float64(p.Done) / float64(p.Total)
}

// applyDialog shows a plan whole before it is applied.
type applyDialog struct {
	writing
	a    *App
	plan alarms.Plan
}

func newApplyDialog(a *App) *applyDialog {
	d := &applyDialog{a: a, plan: a.alarms.plan.value}
	d.writing = newWriting(d.tell)
	return d
}

func (d *applyDialog) Title() string { return "apply these changes to the alarms?" }

// risky says why the name of the account has to be typed, "" where it has not.
func risky(p *alarms.Plan) string {
	n := map[alarms.Action]int{}
	for i := range p.Items {
		n[p.Items[i].Action]++
	}
	switch {
	case n[alarms.Delete] > 0:
		return "deletes " + plural(n[alarms.Delete], "alarm")
	case n[alarms.Adopt] > 0:
		return "takes over " + plural(n[alarms.Adopt], "alarm") + " of others"
	}
	return ""
}

// confirmWord is what has to be typed where the risk is high.
func confirmWord(p *alarms.Plan) string { return cmp.Or(p.Alias, p.Account, p.Region) }

func (d *applyDialog) tell(w *writer) {
	p := &d.plan
	w.field("account", strings.Join(nonEmpty(p.Alias, p.Account), " ")+", region "+p.Region, w.l.strong)
	w.field("changes", planTotals(p), w.l.strong)
	w.field("costs", planPrice(p), text.Style{})
	w.field("topics", topicWords(p), topicLook(p, w.l))
	if p.Quiet {
		w.field("quietly", "created with their actions off, switched on after the first evaluation: nobody gets an OK mail for each", text.Style{})
	}
	if why := risky(p); why != "" {
		w.field("risk", "high, it "+why+": "+confirmWord(p)+" has to be typed", w.l.ticket)
	}
	for _, x := range planWords(p) {
		w.field(x.label, x.text, x.look(w.l))
	}
	if p.Reason != "" {
		w.field("reason", p.Reason, text.Style{})
	}
	group := ""
	for _, r := range planRows(p, nil) {
		if r.item == nil || !changes(r.item.Action) {
			continue
		}
		if name := cmp.Or(r.group, "no pipeline"); name != group {
			group = name
			w.head(group)
		}
		x := r.item
		words := x.Name
		if x.Spec != nil {
			words = pad(specAbout(x.Spec), 34) + threshold(x.Spec) + "  (" + x.Spec.Formula + ")"
		}
		w.line(span{actionSign(x.Action) + " ", actionLook(w.l, x.Action)}, span{text.Clean(text.Bound(words, 400)), text.Style{}})
	}
	if len(p.Findings) > 0 {
		w.head("what no alarm can help")
		for _, f := range p.Findings {
			w.field(f.Rule, f.Sentence, text.Style{})
		}
	}
	w.head("plan")
	w.field("operation", p.ID, w.l.dim)
	w.field("sha256", p.Hash, w.l.dim)
}

// ready says whether the plan can be applied now, and why not.
func (d *applyDialog) ready() (bool, string) {
	if len(d.plan.Blockers) > 0 {
		return false, "this plan is blocked: " + d.plan.Blockers[0]
	}
	return canChange(d.a)
}

func (d *applyDialog) Keys(a *App) []dialogKey {
	keys := []dialogKey{
		no("no, leave it"),
		{keys: []string{"enter"}, run: func(a *App) tea.Cmd { // the default is No
			a.warn("enter applies nothing: y does, esc leaves")
			return nil
		}},
		{keys: []string{"y"}, title: d.applyWords(a), armed: true, run: d.confirm},
	}
	if !a.work.access().Change {
		keys = append(keys, dialogKey{keys: a.keysOf("unlock"), title: "unlock", run: (*App).unlock})
	}
	return keys
}

func (d *applyDialog) applyWords(a *App) string {
	switch {
	case len(d.plan.Blockers) > 0:
		return ""
	case !a.work.access().Change:
		return "locked: " + a.keyOf("unlock") + " unlocks"
	case risky(&d.plan) != "":
		return "type the name"
	}
	return "apply"
}

func (d *applyDialog) confirm(a *App) tea.Cmd {
	if ok, why := d.ready(); !ok {
		a.warn(why)
		return nil
	}
	if risky(&d.plan) == "" {
		return a.apply(d.plan)
	}
	want := confirmWord(&d.plan)
	a.prompt = &prompt{sign: "type " + text.Clean(want) + " to apply: ", chosen: -1, accept: func(a *App, line string) tea.Cmd {
		if line != want {
			a.warn("nothing was done: " + strconv.Quote(line) + " is not " + want)
			return nil
		}
		return a.apply(d.plan)
	}}
	return nil
}

// alarmsAppliedMsg says what became of a plan. It has no epoch: what was done is told
// also where the account was switched meanwhile.
type alarmsAppliedMsg struct {
	of     *applying
	result alarms.Result
	err    error
}

// alarmsMovedMsg says that it is time to draw the progress again.
type alarmsMovedMsg struct{ of *applying }

// apply begins, and opens the screen that shows how it goes.
func (a *App) apply(plan alarms.Plan) tea.Cmd {
	if !a.alarms.applying.over() {
		a.warn("another plan is being applied; " + a.keyOf("apply") + " shows it")
		return nil
	}
	a.leaveDialog()
	ctx, cancel := context.WithCancel(a.work.ctx)
	x := &applying{plan: plan, cancel: cancel, done: make(chan struct{})}
	x.progress = alarms.Progress{ID: plan.ID, Total: plan.Writes(), Started: a.now()}
	a.alarms.applying = x
	desk := a.alarms.desk
	return tea.Batch(a.open(newApplied(x)), func() tea.Msg {
		defer cancel()
		defer close(x.done)
		result, err := desk.Apply(ctx, plan, x.put)
		return alarmsAppliedMsg{x, result, err}
	}, a.watchApplying(x))
}

// watchApplying brings one message when the progress is to be drawn again.
func (a *App) watchApplying(x *applying) tea.Cmd {
	ctx, pace := a.ctx, progressPace
	if a.poll.blur {
		pace = samplePaceBlur
	}
	return func() tea.Msg {
		t := time.NewTimer(pace)
		defer t.Stop()
		select {
		case <-t.C:
			return alarmsMovedMsg{x}
		case <-x.done:
		case <-ctx.Done():
		}
		return nil
	}
}

func (a *App) alarmsMoved(msg alarmsMovedMsg) tea.Cmd {
	if msg.of.over() {
		return nil
	}
	return a.watchApplying(msg.of)
}

// alarmsApplied tells the end, and reads again what it changed.
func (a *App) alarmsApplied(msg alarmsAppliedMsg) tea.Cmd {
	x := msg.of
	x.result, x.err = &msg.result, ops.AsProblem(msg.err)
	if s, ok := a.top().(*applied); !ok || s.x != x {
		words := "alarms: " + resultTotals(x) + "; " + a.keyOf("apply") + " shows the result"
		if x.err != nil || len(msg.result.Failed) > 0 || msg.result.Left > 0 {
			a.warn(words)
		} else {
			a.say(words)
		}
	}
	cmds := []tea.Cmd{a.look(true)}
	if a.alarms.desk != nil && a.alarms.applying == x && a.pic.snap.Identity.Account == x.plan.Account {
		if !a.alarms.plan.at.IsZero() {
			cmds = append(cmds, a.planAlarms())
		}
		if !a.alarms.cover.at.IsZero() {
			cmds = append(cmds, a.readCover())
		}
		a.alarms.checkup.at = time.Time{} // what the doctor said was about other alarms
	}
	return tea.Batch(cmds...)
}

func resultTotals(x *applying) string {
	if x.result == nil {
		return "not applied"
	}
	r := x.result
	parts := []string{}
	add := func(n int, word string) {
		if n > 0 {
			parts = append(parts, count(float64(n))+" "+word)
		}
	}
	add(r.Created, "created")
	add(r.Updated, "changed")
	add(r.Deleted, "deleted")
	add(len(r.Failed), "failed")
	add(r.Left, "left")
	if len(parts) == 0 {
		return "nothing was changed"
	}
	return strings.Join(parts, ", ")
}

// applied shows a plan while it is applied, and what became of it.
type applied struct {
	document
	x *applying
}

func newApplied(x *applying) *applied { return &applied{newDocument(), x} }

func (s *applied) Title() string      { return "apply" }
func (s *applied) Load(*picture)      {}
func (s *applied) Selected() ops.ARN  { return "" }
func (s *applied) Visible() []ops.ARN { return nil }
func (s *applied) Hints() []string {
	return []string{"cancel", "back", "alarms", "coverage", "doctor", "journal", "help"}
}

func (s *applied) Draw(c *text.Canvas, height int, l light) {
	w := &writer{l: l, width: c.Width() - 3}
	if s.x.over() {
		s.tellResult(w)
	} else {
		s.tellProgress(w)
	}
	s.set(w.lines)
	s.document.draw(c, height, l)
}

func (s *applied) tellProgress(w *writer) {
	p := s.x.get()
	w.line(span{pad("applying", 10), w.l.accent}, span{planTotals(&s.x.plan), w.l.strong})
	w.bar(s.x.share(), fmt.Sprintf("%s of %s", count(float64(p.Done)), plural(p.Total, "alarm")))
	if p.Note != "" {
		w.para(p.Note, w.l.ticket)
	}
	w.blank()
	if p.Name != "" {
		w.field("last", p.Name, text.Style{})
	}
	if left, ok := p.ETA.Value(); ok && p.Done < p.Total {
		w.field("time left", "about "+ops.Span(left), text.Style{})
	}
	w.field("operation", s.x.plan.ID, w.l.dim)
	w.blank()
	w.para("It goes on when this screen is left; "+w.l.keyOf("apply")+" comes back. What was written stays written: planning and applying again goes on with the rest.", w.l.dim)
}

func (s *applied) tellResult(w *writer) {
	x := s.x
	word, look := "APPLIED", w.l.good
	r := alarms.Result{}
	if x.result != nil {
		r = *x.result
	}
	switch {
	case x.err != nil && r.Created+r.Updated+r.Deleted == 0:
		word, look = "NOT APPLIED", w.l.page
	case len(r.Failed) > 0:
		word, look = "FAILED IN PART", w.l.page
	case x.err != nil, r.Left > 0:
		word, look = "NOT WHOLE", w.l.ticket
	}
	w.line(span{pad(word, 14), look}, span{resultTotals(x), w.l.strong})
	if x.err != nil {
		w.para(problemText(x.err), w.l.ticket)
	}
	w.blank()
	number := func(label string, n int, st text.Style, what string) {
		if n == 0 {
			st = w.l.dim
		}
		w.line(span{pad(label, labelWidth), w.l.dim}, span{fmt.Sprintf("%8s  ", count(float64(n))), st}, span{what, w.l.dim})
	}
	number("created", r.Created, w.l.good, "new alarms")
	number("changed", r.Updated, w.l.good, "only the fields that are ours")
	number("deleted", r.Deleted, w.l.ticket, "ours, and no longer wanted")
	number("failed", len(r.Failed), w.l.page, "were not written")
	number("left", r.Left, w.l.ticket, "were not tried: apply again goes on with them")
	if len(r.Failed) > 0 {
		w.head("failed")
		for _, f := range r.Failed[:min(len(r.Failed), maxIDs)] {
			w.line(span{text.Clean(text.Bound(f.Name, 255)), w.l.strong})
			w.field("", f.Why, w.l.ticket)
			if f.Hint != "" {
				w.field("", "→ "+f.Hint, text.Style{})
			}
		}
	}
	if len(r.Ringing) > 0 {
		w.head("ring already; their actions did not run")
		for _, name := range r.Ringing[:min(len(r.Ringing), maxIDs)] {
			w.line(span{text.Clean(text.Bound(name, 255)), w.l.page})
		}
	}
	if len(r.Next) > 0 {
		w.head("what to do now")
		for _, s := range r.Next {
			w.field("→", s, text.Style{})
		}
	}
	w.head("record")
	w.field("operation", x.plan.ID, w.l.dim)
	w.field("again", w.l.keyOf("plan")+" plans again: nothing should be left to do", w.l.dim)
}

// askCancel asks before it is stopped.
func (s *applied) askCancel(a *App) tea.Cmd {
	x := s.x
	a.ask(newSureDialog("stop applying?", "stop it", func(w *writer) {
		w.para("It stops before the next alarm. What was written stays written; planning and applying again goes on with the rest.", text.Style{})
	}, func(a *App) tea.Cmd {
		x.cancel()
		a.say("stopping: the alarm in hand is finished")
		return nil
	}))
	return nil
}

// applyKey asks about the plan, or shows what is being applied.
func (a *App) applyKey() tea.Cmd {
	if s, ok := a.top().(*replayForm); ok {
		plan, _, _ := s.planned()
		a.ask(newReplayDialog(a, plan))
		return nil
	}
	x := a.alarms.applying
	onPlan := false
	switch a.top().(type) {
	case *alarmPlan, *planItem:
		onPlan = true
	}
	if x != nil && (!x.over() || !onPlan) {
		for i, s := range a.stack {
			if s, ok := s.(*applied); ok && s.x == x {
				return a.cutTo(i)
			}
		}
		return a.open(newApplied(x))
	}
	a.ask(newApplyDialog(a))
	return nil
}

func canApply(a *App) (bool, string) {
	x := a.alarms.applying
	switch s := a.top().(type) {
	case *applied:
		return false, "this is it"
	case *replayForm:
		_, ok, why := s.planned()
		return ok, why
	case *alarmPlan, *planItem:
		if !x.over() {
			return true, ""
		}
		w := &a.alarms.plan
		switch {
		case w.busy:
			return false, "the plan is being worked out"
		case w.at.IsZero():
			return false, "there is no plan"
		case w.value.Writes() == 0:
			return false, "there is nothing to change"
		}
		return true, ""
	default:
		_ = s
	}
	if x == nil {
		return false, "only on a plan of alarms; " + a.keyOf("plan") + " makes one"
	}
	return true, ""
}

// close stops what is being applied or rung when the console is left.
func (w *alarmWork) close() error { return errors.Join(w.drilling.close(), w.applying.close()) }

// close stops it. What was written stays written; the rest is planned again by the next run.
func (x *applying) close() error {
	if x.over() {
		return nil
	}
	x.cancel()
	select {
	case <-x.done:
	case <-time.After(closeMost):
		return errors.New("the alarms were not finished in time; kxops alarms plan says what is left")
	}
	return nil
}
