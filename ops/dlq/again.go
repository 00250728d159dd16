package dlq

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kxops/ops"
)

// A file can be sent twice: nothing in a queue says that its messages are copies of
// those that a file put there before. The records of this machine do.

const (
	recordsSearched = 200              // newest records that are opened
	searchWait      = 10 * time.Second // for all of them
)

// fills visits the records of the restores and imports that sent something into a
// queue, newest first. notice says what could not be searched, "" for nothing.
func (d *Desk) fills(ctx context.Context, queue ops.ARN, visit func(id string, r *record)) (notice string, err error) {
	if d.o.Journal == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, searchWait)
	defer cancel()
	ids, err := d.o.Journal.Logs()
	if err != nil {
		return "", err
	}
	for n, id := range ids {
		if n == recordsSearched || ctx.Err() != nil {
			return fmt.Sprintf("only the newest %d operations of this machine were searched", n), nil
		}
		lines, _, err := d.o.Journal.ReadLog(id)
		if err != nil {
			notice = fmt.Sprintf("the record of operation %s cannot be read", id)
			continue
		}
		if !fillsQueue(lines, queue) {
			continue
		}
		r, err := replay(lines, nil, d.o.Now)
		if err != nil {
			notice = fmt.Sprintf("the record of operation %s cannot be read", id)
			continue
		}
		visit(id, r)
	}
	return notice, nil
}

// fillsQueue looks at the one line that says what an operation is, for a record can
// have hundreds of thousands.
func fillsQueue(lines [][]byte, queue ops.ARN) bool {
	begin := []byte(`{"is":"` + lineBegin + `"`)
	for _, text := range lines {
		if !bytes.HasPrefix(text, begin) {
			continue
		}
		var l line
		return json.Unmarshal(text, &l) == nil && l.Plan != nil && copies(l.Plan.Verb) && l.Plan.From == queue
	}
	return false
}

// sentBefore says, one sentence for each earlier restore or import, how many of the
// plan's messages it sent to the same queue already. A message is the same when id
// and body are: one that came back, and was archived again, has a new id.
func (d *Desk) sentBefore(ctx context.Context, plan ops.Plan) (said []string, notice string, err error) {
	sums := make(map[string]string, len(plan.Manifest))
	for _, e := range plan.Manifest {
		sums[e.ID] = e.Sum
	}
	notice, err = d.fills(ctx, plan.From, func(id string, r *record) {
		if id == plan.ID {
			return
		}
		sure, maybe, left := 0, 0, 0
		for _, old := range r.order {
			it := r.items[old]
			if sum, ok := sums[old]; !ok || sum != it.Sum {
				continue
			}
			switch it.state {
			case isSent, isDeleted:
				sure++
			case intended, isUnknown:
				maybe++
			default:
				left++
			}
		}
		if sure+maybe > 0 {
			said = append(said, beforeSentence(id, r.plan, sure, maybe, left))
		}
	})
	return said, notice, err
}

func beforeSentence(id string, was ops.Plan, sure, maybe, left int) string {
	did := map[ops.Verb]string{ops.Restore: "restored", ops.Import: "imported"}[was.Verb]
	by := fmt.Sprintf("by operation %s on %s", id, was.Created.Format("2006-01-02 15:04 UTC"))
	var s string
	switch {
	case maybe == 0:
		s = fmt.Sprintf("%d of these messages were already %s %s: they would be there twice", sure, did, by)
	case sure == 0:
		s = fmt.Sprintf("%d of these messages may already have been %s %s: no answer came", maybe, did, by)
	default:
		s = fmt.Sprintf("%d of these messages were already %s %s, and %d more may have been: they would be there twice", sure, did, by, maybe)
	}
	if left > 0 {
		s += fmt.Sprintf("; kxops dlq resume %s sends only the %d that are left", id, left)
	}
	return s
}

// checkAgain blocks a plan that would send messages a second time, unless the person
// said that this is meant.
func (d *Desk) checkAgain(ctx context.Context, plan *ops.Plan) error {
	said, notice, err := d.sentBefore(ctx, *plan)
	if err != nil {
		return err
	}
	if notice != "" {
		add(&plan.Warnings, "whether these messages were sent before is not known for certain: "+notice)
	}
	for _, s := range said {
		if !plan.Again {
			add(&plan.Blockers, s+"; say --again if that is meant")
			continue
		}
		add(&plan.Warnings, s+", as accepted")
		plan.Risk = ops.HighRisk
	}
	return nil
}

// stillNew refuses a plan when another one has sent its messages since it was made.
// The queue's lock is held.
func (d *Desk) stillNew(ctx context.Context, plan ops.Plan) error {
	if !copies(plan.Verb) || plan.Again {
		return nil
	}
	said, _, err := d.sentBefore(ctx, plan)
	if err != nil || len(said) == 0 {
		return err
	}
	return &ops.Problem{Fault: ops.FaultRefused, What: said[0], Hint: "make a new plan with --again if that is meant"}
}
