package dlq

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"kxops/ops"
	"kxops/ops/payload"
)

// A cause is worked out from one message alone: the same message has the same key
// today and tomorrow, on every machine, whatever else is in the queue. What can only
// be seen by comparing (which field the others have) is worked out in Groups and
// goes into the title.

// evidence is what tells causes apart, before it is put into words.
type evidence struct {
	kind, frame, text string // the message says why
	origin, event     string
	place             string // where an uploaded object is: the first part of its key
	shape             string // of a body that is not JSON
	sum               uint64 // of a JSON body's fields
	stated            bool
}

// causeOf finds the cause of a message.
func causeOf(m ops.Message, layers []ops.Layer, known *causes) *ops.Cause {
	e := evidence{origin: maskOrigin(originOf(layers)), event: eventOf(layers)}
	if f := failureOf(layers); f != nil {
		e.stated = true
		e.kind, e.text, e.frame = stated(*f, known)
		if e.text != "" || e.frame != "" {
			e.event = "" // the reason is the cause; which event met it is not
		}
		return known.cause(e, nil)
	}
	if e.origin == "" {
		e.origin = string(m.Source())
	}
	if h := harmlessOf(layers); h != "" {
		e.shape = "harmless " + h
		return known.cause(e, nil)
	}
	body := payload.Innermost(layers, m)
	sum, object, ok := sumOf(body)
	if ok && object != "" {
		// S3 writes what it writes: a versionId more or less is no cause.
		e.shape, e.place = "S3 event", placeOf(object)
		return known.cause(e, body)
	}
	if !ok {
		e.shape, _ = textShape(body)
		return known.cause(e, body)
	}
	e.sum = sum
	return known.cause(e, body)
}

// cause returns the one cause of this evidence.
func (c *causes) cause(e evidence, body []byte) *ops.Cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.known[e]; ok {
		return known
	}
	for _, s := range []*string{&e.kind, &e.frame, &e.text, &e.origin, &e.event, &e.place, &e.shape} {
		*s = strings.Clone(*s)
	}
	cause := describe(e, body)
	for i, f := range cause.Fields { // shapes have most of their fields in common
		if w, ok := c.words[f]; ok {
			cause.Fields[i] = w
		} else if len(c.words) < maxWords {
			c.words[f] = f
		}
	}
	c.known[e] = cause
	return cause
}

// describe puts evidence into words and makes the key.
func describe(e evidence, body []byte) *ops.Cause {
	cause := &ops.Cause{Stated: e.stated, Type: e.kind, Text: e.text, Frame: e.frame, Origin: e.origin, Event: e.event}
	shape := e.shape
	if !e.stated && e.sum != 0 {
		cause.Fields, _ = fieldsOf(body)
		shape = "JSON " + strings.Join(cause.Fields, "\n")
	}
	if !e.stated {
		sum := sha256.Sum256([]byte(shape))
		cause.Shape = hex.EncodeToString(sum[:6])
	}
	cause.Family = code(e.kind, e.frame, e.origin, e.event, e.place, yes(e.stated), yes(e.sum != 0))
	if e.stated {
		cause.Key = label(e.kind, e.text) + "-" + code(e.kind, e.frame, e.text, e.origin, e.event)
		cause.Title = statedTitle(e)
		return cause
	}
	cause.Key = label(e.event, shapeName(e)) + "-" + code(e.origin, e.event, e.place, shape)
	cause.Title = shapeTitle(e, body)
	return cause
}

func yes(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// codeLetters leaves out what is mistyped: 0 and o, 1, i and l.
const codeLetters = "23456789abcdefghjkmnpqrstuvwxyz"

// code is five letters that stand for the parts: two causes with the same label
// have the same code once in 28 million.
func code(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	n := binary.BigEndian.Uint64(sum[:8])
	out := make([]byte, 5)
	for i := range out {
		out[i] = codeLetters[n%uint64(len(codeLetters))]
		n /= uint64(len(codeLetters))
	}
	return string(out)
}

// label is the part of a key that a person knows again: the error's type without its
// package, or the first words that do not vary.
func label(words ...string) string {
	for _, w := range words {
		if !strings.Contains(w, " ") {
			w = w[strings.LastIndex(w, "::")+1:]
			w = w[strings.LastIndexAny(strings.TrimRight(w, "./$"), "./$")+1:]
		}
		var b strings.Builder
		for _, word := range strings.FieldsFunc(w, func(r rune) bool { return r == ' ' || r == '-' || r == '_' || r == ':' || r == '.' }) {
			if strings.Contains(word, "<") {
				continue
			}
			name := strings.Map(keyLetter, word)
			if b.Len() > 0 && b.Len()+len(name) > maxLabel {
				break
			}
			if b.Len() > 0 && name != "" {
				name = strings.ToUpper(name[:1]) + name[1:]
			}
			b.WriteString(name[:min(len(name), maxLabel)])
		}
		if b.Len() > 0 {
			return b.String()
		}
	}
	return "letters"
}

// maxLabel bounds what is typed before the code.
const maxLabel = 32

func keyLetter(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

func statedTitle(e evidence) string {
	title := e.kind
	switch {
	case title == "":
		title = e.text
	case e.text != "":
		title += ": " + e.text
	}
	if title == "" {
		title = "failed"
	}
	if e.frame != "" {
		title += " · at " + e.frame
	}
	if name := nameOf(e.origin); name != "" {
		title += " · " + name
	}
	return title
}

// shapeName is what a group of bodies is called that do not say why they are here.
func shapeName(e evidence) string {
	switch {
	case strings.HasPrefix(e.shape, "harmless "):
		return strings.TrimPrefix(e.shape, "harmless ")
	case e.shape != "":
		return e.shape
	}
	return nameOf(e.origin)
}

func shapeTitle(e evidence, body []byte) string {
	var words []string
	if e.event != "" {
		words = append(words, e.event)
	}
	switch {
	case strings.HasPrefix(e.shape, "harmless "):
		words = append(words, strings.TrimPrefix(e.shape, "harmless "))
	case e.place != "" || e.shape == "S3 event":
	case e.shape != "":
		_, word := textShape(body)
		words = append(words, word)
	case e.event == "":
		words = append(words, "JSON")
	}
	title := strings.Join(words, ", ")
	if name := nameOf(e.origin); name != "" {
		title += " from " + name
	}
	if e.place != "" {
		title += ", " + e.place
	}
	return title
}

// nameOf is the short name of an ARN, or the origin as it is.
func nameOf(origin string) string {
	if strings.HasPrefix(origin, "arn:") {
		return ops.ARN(origin).Name()
	}
	return origin
}

// maskOrigin makes one origin of all versions and executions of one resource.
func maskOrigin(origin string) string {
	if !strings.HasPrefix(origin, "arn:") {
		return mask(origin)
	}
	parts := strings.SplitN(origin, ":", 8)
	if len(parts) == 8 && parts[2] == "lambda" {
		return strings.Join(parts[:7], ":") // without version or alias
	}
	return origin
}

// placeOf is the first part of an object's key, "" when the key has no parts or the
// part is an id.
func placeOf(key string) string {
	first, _, deep := strings.Cut(strings.ReplaceAll(key, "%2F", "/"), "/")
	if !deep || idLike([]byte(first)) {
		return ""
	}
	return first + "/"
}

func harmlessOf(layers []ops.Layer) string {
	for _, l := range layers {
		if l.Harmless != "" {
			return l.Harmless
		}
	}
	return ""
}

// failureOf is the outermost reason: the last thing that went wrong.
func failureOf(layers []ops.Layer) *ops.Failure {
	for _, l := range layers {
		if f := l.Failure; f != nil && (f.Type != "" || f.Message != "" || len(f.Stack) > 0 || f.Condition != "") {
			return f
		}
	}
	return nil
}

// Groups sorts the letters by cause, largest first, then by key. Letters of groups
// that differ only in fields that come and go (see fold) are one group.
func Groups(letters []ops.Letter) []ops.CauseGroup {
	byCause, byKey := map[*ops.Cause]*pileOf{}, map[string]*pileOf{} // letters of one look share their causes
	var order []*pileOf
	for i := range letters {
		l := &letters[i]
		if l.Cause == nil {
			continue
		}
		g := byCause[l.Cause]
		if g == nil {
			g = byKey[l.Cause.Key]
		}
		if g == nil {
			g = &pileOf{CauseGroup: ops.CauseGroup{Cause: *l.Cause, Keys: []string{l.Cause.Key}}, prints: map[string]struct{}{}, sources: map[ops.ARN]struct{}{}}
			byKey[l.Cause.Key] = g
			order = append(order, g)
		}
		byCause[l.Cause] = g
		g.add(l)
	}
	order = fold(order)
	explain(order)
	groups := make([]ops.CauseGroup, len(order))
	for i, g := range order {
		groups[i] = g.done()
	}
	slices.SortFunc(groups, func(a, b ops.CauseGroup) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Cause.Key, b.Cause.Key)
	})
	return groups
}

// pileOf is a group that is being counted.
type pileOf struct {
	ops.CauseGroup
	prints  map[string]struct{}
	sources map[ops.ARN]struct{}
	note    string // what was folded
}

func (g *pileOf) add(l *ops.Letter) {
	g.Count++
	g.Bytes += int64(l.Bytes)
	g.prints[l.Print] = struct{}{}
	if l.Source != "" {
		g.sources[l.Source] = struct{}{}
	}
	if l.Harmless != "" {
		g.Harmless++
	}
	if l.Pointer {
		g.Pointers++
	}
	if g.Sample == "" || l.Sent.After(g.LastSent) || l.Sent.Equal(g.LastSent) && l.ID < g.Sample {
		g.Sample = l.ID
	}
	g.FirstSent, g.LastSent = earlier(g.FirstSent, l.Sent), later(g.LastSent, l.Sent)
	g.FirstLoss, g.LastFailed = earlier(g.FirstLoss, l.Expires), later(g.LastFailed, l.Failed)
}

// take puts the letters of another group into this one.
func (g *pileOf) take(o *pileOf) {
	g.Count += o.Count
	g.Bytes += o.Bytes
	g.Harmless += o.Harmless
	g.Pointers += o.Pointers
	g.Keys = append(g.Keys, o.Keys...)
	for p := range o.prints {
		g.prints[p] = struct{}{}
	}
	for s := range o.sources {
		g.sources[s] = struct{}{}
	}
	if o.LastSent.After(g.LastSent) || o.LastSent.Equal(g.LastSent) && o.Sample < g.Sample {
		g.Sample = o.Sample
	}
	g.FirstSent, g.LastSent = earlier(g.FirstSent, o.FirstSent), later(g.LastSent, o.LastSent)
	g.FirstLoss, g.LastFailed = earlier(g.FirstLoss, o.FirstLoss), later(g.LastFailed, o.LastFailed)
}

func (g *pileOf) done() ops.CauseGroup {
	g.Distinct = len(g.prints)
	for s := range g.sources {
		g.Sources = append(g.Sources, s)
	}
	slices.Sort(g.Sources)
	slices.Sort(g.Keys)
	return g.CauseGroup
}

// earlier and later leave out times that are not known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
