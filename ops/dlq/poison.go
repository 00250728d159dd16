package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"kxops/ops"
	"kxops/ops/journal"
)

// What a search for a poison record can end with, besides the record.
var (
	// ErrNoPoison: the function takes the whole range now.
	ErrNoPoison = errors.New("the function does not fail on these records any more")
	// ErrTogether: a part fails, and neither of its halves does.
	ErrTogether = errors.New("the records fail only together")
)

const (
	mostRun    = 15 * time.Minute // the longest that a function may run (Lambda quotas)
	runMargin  = 10 * time.Second // on top of the function's own timeout: cold start, network
	throttleIt = 5                // attempts of a call that Lambda throttled: it did not run
)

// runner invokes one function synchronously.
type runner struct {
	lambda   *lambda.Client
	function ops.ARN
	role     string
	timeout  time.Duration
}

// newRunner reads what has to be known to invoke a function.
//
// Its client repeats only what did not run (throttled): a repeated invocation is
// another run. It waits for the answer as long as the function may take, where the
// door's own client gives up after half a minute.
func (d *Desk) newRunner(ctx context.Context, function ops.ARN) (*runner, error) {
	out, err := d.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(string(function))})
	if err != nil {
		return nil, fmt.Errorf("read function %s: %w", function.Name(), err)
	}
	r := &runner{function: function, role: aws.ToString(out.Role), timeout: time.Duration(aws.ToInt32(out.Timeout))*time.Second + runMargin}
	r.lambda = lambda.NewFromConfig(d.o.Config, func(o *lambda.Options) {
		if c, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
			o.HTTPClient = c.WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = mostRun })
		}
		o.Retryer = retry.NewStandard(func(so *retry.StandardOptions) {
			so.MaxAttempts = throttleIt
			so.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes}}
		})
	})
	return r, nil
}

// ran is the outcome of one invocation.
type ran struct {
	failed bool
	why    string   // the error as the function wrote it
	items  []string // of a partial batch response: what it could not do
}

func (r *runner) run(ctx context.Context, event []byte) (ran, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	out, err := r.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(string(r.function)), Payload: event})
	if err != nil {
		return ran{}, fmt.Errorf("invoke %s: %w", r.function.Name(), err)
	}
	if out.FunctionError != nil {
		return ran{failed: true, why: errorWritten(out.Payload)}, nil
	}
	var partial struct {
		Failures []struct {
			Item string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if json.Unmarshal(out.Payload, &partial) != nil {
		return ran{}, nil // an answer of its own: the function did not fail
	}
	answer := ran{failed: len(partial.Failures) > 0}
	for _, f := range partial.Failures {
		answer.items = append(answer.items, f.Item)
	}
	return answer, nil
}

func errorWritten(payload []byte) string {
	var e struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}
	if json.Unmarshal(payload, &e) != nil {
		return "an error that is no JSON"
	}
	if e.Type == "" || e.Message == "" {
		return e.Type + e.Message
	}
	return e.Type + ": " + e.Message
}

// Poison finds the record that makes the consumer fail, by invoking it with halves
// of the range. That is an act: the function runs on the other records again, at
// most twice for each halving. It needs the access level change. say is told what
// is going on; it may be nil.
//
// The error is ErrNoPoison when nothing fails any more, and ErrTogether when no
// single record does; anything else is something that could not be read or run.
// With several poison records it finds the first.
func (d *Desk) Poison(ctx context.Context, p ops.Pointer, say func(string)) (record Record, err error) {
	if say == nil {
		say = func(string) {}
	}
	if p.Kind != ops.KinesisRange || p.Function == "" {
		return Record{}, errors.New("find the poison record: only a pointer into a Kinesis stream that names its function can be searched")
	}
	r, err := d.Fetch(ctx, p)
	if err != nil {
		return Record{}, err
	}
	if len(r.Records) == 0 {
		return Record{}, fmt.Errorf("find the poison record: %s", r.Why)
	}
	if !r.Complete {
		say(r.Why)
	}
	run, err := d.newRunner(ctx, p.Function)
	if err != nil {
		return Record{}, err
	}
	done, err := d.noteRuns(p, len(r.Records))
	if err != nil {
		return Record{}, err
	}
	s := &search{runner: run, pointer: p, say: say}
	say(fmt.Sprintf("%s runs again on these records, up to %d times", p.Function.Unqualified().Name(), mostRuns(len(r.Records))))
	record, err = s.among(ctx, r.Records)
	return record, errors.Join(err, done(s.runs, err))
}

// mostRuns is how often a search invokes the function at most: once with everything,
// then twice for each halving.
func mostRuns(records int) int { return 1 + 2*bits.Len(uint(records-1)) }

// noteRuns writes into the journal that a function is about to be run, and returns
// what writes how it ended.
func (d *Desk) noteRuns(p ops.Pointer, records int) (done func(runs int, err error) error, err error) {
	if d.o.Journal == nil {
		return func(int, error) error { return nil }, nil
	}
	entry := journal.Entry{
		Account: d.o.Identity.Account, Region: d.o.Config.Region, Kind: journal.KindOperation, Outcome: journal.Started,
		What: fmt.Sprintf("search the poison record: invoke %s with parts of %s of %s", p.Function, count(records, "record"), p.Stream),
	}
	if entry, err = d.o.Journal.Append(entry); err != nil {
		return nil, fmt.Errorf("find the poison record: %w", err)
	}
	return func(runs int, err error) error {
		entry.At, entry.Calls, entry.Outcome = time.Time{}, runs, journal.Done
		if err != nil && !errors.Is(err, ErrNoPoison) && !errors.Is(err, ErrTogether) {
			entry.Outcome = journal.Failed
		}
		_, err = d.o.Journal.Append(entry)
		return err
	}, nil
}

// search is one search for a poison record.
type search struct {
	*runner
	pointer ops.Pointer
	say     func(string)
	runs    int
}

func (s *search) among(ctx context.Context, records []Record) (Record, error) {
	got, err := s.try(ctx, records)
	if err != nil {
		return Record{}, err
	}
	if !got.failed {
		return Record{}, ErrNoPoison
	}
	for len(records) > 1 {
		if r, ok := named(got.items, records); ok {
			s.say("the function names it itself")
			return r, nil
		}
		half, failed, err := s.half(ctx, records)
		if err != nil {
			return Record{}, err
		}
		if half == nil {
			return Record{}, fmt.Errorf("%w: %s, from %s to %s", ErrTogether, count(len(records), "record"), records[0].Sequence, records[len(records)-1].Sequence)
		}
		records, got = half, failed
	}
	if got.why != "" {
		s.say("it fails with " + got.why)
	}
	return records[0], nil
}

// half returns the first half that fails by itself, nil when neither does.
func (s *search) half(ctx context.Context, records []Record) ([]Record, ran, error) {
	middle := len(records) / 2
	for _, part := range [][]Record{records[:middle], records[middle:]} {
		got, err := s.try(ctx, part)
		if err != nil || got.failed {
			return part, got, err
		}
	}
	return nil, ran{}, nil
}

func (s *search) try(ctx context.Context, records []Record) (ran, error) {
	event, err := kinesisEvent(s.pointer, s.role, records)
	if err != nil {
		return ran{}, err
	}
	s.runs++
	got, err := s.run(ctx, event)
	if err != nil {
		return got, err
	}
	word := "passes"
	if got.failed {
		word = "fails"
	}
	s.say(fmt.Sprintf("run %d: %s from %s: %s", s.runs, count(len(records), "record"), records[0].Sequence, word))
	return got, nil
}

// named is the first record that a partial batch response names.
func named(items []string, records []Record) (Record, bool) {
	for _, r := range records {
		for _, item := range items {
			if r.Sequence == item {
				return r, true
			}
		}
	}
	return Record{}, false
}
