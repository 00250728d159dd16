package dlq

import (
	"context"
	"errors"
	"time"

	"kxops/ops"
)

var errNotYet = errors.New("CONTRACT STUB: being written")

// Look says how a look is done. The zero value is a good look.
type Look struct {
	Limit   int           // messages wanted, 0: 1,000
	Hold    int           // messages leased at the same time at most, 0: the limit
	Lease   time.Duration // 0: as long as the look is expected to take, at least 30 s
	Workers int           // receives in the air, 0: 8
	Again   bool          // look even where this run has looked twice already
}

// Cost says what a look would do to the queue, before it is done. It sends nothing.
func (d *Desk) Cost(q ops.Queue, l Look) ops.PeekCost { return ops.PeekCost{} }

// Look receives messages and holds them until Release. Pile is never nil; with an
// error it holds what was received before it. progress may be nil.
func (d *Desk) Look(ctx context.Context, q ops.Queue, l Look, progress func(ops.LookProgress)) (*Pile, error) {
	_ = d.moving(ctx, q)
	return &Pile{}, errNotYet
}

// Pile returns the last look at a queue of this run, nil when there was none.
func (d *Desk) Pile(queue ops.ARN) *Pile { return nil }

// ReleaseAll gives back everything this desk holds: on leaving, on a signal.
func (d *Desk) ReleaseAll(ctx context.Context) error { return errNotYet }
