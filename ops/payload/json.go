package payload

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// This file reads JSON where it lies: it finds values and gives their bytes, and
// never builds maps, floats or strings of them. So numbers beyond float64,
// doubled keys and odd spacing stay as they came, and a message costs
// microseconds. It knows nothing of messages; others may use it.

// Field is the value at a path of member names, as the bytes that stand in the
// document (a string with its quotes). In an array a name is an index: "0".
// Of doubled keys the last counts, as it does for nearly all parsers. False
// when it is not there or the document breaks before it is certain.
func Field(json []byte, path ...string) (raw []byte, ok bool) {
	raw = trim(json)
	for _, name := range path {
		if raw, ok = step(raw, name); !ok {
			return nil, false
		}
	}
	if len(path) == 0 {
		return raw, len(raw) > 0
	}
	return raw, true
}

// Text is the string at a path, unquoted; "" when there is none or it is no string.
func Text(json []byte, path ...string) string {
	raw, ok := Field(json, path...)
	if !ok {
		return ""
	}
	s, ok := Unquote(raw)
	if !ok {
		return ""
	}
	return string(s)
}

// Valid reports whether b is one JSON value and nothing else. Bytes that are not
// UTF-8 are taken inside strings, as most parsers do.
func Valid(b []byte) bool {
	end := skip(b, 0)
	return end >= 0 && space(b, end) == len(b)
}

func step(raw []byte, name string) (found []byte, ok bool) {
	if len(raw) == 0 {
		return nil, false
	}
	whole := true
	switch raw[0] {
	case '{':
		o := scanObject(raw)
		for o.next() {
			if keyIs(o.key, name) {
				found, ok = o.value, true
			}
		}
		whole = o.end >= 0
	case '[':
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 {
			return nil, false
		}
		EachElement(raw, func(i int, value []byte) bool {
			if i == n {
				found, ok = value, true
			}
			return !ok
		})
	}
	return found, ok && whole
}

// EachMember calls f with each member of an object, in their order: the key
// without its quotes but otherwise as it is written, and the value's bytes. It
// stops when f says false. It answers false when the bytes are not an object or
// break before their end; what came before was given to f.
func EachMember(object []byte, f func(key, value []byte) bool) bool {
	o := scanObject(object)
	for o.next() {
		if !f(o.key, o.value) {
			return true
		}
	}
	return o.end >= 0
}

// objectScan stands on one member of an object after the other.
type objectScan struct {
	b          []byte
	at         int // where the next member starts
	key, value []byte
	end        int // where the object ended; -1 as long as it did not
}

func scanObject(b []byte) objectScan {
	o := objectScan{b: b, end: -1}
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		o.at = len(b)
		return o
	}
	if o.at = space(b, i+1); o.at < len(b) && b[o.at] == '}' {
		o.end = o.at + 1
	}
	return o
}

// next goes to the next member. It is false after the last one, and where the
// object breaks.
func (o *objectScan) next() bool {
	if o.end >= 0 {
		return false
	}
	b, k := o.b, o.at
	i := key(b, k)
	if i < 0 {
		return false
	}
	// Between key and colon there is hardly ever a space.
	e := i - 2
	for b[e] != '"' {
		e--
	}
	v := space(b, i)
	if i = skip(b, v); i < 0 {
		o.at = len(b)
		return false
	}
	o.key, o.value = b[k+1:e], b[v:i]
	i = space(b, i)
	switch {
	case i >= len(b):
		o.at = i
	case b[i] == '}':
		o.at, o.end = i, i+1
	case b[i] == ',':
		o.at = space(b, i+1)
	default:
		o.at = len(b)
	}
	return true
}

// EachElement calls f with each element of an array, as EachMember does.
func EachElement(array []byte, f func(i int, value []byte) bool) bool {
	i := space(array, 0)
	if i >= len(array) || array[i] != '[' {
		return false
	}
	i = space(array, i+1)
	if i < len(array) && array[i] == ']' {
		return true
	}
	for n := 0; ; n++ {
		v := space(array, i)
		if i = skip(array, v); i < 0 {
			return false
		}
		if !f(n, array[v:i]) {
			return true
		}
		i = space(array, i)
		switch {
		case i >= len(array):
			return false
		case array[i] == ']':
			return true
		case array[i] != ',':
			return false
		}
		i++
	}
}

// Walk calls f with each leaf of a document, in its order: the scalars, and
// objects and arrays that are empty. The path is written as items[].sku, keys as
// they stand in the document; it and the value are only good during the call, so
// keep string(path). The root's path is empty. It answers false when the
// document breaks; the leaves before were given to f. Values nested deeper than
// 64 are given as one leaf, and paths are cut near 1,024 bytes: none is worth more.
func Walk(json []byte, f func(path, raw []byte)) bool {
	w := walker{f: f, path: make([]byte, 0, 96)}
	end := w.value(json, space(json, 0), 0)
	return end >= 0 && space(json, end) == len(json)
}

const (
	maxWalk = 64
	maxPath = 1024
)

type walker struct {
	f    func(path, raw []byte)
	path []byte
}

// value walks the value at i and answers where it ends, -1 when it breaks.
func (w *walker) value(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	open := b[i]
	if open != '{' && open != '[' || depth == maxWalk {
		return w.leaf(b, i)
	}
	first := space(b, i+1)
	if first < len(b) && b[first] == open+2 { // } and ] stand two after { and [
		return w.leaf(b, i)
	}
	base := len(w.path)
	for i = first; ; {
		w.path = w.path[:base]
		if open == '{' {
			k := space(b, i)
			if i = key(b, k); i < 0 {
				return -1
			}
			w.enter(b[k+1 : skipString(b, k)-1])
		} else {
			w.path = append(w.path, '[', ']')
		}
		if i = w.value(b, space(b, i), depth+1); i < 0 {
			return -1
		}
		i = space(b, i)
		switch {
		case i >= len(b):
			return -1
		case b[i] == open+2:
			w.path = w.path[:base]
			return i + 1
		case b[i] != ',':
			return -1
		}
		i++
	}
}

// enter adds a key to the path, cut where the path would be longer than anybody
// reads: keys of a megabyte must not make each leaf below them cost a megabyte.
func (w *walker) enter(key []byte) {
	if len(w.path) > 0 {
		w.path = append(w.path, '.')
	}
	w.path = append(w.path, key[:min(len(key), max(0, maxPath-len(w.path)))]...)
}

func (w *walker) leaf(b []byte, i int) int {
	end := skip(b, i)
	if end >= 0 {
		w.f(w.path, b[i:end])
	}
	return end
}

// Unquote is the text of a JSON string given with its quotes. Without escapes it
// is the bytes between the quotes themselves, not a copy. Half a surrogate pair
// has no bytes in UTF-8 and becomes U+FFFD.
func Unquote(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' || skipString(raw, 0) != len(raw) {
		return nil, false
	}
	return unquote(raw), true
}

// unquote is Unquote for a string that was read already.
func unquote(raw []byte) []byte {
	in := raw[1 : len(raw)-1]
	i := bytes.IndexByte(in, '\\')
	if i < 0 {
		return in
	}
	out := make([]byte, len(in)) // an escape is never shorter than what it means
	n := copy(out, in[:i])
	for i < len(in) {
		c := in[i]
		if c != '\\' {
			out[n] = c
			n++
			i++
			continue
		}
		if plain := escaped[in[i+1]]; plain != 0 {
			out[n] = plain
			n++
			i += 2
			continue
		}
		r, size := surrogates(in[i:])
		n += utf8.EncodeRune(out[n:], r)
		i += size
	}
	return out[:n]
}

// escaped is what a letter means after a backslash, 0 for u.
var escaped = [256]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '/': '/'}

// surrogates reads \uXXXX, or two of them that are one character, and says how
// long that is.
func surrogates(b []byte) (rune, int) {
	r := hex4(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(b[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		r = r<<4 | rune(hexDigit[c]-1)
	}
	return r
}

// hexDigit is a digit's value and one, 0 for what is no digit.
var hexDigit = func() (t [256]uint8) {
	for i, c := range "0123456789abcdef" {
		t[c] = uint8(i + 1)
	}
	for i, c := range "ABCDEF" {
		t[c] = uint8(i + 11)
	}
	return t
}()

// keyIs compares a key as it is written with a name.
func keyIs(key []byte, name string) bool {
	if len(key) == len(name) {
		return string(key) == name
	}
	if len(key) < len(name) || len(name) == 0 || key[0] != name[0] && key[0] != '\\' || bytes.IndexByte(key, '\\') < 0 {
		return false
	}
	quoted := append(append(append(make([]byte, 0, len(key)+2), '"'), key...), '"')
	plain, ok := Unquote(quoted)
	return ok && string(plain) == name
}

func space(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func trim(b []byte) []byte {
	b = b[space(b, 0):]
	for n := len(b); n > 0; n = len(b) {
		if c := b[n-1]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			break
		}
		b = b[:n-1]
	}
	return b
}

// skip answers where the value at i ends, -1 when there is none. It keeps its own
// stack, one bit for an open bracket: a megabyte of brackets is not a megabyte of
// calls.
func skip(b []byte, i int) int {
	var (
		objects uint64   // the innermost bracket is the lowest bit: 1 for an object
		deep    []uint64 // the brackets outside those 64
		depth   int
	)
next:
	for {
		i = space(b, i)
		if i >= len(b) {
			return -1
		}
		switch c := b[i]; c {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			i = space(b, i+1)
			if i < len(b) && b[i] == c+2 {
				i++
				break
			}
			if depth++; depth > 64 && depth%64 == 1 {
				deep = append(deep, objects)
			}
			objects <<= 1
			if c == '{' {
				objects |= 1
				if i = key(b, i); i < 0 {
					return -1
				}
			}
			continue
		case 't':
			i = skipWord(b, i, "true")
		case 'f':
			i = skipWord(b, i, "false")
		case 'n':
			i = skipWord(b, i, "null")
		default:
			i = skipNumber(b, i)
		}
		if i < 0 {
			return -1
		}
		for depth > 0 { // over the brackets that end here, to the next value
			i = space(b, i)
			if i >= len(b) {
				return -1
			}
			switch c := b[i]; {
			case c == ',' && objects&1 == 1:
				if i = key(b, space(b, i+1)); i < 0 {
					return -1
				}
				continue next
			case c == ',':
				i++
				continue next
			case c == '}' && objects&1 == 1, c == ']' && objects&1 == 0:
				i++
				objects >>= 1
				if depth > 64 && depth%64 == 1 {
					objects, deep = deep[len(deep)-1], deep[:len(deep)-1]
				}
				depth--
			default:
				return -1
			}
		}
		return i
	}
}

// key goes over a key and its colon.
func key(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = skipString(b, i); i < 0 {
		return -1
	}
	i = space(b, i)
	if i >= len(b) || b[i] != ':' {
		return -1
	}
	return i + 1
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// marks has the high bit of each byte that ends a run of plain text: a quote, a
// backslash, a control character. Only the lowest mark is certain. In each term a
// byte below 0x80 borrows, and so gets its high bit, when it is one of these only.
func marks(w uint64) uint64 {
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((quote - ones) | (slash - ones) | (w - ones*0x20)) &^ w & highs
}

func skipString(b []byte, i int) int {
	i++
	for {
		for i+8 <= len(b) {
			if m := marks(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < 0x20:
			return -1
		case c != '\\':
			i++
		case i+1 >= len(b):
			return -1
		case b[i+1] == 'u':
			if i+6 > len(b) || hexDigit[b[i+2]] == 0 || hexDigit[b[i+3]] == 0 || hexDigit[b[i+4]] == 0 || hexDigit[b[i+5]] == 0 {
				return -1
			}
			i += 6
		default:
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			default:
				return -1
			}
		}
	}
}

func skipWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func skipNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return -1
	case b[i] == '0':
		i++
	default:
		if i = digits(b, i); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

func digits(b []byte, i int) int {
	from := i
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
