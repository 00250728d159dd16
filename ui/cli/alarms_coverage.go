package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

func newAlarmsCoverage(s *session) *cobra.Command {
	var scope scopeFlags
	var missing bool
	c := &cobra.Command{
		Use:   "coverage",
		Short: "Which resource has which alarm: ours, of others, missing",
		Long: `Prints resource by rule who watches: an alarm of ours, one of somebody else, nobody.
Where the terminal is too narrow for the matrix, each resource is a line with its counts
and the rules that are missing. It only reads.

Exit codes: 0 done · 1 error · 2 wrong usage · 3 something could not be read.`,
		Example: "  kxops alarms coverage\n  kxops alarms coverage --tier R --missing\n  kxops alarms coverage -o json",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := scope.check(c); err != nil {
				return err
			}
			return s.alarmsCoverage(c.Context(), scope, missing)
		},
	}
	scope.register(c)
	c.Flags().BoolVar(&missing, "missing", false, "only resources where something is missing (text)")
	return c
}

func (s *session) alarmsCoverage(ctx context.Context, scope scopeFlags, missing bool) error {
	r, err := s.lookedAround(ctx)
	if err != nil {
		return err
	}
	ask, err := r.wish(ctx, scope)
	if err != nil {
		return err
	}
	c, err := r.desk.Coverage(ctx, r.snapshot, ask)
	if err != nil {
		return err
	}
	report := newCoverageReport(c, r.snapshot.Identity, ask.Settings.Tier)
	if s.json() {
		err = s.printJSON(report)
	} else {
		p := s.paper()
		p.coverage(report, missing)
		err = s.printText(p.b.String())
	}
	if err == nil && report.partial() {
		return &exitWith{code: exitPartial}
	}
	return err
}

// coverageReport is `kxops alarms coverage -o json`: a contract with scripts.
type coverageReport struct {
	Schema    string               `json:"schema"` // kxops/coverage/v1
	Account   accountReport        `json:"account"`
	Tier      alarms.Tier          `json:"tier"`
	Counts    map[alarms.Cover]int `json:"counts"`
	Rules     []string             `json:"rules"`
	Resources []coverRowReport     `json:"resources"`
	Partial   []string             `json:"partial"` // what could not be read
}

type coverRowReport struct {
	ARN      ops.ARN           `json:"arn"`
	Name     string            `json:"name"`
	Kind     string            `json:"kind"`
	Pipeline string            `json:"pipeline,omitempty"`
	Missing  int               `json:"missing"`
	Rules    []coverCellReport `json:"rules"` // those that apply, and those of which it is unknown
}

type coverCellReport struct {
	Rule   string       `json:"rule"`
	Cover  alarms.Cover `json:"cover"`
	Alarms []string     `json:"alarms"`
	State  string       `json:"state,omitempty"`
	Why    string       `json:"why,omitempty"`
}

func newCoverageReport(c alarms.Coverage, id ops.Identity, tier alarms.Tier) coverageReport {
	r := coverageReport{
		Schema: "kxops/coverage/v1", Account: accountReport{id.Account, id.Alias, id.Region, id.Profile, id.Who}, Tier: tier,
		Counts: map[alarms.Cover]int{}, Rules: append([]string{}, c.Rules...), Resources: []coverRowReport{}, Partial: append([]string{}, c.Partial...),
	}
	for _, row := range c.Rows {
		x := coverRowReport{ARN: row.Resource, Name: row.Resource.Name(), Kind: string(row.Resource.Kind()), Pipeline: row.Pipeline, Missing: row.Missing, Rules: []coverCellReport{}}
		if row.Resource == "" {
			x.Name, x.Kind = "the region", "region"
		}
		for i, cell := range row.Cells {
			if cell.Cover == alarms.CoverNone || i >= len(c.Rules) {
				continue
			}
			r.Counts[cell.Cover]++
			x.Rules = append(x.Rules, coverCellReport{c.Rules[i], cell.Cover, append([]string{}, cell.Alarms...), cell.State, cell.Why})
		}
		r.Resources = append(r.Resources, x)
	}
	return r
}

func (r coverageReport) partial() bool {
	return len(r.Partial) > 0 || r.Counts[alarms.CoverUnknown] > 0
}

// coverSigns are the covers in the order worth reading, as a cell of the matrix.
var coverSigns = []struct {
	cover       alarms.Cover
	sign, color string
	words       string
}{
	{alarms.CoverMissing, "-", "1;31", "missing"},
	{alarms.CoverOurs, "x", "32", "ours"},
	{alarms.CoverForeign, "f", "32", "of others"},
	{alarms.CoverMuted, "m", "33", "muted"},
	{alarms.CoverUnknown, "?", "33", "unknown"},
	{alarms.CoverOff, "o", "2", "switched off"},
}

func (p *printer) coverage(r coverageReport, onlyMissing bool) {
	p.folded("", place(ops.Identity{Account: r.Account.ID, Alias: r.Account.Alias, Region: r.Account.Region})+
		fmt.Sprintf(" · set %s · %s", r.Tier, countOf(len(r.Resources), "resource"))+coverCounts(r.Counts))
	p.sentences("not read whole", "33", r.Partial)
	rows := slices.Clone(r.Resources)
	rows = slices.DeleteFunc(rows, func(x coverRowReport) bool { return len(x.Rules) == 0 || onlyMissing && x.Missing == 0 })
	if len(rows) == 0 {
		p.folded("", "no rule of this set applies to what is here"+map[bool]string{true: ", or nothing is missing", false: ""}[onlyMissing])
		return
	}
	p.b.WriteByte('\n')
	matrices := coverMatrices(usedRules(r.Rules, rows), rows)
	if p.width > 0 && slices.ContainsFunc(matrices, func(m coverMatrix) bool { return m.width() > p.width }) {
		p.coverLines(rows)
	} else {
		p.coverMatrices(matrices)
	}
	if r.Counts[alarms.CoverMissing] > 0 {
		p.folded("", "`kxops alarms plan` says what would be created, with each threshold")
	}
}

func coverCounts(n map[alarms.Cover]int) string {
	line := ""
	for _, s := range coverSigns {
		if n[s.cover] > 0 {
			line += " · " + thousands(n[s.cover]) + " " + s.words
		}
	}
	return line
}

// usedRules are the rules that apply to some row, in the catalogue's order.
func usedRules(rules []string, rows []coverRowReport) []string {
	used := map[string]bool{}
	for _, row := range rows {
		for _, c := range row.Rules {
			used[c.Rule] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(rules), func(id string) bool { return !used[id] })
}

// serviceOf is the first word of a rule's id.
func serviceOf(rule string) string {
	service, _, _ := strings.Cut(rule, ".")
	return service
}

// coverMatrix is what the rules of one kind cover: they apply to one kind of resource.
type coverMatrix struct {
	heads []string
	lines [][]string
}

func coverMatrices(rules []string, rows []coverRowReport) []coverMatrix {
	var services []string
	for _, id := range rules {
		if !slices.Contains(services, serviceOf(id)) {
			services = append(services, serviceOf(id))
		}
	}
	var out []coverMatrix
	for _, service := range services {
		m := coverMatrix{heads: []string{strings.ToUpper(service)}}
		var ids []string
		for _, id := range rules {
			if serviceOf(id) == service {
				_, short, _ := strings.Cut(id, ".")
				ids, m.heads = append(ids, id), append(m.heads, short)
			}
		}
		for _, row := range rows {
			if line, any := coverCells(ids, row); any {
				m.lines = append(m.lines, line)
			}
		}
		out = append(out, m)
	}
	return out
}

// width is how wide the matrix is in cells.
func (m coverMatrix) width() int {
	widths := make([]int, len(m.heads))
	for _, line := range append([][]string{m.heads}, m.lines...) {
		for i, c := range line {
			widths[i] = max(widths[i], text.Width(c))
		}
	}
	return over(widths, 0)
}

func (p *printer) coverMatrices(matrices []coverMatrix) {
	for _, m := range matrices {
		p.aligned(m.heads, m.lines)
		p.b.WriteByte('\n')
	}
	p.folded("", "x ours · f of others · - missing · m muted · o switched off · ? unknown · . does not apply")
}

func coverCells(ids []string, row coverRowReport) (line []string, any bool) {
	line = []string{named(row.Name)}
	for _, id := range ids {
		i := slices.IndexFunc(row.Rules, func(c coverCellReport) bool { return c.Rule == id })
		if i < 0 {
			line = append(line, ".")
			continue
		}
		any = true
		cell := row.Rules[i]
		line = append(line, coverSign(cell.Cover)+stateMark(cell.State))
	}
	return line, any
}

func coverSign(c alarms.Cover) string {
	for _, s := range coverSigns {
		if s.cover == c {
			return s.sign
		}
	}
	return "?"
}

// stateMark says that an alarm rings, or knows nothing.
func stateMark(state string) string {
	switch state {
	case "ALARM":
		return " ALARM"
	case "INSUFFICIENT_DATA":
		return " no data"
	}
	return ""
}

// coverLines writes a line for each resource: what is missing has a name.
func (p *printer) coverLines(rows []coverRowReport) {
	for _, row := range rows {
		n := map[alarms.Cover]int{}
		var missing, ringing []string
		for _, c := range row.Rules {
			n[c.Cover]++
			if c.Cover == alarms.CoverMissing {
				missing = append(missing, c.Rule)
			}
			if c.State == "ALARM" {
				ringing = append(ringing, c.Rule)
			}
		}
		line := named(row.Name) + ": " + strings.TrimPrefix(coverCounts(n), " · ")
		if len(ringing) > 0 {
			line += " · in ALARM " + strings.Join(ringing, ", ")
		}
		if len(missing) > 0 {
			line += " · missing " + strings.Join(missing, ", ")
		}
		p.hanging(line)
	}
}

// hanging folds a line so that what follows stands under it, indented.
func (p *printer) hanging(line string) {
	const indent = "    "
	if p.width == 0 || text.Width(line) <= p.width {
		p.b.WriteString(line + "\n")
		return
	}
	lines := text.Fold(line, p.width)
	p.b.WriteString(lines[0] + "\n")
	rest := strings.TrimSpace(strings.TrimPrefix(line, lines[0]))
	p.folded(indent, rest)
}
