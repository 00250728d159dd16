package dlq

import (
	"context"

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
)

// receipt is the target's answer for one parcel.
type receipt struct {
	fate   fate
	id     string // the new message id, request id or line number
	code   string
	why    string
	sender bool // our fault: trying again will not help
	// throttled asks to slow down and try the same again: it was not taken for sure.
	throttled bool
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
	return nil, errNotYet
}
