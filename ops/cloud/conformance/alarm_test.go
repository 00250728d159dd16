package conformance

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// described reads one alarm.
func (x *run) described(name string) types.MetricAlarm {
	out, err := x.watch.DescribeAlarms(x.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
	x.must("DescribeAlarms", err)
	if len(out.MetricAlarms) != 1 {
		x.fatalf("%d alarms named %s, want 1", len(out.MetricAlarms), name)
	}
	return out.MetricAlarms[0]
}

// put creates or changes an alarm through the door.
func (x *run) put(in *cloudwatch.PutMetricAlarmInput) {
	_, err := x.watch.PutMetricAlarm(x.ctx, in)
	x.must("PutMetricAlarm", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.watch.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{*in.AlarmName}})
		return err
	})
}

func ageAlarm(name string) *cloudwatch.PutMetricAlarmInput {
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, Namespace: aws.String("Kxops/conformance"), MetricName: aws.String("Age"), Statistic: types.StatisticMaximum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(15), DatapointsToAlarm: aws.Int32(10), Threshold: aws.Float64(43200000), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
		Dimensions: []types.Dimension{{Name: aws.String("Part"), Value: aws.String("a")}}, TreatMissingData: aws.String("notBreaching"),
		AlarmDescription: aws.String("first line\nkxops:v1 rule=kds.loss hash=0123"), ActionsEnabled: aws.Bool(false),
		Tags: []types.Tag{{Key: aws.String("kxops:managed"), Value: aws.String("true")}},
	}
}

func (x *run) alarmTags(arn *string) map[string]string {
	out, err := x.watch.ListTagsForResource(x.ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: arn})
	x.must("ListTagsForResource", err)
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags
}

var alarmCases = []oneCase{
	{name: "creates an alarm as it is asked for", service: "CloudWatch", operation: "PutMetricAlarm", run: func(x *run) {
		in := ageAlarm("kxops/" + x.name("put"))
		x.put(in)
		a := x.described(*in.AlarmName)
		equal(x, "description", aws.ToString(a.AlarmDescription), *in.AlarmDescription)
		equal(x, "threshold", aws.ToFloat64(a.Threshold), 43200000.0)
		equal(x, "datapoints", aws.ToInt32(a.DatapointsToAlarm), 10)
		equal(x, "missing data", aws.ToString(a.TreatMissingData), "notBreaching")
		equal(x, "actions enabled", aws.ToBool(a.ActionsEnabled), false)
		equal(x, "state", a.StateValue, types.StateValueInsufficientData)
	}},
	{name: "replaces the whole alarm", service: "CloudWatch", operation: "PutMetricAlarm", run: func(x *run) {
		in := ageAlarm("kxops/" + x.name("put"))
		x.put(in)
		in.AlarmDescription, in.DatapointsToAlarm, in.Threshold = nil, nil, aws.Float64(5)
		x.put(in)
		a := x.described(*in.AlarmName)
		equal(x, "description", aws.ToString(a.AlarmDescription), "")
		equal(x, "threshold", aws.ToFloat64(a.Threshold), 5.0)
	}},
	{name: "keeps a math alarm", service: "CloudWatch", operation: "PutMetricAlarm", run: func(x *run) {
		name := "kxops/" + x.name("math")
		x.put(&cloudwatch.PutMetricAlarmInput{
			AlarmName: &name, EvaluationPeriods: aws.Int32(15), DatapointsToAlarm: aws.Int32(10), Threshold: aws.Float64(900), ComparisonOperator: types.ComparisonOperatorGreaterThanOrEqualToThreshold,
			Metrics: []types.MetricDataQuery{
				{Id: aws.String("m1"), ReturnData: aws.Bool(false), MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: aws.String("Kxops/conformance"), MetricName: aws.String("Age")}, Period: aws.Int32(60), Stat: aws.String("Maximum")}},
				{Id: aws.String("slope"), ReturnData: aws.Bool(true), Expression: aws.String("IF(m1>60000, RATE(m1), 0)")},
			},
		})
		a := x.described(name)
		equal(x, "queries", len(a.Metrics), 2)
	}},
	{name: "tags count on create only", service: "CloudWatch", operation: "PutMetricAlarm", run: func(x *run) {
		in := ageAlarm("kxops/" + x.name("tags"))
		x.put(in)
		in.Tags = []types.Tag{{Key: aws.String("later"), Value: aws.String("yes")}}
		x.put(in)
		tags := x.alarmTags(x.described(*in.AlarmName).AlarmArn)
		equal(x, "tag of the create", tags["kxops:managed"], "true")
		equal(x, "tag of the update", tags["later"], "")
	}},
	{name: "refuses M over N", service: "CloudWatch", operation: "PutMetricAlarm", run: func(x *run) {
		in := ageAlarm("kxops/" + x.name("bad"))
		in.DatapointsToAlarm = aws.Int32(16)
		if _, err := x.watch.PutMetricAlarm(x.ctx, in); err == nil {
			x.errorf("16 of 15 datapoints were accepted")
		}
	}},
	{name: "tags an alarm that exists", service: "CloudWatch", operation: "TagResource", run: func(x *run) {
		arn := x.described(x.alarm("Kxops/none")).AlarmArn
		_, err := x.watch.TagResource(x.ctx, &cloudwatch.TagResourceInput{ResourceARN: arn, Tags: []types.Tag{{Key: aws.String("kxops:managed"), Value: aws.String("true")}}})
		x.must("TagResource", err)
		equal(x, "tag", x.alarmTags(arn)["kxops:managed"], "true")
	}},
	{name: "lists the tags of an alarm", service: "CloudWatch", operation: "ListTagsForResource", run: func(x *run) {
		in := ageAlarm("kxops/" + x.name("tags"))
		x.put(in)
		equal(x, "tags", len(x.alarmTags(x.described(*in.AlarmName).AlarmArn)), 1)
	}},
	{name: "a missing alarm has no tags", service: "CloudWatch", operation: "ListTagsForResource", run: func(x *run) {
		arn := aws.ToString(x.described(x.alarm("Kxops/none")).AlarmArn) + "-none"
		_, err := x.watch.ListTagsForResource(x.ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: &arn})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("the error is %v, want ResourceNotFoundException", err)
		}
	}},
	{name: "finds alarms by tag", service: "Resource Groups Tagging API", operation: "GetResources", run: func(x *run) {
		in := ageAlarm("kxops/" + x.name("tagged"))
		in.Tags = append(in.Tags, types.Tag{Key: aws.String("kxops:run"), Value: in.AlarmName})
		x.put(in)
		arn := aws.ToString(x.described(*in.AlarmName).AlarmArn)
		x.until("the alarm by its tag", func() (bool, error) {
			out, err := x.tagging.GetResources(x.ctx, &resourcegroupstaggingapi.GetResourcesInput{
				ResourceTypeFilters: []string{"cloudwatch:alarm"},
				TagFilters:          []tagtypes.TagFilter{{Key: aws.String("kxops:run"), Values: []string{*in.AlarmName}}},
				ResourcesPerPage:    aws.Int32(100),
			})
			if err != nil || len(out.ResourceTagMappingList) != 1 {
				return false, err
			}
			equal(x, "ARN", aws.ToString(out.ResourceTagMappingList[0].ResourceARN), arn)
			equal(x, "tags", len(out.ResourceTagMappingList[0].Tags), 2)
			return true, nil
		})
	}},
	{name: "switches actions on", service: "CloudWatch", operation: "EnableAlarmActions", run: func(x *run) {
		in := ageAlarm("kxops/" + x.name("quiet"))
		x.put(in)
		_, err := x.watch.EnableAlarmActions(x.ctx, &cloudwatch.EnableAlarmActionsInput{AlarmNames: []string{*in.AlarmName}})
		x.must("EnableAlarmActions", err)
		equal(x, "actions enabled", aws.ToBool(x.described(*in.AlarmName).ActionsEnabled), true)
	}},
	{name: "deletes alarms, and forgives one that is not there", service: "CloudWatch", operation: "DeleteAlarms", run: func(x *run) {
		a, b := x.alarm("Kxops/none"), x.alarm("Kxops/none")
		_, err := x.watch.DeleteAlarms(x.ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{a, b}})
		x.must("DeleteAlarms", err)
		out, err := x.watch.DescribeAlarms(x.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{a, b}})
		x.must("DescribeAlarms", err)
		equal(x, "alarms left", len(out.MetricAlarms), 0)
	}},
	{name: "creates a topic once", service: "SNS", operation: "CreateTopic", run: func(x *run) {
		topic := x.topic()
		name := topic[strings.LastIndex(topic, ":")+1:]
		out, err := x.sns.CreateTopic(x.ctx, &sns.CreateTopicInput{Name: &name})
		x.must("CreateTopic", err)
		equal(x, "ARN", aws.ToString(out.TopicArn), topic)
	}},
	{name: "sets the policy of a topic", service: "SNS", operation: "SetTopicAttributes", run: func(x *run) {
		topic := x.topic()
		policy := `{"Version":"2012-10-17","Statement":[{"Sid":"Kxops","Effect":"Allow","Principal":{"Service":"cloudwatch.amazonaws.com"},"Action":"SNS:Publish","Resource":"` + topic + `"}]}`
		_, err := x.sns.SetTopicAttributes(x.ctx, &sns.SetTopicAttributesInput{TopicArn: &topic, AttributeName: aws.String("Policy"), AttributeValue: &policy})
		x.must("SetTopicAttributes", err)
		out, err := x.sns.GetTopicAttributes(x.ctx, &sns.GetTopicAttributesInput{TopicArn: &topic})
		x.must("GetTopicAttributes", err)
		if !strings.Contains(out.Attributes["Policy"], "cloudwatch.amazonaws.com") {
			x.errorf("the policy is %s", out.Attributes["Policy"])
		}
	}},
}
