package ui

import (
	"strings"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

// coverCell explains one cell of the matrix: the rule, its threshold and how it was
// computed, which alarm does it, or why there is none.
type coverCell struct {
	page
	row  alarms.CoverRow
	rule string
	cell alarms.CoverCell
}

func newCoverCell(a *App, row alarms.CoverRow, rule string, cell alarms.CoverCell) *coverCell {
	s := &coverCell{row: row, rule: rule, cell: cell}
	s.page = *newPage(strings.TrimSpace(rule+" "+row.Resource.Name()), func(w *writer, p *picture) { s.tell(w, a, p) })
	return s
}

func (s *coverCell) Selected() ops.ARN { return s.row.Resource }
func (s *coverCell) Hints() []string {
	return []string{"backtest", "plan", "mute", "drill", "back", "help"}
}

func (s *coverCell) tell(w *writer, a *App, p *picture) {
	sign, word, look := coverLook(w.l, s.cell)
	w.line(span{sign + " " + word, look}, span{"   " + ruleTitle(s.rule), w.l.strong})
	w.blank()
	w.link("resource", s.row.Resource, "")
	if s.row.Pipeline != "" {
		w.field("pipeline", s.row.Pipeline, text.Style{})
	}
	why := s.cell.Why
	if why == "" && s.cell.Cover == alarms.CoverNone {
		why = a.alarms.cover.value.noneWords(s.rule)
	}
	if why != "" {
		w.field("why", why, w.l.strong)
	}
	for _, name := range s.cell.Alarms {
		words := name
		for i := range p.snap.Alarms.Items {
			if x := &p.snap.Alarms.Items[i]; x.Name == name {
				words += ": " + alarmWord(x.State) + ", rings at " + ringsWhen(x) + ", " + x.Evaluation
			}
		}
		if muted := a.alarms.muted(name, w.l.now); muted != "" {
			words += ", " + muted
		}
		w.field("alarm", words, text.Style{})
	}
	cover := &a.alarms.cover.value
	specs := cover.specs[cellKey{s.row.Resource, s.rule}]
	for _, i := range specs {
		w.head("the alarm that should exist")
		writeSpec(w, &cover.wanted.Specs[i])
	}
	for _, x := range cover.wanted.Skipped {
		if x.Rule == s.rule && x.Resource == s.row.Resource && x.Why != s.cell.Why {
			w.field("no alarm", x.Why, w.l.dim)
		}
	}
	if len(specs) == 0 {
		writeRule(w, s.rule)
	}
}

// writeSpec writes an alarm as it should be, and why.
func writeSpec(w *writer, s *alarms.Spec) {
	w.field("name", s.Name, w.l.strong)
	w.field("rings", specLine(s), text.Style{})
	w.field("formula", s.Formula, text.Style{})
	for _, k := range sortedInputs(s.Inputs) {
		w.field("", k+" is "+s.Inputs[k], w.l.dim)
	}
	w.field("watches", specMetric(s), w.l.dim)
	w.field("no data", missingWords(s.Missing), w.l.dim)
	w.field("severity", s.Severity.String()+", tier "+tierWord(s.Tier), text.Style{})
	w.field("costs", money(float64(s.Metrics())*ops.PriceAlarmMetric)+" a month ("+plural(s.Metrics(), "alarm metric")+")", w.l.dim)
	if s.Note != "" {
		w.field("note", s.Note, w.l.ticket)
	}
	w.field("why", s.Why, text.Style{})
	for i, step := range s.Runbook {
		label := ""
		if i == 0 {
			label = "when it rings"
		}
		w.field(label, step, text.Style{})
	}
	w.field("source", s.Source, w.l.dim)
}

// writeRule writes a rule of the catalogue, where there is no alarm to write.
func writeRule(w *writer, id string) {
	r, ok := alarms.RuleOf(id)
	if !ok {
		return
	}
	w.head("the rule")
	w.field("means", r.Title, text.Style{})
	w.field("why", r.Why, text.Style{})
	if x := r.Watch; x != nil {
		w.field("threshold", x.Formula, text.Style{})
		w.field("metric", x.Metric, w.l.dim)
		if x.When != "" {
			w.field("applies when", x.When, text.Style{})
		}
		w.field("tier", tierWord(x.Tier), w.l.dim)
		w.field("source", x.Source, w.l.dim)
	}
	if r.Next != "" {
		w.field("first", r.Next, text.Style{})
	}
}
