package alarms

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// The shapes of AWS::CloudWatch::Alarm (CloudFormation template reference).
type (
	cfnTemplate struct {
		AWSTemplateFormatVersion string
		Description              string
		Resources                map[string]cfnResource
	}
	cfnResource struct {
		Type       string
		Properties cfnAlarm
	}
	cfnAlarm struct {
		AlarmName                        string
		AlarmDescription                 string
		ComparisonOperator               Comparison
		EvaluationPeriods                int
		DatapointsToAlarm                int
		Threshold                        float64
		TreatMissingData                 string
		EvaluateLowSampleCountPercentile string         `json:",omitempty"`
		Namespace                        string         `json:",omitempty"`
		MetricName                       string         `json:",omitempty"`
		Dimensions                       []cfnDimension `json:",omitempty"`
		Period                           int            `json:",omitempty"`
		Statistic                        string         `json:",omitempty"`
		ExtendedStatistic                string         `json:",omitempty"`
		Metrics                          []cfnQuery     `json:",omitempty"`
		AlarmActions                     []string       `json:",omitempty"`
		OKActions                        []string       `json:",omitempty"`
	}
	cfnDimension struct{ Name, Value string }
	cfnQuery     struct {
		ID         string         `json:"Id"`
		Expression string         `json:",omitempty"`
		MetricStat *cfnMetricStat `json:",omitempty"`
		Period     int            `json:",omitempty"`
		ReturnData bool
	}
	cfnMetricStat struct {
		Metric cfnMetric
		Period int
		Stat   string
	}
	cfnMetric struct {
		Namespace, MetricName string
		Dimensions            []cfnDimension
	}
)

func cloudFormation(specs []Spec, set Settings) ([]byte, error) {
	if len(specs) > stackResources {
		return nil, fmt.Errorf("%d alarms do not fit into one CloudFormation stack, which has room for %d resources: export pipeline by pipeline", len(specs), stackResources)
	}
	t := cfnTemplate{"2010-09-09", fmt.Sprintf("Alarms of the kxops catalogue, version %d", Catalogue), map[string]cfnResource{}}
	ids := labels{}
	for _, s := range specs {
		t.Resources[ids.of("Alarm"+s.Name, "")] = cfnResource{"AWS::CloudWatch::Alarm", cfnOf(s, set)}
	}
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the template: %w", err)
	}
	return append(text, '\n'), nil
}

func cfnOf(s Spec, set Settings) cfnAlarm {
	a := cfnAlarm{
		AlarmName: s.Name, AlarmDescription: meaning(s), ComparisonOperator: s.Comparison, EvaluationPeriods: s.N, DatapointsToAlarm: s.M,
		Threshold: s.Threshold, TreatMissingData: s.Missing, EvaluateLowSampleCountPercentile: s.LowSamples,
	}
	if to := alarmTopic(s, set); to != "" {
		a.AlarmActions = []string{string(to)}
		if s.OK {
			a.OKActions = a.AlarmActions
		}
	}
	for _, q := range s.Math {
		x := cfnQuery{ID: q.ID, Expression: q.Expression, ReturnData: q.Returns}
		if q.Expression == "" {
			x.MetricStat = &cfnMetricStat{cfnMetric{q.Namespace, q.Metric, cfnDimensions(q.Dimensions)}, cmp.Or(q.Period, s.Period), cmp.Or(q.Stat, s.Stat)}
		} else {
			x.Period = q.Period
		}
		a.Metrics = append(a.Metrics, x)
	}
	if len(s.Math) == 0 {
		a.Namespace, a.MetricName, a.Dimensions, a.Period = s.Query.Namespace, s.Query.Metric, cfnDimensions(s.Query.Dimensions), s.Period
		if percentile(s.Stat) {
			a.ExtendedStatistic = s.Stat
		} else {
			a.Statistic = s.Stat
		}
	}
	return a
}

func cfnDimensions(m map[string]string) (out []cfnDimension) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, cfnDimension{k, m[k]})
	}
	return out
}
