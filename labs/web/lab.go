// Package web is the front-end of the labs: one small page on loopback that
// captures events and shows what happened to each of them.
//
// It knows no AWS. A Lab submits and traces; the page asks and shows. Read
// lab.go (what a lab must offer), server.go (routes), guard.go (who may ask),
// submit.go and burst.go (events going in), ledger.go and look.go (what became
// of them), page.go (how it is drawn).
package web

import (
	"context"
	"time"
)

// Accepted is the station that the API's own answer proves: a Step of this
// name is marked as soon as Submit gave an id, and Trace need not repeat it.
const Accepted = "accepted"

// Field is one input of a form.
type Field struct {
	Name, Label string
	Choices     []string // one of these; empty: free text
	Value       string   // filled in at first
	Required    bool
	Number      bool
	Min, Max    float64 // of a number, inclusive; both zero: any
}

// Form describes one event type.
type Form struct {
	Type, Title, Help string
	Fields            []Field
}

// Step is a station of the pipeline: accepted, in stream, archived, processed,
// rejected, dead-lettered.
type Step struct {
	Name string // as shown
	Bad  bool   // an end that nobody wants
	Last bool   // there is nothing after it
}

// Sent is what became of one submission. ID is "" when the API refused it.
type Sent struct {
	ID     string
	Status int    // HTTP, of the lab's API
	Why    string // it was not accepted
	Seen   []Seen // what the answer itself tells
}

// Seen says that an event was seen at a station. Several with one Step mean
// that it was seen there several times.
type Seen struct {
	Step string
	At   time.Time
	Note string
}

// Lab is what the page stands in front of. Its methods are called from several
// goroutines at once.
type Lab interface {
	Title() string
	Forms() []Form
	Steps() []Step
	// Submit sends one event of a type. Optional fields left empty are not in
	// fields. An error means that nobody knows whether the event was taken.
	Submit(ctx context.Context, kind string, fields map[string]string) (Sent, error)
	// Trace says where events were seen: only what is known. What it returns
	// beside an error is still shown; the rest is "not known".
	Trace(ctx context.Context, ids []string) (map[string][]Seen, error)
}
