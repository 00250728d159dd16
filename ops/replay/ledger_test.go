package replay

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// However slow the disk is, no more receipts are off it than the result's bound says:
// whoever would add more waits.
func TestNoMoreReceiptsAreOffTheDiskThanIsSaid(t *testing.T) {
	l, err := openLedger(t.TempDir(), syncEvery)
	if err != nil {
		t.Fatal(err)
	}
	stuck, begun := make(chan struct{}), make(chan struct{}, 8)
	l.fsync = func(f *os.File) error {
		begun <- struct{}{}
		<-stuck
		return f.Sync()
	}
	take := func(from, n int) error {
		var some []receipt
		for i := range n {
			some = append(some, receipt{ID: strconv.Itoa(from + i), Sum: "0000000000000001"})
		}
		return l.take(some)
	}
	if err := take(0, 1); err != nil { // the first is on its way at once
		t.Fatal(err)
	}
	<-begun
	if err := take(1, syncEvery-1); err != nil { // these may wait
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- take(syncEvery, 1) }() // this one may not
	select {
	case err := <-over:
		t.Fatalf("%d receipts are off the disk, and nobody waits: %v", syncEvery+1, err)
	case <-time.After(50 * time.Millisecond):
	}
	close(stuck)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := eachReceipt(l.dir, func(r receipt) error {
		if r.ID != strconv.Itoa(n) {
			t.Errorf("receipt %d is %s", n, r.ID)
		}
		n++
		return nil
	}); err != nil || n != syncEvery+1 {
		t.Errorf("%d receipts, %v", n, err)
	}
}

// A file of receipts that a crash has cut off is read as far as it goes.
func TestAFileOfReceiptsThatIsCutOff(t *testing.T) {
	l, err := openLedger(t.TempDir(), syncLocally)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := l.take([]receipt{{ID: strconv.Itoa(i), Part: 3, N: int64(i), At: "shard \"x\"", Sum: "00000000000000ff", Twice: i == 7}}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			if err := l.sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(l.dir, "receipts-001"+receiptsEnd)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	for cut := len(whole); cut >= 0; cut-- {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := eachReceipt(l.dir, func(r receipt) error {
			if r.ID != strconv.Itoa(n) || r.N != int64(n) || r.Part != 3 || r.At != "shard \"x\"" || r.Twice != (n == 7) {
				t.Fatalf("receipt %d is %+v", n, r)
			}
			n++
			return nil
		}); err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		most = max(most, n)
	}
	if most != 100 {
		t.Errorf("%d receipts of the whole file", most)
	}
}
