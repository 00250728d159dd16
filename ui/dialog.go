package ui

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ui/text"
)

// dialog is a question that stands before the screen until it is answered. Its
// keys are data like those of the actions: the foot line shows them.
type dialog interface {
	Title() string
	Draw(c *text.Canvas, height int, l light)
	Keys(a *App) []dialogKey
	Move(m motion)
}

// dialogKey is one answer.
type dialogKey struct {
	keys  []string
	title string
	// armed: counts only after no key was pressed for a moment, so that keys typed
	// ahead, or into another window, confirm nothing.
	armed bool
	run   func(a *App) tea.Cmd
}

// quietBefore is how long the keyboard has to be quiet before a confirmation counts.
const quietBefore = 300 * time.Millisecond

// ask opens a dialog.
func (a *App) ask(d dialog) {
	a.dialog, a.note = d, note{}
	a.pressed = a.work.clock()
}

func (a *App) leaveDialog() { a.dialog = nil }

// pressDialog answers a dialog; quiet is how long no key was pressed before this one.
func (a *App) pressDialog(key string, quiet time.Duration) tea.Cmd {
	d := a.dialog
	for _, k := range d.Keys(a) {
		if !slices.Contains(k.keys, key) {
			continue
		}
		if k.armed && quiet < quietBefore {
			a.warn("not taken: it came too fast after another key; press it again")
			return nil
		}
		return k.run(a)
	}
	switch x, _ := a.keys.key(key); x.ID {
	case "quit":
		a.warn("this is a question: esc leaves it")
	case "up":
		d.Move(lineUp)
	case "down":
		d.Move(lineDown)
	case "page-up":
		d.Move(pageUp)
	case "page-down":
		d.Move(pageDown)
	case "first":
		d.Move(toTop)
	case "last":
		d.Move(toEnd)
	case "repaint":
		return tea.ClearScreen
	}
	return nil
}

// drawDialog draws the dialog where the screen would be.
func (a *App) drawDialog(c *text.Canvas, height int, l light) {
	end := c.Line() + height
	c.Under(l.inverse)
	c.Text(" "+a.dialog.Title(), l.inverse)
	c.End()
	a.dialog.Draw(c, height-1, l)
	c.Until(end)
}

// maxKeyLines bounds the lines that the answers take.
const maxKeyLines = 2

// keyLines lays the answers out: on a small terminal they take two lines, for what
// cannot be seen cannot be answered.
func (a *App) keyLines() [][]dialogKey {
	var lines [][]dialogKey
	left := 0
	for _, k := range a.dialog.Keys(a) {
		if k.title == "" {
			continue
		}
		need := text.Width(k.keys[0]) + text.Width(k.title) + 3
		if left < need || len(lines) == 0 {
			if len(lines) == maxKeyLines {
				break
			}
			lines = append(lines, nil)
			left = a.width
			if len(lines) == 1 {
				left -= moreWidth
			}
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], k)
		left -= need
	}
	return lines
}

// moreWidth is the room for how much is out of sight.
const moreWidth = 11

// drawDialogKeys draws the answers in the foot lines.
func (a *App) drawDialogKeys(c *text.Canvas, l light) {
	if d, ok := a.dialog.(interface{ below() int }); ok && d.below() > 0 {
		c.Text(fmt.Sprintf("↓ %d more", d.below()), l.ticket)
		c.Space(2)
	}
	for _, line := range a.keyLines() {
		for _, k := range line {
			c.Text(k.keys[0], l.title)
			c.Space(1)
			c.Text(k.title, l.dim)
			c.Space(2)
		}
		c.End()
	}
}

// no is the answer that every dialog has.
func no(title string) dialogKey {
	return dialogKey{keys: []string{"esc", "n"}, title: title, run: func(a *App) tea.Cmd { a.leaveDialog(); return nil }}
}

// writing is a dialog that is read from top to bottom.
type writing struct {
	document
	write func(w *writer)
}

func newWriting(write func(*writer)) writing { return writing{newDocument(), write} }

func (d *writing) Draw(c *text.Canvas, height int, l light) {
	w := &writer{l: l, width: c.Width() - 3}
	d.write(w)
	d.set(w.lines)
	d.document.draw(c, height, l)
}

// below is how many lines are out of sight below: nobody should confirm what they
// did not know was there.
func (d *writing) below() int { return max(len(d.lines)-d.top-d.page, 0) }
