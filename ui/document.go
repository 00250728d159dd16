package ui

import (
	"strings"

	"kxops/ops"
	"kxops/ui/text"
)

// span is a piece of text in one look.
type span struct {
	s  string
	st text.Style
}

// docLine is one line of a document. A line with a target can be chosen and opened.
type docLine struct {
	spans  []span
	target ops.ARN
}

// document is the shape of a screen that is read from top to bottom.
type document struct {
	lines  []docLine
	top    int
	page   int
	chosen int // line of the chosen target, -1 for none
}

func newDocument() document { return document{page: 20, chosen: -1} }

// set replaces the text and keeps the place and the chosen target.
func (d *document) set(lines []docLine) {
	target := d.target()
	d.lines, d.chosen = lines, -1
	for i, l := range lines {
		if target != "" && l.target == target {
			d.chosen = i
			break
		}
	}
	d.clamp()
}

func (d *document) target() ops.ARN {
	if d.chosen >= 0 && d.chosen < len(d.lines) {
		return d.lines[d.chosen].target
	}
	return ""
}

func (d *document) clamp() { d.top = max(min(d.top, len(d.lines)-d.page), 0) }

// Move scrolls, or chooses the next line that can be opened.
func (d *document) Move(m motion) {
	switch m {
	case lineUp:
		d.top--
	case lineDown:
		d.top++
	case pageUp:
		d.top -= max(d.page-1, 1)
	case pageDown:
		d.top += max(d.page-1, 1)
	case toTop:
		d.top = 0
	case toEnd:
		d.top = len(d.lines)
	case nextLink:
		d.choose(1)
	case prevLink:
		d.choose(-1)
	}
	d.clamp()
}

func (d *document) choose(step int) {
	n := len(d.lines)
	at := d.chosen
	if at < 0 && step < 0 {
		at = 0
	}
	for range n {
		at = ((at+step)%n + n) % n
		if d.lines[at].target != "" {
			d.chosen = at
			if at < d.top || at >= d.top+d.page {
				d.top = max(at-d.page/2, 0)
			}
			return
		}
	}
}

func (d *document) draw(c *text.Canvas, height int, l light) {
	d.page = max(height, 1)
	d.clamp()
	end := c.Line() + height
	for i := d.top; i < len(d.lines) && c.Line() < end; i++ {
		line := d.lines[i]
		switch {
		case i == d.chosen:
			c.Under(l.table.Cursor)
			c.Rune('>', l.table.Sign)
		case line.target != "":
			c.Rune('→', l.dim)
		default:
			c.Space(1)
		}
		c.Space(1)
		for _, s := range line.spans {
			c.Text(s.s, s.st)
		}
		c.End()
	}
	c.Until(end)
}

// writer builds the lines of a document.
type writer struct {
	l     light
	width int // cells a line may take
	lines []docLine
}

const labelWidth = 16

func (w *writer) line(spans ...span) { w.lines = append(w.lines, docLine{spans: spans}) }

func (w *writer) blank() { w.line() }

// head begins a section.
func (w *writer) head(title string) {
	if len(w.lines) > 0 {
		w.blank()
	}
	w.line(span{title, w.l.title})
}

// field writes a label and its value, folded under itself.
func (w *writer) field(label, value string, st text.Style) {
	for i, part := range text.Fold(text.Clean(text.Bound(value, 4096)), max(w.width-labelWidth, 16)) {
		if i > 0 {
			label = ""
		}
		w.line(span{pad(label, labelWidth), w.l.dim}, span{part, st})
	}
}

// link writes a label and a resource that can be opened.
func (w *writer) link(label string, to ops.ARN, note string) {
	if to == "" {
		return
	}
	w.lines = append(w.lines, docLine{
		spans: []span{
			{pad(label, labelWidth), w.l.dim},
			{pad(shortKind(to.Kind(), false), 4), w.l.dim}, {to.Name(), w.l.accent},
			{note, w.l.dim},
		},
		target: to,
	})
}

// para writes folded text.
func (w *writer) para(s string, st text.Style) {
	for _, part := range text.Fold(text.Clean(text.Bound(s, 4096)), max(w.width, 16)) {
		w.line(span{part, st})
	}
}

// verbatim writes text line by line, as it is.
func (w *writer) verbatim(s string, st text.Style) {
	for part := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		w.line(span{strings.ReplaceAll(part, "\t", "  "), st})
	}
}

func pad(s string, width int) string {
	if n := width - text.Width(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s + " "
}
