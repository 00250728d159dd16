package ui

import (
	"strings"
)

// filter is a parsed `/` line: every term must match. `word` matches any column,
// `col:word` one column, `!` in front turns a term around.
type filter struct{ terms []filterTerm }

type filterTerm struct {
	col     string // "" any column
	text    string // lower case
	inverse bool
}

// maxFilter bounds a filter line; a pasted page is not a filter.
const maxFilter = 512

// parseFilter reads a filter line. columns are the ids a `col:` may name, in full
// or as an unambiguous beginning; anything else before a colon is plain text,
// because ARNs contain colons. Double quotes keep spaces.
func parseFilter(s string, columns []string) filter {
	if len(s) > maxFilter {
		s = s[:maxFilter]
	}
	var f filter
	for _, word := range words(s) {
		t := filterTerm{text: word}
		if rest, ok := strings.CutPrefix(t.text, "!"); ok {
			t.inverse, t.text = true, rest
		}
		if col, rest, ok := strings.Cut(t.text, ":"); ok {
			if id := columnNamed(col, columns); id != "" {
				t.col, t.text = id, rest
			}
		}
		t.text = strings.ToLower(t.text)
		if t.text != "" {
			f.terms = append(f.terms, t)
		}
	}
	return f
}

// unknownColumn returns the word before the colon of a term that looks as if it
// named a column and does not, "" when there is none. It is only worth saying when
// nothing matched: an ARN has colons too.
func (f filter) unknownColumn(columns []string) string {
	for _, t := range f.terms {
		word, _, ok := strings.Cut(t.text, ":")
		if ok && t.col == "" && word != "" && word != "arn" && columnNamed(word, columns) == "" && isWord(word) {
			return word
		}
	}
	return ""
}

func isWord(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

func columnNamed(name string, columns []string) string {
	name = strings.ToLower(name)
	if name == "" {
		return ""
	}
	found := ""
	for _, id := range columns {
		if id == name {
			return id
		}
		if strings.HasPrefix(id, name) {
			if found != "" {
				return ""
			}
			found = id
		}
	}
	return found
}

// words splits at spaces outside double quotes and drops the quotes.
func words(s string) []string {
	var out []string
	var b strings.Builder
	quoted := false
	flush := func() {
		if b.Len() > 0 {
			out = append(out, b.String())
			b.Reset()
		}
	}
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ' ' && !quoted:
			flush()
		default:
			b.WriteRune(r)
		}
	}
	flush()
	return out
}

func (f filter) empty() bool { return len(f.terms) == 0 }

// match reports whether a row passes. value returns the text of a column; any
// returns the text of all columns.
func (f filter) match(value func(col string) string, any func() string) bool {
	for _, t := range f.terms {
		var have string
		if t.col == "" {
			have = any()
		} else {
			have = value(t.col)
		}
		if strings.Contains(strings.ToLower(have), t.text) == t.inverse {
			return false
		}
	}
	return true
}
