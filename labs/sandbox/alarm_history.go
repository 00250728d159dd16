package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

// alarmHistory remembers what alarms did, by alarm name; it outlives the alarm.
type alarmHistory struct {
	items map[string][]historyItem
	seq   int
}

type historyItem struct {
	name          string
	seq           int
	at            time.Time
	alarm         types.AlarmType
	kind          types.HistoryItemType
	summary, data string
}

// The bounds of the history: CloudWatch keeps 30 days; the sandbox also keeps
// only the newest items of an alarm.
const (
	historyDays     = 30
	historyPerAlarm = 100
)

func (c *cloudWatch) record(a *alarm, kind types.HistoryItemType, summary, data string) {
	h := &c.alarms.history
	if h.items == nil {
		h.items = map[string][]historyItem{}
	}
	if len(h.items) > 2*maxAlarms { // of alarms that are gone
		for name := range h.items {
			if c.alarms.byName[name] == nil {
				delete(h.items, name)
			}
		}
	}
	h.seq++
	list := append(h.items[a.name], historyItem{a.name, h.seq, c.r.now(), a.kind(), kind, summary, data})
	if len(list) > historyPerAlarm {
		list = append([]historyItem(nil), list[len(list)-historyPerAlarm:]...)
	}
	h.items[a.name] = list
}

func (c *cloudWatch) recordConfiguration(a *alarm, verb string) {
	type change struct {
		Version string          `json:"version"`
		Type    string          `json:"type"`
		Alarm   json.RawMessage `json:"alarm"`
	}
	kind := map[string]string{"created": "Create", "updated": "Update", "deleted": "Delete"}[verb]
	c.record(a, types.HistoryItemTypeConfigurationUpdate, fmt.Sprintf("Alarm %q %s", a.name, verb),
		asJSON(change{"1.0", kind, json.RawMessage(asJSON(a.asConfiguration()))}))
}

// asConfiguration is the alarm's configuration as the history shows it.
func (a *alarm) asConfiguration() map[string]any {
	m := map[string]any{
		"alarmName": a.name, "alarmArn": a.arn, "actionsEnabled": a.actionsOn,
		"alarmActions":            orEmpty(a.actions[types.StateValueAlarm]),
		"okActions":               orEmpty(a.actions[types.StateValueOk]),
		"insufficientDataActions": orEmpty(a.actions[types.StateValueInsufficientData]),
		"stateValue":              a.state,
	}
	if a.group != nil {
		m["alarmRule"] = deref(a.group.AlarmRule)
		return m
	}
	m["threshold"], m["comparisonOperator"] = deref(a.metric.Threshold), a.metric.ComparisonOperator
	m["evaluationPeriods"], m["period"] = deref(a.metric.EvaluationPeriods), alarmPeriod(a.plan)
	m["treatMissingData"] = deref(a.metric.TreatMissingData)
	if a.metric.MetricName != nil {
		m["metricName"], m["namespace"] = *a.metric.MetricName, deref(a.metric.Namespace)
	}
	return m
}

// historyState is a state as the history and the Lambda action show it.
type historyState struct {
	Value  types.StateValue `json:"stateValue"`
	Reason string           `json:"stateReason"`
	Data   json.RawMessage  `json:"stateReasonData,omitempty"`
}

func historyStateOf(state types.StateValue, reason, data string) historyState {
	s := historyState{Value: state, Reason: reason}
	if json.Valid([]byte(data)) {
		s.Data = json.RawMessage(data)
	}
	return s
}

func (c *cloudWatch) recordState(a *alarm, from pastState) {
	c.record(a, types.HistoryItemTypeStateUpdate, fmt.Sprintf("Alarm updated from %s to %s", from.state, a.state), asJSON(struct {
		Version string       `json:"version"`
		Old     historyState `json:"oldState"`
		New     historyState `json:"newState"`
	}{"1.0", historyStateOf(from.state, from.reason, from.data), historyStateOf(a.state, a.reason, a.reasonData)}))
}

func (c *cloudWatch) recordMuted(a *alarm, rule *muteRule) {
	c.record(a, types.HistoryItemTypeAction, fmt.Sprintf("Actions were muted by alarm mute rule %s", rule.name), asJSON(struct {
		State string `json:"actionState"`
		Rule  string `json:"alarmMuteRule"`
	}{"Muted", string(rule.arn)}))
}

// act runs the actions of the alarm's state and writes down how each went.
func (c *cloudWatch) act(a *alarm, from pastState) {
	for _, target := range a.actions[a.state] {
		arn := ops.ARN(target)
		d := delivery{From: a.arn}
		if arn.Service() == "lambda" {
			d.Body = []byte(asJSON(c.eventOf(a, from)))
		} else {
			d.Subject = fmt.Sprintf("%s: %q in %s", a.state, a.name, regionTitle(c.r.Name))
			if len(d.Subject) > 100 { // SNS takes no longer subject
				d.Subject = d.Subject[:100]
			}
			d.Body = []byte(asJSON(c.messageOf(a, from)))
		}
		result := actionResult{State: "Succeeded", At: awsTime(a.transitioned), Resource: target, Message: string(d.Body)}
		summary := "Successfully executed action " + target
		if err := c.r.deliver(arn, d); err != nil {
			result.State, result.Error = "Failed", err.Error()
			summary = fmt.Sprintf("Failed to execute action %s. Received error: %q", target, err.Error())
		}
		c.record(a, types.HistoryItemTypeAction, summary, asJSON(result))
	}
}

type actionResult struct {
	State    string `json:"actionState"`
	At       string `json:"stateUpdateTimestamp"`
	Resource string `json:"notificationResource"`
	Message  string `json:"publishedMessage"`
	Error    string `json:"error,omitempty"`
}

// regionTitles are how notifications name a region.
var regionTitles = map[string]string{
	"us-east-1": "US East (N. Virginia)", "us-east-2": "US East (Ohio)", "us-west-1": "US West (N. California)", "us-west-2": "US West (Oregon)",
	"eu-west-1": "EU (Ireland)", "eu-west-2": "EU (London)", "eu-west-3": "EU (Paris)", "eu-central-1": "EU (Frankfurt)", "eu-north-1": "EU (Stockholm)",
	"ap-southeast-1": "Asia Pacific (Singapore)", "ap-southeast-2": "Asia Pacific (Sydney)", "ap-northeast-1": "Asia Pacific (Tokyo)",
}

func regionTitle(name string) string {
	if t, ok := regionTitles[name]; ok {
		return t
	}
	return name
}

// alarmMessage is the body of an alarm's SNS message.
type alarmMessage struct {
	AlarmName                          string
	AlarmDescription                   *string
	AWSAccountId                       string
	AlarmConfigurationUpdatedTimestamp string
	NewStateValue                      types.StateValue
	NewStateReason                     string
	StateChangeTime                    string
	Region                             string
	AlarmArn                           ops.ARN
	OldStateValue                      types.StateValue
	OKActions                          []string
	AlarmActions                       []string
	InsufficientDataActions            []string
	Trigger                            *alarmTrigger `json:",omitempty"`
	AlarmRule                          string        `json:",omitempty"`
}

type alarmTrigger struct {
	MetricName                       string          `json:",omitempty"`
	Namespace                        string          `json:",omitempty"`
	StatisticType                    string          `json:",omitempty"`
	Statistic                        string          `json:",omitempty"`
	ExtendedStatistic                string          `json:",omitempty"`
	Unit                             *string         `json:",omitempty"`
	Dimensions                       []dimensionJSON `json:",omitempty"`
	Period                           int32           `json:",omitempty"`
	EvaluationPeriods                int32
	DatapointsToAlarm                *int32 `json:",omitempty"`
	ComparisonOperator               types.ComparisonOperator
	Threshold                        float64
	TreatMissingData                 string
	EvaluateLowSampleCountPercentile string
	Metrics                          []queryJSON `json:",omitempty"`
}

type dimensionJSON struct {
	Value string `json:"value"`
	Name  string `json:"name"`
}

type queryJSON struct {
	ID         string          `json:"Id"`
	Expression string          `json:",omitempty"`
	Label      string          `json:",omitempty"`
	MetricStat *metricStatJSON `json:",omitempty"`
	ReturnData bool
}

type metricStatJSON struct {
	Metric struct {
		Dimensions []dimensionJSON
		MetricName string
		Namespace  string
	}
	Period int32
	Stat   string
}

func dimensionsJSON(list []types.Dimension) []dimensionJSON {
	out := make([]dimensionJSON, 0, len(list))
	for _, d := range list {
		out = append(out, dimensionJSON{deref(d.Value), deref(d.Name)})
	}
	return out
}

func (c *cloudWatch) messageOf(a *alarm, from pastState) alarmMessage {
	m := alarmMessage{
		AlarmName:                          a.name,
		AWSAccountId:                       Account,
		AlarmConfigurationUpdatedTimestamp: awsTime(a.configured),
		NewStateValue:                      a.state,
		NewStateReason:                     a.reason,
		StateChangeTime:                    awsTime(a.transitioned),
		Region:                             regionTitle(c.r.Name),
		AlarmArn:                           a.arn,
		OldStateValue:                      from.state,
		OKActions:                          orEmpty(a.actions[types.StateValueOk]),
		AlarmActions:                       orEmpty(a.actions[types.StateValueAlarm]),
		InsufficientDataActions:            orEmpty(a.actions[types.StateValueInsufficientData]),
	}
	if a.group != nil {
		m.AlarmDescription, m.AlarmRule = a.group.AlarmDescription, deref(a.group.AlarmRule)
		return m
	}
	in := a.metric
	m.AlarmDescription = in.AlarmDescription
	t := &alarmTrigger{
		Period:             alarmPeriod(a.plan),
		EvaluationPeriods:  *in.EvaluationPeriods,
		DatapointsToAlarm:  in.DatapointsToAlarm,
		ComparisonOperator: in.ComparisonOperator,
		Threshold:          *in.Threshold,
		TreatMissingData:   deref(in.TreatMissingData),
	}
	m.Trigger = t
	if len(in.Metrics) == 0 {
		t.MetricName, t.Namespace, t.Dimensions = *in.MetricName, *in.Namespace, dimensionsJSON(in.Dimensions)
		t.StatisticType, t.Statistic = "Statistic", statisticTitles[in.Statistic]
		if in.ExtendedStatistic != nil {
			t.StatisticType, t.ExtendedStatistic = "ExtendedStatistic", *in.ExtendedStatistic
		}
		return m
	}
	for _, q := range in.Metrics {
		j := queryJSON{ID: deref(q.Id), Expression: deref(q.Expression), Label: deref(q.Label), ReturnData: q.ReturnData == nil || *q.ReturnData}
		if s := q.MetricStat; s != nil {
			j.MetricStat = &metricStatJSON{Period: *s.Period, Stat: *s.Stat}
			j.MetricStat.Metric.Dimensions = dimensionsJSON(s.Metric.Dimensions)
			j.MetricStat.Metric.MetricName, j.MetricStat.Metric.Namespace = *s.Metric.MetricName, *s.Metric.Namespace
		}
		t.Metrics = append(t.Metrics, j)
	}
	return m
}

var statisticTitles = map[types.Statistic]string{
	types.StatisticSum: "SUM", types.StatisticAverage: "AVERAGE", types.StatisticMaximum: "MAXIMUM",
	types.StatisticMinimum: "MINIMUM", types.StatisticSampleCount: "SAMPLE_COUNT",
}

// eventOf is the payload of an alarm's Lambda action.
func (c *cloudWatch) eventOf(a *alarm, from pastState) any {
	type state struct {
		Value      types.StateValue `json:"value"`
		Reason     string           `json:"reason"`
		ReasonData string           `json:"reasonData,omitempty"`
		Timestamp  string           `json:"timestamp"`
	}
	type data struct {
		Name          string         `json:"alarmName"`
		State         state          `json:"state"`
		Previous      state          `json:"previousState"`
		Configuration map[string]any `json:"configuration"`
	}
	return struct {
		Source    string  `json:"source"`
		AlarmArn  ops.ARN `json:"alarmArn"`
		AccountID string  `json:"accountId"`
		Time      string  `json:"time"`
		Region    string  `json:"region"`
		Data      data    `json:"alarmData"`
	}{"aws.cloudwatch", a.arn, Account, awsTime(a.transitioned), c.r.Name, data{
		a.name,
		state{a.state, a.reason, a.reasonData, awsTime(a.updated)},
		state{from.state, from.reason, from.data, awsTime(from.at)},
		a.asConfiguration(),
	}}
}

// describeAlarmHistory pages through the history, newest first unless asked
// otherwise; without AlarmTypes only that of metric alarms.
func (c *cloudWatch) describeAlarmHistory(_ context.Context, in *cloudwatch.DescribeAlarmHistoryInput) (*cloudwatch.DescribeAlarmHistoryOutput, error) {
	limit, err := alarmPage(in.MaxRecords)
	if err != nil {
		return nil, err
	}
	if in.AlarmContributorId != nil {
		return nil, unsupported("AlarmContributorId")
	}
	show := map[types.AlarmType]bool{}
	for _, t := range in.AlarmTypes {
		show[t] = true
	}
	if len(show) == 0 {
		show[types.AlarmTypeMetricAlarm] = true
	}
	var items []historyItem
	take := func(list []historyItem) {
		for _, it := range list {
			if show[it.alarm] && (in.HistoryItemType == "" || in.HistoryItemType == it.kind) &&
				(in.StartDate == nil || !it.at.Before(*in.StartDate)) && (in.EndDate == nil || it.at.Before(*in.EndDate)) &&
				c.r.now().Sub(it.at) < historyDays*24*time.Hour {
				items = append(items, it)
			}
		}
	}
	if in.AlarmName != nil {
		take(c.alarms.history.items[*in.AlarmName])
	} else {
		for _, list := range c.alarms.history.items {
			take(list)
		}
	}
	ascending := in.ScanBy == types.ScanByTimestampAscending
	sort.Slice(items, func(i, j int) bool { return (items[i].seq < items[j].seq) == ascending })
	asked := fmt.Sprint(deref(in.AlarmName), in.AlarmTypes, in.HistoryItemType, in.ScanBy, deref(in.StartDate).Unix(), deref(in.EndDate).Unix())
	at, err := readMetricsToken(in.NextToken, asked, 1)
	if err != nil {
		return nil, err
	}
	out := &cloudwatch.DescribeAlarmHistoryOutput{AlarmHistoryItems: []types.AlarmHistoryItem{}}
	for _, it := range items { // the token is the number of the last item shown: new items do not move the page
		if at[0] > 0 && (ascending && it.seq <= at[0] || !ascending && it.seq >= at[0]) {
			continue
		}
		if n := len(out.AlarmHistoryItems); n == limit {
			break
		}
		out.AlarmHistoryItems = append(out.AlarmHistoryItems, types.AlarmHistoryItem{
			AlarmName: aws.String(it.name), AlarmType: it.alarm, HistoryData: aws.String(it.data),
			HistoryItemType: it.kind, HistorySummary: aws.String(it.summary), Timestamp: aws.Time(it.at),
		})
		if it.seq != items[len(items)-1].seq {
			out.NextToken = aws.String(metricsToken(asked, it.seq))
		} else {
			out.NextToken = nil
		}
	}
	return out, nil
}
