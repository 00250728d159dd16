package replay

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

// Producers come first: the replay takes its share of what they leave, without counting
// itself as one of them, and less while they are throttled.
func TestWhatProducersLeaveFree(t *testing.T) {
	h := newHeadroom(ops.ReplayPlan{To: ops.ReplayEnd{Shards: 2}, Pace: ops.ReplayPace{Headroom: 0.5}})
	at := time.Unix(60_000, 0)
	h.put(at.Add(30*time.Second), 6000, 6<<20)
	h.throttled(at.Add(59*time.Second), 10)
	live := h.live(at, minutely{records: 66_000, bytes: 66 << 20, throttled: 10})
	if live != (minutely{records: 60_000, bytes: 60 << 20}) {
		t.Errorf("%+v", live)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.01 {
			t.Errorf("%s: %g, not %g", what, got, want)
		}
	}
	near("small records", h.allows(live, true, 10), 500)           // half of 2000 - 1000
	near("large records", h.allows(live, true, 1<<20), 1)          // never nothing …
	near("64 KiB", h.allows(live, true, 64<<10), 0.5*16)           // half of 2 - 1 MiB
	near("nothing is known", h.allows(minutely{}, false, 10), 200) // a tenth
	near("nothing is left", h.allows(minutely{records: 300_000}, true, 10), 1)

	live.throttled = 1
	h.judge(at, live)
	h.judge(at, live) // the same minute, seen twice
	near("throttled", h.allows(live, true, 10), 250)
	for n := range 9 {
		h.judge(at.Add(time.Duration(n+1)*time.Minute), live)
	}
	near("throttled on and on", h.allows(live, true, 10), 500.0/16)
	for n := range 4 {
		h.judge(at.Add(time.Duration(n+20)*time.Minute), minutely{})
	}
	near("calm again", h.allows(live, true, 10), 500)
	if newHeadroom(ops.ReplayPlan{To: ops.ReplayEnd{Shards: 2}}) != nil {
		t.Error("looks though nobody asked")
	}
}

// The numbers are those of the target's metrics, and the plan says them.
func TestThePlanSaysWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	w.stream("again", 1)
	w.put("orders", "c", 1)
	ask := ops.ReplayAsk{From: "stream:orders", To: "stream:again", Headroom: 0.5}
	if plan := w.plan(ask); !strings.Contains(factOf(plan, "headroom"), "not known") {
		t.Errorf("%q", factOf(plan, "headroom"))
	}
	for range 3 {
		var records []kinesistypes.PutRecordsRequestEntry
		for n := range 300 {
			records = append(records, kinesistypes.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(n)), Data: []byte("{}")})
		}
		_, err := w.kinesis.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("again"), Records: records})
		w.must(err)
		w.sb.Advance(time.Minute)
	}
	plan := w.plan(ask)
	if got := factOf(plan, "headroom"); !strings.HasPrefix(got, "50 % of what is left of 1000 records and 1 MiB a second") || !strings.Contains(got, "they put 5 records") {
		t.Errorf("%q", got)
	}
	w.ticking()
	o := started(t, w.desk, plan)
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != 1 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	// 1 KiB each, as long as nothing was sent: of 1024 such records half is more than of 1000 - 5.
	if got := float64(o.limiter.Limit()); got < 490 || got > 500 {
		t.Errorf("allows %g records a second", got)
	}
	ask.To = "null:"
	if other := planOf(t, w.desk, ask); len(other.Blockers) != 1 || !strings.Contains(other.Blockers[0], "--headroom needs") {
		t.Errorf("blockers %q", other.Blockers)
	}
}
