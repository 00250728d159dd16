package ui

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// planned is a console that shows the plan of a redrive of the largest group.
func planned(t *testing.T, d *deskOfValues) *console {
	t.Helper()
	c := looked(t, d, 120, 36)
	c.press("down", "d")
	return c
}

func TestAPlanIsShownWhole(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.sees("redrive orders-failed", "shop 123456789012, region eu-west-1", "queue orders, 31 messages", "at most 50 messages a second, a canary first",
		"about 12s", "the fix may be out", "is not taken back", "MessageId", "aws sqs send-message-batch", "20261122-143000-0001", "sha256")
	if got := d.asks[0]; got.Verb != ops.Redrive || got.Select.Cause != "orders-OrderPlaced-77d0" || !got.Pace.Canary {
		t.Errorf("asked for %+v", got)
	}
	if len(d.started) != 0 {
		t.Fatal("it was started")
	}
}

func TestReadOnlyUntilUnlocked(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("y")
	c.sees("this session is read-only; U unlocks changes for ten minutes")
	if len(d.started) != 0 {
		t.Fatal("it was started without an unlock")
	}
	c.press("U")
	c.sees("CHANGE 10:00", "changes are allowed for 10:00")
	c.press("y")
	if len(d.started) != 1 {
		t.Fatal("it was not started")
	}
	c.sees("redrive of orders-failed", "canary 1 of 31", "kxops --access change dlq resume 20261122-143000-0001")
}

func TestAProtectedAccountWantsItsNameTyped(t *testing.T) {
	d := sampleDesk()
	d.access.Confirm = "shop-prod"
	c := looked(t, d, 120, 36)
	c.press("U")
	c.typed("shop")
	c.press("enter")
	c.sees("still read-only: the name does not match")
	c.press("U")
	c.typed("shop-prod")
	c.press("enter")
	c.sees("CHANGE 10:00")
	c.wall = c.wall.Add(19 * time.Second)
	c.sees("CHANGE 9:")
}

// fast presses keys as a paste or a person who types ahead would.
func (c *console) fast(keys ...string) {
	c.t.Helper()
	for _, k := range keys {
		c.wall = c.wall.Add(20 * time.Millisecond)
		_, cmd := c.app.Update(keyPress(k))
		c.run(cmd)
	}
}

func TestTypedAheadKeysConfirmNothing(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	c.press("U", "down")
	c.fast("d", "y", "y", "enter")
	if len(d.started) != 0 {
		t.Fatal("keys typed ahead started it")
	}
	c.sees("enter applies nothing")
	c.wall = c.wall.Add(quietBefore)
	c.fast("y") // 320 ms after the key before it
	if len(d.started) != 1 {
		t.Error("a quiet y was not taken")
	}
}

func TestAPasteConfirmsNothing(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("U")
	c.wall = c.wall.Add(time.Second)
	c.app.Update(tea.PasteMsg{Content: "y\n"})
	c.fast("y")
	if len(d.started) != 0 {
		t.Error("a paste started it")
	}
}

func TestTheDefaultIsNo(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("U", "enter")
	if len(d.started) != 0 {
		t.Fatal("enter started it")
	}
	c.press("n")
	c.seesNot("steps, and the aws-cli")
	c.sees("4 groups")
}

func TestHighRiskWantsTheNameTyped(t *testing.T) {
	d := sampleDesk()
	d.risk = ops.HighRisk
	c := planned(t, d)
	c.press("U", "y")
	c.sees("type orders-failed to apply:")
	c.typed("orders")
	c.press("enter")
	c.sees(`nothing was done: "orders" is not orders-failed`)
	if len(d.started) != 0 {
		t.Fatal("it was started with the wrong name")
	}
	c.press("y")
	c.typed("orders-failed")
	c.press("enter")
	if len(d.started) != 1 {
		t.Error("it was not started with the right name")
	}
}

func TestBlockersStop(t *testing.T) {
	d := sampleDesk()
	d.blockers = []string{"a move task is running"}
	c := planned(t, d)
	c.press("U", "y")
	c.sees("BLOCKED         a move task is running", "this plan is blocked: a move task is running")
	c.press("up") // the note goes
	if len(d.started) != 0 {
		t.Error("a blocked plan was started")
	}
	d.planErr = errors.New("the queue was deleted")
	c.press("c")
	c.sees("This cannot be planned: the queue was deleted")
}

func TestThePlanCanBeChangedInItsDialog(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("c")
	c.sees("no canary")
	c.press("r")
	for range 3 {
		c.press("backspace")
	}
	c.press("r")
	c.press("ctrl+u")
	c.typed("7.5")
	c.press("enter")
	c.sees("at most 7.5 messages a second")
	c.press("w")
	c.typed("INC-7, zip is optional now")
	c.press("enter")
	c.sees("reason          INC-7, zip is optional now")
	c.press("t")
	c.sees("origin", "each message to the queue it came from")
	c.typed("queue:refunds")
	c.press("enter")
	c.sees("queue refunds")
	last := d.asks[len(d.asks)-1]
	if last.Pace.Canary || last.Pace.Rate != 7.5 || last.To != "queue:refunds" || last.Reason == "" {
		t.Errorf("the last plan was asked for with %+v", last)
	}
}

func TestAnOperationOutlivesItsScreen(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("U", "y")
	c.sees("redrive of orders-failed", "canary 1 of 31")
	d.op.set(func(p *ops.Progress) { p.Sent, p.Deleted, p.Stage = 11, 11, "canary 10 of 31" })
	c.sample()
	c.sees("canary 10 of 31", "35% of 31 messages")
	c.press("esc", "o")
	c.sees("overview", "redrive 35%") // the header tells it everywhere
	c.press("D")
	c.sees("redrive 35%", "orders-failed")
	c.press("O")
	c.sees("running", "redrive of orders-failed")
	c.press("w")
	c.sample()
	c.sees("paused")
	c.press("w")
	c.sample()
	c.press("enter")
	c.sees("canary 10 of 31")
	c.press("c")
	c.sees("cancel redrive of orders-failed?")
	c.press("y")
	c.sample()
	c.sees("CANCELLED")
}

func TestTheResultIsToldWhereverOneIs(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("U", "y", "o")
	p := d.op.Progress()
	p.State, p.Sent, p.Deleted, p.Returned = ops.Halted, 11, 11, 6
	p.Note = "6 of 11 came back: over the limit of 10%"
	d.op.end(ops.Result{Progress: p, ReturnedIDs: []string{"m-1", "m-2"}, Next: []string{"the fix is not out: look at the newest failure"}})
	d.left = []Unfinished{{ID: "20261122-143000-zz99", Verb: ops.Redrive, From: arn("sqs", "orders-failed"), Started: sampleNow, Total: 31, Sent: 11, Deleted: 9}}
	_, cmd := c.app.Update(sampleRuns(c.app.work.active()))
	c.run(cmd)
	c.sees("redrive of orders-failed: halted; O shows the result")
	c.press("O")
	c.sees("halted", "interrupted") // deletes that are still to do
	c.press("enter")
	c.sees("HALTED", "6 of 11 came back: over the limit of 10%", "45.5%: 11 sent, 6 came back", "the fix is not out", "m-1", "returned (2)")
}

func TestQuittingWhileSomethingRunsAsks(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("U", "y")
	c.press("q")
	c.sees("quit while something runs?", "kxops --access change dlq resume 20261122-143000-0001", "esc stay")
	c.press("esc")
	c.seesNot("quit while")
	c.press("q")
	_, cmd := c.app.Update(keyPress("y"))
	if cmd != nil {
		t.Error("a y typed at once quits")
	}
	c.wall = c.wall.Add(time.Second)
	if _, cmd = c.app.Update(keyPress("y")); cmd == nil {
		t.Fatal("y does not quit")
	}
	if _, ok := cmd().(tea.QuitMsg); !ok {
		t.Error("y does not quit")
	}
	if err := c.app.work.close(); err != nil || !d.op.canceled {
		t.Errorf("the operation was left running: %v", err)
	}
}

func TestInterruptedOperationsAreToldAndResumed(t *testing.T) {
	d := sampleDesk()
	d.left = []Unfinished{{ID: "20261121-090000-ab12", Verb: ops.Redrive, From: arn("sqs", "orders-failed"), Started: sampleNow.Add(-29 * time.Hour), By: "jo", Total: 31, Sent: 20, Deleted: 18, Open: 3}}
	c := openConsole(t, deskOptions(d), 120, 36)
	c.sees("1 operation of an earlier run did not end; O shows what is left to do")
	c.press("O")
	c.sees("interrupted", "redrive of orders-failed")
	c.press("enter")
	c.sees("resume: this session is read-only")
	c.press("U", "enter")
	c.sees("resume redrive of orders-failed?", "31, of them 20 sent and 18 deleted", "3 sends without an answer")
	c.press("y")
	if !slices.Equal(d.resumed, []string{"20261121-090000-ab12"}) {
		t.Fatalf("resumed %v", d.resumed)
	}
	c.press("O")
	c.seesNot("interrupted")
}

func TestWhileAnOperationRunsNothingElseIsPlanned(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("U", "y", "esc")
	d.op.set(func(p *ops.Progress) { p.Sent, p.Deleted = 11, 11 })
	c.sample()
	c.sees("redrive running 35%, 11 of 31 sent", "31 letters")
	asked := len(d.asks)
	for _, key := range []string{"d", "X", "M", "K"} {
		c.press(key)
		c.sees("operation 20261122-143000-0001 is running on orders-failed; O shows it")
	}
	if len(d.asks) != asked || len(d.started) != 1 {
		t.Errorf("%d plans, %d started", len(d.asks), len(d.started))
	}
	p := d.op.Progress()
	p.State, p.Sent, p.Deleted = ops.Finished, 31, 31
	d.letters = slices.DeleteFunc(d.letters, func(x ops.Letter) bool { return x.Cause.Key == "orders-OrderPlaced-77d0" })
	c.app.triage().pile.(*pileOfValues).letters = d.letters // the desk forgets what was deleted
	d.op.end(ops.Result{Progress: p})
	_, cmd := c.app.Update(sampleRuns(c.app.work.active()))
	c.run(cmd)
	c.sees("3 groups", "11 letters")
	c.seesNot("redrive running")
	c.press("d")
	c.sees("redrive orders-failed", "steps, and the aws-cli lines")
}

func TestAnOperationThatWasLeftIsToldAfterTheConsole(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.press("U", "y")
	d.op.set(func(p *ops.Progress) { p.Sent, p.Deleted = 11, 11 })
	if err := c.app.work.close(); err != nil {
		t.Fatal(err)
	}
	left := c.app.work.leftOver()
	if len(left) != 1 || left[0].ID != "20261122-143000-0001" || left[0].Sent != 11 {
		t.Errorf("left over: %+v", left)
	}

	d = sampleDesk()
	c = planned(t, d)
	c.press("U", "y")
	p := d.op.Progress()
	p.State, p.Sent, p.Deleted = ops.Finished, 31, 31
	d.op.end(ops.Result{Progress: p})
	c.sample()
	if left := c.app.work.leftOver(); len(left) != 0 {
		t.Errorf("a whole operation is left over: %+v", left)
	}
}

func TestTheDemoPromisesNoResume(t *testing.T) {
	o := deskOptions(sampleDesk())
	o.Demo = "incident"
	c := openConsole(t, o, 120, 36)
	c.press(":")
	c.typed("triage orders-failed")
	c.press("enter", "enter", "down", "d", "U", "y")
	c.sees("The demo's operations end with it.")
	c.seesNot("dlq resume")
	c.press("q")
	c.sees("This is the demo: its operations end with it")
	c.seesNot("dlq resume")
}

func TestAPlanSaysWhyYDoesNothing(t *testing.T) {
	d := sampleDesk()
	c := planned(t, d)
	c.sees("y locked: U unlocks")
	c.press("q")
	c.sees("this is a question: esc leaves it", "redrive orders-failed")
	c.press("U")
	c.app.note = note{}
	c.sees("y apply")
	c.app.dialog.(*planDialog).planning = true
	c.sees("y wait")

	d = sampleDesk()
	d.blockers = []string{"a move task is running"}
	c = planned(t, d)
	c.sees("BLOCKED", "esc no, leave it")
	c.seesNot("y locked", "y apply", "y wait")
}

func TestTheTimeOfWatchingIsTold(t *testing.T) {
	for _, x := range []struct {
		n      int
		canary bool
		want   float64
	}{{1, true, 60}, {2, true, 60 + 30}, {11, true, 60 + 30}, {12, true, 60 + 60}, {111, true, 60 + 60}, {112, true, 60 + 90}, {5000, true, 60 + 90}, {5000, false, 60}} {
		p := ops.Plan{Verb: ops.Redrive, Manifest: make([]ops.Entry, x.n), Pace: ops.Pace{Canary: x.canary, CanaryWait: 30, Watch: 60}}
		if got := watchTime(&p); got != x.want {
			t.Errorf("%d messages, canary %v: %v s, want %v", x.n, x.canary, got, x.want)
		}
	}
	p := ops.Plan{Verb: ops.Redrive, ETA: 1, Manifest: make([]ops.Entry, 25), Pace: ops.Pace{Canary: true, CanaryWait: 200, Watch: 200}}
	if got := takesWords(&p); got != "about 1s of sending, and up to 10m of watching for returns" {
		t.Error(got)
	}
}

func TestAPlanSaysWhichGroupsItIsAbout(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	c.press("d")
	c.sees("messages        42: all that the look read",
		" 31 orders · OrderPlaced · body", " 7 UnsupportedImage: cannot decode", " 3 UnexpectedEOF: cannot decode", " 1 s3:TestEvent of click-lake (harmless)")
	c.seesNot("letter")

	for i := range 6 { // more groups than there are lines
		x := d.letters[i]
		x.ID, x.Cause = fmt.Sprint("other-", i), &ops.Cause{Key: fmt.Sprint("k", i), Title: fmt.Sprint("other ", i)}
		d.letters = append(d.letters, x)
	}
	c = looked(t, d, 120, 36)
	c.press("d")
	c.sees(" 31 orders · OrderPlaced", " in 6 more groups (1 harmless)")
	c.seesNot("other 1")
}

func TestWhatAHaltedOperationDidNotBeginWithIsNotMissing(t *testing.T) {
	p := ops.Progress{State: ops.Halted, Total: 31, Sent: 8, Deleted: 8, Missing: 23}
	if leftOf(p) != 23 || lookedForAll(p) {
		t.Errorf("%d left", leftOf(p))
	}
	r := &run{progress: p, result: &ops.Result{Progress: p, MissingIDs: []string{"m-1"}}}
	if share := r.share(); share > 0.26 {
		t.Errorf("%.0f %% done", 100*share)
	}
	d := sampleDesk()
	c := planned(t, d)
	c.press("U", "y")
	p.ID, p.Verb, p.From = d.op.p.ID, ops.Redrive, arn("sqs", "orders-failed")
	d.op.end(ops.Result{Progress: p, MissingIDs: []string{"m-1"}})
	c.sample()
	c.sees("left                  23  not begun with", "not begun with (1)")
	c.seesNot("missing")
	c.press("O")
	c.sees("FAILED", "LEFT", "      0       23 ")
	c.seesNot("NOT SENT")
}

func TestKeepRaisesTheRetention(t *testing.T) {
	d := sampleDesk()
	c := openConsole(t, deskOptions(d), 120, 36)
	c.press("D", "K")
	c.sees("orders-failed keeps messages for 14d already, the most there is")
	if len(d.asks) != 0 {
		t.Fatalf("asked for %+v", d.asks)
	}
	short := *c.app.pic.queues[arn("sqs", "orders-failed")]
	short.Retention = 4 * 24 * time.Hour
	c.app.pic.queues[short.ARN] = &short
	c.press("K")
	c.sees("retention orders-failed", "new value       14d")
	if d.asks[0].Verb != ops.Retention || d.asks[0].Keep != ops.MaxRetention {
		t.Errorf("asked for %+v", d.asks[0])
	}
}

func TestArchiveAsksForItsFile(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	c.press("down", "X")
	c.sees("archive group orders-OrderPlaced-77d0 into: orders-failed-20261122-143000.jsonl")
	c.press("enter")
	if last := d.asks[0]; last.Verb != ops.Archive || last.File != "orders-failed-20261122-143000.jsonl" {
		t.Errorf("asked for %+v", last)
	}
}

func TestMoveTasks(t *testing.T) {
	d := sampleDesk()
	d.tasks = []Task{
		{Status: "RUNNING", Rate: 50, Moved: 40, Total: 118, Started: sampleNow.Add(-time.Minute)},
		{Status: "FAILED", To: arn("sqs", "orders"), Moved: 2, Total: 20, Started: sampleNow.Add(-time.Hour), Failure: "the destination queue was deleted while it ran"},
	}
	c := openConsole(t, deskOptions(d), 120, 36)
	c.press("D")
	_, cmd := c.app.Update(keyPress("N"))
	c.once(cmd)
	c.sees("RUNNING", "40 moved of 118 (this counter lags)", "the queue holds", "FAILED", "the destination queue was deleted", "at most 50 a second")
	c.press("c")
	c.sees("cancel: this session is read-only")
	c.press("U", "c", "y")
	c.sees("CANCELLED", "SQS says it had moved about 40")
}

// once runs a command and feeds what it brings back, without what follows from it.
func (c *console) once(cmd tea.Cmd) {
	c.t.Helper()
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, cmd := range msg {
			c.once(cmd)
		}
	default:
		c.app.Update(msg)
	}
}

func TestEditing(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	c.press("e")
	c.sees("edit: choose a letter first")
	c.press("down", "tab")
	s := c.app.triage()
	m := s.reader.msg
	file := filepath.Join(t.TempDir(), "edited.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(m.Body, `"city":"Utrecht"`, `"city":"Utrecht","zip":"3526 KL"`, 1))
	_, cmd := c.app.Update(s.editRead(m, file, nil))
	c.run(cmd)
	c.sees("edit orders-failed", "what was changed", `+     "zip": "3526 KL",`)
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Error("the editor's file was left behind")
	}
	if got := d.asks[0]; got.Edited == nil || !strings.Contains(got.Edited.Body, "3526 KL") {
		t.Errorf("asked for %+v", got)
	}
	c.press("esc")
	write("{broken")
	_, cmd = c.app.Update(s.editRead(m, file, nil))
	c.run(cmd)
	c.sees("this cannot be sent", "line 1: no JSON any more", "y open the editor again")
	c.press("esc")
	write(m.Body)
	_, cmd = c.app.Update(s.editRead(m, file, nil))
	c.run(cmd)
	c.sees("nothing was changed, so nothing is planned")
	_, cmd = c.app.Update(s.editRead(m, file, errors.New("exit status 1")))
	c.run(cmd)
	c.sees("edit: the editor: exit status 1")
}

func TestPointers(t *testing.T) {
	d := sampleDesk()
	for id, layers := range d.layers {
		layers[len(layers)-1].Pointer = &ops.Pointer{Kind: ops.KinesisRange, Stream: arn("kinesis", "payments"), Shard: "shardId-000000000000", From: "4901", To: "4902", Records: 2, Function: arn("lambda", "payments-ledger")}
		d.layers[id] = layers
	}
	c := looked(t, d, 120, 36)
	c.press("tab", "enter")
	c.sees("data is in  payments shardId-000000000000, 2 records", "trimmed in  3h; F reads it, B finds the record that fails")
	c.press("F")
	c.sees("record 4902", "2 records read", `"amount": 12`)
	c.press("B")
	c.sees("poison: this session is read-only")
	c.press("U", "B")
	c.sees("find the poison record?", "payments-ledger", "runs again on records")
	c.press("y")
	c.sees("poison record", `"amount": null`)
}

func TestHeaderCountsTheUnlockDown(t *testing.T) {
	d := sampleDesk()
	c := openConsole(t, deskOptions(d), 60, 16)
	c.press("U")
	c.sees("CHANGE 10:00")
	c.wall = c.wall.Add(20 * time.Second)
	c.sees("CHANGE 9:")
}
