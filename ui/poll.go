package ui

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

const (
	defaultPace = 60 * time.Second
	minPace     = 2 * time.Second
	maxPace     = 10 * time.Minute
	blurSlower  = 4    // an unwatched console looks this much less often
	jitter      = 0.15 // so that many consoles do not ask in the same second
	collectMost = 2 * time.Minute
)

// poller decides when to look. It belongs to one account and region at a time:
// an epoch. Whatever an older epoch still brings is dropped.
type poller struct {
	backend Backend
	judge   judge
	now     func() time.Time
	pace    time.Duration // configured floor

	root   context.Context
	ctx    context.Context // of the epoch
	cancel context.CancelFunc
	epoch  int
	look   int // number of the look; one is under way while busy
	busy   bool
	paused bool
	blur   bool
	slow   int                // throttled looks in a row
	rouse  context.CancelFunc // ends the wait for the next look
}

// snapshotLoadedMsg is the answer of one look.
type snapshotLoadedMsg struct {
	epoch, look int
	picture     *picture
	last        bool // false: the look goes on, this is what it found so far
}

// tickedMsg says that the wait before the next look is over.
type tickedMsg struct{ epoch, look int }

func newPoller(root context.Context, o Options) *poller {
	p := &poller{backend: o.Backend, judge: o.Judge, now: o.Now, pace: o.Config.Pace, root: root, rouse: func() {}}
	p.begin()
	return p
}

// begin starts a new epoch: the work of the old one is cancelled.
func (p *poller) begin() {
	if p.cancel != nil {
		p.cancel()
	}
	p.epoch++
	p.busy, p.slow = false, 0
	p.ctx, p.cancel = context.WithCancel(p.root)
}

// start returns the commands of one look, nil while one is under way.
func (p *poller) start(ask Ask, before ops.Snapshot) tea.Cmd {
	if p.busy {
		return nil
	}
	p.rouse()
	p.busy = true
	p.look++
	ask.Blurred, ask.Paused = p.blur, p.paused
	box := newMailbox()
	return tea.Batch(p.collectCmd(ask, before, box), p.partialCmd(before, box))
}

func (p *poller) collectCmd(ask Ask, before ops.Snapshot, box *mailbox) tea.Cmd {
	epoch, look, ctx := p.epoch, p.look, p.ctx
	backend, judge, now := p.backend, p.judge, p.now
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, collectMost)
		defer done()
		defer box.close()
		s := backend.Collect(ctx, ask, box.put)
		return snapshotLoadedMsg{epoch, look, newPicture(keepLast(s, before), judge, now()), true}
	}
}

// partialCmd waits for the next growing snapshot; App issues it again after each.
func (p *poller) partialCmd(before ops.Snapshot, box *mailbox) tea.Cmd {
	epoch, look, ctx, judge, now := p.epoch, p.look, p.ctx, p.judge, p.now
	return func() tea.Msg {
		s, ok := box.take(ctx)
		if !ok {
			return nil
		}
		m := snapshotLoadedMsg{epoch, look, newPicture(keepLast(s, before), judge, now()), false}
		return partialLoadedMsg{m, box, before}
	}
}

// partialLoadedMsg is a growing snapshot and where the next one will come from.
type partialLoadedMsg struct {
	snapshotLoadedMsg
	box    *mailbox
	before ops.Snapshot
}

// current reports whether a message belongs to the look that is under way.
func (p *poller) current(epoch, look int) bool { return p.busy && epoch == p.epoch && look == p.look }

// finish ends the look and returns the wait for the next one.
func (p *poller) finish(s ops.Snapshot) tea.Cmd {
	p.busy = false
	p.slow = slower(p.slow, s)
	return p.wait(p.delay(s.Next))
}

func slower(slow int, s ops.Snapshot) int {
	problems := []*ops.Problem{s.MetricsProblem}
	for _, x := range s.Sections() {
		problems = append(problems, x.Problem)
	}
	for _, x := range problems {
		if x != nil && x.Fault == ops.FaultThrottled {
			return min(slow+1, 5)
		}
	}
	return 0
}

// delay returns the time until the next look: what pace and budget allow,
// doubled for each throttled answer in a row, longer while nobody watches.
func (p *poller) delay(next time.Duration) time.Duration {
	if next <= 0 {
		next = defaultPace
	}
	next = max(next, p.pace, minPace) << p.slow
	if p.blur {
		next *= blurSlower
	}
	return min(next, maxPace)
}

// wait returns the tick before the next look, nil while paused.
func (p *poller) wait(d time.Duration) tea.Cmd {
	if p.paused {
		return nil
	}
	d += time.Duration((2*rand.Float64() - 1) * jitter * float64(d))
	ctx, rouse := context.WithCancel(p.ctx)
	p.rouse = rouse
	return after(ctx, d, tickedMsg{p.epoch, p.look})
}

// after brings a message when a time has passed, and nothing when the context
// ends first: a plain tea.Tick would outlive the console.
func after(ctx context.Context, d time.Duration, msg tea.Msg) tea.Cmd {
	return func() tea.Msg {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return msg
		case <-ctx.Done():
			return nil
		}
	}
}

// mailbox holds the newest growing snapshot of a look. Older ones that nobody
// took are replaced: only the newest matters.
type mailbox struct {
	mu     sync.Mutex
	closed bool
	ch     chan ops.Snapshot
}

func newMailbox() *mailbox { return &mailbox{ch: make(chan ops.Snapshot, 1)} }

func (b *mailbox) put(s ops.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	select {
	case <-b.ch:
	default:
	}
	b.ch <- s
}

func (b *mailbox) take(ctx context.Context) (ops.Snapshot, bool) {
	select {
	case s, ok := <-b.ch:
		return s, ok
	case <-ctx.Done():
		return ops.Snapshot{}, false
	}
}

func (b *mailbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.ch)
	}
}
