package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// commands is THE list. A command that does not work yet is not in it.
var commands = []func(*session) *cobra.Command{
	newSandbox,
	newPolicy,
	newCompletion,
	newVersion,
}

// noSuchCommand refuses words that are no command, and names the nearest.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return wrongUsage(fmt.Sprintf("there is no command %q; did you mean %s?", args[0], orList(nearest(args[0], names, 3))))
}

// takes bounds the positional arguments of a command; usage says what they are.
func takes(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return wrongUsage(fmt.Sprintf("%s is missing: %s", argumentName(c), c.UseLine()))
		case len(args) > most:
			return wrongUsage(fmt.Sprintf("%q is one word too many: %s", args[most], c.UseLine()))
		}
		return nil
	}
}

// oneOf takes exactly one word out of a list.
func oneOf(words ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := takes(1, 1)(c, args); err != nil {
			return err
		}
		if !slices.Contains(words, args[0]) {
			return wrongUsage(fmt.Sprintf("%s is %s, not %q", argumentName(c), orList(words), args[0]))
		}
		return nil
	}
}

// argumentName is the second word of the usage: "completion SHELL" -> "SHELL".
func argumentName(c *cobra.Command) string {
	_, rest, _ := strings.Cut(c.Use, " ")
	name, _, _ := strings.Cut(rest, " ")
	return name
}

// nearest returns the n words that are fewest edits away, nearest first.
func nearest(word string, words []string, n int) []string {
	words = slices.Clone(words)
	slices.SortStableFunc(words, func(a, b string) int { return edits(word, a) - edits(word, b) })
	return words[:min(n, len(words))]
}

// edits is the Levenshtein distance. Both words are bounded, so that a hostile
// name costs no more than a long one.
func edits(a, b string) int {
	const most = 256
	a, b = strings.ToLower(a[:min(len(a), most)]), strings.ToLower(b[:min(len(b), most)])
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
