package ui

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"kxops/alarms"
	"kxops/ops"
)

func ruleTitle(id string) string {
	r, _ := alarms.RuleOf(id)
	return r.Title
}

func tierWord(t alarms.Tier) string {
	switch t {
	case alarms.Essential, "":
		return "E (essential)"
	case alarms.Recommended:
		return "R (recommended)"
	case alarms.Full:
		return "F (full)"
	case alarms.OptIn:
		return "O (opt-in)"
	}
	return string(t)
}

func signOf(c alarms.Comparison) string {
	switch c {
	case alarms.Above:
		return ">"
	case alarms.AtLeast:
		return "≥"
	case alarms.Below:
		return "<"
	case alarms.AtMost:
		return "≤"
	}
	return string(c)
}

// limitWords is a threshold in a unit that a person reads: nobody reads 43200000 as
// twelve hours.
func limitWords(v float64, unit string) string {
	switch {
	case unit == "ms" && v >= 1000:
		return ops.Span(v / 1000)
	case unit == "s" && v >= 1:
		return ops.Span(v)
	case unit == "share":
		return strconv.FormatFloat(v*100, 'f', -1, 64) + "%"
	case unit == "percent":
		return strconv.FormatFloat(v, 'f', -1, 64) + "%"
	case unit == "bytes":
		return bytesText(v)
	}
	n := strings.TrimSuffix(strconv.FormatFloat(v, 'f', 2, 64), ".00")
	if v >= 1000 {
		n = count(v)
	}
	return strings.TrimSpace(n + " " + unit)
}

// threshold is when a spec rings, in the fewest words: "> 12h".
func threshold(s *alarms.Spec) string {
	return signOf(s.Comparison) + " " + limitWords(s.Threshold, s.Unit)
}

// specLine is when a spec rings: "> 12h, 15 of 15 minutes".
func specLine(s *alarms.Spec) string {
	return fmt.Sprintf("%s, %d of %d × %s", threshold(s), s.M, s.N, ops.Span(float64(s.Period)))
}

func specMetric(s *alarms.Spec) string {
	if len(s.Math) == 0 {
		return strings.TrimSpace(s.Stat + " of " + s.Query.Metric)
	}
	var parts []string
	for _, q := range s.Math {
		if q.Expression != "" {
			parts = append(parts, q.ID+" = "+q.Expression)
		} else {
			parts = append(parts, q.ID+" = "+q.Stat+" of "+q.Metric)
		}
	}
	return strings.Join(parts, "; ")
}

func missingWords(m string) string {
	switch m {
	case alarms.MissingIsGood:
		return "counts as well"
	case alarms.MissingIsBad:
		return "counts as bad"
	case alarms.MissingIsIgnored:
		return "keeps the state"
	}
	return "is no data"
}

func sortedInputs(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// specAbout is what an alarm is about, in few words: "kds.loss clicks".
func specAbout(s *alarms.Spec) string {
	return strings.Join(nonEmpty(s.Rule, s.Resource.Name(), s.Part), " ")
}

// shortThreshold is a threshold for a narrow column: what is counted stands in the
// alarm's name.
func shortThreshold(s *alarms.Spec) string {
	switch s.Unit {
	case "ms", "s", "share", "percent", "bytes":
		return threshold(s)
	}
	return signOf(s.Comparison) + " " + limitWords(s.Threshold, "")
}
