package dlq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"kxops/ops"
	"kxops/ops/payload"
)

// Matcher makes a test of letters from one line, as it is typed in the console. The
// grammar; terms are parted by blanks and all must hold:
//
//	text           somewhere in the message: id, cause, attributes, the body or any layer of it
//	"two words"    the same, with a blank in it
//	jq:EXPR        jq over the innermost body; takes the rest of the line
//	age>1h age<2d  sent longer ago, or less long ago, than that (s, m, h, d)
//	receives>3     received more often (also <)
//	attr:NAME      has the attribute; attr:NAME=VALUE has it with that value
//	source:NAME    came from that queue (name or ARN)
//	group:KEY      is of that cause
//	event:TEXT     the event type contains it
//	id:PREFIX      the message id begins with it
//	is:WORD        harmless, duplicate (an older letter is exactly equal), pointer, lossy, stated
//	!TERM          the term does not hold
//
// Case does not count, except in jq and in attribute values. Terms that need only
// what a list holds are tested first; bodies are opened last. The test is good for
// the letters that the pile has now. The error is a *ops.Problem.
func (p *Pile) Matcher(line string) (func(ops.Letter) bool, error) {
	terms, err := p.terms(line)
	if err != nil {
		return nil, err
	}
	return terms.match, nil
}

// test is one thing that must hold. Exactly one of letter and open is set: open
// needs the message.
type test struct {
	letter func(ops.Letter) bool
	open   func(*opened) bool
}

// tests are safe for concurrent use once they are made.
type tests struct {
	pile  *Pile
	light []func(ops.Letter) bool
	heavy []func(*opened) bool

	once    sync.Once
	mu      sync.Mutex      // the heavy tests count and are for one goroutine
	verdict map[string]bool // of every letter that passed the light tests when the first body was needed
}

func (t *tests) add(x test) {
	if x.letter != nil {
		t.light = append(t.light, x.letter)
	} else {
		t.heavy = append(t.heavy, x.open)
	}
}

// match reports whether all tests hold. Bodies lie compressed, many together: the
// first letter that needs its body has all of them opened in one go.
func (t *tests) match(l ops.Letter) bool {
	if !t.lightly(l) {
		return false
	}
	if len(t.heavy) == 0 {
		return true
	}
	t.once.Do(t.openAll)
	if holds, decided := t.verdict[l.ID]; decided {
		return holds
	}
	return t.matchLate(l)
}

// matchLate tests a letter that came after the bodies were opened.
func (t *tests) matchLate(l ops.Letter) bool {
	m, ok := t.pile.Message(l.ID)
	return ok && t.matchOpened(&opened{letter: &l, message: m})
}

func (t *tests) lightly(l ops.Letter) bool {
	for _, holds := range t.light {
		if !holds(l) {
			return false
		}
	}
	return true
}

// openFew is up to how many bodies are opened one by one.
const openFew = 32

func (t *tests) openAll() {
	wanted := map[string]*ops.Letter{}
	letters := t.pile.Letters()
	for i := range letters {
		if t.lightly(letters[i]) {
			wanted[letters[i].ID] = &letters[i]
		}
	}
	t.verdict = make(map[string]bool, len(wanted))
	if len(wanted) <= openFew {
		for id, l := range wanted {
			if m, ok := t.pile.Message(id); ok {
				t.verdict[id] = t.matchOpened(&opened{letter: l, message: m})
			}
		}
		return
	}
	t.pile.Each(func(m ops.Message) bool {
		if l := wanted[m.ID]; l != nil {
			t.verdict[m.ID] = t.matchOpened(&opened{letter: l, message: m})
		}
		return true
	})
}

func (t *tests) matchOpened(o *opened) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, holds := range t.heavy {
		if !holds(o) {
			return false
		}
	}
	return true
}

// opened is a message with its layers, peeled when first asked for.
type opened struct {
	letter  *ops.Letter
	message ops.Message
	layers  []ops.Layer
}

func (o *opened) peel() []ops.Layer {
	if o.layers == nil {
		o.layers = payload.Peel(o.message)
	}
	return o.layers
}

func (p *Pile) terms(line string) (*tests, error) {
	all := &tests{pile: p}
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimSpace(rest) {
		var word string
		if strings.HasPrefix(rest, "jq:") || strings.HasPrefix(rest, "!jq:") {
			word, rest = rest, ""
		} else {
			word, rest = cutTerm(rest)
		}
		term, not := strings.CutPrefix(word, "!")
		if term == "" {
			return nil, &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("the filter says %q without a term behind it", word)}
		}
		x, err := p.term(term)
		if err != nil {
			return nil, err
		}
		if not {
			x = x.negated()
		}
		all.add(x)
	}
	return all, nil
}

func (t test) negated() test {
	if holds := t.letter; holds != nil {
		return test{letter: func(l ops.Letter) bool { return !holds(l) }}
	}
	holds := t.open
	return test{open: func(o *opened) bool { return !holds(o) }}
}

// cutTerm takes the first term of a line; blanks between quotes do not part.
func cutTerm(line string) (term, rest string) {
	in := false
	var b strings.Builder
	for i, r := range line {
		switch {
		case r == '"':
			in = !in
		case r == ' ' && !in:
			return b.String(), line[i:]
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), ""
}

func (p *Pile) term(term string) (test, error) {
	for _, op := range []string{">", "<"} {
		name, value, ok := strings.Cut(term, op)
		switch {
		case ok && name == "age":
			d, err := age(value)
			if err != nil {
				return test{}, err
			}
			return p.ageTest(op, d), nil
		case ok && name == "receives":
			n, err := strconv.Atoi(value)
			if err != nil {
				return test{}, &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("%q is no number of receives", value), Hint: "write receives>3"}
			}
			return test{letter: func(l ops.Letter) bool { return op == ">" && l.Receives > n || op == "<" && l.Receives < n }}, nil
		}
	}
	name, value, ok := strings.Cut(term, ":")
	if !ok {
		return textTest(term), nil
	}
	switch name {
	case "jq":
		q, err := compile(value)
		if err != nil {
			return test{}, err
		}
		return test{open: func(o *opened) bool { return q.holds(o) }}, nil
	case "attr":
		return attributeTest(value), nil
	case "source":
		return sourceTest(value), nil
	case "group":
		keys, err := p.keysOf(value)
		if err != nil {
			return test{}, err
		}
		return causeTest(keys), nil
	case "event":
		want := strings.ToLower(value)
		return test{letter: func(l ops.Letter) bool { return strings.Contains(strings.ToLower(l.Event), want) }}, nil
	case "id":
		return test{letter: func(l ops.Letter) bool { return strings.HasPrefix(l.ID, value) }}, nil
	case "is":
		return p.isTest(value)
	}
	return textTest(term), nil
}

// age reads a duration that may be in days: 90m, 1h30m, 2d.
func age(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n < 10_000 {
			return time.Duration(n * float64(24*time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("%q is not an age", s), Hint: "write 90s, 15m, 6h or 2d"}
	}
	return d, nil
}

// ageTest counts from the end of the look. A letter without a time has no age: no
// comparison holds for it.
func (p *Pile) ageTest(op string, d time.Duration) test {
	edge := p.reference().Add(-d)
	return test{letter: func(l ops.Letter) bool {
		if l.Sent.IsZero() {
			return false
		}
		if op == ">" {
			return l.Sent.Before(edge)
		}
		return l.Sent.After(edge)
	}}
}

// reference is the moment that ages count from: the end of the look; while it goes
// on the newest receive. It is not the clock on the wall: a filter means the same
// letters until the next look.
func (p *Pile) reference() time.Time {
	if at := p.At(); !at.IsZero() {
		return at
	}
	var newest time.Time
	for _, l := range p.Letters() {
		newest = later(newest, l.Seen)
	}
	return newest
}

func sourceTest(want string) test {
	return test{letter: func(l ops.Letter) bool { return fromSource(l, want) }}
}

func fromSource(l ops.Letter, want string) bool {
	return l.Source != "" && (string(l.Source) == want || l.Source.Name() == want)
}

func causeTest(keys []string) test {
	return test{letter: func(l ops.Letter) bool { return l.Cause != nil && slices.Contains(keys, l.Cause.Key) }}
}

func (p *Pile) isTest(word string) (test, error) {
	switch word {
	case "harmless":
		return test{letter: func(l ops.Letter) bool { return l.Harmless != "" }}, nil
	case "pointer":
		return test{letter: func(l ops.Letter) bool { return l.Pointer }}, nil
	case "lossy":
		return test{letter: func(l ops.Letter) bool { return l.Lossy }}, nil
	case "stated":
		return test{letter: func(l ops.Letter) bool { return l.Cause != nil && l.Cause.Stated }}, nil
	case "duplicate":
		twins := duplicates(p.Letters())
		return test{letter: func(l ops.Letter) bool { return twins[l.ID] }}, nil
	}
	return test{}, &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("is:%s is not known", word),
		Hint: "letters can be harmless, duplicate, pointer, lossy or stated"}
}

// duplicates names the letters that are exactly equal to an older one: with all of
// them put aside, one of each is left.
func duplicates(letters []ops.Letter) map[string]bool {
	oldest := make(map[string]*ops.Letter, len(letters))
	twins := map[string]bool{}
	for i := range letters {
		l := &letters[i]
		kept := oldest[l.Print]
		switch {
		case kept == nil:
			oldest[l.Print] = l
		case l.Sent.Before(kept.Sent) || l.Sent.Equal(kept.Sent) && l.ID < kept.ID:
			twins[kept.ID] = true
			oldest[l.Print] = l
		default:
			twins[l.ID] = true
		}
	}
	return twins
}

// textTest looks through what a list holds, the attributes, the body as it came and
// then every layer: text in gzip is found too.
func textTest(text string) test {
	want := strings.ToLower(text)
	needle := []byte(want)
	return test{open: func(o *opened) bool {
		l := o.letter
		if l.Cause != nil && (strings.Contains(strings.ToLower(l.Cause.Title), want) || strings.Contains(strings.ToLower(l.Cause.Key), want)) {
			return true
		}
		return strings.Contains(strings.ToLower(l.ID), want) || o.contains(needle)
	}}
}

// contains looks for lower-case bytes in everything that came.
func (o *opened) contains(needle []byte) bool {
	if containsFold([]byte(o.message.Body), needle) {
		return true
	}
	for name, a := range o.message.Attributes {
		if containsFold([]byte(name), needle) || containsFold([]byte(a.Text), needle) || containsFold(a.Bytes, needle) {
			return true
		}
	}
	if !o.letter.Encoded {
		return false // all that is inside stands in the body
	}
	for _, layer := range o.peel() {
		if containsFold(layer.Body, needle) {
			return true
		}
		for _, part := range layer.Parts {
			if containsFold(part, needle) {
				return true
			}
		}
	}
	return false
}

func containsFold(hay, lowerNeedle []byte) bool {
	if len(hay) == 0 {
		return len(lowerNeedle) == 0
	}
	return bytes.Contains(bytes.ToLower(hay), lowerNeedle)
}

// attributeTest: NAME or NAME=VALUE, of the user's attributes or of SQS's own.
func attributeTest(expr string) test {
	name, value, valued := strings.Cut(expr, "=")
	return test{open: func(o *opened) bool {
		if a, ok := o.message.Attributes[name]; ok {
			return !valued || a.Text == value || len(a.Bytes) > 0 && string(a.Bytes) == value
		}
		s, ok := o.message.System[name]
		return ok && (!valued || s == value)
	}}
}

// The bounds of one jq filter on one message: a filter that loops must not stop the desk.
const (
	jqTime    = 200 * time.Millisecond
	jqOutputs = 1000
)

// query is a compiled jq filter. It counts what it could not decide. It is for one goroutine.
type query struct {
	code    *gojq.Code
	needle  string // no body without it can hold; "" when nothing is known
	failed  int
	first   error // why, the first time
	notJSON int
}

// jqVariables are what a filter knows beside the body.
var jqVariables = []string{"$attributes", "$message_id", "$sent", "$receives", "$source", "$group_id"}

// compile reads a jq expression. The error is a *ops.Problem that shows where it is wrong.
func compile(expr string) (*query, error) {
	parsed, err := gojq.Parse(expr)
	if err != nil {
		at := len(expr)
		var pe *gojq.ParseError
		if errors.As(err, &pe) {
			at = max(0, pe.Offset-len(pe.Token))
		}
		return nil, wrongJQ(expr, at, err)
	}
	code, err := gojq.Compile(parsed, gojq.WithVariables(jqVariables))
	if err != nil {
		return nil, wrongJQ(expr, placeOfName(expr, err.Error()), err)
	}
	return &query{code: code, needle: needleOf(parsed)}, nil
}

// needleOf finds a text that a body must have for the filter to hold: "x" in
// `.a == "x"`, on either side of an and, inside select.
func needleOf(q *gojq.Query) string {
	switch {
	case q == nil || len(q.FuncDefs) > 0 || len(q.Imports) > 0 || len(q.Patterns) > 0:
		return ""
	case q.Op == gojq.OpAnd:
		left, right := needleOf(q.Left), needleOf(q.Right)
		if len(right) > len(left) {
			return right
		}
		return left
	case q.Op == gojq.OpEq && partOfBody(q.Left):
		return literal(q.Right)
	case q.Op == gojq.OpEq && partOfBody(q.Right):
		return literal(q.Left)
	case q.Term == nil || len(q.Term.SuffixList) > 0:
		return ""
	case q.Term.Type == gojq.TermTypeQuery:
		return needleOf(q.Term.Query)
	case q.Term.Type == gojq.TermTypeFunc && q.Term.Func.Name == "select" && len(q.Term.Func.Args) == 1:
		return needleOf(q.Term.Func.Args[0])
	}
	return ""
}

func partOfBody(q *gojq.Query) bool {
	return q != nil && q.Term != nil && len(q.FuncDefs) == 0 && (q.Term.Type == gojq.TermTypeIndex || q.Term.Type == gojq.TermTypeIdentity || q.Term.Type == gojq.TermTypeRecurse)
}

// literal is a text without anything that JSON may write in two ways.
func literal(q *gojq.Query) string {
	if q == nil || q.Term == nil || q.Term.Type != gojq.TermTypeString || q.Term.Str == nil || len(q.Term.Str.Queries) > 0 || len(q.Term.SuffixList) > 0 {
		return ""
	}
	if strings.ContainsAny(q.Term.Str.Str, "\"\\") {
		return ""
	}
	return q.Term.Str.Str
}

// placeOfName finds the name that a compile error is about: "function not defined: foo/1".
func placeOfName(expr, message string) int {
	_, name, ok := strings.Cut(message, ": ")
	if !ok {
		return 0
	}
	name, _, _ = strings.Cut(name, "/")
	return max(0, strings.Index(expr, name))
}

// wrongJQ shows the expression with a caret under the position.
func wrongJQ(expr string, at int, err error) error {
	at = min(at, len(expr))
	start, end := strings.LastIndexByte(expr[:at], '\n')+1, len(expr)
	if n := strings.IndexByte(expr[at:], '\n'); n >= 0 {
		end = at + n
	}
	column := utf8.RuneCountInString(expr[start:at])
	what := fmt.Sprintf("the jq filter is not valid at character %d: %s\n  %s\n  %s^",
		utf8.RuneCountInString(expr[:at])+1, err.Error(), strings.ReplaceAll(expr[start:end], "\t", " "), strings.Repeat(" ", column))
	return &ops.Problem{Fault: ops.FaultOther, What: what, Err: err}
}

// holds runs the filter over the innermost body. It holds when one of its answers is
// neither false nor null; an error is no answer.
func (q *query) holds(o *opened) bool {
	if q.needle != "" && !o.letter.Encoded && !strings.Contains(o.message.Body, q.needle) && !strings.Contains(o.message.Body, `\`) {
		return false // not even tried: it can not be counted as failed either
	}
	body := payload.Innermost(o.peel(), o.message)
	value, err := jsonOf(body)
	if err != nil {
		q.notJSON++
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), jqTime)
	defer cancel()
	answers := q.code.RunWithContext(ctx, value, jqValues(o)...)
	for range jqOutputs {
		answer, ok := answers.Next()
		if !ok {
			return false
		}
		switch answer := answer.(type) {
		case error:
			q.failed++
			if q.first == nil {
				q.first = answer
			}
			return false
		case nil:
		case bool:
			if answer {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// jsonOf reads one JSON value; numbers stay as they are written: an order number of
// 19 digits must not lose its last one.
func jsonOf(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return value, nil
}

func jqValues(o *opened) []any {
	attributes := make(map[string]any, len(o.message.Attributes))
	for name, a := range o.message.Attributes {
		if a.Bytes != nil {
			attributes[name] = string(a.Bytes)
		} else {
			attributes[name] = a.Text
		}
	}
	var sent any
	if t := o.message.Sent(); !t.IsZero() {
		sent = t.UTC().Format(time.RFC3339)
	}
	return []any{attributes, o.message.ID, sent, o.message.Receives(), string(o.message.Source()), o.message.Group()}
}
