package dlq

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go"

	"kxops/ops"
)

// parcel is a message on its way to a target.
type parcel struct {
	message ops.Message
	group   string // MessageGroupId to send with, "" for none
	dedup   string // FIFO targets: stable across a resume of the same operation
}

// fate is what became of a parcel at the target.
type fate string

const (
	sent     fate = "sent"
	rejected fate = "rejected" // the target said no: the message stays where it was
	unknown  fate = "unknown"  // no answer: it may be there or not
	// untaken was not taken for sure and may be tried again: throttled, or the
	// request never left.
	untaken fate = "untaken"
)

// receipt is the target's answer for one parcel.
type receipt struct {
	fate   fate
	id     string // the new message id, request id or line number
	code   string
	why    string
	sender bool // our fault: trying again will not help
	// stop is set when the answer is about the target or about us and not about this
	// message (no such queue, not allowed, expired): nothing more should be sent.
	stop *ops.Problem
}

// sender sends parcels to one target. Each request leaves once: it never repeats
// by itself. It returns one receipt for each parcel, in order, also when ctx ended.
type sender interface {
	send(ctx context.Context, parcels []parcel) []receipt
	// batch is how many parcels one call of send may have.
	batch() int
	// repeatable reports whether sending the same parcel again within
	// ops.DedupWindow is harmless: a FIFO target with a dedup id.
	repeatable() bool
}

// senderTo makes the sender of a target.
func (d *Desk) senderTo(ctx context.Context, plan ops.Plan, t ops.Target) (sender, error) {
	s, err := d.plainSender(ctx, plan, t)
	if err != nil || plan.Verb != ops.Edit {
		return s, err
	}
	return newEditSender(d, plan, s)
}

func (d *Desk) plainSender(ctx context.Context, plan ops.Plan, t ops.Target) (sender, error) {
	switch t.Kind {
	case ops.KindQueue:
		return newQueueSender(d, t), nil
	case ops.KindFile:
		return newFileSender(d, plan, t.Path)
	case ops.KindTopic:
		return newTopicSender(d, t), nil
	case ops.KindFunction:
		return newFunctionSender(ctx, d, plan, t)
	}
	return nil, fmt.Errorf("kxops does not send to a %s", t.Kind)
}

// allOf is the same receipt for every parcel.
func allOf(n int, r receipt) []receipt {
	out := make([]receipt, n)
	for i := range out {
		out[i] = r
	}
	return out
}

// failure is the receipt of a request that failed as a whole.
//
// An answer with a 4xx status means that the service read the request and did
// nothing. With a 5xx, or without an answer, it may have been done. A request that
// never left, or that our own gate refused, was not.
func (d *Desk) failure(doing string, err error) receipt {
	p := d.explain(doing, err)
	code := string(p.Fault)
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() != "" {
		code = api.ErrorCode()
	}
	r := receipt{fate: unknown, code: code, why: p.What}
	status := 0
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	switch {
	case p.Fault == ops.FaultRefused, p.Fault == ops.FaultNoCreds:
		r.fate, r.stop = untaken, p
	case p.Fault == ops.FaultThrottled, neverLeft(err):
		r.fate = untaken
	case status >= http.StatusInternalServerError || status == 0:
	case p.Fault == ops.FaultExpired, p.Fault == ops.FaultDenied, p.Fault == ops.FaultNotFound, p.Fault == ops.FaultClock, p.Fault == ops.FaultUnsupported:
		r.fate, r.stop = untaken, p
	case status >= http.StatusBadRequest:
		r.fate, r.sender = rejected, true
	}
	return r
}
