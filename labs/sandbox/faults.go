package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	smithy "github.com/aws/smithy-go"
)

// FaultKind is one way in which AWS, or the way to it, fails.
type FaultKind string

const (
	Throttle     FaultKind = "throttle"      // the service asks to slow down
	ServerError  FaultKind = "5xx"           // the service fails
	ResetBefore  FaultKind = "reset-before"  // the connection dies before the call takes effect
	ResetAfter   FaultKind = "reset-after"   // the call takes effect and the answer is lost
	Slow         FaultKind = "slow"          // Latency plus up to Jitter before the answer
	Expired      FaultKind = "expired"       // the session's token has expired
	DeniedAction FaultKind = "denied"        // the identity may not do this
	ClockSkew    FaultKind = "clock-skew"    // the caller's clock is wrong
	PartialBatch FaultKind = "partial-batch" // some entries of a batch fail
	FalseEmpty   FaultKind = "false-empty"   // a receive misses messages that are there
	CountLag     FaultKind = "count-lag"     // approximate counts are a minute old
)

// Fault is one rule: which calls fail, how, how often and until when.
type Fault struct {
	Kind      FaultKind
	Service   string        // "" or "*" for every service; else "sqs", "kinesis" …
	Operation string        // "" or "*" for every operation
	Percent   float64       // 0 means 100
	Until     time.Time     // zero: until removed
	Latency   time.Duration // Slow
	Jitter    time.Duration // Slow
}

// faultKinds is THE list; `kxops sandbox --fault` and the admin path take these.
var faultKinds = []FaultKind{Throttle, ServerError, ResetBefore, ResetAfter, Slow, Expired, DeniedAction, ClockSkew, PartialBatch, FalseEmpty, CountLag}

// FaultKinds lists every fault that can be set.
func FaultKinds() []FaultKind { return faultKinds }

// Services lists the services that a fault can name, sorted.
func Services() []string { return slices.Sorted(maps.Keys(throttleCodes)) }

// Check says what is wrong with a rule, nil for a good one.
func (f Fault) Check() error {
	if !slices.Contains(faultKinds, f.Kind) {
		return fmt.Errorf("unknown fault %q", f.Kind)
	}
	if f.Service != "" && f.Service != "*" && !slices.Contains(Services(), f.Service) {
		return fmt.Errorf("unknown service %q: there are %s", f.Service, strings.Join(Services(), ", "))
	}
	return nil
}

type faults struct {
	mu    sync.Mutex
	rules []Fault
}

// SetFaults replaces all fault rules.
func (sb *Sandbox) SetFaults(rules ...Fault) {
	sb.faults.mu.Lock()
	defer sb.faults.mu.Unlock()
	sb.faults.rules = append([]Fault(nil), rules...)
}

// AddFault adds one rule.
func (sb *Sandbox) AddFault(f Fault) {
	sb.faults.mu.Lock()
	defer sb.faults.mu.Unlock()
	sb.faults.rules = append(sb.faults.rules, f)
}

// Faults lists the rules in force.
func (sb *Sandbox) Faults() []Fault {
	sb.faults.mu.Lock()
	defer sb.faults.mu.Unlock()
	return append([]Fault(nil), sb.faults.rules...)
}

func (f Fault) covers(service, operation string) bool {
	return (f.Service == "" || f.Service == "*" || f.Service == service) &&
		(f.Operation == "" || f.Operation == "*" || f.Operation == operation)
}

// hits lists the rules that strike this call now.
func (fs *faults) hits(k *kernel, service, operation string) []Fault {
	fs.mu.Lock()
	rules := fs.rules // replaced as a whole or appended to, never changed in place
	fs.mu.Unlock()    // before the kernel's lock: strikes takes the two the other way round
	if len(rules) == 0 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return striking(k, rules, service, operation)
}

// hitsInside is hits for a caller that holds the kernel's lock.
func (fs *faults) hitsInside(k *kernel, service, operation string) []Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return striking(k, fs.rules, service, operation)
}

// striking draws which of the rules hit a call now. Call it under the lock.
func striking(k *kernel, rules []Fault, service, operation string) []Fault {
	var out []Fault
	for _, f := range rules {
		if f.covers(service, operation) && (f.Until.IsZero() || k.now().Before(f.Until)) &&
			(f.Percent == 0 || k.rng.Float64()*100 < f.Percent) {
			out = append(out, f)
		}
	}
	return out
}

var errReset = errors.New("connection reset")

// of applies the faults that concern any call. before and after ask for a
// dropped connection, err is the error to answer with.
func (fs *faults) of(ctx context.Context, r *Region, service, operation string) (before, after bool, err error) {
	for _, f := range fs.hits(r.kernel, service, operation) {
		switch f.Kind {
		case Slow:
			d := f.Latency
			if f.Jitter > 0 {
				r.mu.Lock()
				d += time.Duration(r.rng.Int64N(int64(f.Jitter)))
				r.mu.Unlock()
			}
			t := time.NewTimer(d)
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			t.Stop()
		case ResetBefore:
			before = true
		case ResetAfter:
			after = true
		default:
			if e := f.asError(service, operation); e != nil && err == nil {
				err = e
			}
		}
	}
	return before, after, err
}

// throttleCodes are the services' own codes for "slow down".
var throttleCodes = map[string]string{
	"kinesis":        "LimitExceededException",
	"firehose":       "LimitExceededException",
	"sqs":            "RequestThrottled",
	"sns":            "Throttling",
	"sts":            "Throttling",
	"events":         "ThrottlingException",
	"athena":         "TooManyRequestsException",
	"glue":           "ThrottlingException",
	"cloudwatch":     "ThrottlingException",
	"lambda":         "TooManyRequestsException",
	"s3":             "SlowDown",
	"iam":            "Throttling",
	"kms":            "ThrottlingException",
	"apigateway":     "TooManyRequestsException",
	"cloudformation": "Throttling",
	"dynamodb":       "ThrottlingException",
	"tagging":        "ThrottledException",
}

func (f Fault) asError(service, operation string) error {
	switch f.Kind {
	case Throttle:
		e := statusError{GenericAPIError: &smithy.GenericAPIError{Code: throttleCodes[service], Message: "Rate exceeded", Fault: smithy.FaultClient}, status: 400}
		if service == "lambda" {
			e.status = 429
		}
		if service == "s3" {
			e.status = 503
		}
		return e
	case ServerError:
		return statusError{&smithy.GenericAPIError{Code: "InternalFailure", Message: "an internal error has occurred", Fault: smithy.FaultServer}, 500}
	case Expired:
		return statusError{&smithy.GenericAPIError{Code: "ExpiredTokenException", Message: "The security token included in the request is expired", Fault: smithy.FaultClient}, 403}
	case DeniedAction:
		return statusError{&smithy.GenericAPIError{Code: deniedCode(service), Message: fmt.Sprintf(
			"User: %s is not authorized to perform: %s:%s because no identity-based policy allows the action", caller, service, operation), Fault: smithy.FaultClient}, 403}
	case ClockSkew:
		return statusError{&smithy.GenericAPIError{Code: "RequestTimeTooSkewed", Message: "The difference between the request time and the current time is too large.", Fault: smithy.FaultClient}, 403}
	}
	return nil
}

func deniedCode(service string) string {
	switch service {
	case "sns", "s3":
		return "AccessDenied"
	case "sts", "cloudwatch":
		return "AccessDenied"
	}
	return "AccessDeniedException"
}

// statusError is an API error with an HTTP status of its own.
type statusError struct {
	*smithy.GenericAPIError
	status int
}

func (e statusError) HTTPStatusCode() int { return e.status }

// strikes reports whether a service-level fault (partial batch, false empty,
// count lag) hits this call. Call it under the lock.
func (r *Region) strikes(kind FaultKind, service, operation string) bool {
	fs := &r.sb.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.rules {
		if f.Kind == kind && f.covers(service, operation) && (f.Until.IsZero() || r.now().Before(f.Until)) &&
			(f.Percent == 0 || r.rng.Float64()*100 < f.Percent) {
			return true
		}
	}
	return false
}
