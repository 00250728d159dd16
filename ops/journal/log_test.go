package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type word struct {
	N int `json:"n"`
}

func begin(t *testing.T, j *Journal, id string) *Log {
	t.Helper()
	l, err := j.Begin(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return l
}

func write(t *testing.T, l *Log, numbers ...int) {
	t.Helper()
	records := make([]any, len(numbers))
	for i, n := range numbers {
		records[i] = word{n}
	}
	if err := l.Append(records...); err != nil {
		t.Fatal(err)
	}
}

func numbers(t *testing.T, lines [][]byte) []int {
	t.Helper()
	var out []int
	for _, line := range lines {
		var n word
		if err := json.Unmarshal(line, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, n.N)
	}
	return out
}

func TestALogIsReadAsItWasWritten(t *testing.T) {
	j := openIn(t, t.TempDir())
	l := begin(t, j, "20261122-030000-aaaaaa")
	write(t, l, 1, 2, 3)
	write(t, l, 4)
	lines, notice, err := j.ReadLog("20261122-030000-aaaaaa")
	if err != nil || notice != "" {
		t.Fatalf("%q, %v", notice, err)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4}, numbers(t, lines)); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(l.Path()); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	begin(t, j, "20261122-040000-bbbbbb")
	ids, err := j.Logs()
	if diff := cmp.Diff([]string{"20261122-040000-bbbbbb", "20261122-030000-aaaaaa"}, ids); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestAnOperationBeginsOnce(t *testing.T) {
	j := openIn(t, t.TempDir())
	begin(t, j, "x")
	if _, err := j.Begin("x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("err = %v", err)
	}
	for _, id := range []string{"", "../journal", `a\b`, ".hidden"} {
		if _, err := j.Begin(id); err == nil {
			t.Errorf("id %q was taken", id)
		}
		if _, _, err := j.ReadLog(id); err == nil {
			t.Errorf("id %q was read", id)
		}
	}
	if _, _, err := j.ReadLog("never"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
}

func TestATornTailOfALogIsCutAndKept(t *testing.T) {
	for name, tail := range map[string]string{"half a line": `{"n":3`, "zeros": "\x00\x00\x00\n\x00", "no object": "[]\n", "garbage and more": "{]\n{\"n\""} {
		t.Run(name, func(t *testing.T) {
			j := openIn(t, t.TempDir())
			l := begin(t, j, "x")
			write(t, l, 1, 2)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			appendTo(t, l.Path(), tail)

			lines, notice, err := j.ReadLog("x") // only looks
			if err != nil || !strings.Contains(notice, fmt.Sprintf("%d bytes", len(tail))) || len(lines) != 2 {
				t.Errorf("read: %d lines, %q, %v", len(lines), notice, err)
			}
			again, lines, err := j.Reopen("x")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(again.Notice(), fmt.Sprintf("%d bytes", len(tail))) || len(lines) != 2 {
				t.Errorf("reopened: %d lines, %q", len(lines), again.Notice())
			}
			write(t, again, 3)
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			lines, notice, err = j.ReadLog("x")
			if diff := cmp.Diff([]int{1, 2, 3}, numbers(t, lines)); diff != "" || notice != "" || err != nil {
				t.Errorf("%s %q %v", diff, notice, err)
			}
			kept, err := os.ReadFile(l.Path() + ".damaged")
			if err != nil || !bytes.HasPrefix(kept, []byte(strings.TrimSuffix(tail, "\n"))) {
				t.Errorf("the tail was not kept: %q, %v", kept, err)
			}
		})
	}
}

func TestALogThatIsDamagedInTheMiddleIsNotGoneOnWith(t *testing.T) {
	j := openIn(t, t.TempDir())
	l := begin(t, j, "x")
	write(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	appendTo(t, l.Path(), "{\"n\":2\n{\"n\":3}\n")
	before, err := os.ReadFile(l.Path())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Reopen("x"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("err = %v", err)
	}
	after, err := os.ReadFile(l.Path())
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// disk is a file whose disk is full, or fails to sync, from one call on.
type disk struct {
	logFile
	writes, syncs         atomic.Int64
	failWrite, failSync   int64 // the first one that fails; 0: none
	part                  int   // how many bytes of the failing write get through
	onSync                func()
	concurrent, togethers atomic.Int64
}

func (d *disk) Write(p []byte) (int, error) {
	if d.concurrent.Add(1) > 1 {
		d.togethers.Add(1)
	}
	defer d.concurrent.Add(-1)
	if n := d.writes.Add(1); d.failWrite > 0 && n >= d.failWrite {
		n, err := d.logFile.Write(p[:min(d.part, len(p))])
		return n, errors.Join(err, syscall.ENOSPC)
	}
	return d.logFile.Write(p)
}

func (d *disk) Sync() error {
	if d.onSync != nil {
		d.onSync()
	}
	if n := d.syncs.Add(1); d.failSync > 0 && n == d.failSync { // the one after it would claim success
		return syscall.EIO
	}
	return d.logFile.Sync()
}

func TestAFullDiskEndsTheLog(t *testing.T) {
	for name, bad := range map[string]*disk{
		"nothing of the third write": {failWrite: 3},
		"a part of the third write":  {failWrite: 3, part: 4},
		"the third sync":             {failSync: 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := openIn(t, dir)
			j.wrap = func(f logFile) logFile { bad.logFile = f; return bad }
			l := begin(t, j, "x")
			write(t, l, 1)
			write(t, l, 2)
			first := l.Append(word{3})
			if !errors.Is(first, syscall.ENOSPC) && !errors.Is(first, syscall.EIO) {
				t.Fatalf("err = %v", first)
			}
			for range 3 {
				if err := l.Append(word{4}); !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EIO) {
					t.Fatalf("after the failure: %v", err)
				}
			}
			if bad.writes.Load() != 3 || l.Err() == nil {
				t.Errorf("%d writes: something was written after the failure", bad.writes.Load())
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			again, lines, err := openIn(t, dir).Reopen("x")
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			got := numbers(t, lines)
			if !slices.Equal(got, []int{1, 2}) && (bad.failSync == 0 || !slices.Equal(got, []int{1, 2, 3})) {
				t.Errorf("what is left: %v", got)
			}
		})
	}
}

func TestAppendsAtTheSameTimeShareASync(t *testing.T) {
	j := openIn(t, t.TempDir())
	first, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d := &disk{onSync: func() {
		once.Do(func() { close(first); <-gate })
	}}
	j.wrap = func(f logFile) logFile { d.logFile = f; return d }
	l := begin(t, j, "x")
	var all sync.WaitGroup
	all.Go(func() {
		if err := l.Append(word{0}); err != nil {
			t.Error(err)
		}
	})
	<-first
	const n = 50
	for i := range n {
		all.Go(func() {
			if err := l.Append(word{i + 1}, word{i + 1}); err != nil {
				t.Error(err)
			}
		})
	}
	for { // until all of them wait for the disk
		l.mu.Lock()
		asked := l.asked
		l.mu.Unlock()
		if asked == n+1 {
			break
		}
		runtime.Gosched()
	}
	close(gate)
	all.Wait()
	if got := d.syncs.Load(); got != 2 {
		t.Errorf("%d syncs for %d appends", got, n+1)
	}
	if d.togethers.Load() > 0 {
		t.Error("two writes at the same time")
	}
	lines, _, err := j.ReadLog("x")
	if err != nil || len(lines) != 2*n+1 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	got := numbers(t, lines)
	for i := 1; i < len(got); i += 2 { // what was appended together lies together
		if got[i] != got[i+1] {
			t.Errorf("lines %d and %d: %d, %d", i, i+1, got[i], got[i+1])
		}
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add([]byte("{\"n\":1}\n{\"n\":2}\n{\"n\""))
	f.Add([]byte("\n\n"))
	f.Add([]byte("{\"n\":1}\nx\n{\"n\":2}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, whole, size, err := readLog(bytes.NewReader(data))
		if err != nil {
			return
		}
		if size != int64(len(data)) || whole > size || whole > 0 && data[whole-1] != '\n' {
			t.Fatalf("whole %d, size %d of %d", whole, size, len(data))
		}
		again, end, _, err := readLog(bytes.NewReader(data[:whole]))
		if err != nil || end != whole || len(again) != len(lines) {
			t.Fatalf("cut back it reads differently: %d lines, then %d; %v", len(lines), len(again), err)
		}
	})
}

func BenchmarkLogAppend(b *testing.B) {
	record := word{1}
	for _, workers := range []int{1, 16} {
		for _, synced := range []bool{true, false} {
			b.Run(fmt.Sprintf("workers=%d/fsync=%v", workers, synced), func(b *testing.B) {
				j, err := Open(filepath.Join(b.TempDir(), "j"))
				if err != nil {
					b.Fatal(err)
				}
				if !synced {
					j.wrap = func(f logFile) logFile { return unsynced{f} }
				}
				l, err := j.Begin("x")
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				b.SetParallelism(workers)
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						if err := l.Append(record, record, record, record, record, record, record, record, record, record); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// unsynced is a file that forgets to sync: what the journal would cost without it.
type unsynced struct{ logFile }

func (unsynced) Sync() error { return nil }
