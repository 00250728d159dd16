package sandbox

import "time"

// A queue publishes its depth and age only while it is awake: for six hours after
// it last held messages or any call touched it. Waking up takes up to a quarter of
// an hour during which its metrics are late (Developer Guide,
// monitoring-using-cloudwatch).
const (
	queueAwake = 6 * time.Hour
	maxWaking  = 15 * time.Minute
)

// queueGauges are a queue's metrics and its sleep.
type queueGauges struct {
	sentMetric, receivedMetric, deletedMetric, emptyMetric, sizeMetric *metricSeries
	visibleMetric, inFlightMetric, delayedMetric, ageMetric            *metricSeries

	active    time.Time // last time it held messages or was touched
	waking    time.Time // when its metrics begin to arrive, zero: they do
	late      map[*metricSeries]*metricSeries
	atMinute  [3]int // counts at the last full minute
	minuteAgo [3]int // and one minute before that: what lagging counts show
}

func (q *queue) openMetrics() {
	open := func(name, unit string) *metricSeries {
		return q.r.metrics.series("AWS/SQS", name, unit, "QueueName", q.name)
	}
	q.sentMetric = open("NumberOfMessagesSent", "Count")
	q.receivedMetric = open("NumberOfMessagesReceived", "Count")
	q.deletedMetric = open("NumberOfMessagesDeleted", "Count")
	q.emptyMetric = open("NumberOfEmptyReceives", "Count")
	q.sizeMetric = open("SentMessageSize", "Bytes")
	q.visibleMetric = open("ApproximateNumberOfMessagesVisible", "Count")
	q.inFlightMetric = open("ApproximateNumberOfMessagesNotVisible", "Count")
	q.delayedMetric = open("ApproximateNumberOfMessagesDelayed", "Count")
	q.ageMetric = open("ApproximateAgeOfOldestMessage", "Seconds")
	q.active = q.r.now()
}

// touch keeps the queue awake, or wakes it up.
func (q *queue) touch(now time.Time) {
	if now.Sub(q.active) > queueAwake {
		// How long waking takes is not published beyond "up to 15 minutes"; each
		// queue has its own time, so that a run is repeatable.
		q.waking = now.Add(3*time.Minute + time.Duration(hash32(q.name)%12)*time.Minute)
		q.late = map[*metricSeries]*metricSeries{}
	}
	q.active = now
}

// counted adds to a metric, or keeps it back while the queue is waking up.
func (q *queue) counted(s *metricSeries, t time.Time, v float64) {
	if q.waking.IsZero() {
		s.add(t, v)
		return
	}
	kept, ok := q.late[s]
	if !ok {
		kept = &metricSeries{}
		q.late[s] = kept
	}
	kept.add(t, v)
}

// sample publishes the gauges of one minute. SQS reports a non-negative value for
// every metric of an active queue, so the counters get their zeroes here.
func (q *queue) sample(now time.Time) {
	q.settle(now)
	q.minuteAgo, q.atMinute = q.atMinute, q.count
	if len(q.messages) > 0 {
		q.touch(now)
	}
	if now.Sub(q.active) > queueAwake {
		return
	}
	if !q.waking.IsZero() && !now.Before(q.waking) {
		q.catchUpMetrics()
	}
	q.counted(q.visibleMetric, now, float64(q.count[ready]))
	q.counted(q.inFlightMetric, now, float64(q.count[leased]))
	q.counted(q.delayedMetric, now, float64(q.count[delayed]))
	q.counted(q.ageMetric, now, q.age(now).Seconds())
	for _, s := range []*metricSeries{q.sentMetric, q.receivedMetric, q.deletedMetric, q.emptyMetric} {
		q.counted(s, now, 0)
	}
}

// catchUpMetrics publishes what was kept back.
func (q *queue) catchUpMetrics() {
	for s, kept := range q.late {
		for i, p := range kept.points {
			s.merge(timeOfMinute(kept.first+int64(i)), p)
		}
	}
	q.waking, q.late = time.Time{}, nil
}

// age is that of the oldest message, without those received so often that a
// standard queue put them to its end.
func (q *queue) age(now time.Time) time.Duration {
	if len(q.ages.items) == 0 {
		return 0
	}
	return now.Sub(q.ages.items[0].arrived).Truncate(time.Second)
}
