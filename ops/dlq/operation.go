package dlq

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
	"kxops/ops/journal"
)

const (
	clockStep    = 20 * time.Millisecond // how often a wait looks at the account's clock
	startTimeout = 30 * time.Second      // for everything that is checked before the first send
	rateWindow   = 10 * time.Second      // of the messages a second that are shown
	// unfinishedFor is how far back interrupted operations matter: the longest
	// retention of a queue, and a day for clocks and zones.
	unfinishedFor = ops.MaxRetention + 24*time.Hour
)

// Operation is a plan that is being applied. It is safe for concurrent use.
type Operation struct {
	desk    *Desk
	plan    ops.Plan
	record  *record
	unlock  func() error
	resumed bool // leases of an earlier run may still hold messages

	mu      sync.Mutex
	state   ops.RunState
	stage   string
	note    string
	until   time.Time
	started time.Time
	hold    chan struct{} // closed when the pause is over; nil: no pause
	quit    bool          // cancelled
	halted  string        // why it stopped itself
	moved   ops.Reading
	depth   ops.Reading
	calls   int
	usd     float64
	sends   []sendMark

	done   chan struct{}
	result ops.Result
}

// sendMark is how many messages had been sent at a time.
type sendMark struct {
	at time.Time
	n  int
}

// run is what a verb does with an operation. It returns when nothing is in hand
// any more; an error means that it could not go on.
type run func(o *Operation, ctx context.Context) error

// runOf is how a verb is carried out.
func runOf(v ops.Verb) (run, bool) {
	r, ok := map[ops.Verb]run{
		ops.Redrive:   (*Operation).redrive,
		ops.Archive:   (*Operation).redrive, // to a file
		ops.Move:      (*Operation).move,
		ops.Edit:      (*Operation).redrive, // of one message, through an editSender
		ops.Retention: (*Operation).keepLonger,
		ops.Restore:   (*Operation).transfer,
		ops.Import:    (*Operation).transfer,
	}[v]
	return r, ok
}

// Start applies a plan: it checks the hash, the place and the drift, takes the
// queue's lock, writes the journal and goes on in the background until it is
// over or ctx ends (which counts as Cancel). A plan whose world has changed is
// refused with what changed.
func (d *Desk) Start(ctx context.Context, plan ops.Plan) (*Operation, error) {
	if err := d.acceptable(plan); err != nil {
		return nil, err
	}
	release, err := d.take(plan.From)
	if err != nil {
		return nil, err
	}
	o, err := d.start(ctx, plan)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	o.unlock = release
	o.launch(ctx)
	return o, nil
}

// acceptable is everything that the plan itself tells.
func (d *Desk) acceptable(plan ops.Plan) error {
	if err := plan.Check(); err != nil {
		return &ops.Problem{Fault: ops.FaultRefused, What: err.Error(), Hint: "make a new plan"}
	}
	if err := d.ours("the plan", plan.Account, plan.Region); err != nil {
		return err
	}
	if len(plan.Blockers) > 0 {
		return &ops.Problem{Fault: ops.FaultRefused, What: "the plan cannot be applied: " + strings.Join(plan.Blockers, "; ")}
	}
	if _, ok := runOf(plan.Verb); !ok {
		return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("this kxops cannot %q", plan.Verb)}
	}
	if d.o.Journal == nil {
		return &ops.Problem{Fault: ops.FaultRefused, What: "nothing is changed without a journal"}
	}
	return d.mayChange()
}

// mayChange asks the gate whether this session may change something, so that nothing
// is begun that will be refused half-way. The request has nothing in it: behind the
// gate the SDK itself does not send it, so no byte leaves.
func (d *Desk) mayChange() error {
	_, err := d.once.DeleteMessageBatch(context.Background(), &sqs.DeleteMessageBatchInput{})
	if p := ops.AsProblem(err); p != nil && p.Fault == ops.FaultRefused {
		return p
	}
	return nil
}

// ours refuses what belongs to another account or region.
func (d *Desk) ours(what, account, region string) error {
	here := d.o.Identity
	if account == here.Account && region == here.Region {
		return nil
	}
	return &ops.Problem{
		Fault: ops.FaultRefused,
		What:  fmt.Sprintf("%s is for account %s in %s, and this is account %s in %s", what, account, region, here.Account, here.Region),
		Hint:  "choose its profile and region",
	}
}

// take takes the lock of a queue: one operation at a time.
func (d *Desk) take(queue ops.ARN) (release func() error, err error) {
	release, err = d.o.Journal.Lock(string(queue))
	var held *journal.HeldError
	if errors.As(err, &held) {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: held.Error(), Hint: "wait for it, or cancel it there", Err: err}
	}
	return release, err
}

// start checks the world and writes that it begins. The lock is held.
func (d *Desk) start(ctx context.Context, plan ops.Plan) (*Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := d.unchanged(ctx, plan); err != nil {
		return nil, err
	}
	if err := d.noTask(ctx, plan); err != nil {
		return nil, err
	}
	if err := d.stillNew(ctx, plan); err != nil {
		return nil, err
	}
	if err := d.letGo(ctx, plan.From); err != nil {
		return nil, err
	}
	log, err := d.o.Journal.Begin(plan.ID)
	if errors.Is(err, fs.ErrExist) {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: "plan " + plan.ID + " was applied before",
			Hint: "kxops journal " + plan.ID + " says what became of it; kxops dlq resume " + plan.ID + " finishes it", Err: err}
	}
	if err != nil {
		return nil, err
	}
	if err := d.enter(plan, journal.Started, ops.Progress{}); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	r, err := beginRecord(log, plan, d.o.Now)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return d.operation(plan, r), nil
}

// letGo gives back what a look of ours holds: the operation could not receive it.
func (d *Desk) letGo(ctx context.Context, queue ops.ARN) error {
	if p := d.Pile(queue); p != nil {
		return p.Release(ctx)
	}
	return nil
}

func (d *Desk) operation(plan ops.Plan, r *record) *Operation {
	r.event = d.event
	return &Operation{desk: d, plan: plan, record: r, state: ops.Running, started: d.o.Now(), done: make(chan struct{})}
}

// unchanged refuses a plan when what it saw has changed, and says what.
func (d *Desk) unchanged(ctx context.Context, plan ops.Plan) error {
	changed, err := d.drift(ctx, plan)
	if err != nil {
		return d.explain("check that nothing has changed since the plan was made", err)
	}
	if len(changed) == 0 {
		return nil
	}
	return &ops.Problem{Fault: ops.FaultRefused, What: "the world has changed since the plan was made: " + strings.Join(changed, "; "),
		Hint: "make a new plan"}
}

// noTask refuses to work on a queue that SQS itself is emptying. Where it cannot
// be told (an endpoint without move tasks, a missing right) the preflight said so.
func (d *Desk) noTask(ctx context.Context, plan ops.Plan) error {
	if plan.Verb == ops.Retention {
		return nil // more time harms no task, and is wanted most when much is going on
	}
	tasks, err := d.Tasks(ctx, ops.Queue{ARN: plan.From, URL: plan.FromURL, Name: plan.From.Name()})
	if err != nil {
		switch d.o.Explain(err).Fault {
		case ops.FaultDenied, ops.FaultUnsupported:
			return nil
		}
		return d.explain("look for move tasks of "+plan.From.Name(), err)
	}
	for _, t := range tasks {
		if t.Status == "RUNNING" || t.Status == "CANCELLING" {
			return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("SQS is moving messages out of %s since %s", plan.From.Name(), t.Started.Format(time.TimeOnly)),
				Hint: "wait for the move task, or cancel it: kxops dlq cancel " + plan.From.Name()}
		}
	}
	return nil
}

// Resume continues an operation that was interrupted, from its record.
func (d *Desk) Resume(ctx context.Context, id string) (*Operation, error) {
	if d.o.Journal == nil {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: "nothing is changed without a journal"}
	}
	lines, _, err := d.o.Journal.ReadLog(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.unknownOperation(id, err)
	}
	if err != nil {
		return nil, err
	}
	peeked, err := replay(lines, nil, d.o.Now)
	if err != nil {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: "operation " + id + " cannot be resumed: " + err.Error(), Err: err}
	}
	plan := peeked.plan
	if err := d.ours("operation "+id, plan.Account, plan.Region); err != nil {
		return nil, err
	}
	if _, ok := runOf(plan.Verb); !ok {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("this kxops cannot %q", plan.Verb)}
	}
	if err := d.mayChange(); err != nil {
		return nil, err
	}
	release, err := d.take(plan.From)
	if err != nil {
		return nil, err
	}
	o, err := d.reopen(ctx, id)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	o.unlock = release
	o.launch(ctx)
	return o, nil
}

// reopen reads the record again, now that nobody else can write it.
func (d *Desk) reopen(ctx context.Context, id string) (*Operation, error) {
	log, lines, err := d.o.Journal.Reopen(id)
	if err != nil {
		return nil, err
	}
	r, err := replay(lines, log, d.o.Now)
	if err == nil && r.plan.Verb != ops.Move { // which goes on watching its own
		err = d.noTask(ctx, r.plan)
	}
	if err == nil {
		err = d.letGo(ctx, r.plan.From)
	}
	if err == nil {
		err = d.enter(r.plan, journal.Started, ops.Progress{Note: "resumed"})
	}
	if err == nil {
		err = r.write(line{Word: lineAgain, Why: "resumed by " + journal.Actor()})
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	o := d.operation(r.plan, r)
	o.note = log.Notice()
	o.resumed = true
	return o, nil
}

func (d *Desk) unknownOperation(id string, cause error) error {
	ids, err := d.o.Journal.Logs()
	p := &ops.Problem{Fault: ops.FaultNotFound, What: "there is no operation " + id, Err: errors.Join(cause, err)}
	if near := ops.Nearest(id, ids, 3); len(near) > 0 {
		p.Hint = "did you mean " + strings.Join(near, ", ") + "?"
	}
	return p
}

// launch lets the operation run until it is over.
func (o *Operation) launch(ctx context.Context) {
	stop := context.AfterFunc(ctx, o.Cancel)
	go func() {
		defer stop()
		do, _ := runOf(o.plan.Verb)
		// Not ctx itself: what is in hand when it ends has to be finished.
		o.finish(do(o, context.WithoutCancel(ctx)))
	}()
}

// finish writes what became of it, gives the lock back and tells those who wait.
func (o *Operation) finish(err error) {
	o.mu.Lock()
	switch {
	case err != nil:
		o.state = ops.Broken
	case o.halted != "":
		o.state, o.note = ops.Halted, o.halted
	case o.quit:
		o.state = ops.Cancelled
	default:
		o.state = ops.Finished
	}
	o.until = time.Time{}
	o.mu.Unlock()

	result := o.record.result()
	if o.ending() == ops.Finished && (len(result.Rejections)+len(result.UnknownIDs)+len(result.MissingIDs)+len(result.PendingIDs)+len(result.ReturnedIDs) > 0) {
		o.set(func() { o.state = ops.Incomplete })
	}
	if err != nil {
		result.Problem = ops.AsProblem(err)
		o.set(func() { o.note = result.Problem.What })
	}
	end := o.Progress()
	if err == nil { // a broken one can be resumed: it has no end yet
		if e := o.record.write(line{Word: lineEnd, End: &end}); e != nil {
			err = e
		}
	}
	err = errors.Join(err, o.desk.enter(o.plan, outcomeOf(end.State), end), o.record.log.Close(), o.unlock())
	if err != nil && result.Problem == nil {
		result.Problem = ops.AsProblem(err)
	}
	if p := o.desk.Pile(o.plan.From); p != nil && !copies(o.plan.Verb) {
		p.Forget(o.record.in(isDeleted))
	}
	result.Progress = end
	result.Next = o.next(result)
	o.result = result
	close(o.done)
}

func outcomeOf(s ops.RunState) journal.Outcome {
	switch s {
	case ops.Finished:
		return journal.Done
	case ops.Halted:
		return journal.Halted
	case ops.Broken:
		return journal.Failed
	}
	return journal.Partial
}

// next is what a person does now.
func (o *Operation) next(r ops.Result) []string {
	var out []string
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	from := o.plan.From.Name()
	if copies(o.plan.Verb) { // the messages come from a file, and it keeps them
		from = o.plan.File
	}
	if r.State == ops.Broken || len(r.PendingIDs) > 0 {
		say("kxops --access change dlq resume %s goes on where it stopped: what is recorded as sent is only deleted", o.plan.ID)
	}
	if n := len(r.UnknownIDs); n > 0 {
		say("%d may have been sent or not, no answer came: compare at the target before you redrive them again; they are still in %s", n, from)
	}
	if n := len(r.ReturnedIDs); n > 0 {
		say("%d failed again and are back in %s: the cause is not fixed", n, from)
	}
	if n := len(r.Rejections); n > 0 {
		say("%d were not taken and are still in %s: %s", n, from, r.Rejections[0].Code)
	}
	if n := len(r.MissingIDs); n > 0 && r.State != ops.Broken {
		if copies(o.plan.Verb) && r.State == ops.Cancelled {
			say("%d were not sent: kxops dlq resume %s sends them", n, o.plan.ID)
		} else if copies(o.plan.Verb) {
			say("%d were not sent: an earlier message of their group was not taken or is uncertain", n)
		} else if r.State.Over() && (r.State == ops.Cancelled || r.State == ops.Halted) {
			say("%d were not touched and are still in %s", n, from)
		} else {
			say("%d were not found: expired, deleted, or held by somebody else", n)
		}
	}
	return out
}

// enter writes the operation into the journal.
func (d *Desk) enter(plan ops.Plan, outcome journal.Outcome, p ops.Progress) error {
	what := fmt.Sprintf("%s %d messages of %s", plan.Verb, plan.Messages(), plan.From.Name())
	if plan.Messages() == 0 {
		what = fmt.Sprintf("%s %s", plan.Verb, plan.From.Name())
	}
	if len(plan.To) == 1 {
		what += " to " + plan.To[0].Name()
	} else if len(plan.To) > 1 {
		what += fmt.Sprintf(" to %d places", len(plan.To))
	}
	if outcome != journal.Started {
		what += ": " + done(plan.Verb, p)
	}
	_, err := d.o.Journal.Append(journal.Entry{
		ID: plan.ID, Account: plan.Account, Region: plan.Region, Kind: journal.KindOperation,
		What: what, Reason: plan.Reason, Outcome: outcome, Calls: p.Calls, USD: p.USD,
	})
	return err
}

// done says what a verb has done, in its own words.
func done(v ops.Verb, p ops.Progress) string {
	failed := fmt.Sprintf("%d rejected, %d unknown", p.Rejected, p.Unknown)
	switch v {
	case ops.Move:
		if n, ok := p.Moved.Value(); ok {
			return fmt.Sprintf("%.0f moved, as SQS says", n)
		}
		return "SQS does not say how many it moved"
	case ops.Retention:
		return string(p.State)
	case ops.Restore:
		return fmt.Sprintf("%d restored, %s", p.Sent, failed)
	case ops.Import:
		return fmt.Sprintf("%d imported, %s", p.Sent, failed)
	case ops.Archive:
		return fmt.Sprintf("%d archived, %d deleted, %s", p.Sent, p.Deleted, failed)
	}
	return fmt.Sprintf("%d sent, %d deleted, %s, %d returned", p.Sent, p.Deleted, failed, p.Returned)
}

func (o *Operation) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

func (o *Operation) ending() ops.RunState {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}

// called counts requests that were sent.
func (o *Operation) called(n int, usd float64) {
	o.set(func() { o.calls += n; o.usd += usd })
}

// mark remembers the pace.
func (o *Operation) mark() {
	c, now := o.record.counts(), o.desk.o.Now()
	o.set(func() {
		o.sends = append(o.sends, sendMark{now, c.sent + c.deleted})
		for len(o.sends) > 2 && now.Sub(o.sends[0].at) > rateWindow {
			o.sends = o.sends[1:]
		}
	})
}

// Progress is where it is now.
func (o *Operation) Progress() ops.Progress {
	c := o.record.counts()
	o.mu.Lock()
	defer o.mu.Unlock()
	p := ops.Progress{
		ID: o.plan.ID, Verb: o.plan.Verb, From: o.plan.From, State: o.state, Stage: o.stage, Total: o.plan.Messages(),
		Sent: c.sent + c.deleted, Deleted: c.deleted, Pending: c.sent, Rejected: c.rejected, Unknown: c.unknown, Returned: c.returned,
		Moved: o.moved, Depth: o.depth, ETA: ops.Missing(ops.NoData), Started: o.started, Until: o.until, Calls: o.calls, USD: o.usd, Note: o.note,
	}
	if copies(o.plan.Verb) {
		p.Deleted = 0
	}
	if p.State.Over() {
		p.Unknown += c.intended
		p.Missing = c.waiting
		return p
	}
	if o.hold != nil && p.State == ops.Running {
		p.State = ops.Paused
	}
	if p.State == ops.Watching { // nothing is being sent
		return p
	}
	if n := len(o.sends); n > 1 {
		if took := o.sends[n-1].at.Sub(o.sends[0].at).Seconds(); took > 0 {
			p.Rate = float64(o.sends[n-1].n-o.sends[0].n) / took
		}
	}
	if p.Rate > 0 {
		p.ETA = ops.Know(float64(c.waiting)/p.Rate, o.desk.o.Now())
	}
	return p
}

// Plan is what is being applied.
func (o *Operation) Plan() ops.Plan { return o.plan }

// Pause stops before the next batch, Continue goes on.
func (o *Operation) Pause() {
	o.set(func() {
		if o.hold == nil && !o.state.Over() {
			o.hold = make(chan struct{})
		}
	})
}

// Continue ends a pause.
func (o *Operation) Continue() {
	o.set(func() {
		if o.hold != nil {
			close(o.hold)
			o.hold = nil
		}
	})
}

// Cancel stops before the next batch, finishes what is in hand and gives the rest back.
func (o *Operation) Cancel() {
	o.set(func() {
		o.quit = true
		if !o.state.Over() {
			o.state = ops.Finishing
		}
	})
	o.Continue()
}

// halt stops the operation by its own guard.
func (o *Operation) halt(why string) {
	o.set(func() {
		if o.halted == "" {
			o.halted = why
			o.state, o.note = ops.Finishing, why
		}
	})
	o.Continue()
}

// goes waits out a pause and reports whether another batch may begin.
func (o *Operation) goes() bool {
	for {
		o.mu.Lock()
		hold, stop := o.hold, o.quit || o.halted != ""
		o.mu.Unlock()
		if stop {
			return false
		}
		if hold == nil {
			return true
		}
		<-hold
	}
}

// sleep waits on the account's clock; false when the operation was stopped meanwhile.
func (o *Operation) sleep(d time.Duration) bool {
	end := o.desk.o.Now().Add(d)
	for {
		o.mu.Lock()
		stop := o.quit || o.halted != ""
		o.mu.Unlock()
		if stop {
			return false
		}
		left := end.Sub(o.desk.o.Now())
		if left <= 0 {
			return true
		}
		time.Sleep(min(left, clockStep))
	}
}

// Wait returns when it is over.
func (o *Operation) Wait() ops.Result {
	<-o.done
	return o.result
}

// Done is closed when it is over.
func (o *Operation) Done() <-chan struct{} { return o.done }

// Unfinished is an operation that was interrupted and can be resumed.
type Unfinished struct {
	ID      string
	Verb    ops.Verb
	From    ops.ARN
	Account string
	Region  string
	Started time.Time
	By      string
	Total   int
	Sent    int
	Deleted int
	Open    int    // intents without an outcome: they will be unknown
	Notice  string // "the record ends in 12 bytes that are no whole line", "running: …"
}

// Unfinished lists the interrupted operations of this machine, newest first. A
// record that cannot be read is listed with the reason in Notice.
func (d *Desk) Unfinished() ([]Unfinished, error) {
	if d.o.Journal == nil {
		return nil, nil
	}
	ids, err := d.o.Journal.Logs()
	if err != nil {
		return nil, err
	}
	var out []Unfinished
	for _, id := range ids {
		if began, err := time.Parse("20060102", id[:min(len(id), len("20060102"))]); err == nil && d.o.Now().Sub(began) > unfinishedFor {
			break // newest first: what it sent has expired here
		}
		if u, open := d.unfinished(id); open {
			out = append(out, u)
		}
	}
	return out, nil
}

// Interrupted finds an interrupted operation on the plan's queue that may have sent
// messages which are still here: resuming it knows which, a new plan does not and
// would send them twice.
func (d *Desk) Interrupted(plan ops.Plan) (u Unfinished, found bool, err error) {
	switch plan.Verb {
	case ops.Redrive, ops.Archive, ops.Edit, ops.Move:
	default:
		return u, false, nil
	}
	open, err := d.Unfinished()
	for _, u := range open {
		if u.ID != plan.ID && u.From == plan.From && u.Open+u.Sent-u.Deleted > 0 {
			return u, true, err
		}
	}
	return u, false, err
}

func (d *Desk) unfinished(id string) (u Unfinished, open bool) {
	u.ID = id
	lines, notice, err := d.o.Journal.ReadLog(id)
	u.Notice = notice
	if err != nil {
		u.Notice = err.Error()
		return u, true
	}
	r, err := replay(lines, nil, d.o.Now)
	if errors.Is(err, errNeverBegan) {
		return u, false
	}
	if err != nil {
		u.Notice = err.Error()
		return u, true
	}
	c, p := r.counts(), r.plan
	if r.ended && (c.sent == 0 || r.whole) { // what is pending after a whole run was looked for and did not show itself
		return u, false
	}
	u.Verb, u.From, u.Account, u.Region, u.By, u.Total = p.Verb, p.From, p.Account, p.Region, p.By, p.Messages()
	u.Started, u.Sent, u.Deleted, u.Open = p.Created, c.sent+c.deleted, c.deleted, c.intended
	release, err := d.o.Journal.Lock(string(p.From))
	if err != nil {
		u.Notice = "running: " + err.Error()
		return u, true
	}
	if err := release(); err != nil {
		u.Notice = err.Error()
	}
	return u, true
}
