package cloud

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
)

func query(metric, queue, stat string) types.MetricDataQuery {
	return types.MetricDataQuery{Id: aws.String("q"), MetricStat: &types.MetricStat{
		Stat:   aws.String(stat),
		Period: aws.Int32(60),
		Metric: &types.Metric{
			Namespace:  aws.String("AWS/SQS"),
			MetricName: aws.String(metric),
			Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String(queue)}},
		},
	}}
}

func TestBilledMetrics(t *testing.T) {
	var six []types.MetricDataQuery
	for i := range 6 {
		six = append(six, query("Age", "a", fmt.Sprintf("p%d", 90+i)))
	}
	cases := map[string]struct {
		queries []types.MetricDataQuery
		want    int
	}{
		"nothing":                  {nil, 0},
		"one":                      {[]types.MetricDataQuery{query("Age", "a", "Maximum")}, 1},
		"two statistics of one":    {[]types.MetricDataQuery{query("Age", "a", "Maximum"), query("Age", "a", "Minimum")}, 1},
		"the same one twice":       {[]types.MetricDataQuery{query("Age", "a", "Maximum"), query("Age", "a", "Maximum")}, 1},
		"five statistics":          {six[:5], 1},
		"six statistics":           {six, 2},
		"two queues":               {[]types.MetricDataQuery{query("Age", "a", "Maximum"), query("Age", "b", "Maximum")}, 2},
		"two metrics":              {[]types.MetricDataQuery{query("Age", "a", "Maximum"), query("Sent", "a", "Sum")}, 2},
		"an expression costs none": {[]types.MetricDataQuery{query("Age", "a", "Maximum"), {Id: aws.String("e"), Expression: aws.String("q*2")}}, 1},
	}
	for name, c := range cases {
		if got := billedMetrics(&cloudwatch.GetMetricDataInput{MetricDataQueries: c.queries}); got != c.want {
			t.Errorf("%s: %d metrics, want %d", name, got, c.want)
		}
	}
	if got := billedMetrics(&sqs.ListQueuesInput{}); got != 0 {
		t.Errorf("ListQueues bills %d metrics", got)
	}
}

func TestDimensionOrderDoesNotMakeAnotherMetric(t *testing.T) {
	a := query("Age", "a", "Maximum")
	a.MetricStat.Metric.Dimensions = append(a.MetricStat.Metric.Dimensions, types.Dimension{Name: aws.String("X"), Value: aws.String("1")})
	b := query("Age", "a", "Minimum")
	b.MetricStat.Metric.Dimensions = append([]types.Dimension{{Name: aws.String("X"), Value: aws.String("1")}}, b.MetricStat.Metric.Dimensions...)
	if got := billedMetrics(&cloudwatch.GetMetricDataInput{MetricDataQueries: []types.MetricDataQuery{a, b}}); got != 1 {
		t.Errorf("%d metrics, want 1", got)
	}
}

func TestSpendProjectsThePaceOfTheLastTenMinutes(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := newMeter(func() time.Time { return now })
	poll := &Call{Service: "CloudWatch", Operation: "GetMetricData", metrics: 100}
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-9 }

	m.count(poll, nil, nil)
	// One poll so far: projected as one a minute, not as one a nanosecond.
	if s := m.Spend(); !near(s.PerHour, 100*ops.PricePerMetric*60) {
		t.Errorf("after one poll: %v an hour", s.PerHour)
	}
	for range 29 {
		now = now.Add(time.Minute)
		m.count(poll, nil, nil)
	}
	s := m.Spend()
	if !near(s.PerHour, 100*ops.PricePerMetric*60) {
		t.Errorf("one poll a minute: %v an hour", s.PerHour)
	}
	if !near(s.USD, 30*100*ops.PricePerMetric) || s.Calls != 30 || s.Metrics != 3000 || s.For != 29*time.Minute {
		t.Errorf("totals: %+v", s)
	}
	now = now.Add(time.Hour)
	if s := m.Spend(); s.PerHour != 0 {
		t.Errorf("an hour of silence: %v an hour", s.PerHour)
	}
}

func TestLinesAreDearestFirst(t *testing.T) {
	m := newMeter(time.Now)
	m.count(&Call{Service: "SQS", Operation: "ListQueues"}, nil, nil)
	m.count(&Call{Service: "CloudWatch", Operation: "GetMetricData", metrics: 5}, nil, nil)
	lines := m.Lines()
	if len(lines) != 2 || lines[0].Operation != "GetMetricData" || lines[0].Metrics != 5 || lines[1].Calls != 1 {
		t.Errorf("lines = %+v", lines)
	}
}
