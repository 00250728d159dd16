package cloud

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kxops/ops"
)

// gate stands at the first step of every call of every client.
type gate struct {
	level  Level  // of the session
	labs   bool   // LabOperations go through as well
	raised raised // the level for a while
	at     Place
	quotas *quotas // nil: no quotas
	meter  *Meter
	calls  *callLog
}

// install puts the guards on one call's stack: the gate before everything else,
// so that a refused call is not even serialised; quota and meter inside the
// retry loop, because each attempt takes its turn and is billed.
func (g *gate) install(stack *middleware.Stack) error {
	if err := stack.Initialize.Add(middleware.InitializeMiddlewareFunc("kxops.gate", g.call), middleware.Before); err != nil {
		return fmt.Errorf("install the gate: %w", err)
	}
	if err := stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("kxops.attempt", g.attempt), "Retry", middleware.After); err != nil {
		return fmt.Errorf("install the meter: %w", err)
	}
	return nil
}

// allow says whether the operation may be called at the gate's level.
func (g *gate) allow(service, name string) error {
	o, ok := OperationOf(service, name)
	if !ok && g.labs {
		o, ok = listedForLabs[operationKey{service, name}]
	}
	level := g.access()
	switch {
	case !ok:
		return &ops.Problem{
			Fault: ops.FaultRefused,
			What:  fmt.Sprintf("%s %s was refused: kxops does not list this operation, so it never calls it", service, name),
			Hint:  "this is a mistake in kxops, please report it",
		}
	case o.Level > level:
		return &ops.Problem{
			Fault: ops.FaultRefused,
			What:  fmt.Sprintf("%s %s was refused: it needs access level %s, and this session has %s", service, name, o.Level, level),
			Hint:  fmt.Sprintf("start with --access %s if you mean it", o.Level),
		}
	}
	return nil
}

type callKey struct{}

func (g *gate) call(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	c := &Call{
		Service:   middleware.GetServiceID(ctx),
		Operation: middleware.GetOperationName(ctx),
		Start:     time.Now(),
		metrics:   billedMetrics(in.Parameters),
		bytes:     messageBytes(in.Parameters),
		quotaKey:  quotaKey(in.Parameters),
	}
	if err := g.allow(c.Service, c.Operation); err != nil {
		c.Outcome = string(ops.FaultRefused)
		g.calls.add(*c)
		return middleware.InitializeOutput{}, middleware.Metadata{}, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	out, metadata, err := next.HandleInitialize(middleware.WithStackValue(ctx, callKey{}, c), in)
	c.Took = time.Since(c.Start)
	c.Outcome, c.RequestID = outcome(metadata, err)
	g.calls.add(*c)
	return out, metadata, err
}

func (g *gate) attempt(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	c, ok := middleware.GetStackValue(ctx, callKey{}).(*Call)
	if !ok {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, errors.New("an attempt that did not pass the gate")
	}
	if err := g.quotas.wait(ctx, c); err != nil {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, err
	}
	out, metadata, err := next.HandleFinalize(ctx, in)
	if err == nil {
		err = g.doubt(c, metadata)
	}
	if !neverSent(err) {
		c.Attempts++
		c.USD += g.meter.count(c, out.Result, err)
	}
	return out, metadata, err
}

// doubt looks at an answer that could be read: the S3 client takes a web page for
// an empty answer, so a bucket would seem to have no notifications. The other
// clients fail on one by themselves, and an emulator may send good JSON under the
// name of a web page.
func (g *gate) doubt(c *Call, metadata middleware.Metadata) error {
	raw, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response)
	if !ok || c.Service != "S3" || c.Operation == "GetObject" || !isWebPage(raw.Header) { // an object may well be a web page
		return nil
	}
	f := failure{call: c.Service + " " + c.Operation, at: g.at}
	return f.notAWS(fmt.Sprintf("HTTP %d and a web page", raw.StatusCode))
}

// outcome is "ok", the service's error code, or the kind of failure.
func outcome(metadata middleware.Metadata, err error) (word, requestID string) {
	if err == nil {
		id, _ := awsmiddleware.GetRequestIDMetadata(metadata)
		return "ok", id
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		requestID = response.ServiceRequestID()
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "" {
		return api.ErrorCode(), requestID
	}
	return string(Explain(err, Place{}).Fault), requestID
}

// status returns the HTTP status of the answer in an error, 0 when there was none.
func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		return response.HTTPStatusCode()
	}
	return 0
}

// callsKept is how many calls are remembered: a survey of a large account.
const callsKept = 2048

// Call is the record of one call: for `kxops info`, the journal and a person who
// asks "what did it just do?". It holds no bodies and no secrets.
type Call struct {
	Service   string // the SDK's service id
	Operation string
	Start     time.Time
	Took      time.Duration // with retries and waiting for the quota
	Attempts  int           // requests sent; 0: refused, or no connection could be made
	Outcome   string        // "ok", "refused", the service's error code, or a fault word
	RequestID string        // what AWS support asks for; "" when there was no answer
	USD       float64       // list price of the attempts

	metrics  int    // metrics that one attempt bills
	bytes    int    // of the messages that one attempt sends
	quotaKey string // the resource of a quota that is per resource
}

// callLog keeps the last calls in a ring.
type callLog struct {
	mu   sync.Mutex
	ring []Call
	next int
	full bool
}

func newCallLog(n int) *callLog { return &callLog{ring: make([]Call, n)} }

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring[l.next] = c
	l.next = (l.next + 1) % len(l.ring)
	l.full = l.full || l.next == 0
}

func (l *callLog) list() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full {
		return append([]Call(nil), l.ring[:l.next]...)
	}
	return append(append([]Call(nil), l.ring[l.next:]...), l.ring[:l.next]...)
}
