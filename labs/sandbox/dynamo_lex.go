package sandbox

import "strings"

const wordLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

// token is one word or sign of an expression.
type token struct {
	kind     tokenKind
	text     string
	from, to int // in the expression
}

type tokenKind int

const (
	endToken    tokenKind = iota
	wordToken             // an attribute, a function or a keyword
	nameToken             // #name
	valueToken            // :value
	numberToken           // an index
	signToken             // anything else
)

// tokensOf cuts an expression into tokens, the last of which is its end. It knows
// no errors: a sign that nobody expects is a syntax error later.
func tokensOf(text string) []token {
	var out []token
	for i := 0; i < len(text); {
		if strings.IndexByte(" \t\r\n", text[i]) >= 0 {
			i++
			continue
		}
		t := token{kind: signToken, from: i, to: i + 1}
		run := func(from int, letters string) int {
			return from + len(text[from:]) - len(strings.TrimLeft(text[from:], letters))
		}
		switch c := text[i]; {
		case strings.IndexByte(wordLetters, c) >= 0:
			t.kind, t.to = wordToken, run(i, wordLetters+"0123456789")
		case c >= '0' && c <= '9':
			t.kind, t.to = numberToken, run(i, "0123456789")
		case c == '#' || c == ':':
			if end := run(i+1, wordLetters+"0123456789"); end > i+1 {
				t.kind, t.to = nameToken, end
				if c == ':' {
					t.kind = valueToken
				}
			}
		case strings.HasPrefix(text[i:], "<>"), strings.HasPrefix(text[i:], "<="), strings.HasPrefix(text[i:], ">="):
			t.to = i + 2
		case c >= 0x80: // keep a character whole
			for t.to < len(text) && text[t.to]&0xc0 == 0x80 {
				t.to++
			}
		}
		t.text = text[t.from:t.to]
		out = append(out, t)
		i = t.to
	}
	return append(out, token{kind: endToken, text: "<EOF>", from: len(text), to: len(text)})
}
