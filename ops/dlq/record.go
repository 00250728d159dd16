package dlq

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"kxops/ops"
	"kxops/ops/journal"
)

// The words of an operation's record. Each line is written and on the disk before
// the operation goes on; the order of the lines is the protocol.
const (
	lineEntry    = "entry"    // one message of the manifest
	lineBegin    = "begin"    // the plan, after its whole manifest: from here on it counts
	lineIntent   = "intent"   // about to be sent
	lineSent     = "sent"     // the target has it
	lineRejected = "rejected" // the target did not take it
	lineUnknown  = "unknown"  // no answer
	lineUntaken  = "untaken"  // not taken for sure: as if it had never been tried
	lineDeleted  = "deleted"  // gone from the dead-letter queue
	lineReturned = "returned" // it failed again and came back
	lineAgain    = "again"    // for a person: resumed, paused, a stage of the canary
	lineEnd      = "end"      // over; nothing follows but a resume
)

// line is one line of the record. It holds ids and hashes, never a body.
type line struct {
	Word   string    `json:"is"`
	At     time.Time `json:"at"`
	ID     string    `json:"id,omitempty"`
	To     int       `json:"to,omitempty"` // target index, on an intent
	New    string    `json:"new,omitempty"`
	Code   string    `json:"code,omitempty"`
	Why    string    `json:"why,omitempty"`
	Sender bool      `json:"sender_fault,omitempty"`

	Entry *ops.Entry    `json:"entry,omitempty"`
	Plan  *ops.Plan     `json:"plan,omitempty"`
	End   *ops.Progress `json:"end,omitempty"`
}

// state is where a message of the manifest is in the protocol.
type state int

const (
	waiting   state = iota
	intended        // recorded before the send; without an outcome it is uncertain
	isSent          // recorded as sent: only to be deleted, never to be sent again
	isDeleted       // done
	isRejected
	isUnknown
)

// item is a message of the manifest.
type item struct {
	ops.Entry
	state     state
	intent    time.Time // the first one
	newID     string
	code, why string
	sender    bool
	returned  bool
}

// record is an operation's record with what it adds up to. Every change is on the
// disk before it counts here.
type record struct {
	log   *journal.Log
	now   func() time.Time
	event func() error // nil; in tests, the program's death before and after a line

	mu    sync.Mutex
	plan  ops.Plan
	items map[string]*item
	order []string
	byNew map[string]*item // by the message id at the target
	ended bool             // the last line is an end
	whole bool             // … of an operation that was not stopped: it has looked for everything
	last  time.Time        // of the last line
	count counts
}

// counts are of messages.
type counts struct{ waiting, intended, sent, deleted, rejected, unknown, returned int }

const linesTogether = 500 // of the manifest

// beginRecord writes the plan with its manifest, and then that it begins.
func beginRecord(log *journal.Log, plan ops.Plan, now func() time.Time) (*record, error) {
	r := newRecord(log, plan, now)
	at := now().UTC()
	for part := range slices.Chunk(plan.Manifest, linesTogether) {
		lines := make([]any, len(part))
		for i := range part {
			lines[i] = line{Word: lineEntry, At: at, Entry: &part[i]}
		}
		if err := log.Append(lines...); err != nil {
			return nil, err
		}
	}
	plan.Manifest = nil
	return r, log.Append(line{Word: lineBegin, At: at, Plan: &plan})
}

func newRecord(log *journal.Log, plan ops.Plan, now func() time.Time) *record {
	r := &record{log: log, now: now, plan: plan, items: make(map[string]*item, len(plan.Manifest)), byNew: map[string]*item{}}
	for _, e := range plan.Manifest {
		r.add(e)
	}
	return r
}

func (r *record) add(e ops.Entry) {
	if r.items[e.ID] != nil {
		return
	}
	r.items[e.ID] = &item{Entry: e}
	r.order = append(r.order, e.ID)
	r.count.waiting++
}

var errNeverBegan = errors.New("it never began: nothing was sent")

// replay reads a record. The error is errNeverBegan when the manifest was not even
// written whole.
func replay(lines [][]byte, log *journal.Log, now func() time.Time) (*record, error) {
	r := newRecord(log, ops.Plan{}, now)
	begun := false
	for i, text := range lines {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("line %d of the record: %w", i+1, err)
		}
		r.last, r.ended = l.At, l.Word == lineEnd
		r.whole = l.End != nil && (l.End.State == ops.Finished || l.End.State == ops.Incomplete)
		switch l.Word {
		case lineEntry:
			if l.Entry != nil {
				r.add(*l.Entry)
			}
		case lineBegin:
			if l.Plan == nil {
				return nil, fmt.Errorf("line %d of the record: a beginning without a plan", i+1)
			}
			begun, r.plan = true, *l.Plan
		case lineAgain, lineEnd:
		default:
			r.book(l)
		}
	}
	if !begun {
		return nil, errNeverBegan
	}
	for _, id := range r.order {
		r.plan.Manifest = append(r.plan.Manifest, r.items[id].Entry)
	}
	if err := r.plan.Check(); err != nil { // a manifest with a message more or less is another operation
		return nil, err
	}
	return r, nil
}

// book changes the counts by one line that is on the disk. Call it under the lock,
// or before anybody else has the record.
func (r *record) book(l line) {
	it := r.items[l.ID]
	if it == nil {
		return // not in the manifest: we never wrote it
	}
	switch l.Word {
	case lineIntent:
		if it.intent.IsZero() {
			it.intent = l.At
		}
		r.move(it, intended)
	case lineSent:
		it.newID = l.New
		if l.New != "" {
			r.byNew[l.New] = it
		}
		if copies(r.plan.Verb) { // there is nothing to delete
			r.move(it, isDeleted)
		} else {
			r.move(it, isSent)
		}
	case lineRejected:
		it.code, it.why, it.sender = l.Code, l.Why, l.Sender
		r.move(it, isRejected)
	case lineUnknown:
		it.code, it.why = l.Code, l.Why
		r.move(it, isUnknown)
	case lineUntaken:
		it.intent = time.Time{}
		r.move(it, waiting)
	case lineDeleted:
		r.move(it, isDeleted)
	case lineReturned:
		if !it.returned {
			it.returned = true
			r.count.returned++
		}
	}
}

func (r *record) move(it *item, to state) {
	*r.count.of(it.state)--
	it.state = to
	*r.count.of(to)++
}

func (c *counts) of(s state) *int {
	switch s {
	case intended:
		return &c.intended
	case isSent:
		return &c.sent
	case isDeleted:
		return &c.deleted
	case isRejected:
		return &c.rejected
	case isUnknown:
		return &c.unknown
	}
	return &c.waiting
}

// write puts lines on the disk and then books them. After an error nothing was
// booked, and the operation must not go on.
func (r *record) write(lines ...line) error {
	if len(lines) == 0 {
		return nil
	}
	at := r.now().UTC()
	out := make([]any, len(lines))
	for i := range lines {
		lines[i].At = at
		out[i] = lines[i]
	}
	if err := r.mayDie(); err != nil {
		return err
	}
	if err := r.log.Append(out...); err != nil {
		return err
	}
	if err := r.mayDie(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range lines {
		r.last, r.ended = l.At, l.Word == lineEnd
		r.book(l)
	}
	return nil
}

func (r *record) mayDie() error {
	if r.event == nil {
		return nil
	}
	return r.event()
}

// stateOf is where a message is; false when it is not in the manifest.
func (r *record) stateOf(id string) (state, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	it := r.items[id]
	if it == nil {
		return 0, false
	}
	return it.state, true
}

// returnOf is the id under which a returned message was in the manifest, "" when
// the message is none that was sent. Automatic dead-lettering keeps the id that
// the send answered; a dead letter of an asynchronous invocation names its request.
func (r *record) returnOf(m ops.Message) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if it := r.byNew[m.ID]; it != nil && m.ID != it.ID {
		return it.ID
	}
	if it := r.byNew[m.Attributes["RequestID"].Text]; it != nil && m.ID != it.ID {
		return it.ID
	}
	return ""
}

// entry is a copy of an item.
func (r *record) entry(id string) item {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.items[id]
}

func (r *record) counts() counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// in lists the ids in a state, in the order of the manifest.
func (r *record) in(states ...state) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, id := range r.order {
		if slices.Contains(states, r.items[id].state) {
			ids = append(ids, id)
		}
	}
	return ids
}

// result adds up what became of everything.
func (r *record) result() ops.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out ops.Result
	for _, id := range r.order {
		it := r.items[id]
		switch it.state {
		case isRejected:
			out.Rejections = append(out.Rejections, ops.Refusal{ID: id, Code: it.code, Why: it.why, Sender: it.sender})
		case isUnknown, intended:
			out.UnknownIDs = append(out.UnknownIDs, id)
		case isSent:
			out.PendingIDs = append(out.PendingIDs, id)
		case waiting:
			out.MissingIDs = append(out.MissingIDs, id)
		}
		if it.returned {
			out.ReturnedIDs = append(out.ReturnedIDs, id)
		}
	}
	return out
}
