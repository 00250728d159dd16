package ui

import (
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/body"
	"kxops/ui/text"
)

// reader shows one message: what it is, its layers from the outside in, and the
// bytes of each. The triage screen has it as a pane, the message screen is one.
type reader struct {
	pile   Pile
	cause  string // title of the group of the letter
	letter ops.Letter
	busy   bool
	gone   bool // the pile has no such message any more
	msg    ops.Message
	tabs   []tab
	at     int // tab
	raw    bool
	needle string

	pointer *pointerLook // where its data is elsewhere and was asked about

	cursor, top int
	page        int
	above       int // lines above the body, at the last draw
	rows, below int // lines in all and out of sight below, at the last draw
}

// tab is one thing to read: the message's own facts, a layer, a part of one.
type tab struct {
	title string
	layer *ops.Layer // nil: the facts of the message
	bytes []byte
	doc   *body.Doc // laid out
	plain *body.Doc // as it came, made when it is asked for
}

// letterOpenedMsg brings a message out of a pile, laid out.
type letterOpenedMsg struct {
	reader *reader
	id     string
	msg    ops.Message
	tabs   []tab
	ok     bool
}

// maxParts bounds the parts of a layer that have a tab of their own.
const maxParts = 50

// openCmd takes a letter out of a pile: it is kept compressed, and laying a
// megabyte out takes longer than a frame.
func (r *reader) openCmd(pile Pile, letter ops.Letter) tea.Cmd {
	r.busy = true
	return func() tea.Msg {
		m, layers, ok := pile.Message(letter.ID)
		return letterOpenedMsg{r, letter.ID, m, tabsOf(m, layers), ok}
	}
}

func tabsOf(m ops.Message, layers []ops.Layer) []tab {
	tabs := []tab{{title: "message", bytes: []byte(m.Body)}}
	own := []byte(m.Body)
	for i := range layers {
		x := &layers[i]
		tabs = append(tabs, tab{title: x.Kind, layer: x, bytes: own})
		for n, part := range x.Parts[:min(len(x.Parts), maxParts)] {
			if len(x.Parts) == 1 && len(x.Body) > 0 { // the next layer is that part
				break
			}
			tabs = append(tabs, tab{title: "part " + count(float64(n+1)), layer: &ops.Layer{Kind: x.Kind}, bytes: part})
		}
		own = x.Body
	}
	for i := range tabs {
		tabs[i].doc = body.New(tabs[i].bytes)
	}
	return tabs
}

func (r *reader) opened(msg letterOpenedMsg, letter ops.Letter) {
	r.busy = false
	if msg.id != letter.ID {
		return // the cursor went on meanwhile; Want asks again
	}
	kind := ""
	if r.at < len(r.tabs) {
		kind = r.tabs[r.at].title
	}
	r.letter, r.msg, r.tabs, r.gone = letter, msg.msg, msg.tabs, !msg.ok
	r.cursor, r.top, r.above, r.pointer = 0, 0, 0, nil
	r.at = len(r.tabs) - 1
	for i, t := range r.tabs { // stay on the kind of layer that is being compared
		if t.title == kind {
			r.at = i
			break
		}
		if t.layer != nil && (t.layer.Failure != nil || t.layer.Pointer != nil) { // what says why is read first
			r.at = i
			break
		}
	}
	r.search(r.needle)
}

// doc is what is laid out below the facts; nil while nothing is open.
func (r *reader) doc() *body.Doc {
	if r.at >= len(r.tabs) {
		return nil
	}
	t := &r.tabs[r.at]
	if !r.raw {
		return t.doc
	}
	if t.plain == nil {
		t.plain = body.Raw(t.bytes)
		t.plain.Search(r.needle)
	}
	return t.plain
}

func (r *reader) turn(step int) {
	if n := len(r.tabs); n > 0 {
		r.at = ((r.at+step)%n + n) % n
		r.cursor, r.top, r.above = 0, 0, 0
	}
}

func (r *reader) search(needle string) {
	r.needle = needle
	for i := range r.tabs {
		for _, d := range []*body.Doc{r.tabs[i].doc, r.tabs[i].plain} {
			if d != nil {
				d.Search(needle)
			}
		}
	}
}

// next goes to the next hit; when this layer has none, to the next layer with one.
func (r *reader) next(step int) bool {
	for range len(r.tabs) + 1 {
		d := r.doc()
		if d == nil {
			return false
		}
		if _, all := d.Hits(); all > 0 {
			if line, ok := d.Next(r.cursor-r.above, step); ok {
				r.cursor = r.above + line
				return true
			}
		}
		r.turn(step)
	}
	return false
}

// Move moves the cursor.
func (r *reader) Move(m motion) {
	switch m {
	case lineUp:
		r.cursor--
	case lineDown:
		r.cursor++
	case pageUp:
		r.cursor -= max(r.page-1, 1)
	case pageDown:
		r.cursor += max(r.page-1, 1)
	case toTop:
		r.cursor = 0
	case toEnd:
		r.cursor = 1 << 30
	case nextLink:
		r.turn(1)
	case prevLink:
		r.turn(-1)
	}
	r.cursor = max(r.cursor, 0)
}

// head is what is told above the body.
func (r *reader) head(l light, width int) []docLine {
	w := &writer{l: l, width: width}
	if r.at >= len(r.tabs) {
		return nil
	}
	t := &r.tabs[r.at]
	if t.layer == nil {
		writeMessage(w, r.letter, r.msg)
	} else {
		if t.layer.Failure == nil { // which says it in its own words
			w.fact("cause", r.cause, w.l.strong)
		}
		writeLayer(w, t.layer)
		writePointer(w, t.layer.Pointer, r.pointer)
	}
	words := bytesText(float64(len(t.bytes)))
	switch d := r.doc(); {
	case d.Binary():
		words += ", in hex"
	case r.raw:
		words += ", as it came"
	case d.JSON():
		words += " of JSON"
	}
	w.line(span{strings.Repeat("─", max(width-text.Width(words)-1, 0)) + " ", l.dim}, span{words, l.dim})
	return w.lines
}

// factWidth is the room for the name of a fact.
const factWidth = 12

func (w *writer) fact(name, value string, st text.Style) {
	if value == "" {
		return
	}
	name = text.Cut(text.Clean(text.Bound(name, 40)), 40)
	room := max(factWidth, text.Width(name)+1)
	for i, part := range text.Fold(text.Clean(text.Bound(value, 4096)), max(w.width-room, 12)) {
		if i > 0 {
			name = ""
		}
		w.line(span{pad(name, room), w.l.dim}, span{part, st})
	}
}

// writeMessage tells what SQS says about a message.
func writeMessage(w *writer, x ops.Letter, m ops.Message) {
	w.fact("id", m.ID, w.l.strong)
	if at := m.Sent(); !at.IsZero() {
		w.fact("sent", at.Format("2006-01-02 15:04:05Z")+", "+age(at, w.l.now)+" ago", text.Style{})
	}
	if !x.Expires.IsZero() {
		left := until(x.Expires, w.l.now)
		if x.Trims {
			left += ": then its stream trims the records that it points to"
		}
		w.fact("lost in", left, lossStyle(w.l, x.Expires))
	}
	w.fact("received", times(m.Receives())+", over all queues", text.Style{})
	w.fact("source", string(m.Source()), text.Style{})
	w.fact("group", m.Group(), text.Style{})
	w.fact("size", bytesText(float64(m.Size())), text.Style{})
	w.fact("md5", m.Sum(), w.l.dim)
	if x.Harmless != "" {
		w.fact("harmless", x.Harmless, w.l.good)
	}
	if x.Lossy {
		w.fact("cut", "its producer cut the payload: it must not be sent on", w.l.page)
	}
	for _, n := range m.AttributeNames() {
		a := m.Attributes[n]
		value := a.Text
		if len(a.Bytes) > 0 {
			value = bytesText(float64(len(a.Bytes))) + " of binary"
		}
		w.fact(n, value+"  ("+a.Type+")", w.l.cool)
	}
	for _, n := range sortedNames(m.System) {
		switch n {
		case ops.SentAttribute, ops.ReceivesAttribute, ops.GroupAttribute, ops.SourceAttribute:
		default:
			w.fact(n, systemValue(n, m.System[n]), w.l.dim)
		}
	}
}

// systemValue shows a time of SQS as one, beside the number.
func systemValue(name, value string) string {
	if ms, err := strconv.ParseInt(value, 10, 64); err == nil && ms > 0 && strings.HasSuffix(name, "Timestamp") {
		return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05Z") + "  (" + value + ")"
	}
	return value
}

// factValue says what a number means that misleads: Lambda writes the HTTP status
// of the invocation, which was fine, where the function failed.
func factValue(layer *ops.Layer, f ops.Fact) string {
	if layer.Kind == "Lambda dead letter" && f.Name == "Error code" && f.Value == "200" {
		return "function error (HTTP 200)"
	}
	return f.Value
}

// writeLayer tells what a layer says, the reason of the failure first.
func writeLayer(w *writer, x *ops.Layer) {
	if f := x.Failure; f != nil {
		w.fact("failed", strings.Join(nonEmpty(f.Type, f.Message), ": "), w.l.page)
		w.fact("because", f.Condition, text.Style{})
		w.fact("function", f.Function.Name(), text.Style{})
		w.fact("request", f.RequestID, w.l.dim)
		if f.Attempts > 0 {
			w.fact("attempts", count(float64(f.Attempts)), text.Style{})
		}
		if !f.At.IsZero() {
			w.fact("failed at", f.At.UTC().Format("2006-01-02 15:04:05Z")+", "+age(f.At, w.l.now)+" ago", text.Style{})
		}
		for i, frame := range f.Stack[:min(len(f.Stack), 12)] {
			name := ""
			if i == 0 {
				name = "stack"
			}
			w.fact(name, frame, w.l.dim)
		}
	}
	if x.Harmless != "" {
		w.fact("harmless", x.Harmless, w.l.good)
	}
	if x.Truncated {
		w.fact("cut", "its producer cut the payload: it must not be sent on", w.l.page)
	}
	for _, f := range x.Facts {
		if !told(x.Failure, f.Value) {
			w.fact(f.Name, factValue(x, f), text.Style{})
		}
	}
	if n := len(x.Parts); n > maxParts {
		w.fact("parts", count(float64(n))+", the first "+count(maxParts)+" have a tab", w.l.dim)
	}
}

// told reports whether a fact repeats what the failure says already.
func told(f *ops.Failure, value string) bool {
	return f != nil && value != "" && (value == f.Message || value == f.RequestID || value == f.Type || value == f.Condition || value == string(f.Function))
}

func sortedNames(m map[string]string) []string {
	set := make(map[string][]string, len(m))
	for n := range m {
		set[n] = nil
	}
	return sortedKeys(set)
}

// draw writes the message into a canvas of its own width. Only the visible lines
// are laid out.
func (r *reader) draw(c *text.Canvas, height int, l light, focused bool) {
	end := c.Line() + height
	defer c.Until(end)
	switch {
	case r.gone:
		drawEmpty(c, height, l, "this message is not in the last look any more; look again")
		return
	case len(r.tabs) == 0:
		if r.busy {
			drawEmpty(c, height, l, "opening…")
		}
		return
	}
	r.drawTabs(c, l)
	width := c.Width() - 1
	head := r.head(l, width)
	if n := len(head) - r.above; r.cursor >= r.above && r.above > 0 { // stay on the same line of the body
		r.cursor += n
	}
	r.above = len(head)
	d := r.doc()
	rows := len(head) + d.Len()
	room := end - c.Line()
	r.page = max(room, 1)
	r.cursor = max(min(r.cursor, rows-1), 0)
	cells := func(i int) [][]span {
		if i < len(head) {
			return [][]span{head[i].spans}
		}
		return bodyRows(d.Line(i-len(head)), width, l)
	}
	r.top = max(min(r.top, r.cursor, rows-1), 0)
	for used := 0; ; { // as far down as the cursor needs
		used = 0
		for i := r.top; i <= r.cursor && used <= room; i++ {
			used += len(cells(i))
		}
		if used <= room || r.top >= r.cursor {
			break
		}
		r.top++
	}
	r.rows, r.below = rows, 0
	for i := r.top; i < rows; i++ {
		if c.Line() >= end {
			r.below = rows - i
			break
		}
		for n, line := range cells(i) {
			if c.Line() >= end {
				break
			}
			if focused && i == r.cursor {
				c.Under(l.table.Cursor)
			}
			if focused && i == r.cursor && n == 0 {
				c.Rune('>', l.table.Sign)
			} else {
				c.Space(1)
			}
			for _, s := range line {
				c.Text(s.s, s.st)
			}
			c.End()
		}
	}
}

// drawTabs names the layers, from the outside in; the one that is read is marked.
func (r *reader) drawTabs(c *text.Canvas, l light) {
	from := 0
	wide := func() (sum int) { // keep the chosen one in sight
		for i := from; i <= r.at; i++ {
			sum += text.Width(r.tabs[i].title) + 3
		}
		return sum
	}
	for from < r.at && wide() > c.Width()-2 {
		from++
	}
	for i := from; i < len(r.tabs); i++ {
		switch {
		case i > from:
			c.Text(" > ", l.dim)
		case from > 0:
			c.Text("…> ", l.dim)
		}
		title := text.Clean(text.Bound(r.tabs[i].title, 30))
		if i == r.at {
			c.Text(title, l.inverse)
		} else {
			c.Text(title, l.accent)
		}
	}
	c.End()
}

// bodyRows wraps a line of a body into rows of the given width.
func bodyRows(line body.Line, width int, l light) [][]span {
	indent := strings.Repeat("  ", min(line.Indent, width/4))
	sign := ""
	if line.Folded {
		sign = "+ "
	}
	var rows [][]span
	row := []span{{indent + sign, l.ticket}}
	left := max(width-text.Width(indent+sign), 8)
	for _, s := range line.Spans {
		rest := text.Clean(s.Text)
		st := l.body(s.Look)
		for rest != "" {
			piece, more := text.Break(rest, left)
			if piece == "" && left == max(width-len(indent), 8) {
				break // one character is wider than the line
			}
			row = append(row, span{piece, st})
			left -= text.Width(piece)
			rest = more
			if rest != "" || left <= 0 {
				rows = append(rows, row)
				row = []span{{indent, st}}
				left = max(width-len(indent), 8)
			}
		}
	}
	if len(row) > 1 || len(rows) == 0 {
		rows = append(rows, row)
	}
	return rows
}

// body is the look of a piece of a body.
func (t *theme) body(x body.Look) text.Style {
	switch x {
	case body.Key:
		return t.accent
	case body.String:
		return t.good
	case body.Number:
		return t.cool
	case body.Word:
		return t.ticket
	case body.Mark, body.Note:
		return t.dim
	case body.Found:
		return t.inverse
	}
	return text.Style{}
}

// until prints how long it is until a time.
func until(at, now time.Time) string {
	switch left := at.Sub(now); {
	case at.IsZero():
		return "?"
	case left <= 0:
		return "now"
	default:
		return ops.Span(left.Seconds())
	}
}

// lossStyle is the look of a time of loss: urgent within an hour, near within a day.
func lossStyle(l light, at time.Time) text.Style {
	switch left := at.Sub(l.now); {
	case at.IsZero():
		return l.dim
	case left <= time.Hour:
		return l.page
	case left <= 24*time.Hour:
		return l.ticket
	}
	return l.dim
}
