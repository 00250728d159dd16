package alarms

import (
	"fmt"
	"time"

	"kxops/ops"
)

// responseWindow is how much time a person should have before the first loss:
// a day, or a quarter of the retention where that is less.
func responseWindow(retention time.Duration) time.Duration {
	return min(24*time.Hour, retention/4)
}

var deadLoss = Rule{
	ID: "dlq.loss", Severity: Page,
	Title: "dead letters are about to expire",
	Why:   "ours: standard queues count from the first enqueue, so the source's retention is subtracted; FIFO counts from the move",
	Next:  "redrive or archive before they expire, or raise the retention to 14 days: kxops dlq retention (K in the console)",
	Dead: func(q ops.Queue, l look) string {
		loss := ops.QueueLoss(q, l.now)
		in, ok := loss.In.Value()
		if !ok || in > responseWindow(q.Retention).Seconds() {
			return ""
		}
		// The worst case takes the whole life away where the retentions are alike:
		// without this floor every new dead letter would page (dlq.retention says why).
		if loss.WorstCase && l.last(q.Measures.Get(ops.OldestAge)) <= time.Hour.Seconds() {
			return ""
		}
		worst := ""
		if loss.WorstCase {
			worst = " in the worst case"
		}
		return fmt.Sprintf("the first dead letter expires in %s%s (%s)", ops.Span(in), worst, loss.Why)
	},
	Watch: &watchDeadLoss,
}

var deadGrowing = Rule{
	ID: "dlq.growing", Severity: Ticket,
	Title: "new dead letters arrive",
	Why:   "ours: the depth rose within the last 15 minutes; visible and in flight together, so that a peek does not look like growth",
	Next:  "stop the bleeding: look at the newest messages first",
	Dead: func(q ops.Queue, l look) string {
		first, last, seen := 0.0, 0.0, false
		visible := q.Measures.Get(ops.Visible).Hour.Settled(l.now)
		held := q.Measures.Get(ops.InFlight).Hour
		for i := max(0, len(visible.Points)-15); i < len(visible.Points); i++ {
			v := visible.Points[i]
			if v != v {
				continue
			}
			v += held.Value(visible.At(i)).Or(0)
			if !seen {
				first, seen = v, true
			}
			last = v
		}
		if seen && last > first {
			return fmt.Sprintf("%.0f new dead letters in the last 15 minutes", last-first)
		}
		return ""
	},
	Watch: &watchDeadGrowing,
}

var deadNonEmpty = Rule{
	ID: "dlq.nonempty", Severity: Ticket,
	Title: "there are dead letters",
	Why:   "AWS: any visible message in a dead-letter queue",
	Next:  "see why they are here: kxops dlq groups (t in the console), then kxops dlq redrive --canary (d)",
	Dead: func(q ops.Queue, l look) string {
		if n, ok := q.Depth().Value(); ok && n > 0 {
			return fmt.Sprintf("%.0f dead letters", n)
		}
		return ""
	},
	Watch: &watchDeadNonEmpty,
}

var deadRetention = Rule{
	ID: "dlq.retention", Severity: Info,
	Title: "messages can arrive already expired",
	Why:   "AWS: a standard dead-letter queue's retention must be longer than the source's",
	Next:  "raise the dead-letter queue's retention",
	Dead: func(q ops.Queue, l look) string {
		for _, d := range q.DeadLetterOf {
			if d.Via == ops.ViaRedrivePolicy && !q.FIFO && d.Retention > 0 && q.Retention <= d.Retention {
				return fmt.Sprintf("retention %s is not longer than %s of %s: messages can arrive expired", ops.Span(q.Retention.Seconds()), ops.Span(d.Retention.Seconds()), d.Source.Name())
			}
		}
		return ""
	},
}
