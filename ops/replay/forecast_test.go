package replay

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"kxops/ops"
)

func TestTimeLeft(t *testing.T) {
	start := time.Date(2026, 11, 17, 8, 0, 0, 0, time.UTC)
	steady := func(n int, v int64) (out []int64) {
		for range n {
			out = append(out, v)
		}
		return out
	}
	for _, c := range []struct {
		name            string
		each            []int64 // bytes of every ten seconds
		soonest, latest float64 // for 6000 bytes; -1: unknown
	}{
		{"nothing yet", nil, -1, -1},
		{"too few", []int64{100, 100}, -1, -1},
		{"steady", steady(3, 100), 600, 600},
		{"two speeds", []int64{50, 150, 50, 150}, 6000 / 15.0, 6000 / 5.0},
		{"it stands still", steady(5, 0), -1, -1},
		{"may stand still", []int64{300, 0, 0, 0}, 6000 / (7.5 + math.Sqrt(168.75)), -1},
	} {
		var s speed
		at, sum := start, int64(0)
		s.note(at, sum)
		for _, n := range c.each {
			s.note(at.Add(5*time.Second), sum+n/2) // too soon to be a speed
			at, sum = at.Add(10*time.Second), sum+n
			s.note(at, sum)
		}
		soonest, latest := s.left(6000, at)
		for _, x := range []struct {
			what string
			got  ops.Reading
			want float64
		}{{"soonest", soonest, c.soonest}, {"latest", latest, c.latest}} {
			v, known := x.got.Value()
			if known != (x.want >= 0) || known && math.Abs(v-x.want) > 1e-6*x.want {
				t.Errorf("%s: %s %v, want %v", c.name, x.what, x.got, x.want)
			}
		}
	}
}

// What was long ago fades; a clock that is set back and a count that begins again do no harm.
func TestSpeedForgets(t *testing.T) {
	var s speed
	at, sum := time.Date(2026, 11, 17, 8, 0, 0, 0, time.UTC), int64(0)
	go10 := func(n int, v int64) {
		for range n {
			at, sum = at.Add(10*time.Second), sum+v
			s.note(at, sum)
		}
	}
	go10(120, 1000)
	go10(60, 100) // for ten minutes
	if want := 10 + 90/math.E; math.Abs(s.mean-want) > 2 {
		t.Errorf("mean %.1f, want about %.1f", s.mean, want)
	}
	before := s.mean
	s.note(at.Add(-time.Hour), sum)
	s.note(at.Add(time.Minute), 0)
	if s.mean != before {
		t.Errorf("mean %v after a clock that was set back", s.mean)
	}
}

func TestForecastOfCost(t *testing.T) {
	plan := ops.ReplayPlan{From: ops.ReplayEnd{Kind: ops.KindStream}, To: ops.ReplayEnd{Kind: ops.KindFunction}, Estimate: ops.ReplayEstimate{Bytes: ops.Know(4000, time.Time{})}}
	c := ops.ReplayCounts{Bytes: 1000, Sent: 10, Out: 100}
	if v, ok := forecast(plan, c, time.Time{}).Value(); !ok || math.Abs(v-40*ops.PricePerInvocation) > 1e-15 {
		t.Errorf("%v", v)
	}
	c.Bytes = 5000 // more than was expected: it is not cheaper for that
	if v, _ := forecast(plan, c, time.Time{}).Value(); math.Abs(v-10*ops.PricePerInvocation) > 1e-15 {
		t.Errorf("%v", v)
	}
	c.Bytes = 0
	if _, ok := forecast(plan, c, time.Time{}).Value(); ok {
		t.Error("known before anything was read")
	}
}

// A running replay says its range and what it will cost, by the desk's clock.
func TestProgressTellsTheRange(t *testing.T) {
	now := time.Date(2026, 11, 17, 8, 0, 0, 0, time.UTC)
	d := New(Options{Now: func() time.Time { return now }})
	o := &Operation{desk: d, state: ops.Running, plan: ops.ReplayPlan{To: ops.ReplayEnd{Kind: ops.KindFunction}, Estimate: ops.ReplayEstimate{Bytes: ops.Know(10_000, now)}}}
	o.mark()
	for range 4 {
		now = now.Add(10 * time.Second)
		o.live.Bytes += 1000
		o.live.Sent += 10
		o.live.Out += 500
		o.mark()
	}
	p := o.Progress()
	if text := ops.Spans(p.Soonest, p.Latest); text != "about 60 s" {
		t.Errorf("%s: %+v", text, p)
	}
	if v, ok := p.Forecast.Value(); !ok || math.Abs(v-100*ops.PricePerInvocation) > 1e-12 || p.USD >= v {
		t.Errorf("%v of %v", p.USD, p.Forecast)
	}
	o.state = ops.Finished
	if _, ok := o.Progress().Soonest.Value(); ok {
		t.Error("what is over has time left")
	}
}

// What is read leaves AWS where this computer is not in it: plan and progress count it,
// also of a rehearsal; a file of this computer leaves nothing.
func TestWhatLeavesAWS(t *testing.T) {
	w := newWorld(t)
	w.bucket("events")
	_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("events"), Key: aws.String("in"), Body: strings.NewReader(strings.Repeat("{\"n\":1}\n", 10_000))})
	w.must(err)
	o := w.desk.o
	o.Outside = true
	d := New(o)
	ask := ops.ReplayAsk{From: "archive:events/", To: "null:"}
	inside, outside := planOf(t, w.desk, ask), planOf(t, d, ask)
	want := 80_000.0 / (1 << 30) * ops.PricePerGBOut
	if got := outside.Estimate.USD - inside.Estimate.USD; math.Abs(got-want) > 1e-12 {
		t.Errorf("planned $%g for the transfer, want $%g", got, want)
	}
	told := func(p ops.ReplayPlan) bool {
		return slices.ContainsFunc(p.Facts, func(f ops.Fact) bool { return f.Name == "transfer" })
	}
	if told(inside) || !told(outside) {
		t.Errorf("%+v %+v", inside.Facts, outside.Facts)
	}
	if r := started(t, d, outside).Wait(); math.Abs(r.USD-outside.Estimate.USD) > 1e-12 {
		t.Errorf("cost $%g, planned $%g", r.USD, outside.Estimate.USD)
	}
	half := ops.ReplayPlan{Outside: true, From: ops.ReplayEnd{Kind: ops.KindStream}, Estimate: ops.ReplayEstimate{Bytes: ops.Know(2<<30, time.Time{})}}
	if v, _ := forecast(half, ops.ReplayCounts{Bytes: 1 << 30}, time.Time{}).Value(); math.Abs(v-2*ops.PricePerGBOut) > 1e-12 {
		t.Errorf("forecast $%g", v)
	}
	if usd := transfer(ops.ReplayPlan{Outside: true, From: ops.ReplayEnd{Kind: ops.KindFile}}, 1<<30); usd != 0 {
		t.Errorf("a file costs $%g", usd)
	}
}

// Firehose bills each record rounded up to 5 KiB.
func TestTheCostOfADelivery(t *testing.T) {
	plan := ops.ReplayPlan{To: ops.ReplayEnd{Kind: ops.KindDelivery}}
	for size, units := range map[int64]float64{100: 1, 5 << 10: 1, 5<<10 + 1: 2} {
		want := 1000 * units * 5 / (1 << 20) * ops.PricePerGBDelivered
		if got := costOf(plan, ops.ReplayCounts{Sent: 1000, Out: 1000 * size}); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d bytes: $%g, want $%g", size, got, want)
		}
	}
}
