package ui

import (
	"fmt"
	"math"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// replayActions are what can be done with old events. What sends something asks first.
func replayActions() []Action {
	return []Action{
		{
			ID: "replay", Keys: []string{"E"}, Title: "replay",
			Help: "Sends old events again: from the stream, delivery or bucket under the cursor, the data that a letter points to, a query of Athena, a replay of the past, or what the form says.",
			Run: func(a *App, _ string) tea.Cmd {
				if _, on := a.top().(*replayForm); on {
					return nil
				}
				return a.open(openReplayForm(a, replayHere(a)))
			},
		},
		jump("replays", "replays", "The replays of this machine: what was sent, with proof.", "I"),
		jump("replaying", "the replay", "The replay that runs in this console, or the last one.", "Q"),
		{
			ID: "replan", Keys: []string{"W"}, Title: "work it out",
			Help:    "Works out what the replay of the form would read and send; it only reads.",
			Enabled: func(a *App) (bool, string) { _, on := a.top().(*replayForm); return on, "only on the form of a replay" },
			Run:     func(a *App, _ string) tea.Cmd { return a.planReplay() },
		},
		{
			ID: "more", Keys: []string{"*"}, Title: "more",
			Help:    "Shows all fields of the replay form, or only the basic ones and those that are filled in.",
			Enabled: func(a *App) (bool, string) { _, on := a.top().(*replayForm); return on, "only on the form of a replay" },
			Run:     func(a *App, _ string) tea.Cmd { a.top().(*replayForm).toggleMore(); return nil },
		},
		{
			ID: "wider", Keys: []string{"{"}, Title: "wider",
			Help:    "Begins the window of a replay earlier.",
			Enabled: canTurnWindow,
			Run:     func(a *App, _ string) tea.Cmd { a.top().(*replayForm).turnWindow(-1, 0); return nil },
		},
		{
			ID: "narrower", Keys: []string{"}"}, Title: "narrower",
			Help:    "Begins the window of a replay later.",
			Enabled: canTurnWindow,
			Run:     func(a *App, _ string) tea.Cmd { a.top().(*replayForm).turnWindow(1, 0); return nil },
		},
		{
			ID: "slower", Keys: []string{"("}, Title: "slower",
			Help:    "Halves the speed of the replay that runs.",
			Enabled: canTurnRate,
			Run:     func(a *App, _ string) tea.Cmd { return a.turnRate(0.5) },
		},
		{
			ID: "faster", Keys: []string{")"}, Title: "faster",
			Help:    "Doubles the speed that the replay was slowed down to, up to what its plan allows.",
			Enabled: canTurnRate,
			Run:     func(a *App, _ string) tea.Cmd { return a.turnRate(2) },
		},
		{
			ID: "verify", Keys: []string{"V"}, Title: "verify",
			Help:    "Proves what a replay has sent: its receipts, and the target where it can be read back.",
			Enabled: canVerify,
			Run:     func(a *App, _ string) tea.Cmd { return a.verifyReplay(a.top().(*replaying).r.plan.ID) },
		},
	}
}

func canTurnRate(a *App) (bool, string) {
	switch s, on := a.top().(*replaying); {
	case !on || s.r == nil:
		return false, "only on a replay"
	case s.r.over():
		return false, "it does not run"
	}
	return true, ""
}

// turnRate sets the speed of the replay that runs: from what it is held to, else from what
// it goes at.
func (a *App) turnRate(times float64) tea.Cmd {
	r := a.top().(*replaying).r
	p, most := r.op.Progress(), r.plan.Pace.Rate
	from := p.Limit
	if from == 0 {
		from = most
	}
	if from == 0 || p.Limit == 0 && times < 1 {
		from = p.Rate.Or(from)
	}
	to := math.Max(math.Round(from*times), 1)
	switch {
	case p.Limit == 0 && times > 1:
		a.say("it goes as fast as its plan allows")
		return nil
	case from == 0:
		a.say("how fast it goes is not known yet")
		return nil
	case times > 1 && (most > 0 && to >= most || most == 0 && p.Rate.Or(0) < 0.8*from): // the limit is not what holds it
		to = 0
	}
	if err := r.op.SetRate(to); err != nil {
		a.warn(problemText(ops.AsProblem(err)))
		return nil
	}
	if to == 0 {
		a.say("as fast as its plan allows")
		return nil
	}
	a.say(fmt.Sprintf("held to %s records a second, also after a pause", count(to)))
	return nil
}

func canVerify(a *App) (bool, string) {
	s, on := a.top().(*replaying)
	switch {
	case !on || s.r == nil:
		return false, "only on a replay"
	case !s.r.over():
		return false, "it runs"
	}
	return a.replays.desk != nil, a.replays.why
}

// holder is a screen with something that can be paused and gone on with.
type holder interface {
	hold(a *App) tea.Cmd
	canHold(a *App) (bool, string)
}

// holdKey pauses what the screen shows, or goes on with it.
func (a *App) holdKey() tea.Cmd {
	if s, ok := a.top().(holder); ok {
		return s.hold(a)
	}
	a.runAt().hold()
	return nil
}

func canHold(a *App) (bool, string) {
	if s, ok := a.top().(holder); ok {
		return s.canHold(a)
	}
	return onRun(a)
}
