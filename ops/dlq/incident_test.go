package dlq

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// The demo's lesson: before the fix the plan says that nothing suggests one; after
// it the same letters go home and stay there, and those that nobody repaired come
// back and halt the canary.
func TestTheIncidentIsRedrivenAfterTheFix(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{Scenario: "incident", Seed: 7, Start: night})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	b := &bench{Sandbox: sb, t: t}
	b.changing(t.TempDir())
	b.ticking()
	ask := func(contains string) ops.Ask {
		return ops.Ask{Verb: ops.Redrive, Queue: "orders-dlq", Select: ops.Selection{Contains: contains}, Pace: ops.Pace{Canary: true}}
	}
	const textTotals, wrongTopic = `"total":"`, `:price-changes`

	p := b.plan(ask(textTotals))
	fixed := night.Add(2 * time.Minute)
	before := slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "nothing suggests a fix") })
	if b.Now().Before(fixed) && (!before || p.Risk != ops.HighRisk) {
		t.Errorf("before the fix, risk %v: %q", p.Risk, p.Warnings)
	}
	for b.Now().Before(fixed.Add(3 * time.Minute)) { // and what failed on the old code is dead
		b.Advance(10 * time.Second)
	}

	p = b.plan(ask(textTotals))
	if got := factOf(p, "Fix"); !strings.Contains(got, "orders-worker was last changed") || !strings.Contains(got, "after the newest failure") {
		t.Errorf("after the fix: %q, %q", got, p.Warnings)
	}
	if len(p.Blockers) > 0 || p.Messages() < 10 {
		t.Fatalf("%d messages, blockers %q", p.Messages(), p.Blockers)
	}
	if r := b.apply(p); r.State != ops.Finished || r.Deleted != p.Messages() || r.Returned != 0 {
		t.Errorf("after the fix: %s, %d of %d deleted, %d returned: %s", r.State, r.Deleted, p.Messages(), r.Returned, r.Note)
	}

	p = b.plan(ask(wrongTopic))
	if r := b.apply(p); r.State != ops.Halted || r.Returned != 1 || r.Sent+r.Deleted >= p.Messages() {
		t.Errorf("what nobody repaired: %s, %d returned of %d: %s", r.State, r.Returned, p.Messages(), r.Note)
	}
}
