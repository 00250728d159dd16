package sandbox

import (
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kxops/ops"
)

// This file is what happens inside one queue: messages wait, are leased, come
// back, move to the dead-letter queue or expire. Nothing here knows the wire.

const (
	// maxInFlight is the quota of leased messages, standard and FIFO alike
	// (SQS Developer Guide, quotas-queues and quotas-fifo).
	maxInFlight = 120_000
	// maxLease is the longest a message can stay leased, counted from its receive
	// (API reference, ChangeMessageVisibility).
	maxLease = 12 * time.Hour
	// dedupWindow is how long FIFO remembers a deduplication id (API, SendMessage).
	dedupWindow = 5 * time.Minute
	// backOfQueue is the number of receives after which a standard queue puts a
	// message to its end and leaves it out of the age metric (Developer Guide,
	// sqs-available-cloudwatch-metrics).
	backOfQueue = 3

	// queueMessages and queueBytes bound what the sandbox keeps; AWS has no such limit.
	queueMessages = 300_000
	queueBytes    = 256 << 20
)

// message is one message in one queue.
type message struct {
	id         string
	body       string
	md5        string // of the body; computed when first asked for
	attributes map[string]attribute
	trace      string // AWSTraceHeader
	sender     string
	group      string
	dedup      string
	sequence   string
	source     ops.ARN // the queue that dead-lettered it, "" if none did

	sent     time.Time // what SentTimestamp says and retention counts from
	arrived  time.Time // in this queue: what the age metric counts from
	receives int       // across queues: ApproximateReceiveCount
	here     int       // in this queue: what the redrive policy compares
	received time.Time // first receive, zero if none

	state    messageState
	position uint64    // its place among the messages that are ready
	until    time.Time // end of the delay or of the lease
	leased   time.Time // begin of the lease
	lease    int       // number of the newest receipt handle
	serial   uint64    // its number in this queue
	lane     *lane

	timerSlot, readySlot, expirySlot, ageSlot int // index+1 in the queue's heaps, 0: not in it
}

type messageState int

const (
	ready messageState = iota
	delayed
	leased
)

// lane holds the ready messages of one MessageGroupId; messages without one
// share the lane "".
type lane struct {
	id     string
	ready  messageHeap
	leased int
	total  int
}

// queue is one SQS queue.
type queue struct {
	r        *Region
	service  *sqsService
	name     string
	arn      ops.ARN
	created  time.Time
	modified time.Time
	settings map[string]string // attributes as they were set
	tags     map[string]string
	queueRules

	messages map[uint64]*message
	bytes    int
	serial   uint64
	position uint64
	sequence uint64
	count    [3]int // by messageState
	lanes    map[string]*lane
	timers   messageHeap // delayed and leased, by until
	expiries messageHeap // all, by sent
	ages     messageHeap // those that the age metric sees, by arrived

	dedups   map[string]dedup
	dedupAge []string // keys in order of arrival
	attempts map[string]attempt
	purged   time.Time
	moves    []*moveTask // newest last

	queueGauges
}

// queueRules are the attributes that decide on messages, parsed.
type queueRules struct {
	fifo         bool
	visibility   time.Duration
	delay        time.Duration
	wait         time.Duration
	retention    time.Duration
	maxSize      int
	redrive      *redrivePolicy
	allow        redriveAllowPolicy
	contentDedup bool
	dedupByGroup bool
	policy       *accessPolicy
	awsKey       bool // encrypted with the key that AWS manages: other services cannot use it
}

type dedup struct {
	until    time.Time
	id       string
	sequence string
}

// attempt is the answer to a receive with a ReceiveRequestAttemptId.
type attempt struct {
	until    time.Time
	messages []*message
	leases   []int
}

// accept puts a new message into the queue after its delay (negative: the
// queue's own). It returns the message, or for a FIFO duplicate the one that
// was accepted before; nothing else is checked here.
func (q *queue) accept(m *message, delay time.Duration) *message {
	now := q.r.now()
	q.settle(now)
	m.id = q.r.id()
	m.sent = now
	if q.fifo {
		if m.dedup == "" {
			m.dedup = contentHash(m.body)
		}
		key := q.dedupKey(m)
		q.forgetDedups(now)
		if d, ok := q.dedups[key]; ok {
			return &message{id: d.id, sequence: d.sequence, body: m.body, md5: m.md5, attributes: m.attributes, trace: m.trace}
		}
		m.sequence = q.nextSequence()
		q.dedups[key] = dedup{until: now.Add(dedupWindow), id: m.id, sequence: m.sequence}
		q.dedupAge = append(q.dedupAge, key)
	}
	if delay < 0 {
		delay = q.delay
	}
	q.put(m, now, delay)
	q.touch(now)
	q.counted(q.sentMetric, now, 1)
	q.counted(q.sizeMetric, now, float64(m.size()))
	return m
}

func (q *queue) dedupKey(m *message) string {
	if q.dedupByGroup {
		return m.group + "\x00" + m.dedup
	}
	return m.dedup
}

func (q *queue) forgetDedups(now time.Time) {
	for len(q.dedupAge) > 0 && !q.dedups[q.dedupAge[0]].until.After(now) {
		delete(q.dedups, q.dedupAge[0])
		q.dedupAge = q.dedupAge[1:]
	}
}

func (q *queue) nextSequence() string {
	q.sequence++
	return fmt.Sprintf("1887%016d", q.sequence) // twenty digits, growing, as on AWS
}

// put files a message without counting it as sent: sends and moves share it.
func (q *queue) put(m *message, now time.Time, delay time.Duration) {
	q.serial++
	m.serial = q.serial
	m.arrived = now
	m.here, m.lease = 0, 0
	m.lane = q.laneOf(m.group)
	m.lane.total++
	q.messages[m.serial] = m
	q.bytes += len(m.body)
	q.expiries.push(m)
	q.ages.push(m)
	q.position++
	m.position = q.position
	if delay > 0 {
		m.until = now.Add(delay)
		q.enter(m, delayed)
		q.timers.push(m)
		return
	}
	q.enter(m, ready)
	m.lane.ready.push(m)
}

func (q *queue) laneOf(group string) *lane {
	l, ok := q.lanes[group]
	if !ok {
		l = &lane{id: group, ready: messageHeap{key: byPosition, slot: func(m *message) *int { return &m.readySlot }}}
		q.lanes[group] = l
	}
	return l
}

func (q *queue) enter(m *message, s messageState) {
	m.state = s
	q.count[s]++
	if s == leased {
		m.lane.leased++
	}
}

func (q *queue) leave(m *message) {
	q.count[m.state]--
	if m.state == leased {
		m.lane.leased--
	}
}

// drop takes a message out of the queue for good.
func (q *queue) drop(m *message) {
	q.leave(m)
	delete(q.messages, m.serial)
	q.bytes -= len(m.body)
	q.timers.remove(m)
	m.lane.ready.remove(m)
	q.expiries.remove(m)
	q.ages.remove(m)
	m.lane.total--
	if m.lane.total == 0 {
		delete(q.lanes, m.lane.id)
	}
}

// settle brings the queue to now: delays and leases end, old messages expire.
func (q *queue) settle(now time.Time) {
	for len(q.timers.items) > 0 && !q.timers.items[0].until.After(now) {
		q.release(q.timers.items[0].message)
	}
	for len(q.expiries.items) > 0 && !q.expiries.items[0].sent.Add(q.retention).After(now) {
		q.drop(q.expiries.items[0].message)
	}
}

// release makes a delayed or leased message ready.
func (q *queue) release(m *message) {
	q.timers.remove(m)
	q.leave(m)
	q.enter(m, ready)
	if !q.fifo && m.here >= backOfQueue {
		q.position++
		m.position = q.position
	}
	m.lane.ready.push(m)
}

// take leases up to n messages that are ready. Messages that were received too
// often go to the dead-letter queue on the way, which is when SQS moves them.
func (q *queue) take(now time.Time, n int, visibility time.Duration) []*message {
	q.settle(now)
	var out []*message
	for len(out) < n && q.count[leased] < maxInFlight {
		l := q.nextLane()
		if l == nil {
			break
		}
		// A FIFO call fills up from one group before it looks at the next.
		for len(out) < n && len(l.ready.items) > 0 && q.count[leased] < maxInFlight {
			m := l.ready.items[0].message
			if q.redrive != nil && m.here >= q.redrive.max && q.deadLetter(m, now) {
				continue
			}
			q.lend(m, now, visibility)
			out = append(out, m)
			if !q.fifo && len(q.lanes) > 1 {
				break // fairness is decided anew for each message
			}
		}
	}
	if visibility <= 0 { // seen, and visible again at once
		for _, m := range out {
			q.release(m)
		}
	}
	return out
}

// lend leases one ready message.
func (q *queue) lend(m *message, now time.Time, visibility time.Duration) {
	m.lane.ready.remove(m)
	q.leave(m)
	q.enter(m, leased)
	m.receives++
	m.here++
	m.lease++
	m.leased = now
	if m.received.IsZero() {
		m.received = now
	}
	if !q.fifo && m.here >= backOfQueue {
		q.ages.remove(m)
	}
	m.until = now.Add(visibility)
	q.timers.push(m)
}

// nextLane picks the group whose oldest message comes next. FIFO passes over
// groups with a leased message; a standard queue serves a group that holds most
// of what is in flight after the quiet ones (fair queues).
func (q *queue) nextLane() *lane {
	var best, noisy *lane
	for _, l := range q.lanes {
		if len(l.ready.items) == 0 || q.fifo && l.leased > 0 {
			continue
		}
		if q.isNoisy(l) {
			if noisy == nil || l.ready.items[0].before(noisy.ready.items[0]) {
				noisy = l
			}
			continue
		}
		if best == nil || l.ready.items[0].before(best.ready.items[0]) {
			best = l
		}
	}
	if best == nil {
		best = noisy
	}
	if best != nil && q.fifo && q.hiddenBehindBacklog(best.ready.items[0].message) {
		return nil
	}
	return best
}

// isNoisy reports whether a tenant of a fair queue holds a disproportionate share
// of what is in flight. AWS does not publish its rule; this one is: ten messages
// and more than half.
func (q *queue) isNoisy(l *lane) bool {
	return !q.fifo && l.id != "" && l.leased >= 10 && 2*l.leased > q.count[leased]
}

// hiddenBehindBacklog is FIFO's look-ahead: only the first 120,000 messages are
// searched for a free group, so a backlog of one group hides later groups
// (Developer Guide, avoid-backlog-with-the-same-message-group-id).
func (q *queue) hiddenBehindBacklog(m *message) bool {
	if len(q.messages) <= maxInFlight {
		return false
	}
	ahead := 0
	for _, x := range q.messages {
		if x.position < m.position {
			ahead++
		}
	}
	return ahead >= maxInFlight
}

// deadLetter moves a message to the dead-letter queue, false if that is gone: then
// the message stays and is received on and on.
func (q *queue) deadLetter(m *message, now time.Time) bool {
	target, ok := q.service.queues[q.redrive.target.Name()]
	if !ok || target == q || target.fifo != q.fifo || target.full(len(m.body)) {
		return false
	}
	q.drop(m)
	moved := *m
	moved.timerSlot, moved.readySlot, moved.expirySlot, moved.ageSlot = 0, 0, 0, 0
	moved.source = q.arn
	if q.fifo { // the clock starts again and the dedup id becomes the message's id (Developer Guide, dead-letter-queues)
		moved.sent = now
		moved.dedup = m.id
		moved.sequence = target.nextSequence()
	}
	target.settle(now)
	target.put(&moved, now, 0)
	target.touch(now)
	target.settle(now) // it may have expired on arrival: retention counts from the first send
	return true
}

// handle is the receipt handle of the newest lease.
func (q *queue) handle(m *message) string {
	b := make([]byte, 0, 160)
	b = append(append(b, q.name...), ' ')
	b = append(append(b, m.id...), ' ')
	b = append(strconv.AppendUint(b, m.serial, 10), ' ')
	b = append(strconv.AppendInt(b, int64(m.lease), 10), ' ')
	b = strconv.AppendUint(b, uint64(q.seal(m.id, m.lease)), 16)
	return base64.StdEncoding.EncodeToString(b)
}

// seal makes a mistyped or invented handle an error instead of a stale handle.
func (q *queue) seal(id string, lease int) uint32 { return hash32(q.name+id) ^ uint32(lease) }

// byHandle finds the message of a receipt handle; current is false when a newer
// handle exists or the message is gone. An error means it is no handle of this queue.
func (q *queue) byHandle(handle string) (m *message, current bool, err error) {
	raw, derr := base64.StdEncoding.DecodeString(handle)
	p := strings.Fields(string(raw))
	if derr != nil || len(p) != 5 || p[0] != q.name {
		return nil, false, invalidHandle(handle)
	}
	serial, err1 := strconv.ParseUint(p[2], 10, 64)
	lease, err2 := strconv.Atoi(p[3])
	seal, err3 := strconv.ParseUint(p[4], 16, 32)
	if err1 != nil || err2 != nil || err3 != nil || uint32(seal) != q.seal(p[1], lease) {
		return nil, false, invalidHandle(handle)
	}
	m, ok := q.messages[serial]
	return m, ok && m.lease == lease && m.id == p[1], nil
}

// remove deletes by receipt handle. On a standard queue a stale handle succeeds
// and deletes nothing; FIFO refuses one whose lease is over (API, DeleteMessage).
func (q *queue) remove(now time.Time, handle string) error {
	q.settle(now)
	m, current, err := q.byHandle(handle)
	if err != nil {
		return err
	}
	if m == nil || !current || q.fifo && m.state != leased {
		if q.fifo && m != nil {
			return invalidValue(handle, "ReceiptHandle", "The receipt handle has expired.")
		}
		return nil
	}
	q.drop(m)
	q.counted(q.deletedMetric, now, 1)
	return nil
}

// extend makes the lease end after the given time from now.
func (q *queue) extend(now time.Time, handle string, visibility time.Duration) error {
	q.settle(now)
	m, current, err := q.byHandle(handle)
	switch {
	case err != nil:
		return err
	case m == nil || !current:
		return invalidValue(handle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
	case m.state != leased:
		return messageNotInFlight(m.id)
	case now.Add(visibility).Sub(m.leased) > maxLease:
		return invalidValue(strconv.Itoa(int(visibility/time.Second)), "VisibilityTimeout",
			"Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	case visibility <= 0:
		q.release(m)
		return nil
	}
	q.timers.remove(m)
	m.until = now.Add(visibility)
	q.timers.push(m)
	return nil
}

// purge deletes every message.
func (q *queue) purge() {
	for _, m := range q.inOrder() {
		q.drop(m)
	}
}

// inOrder lists all messages by their number: a stable order.
func (q *queue) inOrder() []*message {
	out := make([]*message, 0, len(q.messages))
	for _, m := range q.messages {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *message) int { return cmp.Compare(a.serial, b.serial) })
	return out
}

// nextTimer is when a delay or a lease ends next, zero if none runs.
func (q *queue) nextTimer() time.Time {
	if len(q.timers.items) == 0 {
		return time.Time{}
	}
	return q.timers.items[0].until
}

// full says whether the sandbox keeps no more messages in this queue.
func (q *queue) full(extra int) bool {
	return len(q.messages) >= queueMessages || q.bytes+extra > queueBytes
}

// size is what the limits count: body and attributes, not the trace header.
func (m *message) size() int {
	n := len(m.body)
	for name, a := range m.attributes {
		n += len(name) + len(a.Type) + len(a.String) + len(a.Binary)
	}
	return n
}

func (m *message) bodyMD5() string {
	if m.md5 == "" {
		sum := md5.Sum([]byte(m.body))
		m.md5 = hex.EncodeToString(sum[:])
	}
	return m.md5
}

// attributesMD5 hashes attributes as SQS does: sorted by name, each of name, type
// and value with its length before it (Developer Guide, sqs-message-metadata).
func attributesMD5(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var b []byte
	text := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	for _, name := range sortedNames(attributes) {
		a := attributes[name]
		text(name)
		text(a.Type)
		if strings.HasPrefix(a.Type, "Binary") {
			b = append(b, 2)
			text(string(a.Binary))
			continue
		}
		b = append(b, 1)
		text(a.String)
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func sortedNames[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// messageHeap is a priority queue of messages that knows where each one is, so
// that any can be taken out. Keys lie beside the messages: a queue is the busiest
// thing here, and comparing must not chase pointers.
type messageHeap struct {
	items []heapItem
	key   func(*message) int64
	slot  func(*message) *int
}

type heapItem struct {
	key    int64
	serial uint64 // earlier first among equals
	*message
}

func byPosition(m *message) int64 { return int64(m.position) }
func bySent(m *message) int64     { return m.sent.UnixNano() }
func byArrival(m *message) int64  { return m.arrived.UnixNano() }
func byUntil(m *message) int64    { return m.until.UnixNano() }

func (a heapItem) before(b heapItem) bool {
	return a.key < b.key || a.key == b.key && a.serial < b.serial
}

func (h *messageHeap) push(m *message) {
	h.items = append(h.items, heapItem{h.key(m), m.serial, m})
	h.up(len(h.items) - 1)
}

// remove takes m out; a message that is not in is no error.
func (h *messageHeap) remove(m *message) {
	i := *h.slot(m) - 1
	if i < 0 {
		return
	}
	*h.slot(m) = 0
	last := len(h.items) - 1
	moved := h.items[last]
	h.items[last] = heapItem{}
	h.items = h.items[:last]
	if i == last {
		return
	}
	h.items[i] = moved
	if !h.down(i) {
		h.up(i)
	}
}

func (h *messageHeap) put(i int, x heapItem) {
	h.items[i] = x
	*h.slot(x.message) = i + 1
}

func (h *messageHeap) up(i int) {
	x := h.items[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !x.before(h.items[parent]) {
			break
		}
		h.put(i, h.items[parent])
		i = parent
	}
	h.put(i, x)
}

// down sinks an item and reports whether it moved.
func (h *messageHeap) down(i int) bool {
	start, x := i, h.items[i]
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			break
		}
		if child+1 < len(h.items) && h.items[child+1].before(h.items[child]) {
			child++
		}
		if !h.items[child].before(x) {
			break
		}
		h.put(i, h.items[child])
		i = child
	}
	h.put(i, x)
	return i > start
}
