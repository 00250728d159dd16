package alarms

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
