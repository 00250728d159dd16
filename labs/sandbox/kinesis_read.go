package sandbox

import (
	"context"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

const (
	mostGetRecords = 10000
	mostGetBytes   = 10 << 20
	iteratorLife   = 5 * time.Minute
	// emptyGap: a page never spans a silence longer than this, so that readers
	// meet the empty pages that AWS answers in the middle of a quiet shard.
	emptyGap = 10 * time.Minute
)

func (k *kinesisService) handleRecords() {
	handle(k.r, "kinesis", "PutRecord", k.putRecord)
	handle(k.r, "kinesis", "PutRecords", k.putRecords)
	handle(k.r, "kinesis", "GetShardIterator", k.getShardIterator)
	handle(k.r, "kinesis", "GetRecords", k.getRecords)
}

// iterator is what is behind the opaque ShardIterator.
type iterator struct {
	Stream  string
	Created int64 // the stream's creation: a new stream of the same name has other records
	Shard   string
	Next    uint64    // serial number of the next record
	Crossed time.Time // silences up to here have been answered
	Issued  time.Time
}

func (s *stream) iterator(sh *shard, next uint64, crossed time.Time) *string {
	return sealToken(iterator{s.name, s.created.UnixNano(), sh.id, next, crossed, s.svc.r.now()})
}

// openIterator reads an iterator from outside.
func (k *kinesisService) openIterator(token string) (it iterator, s *stream, sh *shard, err error) {
	if openToken(token, &it) != nil {
		return it, nil, nil, invalidf("Invalid ShardIterator.")
	}
	s, ok := k.streams[it.Stream]
	if !ok || s.created.UnixNano() != it.Created {
		return it, nil, nil, notFoundf("Stream %s under account %s not found.", it.Stream, Account)
	}
	if sh, err = s.shard(it.Shard); err != nil {
		return it, nil, nil, err
	}
	if now := k.r.now(); now.Sub(it.Issued) > iteratorLife {
		const layout = "Mon Jan 02 15:04:05 MST 2006"
		return it, nil, nil, &types.ExpiredIteratorException{Message: aws.String("Iterator expired. The iterator was created at time " +
			it.Issued.Format(layout) + " while right now it is " + now.Format(layout) +
			" which is further in the future than the tolerated delay of 300000 milliseconds.")}
	}
	return it, s, sh, nil
}

var sequencePattern = regexp.MustCompile(`^(0|[1-9]\d{0,128})$`)

// sequenceLess compares sequence numbers as what they are: large integers.
func sequenceLess(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// checkSequence refuses a sequence number that did not come from the shard (or,
// with a nil shard, not from the stream).
func (s *stream) checkSequence(member, operation, sequence string, of *shard) (string, error) {
	if !sequencePattern.MatchString(sequence) {
		return "", validationf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\\d{0,128})", sequence, member)
	}
	for _, sh := range s.shards {
		if of != nil && sh != of {
			continue
		}
		if len(sequence) == 56 && strings.HasPrefix(sequence, sh.prefix) {
			return sequence, nil
		}
	}
	if of == nil {
		return "", invalidf("%s %s used in %s on stream %s under account %s is invalid.", member, sequence, operation, s.name, Account)
	}
	return "", invalidf("%s %s used in %s on shard %s in stream %s under account %s is invalid because it did not come from this stream.", member, sequence, operation, of.id, s.name, Account)
}

// from returns the serial number of the first record at or after a sequence
// number; with after, the first one behind it.
func (sh *shard) from(sequence string, after bool) uint64 {
	i := sort.Search(len(sh.records), func(i int) bool {
		if after {
			return sequenceLess(sequence, sh.records[i].Sequence)
		}
		return !sequenceLess(sh.records[i].Sequence, sequence)
	})
	return sh.base + uint64(i)
}

// at returns the serial number of the first record that arrived at or after t.
func (sh *shard) at(t time.Time) uint64 {
	i := sort.Search(len(sh.records), func(i int) bool { return !sh.records[i].put.Before(t) })
	for i < len(sh.records) && sh.records[i].Arrived.Before(t) {
		i++
	}
	return sh.base + uint64(i)
}

func (k *kinesisService) getShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput) (*kinesis.GetShardIteratorOutput, error) {
	s, err := k.find(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	s.trim()
	sh, err := s.shard(deref(in.ShardId))
	if err != nil {
		return nil, err
	}
	next, crossed, err := sh.position(in)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	if !sh.iteratorCalls.has(k.r.now(), 1) {
		return nil, &types.ProvisionedThroughputExceededException{Message: aws.String(sh.rateExceeded())}
	}
	sh.iteratorCalls.take(1)
	return &kinesis.GetShardIteratorOutput{ShardIterator: s.iterator(sh, next, crossed)}, nil
}

func (sh *shard) position(in *kinesis.GetShardIteratorInput) (next uint64, crossed time.Time, err error) {
	now := sh.s.svc.r.now()
	switch kind := in.ShardIteratorType; kind {
	case types.ShardIteratorTypeTrimHorizon:
		return sh.base, later(sh.opened, sh.s.horizon()), nil
	case types.ShardIteratorTypeLatest:
		return sh.end(), now, nil
	case types.ShardIteratorTypeAtTimestamp:
		if in.Timestamp == nil {
			return 0, now, invalidf("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
		}
		if in.Timestamp.After(now) {
			return 0, now, invalidf("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d",
				in.Timestamp.UnixMilli(), now.UnixMilli())
		}
		return sh.at(*in.Timestamp), later(*in.Timestamp, later(sh.opened, sh.s.horizon())), nil
	case types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber:
		if in.StartingSequenceNumber == nil {
			return 0, now, invalidf("Must either specify StartingSequenceNumber or timestampInMillis parameter for iterator of type %s.", kind)
		}
		sequence, err := sh.s.checkSequence("StartingSequenceNumber", "GetShardIterator", *in.StartingSequenceNumber, sh)
		if err != nil {
			return 0, now, err
		}
		next = sh.from(sequence, kind == types.ShardIteratorTypeAfterSequenceNumber)
		if next < sh.end() {
			return next, sh.records[next-sh.base].put, nil
		}
		return next, now, nil
	default:
		return 0, now, validationf("1 validation error detected: Value '%s' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]", kind)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// page reads up to limit records from the serial number next.
func (sh *shard) page(next uint64, limit int) (records []shardRecord, end uint64) {
	next = max(next, sh.base) // trimmed meanwhile: go on at the horizon
	rest := sh.records[min(next-sh.base, uint64(len(sh.records))):]
	bytes, n := 0, 0
	for n < len(rest) && n < limit {
		bytes += len(rest[n].Data) + len(rest[n].Key)
		if bytes > mostGetBytes && n > 0 {
			break
		}
		n++
	}
	return rest[:n:n], max(next, sh.base) + uint64(n)
}

// behind is the distance of a position from the tip of the shard.
func (sh *shard) behind(next uint64) time.Duration {
	if next >= sh.end() {
		return 0
	}
	at := max(next, sh.base)
	if at > sh.base && next > sh.base {
		at-- // the record that was read last
	}
	return max(time.Millisecond, sh.s.svc.r.now().Sub(sh.records[at-sh.base].Arrived))
}

// ageOf is the iterator age of one read: the age of its last record, or for an
// empty page the distance from the tip. So a consumer that reads the same old
// record again and again shows a growing age even when it is the last one.
func ageOf(records []shardRecord, behind time.Duration, now time.Time) time.Duration {
	if len(records) == 0 {
		return behind
	}
	return max(behind, now.Sub(records[len(records)-1].put))
}

func (k *kinesisService) getRecords(_ context.Context, in *kinesis.GetRecordsInput) (*kinesis.GetRecordsOutput, error) {
	it, s, sh, err := k.openIterator(deref(in.ShardIterator))
	if err != nil {
		return nil, err
	}
	limit := mostGetRecords
	if in.Limit != nil {
		if limit = int(*in.Limit); limit < 1 || limit > mostGetRecords {
			return nil, validationf("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", limit, mostGetRecords)
		}
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	now := k.r.now()
	if now.Before(sh.readAgain) || !sh.readCalls.has(now, 1) || sh.readBytes.left <= 0 && !sh.readBytes.has(now, 1) {
		s.metrics.readThrottled(now)
		return nil, &types.ProvisionedThroughputExceededException{Message: aws.String(sh.rateExceeded())}
	}
	sh.readCalls.take(1)
	s.trim()
	records, next := sh.page(it.Next, limit)
	crossed := it.Crossed
	empty := k.r.strikes(FalseEmpty, "kinesis", "GetRecords")
	if len(records) > 0 && records[0].put.Sub(crossed) > emptyGap {
		empty, crossed = true, records[0].put
	}
	if empty {
		records, next = nil, max(it.Next, sh.base)
	}
	for i := range records {
		if i > 0 && records[i].put.Sub(records[i-1].put) > emptyGap {
			next -= uint64(len(records) - i)
			records = records[:i]
			break
		}
	}
	out := &kinesis.GetRecordsOutput{Records: make([]types.Record, 0, len(records))}
	size := 0
	for i := range records {
		rec := &records[i]
		crossed, size = rec.put, size+len(rec.Data)+len(rec.Key)
		out.Records = append(out.Records, types.Record{
			Data: rec.Data, PartitionKey: optional(rec.Key), SequenceNumber: aws.String(rec.Sequence),
			ApproximateArrivalTimestamp: aws.Time(rec.Arrived), EncryptionType: s.encryption(),
		})
	}
	sh.readBytes.take(float64(size))
	if size > 2<<20 {
		sh.readAgain = now.Add(time.Duration(float64(size) / (2 << 20) * float64(time.Second)))
	}
	if next >= sh.end() {
		crossed = now
	}
	behind := sh.behind(next)
	out.MillisBehindLatest = aws.Int64(behind.Milliseconds())
	if !sh.isOpen() && next >= sh.end() {
		out.ChildShards = s.childrenOf(sh)
	} else {
		out.NextShardIterator = s.iterator(sh, next, crossed)
	}
	s.metrics.read(now, len(records), size, ageOf(records, behind, now))
	return out, nil
}

func (s *stream) childrenOf(sh *shard) []types.ChildShard {
	out := []types.ChildShard{}
	for _, c := range s.shards {
		if c.parent != sh.id && c.adjacent != sh.id {
			continue
		}
		parents := []string{c.parent}
		if c.adjacent != "" {
			parents = append(parents, c.adjacent)
		}
		out = append(out, types.ChildShard{ShardId: aws.String(c.id), ParentShards: parents, HashKeyRange: c.describe().HashKeyRange})
	}
	return out
}

// The methods below make Kinesis the region's streamReader. Their callers are
// services that hold the lock, and do not pay read quotas.

func (k *kinesisService) streamOf(arn ops.ARN) (*stream, error) {
	return k.find(ref{nil, aws.String(string(arn)), nil})
}

func (k *kinesisService) shards(arn ops.ARN) ([]shardInfo, error) {
	s, err := k.streamOf(arn)
	if err != nil {
		return nil, err
	}
	all := s.alive()
	out := make([]shardInfo, len(all))
	for i, sh := range all { // ids grow with time: parents come before their children
		out[i] = shardInfo{ID: sh.id, Parent: sh.parent, Closed: !sh.isOpen()}
	}
	return out, nil
}

func (k *kinesisService) read(arn ops.ARN, shardID, after string, limit int, polling bool) (shardPage, error) {
	s, err := k.streamOf(arn)
	if err != nil {
		return shardPage{}, err
	}
	s.trim()
	sh, err := s.shard(shardID)
	if err != nil {
		return shardPage{}, err
	}
	next := sh.base
	if after != "" {
		next = sh.from(after, true)
	}
	records, end := sh.page(next, limit)
	out := shardPage{Records: make([]streamRecord, len(records)), Behind: sh.behind(end), End: !sh.isOpen() && end >= sh.end()}
	size := 0
	for i := range records {
		out.Records[i] = records[i].streamRecord
		size += len(records[i].Data) + len(records[i].Key)
	}
	if polling {
		now := k.r.now()
		s.metrics.read(now, len(records), size, ageOf(records, out.Behind, now))
	}
	return out, nil
}

func (k *kinesisService) latest(arn ops.ARN, shardID string) string {
	s, err := k.streamOf(arn)
	if err != nil {
		return ""
	}
	sh, err := s.shard(shardID)
	if err != nil || len(sh.records) == 0 {
		return ""
	}
	return sh.records[len(sh.records)-1].Sequence
}
