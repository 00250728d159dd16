package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
)

const (
	// functionBytes is the largest payload of a call that is waited for. Source: Lambda
	// quotas, 6 MB.
	functionBytes = 6_000_000
	// functionQueued is the largest payload of a call that is not waited for. Source: Lambda
	// quotas, 1 MB.
	functionQueued = 1_000_000
	// functionWait is the longest that a function may run, with room for the answer.
	functionWait = 16 * time.Minute
)

// functionTarget calls a function with one event at a time, and waits for its answer or
// only for Lambda to accept it.
type functionTarget struct {
	desk  *Desk
	name  string
	async bool
}

func newFunctionTarget(d *Desk, plan ops.ReplayPlan) (target, error) {
	return &functionTarget{desk: d, name: string(plan.To.ARN), async: plan.To.Async}, nil
}

func (t *functionTarget) find(ctx context.Context, plan *ops.ReplayPlan) error {
	out, err := t.desk.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &t.name})
	if err != nil {
		return err
	}
	plan.To.ARN = ops.ARN(aws.ToString(out.FunctionArn))
	plan.Seen["function"] = string(plan.To.ARN)
	plan.Seen["function code"] = aws.ToString(out.CodeSha256)
	if out.State != "" && out.State != types.StateActive && out.State != types.StateInactive {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("the function %s is %s", plan.To.ARN.Name(), out.State))
	}
	if t.async {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "target", Value: fmt.Sprintf("function %s, not awaited: a receipt says that Lambda has accepted the event, not that the function did it; Lambda tries again twice, "+
			"and then it goes where the function's failures go, or nowhere", plan.To.ARN.Name())})
		return nil
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "target", Value: fmt.Sprintf("function %s, called with one event at a time, its answer awaited (%d s at most); an event on which it fails is parked", plan.To.ARN.Name(), aws.ToInt32(out.Timeout))})
	return nil
}

func (t *functionTarget) limits() Limits {
	if t.async {
		return Limits{Records: 1, Record: functionQueued}
	}
	return Limits{Records: 1, Record: functionBytes}
}

func (t *functionTarget) size(p Parcel) int { return len(p.Body) }

func (t *functionTarget) send(ctx context.Context, parcels []Parcel) []Answer {
	answers := make([]Answer, len(parcels))
	for i, p := range parcels {
		answers[i] = t.invoke(ctx, p)
	}
	return answers
}

func (t *functionTarget) invoke(ctx context.Context, p Parcel) Answer {
	ctx, cancel := context.WithTimeout(ctx, functionWait)
	defer cancel()
	if !json.Valid(p.Body) {
		return Answer{Fate: Refused, Code: "InvalidRequestContentException", Why: "a function is called with JSON, and the body is none"}
	}
	in := &lambda.InvokeInput{FunctionName: &t.name, Payload: p.Body}
	if t.async {
		in.InvocationType = types.InvocationTypeEvent
	}
	out, err := t.desk.putFunction.Invoke(ctx, in)
	if err != nil {
		return t.desk.answerAll(1, err)[0]
	}
	if kind := aws.ToString(out.FunctionError); kind != "" { // its answer may hold what it was called with
		var e struct {
			Type string `json:"errorType"`
		}
		if json.Unmarshal(out.Payload, &e) != nil {
			e.Type = ""
		}
		return Answer{Fate: Refused, Code: "FunctionError", Why: "the function failed: " + cmp.Or(e.Type, kind)}
	}
	return Answer{}
}

func (t *functionTarget) close() error { return nil }
