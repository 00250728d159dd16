package ui

import (
	"fmt"
	"strings"

	"kxops/ops"
	"kxops/ui/text"
)

// Below the screen stand, from top to bottom: what could not be read, an open
// menu or the candidates of the palette, and the foot line.

func (a *App) below() int {
	return len(a.problemLines()) + a.panelHeight() + a.footHeight()
}

// maxNote bounds the lines of a note.
const maxNote = 3

func (a *App) noteLines() []string {
	if a.prompt != nil || a.note.text == "" {
		return nil
	}
	lines := text.Fold(text.Clean(text.Bound(a.note.text, maxNote*a.width)), a.width)
	return lines[:min(len(lines), maxNote)]
}

func (a *App) footHeight() int {
	if a.dialog != nil && a.prompt == nil && a.menu == nil && a.note.text == "" {
		return max(len(a.keyLines()), 1)
	}
	return max(len(a.noteLines()), 1)
}

func (a *App) drawBelow(c *text.Canvas, l light) {
	for _, line := range a.problemLines() {
		c.Text(line.sign, l.page)
		c.Text(line.text, l.ticket)
		c.End()
	}
	a.drawPanel(c, l)
	a.drawFoot(c, l)
}

// problemLine is a line of a problem's sentence; the first carries a sign.
type problemLine struct{ sign, text string }

// problemLines folds the problems into the room there is for them: the next step
// stands at the end of each, and cut off it helps nobody.
func (a *App) problemLines() []problemLine {
	problems := a.problems()
	room := 2
	switch {
	case a.height >= 30:
		room = 6
	case a.height >= 20:
		room = 3
	}
	var out []problemLine
	for _, p := range problems {
		lines := text.Fold(p, a.width-2)
		if most := max(room/len(problems), 1); len(lines) > most {
			lines = append(lines[:most-1], strings.Join(lines[most-1:], " "))
		}
		sign := "! "
		for _, line := range lines {
			out = append(out, problemLine{sign, line})
			sign = "  "
		}
	}
	return out
}

// causeOf is equal for problems of one cause. Where nothing answers, each section
// names the call it tried; that is one cause all the same.
func causeOf(p *ops.Problem) string {
	if p.Fault == ops.FaultUnreachable {
		return string(p.Fault) + p.Hint
	}
	return p.Error()
}

// problems are the sentences of the sections that failed, one per cause.
func (a *App) problems() []string {
	most := 3
	if a.height < 20 {
		most = 1
	}
	var out []string
	where := map[string][]string{}
	var order []*ops.Problem
	for _, s := range a.pic.snap.Sections() {
		if s.Problem == nil {
			continue
		}
		cause := causeOf(s.Problem)
		if where[cause] == nil {
			order = append(order, s.Problem)
		}
		where[cause] = append(where[cause], s.Name)
	}
	for i, p := range order {
		if i == most-1 && len(order) > most {
			out = append(out, fmt.Sprintf("%d more problems: :info", len(order)-i))
			break
		}
		failed := where[causeOf(p)]
		names := strings.Join(failed, ", ")
		if len(failed) > 3 {
			names = fmt.Sprintf("%d sections", len(failed))
		}
		out = append(out, fmt.Sprintf("%s: %s", names, problemText(p)))
	}
	return out
}

func problemText(p *ops.Problem) string {
	s := text.Clean(text.Bound(p.What, 400))
	if p.Hint != "" {
		s += " → " + text.Clean(text.Bound(p.Hint, 400))
	}
	return s
}

// footHints are the actions named in the foot line, most wanted first.
var footHints = []string{"open", "triage", "filter", "palette", "help", "back", "quit", "faults", "pipelines", "alarms", "sort", "mark", "copy", "raw", "pause", "refresh"}

func (a *App) drawFoot(c *text.Canvas, l light) {
	switch {
	case a.prompt != nil:
		a.prompt.draw(c, l)
	case a.note.text != "":
		st := l.accent
		if a.note.warning {
			st = l.ticket
		}
		for _, line := range a.noteLines() {
			c.Text(line, st)
			c.End()
		}
	case a.dialog != nil:
		a.drawDialogKeys(c, l)
	default:
		a.drawHints(c, l)
	}
}

func (a *App) drawHints(c *text.Canvas, l light) {
	hints := footHints
	if s, ok := a.top().(hinter); ok {
		hints = append(s.Hints(), hints...)
	}
	shown := map[string]bool{}
	for _, id := range hints {
		if shown[id] {
			continue
		}
		shown[id] = true
		x, ok := a.keys.id(id)
		if !ok || len(x.Keys) == 0 {
			continue
		}
		if can, _ := x.enabled(a); !can {
			continue
		}
		if _, reads := a.reading(); reads && id == "filter" {
			x.Title = "search"
		}
		if c.Left() < text.Width(x.Keys[0])+text.Width(x.Title)+3 {
			break
		}
		c.Text(x.Keys[0], l.title)
		c.Space(1)
		c.Text(x.Title, l.dim)
		c.Space(2)
	}
	c.End()
}
