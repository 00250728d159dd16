package ui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"kxops/ops"
)

// deskOfValues is a desk over values: what the console shows must not depend on
// how the work is done.
type deskOfValues struct {
	mu       sync.Mutex
	access   Access
	clock    func() time.Time
	letters  []ops.Letter
	messages map[string]ops.Message
	layers   map[string][]ops.Layer
	looks    int
	opened   int // how often its unfinished operations were asked for
	lookErr  error
	hold     chan struct{} // a look waits for it, when set
	held     int
	releases []string
	asks     []ops.Ask
	planErr  error
	blockers []string
	risk     ops.Risk
	started  []ops.Plan
	op       *operationOfValues
	left     []Unfinished
	resumed  []string
	tasks    []Task
}

// accountWithDesk is a fake account where dead letters can be worked on.
type accountWithDesk struct {
	*fakeAccount
	desk *deskOfValues
	err  error
}

func (a accountWithDesk) Desk(context.Context) (Desk, error) {
	if a.err != nil {
		return nil, a.err
	}
	return a.desk, nil
}

func sampleDesk() *deskOfValues {
	d := &deskOfValues{access: Access{Level: "peek", Peek: true}, clock: func() time.Time { return sampleNow }, messages: map[string]ops.Message{}, layers: map[string][]ops.Layer{}}
	heic := &ops.Cause{Key: "UnsupportedImage-3f2a", Title: "UnsupportedImage: cannot decode photos/<date>/<id>.heic: unknown image format heic", Stated: true,
		Type: "UnsupportedImage", Frame: "image.Decode (/var/task/image.go:27)"}
	eof := &ops.Cause{Key: "UnexpectedEOF-91bc", Title: "UnexpectedEOF: cannot decode photos/<date>/<id>: unexpected EOF after <n> bytes", Stated: true, Type: "UnexpectedEOF"}
	zip := &ops.Cause{Key: "orders-OrderPlaced-77d0", Title: "orders · OrderPlaced · body {customer,items,orderId,shipTo,total}", Origin: "orders", Event: "OrderPlaced"}
	test := &ops.Cause{Key: "s3-test-0001", Title: "s3:TestEvent of click-lake", Origin: "click-lake", Event: "s3:TestEvent"}
	add := func(n int, cause *ops.Cause, hours float64, body func(i int) string) {
		for i := range n {
			id := fmt.Sprintf("%08x-1111-4222-8333-%012x", len(d.letters)*2654435761, len(d.letters))
			sent := sampleNow.Add(-time.Duration(hours*float64(time.Hour)) + time.Duration(i)*time.Minute)
			x := ops.Letter{ID: id, Sent: sent, Seen: sampleNow, Receives: 5, Source: arn("sqs", "orders"), Bytes: 400 + i, Cause: cause, Event: cause.Event,
				Expires: sent.Add(96 * time.Hour), Looks: 1}
			if cause == test {
				x.Harmless = "S3 sends it when a notification is configured"
			}
			d.letters = append(d.letters, x)
			d.put(x, body(i), cause)
		}
	}
	add(31, zip, 90, func(i int) string {
		return fmt.Sprintf(`{"orderId":"A-%06d","customer":"c-%05d","placedAt":"2026-11-22T08:0%d:00Z","currency":"EUR","total":%d.25,"items":[{"sku":"MUG-201","qty":1,"price":14.20}],"shipTo":{"street":"Kanaalweg 14","city":"Utrecht","country":"NL"}}`, 100000+i, i, i%10, i)
	})
	add(7, heic, 40, func(i int) string { return envelope(i, "UnsupportedImage", "unknown image format heic") })
	add(3, eof, 20, func(i int) string { return envelope(i, "UnexpectedEOF", "unexpected EOF after 16384 bytes") })
	add(1, test, 60, func(int) string { return `{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"click-lake"}` })
	slices.SortStableFunc(d.letters, func(a, b ops.Letter) int { return a.Sent.Compare(b.Sent) })
	return d
}

// envelope is a Lambda destination record inside an SNS envelope.
func envelope(i int, kind, message string) string {
	inner := fmt.Sprintf(`{"version":"1.0","timestamp":"2026-11-22T08:00:00Z","requestContext":{"requestId":"r-%d","functionArn":"arn:aws:lambda:eu-west-1:123456789012:function:thumbnails","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"click-lake"},"object":{"key":"photos/2026-11-22/img-%d.heic","size":16384}}}]},"responsePayload":{"errorMessage":%q,"errorType":%q}}`, i, i, message, kind)
	outer, err := json.Marshal(map[string]any{"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:lake-events", "Message": inner})
	if err != nil {
		panic(err)
	}
	return string(outer)
}

func (d *deskOfValues) put(x ops.Letter, body string, cause *ops.Cause) {
	d.messages[x.ID] = ops.Message{
		ID: x.ID, Queue: arn("sqs", "orders-failed"), Body: body, At: sampleNow,
		Attributes: map[string]ops.Attribute{"tenant": {Type: "String", Text: "north"}, "attempt": {Type: "Number", Text: "5"}},
		System: map[string]string{ops.SentAttribute: fmt.Sprint(x.Sent.UnixMilli()), ops.ReceivesAttribute: "5", ops.SourceAttribute: string(x.Source),
			ops.SenderAttribute: "AIDAEXAMPLE", ops.TraceAttribute: "Root=1-67-abc"},
	}
	if !cause.Stated {
		d.layers[x.ID] = []ops.Layer{{Kind: "JSON", Event: cause.Event}}
		return
	}
	var outer struct{ Message string }
	if err := json.Unmarshal([]byte(body), &outer); err != nil {
		panic(err)
	}
	d.layers[x.ID] = []ops.Layer{
		{Kind: "SNS envelope", Facts: []ops.Fact{{Name: "topic", Value: "arn:aws:sns:eu-west-1:123456789012:lake-events"}}, Body: []byte(outer.Message)},
		{Kind: "Lambda destination", Facts: []ops.Fact{{Name: "version", Value: "1.0"}},
			Failure: &ops.Failure{Type: cause.Type, Message: strings.TrimPrefix(cause.Title, cause.Type+": "), Function: arn("lambda", "thumbnails"), RequestID: "r-1",
				Condition: "RetriesExhausted", Attempts: 3, Stack: []string{"image.Decode (/var/task/image.go:27)", "main.handle (/var/task/main.go:19)"}}},
	}
}

func (d *deskOfValues) Access() Access {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.access
}

func (d *deskOfValues) Unlock(_ context.Context, typed string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if typed != d.access.Confirm {
		return errors.New("the name does not match")
	}
	d.access.Level, d.access.Change, d.access.Peek, d.access.Until = "change", true, true, d.clock().Add(10*time.Minute)
	return nil
}

func (d *deskOfValues) Lock() {}

func (d *deskOfValues) Cost(_ ops.Queue, limit int) ops.PeekCost {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(limit, len(d.letters))
	return ops.PeekCost{Messages: n, Lease: 5 * time.Minute, Calls: n/10 + 3, USD: float64(n/10+3) * 4e-7, FromMemory: d.looks >= 2,
		Warnings: []string{"every message's receive count rises by one", "the alarm orders-failed-visible watches this queue: it may clear while you look"}}
}

func (d *deskOfValues) Look(ctx context.Context, _ ops.Queue, limit int, progress func(ops.LookProgress)) (Pile, error) {
	progress(ops.LookProgress{Read: 10, Want: limit, Held: 10, Calls: 1})
	if d.hold != nil {
		select {
		case <-d.hold:
		case <-ctx.Done():
			return &pileOfValues{d, nil}, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lookErr != nil {
		return nil, d.lookErr
	}
	d.looks++
	d.held = min(limit, len(d.letters))
	return &pileOfValues{d, d.letters[:d.held]}, nil
}

func (d *deskOfValues) Release(_ context.Context, q ops.ARN) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = 0
	d.releases = append(d.releases, q.Name())
	return nil
}

func (d *deskOfValues) ReleaseAll(ctx context.Context) error { return d.Release(ctx, "all") }

func (d *deskOfValues) Plan(_ context.Context, ask ops.Ask) (ops.Plan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asks = append(d.asks, ask)
	if d.planErr != nil {
		return ops.Plan{}, d.planErr
	}
	p := ops.Plan{
		Schema: ops.PlanSchema, ID: fmt.Sprintf("20261122-143000-%04d", len(d.asks)), Verb: ask.Verb, Account: "123456789012", Alias: "shop", Region: "eu-west-1", By: "jo", Reason: ask.Reason,
		From: ask.Queue, Select: ask.Select, Pace: ask.Pace, ETA: 12, Calls: 9, USD: 0.0000036, Risk: d.risk, Confirm: ask.Queue.Name(), Blockers: d.blockers,
		To:         []ops.Target{{ARN: arn("sqs", "orders"), Kind: ops.KindQueue}},
		Changes:    []ops.Fact{{Name: "MessageId", Value: "a new one; the journal keeps both"}, {Name: "SentTimestamp", Value: "starts again: retention counts from the redrive"}},
		CannotUndo: []string{"a message that the consumer has taken is not taken back"},
		Warnings:   []string{"the newest failure is 20h old and order-worker was last changed 3h ago: the fix may be out"},
		Steps: []ops.Step{{Text: "receive, record, send to orders, record, then delete here", Command: "aws sqs send-message-batch --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/orders --entries file://batch.json"},
			{Text: "watch 60s for messages that come back"}},
		Facts: []ops.Fact{{Name: "orders", Value: "standard, 1 MiB, order-worker enabled"}, {Name: "move tasks", Value: "none is running"}},
	}
	if to, ok := strings.CutPrefix(ask.To, "queue:"); ok {
		p.To[0].ARN = arn("sqs", to)
	}
	if ask.Verb == ops.Retention {
		p.Value, p.To = fmt.Sprint(int(ask.Keep.Seconds())), nil
	}
	for _, x := range d.letters {
		if ask.Select.All || slices.Contains(ask.Select.IDs, x.ID) || ask.Select.Cause == x.Cause.Key {
			p.Manifest = append(p.Manifest, ops.Entry{ID: x.ID, Sent: x.Sent})
		}
	}
	if len(p.To) > 0 {
		p.To[0].Count = len(p.Manifest)
	}
	return p, p.Seal()
}

func (d *deskOfValues) Start(_ context.Context, plan ops.Plan) (Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := plan.Check(); err != nil {
		return nil, err
	}
	d.started = append(d.started, plan)
	d.op = newOperationOfValues(plan)
	return d.op, nil
}

func (d *deskOfValues) Unfinished(context.Context) ([]Unfinished, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	return d.left, nil
}

func (d *deskOfValues) Resume(_ context.Context, id string) (Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resumed = append(d.resumed, id)
	d.op = newOperationOfValues(ops.Plan{ID: id, Verb: ops.Redrive, From: arn("sqs", "orders-failed"), Manifest: make([]ops.Entry, 31)})
	return d.op, nil
}

func (d *deskOfValues) Tasks(context.Context, ops.Queue) ([]Task, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.tasks), nil
}

func (d *deskOfValues) CancelTask(context.Context, ops.Queue) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.tasks {
		if d.tasks[i].Running() {
			d.tasks[i].Status = "CANCELLED"
			return d.tasks[i].Moved, nil
		}
	}
	return 0, errors.New("no task is running")
}

func (d *deskOfValues) Resolve(_ context.Context, p ops.Pointer) (PointerData, error) {
	return PointerData{TrimsAt: sampleNow.Add(3 * time.Hour)}, nil
}

func (d *deskOfValues) Fetch(_ context.Context, p ops.Pointer) (PointerData, error) {
	return PointerData{TrimsAt: sampleNow.Add(3 * time.Hour), Complete: true, Records: []Record{
		{Sequence: "4901", Key: "c-1", At: sampleNow.Add(-time.Hour), Data: []byte(`{"amount":12}`)},
		{Sequence: "4902", Key: "c-2", At: sampleNow.Add(-time.Hour), Data: []byte(`{"amount":null}`)},
	}}, nil
}

func (d *deskOfValues) Poison(_ context.Context, p ops.Pointer, say func(string)) (Record, error) {
	say("2 records: the second half fails")
	return Record{Sequence: "4902", Key: "c-2", Data: []byte(`{"amount":null}`)}, nil
}

func (d *deskOfValues) Draft(m ops.Message) ([]byte, error) { return []byte(m.Body), nil }

func (d *deskOfValues) Edited(m ops.Message, text []byte) (ops.Message, error) {
	if !json.Valid(text) {
		return m, errors.New("line 1: no JSON any more")
	}
	m.Body = string(text)
	return m, nil
}

// pileOfValues is one look.
type pileOfValues struct {
	d       *deskOfValues
	letters []ops.Letter
}

func (p *pileOfValues) Letters() []ops.Letter { return p.letters }

func (p *pileOfValues) Groups(letters []ops.Letter) []ops.CauseGroup {
	var out []ops.CauseGroup
	at := map[string]int{}
	for _, x := range letters {
		i, ok := at[x.Cause.Key]
		if !ok {
			i = len(out)
			at[x.Cause.Key] = i
			out = append(out, ops.CauseGroup{Cause: *x.Cause, FirstSent: x.Sent, FirstLoss: x.Expires, Sources: []ops.ARN{x.Source}, Sample: x.ID})
		}
		g := &out[i]
		g.Count++
		g.Distinct++
		g.LastSent = x.Sent
		if x.Harmless != "" {
			g.Harmless++
		}
	}
	slices.SortStableFunc(out, func(a, b ops.CauseGroup) int { return b.Count - a.Count })
	return out
}

func (p *pileOfValues) Match(filter string) (func(ops.Letter) bool, error) {
	if expression, ok := strings.CutPrefix(filter, "jq:"); ok && strings.HasSuffix(expression, "(") {
		return nil, errors.New("jq: unexpected end at position 9")
	} else if ok {
		return func(ops.Letter) bool { return true }, nil
	}
	return func(x ops.Letter) bool { return strings.Contains(p.d.messages[x.ID].Body, filter) }, nil
}

func (p *pileOfValues) Message(id string) (ops.Message, []ops.Layer, bool) {
	m, ok := p.d.messages[id]
	return m, p.d.layers[id], ok
}

func (p *pileOfValues) Held() (int, time.Time) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	return p.d.held, sampleNow.Add(4*time.Minute + 32*time.Second)
}

func (p *pileOfValues) At() time.Time { return sampleNow.Add(-28 * time.Second) }

func (p *pileOfValues) Missed() string { return "" }

// operationOfValues gets on when the test says so.
type operationOfValues struct {
	mu       sync.Mutex
	p        ops.Progress
	result   ops.Result
	done     chan struct{}
	canceled bool
}

func newOperationOfValues(plan ops.Plan) *operationOfValues {
	return &operationOfValues{done: make(chan struct{}), p: ops.Progress{
		ID: plan.ID, Verb: plan.Verb, From: plan.From, State: ops.Running, Stage: "canary 1 of " + fmt.Sprint(plan.Messages()), Total: plan.Messages(), Started: sampleNow,
		Depth: ops.Know(118, sampleNow), ETA: ops.Know(12, sampleNow), Rate: 42.5,
	}}
}

func (o *operationOfValues) Progress() ops.Progress {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.p
}

func (o *operationOfValues) set(change func(*ops.Progress)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(&o.p)
}

func (o *operationOfValues) Pause()    { o.set(func(p *ops.Progress) { p.State = ops.Paused }) }
func (o *operationOfValues) Continue() { o.set(func(p *ops.Progress) { p.State = ops.Running }) }

func (o *operationOfValues) Cancel() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.canceled && !o.p.State.Over() {
		o.canceled = true
		o.p.State = ops.Cancelled
		o.result = ops.Result{Progress: o.p}
		close(o.done)
	}
}

func (o *operationOfValues) end(r ops.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.p, o.result = r.Progress, r
	close(o.done)
}

func (o *operationOfValues) Done() <-chan struct{} { return o.done }

func (o *operationOfValues) Wait() ops.Result {
	<-o.done
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.result
}

func deskOptions(d *deskOfValues) Options {
	o := sampleOptions(&fakeAccount{snapshot: sampleSnapshot()})
	o.Backend = accountWithDesk{fakeAccount: o.Backend.(*fakeAccount), desk: d}
	return o
}
