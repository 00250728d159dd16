package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
)

// This file has event source mappings on Kinesis streams: a position per shard,
// one batch at a time, and a failing batch that holds up everything behind it
// until it succeeds, gives out or expires.

const (
	shardListInterval = 10 * time.Second
	firstRetry        = time.Second
	longestRetry      = 30 * time.Second
)

// What ListEventSourceMappings shows as LastProcessingResult.
const (
	resultNone      = "No records processed"
	resultOK        = "OK"
	resultFailed    = "PROBLEM: Function call failed"
	resultThrottled = "PROBLEM: Function call was throttled"
)

// shardReader is a mapping's place in one shard.
type shardReader struct {
	id, parent string
	position   string    // sequence number of the last record done with, "" for the horizon
	from       time.Time // AT_TIMESTAMP: records before it are passed over
	done       bool      // closed, and read to its end
	busy       bool      // a batch is at the function
	tries      int       // failed runs of the batch at hand
	parts      []int     // sizes of a failed batch, or of the halves it was bisected into, first first
	retryAt    time.Time
}

// mapStream prepares a mapping on a stream or on a registered consumer of one.
func (s *lambdaService) mapStream(m *mapping, in *lambda.CreateEventSourceMappingInput) error {
	if stream, _, ok := strings.Cut(string(m.source), "/consumer/"); ok {
		m.source, m.efo = ops.ARN(stream), true
	}
	c := &m.config
	c.StartingPosition, c.StartingPositionTimestamp = in.StartingPosition, in.StartingPositionTimestamp
	switch {
	case c.StartingPosition == "":
		return invalidParameter("1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.")
	case (c.StartingPosition == types.EventSourcePositionAtTimestamp) != (c.StartingPositionTimestamp != nil):
		return invalidParameter("StartingPositionTimestamp is required with the starting position AT_TIMESTAMP, and only with it.")
	}
	if s.r.streams == nil {
		return noSuchThing("Stream not found: %s", m.source)
	}
	if _, err := s.r.streams.shards(m.source); err != nil {
		return noSuchThing("Stream not found: %s", m.source)
	}
	c.BatchSize = aws.Int32(100)
	c.MaximumBatchingWindowInSeconds = aws.Int32(0)
	c.MaximumRetryAttempts = aws.Int32(-1)
	c.MaximumRecordAgeInSeconds = aws.Int32(-1)
	c.ParallelizationFactor = aws.Int32(1)
	c.BisectBatchOnFunctionError = aws.Bool(false)
	c.TumblingWindowInSeconds = aws.Int32(0)
	c.DestinationConfig = &types.DestinationConfig{OnFailure: &types.OnFailure{}}
	c.LastProcessingResult = aws.String(resultNone)
	s.listShards(m)
	return nil
}

// listShards brings the mapping's shards up to date. Shards that appear later are
// children, read from their beginning; at the start, LATEST means the tip.
func (s *lambdaService) listShards(m *mapping) {
	first := m.listed.IsZero()
	m.listed = s.r.now()
	shards, err := s.r.streams.shards(m.source)
	if err != nil {
		m.shards = nil // the stream is gone
		return
	}
	known := make(map[string]*shardReader, len(m.shards))
	for _, sh := range m.shards {
		known[sh.id] = sh
	}
	m.shards = m.shards[:0:0]
	for _, info := range shards {
		sh, ok := known[info.ID]
		if !ok {
			sh = &shardReader{id: info.ID, parent: info.Parent}
			if first && m.config.StartingPosition == types.EventSourcePositionLatest {
				sh.position = s.r.streams.latest(m.source, info.ID)
			}
			sh.from = aws.ToTime(m.config.StartingPositionTimestamp)
		}
		m.shards = append(m.shards, sh)
	}
}

// pollStream starts one batch for each shard that is free.
func (s *lambdaService) pollStream(m *mapping, f *function) (found bool) {
	if s.r.now().Sub(m.listed) >= shardListInterval {
		s.listShards(m)
	}
	unfinished := map[string]bool{}
	for _, sh := range m.shards {
		if !sh.done {
			unfinished[sh.id] = true
		}
	}
	for _, sh := range m.shards {
		if sh.done || sh.busy || sh.retryAt.After(s.r.now()) || unfinished[sh.parent] {
			continue
		}
		if s.pollShard(m, f, sh) {
			found = true
		}
	}
	return found
}

// pollShard reads the next batch of a shard, or the failed one again, and runs it.
func (s *lambdaService) pollShard(m *mapping, f *function, sh *shardReader) bool {
	limit := int(aws.ToInt32(m.config.BatchSize))
	if len(sh.parts) > 0 {
		limit = sh.parts[0]
	}
	page, err := s.r.streams.read(m.source, sh.id, sh.position, limit, !m.efo)
	if err != nil {
		sh.retryAt = s.r.now().Add(longestRetry)
		return false
	}
	records := s.passOver(sh, page.Records)
	records = s.dropAged(m, f, sh, records)
	if len(records) == 0 {
		if len(page.Records) == 0 && page.End {
			sh.done = true
			s.listShards(m) // its children are next
		}
		return len(page.Records) > 0
	}
	if s.throttle(f) != nil {
		s.holdBack(sh)
		m.config.LastProcessingResult = aws.String(resultThrottled)
		return true
	}
	last := records[len(records)-1]
	if f.metrics.iteratorAge == nil {
		f.metrics.iteratorAge = f.metrics.series("IteratorAge", "Milliseconds")
	}
	f.metrics.iteratorAge.add(s.r.now(), float64(s.r.now().Sub(last.Arrived))/float64(time.Millisecond))
	sh.busy = true
	if sh.tries == 0 && len(sh.parts) == 0 { // not a batch that comes again
		s.counted(m, "PolledEventCount", len(records))
	}
	s.counted(m, "InvokedEventCount", len(records))
	c := &functionCall{function: f, requestID: s.r.id(), records: records}
	c.event = func() []byte { return s.streamEvent(m, f, sh, records) }
	s.execute(c, func(got invocation) { s.finishRecords(m, f, sh, records, got) })
	return true
}

// passOver skips records that are older than an AT_TIMESTAMP start.
func (s *lambdaService) passOver(sh *shardReader, records []streamRecord) []streamRecord {
	if sh.from.IsZero() {
		return records
	}
	for i, rec := range records {
		if !rec.Arrived.Before(sh.from) {
			sh.from = time.Time{}
			return records[i:]
		}
		sh.position = rec.Sequence
	}
	return nil
}

// dropAged discards records that are older than the mapping allows.
func (s *lambdaService) dropAged(m *mapping, f *function, sh *shardReader, records []streamRecord) []streamRecord {
	oldest := aws.ToInt32(m.config.MaximumRecordAgeInSeconds)
	if oldest < 0 {
		return records
	}
	n := 0
	for n < len(records) && s.r.now().Sub(records[n].Arrived) > time.Duration(oldest)*time.Second {
		n++
	}
	if n == 0 {
		return records
	}
	tries := sh.tries
	s.moveOn(sh, records[:n])
	s.reportDiscard(m, f, sh, records[:n], "RecordAgeExceeded", tries, nil)
	return records[n:]
}

// moveOn leaves a batch, or the first part of a bisected one, behind.
func (s *lambdaService) moveOn(sh *shardReader, records []streamRecord) {
	sh.position = records[len(records)-1].Sequence
	sh.tries, sh.retryAt = 0, time.Time{}
	if len(sh.parts) > 0 {
		if sh.parts[0] -= len(records); sh.parts[0] <= 0 {
			sh.parts = sh.parts[1:]
		}
	}
}

// holdBack delays the next try: one second, then twice as long each time.
func (s *lambdaService) holdBack(sh *shardReader) {
	sh.retryAt = s.r.now().Add(min(longestRetry, firstRetry<<min(sh.tries, 5)))
}

// finishRecords decides what follows a batch.
func (s *lambdaService) finishRecords(m *mapping, f *function, sh *shardReader, records []streamRecord, got invocation) {
	sh.busy = false
	good := len(records)
	if got.Error != "" {
		good = 0
	} else if m.reportsItems() {
		good = processed(got.Payload, records)
	}
	s.counted(m, "FailedInvokeEventCount", len(records)-good)
	if good == len(records) {
		m.config.LastProcessingResult = aws.String(resultOK)
		s.moveOn(sh, records)
		return
	}
	m.config.LastProcessingResult = aws.String(resultFailed)
	if good > 0 { // a checkpoint: what follows is a batch of its own
		s.moveOn(sh, records[:good])
		records = records[good:]
	}
	sh.tries++
	if aws.ToBool(m.config.BisectBatchOnFunctionError) && len(records) > 1 {
		// Splitting does not count as a retry (LDG kinesis-on-failure-destination).
		sh.tries--
		half := len(records) / 2
		rest := sh.parts
		if len(rest) > 0 {
			rest = rest[1:]
		}
		sh.parts = append([]int{half, len(records) - half}, rest...)
		sh.retryAt = s.r.now()
		return
	}
	if most := aws.ToInt32(m.config.MaximumRetryAttempts); most >= 0 && sh.tries > int(most) {
		tries := sh.tries
		s.moveOn(sh, records)
		s.reportDiscard(m, f, sh, records, "RetryAttemptsExhausted", tries, &got)
		return
	}
	sh.pin(len(records))
	s.holdBack(sh)
}

// pin makes the next try read the same batch again, not the newer records that
// have come in behind it.
func (sh *shardReader) pin(n int) {
	if len(sh.parts) == 0 {
		sh.parts = []int{n}
	}
}

// processed counts the records before the first one that a partial batch response
// names; an answer that makes no sense fails the batch.
func processed(payload []byte, records []streamRecord) int {
	known := make(map[string]bool, len(records))
	for _, rec := range records {
		known[rec.Sequence] = true
	}
	failed, all := failedItems(payload, known)
	if all {
		return 0
	}
	for i, rec := range records {
		if failed[rec.Sequence] {
			return i
		}
	}
	return len(records)
}

// The pointer to a discarded batch: no data, only where it was (facts dlq.md 3.4).
type batchPointer struct {
	RequestContext  requestContext   `json:"requestContext"`
	ResponseContext *respContext     `json:"responseContext,omitempty"`
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	Batch           kinesisBatchInfo `json:"KinesisBatchInfo"`
	Payload         json.RawMessage  `json:"payload,omitempty"` // S3 destinations only
}

type kinesisBatchInfo struct {
	Shard     string `json:"shardId"`
	Start     string `json:"startSequenceNumber"`
	End       string `json:"endSequenceNumber"`
	FirstSeen string `json:"approximateArrivalOfFirstRecord"`
	LastSeen  string `json:"approximateArrivalOfLastRecord"`
	Size      int    `json:"batchSize"`
	Stream    string `json:"streamArn"`
}

func (s *lambdaService) reportDiscard(m *mapping, f *function, sh *shardReader, records []streamRecord, condition string, tries int, got *invocation) {
	s.counted(m, "DroppedEventCount", len(records))
	destination := ops.ARN(onFailure(m.config.DestinationConfig))
	if destination == "" {
		return
	}
	first, last := records[0], records[len(records)-1]
	p := batchPointer{
		RequestContext: requestContext{s.r.id(), string(f.arn), condition, tries},
		Version:        "1.0",
		Timestamp:      lambdaTime(s.r.now()),
		Batch: kinesisBatchInfo{sh.id, first.Sequence, last.Sequence, lambdaTime(first.Arrived), lambdaTime(last.Arrived),
			len(records), string(m.source)},
	}
	if got != nil {
		p.RequestContext.RequestID = got.RequestID
		p.ResponseContext = &respContext{200, "$LATEST", got.Error}
	}
	var err error
	if destination.Service() == "s3" {
		p.Payload = asRaw(s.streamEvent(m, f, sh, records))
		now := s.r.now()
		key := fmt.Sprintf("aws/lambda/%s/%s/%s/%s-%s", m.id(), sh.id, now.Format("2006/01/02"), now.Format("2006-01-02T15.04.05"), s.r.id())
		err = s.r.putObject(destination.Name(), key, mustJSON(p))
	} else {
		err = s.r.deliver(destination, delivery{Body: mustJSON(p), From: f.arn})
	}
	if err != nil {
		f.metrics.series("DestinationDeliveryFailures", "Count").add(s.r.now(), 1)
		return
	}
	s.counted(m, "OnFailureDestinationDeliveredEventCount", len(records))
}

// streamEvent is the event that a function gets from a stream (LDG with-kinesis).
func (s *lambdaService) streamEvent(m *mapping, f *function, sh *shardReader, records []streamRecord) []byte {
	type kinesisRecord struct {
		Schema   string  `json:"kinesisSchemaVersion"`
		Key      string  `json:"partitionKey"`
		Sequence string  `json:"sequenceNumber"`
		Data     string  `json:"data"`
		Arrived  float64 `json:"approximateArrivalTimestamp"`
	}
	type record struct {
		Kinesis   kinesisRecord `json:"kinesis"`
		Source    string        `json:"eventSource"`
		Version   string        `json:"eventVersion"`
		ID        string        `json:"eventID"`
		Name      string        `json:"eventName"`
		Role      string        `json:"invokeIdentityArn"`
		Region    string        `json:"awsRegion"`
		SourceARN string        `json:"eventSourceARN"`
	}
	event := struct {
		Records []record
	}{make([]record, 0, len(records))}
	for _, rec := range records {
		k := kinesisRecord{"1.0", rec.Key, rec.Sequence, base64.StdEncoding.EncodeToString(rec.Data), float64(rec.Arrived.UnixMilli()) / 1000}
		event.Records = append(event.Records, record{k, "aws:kinesis", "1.0", sh.id + ":" + rec.Sequence, "aws:kinesis:record",
			aws.ToString(f.config.Role), s.r.Name, aws.ToString(m.config.EventSourceArn)})
	}
	return mustJSON(event)
}
