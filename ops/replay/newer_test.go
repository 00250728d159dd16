package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kxops/ops"
)

// What came after the window for the keys that are meant is counted: the old event may
// overwrite it. What is not known is not called none.
func TestNewerEventsOfTheSameKeyAreCounted(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 2)
	w.queue("again")
	for _, key := range []string{"4711", "4712", "4713"} {
		w.put("orders", key, 1)
	}
	w.sb.Advance(10 * time.Minute)
	until := w.sb.Now()
	w.sb.Advance(time.Minute)
	for n := range 3 {
		w.put("orders", "4712", 10+n)
	}
	w.put("orders", "9999", 1)
	last := w.sb.Now()
	w.sb.Advance(time.Minute)
	w.ticking()
	ask := ops.ReplayAsk{From: "stream:orders", To: "queue:again", Select: ops.ReplaySelect{Until: until}}

	plan, samples, err := w.desk.Plan(t.Context(), ask)
	w.must(err)
	if n := plan.Newer; n == nil || n.Known != 3 || n.Keys != 1 || n.Records != 3 || n.Read < 4 || len(n.Partial) != 0 || len(n.Asked) != 0 {
		t.Fatalf("%+v", plan.Newer)
	}
	if !strings.Contains(strings.Join(plan.Warnings, "\n"), "1 of 3 keys that are meant had 3 newer events since the end of the window;") {
		t.Errorf("warnings %q", plan.Warnings)
	}
	for _, s := range samples {
		if want := map[string]int{"4712": 3}[s.Key]; s.Taken && s.Newer != want {
			t.Errorf("the sample of %s says %d newer, not %d", s.Key, s.Newer, want)
		}
	}

	ask.Select.Keys = []string{"4712"}
	plan = w.plan(ask)
	want := fmt.Sprintf("key 4712 had 3 newer events, the last at %s since", last.Format("2006-01-02 15:04:05 MST"))
	if !strings.Contains(strings.Join(plan.Warnings, "\n"), want) || len(plan.Newer.Asked) != 1 {
		t.Errorf("%+v, warnings %q", plan.Newer, plan.Warnings)
	}
	ask.Select.Keys = []string{"4711"}
	if plan = w.plan(ask); plan.Newer == nil || plan.Newer.Records != 0 || !strings.HasPrefix(factOf(plan, "newer"), "none since") {
		t.Errorf("%+v, %q", plan.Newer, factOf(plan, "newer"))
	}
	ask.Select = ops.ReplaySelect{} // what comes after the plan is not newer
	if plan = w.plan(ask); plan.Newer != nil {
		t.Errorf("%+v", plan.Newer)
	}
}

// More than is read for a plan is said to be more.
func TestNewerEventsThatWereNotAllRead(t *testing.T) {
	src := timed{{make([]int, newerRecords), {5}}, {{6}}}
	plan := ops.ReplayPlan{Created: time.Unix(100, 0), From: ops.ReplayEnd{Kind: ops.KindStream}, Parts: []ops.ReplayPart{{ID: "a"}, {ID: "b"}}, Select: ops.ReplaySelect{Until: time.Unix(50, 0)}}
	d := testDesk(t)
	d.newer(t.Context(), &plan, src, map[string]bool{"k1": true, "": true}, false)
	if n := plan.Newer; n.Known != 1 || n.Records != 0 || len(n.Partial) != 2 || !strings.HasPrefix(factOf(plan, "newer"), "none was seen (") {
		t.Errorf("%+v, %q", n, factOf(plan, "newer"))
	}
	d.newer(t.Context(), &plan, src, map[string]bool{"k0": true}, true)
	if n := plan.Newer; n.Records != newerRecords || len(n.Partial) != 1 || !strings.Contains(plan.Warnings[0], fmt.Sprintf("at least 1 of 1 keys that are meant had at least %d newer events", newerRecords)) {
		t.Errorf("%+v, %q", n, plan.Warnings)
	}
}
