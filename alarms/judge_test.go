package alarms

import (
	"math"
	"strings"
	"testing"
	"time"

	"kxops/ops"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// hour is a series of one-minute points up to noon: each by f(minutes before noon).
func hour(m ops.Metric, f func(ago int) float64) ops.Measure {
	s := ops.Series{Start: noon.Add(-time.Hour), Step: time.Minute, Points: make([]float64, 60)}
	for i := range s.Points {
		s.Points[i] = f(60 - i)
	}
	return ops.Measure{Metric: m, Last: s.Last(), Hour: s}
}

func flat(m ops.Metric, v float64) ops.Measure {
	return hour(m, func(int) float64 { return v })
}

func gone(m ops.Metric) ops.Measure {
	return ops.Measure{Metric: m, Last: ops.Missing(ops.NoData)}
}

// growing ends at v and grows by one a second.
func growing(m ops.Metric, v float64) ops.Measure {
	return hour(m, func(ago int) float64 { return v - float64(60*(ago-1)) })
}

const day = 24 * time.Hour

func streamOf(ms ...ops.Measure) ops.Snapshot {
	return ops.Snapshot{Streams: ops.Section[ops.Stream]{Items: []ops.Stream{{
		ARN: "arn:aws:kinesis:r:1:stream/s", Name: "s", Retention: day, Measures: ms,
		Consumers: []ops.Consumer{{Kind: ops.ByMapping, ARN: "arn:aws:lambda:r:1:function:f", Name: "f", State: "Enabled"}}}}}}
}

func deliveryOf(change func(*ops.Delivery), ms ...ops.Measure) ops.Snapshot {
	d := ops.Delivery{ARN: "arn:aws:firehose:r:1:deliverystream/d", Name: "d", Status: "ACTIVE", LogErrors: true, BufferInterval: 5 * time.Minute, Measures: ms}
	if change != nil {
		change(&d)
	}
	s := streamOf(flat(ops.IteratorAge, 1))
	s.Deliveries.Items = []ops.Delivery{d}
	return s
}

func queueOf(change func(*ops.Queue), ms ...ops.Measure) ops.Snapshot {
	q := ops.Queue{ARN: "arn:aws:sqs:r:1:q", Name: "q", Retention: 4 * day, Visibility: time.Minute, MaxReceive: 3, RedriveTo: "arn:aws:sqs:r:1:dead", Measures: ms,
		Consumers: []ops.Consumer{{ARN: "arn:aws:lambda:r:1:function:f", Name: "f"}}}
	if change != nil {
		change(&q)
	}
	return ops.Snapshot{Queues: ops.Section[ops.Queue]{Items: []ops.Queue{q}},
		Functions: ops.Section[ops.Function]{Items: []ops.Function{{ARN: "arn:aws:lambda:r:1:function:f", Timeout: 10 * time.Second}}}}
}

func deadOf(change func(*ops.Queue), ms ...ops.Measure) ops.Snapshot {
	return queueOf(func(q *ops.Queue) {
		q.Retention, q.RedriveTo, q.Consumers = 14*day, "", nil
		q.DeadLetterOf = []ops.DeadLetterSource{{Via: ops.ViaRedrivePolicy, Source: "arn:aws:sqs:r:1:src", Retention: 4 * day}}
		if change != nil {
			change(q)
		}
	}, ms...)
}

func functionOf(onStream bool, ms ...ops.Measure) ops.Snapshot {
	s := streamOf(flat(ops.IteratorAge, 1))
	if !onStream {
		s.Streams.Items = nil
	}
	s.Functions.Items = []ops.Function{{ARN: "arn:aws:lambda:r:1:function:f", Name: "f", Timeout: 3 * time.Second, Measures: ms}}
	return s
}

// apiOf is an API with one stage that calls a function.
func apiOf(change func(*ops.API), ms ...ops.Measure) ops.Snapshot {
	a := ops.API{ARN: "arn:aws:apigateway:r::/apis/a1", Name: "door", Protocol: "HTTP", Stages: []ops.Stage{{Name: "prod", Measures: ms}}, Feeds: []ops.ARN{"arn:aws:lambda:r:1:function:f"}}
	if change != nil {
		change(&a)
	}
	return ops.Snapshot{APIs: ops.Section[ops.API]{Items: []ops.API{a}}}
}

func direct(a *ops.API) { a.Direct, a.Feeds = true, []ops.ARN{"arn:aws:kinesis:r:1:stream/s"} }

func idle(a *ops.API) { a.Feeds = nil }

func bucketWith(change func(*ops.Bucket)) ops.Snapshot {
	b := ops.Bucket{ARN: "arn:aws:s3:::b", Name: "b"}
	change(&b)
	return ops.Snapshot{Buckets: ops.Section[ops.Bucket]{Items: []ops.Bucket{b}}}
}

func topicOf(ms ...ops.Measure) ops.Snapshot {
	return ops.Snapshot{Topics: ops.Section[ops.Topic]{Items: []ops.Topic{{ARN: "arn:aws:sns:r:1:t", Name: "t", Measures: ms}}}}
}

// subscribedQueue is a topic with a queue that a key encrypts.
func subscribedQueue(key string) ops.Snapshot {
	s := topicOf()
	s.Topics.Items[0].Subscriptions = []ops.Subscription{{Protocol: "sqs", Endpoint: "arn:aws:sqs:r:1:q"}}
	s.Queues.Items = []ops.Queue{{ARN: "arn:aws:sqs:r:1:q", Name: "q", Encryption: key}}
	return s
}

// examples has, for every rule, one snapshot in which it fires and one in which
// it is quiet although the resource is the same.
var examples = map[string]struct{ fires, quiet ops.Snapshot }{
	"kds.loss":  {streamOf(flat(ops.IteratorAge, 13*3600)), streamOf(hour(ops.IteratorAge, func(ago int) float64 { return map[bool]float64{true: 86400, false: 1}[ago == 5] }))},
	"kds.stall": {streamOf(growing(ops.IteratorAge, 7200)), streamOf(flat(ops.IteratorAge, 7200))},
	"kds.silent": {streamOf(flat(ops.Incoming, 10), hour(ops.IteratorAge, func(ago int) float64 {
		if ago < 20 {
			return math.NaN()
		}
		return 3
	})), streamOf(flat(ops.Incoming, 10), flat(ops.IteratorAge, 3))},
	"kds.lag":            {streamOf(flat(ops.IteratorAge, 1000)), streamOf(flat(ops.IteratorAge, 800))},
	"kds.write_throttle": {streamOf(flat(ops.WriteThrottle, 3)), streamOf(hour(ops.WriteThrottle, func(ago int) float64 { return float64(ago % 2) }))},
	"kds.read_throttle":  {streamOf(flat(ops.ReadThrottle, 1)), streamOf(flat(ops.ReadThrottle, 0))},
	"fh.transform": {deliveryOf(func(d *ops.Delivery) { d.Transform = "arn:aws:lambda:r:1:function:f" }, flat(ops.TransformSucc, 0.9)),
		deliveryOf(func(d *ops.Delivery) { d.Transform = "arn:aws:lambda:r:1:function:f" }, flat(ops.TransformSucc, 1))},
	"fh.convert":          {deliveryOf(func(d *ops.Delivery) { d.Conversion = true }, flat(ops.ConvertFailed, 1)), deliveryOf(func(d *ops.Delivery) { d.Conversion = true }, flat(ops.ConvertFailed, 0))},
	"lambda.near_timeout": {functionOf(false, flat(ops.Duration, 2.9)), functionOf(false, flat(ops.Duration, 1))},
	"kds.consumer_off": {func() ops.Snapshot {
		s := streamOf(flat(ops.Incoming, 10))
		s.Streams.Items[0].Consumers[0].State = "Disabled"
		return s
	}(), streamOf(flat(ops.Incoming, 10))},
	"kds.short_retention": {streamOf(), func() ops.Snapshot {
		s := streamOf()
		s.Streams.Items[0].Retention = 7 * day
		return s
	}()},
	"kds.unread": {func() ops.Snapshot {
		s := streamOf(flat(ops.Incoming, 10), gone(ops.IteratorAge))
		s.Streams.Items[0].Consumers = nil
		return s
	}(), streamOf(flat(ops.Incoming, 10), gone(ops.IteratorAge))},

	"fh.blocked": {deliveryOf(nil, flat(ops.Incoming, 10), gone(ops.Delivered)), deliveryOf(nil, flat(ops.Incoming, 10), flat(ops.Delivered, 10))},
	"fh.stale":   {deliveryOf(nil, flat(ops.Freshness, 700)), deliveryOf(nil, flat(ops.Freshness, 500))},
	"fh.source_loss": {deliveryOf(func(d *ops.Delivery) { d.Source = "arn:aws:kinesis:r:1:stream/s" }, flat(ops.SourceBehind, 13*3600)),
		deliveryOf(func(d *ops.Delivery) { d.Source = "arn:aws:kinesis:r:1:stream/s" }, flat(ops.SourceBehind, 3600))},
	"fh.delivery_errors": {deliveryOf(nil, flat(ops.DeliverySucc, 0.9)), deliveryOf(nil, flat(ops.DeliverySucc, 1))},
	"fh.throttled":       {deliveryOf(nil, flat(ops.Throttled, 1)), deliveryOf(nil, flat(ops.Throttled, 0))},
	"fh.failed":          {deliveryOf(func(d *ops.Delivery) { d.Failure = "no key" }), deliveryOf(nil)},
	"fh.no_log":          {deliveryOf(func(d *ops.Delivery) { d.LogErrors = false }), deliveryOf(nil)},

	"sqs.loss":  {queueOf(nil, flat(ops.OldestAge, 2.1*86400)), queueOf(nil, flat(ops.OldestAge, 1.9*86400))},
	"sqs.stuck": {queueOf(nil, growing(ops.OldestAge, 3600)), queueOf(nil, flat(ops.OldestAge, 3600))},
	"sqs.age":   {queueOf(nil, flat(ops.OldestAge, 700)), queueOf(nil, flat(ops.OldestAge, 500))},
	"sqs.inflight": {queueOf(nil, flat(ops.InFlight, 100_000)), queueOf(nil, // a burst of five minutes
		hour(ops.InFlight, func(ago int) float64 { return map[bool]float64{true: 110_000, false: 40}[ago <= 7] }))},
	"sqs.visibility": {queueOf(func(q *ops.Queue) { q.Visibility = 59 * time.Second }), queueOf(nil)},
	"sqs.no_dlq":     {queueOf(func(q *ops.Queue) { q.RedriveTo = "" }), queueOf(nil)},

	"dlq.loss": {deadOf(nil, flat(ops.Visible, 3), flat(ops.OldestAge, 9.5*86400)), deadOf(nil, flat(ops.Visible, 3), flat(ops.OldestAge, 8*86400))},
	"dlq.growing": {deadOf(nil, growing(ops.Visible, 9000)), deadOf(nil, // a peek moves messages from visible to in flight and back
		hour(ops.Visible, func(ago int) float64 { return 10 - 5*float64(ago%2) }), hour(ops.InFlight, func(ago int) float64 { return 5 * float64(ago%2) }))},
	"dlq.nonempty":  {deadOf(nil, flat(ops.Visible, 1)), deadOf(nil, flat(ops.Visible, 0))},
	"dlq.retention": {deadOf(func(q *ops.Queue) { q.Retention = 4 * day }), deadOf(nil)},

	"lambda.errors_stream": {functionOf(true, flat(ops.Errors, 1)), functionOf(true, flat(ops.Errors, 0))},
	"lambda.errors_rate":   {functionOf(false, flat(ops.Errors, 6), flat(ops.Invocations, 100)), functionOf(false, flat(ops.Errors, 4), flat(ops.Invocations, 100))},
	"lambda.throttles":     {functionOf(false, flat(ops.FnThrottles, 1)), functionOf(false, flat(ops.FnThrottles, 0))},

	"apigw.5xx":    {apiOf(nil, flat(ops.APIFailed, 0.06)), apiOf(nil, flat(ops.APIFailed, 0.05))},
	"apigw.4xx":    {apiOf(direct, flat(ops.APIRejected, 0.06)), apiOf(nil, flat(ops.APIRejected, 0.06))},
	"sns.lost":     {topicOf(flat(ops.NotifyLost, 1)), topicOf(flat(ops.NotifyLost, 0))},
	"sns.failed":   {topicOf(flat(ops.NotifyFailed, 1)), topicOf(flat(ops.NotifyFailed, 0))},
	"sns.key":      {subscribedQueue("alias/aws/sqs"), subscribedQueue("arn:aws:kms:r:1:key/k")},
	"sns.redriven": {topicOf(flat(ops.NotifyRedrive, 1)), topicOf(flat(ops.NotifyRedrive, 0))},
}

func TestEveryRuleIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules {
		if seen[r.ID] {
			t.Errorf("%s is listed twice", r.ID)
		}
		seen[r.ID] = true
		if r.Title == "" || r.Why == "" || r.Next == "" {
			t.Errorf("%s lacks a title, a why or a next step", r.ID)
		}
		checks := 0
		for _, set := range []bool{r.Stream != nil, r.Delivery != nil, r.Queue != nil, r.Dead != nil, r.Function != nil, r.Topic != nil} {
			if set {
				checks++
			}
		}
		if checks == 0 && r.Watch != nil {
			continue // the dashboard leaves it to CloudWatch: watch_test.go
		}
		if checks != 1 {
			t.Errorf("%s has %d checks, want 1", r.ID, checks)
		}
		x, ok := examples[r.ID]
		if !ok {
			t.Errorf("%s has no firing and quiet example", r.ID)
			continue
		}
		if n := count(Judge(x.fires, noon), r.ID); n != 1 {
			t.Errorf("%s fires %d times in its firing example", r.ID, n)
		}
		if n := count(Judge(x.quiet, noon), r.ID); n != 0 {
			t.Errorf("%s fires in its quiet example", r.ID)
		}
	}
	for id := range examples {
		if !seen[id] {
			t.Errorf("example for %s, which is not listed", id)
		}
	}
}

func count(vs []Verdict, rule string) int {
	n := 0
	for _, v := range vs {
		for _, f := range v.Findings {
			if f.Rule == rule {
				n++
			}
		}
	}
	return n
}

func TestWhatLosesDataFirstIsOnTop(t *testing.T) {
	s := streamOf(growing(ops.IteratorAge, 9*3600)) // loses in 15 h
	dead := deadOf(nil, flat(ops.Visible, 118), flat(ops.OldestAge, 9.8*86400))
	s.Queues.Items = append(dead.Queues.Items, ops.Queue{ARN: "arn:aws:sqs:r:1:ok", Name: "ok", Retention: day, Measures: ops.Measures{flat(ops.Visible, 3), flat(ops.OldestAge, 5)}})
	vs := Judge(s, noon)
	if len(vs) != 3 || vs[0].Name != "q" || vs[1].Name != "s" || vs[2].Name != "ok" {
		t.Fatalf("order: %s", names(vs))
	}
	if vs[0].State != StatePage || vs[1].State != StatePage || vs[2].State != StateOK {
		t.Errorf("states %s %s %s", vs[0].State, vs[1].State, vs[2].State)
	}
	if in := vs[0].Loss.In.Or(-1); math.Abs(in-0.2*86400) > 60 {
		t.Errorf("the dead-letter queue loses in %s", ops.Span(in))
	}
	if vs[0].Headline != "118 msgs, oldest 9d19h" || vs[0].Limit != "98% of 10d*" {
		t.Errorf("headline %q, limit %q", vs[0].Headline, vs[0].Limit)
	}
}

func names(vs []Verdict) string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Name)
	}
	return strings.Join(out, " ")
}

func TestUnknownHasWordsOfItsOwn(t *testing.T) {
	for why, want := range map[ops.Unknown]State{
		ops.Denied: StateDenied, ops.NotRead: StateUnknown, ops.Asleep: StateAsleep, ops.Unsupported: StateUnknown, ops.NoData: StateOK,
	} {
		s := queueOf(nil, ops.Measure{Metric: ops.Visible, Last: ops.Missing(why)})
		for _, v := range Judge(s, noon) {
			if v.Kind == ops.KindQueue && v.State != want {
				t.Errorf("%s: state %s, want %s", why, v.State, want)
			}
			if v.Kind == ops.KindQueue && strings.HasPrefix(v.Headline, "0") {
				t.Errorf("%s: drawn as %q", why, v.Headline)
			}
		}
	}
}

func TestABlockedDeliveryHasATimeToLoss(t *testing.T) {
	s := deliveryOf(nil, flat(ops.Incoming, 10), hour(ops.Delivered, func(ago int) float64 {
		if ago > 40 {
			return 50
		}
		return math.NaN()
	}), hour(ops.Freshness, func(ago int) float64 {
		if ago > 30 {
			return 60 * float64(60-ago)
		}
		return math.NaN()
	}))
	v := Judge(s, noon)[0]
	if v.Kind != ops.KindDelivery || v.State != StatePage || v.Headline != "nothing delivered" {
		t.Fatalf("%+v", v)
	}
	if in := v.Loss.In.Or(0); math.Abs(in-(86400-41*60)) > 61 {
		t.Errorf("loss in %s, want 24 h less 41 min", ops.Span(in))
	}
}

func TestNoErrorRateWithoutInvocations(t *testing.T) {
	for _, why := range []ops.Unknown{ops.NotRead, ops.Denied} {
		s := functionOf(false, flat(ops.Errors, 1), ops.Measure{Metric: ops.Invocations, Last: ops.Missing(why)})
		if n := count(Judge(s, noon), "lambda.errors_rate"); n != 0 {
			t.Errorf("invocations %s: an error rate was made up", why)
		}
	}
}

func TestADeadLetterOfAnHourDoesNotPage(t *testing.T) {
	alike := func(q *ops.Queue) { q.Retention = 4 * day } // as the source's
	for age, want := range map[float64]int{300: 0, 3600: 0, 3660: 1} {
		if n := count(Judge(deadOf(alike, flat(ops.Visible, 3), flat(ops.OldestAge, age)), noon), "dlq.loss"); n != want {
			t.Errorf("age %s: dlq.loss fired %d times, want %d", ops.Span(age), n, want)
		}
	}
}

func TestOneWildAgeIsNoStoppedConsumer(t *testing.T) {
	s := streamOf(hour(ops.IteratorAge, func(ago int) float64 { return map[bool]float64{true: 86400, false: 1}[ago == 1] }))
	if n := count(Judge(s, noon), "kds.stall"); n != 0 {
		t.Error("a single jump to the retention, known of sparse shards, paged as a stopped consumer")
	}
}

func TestAlarmsInAlarmComeFirst(t *testing.T) {
	s := topicOf(flat(ops.Published, 1))
	arn := s.Topics.Items[0].ARN
	s.Alarms.Items = []ops.Alarm{{Name: "a", State: "OK", Resource: arn}, {Name: "b", State: "ALARM", Resource: arn}, {Name: "other", State: "ALARM"}}
	v := Judge(s, noon)[0]
	if len(v.Alarms) != 2 || v.Alarms[0].Name != "b" {
		t.Errorf("%+v", v.Alarms)
	}
}

func BenchmarkJudge10kQueues(b *testing.B) {
	s := ops.Snapshot{}
	for i := range 10_000 {
		q := deadOf(nil, flat(ops.Visible, float64(i)), flat(ops.OldestAge, float64(i))).Queues.Items[0]
		s.Queues.Items = append(s.Queues.Items, q)
	}
	b.ResetTimer()
	for b.Loop() {
		if len(Judge(s, noon)) != 10_000 {
			b.Fatal("lost some")
		}
	}
}

func TestAMappingThatGivesRecordsUpSoonerPagesSooner(t *testing.T) {
	s := streamOf(flat(ops.IteratorAge, 4000))
	c := &s.Streams.Items[0].Consumers[0]
	c.Lag = flat(ops.FnIteratorAge, 4000)
	if n := count(Judge(s, noon), "kds.loss"); n != 0 {
		t.Errorf("fires %d times at an hour of a day", n)
	}
	c.MaxRecordAge = 2 * time.Hour
	if n := count(Judge(s, noon), "kds.loss"); n != 1 {
		t.Errorf("fires %d times at over half of the maximum record age", n)
	}
}

// A queue that is not looked at all the time has series that begin at different
// minutes: a peek must not look like growth because the wrong points were added.
func TestGrowthPairsVisibleAndInFlightByTime(t *testing.T) {
	peek := func(while, after float64) func(int) float64 { // it ended eight minutes ago
		return func(ago int) float64 {
			if ago > 8 {
				return while
			}
			return after
		}
	}
	visible, held := hour(ops.Visible, peek(20, 100)), hour(ops.InFlight, peek(80, 0))
	held.Hour.Start, held.Hour.Points = held.Hour.At(30), held.Hour.Points[30:]
	for _, v := range Judge(deadOf(nil, visible, held), noon) {
		for _, f := range v.Findings {
			if f.Rule == "dlq.growing" {
				t.Errorf("a peek looks like growth: %s", f.Sentence)
			}
		}
	}
}
