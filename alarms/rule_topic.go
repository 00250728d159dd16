package alarms

import (
	"fmt"

	"kxops/ops"
)

var topicLost = Rule{
	ID: "sns.lost", Severity: Page,
	Title: "notifications are lost: neither delivered nor dead-lettered",
	Why:   "AWS metric; each one is a final loss, so one is enough",
	Next:  "the dead-letter queue's policy or key refuses the topic",
	Topic: func(t ops.Topic, l look) string {
		if m := t.Measures.Get(ops.NotifyLost); l.breaches(m, 1, 15, above(0)) {
			return fmt.Sprintf("%.0f notifications lost in the last 15 minutes", l.recent(m, 15))
		}
		return ""
	},
	Watch: &watchTopicLost,
}

var topicFailed = Rule{
	ID: "sns.failed", Severity: Ticket,
	Title: "notifications fail",
	Why:   "AWS: should be 0 for queues, functions and deliveries; 1 of 5 minutes",
	Next:  "look at the subscription's target: deleted, denied, wrong key",
	Topic: func(t ops.Topic, l look) string {
		if m := t.Measures.Get(ops.NotifyFailed); l.breaches(m, 1, 5, above(0)) {
			return fmt.Sprintf("%.0f notifications failed in the last 5 minutes", l.recent(m, 5))
		}
		return ""
	},
	Watch: &watchTopicFailed,
}

var topicRedriven = Rule{
	ID: "sns.redriven", Severity: Ticket,
	Title: "notifications end in a dead-letter queue",
	Why:   "AWS metric; 1 of 5 minutes",
	Next:  "look at the subscription's dead-letter queue",
	Topic: func(t ops.Topic, l look) string {
		if m := t.Measures.Get(ops.NotifyRedrive); l.breaches(m, 1, 5, above(0)) {
			return fmt.Sprintf("%.0f notifications dead-lettered in the last 5 minutes", l.recent(m, 5))
		}
		return ""
	},
	Watch: &watchTopicRedriven,
}
