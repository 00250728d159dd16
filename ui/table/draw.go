package table

import "kxops/ui/text"

// Looks are the styles of a table.
type Looks struct {
	Head, SortHead text.Style
	Cursor         text.Style // lies under the row of the cursor
	Sign           text.Style // the cursor and mark signs
}

// gutter holds the cursor sign and the mark sign.
const gutter = 2

// Draw writes the head and the visible rows into the next height lines.
func (t *Table) Draw(c *text.Canvas, height int, looks Looks) {
	end := c.Line() + height
	widths := Fit(t.cols, c.Width()-gutter)
	t.page = max(height-1, 1)
	t.clamp()
	t.head(c, widths, looks)
	for i := t.top; i < len(t.order) && c.Line() < end; i++ {
		t.row(c, i, widths, looks)
	}
	c.Until(end)
}

func (t *Table) head(c *text.Canvas, widths []int, looks Looks) {
	c.Space(gutter)
	first := true
	for i, col := range t.cols {
		if widths[i] == 0 {
			continue
		}
		if !first {
			c.Space(1)
		}
		first = false
		title, look := col.Title, looks.Head
		if i == t.sortCol && !t.fixed {
			look = looks.SortHead
			// The arrow matters more than the last letter of a title that fills its column.
			if r := []rune(title); len(r) >= widths[i] {
				title = string(r[:max(0, widths[i]-1)])
			}
			title += map[bool]string{false: "↓", true: "↑"}[t.reverse]
		}
		if col.Right {
			c.Right(title, widths[i], look)
		} else {
			c.Cell(title, widths[i], look)
		}
	}
	c.End()
}

func (t *Table) row(c *text.Canvas, position int, widths []int, looks Looks) {
	row := int(t.order[position])
	if position == t.cursor {
		c.Under(looks.Cursor)
		c.Rune('>', looks.Sign)
	} else {
		c.Space(1)
	}
	if len(t.marks) > 0 && t.marks[t.src.ID(row)] {
		c.Rune('•', looks.Sign)
	} else {
		c.Space(1)
	}
	first := true
	for i, w := range widths {
		if w == 0 {
			continue
		}
		if !first {
			c.Space(1)
		}
		first = false
		before := c.Left()
		t.src.Draw(c, row, i, w)
		c.Space(w - (before - c.Left())) // a short cell must not shift its neighbours
	}
	c.End()
}
