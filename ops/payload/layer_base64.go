package payload

import (
	"strconv"
	"unicode/utf8"

	"kxops/ops"
)

var base64Text = layer{
	name: "base64",
	says: "Bytes written as base64 text: a queue takes only text, so what is binary travels like this.",
	open: openBase64,
}

// minBase64 is the shortest text that is tried: anything shorter is too likely a word.
const minBase64 = 16

// openBase64 is careful, for words, ids and hexadecimal hashes are base64 by their
// letters. It wants a whole number of groups, and something inside that it knows.
func openBase64(in *input) (ops.Layer, bool) {
	inside, ok := decodeBase64(in.doc)
	if !ok {
		return ops.Layer{}, false
	}
	return ops.Layer{Facts: []ops.Fact{{Name: "Bytes inside", Value: strconv.Itoa(len(inside))}}, Body: inside}, true
}

func decodeBase64(text []byte) ([]byte, bool) {
	if len(text) < minBase64 || !inBase64[text[0]] || !inBase64[text[minBase64/2]] {
		return nil, false
	}
	plain := make([]byte, 0, len(text))
	padding := 0
	for _, c := range text {
		switch {
		case c == '\n' || c == '\r': // lines of MIME or PEM
		case c == '=':
			padding++
			plain = append(plain, c)
		case !inBase64[c] || padding > 0:
			return nil, false
		default:
			plain = append(plain, c)
		}
	}
	if padding > 2 || padding > 0 && len(plain)%4 != 0 || len(plain)%4 == 1 {
		return nil, false
	}
	inside, ok := fromBase64(plain)
	return inside, ok && recognisable(inside)
}

// recognisable reports whether decoded bytes are surely no accident.
func recognisable(b []byte) bool {
	if magicOf(b) != "" {
		return true
	}
	doc := trim(b)
	if len(doc) == 0 {
		return false
	}
	switch doc[0] {
	case '{', '[': // one document, or the first of several
		return skip(doc, 0) > 0
	case '"':
		return Valid(doc)
	case '<':
		return doc[len(doc)-1] == '>' && utf8.Valid(doc) && !control(doc)
	}
	if sentence(doc) {
		return true
	}
	_, again := decodeBase64(doc)
	return again
}

// sentence reports whether b is text of several words in printable characters. 18
// letters that were not meant as base64 decode to that once in 100,000 times at most.
func sentence(b []byte) bool {
	if len(b) < 18 || !utf8.Valid(b) || control(b) {
		return false
	}
	spaces := 0
	for _, c := range b {
		if c == ' ' {
			spaces++
		}
	}
	return spaces >= 2
}

var inBase64 = func() (t [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_" {
		t[c] = true
	}
	return t
}()
