package journal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/adrg/xdg"
)

const (
	fileName    = "journal.jsonl"
	damagedName = "journal.damaged" // what was cut off, for a person to look at
	writerName  = "journal.lock"
	locksName   = "locks"

	// writerPatience is how long an append waits for other programs: they hold the
	// lock for one line.
	writerPatience = 5 * time.Second
)

// Journal is the journal of one person on one machine. It is safe for concurrent
// use, also by several programs at once.
type Journal struct {
	dir    string
	notice string
	now    func() time.Time
	wrap   func(logFile) logFile // nil; tests of a full disk
}

// Open opens the journal in a directory, making it if need be ("" is the
// directory kxops of the XDG state home). A file that ends in the middle of a
// record, after a crash, is cut back to its last whole record; Notice says so.
func Open(dir string) (*Journal, error) {
	if dir == "" {
		dir = filepath.Join(xdg.StateHome, "kxops")
	}
	if err := os.MkdirAll(filepath.Join(dir, locksName), 0o700); err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	j := &Journal{dir: dir, now: time.Now}
	err := j.alone(func(f *os.File) error {
		cut, err := recoverTail(f, filepath.Join(dir, damagedName))
		if cut > 0 {
			j.notice = fmt.Sprintf("the journal ended in a damaged record; %d bytes were moved to %s", cut, filepath.Join(dir, damagedName))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	return j, nil
}

// Path returns the journal's file.
func (j *Journal) Path() string { return filepath.Join(j.dir, fileName) }

// Notice says in one sentence what Open had to repair, "" for nothing.
func (j *Journal) Notice() string { return j.notice }

// Append writes one entry and makes it durable before it returns. It fills in
// schema, time, actor and, where empty, a new ID; it returns the entry as
// written. Kind, What and Outcome are the caller's to give.
func (j *Journal) Append(e Entry) (Entry, error) {
	if e.Kind == "" || e.What == "" || e.Outcome == "" {
		return e, errors.New("append to the journal: an entry needs kind, what and outcome")
	}
	e.Schema = Schema
	if e.At.IsZero() {
		e.At = j.now()
	}
	e.At = e.At.UTC()
	if e.ID == "" {
		id, err := newID(e.At)
		if err != nil {
			return e, fmt.Errorf("append to the journal: %w", err)
		}
		e.ID = id
	}
	if e.Actor == "" {
		e.Actor = actor()
	}
	line, err := json.Marshal(e)
	if err != nil {
		return e, fmt.Errorf("append to the journal: %w", err)
	}
	if len(line) >= maxLine {
		return e, fmt.Errorf("append to the journal: an entry of %d bytes, the limit is %d", len(line), maxLine)
	}
	err = j.alone(func(f *os.File) error {
		if err := j.mend(f); err != nil {
			return err
		}
		return appendLine(f, append(line, '\n'))
	})
	if err != nil {
		return e, fmt.Errorf("append to the journal: %w", err)
	}
	return e, nil
}

// Entries returns the last entries, oldest first; all for limit <= 0. When lines
// in between cannot be read, it returns the rest and an error that counts them.
func (j *Journal) Entries(limit int) ([]Entry, error) {
	f, err := os.Open(j.Path())
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	defer f.Close()
	r, err := read(f, limit)
	if err == nil && r.bad > 0 {
		err = fmt.Errorf("%d lines of %s cannot be read", r.bad, j.Path())
	}
	return r.entries, err
}

// alone runs do with the journal's file while no other program writes it.
func (j *Journal) alone(do func(*os.File) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writerPatience)
	defer cancel()
	release, err := hold(ctx, filepath.Join(j.dir, writerName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	f, err := os.OpenFile(j.Path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(0o600); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return do(f)
}

// mend repairs the end of the file if another program died in the middle of its
// line since Open. One byte tells: reading the whole file at each append would
// make a long journal slow.
func (j *Journal) mend(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = recoverTail(f, filepath.Join(j.dir, damagedName))
	return err
}

// recoverTail cuts off what follows the last whole record, keeping a copy. It
// returns how many bytes that were.
func recoverTail(f *os.File, damaged string) (int64, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	r, err := read(f, 1)
	if err != nil || !r.damaged() {
		return 0, err
	}
	tail := make([]byte, r.size-r.whole)
	if _, err := f.ReadAt(tail, r.whole); err != nil {
		return 0, err
	}
	if err := keepCopy(damaged, tail); err != nil {
		return 0, err
	}
	if err := f.Truncate(r.whole); err != nil {
		return 0, err
	}
	return int64(len(tail)), f.Sync()
}

func keepCopy(path string, tail []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(append(bytes.TrimSuffix(tail, []byte("\n")), '\n'))
	return err
}

// appendLine writes at the end, durably. What a full disk left of the line is
// taken back.
func appendLine(f *os.File, line []byte) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := f.Write(line); err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	return f.Sync()
}

// newID makes an ID that sorts by time and can be typed: 20261122-224700-3f9a1c.
func newID(at time.Time) (string, error) {
	var b [3]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return at.Format("20060102-150405-") + hex.EncodeToString(b[:]), nil
}

// actor is user@host; a part that the machine does not tell is "?".
func actor() string {
	name, host := "?", "?"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
