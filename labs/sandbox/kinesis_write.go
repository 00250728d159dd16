package sandbox

import (
	"context"
	"crypto/md5"
	"fmt"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const (
	mostPutRecords = 500
	mostPutBytes   = 10 << 20 // of one PutRecords, keys included (5 MiB until October 2025)
	// mostHeld bounds the memory of one stream: writes through the API are refused
	// beyond it, with a message. Traffic of scenarios drops its oldest records at
	// mostSimulated instead, so that a demo can run for days.
	mostHeld      = 256 << 20
	mostSimulated = 16 << 20
	// recordOverhead is what a record costs us beside its data and key.
	recordOverhead = 160
)

// shardRecord is one record in a shard.
type shardRecord struct {
	streamRecord
	put time.Time // when we took it; Arrived is only nearly that
}

func (r *shardRecord) size() int { return len(r.Data) + len(r.Key) + recordOverhead }

// horizon is the age limit of records.
func (s *stream) horizon() time.Time { return s.svc.r.now().Add(-s.retention) }

// trim drops what is past retention: records, and closed shards a while later.
func (s *stream) trim() {
	horizon := s.horizon()
	keep := s.shards[:0]
	for _, sh := range s.shards {
		for len(sh.records) > 0 && sh.records[0].put.Before(horizon) {
			sh.dropOldest()
		}
		if !sh.isOpen() && sh.closed.Before(horizon) {
			continue
		}
		keep = append(keep, sh)
	}
	for i := len(keep); i < len(s.shards); i++ {
		s.shards[i] = nil
	}
	s.shards = keep
}

func (sh *shard) dropOldest() {
	sh.s.held -= sh.records[0].size()
	sh.records[0] = shardRecord{} // the array behind the slice lives on for a while
	sh.records = sh.records[1:]
	sh.base++
}

// place finds the shard of a record: by its key's MD5, by an explicit hash key,
// or, on an AUTO stream, wherever the service likes.
func (s *stream) place(key string, explicit *string) (*shard, error) {
	if s.distribution == types.RecordDistributionStrategyAuto {
		open := s.openShards()
		return open[s.svc.r.rng.IntN(len(open))], nil
	}
	if explicit != nil {
		h, err := hashKey("explicitHashKey", *explicit)
		if err != nil {
			return nil, err
		}
		return s.shardFor(h), nil
	}
	sum := md5.Sum([]byte(key))
	return s.shardFor(new(big.Int).SetBytes(sum[:])), nil
}

// admit checks a record's write quota; the error is what AWS says.
func (sh *shard) admit(size int) error {
	now := sh.s.svc.r.now()
	if !sh.writeRecords.has(now, 1) || !sh.writeBytes.has(now, float64(size)) {
		return &types.ProvisionedThroughputExceededException{Message: aws.String(sh.rateExceeded())}
	}
	sh.writeRecords.take(1)
	sh.writeBytes.take(float64(size))
	return nil
}

func (sh *shard) rateExceeded() string {
	return fmt.Sprintf("Rate exceeded for shard %s in stream %s under account %s.", sh.id, sh.s.name, Account)
}

// append stores a record, whatever the quotas.
func (sh *shard) append(key string, data []byte) string {
	now := sh.s.svc.r.now()
	r := shardRecord{put: now, streamRecord: streamRecord{
		Sequence: sh.nextSequence(now), Key: key, Data: data,
		// ApproximateArrivalTimestamp: millisecond precision, neither exact nor increasing (SDK documentation).
		Arrived: now.Add(-time.Duration(sh.s.svc.r.rng.IntN(4)) * time.Millisecond).Truncate(time.Millisecond),
	}}
	sh.records = append(sh.records, r)
	sh.s.held += r.size()
	return r.Sequence
}

// send writes one record of simulated traffic: no quota, no request, but the
// incoming metrics. When the stream is full the shard's oldest record goes.
func (s *stream) send(key string, data []byte) {
	sh, err := s.place(key, nil)
	if err != nil { // only an explicit hash key can be wrong
		return
	}
	sh.append(key, data)
	for s.held > mostSimulated && len(sh.records) > 1 {
		sh.dropOldest()
	}
	s.metrics.wrote(s.svc.r.now(), 1, float64(len(data)+len(key)))
}

func (s *stream) full() error {
	if s.held < mostHeld {
		return nil
	}
	s.trim()
	if s.held < mostHeld {
		return nil
	}
	return limitf("the sandbox holds at most %d MiB of records per stream, and stream %s is full: lower its retention or delete it", mostHeld>>20, s.name)
}

// writable finds a stream that takes records.
func (k *kinesisService) writable(by ref) (*stream, error) {
	s, err := k.find(by)
	if err != nil {
		return nil, err
	}
	if s.status == types.StreamStatusCreating || s.status == types.StreamStatusDeleting {
		return nil, notFoundf("Stream %s under account %s not found.", s.name, Account)
	}
	return s, s.full()
}

// check validates a record as AWS does before it looks at any shard.
func (s *stream) check(member string, data []byte, key *string) error {
	if k := deref(key); s.distribution != types.RecordDistributionStrategyAuto && k == "" || utf8.RuneCountInString(k) > 256 {
		return validationf("1 validation error detected: Value at '%spartitionKey' failed to satisfy constraint: Member must have length between 1 and 256", member)
	}
	if len(data)+len(deref(key)) > s.largest {
		return validationf("1 validation error detected: Value at '%sdata' failed to satisfy constraint: Member must have length less than or equal to %d", member, s.largest)
	}
	return nil
}

func dryRun(asked *bool) error {
	if deref(asked) {
		return &types.DryRunOperationException{Message: aws.String("Request would have succeeded, but DryRun flag is set.")}
	}
	return nil
}

func (k *kinesisService) putRecord(_ context.Context, in *kinesis.PutRecordInput) (*kinesis.PutRecordOutput, error) {
	s, err := k.writable(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if err := s.check("", in.Data, in.PartitionKey); err != nil {
		return nil, err
	}
	sh, err := s.place(deref(in.PartitionKey), in.ExplicitHashKey)
	if err != nil {
		return nil, err
	}
	if in.SequenceNumberForOrdering != nil {
		if _, err := s.checkSequence("SequenceNumberForOrdering", "PutRecord", *in.SequenceNumberForOrdering, nil); err != nil {
			return nil, err
		}
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	now, size := k.r.now(), len(in.Data)+len(deref(in.PartitionKey))
	if err := sh.admit(size); err != nil {
		s.metrics.putRecord(now, size, false)
		return nil, err
	}
	s.metrics.putRecord(now, size, true)
	return &kinesis.PutRecordOutput{
		SequenceNumber: aws.String(sh.append(deref(in.PartitionKey), in.Data)),
		ShardId:        aws.String(sh.id), EncryptionType: s.encryption(),
	}, nil
}

func (k *kinesisService) putRecords(_ context.Context, in *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) {
	s, err := k.writable(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if n := len(in.Records); n == 0 || n > mostPutRecords {
		return nil, validationf("1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length between 1 and %d", mostPutRecords)
	}
	shards, total := make([]*shard, len(in.Records)), 0
	for i, rec := range in.Records {
		member := fmt.Sprintf("records.%d.member.", i+1)
		if err := s.check(member, rec.Data, rec.PartitionKey); err != nil {
			return nil, err
		}
		if shards[i], err = s.place(deref(rec.PartitionKey), rec.ExplicitHashKey); err != nil {
			return nil, err
		}
		total += len(rec.Data) + len(deref(rec.PartitionKey))
	}
	if total > mostPutBytes {
		return nil, invalidf("Records size exceeds %d MB limit", mostPutBytes>>20)
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	out := &kinesis.PutRecordsOutput{EncryptionType: s.encryption(), Records: make([]types.PutRecordsResultEntry, len(in.Records))}
	counts, partial := putCounts{total: len(in.Records)}, k.r.strikes(PartialBatch, "kinesis", "PutRecords")
	for i, rec := range in.Records {
		sh, size, e := shards[i], len(rec.Data)+len(deref(rec.PartitionKey)), &out.Records[i]
		switch {
		case partial && k.r.rng.IntN(3) == 0:
			e.ErrorCode, e.ErrorMessage = aws.String("InternalFailure"), aws.String("Internal service failure.")
			counts.failed++
		case sh.admit(size) != nil:
			e.ErrorCode, e.ErrorMessage = aws.String("ProvisionedThroughputExceededException"), aws.String(sh.rateExceeded())
			counts.throttled++
		default:
			e.SequenceNumber, e.ShardId = aws.String(sh.append(deref(rec.PartitionKey), rec.Data)), aws.String(sh.id)
			counts.bytes += size
		}
	}
	out.FailedRecordCount = aws.Int32(int32(counts.failed + counts.throttled))
	s.metrics.putRecords(k.r.now(), counts)
	return out, nil
}
