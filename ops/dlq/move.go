package dlq

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
)

// tasksListed is the most that SQS lists of a queue's move tasks.
const tasksListed = 10

// Task is one of SQS's own message move tasks.
type Task struct {
	Handle  string // only while it runs
	Status  string // RUNNING, COMPLETED, CANCELLING, CANCELLED, FAILED
	Source  ops.ARN
	To      ops.ARN // "" each message to its own source
	Rate    int     // messages a second, 0: SQS decides
	Moved   int64   // approximate; it lags
	Total   int64   // when it began
	Started time.Time
	Failure string // the reason, decoded
}

// Running reports whether the task still moves messages.
func (t Task) Running() bool { return t.Status == "RUNNING" || t.Status == "CANCELLING" }

// Tasks lists the move tasks of a queue, newest first, at most ten.
func (d *Desk) Tasks(ctx context.Context, q ops.Queue) ([]Task, error) {
	out, err := d.sqs.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(string(q.ARN)), MaxResults: aws.Int32(tasksListed)})
	if err != nil {
		return nil, d.explain("list the move tasks of "+q.Name, err)
	}
	tasks := make([]Task, 0, len(out.Results))
	for _, t := range out.Results {
		tasks = append(tasks, Task{
			Handle: aws.ToString(t.TaskHandle), Status: aws.ToString(t.Status), Source: ops.ARN(aws.ToString(t.SourceArn)),
			To: ops.ARN(aws.ToString(t.DestinationArn)), Rate: int(aws.ToInt32(t.MaxNumberOfMessagesPerSecond)),
			Moved: t.ApproximateNumberOfMessagesMoved, Total: aws.ToInt64(t.ApproximateNumberOfMessagesToMove),
			Started: time.UnixMilli(t.StartedTimestamp).UTC(), Failure: moveFailure(aws.ToString(t.FailureReason)),
		})
	}
	return tasks, nil
}

// moveFailure is SQS's failure reason as a sentence; what is not known is passed on.
// Source: SQS developer guide, troubleshooting dead-letter queue redrive.
func moveFailure(reason string) string {
	switch {
	case reason == "":
		return ""
	case strings.Contains(reason, "CouldNotDetermineMessageSource"):
		return "a message does not say which queue it came from (it was not SQS that put it here): choose a destination"
	case strings.Contains(reason, "NonExistentQueue"), strings.Contains(reason, "QueueDoesNotExist"):
		return "the destination queue does not exist any more; what was not moved is still here"
	case strings.Contains(reason, "AccessDenied"):
		return "the one who started it may not receive and delete here, or not send there: " + reason
	case strings.Contains(strings.ToLower(reason), "kms"):
		return "a KMS key cannot be used: " + reason
	}
	return reason
}

// CancelTask cancels the running task of a queue. It returns how many were moved, approximately.
func (d *Desk) CancelTask(ctx context.Context, q ops.Queue) (moved int64, err error) {
	tasks, err := d.Tasks(ctx, q)
	if err != nil {
		return 0, err
	}
	for _, t := range tasks {
		if t.Status != "RUNNING" {
			continue
		}
		out, err := d.sqs.CancelMessageMoveTask(ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: aws.String(t.Handle)})
		if err != nil {
			return 0, d.explain("cancel the move task of "+q.Name, err)
		}
		return out.ApproximateNumberOfMessagesMoved, nil
	}
	return 0, &ops.Problem{Fault: ops.FaultNotFound, What: "no move task of " + q.Name + " is running"}
}
