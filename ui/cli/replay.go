package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
	"kxops/ops/replay"
	"kxops/ops/survey"
)

// replayCommands is THE list of what can be done with old events.
var replayCommands = []func(*session) *cobra.Command{
	newReplayPlan,
	newReplayQueries,
	newReplayRestore,
	newReplayApply,
	newReplayLs,
	newReplayShow,
	newReplayPause,
	newReplayResume,
	newReplayRate,
	newReplayCancel,
	newReplayVerify,
}

func newReplay(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "replay",
		Short: "Old events again, on purpose, with proof: from a stream, an archive or a file",
		Long: `Sends events again that were there before: from a stream's retention, the archive of a
delivery stream in S3, what a query of Athena selects, or a file; to a queue, a stream, a
topic, a function, a file, or nowhere (a rehearsal).

A plan freezes what is read and where it goes, and says what that sets going. Apply does
exactly that, keeps a receipt for each record, and can be paused, killed and resumed.
Verify proves afterwards what was sent.`,
		Example: `  kxops replay plan --from archive:events/orders/ --since 2026-11-17T00:00Z --until 2026-11-18T00:00Z --filter '.customer_id == "4712"' --to queue:reprocess --plan-out 4712.plan
  kxops --access change replay apply 4712.plan
  kxops replay verify ID`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, add := range replayCommands {
		c.AddCommand(add(s))
	}
	return c
}

// tapes is one replay command at work.
type tapes struct {
	*session
	account *account
	desk    *replay.Desk
}

func (s *session) atTapes(ctx context.Context) (*tapes, error) {
	a, err := s.reach(ctx)
	if err != nil {
		return nil, err
	}
	d, err := a.replayDesk(ctx)
	if err != nil {
		return nil, err
	}
	return &tapes{session: s, account: a, desk: d}, nil
}

// replayDesk is where this account's replays are worked on. Making it asks who we are
// and sends nothing else.
func (a *account) replayDesk(ctx context.Context) (*replay.Desk, error) {
	id, err := a.identity(ctx)
	if err != nil {
		return nil, err
	}
	j, err := journal.Open(a.records)
	if err != nil {
		return nil, err
	}
	return replay.New(replay.Options{Config: a.cloud.Config(), Identity: id, Journal: j, Now: a.clock, Explain: a.cloud.Explain,
		Outside: a.cloud.Place().Endpoint == "" && !cloud.Inside()}), nil
}

// guarded reports whether the configuration protects this account.
func (a *account) guarded(id string) bool {
	return a.set.Protected || a.guards != nil && a.guards(id)
}

// behind looks at the account once, for what a replay sets going.
func (t *tapes) behind(ctx context.Context) ([]ops.Link, string) {
	snapshot := t.account.collect(ctx, survey.Ask{}, nil)
	links := ops.Linked(snapshot)
	if links == nil {
		links = []ops.Link{}
	}
	return links, snapshot.Identity.Account
}

// mayRead refuses to read events where the session may only see numbers.
func (t *tapes) mayRead() error {
	if have := t.account.cloud.Access(); have < cloud.Peek {
		return refused(fmt.Sprintf("reading events needs access level peek, and this session has access level %s", have), "add --access peek if you mean it")
	}
	return nil
}

// timeFlag is a point in time with its zone, or so long ago.
type timeFlag string

func (f *timeFlag) String() string { return string(*f) }
func (f *timeFlag) Type() string   { return "TIME" }
func (f *timeFlag) Set(s string) error {
	if _, err := ops.ParseWhen(s, time.Now()); err != nil || s == "" {
		return cmp.Or(err, fmt.Errorf("must not be empty"))
	}
	*f = timeFlag(s)
	return nil
}

// when is the time that is meant; zero where none was given.
func (f timeFlag) when(now time.Time) (time.Time, error) { return ops.ParseWhen(string(f), now) }
