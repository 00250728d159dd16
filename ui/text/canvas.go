package text

import (
	"strings"
	"unicode/utf8"
)

const reset = "\x1b[m"

// Canvas is a screen written line by line, left to right. Everything that is
// written is cleaned, cut to the space it was given and padded, and every line
// ends with a reset: no text can colour, move or lengthen what follows it.
type Canvas struct {
	// ASCII replaces every character beyond ASCII by one that looks alike.
	ASCII bool

	b             strings.Builder
	width, height int
	lines, col    int
	base, now     Style
	ends          []end // of each line
}

// end is where a line ends in the text, and how many cells it takes.
type end struct{ offset, cells int }

// NewCanvas returns a canvas of the given size in cells.
func NewCanvas(width, height int) *Canvas {
	c := &Canvas{width: max(width, 1), height: max(height, 1)}
	c.b.Grow(c.width * c.height * 4)
	return c
}

// Width returns the width of the canvas in cells.
func (c *Canvas) Width() int { return c.width }

// Height returns the height of the canvas in lines.
func (c *Canvas) Height() int { return c.height }

// Line returns the number of the current line, from 0.
func (c *Canvas) Line() int { return c.lines }

// Left returns how many cells are free in the current line.
func (c *Canvas) Left() int { return c.width - c.col }

// Under sets the style that lies under the rest of the line (a selection bar).
func (c *Canvas) Under(s Style) { c.base = s }

// Cell writes s left-aligned in exactly width cells.
func (c *Canvas) Cell(s string, width int, st Style) { c.cell(s, width, st, false) }

// Right writes s right-aligned in exactly width cells.
func (c *Canvas) Right(s string, width int, st Style) { c.cell(s, width, st, true) }

func (c *Canvas) cell(s string, width int, st Style, right bool) {
	width = min(width, c.Left())
	if width <= 0 || c.full() {
		return
	}
	s, cells := c.fit(s, width)
	free := width - cells
	if right {
		c.space(free)
	}
	c.put(s, st)
	if !right {
		c.space(free)
	}
	c.col += width
}

// Text writes s in as many cells as it takes, cut at the end of the line.
func (c *Canvas) Text(s string, st Style) {
	if c.Left() <= 0 || c.full() {
		return
	}
	s, cells := c.fit(s, c.Left())
	c.put(s, st)
	c.col += cells
}

// Space writes n empty cells.
func (c *Canvas) Space(n int) {
	if n = min(n, c.Left()); n > 0 && !c.full() {
		c.space(n)
		c.col += n
	}
}

// Rune writes one character of the console's own (never of others) that is one
// cell wide, such as a block of a sparkline.
func (c *Canvas) Rune(r rune, st Style) {
	if c.Left() <= 0 || c.full() {
		return
	}
	if c.ASCII && r >= utf8.RuneSelf {
		r = lookalike(r)
	}
	c.look(st)
	c.b.WriteRune(r)
	c.col++
}

// End ends the line. Only a line with a style under it is filled to the edge.
func (c *Canvas) End() {
	if c.full() {
		return
	}
	if c.base.on != "" {
		c.space(c.Left())
		c.col = c.width
	}
	c.b.WriteString(reset)
	c.ends = append(c.ends, end{c.b.Len(), c.col})
	c.now, c.base = Style{}, Style{}
	c.col = 0
	if c.lines++; c.lines < c.height {
		c.b.WriteByte('\n')
	}
}

// Until ends lines until the canvas is at the given line.
func (c *Canvas) Until(line int) {
	for c.lines < min(line, c.height) {
		c.End()
	}
}

// Beside writes canvases side by side, line by line, with a rule between two of
// them. Each takes its own width; a line that one of them lacks is empty.
func (c *Canvas) Beside(rule rune, look Style, panes ...*Canvas) {
	lines := 0
	for _, p := range panes {
		lines = max(lines, p.lines)
	}
	for y := range lines {
		for i, p := range panes {
			if i > 0 {
				c.Rune(rule, look)
			}
			c.paste(p, y)
		}
		c.End()
	}
}

// paste writes one line of another canvas, which is clean and ends with a reset.
func (c *Canvas) paste(p *Canvas, y int) {
	if c.full() || c.Left() < p.width {
		return
	}
	c.look(Style{})
	cells := 0
	if y < len(p.ends) {
		from := 0
		if y > 0 {
			from = p.ends[y-1].offset + len("\n")
		}
		c.b.WriteString(p.b.String()[from:p.ends[y].offset])
		cells = p.ends[y].cells
	}
	c.space(p.width - cells)
	c.col += p.width
}

// String returns the screen.
func (c *Canvas) String() string { return c.b.String() }

func (c *Canvas) full() bool { return c.lines >= c.height }

// fit returns s as it may be printed in width cells, and the cells it takes.
func (c *Canvas) fit(s string, width int) (string, int) {
	s = Bound(s, width)
	cells, ok := narrow(s)
	if !ok {
		s = Clean(s)
		cells = Width(s)
	}
	if cells > width {
		s = Cut(s, width)
		cells = Width(s)
	}
	if c.ASCII {
		s = ASCII(s)
	}
	return s, cells
}

func (c *Canvas) put(s string, st Style) {
	if s != "" {
		c.look(st)
		c.b.WriteString(s)
	}
}

const spaces = "                                                                "

func (c *Canvas) space(n int) {
	if n <= 0 {
		return
	}
	c.look(Style{})
	for ; n > len(spaces); n -= len(spaces) {
		c.b.WriteString(spaces)
	}
	c.b.WriteString(spaces[:n])
}

// look switches to st over the line's base, writing bytes only on a change.
func (c *Canvas) look(st Style) {
	want := st
	if c.base.on != "" {
		want = st.Over(c.base)
	}
	if want == c.now {
		return
	}
	if c.now.on != "" {
		c.b.WriteString(reset)
	}
	c.b.WriteString(want.on)
	c.now = want
}
