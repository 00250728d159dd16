package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/dlq"
)

func newDlqTasks(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "tasks QUEUE",
		Short:   "SQS's own move tasks of a queue: running and past",
		Long:    `Lists the last move tasks of a queue, newest first, with how far they got and why they failed.`,
		Example: "  kxops dlq tasks orders-dlq\n  kxops dlq tasks orders-dlq -o json | jq '.tasks[0].status'",
		Args:    takes(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return s.dlqTasks(c.Context(), args[0]) },
	}
}

// tasksReport is `kxops dlq tasks -o json`: a contract with scripts.
type tasksReport struct {
	Schema string       `json:"schema"` // kxops/move_tasks/v1
	Queue  ops.ARN      `json:"queue"`
	Depth  *float64     `json:"depth"` // the counter of a task lags: this is what the queue says
	Tasks  []taskReport `json:"tasks"`
}

type taskReport struct {
	Status  string     `json:"status"`
	Handle  string     `json:"task_handle,omitempty"` // only while it runs
	To      *ops.ARN   `json:"to"`                    // null: each message to its own source
	Rate    *int       `json:"rate_per_s"`            // null: SQS decides
	Moved   int64      `json:"moved"`                 // approximate, it lags
	Total   int64      `json:"to_move"`               // when it began
	Started *time.Time `json:"started_at"`
	Failure string     `json:"failure,omitempty"`
}

func (s *session) dlqTasks(ctx context.Context, queue string) (err error) {
	b, err := s.atQueue(ctx, queue)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	tasks, err := b.desk.Tasks(ctx, b.queue)
	if err != nil {
		return err
	}
	r := newTasksReport(b.queue, tasks)
	if s.json() {
		return s.printJSON(r)
	}
	p := s.paper()
	p.tasks(r)
	return s.printText(p.b.String())
}

func newTasksReport(q ops.Queue, tasks []dlq.Task) tasksReport {
	r := tasksReport{Schema: "kxops/move_tasks/v1", Queue: q.ARN, Depth: number(q.Depth()), Tasks: []taskReport{}}
	for _, t := range tasks {
		x := taskReport{Status: t.Status, Handle: t.Handle, Rate: known(t.Rate), Moved: t.Moved, Total: t.Total, Started: when(t.Started), Failure: oneLine(t.Failure)}
		if t.To != "" {
			x.To = &t.To
		}
		r.Tasks = append(r.Tasks, x)
	}
	return r
}

func (p *printer) tasks(r tasksReport) {
	p.line(fmt.Sprintf("%s · %s · the queue says it holds %s", named(r.Queue.Name()), countOf(len(r.Tasks), "move task"), countPtr(r.Depth)))
	if len(r.Tasks) == 0 {
		return
	}
	p.b.WriteByte('\n')
	var rows [][]string
	for _, t := range r.Tasks {
		to, rate := "origin", "SQS decides"
		if t.To != nil {
			to = named(t.To.Name())
		}
		if t.Rate != nil {
			rate = fmt.Sprintf("%d/s", *t.Rate)
		}
		rows = append(rows, []string{t.Status, moment(t.Started), fmt.Sprintf("%s of %s", thousands(int(t.Moved)), thousands(int(t.Total))), rate, to, t.Failure})
	}
	p.aligned([]string{"STATUS", "STARTED", "MOVED", "RATE", "TO", "FAILURE"}, rows)
}

func newDlqCancel(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel QUEUE",
		Short: "Cancel the running move task of a queue",
		Long: `Cancels SQS's own move task. What it has moved stays moved. An operation of kxops is
cancelled where it runs, with ctrl+c. Needs --access change; asks unless --yes.`,
		Example: "  kxops --access change dlq cancel orders-dlq",
		Args:    takes(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return s.dlqCancel(c.Context(), args[0]) },
	}
}

func (s *session) dlqCancel(ctx context.Context, queue string) (err error) {
	b, err := s.atQueue(ctx, queue)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	tasks, err := b.desk.Tasks(ctx, b.queue)
	if err != nil {
		return err
	}
	running := newTasksReport(b.queue, nil)
	for _, t := range tasks {
		if t.Status == "RUNNING" {
			running.Tasks = append(running.Tasks, newTasksReport(b.queue, []dlq.Task{t}).Tasks...)
		}
	}
	if len(running.Tasks) == 0 {
		return &ops.Problem{Fault: ops.FaultNotFound, What: "no move task of " + b.queue.Name + " is running", Hint: "`kxops dlq tasks " + b.queue.Name + "` lists the past ones"}
	}
	if !s.json() {
		p := s.paper()
		p.tasks(running)
		if err := s.printText(p.b.String()); err != nil {
			return err
		}
	}
	if s.dryRun {
		if s.json() {
			return s.printJSON(running)
		}
		return nil
	}
	if err := b.mayChange(); err != nil {
		return err
	}
	if err := b.sure(ctx, "cancel it? what was moved stays moved; y/N ", "y", "yes"); err != nil {
		return err
	}
	moved, err := b.desk.CancelTask(ctx, b.queue)
	if err != nil {
		return err
	}
	if s.json() {
		return s.printJSON(struct {
			Schema string  `json:"schema"`
			Queue  ops.ARN `json:"queue"`
			Moved  int64   `json:"moved"`
		}{"kxops/move_task_cancelled/v1", b.queue.ARN, moved})
	}
	return s.printText(fmt.Sprintf("cancelled; SQS says about %s moved before\n", countOf(int(moved), "message")))
}

func newDlqResume(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "resume [OP]",
		Short: "Finish an interrupted operation from its record; without OP, list them",
		Long: `Continues an operation that was killed, from its record: what is recorded as sent is
deleted and never sent again; what was being sent and has no answer is listed as
unknown (in a FIFO queue it is sent again within five minutes: SQS drops the second).
Without OP it lists the interrupted operations of this machine.

Exit codes: as "kxops dlq redrive".`,
		Example: "  kxops dlq resume\n  kxops --access change dlq resume 20261122-224700-3f9a1c",
		Args:    takes(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return s.dlqUnfinished(c.Context())
			}
			return s.dlqResume(c.Context(), args[0])
		},
	}
}

// unfinishedReport is `kxops dlq resume -o json`: a contract with scripts.
type unfinishedReport struct {
	Schema     string                `json:"schema"` // kxops/unfinished/v1
	Operations []interruptedOpReport `json:"operations"`
}

type interruptedOpReport struct {
	ID      string     `json:"id"`
	Verb    ops.Verb   `json:"verb"`
	From    ops.ARN    `json:"from"`
	Account string     `json:"account"`
	Region  string     `json:"region"`
	Started *time.Time `json:"started_at"`
	By      string     `json:"by"`
	Total   int        `json:"total"`
	Sent    int        `json:"sent"`
	Deleted int        `json:"deleted"`
	Open    int        `json:"open"` // being sent when it was interrupted
	Notice  string     `json:"notice,omitempty"`
}

func newUnfinishedReport(open []dlq.Unfinished) unfinishedReport {
	r := unfinishedReport{Schema: "kxops/unfinished/v1", Operations: []interruptedOpReport{}}
	for _, u := range open {
		r.Operations = append(r.Operations, interruptedOpReport{
			u.ID, u.Verb, u.From, u.Account, u.Region, when(u.Started), u.By, u.Total, u.Sent, u.Deleted, u.Open, oneLine(u.Notice),
		})
	}
	return r
}

func (s *session) dlqUnfinished(ctx context.Context) (err error) {
	b, err := s.atDesk(ctx)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	open, err := b.desk.Unfinished()
	if err != nil {
		return err
	}
	r := newUnfinishedReport(open)
	if s.json() {
		return s.printJSON(r)
	}
	p := s.paper()
	p.unfinished(r)
	return s.printText(p.b.String())
}

func (p *printer) unfinished(r unfinishedReport) {
	if len(r.Operations) == 0 {
		p.line("no operation of this machine is unfinished")
		return
	}
	var rows [][]string
	for _, u := range r.Operations {
		rows = append(rows, []string{
			named(u.ID), string(u.Verb), named(u.From.Name()), fmt.Sprintf("%s of %s", thousands(u.Sent), thousands(u.Total)), thousands(u.Deleted), thousands(u.Open),
			moment(u.Started), named(u.Account) + " " + named(u.Region), named(u.By),
		})
	}
	p.aligned([]string{"OPERATION", "VERB", "QUEUE", "SENT", "DELETED", "OPEN", "STARTED", "ACCOUNT", "BY"}, rows)
	for _, u := range r.Operations {
		if u.Notice != "" {
			p.folded("  "+named(u.ID)+": ", u.Notice)
		}
	}
}

func (s *session) dlqResume(ctx context.Context, id string) (err error) {
	b, err := s.atDesk(ctx)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	open, err := b.desk.Unfinished()
	if err != nil {
		return err
	}
	var found []dlq.Unfinished
	var ids []string
	for _, u := range open {
		if ids = append(ids, u.ID); u.ID == id {
			found = append(found, u)
		}
	}
	if len(found) == 0 {
		p := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("no unfinished operation %q on this machine", id), Hint: "none is unfinished; `kxops journal " + id + "` says what became of it"}
		if near := ops.Nearest(id, ids, 3); len(near) > 0 {
			p.Hint = "did you mean " + orList(near) + "?"
		}
		return p
	}
	if !s.json() || s.dryRun {
		if err := s.printUnfinished(found); err != nil {
			return err
		}
	}
	if s.dryRun {
		return nil
	}
	if err := b.mayChange(); err != nil {
		return err
	}
	if err := b.sure(ctx, "finish it? y/N ", "y", "yes"); err != nil {
		return err
	}
	op, err := b.desk.Resume(context.WithoutCancel(ctx), id)
	if err != nil {
		return err
	}
	return b.finish(ctx, op, id)
}

func (s *session) printUnfinished(found []dlq.Unfinished) error {
	r := newUnfinishedReport(found)
	if s.json() {
		return s.printJSON(r)
	}
	p := s.paper()
	p.unfinished(r)
	return s.printText(p.b.String())
}

func newDlqRetention(s *session) *cobra.Command {
	var days int
	var change changeFlags
	c := &cobra.Command{
		Use:   "retention QUEUE",
		Short: "Change how long a queue keeps messages: more time before the first loss",
		Long: `Sets the retention of the queue, up to 14 days. It holds for the messages that are
there already; SQS takes up to 15 minutes for it. Needs --access change.`,
		Example: "  kxops --access change dlq retention orders-dlq --days 14",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if days < 1 || days > 14 {
				return wrongUsage("--days must be 1 to 14")
			}
			return s.dlqRetention(c.Context(), args[0], time.Duration(days)*24*time.Hour, change)
		},
	}
	c.Flags().IntVar(&days, "days", 14, "1 to 14")
	change.register(c, false)
	return c
}

// dlqRetention changes how long a queue keeps messages. That it does so already is
// an answer, and no refusal.
func (s *session) dlqRetention(ctx context.Context, queue string, keep time.Duration, f changeFlags) (err error) {
	b, err := s.atQueue(ctx, queue)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	if b.queue.Retention == keep {
		return b.keepsAlready(keep)
	}
	if err := b.mayApply(f); err != nil {
		return err
	}
	plan, err := b.desk.Plan(ctx, ops.Ask{Verb: ops.Retention, Queue: b.queue.ARN, Keep: keep, Reason: s.reason}, nil)
	if err != nil {
		return err
	}
	return b.carryOut(ctx, plan, f)
}

func (b *bench) keepsAlready(keep time.Duration) error {
	if b.json() {
		return b.printJSON(struct {
			Schema  string  `json:"schema"`
			Queue   ops.ARN `json:"queue"`
			KeepsS  float64 `json:"retention_s"`
			Changed bool    `json:"changed"`
		}{"kxops/retention/v1", b.queue.ARN, keep.Seconds(), false})
	}
	return b.printText(fmt.Sprintf("%s keeps messages for %s already\n", named(b.queue.Name), ops.Span(keep.Seconds())))
}
