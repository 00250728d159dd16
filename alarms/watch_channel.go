package alarms

import (
	"fmt"
	"time"

	"kxops/ops"
)

// A channel delivers an on-demand stream natively to a bucket or to tables. It reads
// no shard, so no metric of the stream tells about it.

// channelAlarms draws up one alarm for each channel of a stream.
func channelAlarms(s ops.Stream, draw func(c ops.Consumer, metric func(string) Query) Draft) []Draft {
	var out []Draft
	for _, c := range s.Consumers {
		if c.Kind != ops.ByChannel {
			continue
		}
		if c.Destination == "" {
			out = append(out, Draft{Part: c.Name, Unknown: "where the channel " + c.Name + " delivers to could not be read"})
			continue
		}
		d := draw(c, func(name string) Query {
			q := streamMetric(s, "DeliveryTo"+c.Destination+"."+name)
			q.Dimensions["ChannelName"] = c.Name
			return q
		})
		d.Part = c.Name
		out = append(out, d)
	}
	switch {
	case out != nil:
		return out
	case s.Channels > 0:
		return unread("the stream's channels")
	}
	return skip("it has no delivery channel")
}

const channelsUnproven = "channels are of 2026: the names and dimensions of the metrics are as documented, not as seen"

var channelFailed = Rule{
	ID: "kds.channel_failed", Severity: Page,
	Title: "a delivery channel cannot deliver records: they go to its dead-letter prefix",
	Why:   "AWS calls it the key sign of errors; each one is data that is not where it belongs",
	Next:  "read the channel's dead-letter prefix",
	Watch: &Watch{
		Tier: Essential, Stat: "Sum", Period: 60, M: 1, N: 5, Comparison: Above, Missing: MissingIsGood,
		Metric: "DeliveryToS3.FailedRecordCount or DeliveryToIceberg.FailedRowCount", Formula: "0", When: "each delivery channel",
		Runbook:  []string{"read an object under the channel's dead-letter prefix: it says why", "the channel's role, the bucket's or table's policy, the key", "correct the cause; the records stay in the stream for its retention"},
		Source:   "AWS Kinesis data delivery monitoring (metric); rule ours",
		Unproven: channelsUnproven,
		Stream: func(s ops.Stream, _ Facts) []Draft {
			return channelAlarms(s, func(c ops.Consumer, metric func(string) Query) Draft {
				if c.Destination == "Iceberg" {
					return Draft{Query: metric("FailedRowCount"), Unit: "rows", Formula: "any"}
				}
				return Draft{Query: metric("FailedRecordCount"), Unit: "records", Formula: "any"}
			})
		},
	},
}

var channelStale = Rule{
	ID: "kds.channel_stale", Severity: Ticket,
	Title: "a delivery channel is late",
	Why:   "AWS metric; over max(2 × freshness, freshness + 5 min) in 10 of 15 minutes; the formula is ours",
	Next:  "look at the channel's state and role",
	Watch: &Watch{
		Tier: Recommended, Stat: "Maximum", Period: 60, M: 10, N: 15, Comparison: Above, Missing: MissingIsGood,
		Metric: "DeliveryTo<D>.DataFreshness", Formula: "max(2 × freshness, freshness + 5 min)", When: "each delivery channel",
		Runbook:  []string{"kxops status: is the channel ACTIVE", "the channel's role, the bucket's or table's policy, the key", "raise the stream's retention: it buys time"},
		Source:   "AWS Kinesis data delivery monitoring (metric); rule ours",
		Unproven: channelsUnproven,
		Stream: func(s ops.Stream, _ Facts) []Draft {
			return channelAlarms(s, func(c ops.Consumer, metric func(string) Query) Draft {
				if c.Freshness <= 0 {
					return Draft{Unknown: "the freshness of the channel " + c.Name + " could not be read"}
				}
				held := ops.Span(c.Freshness.Seconds())
				return Draft{Query: metric("DataFreshness"), Level: max(2*c.Freshness, c.Freshness+5*time.Minute).Seconds(), Unit: "s",
					Formula: fmt.Sprintf("max(2 × freshness, freshness + 5m), freshness %s", held), Inputs: map[string]string{"freshness": held}}
			})
		},
	},
}
