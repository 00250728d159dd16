// Package alarms holds what "wrong" means: rules that look at a snapshot and say
// which resource will lose data, how bad that is and why.
//
// Read verdict.go (the answer), then rules.go (THE list of rules).
package alarms

import (
	"fmt"
	"time"

	"kxops/ops"
)

// Severity orders findings: a page wakes a person, a ticket waits for the morning.
type Severity int

const (
	Info Severity = iota
	Ticket
	Page
)

func (s Severity) String() string { return [...]string{"info", "ticket", "page"}[s] }

// MarshalText is the severity's word: in documents it is never a number.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it back; any other word is an error.
func (s *Severity) UnmarshalText(word []byte) error {
	for _, known := range []Severity{Info, Ticket, Page} {
		if known.String() == string(word) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("%q is no severity: it is info, ticket or page", word)
}

// Finding is one rule's complaint about one resource.
type Finding struct {
	Rule     string   `json:"rule"` // rule id, such as "kds.stall"
	Severity Severity `json:"severity"`
	Resource ops.ARN  `json:"resource"`
	Sentence string   `json:"sentence"` // what is wrong, with the number and the limit
	Next     string   `json:"next"`     // the first thing to do about it
}

// State is the word that stands first in a row.
type State string

const (
	StatePage    State = "PAGE"
	StateTicket  State = "TICKET"
	StateOK      State = "ok"
	StateAsleep  State = "asleep" // an idle queue; it publishes nothing and is left alone
	StateDenied  State = "denied" // we may not read it
	StateUnknown State = "?"      // the numbers that decide could not be read
)

// Verdict is one resource as the on-call person needs it: the row of the
// overview and of `kxops status`.
type Verdict struct {
	ARN        ops.ARN
	Kind       ops.Kind
	Name       string
	DeadLetter bool // a queue that receives dead letters
	State      State
	Headline   string      // the one number that matters, in words: "9h12m behind", "118 msgs, oldest 8d3h"
	Limit      string      // what it is measured against: "77% of 24h retention"
	Share      ops.Reading // how much of the limit is used; may exceed 1
	Spark      ops.Measure // the series behind the number
	Threshold  ops.Reading // in units of Spark: cells beyond it are coloured
	Loss       ops.Loss
	Findings   []Finding   // worst first
	Alarms     []ops.Alarm // CloudWatch alarms that watch it, those in ALARM first
	At         time.Time   // how old the deciding number is
}
