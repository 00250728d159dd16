package text

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// lookalikes replaces the characters of our own drawings in terminals that
// cannot show them. Each is one cell wide, as is its replacement.
var lookalikes = map[rune]rune{
	'…': '~', '·': '.', '•': '*', '−': '-', '÷': '/', '×': 'x', '≥': '>', '≤': '<',
	'●': '*', '○': 'o', '□': 'o', '▪': '*', '‹': '<', '›': '>', '¦': '|',
	'→': '>', '←': '<', '↑': '^', '↓': 'v', '▲': '^', '▼': 'v', '▶': '>',
	'─': '-', '━': '=', '│': '|', '├': '|', '└': '`', '┌': '+', '┐': '+', '┘': '+', '┤': '|', '┴': '+', '┬': '+', '┼': '+',
	'▁': '_', '▂': '.', '▃': '-', '▄': '-', '▅': '=', '▆': '+', '▇': '*', '█': '#', '░': '.', '▒': ':', '▓': '%',
}

func lookalike(r rune) rune {
	if a, ok := lookalikes[r]; ok {
		return a
	}
	return '?'
}

// ASCII replaces every character beyond ASCII in clean text by a lookalike of
// the same width.
func ASCII(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		default:
			for range ansi.StringWidth(string(r)) {
				b.WriteRune(lookalike(r))
			}
		}
	}
	return b.String()
}
