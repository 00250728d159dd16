package replay

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

// halved is a target with two shards, of which one asks to slow down now and then.
type halved struct {
	shelf
	busy float64
}

func (h *halved) shardOf(p Parcel) string {
	if keySum(p.Key)[0] < '8' {
		return "low"
	}
	return "high"
}

func (h *halved) send(ctx context.Context, parcels []Parcel) []Answer {
	out := make([]Answer, len(parcels))
	for i, p := range parcels {
		h.mu.Lock()
		throttled := h.shardOf(p) == "low" && h.random.Float64() < h.busy
		h.mu.Unlock()
		if throttled {
			out[i] = Answer{Fate: Busy}
		} else {
			out[i] = h.shelf.send(ctx, parcels[i:i+1])[0]
		}
		out[i].Shard = h.shardOf(p)
	}
	return out
}

// A shard that is throttled is halved once for all that was in the air, gets 5 % more a
// second, and everything again in the end; another is not touched.
func TestAShardIsSlowedDownAlone(t *testing.T) {
	now := time.Unix(5000, 0)
	b := newBrakes(&halved{}, clock{now: func() time.Time { return now }})
	low, high := Parcel{Key: ""}, Parcel{Key: ""}
	for i := 0; low.Key == "" || high.Key == ""; i++ {
		p := Parcel{Key: fmt.Sprint("k", i)}
		if b.target.shardOf(p) == "low" {
			low = p
		} else {
			high = p
		}
	}
	for range 400 {
		b.took("low")
	}
	now = now.Add(time.Second)
	b.took("low")
	goes := func(p Parcel) (n int) {
		for ; n < 5000 && b.holds(p) == 0; n++ {
		}
		return n
	}
	if goes(low) != 5000 {
		t.Error("held back before anything was throttled")
	}
	b.slow("low")
	b.slow("low") // in the air at the same time
	if k := b.of["low"]; k.allowed != 200 || k.peak != 400 {
		t.Errorf("%+v", k)
	}
	if wait := b.holds(low); wait != 5*time.Millisecond || b.holds(high) != 0 {
		t.Errorf("waits %s; the other %s", wait, b.holds(high))
	}
	sum := 0
	for range 100 { // ten seconds
		now = now.Add(100 * time.Millisecond)
		sum += goes(low)
	}
	// The integral of 200 · 1.05^t over ten seconds.
	if want := 200 * (math.Pow(1.05, 10) - 1) / math.Log(1.05); math.Abs(float64(sum)-want) > want/50 {
		t.Errorf("%d in ten seconds, not %.0f", sum, want)
	}
	b.slow("low")
	if k := b.of["low"]; math.Abs(k.allowed-100*math.Pow(1.05, 10)) > 1 {
		t.Errorf("%+v", k)
	}
	if now = now.Add(time.Hour); goes(low) != 5000 {
		t.Error("it is still held back after an hour")
	}
}

// Held back or not: everything arrives, and those of one key in their order.
func TestAShardThatIsHeldBackLosesNothing(t *testing.T) {
	for seed := range uint64(4) {
		src := &tape{parts: 2, pages: 6, records: 10, keys: 5}
		to := &halved{shelf: shelf{random: rand.New(rand.NewPCG(seed, 3)), wrong: 0.05, refuse: map[string]bool{}}, busy: 0.1}
		on(t, src, to)
		d := testDesk(t)
		d.clock = newHands().clock()
		plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y", Select: ops.ReplaySelect{Filter: ".even == true"}, Lanes: 2})
		r := started(t, d, plan).Wait()
		if r.Problem != nil || r.State != ops.Finished {
			t.Fatalf("%+v %v", r, r.Problem)
		}
		checkShelf(t, src, &to.shelf, r)
	}
}

// The shard that is worked out for a record is the one that the stream puts it into.
func TestTheShardOfARecordIsThatOfTheStream(t *testing.T) {
	w := newWorld(t)
	w.stream("again", 3)
	plan := ops.ReplayPlan{To: ops.ReplayEnd{Kind: ops.KindStream, ARN: "again"}, Seen: map[string]string{}}
	made, err := newStreamTarget(w.desk, plan)
	w.must(err)
	to := made.(*streamTarget)
	w.must(to.find(t.Context(), &to.plan))
	if !to.knows(t.Context(), "shardId-000000000001") || to.knows(t.Context(), "shardId-000000000099") {
		t.Error("knows the wrong shards")
	}
	seen := map[string]bool{}
	for n := range 60 {
		p := Parcel{ID: fmt.Sprint("id", n), Key: fmt.Sprint("k", n), Body: []byte("{}")}
		if n%10 == 0 {
			p.Key = ""
		}
		if n%10 == 1 {
			p.Hash = "340282366920938463463374607431768211455"
		}
		a := to.send(t.Context(), []Parcel{p})[0]
		if a.Fate != Taken || a.Shard == "" || a.Shard != to.shardOf(p) {
			t.Errorf("%+v is in %q, not in %q", p, a.Shard, to.shardOf(p))
		}
		seen[a.Shard] = true
	}
	if len(seen) != 3 {
		t.Errorf("shards %v", seen)
	}
	code, why := "ProvisionedThroughputExceededException", "Rate exceeded for shard shardId-000000000002 in stream again under account 123456789012."
	if a := streamAnswer(kinesistypes.PutRecordsResultEntry{ErrorCode: &code, ErrorMessage: aws.String(why)}); a.Fate != Busy || a.Shard != "shardId-000000000002" {
		t.Errorf("%+v", a)
	}
}
