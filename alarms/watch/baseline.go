package watch

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"golang.org/x/time/rate"

	"kxops/alarms"
	"kxops/ops"
)

// This file measures what is usual: the thresholds of rules that follow from the
// history of a resource and not from its configuration. It is measured once. An
// alarm that exists carries its measure in its mark, and keeps it: a threshold that
// follows each day's history would follow a slow leak up.

const (
	baselineRule = "sqs.backlog"
	// baselineOver is how much history a baseline needs and reads.
	baselineOver = 14 * 24 * time.Hour
	// baselineYoung is how much of the beginning may be without data.
	baselineYoung = 24 * time.Hour
	// baselineLeast is the fewest minutes of which one in a thousand can be told.
	baselineLeast = 1000
	// baselineTime bounds reading all of them.
	baselineTime = 3 * time.Minute
)

// measured fills in the baselines that the rules ask for, and asks the rules again.
// What ask brings is taken, then what alarms carry, then the history is read: one
// metric a queue, which the meter counts.
func (d *Desk) measured(ctx context.Context, s ops.Snapshot, ask alarms.Ask, e Existing, c catalogue) catalogue {
	if ask.Remove {
		return c
	}
	known := map[ops.ARN]alarms.Baseline{}
	for i := range e.Metric {
		a := &e.Metric[i]
		if b, ok := carried(a.Mark.Inputs); ok && a.Managed() && a.Mark.Rule == baselineRule {
			known[a.Mark.Resource] = b
		}
	}
	for arn, b := range ask.Settings.Baselines {
		known[arn] = b
	}
	var missing []ops.ARN
	for _, x := range c.wanted.Skipped {
		if _, ok := known[x.Resource]; x.Rule == baselineRule && x.Unknown && !ok && selected(ask, x) {
			missing = append(missing, x.Resource)
		}
	}
	d.readBaselines(ctx, missing, known)
	if len(known) > 0 {
		ask.Settings.Baselines = known
		d.ask(s, ask, &c)
	}
	return c
}

// selected reports whether what is skipped is within the rules and resources that
// were asked for: nothing else is worth reading.
func selected(ask alarms.Ask, x alarms.Skipped) bool {
	some := func(patterns []string, name string) bool {
		return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
	}
	return some(ask.Rules, x.Rule) && (some(ask.Resources, x.Resource.Name()) || slices.Contains(ask.Resources, string(x.Resource)))
}

// carried is the baseline in an alarm's mark.
func carried(inputs map[string]string) (alarms.Baseline, bool) {
	v, err := strconv.ParseFloat(inputs[alarms.InputUsual], 64)
	on := inputs[alarms.InputMeasured]
	return alarms.Baseline{Usual: v, Measured: on}, err == nil && on != ""
}

// readBaselines measures queues. What cannot be measured says why in its baseline.
func (d *Desk) readBaselines(ctx context.Context, queues []ops.ARN, into map[ops.ARN]alarms.Baseline) {
	ctx, cancel := context.WithTimeout(ctx, baselineTime)
	defer cancel()
	until := d.o.Now().Add(-unsettled).Truncate(time.Minute).UTC()
	pace := rate.NewLimiter(pointsPerSecond, pointsMost)
	minutes := int(baselineOver / time.Minute)
	for batch := range slices.Chunk(queues, pointsMost/minutes) {
		lines, err := d.readUsual(ctx, pace, batch, until)
		for i, arn := range batch {
			if err != nil {
				into[arn] = alarms.Baseline{Unread: ops.AsProblem(err).What}
				continue
			}
			into[arn] = usual(lines[i], until)
		}
	}
}

func (d *Desk) readUsual(ctx context.Context, pace *rate.Limiter, batch []ops.ARN, until time.Time) ([]timeline, error) {
	if err := pace.WaitN(ctx, len(batch)*int(baselineOver/time.Minute)); err != nil {
		return nil, d.o.Explain(err)
	}
	start := until.Add(-baselineOver)
	in := &cloudwatch.GetMetricDataInput{StartTime: &start, EndTime: &until, ScanBy: types.ScanByTimestampAscending, MaxDatapoints: aws.Int32(pointsMost)}
	lines := make([]timeline, len(batch))
	for i, arn := range batch {
		in.MetricDataQueries = append(in.MetricDataQueries, mathQuery(
			alarms.Query{ID: "q" + strconv.Itoa(i), Namespace: "AWS/SQS", Metric: "ApproximateNumberOfMessagesVisible", Dimensions: map[string]string{"QueueName": arn.Name()}, Stat: "Average", Period: 60, Returns: true},
			alarms.Spec{}))
		lines[i] = newTimeline(start, until, 60)
	}
	return lines, d.readSeries(ctx, in, lines)
}

// usual is the level that a series stays under in 999 minutes of a thousand.
func usual(line timeline, until time.Time) alarms.Baseline {
	if line.unknown != "" {
		return alarms.Baseline{Unread: line.unknown}
	}
	first := slices.IndexFunc(line.points, func(v float64) bool { return !math.IsNaN(v) })
	have := slices.DeleteFunc(slices.Clone(line.points), math.IsNaN)
	switch {
	case first < 0:
		return alarms.Baseline{Short: "it has no history: nothing was published in two weeks"}
	case time.Duration(first)*line.step > baselineYoung:
		return alarms.Baseline{Short: "its history is too short: " + ops.Span((baselineOver - time.Duration(first)*line.step).Seconds()) + " of two weeks"}
	case len(have) < baselineLeast:
		return alarms.Baseline{Short: "it was awake for " + ops.Span(float64(len(have)*60)) + " of two weeks: too little to say what is usual"}
	}
	slices.Sort(have)
	at := int(math.Ceil(0.999*float64(len(have)))) - 1 // nearest rank
	return alarms.Baseline{Usual: have[at], Measured: until.Format(time.DateOnly)}
}
