package body

import (
	"bytes"
	"unicode/utf8"
)

// scanner reads JSON once, from left to right, and makes one row of each member.
type scanner struct {
	src  []byte
	at   int
	rows []row
	open []int32 // rows of the brackets that are open
}

// scan lays JSON out. Several values one after another (JSON lines) are laid out
// one after another. ok is false when it is no JSON, or a lone scalar, which reads
// better as text.
func scan(src []byte) (rows []row, ok bool) {
	if !utf8.Valid(src) {
		return nil, false
	}
	s := &scanner{src: src}
	s.space()
	if s.at == len(src) || src[s.at] != '{' && src[s.at] != '[' {
		return nil, false
	}
	// No more rows than commas and brackets: growing would copy megabytes.
	s.rows = make([]row, 0, bytes.Count(src, []byte{','})+2*bytes.Count(src, []byte{'{'})+2*bytes.Count(src, []byte{'['})+1)
	for s.at < len(src) {
		if !s.value(0, 0) {
			return nil, false
		}
		s.space()
	}
	return s.rows, true
}

func (s *scanner) space() {
	for s.at < len(s.src) {
		switch s.src[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) parent() int32 {
	if n := len(s.open); n > 0 {
		return s.open[n-1]
	}
	return -1
}

// value reads one value whose key, if any, stands at keyFrom to keyTo.
func (s *scanner) value(keyFrom, keyTo int) bool {
	if s.at >= len(s.src) || len(s.open) > maxDepth {
		return false
	}
	r := row{keyFrom: int32(keyFrom), keyTo: int32(keyTo), valueFrom: int32(s.at), parent: s.parent(), depth: int16(len(s.open))}
	ok := false
	switch c := s.src[s.at]; {
	case c == '{':
		return s.bracket(r, '}', s.member)
	case c == '[':
		return s.bracket(r, ']', func() bool { return s.value(0, 0) })
	case c == '"':
		r.look, ok = String, s.text()
	case c == '-' || c >= '0' && c <= '9':
		r.look, ok = Number, s.number()
	default:
		r.look, ok = Word, s.word()
	}
	r.valueTo = int32(s.at)
	s.rows = append(s.rows, r)
	return ok
}

// bracket reads an object or array up to its end.
func (s *scanner) bracket(r row, end byte, item func() bool) bool {
	r.look, r.valueTo = Mark, r.valueFrom+1
	s.at++
	s.space()
	if s.at < len(s.src) && s.src[s.at] == end { // empty: one line
		s.at++
		r.valueTo = int32(s.at)
		s.rows = append(s.rows, r)
		return true
	}
	opening := int32(len(s.rows))
	s.rows = append(s.rows, r)
	s.open = append(s.open, opening)
	for {
		if !item() {
			return false
		}
		s.rows[opening].items++
		s.space()
		if s.at >= len(s.src) {
			return false
		}
		if s.src[s.at] == end {
			break
		}
		if s.src[s.at] != ',' {
			return false
		}
		s.at++
		s.rows[len(s.rows)-1].comma = true
		s.space()
	}
	s.open = s.open[:len(s.open)-1]
	s.rows[opening].close = int32(len(s.rows))
	s.rows = append(s.rows, row{valueFrom: int32(s.at), valueTo: int32(s.at + 1), parent: s.parent(), depth: int16(len(s.open)), look: Mark})
	s.at++
	return true
}

func (s *scanner) member() bool {
	from := s.at
	if s.at >= len(s.src) || s.src[s.at] != '"' || !s.text() {
		return false
	}
	to := s.at
	s.space()
	if s.at >= len(s.src) || s.src[s.at] != ':' {
		return false
	}
	s.at++
	s.space()
	return s.value(from, to)
}

func (s *scanner) text() bool {
	for s.at++; s.at < len(s.src); s.at++ {
		switch c := s.src[s.at]; {
		case c == '"':
			s.at++
			return true
		case c == '\\':
			s.at++
			if s.at >= len(s.src) || !s.escape() {
				return false
			}
		case c < 0x20:
			return false
		}
	}
	return false
}

// escape reads the rest of an escape; at stands on its last byte afterwards.
func (s *scanner) escape() bool {
	switch s.src[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			s.at++
			if s.at >= len(s.src) || !isHex(s.src[s.at]) {
				return false
			}
		}
		return true
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *scanner) digits() int {
	from := s.at
	for s.at < len(s.src) && s.src[s.at] >= '0' && s.src[s.at] <= '9' {
		s.at++
	}
	return s.at - from
}

func (s *scanner) skip(set string) bool {
	if s.at < len(s.src) {
		for i := range len(set) {
			if s.src[s.at] == set[i] {
				s.at++
				return true
			}
		}
	}
	return false
}

func (s *scanner) number() bool {
	s.skip("-")
	zero := s.at < len(s.src) && s.src[s.at] == '0'
	n := s.digits()
	if n == 0 || zero && n > 1 {
		return false
	}
	if s.skip(".") && s.digits() == 0 {
		return false
	}
	if s.skip("eE") {
		s.skip("+-")
		return s.digits() > 0
	}
	return true
}

func (s *scanner) word() bool {
	for _, w := range []string{"true", "false", "null"} {
		if len(s.src)-s.at >= len(w) && string(s.src[s.at:s.at+len(w)]) == w {
			s.at += len(w)
			return true
		}
	}
	return false
}
