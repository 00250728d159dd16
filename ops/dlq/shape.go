package dlq

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"unicode/utf8"
)

// The shape of a body is the set of its fields: path and kind of value, arrays
// collapsed ("items[].sku string"). A body that lacks a field has another shape; so
// has one whose total is a string. Values never count, and keys that look like ids
// count as one: {"A-1001":…} and {"A-1002":…} are the same map.

const (
	maxShapeDepth  = 6   // deeper fields do not count
	maxShapeFields = 200 // more fields than that: only the first two levels count
)

// shaper walks a JSON text once. It does not build values: 100,000 bodies are walked
// while somebody waits.
type shaper struct {
	text  []byte
	at    int
	path  []byte
	depth int // paths deeper than this are not seen
	see   func(path []byte, kind string)
	// object is the key of S3 notifications, whose prefix tells uploads apart.
	object string
}

// fieldsOf lists the fields of a JSON text, sorted; nil when it is not JSON.
func fieldsOf(text []byte) (fields []string, object string) {
	fields, object, ok := fieldsTo(text, maxShapeDepth)
	if ok && len(fields) > maxShapeFields {
		fields, object, ok = fieldsTo(text, 2)
	}
	if !ok {
		return nil, ""
	}
	return fields, object
}

func fieldsTo(text []byte, depth int) ([]string, string, bool) {
	seen := map[string]bool{}
	s := shaper{text: text, depth: depth, see: func(path []byte, kind string) {
		if len(seen) <= 20*maxShapeFields {
			seen[string(path)+" "+kind] = true
		}
	}}
	if !s.whole() {
		return nil, "", false
	}
	fields := make([]string, 0, len(seen))
	for f := range seen {
		fields = append(fields, f)
	}
	slices.Sort(fields)
	return fields, s.object, true
}

var shapeSeed = maphash.MakeSeed()

// sumOf is equal for texts with the same fields, in this process. It costs no memory per field.
func sumOf(text []byte) (sum uint64, object string, ok bool) {
	sum, n, object, ok := sumTo(text, maxShapeDepth)
	if ok && n > maxShapeFields {
		sum, _, object, ok = sumTo(text, 2)
	}
	return sum, object, ok
}

func sumTo(text []byte, depth int) (sum uint64, n int, object string, ok bool) {
	var room [64]uint64
	sums := room[:0]
	var line [256]byte
	s := shaper{text: text, depth: depth, see: func(path []byte, kind string) {
		if len(sums) > 50_000 {
			return
		}
		sums = append(sums, maphash.Bytes(shapeSeed, append(append(append(line[:0], path...), ' '), kind...)))
	}}
	if !s.whole() {
		return 0, 0, "", false
	}
	slices.Sort(sums)
	sums = slices.Compact(sums)
	for _, x := range sums {
		sum = sum*1099511628211 ^ x
	}
	return sum, len(sums), s.object, true
}

// whole walks the text; false when it is not one JSON value.
func (s *shaper) whole() bool {
	s.space()
	if s.at >= len(s.text) || !s.value(0) {
		return false
	}
	s.space()
	return s.at == len(s.text)
}

func (s *shaper) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *shaper) note(depth int, kind string) {
	if depth > 0 && depth <= s.depth {
		s.see(s.path, kind)
	}
}

func (s *shaper) value(depth int) bool {
	if s.at >= len(s.text) || depth > 10_000 {
		return false
	}
	switch c := s.text[s.at]; {
	case c == '{':
		return s.objectValue(depth)
	case c == '[':
		return s.array(depth)
	case c == '"':
		text, ok := s.str()
		if ok {
			s.note(depth, "string")
			if s.object == "" && bytes.HasSuffix(s.path, []byte("Records[].s3.object.key")) {
				s.object = string(text)
			}
		}
		return ok
	case c == '-' || c >= '0' && c <= '9':
		s.note(depth, "number")
		return s.number()
	case s.literal("true") || s.literal("false"):
		s.note(depth, "bool")
		return true
	case s.literal("null"):
		s.note(depth, "null")
		return true
	}
	return false
}

func (s *shaper) objectValue(depth int) bool {
	s.note(depth, "object")
	s.at++
	before := len(s.path)
	defer func() { s.path = s.path[:before] }()
	for n := 0; ; n++ {
		s.space()
		if s.at < len(s.text) && s.text[s.at] == '}' && n == 0 {
			s.at++
			return true
		}
		key, ok := s.str()
		if !ok {
			return false
		}
		s.space()
		if s.at >= len(s.text) || s.text[s.at] != ':' {
			return false
		}
		s.at++
		s.space()
		if before > 0 {
			s.path = append(s.path, '.')
		}
		if idLike(key) {
			s.path = append(s.path, '*')
		} else {
			s.path = append(s.path, key...)
		}
		if !s.value(depth + 1) {
			return false
		}
		s.path = s.path[:before]
		s.space()
		if s.at >= len(s.text) {
			return false
		}
		s.at++
		switch s.text[s.at-1] {
		case ',':
		case '}':
			return true
		default:
			return false
		}
	}
}

func (s *shaper) array(depth int) bool {
	s.note(depth, "array")
	s.at++
	before := len(s.path)
	defer func() { s.path = s.path[:before] }()
	s.path = append(s.path, "[]"...)
	for n := 0; ; n++ {
		s.space()
		if s.at < len(s.text) && s.text[s.at] == ']' && n == 0 {
			s.at++
			return true
		}
		if !s.value(depth + 1) {
			return false
		}
		s.space()
		if s.at >= len(s.text) {
			return false
		}
		s.at++
		switch s.text[s.at-1] {
		case ',':
		case ']':
			return true
		default:
			return false
		}
	}
}

// str reads a string and returns what is between the quotes, escapes as they are.
func (s *shaper) str() ([]byte, bool) {
	if s.at >= len(s.text) || s.text[s.at] != '"' {
		return nil, false
	}
	start := s.at + 1
	for i := start; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case '"':
			s.at = i + 1
			return s.text[start:i], true
		}
	}
	return nil, false
}

func (s *shaper) number() bool {
	start := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			s.at++
		default:
			return s.at > start
		}
	}
	return true
}

func (s *shaper) literal(word string) bool {
	if len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

// idLike reports whether an object's key is data: "A-1001", a UUID, a date, "42",
// an address. Field names hold a digit or two at most ("line2", "sha256", "x509").
func idLike(key []byte) bool {
	digits, hexes := 0, 0
	for _, c := range key {
		switch {
		case c >= '0' && c <= '9':
			digits++
			hexes++
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			hexes++
		case c == '@':
			return true
		}
	}
	switch {
	case digits == 0:
		return len(key) > 40
	case digits == len(key), digits >= 4:
		return true
	case hexes == len(key) && len(key) >= 6:
		return true
	case digits >= 2 && bytes.ContainsAny(key, "-:/"):
		return true
	}
	return false
}

// textShape is what is told apart in bodies that are not JSON, and a word for it.
func textShape(text []byte) (shape, word string) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return "empty", "empty body"
	case !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0:
		return "binary", "binary"
	case text[0] == '{' || text[0] == '[':
		return "broken JSON", "broken JSON"
	case text[0] == '<':
		if root := xmlRoot(text); root != "" {
			return "XML " + root, "XML " + root
		}
	}
	line, _, _ := strings.Cut(string(text[:min(len(text), 400)]), "\n")
	if keys := logfmtKeys(line); keys != "" {
		return "keys " + keys, "text " + keys
	}
	for _, sep := range []string{"\t", "|", ";", ","} {
		if n := strings.Count(line, sep); n >= 3 {
			return "columns " + sep + strings.Repeat("_", n), "text in columns"
		}
	}
	words := strings.Fields(mask(line))
	start := strings.Join(words[:min(len(words), 3)], " ")
	return "text " + start, "text: " + start
}

func xmlRoot(text []byte) string {
	for _, piece := range bytes.Split(text[:min(len(text), 1000)], []byte("<"))[1:] {
		if len(piece) == 0 || piece[0] == '?' || piece[0] == '!' {
			continue
		}
		if end := bytes.IndexAny(piece, " \t\r\n/>"); end > 0 {
			return string(piece[:end])
		}
	}
	return ""
}

// logfmtKeys lists the keys of "level=error order=12", "" when the line is not such.
func logfmtKeys(line string) string {
	words, keys := strings.Fields(line), []string{}
	for _, w := range words {
		if k, _, ok := strings.Cut(w, "="); ok && k != "" && !strings.ContainsAny(k, "?&/:\"") {
			keys = append(keys, k)
		}
	}
	if len(keys) < 2 || 2*len(keys) < len(words) {
		return ""
	}
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), " ")
}
