package watch

import (
	"kxops/alarms"
	"kxops/ops"
)

// awsKindly is AWS's list read as kindly as its text allows, where awsList takes only
// the rows that give a number: half the retention for what it says is at risk from
// there, 1.5 visibility timeouts for 1.5 times the normal processing, no failure and
// 1 % throttled where it says "tolerated"; silence only for queues that somebody
// sends to; and for a dead-letter queue any message, as the page on those says.
func awsKindly(s ops.Snapshot) (all []alarms.Spec) {
	add := func(arn ops.ARN, namespace, metric, dimension, stat string, n int, c alarms.Comparison, threshold float64, missing string) {
		all = append(all, plain("aws", arn, namespace, metric, dimension, stat, n, n, c, threshold, missing))
	}
	const good, bad, missing = alarms.MissingIsGood, alarms.MissingIsBad, alarms.MissingIsMissing
	for _, x := range s.Streams.Items {
		add(x.ARN, "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", "Maximum", 15, alarms.Above, 500*x.Retention.Seconds(), bad)
		for _, m := range []string{"GetRecords.Success", "PutRecord.Success"} {
			add(x.ARN, "AWS/Kinesis", m, "StreamName", "Average", 5, alarms.Below, 1, missing)
		}
		add(x.ARN, "AWS/Kinesis", "PutRecords.FailedRecords", "StreamName", "Sum", 5, alarms.Above, 0, good)
		for _, m := range []string{"ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded"} {
			add(x.ARN, "AWS/Kinesis", m, "StreamName", "Average", 5, alarms.Above, 0.01, good)
		}
	}
	for _, x := range s.Queues.Items {
		if x.IsDeadLetter() {
			add(x.ARN, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "Average", 15, alarms.AtLeast, 1, missing)
			continue
		}
		add(x.ARN, "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "Maximum", 15, alarms.AtLeast, 1.5*x.Visibility.Seconds(), missing)
		add(x.ARN, "AWS/SQS", "NumberOfMessagesSent", "QueueName", "Sum", 15, alarms.AtMost, 0, missing)
	}
	for _, x := range s.Topics.Items {
		for _, m := range []string{"NumberOfNotificationsFailed", "NumberOfNotificationsFilteredOut-InvalidAttributes", "NumberOfNotificationsFilteredOut-InvalidMessageBody",
			"NumberOfNotificationsRedrivenToDlq", "NumberOfNotificationsFailedToRedriveToDlq"} {
			add(x.ARN, "AWS/SNS", m, "TopicName", "Sum", 5, alarms.Above, 0, good)
		}
	}
	for _, x := range s.Functions.Items {
		add(x.ARN, "AWS/Lambda", "Errors", "FunctionName", "Sum", 3, alarms.Above, 0, missing)
		add(x.ARN, "AWS/Lambda", "Throttles", "FunctionName", "Sum", 5, alarms.AtLeast, 1, missing)
		add(x.ARN, "AWS/Lambda", "ConcurrentExecutions", "FunctionName", "Maximum", 10, alarms.Above, 900, missing)
	}
	return all
}
