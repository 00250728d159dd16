package sandbox

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"modernc.org/sqlite"
)

// This file holds what the functions do, on SQLite's values. SQLite knows each under
// two names: ath_x fails the query, aty_x (inside TRY) answers NULL instead.

// marks wrap our errors on their way through SQLite, which adds words of its own.
const (
	markStart = "\x01"
	markEnd   = "\x02"
)

// registerFunctions hands the functions to the driver, which keeps them for all
// connections of the process; nobody else here uses SQLite.
var registerFunctions = sync.OnceFunc(func() {
	for name, f := range scalars {
		sqlite.MustRegisterFunction("ath_"+name, &sqlite.FunctionImpl{NArgs: -1, Deterministic: true, Scalar: f.scalar(false)})
		sqlite.MustRegisterFunction("aty_"+name, &sqlite.FunctionImpl{NArgs: -1, Deterministic: true, Scalar: f.scalar(true)})
	}
	for name, make := range collectors {
		sqlite.MustRegisterFunction("ath_"+name, &sqlite.FunctionImpl{NArgs: -1, Deterministic: true,
			MakeAggregate: func(sqlite.FunctionContext) (sqlite.AggregateFunction, error) {
				return &collecting{collector: make()}, nil
			}})
	}
})

// athenaScalar computes one value; NULL among the arguments is NULL without a call.
type athenaScalar func(args []any) (any, error)

func (f athenaScalar) scalar(try bool) func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
	return func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		values := make([]any, len(args))
		for i, a := range args {
			if a == nil {
				return nil, nil
			}
			if b, ok := a.([]byte); ok {
				a = string(b)
			}
			values[i] = a
		}
		v, err := f(values)
		if err != nil {
			if try {
				return nil, nil
			}
			return nil, marked(err)
		}
		return v, nil
	}
}

func marked(err error) error { return errors.New(markStart + err.Error() + markEnd) }

// unmarked finds our error in one of SQLite's.
func unmarked(err error) error {
	_, rest, ok := strings.Cut(err.Error(), markStart)
	text, _, ended := strings.Cut(rest, markEnd)
	if !ok || !ended {
		return err
	}
	code, message, found := strings.Cut(text, ": ")
	if !found {
		return &queryError{"GENERIC_INTERNAL_ERROR", text}
	}
	return &queryError{code, message}
}

func invalidArgument(format string, args ...any) error {
	return &queryError{"INVALID_FUNCTION_ARGUMENT", fmt.Sprintf(format, args...)}
}

func sqlFloat(v any) float64 {
	f, _ := floatOf(v)
	return f
}

func sqlString(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return trinoDouble(x, "double")
	}
	return fmt.Sprint(v)
}

func sqlInt(v any) int64 {
	switch x := v.(type) {
	case int64:
		return x
	case float64:
		return int64(x)
	}
	return 0
}

// floats makes a function of numbers.
func floats(f func(a []float64) float64) athenaScalar {
	return func(args []any) (any, error) {
		in := make([]float64, len(args))
		for i, a := range args {
			in[i] = sqlFloat(a)
		}
		return noNaN(f(in))
	}
}

// noNaN refuses what SQLite cannot keep: it has no NaN.
func noNaN(f float64) (any, error) {
	if math.IsNaN(f) {
		return nil, &queryError{"NOT_SUPPORTED", "the sandbox's Athena has no NaN"}
	}
	return f, nil
}

// rounding makes ceil, floor and truncate; the first argument is the type.
func rounding(f func(float64) float64) athenaScalar {
	return func(args []any) (any, error) {
		if n, ok := args[1].(int64); ok {
			return n, nil
		}
		return f(sqlFloat(args[1])), nil
	}
}

func timePart(f func(time.Time) int) athenaScalar {
	return func(args []any) (any, error) { return int64(f(time.UnixMilli(sqlInt(args[0])).UTC())), nil }
}

var scalars map[string]athenaScalar

func init() { // some of them call each other
	scalars = map[string]athenaScalar{
		"lower": func(a []any) (any, error) { return strings.ToLower(sqlString(a[0])), nil }, "upper": func(a []any) (any, error) { return strings.ToUpper(sqlString(a[0])), nil },
		"trim": trimming(strings.Trim), "ltrim": trimming(strings.TrimLeft), "rtrim": trimming(strings.TrimRight),
		"length":  func(a []any) (any, error) { return int64(utf8.RuneCountInString(sqlString(a[0]))), nil },
		"reverse": func(a []any) (any, error) { r := []rune(sqlString(a[0])); slices.Reverse(r); return string(r), nil },
		"substr":  substr, "strpos": strpos, "split_part": splitPart, "lpad": padding(true), "rpad": padding(false), "split": split, "chr": chr,
		"replace": func(a []any) (any, error) {
			return strings.ReplaceAll(sqlString(a[0]), sqlString(a[1]), sqlString(append(a, "")[2])), nil
		},
		"starts_with": func(a []any) (any, error) { return boolInt(strings.HasPrefix(sqlString(a[0]), sqlString(a[1]))), nil },
		"ends_with":   func(a []any) (any, error) { return boolInt(strings.HasSuffix(sqlString(a[0]), sqlString(a[1]))), nil },
		"like":        like, "regexp_like": regexpLike, "regexp_extract": regexpExtract, "regexp_replace": regexpReplace, "regexp_count": regexpCount,
		"json_extract": jsonExtract, "json_extract_scalar": jsonExtractScalar, "json_parse": jsonParse, "json_format": func(a []any) (any, error) { return a[0], nil },
		"json_array_length": jsonArrayLength, "json_size": jsonSize, "is_json_scalar": isJSONScalar,
		"add": integers(addExact), "subtract": integers(subtractExact), "multiply": integers(multiplyExact), "divide": divide, "modulo": modulo, "cast": castValue,
		"ceil": rounding(math.Ceil), "floor": rounding(math.Floor), "truncate": rounding(math.Trunc), "abs": absolute, "round": round,
		"sqrt": floats(func(a []float64) float64 { return math.Sqrt(a[0]) }), "power": floats(func(a []float64) float64 { return math.Pow(a[0], a[1]) }),
		"exp": floats(func(a []float64) float64 { return math.Exp(a[0]) }), "ln": floats(func(a []float64) float64 { return math.Log(a[0]) }),
		"log10": floats(func(a []float64) float64 { return math.Log10(a[0]) }), "log2": floats(func(a []float64) float64 { return math.Log2(a[0]) }),
		"from_iso8601_timestamp": fromISO, "from_iso8601_date": fromISODate, "date_parse": dateParse, "date_format": dateFormat, "to_iso8601": toISO8601,
		"from_unixtime": func(a []any) (any, error) { return int64(math.Round(sqlFloat(a[0]) * 1000)), nil },
		"to_unixtime":   func(a []any) (any, error) { return float64(sqlInt(a[0])) / 1000, nil },
		"date_trunc":    dateTruncate, "date_diff": dateDifference, "addmonths": addMonths, "adddays": addDays,
		"year": timePart(time.Time.Year), "month": timePart(func(t time.Time) int { return int(t.Month()) }), "quarter": timePart(func(t time.Time) int { return (int(t.Month()) + 2) / 3 }),
		"week": timePart(func(t time.Time) int { _, w := t.ISOWeek(); return w }), "day": timePart(time.Time.Day), "day_of_year": timePart(time.Time.YearDay),
		"day_of_week": timePart(func(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }), "hour": timePart(time.Time.Hour), "minute": timePart(time.Time.Minute),
		"second": timePart(time.Time.Second), "millisecond": timePart(func(t time.Time) int { return t.Nanosecond() / 1e6 }),
		"field": field0, "item": arrayItem, "entry": entry, "cardinality": cardinality, "contains": arrayContains, "array_join": arrayJoin,
	}
}

func trimming(f func(s, cutset string) string) athenaScalar {
	return func(a []any) (any, error) { return f(sqlString(a[0]), sqlString(append(a, " \t\n\v\f\r")[1])), nil }
}

// substr counts from 1, from the end where negative; 0 and places outside give ”.
func substr(a []any) (any, error) {
	r, from := []rune(sqlString(a[0])), sqlInt(a[1])
	n := int64(len(r))
	if from < 0 {
		from += n + 1
	}
	if from < 1 || from > n {
		return "", nil
	}
	to := n
	if len(a) == 3 {
		if sqlInt(a[2]) <= 0 {
			return "", nil
		}
		to = min(n, from-1+min(sqlInt(a[2]), n))
	}
	return string(r[from-1 : to]), nil
}

func strpos(a []any) (any, error) {
	i := strings.Index(sqlString(a[0]), sqlString(a[1]))
	if i < 0 {
		return int64(0), nil
	}
	return int64(utf8.RuneCountInString(sqlString(a[0])[:i]) + 1), nil
}

func splitPart(a []any) (any, error) {
	if sqlInt(a[2]) <= 0 {
		return nil, invalidArgument("Index must be greater than zero")
	}
	if sqlString(a[1]) == "" {
		return nil, invalidArgument("the sandbox's Athena does not split at an empty delimiter")
	}
	parts := strings.Split(sqlString(a[0]), sqlString(a[1]))
	if i := sqlInt(a[2]); i <= int64(len(parts)) {
		return parts[i-1], nil
	}
	return nil, nil
}

func split(a []any) (any, error) {
	if sqlString(a[1]) == "" {
		return nil, invalidArgument("The delimiter may not be the empty string")
	}
	b, err := json.Marshal(strings.Split(sqlString(a[0]), sqlString(a[1])))
	return string(b), err
}

func padding(left bool) athenaScalar {
	return func(a []any) (any, error) {
		r, n, pad := []rune(sqlString(a[0])), sqlInt(a[1]), []rune(sqlString(a[2]))
		if n < 0 || n > 1<<20 || len(pad) == 0 {
			return nil, invalidArgument("Target length must be in the range [0..%d] and padding not empty", 1<<20)
		}
		if int64(len(r)) >= n {
			return string(r[:n]), nil
		}
		var fill []rune
		for i := 0; int64(len(fill)+len(r)) < n; i++ {
			fill = append(fill, pad[i%len(pad)])
		}
		if left {
			return string(append(fill, r...)), nil
		}
		return string(append(r, fill...)), nil
	}
}

func chr(a []any) (any, error) {
	n := sqlInt(a[0])
	if n < 1 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return nil, invalidArgument("Not a valid Unicode code point: %d", n)
	}
	return string(rune(n)), nil
}

// patterns caches compiled patterns of this process, a bounded number of them.
var patterns struct {
	sync.Mutex
	of map[string]*regexp.Regexp
}

func pattern(source string) (*regexp.Regexp, error) {
	patterns.Lock()
	defer patterns.Unlock()
	if re, ok := patterns.of[source]; ok {
		return re, nil
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, invalidArgument("the sandbox's Athena cannot read the pattern %s: %v", source, err)
	}
	if len(patterns.of) > 200 || patterns.of == nil {
		patterns.of = map[string]*regexp.Regexp{}
	}
	patterns.of[source] = re
	return re, nil
}

func like(a []any) (any, error) {
	escape := []rune(sqlString(append(a, "")[2]))
	if len(a) == 3 && len(escape) != 1 {
		return nil, invalidArgument("Escape string must be a single character")
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	runes := []rune(sqlString(a[1]))
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case len(escape) == 1 && r == escape[0]:
			i++
			if i >= len(runes) || runes[i] != '%' && runes[i] != '_' && runes[i] != escape[0] {
				return nil, invalidArgument("Escape character must be followed by '%%', '_' or the escape character itself")
			}
			b.WriteString(regexp.QuoteMeta(string(runes[i])))
		case r == '%':
			b.WriteString(".*")
		case r == '_':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	re, err := pattern(b.String() + `\z`)
	if err != nil {
		return nil, err
	}
	return boolInt(re.MatchString(sqlString(a[0]))), nil
}

func regexpLike(a []any) (any, error) {
	re, err := pattern(sqlString(a[1]))
	if err != nil {
		return nil, err
	}
	return boolInt(re.MatchString(sqlString(a[0]))), nil
}

func regexpCount(a []any) (any, error) {
	re, err := pattern(sqlString(a[1]))
	if err != nil {
		return nil, err
	}
	return int64(len(re.FindAllStringIndex(sqlString(a[0]), -1))), nil
}

func regexpExtract(a []any) (any, error) {
	re, err := pattern(sqlString(a[1]))
	if err != nil {
		return nil, err
	}
	group := sqlInt(append(a, int64(0))[2])
	if group < 0 || group > int64(re.NumSubexp()) {
		return nil, invalidArgument("Pattern has %d groups. Cannot access group %d", re.NumSubexp(), group)
	}
	at := re.FindStringSubmatchIndex(sqlString(a[0]))
	if at == nil || at[2*group] < 0 {
		return nil, nil
	}
	return sqlString(a[0])[at[2*group]:at[2*group+1]], nil
}

func regexpReplace(a []any) (any, error) {
	re, err := pattern(sqlString(a[1]))
	if err != nil {
		return nil, err
	}
	with := sqlString(append(a, "")[2])
	if strings.Contains(with, `\`) || strings.Contains(with, "${") {
		return nil, &queryError{"NOT_SUPPORTED", `the sandbox's Athena does not support \ and ${name} in the replacement of regexp_replace`}
	}
	with = regexp.MustCompile(`\$(\d)`).ReplaceAllString(with, `$${$1}`) // Go reads $1x as the group 1x
	return re.ReplaceAllString(sqlString(a[0]), with), nil
}

// integers makes integer arithmetic that overflows as Trino's does; the third
// argument is the type.
func integers(f func(a, b int64) (int64, bool)) athenaScalar {
	return func(args []any) (any, error) {
		n, ok := f(sqlInt(args[0]), sqlInt(args[1]))
		kind := sqlString(args[2])
		if limit := integerLimits[kind]; !ok || limit != 0 && (n >= limit || n < -limit) {
			return nil, &queryError{"NUMERIC_VALUE_OUT_OF_RANGE", kind + " overflow"}
		}
		return n, nil
	}
}

func addExact(a, b int64) (int64, bool) { n := a + b; return n, (n > a) == (b > 0) }

func subtractExact(a, b int64) (int64, bool) { n := a - b; return n, (n < a) == (b > 0) }

func multiplyExact(a, b int64) (int64, bool) {
	n := a * b
	return n, a == 0 || n/a == b && !(a == -1 && b == math.MinInt64)
}

var errDivision = &queryError{"DIVISION_BY_ZERO", "Division by zero"}

// divide takes the kind of numbers as its third argument: 0 integers, 1 doubles, 2
// decimals with their scale.
func divide(a []any) (any, error) {
	switch sqlInt(a[2]) {
	case 0:
		if sqlInt(a[1]) == 0 {
			return nil, errDivision
		}
		return sqlInt(a[0]) / sqlInt(a[1]), nil
	case 1:
		return noNaN(sqlFloat(a[0]) / sqlFloat(a[1]))
	}
	if sqlFloat(a[1]) == 0 {
		return nil, errDivision
	}
	return roundTo(sqlFloat(a[0])/sqlFloat(a[1]), int(sqlInt(a[3]))), nil
}

func modulo(a []any) (any, error) {
	switch sqlInt(a[2]) {
	case 0:
		if sqlInt(a[1]) == 0 {
			return nil, errDivision
		}
		return sqlInt(a[0]) % sqlInt(a[1]), nil
	case 1:
		return noNaN(math.Mod(sqlFloat(a[0]), sqlFloat(a[1])))
	}
	if sqlFloat(a[1]) == 0 {
		return nil, errDivision
	}
	return roundTo(math.Mod(sqlFloat(a[0]), sqlFloat(a[1])), int(sqlInt(a[3]))), nil
}

func absolute(a []any) (any, error) {
	if n, ok := a[1].(int64); ok {
		if n == math.MinInt64 {
			return nil, &queryError{"NUMERIC_VALUE_OUT_OF_RANGE", "Value -9223372036854775808 is out of range for abs(bigint)"}
		}
		return max(n, -n), nil
	}
	return math.Abs(sqlFloat(a[1])), nil
}

// round rounds half away from zero.
func round(a []any) (any, error) {
	scale := sqlInt(append(a, int64(0))[2])
	if n, ok := a[1].(int64); ok && scale >= 0 {
		return n, nil
	}
	f := roundTo(sqlFloat(a[1]), int(max(-18, min(18, scale))))
	if _, ok := a[1].(int64); ok {
		return int64(f), nil
	}
	return f, nil
}

func fromISO(a []any) (any, error) {
	s := sqlString(a[0])
	for _, layout := range []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02"} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if _, offset := t.Zone(); offset != 0 {
			return nil, errOffset(s)
		}
		return t.UnixMilli(), nil
	}
	return nil, invalidArgument("Invalid format: %q", s)
}

func fromISODate(a []any) (any, error) {
	t, err := time.Parse("2006-01-02", sqlString(a[0]))
	if err != nil {
		return nil, invalidArgument("Invalid format: %q", sqlString(a[0]))
	}
	return t.UnixMilli(), nil
}

func toISO8601(a []any) (any, error) {
	t := time.UnixMilli(sqlInt(a[1])).UTC()
	switch sqlString(a[0]) {
	case "date":
		return t.Format("2006-01-02"), nil
	case "timestamp":
		return t.Format("2006-01-02T15:04:05.000"), nil
	}
	return t.Format("2006-01-02T15:04:05.000Z"), nil
}

// mysqlLayouts are the signs of date_parse and date_format that Go has a layout for.
var mysqlLayouts = map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'i': "04", 's': "05", 'S': "05", 'y': "06", 'e': "2", 'c': "1", 'h': "03",
	'I': "03", 'p': "PM", 'M': "January", 'b': "Jan", 'W': "Monday", 'a': "Mon", 'T': "15:04:05", 'j': "002", '%': "%"}

// mysqlFormat cuts a format into pieces: layouts of Go and plain text.
func mysqlFormat(format string) (pieces []string, isText []bool, err error) {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			pieces, isText = append(pieces, string(format[i])), append(isText, true)
			continue
		}
		i++
		if i == len(format) {
			return nil, nil, invalidArgument("a format ends in %%: %s", format)
		}
		if format[i] == 'f' {
			pieces, isText = append(pieces, "f"), append(isText, false)
			continue
		}
		layout, ok := mysqlLayouts[format[i]]
		if !ok {
			return nil, nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena does not support %%%c in a date format", format[i])}
		}
		pieces, isText = append(pieces, layout), append(isText, format[i] == '%')
	}
	return pieces, isText, nil
}

func dateFormat(a []any) (any, error) {
	pieces, isText, err := mysqlFormat(sqlString(a[1]))
	if err != nil {
		return nil, err
	}
	t := time.UnixMilli(sqlInt(a[0])).UTC()
	var b strings.Builder
	for i, p := range pieces {
		switch {
		case isText[i]:
			b.WriteString(p)
		case p == "f":
			fmt.Fprintf(&b, "%06d", t.Nanosecond()/1000)
		default:
			b.WriteString(t.Format(p))
		}
	}
	return b.String(), nil
}

func dateParse(a []any) (any, error) {
	pieces, isText, err := mysqlFormat(sqlString(a[1]))
	if err != nil {
		return nil, err
	}
	layout := ""
	for i, p := range pieces {
		switch {
		case !isText[i] && p == "f":
			if !strings.HasSuffix(layout, "05.") {
				return nil, &queryError{"NOT_SUPPORTED", "the sandbox's Athena takes %f in date_parse only behind '%s.'"}
			}
			layout += "999999999"
		case isText[i] && strings.ContainsAny(p, "0123456789_"):
			return nil, &queryError{"NOT_SUPPORTED", "the sandbox's Athena does not support digits in a format of date_parse"}
		default:
			layout += p
		}
	}
	t, err := time.Parse(layout, sqlString(a[0]))
	if err != nil {
		return nil, invalidArgument("Invalid format: %q is malformed", sqlString(a[0]))
	}
	return t.UnixMilli(), nil
}

func dateTruncate(a []any) (any, error) {
	ms := sqlInt(a[1])
	t := time.UnixMilli(ms).UTC()
	switch unit := sqlString(a[0]); unit {
	case "week":
		day := ms - mod(ms, unitMillis["day"])
		return day - int64((int(t.Weekday())+6)%7)*unitMillis["day"], nil
	case "month":
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli(), nil
	case "quarter":
		return time.Date(t.Year(), (t.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), nil
	case "year":
		return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), nil
	default:
		return ms - mod(ms, unitMillis[unit]), nil
	}
}

// mod is the remainder that is never negative.
func mod(a, b int64) int64 { return ((a % b) + b) % b }

// dateDifference counts whole units between two times.
func dateDifference(a []any) (any, error) {
	unit, from, to := sqlString(a[0]), sqlInt(a[1]), sqlInt(a[2])
	if n, ok := unitMillis[unit]; ok {
		return (to - from) / n, nil
	}
	sign := int64(1)
	if from > to {
		sign, from, to = -1, to, from
	}
	x, y := time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC()
	months := int64(y.Year()-x.Year())*12 + int64(y.Month()) - int64(x.Month())
	if plusMonths(x, months).After(y) {
		months--
	}
	return sign * (months / unitMonths[unit]), nil
}

// plusMonths stays in the month: the 31st of January and a month is the 28th.
func plusMonths(t time.Time, n int64) time.Time {
	first := time.Date(t.Year(), t.Month(), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC).AddDate(0, int(n), 0)
	return first.AddDate(0, 0, min(t.Day(), first.AddDate(0, 1, -1).Day())-1)
}

func addMonths(a []any) (any, error) {
	if n := sqlInt(a[1]); n > 120000 || n < -120000 {
		return nil, invalidArgument("months out of range: %d", n)
	}
	return plusMonths(time.UnixMilli(sqlInt(a[0])).UTC(), sqlInt(a[1])).UnixMilli(), nil
}

func addDays(a []any) (any, error) {
	if sqlInt(a[1])%unitMillis["day"] != 0 {
		return nil, invalidArgument("Cannot add hour, minutes or seconds to a date")
	}
	return sqlInt(a[0]) + sqlInt(a[1]), nil
}

// decoded reads the JSON of an array, a map or a row, numbers as written.
func decoded(v any, into any) error {
	d := json.NewDecoder(strings.NewReader(sqlString(v)))
	d.UseNumber()
	return d.Decode(into)
}

// sqlValueOf makes a value of SQLite from a value of JSON.
func sqlValueOf(v any) (any, error) {
	switch x := v.(type) {
	case nil:
		return nil, nil
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n, nil
		}
		return x.Float64()
	case bool:
		return boolInt(x), nil
	case string:
		return x, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// field0 is a field of a row, by its place.
func field0(a []any) (any, error) {
	var row []any
	if err := decoded(a[0], &row); err != nil {
		return nil, err
	}
	if i := sqlInt(a[1]); i < int64(len(row)) {
		return sqlValueOf(row[i])
	}
	return nil, nil
}

// arrayItem is an element of an array; the third argument says whether a place beyond
// the end is an error.
func arrayItem(a []any) (any, error) {
	var list []any
	if err := decoded(a[0], &list); err != nil {
		return nil, err
	}
	i, strict, n := sqlInt(a[1]), sqlInt(a[2]) != 0, int64(len(list))
	switch {
	case i == 0:
		return nil, invalidArgument("SQL array indices start at 1")
	case strict && i < 0:
		return nil, invalidArgument("Array subscript is negative: %d", i)
	case i < 0:
		i += n + 1
	}
	if i < 1 || i > n {
		if strict {
			return nil, invalidArgument("Array subscript must be less than or equal to array length: %d > %d", i, n)
		}
		return nil, nil
	}
	return sqlValueOf(list[i-1])
}

func entry(a []any) (any, error) {
	var m map[string]any
	if err := decoded(a[0], &m); err != nil {
		return nil, err
	}
	v, ok := m[sqlString(a[1])]
	if !ok && sqlInt(a[2]) != 0 {
		return nil, invalidArgument("Key not present in map: %s", sqlString(a[1]))
	}
	return sqlValueOf(v)
}

func cardinality(a []any) (any, error) {
	var v any
	if err := decoded(a[0], &v); err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case []any:
		return int64(len(x)), nil
	case map[string]any:
		return int64(len(x)), nil
	}
	return nil, invalidArgument("neither an array nor a map")
}

// arrayContains is NULL where the value is not found and there is a NULL in the array.
func arrayContains(a []any) (any, error) {
	var list []any
	if err := decoded(a[0], &list); err != nil {
		return nil, err
	}
	missing := false
	for _, x := range list {
		v, err := sqlValueOf(x)
		if err != nil {
			return nil, err
		}
		f, isNumber := floatOf(v)
		g, wanted := floatOf(a[1])
		if v == nil {
			missing = true
		} else if v == a[1] || isNumber && wanted && f == g {
			return int64(1), nil
		}
	}
	if missing {
		return nil, nil
	}
	return int64(0), nil
}

func arrayJoin(a []any) (any, error) {
	var list []any
	if err := decoded(a[0], &list); err != nil {
		return nil, err
	}
	var parts []string
	for _, x := range list {
		v, err := sqlValueOf(x)
		switch {
		case err != nil:
			return nil, err
		case v != nil:
			parts = append(parts, sqlString(v))
		case len(a) == 3:
			parts = append(parts, sqlString(a[2]))
		}
	}
	return strings.Join(parts, sqlString(a[1])), nil
}
