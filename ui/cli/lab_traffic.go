package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"kxops/labs"
	"kxops/ui/text"
)

// trafficFlags are what `kxops lab traffic` takes.
type trafficFlags struct {
	labFlags
	rate  float64
	count int
	last  spanFlag
	bad   shareFlag
	seed  uint64
}

func newLabTraffic(s *session) *cobra.Command {
	var f trafficFlags
	c := &cobra.Command{
		Use:   "traffic LAB",
		Short: "Send events to a lab's front door, and note each one's fate",
		Long: `Sends made-up events to the lab's API and writes the id and the fate of each into a
ledger, which "kxops lab check" holds against what arrived. --bad makes a share of them
events that cannot be processed: most become dead letters, some are turned away at the
door.`,
		Example: `  kxops lab traffic lab2 --rate 20 --for 1m
  kxops lab traffic lab2 --count 10000 --rate 0 --bad 1%`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			if f.rate < 0 || f.count < 0 {
				return wrongUsage("--rate and --count must not be negative")
			}
			return s.labTraffic(c.Context(), l, f)
		},
	}
	f.register(c)
	c.Flags().Float64Var(&f.rate, "rate", 10, "events per second; 0: as fast as it goes")
	c.Flags().IntVar(&f.count, "count", 0, "how many events; 0: until --for is over or ctrl+c")
	c.Flags().Var(&f.last, "for", "how long; default: until --count is reached or ctrl+c")
	c.Flags().Var(&f.bad, "bad", "share of events that cannot be processed, such as 1%")
	c.Flags().Uint64Var(&f.seed, "seed", defaultSeed, "makes the events repeatable")
	return c
}

// ledgerPath is where the fates of a lab's events are noted, one file for each lab
// and account.
func (g *ground) ledgerPath(l *labs.Lab) string {
	place := g.place.Account + "-" + g.place.Region
	if g.place.Sandbox {
		place = "sandbox-" + strings.NewReplacer("://", "-", ":", "-", "/", "-").Replace(g.found.Endpoint)
	}
	return filepath.Join(xdg.StateHome, "kxops", "labs", l.ID+"-"+place+".jsonl")
}

func (s *session) labTraffic(ctx context.Context, l *labs.Lab, f trafficFlags) error {
	g, err := s.mustGround(ctx, f.labFlags)
	if err != nil {
		return err
	}
	if !g.place.Sandbox {
		if err := mayChange(g.account); err != nil {
			return err
		}
	}
	if f.last > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.last))
		defer cancel()
	}
	var sum trafficReport
	line := s.progressLine()
	began := time.Now()
	err = g.noting(l, func(note func(labs.Sent) error) error {
		return l.In(g.place).Send(ctx, labs.Traffic{Rate: f.rate, Count: f.count, Bad: float64(f.bad), Seed: f.seed}, func(e labs.Sent) error {
			sum.add(e)
			line.show(sum.String())
			return note(e)
		})
	})
	line.end()
	if err != nil {
		return err
	}
	sum.Seconds = time.Since(began).Seconds()
	return s.printTraffic(sum)
}

// trafficReport counts fates.
type trafficReport struct {
	Sent     int     `json:"sent"`
	Accepted int     `json:"accepted"`
	Rejected int     `json:"rejected"`
	Unsure   int     `json:"unsure"`
	Seconds  float64 `json:"seconds"`
	Why      string  `json:"last_refusal,omitempty"`
}

func (r *trafficReport) add(e labs.Sent) {
	r.Sent++
	switch {
	case e.Accepted():
		r.Accepted++
	case e.Unknown():
		r.Unsure++
		r.Why = e.Why
	default:
		r.Rejected++
		r.Why = e.Why
	}
}

func (r trafficReport) String() string {
	return fmt.Sprintf("%d sent: %d accepted, %d turned away, %d without a clear answer", r.Sent, r.Accepted, r.Rejected, r.Unsure)
}

func (s *session) printTraffic(r trafficReport) error {
	if s.json() {
		return s.printJSON(map[string]any{"schema": "kxops/lab-traffic/v1", "traffic": r})
	}
	out := fmt.Sprintf("%s, in %.1f s\n", r, r.Seconds)
	if r.Why != "" {
		out += "the last one that was not accepted: " + text.Clean(text.Cut(r.Why, 200)) + "\n"
	}
	return s.printText(out)
}

// readLedger reads the fates of a lab's events. A last line that a crash cut off
// is left out.
func readLedger(path string) ([]labs.Sent, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	defer file.Close()
	var out []labs.Sent
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var e labs.Sent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return out, nil
		}
		out = append(out, e)
	}
	return out, nil
}

func newLabCheck(s *session) *cobra.Command {
	var f labFlags
	var wait spanFlag
	var exercise string
	c := &cobra.Command{
		Use:   "check LAB",
		Short: "Account for every event that was sent: nothing lost?",
		Long: `Holds the ledger of "kxops lab traffic" against the lab: what was processed, what
Firehose put into the error prefix, what is in the dead-letter queue, what still waits.
It reads the table, the error prefix and the depths of the queues, and receives no
message. Exit code 10 while events are missing, 3 when something could not be read.`,
		Example: "  kxops lab check lab2 --wait 2m",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			var e *labs.Exercise
			if exercise != "" {
				found, err := theExercise(l, exercise)
				if err != nil {
					return err
				}
				e = &found
			}
			return s.labCheck(c.Context(), l, f, time.Duration(wait), e)
		},
	}
	f.register(c)
	c.Flags().StringVar(&exercise, "exercise", "", "the number of an exercise: say how far it is solved")
	c.Flags().Var(&wait, "wait", "look again until everything is accounted for, at most so long")
	return c
}

const (
	lookAgain  = 500 * time.Millisecond // between two looks of a check that waits
	settleMost = 10 * time.Minute       // how long an exercise waits for its lab
)

// pause waits for the time to pass, or for the context to end.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *session) labCheck(ctx context.Context, l *labs.Lab, f labFlags, wait time.Duration, e *labs.Exercise) error {
	g, err := s.mustGround(ctx, f)
	if err != nil {
		return err
	}
	ledger, err := readLedger(g.ledgerPath(l))
	if err != nil {
		return err
	}
	if len(ledger) == 0 {
		return refused("nothing was sent to this lab from here, so there is nothing to account for", "kxops lab traffic "+l.ID+" sends events")
	}
	stack := l.In(g.place)
	until := time.Now().Add(wait)
	if e != nil {
		return g.score(ctx, stack, *e, ledger, until)
	}
	var b labs.Balance
	for {
		if b, err = stack.Check(ctx, ledger); err != nil {
			return g.explain(err)
		}
		if b.Whole() || !time.Now().Before(until) {
			break
		}
		if err := pause(ctx, lookAgain); err != nil {
			return err
		}
	}
	if err := s.printBalance(b); err != nil {
		return err
	}
	right := true
	if l.Accounts {
		if right, err = g.tellBalances(ctx, stack); err != nil {
			return err
		}
	}
	switch {
	case len(b.Partial) > 0:
		return &exitWith{code: exitPartial}
	case !b.Whole() || !right:
		return &exitWith{code: exitFindings}
	}
	return nil
}

// tellBalances says whether the accounts are what the archived events say.
func (g *ground) tellBalances(ctx context.Context, stack *labs.Stack) (right bool, err error) {
	n, wrong, err := stack.Balances(ctx)
	if err != nil {
		return false, g.explain(err)
	}
	if g.json() {
		return len(wrong) == 0, g.printJSON(map[string]any{"schema": "kxops/lab-balances/v1", "accounts": n, "wrong": wrong})
	}
	if len(wrong) == 0 {
		return true, g.printText(fmt.Sprintf("all %d accounts are what the events in the store say\n", n))
	}
	out := fmt.Sprintf("%d of %d accounts are not what the events in the store say\n", len(wrong), n)
	for _, w := range wrong[:min(5, len(wrong))] {
		out += text.Clean(fmt.Sprintf("  %-8s is %d.%02d and should be %d.%02d", w.Account, w.Have/100, abs(w.Have%100), w.Want/100, abs(w.Want%100))) + "\n"
	}
	return false, g.printText(out)
}

func abs(n int64) int64 { return max(n, -n) }

// score says how far an exercise is solved, once it is or the time is over.
func (g *ground) score(ctx context.Context, stack *labs.Stack, e labs.Exercise, ledger []labs.Sent, until time.Time) error {
	for {
		marks, err := stack.Score(ctx, e, ledger)
		if err != nil {
			return g.explain(err)
		}
		if !slices.ContainsFunc(marks, func(m labs.Mark) bool { return !m.Met }) || !time.Now().Before(until) {
			return g.printScore(marks)
		}
		if err := pause(ctx, lookAgain); err != nil {
			return err
		}
	}
}

func (s *session) printBalance(b labs.Balance) error {
	if s.json() {
		return s.printJSON(map[string]any{"schema": "kxops/lab-check/v1", "whole": b.Whole(), "sent": b.Sent, "rejected": b.Rejected, "unsure": b.Unsure, "accepted": b.Accepted,
			"processed": b.Processed, "error_prefix": b.Errors, "dead_letters": b.Dead, "waiting": b.Waiting, "not_found": len(b.Missing), "lost": b.Lost(), "partial": b.Partial})
	}
	var out strings.Builder
	line := func(name string, n int, what string) { fmt.Fprintf(&out, "%-14s %8d  %s\n", name, n, what) }
	line("sent", b.Sent, "by the ledger on this machine")
	line("turned away", b.Rejected, "at the front door: the sender was told")
	if b.Unsure > 0 {
		line("unsure", b.Unsure, "no clear answer: they may have got in; sending them again does no harm")
	}
	line("accepted", b.Accepted, "")
	line("processed", b.Processed, "")
	line("error prefix", b.Errors, "no events by the transformation")
	line("dead letters", b.Dead, "")
	line("waiting", b.Waiting, "messages for the processing function")
	verdict := "every accepted event is accounted for"
	switch {
	case len(b.Partial) > 0:
		verdict = "not everything could be read: " + strings.Join(b.Partial, "; ")
	case b.Lost() > 0:
		verdict = fmt.Sprintf("%d accepted events are nowhere that was looked at: on their way, or lost; such as %s", b.Lost(), strings.Join(b.Missing[:min(3, len(b.Missing))], ", "))
	case b.Waiting > 0:
		verdict = "some wait to be processed"
	}
	out.WriteString(text.Clean(verdict) + "\n")
	return s.printText(out.String())
}
