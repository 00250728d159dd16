package payload

import (
	"crypto/md5"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUserRecords(t *testing.T) {
	whole := aggregate(kplRecords...)
	got, err := UserRecords(whole)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(kplRecords, got); d != "" {
		t.Error(d)
	}
	for i := range whole { // whichever byte is changed
		broken := append([]byte(nil), whole...)
		broken[i] ^= 0x10
		if _, err := UserRecords(broken); !errors.Is(err, ErrNotAggregate) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	if _, err := UserRecords(whole[:20]); !errors.Is(err, ErrNotAggregate) {
		t.Error(err)
	}
	for name, message := range map[string]string{
		"key out of the table": "\x1a\x04\x08\x01\x1a\x00",
		"longer than it is":    "\x1a\x7f\x08",
		"no data":              "\x0a\x01k\x1a\x02\x08\x00",
		"cut number":           "\x08\xff",
		"field 0":              "\x02\x00",
		"wire type 3":          "\x0b",
	} {
		sum := md5.Sum([]byte(message))
		_, err := UserRecords([]byte(string(kplMagic) + message + string(sum[:])))
		if err == nil || errors.Is(err, ErrNotAggregate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzUserRecords(f *testing.F) {
	whole := aggregate(kplRecords...)
	f.Add(whole[4 : len(whole)-md5.Size])
	f.Add([]byte("\x1a\x04\x08\x01\x1a\x00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		sum := md5.Sum(message)
		records, err := UserRecords(append(append(append([]byte(nil), kplMagic...), message...), sum[:]...))
		if err != nil {
			return
		}
		size := 0
		for _, r := range records {
			size += len(r.Data)
		}
		if size > len(message) {
			t.Errorf("%d bytes out of %d", size, len(message))
		}
		again, err := UserRecords(aggregate(records...))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(records, again); d != "" {
			t.Error(d)
		}
	})
}
