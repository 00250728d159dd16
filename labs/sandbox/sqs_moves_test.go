package sandbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func (q *queues) start(source string, target *string, rate int32) (*string, error) {
	in := &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(arnOf(source)), DestinationArn: target}
	if rate > 0 {
		in.MaxNumberOfMessagesPerSecond = &rate
	}
	out, err := q.client.StartMessageMoveTask(q.Context(), in)
	if err != nil {
		return nil, err
	}
	return out.TaskHandle, nil
}

func (q *queues) task(source string) types.ListMessageMoveTasksResultEntry {
	q.Helper()
	out, err := q.client.ListMessageMoveTasks(q.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(arnOf(source))})
	q.ok(err)
	if len(out.Results) != 1 {
		q.Fatalf("%d tasks listed, the default is one", len(out.Results))
	}
	return out.Results[0]
}

// fill sends n messages and lets them fail once each.
func (q *queues) fill(url *string, n int) {
	q.Helper()
	for i := range n {
		q.send(url, fmt.Sprintf("m%d", i))
	}
	for range 2 {
		for len(q.receive(url, 10)) > 0 {
		}
		q.sb.Advance(31 * time.Second)
	}
}

// Rate, snapshot at the start, lagging progress, new identity, handle only while
// running (Developer Guide, sqs-configure-dead-letter-queue-redrive; API,
// ListMessageMoveTasks; the lag was recorded on AWS).
func TestMoveTask(t *testing.T) {
	q := sqsOf(t)
	url, dead := q.pair("", 1)
	sent := q.send(url, "first")
	q.fill(url, 4)
	if d := q.depth(dead); d != [3]int{5, 0, 0} {
		t.Fatalf("depth %v before", d)
	}
	handle, err := q.start("orders-dlq", nil, 2)
	q.ok(err)
	_, err = q.start("orders-dlq", nil, 0)
	q.refused(err, "InvalidParameterValue", "already a task running")
	q.sb.Advance(time.Second)
	if d := q.depth(url); d != [3]int{2, 0, 0} {
		t.Errorf("depth %v of the target after a second at 2/s", d)
	}
	task := q.task("orders-dlq")
	if *task.Status != "RUNNING" || aws.ToString(task.TaskHandle) != *handle || *task.ApproximateNumberOfMessagesToMove != 5 ||
		task.ApproximateNumberOfMessagesMoved != 0 || *task.MaxNumberOfMessagesPerSecond != 2 || task.DestinationArn != nil {
		t.Errorf("running task %+v", task)
	}
	q.sb.Advance(2 * time.Second)
	if task = q.task("orders-dlq"); *task.Status != "COMPLETED" || task.TaskHandle != nil || task.ApproximateNumberOfMessagesMoved != 0 {
		t.Errorf("at the end %+v", task)
	}
	q.sb.Advance(progressLag)
	if task = q.task("orders-dlq"); task.ApproximateNumberOfMessagesMoved != 5 {
		t.Errorf("later %+v", task)
	}
	back := q.receive(url, 1)[0]
	if *back.Body != "first" || *back.MessageId == *sent.MessageId || back.Attributes["ApproximateReceiveCount"] != "1" || back.Attributes["DeadLetterQueueSourceArn"] != "" {
		t.Errorf("the oldest came back as %v", back)
	}
}

func TestMoveTaskCancel(t *testing.T) {
	q := sqsOf(t)
	url, dead := q.pair("", 1)
	q.fill(url, 4)
	handle, err := q.start("orders-dlq", nil, 1)
	q.ok(err)
	q.sb.Advance(time.Second)
	cancel := func(h *string) (*sqs.CancelMessageMoveTaskOutput, error) {
		return q.client.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: h})
	}
	out, err := cancel(handle)
	q.ok(err)
	if out.ApproximateNumberOfMessagesMoved != 0 || *q.task("orders-dlq").Status != "CANCELLING" {
		t.Errorf("cancel answered %+v", out)
	}
	q.sb.Advance(time.Minute)
	if task := q.task("orders-dlq"); *task.Status != "CANCELLED" || task.ApproximateNumberOfMessagesMoved != 1 || q.depth(url)[0] != 1 || q.depth(dead)[0] != 3 {
		t.Errorf("after the cancel %+v", task)
	}
	_, err = cancel(handle)
	q.refused(err, "ResourceNotFoundException", "does not exist")
	_, err = cancel(aws.String("nonsense"))
	q.refused(err, "InvalidParameterValue", "TaskHandle")
}

// Only a queue's dead-letter queue can be a source; a missing target is a 404
// (API, StartMessageMoveTask).
func TestMoveTaskRefusals(t *testing.T) {
	q := sqsOf(t)
	q.pair("", 1)
	q.create("other.fifo")
	for _, c := range []struct {
		source, target, code, text string
		rate                       int32
	}{
		{"orders", "", "InvalidParameterValue", "Dead Letter Queue", 0},
		{"none", "", "ResourceNotFoundException", "SourceArn", 0},
		{"orders-dlq", "none", "ResourceNotFoundException", "DestinationArn", 0},
		{"orders-dlq", "other.fifo", "InvalidParameterValue", "same queue type", 0},
		{"orders-dlq", "", "InvalidParameterValue", "MaxNumberOfMessagesPerSecond", 501},
	} {
		var target *string
		if c.target != "" {
			target = aws.String(arnOf(c.target))
		}
		_, err := q.start(c.source, target, c.rate)
		q.refused(err, c.code, c.text)
	}
}

// Messages that SQS did not put there have no source: the task fails, unless it
// names a target (Developer Guide, troubleshooting-dlq-redrive).
func TestMoveTaskFailures(t *testing.T) {
	q := sqsOf(t)
	url, dead := q.pair("", 1)
	elsewhere := q.create("elsewhere")
	q.send(dead, "sent by hand")
	_, err := q.start("orders-dlq", nil, 0)
	q.ok(err)
	q.sb.Advance(time.Second)
	if task := q.task("orders-dlq"); *task.Status != "FAILED" || *task.FailureReason != "CouldNotDetermineMessageSource" {
		t.Errorf("task %+v", task)
	}
	_, err = q.start("orders-dlq", aws.String(arnOf("elsewhere")), 0)
	q.ok(err)
	q.sb.Advance(time.Minute)
	if task := q.task("orders-dlq"); *task.Status != "COMPLETED" || q.depth(elsewhere)[0] != 1 {
		t.Errorf("task with a target %+v", task)
	}
	q.fill(url, 3)
	_, err = q.start("orders-dlq", aws.String(arnOf("elsewhere")), 1)
	q.ok(err)
	q.sb.Advance(time.Second)
	_, err = q.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: elsewhere})
	q.ok(err)
	q.sb.Advance(time.Minute)
	if task := q.task("orders-dlq"); *task.Status != "FAILED" || *task.FailureReason != "AWS.SimpleQueueService.NonExistentQueue" || q.depth(dead)[0] != 2 {
		t.Errorf("task whose target went away %+v", task)
	}
	out, err := q.client.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(arnOf("orders-dlq")), MaxResults: aws.Int32(10)})
	q.ok(err)
	if len(out.Results) != 3 || *out.Results[2].FailureReason != "CouldNotDetermineMessageSource" {
		t.Errorf("listed %+v", out.Results)
	}
}

// What is leased stays; a snapshot from lagging counts moves nothing.
func TestMoveTaskSkipsWhatItCannotSee(t *testing.T) {
	q := sqsOf(t)
	url, dead := q.pair("", 1)
	q.fill(url, 3)
	q.receive(dead, 1)
	_, err := q.start("orders-dlq", nil, 0)
	q.ok(err)
	q.sb.Advance(10 * time.Second)
	if task := q.task("orders-dlq"); *task.Status != "COMPLETED" || q.depth(dead) != [3]int{0, 1, 0} || q.depth(url)[0] != 2 {
		t.Errorf("task %+v, left %v", task, q.depth(dead))
	}
	fresh, _ := q.pair("-new", 1)
	q.sb.Advance(2 * time.Minute)
	q.send(fresh, "x")
	q.receive(fresh, 1)
	q.sb.Advance(31 * time.Second)
	q.receive(fresh, 1)
	q.sb.SetFaults(Fault{Kind: CountLag, Service: "sqs", Operation: "StartMessageMoveTask"})
	_, err = q.start("orders-dlq-new", nil, 0)
	q.ok(err)
	q.sb.Advance(10 * time.Second)
	if task := q.task("orders-dlq-new"); *task.Status != "COMPLETED" || task.ApproximateNumberOfMessagesMoved != 0 {
		t.Errorf("task from a stale snapshot %+v", task)
	}
}

func TestMoveTaskFIFO(t *testing.T) {
	q := sqsOf(t)
	url, _ := q.pair(".fifo", 1)
	q.sendTo(url, "g", "1", "a")
	q.sendTo(url, "g", "2", "b")
	q.receive(url, 10)
	q.sb.Advance(31 * time.Second)
	q.receive(url, 10)
	_, err := q.start("orders-dlq.fifo", nil, 0)
	q.ok(err)
	q.sb.Advance(time.Second)
	if got := q.receive(url, 10); bodies(got) != "a b" || got[0].Attributes["MessageGroupId"] != "g" {
		t.Errorf("came back %q", bodies(got))
	}
}
