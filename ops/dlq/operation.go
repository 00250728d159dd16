package dlq

import (
	"context"
	"time"

	"kxops/ops"
)

// Operation is a plan that is being applied. It is safe for concurrent use.
type Operation struct{}

// Start applies a plan: it checks the hash, the place and the drift, takes the
// queue's lock, writes the journal and goes on in the background until it is
// over or ctx ends (which counts as Cancel). A plan whose world has changed is
// refused with what changed.
func (d *Desk) Start(ctx context.Context, plan ops.Plan) (*Operation, error) { return nil, errNotYet }

// Resume continues an operation that was interrupted, from its record.
func (d *Desk) Resume(ctx context.Context, id string) (*Operation, error) { return nil, errNotYet }

// Progress is where it is now.
func (o *Operation) Progress() ops.Progress { return ops.Progress{} }

// Pause stops before the next batch, Continue goes on.
func (o *Operation) Pause()    {}
func (o *Operation) Continue() {}

// Cancel stops before the next batch, finishes what is in hand and gives the rest back.
func (o *Operation) Cancel() {}

// Wait returns when it is over. Done is closed then.
func (o *Operation) Wait() ops.Result      { return ops.Result{} }
func (o *Operation) Done() <-chan struct{} { return nil }

// Unfinished is an operation that was interrupted and can be resumed.
type Unfinished struct {
	ID      string
	Verb    ops.Verb
	From    ops.ARN
	Account string
	Region  string
	Started time.Time
	By      string
	Total   int
	Sent    int
	Deleted int
	Open    int    // intents without an outcome: they will be unknown
	Notice  string // "the record ended in a damaged line; 12 bytes were cut off"
}

// Unfinished lists the interrupted operations of this machine, newest first.
func (d *Desk) Unfinished() ([]Unfinished, error) { return nil, errNotYet }
