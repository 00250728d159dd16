package survey

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

// surveyAlarms reads the state of every alarm: a page of a hundred costs as much
// as one metric, and CloudWatch has already done the watching.
func (s *Survey) surveyAlarms(ctx context.Context) {
	survey(ctx, s, &s.picture.Alarms, source[ops.Alarm]{
		list:  s.listAlarms,
		key:   func(a ops.Alarm) string { return a.Name },
		renew: func(_, listed ops.Alarm) ops.Alarm { return listed },
	})
}

func (s *Survey) listAlarms(ctx context.Context, found func([]ops.Alarm)) error {
	pages := cloudwatch.NewDescribeAlarmsPaginator(s.metrics, &cloudwatch.DescribeAlarmsInput{
		AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm},
		MaxRecords: aws.Int32(100),
	})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return errTooManyPages("alarms")
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("describe alarms: %w", err)
		}
		page := make([]ops.Alarm, 0, len(out.MetricAlarms)+len(out.CompositeAlarms))
		for _, a := range out.MetricAlarms {
			page = append(page, metricAlarm(a))
		}
		for _, a := range out.CompositeAlarms {
			page = append(page, compositeAlarm(a))
		}
		found(page)
	}
	return nil
}

func metricAlarm(x types.MetricAlarm) ops.Alarm {
	a := ops.Alarm{
		ARN:        ops.ARN(aws.ToString(x.AlarmArn)),
		Name:       aws.ToString(x.AlarmName),
		State:      string(x.StateValue),
		Reason:     aws.ToString(x.StateReason),
		Since:      since(x.StateTransitionedTimestamp, x.StateUpdatedTimestamp),
		Namespace:  aws.ToString(x.Namespace),
		MetricName: aws.ToString(x.MetricName),
		Dimensions: dimensions(x.Dimensions),
		Comparison: string(x.ComparisonOperator),
		Period:     time.Duration(aws.ToInt32(x.Period)) * time.Second,
		Actions:    len(x.AlarmActions),
		Enabled:    aws.ToBool(x.ActionsEnabled),
	}
	if x.Threshold != nil {
		a.Threshold = ops.Know(*x.Threshold, a.Since)
	}
	if n := aws.ToInt32(x.EvaluationPeriods); n > 0 {
		m := n // an absent M means all of N
		if x.DatapointsToAlarm != nil {
			m = *x.DatapointsToAlarm
		}
		a.Evaluation = fmt.Sprintf("%d/%d", m, n)
	}
	for _, q := range x.Metrics { // a math alarm watches what its first metric belongs to
		a.Math = a.Math || q.Expression != nil
		if a.MetricName == "" && q.MetricStat != nil && q.MetricStat.Metric != nil {
			a.Namespace = aws.ToString(q.MetricStat.Metric.Namespace)
			a.MetricName = aws.ToString(q.MetricStat.Metric.MetricName)
			a.Dimensions = dimensions(q.MetricStat.Metric.Dimensions)
			a.Period = time.Duration(aws.ToInt32(q.MetricStat.Period)) * time.Second
		}
	}
	a.Resource = watched(a)
	return a
}

func compositeAlarm(x types.CompositeAlarm) ops.Alarm {
	return ops.Alarm{
		ARN:       ops.ARN(aws.ToString(x.AlarmArn)),
		Name:      aws.ToString(x.AlarmName),
		State:     string(x.StateValue),
		Reason:    aws.ToString(x.StateReason),
		Since:     since(x.StateTransitionedTimestamp, x.StateUpdatedTimestamp),
		Actions:   len(x.AlarmActions),
		Enabled:   aws.ToBool(x.ActionsEnabled),
		Composite: true,
	}
}

// since prefers the time of the last transition: the update time also moves when
// only the reason changes.
func since(transitioned, updated *time.Time) time.Time {
	if transitioned != nil {
		return *transitioned
	}
	return aws.ToTime(updated)
}

func dimensions(in []types.Dimension) map[string]string {
	out := make(map[string]string, len(in))
	for _, d := range in {
		out[aws.ToString(d.Name)] = aws.ToString(d.Value)
	}
	return out
}

// watched builds the ARN of what an alarm watches from the metric's dimensions
// and the alarm's own ARN: same partition, account and region.
func watched(a ops.Alarm) ops.ARN {
	part := strings.SplitN(string(a.ARN), ":", 6)
	if len(part) < 6 {
		return ""
	}
	build := func(service, format, dimension string) ops.ARN {
		name := a.Dimensions[dimension]
		if name == "" {
			return ""
		}
		return ops.ARN(strings.Join([]string{"arn", part[1], service, part[3], part[4], fmt.Sprintf(format, name)}, ":"))
	}
	switch a.Namespace {
	case "AWS/Kinesis":
		return build("kinesis", "stream/%s", "StreamName")
	case "AWS/Firehose":
		return build("firehose", "deliverystream/%s", "DeliveryStreamName")
	case "AWS/SQS":
		return build("sqs", "%s", "QueueName")
	case "AWS/SNS":
		return build("sns", "%s", "TopicName")
	case "AWS/Lambda":
		return build("lambda", "function:%s", "FunctionName")
	case "AWS/ApiGateway":
		if name := a.Dimensions["ApiName"]; name != "" {
			return ops.RESTAPI(part[1], part[3], name)
		}
		if id := a.Dimensions["ApiId"]; id != "" {
			return ops.ARN("arn:" + part[1] + ":apigateway:" + part[3] + "::/apis/" + id)
		}
	case "AWS/S3":
		if name := cmp.Or(a.Dimensions["BucketName"], a.Dimensions["SourceBucket"]); name != "" {
			return ops.ARN("arn:" + part[1] + ":s3:::" + name)
		}
	}
	return ""
}
