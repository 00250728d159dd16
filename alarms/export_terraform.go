package alarms

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// terraform writes one aws_cloudwatch_metric_alarm for each alarm.
func terraform(specs []Spec, set Settings) []byte {
	b := &hcl{}
	b.line("# Alarms of the kxops catalogue, version %d. Whoever applies this owns them: kxops leaves them alone.", Catalogue)
	ids := labels{}
	for _, s := range specs {
		b.line("")
		b.open("resource \"aws_cloudwatch_metric_alarm\" %s", quoted(ids.of(strings.TrimPrefix(s.Name, NamePrefix), "_-")))
		b.text("alarm_name", s.Name)
		b.text("alarm_description", meaning(s))
		b.text("comparison_operator", string(s.Comparison))
		b.value("evaluation_periods", strconv.Itoa(s.N))
		b.value("datapoints_to_alarm", strconv.Itoa(s.M))
		b.value("threshold", strconv.FormatFloat(s.Threshold, 'f', -1, 64))
		b.text("treat_missing_data", s.Missing)
		if s.LowSamples != "" {
			b.text("evaluate_low_sample_count_percentiles", s.LowSamples)
		}
		if len(s.Math) == 0 {
			b.metric(s.Query, cmp.Or(s.Period, s.Query.Period))
			if percentile(s.Stat) {
				b.text("extended_statistic", s.Stat)
			} else {
				b.text("statistic", s.Stat)
			}
		}
		if to := alarmTopic(s, set); to != "" {
			b.value("alarm_actions", "["+quoted(string(to))+"]")
			if s.OK {
				b.value("ok_actions", "["+quoted(string(to))+"]")
			}
		}
		for _, q := range s.Math {
			b.query(q, s)
		}
		b.close()
	}
	return []byte(b.String())
}

// hcl is Terraform's language as far as alarms need it.
type hcl struct {
	strings.Builder
	depth int
}

func (b *hcl) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if text != "" {
		text = strings.Repeat("  ", b.depth) + text
	}
	b.WriteString(text + "\n")
}

func (b *hcl) open(format string, args ...any) { b.line(format+" {", args...); b.depth++ }
func (b *hcl) close()                          { b.depth--; b.line("}") }
func (b *hcl) value(name, v string)            { b.line("%s = %s", name, v) }
func (b *hcl) text(name, v string)             { b.value(name, quoted(v)) }

func (b *hcl) metric(q Query, period int) {
	b.text("namespace", q.Namespace)
	b.text("metric_name", q.Metric)
	b.value("period", strconv.Itoa(period))
	if len(q.Dimensions) == 0 {
		return
	}
	b.open("dimensions =")
	for _, k := range slices.Sorted(maps.Keys(q.Dimensions)) {
		b.text(k, q.Dimensions[k])
	}
	b.close()
}

func (b *hcl) query(q Query, s Spec) {
	b.open("metric_query")
	b.text("id", q.ID)
	b.value("return_data", strconv.FormatBool(q.Returns))
	if q.Expression != "" {
		b.text("expression", q.Expression)
		if q.Period > 0 {
			b.value("period", strconv.Itoa(q.Period))
		}
	} else {
		b.open("metric")
		b.metric(q, cmp.Or(q.Period, s.Period))
		b.text("stat", cmp.Or(q.Stat, s.Stat))
		b.close()
	}
	b.close()
}

// quoted writes a string of HCL. ${ and %{ would begin a template.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"):
			b.WriteRune(r)
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
