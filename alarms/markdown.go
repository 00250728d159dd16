package alarms

import (
	"fmt"
	"strings"
)

// Markdown is the catalogue as a table: what `kxops alarms rules --markdown` prints
// and the README shows.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| rule | set | severity | watches | rings at | when |\n|---|---|---|---|---|---|\n")
	for _, r := range Rules {
		w := r.Watch
		if w == nil {
			continue
		}
		when := w.When
		if when == "" {
			when = "always"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s %s, %s | %s |\n", r.ID, w.Tier, r.Severity, cell(w.Metric), sign(w.Comparison), cell(w.Formula), of(w), cell(when))
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func sign(c Comparison) string {
	return map[Comparison]string{Above: ">", AtLeast: "≥", Below: "<", AtMost: "≤"}[c]
}

// of is "10 of 15 × 1 min".
func of(w *Watch) string {
	minutes := fmt.Sprintf("%d min", w.Period/60)
	if w.N == 0 {
		return minutes
	}
	return fmt.Sprintf("%d of %d × %s", w.M, w.N, minutes)
}
