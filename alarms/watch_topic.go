package alarms

import (
	"strings"

	"kxops/ops"
)

const sns = "AWS/SNS"

func topicMetric(t ops.Topic, metric string) Query {
	return Query{Namespace: sns, Metric: metric, Dimensions: map[string]string{"TopicName": t.Name}}
}

// redrives reports whether a subscription of the topic has a dead-letter queue.
func redrives(t ops.Topic) bool {
	for _, s := range t.Subscriptions {
		if s.RedriveTo != "" {
			return true
		}
	}
	return false
}

const noSubscriptionDLQ = "no subscription has a dead-letter queue"

var watchTopicLost = Watch{
	Tier: Essential, Stat: "Sum", Period: 60, M: 1, N: 1, Comparison: Above, Missing: MissingIsGood,
	Metric: "NumberOfNotificationsFailedToRedriveToDlq", Formula: "0", When: "a subscription has a dead-letter queue",
	Runbook: []string{"the dead-letter queue's policy or key refuses the topic, or it is gone", "kxops dlq ls: does it exist", "publish the lost messages again from their source"},
	Source:  "AWS recommended alarms; 1 of 1 instead of 5 of 5 is ours: each one is lost for good",
	Topic: func(t ops.Topic, _ Facts) []Draft {
		if !redrives(t) {
			return skip(noSubscriptionDLQ)
		}
		return one(Draft{Query: topicMetric(t, "NumberOfNotificationsFailedToRedriveToDlq"), Unit: "notifications", Formula: "any"})
	},
}

// machines are the protocols whose deliveries should never fail.
func onlyMachines(t ops.Topic) bool {
	for _, s := range t.Subscriptions {
		switch s.Protocol {
		case "sqs", "lambda", "firehose":
		default:
			return false
		}
	}
	return true
}

var watchTopicFailed = Watch{
	Tier: Essential, Stat: "Sum", Period: 60, M: 1, N: 5, Comparison: Above, Missing: MissingIsGood,
	Metric: "NumberOfNotificationsFailed", Formula: "0; with people or HTTP among the subscribers 1 % of what is published, 5 of 5",
	Runbook: []string{"kxops status: which subscription fails", "its target: deleted, denied, wrong key", "kxops dlq groups on the subscription's dead-letter queue"},
	Source:  "AWS recommended alarms (0 where only queues, functions and deliveries subscribe); 1 of 5 ours",
	Topic: func(t ops.Topic, _ Facts) []Draft {
		if len(t.Subscriptions) == 0 {
			return skip("nobody subscribes to it")
		}
		if onlyMachines(t) {
			return one(Draft{Query: topicMetric(t, "NumberOfNotificationsFailed"), Unit: "notifications", Formula: "any: only queues, functions and deliveries subscribe"})
		}
		failed, delivered := topicMetric(t, "NumberOfNotificationsFailed"), topicMetric(t, "NumberOfNotificationsDelivered")
		failed.ID, failed.Stat, failed.Period = "m1", "Sum", 60
		delivered.ID, delivered.Stat, delivered.Period = "m2", "Sum", 60
		return one(Draft{Math: []Query{failed, delivered, {ID: "e1", Expression: "100*m1/(m1+FILL(m2,0))", Period: 60, Returns: true}}, Level: 1, M: 5, N: 5, Unit: "percent", Formula: "1% of the notifications, five minutes in a row"})
	},
}

var watchTopicRedriven = Watch{
	Tier: Recommended, Stat: "Sum", Period: 60, M: 1, N: 5, Comparison: Above, Missing: MissingIsGood,
	Metric: "NumberOfNotificationsRedrivenToDlq", Formula: "0", When: "a subscription has a dead-letter queue",
	Runbook: []string{"kxops dlq groups on the subscription's dead-letter queue", "the subscription's target: deleted, denied, wrong key", "kxops dlq redrive when it is fixed"},
	Source:  "AWS recommended alarms; 1 of 5 ours",
	Topic: func(t ops.Topic, _ Facts) []Draft {
		if !redrives(t) {
			return skip(noSubscriptionDLQ)
		}
		return one(Draft{Query: topicMetric(t, "NumberOfNotificationsRedrivenToDlq"), Unit: "notifications", Formula: "any"})
	},
}

var topicFilterInvalid = Rule{
	ID: "sns.filter_invalid", Severity: Info,
	Title: "messages cannot be filtered: their attributes or bodies do not fit",
	Why:   "AWS: over 0 in 5 of 5 minutes",
	Next:  "what cannot be filtered is not delivered: correct the publisher",
	Watch: &Watch{
		Tier: Recommended, Stat: "Sum", Period: 60, M: 5, N: 5, Comparison: Above, Missing: MissingIsGood,
		Metric: "NumberOfNotificationsFilteredOut-InvalidAttributes, -InvalidMessageBody", Formula: "0", When: "a subscription filters",
		Runbook: []string{"kxops status: which subscriptions filter", "look at a published message: is its JSON whole", "correct the publisher or the filter policy"},
		Source:  "AWS recommended alarms",
		Topic: func(t ops.Topic, _ Facts) []Draft {
			filters := false
			for _, s := range t.Subscriptions {
				filters = filters || strings.TrimSpace(s.Filter) != ""
			}
			if !filters {
				return skip("no subscription filters")
			}
			return []Draft{
				{Part: "attributes", Query: topicMetric(t, "NumberOfNotificationsFilteredOut-InvalidAttributes"), Unit: "notifications", Formula: "any, five minutes in a row"},
				{Part: "body", Query: topicMetric(t, "NumberOfNotificationsFilteredOut-InvalidMessageBody"), Unit: "notifications", Formula: "any, five minutes in a row"},
			}
		},
	},
}

var topicSilent = Rule{
	ID: "sns.silent", Severity: Ticket,
	Title: "nobody publishes any more",
	Why:   "AWS: nothing published for 5 of 5 minutes; only for topics that are never idle",
	Next:  "is the publisher alive?",
	Watch: &Watch{
		Tier: OptIn, Stat: "Sum", Period: 60, M: 5, N: 5, Comparison: AtMost, Missing: MissingIsBad,
		Metric: "NumberOfMessagesPublished", Formula: "0", When: "asked for: the topic is never idle",
		Runbook: []string{"kxops status: since when is it silent", "is the publisher running, may it publish?", "kxops alarms mute while nothing is to come"},
		Source:  "AWS recommended alarms (metric, 5 of 5, breaching); 0 instead of a baseline is ours",
		Topic: func(t ops.Topic, _ Facts) []Draft {
			return one(Draft{Query: topicMetric(t, "NumberOfMessagesPublished"), Unit: "messages", Formula: "nothing published for five minutes"})
		},
	},
}
