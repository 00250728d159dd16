package sandbox

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// This file is SQS's own redrive: tasks that move messages from a dead-letter
// queue back to where they came from, or to another queue.

const (
	maxMoveRate = 500 // messages a second (API, StartMessageMoveTask)
	// ownMoveRate is what a task without a rate moves: AWS chooses, and says only
	// that it optimises.
	ownMoveRate = 200
	activeMoves = 100 // per account
	maxMoveTime = 36 * time.Hour
	// progressLag is how late the reported progress is. AWS itself reported 0 moved
	// when 2 messages had already been received at the target.
	progressLag = 5 * time.Second
)

type moveTask struct {
	id       string
	source   *queue
	target   ops.ARN // "" for each message's own source
	rate     int     // 0: AWS chooses
	started  time.Time
	status   string
	failure  string
	toMove   int // when it started
	moved    int
	reported int // moved, as of progressLag ago
}

func (t *moveTask) active() bool { return t.status == "RUNNING" || t.status == "CANCELLING" }

func (t *moveTask) handle() string {
	return base64.StdEncoding.EncodeToString([]byte(`{"taskId":"` + t.id + `","sourceArn":"` + string(t.source.arn) + `"}`))
}

func (s *sqsService) startMove(_ context.Context, in *sqs.StartMessageMoveTaskInput) (*sqs.StartMessageMoveTaskOutput, error) {
	source, err := s.moveSource(in.SourceArn)
	if err != nil {
		return nil, err
	}
	if len(s.sourcesOf(source)) == 0 {
		return nil, fail("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
	}
	target := ops.ARN(aws.ToString(in.DestinationArn))
	if target != "" {
		q, ok := s.byARN(target)
		switch {
		case !ok:
			return nil, notFoundARN("DestinationArn")
		case q == source:
			return nil, fail("InvalidParameterValue", "Source queue arn and destination queue arn must be different.")
		case q.fifo != source.fifo:
			return nil, fail("InvalidParameterValue", "The source queue and destination queue must be of the same queue type.")
		}
	}
	rate := int(aws.ToInt32(in.MaxNumberOfMessagesPerSecond))
	if in.MaxNumberOfMessagesPerSecond != nil && (rate < 1 || rate > maxMoveRate) {
		return nil, fail("InvalidParameterValue", "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: It must be between 1 and %d.", maxMoveRate)
	}
	if n := len(source.moves); n > 0 && source.moves[n-1].active() {
		return nil, fail("InvalidParameterValue", "There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	}
	if s.activeMoves() >= activeMoves {
		return nil, &types.OverLimit{Message: aws.String("The account has 100 active message move tasks.")}
	}
	now := s.r.now()
	source.settle(now)
	source.touch(now)
	t := &moveTask{id: s.r.id(), source: source, target: target, rate: rate, started: now, status: "RUNNING",
		toMove: source.shownCount("StartMessageMoveTask")[ready]}
	source.moves = append(source.moves, t)
	if extra := len(source.moves) - 10; extra > 0 { // list returns no more than that
		source.moves = source.moves[extra:]
	}
	s.r.after(time.Second, t.step)
	return &sqs.StartMessageMoveTaskOutput{TaskHandle: aws.String(t.handle())}, nil
}

func (s *sqsService) moveSource(arn *string) (*queue, error) {
	if aws.ToString(arn) == "" {
		return nil, missing("SourceArn")
	}
	q, ok := s.byARN(ops.ARN(*arn))
	if !ok {
		return nil, notFoundARN("SourceArn")
	}
	return q, nil
}

func notFoundARN(parameter string) error {
	return notFound("The resource that you specified for the " + parameter + " parameter doesn't exist.")
}

// notFound is the only 404 of SQS.
func notFound(message string) error {
	return withStatus{&types.ResourceNotFoundException{Message: aws.String(message)}, 404}
}

func (s *sqsService) activeMoves() int {
	n := 0
	for _, q := range s.queues {
		for _, t := range q.moves {
			if t.active() {
				n++
			}
		}
	}
	return n
}

// step moves one second's worth of messages, oldest first, and comes back in a
// second until nothing is left of what was there at the start.
func (t *moveTask) step() {
	now := t.source.r.now()
	switch {
	case t.status == "CANCELLING":
		t.end("CANCELLED", "")
		return
	case t.source.service.queues[t.source.name] != t.source:
		t.end("FAILED", "AWS.SimpleQueueService.NonExistentQueue")
		return
	case now.Sub(t.started) > maxMoveTime:
		t.end("FAILED", "TaskTimedOut")
		return
	}
	rate := t.rate
	if rate == 0 {
		rate = ownMoveRate
	}
	t.source.settle(now)
	left := t.waiting()
	for _, m := range left[:min(rate, len(left), t.toMove-t.moved)] {
		target, failure := t.targetOf(m)
		if failure != "" {
			t.end("FAILED", failure)
			return
		}
		t.move(m, target, now)
	}
	moved := t.moved
	t.source.r.after(progressLag, func() { t.reported = max(t.reported, moved) })
	if t.moved >= t.toMove || len(left) <= rate {
		t.end("COMPLETED", "")
		return
	}
	t.source.r.after(time.Second, t.step)
}

// waiting lists what the task can move: visible messages that were there when it
// started. What is leased stays.
func (t *moveTask) waiting() []*message {
	var out []*message
	for _, m := range t.source.inOrder() {
		if m.state == ready && !m.arrived.After(t.started) {
			out = append(out, m)
		}
	}
	return out
}

func (t *moveTask) targetOf(m *message) (target *queue, failure string) {
	arn := t.target
	if arn == "" {
		arn = m.source
	}
	if arn == "" {
		return nil, "CouldNotDetermineMessageSource"
	}
	target, ok := t.source.service.byARN(arn)
	if !ok {
		return nil, "AWS.SimpleQueueService.NonExistentQueue"
	}
	if target.full(len(m.body)) {
		return nil, "the sandbox keeps no more messages in " + target.name
	}
	return target, ""
}

// move sends a copy and deletes the original: a new message with a new id and a
// new clock, as the Developer Guide describes the redrive.
func (t *moveTask) move(m *message, target *queue, now time.Time) {
	t.source.drop(m)
	t.source.counted(t.source.receivedMetric, now, 1)
	t.source.counted(t.source.deletedMetric, now, 1)
	copied := &message{body: m.body, md5: m.md5, attributes: m.attributes, trace: m.trace, sender: m.sender, group: m.group}
	if target.fifo {
		copied.dedup = t.source.r.id() // a redriven message must not be taken for its own duplicate
	}
	target.accept(copied, -1)
	t.moved++
}

func (t *moveTask) end(status, failure string) {
	t.status, t.failure = status, failure
	moved := t.moved
	t.source.r.after(progressLag, func() { t.reported = max(t.reported, moved) })
}

func (s *sqsService) listMoves(_ context.Context, in *sqs.ListMessageMoveTasksInput) (*sqs.ListMessageMoveTasksOutput, error) {
	source, err := s.moveSource(in.SourceArn)
	if err != nil {
		return nil, err
	}
	n := 1
	if in.MaxResults != nil {
		if n = int(*in.MaxResults); n < 1 || n > 10 {
			return nil, fail("InvalidParameterValue", "Value for parameter MaxResults is invalid. Reason: It must be between 1 and 10.")
		}
	}
	source.touch(s.r.now())
	out := &sqs.ListMessageMoveTasksOutput{Results: []types.ListMessageMoveTasksResultEntry{}}
	for i := len(source.moves) - 1; i >= 0 && len(out.Results) < n; i-- {
		out.Results = append(out.Results, source.moves[i].entry())
	}
	return out, nil
}

func (t *moveTask) entry() types.ListMessageMoveTasksResultEntry {
	e := types.ListMessageMoveTasksResultEntry{
		SourceArn:                         aws.String(string(t.source.arn)),
		Status:                            aws.String(t.status),
		StartedTimestamp:                  t.started.UnixMilli(),
		ApproximateNumberOfMessagesMoved:  int64(t.reported),
		ApproximateNumberOfMessagesToMove: aws.Int64(int64(t.toMove)),
	}
	if t.target != "" {
		e.DestinationArn = aws.String(string(t.target))
	}
	if t.rate > 0 {
		e.MaxNumberOfMessagesPerSecond = aws.Int32(int32(t.rate))
	}
	if t.failure != "" {
		e.FailureReason = aws.String(t.failure)
	}
	if t.status == "RUNNING" {
		e.TaskHandle = aws.String(t.handle())
	}
	return e
}

func (s *sqsService) cancelMove(_ context.Context, in *sqs.CancelMessageMoveTaskInput) (*sqs.CancelMessageMoveTaskOutput, error) {
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(in.TaskHandle))
	if err != nil || !strings.HasPrefix(string(raw), `{"taskId":"`) {
		return nil, fail("InvalidParameterValue", "Value for parameter TaskHandle is invalid.")
	}
	for _, name := range sortedNames(s.queues) {
		for _, t := range s.queues[name].moves {
			if t.handle() == *in.TaskHandle && t.status == "RUNNING" {
				t.status = "CANCELLING"
				return &sqs.CancelMessageMoveTaskOutput{ApproximateNumberOfMessagesMoved: int64(t.reported)}, nil
			}
		}
	}
	return nil, notFound("Task does not exist.")
}
