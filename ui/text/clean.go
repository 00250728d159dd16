// Package text is the only way words get onto the console's screen: it cleans
// what others wrote, measures it, and writes it into lines of a known width.
//
// Read clean.go (what may pass), style.go (colour as a prefix), canvas.go (the
// line writer), ascii.go (the fallback for terminals without Unicode).
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// dot stands for a character that must not reach the terminal.
const dot = '·'

// maxMarks bounds the combining marks on one character, so that no stack of
// accents climbs over the rows above.
const maxMarks = 2

// Clean returns s as one line that is safe to print: escape sequences are
// removed; tabs and line breaks become spaces; controls (C0, C1), invalid bytes,
// and characters that reorder or hide text (bidi, zero width) become a middle dot.
func Clean(s string) string {
	if _, ok := narrow(s); ok {
		return s
	}
	s = ansi.Strip(strings.ToValidUTF8(s, string(dot)))
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for _, r := range s {
		if unicode.Is(unicode.M, r) {
			if marks++; marks > maxMarks || variation(r) {
				continue
			}
		} else {
			marks = 0
		}
		b.WriteRune(safe(r))
	}
	return b.String()
}

// plain reports whether s is printable ASCII only: its length is its width.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// narrow returns the number of characters of s when each of them is known to be
// harmless and one cell wide: ASCII, Latin letters, and the signs, lines, blocks
// and dots that the console draws itself. It spares nearly every cell the cost of
// the Unicode tables.
func narrow(s string) (cells int, ok bool) {
	for _, r := range s {
		switch {
		case r >= 0x20 && r <= 0x7e:
		case r >= 0xa1 && r <= 0x17f && r != 0xad:
		case r >= 0x2190 && r <= 0x2193, r >= 0x2500 && r <= 0x259f, r >= 0x2800 && r <= 0x28ff:
		case r == '…', r == '−', r == '•':
		default:
			return 0, false
		}
		cells++
	}
	return cells, true
}

func safe(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return ' '
	case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r),
		r == 0x2028, r == 0x2029, unicode.Is(unicode.Cs, r):
		return dot
	}
	return r
}

// variation selectors change the width of the character before them in some
// terminals and not in others.
func variation(r rune) bool {
	return r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0100 && r <= 0xE01EF
}

// Width returns how many terminal cells clean text takes.
func Width(s string) int {
	if n, ok := narrow(s); ok {
		return n
	}
	return ansi.StringWidth(s)
}

// Cut shortens clean text to width cells, ending in an ellipsis where something
// was cut.
func Cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	if plain(s) {
		if len(s) <= width {
			return s
		}
		return s[:width-1] + "…"
	}
	return ansi.Truncate(s, width, "…")
}

// Bound returns the part of s that can matter in width cells, so that a name of
// ten megabytes costs no more than a long one.
func Bound(s string, width int) string {
	limit := 16*max(width, 0) + 256
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// Fold breaks clean text into lines of at most width cells, at spaces where it can.
func Fold(s string, width int) []string {
	if width < 1 {
		width = 1
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case Width(line)+1+Width(word) <= width:
			line += " " + word
			continue
		default:
			lines = append(lines, line)
			line = word
		}
		for Width(line) > width { // one word longer than the line
			head := ansi.Truncate(Bound(line, width), width, "") // bound: Truncate reads to the end
			if head == "" {
				head = line[:len(string([]rune(line)[0]))]
			}
			lines = append(lines, head)
			line = line[len(head):]
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// Break splits s, which is clean, after at most width cells.
func Break(s string, width int) (line, rest string) {
	if plain(s) {
		n := min(len(s), max(width, 0))
		return s[:n], s[n:]
	}
	line = ansi.Truncate(s, max(width, 0), "")
	return line, s[len(line):]
}
