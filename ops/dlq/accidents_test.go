package dlq

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/journal"
)

// The accidents in this file each cost a message, its order, or the truth about it,
// before they were found by reading.

// A computer that sleeps stops its monotonic clock, and a lease or SQS's window for
// duplicates does not wait for it.
func TestTheClockGoesOnWhileTheComputerSleeps(t *testing.T) {
	d := New(Options{})
	if s := d.o.Now().String(); strings.Contains(s, "m=") {
		t.Errorf("%s is measured by a clock that stands still", s)
	}
}

// A pause holds back the batches that wait for their turn in the rate, and so does a
// halt. All goroutines share the bubble's clock, so what was sent meanwhile is exact.
func TestAPauseStopsBatchesThatWaitForTheirTurn(t *testing.T) {
	const batches = 8
	for name, stop := range map[string]func(*Operation){
		"a pause": (*Operation).Pause,
		"a halt":  func(o *Operation) { o.halt("its own guard") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, all := leased(t, slices.Repeat([]time.Duration{time.Hour}, batches)...)
				r.onItsClock(t, time.Now)
				r.plan.Pace.Rate = 1
				r.pace, r.began = stage{rate: 1}.limiter(r.now()), r.now()
				target := &refusing{}
				r.senders = []sender{target}
				var workers sync.WaitGroup
				for _, h := range all {
					h.until = r.now().Add(time.Hour)
					workers.Go(func() {
						if err := r.process(t.Context(), []*held{h}); err != nil {
							t.Error(err)
						}
					})
				}
				<-time.After(3500 * time.Millisecond) // the turns are a second apart
				stop(r.o)
				if n := target.sends.Load(); n != 3 {
					t.Errorf("%d of %d had their turn before it", n, batches)
				}
				<-time.After(30 * time.Second) // longer than all turns together
				if n := target.sends.Load(); n != 3 {
					t.Errorf("%d were sent during it", n-3)
				}
				r.o.Continue()
				workers.Wait()
				want := int64(batches)
				if name == "a halt" {
					want = 3
				}
				if n := target.sends.Load(); n != want {
					t.Errorf("%d of %d were sent in the end", n, want)
				}
			})
		})
	}
}

// refusing is a target that takes nothing and counts what it was offered.
type refusing struct{ sends atomic.Int64 }

func (f *refusing) send(_ context.Context, parcels []parcel) []receipt {
	f.sends.Add(1)
	return slices.Repeat([]receipt{{fate: rejected, code: "No"}}, len(parcels))
}

func (f *refusing) batch() int       { return 1 }
func (f *refusing) repeatable() bool { return false }

// onItsClock gives a redriver that leased made a clock of its own, and a record on the disk.
func (r *redriver) onItsClock(t *testing.T, clock func() time.Time) {
	t.Helper()
	r.desk = New(Options{Now: clock})
	r.record = newRecord(nil, r.plan, clock)
	r.o.desk, r.o.record = r.desk, r.record
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if r.record.log, err = j.Begin("clocked"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.record.log.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A redrive that was paused for half a minute, longer than all its turns together,
// sends the rest when it goes on.
func TestAPausedRedriveGoesOn(t *testing.T) {
	s := newRedrive(t, 200, false, func(a *ops.Ask) { a.Pace = ops.Pace{Rate: 10, Workers: 8} })
	o := s.startUntil(func(o *Operation) bool { return o.Progress().Sent >= 30 })
	o.Pause()
	if p := o.Progress(); p.State != ops.Paused {
		t.Errorf("%+v", p)
	}
	s.Advance(30 * time.Second)
	if p := o.Progress(); p.Sent >= 200 {
		t.Errorf("it did not wait: %+v", p)
	}
	o.Continue()
	if r := o.Wait(); r.Deleted != 200 || r.State != ops.Finished {
		t.Errorf("%+v", r)
	}
}

// What was sent before an interruption was not watched to the end: the next stage waits.
func TestAResumedCanaryWatchesWhatWasSentBefore(t *testing.T) {
	plan := ops.Plan{Pace: ops.Pace{Canary: true, CanaryWait: 60}, Manifest: make([]ops.Entry, 500)}
	for done, want := range map[int]stage{
		0:   {name: "canary: 1 of 500", messages: 1, watch: time.Minute},
		1:   {name: "canary: 1 of 500", messages: 0, watch: time.Minute},
		5:   {name: "canary: 11 of 500", messages: 6, watch: time.Minute},
		111: {name: "canary: 111 of 500", messages: 0, watch: time.Minute},
		112: {name: "all", messages: everything},
	} {
		if got := stagesOf(plan, counts{deleted: done})[0]; got != want {
			t.Errorf("after %d: %+v, want %+v", done, got, want)
		}
	}
}

// The one message of the canary gets no answer: nothing is proven, and nothing goes on.
func TestACanaryWithoutAnAnswerHalts(t *testing.T) {
	s := newRedrive(t, 60, false, func(a *ops.Ask) { a.Pace = ops.Pace{Canary: true, CanaryWait: 1} })
	s.strike(sandbox.ResetAfter, "SendMessageBatch", 100)
	r := s.apply(s.plan)
	if r.State != ops.Halted || len(r.UnknownIDs) != 1 || !strings.Contains(r.Note, "no answer") {
		t.Errorf("%+v", r)
	}
	s.accounted(60, r)
}

// All workers' receives fail together, once: that is one failure and not six.
func TestOneOutageDoesNotBreakARedrive(t *testing.T) {
	s := newRedrive(t, 60, false, func(a *ops.Ask) { a.Pace = ops.Pace{Workers: 16} })
	s.AddFault(sandbox.Fault{Kind: sandbox.Throttle, Service: "sqs", Operation: "ReceiveMessage", Until: s.Now().Add(3 * time.Second)})
	if r := s.apply(s.plan); r.State != ops.Finished || r.Deleted != 60 {
		t.Errorf("%+v %v", r, r.Problem)
	}
}

// The archive was on a disk that is cleared at a restart: what is still in the queue
// is written again before it is deleted.
func TestAnArchiveThatIsGoneIsWrittenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy.jsonl")
	s := newRedrive(t, 30, false, func(a *ops.Ask) { a.Verb, a.To, a.File = ops.Archive, "", path })
	s.strike(sandbox.DeniedAction, "DeleteMessageBatch", 100)
	r := s.apply(s.plan)
	if r.State != ops.Broken || len(r.PendingIDs) == 0 {
		t.Fatalf("%+v", r)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.SetFaults()
	s.changing(s.desk.o.Journal.Directory())
	o, err := s.desk.Resume(t.Context(), s.plan.ID)
	if err != nil {
		t.Fatal(err)
	}
	if r = o.Wait(); r.State != ops.Finished || r.Deleted != 30 {
		t.Errorf("%+v", r)
	}
	n := 0
	if _, _, err := readMessages(path, func(int, ops.Message) error { n++; return nil }); err != nil || n != 30 {
		t.Errorf("%d of 30 are in the file: %v", n, err)
	}
}

// leased makes a redriver whose hand holds messages of one FIFO group in order, each
// with so much of its lease left.
func leased(t *testing.T, left ...time.Duration) (*redriver, []*held) {
	t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	plan := ops.Plan{FIFO: true, To: []ops.Target{{Kind: ops.KindQueue}}}
	var all []*held
	for i, l := range left {
		m := ops.Message{ID: string(rune('a' + i)), System: map[string]string{ops.GroupAttribute: "g"}}
		plan.Manifest = append(plan.Manifest, ops.Entry{ID: m.ID, Group: "g"})
		all = append(all, &held{message: m, until: now.Add(l), member: true})
	}
	r := &redriver{o: &Operation{}, desk: New(Options{Now: clock}), plan: plan, record: newRecord(nil, plan, clock), lease: time.Minute, senders: []sender{&queueSender{fifo: true}},
		hand: map[string]*held{}, busy: map[string]bool{}, stopped: map[string]bool{}, barred: map[string]bool{}, inBatch: map[string]bool{}, budget: everything}
	r.idle.L = &r.mu
	r.o.desk, r.o.record = r.desk, r.record
	for _, h := range all {
		r.hand[h.message.ID], r.ready = h, append(r.ready, h.message.ID)
	}
	return r, all
}

// The second message of a group loses its lease while the first is being sent, and the
// third does not: the third must not overtake it.
func TestALostLeaseInABusyGroupIsNotOvertaken(t *testing.T) {
	r, all := leased(t, time.Minute, time.Minute, time.Minute)
	batch := r.takeBatch()
	if len(batch) != 1 || batch[0] != all[0] {
		t.Fatalf("%+v", batch)
	}
	all[1].until = r.now()
	if more := r.takeBatch(); len(more) > 0 {
		t.Fatalf("%+v beside the first of its group", more)
	}
	r.record.book(line{Word: lineIntent, ID: "a"})
	r.record.book(line{Word: lineSent, ID: "a"})
	r.record.book(line{Word: lineDeleted, ID: "a"})
	r.release(batch)
	if more := r.takeBatch(); len(more) > 0 || len(r.lost) != 2 {
		t.Errorf("%d are sent, %d given back to come again in order", len(more), len(r.lost))
	}
}

// The first of a group loses its lease while it waits for its turn.
func TestALostLeaseInABatchIsNotOvertaken(t *testing.T) {
	r, all := leased(t, time.Minute, time.Minute)
	batch := r.takeBatch()
	all[0].until = r.now()
	sandboxed := newBench(t) // whose queue says no to every extension
	r.desk.sqs = sandboxed.sqs
	if kept := r.keep(context.Background(), batch); len(kept) > 0 {
		t.Fatalf("%+v", kept)
	}
	r.release(batch)
	if more := r.takeBatch(); len(more) > 0 || len(r.lost) != 2 {
		t.Errorf("%d are sent, %d given back to come again in order", len(more), len(r.lost))
	}
}

// A stranger bars a group only until all of the group comes again in its order.
func TestWhatBarredAGroupComesAgainToo(t *testing.T) {
	r, all := leased(t, time.Minute, time.Minute)
	r.barred["g"] = true
	all[0].until = r.now()
	if more := r.takeBatch(); len(more) > 0 || r.barred["g"] {
		t.Errorf("%d sent, barred %v", len(more), r.barred)
	}
}

// A file is resumed inside the window for duplicates and held up until after it: what
// is uncertain is named, not sent a second time, and nothing of its group overtakes it.
func TestATransferHeldUpPastTheWindowSendsNothingAgain(t *testing.T) {
	r, all := leased(t, time.Minute)
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if r.record.log, err = j.Begin("late"); err != nil {
		t.Fatal(err)
	}
	defer r.record.log.Close()
	r.record.book(line{Word: lineIntent, ID: "a", At: r.now().Add(-ops.DedupWindow)})
	file := &transfer{redriver: r, ordered: true, batch: all, groups: map[string]bool{}, failed: map[string]bool{}}
	if err := file.flush(t.Context()); err != nil { // a send would crash: its sender has no desk
		t.Fatal(err)
	}
	if st, _ := r.record.stateOf("a"); st != isUnknown || !file.failed["g"] {
		t.Errorf("state %d, group held back: %v", st, file.failed["g"])
	}
}

// Behind a message that is not in the plan nothing of its FIFO group is sent; what is
// held for that reason is there, and is not called missing.
func TestWhatIsBarredIsNotCalledMissing(t *testing.T) {
	r, _ := leased(t, time.Minute)
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if r.record.log, err = j.Begin("barred"); err != nil {
		t.Fatal(err)
	}
	defer r.record.log.Close()
	r.barred["g"] = true
	if err := r.leaveGroups(); err != nil {
		t.Fatal(err)
	}
	if got := r.record.result(); len(got.MissingIDs) > 0 || len(got.Rejections) != 1 || got.Rejections[0].Code != "GroupBarred" {
		t.Errorf("%+v", got)
	}
}

// What a restore did not send is still in the file, and was never in the queue.
func TestWhatARestoreLeavesIsInTheFile(t *testing.T) {
	o := &Operation{plan: ops.Plan{Verb: ops.Restore, ID: "op", From: "arn:aws:sqs:eu-west-1:123456789012:a-dlq", File: "copy.jsonl"}}
	r := ops.Result{Progress: ops.Progress{State: ops.Incomplete}, UnknownIDs: []string{"a"}, Rejections: []ops.Refusal{{Code: "TooLong"}}, MissingIDs: []string{"b"}}
	next := o.next(r)
	for _, said := range next {
		if strings.Contains(said, "a-dlq") || strings.Contains(said, "not found") {
			t.Errorf("%q", said)
		}
	}
	if len(next) != 3 {
		t.Errorf("%q", next)
	}
}

// Leases of thousands of messages are extended side by side: one call after the other
// would lose them faster than it keeps them.
func TestLeasesOfManyAreExtendedSideBySide(t *testing.T) {
	s := newRedrive(t, 300, false, func(a *ops.Ask) { a.Pace = ops.Pace{Workers: 8} })
	air := &crowd{}
	cfg := s.desk.o.Config.Copy()
	cfg.HTTPClient = air
	r := &redriver{o: &Operation{}, desk: New(Options{Config: cfg, Now: s.Now}), plan: s.plan, lease: time.Minute}
	var all []*held
	for range 300 {
		all = append(all, &held{})
	}
	r.extend(t.Context(), all)
	if most := air.most.Load(); most < 2 || most > leaseWorkers {
		t.Errorf("%d calls at most in the air", most)
	}
}

// crowd counts the requests that are in the air together, and refuses them when there
// are two, or when nobody joins the first for a while.
type crowd struct {
	air, most  atomic.Int64
	both       chan struct{}
	once, open sync.Once
}

func (c *crowd) Do(*http.Request) (*http.Response, error) {
	c.once.Do(func() { c.both = make(chan struct{}) })
	n := c.air.Add(1)
	defer c.air.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	if n > 1 {
		c.open.Do(func() { close(c.both) })
	}
	select {
	case <-c.both:
	case <-time.After(time.Second):
	}
	return nil, errDead
}
