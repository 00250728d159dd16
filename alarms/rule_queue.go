package alarms

import (
	"fmt"
	"time"

	"kxops/ops"
)

var queueLoss = Rule{
	ID: "sqs.loss", Severity: Page,
	Title: "half of the queue's retention is used up",
	Why:   "ours: oldest message over 50 % of retention, 5 of 5 minutes",
	Next:  "raise the retention now (14 days at most), then fix the consumer",
	Queue: func(q ops.Queue, l look) string {
		if m := q.Measures.Get(ops.OldestAge); q.Retention > 0 && l.breaches(m, 5, 5, above(q.Retention.Seconds()/2)) {
			return fmt.Sprintf("the oldest message is %s old, over half of the retention %s", ops.Span(l.last(m)), ops.Span(q.Retention.Seconds()))
		}
		return ""
	},
	Watch: &watchQueueLoss,
}

// slowAfter is the age at which a queue is late: ten minutes or the time of the
// tries a message can be in the age metric (three at most: after the third
// receive it moves to the back), but never more than a quarter of retention.
func slowAfter(q ops.Queue) time.Duration {
	return min(q.Retention/4, max(10*time.Minute, q.Delay+time.Duration(countedTries(q))*q.Visibility))
}

// countedTries is how many tries a message can spend in the age metric.
func countedTries(q ops.Queue) int {
	if q.MaxReceive > 0 {
		return min(q.MaxReceive, 3)
	}
	return 3
}

var queueStuck = Rule{
	ID: "sqs.stuck", Severity: Page,
	Title: "nobody takes the oldest message",
	Why:   "ours: late, and the age grows at least 0.9 s per second over 15 minutes",
	Next:  "is the consumer running? look at its errors and throttles",
	Queue: func(q ops.Queue, l look) string {
		m := q.Measures.Get(ops.OldestAge)
		if q.Retention > 0 && l.last(m) > slowAfter(q).Seconds() && m.Hour.Settled(l.now).Slope(15).Or(0) >= 0.9 {
			return fmt.Sprintf("nobody takes the oldest message: %s old and ageing in real time", ops.Span(l.last(m)))
		}
		return ""
	},
	Watch: &watchQueueStuck,
}

var queueAge = Rule{
	ID: "sqs.age", Severity: Ticket,
	Title: "messages wait too long",
	Why:   "AWS metric; at least min(retention/4, max(10 min, delay + visibility × min(tries, 3))), 15 of 15 minutes; the formula is ours",
	Next:  "more consumers; look at their errors and throttles",
	Queue: func(q ops.Queue, l look) string {
		limit := slowAfter(q).Seconds()
		if m := q.Measures.Get(ops.OldestAge); q.Retention > 0 && l.breaches(m, 15, 15, atLeast(limit)) {
			return fmt.Sprintf("the oldest message waits %s, over %s", ops.Span(l.last(m)), ops.Span(limit))
		}
		return ""
	},
	Watch: &watchQueueAge,
}

// inFlightLimit is 80 % of the 120,000 messages that may be in flight, standard
// and FIFO alike (SQS developer guide, quotas).
const inFlightLimit = 96_000

var queueInFlight = Rule{
	ID: "sqs.inflight", Severity: Ticket,
	Title: "consumers receive and do not delete",
	Why:   "80 % of the 120,000 in-flight limit, 15 of 15 minutes: a burst that is being worked off is no finding",
	Next:  "find the consumer that does not delete; beyond the limit nothing is delivered any more",
	Queue: func(q ops.Queue, l look) string {
		if m := q.Measures.Get(ops.InFlight); l.breaches(m, 15, 15, atLeast(inFlightLimit)) {
			return fmt.Sprintf("%.0f messages in flight for 15 minutes, the limit is 120,000", l.last(m))
		}
		return ""
	},
	Watch: &watchQueueInFlight,
}

var queueVisibility = Rule{
	ID: "sqs.visibility", Severity: Info,
	Title: "the visibility timeout is short for the function behind the queue",
	Why:   "AWS: at least 6 × the function's timeout",
	Next:  "raise the visibility timeout, or messages are processed twice",
	Queue: func(q ops.Queue, l look) string {
		for _, c := range q.Consumers {
			if t := l.timeout[c.ARN]; t > 0 && q.Visibility < 6*t {
				return fmt.Sprintf("visibility timeout %s is under 6 × the %s timeout of %s", ops.Span(q.Visibility.Seconds()), ops.Span(t.Seconds()), c.Name)
			}
		}
		return ""
	},
}

var queueNoDeadLetter = Rule{
	ID: "sqs.no_dlq", Severity: Info,
	Title: "a consumed queue without a dead-letter queue",
	Why:   "a message that always fails is retried until it expires, and is then lost",
	Next:  "add a redrive policy",
	Queue: func(q ops.Queue, l look) string {
		if len(q.Consumers) > 0 && q.RedriveTo == "" {
			return "no dead-letter queue: a message that always fails expires unseen"
		}
		return ""
	},
}
