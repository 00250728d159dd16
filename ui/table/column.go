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
	// Priority says what goes first when the screen is narrow: the largest
	// number is dropped first, 0 never.
	Priority int
	Grow     bool // takes what is left over
	Right    bool // right-aligned title
}

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
	for need(cols, shown) > width {
		worst := -1
		for i, c := range cols {
			if shown[i] && c.Priority > 0 && (worst < 0 || c.Priority > cols[worst].Priority) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		shown[worst] = false
	}
	widths := make([]int, len(cols))
	left := width - need(cols, shown)
	for i, c := range cols {
		if shown[i] {
			widths[i] = c.min()
		}
	}
	for given := true; given && left > 0; { // first what each column wants, fairly …
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

func need(cols []Column, shown []bool) int {
	sum := -1
	for i, c := range cols {
		if shown[i] {
			sum += c.min() + 1
		}
	}
	return max(sum, 0)
}
