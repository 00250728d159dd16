package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// functions is a sandbox seen through a real Lambda client, without retries.
type functions struct {
	*queues
	client *lambda.Client
}

func lambdaOf(t *testing.T) *functions {
	t.Helper()
	q := sqsOf(t)
	return &functions{q, lambda.NewFromConfig(q.sb.Config(), func(o *lambda.Options) { o.RetryMaxAttempts = 1 })}
}

const roleARN = "arn:aws:iam::" + Account + ":role/worker"

func (f *functions) create(name string, edit ...func(*lambda.CreateFunctionInput)) {
	f.Helper()
	in := &lambda.CreateFunctionInput{FunctionName: &name, Role: aws.String(roleARN), Runtime: types.RuntimeProvidedal2023,
		Handler: aws.String("bootstrap"), Code: &types.FunctionCode{ZipFile: []byte("x")}}
	for _, e := range edit {
		e(in)
	}
	_, err := f.client.CreateFunction(f.Context(), in)
	f.ok(err)
}

// code sets what a function does.
func (f *functions) code(name string, h func(payload string) (string, error)) {
	f.sb.Handler(name, func(_ context.Context, payload []byte) ([]byte, error) {
		out, err := h(string(payload))
		return []byte(out), err
	})
}

func (f *functions) mapTo(function, source string, edit ...func(*lambda.CreateEventSourceMappingInput)) string {
	f.Helper()
	in := &lambda.CreateEventSourceMappingInput{FunctionName: &function, EventSourceArn: &source}
	for _, e := range edit {
		e(in)
	}
	out, err := f.client.CreateEventSourceMapping(f.Context(), in)
	f.ok(err)
	if aws.ToString(out.State) != "Creating" {
		f.Errorf("a new mapping is %q", aws.ToString(out.State))
	}
	f.sb.Advance(mappingSettles)
	return aws.ToString(out.UUID)
}

func (f *functions) mapping(uuid string) *lambda.GetEventSourceMappingOutput {
	f.Helper()
	out, err := f.client.GetEventSourceMapping(f.Context(), &lambda.GetEventSourceMappingInput{UUID: &uuid})
	f.ok(err)
	return out
}

// bodies drains a queue.
func (f *functions) bodies(url *string) []string {
	f.Helper()
	var out []string
	for {
		got, err := f.queues.client.ReceiveMessage(f.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
		f.ok(err)
		if len(got.Messages) == 0 {
			return out
		}
		for _, m := range got.Messages {
			out = append(out, *m.Body)
		}
	}
}

// counted sums a function's metric over the last day.
func (f *functions) counted(function, metric string) datapoint {
	return f.countedFor(metric, "FunctionName", function)
}

func (f *functions) countedFor(metric string, dims ...string) datapoint {
	f.sb.mu.Lock()
	defer f.sb.mu.Unlock()
	s := f.sb.regions[HomeRegion].metrics.find("AWS/Lambda", metric, dims...)
	if s == nil {
		return datapoint{}
	}
	return s.between(f.sb.now().Add(-24*time.Hour), f.sb.now().Add(time.Minute))
}

func TestLambdaFunctions(t *testing.T) {
	f := lambdaOf(t)
	for i := range 51 {
		f.create(fmt.Sprintf("f%02d", i))
	}
	first, err := f.client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	f.ok(err)
	if len(first.Functions) != 50 || first.NextMarker == nil { // API reference: up to 50 a page
		t.Fatalf("first page: %d functions, marker %v", len(first.Functions), first.NextMarker)
	}
	rest, err := f.client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{Marker: first.NextMarker})
	f.ok(err)
	if len(rest.Functions) != 1 || aws.ToString(rest.Functions[0].FunctionName) != "f50" || rest.NextMarker != nil {
		t.Errorf("second page: %d functions", len(rest.Functions))
	}
	_, err = f.client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{Marker: aws.String("nonsense")})
	f.refused(err, "InvalidParameterValueException", "Marker")

	arn := "arn:aws:lambda:" + HomeRegion + ":" + Account + ":function:f07"
	for _, name := range []string{"f07", arn, Account + ":function:f07", arn + ":$LATEST"} {
		got, err := f.client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		f.ok(err)
		if aws.ToString(got.FunctionArn) != arn || aws.ToInt32(got.Timeout) != 3 || got.State != types.StateActive {
			t.Errorf("%s: %+v", name, got)
		}
	}
	_, err = f.client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("nobody")})
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) || !strings.Contains(missing.ErrorMessage(), "Function not found: arn:aws:lambda:") {
		t.Errorf("missing function: %v", err)
	}
	_, err = f.client.CreateFunction(t.Context(), &lambda.CreateFunctionInput{FunctionName: aws.String("f07"), Role: aws.String(roleARN),
		Runtime: types.RuntimeProvidedal2023, Handler: aws.String("x"), Code: &types.FunctionCode{}})
	f.refused(err, "ResourceConflictException", "already exist")
	_, err = f.client.GetFunctionUrlConfig(t.Context(), &lambda.GetFunctionUrlConfigInput{FunctionName: aws.String("f07")})
	f.refused(err, "UnknownOperationException", "does not offer GET")

	_, err = f.client.TagResource(t.Context(), &lambda.TagResourceInput{Resource: &arn, Tags: map[string]string{"team": "shop"}})
	f.ok(err)
	tags, err := f.client.ListTags(t.Context(), &lambda.ListTagsInput{Resource: &arn})
	f.ok(err)
	if d := cmp.Diff(map[string]string{"team": "shop"}, tags.Tags); d != "" {
		t.Error(d)
	}
	_, err = f.client.UntagResource(t.Context(), &lambda.UntagResourceInput{Resource: &arn, TagKeys: []string{"team"}})
	f.ok(err)
	_, err = f.client.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("f07")})
	f.ok(err)
}

func TestLambdaInvoke(t *testing.T) {
	f := lambdaOf(t)
	f.create("price")
	f.code("price", func(payload string) (string, error) {
		if strings.Contains(payload, "bad") {
			return "", &FunctionError{Type: "ValueError", Message: "no price for bad", Trace: []string{"at price.go:7"}}
		}
		return `{"price":12}`, nil
	})
	call := func(payload string, kind types.InvocationType) (*lambda.InvokeOutput, error) {
		return f.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("price"), Payload: []byte(payload), InvocationType: kind, LogType: types.LogTypeTail})
	}
	got, err := call(`{"sku":1}`, types.InvocationTypeRequestResponse)
	f.ok(err)
	if string(got.Payload) != `{"price":12}` || got.StatusCode != 200 || got.FunctionError != nil || got.LogResult == nil {
		t.Errorf("%+v", got)
	}
	got, err = call(`{"sku":"bad"}`, types.InvocationTypeRequestResponse)
	f.ok(err) // a failing function is no API error: the API answers 200 (LDG invocation-sync)
	if want := `{"errorMessage":"no price for bad","errorType":"ValueError","stackTrace":["at price.go:7"]}`; string(got.Payload) != want || aws.ToString(got.FunctionError) != "Unhandled" {
		t.Errorf("%s %v", got.Payload, got.FunctionError)
	}
	got, err = call(``, types.InvocationTypeDryRun)
	f.ok(err)
	if got.StatusCode != 204 {
		t.Errorf("dry run: %d", got.StatusCode)
	}
	_, err = call(`{no json`, types.InvocationTypeRequestResponse)
	f.refused(err, "InvalidRequestContentException", "Could not parse")
	if n, e := f.counted("price", "Invocations").sum, f.counted("price", "Errors").sum; n != 2 || e != 1 {
		t.Errorf("%v invocations, %v errors", n, e)
	}

	_, err = f.client.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("price"), ReservedConcurrentExecutions: aws.Int32(0)})
	f.ok(err)
	reserved, err := f.client.GetFunctionConcurrency(t.Context(), &lambda.GetFunctionConcurrencyInput{FunctionName: aws.String("price")})
	f.ok(err)
	if reserved.ReservedConcurrentExecutions == nil || *reserved.ReservedConcurrentExecutions != 0 {
		t.Errorf("reserved %v", reserved.ReservedConcurrentExecutions)
	}
	_, err = call(`{}`, types.InvocationTypeRequestResponse)
	f.refused(err, "TooManyRequestsException", "Rate Exceeded.")
	if n := f.counted("price", "Throttles").sum; n != 1 {
		t.Errorf("%v throttles", n)
	}
	_, err = f.client.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("price"), ReservedConcurrentExecutions: aws.Int32(901)})
	f.refused(err, "InvalidParameterValueException", "UnreservedConcurrentExecution below its minimum value of [100]")
}

func TestLambdaTimesOut(t *testing.T) {
	f := lambdaOf(t)
	f.create("slow")
	f.sb.do(func() {
		f.sb.regions[HomeRegion].functions.code["slow"] = behaviour{took: func(*functionCall) time.Duration { return 5 * time.Second }}
	})
	got, err := f.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("slow")})
	f.ok(err)
	if !strings.Contains(string(got.Payload), "Task timed out after 3.00 seconds") {
		t.Errorf("%s", got.Payload)
	}
	if d := f.counted("slow", "Duration"); d.max != 3000 {
		t.Errorf("duration %v", d.max)
	}
}

// Two retries, after one minute and two more, then the dead-letter queue with the
// reason in attributes, and the on-failure destination (facts dlq.md 3.4).
func TestLambdaAsyncFailure(t *testing.T) {
	f := lambdaOf(t)
	dead, destination := f.queues.create("thumbnails-dlq"), f.queues.create("thumbnails-failed")
	f.create("thumbnails", func(in *lambda.CreateFunctionInput) {
		in.DeadLetterConfig = &types.DeadLetterConfig{TargetArn: aws.String(arnOf("thumbnails-dlq"))}
	})
	_, err := f.client.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{FunctionName: aws.String("thumbnails"),
		DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: aws.String(arnOf("thumbnails-failed"))}}})
	f.ok(err)
	var runs []time.Duration
	start := f.sb.Now()
	f.code("thumbnails", func(string) (string, error) {
		runs = append(runs, f.sb.virtual.Sub(start).Round(time.Second))
		return "", &FunctionError{Type: "Error", Message: "unsupported image: heic"}
	})
	got, err := f.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("thumbnails"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"key":"a.heic"}`)})
	f.ok(err)
	if got.StatusCode != 202 {
		t.Errorf("status %d", got.StatusCode)
	}
	f.sb.Advance(10 * time.Minute)
	if d := cmp.Diff([]time.Duration{0, time.Minute, 3 * time.Minute}, runs); d != "" {
		t.Error(d)
	}
	msgs, err := f.queues.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: dead, MessageAttributeNames: []string{"All"}})
	f.ok(err)
	if len(msgs.Messages) != 1 || *msgs.Messages[0].Body != `{"key":"a.heic"}` {
		t.Fatalf("dead letters: %+v", msgs.Messages)
	}
	a := msgs.Messages[0].MessageAttributes
	if aws.ToString(a["ErrorMessage"].StringValue) != "unsupported image: heic" || aws.ToString(a["ErrorCode"].StringValue) != "200" ||
		aws.ToString(a["ErrorCode"].DataType) != "Number" || aws.ToString(a["RequestID"].StringValue) == "" {
		t.Errorf("attributes %+v", a)
	}
	records := f.bodies(destination)
	if len(records) != 1 {
		t.Fatalf("%d destination records", len(records))
	}
	var r destinationRecord
	f.ok(json.Unmarshal([]byte(records[0]), &r))
	if r.RequestContext.Condition != "RetriesExhausted" || r.RequestContext.InvokeCount != 3 || string(r.RequestPayload) != `{"key":"a.heic"}` ||
		r.ResponseContext.FunctionError != "Unhandled" || !strings.Contains(string(r.ResponsePayload), "heic") {
		t.Errorf("destination record %s", records[0])
	}
	if n := f.counted("thumbnails", "AsyncEventsDropped").sum; n != 1 {
		t.Errorf("%v dropped", n)
	}
	_, err = f.queues.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: dead})
	f.ok(err)
	_, err = f.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("thumbnails"), InvocationType: types.InvocationTypeEvent})
	f.ok(err)
	f.sb.Advance(10 * time.Minute)
	if n := f.counted("thumbnails", "DeadLetterErrors").sum; n != 1 {
		t.Errorf("%v dead letter errors", n)
	}
}

// Only what the function names comes back, after the visibility timeout, and ends
// in the dead-letter queue (LDG services-sqs-errorhandling).
func TestLambdaQueueMappingPartialBatch(t *testing.T) {
	f := lambdaOf(t)
	source, dead := f.pair("", 2)
	f.create("orders")
	seen := map[string]int{}
	f.code("orders", func(payload string) (string, error) {
		var e struct {
			Records []struct{ MessageID, Body, EventSourceARN string }
		}
		if err := json.Unmarshal([]byte(payload), &e); err != nil {
			return "", err
		}
		failures := []string{}
		for _, r := range e.Records {
			seen[r.Body]++
			if r.Body == "bad" {
				failures = append(failures, fmt.Sprintf(`{"itemIdentifier":%q}`, r.MessageID))
			}
		}
		return `{"batchItemFailures":[` + strings.Join(failures, ",") + `]}`, nil
	})
	id := f.mapTo("orders", arnOf("orders"), func(in *lambda.CreateEventSourceMappingInput) {
		in.FunctionResponseTypes = []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures}
	})
	if st := aws.ToString(f.mapping(id).State); st != "Enabled" {
		t.Errorf("state %q", st)
	}
	for _, b := range []string{"a", "bad", "c"} {
		_, err := f.queues.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: source, MessageBody: &b})
		f.ok(err)
	}
	f.sb.Advance(3 * time.Minute)
	if d := cmp.Diff(map[string]int{"a": 1, "bad": 2, "c": 1}, seen); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"bad"}, f.bodies(dead)); d != "" {
		t.Error(d)
	}
	_, err := f.client.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("orders"), EventSourceArn: aws.String(arnOf("nowhere"))})
	f.refused(err, "InvalidParameterValueException", "NonExistentQueue")
	_, err = f.client.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, Enabled: aws.Bool(false)})
	f.ok(err)
	f.sb.Advance(mappingSettles)
	if st := aws.ToString(f.mapping(id).State); st != "Disabled" {
		t.Errorf("state %q", st)
	}
	_, err = f.client.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("orders"), EventSourceArn: aws.String(arnOf("orders"))})
	f.refused(err, "ResourceConflictException", "already exists")
	_, err = f.client.DeleteEventSourceMapping(t.Context(), &lambda.DeleteEventSourceMappingInput{UUID: &id})
	f.ok(err)
	f.sb.Advance(mappingSettles)
	_, err = f.client.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
	f.refused(err, "ResourceNotFoundException", "")
}

// A failing batch holds up its shard: age grows by a second per second, until the
// retries are used up and a pointer to the batch goes to the destination.
func TestLambdaStreamMapping(t *testing.T) {
	f := lambdaOf(t)
	failures := f.queues.create("payments-failures")
	k := kinesisClient(f.sb)
	_, err := k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(1)})
	f.ok(err)
	f.sb.Advance(reshardTime)
	stream := "arn:aws:kinesis:" + HomeRegion + ":" + Account + ":stream/orders"
	f.create("payments")
	fixed := false
	f.code("payments", func(payload string) (string, error) {
		if strings.Contains(payload, "cG9pc29u") && !fixed { // "poison"
			return "", errors.New("cannot parse payment")
		}
		return "", nil
	})
	id := f.mapTo("payments", stream, func(in *lambda.CreateEventSourceMappingInput) {
		in.StartingPosition = types.EventSourcePositionTrimHorizon
		in.BatchSize = aws.Int32(4)
		in.BisectBatchOnFunctionError = aws.Bool(true)
		in.DestinationConfig = &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: aws.String(arnOf("payments-failures"))}}
		in.MetricsConfig = &types.EventSourceMappingMetricsConfig{Metrics: []types.EventSourceMappingMetric{types.EventSourceMappingMetricEventCount}}
	})
	if r := aws.ToString(f.mapping(id).LastProcessingResult); r != resultNone {
		t.Errorf("result %q", r)
	}
	var poison string
	for _, data := range []string{"a", "b", "poison", "d", "e"} {
		out := put(t, k, "k", data)
		if data == "poison" {
			poison = *out.SequenceNumber
		}
	}
	f.sb.Advance(20 * time.Minute)
	if r := aws.ToString(f.mapping(id).LastProcessingResult); r != resultFailed {
		t.Errorf("result %q", r)
	}
	if age := f.counted("payments", "IteratorAge").max; age < 19*60*1000 {
		t.Errorf("iterator age %v ms after 20 minutes of a blocked shard", age)
	}
	_, err = f.client.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, MaximumRetryAttempts: aws.Int32(2)})
	f.ok(err)
	f.sb.Advance(2 * time.Minute)
	got := f.bodies(failures)
	if len(got) != 1 {
		t.Fatalf("%d pointers", len(got))
	}
	var p batchPointer
	f.ok(json.Unmarshal([]byte(got[0]), &p))
	if p.Batch.Start != poison || p.Batch.End != poison || p.Batch.Size != 1 || p.Batch.Stream != stream || p.RequestContext.Condition != "RetryAttemptsExhausted" {
		t.Errorf("pointer %s (poison %s)", got[0], poison)
	}
	if r := aws.ToString(f.mapping(id).LastProcessingResult); r != resultOK {
		t.Errorf("result %q after the poison was passed", r)
	}
	if got := f.countedFor("ClaimedAccountConcurrency").max; got != 1 {
		t.Errorf("%v claimed by one function on one shard", got)
	}
	for metric, want := range map[string]float64{"PolledEventCount": 5, "DroppedEventCount": 1, "OnFailureDestinationDeliveredEventCount": 1} {
		if got := f.countedFor(metric, "EventSourceMappingUUID", id).sum; got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
}

// AWS retries the same batch until it succeeds or is given up; records that come
// in behind it wait (LDG services-kinesis-errors).
func TestAFailedBatchIsRetriedAsItWas(t *testing.T) {
	f := lambdaOf(t)
	k := kinesisClient(f.sb)
	_, err := k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(1)})
	f.ok(err)
	f.sb.Advance(reshardTime)
	f.create("payments")
	sizes := map[int]int{}
	f.code("payments", func(payload string) (string, error) {
		sizes[strings.Count(payload, "sequenceNumber")]++
		return "", errors.New("cannot parse payment")
	})
	f.mapTo("payments", "arn:aws:kinesis:"+HomeRegion+":"+Account+":stream/orders", func(in *lambda.CreateEventSourceMappingInput) {
		in.StartingPosition = types.EventSourcePositionTrimHorizon
		in.BatchSize = aws.Int32(10)
	})
	for range 10 {
		put(t, k, "k", "a")
		f.sb.Advance(time.Minute)
	}
	if len(sizes) != 1 || sizes[1] < 10 {
		t.Errorf("batch sizes and tries %v, want one size, tried often", sizes)
	}
	if age := f.counted("payments", "IteratorAge").max; age < 9*60*1000 {
		t.Errorf("iterator age %v ms after ten minutes", age)
	}
}

func FuzzFailedItems(f *testing.F) {
	for _, s := range []string{"", "null", `{}`, `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, `{"batchItemFailures":[{"itemIdentifier":""}]}`, `[1]`} {
		f.Add([]byte(s))
	}
	known := map[string]bool{"a": true}
	f.Fuzz(func(t *testing.T, payload []byte) {
		failed, all := failedItems(payload, known)
		for id := range failed {
			if !known[id] || all {
				t.Errorf("%q names %q", payload, id)
			}
		}
	})
}
