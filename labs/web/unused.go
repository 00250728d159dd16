package web

import (
	"net"
	"net/http"
	"sync"
)

// unused knows the connections that never carried a request: a browser opens
// some ahead of need. http.Server.Shutdown waits five seconds for each, as if
// somebody were about to speak on it.
type unused struct {
	mu    sync.Mutex
	over  bool
	conns map[net.Conn]struct{}
}

// changed is the server's ConnState.
func (u *unused) changed(c net.Conn, to http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case to != http.StateNew:
		delete(u.conns, c)
	case u.over:
		_ = c.Close() // no request was taken on it, so nothing is lost
	default:
		u.conns[c] = struct{}{}
	}
}

// close hangs up on those there are and on those still to come.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
	for c := range u.conns {
		_ = c.Close() // no request was taken on it, so nothing is lost
	}
}
