package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// now is the target's time, on a whole minute, old enough to be settled.
func (x *run) now() time.Time {
	t := time.Now()
	if x.sandbox != nil {
		t = x.sandbox.Now()
	}
	return t.UTC().Truncate(time.Minute).Add(-10 * time.Minute)
}

// measure puts five points, 1 to 5, one a minute from start, into a new namespace.
func (x *run) measure(start time.Time) (namespace string, dimensions []types.Dimension) {
	namespace = "Kxops/" + x.name("metrics")
	dimensions = []types.Dimension{{Name: aws.String("Part"), Value: aws.String("a")}}
	for i := range 5 {
		_, err := x.set.watch.PutMetricData(x.ctx, &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: []types.MetricDatum{
			{MetricName: aws.String("Depth"), Dimensions: dimensions, Timestamp: aws.Time(start.Add(time.Duration(i) * time.Minute)), Value: aws.Float64(float64(i + 1)), Unit: types.StandardUnitCount}}})
		x.must("PutMetricData", err)
	}
	return namespace, dimensions
}

func depthQuery(id, namespace, stat string, dimensions []types.Dimension) types.MetricDataQuery {
	return types.MetricDataQuery{Id: &id, MetricStat: &types.MetricStat{Period: aws.Int32(60), Stat: &stat,
		Metric: &types.Metric{Namespace: &namespace, MetricName: aws.String("Depth"), Dimensions: dimensions}}}
}

func (x *run) alarm(namespace string) string {
	name := x.name("alarm")
	_, err := x.set.watch.PutMetricAlarm(x.ctx, &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, Namespace: &namespace, MetricName: aws.String("Depth"), Statistic: types.StatisticMaximum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(3), DatapointsToAlarm: aws.Int32(2), Threshold: aws.Float64(2.5), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
		Dimensions: []types.Dimension{{Name: aws.String("Part"), Value: aws.String("a")}}, TreatMissingData: aws.String("notBreaching"),
	})
	x.must("PutMetricAlarm", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.watch.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}})
		return err
	})
	return name
}

var metricCases = []oneCase{
	{name: "lists what has data", service: "CloudWatch", operation: "ListMetrics", run: func(x *run) {
		namespace, _ := x.measure(x.now())
		x.until("the metric is listed", func() (bool, error) {
			out, err := x.watch.ListMetrics(x.ctx, &cloudwatch.ListMetricsInput{Namespace: &namespace})
			if err != nil || len(out.Metrics) == 0 {
				return false, err
			}
			m := out.Metrics[0]
			equal(x, "name", aws.ToString(m.MetricName), "Depth")
			if len(m.Dimensions) != 1 || aws.ToString(m.Dimensions[0].Value) != "a" {
				x.errorf("dimensions are %+v", m.Dimensions)
			}
			return true, nil
		})
	}},
	{name: "takes RecentlyActive", service: "CloudWatch", operation: "ListMetrics", run: func(x *run) {
		namespace, _ := x.measure(x.now())
		x.until("the metric is listed", func() (bool, error) {
			out, err := x.watch.ListMetrics(x.ctx, &cloudwatch.ListMetricsInput{Namespace: &namespace, RecentlyActive: types.RecentlyActivePt3h})
			return err == nil && len(out.Metrics) == 1, err
		})
	}},
	{name: "pages through all metrics", service: "CloudWatch", operation: "ListMetrics", run: func(x *run) {
		namespace := "Kxops/" + x.name("many")
		start := x.now()
		for batch := range 6 { // a page has 500
			var data []types.MetricDatum
			for i := range 100 {
				data = append(data, types.MetricDatum{MetricName: aws.String(fmt.Sprintf("M%d", 100*batch+i)), Timestamp: &start, Value: aws.Float64(1)})
			}
			_, err := x.set.watch.PutMetricData(x.ctx, &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: data})
			x.must("PutMetricData", err)
		}
		x.until("600 metrics in two pages", func() (bool, error) {
			pages := cloudwatch.NewListMetricsPaginator(x.watch, &cloudwatch.ListMetricsInput{Namespace: &namespace})
			n, metrics := 0, 0
			for pages.HasMorePages() {
				page, err := pages.NextPage(x.ctx)
				if err != nil {
					return false, err
				}
				metrics += len(page.Metrics)
				n++
			}
			if metrics == 600 {
				equal(x, "pages", n, 2)
			}
			return metrics == 600, nil
		})
	}},
	{name: "gives each statistic of an hour", service: "CloudWatch", operation: "GetMetricData", run: func(x *run) {
		start := x.now()
		namespace, dimensions := x.measure(start)
		in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(start), EndTime: aws.Time(start.Add(5 * time.Minute)), ScanBy: types.ScanByTimestampAscending,
			MetricDataQueries: []types.MetricDataQuery{
				depthQuery("most", namespace, "Maximum", dimensions),
				depthQuery("total", namespace, "Sum", dimensions),
				depthQuery("none", namespace+"x", "Maximum", dimensions),
			}}
		x.until("five points", func() (bool, error) {
			out, err := x.watch.GetMetricData(x.ctx, in)
			if err != nil || len(out.MetricDataResults) != 3 {
				return false, err
			}
			results := map[string]types.MetricDataResult{}
			for _, r := range out.MetricDataResults {
				results[aws.ToString(r.Id)] = r
			}
			if len(results["most"].Values) != 5 {
				return false, nil
			}
			for i, v := range results["most"].Values {
				equal(x, fmt.Sprintf("point %d", i), v, float64(i+1))
				if at := results["most"].Timestamps[i]; !at.Equal(start.Add(time.Duration(i) * time.Minute)) {
					x.errorf("point %d is at %s", i, at)
				}
			}
			equal(x, "sums", len(results["total"].Values), 5)
			equal(x, "points of a metric that is not", len(results["none"].Values), 0)
			equal(x, "status", results["most"].StatusCode, types.StatusCodeComplete)
			return true, nil
		})
	}},
	{name: "computes an expression", service: "CloudWatch", operation: "GetMetricData", run: func(x *run) {
		start := x.now()
		namespace, dimensions := x.measure(start)
		most := depthQuery("most", namespace, "Maximum", dimensions)
		most.ReturnData = aws.Bool(false)
		in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(start), EndTime: aws.Time(start.Add(5 * time.Minute)), ScanBy: types.ScanByTimestampAscending,
			MetricDataQueries: []types.MetricDataQuery{most, {Id: aws.String("double"), Expression: aws.String("most * 2")}}}
		x.until("five points", func() (bool, error) {
			out, err := x.watch.GetMetricData(x.ctx, in)
			if err != nil || len(out.MetricDataResults) != 1 || len(out.MetricDataResults[0].Values) != 5 {
				return false, err
			}
			equal(x, "last", out.MetricDataResults[0].Values[4], 10.0)
			return true, nil
		})
	}},
	{name: "a malformed query is refused", service: "CloudWatch", operation: "GetMetricData", run: func(x *run) {
		start := x.now()
		_, err := x.watch.GetMetricData(x.ctx, &cloudwatch.GetMetricDataInput{StartTime: aws.Time(start.Add(time.Hour)), EndTime: aws.Time(start),
			MetricDataQueries: []types.MetricDataQuery{depthQuery("m", "Kxops/x", "Maximum", nil)}})
		if err == nil {
			x.errorf("a window that ends before it starts was accepted")
		}
		if p := x.door.Explain(err); p != nil && p.What == "" {
			x.errorf("no sentence for %v", errors.Unwrap(err))
		}
	}},
	{name: "says what an alarm watches", service: "CloudWatch", operation: "DescribeAlarms", run: func(x *run) {
		namespace, _ := x.measure(x.now())
		name := x.alarm(namespace)
		out, err := x.watch.DescribeAlarms(x.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}})
		x.must("DescribeAlarms", err)
		if len(out.MetricAlarms) != 1 {
			x.fatalf("%d alarms, want 1", len(out.MetricAlarms))
		}
		a := out.MetricAlarms[0]
		equal(x, "name", aws.ToString(a.AlarmName), name)
		equal(x, "namespace", aws.ToString(a.Namespace), namespace)
		equal(x, "threshold", aws.ToFloat64(a.Threshold), 2.5)
		equal(x, "comparison", a.ComparisonOperator, types.ComparisonOperatorGreaterThanThreshold)
		equal(x, "period", aws.ToInt32(a.Period), 60)
		equal(x, "evaluation periods", aws.ToInt32(a.EvaluationPeriods), 3)
		equal(x, "datapoints", aws.ToInt32(a.DatapointsToAlarm), 2)
		if len(a.Dimensions) != 1 || a.StateValue == "" {
			x.errorf("dimensions %+v, state %q", a.Dimensions, a.StateValue)
		}
	}},
	{name: "pages through all alarms", service: "CloudWatch", operation: "DescribeAlarms", run: func(x *run) {
		want := map[string]bool{}
		for range 3 {
			want[x.alarm("Kxops/none")] = true
		}
		pages := cloudwatch.NewDescribeAlarmsPaginator(x.watch, &cloudwatch.DescribeAlarmsInput{MaxRecords: aws.Int32(1)})
		n := 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("DescribeAlarms", err)
			for _, a := range page.MetricAlarms {
				delete(want, aws.ToString(a.AlarmName))
			}
			n++
		}
		equal(x, "alarms not listed", len(want), 0)
		if n < 3 {
			x.errorf("%d pages of one alarm each, want 3 or more", n)
		}
	}},
}
