package replay

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// Options say whose events are replayed and where it is recorded.
type Options struct {
	Config   aws.Config // the guarded configuration of ops/cloud
	Identity ops.Identity
	Journal  *journal.Journal
	Now      func() time.Time // nil: time.Now; the account's clock
	Explain  func(error) *ops.Problem
	Outside  bool // this computer is not in AWS: what is read leaves it, and is billed
}

// Desk is where the replays of one account and region are planned and carried out.
// It is safe for concurrent use.
type Desk struct {
	o        Options
	polls    float64              // reads of a shard a second; 0: pollsASecond
	page     int32                // records of one read of a shard; 0: as many as there are
	disk     func(*os.File) error // of receipts; nil: fsync
	watches  time.Duration        // between two looks at the guards' metrics; 0: metricsEvery
	slack    time.Duration        // how far arrival times are out of order; 0: arrivalSlack
	clock    clock                // by which records are paced
	dryRuns  atomic.Bool          // Kinesis has shown here that it knows DryRun: see preflight.go
	kinesis  *kinesis.Client
	firehose *firehose.Client
	s3       *s3.Client
	athena   *athena.Client
	sqs      *sqs.Client
	sns      *sns.Client
	lambda   *lambda.Client
	metrics  *cloudwatch.Client
	events   *eventbridge.Client
	// Those that send: each request leaves once. A repetition is the lane's to decide,
	// and the SDK's own retry budget would end a long replay (facts: 500 tokens, 5 a retry).
	putStream   *kinesis.Client
	putDelivery *firehose.Client
	putQueue    *sqs.Client
	putTopic    *sns.Client
	putBus      *eventbridge.Client
	putFunction *lambda.Client
}

// New makes a desk. It sends nothing.
func New(o Options) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	clock := o.Now
	o.Now = func() time.Time { return clock().Round(0) } // without the monotonic reading: it stands still while the computer sleeps
	if o.Explain == nil {
		at := cloud.Place{Region: o.Config.Region}
		o.Explain = func(err error) *ops.Problem { return cloud.Explain(err, at) }
	}
	once := o.Config.Copy()
	once.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return &Desk{
		o:           o,
		clock:       wall,
		kinesis:     kinesis.NewFromConfig(o.Config),
		firehose:    firehose.NewFromConfig(o.Config),
		s3:          s3.NewFromConfig(o.Config),
		athena:      athena.NewFromConfig(o.Config),
		sqs:         sqs.NewFromConfig(o.Config),
		sns:         sns.NewFromConfig(o.Config),
		lambda:      lambda.NewFromConfig(o.Config),
		metrics:     cloudwatch.NewFromConfig(o.Config),
		events:      eventbridge.NewFromConfig(o.Config),
		putStream:   kinesis.NewFromConfig(once),
		putDelivery: firehose.NewFromConfig(once),
		putQueue:    sqs.NewFromConfig(once),
		putBus:      eventbridge.NewFromConfig(once),
		putTopic:    sns.NewFromConfig(once),
		putFunction: lambda.NewFromConfig(once),
	}
}
