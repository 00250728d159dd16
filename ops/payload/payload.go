// Package payload peels message bodies: what is an SNS envelope, what is gzip,
// what says why it failed. It reads bytes and tells; it never writes a body back.
//
// Read payload.go first; then each layer_x.go is one wrapping, and layers.go is
// THE list of them. json.go and kpl.go read their formats where they lie and are
// of use to others.
package payload

import (
	"sync"

	"kxops/ops"
)

const (
	maxLayers   = 16       // more than anybody wraps on purpose
	maxUnpacked = 16 << 20 // bytes that one message may unpack to, all its layers together
	maxParts    = 10_000   // things that one layer may carry
)

// Peel returns the layers of a message, outermost first. It never fails: what
// nothing recognises is one layer "text" or "binary". The layers share their
// bytes; they are to be read only.
func Peel(m ops.Message) []ops.Layer {
	in := newInput(&m, []byte(m.Body))
	defer in.drop()
	out := make([]ops.Layer, 0, 3)
	if len(m.Attributes) > 0 || len(m.System) > 0 {
		for i := range layers {
			if !layers[i].attributes {
				continue
			}
			if l, ok := layers[i].open(in); ok {
				l.Kind, l.Body = layers[i].name, in.body
				out = append(out, l)
			}
		}
	}
	return in.peel(out)
}

func (in *input) peel(out []ops.Layer) []ops.Layer {
	for {
		l := in.layer()
		if l.Body != nil && len(out) == maxLayers-1 {
			l.Facts = append(l.Facts, ops.Fact{Name: "Stopped", Value: "16 layers deep, and there is more inside"})
		}
		if out = append(out, l); l.Body == nil || len(out) == maxLayers {
			return out
		}
		in.read(l.Body)
	}
}

// PeelBytes is Peel for bytes without a message around them: a Binary attribute, a
// record of a stream.
func PeelBytes(b []byte) []ops.Layer {
	in := newInput(&ops.Message{}, b)
	defer in.drop()
	return in.peel(make([]ops.Layer, 0, 3))
}

// Innermost is the last body: what is inside all wrappings that were recognised.
// It is the message's own body when there are none.
func Innermost(layers []ops.Layer, m ops.Message) []byte {
	for i := len(layers) - 1; i >= 0; i-- {
		if layers[i].Body != nil {
			return layers[i].Body
		}
	}
	return []byte(m.Body)
}

// Digest is what the layers of one message say together.
type Digest struct {
	Failure   *ops.Failure // the outermost: why it is here
	Event     string       // the innermost: what it is
	Origin    string       // the innermost
	Pointer   *ops.Pointer // the outermost
	Harmless  string       // the first reason given
	Truncated bool         // some layer was cut by its producer
}

// Summary draws the layers of a message together.
func Summary(layers []ops.Layer) Digest {
	var d Digest
	for i := range layers {
		l := &layers[i]
		if d.Failure == nil {
			d.Failure = l.Failure
		}
		if d.Pointer == nil {
			d.Pointer = l.Pointer
		}
		if d.Harmless == "" {
			d.Harmless = l.Harmless
		}
		if l.Event != "" {
			d.Event = l.Event
		}
		if l.Origin != "" {
			d.Origin = l.Origin
		}
		d.Truncated = d.Truncated || l.Truncated
	}
	return d
}

// input is what a layer is opened from.
type input struct {
	message *ops.Message
	body    []byte // what is to be recognised, byte for byte
	doc     []byte // body without the space around it
	valid   bool   // doc is one JSON value
	members []member
	room    int // bytes that may still be unpacked
}

// member is one of an object, in the order of the document.
type member struct {
	key   []byte // as written, without quotes
	value []byte
}

// inputs are used again: a pile of 100,000 needs their members 100,000 times.
var inputs = sync.Pool{New: func() any { return &input{members: make([]member, 0, 16)} }}

func newInput(m *ops.Message, body []byte) *input {
	in, ok := inputs.Get().(*input)
	if !ok {
		in = new(input)
	}
	in.message, in.room = m, maxUnpacked
	in.read(body)
	return in
}

// drop forgets the message and gives the input back.
func (in *input) drop() {
	clear(in.members[:cap(in.members)])
	*in = input{members: in.members[:0]}
	if cap(in.members) <= 256 {
		inputs.Put(in)
	}
}

func (in *input) read(body []byte) {
	in.body, in.doc, in.members = body, trim(body), in.members[:0]
	if in.is('{') {
		var end int
		in.members, end = readMembers(in.doc, in.members)
		in.valid = end == len(in.doc)
		return
	}
	in.valid = (in.is('[') || in.is('"')) && skip(in.doc, 0) == len(in.doc)
}

func (in *input) is(first byte) bool { return len(in.doc) > 0 && in.doc[0] == first }

// layer opens the body with the first entry of the list that recognises it. The
// list's last entry takes everything.
func (in *input) layer() ops.Layer {
	for i := range layers {
		if layers[i].attributes {
			continue
		}
		if l, ok := layers[i].open(in); ok {
			l.Kind = layers[i].name
			return l
		}
	}
	return ops.Layer{Kind: "binary"}
}

// raw is a member of the body's object; the last of doubled ones. nil: not there.
func (in *input) raw(name string) []byte {
	return find(in.members, name)
}

func (in *input) text(name string) string { return str(in.raw(name)) }

func find(members []member, name string) []byte {
	for i := len(members) - 1; i >= 0; i-- {
		if keyIs(members[i].key, name) {
			return members[i].value
		}
	}
	return nil
}

// str is the text of a raw string that was read before, or a number or word as it
// is written; "" for null.
func str(raw []byte) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if raw[0] != '"' {
		return string(raw)
	}
	return string(unquote(raw))
}

// readMembers reads an object's members, and where it ends: -1 when it breaks
// before, then with what came before.
func readMembers(object []byte, into []member) ([]member, int) {
	o := scanObject(object)
	for o.next() {
		into = append(into, member{o.key, o.value})
	}
	return into, o.end
}

// facts collects what is known; what is empty is not a fact.
type facts []ops.Fact

func (f *facts) add(name, value string) {
	if value != "" {
		*f = append(*f, ops.Fact{Name: name, Value: value})
	}
}
