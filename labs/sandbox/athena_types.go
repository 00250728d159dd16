package sandbox

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// athenaType is a type of Trino. Values are kept in SQLite like this: booleans as 0
// and 1, all times as milliseconds since 1970 in UTC, decimals as doubles that are
// rounded to their scale, JSON and arrays, maps and rows as JSON text (a row is a
// list of its fields).
type athenaType struct {
	kind             string
	of               []*athenaType // array: element; map: key, value; row: fields
	names            []string      // of a row's fields
	precision, scale int           // decimal; precision also varchar(n)
}

func simpleType(kind string) *athenaType { return &athenaType{kind: kind} }

var (
	unknownType   = simpleType("unknown")
	booleanType   = simpleType("boolean")
	integerType   = simpleType("integer")
	bigintType    = simpleType("bigint")
	doubleType    = simpleType("double")
	varcharType   = simpleType("varchar")
	dateType      = simpleType("date")
	timestampType = simpleType("timestamp")
	zonedType     = simpleType("timestamp with time zone")
	jsonType      = simpleType("json")
	daysType      = simpleType("interval day to second")
	monthsType    = simpleType("interval year to month")
)

func arrayOf(t *athenaType) *athenaType { return &athenaType{kind: "array", of: []*athenaType{t}} }

func decimalOf(precision, scale int) *athenaType {
	return &athenaType{kind: "decimal", precision: min(38, precision), scale: scale}
}

// String is the type in Trino's words.
func (t *athenaType) String() string {
	switch t.kind {
	case "timestamp":
		return "timestamp(3)"
	case "timestamp with time zone":
		return "timestamp(3) with time zone"
	case "decimal":
		return fmt.Sprintf("decimal(%d,%d)", t.precision, t.scale)
	case "varchar":
		if t.precision > 0 {
			return fmt.Sprintf("varchar(%d)", t.precision)
		}
	case "array", "map":
		parts := make([]string, len(t.of))
		for i, x := range t.of {
			parts[i] = x.String()
		}
		return t.kind + "(" + strings.Join(parts, ", ") + ")"
	case "row":
		parts := make([]string, len(t.of))
		for i, x := range t.of {
			parts[i] = strings.TrimSpace(t.names[i] + " " + x.String())
		}
		return "row(" + strings.Join(parts, ", ") + ")"
	}
	return t.kind
}

func (t *athenaType) isInteger() bool {
	return t.kind == "bigint" || t.kind == "integer" || t.kind == "smallint" || t.kind == "tinyint"
}
func (t *athenaType) isFloat() bool   { return t.kind == "double" || t.kind == "real" }
func (t *athenaType) isNumber() bool  { return t.isInteger() || t.isFloat() || t.kind == "decimal" }
func (t *athenaType) isTime() bool    { return t == nil || timeRank[t.kind] > 0 }
func (t *athenaType) isText() bool    { return t.kind == "varchar" }
func (t *athenaType) unknown() bool   { return t.kind == "unknown" }
func (t *athenaType) composite() bool { return t.kind == "array" || t.kind == "map" || t.kind == "row" }

var (
	numberRank = map[string]int{"tinyint": 1, "smallint": 2, "integer": 3, "bigint": 4, "decimal": 5, "real": 6, "double": 7}
	timeRank   = map[string]int{"date": 1, "timestamp": 2, "timestamp with time zone": 3}
	// digits is the precision that an integer type has as a decimal.
	digits = map[string]int{"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
)

// common is the type that two values have together, nil where there is none.
func common(a, b *athenaType) *athenaType {
	switch {
	case a.unknown():
		return b
	case b.unknown():
		return a
	case a.isNumber() && b.isNumber():
		if a.kind == "decimal" && b.isInteger() || a.isInteger() && b.kind == "decimal" || a.kind == "decimal" && b.kind == "decimal" {
			a, b = a.asDecimal(), b.asDecimal()
			scale := max(a.scale, b.scale)
			return decimalOf(max(a.precision-a.scale, b.precision-b.scale)+scale, scale)
		}
		if numberRank[a.kind] >= numberRank[b.kind] {
			return a
		}
		return b
	case timeRank[a.kind] > 0 && timeRank[b.kind] > 0:
		if timeRank[a.kind] >= timeRank[b.kind] {
			return a
		}
		return b
	case a.kind != b.kind:
		return nil
	case a.composite():
		if len(a.of) != len(b.of) {
			return nil
		}
		out := &athenaType{kind: a.kind, names: a.names}
		for i := range a.of {
			x := common(a.of[i], b.of[i])
			if x == nil {
				return nil
			}
			out.of = append(out.of, x)
		}
		return out
	case a.kind == "varchar" && a.precision != b.precision:
		return varcharType
	}
	return a
}

func (t *athenaType) asDecimal() *athenaType {
	if n, ok := digits[t.kind]; ok {
		return decimalOf(n, 0)
	}
	return t
}

// typeReader reads types of Hive (struct<a:string>) and of Trino (row(a varchar)).
type typeReader struct {
	s           string
	i           int
	open, close byte
	names       map[string]string
}

var (
	hiveNames = map[string]string{"string": "varchar", "varchar": "varchar", "char": "varchar", "boolean": "boolean", "tinyint": "tinyint", "smallint": "smallint",
		"int": "integer", "integer": "integer", "bigint": "bigint", "float": "real", "double": "double", "decimal": "decimal", "date": "date", "timestamp": "timestamp",
		"array": "array", "map": "map", "struct": "row"}
	trinoNames = map[string]string{"varchar": "varchar", "boolean": "boolean", "tinyint": "tinyint", "smallint": "smallint", "int": "integer", "integer": "integer",
		"bigint": "bigint", "real": "real", "double": "double", "decimal": "decimal", "date": "date", "timestamp": "timestamp", "json": "json",
		"timestamp with time zone": "timestamp with time zone", "array": "array", "map": "map", "row": "row"}
)

func hiveType(s string) (*athenaType, error) {
	return readType(s, '<', '>', hiveNames)
}

func trinoType(s string) (*athenaType, error) {
	return readType(s, '(', ')', trinoNames)
}

func readType(s string, open, close byte, names map[string]string) (*athenaType, error) {
	r := &typeReader{s: strings.ToLower(s), open: open, close: close, names: names}
	t, err := r.read(0)
	if err == nil && strings.TrimSpace(r.s[r.i:]) != "" {
		err = fmt.Errorf("Unknown type: %s", strings.TrimSpace(s)) //nolint:staticcheck // Trino's words
	}
	return t, err
}

func (r *typeReader) read(depth int) (*athenaType, error) {
	bad := func() error { return fmt.Errorf("Unknown type: %s", strings.TrimSpace(r.s)) } //nolint:staticcheck // Trino's words
	if depth > 30 {
		return nil, bad()
	}
	word := strings.TrimSpace(r.until("<>(),"))
	kind, ok := r.names[word]
	if !ok {
		return nil, bad()
	}
	t := &athenaType{kind: kind}
	switch kind {
	case "array", "map", "row":
		return t, r.inner(t, depth, bad)
	case "decimal":
		t.precision, t.scale = 38, 0
		if r.open == '<' {
			t.precision = 10
		}
		if numbers, err := r.numbers(); err != nil {
			return nil, err
		} else if len(numbers) > 0 {
			t.precision = numbers[0]
			if len(numbers) > 1 {
				t.scale = numbers[1]
			}
		}
	case "varchar":
		numbers, err := r.numbers()
		if err != nil {
			return nil, err
		}
		if len(numbers) > 0 {
			t.precision = numbers[0]
		}
	case "timestamp":
		numbers, err := r.numbers()
		if err != nil {
			return nil, err
		}
		if len(numbers) > 0 && numbers[0] != 3 {
			return nil, fmt.Errorf("the sandbox has timestamp(3) only, not %s", strings.TrimSpace(r.s))
		}
		if rest := strings.TrimSpace(r.until("<>(),")); rest == "with time zone" {
			return zonedType, nil
		} else if rest != "" {
			return nil, bad()
		}
	}
	return t, nil
}

// until takes the text up to one of the signs.
func (r *typeReader) until(signs string) string {
	from := r.i
	for r.i < len(r.s) && strings.IndexByte(signs, r.s[r.i]) < 0 {
		r.i++
	}
	return r.s[from:r.i]
}

// numbers reads (10,2); both dialects write it so.
func (r *typeReader) numbers() ([]int, error) {
	if r.i >= len(r.s) || r.s[r.i] != '(' {
		return nil, nil
	}
	end := strings.IndexByte(r.s[r.i:], ')')
	if end < 0 {
		return nil, fmt.Errorf("Unknown type: %s", r.s) //nolint:staticcheck // Trino's words
	}
	var out []int
	for _, p := range strings.Split(r.s[r.i+1:r.i+end], ",") {
		n, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("Unknown type: %s", r.s) //nolint:staticcheck // Trino's words
		}
		out = append(out, n)
	}
	r.i += end + 1
	return out, nil
}

// inner reads what is between the brackets of an array, a map or a row.
func (r *typeReader) inner(t *athenaType, depth int, bad func() error) error {
	if r.i >= len(r.s) || r.s[r.i] != r.open {
		return bad()
	}
	r.i++
	for {
		if t.kind == "row" {
			for r.i < len(r.s) && r.s[r.i] == ' ' {
				r.i++
			}
			between := ":"
			if r.open == '(' {
				between = " "
			}
			t.names = append(t.names, strings.Trim(strings.TrimSpace(r.until(between)), "`\""))
			r.i++
		}
		if r.i > len(r.s) {
			return bad()
		}
		x, err := r.read(depth + 1)
		if err != nil {
			return err
		}
		t.of = append(t.of, x)
		for r.i < len(r.s) && r.s[r.i] == ' ' {
			r.i++
		}
		if r.i >= len(r.s) {
			return bad()
		}
		r.i++
		switch r.s[r.i-1] {
		case ',':
		case r.close:
			if want := map[string]int{"array": 1, "map": 2}[t.kind]; want != 0 && want != len(t.of) {
				return bad()
			}
			return nil
		default:
			return bad()
		}
	}
}

// show is a value as Athena writes it into results; ok is false for NULL.
func (t *athenaType) show(v any) (text string, ok bool, err error) {
	if v == nil {
		return "", false, nil
	}
	switch x := v.(type) {
	case []byte:
		v = string(x)
	case json.Number:
		if n, err := x.Int64(); err == nil {
			v = n
		} else if f, err := x.Float64(); err == nil {
			v = f
		}
	case bool:
		v = int64(0)
		if x {
			v = int64(1)
		}
	}
	wrong := func() error {
		return &queryError{"GENERIC_INTERNAL_ERROR", fmt.Sprintf("the sandbox has %T where it expected %s", v, t)}
	}
	switch t.kind {
	case "varchar", "json":
		if s, ok := v.(string); ok {
			return s, true, nil
		}
	case "boolean":
		if n, ok := v.(int64); ok {
			return strconv.FormatBool(n != 0), true, nil
		}
	case "tinyint", "smallint", "integer", "bigint":
		n, ok := v.(int64)
		if limit := integerLimits[t.kind]; ok && limit != 0 && (n >= limit || n < -limit) || !ok && isFloat(v) {
			return "", false, &queryError{"NUMERIC_VALUE_OUT_OF_RANGE", t.kind + " overflow"}
		}
		if ok {
			return strconv.FormatInt(n, 10), true, nil
		}
	case "double", "real":
		if f, ok := floatOf(v); ok {
			return trinoDouble(f, t.kind), true, nil
		}
	case "decimal":
		if f, ok := floatOf(v); ok {
			return strconv.FormatFloat(roundTo(f, t.scale), 'f', t.scale, 64), true, nil
		}
	case "date", "timestamp", "timestamp with time zone":
		if n, ok := v.(int64); ok {
			return showTime(n, t.kind), true, nil
		}
	case "interval day to second":
		if n, ok := v.(int64); ok {
			sign := ""
			if n < 0 {
				sign, n = "-", -n
			}
			return fmt.Sprintf("%s%d %02d:%02d:%02d.%03d", sign, n/86400000, n/3600000%24, n/60000%60, n/1000%60, n%1000), true, nil
		}
	case "interval year to month":
		if n, ok := v.(int64); ok {
			sign := ""
			if n < 0 {
				sign, n = "-", -n
			}
			return fmt.Sprintf("%s%d-%d", sign, n/12, n%12), true, nil
		}
	case "array", "map", "row":
		return t.showComposite(v, wrong)
	}
	return "", false, wrong()
}

// integerLimits are the first numbers beyond the small integer types.
var integerLimits = map[string]int64{"tinyint": 1 << 7, "smallint": 1 << 15, "integer": 1 << 31}

func isFloat(v any) bool { _, ok := v.(float64); return ok }

func floatOf(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case int64:
		return float64(x), true
	}
	return 0, false
}

// showComposite writes [a, b], {k=v} and {field=v}, as Athena's results have them.
func (t *athenaType) showComposite(v any, wrong func() error) (string, bool, error) {
	if s, ok := v.(string); ok {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return "", false, wrong()
		}
	}
	element := func(t *athenaType, v any) (string, error) {
		s, ok, err := t.show(v)
		if !ok && err == nil {
			s = "null"
		}
		return s, err
	}
	var parts []string
	switch x := v.(type) {
	case []any:
		if t.kind == "row" && len(x) != len(t.of) || t.kind == "map" {
			return "", false, wrong()
		}
		for i, e := range x {
			of := t.of[0]
			if t.kind == "row" {
				of = t.of[i]
			}
			s, err := element(of, e)
			if err != nil {
				return "", false, err
			}
			if t.kind == "row" {
				name := t.names[i]
				if name == "" {
					name = "field" + strconv.Itoa(i)
				}
				s = name + "=" + s
			}
			parts = append(parts, s)
		}
	case map[string]any:
		for _, k := range sortedNames(x) {
			s, err := element(t.of[1], x[k])
			if err != nil {
				return "", false, err
			}
			parts = append(parts, k+"="+s)
		}
	default:
		return "", false, wrong()
	}
	if t.kind == "array" {
		return "[" + strings.Join(parts, ", ") + "]", true, nil
	}
	return "{" + strings.Join(parts, ", ") + "}", true, nil
}

// trinoDouble writes a number as Java does: plain from 0.001 to ten million.
func trinoDouble(f float64, kind string) string {
	bits := 64
	if kind == "real" {
		bits = 32
	}
	switch a := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case a == 0 || a >= 1e-3 && a < 1e7:
		s := strconv.FormatFloat(f, 'f', -1, bits)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	return javaScientific(f, bits)
}

// javaScientific writes 1.5E10 and 1.0E-5.
func javaScientific(f float64, bits int) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, bits), "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, err := strconv.Atoi(exponent)
	if err != nil { // FormatFloat writes e+NN, which is a number
		return mantissa + "E" + exponent
	}
	return mantissa + "E" + strconv.Itoa(n)
}

func roundTo(f float64, scale int) float64 {
	p := math.Pow10(scale)
	if r := math.Round(f*p) / p; !math.IsInf(r, 0) && !math.IsNaN(r) {
		return r
	}
	return f
}

func showTime(ms int64, kind string) string {
	t := time.UnixMilli(ms).UTC()
	switch kind {
	case "date":
		return t.Format("2006-01-02")
	case "timestamp":
		return t.Format("2006-01-02 15:04:05.000")
	}
	return t.Format("2006-01-02 15:04:05.000") + " UTC"
}
