package sandbox

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// mathFunctions is THE list of the functions of metric math.
var mathFunctions map[string]func(*look, *mathNode) (mathValue, error)

func init() { // filled here because the functions themselves evaluate their arguments
	mathFunctions = map[string]func(*look, *mathNode) (mathValue, error){
		"ABS":             oneByOne(math.Abs),
		"CEIL":            oneByOne(math.Ceil),
		"FLOOR":           oneByOne(math.Floor),
		"LOG":             oneByOne(math.Log),
		"LOG10":           oneByOne(math.Log10),
		"SUM":             reduce(sumOf),
		"AVG":             reduce(func(v []float64) float64 { return sumOf(v) / float64(len(v)) }),
		"MIN":             reduce(func(v []float64) float64 { return fold(v, math.Min) }),
		"MAX":             reduce(func(v []float64) float64 { return fold(v, math.Max) }),
		"STDDEV":          reduce(deviation),
		"DIFF":            along(func(s timeSeries, last, i int) float64 { return s.v[i] - s.v[last] }),
		"DIFF_TIME":       along(func(s timeSeries, last, i int) float64 { return seconds(s, last, i) }),
		"RATE":            along(func(s timeSeries, last, i int) float64 { return (s.v[i] - s.v[last]) / seconds(s, last, i) }),
		"RUNNING_SUM":     runningSum,
		"FILL":            fillGaps,
		"IF":              choose,
		"METRICS":         allMetrics,
		"METRIC_COUNT":    metricCount,
		"DATAPOINT_COUNT": datapointCount,
		"PERIOD":          periodOf,
		"TIME_SERIES":     constantSeries,
		"FIRST":           pick(func(n int) int { return 0 }),
		"LAST":            pick(func(n int) int { return n - 1 }),
		"REMOVE_EMPTY":    removeEmpty,
	}
}

func wants(n *mathNode, from, to int) error {
	if len(n.kids) < from || len(n.kids) > to {
		return fmt.Errorf("%s was called with %d arguments", n.text, len(n.kids))
	}
	return nil
}

// oneArgument evaluates the only argument of a function.
func (l *look) oneArgument(n *mathNode) (mathValue, error) {
	if err := wants(n, 1, 1); err != nil {
		return mathValue{}, err
	}
	return l.eval(n.kids[0])
}

// seriesArgument is an argument that must be a time series or an array.
func (l *look) seriesArgument(n *mathNode) (mathValue, error) {
	v, err := l.oneArgument(n)
	if err == nil && v.list == nil {
		err = fmt.Errorf("%s needs a time series", n.text)
	}
	return v, err
}

func oneByOne(f func(float64) float64) func(*look, *mathNode) (mathValue, error) {
	return func(l *look, n *mathNode) (mathValue, error) {
		v, err := l.oneArgument(n)
		if err != nil {
			return v, err
		}
		return v.each(f), nil
	}
}

// reduce makes a scalar of a time series, and a time series of an array: for
// each period over the series that have data there.
func reduce(f func([]float64) float64) func(*look, *mathNode) (mathValue, error) {
	return func(l *look, n *mathNode) (mathValue, error) {
		v, err := l.oneArgument(n)
		if err != nil || v.list == nil {
			return v, err
		}
		if !v.array {
			return scalar(onPresent(v.list[0].v, f)), nil
		}
		if len(v.list) == 0 {
			return v, fmt.Errorf("%s needs at least one time series", n.text)
		}
		out := timeSeries{w: v.list[0].w, v: make([]float64, len(v.list[0].v))}
		column := make([]float64, len(v.list))
		for i := range out.v {
			for k, s := range v.list {
				column[k] = s.v[i]
			}
			out.v[i] = onPresent(column, f)
		}
		return mathValue{list: []timeSeries{out}}, nil
	}
}

// onPresent applies f to the values that are there.
func onPresent(v []float64, f func([]float64) float64) float64 {
	present := make([]float64, 0, len(v))
	for _, x := range v {
		if !math.IsNaN(x) {
			present = append(present, x)
		}
	}
	if len(present) == 0 {
		return math.NaN()
	}
	return finite(f(present))
}

func sumOf(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s
}

func fold(v []float64, f func(a, b float64) float64) float64 {
	out := v[0]
	for _, x := range v[1:] {
		out = f(out, x)
	}
	return out
}

func deviation(v []float64) float64 {
	mean, s := sumOf(v)/float64(len(v)), 0.0
	for _, x := range v {
		s += (x - mean) * (x - mean)
	}
	return math.Sqrt(s / float64(len(v)))
}

// along computes each value from itself and the one that is there before it; the
// first value has none and is no data.
func along(f func(s timeSeries, last, i int) float64) func(*look, *mathNode) (mathValue, error) {
	return func(l *look, n *mathNode) (mathValue, error) {
		v, err := l.seriesArgument(n)
		if err != nil {
			return v, err
		}
		return v.whole(func(s timeSeries) []float64 {
			out, last := make([]float64, len(s.v)), -1
			for i, x := range s.v {
				out[i] = math.NaN()
				if math.IsNaN(x) {
					continue
				}
				if last >= 0 {
					out[i] = finite(f(s, last, i))
				}
				last = i
			}
			return out
		}), nil
	}
}

func seconds(s timeSeries, from, to int) float64 { return float64(int64(to-from) * s.w.step * 60) }

// whole maps each series as a whole.
func (v mathValue) whole(f func(timeSeries) []float64) mathValue {
	out := mathValue{array: v.array, list: make([]timeSeries, len(v.list))}
	for i, s := range v.list {
		out.list[i] = timeSeries{label: s.label, w: s.w, v: f(s)}
	}
	return out
}

func runningSum(l *look, n *mathNode) (mathValue, error) {
	v, err := l.seriesArgument(n)
	if err != nil {
		return v, err
	}
	return v.whole(func(s timeSeries) []float64 {
		out, total := make([]float64, len(s.v)), 0.0
		for i, x := range s.v {
			out[i] = math.NaN()
			if !math.IsNaN(x) {
				total += x
				out[i] = total
			}
		}
		return out
	}), nil
}

// fillGaps is FILL(series, value | REPEAT | LINEAR). A metric without any
// datapoint in the range is filled as well with a value, and stays empty with
// REPEAT and LINEAR, which have nothing to start from. (The former is how people
// use FILL(m1, 0) on sparse error counts; AWS's text does not say it.)
func fillGaps(l *look, n *mathNode) (mathValue, error) {
	if err := wants(n, 2, 2); err != nil {
		return mathValue{}, err
	}
	v, err := l.eval(n.kids[0])
	if err != nil {
		return v, err
	}
	if v.list == nil {
		return v, errors.New("FILL needs a time series")
	}
	if n.kids[1].kind == mathWord {
		return v.whole(func(s timeSeries) []float64 { return bridged(s.v, n.kids[1].text == "LINEAR") }), nil
	}
	with, err := l.eval(n.kids[1])
	if err != nil {
		return v, err
	}
	if with.array || with.list != nil && with.list[0].w != v.list[0].w {
		return v, errors.New("FILL needs a number, a time series, REPEAT or LINEAR")
	}
	return v.whole(func(s timeSeries) []float64 {
		out := append([]float64(nil), s.v...)
		for i, x := range out {
			switch {
			case !math.IsNaN(x):
			case with.list == nil:
				out[i] = with.n
			default:
				out[i] = with.list[0].v[i]
			}
		}
		return out
	}), nil
}

// bridged fills gaps from the value before, or on the line between both ends.
func bridged(v []float64, linear bool) []float64 {
	out, last := append([]float64(nil), v...), -1
	for i := range out {
		if math.IsNaN(v[i]) {
			if last >= 0 && !linear {
				out[i] = v[last]
			}
			continue
		}
		if last >= 0 && linear {
			for k := last + 1; k < i; k++ {
				out[k] = v[last] + (v[i]-v[last])*float64(k-last)/float64(i-last)
			}
		}
		last = i
	}
	return out
}

// choose is IF(condition, then, else). Without an else, periods in which the
// condition is false have no data; so has every period without a condition.
func choose(l *look, n *mathNode) (mathValue, error) {
	if err := wants(n, 2, 3); err != nil {
		return mathValue{}, err
	}
	kids, err := l.evalAll(n.kids)
	if err != nil {
		return mathValue{}, err
	}
	for _, k := range kids {
		if k.array {
			return k, errors.New("IF needs numbers or time series")
		}
	}
	cond := kids[0]
	otherwise := scalar(math.NaN())
	if len(kids) == 3 {
		otherwise = kids[2]
	}
	if cond.list == nil {
		if cond.n != 0 {
			return kids[1], nil
		}
		return otherwise, nil
	}
	out := timeSeries{w: cond.list[0].w, v: make([]float64, len(cond.list[0].v))}
	for _, branch := range []mathValue{kids[1], otherwise} {
		if branch.list != nil && branch.list[0].w != out.w {
			return branch, mathUnsupported("metrics of different periods in one expression")
		}
	}
	for i, x := range cond.list[0].v {
		switch {
		case math.IsNaN(x):
			out.v[i] = x
		case x != 0:
			out.v[i] = kids[1].valueAt(i)
		default:
			out.v[i] = otherwise.valueAt(i)
		}
	}
	return mathValue{list: []timeSeries{out}}, nil
}

func (v mathValue) valueAt(i int) float64 {
	if v.list == nil {
		return v.n
	}
	return v.list[0].v[i]
}

// allMetrics is METRICS(): every metric of the request, or those whose id
// contains the text.
func allMetrics(l *look, n *mathNode) (mathValue, error) {
	if err := wants(n, 0, 1); err != nil {
		return mathValue{}, err
	}
	part := ""
	if len(n.kids) == 1 {
		if n.kids[0].kind != mathString {
			return mathValue{}, errors.New("METRICS needs a string")
		}
		part = n.kids[0].text
	}
	out := mathValue{array: true, list: []timeSeries{}}
	for _, q := range l.plan.list {
		if q.expr == nil && strings.Contains(q.id, part) {
			v, err := l.value(q)
			if err != nil {
				return v, err
			}
			out.list = append(out.list, v.list...)
		}
	}
	return out, sameStep(out.list)
}

func metricCount(l *look, n *mathNode) (mathValue, error) {
	v, err := l.seriesArgument(n)
	return scalar(float64(len(v.list))), err
}

func datapointCount(l *look, n *mathNode) (mathValue, error) {
	v, err := l.seriesArgument(n)
	if err != nil {
		return v, err
	}
	if v.array {
		return v, mathUnsupported("DATAPOINT_COUNT of an array")
	}
	count := 0.0
	for _, x := range v.list[0].v {
		if !math.IsNaN(x) {
			count++
		}
	}
	return scalar(count), nil
}

func periodOf(l *look, n *mathNode) (mathValue, error) {
	v, err := l.seriesArgument(n)
	if err != nil {
		return v, err
	}
	if len(v.list) == 0 {
		return v, errors.New("PERIOD needs a time series")
	}
	return scalar(float64(v.list[0].w.step * 60)), nil
}

func constantSeries(l *look, n *mathNode) (mathValue, error) {
	v, err := l.oneArgument(n)
	if err != nil || v.list != nil {
		return v, err
	}
	s, err := l.constant(v.n)
	return mathValue{list: []timeSeries{s}}, err
}

func pick(which func(n int) int) func(*look, *mathNode) (mathValue, error) {
	return func(l *look, n *mathNode) (mathValue, error) {
		v, err := l.seriesArgument(n)
		if err != nil {
			return v, err
		}
		if !v.array || len(v.list) == 0 {
			return v, fmt.Errorf("%s needs an array of time series", n.text)
		}
		return mathValue{list: []timeSeries{v.list[which(len(v.list))]}}, nil
	}
}

func removeEmpty(l *look, n *mathNode) (mathValue, error) {
	v, err := l.seriesArgument(n)
	if err != nil {
		return v, err
	}
	out := mathValue{array: true, list: []timeSeries{}}
	for _, s := range v.list {
		if !math.IsNaN(onPresent(s.v, sumOf)) {
			out.list = append(out.list, s)
		}
	}
	return out, nil
}
