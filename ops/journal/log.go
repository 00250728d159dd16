package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const (
	logsName = "operations"
	logEnd   = ".jsonl"
	// maxLogLine bounds one line of a log, in bytes: a saved plan without its manifest, with
	// the ids of a selection of all that can be in flight.
	maxLogLine = 16 << 20
)

// Log is the record of one operation: JSON lines that are on the disk before the
// operation goes on. It is safe for concurrent use.
//
// After a write or an fsync that failed nothing more is written and every later
// Append fails: what a failed fsync left behind is not known, and a second one
// may claim success for pages that were dropped.
type Log struct {
	path   string
	notice string

	mu      sync.Mutex
	turn    sync.Cond
	file    logFile
	pending []byte // accepted, not written
	asked   uint64 // appends accepted
	synced  uint64 // appends on the disk
	writing bool
	err     error
}

// logFile is what a log needs of a file; tests put a full disk in its place.
type logFile interface {
	io.Writer
	Sync() error
	Close() error
}

// Begin starts the log of a new operation. The error is fs.ErrExist when there is one.
func (j *Journal) Begin(id string) (*Log, error) {
	path, err := j.logPath(id)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("begin the record of %s: %w", id, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin the record of %s: %w", id, err)
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil { // else a power cut takes the name away
		return nil, fmt.Errorf("begin the record of %s: %w", id, errors.Join(err, f.Close()))
	}
	return j.logOn(path, f), nil
}

// Reopen opens the log of an operation to go on with it. lines are what it holds.
// A tail that is no whole record is cut off, a copy kept, and Notice says so.
func (j *Journal) Reopen(id string) (l *Log, lines [][]byte, err error) {
	path, err := j.logPath(id)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open the record of %s: %w", id, err)
	}
	lines, notice, err := mendLog(f, path)
	if err != nil {
		return nil, nil, fmt.Errorf("open the record of %s: %w", id, errors.Join(err, f.Close()))
	}
	l = j.logOn(path, f)
	l.notice = notice
	return l, lines, nil
}

func (j *Journal) logOn(path string, f *os.File) *Log {
	l := &Log{path: path, file: f}
	if j.wrap != nil {
		l.file = j.wrap(f)
	}
	l.turn.L = &l.mu
	return l
}

// ReadLog returns what the log of an operation holds, without changing it.
// notice says what could not be read at its end.
func (j *Journal) ReadLog(id string) (lines [][]byte, notice string, err error) {
	path, err := j.logPath(id)
	if err != nil {
		return nil, "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("read the record of %s: %w", id, err)
	}
	defer f.Close()
	lines, whole, size, err := readLog(f)
	if err != nil {
		return nil, "", fmt.Errorf("read the record of %s: %w", id, err)
	}
	if whole < size {
		notice = fmt.Sprintf("the record of %s ends in %d bytes that are no whole line; resuming cuts them off", id, size-whole)
	}
	return lines, notice, nil
}

// Logs lists the ids of all operations with a log, newest first.
func (j *Journal) Logs() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(j.dir, logsName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the operations: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), logEnd); ok && !e.IsDir() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, nil
}

// Directory is where the journal and everything beside it lives.
func (j *Journal) Directory() string { return j.dir }

// NewID makes the id of an operation: it sorts by time and can be typed.
func (j *Journal) NewID() (string, error) { return newID(j.now().UTC()) }

// Actor is user@host of this machine.
func Actor() string { return actor() }

func (j *Journal) logPath(id string) (string, error) {
	if id == "" || strings.ContainsAny(id, `/\`) || strings.HasPrefix(id, ".") {
		return "", fmt.Errorf("%q is no operation id", id)
	}
	return filepath.Join(j.dir, logsName, id+logEnd), nil
}

// Path is the log's file.
func (l *Log) Path() string { return l.path }

// Notice says in one sentence what Reopen had to repair, "" for nothing.
func (l *Log) Notice() string { return l.notice }

// Append writes records, one line each, and returns when they are on the disk.
// Appends at the same time share one fsync.
func (l *Log) Append(records ...any) error {
	var lines []byte
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("record: %w", err)
		}
		if len(line) >= maxLogLine {
			return fmt.Errorf("record: a line of %d bytes, the limit is %d", len(line), maxLogLine)
		}
		lines = append(append(lines, line...), '\n')
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.pending = append(l.pending, lines...)
	l.asked++
	mine := l.asked
	for l.synced < mine && l.err == nil {
		if l.writing {
			l.turn.Wait()
			continue
		}
		l.flush()
	}
	if l.synced < mine {
		return l.err
	}
	return nil
}

// flush writes what is pending. Call it under the lock, which it gives up meanwhile.
func (l *Log) flush() {
	batch, upTo := l.pending, l.asked
	l.pending, l.writing = nil, true
	l.mu.Unlock()
	_, err := l.file.Write(batch)
	if err == nil {
		err = l.file.Sync()
	}
	l.mu.Lock()
	l.writing = false
	if err != nil {
		l.err = fmt.Errorf("write the record %s: %w", l.path, err)
	} else {
		l.synced = upTo
	}
	l.turn.Broadcast()
}

// Err is the error that ended the log, nil while it can be written.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close closes the file. Nothing is appended afterwards.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = fmt.Errorf("write the record %s: %w", l.path, os.ErrClosed)
	}
	return l.file.Close()
}

// readLog returns the whole records and where the last of them ends. A damaged
// line before a whole one is an error: what it said is lost, and going on without
// it could send a message twice.
func readLog(f io.Reader) (lines [][]byte, whole, size int64, err error) {
	r := bufio.NewReaderSize(f, 64<<10)
	n, damaged := 0, 0
	for {
		line, err := r.ReadBytes('\n')
		size += int64(len(line))
		n++
		switch {
		case err == nil && isObject(bytes.TrimSuffix(line, []byte("\n"))):
			if damaged > 0 {
				return nil, 0, 0, fmt.Errorf("line %d is damaged and others follow it: what it said is lost", damaged)
			}
			lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
			whole = size
		case len(line) > 0 && damaged == 0:
			damaged = n
		}
		if errors.Is(err, io.EOF) {
			return lines, whole, size, nil
		}
		if err != nil {
			return nil, 0, 0, err
		}
	}
}

// mendLog cuts the log back to its last whole record and puts the file's end there.
func mendLog(f *os.File, path string) (lines [][]byte, notice string, err error) {
	lines, whole, size, err := readLog(f)
	if err != nil {
		return nil, "", err
	}
	if whole < size {
		tail := make([]byte, size-whole)
		if _, err := f.ReadAt(tail, whole); err != nil {
			return nil, "", err
		}
		if err := keepCopy(path+".damaged", tail); err != nil {
			return nil, "", err
		}
		if err := f.Truncate(whole); err != nil {
			return nil, "", err
		}
		if err := f.Sync(); err != nil {
			return nil, "", err
		}
		notice = fmt.Sprintf("the record ended in a damaged line: %d bytes were moved to %s.damaged", size-whole, path)
	}
	_, err = f.Seek(whole, io.SeekStart)
	return lines, notice, err
}
