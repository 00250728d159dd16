package ui

import (
	"context"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// replayDialog shows the plan of a replay whole and asks.
type replayDialog struct {
	writing
	a    *App
	plan ops.ReplayPlan
}

func newReplayDialog(a *App, plan ops.ReplayPlan) *replayDialog {
	d := &replayDialog{a: a, plan: plan}
	d.writing = newWriting(d.tell)
	return d
}

func (d *replayDialog) Title() string { return "replay?" }

func (d *replayDialog) tell(w *writer) {
	p := &d.plan
	w.field("account", strings.Join(nonEmpty(p.Alias, p.Account), " ")+", region "+p.Region, w.l.strong)
	w.field("from", string(p.From.Kind)+" "+p.From.Name(), w.l.strong)
	w.field("to", p.To.Name(), w.l.strong)
	for _, x := range []struct{ name, value string }{{"filter", p.Select.Filter}, {"contains", p.Select.Contains}, {"keys", strings.Join(p.Select.Keys, ", ")}, {"key to send", p.Map.Key}, {"body to send", p.Map.Body}} {
		if x.value != "" {
			w.field(x.name, x.value, text.Style{})
		}
	}
	if p.Map.Mark == "none" {
		w.field("mark", "none: the target does not see that it is a replay", w.l.ticket)
	}
	if p.To.Async {
		w.field("async", "answers are not awaited: receipts say that Lambda accepted an event", w.l.ticket)
	}
	if p.Risk == ops.HighRisk {
		w.field("risk", "high: "+p.Confirm+" has to be typed", w.l.ticket)
	}
	writeReplayPlan(w, *p)
	w.head("plan")
	w.field("replay", p.ID, w.l.dim)
	w.field("expires", p.Expires.UTC().Format("15:04:05 MST"), w.l.dim)
	w.field("sha256", p.Hash, w.l.dim)
}

// local reports a replay that sends nothing to AWS.
func (d *replayDialog) local() bool {
	return d.plan.FanOut == "" && (d.plan.To.Kind == ops.KindNull || d.plan.To.Kind == ops.KindFile)
}

func (d *replayDialog) Keys(a *App) []dialogKey {
	keys := []dialogKey{
		no("no, leave it"),
		{keys: []string{"enter"}, run: func(a *App) tea.Cmd { // the default is No
			a.warn("enter replays nothing: y does, esc leaves")
			return nil
		}},
		{keys: []string{"y"}, title: d.words(a), armed: true, run: d.confirm},
	}
	if !d.local() && !a.work.access().Change {
		keys = append(keys, dialogKey{keys: a.keysOf("unlock"), title: "unlock", run: (*App).unlock})
	}
	return keys
}

func (d *replayDialog) words(a *App) string {
	switch {
	case d.local():
		return "begin"
	case !a.work.access().Change:
		return "locked: " + a.keyOf("unlock") + " unlocks"
	case d.plan.Risk == ops.HighRisk:
		return "type the name"
	}
	return "replay"
}

func (d *replayDialog) confirm(a *App) tea.Cmd {
	if !d.local() {
		if ok, why := canChange(a); !ok {
			a.warn(why)
			return nil
		}
	}
	desk, plan := a.replays.desk, d.plan
	start := func(ctx context.Context) (Replaying, error) { return desk.Start(ctx, plan) }
	if plan.Risk != ops.HighRisk {
		return a.startReplay(start)
	}
	want := plan.Confirm
	a.prompt = &prompt{sign: "type " + text.Clean(want) + " to replay: ", chosen: -1, accept: func(a *App, line string) tea.Cmd {
		if line != want {
			a.warn("nothing was sent: " + strconv.Quote(line) + " is not " + want)
			return nil
		}
		return a.startReplay(start)
	}}
	return nil
}
