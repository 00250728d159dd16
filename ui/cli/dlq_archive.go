package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"kxops/ops"
)

func newDlqArchive(s *session) *cobra.Command {
	var (
		look   lookFlags
		sel    selectionFlags
		change changeFlags
		out    string
	)
	c := &cobra.Command{
		Use:   "archive QUEUE",
		Short: "A full copy into a file, then delete: there is no purge here",
		Long: `Writes the selected messages into a new file, whole: body, all attributes, ids. Only
what is in the file for certain is deleted. "kxops dlq restore" puts an archive back;
a message that is put back has a new id and a new age, and no source queue.

The file has the messages' bodies in it; only its owner can read it.

Exit codes: as "kxops dlq redrive".`,
		Example: `  kxops --access change dlq archive orders-dlq --group s3-TestEvent-71aa --out tests.jsonl
  kxops dlq archive orders-dlq --older-than 10d --out old.jsonl --dry-run`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := change.check(c, s, "out", "lease"); err != nil {
				return err
			}
			if !change.needsPlan() {
				return s.applySaved(c.Context(), args[0], change, ops.Archive)
			}
			if out == "" {
				return wrongUsage("--out FILE is missing: the copy comes before the delete")
			}
			if err := firstError(look.check(), sel.check(c, true)); err != nil {
				return err
			}
			return s.changeSelected(c.Context(), args[0], look, func(q ops.Queue) ops.Ask {
				return ops.Ask{Verb: ops.Archive, Queue: q.ARN, Select: sel.of(q), File: out, Reason: s.reason}
			}, change)
		},
	}
	c.Flags().StringVar(&out, "out", "", "the new file")
	sel.register(c)
	change.register(c, true)
	look.register(c, wholeQueue, "look at so many messages at most")
	return c
}

func newDlqRestore(s *session) *cobra.Command {
	var in string
	var again bool
	var change changeFlags
	c := &cobra.Command{
		Use:   "restore QUEUE",
		Short: "Put an archive back",
		Long: `Sends the messages of an archive into the queue, as they were: body, attributes, group.
Their ids, their ages and the queue they once came from cannot be brought back, so a
later redrive needs --to. The file is read whole before anything is sent.

Exit codes: as "kxops dlq redrive".`,
		Example: "  kxops --access change dlq restore orders-dlq --in tests.jsonl",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return s.fromFile(c.Context(), args[0], ops.Restore, in, again, change)
		},
	}
	c.Flags().StringVar(&in, "in", "", "the archive")
	c.Flags().BoolVar(&again, "again", false, sentAgain)
	change.register(c, false)
	return c
}

func newDlqExport(s *session) *cobra.Command {
	var (
		look lookFlags
		sel  selectionFlags
		out  string
	)
	c := &cobra.Command{
		Use:   "export QUEUE",
		Short: "A full copy into a file; nothing is deleted",
		Long: `Writes the selected messages into a new file of JSON lines, whole: body byte for byte,
all attributes with their types, ids. A name that ends in .gz or .zst is compressed.
"kxops dlq import" and "kxops dlq restore" read it. Only its owner can read the file.`,
		Example: `  kxops dlq export orders-dlq --all --out orders.jsonl.gz
  kxops dlq export orders-dlq --group Timeout-4c1e --out timeouts.jsonl`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return wrongUsage("--out FILE is missing")
			}
			if err := firstError(look.check(), sel.check(c, true)); err != nil {
				return err
			}
			return s.dlqExport(c.Context(), args[0], look, sel, out)
		},
	}
	c.Flags().StringVar(&out, "out", "", "the new file")
	sel.register(c)
	look.register(c, wholeQueue, "look at so many messages at most")
	return c
}

// exportReport is `kxops dlq export -o json`: a contract with scripts.
type exportReport struct {
	Schema   string  `json:"schema"` // kxops/export/v1
	Queue    ops.ARN `json:"queue"`
	File     string  `json:"file"`
	Messages int     `json:"messages"`
}

func (s *session) dlqExport(ctx context.Context, queue string, f lookFlags, sel selectionFlags, out string) (err error) {
	b, err := s.toLook(ctx, queue)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	pile, err := b.lookAndRelease(ctx, f)
	if err != nil {
		return err
	}
	letters, err := b.selected(pile, sel.of(b.queue))
	if err != nil {
		return err
	}
	report := exportReport{"kxops/export/v1", b.queue.ARN, out, len(letters)}
	switch {
	case len(letters) == 0:
		b.say("nothing to export: no file was written")
		report.File = ""
	case s.dryRun:
		b.say(fmt.Sprintf("would write %s into %s", countOf(len(letters), "message"), out))
	default:
		if report.Messages, err = b.desk.Export(ctx, pile, sel.of(b.queue), out); err != nil {
			return neverOverwritten(out, err)
		}
	}
	if s.json() {
		return s.printJSON(report)
	}
	if report.File == "" || s.dryRun {
		return nil
	}
	return s.printText(fmt.Sprintf("exported %s of %s into %s\n", countOf(report.Messages, "message"), b.queue.Name, out))
}

func newDlqImport(s *session) *cobra.Command {
	var in string
	var again bool
	var change changeFlags
	c := &cobra.Command{
		Use:   "import QUEUE",
		Short: "Send the messages of a JSON lines file",
		Long: `Sends what "kxops dlq export" wrote, or lines made by hand: one JSON object a line,
with "body" or "body_base64", and optionally "attributes". The file is read whole
before anything is sent; a line that is wrong is named and nothing is sent.

Exit codes: as "kxops dlq redrive".`,
		Example: "  kxops --access change dlq import orders --in fixed.jsonl",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return s.fromFile(c.Context(), args[0], ops.Import, in, again, change)
		},
	}
	c.Flags().StringVar(&in, "in", "", "the file")
	c.Flags().BoolVar(&again, "again", false, sentAgain)
	change.register(c, false)
	return c
}

const sentAgain = "send messages too that an earlier restore or import sent to this queue: they will be there twice"

func (s *session) fromFile(ctx context.Context, queue string, verb ops.Verb, in string, again bool, f changeFlags) error {
	if in == "" {
		return wrongUsage(fmt.Sprintf("--in FILE is missing: what to %s", verb))
	}
	if err := notAPlan(in); err != nil {
		return err
	}
	return badFile(in, s.change(ctx, queue, func(q ops.Queue) ops.Ask {
		return ops.Ask{Verb: verb, Queue: q.ARN, File: in, Again: again, Reason: s.reason}
	}, f))
}

// planHead is how a plan file begins.
var planHead = regexp.MustCompile(`^\s*\{\s*"schema"\s*:\s*"` + regexp.QuoteMeta(ops.PlanSchema) + `"`)

// notAPlan refuses a plan where a file of messages is wanted, and a file that
// cannot be read, before anything is asked of AWS.
func notAPlan(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return &exitWith{code: exitError, what: "the file cannot be read: " + err.Error(), err: err}
	}
	defer f.Close()
	head := make([]byte, 256)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return &exitWith{code: exitError, what: "the file cannot be read: " + err.Error(), err: err}
	}
	if planHead.Match(head[:n]) {
		return &exitWith{code: exitError, what: path + " is a plan, and no file of messages", hint: "this is a plan; use --plan, as in `kxops dlq redrive QUEUE --plan " + path + "`"}
	}
	return nil
}

// badFile makes an error of what is wrong with a file: nobody refused anything.
func badFile(path string, err error) error {
	p := ops.AsProblem(err)
	whole, absErr := filepath.Abs(path)
	var told *exitWith
	if p == nil || errors.As(err, &told) || absErr != nil || p.Fault != ops.FaultRefused || !strings.HasPrefix(p.What, whole+", line ") {
		return err
	}
	return &exitWith{code: exitError, what: p.What, hint: p.Hint, err: err}
}
