package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/dlq"
	"kxops/ops/journal"
	"kxops/ops/replay"
	"kxops/ui"
	"kxops/ui/text"
)

// journalLines is how many entries are listed without being asked for one.
const journalLines = 50

func newJournal(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "journal [ID]",
		Short: "What was done, by whom, why, and what became of it",
		Long: `Prints the last entries of the journal, oldest first, or everything about one ID: of an
operation on messages also what became of them, with the ids of those that were
rejected, are unknown, or came back. With -o json each entry is one object a line, and
the operation's record one more.`,
		Args: takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			j, err := journal.Open("")
			if err != nil {
				return err
			}
			if j.Notice() != "" {
				fmt.Fprintln(s.Err, j.Notice())
			}
			limit := journalLines
			if len(args) > 0 {
				limit = 0
			}
			entries, err := j.Entries(limit)
			if err != nil && entries == nil {
				return err
			} else if err != nil {
				fmt.Fprintln(s.Err, "kxops: "+oneLine(err.Error()))
			}
			if len(args) > 0 {
				if entries, err = about(entries, args[0]); err != nil {
					return err
				}
			}
			if err := s.printEntries(entries, len(args) > 0); err != nil || len(args) == 0 {
				return err
			}
			return s.printPast(j, args[0])
		},
	}
}

func about(entries []journal.Entry, id string) ([]journal.Entry, error) {
	var found []journal.Entry
	var ids []string
	for _, e := range entries {
		if ids = append(ids, e.ID); e.ID == id {
			found = append(found, e)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	p := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("the journal has nothing about %q", id), Hint: "it is empty"}
	slices.Sort(ids)
	if near := ops.Nearest(id, slices.Compact(ids), 3); len(near) > 0 {
		p.Hint = "did you mean " + orList(near) + "?"
	}
	return nil, p
}

func (s *session) printEntries(entries []journal.Entry, whole bool) error {
	if s.json() {
		lines := json.NewEncoder(s.Out)
		for _, e := range entries {
			if err := lines.Encode(e); err != nil {
				return fmt.Errorf("write the journal: %w", err)
			}
		}
		return nil
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s  %s  %-9s  %-8s  %s", e.At.UTC().Format(zoned), e.ID, e.Kind, e.Outcome, text.Clean(e.What))
		if whole {
			fmt.Fprintf(&b, "\n    by %s in %s %s; %d calls, $%.4f", text.Clean(e.Actor), orUnknown(e.Account), orUnknown(e.Region), e.Calls, e.USD)
			if e.Reason != "" {
				fmt.Fprintf(&b, "\n    because %s", text.Clean(e.Reason))
			}
		}
		b.WriteByte('\n')
	}
	if len(entries) == 0 {
		fmt.Fprintln(s.Err, "the journal is empty")
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// operationReport is what became of an operation, as its record says.
type operationReport struct {
	Schema  string     `json:"schema"` // kxops/operation/v1
	Ended   bool       `json:"ended"`  // false: it runs, or was interrupted
	Last    *time.Time `json:"last_at"`
	Notice  string     `json:"notice,omitempty"`
	Targets []ops.ARN  `json:"to"`
	resultReport
}

// printPast prints the record of an operation; a session has none.
func (s *session) printPast(j *journal.Journal, id string) error {
	if replay.Is(j, id) {
		past, err := replay.New(replay.Options{Journal: j}).Show(id)
		if err != nil {
			return err
		}
		return (&tapes{session: s}).printReplay(past)
	}
	past, err := dlq.ReadPast(j, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	took := past.Last.Sub(past.Result.Started)
	r := operationReport{"kxops/operation/v1", past.Ended, when(past.Last), oneLine(past.Notice), []ops.ARN{}, newResultReport(past.Result, took)}
	for _, t := range past.Plan.To {
		r.Targets = append(r.Targets, t.ARN)
	}
	if s.json() {
		r.resultReport.Schema = ""
		return s.printLine(r)
	}
	p := s.paper()
	shown := r.resultReport
	if !past.Ended { // nothing in the record says that an error stopped it
		shown.State = "not finished"
	}
	p.result(shown)
	if !past.Ended {
		p.folded("  ", "it has no end: it runs, or was interrupted; `kxops dlq resume` lists what can be finished")
	}
	if r.Notice != "" {
		p.folded("  ", r.Notice)
	}
	return s.printText(p.b.String())
}

func orUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return text.Clean(s)
}

// journalForConsole returns the journal of a directory ("": the person's own) as
// its screen shows it, newest first.
func journalForConsole(dir string) ([]ui.JournalEntry, error) {
	j, err := journal.Open(dir)
	if err != nil {
		return nil, err
	}
	entries, err := j.Entries(500)
	var out []ui.JournalEntry
	for _, e := range slices.Backward(entries) {
		out = append(out, ui.JournalEntry{ID: e.ID, At: e.At, Who: e.Actor, What: e.What, Resource: e.Region, Outcome: string(e.Outcome)})
	}
	return out, err
}
