package dlq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/time/rate"

	"kxops/ops"
)

const (
	workLease   = 120 * time.Second // of what the operation holds; extended at half of it
	leaseSlack  = 2 * time.Second
	sendTries   = 6 // for a send that was not taken, and for a repeat that is harmless
	deleteTries = 4
	failsToStop = 5 // receives without an answer in a row
	// dedupSafe is how long after the first try a FIFO send is repeated: inside the
	// window of five minutes, with room for the request itself.
	dedupSafe      = ops.DedupWindow - 30*time.Second
	reconcilesMost = 8
	holdMost       = 100_000 // messages leased at the same time; SQS allows 120,000 in all
)

// leaseOf is how long the operation leases messages.
func leaseOf(p ops.Pace) time.Duration {
	if p.Lease > 0 {
		return max(time.Second, time.Duration(p.Lease*float64(time.Second)).Round(time.Second))
	}
	return workLease
}

// redrive sends what the manifest lists and deletes what the record says is sent.
func (o *Operation) redrive(ctx context.Context) error {
	r := &redriver{
		o: o, desk: o.desk, plan: o.plan, record: o.record, lease: leaseOf(o.plan.Pace),
		hand: map[string]*held{}, busy: map[string]bool{}, stopped: map[string]bool{}, barred: map[string]bool{}, inBatch: map[string]bool{},
	}
	if o.resumed { // until then an empty queue does not mean that nothing is left
		r.notBefore = r.now().Add(r.lease + leaseSlack)
	}
	r.idle.L = &r.mu
	for _, t := range o.plan.To {
		s, err := o.desk.senderTo(ctx, o.plan, t)
		if err != nil {
			return err
		}
		r.senders = append(r.senders, s)
	}
	if closer, ok := anyCloser(r.senders); ok {
		defer closer()
	}
	if err := r.settleIntents(); err != nil {
		return err
	}
	if err := r.settleFiles(); err != nil {
		return err
	}
	r.settleGroups()
	keeping, enough := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { r.keepLeases(keeping) })
	err := r.stages(ctx)
	enough()
	keeper.Wait()
	if err == nil && r.o.goes() {
		err = r.leaveGroups()
	}
	if left := r.record.counts().waiting; r.full && left > 0 {
		r.o.set(func() {
			r.o.note = fmt.Sprintf("ended early: it holds %d messages, and more must not be leased at a time (SQS allows 120,000); %d of the plan may be behind them, and were not looked for any further",
				len(r.hand), left)
		})
	}
	return errors.Join(err, r.giveBack(ctx))
}

// anyCloser closes the senders that have something to close.
func anyCloser(senders []sender) (func(), bool) {
	var closers []func()
	for _, s := range senders {
		if c, ok := s.(interface{ close() }); ok {
			closers = append(closers, c.close)
		}
	}
	return func() {
		for _, c := range closers {
			c()
		}
	}, len(closers) > 0
}

// held is a message that the operation has under a lease.
type held struct {
	message ops.Message
	until   time.Time
	member  bool // of the manifest
}

// redriver is one run of a redrive.
type redriver struct {
	o       *Operation
	desk    *Desk
	plan    ops.Plan
	record  *record
	senders []sender
	lease   time.Duration
	pace    *rate.Limiter
	began   time.Time // of the stage

	mu         sync.Mutex
	idle       sync.Cond
	hand       map[string]*held // by message id
	ready      []string         // members in hand that wait to be sent, in order of receipt
	working    int              // workers with a batch or a receive in hand
	polling    int              // receives in the air
	busy       map[string]bool  // FIFO groups in a batch
	stopped    map[string]bool  // FIFO groups that must not go on
	barred     map[string]bool  // FIFO groups with an earlier message that is not ours to send
	inBatch    map[string]bool  // ids that a worker has
	reconciles int              // how often what is held was given back for what was not deleted
	lost       []*held          // FIFO: messages of a group that lost a lease, to be given back
	budget     int              // messages that may still be sent in this stage
	empties    int              // long polls in a row that found nothing new
	fails      int
	drySince   time.Time // of the first of the empties
	agreed     bool      // the queue's own count says that nothing is visible
	notBefore  time.Time // leases that we cannot use hold messages until then
	unanswered int       // sends of this run that stay without an answer
	full       bool      // a stage ended because no more may be leased
	over       bool
	err        error
}

func (r *redriver) now() time.Time { return r.desk.o.Now() }

// settleGroups stops the FIFO groups in which an earlier message was not taken, or
// is uncertain: also after an interruption nothing may overtake it.
func (r *redriver) settleGroups() {
	if !r.plan.FIFO || r.plan.Reorder {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.record.in(isRejected, isUnknown) {
		r.stopped[r.record.entry(id).Group] = true
	}
}

// leaveGroups names what was left because its group was stopped.
func (r *redriver) leaveGroups() error {
	var lines []line
	r.mu.Lock()
	for _, id := range r.record.in(waiting) {
		switch it := r.record.entry(id); {
		case !r.plan.FIFO:
		case r.stopped[it.Group]:
			lines = append(lines, line{Word: lineRejected, ID: id, Code: "GroupStopped", Why: "an earlier message of its group was not taken or is uncertain; it must not overtake it"})
		case r.barred[it.Group] && !r.plan.Reorder && r.hand[id] != nil: // it is here, so it is not missing
			lines = append(lines, line{Word: lineRejected, ID: id, Code: "GroupBarred", Why: "an earlier message of its group is not in the plan; it must not overtake it"})
		}
	}
	r.mu.Unlock()
	return r.record.write(lines...)
}

// settleIntents decides about messages whose send was recorded as intended and not
// as done: the program died in between. On a FIFO target inside the dedup window
// the same id is sent again, which cannot double; anywhere else nobody can know.
func (r *redriver) settleIntents() error {
	var lines []line
	for _, id := range r.record.in(intended) {
		it := r.record.entry(id)
		if r.repeatable(it) {
			continue
		}
		lines = append(lines, line{Word: lineUnknown, ID: id, Code: "Interrupted", Why: "interrupted between sending and recording the answer"})
	}
	return r.record.write(lines...)
}

// settleFiles looks whether the file still has what the record says is in it. What is
// not there is written again before it is deleted: somebody has moved the file away,
// or a directory was cleared while the program was not running.
func (r *redriver) settleFiles() error {
	var lines []line
	for _, id := range r.record.in(isSent) {
		if f, ok := r.senders[r.record.entry(id).Target].(*fileSender); ok && !f.has(id) {
			lines = append(lines, line{Word: lineUntaken, ID: id, Code: "File", Why: "the file does not have it any more"})
		}
	}
	return r.record.write(lines...)
}

// repeatable reports whether the message can be sent again without doubling it.
func (r *redriver) repeatable(it item) bool {
	if it.Target < len(r.senders) {
		if _, ok := r.senders[it.Target].(*fileSender); ok {
			return true // a file can be read: it never holds a message twice, however late
		}
	}
	return it.Target < len(r.senders) && r.senders[it.Target].repeatable() && r.now().Sub(it.intent) < dedupSafe
}

// stages sends in stages: those of the canary, then everything.
func (r *redriver) stages(ctx context.Context) error {
	for _, s := range stagesOf(r.plan, r.record.counts()) {
		if err := r.pass(ctx, s); err != nil || !r.o.goes() {
			return err
		}
		if s.watch > 0 {
			if err := r.watch(ctx, s); err != nil || !r.o.goes() {
				return err
			}
		}
	}
	return nil
}

// pass sends up to the stage's number of messages; the last stage has no end but
// the manifest's.
func (r *redriver) pass(ctx context.Context, s stage) error {
	r.o.set(func() { r.o.stage, r.o.until = s.name, time.Time{}; r.o.state = running(r.o.state) })
	r.mu.Lock()
	r.budget, r.over, r.empties, r.fails, r.agreed, r.err = s.messages, false, 0, 0, false, nil
	r.pace, r.began = s.limiter(r.now()), r.now()
	r.mu.Unlock()
	var all sync.WaitGroup
	for range r.workers() {
		all.Go(func() { r.work(ctx) })
	}
	all.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// running keeps a state that says more than running.
func running(s ops.RunState) ops.RunState {
	if s == ops.Watching {
		return ops.Running
	}
	return s
}

func (r *redriver) workers() int {
	if r.plan.Pace.Careful {
		return 1
	}
	return max(1, r.plan.Pace.Workers)
}

func (r *redriver) batchSize(target int) int {
	if r.plan.Pace.Careful {
		return 1
	}
	n := r.senders[target].batch()
	if r.pace != nil { // not more than a second's worth
		n = max(1, min(n, int(rampAt(r.now().Sub(r.began), r.plan.Pace.Rate))))
	}
	return n
}

// work sends and receives until the stage is over.
func (r *redriver) work(ctx context.Context) {
	for r.o.goes() {
		r.free(ctx)
		batch, receive, over := r.next()
		switch {
		case over:
			return
		case len(batch) > 0:
			r.fail(r.process(ctx, batch))
			r.release(batch)
		case receive:
			r.receive(ctx)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.idle.Broadcast()
}

func (r *redriver) fail(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	r.over = true
	r.idle.Broadcast()
}

// next is what a worker does now: a batch to send, or a receive; or it is over.
func (r *redriver) next() (batch []*held, receive, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.over {
			return nil, false, true
		}
		if batch = r.takeBatch(); len(batch) > 0 {
			r.budget -= len(batch)
			r.working++
			return batch, false, false
		}
		c := r.record.counts()
		// A run ends here, without long polls until the queue is dry, when the manifest
		// has nothing left that waits, is uncertain or is sent and not deleted: SQS has
		// confirmed each delete by name, so there is nothing that reconciling could find.
		// The queue's count is no better witness: it is up to a minute old, and counts what
		// arrived meanwhile. Rarely a standard queue delivers a deleted message once more;
		// the watch and any later receive of this run delete it by the record, and
		// nothing sends it again.
		switch {
		case r.budget <= 0 || c.waiting+c.intended+c.sent == 0:
			if r.working == 0 {
				r.over = true
				r.idle.Broadcast()
				return nil, false, true
			}
		case r.enough():
			if r.working == 0 && r.polling == 0 {
				if c.sent > 0 && r.reconciles < reconcilesMost && r.reconcile() {
					return nil, false, false
				}
				r.over = true
				r.idle.Broadcast()
				return nil, false, true
			}
		case r.polling == 0 || r.empties == 0: // a dry queue needs one poll at a time
			r.polling++
			return nil, true, false
		}
		r.idle.Wait()
	}
}

// reconcile gives back what was sent and could not be deleted, so that it comes again
// and can be; of a FIFO queue all that is held, for a message shows itself only when
// nothing of its group is. Call it under the lock.
func (r *redriver) reconcile() bool {
	pending := map[string]bool{} // FIFO groups
	for _, id := range r.record.in(isSent) {
		pending[r.record.entry(id).Group] = true
	}
	given := 0
	for id, h := range r.hand {
		st, _ := r.record.stateOf(id)
		if st == isSent || r.plan.FIFO && pending[h.message.Group()] {
			r.lost = append(r.lost, h)
			delete(r.hand, id)
			delete(r.barred, h.message.Group()) // as in groupLost
			given++
		}
	}
	if given == 0 { // nothing that we hold hides them: they are gone, or held by somebody else
		return false
	}
	r.reconciles++
	r.ready = slices.DeleteFunc(r.ready, func(id string) bool { return r.hand[id] == nil })
	r.empties, r.agreed = 0, false
	return true
}

// enough reports whether the queue has given what it has. Call it under the lock.
func (r *redriver) enough() bool {
	if len(r.hand) >= cmp.Or(r.desk.holds, holdMost) {
		r.full = true
		return true
	}
	if r.empties < emptiesToStop || r.now().Before(r.notBefore) {
		return false
	}
	// The count may be a minute old, so it is not believed for ever.
	return r.agreed || r.empties >= emptiesToQuit && r.now().Sub(r.drySince) >= stubborn
}

// takeBatch takes messages in hand that can be sent together: to one target, each
// of another FIFO group. Call it under the lock.
func (r *redriver) takeBatch() []*held {
	var batch []*held
	target, now := -1, r.now()
	groups := map[string]bool{} // FIFO: an earlier message of the group was seen
	rest := r.ready[:0:0]
	for i, id := range r.ready {
		if target >= 0 && len(batch) >= min(r.batchSize(target), r.budget) {
			rest = append(rest, r.ready[i:]...)
			break
		}
		h, it := r.hand[id], r.record.entry(id)
		if r.inBatch[id] || h == nil || it.state != waiting && it.state != intended {
			continue
		}
		group := h.message.Group()
		if r.plan.FIFO && r.groupLost(group, now) {
			continue
		}
		if !r.plan.FIFO && h.until.Sub(now) < r.margin() { // its lease is as good as over: it comes again
			delete(r.hand, id)
			r.absent(h.until)
			continue
		}
		blocked := r.plan.FIFO && (groups[group] || r.busy[group] || r.stopped[group])
		groups[group] = true
		if blocked || r.budget <= 0 || target >= 0 && it.Target != target {
			rest = append(rest, id)
			continue
		}
		target = it.Target
		batch = append(batch, h)
	}
	r.ready = rest
	for _, h := range batch {
		r.inBatch[h.message.ID] = true
		if r.plan.FIFO {
			r.busy[h.message.Group()] = true
		}
	}
	return batch
}

// groupLost looks whether a waiting message of a FIFO group lost its lease. Then the
// whole group is given back, to be received again in its order: the others must not
// overtake it, and while they are held SQS does not hand it out. Call it under the lock.
func (r *redriver) groupLost(group string, now time.Time) bool {
	if r.busy[group] {
		return false
	}
	lost := false
	for _, h := range r.hand {
		lost = lost || h.message.Group() == group && h.member && h.until.Sub(now) < r.margin()
	}
	if !lost {
		return false
	}
	for id, h := range r.hand {
		if h.message.Group() == group {
			r.lost = append(r.lost, h)
			delete(r.hand, id)
		}
	}
	delete(r.barred, group) // what barred it comes again too, in its place
	return true
}

// absent notes that messages come back only after a time: what the queue answered
// until now says nothing of them. Call it under the lock.
func (r *redriver) absent(until time.Time) {
	r.empties, r.agreed = 0, false
	if until = until.Add(leaseSlack); until.After(r.notBefore) {
		r.notBefore = until
	}
}

// free gives back what groupLost let go.
func (r *redriver) free(ctx context.Context) {
	r.mu.Lock()
	lost := r.lost
	r.lost = nil
	for _, h := range lost {
		r.absent(h.until)
	}
	r.mu.Unlock()
	for part := range slices.Chunk(lost, ops.MaxBatchEntries) {
		if _, err := r.changeVisibility(ctx, part, 0); err != nil {
			return // they come back by themselves
		}
	}
}

// margin is how much of a lease has to be left for a batch to begin.
func (r *redriver) margin() time.Duration { return r.lease / 4 }

// release ends a batch.
func (r *redriver) release(batch []*held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range batch {
		delete(r.busy, h.message.Group())
		delete(r.inBatch, h.message.ID)
		st, _ := r.record.stateOf(h.message.ID)
		switch {
		case st == isDeleted:
			delete(r.hand, h.message.ID)
		case st == waiting, st == intended: // not taken, or not tried: it may be tried again
			if !r.stopped[h.message.Group()] {
				r.ready = append([]string{h.message.ID}, r.ready...)
			}
			r.budget++
		case r.plan.FIFO && !r.plan.Reorder && st != isSent:
			r.stopped[h.message.Group()] = true
		}
	}
	r.working--
	r.o.mark()
	r.idle.Broadcast()
}

// receive asks once and sorts what comes.
func (r *redriver) receive(ctx context.Context) {
	got, err := r.poll(ctx)
	var drop []*held
	if err == nil {
		drop = r.sort(got)
	}
	r.compare(ctx)
	r.mu.Lock()
	r.polling--
	r.working++
	r.idle.Broadcast()
	r.mu.Unlock()
	r.fail(err)
	if len(drop) > 0 {
		r.fail(r.remove(ctx, drop))
	}
	r.mu.Lock()
	r.working--
	r.idle.Broadcast()
	r.mu.Unlock()
}

// compare asks the queue how much it holds when it answers nothing.
func (r *redriver) compare(ctx context.Context) {
	r.mu.Lock()
	ask := r.empties >= emptiesToStop && !r.agreed
	r.mu.Unlock()
	if !ask {
		return
	}
	q, err := r.desk.describe(ctx, r.plan.FromURL)
	r.o.called(1, ops.PricePerQueueCall)
	if err != nil {
		return // the bound on empty polls ends it
	}
	visible := q.Measures.Last(ops.Visible)
	r.o.set(func() { r.o.depth = q.Depth() })
	r.mu.Lock()
	defer r.mu.Unlock()
	// What others hold may be of the manifest: it is waited for, though not for ever.
	others := int(q.Measures.Last(ops.InFlight).Or(0)) - len(r.hand)
	r.agreed = visible.Or(1) == 0 && others <= 0
}

// poll receives once. A receive without an answer is tried again by the caller's
// loop; the error is one that will not go away.
func (r *redriver) poll(ctx context.Context) ([]ops.Message, error) {
	r.mu.Lock()
	wait, fails := int32(waitFlowing), r.fails
	if r.empties > 0 {
		wait = waitDry
	}
	r.mu.Unlock()
	if fails > 0 {
		pausing(ctx, min(firstPause<<fails, longestPause))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(wait)*time.Second+callWait)
	defer cancel()
	asked := r.now()
	out, err := r.desk.once.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &r.plan.FromURL, MaxNumberOfMessages: ops.MaxBatchEntries, WaitTimeSeconds: wait, VisibilityTimeout: int32(r.lease / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	r.o.called(1, ops.PricePerQueueCall)
	if err != nil {
		p := r.desk.explain("receive from "+r.plan.From.Name(), err)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.fails == fails { // the receives of all workers that fail together are one failure
			r.fails++
		}
		if p.Fault != ops.FaultThrottled && p.Fault != ops.FaultRefused { // the answer is lost, what it leased is hidden until then
			r.absent(asked.Add(r.lease))
		}
		if !passing(p.Fault) || r.fails > failsToStop {
			return nil, p
		}
		return nil, nil
	}
	messages := make([]ops.Message, len(out.Messages))
	for i, m := range out.Messages {
		messages[i] = received(m, r.plan.From, r.now(), asked.Add(r.lease))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = 0
	if len(messages) == 0 {
		if r.empties++; r.empties == 1 {
			r.drySince = r.now()
		}
	}
	return messages, nil
}

// sort files what was received: what is to be sent, what was sent already (to be
// deleted: it is returned), and the rest, which is held until the end so that it
// does not come again and again.
func (r *redriver) sort(messages []ops.Message) (drop []*held) {
	var back []line
	for _, m := range messages {
		h := &held{message: m, until: m.Until}
		r.mu.Lock()
		st, member := r.record.stateOf(m.ID) // under the lock: another worker may be done with it
		h.member = member
		before := r.hand[m.ID]
		if before == nil {
			r.empties, r.agreed = 0, false
		}
		if before != nil { // handed out twice: the newest handle is the one that counts
			before.message.Handle, before.until = m.Handle, m.Until
		} else {
			r.hand[m.ID] = h
		}
		group := m.Group()
		switch {
		case !member:
			r.barred[group] = true
		case before != nil && st != isSent && st != isDeleted:
		case st == waiting, st == intended:
			if r.plan.FIFO && (r.stopped[group] || r.barred[group] && !r.plan.Reorder) {
				break // it must not overtake what is before it
			}
			r.ready = append(r.ready, m.ID)
		case st == isSent, st == isDeleted: // a deleted message can come back, rarely
			drop = append(drop, r.hand[m.ID])
		}
		r.mu.Unlock()
		// After it is in hand: a send that is recorded just now finds it there.
		if id := r.record.returnOf(m); id != "" {
			back = append(back, line{Word: lineReturned, ID: id})
		}
	}
	r.fail(r.record.write(back...))
	r.judge()
	return drop
}

// process is steps 3 to 8 of the protocol for one batch.
func (r *redriver) process(ctx context.Context, batch []*held) error {
	target := r.record.entry(batch[0].message.ID).Target
	if !r.turn(len(batch)) {
		return nil
	}
	batch = r.keep(ctx, batch)
	if len(batch) == 0 {
		return nil
	}
	batch, err := r.certain(batch)
	if err != nil || len(batch) == 0 {
		return err
	}
	parcels := make([]parcel, len(batch))
	intents := make([]line, len(batch))
	doubt := make([]bool, len(batch)) // an earlier try may have been taken
	r.mu.Lock()                       // a message that is handed out twice gets a new handle
	for i, h := range batch {
		st, _ := r.record.stateOf(h.message.ID)
		doubt[i] = st == intended
		parcels[i] = parcel{message: h.message, group: h.message.Group(), dedup: h.message.ID + "." + r.plan.ID}
		intents[i] = line{Word: lineIntent, ID: h.message.ID, To: target}
	}
	r.mu.Unlock()
	if err := r.record.write(intents...); err != nil {
		return err
	}
	receipts, stop := r.deliver(ctx, target, parcels, doubt)
	if err := r.record.write(outcomes(batch, receipts)...); err != nil {
		return err // what was sent is not recorded as sent: it must not be deleted
	}
	if err := r.cameBack(receipts); err != nil {
		return err
	}
	var done []*held
	r.mu.Lock()
	for i, h := range batch {
		switch receipts[i].fate {
		case sent:
			done = append(done, h)
		case unknown:
			r.unanswered++
		}
	}
	r.mu.Unlock()
	if err := r.remove(ctx, done); err != nil {
		return err
	}
	r.judge()
	if stop != nil {
		return stop
	}
	return nil
}

// certain leaves out messages of an earlier run whose send cannot be repeated any
// more without doubling them.
func (r *redriver) certain(batch []*held) ([]*held, error) {
	var late []line
	left := slices.DeleteFunc(batch, func(h *held) bool {
		it := r.record.entry(h.message.ID)
		if it.state != intended || r.repeatable(it) {
			return false
		}
		late = append(late, line{Word: lineUnknown, ID: it.ID, Code: "Interrupted", Why: "interrupted between sending and recording the answer"})
		return true
	})
	return left, r.record.write(late...)
}

// cameBack books what failed again before its send was recorded: another worker
// has received it meanwhile, as a stranger.
func (r *redriver) cameBack(receipts []receipt) error {
	var back []line
	r.mu.Lock()
	for _, x := range receipts {
		h := r.hand[x.id]
		if x.fate != sent || h == nil || h.member {
			continue
		}
		if id := r.record.returnOf(h.message); id != "" {
			back = append(back, line{Word: lineReturned, ID: id})
		}
	}
	r.mu.Unlock()
	return r.record.write(back...)
}

// outcomes are the lines of a send. What was not taken for sure goes back to where
// it was: a rejection that says so is written, for a resume must not call it unknown.
func outcomes(batch []*held, receipts []receipt) []line {
	lines := make([]line, len(batch))
	for i, h := range batch {
		x := receipts[i]
		l := line{ID: h.message.ID, Code: x.code, Why: x.why, Sender: x.sender}
		switch x.fate {
		case sent:
			l = line{Word: lineSent, ID: h.message.ID, New: x.id}
		case rejected:
			l.Word = lineRejected
		case untaken:
			l.Word = lineUntaken
		default:
			l.Word = lineUnknown
		}
		lines[i] = l
	}
	return lines
}

// deliver sends the parcels and repeats what may be repeated: what was not taken for
// sure, and what is harmless to send twice.
func (r *redriver) deliver(ctx context.Context, target int, parcels []parcel, doubt []bool) (receipts []receipt, stop error) {
	s := r.senders[target]
	receipts = make([]receipt, len(parcels))
	left := make([]int, len(parcels))
	for i := range left {
		left[i] = i
	}
	pause := firstPause
	for try := range sendTries {
		again := make([]parcel, len(left))
		bytes := 0
		for i, n := range left {
			again[i] = parcels[n]
			bytes += parcels[n].message.Size()
		}
		answers := s.send(ctx, again)
		r.o.called(1, float64(ops.QueueRequests(bytes))*ops.PricePerQueueCall)
		var open []int
		for i, n := range left {
			receipts[n] = answers[i]
			doubt[n] = doubt[n] || answers[i].fate == unknown
			if answers[i].stop != nil {
				stop = answers[i].stop
			}
			switch answers[i].fate {
			case untaken:
				open = append(open, n)
			case unknown:
				if it := r.record.entry(parcels[n].message.ID); r.repeatable(it) {
					open = append(open, n)
				}
			}
		}
		left = open
		if len(left) == 0 || stop != nil || try == sendTries-1 {
			break
		}
		r.o.set(func() { r.o.note = "the target asks to slow down or does not answer: trying again" })
		pausing(ctx, pause)
		pause = min(2*pause, longestPause)
	}
	for n := range receipts {
		if doubt[n] && receipts[n].fate != sent { // the last answer says nothing about the tries before it
			receipts[n].fate = unknown
		}
	}
	if stop == nil && len(left) > 0 && receipts[left[0]].fate == untaken {
		stop = &ops.Problem{Fault: ops.FaultThrottled, What: fmt.Sprintf("%s did not take messages, %d times in a row: %s", r.plan.To[target].Name(), sendTries, receipts[left[0]].why),
			Hint: "resume later, with a lower --rate"}
	}
	return receipts, stop
}

// turn waits for the batch's place in the rate, and for the end of a pause; false when
// the operation was stopped.
func (r *redriver) turn(n int) bool {
	r.mu.Lock()
	pace := r.pace
	r.mu.Unlock()
	if pace != nil {
		now := r.now()
		pace.SetLimitAt(now, rate.Limit(rampAt(now.Sub(r.began), r.plan.Pace.Rate)))
		if !r.o.sleep(pace.ReserveN(now, n).DelayFrom(now)) {
			return false
		}
	}
	return r.o.goes() // it was taken before a pause, a cancel or a halt that came meanwhile
}

// keep makes sure that the leases of a batch last, and leaves out what does not.
func (r *redriver) keep(ctx context.Context, batch []*held) []*held {
	r.mu.Lock()
	now := r.now()
	var short []*held
	for _, h := range batch {
		if h.until.Sub(now) < r.lease/2 {
			short = append(short, h)
		}
	}
	r.mu.Unlock()
	if len(short) > 0 {
		r.extend(ctx, short)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now = r.now()
	return slices.DeleteFunc(slices.Clone(batch), func(h *held) bool {
		lost := h.until.Sub(now) < r.margin()
		if lost && !r.plan.FIFO { // of a FIFO queue groupLost gives back its whole group
			delete(r.hand, h.message.ID)
			r.absent(h.until)
		}
		return lost
	})
}

// extend makes leases last a whole lease from now. What SQS does not extend is
// taken as lost: the message is received again and recognised.
//
// Several calls are in the air: one after the other they would not keep up with what
// can be held, and what is lost comes again and again.
func (r *redriver) extend(ctx context.Context, batch []*held) {
	var all sync.WaitGroup
	slots := make(chan struct{}, leaseWorkers)
	for part := range slices.Chunk(batch, ops.MaxBatchEntries) {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			r.extendOnce(ctx, part)
		})
	}
	all.Wait()
}

func (r *redriver) extendOnce(ctx context.Context, part []*held) {
	asked := r.now()
	out, err := r.changeVisibility(ctx, part, r.lease)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range out.Successful {
		if i, ok := indexOf(e.Id, len(part)); ok {
			part[i].until = asked.Add(r.lease)
		}
	}
	for _, e := range out.Failed {
		if i, ok := indexOf(e.Id, len(part)); ok && e.SenderFault {
			part[i].until = time.Time{}
		}
	}
}

func (r *redriver) changeVisibility(ctx context.Context, part []*held, to time.Duration) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &r.plan.FromURL}
	r.mu.Lock()
	for i, h := range part {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(h.message.Handle), VisibilityTimeout: int32(to / time.Second)})
	}
	r.mu.Unlock()
	r.o.called(1, ops.PricePerQueueCall)
	return r.desk.sqs.ChangeMessageVisibilityBatch(ctx, in)
}

// keepLeases extends what is held until ctx ends.
func (r *redriver) keepLeases(ctx context.Context) {
	tick := time.NewTicker(leaseCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		now := r.now()
		var short []*held
		for id, h := range r.hand {
			left := h.until.Sub(now)
			switch {
			case left <= 0:
				if st, _ := r.record.stateOf(id); st != waiting && st != intended || !h.member {
					delete(r.hand, id)
				}
			case left < r.lease/2 && now.Sub(h.message.At)+r.lease < ops.MaxVisibility:
				short = append(short, h)
			}
		}
		r.mu.Unlock()
		r.extend(ctx, short)
	}
}

// remove deletes what is recorded as sent, with handles whose lease still holds. What
// could not be deleted comes back by itself and is deleted then.
func (r *redriver) remove(ctx context.Context, batch []*held) error {
	for try := range deleteTries {
		r.mu.Lock()
		now := r.now()
		batch = slices.DeleteFunc(slices.Clone(batch), func(h *held) bool {
			if h.until.Sub(now) < r.lease/20 { // an old handle answers success and deletes nothing
				delete(r.hand, h.message.ID)
				r.absent(h.until)
				return true
			}
			return false
		})
		r.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if try > 0 {
			pausing(ctx, firstPause<<try)
		}
		var left []*held
		for part := range slices.Chunk(batch, ops.MaxBatchEntries) {
			open, err := r.removeOnce(ctx, part)
			if err != nil {
				return err
			}
			left = append(left, open...)
		}
		batch = left
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range batch {
		r.absent(h.until)
	}
	return nil
}

// removeOnce sends one delete. It returns what has to be tried again.
func (r *redriver) removeOnce(ctx context.Context, part []*held) (again []*held, err error) {
	once, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &r.plan.FromURL}
	r.mu.Lock()
	for i, h := range part {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(h.message.Handle)})
	}
	r.mu.Unlock()
	out, err := r.desk.once.DeleteMessageBatch(once, in)
	r.o.called(1, ops.PricePerQueueCall)
	if err != nil {
		p := r.desk.explain("delete from "+r.plan.From.Name(), err)
		if passing(p.Fault) {
			return part, nil
		}
		p.Hint = fmt.Sprintf("what was sent is recorded and will only be deleted: kxops dlq resume %s", r.plan.ID)
		return nil, p
	}
	var lines []line
	var stale []*held // their handles are not good any more: they come again
	r.mu.Lock()
	answered := r.now()
	for _, e := range out.Successful {
		i, ok := indexOf(e.Id, len(part))
		switch {
		case !ok:
		case part[i].until.After(answered):
			lines = append(lines, line{Word: lineDeleted, ID: part[i].message.ID})
		default:
			// The lease may have ended before SQS read the request: an old handle answers
			// success and deletes nothing. If it was deleted, it does not come again.
			stale = append(stale, part[i])
		}
	}
	r.mu.Unlock()
	for _, e := range out.Failed {
		if i, ok := indexOf(e.Id, len(part)); ok && e.SenderFault {
			stale = append(stale, part[i])
		} else if ok {
			again = append(again, part[i])
		}
	}
	if err := r.record.write(lines...); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range stale {
		delete(r.hand, h.message.ID)
		r.absent(h.until)
	}
	for _, l := range lines {
		delete(r.hand, l.ID)
	}
	return again, nil
}

// giveBack makes what is still held visible to others.
func (r *redriver) giveBack(ctx context.Context) error {
	r.mu.Lock()
	now := r.now()
	var all []*held
	for _, h := range r.hand {
		if h.until.After(now) {
			all = append(all, h)
		}
	}
	r.hand, r.ready = map[string]*held{}, nil
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b *held) int { return a.message.At.Compare(b.message.At) })
	for part := range slices.Chunk(all, ops.MaxBatchEntries) {
		if _, err := r.changeVisibility(ctx, part, 0); err != nil {
			p := r.desk.explain("give messages back to "+r.plan.From.Name(), err)
			r.o.set(func() { r.o.note = p.What + "; they come back by themselves within " + r.lease.String() })
			return nil
		}
	}
	return nil
}
