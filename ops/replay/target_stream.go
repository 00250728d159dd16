package replay

import (
	"cmp"
	"context"
	"crypto/md5"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

const (
	// What PutRecords takes. Source: Kinesis API, PutRecords: 500 records, 10 MiB with keys.
	streamRecords = 500
	streamBytes   = 10 << 20
	// streamRecord is the largest record, with its key, where the stream does not say more.
	streamRecord = 1 << 20
	// maxKey is the longest partition key, in characters.
	maxKey = 256
)

// streamTarget sends to a stream. Streams have no attributes: nothing is marked.
type streamTarget struct {
	desk   *Desk
	plan   ops.ReplayPlan
	record int

	mu     sync.Mutex
	ranges []hashRange // of the open shards, once one was throttled; see shardOf
}

func newStreamTarget(d *Desk, plan ops.ReplayPlan) (target, error) {
	t := &streamTarget{desk: d, plan: plan, record: streamRecord}
	if kib, err := strconv.Atoi(plan.Seen["stream largest record, KiB"]); err == nil {
		t.record = kib << 10
	}
	return t, nil
}

// streamOf names a stream in a request: by ARN where it is known.
func streamOf(arn ops.ARN) (name, id *string) {
	if strings.HasPrefix(string(arn), "arn:") {
		return nil, aws.String(string(arn))
	}
	return aws.String(string(arn)), nil
}

func (t *streamTarget) find(ctx context.Context, plan *ops.ReplayPlan) error {
	name, arn := streamOf(plan.To.ARN)
	out, err := t.desk.kinesis.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name, StreamARN: arn})
	if err != nil {
		return err
	}
	s := out.StreamDescriptionSummary
	plan.To.ARN = ops.ARN(aws.ToString(s.StreamARN))
	plan.Seen["stream"] = string(plan.To.ARN)
	plan.Seen["stream created"] = aws.ToTime(s.StreamCreationTimestamp).UTC().Format(time.RFC3339)
	plan.Seen["stream key"] = aws.ToString(s.KeyId)
	if kib := aws.ToInt32(s.MaxRecordSizeInKiB); kib > 0 {
		plan.Seen["stream largest record, KiB"] = strconv.Itoa(int(kib))
	}
	switch s.StreamStatus {
	case types.StreamStatusActive, types.StreamStatusUpdating:
	default:
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("the stream %s is %s: it takes no records", plan.To.ARN.Name(), s.StreamStatus))
	}
	shards := int(aws.ToInt32(s.OpenShardCount))
	plan.To.Shards = shards
	plan.Facts = append(plan.Facts, ops.Fact{Name: "target", Value: fmt.Sprintf("stream %s with %d shards: at most %d records and %d MiB a second for all its producers", plan.To.ARN.Name(), shards, shards*1000, shards)})
	return nil
}

func (t *streamTarget) limits() Limits {
	return Limits{Records: streamRecords, Bytes: streamBytes, Record: t.record}
}

func (t *streamTarget) size(p Parcel) int { return len(p.Body) + len(partitionKey(p)) }

// partitionKey is the key to send with; a record without one is spread by its id.
func partitionKey(p Parcel) string {
	key := cmp.Or(p.Key, p.ID)
	if len(key) > maxKey && len([]rune(key)) > maxKey {
		return keySum(key) // the same key stays the same
	}
	return key
}

func (t *streamTarget) send(ctx context.Context, parcels []Parcel) []Answer {
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	name, arn := streamOf(t.plan.To.ARN)
	in := &kinesis.PutRecordsInput{StreamName: name, StreamARN: arn, Records: make([]types.PutRecordsRequestEntry, len(parcels))}
	for i, p := range parcels {
		in.Records[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String(partitionKey(p)), Data: p.Body}
		if p.Hash != "" {
			in.Records[i].ExplicitHashKey = aws.String(p.Hash)
		}
	}
	out, err := t.desk.putStream.PutRecords(ctx, in)
	if err != nil {
		return halves(t.desk.answerAll(len(parcels), err), parcels, func(some []Parcel) []Answer { return t.send(ctx, some) })
	}
	answers := make([]Answer, len(parcels))
	for i := range answers {
		if i >= len(out.Records) {
			answers[i] = Answer{Fate: Unsure, Code: "NoAnswer", Why: "the answer does not name this record"}
			continue
		}
		answers[i] = streamAnswer(out.Records[i])
		if answers[i].Fate == Busy && answers[i].Shard != "" && !t.knows(ctx, answers[i].Shard) {
			answers[i].Shard = "" // the lane slows down as a whole
		}
	}
	return answers
}

// streamAnswer reads one record's answer. After InternalFailure nobody knows whether the
// record is there.
func streamAnswer(r types.PutRecordsResultEntry) Answer {
	switch code := aws.ToString(r.ErrorCode); code {
	case "":
		return Answer{At: aws.ToString(r.ShardId) + "/" + aws.ToString(r.SequenceNumber), Shard: aws.ToString(r.ShardId)}
	case "ProvisionedThroughputExceededException":
		return Answer{Fate: Busy, Code: code, Why: aws.ToString(r.ErrorMessage), Shard: shardName.FindString(aws.ToString(r.ErrorMessage))}
	case "KMSThrottlingException":
		return Answer{Fate: Busy, Code: code, Why: aws.ToString(r.ErrorMessage)}
	default:
		return Answer{Fate: Unsure, Code: code, Why: aws.ToString(r.ErrorMessage)}
	}
}

// shardName is how the message of a throttled record names the shard.
var shardName = regexp.MustCompile(`shardId-[0-9]{12}`)

// hashRange is an open shard with its range of hash keys, both ends included.
type hashRange struct {
	id       string
	from, to *big.Int
}

// knows reports whether the range of a shard is known; it asks for the shards when not,
// as they may have been split or merged.
func (t *streamTarget) knows(ctx context.Context, shard string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	has := func() bool {
		return slices.ContainsFunc(t.ranges, func(r hashRange) bool { return r.id == shard })
	}
	if has() {
		return true
	}
	in := &kinesis.ListShardsInput{StreamARN: aws.String(string(t.plan.To.ARN)), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}}
	var ranges []hashRange
	for {
		page, err := t.desk.kinesis.ListShards(ctx, in)
		if err != nil {
			return false // nothing is lost by it: the next throttled record asks again
		}
		for _, s := range page.Shards {
			from, ok1 := new(big.Int).SetString(aws.ToString(s.HashKeyRange.StartingHashKey), 10)
			to, ok2 := new(big.Int).SetString(aws.ToString(s.HashKeyRange.EndingHashKey), 10)
			if ok1 && ok2 {
				ranges = append(ranges, hashRange{aws.ToString(s.ShardId), from, to})
			}
		}
		if page.NextToken == nil {
			break
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken}
	}
	t.ranges = ranges
	return has()
}

// shardOf is the shard that a parcel goes to, by the shards as they were last seen.
func (t *streamTarget) shardOf(p Parcel) string {
	hash, ok := new(big.Int).SetString(p.Hash, 10)
	if !ok {
		sum := md5.Sum([]byte(partitionKey(p)))
		hash = new(big.Int).SetBytes(sum[:])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.ranges {
		if hash.Cmp(r.from) >= 0 && hash.Cmp(r.to) <= 0 {
			return r.id
		}
	}
	return ""
}

func (t *streamTarget) close() error { return nil }
