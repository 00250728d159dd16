package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// This file knows the functions by name: what they take and what they give. What
// they do is in athena_scalars.go.

// signatures are the functions that answer NULL to a NULL and have one type of
// result. Parameters: v varchar, i an integer, n a number, d a number as a double,
// t a date or timestamp, s a timestamp with or without zone, j JSON or varchar,
// b boolean, c a number that is constant; a ? makes the rest optional.
var signatures = map[string]struct {
	takes string
	gives *athenaType // nil: that of the first argument
	as    string      // the name in athena_scalars.go, where it is another
}{
	"lower": {"v", varcharType, ""}, "upper": {"v", varcharType, ""}, "trim": {"v?v", varcharType, ""}, "ltrim": {"v?v", varcharType, ""}, "rtrim": {"v?v", varcharType, ""},
	"length": {"v", bigintType, ""}, "reverse": {"v", varcharType, ""}, "substr": {"vi?i", varcharType, ""}, "substring": {"vi?i", varcharType, "substr"},
	"strpos": {"vv", bigintType, ""}, "replace": {"vv?v", varcharType, ""}, "split_part": {"vvi", varcharType, ""}, "lpad": {"viv", varcharType, ""}, "rpad": {"viv", varcharType, ""},
	"starts_with": {"vv", booleanType, ""}, "ends_with": {"vv", booleanType, ""}, "split": {"vv", arrayOf(varcharType), ""}, "chr": {"i", varcharType, ""},
	"regexp_like": {"vv", booleanType, ""}, "regexp_extract": {"vv?i", varcharType, ""}, "regexp_replace": {"vv?v", varcharType, ""}, "regexp_count": {"vv", bigintType, ""},
	"json_extract": {"jv", jsonType, ""}, "json_extract_scalar": {"jv", varcharType, ""}, "json_parse": {"v", jsonType, ""}, "json_format": {"j", varcharType, ""},
	"json_array_length": {"j", bigintType, ""}, "json_size": {"jv", bigintType, ""}, "is_json_scalar": {"j", booleanType, ""},
	"ceil": {"n", nil, ""}, "ceiling": {"n", nil, "ceil"}, "floor": {"n", nil, ""}, "abs": {"n", nil, ""}, "round": {"n?i", nil, ""}, "truncate": {"n", nil, ""},
	"sqrt": {"d", doubleType, ""}, "power": {"dd", doubleType, ""}, "pow": {"dd", doubleType, "power"}, "exp": {"d", doubleType, ""}, "ln": {"d", doubleType, ""},
	"log10": {"d", doubleType, ""}, "log2": {"d", doubleType, ""},
	"from_iso8601_timestamp": {"v", zonedType, ""}, "from_iso8601_date": {"v", dateType, ""}, "from_unixtime": {"d", zonedType, ""}, "to_unixtime": {"s", doubleType, ""},
	"date_parse": {"vv", timestampType, ""}, "date_format": {"tv", varcharType, ""},
	"year": {"t", bigintType, ""}, "quarter": {"t", bigintType, ""}, "month": {"t", bigintType, ""}, "week": {"t", bigintType, ""}, "week_of_year": {"t", bigintType, "week"},
	"day": {"t", bigintType, ""}, "day_of_month": {"t", bigintType, "day"}, "day_of_week": {"t", bigintType, ""}, "dow": {"t", bigintType, "day_of_week"},
	"day_of_year": {"t", bigintType, ""}, "doy": {"t", bigintType, "day_of_year"}, "hour": {"s", bigintType, ""}, "minute": {"s", bigintType, ""}, "second": {"s", bigintType, ""},
	"millisecond": {"s", bigintType, ""},
}

// takes reports whether a parameter of a kind takes a type.
func takes(kind byte, t *athenaType) bool {
	if t.unknown() {
		return true
	}
	switch kind {
	case 'v':
		return t.isText()
	case 'i':
		return t.isInteger()
	case 'n', 'd':
		return t.isNumber()
	case 't':
		return t.isTime()
	case 's':
		return t.kind == "timestamp" || t.kind == zonedType.kind
	case 'j':
		return t.isText() || t.kind == "json"
	case 'b':
		return t.kind == "boolean"
	}
	return false
}

// special are the functions with types or laziness of their own.
var special = map[string]func(*compiler, *sqlExpr, *env) (sqlValue, error){}

func init() { // here and not in the literal: they call back into the compiler
	special = map[string]func(*compiler, *sqlExpr, *env) (sqlValue, error){
		"coalesce": (*compiler).coalesce, "if": (*compiler).ifCall, "nullif": (*compiler).nullif, "greatest": (*compiler).extreme, "least": (*compiler).extreme,
		"concat": (*compiler).concatCall, "now": (*compiler).nowCall, "current_timestamp": (*compiler).nowCall, "date": (*compiler).dateCall,
		"date_trunc": (*compiler).dateTrunc, "date_add": (*compiler).dateAdd, "date_diff": (*compiler).dateDiff, "to_iso8601": (*compiler).toISO,
		"mod": (*compiler).mod, "sign": (*compiler).signCall, "cardinality": (*compiler).cardinality, "contains": (*compiler).contains,
		"element_at": (*compiler).elementAt, "array_join": (*compiler).arrayJoin, "at_timezone": (*compiler).atTimezone, "typeof": (*compiler).typeOf,
		"json_array_contains": (*compiler).refusedCall,
	}
}

func (c *compiler) call(e *sqlExpr, at *env) (sqlValue, error) {
	if e.call.over != nil {
		return c.windowed(e, at)
	}
	if aggregates[e.text] != nil {
		return c.aggregate(e, at)
	}
	if windowOnly[e.text] {
		return sqlValue{}, e.at.fail("MISSING_OVER", "Window function %s requires an OVER clause", e.text)
	}
	f := special[e.text]
	s, known := signatures[e.text]
	switch {
	case f == nil && !known:
		if refusedFunctions[e.text] {
			return sqlValue{}, e.at.refuse("the function " + e.text)
		}
		return sqlValue{}, e.at.fail("FUNCTION_NOT_FOUND", "Function '%s' not registered, or the sandbox's Athena does not have it", e.text)
	case e.call.distinct || e.call.star || len(e.call.order) > 0 || e.call.filter != nil:
		return sqlValue{}, e.at.fail("FUNCTION_NOT_AGGREGATE", "DISTINCT, *, ORDER BY and FILTER are only for aggregate functions, not for %s", e.text)
	case f != nil:
		return f(c, e, at)
	}
	parts, err := c.parts(e.args, at)
	if err != nil {
		return sqlValue{}, err
	}
	required, optional, _ := strings.Cut(s.takes, "?")
	all := required + optional
	fits := len(parts) >= len(required) && len(parts) <= len(all)
	for i := range parts {
		fits = fits && takes(all[i], parts[i].type_)
	}
	if !fits {
		return sqlValue{}, e.wrongArguments(parts)
	}
	name := s.as
	if name == "" {
		name = e.text
	}
	t := s.gives
	if t == nil {
		if t = parts[0].type_; t.unknown() {
			t = doubleType
		}
	}
	sql := listSQL(parts)
	if e.text == "ceil" || e.text == "ceiling" || e.text == "floor" || e.text == "round" || e.text == "truncate" || e.text == "abs" {
		sql = sqlText(t.kind) + ", " + sql
		if t.kind == "decimal" && e.text != "round" && e.text != "abs" {
			t = decimalOf(t.precision+1, 0)
		}
	}
	return derive(at.fn(name)+"("+sql+")", t, parts...), nil
}

// refusedFunctions exist on Athena; saying that they are unknown would mislead.
var refusedFunctions = wordSet(`transform filter reduce any_match all_match none_match zip_with map_filter transform_values transform_keys row_number_over
	rand random uuid shuffle approx_set merge cast_row format_datetime parse_datetime url_extract_host url_extract_path url_extract_parameter
	url_decode url_encode md5 sha1 sha256 sha512 to_hex from_hex to_base64 from_base64 to_utf8 from_utf8 array_agg_distinct array_distinct array_sort
	array_max array_min array_position array_remove array_except array_intersect array_union arrays_overlap slice sequence flatten zip map map_keys map_values
	map_agg histogram multimap_agg map_concat map_entries map_from_entries listagg stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop
	regr_slope checksum geometric_mean entropy kurtosis skewness bitwise_and bitwise_or bitwise_xor bit_count width_bucket levenshtein_distance
	hamming_distance soundex translate concat_ws split_to_map regexp_split regexp_extract_all date_format_joda human_readable_seconds last_day_of_month
	year_of_week yow timezone_hour timezone_minute with_timezone to_milliseconds from_unixtime_nanos parse_duration format cbrt degrees radians sin cos tan
	asin acos atan atan2 pi e infinity nan is_nan is_finite numeric_histogram approx_most_frequent max_n min_n json_query json_value json_exists json_object json_array
	json_extract_array json_array_get codepoint word_stem index strrpos normalize try_convert grouping`)

func (c *compiler) refusedCall(e *sqlExpr, _ *env) (sqlValue, error) {
	return sqlValue{}, e.at.refuse("the function " + e.text)
}

func (e *sqlExpr) wrongArguments(parts []sqlValue) error {
	types := make([]string, len(parts))
	for i, p := range parts {
		types[i] = p.type_.String()
	}
	return e.at.fail("FUNCTION_NOT_FOUND", "Unexpected parameters (%s) for function %s", strings.Join(types, ", "), e.text)
}

func (c *compiler) parts(list []*sqlExpr, at *env) ([]sqlValue, error) {
	var out []sqlValue
	for _, a := range list {
		v, err := c.expr(a, at)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func listSQL(parts []sqlValue) string {
	list := make([]string, len(parts))
	for i, p := range parts {
		list[i] = p.sql
	}
	return strings.Join(list, ", ")
}

// sameType compiles arguments that must have one type together.
func (c *compiler) sameType(e *sqlExpr, at *env, list []*sqlExpr, least int) ([]sqlValue, *athenaType, error) {
	parts, err := c.parts(list, at)
	if err != nil {
		return nil, nil, err
	}
	t := unknownType
	for _, p := range parts {
		if t != nil {
			t = common(t, p.type_)
		}
	}
	if t == nil || len(parts) < least {
		return nil, nil, e.wrongArguments(parts)
	}
	return parts, t, nil
}

func (c *compiler) coalesce(e *sqlExpr, at *env) (sqlValue, error) {
	if at.inTry {
		return sqlValue{}, e.at.refuse("coalesce inside TRY (put TRY inside coalesce)")
	}
	parts, t, err := c.sameType(e, at, e.args, 2)
	if err != nil {
		return sqlValue{}, err
	}
	return derive("coalesce("+listSQL(parts)+")", t, parts...), nil
}

func (c *compiler) ifCall(e *sqlExpr, at *env) (sqlValue, error) {
	if at.inTry {
		return sqlValue{}, e.at.refuse("if inside TRY")
	}
	if len(e.args) < 2 || len(e.args) > 3 {
		return sqlValue{}, e.at.fail("SYNTAX_ERROR", "Invalid number of arguments for 'if' function")
	}
	when, err := c.boolean(e.args[0], at, "IF condition")
	if err != nil {
		return when, err
	}
	parts, t, err := c.sameType(e, at, e.args[1:], 1)
	if err != nil {
		return sqlValue{}, err
	}
	otherwise := "NULL"
	if len(parts) == 2 {
		otherwise = parts[1].sql
	}
	return derive("(CASE WHEN "+when.sql+" THEN "+parts[0].sql+" ELSE "+otherwise+" END)", t, append(parts, when)...), nil
}

func (c *compiler) nullif(e *sqlExpr, at *env) (sqlValue, error) {
	if at.inTry {
		return sqlValue{}, e.at.refuse("nullif inside TRY")
	}
	parts, _, err := c.sameType(e, at, e.args, 2)
	if err != nil || len(parts) != 2 {
		if err == nil {
			err = e.wrongArguments(parts)
		}
		return sqlValue{}, err
	}
	return derive("nullif("+listSQL(parts)+")", parts[0].type_, parts...), nil
}

// extreme is greatest and least: NULL if one is NULL, as SQLite's max and min are.
func (c *compiler) extreme(e *sqlExpr, at *env) (sqlValue, error) {
	parts, t, err := c.sameType(e, at, e.args, 1)
	if err != nil {
		return sqlValue{}, err
	}
	if t.composite() || t.kind == "json" {
		return sqlValue{}, e.at.refuse(e.text + " of " + t.String())
	}
	if len(parts) == 1 { // with one argument SQLite's is an aggregate
		return parts[0], nil
	}
	return derive(map[string]string{"greatest": "max", "least": "min"}[e.text]+"("+listSQL(parts)+")", t, parts...), nil
}

func (c *compiler) concatCall(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil || len(parts) < 2 {
		if err == nil {
			err = e.at.fail("INVALID_FUNCTION_ARGUMENT", "There must be two or more concatenation arguments")
		}
		return sqlValue{}, err
	}
	out := parts[0]
	for _, p := range parts[1:] {
		if out, err = c.concat(e, out, p); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (c *compiler) nowCall(e *sqlExpr, _ *env) (sqlValue, error) {
	if len(e.args) > 0 {
		return sqlValue{}, e.wrongArguments(nil)
	}
	return c.instant("current_timestamp"), nil
}

func (c *compiler) dateCall(e *sqlExpr, at *env) (sqlValue, error) {
	if len(e.args) != 1 {
		return sqlValue{}, e.wrongArguments(nil)
	}
	return c.cast(&sqlExpr{kind: castExpr, at: e.at, type_: dateType, args: e.args}, at)
}

// unit reads the constant name of a unit of time.
func (c *compiler) unit(e *sqlExpr, at *env, known ...map[string]int64) (string, error) {
	if len(e.args) == 0 || e.args[0].kind != textExpr {
		return "", e.at.refuse("a unit of time that is not a literal")
	}
	u := strings.ToLower(e.args[0].text)
	for _, k := range known {
		if _, ok := k[u]; ok {
			return u, nil
		}
	}
	return "", e.at.fail("INVALID_FUNCTION_ARGUMENT", "'%s' is not a valid field", e.args[0].text)
}

func (c *compiler) dateTrunc(e *sqlExpr, at *env) (sqlValue, error) {
	u, err := c.unit(e, at, unitMillis, unitMonths)
	if err != nil {
		return sqlValue{}, err
	}
	parts, err := c.parts(e.args[1:], at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 1 || !parts[0].type_.isTime() && !parts[0].type_.unknown() || parts[0].type_.kind == "date" && unitMillis[u] > 0 && unitMillis[u] < unitMillis["day"] {
		return sqlValue{}, e.wrongArguments(parts)
	}
	return derive(at.fn("date_trunc")+"("+sqlText(u)+", "+parts[0].sql+")", parts[0].type_, parts...), nil
}

func (c *compiler) dateAdd(e *sqlExpr, at *env) (sqlValue, error) {
	u, err := c.unit(e, at, unitMillis, unitMonths)
	if err != nil {
		return sqlValue{}, err
	}
	parts, err := c.parts(e.args[1:], at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 2 || !takes('i', parts[0].type_) || !parts[1].type_.isTime() || parts[1].type_.kind == "date" && unitMillis[u] > 0 && unitMillis[u] < unitMillis["day"] {
		return sqlValue{}, e.wrongArguments(parts)
	}
	if m, ok := unitMonths[u]; ok {
		return derive(fmt.Sprintf("%s(%s, %d * %s)", at.fn("addmonths"), parts[1].sql, m, parts[0].sql), parts[1].type_, parts...), nil
	}
	return derive(fmt.Sprintf("(%s + %d * %s)", parts[1].sql, unitMillis[u], parts[0].sql), parts[1].type_, parts...), nil
}

func (c *compiler) dateDiff(e *sqlExpr, at *env) (sqlValue, error) {
	u, err := c.unit(e, at, unitMillis, unitMonths)
	if err != nil {
		return sqlValue{}, err
	}
	parts, _, err := c.sameType(e, at, e.args[1:], 2)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 2 || !takes('t', parts[0].type_) || !takes('t', parts[1].type_) {
		return sqlValue{}, e.wrongArguments(parts)
	}
	return derive(at.fn("date_diff")+"("+sqlText(u)+", "+listSQL(parts)+")", bigintType, parts...), nil
}

func (c *compiler) toISO(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 1 || !parts[0].type_.isTime() {
		return sqlValue{}, e.wrongArguments(parts)
	}
	return derive(at.fn("to_iso8601")+"("+sqlText(castName(parts[0].type_))+", "+parts[0].sql+")", varcharType, parts...), nil
}

func (c *compiler) atTimezone(e *sqlExpr, at *env) (sqlValue, error) {
	if len(e.args) != 2 {
		return sqlValue{}, e.wrongArguments(nil)
	}
	return c.zone(e, at)
}

func (c *compiler) typeOf(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil || len(parts) != 1 {
		if err == nil {
			err = e.wrongArguments(parts)
		}
		return sqlValue{}, err
	}
	return derive(sqlText(parts[0].type_.String()), varcharType, parts...), nil
}

func (c *compiler) mod(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 2 || !takes('n', parts[0].type_) || !takes('n', parts[1].type_) {
		return sqlValue{}, e.wrongArguments(parts)
	}
	return c.arithmetic(&sqlExpr{at: e.at, text: "%"}, at, parts[0], parts[1])
}

func (c *compiler) signCall(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 1 || !parts[0].type_.isNumber() {
		return sqlValue{}, e.wrongArguments(parts)
	}
	t := parts[0].type_
	if t.kind == "decimal" {
		t = decimalOf(1, 0)
	}
	return derive("sign("+parts[0].sql+")", t, parts...), nil
}

func (c *compiler) cardinality(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 1 || parts[0].type_.kind != "array" && parts[0].type_.kind != "map" {
		return sqlValue{}, e.wrongArguments(parts)
	}
	return derive(at.fn("cardinality")+"("+parts[0].sql+")", bigintType, parts...), nil
}

func (c *compiler) contains(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 2 || parts[0].type_.kind != "array" || common(parts[0].type_.of[0], parts[1].type_) == nil || parts[1].type_.composite() {
		return sqlValue{}, e.wrongArguments(parts)
	}
	return derive(at.fn("contains")+"("+listSQL(parts)+")", booleanType, parts...), nil
}

func (c *compiler) elementAt(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) != 2 {
		return sqlValue{}, e.wrongArguments(parts)
	}
	return c.element(e, at, parts[0], parts[1], false)
}

func (c *compiler) arrayJoin(e *sqlExpr, at *env) (sqlValue, error) {
	parts, err := c.parts(e.args, at)
	if err != nil {
		return sqlValue{}, err
	}
	if len(parts) < 2 || len(parts) > 3 || parts[0].type_.kind != "array" || !takes('v', parts[1].type_) || len(parts) == 3 && !takes('v', parts[2].type_) {
		return sqlValue{}, e.wrongArguments(parts)
	}
	if of := parts[0].type_.of[0]; !of.isText() && !of.isInteger() {
		return sqlValue{}, e.at.refuse("array_join of " + parts[0].type_.String())
	}
	return derive(at.fn("array_join")+"("+listSQL(parts)+")", varcharType, parts...), nil
}

// aggregates say what an aggregate gives, nil for arguments that it does not take;
// sql is a pattern for its arguments.
type aggregate struct {
	sql   string // %s stands for the arguments
	least int
	most  int
	gives func(args []sqlValue) *athenaType
}

var aggregates map[string]*aggregate

func init() {
	first := func(a []sqlValue) *athenaType { return a[0].type_ }
	ordered := func(a []sqlValue) *athenaType {
		if t := a[len(a)-1].type_; t.composite() || t.kind == "json" {
			return nil
		}
		return a[0].type_
	}
	boolean := func(a []sqlValue) *athenaType {
		if takes('b', a[0].type_) {
			return booleanType
		}
		return nil
	}
	count := func([]sqlValue) *athenaType { return bigintType }
	aggregates = map[string]*aggregate{
		"count": {"count(%s)", 1, 1, count},
		"count_if": {"count(CASE WHEN %s THEN 1 END)", 1, 1, func(a []sqlValue) *athenaType {
			if boolean(a) == nil {
				return nil
			}
			return bigintType
		}},
		"approx_distinct": {"count(DISTINCT %s)", 1, 1, count}, // exact, where Athena is off by about 2 %
		"sum": {"sum(%s)", 1, 1, func(a []sqlValue) *athenaType {
			switch t := a[0].type_; {
			case t.isInteger() || t.unknown():
				return bigintType
			case t.kind == "decimal":
				return decimalOf(38, t.scale)
			case t.isFloat():
				return t
			}
			return nil
		}},
		"avg": {"avg(%s)", 1, 1, func(a []sqlValue) *athenaType {
			switch t := a[0].type_; {
			case t.isInteger() || t.unknown():
				return doubleType
			case t.isNumber():
				return t
			}
			return nil
		}},
		"min": {"min(%s)", 1, 1, ordered}, "max": {"max(%s)", 1, 1, ordered},
		"min_by": {"ath_min_by(%s)", 2, 2, ordered}, "max_by": {"ath_max_by(%s)", 2, 2, ordered},
		"arbitrary": {"ath_any(%s)", 1, 1, first}, "any_value": {"ath_any(%s)", 1, 1, first},
		"bool_and": {"min(%s)", 1, 1, boolean}, "every": {"min(%s)", 1, 1, boolean}, "bool_or": {"max(%s)", 1, 1, boolean},
		"array_agg": {"ath_array_agg(%s)", 1, 1, func(a []sqlValue) *athenaType { return arrayOf(a[0].type_) }},
		// The value at the rank: within what an approximation may answer.
		"approx_percentile": {"ath_percentile(%s)", 2, 2, func(a []sqlValue) *athenaType {
			if a[0].type_.isNumber() && a[1].type_.isNumber() && a[1].constant() {
				return a[0].type_
			}
			return nil
		}},
	}
}

func (c *compiler) aggregate(e *sqlExpr, at *env) (sqlValue, error) {
	if at.clause != "" {
		return sqlValue{}, e.at.fail("EXPRESSION_NOT_SCALAR", "%s cannot contain aggregations, window functions or grouping operations: %s", at.clause, e.text)
	}
	if at.inAgg {
		return sqlValue{}, e.at.fail("NESTED_AGGREGATION", "Cannot nest aggregations inside aggregation '%s'", e.text)
	}
	inner := *at
	inner.inAgg, inner.inTry, inner.groups, inner.aliases = true, false, nil, nil
	sql, t, parts, err := c.aggregateSQL(e, &inner)
	if err != nil {
		return sqlValue{}, err
	}
	v := derive(sql, t, parts...)
	v.agg, v.bare = true, ""
	return v, nil
}

// aggregateSQL writes an aggregate with its DISTINCT, ORDER BY and FILTER.
func (c *compiler) aggregateSQL(e *sqlExpr, at *env) (string, *athenaType, []sqlValue, error) {
	f := aggregates[e.text]
	var parts []sqlValue
	sql := "count(*)"
	t := bigintType
	switch {
	case e.call.star && e.text != "count":
		return "", nil, nil, e.at.fail("SYNTAX_ERROR", "%s(*) is not an aggregation", e.text)
	case e.text == "count" && len(e.args) == 0:
		if e.call.distinct {
			return "", nil, nil, e.at.fail("SYNTAX_ERROR", "DISTINCT can not be applied to count(*)")
		}
	default:
		var err error
		if parts, err = c.parts(e.args, at); err != nil {
			return "", nil, nil, err
		}
		if len(parts) < f.least || len(parts) > f.most {
			return "", nil, nil, e.wrongArguments(parts)
		}
		if t = f.gives(parts); t == nil {
			return "", nil, nil, e.wrongArguments(parts)
		}
		inner := listSQL(parts)
		if e.call.distinct {
			if len(parts) > 1 || e.text == "count_if" || e.text == "approx_distinct" {
				return "", nil, nil, e.at.refuse(e.text + "(DISTINCT …)")
			}
			inner = "DISTINCT " + inner
		}
		if len(e.call.order) > 0 {
			if e.text != "array_agg" {
				return "", nil, nil, e.at.refuse("ORDER BY inside " + e.text)
			}
			var keys []string
			for _, o := range e.call.order {
				k, err := c.expr(o.expr, at)
				if err != nil {
					return "", nil, nil, err
				}
				parts, keys = append(parts, k), append(keys, o.term(k.sql))
			}
			inner += " ORDER BY " + strings.Join(keys, ", ")
		}
		sql = strings.Replace(f.sql, "%s", inner, 1)
	}
	if e.call.filter != nil {
		v, err := c.boolean(e.call.filter, at, "FILTER clause")
		if err != nil {
			return "", nil, nil, err
		}
		parts = append(parts, v)
		sql += " FILTER (WHERE " + v.sql + ")"
	}
	if t.kind == "decimal" {
		sql = fmt.Sprintf("round(%s, %d)", sql, t.scale)
	}
	return sql, t, parts, nil
}

// windowOnly are the functions that need an OVER; windowAggregates the aggregates
// that SQLite can also run over a window.
var (
	windowOnly       = wordSet("row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value")
	windowAggregates = wordSet("count sum avg min max count_if bool_and bool_or every")
)

func (c *compiler) windowed(e *sqlExpr, at *env) (sqlValue, error) {
	if at.clause != "" || at.inAgg || at.inTry {
		return sqlValue{}, e.at.fail("EXPRESSION_NOT_SCALAR", "a window function cannot stand here: %s", e.text)
	}
	var sql string
	var t *athenaType
	var parts []sqlValue
	var err error
	switch {
	case windowOnly[e.text]:
		if sql, t, parts, err = c.windowCall(e, at); err != nil {
			return sqlValue{}, err
		}
	case windowAggregates[e.text]:
		if e.call.distinct {
			return sqlValue{}, e.at.refuse("DISTINCT in a window function")
		}
		if sql, t, parts, err = c.aggregateSQL(e, at); err != nil {
			return sqlValue{}, err
		}
		if t.kind == "decimal" {
			return sqlValue{}, e.at.refuse("decimals in a window function (cast to double)")
		}
	default:
		return sqlValue{}, e.at.refuse(e.text + " as a window function")
	}
	w, marks, err := c.over(e.call.over, at)
	if err != nil {
		return sqlValue{}, err
	}
	for _, p := range slices.Concat(parts, marks) {
		if p.window {
			return sqlValue{}, e.at.fail("NESTED_WINDOW", "Cannot nest window functions or row pattern measures inside window function '%s'", e.text)
		}
	}
	v := derive(sql+" OVER ("+w+")", t, append(parts, marks...)...)
	v.window = true
	return v, nil
}

func (c *compiler) over(w *sqlWindow, at *env) (string, []sqlValue, error) {
	var clauses []string
	partition, err := c.parts(w.partition, at)
	if err != nil {
		return "", nil, err
	}
	if len(partition) > 0 {
		clauses = append(clauses, "PARTITION BY "+listSQL(partition))
	}
	marks := slices.Clone(partition)
	var keys []string
	for _, o := range w.order {
		k, err := c.expr(o.expr, at)
		if err != nil {
			return "", nil, err
		}
		marks, keys = append(marks, k), append(keys, o.term(k.sql))
	}
	if len(keys) > 0 {
		clauses = append(clauses, "ORDER BY "+strings.Join(keys, ", "))
	}
	if w.frame != "" {
		clauses = append(clauses, w.frame)
	}
	return strings.Join(clauses, " "), marks, nil
}

func (c *compiler) windowCall(e *sqlExpr, at *env) (string, *athenaType, []sqlValue, error) {
	if e.call.distinct || e.call.filter != nil || len(e.call.order) > 0 || e.call.star {
		return "", nil, nil, e.at.fail("SYNTAX_ERROR", "DISTINCT, FILTER and ORDER BY do not belong to %s", e.text)
	}
	parts, err := c.parts(e.args, at)
	if err != nil {
		return "", nil, nil, err
	}
	want := map[string][2]int{"ntile": {1, 1}, "lag": {1, 3}, "lead": {1, 3}, "first_value": {1, 1}, "last_value": {1, 1}, "nth_value": {2, 2}}[e.text]
	if len(parts) < want[0] || len(parts) > want[1] {
		return "", nil, nil, e.wrongArguments(parts)
	}
	t := bigintType
	switch e.text {
	case "percent_rank", "cume_dist":
		t = doubleType
	case "lag", "lead", "first_value", "last_value", "nth_value":
		t = parts[0].type_
		if len(parts) == 3 {
			if t = common(t, parts[2].type_); t == nil {
				return "", nil, nil, e.wrongArguments(parts)
			}
		}
	}
	return e.text + "(" + listSQL(parts) + ")", t, parts, nil
}
