package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"kxops/ops"
	"kxops/ops/journal"
)

// The words of a replay's record. They differ from those of a redrive's: both lie in
// the same directory.
const (
	lineParts  = "replay parts"         // some parts of the plan, before it
	linePlan   = "replay"               // the plan, after all its parts: from here on it counts
	lineAt     = "replay at"            // a checkpoint
	lineAgain  = "replay again"         // resumed
	linePassed = "replay canary passed" // it was watched to its end, and the rest may go
	lineRate   = "replay rate"          // a person has set it
	lineEnd    = "replay end"           // nothing follows but a resume
)

// partsTogether is how many parts stand in one line; a part has up to 1 KiB.
const partsTogether = 2000

// line is one line of the record. It holds no body and no key.
type line struct {
	Word   string              `json:"is"`
	At     time.Time           `json:"at"`
	Parts  []ops.ReplayPart    `json:"replay_parts,omitempty"`
	First  int                 `json:"first,omitempty"` // of these parts; 0 begins again
	Plan   *ops.ReplayPlan     `json:"replay_plan,omitempty"`
	Places []placeOf           `json:"places,omitempty"` // that have moved
	Counts *ops.ReplayCounts   `json:"counts,omitempty"`
	Sum    string              `json:"sum,omitempty"`
	End    *ops.ReplayProgress `json:"progress,omitempty"`
	Why    string              `json:"why,omitempty"`

	Rate *float64 `json:"rate,omitempty"` // records a second; 0: as planned

	Repeats int64 `json:"repeats,omitempty"` // answers that were lost until here
}

// placeOf is how far a part was read and sent: everything before it is settled.
type placeOf struct {
	Part  int    `json:"part"`
	Place string `json:"place"`
	N     int64  `json:"n"` // records of the part before it
	Over  bool   `json:"over,omitempty"`

	At time.Time `json:"at,omitzero"` // arrival of the last record before it, where that is known
}

// state is what a record adds up to.
type state struct {
	plan   ops.ReplayPlan
	places []placeOf        // by part
	counts ops.ReplayCounts // of what is before the places
	sum    uint64
	end    *ops.ReplayProgress // nil: it is running, or was interrupted
	last   time.Time           // of the last line
	runs   int

	passed  bool    // the canary was
	rate    float64 // that a person has set; 0: as planned
	halted  bool    // by a guard, and it goes on now
	repeats int64
	crashes int // runs that ended without a word
}

// begin writes the plan: its parts, and then that it begins.
func begin(log *journal.Log, plan ops.ReplayPlan, at time.Time) error {
	first := 0
	for some := range slices.Chunk(plan.Parts, partsTogether) {
		if err := log.Append(line{Word: lineParts, At: at, Parts: some, First: first}); err != nil {
			return err
		}
		first += len(some)
	}
	plan.Parts = nil
	return log.Append(line{Word: linePlan, At: at, Plan: &plan})
}

var errNeverBegan = errors.New("it never began: nothing was sent")

// readState adds a record up. The error is errNeverBegan where the plan was not even
// written whole.
func readState(lines [][]byte) (*state, error) {
	s := &state{}
	begun := false
	var parts []ops.ReplayPart
	for i, text := range lines {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("line %d of the record: %w", i+1, err)
		}
		s.last = l.At
		switch l.Word {
		case lineParts:
			if l.First == 0 { // also after a beginning that was killed
				parts = nil
			}
			parts = append(parts, l.Parts...)
		case linePlan:
			if l.Plan == nil {
				return nil, fmt.Errorf("line %d of the record: a beginning without a plan", i+1)
			}
			begun, s.plan, s.runs = true, *l.Plan, 1
			s.plan.Parts = parts
			s.places = freshPlaces(len(parts))
		case lineAt:
			if err := s.book(l); err != nil {
				return nil, fmt.Errorf("line %d of the record: %w", i+1, err)
			}
		case lineAgain:
			if s.end == nil {
				s.crashes++
			}
			s.end = nil
			s.runs++
		case linePassed:
			s.passed = true
		case lineRate:
			if l.Rate != nil {
				s.rate = *l.Rate
			}
		case lineEnd:
			s.end = l.End
		}
		s.repeats = max(s.repeats, l.Repeats)
	}
	if !begun {
		return nil, errNeverBegan
	}
	return s, s.plan.Check()
}

func freshPlaces(parts int) []placeOf {
	places := make([]placeOf, parts)
	for i := range places {
		places[i].Part = i
	}
	return places
}

func (s *state) book(l line) error {
	for _, p := range l.Places {
		if p.Part < 0 || p.Part >= len(s.places) {
			return fmt.Errorf("the plan has no part %d", p.Part)
		}
		s.places[p.Part] = p
	}
	if l.Counts != nil {
		s.counts = *l.Counts
	}
	if l.Sum != "" {
		if _, err := fmt.Sscanf(l.Sum, "%x", &s.sum); err != nil {
			return fmt.Errorf("the sum %q: %w", l.Sum, err)
		}
	}
	return nil
}

// again reports whether it can be resumed.
func (s *state) again() bool {
	return s.end == nil || s.end.State == ops.Paused || s.end.State == ops.Halted || s.end.State == ops.Broken
}
