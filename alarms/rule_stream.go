package alarms

import (
	"fmt"
	"slices"
	"time"

	"kxops/ops"
)

var streamLoss = Rule{
	ID: "kds.loss", Severity: Page,
	Title: "half of the stream's retention is used up: records will be trimmed unread",
	Why:   "AWS: iterator age past 50 % of retention, 15 of 15 minutes (filters the known 24 h jumps on sparse shards)",
	Next:  "raise the retention first, it buys time and brings nothing back; then find the consumer",
	Stream: func(s ops.Stream, l look) string {
		limit := s.Retention.Seconds() / 2
		age := s.Measures.Get(ops.IteratorAge)
		if s.Retention > 0 && l.breaches(age, 15, 15, above(limit)) {
			return fmt.Sprintf("iterator age %s is over half of the retention %s", ops.Span(l.last(age)), ops.Span(s.Retention.Seconds()))
		}
		for _, c := range s.Consumers {
			keep, word := s.Retention, "retention"
			if c.MaxRecordAge > 0 && c.MaxRecordAge < keep {
				keep, word = c.MaxRecordAge, "maximum record age"
			}
			if keep > 0 && l.breaches(c.Lag, 15, 15, above(keep.Seconds()/2)) {
				return fmt.Sprintf("%s is %s behind, over half of the %s %s", c.Name, ops.Span(l.last(c.Lag)), word, ops.Span(keep.Seconds()))
			}
		}
		return ""
	},
	Watch: &watchStreamLoss,
}

var streamStall = Rule{
	ID: "kds.stall", Severity: Page,
	Title: "a consumer of the stream has stopped",
	Why:   "ours: age over a minute and growing at least 0.9 s per second; 1.0 is a consumer that does not move",
	Next:  "look at the consumer: mapping state, function errors, a poison record",
	Stream: func(s ops.Stream, l look) string {
		loss := ops.StreamLoss(s, l.now)
		// An age at the retention is not a stop by itself: it may be one wild point.
		if loss.Motion != ops.MotionStopped || loss.Slope.Or(0) < 0.9 {
			return ""
		}
		who := "a consumer"
		if loss.Consumer != "" {
			who = loss.Consumer
		}
		return fmt.Sprintf("%s has stopped: the age grows %.1f s per second", who, loss.Slope.Or(1))
	},
	Watch: &watchStreamStall,
}

var streamSilent = Rule{
	ID: "kds.silent", Severity: Page,
	Title: "records come in and the consumers have stopped reading",
	Why:   "ours: the iterator age vanishes with the last reader, so an alarm on it goes quiet unless missing data breaches",
	Next:  "is the mapping enabled, is the function throttled, may the delivery still read?",
	Stream: func(s ops.Stream, l look) string {
		if unread, ok := s.Unread(); ok && unread {
			return "records come in, and no consumer has read for ten minutes or more"
		}
		return ""
	},
}

var streamLag = Rule{
	ID: "kds.lag", Severity: Ticket,
	Title: "a consumer of the stream is late",
	Why:   "ours: over 1 % of retention, at least a minute and at most 15 minutes, 10 of 15 minutes",
	Next:  "raise the parallelisation factor or batch size, or add shards",
	Stream: func(s ops.Stream, l look) string {
		limit := lagAfter(s.Retention).Seconds()
		if age := s.Measures.Get(ops.IteratorAge); l.breaches(age, 10, 15, above(limit)) {
			return fmt.Sprintf("iterator age %s is over %s", ops.Span(l.last(age)), ops.Span(limit))
		}
		return ""
	},
	Watch: &watchStreamLag,
}

var streamWriteThrottle = Rule{
	ID: "kds.write_throttle", Severity: Ticket,
	Title: "producers are refused",
	Why:   "AWS metric; over 0 in 5 of 5 minutes",
	Next:  "find the hot shard; split it or switch to on-demand",
	Stream: func(s ops.Stream, l look) string {
		if m := s.Measures.Get(ops.WriteThrottle); l.breaches(m, 5, 5, above(0)) {
			return fmt.Sprintf("%.0f writes refused in the last 5 minutes", l.recent(m, 5))
		}
		return ""
	},
	Watch: &watchWriteThrottle,
}

var streamConsumerOff = Rule{
	ID: "kds.consumer_off", Severity: Ticket,
	Title: "an event source mapping is disabled while records arrive",
	Why:   "ours",
	Next:  "enable the mapping, or delete it if it is not meant to run",
	Stream: func(s ops.Stream, l look) string {
		for _, c := range s.Consumers {
			if c.Kind == ops.ByMapping && (c.State == "Disabled" || c.State == "Disabling") && l.recent(s.Measures.Get(ops.Incoming), 15) > 0 {
				return fmt.Sprintf("the mapping to %s is disabled while records arrive", c.Name)
			}
		}
		return ""
	},
}

// shortRetention is the retention that a stream has where nobody chose one.
const shortRetention = 24 * time.Hour

var streamShortRetention = Rule{
	ID: "kds.short_retention", Severity: Info,
	Title: "a page about this stream leaves twelve hours at most",
	Why:   "ours: kds.loss and kds.efo_loss page at half of the retention, and 24 h is what a stream has by default: a night is longer than the rest",
	Next:  "raise the retention to 48 h or more; beyond 24 h AWS bills it by shard hour or by GB",
	Stream: func(s ops.Stream, l look) string {
		read := slices.ContainsFunc(s.Consumers, func(c ops.Consumer) bool { return c.Polls() || c.Kind == ops.ByFanOut })
		if read && s.Retention > 0 && s.Retention <= shortRetention {
			return fmt.Sprintf("retention %s: when its alarm pages, %s are left", ops.Span(s.Retention.Seconds()), ops.Span(s.Retention.Seconds()/2))
		}
		return ""
	},
}

var streamUnread = Rule{
	ID: "kds.unread", Severity: Info,
	Title: "no consumer that we can see",
	Why:   "ours; a consumer that polls by itself (KCL on a server) cannot be listed",
	Next:  "if nothing reads it, records expire unread",
	Stream: func(s ops.Stream, l look) string {
		_, polled := s.Measures.Last(ops.IteratorAge).Value()
		if len(s.Consumers) == 0 && s.Channels == 0 && !polled && l.recent(s.Measures.Get(ops.Incoming), 60) > 0 {
			return "records arrive and nothing that we can see reads them"
		}
		return ""
	},
}
