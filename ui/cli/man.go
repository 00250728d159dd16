package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newMan prints the manual page. The release build puts it into the packages, so
// nobody has to call this.
func newMan(s *session) *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Print the manual page, kxops(1), as troff",
		Hidden: true,
		Args:   takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return writeManual(s.Out, c.Root())
		},
	}
}

// writeManual writes every command that a person sees, with its flags.
func writeManual(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH KXOPS 1 \"\" %q \"User Commands\"\n", "kxops "+thisVersion().Version)
	fmt.Fprintf(&b, ".SH NAME\nkxops \\- %s\n", troff(lowered(root.Short)))
	b.WriteString(".SH SYNOPSIS\n.B kxops\n[\\fIflags\\fR] [\\fIcommand\\fR]\n")
	b.WriteString(".SH DESCRIPTION\n" + paragraphs(root.Long))
	b.WriteString(".SH GLOBAL FLAGS\n" + flagList(root.PersistentFlags()))
	b.WriteString(".SH COMMANDS\n")
	writeCommands(&b, root)
	b.WriteString(".SH EXIT STATUS\n")
	for _, e := range []struct {
		code int
		what string
	}{
		{exitDone, "done"}, {exitError, "error"}, {exitUsage, "wrong usage"}, {exitPartial, "partial: some section could not be read, the rest stands"},
		{exitRefused, "refused, by the gate or by a person"}, {exitHalted, "halted by a guard: canary, budget, unhealthy target"},
		{exitFindings, "findings, where they were asked for"},
	} {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", e.code, troff(e.what))
	}
	b.WriteString(".SH ENVIRONMENT\n")
	for _, v := range [][2]string{
		{"AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL", "as for every program that uses the AWS SDK"},
		{"KXOPS_CLOUDWATCH_PROTOCOL", "cbor, json or query: how CloudWatch is spoken to, for emulators"},
		{"NO_COLOR", "no colours"},
		{"VISUAL, EDITOR", "the editor of kxops dlq edit"},
	} {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", troff(v[0]), troff(v[1]))
	}
	b.WriteString(".SH FILES\nConfiguration, cache and records follow the XDG base directories; \\fBkxops info\\fR prints where they are.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeCommands(b *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		fmt.Fprintf(b, ".SS %s\n", troff(usageOf(c)))
		text := c.Long
		if text == "" {
			text = c.Short
		}
		b.WriteString(paragraphs(text))
		b.WriteString(flagList(c.NonInheritedFlags()))
		writeCommands(b, c)
	}
}

// usageOf is a command with its arguments.
func usageOf(c *cobra.Command) string { return c.Parent().CommandPath() + " " + c.Use }

// flagList is a command's own flags.
func flagList(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", troff(name), troff(usage))
	})
	return b.String()
}

// paragraphs keeps a text's own lines apart where they are indented, and lets the
// rest flow.
func paragraphs(text string) string {
	var b strings.Builder
	for _, p := range strings.Split(strings.TrimSpace(text), "\n\n") {
		b.WriteString(".PP\n")
		for _, line := range strings.Split(p, "\n") {
			if strings.HasPrefix(line, " ") {
				b.WriteString(".br\n")
			}
			b.WriteString(troff(line) + "\n")
		}
	}
	return b.String()
}

// troff escapes what would be a command or another character.
func troff(s string) string {
	s = strings.ReplaceAll(strings.TrimRight(s, " "), `\`, `\e`)
	s = strings.ReplaceAll(s, "-", `\-`)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func lowered(s string) string { return strings.ToLower(s[:1]) + s[1:] }
