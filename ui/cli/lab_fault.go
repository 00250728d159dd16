package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"kxops/labs"
	"kxops/ui/text"
)

func newLabFault(s *session) *cobra.Command {
	var f labFlags
	var off bool
	c := &cobra.Command{
		Use:   "fault LAB [NAME]",
		Short: "Break a lab, or let the broken part be mended",
		Long: `Without a name lists the faults of a lab and which of them stand. With one it breaks
the lab, by calls that somebody could make by mistake; --off is what the team that owns
the broken part would do about it. What was damaged meanwhile is yours to repair.`,
		Example: "  kxops lab fault lab2\n  kxops lab fault lab2 archive-denied\n  kxops lab fault lab2 archive-denied --off",
		Args:    takes(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			g, err := s.mustGround(c.Context(), f)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return g.listFaults(c.Context(), l)
			}
			return g.fault(c.Context(), l, args[1], off)
		},
	}
	f.register(c)
	c.Flags().BoolVar(&off, "off", false, "mend it instead")
	return c
}

func (g *ground) listFaults(ctx context.Context, l *labs.Lab) error {
	standing, err := l.In(g.place).Standing(ctx)
	if err != nil {
		return g.explain(err)
	}
	there := map[string]bool{}
	for _, f := range standing {
		there[f.Name] = true
	}
	type faultReport struct {
		Name    string `json:"name"`
		About   string `json:"about"`
		Stands  bool   `json:"stands"`
		Lasting bool   `json:"lasting"`
	}
	var out []faultReport
	for _, f := range l.Faults() {
		out = append(out, faultReport{f.Name, f.About, there[f.Name], f.Lasting()})
	}
	if g.json() {
		return g.printJSON(map[string]any{"schema": "kxops/lab-faults/v1", "faults": out})
	}
	for _, f := range out {
		state := "-"
		if f.Stands {
			state = "stands"
		}
		if err := g.printText(fmt.Sprintf("%-20s %-8s %s\n", f.Name, state, f.About)); err != nil {
			return err
		}
	}
	return nil
}

// fault breaks or mends. On AWS it asks: it is somebody's account.
func (g *ground) fault(ctx context.Context, l *labs.Lab, name string, off bool) error {
	stack := l.In(g.place)
	if !g.place.Sandbox {
		if err := g.mayRaise(); err != nil {
			return err
		}
		if err := g.sure(ctx, fmt.Sprintf("change the lab %s on %s? y/N ", l.ID, text.Clean(g.where())), "y", "yes"); err != nil {
			return err
		}
	}
	if g.dryRun {
		fmt.Fprintln(g.Err, "--dry-run: nothing was changed")
		return nil
	}
	if off {
		if err := g.noting(l, func(note func(labs.Sent) error) error { return stack.Mend(ctx, name, note) }); err != nil {
			return err
		}
		fmt.Fprintf(g.Err, "%s is mended\n", name)
		return nil
	}
	err := g.noting(l, func(note func(labs.Sent) error) error { return stack.Break(ctx, name, note) })
	if err != nil {
		return err
	}
	fmt.Fprintf(g.Err, "%s stands; kxops lab fault %s %s --off mends what can be mended\n", name, l.ID, name)
	return nil
}

// noting gives what notes the fate of an event in the lab's ledger.
func (g *ground) noting(l *labs.Lab, do func(note func(labs.Sent) error) error) (err error) {
	path := g.ledgerPath(l)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("note the events: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("note the events: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	ledger := json.NewEncoder(file)
	return do(func(e labs.Sent) error { return ledger.Encode(e) })
}

func newLabExercise(s *session) *cobra.Command {
	var f labFlags
	c := &cobra.Command{
		Use:   "exercise LAB [NUMBER]",
		Short: "Game-day exercises: list them, or begin one",
		Long: `Without a number lists the exercises of a lab. With one it sends some traffic, breaks
the lab and says what the pager says. "kxops lab check LAB --exercise NUMBER" says how
far it is solved.`,
		Example: "  kxops lab exercise lab2\n  kxops lab exercise lab2 4\n  kxops lab check lab2 --exercise 4",
		Args:    takes(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return s.listExercises(l)
			}
			e, err := theExercise(l, args[1])
			if err != nil {
				return err
			}
			g, err := s.mustGround(c.Context(), f)
			if err != nil {
				return err
			}
			return g.begin(c.Context(), l, e)
		},
	}
	f.register(c)
	return c
}

func theExercise(l *labs.Lab, word string) (labs.Exercise, error) {
	n, err := strconv.Atoi(word)
	if err != nil {
		return labs.Exercise{}, wrongUsage(fmt.Sprintf("the number of an exercise, not %q", word))
	}
	e, err := l.Exercise(n)
	if err != nil {
		return e, wrongUsage(err.Error())
	}
	return e, nil
}

func (s *session) listExercises(l *labs.Lab) error {
	if s.json() {
		return s.printJSON(map[string]any{"schema": "kxops/lab-exercises/v1", "exercises": l.Exercises()})
	}
	for _, e := range l.Exercises() {
		if err := s.printText(fmt.Sprintf("%d  %s\n   %s\n", e.Number, e.Title, e.Report)); err != nil {
			return err
		}
	}
	return nil
}

// exerciseTraffic is what is sent before and after an exercise's fault, events.
const exerciseTraffic = 200

// begin sends traffic, breaks the lab, and sends traffic into it.
func (g *ground) begin(ctx context.Context, l *labs.Lab, e labs.Exercise) error {
	stack := l.In(g.place)
	if !g.place.Sandbox {
		if err := g.mayRaise(); err != nil {
			return err
		}
		if err := g.sure(ctx, fmt.Sprintf("begin exercise %d on %s? y/N ", e.Number, text.Clean(g.where())), "y", "yes"); err != nil {
			return err
		}
	}
	var ledger []labs.Sent
	err := g.noting(l, func(note func(labs.Sent) error) error {
		keep := func(s labs.Sent) error {
			ledger = append(ledger, s)
			return note(s)
		}
		send := func() error {
			return stack.Send(ctx, labs.Traffic{Count: exerciseTraffic, Seed: uint64(e.Number)}, keep)
		}
		if err := send(); err != nil {
			return err
		}
		if e.Fault == "" {
			return nil
		}
		// What was sent before the fault is processed before it.
		if err := g.until(ctx, stack, ledger); err != nil {
			return err
		}
		if err := errors.Join(stack.Break(ctx, e.Fault, keep), send()); err != nil {
			return err
		}
		return g.begun(ctx, stack, e, ledger)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(g.Err, "exercise %d: %s\n  %s\n", e.Number, e.Title, e.Report)
	for _, h := range e.Hints {
		fmt.Fprintf(g.Err, "  - %s\n", h)
	}
	if e.Fault != "" {
		fmt.Fprintf(g.Err, "when you know what is broken, the team mends it: kxops lab fault %s NAME --off\n", l.ID)
	}
	fmt.Fprintf(g.Err, "kxops lab check %s --exercise %d says how far it is solved\n", l.ID, e.Number)
	return nil
}

// until waits until every event of a ledger is processed, ten minutes at most.
func (g *ground) until(ctx context.Context, stack *labs.Stack, ledger []labs.Sent) error {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	for {
		b, err := stack.Check(ctx, ledger)
		if err != nil {
			return err
		}
		if b.Whole() {
			return nil
		}
		if err := pause(ctx, lookAgain); err != nil {
			return fmt.Errorf("the lab does not settle: %d events are not processed, %d messages wait: %w", len(b.Missing), b.Waiting, err)
		}
	}
}

// begun waits until what was sent has met the fault, ten minutes at most.
func (g *ground) begun(ctx context.Context, stack *labs.Stack, e labs.Exercise, ledger []labs.Sent) error {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	for {
		if ok, err := stack.Begun(ctx, e, ledger); ok || err != nil {
			return err
		}
		if err := pause(ctx, lookAgain); err != nil {
			return fmt.Errorf("the fault %s does not show: %w", e.Fault, err)
		}
	}
}

func (s *session) printScore(marks []labs.Mark) error {
	solved := true
	for _, m := range marks {
		solved = solved && m.Met
	}
	if s.json() {
		type markReport struct {
			Text string `json:"text"`
			Met  bool   `json:"met"`
			Why  string `json:"not_known,omitempty"`
		}
		out := []markReport{}
		for _, m := range marks {
			r := markReport{Text: m.Text, Met: m.Met}
			if m.Err != nil {
				r.Why = m.Err.Error()
			}
			out = append(out, r)
		}
		if err := s.printJSON(map[string]any{"schema": "kxops/lab-score/v1", "solved": solved, "criteria": out}); err != nil {
			return err
		}
	} else {
		for _, m := range marks {
			mark := "not yet"
			switch {
			case m.Err != nil:
				mark = "?"
			case m.Met:
				mark = "yes"
			}
			line := fmt.Sprintf("%-8s %s", mark, m.Text)
			if m.Err != nil {
				line += ": " + m.Err.Error()
			}
			if err := s.printText(text.Clean(line) + "\n"); err != nil {
				return err
			}
		}
	}
	if !solved {
		return &exitWith{code: exitFindings}
	}
	return nil
}
