package watch

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/survey"
)

// past is a sandbox with history, and what should watch it.
type past struct {
	*sandbox.Sandbox
	desk *Desk
	snap ops.Snapshot
}

func pastOf(t testing.TB, scenario string) past {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Start: time.Date(2026, 11, 22, 12, 0, 45, 0, time.UTC), Scenario: scenario})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	cfg := sb.Config()
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &cfg, NoQuotas: true, Access: cloud.Change})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	snap := survey.New(door, survey.Options{NoCache: true, Now: sb.Now}).Collect(ctx, survey.Ask{}, nil)
	if snap.Partial() {
		t.Fatalf("the survey is not whole: %+v", snap.Sections())
	}
	return past{sb, New(Options{Config: door.Config(), Now: sb.Now, Explain: door.Explain, Identity: ops.Identity{Account: sandbox.Account, Region: sandbox.HomeRegion}}), snap}
}

// The judge is the sandbox's own alarm engine, which shares no code with ours: the
// same alarms are put there, an hour passes, and then their history is compared with
// what the backtest says about that hour.
func TestABacktestRingsWhenTheAlarmsRang(t *testing.T) {
	p := pastOf(t, "incident")
	specs := alarms.Want(p.snap, alarms.Settings{Tier: alarms.Full}, p.Now()).Specs
	if len(specs) < 60 {
		t.Fatalf("only %d alarms", len(specs))
	}
	for _, s := range specs {
		if _, err := p.desk.metrics.PutMetricAlarm(t.Context(), wanted(s, routes{}, nil)); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
	}
	began := p.Now()
	p.Advance(4*time.Hour + 15*time.Second) // to a full minute, and a few five-minute periods beyond the settling
	for range 6 {
		p.Advance(time.Minute)
	}
	got, err := p.desk.Backtest(t.Context(), specs, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.From.Before(began.Add(time.Hour)) || len(got.Trials) != len(specs) {
		t.Fatalf("%d trials from %s, it began at %s", len(got.Trials), got.From, began)
	}
	rang, compared := 0, 0
	for _, trial := range got.Trials {
		if trial.Unknown != "" {
			t.Errorf("%s: %s", trial.Name, trial.Unknown)
			continue
		}
		spec := specNamed(specs, trial.Name)
		if spec.Period != 60 {
			continue // the engine evaluates each minute over periods that slide; a history has whole ones only
		}
		compared++
		want := p.inAlarm(t, trial.Name, got.From, got.Until)
		if diff := math.Abs(trial.Total - want.Seconds()); diff > 180 { // at the ends, and a minute that a point came late
			t.Errorf("%s was %s in ALARM, the backtest says %s in %d spells %v", trial.Name, want, time.Duration(trial.Total)*time.Second, trial.Fired, trial.Spells)
		}
		if want > 0 {
			rang++
		}
	}
	if rang < 3 || compared < 40 {
		t.Errorf("%d of %d rang: this proves nothing", rang, compared)
	}
}

func specNamed(specs []alarms.Spec, name string) alarms.Spec {
	for _, s := range specs {
		if s.Name == name {
			return s
		}
	}
	return alarms.Spec{}
}

// inAlarm is how long an alarm was in ALARM, by its history.
func (p past) inAlarm(t *testing.T, name string, from, until time.Time) (sum time.Duration) {
	t.Helper()
	state, since := "", from
	end := func(at time.Time) {
		if at.After(until) {
			at = until
		}
		if state == "ALARM" && at.After(since) {
			sum += at.Sub(since)
		}
		since = at
	}
	pages := cloudwatch.NewDescribeAlarmHistoryPaginator(cloudwatch.NewFromConfig(p.Config()), &cloudwatch.DescribeAlarmHistoryInput{
		AlarmName: &name, HistoryItemType: types.HistoryItemTypeStateUpdate, ScanBy: types.ScanByTimestampAscending})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range out.AlarmHistoryItems {
			at := aws.ToTime(h.Timestamp)
			if at.After(from) {
				end(at)
			}
			_, state, _ = strings.Cut(aws.ToString(h.HistorySummary), " to ")
		}
	}
	end(until)
	return sum
}

func TestTrialBatchesFitIntoAnswers(t *testing.T) {
	var specs []alarms.Spec
	for i := range 1350 {
		s := alarms.Spec{Name: fmt.Sprint(i), Period: 60, M: 15, N: 15}
		if i%3 == 0 {
			s.Period, s.Math = 300, make([]alarms.Query, 3)
		}
		specs = append(specs, s)
	}
	n := 0
	for _, b := range trialBatches(specs, week) {
		n += len(b)
		queries := 0
		for _, s := range b {
			queries += max(1, len(s.Math))
			if s.Period != b[0].Period {
				t.Error("a batch of two periods")
			}
		}
		if queries > queriesMost || pointsOf(b, week) > pointsMost {
			t.Errorf("%d queries, %d points", queries, pointsOf(b, week))
		}
	}
	if n != len(specs) {
		t.Errorf("%d of %d are in batches", n, len(specs))
	}
}

func TestAFactorMakesANoisyAlarmQuiet(t *testing.T) {
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	until := from.Add(week)
	s := alarms.Spec{Period: 60, M: 3, N: 3, Comparison: alarms.Above, Threshold: 100, Missing: alarms.MissingIsGood}
	line := newTimeline(from.Add(-time.Hour), until, 60)
	for i := range line.points {
		line.points[i] = 10
		if i%1440 >= 700 && i%1440 < 710 {
			line.points[i] = 140 // ten minutes of each day
		}
	}
	got := try(s, line, from, until)
	if got.Fired != 7 || got.Longest != 480 || got.Factor != 1.5 || got.Points != 7*1440+1 {
		t.Errorf("%+v", got)
	}
	s.Threshold = 0
	if got := try(s, line, from, until); got.Factor != 0 {
		t.Errorf("a threshold of 0 times %v", got.Factor)
	}
	line.unknown = "CloudWatch says Forbidden"
	if got := try(s, line, from, until); got.Unknown == "" || got.Fired != 0 {
		t.Errorf("what could not be read is told as %+v", got)
	}
}

// A stream that was made in the middle of the range did not ring before.
func TestATrialBeginsWithTheMetric(t *testing.T) {
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	s := alarms.Spec{Period: 60, M: 3, N: 3, Comparison: alarms.Above, Threshold: 100, Missing: alarms.MissingIsBad}
	line := newTimeline(from, from.Add(2*time.Hour), 60)
	if got := try(s, line, from, from.Add(2*time.Hour)); got.Fired != 1 || got.Periods != 120 {
		t.Errorf("a metric without any point: %+v", got)
	}
	for i := 60; i < 100; i++ {
		line.points[i] = 1
	}
	got := try(s, line, from, from.Add(2*time.Hour))
	if got.Fired != 1 || !got.First.After(from.Add(100*time.Minute)) || !got.Ringing || got.Periods != 60 {
		t.Errorf("it lived from minute 60 to 100: %+v", got)
	}
}

// Part of a series is no series, except on a page that is not the last.
func TestAnIncompleteAnswerIsUnknown(t *testing.T) {
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		code types.StatusCode
		more bool
		good bool
	}{
		{types.StatusCodeComplete, false, true}, {types.StatusCodePartialData, true, true}, {types.StatusCodePartialData, false, false},
		{types.StatusCodeForbidden, true, false}, {types.StatusCodeInternalError, false, false},
	} {
		line := newTimeline(from, from.Add(time.Hour), 60)
		line.add(types.MetricDataResult{StatusCode: c.code, Timestamps: []time.Time{from.Add(time.Minute)}, Values: []float64{7}}, c.more)
		if (line.unknown == "") != c.good || line.points[1] != 7 {
			t.Errorf("%s, more %v: %q", c.code, c.more, line.unknown)
		}
	}
}

func TestIDsOfAMathAlarmAreRenamed(t *testing.T) {
	if got := renamed("IF(m1>60000, RATE(m1), 0)+m11", map[string]string{"m1": "q3_m1"}); got != "IF(q3_m1>60000, RATE(q3_m1), 0)+m11" {
		t.Error(got)
	}
}

// 1,350 alarms over seven days of minutes, the series made up: the CPU time that the
// evaluation takes.
func BenchmarkTry1350AlarmsOver7Days(b *testing.B) {
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	until := from.Add(week)
	s := alarms.Spec{Period: 60, M: 10, N: 15, Comparison: alarms.Above, Threshold: 100, Missing: alarms.MissingIsGood}
	line := newTimeline(from.Add(-time.Hour), until, 60)
	for i := range line.points {
		line.points[i] = float64((i * 7919) % 130)
	}
	for b.Loop() {
		for range 1350 {
			try(s, line, from, until)
		}
	}
}
