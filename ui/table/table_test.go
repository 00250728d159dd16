package table

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kxops/ui/text"
)

// people is a source of names and numbers.
type people struct {
	names  []string
	filter string
}

func (p people) Len() int          { return len(p.names) }
func (p people) ID(row int) string { return p.names[row] }
func (p people) Draw(c *text.Canvas, row, col, width int) {
	if col == 0 {
		c.Cell(p.names[row], width, text.Style{})
	} else {
		c.Right(fmt.Sprint(len(p.names[row])), width, text.Style{})
	}
}
func (p people) Compare(a, b, col int) int {
	if col == 1 {
		return len(p.names[a]) - len(p.names[b])
	}
	return strings.Compare(p.names[a], p.names[b])
}
func (p people) Match(row int) bool { return strings.Contains(p.names[row], p.filter) }

var columns = []Column{{ID: "name", Title: "NAME", Width: 10, Grow: true}, {ID: "len", Title: "LEN", Width: 4, Priority: 1, Right: true}}

func loaded(names ...string) *Table {
	t := New(columns, "name")
	t.Load(people{names: names})
	return t
}

func lines(t *Table, width, height int) []string {
	c := text.NewCanvas(width, height)
	t.Draw(c, height, Looks{})
	var out []string
	for l := range strings.SplitSeq(strings.ReplaceAll(c.String(), "\x1b[m", ""), "\n") {
		out = append(out, strings.TrimRight(l, " "))
	}
	return out
}

func TestDraw(t *testing.T) {
	tb := loaded("carol", "al", "bob")
	tb.Move(1)
	tb.Mark()
	want := []string{"  NAME↓       LEN", "  al            2", ">•bob           3", "  carol         5", ""}
	if diff := cmp.Diff(want, lines(tb, 17, 5)); diff != "" {
		t.Error(diff)
	}
}

func TestFitDropsByPriority(t *testing.T) {
	cols := []Column{{Width: 6}, {Width: 20, Min: 10, Grow: true}, {Width: 8, Priority: 2}, {Width: 5, Priority: 1}}
	for width, want := range map[int][]int{
		42: {6, 20, 8, 5}, 60: {6, 38, 8, 5}, 32: {6, 10, 8, 5}, 31: {6, 18, 0, 5}, 22: {6, 15, 0, 0}, 10: {6, 10, 0, 0},
	} {
		if diff := cmp.Diff(want, Fit(cols, width)); diff != "" {
			t.Errorf("width %d: %s", width, diff)
		}
	}
}

func TestRefreshKeepsCursorMarksAndSort(t *testing.T) {
	tb := loaded("al", "bob", "carol", "dora")
	tb.SortBy("len")
	tb.Seek("carol")
	tb.Mark()
	tb.Load(people{names: []string{"zoe", "al", "dora", "carol", "x", "bob", "eve-long-name"}})
	if got := tb.Cursor(); got != "carol" {
		t.Errorf("the cursor went to %q", got)
	}
	if diff := cmp.Diff([]string{"carol"}, tb.Marks()); diff != "" {
		t.Error(diff)
	}
	if id, reverse := tb.Sorted(); id != "len" || reverse {
		t.Errorf("sorted by %s, %v", id, reverse)
	}
	if got := tb.Visible()[0]; got != "x" {
		t.Errorf("the shortest name is %q", got)
	}
}

func TestCursorComesBackWithItsRow(t *testing.T) {
	tb := loaded("al", "bob", "carol")
	tb.Seek("bob")
	tb.Load(people{names: []string{"al", "carol"}})
	if got := tb.Cursor(); got != "carol" {
		t.Errorf("while bob is away the cursor stands on %q", got)
	}
	tb.Load(people{names: []string{"al", "bob", "carol"}})
	if got := tb.Cursor(); got != "bob" {
		t.Errorf("bob is back, the cursor stands on %q", got)
	}
}

func TestCursorLineStaysOnScreen(t *testing.T) {
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("n%03d", i))
	}
	tb := loaded(names...)
	lines(tb, 20, 11)
	tb.Move(35)
	line := slices.Index(tb.Visible(), "n035")
	more := append([]string{"a1", "a2", "a3"}, names...)
	tb.Load(people{names: more})
	lines(tb, 20, 11)
	if got := slices.Index(tb.Visible(), "n035"); got != line {
		t.Errorf("the row jumped from line %d to line %d", line, got)
	}
}

func TestMotion(t *testing.T) {
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("n%02d", i))
	}
	tb := loaded(names...)
	lines(tb, 20, 11) // ten rows
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { tb.Move(-1) }, "n00"}, {func() { tb.Page(1) }, "n09"}, {tb.Last, "n49"}, {func() { tb.Move(1) }, "n49"},
		{func() { tb.Page(-1) }, "n40"}, {tb.First, "n00"},
	} {
		step.do()
		if got := tb.Cursor(); got != step.want {
			t.Errorf("cursor on %s, want %s", got, step.want)
		}
		if !slices.Contains(tb.Visible(), tb.Cursor()) {
			t.Errorf("%s is not on the screen", tb.Cursor())
		}
	}
}

func TestEmpty(t *testing.T) {
	tb := loaded()
	tb.Move(1)
	tb.Page(1)
	tb.Last()
	tb.Mark()
	if tb.Cursor() != "" || tb.Row() != -1 || len(tb.Marks()) != 0 || len(tb.Visible()) != 0 {
		t.Error("an empty table has nothing to point at")
	}
	if at, shown, all := tb.Position(); at != 0 || shown != 0 || all != 0 {
		t.Errorf("position %d of %d (%d)", at, shown, all)
	}
	lines(tb, 5, 1)
}

func TestSort(t *testing.T) {
	tb := loaded("bob", "al", "carol")
	tb.SortBy("name") // it is sorted by name: the other way around
	if got := tb.Visible(); got[0] != "carol" {
		t.Errorf("turned around: %v", got)
	}
	tb.SortNext(1)
	if id, _ := tb.Sorted(); id != "len" {
		t.Errorf("sorted by %s", id)
	}
	tb.SortNext(1)
	if id, _ := tb.Sorted(); id != "name" {
		t.Errorf("sorted by %s", id)
	}
	if tb.SortBy("nope") {
		t.Error("sorted by a column that is not there")
	}
	fixed := NewFixed(columns)
	fixed.Load(people{names: []string{"z", "a"}})
	fixed.SortNext(1)
	if fixed.SortBy("name") || fixed.Visible()[0] != "z" {
		t.Error("a fixed table was sorted")
	}
}

func TestFilterKeepsMarks(t *testing.T) {
	tb := loaded("al", "bob")
	tb.Mark()
	tb.Load(people{names: []string{"al", "bob"}, filter: "b"})
	if got := tb.Visible(); len(got) != 1 || got[0] != "bob" {
		t.Errorf("filtered: %v", got)
	}
	if got := tb.Marks(); len(got) != 1 || got[0] != "al" {
		t.Errorf("marks: %v", got)
	}
	if _, shown, all := tb.Position(); shown != 1 || all != 2 {
		t.Errorf("%d of %d", shown, all)
	}
}
