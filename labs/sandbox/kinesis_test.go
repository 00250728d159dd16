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
