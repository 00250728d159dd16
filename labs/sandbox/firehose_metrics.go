package sandbox

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
)

// deliveryMetrics are the metrics of AWS/Firehose for one delivery stream.
type deliveryMetrics struct {
	incomingRecords, incomingBytes, incomingPuts           *metricSeries
	putBytes, putRequests, putLatency                      *metricSeries
	batchBytes, batchRecords, batchRequests, batchLatency  *metricSeries
	throttled, throttledGets                               *metricSeries
	s3Records, s3Bytes, s3Success, s3Freshness             *metricSeries
	backupRecords, backupBytes, backupSuccess, backupFresh *metricSeries
	sourceRecords, sourceBytes, sourceBehind               *metricSeries
	processing, processingTime                             *metricSeries
	bytesLimit, recordsLimit, putsLimit                    *metricSeries
}

func newDeliveryMetrics(r *Region, name string) deliveryMetrics {
	m := func(metric, unit string) *metricSeries {
		return r.metrics.series("AWS/Firehose", metric, unit, "DeliveryStreamName", name)
	}
	return deliveryMetrics{
		incomingRecords: m("IncomingRecords", "Count"), incomingBytes: m("IncomingBytes", "Bytes"), incomingPuts: m("IncomingPutRequests", "Count"),
		putBytes: m("PutRecord.Bytes", "Bytes"), putRequests: m("PutRecord.Requests", "Count"), putLatency: m("PutRecord.Latency", "Milliseconds"),
		batchBytes: m("PutRecordBatch.Bytes", "Bytes"), batchRecords: m("PutRecordBatch.Records", "Count"),
		batchRequests: m("PutRecordBatch.Requests", "Count"), batchLatency: m("PutRecordBatch.Latency", "Milliseconds"),
		throttled: m("ThrottledRecords", "Count"), throttledGets: m("ThrottledGetRecords", "Count"),
		s3Records: m("DeliveryToS3.Records", "Count"), s3Bytes: m("DeliveryToS3.Bytes", "Bytes"),
		s3Success: m("DeliveryToS3.Success", "Count"), s3Freshness: m("DeliveryToS3.DataFreshness", "Seconds"),
		backupRecords: m("BackupToS3.Records", "Count"), backupBytes: m("BackupToS3.Bytes", "Bytes"),
		backupSuccess: m("BackupToS3.Success", "Count"), backupFresh: m("BackupToS3.DataFreshness", "Seconds"),
		sourceRecords: m("DataReadFromKinesisStream.Records", "Count"), sourceBytes: m("DataReadFromKinesisStream.Bytes", "Bytes"),
		sourceBehind: m("KinesisMillisBehindLatest", "Milliseconds"),
		processing:   m("ExecuteProcessing.Success", "Count"), processingTime: m("ExecuteProcessing.Duration", "Milliseconds"),
		bytesLimit: m("BytesPerSecondLimit", "Bytes/Second"), recordsLimit: m("RecordsPerSecondLimit", "Count/Second"), putsLimit: m("PutRequestsPerSecondLimit", "Count/Second"),
	}
}

// put counts one accepted put.
func (m *deliveryMetrics) put(now time.Time, records, bytes int, batch bool) {
	m.incomingRecords.merge(now, many(float64(records), float64(records)))
	m.incomingBytes.merge(now, many(float64(bytes), float64(records)))
	m.incomingPuts.add(now, 1)
	if !batch {
		m.putBytes.add(now, float64(bytes))
		m.putRequests.add(now, 1)
		m.putLatency.add(now, usualPutLatency)
		return
	}
	m.batchBytes.add(now, float64(bytes))
	m.batchRecords.add(now, float64(records))
	m.batchRequests.add(now, 1)
	m.batchLatency.add(now, usualPutLatency)
}

func (m *deliveryMetrics) readSource(now time.Time, records, bytes int) {
	m.sourceRecords.add(now, float64(records))
	m.sourceBytes.add(now, float64(bytes))
	m.throttledGets.add(now, 0)
}

// delivered counts one attempt to write an object.
func (m *deliveryMetrics) delivered(now time.Time, o pendingObject, ok bool, age time.Duration) {
	records, bytes, success, freshness := m.s3Records, m.s3Bytes, m.s3Success, m.s3Freshness
	if o.kind == "backup" {
		records, bytes, success, freshness = m.backupRecords, m.backupBytes, m.backupSuccess, m.backupFresh
	}
	if !ok {
		success.add(now, 0)
		return
	}
	success.add(now, 1)
	records.add(now, float64(o.records))
	bytes.add(now, float64(o.bytes))
	freshness.add(now, age.Seconds())
}

func (m *deliveryMetrics) processed(now time.Time, ok bool, took time.Duration) {
	v := 0.0
	if ok {
		v = 1
	}
	m.processing.add(now, v)
	m.processingTime.add(now, float64(took.Milliseconds()))
}

// minute runs for every delivery stream once a minute.
func (f *firehoseService) minute(now time.Time) {
	at, quota := now.Add(-time.Second), f.quota()
	for _, name := range f.names() {
		d := f.streams[name]
		if d.status == types.DeliveryStreamStatusCreating {
			continue
		}
		m := &d.metrics
		if d.kind == types.DeliveryStreamTypeDirectPut {
			m.recordsLimit.add(at, quota[0])
			m.bytesLimit.add(at, quota[1])
			m.putsLimit.add(at, quota[2])
		} else {
			m.sourceBehind.add(at, float64(d.behind.Milliseconds()))
		}
		if d.flow != nil {
			d.flowMinute(at)
			continue
		}
		d.sampleFreshness(at)
	}
}

// sampleFreshness publishes the age of the oldest record, unless nothing waits,
// or everything is blocked: then there is no active delivery and no metric.
func (d *deliveryStream) sampleFreshness(at time.Time) {
	if !d.blockedSince.IsZero() && !d.freshWhileBlocked {
		return
	}
	oldest := time.Time{}
	if len(d.backlog) > 0 {
		oldest = d.backlog[0].oldest
	} else if len(d.buffer) > 0 {
		oldest = d.buffer[0].arrived
	}
	if !oldest.IsZero() && oldest.Before(at) {
		d.metrics.s3Freshness.add(at, at.Sub(oldest).Seconds())
	}
}

// flowMinute plays one minute of traffic without records, for scenarios with a
// long past: the same metrics as real records would give.
func (d *deliveryStream) flowMinute(at time.Time) {
	records, bytes := d.flow(at)
	full := d.flowed[1] > mostBacklog
	if records > 0 {
		d.flowIn(at, records, bytes, full)
	}
	if d.flowed[0] == 0 || d.main == nil {
		return
	}
	age := at.Sub(d.flowedSince)
	if !d.svc.mayWrite(d.main.role, d.main.bucket, "*") {
		d.metrics.s3Success.add(at, 0)
		if d.blockedSince.IsZero() {
			d.blockedSince = at
		}
		if d.freshWhileBlocked {
			d.metrics.s3Freshness.add(at, age.Seconds())
		}
		return
	}
	d.blockedSince = time.Time{}
	d.metrics.s3Freshness.add(at, age.Seconds())
	if age >= d.main.interval || d.flowed[1] >= float64(d.main.size) {
		d.flowOut(at, age)
	}
}

// flowIn counts what comes in. With too much waiting, a source stream is not
// read on, and puts are throttled.
func (d *deliveryStream) flowIn(at time.Time, records, bytes float64, full bool) {
	m := &d.metrics
	switch {
	case d.kind == types.DeliveryStreamTypeDirectPut:
		calls := max(1, records/mostFireBatch)
		m.incomingPuts.merge(at, many(calls, calls))
		if full {
			m.throttled.merge(at, many(records, calls))
			return
		}
		m.incomingRecords.merge(at, many(records, records))
		m.incomingBytes.merge(at, many(bytes, records))
		m.throttled.merge(at, many(0, calls))
	case full:
		d.behind += time.Minute
		return
	default:
		d.behind = 0
		m.sourceRecords.merge(at, many(records, 60))
		m.sourceBytes.merge(at, many(bytes, 60))
		m.throttledGets.merge(at, many(0, 60))
	}
	if d.flowed[0] == 0 {
		d.flowedSince = at.Add(-time.Minute)
	}
	d.flowed[0] += records
	d.flowed[1] += bytes
}

// flowOut delivers what waits, or with a lag only a part of it.
func (d *deliveryStream) flowOut(at time.Time, age time.Duration) {
	m, share := &d.metrics, 1.0
	if d.lag > 0 { // each minute's delivery is worth this share of a minute of traffic
		share = min(1, (1-d.lag)*float64(time.Minute)/float64(age))
	}
	records, bytes := share*d.flowed[0], share*d.flowed[1]
	objects := max(1, bytes/float64(d.main.size))
	m.s3Success.merge(at, many(objects, objects))
	m.s3Records.merge(at, many(records, objects))
	m.s3Bytes.merge(at, many(bytes, objects))
	d.flowed[0] -= records
	d.flowed[1] -= bytes
	d.flowedSince = d.flowedSince.Add(time.Duration(share * float64(age)))
	if share == 1 {
		d.flowed = [2]float64{}
	}
}
