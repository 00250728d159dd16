package text

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// hostile is text that tries to do something to the terminal or to the reader.
var hostile = map[string]string{
	"colour":        "\x1b[31mred\x1b[0m",
	"clear screen":  "a\x1b[2J\x1b[Hb",
	"clipboard":     "x\x1b]52;c;ZXZpbA==\x07y",
	"title":         "x\x1b]0;owned\x07y",
	"dcs":           "x\x1bPq#0;2;0;0;0\x1b\\y",
	"c1 csi":        "x\u009b31my",
	"c1 osc":        "x\u009d0;t\u009cy",
	"raw c1 byte":   "x\x9b31my",
	"leave screen":  "\x1b[?1049l",
	"unterminated":  "x\x1b]52;c;",
	"lone escape":   "\x1b",
	"bidi":          "user\u202egnp.exe",
	"isolate":       "a\u2066b\u2069c",
	"zero width":    "pay\u200bments",
	"bom":           "\ufefforders",
	"line breaks":   "a\r\nb\nc\u2028d",
	"tab":           "a\tb",
	"nul and bell":  "a\x00b\x07c",
	"backspace":     "good\b\b\b\bevil",
	"invalid utf-8": "a\xff\xfe",
	"zalgo":         "a" + strings.Repeat("\u0301", 500),
	"emoji":         "\U0001F468\u200d\U0001F469\u200d\U0001F467 \u2764\ufe0f",
	"wide":          "注文キュー",
}

func TestCleanLetsNothingThrough(t *testing.T) {
	for name, s := range hostile {
		t.Run(name, func(t *testing.T) { harmless(t, s) })
	}
}

func harmless(t *testing.T, s string) {
	t.Helper()
	got := Clean(s)
	if !utf8.ValidString(got) {
		t.Errorf("Clean(%q) = %q is not UTF-8", s, got)
	}
	for _, r := range got {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == 0x2028 || r == 0x2029 {
			t.Errorf("Clean(%q) = %q holds %U", s, got, r)
		}
	}
	if again := Clean(got); again != got {
		t.Errorf("Clean is not stable: %q becomes %q", got, again)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		harmless(t, s)
		width = width%200 + 1
		if width < 1 {
			width += 200
		}
		if got := Width(Cut(Clean(s), width)); got > width {
			t.Errorf("Cut(%q, %d) takes %d cells", s, width, got)
		}
		for _, line := range Fold(Clean(Bound(s, 200)), max(width, 2)) {
			if Width(line) > max(width, 2) {
				t.Errorf("Fold(%q, %d) has a line of %d cells", s, width, Width(line))
			}
		}
	})
}

func TestCleanKeepsGoodText(t *testing.T) {
	for _, s := range []string{"orders-dlq", "façade", "注文", "Größe ≥ 3 → 4", ""} {
		if got := Clean(s); got != s {
			t.Errorf("Clean(%q) = %q", s, got)
		}
	}
}

func TestTenMegabytesCostNoMoreThanALine(t *testing.T) {
	for _, huge := range []string{strings.Repeat("x", 10<<20), strings.Repeat("\x1b[31m", 2<<20), "\x1b]52;c;" + strings.Repeat("A", 10<<20)} {
		start := time.Now()
		c := NewCanvas(80, 24)
		for range 24 {
			c.Cell(huge, 80, Style{})
			c.End()
		}
		if took := time.Since(start); took > time.Second { // reading them whole takes many times that
			t.Errorf("24 cells of 10 MB took %v", took)
		}
		if got := strings.ReplaceAll(c.String(), reset, ""); strings.Contains(got, "\x1b") {
			t.Error("an escape passed")
		}
	}
}

// Every line of a canvas is as wide as what was asked for, whatever is written,
// ends with a reset, and holds no escape but our own.
func TestCanvasLines(t *testing.T) {
	red := Prefixed("\x1b[31m")
	for name, s := range hostile {
		t.Run(name, func(t *testing.T) {
			c := NewCanvas(30, 3)
			c.Cell(s, 10, red)
			c.Right(s, 10, Style{})
			c.Rune('█', red)
			c.End()
			c.Under(Prefixed("\x1b[44m"))
			c.Text(s, red)
			c.End()
			lines := strings.Split(c.String(), "\n")
			for i, line := range lines[:2] {
				if !strings.HasSuffix(line, reset) {
					t.Errorf("line %d does not end with a reset: %q", i, line)
				}
				bare := strings.NewReplacer(reset, "", "\x1b[31m", "", "\x1b[44m", "").Replace(line)
				if strings.ContainsAny(bare, "\x1b\u009b\u009d\x07") {
					t.Errorf("line %d holds an escape that is not ours: %q", i, bare)
				}
				if want := []int{21, 30}[i]; Width(bare) != want {
					t.Errorf("line %d is %d cells wide, want %d: %q", i, Width(bare), want, bare)
				}
			}
		})
	}
}

func TestCanvasNeverGrows(t *testing.T) {
	c := NewCanvas(10, 2)
	for range 5 {
		c.Text("0123456789abcdef", Style{})
		c.Space(50)
		c.Rune('x', Style{})
		c.End()
	}
	lines := strings.Split(strings.ReplaceAll(c.String(), reset, ""), "\n")
	if len(lines) != 2 || Width(lines[0]) != 10 {
		t.Errorf("a 10x2 canvas became %q", lines)
	}
}

func TestASCIIKeepsWidth(t *testing.T) {
	for _, s := range []string{"▁▂█ 40%", "├ kds → fn", "注文キュー", "née…"} {
		got := ASCII(s)
		if Width(got) != Width(s) || !plain(got) {
			t.Errorf("ASCII(%q) = %q", s, got)
		}
	}
}

func TestStyleOver(t *testing.T) {
	a, b := Prefixed("a"), Prefixed("b")
	if got := a.Over(b); got.on != "ba" {
		t.Errorf("a over b = %q", got.on)
	}
	if a.Over(Style{}) != a || (Style{}).Over(b) != b {
		t.Error("nothing over b is b, a over nothing is a")
	}
}

func BenchmarkClean(b *testing.B) {
	s := strings.Repeat("plain words ", 20)
	b.ReportAllocs()
	for b.Loop() {
		Clean(s)
	}
}

func TestCanvasesStandSideBySide(t *testing.T) {
	left, right := NewCanvas(6, 3), NewCanvas(4, 2)
	for _, s := range []string{"one", "a long line", "注文キュー"} {
		left.Text(s, Prefixed("\x1b[31m"))
		left.End()
	}
	right.Under(Prefixed("\x1b[44m"))
	right.Text("x", Style{})
	right.End()
	c := NewCanvas(11, 4)
	c.Beside('│', Style{}, left, right)
	bare := strings.NewReplacer(reset, "", "\x1b[31m", "", "\x1b[44m", "").Replace(c.String())
	want := "one   │x   \na lon…│    \n注文… │    \n"
	if bare != want {
		t.Errorf("got\n%q, want\n%q", bare, want)
	}
	if !strings.Contains(c.String(), "\x1b[31mone"+reset+"   │\x1b[44mx") {
		t.Errorf("the looks are lost: %q", c.String())
	}
}
