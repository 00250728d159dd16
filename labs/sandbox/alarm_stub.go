package sandbox

import (
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

type alarmHistory struct{}
type muteRule struct{}
type ruleNode struct{}

func (c *cloudWatch) recordConfiguration(a *alarm, created bool) {}
func (c *cloudWatch) describeFamily(in *cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
	return nil, unsupported("ChildrenOfAlarmName")
}
func (a *alarm) composite() types.CompositeAlarm { return types.CompositeAlarm{} }
