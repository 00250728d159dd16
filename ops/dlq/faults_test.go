package dlq

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// The tests in this file are named after the ways in which other tools lose or
// double messages (the project's facts, F1 to F18). What counts is where the
// messages are afterwards: the sandbox's queues are asked, never our own record.

// redrived is a dead-letter queue with a redrive about to happen.
type redrived struct {
	*bench
	source, dead string
	plan         ops.Plan
}

func newRedrive(t *testing.T, n int, fifo bool, change func(*ops.Ask)) *redrived {
	t.Helper()
	s := &redrived{bench: redriveBench(t)}
	attributes := map[string]string{"MessageRetentionPeriod": "1209600"}
	end := ""
	if fifo {
		attributes["FifoQueue"], end = "true", ".fifo"
	}
	s.source, s.dead = s.queue("work"+end, attributes), s.queue("work-dlq"+end, attributes)
	s.fill(s.dead, n, numbered)
	ask := ops.Ask{Verb: ops.Redrive, Queue: ops.ARN("work-dlq" + end), Select: ops.Selection{All: true}, To: "queue:work" + end}
	if change != nil {
		change(&ask)
	}
	s.plan = s.bench.plan(ask)
	if len(s.plan.Blockers) > 0 {
		t.Fatalf("blockers %q", s.plan.Blockers)
	}
	return s
}

// startUntil starts the redrive and returns when something is true of it. It looks
// again whenever a line of the record was written, so each new line but the last counts.
func (s *redrived) startUntil(reached func(*Operation) bool) *Operation {
	s.t.Helper()
	wrote := make(chan struct{}, 1)
	s.desk.event = func() error {
		select {
		case wrote <- struct{}{}:
		default: // it is about to look anyway
		}
		return nil
	}
	o, err := s.desk.Start(s.t.Context(), s.plan)
	if err != nil {
		s.t.Fatal(err)
	}
	for !reached(o) {
		select {
		case <-wrote:
		case <-o.Done():
			s.t.Fatalf("it is over before that: %+v", o.Progress())
		}
	}
	return o
}

// strike sets a fault on one operation of SQS.
func (s *redrived) strike(kind sandbox.FaultKind, operation string, percent float64) {
	s.AddFault(sandbox.Fault{Kind: kind, Service: "sqs", Operation: operation, Percent: percent})
}

// ledger is what both queues hold when everything is over and every lease has ended.
func (s *redrived) ledger() (source, dead map[string]int) {
	s.t.Helper()
	s.SetFaults()
	s.Advance(time.Hour)
	return s.bodies(s.source), s.bodies(s.dead)
}

// accounted checks that each of n messages is somewhere, once, but for those that were
// named as unknown, or as sent and not yet deleted: they may be in both.
func (s *redrived) accounted(n int, r ops.Result) (source, dead map[string]int) {
	s.t.Helper()
	unknown := map[string]bool{}
	bodyOf := s.bodyOf()
	for _, id := range slices.Concat(r.UnknownIDs, r.PendingIDs) {
		unknown[bodyOf[id]] = true
	}
	source, dead = s.ledger()
	for i := range n {
		body := numbered(i)
		switch there, here := source[body], dead[body]; {
		case there+here == 0:
			s.t.Errorf("%s is lost", body)
		case there > 1 || here > 1:
			s.t.Errorf("%s: %d at the target, %d here", body, there, here)
		case there+here == 2 && !unknown[body]:
			s.t.Errorf("%s is in both, and nobody said so", body)
		}
	}
	return source, dead
}

func (s *redrived) bodyOf() map[string]string {
	out := map[string]string{}
	s.desk.Pile(s.plan.From).Each(func(m ops.Message) bool { out[m.ID] = m.Body; return true })
	return out
}

func TestF1NothingIsDeletedThatWasNotSent(t *testing.T) {
	s := newRedrive(t, 35, false, nil)
	s.strike(sandbox.ResetBefore, "SendMessageBatch", 100)
	r := s.apply(s.plan)
	if r.Sent != 0 || r.Deleted != 0 || len(r.UnknownIDs) != 35 {
		t.Errorf("%+v", r)
	}
	if _, dead := s.accounted(35, r); len(dead) != 35 {
		t.Errorf("%d left", len(dead))
	}
}

func TestF2EachMessageOfABatchHasItsOwnFate(t *testing.T) {
	s := newRedrive(t, 40, false, nil)
	s.strike(sandbox.PartialBatch, "SendMessageBatch", 100)
	r := s.apply(s.plan)
	source, dead := s.accounted(40, r)
	if len(source) != r.Sent || len(dead) != r.Rejected || r.Sent == 0 || r.Rejected == 0 || r.State != ops.Incomplete {
		t.Errorf("%d at the target, %d here: %+v", len(source), len(dead), r)
	}
	for _, x := range r.Rejections {
		if x.Code == "" || x.ID == "" {
			t.Errorf("%+v", x)
		}
	}
}

func TestF3AFailedDeleteIsDoneAgain(t *testing.T) {
	s := newRedrive(t, 60, false, nil)
	s.strike(sandbox.PartialBatch, "DeleteMessageBatch", 50)
	s.strike(sandbox.ResetAfter, "DeleteMessageBatch", 20)
	r := s.apply(s.plan)
	// A delete whose answer was lost each time is done and not confirmed: it is named
	// as pending, for nobody can tell it from one that somebody else holds.
	if r.Sent != 60 || r.Deleted+r.Pending != 60 || r.Pending > 0 && r.State != ops.Incomplete {
		t.Errorf("%+v", r)
	}
	if source, dead := s.accounted(60, r); len(source) != 60 || len(dead) > 0 {
		t.Errorf("%d at the target, %d here: %+v", len(source), len(dead), r)
	}
}

// The sends take longer than the leases, and no lease can be extended: every handle
// is too old when it is time to delete. An old handle answers success and deletes nothing.
func TestF4AnOldHandleIsNotUsed(t *testing.T) {
	s := newRedrive(t, 30, false, func(a *ops.Ask) { a.Pace = ops.Pace{Lease: 8, Workers: 3} })
	s.strike(sandbox.ServerError, "ChangeMessageVisibilityBatch", 100)
	s.AddFault(sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Operation: "SendMessageBatch", Latency: 150 * time.Millisecond, Percent: 50})
	r := s.apply(s.plan)
	source, dead := s.accounted(30, r)
	if len(source) != 30 || len(dead) != 0 || r.State != ops.Finished {
		t.Errorf("%d at the target, %d here: %+v %v", len(source), len(dead), r, r.Problem)
	}
}

// The same while somebody else receives the messages whose leases have ended: our
// handles are not the newest any more, and a delete with one succeeds without effect.
func TestF4AHandleThatSomebodyElseHasOutdatedIsNotUsed(t *testing.T) {
	s := newRedrive(t, 30, false, func(a *ops.Ask) { a.Pace = ops.Pace{Lease: 8, Workers: 3} })
	s.strike(sandbox.ServerError, "ChangeMessageVisibilityBatch", 100)
	s.AddFault(sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Operation: "SendMessageBatch", Latency: 150 * time.Millisecond})
	o := s.startUntil(func(*Operation) bool { // all are on their way
		_, hidden := s.depth(s.dead)
		return hidden == 30
	})
	ctx, stop := context.WithCancel(t.Context())
	var other sync.WaitGroup
	other.Go(func() {
		for ctx.Err() == nil {
			_, err := s.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &s.dead, MaxNumberOfMessages: 10, VisibilityTimeout: 40, WaitTimeSeconds: 1})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	r := o.Wait()
	stop()
	other.Wait()
	source, dead := s.accounted(30, r)
	if len(source) != r.Sent+r.Unknown || r.Sent == 0 || len(dead) < r.Pending {
		t.Errorf("%d at the target, %d here: %+v", len(source), len(dead), r)
	}
}

// heldUp is a network that holds a delete up until its leases have ended and
// somebody else has the messages.
type heldUp struct {
	http.RoundTripper
	once   sync.Once
	before func()
}

func (h *heldUp) Do(r *http.Request) (*http.Response, error) { return h.RoundTrip(r) }

func (h *heldUp) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Amz-Target") == "AmazonSQS.DeleteMessageBatch" {
		h.once.Do(h.before)
	}
	return h.RoundTripper.RoundTrip(r)
}

// The handle was good when the delete was sent and is not when it arrives: SQS
// answers success and deletes nothing. Such an answer is not believed.
func TestF4ADeleteThatArrivesLateIsNotBelieved(t *testing.T) {
	s := newRedrive(t, 10, false, func(a *ops.Ask) { a.Pace = ops.Pace{Lease: 60, Workers: 1} })
	cfg := s.door.Config()
	cfg.HTTPClient = &heldUp{RoundTripper: s.Config().HTTPClient.(*http.Client).Transport, before: func() {
		s.Advance(2 * time.Minute)
		// For longer than the run can look for them, however slow the machine: the clock
		// runs a hundred times faster than the wall's, and twenty seconds were over too soon.
		other, err := s.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &s.dead, MaxNumberOfMessages: 10, VisibilityTimeout: 43200})
		if err != nil || len(other.Messages) != 10 {
			t.Errorf("somebody else has %d messages: %v", len(other.Messages), err)
		}
	}}
	s.desk.once = sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} })
	if r := s.apply(s.plan); r.Sent != 10 || r.Deleted != 0 || len(r.PendingIDs) != 10 {
		t.Errorf("nothing was deleted, and it says: %+v", r)
	}
	s.Advance(12 * time.Hour)
	s.changing(s.desk.o.Journal.Directory())
	o, err := s.desk.Resume(t.Context(), s.plan.ID)
	if err != nil {
		t.Fatal(err)
	}
	r := o.Wait()
	if source, dead := s.ledger(); len(source) != 10 || len(dead) != 0 || r.State != ops.Finished || r.Deleted != 10 {
		t.Errorf("%d at the target, %d here: %+v %v", len(source), len(dead), r, r.Problem)
	}
}

func TestF5LeasesAreExtendedWhileASendTakesLong(t *testing.T) {
	s := newRedrive(t, 30, false, func(a *ops.Ask) { a.Pace = ops.Pace{Lease: 60, Workers: 2} })
	s.AddFault(sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Operation: "SendMessageBatch", Latency: 900 * time.Millisecond, Percent: 30})
	r := s.apply(s.plan)
	if source, dead := s.accounted(30, r); len(source) != 30 || len(dead) != 0 {
		t.Errorf("%d at the target, %d here: %+v", len(source), len(dead), r)
	}
}

func TestF6ALostAnswerIsNeverSentAgain(t *testing.T) {
	s := newRedrive(t, 30, false, nil)
	s.strike(sandbox.ResetAfter, "SendMessageBatch", 100)
	r := s.apply(s.plan)
	if len(r.UnknownIDs) != 30 || r.Deleted != 0 || r.State != ops.Incomplete {
		t.Errorf("%+v", r)
	}
	source, dead := s.accounted(30, r)
	if len(source) != 30 || len(dead) != 30 {
		t.Errorf("%d at the target, %d here", len(source), len(dead))
	}
}

func TestF6OnFIFOALostAnswerIsAskedForAgain(t *testing.T) {
	s := newRedrive(t, 24, true, nil)
	s.strike(sandbox.ResetAfter, "SendMessageBatch", 40)
	r := s.apply(s.plan)
	source, dead := s.accounted(24, r)
	if r.Unknown == 0 && (len(source) != r.Sent || len(dead) != 24-r.Sent) {
		t.Errorf("%d at the target, %d here: %+v", len(source), len(dead), r)
	}
	for body, n := range source {
		if n != 1 {
			t.Errorf("%s arrived %d times", body, n)
		}
	}
}

// Deleting is not allowed half-way: what was sent stays named, and a resume with the
// right deletes it and sends nothing.
func TestF7AResumeDeletesWhatWasSent(t *testing.T) {
	s := newRedrive(t, 50, false, nil)
	s.strike(sandbox.DeniedAction, "DeleteMessageBatch", 100)
	r := s.apply(s.plan)
	if r.State != ops.Broken || r.Problem == nil || len(r.PendingIDs) == 0 || r.Deleted != 0 {
		t.Fatalf("%+v", r)
	}
	before := r.Sent
	open, err := s.desk.Unfinished()
	if err != nil || len(open) != 1 || open[0].ID != s.plan.ID || open[0].Sent != before || open[0].Total != 50 {
		t.Errorf("%+v, %v", open, err)
	}
	s.SetFaults()
	s.changing(s.desk.o.Journal.Directory())
	o, err := s.desk.Resume(t.Context(), s.plan.ID)
	if err != nil {
		t.Fatal(err)
	}
	again := o.Wait()
	if again.State != ops.Finished || again.Deleted != 50 {
		t.Errorf("%+v", again)
	}
	source, dead := s.ledger()
	for i := range 50 {
		if source[numbered(i)] != 1 || dead[numbered(i)] != 0 {
			t.Errorf("%s: %d at the target, %d here", numbered(i), source[numbered(i)], dead[numbered(i)])
		}
	}
	if open, err := s.desk.Unfinished(); err != nil || len(open) != 0 {
		t.Errorf("%+v, %v", open, err)
	}
}

func TestF8WhatWasNotSelectedStays(t *testing.T) {
	s := newRedrive(t, 80, false, func(a *ops.Ask) { a.Select = ops.Selection{Filter: `.order % 4 == 0`} })
	if s.plan.Messages() != 20 {
		t.Fatalf("%d selected", s.plan.Messages())
	}
	o, err := s.desk.Start(t.Context(), s.plan)
	if err != nil {
		t.Fatal(err)
	}
	s.fill(s.dead, 15, func(i int) string { return fmt.Sprintf(`{"order":%d}`, 1000+4*i) }) // new failures that the filter would mean
	r := o.Wait()
	if r.State != ops.Finished || r.Deleted != 20 {
		t.Errorf("%+v", r)
	}
	if visible, hidden := s.depth(s.dead); visible != 75 || hidden != 0 {
		t.Errorf("%d visible, %d in flight: what is not ours was not given back", visible, hidden)
	}
	source, dead := s.ledger()
	if len(source) != 20 || len(dead) != 75 {
		t.Errorf("%d at the target, %d here", len(source), len(dead))
	}
	for body := range source {
		var n int
		if _, err := fmt.Sscanf(body, `{"order":%d}`, &n); err != nil || n%4 != 0 || n >= 1000 {
			t.Errorf("%s was not in the plan", body)
		}
	}
}

func TestF10AFIFOGroupKeepsItsOrder(t *testing.T) {
	for name, kind := range map[string]sandbox.FaultKind{"partial batches": sandbox.PartialBatch, "lost requests": sandbox.ResetBefore, "lost answers": sandbox.ResetAfter, "throttled": sandbox.Throttle} {
		t.Run(name, func(t *testing.T) {
			s := newRedrive(t, 27, true, nil)
			s.strike(kind, "SendMessageBatch", 25)
			s.apply(s.plan)
			s.SetFaults()
			s.Advance(time.Hour)
			next := map[string]int{}
			for _, m := range s.inOrder(s.source) {
				var n int
				if _, err := fmt.Sscanf(aws.ToString(m.Body), `{"order":%d}`, &n); err != nil {
					t.Fatal(err)
				}
				group := m.Attributes[ops.GroupAttribute]
				if group != fmt.Sprintf("group-%d", n%3) {
					t.Errorf("order %d arrived in %s", n, group)
				}
				if n/3 != next[group] {
					t.Errorf("%s: order %d arrived as number %d", group, n, next[group])
				}
				next[group]++
			}
		})
	}
}

// inOrder takes everything out of a queue.
func (b *bench) inOrder(url string) (all []types.Message) {
	b.t.Helper()
	for {
		out, err := b.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 3600,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		if err != nil {
			b.t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return all
		}
		for _, m := range out.Messages {
			all = append(all, m)
			if _, err := b.sqs.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// The target has seen the dead letters' own message ids as deduplication ids a moment
// ago: a redrive that used them would be answered "sent", and nothing would arrive.
func TestF11DeduplicationDoesNotSwallowARedrive(t *testing.T) {
	s := newRedrive(t, 9, true, nil)
	for id, body := range s.bodyOf() {
		_, err := s.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &s.source, MessageBody: &body, MessageGroupId: aws.String("earlier"), MessageDeduplicationId: &id})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.inOrder(s.source) // consumed; the window is still open
	r := s.apply(s.plan)
	if r.State != ops.Finished {
		t.Errorf("%+v", r)
	}
	if got := len(s.inOrder(s.source)); got != 9 {
		t.Errorf("%d of 9 arrived", got)
	}
}

func TestF12NothingPurges(t *testing.T) {
	if _, listed := cloud.OperationOf("SQS", "PurgeQueue"); listed {
		t.Error("the gate lets PurgeQueue pass")
	}
}

func TestF14FalseEmptiesDoNotEndARedrive(t *testing.T) {
	s := newRedrive(t, 90, false, nil)
	s.strike(sandbox.FalseEmpty, "ReceiveMessage", 70)
	s.AddFault(sandbox.Fault{Kind: sandbox.CountLag, Service: "sqs"})
	s.strike(sandbox.ResetAfter, "ReceiveMessage", 10)
	r := s.apply(s.plan)
	if r.State != ops.Finished || r.Deleted != 90 || len(r.MissingIDs) > 0 {
		t.Errorf("%+v", r)
	}
	s.accounted(90, r)
}

func TestAThrottledTargetIsAskedSlower(t *testing.T) {
	s := newRedrive(t, 80, false, nil)
	s.strike(sandbox.Throttle, "SendMessageBatch", 40)
	r := s.apply(s.plan)
	if r.Unknown > 0 || r.Rejected > 0 {
		t.Errorf("%+v", r)
	}
	if source, _ := s.accounted(80, r); len(source) != r.Sent {
		t.Errorf("%d at the target: %+v", len(source), r)
	}
}

func TestATargetThatIsDeletedHalfWay(t *testing.T) {
	s := newRedrive(t, 40, false, func(a *ops.Ask) { a.Pace = ops.Pace{Rate: 1000, Workers: 1} })
	o, err := s.desk.Start(t.Context(), s.plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.sqs.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &s.source}); err != nil {
		t.Fatal(err)
	}
	r := o.Wait()
	if r.State == ops.Broken {
		if r.Problem == nil || r.Problem.Fault != ops.FaultNotFound || len(r.Next) == 0 {
			t.Errorf("%+v, %v", r, r.Problem)
		}
		if r.Rejected+r.Unknown > 0 {
			t.Errorf("a missing queue is not the messages' fault: %+v", r)
		}
	} else if r.Deleted != 40 {
		t.Errorf("%+v", r)
	}
	s.Advance(time.Hour)
	if got := len(s.bodies(s.dead)); got != 40-r.Deleted {
		t.Errorf("%d here, %d deleted", got, r.Deleted)
	}
}

func TestF18OneAtATime(t *testing.T) {
	s := newRedrive(t, 30, false, func(a *ops.Ask) { a.Pace = ops.Pace{Rate: 20, Workers: 1} })
	other := s.bench.plan(ops.Ask{Verb: ops.Redrive, Queue: "work-dlq", Select: ops.Selection{All: true}, To: "queue:work"})
	o, err := s.desk.Start(t.Context(), s.plan)
	if err != nil {
		t.Fatal(err)
	}
	o.Pause()
	refused := func(what string, err error, words ...string) {
		t.Helper()
		if p := ops.AsProblem(err); p == nil || p.Fault != ops.FaultRefused {
			t.Errorf("%s: %v", what, err)
			return
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", what, err, w)
			}
		}
	}
	_, err = s.desk.Start(t.Context(), other)
	refused("a second operation", err, "process")
	_, err = s.desk.Resume(t.Context(), s.plan.ID)
	refused("a resume of what is running", err, "process")
	o.Cancel()
	o.Wait()

	arn := string(s.plan.From)
	s.Advance(time.Minute)
	s.queue("origin", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":3}`, arn)})
	fresh := s.bench.plan(ops.Ask{Verb: ops.Redrive, Queue: "work-dlq", Select: ops.Selection{All: true}, To: "queue:work"})
	if _, err := s.sqs.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: &arn, DestinationArn: aws.String(string(s.plan.To[0].ARN)), MaxNumberOfMessagesPerSecond: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	_, err = s.desk.Start(t.Context(), fresh)
	refused("beside a move task", err, "SQS")
}

func TestASessionThatMayNotChangeBeginsNothing(t *testing.T) {
	s := newRedrive(t, 5, false, nil)
	j := s.desk.o.Journal
	s.reopen(cloud.Peek)
	s.desk.o.Journal = j
	_, err := s.desk.Start(t.Context(), s.plan)
	if p := ops.AsProblem(err); p == nil || p.Fault != ops.FaultRefused || !strings.Contains(p.What, "access") {
		t.Errorf("err = %v", err)
	}
	ids, err := j.Logs()
	if err != nil || len(ids) > 0 {
		t.Errorf("a record was begun: %v, %v", ids, err)
	}
}

func TestACancelFinishesWhatIsInHand(t *testing.T) {
	s := newRedrive(t, 200, false, func(a *ops.Ask) { a.Pace = ops.Pace{Rate: 100, Workers: 2} })
	o := s.startUntil(func(o *Operation) bool { return o.Progress().Deleted > 0 })
	o.Cancel()
	r := o.Wait()
	if r.State != ops.Cancelled || r.Deleted == 0 || r.Deleted == 200 || r.Pending > 0 || r.Unknown > 0 {
		t.Errorf("%+v", r)
	}
	if visible, hidden := s.depth(s.dead); hidden != 0 || visible != 200-r.Deleted {
		t.Errorf("%d visible, %d in flight after %d were deleted", visible, hidden, r.Deleted)
	}
	s.accounted(200, r)
}

// A consumer that fails again: the canary's one message comes back under the id that
// its send was answered with, and nothing more is sent.
func TestF16ACanaryHaltsByItself(t *testing.T) {
	b := redriveBench(t)
	source, dead := b.dead("orders", 60, false)
	plan := b.plan(ops.Ask{Verb: ops.Redrive, Queue: "orders-dlq", Select: ops.Selection{All: true}, Pace: ops.Pace{Canary: true, CanaryWait: 30}})
	ctx, stop := context.WithCancel(t.Context())
	var consumer sync.WaitGroup
	consumer.Go(func() {
		for ctx.Err() == nil { // it receives and never deletes
			_, err := b.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &source, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	r := b.apply(plan)
	stop()
	consumer.Wait()
	if r.State != ops.Halted || r.Sent != 1 || r.Returned != 1 || len(r.ReturnedIDs) != 1 || !slices.ContainsFunc(plan.Manifest, func(e ops.Entry) bool { return e.ID == r.ReturnedIDs[0] }) {
		t.Errorf("%+v", r)
	}
	b.Advance(time.Hour)
	if got := len(b.bodies(dead)); got != 60 {
		t.Errorf("%d here", got)
	}
}

func TestAPlanOfAnotherAccountOrAChangedOneIsRefused(t *testing.T) {
	s := newRedrive(t, 3, false, nil)
	for name, change := range map[string]func(*ops.Plan) bool{
		"a rate that nobody reviewed": func(p *ops.Plan) bool { p.Pace.Rate = 99; return false },
		"another account":             func(p *ops.Plan) bool { p.Account = "999999999999"; return true },
		"another region":              func(p *ops.Plan) bool { p.Region = "us-east-1"; return true },
		"a blocker":                   func(p *ops.Plan) bool { p.Blockers = []string{"no"}; return true },
	} {
		plan := s.plan
		if change(&plan) {
			if err := plan.Seal(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.desk.Start(t.Context(), plan); ops.AsProblem(err) == nil || ops.AsProblem(err).Fault != ops.FaultRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &s.source, Attributes: map[string]string{"MaximumMessageSize": "2048"}}); err != nil {
		t.Fatal(err)
	}
	_, err := s.desk.Start(t.Context(), s.plan)
	if err == nil || !strings.Contains(err.Error(), "MaximumMessageSize") || !strings.Contains(err.Error(), "2048") {
		t.Errorf("drift: %v", err)
	}
	if diff := cmp.Diff(map[string]int{numbered(0): 1, numbered(1): 1, numbered(2): 1}, s.bodies(s.dead)); diff != "" {
		t.Error(diff)
	}
}
