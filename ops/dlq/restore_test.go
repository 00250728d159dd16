package dlq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// fileOf writes messages as an export would.
func fileOf(t *testing.T, messages ...ops.Message) string {
	t.Helper()
	text := `{"schema":"kxops/message/v1","at":"2026-11-22T00:00:00Z"}` + "\n"
	for _, m := range messages {
		line, err := encodeMessage(m)
		if err != nil {
			t.Fatal(err)
		}
		text += string(line)
	}
	path := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// content is what of a message must survive an archive and a restore.
func content(m ops.Message) string {
	attributes := ""
	for _, n := range m.AttributeNames() {
		a := m.Attributes[n]
		attributes += fmt.Sprintf("%s %s %q %x;", n, a.Type, a.Text, a.Bytes)
	}
	return fmt.Sprintf("%q %s trace %q group %q", m.Body, attributes, m.System[ops.TraceAttribute], m.Group())
}

// legal makes a random message one that SQS takes.
func legal(m ops.Message) ops.Message {
	clean := func(s string) string { return "." + strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "") }
	m.Body = clean(m.Body)
	for n, a := range m.Attributes {
		if !isBinary(a.Type) && a.Type != "Number.float" {
			a.Text = clean(a.Text)
			m.Attributes[n] = a
		}
	}
	m.System = map[string]string{ops.TraceAttribute: "Root=1-5759e988-bd862e3fe1be46a994272793"}
	return m
}

func TestArchiveAndRestoreIsTheSame(t *testing.T) {
	b := redriveBench(t)
	dead := b.queue("a-dlq", nil)
	r := rand.New(rand.NewPCG(3, 4))
	want := map[string]int{}
	var all []ops.Message
	for i := range 60 {
		m := legal(randomMessage(r, fmt.Sprintf("m-%d", i)))
		want[content(m)]++
		all = append(all, m)
	}
	put := b.plan(ops.Ask{Verb: ops.Import, Queue: queueOf(dead), File: fileOf(t, all...)})
	if len(put.Blockers) > 0 {
		t.Fatal(put.Blockers)
	}
	if r := b.apply(put); r.State != ops.Finished || r.Sent != 60 || r.Deleted != 0 || r.Pending != 0 {
		t.Fatalf("%s: %+v %v", r.State, r, r.Problem)
	}
	path := filepath.Join(t.TempDir(), "archive.jsonl")
	if r := b.apply(b.plan(ops.Ask{Verb: ops.Archive, Queue: queueOf(dead), Select: ops.Selection{All: true}, File: path})); r.State != ops.Finished || r.Deleted != 60 {
		t.Fatalf("archive %s: %+v %v", r.State, r, r.Problem)
	}
	back := b.plan(ops.Ask{Verb: ops.Restore, Queue: queueOf(dead), File: path})
	if !strings.Contains(strings.Join(back.CannotUndo, " "), "DeadLetterQueueSourceArn") {
		t.Errorf("what cannot be brought back is not said: %q", back.CannotUndo)
	}
	if r := b.apply(back); r.State != ops.Finished {
		t.Fatalf("restore %s: %+v %v", r.State, r, r.Problem)
	}
	got := map[string]int{}
	for n := 0; n < 60; {
		out, err := b.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &dead, MaxNumberOfMessages: 10, VisibilityTimeout: 3600,
			WaitTimeSeconds: 1, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"All"}})
		if err != nil || len(out.Messages) == 0 {
			t.Fatalf("%d of 60 came, %v", n, err)
		}
		for _, m := range out.Messages {
			got[content(received(m, "", b.Now(), b.Now()))]++
			n++
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the messages are not what they were:\n%s", d)
	}
}

func TestImportOfAMalformedFileSendsNothing(t *testing.T) {
	b := redriveBench(t)
	to := b.queue("to", nil)
	path := fileOf(t, ops.Message{ID: "a", Body: "one"}, ops.Message{ID: "b", Body: "two"})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, "{\"body\": nonsense}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = b.desk.Plan(context.Background(), ops.Ask{Verb: ops.Import, Queue: queueOf(to), File: path}, nil)
	if err == nil || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("%v, want line 4", err)
	}
	if got := b.bodies(to); len(got) != 0 {
		t.Errorf("sent: %v", got)
	}
}

func TestImportRefusesWhatSQSWould(t *testing.T) {
	b := redriveBench(t)
	to := b.queue("to", map[string]string{"MaximumMessageSize": "1024"})
	fifo := b.queue("to.fifo", map[string]string{"FifoQueue": "true"})
	many := ops.Message{ID: "m", Body: "x", Attributes: map[string]ops.Attribute{}}
	for i := range 11 {
		many.Attributes[fmt.Sprint("a", i)] = ops.Attribute{Type: "String", Text: "x"}
	}
	for _, c := range []struct {
		queue string
		m     ops.Message
	}{
		{to, ops.Message{ID: "m", Body: strings.Repeat("x", 1025)}}, {to, ops.Message{ID: "m", Body: "a\x01"}}, {to, many}, {fifo, ops.Message{ID: "m", Body: "x"}},
	} {
		plan := b.plan(ops.Ask{Verb: ops.Import, Queue: queueOf(c.queue), File: fileOf(t, c.m)})
		if len(plan.Blockers) != 1 {
			t.Errorf("%.20q to %s: blockers %q", c.m.Body, c.queue, plan.Blockers)
		}
	}
}

func TestChangedFileIsRefused(t *testing.T) {
	b := redriveBench(t)
	to := b.queue("to", nil)
	path := fileOf(t, ops.Message{ID: "a", Body: "one"})
	plan := b.plan(ops.Ask{Verb: ops.Import, Queue: queueOf(to), File: path})
	line, err := encodeMessage(ops.Message{ID: "b", Body: "two"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(line); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if r := b.apply(plan); r.State != ops.Broken || r.Sent != 0 {
		t.Errorf("%s, %d sent", r.State, r.Sent)
	}
}

// The reply to a send is lost after SQS took it. On a standard queue the messages
// are unknown, named, and not sent again by a resume; on FIFO they arrive once.
func TestImportWithLostReplies(t *testing.T) {
	for _, end := range []string{"", ".fifo"} {
		b := redriveBench(t)
		attributes := map[string]string{}
		if end != "" {
			attributes["FifoQueue"] = "true"
		}
		to := b.queue("to"+end, attributes)
		var all []ops.Message
		for i := range 30 {
			all = append(all, ops.Message{ID: fmt.Sprintf("m-%d", i), Body: fmt.Sprintf("body %d", i), System: map[string]string{ops.GroupAttribute: fmt.Sprint(i % 7)}})
		}
		plan := b.plan(ops.Ask{Verb: ops.Import, Queue: queueOf(to), File: fileOf(t, all...)})
		b.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "sqs", Operation: "SendMessageBatch", Percent: 30})
		r := b.apply(plan)
		b.SetFaults()
		got := b.bodies(to)
		for body, n := range got {
			if n != 1 {
				t.Errorf("%s%s: %d times", body, end, n)
			}
		}
		if len(got) != 30 {
			t.Errorf("%d arrived in to%s, want every one: a lost reply is no loss", len(got), end)
		}
		if end == "" && (r.State != ops.Incomplete || r.Unknown == 0 || len(r.UnknownIDs) != r.Unknown || r.Sent+r.Unknown != 30) {
			t.Errorf("%s: %d sent, %d unknown", r.State, r.Sent, r.Unknown)
		}
		if end != "" && (r.State != ops.Finished || r.Sent != 30) {
			t.Errorf("FIFO %s: %d sent, %d unknown", r.State, r.Sent, r.Unknown)
		}
	}
}

// The program is killed after any line of its record. A resume sends exactly what
// the record does not call sent or intended; what is only intended is unknown.
func TestImportResumedAfterEachLine(t *testing.T) {
	b := redriveBench(t)
	dir := t.TempDir()
	b.changing(dir)
	to := b.queue("to", nil)
	var all []ops.Message
	for i := range 25 {
		all = append(all, ops.Message{ID: fmt.Sprintf("m-%d", i), Body: fmt.Sprintf("body %d", i)})
	}
	plan := b.plan(ops.Ask{Verb: ops.Import, Queue: queueOf(to), File: fileOf(t, all...)})
	if r := b.apply(plan); r.State != ops.Finished {
		t.Fatal(r.Problem)
	}
	path := filepath.Join(dir, "operations", plan.ID+".jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	begun := len(all) + 1 // its manifest and its beginning
	for n := begun; n < len(lines)-1; n += 3 {
		torn := strings.Join(lines[:n], "") + lines[n][:len(lines[n])/2]
		if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		sentBefore, intendedBefore := strings.Count(torn, `"is":"sent"`), 0
		for _, l := range strings.Split(strings.Join(lines[:n], ""), "\n") {
			if strings.Contains(l, `"is":"intent"`) {
				intendedBefore++
			}
		}
		sentWhole := strings.Count(strings.Join(lines[:n], ""), `"is":"sent"`)
		if sentBefore != sentWhole { // the torn line is no record
			sentBefore = sentWhole
		}
		before, _ := b.depth(to)
		o, err := b.desk.Resume(context.Background(), plan.ID)
		if err != nil {
			t.Fatal(err)
		}
		r := o.Wait()
		after, _ := b.depth(to)
		if want := len(all) - intendedBefore; after-before != want {
			t.Errorf("cut after line %d: %d were sent, want %d", n, after-before, want)
		}
		if want := intendedBefore - sentBefore; r.Unknown != want || len(r.UnknownIDs) != want || r.Sent != len(all)-want {
			t.Errorf("cut after line %d: %d unknown, %d sent, want %d unknown", n, r.Unknown, r.Sent, want)
		}
	}
}
