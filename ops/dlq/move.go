package dlq

import (
	"context"
	"time"

	"kxops/ops"
)

// Task is one of SQS's own message move tasks.
type Task struct {
	Handle  string // only while it runs
	Status  string // RUNNING, COMPLETED, CANCELLING, CANCELLED, FAILED
	Source  ops.ARN
	To      ops.ARN // "" each message to its own source
	Rate    int     // messages a second, 0: SQS decides
	Moved   int64   // approximate; it lags
	Total   int64   // when it began
	Started time.Time
	Failure string // the reason, decoded
}

// Tasks lists the move tasks of a queue, newest first, at most ten.
func (d *Desk) Tasks(ctx context.Context, q ops.Queue) ([]Task, error) { return nil, errNotYet }

// CancelTask cancels the running task of a queue. It returns how many were moved, approximately.
func (d *Desk) CancelTask(ctx context.Context, q ops.Queue) (moved int64, err error) {
	return 0, errNotYet
}
