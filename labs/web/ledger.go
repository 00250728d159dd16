package web

import (
	"fmt"
	"time"
)

const (
	// kept is how many events are remembered and counted: two of the largest bursts.
	kept = 2 * maxBurst
	// shown is how many of them the page lists.
	shown = 200
	// askedFor is how long an event is asked about: Firehose may hold a record
	// back for its whole buffer interval, 900 s at most.
	askedFor = 15 * time.Minute
)

// event is one submission and where it was seen.
type event struct {
	n      int // counts from 1, newest highest
	kind   string
	sent   Sent
	at     time.Time // by this machine's clock: a sandbox may turn its own
	unsure string    // why nobody knows whether it was taken
	marks  map[string]mark
	traced bool // a look said what is known of it
	again  bool // a person wants it looked at once more
}

// mark is what is known of an event at one station.
type mark struct {
	at    time.Time
	times int
	note  string
}

func (e event) outcome() string {
	switch {
	case e.unsure != "":
		return "unknown"
	case e.sent.ID == "" || e.sent.Why != "":
		return "refused"
	}
	return "accepted"
}

// sentence says what became of the submission itself.
func (e event) sentence() string {
	switch e.outcome() {
	case "unknown":
		return "Not known whether it was taken: " + e.unsure
	case "refused":
		why := plain(e.sent.Why)
		if why == "" {
			why = "the API gave no reason"
		}
		if e.sent.Status == 0 {
			return "Refused: " + why
		}
		return fmt.Sprintf("Refused (HTTP %d): %s", e.sent.Status, why)
	}
	return "Accepted: " + plain(e.kind) + ", id " + plain(e.sent.ID)
}

// ledger remembers the last events, oldest first.
type ledger struct {
	last   int
	events []event
}

func (l *ledger) add(e event) event {
	l.last++
	e.n, e.marks = l.last, map[string]mark{}
	if e.outcome() == "accepted" {
		e.marks[Accepted] = mark{at: e.at, times: 1}
		e.see(e.sent.Seen)
	}
	l.events = append(l.events, e)
	if over := len(l.events) - kept; over > 0 {
		l.events = append([]event(nil), l.events[over:]...)
	}
	return e
}

func (l *ledger) find(n int) (event, bool) {
	for _, e := range l.events {
		if e.n == n {
			return e, true
		}
	}
	return event{}, false
}

// settled reports that an event is not asked about any more by itself: it is
// everywhere it should be, at a bad end with nothing after it, or too old. A good
// Last is no reason to stop: the archive comes a minute after the table.
func (e event) settled(steps []Step, now time.Time) bool {
	if e.outcome() != "accepted" || now.Sub(e.at) > askedFor {
		return true
	}
	everywhere := true
	for _, step := range steps {
		_, here := e.marks[step.Name]
		if step.Bad && step.Last && here {
			return true
		}
		everywhere = everywhere && (here || step.Bad)
	}
	return everywhere
}

// open lists the ids that are worth asking about.
func (l *ledger) open(steps []Step, now time.Time) []string {
	var ids []string
	for _, e := range l.events {
		if e.outcome() == "accepted" && (e.again || !e.settled(steps, now)) {
			ids = append(ids, e.sent.ID)
		}
	}
	return ids
}

// learn writes down where events were seen. complete means that what is not in
// seen was looked for too. What was known stays known.
func (l *ledger) learn(asked []string, seen map[string][]Seen, complete bool) {
	of := make(map[string]bool, len(asked))
	for _, id := range asked {
		of[id] = true
	}
	for i := range l.events {
		e := &l.events[i]
		if !of[e.sent.ID] {
			continue
		}
		if complete {
			e.traced, e.again = true, false
		}
		e.see(seen[e.sent.ID])
	}
}

func (e *event) see(seen []Seen) {
	fresh := map[string]mark{}
	for _, s := range seen {
		m, twice := fresh[s.Step]
		if !twice || s.At.Before(m.at) {
			m.at, m.note = s.At, plain(s.Note)
		}
		m.times++
		fresh[s.Step] = m
	}
	for step, m := range fresh {
		if m.times >= e.marks[step].times {
			e.marks[step] = m
		}
	}
}
