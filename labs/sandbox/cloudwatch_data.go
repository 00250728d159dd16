package sandbox

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// The bounds of GetMetricData (API reference and CloudWatch service quotas).
const (
	maxMetricQueries  = 500
	maxMetricsPerPage = 100_800 // datapoints
)

// window is a row of periods on the time axis, in minutes since 1970.
type window struct {
	start, step int64
	n           int
}

// windowOf starts at the minute of start, as CloudWatch rounds it for data of the
// last 15 days; the end is exclusive.
func windowOf(start, end time.Time, period int32) window {
	w := window{start: minuteOf(start), step: int64(period) / 60}
	last := minuteOf(end)
	if end.After(timeOfMinute(last)) {
		last++
	}
	w.n = int((last - w.start + w.step - 1) / w.step)
	return w
}

func (w window) at(i int) int64 { return w.start + int64(i)*w.step }

// checkPeriod takes the periods of one-minute metrics.
func checkPeriod(seconds int32) error {
	switch seconds {
	case 1, 5, 10, 20, 30:
		return unsupported("Period")
	}
	if seconds < 60 || seconds%60 != 0 {
		return badValue("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
	}
	return nil
}

// statistic is what is made of the samples of a period.
type statistic struct {
	name       string
	percentile float64 // for "p"
}

func statisticNamed(name string) (statistic, error) {
	switch name {
	case "SampleCount", "Average", "Sum", "Minimum", "Maximum":
		return statistic{name: name}, nil
	}
	if p, ok := strings.CutPrefix(name, "p"); ok {
		if v, err := strconv.ParseFloat(p, 64); err == nil && v >= 0 && v <= 100 {
			return statistic{"p", v}, nil
		}
	}
	if knownStatistic.MatchString(name) {
		return statistic{}, fail("NotImplemented", "the sandbox does not support the statistic %s", name)
	}
	return statistic{}, badValue("The value %s for parameter Stat is not supported.", name)
}

// knownStatistic are the extended statistics that CloudWatch has and the sandbox
// has not.
var knownStatistic = regexp.MustCompile(`^(IQM|(TM|WM|TC|TS|PR|tm|wm|tc|ts)[0-9(].*)$`)

// of returns the statistic of the period [from, to), whose datapoint is p.
func (st statistic) of(s *metricSeries, p datapoint, from, to, now int64) float64 {
	if p.count == 0 {
		return math.NaN()
	}
	switch st.name {
	case "SampleCount":
		return p.count
	case "Average":
		return p.sum / p.count
	case "Sum":
		return p.sum
	case "Minimum":
		return p.min
	case "Maximum":
		return p.max
	}
	if p.min == p.max {
		return p.min
	}
	return s.percentile(st.percentile, p.count, from, min(to, now))
}

// percentile is NaN when the single values are not known: CloudWatch has no
// percentiles of statistic sets (user guide, Percentiles).
func (s *metricSeries) percentile(p, count float64, from, to int64) float64 {
	var all []float64
	for m := from; m < to; m++ {
		all = append(all, s.samples[m]...)
	}
	if len(all) == 0 || float64(len(all)) < math.Min(count, samplesPerMinute) {
		return math.NaN()
	}
	sort.Float64s(all)
	rank := p / 100 * float64(len(all)-1)
	low := int(rank)
	if low+1 >= len(all) {
		return all[len(all)-1]
	}
	return all[low] + (rank-float64(low))*(all[low+1]-all[low])
}

// values returns the statistic for each period of the window, NaN for no data.
func (st statistic) values(s *metricSeries, w window, now int64) []float64 {
	out := make([]float64, w.n)
	for i := range out {
		if s == nil {
			out[i] = math.NaN()
			continue
		}
		from := w.at(i)
		out[i] = st.of(s, s.seen(from, from+w.step, now), from, from+w.step, now)
	}
	return out
}

// setStatistic puts a statistic into a datapoint of GetMetricStatistics.
func setStatistic(d *types.Datapoint, name string, v float64) {
	switch name {
	case "SampleCount":
		d.SampleCount = &v
	case "Average":
		d.Average = &v
	case "Sum":
		d.Sum = &v
	case "Minimum":
		d.Minimum = &v
	case "Maximum":
		d.Maximum = &v
	default:
		if d.ExtendedStatistics == nil {
			d.ExtendedStatistics = map[string]float64{}
		}
		d.ExtendedStatistics[name] = v
	}
}

// timeSeries is one line of an answer: values on a window, NaN for no data.
type timeSeries struct {
	label string
	w     window
	v     []float64
}

var queryID = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)

// metricData answers GetMetricData.
func (c *cloudWatch) metricData(_ context.Context, in *cloudwatch.GetMetricDataInput) (*cloudwatch.GetMetricDataOutput, error) {
	if err := checkMetricDataInput(in); err != nil {
		return nil, err
	}
	plan, err := c.planQueries(in.MetricDataQueries, "MetricDataQueries")
	if err != nil {
		return nil, err
	}
	limit := maxMetricsPerPage
	if in.MaxDatapoints != nil {
		limit = int(*in.MaxDatapoints)
	}
	asked := fmt.Sprint(in.StartTime.Unix(), in.EndTime.Unix(), in.ScanBy, len(in.MetricDataQueries))
	at, err := readMetricsToken(in.NextToken, asked, 2)
	if err != nil {
		return nil, err
	}
	look := &look{c: c, plan: plan, start: *in.StartTime, end: *in.EndTime, now: minuteOf(c.r.now()), done: map[string]lookResult{}}
	lines, err := look.all()
	if err != nil {
		return nil, err
	}
	return pageOfLines(lines, at[0], at[1], limit, in.ScanBy == types.ScanByTimestampAscending, asked), nil
}

func checkMetricDataInput(in *cloudwatch.GetMetricDataInput) error {
	switch {
	case len(in.MetricDataQueries) == 0:
		return missingParameter("MetricDataQueries")
	case len(in.MetricDataQueries) > maxMetricQueries:
		return invalidRequest("The collection MetricDataQueries must not have a size greater than %d.", maxMetricQueries)
	case in.StartTime == nil:
		return missingParameter("StartTime")
	case in.EndTime == nil:
		return missingParameter("EndTime")
	case !in.StartTime.Before(*in.EndTime):
		return invalidRequest("The parameter StartTime must be less than the parameter EndTime.")
	case in.MaxDatapoints != nil && (*in.MaxDatapoints < 1 || *in.MaxDatapoints > maxMetricsPerPage):
		return invalidRequest("The value %d for parameter MaxDatapoints is not within the range [1, %d].", *in.MaxDatapoints, maxMetricsPerPage)
	case in.ScanBy != "" && in.ScanBy != types.ScanByTimestampAscending && in.ScanBy != types.ScanByTimestampDescending:
		return invalidRequest("The value %s for parameter ScanBy is invalid.", in.ScanBy)
	case in.LabelOptions != nil && deref(in.LabelOptions.Timezone) != "" && *in.LabelOptions.Timezone != "+0000":
		return unsupported("LabelOptions.Timezone")
	}
	return nil
}

// line is one result of GetMetricData before it is cut into pages.
type line struct {
	id string
	timeSeries
}

// pageOfLines fills a page: whole lines in the order of the queries, and a part
// of the line at which the page is full. A line without data is there once,
// empty and Complete, as for a metric that does not exist.
func pageOfLines(lines []line, from, skip, limit int, ascending bool, asked string) *cloudwatch.GetMetricDataOutput {
	out := &cloudwatch.GetMetricDataOutput{MetricDataResults: []types.MetricDataResult{}, Messages: []types.MessageData{}}
	room := limit
	for i := from; i < len(lines); i++ {
		l := lines[i]
		res := types.MetricDataResult{
			Id:         aws.String(l.id),
			Label:      aws.String(l.label),
			StatusCode: types.StatusCodeComplete,
			Timestamps: make([]time.Time, 0, min(room, len(l.v))),
			Values:     make([]float64, 0, min(room, len(l.v))),
		}
		seen := 0
		for k := range l.v {
			j := k
			if !ascending {
				j = len(l.v) - 1 - k
			}
			if math.IsNaN(l.v[j]) {
				continue
			}
			seen++
			if seen <= skip {
				continue
			}
			if room == 0 {
				res.StatusCode = types.StatusCodePartialData
				out.MetricDataResults = append(out.MetricDataResults, res)
				out.NextToken = aws.String(metricsToken(asked, i, seen-1))
				return out
			}
			room--
			res.Timestamps = append(res.Timestamps, timeOfMinute(l.w.at(j)))
			res.Values = append(res.Values, l.v[j])
		}
		skip = 0
		out.MetricDataResults = append(out.MetricDataResults, res)
	}
	return out
}
