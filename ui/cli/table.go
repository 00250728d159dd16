package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/colorprofile"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

const (
	calmRows  = 20  // calm resources that are listed before the rest is counted
	maxNameAt = 128 // cells of a name where nothing else limits it: names come from outside
)

func (s *session) printStatus(snapshot ops.Snapshot, verdicts []alarms.Verdict, all bool) error {
	if s.json() {
		return s.printJSON(newStatusReport(snapshot, verdicts))
	}
	width, ok := isTerminal(s.Out)
	if !ok {
		width = 0
	}
	p := printer{width: width, color: s.colored(s.Out)}
	p.status(snapshot, verdicts, all)
	_, err := io.WriteString(s.Out, p.b.String())
	return err
}

// colored reports whether colour codes may be written to a stream: a terminal
// that can, and nobody who asked for none.
func (s *session) colored(out io.Writer) bool {
	if _, ok := isTerminal(out); !ok {
		return false
	}
	return colorprofile.Env(os.Environ()) > colorprofile.ASCII
}

// printer writes text for people; width 0 is no limit.
type printer struct {
	b     strings.Builder
	width int
	color bool
}

// line writes one line that fits.
func (p *printer) line(s string) {
	if p.width > 0 {
		s = text.Cut(s, p.width)
	}
	p.b.WriteString(s)
	p.b.WriteByte('\n')
}

// paint puts colour on a word. The word says the same without it.
func (p *printer) paint(code, word string) string {
	if !p.color || code == "" {
		return word
	}
	return "\x1b[" + code + "m" + word + "\x1b[0m"
}

func stateColor(s alarms.State) string {
	switch s {
	case alarms.StatePage:
		return "1;31"
	case alarms.StateTicket, alarms.StateDenied:
		return "33"
	case alarms.StateOK:
		return "32"
	}
	return "2"
}

func (p *printer) status(s ops.Snapshot, verdicts []alarms.Verdict, all bool) {
	p.line(place(s.Identity) + " · " + counts(verdicts) + " · " + asOf(s))
	for _, x := range s.Sections() {
		if x.Problem != nil {
			p.folded("not read: "+x.Name+": ", oneLine(x.Problem.Error()))
		} else if x.Partial {
			p.line(fmt.Sprintf("not read whole: %s: %d of %d", x.Name, x.Count, x.Known))
		}
	}
	if len(verdicts) == 0 {
		if s.Partial() {
			p.line("in what could be read there is nothing that can lose data; the rest is unknown")
			return
		}
		p.line("found nothing that can lose data")
		return
	}
	p.b.WriteByte('\n')
	shown, calm := verdicts, 0
	if !all {
		shown, calm = withoutCalm(verdicts)
	}
	p.table(shown)
	if calm > 0 {
		p.line(fmt.Sprintf("and %d more that are calm; --all shows them", calm))
	}
	for _, v := range shown {
		if v.Loss.WorstCase {
			p.line("* at worst: a message in a standard dead-letter queue may have spent its source's whole retention before")
			break
		}
	}
}

// withoutCalm leaves out all but the first calm resources; calm ones come last.
func withoutCalm(verdicts []alarms.Verdict) (shown []alarms.Verdict, calm int) {
	for i, v := range verdicts {
		if v.State == alarms.StateOK || v.State == alarms.StateAsleep {
			keep := min(len(verdicts), i+calmRows)
			return verdicts[:keep], len(verdicts) - keep
		}
	}
	return verdicts, 0
}

func place(id ops.Identity) string {
	account := id.Account
	switch {
	case account == "":
		account = "account ?"
	case id.Alias != "":
		account += " " + text.Clean(id.Alias)
	}
	return account + " " + id.Region
}

func counts(verdicts []alarms.Verdict) string {
	n := map[alarms.State]int{}
	for _, v := range verdicts {
		n[v.State]++
	}
	words := []string{}
	for _, s := range []alarms.State{alarms.StatePage, alarms.StateTicket, alarms.StateDenied, alarms.StateUnknown, alarms.StateOK, alarms.StateAsleep} {
		if n[s] > 0 {
			words = append(words, fmt.Sprintf("%d %s", n[s], stateWord(s)))
		}
	}
	if len(words) == 0 {
		return "0 resources"
	}
	return strings.Join(words, ", ")
}

func asOf(s ops.Snapshot) string {
	return fmt.Sprintf("%s UTC, took %s, cost $%.4f", s.At.UTC().Format(time.DateTime), took(s.At.Sub(s.Started)), s.Spend.USD)
}

func took(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return ops.Span(d.Seconds())
}

// column is one column of the table. On a narrow terminal the column with the
// largest rank is left out first; rank 0 stays and is cut.
type column struct {
	head string
	rank int
	cell func(alarms.Verdict) string
}

var columns = []column{
	{"STATE", 0, func(v alarms.Verdict) string { return string(v.State) }},
	{"LOSS IN", 0, lossIn},
	{"KIND", 2, kindWord},
	{"NAME", 0, func(v alarms.Verdict) string { return text.Cut(text.Clean(text.Bound(v.Name, maxNameAt)), maxNameAt) }},
	{"NOW", 1, func(v alarms.Verdict) string { return v.Headline }},
	{"LIMIT", 3, func(v alarms.Verdict) string { return v.Limit }},
}

const nameColumn = 3

// kindWord tells dead-letter queues from others: they are looked for by eye.
func kindWord(v alarms.Verdict) string {
	if v.DeadLetter {
		return "dlq"
	}
	return string(v.Kind)
}

// lossIn is the time to the first loss; "-" when nothing is at risk.
func lossIn(v alarms.Verdict) string {
	in, ok := v.Loss.In.Value()
	switch {
	case !ok && (v.State == alarms.StateUnknown || v.State == alarms.StateDenied):
		return "?"
	case !ok:
		return "-"
	case in <= 0:
		return "now"
	case v.Loss.WorstCase:
		return ops.Span(in) + "*"
	}
	return ops.Span(in)
}

func (p *printer) table(verdicts []alarms.Verdict) {
	cells := make([][]string, len(verdicts))
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = len(c.head)
	}
	for r, v := range verdicts {
		cells[r] = make([]string, len(columns))
		for i, c := range columns {
			cells[r][i] = c.cell(v)
			widths[i] = max(widths[i], text.Width(cells[r][i]))
		}
	}
	p.fit(widths)
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.head
	}
	p.row(heads, widths, "2")
	for r, v := range verdicts {
		p.row(cells[r], widths, stateColor(v.State))
		for _, f := range v.Findings {
			p.folded("        ", oneLine(f.Sentence)+" ["+f.Rule+"]")
			if f.Severity == alarms.Page {
				p.folded("        -> ", oneLine(f.Next))
			}
		}
	}
}

const between = 2 // cells between columns

// fit leaves out columns (width 0) and then cuts the name, until a row fits.
func (p *printer) fit(widths []int) {
	if p.width == 0 {
		return
	}
	for over(widths, p.width) > 0 {
		drop := 0
		for i, c := range columns {
			if widths[i] > 0 && c.rank > columns[drop].rank {
				drop = i
			}
		}
		if columns[drop].rank == 0 {
			widths[nameColumn] = max(widths[nameColumn]-over(widths, p.width), len(columns[nameColumn].head))
			return
		}
		widths[drop] = 0
	}
}

// over is by how many cells a row is too wide.
func over(widths []int, width int) int {
	sum := -between
	for _, w := range widths {
		if w > 0 {
			sum += w + between
		}
	}
	return sum - width
}

// row writes one row; the first column carries the colour.
func (p *printer) row(cells []string, widths []int, color string) {
	var b strings.Builder
	gap := 0
	for i, c := range cells {
		if widths[i] == 0 {
			continue
		}
		c = text.Cut(c, widths[i])
		b.WriteString(strings.Repeat(" ", gap))
		gap = widths[i] - text.Width(c) + between
		if i == 0 {
			c = p.paint(color, c)
		}
		b.WriteString(c)
	}
	p.b.WriteString(strings.TrimRight(b.String(), " "))
	p.b.WriteByte('\n')
}

// folded writes a sentence under a row, broken at spaces to the width.
func (p *printer) folded(indent, sentence string) {
	if p.width == 0 {
		p.b.WriteString(indent + sentence + "\n")
		return
	}
	for i, line := range text.Fold(sentence, max(p.width-len(indent), 20)) {
		if i > 0 {
			indent = strings.Repeat(" ", len(indent))
		}
		p.b.WriteString(indent + line + "\n")
	}
}
