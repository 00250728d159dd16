package dlq

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kxops/ops"
)

// The journal says of each verb what that verb does: a move by SQS that moved 14 is
// not "0 sent, 0 deleted".
func TestTheJournalSaysWhatAVerbDoes(t *testing.T) {
	known := func(n float64) ops.Reading { return ops.Know(n, time.Unix(0, 0)) }
	for _, c := range []struct {
		verb ops.Verb
		p    ops.Progress
		want string
	}{
		{ops.Move, ops.Progress{Moved: known(14)}, "14 moved, as SQS says"},
		{ops.Move, ops.Progress{Moved: ops.Missing(ops.NoData)}, "SQS does not say how many it moved"},
		{ops.Restore, ops.Progress{Sent: 3}, "3 restored, 0 rejected, 0 unknown"},
		{ops.Import, ops.Progress{Sent: 3, Unknown: 1}, "3 imported, 0 rejected, 1 unknown"},
		{ops.Archive, ops.Progress{Sent: 3, Deleted: 2}, "3 archived, 2 deleted, 0 rejected, 0 unknown"},
		{ops.Redrive, ops.Progress{Sent: 3, Deleted: 3, Returned: 1}, "3 sent, 3 deleted, 0 rejected, 0 unknown, 1 returned"},
	} {
		if got := done(c.verb, c.p); got != c.want {
			t.Errorf("%s: %q, want %q", c.verb, got, c.want)
		}
	}
}

func TestAPlanSaysWhatItIsMadeOf(t *testing.T) {
	b := redriveBench(t)
	dead := b.queue("orders-dlq", nil)
	b.fill(dead, 20, func(i int) string {
		switch {
		case i < 3:
			return `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-22T01:00:00.000Z","Bucket":"shop","RequestId":"A","HostId":"B"}`
		case i < 10:
			return `{"id":1,"total":"9.99"}`
		}
		return `{"id":1,"total":9.99}`
	})
	for _, ask := range []ops.Ask{
		{Verb: ops.Redrive, Queue: queueOf(dead), Select: ops.Selection{All: true}, To: "orders-dlq"},
		{Verb: ops.Archive, Queue: queueOf(dead), Select: ops.Selection{All: true}, File: filepath.Join(t.TempDir(), "a")},
	} {
		var causes []string
		for _, f := range b.plan(ask).Facts {
			if f.Name == "Cause" {
				causes = append(causes, f.Value)
			}
		}
		if len(causes) != 3 || !strings.HasPrefix(causes[0], "10: ") || !strings.HasPrefix(causes[1], "7: ") || !strings.Contains(causes[1], "total is a string") ||
			!strings.HasPrefix(causes[2], "3: ") || !strings.Contains(causes[2], "(harmless: ") {
			t.Errorf("%s: %q", ask.Verb, causes)
		}
	}
}

func TestAPlanNamesSixCausesAtMost(t *testing.T) {
	var letters []ops.Letter
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		letters = append(letters, ops.Letter{ID: key, Cause: &ops.Cause{Key: key, Title: key, Stated: true, Family: key}})
	}
	facts := byCause(letters, letters)
	if len(facts) != 7 || facts[6].Value != "2: 2 more causes" {
		t.Errorf("%v", facts)
	}
}

// What says where a message came from is lost, and so is the way home.
func TestARestoreSaysThatTheWayHomeIsLost(t *testing.T) {
	b := redriveBench(t)
	_, dead := b.dead("orders", 2, false)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	if r := b.apply(b.plan(ops.Ask{Verb: ops.Archive, Queue: queueOf(dead), Select: ops.Selection{All: true}, File: path})); r.State != ops.Finished {
		t.Fatal(r.Problem)
	}
	p := b.plan(ops.Ask{Verb: ops.Restore, Queue: queueOf(dead), File: path})
	says(t, "cannot undo", p.CannotUndo, "DeadLetterQueueSourceArn", "needs --to")
	var changes []string
	for _, c := range p.Changes {
		changes = append(changes, c.Name+" "+c.Value)
	}
	says(t, "changes", changes, ops.SourceAttribute, "2 messages", "--to")
}

// A run that may not lease more ends, and says why.
func TestARunThatHoldsTooMuchSaysSo(t *testing.T) {
	b := redriveBench(t)
	source, dead := b.dead("orders", 60, false)
	plan := b.plan(ops.Ask{Verb: ops.Redrive, Queue: queueOf(dead), Select: ops.Selection{All: true}, Pace: ops.Pace{Careful: true}})
	ids := map[string]bool{}
	ask := ops.Selection{}
	for i, e := range plan.Manifest {
		if i%2 == 0 {
			ids[e.ID] = true
			ask.IDs = append(ask.IDs, e.ID)
		}
	}
	plan = b.plan(ops.Ask{Verb: ops.Redrive, Queue: queueOf(dead), Select: ask, Pace: ops.Pace{Careful: true}})
	b.desk.holds = 10
	r := b.apply(plan)
	if r.State != ops.Incomplete || !strings.Contains(r.Note, "ended early: it holds") {
		t.Errorf("%s: %q, %d missing", r.State, r.Note, r.Missing)
	}
	if got := len(b.bodies(source)); got != r.Sent {
		t.Errorf("%d arrived, %d sent", got, r.Sent)
	}
}
