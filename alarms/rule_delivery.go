package alarms

import (
	"fmt"
	"time"

	"kxops/ops"
)

var deliveryBlocked = Rule{
	ID: "fh.blocked", Severity: Page,
	Title: "data goes in and nothing comes out",
	Why:   "ours: a fully blocked delivery publishes no freshness metric, so the alarm that AWS recommends goes quiet",
	Next:  "read the delivery's error log: role, bucket policy or key",
	Delivery: func(d ops.Delivery, l look) string {
		if blocked, ok := d.Blocked(l.now); ok && blocked {
			return fmt.Sprintf("data goes in and nothing came out for more than %s", ops.Span(max(2*d.BufferInterval+5*time.Minute, 15*time.Minute).Seconds()))
		}
		return ""
	},
	Watch: &watchDeliveryBlocked,
}

var deliveryStale = Rule{
	ID: "fh.stale", Severity: Page,
	Title: "the oldest undelivered record is much older than the buffer interval",
	Why:   "AWS metric; over max(2 × buffer, buffer + 5 min), 10 of 15 minutes; the factor is ours",
	Next:  "role, bucket policy, key, throttling at the destination",
	Delivery: func(d ops.Delivery, l look) string {
		limit := d.StaleAfter().Seconds()
		if m := d.Measures.Get(ops.Freshness); l.breaches(m, 10, 15, above(limit)) {
			return fmt.Sprintf("freshness %s is over %s (buffer %s)", ops.Span(l.last(m)), ops.Span(limit), ops.Span(d.BufferInterval.Seconds()))
		}
		return ""
	},
	Watch: &watchDeliveryStale,
}

var deliverySourceLoss = Rule{
	ID: "fh.source_loss", Severity: Page,
	Title: "the delivery is so far behind its stream that records will be trimmed",
	Why:   "AWS metric; over half of the source's retention, 15 of 15 minutes",
	Next:  "raise the stream's retention, then look at the delivery",
	Delivery: func(d ops.Delivery, l look) string {
		keep := l.retention[d.Source]
		if m := d.Measures.Get(ops.SourceBehind); keep > 0 && l.breaches(m, 15, 15, above(keep.Seconds()/2)) {
			return fmt.Sprintf("%s behind its stream, over half of the retention %s", ops.Span(l.last(m)), ops.Span(keep.Seconds()))
		}
		return ""
	},
	Watch: &watchDeliverySourceLoss,
}

var deliveryErrors = Rule{
	ID: "fh.delivery_errors", Severity: Ticket,
	Title: "some deliveries fail and are retried",
	Why:   "AWS: success ratio below 1 sustained; 10 of 15 minutes",
	Next:  "read the delivery's error log group",
	Delivery: func(d ops.Delivery, l look) string {
		if m := d.Measures.Get(ops.DeliverySucc); l.breaches(m, 10, 15, below(1)) {
			return fmt.Sprintf("only %.0f%% of the deliveries succeed", 100*l.last(m))
		}
		return ""
	},
	Watch: &watchDeliveryErrors,
}

var deliveryThrottled = Rule{
	ID: "fh.throttled", Severity: Ticket,
	Title: "producers are refused",
	Why:   "AWS metric; over 0 in 3 of 5 minutes",
	Next:  "slow the producers down or ask for a higher quota",
	Delivery: func(d ops.Delivery, l look) string {
		if m := d.Measures.Get(ops.Throttled); l.breaches(m, 3, 5, above(0)) {
			return fmt.Sprintf("%.0f records refused in the last 5 minutes", l.recent(m, 5))
		}
		return ""
	},
	Watch: &watchDeliveryThrottled,
}

var deliveryFailed = Rule{
	ID: "fh.failed", Severity: Ticket,
	Title: "the service reports the delivery stream as failed",
	Why:   "FailureDescription of DescribeDeliveryStream",
	Next:  "do what the description says",
	Delivery: func(d ops.Delivery, l look) string {
		if d.Failure != "" {
			return "the service says: " + d.Failure
		}
		return ""
	},
}

var deliverySilentErrors = Rule{
	ID: "fh.no_log", Severity: Info,
	Title: "errors are not logged",
	Why:   "without error logging a failed delivery leaves no trace of its reason",
	Next:  "turn on CloudWatch error logging of the destination",
	Delivery: func(d ops.Delivery, l look) string {
		if !d.LogErrors && d.Status == "ACTIVE" {
			return "error logging is off: a failed delivery would leave no reason"
		}
		return ""
	},
}
