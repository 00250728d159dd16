package dlq

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
	"kxops/ops/payload"
)

var testQueue = ops.Queue{ARN: "arn:aws:sqs:eu-west-1:000000000000:dead", Name: "dead", Retention: 14 * 24 * time.Hour}

func readMessage(m ops.Message, known *causes) ops.Letter {
	return read(m, payload.Peel(m), testQueue, known)
}

func TestExpiryIsSentPlusRetention(t *testing.T) {
	m := aged("1", `{}`, 13*24*time.Hour)
	for _, c := range []struct {
		say  string
		q    ops.Queue
		m    ops.Message
		want time.Time
	}{
		{"standard", ops.Queue{Retention: 14 * 24 * time.Hour}, m, night.Add(24 * time.Hour)},
		{"retention shorter than the age", ops.Queue{Retention: 4 * 24 * time.Hour}, m, night.Add(-9 * 24 * time.Hour)},
		{"FIFO: the earliest it can be", ops.Queue{FIFO: true, Retention: 14 * 24 * time.Hour}, m, night.Add(24 * time.Hour)},
		{"retention unknown", ops.Queue{}, m, time.Time{}},
		{"time unknown", ops.Queue{Retention: time.Hour}, ops.Message{}, time.Time{}},
	} {
		if got := expiry(c.m, c.q); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", c.say, got, c.want)
		}
	}
}

func TestPrintIsEqualForExactDuplicatesOnly(t *testing.T) {
	base := func() ops.Message {
		return ops.Message{Body: `{"a":1}`, Attributes: map[string]ops.Attribute{"k": {Type: "String", Text: "v"}}}
	}
	of := func(change func(*ops.Message)) string {
		m := base()
		change(&m)
		return fingerprint(m, m.Sum())
	}
	same := of(func(*ops.Message) {})
	for say, change := range map[string]func(*ops.Message){
		"another body":       func(m *ops.Message) { m.Body += " " },
		"another value":      func(m *ops.Message) { m.Attributes["k"] = ops.Attribute{Type: "String", Text: "w"} },
		"another type":       func(m *ops.Message) { m.Attributes["k"] = ops.Attribute{Type: "Number", Text: "v"} },
		"another name":       func(m *ops.Message) { m.Attributes = map[string]ops.Attribute{"kv": {Type: "String"}} },
		"one more":           func(m *ops.Message) { m.Attributes["l"] = ops.Attribute{Type: "String", Text: "v"} },
		"none":               func(m *ops.Message) { m.Attributes = nil },
		"a lone RequestID":   func(m *ops.Message) { m.Attributes["RequestID"] = ops.Attribute{Type: "String", Text: "r"} },
		"bytes, not letters": func(m *ops.Message) { m.Attributes["k"] = ops.Attribute{Type: "Binary", Bytes: []byte("v")} },
	} {
		if of(change) == same {
			t.Errorf("%s has the same print", say)
		}
	}
	if of(func(m *ops.Message) { m.ID, m.System = "other", map[string]string{"SentTimestamp": "1"} }) != same {
		t.Error("the same payload under another id has another print")
	}
	lambda := func(request string) string {
		m := ops.Message{Body: "{}", Attributes: map[string]ops.Attribute{"RequestID": {Type: "String", Text: request}, "ErrorCode": {Type: "Number", Text: "200"}, "ErrorMessage": {Type: "String", Text: "x"}}}
		return fingerprint(m, m.Sum())
	}
	if lambda("1") != lambda("2") {
		t.Error("two attempts of one event are not duplicates")
	}
}

func TestLetterTellsWhatAListShows(t *testing.T) {
	known := newCauses()
	test := readMessage(aged("t", `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-20T10:00:00.000Z","Bucket":"b","RequestId":"R","HostId":"H"}`, time.Hour), known)
	if test.Harmless == "" || test.Event != "s3:TestEvent" || test.Encoded || test.Cause.Stated {
		t.Errorf("test event: %+v", test)
	}
	g := newProducerFor(t)
	pointer := readMessage(g.pointer("f", "KinesisBatchInfo", "arn:aws:kinesis:eu-west-1:000000000000:stream/s"), known)
	if !pointer.Pointer || pointer.Failed.IsZero() || pointer.Origin != function("f") || pointer.Cause.Type != "RetryAttemptsExhausted" {
		t.Errorf("pointer: %+v %+v", pointer, pointer.Cause)
	}
	if l := readMessage(aged("z", packed(`{"a":1}`), time.Hour), known); !l.Encoded {
		t.Error("gzip does not count as encoded")
	}
	if l := readMessage(g.envelope("t", `plain`), known); l.Encoded || l.Origin != "arn:aws:sns:eu-west-1:000000000000:t" {
		t.Errorf("envelope: %+v", l)
	}
	if l := readMessage(g.envelope("t", `{"json":"in json"}`), known); !l.Encoded {
		t.Error("JSON in a string does not count as encoded")
	}
}

// Several receives fill one pile: the table is shared, and a cause is one pointer.
func TestCausesAreSharedByConcurrentReaders(t *testing.T) {
	known := newCauses()
	messages := corpus(5, 400)
	letters := make([]ops.Letter, len(messages))
	var readers sync.WaitGroup
	for w := range 4 {
		readers.Go(func() {
			for i := w; i < len(messages); i += 4 {
				letters[i] = readMessage(messages[i].Message, known)
			}
		})
	}
	readers.Wait()
	byKey := map[string]*ops.Cause{}
	for _, l := range letters {
		if c := byKey[l.Cause.Key]; c != nil && c != l.Cause {
			t.Fatalf("cause %s exists twice", l.Cause.Key)
		}
		byKey[l.Cause.Key] = l.Cause
	}
}

func TestGroupsCountWhatMatters(t *testing.T) {
	known := newCauses()
	var letters []ops.Letter
	for i, age := range []time.Duration{3 * time.Hour, time.Hour, 2 * time.Hour} {
		m := aged(strconv.Itoa(i), `{"a":`+strconv.Itoa(i%2)+`}`, age)
		m.System[ops.SourceAttribute] = []string{"arn:aws:sqs:eu-west-1:000000000000:b", "arn:aws:sqs:eu-west-1:000000000000:a"}[i%2]
		l := readMessage(m, known)
		l.Cause = known.cause(evidence{shape: "one"}, nil)
		l.Pointer = i == 1
		letters = append(letters, l)
	}
	letters = append(letters, ops.Letter{ID: "unread"}) // a letter without a cause is in no group
	got := Groups(letters)
	if len(got) != 1 {
		t.Fatalf("%d groups", len(got))
	}
	g := got[0]
	want := ops.CauseGroup{Cause: g.Cause, Keys: []string{g.Cause.Key}, Count: 3, Distinct: 2, Bytes: 21, FirstSent: night.Add(-3 * time.Hour), LastSent: night.Add(-time.Hour),
		FirstLoss: night.Add(-3*time.Hour + testQueue.Retention), Sources: []ops.ARN{"arn:aws:sqs:eu-west-1:000000000000:a", "arn:aws:sqs:eu-west-1:000000000000:b"}, Sample: "1", Pointers: 1}
	if d := cmp.Diff(want, g); d != "" {
		t.Error(d)
	}
}
