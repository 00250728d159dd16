package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/survey"
	"kxops/ui/text"
)

func newDlqLs(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "Every dead-letter queue: depth, in flight, oldest, sources, first loss in",
		Long: `Lists every queue that something sends dead letters to, by redrive policy, Lambda,
SNS or a mapping, the first loss on top. It reads lists and numbers only; no message
is touched.

Exit codes: 0 looked · 1 could not look · 3 some section could not be read.`,
		Example: "  kxops dlq ls\n  kxops dlq ls -o json | jq '.queues[] | select(.depth > 0) | .name'",
		Args:    takes(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return s.dlqLs(c.Context()) },
	}
}

func (s *session) dlqLs(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	a, err := s.reach(ctx)
	if err != nil {
		return err
	}
	snapshot := a.collect(ctx, survey.Ask{}, nil)
	if err := ctx.Err(); err != nil {
		return err
	}
	if p := snapshot.Queues.Problem; p != nil && snapshot.Queues.At.IsZero() {
		return p
	}
	r := newQueuesReport(snapshot, a.clock())
	if s.json() {
		err = s.printJSON(r)
	} else {
		p := s.paper()
		p.queues(r, snapshot)
		err = s.printText(p.b.String())
	}
	if err == nil && snapshot.Partial() {
		return &exitWith{code: exitPartial}
	}
	return err
}

// queuesReport is `kxops dlq ls -o json`: a contract with scripts.
type queuesReport struct {
	Schema   string          `json:"schema"` // kxops/dead_letter_queues/v1
	At       time.Time       `json:"at"`
	Account  accountReport   `json:"account"`
	Partial  bool            `json:"partial"`
	Queues   []queueReport   `json:"queues"`
	Sections []sectionReport `json:"sections"`
}

type queueReport struct {
	ARN        ops.ARN        `json:"arn"`
	URL        string         `json:"url"`
	Name       string         `json:"name"`
	FIFO       bool           `json:"fifo"`
	Depth      *float64       `json:"depth"` // visible, in flight and delayed
	Visible    *float64       `json:"visible"`
	InFlight   *float64       `json:"in_flight"`
	OldestS    *float64       `json:"oldest_age_s"` // since it came into this queue
	RetentionS float64        `json:"retention_s"`
	LossInS    *float64       `json:"loss_in_s"`
	WorstCase  bool           `json:"worst_case"` // loss_in_s assumes the worst
	Motion     ops.Motion     `json:"motion"`
	Why        string         `json:"why,omitempty"` // the arithmetic of loss_in_s
	Sources    []sourceReport `json:"sources"`
}

type sourceReport struct {
	Via  ops.DeadLetterVia `json:"via"`
	ARN  ops.ARN           `json:"arn"`
	Name string            `json:"name"`
}

func newQueuesReport(s ops.Snapshot, now time.Time) queuesReport {
	r := queuesReport{
		Schema: "kxops/dead_letter_queues/v1", At: s.At.UTC(), Partial: s.Partial(), Queues: []queueReport{},
		Account: accountReport{s.Identity.Account, s.Identity.Alias, s.Identity.Region, s.Identity.Profile, s.Identity.Who},
	}
	for _, q := range s.Queues.Items {
		if q.IsDeadLetter() {
			r.Queues = append(r.Queues, newQueueReport(q, now))
		}
	}
	slices.SortStableFunc(r.Queues, firstLossFirst)
	for _, x := range s.Sections() {
		r.Sections = append(r.Sections, sectionReport{x.Name, x.Count, x.Known, when(x.At), x.Partial, newProblemReport(x.Problem)})
	}
	return r
}

func newQueueReport(q ops.Queue, now time.Time) queueReport {
	loss := ops.QueueLoss(q, now)
	r := queueReport{
		ARN: q.ARN, URL: q.URL, Name: q.Name, FIFO: q.FIFO, RetentionS: q.Retention.Seconds(),
		Depth: number(q.Depth()), Visible: number(q.Measures.Last(ops.Visible)), InFlight: number(q.Measures.Last(ops.InFlight)),
		OldestS: number(q.Measures.Last(ops.OldestAge)), LossInS: number(loss.In), WorstCase: loss.WorstCase,
		Motion: loss.Motion, Why: loss.Why, Sources: []sourceReport{},
	}
	if r.Depth != nil && *r.Depth == 0 { // what an empty queue last said about its oldest message is over
		r.OldestS, r.LossInS = nil, nil
	}
	for _, d := range q.DeadLetterOf {
		r.Sources = append(r.Sources, sourceReport{d.Via, d.Source, d.Source.Name()})
	}
	return r
}

// firstLossFirst sorts by the time to the first loss; then what holds messages
// whose end is unknown, then what is unknown altogether, then the empty ones.
func firstLossFirst(a, b queueReport) int {
	rank := func(q queueReport) int {
		switch {
		case q.LossInS != nil:
			return 0
		case q.Depth != nil && *q.Depth > 0:
			return 1
		case q.Depth == nil:
			return 2
		}
		return 3
	}
	loss := func(q queueReport) float64 {
		if q.LossInS == nil {
			return 0
		}
		return *q.LossInS
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(loss(a), loss(b)), cmp.Compare(a.Name, b.Name))
}

func (p *printer) queues(r queuesReport, s ops.Snapshot) {
	p.line(place(s.Identity) + " · " + countOf(len(r.Queues), "dead-letter queue") + " · " + asOf(s))
	for _, x := range s.Sections() {
		if x.Problem != nil {
			p.folded("not read: "+x.Name+": ", oneLine(x.Problem.Error())+asOfEarlier(x))
		} else if x.Partial {
			p.line(fmt.Sprintf("not read whole: %s: %d of %d", x.Name, x.Count, x.Known))
		}
	}
	if len(r.Queues) == 0 {
		if r.Partial {
			p.line("in what could be read there is no dead-letter queue; the rest is unknown")
			return
		}
		p.line("nothing here has a dead-letter queue")
		return
	}
	p.b.WriteByte('\n')
	worst := false
	rows := make([][]string, 0, len(r.Queues))
	for _, q := range r.Queues {
		rows = append(rows, []string{q.lossWord(), q.countWord(q.Depth), q.countWord(q.InFlight), q.oldestWord(), named(q.Name), q.sourcesWord()})
		worst = worst || q.WorstCase && q.LossInS != nil
	}
	p.aligned([]string{"LOSS IN", "DEPTH", "IN FLIGHT", "OLDEST", "NAME", "DEAD LETTERS OF"}, rows)
	if worst {
		p.line("* at worst: a message in a standard dead-letter queue may have spent its source's whole retention before; `kxops dlq groups` tells exactly")
	}
}

// asOfEarlier says that a section that could not be read is shown as an earlier
// look left it.
func asOfEarlier(x ops.SectionState) string {
	if x.At.IsZero() {
		return ""
	}
	return "; shown as of " + stamp(x.At) + " UTC"
}

func (q queueReport) empty() bool { return q.Depth != nil && *q.Depth == 0 }

func (q queueReport) lossWord() string {
	switch {
	case q.empty():
		return "-"
	case q.LossInS == nil:
		return "?"
	case *q.LossInS <= 0:
		return "now" + q.star()
	}
	return ops.Span(*q.LossInS) + q.star()
}

func (q queueReport) star() string {
	if q.WorstCase {
		return "*"
	}
	return ""
}

func (q queueReport) countWord(v *float64) string {
	if v == nil {
		return "?"
	}
	return thousands(int(*v))
}

func (q queueReport) oldestWord() string {
	switch {
	case q.empty():
		return "-"
	case q.OldestS == nil:
		return "?"
	}
	return ops.Span(*q.OldestS)
}

// sourcesWord names what sends here; two mechanisms of one source are one name.
func (q queueReport) sourcesWord() string {
	var names []string
	for _, s := range q.Sources {
		if n := named(s.Name); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return text.Cut(strings.Join(names, ", "), maxNameAt)
}
