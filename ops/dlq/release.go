package dlq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

const (
	leaseWorkers = 16 // batches in the air
	leaseRounds  = 8  // how often a batch is tried
	// leaseMargin keeps an extension under the 12 h that SQS allows in all.
	leaseMargin = time.Minute
)

// Release gives the leases back: the messages are visible to others at once, in the
// order in which they were received. A look that goes on is stopped, and receives
// that are under way are waited for.
// A message that expired, was deleted or came back by itself meanwhile is no error.
// With an error, Held says what is still leased; calling it again is harmless.
func (p *Pile) Release(ctx context.Context) error {
	if p.desk == nil {
		return nil
	}
	if err := p.halt(ctx); err != nil {
		return err
	}
	now := p.now()
	_, err := p.desk.change(ctx, p, p.loans(now, now.Add(2*ops.MaxVisibility)), func(loan) time.Duration { return 0 })
	left, until := p.Held()
	switch {
	case left == 0:
		return nil // what could not be given back came back by itself
	case err == nil:
		err = errors.New("SQS did not take them")
	}
	problem := p.desk.explain(fmt.Sprintf("give back %d messages of %s", left, p.queue.Name), err)
	problem.Hint = fmt.Sprintf("they come back by themselves at %s UTC", until.Format(time.TimeOnly))
	return problem
}

// extend makes leases end a whole lease from now. It returns how many calls it took.
func (d *Desk) extend(ctx context.Context, p *Pile, loans []loan, lease time.Duration) (calls int, err error) {
	now := d.o.Now()
	left := func(l loan) time.Duration {
		return min(lease, time.Unix(0, l.received).Add(ops.MaxVisibility-leaseMargin).Sub(now)).Truncate(time.Second)
	}
	// What was held for almost 12 hours has to go back.
	loans = slices.DeleteFunc(loans, func(l loan) bool { return left(l) < time.Second })
	return d.change(ctx, p, loans, left)
}

// change sets the visibility of held messages, ten a call, several calls at a time,
// beginning in order. The pile knows afterwards what became of each.
func (d *Desk) change(ctx context.Context, p *Pile, loans []loan, to func(loan) time.Duration) (calls int, err error) {
	var all sync.WaitGroup
	var sent atomic.Int64
	var mu sync.Mutex
	slots := make(chan struct{}, leaseWorkers)
	for batch := range slices.Chunk(loans, ops.MaxBatchEntries) {
		slots <- struct{}{}
		if mu.Lock(); err != nil || ctx.Err() != nil {
			mu.Unlock()
			break
		}
		mu.Unlock()
		all.Go(func() {
			defer func() { <-slots }()
			n, failure := d.changeBatch(ctx, p, batch, to)
			sent.Add(int64(n))
			mu.Lock()
			defer mu.Unlock()
			err = errors.Join(err, failure)
		})
	}
	all.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return int(sent.Load()), err
}

// changeBatch sets the visibility of at most ten messages. Entries that fail are
// tried again; saying it twice does no harm.
func (d *Desk) changeBatch(ctx context.Context, p *Pile, batch []loan, to func(loan) time.Duration) (calls int, err error) {
	pause := firstPause
	for range leaseRounds {
		calls++
		batch, err = d.changeOnce(ctx, p, batch, to)
		if len(batch) == 0 {
			return calls, nil
		}
		if err != nil && !passing(d.o.Explain(err).Fault) {
			return calls, err
		}
		if !pausing(ctx, pause) {
			break
		}
		pause = min(2*pause, longestPause)
	}
	if err == nil {
		err = fmt.Errorf("SQS failed for %d entries of a batch, %d times", len(batch), leaseRounds)
	}
	return calls, err
}

// passing reports whether a fault may be over in a moment.
func passing(f ops.Fault) bool {
	switch f {
	case ops.FaultThrottled, ops.FaultUnreachable, ops.FaultTimeout, ops.FaultService:
		return true
	}
	return false
}

// changeOnce sends one request and returns the entries that have to be tried again.
func (d *Desk) changeOnce(ctx context.Context, p *Pile, batch []loan, to func(loan) time.Duration) (again []loan, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	now := d.o.Now()
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &p.queue.URL}
	for i, l := range batch {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(l.handle.handle()), VisibilityTimeout: int32(to(l) / time.Second)})
	}
	out, err := d.once.ChangeMessageVisibilityBatch(ctx, in)
	var gone *types.QueueDoesNotExist
	if errors.As(err, &gone) { // with the queue, its messages and their leases are gone
		for _, l := range batch {
			p.letGo(l)
		}
		return nil, nil
	}
	if err != nil {
		return batch, err
	}
	for _, e := range out.Successful {
		l := batch[entryIndex(e.Id, len(batch))]
		if d := to(l); d > 0 {
			p.keep(l, now.Add(d))
		} else {
			p.letGo(l)
		}
	}
	for _, e := range out.Failed {
		l := batch[entryIndex(e.Id, len(batch))]
		if e.SenderFault { // it is not in flight any more: expired, deleted, or back by itself
			p.letGo(l)
		} else {
			again = append(again, l)
		}
	}
	return again, nil
}

// entryIndex is the index that an entry's id names. An answer with an id that was not
// sent is no answer of SQS; it must not crash us.
func entryIndex(id *string, n int) int {
	i, err := strconv.Atoi(aws.ToString(id))
	if err != nil || i < 0 || i >= n {
		return 0
	}
	return i
}
