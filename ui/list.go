package ui

import (
	"strings"

	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// list is the shape of a screen that shows one row per thing: a table, a filter
// line, and what to say when there is nothing to show.
type list struct {
	table  *table.Table
	filter string
	parsed filter
	cols   []string
}

func newList(t *table.Table) list {
	l := list{table: t}
	for _, c := range t.Columns() {
		l.cols = append(l.cols, c.ID)
	}
	return l
}

func (l *list) Table() *table.Table { return l.table }
func (l *list) Filter() string      { return l.filter }

// Move moves the cursor.
func (l *list) Move(m motion) {
	switch m {
	case lineUp, prevLink:
		l.table.Move(-1)
	case lineDown, nextLink:
		l.table.Move(1)
	case pageUp:
		l.table.Page(-1)
	case pageDown:
		l.table.Page(1)
	case toTop:
		l.table.First()
	case toEnd:
		l.table.Last()
	}
}

func (l *list) parse(s string) {
	l.filter, l.parsed = s, parseFilter(s, l.cols)
}

// maxCell bounds how far into a cell a filter looks.
const maxCell = 1024

// passes reports whether a row of cells passes the filter.
func (l *list) passes(words func(col int) string) bool {
	if l.parsed.empty() {
		return true
	}
	cell := func(col int) string {
		s := words(col)
		return s[:min(len(s), maxCell)]
	}
	return l.parsed.match(
		func(id string) string {
			for i, c := range l.cols {
				if c == id {
					return cell(i)
				}
			}
			return ""
		},
		func() string {
			var b strings.Builder
			for i := range l.cols {
				b.WriteString(cell(i))
				b.WriteByte(' ')
			}
			return b.String()
		})
}

// draw writes the table, or the sentence that says why it is empty.
func (l *list) draw(c *text.Canvas, height int, li light, empty string) {
	if _, shown, all := l.table.Position(); shown == 0 {
		if all > 0 {
			empty = "nothing matches the filter " + l.filter + "; esc removes it"
			if x := l.parsed.unknownColumn(l.cols); x != "" {
				empty = "there is no column " + x + "; columns: " + strings.Join(l.cols, ", ")
			}
		}
		drawEmpty(c, height, li, empty)
		return
	}
	l.table.Draw(c, height, li.theme.table)
}

func drawEmpty(c *text.Canvas, height int, li light, sentence string) {
	end := c.Line() + height
	c.Until(c.Line() + height/3)
	for _, line := range text.Fold(text.Clean(sentence), max(c.Width()-8, 20)) {
		c.Space(max((c.Width()-text.Width(line))/2, 0))
		c.Text(line, li.dim)
		c.End()
	}
	c.Until(end)
}

func arns(ids []string) []ops.ARN {
	out := make([]ops.ARN, 0, len(ids))
	for _, id := range ids {
		out = append(out, ops.ARN(id))
	}
	return out
}
