package alarms

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"kxops/ops"
)

// Formats of Export.
var Formats = []string{"terraform", "cloudformation", "json"}

// ExportSchema is the version of the json format.
const ExportSchema = "kxops/alarms-export/v1"

// TemplateBody is how many bytes a template may have that is sent in the call itself
// (CloudFormation quotas); a longer one has to lie in a bucket.
const TemplateBody = 51_200

// stackResources is how many resources a CloudFormation template may have (quotas).
const stackResources = 500

// Export writes alarms for another tool to own. They carry neither our tag nor our
// mark: kxops counts them as somebody else's, gives credit for them and never
// changes them.
func Export(w io.Writer, format string, specs []Spec, set Settings) error {
	var text []byte
	var err error
	switch format {
	case "terraform":
		text = terraform(specs, set)
	case "cloudformation":
		text, err = cloudFormation(specs, set)
	case "json":
		text, err = plainJSON(specs, set)
	default:
		err = fmt.Errorf("format %q: it is terraform, cloudformation or json", format)
	}
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write the alarms: %w", err)
	}
	return nil
}

// alarmTopic is where an alarm's actions go, "" for nowhere.
func alarmTopic(s Spec, set Settings) ops.ARN {
	if s.Severity == Page {
		return set.Page
	}
	return cmp.Or(set.Ticket, set.Page)
}

// meaning is the description of an exported alarm.
func meaning(s Spec) string {
	lines := []string{s.Why, s.Formula, strings.Join(s.Runbook, " | ")}
	if s.Note != "" {
		lines = append(lines, s.Note)
	}
	text := strings.Join(lines, "\n")
	const most = 1024 // characters (PutMetricAlarm)
	if r := []rune(text); len(r) > most {
		text = string(r[:most-3]) + "..."
	}
	return text
}

// percentile reports whether a statistic is an extended one.
func percentile(stat string) bool {
	return !slices.Contains([]string{"Average", "Maximum", "Minimum", "SampleCount", "Sum"}, stat)
}

// labels makes names that a tool takes, each once.
type labels map[string]bool

func (l labels) of(name string, also string) string {
	var b strings.Builder
	for _, r := range name {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune(also, r) {
			b.WriteRune(r)
			continue
		}
		if also != "" {
			b.WriteByte(also[0])
		}
	}
	label := b.String()
	for n := 2; l[label]; n++ {
		label = fmt.Sprintf("%s%d", b.String(), n)
	}
	l[label] = true
	return label
}

func plainJSON(specs []Spec, set Settings) ([]byte, error) {
	type alarm struct {
		Spec
		Description string   `json:"description"`
		Actions     []string `json:"alarm_actions,omitempty"`
	}
	doc := struct {
		Schema    string  `json:"schema"`
		Catalogue int     `json:"catalogue"`
		Alarms    []alarm `json:"alarms"`
	}{ExportSchema, Catalogue, []alarm{}}
	for _, s := range specs {
		a := alarm{Spec: s, Description: meaning(s)}
		if to := alarmTopic(s, set); to != "" {
			a.Actions = []string{string(to)}
		}
		doc.Alarms = append(doc.Alarms, a)
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the alarms: %w", err)
	}
	return append(text, '\n'), nil
}
