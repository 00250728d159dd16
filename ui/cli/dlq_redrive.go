package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
)

// nativeMost is the most that a move task takes. Source: SQS API, StartMessageMoveTask.
const nativeMost = 500

// paceFlags say how fast and how carefully messages go.
type paceFlags struct {
	rate       float64
	workers    int
	canary     bool
	canaryWait spanFlag
	maxReturns shareFlag
	careful    bool
	watch      spanFlag
}

// paceNames are the flags of paceFlags.
var paceNames = []string{"rate", "workers", "canary", "canary-wait", "max-returns", "careful", "watch"}

func (f *paceFlags) register(c *cobra.Command) {
	fs := c.Flags()
	fs.Float64Var(&f.rate, "rate", 0, "messages a second; default: as fast as it goes")
	fs.IntVar(&f.workers, "workers", 0, "batches in the air, 1 to 64; default: chosen by the plan")
	fs.BoolVar(&f.canary, "canary", false, "1, 10, 100 first, each watched for messages that come back, then the rest")
	fs.Var(&f.canaryWait, "canary-wait", "how long to watch after each stage of the canary; default: chosen by the plan")
	fs.Var(&f.maxReturns, "max-returns", "halt (exit 5) when more than this share comes back, such as 5%; default: chosen by the plan")
	fs.BoolVar(&f.careful, "careful", false, "one message at a time: at most one can end unknown if this is killed")
	fs.Var(&f.watch, "watch", "how long to watch at the end for messages that come back; default: chosen by the plan")
}

func (f *paceFlags) check(c *cobra.Command) error {
	switch {
	case c.Flags().Changed("rate") && !(f.rate > 0 && f.rate <= 100_000):
		return wrongUsage("--rate must be above 0 and at most 100000 messages a second")
	case c.Flags().Changed("workers") && (f.workers < 1 || f.workers > 64):
		return wrongUsage("--workers must be 1 to 64")
	case c.Flags().Changed("canary-wait") && !f.canary:
		return wrongUsage("--canary-wait needs --canary")
	case f.careful && f.workers > 1:
		return wrongUsage("--careful is one message at a time; leave out --workers")
	}
	return nil
}

func (f *paceFlags) pace() ops.Pace {
	return ops.Pace{
		Rate: f.rate, Workers: f.workers, Canary: f.canary, CanaryWait: time.Duration(f.canaryWait).Seconds(),
		MaxReturns: float64(f.maxReturns), Careful: f.careful, Watch: time.Duration(f.watch).Seconds(),
	}
}

// shareFlag is a share of the messages: 5% is 0.05.
type shareFlag float64

func (f *shareFlag) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatFloat(100*float64(*f), 'f', -1, 64) + "%"
}
func (f *shareFlag) Type() string { return "PERCENT" }
func (f *shareFlag) Set(s string) error {
	number, ok := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(v > 0 && v <= 100) {
		return fmt.Errorf("must be above 0%% and at most 100%%, such as 5%%")
	}
	*f = shareFlag(v / 100)
	return nil
}

// redriveFlags are all that `kxops dlq redrive` takes.
type redriveFlags struct {
	look    lookFlags
	sel     selectionFlags
	pace    paceFlags
	change  changeFlags
	to      string
	native  bool
	reorder bool
	invoke  choiceFlag
}

func newDlqRedrive(s *session) *cobra.Command {
	f := redriveFlags{invoke: choiceFlag{allowed: []string{"sync", "async"}}}
	c := &cobra.Command{
		Use:   "redrive QUEUE",
		Short: "Send messages back to where they came from, or elsewhere, and delete them here",
		Long: `Looks at the queue, makes a plan of exactly the messages that are selected, shows it
whole, asks, and then sends and deletes. A message is deleted only when it is recorded
as sent, and one that is recorded as sent is never sent again, also after a crash
("kxops dlq resume"). What cannot be known is listed with its message ids.

DEST is origin (the default: each message to the queue whose redrive policy sent it
here), a queue, topic or function by name, URL or ARN, or queue:NAME, topic:NAME,
function:NAME, file:PATH.

--native leaves it to SQS's own move task: everything that is there, in no order, with
new message ids that SQS does not tell, so what comes back cannot be recognised.

Changes need --access change, and --yes or a terminal to ask on; without them nothing is
looked at, unless --dry-run or --plan-out asks for the plan only. Ctrl+c finishes what is
in hand and stops; ctrl+c again stops at once.

Exit codes: 0 done · 1 error · 2 wrong usage · 3 done in part (something was rejected,
is unknown, missing, or came back) · 4 refused by the gate or a person, or something
stands against the plan, also with --dry-run · 5 halted by
the canary · 10 there is something to do (--dry-run --detailed-exitcode).`,
		Example: `  kxops dlq redrive orders-dlq --all --dry-run
  kxops --access change dlq redrive orders-dlq --group Timeout-4c1e --canary --rate 50
  kxops dlq redrive orders-dlq --filter '.tenant == "t3"' --plan-out t3.plan
  kxops --access change --yes dlq redrive orders-dlq --plan t3.plan
  kxops --access change dlq redrive orders-dlq --all --native --rate 100`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(c, s); err != nil {
				return err
			}
			return s.dlqRedrive(c.Context(), args[0], f)
		},
	}
	f.sel.register(c)
	c.Flags().StringVar(&f.to, "to", "origin", "DEST: origin, or a queue, topic, function, or file:PATH")
	f.pace.register(c)
	c.Flags().BoolVar(&f.reorder, "accept-reordering", false, "FIFO: select what you like, although the order within a group breaks")
	c.Flags().Var(&f.invoke, "invoke", "functions: wait for the answer (sync, the default), or leave it to Lambda (async)")
	c.Flags().BoolVar(&f.native, "native", false, "SQS's own move task: everything, no selection, at most 500 a second")
	f.change.register(c, true)
	f.look.register(c, wholeQueue, "look at so many messages at most")
	completeWith(c, "invoke", f.invoke.allowed)
	return c
}

func (f *redriveFlags) check(c *cobra.Command, s *session) error {
	planned := append([]string{"to", "native", "accept-reordering", "invoke", "lease"}, paceNames...)
	if err := f.change.check(c, s, planned...); err != nil || f.change.planIn != "" {
		return err
	}
	if f.native {
		return f.checkNative(c)
	}
	return firstError(f.look.check(), f.sel.check(c, true), f.pace.check(c))
}

// checkNative refuses what a move task cannot do, before anything is asked.
func (f *redriveFlags) checkNative(c *cobra.Command) error {
	for _, n := range append([]string{"workers", "canary", "canary-wait", "max-returns", "careful", "watch", "accept-reordering", "invoke", "limit", "lease"}, selectionNames[1:]...) {
		if c.Flags().Changed(n) {
			return wrongUsage("a move task of SQS takes everything as it is: leave out --" + n + ", or leave out --native")
		}
	}
	if c.Flags().Changed("rate") && (f.pace.rate < 1 || f.pace.rate > nativeMost || f.pace.rate != float64(int(f.pace.rate))) {
		return wrongUsage(fmt.Sprintf("--rate must be a whole number from 1 to %d with --native", nativeMost))
	}
	return nil
}

func (s *session) dlqRedrive(ctx context.Context, queue string, f redriveFlags) error {
	if !f.change.needsPlan() {
		return s.applySaved(ctx, queue, f.change, ops.Redrive, ops.Move)
	}
	verb := ops.Redrive
	if f.native {
		verb = ops.Move
	}
	ask := func(q ops.Queue) ops.Ask {
		pace := f.pace.pace()
		pace.Lease = time.Duration(f.look.lease).Seconds()
		return ops.Ask{
			Verb: verb, Queue: q.ARN, Select: f.sel.of(q), To: f.to, Native: f.native, Pace: pace,
			Reorder: f.reorder, Invoke: f.invoke.value, Reason: s.reason,
		}
	}
	if f.native {
		return s.change(ctx, queue, ask, f.change)
	}
	return s.changeSelected(ctx, queue, f.look, ask, f.change)
}

// change plans without looking at messages, and carries the plan out.
func (s *session) change(ctx context.Context, queue string, ask func(ops.Queue) ops.Ask, f changeFlags) (err error) {
	b, err := s.atQueue(ctx, queue)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	if err := b.mayApply(f); err != nil {
		return err
	}
	if ask(b.queue).Verb == ops.Move {
		b.warnLive()
	}
	plan, err := b.desk.Plan(ctx, ask(b.queue), nil)
	if err != nil {
		return err
	}
	return b.carryOut(ctx, plan, f)
}

// changeSelected looks, plans about what is selected, gives the messages back
// (the plan knows which they are), and carries the plan out.
func (s *session) changeSelected(ctx context.Context, queue string, look lookFlags, ask func(ops.Queue) ops.Ask, f changeFlags) (err error) {
	b, err := s.atQueue(ctx, queue)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	if err := firstError(b.mayApply(f), b.mayLook()); err != nil {
		return err
	}
	b.warnLive()
	pile, err := b.look(ctx, look)
	if err != nil {
		return err
	}
	b.say(seenLine(b.queue, pile))
	wanted := ask(b.queue)
	plan, err := b.desk.Plan(ctx, wanted, pile)
	if err != nil {
		return idsHint(err, wanted.Select.IDs, pile)
	}
	if err := pile.Release(ctx); err != nil {
		return fmt.Errorf("give the messages back: %w", err)
	}
	return b.carryOut(ctx, plan, f)
}

// applySaved applies a plan that was saved, as it stands.
func (s *session) applySaved(ctx context.Context, queue string, f changeFlags, verbs ...ops.Verb) (err error) {
	plan, err := f.savedPlan(queue, verbs...)
	if err != nil {
		return err
	}
	b, err := s.atDesk(ctx)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	if err := b.mayApply(f); err != nil {
		return err
	}
	return b.carryOut(ctx, plan, f)
}
