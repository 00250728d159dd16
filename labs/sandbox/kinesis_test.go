package sandbox

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	smithy "github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// codeOf returns the API error code of err, "" for none.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func kinesisClient(sb *Sandbox) *kinesis.Client {
	return kinesis.NewFromConfig(sb.Config(), func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
}

// aStream makes an ACTIVE stream "orders".
func aStream(t *testing.T, shards int32) (*Sandbox, *kinesis.Client) {
	t.Helper()
	sb := empty(t)
	c := kinesisClient(sb)
	if _, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(shards)}); err != nil {
		t.Fatal(err)
	}
	sb.Advance(reshardTime)
	return sb, c
}

func put(t *testing.T, c *kinesis.Client, key, data string) *kinesis.PutRecordOutput {
	t.Helper()
	out, err := c.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String(key), Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func iteratorAt(t *testing.T, c *kinesis.Client, in kinesis.GetShardIteratorInput) *string {
	t.Helper()
	in.StreamName = aws.String("orders")
	if in.ShardId == nil {
		in.ShardId = aws.String("shardId-000000000000")
	}
	out, err := c.GetShardIterator(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return out.ShardIterator
}

// dataFrom reads one page and returns its data, joined.
func dataFrom(t *testing.T, c *kinesis.Client, it *string) (string, *kinesis.GetRecordsOutput) {
	t.Helper()
	out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
	if err != nil {
		t.Fatal(err)
	}
	var data []string
	for _, r := range out.Records {
		data = append(data, string(r.Data))
	}
	return strings.Join(data, " "), out
}

func TestKinesisWriteAndRead(t *testing.T) {
	sb, c := aStream(t, 1)
	latest := iteratorAt(t, c, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest})
	var sequences []string
	var between time.Time
	for i := range 4 {
		if i == 2 {
			sb.Advance(time.Minute)
			between = sb.Now()
			sb.Advance(time.Second)
		}
		sequences = append(sequences, *put(t, c, "k", fmt.Sprint(i)).SequenceNumber)
	}
	for i, s := range sequences {
		if len(s) != 56 {
			t.Errorf("sequence number %q has %d digits", s, len(s))
		}
		if a, b := new(big.Int), new(big.Int); i > 0 {
			a.SetString(sequences[i-1], 10)
			b.SetString(s, 10)
			if a.Cmp(b) >= 0 {
				t.Errorf("%s is not above %s", s, sequences[i-1])
			}
		}
	}
	for _, c2 := range []struct {
		in   kinesis.GetShardIteratorInput
		want string
	}{
		{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}, "0 1 2 3"},
		{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &sequences[1]}, "1 2 3"},
		{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: &sequences[1]}, "2 3"},
		{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &between}, "2 3"},
		{kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest}, ""},
	} {
		got, out := dataFrom(t, c, iteratorAt(t, c, c2.in))
		if got != c2.want {
			t.Errorf("%s: got %q, want %q", c2.in.ShardIteratorType, got, c2.want)
		}
		if out.NextShardIterator == nil || *out.MillisBehindLatest != 0 {
			t.Errorf("%s: next %v, behind %d", c2.in.ShardIteratorType, out.NextShardIterator, *out.MillisBehindLatest)
		}
		sb.Advance(time.Second)
	}
	if got, _ := dataFrom(t, c, latest); got != "0 1 2 3" {
		t.Errorf("the iterator from before the records read %q", got)
	}
	// GetRecords API: an iterator expires 5 minutes after it is returned.
	sb.Advance(4 * time.Minute)
	_, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: latest})
	if codeOf(err) != "ExpiredIteratorException" {
		t.Errorf("an old iterator: %v", err)
	}
	_, err = c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("bm9uc2Vuc2U=")})
	if codeOf(err) != "InvalidArgumentException" {
		t.Errorf("a foreign iterator: %v", err)
	}
}

func TestKinesisDescribesItself(t *testing.T) {
	_, c := aStream(t, 3)
	out, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	d := out.StreamDescriptionSummary
	got := []any{d.StreamStatus, *d.OpenShardCount, *d.RetentionPeriodHours, d.StreamModeDetails.StreamMode, d.EncryptionType, d.RecordDistributionStrategy, *d.ConsumerCount}
	want := []any{types.StreamStatusActive, int32(3), int32(24), types.StreamModeProvisioned, types.EncryptionTypeNone, types.RecordDistributionStrategyUserPartitionKey, int32(0)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err = c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("other")})
	if codeOf(err) != "ResourceNotFoundException" || !strings.Contains(err.Error(), "Stream other under account 123456789012 not found.") {
		t.Errorf("got %v", err)
	}
}

func records(n, size int) []types.PutRecordsRequestEntry {
	out := make([]types.PutRecordsRequestEntry, n)
	for i := range out {
		out[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("k", i)), Data: make([]byte, size)}
	}
	return out
}

// Quotas page: 1,000 records and 1 MiB a second per shard; PutRecords names the
// account, the stream and the shard of a throttled record.
func TestKinesisWriteQuota(t *testing.T) {
	sb, c := aStream(t, 1)
	in := &kinesis.PutRecordsInput{StreamName: aws.String("orders"), Records: records(500, 10)}
	for i, wantFailed := range []int32{0, 0, 500} {
		out, err := c.PutRecords(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if *out.FailedRecordCount != wantFailed {
			t.Errorf("call %d: %d failed, want %d", i, *out.FailedRecordCount, wantFailed)
		}
		if wantFailed > 0 {
			got := []string{*out.Records[0].ErrorCode, *out.Records[0].ErrorMessage}
			want := []string{"ProvisionedThroughputExceededException", "Rate exceeded for shard shardId-000000000000 in stream orders under account 123456789012."}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
	}
	_, err := c.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String("k"), Data: []byte("x")})
	if codeOf(err) != "ProvisionedThroughputExceededException" {
		t.Errorf("got %v", err)
	}
	sb.Advance(time.Second)
	in.Records = records(3, 400_000)
	out, err := c.PutRecords(t.Context(), in)
	if err != nil || *out.FailedRecordCount != 1 {
		t.Errorf("1.2 MB into one shard: %v, %v", out, err)
	}
	m := sb.Region("").metrics.find("AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", "orders")
	if p := m.between(sb.Now().Add(-time.Minute), sb.Now().Add(time.Minute)); p.sum != 502 {
		t.Errorf("throttled records: %+v", p)
	}
}

// PutRecords API: 500 records, 10 MiB a request, 1 MiB a record unless the stream allows more.
func TestKinesisWriteLimits(t *testing.T) {
	sb, c := aStream(t, 1)
	put := func(in kinesis.PutRecordsInput) string {
		in.StreamName = aws.String("orders")
		_, err := c.PutRecords(t.Context(), &in)
		return codeOf(err)
	}
	for what, got := range map[string]string{
		"no records":   put(kinesis.PutRecordsInput{Records: []types.PutRecordsRequestEntry{}}),
		"501 records":  put(kinesis.PutRecordsInput{Records: records(501, 1)}),
		"a large one":  put(kinesis.PutRecordsInput{Records: records(1, 1<<20)}), // with its key it is over 1 MiB
		"an empty key": put(kinesis.PutRecordsInput{Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String(""), Data: []byte("x")}}}),
		"a bad hash":   put(kinesis.PutRecordsInput{Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("-1"), Data: []byte("x")}}}),
	} {
		if got != "ValidationException" {
			t.Errorf("%s: %q", what, got)
		}
	}
	sb.do(func() { // straight to the handler: 11 MiB over the wire only cost time
		_, err := kinesisIn(sb.regions[HomeRegion]).putRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("orders"), Records: records(11, 1<<20-10)})
		if codeOf(err) != "InvalidArgumentException" {
			t.Errorf("11 MiB: %v", err)
		}
	})
	if got := put(kinesis.PutRecordsInput{Records: records(1, 1), DryRun: aws.Bool(true)}); got != "DryRunOperationException" {
		t.Errorf("dry run: %q", got)
	}
	if _, err := c.UpdateMaxRecordSize(t.Context(), &kinesis.UpdateMaxRecordSizeInput{StreamARN: aws.String(string(sb.Region("").arn("kinesis", "stream/orders"))), MaxRecordSizeInKiB: aws.Int32(2048)}); err != nil {
		t.Fatal(err)
	}
	if got := put(kinesis.PutRecordsInput{Records: records(1, 1<<20)}); got != "" {
		t.Errorf("a large record on a stream that allows it: %q", got)
	}
}

// GetRecords API: 5 calls a second per shard; after an answer of 10 MiB the next
// 5 seconds throttle.
func TestKinesisReadQuota(t *testing.T) {
	sb, c := aStream(t, 1)
	it := iteratorAt(t, c, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	read := func() string {
		_, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
		return codeOf(err)
	}
	for range 5 {
		if got := read(); got != "" {
			t.Fatal(got)
		}
	}
	if got := read(); got != "ProvisionedThroughputExceededException" {
		t.Errorf("the sixth call: %q", got)
	}
	sb.Advance(time.Second)
	sb.do(func() {
		for range 22 {
			kinesisIn(sb.regions[HomeRegion]).streams["orders"].shards[0].append("k", make([]byte, 500_000))
		}
	})
	out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
	if err != nil || len(out.Records) != 20 || *out.MillisBehindLatest == 0 {
		t.Fatalf("%d records, %v", len(out.Records), err)
	}
	sb.Advance(4 * time.Second)
	if got := read(); got != "ProvisionedThroughputExceededException" {
		t.Errorf("4 s after 10 MiB: %q", got)
	}
	sb.Advance(time.Second)
	if got := read(); got != "" {
		t.Errorf("5 s after 10 MiB: %q", got)
	}
}

// Empty pages in the middle of a shard are normal (kinesis-tailf#8: by design).
func TestKinesisEmptyPages(t *testing.T) {
	sb, c := aStream(t, 1)
	put(t, c, "k", "old")
	sb.Advance(time.Hour)
	put(t, c, "k", "new")
	it, pages, got := iteratorAt(t, c, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}), 0, ""
	for behind := int64(1); behind > 0; pages++ {
		data, out := dataFrom(t, c, it)
		if data == "" && *out.MillisBehindLatest == 0 {
			t.Error("an empty page in the middle claims to be at the tip")
		}
		got, it, behind = got+data+";", out.NextShardIterator, *out.MillisBehindLatest
		sb.Advance(time.Second)
	}
	if got != "old;;new;" {
		t.Errorf("pages %q", got)
	}
	sb.SetFaults(Fault{Kind: FalseEmpty, Service: "kinesis"})
	it = iteratorAt(t, c, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if data, out := dataFrom(t, c, it); data != "" || out.NextShardIterator == nil {
		t.Errorf("the fault: %q", data)
	}
}

func TestKinesisReshard(t *testing.T) {
	sb, c := aStream(t, 1)
	ctx := t.Context()
	put(t, c, "k", "before")
	half := new(big.Int).Rsh(hashSpace, 1).String()
	if _, err := c.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: aws.String("orders"), ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: &half}); err != nil {
		t.Fatal(err)
	}
	_, err := c.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: aws.String("orders"), ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: &half})
	if codeOf(err) != "ResourceInUseException" {
		t.Errorf("while UPDATING: %v", err)
	}
	sb.Advance(reshardTime)
	out, err := c.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String("k"), ExplicitHashKey: &half, Data: []byte("after")})
	if err != nil || *out.ShardId != "shardId-000000000002" {
		t.Fatalf("explicit hash key: %v, %v", out, err)
	}
	// The end of a closed shard: no next iterator, and its children.
	data, page := dataFrom(t, c, iteratorAt(t, c, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}))
	if data != "before" || page.NextShardIterator != nil || len(page.ChildShards) != 2 || *page.ChildShards[1].ShardId != "shardId-000000000002" || page.ChildShards[0].ParentShards[0] != "shardId-000000000000" {
		t.Errorf("%q %+v", data, page)
	}
	if _, err := c.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: aws.String("orders"), ShardToMerge: aws.String("shardId-000000000002"), AdjacentShardToMerge: aws.String("shardId-000000000001")}); err != nil {
		t.Fatal(err)
	}
	sb.Advance(reshardTime)
	list := func(f *types.ShardFilter) string {
		out, err := c.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String("orders"), ShardFilter: f})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, s := range out.Shards {
			id := strings.TrimPrefix(*s.ShardId, "shardId-00000000000")
			if s.ParentShardId != nil {
				id += "<" + strings.TrimPrefix(*s.ParentShardId, "shardId-00000000000")
			}
			if s.AdjacentParentShardId != nil {
				id += "+" + strings.TrimPrefix(*s.AdjacentParentShardId, "shardId-00000000000")
			}
			ids = append(ids, id)
		}
		return strings.Join(ids, " ")
	}
	beforeMerge := sb.Now().Add(-reshardTime)
	for _, c := range []struct {
		filter *types.ShardFilter
		want   string
	}{
		{nil, "0 1<0 2<0 3<2+1"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAtLatest}, "3<2+1"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}, "0"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: &beforeMerge}, "1<0 2<0"},
		{&types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: aws.Time(beforeMerge.Add(time.Second))}, "1<0 2<0 3<2+1"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: aws.String("shardId-000000000001")}, "2<0 3<2+1"},
	} {
		if got := list(c.filter); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.filter, got, c.want)
		}
	}
	// Closed shards go when their last record would have expired.
	sb.Advance(25 * time.Hour)
	if got := list(nil); got != "3<2+1" {
		t.Errorf("after retention: %q", got)
	}
}

// UpdateShardCount API: at most double, at least half, 10 times in 24 hours.
func TestKinesisUpdateShardCount(t *testing.T) {
	sb, c := aStream(t, 2)
	update := func(n int32) string {
		_, err := c.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String("orders"), TargetShardCount: &n, ScalingType: types.ScalingTypeUniformScaling})
		sb.Advance(reshardTime)
		return codeOf(err)
	}
	if a, b := update(5), update(1); a != "InvalidArgumentException" || b != "" {
		t.Errorf("from 2 to 5: %q, from 2 to 1: %q", a, b)
	}
	for i, n := range []int32{2, 3, 5, 4, 8, 7, 6, 3, 5} {
		if got := update(n); got != "" {
			t.Fatalf("step %d: %q", i, got)
		}
		open := kinesisIn(sb.Region("")).streams["orders"].openShards()
		next := new(big.Int)
		for _, sh := range open {
			if sh.lo.Cmp(next) != 0 {
				t.Errorf("to %d: a hole or overlap at %s", n, next)
			}
			next.Add(sh.hi, one)
		}
		if len(open) != int(n) || next.Cmp(hashSpace) != 0 {
			t.Errorf("to %d: %d shards up to %s", n, len(open), next)
		}
	}
	if got := update(6); got != "LimitExceededException" {
		t.Errorf("the eleventh time: %q", got)
	}
}

// IncreaseStreamRetentionPeriod API: does not bring back what was already past the old period.
func TestKinesisRetention(t *testing.T) {
	sb, c := aStream(t, 1)
	put(t, c, "k", "lost")
	sb.Advance(20 * time.Hour)
	put(t, c, "k", "kept")
	sb.Advance(5 * time.Hour)
	set := func(hours int32) error {
		_, err := c.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: aws.String("orders"), RetentionPeriodHours: &hours})
		sb.Advance(reshardTime)
		return err
	}
	if err := set(48); err != nil {
		t.Fatal(err)
	}
	if err := set(24); codeOf(err) != "InvalidArgumentException" || !strings.Contains(err.Error(), "Use DecreaseRetentionPeriod API.") {
		t.Errorf("got %v", err)
	}
	if err := set(9000); codeOf(err) != "InvalidArgumentException" {
		t.Errorf("got %v", err)
	}
	sb.Advance(20 * time.Hour)
	it, got := iteratorAt(t, c, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}), ""
	for range 3 {
		data, out := dataFrom(t, c, it)
		got, it = got+data, out.NextShardIterator
	}
	if got != "kept" {
		t.Errorf("read %q", got)
	}
}

// Release of 2026-09-23: AUTO is for on-demand streams, ignores keys, and gives back a record without one.
func TestKinesisAutoDistribution(t *testing.T) {
	sb, c := aStream(t, 1)
	ctx := t.Context()
	arn := aws.String(string(sb.Region("").arn("kinesis", "stream/orders")))
	auto := &kinesis.UpdateStreamRecordDistributionStrategyInput{StreamARN: arn, RecordDistributionStrategy: types.RecordDistributionStrategyAuto}
	if _, err := c.UpdateStreamRecordDistributionStrategy(ctx, auto); codeOf(err) != "InvalidArgumentException" {
		t.Errorf("on a provisioned stream: %v", err)
	}
	if _, err := c.UpdateStreamMode(ctx, &kinesis.UpdateStreamModeInput{StreamARN: arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}}); err != nil {
		t.Fatal(err)
	}
	sb.Advance(reshardTime)
	if _, err := c.UpdateStreamRecordDistributionStrategy(ctx, auto); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutRecord(ctx, &kinesis.PutRecordInput{StreamARN: arn, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	_, page := dataFrom(t, c, iteratorAt(t, c, kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}))
	if len(page.Records) != 1 || page.Records[0].PartitionKey != nil {
		t.Errorf("got %+v", page.Records)
	}
}

func TestKinesisPartialBatchFault(t *testing.T) {
	sb, c := aStream(t, 1)
	sb.SetFaults(Fault{Kind: PartialBatch, Service: "kinesis"})
	out, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("orders"), Records: records(100, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var failed int32
	for _, r := range out.Records {
		if r.ErrorCode != nil {
			failed++
		}
	}
	if n := *out.FailedRecordCount; n != failed || n == 0 || n == 100 {
		t.Errorf("%d failed, %d counted", failed, n)
	}
}

func TestKinesisListsPageByPage(t *testing.T) {
	sb := empty(t)
	c := kinesisClient(sb)
	r := sb.Region("")
	sb.do(func() {
		for i := range 103 {
			kinesisIn(r).create(fmt.Sprintf("s%03d", i), 1)
		}
		kinesisIn(r).create("wide", 1001)
	})
	p, n, pages := kinesis.NewListStreamsPaginator(c, &kinesis.ListStreamsInput{}), 0, 0
	for p.HasMorePages() {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n, pages = n+len(out.StreamSummaries), pages+1
	}
	if n != 104 || pages != 2 { // 100 by default
		t.Errorf("%d streams in %d pages", n, pages)
	}
	first, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("wide")})
	if err != nil || len(first.Shards) != 1000 {
		t.Fatal(len(first.Shards), err)
	}
	rest, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: first.NextToken})
	if err != nil || len(rest.Shards) != 1 || rest.NextToken != nil {
		t.Errorf("the second page: %v, %v", rest, err)
	}
	sb.Advance(pageTokenLife + time.Second)
	if _, err = c.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: first.NextToken}); codeOf(err) != "ExpiredNextTokenException" {
		t.Errorf("after 300 s: %v", err)
	}
}

func TestKinesisConsumersAndTags(t *testing.T) {
	sb, c := aStream(t, 1)
	ctx, arn := t.Context(), aws.String(string(sb.Region("").arn("kinesis", "stream/orders")))
	reg, err := c.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String("billing")})
	if err != nil || reg.Consumer.ConsumerStatus != types.ConsumerStatusCreating {
		t.Fatal(reg, err)
	}
	sb.Advance(reshardTime)
	got, err := c.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: reg.Consumer.ConsumerARN})
	if err != nil || got.ConsumerDescription.ConsumerStatus != types.ConsumerStatusActive || *got.ConsumerDescription.StreamARN != *arn {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := c.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamARN: arn}); codeOf(err) != "ResourceInUseException" {
		t.Errorf("deleting a stream with consumers: %v", err)
	}
	for _, resource := range []*string{arn, reg.Consumer.ConsumerARN} {
		if _, err := c.TagResource(ctx, &kinesis.TagResourceInput{ResourceARN: resource, Tags: map[string]string{"team": *resource}}); err != nil {
			t.Fatal(err)
		}
		out, err := c.ListTagsForResource(ctx, &kinesis.ListTagsForResourceInput{ResourceARN: resource})
		if err != nil || len(out.Tags) != 1 || *out.Tags[0].Value != *resource {
			t.Errorf("tags of %s: %v, %v", *resource, out, err)
		}
	}
	if _, err := c.DeregisterStreamConsumer(ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: reg.Consumer.ConsumerARN}); err != nil {
		t.Fatal(err)
	}
	sb.Advance(reshardTime)
	list, err := c.ListStreamConsumers(ctx, &kinesis.ListStreamConsumersInput{StreamARN: arn})
	if err != nil || len(list.Consumers) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
}

// The iterator age of a reader that is stuck grows by 1000 ms a second, and
// vanishes with a reader that stopped (alarms.md 1.1, kds.stall and kds.loss).
func TestKinesisSimulatedReader(t *testing.T) {
	sb, _ := aStream(t, 2)
	r := sb.Region("")
	var p *simulatedReader
	sb.do(func() {
		s := kinesisIn(r).streams["orders"]
		s.flow = func(time.Time) (float64, float64) { return 6000, 600_000 }
		p = s.poll()
	})
	ages := func(minutes int) []float64 {
		var out []float64
		m := r.metrics.find("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", "orders")
		for i := range minutes {
			to := sb.Now().Truncate(time.Minute).Add(time.Duration(i-minutes+1) * time.Minute)
			if point := m.between(to.Add(-time.Minute), to); point.count > 0 {
				out = append(out, point.max)
			}
		}
		return out
	}
	sb.Advance(5 * time.Minute)
	if diff := cmp.Diff([]float64{0, 0}, ages(2)); diff != "" {
		t.Errorf("keeping up: %s", diff)
	}
	sb.do(func() { p.speed = 0 })
	sb.Advance(3 * time.Minute)
	if diff := cmp.Diff([]float64{60_000, 120_000, 180_000}, ages(3)); diff != "" {
		t.Errorf("stuck: %s", diff)
	}
	sb.do(func() { p.stopped = true })
	sb.Advance(3 * time.Minute)
	if got := ages(3); len(got) != 0 {
		t.Errorf("stopped: %v", got)
	}
	sb.do(func() { p.stopped, p.speed = false, 7 })
	sb.Advance(2 * time.Minute)
	if got := ages(1); len(got) != 1 || got[0] != 0 {
		t.Errorf("caught up: %v", got)
	}
	in := r.metrics.find("AWS/Kinesis", "IncomingRecords", "StreamName", "orders")
	if p := in.between(sb.Now().Add(-10*time.Minute), sb.Now()); p.sum != 60_000 {
		t.Errorf("the flow: %+v", p)
	}
}

func TestKinesisStreamReader(t *testing.T) {
	sb, c := aStream(t, 1)
	r, arn := sb.Region(""), sb.Region("").arn("kinesis", "stream/orders")
	put(t, c, "k", "a")
	put(t, c, "k", "b")
	sb.do(func() {
		shards, err := r.streams.shards(arn)
		if err != nil || len(shards) != 1 || shards[0].Closed {
			t.Fatal(shards, err)
		}
		page, err := r.streams.read(arn, shards[0].ID, "", 1, true)
		if err != nil || len(page.Records) != 1 || string(page.Records[0].Data) != "a" || page.Behind == 0 {
			t.Fatalf("%+v, %v", page, err)
		}
		page, err = r.streams.read(arn, shards[0].ID, page.Records[0].Sequence, 10, true)
		if err != nil || len(page.Records) != 1 || string(page.Records[0].Data) != "b" || page.Behind != 0 || page.End {
			t.Errorf("%+v, %v", page, err)
		}
		if got := r.streams.latest(arn, shards[0].ID); got != page.Records[0].Sequence {
			t.Errorf("latest %q", got)
		}
		if _, err := r.streams.read(r.arn("kinesis", "stream/none"), "x", "", 1, true); err == nil {
			t.Error("a missing stream can be read")
		}
	})
}

// The scenario `scale` has 100 streams with three hours of past.
func TestKinesisFlowIsCheap(t *testing.T) {
	sb := empty(t)
	r := sb.Region("")
	sb.do(func() {
		for i := range 100 {
			s := kinesisIn(r).create(fmt.Sprintf("s%03d", i), 4)
			s.flow = func(time.Time) (float64, float64) { return 6000, 600_000 }
			s.poll()
		}
	})
	started := time.Now()
	sb.Advance(3 * time.Hour)
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("three hours took %s", took)
	}
}

func FuzzKinesisTokens(f *testing.F) {
	f.Add("")
	f.Add(*sealToken(iterator{Stream: "orders", Shard: "shardId-000000000000", Next: 1 << 60}))
	sb, err := New(Options{Start: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(sb.Close)
	k := kinesisIn(sb.Region(""))
	var s *stream
	sb.do(func() {
		s = k.create("orders", 1)
		s.send("k", []byte("x"))
	})
	f.Fuzz(func(t *testing.T, token string) {
		sb.do(func() {
			if it, _, sh, err := k.openIterator(token); err == nil {
				sh.page(it.Next, 10)
				sh.behind(it.Next)
			}
			var p pageToken
			if p.open(token, sb.now()) == nil && p.Issued.IsZero() && sb.now().Sub(p.Issued) <= pageTokenLife {
				t.Error("a token without a time is accepted")
			}
			if _, err := s.checkSequence("x", "y", token, s.shards[0]); err == nil && len(token) != 56 {
				t.Errorf("accepted %q", token)
			}
			if n, err := hashKey("x", token); err == nil && n.String() != token {
				t.Errorf("%q became %s", token, n)
			}
		})
	})
}

// Faults of any call and faults of one service take the same two locks.
func TestFaultsUnderConcurrentCalls(t *testing.T) {
	sb, c := aStream(t, 1)
	sb.SetFaults(Fault{Kind: PartialBatch, Percent: 50}, Fault{Kind: Throttle, Percent: 1})
	var all errgroup.Group
	for range 4 {
		all.Go(func() error {
			for range 50 {
				_, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("orders"), Records: records(2, 1)})
				if err != nil && codeOf(err) != "LimitExceededException" {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
}

// CreateChannel API: on-demand streams only; one S3 channel per stream.
func TestKinesisChannels(t *testing.T) {
	sb, c := aStream(t, 1)
	ctx := t.Context()
	arn := aws.String(string(sb.Region("").arn("kinesis", "stream/orders")))
	create := func(name string) (*kinesis.CreateChannelOutput, error) {
		return c.CreateChannel(ctx, &kinesis.CreateChannelInput{
			ChannelName: &name, ServiceExecutionRoleARN: aws.String(deliveryRole),
			StreamConfigurationList: []types.ChannelStreamConfiguration{{StreamARN: arn, RecordConfiguration: &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeJson}}},
			S3DestinationConfiguration: &types.S3DestinationConfiguration{DataFreshnessInSeconds: aws.Int32(300), StorageConfiguration: &types.S3StorageConfiguration{
				BucketARN: aws.String("arn:aws:s3:::archive"), ExpectedBucketOwner: aws.String(Account), CompressionType: types.S3CompressionTypeGzip, StorageClass: types.S3StorageClassStandard}},
		})
	}
	if _, err := create("lake"); codeOf(err) != "InvalidArgumentException" {
		t.Errorf("on a provisioned stream: %v", err)
	}
	if _, err := c.UpdateStreamMode(ctx, &kinesis.UpdateStreamModeInput{StreamARN: arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}}); err != nil {
		t.Fatal(err)
	}
	sb.Advance(reshardTime)
	made, err := create("lake")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create("lake2"); codeOf(err) != "LimitExceededException" {
		t.Errorf("a second one: %v", err)
	}
	sb.Advance(reshardTime)
	list, err := c.ListChannels(ctx, &kinesis.ListChannelsInput{StreamFilter: []types.StreamFilter{{StreamARN: arn}}})
	if err != nil || len(list.ChannelSummaries) != 1 || list.ChannelSummaries[0].ChannelStatus != types.ChannelStatusActive || !strings.Contains(*list.ChannelSummaries[0].ChannelStatusReason, "delivers nothing") {
		t.Errorf("listed %+v, %v", list, err)
	}
	sum, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamARN: arn})
	if err != nil || *sum.StreamDescriptionSummary.ChannelCount != 1 {
		t.Errorf("summary %+v, %v", sum, err)
	}
	d, err := c.DescribeChannel(ctx, &kinesis.DescribeChannelInput{ChannelARN: made.ChannelDescription.ChannelARN})
	if err != nil || *d.ChannelDescription.S3DestinationConfiguration.DataFreshnessInSeconds != 300 {
		t.Errorf("described %+v, %v", d, err)
	}
	if _, err := c.DeleteChannel(ctx, &kinesis.DeleteChannelInput{ChannelARN: made.ChannelDescription.ChannelARN}); err != nil {
		t.Fatal(err)
	}
	sb.Advance(reshardTime)
	if list, err = c.ListChannels(ctx, &kinesis.ListChannelsInput{}); err != nil || len(list.ChannelSummaries) != 0 {
		t.Errorf("after the deletion: %+v, %v", list, err)
	}
}
