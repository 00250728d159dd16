package table

import (
	"slices"
	"sort"

	"kxops/ui/text"
)

// Source is the data behind a table: values only, never changed while shown.
type Source interface {
	Len() int
	// ID identifies a row over all refreshes.
	ID(row int) string
	// Draw writes one cell, exactly width wide.
	Draw(c *text.Canvas, row, col, width int)
	// Compare orders two rows by a column, best first.
	Compare(a, b, col int) int
	// Match reports whether the row passes the filter.
	Match(row int) bool
}

// Table is the memory of one list.
type Table struct {
	cols    []Column
	src     Source
	order   []int32 // rows that pass the filter, in the order shown
	sortCol int
	reverse bool
	cursor  int    // position in order
	want    string // id the cursor belongs to; kept while the row is away
	top     int    // first visible position
	page    int    // visible rows at the last draw
	marks   map[string]bool
	fixed   bool // rows keep the order of the source (a tree)
}

// New returns a table that sorts by the given column until told otherwise.
func New(cols []Column, sortBy string) *Table {
	t := &Table{cols: cols, marks: map[string]bool{}, page: 20}
	t.sortCol = max(t.column(sortBy), 0)
	return t
}

// NewFixed returns a table whose rows keep the order of their source.
func NewFixed(cols []Column) *Table {
	t := New(cols, "")
	t.fixed = true
	return t
}

// Fixed reports whether the rows keep the order of their source.
func (t *Table) Fixed() bool { return t.fixed }

// Columns returns the columns in their order.
func (t *Table) Columns() []Column { return t.cols }

func (t *Table) column(id string) int {
	return slices.IndexFunc(t.cols, func(c Column) bool { return c.ID == id })
}

// Load replaces the data. The cursor stays on its row, and that row on its line.
func (t *Table) Load(src Source) {
	line := t.cursor - t.top
	t.src = src
	t.order = t.order[:0]
	for row := range src.Len() {
		if src.Match(row) {
			t.order = append(t.order, int32(row))
		}
	}
	less := func(i, j int) bool { return t.less(int(t.order[i]), int(t.order[j])) }
	if !t.fixed && !sort.SliceIsSorted(t.order, less) { // 100,000 rows mostly come in order already
		sort.SliceStable(t.order, less)
	}
	t.follow(line)
}

// Reload filters and sorts the present data again.
func (t *Table) Reload() {
	if t.src != nil {
		t.Load(t.src)
	}
}

func (t *Table) less(a, b int) bool {
	c := t.src.Compare(a, b, t.sortCol)
	if t.reverse {
		c = -c
	}
	return c < 0
}

func (t *Table) follow(line int) {
	found := -1
	if t.want != "" {
		found = slices.IndexFunc(t.order, func(row int32) bool { return t.src.ID(int(row)) == t.want })
	}
	if found >= 0 {
		t.cursor = found
		t.top = t.cursor - line
	}
	t.clamp()
}

func (t *Table) clamp() {
	t.cursor = max(min(t.cursor, len(t.order)-1), 0)
	t.top = max(min(t.top, t.cursor), t.cursor-t.page+1, 0)
	t.top = max(min(t.top, len(t.order)-t.page), 0)
}

// Move moves the cursor by n rows.
func (t *Table) Move(n int) { t.goTo(t.cursor + n) }

// Page moves the cursor by n screens.
func (t *Table) Page(n int) { t.goTo(t.cursor + n*max(t.page-1, 1)) }

// First and Last move to the ends of the list.
func (t *Table) First() { t.goTo(0) }

// Last moves to the last row.
func (t *Table) Last() { t.goTo(len(t.order) - 1) }

func (t *Table) goTo(position int) {
	t.cursor = position
	t.clamp()
	t.want = t.at(t.cursor)
}

// Seek moves the cursor to the row with the id, now or as soon as it appears.
func (t *Table) Seek(id string) {
	t.want = id
	if t.src != nil {
		t.follow(t.cursor - t.top)
	}
}

func (t *Table) at(position int) string {
	if position < 0 || position >= len(t.order) {
		return ""
	}
	return t.src.ID(int(t.order[position]))
}

// Cursor returns the id of the row under the cursor, "" when there is none.
func (t *Table) Cursor() string { return t.at(t.cursor) }

// Row returns the source's row under the cursor, -1 when there is none.
func (t *Table) Row() int {
	if t.cursor >= len(t.order) {
		return -1
	}
	return int(t.order[t.cursor])
}

// Position returns the cursor's place, from 1, and how many rows are shown of
// how many there are.
func (t *Table) Position() (at, shown, all int) {
	if t.src != nil {
		all = t.src.Len()
	}
	return min(t.cursor+1, len(t.order)), len(t.order), all
}

// Visible returns the ids of the rows on screen.
func (t *Table) Visible() []string {
	var ids []string
	for i := t.top; i < min(t.top+t.page, len(t.order)); i++ {
		ids = append(ids, t.at(i))
	}
	return ids
}

// Mark marks or unmarks the row under the cursor.
func (t *Table) Mark() {
	id := t.Cursor()
	switch {
	case id == "":
	case t.marks[id]:
		delete(t.marks, id)
	default:
		t.marks[id] = true
	}
}

// Marks returns the marked ids in a fixed order.
func (t *Table) Marks() []string {
	ids := make([]string, 0, len(t.marks))
	for id := range t.marks {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Marked is how many rows are marked.
func (t *Table) Marked() int { return len(t.marks) }

// MarkShown marks every row that passes the filter; when all of them are marked, it
// removes their marks. It returns how many rows that were.
func (t *Table) MarkShown() int {
	all := true
	for _, row := range t.order {
		all = all && t.marks[t.src.ID(int(row))]
	}
	for _, row := range t.order {
		if id := t.src.ID(int(row)); all {
			delete(t.marks, id)
		} else {
			t.marks[id] = true
		}
	}
	return len(t.order)
}

// Unmark removes all marks.
func (t *Table) Unmark() { clear(t.marks) }

// SortBy sorts by a column; the same column again turns the order around. It
// reports whether there is such a column.
func (t *Table) SortBy(id string) bool {
	col := t.column(id)
	if col < 0 || t.fixed {
		return false
	}
	t.reverse = col == t.sortCol && !t.reverse
	t.sortCol = col
	t.Reload()
	return true
}

// SortNext sorts by the column n places to the right.
func (t *Table) SortNext(n int) {
	if t.fixed {
		return
	}
	t.sortCol = ((t.sortCol+n)%len(t.cols) + len(t.cols)) % len(t.cols)
	t.reverse = false
	t.Reload()
}

// Sorted returns the id of the sort column and whether it is turned around.
func (t *Table) Sorted() (id string, reverse bool) { return t.cols[t.sortCol].ID, t.reverse }
