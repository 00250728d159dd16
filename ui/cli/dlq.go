package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/dlq"
	"kxops/ui/text"
)

const (
	// releaseTimeout is how long leaving may take: giving leases back is a call for
	// each ten messages, and what is not given back comes back by itself.
	releaseTimeout = 15 * time.Second

	// wholeQueue is the most that is looked at for a change: the in-flight limit of
	// SQS is 120,000 messages, and a pile of 100,000 has to fit into memory.
	wholeQueue = 100_000

	leastLease = time.Second
)

// dlqCommands is THE list of what can be done with dead letters.
var dlqCommands = []func(*session) *cobra.Command{
	newDlqLs,
	newDlqPeek,
	newDlqGroups,
	newDlqRedrive,
	newDlqArchive,
	newDlqRestore,
	newDlqExport,
	newDlqImport,
	newDlqEdit,
	newDlqTasks,
	newDlqCancel,
	newDlqResume,
	newDlqRetention,
	newDlqPointer,
}

func newDlq(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "dlq",
		Short: "Dead letters: look without harm, understand, redrive without loss",
		Long: `Works on dead-letter queues. QUEUE is a name, a URL or an ARN.

SQS has no peek: every look receives the messages, holds them for a moment and gives
them back. What that costs is said first, on stderr.

What changes something is a plan first: printed whole, asked about, then applied. It
needs --access change; --dry-run stops after the plan, --yes does not ask.`,
		Example: `  kxops dlq ls
  kxops dlq groups orders-dlq
  kxops dlq peek orders-dlq --limit 5 -o json
  kxops dlq redrive orders-dlq --group KEY --dry-run
  kxops --access change dlq redrive orders-dlq --group KEY --canary`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, add := range dlqCommands {
		c.AddCommand(add(s))
	}
	return c
}

// bench is one dlq command at work: a desk and the queue that was named.
type bench struct {
	*session
	account *account
	desk    *dlq.Desk
	queue   ops.Queue
	gone    bool // left at once: nothing is given back, the leases end by themselves
}

// atDesk opens the account's desk. The caller leaves it with leave.
func (s *session) atDesk(ctx context.Context) (*bench, error) {
	a, err := s.reach(ctx)
	if err != nil {
		return nil, err
	}
	d, err := a.desk(ctx)
	if err != nil {
		return nil, err
	}
	return &bench{session: s, account: a, desk: d}, nil
}

// atQueue opens the desk and finds the queue that was named.
func (s *session) atQueue(ctx context.Context, name string) (*bench, error) {
	b, err := s.atDesk(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if b.queue, err = b.desk.Queue(ctx, name); err != nil {
		return nil, b.suggested(ctx, name, err)
	}
	return b, nil
}

// didYouMean begins the hint about a queue that is not there.
const didYouMean = "did you mean "

// suggested leaves of the names that are offered those which a person can have
// meant, dead-letter queues first.
func (b *bench) suggested(ctx context.Context, name string, err error) error {
	p := ops.AsProblem(err)
	offered, ok := strings.CutPrefix(p.Hint, didYouMean)
	if !ok || p.Fault != ops.FaultNotFound {
		return err
	}
	var dead, others []string
	for _, n := range ops.Near(name, strings.Split(strings.TrimSuffix(offered, "?"), ", "), 3) {
		if q, err := b.desk.Queue(ctx, n); err == nil && q.IsDeadLetter() {
			dead = append(dead, n)
		} else { // also where it cannot be told: the name is there
			others = append(others, n)
		}
	}
	told := *p
	told.Hint = "`kxops dlq ls` lists the dead-letter queues"
	if near := append(dead, others...); len(near) > 0 {
		told.Hint = didYouMean + orList(near) + "?"
	}
	return &told
}

// warnLive says that a queue is none of dead letters: what is in it may be work
// that waits for its consumer.
func (b *bench) warnLive() {
	switch q := b.queue; {
	case q.IsDeadLetter():
	case q.RedriveTo != "":
		b.say("warning: " + q.Name + " is no dead-letter queue: it has one itself, " + q.RedriveTo.Name() + ", and its messages wait for their consumer")
	default:
		b.say("warning: no queue names " + q.Name + " in its redrive policy: if no function or topic sends its failures there, it is no dead-letter queue")
	}
}

// toLook opens the desk at a queue whose messages are to be received.
func (s *session) toLook(ctx context.Context, name string) (*bench, error) {
	b, err := s.atQueue(ctx, name)
	if err != nil {
		return nil, err
	}
	return b, b.mayLook()
}

// leave gives back everything that is held and joins what went wrong with it to
// the command's own error. The command's context may be over: that is why.
func (b *bench) leave(err *error) {
	if b.gone {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if e := b.account.releaseDesk(ctx); e != nil {
		*err = errors.Join(*err, fmt.Errorf("give the messages back: %w; their leases end by themselves", e))
	}
}

// lookFlags say how a look is done.
type lookFlags struct {
	limit int
	lease spanFlag
}

func (f *lookFlags) register(c *cobra.Command, limit int, what string) {
	c.Flags().IntVar(&f.limit, "limit", limit, what)
	c.Flags().Var(&f.lease, "lease", "hold the messages at most so long while looking, 1s to 12h; default: as long as the look should take")
}

func (f *lookFlags) check() error {
	switch {
	case f.limit < 1 || f.limit > wholeQueue:
		return wrongUsage(fmt.Sprintf("--limit must be 1 to %d", wholeQueue))
	case f.lease != 0 && (time.Duration(f.lease) < leastLease || time.Duration(f.lease) > ops.MaxVisibility):
		return wrongUsage(fmt.Sprintf("--lease must be %s to %s", ops.Span(leastLease.Seconds()), ops.Span(ops.MaxVisibility.Seconds())))
	}
	return nil
}

// look says what looking costs, looks, and says what was seen. The pile is never
// nil; with an error it holds what was read before it.
func (b *bench) look(ctx context.Context, f lookFlags) (*dlq.Pile, error) {
	l := dlq.Look{Limit: enough(f.limit, b.queue), Lease: time.Duration(f.lease)}
	b.say(costLines(b.queue, b.desk.Cost(b.queue, l))...)
	bar := b.progressLine()
	defer bar.end()
	return b.desk.Look(ctx, b.queue, l, func(p ops.LookProgress) { bar.show(lookLine(p)) })
}

// enough is the limit of a look that is to see the whole queue: half as much again
// as the queue says it holds. A look for more would take longer leases than needed.
func enough(limit int, q ops.Queue) int {
	const margin = 100
	depth, ok := q.Depth().Value()
	if !ok {
		return limit
	}
	return min(limit, int(depth)+int(depth)/2+margin)
}

// say talks: one sentence a line on stderr, cleaned, for it may quote others.
func (s *session) say(lines ...string) {
	for _, l := range lines {
		fmt.Fprintln(s.Err, text.Clean(l))
	}
}

// costLines is the peek budget, said before the first receive.
func costLines(q ops.Queue, c ops.PeekCost) []string {
	lines := []string{fmt.Sprintf("looking at %s: up to %s, about %s, %s", q.Name, countOf(c.Messages, "message"), countOf(c.Calls, "call"), dollars(c.USD))}
	if c.FromMemory {
		lines[0] = fmt.Sprintf("%s was looked at twice already: this is what was seen then", q.Name)
	}
	for _, w := range c.Warnings {
		lines = append(lines, "  "+w)
	}
	return lines
}

func lookLine(p ops.LookProgress) string {
	line := fmt.Sprintf("read %s, holding %s", thousands(p.Read), thousands(p.Held))
	if p.Want > 0 {
		line = fmt.Sprintf("read %s of %s, holding %s", thousands(p.Read), thousands(p.Want), thousands(p.Held))
	}
	if p.Note != "" {
		line += "; " + p.Note
	}
	return line
}

// seenLine says how much of the queue was seen: a sample must not pass for all.
func seenLine(q ops.Queue, pile *dlq.Pile) string {
	line := fmt.Sprintf("saw %s of %s", countOf(pile.Len(), "message"), q.Name) + holdsText(q)
	if missed := pile.Missed(); missed != "" {
		line += "; " + missed
	}
	return line
}

// holdsText is what the queue says of itself, "" when it is not known.
func holdsText(q ops.Queue) string {
	if depth, ok := q.Depth().Value(); ok {
		return fmt.Sprintf("; the queue holds about %s", thousands(int(depth)))
	}
	return ""
}

// dollars is an amount of USD; what is not worth a ten-thousandth is no zero.
func dollars(usd float64) string {
	if usd > 0 && usd < 0.0001 {
		return "under $0.0001"
	}
	return fmt.Sprintf("$%.4f", usd)
}

// countOf is a count with its noun: "1 message", "1,204 messages".
func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// thousands groups the digits of a count: 12,345.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// printText writes a text answer.
func (s *session) printText(text string) error {
	if _, err := io.WriteString(s.Out, text); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// paper is a printer as wide and as coloured as stdout allows.
func (s *session) paper() *printer {
	width, ok := isTerminal(s.Out)
	if !ok {
		width = 0
	}
	return &printer{width: width, color: s.colored(s.Out)}
}

// aligned writes rows under heads, in columns. The last column takes what is
// left of a narrow terminal and is cut.
func (p *printer) aligned(heads []string, rows [][]string) {
	widths := make([]int, len(heads))
	for _, row := range append([][]string{heads}, rows...) {
		for i, c := range row {
			widths[i] = max(widths[i], text.Width(c))
		}
	}
	for i, row := range append([][]string{heads}, rows...) {
		var b strings.Builder
		for j, c := range row {
			b.WriteString(c)
			if j < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[j]-text.Width(c)+between))
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if p.width > 0 {
			line = text.Cut(line, p.width)
		}
		if i == 0 {
			line = p.paint("2", line)
		}
		p.b.WriteString(line + "\n")
	}
}

// named cuts a name that came from outside to what a cell may hold.
func named(name string) string { return text.Cut(text.Clean(text.Bound(name, maxNameAt)), maxNameAt) }

// countOr is a reading that counts, "?" when unknown.
func countOr(r ops.Reading) string {
	if v, ok := r.Value(); ok {
		return thousands(int(v))
	}
	return "?"
}

// ends counts down to a moment: "3d4h", "now" when it has passed, "?" when unknown.
func ends(at, now time.Time) string {
	switch {
	case at.IsZero():
		return "?"
	case !at.After(now):
		return "now"
	}
	return ops.Span(at.Sub(now).Seconds())
}

// leftS is the same for scripts: seconds, never negative, null when unknown.
func leftS(at, now time.Time) *float64 {
	if at.IsZero() {
		return nil
	}
	v := rounded(max(at.Sub(now).Seconds(), 0))
	return &v
}

// zoned is a moment in a table: UTC to the second, and it says so.
const zoned = "2006-01-02 15:04:05Z"

// moment is a moment in a table, "?" when unknown.
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "?"
	}
	return t.UTC().Format(zoned)
}

// stamp is a moment as text: UTC to the second, "?" when unknown.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.UTC().Format(time.DateTime)
}
