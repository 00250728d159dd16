package sandbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

// This file keeps alarms: create, describe, delete. What they do each minute is
// in alarm_engine.go, what they remember in alarm_history.go, composite alarms in
// alarm_composite.go and mute rules in alarm_mute.go.

// alarmBook holds the alarms of a region, by name.
type alarmBook struct {
	byName  map[string]*alarm
	names   []string // sorted
	history alarmHistory
	mutes   map[string]*muteRule
}

// alarm is one alarm with its configuration and its state.
type alarm struct {
	name    string
	arn     ops.ARN
	tags    map[string]string
	metric  *cloudwatch.PutMetricAlarmInput    // the configuration of a metric alarm
	group   *cloudwatch.PutCompositeAlarmInput // or that of a composite alarm
	rule    *ruleNode                          // the composite's parsed rule
	plan    *queryPlan                         // the queries of a metric alarm
	watched *planned                           // the one whose result is compared

	actionsOn    bool
	actions      map[types.StateValue][]string
	configured   time.Time
	state        types.StateValue
	reason       string
	reasonData   string
	updated      time.Time  // of state or reason
	transitioned time.Time  // of the state
	waiting      *pastState // a transition whose actions wait for the end of a mute

	breaches       func(float64) bool
	ignoresMissing bool   // whatever TreatMissingData says
	broken         string // why the expression cannot be evaluated
}

func (a *alarm) kind() types.AlarmType {
	if a.group != nil {
		return types.AlarmTypeCompositeAlarm
	}
	return types.AlarmTypeMetricAlarm
}

func (c *cloudWatch) newAlarms() {
	c.alarms = alarmBook{byName: map[string]*alarm{}, mutes: map[string]*muteRule{}}
	r := c.r
	handle(r, "cloudwatch", "PutMetricAlarm", c.putMetricAlarm)
	handle(r, "cloudwatch", "PutCompositeAlarm", c.putCompositeAlarm)
	handle(r, "cloudwatch", "DescribeAlarms", c.describeAlarms)
	handle(r, "cloudwatch", "DescribeAlarmsForMetric", c.describeAlarmsForMetric)
	handle(r, "cloudwatch", "DescribeAlarmHistory", c.describeAlarmHistory)
	handle(r, "cloudwatch", "DeleteAlarms", c.deleteAlarms)
	handle(r, "cloudwatch", "EnableAlarmActions", func(_ context.Context, in *cloudwatch.EnableAlarmActionsInput) (*cloudwatch.EnableAlarmActionsOutput, error) {
		return &cloudwatch.EnableAlarmActionsOutput{}, c.switchActions(in.AlarmNames, true)
	})
	handle(r, "cloudwatch", "DisableAlarmActions", func(_ context.Context, in *cloudwatch.DisableAlarmActionsInput) (*cloudwatch.DisableAlarmActionsOutput, error) {
		return &cloudwatch.DisableAlarmActionsOutput{}, c.switchActions(in.AlarmNames, false)
	})
	handle(r, "cloudwatch", "SetAlarmState", c.setAlarmState)
	handle(r, "cloudwatch", "TagResource", c.tagResource)
	handle(r, "cloudwatch", "UntagResource", c.untagResource)
	handle(r, "cloudwatch", "ListTagsForResource", c.listTags)
	handle(r, "cloudwatch", "PutAlarmMuteRule", c.putMuteRule)
	handle(r, "cloudwatch", "GetAlarmMuteRule", c.getMuteRule)
	handle(r, "cloudwatch", "ListAlarmMuteRules", c.listMuteRules)
	handle(r, "cloudwatch", "DeleteAlarmMuteRule", c.deleteMuteRule)
	r.tagged = append(r.tagged, c.taggedAlarms)
	r.every(time.Minute, c.evaluateAlarms)
}

func (b *alarmBook) add(a *alarm) {
	b.byName[a.name] = a
	i := sort.SearchStrings(b.names, a.name)
	b.names = append(b.names, "")
	copy(b.names[i+1:], b.names[i:])
	b.names[i] = a.name
}

func (b *alarmBook) remove(name string) {
	delete(b.byName, name)
	if i := sort.SearchStrings(b.names, name); i < len(b.names) && b.names[i] == name {
		b.names = append(b.names[:i], b.names[i+1:]...)
	}
}

// maxAlarms bounds the memory; CloudWatch itself has no limit.
const maxAlarms = 20_000

func constraint(value any, at, text string) error {
	return invalidRequest("1 validation error detected: Value '%v' at '%s' failed to satisfy constraint: %s", value, at, text)
}

// putMetricAlarm creates an alarm or replaces the WHOLE configuration of one; its
// state stays. Tags count only on create (API reference, PutMetricAlarm).
func (c *cloudWatch) putMetricAlarm(_ context.Context, in *cloudwatch.PutMetricAlarmInput) (*cloudwatch.PutMetricAlarmOutput, error) {
	if err := c.checkMetricAlarm(in); err != nil {
		return nil, err
	}
	plan, err := c.planAlarm(in)
	if err != nil {
		return nil, err
	}
	a, err := c.configure(deref(in.AlarmName), in.Tags, types.AlarmTypeMetricAlarm)
	if err != nil {
		return nil, err
	}
	verb := "updated"
	if a.metric == nil {
		verb = "created"
	}
	a.metric, a.plan, a.watched = in, plan, watchedOf(plan)
	a.breaches = breach(in.ComparisonOperator, *in.Threshold)
	a.ignoresMissing = deref(in.Namespace) == "AWS/DynamoDB" // user guide: they ignore missing data, always
	a.acting(in.ActionsEnabled, in.AlarmActions, in.OKActions, in.InsufficientDataActions)
	c.recordConfiguration(a, verb)
	return &cloudwatch.PutMetricAlarmOutput{}, nil
}

func (a *alarm) acting(on *bool, alarm, ok, insufficient []string) {
	a.actionsOn = on == nil || *on
	a.actions = map[types.StateValue][]string{
		types.StateValueAlarm:            alarm,
		types.StateValueOk:               ok,
		types.StateValueInsufficientData: insufficient,
	}
}

// configure finds or makes the alarm that is being put.
func (c *cloudWatch) configure(name string, tags []types.Tag, kind types.AlarmType) (*alarm, error) {
	now := c.r.now()
	if a, ok := c.alarms.byName[name]; ok {
		if a.kind() != kind {
			return nil, invalidRequest("Alarm %s already exists as a %s", name, a.kind())
		}
		a.configured = now
		return a, nil
	}
	if len(c.alarms.names) >= maxAlarms {
		return nil, &types.LimitExceededFault{Message: aws.String(fmt.Sprintf("the sandbox keeps at most %d alarms", maxAlarms))}
	}
	a := &alarm{
		name:         name,
		arn:          c.r.arn("cloudwatch", "alarm:"+name),
		tags:         map[string]string{},
		configured:   now,
		state:        types.StateValueInsufficientData,
		reason:       "Unchecked: Initial alarm creation",
		updated:      now,
		transitioned: now,
	}
	for _, t := range tags {
		a.tags[deref(t.Key)] = deref(t.Value)
	}
	c.alarms.add(a)
	return a, nil
}

func (c *cloudWatch) checkMetricAlarm(in *cloudwatch.PutMetricAlarmInput) error {
	if err := checkAlarmName(deref(in.AlarmName), deref(in.AlarmDescription)); err != nil {
		return err
	}
	switch {
	case in.ActionConfiguration != nil:
		return unsupported("ActionConfiguration")
	case in.EvaluationCriteria != nil:
		return unsupported("EvaluationCriteria")
	case in.EvaluationInterval != nil:
		return unsupported("EvaluationInterval")
	case in.EvaluationWindow != nil:
		return unsupported("EvaluationWindow")
	case in.WarmUpConfiguration != nil:
		return unsupported("WarmUpConfiguration")
	case in.ThresholdMetricId != nil:
		return unsupported("ThresholdMetricId")
	case in.EvaluateLowSampleCountPercentile != nil && *in.EvaluateLowSampleCountPercentile != "evaluate" && *in.EvaluateLowSampleCountPercentile != "ignore":
		return badValue("The value %s is not supported for EvaluateLowSampleCountPercentile parameter. Supported values are [evaluate, ignore].", *in.EvaluateLowSampleCountPercentile)
	case in.EvaluateLowSampleCountPercentile != nil && in.ExtendedStatistic == nil:
		return badCombination("EvaluateLowSampleCountPercentile needs an ExtendedStatistic.")
	case in.EvaluationPeriods == nil:
		return missingParameter("EvaluationPeriods")
	case *in.EvaluationPeriods < 1:
		return constraint(*in.EvaluationPeriods, "evaluationPeriods", "Member must have value greater than or equal to 1")
	case in.DatapointsToAlarm != nil && *in.DatapointsToAlarm < 1:
		return constraint(*in.DatapointsToAlarm, "datapointsToAlarm", "Member must have value greater than or equal to 1")
	case in.DatapointsToAlarm != nil && *in.DatapointsToAlarm > *in.EvaluationPeriods:
		return invalidRequest("DatapointsToAlarm (%d) must be less than or equal to EvaluationPeriods (%d).", *in.DatapointsToAlarm, *in.EvaluationPeriods)
	case in.Threshold == nil:
		return missingParameter("Threshold")
	case math.IsNaN(*in.Threshold) || math.IsInf(*in.Threshold, 0):
		return badValue("The value %v for parameter Threshold is invalid.", *in.Threshold)
	}
	switch in.ComparisonOperator {
	case types.ComparisonOperatorGreaterThanThreshold, types.ComparisonOperatorGreaterThanOrEqualToThreshold,
		types.ComparisonOperatorLessThanThreshold, types.ComparisonOperatorLessThanOrEqualToThreshold:
	case "":
		return missingParameter("ComparisonOperator")
	case types.ComparisonOperatorLessThanLowerOrGreaterThanUpperThreshold, types.ComparisonOperatorLessThanLowerThreshold, types.ComparisonOperatorGreaterThanUpperThreshold:
		return fail("NotImplemented", "the sandbox does not support anomaly detection: ComparisonOperator %s", in.ComparisonOperator)
	default:
		return constraint(in.ComparisonOperator, "comparisonOperator", "Member must satisfy enum value set: [GreaterThanOrEqualToThreshold, GreaterThanThreshold, LessThanThreshold, LessThanOrEqualToThreshold, LessThanLowerOrGreaterThanUpperThreshold, LessThanLowerThreshold, GreaterThanUpperThreshold]")
	}
	switch deref(in.TreatMissingData) {
	case "", "missing", "ignore", "breaching", "notBreaching":
	default:
		return invalidRequest("The value %s is not supported for TreatMissingData parameter. Supported values are [breaching, notBreaching, ignore, missing].", *in.TreatMissingData)
	}
	if err := c.checkActions(in.AlarmActions, in.OKActions, in.InsufficientDataActions); err != nil {
		return err
	}
	return checkTags(in.Tags)
}

func checkAlarmName(name, description string) error {
	switch {
	case name == "":
		return missingParameter("AlarmName")
	case len(name) > 255:
		return constraint(name, "alarmName", "Member must have length less than or equal to 255")
	case len(description) > 1024:
		return constraint(description, "alarmDescription", "Member must have length less than or equal to 1024")
	}
	return nil
}

// checkActions takes up to five ARNs per state, of this region. The sandbox runs
// SNS topics and Lambda functions.
func (c *cloudWatch) checkActions(lists ...[]string) error {
	for i, list := range lists {
		at := []string{"alarmActions", "oKActions", "insufficientDataActions"}[i]
		if len(list) > 5 {
			return constraint(list, at, "Member must have length less than or equal to 5")
		}
		for _, s := range list {
			arn := ops.ARN(s)
			switch {
			case arn.Service() == "":
				return invalidRequest("Invalid arn syntax: %s", s)
			case arn.Service() == "sns" || arn.Service() == "lambda":
				if arn.Region() != c.r.Name {
					return invalidRequest("Invalid region %s specified. Only %s is supported.", arn.Region(), c.r.Name)
				}
			default:
				return fail("NotImplemented", "the sandbox does not support the action %s", s)
			}
		}
	}
	return nil
}

func checkTags(tags []types.Tag) error {
	if len(tags) > 50 {
		return constraint(len(tags), "tags", "Member must have length less than or equal to 50")
	}
	for _, t := range tags {
		switch {
		case deref(t.Key) == "" || len(*t.Key) > 128:
			return constraint(deref(t.Key), "tags.member.key", "Member must have length between 1 and 128")
		case strings.HasPrefix(*t.Key, "aws:"):
			return badValue("Tag keys starting with aws: are reserved for system use")
		case len(deref(t.Value)) > 256:
			return constraint(deref(t.Value), "tags.member.value", "Member must have length less than or equal to 256")
		}
	}
	return nil
}

// planAlarm turns the alarm's metric or its queries into a plan.
func (c *cloudWatch) planAlarm(in *cloudwatch.PutMetricAlarmInput) (*queryPlan, error) {
	queries := in.Metrics
	single := in.MetricName != nil || in.Namespace != nil || in.Statistic != "" || in.ExtendedStatistic != nil || in.Period != nil || in.Dimensions != nil
	switch {
	case len(queries) > 0 && single:
		return nil, invalidRequest("Metric, Namespace, Dimensions, Period, Statistic, ExtendedStatistic and Unit must not be set if Metrics is set.")
	case len(queries) > 10:
		return nil, constraint(len(queries), "metrics", "Member must have length less than or equal to 10")
	case len(queries) == 0:
		q, err := singleQuery(in)
		if err != nil {
			return nil, err
		}
		queries = []types.MetricDataQuery{q}
	}
	plan, err := c.planQueries(queries, "Metrics")
	if err != nil {
		return nil, err
	}
	returned := 0
	for _, q := range plan.list {
		if q.returned {
			returned++
		}
		if q.stat.name == "p" && in.ExtendedStatistic == nil && len(in.Metrics) == 0 {
			return nil, invalidRequest("The parameter Statistic must be SampleCount, Average, Sum, Minimum or Maximum.")
		}
	}
	if returned != 1 {
		return nil, invalidRequest("Exactly one element of the Metrics list should return data.")
	}
	return plan, checkRange(plan, *in.EvaluationPeriods)
}

func singleQuery(in *cloudwatch.PutMetricAlarmInput) (types.MetricDataQuery, error) {
	stat := string(in.Statistic)
	switch {
	case deref(in.MetricName) == "":
		return types.MetricDataQuery{}, missingParameter("MetricName")
	case deref(in.Namespace) == "":
		return types.MetricDataQuery{}, missingParameter("Namespace")
	case in.Period == nil:
		return types.MetricDataQuery{}, missingParameter("Period")
	case stat != "" && in.ExtendedStatistic != nil:
		return types.MetricDataQuery{}, badCombination("The parameters Statistic and ExtendedStatistic are mutually exclusive and you have specified both.")
	case stat == "" && deref(in.ExtendedStatistic) == "":
		return types.MetricDataQuery{}, missingParameter("Statistic")
	case stat == "":
		stat = *in.ExtendedStatistic
	}
	return types.MetricDataQuery{Id: aws.String("m1"), MetricStat: &types.MetricStat{
		Metric: &types.Metric{Namespace: in.Namespace, MetricName: in.MetricName, Dimensions: in.Dimensions},
		Period: in.Period,
		Stat:   aws.String(stat),
		Unit:   in.Unit,
	}}, nil
}

func watchedOf(plan *queryPlan) *planned {
	for _, q := range plan.list {
		if q.returned {
			return q
		}
	}
	return nil
}

// alarmPeriod is the period of the alarm's metrics, in seconds.
func alarmPeriod(plan *queryPlan) int32 {
	for _, q := range plan.list {
		if q.period > 0 {
			return q.period
		}
	}
	return 60
}

// checkRange holds Period x EvaluationPeriods to a day, or a week for periods of
// an hour and more (API reference, PutMetricAlarm).
func checkRange(plan *queryPlan, periods int32) error {
	period := alarmPeriod(plan)
	total := int64(period) * int64(periods)
	switch {
	case period < 3600 && total > 86_400:
		return invalidRequest("Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).")
	case total > 604_800:
		return invalidRequest("Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800).")
	}
	return nil
}

// describeAlarms pages through the alarms by name. Only metric alarms are shown
// unless AlarmTypes says otherwise (API reference, DescribeAlarms).
func (c *cloudWatch) describeAlarms(_ context.Context, in *cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
	switch {
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != nil:
		return nil, badCombination("AlarmNames and AlarmNamePrefix are mutually exclusive.")
	case len(in.AlarmNames) > 100:
		return nil, constraint(len(in.AlarmNames), "alarmNames", "Member must have length less than or equal to 100")
	}
	limit, err := alarmPage(in.MaxRecords)
	if err != nil {
		return nil, err
	}
	if in.ChildrenOfAlarmName != nil || in.ParentsOfAlarmName != nil {
		return c.describeFamily(in)
	}
	show := map[types.AlarmType]bool{}
	for _, t := range in.AlarmTypes {
		switch t {
		case types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm, types.AlarmTypeLogAlarm:
			show[t] = true
		default:
			return nil, constraint(t, "alarmTypes", "Member must satisfy enum value set: [CompositeAlarm, MetricAlarm, LogAlarm]")
		}
	}
	if len(show) == 0 {
		show[types.AlarmTypeMetricAlarm] = true
	}
	named := map[string]bool{}
	for _, n := range in.AlarmNames {
		named[n] = true
	}
	after, err := nameOfToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &cloudwatch.DescribeAlarmsOutput{MetricAlarms: []types.MetricAlarm{}, CompositeAlarms: []types.CompositeAlarm{}}
	prefix, n := deref(in.AlarmNamePrefix), 0
	last := ""
	for i := sort.SearchStrings(c.alarms.names, max(prefix, after)); i < len(c.alarms.names); i++ {
		a := c.alarms.byName[c.alarms.names[i]]
		if !strings.HasPrefix(a.name, prefix) {
			break
		}
		if a.name <= after || !show[a.kind()] ||
			len(named) > 0 && !named[a.name] ||
			in.StateValue != "" && in.StateValue != a.state ||
			in.ActionPrefix != nil && !a.acts(*in.ActionPrefix) {
			continue
		}
		if n == limit {
			out.NextToken = aws.String(tokenOfName(last))
			break
		}
		n, last = n+1, a.name
		if a.group != nil {
			out.CompositeAlarms = append(out.CompositeAlarms, a.composite())
		} else {
			out.MetricAlarms = append(out.MetricAlarms, a.described())
		}
	}
	return out, nil
}

// alarmPage is the page size: 50 unless asked for, at most 100.
func alarmPage(n *int32) (int, error) {
	if n == nil {
		return 50, nil
	}
	if *n < 1 || *n > 100 {
		return 0, constraint(*n, "maxRecords", "Member must have value between 1 and 100")
	}
	return int(*n), nil
}

func tokenOfName(name string) string { return base64.RawURLEncoding.EncodeToString([]byte("n" + name)) }

func nameOfToken(token *string) (string, error) {
	if token == nil {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || len(b) < 2 || b[0] != 'n' {
		return "", badMetricsToken()
	}
	return string(b[1:]), nil
}

func (a *alarm) acts(prefix string) bool {
	for _, list := range a.actions {
		for _, s := range list {
			if strings.HasPrefix(s, prefix) {
				return true
			}
		}
	}
	return false
}

// described is the alarm as DescribeAlarms shows it.
func (a *alarm) described() types.MetricAlarm {
	in := a.metric
	m := types.MetricAlarm{
		ActionsEnabled:                     aws.Bool(a.actionsOn),
		AlarmActions:                       orEmpty(in.AlarmActions),
		AlarmArn:                           aws.String(string(a.arn)),
		AlarmConfigurationUpdatedTimestamp: aws.Time(a.configured),
		AlarmDescription:                   in.AlarmDescription,
		AlarmName:                          aws.String(a.name),
		ComparisonOperator:                 in.ComparisonOperator,
		DatapointsToAlarm:                  in.DatapointsToAlarm,
		Dimensions:                         orEmpty(in.Dimensions),
		EvaluateLowSampleCountPercentile:   in.EvaluateLowSampleCountPercentile,
		EvaluationPeriods:                  in.EvaluationPeriods,
		ExtendedStatistic:                  in.ExtendedStatistic,
		InsufficientDataActions:            orEmpty(in.InsufficientDataActions),
		MetricName:                         in.MetricName,
		Metrics:                            in.Metrics,
		Namespace:                          in.Namespace,
		OKActions:                          orEmpty(in.OKActions),
		Period:                             in.Period,
		StateReason:                        aws.String(a.reason),
		StateTransitionedTimestamp:         aws.Time(a.transitioned),
		StateUpdatedTimestamp:              aws.Time(a.updated),
		StateValue:                         a.state,
		Statistic:                          in.Statistic,
		Threshold:                          in.Threshold,
		TreatMissingData:                   in.TreatMissingData,
		Unit:                               in.Unit,
	}
	if a.broken != "" {
		m.EvaluationState = types.EvaluationStateEvaluationError
	}
	if a.reasonData != "" {
		m.StateReasonData = aws.String(a.reasonData)
	}
	return m
}

func orEmpty[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
