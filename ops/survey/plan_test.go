package survey

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"kxops/ops"
)

func arn(service, resource string) ops.ARN {
	return ops.ARN("arn:aws:" + service + ":eu-west-1:123456789012:" + resource)
}

// known returns measures with one value each, read a moment ago.
func known(values map[ops.Metric]float64) ops.Measures {
	var out ops.Measures
	for m, v := range values {
		out = append(out, ops.Measure{Metric: m, Last: ops.Know(v, noon), Hour: flat(v)})
	}
	return out
}

func flat(v float64) ops.Series {
	s := emptyHour(noon.Truncate(time.Minute))
	for i := range s.Points {
		s.Points[i] = v
	}
	return s
}

// growing is an hour in which the value rose by perMinute to v.
func growing(v, perMinute float64) ops.Series {
	s := flat(v)
	for i := range s.Points {
		s.Points[i] = v - perMinute*float64(len(s.Points)-1-i)
	}
	return s
}

// asked lists the wants of a resource as "metric@minutes".
func asked(ws []want, of ops.ARN) string {
	var out []string
	for _, w := range ws {
		if w.of == of {
			out = append(out, fmt.Sprintf("%s@%d", w.metric, w.every))
		}
	}
	return strings.Join(out, " ")
}

func TestWhatIsAskedHowOften(t *testing.T) {
	stream := ops.Stream{ARN: arn("kinesis", "stream/clicks"), Name: "clicks", Retention: 24 * time.Hour,
		Measures: known(map[ops.Metric]float64{ops.IteratorAge: 0.2})}
	stopped := stream
	stopped.Measures = ops.Measures{{Metric: ops.IteratorAge, Last: ops.Know(30000, noon), Hour: growing(30000, 60)}}
	stopped.Consumers = []ops.Consumer{
		{Kind: ops.ByFanOut, ARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/consumer/efo:1700000000", Name: "efo", ID: "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/consumer/efo:1700000000"},
		{Kind: ops.ByMapping, ARN: arn("lambda", "function:reader"), Name: "reader"},
	}
	delivery := ops.Delivery{ARN: arn("firehose", "deliverystream/d"), Name: "d", Destination: "S3",
		Measures: known(map[ops.Metric]float64{ops.Freshness: 100})}
	silent := delivery
	silent.Measures = nil
	fromStream := delivery
	fromStream.Source, fromStream.Transform, fromStream.Conversion, fromStream.Backup = stream.ARN, arn("lambda", "function:f"), true, "arn:aws:s3:::b"
	queue := ops.Queue{ARN: arn("sqs", "orders"), Name: "orders", Awake: true, Retention: 96 * time.Hour}
	with := func(n float64, change func(*ops.Queue)) ops.Queue {
		q := queue
		q.Measures = known(map[ops.Metric]float64{ops.Visible: n})
		if change != nil {
			change(&q)
		}
		return q
	}
	function := ops.Function{ARN: arn("lambda", "function:reader"), Name: "reader"}
	topic := ops.Topic{ARN: arn("sns", "news"), Name: "news"}

	for _, c := range []struct {
		name  string
		sn    ops.Snapshot
		of    ops.ARN
		focus bool
		want  string
	}{
		{"a healthy stream", ops.Snapshot{Streams: one(stream)}, stream.ARN, false,
			"iterator_age_s@5 write_throttled@15 incoming_records@15"},
		{"a stream on screen", ops.Snapshot{Streams: one(stream)}, stream.ARN, true,
			"iterator_age_s@1 write_throttled@1 incoming_records@1 read_throttled@1 incoming_bytes@1"},
		{"a stopped stream", ops.Snapshot{Streams: one(stopped)}, stream.ARN, false,
			"iterator_age_s@1 write_throttled@5 incoming_records@5"},
		{"its fan-out consumer", ops.Snapshot{Streams: one(stopped)}, ops.ARN(stopped.Consumers[0].ID), false,
			"fan_out_behind_s@1"},
		{"its function", ops.Snapshot{Streams: one(stopped), Functions: one(function)}, function.ARN, false,
			"consumer_lag_s@1 errors@1 throttles@5 invocations@5"},
		{"a function that reads no stream", ops.Snapshot{Functions: one(function)}, function.ARN, false,
			"errors@15 throttles@15 invocations@15"},
		{"a fresh delivery", ops.Snapshot{Deliveries: one(delivery)}, delivery.ARN, false,
			"freshness_s@5 incoming_records@15 throttled_records@15 delivered_records@15 delivery_success_ratio@15"},
		{"a delivery without freshness may be blocked", ops.Snapshot{Deliveries: one(silent)}, delivery.ARN, false,
			"freshness_s@5 incoming_records@5 throttled_records@15 delivered_records@5 delivery_success_ratio@15"},
		{"a delivery from a stream", ops.Snapshot{Deliveries: one(fromStream)}, delivery.ARN, false,
			"freshness_s@5 source_behind_s@5 source_read_records@15 delivered_records@15 delivery_success_ratio@15 transform_success_ratio@15 conversion_failed_records@15 backup_records@15"},
		{"a sleeping queue", ops.Snapshot{Queues: one(with(0, func(q *ops.Queue) { q.Awake = false }))}, queue.ARN, false, ""},
		{"an empty queue", ops.Snapshot{Queues: one(with(0, nil))}, queue.ARN, false, "sent@15"},
		{"an empty dead-letter queue", ops.Snapshot{Queues: one(with(0, func(q *ops.Queue) { q.DeadLetterOf = make([]ops.DeadLetterSource, 1) }))}, queue.ARN, false, ""},
		{"a queue with messages", ops.Snapshot{Queues: one(with(3, nil))}, queue.ARN, false, "oldest_age_s@5 visible@15"},
		{"a queue that may not be read", ops.Snapshot{Queues: one(queue)}, queue.ARN, false, "oldest_age_s@5 visible@5 in_flight@15 sent@15"},
		{"a queue that expires today", ops.Snapshot{Queues: one(with(3, func(q *ops.Queue) {
			q.Measures = append(q.Measures, ops.Measure{Metric: ops.OldestAge, Last: ops.Know(90*3600, noon)})
		}))}, queue.ARN, false, "oldest_age_s@1 visible@5"},
		{"a stream that an alarm watches", ops.Snapshot{Streams: one(stream), Alarms: one(alarmOn(stream.ARN, "GetRecords.IteratorAgeMilliseconds", "OK"))}, stream.ARN, false,
			"iterator_age_s@15 write_throttled@15 incoming_records@15"},
		{"an alarm that rings", ops.Snapshot{Streams: one(stream), Alarms: one(alarmOn(stream.ARN, "GetRecords.IteratorAgeMilliseconds", "ALARM"))}, stream.ARN, false,
			"iterator_age_s@1 write_throttled@5 incoming_records@5"},
		{"an alarm on something else", ops.Snapshot{Streams: one(stream), Alarms: one(alarmOn(stream.ARN, "IncomingRecords", "OK"))}, stream.ARN, false,
			"iterator_age_s@5 write_throttled@15 incoming_records@15"},
		{"an alarm without data", ops.Snapshot{Streams: one(stream), Alarms: one(alarmOn(stream.ARN, "GetRecords.IteratorAgeMilliseconds", "INSUFFICIENT_DATA"))}, stream.ARN, false,
			"iterator_age_s@5 write_throttled@15 incoming_records@15"},
		{"a stopped stream whose alarm is late", ops.Snapshot{Streams: one(stopped), Alarms: one(alarmOn(stream.ARN, "GetRecords.IteratorAgeMilliseconds", "OK"))}, stream.ARN, false,
			"iterator_age_s@1 write_throttled@5 incoming_records@5"},
		{"a silent delivery whose alarm says OK", ops.Snapshot{Deliveries: one(silent), Alarms: one(alarmOn(delivery.ARN, "DeliveryToS3.DataFreshness", "OK"))}, delivery.ARN, false,
			"freshness_s@5 incoming_records@5 throttled_records@15 delivered_records@5 delivery_success_ratio@15"},
		{"a topic", ops.Snapshot{Topics: one(topic)}, topic.ARN, false, "notify_failed@15 published@15"},
		{"a topic on screen", ops.Snapshot{Topics: one(topic)}, topic.ARN, true, "notify_failed@1 published@1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			focus := map[ops.ARN]bool{}
			if c.focus {
				focus[c.of] = true
			}
			if got := asked(wanted(c.sn, focus, noon), c.of); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func alarmOn(resource ops.ARN, metric, state string) ops.Alarm {
	return ops.Alarm{Name: "a", Resource: resource, MetricName: metric, State: state, Enabled: true}
}

// Once the alarms exist, CloudWatch does the watching.
func TestAlarmsPayForTheDashboard(t *testing.T) {
	sn := scaleSnapshot()
	before := loadOf(wanted(sn, nil, noon), sn, 100, 20).usd()
	for _, x := range sn.Streams.Items {
		sn.Alarms.Items = append(sn.Alarms.Items, alarmOn(x.ARN, "GetRecords.IteratorAgeMilliseconds", "OK"))
	}
	for _, x := range sn.Queues.Items {
		sn.Alarms.Items = append(sn.Alarms.Items, alarmOn(x.ARN, "ApproximateAgeOfOldestMessage", "OK"))
	}
	for _, x := range sn.Deliveries.Items {
		sn.Alarms.Items = append(sn.Alarms.Items, alarmOn(x.ARN, "DeliveryToS3.DataFreshness", "OK"))
	}
	after := loadOf(wanted(sn, nil, noon), sn, 100, 20).usd()
	if after > 0.9*before {
		t.Errorf("$%.3f an hour without alarms, $%.3f with", before, after)
	}
	t.Logf("$%.3f an hour without alarms, $%.3f with", before, after)
}

func one[T any](x T) ops.Section[T] { return ops.Section[T]{Items: []T{x}, Known: 1} }

func TestMetricsAreNamedAsAWSNamesThem(t *testing.T) {
	d := ops.Delivery{ARN: arn("firehose", "deliverystream/d"), Name: "d", Destination: "Redshift"}
	st := ops.Stream{ARN: arn("kinesis", "stream/s"), Name: "s", Consumers: []ops.Consumer{
		{Kind: ops.ByFanOut, ARN: arn("lambda", "function:f"), Name: "f", ID: string(arn("kinesis", "stream/s/consumer/efo:17"))}}}
	found := map[string]bool{}
	for _, w := range wanted(ops.Snapshot{Streams: one(st), Deliveries: one(d)}, nil, noon) {
		found[fmt.Sprintf("%s %s %s %v x%g", w.namespace, w.name, w.stat, w.dims, w.scale)] = true
	}
	for _, want := range []string{
		"AWS/Kinesis GetRecords.IteratorAgeMilliseconds Maximum [StreamName s] x0.001",
		"AWS/Kinesis SubscribeToShardEvent.MillisBehindLatest Maximum [StreamName s ConsumerName efo] x0.001",
		"AWS/Firehose DeliveryToS3.DataFreshness Maximum [DeliveryStreamName d] x1",
	} {
		if !found[want] {
			t.Errorf("not asked for: %s\nin %v", want, found)
		}
	}
}

// scaleSnapshot is a busy account: 100 streams, 500 queues of which a fifth are
// dead-letter queues, 50 deliveries, 200 functions; a dozen rows in danger.
func scaleSnapshot() ops.Snapshot {
	var sn ops.Snapshot
	for i := range 100 {
		st := ops.Stream{ARN: arn("kinesis", fmt.Sprintf("stream/s%03d", i)), Name: fmt.Sprintf("s%03d", i), Retention: 24 * time.Hour,
			Measures:  known(map[ops.Metric]float64{ops.IteratorAge: 0.1}),
			Consumers: []ops.Consumer{{Kind: ops.ByMapping, ARN: arn("lambda", fmt.Sprintf("function:f%03d", i)), Name: fmt.Sprintf("f%03d", i)}}}
		if i < 6 { // behind for two hours and stopped
			st.Measures = ops.Measures{{Metric: ops.IteratorAge, Last: ops.Know(7200, noon), Hour: growing(7200, 60)}}
		}
		sn.Streams.Items = append(sn.Streams.Items, st)
	}
	for i := range 50 {
		d := ops.Delivery{ARN: arn("firehose", fmt.Sprintf("deliverystream/d%02d", i)), Name: fmt.Sprintf("d%02d", i), Destination: "S3",
			Measures: known(map[ops.Metric]float64{ops.Freshness: 90})}
		if i%2 == 0 {
			d.Source = sn.Streams.Items[i].ARN
		}
		sn.Deliveries.Items = append(sn.Deliveries.Items, d)
	}
	for i := range 500 {
		q := ops.Queue{ARN: arn("sqs", fmt.Sprintf("q%03d", i)), Name: fmt.Sprintf("q%03d", i), Awake: true, Retention: 96 * time.Hour}
		n := 0.0
		switch {
		case i%5 == 0:
			q.DeadLetterOf = []ops.DeadLetterSource{{Via: ops.ViaRedrivePolicy, Retention: 96 * time.Hour}}
			if i%50 == 0 {
				n = 20
			}
		case i%5 == 1: // a fifth hold something at any moment
			n = 7
		}
		q.Measures = known(map[ops.Metric]float64{ops.Visible: n})
		sn.Queues.Items = append(sn.Queues.Items, q)
	}
	for i := range 200 {
		sn.Functions.Items = append(sn.Functions.Items, ops.Function{ARN: arn("lambda", fmt.Sprintf("function:f%03d", i)), Name: fmt.Sprintf("f%03d", i)})
	}
	sn.Queues.Known, sn.Topics.Known, sn.Alarms.Known = 500, 40, 1350
	return sn
}

func TestTheScaleCostsLessThanFifteenCentsAnHour(t *testing.T) {
	sn := scaleSnapshot()
	live := 0
	for _, q := range sn.Queues.Items {
		if q.IsDeadLetter() || q.Depth().Or(0) > 0 {
			live++
		}
	}
	// Every queue is awake and every metric had data: nothing is filtered out.
	l := loadOf(wanted(sn, nil, noon), sn, live, 20)
	if usd := l.usd(); usd > 0.15 {
		t.Errorf("%d metrics and %d live queues an hour cost $%.3f", l.metrics, 60*l.queues, usd)
	} else {
		t.Logf("%d metrics an hour, %d live queues a look: $%.3f an hour", l.metrics, l.queues, usd)
	}
}

func TestTheCostArithmetic(t *testing.T) {
	l := load{metrics: 1000, queues: 100, pages: [3]int{1, 2, 3}, actives: 40}
	// $0.01 per 1,000 metrics; 60 looks of 101 SQS calls at $0.40 a million, 2 SNS
	// calls at $0.50 a million and 3 CloudWatch calls at $0.01 per 1,000; 40 ListMetrics.
	price := 0.01 + 60*(101*0.40e-6+2*0.50e-6+3*0.01e-3) + 40*0.01e-3
	if got := l.usd(); math.Abs(got-price) > 1e-12 {
		t.Errorf("got $%g, want $%g", got, price)
	}
	for every, perHour := range map[int]int{1: 60, 5: 12, 15: 4} {
		if got := loadOf([]want{{every: every}}, ops.Snapshot{}, 0, 0).metrics; got != perHour {
			t.Errorf("every %d minutes is %d an hour, got %d", every, perHour, got)
		}
	}
}

func TestTheBudgetStretchesThePace(t *testing.T) {
	l := load{metrics: 30000} // $0.30 an hour
	for _, c := range []struct {
		budget   float64
		blurred  bool
		interval time.Duration
		perHour  float64
	}{
		{0, false, time.Minute, 0.30},
		{0.50, false, time.Minute, 0.30},
		{0.10, false, 3 * time.Minute, 0.10},
		{0.20, false, 2 * time.Minute, 0.20}, // 1.5 minutes, and data comes by the minute
		{0, true, 4 * time.Minute, 0.075},
		{0.10, true, 4 * time.Minute, 0.075},
		{0.01, true, 30 * time.Minute, 0.01},
	} {
		p := paced(l, Options{Budget: c.budget, Pace: time.Minute}, c.blurred)
		if p.Interval != c.interval || math.Abs(p.PerHour-c.perHour) > 0.002 {
			t.Errorf("budget %.2f blurred %v: every %s for $%.3f, want %s for $%.3f", c.budget, c.blurred, p.Interval, p.PerHour, c.interval, c.perHour)
		}
	}
}

// TestAnHourOfLooksKeepsTheBudget plays an hour of looks and counts what is
// really asked for, rounding to whole minutes included.
func TestAnHourOfLooksKeepsTheBudget(t *testing.T) {
	ws := wanted(scaleSnapshot(), nil, noon)
	for _, budget := range []float64{0.12, 0.10, 0.05, 0.02} {
		l := load{}
		for _, w := range ws {
			l.metrics += 60 / w.every
		}
		p := paced(l, Options{Budget: budget, Pace: time.Minute}, false)
		asked := make([]int64, len(ws)) // everything was asked for in tick 0: the first look
		metrics := 0
		for now := minutes(p.Interval); now <= 240; now += minutes(p.Interval) {
			for i, w := range ws {
				if w.due(asked[i], now, p.Stretch) {
					asked[i] = now
					metrics++
				}
			}
		}
		if usd := float64(metrics) / 4 * ops.PricePerMetric; usd > budget*1.001 {
			t.Errorf("a budget of $%.2f an hour became $%.4f", budget, usd)
		}
	}
}

func TestLooksBeginTwentySecondsPastTheMinute(t *testing.T) {
	for _, c := range []struct {
		at       string
		interval time.Duration
		next     string
	}{
		{"12:00:45", time.Minute, "12:01:20"},
		{"12:00:21", time.Minute, "12:01:20"},
		{"12:01:19", time.Minute, "12:01:20"},
		{"12:00:10", time.Minute, "12:00:20"},
		{"12:00:20", 4 * time.Minute, "12:04:20"},
	} {
		now, err := time.Parse(time.DateTime, "2026-11-22 "+c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := now.Add(pace{Interval: c.interval}.next(now)).Format(time.TimeOnly); got != c.next {
			t.Errorf("after %s: %s, want %s", c.at, got, c.next)
		}
	}
}

func TestSilentQueuesAreNotListedActive(t *testing.T) {
	a := newActivity()
	if known, _ := a.of("AWS/SQS", "NumberOfMessagesSent", []string{"QueueName", "orders"}); known {
		t.Error("known before it was read")
	}
	r, ok := rosterOf("AWS/SQS", "NumberOfMessagesSent")
	if !ok {
		t.Fatal("no list for queues")
	}
	a.lists[r] = map[string]bool{metricID(r.name, []string{"QueueName", "orders"}): true}
	for name, want := range map[string]bool{"orders": true, "refunds": false} {
		if known, active := a.of("AWS/SQS", "ApproximateAgeOfOldestMessage", []string{"QueueName", name}); !known || active != want {
			t.Errorf("%s: known %v, active %v", name, known, active)
		}
	}
	if known, active := a.of("AWS/Lambda", "Duration", []string{"FunctionName", "f"}); !known || !active {
		t.Error("a metric that no list covers must count as active")
	}
	a.failed[roster{"AWS/SNS", ""}] = true
	if known, active := a.of("AWS/SNS", "NumberOfNotificationsFailed", []string{"TopicName", "t"}); !known || !active {
		t.Error("where the list failed everything must count as active")
	}
}

func TestLivePointsFillAMetricsGaps(t *testing.T) {
	base := noon.Truncate(time.Minute)
	var live ops.Series
	for i := range 5 { // 12:00 to 12:04
		live = withLive(live, base.Add(time.Duration(i)*time.Minute), float64(10+i))
	}
	metric := emptyHour(base.Add(3 * time.Minute)) // ends with 12:02
	n := len(metric.Points)
	metric.Points[n-3], metric.Points[n-1] = 100, 102
	got := mergeLive(metric, live)
	tail := got.Points[len(got.Points)-5:]
	if want := "[100 11 102 13 14]"; fmt.Sprint(tail) != want || len(got.Points) != hourPoints {
		t.Errorf("got %v of %d points, want %s", tail, len(got.Points), want)
	}
	if last := got.Last(); !last.At.Equal(base.Add(4 * time.Minute)) {
		t.Errorf("the last point is at %s", last.At)
	}
}

func TestRollingRefresh(t *testing.T) {
	sh := newShelf[ops.Stream]()
	for i := range 100 {
		sh.Entries[fmt.Sprint(i)] = &entry[ops.Stream]{Described: noon.Add(-11*time.Minute - time.Duration(i)*time.Second)}
	}
	sh.Entries["young"] = &entry[ops.Stream]{Described: noon.Add(-time.Minute)}
	sh.Entries["new"] = &entry[ops.Stream]{}
	due := rolling(&sh, noon, time.Minute, false)
	if len(due) != 11 || !due["99"] || due["0"] || due["young"] || due["new"] {
		t.Errorf("%d due: %v", len(due), due)
	}
	if due := rolling(&sh, noon, time.Minute, true); len(due) != 101 {
		t.Errorf("asked for by a person: %d due", len(due))
	}
	for _, e := range sh.Entries {
		e.recalled = true
	}
	if due := rolling(&sh, noon, time.Minute, false); len(due) != 100 || due["young"] {
		t.Errorf("from disk: %d due", len(due))
	}
}
