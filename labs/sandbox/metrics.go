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
}

// metricHistory is how far back datapoints are kept. (CloudWatch keeps one-minute
// points for 15 days; a day is enough for what runs here and bounds the memory.)
const metricHistory = 24 * time.Hour

// dims are the dimensions of a metric: name, value, name, value …
type dims []string

type metricSeries struct {
	namespace, name, unit string
	dims                  dims      // sorted by dimension name
	first                 time.Time // minute of points[0]
	points                []datapoint
	touched               time.Time // the last time anything was added
}

// datapoint is the statistic set of one minute; count 0 means no data.
type datapoint struct {
	sum, min, max float64
	count         float64
}

func newMetricStore() *metricStore { return &metricStore{byKey: map[string]*metricSeries{}} }

// series finds or makes a series. Keep the pointer: adding to it costs nothing.
func (m *metricStore) series(namespace, name, unit string, d ...string) *metricSeries {
	d = sortedDims(d)
	key := seriesKey(namespace, name, d)
	s, ok := m.byKey[key]
	if !ok {
		s = &metricSeries{namespace: namespace, name: name, unit: unit, dims: d}
		m.byKey[key] = s
	}
	return s
}

// find returns a series, nil if nothing was ever published for it.
func (m *metricStore) find(namespace, name string, d ...string) *metricSeries {
	s := m.byKey[seriesKey(namespace, name, sortedDims(d))]
	if s == nil || len(s.points) == 0 {
		return nil
	}
	return s
}

func seriesKey(namespace, name string, d dims) string {
	return namespace + "\x00" + name + "\x00" + strings.Join(d, "\x00")
}

func sortedDims(d []string) dims {
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

// add counts one sample with value v at time t.
func (s *metricSeries) add(t time.Time, v float64) { s.merge(t, datapoint{v, v, v, 1}) }

// merge adds a whole statistic set to the minute of t.
func (s *metricSeries) merge(t time.Time, p datapoint) {
	if p.count == 0 {
		return
	}
	minute := t.Truncate(time.Minute)
	if len(s.points) == 0 {
		s.first = minute
	}
	i := int(minute.Sub(s.first) / time.Minute)
	if i < 0 {
		if -i > int(metricHistory/time.Minute) {
			return // older than we keep
		}
		s.points = append(make([]datapoint, -i), s.points...)
		s.first, i = minute, 0
	}
	if i-len(s.points) > int(metricHistory/time.Minute) { // a long sleep: start anew
		s.points, s.first, i = s.points[:0], minute, 0
	}
	for len(s.points) <= i {
		s.points = append(s.points, datapoint{})
	}
	q := &s.points[i]
	if q.count == 0 {
		*q = p
	} else {
		q.sum += p.sum
		q.min = math.Min(q.min, p.min)
		q.max = math.Max(q.max, p.max)
		q.count += p.count
	}
	if t.After(s.touched) {
		s.touched = t
	}
	if extra := len(s.points) - int(metricHistory/time.Minute); extra > 60 { // trim an hour at a time
		s.points = append([]datapoint(nil), s.points[extra:]...)
		s.first = s.first.Add(time.Duration(extra) * time.Minute)
	}
}

// between aggregates the minutes in [from, to).
func (s *metricSeries) between(from, to time.Time) datapoint {
	var out datapoint
	for t := from.Truncate(time.Minute); t.Before(to); t = t.Add(time.Minute) {
		i := int(t.Sub(s.first) / time.Minute)
		if t.Before(s.first) || i >= len(s.points) || s.points[i].count == 0 {
			continue
		}
		p := s.points[i]
		if out.count == 0 {
			out = p
			continue
		}
		out.sum += p.sum
		out.min = math.Min(out.min, p.min)
		out.max = math.Max(out.max, p.max)
		out.count += p.count
	}
	return out
}
