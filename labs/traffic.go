package labs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// senders bounds the requests in flight.
const senders = 16

// Traffic is what is sent to a lab's front door.
type Traffic struct {
	Rate  float64 // events/s; 0: as fast as it goes
	Count int     // events; 0: until the context ends
	Bad   float64 // share of events that cannot be processed, 0 to 1
	Seed  uint64  // makes the events repeatable; the ids are new each time
	Path  string  // of the API, "" for the lab's own
}

// Sent is what became of one event.
type Sent struct {
	ID     string    `json:"id"`
	Type   string    `json:"type"`
	Bad    bool      `json:"bad,omitempty"` // it was made to fail
	At     time.Time `json:"at"`
	Status int       `json:"status"` // HTTP; 0: no answer, so nobody knows
	Why    string    `json:"why,omitempty"`
}

// Accepted reports that the lab took the event.
func (s Sent) Accepted() bool { return s.Status >= 200 && s.Status < 300 }

// Unknown reports that nobody knows whether the lab took the event.
func (s Sent) Unknown() bool { return s.Status == 0 || s.Status >= 500 }

// eventMaker makes the next event of a lab: a body for its API.
type eventMaker func(r *rand.Rand, n int, bad bool) (id, kind string, body any)

// Send sends traffic to a lab and tells each event's fate, from one goroutine at a
// time. Its error is that of telling; what the API answers is a fate.
func (s *Stack) Send(ctx context.Context, t Traffic, tell func(Sent) error) error {
	out, err := s.Outputs(ctx)
	if err != nil {
		return err
	}
	url := out["ApiUrl"]
	if url == "" {
		return fmt.Errorf("the lab %s has no API to send to", s.Lab.ID)
	}
	limit := rate.NewLimiter(rate.Inf, 1)
	if t.Rate > 0 {
		limit = rate.NewLimiter(rate.Limit(t.Rate), max(1, int(t.Rate/10)))
	}
	source := rand.New(rand.NewPCG(t.Seed, 0))
	// Ids are unique over runs, so that the proof of one run is not that of another.
	run := fmt.Sprintf("%s-%x", s.Lab.ID, time.Now().UnixMilli())
	var mu sync.Mutex
	client := &http.Client{Timeout: callMost, Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	defer client.CloseIdleConnections()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(senders)
	for n := 0; t.Count == 0 || n < t.Count; n++ {
		if err := limit.Wait(gctx); err != nil {
			break // the context ended
		}
		bad := source.Float64() < t.Bad
		id, kind, body := s.Lab.next(source, n, bad)
		id = run + "-" + id
		text, err := withID(id, body)
		if err != nil {
			return err
		}
		g.Go(func() error {
			fate := post(gctx, client, url, text)
			fate.ID, fate.Type, fate.Bad = id, kind, bad
			mu.Lock()
			defer mu.Unlock()
			return tell(fate)
		})
	}
	err = g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// withID puts the id into an event's body.
func withID(id string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	m["id"] = id
	return json.Marshal(m)
}

// An event that gets no clear answer, or is asked to come later, is sent again: with
// the same id, so that nobody counts it twice.
const (
	mostTries  = 8
	firstPause = 100 * time.Millisecond // doubled each time, with jitter
)

// post sends one event until it gets a clear answer, and says what came of it.
func post(ctx context.Context, client *http.Client, url string, body []byte) Sent {
	// What is on its way when somebody presses ctrl+c is seen to its end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callMost)
	defer cancel()
	for try := 1; ; try++ {
		out := tryPost(ctx, client, url, body)
		if !out.Unknown() && out.Status != http.StatusTooManyRequests || try == mostTries {
			return out
		}
		wait := firstPause << (try - 1)
		if pause(ctx, wait/2+rand.N(wait/2)) != nil {
			return out
		}
	}
}

func tryPost(ctx context.Context, client *http.Client, url string, body []byte) Sent {
	out := Sent{At: time.Now().UTC()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		out.Why = err.Error()
		return out
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		out.Why = err.Error()
		return out
	}
	defer resp.Body.Close()
	out.Status = resp.StatusCode
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || !out.Accepted() {
		out.Why = string(answer)
	}
	return out
}

// pipelineEvents are the events of lab 2: a small shop.
func pipelineEvents(r *rand.Rand, n int, bad bool) (id, kind string, body any) {
	event := map[string]any{"customer": fmt.Sprintf("c-%04d", r.IntN(500))}
	id = fmt.Sprintf("%06d", n)
	switch p := r.IntN(10); {
	case bad && p < 8: // archived, but no number: processing cannot take it
		kind, event["detail"] = "order", map[string]any{"amount": "twelve", "currency": "EUR"}
	case bad: // the front door turns it away
		kind = "unknown"
	case p < 6:
		kind, event["detail"] = "click", map[string]any{"page": []string{"/", "/cart", "/help", "/search"}[r.IntN(4)]}
	case p < 9:
		kind, event["detail"] = "order", map[string]any{"amount": fmt.Sprintf("%d.%02d", 1+r.IntN(200), r.IntN(100)), "currency": "EUR"}
	default:
		kind, event["detail"] = "signup", map[string]any{"plan": []string{"free", "pro"}[r.IntN(2)]}
	}
	event["type"] = kind
	return id, kind, event
}

// staffEvents are the events of lab 3: people are hired, get cards, lose them and
// leave. A bad one gives a card to somebody who was never hired.
func staffEvents(r *rand.Rand, n int, bad bool) (id, kind string, body any) {
	id = fmt.Sprintf("%06d", n)
	person := fmt.Sprintf("e-%03d", r.IntN(100))
	event := map[string]any{"employee": person, "card": "card-" + person}
	switch p := r.IntN(10); {
	case bad:
		kind, event["employee"] = "card-issued", fmt.Sprintf("nobody-%d", n)
	case p < 6:
		kind = "employee-hired"
	case p < 9:
		kind = "card-blocked"
	default:
		kind = "employee-left"
	}
	event["type"] = kind
	return id, kind, event
}
