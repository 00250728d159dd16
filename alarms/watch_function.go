package alarms

import (
	"fmt"
	"slices"
	"time"

	"kxops/ops"
)

const lambda = "AWS/Lambda"

func functionMetric(f ops.Function, metric string) Query {
	return Query{Namespace: lambda, Metric: metric, Dimensions: map[string]string{"FunctionName": f.Name}}
}

// invokedAsync reports whether topics or buckets call the function without waiting.
func (f Facts) invokedAsync(fn ops.ARN) bool {
	return slices.ContainsFunc(f.Snapshot.Links, func(l ops.Link) bool {
		return l.To.Unqualified() == fn && (l.Kind == ops.LinkSubscribes || l.Kind == ops.LinkNotifies)
	})
}

const notAsync = "no topic and no bucket that we can see calls it"

var watchFunctionStreamErrors = Watch{
	Tier: Essential, Stat: "Sum", Period: 60, M: 3, N: 3, Comparison: Above, Missing: MissingIsGood,
	Metric: "Errors", Formula: "0", When: "it reads a stream: a failing batch blocks its shard",
	Runbook: []string{"kxops status: how far is the stream's consumer behind", "read the function's log", "bisect, bound the retries, add an on-failure destination"},
	Source:  "AWS recommended alarms (3 of 3, above 0)",
	Function: func(fn ops.Function, f Facts) []Draft {
		if !f.onStream[fn.ARN] {
			return skip("it reads no stream")
		}
		return one(Draft{Query: functionMetric(fn, "Errors"), Unit: "errors", Formula: "any, three minutes in a row"})
	},
}

var watchFunctionErrorRate = Watch{
	Tier: Essential, Period: 60, M: 3, N: 3, Comparison: Above, Missing: MissingIsGood,
	Metric: "100 × errors ÷ max(errors, invocations)", Formula: "5 %", When: "it reads no stream",
	Runbook: []string{"kxops status: how many fail", "read the function's log", "kxops dlq groups on its dead-letter queue"},
	Source:  "formula of Lumigo and Yan Cui; 5 % ours",
	Function: func(fn ops.Function, f Facts) []Draft {
		if f.onStream[fn.ARN] {
			return skip("it reads a stream: each error counts (lambda.errors_stream)")
		}
		e, i := functionMetric(fn, "Errors"), functionMetric(fn, "Invocations")
		e.ID, e.Stat, e.Period = "m1", "Sum", 60
		i.ID, i.Stat, i.Period = "m2", "Sum", 60
		return one(Draft{Math: []Query{e, i, {ID: "e1", Expression: "100*m1/MAX([m1,m2])", Period: 60, Returns: true}}, Level: 5, Unit: "percent", Formula: "5% of the invocations, three minutes in a row"})
	},
}

var watchFunctionThrottles = Watch{
	Tier: Essential, Stat: "Sum", Period: 60, M: 5, N: 5, Comparison: AtLeast, Missing: MissingIsGood,
	Metric: "Throttles", Formula: "1", When: "reserved concurrency is not 0",
	Runbook: []string{"kxops status: what waits in front of it", "its reserved concurrency, and the account's", "raise one of them"},
	Source:  "AWS recommended alarms; missing data as good is ours",
	Function: func(fn ops.Function, _ Facts) []Draft {
		if n, ok := fn.Concurrency.Value(); ok && n == 0 {
			return skip("its reserved concurrency is 0: it is switched off on purpose")
		}
		return one(Draft{Query: functionMetric(fn, "Throttles"), Level: 1, Unit: "invocations", Formula: "any, five minutes in a row"})
	},
}

var functionStreamLoss = Rule{
	ID: "lambda.stream_loss", Severity: Page,
	Title: "the function is so far behind its stream that records will be lost",
	Why:   "AWS metric; over half of the retention or of its maximum record age, 15 of 15 minutes; it names the consumer, kds.loss does not",
	Next:  "raise the stream's retention, then look at this function",
	Watch: &Watch{
		Tier: Essential, Stat: "Maximum", Period: 60, M: 15, N: 15, Comparison: Above, Missing: MissingIsGood,
		Metric: "IteratorAge", Formula: "0.5 × min(retention, maximum record age)", When: "it reads a stream",
		Runbook: []string{"kxops status: how long until the first loss", "raise the stream's retention: it buys time", "its errors, throttles, and the record that blocks it (kxops dlq pointer)"},
		Source:  "AWS metric; rule ours",
		Function: func(fn ops.Function, f Facts) []Draft {
			keep, word, found := time.Duration(0), "retention", false
			for _, s := range f.Snapshot.Streams.Items {
				for _, c := range s.Consumers {
					if c.Kind != ops.ByMapping || c.ARN.Unqualified() != fn.ARN {
						continue
					}
					found = true
					if s.Retention <= 0 {
						return unread("the retention of " + s.Name)
					}
					if keep == 0 || s.Retention < keep {
						keep, word = s.Retention, "retention"
					}
					if c.MaxRecordAge > 0 && c.MaxRecordAge < keep {
						keep, word = c.MaxRecordAge, "maximum record age"
					}
				}
			}
			if !found {
				return skip("it reads no stream")
			}
			return one(Draft{Query: functionMetric(fn, "IteratorAge"), Level: millis(keep / 2), Unit: "ms",
				Formula: "0.5 × " + word + " " + ops.Span(keep.Seconds()), Inputs: map[string]string{word: ops.Span(keep.Seconds())}})
		},
	},
}

var functionAsyncDropped = Rule{
	ID: "lambda.async_dropped", Severity: Page,
	Title: "events are dropped without having been processed",
	Why:   "AWS metric; each one is a loss, so one is enough",
	Next:  "attach a dead-letter queue or a destination",
	Watch: &Watch{
		Tier: Essential, Stat: "Sum", Period: 60, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
		Metric: "AsyncEventsDropped", Formula: "0", When: "topics or buckets call it",
		Runbook: []string{"read the function's log: why did it fail", "attach a dead-letter queue or an on-failure destination", "send the lost events again from their source"},
		Source:  "AWS metric; rule ours",
		Function: func(fn ops.Function, f Facts) []Draft {
			if !f.invokedAsync(fn.ARN) {
				return skip(notAsync)
			}
			return one(Draft{Query: functionMetric(fn, "AsyncEventsDropped"), Unit: "events", Formula: "any"})
		},
	},
}

// asyncKeeps is how long Lambda keeps an event that waits, by default (Lambda
// developer guide, asynchronous invocation).
const asyncKeeps = 6 * time.Hour

var functionAsyncAge = Rule{
	ID: "lambda.async_age", Severity: Ticket,
	Title: "events wait long before the function takes them",
	Why:   "AWS metric; over half of the maximum event age, 5 of 5 minutes",
	Next:  "throttles or errors: look at both",
	Watch: &Watch{
		Tier: Recommended, Stat: "Maximum", Period: 60, M: 5, N: 5, Comparison: Above, Missing: MissingIsGood,
		Metric: "AsyncEventAge", Formula: "0.5 × maximum event age", When: "topics or buckets call it",
		Runbook: []string{"kxops status: is it throttled, does it fail?", "raise its concurrency", "beyond the maximum event age events are dropped"},
		Source:  "AWS metric; rule ours",
		Function: func(fn ops.Function, f Facts) []Draft {
			if !f.invokedAsync(fn.ARN) {
				return skip(notAsync)
			}
			keep := fn.MaxEventAge
			if keep <= 0 {
				keep = asyncKeeps
			}
			return one(Draft{Query: functionMetric(fn, "AsyncEventAge"), Level: millis(keep / 2), Unit: "ms", Formula: "0.5 × maximum event age " + ops.Span(keep.Seconds()), Inputs: map[string]string{"maximum event age": ops.Span(keep.Seconds())}})
		},
	},
}

var functionDeadLetterErrors = Rule{
	ID: "lambda.dlq_errors", Severity: Page,
	Title: "failed events cannot be written to the dead-letter queue: they are lost",
	Why:   "AWS metric; each one is a loss",
	Next:  "the queue's policy or key, or the function's role",
	Watch: &Watch{
		Tier: Essential, Stat: "Sum", Period: 60, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
		Metric: "DeadLetterErrors", Formula: "0", When: "a dead-letter queue is configured",
		Runbook: []string{"the role may not send, or the queue refuses: policy, key, size", "kxops dlq ls: does the queue exist", "send the lost events again from their source"},
		Source:  "AWS metric; Lumigo",
		Function: func(fn ops.Function, _ Facts) []Draft {
			if fn.DeadLetter == "" {
				return skip("it has no dead-letter queue")
			}
			return one(Draft{Query: functionMetric(fn, "DeadLetterErrors"), Unit: "events", Formula: "any"})
		},
	},
}

var functionDestinationFailures = Rule{
	ID: "lambda.dest_failures", Severity: Page,
	Title: "results cannot be written to the destination: they are lost",
	Why:   "AWS metric; each one is a loss",
	Next:  "the destination's policy or key, or the function's role",
	Watch: &Watch{
		Tier: Essential, Stat: "Sum", Period: 60, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
		Metric: "DestinationDeliveryFailures", Formula: "0", When: "a destination is configured",
		Runbook: []string{"the role may not send, or the target refuses: policy, key, size", "does the target exist?", "send the lost events again from their source"},
		Source:  "AWS metric; Lumigo",
		Function: func(fn ops.Function, f Facts) []Draft {
			if fn.OnFailure == "" && fn.OnSuccess == "" && !f.failsTo(fn.ARN) {
				return skip("it has no destination")
			}
			return one(Draft{Query: functionMetric(fn, "DestinationDeliveryFailures"), Unit: "events", Formula: "any"})
		},
	},
}

// failsTo reports whether one of the function's mappings has an on-failure destination.
func (f Facts) failsTo(fn ops.ARN) bool {
	for _, s := range f.Snapshot.Streams.Items {
		for _, c := range s.Consumers {
			if c.ARN.Unqualified() == fn && c.OnFailure != "" {
				return true
			}
		}
	}
	return false
}

var functionMappingDropped = Rule{
	ID: "lambda.esm_dropped", Severity: Page,
	Title: "the function's mapping gives events up: retries or their age are exhausted",
	Why:   "AWS metric; each one is dropped or sent to the on-failure destination, so one is enough",
	Next:  "look at the function's errors, and whether the mapping has an on-failure destination",
	Watch: &Watch{
		Tier: Recommended, Stat: "Sum", Period: 60, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
		Metric: "DroppedEventCount", Formula: "0", When: "a mapping publishes event counts (MetricsConfig EventCount)",
		Runbook:  []string{"kxops status: does the function fail, is it throttled", "kxops dlq pointer: read the records that were given up while the stream still has them", "raise the retries or the record age, or add an on-failure destination"},
		Source:   "AWS metric (opt-in, billed by AWS); rule ours",
		Unproven: "whether the metric has dimensions beside EventSourceMappingUUID",
		Function: func(fn ops.Function, f Facts) []Draft {
			var out []Draft
			for _, mapping := range f.counting(fn.ARN) {
				out = append(out, Draft{Part: mapping, Unit: "events", Formula: "any",
					Query: Query{Namespace: lambda, Metric: "DroppedEventCount", Dimensions: map[string]string{"EventSourceMappingUUID": mapping}}})
			}
			if out == nil {
				return skip("no mapping of it publishes event counts")
			}
			return out
		},
	},
}

// counting lists the mappings of a function that publish event counts, by UUID.
func (f Facts) counting(fn ops.ARN) []string {
	var out []string
	add := func(consumers []ops.Consumer) {
		for _, c := range consumers {
			if c.Counts != "" && c.ARN.Unqualified() == fn {
				out = append(out, c.Counts)
			}
		}
	}
	for _, s := range f.Snapshot.Streams.Items {
		add(s.Consumers)
	}
	for _, q := range f.Snapshot.Queues.Items {
		add(q.Consumers)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var functionNearTimeout = Rule{
	ID: "lambda.near_timeout", Severity: Info,
	Title: "invocations come near the timeout",
	Why:   "over 90 % of the timeout in 3 of 5 minutes; peers use 50 % to 95 %",
	Next:  "raise the timeout, and the queue's visibility timeout to 6 times it",
	Function: func(fn ops.Function, l look) string {
		if m := fn.Measures.Get(ops.Duration); fn.Timeout > 0 && l.breaches(m, 3, 5, above(0.9*fn.Timeout.Seconds())) {
			return fmt.Sprintf("invocations take %s, the timeout is %s", ops.Span(l.last(m)), ops.Span(fn.Timeout.Seconds()))
		}
		return ""
	},
	Watch: &Watch{
		Tier: Recommended, Stat: "Maximum", Period: 60, M: 3, N: 5, Comparison: Above, Missing: MissingIsGood,
		Metric: "Duration", Formula: "0.9 × timeout",
		Runbook: []string{"kxops status: do its errors rise too", "what takes so long? read its log", "raise the timeout, and the queue's visibility timeout to 6 times it"},
		Source:  "slic-watch 95 %, Panther 90 %, AwsWatchman 50 %",
		Function: func(fn ops.Function, _ Facts) []Draft {
			if fn.Timeout <= 0 {
				return unread("its timeout")
			}
			return one(Draft{Query: functionMetric(fn, "Duration"), Level: 0.9 * fn.Timeout.Seconds() * 1000, Unit: "ms", Formula: "0.9 × timeout " + ops.Span(fn.Timeout.Seconds()), Inputs: map[string]string{"timeout": ops.Span(fn.Timeout.Seconds())}})
		},
	},
}

var functionRecursion = Rule{
	ID: "lambda.recursion", Severity: Page,
	Title: "the function calls itself in a loop, and Lambda has cut it",
	Why:   "AWS metric; one is enough",
	Next:  "break the loop: it writes to what triggers it",
	Watch: &Watch{
		Tier: Recommended, Stat: "Sum", Period: 60, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
		Metric: "RecursiveInvocationsDropped", Formula: "0",
		Runbook: []string{"kxops (the map): what does it write to, what triggers it", "break the loop", "the dropped event went to its dead-letter queue or destination, if it has one"},
		Source:  "ours on an AWS metric",
		Function: func(fn ops.Function, _ Facts) []Draft {
			return one(Draft{Query: functionMetric(fn, "RecursiveInvocationsDropped"), Unit: "invocations", Formula: "any"})
		},
	},
}

// accountShare is how much of the account's concurrency may be claimed (AWS list: about 90 %).
const accountShare = 0.9

var functionAccount = Rule{
	ID: "lambda.account", Severity: Ticket,
	Title: "the account's concurrency is nearly used up: any function may be throttled next",
	Why:   "AWS: over 90 % of the account's quota in 10 of 10 minutes",
	Next:  "ask for a higher quota, or bound the function that takes it all",
	Watch: &Watch{
		Tier: Essential, Stat: "Maximum", Period: 60, M: 10, N: 10, Comparison: Above, Missing: MissingIsGood,
		Metric: "ClaimedAccountConcurrency", Formula: "0.9 × the account's concurrency", When: "once for the account and region, if there is a function",
		Runbook: []string{"kxops status: which functions run most, which are throttled", "reserve concurrency for what must not wait, bound what may", "request a quota increase (Lambda, concurrent executions)"},
		Source:  "AWS recommended alarms",
		Region: func(f Facts) []Draft {
			if len(f.Snapshot.Functions.Items) == 0 {
				return skip("there is no function")
			}
			quota, ok := f.Snapshot.Concurrency.Value()
			switch {
			case ok:
			case f.Snapshot.Concurrency.Why() == ops.Unsupported:
				return skip("the account's concurrency cannot be asked for here")
			default:
				return unread("the account's concurrency")
			}
			return one(Draft{Query: Query{Namespace: lambda, Metric: "ClaimedAccountConcurrency"}, Level: accountShare * quota, Unit: "executions",
				Formula: "0.9 × " + thousands(quota) + " at once", Inputs: map[string]string{"concurrency": thousands(quota)}})
		},
	},
}
