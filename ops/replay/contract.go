package replay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"kxops/ops"
)

// Record is one old event.
type Record struct {
	// ID is the source id: the same record always has the same, so that consumers and
	// a second replay can recognise it. See recordID.
	ID   string
	Key  string    // partition key, "" where the source does not know it
	At   time.Time // arrival; zero: unknown
	Data []byte    // the page's own: valid until its release
	Hop  int       // how often it was replayed before, by its mark
}

// Page is some records of one part, in the order of the part.
type Page struct {
	Records []Record
	// Place is where reading goes on after this page; only the source understands it.
	// A page without records may move it.
	Place string
	Bytes int64 // of the source as stored, for progress
	// Broken are pieces that could not be read as records; the rest goes on.
	Broken []Broken
	// Early is how many records the source itself left out because of the window's
	// time or their key; they count as read and rejected.
	Early int
}

// Broken is a piece of a part that is no record: a malformed object, a truncated gzip.
type Broken struct {
	Part   string `json:"part"`
	Offset int64  `json:"offset"` // bytes, unpacked
	Why    string `json:"why"`
}

// source gives old events.
type source interface {
	// find freezes the parts that the selection needs, and says what a person has to
	// know of the source in plan.Facts, Warnings, Blockers and Seen (what must not
	// have changed when the plan is applied). It fills plan.Parts and what it can of
	// plan.Estimate.
	find(ctx context.Context, plan *ops.ReplayPlan) error
	// read reads one part of the plan from behind a place ("" is its beginning) and
	// gives its pages in order, one at a time; it stops with give's error. It returns
	// nil at the end of the part. It gives what lies in the window (select.Since,
	// Until) and has one of the keys, where the source knows these; everything else of
	// the selection is done by the run. Temporary errors (throttling, expired
	// iterators, lost connections) are its own to repeat, from the last place.
	read(ctx context.Context, plan ops.ReplayPlan, part int, after string, give func(Page) error) error
}

// Parcel is a record as it is to be sent.
type Parcel struct {
	ID    string // source id
	Key   string // partition key, group id or routing key
	Hash  string // explicit hash key, decimal; "" for none
	Body  []byte
	At    time.Time         // original arrival; zero: unknown
	Marks map[string]string // attributes to add, where the target has attributes
	// Attributes are others, made of the record; only messages of queues and topics have them.
	Attributes []attribute
}

// Fate is what became of a parcel at the target.
type Fate int

const (
	Taken   Fate = iota // the target has it
	Busy                // not taken for sure, may be tried again: throttled
	Unsure              // no answer: it may be there or not
	Refused             // the target said no, and will again: parked
)

// Answer is the target's, for one parcel.
type Answer struct {
	Fate Fate
	At   string // where it is: "shardId-…/sequence", message id, request id, line
	Code string
	Why  string
	// Shard is the shard that took it, or asked to slow down, where the target has shards
	// and named it.
	Shard string
	// Stop is set when the answer is about the target or about us and not about this
	// record (no such queue, not allowed, expired): nothing more should be sent.
	Stop *ops.Problem
}

// Limits are what a target takes in one request. 0: no limit.
type Limits struct {
	Records int // in one request
	Bytes   int // of one request
	Record  int // bytes of one record, with what it carries
	// Ordered says that records of one request are stored in their order, also where
	// some of them fail (file, null); else a strict lane sends one of each key.
	Ordered bool
}

// target takes events.
type target interface {
	// find asks the target who it is: fills plan.To (ARN, URL), plan.Facts, Warnings,
	// Blockers, Seen. It reads only.
	find(ctx context.Context, plan *ops.ReplayPlan) error
	limits() Limits
	// size is what the parcel counts against the limits, in bytes.
	size(p Parcel) int
	// send sends one request, once: it repeats nothing that may have been taken, but splits
	// a request that was refused as a whole. It returns one answer for each parcel, in
	// order, also when ctx ended. It is called by several goroutines at once.
	send(ctx context.Context, parcels []Parcel) []Answer
	// close ends it: a file is on the disk after it.
	close() error
}

// particular is a target that does not take every body: the plan says so of the records
// that it tries, and the run parks them before anything is sent.
type particular interface {
	// fits says why the target would not take the parcel, whatever its size.
	fits(p Parcel) error
}

func fits(t target, p Parcel) error {
	if t, ok := t.(particular); ok {
		return t.fits(p)
	}
	return nil
}

// recordID is the stable id of a record: a hash over where it lies. Source and part
// name the stream's ARN and the shard, or the bucket and the object's key with its
// ETag; place is the sequence number, or the index in the object; sub is the place in
// an aggregate.
func recordID(source, part, place string, sub int) string {
	var space [256]byte // each record needs one: nothing is allocated for it
	b := append(append(append(space[:0], source...), '\n'), part...)
	b = append(append(append(b, '\n'), place...), '\n')
	sum := sha256.Sum256(strconv.AppendInt(b, int64(sub), 10))
	return hex.EncodeToString(sum[:12])
}
