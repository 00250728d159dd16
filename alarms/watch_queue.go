package alarms

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"kxops/ops"
)

const sqs = "AWS/SQS"

func queueMetric(q ops.Queue, metric string) Query {
	return Query{Namespace: sqs, Metric: metric, Dimensions: map[string]string{"QueueName": q.Name}}
}

const oldest = "ApproximateAgeOfOldestMessage"

var watchQueueAge = Watch{
	Tier: Essential, Stat: "Maximum", Period: 60, M: 15, N: 15, Comparison: AtLeast, Missing: MissingIsGood,
	Metric: oldest, Formula: "min(0.25 × retention, max(10 min, delay + visibility × min(tries, 3)))",
	Runbook: []string{"kxops status: is the queue draining?", "the consumer: how many, errors, throttles", "kxops dlq groups on its dead-letter queue: what fails"},
	Source:  "AWS recommended alarms (metric, 15 of 15, ≥); formula ours, peers use 300 s or 600 s",
	Queue: func(q ops.Queue, _ Facts) []Draft {
		if q.Retention <= 0 {
			return unread("the queue's settings")
		}
		return one(Draft{Query: queueMetric(q, oldest), Level: slowAfter(q).Seconds(), Unit: "s", Formula: slowFormula(q), Inputs: slowInputs(q)})
	},
}

// slowFormula is slowAfter in words, with the queue's values.
func slowFormula(q ops.Queue) string {
	if slowAfter(q) == q.Retention/4 {
		return "0.25 × retention " + ops.Span(q.Retention.Seconds())
	}
	return fmt.Sprintf("max(10m, delay %s + visibility %s × %d)", ops.Span(q.Delay.Seconds()), ops.Span(q.Visibility.Seconds()), countedTries(q))
}

func slowInputs(q ops.Queue) map[string]string {
	return map[string]string{"retention": ops.Span(q.Retention.Seconds()), "visibility": ops.Span(q.Visibility.Seconds()), "delay": ops.Span(q.Delay.Seconds()), "tries": fmt.Sprint(countedTries(q))}
}

var watchQueueLoss = Watch{
	Tier: Essential, Stat: "Maximum", Period: 60, M: 5, N: 5, Comparison: Above, Missing: MissingIsGood,
	Metric: oldest, Formula: "0.5 × retention",
	Runbook: []string{"raise the queue's retention now, 14 days at most", "kxops status: is anything taken?", "then fix the consumer"},
	Source:  "ours",
	Queue: func(q ops.Queue, _ Facts) []Draft {
		if q.Retention <= 0 {
			return unread("the queue's retention")
		}
		return one(Draft{Query: queueMetric(q, oldest), Level: q.Retention.Seconds() / 2, Unit: "s", Formula: "0.5 × retention " + ops.Span(q.Retention.Seconds()), Inputs: retentionInput(q.Retention)})
	},
}

var watchQueueStuck = Watch{
	Tier: Recommended, Period: 60, M: 10, N: 15, Comparison: AtLeast, Missing: MissingIsGood,
	Metric: "IF(age > T, RATE(age), 0), T of sqs.age", Formula: "0.9 s of age a second",
	Runbook:  []string{"kxops status: nobody takes the oldest message", "is the consumer running, is its mapping enabled?", "its errors and throttles"},
	Source:   "ours",
	Unproven: "how RATE behaves across gaps",
	Queue: func(q ops.Queue, _ Facts) []Draft {
		if q.Retention <= 0 {
			return unread("the queue's settings")
		}
		age := queueMetric(q, oldest)
		age.ID, age.Stat, age.Period = "m1", "Maximum", 60
		return one(Draft{
			Math:  []Query{age, {ID: "e1", Expression: fmt.Sprintf("IF(m1>%.0f, RATE(m1), 0)", slowAfter(q).Seconds()), Period: 60, Returns: true}},
			Level: 0.9, Unit: "s a second", Formula: "0.9 s of age a second beyond " + ops.Span(slowAfter(q).Seconds()), Inputs: slowInputs(q),
		})
	},
}

var watchQueueInFlight = Watch{
	Tier: Recommended, Stat: "Maximum", Period: 60, M: 15, N: 15, Comparison: AtLeast, Missing: MissingIsGood,
	Metric: "ApproximateNumberOfMessagesNotVisible", Formula: "96,000 (80 % of 120,000)",
	Runbook: []string{"kxops status: how many are in flight", "which consumer receives and does not delete?", "at 120,000 SQS hands out no more"},
	Source:  "AWS recommended alarms (15 of 15), slic-watch (80 %)",
	Queue: func(q ops.Queue, _ Facts) []Draft {
		return one(Draft{Query: queueMetric(q, "ApproximateNumberOfMessagesNotVisible"), Level: inFlightLimit, Unit: "messages", Formula: "80% of 120,000 in flight"})
	},
}

var queueBacklog = Rule{
	ID: "sqs.backlog", Severity: Info,
	Title: "more messages wait than usual",
	Why:   "AWS metric (history, 15 of 15 minutes); at least 1.5 × p99.9 of the last two weeks",
	Next:  "is more sent than usual, or less taken?",
	Watch: &Watch{
		Tier: OptIn, Stat: "Average", Period: 60, M: 15, N: 15, Comparison: AtLeast, Missing: MissingIsGood,
		Metric: "ApproximateNumberOfMessagesVisible", Formula: "1.5 × p99.9 of two weeks, at least 1", When: "asked for: the plan reads two weeks of history, once; the alarm keeps what was measured then",
		Runbook: []string{"kxops status: is the queue draining?", "what is sent: more than usual?", "the consumer: how many, errors, throttles"},
		Source:  "AWS recommended alarms (metric, 15 of 15, a threshold of history); 1.5 × p99.9 ours",
		Queue: func(q ops.Queue, f Facts) []Draft {
			b, ok := f.Baselines[q.ARN]
			switch {
			case !ok:
				return unread("the queue's last two weeks")
			case b.Unread != "":
				return []Draft{{Unknown: "the queue's last two weeks could not be read: " + b.Unread}}
			case b.Short != "":
				return skip(b.Short)
			}
			usual := strconv.FormatFloat(b.Usual, 'f', -1, 64)
			return one(Draft{
				Query: queueMetric(q, "ApproximateNumberOfMessagesVisible"), Level: max(1, math.Ceil(1.5*b.Usual)), Unit: "messages",
				Formula: fmt.Sprintf("max(1, 1.5 × %s: p99.9 of the two weeks before %s)", usual, b.Measured),
				Inputs:  map[string]string{InputUsual: usual, InputMeasured: b.Measured},
			})
		},
	},
}

var queueSilent = Rule{
	ID: "sqs.silent", Severity: Ticket,
	Title: "nobody sends any more",
	Why:   "AWS: nothing sent for 15 of 15 minutes; only for queues that are never idle",
	Next:  "is the producer alive?",
	Watch: &Watch{
		Tier: OptIn, Stat: "Sum", Period: 60, M: 15, N: 15, Comparison: AtMost, Missing: MissingIsBad,
		Metric: "NumberOfMessagesSent", Formula: "0", When: "asked for: the queue is never idle",
		Runbook: []string{"kxops status: since when is it silent", "is the producer running, may it send?", "kxops alarms mute while nothing is to come"},
		Source:  "AWS recommended alarms; missing data as breaching is ours",
		Queue: func(q ops.Queue, _ Facts) []Draft {
			return one(Draft{Query: queueMetric(q, "NumberOfMessagesSent"), Unit: "messages", Formula: "nothing sent for a quarter of an hour"})
		},
	},
}

var watchDeadNonEmpty = Watch{
	Tier: Essential, Stat: "Maximum", Period: 60, M: 1, N: 5, Comparison: Above, Missing: MissingIsGood, OK: true,
	Metric: "ApproximateNumberOfMessagesVisible", Formula: "0",
	Runbook: []string{"kxops dlq groups: why they are here", "kxops dlq peek: look at one", "kxops dlq redrive --canary, when the cause is fixed"},
	Source:  "AWS dead-letter queue page and all peers; 1 of 5 ours: it rings at once and a peek does not make it flap",
	Dead: func(q ops.Queue, _ Facts) []Draft {
		return one(Draft{Query: queueMetric(q, "ApproximateNumberOfMessagesVisible"), Unit: "messages", Formula: "any"})
	},
}

var watchDeadGrowing = Watch{
	Tier: Recommended, Period: 60, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
	Metric: "DIFF(visible + in flight)", Formula: "0",
	Runbook:  []string{"kxops dlq groups: what is new", "stop the bleeding: disable the mapping or roll back", "kxops dlq redrive when it is fixed"},
	Source:   "ours: tells about new messages while the depth stays over zero; a peek moves between the two and does not ring it",
	Unproven: "approximate counts may flicker by one",
	Dead: func(q ops.Queue, _ Facts) []Draft {
		visible, held := queueMetric(q, "ApproximateNumberOfMessagesVisible"), queueMetric(q, "ApproximateNumberOfMessagesNotVisible")
		visible.ID, visible.Stat, visible.Period = "m1", "Maximum", 60
		held.ID, held.Stat, held.Period = "m2", "Maximum", 60
		return one(Draft{Math: []Query{visible, held, {ID: "e1", Expression: "DIFF(m1+m2)", Period: 60, Returns: true}}, Unit: "messages", Formula: "more than a minute ago"})
	},
}

var watchDeadLoss = Watch{
	Tier: Essential, Stat: "Maximum", Period: 300, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
	Metric: oldest, Formula: "standard: max(1 h, retention − source's retention − window); FIFO: retention − window",
	Runbook: []string{"kxops dlq retention: raise it to 14 days", "kxops dlq redrive --canary, or", "kxops dlq archive before they expire"},
	Source:  "ours: a standard queue counts from the first enqueue, its age metric from the move",
	Dead: func(q ops.Queue, f Facts) []Draft {
		if q.Retention <= 0 {
			return unread("the queue's retention")
		}
		window := f.Window
		if window <= 0 {
			window = responseWindow(q.Retention)
		}
		window = min(window, q.Retention/2) // a longer one would ring for ever
		if q.FIFO {
			return one(Draft{Query: queueMetric(q, oldest), Level: max(seconds(q.Retention-window), 0), Unit: "s",
				Formula: fmt.Sprintf("retention %s − window %s (FIFO: the clock starts at the move)", ops.Span(q.Retention.Seconds()), ops.Span(window.Seconds())), Inputs: retentionInput(q.Retention)})
		}
		source := time.Duration(0)
		for _, s := range q.DeadLetterOf {
			if s.Via != ops.ViaRedrivePolicy {
				continue
			}
			if s.Retention <= 0 {
				return unread("the retention of " + s.Source.Name())
			}
			source = max(source, s.Retention)
		}
		return one(Draft{Query: queueMetric(q, oldest), Level: max(time.Hour, q.Retention-source-window).Seconds(), Unit: "s",
			Formula: fmt.Sprintf("max(1h, retention %s − source %s − window %s)", ops.Span(q.Retention.Seconds()), ops.Span(source.Seconds()), ops.Span(window.Seconds())),
			Inputs:  map[string]string{"retention": ops.Span(q.Retention.Seconds()), "source": ops.Span(source.Seconds()), "window": ops.Span(window.Seconds())}})
	},
}
