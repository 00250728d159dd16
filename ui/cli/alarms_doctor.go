package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

func newAlarmsDoctor(s *session) *cobra.Command {
	var detailed bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Would anybody hear these alarms? From the alarm to the person, with the fix",
		Long: `Follows every alarm here, ours and others', to whom it should reach: actions on, topic
there, policy lets CloudWatch publish, key lets it encrypt, somebody confirmed a
subscription; reads from the history whether an action failed; and finds alarms that
watch a metric that does not exist, never have data, or cannot be evaluated. Each
with the command that fixes it. It only reads.

Exit codes: 0 done · 1 error · 2 wrong usage · 3 something could not be checked · 10 there
is something to fix (--detailed-exitcode; wins over 3).`,
		Example: "  kxops alarms doctor\n  kxops alarms doctor -o json | jq '.ailments[].fix'",
		Args:    takes(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return s.alarmsDoctor(c.Context(), detailed) },
	}
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 10 when there is something to fix")
	return c
}

// checkupReport is `kxops alarms doctor -o json`: a contract with scripts.
type checkupReport struct {
	Schema   string          `json:"schema"` // kxops/checkup/v1
	Account  accountReport   `json:"account"`
	Checked  int             `json:"checked"`
	Healthy  int             `json:"healthy"`
	Ailments []ailmentReport `json:"ailments"`
	Partial  []string        `json:"partial"`
}

type ailmentReport struct {
	Kind     string   `json:"kind"`
	Severity string   `json:"severity"`
	What     string   `json:"what"`
	Fix      string   `json:"fix"`
	Unknown  bool     `json:"unknown"` // could not be checked
	Alarms   []string `json:"alarms"`
}

func newCheckupReport(c alarms.Checkup, id ops.Identity) checkupReport {
	r := checkupReport{
		Schema: "kxops/checkup/v1", Account: accountReport{id.Account, id.Alias, id.Region, id.Profile, id.Who},
		Checked: c.Checked, Healthy: c.Healthy, Ailments: []ailmentReport{}, Partial: append([]string{}, c.Partial...),
	}
	for _, a := range c.Ailments {
		x := ailmentReport{a.Kind, a.Severity.String(), oneLine(a.What), oneLine(a.Fix), a.Unknown, append([]string{}, a.Alarms...)}
		if a.Alarm != "" && !slices.Contains(x.Alarms, a.Alarm) {
			x.Alarms = append([]string{a.Alarm}, x.Alarms...)
		}
		r.Ailments = append(r.Ailments, x)
	}
	slices.SortStableFunc(r.Ailments, func(a, b ailmentReport) int { return severityRank(b.Severity) - severityRank(a.Severity) })
	return r
}

func severityRank(s string) int { return slices.Index([]string{"info", "ticket", "page"}, s) }

// sick counts what is wrong, and what could not be checked.
func (r checkupReport) sick() (wrong, unknown int) {
	for _, a := range r.Ailments {
		if a.Unknown {
			unknown++
		} else {
			wrong++
		}
	}
	return wrong, unknown
}

func (s *session) alarmsDoctor(ctx context.Context, detailed bool) error {
	r, err := s.lookedAround(ctx)
	if err != nil {
		return err
	}
	c, err := r.desk.Doctor(ctx, r.snapshot)
	if err != nil {
		return err
	}
	report := newCheckupReport(c, r.snapshot.Identity)
	if s.json() {
		err = s.printJSON(report)
	} else {
		p := s.paper()
		p.checkup(report)
		err = s.printText(p.b.String())
	}
	wrong, unknown := report.sick()
	switch {
	case err != nil:
		return err
	case detailed && wrong > 0:
		return &exitWith{code: exitFindings}
	case unknown > 0 || len(report.Partial) > 0:
		return &exitWith{code: exitPartial}
	}
	return nil
}

func (p *printer) checkup(r checkupReport) {
	wrong, unknown := r.sick()
	line := fmt.Sprintf("%s checked, %s should reach somebody, %s to fix", countOf(r.Checked, "alarm"), thousands(r.Healthy), thousands(wrong))
	if unknown > 0 {
		line += ", " + thousands(unknown) + " could not be checked"
	}
	p.folded("", place(ops.Identity{Account: r.Account.ID, Alias: r.Account.Alias, Region: r.Account.Region})+" · "+line)
	p.sentences("not read whole", "33", r.Partial)
	for _, a := range r.Ailments {
		word, color := a.Severity, "33"
		if a.Severity == "page" {
			color = "1;31"
		}
		if a.Unknown {
			word, color = "unknown", "2"
		}
		p.folded(p.paint(color, fmt.Sprintf("%-7s", word))+" ", a.What+" ["+a.Kind+"]")
		if names := some(a.Alarms); names != "" {
			p.folded("        alarms: ", names)
		}
		if a.Fix != "" {
			p.b.WriteString("        fix: " + text.Clean(a.Fix) + "\n") // never folded: it is to be copied
		}
	}
}

// some names a few of many.
func some(names []string) string {
	const few = 5
	if len(names) <= few {
		return oneLine(strings.Join(names, ", "))
	}
	return oneLine(strings.Join(names[:few], ", ")) + fmt.Sprintf(" and %s more", thousands(len(names)-few))
}

func newAlarmsDrill(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "drill ALARM",
		Short: "Prove that an alarm reaches its topic: ring it on purpose, watch, put it back",
		Long: `Sets the alarm's state to ALARM for a moment, watches its history until CloudWatch says
that each action was done or failed, and puts the state back. Who is subscribed gets a
message that says it is a drill. Needs --access change; asks, unless --yes.

Exit codes: 0 every action was done · 1 error · 2 wrong usage · 3 some action failed, or
nothing is known of it · 4 refused.`,
		Example: "  kxops --access change alarms drill kxops/dlq.loss/orders-dlq",
		Args:    takes(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return s.alarmsDrill(c.Context(), args[0]) },
	}
}

func (s *session) alarmsDrill(ctx context.Context, name string) error {
	r, err := s.onRounds(ctx)
	if err != nil {
		return err
	}
	if err := firstError(r.mayChange(), r.look(ctx)); err != nil {
		return err
	}
	names, err := r.alarmsNamed([]string{name})
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return wrongUsage(fmt.Sprintf("a drill rings one alarm, and %q means %d", name, len(names)))
	}
	ahead, err := r.desk.DrillPreview(ctx, names[0])
	if err != nil {
		return err
	}
	r.say(ahead...)
	if s.dryRun {
		return nil
	}
	if err := r.sure(ctx, "ring it? y/N ", "y", "yes"); err != nil {
		return err
	}
	bar := r.progressLine()
	d, err := r.desk.Drill(ctx, names[0], func(line string) { bar.show(line) })
	bar.end()
	if err != nil {
		return err
	}
	if s.json() {
		err = s.printJSON(drillReport{"kxops/drill/v1", d})
	} else {
		p := s.paper()
		p.drill(d)
		err = s.printText(p.b.String())
	}
	if err == nil && !d.Proven() {
		return &exitWith{code: exitPartial}
	}
	return err
}

// drillReport is what a drill proved: a contract with scripts.
type drillReport struct {
	Schema string `json:"schema"` // kxops/drill/v1
	alarms.Drill
}

// proven reports whether every action was done, and the state is back.

func (p *printer) drill(d alarms.Drill) {
	p.line(p.paint("1", "drill "+text.Clean(d.Alarm)) + ", took " + took(time.Duration(d.Took*float64(time.Second))))
	for _, a := range d.Actions {
		word, color := "unknown", "33"
		switch {
		case a.Delivered:
			word, color = "done", "32"
		case a.Failed:
			word, color = "FAILED", "1;31"
		}
		p.folded("  "+p.paint(color, fmt.Sprintf("%-7s", word))+" "+text.Clean(a.ARN.Name())+": ", oneLine(a.What))
	}
	if len(d.Actions) == 0 {
		p.line("  it has no actions: nobody would hear it")
	}
	if !d.Reset {
		p.folded("  ", "the state was NOT put back; CloudWatch does at its next evaluation")
	}
	if d.Note != "" {
		p.folded("  ", oneLine(d.Note))
	}
	if slices.ContainsFunc(d.Actions, func(a alarms.DrillAction) bool { return !a.Delivered }) {
		p.line("  next: kxops alarms doctor")
	}
}

// alarmsNamed are the alarms that names and patterns mean. In a pattern a star
// stands for any text, slashes too.
func (r *rounds) alarmsNamed(words []string) ([]string, error) {
	var all, out []string
	for _, a := range r.snapshot.Alarms.Items {
		all = append(all, a.Name)
	}
	for _, w := range words {
		var hits []string
		for _, name := range all {
			if name == w || strings.ContainsAny(w, "*?") && matches(strings.ReplaceAll(w, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00")) {
				hits = append(hits, name)
			}
		}
		if len(hits) == 0 {
			return nil, r.noAlarm(w, all)
		}
		for _, h := range hits {
			if !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	return out, nil
}

func (r *rounds) noAlarm(word string, all []string) error {
	p := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("there is no alarm %q here", word), Hint: "there are no alarms here at all; `kxops alarms apply` makes them"}
	switch x := r.snapshot.Alarms; {
	case x.Problem != nil:
		return x.Problem
	case x.Partial:
		p.What += fmt.Sprintf(", as far as could be read: %d of %d", len(x.Items), x.Known)
	}
	if near := ops.Nearest(word, all, 3); len(near) > 0 {
		p.Hint = "did you mean " + orList(near) + "?"
	}
	return p
}
