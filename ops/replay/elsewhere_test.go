package replay

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// TestReplaysElsewhere replays on the emulators that KXOPS_CONFORMANCE names (see
// .ci/emulators.sh): an archive to a stream, that stream to another and to a queue, each
// proven, and counted by clients of the test's own.
func TestReplaysElsewhere(t *testing.T) {
	serves := map[string]struct{ objects, queues, fanOut bool }{"moto": {objects: true, queues: true}, "ministack": {true, true, true}, "kinesis-local": {}}
	tried := 0
	for _, pair := range strings.FieldsFunc(os.Getenv("KXOPS_CONFORMANCE"), func(r rune) bool { return r == ',' || r == ' ' }) {
		name, endpoint, _ := strings.Cut(pair, "=")
		has, ok := serves[name]
		if !ok {
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			w := elsewhere(t, endpoint)
			id := fmt.Sprintf("replay-%d", time.Now().UnixNano())
			for _, s := range []string{id, id + "-again"} {
				w.streamThere(s)
			}
			want := map[string][]string{}
			var lines []string
			for n := range 300 {
				key := fmt.Sprintf("c%d", n%11)
				body := fmt.Sprintf(`{"customer":%q,"n":%d}`, key, n)
				want[key], lines = append(want[key], body), append(lines, body)
			}
			if has.objects {
				w.bucket(id)
				for part := range 3 {
					key := fmt.Sprintf("in/%d.gz", part)
					_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &id, Key: &key, Body: strings.NewReader(string(packed(t, "gzip", []byte(strings.Join(lines[100*part:100*part+100], "\n")))))})
					w.must(err)
				}
				w.replayThere(ops.ReplayAsk{From: "archive:" + id + "/in/", To: "stream:" + id, Map: ops.ReplayMap{Key: ".customer"}, Lanes: 3}, 300)
			} else {
				for _, body := range lines {
					key, _, _ := strings.Cut(strings.TrimPrefix(body, `{"customer":"`), `"`)
					_, err := w.kinesis.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &id, PartitionKey: &key, Data: []byte(body)})
					w.must(err)
				}
			}
			if diff := cmp.Diff(want, w.shelved(id)); diff != "" {
				t.Error(diff)
			}
			w.replayThere(ops.ReplayAsk{From: "stream:" + id, To: "stream:" + id + "-again", Lanes: 3}, 300)
			if diff := cmp.Diff(want, w.shelved(id+"-again")); diff != "" {
				t.Error(diff)
			}
			if has.fanOut {
				to := id + "-pushed"
				w.streamThere(to)
				w.replayThere(ops.ReplayAsk{From: "stream:" + id, To: "stream:" + to, FanOut: true, Lanes: 3}, 300)
				if diff := cmp.Diff(want, w.shelved(to)); diff != "" {
					t.Error(diff)
				}
			}
			if has.queues {
				url := w.queue(id)
				w.replayThere(ops.ReplayAsk{From: "stream:" + id, To: "queue:" + id, Select: ops.ReplaySelect{Filter: `.customer == "c4"`}}, len(want["c4"]))
				if bodies, _ := w.drain(url); !cmp.Equal(sorted(bodies), sorted(want["c4"])) {
					t.Errorf("%d at the queue", len(bodies))
				}
			}
		})
	}
	if tried == 0 {
		t.Skip("KXOPS_CONFORMANCE names no emulator of Kinesis")
	}
}

// elsewhere is a world that nobody here made.
func elsewhere(t *testing.T, endpoint string) *world {
	t.Helper()
	cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test", "")}
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &cfg, NoQuotas: true, Access: cloud.Change})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, kinesis: kinesis.NewFromConfig(cfg), firehose: firehose.NewFromConfig(cfg), sqs: sqs.NewFromConfig(cfg),
		s3: s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })}
	j, err := journal.Open(t.TempDir())
	w.must(err)
	w.desk = New(Options{Config: door.Config(), Identity: ops.Identity{Account: "000000000000", Region: "eu-west-1"}, Journal: j, Explain: door.Explain})
	w.desk.polls, w.desk.page, w.desk.slack = 50, 100, 100*time.Millisecond // nobody waits a minute for records that nobody sends
	return w
}

func (w *world) streamThere(name string) {
	w.Helper()
	_, err := w.kinesis.CreateStream(w.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(2)})
	w.must(err)
	for range 100 {
		out, err := w.kinesis.DescribeStreamSummary(w.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		w.must(err)
		if out.StreamDescriptionSummary.StreamStatus == kinesistypes.StreamStatusActive {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	w.Fatalf("%s does not become active", name)
}

// replayThere plans, applies and proves.
func (w *world) replayThere(ask ops.ReplayAsk, want int) {
	w.Helper()
	plan := w.plan(ask)
	r := started(w, w.desk, plan).Wait()
	if r.State != ops.Finished || r.Counts.Sent != int64(want) || r.Bound != 0 {
		w.Fatalf("%s to %s: %+v %v", ask.From, ask.To, r, r.Problem)
	}
	w.proven(plan.ID)
}
