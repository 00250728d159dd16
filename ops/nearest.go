package ops

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns the n words that are fewest typing errors away from word,
// nearest first: what "did you mean" offers. Upper and lower case are the same.
func Nearest(word string, words []string, n int) []string {
	type candidate struct {
		word  string
		edits int
	}
	candidates := make([]candidate, len(words))
	for i, w := range words {
		candidates[i] = candidate{w, edits(word, w)}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.edits, b.edits) })
	near := make([]string, 0, n)
	for _, c := range candidates[:min(n, len(candidates))] {
		near = append(near, c.word)
	}
	return near
}

// Near is Nearest without the words that nobody can have meant: what is more than
// a third of its letters away (two letters are always forgiven).
func Near(word string, words []string, n int) []string {
	var near []string
	for _, w := range Nearest(word, words, n) {
		if edits(word, w) <= max(2, len(word)/3) {
			near = append(near, w)
		}
	}
	return near
}

// edits is the Levenshtein distance in bytes, or 1 where b contains a whole:
// people leave out prefixes. Both are bounded, because a hostile name may be
// long.
func edits(a, b string) int {
	const most = 256
	a, b = strings.ToLower(a[:min(len(a), most)]), strings.ToLower(b[:min(len(b), most)])
	if a != "" && a != b && strings.Contains(b, a) {
		return 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
