// Package table draws long lists by their visible rows only and remembers what a
// person did to them: cursor, marks, sort and filter are kept by row id, so that
// they survive every refresh. It knows nothing of AWS.
//
// Read column.go (which columns fit), table.go (what is remembered), draw.go.
package table

// Column describes one column.
type Column struct {
	ID    string // what `:sort` and `col:value` call it
	Title string
	Width int // the width it wants, in cells
	Min   int // the width below which it is dropped; 0: Width
	// Comfort is the width it should have before luxury columns are shown; 0: the least.
	Comfort int
	// Priority says what goes first when the screen is narrow: the largest
	// number is dropped first, 0 never.
	Priority int
	Grow     bool // takes what is left over
	Right    bool // right-aligned title
}

// Luxury is the priority from which a column is shown only where the others are
// comfortable.
const Luxury = 5

func (c Column) min() int {
	if c.Min > 0 {
		return c.Min
	}
	return c.Width
}

// Fit returns the width of each column in a line of the given width, 0 for the
// columns that were dropped. One cell separates two columns.
func Fit(cols []Column, width int) []int {
	shown := make([]bool, len(cols))
	for i := range cols {
		shown[i] = true
	}
	comfort := func(c Column) int { return max(c.min(), c.Comfort) }
	for need(cols, shown, comfort) > width && drop(cols, shown, Luxury) {
	}
	for need(cols, shown, Column.min) > width && drop(cols, shown, 1) {
	}
	widths := make([]int, len(cols))
	left := width - need(cols, shown, Column.min)
	for i, c := range cols {
		if shown[i] {
			widths[i] = c.min()
		}
	}
	for i, c := range cols { // first comfort …
		if shown[i] && widths[i] < c.Comfort {
			more := min(c.Comfort-widths[i], left)
			widths[i] += more
			left -= more
		}
	}
	for given := true; given && left > 0; { // … then what each column wants, fairly …
		given = false
		for i, c := range cols {
			if shown[i] && left > 0 && widths[i] < c.Width {
				widths[i]++
				left--
				given = true
			}
		}
	}
	growing := 0
	for i, c := range cols {
		if shown[i] && c.Grow {
			growing++
		}
	}
	for i, c := range cols { // … then the rest to those that grow
		if shown[i] && c.Grow && left > 0 {
			more := left / growing
			widths[i] += more
			left -= more
			growing--
		}
	}
	return widths
}

// drop hides the shown column of the largest priority, if that is at least from.
func drop(cols []Column, shown []bool, from int) bool {
	worst := -1
	for i, c := range cols {
		if shown[i] && c.Priority >= from && (worst < 0 || c.Priority > cols[worst].Priority) {
			worst = i
		}
	}
	if worst >= 0 {
		shown[worst] = false
	}
	return worst >= 0
}

func need(cols []Column, shown []bool, width func(Column) int) int {
	sum := -1
	for i, c := range cols {
		if shown[i] {
			sum += width(c) + 1
		}
	}
	return max(sum, 0)
}
