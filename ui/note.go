package ui

import "time"

// note is the one line the console says about what was just done.
type note struct {
	text    string
	warning bool
	until   time.Time
}

const noteStays = 8 * time.Second

func (a *App) say(s string)  { a.note = note{text: s, until: a.now().Add(noteStays)} }
func (a *App) warn(s string) { a.note = note{text: s, warning: true, until: a.now().Add(noteStays)} }

func (n *note) expire(now time.Time) {
	if n.text != "" && now.After(n.until) {
		*n = note{}
	}
}
