package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

// stored is a record as AWS said where it is.
type storedRecord struct{ shard, sequence, body string }

// putMany puts n records into a stream, over all of its shards.
func (w *world) putMany(stream string, n int) map[string][]storedRecord {
	w.Helper()
	out := map[string][]storedRecord{}
	for i := range n {
		body := fmt.Sprintf(`{"n":%d}`, i)
		put, err := w.kinesis.PutRecord(w.Context(), &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: aws.String(fmt.Sprint("key-", i)), Data: []byte(body)})
		w.must(err)
		r := storedRecord{*put.ShardId, *put.SequenceNumber, body}
		out[r.shard] = append(out[r.shard], r)
	}
	return out
}

func bodiesOf(of []storedRecord) (out []string) {
	for _, r := range of {
		out = append(out, r.body)
	}
	return out
}

// What lies between two sequence numbers of a shard is sent, both ends too, and nothing else.
func TestARangeOfSequenceNumbers(t *testing.T) {
	w := newWorld(t)
	w.desk.page = 3
	w.stream("orders", 2)
	in := w.putMany("orders", 60)
	const shard = "shardId-000000000001"
	of := in[shard]
	n := len(of)
	if n < 12 || n == 60 {
		t.Fatalf("%d of 60 records in %s", n, shard)
	}
	w.sb.Advance(10 * time.Minute)
	w.ticking()
	for name, c := range map[string]struct {
		first, last string
		want        []storedRecord
	}{
		"a range":            {of[2].sequence, of[9].sequence, of[2:10]},
		"one record":         {of[5].sequence, of[5].sequence, of[5:6]},
		"from one on":        {of[n-4].sequence, "", of[n-4:]},
		"to one":             {"", of[3].sequence, of[:4]},
		"a shard":            {"", "", of},
		"beyond its end":     {of[n-2].sequence, of[n-1].sequence + "0", of[n-2:]},
		"the last of a page": {of[0].sequence, of[2].sequence, of[:3]},
	} {
		url := w.queue(strings.ReplaceAll("again "+name, " ", "-"))
		plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:" + strings.ReplaceAll("again "+name, " ", "-"),
			Select: ops.ReplaySelect{Shard: shard, First: c.first, Last: c.last}})
		if got := plan.Estimate.Matched.Or(-1); int(got) != len(c.want) {
			t.Errorf("%s: the plan expects %v, and %d are meant", name, got, len(c.want))
		}
		if plan.Risk == ops.HighRisk {
			t.Errorf("%s: the plan takes a range for everything", name)
		}
		if r := started(t, w.desk, plan).Wait(); r.State != ops.Finished {
			t.Fatalf("%s: %+v", name, r)
		}
		got, _ := w.drain(url)
		want := bodiesOf(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: sent %q, want %q", name, got, want)
		}
	}
}

// A plan says what is not there of its range.
func TestARangeThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	w.stream("others", 1)
	const shard = "shardId-000000000000"
	old := w.putMany("orders", 4)[shard]
	foreign := w.putMany("others", 1)[shard][0]
	w.sb.Advance(23 * time.Hour)
	young := w.putMany("orders", 3)[shard]
	w.sb.Advance(2 * time.Hour) // the old ones are trimmed: a day is kept
	w.queue("again")
	w.ticking()
	ask := func(shard, first, last string) ops.ReplayAsk {
		return ops.ReplayAsk{From: "stream:orders", To: "queue:again", Select: ops.ReplaySelect{Shard: shard, First: first, Last: last}}
	}

	plan := w.plan(ask(shard, old[1].sequence, young[1].sequence))
	if says := strings.Join(plan.Warnings, "\n"); !strings.Contains(says, "there is no record "+old[1].sequence) || !strings.Contains(says, young[0].sequence) {
		t.Errorf("the plan does not say that the beginning is gone: %q", says)
	}
	if r := started(t, w.desk, plan).Wait(); r.State != ops.Finished || r.Counts.Sent != 2 {
		t.Errorf("%+v", r)
	}
	for name, c := range map[string]struct {
		ask  ops.ReplayAsk
		says string
	}{
		"all of it is trimmed": {ask(shard, old[0].sequence, old[3].sequence), "holds no record from"},
		"a shard that is not":  {ask("shardId-000000000007", "", ""), "there is shardId-000000000000"},
		"after the newest":     {ask(shard, young[2].sequence+"0", ""), "holds no record from"},
		"of some other stream": {ask(shard, foreign.sequence, foreign.sequence), "holds no record from"},
	} {
		if plan := planOf(t, w.desk, c.ask); len(plan.Blockers) == 0 || !strings.Contains(plan.Blockers[0], c.says) {
			t.Errorf("%s: %q", name, plan.Blockers)
		}
	}
	for says, s := range map[string]ops.ReplaySelect{
		"with --shard":       {First: "1"},
		"no sequence number": {Shard: shard, First: "-1"},
		"the range is empty": {Shard: shard, First: "100", Last: "99"},
	} {
		if _, _, err := w.desk.Plan(t.Context(), ops.ReplayAsk{From: "stream:orders", To: "null:", Select: s}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, _, err := w.desk.Plan(t.Context(), ops.ReplayAsk{From: "archive:b/", To: "null:", Select: ops.ReplaySelect{Shard: shard}}); err == nil || !strings.Contains(err.Error(), "only a stream has shards") {
		t.Errorf("%v", err)
	}
}

// A range that is paused goes on with its rest, also when everything before it was trimmed
// meanwhile.
func TestARangeIsPaused(t *testing.T) {
	w := newWorld(t)
	w.desk.page = 5
	w.stream("orders", 1)
	w.putMany("orders", 20)
	w.sb.Advance(20 * time.Hour)
	of := w.putMany("orders", 200)["shardId-000000000000"]
	w.sb.Advance(time.Minute)
	url := w.queue("again")
	w.ticking()
	plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "queue:again", Rate: 30, Select: ops.ReplaySelect{Shard: of[0].shard, First: of[0].sequence, Last: of[149].sequence}})
	if at := plan.Parts[0].Begins; at.IsZero() {
		t.Error("the plan does not know when its range begins")
	}
	begins := plan.Parts[0].Begins
	for after, gone := range map[time.Duration]bool{23 * time.Hour: false, 25 * time.Hour: true} { // of the begin; nothing of it was read yet
		o := w.desk.o
		o.Now = func() time.Time { return begins.Add(after) }
		if err := New(o).stillThere(t.Context(), &state{plan: plan, places: make([]placeOf, 1)}); (err != nil) != gone {
			t.Errorf("%s later: %v", after, err)
		}
	}
	o := started(t, w.desk, plan)
	for o.Progress().Counts.Sent == 0 {
		select {
		case <-o.Done():
			t.Fatalf("%+v", o.Wait())
		case <-time.After(time.Millisecond):
		}
	}
	o.Pause()
	if r := o.Wait(); r.State != ops.Paused || r.Counts.Sent >= 150 {
		t.Fatalf("%+v", r)
	}
	w.sb.Advance(3*time.Hour + 50*time.Minute) // the 20 before the range are trimmed soon
	w.sb.Advance(15 * time.Minute)
	o, err := w.desk.Resume(t.Context(), plan.ID)
	w.must(err)
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != 150 {
		t.Fatalf("%+v", r)
	}
	got, _ := w.drain(url)
	if len(got) != 150 {
		t.Errorf("%d messages", len(got))
	}
}

// Where AWS refuses the first number, reading begins at the oldest record: what lies before
// the range is left out.
func TestWhatLiesBeforeARange(t *testing.T) {
	var page []types.Record
	for n := range 5 {
		page = append(page, types.Record{SequenceNumber: aws.String(fmt.Sprint(98 + n))}) // 98 to 102: a text of 3 digits is more than one of 2
	}
	w := shardWalk{first: "99", last: "101"}
	kept, over := w.inRange(page)
	if len(kept) != 3 || *kept[0].SequenceNumber != "99" || !over {
		t.Errorf("%d records, over %v", len(kept), over)
	}
	if kept, over := w.inRange(page[:1]); len(kept) != 0 || over {
		t.Errorf("before the range: %d records, over %v", len(kept), over)
	}
}
