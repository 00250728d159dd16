package cloud

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"golang.org/x/time/rate"

	"kxops/ops"
)

// Quota is the documented rate of an operation, per account and region.
type Quota struct {
	Service   string
	Operation string // "" for all operations of the service together
	PerSecond float64
	// PerResource marks a rate that each stream has for itself.
	PerResource bool
	// Source is where AWS documents the rate.
	Source string
}

// Quotas are the rates that kxops keeps to, so that a look at a large account
// does not take the quota away from the deployments and consoles that share it.
// Operations without a documented rate (the SQS control plane, SNS
// Get*Attributes, S3, STS) are not limited here; when AWS throttles one anyway,
// the retry policy backs off.
var Quotas = []Quota{
	{"Kinesis", "ListStreams", 5, false, "Kinesis API reference, ListStreams: 5 transactions per second per account"},
	{"Kinesis", "DescribeStreamSummary", 20, false, "Kinesis API reference, DescribeStreamSummary: 20 per second per account"},
	{"Kinesis", "ListStreamConsumers", 5, true, "Kinesis API reference, ListStreamConsumers: 5 per second per stream"},
	{"Kinesis", "ListShards", 100, true, "Kinesis API reference, ListShards: 1000 per second per stream; a tenth of it is ours"},
	{"Kinesis", "GetShardIterator", 2, true, "Kinesis API reference, GetShardIterator: 5 per second per shard; consumers need the rest"},
	{"Kinesis", "GetRecords", 2, true, "Kinesis API reference, GetRecords: 5 per second per shard; consumers need the rest"},
	{"Kinesis", "ListChannels", 5, false, "Kinesis API reference, ListChannels: 5 per second per account"},
	{"Kinesis", "DescribeChannel", 5, false, "Kinesis API reference, DescribeChannel: 5 per second per account"},
	{"Firehose", "DescribeDeliveryStream", 5, false, "https://docs.aws.amazon.com/firehose/latest/dev/limits.html"},
	{"Firehose", "ListDeliveryStreams", 5, false, "https://docs.aws.amazon.com/firehose/latest/dev/limits.html"},
	{"SNS", "ListTopics", 30, false, "SNS API reference, ListTopics: throttled at 30 per second"},
	{"SNS", "ListSubscriptionsByTopic", 30, false, "SNS API reference, ListSubscriptionsByTopic: throttled at 30 per second"},
	{"SNS", "ListSubscriptions", 30, false, "SNS API reference, ListSubscriptions: throttled at 30 per second"},
	{"Lambda", "Invoke", 10000, false, "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 10 times the concurrency, 1,000 by default; not the control plane"},
	{"Lambda", "", 15, false, "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 15 per second across the control plane, not per API"},
	{"ApiGatewayV2", "", 5, false, "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html: 10 per second over the control plane of an account; half of it is ours"},
	{"CloudWatch", "GetMetricData", 500, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "ListMetrics", 25, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "DescribeAlarms", 9, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "ListTagsForResource", 10, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "PutMetricAlarm", 3, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "DeleteAlarms", 3, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "EnableAlarmActions", 3, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "TagResource", 20, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"Resource Groups Tagging API", "GetResources", 15, false, "https://docs.aws.amazon.com/general/latest/gr/arg.html"},
	{"CloudWatch", "DescribeAlarmHistory", 20, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "ListAlarmMuteRules", 50, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "GetAlarmMuteRule", 20, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "SetAlarmState", 3, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
	{"CloudWatch", "PutAlarmMuteRule", 3, false, "https://docs.aws.amazon.com/general/latest/gr/cw_region.html"},
}

// quotas hands out turns. A nil *quotas never waits.
type quotas struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter // bounded by the operations times the streams of the account
}

func newQuotas() *quotas { return &quotas{limiters: map[string]*rate.Limiter{}} }

// wait blocks until the call may be sent. It fails at once, as a timeout, when
// the turn would come after the deadline.
func (q *quotas) wait(ctx context.Context, c *Call) error {
	if q == nil {
		return nil
	}
	limit, ok := quotaOf(c.Service, c.Operation)
	if !ok {
		return nil
	}
	if err := q.limiter(limit, c).Wait(ctx); err != nil {
		return &ops.Problem{
			Fault: ops.FaultTimeout,
			What:  fmt.Sprintf("%s %s was not sent in time: AWS allows %g a second, and others were before it", c.Service, c.Operation, limit.PerSecond),
			Hint:  "wait for the next look, or narrow what is looked at",
			Err:   err,
		}
	}
	return nil
}

func (q *quotas) limiter(limit Quota, c *Call) *rate.Limiter {
	key := limit.Service + "." + limit.Operation
	if limit.PerResource {
		key += "." + c.quotaKey
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l, ok := q.limiters[key]
	if !ok {
		// A burst of a tenth of a second: at low rates the calls are evenly spaced, so
		// that no one-second window at the service sees more than the rate.
		l = rate.NewLimiter(rate.Limit(limit.PerSecond), max(1, int(limit.PerSecond/10)))
		q.limiters[key] = l
	}
	return l
}

func quotaOf(service, operation string) (Quota, bool) {
	for _, q := range Quotas {
		if q.Service == service && (q.Operation == "" || q.Operation == operation) {
			return q, true
		}
	}
	return Quota{}, false
}

// quotaKey names the resource of a call whose quota is per resource.
func quotaKey(input any) string {
	switch in := input.(type) {
	case *kinesis.ListStreamConsumersInput:
		return aws.ToString(in.StreamARN)
	case *kinesis.ListShardsInput:
		return aws.ToString(in.StreamARN)
	case *kinesis.GetShardIteratorInput:
		return aws.ToString(in.StreamARN)
	case *kinesis.GetRecordsInput: // the shard is inside the iterator: all shards of a stream share our turn
		return aws.ToString(in.StreamARN)
	}
	return ""
}
