package dlq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

var night = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// bench is a sandbox with a desk that shares its clock, and a client of its own
// that passes no gate.
type bench struct {
	*sandbox.Sandbox
	t    testing.TB
	door *cloud.Cloud
	desk *Desk
	sqs  *sqs.Client
}

func newBench(t testing.TB) *bench {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Start: night})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	b := &bench{Sandbox: sb, t: t, sqs: sqs.NewFromConfig(sb.Config())}
	b.reopen(cloud.Peek)
	return b
}

// reopen makes a new desk: the program started again.
func (b *bench) reopen(level cloud.Level) {
	b.t.Helper()
	cfg := b.Config()
	door, err := cloud.Open(context.Background(), cloud.Options{Config: &cfg, NoQuotas: true, Access: level})
	if err != nil {
		b.t.Fatal(err)
	}
	b.door = door
	b.desk = New(Options{Config: door.Config(), Identity: ops.Identity{Account: sandbox.Account, Region: sandbox.HomeRegion}, Now: b.Now, Explain: door.Explain})
}

// ticking lets the sandbox's clock run a hundred times faster than the wall clock
// until the test ends: a long poll needs a clock that moves.
func (b *bench) ticking() *bench {
	b.t.Helper()
	b.t.Cleanup(b.tick(200 * time.Millisecond))
	return b
}

// tick advances the sandbox's clock by the step every two milliseconds.
func (b *bench) tick(step time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var clock sync.WaitGroup
	clock.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				b.Advance(step)
			}
		}
	})
	return func() { cancel(); clock.Wait() }
}

func (b *bench) queue(name string, attributes map[string]string) (url string) {
	b.t.Helper()
	out, err := b.sqs.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		b.t.Fatal(err)
	}
	return aws.ToString(out.QueueUrl)
}

// fill sends n messages and returns their ids in the order of sending.
func (b *bench) fill(url string, n int, body func(i int) string) []string {
	b.t.Helper()
	fifo := strings.HasSuffix(url, ".fifo")
	var ids []string
	for from := 0; from < n; from += 10 {
		in := &sqs.SendMessageBatchInput{QueueUrl: &url}
		for i := from; i < min(n, from+10); i++ {
			e := types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(body(i))}
			if fifo {
				e.MessageGroupId, e.MessageDeduplicationId = aws.String("group-"+strconv.Itoa(i%3)), e.Id
			}
			in.Entries = append(in.Entries, e)
		}
		out, err := b.sqs.SendMessageBatch(context.Background(), in)
		if err != nil || len(out.Failed) > 0 {
			b.t.Fatal(err, out)
		}
		for _, e := range out.Successful {
			ids = append(ids, aws.ToString(e.MessageId))
		}
	}
	return ids
}

func numbered(i int) string { return fmt.Sprintf(`{"order":%d}`, i) }

// depth is the sandbox's own view, without lag.
func (b *bench) depth(url string) (visible, inFlight int) {
	b.t.Helper()
	out, err := b.sqs.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		b.t.Fatal(err)
	}
	visible, _ = strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"])
	inFlight, _ = strconv.Atoi(out.Attributes["ApproximateNumberOfMessagesNotVisible"])
	return visible, inFlight
}

func (b *bench) describe(name string) ops.Queue {
	b.t.Helper()
	q, err := b.desk.Queue(context.Background(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	return q
}

func (b *bench) look(name string, l Look) (*Pile, ops.LookProgress) {
	b.t.Helper()
	var last ops.LookProgress
	pile, err := b.desk.Look(context.Background(), b.describe(name), l, func(p ops.LookProgress) { last = p })
	if err != nil {
		b.t.Fatalf("%v (%+v)", err, last)
	}
	return pile, last
}

func (b *bench) release(p *Pile) {
	b.t.Helper()
	if err := p.Release(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	if n, until := p.Held(); n != 0 || !until.IsZero() {
		b.t.Fatalf("held %d until %s after the release", n, until)
	}
}

func ids(letters []ops.Letter) []string {
	out := make([]string, 0, len(letters))
	for _, l := range letters {
		out = append(out, l.ID)
	}
	return out
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func TestALookSeesAllAndLeavesTheQueueAsItWas(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := newBench(t)
	defer b.Close()
	url := b.queue("dlq", nil)
	sent := b.fill(url, 237, numbered)
	stop := b.tick(200 * time.Millisecond)
	pile, last := b.look("dlq", Look{Lease: time.Hour})
	if diff := cmp.Diff(sorted(sent), sorted(ids(pile.Letters()))); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	held, until := pile.Held()
	if held != 237 || !until.After(b.Now()) {
		t.Errorf("held %d until %s", held, until)
	}
	if visible, inFlight := b.depth(url); visible != 0 || inFlight != 237 {
		t.Errorf("while held: %d visible, %d in flight", visible, inFlight)
	}
	if !last.Done || last.Read != 237 || last.Held != 237 || last.Calls == 0 || !strings.HasPrefix(last.Note, "stopped: ") {
		t.Errorf("progress %+v", last)
	}
	b.release(pile)
	stop()
	if visible, inFlight := b.depth(url); visible != 237 || inFlight != 0 {
		t.Errorf("after the release: %d visible, %d in flight", visible, inFlight)
	}
	out, err := b.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil || len(out.Messages) == 0 {
		t.Fatal(err, len(out.Messages))
	}
	for _, m := range out.Messages {
		if n := m.Attributes["ApproximateReceiveCount"]; n != "2" { // the look's and this one
			t.Errorf("receive count %s", n)
		}
	}
}

func TestALookNeverHoldsMoreThanItMay(t *testing.T) {
	for _, hold := range []int{1, 7, 25, 120} {
		t.Run(strconv.Itoa(hold), func(t *testing.T) {
			b := newBench(t).ticking()
			url := b.queue("dlq", nil)
			b.fill(url, 300, numbered)
			// Answers get lost on the way: what they leased counts too.
			b.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "sqs", Operation: "ReceiveMessage", Percent: 20}, sandbox.Fault{Kind: sandbox.Slow, Latency: time.Millisecond})
			ctx, stop := context.WithCancel(t.Context())
			var watch sync.WaitGroup
			worst := 0
			watch.Go(func() {
				for ctx.Err() == nil {
					_, n := b.depth(url)
					worst = max(worst, n)
				}
			})
			pile, err := b.desk.Look(t.Context(), b.describe("dlq"), Look{Limit: 200, Hold: hold, Lease: 10 * time.Minute}, nil)
			stop()
			watch.Wait()
			if worst > hold || worst == 0 {
				t.Errorf("%d in flight, %d may be (%v)", worst, hold, err)
			}
			if n := pile.Len(); n > hold {
				t.Errorf("%d read", n)
			}
			b.SetFaults()
			b.release(pile)
		})
	}
}

// Workers that reserve while others file what came never reserve more than the look
// may hold: what they take for held must be as new as what they take for reserved.
func TestReservationsAddUpWhileAnswersComeIn(t *testing.T) {
	const hold = 120
	b := newBench(t)
	var serial, over atomic.Int64
	for range 300 {
		r := &looker{desk: b.desk, pile: newPile(b.desk, ops.Queue{ARN: "arn:aws:sqs:eu-west-1:123456789012:dlq"}), look: Look{Hold: hold, Lease: time.Hour}}
		var taken atomic.Int64
		var workers sync.WaitGroup
		for range 16 {
			workers.Go(func() {
				for {
					n, news, _ := r.reserve()
					if n == 0 {
						return
					}
					if taken.Add(int64(n)) > hold {
						over.Add(1)
					}
					for range n {
						id := strconv.FormatInt(serial.Add(1), 10)
						r.pile.add(ops.Message{ID: id, Handle: id, At: b.Now(), Until: b.Now().Add(time.Hour)})
					}
					r.answered(n, n, n, news)
				}
			})
		}
		workers.Wait()
	}
	if n := over.Load(); n > 0 {
		t.Errorf("%d reservations beyond the %d that may be held", n, hold)
	}
}

func TestALookStopsOnlyWhenTheQueueIsEmpty(t *testing.T) {
	for name, faults := range map[string][]sandbox.Fault{
		"false empties":    {{Kind: sandbox.FalseEmpty, Service: "sqs", Percent: 70}},
		"counts lag":       {{Kind: sandbox.CountLag, Service: "sqs"}},
		"throttled":        {{Kind: sandbox.Throttle, Service: "sqs", Operation: "ReceiveMessage", Percent: 40}},
		"partial batches":  {{Kind: sandbox.PartialBatch, Service: "sqs", Percent: 40}},
		"service failures": {{Kind: sandbox.ResetBefore, Service: "sqs", Operation: "ReceiveMessage", Percent: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t).ticking()
			url := b.queue("dlq", nil)
			sent := b.fill(url, 150, numbered)
			q := b.describe("dlq")
			b.SetFaults(faults...)
			// Room for what an answer that is lost may have leased.
			pile, err := b.desk.Look(t.Context(), q, Look{Limit: 1000, Lease: 10 * time.Minute}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sorted(sent), sorted(ids(pile.Letters()))); diff != "" {
				t.Errorf("seen (-want +got):\n%s", diff)
			}
			if err := pile.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.SetFaults()
			if visible, inFlight := b.depth(url); visible != 150 || inFlight != 0 {
				t.Errorf("after the release: %d visible, %d in flight", visible, inFlight)
			}
		})
	}
}

// deaf answers some receives with nothing, without asking: what a long poll does when
// the servers that it asks have nothing just then.
type deaf struct {
	http.RoundTripper
	from, to int64
	calls    atomic.Int64
}

func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Amz-Target") == "AmazonSQS.ReceiveMessage" {
		if n := d.calls.Add(1); n >= d.from && n < d.to {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
		}
	}
	return d.RoundTripper.RoundTrip(r)
}

func TestEmptyAnswersAreNotBelievedAgainstTheCount(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	sent := b.fill(url, 200, numbered)
	cfg := b.Config()
	transport := &deaf{RoundTripper: cfg.HTTPClient.(*http.Client).Transport, from: 6, to: 12}
	cfg.HTTPClient = &http.Client{Transport: transport}
	desk := New(Options{Config: cfg, Now: b.Now})
	pile, err := desk.Look(t.Context(), b.describe("dlq"), Look{Lease: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := transport.calls.Load(); n < 12+15 {
		t.Errorf("%d receives", n)
	}
	if diff := cmp.Diff(sorted(sent), sorted(ids(pile.Letters()))); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	b.release(pile)
}

// The count may be a minute old as well: nor is it believed against one empty answer.
func TestOneEmptyAnswerAndAnOldCountAreNotTheEnd(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	sent := b.fill(url, 50, numbered)
	b.SetFaults(sandbox.Fault{Kind: sandbox.CountLag, Service: "sqs", Until: b.Now().Add(50 * time.Second)}) // half a second of the wall clock
	cfg := b.Config()
	cfg.HTTPClient = &http.Client{Transport: &deaf{RoundTripper: cfg.HTTPClient.(*http.Client).Transport, from: 1, to: 3}}
	q := b.describe("dlq")
	if n, _ := q.Depth().Value(); n != 0 {
		t.Fatalf("the count says %v: the test would prove nothing", n)
	}
	pile, err := New(Options{Config: cfg, Now: b.Now}).Look(t.Context(), q, Look{Lease: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if pile.Len() != len(sent) {
		t.Errorf("%d of %d seen", pile.Len(), len(sent))
	}
	b.release(pile)
}

// Somebody who may receive but not give back finds out with the first messages.
func TestALookThatCannotGiveBackStopsAtOnce(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	b.fill(url, 1000, numbered)
	q := b.describe("dlq")
	b.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs", Operation: "ChangeMessageVisibilityBatch"},
		sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Operation: "ReceiveMessage", Latency: 5 * time.Millisecond})
	_, err := b.desk.Look(t.Context(), q, Look{Limit: 1000, Lease: time.Hour}, nil)
	p := ops.AsProblem(err)
	if p == nil || p.Fault != ops.FaultDenied || !strings.Contains(err.Error(), "give messages of dlq back") || !strings.Contains(err.Error(), "by themselves at") {
		t.Fatalf("err = %v", err)
	}
	if _, inFlight := b.depth(url); inFlight == 0 || inFlight > 60 {
		t.Errorf("%d in flight", inFlight)
	}
}

func TestACancelledLookKnowsWhatItHolds(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	b.fill(url, 2000, numbered)
	q := b.describe("dlq")
	b.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Operation: "ReceiveMessage", Latency: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	pile, err := b.desk.Look(ctx, q, Look{Limit: 2000, Lease: 12 * time.Hour}, func(p ops.LookProgress) {
		if p.Held >= 200 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
	if held, _ := pile.Held(); held < 200 {
		t.Errorf("held %d", held)
	}
	// The signal handler's way: a fresh context.
	fresh, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	if err := b.desk.ReleaseAll(fresh); err != nil {
		t.Fatal(err)
	}
	if visible, inFlight := b.depth(url); visible != 2000 || inFlight != 0 {
		t.Errorf("after ReleaseAll: %d visible, %d in flight", visible, inFlight)
	}
}

func TestReleaseAllStopsALookThatGoesOn(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	b.fill(url, 1000, numbered)
	q := b.describe("dlq")
	b.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Operation: "ReceiveMessage", Latency: 20 * time.Millisecond})
	enough := make(chan struct{})
	var once sync.Once
	looked := make(chan error)
	go func() {
		_, err := b.desk.Look(t.Context(), q, Look{Limit: 1000, Lease: 12 * time.Hour, Workers: 4}, func(p ops.LookProgress) {
			if p.Held >= 100 {
				once.Do(func() { close(enough) })
			}
		})
		looked <- err
	}()
	<-enough
	if err := b.desk.ReleaseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-looked; err == nil {
		t.Error("the look did not say that it was stopped")
	}
	if visible, inFlight := b.depth(url); visible != 1000 || inFlight != 0 {
		t.Errorf("after ReleaseAll: %d visible, %d in flight", visible, inFlight)
	}
}

func TestAFailedLookGivesBackWhatItHeld(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	b.fill(url, 500, numbered)
	q := b.describe("dlq")
	b.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Operation: "ReceiveMessage", Latency: 10 * time.Millisecond})
	pile, err := b.desk.Look(t.Context(), q, Look{Limit: 500, Lease: 12 * time.Hour, Workers: 4}, func(p ops.LookProgress) {
		if p.Held >= 100 {
			b.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs", Operation: "ReceiveMessage"})
		}
	})
	p := ops.AsProblem(err)
	if p == nil || p.Fault != ops.FaultDenied || !strings.Contains(p.What, "read messages of dlq") {
		t.Fatalf("err = %v", err)
	}
	if pile.Len() < 100 {
		t.Errorf("%d messages in the pile", pile.Len())
	}
	if visible, inFlight := b.depth(url); visible != 500 || inFlight != 0 {
		t.Errorf("after the failure: %d visible, %d in flight", visible, inFlight)
	}
}

// With expired credentials nothing can be given back: it is said, with the time when
// the messages come back by themselves, and they are still known as held.
func TestExpiredCredentialsAreSaid(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	b.fill(url, 20, numbered)
	pile, _ := b.look("dlq", Look{Lease: 12 * time.Hour})
	b.SetFaults(sandbox.Fault{Kind: sandbox.Expired})
	p := ops.AsProblem(pile.Release(t.Context()))
	if p == nil || p.Fault != ops.FaultExpired || !strings.Contains(p.What, "give back 20 messages") || !strings.Contains(p.Hint, "by themselves at") {
		t.Fatalf("%+v", p)
	}
	if held, _ := pile.Held(); held != 20 {
		t.Errorf("held %d", held)
	}
	b.SetFaults()
	b.release(pile)
}

func TestLeasesAreKeptWhileTheLookGoesOn(t *testing.T) {
	b := newBench(t).ticking() // 100 ms of the wall clock are 10 s
	url := b.queue("dlq", nil)
	b.fill(url, 400, numbered)
	q := b.describe("dlq")
	b.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Operation: "ReceiveMessage", Latency: 60 * time.Millisecond})
	// 40 receives by one worker are 240 s: the first leases would end twice.
	pile, err := b.desk.Look(t.Context(), q, Look{Limit: 400, Lease: 110 * time.Second, Workers: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.SetFaults()
	for _, l := range pile.Letters() {
		if l.Receives != 1 || l.Looks != 1 {
			t.Fatalf("%s was received %d times, %d by us", l.ID, l.Receives, l.Looks)
		}
	}
	if pile.Len() != 400 {
		t.Errorf("%d read", pile.Len())
	}
	b.release(pile)
}

func TestLeasesEndByThemselves(t *testing.T) {
	b := newBench(t)
	url := b.queue("dlq", nil)
	b.fill(url, 30, numbered)
	pile, _ := b.look("dlq", Look{Limit: 30, Lease: time.Minute}) // the limit ends it: no clock is needed
	if held, until := pile.Held(); held != 30 || !until.Equal(b.Now().Add(time.Minute)) {
		t.Fatalf("held %d until %s at %s", held, until, b.Now())
	}
	b.Advance(time.Minute)
	if held, until := pile.Held(); held != 0 || !until.IsZero() {
		t.Errorf("held %d until %s when the leases are over", held, until)
	}
	calls := b.Bill().Calls["sqs.ChangeMessageVisibilityBatch"]
	b.release(pile)
	if n := b.Bill().Calls["sqs.ChangeMessageVisibilityBatch"]; n != calls {
		t.Errorf("%d calls to give back nothing", n-calls)
	}
}

func TestMessagesThatAreGoneAreNoError(t *testing.T) {
	b := newBench(t)
	url := b.queue("dlq", map[string]string{"MessageRetentionPeriod": "60"})
	b.fill(url, 20, numbered)
	pile, _ := b.look("dlq", Look{Limit: 20, Lease: time.Hour})
	m, ok := pile.Message(pile.Letters()[3].ID)
	if !ok {
		t.Fatal("a message of the pile is not in it")
	}
	if _, err := b.sqs.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: &m.Handle}); err != nil {
		t.Fatal(err)
	}
	b.Advance(10 * time.Second)
	b.fill(url, 5, numbered)
	b.Advance(55 * time.Second) // the first twenty have expired
	b.release(pile)
	if visible, inFlight := b.depth(url); visible != 5 || inFlight != 0 {
		t.Errorf("%d visible, %d in flight", visible, inFlight)
	}
}

func TestAQueueThatIsDeletedHalfWay(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	b.fill(url, 100, numbered)
	q := b.describe("dlq")
	var once sync.Once
	pile, err := b.desk.Look(t.Context(), q, Look{Lease: 12 * time.Hour}, func(p ops.LookProgress) {
		once.Do(func() {
			if _, err := b.sqs.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
				t.Error(err)
			}
		})
	})
	if p := ops.AsProblem(err); p == nil || p.Fault != ops.FaultNotFound {
		t.Fatalf("err = %v", err)
	}
	if pile.Len() == 0 {
		t.Error("what was received before is lost")
	}
	b.release(pile)
}

func TestMessagesThatSomebodyElseHoldsAreSaid(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	b.fill(url, 50, numbered)
	for range 2 {
		out, err := b.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 3600})
		if err != nil || len(out.Messages) != 10 {
			t.Fatal(err)
		}
	}
	pile, last := b.look("dlq", Look{Lease: time.Hour})
	if pile.Len() != 30 || !strings.Contains(last.Note, "about 20 more are held by somebody else") {
		t.Errorf("%d read, note %q", pile.Len(), last.Note)
	}
	b.release(pile)
	if visible, inFlight := b.depth(url); visible != 30 || inFlight != 20 {
		t.Errorf("%d visible, %d in flight", visible, inFlight)
	}
}

// Two desks, as two people have them: each sees what the other leaves, and neither
// gives back what it does not hold.
func TestTwoPeopleLookAtTheSameQueue(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", nil)
	sent := b.fill(url, 400, numbered)
	q := b.describe("dlq")
	var all sync.WaitGroup
	piles := make([]*Pile, 2)
	for i := range piles {
		desk := New(Options{Config: b.door.Config(), Now: b.Now, Explain: b.door.Explain})
		all.Go(func() {
			var err error
			if piles[i], err = desk.Look(t.Context(), q, Look{Lease: time.Hour}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	seen := append(ids(piles[0].Letters()), ids(piles[1].Letters())...)
	if diff := cmp.Diff(sorted(sent), sorted(seen)); diff != "" {
		t.Errorf("seen by either (-want +got):\n%s", diff)
	}
	b.release(piles[0])
	if visible, inFlight := b.depth(url); visible != piles[0].Len() || inFlight != piles[1].Len() {
		t.Errorf("%d visible, %d in flight", visible, inFlight)
	}
	b.release(piles[1])
	if visible, inFlight := b.depth(url); visible != 400 || inFlight != 0 {
		t.Errorf("%d visible, %d in flight", visible, inFlight)
	}
}

func TestFIFOGroupsAreLockedAndSaidSo(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq.fifo", map[string]string{"FifoQueue": "true"})
	b.fill(url, 90, numbered) // three groups of thirty
	q := b.describe("dlq.fifo")
	if c := b.desk.Cost(q, Look{}); !strings.Contains(strings.Join(c.Warnings, "\n"), "only the first 10") {
		t.Errorf("cost says %q", c.Warnings)
	}
	pile, last := b.look("dlq.fifo", Look{Lease: time.Hour})
	if pile.Len() != 30 {
		t.Errorf("%d read, want ten of each group", pile.Len())
	}
	if !strings.Contains(last.Note, "60 more wait behind messages of their group") {
		t.Errorf("note %q", last.Note)
	}
	if last.Calls > 50 {
		t.Errorf("%d calls: it spins", last.Calls)
	}
	b.release(pile)
	if visible, inFlight := b.depth(url); visible != 90 || inFlight != 0 {
		t.Errorf("%d visible, %d in flight", visible, inFlight)
	}
}

func TestTheThirdLookIsFromMemory(t *testing.T) {
	b := newBench(t).ticking()
	url := b.queue("dlq", map[string]string{"MessageRetentionPeriod": "1209600"})
	sent := b.fill(url, 40, numbered)
	for n := 1; n <= 2; n++ {
		q := b.describe("dlq")
		if b.desk.Cost(q, Look{}).FromMemory {
			t.Fatalf("look %d would be from memory", n)
		}
		pile, _ := b.look("dlq", Look{Lease: time.Hour}) // the second gives back what the first holds
		for _, l := range pile.Letters() {
			if l.Looks != n || l.Receives != n {
				t.Fatalf("look %d: %d looks, %d receives", n, l.Looks, l.Receives)
			}
		}
	}
	q := b.describe("dlq")
	if c := b.desk.Cost(q, Look{}); !c.FromMemory || c.Calls != 0 || c.Messages != 0 {
		t.Errorf("cost of the third look: %+v", c)
	}
	if c := b.desk.Cost(q, Look{Again: true}); c.FromMemory {
		t.Errorf("cost of a look again: %+v", c)
	}
	before := b.Bill().Calls["sqs.ReceiveMessage"]
	pile, last := b.look("dlq", Look{})
	if n := b.Bill().Calls["sqs.ReceiveMessage"]; n != before {
		t.Errorf("%d receives for a look from memory", n-before)
	}
	if !last.Done || !strings.HasPrefix(last.Note, "from memory") || last.Read != 40 {
		t.Errorf("progress %+v", last)
	}
	if diff := cmp.Diff(sorted(sent), sorted(ids(pile.Letters()))); diff != "" {
		t.Error(diff)
	}
	b.release(pile)
	again, _ := b.look("dlq", Look{Again: true, Lease: time.Hour})
	if l := again.Letters()[0]; l.Looks != 3 {
		t.Errorf("%d looks", l.Looks)
	}
	// What is not in the queue any more does not count.
	again.Forget(sent)
	if again.Len() != 0 || len(again.Letters()) != 0 {
		t.Error("forgotten letters are still there")
	}
	if b.desk.Cost(q, Look{}).FromMemory {
		t.Error("a look at what is new is refused for what is gone")
	}
	b.release(again)
}

// A queue whose own redrive policy moves messages on after one receive is not looked
// at twice.
func TestALookDoesNotPushMessagesOutOfTheQueue(t *testing.T) {
	b := newBench(t).ticking()
	final := b.queue("final", nil)
	url := b.queue("dlq", redriveTo(b, "final", 1))
	b.fill(url, 15, numbered)
	pile, _ := b.look("dlq", Look{})
	b.release(pile)
	if again, last := b.look("dlq", Look{}); again != pile || !strings.HasPrefix(last.Note, "from memory") {
		t.Errorf("note %q", last.Note)
	}
	if visible, _ := b.depth(final); visible != 0 {
		t.Errorf("%d messages were moved on by looking", visible)
	}
	if visible, _ := b.depth(url); visible != 15 {
		t.Errorf("%d messages left", visible)
	}
}

func TestAMessageThatComesAgainHasANewHandle(t *testing.T) {
	b := newBench(t)
	p := newPile(b.desk, ops.Queue{ARN: "arn:aws:sqs:eu-west-1:123456789012:q"})
	m := ops.Message{ID: "m", Body: "b", At: b.Now(), Handle: "old", Until: b.Now().Add(time.Minute)}
	if !p.add(m) {
		t.Fatal("not new")
	}
	m.Handle, m.Until = "new", b.Now().Add(2*time.Minute)
	if p.add(m) {
		t.Fatal("new twice")
	}
	got, _ := p.Message("m")
	if held, until := p.Held(); held != 1 || got.Handle != "new" || !until.Equal(m.Until) {
		t.Errorf("held %d until %s, handle %q", held, until, got.Handle)
	}
	p.letGo(loan{"m", lease{handle: ticketOf("old")}})
	if held, _ := p.Held(); held != 1 {
		t.Error("the answer about an old handle ended the new lease")
	}
	if l := p.Letters(); len(l) != 1 || l[0].Looks != 2 {
		t.Errorf("letters %+v", l)
	}
}

func TestCostSaysEachConsequence(t *testing.T) {
	b := newBench(t)
	b.queue("final", nil)
	b.queue("dlq", redriveTo(b, "final", 3))
	b.queue("work", redriveTo(b, "dlq", 5))
	b.fill(b.queue("dlq", nil), 12, numbered)
	q := b.describe("dlq")
	c := b.desk.Cost(q, Look{})
	if c.Messages != 12 || c.Lease != 30*time.Second || c.FromMemory || c.Calls < 4 || c.USD != float64(c.Calls)*0.4e-6 {
		t.Errorf("%+v", c)
	}
	text := strings.Join(c.Warnings, "\n")
	for _, want := range []string{"up to 12 messages are leased", "30s", "receive count of each message goes up by 1", "Visible falls by up to 12", "at most 3 more looks", "on to final", "back of the queue"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing about %q in\n%s", want, text)
		}
	}
	if n := b.Bill().Calls["sqs.ReceiveMessage"]; n != 0 {
		t.Errorf("%d receives for a cost", n)
	}
	q.Measures = ops.Measures{{Metric: ops.Visible, Last: ops.Know(5000, b.Now())}, {Metric: ops.InFlight, Last: ops.Know(119_500, b.Now())}}
	if text := strings.Join(b.desk.Cost(q, Look{}).Warnings, "\n"); !strings.Contains(text, "119500 messages are in flight already") {
		t.Errorf("nothing about the headroom in\n%s", text)
	}
}

func redriveTo(b *bench, name string, most int) map[string]string {
	return map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:%s","maxReceiveCount":%d}`, name, most)}
}

func TestQueueByNameURLAndARN(t *testing.T) {
	b := newBench(t)
	b.queue("orders-dlq", map[string]string{"MessageRetentionPeriod": "345600", "VisibilityTimeout": "45"})
	attributes := redriveTo(b, "orders-dlq", 5)
	attributes["MessageRetentionPeriod"] = "86400"
	b.queue("orders", attributes)
	url := b.queue("orders-dlq", nil)
	b.fill(url, 3, numbered)
	const arn = "arn:aws:sqs:eu-west-1:123456789012:orders-dlq"
	for _, name := range []string{"orders-dlq", " orders-dlq\n", url, arn, "https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dlq"} {
		q := b.describe(name)
		if q.ARN != arn || q.Name != "orders-dlq" || q.URL != url || q.Retention != 96*time.Hour || q.Visibility != 45*time.Second || q.FIFO {
			t.Errorf("%q: %+v", name, q)
		}
		if n, ok := q.Depth().Value(); !ok || n != 3 {
			t.Errorf("%q: depth %v", name, q.Depth())
		}
		want := []ops.DeadLetterSource{{Via: ops.ViaRedrivePolicy, Source: "arn:aws:sqs:eu-west-1:123456789012:orders", Retention: 24 * time.Hour}}
		if diff := cmp.Diff(want, q.DeadLetterOf); diff != "" {
			t.Errorf("%q: sources (-want +got):\n%s", name, diff)
		}
	}
	if q := b.describe("orders"); q.RedriveTo != arn || q.MaxReceive != 5 || q.IsDeadLetter() {
		t.Errorf("source: %+v", q)
	}
	for name, want := range map[string]string{
		"order-dlq": "did you mean orders-dlq, orders?",
		"arn:aws:sqs:eu-west-1:210987654321:orders-dlq":               "belongs to account 210987654321",
		"arn:aws:sqs:us-east-1:123456789012:orders-dlq":               "is in region us-east-1",
		"arn:aws:sns:eu-west-1:123456789012:orders-dlq":               "not the ARN of a queue",
		"https://sqs.us-east-1.amazonaws.com/123456789012/orders-dlq": "is in region us-east-1",
		"https://sqs.eu-west-1.amazonaws.com/210987654321/orders-dlq": "belongs to account 210987654321",
		"https://sqs.eu-west-1.amazonaws.com/":                        "not the URL of a queue",
		"":                                                            "no queue was named",
	} {
		_, err := b.desk.Queue(t.Context(), name)
		if p := ops.AsProblem(err); p == nil || p.Fault != ops.FaultNotFound || !strings.Contains(p.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

func TestAMissingPermissionNamesItsStep(t *testing.T) {
	b := newBench(t)
	url := b.queue("dlq", nil)
	b.fill(url, 3, numbered)
	for operation, want := range map[string]string{"GetQueueUrl": "find queue dlq", "GetQueueAttributes": "read queue dlq"} {
		b.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs", Operation: operation})
		_, err := b.desk.Queue(t.Context(), "dlq")
		if p := ops.AsProblem(err); p == nil || p.Fault != ops.FaultDenied || !strings.Contains(p.Error(), want) || !strings.Contains(p.Error(), operation) {
			t.Errorf("%s: %v", operation, err)
		}
	}
	// A look does not need to know the sources: it says what it does not know.
	b.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs", Operation: "ListDeadLetterSourceQueues"})
	q, err := b.desk.Queue(t.Context(), "dlq")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(b.desk.Cost(q, Look{}).Warnings, "\n"); !strings.Contains(text, "which queues dead-letter here is not known") {
		t.Errorf("cost says %s", text)
	}
}

func TestLookNeedsPeek(t *testing.T) {
	b := newBench(t)
	b.fill(b.queue("dlq", nil), 3, numbered)
	b.reopen(cloud.Look)
	pile, err := b.desk.Look(t.Context(), b.describe("dlq"), Look{}, nil)
	if p := ops.AsProblem(err); p == nil || p.Fault != ops.FaultRefused || pile == nil || pile.Len() != 0 {
		t.Fatalf("err = %v", err)
	}
}

func TestAPileGivesBackEveryByte(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	bytes := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.UintN(256))
		}
		return string(b)
	}
	p := newPile(nil, ops.Queue{ARN: "arn:aws:sqs:eu-west-1:123456789012:q", Retention: time.Hour})
	var want []ops.Message
	for i := range 300 {
		m := ops.Message{ID: fmt.Sprintf("id-%d", i), Queue: p.queue.ARN, Body: bytes(rng.IntN(3000)), At: night.Add(time.Duration(i) * time.Nanosecond),
			System: map[string]string{"SentTimestamp": strconv.FormatInt(night.UnixMilli()-int64(rng.IntN(1e6)), 10), "ApproximateReceiveCount": "3"}}
		for a := range rng.IntN(11) {
			if m.Attributes == nil {
				m.Attributes = map[string]ops.Attribute{}
			}
			attribute := ops.Attribute{Type: "String.x", Text: bytes(rng.IntN(40))}
			if a%2 == 1 {
				attribute = ops.Attribute{Type: "Binary", Bytes: []byte(bytes(1 + rng.IntN(40)))}
			}
			m.Attributes[fmt.Sprintf("a%d", a)] = attribute
		}
		if i%100 == 7 {
			m.Body = strings.Repeat("x", ops.MaxMessageBytes)
		}
		want = append(want, m)
		if !p.add(m) {
			t.Fatal("not new")
		}
	}
	var got []ops.Message
	p.Each(func(m ops.Message) bool { got = append(got, m); return true })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("each (-want +got):\n%.2000s", diff)
	}
	for _, i := range rng.Perm(len(want)) {
		if m, ok := p.Message(want[i].ID); !ok || cmp.Diff(want[i], m) != "" {
			t.Fatalf("message %d differs", i)
		}
	}
	letters := p.Letters()
	if !slices.IsSortedFunc(letters, func(a, b ops.Letter) int { return a.Sent.Compare(b.Sent) }) || len(letters) != 300 {
		t.Errorf("%d letters, or not in order", len(letters))
	}
	p.Forget([]string{want[0].ID, want[299].ID})
	n := 0
	p.Each(func(m ops.Message) bool { n++; return n < 10 })
	if _, ok := p.Message(want[0].ID); ok || p.Len() != 298 || n != 10 {
		t.Errorf("forgotten: %t, %d left, %d visited", ok, p.Len(), n)
	}
}

// robber lets some receives take their messages and loses the answer; before, it
// fails to reach the service at all.
type robber struct {
	http.RoundTripper
	refuse, rob int64
	calls       atomic.Int64
}

func (r *robber) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("X-Amz-Target") != "AmazonSQS.ReceiveMessage" {
		return r.RoundTripper.RoundTrip(req)
	}
	n := r.calls.Add(1)
	if n <= r.refuse {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	res, err := r.RoundTripper.RoundTrip(req)
	if err == nil && n <= r.refuse+r.rob {
		res.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return res, err
}

// What a lost answer has leased comes back when the lease ends: a look that has
// room for no more waits for it, and one that thinks it is at the end does too.
// A request that never left has leased nothing.
func TestALookSeesWhatLostAnswersHaveTaken(t *testing.T) {
	for name, c := range map[string]struct {
		look        Look
		refuse, rob int64
		fifo        bool
		missed      string
	}{
		"no room left":             {look: Look{Limit: 20, Lease: 30 * time.Second}, rob: 2},
		"room enough":              {look: Look{Limit: 100, Lease: 30 * time.Second}, rob: 2},
		"FIFO":                     {look: Look{Limit: 100, Lease: 30 * time.Second}, rob: 1, fifo: true},
		"never left":               {look: Look{Limit: 20, Lease: time.Hour}, refuse: 2},
		"too long a lease to wait": {look: Look{Limit: 20, Lease: time.Hour}, rob: 2, missed: "answers were lost: up to 20 messages"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			// Slower than elsewhere: leases of half a minute are extended in time.
			t.Cleanup(b.tick(20 * time.Millisecond))
			queue := "dlq"
			attributes := map[string]string{}
			if c.fifo {
				queue, attributes["FifoQueue"] = "dlq.fifo", "true"
			}
			messages := 20
			if c.fifo {
				messages = 30 // three groups of ten: no batch splits a group
			}
			sent := b.fill(b.queue(queue, attributes), messages, numbered)
			cfg := b.Config()
			cfg.HTTPClient = &http.Client{Transport: &robber{RoundTripper: cfg.HTTPClient.(*http.Client).Transport, refuse: c.refuse, rob: c.rob}}
			pile, err := New(Options{Config: cfg, Now: b.Now}).Look(t.Context(), b.describe(queue), c.look, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.missed == "" {
				if diff := cmp.Diff(sorted(sent), sorted(ids(pile.Letters()))); diff != "" {
					t.Errorf("seen (-want +got):\n%s", diff)
				}
			}
			if got := pile.Missed(); !strings.Contains(got, c.missed) || c.missed == "" && got != "" {
				t.Errorf("missed: %q, want %q", got, c.missed)
			}
			b.release(pile)
		})
	}
}
