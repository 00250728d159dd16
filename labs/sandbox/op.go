package sandbox

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	smithy "github.com/aws/smithy-go"
)

// operation is one API operation of one service.
type operation struct {
	service string // SDK service id as used in faults and the bill: "sqs", "kinesis" …
	name    string
	input   reflect.Type
	call    func(ctx context.Context, in any) (any, error)
	// struck is told of a call that a fault refused, under the lock; nil for most.
	struck func(in any, why error)
}

// handle registers an operation: a function from the SDK's input type to its
// output type, called under the region's lock. Errors should be the service's
// own typed errors, or fail(…) for a code without a type.
func handle[I, O any](r *Region, service, name string, f func(context.Context, *I) (*O, error)) {
	r.operations[service+"."+name] = &operation{
		service: service,
		name:    name,
		input:   reflect.TypeFor[I](),
		call: func(ctx context.Context, in any) (any, error) {
			out, err := f(ctx, in.(*I))
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// fail makes an error with a code for which the SDK has no type: the caller's
// fault (HTTP 400).
func fail(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

// unsupported refuses a parameter that AWS takes and the sandbox does not:
// nothing is silently ignored.
func unsupported(parameter string) error {
	return fail("NotImplemented", "the sandbox does not support the parameter %s", parameter)
}

// asAPIError returns what goes on the wire for an error.
func asAPIError(err error) (code, message string, status int) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "InternalFailure", err.Error(), 500
	}
	status = 400
	if api.ErrorFault() == smithy.FaultServer {
		status = 500
	}
	var s interface{ HTTPStatusCode() int }
	if errors.As(err, &s) {
		status = s.HTTPStatusCode()
	}
	return api.ErrorCode(), api.ErrorMessage(), status
}
