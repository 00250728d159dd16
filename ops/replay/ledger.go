package replay

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"kxops/ops"
)

const (
	receiptsEnd = ".jsonl.zst"
	parkedName  = "parked.jsonl"
	brokenName  = "broken.jsonl"
	// syncEvery is how many receipts may be off the disk at a time. They are on their way to
	// it as soon as they are written, so usually it is what one fsync takes; a crash makes
	// these records, and those in the air, be sent again.
	syncEvery = 500
	// syncLocally is the same where twice does no harm: to a file or to nowhere.
	syncLocally = 20_000
)

// receipt is the proof that the target took one record. It holds hashes, no content.
type receipt struct {
	ID    string `json:"id"`              // source id
	Part  int    `json:"part"`            // of the plan
	N     int64  `json:"n"`               // its place in the part, by reading
	At    string `json:"at,omitempty"`    // where it is at the target
	Key   string `json:"key,omitempty"`   // hash of the key it was sent with
	Sum   string `json:"sum"`             // hash of the body that was sent
	Twice bool   `json:"twice,omitempty"` // an answer was lost: it may be there a second time
}

// bodySum is the first eight bytes of the body's SHA-256. Added up over records,
// modulo 2^64, they are a hash that does not depend on the order.
func bodySum(body []byte) uint64 {
	h := sha256.Sum256(body)
	return binary.BigEndian.Uint64(h[:8])
}

func sumText(sum uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], sum)
	return hex.EncodeToString(b[:])
}

// keySum names a key without saying it: partition keys are customer numbers.
func keySum(key string) string {
	if key == "" {
		return ""
	}
	h := sha256.Sum256([]byte(key))
	return hex.EncodeToString(h[:8])
}

// ledger is where a replay writes what became of records: receipts, parked records,
// broken pieces. One file of receipts for each run of the replay; a file that a crash
// cut off is read as far as it goes. It is safe for concurrent use.
type ledger struct {
	dir string
	// before puts on the disk what the target has taken, where that is not there by itself:
	// a receipt must not outlive its record. nil: nothing to do.
	before func() error
	fsync  func(*os.File) error // in tests, a disk that takes its time

	mu       sync.Mutex
	receipts *os.File
	packed   *zstd.Encoder
	buffer   bytes.Buffer // receipts that are not in the file yet
	parked   *os.File     // opened with the first record
	broken   *os.File
	line     []byte
	turn     sync.Cond
	most     int    // receipts that may be off the disk
	wrote    uint64 // receipts that were written, and syncs that were asked for
	safe     uint64 // of these, on the disk
	syncing  bool
	kick     chan struct{} // to the keeper: there is something to sync; nil: it waits for a checkpoint
	kept     chan struct{} // closed when the keeper has ended
	err      error         // the first one; nothing is written after it
}

// replayDirectory is where the files of one replay are.
func replayDirectory(journal, id string) string { return filepath.Join(journal, "replays", id) }

// openLedger begins another file of receipts.
func openLedger(dir string, most int) (*ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("receipts: %w", err)
	}
	for n := 1; ; n++ {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("receipts-%03d%s", n, receiptsEnd)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("receipts: %w", err)
		}
		l := &ledger{dir: dir, receipts: f, most: most, fsync: (*os.File).Sync}
		l.turn.L = &l.mu
		l.packed, err = zstd.NewWriter(&l.buffer, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("receipts: %w", errors.Join(err, f.Close()))
		}
		if most == syncEvery {
			l.kick, l.kept = make(chan struct{}, 1), make(chan struct{})
			go l.keep()
		}
		return l, nil
	}
}

// syncMost is how many receipts may be off the disk.
func syncMost(to ops.Kind) int {
	if to == ops.KindNull || to == ops.KindFile {
		return syncLocally
	}
	return syncEvery
}

// take books what the target took. The receipts are on their way to the disk when it
// returns, and it waits while too many are.
func (l *ledger) take(receipts []receipt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.line = l.line[:0]
	for _, r := range receipts {
		l.line = r.append(l.line)
	}
	if _, err := l.packed.Write(l.line); err != nil {
		return l.failed(err)
	}
	l.wrote += uint64(len(receipts))
	if l.kick != nil {
		select {
		case l.kick <- struct{}{}:
		default: // it knows
		}
	}
	if l.wrote-l.safe <= uint64(l.most) {
		return nil
	}
	return l.durable(l.wrote - uint64(l.most))
}

// keep syncs whenever there is something to sync.
func (l *ledger) keep() {
	defer close(l.kept)
	for range l.kick {
		l.mu.Lock()
		_ = l.durable(l.wrote) // an error stays: every later call has it
		l.mu.Unlock()
	}
}

// durable returns when what was written until then is on the disk. Call it under the
// lock, which it gives up meanwhile.
func (l *ledger) durable(upTo uint64) error {
	for l.safe < upTo && l.err == nil {
		if l.syncing {
			l.turn.Wait()
			continue
		}
		l.syncOnce()
	}
	return l.err
}

// syncOnce puts everything on the disk that is written. Call it under the lock, which it
// gives up meanwhile.
func (l *ledger) syncOnce() {
	if l.before != nil {
		if err := l.before(); err != nil {
			_ = l.failed(err) // it stays: everything after it fails
			return
		}
	}
	if err := l.packed.Flush(); err != nil {
		_ = l.failed(err)
		return
	}
	if l.drain() != nil {
		return
	}
	files, upTo := []*os.File{l.receipts, l.parked, l.broken}, l.wrote
	l.syncing = true
	l.mu.Unlock()
	var err error
	for _, f := range files {
		if f != nil {
			err = errors.Join(err, l.fsync(f))
		}
	}
	l.mu.Lock()
	l.syncing = false
	if err != nil {
		_ = l.failed(err)
	} else {
		l.safe = upTo
	}
	l.turn.Broadcast()
}

// append writes the receipt as a line. Only At comes from outside.
func (r receipt) append(b []byte) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, r.ID...)
	b = append(b, `","part":`...)
	b = strconv.AppendInt(b, int64(r.Part), 10)
	b = append(b, `,"n":`...)
	b = strconv.AppendInt(b, r.N, 10)
	if r.At != "" {
		b = append(b, `,"at":`...)
		b = appendText(b, r.At)
	}
	if r.Key != "" {
		b = append(b, `,"key":"`...)
		b = append(b, r.Key...)
		b = append(b, '"')
	}
	b = append(b, `,"sum":"`...)
	b = append(b, r.Sum...)
	b = append(b, '"')
	if r.Twice {
		b = append(b, `,"twice":true`...)
	}
	return append(b, '}', '\n')
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always can be written
				panic(err)
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// parkedRecord is a record that was not sent, whole, with the reason. The file of
// parked records is a source of a replay.
type parkedRecord struct {
	envelope
	Part int    `json:"part"`
	N    int64  `json:"n"`
	Code string `json:"code"`
	Why  string `json:"why"`
}

// park keeps a record that was not taken; it is on the disk with the next sync.
func (l *ledger) park(p parkedRecord) error {
	return l.put(&l.parked, parkedName, p)
}

// brokenPieces books pieces of the source that are no records.
func (l *ledger) brokenPieces(pieces []Broken) error {
	for _, b := range pieces {
		if err := l.put(&l.broken, brokenName, b); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) put(to **os.File, name string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if *to == nil {
		f, err := openLines(filepath.Join(l.dir, name))
		if err != nil {
			return l.failed(err)
		}
		*to = f
	}
	if _, err := (*to).Write(append(line, '\n')); err != nil {
		return l.failed(err)
	}
	return nil
}

// openLines opens a file of lines to go on with it; a line that a crash cut off is
// ended, and reading leaves it out.
func openLines(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size > 0 {
		last := make([]byte, 1)
		if _, err = f.ReadAt(last, size-1); err == nil && last[0] != '\n' {
			_, err = f.Write([]byte{'\n'})
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (l *ledger) failed(err error) error {
	if l.err == nil {
		l.err = fmt.Errorf("write what was sent to %s: %w", l.dir, err)
	}
	l.turn.Broadcast()
	return l.err
}

// sync puts everything on the disk.
func (l *ledger) sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.wrote++ // parked records count too
	return l.durable(l.wrote)
}

// drain writes what is packed into the file. Call it under the lock.
func (l *ledger) drain() error {
	if _, err := l.buffer.WriteTo(l.receipts); err != nil {
		return l.failed(err)
	}
	return nil
}

func (l *ledger) close() error {
	err := l.sync()
	if l.kick != nil {
		close(l.kick)
		<-l.kept
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err = errors.Join(err, l.packed.Close())
	if err == nil {
		err = l.drain()
	}
	for _, f := range []*os.File{l.receipts, l.parked, l.broken} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// eachReceipt hands over every receipt of a replay, run by run. A file that ends in
// the middle of a line was cut off by a crash: what it lost was sent again.
func eachReceipt(dir string, visit func(receipt) error) error {
	names, err := filepath.Glob(filepath.Join(dir, "receipts-*"+receiptsEnd))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := receiptsOf(name, visit); err != nil {
			return fmt.Errorf("receipts %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

func receiptsOf(name string, visit func(receipt) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		return err
	}
	packed, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer packed.Close()
	return eachLine(packed, func(line []byte) error {
		var r receipt
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		return visit(r)
	})
}

// eachLine hands over whole lines; an input that breaks off ends at its last one.
func eachLine(r io.Reader, visit func([]byte) error) error {
	lines := bufio.NewReaderSize(r, 256<<10)
	for {
		line, err := lines.ReadBytes('\n')
		switch {
		case err == nil:
			if line = bytes.TrimSuffix(line, []byte("\n")); len(line) > 0 {
				if err := visit(line); err != nil {
					return err
				}
			}
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		default:
			return err
		}
	}
}

// eachParked hands over what was parked. A line that a crash cut off is left out: its
// record was parked again.
func eachParked(dir string, visit func(parkedRecord) error) error {
	f, err := os.Open(filepath.Join(dir, parkedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return eachLine(f, func(line []byte) error {
		var p parkedRecord
		if json.Unmarshal(line, &p) != nil || strings.TrimSpace(p.ID) == "" {
			return nil
		}
		return visit(p)
	})
}
