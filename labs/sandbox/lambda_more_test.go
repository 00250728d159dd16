package sandbox

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

const ordersStream = "arn:aws:kinesis:" + HomeRegion + ":" + Account + ":stream/orders"

// withStream adds the stream "orders".
func (f *functions) withStream(shards int32) *kinesis.Client {
	f.Helper()
	k := kinesisClient(f.sb)
	_, err := k.CreateStream(f.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: &shards})
	f.ok(err)
	f.sb.Advance(reshardTime)
	return k
}

// A successful asynchronous event goes to the on-success destination, as JSON
// with the answer (LDG invocation-async-retain-records).
func TestLambdaAsyncSuccess(t *testing.T) {
	f := lambdaOf(t)
	done := f.queues.create("done")
	f.create("price")
	f.code("price", func(string) (string, error) { return `{"price":12}`, nil })
	_, err := f.client.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{FunctionName: aws.String("price"),
		MaximumEventAgeInSeconds: aws.Int32(60), MaximumRetryAttempts: aws.Int32(0),
		DestinationConfig: &types.DestinationConfig{OnSuccess: &types.OnSuccess{Destination: aws.String(arnOf("done"))}}})
	f.ok(err)
	list, err := f.client.ListFunctionEventInvokeConfigs(t.Context(), &lambda.ListFunctionEventInvokeConfigsInput{FunctionName: aws.String("price")})
	f.ok(err)
	if len(list.FunctionEventInvokeConfigs) != 1 || aws.ToInt32(list.FunctionEventInvokeConfigs[0].MaximumEventAgeInSeconds) != 60 {
		t.Errorf("%+v", list.FunctionEventInvokeConfigs)
	}
	_, err = f.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("price"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"sku":1}`)})
	f.ok(err)
	f.sb.Advance(time.Second)
	got := f.bodies(done)
	if len(got) != 1 {
		t.Fatalf("%d records", len(got))
	}
	var r destinationRecord
	f.ok(json.Unmarshal([]byte(got[0]), &r))
	if r.RequestContext.Condition != "Success" || string(r.ResponsePayload) != `{"price":12}` || r.ResponseContext.FunctionError != "" {
		t.Errorf("%s", got[0])
	}
	_, err = f.client.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{FunctionName: aws.String("price"), MaximumRetryAttempts: aws.Int32(3)})
	f.refused(err, "InvalidParameterValueException", "maximumRetryAttempts")
	_, err = f.client.DeleteFunctionEventInvokeConfig(t.Context(), &lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: aws.String("price")})
	f.ok(err)
	_, err = f.client.GetFunctionEventInvokeConfig(t.Context(), &lambda.GetFunctionEventInvokeConfigInput{FunctionName: aws.String("price")})
	f.refused(err, "ResourceNotFoundException", "doesn't have an EventInvokeConfig")
}

// Throttled events wait up to their maximum age and are then dropped without a
// run (LDG invocation-async-error-handling).
func TestLambdaAsyncThrottledUntilTooOld(t *testing.T) {
	f := lambdaOf(t)
	dead := f.queues.create("dead")
	f.create("busy", func(in *lambda.CreateFunctionInput) {
		in.DeadLetterConfig = &types.DeadLetterConfig{TargetArn: aws.String(arnOf("dead"))}
	})
	_, err := f.client.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("busy"), ReservedConcurrentExecutions: aws.Int32(0)})
	f.ok(err)
	_, err = f.client.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{FunctionName: aws.String("busy"), MaximumEventAgeInSeconds: aws.Int32(600)})
	f.ok(err)
	_, err = f.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("busy"), InvocationType: types.InvocationTypeEvent})
	f.ok(err)
	f.sb.Advance(9 * time.Minute)
	if n := f.counted("busy", "AsyncEventsDropped").sum; n != 0 {
		t.Errorf("%v dropped after nine of ten minutes", n)
	}
	f.sb.Advance(10 * time.Minute)
	if got := f.bodies(dead); len(got) != 1 {
		t.Errorf("%d dead letters", len(got))
	}
	if n, calls, throttles := f.counted("busy", "AsyncEventsDropped").sum, f.counted("busy", "Invocations").sum, f.counted("busy", "Throttles").sum; n != 1 || calls != 0 || throttles < 5 {
		t.Errorf("%v dropped, %v invocations, %v throttles", n, calls, throttles)
	}
	if age := f.counted("busy", "AsyncEventAge").max; age < 600_000 {
		t.Errorf("event age %v", age)
	}
}

// A queue's messages are taken and not processed while the function is throttled:
// they come back and end as dead letters (LDG services-sqs-scaling).
func TestLambdaThrottledQueueMapping(t *testing.T) {
	f := lambdaOf(t)
	source, dead := f.pair("", 2)
	f.create("orders")
	_, err := f.client.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("orders"), ReservedConcurrentExecutions: aws.Int32(0)})
	f.ok(err)
	f.mapTo("orders", arnOf("orders"))
	_, err = f.queues.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: source, MessageBody: aws.String("a")})
	f.ok(err)
	f.sb.Advance(5 * time.Minute)
	if d := cmp.Diff([]string{"a"}, f.bodies(dead)); d != "" {
		t.Error(d)
	}
	if n := f.counted("orders", "Throttles").sum; n != 2 {
		t.Errorf("%v throttles", n)
	}
}

// An error of the function, or an answer that makes no sense, fails the whole
// batch; without ReportBatchItemFailures the answer does not matter
// (LDG services-sqs-errorhandling).
func TestLambdaQueueMappingWholeBatch(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		err          error
		reports      bool
		deleted      bool
	}{
		{"error", "", errors.New("no"), false, false},
		{"null", "null", nil, true, true},
		{"unknown item", `{"batchItemFailures":[{"itemIdentifier":"nobody"}]}`, nil, true, false},
		{"wrong key", `{"batchItemFailures":[{"id":"x"}]}`, nil, true, false},
		{"not asked", `{"batchItemFailures":[{"itemIdentifier":"nobody"}]}`, nil, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := lambdaOf(t)
			source := f.queues.create("orders")
			f.create("orders")
			f.code("orders", func(string) (string, error) { return c.answer, c.err })
			f.mapTo("orders", arnOf("orders"), func(in *lambda.CreateEventSourceMappingInput) {
				if c.reports {
					in.FunctionResponseTypes = []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures}
				}
			})
			_, err := f.queues.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: source, MessageBody: aws.String("a")})
			f.ok(err)
			f.sb.Advance(20 * time.Second)
			left := f.sb.Region("").queues.(*sqsService).queues["orders"].count
			if gone := left == [3]int{}; gone != c.deleted {
				t.Errorf("the queue holds %v", left)
			}
		})
	}
}

// Records older than MaximumRecordAgeInSeconds are discarded with a pointer, and
// the rest goes on (LDG kinesis-on-failure-destination).
func TestLambdaStreamMappingMaximumAge(t *testing.T) {
	f := lambdaOf(t)
	failures := f.queues.create("failures")
	k := f.withStream(1)
	f.create("reader")
	broken := true
	var seen []string
	f.code("reader", func(payload string) (string, error) {
		if broken {
			return "", errors.New("down")
		}
		seen = append(seen, payload)
		return "", nil
	})
	f.mapTo("reader", ordersStream, func(in *lambda.CreateEventSourceMappingInput) {
		in.StartingPosition = types.EventSourcePositionLatest
		in.MaximumRecordAgeInSeconds = aws.Int32(300)
		in.DestinationConfig = &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: aws.String(arnOf("failures"))}}
	})
	put(t, k, "k", "old")
	f.sb.Advance(10 * time.Minute)
	got := f.bodies(failures)
	if len(got) != 1 || !strings.Contains(got[0], `"condition":"RecordAgeExceeded"`) {
		t.Fatalf("pointers %v", got)
	}
	broken = false
	put(t, k, "k", "new")
	f.sb.Advance(10 * time.Second)
	if len(seen) != 1 || !strings.Contains(seen[0], "bmV3") { // "new"
		t.Errorf("the function saw %v", seen)
	}
}

// The children of a closed shard are read after it is done with, so that the
// order of a key survives resharding (LDG with-kinesis).
func TestLambdaStreamMappingFollowsSplits(t *testing.T) {
	f := lambdaOf(t)
	k := f.withStream(1)
	f.create("reader")
	var seen []string
	f.code("reader", func(payload string) (string, error) {
		var e struct {
			Records []struct{ Kinesis struct{ Data []byte } }
		}
		if err := json.Unmarshal([]byte(payload), &e); err != nil {
			return "", err
		}
		for _, r := range e.Records {
			seen = append(seen, string(r.Kinesis.Data))
		}
		return "", nil
	})
	put(t, k, "k", "before the mapping")
	f.mapTo("reader", ordersStream, func(in *lambda.CreateEventSourceMappingInput) {
		in.StartingPosition = types.EventSourcePositionLatest
	})
	put(t, k, "k", "1")
	_, err := k.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String("orders"), TargetShardCount: aws.Int32(2), ScalingType: "UNIFORM_SCALING"})
	f.ok(err)
	f.sb.Advance(reshardTime)
	put(t, k, "k", "2")
	put(t, k, "k", "3")
	f.sb.Advance(time.Minute)
	if d := cmp.Diff([]string{"1", "2", "3"}, seen); d != "" {
		t.Error(d)
	}
}

// A mapping may start at a time, and may read through a registered consumer.
func TestLambdaStreamMappingAtTimestampThroughConsumer(t *testing.T) {
	f := lambdaOf(t)
	k := f.withStream(1)
	f.create("reader")
	var seen int
	f.code("reader", func(payload string) (string, error) {
		seen += strings.Count(payload, `"sequenceNumber"`)
		return "", nil
	})
	consumer, err := k.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: aws.String(ordersStream), ConsumerName: aws.String("live")})
	f.ok(err)
	put(t, k, "k", "1")
	f.sb.Advance(time.Minute)
	put(t, k, "k", "2")
	put(t, k, "k", "3")
	id := f.mapTo("reader", aws.ToString(consumer.Consumer.ConsumerARN), func(in *lambda.CreateEventSourceMappingInput) {
		in.StartingPosition = types.EventSourcePositionAtTimestamp
		in.StartingPositionTimestamp = aws.Time(f.sb.Now().Add(-30 * time.Second))
	})
	f.sb.Advance(time.Minute)
	if seen != 2 {
		t.Errorf("the function saw %d records", seen)
	}
	if a := aws.ToString(f.mapping(id).EventSourceArn); !strings.Contains(a, "/consumer/live:") {
		t.Errorf("source %s", a)
	}
	_, err = f.client.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("reader"), EventSourceArn: aws.String(ordersStream)})
	f.refused(err, "InvalidParameterValueException", "startingPosition")
	_, err = f.client.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("reader"), EventSourceArn: aws.String(ordersStream),
		StartingPosition: types.EventSourcePositionLatest, FilterCriteria: &types.FilterCriteria{Filters: []types.Filter{{Pattern: aws.String("{}")}}}})
	f.refused(err, "NotImplemented", "FilterCriteria")
}

func FuzzLambdaNames(f *testing.F) {
	for _, s := range []string{"orders", "arn:aws:lambda:eu-west-1:123456789012:function:orders", "123456789012:function:orders:$LATEST", ":", "function:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		if name, err := functionName(given); err == nil && !functionNames.MatchString(name) {
			t.Errorf("%q gave the name %q", given, name)
		}
	})
}

func FuzzLambdaMarkers(f *testing.F) {
	f.Add(sealMarker("orders"))
	f.Add("")
	f.Fuzz(func(t *testing.T, marker string) {
		last, err := openMarker(marker)
		if err != nil {
			return
		}
		if again, err := openMarker(sealMarker(last)); err != nil || again != last {
			t.Errorf("%q means %q, then %q, %v", marker, last, again, err)
		}
	})
}
