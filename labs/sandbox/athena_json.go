package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON functions and casts.

// jsonPath reads the part of JSONPath that json_extract is used with: $, .name,
// ["name"] and [n].
func jsonPath(path string) ([]any, error) {
	bad := func() error { return invalidArgument("Invalid JSON path: '%s'", path) }
	rest := path
	if strings.HasPrefix(rest, "$") {
		rest = rest[1:]
	} else if rest != "" && rest[0] != '.' && rest[0] != '[' { // Trino takes a path without its $
		rest = "." + rest
	}
	var steps []any
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, ".."), strings.HasPrefix(rest, ".*"), strings.HasPrefix(rest, "[*"), strings.HasPrefix(rest, "[?"), strings.HasPrefix(rest, "[-"):
			return nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena does not support this JSON path: %s", path)}
		case rest[0] == '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			if end == 0 {
				return nil, bad()
			}
			steps, rest = append(steps, rest[1:1+end]), rest[1+end:]
		case strings.HasPrefix(rest, `["`):
			end := strings.Index(rest, `"]`)
			if end < 2 {
				return nil, bad()
			}
			if strings.Contains(rest[2:end], `\`) {
				return nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena does not support this JSON path: %s", path)}
			}
			steps, rest = append(steps, rest[2:end]), rest[end+2:]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			n, err := strconv.Atoi(rest[1:max(1, end)])
			if err != nil {
				return nil, bad()
			}
			steps, rest = append(steps, n), rest[end+1:]
		default:
			return nil, bad()
		}
	}
	return steps, nil
}

// follow finds what a path leads to; nil where there is nothing, or no JSON.
func follow(document, path string) (json.RawMessage, error) {
	steps, err := jsonPath(path)
	if err != nil {
		return nil, err
	}
	raw := json.RawMessage(document)
	if !json.Valid(raw) {
		return nil, nil
	}
	for _, s := range steps {
		raw = bytes.TrimSpace(raw)
		switch s := s.(type) {
		case string:
			if raw[0] == '[' { // Trino takes .0 for [0]
				return nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena does not look for the name %s in an array", s)}
			}
			var object map[string]json.RawMessage
			if raw[0] != '{' || json.Unmarshal(raw, &object) != nil {
				return nil, nil
			}
			raw = object[s]
		case int:
			var list []json.RawMessage
			if raw[0] != '[' || json.Unmarshal(raw, &list) != nil || s >= len(list) {
				return nil, nil
			}
			raw = list[s]
		}
		if raw == nil {
			return nil, nil
		}
	}
	return bytes.TrimSpace(raw), nil
}

func jsonExtract(a []any) (any, error) {
	raw, err := follow(sqlString(a[0]), sqlString(a[1]))
	if raw == nil || err != nil {
		return nil, err
	}
	return compact(raw)
}

func compact(raw json.RawMessage) (any, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, err
	}
	return b.String(), nil
}

func jsonExtractScalar(a []any) (any, error) {
	raw, err := follow(sqlString(a[0]), sqlString(a[1]))
	if raw == nil || err != nil {
		return nil, err
	}
	switch raw[0] {
	case '{', '[', 'n':
		return nil, nil
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	return string(raw), nil
}

// jsonParse gives canonical JSON, whose keys Trino puts in order.
func jsonParse(a []any) (any, error) {
	var v any
	if !json.Valid([]byte(sqlString(a[0]))) || decoded(a[0], &v) != nil {
		return nil, invalidArgument("Cannot convert value to JSON: '%s'", sqlString(a[0]))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func jsonArrayLength(a []any) (any, error) {
	var list []json.RawMessage
	if json.Unmarshal([]byte(sqlString(a[0])), &list) != nil || list == nil {
		return nil, nil
	}
	return int64(len(list)), nil
}

// jsonSize is the number of elements of an array or object, 0 for a scalar.
func jsonSize(a []any) (any, error) {
	raw, err := follow(sqlString(a[0]), sqlString(a[1]))
	if raw == nil || err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case []any:
		return int64(len(x)), nil
	case map[string]any:
		return int64(len(x)), nil
	}
	return int64(0), nil
}

func isJSONScalar(a []any) (any, error) {
	s := strings.TrimSpace(sqlString(a[0]))
	if !json.Valid([]byte(s)) {
		return nil, invalidArgument("Invalid JSON value: %s", s)
	}
	return boolInt(s[0] != '{' && s[0] != '['), nil
}

// castValue is CAST: the value, its type and the type that it shall have.
func castValue(a []any) (any, error) {
	from, err := trinoType(sqlString(a[1]))
	if err != nil {
		return nil, err
	}
	to, err := trinoType(sqlString(a[2]))
	if err != nil {
		return nil, err
	}
	if from.kind == "json" {
		return castJSON(sqlString(a[0]), to)
	}
	wrong := func() error {
		return &queryError{"INVALID_CAST_ARGUMENT", fmt.Sprintf("Cannot cast '%s' to %s", sqlString(a[0]), to)}
	}
	switch to.kind {
	case "varchar":
		return castText(a[0], from, to)
	case "boolean":
		return castBoolean(a[0], from, wrong)
	case "tinyint", "smallint", "integer", "bigint":
		return castInteger(a[0], from, to, wrong)
	case "double", "real", "decimal":
		return castFloat(a[0], from, to, wrong)
	case "json":
		return toJSON(a[0], from)
	}
	if from.isText() { // to a date or a timestamp
		ms, zoned, err := parseTime(sqlString(a[0]), to.kind)
		if err != nil || zoned && to.kind == "date" {
			return nil, wrong()
		}
		return ms, nil
	}
	ms := sqlInt(a[0])
	if to.kind == "date" {
		return ms - mod(ms, unitMillis["day"]), nil
	}
	return ms, nil
}

func castText(v any, from, to *athenaType) (any, error) {
	s := sqlString(v)
	switch {
	case from.isFloat(): // Trino writes 1.0E1 here, other than in results
		bits := 64
		if from.kind == "real" {
			bits = 32
		}
		s = javaScientific(sqlFloat(v), bits)
	case !from.isText():
		var err error
		if s, _, err = from.show(v); err != nil {
			return nil, err
		}
	}
	if n := to.precision; n > 0 && utf8.RuneCountInString(s) > n {
		if !from.isText() {
			return nil, &queryError{"INVALID_CAST_ARGUMENT", fmt.Sprintf("Value %s cannot be represented as %s", s, to)}
		}
		return string([]rune(s)[:n]), nil
	}
	return s, nil
}

func castBoolean(v any, from *athenaType, wrong func() error) (any, error) {
	if !from.isText() {
		return boolInt(sqlFloat(v) != 0), nil
	}
	switch strings.ToLower(sqlString(v)) {
	case "true", "t", "1":
		return int64(1), nil
	case "false", "f", "0":
		return int64(0), nil
	}
	return nil, wrong()
}

func castInteger(v any, from, to *athenaType, wrong func() error) (any, error) {
	var n int64
	switch x := v.(type) {
	case int64:
		n = x
	case float64:
		r := math.Round(x)
		if r >= 1<<63 || r < -1<<63 {
			return nil, wrong()
		}
		n = int64(r)
	case string:
		var err error
		if n, err = strconv.ParseInt(x, 10, 64); err != nil {
			return nil, wrong()
		}
	}
	if limit := integerLimits[to.kind]; limit != 0 && (n >= limit || n < -limit) {
		if from.isText() {
			return nil, wrong()
		}
		return nil, &queryError{"NUMERIC_VALUE_OUT_OF_RANGE", fmt.Sprintf("Out of range for %s: %d", to, n)}
	}
	return n, nil
}

func castFloat(v any, from, to *athenaType, wrong func() error) (any, error) {
	f := sqlFloat(v)
	if from.isText() {
		var err error
		if f, err = strconv.ParseFloat(strings.TrimSpace(sqlString(v)), 64); err != nil || math.IsNaN(f) || strings.ContainsAny(sqlString(v), "xX_pP") {
			return nil, wrong()
		}
	}
	switch to.kind {
	case "real":
		return float64(float32(f)), nil
	case "decimal":
		if math.Abs(f) >= math.Pow10(to.precision-to.scale) {
			return nil, wrong()
		}
		return roundTo(f, to.scale), nil
	}
	return f, nil
}

func toJSON(v any, from *athenaType) (any, error) {
	if from.kind == "boolean" {
		return strconv.FormatBool(sqlInt(v) != 0), nil
	}
	if from.isFloat() {
		return trinoDouble(sqlFloat(v), from.kind), nil
	}
	return plainText(v)
}

func plainText(v any) (any, error) {
	if n, ok := v.(int64); ok {
		return strconv.FormatInt(n, 10), nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// castJSON takes a JSON value out of its JSON.
func castJSON(document string, to *athenaType) (any, error) {
	wrong := func() error {
		return &queryError{"INVALID_CAST_ARGUMENT", fmt.Sprintf("Cannot cast to %s. Unexpected JSON: %s", to, document)}
	}
	var v any
	if err := decoded(document, &v); err != nil {
		return nil, wrong()
	}
	if v == nil {
		return nil, nil
	}
	out, err := castTree(v, to, wrong)
	if err != nil || !to.composite() {
		return out, err
	}
	b, err := json.Marshal(out)
	return string(b), err
}

func castTree(v any, to *athenaType, wrong func() error) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch to.kind {
	case "array":
		list, ok := v.([]any)
		if !ok {
			return nil, wrong()
		}
		out := make([]any, len(list))
		for i, x := range list {
			var err error
			if out[i], err = castTree(x, to.of[0], wrong); err != nil {
				return nil, err
			}
		}
		return out, nil
	case "map":
		object, ok := v.(map[string]any)
		if !ok || !to.of[0].isText() {
			return nil, wrong()
		}
		out := map[string]any{}
		for k, x := range object {
			var err error
			if out[k], err = castTree(x, to.of[1], wrong); err != nil {
				return nil, err
			}
		}
		return out, nil
	case "row":
		return castRow(v, to, wrong)
	case "json":
		return jsonText(v)
	}
	return castLeaf(v, to, wrong)
}

func jsonText(v any) (any, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

func castRow(v any, to *athenaType, wrong func() error) (any, error) {
	out := make([]any, len(to.of))
	for i, t := range to.of {
		var x any
		switch v := v.(type) {
		case []any:
			if len(v) != len(to.of) {
				return nil, wrong()
			}
			x = v[i]
		case map[string]any:
			for k := range v {
				if strings.EqualFold(k, to.names[i]) {
					x = v[k]
				}
			}
		default:
			return nil, wrong()
		}
		var err error
		if out[i], err = castTree(x, t, wrong); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func castLeaf(v any, to *athenaType, wrong func() error) (any, error) {
	var from *athenaType
	var plain any
	switch x := v.(type) {
	case string:
		from, plain = varcharType, x
	case bool:
		from, plain = booleanType, boolInt(x)
	case json.Number:
		var err error
		if plain, err = sqlValueOf(x); err != nil {
			return nil, wrong()
		}
		if from = doubleType; !isFloat(plain) {
			from = bigintType
		}
	default:
		return nil, wrong()
	}
	switch {
	case to.kind == "varchar":
		return castText(plain, from, to)
	case to.kind == "boolean":
		return castBoolean(plain, from, wrong)
	case to.isInteger():
		return castInteger(plain, from, to, wrong)
	case to.isNumber():
		return castFloat(plain, from, to, wrong)
	}
	return nil, wrong()
}
