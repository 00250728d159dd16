package labs

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Exercise is one game-day incident: what is reported, how it is made, and when it
// is solved. Each can be solved with kxops alone, once the team that owns the
// broken part has mended it (kxops lab fault LAB NAME --off).
type Exercise struct {
	Number int
	Title  string
	Report string // what the pager or the customer says
	Fault  string // "" for an exercise without one
	Hints  []string
	solved []criterion
	// begun says when what was sent into the fault has met it; nil: at once. Who mends
	// the fault sooner would find that it did no harm.
	begun func(context.Context, *Stack, []Sent) (bool, error)
}

// criterion is one thing that has to be so.
type criterion struct {
	text string
	met  func(context.Context, *Stack, []Sent, Balance) (bool, error)
}

var (
	nothingLost = criterion{"every event that was accepted is processed, in the error prefix or in the dead-letter queue", func(_ context.Context, _ *Stack, _ []Sent, b Balance) (bool, error) {
		return b.Lost() == 0 && len(b.Partial) == 0, nil
	}}
	nothingMissing = criterion{"every event that was accepted is processed or in the error prefix", func(_ context.Context, _ *Stack, _ []Sent, b Balance) (bool, error) {
		return len(b.Missing) == 0 && len(b.Partial) == 0, nil
	}}
	noDeadLetters = criterion{"the dead-letter queue is empty", func(_ context.Context, _ *Stack, _ []Sent, b Balance) (bool, error) {
		return b.Dead == 0 && len(b.Partial) == 0, nil
	}}
	nothingWaits = criterion{"nothing waits for the processing function", func(_ context.Context, _ *Stack, _ []Sent, b Balance) (bool, error) {
		return b.Waiting == 0 && len(b.Partial) == 0, nil
	}}
	noFault = criterion{"no fault stands", func(ctx context.Context, s *Stack, _ []Sent, _ Balance) (bool, error) {
		standing, err := s.Standing(ctx)
		return len(standing) == 0, err
	}}
	watched = criterion{"the stream, the delivery and the dead-letter queue, as far as there are any, each have an alarm of kxops", func(ctx context.Context, s *Stack, _ []Sent, _ Balance) (bool, error) {
		return s.watched(ctx)
	}}
)

// pipelineExercises are the game-day exercises of lab 2.
var pipelineExercises = []Exercise{
	{1, "Orders do not show up", "The shop says that nothing it sells shows up since a few minutes. No error anywhere.", "consumer-stopped",
		[]string{"kxops status: which age grows?", "what would lose data first, and when?", "after the team has mended it: does the backlog go down?"}, []criterion{noFault, nothingWaits, nothingLost}, nil},
	{2, "Dead letters with a reason", "The dead-letter queue of the processing function is not empty any more.", "poison",
		[]string{"kxops dlq groups: one reason or many?", "kxops dlq edit: mend the amount and send the message back to work", "kxops lab check: where are they now?"}, []criterion{noDeadLetters, nothingWaits, nothingMissing}, allAtTheirEnd},
	{3, "The archive stands still", "Yesterday's report is fine, today's is empty.", "archive-denied",
		[]string{"kxops: which delivery fails, since when, and when does the stream's retention end?", "after the team has mended it: does Firehose catch up by itself?"}, []criterion{noFault, nothingWaits, nothingLost}, nil},
	{4, "Stored, and nobody was told", "The events are in the store. The processing function has nothing to do.", "subscription-gone",
		[]string{"which events are in the store and not processed?", "kxops replay plan --from delivery:… --to queue:…: the processing function takes events as they are"}, []criterion{noFault, nothingWaits, nothingLost}, allStoredAndTold},
	{5, "Alarms that should have existed", "The post-mortem of exercise 3 asks why nobody was told.", "",
		[]string{"kxops alarms plan; kxops alarms apply"}, []criterion{watched}, nil},
	{6, "A customer's history is gone", "A customer's page is empty since the clean-up job of last night. Support asks to re-process the customer's events.", "customer-lost",
		[]string{"whose rows are missing? kxops lab check names some ids", "kxops replay plan --filter '.customer == \"…\"': only that customer's", "kxops replay verify"}, []criterion{nothingWaits, nothingLost}, nil},
}

// handExercises are the game-day exercises of lab 1.
var handExercises = []Exercise{
	{1, "The archive stands still", "Yesterday's report is fine, today's is empty.", archiveDenied.Name,
		[]string{"kxops: which delivery fails, since when, and how long have you got (LOSS IN)?", "after the team has mended it: what became of the events in between?"}, []criterion{noFault, nothingLost}, nil},
	{2, "Alarms that should have existed", "The post-mortem of exercise 1 asks why nobody was told.", "",
		[]string{"kxops alarms plan; kxops alarms apply"}, []criterion{watched}, nil},
}

// staffExercises are the game-day exercises of lab 3.
var staffExercises = []Exercise{
	{1, "Cards that open no door", "Ten new colleagues stand before the door. Their cards were printed.", "hired-late",
		[]string{"kxops dlq groups: what do the dead letters say?", "after the team has sent what was missing: kxops --access change dlq redrive"}, []criterion{noDeadLetters, nothingWaits, nothingMissing}, allAtTheirEnd},
	{2, "Somebody nobody knows", "A colleague of many years is in no list any more.", "person-lost",
		[]string{"the event store has every event: kxops replay plan --from archive:BUCKET/events/ --to queue:… --map-key .employee", "what was applied is noted: who else is touched by a replay of everything?"}, []criterion{nothingWaits, nothingLost}, nil},
}

// allAtTheirEnd reports that every event of a ledger is where it stays.
func allAtTheirEnd(ctx context.Context, s *Stack, ledger []Sent) (bool, error) {
	b, err := s.Check(ctx, ledger)
	return err == nil && b.Whole(), err
}

// notifiedWithin is how soon S3 tells of a new object: "typically in seconds" (S3 user
// guide, event notifications).
const notifiedWithin = 5 * time.Second

// allStoredAndTold reports that every accepted event of a ledger is in the event store
// or in its error prefix, and that S3 has told of it whoever listened.
func allStoredAndTold(ctx context.Context, s *Stack, ledger []Sent) (bool, error) {
	out, err := s.Outputs(ctx)
	if err != nil {
		return false, err
	}
	stored, err := s.stored(ctx, out["StoreBucket"])
	if err != nil {
		return false, err
	}
	failed, err := s.errorRecords(ctx, out["StoreBucket"])
	if err != nil {
		return false, err
	}
	for _, e := range ledger {
		if e.Accepted() && !stored[e.ID] && !failed[e.ID] {
			return false, nil
		}
	}
	last, err := s.lastStored(ctx, out["StoreBucket"])
	return err == nil && time.Since(last) > notifiedWithin, err
}

// Begun reports whether what was sent has met the exercise's fault.
func (s *Stack) Begun(ctx context.Context, e Exercise, ledger []Sent) (bool, error) {
	if e.begun == nil {
		return true, nil
	}
	return e.begun(ctx, s, ledger)
}

// Exercises lists a lab's exercises.
func (l *Lab) Exercises() []Exercise { return l.exercises }

// Exercise finds one by its number.
func (l *Lab) Exercise(n int) (Exercise, error) {
	for _, e := range l.exercises {
		if e.Number == n {
			return e, nil
		}
	}
	return Exercise{}, fmt.Errorf("%s has %d exercises; there is no number %d", l.ID, len(l.exercises), n)
}

// Mark is one criterion and whether it is met.
type Mark struct {
	Text string
	Met  bool
	Err  error // it could not be seen
}

// Score says how far an exercise is solved.
func (s *Stack) Score(ctx context.Context, e Exercise, ledger []Sent) ([]Mark, error) {
	b, err := s.Check(ctx, ledger)
	if err != nil {
		return nil, err
	}
	var out []Mark
	for _, c := range e.solved {
		met, err := c.met(ctx, s, ledger, b)
		out = append(out, Mark{c.text, met && err == nil, err})
	}
	return out, nil
}

// watched reports whether kxops's alarms watch the lab: it looks at the metrics of
// the alarms that carry our prefix.
func (s *Stack) watched(ctx context.Context) (bool, error) {
	out, err := s.Outputs(ctx)
	if err != nil {
		return false, err
	}
	wanted := map[string]bool{}
	for _, name := range []string{out["StreamName"], out["DeliveryStreamName"]} {
		if name != "" {
			wanted[name] = true
		}
	}
	if url := out["DeadLetterQueueUrl"]; url != "" {
		wanted[s.queueARN(url)] = true
	}
	dead := out["DeadLetterQueueUrl"]
	client := cloudwatch.NewFromConfig(s.place.Config)
	in := &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("kxops"), AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}}
	for {
		page, err := once(ctx, func(ctx context.Context) (*cloudwatch.DescribeAlarmsOutput, error) {
			return client.DescribeAlarms(ctx, in)
		})
		if err != nil {
			return false, err
		}
		for _, a := range page.MetricAlarms {
			dims := a.Dimensions
			for _, m := range a.Metrics {
				if m.MetricStat != nil && m.MetricStat.Metric != nil {
					dims = append(dims, m.MetricStat.Metric.Dimensions...)
				}
			}
			for _, d := range dims {
				v := aws.ToString(d.Value)
				delete(wanted, v)
				if aws.ToString(d.Name) == "QueueName" && s.queueARN("/"+v) == s.queueARN(dead) {
					delete(wanted, s.queueARN(dead))
				}
			}
		}
		if aws.ToString(page.NextToken) == "" {
			return len(wanted) == 0, nil
		}
		in.NextToken = page.NextToken
	}
}
