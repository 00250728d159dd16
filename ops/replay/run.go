package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"kxops/ops"
	"kxops/ops/journal"
)

// The orders in which records go.
const (
	OrderNone  = "none"  // as they come
	OrderKey   = "key"   // those of one key in their order
	OrderShard = "shard" // those of one part in their order
)

const (
	checkpointEvery = time.Second
	startTimeout    = 2 * time.Minute // for everything that is checked before the first record
	rateWindow      = 10 * time.Second
)

// Operation is a replay that is being applied. It is safe for concurrent use.
type Operation struct {
	desk     *Desk
	plan     ops.ReplayPlan
	source   source
	target   target
	limits   Limits
	chooser  *chooser
	mapper   *mapper
	ledger   *ledger
	log      *journal.Log
	unlock   func() error
	lanes    []*lane
	turns    atomic.Uint64
	memory   *semaphore.Weighted
	limiter  *rate.Limiter // of the whole
	asked    float64       // records a second that a person allows; 0: as planned
	left     string        // what could not be removed, and how it is
	turned   chan struct{} // closed when the limiter is set
	gate     *canary       // nil: none
	pacer    *pacer        // nil: as fast as it goes
	headroom *headroom     // nil: nobody looks; under mu
	brakes   *brakes       // of the target's shards; nil: it has none

	known        map[string]uint64 // sent by an earlier run, and not behind a place: the sum of the body
	parkedBefore map[string]bool

	stop     chan struct{} // closed when nothing new is to be begun
	stopOnce sync.Once

	mu      sync.Mutex
	moved   *sync.Cond // a place moved, or it is stopping
	state   ops.RunState
	wanted  ops.RunState // what it is to be when it has stopped; "": it goes to its end
	note    string
	err     error
	places  []placeOf
	begun   []bool
	dirty   []bool
	tracks  []*track
	safe    ops.ReplayCounts // of what is before the places
	safeSum uint64
	live    ops.ReplayCounts // with what is open
	repeats int64            // answers that were lost, in all runs
	booked  int64            // … as far as the record has them; only checkpoint touches it
	crashes int              // runs that ended without a word
	watched watched          // what the guards' metrics say
	started time.Time
	at      time.Time // arrival of what was taken last
	marks   []mark
	speed   speed
	done    chan struct{}
	result  ops.ReplayResult
}

type mark struct {
	at    time.Time
	sent  int64
	bytes int64
}

// Start applies a plan. It refuses one that was edited, is too old, belongs elsewhere
// or whose world has changed. It goes on in the background until it is over, or ctx
// ends, which counts as Pause.
func (d *Desk) Start(ctx context.Context, plan ops.ReplayPlan) (*Operation, error) {
	if err := d.acceptable(plan); err != nil {
		return nil, err
	}
	if plan.Managed != nil {
		return nil, refused("EventBridge carries out this plan: save it with --plan-out, and kxops replay apply starts it")
	}
	release, err := d.take(plan)
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

func refused(format string, a ...any) *ops.Problem {
	return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf(format, a...)}
}

// acceptable is everything that the plan itself tells.
func (d *Desk) acceptable(plan ops.ReplayPlan) error {
	if err := plan.Check(); err != nil {
		p := refused("%s", err)
		p.Hint = "make a new plan"
		return p
	}
	if err := d.ours("the plan", plan); err != nil {
		return err
	}
	if now := d.o.Now(); now.After(plan.Expires) {
		p := refused("the plan expired at %s: it was made for what was there then", plan.Expires.Format(time.DateTime+" MST"))
		p.Hint = "make a new plan"
		return p
	}
	if len(plan.Blockers) > 0 {
		return refused("the plan cannot be applied: %s", strings.Join(plan.Blockers, "; "))
	}
	if d.o.Journal == nil {
		return refused("nothing is replayed without a journal")
	}
	if plan.FanOut != "" {
		if err := d.mayRegister(); err != nil {
			return err
		}
	}
	return d.mayWrite(plan.To.Kind)
}

// ours refuses what belongs to another account or region.
func (d *Desk) ours(what string, plan ops.ReplayPlan) error {
	here := d.o.Identity
	if plan.Account == here.Account && plan.Region == here.Region {
		return nil
	}
	p := refused("%s is for account %s in %s, and this is account %s in %s", what, plan.Account, plan.Region, here.Account, here.Region)
	p.Hint = "choose its profile and region"
	return p
}

// take takes the target's lock: one replay to it at a time.
func (d *Desk) take(plan ops.ReplayPlan) (release func() error, err error) {
	resource := plan.To.ID()
	if plan.To.Kind == ops.KindNull { // rehearsals do not disturb each other
		resource += plan.ID
	}
	release, err = d.o.Journal.Lock(resource)
	var held *journal.HeldError
	if errors.As(err, &held) {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: held.Error(), Hint: "wait for it, or pause it there: kxops replay ls", Err: err}
	}
	return release, err
}

// start checks the world and writes that it begins. The lock is held.
func (d *Desk) start(ctx context.Context, plan ops.ReplayPlan) (*Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := d.unchanged(ctx, plan); err != nil {
		return nil, err
	}
	log, err := d.o.Journal.Begin(plan.ID)
	if errors.Is(err, fs.ErrExist) {
		log, err = d.beginAgain(plan.ID)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: "plan " + plan.ID + " was applied before",
			Hint: "kxops replay show " + plan.ID + " says what became of it", Err: err}
	}
	if err != nil {
		return nil, err
	}
	err = d.enter(plan, journal.Started, ops.ReplayProgress{})
	if err == nil {
		err = begin(log, plan, d.o.Now().UTC())
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return d.operation(&state{plan: plan, places: freshPlaces(len(plan.Parts)), runs: 1}, log)
}

// beginAgain opens the record of a plan that was killed before it had begun: nothing
// was sent. The error is fs.ErrExist where it had.
func (d *Desk) beginAgain(id string) (*journal.Log, error) {
	log, lines, err := d.o.Journal.Reopen(id)
	if err != nil {
		return nil, err
	}
	if _, err := readState(lines); !errors.Is(err, errNeverBegan) {
		return nil, errors.Join(fs.ErrExist, log.Close())
	}
	return log, nil
}

// Resume goes on with a replay that was paused, halted or interrupted.
func (d *Desk) Resume(ctx context.Context, id string) (*Operation, error) {
	if d.o.Journal == nil {
		return nil, refused("nothing is replayed without a journal")
	}
	s, err := d.stateOf(id)
	if err != nil {
		return nil, err
	}
	if err := d.ours("replay "+id, s.plan); err != nil {
		return nil, err
	}
	if s.plan.Managed != nil {
		return nil, refused("EventBridge carries out replay %s: there is nothing to go on with here", id)
	}
	if s.plan.FanOut != "" {
		if err := d.mayRegister(); err != nil {
			return nil, err
		}
	}
	if err := d.mayWrite(s.plan.To.Kind); err != nil {
		return nil, err
	}
	release, err := d.take(s.plan)
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
	s, err := readState(lines)
	if err == nil && !s.again() {
		err = refused("replay %s is over (%s): there is nothing to resume", id, s.end.State)
	}
	if err == nil {
		s.halted = s.end != nil && s.end.State == ops.Halted
	}
	if err == nil && s.end == nil { // it ended without a word
		s.crashes++
	}
	if err == nil {
		err = d.sameTarget(ctx, s.plan)
	}
	if err == nil {
		err = d.sameSource(ctx, s)
	}
	if err == nil {
		err = d.enter(s.plan, journal.Started, ops.ReplayProgress{Note: "resumed"})
	}
	if err == nil {
		err = log.Append(line{Word: lineAgain, At: d.o.Now().UTC(), Why: "resumed by " + journal.Actor()})
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return d.operation(s, log)
}

// operation puts a replay together; nothing runs yet.
func (d *Desk) operation(s *state, log *journal.Log) (*Operation, error) {
	o, err := d.assemble(s)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	o.log = log
	o.note = log.Notice()
	return o, nil
}

func (d *Desk) assemble(s *state) (*Operation, error) {
	plan, parts := s.plan, len(s.plan.Parts)
	o := &Operation{
		desk: d, plan: plan, state: ops.Running, started: d.o.Now(), stop: make(chan struct{}), done: make(chan struct{}),
		places: s.places, begun: make([]bool, parts), dirty: make([]bool, parts), tracks: make([]*track, parts),
		safe: s.counts, safeSum: s.sum, live: s.counts, repeats: s.repeats, crashes: s.crashes, memory: semaphore.NewWeighted(max(plan.Pace.Memory, 1)),
		known: map[string]uint64{}, parkedBefore: map[string]bool{},
	}
	o.moved = sync.NewCond(&o.mu)
	o.watched = watchFrom(o.started, s.halted)
	for i := range o.tracks {
		o.tracks[i] = &track{n: s.places[i].N}
	}
	dir := replayDirectory(d.o.Journal.Directory(), plan.ID)
	if err := o.remember(dir); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(dir, controlName)); err != nil && !errors.Is(err, fs.ErrNotExist) { // what was wanted of an earlier run
		return nil, err
	}
	except, err := d.sentBy(plan.Select.Except)
	if err != nil {
		return nil, err
	}
	if o.chooser, err = newChooser(plan.Select, except); err != nil {
		return nil, err
	}
	if o.mapper, err = newMapper(plan); err != nil {
		return nil, err
	}
	if o.source, err = d.sourceOf(plan.From.Kind); err != nil {
		return nil, err
	}
	if o.target, err = d.targetOf(plan); err != nil {
		return nil, err
	}
	o.limits = o.target.limits()
	o.brakes = newBrakes(o.target, d.clock)
	o.headroom, o.asked, o.limiter = newHeadroom(plan), s.rate, rate.NewLimiter(rate.Inf, 1)
	o.turned = make(chan struct{})
	o.setLimit()
	o.pacer = newPacer(plan.Pace, d.clock, o.wake)
	o.gate = newCanary(o, s.counts.Sent+int64(len(o.known)), s.passed)
	for range max(1, plan.Pace.Lanes) {
		o.lanes = append(o.lanes, newLane(o))
	}
	if o.ledger, err = openLedger(dir, syncMost(plan.To.Kind)); err != nil {
		return nil, err
	}
	if f, ok := o.target.(flusher); ok {
		o.ledger.before = f.flush
	}
	if d.disk != nil {
		o.ledger.fsync = d.disk
	}
	return o, nil
}

// remember reads which records earlier runs have sent or parked that lie behind the
// places from which reading goes on.
func (o *Operation) remember(dir string) error {
	open := func(part int, n int64) bool {
		return part >= 0 && part < len(o.places) && !o.places[part].Over && n >= o.places[part].N
	}
	err := eachReceipt(dir, func(r receipt) error {
		if open(r.Part, r.N) {
			var sum uint64
			if _, err := fmt.Sscanf(r.Sum, "%x", &sum); err != nil {
				return fmt.Errorf("the receipt of %s: %w", r.ID, err)
			}
			o.known[r.ID] = sum
		}
		return nil
	})
	return errors.Join(err, eachParked(dir, func(p parkedRecord) error {
		if open(p.Part, p.N) {
			o.parkedBefore[p.ID] = true
		}
		return nil
	}))
}

// sentBy is what an earlier replay has sent.
func (d *Desk) sentBy(id string) (map[string]bool, error) {
	if id == "" {
		return nil, nil
	}
	if _, err := d.stateOf(id); err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	return ids, eachReceipt(replayDirectory(d.o.Journal.Directory(), id), func(r receipt) error {
		ids[r.ID] = true
		return nil
	})
}

// launch lets it run.
func (o *Operation) launch(ctx context.Context) {
	unhook := context.AfterFunc(ctx, o.Pause)
	go func() {
		defer unhook()
		// Not ctx itself: what is in the air when it ends has to be answered.
		o.run(context.WithoutCancel(ctx))
		o.finish()
	}()
}

// run reads and sends until everything is, or it is stopping.
func (o *Operation) run(ctx context.Context) {
	sending := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { o.keepPlaces(sending) })
	beside.Go(func() { o.keepWatch(ctx, sending) })
	o.askHeadroom(ctx, true)
	var all sync.WaitGroup
	for _, l := range o.lanes {
		all.Go(func() {
			if err := l.work(ctx); err != nil {
				o.fail(err)
			}
		})
	}
	if err := o.readParts(ctx); err != nil {
		o.fail(err)
	}
	for _, l := range o.lanes {
		l.end()
	}
	all.Wait()
	close(sending)
	beside.Wait()
}

// keepPlaces writes a checkpoint from time to time.
func (o *Operation) keepPlaces(over <-chan struct{}) {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			if err := o.checkpoint(); err != nil {
				o.fail(err)
				return
			}
			o.mark()
		}
	}
}

// flusher is a target that has to be told to put on the disk what it took.
type flusher interface{ flush() error }

// checkpoint makes what is settled durable: first the receipts (and the target's file
// before them), then the places. After a crash in between, reading begins before records
// that have receipts, and leaves them out.
func (o *Operation) checkpoint() error {
	o.mu.Lock()
	l := line{Word: lineAt, At: o.desk.o.Now().UTC(), Sum: sumText(o.safeSum)}
	counts := o.safe
	counts.Calls = o.live.Calls
	l.Counts, l.Repeats = &counts, o.repeats
	for i, d := range o.dirty {
		if d {
			l.Places = append(l.Places, o.places[i])
			o.dirty[i] = false
		}
	}
	o.mu.Unlock()
	if err := o.ledger.sync(); err != nil {
		return err
	}
	if len(l.Places) == 0 && l.Repeats == o.booked {
		return nil
	}
	o.booked = l.Repeats
	return o.log.Append(l)
}

// called counts a request that was sent, its answers that were lost, and those that were
// throttled.
func (o *Operation) called(lost, throttled int) {
	o.mu.Lock()
	o.headroom.throttled(o.desk.o.Now(), throttled)
	o.live.Calls++
	o.repeats += int64(lost)
	o.mu.Unlock()
}

// boundOf is how many records may be at the target twice, at most: one for each answer
// that was lost, and for each crash what was in the air then, or had a receipt that was
// not on the disk.
func boundOf(plan ops.ReplayPlan, lim Limits, repeats int64, crashes int) int64 {
	request := max(1, lim.Records)
	if plan.Pace.Rate > 0 {
		request = min(request, burstOf(plan.Pace.Rate, lim))
	}
	return repeats + int64(crashes)*int64(syncMost(plan.To.Kind)+plan.Pace.Lanes*request)
}

// burstOf is how many records may go at once under a rate.
func burstOf(r float64, lim Limits) int { return max(1, min(int(r), max(1, lim.Records))) }

// took books what the target took.
func (o *Operation) took(items []*item, places []string) error {
	if len(items) == 0 {
		return nil
	}
	receipts := make([]receipt, len(items))
	sums := make([]uint64, len(items))
	for i, it := range items {
		sums[i] = bodySum(it.Body)
		receipts[i] = receipt{ID: it.ID, Part: it.page.part, N: it.n, At: places[i], Key: keySum(it.Key), Sum: sumText(sums[i]), Twice: it.lost > 0}
	}
	if err := o.ledger.take(receipts); err != nil {
		return err
	}
	for i := 0; i < len(items); { // those of one page together
		pg, c, sum, from := items[i].page, ops.ReplayCounts{}, uint64(0), i
		for ; i < len(items) && items[i].page == pg; i++ {
			c.Sent++
			c.Out += int64(len(items[i].Body))
			sum += sums[i]
		}
		o.settle(pg, i-from, c, sum)
	}
	bytes := int64(0)
	for _, it := range items {
		bytes += int64(it.size)
	}
	o.mu.Lock()
	o.headroom.put(o.desk.o.Now(), int64(len(items)), bytes)
	if at := items[len(items)-1].At; !at.IsZero() {
		o.at = at
	}
	o.mu.Unlock()
	return nil
}

// park books a record that is not sent.
func (o *Operation) park(it *item, code, why string) error {
	if err := o.ledger.park(parkedRecord{envelope: wrap(it.record), Part: it.page.part, N: it.n, Code: code, Why: why}); err != nil {
		return err
	}
	o.settle(it.page, 1, ops.ReplayCounts{Parked: 1}, 0)
	return nil
}

// most is how many records a request may have because of the rate or the canary; 0:
// as many as the target takes.
func (o *Operation) most() int {
	most := 0
	if o.limiter.Limit() != rate.Inf {
		most = o.limiter.Burst()
	}
	if n := o.gate.most(); n > 0 && (most == 0 || n < most) {
		most = n
	}
	return most
}

// permit waits until n records may be sent. It reports false when the replay is stopping.
func (o *Operation) permit(ctx context.Context, n int) bool {
	if !o.gate.pass(n) {
		return false
	}
	return o.inTime(ctx, n)
}

func (o *Operation) stopping() bool {
	select {
	case <-o.stop:
		return true
	default:
		return false
	}
}

// end stops it: what is in the air is answered, nothing new is begun.
func (o *Operation) end(as ops.RunState, note string, err error) {
	o.mu.Lock()
	if o.wanted == "" && !o.state.Over() {
		o.wanted, o.err = as, err
		if note != "" {
			o.note = note
		}
		o.state = ops.Finishing
	}
	o.mu.Unlock()
	o.stopOnce.Do(func() { close(o.stop) })
	o.wake()
}

// wake wakes everybody who waits for something that does not come any more.
func (o *Operation) wake() {
	o.mu.Lock()
	o.moved.Broadcast()
	o.mu.Unlock()
	for _, l := range o.lanes {
		l.mu.Lock()
		l.more.Broadcast()
		l.mu.Unlock()
	}
}

func (o *Operation) fail(err error) { o.end(ops.Broken, ops.AsProblem(err).What, err) }

// Pause stops it at a checkpoint, durably: Resume goes on, also in another process.
func (o *Operation) Pause() { o.end(ops.Paused, "", nil) }

// Cancel stops it for good.
func (o *Operation) Cancel() { o.end(ops.Cancelled, "", nil) }

// halt stops it by its own guard.
func (o *Operation) halt(why string) { o.end(ops.Halted, why, nil) }

// explained is an error in one sentence.
func (o *Operation) explained(doing string, err error) error { return o.desk.explain(doing, err) }

func (d *Desk) explain(doing string, err error) error {
	var p *ops.Problem
	if errors.As(err, &p) {
		return p
	}
	e := *d.o.Explain(err)
	e.What = doing + ": " + e.What
	return &e
}

// finish writes what became of it and tells those who wait.
func (o *Operation) finish() {
	err := errors.Join(o.target.close(), o.checkpoint(), o.ledger.close())
	o.mu.Lock()
	if err != nil && o.err == nil {
		o.err, o.wanted, o.note = err, ops.Broken, ops.AsProblem(err).What
	}
	c := o.live
	switch {
	case o.wanted != "":
		o.state = o.wanted
	case c.Parked > 0 || c.Broken > 0:
		o.state = ops.Incomplete
	default:
		o.state = ops.Finished
	}
	cause := o.err
	sum := o.safeSum
	o.mu.Unlock()

	o.result = ops.ReplayResult{ReplayProgress: o.Progress(), Receipts: o.ledger.dir, Sum: sumText(sum)}
	end := o.result.ReplayProgress
	err = errors.Join(o.log.Append(line{Word: lineEnd, At: o.desk.o.Now().UTC(), End: &end, Sum: sumText(sum), Repeats: end.Counts.Repeated}),
		o.desk.enter(o.plan, outcomeOf(end.State), end), o.log.Close(), o.unlock())
	if cause = errors.Join(cause, err); cause != nil {
		o.result.Problem = ops.AsProblem(cause)
	}
	o.result.Bound = boundOf(o.plan, o.limits, o.repeats, o.crashes)
	o.result.Next = nextOf(o.plan, o.result)
	if o.left != "" {
		o.result.Next = append(o.result.Next, o.left)
	}
	if names := o.unknown(); len(names) > 0 {
		o.result.Next = append(o.result.Next, fmt.Sprintf("how %s did with it is not known: there were no numbers yet; kxops status has them in some minutes", strings.Join(names, ", ")))
	}
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

// nextOf is what a person does now.
func nextOf(plan ops.ReplayPlan, r ops.ReplayResult) []string {
	var out []string
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	switch r.State {
	case ops.Paused, ops.Halted, ops.Broken:
		say("kxops --access change replay resume %s goes on where it stopped", plan.ID)
	case ops.Cancelled:
		say("what was not sent: make a new plan with --except %s", plan.ID)
	case ops.Finished, ops.Incomplete:
		say("kxops replay verify %s checks it", plan.ID)
	}
	if n := r.Counts.Parked; n > 0 {
		say("%d records were parked: %s says why, and can be replayed itself (--from file:…)", n, filepath.Join(r.Receipts, parkedName))
	}
	if n := r.Counts.Broken; n > 0 {
		say("%d pieces of the source are no records: %s says where", n, filepath.Join(r.Receipts, brokenName))
	}
	if n := r.Bound; n > 0 {
		say("up to %d records may be there twice: their answers were lost, and they were sent again", n)
	}
	return out
}

// enter writes the replay into the journal.
func (d *Desk) enter(plan ops.ReplayPlan, outcome journal.Outcome, p ops.ReplayProgress) error {
	what := fmt.Sprintf("replay %s to %s", plan.From.Name(), plan.To.Name())
	if outcome != journal.Started {
		what += fmt.Sprintf(": %s, %d read, %d sent, %d parked", p.State, p.Counts.Read, p.Counts.Sent, p.Counts.Parked)
	}
	_, err := d.o.Journal.Append(journal.Entry{
		ID: plan.ID, Account: plan.Account, Region: plan.Region, Kind: journal.KindOperation,
		What: what, Reason: plan.Reason, Outcome: outcome, Calls: int(p.Counts.Calls), USD: p.USD,
	})
	return err
}

func (o *Operation) mark() {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.desk.o.Now()
	o.marks = append(o.marks, mark{now, o.live.Sent, o.live.Bytes})
	o.speed.note(now, o.live.Bytes)
	for len(o.marks) > 2 && now.Sub(o.marks[0].at) > rateWindow {
		o.marks = o.marks[1:]
	}
}

// Progress is where it is now.
func (o *Operation) Progress() ops.ReplayProgress {
	o.mu.Lock()
	p := ops.ReplayProgress{
		ID: o.plan.ID, State: o.state, Counts: o.live, Parts: len(o.plan.Parts), Rate: ops.Missing(ops.NoData), ETA: ops.Missing(ops.NoData),
		At: o.at, Started: o.started, Note: o.note, Limit: o.asked,
	}
	p.Counts.Repeated = o.repeats
	if total, known := o.plan.Estimate.Bytes.Value(); known && !o.state.Over() {
		now := o.desk.o.Now()
		p.Soonest, p.Latest = o.speed.left(total-float64(o.live.Bytes), now)
		p.Forecast = forecast(o.plan, o.live, now)
	}
	for _, at := range o.places {
		if at.Over {
			p.Over++
		}
	}
	if n := len(o.marks); n > 1 && !o.state.Over() {
		first, last := o.marks[0], o.marks[n-1]
		if took := last.at.Sub(first.at).Seconds(); took > 0 {
			p.Rate = ops.Know(float64(last.sent-first.sent)/took, o.desk.o.Now())
			total, known := o.plan.Estimate.Bytes.Value()
			if pace := float64(last.bytes-first.bytes) / took; known && pace > 0 {
				p.ETA = ops.Know(max(0, (total-float64(o.live.Bytes))/pace), o.desk.o.Now())
			}
		}
	}
	o.mu.Unlock()
	if d, paced := o.pacer.left(o.plan.Pace.Last); paced && !p.State.Over() { // the arrivals decide, not what is read
		p.ETA = ops.Know(d.Seconds(), o.desk.o.Now())
		p.Soonest, p.Latest = p.ETA, p.ETA
	}
	p.USD = costOf(o.plan, p.Counts)
	for _, l := range o.lanes {
		p.Lanes = append(p.Lanes, l.look())
	}
	return p
}

// Plan is what is being applied.
func (o *Operation) Plan() ops.ReplayPlan { return o.plan }

// Done is closed when it is over.
func (o *Operation) Done() <-chan struct{} { return o.done }

// Wait returns what became of it.
func (o *Operation) Wait() ops.ReplayResult {
	<-o.done
	return o.result
}
