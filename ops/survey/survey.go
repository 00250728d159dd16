// Package survey looks at one account and region: it finds the streams,
// deliveries, queues, topics, functions, buckets and alarms, how they feed each
// other, and reads the numbers that say what will lose data. One look is one
// ops.Snapshot.
//
// Names are listed at every look, descriptions are read once and then again
// every ten minutes, a part at a time, and numbers are asked for as often as they
// matter: a row in danger every minute, a healthy one every five, a sleeping
// queue never.
//
// Read the files in this order: survey.go (one look), shelf.go (how a kind of
// resource is listed and described), streams.go, deliveries.go, queues.go,
// topics.go, functions.go, apis.go, buckets.go, alarms.go (the kinds), relate.go (who
// reads and who fails into what), plan.go (which numbers now, and what that
// costs), activity.go (who is asleep), metrics.go (asking), picture.go (what is
// known so far), cache.go (the last picture on disk), find.go, raw.go.
package survey

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
	"kxops/ops/cloud"
)

const (
	// sectionTimeout bounds the listing and describing of one kind in one look.
	// What is not described by then is described in the next look.
	sectionTimeout = 25 * time.Second
	// metricsTimeout bounds one round of asking for numbers.
	metricsTimeout = 15 * time.Second
	// showEvery is how often a growing picture is shown at most.
	showEvery = 100 * time.Millisecond
	// waveEvery is how long the numbers wait for more names while descriptions
	// are still coming in.
	waveEvery = 150 * time.Millisecond
)

// Options shape a survey. The zero value is right for the console.
type Options struct {
	Budget   float64       // USD an hour that looking may cost; the pace slows down to keep it. 0: no limit
	Pace     time.Duration // time between two looks; 0 and anything shorter mean a minute, because the data is by the minute
	Buckets  []string      // buckets to look at besides those that a delivery or a policy names
	CacheDir string        // where the last picture is kept; "" means the XDG cache directory
	NoCache  bool          // keep nothing on disk: the demo, tests
	Now      func() time.Time
}

// Ask is what one look is for.
type Ask struct {
	Focus   []ops.ARN // the resources on screen in detail: every number, every minute
	Blurred bool      // nobody is looking: four times slower
	Fresh   bool      // a person asked for it: read lists and descriptions anew (sleeping queues still sleep)
}

// Survey looks at one account and region, again and again. It is safe for
// concurrent use; looks happen one at a time.
type Survey struct {
	cloud   *cloud.Cloud
	options Options

	streams    *kinesis.Client
	deliveries *firehose.Client
	queues     *sqs.Client
	topics     *sns.Client
	functions  *lambda.Client
	buckets    *s3.Client
	apis       *apigatewayv2.Client
	metrics    *cloudwatch.Client

	looking sync.Mutex // held for the whole of a look
	changed chan struct{}

	mu      sync.Mutex // guards everything below
	picture picture
	ask     Ask
	fatal   context.CancelCauseFunc // ends the look that is going on
}

// New returns a survey of the account that c opens. It sends nothing.
func New(c *cloud.Cloud, o Options) *Survey {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Pace = max(o.Pace, time.Minute)
	cfg := c.Config()
	return &Survey{
		cloud:      c,
		options:    o,
		streams:    kinesis.NewFromConfig(cfg),
		deliveries: firehose.NewFromConfig(cfg),
		queues:     sqs.NewFromConfig(cfg),
		topics:     sns.NewFromConfig(cfg),
		functions:  lambda.NewFromConfig(cfg),
		buckets:    s3.NewFromConfig(cfg),
		apis:       apigatewayv2.NewFromConfig(cfg),
		metrics:    c.CloudWatch(),
		changed:    make(chan struct{}, 1),
		picture:    newPicture(),
	}
}

// Collect looks once and returns what it saw. While the look goes on, partial is
// called with the growing picture, from the calling goroutine, at most every
// 100 ms and never after Collect returned; it may be nil.
//
// What could not be read keeps its last items with their age, and says why in
// its section. Collect never fails as a whole.
func (s *Survey) Collect(ctx context.Context, ask Ask, partial func(ops.Snapshot)) ops.Snapshot {
	s.looking.Lock()
	defer s.looking.Unlock()
	ctx, fatal := context.WithCancelCause(ctx)
	defer fatal(nil)
	s.begin(ask, fatal)

	done := make(chan struct{})
	go func() {
		defer close(done)
		s.look(ctx)
	}()
	s.show(done, partial)
	return s.end(ctx)
}

// LastKnown returns the picture that an earlier run left on disk, marked as
// recalled. ok is false when there is none.
func (s *Survey) LastKnown() (last ops.Snapshot, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recall()
	if s.picture.Empty() {
		return ops.Snapshot{}, false
	}
	sn := s.snapshot()
	sn.Recalled = true
	return sn, true
}

func (s *Survey) begin(ask Ask, fatal context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recall()
	s.ask, s.fatal = ask, fatal
	s.picture.Look++
	clear(s.picture.Problems)
	s.picture.pace = paced(s.picture.load, s.options, ask.Blurred) // as last planned, until this look plans
	s.picture.Started = s.options.Now()
	s.picture.Ended = time.Time{}
	s.picture.answered = false
}

// look lists, describes and reads, all kinds at once.
func (s *Survey) look(ctx context.Context) {
	describing := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { s.safely("metrics", func() { s.readMetrics(ctx, describing) }) })
	all.Go(func() { s.safely("metrics", func() { s.readActivity(ctx) }) })
	all.Go(func() { s.safely("alarms", func() { s.surveyAlarms(ctx) }) })

	var kinds sync.WaitGroup
	for name, survey := range map[string]func(context.Context){
		"identity":   s.readIdentity,
		"streams":    s.surveyStreams,
		"deliveries": s.surveyDeliveries,
		"queues":     s.surveyQueues,
		"topics":     s.surveyTopics,
		"functions":  s.surveyFunctions,
		"apis":       s.surveyAPIs,
	} {
		kinds.Go(func() { s.safely(name, func() { survey(ctx) }) })
	}
	kinds.Wait()
	close(describing)
	s.safely("buckets", func() { s.surveyBuckets(ctx) }) // which buckets, the others say
	all.Wait()
}

// safely turns a panic into a problem of its section: a mistake in one corner
// must not take the terminal away from a person in the middle of an incident.
func (s *Survey) safely(section string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.picture.Problems[section] = &ops.Problem{
				Fault: ops.FaultOther,
				What:  fmt.Sprintf("reading the %s hit a mistake in kxops: %v", section, p),
				Hint:  "please report it",
				Err:   fmt.Errorf("panic: %v\n%s", p, debug.Stack()),
			}
		}
	}()
	f()
}

// show hands out the growing picture until the look is done.
func (s *Survey) show(done <-chan struct{}, partial func(ops.Snapshot)) {
	var shown time.Time
	every := showEvery
	for {
		select {
		case <-done:
			return
		case <-s.changed:
		}
		if wait := every - time.Since(shown); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-done:
				timer.Stop()
				return
			case <-timer.C:
			}
		}
		shown = time.Now()
		if partial != nil {
			partial(s.Snapshot())
		}
		every = max(showEvery, 4*time.Since(shown)) // a large account takes longer to draw than to wait for
	}
}

// touch says that the picture changed. It never blocks.
func (s *Survey) touch() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *Survey) end(ctx context.Context) ops.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture.Ended = s.options.Now()
	s.fatal = nil
	if ctx.Err() == nil {
		s.keep()
	}
	return s.snapshot()
}

// Snapshot returns the picture as it is known now, without looking.
func (s *Survey) Snapshot() ops.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot()
}

// snapshot builds the value that is handed out. Call it under the lock.
func (s *Survey) snapshot() ops.Snapshot {
	sn := s.picture.Snapshot()
	sn.Spend = s.cloud.Meter().Spend()
	pace := s.picture.pace
	if sn.Spend.For < 10*time.Minute {
		// The meter's projection would spread the one-time cost of the first look over
		// every hour to come; the plan knows better until the first look has faded.
		sn.Spend.PerHour = pace.PerHour
	}
	sn.Next = pace.next(s.options.Now())
	if sn.Streams.Known+sn.Deliveries.Known+sn.Queues.Known+sn.Functions.Known > 0 && s.picture.unfinished() {
		sn.Next = min(sn.Next, time.Second) // our own deadline ended the look: go on soon
	}
	return sn
}

func (s *Survey) readIdentity(ctx context.Context) {
	id, err := s.cloud.Identity(ctx)
	if err != nil {
		p := s.explain(ctx, err) // ends the look where nothing else can succeed
		s.mu.Lock()
		defer s.mu.Unlock()
		if p == nil || s.fatal == nil {
			return
		}
		switch p.Fault {
		case ops.FaultUnreachable, ops.FaultTimeout, ops.FaultNotAWS:
			// A network may have no way to STS and still reach the rest. Where nothing
			// else has answered either, a person is told now and not ten seconds later.
			if !s.picture.answered {
				s.fatal(p)
			}
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture.itIs(id)
	s.touch()
}

// explain turns an error into words, and ends the whole look when no other call
// can do better. It returns nil when a person gave up waiting: that is no problem
// of the account's.
func (s *Survey) explain(ctx context.Context, err error) *ops.Problem {
	var ended *ops.Problem
	if cause := context.Cause(ctx); errors.As(cause, &ended) {
		return ended
	} else if errors.Is(cause, context.Canceled) {
		return nil
	}
	p := s.cloud.Explain(err)
	switch p.Fault {
	case ops.FaultExpired, ops.FaultNoCreds, ops.FaultClock, ops.FaultRegion:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fatal != nil {
			s.fatal(p)
		}
	}
	return p
}
