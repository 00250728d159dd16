package alarms

import (
	"fmt"
	"time"

	"kxops/ops"
)

const kinesis = "AWS/Kinesis"

func streamMetric(s ops.Stream, metric string) Query {
	return Query{Namespace: kinesis, Metric: metric, Dimensions: map[string]string{"StreamName": s.Name}}
}

// polled reports whether somebody reads the stream with GetRecords: only then does
// it publish an iterator age.
func polled(s ops.Stream) bool {
	for _, c := range s.Consumers {
		if c.Polls() {
			return true
		}
	}
	_, seen := s.Measures.Last(ops.IteratorAge).Value()
	return seen // a KCL consumer cannot be listed, but its reads show
}

const noPolling = "nobody that we can see polls it, so it publishes no iterator age"

// missingAge is what a missing iterator age means: where somebody polled within the
// last hour, that the last reader is gone; elsewhere nothing.
func missingAge(m ops.Measure) string {
	if _, seen := m.Last.Value(); seen {
		return MissingIsBad
	}
	return MissingIsGood
}

func retentionInput(d time.Duration) map[string]string {
	return map[string]string{"retention": ops.Span(d.Seconds())}
}

var watchStreamLoss = Watch{
	Tier: Essential, Stat: "Maximum", Period: 60, M: 15, N: 15, Comparison: Above, Missing: MissingIsBad,
	Metric: "GetRecords.IteratorAgeMilliseconds", Formula: "0.5 × retention", When: "somebody polls the stream",
	Runbook: []string{"kxops status: which consumer is behind, and how long until the first loss", "raise the stream's retention first: it buys time and brings nothing back", "look at the consumer: mapping state, errors, poison record (kxops dlq pointer)"},
	Source:  "AWS recommended alarms (metric, 15 of 15, 50 %); missing data as breaching where it was seen is ours",
	Stream: func(s ops.Stream, _ Facts) []Draft {
		switch {
		case !polled(s):
			return skip(noPolling)
		case s.Retention <= 0:
			return unread("the stream's retention")
		}
		return one(Draft{
			Query: streamMetric(s, "GetRecords.IteratorAgeMilliseconds"), Level: s.Retention.Seconds() / 2 * 1000, Unit: "ms",
			Formula: "0.5 × retention " + ops.Span(s.Retention.Seconds()), Inputs: retentionInput(s.Retention), Missing: missingAge(s.Measures.Get(ops.IteratorAge)),
		})
	},
}

var watchStreamStall = Watch{
	Tier: Recommended, Period: 60, M: 10, N: 15, Comparison: AtLeast, Missing: MissingIsGood,
	Metric: "IF(age > 60000, RATE(age), 0)", Formula: "900 ms of age a second; 1000 is a consumer that stands still", When: "somebody polls the stream",
	Runbook:  []string{"kxops status: which consumer stands still", "is its mapping enabled, is its function throttled or failing?", "kxops dlq pointer: find the record that it cannot get past"},
	Source:   "ours",
	Unproven: "how RATE behaves across gaps",
	Stream: func(s ops.Stream, _ Facts) []Draft {
		if !polled(s) {
			return skip(noPolling)
		}
		age := streamMetric(s, "GetRecords.IteratorAgeMilliseconds")
		age.ID, age.Stat, age.Period = "m1", "Maximum", 60
		return one(Draft{
			Math:  []Query{age, {ID: "e1", Expression: "IF(m1>60000, RATE(m1), 0)", Period: 60, Returns: true}},
			Level: 900, Unit: "ms a second", Formula: "0.9 s of age a second while over a minute behind",
		})
	},
}

// lagAfter is the age at which a stream's consumer is late: 1 % of the retention, at
// least a minute, at most a quarter of an hour.
func lagAfter(retention time.Duration) time.Duration {
	return clamp(retention/100, time.Minute, 15*time.Minute)
}

var watchStreamLag = Watch{
	Tier: Recommended, Stat: "Maximum", Period: 60, M: 10, N: 15, Comparison: Above, Missing: MissingIsGood,
	Metric: "GetRecords.IteratorAgeMilliseconds", Formula: "0.01 × retention, at least 60 s, at most 900 s", When: "somebody polls the stream",
	Runbook: []string{"kxops status: is it catching up?", "raise the mapping's parallelisation factor or batch size", "add shards where one is hot"},
	Source:  "ours; peers use 10 s or 300 s for every stream",
	Stream: func(s ops.Stream, _ Facts) []Draft {
		switch {
		case !polled(s):
			return skip(noPolling)
		case s.Retention <= 0:
			return unread("the stream's retention")
		}
		limit := lagAfter(s.Retention)
		return one(Draft{
			Query: streamMetric(s, "GetRecords.IteratorAgeMilliseconds"), Level: limit.Seconds() * 1000, Unit: "ms",
			Formula: fmt.Sprintf("0.01 × retention %s within 1m to 15m", ops.Span(s.Retention.Seconds())), Inputs: retentionInput(s.Retention),
		})
	},
}

var watchWriteThrottle = Watch{
	Tier: Essential, Stat: "Sum", Period: 60, M: 5, N: 5, Comparison: Above, Missing: MissingIsGood,
	Metric: "WriteProvisionedThroughputExceeded", Formula: "0",
	Runbook: []string{"kxops status: how much is refused", "find the hot partition key or shard", "split the shard or switch the stream to on-demand"},
	Source:  "AWS recommended alarms (metric, 5 of 5); Sum instead of Average is ours",
	Stream: func(s ops.Stream, _ Facts) []Draft {
		return one(Draft{Query: streamMetric(s, "WriteProvisionedThroughputExceeded"), Unit: "records", Formula: "any, five minutes in a row"})
	},
}

var streamReadThrottle = Rule{
	ID: "kds.read_throttle", Severity: Ticket,
	Title: "consumers are refused",
	Why:   "AWS metric; over 0 in 5 of 5 minutes",
	Next:  "move one consumer to enhanced fan-out",
	Stream: func(s ops.Stream, l look) string {
		if m := s.Measures.Get(ops.ReadThrottle); l.breaches(m, 5, 5, above(0)) {
			return fmt.Sprintf("%.0f reads refused in the last 5 minutes", l.recent(m, 5))
		}
		return ""
	},
	Watch: &Watch{
		Tier: Recommended, Stat: "Sum", Period: 60, M: 5, N: 5, Comparison: Above, Missing: MissingIsGood,
		Metric: "ReadProvisionedThroughputExceeded", Formula: "0", When: "at least two consumers poll",
		Runbook: []string{"kxops status: which consumers read the stream", "five reads and 2 MiB a second are shared by all that poll a shard", "move one of them to enhanced fan-out"},
		Source:  "AWS recommended alarms (metric); threshold ours",
		Stream: func(s ops.Stream, _ Facts) []Draft {
			n := 0
			for _, c := range s.Consumers {
				if c.Polls() {
					n++
				}
			}
			if n < 2 {
				return skip("fewer than two consumers poll it")
			}
			return one(Draft{Query: streamMetric(s, "ReadProvisionedThroughputExceeded"), Unit: "reads", Formula: "any, five minutes in a row"})
		},
	},
}

var fanOutLoss = Rule{
	ID: "kds.efo_loss", Severity: Page,
	Title: "a fan-out consumer is so far behind that records will be trimmed unread",
	Why:   "AWS metric; over half of the retention, 15 of 15 minutes",
	Next:  "look at that consumer",
	Watch: &Watch{
		Tier: Essential, Stat: "Maximum", Period: 60, M: 15, N: 15, Comparison: Above, Missing: MissingIsBad,
		Metric: "SubscribeToShardEvent.MillisBehindLatest", Formula: "0.5 × retention", When: "each registered consumer",
		Runbook: []string{"kxops status: how far the consumer is behind", "raise the stream's retention: it buys time", "look at the consumer that the alarm names"},
		Source:  "AWS recommended alarms (metric); threshold and statistic ours",
		Stream: func(s ops.Stream, _ Facts) []Draft {
			var out []Draft
			for _, c := range s.Consumers {
				if c.Kind != ops.ByFanOut {
					continue
				}
				if s.Retention <= 0 {
					return unread("the stream's retention")
				}
				q := streamMetric(s, "SubscribeToShardEvent.MillisBehindLatest")
				q.Dimensions["ConsumerName"] = c.Name
				out = append(out, Draft{Part: c.Name, Query: q, Level: s.Retention.Seconds() / 2 * 1000, Unit: "ms",
					Formula: "0.5 × retention " + ops.Span(s.Retention.Seconds()), Inputs: retentionInput(s.Retention), Missing: missingAge(c.Lag)})
			}
			if out == nil {
				return skip("no fan-out consumer is registered")
			}
			return out
		},
	},
}

// Limits of a provisioned shard for writing (Kinesis developer guide, quotas).
const (
	shardBytes   = 1 << 20 // a second
	shardRecords = 1000    // a second
)

func capacity(id, metric, unit string, perShard float64) Rule {
	return Rule{
		ID: id, Severity: Info,
		Title: "the stream's write capacity is nearly used up",
		Why:   "ours: 80 % of what its shards take, 10 of 15 minutes",
		Next:  "add shards before producers are refused",
		Watch: &Watch{
			Tier: Full, Stat: "Sum", Period: 60, M: 10, N: 15, Comparison: Above, Missing: MissingIsGood,
			Metric: metric, Formula: fmt.Sprintf("0.8 × open shards × %s %s × 60 s", thousands(perShard), unit), When: "provisioned streams",
			Runbook: []string{"kxops status: is the load even?", "update the shard count, or switch to on-demand", "kxops alarms plan: the threshold follows the shards"},
			Source:  "ours",
			Stream: func(s ops.Stream, _ Facts) []Draft {
				switch {
				case s.Mode == "ON_DEMAND":
					return skip("an on-demand stream grows by itself")
				case s.OpenShards <= 0:
					return unread("the number of open shards")
				}
				return one(Draft{Query: streamMetric(s, metric), Level: 0.8 * float64(s.OpenShards) * perShard * 60, Unit: unit + " a minute",
					Formula: fmt.Sprintf("0.8 × %d shards × %s %s × 60 s", s.OpenShards, thousands(perShard), unit), Inputs: map[string]string{"shards": fmt.Sprint(s.OpenShards)}})
			},
		},
	}
}

var (
	streamCapacityBytes   = capacity("kds.capacity_bytes", "IncomingBytes", "bytes", shardBytes)
	streamCapacityRecords = capacity("kds.capacity_records", "IncomingRecords", "records", shardRecords)
)

var streamPutFailed = Rule{
	ID: "kds.put_failed", Severity: Info,
	Title: "records of batches are refused",
	Why:   "AWS metric; over 0 in 5 of 5 minutes",
	Next:  "do the producers send again what a batch refused?",
	Watch: &Watch{
		Tier: Full, Stat: "Sum", Period: 60, M: 5, N: 5, Comparison: Above, Missing: MissingIsGood,
		Metric: "PutRecords.FailedRecords", Formula: "0",
		Runbook: []string{"kxops status: are writes throttled too?", "producers must look at each record's result of PutRecords", "find the hot shard"},
		Source:  "AWS recommended alarms",
		Stream: func(s ops.Stream, _ Facts) []Draft {
			return one(Draft{Query: streamMetric(s, "PutRecords.FailedRecords"), Unit: "records", Formula: "any, five minutes in a row"})
		},
	},
}

// skip, unread and one are the short answers of a rule's draft function.
func skip(why string) []Draft         { return []Draft{{Skip: why}} }
func unread(setting string) []Draft   { return []Draft{{Unknown: setting + " could not be read"}} }
func one(d Draft) []Draft             { return []Draft{d} }
func seconds(d time.Duration) float64 { return d.Seconds() }
func millis(d time.Duration) float64  { return d.Seconds() * 1000 }
