package dlq

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// The states of a move task. Source: SQS API, ListMessageMoveTasks.
const (
	taskRunning    = "RUNNING"
	taskCompleted  = "COMPLETED"
	taskCancelling = "CANCELLING"
	taskCancelled  = "CANCELLED"
	taskFailed     = "FAILED"
)

const (
	mostTasks   = 10  // that SQS lists
	maxTaskRate = 500 // messages a second (SQS API, StartMessageMoveTask)
)

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
func (t Task) Running() bool { return t.Status == taskRunning || t.Status == taskCancelling }

// Tasks lists the move tasks of a queue, newest first, at most ten.
func (d *Desk) Tasks(ctx context.Context, q ops.Queue) ([]Task, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	out, err := d.sqs.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(string(q.ARN)), MaxResults: aws.Int32(mostTasks)})
	if err != nil {
		return nil, d.explain("list the move tasks of "+q.ARN.Name(), err)
	}
	tasks := make([]Task, 0, len(out.Results))
	for _, r := range out.Results {
		tasks = append(tasks, taskOf(r))
	}
	return tasks, nil
}

func taskOf(r types.ListMessageMoveTasksResultEntry) Task {
	t := Task{
		Handle: aws.ToString(r.TaskHandle), Status: aws.ToString(r.Status),
		Source: ops.ARN(aws.ToString(r.SourceArn)), To: ops.ARN(aws.ToString(r.DestinationArn)),
		Rate: int(aws.ToInt32(r.MaxNumberOfMessagesPerSecond)), Moved: r.ApproximateNumberOfMessagesMoved, Total: aws.ToInt64(r.ApproximateNumberOfMessagesToMove),
	}
	if r.StartedTimestamp > 0 {
		t.Started = time.UnixMilli(r.StartedTimestamp).UTC()
	}
	if reason := aws.ToString(r.FailureReason); reason != "" {
		t.Failure = taskFailure(reason)
	}
	return t
}

// taskFailure says a FailureReason in a sentence; the reason itself stays in it.
// Source: SQS developer guide, troubleshooting dead-letter queue redrive.
func taskFailure(reason string) string {
	says := func(what string) string { return what + " (" + reason + ")" }
	switch {
	case strings.Contains(reason, "CouldNotDetermineMessageSource"):
		return says("a message does not say which queue it came from: it was sent here directly, or by SNS, Lambda or EventBridge; give a destination")
	case strings.Contains(reason, "NonExistentQueue"), strings.Contains(reason, "QueueDoesNotExist"):
		return says("the destination queue does not exist any more; the rest is still in the dead-letter queue")
	case strings.Contains(strings.ToUpper(reason), "KMS"):
		return says("a KMS key may not be used: moving needs kms:Decrypt on the keys of both queues, and kms:GenerateDataKey on the destination's")
	case strings.Contains(reason, "AccessDenied"):
		return says("SQS may not receive or delete here, or not send to the destination; a queue policy that allows only a VPC needs an exception for aws:CalledViaLast")
	case strings.Contains(reason, "InvalidMessageContents"), strings.Contains(reason, "MessageTooLong"):
		return says("the destination does not take a message")
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
		if t.Status == taskRunning {
			return d.cancelTask(ctx, q.ARN, t.Handle)
		}
	}
	return 0, &ops.Problem{Fault: ops.FaultNotFound, What: "no move task of " + q.ARN.Name() + " is running"}
}

func (d *Desk) cancelTask(ctx context.Context, queue ops.ARN, handle string) (moved int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	out, err := d.sqs.CancelMessageMoveTask(ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: &handle})
	if err != nil {
		return 0, d.explain("cancel the move task of "+queue.Name(), err)
	}
	return out.ApproximateNumberOfMessagesMoved, nil
}
