package replay

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

func packed(t testing.TB, how string, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "":
		return text
	case "gzip":
		w = gzip.NewWriter(&b)
	case "members": // as when objects are joined
		half := len(text) / 2
		return append(packed(t, "gzip", text[:half]), packed(t, "gzip", text[half:])...)
	case "double":
		return packed(t, "gzip", packed(t, "gzip", text))
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	case "snappy":
		w = s2.NewWriter(&b, s2.WriterSnappyCompat())
	case "hadoop":
		return hadoopPacked(text, 256<<10, 64<<10)
	case "zip":
		z := zip.NewWriter(&b)
		f, err := z.Create("orders-1-2026-11-17")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read gives the bodies, the broken pieces and the places of an object.
func readAll(t testing.TB, stored io.Reader, after string) (bodies []string, broken []Broken, places []string, before []int) {
	t.Helper()
	err := readObject(stored, "bucket", "key", after, func(p Page) error {
		for _, r := range p.Records {
			bodies = append(bodies, string(r.Data))
		}
		broken = append(broken, p.Broken...)
		places, before = append(places, p.Place), append(before, len(bodies))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bodies, broken, places, before
}

var objects = map[string]struct {
	text   string
	want   []string
	broken int
}{
	"lines of JSON":      {"{\"a\":1}\n{\"a\":2}\r\n\n{\"a\":3}", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}, 0},
	"nothing between":    {`{"a":1}{"a":"}{"}{"a":{"b":"\"}"}}`, []string{`{"a":1}`, `{"a":"}{"}`, `{"a":{"b":"\"}"}}`}, 0},
	"over several lines": {"{\n  \"a\": {\n \"b\": 1}\n}\n{\"a\":2}\n", []string{"{\n  \"a\": {\n \"b\": 1}\n}", `{"a":2}`}, 0},
	"no JSON":            {"a;b\nc;d\n", []string{"a;b", "c;d"}, 0},
	"lists":              {"[1,2]\n[3]", []string{"[1,2]", "[3]"}, 0},
	"commas between":     {"{\"a\":1},{\"a\":2},\n{\"a\":3}\t{\"a\":4}", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`, `{"a":4}`}, 0},
	"plain, exactly":     {" a\tb\t\r\nc ;d\n\n", []string{" a\tb\t", "c ;d"}, 0},
	"a log":              {"[2026-11-23] started\n[2026-11-23] {ended}\n", []string{"[2026-11-23] started", "[2026-11-23] {ended}"}, 0},
	"never closed":       {"{\"a\":1\n{\"a\":2}\n{\"a\":[1,\n{\"a\":3}\n{\"a\":4}\n{\"a\":5,\n{\"a\":6}\n", []string{`{"a":2}`, `{"a":4}`, `{"a":6}`}, 3},
	"a text not closed":  {"{\"a\":\"1}\n{\"a\":2}\n", []string{`{"a":2}`}, 1},
	"closed too often":   {"{\"a\":1}}\n{\"a\":[2}\n{\"a\":3}\n", []string{`{"a":1}`, `{"a":3}`}, 2},
	"rubbish between":    {"{\"a\":1}\nrubbish {\"x\":1}\n{\"a\":2}", []string{`{"a":1}`, `{"a":2}`}, 1},
	"cut off":            {"{\"a\":1}\n{\"a\":", []string{`{"a":1}`}, 1},
	"empty":              {"", nil, 0},
	"an envelope":        {`{"kxops":"record/v1","id":"x","data":"` + base64.StdEncoding.EncodeToString([]byte("raw\x00")) + `"}`, []string{"raw\x00"}, 0},
	"not delivered": {`{"attemptsMade":4,"arrivalTimestamp":1763366400000,"errorCode":"Lambda.FunctionError","rawData":"` + base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)) + `"}` + "\n" +
		`{"errorCode":"x","RawData":"` + base64.StdEncoding.EncodeToString([]byte("two")) + `"}`, []string{`{"a":1}`, "two"}, 0},
}

// However an object is packed, its records are those that were put in, byte for byte.
func TestAnObjectIsReadHoweverItIsPacked(t *testing.T) {
	for name, x := range objects {
		for _, how := range []string{"", "gzip", "members", "double", "zstd", "snappy", "hadoop", "zip"} {
			if x.text == "" && how == "members" {
				continue
			}
			bodies, broken, _, _ := readAll(t, iotest.HalfReader(bytes.NewReader(packed(t, how, []byte(x.text)))), "")
			if diff := cmp.Diff(x.want, bodies); diff != "" || len(broken) != x.broken {
				t.Errorf("%s, %q: %s %v", name, how, diff, broken)
			}
		}
	}
}

// many is an object of more than one page.
func many(between string) (text []byte, want []string) {
	for i := range 3 * pageRecords {
		v := fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x{}", i%700))
		want = append(want, v)
		text = append(append(text, v...), between...)
	}
	return text, want
}

// Reading goes on from every place with exactly the rest.
func TestReadingGoesOnFromEveryPlace(t *testing.T) {
	for _, between := range []string{"\n", "", " "} {
		text, want := many(between)
		stored := packed(t, "gzip", text)
		bodies, broken, places, before := readAll(t, bytes.NewReader(stored), "")
		if diff := cmp.Diff(want, bodies); diff != "" || len(broken) != 0 || len(places) < 3 {
			t.Fatalf("%q: %d bodies, %v, %d places", between, len(bodies), broken, len(places))
		}
		for i, p := range places {
			rest, broken, _, _ := readAll(t, bytes.NewReader(stored), p)
			if !cmp.Equal(want[before[i]:], rest, cmp.Transformer("none", func(s []string) int { return len(s) })) || len(broken) > 0 {
				t.Errorf("%q: %d after %s, want %d", between, len(rest), p, len(want)-before[i])
			}
			if len(rest) > 0 && rest[0] != want[before[i]] {
				t.Errorf("%q: after %s comes %s", between, p, rest[0])
			}
		}
	}
}

// A gzip that was cut off gives what is readable and says where it ends; a connection
// that broke is an error, for the same bytes may come whole another time.
func TestDamageIsNotALostConnection(t *testing.T) {
	text, want := many("\n")
	stored := packed(t, "gzip", text)
	bodies, broken, _, _ := readAll(t, bytes.NewReader(stored[:len(stored)/2]), "")
	if len(bodies) == 0 || len(bodies) >= len(want) || len(broken) == 0 || !cmp.Equal(bodies, want[:len(bodies)]) {
		t.Errorf("%d of %d bodies, broken %v", len(bodies), len(want), broken)
	}
	lost := errors.New("connection reset")
	err := readObject(io.MultiReader(bytes.NewReader(stored[:len(stored)/2]), iotest.ErrReader(lost)), "b", "k", "", func(Page) error { return nil })
	if !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
	if _, broken, _, _ := readAll(t, strings.NewReader("PAR1xxxxxxxxxx"), ""); len(broken) != 1 || !strings.Contains(broken[0].Why, "Parquet") {
		t.Errorf("%v", broken)
	}
}

func FuzzReadObject(f *testing.F) {
	for _, x := range objects {
		f.Add([]byte(x.text))
		f.Add(packed(f, "gzip", []byte(x.text)))
		f.Add(packed(f, "zip", []byte(x.text)))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		n := 0
		if err := readObject(bytes.NewReader(stored), "b", "k", "", func(p Page) error {
			for _, r := range p.Records {
				if n += len(r.Data); r.ID == "" {
					t.Error("a record without an id")
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}
