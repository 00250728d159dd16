package replay

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

// Headroom: the producers that live on the target come first. Each minute the replay
// looks at what the stream takes in, without its own part, and uses a share of what is left.

const (
	shardBytes = 1 << 20 // a second
	// headroomBack is how far back a point may be that tells what producers put now.
	headroomBack = 5 * time.Minute
	// headroomBlind is the share of everything that a replay takes while nobody knows what
	// the producers put.
	headroomBlind = 0.1
	leastFactor   = 1.0 / 16
	unknownSize   = 1024 // bytes of a record, before the first was sent: then both limits of a shard count alike
)

// minutely is what went through in one minute.
type minutely struct{ records, bytes, throttled float64 }

// headroom is what a replay leaves to the producers of its target.
type headroom struct {
	share   float64
	records float64 // of the whole stream, a second
	bytes   float64
	own     map[int64]*minutely // by minute: what the replay itself has put
	factor  float64             // halved while producers are throttled
	looked  time.Time           // by the wall
	allowed float64             // records a second, as of then
	judged  int64               // the minute that the factor was judged by
}

// newHeadroom is nil where the plan does not ask for it.
func newHeadroom(plan ops.ReplayPlan) *headroom {
	shards := float64(plan.To.Shards)
	if plan.Pace.Headroom <= 0 || shards < 1 {
		return nil
	}
	return &headroom{share: plan.Pace.Headroom, records: shards * shardMost, bytes: shards * shardBytes, own: map[int64]*minutely{}, factor: 1, allowed: 1} // askHeadroom sets it before the first record
}

// now is what it allows, in records a second; 0: it limits nothing.
func (h *headroom) now() float64 {
	if h == nil {
		return 0
	}
	return h.allowed
}

func (h *headroom) minute(at time.Time) *minutely {
	m := at.Unix() / 60
	if h.own[m] == nil {
		for old := range h.own {
			if old < m-60 {
				delete(h.own, old)
			}
		}
		h.own[m] = &minutely{}
	}
	return h.own[m]
}

// put counts what the replay itself has put.
func (h *headroom) put(at time.Time, records, bytes int64) {
	if h == nil {
		return
	}
	m := h.minute(at)
	m.records, m.bytes = m.records+float64(records), m.bytes+float64(bytes)
}

func (h *headroom) throttled(at time.Time, n int) {
	if h != nil {
		h.minute(at).throttled += float64(n)
	}
}

// live is what producers put in a minute, without the replay, by its metrics.
func (h *headroom) live(at time.Time, all minutely) minutely {
	own := minutely{}
	if m := h.own[at.Unix()/60]; m != nil {
		own = *m
	}
	return minutely{max(0, all.records-own.records), max(0, all.bytes-own.bytes), max(0, all.throttled-own.throttled)}
}

// allows is how many records a second the replay may put, when they have so many bytes
// each. known: a point of the producers is there.
func (h *headroom) allows(live minutely, known bool, each float64) float64 {
	records, bytes := headroomBlind*h.records, headroomBlind*h.bytes
	if known {
		records, bytes = h.share*max(0, h.records-live.records/60), h.share*max(0, h.bytes-live.bytes/60)
	}
	return max(1, h.factor*min(records, bytes/max(1, each)))
}

// judge halves the factor while producers are throttled, and doubles it back.
func (h *headroom) judge(at time.Time, live minutely) {
	m := at.Unix() / 60
	if m <= h.judged {
		return
	}
	h.judged = m
	if live.throttled > 0 {
		h.factor = max(leastFactor, h.factor/2)
	} else {
		h.factor = min(1, h.factor*2)
	}
}

// intake asks what a stream took in in the newest minute of which there is a point. The
// newest minute may still grow, so one that is not over does not count.
func (d *Desk) intake(ctx context.Context, stream ops.ARN) (at time.Time, all minutely, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	now := d.o.Now()
	in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(now.Add(-headroomBack).Truncate(time.Minute)), EndTime: aws.Time(now.Truncate(time.Minute)), ScanBy: types.ScanByTimestampDescending}
	name := stream.Name()
	for i, metric := range []string{"IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"} {
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: aws.String(fmt.Sprintf("h%d", i)), MetricStat: &types.MetricStat{Stat: aws.String("Sum"), Period: aws.Int32(60),
			Metric: &types.Metric{Namespace: aws.String("AWS/Kinesis"), MetricName: &metric, Dimensions: []types.Dimension{{Name: aws.String("StreamName"), Value: &name}}}}})
	}
	out, err := d.metrics.GetMetricData(ctx, in)
	if err != nil {
		return at, all, false, err
	}
	value := func(id string, when time.Time) float64 {
		for _, r := range out.MetricDataResults {
			if aws.ToString(r.Id) != id {
				continue
			}
			for i, t := range r.Timestamps {
				if t.Equal(when) && i < len(r.Values) {
					return r.Values[i]
				}
			}
		}
		return 0
	}
	for _, r := range out.MetricDataResults {
		if aws.ToString(r.Id) == "h0" && len(r.Timestamps) > 0 && len(r.Values) > 0 {
			at, known = r.Timestamps[0], true
		}
	}
	if known {
		all = minutely{value("h0", at), value("h1", at), value("h2", at)}
	}
	return at, all, known, nil
}

// planHeadroom says in the plan what is left to it now.
func (d *Desk) planHeadroom(ctx context.Context, plan *ops.ReplayPlan) {
	if plan.Pace.Headroom <= 0 {
		return
	}
	h := newHeadroom(*plan)
	if h == nil {
		plan.Blockers = append(plan.Blockers, "only a stream has headroom that its metrics tell: --headroom needs --to stream:NAME")
		return
	}
	at, all, known, err := d.intake(ctx, plan.To.ARN)
	value := fmt.Sprintf("of %.0f records and %.0f MiB a second that all producers of %s have together", h.records, h.bytes/shardBytes, plan.To.ARN.Name())
	switch {
	case err != nil:
		value = "what its producers put is not known (" + ops.AsProblem(d.explain("ask for metrics", err)).What + "): 10 % " + value + " until it is"
	case !known:
		value = "what its producers put is not known, there is no point of the last minutes: 10 % " + value + " until there is one"
	default:
		value = fmt.Sprintf("%.0f %% of what is left %s; at %s they put %.0f records and %.2g MiB a second", 100*h.share, value, at.UTC().Format("15:04 MST"), all.records/60, all.bytes/60/shardBytes)
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "headroom", Value: value})
}

// askHeadroom sets the rate by what is left at the target. It looks once in metricsEvery,
// or at once where it must.
func (o *Operation) askHeadroom(ctx context.Context, must bool) {
	o.mu.Lock()
	h := o.headroom
	if h == nil || !must && time.Since(h.looked) < cmp.Or(o.desk.watches, metricsEvery) {
		o.mu.Unlock()
		return
	}
	h.looked = time.Now()
	o.mu.Unlock()
	at, all, known, err := o.desk.intake(ctx, o.plan.To.ARN)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		known = false
		o.note = "how much room producers leave is not known: " + ops.AsProblem(o.explained("ask for metrics", err)).What
	}
	live := h.live(at, all)
	if known {
		h.judge(at, live)
	}
	each := float64(unknownSize)
	if o.live.Sent > 0 {
		each = float64(o.live.Out) / float64(o.live.Sent)
	}
	h.allowed = h.allows(live, known, each)
	o.setLimit()
}
