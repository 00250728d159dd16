package ui

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/body"
	"kxops/ui/text"
)

// planDialog shows a change whole before it is done: where, what, how many, what
// it costs, what cannot be undone. Nothing is changed from anywhere else.
type planDialog struct {
	writing
	desk     Desk
	ask      ops.Ask
	chosen   string   // what was chosen, in words
	groups   []string // and by group
	plan     *ops.Plan
	problem  *ops.Problem
	planning bool
	starting bool
	gen      int
	changes  []body.Change // edit: what was changed
}

// planMost bounds the reading that a plan needs.
const planMost = 60 * time.Second

func newPlanDialog(desk Desk, ask ops.Ask, chosen string) *planDialog {
	d := &planDialog{desk: desk, ask: ask, chosen: chosen}
	d.writing = newWriting(d.tell)
	return d
}

// usualPace is careful: a canary first, and no faster than most consumers take.
var usualPace = ops.Pace{Rate: 50, Canary: true}

// planFor opens the dialog of a change and works the plan out.
func (a *App) planFor(desk Desk, ask ops.Ask, chosen string, groups ...string) tea.Cmd {
	d := newPlanDialog(desk, ask, chosen)
	d.groups = groups
	a.ask(d)
	return d.replan(a)
}

// plannedMsg brings a plan.
type plannedMsg struct {
	dialog *planDialog
	gen    int
	plan   ops.Plan
	err    error
}

// replan works the plan out again after something was changed in the dialog.
func (d *planDialog) replan(a *App) tea.Cmd {
	d.gen++
	d.planning, d.problem = true, nil
	gen, ask, desk, ctx := d.gen, d.ask, d.desk, a.work.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, planMost)
		defer done()
		plan, err := desk.Plan(ctx, ask)
		return plannedMsg{d, gen, plan, err}
	}
}

func (d *planDialog) planned(a *App, msg plannedMsg) {
	if msg.gen != d.gen {
		return
	}
	d.planning = false
	a.pressed = a.work.clock() // what is typed now was typed before the plan could be read
	if msg.err != nil {
		d.plan, d.problem = nil, ops.AsProblem(msg.err)
		return
	}
	d.plan = &msg.plan
}

func (d *planDialog) Title() string {
	words := string(d.ask.Verb) + " " + d.ask.Queue.Name()
	if d.ask.Native {
		words = "move task of " + d.ask.Queue.Name()
	}
	return words
}

func (d *planDialog) tell(w *writer) {
	switch {
	case d.problem != nil:
		w.para("This cannot be planned: "+problemText(d.problem), w.l.ticket)
		return
	case d.plan == nil:
		w.para("working out the plan; this only reads…", w.l.dim)
		return
	case d.planning:
		w.para("working out the plan again…", w.l.dim)
	case d.starting:
		w.para("starting…", w.l.accent)
	}
	p := d.plan
	d.tellPlace(w, p)
	for _, s := range p.Blockers {
		w.field("BLOCKED", s, w.l.page)
	}
	for _, s := range p.CannotUndo { // above the details: on a small terminal they are below its end
		w.field("not undone", s, w.l.ticket)
	}
	for _, s := range p.Warnings {
		w.field("warning", s, w.l.ticket)
	}
	d.tellPace(w, p)
	writeChanges(w, d.changes)
	if len(p.Changes) > 0 {
		head := "what cannot be kept of the messages"
		if p.Verb == ops.Retention {
			head = "what changes"
		}
		w.head(head)
		for _, x := range p.Changes {
			w.wide(x.Name, x.Value)
		}
	}
	w.head("steps, and the aws-cli lines that would do the same")
	for i, s := range p.Steps {
		w.field(strconv.Itoa(i+1), s.Text, text.Style{})
		if s.Command != "" {
			w.field("", s.Command, w.l.dim)
		}
	}
	if len(p.Facts) > 0 {
		w.head("what was checked")
		for _, x := range p.Facts {
			w.wide(x.Name, x.Value)
		}
	}
	w.head("plan")
	w.field("operation", p.ID, w.l.dim)
	w.field("sha256", p.Hash, w.l.dim)
}

func (d *planDialog) tellPlace(w *writer, p *ops.Plan) {
	w.field("account", strings.Join(nonEmpty(p.Alias, p.Account), " ")+", region "+p.Region, w.l.strong)
	w.field("from", p.From.Name(), w.l.strong)
	for i, t := range p.To {
		label := ""
		if i == 0 {
			label = "to"
		}
		w.field(label, fmt.Sprintf("%s %s, %s", t.Kind, t.Name(), plural(t.Count, "message")), w.l.strong)
	}
	if len(p.To) == 0 && d.sends() {
		w.field("to", "each message to the queue it came from", w.l.strong)
	}
	if p.File != "" {
		w.field("file", p.File, w.l.strong)
	}
	if n := p.Messages(); n > 0 {
		w.field("messages", count(float64(n))+": "+d.chosen, text.Style{})
	} else if d.chosen != "" {
		w.field("messages", d.chosen, text.Style{})
	}
	for _, line := range d.groups {
		w.field("", line, text.Style{})
	}
	if p.Value != "" {
		if n, err := strconv.ParseFloat(p.Value, 64); err == nil {
			w.field("new value", ops.Span(n), w.l.strong)
		}
	}
	w.field("takes", takesWords(p), text.Style{})
	if d.ask.Reason != "" {
		w.field("reason", d.ask.Reason, text.Style{})
	}
	if p.Risk == ops.HighRisk {
		w.field("risk", "high: "+p.Confirm+" has to be typed", w.l.ticket)
	}
}

// tellPace tells how fast it goes and what that costs.
func (d *planDialog) tellPace(w *writer, p *ops.Plan) {
	if d.sends() {
		w.field("pace", paceWords(p), text.Style{})
	}
	w.field("costs", fmt.Sprintf("about %s, %s", plural(p.Calls, "call"), money(p.USD)), text.Style{})
}

// canaryStages are the messages of the stages before everything goes.
var canaryStages = []int{1, 10, 100}

// takesWords tell the time of sending and the time of watching apart: the watching
// is mostly the longer one.
func takesWords(p *ops.Plan) string {
	words := "?"
	if p.ETA > 0 {
		words = "about " + ops.Span(p.ETA)
	}
	if watch := watchTime(p); watch > 0 {
		words += " of sending, and up to " + ops.Span(watch) + " of watching for returns"
	}
	return words
}

// watchTime is how long an operation watches for messages that come back, in
// seconds, if nothing stops it.
func watchTime(p *ops.Plan) float64 {
	if p.Verb == ops.Move { // SQS tells no message ids: there is nothing to recognise returns by
		return 0
	}
	watch, sent := p.Pace.Watch, 0
	if p.Pace.Canary {
		for _, n := range canaryStages {
			if sent += n; sent >= p.Messages() {
				break
			}
			watch += p.Pace.CanaryWait
		}
	}
	return watch
}

// wide writes a fact whose name may be as long as that of an attribute.
func (w *writer) wide(name, value string) {
	const room = 26
	for i, part := range text.Fold(text.Clean(text.Bound(value, 4096)), max(w.width-room, 16)) {
		if i > 0 {
			name = ""
		}
		w.line(span{pad(text.Clean(text.Bound(name, 80)), room), w.l.dim}, span{part, text.Style{}})
	}
}

// sends reports whether messages leave the queue for a consumer.
func (d *planDialog) sends() bool {
	switch d.ask.Verb {
	case ops.Redrive, ops.Move, ops.Restore, ops.Import:
		return true
	}
	return false
}

func paceWords(plan *ops.Plan) string {
	p := plan.Pace
	words := "as fast as it goes"
	if p.Rate > 0 {
		words = "at most " + strings.TrimSuffix(strconv.FormatFloat(p.Rate, 'f', 1, 64), ".0") + " messages a second"
	}
	switch {
	case plan.Verb == ops.Move: // SQS tells no message ids: there is nothing to recognise returns by
	case p.Canary:
		words += ", a canary first: 1, 10, 100, then the rest"
		if p.MaxReturns > 0 {
			words += fmt.Sprintf(", stops over %s returns", percent(p.MaxReturns))
		}
	default:
		words += ", no canary"
	}
	if p.Careful {
		words += ", one at a time"
	}
	return words
}

// ready says whether the plan can be applied now, and why not.
func (d *planDialog) ready(a *App) (bool, string) {
	switch {
	case d.planning || d.starting:
		return false, "wait a moment"
	case d.plan == nil:
		return false, "there is no plan"
	case len(d.plan.Blockers) > 0:
		return false, "this plan is blocked: " + d.plan.Blockers[0]
	case !d.desk.Access().Change:
		return false, "this session is read-only; " + a.keyOf("unlock") + " unlocks changes for ten minutes"
	}
	return true, ""
}

func (d *planDialog) Keys(a *App) []dialogKey {
	keys := []dialogKey{
		no("no, leave it"),
		{keys: []string{"enter"}, run: func(a *App) tea.Cmd { // the default is No
			a.warn("enter applies nothing: y does, esc leaves")
			return nil
		}},
		{keys: []string{"y"}, title: d.applyWords(a), armed: true, run: d.confirm},
	}
	if !d.desk.Access().Change {
		keys = append(keys, dialogKey{keys: a.keysOf("unlock"), title: "unlock", run: (*App).unlock})
	}
	if d.sends() && !d.ask.Native {
		canary := "canary off"
		if !d.ask.Pace.Canary {
			canary = "canary on"
		}
		keys = append(keys,
			dialogKey{keys: []string{"t"}, title: "to", run: d.askTarget},
			dialogKey{keys: []string{"c"}, title: canary, run: func(a *App) tea.Cmd {
				d.ask.Pace.Canary = !d.ask.Pace.Canary
				return d.replan(a)
			}})
	}
	if d.ask.Native {
		keys = append(keys, dialogKey{keys: []string{"t"}, title: "to", run: d.askTarget})
	}
	if d.sends() {
		keys = append(keys, dialogKey{keys: []string{"r"}, title: "rate", run: d.askRate})
	}
	if d.plan != nil && d.plan.FIFO && d.sends() && !d.ask.Native {
		keys = append(keys, dialogKey{keys: []string{"o"}, title: "accept reordering", run: func(a *App) tea.Cmd {
			d.ask.Reorder = !d.ask.Reorder
			return d.replan(a)
		}})
	}
	return append(keys, dialogKey{keys: []string{"w"}, title: "why", run: d.askReason})
}

// applyWords say what y does, or why it cannot yet; "" where it never will: a plan
// that is blocked offers no y.
func (d *planDialog) applyWords(a *App) string {
	switch {
	case d.planning || d.starting:
		return "wait"
	case d.plan == nil || len(d.plan.Blockers) > 0:
		return ""
	case !d.desk.Access().Change:
		return "locked: " + a.keyOf("unlock") + " unlocks"
	case d.plan.Risk == ops.HighRisk:
		return "type the name"
	}
	return "apply"
}

// confirm applies a plan of low risk, and asks for the name of one of high risk.
func (d *planDialog) confirm(a *App) tea.Cmd {
	if ok, why := d.ready(a); !ok {
		a.warn(why)
		return nil
	}
	if d.plan.Risk != ops.HighRisk {
		return d.start(a)
	}
	want := d.plan.Confirm
	a.prompt = &prompt{sign: "type " + text.Clean(want) + " to apply: ", chosen: -1, accept: func(a *App, line string) tea.Cmd {
		if line != want {
			a.warn("nothing was done: " + strconv.Quote(line) + " is not " + want)
			return nil
		}
		return d.start(a)
	}}
	return nil
}

func (d *planDialog) start(a *App) tea.Cmd {
	d.starting = true
	desk, plan, ctx := d.desk, *d.plan, a.work.ctx
	return func() tea.Msg {
		op, err := desk.Start(ctx, plan)
		return startedMsg{desk, op, plan, err}
	}
}

func (d *planDialog) askRate(a *App) tea.Cmd {
	line := strconv.FormatFloat(d.ask.Pace.Rate, 'f', -1, 64)
	p := &prompt{sign: "messages a second, 0 for as fast as it goes: ", chosen: -1}
	p.accept = func(a *App, line string) tea.Cmd {
		n, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil || n < 0 || n > 1e6 {
			a.warn(strconv.Quote(line) + " is no rate")
			return nil
		}
		d.ask.Pace.Rate = n
		return d.replan(a)
	}
	p.set(line)
	a.prompt = p
	return nil
}

func (d *planDialog) askReason(a *App) tea.Cmd {
	p := &prompt{sign: "why (goes into the journal): ", chosen: -1}
	p.accept = func(a *App, line string) tea.Cmd {
		d.ask.Reason = strings.TrimSpace(line)
		return d.replan(a)
	}
	p.set(d.ask.Reason)
	a.prompt = p
	return nil
}

// askTarget picks where the messages go: back to where each came from, or to a
// queue, topic, function or file.
func (d *planDialog) askTarget(a *App) tea.Cmd {
	p := &prompt{sign: "to: ", chosen: -1}
	p.complete = func(line string) []offer { return targetOffers(a, line, d.ask.Native) }
	p.accept = func(a *App, line string) tea.Cmd {
		d.ask.To = strings.TrimSpace(line)
		return d.replan(a)
	}
	p.set(d.ask.To)
	a.prompt = p
	return nil
}

func targetOffers(a *App, line string, native bool) []offer {
	help := map[string]string{"origin": "each message to the queue it came from"}
	names := []string{"origin"}
	add := func(kind ops.Kind, word, what string) {
		for _, n := range a.namesOf(kind) {
			names = append(names, word+n)
			help[word+n] = what
		}
	}
	add(ops.KindQueue, "queue:", "to one queue, all of them")
	if !native {
		add(ops.KindTopic, "topic:", "to a topic: every subscriber gets them")
		add(ops.KindFunction, "function:", "invoke it with each payload")
		names = append(names, "file:")
		help["file:"] = "PATH  write them into a file"
	}
	var out []offer
	for _, n := range fuzzy(line, names) {
		out = append(out, offer{n, help[n]})
	}
	return out
}
