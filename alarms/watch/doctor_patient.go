package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

// patient is an alarm, ours or anybody's, metric or composite, as the doctor and
// the drill look at it.
type patient struct {
	name      string
	arn       ops.ARN
	actionsOn bool

	onAlarm, onOK, onUnknown []ops.ARN

	state      types.StateValue
	reason     string
	since      time.Time             // of the state; zero where it is not said
	evaluation types.EvaluationState // "" for all is well
	suppressed string                // by whom the actions of a composite are held back now

	rule     string // of a composite
	children []string

	series  []series // what a metric alarm looks at
	missing string   // what a missing datapoint counts as
	period  int      // s
	n       int
	foreign bool // it looks at metrics that ListMetrics does not show: SQL, search, another account
}

// series is one metric of an alarm.
type series struct {
	namespace, metric string
	dimensions        map[string]string
}

func (p patient) composite() bool { return p.rule != "" }

func (p patient) actionsFor(s types.StateValue) []ops.ARN {
	switch s {
	case types.StateValueAlarm:
		return p.onAlarm
	case types.StateValueOk:
		return p.onOK
	}
	return p.onUnknown
}

// allAlarms reads every alarm, by name.
func (d *Desk) allAlarms(ctx context.Context) ([]patient, error) {
	var out []patient
	pages := cloudwatch.NewDescribeAlarmsPaginator(d.metrics, &cloudwatch.DescribeAlarmsInput{AlarmTypes: everyAlarmType, MaxRecords: aws.Int32(100)})
	for n := 0; pages.HasMorePages(); n++ {
		if n == listPages {
			return nil, fmt.Errorf("read the alarms: more than %d pages", listPages)
		}
		page, err := d.alarmPage(ctx, pages)
		if err != nil {
			return nil, fmt.Errorf("read the alarms: %w", d.explained(err))
		}
		out = append(out, patientsOf(page.MetricAlarms, page.CompositeAlarms)...)
	}
	slices.SortFunc(out, func(a, b patient) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

func (d *Desk) alarmPage(ctx context.Context, pages *cloudwatch.DescribeAlarmsPaginator) (*cloudwatch.DescribeAlarmsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	return pages.NextPage(ctx)
}

func patientsOf(metrics []types.MetricAlarm, composites []types.CompositeAlarm) []patient {
	var out []patient
	for _, a := range metrics {
		p := patient{
			name: aws.ToString(a.AlarmName), arn: ops.ARN(aws.ToString(a.AlarmArn)), actionsOn: a.ActionsEnabled == nil || *a.ActionsEnabled,
			onAlarm: arnsOf(a.AlarmActions), onOK: arnsOf(a.OKActions), onUnknown: arnsOf(a.InsufficientDataActions),
			state: a.StateValue, reason: aws.ToString(a.StateReason), since: stateSince(a.StateTransitionedTimestamp, a.StateUpdatedTimestamp),
			evaluation: a.EvaluationState, missing: aws.ToString(a.TreatMissingData),
			period: int(aws.ToInt32(a.Period)), n: int(aws.ToInt32(a.EvaluationPeriods)),
		}
		if a.MetricName != nil {
			p.series = append(p.series, seriesOf(a.Namespace, a.MetricName, a.Dimensions))
		}
		for _, q := range a.Metrics {
			p.period = max(p.period, int(aws.ToInt32(q.Period)))
			if q.AccountId != nil && ops.ARN(aws.ToString(a.AlarmArn)).Account() != *q.AccountId {
				p.foreign = true
			}
			switch {
			case q.MetricStat != nil && q.MetricStat.Metric != nil:
				m := q.MetricStat.Metric
				p.period = max(p.period, int(aws.ToInt32(q.MetricStat.Period)))
				p.series = append(p.series, seriesOf(m.Namespace, m.MetricName, m.Dimensions))
			case strings.HasPrefix(strings.ToUpper(strings.TrimSpace(aws.ToString(q.Expression))), "SELECT"):
				p.foreign = true
			}
		}
		if len(p.series) == 0 { // SQL, PromQL or a log query: no series has a name here
			p.foreign = true
		}
		out = append(out, p)
	}
	for _, a := range composites {
		p := patient{
			name: aws.ToString(a.AlarmName), arn: ops.ARN(aws.ToString(a.AlarmArn)), actionsOn: a.ActionsEnabled == nil || *a.ActionsEnabled,
			onAlarm: arnsOf(a.AlarmActions), onOK: arnsOf(a.OKActions), onUnknown: arnsOf(a.InsufficientDataActions),
			state: a.StateValue, reason: aws.ToString(a.StateReason), since: stateSince(a.StateTransitionedTimestamp, a.StateUpdatedTimestamp),
			rule: aws.ToString(a.AlarmRule), children: childrenOf(aws.ToString(a.AlarmRule)),
		}
		if a.ActionsSuppressedBy != "" {
			p.suppressed = "by its " + string(a.ActionsSuppressedBy)
		}
		out = append(out, p)
	}
	return out
}

func stateSince(moved, updated *time.Time) time.Time {
	if moved != nil {
		return *moved
	}
	return aws.ToTime(updated)
}

func arnsOf(list []string) []ops.ARN {
	out := make([]ops.ARN, 0, len(list))
	for _, s := range list {
		out = append(out, ops.ARN(s))
	}
	return out
}

func seriesOf(namespace, metric *string, dims []types.Dimension) series {
	s := series{aws.ToString(namespace), aws.ToString(metric), map[string]string{}}
	for _, x := range dims {
		s.dimensions[aws.ToString(x.Name)] = aws.ToString(x.Value)
	}
	return s
}

// childrenOf lists the names of the alarms in a composite's rule: ALARM("name"),
// OK(name), INSUFFICIENT_DATA(arn).
func childrenOf(rule string) []string {
	var out []string
	for rest := rule; ; {
		open := strings.IndexByte(rest, '(')
		if open < 0 {
			return out
		}
		word := rest[:open]
		rest = rest[open+1:]
		if i := strings.LastIndexAny(strings.TrimRight(word, " \t\n"), " \t\n("); i >= 0 {
			word = word[i+1:]
		}
		switch strings.ToUpper(strings.TrimSpace(word)) {
		case "ALARM", "OK", "INSUFFICIENT_DATA":
		default: // a bracket of the logic
			continue
		}
		rest = strings.TrimLeft(rest, " \t\n")
		end, name := strings.IndexByte(rest, ')'), ""
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			name, rest, ok = strings.Cut(quoted, `"`)
			if !ok {
				return out
			}
		} else {
			if end < 0 {
				return out
			}
			name, rest = strings.TrimSpace(rest[:end]), rest[end:]
		}
		if _, n, ok := strings.Cut(name, ":alarm:"); ok && strings.HasPrefix(name, "arn:") {
			name = n
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
}

// compositesAbove lists the composite alarms whose state can follow the alarm's,
// through any number of levels.
func compositesAbove(name string, all []patient) []patient {
	var out []patient
	found := map[string]bool{name: true}
	for grew := true; grew; { // each round adds an alarm or is the last
		grew = false
		for _, p := range all {
			if !found[p.name] && slices.ContainsFunc(p.children, func(c string) bool { return found[c] }) {
				found[p.name], grew = true, true
				out = append(out, p)
			}
		}
	}
	return out
}
