package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
)

const (
	maxSyncPayload  = 6 << 20 // Invoke, RequestResponse
	maxAsyncPayload = 1 << 20 // Invoke, Event
)

// Handler is the code of a function: it gets the event and answers JSON. It runs
// under the sandbox's lock, so it must be quick; it may call the sandbox with the
// Config of its Function, and with nothing else.
type Handler func(ctx context.Context, payload []byte) ([]byte, error)

// FunctionError is an error with the fields that Lambda shows. Any other error
// shows as type "Error".
type FunctionError struct {
	Type    string
	Message string
	Trace   []string
}

func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// Handler sets the code behind a function of the home region, by the function's
// name; it may be set before the function exists and replaced at any time. A
// function without code answers null after a plausible time.
func (sb *Sandbox) Handler(function string, h Handler) {
	s := sb.Region("").functions
	sb.do(func() {
		s.code[function] = behaviour{run: func(c *functionCall) ([]byte, error) {
			ctx, cancel := context.WithTimeout(context.Background(), c.function.timeout())
			defer cancel()
			return h(ctx, c.event())
		}}
	})
}

// behaviour is what a function does: how long it takes and what it answers.
// Scenarios set it directly, to judge messages without building their JSON.
type behaviour struct {
	run  func(*functionCall) ([]byte, error)
	took func(*functionCall) time.Duration
}

// functionCall is one invocation as the function sees it.
type functionCall struct {
	function  *function
	requestID string
	messages  []queueMessage // of an SQS mapping
	records   []streamRecord // of a Kinesis mapping
	event     func() []byte  // the JSON, built when asked for
}

// functionMetrics are the series of AWS/Lambda with the dimension FunctionName.
type functionMetrics struct {
	store *metricStore
	name  string

	invocations, errors, throttles, duration, concurrent *metricSeries
	iteratorAge                                          *metricSeries // made when the first batch comes
}

func newFunctionMetrics(store *metricStore, name string) functionMetrics {
	m := functionMetrics{store: store, name: name}
	m.invocations = m.series("Invocations", "Count")
	m.errors = m.series("Errors", "Count")
	m.throttles = m.series("Throttles", "Count")
	m.duration = m.series("Duration", "Milliseconds")
	m.concurrent = m.series("ConcurrentExecutions", "Count")
	return m
}

func (m functionMetrics) series(name, unit string) *metricSeries {
	return m.store.series("AWS/Lambda", name, unit, "FunctionName", m.name)
}

// throttle reports whether the function is at its reserved concurrency, or the
// account at its quota, and counts the rejection.
func (s *lambdaService) throttle(f *function) error {
	reason := types.ThrottleReason("")
	switch {
	case f.reserved != nil && f.running >= int(*f.reserved):
		reason = types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded
	case s.running >= accountConcurrency:
		reason = types.ThrottleReasonConcurrentInvocationLimitExceeded
	default:
		return nil
	}
	f.metrics.throttles.add(s.r.now(), 1)
	return &types.TooManyRequestsException{Message: aws.String("Rate Exceeded."), Type: aws.String("User"), Reason: reason}
}

// execute runs a function now; done is called when its simulated time is over.
// All its datapoints carry the time of the start, as Lambda's do (LDG
// monitoring-metrics-types).
func (s *lambdaService) execute(c *functionCall, done func(invocation)) invocation {
	f, start := c.function, s.r.now()
	code := s.code[f.name()]
	out := invocation{RequestID: c.requestID, Took: s.duration(code, c)}
	var err error
	if code.run == nil {
		code.run = s.codeOf(f)
	}
	if code.run != nil {
		outer := f.waited // a function may call itself
		f.waited = 0
		out.Payload, err = crashed(code.run)(c)
		out.Took += f.waited
		f.waited = outer
	}
	if out.Took > f.timeout() {
		out.Took = f.timeout()
		err = &FunctionError{Type: "Sandbox.Timedout", Message: fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", c.requestID, f.timeout().Seconds())}
	}
	failed := 0.0
	if err != nil {
		out.Error, out.Payload, failed = "Unhandled", errorPayload(err), 1
	}
	f.running++
	s.running++
	m := &f.metrics
	m.invocations.add(start, 1)
	m.errors.add(start, failed)
	m.throttles.add(start, 0)
	m.duration.add(start, float64(out.Took)/float64(time.Millisecond))
	m.concurrent.add(start, float64(f.running))
	unreserved := f.reserved == nil
	if unreserved {
		s.unreserved++
	}
	// What is claimed is what runs without a reservation, and every reservation (LDG
	// monitoring-concurrency).
	s.claimed.add(start, float64(s.unreserved+s.reservedBy(nil)))
	s.r.after(out.Took, func() {
		f.running--
		s.running--
		if unreserved {
			s.unreserved--
		}
		if done != nil {
			done(out)
		}
	})
	return out
}

// codeOf finds the code that Options.Code has for a function, nil for none.
func (s *lambdaService) codeOf(f *function) func(*functionCall) ([]byte, error) {
	if s.r.sb.options.Code == nil {
		return nil
	}
	if f.warm == nil {
		env := map[string]string{}
		if f.config.Environment != nil {
			env = f.config.Environment.Variables
		}
		f.warm = s.r.sb.options.Code(aws.ToString(f.config.Handler), Function{Name: f.name(), Environment: env, Config: s.r.insideConfig(aws.ToString(f.config.Role)), Now: s.r.now, Wait: f.wait})
	}
	if f.warm == nil {
		return nil
	}
	run := f.warm
	return func(c *functionCall) ([]byte, error) {
		ctx, cancel := context.WithTimeout(context.Background(), c.function.timeout())
		defer cancel()
		return run(ctx, c.event())
	}
}

// wait lets the invocation that runs take longer.
func (f *function) wait(_ context.Context, d time.Duration) error {
	if f.waited += d; f.waited >= f.timeout() {
		return context.DeadlineExceeded
	}
	return nil
}

// crashed turns a panic of a function into what Lambda makes of one: an error of
// this invocation, not the end of the world.
func crashed(run func(*functionCall) ([]byte, error)) func(*functionCall) ([]byte, error) {
	return func(c *functionCall) (out []byte, err error) {
		defer func() {
			if p := recover(); p != nil {
				out, err = nil, &FunctionError{Type: "Runtime.ExitError", Message: fmt.Sprintf("RequestId: %s Error: the code panicked: %v", c.requestID, p)}
			}
		}()
		return run(c)
	}
}

// duration is a plausible run time: a base that belongs to the function, a little
// per item, and jitter.
func (s *lambdaService) duration(code behaviour, c *functionCall) time.Duration {
	if code.took != nil {
		return code.took(c)
	}
	base := 15 + int(hash32(c.function.name())%60)
	items := len(c.messages) + len(c.records)
	ms := float64(base+2*items) * (0.8 + 0.5*s.r.rng.Float64())
	return time.Duration(ms * float64(time.Millisecond))
}

// errorPayload is what Lambda answers for a function that failed.
func errorPayload(err error) []byte {
	var fe *FunctionError
	if !errors.As(err, &fe) {
		fe = &FunctionError{Type: "Error", Message: err.Error()}
	}
	b, merr := json.Marshal(struct {
		Message string   `json:"errorMessage"`
		Type    string   `json:"errorType"`
		Trace   []string `json:"stackTrace,omitempty"`
	}{fe.Message, fe.Type, fe.Trace})
	if merr != nil { // strings only: it does not fail
		return []byte(`{}`)
	}
	return b
}

// invokeSync runs a function for another service, such as a Firehose transformation.
func (s *lambdaService) invokeSync(target ops.ARN, payload []byte) (invocation, error) {
	f, err := s.find(aws.String(string(target)))
	if err != nil {
		return invocation{}, err
	}
	return s.call(f, payload)
}

func (s *lambdaService) call(f *function, payload []byte) (invocation, error) {
	if len(payload) > maxSyncPayload {
		return invocation{}, &types.RequestTooLargeException{Message: aws.String(fmt.Sprintf("%d byte payload is too large for the RequestResponse invocation type (limit %d bytes)", len(payload), maxSyncPayload))}
	}
	if err := s.throttle(f); err != nil {
		return invocation{}, err
	}
	c := &functionCall{function: f, requestID: s.r.id(), event: func() []byte { return payload }}
	return s.execute(c, nil), nil
}

func (s *lambdaService) invokeOperation(_ context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	if err := firstSet(
		given{"ClientContext", in.ClientContext != nil},
		given{"DurableExecutionName", in.DurableExecutionName != nil},
		given{"TenantId", in.TenantId != nil},
	); err != nil {
		return nil, err
	}
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if q := aws.ToString(in.Qualifier); q != "" && q != "$LATEST" {
		return nil, noSuchThing("Function not found: %s:%s", f.arn, q)
	}
	payload := in.Payload
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if !json.Valid(payload) {
		return nil, &types.InvalidRequestContentException{Message: aws.String("Could not parse request body into json: the payload is not valid JSON"), Type: aws.String("User")}
	}
	version := aws.String("$LATEST")
	switch in.InvocationType {
	case types.InvocationTypeDryRun:
		return &lambda.InvokeOutput{StatusCode: 204, ExecutedVersion: version}, nil
	case types.InvocationTypeEvent:
		if err := s.enqueue(f, payload); err != nil {
			return nil, err
		}
		return &lambda.InvokeOutput{StatusCode: 202}, nil
	}
	got, err := s.call(f, payload)
	if err != nil {
		return nil, err
	}
	out := &lambda.InvokeOutput{StatusCode: 200, ExecutedVersion: version, Payload: got.Payload}
	if len(out.Payload) == 0 {
		out.Payload = []byte("null")
	}
	if got.Error != "" {
		out.FunctionError = aws.String(got.Error)
	}
	if in.LogType == types.LogTypeTail {
		out.LogResult = aws.String(base64.StdEncoding.EncodeToString([]byte(f.log(got))))
	}
	return out, nil
}

// log is the tail of the log that every runtime writes.
func (f *function) log(got invocation) string {
	ms := float64(got.Took) / float64(time.Millisecond)
	memory := aws.ToInt32(f.config.MemorySize)
	return fmt.Sprintf("START RequestId: %[1]s Version: $LATEST\nEND RequestId: %[1]s\nREPORT RequestId: %[1]s\tDuration: %.2[2]f ms\tBilled Duration: %.0[3]f ms\tMemory Size: %[4]d MB\tMax Memory Used: %[5]d MB\t\n",
		got.RequestID, ms, ms+0.5, memory, memory*3/5)
}

// asyncEvent waits in a function's internal queue.
type asyncEvent struct {
	function  string
	payload   []byte
	requestID string
	queued    time.Time
	runs      int // invocations so far
	throttles int
}

const (
	defaultEventAge     = 6 * time.Hour
	defaultEventRetries = 2
)

// acceptEvent takes an asynchronous event from SNS, S3 or a destination.
func (s *lambdaService) acceptEvent(target ops.ARN, d delivery) error {
	f, err := s.find(aws.String(string(target)))
	if err != nil {
		return err
	}
	return s.enqueue(f, d.Body)
}

func (s *lambdaService) enqueue(f *function, payload []byte) error {
	if len(payload) > maxAsyncPayload {
		return &types.RequestTooLargeException{Message: aws.String(fmt.Sprintf("%d byte payload is too large for the Event invocation type (limit %d bytes)", len(payload), maxAsyncPayload))}
	}
	e := &asyncEvent{function: f.name(), payload: append([]byte(nil), payload...), requestID: s.r.id(), queued: s.r.now()}
	f.metrics.series("AsyncEventsReceived", "Count").add(e.queued, 1)
	s.r.after(10*time.Millisecond, func() { s.attempt(e) })
	return nil
}

// attempt invokes the function for a queued event, and decides what follows.
func (s *lambdaService) attempt(e *asyncEvent) {
	f, ok := s.functions[e.function]
	if !ok {
		return // deleted meanwhile: its queue is gone with it
	}
	age := s.r.now().Sub(e.queued)
	f.metrics.series("AsyncEventAge", "Milliseconds").add(s.r.now(), float64(age)/float64(time.Millisecond))
	oldest := defaultEventAge
	if f.async != nil && f.async.MaximumEventAgeInSeconds != nil {
		oldest = time.Duration(*f.async.MaximumEventAgeInSeconds) * time.Second
	}
	if age > oldest {
		s.giveUp(f, e, "EventAgeExceeded", nil)
		return
	}
	if s.throttle(f) != nil {
		// Throttled events stay up to their maximum age, tried from every second
		// to every five minutes (LDG invocation-async).
		pause := min(5*time.Minute, time.Second<<min(e.throttles, 9))
		e.throttles++
		s.r.after(pause, func() { s.attempt(e) })
		return
	}
	e.runs++
	c := &functionCall{function: f, requestID: e.requestID, event: func() []byte { return e.payload }}
	s.execute(c, func(got invocation) { s.settle(f, e, got) })
}

// settle handles the end of an asynchronous run: two retries, after one minute
// and after two more (LDG invocation-async-error-handling).
func (s *lambdaService) settle(f *function, e *asyncEvent, got invocation) {
	if got.Error == "" {
		if f.async != nil && f.async.DestinationConfig.OnSuccess != nil {
			s.sendToDestination(f, aws.ToString(f.async.DestinationConfig.OnSuccess.Destination), s.destinationRecord(f, e, "Success", &got))
		}
		return
	}
	retries := defaultEventRetries
	if f.async != nil && f.async.MaximumRetryAttempts != nil {
		retries = int(*f.async.MaximumRetryAttempts)
	}
	if e.runs > retries {
		s.giveUp(f, e, "RetriesExhausted", &got)
		return
	}
	s.r.after(time.Duration(e.runs)*time.Minute, func() { s.attempt(e) })
}

// giveUp drops an event: to the dead-letter queue, to the on-failure destination.
func (s *lambdaService) giveUp(f *function, e *asyncEvent, condition string, got *invocation) {
	now := s.r.now()
	f.metrics.series("AsyncEventsDropped", "Count").add(now, 1)
	if d := f.config.DeadLetterConfig; d != nil {
		status, message := "429", "Rate Exceeded."
		if got != nil {
			status, message = "200", errorMessage(got.Payload)
		}
		err := s.r.deliver(ops.ARN(aws.ToString(d.TargetArn)), delivery{
			Body: e.payload,
			Attributes: map[string]attribute{
				"RequestID":    {Type: "String", String: e.requestID},
				"ErrorCode":    {Type: "Number", String: status},
				"ErrorMessage": {Type: "String", String: firstKB(message)},
			},
			From: f.arn,
		})
		if err != nil {
			f.metrics.series("DeadLetterErrors", "Count").add(now, 1)
		}
	}
	if f.async != nil {
		s.sendToDestination(f, onFailure(f.async.DestinationConfig), s.destinationRecord(f, e, condition, got))
	}
}

// errorMessage reads the message out of an error payload.
func errorMessage(payload []byte) string {
	var e struct {
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return string(payload)
	}
	return e.Message
}

func firstKB(s string) string {
	if len(s) > 1024 {
		s = strings.ToValidUTF8(s[:1024], "") // not in the middle of a character
	}
	if s == "" {
		return " " // SQS takes no empty attribute
	}
	return s
}

// The records that Lambda sends to destinations; their members in this order
// (LDG invocation-async-retain-records).
type destinationRecord struct {
	Version         string          `json:"version"`
	Timestamp       string          `json:"timestamp"`
	RequestContext  requestContext  `json:"requestContext"`
	RequestPayload  json.RawMessage `json:"requestPayload"`
	ResponseContext *respContext    `json:"responseContext,omitempty"`
	ResponsePayload json.RawMessage `json:"responsePayload,omitempty"`
}

type requestContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	InvokeCount int    `json:"approximateInvokeCount"`
}

type respContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"`
}

func lambdaTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (s *lambdaService) destinationRecord(f *function, e *asyncEvent, condition string, got *invocation) any {
	out := destinationRecord{
		Version:        "1.0",
		Timestamp:      lambdaTime(s.r.now()),
		RequestContext: requestContext{e.requestID, string(f.arn) + ":$LATEST", condition, e.runs},
		RequestPayload: asRaw(e.payload),
	}
	if got != nil {
		out.ResponseContext = &respContext{200, "$LATEST", got.Error}
		out.ResponsePayload = asRaw(got.Payload)
	}
	return out
}

// asRaw keeps JSON as it is and quotes anything else.
func asRaw(b []byte) json.RawMessage {
	switch {
	case len(b) == 0:
		return json.RawMessage("null")
	case json.Valid(b):
		return b
	}
	return appendString(nil, string(b))
}

// sendToDestination delivers a record to "" (nowhere), a queue, topic, function or bucket.
func (s *lambdaService) sendToDestination(f *function, destination string, record any) {
	if destination == "" {
		return
	}
	body, err := json.Marshal(record)
	target := ops.ARN(destination)
	if err == nil && target.Service() == "s3" {
		now := s.r.now()
		key := fmt.Sprintf("aws/lambda/async/%s/%s/%s-%s", f.name(), now.Format("2006/01/02"), now.Format("2006-01-02T15.04.05"), s.r.id())
		err = s.r.putObject(target.Name(), key, body)
	} else if err == nil {
		err = s.r.deliver(target, delivery{Body: body, From: f.arn})
	}
	if err != nil {
		f.metrics.series("DestinationDeliveryFailures", "Count").add(s.r.now(), 1)
	}
}
