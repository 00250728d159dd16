package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/dlq"
)

func newDlqGroups(s *session) *cobra.Command {
	var look lookFlags
	var sel selectionFlags
	c := &cobra.Command{
		Use:   "groups QUEUE",
		Short: "Messages grouped by why they are there",
		Long: `Receives messages, gives them back, and groups them by cause: the error they state,
with ids, numbers and times taken out; where they state none, where they come from,
their event and the shape of their body. KEY is what --group takes.

Exit codes: 0 looked · 1 could not look · 2 wrong usage · 4 refused (--access look).`,
		Example: `  kxops dlq groups orders-dlq
  kxops dlq groups orders-dlq -o json | jq -r '.groups[0].cause.key'`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := firstError(look.check(), sel.check(c, false)); err != nil {
				return err
			}
			return s.dlqGroups(c.Context(), args[0], look, sel)
		},
	}
	look.register(c, 10_000, "look at so many messages at most")
	sel.register(c)
	return c
}

func (s *session) dlqGroups(ctx context.Context, name string, f lookFlags, sel selectionFlags) (err error) {
	b, err := s.toLook(ctx, name)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	pile, lookErr := b.lookAndRelease(ctx, f)
	letters, err := b.selected(pile, sel.of(b.queue))
	if err != nil {
		return firstError(lookErr, err)
	}
	r := newGroupsReport(b.queue, letters, b.account.clock())
	if s.json() {
		err = s.printJSON(r)
	} else {
		p := s.paper()
		p.groups(r)
		err = s.printText(p.b.String())
	}
	return firstError(err, lookErr)
}

// groupsReport is `kxops dlq groups -o json`: a contract with scripts.
type groupsReport struct {
	Schema   string        `json:"schema"` // kxops/groups/v1
	Queue    ops.ARN       `json:"queue"`
	At       time.Time     `json:"at"`
	Depth    *float64      `json:"depth"` // what the queue says it holds
	Messages int           `json:"messages"`
	Groups   []groupReport `json:"groups"`
}

type groupReport struct {
	Cause     causeReport `json:"cause"`
	Messages  int         `json:"messages"`
	Distinct  int         `json:"distinct"` // payloads that differ
	Bytes     int64       `json:"size_bytes"`
	FirstSent *time.Time  `json:"first_sent_at"`
	LastSent  *time.Time  `json:"last_sent_at"`
	Failed    *time.Time  `json:"last_failed_at"`
	FirstLoss *time.Time  `json:"first_loss_at"`
	LossInS   *float64    `json:"loss_in_s"`
	Sources   []ops.ARN   `json:"sources"`
	Sample    string      `json:"sample_message_id"`
	Harmless  int         `json:"harmless"`
	Pointers  int         `json:"pointers"`
}

func newGroupsReport(q ops.Queue, letters []ops.Letter, now time.Time) groupsReport {
	r := groupsReport{
		Schema: "kxops/groups/v1", Queue: q.ARN, At: now.UTC(), Depth: number(q.Depth()), Messages: len(letters), Groups: []groupReport{},
	}
	for _, g := range dlq.Groups(letters) {
		x := groupReport{
			Cause: *newCauseReport(&g.Cause), Messages: g.Count, Distinct: g.Distinct, Bytes: g.Bytes,
			FirstSent: when(g.FirstSent), LastSent: when(g.LastSent), Failed: when(g.LastFailed),
			FirstLoss: when(g.FirstLoss), LossInS: leftS(g.FirstLoss, now),
			Sources: append([]ops.ARN{}, g.Sources...), Sample: g.Sample, Harmless: g.Harmless, Pointers: g.Pointers,
		}
		r.Groups = append(r.Groups, x)
	}
	return r
}

func (p *printer) groups(r groupsReport) {
	p.line(fmt.Sprintf("%s · %s in %s", named(r.Queue.Name()), countOf(r.Messages, "message"), countOf(len(r.Groups), "group")))
	if len(r.Groups) == 0 {
		return
	}
	p.b.WriteByte('\n')
	rows := make([][]string, 0, len(r.Groups))
	for _, g := range r.Groups {
		loss := "?"
		if g.LossInS != nil {
			loss = ops.Span(*g.LossInS)
		}
		rows = append(rows, []string{
			thousands(g.Messages), thousands(g.Distinct), loss, sentWord(g.FirstSent), sentWord(g.LastSent), named(g.Cause.Key), oneLine(g.Cause.Title),
		})
	}
	p.aligned([]string{"COUNT", "DISTINCT", "LOSS IN", "FIRST SENT", "LAST SENT", "KEY", "CAUSE"}, rows)
	p.b.WriteByte('\n')
	for _, g := range r.Groups {
		p.folded("  "+named(g.Cause.Key)+"  ", oneLine(g.note()))
	}
}

// note is what does not fit into a row: a sample to look at and what is special.
func (g groupReport) note() string {
	note := "sample " + g.Sample
	for _, s := range g.Sources {
		note += " · from " + s.Name()
	}
	if g.Harmless > 0 {
		note += fmt.Sprintf(" · %s harmless", thousands(g.Harmless))
	}
	if g.Pointers > 0 {
		note += fmt.Sprintf(" · %s to data elsewhere", countOf(g.Pointers, "pointer"))
	}
	return note
}

func sentWord(t *time.Time) string {
	if t == nil {
		return "?"
	}
	return t.UTC().Format("01-02 15:04:05Z")
}
