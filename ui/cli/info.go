package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ui/config"
	"kxops/ui/text"
)

func newInfo(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "info",
		Short: "Account, identity, region, files, versions, and what may be done here",
		Long: `Looks at the account once and says who we are there, what could not be read and
why (missing permissions), what may be done, where the files are, and which calls
were made for it.`,
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), lookTimeout)
			defer cancel()
			a, err := s.reach(ctx)
			if err != nil {
				return err
			}
			snapshot, _, err := look(ctx, a)
			if err != nil {
				return err
			}
			r := s.newInfoReport(a, snapshot)
			if s.json() {
				err = s.printJSON(r)
			} else {
				_, err = io.WriteString(s.Out, r.String())
			}
			if err == nil && snapshot.Partial() {
				return &exitWith{code: exitPartial}
			}
			return err
		},
	}
}

type infoReport struct {
	Schema    string            `json:"schema"` // kxops/info/v1
	Version   versionReport     `json:"version"`
	Account   accountReport     `json:"account"`
	Endpoint  string            `json:"endpoint,omitempty"` // "" is AWS
	Access    string            `json:"access"`
	AccessWhy string            `json:"access_why"`
	Protected bool              `json:"protected"`
	Files     map[string]string `json:"files"`
	Sections  []sectionReport   `json:"sections"`
	Calls     []callReport      `json:"calls"`
	Spend     spendReport       `json:"spend"`
	PricesOf  string            `json:"prices_of"` // month of the price list
}

type callReport struct {
	Service   string  `json:"service"`
	Operation string  `json:"operation"`
	Calls     int     `json:"calls"`
	Metrics   int     `json:"metrics,omitempty"`
	USD       float64 `json:"total_usd"`
}

func (s *session) newInfoReport(a *account, snapshot ops.Snapshot) infoReport {
	status := newStatusReport(snapshot, nil)
	r := infoReport{
		Schema: "kxops/info/v1", Version: thisVersion(), Account: status.Account,
		Endpoint: a.cloud.Place().Endpoint, Access: a.cloud.Access().String(),
		Files: s.files(), Sections: status.Sections, Spend: status.Spend, PricesOf: ops.PricesOf,
	}
	r.AccessWhy, r.Protected = s.whyAccess(a, snapshot.Identity.Account)
	for _, l := range a.cloud.Meter().Lines() {
		r.Calls = append(r.Calls, callReport{l.Service, l.Operation, l.Calls, l.Metrics, l.USD})
	}
	return r
}

// whyAccess says where the access level comes from.
func (s *session) whyAccess(a *account, accountID string) (why string, protected bool) {
	protected = a.set.Protected
	if s.read != nil {
		protected = s.read.For(a.set.Name, accountID).Protected
	}
	switch {
	case a.asked:
		return "asked for with --access", protected
	case protected:
		return "the configuration protects this account", protected
	case a.set.Access != "":
		return "the configuration", protected
	case a.cloud.Access() == cloud.Look:
		return "the configuration protects an account by its id; give --access peek if this is another", protected
	}
	return "the default", protected
}

func (s *session) files() map[string]string {
	return map[string]string{
		"config":  cmp.Or(s.config, config.Path()),
		"cache":   filepath.Join(xdg.CacheHome, "kxops"),
		"journal": filepath.Join(xdg.StateHome, "kxops"),
	}
}

func (r infoReport) String() string {
	var b strings.Builder
	field := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	alias := ""
	if r.Account.Alias != "" {
		alias = " (" + text.Clean(r.Account.Alias) + ")"
	}
	field("account", "%s%s", orUnknown(r.Account.ID), alias)
	field("identity", "%s", orUnknown(r.Account.Who))
	field("region", "%s", orUnknown(r.Account.Region))
	field("profile", "%s", cmp.Or(text.Clean(r.Account.Profile), "the SDK's standard chain"))
	field("endpoint", "%s", cmp.Or(text.Clean(r.Endpoint), "AWS"))
	protected := ""
	if r.Protected {
		protected = "; PROTECTED"
	}
	field("access", "%s: %s%s", r.Access, r.AccessWhy, protected)
	field("version", "%s", r.Version)
	for _, name := range []string{"config", "cache", "journal"} {
		there := ""
		if _, err := os.Stat(r.Files[name]); err != nil {
			there = " (none yet)"
		}
		field(name, "%s%s", r.Files[name], there)
	}
	b.WriteString("\nwhat could be read\n")
	for _, x := range r.Sections {
		word := fmt.Sprintf("%d", x.Count)
		switch {
		case x.Problem != nil:
			word = strings.ToUpper(string(x.Problem.Fault)) + ": " + oneLine(x.Problem.What)
			if x.Problem.Hint != "" {
				word += "; " + x.Problem.Hint
			}
		case x.Partial:
			word = fmt.Sprintf("%d of %d so far", x.Count, x.Known)
		case x.Name == "metrics":
			word = "read"
		}
		fmt.Fprintf(&b, "  %-10s %s\n", x.Name, word)
	}
	fmt.Fprintf(&b, "\ncalls made for this: %d, $%.5f at the list prices of %s\n", r.Spend.Calls, r.Spend.USD, r.PricesOf)
	for _, c := range r.Calls {
		fmt.Fprintf(&b, "  %6d  %s %s\n", c.Calls, c.Service, c.Operation)
	}
	return b.String()
}

// hereText is the part of info that the console's own screen does not know.
func (s *session) hereText(a *account) string {
	if a == nil {
		return "" // the demo is not ready yet
	}
	var b strings.Builder
	why, _ := s.whyAccess(a, "")
	fmt.Fprintf(&b, "access    %s: %s\n", a.cloud.Access(), why)
	fmt.Fprintf(&b, "endpoint  %s\n", cmp.Or(text.Clean(a.cloud.Place().Endpoint), "AWS"))
	fmt.Fprintf(&b, "version   %s\n", thisVersion())
	files := s.files()
	for _, name := range []string{"config", "cache", "journal"} {
		fmt.Fprintf(&b, "%-9s %s\n", name, files[name])
	}
	spend := a.cloud.Meter().Spend()
	fmt.Fprintf(&b, "calls     %d in %s, $%.5f\n", spend.Calls, ops.Span(spend.For.Round(time.Second).Seconds()), spend.USD)
	for _, l := range a.cloud.Meter().Lines() {
		fmt.Fprintf(&b, "%9d %s %s\n", l.Calls, l.Service, l.Operation)
	}
	return b.String()
}
