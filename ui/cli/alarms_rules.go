package cli

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

func newAlarmsRules(s *session) *cobra.Command {
	var markdown bool
	c := &cobra.Command{
		Use:   "rules [RULE…]",
		Short: "The catalogue: every rule, with its metric, formula and source",
		Long: `Lists what kxops watches for. RULE is an id or a pattern such as "kds.*"; with one, every
rule that it means is told whole: why, the formula, where it comes from, what has not been
tried on AWS yet, and what to do when it fires. It asks AWS nothing.`,
		Example: "  kxops alarms rules\n  kxops alarms rules dlq.loss\n  kxops alarms rules --markdown",
		RunE: func(_ *cobra.Command, args []string) error {
			rules, err := rulesNamed(args)
			if err != nil {
				return err
			}
			switch {
			case markdown && s.json():
				return wrongUsage("--markdown is text; leave out -o json")
			case markdown && len(args) > 0:
				return wrongUsage("--markdown is the whole catalogue; leave out " + args[0])
			case markdown:
				return s.printText(alarms.Markdown())
			case s.json():
				return s.printJSON(newRulesReport(rules))
			}
			p := s.paper()
			p.rules(rules, len(args) > 0)
			return s.printText(p.b.String())
		},
		ValidArgs: ruleIDs(),
	}
	c.Flags().BoolVar(&markdown, "markdown", false, "the whole catalogue as the table of the README")
	return c
}

func ruleIDs() []string {
	ids := make([]string, 0, len(alarms.Rules))
	for _, r := range alarms.Rules {
		ids = append(ids, r.ID)
	}
	return ids
}

// rulesNamed are the rules that ids or patterns mean, in the catalogue's order;
// without any, all of them.
func rulesNamed(patterns []string) ([]alarms.Rule, error) {
	if len(patterns) == 0 {
		return alarms.Rules, nil
	}
	if err := knownRules(patterns); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(alarms.Rules), func(r alarms.Rule) bool {
		return !slices.ContainsFunc(patterns, func(p string) bool { return matches(p, r.ID) })
	}), nil
}

// knownRules refuses a word that means no rule, and names the nearest ones.
func knownRules(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return wrongUsage(fmt.Sprintf("%q is no pattern: * stands for any text, ? for one character", p))
		}
		if !slices.ContainsFunc(ruleIDs(), func(id string) bool { return matches(p, id) }) {
			return &exitWith{
				code: exitUsage, what: fmt.Sprintf("there is no rule %q; did you mean %s?", p, orList(ops.Nearest(p, ruleIDs(), 3))),
				hint: "`kxops alarms rules` lists them",
			}
		}
	}
	return nil
}

func matches(pattern, word string) bool {
	hit, err := path.Match(pattern, word)
	return err == nil && hit
}

// rulesReport is `kxops alarms rules -o json`: a contract with scripts.
type rulesReport struct {
	Schema    string       `json:"schema"` // kxops/alarm_rules/v1
	Catalogue int          `json:"catalogue"`
	Rules     []ruleReport `json:"rules"`
}

type ruleReport struct {
	ID       string       `json:"id"`
	Severity string       `json:"severity"`
	Title    string       `json:"title"`
	Why      string       `json:"why"`
	Next     string       `json:"next"`
	Alarm    *watchReport `json:"alarm"` // null: it is a finding, no alarm can watch for it
}

type watchReport struct {
	Tier       alarms.Tier       `json:"tier"`
	Metric     string            `json:"metric"`
	Stat       string            `json:"stat"`
	PeriodS    int               `json:"period_s"`
	M          *int              `json:"datapoints_to_alarm"` // null: it depends on the resource
	N          *int              `json:"evaluation_periods"`
	Comparison alarms.Comparison `json:"comparison"`
	Formula    string            `json:"formula"`
	Missing    string            `json:"missing"`
	When       string            `json:"applies_when,omitempty"`
	Runbook    []string          `json:"runbook"`
	Source     string            `json:"source"`
	Unproven   string            `json:"unproven,omitempty"`
}

func newRulesReport(rules []alarms.Rule) rulesReport {
	r := rulesReport{Schema: "kxops/alarm_rules/v1", Catalogue: alarms.Catalogue, Rules: []ruleReport{}}
	for _, x := range rules {
		rule := ruleReport{ID: x.ID, Severity: x.Severity.String(), Title: x.Title, Why: x.Why, Next: x.Next}
		if w := x.Watch; w != nil {
			rule.Alarm = &watchReport{
				Tier: w.Tier, Metric: w.Metric, Stat: w.Stat, PeriodS: w.Period, Comparison: w.Comparison, Formula: w.Formula,
				Missing: w.Missing, When: w.When, Runbook: append([]string{}, w.Runbook...), Source: w.Source, Unproven: w.Unproven,
			}
			if w.N > 0 {
				rule.Alarm.M, rule.Alarm.N = &w.M, &w.N
			}
		}
		r.Rules = append(r.Rules, rule)
	}
	return r
}

// rules lists the catalogue, or tells each rule whole.
func (p *printer) rules(rules []alarms.Rule, whole bool) {
	watched := 0
	for _, r := range rules {
		if r.Watch != nil {
			watched++
		}
	}
	if whole {
		for _, r := range rules {
			p.rule(r)
		}
		return
	}
	p.line(fmt.Sprintf("catalogue %d · %s, %s; the others are findings", alarms.Catalogue, countOf(len(rules), "rule"), countOf(watched, "alarm")))
	p.b.WriteByte('\n')
	const columns = "%-21s %-3s %-8s "
	p.line(p.paint("2", fmt.Sprintf(columns, "RULE", "SET", "SEVERITY")+"ALARMS WHEN, OR FINDS"))
	for _, r := range rules {
		tier, what := "-", r.Title
		if w := r.Watch; w != nil {
			tier, what = string(w.Tier), w.Metric+" "+sign(w.Comparison)+" "+w.Formula
		}
		p.folded(fmt.Sprintf(columns, r.ID, tier, r.Severity), oneLine(what))
	}
	p.folded("", "set E: data is being lost or will be · R: earlier and more exact · F: capacity and hygiene · O: only where an override asks for it")
}

// rule tells one rule whole.
func (p *printer) rule(r alarms.Rule) {
	p.line(p.paint("1", r.ID) + ": " + text.Clean(r.Title))
	field := func(name, value string) {
		if value != "" {
			p.folded(fmt.Sprintf("  %-9s ", name), oneLine(value))
		}
	}
	field("severity", r.Severity.String())
	field("why", r.Why)
	w := r.Watch
	if w == nil {
		field("alarm", "none: it is a finding of `kxops status` and `kxops alarms plan`")
		field("then", r.Next)
		p.b.WriteByte('\n')
		return
	}
	field("set", tierWord(w.Tier))
	stat := w.Stat
	if stat != "" {
		stat += " of "
	}
	field("metric", fmt.Sprintf("%s%s, by %s", stat, w.Metric, ops.Span(float64(w.Period))))
	field("alarms", sign(w.Comparison)+" "+w.Formula+", "+window(w.M, w.N)+", a missing datapoint is "+w.Missing)
	field("applies", w.When)
	field("source", w.Source)
	field("unproven", w.Unproven)
	for i, step := range w.Runbook {
		p.folded(fmt.Sprintf("  %d. ", i+1), oneLine(step))
	}
	p.b.WriteByte('\n')
}

// window is M of N in words.
func window(m, n int) string {
	if n == 0 {
		return "datapoints by the resource"
	}
	return fmt.Sprintf("%d of %d datapoints", m, n)
}

func tierWord(t alarms.Tier) string {
	switch t {
	case alarms.Essential:
		return "E (essential): data is being lost, or will be"
	case alarms.Recommended:
		return "R (recommended): earlier and more exact"
	case alarms.Full:
		return "F (full): capacity and hygiene"
	case alarms.OptIn:
		return "O (opt-in): only where an override asks for it"
	}
	return string(t)
}

// sign is a comparison as people write it.
func sign(c alarms.Comparison) string {
	switch c {
	case alarms.Above:
		return ">"
	case alarms.AtLeast:
		return ">="
	case alarms.Below:
		return "<"
	case alarms.AtMost:
		return "<="
	}
	return strings.TrimSpace(string(c))
}
