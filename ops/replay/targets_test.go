package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// events puts events into a stream and lets them be past.
func (w *world) events(n int) (bodies []string) {
	w.Helper()
	w.stream("orders", 2)
	for i := range n {
		bodies = append(bodies, w.put("orders", fmt.Sprintf("c%d", i%5), i))
	}
	w.sb.Advance(10 * time.Minute)
	return bodies
}

func (w *world) replayed(ask ops.ReplayAsk, want ops.RunState) ops.ReplayResult {
	w.Helper()
	plan := w.plan(ask)
	w.ticking()
	r := started(w, w.desk, plan).Wait()
	if r.State != want {
		w.Fatalf("%+v %v", r, r.Problem)
	}
	w.proven(plan.ID)
	return r
}

// Each subscriber of a topic gets each event, with its marks.
func TestATopicTakesEvents(t *testing.T) {
	w := newWorld(t)
	want := w.events(57)
	topics := sns.NewFromConfig(w.sb.Config())
	made, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("again")})
	w.must(err)
	url := w.queue("subscriber")
	_, err = topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("sqs"),
		Endpoint: aws.String("arn:aws:sqs:" + sandbox.HomeRegion + ":" + sandbox.Account + ":subscriber"), Attributes: map[string]string{"RawMessageDelivery": "true"}})
	w.must(err)
	r := w.replayed(ops.ReplayAsk{From: "stream:orders", To: "topic:again"}, ops.Finished)
	bodies, marks := w.drain(url)
	if diff := cmp.Diff(sorted(want), sorted(bodies)); diff != "" || marks[0][markReplay] != r.ID {
		t.Errorf("%s %v", diff, marks[0])
	}
}

// A function is called with each event and its answer awaited; what it fails on is
// parked, and the rest goes on.
func TestAFunctionTakesEvents(t *testing.T) {
	w := newWorld(t)
	want := w.events(40)
	_, err := lambda.NewFromConfig(w.sb.Config()).CreateFunction(t.Context(), &lambda.CreateFunctionInput{FunctionName: aws.String("again"), Role: aws.String("arn:aws:iam::" + sandbox.Account + ":role/again"),
		Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Code: &lambdatypes.FunctionCode{ZipFile: []byte("zip")}})
	w.must(err)
	var mu sync.Mutex
	var got []string
	w.sb.Handler("again", func(_ context.Context, event []byte) ([]byte, error) {
		var e struct{ N int }
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		if e.N == 13 {
			return nil, &sandbox.FunctionError{Type: "Unlucky"}
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(event))
		return []byte("null"), nil
	})
	r := w.replayed(ops.ReplayAsk{From: "stream:orders", To: "function:again"}, ops.Incomplete)
	if r.Counts.Parked != 1 || r.Counts.Sent != 39 {
		t.Errorf("%+v", r.Counts)
	}
	if diff := cmp.Diff(sorted(slices.Delete(slices.Clone(want), 13, 14)), sorted(got)); diff != "" {
		t.Error(diff)
	}
	if err := eachParked(r.Receipts, func(p parkedRecord) error {
		if string(p.Data) != want[13] || !strings.Contains(p.Why, "Unlucky") {
			t.Errorf("parked %s: %s", p.Data, p.Why)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// A function that is not awaited gets each event, and one on which it fails counts as sent:
// the plan says that a receipt is not more than that. Only a function is asked so.
func TestAFunctionThatIsNotAwaited(t *testing.T) {
	w := newWorld(t)
	want := w.events(20)
	_, err := lambda.NewFromConfig(w.sb.Config()).CreateFunction(t.Context(), &lambda.CreateFunctionInput{FunctionName: aws.String("again"), Role: aws.String("arn:aws:iam::" + sandbox.Account + ":role/again"),
		Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Code: &lambdatypes.FunctionCode{ZipFile: []byte("zip")}})
	w.must(err)
	var mu sync.Mutex
	seen := map[string]bool{}
	w.sb.Handler("again", func(_ context.Context, event []byte) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		seen[string(event)] = true
		return nil, &sandbox.FunctionError{Type: "Unlucky"}
	})
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "function:again", Async: true, Canary: -1})
	if !strings.Contains(fmt.Sprint(plan.Facts), "a receipt says that Lambda has accepted the event, not that the function did it") || plan.Pace.Lanes == 0 {
		t.Errorf("%+v", plan.Facts)
	}
	w.ticking()
	r := started(t, w.desk, plan).Wait()
	if r.State != ops.Finished || r.Counts.Sent != 20 || r.Counts.Parked != 0 {
		t.Errorf("%+v %v", r, r.Problem)
	}
	w.sb.Advance(10 * time.Minute)
	mu.Lock()
	defer mu.Unlock()
	for _, event := range want {
		if !seen[event] {
			t.Errorf("%s did not arrive", event)
		}
	}
	_, _, err = w.desk.Plan(t.Context(), ops.ReplayAsk{From: "stream:orders", To: "null:", Async: true})
	refusal(t, err, "only a function can be called without waiting")
}

// A delivery stream of type Direct PUT takes events; one that reads a stream is refused.
func TestADeliveryStreamTakesEvents(t *testing.T) {
	w := newWorld(t)
	want := w.events(30)
	w.bucket("lake")
	to := &firehosetypes.ExtendedS3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::lake"), RoleARN: aws.String("arn:aws:iam::" + sandbox.Account + ":role/firehose"),
		BufferingHints: &firehosetypes.BufferingHints{IntervalInSeconds: aws.Int32(60), SizeInMBs: aws.Int32(1)}}
	_, err := w.firehose.CreateDeliveryStream(t.Context(), &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("again"), ExtendedS3DestinationConfiguration: to})
	w.must(err)
	_, err = w.firehose.CreateDeliveryStream(t.Context(), &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("reader"), DeliveryStreamType: firehosetypes.DeliveryStreamTypeKinesisStreamAsSource,
		KinesisStreamSourceConfiguration: &firehosetypes.KinesisStreamSourceConfiguration{KinesisStreamARN: aws.String("arn:aws:kinesis:" + sandbox.HomeRegion + ":" + sandbox.Account + ":stream/orders"), RoleARN: to.RoleARN}, ExtendedS3DestinationConfiguration: to})
	w.must(err)
	w.sb.Advance(5 * time.Minute)
	if plan := planOf(t, w.desk, ops.ReplayAsk{From: "stream:orders", To: "delivery:reader"}); len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "reads from a stream") {
		t.Errorf("%q", plan.Blockers)
	}
	w.replayed(ops.ReplayAsk{From: "stream:orders", To: "delivery:again"}, ops.Finished)
	w.sb.Advance(5 * time.Minute)
	list, err := w.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("lake")})
	w.must(err)
	var got []string
	for _, o := range list.Contents {
		if !strings.Contains(*o.Key, "again-") {
			continue
		}
		out, err := w.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: o.Key})
		w.must(err)
		text, err := io.ReadAll(out.Body)
		w.must(err)
		w.must(out.Body.Close())
		got = append(got, strings.SplitAfter(string(text), "}")...)
	}
	got = slices.DeleteFunc(got, func(s string) bool { return s == "" })
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Error(diff)
	}
}

// --keep-shard sends by the range of the old shard: a record that was put with a hash key
// of its own lies in the shard that answers to its old one.
func TestARecordKeepsItsShard(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 2)
	w.stream("again", 2)
	for i := range 20 { // the hash keys say the last shard, whatever the keys are
		_, err := w.kinesis.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String(fmt.Sprintf("c%d", i)), ExplicitHashKey: aws.String("340282366920938463463374607431768211455"),
			Data: fmt.Appendf(nil, `{"n":%d}`, i)})
		w.must(err)
	}
	w.sb.Advance(10 * time.Minute)
	r := w.replayed(ops.ReplayAsk{From: "stream:orders", To: "stream:again", Map: ops.ReplayMap{KeepShard: true}}, ops.Finished)
	in := map[string]int{}
	if err := eachReceipt(r.Receipts, func(x receipt) error { // which verify has compared with the stream
		shard, _, _ := strings.Cut(x.At, "/")
		in[shard]++
		return nil
	}); err != nil || in["shardId-000000000001"] != 20 {
		t.Errorf("%v are there, %v", in, err)
	}
}
