package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	submitDeadline   = 30 * time.Second
	traceDeadline    = 10 * time.Second
	shutdownDeadline = 5 * time.Second
)

// Server is the page of one lab. It is an http.Handler; Close ends what it
// started.
type Server struct {
	lab   Lab
	forms []Form
	steps []Step
	token string // what a POST must bring: only who can read the page has it
	now   func() time.Time
	mux   *http.ServeMux

	life context.Context // ends with Close; every call to the lab hangs on it
	end  context.CancelFunc
	work sync.WaitGroup // bursts and looks under way

	mu     sync.Mutex // guards what follows
	closed bool
	book   ledger
	burst  *burst // the last one, running or over; nil before the first
	look   look
}

// New makes the page of a lab.
func New(lab Lab) *Server {
	life, end := context.WithCancel(context.Background())
	s := &Server{lab: lab, forms: lab.Forms(), steps: lab.Steps(), token: rand.Text(), now: time.Now, life: life, end: end}
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /{$}", s.showPage)
	s.mux.HandleFunc("GET /page.css", embedded(pageCSS, "text/css; charset=utf-8"))
	s.mux.HandleFunc("GET /page.js", embedded(pageJS, "text/javascript; charset=utf-8"))
	s.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.mux.HandleFunc("GET /events", s.showEvents)
	s.mux.HandleFunc("POST /submit", s.guarded(s.submitOne))
	s.mux.HandleFunc("POST /burst", s.guarded(s.startBurst))
	s.mux.HandleFunc("POST /burst/stop", s.guarded(s.stopBurst))
	s.mux.HandleFunc("POST /again", s.guarded(s.lookAgain))
	return s
}

// ServeHTTP answers only this machine and only pages of its own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if why := stranger(r); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Close stops the burst and the look under way and waits for them. What was
// being submitted is cut off, so whether it arrived is not known.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.work.Wait()
}

// begin runs work that Close waits for. The caller holds mu; false means that
// the server is closed.
func (s *Server) begin(work func()) bool {
	if s.closed {
		return false
	}
	s.work.Go(work)
	return true
}

// Serve shows a lab on a loopback listener until ctx ends, which is no error.
// It closes the listener.
func Serve(ctx context.Context, l net.Listener, lab Lab) error {
	if !onLoopback(l.Addr()) {
		return errors.Join(fmt.Errorf("serve the lab's page: %s is not a loopback address", l.Addr()), l.Close())
	}
	s := New(lab)
	defer s.Close()
	silent := unused{conns: map[net.Conn]struct{}{}}
	server := &http.Server{
		Handler:           s,
		ConnState:         silent.changed,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      submitDeadline + 10*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	over := make(chan error, 1)
	go func() { over <- server.Serve(l) }()
	select {
	case err := <-over:
		return fmt.Errorf("serve the lab's page: %w", err)
	case <-ctx.Done():
	}
	s.Close()
	silent.close()
	brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownDeadline)
	defer cancel()
	if err := server.Shutdown(brief); err != nil {
		err = errors.Join(fmt.Errorf("end the lab's page: %w", err), server.Close())
		<-over
		return err
	}
	<-over
	return nil
}

func onLoopback(a net.Addr) bool {
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}
