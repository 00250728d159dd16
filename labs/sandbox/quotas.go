package sandbox

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// This file holds callers to AWS's documented request rates when Options.Quotas
// asks for it, so that a benchmark meets the same limits as in a real account.

// quota is the documented rate of an operation, per account and region.
type quota struct {
	service     string
	operation   string // "" for all operations of the service together
	perSecond   float64
	perResource bool // each stream has a rate of its own
}

// quotas is THE list. An operation that is not here has no documented rate (the
// SQS control plane, most of SNS, STS) or one that no single caller reaches.
// Sources: CloudWatch service quotas
// (https://docs.aws.amazon.com/general/latest/gr/cw_region.html); the notes on
// each operation in the Kinesis and SNS API references; Firehose quotas
// (https://docs.aws.amazon.com/firehose/latest/dev/limits.html); Lambda quotas
// (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html);
// https://docs.aws.amazon.com/general/latest/gr/arg.html for the tagging API.
var quotas = []quota{
	{"cloudwatch", "GetMetricData", 500, false},
	{"cloudwatch", "GetMetricStatistics", 400, false},
	{"cloudwatch", "ListMetrics", 25, false},
	{"cloudwatch", "PutMetricData", 500, false},
	{"cloudwatch", "PutMetricAlarm", 3, false},
	{"cloudwatch", "PutCompositeAlarm", 3, false},
	{"cloudwatch", "DescribeAlarms", 9, false},
	{"cloudwatch", "DescribeAlarmHistory", 20, false},
	{"cloudwatch", "DeleteAlarms", 3, false},
	{"cloudwatch", "EnableAlarmActions", 3, false},
	{"cloudwatch", "DisableAlarmActions", 3, false},
	{"cloudwatch", "SetAlarmState", 3, false},
	{"cloudwatch", "ListTagsForResource", 10, false},
	{"cloudwatch", "TagResource", 20, false},
	{"cloudwatch", "UntagResource", 20, false},
	{"cloudwatch", "PutAlarmMuteRule", 3, false},
	{"cloudwatch", "GetAlarmMuteRule", 20, false},
	{"cloudwatch", "ListAlarmMuteRules", 50, false},
	{"firehose", "DescribeDeliveryStream", 5, false},
	{"firehose", "ListDeliveryStreams", 5, false},
	{"firehose", "CreateDeliveryStream", 5, false},
	{"firehose", "DeleteDeliveryStream", 5, false},
	{"firehose", "UpdateDestination", 5, false},
	{"kinesis", "ListStreams", 5, false},
	{"kinesis", "DescribeStream", 10, false},
	{"kinesis", "DescribeStreamSummary", 20, false},
	{"kinesis", "ListStreamConsumers", 5, true},
	{"kinesis", "ListShards", 1000, true},
	{"kinesis", "ListChannels", 5, false},
	{"kinesis", "DescribeChannel", 5, false},
	{"kinesis", "DescribeLimits", 1, false},
	{"lambda", "GetFunction", 100, false},
	{"lambda", "GetPolicy", 15, false},
	{"lambda", "Invoke", 0, false}, // not part of the control plane; bounded by concurrency
	{"lambda", "", 15, false},
	{"sns", "ListTopics", 30, false},
	{"sns", "ListSubscriptions", 30, false},
	{"sns", "ListSubscriptionsByTopic", 30, false},
	{"tagging", "GetResources", 15, false},
}

// GetMetricData also has a rate of datapoints a second, computed from what was
// asked for and not from what is there: one for looks at the last three hours and
// one for looks that start earlier (general reference, CloudWatch quotas).
const (
	recentDatapoints = 180_000
	olderDatapoints  = 396_000
)

// tokenBucket is a bucket that holds one second's worth of calls.
type tokenBucket struct {
	left float64
	at   time.Time
}

// take takes n tokens if they are there.
func (t *tokenBucket) take(n, perSecond float64, now time.Time) bool {
	most := max(perSecond, 1)
	if t.at.IsZero() {
		t.left = most
	} else {
		t.left = min(most, t.left+now.Sub(t.at).Seconds()*perSecond)
	}
	t.at = now
	if t.left < n {
		return false
	}
	t.left -= n
	return true
}

// refuses is the throttling error if the call comes too soon, nil otherwise.
// Call it under the lock.
func (r *Region) refuses(op *operation, in any) error {
	if !r.sb.options.Quotas {
		return nil
	}
	slow := Fault{Kind: Throttle}.asError(op.service, op.name)
	if q, ok := quotaOf(op.service, op.name); ok && q.perSecond > 0 {
		key := q.service + "." + q.operation
		if q.perResource {
			key += "." + streamAsked(in)
		}
		if !r.bucket(key).take(1, q.perSecond, r.now()) {
			return slow
		}
	}
	g, ok := in.(*cloudwatch.GetMetricDataInput)
	if !ok || g.StartTime == nil || g.EndTime == nil {
		return nil
	}
	rate, key := float64(recentDatapoints), "datapoints"
	if r.now().Sub(*g.StartTime) > 3*time.Hour {
		rate, key = olderDatapoints, "older datapoints"
	}
	if !r.bucket(key).take(min(datapointsAsked(g), rate), rate, r.now()) {
		return slow
	}
	return nil
}

func quotaOf(service, operation string) (quota, bool) {
	for _, q := range quotas {
		if q.service == service && (q.operation == operation || q.operation == "") {
			return q, true
		}
	}
	return quota{}, false
}

func (r *Region) bucket(key string) *tokenBucket {
	b := r.buckets[key]
	if b == nil {
		b = &tokenBucket{}
		r.buckets[key] = b // bounded by the list times the streams of the region
	}
	return b
}

// datapointsAsked is at most a page: the rest comes with the next token.
func datapointsAsked(g *cloudwatch.GetMetricDataInput) float64 {
	span, n := g.EndTime.Sub(*g.StartTime).Seconds(), 0.0
	for _, q := range g.MetricDataQueries {
		if q.MetricStat != nil && q.MetricStat.Period != nil && *q.MetricStat.Period > 0 {
			n += max(1, span/float64(*q.MetricStat.Period))
		}
	}
	page := float64(maxMetricsPerPage)
	if g.MaxDatapoints != nil {
		page = float64(*g.MaxDatapoints)
	}
	return min(max(n, 0), page)
}

// streamAsked names the stream of a call whose rate is per stream.
func streamAsked(in any) string {
	switch in := in.(type) {
	case *kinesis.ListStreamConsumersInput:
		return deref(in.StreamARN)
	case *kinesis.ListShardsInput:
		return deref(in.StreamARN) + deref(in.StreamName)
	}
	return ""
}
