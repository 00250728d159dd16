package sandbox

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

// GetMetricData is billed per metric asked for: up to five statistics of one
// metric in one call are one metric, then again for every five; expressions, the
// number of datapoints and whether there are any do not matter
// (https://aws.amazon.com/cloudwatch/pricing/ and
// github.com/prometheus-community/yet-another-cloudwatch-exporter issues 1232, 1919).
func TestBillOfMetricData(t *testing.T) {
	stats := []string{"Sum", "Average", "Minimum", "Maximum", "SampleCount", "p50", "p90", "p99", "p99.9", "p10", "p1"}
	statistics := func(n int) []types.MetricDataQuery {
		var out []types.MetricDataQuery
		for i := range n {
			out = append(out, metricQuery(fmt.Sprintf("s%d", i), "m", stats[i], 60))
		}
		return out
	}
	other := metricQuery("o1", "m", "Sum", 60)
	other.MetricStat.Metric.Dimensions = []types.Dimension{{Name: aws.String("Queue"), Value: aws.String("other")}}
	for name, c := range map[string]struct {
		queries []types.MetricDataQuery
		metrics int
	}{
		"one":                     {statistics(1), 1},
		"five statistics":         {statistics(5), 1},
		"six statistics":          {statistics(6), 2},
		"eleven statistics":       {statistics(11), 3},
		"two metrics":             {append(statistics(5), other), 2},
		"two periods of one":      {append(statistics(1), metricQuery("p", "m", "Sum", 300)), 1},
		"an expression is free":   {append(statistics(1), expression("e1", "s0 * 2")), 1},
		"a metric without data":   {[]types.MetricDataQuery{metricQuery("n", "nobody", "Sum", 60)}, 1},
		"hidden ones count":       {append([]types.MetricDataQuery{hidden(statistics(1)[0])}, expression("e1", "s0 * 2")), 1},
		"dimensions in any order": {swappedDimensions(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			sb := empty(t)
			publish(sb, "m", 1, 2, 3)
			if _, err := lastMinutes(t, sb, 60, c.queries...); err != nil {
				t.Fatal(err)
			}
			b := sb.Bill()
			if b.Metrics != c.metrics || b.Calls["cloudwatch.GetMetricData"] != 1 || math.Abs(b.USD-float64(c.metrics)*ops.PricePerMetric) > 1e-12 {
				t.Errorf("billed %d metrics, %d calls, $%g; want %d metrics", b.Metrics, b.Calls["cloudwatch.GetMetricData"], b.USD, c.metrics)
			}
		})
	}
}

func swappedDimensions() []types.MetricDataQuery {
	a, b := metricQuery("a", "m", "Sum", 60), metricQuery("b", "m", "Maximum", 60)
	x, y := types.Dimension{Name: aws.String("X"), Value: aws.String("1")}, types.Dimension{Name: aws.String("Y"), Value: aws.String("2")}
	a.MetricStat.Metric.Dimensions = []types.Dimension{x, y}
	b.MetricStat.Metric.Dimensions = []types.Dimension{y, x}
	return []types.MetricDataQuery{a, b}
}

// Calls that fail are not billed, and other calls have their own price.
func TestBillOfOtherCalls(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	if _, err := lastMinutes(t, sb, 5, expression("e1", "m1 +")); err == nil {
		t.Fatal("a broken expression was taken")
	}
	for range 3 {
		if _, err := cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	b := sb.Bill()
	if b.Metrics != 0 || b.Calls["cloudwatch.DescribeAlarms"] != 3 || math.Abs(b.USD-3*ops.PricePerCloudWatchCall) > 1e-12 {
		t.Errorf("billed %+v", b)
	}
}

// The cost model's example: 1450 metrics asked for once a minute cost $0.87 an
// hour (facts, the lean set at 60 s).
func TestBillOfAnHourOfLooks(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	var queries []types.MetricDataQuery
	for i := range 1450 {
		queries = append(queries, metricQuery(fmt.Sprintf("m%d", i), fmt.Sprintf("m%d", i), "Maximum", 60))
	}
	for from := 0; from < len(queries); from += maxMetricQueries {
		_, err := cw.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
			StartTime: aws.Time(sb.Now().Add(-time.Hour)), EndTime: aws.Time(sb.Now()),
			MetricDataQueries: queries[from:min(from+maxMetricQueries, len(queries))],
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if hour := 60 * sb.Bill().USD; math.Abs(hour-0.87) > 0.005 {
		t.Errorf("an hour costs $%.3f", hour)
	}
}
