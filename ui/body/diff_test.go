package body

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	before := New([]byte(`{"id":1,"total":"39,90","items":[1,2],"zip":null,"city":"Lyon","z":0}`)).Lines()
	after := New([]byte(`{"id":1,"total":39.90,"items":[1,2],"zip":"69004","city":"Lyon","z":0}`)).Lines()
	var got string
	for _, c := range Diff(before, after, 0) {
		got += string(c.Sign) + c.Text + "\n"
	}
	want := "-  \"total\": \"39,90\",\n+  \"total\": 39.90,\n-  \"zip\": null,\n+  \"zip\": \"69004\",\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d := Diff(before, before, 3); len(d) != 0 {
		t.Errorf("the same text differs: %v", d)
	}
	if d := Diff([]string{"a", "b", "c"}, []string{"a", "x", "c"}, 1); len(d) != 4 {
		t.Errorf("with the lines about it: %v", d)
	}
	huge := make([]string, 5000)
	other := make([]string, 5000)
	for i := range huge {
		huge[i], other[i] = number(i), number(i+9000)
	}
	if d := Diff(huge, other, 0); len(d) != 10_000 {
		t.Errorf("two texts with nothing in common: %d lines", len(d))
	}
}
