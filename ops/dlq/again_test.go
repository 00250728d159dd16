package dlq

import (
	"context"
	"strings"
	"testing"

	"kxops/ops"
)

// A file is sent into a queue once. The second time it is said which operation did
// it, and nothing goes unless the person says that it is meant.
func TestAFileIsNotSentTwiceBySilence(t *testing.T) {
	b := redriveBench(t)
	to, other := b.queue("to", nil), b.queue("other", nil)
	path := fileOf(t, ops.Message{ID: "a", Body: "one"}, ops.Message{ID: "b", Body: "two"}, ops.Message{Body: "no id"})
	ask := ops.Ask{Verb: ops.Import, Queue: queueOf(to), File: path}
	first, waiting := b.plan(ask), b.plan(ask)
	if len(first.Blockers) != 0 {
		t.Fatal(first.Blockers)
	}
	if r := b.apply(first); r.State != ops.Finished {
		t.Fatal(r.Problem)
	}
	again := b.plan(ops.Ask{Verb: ops.Restore, Queue: queueOf(to), File: path})
	says(t, "blockers", again.Blockers, "3 of these messages were already imported by operation "+first.ID+" on ", "--again")
	if _, err := b.desk.Start(context.Background(), waiting); err == nil || !strings.Contains(err.Error(), first.ID) {
		t.Errorf("a plan made before the first was applied: %v", err)
	}
	if got := len(b.bodies(to)); got != 3 {
		t.Errorf("%d bodies, want 3", got)
	}
	if p := b.plan(ops.Ask{Verb: ops.Import, Queue: queueOf(other), File: path}); len(p.Blockers) != 0 {
		t.Errorf("another queue: %q", p.Blockers)
	}
	if p := b.plan(ops.Ask{Verb: ops.Import, Queue: queueOf(to), File: fileOf(t, ops.Message{ID: "a", Body: "corrected"}, ops.Message{ID: "c", Body: "one"})}); len(p.Blockers) != 0 {
		t.Errorf("other messages: %q", p.Blockers)
	}
	ask.Again = true
	meant := b.plan(ask)
	says(t, "warnings", meant.Warnings, "3 of these messages were already imported", "as accepted")
	if len(meant.Blockers) != 0 || meant.Risk != ops.HighRisk || meant.Confirm == "" {
		t.Errorf("blockers %q, risk %v", meant.Blockers, meant.Risk)
	}
	if r := b.apply(meant); r.State != ops.Finished || r.Sent != 3 {
		t.Errorf("%+v %v", r, r.Problem)
	}
}
