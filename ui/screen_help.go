package ui

import (
	"strings"

	"kxops/ops"
	"kxops/ui/text"
)

// openHelp opens the keys and commands, made from the live keymap.
func openHelp(a *App, _ ops.ARN) screen {
	under := a.top() // whether an action can be used is told for the screen help was called from
	return newPage("help", func(w *writer, _ *picture) {
		here := map[string]bool{}
		if s, ok := under.(hinter); ok {
			w.head("keys of " + under.Title())
			for _, id := range s.Hints() {
				if x, ok := a.keys.id(id); ok && !here[id] {
					here[id] = true
					writeAction(w, a, under, x)
				}
			}
		}
		w.head("keys")
		for _, x := range a.keys.actions {
			if !here[x.ID] {
				writeAction(w, a, under, x)
			}
		}
		w.head("commands (:)")
		for _, c := range commands() {
			name := ":" + c.name
			if c.arg != "" {
				name += " " + c.arg
			}
			w.field(name, c.help+aliasNote(c), text.Style{})
		}
		w.head("filter (/)")
		w.para("word shows rows that hold it in any column; !word rows that do not; column:word looks in one column (state:page, kind:dlq, name:orders); spaces mean and; \"double quotes\" keep spaces.", text.Style{})
		w.head("filter of letters (/ in a triage)")
		w.para("word: anywhere in the message or a layer of it; attr:NAME or attr:NAME=VALUE; age>2h age<10m; receives>3; source:QUEUE; group:KEY; event:WORD; id:PREFIX; is:duplicate, harmless, pointer, lossy or stated; ! in front turns a word around; jq:EXPRESSION over the innermost body takes the rest of the line.", text.Style{})
		w.head("words")
		w.para("PAGE wakes somebody, TICKET waits for the morning, ok is well. asleep: an idle queue publishes no metrics and is left alone. denied: this identity may not read it. ? means it could not be read; it never means 0. A time to loss with * assumes the worst case.", text.Style{})
	})
}

func aliasNote(c command) string {
	if len(c.aliases) == 0 {
		return ""
	}
	return " (also " + strings.Join(c.aliases, ", ") + ")"
}

func writeAction(w *writer, a *App, under screen, x Action) {
	keys := strings.Join(x.Keys, " ")
	if keys == "" {
		keys = "no key, :" + x.ID
	}
	help, look := x.Help, text.Style{}
	if ok, reason := a.enabledOn(under, x); !ok {
		help += " Not now: " + reason + "."
		look = w.l.dim
	}
	w.field(text.Cut(keys, labelWidth-1), help, look)
}

// enabledOn tells whether an action could be used on a screen below the top one.
func (a *App) enabledOn(s screen, x Action) (bool, string) {
	stack := a.stack
	a.stack = []screen{s}
	ok, reason := x.enabled(a)
	a.stack = stack
	return ok, reason
}
