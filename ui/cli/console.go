package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
	"kxops/ops/survey"
	"kxops/ui"
	"kxops/ui/config"
)

// console opens the console on the AWS account. Where there is no terminal that
// can show it, it prints the status instead: that is what was wanted.
func (s *session) console(c *cobra.Command, _ []string) error {
	if why := s.noConsole(); why != "" {
		fmt.Fprintf(s.Err, "%s: this is `kxops status`\n", why)
		a, err := s.reach(c.Context())
		if err != nil {
			return err
		}
		return s.statusOf(c.Context(), a)
	}
	a, err := s.open(c.Context(), s.profile, s.region)
	if err != nil {
		return err
	}
	b := &backend{account: a, open: s.open, clock: a.clock}
	err = s.show(c.Context(), b, "")
	return errors.Join(err, b.remember(s.reason))
}

// statusOf prints the status where a console was asked for and none can be shown.
func (s *session) statusOf(ctx context.Context, a *account) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	snapshot, verdicts, err := look(ctx, a)
	if err != nil {
		return err
	}
	if err := s.printStatus(snapshot, verdicts, false); err != nil {
		return err
	}
	return statusCode(snapshot, verdicts, "")
}

// noConsole says why the console cannot be shown, "" when it can.
func (s *session) noConsole() string {
	if _, ok := isTerminal(s.In); !ok {
		return "stdin is no terminal"
	}
	if _, ok := isTerminal(s.Out); !ok {
		return "stdout is no terminal"
	}
	if term := os.Getenv("TERM"); term == "dumb" {
		return "TERM=dumb cannot show the console"
	}
	return ""
}

// show runs the console on a backend until the person leaves it.
func (s *session) show(ctx context.Context, b *backend, demo string) error {
	c, err := s.configuration()
	if err != nil {
		return err
	}
	b.configuration, b.reason = s.configuration, s.reason
	return ui.Run(ctx, ui.Options{
		Backend: b,
		Judge:   alarms.Judge,
		Demo:    demo,
		Now:     b.clock,
		Journal: func() ([]ui.JournalEntry, error) { return journalForConsole(b.records) },
		Info:    func() string { return s.hereText(b.now()) },
		Policy:  b.policy,
		Config: ui.Config{
			Theme: c.Theme, ASCII: c.ASCII, Keys: c.Keys, Pace: b.pace(), Protected: protections(c.Profiles),
		},
		Left:   func(left []ops.Progress) { sayLeft(s.Out, left, demo != "") },
		Input:  s.In,
		Output: s.Out,
	})
}

// backend is what the console knows of the outside: one account at a time.
type backend struct {
	open   func(ctx context.Context, profile, region string) (*account, error)
	clock  func() time.Time
	region string // where to open the first account, unless there is one already
	fixed  bool   // there are no profiles to switch to: the demo

	configuration func() (config.Config, error) // what the file says about the alarms
	reason        string                        // why the session was opened, for the journal

	records string // the journal's directory, "" for the person's own

	mu      sync.Mutex
	account *account
}

// now returns the account, nil while the demo's is being made.
func (b *backend) now() *account {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.account
}

// here returns the account, opening it if need be.
func (b *backend) here(ctx context.Context) (*account, error) {
	if a := b.now(); a != nil {
		return a, nil
	}
	a, err := b.open(ctx, "", b.region)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account = a
	return a, nil
}

func (b *backend) pace() time.Duration {
	if a := b.now(); a != nil {
		return a.set.Pace
	}
	return 0
}

func (b *backend) LastKnown() (ops.Snapshot, bool) {
	if a := b.now(); a != nil {
		return a.lastKnown()
	}
	return ops.Snapshot{}, false
}

func (b *backend) Collect(ctx context.Context, ask ui.Ask, partial func(ops.Snapshot)) ops.Snapshot {
	a, err := b.here(ctx)
	if err != nil {
		return ops.Snapshot{Streams: ops.Section[ops.Stream]{Problem: ops.AsProblem(err)}, MetricsProblem: ops.AsProblem(err)}
	}
	return a.collect(ctx, survey.Ask{Focus: ask.Focus, Blurred: ask.Blurred, Fresh: ask.Manual}, partial)
}

func (b *backend) Raw(ctx context.Context, resource ops.ARN) ([]byte, error) {
	a, err := b.here(ctx)
	if err != nil {
		return nil, err
	}
	return a.survey.Raw(ctx, resource)
}

// Switch opens another profile or region and keeps the present one when the new
// one does not answer.
func (b *backend) Switch(ctx context.Context, profile, region string) (ops.Identity, error) {
	before, err := b.here(ctx)
	if err != nil {
		return ops.Identity{}, err
	}
	if b.fixed && profile != "" {
		return ops.Identity{}, &ops.Problem{Fault: ops.FaultNotFound, What: "the demo has one account and no profiles", Hint: "kxops --profile " + profile + " opens a real one"}
	}
	here := before.cloud.Place()
	if profile == "" {
		profile, region = here.Profile, cmp.Or(region, here.Region)
	}
	a, err := b.open(ctx, profile, region)
	if err != nil {
		return ops.Identity{}, err
	}
	id, err := a.cloud.Identity(ctx)
	if err != nil {
		return ops.Identity{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account = a
	return id, nil
}

func (b *backend) Choices() ui.Choices {
	var c ui.Choices
	for _, r := range cloud.Regions() {
		c.Regions = append(c.Regions, r.Name)
	}
	if a := b.now(); a != nil && !slices.Contains(c.Regions, a.cloud.Place().Region) {
		c.Regions = append([]string{a.cloud.Place().Region}, c.Regions...)
	}
	if b.fixed {
		return c
	}
	if names, err := cloud.Profiles(); err == nil { // an unreadable file is told when a profile is opened
		c.Profiles = names
	}
	return c
}

// policy is the least IAM policy of the present level.
func (b *backend) policy() string {
	a := b.now()
	if a == nil {
		return ""
	}
	policy, err := cloud.Policy(a.cloud.Access(), "")
	if err != nil {
		return err.Error()
	}
	return string(policy)
}

// remember writes one line about the session to the journal.
func (b *backend) remember(reason string) error {
	a := b.now()
	j, err := journal.Open("")
	if err != nil {
		return err
	}
	id := a.survey.Snapshot().Identity
	spend := a.cloud.Meter().Spend()
	_, err = j.Append(journal.Entry{
		Account: id.Account, Region: cmp.Or(id.Region, a.cloud.Place().Region), Kind: journal.KindSession,
		What: "console, " + ops.Span(spend.For.Seconds()), Reason: reason, Outcome: journal.Done,
		Calls: spend.Calls, USD: spend.USD,
	})
	return err
}
