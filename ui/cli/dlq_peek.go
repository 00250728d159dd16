package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/dlq"
	"kxops/ops/payload"
	"kxops/ui/text"
)

// bodyShown bounds a body in text, in bytes: a 1 MiB body hides all others.
const bodyShown = 16 << 10

func newDlqPeek(s *session) *cobra.Command {
	var (
		look lookFlags
		sel  selectionFlags
		raw  bool
	)
	c := &cobra.Command{
		Use:   "peek QUEUE",
		Short: "Messages, decoded: why they are there and when they are lost",
		Long: `Receives messages, gives them back, and prints them with every layer decoded: SNS
envelope, S3 event, gzip, base64 and more; why they failed, as far as they say; when
they expire. A selection limits what is printed, --limit what is looked at: 10 messages,
with a selection up to 100,000.

With -o json each message is one object a line, with the body as it is in the queue.

Exit codes: 0 looked · 1 could not look · 2 wrong usage · 4 refused (--access look).`,
		Example: `  kxops dlq peek orders-dlq
  kxops dlq peek orders-dlq --limit 100 --filter '.order.total > 100'
  kxops dlq peek orders-dlq --message-id 5f0c… --raw
  kxops dlq peek orders-dlq -o json | jq -c '{message_id, cause: .cause.title}'`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := firstError(look.check(), sel.check(c, false)); err != nil {
				return err
			}
			if !c.Flags().Changed("limit") && len(sel.given(c)) > 0 {
				look.limit = wholeQueue // what is looked for may be anywhere
			}
			return s.dlqPeek(c.Context(), args[0], look, sel, raw)
		},
	}
	look.register(c, 10, "look at so many messages at most; with a selection the default is 100000")
	c.Flags().BoolVar(&raw, "raw", false, "bodies as they are in the queue, nothing else (json: no layers)")
	sel.register(c)
	return c
}

func (s *session) dlqPeek(ctx context.Context, name string, f lookFlags, sel selectionFlags, raw bool) (err error) {
	b, err := s.toLook(ctx, name)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	pile, err := b.lookAndRelease(ctx, f)
	letters, selectErr := b.selected(pile, sel.of(b.queue))
	if selectErr != nil {
		return firstError(err, selectErr)
	}
	if !sel.of(b.queue).Empty() {
		b.say(fmt.Sprintf("%s of the %s looked at", thousands(len(letters)), thousands(len(pile.Letters()))) + holdsText(b.queue))
	}
	if err := b.printLetters(pile, letters, raw); err != nil {
		return err
	}
	return err
}

// lookAndRelease looks and gives everything back before a word is printed: what
// reads the output may be slow, and the messages are in memory. With an error the
// pile has what was read before it.
func (b *bench) lookAndRelease(ctx context.Context, f lookFlags) (*dlq.Pile, error) {
	pile, err := b.look(ctx, f)
	held, _ := pile.Held()
	if held > 0 && ctx.Err() == nil { // when interrupted, leave gives them back
		if releaseErr := pile.Release(ctx); err == nil && releaseErr != nil {
			err = releaseErr
		}
	}
	line := seenLine(b.queue, pile)
	if left, until := pile.Held(); left == 0 {
		line += "; all given back"
	} else if ctx.Err() != nil {
		line += "; giving back " + thousands(left)
	} else {
		line += fmt.Sprintf("; still held: %s, back by themselves at %s UTC", thousands(left), stamp(until))
	}
	b.say(line)
	return pile, err
}

// selected is what the selection means; none given means all that was looked at.
// A filter that failed on some messages did not decide about them: that is said.
func (b *bench) selected(pile *dlq.Pile, sel ops.Selection) ([]ops.Letter, error) {
	if sel.Empty() {
		return pile.Letters(), nil
	}
	found, err := pile.Sift(sel)
	if err == nil && found.Failed+found.NotJSON > 0 {
		line := fmt.Sprintf("the filter could not be asked about %s: %s are no JSON, on %s it failed", countOf(found.Failed+found.NotJSON, "message"),
			thousands(found.NotJSON), thousands(found.Failed))
		if found.Why != "" {
			line += " (" + found.Why + ")"
		}
		b.say(line)
	}
	return found.Letters, idsHint(err, sel.IDs, pile)
}

// nearestTo begins the hint about a message id that was not seen.
const nearestTo = "nearest to "

// idsHint keeps random ids out of an error: another id is worth a word only when
// what was given is its beginning.
func idsHint(err error, ids []string, pile *dlq.Pile) error {
	p := ops.AsProblem(err)
	if p == nil || len(ids) == 0 || !strings.HasPrefix(p.Hint, nearestTo) {
		return err
	}
	told := *p
	told.Hint = ""
	for _, l := range pile.Letters() {
		for _, id := range ids {
			if strings.HasPrefix(l.ID, id) && l.ID != id && told.Hint == "" {
				told.Hint = didYouMean + l.ID + "?"
			}
		}
	}
	return &told
}

// titled gives letters the titles of their groups, which say what sets a group
// apart from the others.
func titled(letters, all []ops.Letter) []ops.Letter {
	titles := map[string]string{}
	for _, g := range dlq.Groups(all) {
		for _, key := range g.Keys {
			titles[key] = g.Cause.Title
		}
	}
	out := slices.Clone(letters) // the pile's own are not written to
	for i, l := range out {
		if l.Cause == nil || titles[l.Cause.Key] == "" {
			continue
		}
		c := *l.Cause
		c.Title = titles[c.Key]
		out[i].Cause = &c
	}
	return out
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) printLetters(pile *dlq.Pile, letters []ops.Letter, raw bool) error {
	lines := json.NewEncoder(b.Out)
	lines.SetEscapeHTML(false)
	now := b.account.clock()
	for i, l := range titled(letters, pile.Letters()) {
		m, ok := pile.Message(l.ID)
		if !ok {
			return fmt.Errorf("message %s was looked at and is not in memory: this is a mistake in kxops, please report it", oneLine(l.ID))
		}
		var err error
		switch {
		case b.json():
			err = lines.Encode(newLetterReport(l, m, now, raw))
		case raw:
			_, err = fmt.Fprintln(b.Out, b.screenSafe(m.Body))
		default:
			p := b.paper()
			p.letter(l, m, now, fmt.Sprintf("%s of %s", thousands(i+1), thousands(len(letters))))
			err = b.printText(p.b.String())
		}
		if err != nil {
			return fmt.Errorf("write a message: %w", err)
		}
	}
	return nil
}

// screenSafe cleans a raw body for a terminal; into a file it goes as it is.
func (s *session) screenSafe(body string) string {
	if _, ok := isTerminal(s.Out); !ok {
		return body
	}
	lines := strings.Split(body, "\n")
	for i, l := range lines {
		lines[i] = text.Clean(l)
	}
	return strings.Join(lines, "\n")
}

// letterReport is one line of `kxops dlq peek -o json`: a contract with scripts.
type letterReport struct {
	Schema     string                   `json:"schema"` // kxops/letter/v1
	ID         string                   `json:"message_id"`
	Queue      ops.ARN                  `json:"queue"`
	Sent       *time.Time               `json:"sent_at"`
	Received   *time.Time               `json:"received_at"`
	Receives   *int                     `json:"receive_count"` // over all queues, this look included
	Group      string                   `json:"message_group_id,omitempty"`
	Source     ops.ARN                  `json:"source,omitempty"`
	Bytes      int                      `json:"size_bytes"`
	Sum        string                   `json:"body_md5"`
	Expires    *time.Time               `json:"expires_at"`
	Trims      bool                     `json:"expires_with_its_stream,omitempty"` // the queue keeps the message longer than the stream its records
	LossInS    *float64                 `json:"loss_in_s"`
	Failed     *time.Time               `json:"failed_at"`
	Event      string                   `json:"event,omitempty"`
	Origin     string                   `json:"origin,omitempty"`
	Harmless   string                   `json:"harmless,omitempty"`
	Truncated  bool                     `json:"truncated,omitempty"` // must not be replayed
	Cause      *causeReport             `json:"cause"`
	Layers     []layerReport            `json:"layers,omitempty"`
	System     map[string]string        `json:"system,omitempty"`
	Attributes map[string]ops.Attribute `json:"attributes,omitempty"`
	Body       string                   `json:"body"`
}

type causeReport struct {
	Key    string `json:"key"`
	Title  string `json:"title"`
	Stated bool   `json:"stated"` // false: made from origin, event and shape of the body
	Type   string `json:"type,omitempty"`
	Text   string `json:"text,omitempty"`
	Frame  string `json:"frame,omitempty"`
	Origin string `json:"origin,omitempty"`
	Event  string `json:"event,omitempty"`
}

type layerReport struct {
	Kind    string         `json:"kind"`
	Facts   []ops.Fact     `json:"facts"`
	Failure *failureReport `json:"failure,omitempty"`
	Pointer *pointerReport `json:"pointer,omitempty"`
	Body    *string        `json:"body,omitempty"`        // what is inside, where it is text
	Bytes   []byte         `json:"body_base64,omitempty"` // where it is not
	Parts   int            `json:"parts,omitempty"`
}

type failureReport struct {
	Type      string     `json:"type,omitempty"`
	Message   string     `json:"message,omitempty"`
	Stack     []string   `json:"stack,omitempty"`
	Function  ops.ARN    `json:"function,omitempty"`
	RequestID string     `json:"request_id,omitempty"`
	Condition string     `json:"condition,omitempty"`
	Attempts  *int       `json:"attempts"`
	At        *time.Time `json:"at"`
}

type pointerReport struct {
	Kind     ops.PointerKind `json:"kind"`
	Stream   ops.ARN         `json:"stream,omitempty"`
	Shard    string          `json:"shard,omitempty"`
	From     string          `json:"from,omitempty"`
	To       string          `json:"to,omitempty"`
	First    *time.Time      `json:"first_at"`
	Last     *time.Time      `json:"last_at"`
	Records  int             `json:"records,omitempty"`
	Bucket   string          `json:"bucket,omitempty"`
	Key      string          `json:"key,omitempty"`
	Function ops.ARN         `json:"function,omitempty"`
}

func newLetterReport(l ops.Letter, m ops.Message, now time.Time, raw bool) letterReport {
	r := letterReport{
		Schema: "kxops/letter/v1", ID: l.ID, Queue: m.Queue, Sent: when(l.Sent), Received: when(l.Seen), Receives: known(l.Receives),
		Group: l.Group, Source: l.Source, Bytes: l.Bytes, Sum: l.Sum, Expires: when(l.Expires), Trims: l.Trims, LossInS: leftS(l.Expires, now),
		Failed: when(l.Failed), Event: l.Event, Origin: l.Origin, Harmless: l.Harmless, Truncated: l.Lossy,
		Cause: newCauseReport(l.Cause), System: m.System, Attributes: m.Attributes, Body: m.Body,
	}
	if !raw {
		for _, layer := range payload.Peel(m) {
			r.Layers = append(r.Layers, newLayerReport(layer))
		}
	}
	return r
}

// known is a count that 0 means unknown for.
func known(n int) *int {
	if n <= 0 {
		return nil
	}
	return &n
}

func newCauseReport(c *ops.Cause) *causeReport {
	if c == nil {
		return nil
	}
	return &causeReport{c.Key, c.Title, c.Stated, c.Type, c.Text, c.Frame, c.Origin, c.Event}
}

func newLayerReport(l ops.Layer) layerReport {
	r := layerReport{Kind: l.Kind, Facts: l.Facts, Parts: len(l.Parts), Pointer: newPointerReport(l.Pointer)}
	if r.Facts == nil {
		r.Facts = []ops.Fact{}
	}
	if utf8.Valid(l.Body) && l.Body != nil {
		body := string(l.Body)
		r.Body = &body
	} else {
		r.Bytes = l.Body
	}
	if f := l.Failure; f != nil {
		r.Failure = &failureReport{f.Type, f.Message, f.Stack, f.Function, f.RequestID, f.Condition, known(f.Attempts), when(f.At)}
	}
	return r
}

func newPointerReport(p *ops.Pointer) *pointerReport {
	if p == nil {
		return nil
	}
	return &pointerReport{p.Kind, p.Stream, p.Shard, p.From, p.To, when(p.First), when(p.Last), p.Records, p.Bucket, p.Key, p.Function}
}

// letter writes one message for people.
func (p *printer) letter(l ops.Letter, m ops.Message, now time.Time, which string) {
	p.line(p.paint("1", which+"  "+named(l.ID)))
	field := func(name, value string) {
		if value != "" {
			p.folded(fmt.Sprintf("  %-9s ", name), oneLine(value))
		}
	}
	receives := "?"
	if l.Receives > 0 {
		receives = thousands(l.Receives)
	}
	field("sent", fmt.Sprintf("%s UTC, received %s times, %s", stamp(l.Sent), receives, countOf(l.Bytes, "byte")))
	left := lostIn(l.Expires, now)
	if l.Trims {
		left += ": then its stream trims the records that it points to"
	}
	field("lost in", left)
	field("from", string(l.Source))
	field("group", l.Group)
	if c := l.Cause; c != nil {
		field("cause", c.Key+"  "+c.Title)
	}
	field("harmless", l.Harmless)
	if l.Lossy {
		field("cut", "the producer cut this payload; it must not be replayed")
	}
	for _, n := range m.AttributeNames() {
		field("attribute", n+" ("+m.Attributes[n].Type+") "+attributeText(m.Attributes[n]))
	}
	layers := payload.Peel(m)
	for _, layer := range layers {
		p.layer(layer)
	}
	p.body(payload.Innermost(layers, m))
	p.b.WriteByte('\n')
}

func lostIn(expires, now time.Time) string {
	if expires.IsZero() {
		return "?"
	}
	return fmt.Sprintf("%s, at %s UTC", ends(expires, now), stamp(expires))
}

func attributeText(a ops.Attribute) string {
	if a.Bytes != nil {
		return countOf(len(a.Bytes), "byte")
	}
	return text.Bound(a.Text, 400)
}

func (p *printer) layer(l ops.Layer) {
	p.line("  " + p.paint("36", text.Clean(l.Kind)))
	for _, f := range l.Facts {
		p.folded("    "+text.Clean(f.Name)+": ", oneLine(text.Bound(f.Value, 2000)))
	}
}

// body writes a body line by line, JSON indented, bytes that are no text as hex.
func (p *printer) body(body []byte) {
	shown := body[:min(len(body), bodyShown)]
	var indented bytes.Buffer
	switch {
	case !utf8.Valid(body):
		shown = []byte(fmt.Sprintf("% x", body[:min(len(body), 256)]))
	case json.Indent(&indented, body, "", "  ") == nil && indented.Len() <= bodyShown:
		shown = indented.Bytes()
	}
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(shown), ""), "\n") {
		p.line("    " + text.Clean(line))
	}
	if len(body) > bodyShown {
		p.line(fmt.Sprintf("    … %s in all; --raw or -o json prints the rest", countOf(len(body), "byte")))
	}
}
