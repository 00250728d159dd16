package conformance

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// function makes a function with a dead-letter queue. It returns name and the queue's ARN.
func (x *run) function() (name, dlq string) {
	name = x.name("function")
	_, dlq = x.queue(nil)
	_, err := x.set.lambda.CreateFunction(x.ctx, &lambda.CreateFunctionInput{
		FunctionName:     &name,
		Role:             aws.String(role),
		Runtime:          types.RuntimePython312,
		Handler:          aws.String("index.handler"),
		Code:             &types.FunctionCode{ZipFile: x.zipped("index.py", "def handler(event, context):\n    return event\n")},
		Timeout:          aws.Int32(7),
		MemorySize:       aws.Int32(256),
		DeadLetterConfig: &types.DeadLetterConfig{TargetArn: &dlq},
		Environment:      &types.Environment{Variables: map[string]string{"TABLE": "orders"}},
	})
	x.must("CreateFunction", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name})
		return err
	})
	x.until("the function is active", func() (bool, error) {
		out, err := x.set.lambda.GetFunctionConfiguration(x.ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		return err == nil && (out.State == types.StateActive || out.State == ""), err
	})
	return name, dlq
}

func (x *run) zipped(name, text string) []byte {
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	f, err := archive.Create(name)
	x.must("zip", err)
	_, err = f.Write([]byte(text))
	x.must("zip", err)
	x.must("zip", archive.Close())
	return b.Bytes()
}

// mapping lets a new function read a new queue. It returns the mapping's UUID and the queue's ARN.
func (x *run) mapping(function string) (uuid, queue string) {
	_, queue = x.queue(nil)
	out, err := x.set.lambda.CreateEventSourceMapping(x.ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: &function, EventSourceArn: &queue, BatchSize: aws.Int32(5), Enabled: aws.Bool(true)})
	x.must("CreateEventSourceMapping", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.lambda.DeleteEventSourceMapping(ctx, &lambda.DeleteEventSourceMappingInput{UUID: out.UUID})
		return err
	})
	return aws.ToString(out.UUID), queue
}

var functionCases = []oneCase{
	{name: "pages through all functions", service: "Lambda", operation: "ListFunctions", run: func(x *run) {
		var want, got []string
		for range 3 {
			name, _ := x.function()
			want = append(want, name)
		}
		pages := lambda.NewListFunctionsPaginator(x.lambda, &lambda.ListFunctionsInput{MaxItems: aws.Int32(1)})
		n := 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("ListFunctions", err)
			for _, f := range page.Functions {
				got = append(got, aws.ToString(f.FunctionName))
			}
			n++
		}
		if n < 3 {
			x.errorf("%d pages of one function each, want 3 or more", n)
		}
		for _, name := range want {
			if !slices.Contains(got, name) {
				x.errorf("%s is not listed", name)
			}
		}
	}},
	{name: "says what a function is", service: "Lambda", operation: "GetFunctionConfiguration", run: func(x *run) {
		name, dlq := x.function()
		out, err := x.lambda.GetFunctionConfiguration(x.ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		x.must("GetFunctionConfiguration", err)
		if !strings.HasSuffix(aws.ToString(out.FunctionArn), ":function:"+name) {
			x.errorf("ARN is %q", aws.ToString(out.FunctionArn))
		}
		equal(x, "runtime", out.Runtime, types.RuntimePython312)
		equal(x, "timeout", aws.ToInt32(out.Timeout), 7)
		equal(x, "memory", aws.ToInt32(out.MemorySize), 256)
		if out.DeadLetterConfig == nil || aws.ToString(out.DeadLetterConfig.TargetArn) != dlq {
			x.errorf("dead letters go to %+v, want %s", out.DeadLetterConfig, dlq)
		}
		if out.Environment == nil || out.Environment.Variables["TABLE"] != "orders" {
			x.errorf("environment is %+v", out.Environment)
		}
		if aws.ToString(out.LastModified) == "" {
			x.errorf("no time of the last change")
		}
	}},
	{name: "a missing function is ResourceNotFoundException", service: "Lambda", operation: "GetFunctionConfiguration", run: func(x *run) {
		_, err := x.lambda.GetFunctionConfiguration(x.ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(x.name("none"))})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "lists what functions read", service: "Lambda", operation: "ListEventSourceMappings", run: func(x *run) {
		name, _ := x.function()
		first, queue := x.mapping(name)
		second, _ := x.mapping(name)
		pages := lambda.NewListEventSourceMappingsPaginator(x.lambda, &lambda.ListEventSourceMappingsInput{FunctionName: &name, MaxItems: aws.Int32(1)})
		found := map[string]types.EventSourceMappingConfiguration{}
		n := 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("ListEventSourceMappings", err)
			for _, m := range page.EventSourceMappings {
				found[aws.ToString(m.UUID)] = m
			}
			n++
		}
		if n < 2 {
			x.errorf("%d page, want 2 or more", n)
		}
		if _, ok := found[second]; !ok || len(found) != 2 {
			x.errorf("%d mappings, want 2", len(found))
		}
		m := found[first]
		equal(x, "source", aws.ToString(m.EventSourceArn), queue)
		equal(x, "batch size", aws.ToInt32(m.BatchSize), 5)
		if !strings.Contains(aws.ToString(m.FunctionArn), name) || aws.ToString(m.State) == "" {
			x.errorf("function %q, state %q", aws.ToString(m.FunctionArn), aws.ToString(m.State))
		}
	}},
	{name: "says what is reserved", service: "Lambda", operation: "GetFunctionConcurrency", run: func(x *run) {
		name, _ := x.function()
		out, err := x.lambda.GetFunctionConcurrency(x.ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &name})
		x.must("GetFunctionConcurrency", err)
		if out.ReservedConcurrentExecutions != nil {
			x.errorf("%d reserved, want none", *out.ReservedConcurrentExecutions)
		}
		_, err = x.set.lambda.PutFunctionConcurrency(x.ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: &name, ReservedConcurrentExecutions: aws.Int32(4)})
		x.must("PutFunctionConcurrency", err)
		out, err = x.lambda.GetFunctionConcurrency(x.ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &name})
		x.must("GetFunctionConcurrency", err)
		equal(x, "reserved", aws.ToInt32(out.ReservedConcurrentExecutions), 4)
	}},
	{name: "says how many functions may run at once", service: "Lambda", operation: "GetAccountSettings", run: func(x *run) {
		out, err := x.lambda.GetAccountSettings(x.ctx, &lambda.GetAccountSettingsInput{})
		x.must("GetAccountSettings", err)
		if out.AccountLimit == nil || out.AccountLimit.ConcurrentExecutions < 1 {
			x.errorf("the limits are %+v", out.AccountLimit)
		}
	}},
	{name: "says where failed events go", service: "Lambda", operation: "GetFunctionEventInvokeConfig", run: func(x *run) {
		name, _ := x.function()
		_, failed := x.queue(nil)
		_, err := x.set.lambda.PutFunctionEventInvokeConfig(x.ctx, &lambda.PutFunctionEventInvokeConfigInput{
			FunctionName: &name, MaximumRetryAttempts: aws.Int32(1), MaximumEventAgeInSeconds: aws.Int32(120),
			DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: &failed}}})
		x.must("PutFunctionEventInvokeConfig", err)
		out, err := x.lambda.GetFunctionEventInvokeConfig(x.ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: &name})
		x.must("GetFunctionEventInvokeConfig", err)
		equal(x, "retries", aws.ToInt32(out.MaximumRetryAttempts), 1)
		equal(x, "maximum age", aws.ToInt32(out.MaximumEventAgeInSeconds), 120)
		if out.DestinationConfig == nil || out.DestinationConfig.OnFailure == nil || aws.ToString(out.DestinationConfig.OnFailure.Destination) != failed {
			x.errorf("destinations are %+v, want %s on failure", out.DestinationConfig, failed)
		}
	}},
	{name: "no configuration is ResourceNotFoundException", service: "Lambda", operation: "GetFunctionEventInvokeConfig", run: func(x *run) {
		name, _ := x.function()
		_, err := x.lambda.GetFunctionEventInvokeConfig(x.ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: &name})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "runs a function and answers what it answered", service: "Lambda", operation: "Invoke", run: func(x *run) {
		name, _ := x.function()
		if x.sandbox != nil { // an emulator runs the code of the archive
			x.sandbox.Handler(name, func(_ context.Context, event []byte) ([]byte, error) { return event, nil })
		}
		out, err := x.lambda.Invoke(x.ctx, &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{"order":7}`)})
		x.must("Invoke", err)
		equal(x, "status", out.StatusCode, 200)
		equal(x, "function error", aws.ToString(out.FunctionError), "")
		if !strings.Contains(string(out.Payload), "order") {
			x.errorf("payload is %q", out.Payload)
		}
	}},
	{name: "takes an event without waiting for it", service: "Lambda", operation: "Invoke", run: func(x *run) {
		name, _ := x.function()
		out, err := x.lambda.Invoke(x.ctx, &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{}`), InvocationType: types.InvocationTypeEvent})
		x.must("Invoke", err)
		equal(x, "status", out.StatusCode, 202)
	}},
	{name: "an error of the function is no error of the call", service: "Lambda", operation: "Invoke", ours: true, run: func(x *run) {
		name, _ := x.function()
		x.sandbox.Handler(name, func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no zip") })
		out, err := x.lambda.Invoke(x.ctx, &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{}`)})
		x.must("Invoke", err)
		equal(x, "status", out.StatusCode, 200)
		if aws.ToString(out.FunctionError) == "" || !strings.Contains(string(out.Payload), "no zip") {
			x.errorf("function error %q, payload %q", aws.ToString(out.FunctionError), out.Payload)
		}
	}},
	{name: "a missing function is ResourceNotFoundException", service: "Lambda", operation: "Invoke", run: func(x *run) {
		_, err := x.lambda.Invoke(x.ctx, &lambda.InvokeInput{FunctionName: aws.String(x.name("none")), Payload: []byte(`{}`)})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
}
