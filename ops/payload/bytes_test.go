package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"kxops/ops"
)

// What an envelope carries comes out as it went in: spaces, doubled keys, numbers
// that no float holds, escapes.
func TestEnvelopesGiveBackTheirBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 1000 {
		doc := randomJSON(rng, 4)
		text := doc
		if rng.IntN(3) == 0 {
			text = randomText(rng)
		}
		carries(t, envelope(text), "SNS envelope", text)
		carries(t, destination(doc), "Lambda destination", strings.Trim(doc, " \n\t"))
		carries(t, `{"version":"0","detail-type":"T","source":"s","detail":`+doc+`}`, "EventBridge event", strings.Trim(doc, " \n\t"))
		carries(t, `{`+streamContext+`,"KinesisBatchInfo":{"shardId":"s"},"payload":`+quote(text)+`}`, "Kinesis pointer", text)
		carries(t, `{"attemptsMade":1,"rawData":"`+as64(text)+`"}`, "Firehose error", text)
		if round%20 != 0 {
			continue // packing takes most of the time
		}
		carries(t, as64(packGzip(text, "", doc)), "gzip", text+doc)
		carries(t, as64(append(packZstd(text), packZstd(doc)...)), "zstd", text+doc)
		carries(t, as64(packZstd(text+orderJSON)), "zstd", text+orderJSON) // nothing at all packs to less than is tried
	}
}

func carries(t *testing.T, body, kind, want string) {
	t.Helper()
	for _, l := range Peel(ops.Message{Body: body}) {
		if l.Kind == kind {
			if l.Body == nil || string(l.Body) != want {
				t.Fatalf("%s gave\n%q, it carried\n%q", kind, l.Body, want)
			}
			return
		}
	}
	t.Fatalf("no %s in %.300q", kind, body)
}

func randomJSON(rng *rand.Rand, depth int) string {
	pad := strings.Repeat([]string{" ", "\n", "\t"}[rng.IntN(3)], rng.IntN(3))
	n := rng.IntN(4)
	var b strings.Builder
	b.WriteString(pad)
	switch kind := rng.IntN(7); {
	case kind < 3 && depth > 0:
		b.WriteByte('{')
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `%s%q%s:%s`, pad, []string{"a", "a", "requestPayload", "detail", "TopicArn", ""}[rng.IntN(6)], pad, randomJSON(rng, depth-1))
		}
		b.WriteByte('}')
	case kind < 4 && depth > 0:
		b.WriteByte('[')
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(randomJSON(rng, depth-1))
		}
		b.WriteByte(']')
	case kind < 6:
		b.WriteString([]string{"1e999", "-0", "0.10", "123456789012345678901234567890", "1E+2", "true", "false", "null"}[rng.IntN(8)])
	default:
		b.WriteString([]string{quote(randomText(rng)), `"\u00e9\ud83d\ude00\/"`, `""`, `"\ud83d"`}[rng.IntN(4)])
	}
	b.WriteString(pad)
	return b.String()
}

func randomText(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.IntN(40) {
		b.WriteString([]string{"a", " ", "\"", "\\", "\n", "\x00", "ü", "😀", "\u2028", "<&>", "{", "}", "=", "\x7f"}[rng.IntN(14)])
	}
	return b.String()
}

// Documents that are broken, wild or hostile: no crash, and nothing is made of them
// that they are not.
func TestWildBodies(t *testing.T) {
	deep := strings.Repeat("[", 1<<20)
	twice := `{"TopicArn":"a","MessageId":"1","Type":"Notification","Message":"first","Message":"last"}`
	for _, c := range []struct{ body, kind, inside string }{
		{"", "text", ""},
		{" ", "text", " "},
		{deep, "text", deep},
		{strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19), "JSON", strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19)},
		{strings.Repeat(`{"a":`, 1<<17), "text", strings.Repeat(`{"a":`, 1<<17)},
		{"{\"a\":\"\xff\xfe\"}", "JSON", "{\"a\":\"\xff\xfe\"}"},
		{"\xff\xfe\xfd", "binary", "\xff\xfe\xfd"},
		{`{"a":1,}`, "text", `{"a":1,}`},
		{twice, "text", "last"},
		{`null`, "text", "null"},
		{`{"Records":[]}`, "JSON", `{"Records":[]}`},
		{`{"Records":null}`, "JSON", `{"Records":null}`},
		{`{"Records":[{"eventSource":"aws:s3"}]}`, "JSON", `{"Records":[{"eventSource":"aws:s3"}]}`},
		{`{"TopicArn":7,"MessageId":1,"Type":[],"Message":{}}`, "JSON", `{"TopicArn":7,"MessageId":1,"Type":[],"Message":{}}`},
		{`{"requestContext":"x","requestPayload":1}`, "JSON", `{"requestContext":"x","requestPayload":1}`},
		{`{"KinesisBatchInfo":[]}`, "JSON", `{"KinesisBatchInfo":[]}`},
		{`["x.PayloadS3Pointer"]`, "JSON", `["x.PayloadS3Pointer"]`},
		{`{"awslogs":{"data":7}}`, "JSON", `{"awslogs":{"data":7}}`},
	} {
		m := ops.Message{Body: c.body}
		got := Peel(m)
		if last := got[len(got)-1].Kind; last != c.kind || string(Innermost(got, m)) != c.inside {
			t.Errorf("%.60q is %v, inside %.60q", c.body, kinds(got), Innermost(got, m))
		}
	}
}

func TestWhatIsNotBase64(t *testing.T) {
	for _, word := range []string{
		"notificationservice", "internationalisation", "supercalifragilisticexpialidocious", "AKIAIOSFODNN7EXAMPLE",
		"d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "1234567890123456", "0000000000000000", "AAAAAAAAAAAAAAAAAAAA",
		"orders/2026/11/22/part", "hello", "aGVsbG8=", "aGVsbG8gd29ybGQgaGVsbG8=x", "====================",
		"eyJhIjoxfQ==eyJhIjoxfQ==", "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEYabcdefghi",
	} {
		if got := kinds(Peel(ops.Message{Body: word})); got[0] != "text" {
			t.Errorf("%s is taken for %v", word, got)
		}
	}
	for _, text := range []string{as64(orderJSON) + "\n", strings.TrimRight(as64(`{"a":1,"b":22}`), "="), "eyJ1cmwiOiJodHRwczovL34_Pz8_In0"} {
		if got := kinds(Peel(ops.Message{Body: text})); got[0] != "base64" || got[1] != "JSON" {
			t.Errorf("%s is taken for %v", text, got)
		}
	}
}

func TestWhatBase64Holds(t *testing.T) {
	for text, kind := range map[string]string{
		"{\"a\":1}\n{\"a\":2}\n": "JSON lines", "<order id=\"1\"/>": "text", as64(orderJSON): "base64", quote(orderJSON): "JSON in JSON", "[1,2,3,4,5,6,7]": "JSON",
	} {
		if got := kinds(Peel(ops.Message{Body: as64(text)})); got[0] != "base64" || got[1] != kind {
			t.Errorf("%q in base64 is taken for %v", text, got)
		}
	}
}

func TestBombs(t *testing.T) {
	zeros := strings.Repeat("\x00", maxUnpacked+1)
	twice := packGzip(string(packGzip(strings.Repeat("0", maxUnpacked-100)))) // the inner one has no room left
	for name, body := range map[string]string{"gzip": as64(packGzip(zeros)), "zstd": as64(packZstd(zeros)), "gzip in gzip": as64(twice)} {
		m := ops.Message{Body: body}
		got := Peel(m)
		last := got[len(got)-1]
		if last.Body != nil || !hasFact(last, "Too large") {
			t.Errorf("%s: %v, %v", name, kinds(got), last.Facts)
		}
		if n := len(Innermost(got, m)); n > 1<<20 {
			t.Errorf("%s: %d bytes inside", name, n)
		}
	}
	layers := orderJSON
	for range 40 {
		layers = quote(layers)
		if len(layers) > 1<<20 {
			break
		}
	}
	got := Peel(ops.Message{Body: layers})
	if len(got) != maxLayers || !hasFact(got[maxLayers-1], "Stopped") {
		t.Errorf("%d layers, the last says %v", len(got), got[len(got)-1].Facts)
	}
	cut := packGzip(strings.Repeat(orderJSON, 400))
	got = Peel(ops.Message{Body: as64(cut[:len(cut)-20])})
	if !hasFact(got[1], "Damaged") || len(got[1].Body) == 0 {
		t.Errorf("cut: %v %v", kinds(got), got[1].Facts)
	}
}

func hasFact(l ops.Layer, name string) bool {
	for _, f := range l.Facts {
		if f.Name == name {
			return true
		}
	}
	return false
}

func FuzzPeel(f *testing.F) {
	for _, s := range samples() {
		name, value := "", ""
		for n, a := range s.message.Attributes {
			name, value = n, a.Text
		}
		f.Add(s.message.Body, name, value)
	}
	f.Add("KLUv/QBYCQAAAA==", "ErrorMessage", `{"errorMessage":"a`)
	f.Add("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x00\x00\xff\xff\x00\x00\x00\x00", "RULE_ARN", "\xff")
	f.Add(string(aggregate(kplRecords...)), "IS_PAYLOAD_TRUNCATED", "true")
	names := map[string]bool{}
	for _, l := range layers {
		names[l.name] = true
	}
	f.Fuzz(func(t *testing.T, body, name, value string) {
		m := ops.Message{Body: body, Attributes: map[string]ops.Attribute{name: {Type: "String", Text: value},
			"RequestID": {Type: "String", Text: value}, "ErrorCode": {Type: "Number", Text: value}}}
		got := Peel(m)
		if len(got) == 0 || len(got) > maxLayers {
			t.Fatalf("%d layers", len(got))
		}
		before := []byte(body)
		for i, l := range got {
			if !names[l.Kind] {
				t.Fatalf("layer %q", l.Kind)
			}
			if last := i == len(got)-1; l.Body == nil != last && len(got) < maxLayers {
				t.Fatalf("layer %d of %v has the body %q", i, kinds(got), l.Body)
			}
			switch l.Kind {
			case "Lambda dead letter", "EventBridge dead letter", "Scheduler dead letter", "SNS raw delivery":
				if string(l.Body) != body {
					t.Fatalf("%s changed the body", l.Kind)
				}
			case "EventBridge event", "Lambda destination":
				if !bytes.Contains(before, l.Body) || !Valid(l.Body) {
					t.Fatalf("%s has made up %q of %q", l.Kind, l.Body, before)
				}
			}
			before = l.Body
		}
		Innermost(got, m)
		Summary(got)
	})
}

// FuzzJSON compares with the standard library's parser.
func FuzzJSON(f *testing.F) {
	for _, s := range samples() {
		f.Add([]byte(s.message.Body))
	}
	for _, s := range []string{`{"a":[1,{"b":"\ud83d\ude00"}],"a":-0.5e+9}`, `"\ud800"`, `[01]`, `{"a" 1}`, "\"\x1f\"", `[1,]`, `"\x"`, `tru`, `-`, `{"":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := Valid(b), json.Valid(b); got != want && bytes.Count(b, []byte{'['})+bytes.Count(b, []byte{'{'}) < 10_000 {
			t.Fatalf("%q: valid %v, the standard library says %v", b, got, want)
		}
		if got := Walk(b, func(path, raw []byte) {
			if !Valid(raw) || len(path) > 2*maxPath {
				t.Fatalf("leaf %q at %q", raw, path)
			}
		}); got != Valid(b) {
			t.Fatalf("%q: walked %v", b, got)
		}
		var s string
		if json.Unmarshal(b, &s) == nil {
			got, ok := Unquote(trim(b))
			if string(trim(b)) == "null" {
				return
			}
			// We keep bytes that are not UTF-8, the library replaces each.
			if !ok || string([]rune(string(got))) != s {
				t.Fatalf("%q: %q, the standard library says %q", b, got, s)
			}
		}
		var m map[string]json.RawMessage
		if json.Unmarshal(b, &m) != nil {
			return
		}
		for name, want := range m {
			if strings.ContainsRune(name, '\ufffd') {
				continue // the library's own repair of a broken name
			}
			if got, ok := Field(b, name); !ok || !bytes.Equal(got, want) {
				t.Fatalf("%q: %q is %q, the standard library says %q", b, name, got, want)
			}
		}
	})
}
