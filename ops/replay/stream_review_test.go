package replay

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// aggregated is an aggregate of the Kinesis Producer Library: pairs of key and body.
func aggregated(pairs ...[2]string) []byte {
	field := func(m []byte, n byte, data []byte) []byte {
		return append(binary.AppendUvarint(append(m, n<<3|2), uint64(len(data))), data...)
	}
	var m []byte
	for _, p := range pairs {
		m = field(m, 1, []byte(p[0]))
	}
	for i, p := range pairs {
		m = field(m, 3, field(binary.AppendUvarint([]byte{1 << 3}, uint64(i)), 3, []byte(p[1])))
	}
	sum := md5.Sum(m)
	return append(append([]byte{0xf3, 0x89, 0x9a, 0xc2}, m...), sum[:]...)
}

// keysOfHalf are keys whose hash lies in the upper or the lower half of the range.
func keysOfHalf(upper bool, n int) []string {
	var out []string
	for i := 0; len(out) < n; i++ {
		k := fmt.Sprintf("k%d", i)
		if sum := md5.Sum([]byte(k)); (sum[0] >= 0x80) == upper {
			out = append(out, k)
		}
	}
	return out
}

// A key that the service will not let kxops use is about the stream, not about a record.
func TestAKeyThatIsOffStopsTheReplay(t *testing.T) {
	w := newWorld(t)
	for _, code := range []string{"KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired"} {
		err := &smithy.OperationError{ServiceID: "Kinesis", OperationName: "PutRecords", Err: &smithy.GenericAPIError{Code: code, Message: "no"}}
		if a := w.desk.answerAll(1, err)[0]; a.Stop == nil || a.Fate == Refused {
			t.Errorf("%s: fate %d, stop %v", code, a.Fate, a.Stop)
		}
	}
}

// An aggregate lies where the key of its first record belongs; the others may belong elsewhere.
func TestAKeyInsideAnAggregateOfAnotherShard(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 2)
	low, high := keysOfHalf(false, 1)[0], keysOfHalf(true, 1)[0]
	_, err := w.kinesis.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: &low, Data: aggregated([2]string{low, "one"}, [2]string{high, "two"})})
	w.must(err)
	w.put("orders", high, 1)
	w.sb.Advance(10 * time.Minute)
	w.ticking()
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "null:", Select: ops.ReplaySelect{Keys: []string{high}}})
	r := started(t, w.desk, plan).Wait()
	if r.Counts.Sent != 2 {
		t.Errorf("%s: sent %d of 2; %d of 2 shards read; facts %+v", r.State, r.Counts.Sent, len(plan.Parts), plan.Facts)
	}
}

// What falls out of the retention while a replay is paused is not left out in silence.
func TestAPauseLongerThanTheRetention(t *testing.T) {
	w := newWorld(t)
	w.desk.page = 10
	w.stream("orders", 1)
	for n := range 200 {
		w.put("orders", "c", n)
	}
	w.sb.Advance(10 * time.Minute)
	w.queue("again")
	w.ticking()
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Rate: 20})
	o := started(t, w.desk, plan)
	for o.Progress().Counts.Sent == 0 {
		select {
		case <-o.Done():
			t.Fatalf("%+v", o.Wait())
		case <-time.After(5 * time.Millisecond):
		}
	}
	o.Pause()
	before := o.Wait()
	if before.State != ops.Paused || before.Counts.Sent == 200 {
		t.Fatalf("%+v", before)
	}
	w.sb.Advance(25 * time.Hour)
	o, err := w.desk.Resume(t.Context(), plan.ID)
	if err != nil {
		t.Logf("said: %v", err)
		return
	}
	if r := o.Wait(); r.State == ops.Finished && r.Counts.Sent != 200 {
		proof, err := w.desk.Verify(t.Context(), plan.ID)
		w.must(err)
		t.Errorf("finished with %d of 200 sent (%d before the pause), note %q, problem %v, next %q, checks %+v", r.Counts.Sent, before.Counts.Sent, r.Note, r.Problem, r.Next, proof.Checks)
	}
}

// Reading goes on from every place with exactly the rest, over aggregates and iterators
// that expire between two pages.
func TestAShardGoesOnFromEveryPlace(t *testing.T) {
	w := newWorld(t)
	w.desk.page = 3
	w.stream("orders", 1)
	for n := range 10 {
		w.put("orders", "c", n)
		_, err := w.kinesis.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: aws.String("outer"), Data: aggregated([2]string{"a", fmt.Sprint("a", n)}, [2]string{"b", fmt.Sprint("b", n)})})
		w.must(err)
	}
	w.sb.Advance(10 * time.Minute)
	w.ticking()
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "null:"})
	read := func(after string, expire bool) (ids, places []string) {
		err := streamSource{desk: w.desk}.read(t.Context(), plan, 0, after, func(p Page) error {
			for _, r := range p.Records {
				ids = append(ids, r.ID+" "+r.Key+" "+string(r.Data))
			}
			places = append(places, fmt.Sprint(p.Place, " ", len(ids)))
			if expire {
				w.sb.Advance(6 * time.Minute)
			}
			return nil
		})
		w.must(err)
		return ids, places
	}
	all, places := read("", true)
	if len(all) != 30 || len(places) < 5 {
		t.Fatalf("%d records in %d pages", len(all), len(places))
	}
	for _, p := range places {
		var place string
		var n int
		if _, err := fmt.Sscan(p, &place, &n); err != nil {
			t.Fatal(err)
		}
		rest, _ := read(place, false)
		if diff := cmp.Diff(append([]string{}, all[n:]...), append([]string{}, rest...)); diff != "" {
			t.Errorf("after %d: %s", n, diff)
		}
	}
}

// Each record of a request has its own answer.
func TestARequestOfWhichAPartFails(t *testing.T) {
	for code, want := range map[string]Fate{"": Taken, "ProvisionedThroughputExceededException": Busy, "InternalFailure": Unsure} {
		r := kinesistypes.PutRecordsResultEntry{ShardId: aws.String("s"), SequenceNumber: aws.String("1")}
		if code != "" {
			r = kinesistypes.PutRecordsResultEntry{ErrorCode: &code}
		}
		if got := streamAnswer(r).Fate; got != want {
			t.Errorf("%q: %d, not %d", code, got, want)
		}
	}
	w := newWorld(t)
	if a := w.desk.answerAll(1, fmt.Errorf("send: %w", context.Canceled))[0]; a.Fate == Refused {
		t.Errorf("a request that was cancelled in the air is refused for good: %+v", a)
	}
}
