package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
)

// selectionFlags say which messages are meant. Everything given must hold.
type selectionFlags struct {
	all       bool
	ids       []string
	group     string
	filter    string
	contains  string
	attribute string
	older     time.Duration
	newer     time.Duration
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
	fs.DurationVar(&f.older, "older-than", 0, "messages first sent longer ago, such as 48h")
	fs.DurationVar(&f.newer, "newer-than", 0, "messages first sent since then, such as 90m")
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
	if c.Flags().Changed("older-than") && f.older <= 0 || c.Flags().Changed("newer-than") && f.newer <= 0 {
		return wrongUsage("--older-than and --newer-than must be above 0, such as 90m or 48h")
	}
	if f.older > 0 && f.newer > 0 && f.older >= f.newer {
		return wrongUsage("nothing can be older than --older-than and newer than --newer-than as given; --newer-than must be the longer time")
	}
	for _, id := range f.ids {
		if id == "" || strings.ContainsAny(id, " \t\n,") {
			return wrongUsage(fmt.Sprintf("--message-id %q is no message id; give one id, and repeat the flag for more", id))
		}
	}
	return nil
}

// of is the selection for a queue. A source queue is always of the same account
// and region as its dead-letter queue, so its name is enough.
func (f *selectionFlags) of(q ops.Queue) ops.Selection {
	return ops.Selection{
		All: f.all, IDs: f.ids, Cause: f.group, Filter: f.filter, Contains: f.contains, Attribute: f.attribute,
		OlderThan: f.older, NewerThan: f.newer, Source: sourceARN(q.ARN, f.source),
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

func without(words []string, word string) []string {
	var rest []string
	for _, w := range words {
		if w != word {
			rest = append(rest, w)
		}
	}
	return rest
}
