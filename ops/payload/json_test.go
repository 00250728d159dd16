package payload

import (
	"encoding/json"
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
