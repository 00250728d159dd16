package sandbox

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// oneSeries asks for one result, oldest first, over the last n minutes.
func lastMinutes(t *testing.T, sb *Sandbox, n int, queries ...types.MetricDataQuery) (map[string][]float64, error) {
	t.Helper()
	out, err := cloudwatch.NewFromConfig(sb.Config()).GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(sb.Now().Add(-time.Duration(n) * time.Minute)), EndTime: aws.Time(sb.Now()),
		MetricDataQueries: queries, ScanBy: types.ScanByTimestampAscending,
	})
	if err != nil {
		return nil, err
	}
	got := map[string][]float64{}
	for _, r := range out.MetricDataResults {
		got[*r.Id] = append(got[*r.Id], r.Values...)
	}
	return got, nil
}

func hidden(q types.MetricDataQuery) types.MetricDataQuery {
	q.ReturnData = aws.Bool(false)
	return q
}

// TestMath follows the CloudWatch user guide, "Using math expressions with
// CloudWatch metrics". a is 1 2 - 4 5, b is 10 0 10 - 10, none has no data.
func TestMath(t *testing.T) {
	sb := empty(t)
	nan := math.NaN()
	a, b := []float64{1, 2, nan, 4, 5}, []float64{10, 0, 10, nan, 10}
	for i := range a {
		sb.do(func() {
			for name, v := range map[string]float64{"a": a[i], "b": b[i]} {
				if !math.IsNaN(v) {
					sb.Region("").metrics.series("Test", name, "Count", "Queue", "q").add(sb.now(), v)
				}
			}
		})
		sb.Advance(time.Minute)
	}
	for e, want := range map[string][]float64{
		"a":                  {1, 2, 4, 5},
		"a + b":              {11, 2, 15},
		"b / a":              {10, 0, 2},
		"a / b":              {0.1, 0.5}, // a division by zero is no data
		"-a * 2 ^ 2":         {-4, -8, -16, -20},
		"(a + 1) * 2":        {4, 6, 10, 12},
		"a > 1 AND b > 5":    {0, 0, 1},
		"a == 1 || b == 0":   {1, 1, 0},
		"a != 2 && a <= 5":   {1, 0, 1, 1},
		"a < 2 OR a >= 5":    {1, 0, 0, 1},
		"FILL(a, 0)":         {1, 2, 0, 4, 5},
		"FILL(a, REPEAT)":    {1, 2, 2, 4, 5},
		"FILL(a, LINEAR)":    {1, 2, 3, 4, 5},
		"FILL(none, 0)":      {0, 0, 0, 0, 0},
		"FILL(none, REPEAT)": {},
		"IF(a > 1, a, 0)":    {0, 2, 4, 5},
		"IF(a > 1, a)":       {2, 4, 5},
		"IF(FILL(a,0) > 0 AND FILL(none,0) == 0, 1, 0)": {1, 1, 0, 1, 1},
		"RATE(a)":                      {1. / 60, 2. / 120, 1. / 60},
		"DIFF(a)":                      {1, 2, 1},
		"DIFF_TIME(a)":                 {60, 120, 60},
		"RUNNING_SUM(a)":               {1, 3, 7, 12},
		"a - MIN(a)":                   {0, 1, 3, 4},
		"a - AVG(a)":                   {-2, -1, 1, 2},
		"a * 0 + STDDEV(a)":            {math.Sqrt(2.5), math.Sqrt(2.5), math.Sqrt(2.5), math.Sqrt(2.5)},
		"MAX([a, b])":                  {10, 2, 10, 4, 10},
		"MIN([a, b])":                  {1, 0, 10, 4, 5},
		"SUM([a, b, none])":            {11, 2, 10, 4, 15},
		"AVG(METRICS(\"a\"))":          {1, 2, 4, 5},
		"SUM(METRICS())":               {11, 2, 10, 4, 15},
		"100 * a / MAX([a, b])":        {10, 100, 100, 50},
		"ABS(a - 3) + CEIL(0.2)":       {3, 2, 2, 3},
		"FLOOR(a / 2) * LOG10(100)":    {0, 2, 4, 4},
		"TIME_SERIES(7)":               {7, 7, 7, 7, 7},
		"a * METRIC_COUNT(METRICS())":  {3, 6, 12, 15},
		"a + DATAPOINT_COUNT(a)":       {5, 6, 8, 9},
		"a * 0 + PERIOD(a)":            {60, 60, 60, 60},
		"FIRST([a, b]) + LAST([a, b])": {11, 2, 15},
		"SUM(REMOVE_EMPTY(METRICS()))": {11, 2, 10, 4, 15},
		"1e1 + a * 2.5e-1":             {10.25, 10.5, 11, 11.25},
	} {
		got, err := lastMinutes(t, sb, 5, hidden(metricQuery("a", "a", "Sum", 60)), hidden(metricQuery("b", "b", "Sum", 60)), hidden(metricQuery("none", "none", "Sum", 60)), expression("e1", e))
		if err != nil {
			t.Errorf("%s: %v", e, err)
			continue
		}
		if diff := cmp.Diff(want, got["e1"], cmpopts.EquateApprox(1e-9, 0), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", e, diff)
		}
	}
	for e, want := range map[string]string{
		"":                   "unexpected end",
		"a +":                "unexpected end",
		"a b":                "Invalid syntax",
		"SUM(a":              "missing",
		"SUM(a)":             "scalar",
		"zz + 1":             "Undefined variable: zz",
		"e1 + 1":             "refers to itself",
		"NOPE(a)":            "Unknown function",
		"SEARCH('x', 'Sum')": "does not support",
		"SELECT AVG(x)":      "Metrics Insights",
		"[a] + [b]":          "arrays on both sides",
		"a $ b":              "Invalid syntax",
		"FILL(a)":            "arguments",
		"\"x":                "does not end",
		strings.Repeat("(", 100) + "a" + strings.Repeat(")", 100): "deeply",
	} {
		_, err := lastMinutes(t, sb, 5, hidden(metricQuery("a", "a", "Sum", 60)), hidden(metricQuery("b", "b", "Sum", 60)), expression("e1", e))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", e, err, want)
		}
	}
	// Expressions that double in each step must not take forever.
	queries := []types.MetricDataQuery{metricQuery("q0", "a", "Sum", 60)}
	for i := 1; i < 200; i++ {
		queries = append(queries, expression(fmt.Sprintf("q%d", i), fmt.Sprintf("q%d / 2 + q%d / 2", i-1, i-1)))
	}
	got, err := lastMinutes(t, sb, 5, queries...)
	if err != nil || got["q199"][0] != 1 {
		t.Errorf("a long chain: %v, %v", got["q199"], err)
	}
}

// The current minute is not there; a full minute is, with nearly all its samples,
// and it settles within two minutes.
func TestTheLastMinutesAreProvisional(t *testing.T) {
	sb := empty(t)
	s := sb.Region("").metrics.series("Test", "n", "Count", "Queue", "q")
	sb.do(func() {
		for range 1000 {
			s.add(sb.now(), 1)
		}
	})
	look := func() []float64 {
		got, err := lastMinutes(t, sb, 10, metricQuery("m1", "n", "Sum", 60))
		if err != nil {
			t.Fatal(err)
		}
		return got["m1"]
	}
	sb.Advance(59 * time.Second)
	if got := look(); len(got) != 0 {
		t.Errorf("the current minute shows %v", got)
	}
	sb.Advance(time.Second)
	first := look()
	if len(first) != 1 || first[0] < 900 || first[0] > 1000 || first[0] != math.Trunc(first[0]) {
		t.Fatalf("a fresh minute shows %v", first)
	}
	if diff := cmp.Diff(first, look()); diff != "" {
		t.Errorf("two looks in one minute differ: %s", diff)
	}
	sb.Advance(time.Minute)
	second := look()
	if second[0] < first[0] || second[0] < 980 {
		t.Errorf("a minute later %v after %v", second, first)
	}
	sb.Advance(time.Minute)
	if got := look(); got[0] != 1000 {
		t.Errorf("settled at %v", got)
	}
}

func TestPercentiles(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	var data []types.MetricDatum
	for i := range 101 {
		data = append(data, types.MetricDatum{MetricName: aws.String("d"), Value: aws.Float64(float64(i)), Dimensions: []types.Dimension{{Name: aws.String("Queue"), Value: aws.String("q")}}})
	}
	if _, err := cw.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Test"), MetricData: data}); err != nil {
		t.Fatal(err)
	}
	sb.Advance(5 * time.Minute)
	got, err := lastMinutes(t, sb, 10, metricQuery("m1", "d", "p90", 60), metricQuery("m2", "d", "p99.5", 300))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]float64{"m1": {90}, "m2": {99.5}}, got); diff != "" {
		t.Error(diff)
	}
	stats, err := cw.GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("Test"), MetricName: aws.String("d"), Dimensions: data[0].Dimensions, Period: aws.Int32(60),
		StartTime: aws.Time(sb.Now().Add(-time.Hour)), EndTime: aws.Time(sb.Now()), ExtendedStatistics: []string{"p50"},
	})
	if err != nil || len(stats.Datapoints) != 1 || stats.Datapoints[0].ExtendedStatistics["p50"] != 50 {
		t.Errorf("got %v, %v", stats, err)
	}
}

func TestMetricStatistics(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		publish(sb, "m", 1, 2, 3, 4, 5, 6)
		in := &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String("Test"), MetricName: aws.String("m"), Dimensions: []types.Dimension{{Name: aws.String("Queue"), Value: aws.String("q")}},
			StartTime: aws.Time(sb.Now().Add(-6 * time.Minute)), EndTime: aws.Time(sb.Now()), Period: aws.Int32(180),
			Statistics: []types.Statistic{types.StatisticSum, types.StatisticAverage, types.StatisticMinimum, types.StatisticMaximum, types.StatisticSampleCount},
		}
		out, err := cw.GetMetricStatistics(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Datapoints) != 2 {
			t.Fatalf("%d datapoints", len(out.Datapoints))
		}
		d := out.Datapoints[1]
		got := []float64{*d.Sum, *d.Average, *d.Minimum, *d.Maximum, *d.SampleCount}
		if diff := cmp.Diff([]float64{15, 5, 4, 6, 3}, got); diff != "" || d.Unit != types.StandardUnitCount {
			t.Errorf("%s, %s", diff, d.Unit)
		}
		in.StartTime, in.Period = aws.Time(sb.Now().Add(-25*time.Hour)), aws.Int32(60)
		if _, err := cw.GetMetricStatistics(t.Context(), in); err == nil || !strings.Contains(err.Error(), "1,440") {
			t.Errorf("1500 datapoints: %v", err)
		}
	})
}

// A page holds MaxDatapoints; what is cut is PartialData and goes on with the
// token, in either direction.
func TestMetricDataPages(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		publish(sb, "m", 1, 2, 3, 4, 5, 6, 7)
		for order, want := range map[types.ScanBy][]float64{
			types.ScanByTimestampAscending: {1, 2, 3, 4, 5, 6, 7},
			"":                             {7, 6, 5, 4, 3, 2, 1},
		} {
			in := &cloudwatch.GetMetricDataInput{
				StartTime: aws.Time(sb.Now().Add(-7 * time.Minute)), EndTime: aws.Time(sb.Now()), ScanBy: order, MaxDatapoints: aws.Int32(3),
				MetricDataQueries: []types.MetricDataQuery{metricQuery("m1", "m", "Sum", 60), metricQuery("m2", "none", "Sum", 60), metricQuery("m3", "m", "Maximum", 60)},
			}
			got, pages := map[string][]float64{}, 0
			p := cloudwatch.NewGetMetricDataPaginator(cw, in)
			for p.HasMorePages() {
				out, err := p.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for _, r := range out.MetricDataResults {
					n += len(r.Values)
					got[*r.Id] = append(got[*r.Id], r.Values...)
					if last := *r.Id == *out.MetricDataResults[len(out.MetricDataResults)-1].Id; (r.StatusCode == types.StatusCodePartialData) != (last && out.NextToken != nil) {
						t.Errorf("%s is %s, token %v", *r.Id, r.StatusCode, out.NextToken != nil)
					}
				}
				if n > 3 {
					t.Errorf("a page of %d datapoints", n)
				}
				pages++
			}
			if diff := cmp.Diff(map[string][]float64{"m1": want, "m2": nil, "m3": want}, got, cmpopts.EquateEmpty()); diff != "" || pages != 5 {
				t.Errorf("%q: %d pages, %s", order, pages, diff)
			}
			in.NextToken = aws.String("bogus")
			_, err := cw.GetMetricData(t.Context(), in)
			var bad *types.InvalidNextToken
			if !errors.As(err, &bad) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestMetricDataValidation(t *testing.T) {
	sb := empty(t)
	many := make([]types.MetricDataQuery, 501)
	for i := range many {
		many[i] = metricQuery(fmt.Sprintf("m%d", i), "m", "Sum", 60)
	}
	if _, err := lastMinutes(t, sb, 5, many[:500]...); err != nil {
		t.Error(err)
	}
	both := metricQuery("m1", "m", "Sum", 60)
	both.Expression = aws.String("1")
	for want, queries := range map[string][]types.MetricDataQuery{
		"must not have a size greater than 500": many,
		"not unique":                            {many[0], many[0]},
		"expected pattern":                      {metricQuery("M1", "m", "Sum", 60)},
		"mutually exclusive":                    {both},
		"Either the parameter":                  {{Id: aws.String("m1")}},
		"multiple of 60":                        {metricQuery("m1", "m", "Sum", 61)},
		"not supported":                         {metricQuery("m1", "m", "Total", 60)},
		"does not support the statistic":        {metricQuery("m1", "m", "tm99", 60)},
	} {
		if _, err := lastMinutes(t, sb, 5, queries...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestOwnMetricValidation(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	good := types.MetricDatum{MetricName: aws.String("m"), Value: aws.Float64(1)}
	with := func(change func(*types.MetricDatum)) []types.MetricDatum {
		d := good
		change(&d)
		return []types.MetricDatum{d}
	}
	for want, in := range map[string]*cloudwatch.PutMetricDataInput{
		"AWS/":               {Namespace: aws.String("AWS/SQS"), MetricData: []types.MetricDatum{good}},
		"2 weeks":            {Namespace: aws.String("T"), MetricData: with(func(d *types.MetricDatum) { d.Timestamp = aws.Time(sb.Now().Add(-15 * 24 * time.Hour)) })},
		"same size":          {Namespace: aws.String("T"), MetricData: with(func(d *types.MetricDatum) { d.Value, d.Values, d.Counts = nil, []float64{1, 2}, []float64{1} })},
		"mutually exclusive": {Namespace: aws.String("T"), MetricData: with(func(d *types.MetricDatum) { d.Values = []float64{1} })},
		"MetricName":         {Namespace: aws.String("T"), MetricData: with(func(d *types.MetricDatum) { d.MetricName = aws.String("") })},
		"given twice": {Namespace: aws.String("T"), MetricData: with(func(d *types.MetricDatum) {
			d.Dimensions = []types.Dimension{{Name: aws.String("a"), Value: aws.String("1")}, {Name: aws.String("a"), Value: aws.String("2")}}
		})},
		"StorageResolution": {Namespace: aws.String("T"), MetricData: with(func(d *types.MetricDatum) { d.StorageResolution = aws.Int32(1) })},
	} {
		if _, err := cw.PutMetricData(t.Context(), in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestListMetrics(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		sb.do(func() {
			for i := range 1100 {
				sb.Region("").metrics.series("Test", fmt.Sprintf("m%d", i%2), "Count", "Queue", fmt.Sprintf("q%d", i), "Zone", "a").add(sb.now(), 1)
			}
		})
		count := func(in *cloudwatch.ListMetricsInput) (n, pages int) {
			t.Helper()
			p := cloudwatch.NewListMetricsPaginator(cw, in)
			for p.HasMorePages() {
				out, err := p.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				n, pages = n+len(out.Metrics), pages+1
			}
			return n, pages
		}
		sb.Advance(2 * time.Minute)
		if n, _ := count(&cloudwatch.ListMetricsInput{}); n != 0 {
			t.Errorf("%d metrics after two minutes", n)
		}
		sb.Advance(13 * time.Minute) // new metrics take up to 15 minutes
		if n, pages := count(&cloudwatch.ListMetricsInput{}); n != 1100 || pages != 3 {
			t.Errorf("%d metrics on %d pages", n, pages)
		}
		if n, _ := count(&cloudwatch.ListMetricsInput{Namespace: aws.String("Test"), MetricName: aws.String("m1")}); n != 550 {
			t.Errorf("%d metrics m1", n)
		}
		if n, _ := count(&cloudwatch.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("Queue"), Value: aws.String("q7")}}}); n != 1 {
			t.Errorf("%d metrics of q7", n)
		}
		if n, _ := count(&cloudwatch.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("Zone")}}}); n != 1100 {
			t.Errorf("%d metrics with a zone", n)
		}
		sb.Advance(4 * time.Hour)
		if n, _ := count(&cloudwatch.ListMetricsInput{RecentlyActive: types.RecentlyActivePt3h}); n != 0 {
			t.Errorf("%d recently active metrics after four hours", n)
		}
	})
}

// Units are kept: asking for another one gives nothing (API reference,
// GetMetricData, MetricStat.Unit).
func TestOtherUnitIsEmpty(t *testing.T) {
	sb := empty(t)
	publish(sb, "m", 1, 1)
	right, wrong := metricQuery("m1", "m", "Sum", 60), metricQuery("m2", "m", "Sum", 60)
	right.MetricStat.Unit, wrong.MetricStat.Unit = types.StandardUnitCount, types.StandardUnitBytes
	got, err := lastMinutes(t, sb, 5, right, wrong)
	if err != nil || len(got["m1"]) != 2 || len(got["m2"]) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzMath(f *testing.F) {
	for _, s := range []string{"IF(m1 > 60, RATE(m1), 0)", "100*m1/MAX([m1,m2])", "FILL(METRICS(),REPEAT)", "-m1^2^-3", "SUM([])", "MAX(METRICS(\"z\"))", "m1 AND 1 || [", "1e99999", "\"", "STDDEV([m1,1])-PERIOD(m2)", "FIRST(REMOVE_EMPTY([m2]))", "DIFF(IF(m1,m2,[m1]))"} {
		f.Add(s)
	}
	sb, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(sb.Close)
	publish(sb, "a", 1, 2, 3, 4)
	c := &cloudWatch{r: sb.Region("")}
	f.Fuzz(func(t *testing.T, e string) {
		plan, err := c.planQueries([]types.MetricDataQuery{metricQuery("m1", "a", "Sum", 60), metricQuery("m2", "none", "Sum", 60), expression("e1", e)}, "Q")
		if err != nil {
			return
		}
		l := &look{c: c, plan: plan, start: sb.Now().Add(-5 * time.Minute), end: sb.Now(), now: minuteOf(sb.Now()), done: map[string]lookResult{}}
		lines, err := l.all()
		if err != nil {
			return
		}
		for _, x := range lines {
			if len(x.v) != x.w.n {
				t.Errorf("%q: %d values for %d periods", e, len(x.v), x.w.n)
			}
			for _, v := range x.v {
				if math.IsInf(v, 0) {
					t.Errorf("%q gives %v", e, v)
				}
			}
		}
	})
}

// BenchmarkMetricData is the console's look at a large account: 500 metrics, one
// hour, through the whole protocol.
func BenchmarkMetricData(b *testing.B) {
	for name, protocol := range cloudWatchProtocols {
		b.Run(name, func(b *testing.B) {
			sb, err := New(Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(sb.Close)
			var queries []types.MetricDataQuery
			for i := range 500 {
				s := sb.Region("").metrics.series("Test", fmt.Sprintf("m%d", i), "Count", "Queue", "q")
				for k := range 70 {
					s.add(sb.Now().Add(-time.Duration(k)*time.Minute), float64(k))
				}
				queries = append(queries, metricQuery(fmt.Sprintf("m%d", i), s.name, "Maximum", 60))
			}
			cw := cloudwatch.NewFromConfig(sb.Config(), protocol)
			in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(sb.Now().Add(-time.Hour)), EndTime: aws.Time(sb.Now()), MetricDataQueries: queries}
			c := &cloudWatch{r: sb.Region("")}
			b.Run("wire", func(b *testing.B) {
				for b.Loop() {
					if _, err := cw.GetMetricData(b.Context(), in); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("handler", func(b *testing.B) {
				for b.Loop() {
					if _, err := c.metricData(b.Context(), in); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
