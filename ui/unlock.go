package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

const unlockMost = 10 * time.Second

// unlockedMsg says whether changes are allowed now.
type unlockedMsg struct{ err error }

// unlock allows changes for a while; a protected account wants its name typed.
func (a *App) unlock() tea.Cmd {
	desk := a.work.desk
	if desk == nil {
		a.warn("unlock: " + a.work.why)
		return nil
	}
	x := desk.Access()
	switch {
	case x.Change && x.Until.IsZero():
		a.say("changes are allowed: this session was started so")
		return nil
	case x.Change:
		desk.Lock()
		a.say("read-only again; what runs is finished")
		return nil
	}
	if x.Confirm == "" {
		return unlockCmd(a.work.ctx, desk, "")
	}
	a.prompt = &prompt{sign: "type " + text.Clean(x.Confirm) + " to allow changes: ", chosen: -1, accept: func(a *App, line string) tea.Cmd {
		return unlockCmd(a.work.ctx, desk, line)
	}}
	return nil
}

func unlockCmd(ctx context.Context, desk Desk, typed string) tea.Cmd {
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, unlockMost)
		defer done()
		return unlockedMsg{desk.Unlock(ctx, typed)}
	}
}

func (a *App) unlocked(msg unlockedMsg) {
	if msg.err != nil {
		a.warn("still read-only: " + ops.AsProblem(msg.err).Error())
		return
	}
	words := "changes are allowed"
	if left, ends := a.unlockLeft(); ends {
		words += " for " + clock(left.Seconds())
	}
	a.say(words + "; every change is still shown and asked for")
}

// unlockLeft is how long changes stay allowed; ends is false where they are not
// allowed, or without an end.
func (a *App) unlockLeft() (left time.Duration, ends bool) {
	x := a.work.access()
	if !x.Change || x.Until.IsZero() {
		return 0, false
	}
	return max(x.Until.Sub(a.work.clock()), 0), true
}

// workSegments are what the header says about work with dead letters: what may be
// done, what runs, what is held.
func (a *App) workSegments(l light) []segment {
	var out []segment
	if left, ends := a.unlockLeft(); ends {
		out = append(out, segment{" CHANGE " + clock(left.Seconds()) + " ", l.inverse, 0})
	} else if a.work.access().Change {
		out = append(out, segment{" CHANGE ", l.inverse, 0})
	}
	if active := a.work.active(); len(active) > 0 {
		r := active[0]
		words := string(r.progress.Verb) + " " + percent(r.share())
		if !r.progress.State.Over() && r.progress.State != ops.Running {
			words += " " + string(r.progress.State)
		}
		if len(active) > 1 {
			words += " +" + count(float64(len(active)-1))
		}
		out = append(out, segment{words, l.accent, 1})
	}
	if r := a.replays.now; !r.over() {
		out = append(out, segment{"replay " + count(float64(r.op.Progress().Counts.Sent)), l.accent, 1})
	}
	if x := a.alarms.applying; !x.over() {
		out = append(out, segment{"alarms " + percent(x.share()), l.accent, 1})
	}
	if a.triage() == nil {
		for _, s := range a.stack {
			if s, ok := s.(*triage); ok {
				if n, back := s.held(); n > 0 {
					out = append(out, segment{"held " + count(float64(n)) + " for " + clock(back.Sub(l.now).Seconds()), l.ticket, 1})
				}
			}
		}
	}
	return out
}

// keysOf lists the keys of an action.
func (a *App) keysOf(id string) []string {
	x, _ := a.keys.id(id)
	if len(x.Keys) == 0 {
		return []string{"U"}
	}
	return x.Keys
}
