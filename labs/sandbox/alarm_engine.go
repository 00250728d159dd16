package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// This file is what alarms do each minute: read the evaluation range, decide by M
// of N with the alarm's way with missing data, and act on a change of state.

// extraPeriods is how many periods beyond EvaluationPeriods are read. CloudWatch
// reads more than N and does not say how many; its own examples read five for an
// N of three (user guide, "Configuring how CloudWatch alarms treat missing data").
const extraPeriods = 2

// verdict is the outcome of one evaluation.
type alarmVerdict struct {
	state  types.StateValue // "" keeps the current state
	used   int              // real datapoints that decided
	filled int              // missing ones that were filled in
}

// decide evaluates datapoints, oldest first, NaN for missing. The most recent n
// real ones count; what is lacking is filled as treat says, and only where it
// matters: real datapoints that decide alone win.
func decide(points []float64, m, n int, breaches func(float64) bool, treat string) alarmVerdict {
	used, bad, oldestBad := 0, 0, 0
	for i := len(points) - 1; i >= 0 && used < n; i-- {
		if math.IsNaN(points[i]) {
			continue
		}
		used++
		if breaches(points[i]) {
			bad++
			oldestBad = len(points) - i // 1 is the newest period
		}
	}
	missing := n - used
	v := alarmVerdict{used: used}
	switch {
	case bad >= m:
		v.state = types.StateValueAlarm
	case bad+missing < m:
		v.state = types.StateValueOk
	case treat == "breaching":
		v.state, v.filled = types.StateValueAlarm, missing
	case treat == "notBreaching":
		v.state, v.filled = types.StateValueOk, missing
	case used > bad: // missing or ignore, and something is fine
		v.state = types.StateValueOk
	case treat == "ignore":
	case used == 0:
		v.state = types.StateValueInsufficientData
	case oldestBad >= m:
		// "missing" with nothing but breaching datapoints: ALARM once the oldest is at
		// least M periods old, so that one late datapoint does not alarm too early.
		v.state = types.StateValueAlarm
	}
	return v
}

func breach(op types.ComparisonOperator, threshold float64) func(float64) bool {
	switch op {
	case types.ComparisonOperatorGreaterThanThreshold:
		return func(v float64) bool { return v > threshold }
	case types.ComparisonOperatorGreaterThanOrEqualToThreshold:
		return func(v float64) bool { return v >= threshold }
	case types.ComparisonOperatorLessThanThreshold:
		return func(v float64) bool { return v < threshold }
	}
	return func(v float64) bool { return v <= threshold }
}

// evaluateAlarms runs once a minute.
func (c *cloudWatch) evaluateAlarms(now time.Time) {
	c.openMutes(now)
	changed := false
	var scratch []float64
	for _, name := range c.alarms.names {
		a := c.alarms.byName[name]
		if a.metric != nil {
			var moved bool
			moved, scratch = c.evaluate(a, now, scratch)
			changed = changed || moved
		}
		c.unmute(a)
	}
	if changed {
		c.evaluateComposites()
	}
}

// evaluate decides about one metric alarm. The scratch space saves an allocation
// per alarm and minute.
func (c *cloudWatch) evaluate(a *alarm, now time.Time, scratch []float64) (bool, []float64) {
	n := int(*a.metric.EvaluationPeriods)
	m := n
	if a.metric.DatapointsToAlarm != nil {
		m = int(*a.metric.DatapointsToAlarm)
	}
	treat := deref(a.metric.TreatMissingData)
	if a.ignoresMissing {
		treat = "ignore"
	}
	points, w, err := c.points(a, now, n+extraPeriods, scratch[:0])
	if err != nil {
		if a.broken == "" {
			a.broken = err.Error()
			c.transition(a, types.StateValueInsufficientData, "Error in evaluating the alarm: "+a.broken, "")
		}
		return false, scratch
	}
	a.broken = ""
	if deref(a.metric.EvaluateLowSampleCountPercentile) == "ignore" && c.tooFewSamples(a, minuteOf(now), n) {
		return false, points
	}
	v := decide(points, m, n, a.breaches, treat)
	if v.state == "" || v.state == a.state {
		return false, points
	}
	reason, data := a.explain(v, points, w, m, n, treat, now)
	c.transition(a, v.state, reason, data)
	return true, points
}

// tooFewSamples reports whether the periods of an evaluation have fewer samples
// than a percentile needs to mean something: 10/(1-p), or 10/p below the median
// (user guide, "Percentile-based alarms and low data samples").
func (c *cloudWatch) tooFewSamples(a *alarm, minute int64, n int) bool {
	s := c.r.metrics.published(a.watched.key)
	if s == nil {
		return true
	}
	p := a.watched.stat.percentile / 100
	need := 10 / math.Max(1e-9, math.Min(p, 1-p))
	return s.seen(minute-int64(n)*int64(alarmPeriod(a.plan))/60, minute, minute).count < need
}

// points reads the alarm's evaluation range: periods that slide with the minute
// and end with the last full one.
func (c *cloudWatch) points(a *alarm, now time.Time, n int, into []float64) ([]float64, window, error) {
	minute := minuteOf(now)
	step := int64(alarmPeriod(a.plan)) / 60
	w := window{start: minute - int64(n)*step, step: step, n: n}
	if a.watched.expr == nil {
		s := c.r.metrics.published(a.watched.key)
		if s != nil && a.watched.unit != "" && a.watched.unit != s.unit {
			s = nil
		}
		for i := range n {
			v := math.NaN()
			if s != nil {
				from := w.at(i)
				v = a.watched.stat.of(s, s.seen(from, from+step, minute), from, from+step, minute)
			}
			into = append(into, v)
		}
		return into, w, nil
	}
	l := &look{c: c, plan: a.plan, start: timeOfMinute(w.start), end: timeOfMinute(minute), now: minute, done: map[string]lookResult{}}
	v, err := l.value(a.watched)
	switch {
	case err != nil:
		return nil, w, err
	case v.list == nil || len(v.list) != 1:
		return nil, w, errors.New("the expression must give one time series")
	}
	return append(into, v.list[0].v...), v.list[0].w, nil
}

// explain gives the texts of a state change in AWS's form: the datapoints that
// made the state, newest first.
func (a *alarm) explain(v alarmVerdict, points []float64, w window, m, n int, treat string, now time.Time) (reason, data string) {
	var recent []float64
	var shown []string
	var evaluated []evaluatedPoint
	start := now
	for i := len(points) - 1; i >= 0 && len(recent) < n; i-- {
		if math.IsNaN(points[i]) {
			continue
		}
		at := timeOfMinute(w.at(i))
		start = at
		recent = append([]float64{points[i]}, recent...)
		evaluated = append(evaluated, evaluatedPoint{awsTime(at), points[i]})
		if a.breaches(points[i]) == (v.state == types.StateValueAlarm) {
			shown = append(shown, javaDouble(points[i])+" ("+at.Format("02/01/06 15:04:05")+")")
		}
	}
	was := map[bool]string{true: "was", false: "were"}[len(shown) == 1]
	treated := ""
	if v.filled > 0 {
		treated = fmt.Sprintf(" and %d missing datapoint%s treated as [%s]", v.filled, map[bool]string{true: " was", false: "s were"}[v.filled == 1],
			map[string]string{"breaching": "Breaching", "notBreaching": "NonBreaching"}[treat])
	}
	threshold := javaDouble(*a.metric.Threshold)
	switch {
	case v.state == types.StateValueInsufficientData:
		reason = fmt.Sprintf("Insufficient Data: %d datapoint%s unknown.", n, map[bool]string{true: " was", false: "s were"}[n == 1])
	case len(shown) == 0:
		reason = fmt.Sprintf("Threshold Crossed: no datapoints were received for %d period%s%s.", v.filled, plural(v.filled), treated)
	case v.state == types.StateValueAlarm:
		reason = fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s %s the threshold (%s)%s (minimum %d datapoint%s for OK -> ALARM transition).",
			len(shown), n, strings.Join(shown, ", "), was, compares[a.metric.ComparisonOperator], threshold, treated, m, plural(m))
	default:
		reason = fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s not %s the threshold (%s)%s (minimum %d datapoint%s for ALARM -> OK transition).",
			len(shown), n, strings.Join(shown, ", "), was, compares[a.metric.ComparisonOperator], threshold, treated, n-m+1, plural(n-m+1))
	}
	return reason, asJSON(reasonData{
		Version: "1.0", QueryDate: awsTime(now), StartDate: awsTime(start),
		Statistic: string(a.metric.Statistic), Period: alarmPeriod(a.plan),
		Recent: orEmpty(recent), Threshold: *a.metric.Threshold, Evaluated: evaluated,
	})
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

var compares = map[types.ComparisonOperator]string{
	types.ComparisonOperatorGreaterThanThreshold:          "greater than",
	types.ComparisonOperatorGreaterThanOrEqualToThreshold: "greater than or equal to",
	types.ComparisonOperatorLessThanThreshold:             "less than",
	types.ComparisonOperatorLessThanOrEqualToThreshold:    "less than or equal to",
}

// reasonData is StateReasonData, whose shape AWS documents by example.
type reasonData struct {
	Version   string           `json:"version"`
	QueryDate string           `json:"queryDate"`
	StartDate string           `json:"startDate"`
	Statistic string           `json:"statistic,omitempty"`
	Period    int32            `json:"period"`
	Recent    []float64        `json:"recentDatapoints"`
	Threshold float64          `json:"threshold"`
	Evaluated []evaluatedPoint `json:"evaluatedDatapoints"`
}

type evaluatedPoint struct {
	Timestamp string  `json:"timestamp"`
	Value     float64 `json:"value"`
}

// awsTime is how alarms write times: 2026-11-22T22:40:00.000+0000.
func awsTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

// javaDouble writes a number as the service does, which shows that it is Java:
// 5.0, 0.25, 4.32E7.
func javaDouble(v float64) string {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-3 || abs >= 1e7) {
		s := strconv.FormatFloat(v, 'E', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		sign := ""
		if strings.HasPrefix(exponent, "-") {
			sign = "-"
		}
		return mantissa + "E" + sign + strings.TrimLeft(exponent, "+-0")
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// asJSON writes what cannot fail to be written: structs of strings and finite
// numbers.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return `{"error":` + strconv.Quote(err.Error()) + `}`
	}
	return string(b)
}

// transition changes the state, remembers it and acts on it.
func (c *cloudWatch) transition(a *alarm, to types.StateValue, reason, data string) {
	from := pastState{a.state, a.reason, a.reasonData, a.updated}
	now := c.r.now()
	a.reason, a.reasonData, a.updated = reason, data, now
	if to == a.state {
		return
	}
	a.state, a.transitioned = to, now
	c.recordState(a, from)
	if !a.actionsOn || len(a.actions[to]) == 0 {
		a.waiting = nil
		return
	}
	if rule := c.muted(a.name); rule != nil {
		a.waiting = &from
		c.recordMuted(a, rule)
		return
	}
	a.waiting = nil
	c.act(a, from)
}

// pastState is the state before a transition.
type pastState struct {
	state        types.StateValue
	reason, data string
	at           time.Time
}

// unmute runs the actions of a transition that a mute rule held back, if the
// alarm is still in that state now that the mute is over (user guide, alarm mute
// rules behaviour).
func (c *cloudWatch) unmute(a *alarm) {
	if a.waiting == nil || c.muted(a.name) != nil {
		return
	}
	from := *a.waiting
	a.waiting = nil
	if a.actionsOn {
		c.act(a, from)
	}
}
