package body

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

const (
	// chunk is the longest line of text; a longer one is broken, and nothing is left out.
	chunk = 1 << 10
	// hexRow is how many bytes a line of a hex dump has.
	hexRow = 16
)

// Raw shows the bytes as they are: text line by line, anything else in hex.
func Raw(b []byte) *Doc {
	d := &Doc{src: b, folded: map[int32]bool{}, current: -1}
	if Text(b) {
		d.rows = textRows(b)
	} else {
		d.hex = true
		for at := 0; at < len(b); at += hexRow {
			d.rows = append(d.rows, row{valueFrom: int32(at), valueTo: int32(min(at+hexRow, len(b))), parent: -1})
		}
	}
	d.reveal()
	return d
}

// Text reports whether bytes can be read: UTF-8 without control characters other
// than tab, line feed and carriage return.
func Text(b []byte) bool {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if c < 0x20 && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return false
		}
		i += n
	}
	return true
}

func textRows(b []byte) []row {
	var rows []row
	for at := 0; at < len(b); {
		end, next := len(b), len(b)
		if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
			end, next = at+i, at+i+1
		}
		if end-at > chunk {
			end = at + chunk
			for end > at && !utf8.RuneStart(b[end]) {
				end--
			}
			next = end
		}
		rows = append(rows, row{valueFrom: int32(at), valueTo: int32(end), parent: -1})
		at = next
	}
	return rows
}

// hexLine writes one row of a dump: offset, bytes, what of them is ASCII.
func hexLine(src []byte, from, to int) []Span {
	var hex, ascii []byte
	for i := from; i < from+hexRow; i++ {
		if i == from+hexRow/2 {
			hex = append(hex, ' ')
		}
		if i >= to {
			hex = append(hex, "   "...)
			continue
		}
		hex = fmt.Appendf(hex, "%02x ", src[i])
		if c := src[i]; c >= 0x20 && c < 0x7f {
			ascii = append(ascii, c)
		} else {
			ascii = append(ascii, '.')
		}
	}
	return []Span{{fmt.Sprintf("%08x  ", from), Note}, {string(hex), Plain}, {" " + string(ascii), String}}
}
