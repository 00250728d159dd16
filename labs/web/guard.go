package web

import (
	"crypto/subtle"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxBody bounds what a POST may carry, in bytes: a form of a lab is a few hundred.
const maxBody = 64 << 10

// protect sets what every answer carries, errors included. The referrer stays
// same-origin and not none: with none, browsers send "Origin: null" on a plain
// form POST, and the page would refuse itself.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// stranger says why a request is none of ours, or "". A foreign Host is how DNS
// rebinding looks: the name is theirs, the address is this machine.
func stranger(r *http.Request) string {
	if !localName(r.Host) {
		return "this page answers only to localhost or a loopback address, not to another Host"
	}
	if origins := r.Header.Values("Origin"); len(origins) > 1 || len(origins) == 1 && origins[0] != "http://"+r.Host {
		return "this page answers only to itself: the Origin is another page"
	}
	return ""
}

func localName(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && address.Unmap().IsLoopback()
}

// guarded lets a POST through that is small, a form, and brings the page's token.
func (s *Server) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "application/x-www-form-urlencoded" {
			refuse(w, r, http.StatusUnsupportedMediaType, "a form is expected: application/x-www-form-urlencoded")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		var tooLarge *http.MaxBytesError
		switch err := r.ParseForm(); {
		case errors.As(err, &tooLarge):
			refuse(w, r, http.StatusRequestEntityTooLarge, "the form is larger than 64 KiB")
			return
		case err != nil:
			refuse(w, r, http.StatusBadRequest, "the form cannot be read")
			return
		}
		if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("token")), []byte(s.token)) != 1 {
			refuse(w, r, http.StatusForbidden, "this page is older than the lab that runs: load it again, then send again")
			return
		}
		next(w, r)
	}
}

// refuse says one sentence in the form the asker reads.
func refuse(w http.ResponseWriter, r *http.Request, status int, sentence string) {
	if wantsJSON(r) {
		writeJSON(w, status, answer{Outcome: "wrong", Message: sentence})
		return
	}
	http.Error(w, sentence, status)
}

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}
