package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openIn(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func add(t *testing.T, j *Journal, what string) Entry {
	t.Helper()
	e, err := j.Append(Entry{Kind: KindOperation, What: what, Outcome: Done, Account: "123456789012", Region: "eu-west-1", Calls: 3, USD: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func whats(t *testing.T, j *Journal, limit int) string {
	t.Helper()
	entries, err := j.Entries(limit)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.What)
	}
	return strings.Join(out, " ")
}

func TestAppendAndRead(t *testing.T) {
	j := openIn(t, filepath.Join(t.TempDir(), "state", "kxops"))
	want := add(t, j, "redrive")
	if want.ID == "" || want.Schema != Schema || want.At.IsZero() || !strings.Contains(want.Actor, "@") {
		t.Errorf("not filled in: %+v", want)
	}
	got, err := j.Entries(0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Entry{want}, got); diff != "" {
		t.Error(diff)
	}
	for i := range 5 {
		add(t, j, fmt.Sprint(i))
	}
	if got := whats(t, j, 2); got != "3 4" {
		t.Errorf("the last two: %q", got)
	}
	if got := whats(t, j, 100); got != "redrive 0 1 2 3 4" {
		t.Errorf("all: %q", got)
	}
	if j.Notice() != "" {
		t.Errorf("a healthy journal has a notice: %s", j.Notice())
	}
}

func TestAnEntryNeedsItsWords(t *testing.T) {
	j := openIn(t, t.TempDir())
	for _, e := range []Entry{{}, {Kind: KindSession, What: "x"}, {What: "x", Outcome: Done}, {Kind: KindSession, Outcome: Done}} {
		if _, err := j.Append(e); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
	if _, err := j.Append(Entry{Kind: KindSession, Outcome: Done, What: strings.Repeat("x", maxLine)}); err == nil {
		t.Error("an entry beyond the limit was taken")
	}
	if got := whats(t, j, 0); got != "" {
		t.Errorf("written all the same: %q", got)
	}
}

func TestOnlyTheOwnerReads(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no mode bits")
	}
	dir := filepath.Join(t.TempDir(), "kxops")
	j := openIn(t, dir)
	add(t, j, "x")
	for path, want := range map[string]os.FileMode{dir: 0o700, j.Path(): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

func TestADamagedTailIsCutBackAndKept(t *testing.T) {
	for name, tail := range map[string]string{
		"half a record":     `{"schema":"kxops/journal/v1","id":"20`,
		"zeros after power": "\x00\x00\x00\x00\n\x00\x00",
		"a garbled line":    "{]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := openIn(t, dir)
			add(t, j, "one")
			add(t, j, "two")
			scribble(t, j, tail)

			again := openIn(t, dir)
			if !strings.Contains(again.Notice(), fmt.Sprintf("%d bytes", len(tail))) {
				t.Errorf("notice = %q", again.Notice())
			}
			add(t, again, "three")
			if got := whats(t, again, 0); got != "one two three" {
				t.Errorf("entries: %q", got)
			}
			kept, err := os.ReadFile(filepath.Join(dir, damagedName))
			if err != nil || !bytes.HasPrefix(kept, bytes.TrimSuffix([]byte(tail), []byte("\n"))) {
				t.Errorf("the tail was not kept: %q, %v", kept, err)
			}
		})
	}
}

func TestAppendRepairsWhatAnotherProgramLeft(t *testing.T) {
	j := openIn(t, t.TempDir())
	add(t, j, "one")
	scribble(t, j, `{"schema":"kx`)
	add(t, j, "two")
	if got := whats(t, j, 0); got != "one two" {
		t.Errorf("entries: %q", got)
	}
}

func TestALineInTheMiddleIsCountedNotCut(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, dir)
	add(t, j, "one")
	scribble(t, j, "garbage\n"+`{"schema":"kxops/journal/v9","id":"x","what":"newer","from":"the future"}`+"\n")
	again := openIn(t, dir)
	if again.Notice() != "" {
		t.Errorf("notice = %q", again.Notice())
	}
	entries, err := again.Entries(0)
	if err == nil || !strings.Contains(err.Error(), "1 lines") {
		t.Errorf("err = %v", err)
	}
	if len(entries) != 2 || entries[1].What != "newer" {
		t.Errorf("entries = %+v", entries)
	}
}

func scribble(t *testing.T, j *Journal, text string) {
	t.Helper()
	f, err := os.OpenFile(j.Path(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

const childVar = "KXOPS_JOURNAL_CHILD"

// TestMain lets the test binary be the other program.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childVar); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

func child(dir string) int {
	j, err := Open(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for i := range 20 {
		if _, err := j.Append(Entry{Kind: KindSession, What: fmt.Sprint(i), Outcome: Done}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if _, err := j.Lock("arn:held"); err == nil {
		fmt.Fprintln(os.Stderr, "took a lock that the parent holds")
		return 1
	} else if !strings.Contains(err.Error(), fmt.Sprint(os.Getppid())) {
		fmt.Fprintln(os.Stderr, "the holder is not named:", err)
		return 1
	}
	return 0
}

func TestSeveralProgramsWriteWholeLines(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, dir)
	release, err := j.Lock("arn:held")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), childVar+"="+dir)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("child: %v: %s", err, out)
			}
		})
	}
	for i := range 20 {
		add(t, j, fmt.Sprint(i))
	}
	all.Wait()
	if err := release(); err != nil {
		t.Error(err)
	}
	entries, err := j.Entries(0)
	if err != nil || len(entries) != 80 {
		t.Errorf("%d entries, %v; want 80", len(entries), err)
	}
	ids := map[string]bool{}
	for _, e := range entries {
		ids[e.ID] = true
	}
	if len(ids) != 80 {
		t.Errorf("%d different ids of 80", len(ids))
	}
}

func TestLockIsExclusiveAndNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	j, other := openIn(t, dir), openIn(t, dir)
	release, err := j.Lock("arn:aws:sqs:eu-west-1:1:q")
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Lock("arn:aws:sqs:eu-west-1:1:q")
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("err = %v, want held", err)
	}
	if h := held.Holder; h.PID != os.Getpid() || h.Resource != "arn:aws:sqs:eu-west-1:1:q" || time.Since(h.Since) > time.Minute {
		t.Errorf("holder = %+v", h)
	}
	if free, err := other.Lock("arn:aws:sqs:eu-west-1:1:other"); err != nil {
		t.Errorf("another resource: %v", err)
	} else if err := free(); err != nil {
		t.Error(err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	again, err := other.Lock("arn:aws:sqs:eu-west-1:1:q")
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	line, err := json.Marshal(Entry{Schema: Schema, ID: "1", Kind: KindSession, What: "x", Outcome: Done})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("\n"))
	f.Add(append(line, '\n'))
	f.Add(append(append(line, '\n'), line[:10]...))
	f.Add([]byte("x\n{}\n\x00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := read(bytes.NewReader(data), 0)
		if err != nil {
			t.Fatalf("bytes in memory cannot fail: %v", err)
		}
		if r.size != int64(len(data)) || r.whole > r.size {
			t.Fatalf("size %d of %d, whole %d", r.size, len(data), r.whole)
		}
		if r.whole > 0 && data[r.whole-1] != '\n' {
			t.Fatal("the last whole record does not end a line")
		}
		again, err := read(bytes.NewReader(data[:r.whole]), 0)
		if err != nil || again.damaged() || again.bad != r.bad {
			t.Fatalf("cut back, it is still damaged: %+v, %v", again, err)
		}
		if diff := cmp.Diff(r.entries, again.entries); diff != "" {
			t.Fatalf("cutting changed the entries: %s", diff)
		}
		if last, err := read(bytes.NewReader(data), 1); err != nil || len(last.entries) > 1 || last.whole != r.whole {
			t.Fatalf("a limit changes more than the number: %+v, %v", last, err)
		}
	})
}
