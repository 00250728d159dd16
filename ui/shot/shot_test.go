package main

import (
	"image/color"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ui/shot/terminal"
)

func TestParseKeys(t *testing.T) {
	got, err := parseKeys("j<enter>{two words}~<ctrl-l>é")
	if err != nil {
		t.Fatal(err)
	}
	want := []step{{typed: "j"}, {typed: "\r"}, {words: "two words"}, {pause: 200 * time.Millisecond}, {typed: "\x0c"}, {typed: "é"}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(step{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for _, bad := range []string{"<entr>", "<enter", "{}", "{words"} {
		if steps, err := parseKeys(bad); err == nil {
			t.Errorf("%q was read as %v", bad, steps)
		}
	}
}

func row(s string) [][]terminal.Cell {
	var cells []terminal.Cell
	for _, r := range s {
		cells = append(cells, terminal.Cell{Content: string(r), Width: 1})
	}
	return [][]terminal.Cell{cells}
}

// Every sign of the console's own can be drawn, and leaves ink.
func TestPaintSigns(t *testing.T) {
	const signs = "aZ9─│├└┐━▁▂▃▄▅▆▇█░▒▓▏▎▍▌▋▊▉⣀⣿↑→↓…·•×≥−÷*"
	drawn, err := paint(row(signs))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []rune(signs) {
		inked := 0
		for y := 0; y < cellH; y++ {
			for x := 0; x < cellW; x++ {
				if drawn.At(padding+i*cellW+x, padding+y) != color.Color(paper) {
					inked++
				}
			}
		}
		if inked == 0 {
			t.Errorf("%q left no ink", r)
		}
	}
}

// What no font has is an error, with its place.
func TestPaintMissing(t *testing.T) {
	for _, s := range []string{"a\u2713", "\U0001F600", "\u6f22"} {
		if _, err := paint(row(s)); err == nil || !strings.Contains(err.Error(), "row 1, column") {
			t.Errorf("%q: %v", s, err)
		}
	}
}
