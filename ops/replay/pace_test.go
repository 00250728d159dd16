package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// hands is a clock that goes on to the next time for which somebody waits, as soon as
// somebody does.
type hands struct {
	mu     sync.Mutex
	at     time.Time
	alarms map[int]alarm
	n      int
}

type alarm struct {
	at time.Time
	f  func()
}

func newHands() *hands { return &hands{at: time.Unix(5000, 0), alarms: map[int]alarm{}} }

func (h *hands) clock() clock {
	return clock{h.now, func(d time.Duration, f func()) func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.n++
		n := h.n
		h.alarms[n] = alarm{h.at.Add(d), f}
		go h.turn()
		return func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.alarms, n)
			go h.turn() // others may still wait for theirs
			return true
		}
	}}
}

func (h *hands) now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.at }

// turn goes on to the first of the alarms.
func (h *hands) turn() {
	h.mu.Lock()
	var next alarm
	for _, a := range h.alarms {
		if next.f == nil || a.at.Before(next.at) {
			next = a
		}
	}
	if next.at.After(h.at) {
		h.at = next.at
	}
	h.mu.Unlock()
	if next.f != nil {
		next.f()
	}
}

// timed is a source whose records arrived at given seconds, in pages, by part.
type timed [][][]int

func (s timed) find(_ context.Context, plan *ops.ReplayPlan) error {
	for i := range s {
		plan.Parts = append(plan.Parts, ops.ReplayPart{ID: fmt.Sprint("part-", i)})
	}
	return nil
}

func (s timed) read(_ context.Context, _ ops.ReplayPlan, part int, after string, give func(Page) error) error {
	from := 0
	if after != "" {
		_, _ = fmt.Sscan(after, &from)
	}
	for i := from; i < len(s[part]); i++ {
		pg := Page{Place: fmt.Sprint(i + 1), Bytes: 1}
		for n, second := range s[part][i] {
			r := Record{ID: fmt.Sprintf("%d/%d/%d", part, i, n), Key: fmt.Sprint("k", part), Data: fmt.Appendf(nil, "%d", second)}
			if second >= 0 {
				r.At = time.Unix(int64(second), 0)
			}
			pg.Records = append(pg.Records, r)
		}
		if err := give(pg); err != nil {
			return err
		}
	}
	return nil
}

// stamps is a target that writes down when it was sent what.
type stamps struct {
	shelf
	now  func() time.Time
	sent []string
	at   map[string]time.Duration
	then func(sent int)
}

func (s *stamps) send(_ context.Context, parcels []Parcel) []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Answer, len(parcels))
	for i, p := range parcels {
		out[i] = Answer{At: "x"}
		s.sent = append(s.sent, fmt.Sprintf("%s at %s", p.Body, s.now().Sub(time.Unix(5000, 0))))
		s.at[string(p.Body)] = s.now().Sub(time.Unix(5000, 0))
	}
	if s.then != nil {
		s.then(len(s.sent))
	}
	return out
}

// paced replays a source and says when each record was sent, by the clock.
func paced(t *testing.T, src source, ask ops.ReplayAsk, pauseAt int) (*stamps, ops.ReplayPlan) {
	t.Helper()
	h := newHands()
	to := &stamps{now: h.now, at: map[string]time.Duration{}, shelf: shelf{random: rand.New(rand.NewPCG(1, 1))}}
	on(t, src, to)
	d := testDesk(t)
	d.clock = h.clock()
	ask.From, ask.To = "tape:x", "shelf:y"
	plan := planOf(t, d, ask)
	o := started(t, d, plan)
	if pauseAt > 0 {
		to.mu.Lock()
		to.then = func(sent int) {
			if sent >= pauseAt {
				o.Pause()
			}
		}
		if len(to.sent) >= pauseAt {
			o.Pause()
		}
		to.mu.Unlock()
	}
	r := o.Wait()
	if r.State == ops.Paused {
		to.mu.Lock()
		to.then = nil
		to.mu.Unlock()
		next, err := d.Resume(t.Context(), plan.ID)
		if err != nil {
			t.Fatal(err)
		}
		r = next.Wait()
	}
	if r.State != ops.Finished {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	return to, plan
}

// Records go as they arrived, and only so much faster; a long gap is cut short; one whose
// arrival goes back goes with the one before it, one without an arrival too.
func TestRecordsAreSpacedAsTheyArrived(t *testing.T) {
	src := timed{{{100, 101, 103}, {103, 110, 108}, {}, {170, 171}}}
	for _, c := range []struct {
		ask   ops.ReplayAsk
		want  []string
		takes float64
	}{
		{ops.ReplayAsk{Speed: 1}, []string{"100 at 0s", "101 at 1s", "103 at 3s", "103 at 3s", "110 at 10s", "108 at 10s", "170 at 1m10s", "171 at 1m11s"}, 71},
		{ops.ReplayAsk{Speed: 10}, []string{"100 at 0s", "101 at 100ms", "103 at 300ms", "103 at 300ms", "110 at 1s", "108 at 1s", "170 at 7s", "171 at 7.1s"}, 7.1},
		{ops.ReplayAsk{Speed: 1, MaxGap: 5}, []string{"100 at 0s", "101 at 1s", "103 at 3s", "103 at 3s", "110 at 8s", "108 at 8s", "170 at 13s", "171 at 14s"}, 40},
	} {
		to, plan := paced(t, src, c.ask, 0)
		if diff := cmp.Diff(c.want, to.sent); diff != "" {
			t.Errorf("%gx, gap %g: %s", c.ask.Speed, c.ask.MaxGap, diff)
		}
		if got, ok := plan.Estimate.Seconds.Value(); !ok || got != c.takes {
			t.Errorf("%gx, gap %g: the plan says %g s, not %g", c.ask.Speed, c.ask.MaxGap, got, c.takes)
		}
	}
}

// The time left of a paced replay is that of its arrivals, whatever was read.
func TestTimeLeftOfAPace(t *testing.T) {
	now := time.Unix(5000, 0)
	last := time.Unix(200, 0)
	p := newPacer(ops.ReplayPace{Speed: 10, Readers: 1}, clock{now: func() time.Time { return now }}, func() {})
	if d, known := p.left(last); known {
		t.Errorf("%s before it has begun", d)
	}
	p.until(&lane{}, time.Unix(100, 0))
	if d, known := p.left(last); !known || d != 10*time.Second {
		t.Errorf("%s, known %v", d, known)
	}
	now = now.Add(4 * time.Second)
	if d, known := p.left(last); !known || d != 6*time.Second {
		t.Errorf("%s, known %v", d, known)
	}
	now = now.Add(time.Minute)
	if d, known := p.left(last); known {
		t.Errorf("%s when it should be over", d)
	}
	if _, known := (*pacer)(nil).left(last); known {
		t.Error("without a pace")
	}
	src := timed{{{100, 101}, {171}}}
	if _, plan := paced(t, src, ops.ReplayAsk{Speed: 1}, 0); !plan.Pace.Last.Equal(time.Unix(171, 0)) {
		t.Errorf("the last arrival is %s", plan.Pace.Last)
	}
}

// After a pause the spacing goes on with what is left, not with what the pause has made late.
func TestAPaceGoesOnAfterAPause(t *testing.T) {
	to, _ := paced(t, timed{{{100}, {110}, {120}, {125}}}, ops.ReplayAsk{Speed: 1}, 2)
	if got := to.at["125"] - to.at["120"]; len(to.sent) != 4 || got != 5*time.Second {
		t.Errorf("%q", to.sent)
	}
	if !slices.Contains(to.sent, "110 at 10s") {
		t.Errorf("%q", to.sent)
	}
}

// Parts that are read side by side have one time: nothing goes before its time, however
// late another part says that it begins earlier.
func TestPartsHaveOneTime(t *testing.T) {
	src := timed{{{300, 310}, {320}}, {{}, {200, 305}, {330}}, {{100}, {250, 400}}, {}}
	for range 20 {
		to, _ := paced(t, src, ops.ReplayAsk{Speed: 1, Lanes: 3, Order: OrderKey}, 0)
		if len(to.sent) != 9 {
			t.Fatalf("%q", to.sent)
		}
		for body, at := range to.at {
			var second int
			if _, err := fmt.Sscan(body, &second); err != nil {
				t.Fatal(err)
			}
			if at < time.Duration(second-100)*time.Second {
				t.Errorf("%s went at %s, before its time", body, at)
			}
		}
	}
}

// Where nobody knows when a record arrived there is no pace, and the plan says so.
func TestAPaceNeedsArrivals(t *testing.T) {
	on(t, timed{{{-1, -1}}}, &shelf{random: rand.New(rand.NewPCG(1, 1))})
	plan := planOf(t, testDesk(t), ops.ReplayAsk{From: "tape:x", To: "shelf:y", Speed: 1})
	if len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "no pace to keep") {
		t.Errorf("blockers %q", plan.Blockers)
	}
	to, _ := paced(t, timed{{{-1, 100, -1, 104}}}, ops.ReplayAsk{Speed: 1}, 0)
	if want := []string{"-1 at 0s", "100 at 0s", "-1 at 0s", "104 at 4s"}; !slices.Equal(want, to.sent) {
		t.Error(cmp.Diff(want, to.sent))
	}
}
