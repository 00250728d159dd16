package dlq

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"kxops/ops"
	"kxops/ops/payload"
)

const (
	// blockMessages and blockBytes bound what is compressed together: enough for
	// messages of one kind to share their words, little enough to open one in a
	// millisecond.
	blockMessages = 128
	blockBytes    = 256 << 10
)

// Pile is what one look found. Bodies are kept compressed: 100,000 messages have
// to fit. It is safe for concurrent use.
type Pile struct {
	desk  *Desk // nil in a pile that was made by hand: it holds nothing
	queue ops.Queue
	known *causes
	// streams are those that its letters point into.
	streams streams

	mu     sync.Mutex
	at     time.Time
	missed string
	stop   context.CancelCauseFunc // ends the look; nil before and after it
	ground bool                    // no receive may start any more
	flying int                     // receives that are under way
	landed chan struct{}           // closed when none is; nil when nobody waits
	places map[string]spot
	blocks [][]byte // compressed
	open   block    // being filled
	opened struct { // the block that was read last
		number int
		block  block
	}
	view  []ops.Letter          // in the order of Sent; never written to once handed out
	fresh map[string]ops.Letter // not yet in the view
	held  map[string]lease
	turns int
	// soonest is not after the end of any lease; latest not before it. They spare
	// going through all leases for each question.
	soonest, latest int64
}

// spot is where a message lies: the number of its block, and in there.
type spot struct{ block, slot int32 }

// block is messages one after the other, each found by where it ends.
type block struct {
	bytes []byte
	ends  []int
}

// ticket is a receipt handle. Those of SQS are some 400 letters of base64, which
// take a quarter less room as what they stand for; any other is kept as it is.
type ticket string

func ticketOf(handle string) ticket {
	if raw, err := base64.StdEncoding.DecodeString(handle); err == nil && base64.StdEncoding.EncodeToString(raw) == handle {
		return ticket(append([]byte{1}, raw...))
	}
	return ticket(append([]byte{0}, handle...))
}

func (t ticket) handle() string {
	switch {
	case t == "":
		return ""
	case t[0] == 1:
		return base64.StdEncoding.EncodeToString([]byte(t[1:]))
	}
	return string(t[1:])
}

// lease is what is needed to give a message back. Times are Unix nanoseconds: there are many.
type lease struct {
	handle          ticket
	received, until int64
	turn            int // in the order of receiving
}

func newPile(d *Desk, q ops.Queue) *Pile {
	p := &Pile{desk: d, queue: q, known: newCauses(), places: map[string]spot{}, fresh: map[string]ops.Letter{}, held: map[string]lease{}}
	p.opened.number = -1
	return p
}

// Queue is the queue that was looked at, with its attributes as they were then.
func (p *Pile) Queue() ops.Queue { return p.queue }

// At is when the look ended; while it goes on, now.
func (p *Pile) At() time.Time {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		return now
	}
	return p.at
}

// Missed says what the look could not see, and why: a part must not pass for all.
// It is empty when the look saw the whole queue, or as many messages as it was
// asked for, and while it goes on.
func (p *Pile) Missed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.missed
}

// Len is how many messages were found.
func (p *Pile) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.places)
}

// Letters lists what was found, in the order of Sent. The slice is shared: do not
// write to it.
func (p *Pile) Letters() []ops.Letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.fresh) == 0 {
		return p.view
	}
	view := make([]ops.Letter, 0, len(p.places))
	for _, l := range p.view {
		if _, newer := p.fresh[l.ID]; !newer {
			view = append(view, l)
		}
	}
	for _, l := range p.fresh {
		view = append(view, l)
	}
	slices.SortFunc(view, func(a, b ops.Letter) int {
		return cmp.Or(a.Sent.Compare(b.Sent), strings.Compare(a.ID, b.ID))
	})
	p.view, p.fresh = view, map[string]ops.Letter{}
	return view
}

// Message returns a whole message, byte for byte as it came. Its handle is set
// only while it is held.
func (p *Pile) Message(id string) (ops.Message, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.places[id]
	if !ok {
		return ops.Message{}, false
	}
	b, err := p.blockAt(int(at.block))
	if err != nil {
		return ops.Message{}, false
	}
	return p.message(b, int(at.slot))
}

// Each hands every message to visit, in the order in which they came, until visit
// answers false. It opens one block at a time and does not hold the pile meanwhile.
func (p *Pile) Each(visit func(ops.Message) bool) {
	for n := 0; ; n++ {
		messages, more := p.messagesOf(n)
		for _, m := range messages {
			if !visit(m) {
				return
			}
		}
		if !more {
			return
		}
	}
}

// messagesOf lists the messages of one block that were not forgotten; more is
// whether there may be another block.
func (p *Pile) messagesOf(n int) (messages []ops.Message, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := p.blockAt(n)
	if err != nil {
		return nil, n < len(p.blocks)
	}
	for slot := range b.ends {
		m, ok := p.message(b, slot)
		if at, known := p.places[m.ID]; ok && known && at == (spot{int32(n), int32(slot)}) {
			messages = append(messages, m)
		}
	}
	return messages, n < len(p.blocks)
}

// message reads one message of a block. Call it under the lock.
func (p *Pile) message(b block, slot int) (ops.Message, bool) {
	m, err := unpack(b.of(slot))
	if err != nil {
		return ops.Message{}, false
	}
	m.Queue = p.queue.ARN
	if l, ok := p.held[m.ID]; ok {
		m.Handle, m.Until = l.handle.handle(), time.Unix(0, l.until).UTC()
	}
	return m, true
}

// blockAt opens a block. Call it under the lock.
func (p *Pile) blockAt(n int) (block, error) {
	switch {
	case n == len(p.blocks):
		return p.open, nil
	case n > len(p.blocks):
		return block{}, errors.New("no such block")
	case n == p.opened.number:
		return p.opened.block, nil
	}
	b, err := expand(p.blocks[n])
	if err == nil {
		p.opened.number, p.opened.block = n, b
	}
	return b, err
}

// add files a received message. It reports whether it is new to the pile; a
// message that comes again has a newer handle, and only that one is good.
func (p *Pile) add(m ops.Message) (isNew bool) {
	layers := payload.Peel(m)
	letter := read(m, layers, p.queue, p.known) // outside the lock: it is the work
	if p.desk != nil {
		letter.Looks = p.desk.memory.add(p.queue.ARN, letter.ID, letter.Expires)
	}
	p.shorten(&letter, layers)
	p.mu.Lock()
	defer p.mu.Unlock()
	id := letter.ID
	if m.Handle != "" {
		p.turns++
		p.hold(id, lease{ticketOf(m.Handle), m.At.UnixNano(), m.Until.UnixNano(), p.turns})
	}
	p.fresh[id] = letter
	if _, ok := p.places[id]; ok {
		return false
	}
	p.places[id] = spot{int32(len(p.blocks)), int32(len(p.open.ends))}
	p.open.bytes = pack(p.open.bytes, m)
	p.open.ends = append(p.open.ends, len(p.open.bytes))
	if len(p.open.ends) >= blockMessages || len(p.open.bytes) >= blockBytes {
		p.blocks = append(p.blocks, p.open.squeeze())
		// The bytes are written over again: nobody keeps a slice of the open block,
		// because reading a message copies.
		p.open = block{bytes: p.open.bytes[:0], ends: p.open.ends[:0]}
	}
	return true
}

// Forget takes messages out that are not in the queue any more: redriven, deleted.
func (p *Pile) Forget(ids []string) {
	if p.desk != nil {
		p.desk.memory.forget(p.queue.ARN, ids)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	gone := make(map[string]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
		delete(p.places, id)
		delete(p.fresh, id)
		delete(p.held, id)
	}
	view := make([]ops.Letter, 0, len(p.view))
	for _, l := range p.view {
		if !gone[l.ID] {
			view = append(view, l)
		}
	}
	p.view = view
}

// Held is how many messages are leased now and when the last of them comes back by itself.
func (p *Pile) Held() (n int, until time.Time) {
	now := p.now().UnixNano()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.held) == 0 {
		return 0, time.Time{}
	}
	if now >= p.soonest {
		p.settle(now)
	}
	if len(p.held) == 0 {
		return 0, time.Time{}
	}
	return len(p.held), time.Unix(0, p.latest).UTC()
}

// settle forgets the leases that have ended: those messages came back by themselves.
// Call it under the lock.
func (p *Pile) settle(now int64) {
	p.soonest, p.latest = math.MaxInt64, 0
	for id, l := range p.held {
		if l.until <= now {
			delete(p.held, id)
			continue
		}
		p.soonest, p.latest = min(p.soonest, l.until), max(p.latest, l.until)
	}
}

// hold notes a lease. Call it under the lock.
func (p *Pile) hold(id string, l lease) {
	if len(p.held) == 0 {
		p.soonest, p.latest = l.until, l.until
	}
	p.held[id] = l
	p.soonest, p.latest = min(p.soonest, l.until), max(p.latest, l.until)
}

// due reports whether a lease may end before a time.
func (p *Pile) due(before time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held) > 0 && p.soonest < before.UnixNano()
}

// takeOff counts a receive that begins; false when the pile is being given back.
func (p *Pile) takeOff() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ground {
		return false
	}
	p.flying++
	return true
}

func (p *Pile) land() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flying--; p.flying == 0 && p.landed != nil {
		close(p.landed)
		p.landed = nil
	}
}

// halt ends the look, lets no receive start any more and waits for those that are
// under way: each has a deadline, and what it leases has to be known.
func (p *Pile) halt(ctx context.Context) error {
	p.mu.Lock()
	p.ground = true
	if p.stop != nil {
		p.stop(errHalted)
	}
	if p.flying == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.landed == nil {
		p.landed = make(chan struct{})
	}
	landed := p.landed
	p.mu.Unlock()
	select {
	case <-landed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the last receives from %s: %w", p.queue.Name, context.Cause(ctx))
	}
}

var errHalted = errors.New("the look was stopped: its messages were given back")

func (p *Pile) now() time.Time {
	if p.desk == nil {
		return time.Now()
	}
	return p.desk.o.Now()
}

// loan is one held message on its way back.
type loan struct {
	id string
	lease
}

// loans lists what is held now and comes back before a time, in the order of
// receiving, which is the queue's order as far as it has one.
func (p *Pile) loans(now, before time.Time) []loan {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []loan
	p.settle(now.UnixNano()) // which also makes soonest exact
	for id, l := range p.held {
		if l.until < before.UnixNano() {
			out = append(out, loan{id, l})
		}
	}
	slices.SortFunc(out, func(a, b loan) int { return cmp.Compare(a.turn, b.turn) })
	return out
}

// letGo forgets a lease, unless the message came again meanwhile under a newer handle.
func (p *Pile) letGo(l loan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[l.id].handle == l.handle {
		delete(p.held, l.id)
	}
}

// keep notes that a lease was extended.
func (p *Pile) keep(l loan, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now, ok := p.held[l.id]; ok && now.handle == l.handle {
		now.until = until.UnixNano()
		p.hold(l.id, now)
	}
}

// end marks the look as over. missed is what it could not see.
func (p *Pile) end(at time.Time, missed string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.missed = at, missed
	if len(p.open.ends) > 0 { // the spare room of the last block is not kept
		p.open = block{slices.Clone(p.open.bytes), slices.Clone(p.open.ends)}
	}
}

// codec is shared: EncodeAll and DecodeAll may be called concurrently.
var codec = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(true), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(blockBytes))
	if err != nil {
		panic(fmt.Sprintf("dlq: options of the compressor: %v", err)) // constants: cannot happen
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		panic(fmt.Sprintf("dlq: options of the decompressor: %v", err))
	}
	return e, d
})

func (b block) of(slot int) []byte {
	from := 0
	if slot > 0 {
		from = b.ends[slot-1]
	}
	return b.bytes[from:b.ends[slot]]
}

// squeeze compresses a block: how many messages, where each ends, the messages.
func (b block) squeeze() []byte {
	head := binary.AppendUvarint(make([]byte, 0, 4*len(b.ends)+len(b.bytes)), uint64(len(b.ends)))
	for _, end := range b.ends {
		head = binary.AppendUvarint(head, uint64(end))
	}
	e, _ := codec()
	return slices.Clone(e.EncodeAll(append(head, b.bytes...), nil)) // without the spare room
}

func expand(packed []byte) (block, error) {
	_, d := codec()
	raw, err := d.DecodeAll(packed, nil)
	if err != nil {
		return block{}, fmt.Errorf("open a block of messages: %w", err)
	}
	r := unpacker{rest: raw}
	b := block{ends: make([]int, r.number())}
	for i := range b.ends {
		b.ends[i] = r.number()
	}
	b.bytes = r.rest
	return b, r.err
}

// pack appends a message, without its queue and its handle.
func pack(to []byte, m ops.Message) []byte {
	text := func(s string) {
		to = binary.AppendUvarint(to, uint64(len(s)))
		to = append(to, s...)
	}
	text(m.ID)
	to = binary.AppendVarint(to, m.At.UnixNano())
	to = binary.AppendUvarint(to, uint64(len(m.System)))
	for _, name := range slices.Sorted(maps.Keys(m.System)) {
		text(name)
		text(m.System[name])
	}
	to = binary.AppendUvarint(to, uint64(len(m.Attributes)))
	for _, name := range m.AttributeNames() {
		a := m.Attributes[name]
		text(name)
		text(a.Type)
		text(a.Text)
		to = binary.AppendUvarint(to, uint64(len(a.Bytes)))
		to = append(to, a.Bytes...)
	}
	text(m.Body)
	return to
}

func unpack(from []byte) (ops.Message, error) {
	r := unpacker{rest: from}
	m := ops.Message{ID: r.text(), At: time.Unix(0, r.signed()).UTC()}
	if n := r.number(); n > 0 {
		m.System = make(map[string]string, n)
		for range n {
			name := r.text()
			m.System[name] = r.text()
		}
	}
	if n := r.number(); n > 0 {
		m.Attributes = make(map[string]ops.Attribute, n)
		for range n {
			name := r.text()
			a := ops.Attribute{Type: r.text(), Text: r.text()}
			if b := r.text(); b != "" {
				a.Bytes = []byte(b)
			}
			m.Attributes[name] = a
		}
	}
	m.Body = r.text()
	return m, r.err
}

// unpacker reads what pack wrote. After the first error it answers zeros.
type unpacker struct {
	rest []byte
	err  error
}

var errDamaged = errors.New("a damaged block of messages")

func (r *unpacker) number() int {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 || n > uint64(64<<20) {
		r.rest, r.err = nil, errDamaged
		return 0
	}
	r.rest = r.rest[used:]
	return int(n)
}

func (r *unpacker) signed() int64 {
	n, used := binary.Varint(r.rest)
	if used <= 0 {
		r.rest, r.err = nil, errDamaged
		return 0
	}
	r.rest = r.rest[used:]
	return n
}

func (r *unpacker) text() string {
	n := r.number()
	if n > len(r.rest) {
		r.rest, r.err = nil, errDamaged
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
