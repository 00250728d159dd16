package ui

import (
	"context"
	"time"

	"kxops/ops"
)

// DeskBackend is a backend where dead letters can be worked on.
type DeskBackend interface {
	// Desk returns the desk of the present account and region. It may ask AWS who
	// is calling.
	Desk(ctx context.Context) (Desk, error)
}

// Desk is where the dead letters of one account and region are worked on. Cost
// and Access answer at once; everything else is called from commands with a
// deadline, and at the same time.
type Desk interface {
	// Access is how much may be done now.
	Access() Access
	// Unlock allows changes for a while. typed is what the person typed where
	// Access.Confirm asks for it.
	Unlock(ctx context.Context, typed string) error
	// Lock ends an unlock early.
	Lock()

	// Cost says what a look would do, before it is done. It sends nothing.
	Cost(q ops.Queue, limit int) ops.PeekCost
	// Look receives messages and holds them until Release. With an error the pile
	// holds what was received before it; it is nil only when nothing could be begun.
	// progress may be called from any goroutine.
	Look(ctx context.Context, q ops.Queue, limit int, progress func(ops.LookProgress)) (Pile, error)
	// Release gives back what is held of a queue, ReleaseAll of all queues.
	Release(ctx context.Context, queue ops.ARN) error
	ReleaseAll(ctx context.Context) error

	// Plan works out what would be done, by reading only. The letters are those of
	// the last look at the queue.
	Plan(ctx context.Context, ask ops.Ask) (ops.Plan, error)
	// Start applies a plan. The operation goes on until it is over or ctx ends.
	Start(ctx context.Context, plan ops.Plan) (Operation, error)
	// Unfinished lists operations of this machine that were interrupted, newest first.
	Unfinished(ctx context.Context) ([]Unfinished, error)
	// Resume continues one of them from its record.
	Resume(ctx context.Context, id string) (Operation, error)

	// Tasks lists SQS's own move tasks of a queue, newest first.
	Tasks(ctx context.Context, q ops.Queue) ([]Task, error)
	// CancelTask cancels the running one and returns how many messages it moved, about.
	CancelTask(ctx context.Context, q ops.Queue) (moved int64, err error)

	// Resolve says whether the data of a pointer is still there and for how long.
	Resolve(ctx context.Context, p ops.Pointer) (PointerData, error)
	// Fetch reads it. It changes nothing.
	Fetch(ctx context.Context, p ops.Pointer) (PointerData, error)
	// Poison finds the record that makes the consumer fail, by running the consumer
	// on halves of the range: an act, which needs access to change. say may be called
	// from any goroutine.
	Poison(ctx context.Context, p ops.Pointer, say func(string)) (Record, error)

	// Draft writes a message as text that can be edited; Edited reads it back. The
	// error of Edited says which line is wrong.
	Draft(m ops.Message) ([]byte, error)
	Edited(m ops.Message, text []byte) (ops.Message, error)
}

// Access is how much may be done with an account.
type Access struct {
	Level  string    // "look", "peek", "change"
	Peek   bool      // messages may be received
	Change bool      // messages may be sent and deleted, settings changed
	Until  time.Time // when the unlock ends, by the wall clock; zero: it does not
	// Confirm is what has to be typed to unlock a protected account, "" elsewhere.
	Confirm string
}

// Pile is what one look at a queue found. It is safe for concurrent use.
type Pile interface {
	// Letters lists what was found, in the order of Sent.
	Letters() []ops.Letter
	// Groups sorts letters by cause, largest first.
	Groups(letters []ops.Letter) []ops.CauseGroup
	// Match reads a filter line. The error says what is wrong with it, and where.
	Match(filter string) (func(ops.Letter) bool, error)
	// Message returns a whole message, byte for byte as it came, and its layers.
	Message(id string) (ops.Message, []ops.Layer, bool)
	// Held is how many messages are leased now and when the last comes back by itself.
	Held() (n int, until time.Time)
	// At is when the look ended.
	At() time.Time
	// Missed is what the look could not see, and why; "" when there is nothing to say.
	Missed() string
}

// Operation is a plan that is being applied.
type Operation interface {
	Progress() ops.Progress
	Pause()
	Continue()
	Cancel() // stops before the next batch and finishes what is in hand
	Done() <-chan struct{}
	Wait() ops.Result
}

// Unfinished is an operation that was interrupted and can be resumed.
type Unfinished struct {
	ID      string
	Verb    ops.Verb
	From    ops.ARN
	Region  string
	Started time.Time
	By      string
	Total   int
	Sent    int
	Deleted int
	Open    int    // sends without an answer: they will be unknown
	Notice  string // what was found wrong with the record
}

// Task is one of SQS's own message move tasks.
type Task struct {
	Status  string // RUNNING, COMPLETED, CANCELLING, CANCELLED, FAILED
	To      ops.ARN
	Rate    int   // messages a second, 0: SQS decides
	Moved   int64 // as SQS counts; it lags
	Total   int64 // when it began
	Started time.Time
	Failure string
}

// Running reports whether the task still does something.
func (t Task) Running() bool { return t.Status == "RUNNING" || t.Status == "CANCELLING" }

// PointerData is what is known about the data a pointer means.
type PointerData struct {
	TrimsAt  time.Time // when the first record is trimmed; zero: unknown
	Gone     bool
	Why      string // why it cannot be read, "" when it can
	Records  []Record
	Complete bool // all of the range was read
}

// Record is one record of a stream, or an object.
type Record struct {
	Sequence string
	Key      string
	At       time.Time
	Data     []byte
}
