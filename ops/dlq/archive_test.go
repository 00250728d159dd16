package dlq

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// randomMessage has a body and attributes of every kind of character and type.
func randomMessage(r *rand.Rand, id string) ops.Message {
	legal := []rune("\t\n\r aZ09\"\\<>&{}[]\u2028\u2029\uFFFD\uD7FF\uE000\U00010000\U0010FFFFéß漢😀\u0085\u007f")
	text := func(most int) string {
		var b strings.Builder
		for range r.IntN(most) {
			b.WriteRune(legal[r.IntN(len(legal))])
		}
		return b.String()
	}
	m := ops.Message{ID: id, Queue: "arn:aws:sqs:eu-west-1:123456789012:a-dlq", Body: text(300), At: time.UnixMilli(r.Int64N(2e12)).UTC(),
		System: map[string]string{ops.SentAttribute: "1700000000000", ops.TraceAttribute: "Root=" + text(20)}}
	if r.IntN(10) == 0 {
		m.Body += "\xff\xfe\x00" // cannot come from SQS; round-trips all the same
	}
	for i := range r.IntN(ops.MaxAttributes + 1) {
		if m.Attributes == nil {
			m.Attributes = map[string]ops.Attribute{}
		}
		name := fmt.Sprintf("a%d", i)
		switch r.IntN(4) {
		case 0:
			m.Attributes[name] = ops.Attribute{Type: "Number.float", Text: fmt.Sprint(r.Float64())}
		case 1:
			b := make([]byte, 1+r.IntN(40))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			m.Attributes[name] = ops.Attribute{Type: "Binary.png", Bytes: b}
		case 2:
			m.Attributes[name] = ops.Attribute{Type: "String", Text: "\xc3\x28" + text(5)}
		default:
			m.Attributes[name] = ops.Attribute{Type: "String", Text: text(30)}
		}
	}
	return m
}

// piled is a pile of messages that were never in a queue.
func piled(s *scene, messages []ops.Message) *Pile {
	p := newPile(s.desk, ops.Queue{ARN: "arn:aws:sqs:eu-west-1:123456789012:a-dlq", Name: "a-dlq"})
	for _, m := range messages {
		p.add(m)
	}
	return p
}

func readAll(t *testing.T, path string) (map[string]ops.Message, fileHeader) {
	t.Helper()
	got := map[string]ops.Message{}
	h, _, err := readMessages(path, func(_ int, m ops.Message) error { got[m.ID] = m; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return got, h
}

func TestExportRoundTrip(t *testing.T) {
	s := newScene(t, "")
	r := rand.New(rand.NewPCG(1, 2))
	want := map[string]ops.Message{}
	var all []ops.Message
	for i := range 300 {
		m := randomMessage(r, fmt.Sprintf("m-%d", i))
		want[m.ID] = m
		all = append(all, m)
	}
	pile := piled(s, all)
	for _, name := range []string{"a.jsonl", "a.jsonl.gz", "a.jsonl.zst"} {
		path := filepath.Join(t.TempDir(), name)
		n, err := s.desk.Export(t.Context(), pile, ops.Selection{All: true}, path)
		if err != nil || n != len(want) {
			t.Fatalf("export to %s: %d messages, %v", name, n, err)
		}
		got, h := readAll(t, path)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s: what was read is not what was written:\n%s", name, d)
		}
		if h.Schema != MessageSchema || h.Count != len(want) {
			t.Errorf("header %+v", h)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s: %v %v", name, info.Mode(), err)
		}
		before, _ := os.ReadFile(path)
		if _, err := s.desk.Export(t.Context(), pile, ops.Selection{All: true}, path); err == nil {
			t.Error("an existing file was overwritten")
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Error("the existing file was changed")
		}
	}
}

func TestBadFiles(t *testing.T) {
	good, err := encodeMessage(ops.Message{ID: "m-1", Body: "secret body"})
	if err != nil {
		t.Fatal(err)
	}
	head := `{"schema":"kxops/message/v1","at":"2026-11-22T00:00:00Z"}` + "\n"
	cases := []struct{ name, file, line, words string }{
		{"not JSON", head + string(good) + "hello secret\n", "line 3:", "no JSON"},
		{"cut off", head + string(good) + string(good[:len(good)/2]), "line 3:", "cut off"},
		{"foreign schema", `{"schema":"other/v1"}` + "\n" + string(good), "line 1:", "schema"},
		{"foreign field", head + `{"body":"x","payload":1}` + "\n", "line 2:", "payload"},
		{"no body", head + `{"message_id":"m"}` + "\n", "line 2:", "no \"body\""},
		{"changed", head + strings.Replace(string(good), "secret body", "secret bodY", 1), "line 2:", "changed"},
		{"lost lines", `{"schema":"kxops/message/v1","at":"2026-11-22T00:00:00Z","count":2}` + "\n" + string(good), "line 3:", "2 messages, it has 1"},
		{"empty", "", "line 1:", "no messages"},
		{"only a header", head, "line 2:", "no messages"},
		{"untyped attribute", head + `{"body":"x","attributes":{"a":{"text":"b"}}}` + "\n", "line 2:", "no type"},
		{"two files in one", head + string(good) + head + string(good), "line 3:", "second header"},
		{"array", "[1,2]\n", "line 1:", "no"},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), "in.jsonl")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := readMessages(path, func(int, ops.Message) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.line) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q and %q", c.name, err, c.line, c.words)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: a body is in the error: %v", c.name, err)
		}
	}
}

func TestReadsWhatTheAWSCommandPrints(t *testing.T) {
	const printed = `{
    "Messages": [
        {"MessageId": "a", "ReceiptHandle": "h", "MD5OfBody": "x", "Body": "{\"n\":1}", "Attributes": {"SentTimestamp": "1700000000000"},
         "MessageAttributes": {"k": {"StringValue": "v", "DataType": "String"}, "b": {"BinaryValue": "AAE=", "DataType": "Binary"}}},
        {"MessageId": "b", "Body": ""}
    ]
}
`
	want := map[string]ops.Message{
		"a": {ID: "a", Body: `{"n":1}`, System: map[string]string{"SentTimestamp": "1700000000000"},
			Attributes: map[string]ops.Attribute{"k": {Type: "String", Text: "v"}, "b": {Type: "Binary", Bytes: []byte{0, 1}}}},
		"b": {ID: "b"},
	}
	for _, text := range []string{printed, strings.ReplaceAll(printed, "\n", " ")} {
		path := filepath.Join(t.TempDir(), "in.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := readAll(t, path); !cmp.Equal(want, got) {
			t.Errorf("%s", cmp.Diff(want, got))
		}
	}
}
