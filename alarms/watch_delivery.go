package alarms

import (
	"fmt"
	"math"
	"strings"
	"time"

	"kxops/ops"
)

const firehose = "AWS/Firehose"

func deliveryMetric(d ops.Delivery, metric string) Query {
	return Query{Namespace: firehose, Metric: metric, Dimensions: map[string]string{"DeliveryStreamName": d.Name}}
}

func bufferInput(d ops.Delivery) map[string]string {
	return map[string]string{"buffer": ops.Span(d.BufferInterval.Seconds())}
}

var watchDeliveryStale = Watch{
	Tier: Essential, Stat: "Maximum", Period: 60, M: 10, N: 15, Comparison: Above, Missing: MissingIsGood,
	Metric: "DeliveryTo<D>.DataFreshness", Formula: "max(2 × buffer, buffer + 5 min)",
	Runbook: []string{"kxops status: is anything delivered?", "read the delivery's error log group: role, bucket policy, key", "Direct PUT keeps data for 24 hours, a stream as long as its retention"},
	Source:  "AWS Firehose best practices (metric, buffer limit); factor ours",
	Delivery: func(d ops.Delivery, _ Facts) []Draft {
		limit := d.StaleAfter()
		return one(Draft{Query: deliveryMetric(d, d.MetricPrefix()+".DataFreshness"), Level: limit.Seconds(), Unit: "s",
			Formula: fmt.Sprintf("max(2 × buffer, buffer + 5m), buffer %s", ops.Span(d.BufferInterval.Seconds())), Inputs: bufferInput(d)})
	},
}

var watchDeliveryBlocked = Watch{
	Tier: Recommended, Period: 300, Comparison: AtLeast, Missing: MissingIsGood,
	Metric: "IF(FILL(in,0)>0 AND FILL(out,0)==0,1,0)", Formula: "1, for 2 × buffer + 5 min, at least 15 min",
	Runbook:  []string{"kxops status: since when nothing comes out", "read the delivery's error log group first", "role, bucket policy, key; a blocked delivery publishes no freshness at all"},
	Source:   "ours: closes the gap that a blocked delivery is silent",
	Unproven: "whether FILL gives zeros for a series without any point in the range",
	Delivery: func(d ops.Delivery, _ Facts) []Draft {
		in := deliveryMetric(d, "IncomingRecords")
		if d.Source != "" {
			in = deliveryMetric(d, "DataReadFromKinesisStream.Records")
		}
		in.ID, in.Stat, in.Period = "in1", "Sum", 300
		out := deliveryMetric(d, d.MetricPrefix()+".Records")
		out.ID, out.Stat, out.Period = "out1", "Sum", 300
		n := max(3, int(math.Ceil((2*d.BufferInterval+5*time.Minute).Seconds()/300)))
		return one(Draft{
			Math:  []Query{in, out, {ID: "e1", Expression: "IF(FILL(in1,0)>0 AND FILL(out1,0)==0,1,0)", Period: 300, Returns: true}},
			Level: 1, M: n, N: n, Unit: "blocked", Formula: fmt.Sprintf("in and nothing out for %s (buffer %s)", ops.Span(float64(300*n)), ops.Span(d.BufferInterval.Seconds())), Inputs: bufferInput(d),
		})
	},
}

var watchDeliveryErrors = Watch{
	Tier: Essential, Stat: "Average", Period: 300, M: 3, N: 3, Comparison: Below, Missing: MissingIsGood,
	Metric: "DeliveryTo<D>.Success", Formula: "1",
	Runbook: []string{"kxops status: is it one delivery or all?", "read the delivery's error log group", "failed records go to the error prefix of the bucket"},
	Source:  "AWS (below 1.0 sustained); 3 of 3 ours",
	Delivery: func(d ops.Delivery, _ Facts) []Draft {
		return one(Draft{Query: deliveryMetric(d, d.MetricPrefix()+".Success"), Level: 1, Unit: "share", Formula: "not every delivery succeeds, a quarter of an hour"})
	},
}

const fromStream = "it reads a stream"

var watchDeliveryThrottled = Watch{
	Tier: Essential, Stat: "Sum", Period: 60, M: 3, N: 5, Comparison: Above, Missing: MissingIsGood,
	Metric: "ThrottledRecords", Formula: "0", When: "Direct PUT",
	Runbook: []string{"kxops status: how much is refused", "do the producers send again what was refused?", "slow them down or ask for a higher quota; short bursts show only here"},
	Source:  "AWS Firehose best practices (metric); numbers ours",
	Delivery: func(d ops.Delivery, _ Facts) []Draft {
		if d.Source != "" {
			return skip(fromStream)
		}
		return one(Draft{Query: deliveryMetric(d, "ThrottledRecords"), Unit: "records", Formula: "any, 3 of 5 minutes"})
	},
}

const directPut = "it takes Direct PUT"

var watchDeliverySourceLoss = Watch{
	Tier: Essential, Stat: "Maximum", Period: 60, M: 15, N: 15, Comparison: Above, Missing: MissingIsGood,
	Metric: "KinesisMillisBehindLatest", Formula: "0.5 × retention of the source", When: "reads a stream",
	Runbook:  []string{"kxops status: how long until the first loss", "raise the source stream's retention: it buys time", "then look at the delivery's error log"},
	Source:   "ours on an AWS metric",
	Unproven: "whether the metric vanishes when the delivery stops reading",
	Delivery: func(d ops.Delivery, f Facts) []Draft {
		if d.Source == "" {
			return skip(directPut)
		}
		keep := f.retention[d.Source]
		if keep <= 0 {
			return unread("the retention of " + d.Source.Name())
		}
		return one(Draft{Query: deliveryMetric(d, "KinesisMillisBehindLatest"), Level: millis(keep / 2), Unit: "ms",
			Formula: "0.5 × retention " + ops.Span(keep.Seconds()) + " of " + d.Source.Name(), Inputs: retentionInput(keep)})
	},
}

var deliverySourceThrottle = Rule{
	ID: "fh.source_throttle", Severity: Info,
	Title: "the delivery's reads of its stream are refused",
	Why:   "ours: over 0 in 3 of 3 five-minute periods",
	Next:  "too many consumers poll the stream",
	Watch: &Watch{
		Tier: Full, Stat: "Sum", Period: 300, M: 3, N: 3, Comparison: Above, Missing: MissingIsGood,
		Metric: "ThrottledGetRecords", Formula: "0", When: "reads a stream",
		Runbook: []string{"kxops status: who reads the stream", "move a consumer to enhanced fan-out", "watch fh.source_loss meanwhile"},
		Source:  "ours",
		Delivery: func(d ops.Delivery, _ Facts) []Draft {
			if d.Source == "" {
				return skip(directPut)
			}
			return one(Draft{Query: deliveryMetric(d, "ThrottledGetRecords"), Unit: "reads", Formula: "any, a quarter of an hour"})
		},
	},
}

// quotaShare is an alarm on how much of a delivery's quota is used. The quota is a
// metric of its own, so the alarm follows it.
func quotaShare(id, metric, quota, noun string) Rule {
	return Rule{
		ID: id, Severity: Info,
		Title: "the delivery's quota of " + noun + " is nearly used up",
		Why:   "AWS formula; 80 % is ours",
		Next:  "ask for a higher quota before producers are refused",
		Watch: &Watch{
			Tier: Full, Period: 300, M: 3, N: 3, Comparison: Above, Missing: MissingIsGood,
			Metric: metric + "/300 ÷ " + quota, Formula: "0.8", When: "Direct PUT",
			Runbook: []string{"kxops status: is the load a burst?", "request a quota increase for the delivery stream", "spread the producers over two delivery streams"},
			Source:  "AWS Firehose best practices (formula); 80 % ours",
			Delivery: func(d ops.Delivery, _ Facts) []Draft {
				if d.Source != "" {
					return skip(fromStream)
				}
				used, limit := deliveryMetric(d, metric), deliveryMetric(d, quota)
				used.ID, used.Stat, used.Period = "m1", "Sum", 300
				limit.ID, limit.Stat, limit.Period = "m2", "Minimum", 300
				return one(Draft{Math: []Query{used, limit, {ID: "e1", Expression: "m1/300/m2", Period: 300, Returns: true}}, Level: 0.8, Unit: "share", Formula: "80% of the quota"})
			},
		},
	}
}

var (
	deliveryLimitBytes   = quotaShare("fh.limit_bytes", "IncomingBytes", "BytesPerSecondLimit", "bytes")
	deliveryLimitRecords = quotaShare("fh.limit_records", "IncomingRecords", "RecordsPerSecondLimit", "records")
	deliveryLimitPuts    = quotaShare("fh.limit_puts", "IncomingPutRequests", "PutRequestsPerSecondLimit", "requests")
)

var deliveryTransform = Rule{
	ID: "fh.transform", Severity: Ticket,
	Title: "the transforming function fails",
	Why:   "AWS metric; success below 1 in 3 of 3 five-minute periods",
	Next:  "read the function's log; its records go to the error prefix",
	Delivery: func(d ops.Delivery, l look) string {
		if m := d.Measures.Get(ops.TransformSucc); d.Transform != "" && l.breaches(m, 10, 15, below(1)) {
			return fmt.Sprintf("only %.0f%% of the transformations succeed", 100*l.last(m))
		}
		return ""
	},
	Watch: &Watch{
		Tier: Recommended, Stat: "Average", Period: 300, M: 3, N: 3, Comparison: Below, Missing: MissingIsGood,
		Metric: "ExecuteProcessing.Success", Formula: "1", When: "a function transforms the records",
		Runbook: []string{"kxops status: the function's errors and throttles", "read the function's log", "what failed lies under the error prefix and can be sent again"},
		Source:  "AWS; 3 of 3 ours",
		Delivery: func(d ops.Delivery, _ Facts) []Draft {
			if d.Transform == "" {
				return skip("no function transforms its records")
			}
			return one(Draft{Query: deliveryMetric(d, "ExecuteProcessing.Success"), Level: 1, Unit: "share", Formula: "not every transformation succeeds, a quarter of an hour"})
		},
	},
}

var deliveryConvert = Rule{
	ID: "fh.convert", Severity: Ticket,
	Title: "records cannot be converted",
	Why:   "ours: over 0 in one five-minute period",
	Next:  "compare the schema with the records under the error prefix",
	Delivery: func(d ops.Delivery, l look) string {
		if m := d.Measures.Get(ops.ConvertFailed); d.Conversion && l.breaches(m, 1, 5, above(0)) {
			return fmt.Sprintf("%.0f records could not be converted in the last 5 minutes", l.recent(m, 5))
		}
		return ""
	},
	Watch: &Watch{
		Tier: Recommended, Stat: "Sum", Period: 300, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
		Metric: "FailedConversion.Records", Formula: "0", When: "format conversion is on",
		Runbook: []string{"kxops status: since when", "look at a record under the error prefix", "correct the schema or the producer"},
		Source:  "ours",
		Delivery: func(d ops.Delivery, _ Facts) []Draft {
			if !d.Conversion {
				return skip("its records are not converted")
			}
			return one(Draft{Query: deliveryMetric(d, "FailedConversion.Records"), Unit: "records", Formula: "any"})
		},
	},
}

var deliveryPartitions = Rule{
	ID: "fh.partitions", Severity: Ticket,
	Title: "more partitions than the delivery may have",
	Why:   "ours: at least 1 in 1 of 5 minutes; the default limit is 500 active partitions",
	Next:  "what is beyond the limit goes to the error prefix: reduce the partition keys",
	Watch: &Watch{
		Tier: Recommended, Stat: "Maximum", Period: 60, M: 1, N: 5, Comparison: AtLeast, Missing: MissingIsGood,
		Metric: "PartitionCountExceeded", Formula: "1", When: "dynamic partitioning is on",
		Runbook: []string{"kxops status: how much arrives", "which key has too many values?", "ask for a higher limit or coarsen the key"},
		Source:  "ours on an AWS metric",
		Delivery: func(d ops.Delivery, _ Facts) []Draft {
			if !d.Partitioning {
				return skip("dynamic partitioning is off")
			}
			return one(Draft{Query: deliveryMetric(d, "PartitionCountExceeded"), Level: 1, Unit: "partitions", Formula: "once in five minutes"})
		},
	},
}

// keyFailures are what Firehose counts when it cannot use the key of a delivery.
var keyFailures = []string{"KMSKeyAccessDenied", "KMSKeyDisabled", "KMSKeyInvalidState", "KMSKeyNotFound"}

var deliveryKey = Rule{
	ID: "fh.kms", Severity: Page,
	Title: "the delivery cannot use its key: nothing comes in or goes out",
	Why:   "AWS calls these metrics critical; over 0 of the four together in one minute",
	Next:  "the key: deleted, disabled, or its policy refuses Firehose",
	Watch: &Watch{
		Tier: Recommended, Period: 60, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
		Metric: "KMSKeyAccessDenied + …Disabled + …InvalidState + …NotFound", Formula: "0", When: "a customer-managed key encrypts it",
		Runbook:  []string{"kxops status: is anything delivered?", "the key's state: enabled, not pending deletion", "the key policy and the role: kms:GenerateDataKey and kms:Decrypt for Firehose"},
		Source:   "AWS Firehose review (critical); rule ours",
		Unproven: "whether FILL gives zeros for a series without any point in the range",
		Delivery: func(d ops.Delivery, _ Facts) []Draft {
			if !strings.HasPrefix(d.Encryption, "arn:") {
				return skip("no key of the account's own encrypts it")
			}
			var queries []Query
			var sum []string
			for i, metric := range keyFailures {
				q := deliveryMetric(d, metric)
				q.ID, q.Stat, q.Period = fmt.Sprintf("m%d", i+1), "Sum", 60
				queries, sum = append(queries, q), append(sum, "FILL("+q.ID+",0)")
			}
			return one(Draft{Math: append(queries, Query{ID: "e1", Expression: strings.Join(sum, "+"), Period: 60, Returns: true}), Unit: "calls", Formula: "any"})
		},
	},
}
