package alarms

import "math"

// AlarmState is a state of a CloudWatch alarm.
type AlarmState string

const (
	StateIsOK     AlarmState = "OK"
	StateIsAlarm  AlarmState = "ALARM"
	StateIsNoData AlarmState = "INSUFFICIENT_DATA"
)

// extraPeriods is how many periods beyond N are read: CloudWatch reads more than N
// and does not say how many; the examples of its user guide read five for an N of
// three ("Configuring how CloudWatch alarms treat missing data").
const extraPeriods = 2

// Range is how many periods one evaluation reads.
func Range(n int) int { return n + extraPeriods }

// Decide evaluates an alarm as CloudWatch does: points are the datapoints of Range(n)
// periods, oldest first, NaN where there is none. The newest n real ones count; what
// is lacking is filled in as missing says, and only where it decides. before is the
// state until now: "ignore" keeps it. Source: CloudWatch user guide, "Configuring how
// CloudWatch alarms treat missing data".
func Decide(points []float64, m, n int, beyond func(float64) bool, missing string, before AlarmState) AlarmState {
	real, bad, oldestBad := 0, 0, 0
	for i := len(points) - 1; i >= 0 && real < n; i-- {
		if math.IsNaN(points[i]) {
			continue
		}
		real++
		if beyond(points[i]) {
			bad++
			oldestBad = len(points) - i
		}
	}
	lacking := n - real
	switch {
	case bad >= m:
		return StateIsAlarm
	case bad+lacking < m:
		return StateIsOK
	case missing == MissingIsBad:
		return StateIsAlarm
	case missing == MissingIsGood:
		return StateIsOK
	case real > bad:
		return StateIsOK
	case missing == MissingIsIgnored:
		return before
	case real == 0:
		return StateIsNoData
	case oldestBad >= m:
		return StateIsAlarm // only breaching ones, and the oldest is no single late point
	}
	return before
}

// Beyond reports whether a value is on the bad side of the threshold.
func (c Comparison) Beyond(threshold float64) func(float64) bool {
	switch c {
	case Above:
		return func(v float64) bool { return v > threshold }
	case AtLeast:
		return func(v float64) bool { return v >= threshold }
	case Below:
		return func(v float64) bool { return v < threshold }
	}
	return func(v float64) bool { return v <= threshold }
}
