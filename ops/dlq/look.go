package dlq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

const (
	defaultLimit   = 1000
	defaultWorkers = 16
	mostWorkers    = 64
	shortestLease  = 30 * time.Second // by default
	// receiveTime is what one receive may take on a slow line: it sizes the lease.
	receiveTime = 300 * time.Millisecond

	// Both waits are long polls, which ask all of SQS's servers; a short poll may
	// answer nothing though messages are there, and the SDK cannot even ask for one
	// by WaitTimeSeconds 0. A long poll answers at once when there is something.
	waitFlowing = 1 // seconds, while messages come
	waitDry     = 2 // seconds, when the queue answers nothing but says that there is more

	emptiesToStop = 3                // long polls in a row that found nothing
	stubborn      = 15 * time.Second // how long to go on when the queue's count says that there is more
	emptiesToQuit = 8                // and at least so many empty long polls
	staleToStop   = 50               // receives in a row that brought only messages of this look

	// lostPatience is how long a look waits for what a lost answer has leased: it comes
	// back when its lease ends. Longer leases than that are not waited for.
	lostPatience = 45 * time.Second
	lostCheck    = 200 * time.Millisecond

	callWait     = 10 * time.Second // for one request, on top of a long poll's wait
	failuresMax  = 6                // failed receives in a row before the look gives up
	throttleMax  = 30               // throttled receives in a row: with the pauses more than a minute
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second

	leaseCheck  = 100 * time.Millisecond // how often the leases are looked at
	reportEvery = 50 * time.Millisecond
)

// Look says how a look is done. The zero value is a good look.
type Look struct {
	Limit   int           // messages wanted, 0: 1,000
	Hold    int           // messages leased at the same time at most, 0: the limit. A look never holds more, so it ends there.
	Lease   time.Duration // 0: as long as the look is expected to take, at least 30 s
	Workers int           // receives in the air, 0: 16
	Again   bool          // look even where this run has looked twice already
}

// filled is the look with everything decided.
func (l Look) filled() Look {
	if l.Limit <= 0 {
		l.Limit = defaultLimit
	}
	if l.Hold <= 0 {
		l.Hold = l.Limit
	}
	l.Hold = min(l.Hold, l.Limit, ops.MaxStandardInFlight)
	if l.Workers <= 0 {
		l.Workers = defaultWorkers
	}
	l.Workers = max(1, min(l.Workers, mostWorkers, receives(l.Hold)))
	if l.Lease <= 0 {
		l.Lease = max(shortestLease, time.Duration(receives(l.Hold)/l.Workers+1)*receiveTime)
	}
	// Whole seconds, at least one: the SDK leaves a zero out of the request, and
	// SQS would take the queue's own timeout.
	l.Lease = min(max(l.Lease.Round(time.Second), time.Second), ops.MaxVisibility)
	return l
}

func receives(messages int) int {
	return (messages + ops.MaxBatchEntries - 1) / ops.MaxBatchEntries
}

// Cost says what a look would do to the queue, before it is done. It sends
// nothing; the depth is that of q.
func (d *Desk) Cost(q ops.Queue, l Look) ops.PeekCost {
	looks := d.memory.most(q.ARN, d.o.Now())
	if d.remembers(q, l) != nil {
		return ops.PeekCost{FromMemory: true, Warnings: []string{
			fmt.Sprintf("this run has received messages of %s %d times: they are shown from memory and nothing is received", q.Name, looks)}}
	}
	l = l.filled()
	n := l.Hold
	if depth, ok := q.Measures.Last(ops.Visible).Value(); ok {
		n = min(n, max(0, int(depth)))
	}
	// Receive and give back by tens, describe twice, prove that they can be given
	// back, and the polls that find nothing. SQS bills a receive by its bytes, which
	// are known only from a look before.
	calls := 2*receives(n) + 3 + emptiesToStop
	billed := calls + receives(n)*(ops.QueueRequests(ops.MaxBatchEntries*d.usualSize(q.ARN))-1)
	c := ops.PeekCost{Messages: n, Lease: l.Lease, Calls: calls, USD: float64(billed) * ops.PricePerQueueCall}
	say := func(format string, args ...any) { c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...)) }

	if n == 0 {
		say("the queue counts no visible messages: there may be nothing to see")
	} else {
		say("up to %d messages are leased: nobody else receives them for up to %s, unless they are given back before", n, l.Lease)
		say("ApproximateNumberOfMessagesVisible falls by up to %d while you look: an alarm on it may clear", n)
	}
	say("the receive count of each message goes up by 1")
	if !q.FIFO {
		if looks+1 > looksBeforeMemory {
			say("it is the look number %d at some of them: a message that was received three times goes to the back of the queue and out of its age metric", looks+1)
		} else {
			say("a message that was received three times goes to the back of the queue and out of its age metric: a third look of this run is answered from memory")
		}
	}
	if q.RedriveTo != "" && q.MaxReceive > 0 {
		if left := q.MaxReceive - looks; left > 0 {
			say("the queue has a redrive policy of its own: at most %d more looks and SQS moves the messages on to %s", left, q.RedriveTo.Name())
		} else {
			say("the queue has a redrive policy of its own: this look may make SQS move messages on to %s", q.RedriveTo.Name())
		}
	}
	if q.FIFO {
		say("FIFO: only the first 10 messages of a group can be seen, and the group is locked for its consumers while they are leased")
	}
	if flying, ok := q.Measures.Last(ops.InFlight).Value(); ok && int(flying)+n > ops.MaxStandardInFlight {
		say("%.0f messages are in flight already: at %d SQS hands out no more to anybody", flying, ops.MaxStandardInFlight)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if note := d.notes[q.ARN]; note != "" {
		c.Warnings = append(c.Warnings, note)
	}
	return c
}

// remembers returns the pile that answers the look from memory: this run has seen
// messages so often that one more look would push them to the back of the queue, or
// by the queue's own redrive policy out of it. nil when the queue is to be asked.
func (d *Desk) remembers(q ops.Queue, l Look) *Pile {
	most := looksBeforeMemory
	if q.RedriveTo != "" && q.MaxReceive > 0 {
		most = min(most, q.MaxReceive)
	}
	if l.Again || d.memory.most(q.ARN, d.o.Now()) < most {
		return nil
	}
	return d.Pile(q.ARN)
}

// usualSize is the mean size of the messages that the last look found, in bytes; 0 when unknown.
func (d *Desk) usualSize(queue ops.ARN) int {
	p := d.Pile(queue)
	if p == nil || p.Len() == 0 {
		return 0
	}
	sum := 0
	letters := p.Letters()
	for _, l := range letters {
		sum += l.Bytes
	}
	return sum / max(1, len(letters))
}

// Pile returns the last look at a queue of this run, nil when there was none.
// While a look goes on, it is the pile that it fills.
func (d *Desk) Pile(queue ops.ARN) *Pile {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.piles[queue]
}

// Look receives messages and holds them until Release; what it holds comes back by
// itself when the leases end. A look before it at the same queue is released first.
//
// Pile is never nil; with an error it has what was received before it. When ctx
// ends, Look returns at once and the pile knows what is held; after any other
// error it tries to give everything back. progress may be nil; it is called by
// one goroutine at a time.
func (d *Desk) Look(ctx context.Context, q ops.Queue, l Look, progress func(ops.LookProgress)) (*Pile, error) {
	if progress == nil {
		progress = func(ops.LookProgress) {}
	}
	if known := d.remembers(q, l); known != nil {
		n, until := known.Held()
		progress(ops.LookProgress{Read: known.Len(), Want: known.Len(), Held: n, Until: until, Depth: known.queue.Depth(), Done: true,
			Note: "from memory, as of " + known.At().UTC().Format(time.TimeOnly) + " UTC: one more look would move the messages to the back of the queue or out of it"})
		return known, nil
	}
	before := d.Pile(q.ARN)
	l = l.filled()
	pile := newPile(d, q)
	if err := d.begin(pile, before); err != nil {
		return pile, err
	}
	defer d.finish(pile)
	if before != nil {
		if err := before.Release(ctx); err != nil {
			return pile, err
		}
	}
	// The depth now: what the look is measured against.
	now, err := d.describe(ctx, q.URL)
	if err != nil {
		return pile, err
	}
	pile.queue.Measures = now.Measures
	r := &looker{desk: d, pile: pile, look: l, say: progress, depth: now.Measures.Last(ops.Visible)}
	if flying := int(now.Measures.Last(ops.InFlight).Or(0)); !q.FIFO && flying+r.look.Hold > ops.MaxStandardInFlight {
		r.look.Hold = max(0, ops.MaxStandardInFlight-flying)
		r.tell("%d messages are in flight already: only %d can be leased", flying, r.look.Hold)
	}
	d.show(pile)
	if d.moving(ctx, pile.queue) {
		r.tell("SQS is moving messages out of this queue: what is shown may be gone a moment later")
	}
	err = r.run(ctx)
	pile.end(d.o.Now(), r.notSeen())
	if err != nil && ctx.Err() == nil {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWait)
		defer cancel()
		err = errors.Join(err, pile.Release(back))
	}
	r.report(true)
	return pile, err
}

// begin refuses a second look at the queue while one is under way.
func (d *Desk) begin(pile, before *Pile) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	arn := pile.queue.ARN
	if d.looking[arn] || d.piles[arn] != before {
		return &ops.Problem{Fault: ops.FaultRefused, What: "a look at " + pile.queue.Name + " is under way", Hint: "wait for it, or stop it"}
	}
	d.looking[arn] = true
	return nil
}

// show makes the pile the queue's pile: from now on ReleaseAll finds it.
func (d *Desk) show(pile *Pile) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.piles[pile.queue.ARN] = pile
}

func (d *Desk) finish(pile *Pile) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.looking, pile.queue.ARN)
}

// ReleaseAll stops every look of this desk and gives back everything that it
// holds: on leaving, on a signal. ctx must not be the one that has just ended.
func (d *Desk) ReleaseAll(ctx context.Context) error {
	d.mu.Lock()
	piles := make([]*Pile, 0, len(d.piles))
	for _, p := range d.piles {
		piles = append(piles, p)
	}
	d.mu.Unlock()
	errs := make([]error, len(piles))
	var all sync.WaitGroup
	for i, p := range piles {
		all.Go(func() { errs[i] = p.Release(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// looker is one look while it goes on.
type looker struct {
	desk *Desk
	pile *Pile
	look Look

	mu        sync.Mutex
	workers   sync.WaitGroup
	alive     int           // workers
	reserved  int           // asked for, not answered yet
	lost      []lostReceive // may be leased, but the answer did not come
	calls     int
	news      int // answers with something new
	empties   int // long polls in a row that began after the last news and found nothing
	stale     int // answers in a row with nothing but what we have
	dry       time.Time
	asked     bool  // somebody compares with the depth
	giveBack  proof // whether messages can be given back
	failures  int
	throttles int
	pause     time.Duration
	over      string // why it stopped, "" while it goes on
	missed    string // what it could not see, "" when it has seen what it was to see
	err       error
	depth     ops.Reading
	note      string

	saying sync.Mutex
	said   time.Time // wall clock
	say    func(ops.LookProgress)
}

// proof is whether it is known that messages can be given back.
type proof int

const (
	unasked proof = iota
	asking
	proven
)

// lostReceive is messages that a receive may have leased without our knowing.
type lostReceive struct {
	messages int
	until    time.Time
}

// run receives until the look is over or ctx ends. A receive that is under way then
// finishes by itself, so that what it leased is known and can be given back.
func (r *looker) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.pile.mu.Lock()
	r.pile.stop = cancel
	r.pile.mu.Unlock()

	var keeper sync.WaitGroup
	keeping, enough := context.WithCancel(ctx)
	keeper.Go(func() { r.keepLeases(keeping) })
	r.mu.Lock()
	// A few first: enough for the empty answers that an end needs. The others come
	// when messages flow and it is proven that they can be given back.
	r.hire(ctx, min(emptiesToStop, r.look.Workers))
	r.mu.Unlock()
	r.workers.Wait()
	enough()
	keeper.Wait()

	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return r.err
	case r.over != "":
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("look at %s: %w", r.pile.queue.Name, context.Cause(ctx))
	}
	return nil
}

// hire starts n workers. Call it under the lock.
func (r *looker) hire(ctx context.Context, n int) {
	for range n {
		r.alive++
		r.workers.Go(func() { r.work(ctx) })
	}
}

// work receives until the look is over. While the queue answers nothing one worker
// is enough; when messages flow again it gets help.
func (r *looker) work(ctx context.Context) {
	for r.turn(ctx) {
		if !r.stay(ctx) {
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alive--
}

// turn is one receive and what follows from it; false when there is nothing more to do.
func (r *looker) turn(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	n, news, wait := r.reserve()
	if wait {
		r.report(false)
		return pausing(ctx, lostCheck)
	}
	if n == 0 || !r.pile.takeOff() {
		return false
	}
	answered := make(chan struct{})
	go func() { // its owner is the pile: halt waits for it
		defer r.pile.land()
		defer close(answered)
		r.receive(ctx, n, news)
	}()
	select {
	case <-answered:
	case <-ctx.Done():
		return false
	}
	r.prove(ctx)
	r.report(false)
	if !r.rest(ctx) {
		return false
	}
	r.compare(ctx)
	return true
}

// stay reports whether this worker should go on, and counts it out if not; it hires
// where messages flow and some have gone.
func (r *looker) stay(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over != "" || r.err != nil || r.empties > 0 && r.alive > 1 {
		r.alive--
		return false
	}
	if r.empties == 0 && r.giveBack == proven && r.alive < r.look.Workers {
		r.hire(ctx, 1)
	}
	return true
}

// prove extends the first leases, once, to learn that this identity may give back
// what it takes: with the first few messages, not with a thousand.
func (r *looker) prove(ctx context.Context) {
	r.mu.Lock()
	if r.giveBack != unasked || r.news == 0 {
		r.mu.Unlock()
		return
	}
	r.giveBack = asking
	r.mu.Unlock()
	now := r.desk.o.Now()
	first := r.pile.loans(now, now.Add(2*ops.MaxVisibility))
	n, err := r.desk.extend(ctx, r.pile, first[:min(len(first), 1)], r.look.Lease)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls += n
	r.giveBack = proven
	if err == nil {
		return
	}
	p := r.desk.explain("give messages of "+r.pile.queue.Name+" back", err)
	if p.Fault == ops.FaultDenied || p.Fault == ops.FaultRefused {
		r.err = cmp.Or(r.err, error(p))
	}
}

// reserve takes up to ten messages of what may still be leased, before they are
// asked for: so there are never more than the look may hold. 0 means that the look
// is over, or that others have asked for all that is left, or, with wait, that what
// a lost answer has leased will come back soon.
func (r *looker) reserve() (n, news int, wait bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over != "" || r.err != nil {
		return 0, 0, false
	}
	// Under the lock: an answer is filed before its reservation is given up, so what
	// is neither held nor reserved here is free. Counted before, it would be missing.
	held, _ := r.pile.Held()
	lost, until := r.missing()
	n = min(ops.MaxBatchEntries, r.look.Hold-held-r.reserved-lost)
	switch {
	case n > 0:
		r.reserved += n
		return n, r.news, false
	case r.reserved > 0:
		return 0, 0, false
	case held >= r.look.Hold || lost == 0:
		r.over = "the look holds as many as it may"
	case r.soon(until):
		return 0, 0, true
	default:
		r.over = fmt.Sprintf("answers were lost: up to %d messages are leased without our knowing and come back by themselves within %s", lost, r.look.Lease)
		r.missed = r.over
	}
	return 0, 0, false
}

// missing is how many messages may be leased without our knowing, and when the first
// of them are back. Call it under the lock.
func (r *looker) missing() (n int, until time.Time) {
	now, before := r.desk.o.Now(), len(r.lost)
	r.lost = slices.DeleteFunc(r.lost, func(l lostReceive) bool { return !l.until.After(now) })
	if len(r.lost) < before {
		r.empties = 0 // they are back, and no poll has looked for them yet
	}
	for _, l := range r.lost {
		if n += l.messages; until.IsZero() || l.until.Before(until) {
			until = l.until
		}
	}
	return n, until
}

// soon reports whether it is worth waiting for what comes back then.
func (r *looker) soon(until time.Time) bool {
	return until.Sub(r.desk.o.Now()) <= lostPatience
}

// receive asks once and files what comes.
func (r *looker) receive(ctx context.Context, n, news int) {
	r.mu.Lock()
	r.calls++
	wait := int32(waitFlowing)
	if r.empties >= emptiesToStop {
		wait = waitDry
	}
	r.mu.Unlock()
	// Not ctx itself: when it ends, the answer is still wanted.
	once, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(wait)*time.Second+callWait)
	defer cancel()
	asked := r.desk.o.Now()
	out, err := r.desk.once.ReceiveMessage(once, &sqs.ReceiveMessageInput{
		QueueUrl: &r.pile.queue.URL, MaxNumberOfMessages: int32(n), WaitTimeSeconds: wait, VisibilityTimeout: int32(r.look.Lease / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		r.failed(err, n)
		return
	}
	now, fresh := r.desk.o.Now(), 0
	for _, m := range out.Messages {
		// The lease began after we asked: reckoned from then it ends too early, never too late.
		if r.pile.add(received(m, r.pile.queue.ARN, now, asked.Add(r.look.Lease))) {
			fresh++
		}
	}
	r.answered(n, len(out.Messages), fresh, news)
}

// received makes our message of the SDK's. Nothing is decoded.
func received(m types.Message, queue ops.ARN, at, until time.Time) ops.Message {
	out := ops.Message{
		ID: aws.ToString(m.MessageId), Queue: queue, Body: aws.ToString(m.Body), System: m.Attributes,
		At: at.UTC(), Handle: aws.ToString(m.ReceiptHandle), Until: until.UTC(),
	}
	if len(m.MessageAttributes) > 0 {
		out.Attributes = make(map[string]ops.Attribute, len(m.MessageAttributes))
		for name, a := range m.MessageAttributes {
			out.Attributes[name] = ops.Attribute{Type: aws.ToString(a.DataType), Text: aws.ToString(a.StringValue), Bytes: a.BinaryValue}
		}
	}
	return out
}

// answered books an answer with so many messages, so many of them new. news is how
// many answers had brought something when it was asked.
func (r *looker) answered(asked, got, fresh, news int) {
	held, _ := r.pile.Held()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved -= asked
	r.failures, r.throttles = 0, 0
	if r.pause /= 2; r.pause < firstPause {
		r.pause = 0
	}
	switch {
	case fresh > 0:
		r.news++
		r.empties, r.stale = 0, 0
		if held >= r.look.Hold {
			r.over = "the look holds as many as it may"
		}
	case got > 0:
		if r.stale++; r.stale >= staleToStop {
			r.over = "the queue hands out the same messages again and again"
			r.missed = r.over
		}
	case news == r.news: // an empty answer to a question from before the last message says little
		if r.empties++; r.empties == 1 {
			r.dry = r.desk.o.Now()
		}
	}
}

// failed books a receive without an answer, or with a refusal.
func (r *looker) failed(err error, asked int) {
	p := r.desk.explain("read messages of "+r.pile.queue.Name, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved -= asked
	switch p.Fault {
	case ops.FaultThrottled: // nothing was leased
		r.throttles++
	case ops.FaultUnreachable, ops.FaultTimeout, ops.FaultService:
		if !neverLeft(err) {
			// The messages may be leased; until the lease would be over they count as held.
			r.lost = append(r.lost, lostReceive{asked, r.desk.o.Now().Add(r.look.Lease)})
		}
		r.failures++
	default:
		r.err = cmp.Or(r.err, error(p))
		return
	}
	if r.failures >= failuresMax || r.throttles >= throttleMax {
		r.err = cmp.Or(r.err, error(p))
		return
	}
	r.pause = min(max(2*r.pause, firstPause), longestPause)
}

// rest pauses after a failure; false when ctx ended.
func (r *looker) rest(ctx context.Context) bool {
	r.mu.Lock()
	pause := r.pause
	r.mu.Unlock()
	return pausing(ctx, pause)
}

// haste divides the pauses between tries: 1, but in tests.
var haste time.Duration = 1

// pausing waits about d, never in step with others; false when ctx ended.
func pausing(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer((d/2 + rand.N(d)) / haste)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// compare decides whether a queue that answers nothing is at its end: several long
// polls in a row and the queue's own count have to say so. The count may be a
// minute old, so it is not believed for ever.
func (r *looker) compare(ctx context.Context) {
	r.mu.Lock()
	if r.over != "" || r.asked || r.empties < emptiesToStop {
		r.mu.Unlock()
		return
	}
	r.asked = true
	r.mu.Unlock()
	now, err := r.desk.describe(ctx, r.pile.queue.URL)
	left := now.Measures.Last(ops.Visible)
	held, _ := r.pile.Held()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = false
	r.calls++
	lost, until := r.missing()
	if r.empties < emptiesToStop { // messages came meanwhile
		return
	}
	if lost > 0 && r.soon(until) {
		return
	}
	if err != nil {
		p := r.desk.explain("read "+r.pile.queue.Name, err)
		if p.Fault == ops.FaultNotFound {
			r.err = cmp.Or(r.err, error(p))
			return
		}
	} else {
		r.depth = left
	}
	n, known := left.Value()
	switch {
	case known && n <= 0:
		r.over = fmt.Sprintf("%d long polls found nothing and the queue counts none", r.empties)
		if others := now.Measures.Last(ops.InFlight).Or(0) - float64(held); others >= 1 {
			r.missed = fmt.Sprintf("about %.0f more are held by somebody else", others)
			if lost > 0 {
				r.missed = fmt.Sprintf("about %.0f more are leased, up to %d of them by answers to this look that were lost", others, lost)
			}
			r.over += "; " + r.missed
		}
	case r.pile.queue.FIFO && known:
		// Waiting does not help: they come when the leases end.
		r.over = fmt.Sprintf("%.0f more wait behind messages of their group that are leased: of a FIFO group only the first 10 can be seen", n)
		r.missed = r.over
	case r.empties >= emptiesToQuit && r.desk.o.Now().Sub(r.dry) >= stubborn:
		r.over = fmt.Sprintf("%d long polls in a row found nothing, though the queue counts %.0f: somebody else may hold them", r.empties, n)
		if !known {
			r.over = fmt.Sprintf("%d long polls in a row found nothing; the queue's count could not be read", r.empties)
		}
		r.missed = r.over
	}
}

// keepLeases extends leases before they end, as long as the look goes on: a message
// that comes back half-way would be received, and counted, again.
func (r *looker) keepLeases(ctx context.Context) {
	tick := time.NewTicker(leaseCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := r.desk.o.Now()
		if !r.pile.due(now.Add(r.look.Lease / 3)) {
			continue
		}
		due := r.pile.loans(now, now.Add(r.look.Lease/3))
		n, err := r.desk.extend(ctx, r.pile, due, r.look.Lease)
		r.mu.Lock()
		r.calls += n
		if err != nil && ctx.Err() == nil {
			r.note = "leases could not be extended: " + r.desk.o.Explain(err).What
		}
		r.mu.Unlock()
	}
}

func (r *looker) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note = fmt.Sprintf(format, args...)
}

// noteNow is the one sentence worth saying. Call it under the lock.
func (r *looker) noteNow(done bool) string {
	lost, until := r.missing()
	switch {
	case done && r.over != "":
		return "stopped: " + r.over
	case r.throttles > 0:
		return "throttled: slower"
	case lost > 0:
		return fmt.Sprintf("an answer was lost: up to %d messages stay leased for %s", lost, ops.Span(until.Sub(r.desk.o.Now()).Seconds()))
	}
	return r.note
}

// notSeen is what the look could not see.
func (r *looker) notSeen() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.missed
}

// report tells how far the look is, not more often than a person can see.
func (r *looker) report(done bool) {
	r.saying.Lock()
	defer r.saying.Unlock()
	if !done && time.Since(r.said) < reportEvery {
		return
	}
	r.said = time.Now()
	held, until := r.pile.Held()
	read := r.pile.Len()
	r.mu.Lock()
	p := ops.LookProgress{Read: read, Want: r.look.Limit, Held: held, Calls: r.calls, Depth: r.depth, Until: until, Done: done, Note: r.noteNow(done)}
	r.mu.Unlock()
	if first, ok := r.pile.queue.Measures.Last(ops.Visible).Value(); ok {
		p.Want = max(min(p.Want, int(first)), read)
	}
	r.say(p)
}
