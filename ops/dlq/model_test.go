package dlq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// schedulesVar sets how many random schedules TestNothingIsLostOrDoubled runs.
const schedulesVar = "KXOPS_SCHEDULES"

// TestNothingIsLostOrDoubled lets redrives run through random accidents and counts
// afterwards, from the sandbox's queues alone, where each message is:
//
//   - lost: in no queue
//   - silently doubled: in both, or twice at the target, and not named as unknown
//   - touched: not in the manifest and not where it was
//   - overtaken: a FIFO group's order is another at the target
//
// The accidents are the death of the program before or after any request and any
// line of the record, lost requests and lost answers, partial failures, throttling,
// server errors, false empties, new dead letters during the run, and a second
// operator on another machine.
func TestNothingIsLostOrDoubled(t *testing.T) {
	schedules := 60
	if n, err := strconv.Atoi(os.Getenv(schedulesVar)); err == nil {
		schedules = n
	}
	for seed := range schedules {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			newWorld(t, uint64(seed)).run()
		})
	}
}

// world is one random schedule.
type world struct {
	*bench
	rng          *rand.Rand
	fifo         bool
	source, dead string
	dir          string
	life         *life
	sent         map[string][]string // bodies by group, in the order of sending; "" is no group
	manifest     map[string]bool     // bodies
	bodyOf       map[string]string   // by message id
	// named are the bodies that our operation named as uncertain when it last ended,
	// and those that the second operator named.
	named, theirs map[string]bool
	telling       sync.Mutex // the second operator tells too
	story         []string
}

// life is how long the program still lives, in events; it is dead at zero.
type life struct{ left atomic.Int64 }

// errDead looks like a connection that could not be made: the SDK does not wait to
// try it again.
var errDead error = &net.OpError{Op: "dial", Net: "dead", Err: errors.New("the program is dead")}

func (l *life) event() error {
	if l.left.Add(-1) < 0 {
		return errDead
	}
	return nil
}

// mortal is the program's only way out: dead programs send nothing and hear nothing.
type mortal struct {
	*life
	to http.RoundTripper
}

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := m.event(); err != nil {
		return nil, err
	}
	resp, err := m.to.RoundTrip(r)
	if dead := m.event(); dead != nil {
		return nil, dead
	}
	return resp, err
}

func (m mortal) Do(r *http.Request) (*http.Response, error) { return m.RoundTrip(r) }

func newWorld(t *testing.T, seed uint64) *world {
	b := newBench(t)
	b.ticking()
	w := &world{bench: b, rng: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), sent: map[string][]string{},
		manifest: map[string]bool{}, bodyOf: map[string]string{}}
	w.fifo = w.rng.IntN(2) == 0
	w.source, w.dead = "work", "work-dlq"
	attributes := map[string]string{"MessageRetentionPeriod": "1209600"}
	if w.fifo {
		w.source, w.dead = w.source+".fifo", w.dead+".fifo"
		attributes["FifoQueue"] = "true"
	}
	w.source, w.dead = w.queue(w.source, attributes), w.queue(w.dead, attributes)
	w.add(1 + w.rng.IntN(60))
	return w
}

// add puts messages into the dead-letter queue.
func (w *world) add(n int) {
	w.t.Helper()
	for range n {
		group := ""
		in := &sqs.SendMessageInput{QueueUrl: &w.dead}
		if w.fifo {
			group = "g" + strconv.Itoa(w.rng.IntN(4))
			in.MessageGroupId = &group
		}
		body := fmt.Sprintf("token %s %d", group, len(w.sent[group]))
		in.MessageBody, w.sent[group] = &body, append(w.sent[group], body)
		if w.fifo {
			in.MessageDeduplicationId = aws.String(strings.ReplaceAll(body, " ", "-"))
		}
		out, err := w.sqs.SendMessage(context.Background(), in)
		if err != nil {
			w.t.Fatal(err)
		}
		w.bodyOf[aws.ToString(out.MessageId)] = body
	}
}

func (w *world) tell(format string, a ...any) {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.story = append(w.story, fmt.Sprintf(format, a...))
}

// start is the program, started again, with so many events to live.
func (w *world) start(events int64) *Desk {
	w.t.Helper()
	w.life = &life{}
	w.life.left.Store(events)
	return w.operator(w.dir, w.life)
}

func (w *world) operator(dir string, l *life) *Desk {
	w.t.Helper()
	cfg := w.Config()
	cfg.HTTPClient = mortal{l, cfg.HTTPClient.(*http.Client).Transport}
	door, err := cloud.Open(context.Background(), cloud.Options{Config: &cfg, NoQuotas: true, Access: cloud.Change})
	if err != nil {
		w.t.Fatal(err)
	}
	j, err := journal.Open(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	d := New(Options{Config: door.Config(), Identity: ops.Identity{Account: sandbox.Account, Region: sandbox.HomeRegion}, Journal: j, Now: w.Now, Explain: door.Explain})
	d.event = l.event
	return d
}

const forever = int64(1) << 40

func (w *world) run() {
	w.t.Helper()
	plan := w.choose()
	w.faults()
	lives := w.rng.IntN(3)
	var second chan struct{}
	if w.rng.IntN(4) == 0 && !w.fifo {
		second = w.secondOperator()
	}
	events := int64(1 + w.rng.IntN(60))
	if lives == 0 {
		events = forever
	}
	w.tell("first life: %d events", events)
	d := w.start(events)
	o, err := d.Start(context.Background(), plan)
	if err == nil {
		if w.rng.IntN(3) == 0 {
			w.add(1 + w.rng.IntN(5))
		}
		w.end(o.Wait())
	} else {
		w.tell("not started: %v", err)
	}
	for ; lives > 1; lives-- {
		w.Advance(time.Duration(w.rng.IntN(400)) * time.Second)
		events = int64(1 + w.rng.IntN(60))
		w.tell("another life: %d events", events)
		w.resume(w.start(events), plan.ID)
	}
	w.SetFaults()
	w.Advance(time.Duration(w.rng.IntN(200)) * time.Second)
	for range 4 {
		w.tell("the last life")
		d = w.start(forever)
		if !w.resume(d, plan.ID) {
			break
		}
	}
	if second != nil {
		<-second
	}
	w.count()
}

// resume goes on with the operation; false when there is nothing to go on with.
func (w *world) resume(d *Desk, id string) bool {
	w.t.Helper()
	open, err := d.Unfinished()
	if err != nil {
		w.tell("unfinished: %v", err)
		return true
	}
	if !slices.ContainsFunc(open, func(u Unfinished) bool { return u.ID == id }) {
		w.tell("nothing to resume")
		return false
	}
	o, err := d.Resume(context.Background(), id)
	if err != nil {
		w.tell("not resumed: %v", err)
		return true
	}
	r := w.end(o.Wait())
	return r.State == ops.Broken
}

// end notes what an operation says when it is over. What a program says while it
// dies nobody hears: only the last word counts.
func (w *world) end(r ops.Result) ops.Result {
	w.named = w.uncertain(r)
	return r
}

func (w *world) uncertain(r ops.Result) map[string]bool {
	w.tell("%s: %d sent, %d deleted, %d rejected, unknown %v, pending %v, missing %v; %s", r.State, r.Sent, r.Deleted, r.Rejected, r.UnknownIDs, r.PendingIDs, r.MissingIDs, r.Note)
	named := map[string]bool{}
	for _, id := range append(slices.Clone(r.UnknownIDs), r.PendingIDs...) {
		named[w.bodyOf[id]] = true
	}
	return named
}

// choose makes the plan, before anything goes wrong.
func (w *world) choose() ops.Plan {
	w.t.Helper()
	d := w.start(forever)
	q, err := d.Queue(context.Background(), w.dead[strings.LastIndex(w.dead, "/")+1:])
	if err != nil {
		w.t.Fatal(err)
	}
	pile, err := d.Look(context.Background(), q, Look{Limit: 1000}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := pile.Release(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	selection := ops.Selection{All: true}
	if w.rng.IntN(2) == 0 {
		selection = w.some(pile.Letters())
	}
	ask := ops.Ask{Verb: ops.Redrive, Queue: q.ARN, Select: selection, To: "queue:" + w.source[strings.LastIndex(w.source, "/")+1:],
		Pace: ops.Pace{Lease: 20, Workers: 1 + w.rng.IntN(4), Careful: w.rng.IntN(8) == 0}}
	plan, err := d.Plan(context.Background(), ask, pile)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(plan.Blockers) > 0 {
		w.t.Fatalf("blocked: %q", plan.Blockers)
	}
	for _, e := range plan.Manifest {
		w.manifest[w.bodyOf[e.ID]] = true
	}
	w.tell("fifo %v, %d messages, %d chosen, pace %+v", w.fifo, len(w.bodyOf), plan.Messages(), plan.Pace)
	return plan
}

// some selects half of the messages; of FIFO groups the first few.
func (w *world) some(letters []ops.Letter) ops.Selection {
	var s ops.Selection
	if !w.fifo {
		for _, l := range letters {
			if w.rng.IntN(2) == 0 || len(s.IDs) == 0 {
				s.IDs = append(s.IDs, l.ID)
			}
		}
		return s
	}
	place := map[string]int{}
	for group, bodies := range w.sent {
		for i, body := range bodies {
			place[body] = i
		}
		_ = group
	}
	first := 1 + w.rng.IntN(9)
	for _, l := range letters {
		if place[w.bodyOf[l.ID]] < first {
			s.IDs = append(s.IDs, l.ID)
		}
	}
	return s
}

// faults sets some.
func (w *world) faults() {
	var rules []sandbox.Fault
	if w.rng.IntN(2) == 0 { // the send is where a message can be lost or doubled
		for _, kind := range []sandbox.FaultKind{sandbox.ResetAfter, sandbox.Throttle, sandbox.PartialBatch, sandbox.ResetBefore, sandbox.ServerError} {
			if w.rng.IntN(2) == 0 {
				rules = append(rules, sandbox.Fault{Kind: kind, Service: "sqs", Operation: "SendMessageBatch", Percent: float64(10 + w.rng.IntN(40))})
			}
		}
	}
	for _, kind := range []sandbox.FaultKind{sandbox.Throttle, sandbox.ServerError, sandbox.ResetBefore, sandbox.ResetAfter, sandbox.PartialBatch, sandbox.FalseEmpty} {
		if w.rng.IntN(3) > 0 {
			continue
		}
		operation := []string{"SendMessageBatch", "DeleteMessageBatch", "ReceiveMessage", "ChangeMessageVisibilityBatch"}[w.rng.IntN(4)]
		if kind == sandbox.FalseEmpty {
			operation = "ReceiveMessage"
		}
		rules = append(rules, sandbox.Fault{Kind: kind, Service: "sqs", Operation: operation, Percent: float64(5 + w.rng.IntN(40))})
	}
	w.SetFaults(rules...)
	w.tell("faults %+v", rules)
}

// secondOperator is somebody on another machine, whom no lock of ours stops, with
// the same idea.
func (w *world) secondOperator() chan struct{} {
	w.t.Helper()
	w.SetFaults()
	l := &life{}
	l.left.Store(forever)
	d := w.operator(w.t.TempDir(), l)
	q, err := d.Queue(context.Background(), w.dead[strings.LastIndex(w.dead, "/")+1:])
	if err != nil {
		w.t.Fatal(err)
	}
	pile, err := d.Look(context.Background(), q, Look{Limit: 1000, Again: true}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	plan, err := d.Plan(context.Background(), ops.Ask{Verb: ops.Redrive, Queue: q.ARN, Select: ops.Selection{All: true},
		To: "queue:" + w.source[strings.LastIndex(w.source, "/")+1:], Pace: ops.Pace{Lease: 20, Workers: 2}}, pile)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range plan.Manifest {
		w.manifest[w.bodyOf[e.ID]] = true
	}
	w.tell("a second operator with %d messages", plan.Messages())
	w.faults()
	done := make(chan struct{})
	o, err := d.Start(context.Background(), plan)
	if err != nil {
		w.tell("the second operator did not start: %v", err)
		close(done)
		return done
	}
	go func() {
		defer close(done)
		<-o.Done()
	}()
	w.t.Cleanup(func() { <-done })
	other := make(chan struct{})
	go func() {
		defer close(other)
		<-done
		r := o.Wait()
		for {
			if r.State != ops.Broken {
				break
			}
			w.SetFaults()
			again, err := d.Resume(context.Background(), plan.ID)
			if err != nil {
				break
			}
			r = again.Wait()
		}
		w.theirs = w.uncertain(r)
	}()
	return other
}

// count is the ledger: it asks the sandbox's queues, nobody else.
func (w *world) count() {
	w.t.Helper()
	w.SetFaults()
	w.Advance(time.Hour) // every lease is over
	target, dead := w.drain(w.source), w.drain(w.dead)
	for group, bodies := range w.sent {
		var arrived []string
		left := "" // an earlier one of the group that was to be sent and was not
		for _, body := range bodies {
			there, here := target.times[body], dead.times[body]
			switch {
			case there+here == 0:
				w.wrong("%q is lost", body)
			case there > 1, there == 1 && here == 1:
				if !w.named[body] && !w.theirs[body] || there > 1 && w.fifo {
					w.wrong("%q is %d times at the target and %d times here, and nobody said so", body, there, here)
				}
			case there == 1 && !w.manifest[body]:
				w.wrong("%q was not in the manifest and was sent", body)
			case here == 0 && !w.manifest[body]:
				w.wrong("%q was not in the manifest and is gone", body)
			}
			if there > 0 {
				arrived = append(arrived, body)
				if w.fifo && left != "" {
					w.wrong("%q overtook %q", body, left)
				}
			} else if w.manifest[body] {
				left = body
			}
		}
		if w.fifo {
			if got := target.order[group]; !slices.Equal(got, arrived) {
				w.wrong("group %q arrived as %q, sent as %q", group, got, arrived)
			}
		}
	}
	if w.t.Failed() {
		w.t.Log(strings.Join(w.story, "\n"))
	}
}

func (w *world) wrong(format string, a ...any) {
	w.t.Helper()
	w.t.Errorf(format, a...)
}

// contents is what a queue held.
type contents struct {
	times map[string]int
	order map[string][]string
}

// drain empties a queue.
func (w *world) drain(url string) contents {
	w.t.Helper()
	c := contents{map[string]int{}, map[string][]string{}}
	for empty := 0; empty < 3; {
		got, err := w.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 600,
			WaitTimeSeconds: 1, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			empty++
			continue
		}
		for _, m := range got.Messages {
			body, group := aws.ToString(m.Body), m.Attributes["MessageGroupId"]
			c.times[body]++
			c.order[group] = append(c.order[group], body)
			if _, err := w.sqs.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return c
}
