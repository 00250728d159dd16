package labs

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Balance is where the events are that were sent: an account of all of them.
type Balance struct {
	Sent     int // by the ledger
	Rejected int // the front door turned them away: the sender knows
	Accepted int
	Unsure   int // no answer or a server error: they may have got in

	Processed int // noted by the processing function
	Errors    int // in the error prefix of the delivery
	Dead      int // in the dead-letter queue
	Waiting   int // in the work queue
	// Missing are the accepted ids that are neither processed nor in the error
	// prefix: dead letters, or on their way, or lost.
	Missing []string
	Partial []string // what could not be read
}

// Lost is how many accepted events are in no place that was looked at. While
// events are on their way it is more than zero: look again.
func (b Balance) Lost() int { return max(0, len(b.Missing)-b.Dead) }

// Whole reports that every accepted event is accounted for.
func (b Balance) Whole() bool { return len(b.Partial) == 0 && b.Lost() == 0 && b.Waiting == 0 }

// Check counts where the events of a ledger are. It reads the table, the error
// prefix and the depths of the queues; it receives no message.
func (s *Stack) Check(ctx context.Context, ledger []Sent) (Balance, error) {
	out, err := s.Outputs(ctx)
	if err != nil {
		return Balance{}, err
	}
	var b Balance
	accepted := map[string]bool{}
	for _, e := range ledger {
		b.Sent++
		switch {
		case e.Accepted():
			b.Accepted++
			accepted[e.ID] = true
		case e.Unknown():
			b.Unsure++
		default:
			b.Rejected++
		}
	}
	partial := func(what string, err error) {
		if err != nil {
			b.Partial = append(b.Partial, what+": "+err.Error())
		}
	}
	var done map[string]bool
	if table := out["ProcessedTable"]; table != "" {
		done, err = s.processed(ctx, table)
		partial("the table of processed events", err)
	} else { // nothing processes: what is stored is at its end
		done, err = s.stored(ctx, out["StoreBucket"])
		partial("the event store", err)
	}
	if s.Lab.Accounts { // what is projected and not stored yet could not be replayed
		stored, err := s.stored(ctx, out["StoreBucket"])
		partial("the event store", err)
		maps.DeleteFunc(done, func(id string, _ bool) bool { return !stored[id] })
	}
	b.Processed = len(done)
	failed, err := s.errorRecords(ctx, out["StoreBucket"])
	partial("the error prefix", err)
	b.Errors = len(failed)
	if url := out["DeadLetterQueueUrl"]; url != "" {
		b.Dead, err = s.depth(ctx, url)
		partial("the dead-letter queue", err)
	}
	if url := out["WorkQueueUrl"]; url != "" {
		b.Waiting, err = s.depth(ctx, url)
		partial("the work queue", err)
	}
	for _, id := range slices.Sorted(maps.Keys(accepted)) {
		if !done[id] && !failed[id] {
			b.Missing = append(b.Missing, id)
		}
	}
	return b, nil
}

// processed lists the ids in the table.
func (s *Stack) processed(ctx context.Context, table string) (map[string]bool, error) {
	out := map[string]bool{}
	client := dynamodb.NewFromConfig(s.place.Config)
	in := &dynamodb.ScanInput{TableName: &table, ProjectionExpression: aws.String("#id"), ExpressionAttributeNames: map[string]string{"#id": "id"}, ConsistentRead: aws.Bool(true)}
	for {
		page, err := once(ctx, func(ctx context.Context) (*dynamodb.ScanOutput, error) { return client.Scan(ctx, in) })
		if err != nil {
			return out, err
		}
		for _, item := range page.Items {
			if id, ok := item["id"].(*dynamo.AttributeValueMemberS); ok {
				// Lab 3 keeps other rows in the same table; an event's has this prefix.
				if kind, rest, ok := strings.Cut(id.Value, "#"); !ok {
					out[id.Value] = true
				} else if kind == "event" {
					out[rest] = true
				}
			}
		}
		if len(page.LastEvaluatedKey) == 0 {
			return out, nil
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

// errorRecords lists the ids of the events that Firehose put into the error prefix.
func (s *Stack) errorRecords(ctx context.Context, bucket string) (map[string]bool, error) {
	return s.idsUnder(ctx, bucket, "errors/", true)
}

// stored lists the ids of the events in the event store.
func (s *Stack) stored(ctx context.Context, bucket string) (map[string]bool, error) {
	return s.idsUnder(ctx, bucket, "events/", false)
}

func (s *Stack) idsUnder(ctx context.Context, bucket, prefix string, failed bool) (map[string]bool, error) {
	out := map[string]bool{}
	return out, s.eachObject(ctx, bucket, prefix, func(key string, d *json.Decoder) error {
		ids, err := idsIn(d, failed)
		for n, id := range ids {
			if id == "" {
				id = key + "#" + strconv.Itoa(n) // no event at all: still one record
			}
			out[id] = true
		}
		return err
	})
}

// idsIn reads the ids of an object's events, "" for what has none. failed says that
// they are Firehose's error records, with the original in rawData (Firehose
// developer guide, data delivery failure handling).
func idsIn(d *json.Decoder, failed bool) ([]string, error) {
	var out []string
	for {
		var e struct {
			ID      string `json:"id"`
			RawData []byte `json:"rawData"`
		}
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if failed && json.Unmarshal(e.RawData, &e) != nil {
			e.ID = ""
		}
		out = append(out, e.ID)
	}
}

// lastStored is when the last object was stored in the event store.
func (s *Stack) lastStored(ctx context.Context, bucket string) (time.Time, error) {
	var last time.Time
	pages := s3.NewListObjectsV2Paginator(s.store, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String("events/")})
	for pages.HasMorePages() {
		page, err := once(ctx, func(ctx context.Context) (*s3.ListObjectsV2Output, error) { return pages.NextPage(ctx) })
		if err != nil {
			return last, err
		}
		for _, o := range page.Contents {
			if t := aws.ToTime(o.LastModified); t.After(last) {
				last = t
			}
		}
	}
	return last, nil
}

// eachObject reads the objects under a prefix, unpacked, as JSON values.
func (s *Stack) eachObject(ctx context.Context, bucket, prefix string, read func(key string, d *json.Decoder) error) error {
	in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}
	for {
		page, err := once(ctx, func(ctx context.Context) (*s3.ListObjectsV2Output, error) { return s.store.ListObjectsV2(ctx, in) })
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			if err := s.object(ctx, bucket, *o.Key, read); err != nil {
				return fmt.Errorf("%s: %w", *o.Key, err)
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		in.ContinuationToken = page.NextContinuationToken
	}
}

func (s *Stack) object(ctx context.Context, bucket, key string, read func(key string, d *json.Decoder) error) error {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	got, err := s.store.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer got.Body.Close()
	buffered := bufio.NewReader(got.Body)
	body := io.Reader(buffered)
	if head, err := buffered.Peek(2); err == nil && bytes.Equal(head, []byte{0x1f, 0x8b}) {
		if body, err = gzip.NewReader(buffered); err != nil {
			return err
		}
	}
	return read(key, json.NewDecoder(body))
}

// depth is how many messages a queue holds, those in flight and delayed too.
func (s *Stack) depth(ctx context.Context, url string) (int, error) {
	client := sqs.NewFromConfig(s.place.Config)
	got, err := once(ctx, func(ctx context.Context) (*sqs.GetQueueAttributesOutput, error) {
		return client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	})
	if err != nil {
		return 0, err
	}
	sum := 0
	for name, v := range got.Attributes {
		if !strings.HasPrefix(name, "ApproximateNumberOfMessages") {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return 0, fmt.Errorf("%s is %q", name, v)
		}
		sum += n
	}
	return sum, nil
}
