package sandbox

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// streamMetrics are the stream-level metrics of AWS/Kinesis.
type streamMetrics struct {
	incomingRecords, incomingBytes                       *metricSeries
	putRecordBytes, putRecordSuccess, putRecordLatency   *metricSeries
	putsBytes, putsSuccess, putsLatency                  *metricSeries
	putsTotal, putsSucceeded, putsFailed, putsThrottled  *metricSeries
	writeThrottled, readThrottledSeries                  *metricSeries
	getAge, getRecords, getBytes, getSuccess, getLatency *metricSeries
}

func newStreamMetrics(r *Region, name string) streamMetrics {
	m := func(metric, unit string) *metricSeries {
		return r.metrics.series("AWS/Kinesis", metric, unit, "StreamName", name)
	}
	return streamMetrics{
		incomingRecords: m("IncomingRecords", "Count"), incomingBytes: m("IncomingBytes", "Bytes"),
		putRecordBytes: m("PutRecord.Bytes", "Bytes"), putRecordSuccess: m("PutRecord.Success", "Count"), putRecordLatency: m("PutRecord.Latency", "Milliseconds"),
		putsBytes: m("PutRecords.Bytes", "Bytes"), putsSuccess: m("PutRecords.Success", "Count"), putsLatency: m("PutRecords.Latency", "Milliseconds"),
		putsTotal: m("PutRecords.TotalRecords", "Count"), putsSucceeded: m("PutRecords.SuccessfulRecords", "Count"),
		putsFailed: m("PutRecords.FailedRecords", "Count"), putsThrottled: m("PutRecords.ThrottledRecords", "Count"),
		writeThrottled: m("WriteProvisionedThroughputExceeded", "Count"), readThrottledSeries: m("ReadProvisionedThroughputExceeded", "Count"),
		getAge: m("GetRecords.IteratorAgeMilliseconds", "Milliseconds"), getRecords: m("GetRecords.Records", "Count"),
		getBytes: m("GetRecords.Bytes", "Bytes"), getSuccess: m("GetRecords.Success", "Count"), getLatency: m("GetRecords.Latency", "Milliseconds"),
	}
}

// Latencies of the sandbox mean nothing; these are in the range that AWS shows.
const (
	usualPutLatency = 12.0 // ms
	usualGetLatency = 9.0  // ms
)

// many is the statistic set of n events that make up total.
func many(total, n float64) datapoint {
	if n <= 0 {
		return datapoint{}
	}
	return datapoint{sum: total, min: total / n, max: total / n, count: n}
}

// wrote counts records that came in.
func (m *streamMetrics) wrote(now time.Time, records, bytes float64) {
	m.incomingRecords.merge(now, many(records, records))
	m.incomingBytes.merge(now, many(bytes, records))
	m.writeThrottled.add(now, 0)
}

func (m *streamMetrics) putRecord(now time.Time, size int, ok bool) {
	m.putRecordLatency.add(now, usualPutLatency)
	if !ok {
		m.putRecordSuccess.add(now, 0)
		m.writeThrottled.add(now, 1)
		return
	}
	m.putRecordSuccess.add(now, 1)
	m.putRecordBytes.add(now, float64(size))
	m.wrote(now, 1, float64(size))
}

// putCounts is the outcome of one PutRecords.
type putCounts struct{ total, failed, throttled, bytes int }

func (m *streamMetrics) putRecords(now time.Time, c putCounts) {
	stored := c.total - c.failed - c.throttled
	m.putsLatency.add(now, usualPutLatency)
	m.putsTotal.add(now, float64(c.total))
	m.putsSucceeded.add(now, float64(stored))
	m.putsFailed.add(now, float64(c.failed)) // internal failures only; throttled records have their own metric
	m.putsThrottled.add(now, float64(c.throttled))
	if c.throttled > 0 {
		m.writeThrottled.merge(now, many(float64(c.throttled), float64(c.throttled)))
	}
	if stored == 0 {
		m.putsSuccess.add(now, 0)
		return
	}
	m.putsSuccess.add(now, 1)
	m.putsBytes.add(now, float64(c.bytes))
	m.wrote(now, float64(stored), float64(c.bytes))
}

// read counts one GetRecords that was answered.
func (m *streamMetrics) read(now time.Time, records, bytes int, age time.Duration) {
	m.getAge.add(now, float64(age.Milliseconds()))
	m.getRecords.add(now, float64(records))
	m.getBytes.add(now, float64(bytes))
	m.getSuccess.add(now, 1)
	m.getLatency.add(now, usualGetLatency)
	m.readThrottledSeries.add(now, 0)
}

func (m *streamMetrics) readThrottled(now time.Time) {
	m.getSuccess.add(now, 0)
	m.getLatency.add(now, usualGetLatency)
	m.readThrottledSeries.add(now, 1)
}

// polled counts the reads of a simulated consumer in one minute.
func (m *streamMetrics) polled(now time.Time, age datapoint, records, bytes float64) {
	calls := age.count
	m.getAge.merge(now, age)
	m.getRecords.merge(now, many(records, calls))
	m.getBytes.merge(now, many(bytes, calls))
	m.getSuccess.merge(now, many(calls, calls))
	m.getLatency.merge(now, many(usualGetLatency*calls, calls))
	m.readThrottledSeries.merge(now, many(0, calls))
}

// feed counts traffic without records: the cheap way for a scenario to have a
// past. The traffic is spread over requests of up to 500 records.
func (s *stream) feed(at time.Time, records, bytes float64) {
	if records <= 0 {
		return
	}
	m, calls := &s.metrics, max(1, records/mostPutRecords)
	m.wrote(at, records, bytes)
	m.putsTotal.merge(at, many(records, calls))
	m.putsSucceeded.merge(at, many(records, calls))
	m.putsFailed.merge(at, many(0, calls))
	m.putsThrottled.merge(at, many(0, calls))
	m.putsSuccess.merge(at, many(calls, calls))
	m.putsBytes.merge(at, many(bytes, calls))
	m.putsLatency.merge(at, many(usualPutLatency*calls, calls))
}

// minute runs for every stream once a minute.
func (k *kinesisService) minute(now time.Time) {
	for _, name := range k.names() {
		s := k.streams[name]
		if s.status == types.StreamStatusCreating {
			continue
		}
		s.trim()
		at := now.Add(-time.Second)
		if s.flow != nil {
			records, bytes := s.flow(at)
			s.feed(at, records, bytes)
		}
		records, bytes := s.metrics.incomingRecords.between(at, now).sum, s.metrics.incomingBytes.between(at, now).sum
		for _, p := range s.readers {
			p.minute(now, records, bytes)
		}
		s.autoscale(now, records, bytes)
	}
}

// autoscale doubles the shards of an on-demand stream whose busiest minute used
// more than half of its capacity, at most every 15 minutes: a jump beyond twice
// the recent peak is throttled until then, as on AWS.
func (s *stream) autoscale(now time.Time, records, bytes float64) {
	if s.mode != types.StreamModeOnDemand || s.status != types.StreamStatusActive {
		return
	}
	n := len(s.openShards())
	s.peak = max(s.peak, records/(60*1000*float64(n)), bytes/(60*float64(n)*(1<<20)))
	if s.peak <= 0.5 || now.Sub(later(s.scaled, s.created)) < 15*time.Minute || 2*n > 200 {
		return
	}
	s.peak, s.scaled = 0, now
	s.rescale(2 * n)
}
