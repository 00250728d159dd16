package sandbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// rationed is a sandbox with quotas and clients that do not retry.
func rationed(t *testing.T) (*Sandbox, aws.Config) {
	t.Helper()
	sb, err := New(Options{Quotas: true, Start: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	cfg := sb.Config()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return sb, cfg
}

func TestQuotasAreARateASecond(t *testing.T) {
	sb, cfg := rationed(t)
	cw, kin := cloudwatch.NewFromConfig(cfg), kinesis.NewFromConfig(cfg)
	for name, c := range map[string]struct {
		rate int
		code string
		call func() error
	}{
		"PutMetricAlarm": {3, "Throttling", func() error {
			_, err := cw.PutMetricAlarm(t.Context(), alarmOn("a", "depth", 1, 1, "missing"))
			return err
		}},
		"DescribeAlarms": {9, "Throttling", func() error {
			_, err := cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
			return err
		}},
		"ListStreams": {5, "LimitExceededException", func() error {
			_, err := kin.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
			return err
		}},
	} {
		for second := range 3 {
			for i := range c.rate {
				if err := c.call(); err != nil {
					t.Fatalf("%s: call %d of second %d: %v", name, i+1, second+1, err)
				}
			}
			if err := c.call(); codeOf(err) != c.code {
				t.Errorf("%s: call %d in one second: %v, want %s", name, c.rate+1, err, c.code)
			}
			sb.Advance(time.Second)
		}
	}
	if n := sb.Bill().Calls["cloudwatch.PutMetricAlarm"]; n != 9 {
		t.Errorf("%d calls billed: throttled calls are free", n)
	}
}

// The rate of datapoints is computed from what is asked for (facts, 4.1): six
// looks of 500 metrics x 60 minutes in a second, and no more.
func TestDatapointQuota(t *testing.T) {
	sb, cfg := rationed(t)
	cw := cloudwatch.NewFromConfig(cfg)
	var queries []types.MetricDataQuery
	for i := range 500 {
		queries = append(queries, metricQuery(fmt.Sprintf("m%d", i), "none", "Sum", 60))
	}
	look := func(back time.Duration) error {
		_, err := cw.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{StartTime: aws.Time(sb.Now().Add(-back)), EndTime: aws.Time(sb.Now()), MetricDataQueries: queries})
		return err
	}
	for i := range 6 {
		if err := look(time.Hour); err != nil {
			t.Fatalf("look %d: %v", i+1, err)
		}
	}
	if err := look(time.Hour); codeOf(err) != "Throttling" {
		t.Errorf("the seventh look: %v", err)
	}
	if err := look(4 * time.Hour); err != nil {
		t.Errorf("a look at older data has a rate of its own: %v", err)
	}
	sb.Advance(time.Second)
	if err := look(time.Hour); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func TestNoQuotasUnlessAsked(t *testing.T) {
	cw := cloudwatch.NewFromConfig(empty(t).Config())
	for range 50 {
		if _, err := cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{}); err != nil {
			t.Fatal(err)
		}
	}
}
