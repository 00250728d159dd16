package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
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

const (
	lineTask = "task" // of the record: about to start SQS's task, and then its handle

	taskPoll   = 2 * time.Second
	taskLasts  = 36 * time.Hour   // at most (SQS quotas)
	counterLag = 30 * time.Second // of a task's counter behind what it moved
	cancelWait = 5 * time.Minute  // for a cancelled task to end
	pollsFail  = 10               // lists of tasks without an answer in a row
)

// planMove plans SQS's own move of everything that is in a queue.
func (d *Desk) planMove(ctx context.Context, ask ops.Ask, q ops.Queue, pile *Pile) (ops.Plan, error) {
	plan, err := d.newPlan(ask, q)
	if err != nil {
		return plan, err
	}
	plan.Select = ops.Selection{All: true}
	block := func(format string, a ...any) { add(&plan.Blockers, fmt.Sprintf(format, a...)) }
	warn := func(format string, a ...any) { add(&plan.Warnings, fmt.Sprintf(format, a...)) }
	if ask.To != "" && ask.To != originTarget {
		t, err := d.target(ctx, ask.To)
		if err != nil {
			return plan, err
		}
		switch {
		case t.Kind != ops.KindQueue:
			block("SQS moves messages to queues only: without --native kxops sends them itself")
		case strings.HasSuffix(t.ARN.Name(), ".fifo") != q.FIFO:
			block("SQS moves between queues of one type only, and %s is of the other", t.Name())
		}
		plan.To = []ops.Target{t}
	}
	if !slices.ContainsFunc(q.DeadLetterOf, func(s ops.DeadLetterSource) bool { return s.Via == ops.ViaRedrivePolicy }) {
		block("SQS moves messages out of a queue only when a redrive policy of another queue names it, and none names %s: without --native kxops sends them itself", q.Name)
	}
	if plan.Pace.Rate > maxTaskRate {
		block("SQS moves at most %d messages a second", maxTaskRate)
	}
	if len(plan.To) == 0 && pile != nil {
		lost := 0
		for _, l := range pile.Letters() {
			if l.Source == "" {
				lost++
			}
		}
		if lost > 0 {
			block("%s not say which queue they came from, so the task would stop at the first of them: give a destination, or redrive without --native", doNot(lost))
		}
	}
	if err := d.preflight(ctx, &plan, nil); err != nil {
		return plan, err
	}
	warn("everything that is in %s is moved, also what arrives meanwhile: SQS cannot select, edit or drop duplicates", q.Name)
	warn("SQS does not tell the new message ids, so messages that come back cannot be recognised; there is no canary")
	if n, ok := q.Depth().Value(); ok {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "Messages", Value: fmt.Sprintf("about %.0f", n)})
		if plan.Pace.Rate > 0 {
			plan.ETA = math.Ceil(n / plan.Pace.Rate)
		}
	}
	plan.Changes = []ops.Fact{{Name: "MessageId", Value: "new, and SQS does not say which"}, {Name: ops.SentAttribute, Value: "now: age and retention start again"},
		{Name: "Attributes", Value: "AWS does not document which of them survive a move"}}
	plan.CannotUndo = []string{"what was moved stays moved; cancelling stops the rest"}
	plan.Steps = []ops.Step{{Text: "SQS moves everything in " + q.Name + ", oldest first", Command: moveCommand(plan)}}
	plan.Calls, plan.USD = 2, 2*ops.PricePerQueueCall
	plan.Risk, plan.Confirm = ops.HighRisk, q.Name
	return plan, nil
}

func doNot(n int) string {
	if n == 1 {
		return "1 message that was seen does"
	}
	return fmt.Sprintf("%d messages that were seen do", n)
}

func moveCommand(plan ops.Plan) string {
	c := "aws sqs start-message-move-task --source-arn " + string(plan.From)
	if len(plan.To) > 0 {
		c += " --destination-arn " + string(plan.To[0].ARN)
	}
	if rate := taskRate(plan); rate > 0 {
		c += fmt.Sprintf(" --max-number-of-messages-per-second %d", rate)
	}
	return c + " --region " + plan.Region
}

func taskRate(plan ops.Plan) int32 {
	if plan.Pace.Rate <= 0 {
		return 0
	}
	return int32(min(max(1, math.Round(plan.Pace.Rate)), maxTaskRate))
}

// mover is one run of a move.
type mover struct {
	o      *Operation
	queue  ops.Queue
	handle string
	before time.Time // when the newest task before ours started
	depth  float64   // when it began; NaN when not known
}

// move starts SQS's task and watches it, or finds the one that it started before.
func (o *Operation) move(ctx context.Context) error {
	m := &mover{o: o, queue: ops.Queue{ARN: o.plan.From, URL: o.plan.FromURL, Name: o.plan.From.Name()}, depth: math.NaN()}
	begun, err := m.remember()
	if err != nil {
		return err
	}
	if q, err := o.desk.describe(ctx, m.queue.URL); err == nil {
		if n, ok := q.Depth().Value(); ok && !begun {
			m.depth = n
		}
	}
	switch {
	case m.handle != "":
	case begun:
		if t, found, err := m.ours(ctx); err != nil || found && !t.Running() {
			return errors.Join(err, m.ended(ctx, t, found))
		} else if found {
			err := m.keep(t.Handle)
			if err != nil {
				return err
			}
		} else if err := m.start(ctx); err != nil { // the request never arrived
			return err
		}
	default:
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	if m.handle == "" { // cancelled before it began
		return nil
	}
	return m.watch(ctx)
}

// remember reads from the record what an earlier run began.
func (m *mover) remember() (begun bool, err error) {
	lines, _, err := m.o.desk.o.Journal.ReadLog(m.o.plan.ID)
	if err != nil {
		return false, err
	}
	for _, text := range lines {
		var l line
		if json.Unmarshal(text, &l) != nil || l.Word != lineTask {
			continue
		}
		begun = true
		if l.New != "" {
			m.handle = l.New
		} else if ms, err := strconv.ParseInt(l.Code, 10, 64); err == nil && ms > 0 {
			m.before = time.UnixMilli(ms)
		}
		if n, err := strconv.ParseFloat(l.Why, 64); err == nil {
			m.depth = n
		}
	}
	return begun, nil
}

// start asks SQS to move. That it will ask is recorded before, the handle at once
// after: SQS shows it only while the task runs.
func (m *mover) start(ctx context.Context) error {
	tasks, err := m.o.desk.Tasks(ctx, m.queue)
	if err != nil {
		return err
	}
	if len(tasks) > 0 {
		m.before = tasks[0].Started
	}
	if err := m.o.record.write(line{Word: lineTask, Code: strconv.FormatInt(m.before.UnixMilli(), 10), Why: strconv.FormatFloat(m.depth, 'f', 0, 64)}); err != nil {
		return err
	}
	if !m.o.goes() {
		return nil
	}
	in := &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(string(m.queue.ARN))}
	if len(m.o.plan.To) > 0 {
		in.DestinationArn = aws.String(string(m.o.plan.To[0].ARN))
	}
	if rate := taskRate(m.o.plan); rate > 0 {
		in.MaxNumberOfMessagesPerSecond = aws.Int32(rate)
	}
	once, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	out, err := m.o.desk.once.StartMessageMoveTask(once, in)
	m.o.called(1, ops.PricePerQueueCall)
	if err == nil {
		return m.keep(aws.ToString(out.TaskHandle))
	}
	// Without an answer it may run all the same.
	if t, found, listed := m.ours(ctx); listed == nil && found && t.Handle != "" {
		return m.keep(t.Handle)
	}
	return m.o.desk.explain("start the move task of "+m.queue.Name, err)
}

func (m *mover) keep(handle string) error {
	m.handle = handle
	return m.o.record.write(line{Word: lineTask, New: handle})
}

// ours finds the task that this operation started: the first after the newest that
// was there before. The lock and SQS's own limit of one keep others out meanwhile.
func (m *mover) ours(ctx context.Context) (Task, bool, error) {
	tasks, err := m.o.desk.Tasks(ctx, m.queue)
	m.o.called(1, ops.PricePerQueueCall)
	if err != nil {
		return Task{}, false, err
	}
	for i := len(tasks) - 1; i >= 0; i-- {
		if m.handle != "" && tasks[i].Handle == m.handle || tasks[i].Started.After(m.before) {
			return tasks[i], true, nil
		}
	}
	return Task{}, false, nil
}

// watch shows how far the task gets until it is over, and cancels it when asked.
func (m *mover) watch(ctx context.Context) error {
	m.o.set(func() { m.o.stage = "SQS moves everything" })
	now := m.o.desk.o.Now
	fails, cancelled, end := 0, false, now().Add(taskLasts+time.Hour)
	for now().Before(end) {
		t, found, err := m.ours(ctx)
		switch {
		case err != nil:
			if fails++; fails > pollsFail || !passing(ops.AsProblem(err).Fault) {
				return err
			}
		case !found || !t.Running():
			return m.ended(ctx, t, found)
		default:
			fails = 0
			m.show(ctx, t)
		}
		if !cancelled && m.stopped() {
			if _, err := m.o.desk.cancelTask(ctx, m.queue.ARN, m.handle); err != nil && ops.AsProblem(err).Fault != ops.FaultNotFound {
				return err
			}
			cancelled, end = true, now().Add(cancelWait)
		}
		if cancelled {
			pausing(ctx, time.Second)
		} else {
			m.o.sleep(taskPoll)
		}
	}
	return &ops.Problem{Fault: ops.FaultTimeout, What: "the move task of " + m.queue.Name + " does not end", Hint: "kxops dlq tasks " + m.queue.Name + " says how far it is"}
}

func (m *mover) stopped() bool {
	m.o.mu.Lock()
	defer m.o.mu.Unlock()
	return m.o.quit || m.o.halted != ""
}

// show puts SQS's counter and the queue's own count side by side. The counter lags
// and so does the count: no more is called moved than both say.
func (m *mover) show(ctx context.Context, t Task) {
	q, err := m.o.desk.describe(ctx, m.queue.URL)
	m.o.called(1, ops.PricePerQueueCall)
	depth := ops.Missing(ops.NoData)
	if err == nil {
		depth = q.Depth()
	}
	moved := movedAtLeast(float64(t.Moved), m.depth, depth)
	note := fmt.Sprintf("SQS says %d moved; its counter lags", t.Moved)
	m.o.set(func() { m.o.moved, m.o.depth, m.o.note = ops.Know(moved, m.o.desk.o.Now()), depth, note })
}

// movedAtLeast is how many were moved as far as both counts agree.
func movedAtLeast(said, before float64, depth ops.Reading) float64 {
	now, ok := depth.Value()
	if !ok || math.IsNaN(before) {
		return said
	}
	return min(said, max(0, before-now))
}

// settled waits for the lagging counter of a task that is over.
func (m *mover) settled(ctx context.Context, t Task) Task {
	for end := m.o.desk.o.Now().Add(counterLag); t.Status == taskCompleted && t.Moved < t.Total && m.o.desk.o.Now().Before(end) && m.o.sleep(taskPoll); {
		if now, found, err := m.ours(ctx); err == nil && found {
			t = now
		}
	}
	return t
}

// ended says what became of the task.
func (m *mover) ended(ctx context.Context, t Task, found bool) error {
	if !found {
		m.o.halt("SQS does not list the move task any more: look at the depth of " + m.queue.Name + " and of the destination")
		return nil
	}
	t = m.settled(ctx, t)
	m.show(ctx, t)
	said := fmt.Sprintf("SQS says %d moved of %d", t.Moved, t.Total)
	switch t.Status {
	case taskFailed:
		m.o.halt("SQS stopped the task: " + t.Failure + "; " + said)
	case taskCancelled:
		m.o.Cancel()
		fallthrough
	default:
		m.o.set(func() { m.o.note = said })
	}
	return nil
}
