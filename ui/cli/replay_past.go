package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/replay"
)

func newReplayLs(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "The replays of this machine, newest first",
		Example: "  kxops replay ls",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := s.atTapes(c.Context())
			if err != nil {
				return err
			}
			past, bad := t.desk.Past()
			if err := t.printReplays(past); err != nil {
				return err
			}
			return bad
		},
	}
}

func newReplayShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "One replay: its plan, how far it is, and where its receipts are",
		Example: "  kxops replay show 20261117-080000-4a1b2c",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := s.atTapes(c.Context())
			if err != nil {
				return err
			}
			past, err := t.desk.Show(args[0])
			if err != nil {
				return err
			}
			if past.Plan.Managed != nil {
				x, err := t.desk.Managed(c.Context(), args[0])
				if err != nil {
					return err
				}
				return t.printManaged(past.Plan, x)
			}
			return t.printReplay(past)
		},
	}
}

func newReplayPause(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "pause ID", Short: "Pause a replay that another kxops of this machine runs",
		Long:    "The process that runs it answers what is in the air, writes its place and ends; `kxops replay resume` goes on.",
		Example: "  kxops replay pause 20261117-080000-4a1b2c",
		Args:    takes(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return s.replayTell(c.Context(), args[0], false) },
	}
}

func newReplayRate(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "rate ID RECORDS", Short: "Slow down a replay that another kxops of this machine runs, or set it free again",
		Long: `The replay is held to so many records a second from now on, also after a pause; 0 is as
its plan says. It never goes faster than its plan: that was agreed to.`,
		Example: `  kxops replay rate 20261117-080000-4a1b2c 50
  kxops replay rate 20261117-080000-4a1b2c 0`,
		Args: takes(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			rate, err := strconv.ParseFloat(args[1], 64)
			if err != nil {
				return wrongUsage(fmt.Sprintf("%q is no number of records a second", args[1]))
			}
			t, err := s.atTapes(c.Context())
			if err != nil {
				return err
			}
			if err := t.desk.TellRate(args[0], rate); err != nil {
				return err
			}
			word := fmt.Sprintf("hold itself to %g records a second", rate)
			if rate == 0 {
				word = "go as its plan says"
			}
			t.say(fmt.Sprintf("replay %s was told to %s", args[0], word))
			return nil
		},
	}
}

func newReplayCancel(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID", Short: "End a replay for good, running or paused",
		Long:    "What was sent stays sent, with its receipts; a new plan with --except ID leaves it out.",
		Example: "  kxops replay cancel 20261117-080000-4a1b2c",
		Args:    takes(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return s.replayTell(c.Context(), args[0], true) },
	}
}

func (s *session) replayTell(ctx context.Context, id string, cancel bool) error {
	t, err := s.atTapes(ctx)
	if err != nil {
		return err
	}
	if past, err := t.desk.Show(id); err == nil && past.Plan.Managed != nil && cancel {
		return t.managedCancel(ctx, past.Plan)
	}
	if err := t.desk.Tell(id, cancel); err != nil {
		return err
	}
	word := "pause"
	if cancel {
		word = "cancel"
	}
	t.say(fmt.Sprintf("replay %s was told to %s; `kxops replay show %s` says when it has", id, word, id))
	return nil
}

func newReplayResume(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "resume ID", Short: "Go on with a replay that was paused, halted or interrupted",
		Long: `Goes on from its last checkpoint. What has a receipt is not sent again; after a crash the
records that were in the air may be, and the result says how many at most.`,
		Example: "  kxops --access change replay resume 20261117-080000-4a1b2c",
		Args:    takes(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return s.replayResume(c.Context(), args[0]) },
	}
}

func (s *session) replayResume(ctx context.Context, id string) error {
	t, err := s.atTapes(ctx)
	if err != nil {
		return err
	}
	if err := t.mayRead(); err != nil {
		return err
	}
	past, err := t.desk.Show(id)
	if err != nil {
		return err
	}
	if past.Plan.Managed != nil {
		return t.managedWatch(ctx, past.Plan)
	}
	if !s.json() {
		if err := t.printReplay(past); err != nil {
			return err
		}
	}
	if s.dryRun {
		return nil
	}
	if err := t.agreed(ctx, past.Plan); err != nil {
		return err
	}
	op, err := t.desk.Resume(context.WithoutCancel(ctx), id)
	if err != nil {
		return err
	}
	return t.finish(ctx, op)
}

func newReplayVerify(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "verify ID", Short: "Prove what a replay has sent; changes nothing",
		Long: `Checks that the counts balance, that each record that was sent has one receipt, that the
hashes of the receipts add up to the hash of the record, and, where the target can be read
without changing anything (a stream, a file), that it has each record with the same body
and each key in its order.

Exit codes: 0 everything that was checked holds · 3 something does not · 1 error.`,
		Example: "  kxops replay verify 20261117-080000-4a1b2c",
		Args:    takes(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return s.replayVerify(c.Context(), args[0]) },
	}
}

func (s *session) replayVerify(ctx context.Context, id string) error {
	t, err := s.atTapes(ctx)
	if err != nil {
		return err
	}
	proof, err := t.desk.Verify(ctx, id)
	if err != nil {
		return err
	}
	if err := t.printProof(proof); err != nil {
		return err
	}
	if !proof.Holds() {
		return &exitWith{code: exitPartial}
	}
	return nil
}

// pastReport is a replay of the past as a document.
type pastReport struct {
	Schema   string              `json:"schema"` // kxops/replay/v1
	ID       string              `json:"id"`
	State    ops.RunState        `json:"state"`
	Running  bool                `json:"running"`
	From     string              `json:"from"`
	To       string              `json:"to"`
	By       string              `json:"by"`
	Reason   string              `json:"reason,omitempty"`
	Progress *ops.ReplayProgress `json:"progress"` // null: AWS carries it out, and "replay show" asks there
	Runs     int                 `json:"runs"`
	Bound    int64               `json:"duplicates_at_most"`
	Receipts string              `json:"receipts"`
}

func newPastReport(p replay.Past) pastReport {
	r := pastReport{
		Schema: "kxops/replay/v1", ID: p.Plan.ID, State: p.Progress.State, Running: p.Running, From: p.Plan.From.Name(), To: p.Plan.To.Name(),
		By: p.Plan.By, Reason: p.Plan.Reason, Progress: &p.Progress, Runs: p.Runs, Bound: p.Bound, Receipts: p.Receipts,
	}
	if p.Plan.Managed != nil { // whose counts nobody knows
		r.Progress, r.Receipts = nil, ""
	}
	return r
}
