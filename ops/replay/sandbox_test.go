package replay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// world is a sandbox with a desk in it. Its clients are not the desk's: they are the
// test's own eyes.
type world struct {
	*testing.T
	sb   *sandbox.Sandbox
	desk *Desk

	kinesis  *kinesis.Client
	firehose *firehose.Client
	s3       *s3.Client
	sqs      *sqs.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Start: time.Date(2026, 11, 17, 23, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	cfg := sb.Config()
	w := &world{T: t, sb: sb, kinesis: kinesis.NewFromConfig(cfg), firehose: firehose.NewFromConfig(cfg), sqs: sqs.NewFromConfig(cfg),
		s3: s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })}
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &cfg, NoQuotas: true, Access: cloud.Change})
	w.must(err)
	j, err := journal.Open(t.TempDir())
	w.must(err)
	w.desk = New(Options{Config: door.Config(), Identity: ops.Identity{Account: sandbox.Account, Region: sandbox.HomeRegion}, Journal: j, Now: sb.Now, Explain: door.Explain})
	w.desk.polls = 500
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// ticking lets the clock run a hundred times faster until the test ends.
func (w *world) ticking() {
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
				w.sb.Advance(200 * time.Millisecond)
			}
		}
	})
	w.Cleanup(func() { cancel(); clock.Wait() })
}

func (w *world) bucket(name string) {
	w.Helper()
	_, err := w.s3.CreateBucket(w.Context(), &s3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: sandbox.HomeRegion}})
	w.must(err)
}

func (w *world) stream(name string, shards int32) {
	w.Helper()
	_, err := w.kinesis.CreateStream(w.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	w.must(err)
	w.sb.Advance(time.Minute)
}

// put puts one event; it returns its body.
func (w *world) put(stream, key string, n int) string {
	w.Helper()
	body := fmt.Sprintf(`{"customer":%q,"n":%d}`, key, n)
	_, err := w.kinesis.PutRecord(w.Context(), &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: &key, Data: []byte(body)})
	w.must(err)
	return body
}

func (w *world) queue(name string) (url string) {
	w.Helper()
	in := &sqs.CreateQueueInput{QueueName: &name}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoQueue": "true"}
	}
	out, err := w.sqs.CreateQueue(w.Context(), in)
	w.must(err)
	return *out.QueueUrl
}

// drain takes everything out of a queue, in the order in which it comes.
func (w *world) drain(url string) (bodies []string, marks []map[string]string) {
	w.Helper()
	for empty := 0; empty < 3; {
		out, err := w.sqs.ReceiveMessage(w.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 600, MessageAttributeNames: []string{"All"}})
		w.must(err)
		if len(out.Messages) == 0 {
			empty++
			continue
		}
		for _, m := range out.Messages {
			bodies = append(bodies, *m.Body)
			of := map[string]string{}
			for name, v := range m.MessageAttributes {
				of[name] = aws.ToString(v.StringValue)
			}
			marks = append(marks, of)
			_, err := w.sqs.DeleteMessage(w.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
			w.must(err)
		}
	}
	return bodies, marks
}

// shelved reads a stream whole, by its own client: bodies by key, in the order of their
// sequence numbers, parents before children.
func (w *world) shelved(stream string) map[string][]string {
	w.Helper()
	out, err := w.kinesis.ListShards(w.Context(), &kinesis.ListShardsInput{StreamName: &stream})
	w.must(err)
	got := map[string][]string{}
	for _, sh := range out.Shards {
		it, err := w.kinesis.GetShardIterator(w.Context(), &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: sh.ShardId, ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon})
		w.must(err)
		for next := it.ShardIterator; next != nil; {
			page, err := w.kinesis.GetRecords(w.Context(), &kinesis.GetRecordsInput{ShardIterator: next})
			w.must(err)
			for _, r := range page.Records {
				got[*r.PartitionKey] = append(got[*r.PartitionKey], string(r.Data))
			}
			if len(page.Records) == 0 && aws.ToInt64(page.MillisBehindLatest) == 0 {
				break
			}
			next = page.NextShardIterator
		}
	}
	return got
}

func (w *world) plan(ask ops.ReplayAsk) ops.ReplayPlan {
	w.Helper()
	plan := planOf(w, w.desk, ask)
	if len(plan.Blockers) > 0 {
		w.Fatalf("blockers %q", plan.Blockers)
	}
	return plan
}

func (w *world) proven(id string) {
	w.Helper()
	proof, err := w.desk.Verify(w.Context(), id)
	w.must(err)
	for _, c := range proof.Checks {
		if !c.Holds {
			w.Errorf("%s: %s", c.What, c.Says)
		}
	}
}

func sorted(s []string) []string { s = slices.Clone(s); slices.Sort(s); return s }

// The support request: what a customer did, out of the archive, to a queue, with marks
// and with proof.
func TestACustomersEventsOutOfTheArchive(t *testing.T) {
	w := newWorld(t)
	w.bucket("events")
	_, err := w.firehose.CreateDeliveryStream(t.Context(), &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("orders"),
		ExtendedS3DestinationConfiguration: &firehosetypes.ExtendedS3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::events"), RoleARN: aws.String("arn:aws:iam::" + sandbox.Account + ":role/firehose"),
			Prefix: aws.String("orders/"), BufferingHints: &firehosetypes.BufferingHints{IntervalInSeconds: aws.Int32(60), SizeInMBs: aws.Int32(1)}, CompressionFormat: firehosetypes.CompressionFormatGzip}})
	w.must(err)
	w.sb.Advance(5 * time.Minute)
	var want []string
	var from, to time.Time
	for hour := range 5 { // over midnight
		for i := range 30 {
			customer := []string{"4711", "4712", "4713"}[i%3]
			body := fmt.Sprintf(`{"customer_id":%q,"hour":%d,"n":%d}`, customer, hour, i)
			_, err := w.firehose.PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: aws.String("orders"), Record: &firehosetypes.Record{Data: []byte(body)}})
			w.must(err)
			if customer == "4712" && (hour == 1 || hour == 2) {
				want = append(want, body)
			}
		}
		switch hour {
		case 0:
			from = w.sb.Now().Add(2 * time.Minute)
		case 2:
			to = w.sb.Now().Add(2 * time.Minute)
		}
		w.sb.Advance(time.Hour)
	}
	url := w.queue("again")
	ask := ops.ReplayAsk{From: "delivery:orders", To: "queue:again", Select: ops.ReplaySelect{Since: from, Until: to, Filter: `.customer_id == "4712"`}, Map: ops.ReplayMap{Key: ".customer_id"}, Canary: -1}
	plan := w.plan(ask)
	if len(plan.Parts) == 0 || len(plan.Parts) > 3 {
		t.Errorf("%d objects for two hours", len(plan.Parts))
	}
	r := started(t, w.desk, plan).Wait()
	if r.State != ops.Finished || r.Counts.Sent != int64(len(want)) {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	bodies, marks := w.drain(url)
	if diff := cmp.Diff(sorted(want), sorted(bodies)); diff != "" {
		t.Error(diff)
	}
	if m := marks[0]; m[markReplay] != plan.ID || m[markSource] == "" || m[markHop] != "1" {
		t.Errorf("marks %v", m)
	}
	w.proven(plan.ID)

	// Again, without what was sent: nothing is left, and the plan says so.
	ask.Select.Except = plan.ID
	if rest := planOf(t, w.desk, ask); len(rest.Blockers) != 1 || !strings.Contains(rest.Blockers[0], "nothing is selected") {
		t.Errorf("blockers %q", rest.Blockers)
	}
	// The same by the bucket's name, to a FIFO queue.
	fifo := w.queue("again.fifo")
	ask.Select.Except, ask.From, ask.To = "", "archive:events/orders/", "queue:again.fifo"
	plan = w.plan(ask)
	if r := started(t, w.desk, plan).Wait(); r.State != ops.Finished {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	if bodies, _ := w.drain(fifo); !cmp.Equal(want, bodies) {
		t.Errorf("in order: %s", cmp.Diff(want, bodies))
	}
}

// An object that is not what it was, or gone, stops the replay: nothing else is sent in
// its place. What is Glacier's is said before.
func TestAnArchiveThatChangesStopsTheReplay(t *testing.T) {
	w := newWorld(t)
	w.bucket("events")
	store := func(key, body string) {
		_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("events"), Key: &key, Body: strings.NewReader(body)})
		w.must(err)
	}
	store("a", "{\"n\":1}\n")
	w.queue("again")
	plan := w.plan(ops.ReplayAsk{From: "archive:events/", To: "queue:again"})
	store("a", "{\"n\":2}\n")
	r := started(t, w.desk, plan).Wait()
	if r.State != ops.Broken || r.Counts.Sent != 0 || r.Problem == nil || !strings.Contains(r.Problem.What, "has changed since the plan") {
		t.Errorf("%+v %v", r, r.Problem)
	}
	if plan := planOf(t, w.desk, ops.ReplayAsk{From: "archive:events/none/", To: "queue:again"}); len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "no object") {
		t.Errorf("%q", plan.Blockers)
	}
}

// A stream that was split and merged, and is split again while it is read, with
// throttles, lost answers and partial failures on the way to another stream: everything
// of the window arrives, each key in its order.
func TestAStreamThatIsReshardedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.desk.page = 40
	w.stream("orders", 2)
	w.stream("again", 3)
	want := map[string][]string{}
	n := 0
	some := func(keep bool) {
		for range 60 {
			key := fmt.Sprintf("c%d", n%7)
			if body := w.put("orders", key, n); keep {
				want[key] = append(want[key], body)
			}
			if n++; n%10 == 0 {
				w.sb.Advance(time.Second)
			}
		}
	}
	split := func(shard, hash string) {
		_, err := w.kinesis.SplitShard(w.Context(), &kinesis.SplitShardInput{StreamName: aws.String("orders"), ShardToSplit: &shard, NewStartingHashKey: &hash})
		w.must(err)
		w.sb.Advance(time.Minute)
	}
	some(false)
	w.sb.Advance(10 * time.Minute)
	since := w.sb.Now()
	w.sb.Advance(time.Minute)
	some(true)
	split("shardId-000000000000", "85070591730234615865843651857942052864")
	some(true)
	w.sb.Advance(time.Minute)
	until := w.sb.Now()
	w.sb.Advance(10 * time.Minute)
	some(false)
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "stream:again", Select: ops.ReplaySelect{Since: since, Until: until}, Lanes: 4})
	if len(plan.Parts) != 4 {
		t.Errorf("%d shards", len(plan.Parts))
	}
	w.sb.SetFaults(
		sandbox.Fault{Kind: sandbox.Throttle, Service: "kinesis", Operation: "GetRecords", Percent: 10},
		sandbox.Fault{Kind: sandbox.PartialBatch, Service: "kinesis", Operation: "PutRecords", Percent: 30},
		sandbox.Fault{Kind: sandbox.Throttle, Service: "kinesis", Operation: "PutRecords", Percent: 10},
	)
	w.ticking()
	o := started(t, w.desk, plan)
	split("shardId-000000000001", "255211775190703847597530955573826158592")
	r := o.Wait()
	w.sb.SetFaults()
	if r.State != ops.Finished || r.Counts.Sent != 120 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	if diff := cmp.Diff(want, w.shelved("again")); diff != "" && r.Bound == 0 {
		t.Error(diff)
	}
	w.proven(plan.ID)
}

// Lost answers are sent again, and counted: nothing is missing, and no more is there
// twice than is said.
func TestLostAnswersAreSentAgainAndCounted(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	var want []string
	for n := range 200 {
		want = append(want, w.put("orders", fmt.Sprintf("c%d", n%9), n))
	}
	w.sb.Advance(10 * time.Minute)
	url := w.queue("again")
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Lanes: 3})
	w.sb.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "sqs", Operation: "SendMessageBatch", Percent: 10}) // five in a row would end it: one run in thousands
	w.ticking()
	r := started(t, w.desk, plan).Wait()
	w.sb.SetFaults()
	if r.State != ops.Finished || r.Counts.Sent != 200 || r.Bound == 0 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	bodies, _ := w.drain(url)
	seen := map[string]int{}
	for _, b := range bodies {
		seen[b]++
	}
	for _, b := range want {
		if seen[b] == 0 {
			t.Errorf("%s is missing", b)
		}
	}
	if more := int64(len(bodies) - len(seen)); len(seen) != len(want) || more > r.Bound {
		t.Errorf("%d kinds, %d more, and it says at most %d", len(seen), more, r.Bound)
	}
	w.proven(plan.ID)
}

// Arrival times of a shard are not in order: a record of the window may lie behind one
// that arrived after its end. It is not left out.
func TestAWindowEndsWhereArrivalTimesAreMixed(t *testing.T) {
	w := newWorld(t)
	w.desk.page = 1
	w.stream("orders", 1)
	for n := range 60 {
		w.put("orders", "c", n)
		w.sb.Advance(time.Millisecond)
	}
	w.sb.Advance(10 * time.Minute)
	it, err := w.kinesis.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("orders"), ShardId: aws.String("shardId-000000000000"), ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon})
	w.must(err)
	page, err := w.kinesis.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	w.must(err)
	var until time.Time // between a record and one before it
	for i := 1; i < len(page.Records); i++ {
		if before := page.Records[i-1].ApproximateArrivalTimestamp; page.Records[i].ApproximateArrivalTimestamp.Before(*before) {
			until = *before
		}
	}
	if until.IsZero() {
		t.Fatal("the arrival times are in order: this tests nothing")
	}
	want := 0
	for _, r := range page.Records {
		if r.ApproximateArrivalTimestamp.Before(until) {
			want++
		}
	}
	w.ticking()
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "null:", Select: ops.ReplaySelect{Until: until}})
	if r := started(t, w.desk, plan).Wait(); r.Counts.Sent != int64(want) {
		t.Errorf("%d sent, %d lie in the window: %+v", r.Counts.Sent, want, r.Counts)
	}
}

// A shard takes 1,000 records a second: what it refuses for that is sent again, later,
// and nothing is parked or out of order.
func TestAShardThatIsFull(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 4)
	w.stream("again", 1)
	want := map[string][]string{}
	for n := range 2500 {
		key := fmt.Sprintf("c%d", n%500)
		want[key] = append(want[key], w.put("orders", key, n))
		if n%500 == 0 {
			w.sb.Advance(time.Second)
		}
	}
	w.sb.Advance(10 * time.Minute)
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "stream:again", Lanes: 4, Select: ops.ReplaySelect{Until: w.sb.Now().Add(-2 * time.Minute)}})
	slowed := int64(0)
	o := started(t, w.desk, plan)
	for slowed == 0 { // the clock stands: the shard takes 1,000 records and then no more
		select {
		case <-o.Done():
			t.Fatalf("%+v", o.Wait())
		case <-time.After(5 * time.Millisecond):
		}
		for _, l := range o.Progress().Lanes {
			slowed += l.Throttle
		}
	}
	w.ticking()
	r := o.Wait()
	if r.State != ops.Finished || r.Counts.Sent != 2500 || r.Bound != 0 || slowed == 0 {
		t.Fatalf("%+v %v, slowed %d times", r.Counts, r.Problem, slowed)
	}
	if diff := cmp.Diff(want, w.shelved("again")); diff != "" {
		t.Error(diff)
	}
}

// A window that the stream no longer has is refused, and one that it has in part says
// which part is gone.
func TestAWindowOutsideOfTheRetention(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	w.queue("again")
	w.put("orders", "c", 1)
	w.sb.Advance(48 * time.Hour)
	now := w.sb.Now()
	ask := ops.ReplayAsk{From: "stream:orders", To: "queue:again", Select: ops.ReplaySelect{Since: now.Add(-48 * time.Hour), Until: now.Add(-30 * time.Hour)}}
	if plan := planOf(t, w.desk, ask); len(plan.Blockers) == 0 || !strings.Contains(plan.Blockers[0], "is gone") {
		t.Errorf("%q", plan.Blockers)
	}
	w.put("orders", "c", 2)
	w.sb.Advance(time.Minute)
	ask.Select.Until = time.Time{}
	plan := w.plan(ask)
	if !strings.Contains(strings.Join(plan.Warnings, "\n"), "2026-11-17 23:01 UTC to 2026-11-18 23:02 UTC (1d)") {
		t.Errorf("%q", plan.Warnings)
	}
}

// What a target cannot take is parked whole, with the reason; the file of parked records
// is a source, and its records keep their ids and keys.
func TestWhatIsParkedCanBeReplayed(t *testing.T) {
	w := newWorld(t)
	w.bucket("events")
	lines := []string{`{"customer":"a","n":1}`, "no json", `{"customer":"b","n":2}`, "{\"customer\":\"c\",\"n\":3,\"big\":\"" + strings.Repeat("x", 1<<20) + "\"}"}
	_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("events"), Key: aws.String("in"), Body: strings.NewReader(strings.Join(lines, "\n"))})
	w.must(err)
	url := w.queue("again")
	plan := w.plan(ops.ReplayAsk{From: "archive:events/", To: "queue:again", Map: ops.ReplayMap{Key: ".customer"}})
	if !strings.Contains(strings.Join(plan.Warnings, "\n"), "1 of 3 records that were tried would be parked") {
		t.Errorf("%q", plan.Warnings)
	}
	r := started(t, w.desk, plan).Wait()
	if r.State != ops.Incomplete || r.Counts.Sent != 2 || r.Counts.Parked != 1 || r.Counts.Broken != 1 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	w.proven(plan.ID)
	if bodies, _ := w.drain(url); !cmp.Equal(sorted(bodies), sorted([]string{lines[0], lines[2]})) {
		t.Errorf("%q", bodies)
	}
	parked := "file:" + filepath.Join(r.Receipts, parkedName)
	if plan := planOf(t, w.desk, ops.ReplayAsk{From: parked, To: "queue:again"}); len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "1 of them would be parked") {
		t.Errorf("%q", plan.Blockers)
	}
	// Made smaller, it goes.
	plan = w.plan(ops.ReplayAsk{From: parked, To: "queue:again", Map: ops.ReplayMap{Body: `del(.big)`}})
	if r := started(t, w.desk, plan).Wait(); r.State != ops.Finished {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	bodies, marks := w.drain(url)
	if !cmp.Equal(bodies, []string{`{"customer":"c","n":3}`}) || marks[0][markSource] == "" {
		t.Errorf("%d bodies %v", len(bodies), marks)
	}
}

// A dead-letter queue behind the target that grows halts the replay after the canary;
// the rest is not sent, and resuming sends it.
func TestAGrowingDeadLetterQueueHaltsTheReplay(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	for n := range 300 {
		w.put("orders", "c", n)
	}
	w.sb.Advance(10 * time.Minute)
	url, dead := w.queue("again"), w.queue("again-dlq")
	arn := func(name string) ops.ARN {
		return ops.ARN("arn:aws:sqs:" + sandbox.HomeRegion + ":" + sandbox.Account + ":" + name)
	}
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Order: OrderNone, Links: []ops.Link{{From: arn("again"), To: arn("again-dlq"), Kind: ops.LinkDeadLetter}}})
	if plan.Pace.Canary != canaryRecords || len(plan.Guards) != 1 {
		t.Fatalf("%+v %+v", plan.Pace, plan.Guards)
	}
	for range 2 {
		in := &sqs.SendMessageBatchInput{QueueUrl: &dead}
		for i := range 10 {
			in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String("failed")})
		}
		_, err := w.sqs.SendMessageBatch(t.Context(), in)
		w.must(err)
	}
	w.ticking()
	r := started(t, w.desk, plan).Wait()
	if r.State != ops.Halted || r.Counts.Sent > canaryRecords || r.Counts.Sent < canaryRecords-10 || !strings.Contains(r.Note, "again-dlq grew from 0 to 20") {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	_, err := w.sqs.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &dead})
	w.must(err)
	w.sb.Advance(2 * time.Minute)
	o, err := w.desk.Resume(t.Context(), plan.ID)
	w.must(err)
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != 300 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	if bodies, _ := w.drain(url); len(bodies) != 300 {
		t.Errorf("%d at the target", len(bodies))
	}
	w.proven(plan.ID)
}

// Another process tells a running replay to pause, or ends one for good.
func TestAReplayIsToldToPauseAndToEnd(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	for n := range 200 {
		w.put("orders", "c", n)
	}
	w.sb.Advance(10 * time.Minute)
	w.queue("again")
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Rate: 20})
	o := started(t, w.desk, plan)
	other := New(w.desk.o)
	if past, err := other.Show(plan.ID); err != nil || !past.Running {
		t.Errorf("%+v %v", past.Progress, err)
	}
	w.must(other.Tell(plan.ID, false))
	r := o.Wait()
	if r.State != ops.Paused || r.Counts.Sent == 200 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	if proof, err := other.Verify(t.Context(), plan.ID); err != nil || !proof.Holds() || len(proof.NotChecked) == 0 || !strings.Contains(proof.NotChecked[0], "not over (paused)") {
		t.Errorf("what is half done is neither proven nor disproven: %+v %v", proof, err)
	}
	if err := other.Tell(plan.ID, false); ops.AsProblem(err) == nil {
		t.Error("what does not run was paused")
	}
	w.must(other.Tell(plan.ID, true))
	if _, err := w.desk.Resume(t.Context(), plan.ID); err == nil || !strings.Contains(err.Error(), "is over") {
		t.Errorf("%v", err)
	}
	past, err := other.Past()
	if err != nil || len(past) != 1 || past[0].Progress.State != ops.Cancelled {
		t.Errorf("%+v %v", past, err)
	}
}

// Credentials that run out, and rights that are taken away, stop the replay and nothing
// is parked for it: with new ones it goes on, and sends nothing twice.
func TestCredentialsThatExpireStopTheReplay(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	for n := range 300 {
		w.put("orders", fmt.Sprintf("c%d", n%5), n)
	}
	w.sb.Advance(10 * time.Minute)
	url := w.queue("again")
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Rate: 400, Select: ops.ReplaySelect{Until: w.sb.Now().Add(-2 * time.Minute)}})
	w.ticking()
	o := started(t, w.desk, plan)
	for _, kind := range []sandbox.FaultKind{sandbox.Expired, sandbox.DeniedAction} {
		sent := o.Progress().Counts.Sent
		for o.Progress().Counts.Sent <= sent {
			select {
			case <-o.Done():
				t.Fatalf("%+v", o.Wait())
			case <-time.After(5 * time.Millisecond):
			}
		}
		w.sb.SetFaults(sandbox.Fault{Kind: kind, Service: "sqs", Operation: "SendMessageBatch", Percent: 100})
		r := o.Wait()
		if r.State != ops.Broken || r.Problem == nil || r.Counts.Parked != 0 || r.Counts.Sent == 300 {
			t.Fatalf("%s: %+v %v", kind, r, r.Problem)
		}
		w.sb.SetFaults()
		var err error
		o, err = w.desk.Resume(t.Context(), plan.ID)
		w.must(err)
	}
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != 300 || r.Bound != 0 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	if bodies, _ := w.drain(url); len(bodies) != 300 {
		t.Errorf("%d at the queue", len(bodies))
	}
	w.proven(plan.ID)
}

// A disk that is full stops the replay before its receipts are lost.
func TestAFullDiskStopsTheReplay(t *testing.T) {
	on(t, &tape{parts: 1, pages: 20, records: 50, keys: 3}, &shelf{random: rand.New(rand.NewPCG(1, 1))})
	d := testDesk(t)
	plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y"})
	w := &world{T: t, desk: d}
	full := errors.New("no space left on device")
	d.disk = func(f *os.File) error { return full }
	r := started(t, d, plan).Wait()
	if r.State != ops.Broken || !errors.Is(r.Problem, full) {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	d.disk = nil
	o, err := d.Resume(t.Context(), plan.ID)
	w.must(err)
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != r.Counts.Matched {
		t.Fatalf("%+v %v", r, r.Problem)
	}
}
