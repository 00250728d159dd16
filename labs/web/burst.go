package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

const (
	maxBurst   = 500
	burstLanes = 8
	// burstGivesUp is how many submissions in a row may go unanswered before the
	// rest of a burst is not worth its deadlines: 500 of them would take half an hour.
	burstGivesUp = 5
)

// burst is many events of one form on their way.
type burst struct {
	n                         int // counts from 1
	kind                      string
	count, begun              int
	accepted, refused, unsure int
	unsureInARow              int
	stopped                   string // why no more are begun, "" while they are
	running                   bool
}

func (s *Server) startBurst(w http.ResponseWriter, r *http.Request) {
	ask := s.judge(r.PostForm)
	count, err := strconv.Atoi(strings.TrimSpace(r.PostForm.Get("count")))
	if err != nil || count < 1 || count > maxBurst {
		ask.wrong["count"] = fmt.Sprintf("How many must be a whole number from 1 to %d.", maxBurst)
	}
	if !ask.fine() {
		s.sendBack(w, r, ask, http.StatusUnprocessableEntity)
		return
	}
	if why := s.launch(ask.form.Type, ask.fields, count); why != "" {
		ask.lost = why
		s.sendBack(w, r, ask, http.StatusConflict)
		return
	}
	s.done(w, r, "started", fmt.Sprintf("A burst of %d has begun.", count), ask.form.Type)
}

// launch starts a burst unless one runs, and says why not.
func (s *Server) launch(kind string, fields map[string]string, count int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.burst != nil && s.burst.running {
		return "a burst is running: stop it or wait for its end"
	}
	b := &burst{kind: kind, count: count, running: true}
	if !s.begin(func() { s.runBurst(s.life, b, fields) }) {
		return "the lab's page is closing"
	}
	b.n = 1
	if s.burst != nil {
		b.n = s.burst.n + 1
	}
	s.burst = b
	return ""
}

// runBurst keeps at most burstLanes submissions in the air until the burst is
// through or stopped; what is in the air then gets its answer.
func (s *Server) runBurst(ctx context.Context, b *burst, fields map[string]string) {
	var lanes sync.WaitGroup
	for range min(burstLanes, b.count) {
		lanes.Go(func() {
			for s.nextOf(ctx, b) {
				s.countIn(b, s.submit(ctx, b.kind, fields))
			}
		})
	}
	lanes.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	b.running = false
}

func (s *Server) nextOf(ctx context.Context, b *burst) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil || b.stopped != "" || b.begun == b.count {
		return false
	}
	b.begun++
	return true
}

func (s *Server) countIn(b *burst, e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.outcome() {
	case "accepted":
		b.accepted++
	case "refused":
		b.refused++
	default:
		b.unsure++
		b.unsureInARow++
		if b.unsureInARow >= burstGivesUp && b.stopped == "" {
			b.stopped = fmt.Sprintf("%d in a row were not answered: %s", burstGivesUp, e.unsure)
		}
		return
	}
	b.unsureInARow = 0
}

func (s *Server) stopBurst(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.burst != nil && s.burst.running && s.burst.stopped == "" {
		s.burst.stopped = "you stopped it"
	}
	s.mu.Unlock()
	s.done(w, r, "done", "The burst is being stopped; what is on its way gets its answer.", r.PostForm.Get("type"))
}

// done answers a POST that leaves no entry in the list.
func (s *Server) done(w http.ResponseWriter, r *http.Request, outcome, message, kind string) {
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, answer{Outcome: outcome, Message: message})
		return
	}
	http.Redirect(w, r, "/?type="+url.QueryEscape(kind), http.StatusSeeOther)
}
