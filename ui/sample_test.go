package ui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// sampleNow is the clock of all tests.
var sampleNow = time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC)

func arn(service, name string) ops.ARN {
	switch service {
	case "s3":
		return ops.ARN("arn:aws:s3:::" + name)
	case "apigateway": // no account in it
		return ops.ARN("arn:aws:apigateway:eu-west-1::/apis/" + name)
	case "kinesis":
		name = "stream/" + name
	case "firehose":
		name = "deliverystream/" + name
	case "lambda":
		name = "function:" + name
	}
	return ops.ARN("arn:aws:" + service + ":eu-west-1:123456789012:" + name)
}

// ramp is an hour of one-minute points from a to b.
func ramp(a, b float64) ops.Series {
	s := ops.Series{Start: sampleNow.Add(-time.Hour), Step: time.Minute}
	for i := range 60 {
		s.Points = append(s.Points, a+(b-a)*float64(i)/59)
	}
	return s
}

func measure(m ops.Metric, a, b float64) ops.Measure {
	s := ramp(a, b)
	return ops.Measure{Metric: m, Last: s.Last(), Hour: s}
}

// sampleSnapshot is an account in trouble: a stopped reader, a denied delivery,
// two dead-letter queues, a sleeping queue and a healthy pipeline.
func sampleSnapshot() ops.Snapshot {
	at := sampleNow.Add(-20 * time.Second)
	clicks, toS3 := arn("kinesis", "clicks"), arn("firehose", "clicks-to-s3")
	lake, events := arn("s3", "click-lake"), arn("sns", "lake-events")
	orders, ordersDLQ, refunds := arn("sqs", "orders"), arn("sqs", "orders-failed"), arn("sqs", "refunds")
	reader, worker := arn("lambda", "clicks-enricher"), arn("lambda", "order-worker")
	parked := arn("sqs", "enricher-parked")
	s := ops.Snapshot{
		Identity: ops.Identity{Account: "123456789012", Alias: "shop", Region: "eu-west-1", Profile: "shop-ops", Who: "arn:aws:sts::123456789012:assumed-role/oncall/jo"},
		Started:  at.Add(-time.Second), At: at, MetricsAt: at, Next: time.Minute,
		Spend: ops.Spend{USD: 0.083, PerHour: 0.11, Calls: 240, Metrics: 900, For: 45 * time.Minute},
	}
	lag := measure(ops.IteratorAge, 9*3600, 9*3600+3540)
	s.Streams.Items = []ops.Stream{
		{ARN: clicks, Name: "clicks", Status: "ACTIVE", Mode: "PROVISIONED", OpenShards: 4, Retention: 24 * time.Hour,
			Consumers: []ops.Consumer{{Kind: ops.ByMapping, ARN: reader, Name: "clicks-enricher", State: "Disabled", Lag: lag, BatchSize: 100, OnFailure: parked, LastResult: "PROBLEM: function error"},
				{Kind: ops.ByFanOut, ARN: clicks + "/consumer/live-board:1700000000", Name: "live-board", State: "ACTIVE", Lag: measure(ops.FanOutBehind, 1, 2)}},
			Measures: ops.Measures{lag, measure(ops.Incoming, 900, 1200)}},
		{ARN: arn("kinesis", "payments"), Name: "payments", Status: "ACTIVE", Mode: "ON_DEMAND", OpenShards: 8, Retention: 24 * time.Hour,
			Measures: ops.Measures{measure(ops.IteratorAge, 2, 3)}},
	}
	s.Deliveries.Items = []ops.Delivery{{ARN: toS3, Name: "clicks-to-s3", Status: "ACTIVE", Source: clicks, Destination: "S3", Target: lake,
		BufferInterval: 5 * time.Minute, BufferBytes: 5 << 20, Compression: "GZIP", Measures: ops.Measures{measure(ops.Freshness, 60, 840)}}}
	s.Queues.Items = []ops.Queue{
		{ARN: orders, Name: "orders", Retention: 96 * time.Hour, Visibility: 30 * time.Second, RedriveTo: ordersDLQ, MaxReceive: 5, Awake: true,
			Consumers: []ops.Consumer{{Kind: ops.ByMapping, ARN: worker, Name: "order-worker", State: "Enabled"}},
			Measures:  ops.Measures{measure(ops.Visible, 60, 40), measure(ops.OldestAge, 120, 100)}},
		{ARN: ordersDLQ, Name: "orders-failed", Retention: 14 * 24 * time.Hour, Awake: true,
			DeadLetterOf: []ops.DeadLetterSource{{Via: ops.ViaRedrivePolicy, Source: orders, Retention: 96 * time.Hour}},
			Measures:     ops.Measures{measure(ops.Visible, 100, 118), measure(ops.OldestAge, 8*86400, 8*86400+3600)}},
		{ARN: parked, Name: "enricher-parked", Retention: 14 * 24 * time.Hour, Awake: true,
			DeadLetterOf: []ops.DeadLetterSource{{Via: ops.ViaMapping, Source: clicks}},
			Measures:     ops.Measures{measure(ops.Visible, 0, 1204)}},
		{ARN: refunds, Name: "refunds", Retention: 96 * time.Hour, Measures: ops.Measures{{Metric: ops.Visible, Last: ops.Missing(ops.Asleep)}}},
	}
	s.Topics.Items = []ops.Topic{{ARN: events, Name: "lake-events", Subscriptions: []ops.Subscription{{ARN: string(events) + ":1", Protocol: "sqs", Endpoint: string(orders)}}}}
	s.Functions.Items = []ops.Function{
		{ARN: reader, Name: "clicks-enricher", Runtime: "provided.al2023", State: "Active", Timeout: time.Minute, MemoryMB: 256, Modified: sampleNow.Add(-3 * time.Hour), MaxRetries: -1,
			Measures: ops.Measures{measure(ops.Invocations, 300, 0), measure(ops.Errors, 0, 12)}},
		{ARN: worker, Name: "order-worker", Runtime: "python3.13", State: "Active", Timeout: 30 * time.Second, MemoryMB: 512, MaxRetries: 1},
	}
	s.Buckets.Items = []ops.Bucket{{ARN: lake, Name: "click-lake", Notifications: []ops.Notification{{Events: []string{"s3:ObjectCreated:*"}, Prefix: "clicks/", Target: events}}}}
	s.APIs.Items = []ops.API{{ARN: arn("apigateway", "a1b2c3d4e5"), Name: "order-door", Protocol: "HTTP", Direct: true, Feeds: []ops.ARN{orders},
		Stages: []ops.Stage{{Name: "$default", Measures: ops.Measures{measure(ops.APIFailed, 0.001, 0.002), measure(ops.APIRejected, 0.02, 0.01), measure(ops.APIRequests, 40, 60)}}}}}
	s.Alarms.Items = []ops.Alarm{
		{ARN: "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:clicks-lag", Name: "clicks-lag", State: "ALARM", Since: sampleNow.Add(-42 * time.Minute), MetricName: "GetRecords.IteratorAgeMilliseconds",
			Threshold: ops.Know(3600000, at), Comparison: "GreaterThanThreshold", Period: time.Minute, Evaluation: "15/15", Actions: 1, Enabled: true, Resource: clicks},
		{ARN: "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders-age", Name: "orders-age", State: "OK", Since: sampleNow.Add(-90 * time.Hour), MetricName: "ApproximateAgeOfOldestMessage",
			Threshold: ops.Know(600, at), Comparison: "GreaterThanOrEqualToThreshold", Period: time.Minute, Evaluation: "5/5", Enabled: true, Resource: orders},
	}
	return confirm(s, at)
}

// confirm marks every section as read at a time.
func confirm(s ops.Snapshot, at time.Time) ops.Snapshot {
	s.Streams.At, s.Deliveries.At, s.Queues.At, s.Topics.At = at, at, at, at
	s.Functions.At, s.Buckets.At, s.APIs.At, s.Alarms.At = at, at, at, at
	s.Links = ops.Linked(s)
	return s
}

// manyQueues is an account with n queues.
func manyQueues(n int) ops.Snapshot {
	s := sampleSnapshot()
	for i := range n {
		name := fmt.Sprintf("team-%03d-queue-%05d", i%97, i)
		s.Queues.Items = append(s.Queues.Items, ops.Queue{ARN: arn("sqs", name), Name: name, Retention: 96 * time.Hour, Awake: true,
			Measures: ops.Measures{measure(ops.Visible, 0, float64(i%500)), measure(ops.OldestAge, 0, float64(i%9000))}})
	}
	s.Queues.Known = len(s.Queues.Items)
	return s
}

// sampleJudge is a small judge of its own: the console must not depend on the
// rules, only on verdicts.
func sampleJudge(s ops.Snapshot, now time.Time) []alarms.Verdict {
	var out []alarms.Verdict
	watch := func(a ops.ARN) (found []ops.Alarm) {
		for _, x := range s.Alarms.Items {
			if x.Resource == a {
				found = append(found, x)
			}
		}
		return found
	}
	for _, x := range s.Streams.Items {
		v := alarms.Verdict{ARN: x.ARN, Kind: ops.KindStream, Name: x.Name, State: alarms.StateOK, Loss: ops.StreamLoss(x, now), Spark: x.Measures.Get(ops.IteratorAge), Alarms: watch(x.ARN)}
		v.Share, v.At, v.Threshold = v.Loss.Used, v.Spark.Last.At, ops.Know(3600, now)
		v.Headline = reading(v.Spark.Last, ops.Seconds) + " behind"
		v.Limit = percent(v.Share.Or(math.NaN())) + " of 24h retention"
		if v.Share.Or(0) > 0.3 {
			v.State = alarms.StatePage
			v.Findings = []alarms.Finding{{Rule: "kds.stall", Severity: alarms.Page, Resource: x.ARN, Sentence: "the reader clicks-enricher stopped 9h58m ago; records are trimmed after 24h", Next: "enable its event source mapping: it is Disabled"}}
		}
		out = append(out, v)
	}
	for _, x := range s.Deliveries.Items {
		v := alarms.Verdict{ARN: x.ARN, Kind: ops.KindDelivery, Name: x.Name, State: alarms.StateTicket, Loss: ops.DeliveryLoss(x, 0, now), Spark: x.Measures.Get(ops.Freshness), Threshold: ops.Know(600, now), Alarms: watch(x.ARN)}
		v.Headline, v.Limit, v.At, v.Share = "fresh "+reading(v.Spark.Last, ops.Seconds), "2.8x buffer", v.Spark.Last.At, ops.Know(2.8, now)
		v.Findings = []alarms.Finding{{Rule: "fh.stale", Severity: alarms.Ticket, Resource: x.ARN, Sentence: "data is 14m old, the buffer is 5m", Next: "look at the role's rights on the bucket"}}
		out = append(out, v)
	}
	for _, x := range s.Queues.Items {
		v := alarms.Verdict{ARN: x.ARN, Kind: ops.KindQueue, Name: x.Name, DeadLetter: x.IsDeadLetter(), State: alarms.StateOK, Loss: ops.QueueLoss(x, now), Spark: x.Measures.Get(ops.Visible), Alarms: watch(x.ARN)}
		v.Headline, v.At, v.Share = reading(x.Depth(), ops.Count)+" msgs", v.Spark.Last.At, v.Loss.Used
		n, known := x.Depth().Value()
		switch {
		case !known && x.Depth().Why() == ops.Asleep:
			v.State, v.Headline = alarms.StateAsleep, "idle > 6 h"
		case !known:
			v.State = alarms.StateUnknown
		case x.IsDeadLetter() && n > 0:
			v.State, v.Threshold = alarms.StatePage, ops.Know(0, now)
			v.Findings = []alarms.Finding{{Rule: "dlq.nonempty", Severity: alarms.Page, Resource: x.ARN, Sentence: count(n) + " messages wait in the dead-letter queue", Next: "peek at them: kxops dlq groups " + x.Name}}
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b alarms.Verdict) int {
		return cmp.Or(cmp.Compare(stateRank(a.State), stateRank(b.State)), cmp.Compare(a.Loss.In.Or(1e18), b.Loss.In.Or(1e18)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// fakeAccount is the console's outside in tests: it answers with the snapshot it
// was given and counts what it was asked.
type fakeAccount struct {
	mu       sync.Mutex
	snapshot ops.Snapshot
	recalled *ops.Snapshot
	partials []ops.Snapshot
	hold     chan struct{} // a look waits for it, when set
	asks     []Ask
	switches []string
	failTo   string // Switch to this place fails
	panics   bool
}

func (f *fakeAccount) set(s ops.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot = s
}

func (f *fakeAccount) looks() []Ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Ask(nil), f.asks...)
}

func (f *fakeAccount) LastKnown() (ops.Snapshot, bool) {
	if f.recalled == nil {
		return ops.Snapshot{}, false
	}
	return *f.recalled, true
}

func (f *fakeAccount) Collect(ctx context.Context, ask Ask, partial func(ops.Snapshot)) ops.Snapshot {
	f.mu.Lock()
	f.asks = append(f.asks, ask)
	hold, partials, panics := f.hold, f.partials, f.panics
	f.mu.Unlock()
	if panics {
		panic("a bug in the survey")
	}
	for _, s := range partials {
		partial(s)
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot
}

func (f *fakeAccount) Switch(_ context.Context, profile, region string) (ops.Identity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.switches = append(f.switches, profile+"/"+region)
	if f.failTo != "" && (profile == f.failTo || region == f.failTo) {
		return ops.Identity{}, &ops.Problem{Fault: ops.FaultRegion, What: "the region " + region + " does not exist", Hint: "choose one of the list"}
	}
	id := f.snapshot.Identity
	if region != "" {
		id.Region = region
	}
	if profile != "" {
		id.Profile = profile
	}
	f.snapshot.Identity = id
	return id, nil
}

func (f *fakeAccount) Choices() Choices {
	return Choices{Profiles: []string{"shop-ops", "shop-prod", "lab"}, Regions: []string{"eu-west-1", "eu-central-1", "us-east-1"}}
}

func (f *fakeAccount) Raw(_ context.Context, a ops.ARN) ([]byte, error) {
	if a.Name() == "payments" {
		return nil, errors.New("kinesis: describe stream: connection reset")
	}
	return []byte(`{"name":"` + a.Name() + `","tags":["a","b"]}`), nil
}

func sampleOptions(f *fakeAccount) Options {
	return Options{Backend: f, Judge: sampleJudge, Now: func() time.Time { return sampleNow }, Config: Config{Theme: "dark"}}
}
