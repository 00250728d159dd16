package ops

import (
	"errors"
	"fmt"
)

// Fault is the kind of a problem: what a person can do about it depends on it.
type Fault string

const (
	FaultExpired     Fault = "expired"     // credentials ran out
	FaultNoCreds     Fault = "credentials" // none found, or not accepted
	FaultDenied      Fault = "denied"      // the identity may not do this
	FaultThrottled   Fault = "throttled"   // AWS asks to slow down
	FaultUnreachable Fault = "unreachable" // no answer from the network
	FaultRegion      Fault = "region"      // the region does not exist or is not enabled
	FaultNotAWS      Fault = "not aws"     // something answered, but not an AWS API
	FaultClock       Fault = "clock"       // the local clock is wrong
	FaultUnsupported Fault = "unsupported" // this endpoint does not offer the operation
	FaultNotFound    Fault = "not found"
	FaultRefused     Fault = "refused" // our own gate said no
	FaultTimeout     Fault = "timeout" // our own deadline passed
	FaultService     Fault = "service" // AWS failed (5xx)
	FaultOther       Fault = "error"
)

// Problem is an error as a person sees it: one sentence that says what happened
// and one next step. Err keeps the whole chain for the journal.
type Problem struct {
	Fault Fault
	What  string // one clear sentence, without the final dot
	Hint  string // the next step, "" when there is none
	Err   error
}

func (p *Problem) Error() string {
	if p.Hint == "" {
		return p.What
	}
	return fmt.Sprintf("%s; %s", p.What, p.Hint)
}

func (p *Problem) Unwrap() error { return p.Err }

// AsProblem finds the problem in an error chain; any other error becomes one of
// kind FaultOther. It returns nil for nil.
func AsProblem(err error) *Problem {
	if err == nil {
		return nil
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{Fault: FaultOther, What: err.Error(), Err: err}
}
