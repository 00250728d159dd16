package sandbox

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"kxops/ops"
)

const (
	mostFireRecord = 1000 * 1024 // bytes, before base64
	mostFireBatch  = 500
	mostFireBytes  = 4 << 20
	// mostBacklog bounds what one delivery stream holds while its destination
	// fails: a source stream is not read on beyond it, a put is answered with
	// ServiceUnavailableException.
	mostBacklog = 32 << 20
	// readEvery is how often a Kinesis source is read. Firehose reads once a
	// second; the sandbox saves most of these.
	readEvery    = 5 * time.Second
	readPage     = 10000
	directPutTTL = 24 * time.Hour
)

// fireRecord is one record on its way through Firehose.
type fireRecord struct {
	id       string
	data     []byte
	arrived  time.Time
	sequence string // of a Kinesis source
	key      string
	shard    string
}

// fireLimits are the quotas of Direct PUT in the large regions (Firehose quotas
// page): records, bytes and requests per second.
var fireLimits = map[string][3]float64{
	"us-east-1": {500_000, 5 << 20, 2000}, "us-west-2": {500_000, 5 << 20, 2000}, "eu-west-1": {500_000, 5 << 20, 2000},
}

var usualFireLimits = [3]float64{100_000, 1 << 20, 1000}

func (f *firehoseService) quota() [3]float64 {
	if q, ok := fireLimits[f.r.Name]; ok {
		return q
	}
	return usualFireLimits
}

func (d *deliveryStream) limits(now time.Time) {
	q := d.svc.quota()
	d.records, d.bytes, d.requests = newTokens(now, q[0]), newTokens(now, q[1]), newTokens(now, q[2])
}

// writable finds a delivery stream that takes puts.
func (f *firehoseService) writable(name *string) (*deliveryStream, error) {
	d, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if d.kind != types.DeliveryStreamTypeDirectPut {
		return nil, fireInvalidf("This operation is not permitted on %s delivery stream type.", d.kind)
	}
	if d.status != types.DeliveryStreamStatusActive {
		return nil, &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf("Firehose %s under account %s not found.", d.name, Account))}
	}
	return d, nil
}

// slowDown is what a put over the quota gets.
func slowDown() error {
	return &types.ServiceUnavailableException{Message: aws.String("Slow down.")}
}

// admit checks the quotas of a put.
func (d *deliveryStream) admit(records, bytes int) error {
	now := d.svc.r.now()
	if !d.requests.has(now, 1) || !d.records.has(now, float64(records)) || !d.bytes.has(now, float64(bytes)) || d.held > mostBacklog {
		d.metrics.throttled.merge(now, many(float64(records), float64(records)))
		return slowDown()
	}
	d.requests.take(1)
	d.records.take(float64(records))
	d.bytes.take(float64(bytes))
	d.metrics.throttled.add(now, 0)
	return nil
}

func checkFireRecord(r *types.Record) error {
	if r == nil || r.Data == nil {
		return fireInvalidf("1 validation error detected: Value at 'record.data' failed to satisfy constraint: Member must not be null")
	}
	if len(r.Data) > mostFireRecord {
		return fireInvalidf("1 validation error detected: Value at 'record.data' failed to satisfy constraint: Member must have length less than or equal to %d", mostFireRecord)
	}
	return nil
}

func (d *deliveryStream) recordID() string {
	rng := d.svc.r.rng
	b := make([]byte, 0, 80)
	for range 3 {
		b = appendPadded(b, rng.Uint64(), 20)
	}
	return string(appendPadded(b, uint64(d.svc.r.now().UnixNano()), 20))
}

func (f *firehoseService) putRecord(_ context.Context, in *firehose.PutRecordInput) (*firehose.PutRecordOutput, error) {
	d, err := f.writable(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if err := checkFireRecord(in.Record); err != nil {
		return nil, err
	}
	if err := d.admit(1, len(in.Record.Data)); err != nil {
		return nil, err
	}
	id, now := d.recordID(), f.r.now()
	d.metrics.put(now, 1, len(in.Record.Data), false)
	d.take(fireRecord{id: id, data: in.Record.Data, arrived: now})
	return &firehose.PutRecordOutput{RecordId: &id, Encrypted: aws.Bool(d.encryption != nil)}, nil
}

func (f *firehoseService) putRecordBatch(_ context.Context, in *firehose.PutRecordBatchInput) (*firehose.PutRecordBatchOutput, error) {
	d, err := f.writable(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if n := len(in.Records); n == 0 || n > mostFireBatch {
		return nil, fireInvalidf("1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length between 1 and %d", mostFireBatch)
	}
	size := 0
	for i := range in.Records {
		if err := checkFireRecord(&in.Records[i]); err != nil {
			return nil, err
		}
		size += len(in.Records[i].Data)
	}
	if size > mostFireBytes {
		return nil, fireInvalidf("Records size exceeds %d MB limit", mostFireBytes>>20)
	}
	if err := d.admit(len(in.Records), size); err != nil {
		return nil, err
	}
	out := &firehose.PutRecordBatchOutput{Encrypted: aws.Bool(d.encryption != nil), RequestResponses: make([]types.PutRecordBatchResponseEntry, len(in.Records))}
	partial, now := f.r.strikes(PartialBatch, "firehose", "PutRecordBatch"), f.r.now()
	var failed int32
	stored, bytes := 0, 0
	for i := range in.Records {
		if partial && f.r.rng.IntN(3) == 0 {
			out.RequestResponses[i].ErrorCode = aws.String("ServiceUnavailableException")
			out.RequestResponses[i].ErrorMessage = aws.String("Slow down.")
			failed++
			continue
		}
		id := d.recordID()
		out.RequestResponses[i].RecordId = &id
		stored, bytes = stored+1, bytes+len(in.Records[i].Data)
		d.take(fireRecord{id: id, data: in.Records[i].Data, arrived: now})
	}
	out.FailedPutCount = &failed
	d.metrics.put(now, stored, bytes, true)
	return out, nil
}

// send puts one record of simulated traffic: no quota, but the incoming metrics.
func (d *deliveryStream) send(data []byte) {
	now := d.svc.r.now()
	d.metrics.put(now, 1, len(data), false)
	if d.held > mostBacklog {
		d.metrics.throttled.add(now, 1)
		return
	}
	d.take(fireRecord{id: d.recordID(), data: data, arrived: now})
}

// receive takes an event of another service (an SNS subscription).
func (f *firehoseService) receive(target ops.ARN, e delivery) error {
	name := target.Name()
	d, err := f.writable(&name)
	if err != nil {
		return err
	}
	if err := d.admit(1, len(e.Body)); err != nil {
		return err
	}
	now := f.r.now()
	d.metrics.put(now, 1, len(e.Body), false)
	d.take(fireRecord{id: d.recordID(), data: e.Body, arrived: now})
	return nil
}

// startReading begins to read a Kinesis source at its tip.
func (d *deliveryStream) startReading() error {
	r, arn := d.svc.r, ops.ARN(deref(d.source.KinesisStreamSourceDescription.KinesisStreamARN))
	shards, err := r.streams.shards(arn)
	if err != nil {
		return fireInvalidf("Kinesis stream %s cannot be used as a source: %v", arn, err)
	}
	for _, s := range shards {
		d.positions[s.ID] = r.streams.latest(arn, s.ID)
	}
	var poll func()
	poll = func() {
		if d.status == types.DeliveryStreamStatusDeleting {
			return
		}
		if d.flow == nil {
			d.readSource(arn)
		}
		r.after(r.setup(readEvery), poll)
	}
	r.after(r.setup(readEvery), poll)
	return nil
}

// readSource reads each shard of the source once, parents before children. While
// too much waits for the destination it does not read, and falls behind.
func (d *deliveryStream) readSource(arn ops.ARN) {
	r := d.svc.r
	shards, err := r.streams.shards(arn)
	if err != nil || !d.svc.mayRead(deref(d.source.KinesisStreamSourceDescription.RoleARN), arn) {
		d.behind += r.setup(readEvery) // the source is gone or closed to us: the distance grows with time
		return
	}
	var behind time.Duration
	for _, s := range shards {
		if d.finished[s.ID] || d.waitsFor(shards, s.Parent) {
			continue
		}
		if d.held > mostBacklog {
			behind = max(behind, d.behind+r.setup(readEvery))
			continue
		}
		page, err := r.streams.read(arn, s.ID, d.positions[s.ID], readPage, true)
		if err != nil {
			continue // the shard went away between listing and reading
		}
		size := 0
		for _, rec := range page.Records {
			size += len(rec.Data)
			d.take(fireRecord{id: rec.Sequence, data: rec.Data, arrived: rec.Arrived, sequence: rec.Sequence, key: rec.Key, shard: s.ID})
			d.positions[s.ID] = rec.Sequence
		}
		d.metrics.readSource(r.now(), len(page.Records), size)
		d.finished[s.ID] = page.End
		behind = max(behind, page.Behind)
	}
	d.behind = behind
}

// waitsFor reports whether a parent shard has still to be read.
func (d *deliveryStream) waitsFor(shards []shardInfo, parent string) bool {
	for _, s := range shards {
		if s.ID == parent {
			return !d.finished[s.ID]
		}
	}
	return false
}
