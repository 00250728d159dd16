package dlq

import (
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// Options say whose dead letters are worked on and where it is recorded.
type Options struct {
	Config   aws.Config // the guarded configuration of ops/cloud
	Identity ops.Identity
	Journal  *journal.Journal
	Now      func() time.Time // nil: time.Now; the account's clock
	// Explain turns an AWS error into one sentence; nil: cloud.Explain. What is tried
	// again depends on the fault that it finds.
	Explain func(error) *ops.Problem
}

// Desk is where dead letters of one account and region are worked on. It
// remembers what this run has looked at. It is safe for concurrent use.
type Desk struct {
	o   Options
	sqs *sqs.Client
	// once is a client that sends each request once: a repeated send is a duplicate,
	// so sending owns its repetition (facts: the default retryer sent a batch three times).
	once    *sqs.Client
	sns     *sns.Client
	lambda  *lambda.Client
	kinesis *kinesis.Client
	s3      *s3.Client

	memory *memory
	event  func() error // nil; in tests, the program's death between two steps
	holds  int          // 0: holdMost; in tests, fewer

	mu      sync.Mutex
	piles   map[ops.ARN]*Pile  // the last look at each queue
	looking map[ops.ARN]bool   // a look is under way
	notes   map[ops.ARN]string // what could not be read of a queue
}

// note remembers what could not be read of a queue; "" forgets it.
func (d *Desk) note(queue ops.ARN, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if what == "" {
		delete(d.notes, queue)
		return
	}
	d.notes[queue] = what
}

// New makes a desk. It sends nothing.
func New(o Options) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	// Without the monotonic reading, which stands still while the computer sleeps: leases
	// and SQS's window for duplicates go on meanwhile.
	clock := o.Now
	o.Now = func() time.Time { return clock().Round(0) }
	if o.Explain == nil {
		at := cloud.Place{Region: o.Config.Region}
		o.Explain = func(err error) *ops.Problem { return cloud.Explain(err, at) }
	}
	return &Desk{
		o:       o,
		sqs:     sqs.NewFromConfig(o.Config),
		once:    sqs.NewFromConfig(o.Config, func(so *sqs.Options) { so.Retryer = aws.NopRetryer{} }),
		sns:     sns.NewFromConfig(o.Config, func(so *sns.Options) { so.Retryer = aws.NopRetryer{} }),
		lambda:  lambda.NewFromConfig(o.Config),
		kinesis: kinesis.NewFromConfig(o.Config),
		s3:      s3.NewFromConfig(o.Config),
		memory:  newMemory(),
		piles:   map[ops.ARN]*Pile{},
		looking: map[ops.ARN]bool{},
		notes:   map[ops.ARN]string{},
	}
}
