package sandbox

import (
	"context"
	"fmt"
	"math/big"
	"sort"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const (
	mostShards     = 10000
	onDemandShards = 4 // a new on-demand stream takes 4 MB/s
	// resharding a provisioned stream: at most this often in 24 hours
	mostRescalings = 10
)

// hashSpace is one more than the largest hash key.
var hashSpace = new(big.Int).Lsh(big.NewInt(1), 128)

var one = big.NewInt(1)

// shard is one shard of a stream. Its records have serial numbers 0, 1, 2 …;
// records[0] has the number base, because retention takes from the front.
type shard struct {
	s                *stream
	index            int
	id               string
	parent, adjacent string
	children         []string
	lo, hi           *big.Int // both inclusive
	opened           time.Time
	closed           time.Time // zero: open
	firstSequence    string
	lastSequence     string // once closed
	counter          uint64 // numbers the sequence numbers
	prefix           string // of all its sequence numbers: when and which shard

	records []shardRecord
	base    uint64

	writeRecords, writeBytes tokens
	readCalls, readBytes     tokens
	iteratorCalls            tokens
	readAgain                time.Time // after an answer of up to 10 MiB
}

type hashRange struct{ lo, hi *big.Int }

// hashRanges divides the hash space into n even parts.
func hashRanges(n int) []hashRange {
	out := make([]hashRange, n)
	at := func(i int) *big.Int {
		b := new(big.Int).Mul(hashSpace, big.NewInt(int64(i)))
		return b.Div(b, big.NewInt(int64(n)))
	}
	for i := range out {
		out[i] = hashRange{at(i), new(big.Int).Sub(at(i+1), one)}
	}
	return out
}

// open adds an open shard.
func (s *stream) open(lo, hi *big.Int, parent, adjacent *shard) *shard {
	now := s.svc.r.now()
	sh := &shard{s: s, index: s.nextShard, id: fmt.Sprintf("shardId-%012d", s.nextShard), lo: lo, hi: hi, opened: now}
	sh.prefix = fmt.Sprintf("496%010d%04d", now.Unix(), sh.index%10000)
	s.nextShard++
	for _, p := range []*shard{parent, adjacent} {
		if p != nil {
			p.children = append(p.children, sh.id)
		}
	}
	if parent != nil {
		sh.parent = parent.id
	}
	if adjacent != nil {
		sh.adjacent = adjacent.id
	}
	sh.writeRecords, sh.writeBytes = newTokens(now, 1000), newTokens(now, 1<<20)
	sh.readCalls, sh.readBytes = newTokens(now, 5), newTokens(now, 2<<20)
	sh.iteratorCalls = newTokens(now, 5)
	sh.firstSequence = sh.nextSequence(now)
	s.shards = append(s.shards, sh)
	s.byRange = nil
	return sh
}

// nextSequence makes a sequence number: 56 digits, increasing within the shard,
// with the shard's identity in front. (AWS does not document what is inside.)
func (sh *shard) nextSequence(now time.Time) string {
	sh.counter++
	b := append(make([]byte, 0, 56), sh.prefix...)
	b = appendPadded(b, uint64(now.UnixNano()), 19)
	return string(appendPadded(b, sh.counter, 20))
}

func appendPadded(b []byte, n uint64, width int) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], n, 10)
	for range width - len(text) {
		b = append(b, '0')
	}
	return append(b, text...)
}

func (sh *shard) close() {
	sh.closed = sh.s.svc.r.now()
	sh.lastSequence = sh.nextSequence(sh.closed)
	sh.s.byRange = nil
}

func (sh *shard) isOpen() bool { return sh.closed.IsZero() }

func (sh *shard) end() uint64 { return sh.base + uint64(len(sh.records)) }

func (sh *shard) describe() types.Shard {
	return types.Shard{
		ShardId: aws.String(sh.id), ParentShardId: optional(sh.parent), AdjacentParentShardId: optional(sh.adjacent),
		HashKeyRange:        &types.HashKeyRange{StartingHashKey: aws.String(sh.lo.String()), EndingHashKey: aws.String(sh.hi.String())},
		SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: aws.String(sh.firstSequence), EndingSequenceNumber: optional(sh.lastSequence)},
	}
}

// openShards lists the open shards by hash range. The list is made anew after
// every reshard; nobody may change it.
func (s *stream) openShards() []*shard {
	if s.byRange == nil {
		for _, sh := range s.shards {
			if sh.isOpen() {
				s.byRange = append(s.byRange, sh)
			}
		}
		sort.Slice(s.byRange, func(i, j int) bool { return s.byRange[i].lo.Cmp(s.byRange[j].lo) < 0 })
	}
	return s.byRange
}

// shardFor finds the open shard for a hash key.
func (s *stream) shardFor(h *big.Int) *shard {
	open := s.openShards() // together they cover the whole space
	i := sort.Search(len(open), func(i int) bool { return open[i].hi.Cmp(h) >= 0 })
	return open[i]
}

// alive lists the shards that AWS still knows: open, or closed within retention.
func (s *stream) alive() []*shard {
	s.trim()
	return s.shards
}

func (s *stream) shard(id string) (*shard, error) {
	for _, sh := range s.shards {
		if sh.id == id {
			return sh, nil
		}
	}
	return nil, notFoundf("Shard %s in stream %s under account %s does not exist", id, s.name, Account)
}

// split closes a shard and opens two in its place.
func (s *stream) split(sh *shard, at *big.Int) {
	sh.close()
	s.open(sh.lo, new(big.Int).Sub(at, one), sh, nil)
	s.open(at, sh.hi, sh, nil)
}

// merge closes two neighbours, a left of b, and opens one in their place.
func (s *stream) merge(parent, adjacent *shard) {
	parent.close()
	adjacent.close()
	lo, hi := parent.lo, adjacent.hi
	if lo.Cmp(adjacent.lo) > 0 {
		lo, hi = adjacent.lo, parent.hi
	}
	s.open(lo, hi, parent, adjacent)
}

// rescale reshards to n even shards by splits and merges, as UpdateShardCount
// does; shards that are only needed on the way are left behind closed.
func (s *stream) rescale(n int) {
	want := hashRanges(n)
	for _, w := range want {
		for _, sh := range s.openShards() {
			if sh.lo.Cmp(w.lo) < 0 && sh.hi.Cmp(w.lo) >= 0 {
				s.split(sh, w.lo)
				break
			}
		}
	}
	for _, w := range want {
		for {
			var inside []*shard
			for _, sh := range s.openShards() {
				if sh.lo.Cmp(w.lo) >= 0 && sh.hi.Cmp(w.hi) <= 0 {
					inside = append(inside, sh)
				}
			}
			if len(inside) < 2 {
				break
			}
			s.merge(inside[0], inside[1])
		}
	}
}

func (k *kinesisService) handleShards() {
	r := k.r
	handle(r, "kinesis", "ListShards", k.listShards)
	handle(r, "kinesis", "SplitShard", k.splitShard)
	handle(r, "kinesis", "MergeShards", k.mergeShards)
	handle(r, "kinesis", "UpdateShardCount", k.updateShardCount)
}

func (k *kinesisService) listShards(_ context.Context, in *kinesis.ListShardsInput) (*kinesis.ListShardsOutput, error) {
	limit, err := pageSize(in.MaxResults, 1000, 1000)
	if err != nil {
		return nil, err
	}
	by, after, filter := ref{in.StreamName, in.StreamARN, in.StreamId}, deref(in.ExclusiveStartShardId), deref(in.ShardFilter)
	if in.NextToken != nil {
		if in.StreamName != nil || in.ExclusiveStartShardId != nil {
			return nil, invalidf("NextToken and StreamName cannot be provided together.")
		}
		var t pageToken
		if err := t.open(*in.NextToken, k.r.now()); err != nil {
			return nil, err
		}
		by, after, filter = ref{&t.Stream, nil, nil}, t.After, t.Filter
	}
	s, err := k.find(by)
	if err != nil {
		return nil, err
	}
	if in.StreamCreationTimestamp != nil && in.StreamCreationTimestamp.Unix() != s.created.Unix() {
		return nil, notFoundf("Stream %s under account %s not found.", s.name, Account)
	}
	admits, err := s.shardFilter(filter)
	if err != nil {
		return nil, err
	}
	out := &kinesis.ListShardsOutput{Shards: []types.Shard{}}
	for _, sh := range s.alive() {
		if sh.id <= after || !admits(sh) {
			continue
		}
		if len(out.Shards) == limit {
			out.NextToken = pageToken{Stream: s.name, After: *out.Shards[limit-1].ShardId, Filter: filter, Issued: k.r.now()}.seal()
			break
		}
		out.Shards = append(out.Shards, sh.describe())
	}
	return out, nil
}

// shardFilter turns a ShardFilter into a test.
func (s *stream) shardFilter(f types.ShardFilter) (func(*shard) bool, error) {
	openAt := func(t time.Time) func(*shard) bool {
		return func(sh *shard) bool { return !sh.opened.After(t) && (sh.isOpen() || sh.closed.After(t)) }
	}
	if f.Type == types.ShardFilterTypeAtTimestamp || f.Type == types.ShardFilterTypeFromTimestamp {
		if f.Timestamp == nil {
			return nil, invalidf("Timestamp must be specified for the shard filter type %s.", f.Type)
		}
		if f.Timestamp.After(s.svc.r.now()) {
			return nil, invalidf("The timestamp of the shard filter cannot be in the future.")
		}
	}
	horizon := s.horizon()
	if horizon.Before(s.created) {
		horizon = s.created
	}
	switch f.Type {
	case "", types.ShardFilterTypeFromTrimHorizon:
		return func(*shard) bool { return true }, nil
	case types.ShardFilterTypeAtTrimHorizon:
		return openAt(horizon), nil
	case types.ShardFilterTypeAtLatest:
		return func(sh *shard) bool { return sh.isOpen() }, nil
	case types.ShardFilterTypeAtTimestamp:
		t := *f.Timestamp
		if t.Before(horizon) {
			t = horizon
		}
		return openAt(t), nil
	case types.ShardFilterTypeFromTimestamp: // what a replay from t has to read
		return func(sh *shard) bool { return sh.isOpen() || !sh.closed.Before(*f.Timestamp) }, nil
	case types.ShardFilterTypeAfterShardId:
		if deref(f.ShardId) == "" {
			return nil, invalidf("ShardId must be specified for the shard filter type AFTER_SHARD_ID.")
		}
		return func(sh *shard) bool { return sh.id > *f.ShardId }, nil
	}
	return nil, invalidf("Shard filter type %s is not valid.", f.Type)
}

// openShard finds a shard that can be split or merged.
func (s *stream) openShard(id *string) (*shard, error) {
	sh, err := s.shard(deref(id))
	if err != nil {
		return nil, err
	}
	if !sh.isOpen() {
		return nil, invalidf("Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.", sh.id, s.name, Account)
	}
	return sh, nil
}

func (s *stream) provisionedOnly(operation string) error {
	if s.mode != types.StreamModeProvisioned {
		return validationf("Request is invalid. %s is not supported for a stream in %s mode.", operation, s.mode)
	}
	return nil
}

func (k *kinesisService) splitShard(_ context.Context, in *kinesis.SplitShardInput) (*kinesis.SplitShardOutput, error) {
	s, err := k.findActive(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if err := s.provisionedOnly("SplitShard"); err != nil {
		return nil, err
	}
	sh, err := s.openShard(in.ShardToSplit)
	if err != nil {
		return nil, err
	}
	at, err := hashKey("newStartingHashKey", deref(in.NewStartingHashKey))
	if err != nil {
		return nil, err
	}
	if at.Cmp(new(big.Int).Add(sh.lo, one)) <= 0 || at.Cmp(sh.hi) >= 0 {
		return nil, invalidf("NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
			at, sh.id, s.name, Account, sh.lo, sh.hi)
	}
	s.busy(types.StreamStatusUpdating, func() { s.split(sh, at) })
	return &kinesis.SplitShardOutput{}, nil
}

func (k *kinesisService) mergeShards(_ context.Context, in *kinesis.MergeShardsInput) (*kinesis.MergeShardsOutput, error) {
	s, err := k.findActive(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if err := s.provisionedOnly("MergeShards"); err != nil {
		return nil, err
	}
	a, err := s.openShard(in.ShardToMerge)
	if err != nil {
		return nil, err
	}
	b, err := s.openShard(in.AdjacentShardToMerge)
	if err != nil {
		return nil, err
	}
	adjacent := func(x, y *shard) bool { return new(big.Int).Add(x.hi, one).Cmp(y.lo) == 0 }
	if !adjacent(a, b) && !adjacent(b, a) {
		return nil, invalidf("Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging", a.id, b.id, s.name, Account)
	}
	s.busy(types.StreamStatusUpdating, func() { s.merge(a, b) })
	return &kinesis.MergeShardsOutput{}, nil
}

func (k *kinesisService) updateShardCount(_ context.Context, in *kinesis.UpdateShardCountInput) (*kinesis.UpdateShardCountOutput, error) {
	s, err := k.findActive(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if err := s.provisionedOnly("UpdateShardCount"); err != nil {
		return nil, err
	}
	have, want, now := len(s.openShards()), int(deref(in.TargetShardCount)), k.r.now()
	switch {
	case in.ScalingType != types.ScalingTypeUniformScaling:
		return nil, validationf("ScalingType must be UNIFORM_SCALING.")
	case want < 1 || want > mostShards:
		return nil, validationf("TargetShardCount must be between 1 and %d.", mostShards)
	case want > 2*have:
		return nil, invalidf("UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: %d Target shard count: %d", have, want)
	case 2*want < have:
		return nil, invalidf("UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: %d Target shard count: %d", have, want)
	}
	for len(s.rescaled) > 0 && now.Sub(s.rescaled[0]) >= 24*time.Hour {
		s.rescaled = s.rescaled[1:]
	}
	if len(s.rescaled) >= mostRescalings {
		return nil, limitf("Exceeded the limit of %d UpdateShardCount calls per rolling 24-hour period for stream %s under account %s.", mostRescalings, s.name, Account)
	}
	s.rescaled = append(s.rescaled, now)
	s.busy(types.StreamStatusUpdating, func() { s.rescale(want) })
	return &kinesis.UpdateShardCountOutput{
		StreamName: aws.String(s.name), StreamARN: aws.String(string(s.arn)),
		CurrentShardCount: aws.Int32(int32(have)), TargetShardCount: aws.Int32(int32(want)),
	}, nil
}

// hashKey reads a decimal hash key.
func hashKey(member, value string) (*big.Int, error) {
	n, ok := new(big.Int).SetString(value, 10)
	if !ok || len(value) > 39 || value[0] == '-' || value[0] == '+' || value[0] == '0' && len(value) > 1 {
		return nil, validationf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\\d{0,38})", value, member)
	}
	if n.Cmp(hashSpace) >= 0 {
		return nil, invalidf("Invalid %s. It must be in the range: [0, 340282366920938463463374607431768211455]. Specified value was %s", member, value)
	}
	return n, nil
}

// tokens is a bucket that holds one second's worth of a quota.
type tokens struct {
	left, perSecond float64
	at              time.Time
}

func newTokens(now time.Time, perSecond float64) tokens { return tokens{perSecond, perSecond, now} }

func (t *tokens) refill(now time.Time) {
	if d := now.Sub(t.at); d > 0 {
		t.left = min(t.perSecond, t.left+d.Seconds()*t.perSecond)
		t.at = now
	}
}

// has reports whether n are left; more than a whole second's worth is let
// through when the bucket is full, and paid back afterwards.
func (t *tokens) has(now time.Time, n float64) bool {
	t.refill(now)
	return t.left >= min(n, t.perSecond)
}

func (t *tokens) take(n float64) { t.left -= n }
