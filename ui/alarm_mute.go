package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

// muteMenu offers for how long to mute alarms, and to unmute what is muted: to
// acknowledge an alarm is to mute it until an end that is said now.
func (a *App) muteMenu(names []string) *menu {
	m := &menu{title: "mute " + alarmsWord(names)}
	now := a.now()
	for _, x := range []struct {
		title string
		until time.Time
	}{
		{"for 30 minutes", now.Add(30 * time.Minute)}, {"for 2 hours", now.Add(2 * time.Hour)},
		{"for 8 hours", now.Add(8 * time.Hour)}, {"until tomorrow 9:00", tomorrowAtNine(now)},
	} {
		d := x.until.Sub(now)
		m.items = append(m.items, menuItem{x.title, "ends " + x.until.Format("Mon 15:04 MST"), func(a *App) tea.Cmd { return a.askMute(names, d) }})
	}
	var rules []string
	for _, name := range names {
		for _, x := range a.alarms.mutesOf(name, now) {
			if x.Ours { // what others made is left alone
				rules = append(rules, x.Name)
			}
		}
	}
	if slices.Sort(rules); len(rules) > 0 {
		rules = slices.Compact(rules)
		m.items = append(m.items, menuItem{"unmute", strings.Join(rules, ", "), func(a *App) tea.Cmd { return a.askUnmute(names, rules) }})
	}
	return m
}

// tomorrowAtNine is when somebody is there again, in the terminal's time zone.
func tomorrowAtNine(now time.Time) time.Time {
	y, m, d := now.Date()
	return time.Date(y, m, d+1, 9, 0, 0, 0, now.Location())
}

func alarmsWord(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return plural(len(names), "alarm")
}

// askMute asks why, and then once more: a muted alarm wakes nobody.
func (a *App) askMute(names []string, d time.Duration) tea.Cmd {
	p := &prompt{sign: "why (goes into the mute rule and the journal): ", chosen: -1}
	p.accept = func(a *App, reason string) tea.Cmd {
		reason = strings.TrimSpace(reason)
		a.ask(newChangeDialog("mute "+alarmsWord(names)+" for "+ops.Span(d.Seconds())+"?", "mute", func(w *writer) {
			w.para("A mute rule keeps the actions from running: nobody is told. The state is still watched and shown. It begins with the next whole minute; an alarm that still rings at its end runs its actions then.", text.Style{})
			w.blank()
			w.field("ends by itself", a.now().Add(d).Format("Mon 2 Jan 15:04 MST")+", in "+ops.Span(d.Seconds()), w.l.strong)
			if reason != "" {
				w.field("why", reason, text.Style{})
			}
			writeNames(w, names)
		}, func(a *App) tea.Cmd { return a.mute(names, d, reason) }))
		return nil
	}
	a.prompt = p
	return nil
}

func (a *App) askUnmute(names, rules []string) tea.Cmd {
	a.ask(newChangeDialog("unmute "+alarmsWord(names)+"?", "unmute", func(w *writer) {
		w.para("The mute rules are deleted; what else they mute is not muted any more either.", text.Style{})
		w.blank()
		for _, m := range a.alarms.mutes.value {
			for _, rule := range rules {
				if m.Name == rule {
					w.field(m.Name, fmt.Sprintf("%s, %s left, %s", plural(len(m.Alarms), "alarm"), ops.Span(m.Until.Sub(w.l.now).Seconds()), orNone(m.Reason)), text.Style{})
				}
			}
		}
	}, func(a *App) tea.Cmd { return a.unmute(rules) }))
	return nil
}

// maxNames bounds the alarms that a question lists.
const maxNames = 100

func writeNames(w *writer, names []string) {
	w.head(plural(len(names), "alarm"))
	for _, name := range names[:min(len(names), maxNames)] {
		w.line(span{text.Clean(text.Bound(name, 255)), text.Style{}})
	}
	if more := len(names) - maxNames; more > 0 {
		w.line(span{count(float64(more)) + " more", w.l.dim})
	}
}

// alarmsUnder are the names of the alarms that the person means: the marked ones, else
// those under the cursor.
func (a *App) alarmsUnder() []string {
	switch s := a.top().(type) {
	case *alarmList:
		if marks := s.chosen(); len(marks) > 0 {
			return marks
		}
	case *coverage:
		_, _, cell := s.under()
		return cell.Alarms
	case *coverCell:
		return s.cell.Alarms
	}
	return nil
}

func canMute(a *App) (bool, string) {
	switch {
	case len(a.alarmsUnder()) == 0:
		return false, "no alarm is under the cursor"
	case a.alarms.desk == nil:
		return false, a.alarms.why
	}
	return true, ""
}

// specsUnder are the alarms of the catalogue that the person means.
func (a *App) specsUnder() []alarms.Spec {
	switch s := a.top().(type) {
	case *alarmPlan:
		if r, ok := s.under(); ok && r.item != nil && r.item.Spec != nil {
			return []alarms.Spec{*r.item.Spec}
		} else if ok && r.item == nil {
			return specsOf(s.plan(), r.group)
		}
	case *planItem:
		if s.item.Spec != nil {
			return []alarms.Spec{*s.item.Spec}
		}
	case *coverage:
		if row, rule, _ := s.under(); row != nil {
			return a.alarms.wantedFor(row.Resource, rule)
		}
	case *coverCell:
		return a.alarms.wantedFor(s.row.Resource, s.rule)
	case *alarmList:
		return a.alarms.wantedNamed(s.chosen())
	}
	return nil
}

// specsOf are the alarms that a plan changes in a pipeline.
func specsOf(p *alarms.Plan, pipeline string) []alarms.Spec {
	var out []alarms.Spec
	for i := range p.Items {
		if x := &p.Items[i]; x.Pipeline == pipeline && x.Spec != nil && changes(x.Action) {
			out = append(out, *x.Spec)
		}
	}
	return out
}

func (w *alarmWork) wantedFor(resource ops.ARN, rule string) []alarms.Spec {
	var out []alarms.Spec
	for _, i := range w.cover.value.specs[cellKey{resource, rule}] {
		out = append(out, w.cover.value.wanted.Specs[i])
	}
	return out
}

func (w *alarmWork) wantedNamed(names []string) []alarms.Spec {
	var out []alarms.Spec
	for _, name := range names {
		if i, ok := w.cover.value.named[name]; ok {
			out = append(out, w.cover.value.wanted.Specs[i])
		}
	}
	return out
}

func canTry(a *App) (bool, string) {
	if ok, why := a.alarmsReady(); !ok {
		return false, why
	}
	if len(a.specsUnder()) > 0 {
		return true, ""
	}
	switch a.top().(type) {
	case *alarmList:
		return false, "only alarms of the catalogue can be tried on the past, and this is not known to be one"
	case *alarmPlan, *planItem, *coverage, *coverCell:
		return false, "there is no alarm to try here"
	}
	return false, "only on an alarm"
}
