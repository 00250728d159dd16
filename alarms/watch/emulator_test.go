package watch

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// TestEveryRuleGoesRoundElsewhere applies the catalogue's alarms on the emulators
// that KXOPS_CONFORMANCE names (see .ci/emulators.sh): what we make of alarms is
// checked against somebody else's CloudWatch.
func TestEveryRuleGoesRoundElsewhere(t *testing.T) {
	protocols := map[string]string{"moto": "query", "ministack": "json"}
	mathless := map[string]bool{"ministack": true} // drops the queries of a math alarm
	p := at(t, "incident")
	w := alarms.Want(p.survey(t), alarms.Settings{Tier: alarms.OptIn}, p.Now())
	tried := 0
	for _, pair := range strings.FieldsFunc(os.Getenv("KXOPS_CONFORMANCE"), func(r rune) bool { return r == ',' || r == ' ' }) {
		name, endpoint, _ := strings.Cut(pair, "=")
		if protocols[name] == "" { // no CloudWatch
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			cfg := aws.Config{Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test", "")}
			c, err := cloud.Open(t.Context(), cloud.Options{Config: &cfg, Access: cloud.Change, Protocol: protocols[name], NoQuotas: true})
			must(t, err)
			j, err := journal.Open(t.TempDir())
			must(t, err)
			there := &place{Sandbox: p.Sandbox, desk: New(Options{Config: c.Config(), Identity: identity(), Journal: j})}
			topic, err := there.desk.MakeTopic(t.Context(), "kxops-round-trip")
			must(t, err)
			there.page = topic
			wishes := catalogue{}
			for _, s := range w.Specs {
				if len(s.Math) == 0 || !mathless[name] {
					wishes.wanted.Specs = append(wishes.wanted.Specs, s)
				}
			}
			n := len(wishes.wanted.Specs)
			rm := there.plan(t, there.look(), alarms.Ask{Remove: true}, catalogue{}) // of an earlier run
			there.apply(t, rm)
			plan := there.plan(t, there.look(), there.ask(), wishes)
			count(t, plan, map[alarms.Action]int{alarms.Create: n})
			if r := there.apply(t, plan); r.Created != n {
				t.Fatalf("%+v", r)
			}
			count(t, there.plan(t, there.look(), there.ask(), wishes), map[alarms.Action]int{alarms.Keep: n})
			if r := there.apply(t, there.plan(t, there.look(), alarms.Ask{Remove: true}, catalogue{})); r.Deleted != n {
				t.Errorf("%d of %d deleted, %+v", r.Deleted, n, r.Failed)
			}
		})
	}
	if tried == 0 {
		t.Skip("KXOPS_CONFORMANCE names no emulator of CloudWatch")
	}
}

// TestOneOfOneElsewhere lets an emulator that judges alarms by itself judge them, and
// compares with our evaluator. Ministack does, but of one window only: it knows neither
// M of N nor missing data, and moto judges nothing, so these have the user guide's own
// rows instead (alarms/testdata/decide.json).
func TestOneOfOneElsewhere(t *testing.T) {
	_, endpoint, found := strings.Cut(os.Getenv("KXOPS_CONFORMANCE"), "ministack=")
	if !found {
		t.Skip("KXOPS_CONFORMANCE names no emulator that judges alarms")
	}
	endpoint, _, _ = strings.Cut(strings.ReplaceAll(endpoint, ",", " "), " ")
	client := cloudwatch.NewFromConfig(aws.Config{Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test", "")})
	const threshold = 5
	run := time.Now().UnixNano()
	for _, by := range []alarms.Comparison{alarms.Above, alarms.AtLeast, alarms.Below, alarms.AtMost} {
		for _, value := range []float64{-1, 0, 4.999, 5, 5.001, 1e12} {
			name := fmt.Sprintf("judged-%d-%s-%g", run, by, value)
			_, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("kxops"), MetricData: []types.MetricDatum{{MetricName: &name, Value: &value, Timestamp: aws.Time(time.Now())}}})
			must(t, err)
			_, err = client.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{AlarmName: &name, Namespace: aws.String("kxops"), MetricName: &name, Statistic: types.StatisticMaximum,
				Period: aws.Int32(300), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(threshold), ComparisonOperator: types.ComparisonOperator(by)})
			must(t, err)
			out, err := client.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
			must(t, err)
			points := []float64{math.NaN(), math.NaN(), value}
			if want := alarms.Decide(points, 1, 1, by.Beyond(threshold), alarms.MissingIsMissing, alarms.StateIsNoData); string(out.MetricAlarms[0].StateValue) != string(want) {
				t.Errorf("%s: %s there, %s here", name, out.MetricAlarms[0].StateValue, want)
			}
			_, err = client.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}})
			must(t, err)
		}
	}
}
