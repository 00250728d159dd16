package ui

import (
	"cmp"
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
)

// alarmActions are what can be done with alarms. What changes something asks first.
func alarmActions() []Action {
	return []Action{
		jump("coverage", "coverage", "Which resource is watched for what, by whom; what is missing.", "C"),
		jump("plan", "plan", "What would be done to get the alarms that should exist, with the number and the reason.", "+"),
		jump("doctor", "doctor", "Which alarms nobody would hear, and the fix.", "H"),
		{
			ID: "plan-options", Keys: []string{"="}, Title: "options",
			Help:    "Chooses what is planned: the tier, the topics, whether to adopt others' alarms, to delete left-over ones.",
			Enabled: onAlarmPlan,
			Run:     func(a *App, _ string) tea.Cmd { a.menu = a.planMenu(); return nil },
		},
		{
			ID: "apply", Keys: []string{"Y"}, Title: "apply",
			Help:    "Shows the plan, of the alarms or of a replay, whole and asks whether to apply it; while alarms are applied, shows how it goes.",
			Enabled: canApply,
			Run:     func(a *App, _ string) tea.Cmd { return a.applyKey() },
		},
		{
			ID: "backtest", Keys: []string{"x"}, Title: "try on the past",
			Help:    "Tries the alarm on the last days of real data; says first what that costs.",
			Enabled: canTry,
			Run:     func(a *App, _ string) tea.Cmd { a.askTrial(a.specsUnder()); return nil },
		},
		{
			ID: "mute", Keys: []string{"S"}, Title: "mute",
			Help:    "Acknowledges an alarm: mutes its actions until an end that is chosen now, or unmutes it.",
			Enabled: canMute,
			Run:     func(a *App, _ string) tea.Cmd { a.menu = a.muteMenu(a.alarmsUnder()); return nil },
		},
		{
			ID: "drill", Keys: []string{"!"}, Title: "drill",
			Help:    "Proves that an alarm reaches its topic: says who would hear it, asks, rings it on purpose, watches, sets it back.",
			Enabled: canDrill,
			Run:     func(a *App, _ string) tea.Cmd { return a.previewDrill(a.alarmsUnder()[0]) },
		},
	}
}

func onAlarmPlan(a *App) (bool, string) {
	_, ok := a.top().(*alarmPlan)
	return ok, "only on a plan of alarms"
}

// planMenu offers what a plan can be asked for.
func (a *App) planMenu() *menu {
	ask := a.alarms.ask
	m := &menu{title: "what is planned"}
	for _, t := range []alarms.Tier{alarms.Essential, alarms.Recommended, alarms.Full} {
		now := ""
		if t == ask.Settings.Tier || t == alarms.Essential && ask.Settings.Tier == "" {
			now = "now"
		}
		m.items = append(m.items, menuItem{"tier " + tierWord(t), now, asking(func(x *alarms.Ask) { x.Settings.Tier = t })})
	}
	m.items = append(m.items,
		menuItem{"pages tell …", orNone(ask.Settings.Page.Name()), func(a *App) tea.Cmd {
			return a.askTopic("pages tell: ", func(x *alarms.Ask, t ops.ARN) { x.Settings.Page = t })
		}},
		menuItem{"tickets tell …", orNone(ask.Settings.Ticket.Name()), func(a *App) tea.Cmd {
			return a.askTopic("tickets tell: ", func(x *alarms.Ask, t ops.ARN) { x.Settings.Ticket = t })
		}},
		menuItem{"adopt others'", onOff(ask.Adopt), asking(func(x *alarms.Ask) { x.Adopt = !ask.Adopt })},
		menuItem{"prune left-overs", onOff(ask.Prune), asking(func(x *alarms.Ask) { x.Prune = !ask.Prune })},
		menuItem{"loud from the start", onOff(ask.Loud), asking(func(x *alarms.Ask) { x.Loud = !ask.Loud })},
	)
	if s, ok := a.top().(*alarmPlan); ok {
		only := cmp.Or(ask.Pipeline, "all pipelines")
		if r, ok := s.under(); ok && r.group != "" && ask.Pipeline == "" {
			m.items = append(m.items, menuItem{"only " + r.group, only, asking(func(x *alarms.Ask) { x.Pipeline = r.group })})
		} else if ask.Pipeline != "" {
			m.items = append(m.items, menuItem{"all pipelines", only, asking(func(x *alarms.Ask) { x.Pipeline = "" })})
		}
	}
	return m
}

// asking changes what is asked for and plans again.
func asking(change func(*alarms.Ask)) func(*App) tea.Cmd {
	return func(a *App) tea.Cmd {
		if ok, why := a.alarmsReady(); !ok {
			a.warn("plan: " + why)
			return nil
		}
		w := a.alarms
		w.wishes = append(slices.Clone(w.wishes), change)
		if w.cover.at.IsZero() {
			return a.planAlarms()
		}
		return tea.Batch(a.planAlarms(), a.readCover())
	}
}

// askTopic picks a topic of this region by name.
func (a *App) askTopic(sign string, set func(*alarms.Ask, ops.ARN)) tea.Cmd {
	p := &prompt{sign: sign, chosen: -1}
	p.complete = func(line string) []offer {
		var out []offer
		for _, n := range fuzzy(line, a.namesOf(ops.KindTopic)) {
			out = append(out, offer{n, "SNS topic"})
		}
		return out
	}
	p.accept = func(a *App, line string) tea.Cmd {
		to := a.resourceNamed(line, ops.KindTopic)
		if to == "" && line != "" {
			a.warn(fmt.Sprintf("there is no topic %q here; kxops alarms plan makes one when asked", line))
			return nil
		}
		return asking(func(x *alarms.Ask) { set(x, to) })(a)
	}
	p.set("")
	a.prompt = p
	return nil
}

// copier is a screen with something of its own to copy.
type copier interface {
	Copies() *menu // nil: nothing
}
