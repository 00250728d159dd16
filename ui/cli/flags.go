package cli

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kxops/ops/cloud"
	"kxops/ui/config"
)

// globals are the flags that every command takes.
type globals struct {
	profile  string
	region   string
	endpoint endpointFlag
	access   accessFlag
	output   choiceFlag
	budget   budgetFlag
	config   string
	reason   string
	yes      bool
	dryRun   bool
}

func (g *globals) register(root *cobra.Command) {
	g.output = choiceFlag{value: "text", allowed: []string{"text", "json"}}
	f := root.PersistentFlags()
	f.SortFlags = false
	f.StringVar(&g.profile, "profile", "", "AWS profile; default: the SDK's own chain")
	f.StringVar(&g.region, "region", "", "AWS region; default: the SDK's own chain")
	f.Var(&g.endpoint, "endpoint-url", "send every call to this URL instead of AWS")
	f.VarP(&g.output, "output", "o", "text or json")
	f.Var(&g.access, "access", "what may be done: look (lists and numbers), peek (also messages), change; default peek, look where the configuration protects the account")
	f.Var(&g.budget, "budget", "most that looking may cost, such as 0.10/h (USD); the console and watch slow down to keep it")
	f.StringVar(&g.config, "config", "", "configuration file; default: kxops/config.toml in the user's configuration directory")
	f.StringVar(&g.reason, "reason", "", "why, for the journal (commands that change something)")
	f.BoolVar(&g.yes, "yes", false, "do not ask (commands that change something)")
	f.BoolVar(&g.dryRun, "dry-run", false, "print what would be done and stop (commands that change something)")
	completeWith(root, "output", g.output.allowed)
	completeWith(root, "access", []string{"look", "peek", "change"})
	complete(root, "region", func() []string {
		var names []string
		for _, r := range cloud.Regions() {
			names = append(names, r.Name+"\t"+r.Place)
		}
		return names
	})
	complete(root, "profile", func() []string {
		names, err := cloud.Profiles()
		if err != nil {
			return nil // a shell waits for words, there is nobody to tell
		}
		return names
	})
}

func completeWith(c *cobra.Command, flag string, words []string) {
	complete(c, flag, func() []string { return words })
}

func complete(c *cobra.Command, flag string, words func() []string) {
	err := c.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words(), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag's name is misspelt above
	}
}

func (g *globals) json() bool { return g.output.value == "json" }

// choiceFlag takes one of a few words.
type choiceFlag struct {
	value   string
	allowed []string
}

func (f *choiceFlag) String() string { return f.value }
func (f *choiceFlag) Type() string   { return strings.Join(f.allowed, "|") }
func (f *choiceFlag) Set(s string) error {
	if !slices.Contains(f.allowed, s) {
		return fmt.Errorf("must be %s", orList(f.allowed))
	}
	f.value = s
	return nil
}

// accessFlag is the level that was asked for; nothing was when set is false.
type accessFlag struct {
	level cloud.Level
	set   bool
}

func (f *accessFlag) String() string {
	if !f.set {
		return ""
	}
	return f.level.String()
}
func (f *accessFlag) Type() string { return "look|peek|change" }
func (f *accessFlag) Set(s string) error {
	level, err := cloud.ParseLevel(s)
	if err != nil {
		return fmt.Errorf("must be look, peek or change")
	}
	f.level, f.set = level, true
	return nil
}

// endpointFlag is a URL with scheme and host.
type endpointFlag string

func (f *endpointFlag) String() string { return string(*f) }
func (f *endpointFlag) Type() string   { return "URL" }
func (f *endpointFlag) Set(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return fmt.Errorf("must be a URL with scheme and host, such as http://127.0.0.1:4566")
	}
	*f = endpointFlag(s)
	return nil
}

// budgetFlag is an amount of USD per hour; 0: no limit.
type budgetFlag float64

func (f *budgetFlag) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*f), 'f', -1, 64) + "/h"
}
func (f *budgetFlag) Type() string { return "USD/h" }
func (f *budgetFlag) Set(s string) error {
	v, err := config.ParseBudget(s)
	*f = budgetFlag(v)
	return err
}

// orList joins words as a person does: "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
