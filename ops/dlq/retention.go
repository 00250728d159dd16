package dlq

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// retentionAttribute is how long a queue keeps messages, in seconds.
const retentionAttribute = string(types.QueueAttributeNameMessageRetentionPeriod)

// planRetention plans to keep messages longer, 14 days unless a time is given.
// Keeping them shorter is refused: it deletes what is older.
func (d *Desk) planRetention(ctx context.Context, ask ops.Ask, q ops.Queue, pile *Pile) (ops.Plan, error) {
	plan, err := d.newPlan(ask, q)
	if err != nil {
		return plan, err
	}
	keep := ask.Keep
	if keep == 0 {
		keep = ops.MaxRetention
	}
	now, err := d.seen(ctx, ops.Target{ARN: q.ARN, URL: q.URL, Kind: ops.KindQueue})
	if err != nil {
		return plan, d.explain("read queue "+q.Name, err)
	}
	plan.Seen[q.ARN] = now
	plan.Value = strconv.Itoa(int(keep / time.Second))
	switch {
	case keep > ops.MaxRetention:
		add(&plan.Blockers, fmt.Sprintf("SQS keeps messages for at most %s", span(ops.MaxRetention)))
	case q.Retention == 0:
		add(&plan.Blockers, "how long "+q.Name+" keeps messages now is not known")
	case keep < q.Retention:
		add(&plan.Blockers, fmt.Sprintf("%s keeps messages for %s; %s is less, and SQS would delete what is older", q.Name, span(q.Retention), span(keep)))
	case keep == q.Retention:
		add(&plan.Blockers, fmt.Sprintf("%s keeps messages for %s already", q.Name, span(keep)))
	}
	fact := func(name, value string) { plan.Facts = append(plan.Facts, ops.Fact{Name: name, Value: value}) }
	fact("Retention", span(q.Retention)+" -> "+span(keep))
	if loss := firstLoss(pile); !loss.IsZero() {
		fact("First loss", fmt.Sprintf("in %s -> in %s", until(loss, d.o.Now()), until(loss.Add(keep-q.Retention), d.o.Now())))
	}
	add(&plan.Warnings, "SQS takes up to 15 minutes to apply it: what expires before is gone")
	if q.FIFO {
		add(&plan.Warnings, "in a FIFO queue the time counts from the arrival in this queue")
	}
	plan.Changes = []ops.Fact{{Name: retentionAttribute, Value: fmt.Sprintf("%d -> %s", int(q.Retention/time.Second), plan.Value)}}
	plan.CannotUndo = []string{"setting it back deletes at once what is older by then"}
	plan.Steps = []ops.Step{{Text: "keep messages of " + q.Name + " for " + span(keep),
		Command: "aws sqs set-queue-attributes --queue-url " + q.URL + " --attributes " + retentionAttribute + "=" + plan.Value + " --region " + plan.Region}}
	plan.Calls, plan.USD, plan.ETA = 1, ops.PricePerQueueCall, 1
	return plan, nil
}

// firstLoss is when the first message of a pile expires; zero when not known.
func firstLoss(pile *Pile) time.Time {
	var first time.Time
	if pile == nil {
		return first
	}
	for _, l := range pile.Letters() {
		if l.Trims { // no retention of the queue saves its records
			continue
		}
		if !l.Expires.IsZero() && (first.IsZero() || l.Expires.Before(first)) {
			first = l.Expires
		}
	}
	return first
}

func until(at, now time.Time) string { return span(max(0, at.Sub(now))) }

// keepLonger sets the retention. Doing it twice is doing it once, so a resume
// needs no more than the plan.
func (o *Operation) keepLonger(ctx context.Context) error {
	if !o.goes() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	q, err := o.desk.describe(ctx, o.plan.FromURL)
	if err != nil {
		return err
	}
	want, err := strconv.Atoi(o.plan.Value)
	if err != nil {
		return fmt.Errorf("the plan's retention %q is no number of seconds", o.plan.Value)
	}
	if q.Retention > time.Duration(want)*time.Second { // somebody raised it further since
		return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("%s keeps messages for %s by now: %s would be less", q.Name, span(q.Retention), span(time.Duration(want)*time.Second))}
	}
	_, err = o.desk.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &o.plan.FromURL, Attributes: map[string]string{retentionAttribute: o.plan.Value}})
	o.called(2, 2*ops.PricePerQueueCall)
	if err != nil {
		return o.desk.explain("set the retention of "+q.Name, err)
	}
	o.set(func() { o.note = "set; SQS takes up to 15 minutes to apply it" })
	return nil
}
