package sandbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// cloudWatch is CloudWatch of one region: metrics here, metric data in
// cloudwatch_data.go, metric math in cloudwatch_math.go, alarms in alarm*.go.
type cloudWatch struct {
	r      *Region
	alarms alarmBook
}

func newCloudWatch(r *Region) {
	c := &cloudWatch{r: r}
	handle(r, "cloudwatch", "PutMetricData", c.putMetricData)
	handle(r, "cloudwatch", "ListMetrics", c.listMetrics)
	handle(r, "cloudwatch", "GetMetricData", c.metricData)
	handle(r, "cloudwatch", "GetMetricStatistics", c.metricStatistics)
	c.newAlarms()
}

// The errors of CloudWatch, by what they mean.
func badValue(format string, args ...any) error {
	return &types.InvalidParameterValueException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func badCombination(format string, args ...any) error {
	return &types.InvalidParameterCombinationException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func missingParameter(name string) error {
	return &types.MissingRequiredParameterException{Message: aws.String("The parameter " + name + " is required.")}
}

func invalidRequest(format string, args ...any) error {
	return &types.ValidationException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func badMetricsToken() error {
	return &types.InvalidNextToken{Message: aws.String("The specified nextToken is invalid.")}
}

// metricsToken makes a token of positions; it is bound to what was asked.
func metricsToken(asked string, at ...int) string {
	s := fmt.Sprintf("%08x", hash32(asked))
	for _, n := range at {
		s += "." + strconv.Itoa(n)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(s))
}

// readMetricsToken reads n positions from a token; a nil token stands for zeros.
func readMetricsToken(token *string, asked string, n int) ([]int, error) {
	at := make([]int, n)
	if token == nil {
		return at, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil {
		return nil, badMetricsToken()
	}
	p := strings.Split(string(raw), ".")
	if len(p) != n+1 || p[0] != fmt.Sprintf("%08x", hash32(asked)) {
		return nil, badMetricsToken()
	}
	for i := range at {
		if at[i], err = strconv.Atoi(p[i+1]); err != nil || at[i] < 0 {
			return nil, badMetricsToken()
		}
	}
	return at, nil
}

func dimsOf(list []types.Dimension) dims {
	d := make([]string, 0, 2*len(list))
	for _, x := range list {
		d = append(d, deref(x.Name), deref(x.Value))
	}
	return sortedDims(d)
}

func dimensionsOf(d dims) []types.Dimension {
	out := make([]types.Dimension, 0, len(d)/2)
	for i := 0; i < len(d); i += 2 {
		out = append(out, types.Dimension{Name: aws.String(d[i]), Value: aws.String(d[i+1])})
	}
	return out
}

// checkDimensions holds dimensions to the documented bounds: at most 30, each
// with a name and a value, no name twice.
func checkDimensions(list []types.Dimension, parameter string) error {
	if len(list) > 30 {
		return badValue("The collection %s must not have a size greater than 30.", parameter)
	}
	seen := map[string]bool{}
	for i, d := range list {
		switch {
		case deref(d.Name) == "":
			return missingParameter(fmt.Sprintf("%s.member.%d.Name", parameter, i+1))
		case deref(d.Value) == "":
			return missingParameter(fmt.Sprintf("%s.member.%d.Value", parameter, i+1))
		case len(*d.Name) > 255 || len(*d.Value) > 1024:
			return badValue("The parameter %s.member.%d is too long.", parameter, i+1)
		case seen[*d.Name]:
			return badValue("The dimension name %s is given twice.", *d.Name)
		}
		seen[*d.Name] = true
	}
	return nil
}

// putMetricData takes the caller's own datapoints: all of a call or none.
// Timestamps may lie two weeks back and two hours ahead (API reference,
// PutMetricData).
func (c *cloudWatch) putMetricData(_ context.Context, in *cloudwatch.PutMetricDataInput) (*cloudwatch.PutMetricDataOutput, error) {
	namespace := deref(in.Namespace)
	switch {
	case namespace == "":
		return nil, missingParameter("Namespace")
	case strings.HasPrefix(namespace, "AWS/"):
		return nil, badValue("The value AWS/ for parameter Namespace is invalid.")
	case len(namespace) > 255:
		return nil, badValue("The parameter Namespace must be shorter than 256 characters.")
	case len(in.EntityMetricData) > 0:
		return nil, unsupported("EntityMetricData")
	case len(in.MetricData) == 0:
		return nil, missingParameter("MetricData")
	case len(in.MetricData) > 1000:
		return nil, badValue("The collection MetricData must not have a size greater than 1000.")
	}
	for i, d := range in.MetricData {
		if err := c.checkDatum(namespace, d, fmt.Sprintf("MetricData.member.%d", i+1)); err != nil {
			return nil, err
		}
	}
	for _, d := range in.MetricData {
		c.takeDatum(namespace, d)
	}
	return &cloudwatch.PutMetricDataOutput{}, nil
}

func (c *cloudWatch) checkDatum(namespace string, d types.MetricDatum, path string) error {
	if deref(d.MetricName) == "" {
		return missingParameter(path + ".MetricName")
	}
	if err := checkDimensions(d.Dimensions, path+".Dimensions"); err != nil {
		return err
	}
	kinds := 0
	for _, given := range []bool{d.Value != nil, d.Values != nil, d.StatisticValues != nil} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return missingParameter(path + ".Value")
	case kinds > 1:
		return badCombination("The parameters %s.Value, %s.Values and %s.StatisticValues are mutually exclusive and you have specified more than one.", path, path, path)
	case len(d.Values) > 150:
		return badValue("The collection %s.Values must not have a size greater than 150.", path)
	case d.Counts != nil && len(d.Counts) != len(d.Values):
		return badValue("The parameters %s.Values and %s.Counts must be of the same size.", path, path)
	case d.StorageResolution != nil && *d.StorageResolution == 1:
		return unsupported("StorageResolution")
	case d.StorageResolution != nil && *d.StorageResolution != 60:
		return badValue("The parameter %s.StorageResolution must be 1 or 60.", path)
	}
	values := append([]float64{deref(d.Value)}, d.Values...)
	if s := d.StatisticValues; s != nil {
		if s.SampleCount == nil || s.Sum == nil || s.Minimum == nil || s.Maximum == nil {
			return missingParameter(path + ".StatisticValues")
		}
		if *s.SampleCount <= 0 || *s.Minimum > *s.Maximum {
			return badValue("The parameter %s.StatisticValues is not a valid statistic set.", path)
		}
		values = append(values, *s.SampleCount, *s.Sum, *s.Minimum, *s.Maximum)
	}
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || math.Abs(v) > math.Pow(2, 360) {
			return badValue("The value %v for parameter %s.Value is invalid.", v, path)
		}
	}
	if t := d.Timestamp; t != nil && (t.Before(c.r.now().Add(-14*24*time.Hour)) || t.After(c.r.now().Add(2*time.Hour))) {
		return badValue("The parameter %s.Timestamp must specify a time no earlier than 2 weeks before and no later than 2 hours after now.", path)
	}
	if s := c.r.metrics.published(seriesKey(namespace, *d.MetricName, dimsOf(d.Dimensions))); s != nil && s.unit != unitName(d.Unit) {
		return fail("NotImplemented", "the sandbox keeps one unit per metric: %s has %s", *d.MetricName, s.unit)
	}
	return nil
}

func unitName(u types.StandardUnit) string {
	if u == "" {
		return "None"
	}
	return string(u)
}

func (c *cloudWatch) takeDatum(namespace string, d types.MetricDatum) {
	s := c.r.metrics.series(namespace, *d.MetricName, unitName(d.Unit), dimsOf(d.Dimensions)...)
	at := c.r.now()
	if d.Timestamp != nil {
		at = *d.Timestamp
	}
	switch {
	case d.Value != nil:
		s.exact().add(at, *d.Value)
	case d.StatisticValues != nil:
		v := d.StatisticValues
		s.merge(at, datapoint{sum: *v.Sum, min: *v.Minimum, max: *v.Maximum, count: *v.SampleCount})
	default:
		for i, v := range d.Values {
			n := 1.0
			if d.Counts != nil {
				n = d.Counts[i]
			}
			if n == 1 {
				s.exact().add(at, v)
				continue
			}
			s.merge(at, datapoint{sum: v * n, min: v, max: v, count: n})
		}
	}
}

// listMetrics pages through the metrics that had data in the last two weeks, 500
// at a time. A new metric is listed up to 15 minutes after its first datapoint;
// RecentlyActive may be stale by 50 minutes (API reference, ListMetrics).
func (c *cloudWatch) listMetrics(_ context.Context, in *cloudwatch.ListMetricsInput) (*cloudwatch.ListMetricsOutput, error) {
	switch {
	case in.RecentlyActive != "" && in.RecentlyActive != types.RecentlyActivePt3h:
		return nil, badValue("The value %s for parameter RecentlyActive is invalid.", in.RecentlyActive)
	case deref(in.IncludeLinkedAccounts):
		return nil, unsupported("IncludeLinkedAccounts")
	case deref(in.OwningAccount) != "" && *in.OwningAccount != Account:
		return nil, unsupported("OwningAccount")
	case len(in.Dimensions) > 10:
		return nil, badValue("The collection Dimensions must not have a size greater than 10.")
	}
	asked := fmt.Sprint(deref(in.Namespace), deref(in.MetricName), in.RecentlyActive)
	for _, f := range in.Dimensions {
		if deref(f.Name) == "" {
			return nil, missingParameter("Dimensions.member.Name")
		}
		asked += *f.Name + "=" + deref(f.Value)
	}
	at, err := readMetricsToken(in.NextToken, asked, 1)
	if err != nil {
		return nil, err
	}
	const page = 500
	out := &cloudwatch.ListMetricsOutput{Metrics: []types.Metric{}}
	for i := at[0]; i < len(c.r.metrics.all); i++ {
		s := c.r.metrics.all[i]
		if !s.listed(c.r.now(), in.RecentlyActive != "") || !s.matches(in) {
			continue
		}
		if len(out.Metrics) == page {
			out.NextToken = aws.String(metricsToken(asked, i))
			break
		}
		out.Metrics = append(out.Metrics, types.Metric{
			Namespace:  aws.String(s.namespace),
			MetricName: aws.String(s.name),
			Dimensions: dimensionsOf(s.dims),
		})
	}
	return out, nil
}

// listed reports whether ListMetrics shows the series: not before it is 3 to 15
// minutes old (fixed per series), not when it had no data for two weeks.
func (s *metricSeries) listed(now time.Time, recently bool) bool {
	if len(s.points) == 0 || now.Sub(s.born) < 3*time.Minute+time.Duration(s.hash%12)*time.Minute {
		return false
	}
	quiet := now.Sub(s.touched)
	if !recently {
		return quiet < 14*24*time.Hour
	}
	stale := time.Duration(0)
	if s.hash%16 == 0 {
		stale = 50 * time.Minute
	}
	return quiet < 3*time.Hour+stale
}

func (s *metricSeries) matches(in *cloudwatch.ListMetricsInput) bool {
	if n := deref(in.Namespace); n != "" && n != s.namespace {
		return false
	}
	if n := deref(in.MetricName); n != "" && n != s.name {
		return false
	}
	for _, f := range in.Dimensions {
		found := false
		for i := 0; i < len(s.dims); i += 2 {
			found = found || s.dims[i] == *f.Name && (f.Value == nil || s.dims[i+1] == *f.Value)
		}
		if !found {
			return false
		}
	}
	return true
}

// metricStatistics answers up to 1440 datapoints of one metric.
func (c *cloudWatch) metricStatistics(_ context.Context, in *cloudwatch.GetMetricStatisticsInput) (*cloudwatch.GetMetricStatisticsOutput, error) {
	switch {
	case deref(in.Namespace) == "":
		return nil, missingParameter("Namespace")
	case deref(in.MetricName) == "":
		return nil, missingParameter("MetricName")
	case in.StartTime == nil:
		return nil, missingParameter("StartTime")
	case in.EndTime == nil:
		return nil, missingParameter("EndTime")
	case in.Period == nil:
		return nil, missingParameter("Period")
	case len(in.Statistics) == 0 && len(in.ExtendedStatistics) == 0:
		return nil, &types.MissingRequiredParameterException{Message: aws.String("At least one of the parameters Statistics and ExtendedStatistics must be specified.")}
	case len(in.Statistics) > 0 && len(in.ExtendedStatistics) > 0:
		return nil, badCombination("At most one of the parameters Statistics and ExtendedStatistics may be specified.")
	case !in.StartTime.Before(*in.EndTime):
		return nil, badCombination("The parameter StartTime must be less than the parameter EndTime.")
	}
	if err := checkDimensions(in.Dimensions, "Dimensions"); err != nil {
		return nil, err
	}
	if err := checkPeriod(*in.Period); err != nil {
		return nil, err
	}
	names := append([]string(nil), in.ExtendedStatistics...)
	for _, s := range in.Statistics {
		names = append(names, string(s))
	}
	stats := make([]statistic, len(names))
	for i, n := range names {
		s, err := statisticNamed(n)
		if err != nil {
			return nil, err
		}
		stats[i] = s
	}
	w := windowOf(*in.StartTime, *in.EndTime, *in.Period)
	if w.n > 1440 {
		return nil, badCombination("You have requested up to %d datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", w.n)
	}
	out := &cloudwatch.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []types.Datapoint{}}
	s := c.r.metrics.published(seriesKey(*in.Namespace, *in.MetricName, dimsOf(in.Dimensions)))
	if s == nil || in.Unit != "" && string(in.Unit) != s.unit {
		return out, nil
	}
	now := minuteOf(c.r.now())
	for i := range w.n {
		from := w.at(i)
		p := s.seen(from, from+w.step, now)
		if p.count == 0 {
			continue
		}
		d := types.Datapoint{Timestamp: aws.Time(timeOfMinute(from)), Unit: types.StandardUnit(s.unit)}
		for k, st := range stats {
			if v := st.of(s, p, from, from+w.step, now); !math.IsNaN(v) {
				setStatistic(&d, names[k], v)
			}
		}
		out.Datapoints = append(out.Datapoints, d)
	}
	// AWS promises no order; a fixed shuffle would only hide a missing sort from
	// people who read the answer, so it is by time here.
	sort.SliceStable(out.Datapoints, func(i, j int) bool { return out.Datapoints[i].Timestamp.Before(*out.Datapoints[j].Timestamp) })
	return out, nil
}
