package dlq

import (
	"context"
	"time"

	"kxops/ops"
)

// Record is one record of a stream that a pointer means.
type Record struct {
	Sequence string
	Key      string
	At       time.Time
	Data     []byte
}

// Range is what is known about a pointer's data.
type Range struct {
	Pointer  ops.Pointer
	TrimsAt  time.Time // when the first record is trimmed; zero: unknown
	Gone     bool      // trimmed already, or the object is gone
	Why      string    // when it cannot be read
	Records  []Record
	Complete bool // all of Pointer.Records were read
}

// Resolve says whether the data is still there and how long, without reading it.
func (d *Desk) Resolve(ctx context.Context, p ops.Pointer) (Range, error) { return Range{}, errNotYet }

// Fetch reads the data. It changes nothing.
func (d *Desk) Fetch(ctx context.Context, p ops.Pointer) (Range, error) { return Range{}, errNotYet }

// Poison finds the record that makes the consumer fail, by invoking it with halves
// of the range. That is an act: the function runs on the other records again.
func (d *Desk) Poison(ctx context.Context, p ops.Pointer, say func(string)) (Record, error) {
	return Record{}, errNotYet
}
