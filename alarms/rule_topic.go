package alarms

import (
	"fmt"
	"strings"

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

// managedKey ends the name of the key that AWS manages for SQS.
const managedKey = "alias/aws/sqs"

var topicKey = Rule{
	ID: "sns.key", Severity: Ticket,
	Title: "a subscribed queue has a key that SNS may not use",
	Why:   "AWS: the policy of alias/aws/sqs cannot be changed, so it never lets SNS in; each notification is a client error and is not tried again",
	Next:  "encrypt the queue with SSE-SQS, or with a key whose policy lets sns.amazonaws.com in",
	Topic: func(t ops.Topic, l look) string {
		for _, sub := range t.Subscriptions {
			if sub.Protocol == "sqs" && strings.HasSuffix(l.key[ops.ARN(sub.Endpoint)], managedKey) {
				return fmt.Sprintf("%s is encrypted with %s: no notification reaches it", ops.ARN(sub.Endpoint).Name(), managedKey)
			}
		}
		return ""
	},
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
