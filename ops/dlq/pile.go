package dlq

import (
	"context"
	"time"

	"kxops/ops"
)

// Pile is what one look found. Bodies are kept compressed: 100,000 messages have
// to fit. It is safe for concurrent use.
type Pile struct{}

// Queue is the queue that was looked at.
func (p *Pile) Queue() ops.Queue { return ops.Queue{} }

// Letters lists what was found, in the order of Sent.
func (p *Pile) Letters() []ops.Letter { return nil }

// Message returns a whole message, byte for byte as it came.
func (p *Pile) Message(id string) (ops.Message, bool) { return ops.Message{}, false }

// Held is how many messages are leased now and when the last of them comes back by itself.
func (p *Pile) Held() (n int, until time.Time) { return 0, time.Time{} }

// Release gives the leases back: the messages are visible to others at once.
func (p *Pile) Release(ctx context.Context) error { return errNotYet }

// At is when the look ended.
func (p *Pile) At() time.Time { return time.Time{} }
