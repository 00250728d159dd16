package functions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Event is what the labs capture: who did what, and when.
type Event struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	At       time.Time       `json:"at"`
	Customer string          `json:"customer"`
	Detail   json.RawMessage `json:"detail,omitempty"` // what belongs to the type
}

// Types are the events that the ingest function takes.
var Types = []string{"click", "order", "signup"}

// readEvent parses an event and says what is wrong with one.
func readEvent(text []byte) (Event, error) {
	var e Event
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&e); err != nil {
		return e, fmt.Errorf("the event is no JSON object: %w", err)
	}
	switch {
	case e.ID == "":
		return e, fmt.Errorf("the event has no id")
	case e.Customer == "":
		return e, fmt.Errorf("the event %s has no customer", e.ID)
	case strings.TrimSpace(e.Type) == "":
		return e, fmt.Errorf("the event %s has no type", e.ID)
	}
	return e, nil
}

// order is the detail of an order.
type order struct {
	Amount   json.RawMessage `json:"amount"` // a number, or one in quotes
	Currency string          `json:"currency"`
}

// check is what processing insists on: an order needs an amount that is a number
// and a currency. What fails here was archived before, and becomes a dead letter.
func (e Event) check() error {
	if e.Type != "order" {
		return nil
	}
	var o order
	if err := json.Unmarshal(e.Detail, &o); err != nil {
		return fmt.Errorf("the detail of the order cannot be read: %w", err)
	}
	amount, err := strconv.ParseFloat(strings.Trim(string(o.Amount), `"`), 64)
	switch {
	case err != nil:
		return fmt.Errorf("the amount %s is no number", o.Amount)
	case amount <= 0:
		return fmt.Errorf("the amount %s is not positive", o.Amount)
	case len(o.Currency) != 3:
		return fmt.Errorf("%q is no currency", o.Currency)
	}
	return nil
}
