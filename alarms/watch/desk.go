// Package watch works on the CloudWatch alarms of one account: what exists, what
// should, plan, apply, and whether anybody would hear them.
//
// Read desk.go (the room), then read.go (what exists), plan.go, apply.go.
package watch

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// Options is what a desk needs. Config is the guarded one of ops/cloud.
type Options struct {
	Config   aws.Config
	Identity ops.Identity
	Journal  *journal.Journal // nil: nothing can be applied
	Now      func() time.Time // nil: the wall clock
	Explain  func(error) *ops.Problem
}

// Desk works on the alarms of one account and region. It is safe for concurrent use.
type Desk struct {
	o       Options
	metrics *cloudwatch.Client
	topics  *sns.Client
	tags    *resourcegroupstaggingapi.Client
}

// New makes a desk. It sends nothing.
func New(o Options) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Explain == nil {
		at := cloud.Place{Region: o.Config.Region}
		o.Explain = func(err error) *ops.Problem { return cloud.Explain(err, at) }
	}
	return &Desk{
		o:       o,
		metrics: cloudwatch.NewFromConfig(o.Config),
		topics:  sns.NewFromConfig(o.Config),
		tags:    resourcegroupstaggingapi.NewFromConfig(o.Config),
	}
}
