package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// This file turns a line of an object into the values of a table's columns, as the
// two JSON SerDes do. Their rules are those of Trino's own readers, which Athena's
// engine version 3 is built from (lib/trino-hive-formats, line/openxjson/README.md
// and line/json). One of them surprises everybody once: a line ends at its newline,
// and what follows the first object of a line is ignored. Records that Firehose
// wrote without a delimiter are one line, of which Athena sees the first record only.

const (
	openXSerDe = "org.openx.data.jsonserde.JsonSerDe"
	hiveSerDe  = "org.apache.hive.hcatalog.data.JsonSerDe"
)

// rowReader reads the lines of one table.
type rowReader struct {
	openX           bool
	ignoreMalformed bool
	caseSensitive   bool
	dots            bool
	mapping         map[string]string // column -> key
	columns         []scanColumn

	places map[string]int // key -> column that is read
	raw    [][]byte       // of the row being read, by column
	exact  []bool
}

// newRowReader refuses every SerDe and property whose effect it does not know.
func newRowReader(t *glueTable, columns []scanColumn) (*rowReader, error) {
	r := &rowReader{columns: columns, mapping: map[string]string{}}
	s := t.StorageDescriptor
	library := ""
	if s != nil && s.SerdeInfo != nil {
		library = s.SerdeInfo.SerializationLibrary
	}
	switch library {
	case openXSerDe:
		r.openX = true
	case hiveSerDe, "org.apache.hadoop.hive.serde2.JsonSerDe":
	case "":
		return nil, &queryError{"HIVE_INVALID_METADATA", fmt.Sprintf("Table %s.%s has no SerDe", t.database, t.Name)}
	default:
		return nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena reads JSON (%s, %s), not %s", openXSerDe, hiveSerDe, library)}
	}
	for _, name := range slices.Sorted(maps.Keys(s.SerdeInfo.Parameters)) {
		if err := r.property(strings.ToLower(name), s.SerdeInfo.Parameters[name]); err != nil {
			return nil, err
		}
	}
	r.places, r.raw, r.exact = map[string]int{}, make([][]byte, len(columns)), make([]bool, len(columns))
	for i, c := range columns {
		if c.isData() && c.used {
			r.places[r.key(c.name)] = i
		}
	}
	return r, nil
}

func (r *rowReader) property(name, value string) error {
	yes := strings.EqualFold(value, "true")
	switch {
	case name == "serialization.format" || name == "paths" || name == "explicit.null": // about writing, or a hint of the crawler
	case r.openX && name == "ignore.malformed.json":
		r.ignoreMalformed = yes
	case r.openX && name == "case.insensitive":
		r.caseSensitive = !yes
	case r.openX && name == "dots.in.keys":
		r.dots = yes
	case r.openX && strings.HasPrefix(name, "mapping."):
		r.mapping[strings.TrimPrefix(name, "mapping.")] = value
	default:
		return &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena does not know the SerDe property %s", name)}
	}
	return nil
}

func malformed(why any) error {
	return &queryError{"HIVE_CURSOR_ERROR", fmt.Sprintf("Row is not a valid JSON Object - JSONException: %v", why)}
}

// row reads one line; values are in the order of the columns, and only those that
// the query uses.
func (r *rowReader) row(line []byte, values []any) error {
	for i := range values {
		values[i] = nil
	}
	line = bytes.TrimSpace(line)
	if r.openX && (len(line) == 0 || line[0] != '{' && line[0] != '[') {
		return nil // not even malformed: a row of NULLs
	}
	end, err := firstValue(line)
	if err != nil {
		return r.bad(err)
	}
	line = line[:end]
	if line[0] == '[' && r.openX {
		return r.list(line, values)
	}
	if line[0] != '{' {
		return r.bad(errors.New("a row must be a JSON object"))
	}
	clear(r.raw)
	if err := members(line, func(key string, raw []byte) { r.take(key, raw) }); err != nil {
		return r.bad(err)
	}
	for i, raw := range r.raw {
		if raw == nil {
			continue
		}
		if err := r.column(i, raw, values); err != nil {
			return err
		}
	}
	return nil
}

// list reads a row that is an array: fields by position.
func (r *rowReader) list(line []byte, values []any) error {
	var list []json.RawMessage
	if err := json.Unmarshal(line, &list); err != nil {
		return r.bad(err)
	}
	for i, raw := range list {
		if i < len(r.columns) && r.columns[i].isData() && r.columns[i].used {
			if err := r.column(i, raw, values); err != nil {
				return err
			}
		}
	}
	return nil
}

// take keeps a member's value for the columns that want it; the last of several of
// one name wins, and a name that fits exactly wins over a_b for a.b.
func (r *rowReader) take(key string, raw []byte) {
	if !r.caseSensitive {
		key = strings.ToLower(key)
	}
	if i, ok := r.places[key]; ok {
		r.raw[i], r.exact[i] = raw, true
		return
	}
	if r.dots {
		if i, ok := r.places[strings.ReplaceAll(key, ".", "_")]; ok && (r.raw[i] == nil || !r.exact[i]) {
			r.raw[i], r.exact[i] = raw, false
		}
	}
}

func (r *rowReader) key(column string) string {
	if key, ok := r.mapping[column]; ok {
		if !r.caseSensitive {
			return strings.ToLower(key)
		}
		return key
	}
	return column
}

func (r *rowReader) bad(err error) error {
	if r.openX && r.ignoreMalformed {
		return nil
	}
	return malformed(err)
}

// firstValue finds the end of the first JSON value of a line, which is an object or
// an array; what follows it is ignored.
func firstValue(line []byte) (end int, err error) {
	if len(line) > 0 && (line[0] == '{' || line[0] == '[') {
		end = valueEnd(line, 0)
	}
	if end > 0 && json.Valid(line[:end]) {
		return end, nil
	}
	var v any // the slow way finds the words for what is wrong
	if err := json.NewDecoder(bytes.NewReader(line)).Decode(&v); err != nil {
		return 0, err
	}
	return 0, errors.New("a row must be a JSON object")
}

// valueEnd finds where the value that begins at from ends, -1 if it does not.
func valueEnd(b []byte, from int) int {
	depth := 0
	for i := from; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i = stringEnd(b, i); i < 0 {
				return -1
			}
			i--
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 { // the end of what the value is in
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return -1
}

// stringEnd finds the end of a string that begins at from, behind its quote.
func stringEnd(b []byte, from int) int {
	for i := from + 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// isBlank reports JSON's white space.
func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// members visits the members of an object that is known to be valid.
func members(object []byte, visit func(key string, raw []byte)) error {
	for i := 1; ; {
		for i < len(object) && (object[i] == ',' || isBlank(object[i])) {
			i++
		}
		if i >= len(object) || object[i] != '"' {
			return nil
		}
		end := stringEnd(object, i)
		key := string(object[i+1 : end-1])
		if strings.IndexByte(key, '\\') >= 0 {
			if err := json.Unmarshal(object[i:end], &key); err != nil {
				return err
			}
		}
		for i = end; object[i] != ':'; i++ {
		}
		for i++; isBlank(object[i]); i++ {
		}
		end = valueEnd(object, i)
		if end < 0 {
			return errors.New("a value does not end")
		}
		visit(key, object[i:end])
		i = end
	}
}

func (r *rowReader) column(i int, raw json.RawMessage, values []any) error {
	c := r.columns[i]
	v, err := r.value(c.type_, raw)
	if err != nil {
		return &queryError{"HIVE_BAD_DATA", fmt.Sprintf("Error parsing field '%s': %v", c.name, err)}
	}
	if c.type_.composite() && v != nil {
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("sandbox: column %s: %w", c.name, err)
		}
		v = string(text)
	}
	values[i] = v
	return nil
}

// value converts a JSON value to a type; composites become Go values.
func (r *rowReader) value(t *athenaType, raw json.RawMessage) (any, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	switch t.kind {
	case "array":
		return r.array(t, raw)
	case "map", "row":
		return r.fields(t, raw)
	}
	isObject := raw[0] == '{' || raw[0] == '['
	if t.kind == "varchar" && (r.openX || !isObject) {
		return r.text(t, raw, isObject)
	}
	if isObject && !(r.openX && t.kind == "boolean") {
		return nil, fmt.Errorf("a JSON object or array can not be coerced to %s", strings.ToUpper(t.String()))
	}
	text, quoted := string(raw), raw[0] == '"'
	if quoted {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
	}
	v, err := r.scalar(t, text, quoted)
	if err != nil && r.openX {
		return nil, nil // what this SerDe cannot parse is NULL
	}
	return v, err
}

func (r *rowReader) text(t *athenaType, raw json.RawMessage, isObject bool) (any, error) {
	var s string
	switch {
	case raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw):
		s = string(raw[1 : len(raw)-1])
	case raw[0] == '"':
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
	case isObject:
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return nil, err
		}
		s = b.String()
	default:
		s = string(raw)
	}
	if n := t.precision; n > 0 {
		if runes := []rune(s); len(runes) > n {
			s = string(runes[:n])
		}
	}
	return s, nil
}

func (r *rowReader) scalar(t *athenaType, text string, quoted bool) (any, error) {
	wrong := func() error {
		return fmt.Errorf("%q can not be coerced to %s", text, strings.ToUpper(t.String()))
	}
	switch t.kind {
	case "boolean":
		return boolInt(strings.EqualFold(text, "true")), nil
	case "tinyint", "smallint", "integer", "bigint":
		if quoted && !r.openX {
			return nil, wrong()
		}
		return integerIn(t, text, wrong)
	case "double", "real":
		if quoted && !r.openX {
			return nil, wrong()
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, wrong()
		}
		if t.kind == "real" {
			f = float64(float32(f))
		}
		return f, nil
	case "decimal":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.Abs(f) >= math.Pow10(t.precision-t.scale) {
			return nil, wrong()
		}
		return roundTo(f, t.scale), nil
	case "date":
		d, err := time.Parse("2006-01-02", strings.SplitN(text, " ", 2)[0])
		if err != nil {
			return nil, wrong()
		}
		return d.UnixMilli(), nil
	case "timestamp":
		return r.timestamp(text, wrong)
	}
	return nil, fmt.Errorf("the sandbox does not read %s", t)
}

// integerIn reads an integer as BigDecimal does: 1.9 and 1e2 are taken, a fraction
// is cut off.
func integerIn(t *athenaType, text string, wrong func() error) (any, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, ok := new(big.Float).SetString(text)
		if !ok || f.IsInf() {
			return nil, wrong()
		}
		var exact big.Accuracy
		if n, exact = f.Int64(); (n == math.MaxInt64 || n == math.MinInt64) && exact != big.Exact {
			return nil, wrong()
		}
	}
	if limit := integerLimits[t.kind]; limit != 0 && (n >= limit || n < -limit) {
		return nil, wrong()
	}
	return n, nil
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

var (
	hiveTimes  = []string{"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05", "2006-01-02"}
	openXTimes = []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"}
)

func (r *rowReader) timestamp(text string, wrong func() error) (any, error) {
	layouts := hiveTimes
	if r.openX {
		layouts = openXTimes
		if f, err := strconv.ParseFloat(text, 64); err == nil && !strings.ContainsAny(text, "eExXnN") {
			if !strings.Contains(text, ".") && len(text) >= 13 { // milliseconds; else seconds
				return int64(f), nil
			}
			return int64(math.Round(f * 1000)), nil
		}
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UnixMilli(), nil
		}
	}
	return nil, wrong()
}

func (r *rowReader) array(t *athenaType, raw json.RawMessage) (any, error) {
	if raw[0] != '[' {
		if !r.openX {
			return nil, fmt.Errorf("a JSON value that is no array can not be coerced to %s", t)
		}
		if string(raw) == `""` {
			return nil, nil
		}
		v, err := r.value(t.of[0], raw) // a single value is a list of one
		return []any{v}, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	out := make([]any, len(list))
	for i, x := range list {
		v, err := r.value(t.of[0], x)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// fields reads an object as a map or as a row.
func (r *rowReader) fields(t *athenaType, raw json.RawMessage) (any, error) {
	if r.openX && raw[0] == '"' && strings.TrimSpace(strings.Trim(string(raw), `"`)) == "" {
		return nil, nil
	}
	if raw[0] != '{' {
		return nil, fmt.Errorf("a JSON value that is no object can not be coerced to %s", t)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	if t.kind == "map" {
		out := make(map[string]any, len(object))
		for k, x := range object {
			v, err := r.value(t.of[1], x)
			if err != nil {
				return nil, err
			}
			out[k] = v
		}
		return out, nil
	}
	keys := make(map[string]json.RawMessage, len(object))
	for _, k := range slices.Sorted(maps.Keys(object)) {
		if r.caseSensitive {
			keys[k] = object[k]
		} else {
			keys[strings.ToLower(k)] = object[k]
		}
	}
	out := make([]any, len(t.of))
	for i, name := range t.names {
		v, err := r.value(t.of[i], keys[name])
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}
