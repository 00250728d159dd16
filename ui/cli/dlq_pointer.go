package cli

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/dlq"
	"kxops/ops/payload"
)

// pointerFlags are what `kxops dlq pointer` takes.
type pointerFlags struct {
	look   lookFlags
	id     string
	fetch  bool
	poison bool
	out    string
}

func newDlqPointer(s *session) *cobra.Command {
	var f pointerFlags
	c := &cobra.Command{
		Use:   "pointer QUEUE",
		Short: "Where a message only points at its data: is it still there, how long, what is it",
		Long: `A dead letter of a Kinesis or DynamoDB mapping has no data in it, only shard and sequence
numbers; the data is gone when the stream trims. This says how long that is, --fetch
reads the records, --out writes them into a new file, one JSON object a line.

--poison finds the record that makes the consumer fail, by invoking it with halves of
the range: it works on the other records again. That is a change: it needs
--access change, and asks.`,
		Example: `  kxops dlq pointer payments-failures --message-id 5f0c…
  kxops dlq pointer payments-failures --message-id 5f0c… --fetch --out rescued.jsonl
  kxops --access change dlq pointer payments-failures --message-id 5f0c… --poison`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case f.id != "" && checkMessageID(f.id) != nil:
				return checkMessageID(f.id)
			case f.id == "":
				return wrongUsage("--message-id ID is missing: `kxops dlq peek " + args[0] + "` lists the messages")
			case c.Flags().Changed("out") && f.out == "":
				return wrongUsage("--out needs the name of a file")
			}
			if err := f.look.check(); err != nil {
				return err
			}
			f.fetch = f.fetch || f.out != ""
			return s.dlqPointer(c.Context(), args[0], f)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.id, "message-id", "", "the message that points")
	fs.BoolVar(&f.fetch, "fetch", false, "read what it points at, and print it")
	fs.BoolVar(&f.poison, "poison", false, "find the record that makes the consumer fail, by invoking the consumer")
	fs.StringVar(&f.out, "out", "", "write what it points at into this new file instead")
	f.look.register(c, wholeQueue, "look at so many messages at most to find it")
	return c
}

func (s *session) dlqPointer(ctx context.Context, queue string, f pointerFlags) (err error) {
	b, err := s.toLook(ctx, queue)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	m, err := b.oneMessage(ctx, f.look, f.id)
	if err != nil {
		return err
	}
	pointer := payload.Summary(payload.Peel(m)).Pointer
	if pointer == nil {
		return &ops.Problem{Fault: ops.FaultNotFound, What: "message " + f.id + " points at nothing: its data is in its body", Hint: "kxops dlq peek " + b.queue.Name + " --message-id " + f.id}
	}
	r, err := b.desk.Resolve(ctx, *pointer)
	if err != nil {
		return err
	}
	if f.fetch && !r.Gone {
		if r, err = b.desk.Fetch(ctx, *pointer); err != nil {
			return err
		}
	}
	report := newRangeReport(f.id, r, b.account.clock())
	if f.out != "" && len(r.Records) > 0 {
		if err := b.desk.ArchiveRange(r, f.out); err != nil {
			return neverOverwritten(f.out, err)
		}
		b.say(fmt.Sprintf("wrote %s into %s", countOf(len(r.Records), "record"), f.out))
		report.Records = nil
	}
	if f.poison && !r.Gone {
		if report.Poison, err = b.poison(ctx, *pointer); err != nil {
			return err
		}
	}
	if s.json() {
		err = s.printJSON(report)
	} else {
		p := s.paper()
		p.pointer(report)
		err = s.printText(p.b.String())
	}
	if err == nil && (r.Gone || f.fetch && !r.Complete) {
		return &exitWith{code: exitPartial}
	}
	return err
}

// oneMessage looks until the message is found, and gives everything back.
func (b *bench) oneMessage(ctx context.Context, f lookFlags, id string) (ops.Message, error) {
	pile, err := b.look(ctx, f)
	m, ok := pile.Message(id)
	switch {
	case ok:
		return m, pile.Release(ctx)
	case err != nil:
		return m, err
	}
	_, err = pile.Select(ops.Selection{IDs: []string{id}})
	if err != nil {
		return m, idsHint(err, []string{id}, pile)
	}
	return m, &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("message %s was not seen in %s", id, b.queue.Name), Hint: seenLine(b.queue, pile)}
}

// poison asks, and then finds the record that fails.
func (b *bench) poison(ctx context.Context, p ops.Pointer) (*recordReport, error) {
	question := fmt.Sprintf("invoke %s with parts of these records until the one that fails is found? it works on the others again", p.Function.Name())
	if b.dryRun {
		b.say("would " + question)
		return nil, nil
	}
	if err := b.mayChange(); err != nil {
		return nil, err
	}
	if err := b.sure(ctx, question+" y/N ", "y", "yes"); err != nil {
		return nil, err
	}
	found, err := b.desk.Poison(ctx, p, func(step string) { b.say(step) })
	if err != nil {
		return nil, err
	}
	r := newRecordReport(found)
	return &r, nil
}

// rangeReport is `kxops dlq pointer -o json`: a contract with scripts.
type rangeReport struct {
	Schema   string         `json:"schema"` // kxops/pointer/v1
	ID       string         `json:"message_id"`
	Pointer  *pointerReport `json:"pointer"`
	TrimsAt  *time.Time     `json:"trims_at"`
	TrimsInS *float64       `json:"trims_in_s"`
	Gone     bool           `json:"gone"`
	Why      string         `json:"why,omitempty"`
	Complete *bool          `json:"complete"` // null: nothing was read
	Records  []recordReport `json:"records,omitempty"`
	Poison   *recordReport  `json:"poison,omitempty"`
	Next     []string       `json:"next,omitempty"`
}

type recordReport struct {
	Sequence string     `json:"sequence,omitempty"`
	Key      string     `json:"key,omitempty"`
	At       *time.Time `json:"at"`
	Data     []byte     `json:"data_base64"`
}

func newRecordReport(r dlq.Record) recordReport {
	return recordReport{r.Sequence, r.Key, when(r.At), r.Data}
}

func newRangeReport(id string, r dlq.Range, now time.Time) rangeReport {
	x := rangeReport{
		Schema: "kxops/pointer/v1", ID: id, Pointer: newPointerReport(&r.Pointer), TrimsAt: when(r.TrimsAt), TrimsInS: leftS(r.TrimsAt, now),
		Gone: r.Gone, Why: oneLine(r.Why),
	}
	if r.Complete || len(r.Records) > 0 {
		x.Complete = &r.Complete
	}
	if !r.Gone {
		x.Next = []string{replayLine(r.Pointer)}
	}
	for _, record := range r.Records {
		x.Records = append(x.Records, newRecordReport(record))
	}
	return x
}

func (p *printer) pointer(r rangeReport) {
	p.line(p.paint("1", named(r.ID)))
	field := func(name, value string) {
		if value != "" {
			p.folded(fmt.Sprintf("  %-9s ", name), oneLine(value))
		}
	}
	x := r.Pointer
	field("points at", pointerText(x))
	field("shard", x.Shard)
	if x.From != "" {
		field("range", x.From+" to "+x.To)
	}
	field("consumer", string(x.Function))
	switch {
	case r.Gone:
		field("gone", r.Why)
	case r.TrimsInS != nil:
		field("gone in", fmt.Sprintf("%s, at %s UTC", ops.Span(*r.TrimsInS), stamp(*r.TrimsAt)))
		field("but", r.Why)
	default:
		field("gone in", "?")
		field("but", r.Why)
	}
	if r.Complete != nil && !*r.Complete {
		field("read", "in part only")
	}
	for i, record := range r.Records {
		p.record(fmt.Sprintf("record %d of %d", i+1, len(r.Records)), record)
	}
	if r.Poison != nil {
		p.record("this record makes the consumer fail", *r.Poison)
	}
	p.sentences("next", "", r.Next)
}

// replayLine is the command that plans to send again what the pointer points at.
func replayLine(x ops.Pointer) string {
	from, sel := x.Replay()
	line := "kxops replay plan --from " + shellWord(from)
	for _, f := range []struct{ name, value string }{{"shard", sel.Shard}, {"from-sequence", sel.First}, {"to-sequence", sel.Last}} {
		if f.value != "" {
			line += " --" + f.name + " " + shellWord(f.value)
		}
	}
	return line + " --to null:"
}

func pointerText(x *pointerReport) string {
	if x.Kind == ops.S3Object {
		return "s3://" + x.Bucket + "/" + x.Key
	}
	text := string(x.Stream)
	if x.Records > 0 {
		text = countOf(x.Records, "record") + " of " + text
	}
	return text
}

func (p *printer) record(head string, r recordReport) {
	at := ""
	if r.At != nil {
		at = ", " + stamp(*r.At) + " UTC"
	}
	p.line(p.paint("2", oneLine(fmt.Sprintf("%s: key %q, sequence %s%s, %s", head, r.Key, r.Sequence, at, countOf(len(r.Data), "byte")))))
	if utf8.Valid(r.Data) {
		p.body(r.Data)
		return
	}
	p.body(payload.Innermost(payload.Peel(ops.Message{Body: string(r.Data)}), ops.Message{Body: string(r.Data)}))
}
