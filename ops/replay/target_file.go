package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"kxops/ops"
)

// fileTarget writes records to a file, one a line in the form that a replay reads again.
type fileTarget struct {
	path string

	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	line int64
}

func newFileTarget(_ *Desk, plan ops.ReplayPlan) (target, error) {
	return &fileTarget{path: plan.To.Path}, nil
}

// find refuses a file that is there: a replay never writes over something.
func (t *fileTarget) find(_ context.Context, plan *ops.ReplayPlan) error {
	info, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("the file to write: %w", err)
	case info.IsDir():
		plan.Blockers = append(plan.Blockers, t.path+" is a directory")
	default:
		plan.Blockers = append(plan.Blockers, t.path+" is there already, and a replay writes over nothing")
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "file", Value: "one JSON line a record (id, key, time, body in base64); a replay reads it again with --from file:" + t.path})
	return nil
}

func (t *fileTarget) limits() Limits { return Limits{Records: 500, Ordered: true} }

// size is the body in base64 and about what surrounds it.
func (t *fileTarget) size(p Parcel) int { return len(p.Body)*4/3 + len(p.Key) + 120 }

func (t *fileTarget) send(_ context.Context, parcels []Parcel) []Answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	answers := make([]Answer, len(parcels))
	err := t.open()
	for i, p := range parcels {
		var line []byte
		if err == nil {
			line, err = json.Marshal(wrap(Record{ID: p.ID, Key: p.Key, At: p.At, Data: p.Body}))
		}
		if err == nil {
			_, err = t.out.Write(append(line, '\n'))
		}
		if err != nil {
			answers[i] = Answer{Fate: Unsure, Stop: &ops.Problem{Fault: ops.FaultOther, What: "write " + t.path + ": " + err.Error(), Err: err}}
			continue
		}
		t.line++
		answers[i].At = strconv.FormatInt(t.line, 10)
	}
	return answers
}

// open opens the file to go on behind its last whole line: what a crash cut off has no
// receipt and is written again. Call it under the lock.
func (t *fileTarget) open() error {
	if t.file != nil {
		return nil
	}
	f, err := os.OpenFile(t.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	whole, lines, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	t.file, t.out, t.line = f, bufio.NewWriterSize(f, 1<<20), lines
	return nil
}

// wholeLines is where the last whole line of a file ends, and how many there are.
func wholeLines(r io.Reader) (end, lines int64, err error) {
	b := bufio.NewReaderSize(r, 1<<20)
	at := int64(0)
	for {
		some, err := b.ReadSlice('\n')
		at += int64(len(some))
		switch {
		case err == nil:
			end = at
			lines++
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return end, lines, nil
		default:
			return end, lines, err
		}
	}
}

func (t *fileTarget) flush() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil {
		return nil
	}
	if err := errors.Join(t.out.Flush(), t.file.Sync()); err != nil {
		return fmt.Errorf("write %s: %w", t.path, err)
	}
	return nil
}

func (t *fileTarget) close() error {
	err := t.flush()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
		t.file = nil
	}
	return err
}
