package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"kxops/ops"
	"kxops/ops/dlq"
	"kxops/ui/text"
)

// idsShown bounds the message ids of one kind in a text result.
const idsShown = 20

// finish follows an operation until it is over and tells what became of it.
func (b *bench) finish(ctx context.Context, op *dlq.Operation, id string) error {
	b.say("operation " + id + " has begun; should this be interrupted, `kxops --access change dlq resume " + id + "` finishes it")
	started := time.Now()
	result, err := b.follow(ctx, op, id)
	if err != nil {
		return err
	}
	if result.ID == "" {
		result.ID = id
	}
	result.Next = append(result.Next, afterwards(op.Plan(), result)...)
	if err := b.printResult(result, time.Since(started)); err != nil {
		return err
	}
	return resultCode(result)
}

// afterwards is what is left to a person when an operation is over: to look for what
// fails again where nobody watched, and the way back from an archive.
func afterwards(plan ops.Plan, r ops.Result) []string {
	queue := shellWord(plan.From.Name())
	switch {
	case r.Sent == 0:
	case plan.Verb == ops.Archive:
		return []string{fmt.Sprintf("the messages are in %s; kxops --access change dlq restore %s --in %s puts them back", plan.File, queue, shellWord(plan.File))}
	case plan.Verb == ops.Redrive && plan.Pace.Watch == 0:
		for _, f := range plan.Facts {
			if f.Name == "Back after" {
				back, _, _ := strings.Cut(f.Value, " (")
				return []string{"nothing watched for returns: " + back + "; look again: kxops dlq groups " + queue}
			}
		}
	}
	return nil
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:+@%,=", r))
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// follow shows the progress. The first interrupt asks the operation to finish
// what is in hand; the second leaves it where it stands, which its record knows.
func (b *bench) follow(ctx context.Context, op *dlq.Operation, id string) (ops.Result, error) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	bar := b.progressLine()
	defer bar.end()
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	asked := ctx.Done()
	for seen := 0; ; {
		select {
		case <-op.Done():
			return op.Wait(), nil
		case <-asked:
			asked = nil
			op.Cancel()
			bar.tell("stopping: what is in hand is finished first; once more stops at once")
		case <-signals:
			if seen++; seen < 2 {
				continue // the context tells the first one
			}
			b.gone = true
			return ops.Result{}, &exitWith{
				code: exitError, what: "stopped at once; operation " + id + " is not finished, its record stands",
				hint: "kxops --access change dlq resume " + id,
			}
		case <-tick.C:
			bar.show(progressText(op.Progress()))
		}
	}
}

// progressText is where an operation is, in one line.
func progressText(p ops.Progress) string {
	parts := []string{string(p.State)}
	if p.Stage != "" {
		parts[0] = p.Stage
	}
	if p.Verb == ops.Move {
		parts = append(parts, "moved "+countOr(p.Moved)+" as far as SQS tells", countOr(p.Depth)+" left in the queue")
	} else {
		parts = append(parts, fmt.Sprintf("sent %s of %s", thousands(p.Sent), thousands(p.Total)))
	}
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, thousands(n)+" "+what)
		}
	}
	add(p.Rejected, "rejected")
	add(p.Unknown, "unknown")
	add(p.Returned, "returned")
	add(p.Missing, "missing")
	if p.State == ops.Watching {
		parts = append(parts, "watching for returns until "+p.Until.UTC().Format(time.TimeOnly)+" UTC")
	}
	if p.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%.0f/s", p.Rate))
	}
	if eta, ok := p.ETA.Value(); ok && eta > 0 {
		parts = append(parts, ops.Span(eta)+" left")
	}
	if p.Note != "" && (p.Verb != ops.Move || !strings.HasPrefix(p.Note, "SQS says ")) { // that says the count again
		parts = append(parts, p.Note)
	}
	return strings.Join(parts, " · ")
}

// resultReport is the result as a document: a contract with scripts.
type resultReport struct {
	Schema     string         `json:"schema"` // kxops/result/v1
	ID         string         `json:"id"`
	Verb       ops.Verb       `json:"verb"`
	From       ops.ARN        `json:"from"`
	State      ops.RunState   `json:"state"`
	TookS      float64        `json:"took_s"`
	Total      int            `json:"total"`
	Sent       int            `json:"sent"`
	Deleted    int            `json:"deleted"`
	Pending    int            `json:"delete_pending"`
	Rejected   int            `json:"rejected"`
	Unknown    int            `json:"unknown"`
	Returned   int            `json:"returned"`
	Missing    int            `json:"missing"`   // in the plan and not found: expired, or taken by somebody else
	Untouched  int            `json:"untouched"` // not begun with, because it stopped before
	Moved      *float64       `json:"moved"`     // native task: what SQS says, it lags
	Depth      *float64       `json:"depth"`
	Calls      int            `json:"calls"`
	USD        float64        `json:"total_usd"`
	Note       string         `json:"note,omitempty"`
	Rejections []ops.Refusal  `json:"rejections"`
	UnknownIDs []string       `json:"unknown_ids"`
	Returns    []string       `json:"returned_ids"`
	MissingIDs []string       `json:"missing_ids"`
	LeftIDs    []string       `json:"untouched_ids"`
	PendingIDs []string       `json:"delete_pending_ids"`
	Next       []string       `json:"next"`
	Problem    *problemReport `json:"problem"`
}

func newResultReport(r ops.Result, took time.Duration) resultReport {
	out := resultReport{
		Schema: "kxops/result/v1", ID: r.ID, Verb: r.Verb, From: r.From, State: r.State, TookS: rounded(took.Seconds()),
		Total: r.Total, Sent: r.Sent, Deleted: r.Deleted, Pending: r.Pending, Rejected: r.Rejected, Unknown: r.Unknown,
		Returned: r.Returned, Missing: r.Missing, Moved: number(r.Moved), Depth: number(r.Depth), Calls: r.Calls, USD: r.USD,
		Note: oneLine(r.Note), Rejections: append([]ops.Refusal{}, r.Rejections...), UnknownIDs: sorted(r.UnknownIDs),
		Returns: sorted(r.ReturnedIDs), MissingIDs: sorted(r.MissingIDs), PendingIDs: sorted(r.PendingIDs),
		Next: append([]string{}, r.Next...), Problem: newProblemReport(r.Problem), LeftIDs: []string{},
	}
	if r.State != ops.Finished && r.State != ops.Incomplete { // it did not look for everything
		out.Untouched, out.LeftIDs = out.Missing, out.MissingIDs
		out.Missing, out.MissingIDs = 0, []string{}
	}
	return out
}

func sorted(ids []string) []string {
	out := append([]string{}, ids...)
	slices.Sort(out)
	return out
}

func (b *bench) printResult(r ops.Result, took time.Duration) error {
	report := newResultReport(r, took)
	if b.json() {
		return b.printLine(report)
	}
	p := b.paper()
	p.result(report)
	return b.printText(p.b.String())
}

func stateText(s ops.RunState) (word, color string) {
	switch s {
	case ops.Finished:
		return "done", "32"
	case ops.Incomplete:
		return "done in part", "33"
	case ops.Cancelled:
		return "cancelled", "33"
	case ops.Halted:
		return "halted by its own guard", "1;31"
	case ops.Broken:
		return "stopped by an error", "1;31"
	}
	return string(s), ""
}

// result is the result card.
func (p *printer) result(r resultReport) {
	word, color := stateText(r.State)
	p.line(p.paint("1", string(r.Verb)+" "+r.ID) + ": " + p.paint(color, word) + fmt.Sprintf(", took %s, %s, %s",
		took(time.Duration(r.TookS*float64(time.Second))), countOf(r.Calls, "call"), dollars(r.USD)))
	count := func(name string, n int, why string) {
		if n > 0 {
			p.folded(fmt.Sprintf("  %-9s ", name), strings.TrimSuffix(thousands(n)+"  "+why, "  "))
		}
	}
	if r.Verb == ops.Move {
		p.line(fmt.Sprintf("  %-9s %s  (SQS's own count lags; the queue says it holds %s)", "moved", countPtr(r.Moved), countPtr(r.Depth)))
	} else if r.Total > 0 {
		p.line(fmt.Sprintf("  %-9s %s of %s", "sent", thousands(r.Sent), thousands(r.Total)))
		count("deleted", r.Deleted, "from "+named(r.From.Name()))
	}
	count("pending", r.Pending, "sent, and not yet deleted for certain: resuming only deletes them")
	count("rejected", r.Rejected, "still where they were")
	count("unknown", r.Unknown, "no answer came: they are still where they were, and may also have arrived")
	count("returned", r.Returned, "failed again and came back")
	count("left", r.Untouched, "not begun with: still "+leftIn(r))
	count("missing", r.Missing, "in the plan and not found: expired, or taken by somebody else")
	if r.Note != "" {
		p.folded("  ", r.Note)
	}
	if r.Problem != nil {
		p.folded("  error: ", r.Problem.What)
	}
	p.rejections(r.Rejections)
	p.ids("unknown", r.UnknownIDs)
	p.ids("returned", r.Returns)
	p.ids("missing", r.MissingIDs)
	p.ids("not begun with", r.LeftIDs)
	p.ids("pending", r.PendingIDs)
	p.sentences("next", "", r.Next)
}

// leftIn is where the messages are that were not begun with.
func leftIn(r resultReport) string {
	if r.Verb == ops.Restore || r.Verb == ops.Import {
		return "only in the file"
	}
	return "in " + named(r.From.Name())
}

func countPtr(v *float64) string {
	if v == nil {
		return "?"
	}
	return thousands(int(*v))
}

func (p *printer) rejections(rs []ops.Refusal) {
	p.list("rejected", min(len(rs), idsShown), func(i int) {
		p.folded("  "+named(rs[i].ID)+"  ", oneLine(strings.TrimSpace(rs[i].Code+" "+rs[i].Why)))
	})
	p.rest(len(rs))
}

func (p *printer) ids(head string, ids []string) {
	p.list(head, min(len(ids), idsShown), func(i int) { p.line("  " + text.Clean(ids[i])) })
	p.rest(len(ids))
}

func (p *printer) rest(n int) {
	if n > idsShown {
		p.line(fmt.Sprintf("  and %s more: -o json and `kxops journal ID` name them all", thousands(n-idsShown)))
	}
}

// resultCode is the exit code of a result; what it says is printed already.
func resultCode(r ops.Result) error {
	switch r.State {
	case ops.Halted:
		return &exitWith{code: exitHalted}
	case ops.Broken:
		if r.Problem != nil {
			return r.Problem
		}
		return &exitWith{code: exitError, what: "stopped by an error", hint: "kxops --access change dlq resume " + r.ID}
	case ops.Finished:
		if r.Rejected+r.Unknown+r.Missing+r.Pending+r.Returned == 0 {
			return nil
		}
	}
	return &exitWith{code: exitPartial}
}
