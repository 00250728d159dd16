package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Schema is the version of an entry. A newer kxops may write fields that an
// older one does not know; it leaves such lines alone.
const Schema = "kxops/journal/v1"

// maxLine bounds one line, in bytes. A longer one cannot be ours.
const maxLine = 1 << 20

// Kind says what an entry is about.
type Kind string

const (
	KindSession   Kind = "session"   // somebody looked: a console or a command, from start to end
	KindOperation Kind = "operation" // something was changed
)

// Outcome says what became of it. An operation has a started entry before its
// first call and a second entry with the same ID after its last one; one without
// the second was interrupted.
type Outcome string

const (
	Started Outcome = "started"
	Done    Outcome = "done"
	Partial Outcome = "partial" // some items failed, the rest stands
	Failed  Outcome = "failed"
	Refused Outcome = "refused" // by the gate or a person
	Halted  Outcome = "halted"  // by its own guard: canary, budget, unhealthy target
)

// Entry is one line of the journal. It holds no message bodies and no secrets.
type Entry struct {
	Schema  string    `json:"schema"`
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"` // user@host of this machine, with the AWS caller when it is known
	Account string    `json:"account"`
	Region  string    `json:"region"`
	Kind    Kind      `json:"kind"`
	What    string    `json:"what"`
	Reason  string    `json:"reason,omitempty"`
	Outcome Outcome   `json:"outcome"`
	Calls   int       `json:"calls"` // AWS API calls sent
	USD     float64   `json:"usd"`   // their list price
}

// reading is what a journal file holds.
type reading struct {
	entries []Entry // the last ones, oldest first
	bad     int     // lines before the last whole record that cannot be read
	whole   int64   // where the last whole record ends, in bytes
	size    int64
}

// damaged reports whether something follows the last whole record.
func (r reading) damaged() bool { return r.whole < r.size }

// read reads a journal and keeps the last limit entries (all for limit <= 0).
// A line that is a JSON object but not an entry of ours counts as whole: it is
// not ours to cut off.
func read(from io.Reader, limit int) (reading, error) {
	var r reading
	bad := 0 // since the last whole record
	lines := bufio.NewReaderSize(from, 64<<10)
	for {
		line, n, err := readLine(lines)
		r.size += n
		if err != nil && !errors.Is(err, io.EOF) {
			return r, fmt.Errorf("read the journal: %w", err)
		}
		if line != nil && err == nil && isObject(line) {
			r.whole, r.bad, bad = r.size, r.bad+bad, 0
			var e Entry
			if json.Unmarshal(line, &e) != nil || e.ID == "" {
				r.bad++
			} else {
				r.entries = append(r.entries, e)
			}
		} else if n > 0 {
			bad++
		}
		if limit > 0 && len(r.entries) >= 2*limit { // keep memory bounded by the limit, not by the file
			r.entries = append(r.entries[:0], r.entries[len(r.entries)-limit:]...)
		}
		if err != nil {
			break
		}
	}
	if limit > 0 && len(r.entries) > limit {
		r.entries = r.entries[len(r.entries)-limit:]
	}
	return r, nil
}

// readLine returns the next line without its end, nil when it is longer than
// maxLine, and how many bytes it took. The error is io.EOF for a line without an end.
func readLine(lines *bufio.Reader) (line []byte, n int64, err error) {
	for {
		part, err := lines.ReadSlice('\n')
		n += int64(len(part))
		if n <= maxLine {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if n > maxLine {
			line = nil
		}
		return bytes.TrimSuffix(line, []byte("\n")), n, err
	}
}

func isObject(line []byte) bool {
	return len(line) > 0 && line[0] == '{' && json.Valid(line)
}
