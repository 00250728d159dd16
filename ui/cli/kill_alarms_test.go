package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kxops/labs/sandbox"
)

// TestKillAlarms is the promise of `alarms apply`, with real processes: it is killed with
// SIGKILL at random instants, and the same command again does what is left. In the end
// the account has the alarms, with their tags, that one undisturbed run makes, and
// somebody else's alarm is as it was. KXOPS_KILL_RUNS and KXOPS_KILL_SEED as for TestKill.
func TestKillAlarms(t *testing.T) {
	runs, seed := setting(t, "KXOPS_KILL_RUNS", killRunsDefault), setting(t, "KXOPS_KILL_SEED", int(time.Now().UnixNano()%1e9))
	want, _, err := killAlarmsOnce(t.Context(), t.TempDir(), seed, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) < 5 {
		t.Fatalf("an undisturbed run makes %d alarms", len(want))
	}
	kills := 0
	for i := range runs {
		got, k, err := killAlarmsOnce(t.Context(), t.TempDir(), seed+i, true)
		if err != nil {
			t.Fatalf("KXOPS_KILL_SEED=%d: %v", seed+i, err)
		}
		if diff := gocmp.Diff(want, got, cmpopts.IgnoreUnexported(types.MetricAlarm{}, types.Dimension{}, types.MetricDataQuery{}, types.MetricStat{}, types.Metric{})); diff != "" {
			t.Fatalf("KXOPS_KILL_SEED=%d: after %d kills: %s", seed+i, k, diff)
		}
		kills += k
	}
	t.Logf("%d runs, %d kills, %d alarms", runs, kills, len(want))
	if runs >= 10 && kills < runs {
		t.Errorf("only %d kills in %d runs: this tests nothing", kills, runs)
	}
}

// alarmKept is what has to be the same of an alarm, however often its maker was killed.
type alarmKept struct {
	Alarm types.MetricAlarm
	Tags  map[string]string
}

// theirs is somebody else's alarm.
const theirs = "payments: lag"

func killAlarmsOnce(ctx context.Context, dir string, seed int, mayKill bool) (made map[string]alarmKept, kills int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r := &killRun{ctx: ctx, dir: dir, chance: rand.New(rand.NewPCG(uint64(seed), 3))}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, strings.Join(r.said, "\n"))
		}
	}()
	if r.sb, err = sandbox.New(sandbox.Options{Scenario: "incident", Seed: 1}); err != nil {
		return nil, 0, err
	}
	defer r.sb.Close()
	client := cloudwatch.NewFromConfig(r.sb.Config())
	if _, err := client.PutMetricAlarm(ctx, &cloudwatch.PutMetricAlarmInput{AlarmName: aws.String(theirs), Namespace: aws.String("AWS/Kinesis"),
		MetricName: aws.String("GetRecords.IteratorAgeMilliseconds"), Statistic: types.StatisticMaximum, Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1),
		Threshold: aws.Float64(1), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
		Dimensions: []types.Dimension{{Name: aws.String("StreamName"), Value: aws.String("payments")}}}); err != nil {
		return nil, 0, err
	}
	defer r.serve()()
	for again := true; again; {
		if again, _, err = r.run(mayKill && r.kills < killsMost, "--access", "change", "--yes", "alarms", "apply", "--rule", "kds.*", "--rule", "dlq.loss", "--topic", "oncall", "--loud"); err != nil {
			return nil, r.kills, err
		}
		r.door.settled()
	}
	made, err = madeAlarms(ctx, client)
	return made, r.kills, err
}

// madeAlarms are the alarms of the account with their tags, without what is the engine's
// or a time.
func madeAlarms(ctx context.Context, client *cloudwatch.Client) (map[string]alarmKept, error) {
	out := map[string]alarmKept{}
	pages := cloudwatch.NewDescribeAlarmsPaginator(client, &cloudwatch.DescribeAlarmsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range page.MetricAlarms {
			if name := aws.ToString(a.AlarmName); name != theirs && !strings.HasPrefix(name, "kxops/") {
				continue // the scenario's own
			}
			tags, err := client.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: a.AlarmArn})
			if err != nil {
				return nil, err
			}
			kept := alarmKept{Tags: map[string]string{}}
			for _, t := range tags.Tags {
				kept.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			kept.Alarm = types.MetricAlarm{AlarmName: a.AlarmName, AlarmDescription: a.AlarmDescription, ActionsEnabled: a.ActionsEnabled, AlarmActions: a.AlarmActions, OKActions: a.OKActions,
				Namespace: a.Namespace, MetricName: a.MetricName, Dimensions: a.Dimensions, Metrics: a.Metrics, Statistic: a.Statistic, ExtendedStatistic: a.ExtendedStatistic,
				Period: a.Period, EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm, Threshold: a.Threshold, ComparisonOperator: a.ComparisonOperator,
				TreatMissingData: a.TreatMissingData}
			out[aws.ToString(a.AlarmName)] = kept
		}
	}
	return out, nil
}
