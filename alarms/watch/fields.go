package watch

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
)

// This file turns a spec into the request that makes it true. PutMetricAlarm
// replaces the whole alarm, so the request starts as a copy of what is there and
// only the fields that we own are written over. Not ours: ActionsEnabled,
// actions that somebody added, the warm-up and the action configuration.

// mostActions is how many actions CloudWatch keeps for one state.
const mostActions = 5

func sortByName(list []Alarm) {
	slices.SortFunc(list, func(a, b Alarm) int { return cmp.Compare(a.Name(), b.Name()) })
}

// routes are the topics of a plan.
type routes struct{ page, ticket ops.ARN }

// of returns the actions of a spec: those that can wait go to the ticket topic,
// or with the pages where there is none.
func (r routes) of(s alarms.Spec) []string {
	to := r.page
	if s.Severity != alarms.Page && r.ticket != "" {
		to = r.ticket
	}
	if to == "" {
		return nil
	}
	return []string{string(to)}
}

// copied is the request that would leave an alarm as it is.
func copied(a types.MetricAlarm) *cloudwatch.PutMetricAlarmInput {
	in := &cloudwatch.PutMetricAlarmInput{
		AlarmName:                        a.AlarmName,
		ActionConfiguration:              a.ActionConfiguration,
		ActionsEnabled:                   a.ActionsEnabled,
		AlarmActions:                     slices.Clone(a.AlarmActions),
		AlarmDescription:                 a.AlarmDescription,
		ComparisonOperator:               a.ComparisonOperator,
		DatapointsToAlarm:                a.DatapointsToAlarm,
		Dimensions:                       a.Dimensions,
		EvaluateLowSampleCountPercentile: a.EvaluateLowSampleCountPercentile,
		EvaluationCriteria:               a.EvaluationCriteria,
		EvaluationInterval:               a.EvaluationInterval,
		EvaluationPeriods:                a.EvaluationPeriods,
		EvaluationWindow:                 a.EvaluationWindow,
		ExtendedStatistic:                a.ExtendedStatistic,
		InsufficientDataActions:          slices.Clone(a.InsufficientDataActions),
		MetricName:                       a.MetricName,
		Metrics:                          a.Metrics,
		Namespace:                        a.Namespace,
		OKActions:                        slices.Clone(a.OKActions),
		Period:                           a.Period,
		Statistic:                        a.Statistic,
		Threshold:                        a.Threshold,
		ThresholdMetricId:                a.ThresholdMetricId,
		TreatMissingData:                 a.TreatMissingData,
		Unit:                             a.Unit,
		WarmUpConfiguration:              a.WarmUpConfiguration,
	}
	return in
}

// wanted is the request that makes a spec true, over what is there (nil: nothing).
func wanted(s alarms.Spec, to routes, there *Alarm) *cloudwatch.PutMetricAlarmInput {
	in := &cloudwatch.PutMetricAlarmInput{AlarmName: &s.Name, ActionsEnabled: aws.Bool(true)}
	old := ""
	if there != nil {
		in = copied(there.MetricAlarm)
		old = there.Mark.Topics
	}
	watches(in, s)
	in.ComparisonOperator = types.ComparisonOperator(s.Comparison)
	in.Threshold = aws.Float64(s.Threshold)
	in.ThresholdMetricId = nil
	in.EvaluationPeriods, in.DatapointsToAlarm = aws.Int32(int32(s.N)), aws.Int32(int32(s.M))
	in.EvaluationWindow, in.EvaluationCriteria, in.EvaluationInterval = nil, nil, nil
	in.TreatMissingData = aws.String(s.Missing)
	in.EvaluateLowSampleCountPercentile = nil
	if s.LowSamples != "" {
		in.EvaluateLowSampleCountPercentile = aws.String(s.LowSamples)
	}
	ours := to.of(s)
	in.AlarmActions = acting(in.AlarmActions, ours, old)
	if s.OK {
		in.OKActions = acting(in.OKActions, ours, old)
	} else {
		in.OKActions = acting(in.OKActions, nil, old)
	}
	mark := Mark{Rule: s.Rule, Resource: s.Resource, Tier: s.Tier, Inputs: s.Inputs, Hash: ownedSum(in)}
	if len(ours) > 0 {
		mark.Topics = shortSum(ours...)
	}
	if *in.AlarmName != s.Name {
		mark.As = shortSum(s.Name)
	}
	in.AlarmDescription = aws.String(described(s, mark))
	return in
}

// acting puts our action among those that others added; one that was ours before
// goes. Where all five places are taken by others, ours is left out.
func acting(there, ours []string, old string) []string {
	var list []string
	for _, a := range there {
		if shortSum(a) != old && !slices.Contains(ours, a) {
			list = append(list, a)
		}
	}
	if len(list)+len(ours) > mostActions {
		return list
	}
	list = append(list, ours...)
	slices.Sort(list)
	return list
}

// watches writes what the alarm looks at.
func watches(in *cloudwatch.PutMetricAlarmInput, s alarms.Spec) {
	in.Namespace, in.MetricName, in.Dimensions, in.Period = nil, nil, nil, nil
	in.Statistic, in.ExtendedStatistic, in.Metrics, in.Unit = "", nil, nil, ""
	if len(s.Math) > 0 {
		for _, q := range s.Math {
			in.Metrics = append(in.Metrics, mathQuery(q, s))
		}
		return
	}
	q := s.Query
	in.Namespace, in.MetricName = &q.Namespace, &q.Metric
	in.Dimensions = dimensions(q.Dimensions)
	in.Period = aws.Int32(int32(cmp.Or(s.Period, q.Period)))
	stat := cmp.Or(s.Stat, q.Stat)
	if slices.Contains(types.Statistic("").Values(), types.Statistic(stat)) {
		in.Statistic = types.Statistic(stat)
	} else {
		in.ExtendedStatistic = &stat
	}
}

func mathQuery(q alarms.Query, s alarms.Spec) types.MetricDataQuery {
	out := types.MetricDataQuery{Id: &q.ID, ReturnData: aws.Bool(q.Returns)}
	if q.Expression != "" {
		out.Expression = &q.Expression
		if q.Period > 0 {
			out.Period = aws.Int32(int32(q.Period))
		}
		return out
	}
	out.MetricStat = &types.MetricStat{
		Metric: &types.Metric{Namespace: &q.Namespace, MetricName: &q.Metric, Dimensions: dimensions(q.Dimensions)},
		Period: aws.Int32(int32(cmp.Or(q.Period, s.Period))),
		Stat:   aws.String(cmp.Or(q.Stat, s.Stat)),
	}
	return out
}

func dimensions(m map[string]string) []types.Dimension {
	var list []types.Dimension
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, types.Dimension{Name: aws.String(k), Value: aws.String(m[k])})
	}
	return list
}

// field is one setting of an alarm that we own, in words that can be compared.
type field struct{ name, value string }

// owned lists the settings that we own. Defaults are written out: an M that is
// not given is N, a missing-data rule that is not given is "missing".
func owned(in *cloudwatch.PutMetricAlarmInput) []field {
	n := aws.ToInt32(in.EvaluationPeriods)
	m := n
	if in.DatapointsToAlarm != nil {
		m = *in.DatapointsToAlarm
	}
	stat := string(in.Statistic)
	if in.ExtendedStatistic != nil {
		stat = *in.ExtendedStatistic
	}
	threshold := "the band " + aws.ToString(in.ThresholdMetricId)
	if in.ThresholdMetricId == nil {
		threshold = number(aws.ToFloat64(in.Threshold))
	}
	period := ""
	if in.Period != nil {
		period = strconv.Itoa(int(*in.Period)) + " s"
	}
	window := "sliding" // what CloudWatch does without it
	if _, ok := in.EvaluationWindow.(*types.EvaluationWindowMemberWallClockWindow); ok {
		window = "wall clock"
	}
	if in.EvaluationCriteria != nil {
		window += " of PromQL"
	}
	low := aws.ToString(in.EvaluateLowSampleCountPercentile)
	if low == "evaluate" { // the default
		low = ""
	}
	return []field{
		{"metric", metricText(aws.ToString(in.Namespace), aws.ToString(in.MetricName), in.Dimensions)},
		{"math", mathText(in.Metrics)},
		{"statistic", stat},
		{"period", period},
		{"datapoints", fmt.Sprintf("%d/%d", m, n)},
		{"comparison", string(in.ComparisonOperator)},
		{"threshold", threshold},
		{"missing data", cmp.Or(aws.ToString(in.TreatMissingData), alarms.MissingIsMissing)},
		{"few samples", low},
		{"unit", string(in.Unit)},
		{"window", window},
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func metricText(namespace, metric string, dims []types.Dimension) string {
	if metric == "" {
		return ""
	}
	return namespace + " " + metric + dimensionText(dims)
}

func dimensionText(dims []types.Dimension) string {
	pairs := make([]string, 0, len(dims))
	for _, d := range dims {
		pairs = append(pairs, aws.ToString(d.Name)+"="+aws.ToString(d.Value))
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

func mathText(queries []types.MetricDataQuery) string {
	lines := make([]string, 0, len(queries))
	for _, q := range queries {
		line := aws.ToString(q.Id) + " = "
		if q.MetricStat != nil && q.MetricStat.Metric != nil {
			x := q.MetricStat
			line += fmt.Sprintf("%s %s·%ds", metricText(aws.ToString(x.Metric.Namespace), aws.ToString(x.Metric.MetricName), x.Metric.Dimensions), aws.ToString(x.Stat), aws.ToInt32(x.Period))
			if x.Unit != "" {
				line += " in " + string(x.Unit)
			}
		} else {
			line += aws.ToString(q.Expression)
			if q.Period != nil {
				line += fmt.Sprintf(" ·%ds", *q.Period)
			}
		}
		if account := aws.ToString(q.AccountId); account != "" {
			line += " of " + account
		}
		if q.ReturnData == nil || *q.ReturnData {
			line += " (compared)"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// ownedSum is the hash of the settings that we own.
func ownedSum(in *cloudwatch.PutMetricAlarmInput) string {
	var parts []string
	for _, f := range owned(in) {
		parts = append(parts, f.name, f.value)
	}
	return shortSum(parts...)
}

// changes compares an alarm with what it should be.
func changes(there *Alarm, s alarms.Spec, to routes) []alarms.Change {
	old, now := copied(there.MetricAlarm), wanted(s, to, there)
	because := reason(there, old, s)
	var list []alarms.Change
	nowFields := owned(now)
	for i, f := range owned(old) {
		if want := nowFields[i].value; f.value != want {
			c := alarms.Change{Field: f.name, Old: f.value, New: want, Because: because}
			if f.name == "threshold" && s.Unit != "" {
				c.Old, c.New = c.Old+" "+s.Unit, c.New+" "+s.Unit
			}
			list = append(list, c)
		}
	}
	if !sameSet(old.AlarmActions, now.AlarmActions) {
		list = append(list, alarms.Change{Field: "actions", Old: setText(old.AlarmActions), New: setText(now.AlarmActions)})
	}
	if !sameSet(old.OKActions, now.OKActions) {
		list = append(list, alarms.Change{Field: "OK actions", Old: setText(old.OKActions), New: setText(now.OKActions)})
	}
	if a, b := aws.ToString(old.AlarmDescription), aws.ToString(now.AlarmDescription); a != b && len(list) == 0 {
		list = append(list, alarms.Change{Field: "description", Old: a, New: b, Because: inputChanges(there.Mark.Inputs, s.Inputs)})
	}
	if there.quiet() {
		list = append(list, alarms.Change{Field: "actions enabled", Old: strconv.FormatBool(aws.ToBool(there.ActionsEnabled)), New: "true", Because: "created quietly, its actions were never switched on"})
	}
	want := tagsFor(s)
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if there.Managed() && there.Tags[k] != want[k] {
			list = append(list, alarms.Change{Field: "tag " + k, Old: there.Tags[k], New: want[k]})
		}
	}
	return list
}

// reason says why the settings differ: a setting of the resource changed, or
// somebody changed the alarm.
func reason(there *Alarm, old *cloudwatch.PutMetricAlarmInput, s alarms.Spec) string {
	if !there.marked {
		return ""
	}
	changed := inputChanges(there.Mark.Inputs, s.Inputs)
	if ownedSum(old) != there.Mark.Hash {
		if changed != "" {
			changed += "; "
		}
		return changed + "changed by somebody since kxops wrote it"
	}
	return changed
}

// inputChanges says which settings changed: "retention 24h -> 7d".
func inputChanges(old, now map[string]string) string {
	if old == nil { // not recorded
		return ""
	}
	keys := map[string]bool{}
	for k := range old {
		keys[k] = true
	}
	for k := range now {
		keys[k] = true
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		a, was := old[k]
		b, is := now[k]
		switch {
		case !is:
			list = append(list, fmt.Sprintf("%s %s -> none", k, a))
		case !was:
			list = append(list, fmt.Sprintf("%s none -> %s", k, b))
		case a != b:
			list = append(list, fmt.Sprintf("%s %s -> %s", k, a, b))
		}
	}
	return strings.Join(list, ", ")
}

func sameSet(a, b []string) bool { return setText(a) == setText(b) }

func setText(list []string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(slices.Compact(list), ", ")
}

func tagsFor(s alarms.Spec) map[string]string {
	return map[string]string{tagManaged: "true", tagRule: s.Rule}
}

func tagList(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}

// seen is the sha256 of an alarm's configuration with what decides whose it is: two
// descriptions with the same one differ in nothing that a person could change.
func seen(a *Alarm) (string, error) {
	in := copied(a.MetricAlarm)
	slices.Sort(in.AlarmActions)
	slices.Sort(in.OKActions)
	slices.Sort(in.InsufficientDataActions)
	text, err := json.Marshal(struct {
		Alarm *cloudwatch.PutMetricAlarmInput
		Tags  [3]string
	}{in, [3]string{a.Tags[tagManaged], a.Tags[tagRule], a.Tags[tagQuiet]}})
	if err != nil {
		return "", fmt.Errorf("read the alarm %s: %w", a.Name(), err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// sameConfiguration reports whether nobody changed an alarm between two looks.
func sameConfiguration(a, b types.MetricAlarm) bool {
	x, errX := seen(&Alarm{MetricAlarm: a})
	y, errY := seen(&Alarm{MetricAlarm: b})
	return errX == nil && errY == nil && x == y
}

// watchesKey tells what an alarm looks at and in which direction: alarms with the
// same key are about the same thing. "" where it cannot be told.
func watchesKey(in *cloudwatch.PutMetricAlarmInput) string {
	up := strings.HasPrefix(string(in.ComparisonOperator), "Greater")
	if len(in.Metrics) == 0 {
		metric := metricText(aws.ToString(in.Namespace), aws.ToString(in.MetricName), in.Dimensions)
		if metric == "" {
			return ""
		}
		return fmt.Sprint(metric, " up=", up)
	}
	var metrics []string
	computed := false
	for _, q := range in.Metrics {
		if q.MetricStat != nil && q.MetricStat.Metric != nil {
			m := q.MetricStat.Metric
			metrics = append(metrics, metricText(aws.ToString(m.Namespace), aws.ToString(m.MetricName), m.Dimensions))
		} else {
			computed = true
		}
	}
	slices.Sort(metrics)
	if len(metrics) == 1 && !computed { // a plain metric written as a list of one
		return fmt.Sprint(metrics[0], " up=", up)
	}
	if len(metrics) == 0 {
		return ""
	}
	return fmt.Sprint("math of ", strings.Join(metrics, " "), " up=", up)
}
