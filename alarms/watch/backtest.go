package watch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"kxops/alarms"
	"kxops/ops"
)

// This file tries alarms on the past: CloudWatch computes the same queries that the
// alarm would, and alarms.Decide evaluates each period as CloudWatch does.

const (
	// Limits of GetMetricData: queries and datapoints of one answer (API reference).
	queriesMost = 500
	pointsMost  = 100_800

	// pointsPerSecond is CloudWatch's quota of datapoints for ranges that begin more
	// than three hours ago; three quarters of it are ours (service quotas).
	pointsPerSecond = 396_000 * 3 / 4
	trialWorkers    = 4
	trialCall       = 30 * time.Second
	trialPages      = 50 // of one call's answer

	// Minute points are kept for 15 days, five-minute points for 63 (user guide).
	MinutesKept = 15 * 24 * time.Hour
	fivesKept   = 63 * 24 * time.Hour
	// unsettled is how long CloudWatch may still change a point.
	unsettled = 2 * time.Minute
	week      = 7 * 24 * time.Hour
)

// factors are tried in this order to make an alarm that rings too often ring less.
var factors = []float64{1.1, 1.25, 1.5, 2, 3, 5, 10}

// TrialCost is what trying the alarms on so much past costs: USD at list price
// (metrics requested; pages are not billed again as far as is known) and calls.
func (d *Desk) TrialCost(specs []alarms.Spec, over time.Duration) (usd float64, calls int) {
	metrics := 0
	batches := trialBatches(specs, over)
	for _, b := range batches {
		for _, s := range b {
			metrics += s.Metrics()
		}
	}
	return float64(metrics) * ops.PricePerMetric, len(batches)
}

// Backtest evaluates alarms on the history of their metrics. When ctx ends it
// returns what was tried until then, and the error. A series that could not be read
// whole is no trial: it says so in Unknown. over is at most 15 days for alarms with
// periods under five minutes: CloudWatch keeps their points no longer.
func (d *Desk) Backtest(ctx context.Context, specs []alarms.Spec, over time.Duration, say func(done, total int)) (alarms.Backtest, error) {
	until := d.o.Now().Add(-unsettled).Truncate(5 * time.Minute).UTC()
	out := alarms.Backtest{From: until.Add(-over), Until: until}
	if over < time.Hour {
		return out, &ops.Problem{Fault: ops.FaultRefused, What: "a backtest over less than an hour says nothing", Hint: "try 7d"}
	}
	for _, s := range specs {
		if kept := keptFor(s); over > kept {
			return out, &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("%s has periods of %d s, and CloudWatch keeps their points for %s", s.Name, s.Period, ops.Span(kept.Seconds())), Hint: "ask for less time"}
		}
	}
	batches := trialBatches(specs, over)
	trials := make([][]alarms.Trial, len(batches))
	pace := rate.NewLimiter(pointsPerSecond, pointsMost)
	progress := counter{total: len(specs), say: say}
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(trialWorkers)
	for i, batch := range batches {
		work.Go(func() error {
			if err := pace.WaitN(workCtx, min(pointsMost, pointsOf(batch, over))); err != nil {
				return errors.Join(workCtx.Err(), err)
			}
			found, err := d.tryBatch(workCtx, batch, out.From, out.Until)
			if err != nil {
				return err
			}
			trials[i] = found
			progress.add(len(batch))
			return nil
		})
	}
	err := work.Wait()
	for i, t := range trials {
		out.Trials = append(out.Trials, t...)
		if t != nil {
			out.Calls++
			for _, s := range batches[i] {
				out.USD += float64(s.Metrics()) * ops.PricePerMetric
			}
		}
	}
	if err != nil {
		return out, fmt.Errorf("read the history: %w", err)
	}
	return out, nil
}

func keptFor(s alarms.Spec) time.Duration {
	if s.Period < 300 {
		return MinutesKept
	}
	return fivesKept
}

// periods is how many datapoints a series has, with those before the range that its
// first evaluation needs.
func periods(s alarms.Spec, over time.Duration) int {
	return int(over/time.Second)/s.Period + alarms.Range(s.N)
}

func pointsOf(batch []alarms.Spec, over time.Duration) (n int) {
	for _, s := range batch {
		n += periods(s, over)
	}
	return n
}

// trialBatches splits the alarms so that an answer holds whole series: a page more
// costs a call. Alarms of one period stay together, for a call has one range.
func trialBatches(specs []alarms.Spec, over time.Duration) (batches [][]alarms.Spec) {
	sorted := slices.Clone(specs)
	slices.SortStableFunc(sorted, func(a, b alarms.Spec) int { return a.Period - b.Period })
	var now []alarms.Spec
	queries, points := 0, 0
	for _, s := range sorted {
		q, p := max(1, len(s.Math)), periods(s, over)
		if len(now) > 0 && (now[0].Period != s.Period || queries+q > queriesMost || points+p > pointsMost) {
			batches, now, queries, points = append(batches, now), nil, 0, 0
		}
		now, queries, points = append(now, s), queries+q, points+p
	}
	if len(now) > 0 {
		batches = append(batches, now)
	}
	return batches
}

// tryBatch reads the series of one call and tries each alarm.
func (d *Desk) tryBatch(ctx context.Context, batch []alarms.Spec, from, until time.Time) ([]alarms.Trial, error) {
	lead := 0
	for _, s := range batch {
		lead = max(lead, alarms.Range(s.N)*s.Period)
	}
	start := from.Add(-time.Duration(lead) * time.Second).Truncate(time.Duration(batch[0].Period) * time.Second)
	in := &cloudwatch.GetMetricDataInput{StartTime: &start, EndTime: &until, ScanBy: types.ScanByTimestampAscending, MaxDatapoints: aws.Int32(pointsMost)}
	for i, s := range batch {
		in.MetricDataQueries = append(in.MetricDataQueries, queriesOf(s, i)...)
	}
	lines := make([]timeline, len(batch))
	for i, s := range batch {
		lines[i] = newTimeline(start, until, s.Period)
	}
	if err := d.readSeries(ctx, in, lines); err != nil {
		return nil, err
	}
	trials := make([]alarms.Trial, len(batch))
	for i, s := range batch {
		trials[i] = try(s, lines[i], from, until)
	}
	return trials, nil
}

// queriesOf are the queries of alarm i of a call. Ids must be unique in a call, so
// those of a math alarm get a prefix, in its expressions too.
func queriesOf(s alarms.Spec, i int) []types.MetricDataQuery {
	id := fmt.Sprintf("q%d", i)
	if len(s.Math) == 0 {
		q := s.Query
		q.ID, q.Returns = id, true
		return []types.MetricDataQuery{mathQuery(q, s)}
	}
	names := make(map[string]string, len(s.Math))
	for _, q := range s.Math {
		names[q.ID] = id + "_" + q.ID
		if q.Returns {
			names[q.ID] = id
		}
	}
	var out []types.MetricDataQuery
	for _, q := range s.Math {
		q.ID = names[q.ID]
		q.Expression = renamed(q.Expression, names)
		out = append(out, mathQuery(q, s))
	}
	return out
}

// renamed writes an expression with other ids. An id begins with a lower-case
// letter, functions are written in capitals.
func renamed(expression string, names map[string]string) string {
	var out []byte
	for i := 0; i < len(expression); {
		n := 0
		for i+n < len(expression) && isWord(expression[i+n]) {
			n++
		}
		if n == 0 {
			out = append(out, expression[i])
			i++
			continue
		}
		word := expression[i : i+n]
		if to, ok := names[word]; ok {
			word = to
		}
		out = append(out, word...)
		i += n
	}
	return string(out)
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// timeline is the datapoints of one alarm, NaN where there is none.
type timeline struct {
	start   time.Time
	step    time.Duration
	points  []float64
	unknown string // why it is not whole
}

func newTimeline(start, until time.Time, period int) timeline {
	step := time.Duration(period) * time.Second
	s := timeline{start: start, step: step, points: make([]float64, max(0, int(until.Sub(start)/step)))}
	for i := range s.points {
		s.points[i] = math.NaN()
	}
	return s
}

// readSeries reads all pages of a call.
func (d *Desk) readSeries(ctx context.Context, in *cloudwatch.GetMetricDataInput, lines []timeline) error {
	for range trialPages {
		call, cancel := context.WithTimeout(ctx, trialCall)
		out, err := d.metrics.GetMetricData(call, in)
		cancel()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return d.o.Explain(err)
		}
		for _, r := range out.MetricDataResults {
			var i int
			if _, err := fmt.Sscanf(aws.ToString(r.Id), "q%d", &i); err != nil || i >= len(lines) {
				continue // nothing that we asked for
			}
			lines[i].add(r, out.NextToken != nil)
		}
		if out.NextToken == nil {
			return nil
		}
		in.NextToken = out.NextToken
	}
	for i := range lines {
		lines[i].unknown = fmt.Sprintf("the history has more than %d pages", trialPages)
	}
	return nil
}

func (s *timeline) add(r types.MetricDataResult, more bool) {
	switch {
	case r.StatusCode == types.StatusCodeComplete, r.StatusCode == "":
	case r.StatusCode == types.StatusCodePartialData && more:
	default:
		s.unknown = "CloudWatch says " + string(r.StatusCode)
		for _, m := range r.Messages {
			s.unknown += ": " + aws.ToString(m.Value)
		}
	}
	for k, at := range r.Timestamps {
		if i := int(at.Sub(s.start) / s.step); k < len(r.Values) && i >= 0 && i < len(s.points) && !at.Before(s.start) {
			s.points[i] = r.Values[k]
		}
	}
}

// try evaluates an alarm at the end of each period of the range.
func try(s alarms.Spec, line timeline, from, until time.Time) alarms.Trial {
	t := alarms.Trial{Name: s.Name, Rule: s.Rule, Resource: s.Resource, Threshold: s.Threshold}
	if line.unknown != "" {
		t.Unknown = line.unknown
		return t
	}
	first := 0
	for first < len(line.points) && line.start.Add(time.Duration(first+1)*line.step).Before(from) {
		first++
	}
	// What has no datapoint yet at the beginning may not have existed: missing data is
	// judged only from the first one on. A metric without any is judged whole.
	if begin := slices.IndexFunc(line.points, func(v float64) bool { return !math.IsNaN(v) }); begin > first {
		line.points = line.points[begin:]
		line.start = line.start.Add(time.Duration(begin) * line.step)
		first = 0
	}
	t.Periods = len(line.points) - first
	for _, v := range line.points[first:] {
		if !math.IsNaN(v) {
			t.Points++
		}
	}
	spells := ringing(s, s.Threshold, line, first, until)
	for _, x := range spells {
		length := x.Until.Sub(x.From).Seconds()
		t.Longest = max(t.Longest, length)
		t.Total += length
	}
	if t.Fired = len(spells); t.Fired > 0 {
		t.First, t.Last = spells[0].From, spells[t.Fired-1].From
		t.Ringing = spells[t.Fired-1].Until.Equal(until)
		t.Spells = spells[max(0, t.Fired-alarms.MaxSpells):]
		t.Factor = quieter(s, line, first, from, until, t.Fired)
	}
	return t
}

// ringing lists the times in ALARM.
func ringing(s alarms.Spec, threshold float64, line timeline, first int, until time.Time) (spells []alarms.Spell) {
	beyond, state := s.Comparison.Beyond(threshold), alarms.StateIsNoData
	for i := first; i < len(line.points); i++ {
		window := line.points[max(0, i+1-alarms.Range(s.N)) : i+1]
		next := alarms.Decide(window, s.M, s.N, beyond, s.Missing, state)
		at := line.start.Add(time.Duration(i+1) * line.step)
		switch {
		case next == alarms.StateIsAlarm && state != alarms.StateIsAlarm:
			spells = append(spells, alarms.Spell{From: at, Until: until})
		case next != alarms.StateIsAlarm && state == alarms.StateIsAlarm:
			spells[len(spells)-1].Until = at
		}
		state = next
	}
	return spells
}

// quieter is the smallest factor with which the alarm rings at most once a week; 0
// where it does already, and where no factor helps: a threshold of 0 stays 0.
func quieter(s alarms.Spec, line timeline, first int, from, until time.Time, fired int) float64 {
	most := max(1, int(until.Sub(from)/week))
	if fired <= most || s.Threshold == 0 {
		return 0
	}
	for _, f := range factors {
		threshold := s.Threshold * f
		if s.Comparison == alarms.Below || s.Comparison == alarms.AtMost {
			f = 1 / f
			threshold = s.Threshold * f
		}
		if len(ringing(s, threshold, line, first, until)) <= most {
			return math.Round(f*100) / 100
		}
	}
	return 0
}

// counter adds up what is done; several add to it.
type counter struct {
	total int
	say   func(done, total int)

	mu   sync.Mutex
	done int
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	if c.say != nil {
		c.say(c.done, c.total)
	}
}
