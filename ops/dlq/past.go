package dlq

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kxops/ops"
	"kxops/ops/journal"
)

// Past is what the record of an operation says became of it.
type Past struct {
	Plan   ops.Plan   // with its manifest
	Result ops.Result // the counts and ids, state and calls of its end; State is Broken while it is not ended
	Ended  bool       // false: it still runs, or was interrupted
	Last   time.Time  // of the last line
	Notice string     // what could not be read at the record's end, "" for nothing
}

// ReadPast reads the record of an operation, without changing it. The error is
// fs.ErrNotExist when there is none: a session, or an operation without messages.
func ReadPast(j *journal.Journal, id string) (Past, error) {
	lines, notice, err := j.ReadLog(id)
	if err != nil {
		return Past{}, err
	}
	r, err := replay(lines, nil, time.Now)
	if errors.Is(err, errNeverBegan) {
		return Past{Notice: notice}, fmt.Errorf("operation %s: %w", id, err)
	}
	if err != nil {
		return Past{}, fmt.Errorf("read the record of %s: %w", id, err)
	}
	p := Past{Plan: r.plan, Result: r.result(), Ended: r.ended, Last: r.last, Notice: notice}
	c := r.counts()
	p.Result.Progress = ops.Progress{
		ID: id, Verb: r.plan.Verb, From: r.plan.From, State: ops.Broken, Total: len(r.order), Sent: c.sent + c.deleted, Deleted: c.deleted,
		Pending: c.sent, Rejected: c.rejected, Unknown: c.unknown + c.intended, Returned: c.returned, Missing: c.waiting, Started: r.plan.Created,
	}
	if end := endOf(lines); r.ended && end != nil {
		now := &p.Result.Progress
		now.State, now.Note, now.Started, now.Deleted, now.Calls, now.USD = end.State, end.Note, end.Started, end.Deleted, end.Calls, end.USD
	}
	return p, nil
}

// endOf is what the last line of a record says of the end, nil when it is no end.
func endOf(lines [][]byte) *ops.Progress {
	if len(lines) == 0 {
		return nil
	}
	var l line
	if err := json.Unmarshal(lines[len(lines)-1], &l); err != nil || l.Word != lineEnd {
		return nil
	}
	return l.End
}
