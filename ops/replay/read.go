package replay

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"kxops/ops"
)

const (
	// pagesAhead bounds what a part may have open before its first page is answered.
	pagesAhead = 64
	// recordWeight is what a record costs in memory beside its body, in bytes.
	recordWeight = 400
)

var errStopping = errors.New("the replay is stopping")

// page is the unit in which reading becomes done: when all its records have an answer,
// and all pages before it, the place of its part moves.
type page struct {
	part   int
	place  string
	next   int64 // records of the part before that place
	last   time.Time
	open   int // records without an answer, and one while it is being filled
	counts ops.ReplayCounts
	sum    uint64
	weight int64
}

// track is a part with its open pages, in order.
type track struct {
	pages []*page
	n     int64 // records read, those of earlier runs included
	read  bool  // to its end
}

// readParts reads all parts that are not over, the parents of a part before it.
func (o *Operation) readParts(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := context.AfterFunc(ctx, o.wake)
	defer stopped()
	go func() {
		select {
		case <-o.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	if o.plan.FanOut != "" {
		defer o.leave(ctx)
		if err := o.desk.register(ctx, o.plan); err != nil {
			if o.stopping() {
				return nil
			}
			return o.explained("register the consumer "+o.plan.FanOut, err)
		}
	}
	o.expect()
	var all sync.WaitGroup
	for range max(1, o.plan.Pace.Readers) {
		all.Go(func() {
			for {
				part, ok := o.nextPart()
				if !ok {
					return
				}
				if err := o.readPart(ctx, part); err != nil {
					if !o.stopping() {
						o.fail(err)
					}
					return
				}
			}
		})
	}
	all.Wait()
	return nil
}

// leave removes the consumer of the replay. One that stays is billed, and said.
func (o *Operation) leave(ctx context.Context) {
	if err := o.desk.deregister(ctx, o.plan); err != nil {
		o.mu.Lock()
		o.left = leftConsumer(o.plan)
		o.mu.Unlock()
	}
}

// expect tells the pacer of the parts that are read first, before any of them is: what
// comes of one must not go before all have shown how they begin.
func (o *Operation) expect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := max(1, o.plan.Pace.Readers)
	for i := range o.plan.Parts {
		if first > 0 && !o.places[i].Over && o.parentsOver(i) {
			o.pacer.reads(i, time.Time{})
			first--
		}
	}
}

// nextPart is the next part whose parents are over; it waits for them. It reports
// false when there is none, or the replay is stopping.
func (o *Operation) nextPart() (int, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.stopping() {
		left := false
		for i := range o.plan.Parts {
			if o.places[i].Over || o.begun[i] {
				continue
			}
			left = true
			if o.parentsOver(i) {
				o.begun[i] = true
				return i, true
			}
		}
		if !left {
			return 0, false
		}
		o.moved.Wait()
	}
	return 0, false
}

func (o *Operation) parentsOver(part int) bool {
	for _, p := range o.plan.Parts[part].After {
		if !o.places[p].Over {
			return false
		}
	}
	return true
}

func (o *Operation) readPart(ctx context.Context, part int) error {
	o.mu.Lock()
	after := o.places[part].Place
	o.mu.Unlock()
	o.pacer.reads(part, time.Time{})
	defer o.pacer.rests(part)
	err := o.source.read(ctx, o.plan, part, after, func(p Page) error { return o.give(ctx, part, p) })
	if err != nil {
		if o.stopping() {
			return errStopping
		}
		return o.explained(fmt.Sprintf("read %s of %s", o.plan.Parts[part].ID, o.plan.From.Name()), err)
	}
	o.mu.Lock()
	o.tracks[part].read = true
	o.advance(part)
	o.mu.Unlock()
	return nil
}

// give takes one page of a part: it waits for room, chooses, and hands what is meant
// to the lanes.
func (o *Operation) give(ctx context.Context, part int, p Page) error {
	pg := &page{part: part, place: p.Place, open: 1}
	for _, r := range p.Records {
		pg.weight += int64(len(r.Data)) + recordWeight
		if r.At.After(pg.last) {
			pg.last = r.At
		}
	}
	pg.weight = min(pg.weight, o.plan.Pace.Memory)
	if err := o.room(ctx, pg); err != nil {
		return err
	}
	pg.counts = ops.ReplayCounts{Read: int64(len(p.Records) + p.Early), Rejected: int64(p.Early), Broken: int64(len(p.Broken)), Bytes: p.Bytes}
	if err := o.ledger.brokenPieces(p.Broken); err != nil {
		return err
	}
	o.mu.Lock()
	t := o.tracks[part]
	t.pages = append(t.pages, pg)
	n := t.n
	t.n += int64(len(p.Records))
	pg.next = t.n
	o.mu.Unlock()
	var items []*item
	var upTo time.Time
	for i, r := range p.Records {
		it, err := o.choose(pg, r, n+int64(i))
		if err != nil {
			return err
		}
		upTo = o.pacer.order(part, r.At)
		if it != nil {
			it.when = upTo
			items = append(items, it)
		}
	}
	o.mu.Lock()
	pg.open += len(items)
	o.live.Add(pg.counts)
	o.mu.Unlock()
	o.dispatch(part, items)
	o.pacer.reads(part, upTo)
	o.settle(pg, 1, ops.ReplayCounts{}, 0)
	return nil
}

// room waits until the part may have another page open and there is memory for it.
func (o *Operation) room(ctx context.Context, pg *page) error {
	o.mu.Lock()
	for len(o.tracks[pg.part].pages) >= pagesAhead && !o.stopping() {
		o.moved.Wait()
	}
	o.mu.Unlock()
	if o.stopping() {
		return errStopping
	}
	if o.memory.TryAcquire(pg.weight) {
		return nil
	}
	o.pacer.rests(pg.part) // else those who wait for it would wait for each other
	err := o.memory.Acquire(ctx, pg.weight)
	o.pacer.reads(pg.part, time.Time{})
	return err
}

// choose makes an item of a record that is meant, and counts it either way. What
// cannot be judged or mapped, or is too large, is parked.
func (o *Operation) choose(pg *page, r Record, n int64) (*item, error) {
	park := func(code, why string) (*item, error) {
		pg.counts.Matched++
		pg.counts.Parked++
		return nil, o.ledger.park(parkedRecord{envelope: wrap(r), Part: pg.part, N: n, Code: code, Why: why})
	}
	if sum, sent := o.known[r.ID]; sent { // by an earlier run
		pg.counts.Matched++
		pg.counts.Sent++
		pg.counts.Skipped++
		pg.sum += sum
		return nil, nil
	}
	if o.parkedBefore[r.ID] {
		pg.counts.Matched++
		pg.counts.Parked++
		return nil, nil
	}
	if r.Hop = hops(r); r.Hop > 0 && !o.plan.Again {
		pg.counts.Rejected++
		return nil, nil
	}
	takes, err := o.chooser.takes(r)
	if err != nil {
		return park("Filter", err.Error())
	}
	if !takes {
		pg.counts.Rejected++
		return nil, nil
	}
	parcel, err := o.mapper.parcel(r, o.plan.Parts[pg.part])
	if err != nil {
		return park("Mapping", err.Error())
	}
	if err := fits(o.target, parcel); err != nil {
		return park("Unfit", err.Error())
	}
	size := o.target.size(parcel)
	if most := o.limits.Record; most > 0 && size > most {
		return park("TooLarge", fmt.Sprintf("it is %d bytes with what it carries, and %s takes %d", size, o.plan.To.Name(), most))
	}
	pg.counts.Matched++
	return &item{Parcel: parcel, page: pg, record: r, n: n, size: size}, nil
}

// dispatch hands items to the lanes.
func (o *Operation) dispatch(part int, items []*item) {
	if len(items) == 0 {
		return
	}
	lanes := len(o.lanes)
	switch o.plan.Pace.Order {
	case OrderShard:
		o.lanes[part%lanes].put(items)
		return
	case OrderKey:
		of := make([][]*item, lanes)
		for _, it := range items {
			l := o.turn() // a record without a key has no order to keep
			if it.Key != "" {
				l = laneOf(it.Key, lanes)
			}
			of[l] = append(of[l], it)
		}
		for l, some := range of {
			if len(some) > 0 {
				o.lanes[l].put(some)
			}
		}
		return
	}
	n := max(1, o.limits.Records)
	if o.limits.Records == 0 {
		n = len(items)
	}
	for len(items) > 0 {
		some := items[:min(n, len(items))]
		o.lanes[o.turn()].put(some)
		items = items[len(some):]
	}
}

// turn is the next lane, one after the other.
func (o *Operation) turn() int { return int(o.turns.Add(1) % uint64(len(o.lanes))) }

func laneOf(key string, lanes int) int {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % uint32(lanes))
}

// settle books answers for some records of a page, and moves the place of its part
// when all before it is answered.
func (o *Operation) settle(pg *page, answered int, c ops.ReplayCounts, sum uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	pg.open -= answered
	pg.counts.Add(c)
	pg.sum += sum
	o.live.Add(c)
	if pg.open == 0 {
		o.memory.Release(pg.weight)
		o.advance(pg.part)
	}
}

// advance moves the place of a part over its answered pages. Call it under the lock.
func (o *Operation) advance(part int) {
	t := o.tracks[part]
	for len(t.pages) > 0 && t.pages[0].open == 0 {
		pg := t.pages[0]
		t.pages = t.pages[1:]
		o.places[part].Place, o.places[part].N = pg.place, pg.next
		if !pg.last.IsZero() {
			o.places[part].At = pg.last
		}
		o.safe.Add(pg.counts)
		o.safeSum += pg.sum
		o.dirty[part] = true
	}
	if t.read && len(t.pages) == 0 && !o.places[part].Over {
		o.places[part].Over = true
		o.dirty[part] = true
	}
	o.moved.Broadcast()
}
