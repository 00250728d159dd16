package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/dlq"
)

// selectionFlags say which messages are meant. Everything given must hold.
type selectionFlags struct {
	all       bool
	ids       []string
	group     string
	filter    string
	contains  string
	attribute string
	older     spanFlag
	newer     spanFlag
	source    string
}

// selectionNames are the flags that select, in the order worth reading.
var selectionNames = []string{"all", "message-id", "group", "filter", "contains", "older-than", "newer-than", "source", "attribute"}

func (f *selectionFlags) register(c *cobra.Command) {
	fs := c.Flags()
	fs.BoolVar(&f.all, "all", false, "every message that is in the queue now")
	fs.StringArrayVar(&f.ids, "message-id", nil, "this message; may be repeated")
	fs.StringVar(&f.group, "group", "", "messages with this cause: a key of \"kxops dlq groups\"")
	fs.StringVar(&f.filter, "filter", "", "messages for whose decoded body this jq expression is true, such as '.order.total > 100'")
	fs.StringVar(&f.contains, "contains", "", "messages whose body has this text, raw or decoded")
	fs.Var(&f.older, "older-than", "messages first sent longer ago, such as 2d")
	fs.Var(&f.newer, "newer-than", "messages first sent since then, such as 90m")
	fs.StringVar(&f.source, "source", "", "messages that came from this queue by its redrive policy: name, URL or ARN")
	fs.StringVar(&f.attribute, "attribute", "", "messages with this attribute: NAME or NAME=VALUE")
}

// given lists the selection flags that stand on the command line.
func (f *selectionFlags) given(c *cobra.Command) []string {
	var names []string
	for _, n := range selectionNames {
		if c.Flags().Changed(n) {
			names = append(names, "--"+n)
		}
	}
	return names
}

// check finds what is wrong with the flags before anything is looked at. A
// change needs a selection: saying nothing never means everything.
func (f *selectionFlags) check(c *cobra.Command, needed bool) error {
	given := f.given(c)
	if needed && len(given) == 0 {
		return wrongUsage("say which messages: --all, or any of --" + strings.Join(selectionNames[1:], ", --"))
	}
	if f.all && len(given) > 1 {
		return wrongUsage("--all means every message; leave it out, or leave out " + orList(without(given, "--all")))
	}
	for _, n := range given {
		flag := c.Flags().Lookup(strings.TrimPrefix(n, "--"))
		if flag.Value.Type() == "string" && flag.Value.String() == "" {
			return wrongUsage(n + " needs a value")
		}
	}
	if c.Flags().Changed("all") && !f.all {
		return wrongUsage("--all is either given or not; say which messages with the other flags")
	}
	if f.older > 0 && f.newer > 0 && f.older >= f.newer {
		return wrongUsage("nothing can be older than --older-than and newer than --newer-than as given; --newer-than must be the longer time")
	}
	for _, id := range f.ids {
		if err := checkMessageID(id); err != nil {
			return err
		}
	}
	return f.checkFilter()
}

// checkMessageID refuses what cannot be one, among others the next flag where the
// id itself was forgotten.
func checkMessageID(id string) error {
	if id == "" || strings.HasPrefix(id, "-") || strings.ContainsAny(id, " \t\n,") {
		return wrongUsage(fmt.Sprintf("--message-id %q is no message id; give one id, and repeat the flag for more", id))
	}
	return nil
}

// checkFilter compiles the jq expression against nothing, so that a typing error
// is told before any message is touched.
func (f *selectionFlags) checkFilter() error {
	if f.filter == "" {
		return nil
	}
	if _, err := new(dlq.Pile).Select(ops.Selection{Filter: f.filter}); err != nil {
		problem := ops.AsProblem(err)
		what, shown, _ := strings.Cut(problem.What, "\n") // the expression, and a caret under the place
		return &exitWith{code: exitUsage, what: "--filter: " + what, lines: shownLines(shown), hint: problem.Hint, err: err}
	}
	return nil
}

// shownLines takes the common indent off an excerpt.
func shownLines(excerpt string) []string {
	var lines []string
	for line := range strings.Lines(excerpt) {
		lines = append(lines, strings.TrimPrefix(strings.TrimRight(line, "\n"), "  "))
	}
	return lines
}

// of is the selection for a queue. A source queue is always of the same account
// and region as its dead-letter queue, so its name is enough.
func (f *selectionFlags) of(q ops.Queue) ops.Selection {
	return ops.Selection{
		All: f.all, IDs: f.ids, Cause: f.group, Filter: f.filter, Contains: f.contains, Attribute: f.attribute,
		OlderThan: time.Duration(f.older), NewerThan: time.Duration(f.newer), Source: sourceARN(q.ARN, f.source),
	}
}

// sourceARN makes the ARN of a source queue from its name, URL or ARN.
func sourceARN(queue ops.ARN, source string) ops.ARN {
	if source == "" || strings.HasPrefix(source, "arn:") {
		return ops.ARN(source)
	}
	name := source[strings.LastIndex(source, "/")+1:]
	return ops.ARN(strings.TrimSuffix(string(queue), queue.Name()) + name)
}

// spanFlag is a time above 0 as people write it: 90m, 36h, 2d, 1d12h.
type spanFlag time.Duration

func (f *spanFlag) String() string {
	if *f == 0 {
		return ""
	}
	return ops.Span(time.Duration(*f).Seconds())
}
func (f *spanFlag) Type() string { return "TIME" }
func (f *spanFlag) Set(s string) error {
	d, err := ops.ParseSpan(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("must be a time above 0, such as 90s, 15m, 36h or 2d")
	}
	*f = spanFlag(d)
	return nil
}

func without(words []string, word string) []string {
	var rest []string
	for _, w := range words {
		if w != word {
			rest = append(rest, w)
		}
	}
	return rest
}
