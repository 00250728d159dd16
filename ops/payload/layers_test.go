package payload

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"kxops/ops"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// Each entry of THE list says what it is, has a sample that reaches it, and tells
// of that sample what testdata/<name>.golden holds.
func TestEveryLayer(t *testing.T) {
	all := samples()
	seen := map[string]bool{}
	for _, l := range layers {
		t.Run(l.name, func(t *testing.T) {
			if seen[l.name] {
				t.Error("it is in the list twice")
			}
			seen[l.name] = true
			if n := len(l.says); n < 30 || !strings.HasSuffix(l.says, ".") || strings.Count(l.says, ". ") > 0 {
				t.Errorf("one sentence is wanted: %q", l.says)
			}
			s, ok := all[l.name]
			if !ok {
				t.Fatal("it has no sample")
			}
			got := Peel(s.message)
			if d := cmp.Diff(s.kinds, kinds(got)); d != "" {
				t.Fatal(d)
			}
			if !slices.Contains(s.kinds, l.name) {
				t.Errorf("its sample has the layers %v", s.kinds)
			}
			golden(t, l.name, tell(s))
		})
	}
}

// tell writes all that the layers of a sample say.
func tell(s sample) string {
	var b strings.Builder
	for _, l := range Peel(s.message) {
		fmt.Fprintf(&b, "== %s\n", l.Kind)
		for _, f := range l.Facts {
			fmt.Fprintf(&b, "%-18s %s\n", f.Name, f.Value)
		}
		for _, line := range []struct{ name, value string }{{"event", l.Event}, {"origin", l.Origin}, {"harmless", l.Harmless}} {
			if line.value != "" {
				fmt.Fprintf(&b, "-- %-8s %s\n", line.name, line.value)
			}
		}
		if f := l.Failure; f != nil {
			fmt.Fprintf(&b, "-- failure  %+v\n", *f)
		}
		if p := l.Pointer; p != nil {
			fmt.Fprintf(&b, "-- pointer  %+v\n", *p)
		}
		if l.Truncated {
			b.WriteString("-- truncated\n")
		}
		for _, p := range l.Parts {
			fmt.Fprintf(&b, "-- part     %q\n", p)
		}
		if l.Body != nil {
			if utf8.Valid(l.Body) {
				fmt.Fprintf(&b, "%s\n", l.Body)
			} else {
				b.WriteString(Hex(l.Body, 64))
			}
		}
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(strings.ToLower(name), " ", "-")+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-update writes it anew): %s", file, d)
	}
}

// Layers outlive the memory that they were read with: many at once, and all told
// only at the end.
func TestPeelManyAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	all := samples()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			kept := map[string][]ops.Layer{}
			for range 10 {
				for name, s := range all {
					kept[name] = Peel(s.message)
				}
			}
			for name, s := range all {
				if d := cmp.Diff(Peel(s.message), kept[name]); d != "" {
					t.Errorf("%s changed afterwards: %s", name, d)
				}
			}
		})
	}
	wg.Wait()
}
