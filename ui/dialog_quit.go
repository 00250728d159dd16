package ui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"kxops/ui/text"
)

// quitDialog asks before the console is left while something runs.
type quitDialog struct {
	writing
	a *App
}

func newQuitDialog(a *App) *quitDialog {
	d := &quitDialog{a: a}
	d.writing = newWriting(d.tell)
	return d
}

func (d *quitDialog) Title() string { return "quit while something runs?" }

func (d *quitDialog) tell(w *writer) {
	active := d.a.work.active()
	for _, r := range active {
		p := r.progress
		w.field(string(p.State), fmt.Sprintf("%s, %s of %s sent", r.name(), count(float64(p.Sent)), count(float64(p.Total))), w.l.strong)
	}
	if x := d.a.alarms.applying; !x.over() {
		p := x.get()
		w.field("alarms", fmt.Sprintf("being applied, %s of %s written", count(float64(p.Done)), count(float64(p.Total))), w.l.strong)
		w.field("", "planning and applying again goes on with the rest", w.l.dim)
	}
	if x := d.a.alarms.drilling; !x.over() {
		w.field("drill", x.alarm+" is being rung", w.l.strong)
		w.field("", "quitting sets it back at once", w.l.dim)
	}
	if r := d.a.replays.now; !r.over() {
		w.field("replay", fmt.Sprintf("%s to %s, %s sent", r.plan.From.Name(), r.plan.To.Name(), count(float64(r.op.Progress().Counts.Sent))), w.l.strong)
		w.field("", "quitting pauses it: its place is on the disk", w.l.dim)
		if !w.l.demo {
			w.field("to go on", resumeReplayLine(r.plan.ID), text.Style{})
		}
	}
	w.blank()
	w.para("Quitting stops before the next batch, finishes what is in hand and gives the rest back; nothing is lost. A move task of SQS goes on by itself.", text.Style{})
	w.blank()
	if w.l.demo {
		w.para("This is the demo: its operations end with it, and so does their record.", w.l.dim)
		return
	}
	for _, r := range active {
		w.field("to go on", resumeLine(r.progress.ID), text.Style{})
	}
}

func (d *quitDialog) Keys(*App) []dialogKey {
	return []dialogKey{no("stay"), {keys: []string{"y"}, title: "stop and quit", armed: true, run: func(a *App) tea.Cmd { return a.quit() }}}
}

// sureDialog asks about one step that is told in a few sentences.
type sureDialog struct {
	writing
	title string
	yes   string
	run   func(a *App) tea.Cmd
}

func newSureDialog(title, yes string, write func(*writer), run func(a *App) tea.Cmd) *sureDialog {
	return &sureDialog{writing: newWriting(write), title: title, yes: yes, run: run}
}

func (d *sureDialog) Title() string { return d.title }

func (d *sureDialog) Keys(*App) []dialogKey {
	return []dialogKey{no("no, leave it"), {keys: []string{"y"}, title: d.yes, armed: true, run: func(a *App) tea.Cmd {
		a.leaveDialog()
		return d.run(a)
	}}}
}

// changeDialog asks about a step that changes something in the account: it can be read
// without the right to change, and answered with it.
type changeDialog struct{ sureDialog }

func newChangeDialog(title, yes string, write func(*writer), run func(a *App) tea.Cmd) *changeDialog {
	return &changeDialog{*newSureDialog(title, yes, write, run)}
}

func (d *changeDialog) Keys(a *App) []dialogKey {
	if a.work.access().Change {
		return d.sureDialog.Keys(a)
	}
	locked := dialogKey{keys: []string{"y"}, title: "locked: " + a.keyOf("unlock") + " unlocks", run: func(a *App) tea.Cmd {
		_, why := canChange(a)
		a.warn(why)
		return nil
	}}
	return []dialogKey{no("no, leave it"), locked, {keys: a.keysOf("unlock"), title: "unlock", run: (*App).unlock}}
}
