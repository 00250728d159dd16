package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kxops/ops"
)

// commands is THE list. A command that does not work yet is not in it.
var commands = []func(*session) *cobra.Command{
	newDemo,
	newStatus,
	newWatch,
	newDlq,
	newReplay,
	newAlarms,
	newInfo,
	newJournal,
	newLab,
	newSandbox,
	newPolicy,
	newCompletion,
	newVersion,
	newMan,
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
	return wrongUsage(fmt.Sprintf("there is no command %q; did you mean %s?", args[0], orList(ops.Nearest(args[0], names, 3))))
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
