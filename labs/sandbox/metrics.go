package sandbox

import (
	"math"
	"sort"
	"strings"
	"time"
)

// metricStore keeps the datapoints of one region: one bucket a minute, bounded to
// metricHistory. Services write to it, CloudWatch reads from it.
type metricStore struct {
	byKey map[string]*metricSeries
	all   []*metricSeries // in the order in which they were made
	keep  int64           // minutes that series keep, historyMinutes at most
	room  int64           // minutes that a new series makes room for at once
}

// metricHistory is how far back datapoints are kept. (CloudWatch keeps one-minute
// points for 15 days; a day is enough for what runs here and bounds the memory.)
const metricHistory = 24 * time.Hour

const historyMinutes = int64(metricHistory / time.Minute)

// dims are the dimensions of a metric: name, value, name, value …
type dims []string

type metricSeries struct {
	namespace, name, unit string
	dims                  dims // sorted by dimension name
	hash                  uint32
	first                 int64 // minute of points[0], see minuteOf
	points                []datapoint
	keep, room            int64     // minutes
	born                  time.Time // of the first datapoint
	touched               time.Time // of the last datapoint
	// samples are the single values of a minute, for percentiles; nil where nobody
	// asked for them with exact.
	samples map[int64][]float64
}

// datapoint is the statistic set of one minute; count 0 means no data.
type datapoint struct {
	sum, min, max float64
	count         float64
}

// samplesPerMinute bounds the single values kept for percentiles.
const samplesPerMinute = 1000

func newMetricStore() *metricStore {
	return &metricStore{byKey: map[string]*metricSeries{}, keep: historyMinutes}
}

// Publish adds one sample of now to a metric, as a service does that the sandbox does
// not have. d are the dimensions: name, value, name, value …
func (r *Region) Publish(namespace, metric, unit string, v float64, d ...string) {
	r.do(func() { r.metrics.series(namespace, metric, unit, d...).add(r.now(), v) })
}

// series finds or makes a series. Keep the pointer: adding to it costs nothing.
func (m *metricStore) series(namespace, name, unit string, d ...string) *metricSeries {
	d = sortedDims(d)
	key := seriesKey(namespace, name, d)
	s, ok := m.byKey[key]
	if !ok {
		s = &metricSeries{namespace: namespace, name: name, unit: unit, dims: d, hash: hash32(key), keep: m.keep, room: m.room}
		m.byKey[key] = s
		m.all = append(m.all, s)
	}
	return s
}

// find returns a series, nil if nothing was ever published for it.
func (m *metricStore) find(namespace, name string, d ...string) *metricSeries {
	return m.published(seriesKey(namespace, name, sortedDims(d)))
}

func (m *metricStore) published(key string) *metricSeries {
	s := m.byKey[key]
	if s == nil || len(s.points) == 0 {
		return nil
	}
	return s
}

func seriesKey(namespace, name string, d dims) string {
	return namespace + "\x00" + name + "\x00" + strings.Join(d, "\x00")
}

func sortedDims(d []string) dims {
	if len(d) == 2 {
		return dims{d[0], d[1]}
	}
	pairs := make([][2]string, 0, len(d)/2)
	for i := 0; i+1 < len(d); i += 2 {
		pairs = append(pairs, [2]string{d[i], d[i+1]})
	}
	sort.Slice(pairs, func(i, j int) bool { return pairs[i][0] < pairs[j][0] })
	out := make(dims, 0, len(d))
	for _, p := range pairs {
		out = append(out, p[0], p[1])
	}
	return out
}

// minuteOf counts minutes since 1970.
func minuteOf(t time.Time) int64 {
	s := t.Unix()
	if s < 0 {
		s -= 59
	}
	return s / 60
}

func timeOfMinute(m int64) time.Time { return time.Unix(m*60, 0).UTC() }

// exact keeps the single values of each minute from now on, so that percentiles
// can be asked for. Without it a series has percentiles only for minutes in which
// all values are alike, as AWS has for statistic sets.
func (s *metricSeries) exact() *metricSeries {
	if s.samples == nil {
		s.samples = map[int64][]float64{}
	}
	return s
}

// add counts one sample with value v at time t.
func (s *metricSeries) add(t time.Time, v float64) {
	s.merge(t, datapoint{v, v, v, 1})
	if s.samples != nil {
		m := minuteOf(t)
		if l := s.samples[m]; m >= s.first && len(l) < samplesPerMinute {
			s.samples[m] = append(l, v)
		}
	}
}

// merge adds a whole statistic set to the minute of t.
func (s *metricSeries) merge(t time.Time, p datapoint) {
	if p.count == 0 {
		return
	}
	minute := minuteOf(t)
	if len(s.points) == 0 {
		s.first = minute
	}
	if s.born.IsZero() || t.Before(s.born) {
		s.born = t
	}
	if t.After(s.touched) {
		s.touched = t
	}
	i := minute - s.first
	if i < 0 {
		if -i > s.kept() {
			return // older than we keep
		}
		s.points = append(make([]datapoint, -i), s.points...)
		s.first, i = minute, 0
	}
	if i-int64(len(s.points)) > s.kept() { // a long sleep: start anew
		s.points, s.first, i = s.points[:0], minute, 0
		clear(s.samples)
	}
	if i >= int64(cap(s.points)) { // doubling would waste half of what thousands of series need
		s.points = append(make([]datapoint, 0, max(i+60, s.room)), s.points...)
	}
	for int64(len(s.points)) <= i {
		s.points = append(s.points, datapoint{})
	}
	s.points[i].take(p)
	if extra := int64(len(s.points)) - s.kept(); extra > 60 { // trim an hour at a time
		for m := s.first; m < s.first+extra; m++ {
			delete(s.samples, m)
		}
		s.points = s.points[:copy(s.points, s.points[extra:])]
		s.first += extra
	}
}

// kept is how many minutes the series keeps; one that no store made keeps all.
func (s *metricSeries) kept() int64 {
	if s.keep == 0 {
		return historyMinutes
	}
	return s.keep
}

// take adds p to q.
func (q *datapoint) take(p datapoint) {
	if p.count == 0 {
		return
	}
	if q.count == 0 {
		*q = p
		return
	}
	q.sum += p.sum
	q.min = math.Min(q.min, p.min)
	q.max = math.Max(q.max, p.max)
	q.count += p.count
}

// between aggregates the minutes in [from, to), as they will be once settled.
func (s *metricSeries) between(from, to time.Time) datapoint {
	end := minuteOf(to)
	if to.After(timeOfMinute(end)) {
		end++
	}
	return s.seen(minuteOf(from), end, math.MaxInt64)
}

// seen aggregates the minutes in [from, to) as CloudWatch shows them in minute
// now: the current minute is not there yet, and the two before it are provisional.
func (s *metricSeries) seen(from, to, now int64) datapoint {
	if i := from - s.first; to == from+1 && to < now-provisionalMinutes && i >= 0 && i < int64(len(s.points)) {
		return s.points[i] // the usual case: one settled minute
	}
	var out datapoint
	from, to = max(from, s.first), min(to, s.first+int64(len(s.points)), now)
	for m := from; m < to; m++ {
		p := s.points[m-s.first]
		if m >= now-provisionalMinutes {
			p = s.provisional(p, m, now)
		}
		out.take(p)
	}
	return out
}

// provisionalMinutes is how long late samples still move a minute's values: users
// of exporters see values change for about two minutes after the minute
// (github.com/prometheus-community/yet-another-cloudwatch-exporter issue 1549).
const provisionalMinutes = 2

// provisional is what has arrived of a minute's samples so far: nearly all, and
// the same share whenever one looks. A minute with fewer than ten samples is
// whole at once, so that a gauge never looks halved.
func (s *metricSeries) provisional(p datapoint, minute, now int64) datapoint {
	if p.count < 10 {
		return p
	}
	late := float64((s.hash^uint32(minute)*2654435761)>>16&0xff) / 255 // 0 … 1, fixed per series and minute
	share := 1 - 0.1*late
	if now-minute == provisionalMinutes {
		share = 1 - 0.02*late
	}
	n := math.Ceil(p.count * share)
	sum := p.sum * n / p.count
	if p.sum == math.Trunc(p.sum) {
		sum = math.Trunc(sum)
	}
	return datapoint{sum: sum, min: p.min, max: p.max, count: n}
}
