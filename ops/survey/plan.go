package survey

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"kxops/ops"
)

// How often a number is asked for, in minutes. CloudWatch bills each metric each
// time, so the interval follows what the number decides.
const (
	hotEvery     = 1  // rows in danger and rows on screen
	vitalEvery   = 5  // what tells that data will be lost
	contextEvery = 15 // what explains it
	never        = 0

	// hotRows bounds the rows in danger that are followed by the minute: the first
	// screen of the overview. What is on screen in detail comes on top.
	hotRows = 24
	// blurSlower is how much slower everything goes while nobody looks.
	blurSlower = 4
	// dangerIn and dangerUsed make a row hot: a loss within a day, or a quarter of
	// the retention used while it is not getting better (our rules).
	dangerIn   = 24 * time.Hour
	dangerUsed = 0.25
)

// query is one metric of one resource.
type query struct {
	of        ops.ARN
	metric    ops.Metric
	namespace string
	name      string
	stat      string
	scale     float64  // from the metric's unit to ours: 0.001 for milliseconds
	dims      []string // name, value, name, value …
}

// want is a query and how often it is wanted, in minutes.
type want struct {
	query
	every int
	// sure marks a metric that must exist whatever ListMetrics says, which is up to
	// a quarter of an hour late with new ones.
	sure bool
}

// heat is how closely a resource is followed.
type heat int

const (
	guarded heat = iota - 1 // a CloudWatch alarm on the number that decides says OK
	calm
	hot
	onScreen
)

func (h heat) vital() int {
	switch {
	case h >= hot:
		return hotEvery
	case h == guarded: // CloudWatch does the watching, and its alarm makes the row hot
		return contextEvery
	}
	return vitalEvery
}

func (h heat) context() int {
	switch h {
	case onScreen:
		return hotEvery
	case hot:
		return vitalEvery
	}
	return contextEvery
}

func (h heat) detail() int {
	if h == onScreen {
		return hotEvery
	}
	return never
}

// wanted lists every metric that is worth its price for this snapshot, and how
// often: the lean set for everything, more for what is in danger or on screen.
func wanted(sn ops.Snapshot, focus map[ops.ARN]bool, now time.Time) []want {
	heats := heats(sn, focus, now)
	w := make(wants, 0, 3*(len(sn.Streams.Items)+len(sn.Deliveries.Items)+len(sn.Queues.Items)+len(sn.Functions.Items)))
	readsStream := map[ops.ARN]bool{}
	for _, st := range sn.Streams.Items {
		w.young(st.Created, now, func() { w.stream(st, heats[st.ARN]) })
		for _, c := range st.Consumers {
			readsStream[c.ARN] = true
			heats[c.ARN] = max(heats[c.ARN], heats[st.ARN]) // the lag of a stream in danger has a name
		}
	}
	for _, d := range sn.Deliveries.Items {
		w.young(d.Created, now, func() { w.delivery(d, heats[d.ARN]) })
	}
	for _, q := range sn.Queues.Items {
		w.young(q.Created, now, func() { w.queue(q, heats[q.ARN]) })
	}
	for _, f := range sn.Functions.Items {
		w.function(f, readsStream[f.ARN], heats[f.ARN])
	}
	for _, t := range sn.Topics.Items {
		w.topic(t, heats[t.ARN])
	}
	for _, a := range sn.APIs.Items {
		w.young(a.Created, now, func() { w.api(a, heats[a.ARN]) })
	}
	return w
}

type wants []want

func (w *wants) add(every int, q query) {
	if every != never && q.of != "" {
		*w = append(*w, want{query: q, every: every})
	}
}

// unlisted is how long a new resource's metrics may be missing from what is known to
// be active: CloudWatch lists a new metric within a quarter of an hour (ListMetrics, API
// reference), and the list is read every quarter of an hour.
const unlisted = 2 * activeEvery

// young marks what is wanted of a resource that was just made: its metrics are asked for
// although nobody lists them, or it would be called idle while it fails.
func (w *wants) young(created, now time.Time, add func()) {
	from := len(*w)
	add()
	if created.IsZero() || now.Sub(created) > unlisted {
		return
	}
	for i := from; i < len(*w); i++ {
		(*w)[i].sure = true
	}
}

func (w *wants) stream(st ops.Stream, h heat) {
	of := func(m ops.Metric, name, stat string, scale float64) query {
		return query{st.ARN, m, "AWS/Kinesis", name, stat, scale, []string{"StreamName", st.Name}}
	}
	w.add(h.vital(), of(ops.IteratorAge, "GetRecords.IteratorAgeMilliseconds", "Maximum", 0.001))
	w.add(h.context(), of(ops.WriteThrottle, "WriteProvisionedThroughputExceeded", "Sum", 1))
	w.add(h.context(), of(ops.Incoming, "IncomingRecords", "Sum", 1))
	w.add(h.detail(), of(ops.ReadThrottle, "ReadProvisionedThroughputExceeded", "Sum", 1))
	w.add(h.detail(), of(ops.IncomingBytes, "IncomingBytes", "Sum", 1))
	for _, c := range st.Consumers {
		if c.Kind != ops.ByFanOut {
			continue
		}
		// The consumer's name, not the function's: the metric's dimension.
		w.add(h.vital(), query{ops.ARN(c.ID), ops.FanOutBehind, "AWS/Kinesis", "SubscribeToShardEvent.MillisBehindLatest", "Maximum", 0.001,
			[]string{"StreamName", st.Name, "ConsumerName", ops.ARN(c.ID).Name()}})
	}
}

func (w *wants) delivery(d ops.Delivery, h heat) {
	of := func(m ops.Metric, name, stat string, scale float64) query {
		return query{d.ARN, m, "AWS/Firehose", name, stat, scale, []string{"DeliveryStreamName", d.Name}}
	}
	to := d.MetricPrefix()
	if _, fresh := d.Measures.Last(ops.Freshness).Value(); !fresh {
		h = max(h, calm) // an alarm on a metric that is not there says OK, and it may be blocked
	}
	w.add(h.vital(), of(ops.Freshness, to+".DataFreshness", "Maximum", 1))
	// A blocked delivery publishes no freshness at all: then data in and data out
	// decide, and they are followed as closely.
	inOut := h.context()
	if _, fresh := d.Measures.Last(ops.Freshness).Value(); !fresh {
		inOut = h.vital()
	}
	if d.Source == "" {
		w.add(inOut, of(ops.Incoming, "IncomingRecords", "Sum", 1))
		w.add(h.context(), of(ops.Throttled, "ThrottledRecords", "Sum", 1))
		w.add(h.detail(), of(ops.IncomingBytes, "IncomingBytes", "Sum", 1))
	} else {
		w.add(h.vital(), of(ops.SourceBehind, "KinesisMillisBehindLatest", "Maximum", 0.001))
		w.add(inOut, of(ops.SourceRead, "DataReadFromKinesisStream.Records", "Sum", 1))
	}
	w.add(inOut, of(ops.Delivered, to+".Records", "Sum", 1))
	// Nothing is listed for what has just begun to come out again: silence would pass
	// for a blocked delivery.
	(*w)[len(*w)-1].sure = d.TakesIn()
	w.add(h.context(), of(ops.DeliverySucc, to+".Success", "Average", 1))
	if d.Transform != "" {
		w.add(h.context(), of(ops.TransformSucc, "ExecuteProcessing.Success", "Average", 1))
	}
	if d.Conversion {
		w.add(h.context(), of(ops.ConvertFailed, "FailedConversion.Records", "Sum", 1))
	}
	if d.Backup != "" {
		w.add(h.context(), of(ops.Backup, "BackupToS3.Records", "Sum", 1))
	}
}

func (w *wants) queue(q ops.Queue, h heat) {
	of := func(m ops.Metric, name, stat string) query {
		return query{q.ARN, m, "AWS/SQS", name, stat, 1, []string{"QueueName", q.Name}}
	}
	if !q.Awake {
		return // it publishes nothing
	}
	n, live := q.Depth().Value()
	if !live || n > 0 {
		w.add(h.vital(), of(ops.OldestAge, "ApproximateAgeOfOldestMessage", "Maximum"))
		(*w)[len(*w)-1].sure = n > 0 // a message has an age
	}
	switch {
	case !live: // its attributes may not be read: the metrics say a part
		w.add(h.vital(), of(ops.Visible, "ApproximateNumberOfMessagesVisible", "Maximum"))
		w.add(h.context(), of(ops.InFlight, "ApproximateNumberOfMessagesNotVisible", "Maximum"))
	case n > 0 || h == onScreen:
		w.add(h.context(), of(ops.Visible, "ApproximateNumberOfMessagesVisible", "Maximum"))
	}
	switch {
	case h == onScreen:
		w.add(h.detail(), of(ops.Sent, "NumberOfMessagesSent", "Sum"))
		w.add(h.detail(), of(ops.Deleted, "NumberOfMessagesDeleted", "Sum"))
	case n == 0 && !q.IsDeadLetter():
		// Is anything sent here? Then it is read live, else it may fall asleep.
		w.add(h.context(), of(ops.Sent, "NumberOfMessagesSent", "Sum"))
	}
}

func (w *wants) function(f ops.Function, readsStream bool, h heat) {
	of := func(m ops.Metric, name, stat string, scale float64) query {
		return query{f.ARN, m, "AWS/Lambda", name, stat, scale, []string{"FunctionName", f.Name}}
	}
	errors := h.context()
	if readsStream { // a failing batch blocks its shard
		errors = h.vital()
		w.add(h.vital(), of(ops.FnIteratorAge, "IteratorAge", "Maximum", 0.001))
	}
	w.add(errors, of(ops.Errors, "Errors", "Sum", 1))
	w.add(h.context(), of(ops.FnThrottles, "Throttles", "Sum", 1))
	w.add(h.context(), of(ops.Invocations, "Invocations", "Sum", 1)) // errors mean nothing without it
	w.add(h.detail(), of(ops.Duration, "Duration", "Maximum", 0.001))
}

func (w *wants) topic(t ops.Topic, h heat) {
	of := func(m ops.Metric, name string) query {
		return query{t.ARN, m, "AWS/SNS", name, "Sum", 1, []string{"TopicName", t.Name}}
	}
	w.add(h.context(), of(ops.NotifyFailed, "NumberOfNotificationsFailed"))
	if slices.ContainsFunc(t.Subscriptions, func(x ops.Subscription) bool { return x.RedriveTo != "" }) {
		w.add(h.context(), of(ops.NotifyRedrive, "NumberOfNotificationsRedrivenToDlq"))
		w.add(h.context(), of(ops.NotifyLost, "NumberOfNotificationsFailedToRedriveToDlq"))
	}
	w.add(h.context(), of(ops.Published, "NumberOfMessagesPublished"))
}

// api asks for the stages of an API that feeds a pipeline; others have none of our
// business, unless somebody looks at them.
func (w *wants) api(a ops.API, h heat) {
	if !a.FeedsPipeline() && h != onScreen {
		return
	}
	names := a.Metrics()
	for _, stage := range a.Stages {
		of := func(m ops.Metric, name, stat string, scale float64) query {
			return query{a.StageARN(stage.Name), m, "AWS/ApiGateway", name, stat, scale, []string{names.Dimension, names.Of, "Stage", stage.Name}}
		}
		w.add(h.vital(), of(ops.APIFailed, names.Failed, "Average", 1))
		w.add(h.context(), of(ops.APIRejected, names.Rejected, "Average", 1))
		w.add(h.context(), of(ops.APIRequests, names.Count, "SampleCount", 1))
		w.add(h.detail(), of(ops.APILatency, names.Latency, "p90", 0.001))
	}
}

// heats says which resources are on screen and which are in danger.
func heats(sn ops.Snapshot, focus map[ops.ARN]bool, now time.Time) map[ops.ARN]heat {
	out := map[ops.ARN]heat{}
	rows := endangered(sn, now)
	for _, a := range rows[:min(len(rows), hotRows)] {
		out[a] = hot
	}
	for a := range focus {
		out[a] = onScreen
	}
	for _, a := range sn.Alarms.Items {
		if a.Resource != "" && a.Enabled && a.State == "OK" && decides(a.MetricName) && out[a.Resource] == calm {
			out[a.Resource] = guarded
		}
	}
	return out
}

// decides reports whether a metric is one that tells that data will be lost.
func decides(metric string) bool {
	switch metric {
	case "GetRecords.IteratorAgeMilliseconds", "IteratorAge", "KinesisMillisBehindLatest", "ApproximateAgeOfOldestMessage", "5xx", "5XXError", "ExecutionError":
		return true
	}
	return strings.HasSuffix(metric, ".DataFreshness")
}

// endangered lists the resources that lose data soon, the first to lose first.
func endangered(sn ops.Snapshot, now time.Time) []ops.ARN {
	type row struct {
		arn ops.ARN
		in  float64 // seconds
	}
	var rows []row
	add := func(a ops.ARN, l ops.Loss, blocked bool) {
		in := l.In.Or(math.Inf(1))
		soon := in < dangerIn.Seconds()
		worse := l.Used.Or(0) > dangerUsed && l.Motion != ops.MotionCatching && l.Motion != ops.MotionDraining
		if soon || worse || blocked {
			rows = append(rows, row{a, in})
		}
	}
	retention := map[ops.ARN]time.Duration{}
	for _, st := range sn.Streams.Items {
		retention[st.ARN] = st.Retention
		l := ops.StreamLoss(st, now)
		add(st.ARN, l, l.Motion == ops.MotionStopped)
	}
	for _, d := range sn.Deliveries.Items {
		blocked, ok := d.Blocked(now)
		add(d.ARN, ops.DeliveryLoss(d, retention[d.Source], now), ok && blocked)
	}
	for _, q := range sn.Queues.Items {
		if n, ok := q.Depth().Value(); ok && n > 0 {
			add(q.ARN, ops.QueueLoss(q, now), false)
		}
	}
	for _, a := range sn.Alarms.Items {
		if a.State == "ALARM" && a.Resource != "" {
			rows = append(rows, row{a.Resource, math.Inf(1)})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.in, b.in), cmp.Compare(a.arn, b.arn))
	})
	arns := make([]ops.ARN, 0, len(rows))
	for _, r := range rows {
		arns = append(arns, r.arn)
	}
	return slices.Compact(arns)
}

// tick numbers the minutes as the data comes: a minute's points are read from 20
// seconds into the next one on.
func tick(t time.Time) int64 { return (t.Unix() - pollSecond) / 60 }

// pollSecond is the second of the minute in which a look begins, so that each new
// point is read once and soon.
const pollSecond = 20

func minutes(d time.Duration) int64 { return int64((d + time.Minute - 1) / time.Minute) }

// due reports whether a want that was last asked for in tick asked is to be asked
// for again. slower stretches all intervals; it is 1 at the ordinary pace.
func (w want) due(asked, now int64, slower float64) bool {
	return now-asked >= int64(math.Ceil(float64(w.every)*slower))
}

// pace is how fast to look, and what that costs.
type pace struct {
	Interval time.Duration // between two looks
	Stretch  float64       // how much slower than wanted the budget makes everything, at least 1
	PerHour  float64       // USD an hour at this pace
}

// load is what one hour at the full pace would take.
type load struct {
	metrics int     // metrics asked for in an hour
	queues  int     // queues read live at each look
	pages   [3]int  // pages of queues, topics and alarms listed at each look
	actives float64 // ListMetrics calls in an hour
}

func loadOf(ws []want, sn ops.Snapshot, live, activePages int) load {
	l := load{queues: live, actives: float64(activePages) * 60 / contextEvery}
	l.pages = [3]int{pagesOf(sn.Queues.Known, 1000), pagesOf(sn.Topics.Known, 100), pagesOf(sn.Alarms.Known, 100)}
	for _, w := range ws {
		l.metrics += 60 / w.every
	}
	return l
}

func pagesOf(n, size int) int { return max(1, (n+size-1)/size) }

// usd returns what the load costs in an hour of one look a minute, at list price.
func (l load) usd() float64 {
	perLook := float64(l.queues+l.pages[0])*ops.PricePerQueueCall + float64(l.pages[1])*ops.PricePerTopicCall + float64(l.pages[2])*ops.PricePerCloudWatchCall
	return float64(l.metrics)*ops.PricePerMetric + 60*perLook + l.actives*ops.PricePerCloudWatchCall
}

// paced slows a load down to the budget, in whole minutes: the data has no finer
// grain. A budget of 0 is no limit.
func paced(l load, o Options, blurred bool) pace {
	interval, cost := o.Pace, l.usd()*float64(time.Minute)/float64(max(o.Pace, time.Minute))
	p := pace{Stretch: 1}
	if blurred {
		interval *= blurSlower
		cost /= blurSlower
	}
	if o.Budget > 0 && cost > o.Budget {
		p.Stretch = cost / o.Budget
		interval = time.Duration(float64(interval) * p.Stretch)
	}
	p.Interval = time.Duration(minutes(interval)) * time.Minute
	p.PerHour = cost / p.Stretch
	return p
}

// next returns the delay until the next look: at 20 seconds past a minute, so
// that the newest point is there, and an interval after this one.
func (p pace) next(now time.Time) time.Duration {
	start := time.Unix(tick(now)*60+pollSecond, 0)
	return start.Add(p.Interval).Sub(now)
}

// slower is how much slower than wanted the metrics are asked for.
func (s *Survey) slower() float64 {
	f := s.picture.pace.Stretch * float64(s.options.Pace) / float64(time.Minute)
	if s.ask.Blurred {
		f *= blurSlower
	}
	return f
}

// interval is the time between two looks. Call it under the lock.
func (s *Survey) interval() time.Duration { return s.picture.pace.Interval }
