package web

import (
	"context"
	"net/http"
	"time"
)

// lookEvery is the least time between two beginnings of a look, however many
// tabs ask.
const lookEvery = time.Second

// look is the state of asking the lab where events are.
type look struct {
	begun   time.Time
	running bool
	problem string // why the last one does not know, "" when it does
}

// glance starts a look when one is due. It does not wait: the answer stands in
// the list that is asked for next.
func (s *Server) glance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.look.running || now.Sub(s.look.begun) < lookEvery {
		return
	}
	ids := s.book.open(s.steps, now)
	if len(ids) == 0 {
		s.look.problem = ""
		return
	}
	s.look.begun = now
	s.look.running = s.begin(func() { s.trace(s.life, ids) })
}

func (s *Server) trace(ctx context.Context, ids []string) {
	ctx, cancel := context.WithTimeout(ctx, traceDeadline)
	defer cancel()
	seen, err := s.lab.Trace(ctx, ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look.running = false
	s.book.learn(ids, seen, err == nil)
	s.look.problem = ""
	if err != nil {
		s.look.problem = plain(err.Error())
	}
}

// lookAgain reopens what is not asked about any more: a dead letter that was
// redriven, an archive that came late.
func (s *Server) lookAgain(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	for i := range s.book.events {
		s.book.events[i].again = true
	}
	s.mu.Unlock()
	s.glance()
	s.done(w, r, "done", "Looking at every event of the list once more.", r.PostForm.Get("type"))
}
