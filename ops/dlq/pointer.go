package dlq

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"kxops/ops"
)

// What one pointer may read. A Lambda batch has at most 10,000 records and 6 MiB;
// an extended-client payload may have 2 GiB, of which the beginning is enough to see.
const (
	mostRecords     = 10_000
	mostRecordBytes = 64 << 20
	mostReads       = 400 // a quiet shard answers empty pages; at two a second this is more than the patience
	mostShardPages  = 100
	readPatience    = 3 * time.Minute
	tableRetention  = 24 * time.Hour // DynamoDB Streams: fixed, DynamoDB developer guide
)

// Record is one record of a stream that a pointer means, or the one object.
type Record struct {
	Sequence string
	Key      string
	At       time.Time // approximate arrival
	Data     []byte
}

// Range is what is known about a pointer's data.
type Range struct {
	Pointer  ops.Pointer
	TrimsAt  time.Time // when the first record is trimmed; zero: unknown
	Gone     bool      // trimmed already, or the object is gone
	Why      string    // when it cannot be read, or only in part
	Bytes    int64     // of an object; 0: unknown
	Records  []Record
	Complete bool // every record from Pointer.From to Pointer.To was read
}

// Resolve says whether the data is still there and how long, without reading it.
// What can be said is in the Range; the error is for what could not be asked.
func (d *Desk) Resolve(ctx context.Context, p ops.Pointer) (Range, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	switch p.Kind {
	case ops.KinesisRange:
		return d.resolveStream(ctx, p)
	case ops.S3Object:
		return d.resolveObject(ctx, p)
	case ops.DynamoDBRange:
		return d.tableRange(p), nil
	}
	return Range{Pointer: p}, fmt.Errorf("a pointer of kind %q: kxops does not know what it points at", p.Kind)
}

// tableRange is all that can be said about a table's stream: kxops has no client
// for DynamoDB Streams.
func (d *Desk) tableRange(p ops.Pointer) Range {
	r := Range{Pointer: p, Why: "kxops cannot read DynamoDB Streams: read the records with `aws dynamodbstreams get-shard-iterator` and `get-records`, or read the items from the table"}
	if !p.First.IsZero() {
		r.TrimsAt = p.First.Add(tableRetention)
	}
	if !p.Last.IsZero() && !d.o.Now().Before(p.Last.Add(tableRetention)) {
		r.Gone, r.Why = true, "a table's stream keeps records for 24 h, and these are older"
	}
	return r
}

func (d *Desk) resolveStream(ctx context.Context, p ops.Pointer) (Range, error) {
	r := Range{Pointer: p}
	if err := d.checkPlace(p); err != nil {
		return r, err
	}
	out, err := d.kinesis.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamARN: aws.String(string(p.Stream))})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		r.Gone, r.Why = true, fmt.Sprintf("stream %s does not exist any more", p.Stream.Name())
		return r, nil
	case err != nil:
		return r, fmt.Errorf("ask stream %s how long it keeps records: %w", p.Stream.Name(), err)
	}
	keeps := time.Duration(aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours)) * time.Hour
	r.age(d.o.Now(), keeps)
	if r.Gone {
		return r, nil
	}
	listed, err := d.shardListed(ctx, p)
	if err == nil && !listed {
		r.Gone, r.Why = true, fmt.Sprintf("shard %s is not listed any more: it was closed, and all that it held has been trimmed", p.Shard)
	}
	return r, err
}

// age sets what the stream's retention says about the range.
func (r *Range) age(now time.Time, keeps time.Duration) {
	p := r.Pointer
	if !p.First.IsZero() {
		r.TrimsAt = p.First.Add(keeps)
	}
	switch {
	case !p.Last.IsZero() && !now.Before(p.Last.Add(keeps)):
		r.Gone, r.Why = true, fmt.Sprintf("stream %s keeps records for %s, and the last of these arrived %s ago", p.Stream.Name(), span(keeps), span(now.Sub(p.Last)))
	case !r.TrimsAt.IsZero() && !now.Before(r.TrimsAt):
		r.Why = fmt.Sprintf("the first of these records were trimmed %s ago; the rest follows", span(now.Sub(r.TrimsAt)))
	}
}

// checkPlace refuses a pointer that this desk cannot follow, before a call is made.
func (d *Desk) checkPlace(p ops.Pointer) error {
	for _, s := range []string{p.From, p.To} {
		if _, ok := new(big.Int).SetString(s, 10); !ok {
			return fmt.Errorf("read back from %s: the pointer's sequence number is not a number", p.Stream.Name())
		}
	}
	switch here := d.o.Config.Region; {
	case p.Stream == "" || p.Shard == "":
		return errors.New("read back from a stream: the pointer does not name stream and shard")
	case p.Stream.Region() != here:
		return fmt.Errorf("read back from %s: it is in region %s, and this session is in %s", p.Stream.Name(), p.Stream.Region(), here)
	}
	return nil
}

func (d *Desk) shardListed(ctx context.Context, p ops.Pointer) (bool, error) {
	in := &kinesis.ListShardsInput{StreamARN: aws.String(string(p.Stream))}
	for range mostShardPages {
		out, err := d.kinesis.ListShards(ctx, in)
		if err != nil {
			return false, fmt.Errorf("list the shards of %s: %w", p.Stream.Name(), err)
		}
		for _, s := range out.Shards {
			if aws.ToString(s.ShardId) == p.Shard {
				return true, nil
			}
		}
		if out.NextToken == nil {
			return false, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
	return false, fmt.Errorf("list the shards of %s: more than %d pages", p.Stream.Name(), mostShardPages)
}

func (d *Desk) resolveObject(ctx context.Context, p ops.Pointer) (Range, error) {
	r := Range{Pointer: p}
	out, err := d.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.Bucket, Key: &p.Key})
	if objectGone(err) {
		r.Gone, r.Why = true, fmt.Sprintf("the object is not in bucket %s any more", p.Bucket)
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("look at an object in bucket %s: %w", p.Bucket, err)
	}
	r.Bytes = aws.ToInt64(out.ContentLength)
	return r, nil
}

// objectGone: HEAD has no body, so its error has no code of its own but NotFound.
func objectGone(err error) bool {
	var (
		head   *s3types.NotFound
		object *s3types.NoSuchKey
		bucket *s3types.NoSuchBucket
	)
	return errors.As(err, &head) || errors.As(err, &object) || errors.As(err, &bucket)
}

// Fetch reads the data. It changes nothing; on a stream it takes from the reads
// that the shard's consumers share, two a second at most.
func (d *Desk) Fetch(ctx context.Context, p ops.Pointer) (Range, error) {
	r, err := d.Resolve(ctx, p)
	if err != nil || r.Gone {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	switch p.Kind {
	case ops.KinesisRange:
		return d.fetchStream(ctx, r)
	case ops.S3Object:
		return d.fetchObject(ctx, r)
	}
	return r, nil // Why says why not
}

func (d *Desk) fetchObject(ctx context.Context, r Range) (_ Range, err error) {
	p := r.Pointer
	out, err := d.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.Bucket, Key: &p.Key})
	if objectGone(err) {
		r.Gone, r.Why = true, fmt.Sprintf("the object is not in bucket %s any more", p.Bucket)
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read an object of bucket %s: %w", p.Bucket, err)
	}
	defer func() { err = errors.Join(err, out.Body.Close()) }()
	data, err := io.ReadAll(io.LimitReader(out.Body, mostRecordBytes))
	if err != nil {
		return r, fmt.Errorf("read an object of bucket %s: %w", p.Bucket, err)
	}
	r.Records = []Record{{Key: p.Key, At: aws.ToTime(out.LastModified), Data: data}}
	r.Complete = int64(len(data)) == aws.ToInt64(out.ContentLength)
	if !r.Complete {
		r.Why = fmt.Sprintf("the object has %d bytes, and only the first %d were read", aws.ToInt64(out.ContentLength), len(data))
	}
	return r, nil
}

func (d *Desk) fetchStream(ctx context.Context, r Range) (Range, error) {
	next, err := d.iteratorAt(ctx, r.Pointer, r.Pointer.From)
	if err != nil {
		return r, err
	}
	read := rangeReader{Range: r}
	for range mostReads {
		out, err := d.kinesis.GetRecords(ctx, &kinesis.GetRecordsInput{StreamARN: aws.String(string(r.Pointer.Stream)), ShardIterator: next})
		var expired *types.ExpiredIteratorException
		if errors.As(err, &expired) && len(read.Records) > 0 {
			if next, err = d.iteratorAt(ctx, r.Pointer, read.Records[len(read.Records)-1].Sequence); err != nil {
				return read.Range, err
			}
			continue // the last record comes again; take passes over it
		}
		if err != nil {
			return read.Range, fmt.Errorf("read back from %s: %w", r.Pointer.Stream.Name(), err)
		}
		atTip := len(out.Records) == 0 && aws.ToInt64(out.MillisBehindLatest) == 0
		if read.take(out.Records) || atTip || out.NextShardIterator == nil {
			return read.done(), nil
		}
		next = out.NextShardIterator
	}
	read.Why = fmt.Sprintf("the end was not reached in %d reads", mostReads)
	return read.Range, nil
}

// iteratorAt begins at a record. Where that record is trimmed, AWS may refuse or
// begin at a later one (it is not documented which): a refusal becomes a start at
// the oldest record there is, and done() says what is missing.
func (d *Desk) iteratorAt(ctx context.Context, p ops.Pointer, sequence string) (*string, error) {
	in := &kinesis.GetShardIteratorInput{
		StreamARN: aws.String(string(p.Stream)), ShardId: &p.Shard,
		ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &sequence,
	}
	out, err := d.kinesis.GetShardIterator(ctx, in)
	var refused *types.InvalidArgumentException
	if errors.As(err, &refused) {
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeTrimHorizon, nil
		out, err = d.kinesis.GetShardIterator(ctx, in)
	}
	if err != nil {
		return nil, fmt.Errorf("find a record in %s of %s: %w", p.Shard, p.Stream.Name(), err)
	}
	return out.ShardIterator, nil
}

// rangeReader collects the records of a pointer.
type rangeReader struct {
	Range
	bytes int
	past  bool // the end of the range was reached
}

// take adds a page and reports whether no more is needed.
func (r *rangeReader) take(page []types.Record) (enough bool) {
	for _, x := range page {
		sequence := aws.ToString(x.SequenceNumber)
		if before(sequence, r.Pointer.From) || len(r.Records) > 0 && !before(r.Records[len(r.Records)-1].Sequence, sequence) {
			continue
		}
		if before(r.Pointer.To, sequence) {
			r.past = true
			return true
		}
		if len(r.Records) == mostRecords || r.bytes+len(x.Data) > mostRecordBytes {
			r.Why = fmt.Sprintf("only the first %d records were read: the range is larger than %d records or %d MiB", len(r.Records), mostRecords, mostRecordBytes>>20)
			return true
		}
		r.bytes += len(x.Data)
		r.Records = append(r.Records, Record{Sequence: sequence, Key: aws.ToString(x.PartitionKey), At: aws.ToTime(x.ApproximateArrivalTimestamp), Data: x.Data})
		if sequence == r.Pointer.To {
			r.past = true
			return true
		}
	}
	return false
}

// done judges what was read against what the pointer promised.
func (r *rangeReader) done() Range {
	p, n := r.Pointer, len(r.Records)
	switch {
	case n == 0:
		r.Gone, r.Why = true, fmt.Sprintf("none of the records is in %s any more: they were trimmed", p.Stream.Name())
	case r.Records[0].Sequence != p.From:
		r.Why = fmt.Sprintf("only %s the end of the range %s still there: the first records were trimmed", count(n, "record"), isAre(n))
	case r.Records[n-1].Sequence != p.To && r.Why == "":
		r.Why = "the last record of the range was not found"
	default:
		r.Complete = r.Records[n-1].Sequence == p.To
		if r.Complete {
			r.Why = ""
		}
	}
	return r.Range
}

// before compares sequence numbers as what they are: integers of up to 128 digits.
func before(a, b string) bool {
	x, okX := new(big.Int).SetString(a, 10)
	y, okY := new(big.Int).SetString(b, 10)
	return okX && okY && x.Cmp(y) < 0
}

// mostEvent is the largest payload of a synchronous Invoke, in bytes (Lambda quotas).
const mostEvent = 6 << 20

// kinesisEvent is the event that Lambda would give to a function for records of a
// shard (LDG with-kinesis). role is the function's execution role.
func kinesisEvent(p ops.Pointer, role string, records []Record) ([]byte, error) {
	type kinesisRecord struct {
		Schema   string  `json:"kinesisSchemaVersion"`
		Key      string  `json:"partitionKey"`
		Sequence string  `json:"sequenceNumber"`
		Data     string  `json:"data"`
		Arrived  float64 `json:"approximateArrivalTimestamp"` // s
	}
	type record struct {
		Kinesis   kinesisRecord `json:"kinesis"`
		Source    string        `json:"eventSource"`
		Version   string        `json:"eventVersion"`
		ID        string        `json:"eventID"`
		Name      string        `json:"eventName"`
		Role      string        `json:"invokeIdentityArn"`
		Region    string        `json:"awsRegion"`
		SourceARN ops.ARN       `json:"eventSourceARN"`
	}
	event := struct{ Records []record }{make([]record, 0, len(records))}
	for _, r := range records {
		event.Records = append(event.Records, record{
			Kinesis: kinesisRecord{"1.0", r.Key, r.Sequence, base64.StdEncoding.EncodeToString(r.Data), float64(r.At.UnixMilli()) / 1000},
			Source:  "aws:kinesis", Version: "1.0", ID: p.Shard + ":" + r.Sequence, Name: "aws:kinesis:record",
			Role: role, Region: p.Stream.Region(), SourceARN: p.Stream,
		})
	}
	body, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("make the event of %d records: %w", len(records), err)
	}
	if len(body) > mostEvent {
		return nil, fmt.Errorf("make the event of %d records: %d bytes, and Lambda takes %d", len(records), len(body), mostEvent)
	}
	return body, nil
}

// savedRecord is one line of a saved range.
type savedRecord struct {
	Schema   string    `json:"schema"`
	Stream   ops.ARN   `json:"stream,omitempty"`
	Shard    string    `json:"shard,omitempty"`
	Sequence string    `json:"sequence_number,omitempty"`
	Bucket   string    `json:"bucket,omitempty"`
	Key      string    `json:"key"`
	At       time.Time `json:"arrived"`
	Data     []byte    `json:"data"` // base64
}

// RecordSchema is the version of a saved record.
const RecordSchema = "kxops/record/v1"

// ArchiveRange saves what was fetched as JSON lines, before it is trimmed. The
// file is the owner's alone and must not exist; it is durable when this returns.
func (d *Desk) ArchiveRange(r Range, path string) (err error) {
	if len(r.Records) == 0 {
		return errors.New("save the records: none were fetched")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save the records: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil { // half a file must not pass for the whole
			err = errors.Join(fmt.Errorf("save the records: %w", err), os.Remove(path))
		}
	}()
	lines := json.NewEncoder(f)
	for _, x := range r.Records {
		p := r.Pointer
		if err := lines.Encode(savedRecord{RecordSchema, p.Stream, p.Shard, x.Sequence, p.Bucket, x.Key, x.At, x.Data}); err != nil {
			return err
		}
	}
	return f.Sync()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func span(d time.Duration) string { return ops.Span(d.Seconds()) }
