package survey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"kxops/ops"
)

const (
	// describeEvery is how old a description may get.
	describeEvery = 10 * time.Minute
	// callTimeout bounds one describe call and one page of a list.
	callTimeout = 10 * time.Second
	// patience is how many describe calls in a row may fail for the service's
	// reasons before the rest is left for the next look.
	patience = 3
	// backlog is how many names may wait for a description while the list goes on.
	backlog = 16384
	// maxPages bounds every pagination: a service that never stops answering
	// tokens must not keep us for ever.
	maxPages = 2000
)

// shelf holds one kind of thing: what exists, and what is known about each.
type shelf[T any] struct {
	Entries map[string]*entry[T] // by the key that the list call gives: a name, a URL, an id
	At      time.Time            // when the list was last read whole
	Problem *ops.Problem         // why the last look at this kind is not whole
	listing bool                 // a list is being read, and there is none yet
	cut     bool                 // the deadline came before all were described
}

// entry is one thing of a kind.
type entry[T any] struct {
	Item      T
	Described time.Time // zero: only its name is known
	tried     time.Time // when it was last attempted, whatever came of it
	look      int       // the look that listed it last
	recalled  bool      // from disk, not yet seen by this program
}

func newShelf[T any]() shelf[T] { return shelf[T]{Entries: map[string]*entry[T]{}} }

// locally marks a list that is made from what other lists said, at every look.
const locally = -1

// source says how one kind is read.
type source[T any] struct {
	workers int           // describe calls in the air
	every   time.Duration // how often to list; 0: at every look
	// list calls found with each page.
	list func(ctx context.Context, found func(page []T)) error
	key  func(T) string
	// renew updates a known thing from a fresh list; nil keeps what is known.
	renew func(known, listed T) T
	// describe reads one thing; nil: the list says everything.
	describe func(ctx context.Context, known T) (T, error)
	// gentle marks a kind whose describe call allows so few a second that a tenth of
	// it would hold up the look: it is renewed in half an hour where it is large.
	gentle bool
	// due picks the known things to describe again in this look; nil: those whose
	// description is too old, a few at a time.
	due func(now time.Time) map[string]bool
}

// survey lists a kind and describes what is new or due. Descriptions begin with
// the first page, while the list goes on.
func survey[T any](ctx context.Context, s *Survey, sh *shelf[T], src source[T]) {
	ctx, cancel := context.WithTimeout(ctx, sectionTimeout)
	defer cancel()
	w := &walk[T]{s: s, sh: sh, src: src, todo: make(chan string, backlog)}
	relist := w.begin()

	var workers sync.WaitGroup
	if src.describe != nil {
		for range src.workers {
			workers.Go(func() { s.safely("descriptions", func() { w.work(ctx) }) })
		}
	}
	if relist {
		w.list(ctx)
	} else {
		w.again(ctx)
	}
	close(w.todo)
	workers.Wait()
	w.finish(ctx)
}

// walk is one look at one kind.
type walk[T any] struct {
	s    *Survey
	sh   *shelf[T]
	src  source[T]
	todo chan string
	due  map[string]bool

	// Guarded by the survey's lock.
	problem *ops.Problem // the first one that concerns the whole kind
	failed  int          // service failures in a row
	cut     bool
	stopped bool // no more describe calls in this look
}

func (w *walk[T]) begin() (relist bool) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	now := w.s.options.Now()
	switch {
	case w.src.due != nil:
		w.due = w.src.due(now)
	case w.src.describe != nil:
		interval := w.s.interval()
		if w.src.gentle && len(w.sh.Entries) > 40 {
			interval /= 3
		}
		w.due = rolling(w.sh, now, interval, w.s.ask.Fresh)
	}
	relist = w.sh.At.IsZero() || w.s.ask.Fresh || w.sh.Problem != nil || now.Sub(w.sh.At) >= w.src.every
	w.sh.listing = relist && w.sh.At.IsZero()
	return relist
}

func (w *walk[T]) list(ctx context.Context) {
	// A service that accepts and never answers must not take the whole section's
	// time: each page has its own deadline.
	paged, silent := context.WithCancelCause(ctx)
	defer silent(nil)
	watch := time.AfterFunc(callTimeout, func() { silent(context.DeadlineExceeded) })
	defer watch.Stop()
	err := w.src.list(paged, func(page []T) {
		w.found(ctx, page)
		watch.Reset(callTimeout)
	})
	if cause := context.Cause(paged); err != nil && ctx.Err() == nil && cause != nil {
		err = fmt.Errorf("no answer within %s: %w", callTimeout, cause)
	}
	if err == nil {
		w.forget()
		return
	}
	p := w.s.explain(ctx, err)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.problem = p
}

func (w *walk[T]) found(ctx context.Context, page []T) {
	var todo []string
	w.s.mu.Lock()
	w.s.picture.answered = w.s.picture.answered || w.src.every != locally
	for _, item := range page {
		key := w.src.key(item)
		if key == "" {
			continue
		}
		e, ok := w.sh.Entries[key]
		switch {
		case !ok:
			e = &entry[T]{Item: item}
			w.sh.Entries[key] = e
		case w.src.renew != nil:
			e.Item = w.src.renew(e.Item, item)
		}
		if w.src.describe == nil { // the list says everything
			e.Described = w.s.options.Now()
		}
		e.look, e.recalled = w.s.picture.Look, false
		if w.src.describe != nil && (e.tried.IsZero() && e.Described.IsZero() || w.due[key]) {
			todo = append(todo, key)
		}
	}
	w.s.mu.Unlock()
	w.s.touch()
	w.enqueue(ctx, todo)
}

// again describes what is due where the list is young enough not to be read.
func (w *walk[T]) again(ctx context.Context) {
	var todo []string
	w.s.mu.Lock()
	for key, e := range w.sh.Entries {
		if w.src.describe != nil && (e.tried.IsZero() && e.Described.IsZero() || w.due[key]) {
			todo = append(todo, key)
		}
	}
	w.s.mu.Unlock()
	slices.Sort(todo)
	w.enqueue(ctx, todo)
}

func (w *walk[T]) enqueue(ctx context.Context, keys []string) {
	for _, key := range keys {
		select {
		case w.todo <- key:
		case <-ctx.Done():
			return
		}
	}
}

// forget drops what a whole list did not name any more.
func (w *walk[T]) forget() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for key, e := range w.sh.Entries {
		if e.look != w.s.picture.Look {
			delete(w.sh.Entries, key)
		}
	}
	w.sh.At = w.s.options.Now()
	w.sh.listing = false
	w.s.picture.confirmed = w.s.picture.confirmed || w.src.every != locally
}

func (w *walk[T]) work(ctx context.Context) {
	for key := range w.todo {
		w.s.mu.Lock()
		e, ok := w.sh.Entries[key]
		stopped := w.stopped
		var item T
		if ok {
			item = e.Item
		}
		w.s.mu.Unlock()
		if !ok || stopped {
			continue // drain: the names stay on the shelf for the next look
		}
		call, cancel := context.WithTimeout(ctx, callTimeout)
		described, err := w.src.describe(call, item)
		cancel()
		w.learned(ctx, key, described, err)
	}
}

func (w *walk[T]) learned(ctx context.Context, key string, item T, err error) {
	var p *ops.Problem
	if err != nil {
		if p = w.s.explain(ctx, err); p == nil {
			return
		}
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	e, ok := w.sh.Entries[key]
	if !ok {
		return
	}
	now := w.s.options.Now()
	switch {
	case p == nil:
		e.Item, e.Described, e.tried, e.recalled = item, now, now, false
		w.failed = 0
	case p.Fault == ops.FaultNotFound: // deleted since it was listed
		delete(w.sh.Entries, key)
	case p.Fault == ops.FaultDenied, p.Fault == ops.FaultUnsupported:
		// Denied may be this one's own policy: the others still get their chance.
		e.tried = now
		if part := new(partlyError); errors.As(err, &part) { // better than a bare name
			e.Item, e.recalled = item, false
		}
		w.note(p)
		w.stopped = w.stopped || p.Fault == ops.FaultUnsupported
	case p.Fault == ops.FaultTimeout && nearEnd(ctx):
		w.cut, w.stopped = true, true // our own deadline: the next look goes on from here
	default:
		w.note(p)
		w.failed++
		w.stopped = w.stopped || w.failed >= patience
	}
	w.s.touch()
}

// partlyError says that a description is good as far as it goes, and what is
// missing from it.
type partlyError struct{ err error }

func (e *partlyError) Error() string { return e.err.Error() }
func (e *partlyError) Unwrap() error { return e.err }

// nearEnd reports whether the section's own deadline, not a slow service, is why
// a call was not made or not answered.
func nearEnd(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) < callTimeout
}

func (w *walk[T]) note(p *ops.Problem) {
	if w.problem == nil {
		w.problem = p
	}
}

func (w *walk[T]) finish(ctx context.Context) {
	var ended *ops.Problem
	errors.As(context.Cause(ctx), &ended)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.note(ended)
	w.sh.Problem, w.sh.cut, w.sh.listing = w.problem, w.cut, false
	w.s.touch()
}

// section shows a shelf as a section of the snapshot, ordered by name. bare says
// whether a thing of which only the name is known is worth a row by itself.
func section[T any](sh *shelf[T], bare bool, name func(*T) string) ops.Section[T] {
	return sectionOf(sh, bare, name, func(x *T) T { return *x })
}

// sectionOf is section with the things turned into what the snapshot holds.
func sectionOf[T, U any](sh *shelf[T], bare bool, name func(*T) string, shown func(*T) U) ops.Section[U] {
	out := ops.Section[U]{At: sh.At, Known: len(sh.Entries), Problem: sh.Problem, Partial: sh.listing}
	// Pointers are sorted, not the things: an account may have ten thousand.
	items := make([]*T, 0, len(sh.Entries))
	for _, e := range sh.Entries {
		out.Partial = out.Partial || e.Described.IsZero()
		if bare || !e.Described.IsZero() || !e.tried.IsZero() {
			items = append(items, &e.Item)
		}
	}
	slices.SortFunc(items, func(a, b *T) int { return strings.Compare(name(a), name(b)) })
	out.Items = make([]U, 0, len(items))
	for _, x := range items {
		out.Items = append(out.Items, shown(x))
	}
	return out
}

// rolling picks the descriptions that are due, the oldest first, and no more than
// keeps the load even: a ten-minute refresh at a one-minute pace takes a tenth
// each time. What an earlier run left on disk is all renewed at once.
func rolling[T any](sh *shelf[T], now time.Time, interval time.Duration, fresh bool) map[string]bool {
	due := map[string]bool{}
	var known []string
	for key, e := range sh.Entries {
		last := e.Described
		if e.tried.After(last) {
			last = e.tried
		}
		switch {
		case last.IsZero():
			continue // never tried: always due
		case e.recalled && now.Sub(last) >= describeEvery, fresh && now.Sub(last) >= time.Minute:
			due[key] = true
		case now.Sub(last) >= describeEvery:
			known = append(known, key)
		}
	}
	share := 1 + int(int64(len(sh.Entries))*int64(interval)/int64(describeEvery))
	for _, key := range oldest(sh, known, share) {
		due[key] = true
	}
	return due
}

// oldest returns the n keys that were described longest ago.
func oldest[T any](sh *shelf[T], keys []string, n int) []string {
	sort.Slice(keys, func(i, j int) bool {
		a, b := sh.Entries[keys[i]], sh.Entries[keys[j]]
		if !a.Described.Equal(b.Described) {
			return a.Described.Before(b.Described)
		}
		return keys[i] < keys[j]
	})
	return keys[:min(n, len(keys))]
}
