// Package body turns the bytes of a message into lines that can be read: JSON is
// laid out and can be folded, text stays text, anything else is shown in hex. It
// knows nothing of AWS or of a terminal.
//
// Nothing is written anew: every piece of a laid-out line is a piece of the bytes
// as they came, so a number of thirty digits keeps them all. Raw shows the bytes
// themselves. What is returned may hold control characters; whoever draws it cleans it.
//
// Read body.go, then scan.go (the tokeniser), then raw.go.
package body

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Look says what a piece of a line is, so that it can be coloured.
type Look uint8

const (
	Plain  Look = iota
	Key         // the name of a member
	String      // a text value, with its quotes
	Number      // a number, as it was written
	Word        // true, false, null
	Mark        // brackets, colons, commas
	Note        // what this package says itself: how much is folded away or left out
	Found       // what the search found
)

// Span is a piece of a line in one look.
type Span struct {
	Text string
	Look Look
}

// Line is one visible line.
type Line struct {
	Indent int // levels
	Spans  []Span
	Folds  bool // can be folded or unfolded
	Folded bool
}

const (
	// MaxValue is how much of one value a laid-out line shows, in bytes.
	MaxValue = 2 << 10
	// maxDepth bounds the nesting that is laid out; what is deeper is shown as text.
	maxDepth = 2000
)

// Doc is a body laid out. It is not safe for concurrent use.
type Doc struct {
	src     []byte
	rows    []row
	shown   []int32 // rows that no fold hides
	json    bool
	hex     bool
	folded  map[int32]bool
	needle  string
	hits    []int32 // rows that hold the needle
	isHit   map[int32]bool
	current int // index into hits, -1 for none
}

// row is a line before folds. Offsets are into src.
type row struct {
	keyFrom, keyTo     int32 // with quotes; equal: no key
	valueFrom, valueTo int32 // a scalar, a line of text, or a bracket
	close              int32 // row of the closing bracket, 0 for none
	parent             int32 // row of the bracket around it, -1 for none
	items              int32 // members of an opening bracket
	depth              int16
	look               Look
	comma              bool
}

// New lays a body out: as JSON when it is JSON, else as Raw does.
func New(b []byte) *Doc {
	d := &Doc{src: b, folded: map[int32]bool{}, current: -1}
	if rows, ok := scan(b); ok {
		d.rows, d.json = rows, true
		d.reveal()
		return d
	}
	return Raw(b)
}

// closing reports whether the row is the closing bracket of an earlier one.
func (r *row) closing() bool { return r.look == Mark && r.close == 0 && r.valueTo-r.valueFrom == 1 }

// JSON reports whether the body was laid out as JSON.
func (d *Doc) JSON() bool { return d.json }

// Binary reports whether the lines are a hex dump.
func (d *Doc) Binary() bool { return d.hex }

// Bytes is the length of the body.
func (d *Doc) Bytes() int { return len(d.src) }

// Len is how many lines are visible.
func (d *Doc) Len() int { return len(d.shown) }

// Line returns a visible line. A line beyond the end is empty.
func (d *Doc) Line(i int) Line {
	if i < 0 || i >= len(d.shown) {
		return Line{}
	}
	at := d.shown[i]
	r := &d.rows[at]
	l := Line{Indent: int(r.depth), Folds: r.close > at, Folded: d.folded[at]}
	if d.hex {
		l.Spans = hexLine(d.src, int(r.valueFrom), int(r.valueTo))
	} else {
		l.Spans = d.spans(r, l.Folded)
	}
	if d.needle != "" && d.isHit[at] {
		l.Spans = highlight(l.Spans, d.needle)
	}
	return l
}

func (d *Doc) spans(r *row, folded bool) []Span {
	var out []Span
	if r.keyTo > r.keyFrom {
		out = append(out, Span{bounded(d.src[r.keyFrom:r.keyTo]), Key}, Span{": ", Mark})
	}
	value := d.src[r.valueFrom:r.valueTo]
	out = append(out, Span{bounded(value), r.look})
	if len(value) > MaxValue {
		out = append(out, Span{" … " + number(len(value)-MaxValue) + " more bytes, raw shows them", Note})
	}
	if folded {
		last := &d.rows[r.close]
		out = append(out, Span{" " + number(int(r.items)) + " ", Note}, Span{string(d.src[last.valueFrom:last.valueTo]), Mark})
		if last.comma {
			out = append(out, Span{",", Mark})
		}
		return out
	}
	if r.comma {
		out = append(out, Span{",", Mark})
	}
	return out
}

// bounded cuts a long piece at a character.
func bounded(b []byte) string {
	if len(b) <= MaxValue {
		return string(b)
	}
	n := MaxValue
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return string(b[:n])
}

// Path names the place of a visible line: "Records[0].s3.object.key", "" at the
// top or where the body is no JSON.
func (d *Doc) Path(i int) string {
	if !d.json || i < 0 || i >= len(d.shown) {
		return ""
	}
	var parts []string
	for at := d.shown[i]; at >= 0; at = d.rows[at].parent {
		r := &d.rows[at]
		switch {
		case r.keyTo > r.keyFrom:
			parts = append(parts, "."+strings.Trim(string(d.src[r.keyFrom:r.keyTo]), `"`))
		case r.parent >= 0 && d.src[d.rows[r.parent].valueFrom] == '[' && !r.closing():
			parts = append(parts, "["+number(d.place(at))+"]")
		}
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
	}
	return strings.TrimPrefix(b.String(), ".")
}

// place is the index of a row among the members of its array.
func (d *Doc) place(at int32) int {
	n := 0
	for i := d.rows[at].parent + 1; i < at; {
		n++
		if d.rows[i].close > i {
			i = d.rows[i].close
		}
		i++
	}
	return n
}

// Toggle folds or unfolds a visible line; where it cannot be folded, the bracket
// around it. It returns the visible line that the cursor belongs to then.
func (d *Doc) Toggle(i int) int {
	if i < 0 || i >= len(d.shown) {
		return i
	}
	at := d.shown[i]
	if d.rows[at].close <= at {
		if at = d.rows[at].parent; at < 0 {
			return i
		}
	}
	if d.folded[at] {
		delete(d.folded, at)
	} else {
		d.folded[at] = true
	}
	d.reveal()
	return d.visible(at)
}

// FoldAll folds every bracket below a depth (0: the outermost too); a second call
// with the same depth when all are folded unfolds everything.
func (d *Doc) FoldAll(depth int) {
	all := map[int32]bool{}
	for i := range d.rows {
		if int(d.rows[i].depth) >= depth && d.rows[i].close > int32(i) {
			all[int32(i)] = true
		}
	}
	if len(all) == len(d.folded) {
		all = map[int32]bool{}
	}
	d.folded = all
	d.reveal()
}

// reveal lists the rows that no fold hides.
func (d *Doc) reveal() {
	d.shown = d.shown[:0]
	if cap(d.shown) < len(d.rows) {
		d.shown = make([]int32, 0, len(d.rows))
	}
	for i := int32(0); i < int32(len(d.rows)); i++ {
		d.shown = append(d.shown, i)
		if d.folded[i] {
			i = d.rows[i].close
		}
	}
}

// visible finds the visible line of a row, or of the fold that hides it.
func (d *Doc) visible(at int32) int {
	low, high := 0, len(d.shown)
	for low < high {
		if mid := (low + high) / 2; d.shown[mid] <= at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return max(low-1, 0)
}

// Search finds text, whatever its case, in every line, folded or not. It returns
// how many lines hold it; "" ends the search.
func (d *Doc) Search(needle string) int {
	d.needle, d.hits, d.isHit, d.current = strings.ToLower(needle), nil, nil, -1
	if needle == "" {
		return 0
	}
	d.isHit = map[int32]bool{}
	small := []byte(d.needle)
	for i := range d.rows {
		r := &d.rows[i]
		if contains(d.src[r.keyFrom:r.keyTo], small) || contains(d.src[r.valueFrom:r.valueTo], small) {
			d.hits = append(d.hits, int32(i))
			d.isHit[int32(i)] = true
		}
	}
	return len(d.hits)
}

// Next goes to the next hit after a visible line (before it, when step is -1),
// unfolds what hides it and returns its visible line; ok is false without hits.
func (d *Doc) Next(from, step int) (line int, ok bool) {
	if len(d.hits) == 0 {
		return from, false
	}
	at := int32(-1)
	if from >= 0 && from < len(d.shown) {
		at = d.shown[from]
	}
	next := -1
	if step >= 0 {
		next = 0
		for i, h := range d.hits {
			if h > at {
				next = i
				break
			}
		}
	} else {
		next = len(d.hits) - 1
		for i := len(d.hits) - 1; i >= 0; i-- {
			if d.hits[i] < at {
				next = i
				break
			}
		}
	}
	d.current = next
	row := d.hits[next]
	for p := d.rows[row].parent; p >= 0; p = d.rows[p].parent {
		delete(d.folded, p)
	}
	d.reveal()
	return d.visible(row), true
}

// Hits says how many lines the search found and which of them Next came to last,
// counted from 1; 0 before the first Next.
func (d *Doc) Hits() (at, all int) { return d.current + 1, len(d.hits) }

// contains looks for a lower-case needle, folding the case of ASCII only unless
// the text holds more.
func contains(hay, small []byte) bool {
	if len(hay) < len(small) {
		return false
	}
	return bytes.Contains(bytes.ToLower(hay), small)
}

// highlight splits spans where the needle stands.
func highlight(spans []Span, needle string) []Span {
	var out []Span
	for _, s := range spans {
		low := strings.ToLower(s.Text)
		if len(low) != len(s.Text) { // lower case of other length: places do not map back
			if strings.Contains(low, needle) {
				s.Look = Found
			}
			out = append(out, s)
			continue
		}
		text := s.Text
		for {
			i := strings.Index(low, needle)
			if i < 0 {
				break
			}
			if i > 0 {
				out = append(out, Span{text[:i], s.Look})
			}
			out = append(out, Span{text[i : i+len(needle)], Found})
			text, low = text[i+len(needle):], low[i+len(needle):]
		}
		if text != "" {
			out = append(out, Span{text, s.Look})
		}
	}
	return out
}

// number prints a count with thousands separated.
func number(n int) string {
	var digits []byte
	for i := 0; ; i++ {
		if i > 0 && i%3 == 0 {
			digits = append([]byte{','}, digits...)
		}
		digits = append([]byte{byte('0' + n%10)}, digits...)
		if n /= 10; n == 0 {
			return string(digits)
		}
	}
}
