package replay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
)

// hadoopPacked packs as Hadoop does: blocks of so many bytes, each of pieces.
func hadoopPacked(text []byte, block, piece int) []byte {
	var out []byte
	for len(text) > 0 {
		now := text[:min(block, len(text))]
		text = text[len(now):]
		out = binary.BigEndian.AppendUint32(out, uint32(len(now)))
		for len(now) > 0 {
			one := now[:min(piece, len(now))]
			now = now[len(one):]
			packed := s2.EncodeSnappy(nil, one)
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(packed))), packed...)
		}
	}
	return out
}

func someLines(n int) (text []byte, want []string) {
	for i := range n {
		want = append(want, fmt.Sprintf(`{"customer":"c-%d","n":%d,"x":%q}`, i%7, i, strings.Repeat("ab", i%90)))
	}
	return []byte(strings.Join(want, "\n") + "\n"), want
}

func TestHadoopSnappy(t *testing.T) {
	text, want := someLines(3000)
	for _, c := range []struct{ block, piece int }{{256 << 10, 256 << 10}, {256 << 10, 10_000}, {1000, 300}, {1 << 24, 1 << 24}} {
		stored := hadoopPacked(text, c.block, c.piece)
		bodies, broken, _, _ := readAll(t, bytes.NewReader(stored), "")
		if diff := cmp.Diff(want, bodies); diff != "" || len(broken) > 0 {
			t.Errorf("%+v: %d bodies, broken %+v", c, len(bodies), broken)
		}
	}
	// A block of nothing is no end.
	stored := append([]byte(nil), hadoopPacked(text[:len(want[0])+1], 1<<20, 1<<20)...)
	stored = append(append(stored, 0, 0, 0, 0), hadoopPacked([]byte(want[1]), 1<<20, 1<<20)...)
	if bodies, broken, _, _ := readAll(t, bytes.NewReader(stored), ""); len(bodies) != 2 || len(broken) != 0 {
		t.Errorf("%q %+v", bodies, broken)
	}
}

// It goes on behind any page that was given.
func TestHadoopSnappyGoesOn(t *testing.T) {
	text, want := someLines(6000)
	stored := hadoopPacked(text, 64<<10, 9000)
	_, _, places, before := readAll(t, bytes.NewReader(stored), "")
	if len(places) < 3 {
		t.Fatalf("%d pages", len(places))
	}
	for i, p := range places {
		rest, broken, _, _ := readAll(t, bytes.NewReader(stored), p)
		if diff := cmp.Diff(want[before[i]:], rest, cmp.Transformer("len", func(s []string) string { return strings.Join(s, "\n") })); diff != "" || len(broken) > 0 {
			t.Errorf("from %s: %d of %d, %+v", p, len(rest), len(want)-before[i], broken)
		}
	}
}

// Cut off anywhere behind its beginning, it gives what is whole and says that it is damaged;
// between two blocks a cut cannot be seen but by a record that is not whole.
func TestHadoopSnappyThatIsCutOff(t *testing.T) {
	text, want := someLines(60)
	const block = 700
	stored := hadoopPacked(text, block, 200)
	border := map[int]bool{}
	for at, n := 0, 0; n < len(text); n += block {
		border[at] = true
		at += len(hadoopPacked(text[n:min(n+block, len(text))], block, 200))
	}
	for cut := 12; cut < len(stored); cut++ {
		bodies, broken, _, _ := readAll(t, bytes.NewReader(stored[:cut]), "")
		if len(bodies) > len(want) || !slices.Equal(want[:len(bodies)], bodies) {
			t.Fatalf("cut at %d: %q is not what was stored", cut, bodies)
		}
		if len(broken) == 0 && !border[cut] {
			t.Fatalf("cut at %d of %d: nobody says so", cut, len(stored))
		}
	}
}

func TestHadoopSnappyThatIsDamaged(t *testing.T) {
	text, want := someLines(40)
	stored := hadoopPacked(text, 500, 500)
	second := 8 + int(binary.BigEndian.Uint32(stored[4:])) // where the second block begins
	for name, at := range map[string]struct {
		offset int
		value  uint32
	}{"a block that is too long": {second, 1 << 30}, "a piece that is too long": {second + 4, 1 << 30}, "a piece of nothing": {second + 4, 0}, "a block that holds less": {second, 3}} {
		bad := bytes.Clone(stored)
		binary.BigEndian.PutUint32(bad[at.offset:], at.value)
		bodies, broken, _, _ := readAll(t, bytes.NewReader(bad), "")
		if len(broken) == 0 || len(bodies) >= len(want) || !slices.Equal(want[:len(bodies)], bodies) || broken[len(broken)-1].Offset == 0 {
			t.Errorf("%s: %d bodies, %+v", name, len(bodies), broken)
		}
	}
	for _, head := range []string{"", `{"a":1}{"a":2}`, "[2026-11-23] started", "\x00\x00\x00\x00\x00\x00\x00\x01\x01", "\x00\x00\x01\x00\x00\x00\x00\x09\xff\xff\xff\xff\x7f"} {
		if isHadoopSnappy([]byte(head)) {
			t.Errorf("%q is taken for Hadoop's snappy", head)
		}
	}
}

func FuzzHadoopSnappy(f *testing.F) {
	text, _ := someLines(20)
	f.Add(hadoopPacked(text, 300, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _, _ = readAll(t, io.LimitReader(bytes.NewReader(b), 1<<16), "")
	})
}
