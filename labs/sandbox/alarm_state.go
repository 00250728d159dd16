package sandbox

import (
	"context"
	"encoding/json"
	"slices"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

// This file is what people do to alarms that exist: switch actions, set a state,
// tag, delete.

func noAlarm(name string) error {
	return &types.ResourceNotFound{Message: aws.String("There is no alarm named " + name)}
}

func checkNames(names []string) error {
	switch {
	case len(names) == 0:
		return missingParameter("AlarmNames")
	case len(names) > 100:
		return constraint(len(names), "alarmNames", "Member must have length less than or equal to 100")
	}
	for _, n := range names {
		if n == "" || len(n) > 255 {
			return constraint(n, "alarmNames", "Member must have length between 1 and 255")
		}
	}
	return nil
}

// deleteAlarms deletes what it finds: a name that does not exist does not stop
// the others. At most one composite alarm per call (API reference, DeleteAlarms).
func (c *cloudWatch) deleteAlarms(_ context.Context, in *cloudwatch.DeleteAlarmsInput) (*cloudwatch.DeleteAlarmsOutput, error) {
	if err := checkNames(in.AlarmNames); err != nil {
		return nil, err
	}
	composites := 0
	for _, n := range in.AlarmNames {
		if a := c.alarms.byName[n]; a != nil && a.group != nil {
			composites++
		}
	}
	if composites > 1 || composites == 1 && len(in.AlarmNames) > 1 {
		return nil, invalidRequest("A composite alarm must be deleted in a request of its own.")
	}
	for _, n := range in.AlarmNames {
		if a := c.alarms.byName[n]; a != nil {
			c.recordConfiguration(a, "deleted")
			c.alarms.remove(n)
		}
	}
	return &cloudwatch.DeleteAlarmsOutput{}, nil
}

func (c *cloudWatch) switchActions(names []string, on bool) error {
	if err := checkNames(names); err != nil {
		return err
	}
	for _, n := range names {
		if a := c.alarms.byName[n]; a != nil && a.actionsOn != on {
			a.actionsOn, a.configured = on, c.r.now()
			c.recordConfiguration(a, "updated")
		}
	}
	return nil
}

// setAlarmState sets a state for a moment: the next evaluation sets it right, but
// the actions have run (API reference, SetAlarmState).
func (c *cloudWatch) setAlarmState(_ context.Context, in *cloudwatch.SetAlarmStateInput) (*cloudwatch.SetAlarmStateOutput, error) {
	a := c.alarms.byName[deref(in.AlarmName)]
	switch {
	case deref(in.AlarmName) == "":
		return nil, missingParameter("AlarmName")
	case in.StateReason == nil:
		return nil, missingParameter("StateReason")
	case len(*in.StateReason) > 1023:
		return nil, constraint(len(*in.StateReason), "stateReason", "Member must have length less than or equal to 1023")
	case !slices.Contains(types.StateValue("").Values(), in.StateValue):
		return nil, constraint(in.StateValue, "stateValue", "Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]")
	case in.StateReasonData != nil && (len(*in.StateReasonData) > 4000 || !json.Valid([]byte(*in.StateReasonData))):
		return nil, &types.InvalidFormatFault{Message: aws.String("StateReasonData was not syntactically valid JSON")}
	case a == nil:
		return nil, noAlarm(*in.AlarmName)
	}
	c.transition(a, in.StateValue, *in.StateReason, deref(in.StateReasonData))
	c.evaluateComposites()
	return &cloudwatch.SetAlarmStateOutput{}, nil
}

// describeAlarmsForMetric finds the alarms on exactly this metric; those on a
// math expression are not among them (API reference, DescribeAlarmsForMetric).
func (c *cloudWatch) describeAlarmsForMetric(_ context.Context, in *cloudwatch.DescribeAlarmsForMetricInput) (*cloudwatch.DescribeAlarmsForMetricOutput, error) {
	switch {
	case deref(in.Namespace) == "":
		return nil, missingParameter("Namespace")
	case deref(in.MetricName) == "":
		return nil, missingParameter("MetricName")
	}
	if err := checkDimensions(in.Dimensions, "Dimensions"); err != nil {
		return nil, err
	}
	key := seriesKey(*in.Namespace, *in.MetricName, dimsOf(in.Dimensions))
	out := &cloudwatch.DescribeAlarmsForMetricOutput{MetricAlarms: []types.MetricAlarm{}}
	for _, n := range c.alarms.names {
		a := c.alarms.byName[n]
		if a.metric == nil || len(a.metric.Metrics) > 0 || a.watched.key != key ||
			in.Statistic != "" && in.Statistic != a.metric.Statistic ||
			in.ExtendedStatistic != nil && *in.ExtendedStatistic != deref(a.metric.ExtendedStatistic) ||
			in.Period != nil && *in.Period != deref(a.metric.Period) ||
			in.Unit != "" && in.Unit != a.metric.Unit {
			continue
		}
		out.MetricAlarms = append(out.MetricAlarms, a.described())
	}
	return out, nil
}

// tagsOf finds the tags of an alarm or a mute rule.
func (c *cloudWatch) tagsOf(arn *string) (map[string]string, error) {
	if deref(arn) == "" {
		return nil, missingParameter("ResourceARN")
	}
	for _, a := range c.alarms.byName {
		if string(a.arn) == *arn {
			return a.tags, nil
		}
	}
	for _, m := range c.alarms.mutes {
		if string(m.arn) == *arn {
			return m.tags, nil
		}
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String(*arn + " does not exist"), ResourceId: arn}
}

func (c *cloudWatch) tagResource(_ context.Context, in *cloudwatch.TagResourceInput) (*cloudwatch.TagResourceOutput, error) {
	tags, err := c.tagsOf(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	fresh := 0
	for _, t := range in.Tags {
		if _, ok := tags[*t.Key]; !ok {
			fresh++
		}
	}
	if len(tags)+fresh > 50 {
		return nil, badValue("The maximum number of tags per resource is 50.")
	}
	for _, t := range in.Tags {
		tags[*t.Key] = deref(t.Value)
	}
	return &cloudwatch.TagResourceOutput{}, nil
}

func (c *cloudWatch) untagResource(_ context.Context, in *cloudwatch.UntagResourceInput) (*cloudwatch.UntagResourceOutput, error) {
	tags, err := c.tagsOf(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(tags, k)
	}
	return &cloudwatch.UntagResourceOutput{}, nil
}

func (c *cloudWatch) listTags(_ context.Context, in *cloudwatch.ListTagsForResourceInput) (*cloudwatch.ListTagsForResourceOutput, error) {
	tags, err := c.tagsOf(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &cloudwatch.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for k, v := range tags {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	sort.Slice(out.Tags, func(i, j int) bool { return *out.Tags[i].Key < *out.Tags[j].Key })
	return out, nil
}

// taggedAlarms lists the alarms for the tagging API.
func (c *cloudWatch) taggedAlarms() []taggedResource {
	var out []taggedResource
	for _, n := range c.alarms.names {
		a := c.alarms.byName[n]
		if len(a.tags) > 0 {
			out = append(out, taggedResource{ARN: ops.ARN(a.arn), Tags: a.tags})
		}
	}
	return out
}
