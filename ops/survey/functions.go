package survey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
)

// lambdaTime is the layout of LastModified in the Lambda API.
const lambdaTime = "2006-01-02T15:04:05.999-0700"

// mapping is an event source mapping: a function that reads a stream or a queue.
type mapping struct {
	ops.Consumer
	Source ops.ARN // the stream, the queue, or the registered consumer of a stream
}

func (s *Survey) surveyFunctions(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() {
		s.safely("functions", func() {
			survey(ctx, s, &s.picture.Functions, source[ops.Function]{
				workers:  8,
				every:    describeEvery / 2,
				list:     s.listFunctions,
				key:      func(f ops.Function) string { return f.Name },
				renew:    renewFunction,
				describe: s.describeFunction,
				due:      s.dueFunctions,
			})
		})
	})
	both.Go(func() {
		s.safely("functions", func() {
			// A mapping's state is what stops a consumer, so it is read at every look.
			survey(ctx, s, &s.picture.Mappings, source[mapping]{
				list:  s.listMappings,
				key:   func(m mapping) string { return m.ID },
				renew: func(_, listed mapping) mapping { return listed },
			})
		})
	})
	both.Wait()
	s.readConcurrency(ctx)
}

// quotaEvery is how often the account's quota of concurrency is read: it changes
// when somebody has asked AWS for more.
const quotaEvery = time.Hour

// readConcurrency reads how many functions may run at once, where there are any.
// One that may not be read leaves a rule without its number and nothing else.
func (s *Survey) readConcurrency(ctx context.Context) {
	s.mu.Lock()
	due := len(s.picture.Functions.Entries) > 0 && (s.options.Now().Sub(s.picture.quotaAt) >= quotaEvery || s.ask.Fresh)
	s.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := s.functions.GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	var p *ops.Problem
	if err != nil {
		p = s.explain(ctx, err)
	}
	var known ops.Reading
	switch {
	case err == nil && out.AccountLimit != nil && out.AccountLimit.ConcurrentExecutions > 0:
		known = ops.Know(float64(out.AccountLimit.ConcurrentExecutions), s.options.Now())
	case err == nil, p != nil && p.Fault == ops.FaultUnsupported:
		known = ops.Missing(ops.Unsupported)
	case p != nil && p.Fault == ops.FaultDenied:
		known = ops.Missing(ops.Denied)
	default:
		return // it is asked for again in the next look
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture.Concurrency, s.picture.quotaAt = known, s.options.Now()
	s.touch()
}

func (s *Survey) listFunctions(ctx context.Context, found func([]ops.Function)) error {
	pages := lambda.NewListFunctionsPaginator(s.functions, &lambda.ListFunctionsInput{MaxItems: aws.Int32(50)})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return errTooManyPages("functions")
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list functions: %w", err)
		}
		page := make([]ops.Function, 0, len(out.Functions))
		for _, x := range out.Functions {
			page = append(page, functionFrom(x))
		}
		found(page)
	}
	return nil
}

func functionFrom(x types.FunctionConfiguration) ops.Function {
	f := ops.Function{
		ARN:        ops.ARN(aws.ToString(x.FunctionArn)).Unqualified(),
		Name:       aws.ToString(x.FunctionName),
		Runtime:    string(x.Runtime),
		State:      string(x.State),
		Timeout:    time.Duration(aws.ToInt32(x.Timeout)) * time.Second,
		MemoryMB:   int(aws.ToInt32(x.MemorySize)),
		MaxRetries: -1,
	}
	if t, err := time.Parse(lambdaTime, aws.ToString(x.LastModified)); err == nil {
		f.Modified = t
	}
	if x.DeadLetterConfig != nil {
		f.DeadLetter = ops.ARN(aws.ToString(x.DeadLetterConfig.TargetArn))
	}
	if x.Environment != nil {
		for name := range x.Environment.Variables {
			f.Environments = append(f.Environments, name)
		}
		sort.Strings(f.Environments)
	}
	return f
}

// renewFunction keeps what only the slower calls say.
func renewFunction(known, listed ops.Function) ops.Function {
	listed.OnFailure, listed.OnSuccess = known.OnFailure, known.OnSuccess
	listed.MaxEventAge, listed.MaxRetries = known.MaxEventAge, known.MaxRetries
	listed.Concurrency = known.Concurrency
	if listed.State == "" { // ListFunctions leaves it out
		listed.State = known.State
	}
	return listed
}

// dueFunctions picks what is due as for any kind, and what is on screen, for
// which two more calls are made.
func (s *Survey) dueFunctions(now time.Time) map[string]bool {
	// Lambda allows 15 calls a second over all of its control plane, so the
	// configurations of asynchronous invocation are renewed three times slower.
	due := rolling(&s.picture.Functions, now, s.interval()/3, false)
	focus := s.focus()
	for key, e := range s.picture.Functions.Entries {
		if focus[e.Item.ARN] && (e.Item.State == "" || now.Sub(e.Described) >= time.Minute) {
			due[key] = true
		}
	}
	return due
}

func (s *Survey) describeFunction(ctx context.Context, f ops.Function) (ops.Function, error) {
	out, err := s.functions.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: &f.Name})
	var none *types.ResourceNotFoundException
	switch {
	case errors.As(err, &none): // the function has no such configuration: the defaults hold
		f.OnFailure, f.OnSuccess, f.MaxEventAge, f.MaxRetries = "", "", 0, -1
	case err != nil:
		return f, fmt.Errorf("read the asynchronous configuration of %s: %w", f.Name, err)
	default:
		f.OnFailure, f.OnSuccess = "", ""
		if d := out.DestinationConfig; d != nil {
			if d.OnFailure != nil {
				f.OnFailure = ops.ARN(aws.ToString(d.OnFailure.Destination))
			}
			if d.OnSuccess != nil {
				f.OnSuccess = ops.ARN(aws.ToString(d.OnSuccess.Destination))
			}
		}
		f.MaxEventAge = time.Duration(aws.ToInt32(out.MaximumEventAgeInSeconds)) * time.Second
		f.MaxRetries = -1
		if out.MaximumRetryAttempts != nil {
			f.MaxRetries = int(*out.MaximumRetryAttempts)
		}
	}
	s.mu.Lock()
	focused := s.focus()[f.ARN]
	s.mu.Unlock()
	if !focused {
		return f, nil
	}
	return s.describeFunctionOnScreen(ctx, f)
}

// describeFunctionOnScreen reads what only a person who looks at one function
// wants to know.
func (s *Survey) describeFunctionOnScreen(ctx context.Context, f ops.Function) (ops.Function, error) {
	c, err := s.functions.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &f.Name})
	if err != nil {
		return f, &partlyError{fmt.Errorf("read the configuration of %s: %w", f.Name, err)}
	}
	f.State = string(c.State)
	limit, err := s.functions.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &f.Name})
	if err != nil {
		return f, &partlyError{fmt.Errorf("read the concurrency of %s: %w", f.Name, err)}
	}
	f.Concurrency = ops.Missing(ops.NoData) // unreserved
	if limit.ReservedConcurrentExecutions != nil {
		f.Concurrency = ops.Know(float64(*limit.ReservedConcurrentExecutions), s.options.Now())
	}
	return f, nil
}

func (s *Survey) listMappings(ctx context.Context, found func([]mapping)) error {
	pages := lambda.NewListEventSourceMappingsPaginator(s.functions, &lambda.ListEventSourceMappingsInput{MaxItems: aws.Int32(100)})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return errTooManyPages("event source mappings")
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list event source mappings: %w", err)
		}
		page := make([]mapping, 0, len(out.EventSourceMappings))
		for _, x := range out.EventSourceMappings {
			page = append(page, mappingFrom(x))
		}
		found(page)
	}
	return nil
}

func mappingFrom(x types.EventSourceMappingConfiguration) mapping {
	function := ops.ARN(aws.ToString(x.FunctionArn)).Unqualified()
	m := mapping{
		Source: ops.ARN(aws.ToString(x.EventSourceArn)),
		Consumer: ops.Consumer{
			Kind:       ops.ByMapping,
			ARN:        function,
			Name:       function.Name(),
			ID:         aws.ToString(x.UUID),
			State:      aws.ToString(x.State),
			BatchSize:  int(aws.ToInt32(x.BatchSize)),
			LastResult: aws.ToString(x.LastProcessingResult),
		},
	}
	// -1, the default, means until the stream trims.
	if age := aws.ToInt32(x.MaximumRecordAgeInSeconds); age > 0 {
		m.MaxRecordAge = time.Duration(age) * time.Second
	}
	if x.MetricsConfig != nil && slices.Contains(x.MetricsConfig.Metrics, types.EventSourceMappingMetricEventCount) {
		m.Counts = m.ID
	}
	if x.DestinationConfig != nil && x.DestinationConfig.OnFailure != nil {
		m.OnFailure = ops.ARN(aws.ToString(x.DestinationConfig.OnFailure.Destination))
	}
	return m
}
