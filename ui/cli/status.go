package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ops/survey"
)

// lookTimeout bounds the look of a one-shot command. The survey has its own
// deadline for each section; this is for all of them together.
const lookTimeout = 2 * time.Minute

func newStatus(s *session) *cobra.Command {
	failOn := choiceFlag{allowed: []string{"page", "ticket"}}
	var detailed, all bool
	c := &cobra.Command{
		Use:   "status [RESOURCE…]",
		Short: "One snapshot: streams, deliveries, queues, findings; the first loss on top",
		Long: `Looks at the account once and prints every resource that can lose data, sorted by
what needs a person first and then by time to loss. RESOURCE (a name, an ARN or a
queue's URL) limits the answer.

Exit codes: 0 looked · 1 could not look · 3 some section could not be read ·
10 there are findings (with --fail-on or --detailed-exitcode; wins over 3).`,
		Example: "  kxops status --fail-on page\n  kxops status orders-dlq -o json",
		RunE: func(c *cobra.Command, args []string) error {
			snapshot, verdicts, err := s.lookOnce(c.Context())
			if err != nil {
				return err
			}
			if verdicts, err = pick(verdicts, snapshot, args); err != nil {
				return err
			}
			if err := s.printStatus(snapshot, verdicts, all || len(args) > 0); err != nil {
				return err
			}
			limit := failOn.value
			if limit == "" && detailed {
				limit = "ticket"
			}
			return statusCode(snapshot, verdicts, limit)
		},
	}
	f := c.Flags()
	f.Var(&failOn, "fail-on", "exit with 10 when a finding is at least this bad")
	f.BoolVar(&detailed, "detailed-exitcode", false, "exit with 10 when there are findings: the same as --fail-on ticket")
	f.BoolVar(&all, "all", false, "print every calm resource too (json always does)")
	completeWith(c, "fail-on", failOn.allowed)
	return c
}

// lookOnce opens the account, makes sure that it answers, and looks.
func (s *session) lookOnce(ctx context.Context) (ops.Snapshot, []alarms.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	a, err := s.reach(ctx)
	if err != nil {
		return ops.Snapshot{}, nil, err
	}
	return look(ctx, a)
}

// reach opens the account and asks who we are there: an endpoint that is dead,
// or is not AWS, is told as one sentence in under five seconds, not as seven
// sections that failed. An endpoint without STS is fine.
func (s *session) reach(ctx context.Context) (*account, error) {
	a, err := s.open(ctx, s.profile, s.region)
	if err != nil {
		return nil, err
	}
	_, err = a.cloud.Identity(ctx)
	if p := ops.AsProblem(err); p != nil && p.Fault != ops.FaultUnsupported && p.Fault != ops.FaultDenied {
		return nil, err
	}
	return a, nil
}

func look(ctx context.Context, a *account) (ops.Snapshot, []alarms.Verdict, error) {
	snapshot := a.collect(ctx, survey.Ask{}, nil)
	if err := ctx.Err(); err != nil {
		return snapshot, nil, err
	}
	if err := nothingRead(snapshot); err != nil {
		return snapshot, nil, err
	}
	return snapshot, alarms.Judge(snapshot, a.clock()), nil
}

// nothingRead returns the first problem when not one section was ever read.
func nothingRead(s ops.Snapshot) error {
	var first *ops.Problem
	for _, x := range s.Sections() {
		if !x.At.IsZero() && !(x.Name == "buckets" && x.Count == 0) { // without deliveries no bucket is asked for
			return nil
		}
		if first == nil {
			first = x.Problem
		}
	}
	if first == nil {
		return nil // an error in an interface is never nil when the pointer inside is
	}
	return first
}

// statusCode ends the command without a word: the data told.
func statusCode(s ops.Snapshot, verdicts []alarms.Verdict, failOn string) error {
	for _, v := range verdicts {
		for _, f := range v.Findings {
			if failOn == "page" && f.Severity >= alarms.Page || failOn == "ticket" && f.Severity >= alarms.Ticket {
				return &exitWith{code: exitFindings}
			}
		}
	}
	if s.Partial() {
		return &exitWith{code: exitPartial}
	}
	return nil
}

// pick keeps the verdicts that were named, in their order of urgency.
func pick(verdicts []alarms.Verdict, s ops.Snapshot, names []string) ([]alarms.Verdict, error) {
	if len(names) == 0 {
		return verdicts, nil
	}
	urls := map[string]ops.ARN{}
	for _, q := range s.Queues.Items {
		urls[q.URL] = q.ARN
	}
	wanted := make([]int, len(names))
	picked := slices.DeleteFunc(slices.Clone(verdicts), func(v alarms.Verdict) bool {
		drop := true
		for i, name := range names {
			if name == v.Name || name == string(v.ARN) || urls[name] == v.ARN {
				wanted[i]++
				drop = false
			}
		}
		return drop
	})
	for i, n := range wanted {
		if n == 0 {
			return nil, unknownResource(names[i], verdicts)
		}
	}
	return picked, nil
}

func unknownResource(name string, verdicts []alarms.Verdict) error {
	names := make([]string, 0, len(verdicts))
	for _, v := range verdicts {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	p := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("there is no resource %q here", name)}
	short := string(ops.ARN(name[strings.LastIndex(name, "/")+1:]).Name())
	if near := ops.Nearest(short, slices.Compact(names), 3); len(near) > 0 {
		p.Hint = "did you mean " + orList(near) + "?"
	} else {
		p.Hint = "there is nothing at all in this account and region"
	}
	return p
}
