package watch

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
)

// Hearers are the topics that our alarms tell now: of those that page, and of
// those that can wait ("" where it is the same one). Who says nothing about topics
// means these: saying nothing must not take them away. It reads a hundred alarms
// and takes what most of them have.
func (d *Desk) Hearers(ctx context.Context) (page, ticket ops.ARN, err error) {
	out, err := bounded(ctx, func(ctx context.Context) (*cloudwatch.DescribeAlarmsOutput, error) {
		return d.metrics.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{
			AlarmNamePrefix: aws.String(Prefix), AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}, MaxRecords: aws.Int32(100),
		})
	})
	if err != nil {
		return "", "", fmt.Errorf("read whom our alarms tell: %w", d.o.Explain(err))
	}
	pages, tickets := map[ops.ARN]int{}, map[ops.ARN]int{}
	for _, a := range out.MetricAlarms {
		mark, ours := readMark(aws.ToString(a.AlarmDescription))
		if !ours || mark.Topics == "" {
			continue
		}
		count := tickets
		if rule, ok := alarms.RuleOf(mark.Rule); ok && rule.Severity == alarms.Page {
			count = pages
		}
		for _, action := range a.AlarmActions {
			if topic := ops.ARN(action); topic.Service() == "sns" && mark.Topics == shortSum(action) {
				count[topic]++
			}
		}
	}
	page, ticket = most(pages), most(tickets)
	if page == "" || ticket == page {
		return cmp.Or(page, ticket), "", nil
	}
	return page, ticket, nil
}

// most is the topic that was counted most often, the first by name of equals.
func most(n map[ops.ARN]int) (best ops.ARN) {
	for topic := range n {
		if best == "" || n[topic] > n[best] || n[topic] == n[best] && topic < best {
			best = topic
		}
	}
	return best
}
