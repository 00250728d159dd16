package survey

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"golang.org/x/sync/errgroup"

	"kxops/ops"
)

const (
	// perCall is how many queries GetMetricData takes (API reference).
	perCall = 500
	// callsAtOnce keeps a look below the quota of 180,000 datapoints a second:
	// 500 metrics of an hour are 30,000.
	callsAtOnce = 4
	// provisional is how much of the present is left out: the newest minute is not
	// complete yet.
	provisional = time.Minute
)

// readMetrics asks for the numbers that are due. At a cold start it asks in
// waves, as the descriptions come in that say what to ask for: the first rows
// have their numbers while slow descriptions still go on.
func (s *Survey) readMetrics(ctx context.Context, describing <-chan struct{}) {
	wait, last := waveEvery, false
	for {
		settled := closed(describing) && s.activitySettled()
		switch {
		case s.refused():
			// Nothing more is asked in this look, but what comes in still learns why its
			// numbers are missing.
			s.markUnread()
		case !s.askDue(ctx) && !s.refused():
			return
		}
		if settled && last {
			return
		}
		last = settled // once more after everything has settled
		if settled {
			continue
		}
		end := describing
		if closed(describing) {
			end = nil // only the lists of active metrics are still to come
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-end:
			timer.Stop()
		case <-timer.C:
		}
		wait = min(wait*3/2, time.Second)
	}
}

// refused reports whether the numbers may not be read, or not here: asking again
// in the same look would get the same answer.
func (s *Survey) refused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.picture.MetricsProblem
	return p != nil && (p.Fault == ops.FaultDenied || p.Fault == ops.FaultUnsupported) && s.picture.refusedIn == s.picture.Look
}

func (s *Survey) markUnread() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread(s.plan(s.options.Now()), s.picture.MetricsProblem)
	s.touch()
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (s *Survey) activitySettled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.picture.activity.settled()
}

// askDue asks for everything that is due now, 500 at a time. It returns false
// when asking on makes no sense in this look.
func (s *Survey) askDue(ctx context.Context) bool {
	s.mu.Lock()
	now := s.options.Now()
	due := s.plan(now)
	s.mu.Unlock()
	if len(due) == 0 {
		return ctx.Err() == nil
	}
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(callsAtOnce)
	for chunk := range slices.Chunk(due, perCall) {
		calls.Go(func() error {
			answers, err := s.askFor(ctx, chunk, now)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.learn(answers, now)
			return err
		})
	}
	err := calls.Wait()
	var p *ops.Problem
	if err != nil {
		if p = s.explain(ctx, err); p == nil {
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture.MetricsProblem = p
	if p != nil {
		s.picture.refusedIn = s.picture.Look
		s.unread(due, p)
	} else {
		s.picture.MetricsAt = s.options.Now()
	}
	s.touch()
	return p == nil
}

// plan returns what to ask for now, the most urgent first, and sets the pace.
// Metrics without data in the last three hours are not asked for: they are known
// to be silent. Call it under the lock.
func (s *Survey) plan(now time.Time) []query {
	sn := s.picture.Snapshot()
	var active []want
	var due []want
	slower, at := s.slower(), tick(now)
	for _, w := range wanted(sn, s.focus(), now) {
		known, alive := s.picture.activity.of(w.namespace, w.name, w.dims)
		if w.sure || w.every == hotEvery {
			known, alive = true, true
		}
		if !known {
			continue
		}
		if alive {
			active = append(active, w)
		}
		key := measureOf{w.of, w.metric}
		asked, before := s.picture.asked[key]
		switch {
		case before && !w.due(asked, at, slower):
		case alive:
			due = append(due, w)
		default:
			s.picture.asked[key] = at
			if _, live := s.picture.Measures[w.of].Last(w.metric).Value(); !live || w.metric != ops.Visible {
				s.picture.set(w.of, ops.Measure{Metric: w.metric, Last: ops.Missing(ops.NoData)})
			}
		}
	}
	s.picture.load = loadOf(active, sn, s.liveQueues(now), s.picture.activity.pages)
	s.picture.pace = paced(s.picture.load, s.options, s.ask.Blurred)
	slices.SortStableFunc(due, func(a, b want) int { return cmp.Compare(a.every, b.every) })
	queries := make([]query, 0, len(due))
	for _, w := range due {
		queries = append(queries, w.query)
	}
	return queries
}

// liveQueues counts the queues that each look reads live.
func (s *Survey) liveQueues(now time.Time) int {
	deadLetters, focus, busy := s.picture.deadLetterQueues(), s.focus(), 0
	n := 0
	for _, e := range s.picture.Queues.Entries {
		switch {
		case deadLetters[e.Item.ARN], focus[e.Item.ARN]:
			n++
		case s.picture.busy(&e.Item, now):
			busy++
		}
	}
	return n + min(busy, liveQueues)
}

// answer is what GetMetricData said about one query.
type answer struct {
	query
	hour ops.Series
	why  ops.Unknown // "" when it was answered whole
}

// askFor asks for up to 500 metrics: the hour that ends a minute ago, by the
// minute. Answers that came before an error are returned with it.
func (s *Survey) askFor(ctx context.Context, queries []query, now time.Time) ([]answer, error) {
	end := now.Add(-provisional).Truncate(time.Minute)
	in := &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(end.Add(-hourPoints * time.Minute)),
		EndTime:   aws.Time(end),
		ScanBy:    types.ScanByTimestampAscending,
	}
	answers := make([]answer, len(queries))
	for i, q := range queries {
		in.MetricDataQueries = append(in.MetricDataQueries, q.input(i))
		answers[i] = answer{query: q, hour: emptyHour(end), why: ops.NotRead}
	}
	pages := cloudwatch.NewGetMetricDataPaginator(s.metrics, in)
	for n := 0; pages.HasMorePages() && n < maxPages; n++ {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return answers, fmt.Errorf("get metric data: %w", err)
		}
		for _, r := range out.MetricDataResults {
			if i, err := strconv.Atoi(aws.ToString(r.Id)[1:]); err == nil && i < len(answers) {
				answers[i].take(r)
			}
		}
	}
	return answers, nil
}

func (q query) input(i int) types.MetricDataQuery {
	m := types.Metric{Namespace: &q.namespace, MetricName: &q.name}
	for d := range slices.Chunk(q.dims, 2) {
		m.Dimensions = append(m.Dimensions, types.Dimension{Name: &d[0], Value: &d[1]})
	}
	return types.MetricDataQuery{
		Id:         aws.String("q" + strconv.Itoa(i)),
		MetricStat: &types.MetricStat{Metric: &m, Period: aws.Int32(60), Stat: &q.stat},
	}
}

// take adds one result; a metric with many points comes in several.
func (a *answer) take(r types.MetricDataResult) {
	for i, t := range r.Timestamps {
		if i >= len(r.Values) {
			break
		}
		if j := int(t.Sub(a.hour.Start) / time.Minute); j >= 0 && j < len(a.hour.Points) {
			a.hour.Points[j] = r.Values[i] * a.scale
		}
	}
	switch r.StatusCode {
	case types.StatusCodeComplete, "":
		a.why = ""
	case types.StatusCodeForbidden:
		a.why = ops.Denied
	case types.StatusCodePartialData: // more pages follow; the last one says Complete
	case types.StatusCodeInternalError:
		a.why = ops.NotRead
	}
}

// learn takes over the answers. What was not answered keeps its last value, and
// is asked for again in the next look. Call it under the lock.
func (s *Survey) learn(answers []answer, now time.Time) {
	for _, a := range answers {
		if a.why == ops.NotRead && !slices.ContainsFunc(a.hour.Points, func(v float64) bool { return !math.IsNaN(v) }) {
			continue
		}
		if a.why != ops.NotRead {
			s.picture.asked[measureOf{a.of, a.metric}] = tick(now)
		}
		m := ops.Measure{Metric: a.metric, Last: a.hour.Last(), Hour: a.hour}
		if a.why == ops.Denied {
			m = ops.Measure{Metric: a.metric, Last: ops.Missing(ops.Denied)}
		}
		if a.metric == ops.Visible {
			known := s.picture.Measures[a.of].Get(ops.Visible)
			m.Hour = mergeLive(a.hour, known.Hour)
			if live := known.Last; live.Why() == "" && !live.At.Before(m.Last.At) {
				m.Last = live
			}
		}
		s.picture.set(a.of, m)
	}
}

// unread marks what could not be asked for, where nothing older is known.
func (s *Survey) unread(queries []query, p *ops.Problem) {
	why := ops.NotRead
	switch p.Fault {
	case ops.FaultDenied:
		why = ops.Denied
	case ops.FaultUnsupported:
		why = ops.Unsupported
	default:
		return
	}
	for _, q := range queries {
		if _, known := s.picture.Measures[q.of].Last(q.metric).Value(); !known {
			s.picture.set(q.of, ops.Measure{Metric: q.metric, Last: ops.Missing(why)})
		}
	}
}
