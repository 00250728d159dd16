package alarms

import (
	"time"

	"kxops/ops"
)

// Rule is one thing that can be wrong with one kind of resource. Exactly one of
// the check functions is set; it returns the sentence that says what is wrong,
// with the number and the limit, or "" when all is well or nothing is known.
// (Not knowing is shown as such by the verdict; it is never a finding.)
type Rule struct {
	ID       string
	Severity Severity
	Title    string // what it means, in one line
	Why      string // where the threshold comes from
	Next     string // the first thing to do

	Stream   func(ops.Stream, look) string
	Delivery func(ops.Delivery, look) string
	Queue    func(ops.Queue, look) string // queues that receive no dead letters
	Dead     func(ops.Queue, look) string // dead-letter queues
	Function func(ops.Function, look) string
	Topic    func(ops.Topic, look) string
	API      func(ops.API, look) string

	Watch *Watch // the alarm that should exist, nil for a mere finding
}

// look is what a check may know beside its resource.
type look struct {
	now       time.Time
	retention map[ops.ARN]time.Duration // of streams and queues
	timeout   map[ops.ARN]time.Duration // of functions
	onStream  map[ops.ARN]bool          // functions that read a stream
	key       map[ops.ARN]string        // of queues: what encrypts them
}

func lookAt(s ops.Snapshot, now time.Time) look {
	l := look{now, map[ops.ARN]time.Duration{}, map[ops.ARN]time.Duration{}, map[ops.ARN]bool{}, map[ops.ARN]string{}}
	for _, st := range s.Streams.Items {
		l.retention[st.ARN] = st.Retention
		for _, c := range st.Consumers {
			if c.Kind == ops.ByMapping {
				l.onStream[c.ARN] = true
			}
		}
	}
	for _, q := range s.Queues.Items {
		l.retention[q.ARN], l.key[q.ARN] = q.Retention, q.Encryption
	}
	for _, f := range s.Functions.Items {
		l.timeout[f.ARN] = f.Timeout
	}
	return l
}

// breaches reports whether at least m of the last n settled minutes of a measure
// lie beyond the limit, decided as a CloudWatch alarm with notBreaching: a minute
// without data does not count. With no series it looks at the last value, if m
// is 1.
func (l look) breaches(x ops.Measure, m, n int, beyond func(v float64) bool) bool {
	points := x.Hour.Settled(l.now).Points
	if len(points) == 0 {
		v, ok := x.Last.Value()
		return m == 1 && ok && beyond(v)
	}
	return Decide(points[max(0, len(points)-Range(n)):], m, n, beyond, MissingIsGood, StateIsOK) == StateIsAlarm
}

func above(limit float64) func(float64) bool   { return func(v float64) bool { return v > limit } }
func below(limit float64) func(float64) bool   { return func(v float64) bool { return v < limit } }
func atLeast(limit float64) func(float64) bool { return func(v float64) bool { return v >= limit } }

// last returns the newest settled value of a measure, else its last.
func (l look) last(x ops.Measure) float64 {
	if v, ok := x.Hour.Settled(l.now).Last().Value(); ok {
		return v
	}
	return x.Last.Or(0)
}

// recent sums the last n settled minutes.
func (l look) recent(x ops.Measure, n int) float64 {
	points := x.Hour.Settled(l.now).Points
	sum := 0.0
	for _, v := range points[max(0, len(points)-n):] {
		if v == v {
			sum += v
		}
	}
	return sum
}

func clamp(d, lo, hi time.Duration) time.Duration { return max(lo, min(d, hi)) }
