package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

const (
	// metricsEvery is between two looks at metrics: they have a point a minute, and each
	// look is billed.
	metricsEvery = 30 * time.Second
	metricsSoon  = 10 * time.Second // … while a canary waits for its numbers
	// metricGuardsMost bounds them, and so what a look costs: two metrics each.
	metricGuardsMost = 40
	// guardsBefore is how far back a plan looks for what is usual.
	guardsBefore = 15 * time.Minute
	// lagFresh is how old a point may be that tells how far behind a consumer is now.
	lagFresh = 5 * time.Minute

	errorsAllowed = 0.05    // so much more of a function's calls may fail
	lagAllowed    = 15 * 60 // seconds that consumers may fall further behind
	// errorsLeast is how many calls have to fail before their share counts: one in two is
	// no share.
	errorsLeast = 3
)

func byMetric(guards []ops.ReplayGuard) []ops.ReplayGuard {
	return slices.DeleteFunc(slices.Clone(guards), func(g ops.ReplayGuard) bool { return g.What == ops.GuardDepth })
}

// metricGuards adds what CloudWatch watches: the errors of the functions that the target
// sets going, and the lag of those that read from queues and streams on the way.
func (d *Desk) metricGuards(ctx context.Context, plan *ops.ReplayPlan, ask ops.ReplayAsk) {
	guards := downstream(plan, ask.Links)
	if len(guards) == 0 {
		return
	}
	if n := len(guards); n > metricGuardsMost {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("of %d numbers behind %s only the nearest %d are watched", n, plan.To.Name(), metricGuardsMost))
		guards = guards[:metricGuardsMost]
	}
	got, err := d.ask(ctx, guards, d.o.Now().Add(-guardsBefore))
	if err != nil {
		plan.Warnings = append(plan.Warnings, "errors and lag behind it cannot be watched: "+ops.AsProblem(d.explain("ask for metrics", err)).What)
		return
	}
	for i, g := range guards {
		g.Was = got[i].now
		room := cmp.Or(ask.Errors, errorsAllowed)
		if g.What == ops.GuardLag {
			room = cmp.Or(ask.Lag, lagAllowed)
		}
		g.Most = g.Was.Or(0) + room // where nothing is known, nothing is usual
		plan.Guards = append(plan.Guards, g)
	}
}

// downstream are the guards of what is behind the target, near ones first.
func downstream(plan *ops.ReplayPlan, links []ops.Link) []ops.ReplayGuard {
	var out []ops.ReplayGuard
	add := func(arn ops.ARN, what string) {
		if arn == "" || slices.ContainsFunc(out, func(g ops.ReplayGuard) bool { return g.ARN == arn && g.What == what }) {
			return
		}
		out = append(out, ops.ReplayGuard{ARN: arn, What: what})
	}
	if plan.To.Kind == ops.KindFunction {
		add(plan.To.ARN.Unqualified(), ops.GuardErrors)
	}
	for _, l := range reach(plan.To.ARN, links) {
		if l.To.Kind() == ops.KindFunction && l.Kind != ops.LinkDeadLetter {
			add(l.To.Unqualified(), ops.GuardErrors)
			if l.Kind == ops.LinkConsumes {
				add(l.To.Unqualified(), ops.GuardLag)
			}
		}
		switch {
		case l.Kind == ops.LinkTriggers: // a queue that nobody reads has no consumer to lag
			add(l.From, ops.GuardLag)
		case l.Kind == ops.LinkConsumes && l.To.Kind() != ops.KindFunction && l.From != plan.From.ARN:
			add(l.From, ops.GuardLag) // else our own reading of old records would show in it
		}
	}
	return out
}

// gauge is what a guard's metrics say.
type gauge struct {
	now           ops.Reading
	calls, failed float64
}

// ask reads the metrics of guards, since a time. What has no points is missing, never 0.
func (d *Desk) ask(ctx context.Context, guards []ops.ReplayGuard, since time.Time) ([]gauge, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	now := d.o.Now()
	in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(since), EndTime: aws.Time(now.Add(time.Minute)), ScanBy: types.ScanByTimestampDescending}
	for i, g := range guards {
		in.MetricDataQueries = append(in.MetricDataQueries, queriesOf(i, g)...)
	}
	points := map[string][]float64{}
	stamps := map[string][]time.Time{}
	for page := 0; page < 10; page++ {
		out, err := d.metrics.GetMetricData(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, r := range out.MetricDataResults {
			if r.StatusCode == types.StatusCodeInternalError || r.StatusCode == types.StatusCodeForbidden {
				continue
			}
			id := aws.ToString(r.Id)
			points[id], stamps[id] = append(points[id], r.Values...), append(stamps[id], r.Timestamps...)
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
	}
	gauges := make([]gauge, len(guards))
	for i, g := range guards {
		a, b := fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
		if g.What == ops.GuardErrors {
			gauges[i] = shareOf(points[a], points[b], now)
			continue
		}
		gauges[i].now = lagOf(g, points[a], stamps[a], now)
	}
	return gauges, nil
}

func queriesOf(i int, g ops.ReplayGuard) []types.MetricDataQuery {
	query := func(id, namespace, metric, dimension string, stat string) types.MetricDataQuery {
		name := g.ARN.Name()
		return types.MetricDataQuery{Id: aws.String(fmt.Sprintf("%s%d", id, i)), MetricStat: &types.MetricStat{Stat: &stat, Period: aws.Int32(60), Metric: &types.Metric{
			Namespace: &namespace, MetricName: &metric, Dimensions: []types.Dimension{{Name: &dimension, Value: &name}}}}}
	}
	switch {
	case g.What == ops.GuardErrors:
		return []types.MetricDataQuery{query("a", "AWS/Lambda", "Errors", "FunctionName", "Sum"), query("b", "AWS/Lambda", "Invocations", "FunctionName", "Sum")}
	case g.ARN.Kind() == ops.KindQueue:
		return []types.MetricDataQuery{query("a", "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "Maximum")}
	case g.ARN.Kind() == ops.KindFunction:
		return []types.MetricDataQuery{query("a", "AWS/Lambda", "IteratorAge", "FunctionName", "Maximum")}
	}
	return []types.MetricDataQuery{query("a", "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", "Maximum")}
}

// lagOf is how far behind a consumer is, in seconds, by the newest point.
func lagOf(g ops.ReplayGuard, values []float64, stamps []time.Time, now time.Time) ops.Reading {
	if len(values) == 0 || len(stamps) == 0 || now.Sub(stamps[0]) > lagFresh {
		return ops.Missing(ops.NoData)
	}
	v := values[0]
	if g.ARN.Kind() != ops.KindQueue {
		v /= 1000 // the ages of iterators are in milliseconds
	}
	return ops.Know(v, stamps[0])
}

// shareOf is how many of the calls failed. A function that was not called has no share.
func shareOf(errors, calls []float64, now time.Time) gauge {
	g := gauge{now: ops.Missing(ops.NoData)}
	for _, v := range errors {
		g.failed += v
	}
	for _, v := range calls {
		g.calls += v
	}
	if len(errors) > 0 && g.calls > 0 {
		g.now = ops.Know(g.failed/g.calls, now)
	}
	return g
}

// over reports a number that is known and worse than the plan allows.
func (n gauge) over(g ops.ReplayGuard) bool {
	v, known := n.now.Value()
	return known && v > g.Most && (g.What != ops.GuardErrors || n.failed >= errorsLeast)
}

// watched is what the metrics of the guards have said in this run.
type watched struct {
	since   time.Time // points before it are not of this run
	looked  time.Time // by the wall
	unknown []string  // of whom nothing is known yet
	asked   bool
}

// watchFrom begins with the minute in which the replay began. One that was halted begins
// with the next: else what had halted it would halt it again.
func watchFrom(started time.Time, halted bool) watched {
	since := started.Truncate(time.Minute)
	if halted {
		since = since.Add(time.Minute)
	}
	return watched{since: since}
}

// unknown names those of whom there is no number yet.
func (o *Operation) unknown() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if guards := byMetric(o.plan.Guards); !o.watched.asked && len(guards) > 0 {
		return namesOf(guards)
	}
	return o.watched.unknown
}

func namesOf(guards []ops.ReplayGuard) []string {
	var names []string
	for _, g := range guards {
		if name := g.ARN.Name(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// say notes something while the replay is in a state.
func (o *Operation) say(in ops.RunState, note string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state == in {
		o.note = note
	}
}

// askMetrics halts the replay when a metric is worse than the plan allows. It looks once
// in metricsEvery, or at once where it must.
func (o *Operation) askMetrics(ctx context.Context, must bool) {
	guards := byMetric(o.plan.Guards)
	o.mu.Lock()
	due := len(guards) > 0 && (must || time.Since(o.watched.looked) >= cmp.Or(o.desk.watches, metricsEvery))
	if due {
		o.watched.looked = time.Now()
	}
	since := o.watched.since
	o.mu.Unlock()
	if !due || o.desk.o.Now().Before(since) {
		return
	}
	got, err := o.desk.ask(ctx, guards, since)
	if err != nil {
		o.mu.Lock()
		o.watched.asked, o.watched.unknown = true, namesOf(guards)
		o.note = "the guards' metrics cannot be read: " + ops.AsProblem(o.explained("ask for metrics", err)).What
		o.mu.Unlock()
		return
	}
	var without []ops.ReplayGuard
	for i, g := range guards {
		if _, known := got[i].now.Value(); !known {
			without = append(without, g)
		} else if got[i].over(g) {
			o.halt(tooMuch(g, got[i], since))
		}
	}
	o.mu.Lock()
	o.watched.asked, o.watched.unknown = true, namesOf(without)
	o.mu.Unlock()
}

// tooMuch says why a guard halts.
func tooMuch(g ops.ReplayGuard, now gauge, since time.Time) string {
	v, _ := now.now.Value()
	if g.What == ops.GuardErrors {
		return fmt.Sprintf("%.0f of %.0f calls of %s failed since %s, %.3g %%, and the plan allows %.3g %%", now.failed, now.calls, g.ARN.Name(), since.UTC().Format("15:04 MST"), 100*v, 100*g.Most)
	}
	return fmt.Sprintf("%s is %s behind, and the plan allows %s: its consumers do not keep up", g.ARN.Name(), ops.Span(v), ops.Span(g.Most))
}
