package dlq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"kxops/ops"
)

// fileBatch is how many messages share one fsync.
const fileBatch = ops.MaxBatchEntries

// fileSender appends messages to a file. Its receipt is the number of the line,
// given when the line is on the disk. A message that is in the file already is
// not written again: the same operation may go on after a crash.
type fileSender struct {
	path string

	mu    sync.Mutex
	file  archiveFile
	end   int64          // of the last whole line, in bytes
	lines int            // whole lines, the header included
	known map[string]int // message id -> line
	err   error          // nothing more is written after an error
}

// archiveFile is what a fileSender needs of a file; tests put a full disk in its place.
type archiveFile interface {
	Write([]byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// newFileSender makes the operation's file, or goes on with it.
func newFileSender(d *Desk, plan ops.Plan, path string) (*fileSender, error) {
	s := &fileSender{path: path, known: map[string]int{}}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(path); statErr != nil || info.Size() > 0 {
			return s, s.goOn(plan.ID)
		}
		// The name was made and the crash came before the first line.
		f, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	}
	if err != nil {
		return nil, fileTrouble("make", path, err)
	}
	s.file = f
	head, err := json.Marshal(fileHeader{Schema: MessageSchema, Account: plan.Account, Region: plan.Region, Queue: plan.From, At: d.o.Now().UTC(), Op: plan.ID})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := s.append(append(head, '\n'), 1); err != nil {
		return nil, errors.Join(fileTrouble("write", path, err), f.Close())
	}
	if err := syncFolder(filepath.Dir(path)); err != nil { // else a power cut takes the name away
		return nil, errors.Join(fileTrouble("make", path, err), f.Close())
	}
	return s, nil
}

func fileTrouble(doing, path string, err error) *ops.Problem {
	return &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("%s %s: %v", doing, path, err), Hint: "what is recorded stays; nothing was deleted that is not in the file", Err: err}
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// goOn opens a file that this very operation began. What a crash left of the last
// line is cut off; every whole line is known, so that it is not written twice.
func (s *fileSender) goOn(operation string) error {
	text, err := os.ReadFile(s.path)
	if err != nil {
		return fileTrouble("read", s.path, err)
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	for i, line := range bytes.SplitAfter(text[:whole], []byte("\n")) {
		if len(line) == 0 {
			break
		}
		if i == 0 {
			var h fileHeader
			if json.Unmarshal(line, &h) != nil || h.Schema != MessageSchema || h.Op != operation {
				return &ops.Problem{Fault: ops.FaultRefused, What: s.path + " exists and is not of this operation", Hint: "choose a file that does not exist"}
			}
			s.lines = 1
			continue
		}
		var l fileLine
		if err := json.Unmarshal(line, &l); err != nil {
			return badFile(s.path, i+1, jsonTrouble(err))
		}
		if _, err := l.message(); err != nil {
			return badFile(s.path, i+1, err.Error())
		}
		s.lines++
		s.known[l.ID] = s.lines
	}
	if s.lines == 0 {
		return &ops.Problem{Fault: ops.FaultRefused, What: s.path + " exists and is not of this operation", Hint: "choose a file that does not exist"}
	}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return fileTrouble("open", s.path, err)
	}
	// Whole lines may never have reached the disk: nothing of them is known to be there yet.
	if err := errors.Join(f.Truncate(int64(whole)), f.Sync()); err != nil {
		return errors.Join(fileTrouble("write", s.path, err), f.Close())
	}
	s.file, s.end = f, int64(whole)
	return nil
}

// has reports whether a message is in the file.
func (s *fileSender) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[id] > 0
}

func (s *fileSender) batch() int       { return fileBatch }
func (s *fileSender) repeatable() bool { return true }

func (s *fileSender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = os.ErrClosed
	// Every line was synced before it counted: closing has nothing left to lose.
	_ = s.file.Close()
}

// send writes the parcels that are not in the file yet, with one fsync.
func (s *fileSender) send(_ context.Context, parcels []parcel) []receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	receipts := make([]receipt, len(parcels))
	if s.err != nil {
		return allOf(len(parcels), s.refusal(untaken, s.err))
	}
	var text []byte
	var fresh []int
	for i, p := range parcels {
		if n, ok := s.known[p.message.ID]; ok {
			receipts[i] = receipt{fate: sent, id: strconv.Itoa(n)}
			continue
		}
		line, err := encodeMessage(p.message)
		if err != nil {
			receipts[i] = receipt{fate: rejected, code: "Encoding", why: err.Error(), sender: true}
			continue
		}
		text, fresh = append(text, line...), append(fresh, i)
	}
	if len(fresh) == 0 {
		return receipts
	}
	fate := sent
	if err := s.append(text, len(fresh)); err != nil {
		s.err = err
		fate = untaken // the message is still where it was, and resuming reads the file
	}
	for k, i := range fresh {
		if fate != sent {
			receipts[i] = s.refusal(fate, s.err)
			continue
		}
		line := s.lines - len(fresh) + k + 1
		s.known[parcels[i].message.ID] = line
		receipts[i] = receipt{fate: sent, id: strconv.Itoa(line)}
	}
	return receipts
}

func (s *fileSender) refusal(f fate, err error) receipt {
	p := fileTrouble("write", s.path, err)
	return receipt{fate: f, code: "File", why: p.What, stop: p}
}

// append writes whole lines and makes them durable. What a full disk left of them
// is taken back.
func (s *fileSender) append(text []byte, lines int) error {
	if _, err := s.file.Write(text); err != nil {
		return errors.Join(err, s.file.Truncate(s.end))
	}
	if err := s.file.Sync(); err != nil {
		return err // what it left behind is not known: only reading the file again tells
	}
	s.end += int64(len(text))
	s.lines += lines
	return nil
}

// planArchive plans to copy letters into a file and then to delete them here.
func (d *Desk) planArchive(ctx context.Context, ask ops.Ask, q ops.Queue, pile *Pile) (ops.Plan, error) {
	plan, err := d.newPlan(ask, q)
	if err != nil {
		return plan, err
	}
	if err := d.chosen(&plan, pile); err != nil {
		return plan, err
	}
	if plan.File, err = filepath.Abs(ask.File); err != nil || ask.File == "" {
		return plan, &ops.Problem{Fault: ops.FaultRefused, What: "no file is given: the copy comes before the delete", Err: err}
	}
	plan.To = []ops.Target{{Kind: ops.KindFile, Path: plan.File, Count: len(plan.Manifest)}}
	if err := d.complete(ctx, &plan, pile); err != nil {
		return plan, err
	}
	plan.CannotUndo = []string{
		"kxops dlq restore puts the messages back, with a new MessageId, a new age, and without DeadLetterQueueSourceArn: a later move by SQS needs a destination",
	}
	return plan, nil
}

// checkNewFile blocks a plan whose file cannot be made.
func checkNewFile(plan *ops.Plan, path string) {
	block := func(what string) { plan.Blockers = append(plan.Blockers, path+" "+what) }
	if strings.HasSuffix(path, ".gz") || strings.HasSuffix(path, ".zst") {
		block("cannot be compressed while it is written: each message has to be on the disk before it is deleted; compress it afterwards")
	}
	if _, err := os.Lstat(path); err == nil {
		block("exists: an archive is never written over")
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		block("has no directory to be in")
	}
}
