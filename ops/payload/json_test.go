package payload

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestField(t *testing.T) {
	doc := []byte(` {"a" : {"b":[10, {"c" : 1e999}]}, "k\u0065y":"v\n", "d":1, "d":2} `)
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"a", "b", "1", "c"}, "1e999"},
		{[]string{"a", "b", "2"}, ""},
		{[]string{"key"}, `"v\n"`},
		{[]string{"d"}, "2"},
		{[]string{"a", "x"}, ""},
		{[]string{"d", "x"}, ""},
	} {
		got, ok := Field(doc, c.path...)
		if string(got) != c.want || ok != (c.want != "") {
			t.Errorf("%v: %q, %v", c.path, got, ok)
		}
	}
	if Text(doc, "key") != "v\n" {
		t.Errorf("text %q", Text(doc, "key"))
	}
}

func TestWalk(t *testing.T) {
	var got []string
	ok := Walk([]byte(`{"id":1,"items":[{"sku":"a","n":[]},{"sku":"b"}],"to":{"zip":null},"e":{}}`), func(path, raw []byte) {
		got = append(got, string(path)+"="+string(raw))
	})
	want := []string{"id=1", `items[].sku="a"`, "items[].n=[]", `items[].sku="b"`, "to.zip=null", "e={}"}
	if d := cmp.Diff(want, got); d != "" || !ok {
		t.Error(d, ok)
	}
}

func TestBrokenJSON(t *testing.T) {
	for _, doc := range []string{
		"", " ", "{", "[", "}", "{a\":1}", "{1:1}", `{"a"}`, `{"a" 1}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{"a":1]`, `[1}`, `[1 2]`, `[,]`, `[1,]`,
		`"`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", "\"\x00\"", "01", "-", "1.", ".5", "1e", "1e+", "+1", "0x1", "tru", "nul", "True", `1 2`, `{"a":1}x`, `[[1]`, `{"a":{"b":1}`,
	} {
		if Valid([]byte(doc)) || json.Valid([]byte(doc)) {
			t.Errorf("%q is taken for JSON", doc)
		}
		if Walk([]byte(doc), func(_, _ []byte) {}) {
			t.Errorf("%q was walked to its end", doc)
		}
		if _, ok := Unquote([]byte(doc)); ok {
			t.Errorf("%q is taken for a string", doc)
		}
	}
	if _, ok := Field([]byte(`{"a":1,"b":`), "a"); ok {
		t.Error("a document that breaks may still say otherwise")
	}
}

// Brackets of both kinds, deeper than one word of bits holds.
func TestDeepBrackets(t *testing.T) {
	for _, n := range []int{1, 31, 32, 33, 63, 64, 65, 100, 1000} {
		open, shut := strings.Repeat(`{"a":[`, n), strings.Repeat(`]}`, n)
		if !Valid([]byte(open + "1" + shut)) {
			t.Errorf("%d deep: refused", n)
		}
		for i := range len(shut) { // one bracket of the wrong kind, at each depth
			wrong := []byte(shut)
			wrong[i] ^= ']' ^ '}'
			if Valid([]byte(open + "1" + string(wrong))) {
				t.Errorf("%d deep: bracket %d may be wrong", n, i)
			}
		}
	}
}
