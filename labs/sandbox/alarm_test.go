package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// datapointsOf reads AWS's notation, oldest first: 0 is fine, X breaches, - is missing.
func datapointsOf(s string) []float64 {
	var out []float64
	for _, f := range strings.Fields(s) {
		switch f {
		case "-":
			out = append(out, math.NaN())
		case "X":
			out = append(out, 10)
		default:
			out = append(out, 0)
		}
	}
	return out
}

// missingCase is a row of the table that package alarms decides by too.
type missingCase struct {
	Points                                   string
	M, N                                     int
	Missing, Ignore, Breaching, NotBreaching string
}

// TestMissingData follows the tables of the CloudWatch user guide, "Configuring
// how CloudWatch alarms treat missing data" (alarms-and-missing-data): the first
// rows are its 3 out of 3 and 2 out of 3 examples with an evaluation range of
// five; the rest is derived from its text. "keep" is "retain current state".
func TestMissingData(t *testing.T) {
	text, err := os.ReadFile("../../alarms/testdata/decide.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []missingCase
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) < 30 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	for _, c := range cases {
		for treat, want := range map[string]string{"missing": c.Missing, "ignore": c.Ignore, "breaching": c.Breaching, "notBreaching": c.NotBreaching} {
			got := string(decide(datapointsOf(c.Points), c.M, c.N, func(v float64) bool { return v > 5 }, treat).state)
			if got == "" {
				got = "keep"
			}
			if got != want {
				t.Errorf("%s, %d out of %d, %s: got %s, want %s", c.Points, c.M, c.N, treat, got, want)
			}
		}
	}
}

// page catches what alarms send to topics.
type sentAlarm struct {
	topic ops.ARN
	delivery
}

func catchAlarms(sb *Sandbox, err error) *[]sentAlarm {
	var sent []sentAlarm
	sb.do(func() {
		sb.Region("").receivers["sns"] = func(target ops.ARN, d delivery) error {
			if err == nil {
				sent = append(sent, sentAlarm{target, d})
			}
			return err
		}
	})
	return &sent
}

const pageTopic = "arn:aws:sns:eu-west-1:123456789012:page"

func alarmOn(name, metric string, m, n int32, treat string) *cloudwatch.PutMetricAlarmInput {
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String(name), Namespace: aws.String("Test"), MetricName: aws.String(metric),
		Dimensions: []types.Dimension{{Name: aws.String("Queue"), Value: aws.String("q")}},
		Statistic:  types.StatisticMaximum, Period: aws.Int32(60), EvaluationPeriods: aws.Int32(n), DatapointsToAlarm: aws.Int32(m),
		Threshold: aws.Float64(5), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, TreatMissingData: aws.String(treat),
		AlarmActions: []string{pageTopic}, OKActions: []string{pageTopic},
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func putAlarm(t *testing.T, cw *cloudwatch.Client, in *cloudwatch.PutMetricAlarmInput) {
	t.Helper()
	if _, err := cw.PutMetricAlarm(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func oneAlarm(t *testing.T, cw *cloudwatch.Client, name string) types.MetricAlarm {
	t.Helper()
	out, err := cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
	if err != nil || len(out.MetricAlarms) != 1 {
		t.Fatalf("%s: %v, %d alarms", name, err, len(out.MetricAlarms))
	}
	return out.MetricAlarms[0]
}

func historyOf(t *testing.T, cw *cloudwatch.Client, name string, kind types.HistoryItemType) []types.AlarmHistoryItem {
	t.Helper()
	out, err := cw.DescribeAlarmHistory(t.Context(), &cloudwatch.DescribeAlarmHistoryInput{AlarmName: &name, HistoryItemType: kind, ScanBy: types.ScanByTimestampAscending})
	if err != nil {
		t.Fatal(err)
	}
	return out.AlarmHistoryItems
}

func summaries(items []types.AlarmHistoryItem) []string {
	var out []string
	for _, it := range items {
		out = append(out, *it.HistorySummary)
	}
	return out
}

// A breach is seen at the end of its minute, the topic gets AWS's message, and it
// is over only after five quiet minutes (1 out of 5, see dlq.nonempty).
func TestAlarmFiresAndClears(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	sent := catchAlarms(sb, nil)
	putAlarm(t, cw, alarmOn("a", "depth", 1, 5, "notBreaching"))
	publish(sb, "depth", 0, 0, 7, 0, 0)
	a := oneAlarm(t, cw, "a")
	if a.StateValue != types.StateValueAlarm || !strings.HasPrefix(*a.StateReason, "Threshold Crossed: 1 out of the last 5 datapoints [7.0 (") ||
		!strings.HasSuffix(*a.StateReason, ")] was greater than the threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition).") {
		t.Fatalf("got %s, %s", a.StateValue, *a.StateReason)
	}
	if !json.Valid([]byte(*a.StateReasonData)) {
		t.Errorf("StateReasonData is no JSON: %s", *a.StateReasonData)
	}
	publish(sb, "depth", 0, 0, 0, 0)
	if s := oneAlarm(t, cw, "a").StateValue; s != types.StateValueOk {
		t.Fatalf("got %s after five quiet minutes", s)
	}
	var subjects []string
	for _, d := range *sent {
		subjects = append(subjects, d.Subject)
		if d.From.Service() != "cloudwatch" || d.topic != pageTopic {
			t.Errorf("sent from %s to %s", d.From, d.topic)
		}
	}
	want := []string{`OK: "a" in EU (Ireland)`, `ALARM: "a" in EU (Ireland)`, `OK: "a" in EU (Ireland)`}
	if diff := cmp.Diff(want, subjects); diff != "" {
		t.Error(diff)
	}
	var body struct {
		AlarmName, NewStateValue, OldStateValue, AWSAccountId, AlarmArn string
		Trigger                                                         struct {
			MetricName, Statistic string
			Threshold             float64
			Dimensions            []struct{ Name, Value string }
		}
	}
	if err := json.Unmarshal((*sent)[1].Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.NewStateValue != "ALARM" || body.OldStateValue != "OK" || body.Trigger.Statistic != "MAXIMUM" || body.Trigger.Threshold != 5 || body.Trigger.Dimensions[0].Value != "q" {
		t.Errorf("the message is %+v", body)
	}
	if diff := cmp.Diff([]string{
		`Alarm "a" created`,
		"Alarm updated from INSUFFICIENT_DATA to OK", "Successfully executed action " + pageTopic,
		"Alarm updated from OK to ALARM", "Successfully executed action " + pageTopic,
		"Alarm updated from ALARM to OK", "Successfully executed action " + pageTopic,
	}, summaries(historyOf(t, cw, "a", ""))); diff != "" {
		t.Error(diff)
	}
}

// A failing action is seen in the history and nowhere else (repost.aws,
// cloudwatch-receive-sns-for-alarm-trigger).
func TestFailedActionIsInTheHistory(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	catchAlarms(sb, errors.New("Resource: x is not authorized to perform: SNS:Publish on resource: y"))
	putAlarm(t, cw, alarmOn("a", "depth", 1, 1, "notBreaching"))
	publish(sb, "depth", 7)
	items := historyOf(t, cw, "a", types.HistoryItemTypeAction)
	if len(items) != 1 || !strings.HasPrefix(*items[0].HistorySummary, "Failed to execute action "+pageTopic+`. Received error: "Resource: x is not authorized`) {
		t.Fatalf("got %v", summaries(items))
	}
	var data struct{ ActionState, Error string }
	if err := json.Unmarshal([]byte(*items[0].HistoryData), &data); err != nil || data.ActionState != "Failed" || data.Error == "" {
		t.Errorf("got %+v, %v", data, err)
	}
}

// Put replaces the whole configuration, leaves the state, and ignores tags on an
// update (API reference, PutMetricAlarm).
func TestPutReplacesEverythingButStateAndTags(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		in := alarmOn("a", "depth", 1, 1, "breaching")
		in.AlarmDescription = aws.String("first")
		in.Tags = []types.Tag{{Key: aws.String("kxops:managed"), Value: aws.String("true")}}
		putAlarm(t, cw, in)
		sb.Advance(time.Minute)
		again := alarmOn("a", "depth", 2, 3, "missing")
		again.ActionsEnabled = aws.Bool(false)
		again.Tags = []types.Tag{{Key: aws.String("other"), Value: aws.String("x")}}
		putAlarm(t, cw, again)
		a := oneAlarm(t, cw, "a")
		if a.StateValue != types.StateValueAlarm || a.AlarmDescription != nil || *a.DatapointsToAlarm != 2 || *a.ActionsEnabled {
			t.Errorf("got %+v", a)
		}
		tags, err := cw.ListTagsForResource(t.Context(), &cloudwatch.ListTagsForResourceInput{ResourceARN: a.AlarmArn})
		if err != nil {
			t.Fatal(err)
		}
		if len(tags.Tags) != 1 || *tags.Tags[0].Key != "kxops:managed" {
			t.Errorf("tags are %v", tags.Tags)
		}
	})
}

func TestAlarmValidation(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	for name, c := range map[string]struct {
		change func(*cloudwatch.PutMetricAlarmInput)
		want   string
	}{
		"more than a day": {func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationPeriods = aws.Int32(1441) }, "Metrics cannot be checked across more than a day"},
		"more than a week": {func(in *cloudwatch.PutMetricAlarmInput) {
			in.Period, in.EvaluationPeriods = aws.Int32(3600), aws.Int32(169)
		}, "more than a week"},
		"m above n":    {func(in *cloudwatch.PutMetricAlarmInput) { in.DatapointsToAlarm = aws.Int32(9) }, "DatapointsToAlarm"},
		"odd period":   {func(in *cloudwatch.PutMetricAlarmInput) { in.Period = aws.Int32(90) }, "Period"},
		"no statistic": {func(in *cloudwatch.PutMetricAlarmInput) { in.Statistic = "" }, "Statistic"},
		"bad treat":    {func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = aws.String("never") }, "TreatMissingData"},
		"bad action":   {func(in *cloudwatch.PutMetricAlarmInput) { in.AlarmActions = []string{"page"} }, "Invalid arn syntax: page"},
		"other region": {func(in *cloudwatch.PutMetricAlarmInput) {
			in.AlarmActions = []string{"arn:aws:sns:us-west-2:123456789012:page"}
		}, "Invalid region us-west-2"},
		"six actions":  {func(in *cloudwatch.PutMetricAlarmInput) { in.AlarmActions = []string{"1", "2", "3", "4", "5", "6"} }, "less than or equal to 5"},
		"no threshold": {func(in *cloudwatch.PutMetricAlarmInput) { in.Threshold = nil }, "Threshold"},
		"long name":    {func(in *cloudwatch.PutMetricAlarmInput) { in.AlarmName = aws.String(strings.Repeat("a", 256)) }, "255"},
		"metric and math": {func(in *cloudwatch.PutMetricAlarmInput) {
			in.Metrics = []types.MetricDataQuery{metricQuery("m1", "depth", "Sum", 60)}
		}, "must not be set if Metrics is set"},
	} {
		in := alarmOn("a", "depth", 1, 5, "missing")
		c.change(in)
		if _, err := cw.PutMetricAlarm(t.Context(), in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	in := mathAlarm("a", "m1", metricQuery("m1", "depth", "Maximum", 60), metricQuery("m2", "depth", "Maximum", 60))
	in.Metrics[0].ReturnData = nil
	if _, err := cw.PutMetricAlarm(t.Context(), in); err == nil || !strings.Contains(err.Error(), "Exactly one element") {
		t.Errorf("two results: %v", err)
	}
}

func mathAlarm(name, e string, metrics ...types.MetricDataQuery) *cloudwatch.PutMetricAlarmInput {
	for i := range metrics {
		metrics[i].ReturnData = aws.Bool(false)
	}
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String(name), Metrics: append(metrics, expression("e1", e)),
		EvaluationPeriods: aws.Int32(3), DatapointsToAlarm: aws.Int32(2), Threshold: aws.Float64(0.9),
		ComparisonOperator: types.ComparisonOperatorGreaterThanOrEqualToThreshold, TreatMissingData: aws.String("notBreaching"),
		AlarmActions: []string{pageTopic},
	}
}

// The slope rule of our catalog: nobody deletes the oldest message.
func TestMathAlarm(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		sent := catchAlarms(sb, nil)
		putAlarm(t, cw, mathAlarm("stuck", "IF(m1 > 60, RATE(m1), 0)", metricQuery("m1", "age", "Maximum", 60)))
		publish(sb, "age", 10, 20, 70, 80)
		if s := oneAlarm(t, cw, "stuck").StateValue; s != types.StateValueOk {
			t.Errorf("got %s", s)
		}
		publish(sb, "age", 140, 200)
		a := oneAlarm(t, cw, "stuck")
		if a.StateValue != types.StateValueAlarm || len(*sent) != 1 || len(a.Metrics) != 2 {
			t.Errorf("got %s, %d messages", a.StateValue, len(*sent))
		}
	})
}

// A set state acts and is put right by the next evaluation (API reference,
// SetAlarmState).
func TestSetStateActsAndReverts(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		sent := catchAlarms(sb, nil)
		putAlarm(t, cw, alarmOn("a", "depth", 1, 1, "notBreaching"))
		publish(sb, "depth", 0)
		set := &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("a"), StateValue: types.StateValueAlarm, StateReason: aws.String("drill")}
		if _, err := cw.SetAlarmState(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		if a := oneAlarm(t, cw, "a"); a.StateValue != types.StateValueAlarm || *a.StateReason != "drill" || len(*sent) != 2 {
			t.Errorf("got %s %s, %d messages", a.StateValue, *a.StateReason, len(*sent))
		}
		publish(sb, "depth", 0)
		if s := oneAlarm(t, cw, "a").StateValue; s != types.StateValueOk {
			t.Errorf("got %s a minute later", s)
		}
		set.AlarmName = aws.String("nobody")
		_, err := cw.SetAlarmState(t.Context(), set)
		var gone *types.ResourceNotFound
		if !errors.As(err, &gone) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSwitchTagAndDeleteAlarms(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		sent := catchAlarms(sb, nil)
		for _, n := range []string{"a", "b", "c"} {
			putAlarm(t, cw, alarmOn(n, "depth", 1, 1, "breaching"))
		}
		must[*cloudwatch.DisableAlarmActionsOutput](t)(cw.DisableAlarmActions(t.Context(), &cloudwatch.DisableAlarmActionsInput{AlarmNames: []string{"a", "b", "nobody"}}))
		must[*cloudwatch.EnableAlarmActionsOutput](t)(cw.EnableAlarmActions(t.Context(), &cloudwatch.EnableAlarmActionsInput{AlarmNames: []string{"b"}}))
		sb.Advance(time.Minute)
		if len(*sent) != 2 {
			t.Errorf("%d messages, want those of b and c", len(*sent))
		}
		arn := oneAlarm(t, cw, "a").AlarmArn
		must[*cloudwatch.TagResourceOutput](t)(cw.TagResource(t.Context(), &cloudwatch.TagResourceInput{ResourceARN: arn, Tags: []types.Tag{{Key: aws.String("x"), Value: aws.String("1")}, {Key: aws.String("y"), Value: aws.String("2")}}}))
		must[*cloudwatch.UntagResourceOutput](t)(cw.UntagResource(t.Context(), &cloudwatch.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"x"}}))
		tags := must[*cloudwatch.ListTagsForResourceOutput](t)(cw.ListTagsForResource(t.Context(), &cloudwatch.ListTagsForResourceInput{ResourceARN: arn}))
		if len(tags.Tags) != 1 || *tags.Tags[0].Key != "y" {
			t.Errorf("tags are %v", tags.Tags)
		}
		found := must[*cloudwatch.DescribeAlarmsForMetricOutput](t)(cw.DescribeAlarmsForMetric(t.Context(), &cloudwatch.DescribeAlarmsForMetricInput{
			Namespace: aws.String("Test"), MetricName: aws.String("depth"), Dimensions: []types.Dimension{{Name: aws.String("Queue"), Value: aws.String("q")}},
		}))
		if len(found.MetricAlarms) != 3 {
			t.Errorf("%d alarms for the metric", len(found.MetricAlarms))
		}
		must[*cloudwatch.DeleteAlarmsOutput](t)(cw.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"nobody", "a", "c"}}))
		left := must[*cloudwatch.DescribeAlarmsOutput](t)(cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{}))
		if len(left.MetricAlarms) != 1 || *left.MetricAlarms[0].AlarmName != "b" {
			t.Errorf("left are %d", len(left.MetricAlarms))
		}
		items := historyOf(t, cw, "a", types.HistoryItemTypeConfigurationUpdate) // outlives the alarm
		if diff := cmp.Diff([]string{`Alarm "a" created`, `Alarm "a" updated`, `Alarm "a" deleted`}, summaries(items)); diff != "" {
			t.Error(diff)
		}
	})
}

// During a mute the evaluation goes on and no action runs; when the window ends
// and the alarm is still in that state, the action runs then (user guide,
// alarm-mute-rules-behaviour).
func TestMuteRule(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		sent := catchAlarms(sb, nil)
		for _, n := range []string{"stays", "passes"} {
			in := alarmOn(n, n, 1, 1, "notBreaching")
			in.OKActions = nil
			putAlarm(t, cw, in)
		}
		rule := &cloudwatch.PutAlarmMuteRuleInput{
			Name:        aws.String("deploy"),
			MuteTargets: &types.MuteTargets{AlarmNames: []string{"stays", "passes"}},
			Rule: &types.Rule{Schedule: &types.Schedule{
				Expression: aws.String(sb.Now().Add(2 * time.Minute).UTC().Format("at(2006-01-02T15:04)")), Duration: aws.String("PT10M"),
			}},
		}
		must[*cloudwatch.PutAlarmMuteRuleOutput](t)(cw.PutAlarmMuteRule(t.Context(), rule))
		status := func() types.AlarmMuteRuleStatus {
			return must[*cloudwatch.GetAlarmMuteRuleOutput](t)(cw.GetAlarmMuteRule(t.Context(), &cloudwatch.GetAlarmMuteRuleInput{AlarmMuteRuleName: aws.String("deploy")})).Status
		}
		if s := status(); s != types.AlarmMuteRuleStatusScheduled {
			t.Errorf("status %s before", s)
		}
		sb.Advance(3 * time.Minute)
		if s := status(); s != types.AlarmMuteRuleStatusActive {
			t.Errorf("status %s during", s)
		}
		for range 5 {
			sb.do(func() { sb.Region("").metrics.series("Test", "passes", "Count", "Queue", "q").add(sb.now(), 7) })
			publish(sb, "stays", 7)
		}
		publish(sb, "stays", 7, 7)
		if len(*sent) != 0 || oneAlarm(t, cw, "stays").StateValue != types.StateValueAlarm {
			t.Errorf("%d messages during the mute", len(*sent))
		}
		publish(sb, "stays", 7, 7, 7)
		if len(*sent) != 1 || !strings.Contains((*sent)[0].Subject, "stays") {
			t.Errorf("%d messages after the mute", len(*sent))
		}
		list := must[*cloudwatch.ListAlarmMuteRulesOutput](t)(cw.ListAlarmMuteRules(t.Context(), &cloudwatch.ListAlarmMuteRulesInput{AlarmName: aws.String("stays")}))
		if len(list.AlarmMuteRuleSummaries) != 1 || list.AlarmMuteRuleSummaries[0].Status != types.AlarmMuteRuleStatusExpired {
			t.Errorf("listed %v", list.AlarmMuteRuleSummaries)
		}
		must[*cloudwatch.DeleteAlarmMuteRuleOutput](t)(cw.DeleteAlarmMuteRule(t.Context(), &cloudwatch.DeleteAlarmMuteRuleInput{AlarmMuteRuleName: aws.String("deploy")}))
		rule.MuteTargets.AlarmNames = []string{"nobody"}
		if _, err := cw.PutAlarmMuteRule(t.Context(), rule); err == nil {
			t.Error("a mute rule for an alarm that does not exist")
		}
	})
}

func TestMuteSchedules(t *testing.T) {
	for _, c := range []struct {
		expression, duration, zone, at string
		starts                         bool
	}{
		{"cron(0 2 * * *)", "PT1H", "", "2026-11-22T02:00:00Z", true},
		{"cron(0 2 * * *)", "PT1H", "", "2026-11-22T02:01:00Z", false},
		{"cron(0 2 * * SUN)", "PT1H", "", "2026-11-22T02:00:00Z", true},
		{"cron(0 2 * * MON-FRI)", "PT1H", "", "2026-11-22T02:00:00Z", false},
		{"cron(0,30 1-3 22 NOV *)", "P1DT2H", "", "2026-11-22T03:30:00Z", true},
		{"cron(0 2 * * *)", "PT1M", "Europe/London", "2026-07-01T01:00:00Z", true},
		{"at(2026-11-22T14:00)", "P15D", "UTC", "2026-11-22T14:00:00Z", true},
	} {
		s, err := parseMute(c.expression, c.duration, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if s.starts(at) != c.starts {
			t.Errorf("%s at %s: starts %v", c.expression, c.at, !c.starts)
		}
	}
	for _, bad := range [][3]string{
		{"cron(0 2 * *)", "PT1H", ""}, {"cron(60 2 * * *)", "PT1H", ""}, {"cron(0 2 * * X)", "PT1H", ""}, {"at(tomorrow)", "PT1H", ""},
		{"rate(1 hour)", "PT1H", ""}, {"cron(0 2 * * *)", "P16D", ""}, {"cron(0 2 * * *)", "PT", ""}, {"cron(0 2 * * *)", "", ""}, {"cron(0 2 * * *)", "PT1H", "Mars/Base"},
	} {
		if _, err := parseMute(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestCompositeAlarm(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, sb *Sandbox, cw *cloudwatch.Client) {
		sent := catchAlarms(sb, nil)
		for _, n := range []string{"a", "b"} {
			in := alarmOn(n, n, 1, 1, "notBreaching")
			in.AlarmActions, in.OKActions = nil, nil
			putAlarm(t, cw, in)
		}
		put := &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String("both"), AlarmRule: aws.String(`ALARM("a") AND NOT (OK(b))`), AlarmActions: []string{pageTopic}}
		must[*cloudwatch.PutCompositeAlarmOutput](t)(cw.PutCompositeAlarm(t.Context(), put))
		must[*cloudwatch.PutCompositeAlarmOutput](t)(cw.PutCompositeAlarm(t.Context(), &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String("above"), AlarmRule: aws.String("ALARM(both)")}))
		publish(sb, "a", 7)
		state := func(name string) types.StateValue {
			out := must[*cloudwatch.DescribeAlarmsOutput](t)(cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeCompositeAlarm}}))
			return out.CompositeAlarms[0].StateValue
		}
		if s := state("both"); s != types.StateValueOk {
			t.Errorf("got %s with one of two", s)
		}
		must[*cloudwatch.SetAlarmStateOutput](t)(cw.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("b"), StateValue: types.StateValueAlarm, StateReason: aws.String("test")}))
		if state("both") != types.StateValueAlarm || state("above") != types.StateValueAlarm || len(*sent) != 1 {
			t.Errorf("got %s, %s, %d messages", state("both"), state("above"), len(*sent))
		}
		plain := must[*cloudwatch.DescribeAlarmsOutput](t)(cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{}))
		if len(plain.CompositeAlarms) != 0 || len(plain.MetricAlarms) != 2 {
			t.Errorf("without AlarmTypes: %d composite, %d metric alarms", len(plain.CompositeAlarms), len(plain.MetricAlarms))
		}
		kids := must[*cloudwatch.DescribeAlarmsOutput](t)(cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{ChildrenOfAlarmName: aws.String("both")}))
		if len(kids.MetricAlarms) != 2 {
			t.Errorf("%d children", len(kids.MetricAlarms))
		}
		for _, bad := range []string{"ALARM(nobody)", "ALARM(above)", "ALARM(a", "a AND b", "ALARM(a) b", "AT_LEAST(1, ALARM, (a))"} {
			put.AlarmRule = aws.String(bad)
			if _, err := cw.PutCompositeAlarm(t.Context(), put); err == nil {
				t.Errorf("%s was taken", bad)
			}
		}
	})
}

// A percentile of too few samples holds the state when the alarm says so; p90
// needs a hundred.
func TestLowSamplesHoldTheState(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	catchAlarms(sb, nil)
	s := sb.Region("").metrics.series("Test", "latency", "Count", "Queue", "q").exact()
	for name, low := range map[string]string{"strict": "evaluate", "calm": "ignore"} {
		in := alarmOn(name, "latency", 1, 1, "notBreaching")
		in.Statistic, in.ExtendedStatistic, in.EvaluateLowSampleCountPercentile = "", aws.String("p90"), aws.String(low)
		putAlarm(t, cw, in)
	}
	samples := func(n int) {
		sb.do(func() {
			for range n {
				s.add(sb.now(), 50)
			}
		})
		sb.Advance(time.Minute)
	}
	samples(20)
	if a, b := oneAlarm(t, cw, "strict").StateValue, oneAlarm(t, cw, "calm").StateValue; a != types.StateValueAlarm || b != types.StateValueInsufficientData {
		t.Errorf("with 20 samples: %s and %s", a, b)
	}
	samples(200)
	if b := oneAlarm(t, cw, "calm").StateValue; b != types.StateValueAlarm {
		t.Errorf("with 200 samples: %s", b)
	}
}

func TestHistoryPages(t *testing.T) {
	sb := empty(t)
	cw := cloudwatch.NewFromConfig(sb.Config())
	catchAlarms(sb, nil)
	putAlarm(t, cw, alarmOn("a", "depth", 1, 1, "notBreaching"))
	publish(sb, "depth", 7, 0, 7, 0)
	for _, order := range []types.ScanBy{types.ScanByTimestampAscending, types.ScanByTimestampDescending} {
		n := 0
		var last time.Time
		p := cloudwatch.NewDescribeAlarmHistoryPaginator(cw, &cloudwatch.DescribeAlarmHistoryInput{MaxRecords: aws.Int32(2), ScanBy: order})
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range page.AlarmHistoryItems {
				if n > 0 && it.Timestamp.Before(last) != (order == types.ScanByTimestampDescending) && !it.Timestamp.Equal(last) {
					t.Errorf("%s: %s after %s", order, it.Timestamp, last)
				}
				n, last = n+1, *it.Timestamp
			}
		}
		if n != 9 { // created, four state changes, four actions
			t.Errorf("%s: %d items", order, n)
		}
	}
}

// manyAlarms fills a sandbox with alarms on metrics of their own.
func manyAlarms(t testing.TB, sb *Sandbox, n int) *cloudWatch {
	r := sb.Region("")
	c := &cloudWatch{r: r}
	sb.do(func() {
		c.alarms = alarmBook{byName: map[string]*alarm{}, mutes: map[string]*muteRule{}}
		for i := range n {
			s := r.metrics.series("Test", fmt.Sprintf("m%d", i), "Count", "Queue", "q")
			for back := range 30 {
				s.add(sb.now().Add(-time.Duration(back)*time.Minute), float64(i%10))
			}
			if _, err := c.putMetricAlarm(t.Context(), alarmOn(fmt.Sprintf("a%d", i), s.name, 15, 15, "notBreaching")); err != nil {
				t.Fatal(err)
			}
		}
	})
	return c
}

func TestManyAlarms(t *testing.T) {
	sb := empty(t)
	c := manyAlarms(t, sb, 200)
	sb.do(func() { c.evaluateAlarms(sb.now()) })
	alarms := 0
	for _, a := range c.alarms.byName {
		if a.state == types.StateValueAlarm {
			alarms++
		}
	}
	if alarms != 80 {
		t.Errorf("%d alarms, want the 80 whose metric is above 5", alarms)
	}
}

// BenchmarkEvaluateAlarms is one minute of the alarms of a large account: it has
// to stay near a millisecond, or three hours of history take long.
func BenchmarkEvaluateAlarms(b *testing.B) {
	sb, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sb.Close)
	c := manyAlarms(b, sb, 1350)
	sb.do(func() {
		c.evaluateAlarms(sb.now())
		b.ResetTimer()
		for b.Loop() {
			c.evaluateAlarms(sb.now())
		}
	})
}

func FuzzRule(f *testing.F) {
	for _, s := range []string{`ALARM("a") AND NOT (OK(b) OR TRUE)`, "NOT NOT FALSE", "((", `ALARM("`, "INSUFFICIENT_DATA(arn:aws:cloudwatch:eu-west-1:1:alarm:x)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseRule(s)
		if err == nil {
			n.holds(func(string) types.StateValue { return types.StateValueOk })
		}
	})
}

func FuzzMuteSchedule(f *testing.F) {
	f.Add("cron(0 2 * * SUN)", "P2DT12H", "Europe/London")
	f.Add("at(2026-05-10T14:00)", "PT1M", "")
	f.Fuzz(func(t *testing.T, e, d, z string) {
		s, err := parseMute(e, d, z)
		if err != nil {
			return
		}
		if s.duration < shortestMute || s.duration > longestMute {
			t.Errorf("%q gives %s", d, s.duration)
		}
		s.starts(time.Unix(1_800_000_000, 0))
	})
}

// The whole way: a queue's own metric, an alarm, a topic, a queue that reads it.
// A topic that does not exist leaves a failed action in the history.
func TestAlarmReachesAQueueThroughATopic(t *testing.T) {
	sb := empty(t)
	cw, q, topics := cloudwatch.NewFromConfig(sb.Config()), sqs.NewFromConfig(sb.Config()), sns.NewFromConfig(sb.Config())
	dlq := must[*sqs.CreateQueueOutput](t)(q.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("orders-dlq")}))
	inbox := must[*sqs.CreateQueueOutput](t)(q.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("inbox"), Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`,
	}}))
	topic := must[*sns.CreateTopicOutput](t)(topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("page")}))
	must[*sns.SubscribeOutput](t)(topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:eu-west-1:123456789012:inbox")}))
	in := alarmOn("dlq.nonempty", "ApproximateNumberOfMessagesVisible", 1, 5, "notBreaching")
	in.Namespace, in.Threshold, in.OKActions = aws.String("AWS/SQS"), aws.Float64(0), nil
	in.Dimensions = []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String("orders-dlq")}}
	in.AlarmActions = []string{*topic.TopicArn, pageTopic + "-gone"}
	putAlarm(t, cw, in)
	must[*sqs.SendMessageOutput](t)(q.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: dlq.QueueUrl, MessageBody: aws.String("poison")}))
	sb.Advance(5 * time.Minute)
	got := must[*sqs.ReceiveMessageOutput](t)(q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: inbox.QueueUrl}))
	if len(got.Messages) != 1 || !strings.Contains(*got.Messages[0].Body, `\"NewStateValue\":\"ALARM\"`) {
		t.Fatalf("got %d messages; history %q", len(got.Messages), summaries(historyOf(t, cw, "dlq.nonempty", "")))
	}
	actions := summaries(historyOf(t, cw, "dlq.nonempty", types.HistoryItemTypeAction))
	if len(actions) != 2 || !strings.HasPrefix(actions[0], "Successfully") || !strings.HasPrefix(actions[1], "Failed to execute action "+pageTopic+"-gone") {
		t.Errorf("got %q", actions)
	}
}
