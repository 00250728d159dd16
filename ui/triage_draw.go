package ui

import (
	"fmt"
	"strings"

	"kxops/ops"
	"kxops/ui/text"
)

// The widths from which the triage screen shows two panes and three.
const (
	twoPanes   = 76
	threePanes = 116
)

func (s *triage) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	end := c.Line() + height
	s.drawStatus(c, l)
	switch {
	case s.looking != nil && s.pile == nil:
		s.drawLooking(c, end-c.Line(), l)
	case s.pile == nil:
		drawEmpty(c, end-c.Line(), l, s.emptyWords(l))
	case len(s.all) == 0:
		drawEmpty(c, end-c.Line(), l, "the look found no message: the queue is empty, or others hold what is in it")
	default:
		strip := 2
		s.drawPanes(c, max(end-c.Line()-strip, 2), l)
		s.drawStrip(c, strip, l)
	}
	c.Until(end)
}

func (s *triage) emptyWords(l light) string {
	switch {
	case s.problem != nil:
		return "the look failed: " + problemText(s.problem)
	case s.pic != nil && s.queue == nil:
		return "the queue was not read yet"
	case s.desk == nil:
		return "opening the account…"
	}
	return "nothing was looked at yet; " + l.keyOf("look") + " looks"
}

// keyOf names the key of an action.
func (l light) keyOf(id string) string {
	if x, ok := l.keys.id(id); ok && len(x.Keys) > 0 {
		return x.Keys[0]
	}
	return ":" + id
}

// drawStatus says what is held and for how long, what was read, what is lost
// first, and which panes there are.
func (s *triage) drawStatus(c *text.Canvas, l light) {
	var left []segment
	switch n, back := s.held(); {
	case s.looking != nil:
		p := s.looking.get()
		left = append(left, segment{fmt.Sprintf("looking: %s of %s, held %s", count(float64(p.Read)), count(float64(max(p.Want, s.looking.want))), count(float64(p.Held))), l.accent, 0})
	case s.pile == nil:
		left = append(left, segment{"not looked at", l.dim, 0})
	case n > 0:
		left = append(left, segment{fmt.Sprintf("held %s, back in %s", count(float64(n)), clock(back.Sub(l.now).Seconds())), l.ticket, 0})
	default:
		left = append(left, segment{"nothing held", l.good, 0})
	}
	if r := s.running(); r != nil {
		left = append([]segment{{" " + runWords(r) + " ", l.inverse, 0}}, left...)
	}
	if s.pile != nil {
		words := fmt.Sprintf("looked %s ago", age(s.pile.At(), l.now))
		if s.memory {
			words = "from memory, " + words
		}
		left = append(left, segment{words, l.dim, 3})
		if depth, ok := s.depth(); ok && int(depth) > len(s.all) {
			left = append(left, segment{fmt.Sprintf("%s of ~%s read", count(float64(len(s.all))), count(depth)), l.dim, 2})
		} else if s.pile.Missed() != "" {
			left = append(left, segment{count(float64(len(s.all))) + " read, not all seen", l.dim, 2})
		}
		if !s.loss.IsZero() {
			left = append(left, segment{"first loss in " + until(s.loss, l.now), lossStyle(l, s.loss), 1})
		}
	}
	var right []segment
	if s.pile != nil && c.Width() < threePanes {
		names := []string{"groups", "letters", "message"}
		names[s.focus] = strings.ToUpper(names[s.focus])
		right = append(right, segment{strings.Join(names, " "), l.accent, 4})
	}
	drawSegments(c, left, right)
}

// runWords are an operation in a few words.
func runWords(r *run) string {
	p := r.progress
	return fmt.Sprintf("%s %s %s, %s of %s sent", p.Verb, p.State, percent(r.share()), count(float64(p.Sent)), count(float64(p.Total)))
}

func (s *triage) depth() (float64, bool) {
	if s.queue == nil {
		return 0, false
	}
	return s.queue.Depth().Value()
}

// clock prints seconds as m:ss.
func clock(seconds float64) string {
	n := max(int(seconds+0.5), 0)
	return fmt.Sprintf("%d:%02d", n/60, n%60)
}

// drawLooking shows the progress of a first look.
func (s *triage) drawLooking(c *text.Canvas, height int, l light) {
	p := s.looking.get()
	c.Until(c.Line() + height/3)
	want := max(p.Want, s.looking.want)
	width := min(c.Width()-8, 60)
	c.Space(4)
	drawBar(c, float64(p.Read)/float64(max(want, 1)), width, l.cool, l.dim)
	c.End()
	c.Space(4)
	c.Text(fmt.Sprintf("%s of at most %s read, %s held, %s calls", count(float64(p.Read)), count(float64(want)), count(float64(p.Held)), count(float64(p.Calls))), text.Style{})
	c.End()
	if p.Note != "" {
		c.Space(4)
		c.Text(p.Note, l.dim)
		c.End()
	}
	c.Space(4)
	c.Text("esc leaves and gives back what is held", l.dim)
	c.End()
}

// drawBar draws a share as a bar.
func drawBar(c *text.Canvas, share float64, width int, full, empty text.Style) {
	n := int(min(max(share, 0), 1)*float64(width) + 0.5)
	for i := range width {
		if i < n {
			c.Rune('█', full)
		} else {
			c.Rune('░', empty)
		}
	}
}

// drawPanes draws as many panes as there is room for, the focused one always.
func (s *triage) drawPanes(c *text.Canvas, height int, l light) {
	width := c.Width()
	switch {
	case width >= threePanes:
		a, b := min(width*36/100, 70), min(max(width*30/100, 36), 60)
		switch s.focus { // what is walked through is wide, what is read wider
		case paneLetters:
			a, b = min(max(width*24/100, 28), 50), min(max(width*42/100, 48), 80)
		case paneMessage:
			a, b = min(max(width*20/100, 24), 40), min(max(width*28/100, 32), 50)
		}
		s.beside(c, height, l, []pane{paneGroups, paneLetters, paneMessage}, a, b, width-a-b-2)
	case width >= twoPanes && s.focus == paneGroups:
		a := (width - 1) * 52 / 100
		s.beside(c, height, l, []pane{paneGroups, paneLetters}, a, width-a-1)
	case width >= twoPanes:
		share := 50
		if s.focus == paneMessage {
			share = 36
		}
		a := (width - 1) * share / 100
		s.beside(c, height, l, []pane{paneLetters, paneMessage}, a, width-a-1)
	default:
		s.beside(c, height, l, []pane{s.focus}, width)
	}
}

func (s *triage) beside(c *text.Canvas, height int, l light, panes []pane, widths ...int) {
	canvases := make([]*text.Canvas, len(panes))
	for i, p := range panes {
		canvases[i] = text.NewCanvas(widths[i], height)
		canvases[i].ASCII = c.ASCII
		s.drawPane(canvases[i], p, l)
	}
	c.Beside('│', l.dim, canvases...)
}

func (s *triage) drawPane(c *text.Canvas, p pane, l light) {
	look := l.dim
	if p == s.focus {
		look = l.title
	}
	switch p {
	case paneGroups:
		title := plural(len(s.causes), "group")
		if n := s.groups.Marked(); n > 0 {
			title += fmt.Sprintf(", %d marked", n)
		}
		s.paneTitle(c, title, p, look)
		s.groups.Draw(c, c.Height()-1, s.looksOf(p, l).table)
	case paneLetters:
		title := plural(len(s.rowsOf[s.group]), "letter")
		if n := s.shown.Marked(); n > 0 {
			title += fmt.Sprintf(", %d marked", n)
		}
		s.paneTitle(c, title, p, look)
		if len(s.rowsOf[s.group]) == 0 {
			drawEmpty(c, c.Height()-1, l, "none passes the filter; esc removes it")
			return
		}
		s.shown.Draw(c, c.Height()-1, s.looksOf(p, l).table)
	case paneMessage:
		s.reader.draw(c, c.Height(), l, p == s.focus)
	}
}

func (s *triage) paneTitle(c *text.Canvas, title string, p pane, look text.Style) {
	if p == s.focus {
		c.Rune('>', look)
	} else {
		c.Space(1)
	}
	c.Space(1)
	c.Text(title, look)
	c.End()
}

// looksOf dims the cursor of a pane that has not the focus.
func (s *triage) looksOf(p pane, l light) *theme {
	if p == s.focus {
		return l.theme
	}
	t := *l.theme
	t.table.Sign = l.dim
	return &t
}

// drawStrip tells in full what is under the cursor: a pane is narrow, a cause is long.
func (s *triage) drawStrip(c *text.Canvas, lines int, l light) {
	end := c.Line() + lines
	if s.wrong != "" {
		for _, part := range text.Fold(text.Clean(text.Bound("filter: "+s.wrong, 2*c.Width())), c.Width()) {
			c.Text(part, l.ticket)
			c.End()
		}
		c.Until(end)
		return
	}
	first, second := s.stripWords(l)
	c.Text(first, l.strong)
	c.End()
	c.Text(second, l.dim)
	c.End()
	c.Until(end)
}

func (s *triage) stripWords(l light) (first, second string) {
	if s.focus != paneGroups {
		if x, ok := s.letter(); ok {
			return strings.Join(nonEmpty(x.ID, s.groupTitle(&x)), "  "), letterWords(x, l)
		}
		return "", ""
	}
	row := s.groups.Row()
	if row <= 0 || row > len(s.causes) {
		return fmt.Sprintf("all letters: %s in %s", count(float64(len(s.rowsOf[allGroups]))), plural(len(s.causes), "group")), s.depthWords()
	}
	g := s.causes[row-1]
	return g.Cause.Title, groupWords(&g, l)
}

func (s *triage) depthWords() string {
	if depth, ok := s.depth(); ok && int(depth) > len(s.all) {
		return fmt.Sprintf("the queue says it holds about %s: what was not read is not in the groups", count(depth))
	}
	return ""
}

// groupWords are the facts of a group on one line, most wanted first.
func groupWords(g *ops.CauseGroup, l light) string {
	words := []string{g.Cause.Key}
	if !g.Cause.Stated {
		words = append(words, "by origin and shape, no reason stated")
	}
	if g.Distinct > 0 && g.Distinct < g.Count {
		words = append(words, count(float64(g.Distinct))+" distinct")
	}
	if !g.FirstSent.IsZero() {
		words = append(words, "sent "+age(g.FirstSent, l.now)+" to "+age(g.LastSent, l.now)+" ago")
	}
	if g.Harmless > 0 {
		words = append(words, count(float64(g.Harmless))+" harmless")
	}
	if g.Pointers > 0 {
		words = append(words, count(float64(g.Pointers))+" only point to their data")
	}
	if g.Cause.Frame != "" {
		words = append(words, "at "+g.Cause.Frame)
	}
	var from []string
	for _, s := range g.Sources {
		from = append(from, s.Name())
	}
	if len(from) > 0 {
		words = append(words, "from "+strings.Join(from, ", "))
	}
	return strings.Join(words, " · ")
}

func letterWords(x ops.Letter, l light) string {
	words := []string{"sent " + age(x.Sent, l.now) + " ago", "received " + times(x.Receives)}
	if x.Source != "" {
		words = append(words, "from "+x.Source.Name())
	}
	if x.Group != "" {
		words = append(words, "group "+x.Group)
	}
	if x.Harmless != "" {
		words = append(words, "harmless: "+x.Harmless)
	}
	if x.Lossy {
		words = append(words, "its producer cut the payload: not to be sent on")
	}
	return strings.Join(words, " · ")
}
