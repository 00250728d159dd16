package body

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// text is what a person reads of the visible lines.
func text(d *Doc) string {
	var b strings.Builder
	for i := range d.Len() {
		l := d.Line(i)
		b.WriteString(strings.Repeat("  ", l.Indent))
		for _, s := range l.Spans {
			b.WriteString(s.Text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

const sample = `{"id":12345678901234567890123,"name":"a \u00e9","none":{},"list":[1,2.50e+3,{"deep":true}],"n":null}`

func TestJSONIsLaidOutAndNothingIsChanged(t *testing.T) {
	want := `{
  "id": 12345678901234567890123,
  "name": "a \u00e9",
  "none": {},
  "list": [
    1,
    2.50e+3,
    {
      "deep": true
    }
  ],
  "n": null
}
`
	d := New([]byte(sample))
	if diff := cmp.Diff(want, text(d)); diff != "" {
		t.Error(diff)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text(d))); err != nil || compact.String() != sample {
		t.Errorf("what is shown is not what came: %v %s", err, compact.String())
	}
	if got := text(Raw([]byte(sample))); got != sample+"\n" {
		t.Errorf("raw shows %q", got)
	}
}

func TestLooks(t *testing.T) {
	d := New([]byte(sample))
	got := map[Look]string{}
	for i := range d.Len() {
		for _, s := range d.Line(i).Spans {
			got[s.Look] += s.Text + "|"
		}
	}
	want := map[Look]string{
		Key: `"id"|"name"|"none"|"list"|"deep"|"n"|`, String: `"a \u00e9"|`, Number: "12345678901234567890123|1|2.50e+3|", Word: "true|null|",
		Mark: "{|: |,|: |,|: |{}|,|: |[|,|,|{|: |}|]|,|: |}|",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNoJSONIsText(t *testing.T) {
	for _, s := range []string{
		"", "hello", `{"a":1`, `{"a":01}`, `{"a":1,}`, `{a:1}`, `[1 2]`, "{\"a\":\"\n\"}", `{"a":"\x"}`, `{"a":1}}`, `[1.]`, `[-]`, `{"a":nul}`, `"lone"`, "12",
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
	} {
		if d := New([]byte(s)); d.JSON() {
			t.Errorf("%.20q was taken for JSON", s)
		} else if got := text(d); strings.ReplaceAll(got, "\n", "") != strings.ReplaceAll(s, "\n", "") {
			t.Errorf("%.20q is shown as %.40q", s, got)
		}
	}
}

func TestJSONLines(t *testing.T) {
	d := New([]byte("{\"a\":1}\n{\"a\":2}\n"))
	if !d.JSON() || d.Len() != 6 {
		t.Errorf("two values make %d lines:\n%s", d.Len(), text(d))
	}
}

func TestFolds(t *testing.T) {
	d := New([]byte(sample))
	if at := d.Toggle(5); at != 4 { // a number in the list folds the list
		t.Errorf("the cursor goes to line %d", at)
	}
	if got := text(d); !strings.Contains(got, `"list": [ 3 ],`) || strings.Contains(got, "deep") {
		t.Errorf("not folded:\n%s", got)
	}
	d.Toggle(4)
	if d.Len() != 13 {
		t.Errorf("%d lines after unfolding", d.Len())
	}
	d.FoldAll(1)
	if d.Len() != 7 {
		t.Errorf("%d lines with everything below the first level folded:\n%s", d.Len(), text(d))
	}
	d.FoldAll(1)
	if d.Len() != 13 {
		t.Errorf("%d lines after unfolding all", d.Len())
	}
}

func TestPaths(t *testing.T) {
	d := New([]byte(`{"Records":[{"s3":{"key":"x"}},{"s3":{"key":"y"}}],"n":[[7]]}`))
	var got []string
	for i := range d.Len() {
		if p := d.Path(i); strings.HasSuffix(p, "key") || strings.HasSuffix(p, "]") {
			got = append(got, p)
		}
	}
	want := []string{"Records[0]", "Records[0].s3.key", "Records[0]", "Records[1]", "Records[1].s3.key", "Records[1]", "n[0]", "n[0][0]"}
	if diff := cmp.Diff(want, dedup(got)); diff != "" {
		t.Error(diff)
	}
}

func dedup(all []string) []string {
	var out []string
	for _, s := range all {
		if len(out) == 0 || out[len(out)-1] != s {
			out = append(out, s)
		}
	}
	return out
}

func TestSearchUnfoldsWhatItFinds(t *testing.T) {
	d := New([]byte(sample))
	d.FoldAll(1)
	if n := d.Search("DEEP"); n != 1 {
		t.Fatalf("%d hits", n)
	}
	line, ok := d.Next(0, 1)
	if !ok || d.Path(line) != "list[2].deep" {
		t.Errorf("went to line %d, %q", line, d.Path(line))
	}
	var found []string
	for _, s := range d.Line(line).Spans {
		if s.Look == Found {
			found = append(found, s.Text)
		}
	}
	if diff := cmp.Diff([]string{"deep"}, found); diff != "" {
		t.Error(diff)
	}
	if n := d.Search("e"); n < 3 {
		t.Fatalf("%d hits", n)
	}
	first, _ := d.Next(-1, 1)
	second, _ := d.Next(first, 1)
	back, _ := d.Next(second, -1)
	if back != first || second <= first {
		t.Errorf("hits at %d, %d and back at %d", first, second, back)
	}
	if at, all := d.Hits(); at != 1 || all < 3 {
		t.Errorf("hit %d of %d", at, all)
	}
}

func TestBinaryIsHex(t *testing.T) {
	d := New([]byte("\x1f\x8b\x08abc\x00defghijklmnop"))
	if !d.Binary() || d.Len() != 2 {
		t.Fatalf("binary %v, %d lines", d.Binary(), d.Len())
	}
	if got := text(d); !strings.HasPrefix(got, "00000000  1f 8b 08 61 62 63 00 64  65 66 67 68 69 6a 6b 6c  ...abc.defghijkl\n00000010  6d 6e 6f 70") {
		t.Errorf("got\n%s", got)
	}
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("é", 10_000)
	if got := text(Raw([]byte(long))); strings.ReplaceAll(got, "\n", "") != long {
		t.Error("raw left something out")
	}
	d := New([]byte(`{"a":"` + long + `"}`))
	if got := text(d); !strings.Contains(got, "17,954 more bytes, raw shows them") {
		t.Errorf("the cut is not told: %s", got[len(got)-80:])
	}
}

func megabyte() []byte {
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for i := 0; b.Len() < 1<<20; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"orderId":"A-%06d","customer":"c-%05d","total":%d.25,"items":[{"sku":"MUG-201","qty":1,"price":14.2}],"ok":true}`, i, i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func BenchmarkNewMegabyte(b *testing.B) {
	src := megabyte()
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		New(src)
	}
}

func BenchmarkSearchMegabyte(b *testing.B) {
	d := New(megabyte())
	for b.Loop() {
		d.Search("A-000777")
	}
}

func FuzzNew(f *testing.F) {
	for _, s := range []string{sample, "{}", "[]", "[[", "\x00\xff", `{"a":"` + "\u2028" + `"}`, "[1,2]\n[3]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := New(b)
		for i := range d.Len() {
			d.Line(i)
			d.Path(i)
		}
		if d.JSON() {
			decoder := json.NewDecoder(bytes.NewReader(b))
			for decoder.More() {
				var v any
				if err := decoder.Decode(&v); err != nil {
					t.Errorf("%q was laid out as JSON: %v", b, err)
					break
				}
			}
		}
		d.FoldAll(0)
		d.Search("a")
		d.Next(0, 1)
	})
}
