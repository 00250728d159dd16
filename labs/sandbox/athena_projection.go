package sandbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Partition projection: the table says which values its partition columns can have,
// so no partition is in the catalog, and a query lists only the prefixes that its
// WHERE allows. (Athena user guide, "Use partition projection with Amazon Athena".)

const (
	mostPartitions = 10_000    // that a query may list after its WHERE
	mostProjected  = 1_000_000 // values of one column before it
)

// project lists the partitions: for each column its values, less those that WHERE
// excludes; then every combination. Conditions on several partition columns at once
// exclude rows and not partitions.
func (s *tableScan) project(ctx context.Context, db *sql.DB, now time.Time) ([]tablePart, error) {
	type value struct {
		text string
		v    any
	}
	combinations := []map[int]value{{}}
	for i, c := range s.columns {
		if !c.partition {
			continue
		}
		texts, err := s.projected(ctx, db, i, now)
		if err != nil {
			return nil, err
		}
		texts, typed, err := s.allowed(ctx, db, i, texts)
		if err != nil {
			return nil, err
		}
		if len(combinations)*len(texts) > mostPartitions {
			return nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("this query would list more than %d partitions of %s.%s, which is the most that the sandbox's Athena lists: name the partitions in WHERE",
				mostPartitions, s.table.database, s.table.Name)}
		}
		var next []map[int]value
		for _, m := range combinations {
			for n, text := range texts {
				more := map[int]value{i: {text, typed[n]}}
				for k, v := range m {
					more[k] = v
				}
				next = append(next, more)
			}
		}
		combinations = next
	}
	var out []tablePart
	for _, m := range combinations {
		p := tablePart{values: map[int]any{}}
		texts := map[string]string{}
		for i, v := range m {
			p.values[i] = v.v
			texts[s.columns[i].name] = v.text
		}
		var err error
		if p.bucket, p.prefix, err = folder(s.place(texts)); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

var templateName = regexp.MustCompile(`\$\{([^}]+)\}`)

// place is where the rows of one combination are.
func (s *tableScan) place(texts map[string]string) string {
	if template := s.table.Parameters["storage.location.template"]; template != "" {
		return templateName.ReplaceAllStringFunc(template, func(m string) string {
			if v, ok := texts[strings.ToLower(m[2:len(m)-1])]; ok {
				return v
			}
			return m
		})
	}
	place := strings.TrimSuffix(s.table.StorageDescriptor.Location, "/")
	for _, c := range s.columns {
		if c.partition {
			place += "/" + c.name + "=" + texts[c.name]
		}
	}
	return place
}

// allowed leaves the values that the conditions on this column alone let through.
// SQLite judges them with the very text that the query has.
func (s *tableScan) allowed(ctx context.Context, db *sql.DB, i int, texts []string) ([]string, []any, error) {
	rows := make([][2]any, len(texts))
	for n, t := range texts {
		v, err := s.typed(i, t)
		if err != nil {
			return nil, nil, err
		}
		rows[n] = [2]any{n, v}
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return nil, nil, fmt.Errorf("sandbox: partition values: %w", err)
	}
	where := "1"
	for _, c := range s.conjuncts {
		single := true
		for _, r := range c.refs {
			single = single && r.i == i
		}
		if single {
			where += " AND (" + c.sql + ")"
		}
	}
	query := fmt.Sprintf("WITH %s AS (SELECT json_extract(value, '$[0]') AS n, json_extract(value, '$[1]') AS k%d FROM json_each(?)) SELECT n FROM %s WHERE %s ORDER BY n", s.alias, i, s.alias, where)
	result, err := db.QueryContext(ctx, query, string(list))
	if err != nil {
		return nil, nil, unmarked(err)
	}
	defer result.Close()
	var kept []string
	var typed []any
	for result.Next() {
		var n int
		if err := result.Scan(&n); err != nil {
			return nil, nil, fmt.Errorf("sandbox: partition values: %w", err)
		}
		kept, typed = append(kept, texts[n]), append(typed, rows[n][1])
	}
	if err := result.Err(); err != nil {
		return nil, nil, unmarked(err)
	}
	return kept, typed, nil
}

// typed is a partition's value as the column's type has it.
func (s *tableScan) typed(i int, text string) (any, error) {
	c := s.columns[i]
	wrong := func() error {
		return &queryError{"HIVE_INVALID_PARTITION_VALUE", fmt.Sprintf("Invalid partition value '%s' for %s partition key: %s", text, c.type_, c.name)}
	}
	switch {
	case c.type_.isText():
		return text, nil
	case c.type_.isInteger():
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, wrong()
		}
		return n, nil
	case c.type_.kind == "date" || c.type_.kind == "timestamp":
		ms, _, err := parseTime(text, c.type_.kind)
		if err != nil {
			return nil, wrong()
		}
		return ms, nil
	}
	return nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena has no partition columns of type %s", c.type_)}
}

// property reads projection.<column>.<name>.
func (s *tableScan) property(i int, name string) string {
	return strings.TrimSpace(s.table.Parameters["projection."+s.columns[i].name+"."+name])
}

func (s *tableScan) badProjection(i int, format string, args ...any) error {
	return &queryError{"INVALID_TABLE_PROPERTY", fmt.Sprintf("Column projection for column '%s' failed. ", s.columns[i].name) + fmt.Sprintf(format, args...)}
}

// projected lists all values of a column.
func (s *tableScan) projected(ctx context.Context, db *sql.DB, i int, now time.Time) ([]string, error) {
	switch kind := strings.ToLower(s.property(i, "type")); kind {
	case "enum":
		var out []string
		for _, v := range strings.Split(s.property(i, "values"), ",") {
			if v = strings.TrimSpace(v); v != "" {
				out = append(out, v)
			}
		}
		if len(out) == 0 {
			return nil, s.badProjection(i, "Property projection.%s.values is missing", s.columns[i].name)
		}
		return out, nil
	case "integer":
		return s.projectedIntegers(i)
	case "date":
		return s.projectedDates(i, now)
	case "injected":
		return s.injected(ctx, db, i)
	default:
		return nil, s.badProjection(i, "Property projection.%s.type is %q; known are enum, integer, date and injected", s.columns[i].name, kind)
	}
}

// injected values come from the query alone.
func (s *tableScan) injected(ctx context.Context, db *sql.DB, i int) ([]string, error) {
	pins := s.pinned[i]
	if len(pins) == 0 {
		return nil, &queryError{"CONSTRAINT_VIOLATION", fmt.Sprintf("For the injected projected partition column %s, the WHERE clause must contain only static equality conditions, and at least one such condition must be present.", s.columns[i].name)}
	}
	if !s.columns[i].type_.isText() {
		return nil, &queryError{"NOT_SUPPORTED", "the sandbox's Athena has injected partition columns of type string only"}
	}
	var out []string
	seen := map[string]bool{}
	for _, pin := range pins {
		var v sql.NullString
		if err := db.QueryRowContext(ctx, "SELECT "+pin).Scan(&v); err != nil {
			return nil, unmarked(err)
		}
		if v.Valid && !seen[v.String] {
			seen[v.String] = true
			out = append(out, v.String)
		}
	}
	return out, nil
}

// bounds splits a range in its two ends.
func (s *tableScan) bounds(i int) (from, to string, err error) {
	from, to, ok := strings.Cut(s.property(i, "range"), ",")
	if !ok || strings.Contains(to, ",") {
		return "", "", s.badProjection(i, "Property projection.%s.range must be 'from,to'", s.columns[i].name)
	}
	return strings.TrimSpace(from), strings.TrimSpace(to), nil
}

func (s *tableScan) interval(i int) (int, error) {
	text := s.property(i, "interval")
	if text == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, s.badProjection(i, "Property projection.%s.interval must be a positive integer", s.columns[i].name)
	}
	return n, nil
}

func (s *tableScan) projectedIntegers(i int) ([]string, error) {
	from, to, err := s.bounds(i)
	if err != nil {
		return nil, err
	}
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	step, err := s.interval(i)
	width := 0
	if text := s.property(i, "digits"); text != "" {
		var err3 error
		if width, err3 = strconv.Atoi(text); err3 != nil || width < 1 || width > 30 {
			return nil, s.badProjection(i, "Property projection.%s.digits must be a positive integer", s.columns[i].name)
		}
	}
	if err1 != nil || err2 != nil || err != nil {
		return nil, s.badProjection(i, "Property projection.%s.range or interval is no integer", s.columns[i].name)
	}
	var out []string
	for n := first; n <= last; n += int64(step) {
		if len(out) >= mostProjected {
			return nil, s.tooMany(i)
		}
		out = append(out, fmt.Sprintf("%0*d", width, n))
	}
	return out, nil
}

func (s *tableScan) tooMany(i int) error {
	return s.badProjection(i, "the sandbox's Athena projects at most %d values of a column", mostProjected)
}

// dateSigns are the letters of a date format that the sandbox reads, longest first.
var dateSigns = []struct{ java, golang string }{
	{"yyyy", "2006"}, {"uuuu", "2006"}, {"yy", "06"}, {"MM", "01"}, {"dd", "02"}, {"HH", "15"}, {"mm", "04"}, {"ss", "05"}, {"M", "1"}, {"d", "2"},
}

// goLayout translates a format such as yyyy/MM/dd/HH, with text in single quotes.
func goLayout(format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); {
		if format[i] == '\'' {
			end := strings.IndexByte(format[i+1:], '\'')
			if end < 0 {
				return "", fmt.Errorf("a quote in the format %q does not end", format)
			}
			if strings.ContainsAny(format[i+1:i+1+end], "0123456789_") {
				return "", fmt.Errorf("the sandbox's Athena takes no digits in the text of the format %q", format)
			}
			b.WriteString(format[i+1 : i+1+end])
			i += end + 2
			continue
		}
		n := 0
		for _, s := range dateSigns {
			if strings.HasPrefix(format[i:], s.java) {
				b.WriteString(s.golang)
				n = len(s.java)
				break
			}
		}
		if n == 0 {
			c := format[i]
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
				return "", fmt.Errorf("the sandbox's Athena does not read %q in the format %q", c, format)
			}
			b.WriteByte(c)
			n = 1
		}
		i += n
	}
	return b.String(), nil
}

var nowBound = regexp.MustCompile(`^NOW(?:\s*([+-])\s*(\d{1,6})\s*(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)S?)?$`)

// step moves a time by a number of units.
func stepTime(t time.Time, n int, unit string) time.Time {
	switch unit {
	case "YEAR":
		return t.AddDate(n, 0, 0)
	case "MONTH":
		return plusMonths(t, int64(n))
	}
	return t.Add(time.Duration(int64(n)*unitMillis[strings.ToLower(unit)]) * time.Millisecond)
}

func (s *tableScan) projectedDates(i int, now time.Time) ([]string, error) {
	format := s.table.Parameters["projection."+s.columns[i].name+".format"]
	layout, err := goLayout(format)
	if err != nil || format == "" {
		return nil, s.badProjection(i, "Property projection.%s.format: %v", s.columns[i].name, err)
	}
	from, to, err := s.bounds(i)
	if err != nil {
		return nil, err
	}
	first, err := s.dateBound(i, from, layout, now)
	if err != nil {
		return nil, err
	}
	last, err := s.dateBound(i, to, layout, now)
	if err != nil {
		return nil, err
	}
	step, err := s.interval(i)
	if err != nil {
		return nil, err
	}
	unit := strings.TrimSuffix(strings.ToUpper(s.property(i, "interval.unit")), "S")
	if unit == "" { // the default goes by the format's precision; finer ones must say
		switch {
		case strings.Contains(layout, "15"):
			return nil, s.badProjection(i, "Property projection.%s.interval.unit is required for the format %s", s.columns[i].name, format)
		case strings.Contains(layout, "02"), strings.HasSuffix(layout, "2"):
			unit = "DAY"
		default:
			unit = "MONTH"
		}
	}
	if unit != "YEAR" && unit != "MONTH" && unitMillis[strings.ToLower(unit)] < 1000 {
		return nil, s.badProjection(i, "Property projection.%s.interval.unit %q is not known", s.columns[i].name, unit)
	}
	var out []string
	for n := 0; ; n += step {
		t := stepTime(first, n, unit)
		if t.After(last) {
			return out, nil
		}
		if len(out) >= mostProjected {
			return nil, s.tooMany(i)
		}
		out = append(out, t.Format(layout))
	}
}

// dateBound reads an end of a range, cut to what the format can say.
func (s *tableScan) dateBound(i int, text, layout string, now time.Time) (time.Time, error) {
	t, err := time.Parse(layout, text)
	if m := nowBound.FindStringSubmatch(strings.ToUpper(text)); m != nil {
		t = now.UTC()
		if m[1] != "" {
			n, nerr := strconv.Atoi(m[2])
			if nerr != nil {
				return t, s.badProjection(i, "%q is no time", text)
			}
			if m[1] == "-" {
				n = -n
			}
			t = stepTime(t, n, m[3])
		}
		t, err = time.Parse(layout, t.Format(layout))
	}
	if err != nil {
		return t, s.badProjection(i, "%q does not fit the format", text)
	}
	return t, nil
}
