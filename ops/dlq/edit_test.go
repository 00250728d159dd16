package dlq

import (
	"context"
	"os"
	"strings"
	"testing"

	"kxops/labs/sandbox"
	"kxops/ops"
)

func (b *bench) edit(dead string, id string, change func(*ops.Message)) ops.Plan {
	b.t.Helper()
	pile := b.desk.Pile(b.describe(string(queueOf(dead))).ARN)
	if pile == nil {
		b.t.Fatal("nobody looked")
	}
	m, ok := pile.Message(id)
	if !ok {
		b.t.Fatalf("no message %s", id)
	}
	change(&m)
	plan, err := b.desk.Plan(context.Background(), ops.Ask{Verb: ops.Edit, Queue: queueOf(dead), Select: ops.Selection{IDs: []string{id}}, Edited: &m}, pile)
	if err != nil {
		b.t.Fatal(err)
	}
	return plan
}

func TestEdit(t *testing.T) {
	b := redriveBench(t)
	source, dead := b.dead("orders", 3, false)
	first := b.plan(ops.Ask{Verb: ops.Redrive, Queue: queueOf(dead), Select: ops.Selection{All: true}}).Manifest[0]
	original, _ := b.desk.Pile(b.describe(string(queueOf(dead))).ARN).Message(first.ID)
	plan := b.edit(dead, first.ID, func(m *ops.Message) { m.Body = "corrected" })
	rival := b.edit(dead, first.ID, func(m *ops.Message) { m.Body = "corrected otherwise" })
	if len(plan.Blockers) > 0 {
		t.Fatal(plan.Blockers)
	}
	r := b.apply(plan)
	if r.State != ops.Finished || r.Deleted != 1 {
		t.Fatalf("%s: %+v %v", r.State, r, r.Problem)
	}
	got, _ := readAll(t, b.desk.editFile(plan.ID, editOfEnd))
	if m := got[first.ID]; m.Body != original.Body || m.Source() == "" {
		t.Errorf("the original in the archive: %+v", m)
	}
	if info, err := os.Stat(b.desk.editFile(plan.ID, editOfEnd)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	lines, _, err := b.desk.o.Journal.ReadLog(plan.ID)
	if err != nil {
		t.Fatal(err)
	}
	record := ""
	for _, l := range lines {
		record += string(l)
	}
	if strings.Contains(record, "corrected") || !strings.Contains(record, contentSum(original)) {
		t.Errorf("the record has a body, or lacks the hashes:\n%s", record)
	}
	if r := b.apply(rival); r.State != ops.Broken || r.Problem == nil || !strings.Contains(r.Problem.What, "already") {
		t.Errorf("a second edit of the same message: %s %v", r.State, r.Problem)
	}
	if got := b.bodies(source); len(got) != 1 || got["corrected"] != 1 {
		t.Errorf("the target has %v", got)
	}
	if got := b.bodies(dead); len(got) != 2 {
		t.Errorf("the dead-letter queue has %v", got)
	}
}

func TestEditIsChecked(t *testing.T) {
	b := redriveBench(t)
	_, dead := b.dead("orders", 1, false)
	id := b.plan(ops.Ask{Verb: ops.Redrive, Queue: queueOf(dead), Select: ops.Selection{All: true}}).Manifest[0].ID
	for words, change := range map[string]func(*ops.Message){
		"nothing was changed": func(*ops.Message) {},
		"characters":          func(m *ops.Message) { m.Body = "a\x00" },
	} {
		if p := b.edit(dead, id, change); !strings.Contains(strings.Join(p.Blockers, ";"), words) {
			t.Errorf("blockers %q, want %q", p.Blockers, words)
		}
	}
}

// The reply to the send is lost: the original stays, the edit is unknown, and no
// second one is let through.
func TestEditWithoutAnAnswer(t *testing.T) {
	b := redriveBench(t)
	source, dead := b.dead("orders", 1, false)
	id := b.plan(ops.Ask{Verb: ops.Redrive, Queue: queueOf(dead), Select: ops.Selection{All: true}}).Manifest[0].ID
	b.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "sqs", Operation: "SendMessageBatch"})
	r := b.apply(b.edit(dead, id, func(m *ops.Message) { m.Body = "corrected" }))
	b.SetFaults()
	if r.State != ops.Incomplete || r.Unknown != 1 || r.Deleted != 0 {
		t.Fatalf("%s: %+v", r.State, r)
	}
	if p := b.edit(dead, id, func(m *ops.Message) { m.Body = "again" }); !strings.Contains(strings.Join(p.Blockers, ";"), "may have sent") {
		t.Errorf("blockers %q", p.Blockers)
	}
	if n := len(b.bodies(source)); n != 1 {
		t.Errorf("%d arrived", n)
	}
	if n := len(b.bodies(dead)); n != 1 {
		t.Errorf("%d originals are left", n)
	}
}
