package dlq

import (
	"errors"
	"fmt"
	"time"

	"kxops/ops"
	"kxops/ops/journal"
)

// Past is what the record of an operation says became of it.
type Past struct {
	Plan   ops.Plan   // with its manifest
	Result ops.Result // the counts and ids; State is Broken while it is not ended
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
	state := ops.Broken
	p.Result.Progress = ops.Progress{
		ID: id, Verb: r.plan.Verb, From: r.plan.From, State: state, Total: len(r.order), Sent: c.sent + c.deleted, Deleted: c.deleted,
		Pending: c.sent, Rejected: c.rejected, Unknown: c.unknown + c.intended, Returned: c.returned, Started: r.plan.Created,
	}
	return p, nil
}
