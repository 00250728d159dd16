package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// alarmOn makes an alarm with an action.
func (x *run) alarmOn(action string) string {
	name := x.name("alarm")
	_, err := x.set.watch.PutMetricAlarm(x.ctx, &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, Namespace: aws.String("Kxops/none"), MetricName: aws.String("Depth"), Statistic: types.StatisticMaximum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, AlarmActions: []string{action},
	})
	x.must("PutMetricAlarm", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.watch.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}})
		return err
	})
	return name
}

// mute makes a mute rule that starts soon and ends by itself.
func (x *run) mute(alarm string) string {
	name := x.name("mute")
	_, err := x.set.watch.PutAlarmMuteRule(x.ctx, muteInput(x, name, alarm))
	x.must("PutAlarmMuteRule", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.watch.DeleteAlarmMuteRule(ctx, &cloudwatch.DeleteAlarmMuteRuleInput{AlarmMuteRuleName: &name})
		return err
	})
	return name
}

func muteInput(x *run, name, alarm string) *cloudwatch.PutAlarmMuteRuleInput {
	at := x.now().Add(time.Hour).Format("2006-01-02T15:04")
	return &cloudwatch.PutAlarmMuteRuleInput{Name: &name, Description: aws.String("because"), MuteTargets: &types.MuteTargets{AlarmNames: []string{alarm}},
		Rule: &types.Rule{Schedule: &types.Schedule{Expression: aws.String("at(" + at + ")"), Duration: aws.String("PT1H30M"), Timezone: aws.String("UTC")}}}
}

func isMissing(err error) bool {
	var missing *types.ResourceNotFoundException
	var old *types.ResourceNotFound
	return errors.As(err, &missing) || errors.As(err, &old)
}

var drillCases = []oneCase{
	{name: "sets the state and its reason", service: "CloudWatch", operation: "SetAlarmState", run: func(x *run) {
		name := x.alarmOn(x.topic())
		_, err := x.watch.SetAlarmState(x.ctx, &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: types.StateValueAlarm, StateReason: aws.String("drill")})
		x.must("SetAlarmState", err)
		a := x.described(name)
		equal(x, "state", a.StateValue, types.StateValueAlarm)
		equal(x, "reason", aws.ToString(a.StateReason), "drill")
	}},
	{name: "a missing alarm is not found", service: "CloudWatch", operation: "SetAlarmState", run: func(x *run) {
		_, err := x.watch.SetAlarmState(x.ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String(x.name("none")), StateValue: types.StateValueAlarm, StateReason: aws.String("drill")})
		if !isMissing(err) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "gives the actions, newest first", service: "CloudWatch", operation: "DescribeAlarmHistory", run: func(x *run) {
		topic := x.topic()
		name := x.alarmOn(topic)
		for _, s := range []types.StateValue{types.StateValueAlarm, types.StateValueOk, types.StateValueAlarm} {
			_, err := x.set.watch.SetAlarmState(x.ctx, &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: s, StateReason: aws.String("drill")})
			x.must("SetAlarmState", err)
		}
		in := &cloudwatch.DescribeAlarmHistoryInput{AlarmName: &name, HistoryItemType: types.HistoryItemTypeAction,
			AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}, ScanBy: types.ScanByTimestampDescending, MaxRecords: aws.Int32(100)}
		_, err := x.watch.DescribeAlarmHistory(x.within(5*time.Second), in)
		x.must("DescribeAlarmHistory", err)
		x.until("two actions", func() (bool, error) {
			out, err := x.watch.DescribeAlarmHistory(x.ctx, in)
			if err != nil || len(out.AlarmHistoryItems) < 2 {
				return false, err
			}
			equal(x, "items", len(out.AlarmHistoryItems), 2)
			if out.AlarmHistoryItems[0].Timestamp.Before(*out.AlarmHistoryItems[1].Timestamp) {
				x.errorf("the oldest is first")
			}
			for _, item := range out.AlarmHistoryItems {
				if !strings.HasPrefix(aws.ToString(item.HistorySummary), "Successfully executed action "+topic) {
					x.errorf("the summary is %q", aws.ToString(item.HistorySummary))
				}
			}
			return true, nil
		})
	}},
	{name: "takes a rule with at()", service: "CloudWatch", operation: "PutAlarmMuteRule", run: func(x *run) {
		name := x.name("mute")
		_, err := x.watch.PutAlarmMuteRule(x.ctx, muteInput(x, name, x.alarmOn(x.topic())))
		x.must("PutAlarmMuteRule", err)
		x.after(func(ctx context.Context) error {
			_, err := x.set.watch.DeleteAlarmMuteRule(ctx, &cloudwatch.DeleteAlarmMuteRuleInput{AlarmMuteRuleName: &name})
			return err
		})
		out, err := x.set.watch.GetAlarmMuteRule(x.ctx, &cloudwatch.GetAlarmMuteRuleInput{AlarmMuteRuleName: &name})
		x.must("GetAlarmMuteRule", err)
		equal(x, "duration", aws.ToString(out.Rule.Schedule.Duration), "PT1H30M")
	}},
	{name: "says what a rule mutes", service: "CloudWatch", operation: "GetAlarmMuteRule", run: func(x *run) {
		alarm := x.alarmOn(x.topic())
		name := x.mute(alarm)
		out, err := x.watch.GetAlarmMuteRule(x.ctx, &cloudwatch.GetAlarmMuteRuleInput{AlarmMuteRuleName: &name})
		x.must("GetAlarmMuteRule", err)
		equal(x, "name", aws.ToString(out.Name), name)
		equal(x, "description", aws.ToString(out.Description), "because")
		if out.MuteTargets == nil || !slices.Equal(out.MuteTargets.AlarmNames, []string{alarm}) || out.Status == "" {
			x.errorf("targets %+v, status %q", out.MuteTargets, out.Status)
		}
	}},
	{name: "a missing rule is not found", service: "CloudWatch", operation: "GetAlarmMuteRule", run: func(x *run) {
		_, err := x.watch.GetAlarmMuteRule(x.ctx, &cloudwatch.GetAlarmMuteRuleInput{AlarmMuteRuleName: aws.String(x.name("none"))})
		if !isMissing(err) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "lists the rules", service: "CloudWatch", operation: "ListAlarmMuteRules", run: func(x *run) {
		name := x.mute(x.alarmOn(x.topic()))
		x.until("the rule is listed", func() (bool, error) {
			pages := cloudwatch.NewListAlarmMuteRulesPaginator(x.watch, &cloudwatch.ListAlarmMuteRulesInput{})
			for pages.HasMorePages() {
				page, err := pages.NextPage(x.ctx)
				if err != nil {
					return false, err
				}
				for _, s := range page.AlarmMuteRuleSummaries {
					if strings.HasSuffix(aws.ToString(s.AlarmMuteRuleArn), ":alarm-mute-rule:"+name) {
						return true, nil
					}
				}
			}
			return false, nil
		})
	}},
	{name: "deletes a rule", service: "CloudWatch", operation: "DeleteAlarmMuteRule", run: func(x *run) {
		name := x.name("mute")
		_, err := x.set.watch.PutAlarmMuteRule(x.ctx, muteInput(x, name, x.alarmOn(x.topic())))
		x.must("PutAlarmMuteRule", err)
		_, err = x.watch.DeleteAlarmMuteRule(x.ctx, &cloudwatch.DeleteAlarmMuteRuleInput{AlarmMuteRuleName: &name})
		x.must("DeleteAlarmMuteRule", err)
		if _, err := x.set.watch.GetAlarmMuteRule(x.ctx, &cloudwatch.GetAlarmMuteRuleInput{AlarmMuteRuleName: &name}); !isMissing(err) {
			x.errorf("after the delete: %v", err)
		}
	}},
	{name: "lists who hears a topic", service: "SNS", operation: "ListSubscriptionsByTopic", run: func(x *run) {
		topic := x.topic()
		arn, queue, _ := x.subscription(topic)
		out, err := x.sns.ListSubscriptionsByTopic(x.ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
		x.must("ListSubscriptionsByTopic", err)
		if len(out.Subscriptions) != 1 {
			x.fatalf("%d subscriptions, want 1", len(out.Subscriptions))
		}
		equal(x, "ARN", aws.ToString(out.Subscriptions[0].SubscriptionArn), arn)
		equal(x, "endpoint", aws.ToString(out.Subscriptions[0].Endpoint), queue)
	}},
}
