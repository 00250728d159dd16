package sandbox

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/google/go-cmp/cmp"
)

// cloudWatchProtocols are the ways in which a client may speak to CloudWatch. The
// SDK's default is CBOR since cloudwatch v1.53.0.
var cloudWatchProtocols = map[string]func(*cloudwatch.Options){
	"cbor":  func(*cloudwatch.Options) {},
	"json":  func(o *cloudwatch.Options) { o.Protocol = awsjson.New10(schemas.GraniteServiceVersion20100801) },
	"query": func(o *cloudwatch.Options) { o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801) },
}

// inEveryProtocol runs a test with a client of each protocol.
func inEveryProtocol(t *testing.T, f func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client)) {
	for name, protocol := range cloudWatchProtocols {
		t.Run(name, func(t *testing.T) {
			sb := empty(t)
			f(t, sb, cloudwatch.NewFromConfig(sb.Config(), protocol))
		})
	}
}

// publish adds one sample a minute, ending in the minute before the last full one.
func publish(sb *Sandbox, name string, values ...float64) {
	for _, v := range values {
		sb.do(func() {
			sb.Region("").metrics.series("Test", name, "Count", "Queue", "q").add(sb.now(), v)
		})
		sb.Advance(time.Minute)
	}
}

func metricQuery(id, name, stat string, period int32) types.MetricDataQuery {
	return types.MetricDataQuery{Id: aws.String(id), MetricStat: &types.MetricStat{
		Metric: &types.Metric{
			Namespace:  aws.String("Test"),
			MetricName: aws.String(name),
			Dimensions: []types.Dimension{{Name: aws.String("Queue"), Value: aws.String("q")}},
		},
		Period: aws.Int32(period),
		Stat:   aws.String(stat),
	}}
}

func expression(id, e string) types.MetricDataQuery {
	return types.MetricDataQuery{Id: aws.String(id), Expression: aws.String(e)}
}

func TestOwnMetricsComeBack(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		at := sb.Now()
		_, err := cw.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{
			Namespace: aws.String("Test"),
			MetricData: []types.MetricDatum{
				{MetricName: aws.String("m"), Unit: types.StandardUnitCount, Value: aws.Float64(3), Timestamp: aws.Time(at)},
				{MetricName: aws.String("m"), Unit: types.StandardUnitCount, Values: []float64{1, 2}, Counts: []float64{2, 1}, Timestamp: aws.Time(at)},
				{MetricName: aws.String("m"), Unit: types.StandardUnitCount, Timestamp: aws.Time(at),
					StatisticValues: &types.StatisticSet{Maximum: aws.Float64(9), Minimum: aws.Float64(0.5), SampleCount: aws.Float64(2), Sum: aws.Float64(9.5)}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		sb.Advance(20 * time.Minute)
		var queries []types.MetricDataQuery
		want := map[string]float64{"sum": 16.5, "average": 16.5 / 6, "minimum": 0.5, "maximum": 9, "samplecount": 6}
		for _, stat := range []string{"Sum", "Average", "Minimum", "Maximum", "SampleCount"} {
			id := string(stat[0]|0x20) + stat[1:]
			queries = append(queries, types.MetricDataQuery{Id: aws.String(id), MetricStat: &types.MetricStat{
				Metric: &types.Metric{Namespace: aws.String("Test"), MetricName: aws.String("m")}, Period: aws.Int32(60), Stat: aws.String(stat),
			}})
		}
		want["sampleCount"] = want["samplecount"]
		out, err := cw.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
			StartTime: aws.Time(at.Add(-time.Minute)), EndTime: aws.Time(at.Add(5 * time.Minute)), MetricDataQueries: queries,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.MetricDataResults {
			if len(r.Values) != 1 || r.Values[0] != want[*r.Id] || !r.Timestamps[0].Equal(at.Truncate(time.Minute)) || r.StatusCode != types.StatusCodeComplete {
				t.Errorf("%s: got %v at %v, want %v at %v", *r.Id, r.Values, r.Timestamps, want[*r.Id], at.Truncate(time.Minute))
			}
		}
		list, err := cw.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Namespace: aws.String("Test"), RecentlyActive: types.RecentlyActivePt3h})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Metrics) != 1 || *list.Metrics[0].MetricName != "m" {
			t.Errorf("listed %v", list.Metrics)
		}
	})
}

func TestUnknownMetricIsEmptyAndComplete(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		out, err := cw.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
			StartTime: aws.Time(sb.Now().Add(-time.Hour)), EndTime: aws.Time(sb.Now()),
			MetricDataQueries: []types.MetricDataQuery{metricQuery("m1", "nobody", "Sum", 60)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if r := out.MetricDataResults[0]; len(r.Values) != 0 || r.StatusCode != types.StatusCodeComplete {
			t.Errorf("got %v %v", r.Values, r.StatusCode)
		}
	})
}

func TestAlarmRoundTrip(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		for i := range 3 {
			_, err := cw.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
				AlarmName: aws.String(fmt.Sprintf("kxops-%d", i)), Namespace: aws.String("Test"), MetricName: aws.String("m"),
				Dimensions: []types.Dimension{{Name: aws.String("Queue"), Value: aws.String("q")}},
				Statistic:  types.StatisticSum, Period: aws.Int32(60), EvaluationPeriods: aws.Int32(5), DatapointsToAlarm: aws.Int32(1),
				Threshold: aws.Float64(0), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
				TreatMissingData: aws.String("notBreaching"), AlarmActions: []string{"arn:aws:sns:eu-west-1:123456789012:page"},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var names []string
		p := cloudwatch.NewDescribeAlarmsPaginator(cw, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("kxops"), MaxRecords: aws.Int32(2)})
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.MetricAlarms {
				names = append(names, *a.AlarmName)
				if a.StateValue != types.StateValueInsufficientData || *a.Threshold != 0 || *a.DatapointsToAlarm != 1 || *a.StateReason != "Unchecked: Initial alarm creation" {
					t.Errorf("%s: %+v", *a.AlarmName, a)
				}
			}
		}
		if diff := cmp.Diff([]string{"kxops-0", "kxops-1", "kxops-2"}, names); diff != "" {
			t.Error(diff)
		}
	})
}

func TestErrorsAreTypedInEveryProtocol(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		_, err := cw.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{RecentlyActive: "PT1H"})
		var bad *types.InvalidParameterValueException
		if !errors.As(err, &bad) {
			t.Errorf("got %v", err)
		}
		_, err = cw.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
			StartTime: aws.Time(sb.Now()), EndTime: aws.Time(sb.Now().Add(time.Minute)),
			MetricDataQueries: []types.MetricDataQuery{expression("e1", "m1 +")},
		})
		var invalid *types.ValidationException
		if !errors.As(err, &invalid) {
			t.Errorf("got %v", err)
		}
	})
}
