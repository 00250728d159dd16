package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/dlq"
	"kxops/ops/payload"
	"kxops/ui"
)

// Desk returns the console's desk of the present account.
func (b *backend) Desk(ctx context.Context) (ui.Desk, error) {
	a, err := b.here(ctx)
	if err != nil {
		return nil, err
	}
	d, err := a.desk(ctx)
	if err != nil {
		return nil, err
	}
	id, err := a.identity(ctx)
	if err != nil {
		return nil, err
	}
	return &consoleDesk{a: a, d: d, id: id, confirm: a.unlockName(id)}, nil
}

// sayLeft tells, on the screen that stays, which operations were not finished when
// the console was left, and the line that goes on with each.
func sayLeft(to io.Writer, left []ops.Progress, demo bool) {
	for _, p := range left {
		what := fmt.Sprintf("operation %s, %s of %s: %s, %d of %d sent", p.ID, p.Verb, p.From.Name(), p.State, p.Sent, p.Total)
		if p.Verb == ops.Move {
			what = fmt.Sprintf("operation %s, move of %s: SQS goes on with it", p.ID, p.From.Name())
		}
		next := "  kxops --access change dlq resume " + p.ID + " goes on"
		if demo {
			next = "  it ended with the demo"
		}
		fmt.Fprintln(to, what+"\n"+next) //nolint:errcheck // a terminal that is gone reads nothing
	}
}

// unlockTime is how long an unlock allows changes.
const unlockTime = 10 * time.Minute

// unlockName is what has to be typed to allow changes: the name of a protected
// account, "" on any other.
func (a *account) unlockName(id ops.Identity) string {
	if !a.set.Protected && (a.guards == nil || !a.guards(id.Account)) {
		return ""
	}
	for _, name := range []string{id.Alias, id.Profile, id.Account} {
		if name != "" {
			return name
		}
	}
	return "change"
}

// consoleDesk is the desk of an account as the console sees it.
type consoleDesk struct {
	a       *account
	d       *dlq.Desk
	id      ops.Identity
	confirm string
}

func (c *consoleDesk) Access() ui.Access {
	level := c.a.cloud.Access()
	return ui.Access{
		Level: level.String(), Peek: level >= cloud.Peek, Change: level >= cloud.Change,
		Until: c.a.cloud.AccessUntil(), Confirm: c.confirm,
	}
}

func (c *consoleDesk) Unlock(_ context.Context, typed string) error {
	if typed != c.confirm {
		return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("%q is not %s", typed, c.confirm)}
	}
	c.a.cloud.SetAccess(cloud.Change, time.Now().Add(unlockTime))
	return nil
}

func (c *consoleDesk) Lock() { c.a.cloud.SetAccess(cloud.Change, time.Now()) }

func (c *consoleDesk) Cost(q ops.Queue, limit int) ops.PeekCost {
	return c.d.Cost(q, dlq.Look{Limit: limit})
}

// Look reads the queue again first: the picture of the survey may be minutes old,
// and leases and expiry depend on its settings.
func (c *consoleDesk) Look(ctx context.Context, q ops.Queue, limit int, progress func(ops.LookProgress)) (ui.Pile, error) {
	fresh, err := c.d.Queue(ctx, string(q.ARN))
	if err != nil {
		return nil, err
	}
	pile, err := c.d.Look(ctx, fresh, dlq.Look{Limit: limit}, progress)
	if pile == nil {
		return nil, err
	}
	return consolePile{pile}, err
}

func (c *consoleDesk) Release(ctx context.Context, queue ops.ARN) error {
	if pile := c.d.Pile(queue); pile != nil {
		return pile.Release(ctx)
	}
	return nil
}

func (c *consoleDesk) ReleaseAll(ctx context.Context) error { return c.d.ReleaseAll(ctx) }

func (c *consoleDesk) Plan(ctx context.Context, ask ops.Ask) (ops.Plan, error) {
	return c.d.Plan(ctx, ask, c.d.Pile(ask.Queue))
}

// Start keeps changes allowed until the operation is over: a message that was sent
// and may not be deleted any more would be a duplicate.
func (c *consoleDesk) Start(ctx context.Context, plan ops.Plan) (ui.Operation, error) {
	u, found, err := c.d.Interrupted(plan)
	if err != nil {
		return nil, err
	}
	if found {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: "not applied: " + interrupted(u, plan), Hint: "resume it first: it is in the list of operations"}
	}
	done := c.a.cloud.KeepAccess()
	op, err := c.d.Start(ctx, plan)
	return running(op, err, done)
}

func (c *consoleDesk) Resume(ctx context.Context, id string) (ui.Operation, error) {
	done := c.a.cloud.KeepAccess()
	op, err := c.d.Resume(ctx, id)
	return running(op, err, done)
}

// running calls done when the operation is over. The goroutine ends with it.
func running(op *dlq.Operation, err error, done func()) (ui.Operation, error) {
	if err != nil {
		done()
		return nil, err
	}
	go func() {
		<-op.Done()
		done()
	}()
	return op, nil
}

// Unfinished leaves out other accounts and regions: they cannot be resumed from here.
func (c *consoleDesk) Unfinished(context.Context) ([]ui.Unfinished, error) {
	all, err := c.d.Unfinished()
	var out []ui.Unfinished
	for _, x := range all {
		if x.Account != c.id.Account || x.Region != c.id.Region {
			continue
		}
		out = append(out, ui.Unfinished{
			ID: x.ID, Verb: x.Verb, From: x.From, Region: x.Region, Started: x.Started, By: x.By,
			Total: x.Total, Sent: x.Sent, Deleted: x.Deleted, Open: x.Open, Notice: x.Notice,
		})
	}
	return out, err
}

func (c *consoleDesk) Tasks(ctx context.Context, q ops.Queue) ([]ui.Task, error) {
	all, err := c.d.Tasks(ctx, q)
	var out []ui.Task
	for _, t := range all {
		out = append(out, ui.Task{Status: t.Status, To: t.To, Rate: t.Rate, Moved: t.Moved, Total: t.Total, Started: t.Started, Failure: t.Failure})
	}
	return out, err
}

func (c *consoleDesk) CancelTask(ctx context.Context, q ops.Queue) (int64, error) {
	return c.d.CancelTask(ctx, q)
}

func (c *consoleDesk) Resolve(ctx context.Context, p ops.Pointer) (ui.PointerData, error) {
	r, err := c.d.Resolve(ctx, p)
	return pointerData(r), err
}

func (c *consoleDesk) Fetch(ctx context.Context, p ops.Pointer) (ui.PointerData, error) {
	r, err := c.d.Fetch(ctx, p)
	return pointerData(r), err
}

func (c *consoleDesk) Poison(ctx context.Context, p ops.Pointer, say func(string)) (ui.Record, error) {
	r, err := c.d.Poison(ctx, p, say)
	return ui.Record(r), err
}

// Draft and Edited are the text of `kxops dlq edit`.
func (c *consoleDesk) Draft(m ops.Message) ([]byte, error) { return editable(m), nil }

func (c *consoleDesk) Edited(m ops.Message, text []byte) (ops.Message, error) {
	return readEdited(m, text)
}

func pointerData(r dlq.Range) ui.PointerData {
	out := ui.PointerData{TrimsAt: r.TrimsAt, Gone: r.Gone, Why: r.Why, Complete: r.Complete}
	for _, x := range r.Records {
		out.Records = append(out.Records, ui.Record(x))
	}
	return out
}

// consolePile is a look as the console sees it.
type consolePile struct{ *dlq.Pile }

func (p consolePile) Groups(letters []ops.Letter) []ops.CauseGroup { return dlq.Groups(letters) }

func (p consolePile) Match(filter string) (func(ops.Letter) bool, error) { return p.Matcher(filter) }

func (p consolePile) Message(id string) (ops.Message, []ops.Layer, bool) {
	m, ok := p.Pile.Message(id)
	if !ok {
		return m, nil, false
	}
	return m, payload.Peel(m), true
}
