package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/journal"
	"kxops/ops/payload"
)

// stream makes a stream of one shard with records, and a pointer at all of them.
func (s *scene) stream(name string, data ...string) ops.Pointer {
	s.Helper()
	k := kinesis.NewFromConfig(s.sb.Config())
	_, err := k.CreateStream(s.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(1)})
	s.must(err)
	s.sb.Advance(time.Minute)
	p := ops.Pointer{Kind: ops.KinesisRange, Stream: s.arn("kinesis", "stream/"+name), Records: len(data), First: s.sb.Now()}
	for i, d := range data {
		if i > 0 {
			s.sb.Advance(time.Minute)
		}
		out, err := k.PutRecord(s.Context(), &kinesis.PutRecordInput{StreamName: &name, PartitionKey: aws.String("k"), Data: []byte(d)})
		s.must(err)
		p.Shard, p.To = aws.ToString(out.ShardId), aws.ToString(out.SequenceNumber)
		if i == 0 {
			p.From = p.To
		}
	}
	p.Last = s.sb.Now()
	s.sb.Advance(time.Minute)
	return p
}

func dataOf(r Range) (all []string) {
	for _, x := range r.Records {
		all = append(all, string(x.Data))
	}
	return all
}

func (s *scene) fetch(p ops.Pointer) Range {
	s.Helper()
	stop := (&bench{Sandbox: s.sb, t: s.T}).tick(200 * time.Millisecond) // five reads a second, and the clock is a test's
	defer stop()
	r, err := s.desk.Fetch(s.Context(), p)
	s.must(err)
	return r
}

func TestARangeIsReadBackExactly(t *testing.T) {
	s := newScene(t, "")
	all := s.stream("payments", "zero", "one", "two", "three", "four")
	whole := s.fetch(all)
	if d := cmp.Diff([]string{"zero", "one", "two", "three", "four"}, dataOf(whole)); d != "" || !whole.Complete || whole.Why != "" {
		t.Errorf("complete %v (%s): %s", whole.Complete, whole.Why, d)
	}
	middle := all
	middle.From, middle.To = whole.Records[1].Sequence, whole.Records[3].Sequence
	r := s.fetch(middle)
	if d := cmp.Diff([]string{"one", "two", "three"}, dataOf(r)); d != "" || !r.Complete {
		t.Errorf("complete %v (%s): %s", r.Complete, r.Why, d)
	}
	// An end that is no record: what comes after it is not of the range.
	middle.To = middle.To[:len(middle.To)-1] + string(middle.To[len(middle.To)-1]+1)
	if r := s.fetch(middle); len(r.Records) != 3 || r.Complete || !strings.Contains(r.Why, "the last record of the range was not found") {
		t.Errorf("an end between two records: %d records, complete %v (%s)", len(r.Records), r.Complete, r.Why)
	}
	if r.Records[0].Key != "k" || r.Records[0].At.IsZero() {
		t.Errorf("record %+v", r.Records[0])
	}
}

func TestHowLongARangeIsThere(t *testing.T) {
	s := newScene(t, "")
	p := s.stream("payments", "zero", "one", "two", "three", "four")
	resolve := func() Range {
		t.Helper()
		r, err := s.desk.Resolve(t.Context(), p)
		s.must(err)
		return r
	}
	if r := resolve(); r.Gone || r.Why != "" || !r.TrimsAt.Equal(p.First.Add(24*time.Hour)) {
		t.Errorf("%+v, want a first trim 24 h after %s", r, p.First)
	}
	s.sb.Advance(p.First.Add(24*time.Hour + 90*time.Second).Sub(s.sb.Now())) // two of five are trimmed
	if r := resolve(); r.Gone || !strings.Contains(r.Why, "the first of these records were trimmed") {
		t.Errorf("half trimmed: %+v", r)
	}
	r := s.fetch(p)
	if d := cmp.Diff([]string{"two", "three", "four"}, dataOf(r)); d != "" || r.Complete || r.Gone || !strings.Contains(r.Why, "only 3 records the end of the range") && !strings.Contains(r.Why, "first records were trimmed") {
		t.Errorf("half trimmed: complete %v, gone %v (%s): %s", r.Complete, r.Gone, r.Why, d)
	}
	s.sb.Advance(10 * time.Minute)
	if r := resolve(); !r.Gone || !strings.Contains(r.Why, "keeps records for 1d") {
		t.Errorf("all trimmed: %+v", r)
	}
	// Without arrival times only the stream itself can say it.
	p.First, p.Last = time.Time{}, time.Time{}
	if r := s.fetch(p); !r.Gone || len(r.Records) > 0 {
		t.Errorf("all trimmed, arrival unknown: %+v", r)
	}
	p.Stream = s.arn("kinesis", "stream/none")
	if r := resolve(); !r.Gone || !strings.Contains(r.Why, "does not exist") {
		t.Errorf("no stream: %+v", r)
	}
}

func TestPointersThatLeadNowhere(t *testing.T) {
	s := newScene(t, "")
	p := s.stream("payments", "zero")
	for name, edit := range map[string]func(*ops.Pointer){
		"another region": func(p *ops.Pointer) {
			p.Stream = ops.ARN(strings.Replace(string(p.Stream), "eu-west-1", "us-east-1", 1))
		},
		"no number":          func(p *ops.Pointer) { p.From = "LATEST" },
		"no shard":           func(p *ops.Pointer) { p.Shard = "" },
		"of an unknown kind": func(p *ops.Pointer) { p.Kind = "tape" },
	} {
		bad := p
		edit(&bad)
		if _, err := s.desk.Resolve(t.Context(), bad); err == nil {
			t.Errorf("%s was followed", name)
		}
	}
	p.Shard = "shardId-000000000077"
	if r, err := s.desk.Resolve(t.Context(), p); err != nil || !r.Gone || !strings.Contains(r.Why, "not listed any more") {
		t.Errorf("a shard that is not there: %+v, %v", r, err)
	}
	table := ops.Pointer{Kind: ops.DynamoDBRange, Stream: "arn:aws:dynamodb:eu-west-1:1:table/t/stream/x", First: s.sb.Now(), Last: s.sb.Now()}
	r, err := s.desk.Fetch(t.Context(), table)
	if err != nil || r.Gone || r.Complete || !strings.Contains(r.Why, "cannot read DynamoDB Streams") || !r.TrimsAt.Equal(table.First.Add(24*time.Hour)) {
		t.Errorf("a table's stream: %+v, %v", r, err)
	}
	s.sb.Advance(25 * time.Hour)
	if r, err := s.desk.Resolve(t.Context(), table); err != nil || !r.Gone {
		t.Errorf("a table's stream, a day later: %+v, %v", r, err)
	}
}

func TestAnObjectBehindAPointer(t *testing.T) {
	s := newScene(t, "")
	objects := s3.NewFromConfig(s.sb.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("large"),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: sandbox.HomeRegion}})
	s.must(err)
	_, err = objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("large"), Key: aws.String("a b"), Body: strings.NewReader("payload")})
	s.must(err)
	p := ops.Pointer{Kind: ops.S3Object, Bucket: "large", Key: "a b"}
	r, err := s.desk.Fetch(t.Context(), p)
	if err != nil || !r.Complete || string(r.Records[0].Data) != "payload" || r.Bytes != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	p.Key = "gone"
	if r, err := s.desk.Fetch(t.Context(), p); err != nil || !r.Gone {
		t.Errorf("an object that is gone: %+v, %v", r, err)
	}
	p.Bucket = "none"
	if r, err := s.desk.Resolve(t.Context(), p); err != nil || !r.Gone {
		t.Errorf("a bucket that is gone: %+v, %v", r, err)
	}
}

func TestRecordsAreSavedBeforeTheyAreTrimmed(t *testing.T) {
	s := newScene(t, "")
	r := s.fetch(s.stream("payments", "zero", "\x00\xff one"))
	path := filepath.Join(t.TempDir(), "records.jsonl")
	s.must(s.desk.ArchiveRange(r, path))
	info, err := os.Stat(path)
	s.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	s.must(err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines {
		var x savedRecord
		s.must(json.Unmarshal([]byte(line), &x))
		if want := r.Records[i]; x.Schema != RecordSchema || x.Stream != r.Pointer.Stream || x.Sequence != want.Sequence || string(x.Data) != string(want.Data) || !x.At.Equal(want.At) {
			t.Errorf("line %d is %+v", i, x)
		}
	}
	if err := s.desk.ArchiveRange(r, path); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(text) {
		t.Error("the existing file was changed")
	}
	if err := s.desk.ArchiveRange(Range{}, filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("nothing was saved without a word")
	}
}

// failing makes a function that fails on events for which bad says so; it returns
// how often it ran.
func (s *scene) failing(name string, bad func(data []string) error) (arn ops.ARN, runs *int) {
	s.Helper()
	arn, runs = s.function(name), new(int)
	s.sb.Handler(name, func(_ context.Context, event []byte) ([]byte, error) {
		*runs++
		var e struct {
			Records []struct {
				Kinesis struct {
					Data           []byte
					SequenceNumber string
				}
				EventSource, EventSourceARN, AwsRegion, EventID string
			}
		}
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		var data []string
		for _, r := range e.Records {
			if r.EventSource != "aws:kinesis" || r.AwsRegion != sandbox.HomeRegion || !strings.HasSuffix(r.EventID, ":"+r.Kinesis.SequenceNumber) {
				return nil, fmt.Errorf("not the event of a stream: %+v", r)
			}
			data = append(data, string(r.Kinesis.Data))
		}
		return nil, bad(data)
	})
	return arn, runs
}

func (s *scene) poison(p ops.Pointer) (Record, string, error) {
	s.Helper()
	stop := (&bench{Sandbox: s.sb, t: s.T}).tick(200 * time.Millisecond)
	defer stop()
	var said []string
	r, err := s.desk.Poison(s.Context(), p, func(word string) { said = append(said, word) })
	return r, strings.Join(said, "\n"), err
}

func contains(data []string, bad string) error {
	for _, d := range data {
		if strings.Contains(d, bad) {
			return &sandbox.FunctionError{Type: "LedgerError", Message: "no amount"}
		}
	}
	return nil
}

func TestThePoisonRecordIsFound(t *testing.T) {
	s := newScene(t, "")
	data := make([]string, 13)
	for i := range data {
		data[i] = fmt.Sprintf("record %02d", i)
	}
	p := s.stream("payments", data...)
	for _, bad := range []int{0, 5, 6, 12} {
		var runs *int
		p.Function, runs = s.failing(fmt.Sprintf("ledger-%d", bad), func(d []string) error { return contains(d, data[bad]) })
		r, said, err := s.poison(p)
		if err != nil || string(r.Data) != data[bad] {
			t.Errorf("bad %d: found %q, %v", bad, r.Data, err)
		}
		if most := mostRuns(13); *runs > most || most != 9 {
			t.Errorf("bad %d: %d runs, at most %d were announced", bad, *runs, most)
		}
		if !strings.Contains(said, "runs again on these records, up to 9 times") || !strings.Contains(said, "LedgerError: no amount") {
			t.Errorf("said %s", said)
		}
	}
}

func TestNoSinglePoisonRecord(t *testing.T) {
	s := newScene(t, "")
	p := s.stream("payments", "a", "b", "c", "d")
	p.Function, _ = s.failing("fixed", func([]string) error { return nil })
	if _, _, err := s.poison(p); !errors.Is(err, ErrNoPoison) {
		t.Errorf("a fixed function: %v", err)
	}
	p.Function, _ = s.failing("together", func(d []string) error {
		if text := strings.Join(d, ""); strings.Contains(text, "a") && strings.Contains(text, "c") {
			return errors.New("both")
		}
		return nil
	})
	if _, _, err := s.poison(p); !errors.Is(err, ErrTogether) || !strings.Contains(err.Error(), "4 records") {
		t.Errorf("a combination: %v", err)
	}
}

func TestAFunctionThatNamesTheRecordItself(t *testing.T) {
	s := newScene(t, "")
	p := s.stream("payments", "a", "b", "c", "d")
	third := s.fetch(p).Records[2].Sequence
	p.Function = s.function("polite")
	runs := 0
	s.sb.Handler("polite", func(context.Context, []byte) ([]byte, error) {
		runs++
		return []byte(`{"batchItemFailures":[{"itemIdentifier":"` + third + `"}]}`), nil
	})
	r, _, err := s.poison(p)
	if err != nil || string(r.Data) != "c" || runs != 1 {
		t.Errorf("found %q in %d runs, %v", r.Data, runs, err)
	}
}

// A run is an act: it is in the journal before it happens, and the gate can refuse it.
func TestRunningAFunctionIsRecorded(t *testing.T) {
	s := newScene(t, "")
	p := s.stream("payments", "a", "b")
	p.Function, _ = s.failing("ledger", func(d []string) error { return contains(d, "b") })
	j, err := journal.Open(t.TempDir())
	s.must(err)
	s.desk.o.Journal = j
	_, _, err = s.poison(p)
	s.must(err)
	entries, err := j.Entries(0)
	s.must(err)
	if len(entries) != 2 || entries[0].Outcome != journal.Started || entries[1].Outcome != journal.Done || entries[0].ID != entries[1].ID || entries[1].Calls != 3 {
		t.Errorf("journal %+v", entries)
	}

	b := &bench{Sandbox: s.sb, t: t}
	b.reopen(0) // look
	p.Kind = ops.KinesisRange
	if _, err := b.desk.Poison(t.Context(), p, nil); err == nil {
		t.Error("a session that may only look ran a function")
	}
}

// The pointers of the demo: what fraud-score could not score can be read back, and
// what it fails on is found.
func TestTheIncidentsPointers(t *testing.T) {
	s := newScene(t, "incident")
	stop := (&bench{Sandbox: s.sb, t: t}).tick(200 * time.Millisecond)
	q, err := s.desk.Queue(t.Context(), "payments-failures")
	s.must(err)
	pile, err := s.desk.Look(t.Context(), q, Look{}, nil)
	stop()
	s.must(err)
	letters := pile.Letters()
	if len(letters) < 6 {
		t.Fatalf("%d pointers", len(letters))
	}
	m, _ := pile.Message(letters[len(letters)-1].ID)
	p := payload.Summary(payload.Peel(m)).Pointer
	r := s.fetch(*p)
	if !r.Complete || !strings.Contains(string(r.Records[0].Data), "XBT") {
		t.Errorf("%+v", r)
	}
	found, said, err := s.poison(*p)
	if err != nil || !strings.Contains(string(found.Data), "XBT") || !strings.Contains(said, "no exchange rate for XBT") {
		t.Errorf("found %q, %v: %s", found.Data, err, said)
	}
	out, err := s.code.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("fraud-score")})
	s.must(err)
	if p.Function.Unqualified() != ops.ARN(aws.ToString(out.FunctionArn)) {
		t.Errorf("the pointer names %s", p.Function)
	}
}
