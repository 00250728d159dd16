package dlq

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

func queueOf(url string) ops.ARN { return ops.ARN(url[strings.LastIndex(url, "/")+1:]) }

func TestArchiveThenDelete(t *testing.T) {
	b := redriveBench(t)
	_, dead := b.dead("orders", 35, false)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	ask := ops.Ask{Verb: ops.Archive, Queue: queueOf(dead), Select: ops.Selection{All: true}, File: path}
	plan := b.plan(ask)
	if len(plan.Blockers) > 0 || plan.Messages() != 35 {
		t.Fatalf("%d messages, blockers %q", plan.Messages(), plan.Blockers)
	}
	r := b.apply(plan)
	if r.State != ops.Finished || r.Deleted != 35 {
		t.Fatalf("%s: %+v %v", r.State, r, r.Problem)
	}
	got, h := readAll(t, path)
	for _, e := range plan.Manifest {
		if m, ok := got[e.ID]; !ok || m.Sum() != e.Sum || m.Source() == "" {
			t.Errorf("%s is not whole in the file: %+v", e.ID, m)
		}
	}
	if len(got) != 35 || h.Op != plan.ID {
		t.Errorf("%d messages in the file of %q", len(got), h.Op)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left := b.bodies(dead); len(left) != 0 {
		t.Errorf("%d messages are still there", len(left))
	}
	if again := b.plan(ask); len(again.Blockers) == 0 {
		t.Error("an existing archive may be written over")
	}
}

func fileParcels(n int) (parcels []parcel) {
	for i := range n {
		parcels = append(parcels, parcel{message: ops.Message{ID: fmt.Sprintf("m-%d", i), Body: strings.Repeat("x", 50)}})
	}
	return parcels
}

// A kill may leave whole lines without a record of them, and a torn one.
func TestFileSenderGoesOnAfterAKill(t *testing.T) {
	s := newScene(t, "")
	path := filepath.Join(t.TempDir(), "a.jsonl")
	plan := ops.Plan{ID: "op-1"}
	f, err := newFileSender(s.desk, plan, path)
	s.must(err)
	parcels := fileParcels(5)
	first := f.send(t.Context(), parcels[:3])
	f.close()
	text, err := os.ReadFile(path)
	s.must(err)
	line, err := encodeMessage(parcels[3].message)
	s.must(err)
	s.must(os.WriteFile(path, append(text, line[:len(line)/2]...), 0o600))

	f, err = newFileSender(s.desk, plan, path)
	s.must(err)
	again := f.send(t.Context(), parcels)
	f.close()
	if d := cmp.Diff(first, again[:3], cmp.AllowUnexported(receipt{})); d != "" {
		t.Errorf("what was in the file has another line now:\n%s", d)
	}
	for i, r := range again {
		if want := fmt.Sprint(i + 2); r.fate != sent || r.id != want {
			t.Errorf("parcel %d: %+v, want line %s", i, r, want)
		}
	}
	if text, err = os.ReadFile(path); err != nil || strings.Count(string(text), "\n") != 6 {
		t.Errorf("%d lines, want a header and 5 messages, %v", strings.Count(string(text), "\n"), err)
	}
	if got, _ := readAll(t, path); len(got) != 5 {
		t.Errorf("%d messages", len(got))
	}
	if _, err := newFileSender(s.desk, ops.Plan{ID: "op-2"}, path); err == nil {
		t.Error("another operation went on with the file")
	}
}

// fullDisk writes a part of the line and fails, or fails to sync.
type fullDisk struct {
	archiveFile
	sync bool
}

var errFull = errors.New("no space left on device")

func (f fullDisk) Write(b []byte) (int, error) {
	if f.sync {
		return f.archiveFile.Write(b)
	}
	n, err := f.archiveFile.Write(b[:len(b)/2])
	return n, errors.Join(err, errFull)
}

func (f fullDisk) Sync() error {
	if f.sync {
		return errFull
	}
	return f.archiveFile.Sync()
}

// The crash came between making the file's name and writing its first line.
func TestFileSenderGoesOnWithAnEmptyFile(t *testing.T) {
	s := newScene(t, "")
	path := filepath.Join(t.TempDir(), "a.jsonl")
	s.must(os.WriteFile(path, nil, 0o600))
	f, err := newFileSender(s.desk, ops.Plan{ID: "op-1"}, path)
	s.must(err)
	f.send(t.Context(), fileParcels(2))
	f.close()
	if got, h := readAll(t, path); len(got) != 2 || h.Op != "op-1" {
		t.Errorf("%d messages in the file of %q", len(got), h.Op)
	}
}

func TestFullDiskTakesNothing(t *testing.T) {
	for _, sync := range []bool{false, true} {
		s := newScene(t, "")
		path := filepath.Join(t.TempDir(), "a.jsonl")
		f, err := newFileSender(s.desk, ops.Plan{ID: "op"}, path)
		s.must(err)
		parcels := fileParcels(3)
		f.send(t.Context(), parcels[:1])
		f.file = fullDisk{f.file, sync}
		for _, p := range parcels[1:] {
			for _, r := range f.send(t.Context(), []parcel{p}) {
				if r.fate == sent || r.stop == nil {
					t.Errorf("on a full disk: %+v", r)
				}
			}
		}
		f.close()
		if !sync {
			if got, _ := readAll(t, path); len(got) != 1 {
				t.Errorf("%d messages in the file, want the 1 that fitted", len(got))
			}
		}
	}
}

// A file can be read again at any time: no window ends, and nothing is unknown.
func TestFileIsRepeatableForEver(t *testing.T) {
	s := newScene(t, "")
	r := &redriver{desk: s.desk, senders: []sender{&fileSender{}}}
	it := item{intent: s.sb.Now().Add(-2 * ops.DedupWindow)}
	if !r.repeatable(it) {
		t.Error("after ten minutes a message that may be in the file is called unknown")
	}
	r.senders = []sender{&queueSender{fifo: true}}
	if r.repeatable(it) {
		t.Error("after ten minutes a FIFO send is repeated outside its window")
	}
}
