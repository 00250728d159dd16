package ops

import (
	"encoding/json"
	"math"
	"slices"
	"sort"
	"time"
)

// Unknown says why a reading has no value. A reading without a value is never
// shown as 0: each reason is its own word.
type Unknown string

const (
	NotRead     Unknown = "?"           // not asked for yet, or the answer was lost
	NoData      Unknown = "no data"     // asked; the service has no datapoint in the window
	Asleep      Unknown = "asleep"      // an SQS queue idle for more than 6 h publishes nothing
	Denied      Unknown = "denied"      // the identity may not read it
	Unsupported Unknown = "unsupported" // this endpoint does not offer it
)

// Unit is the unit of a reading.
type Unit string

const (
	Seconds   Unit = "s"
	Count     Unit = "count"
	PerSecond Unit = "1/s"
	Bytes     Unit = "bytes"
	Ratio     Unit = "ratio" // 0 to 1
)

// Reading is a number that may be unknown. The zero Reading is unknown (NotRead).
type Reading struct {
	value float64
	known bool
	why   Unknown
	At    time.Time // when the value was true (a metric's timestamp, or the time of a live read)
}

// Know returns a known reading taken at the given time.
// NaN and infinities are not values: they become NoData.
func Know(v float64, at time.Time) Reading {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Reading{why: NoData, At: at}
	}
	return Reading{value: v, known: true, At: at}
}

// Missing returns an unknown reading with its reason.
func Missing(why Unknown) Reading { return Reading{why: why} }

// Value returns the number; ok is false when it is unknown.
func (r Reading) Value() (v float64, ok bool) { return r.value, r.known }

// Or returns the number, or v when it is unknown.
func (r Reading) Or(v float64) float64 {
	if r.known {
		return r.value
	}
	return v
}

// Why returns the reason for a missing value, "" when the value is known.
func (r Reading) Why() Unknown {
	switch {
	case r.known:
		return ""
	case r.why == "":
		return NotRead
	}
	return r.why
}

// MarshalJSON writes the number, or null when it is unknown: never 0.
func (r Reading) MarshalJSON() ([]byte, error) {
	if !r.known {
		return []byte("null"), nil
	}
	return json.Marshal(r.value)
}

// UnmarshalJSON reads what MarshalJSON wrote: a number is known (its time is not
// in the JSON), null is unknown.
func (r *Reading) UnmarshalJSON(b []byte) error {
	var v *float64
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*r = Reading{}
	if v != nil {
		*r = Know(*v, time.Time{})
	}
	return nil
}

// Series is a run of points at a fixed step. A gap is NaN.
type Series struct {
	Start  time.Time
	Step   time.Duration
	Points []float64
}

// At returns the time of point i.
func (s Series) At(i int) time.Time { return s.Start.Add(time.Duration(i) * s.Step) }

// Value returns the point of a time, missing for a gap and outside the series:
// two series pair by time, for one may begin later.
func (s Series) Value(at time.Time) Reading {
	if s.Step <= 0 || at.Before(s.Start) {
		return Missing(NoData)
	}
	i := int(at.Sub(s.Start) / s.Step)
	if i >= len(s.Points) || math.IsNaN(s.Points[i]) {
		return Missing(NoData)
	}
	return Know(s.Points[i], s.At(i))
}

// Last returns the newest point that is not a gap.
func (s Series) Last() Reading {
	for i := len(s.Points) - 1; i >= 0; i-- {
		if !math.IsNaN(s.Points[i]) {
			return Know(s.Points[i], s.At(i))
		}
	}
	return Missing(NoData)
}

// Settled returns the series without the points younger than two minutes before
// now: CloudWatch may still change them.
func (s Series) Settled(now time.Time) Series {
	n := len(s.Points)
	for n > 0 && s.At(n-1).Add(s.Step).After(now.Add(-2*time.Minute)) {
		n--
	}
	s.Points = s.Points[:n]
	return s
}

// Slope returns the Theil-Sen slope (the median of all pairwise slopes, in units
// per second) over the last n points, unknown with fewer than three values. The
// median ignores a single wild point, such as the known 24 h jumps of iterator
// age on sparse shards.
func (s Series) Slope(n int) Reading {
	first := max(0, len(s.Points)-n)
	var at, v []float64
	for i := first; i < len(s.Points); i++ {
		if !math.IsNaN(s.Points[i]) {
			at = append(at, float64(i)*s.Step.Seconds())
			v = append(v, s.Points[i])
		}
	}
	if len(v) < 3 {
		return Missing(NoData)
	}
	if slices.Min(v) == slices.Max(v) { // most series of most accounts, most of the time
		return Know(0, s.At(len(s.Points)-1))
	}
	slopes := make([]float64, 0, len(v)*(len(v)-1)/2)
	for i := range v {
		for j := i + 1; j < len(v); j++ {
			slopes = append(slopes, (v[j]-v[i])/(at[j]-at[i]))
		}
	}
	sort.Float64s(slopes)
	m := len(slopes) / 2
	if len(slopes)%2 == 1 {
		return Know(slopes[m], s.At(len(s.Points)-1))
	}
	return Know((slopes[m-1]+slopes[m])/2, s.At(len(s.Points)-1))
}

// moves reports whether the series really went the way its slope says over the
// last fifteen points, by comparing its first and last third. A sawtooth, which is
// how a batching reader looks, has slopes within its teeth and goes nowhere.
func (s Series) moves(slope float64) bool {
	n := min(len(s.Points), slopePoints)
	last := s.Points[len(s.Points)-n:]
	third := n / 3
	from, known := median(last[:third])
	to, also := median(last[n-third:])
	if !known || !also {
		return true // too few points to say otherwise
	}
	went, expected := to-from, slope*float64(n-third)*s.Step.Seconds()
	return went/expected >= 0.5
}

func median(points []float64) (float64, bool) {
	var v []float64
	for _, x := range points {
		if !math.IsNaN(x) {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return 0, false
	}
	sort.Float64s(v)
	return v[len(v)/2], true
}

// Measure is one metric of one resource: its newest value and, where it was
// read, the last hour.
type Measure struct {
	Metric Metric
	Last   Reading
	Hour   Series
}

// Metric names a measure. The name carries the unit, as in JSON output.
type Metric string

// The metrics that kxops reads. Source says where each comes from.
const (
	IteratorAge   Metric = "iterator_age_s"         // Kinesis GetRecords.IteratorAgeMilliseconds (Max), worst of all polling consumers
	FanOutBehind  Metric = "fan_out_behind_s"       // Kinesis SubscribeToShardEvent.MillisBehindLatest (Max), per consumer
	WriteThrottle Metric = "write_throttled"        // Kinesis WriteProvisionedThroughputExceeded (Sum per minute)
	ReadThrottle  Metric = "read_throttled"         // Kinesis ReadProvisionedThroughputExceeded (Sum per minute)
	Incoming      Metric = "incoming_records"       // Kinesis/Firehose IncomingRecords (Sum per minute)
	IncomingBytes Metric = "incoming_bytes"         // Kinesis/Firehose IncomingBytes (Sum per minute)
	Freshness     Metric = "freshness_s"            // Firehose DeliveryTo*.DataFreshness (Max)
	DeliverySucc  Metric = "delivery_success_ratio" // Firehose DeliveryTo*.Success (Avg)
	Delivered     Metric = "delivered_records"      // Firehose DeliveryTo*.Records (Sum per minute)
	SourceRead    Metric = "source_read_records"    // Firehose DataReadFromKinesisStream.Records (Sum per minute)
	SourceBehind  Metric = "source_behind_s"        // Firehose KinesisMillisBehindLatest (Max)
	Throttled     Metric = "throttled_records"      // Firehose ThrottledRecords (Sum per minute)
	TransformSucc Metric = "transform_success_ratio"
	ConvertFailed Metric = "conversion_failed_records"
	Backup        Metric = "backup_records"  // Firehose BackupToS3.Records (Sum per minute)
	Visible       Metric = "visible"         // SQS messages visible: live from GetQueueAttributes when read, else the metric
	InFlight      Metric = "in_flight"       // SQS messages not visible
	Delayed       Metric = "delayed"         // SQS messages delayed
	OldestAge     Metric = "oldest_age_s"    // SQS ApproximateAgeOfOldestMessage (Max)
	Sent          Metric = "sent"            // SQS NumberOfMessagesSent (Sum per minute); does not count dead-lettering by SQS
	Deleted       Metric = "deleted"         // SQS NumberOfMessagesDeleted (Sum per minute)
	Invocations   Metric = "invocations"     // Lambda Invocations (Sum per minute)
	Errors        Metric = "errors"          // Lambda Errors (Sum per minute)
	FnThrottles   Metric = "throttles"       // Lambda Throttles (Sum per minute)
	Duration      Metric = "duration_s"      // Lambda Duration (Max)
	FnIteratorAge Metric = "consumer_lag_s"  // Lambda IteratorAge (Max), names the consumer
	Published     Metric = "published"       // SNS NumberOfMessagesPublished (Sum per minute)
	NotifyFailed  Metric = "notify_failed"   // SNS NumberOfNotificationsFailed (Sum per minute)
	NotifyRedrive Metric = "notify_redriven" // SNS NumberOfNotificationsRedrivenToDlq (Sum per minute)
	NotifyLost    Metric = "notify_lost"     // SNS NumberOfNotificationsFailedToRedriveToDlq (Sum per minute)
	APIFailed     Metric = "failed_ratio"    // API Gateway 5xx, 5XXError or ExecutionError (Avg: the share of the requests)
	APIRejected   Metric = "rejected_ratio"  // API Gateway 4xx, 4XXError or ClientError (Avg: the share of the requests)
	APILatency    Metric = "latency_p90_s"   // API Gateway IntegrationLatency, of REST APIs Latency (p90)
	APIRequests   Metric = "requests"        // API Gateway Count, of WebSocket APIs MessageCount (SampleCount per minute)
)

// Unit returns the unit of the metric's values.
func (m Metric) Unit() Unit {
	switch m {
	case IteratorAge, FanOutBehind, Freshness, SourceBehind, OldestAge, Duration, FnIteratorAge, APILatency:
		return Seconds
	case DeliverySucc, TransformSucc, APIFailed, APIRejected:
		return Ratio
	case IncomingBytes:
		return Bytes
	}
	return Count
}

// Measures are the metrics of one resource, in the order they were read.
type Measures []Measure

// Get returns the measure of a metric; an unread metric gives an unknown one.
func (ms Measures) Get(m Metric) Measure {
	for _, x := range ms {
		if x.Metric == m {
			return x
		}
	}
	return Measure{Metric: m}
}

// Last returns the newest value of a metric.
func (ms Measures) Last(m Metric) Reading { return ms.Get(m).Last }
