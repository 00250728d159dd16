package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Expressions with their types.

func (c *compiler) expr(e *sqlExpr, at *env) (sqlValue, error) {
	v, err := c.node(e, at)
	if err != nil {
		return v, err
	}
	if v.bare != "" && at.groups[v.sql] {
		v.bare = "" // it is one of the things that are grouped by
	}
	return v, nil
}

func (c *compiler) node(e *sqlExpr, at *env) (sqlValue, error) {
	switch e.kind {
	case nullExpr:
		return sqlValue{sql: "NULL", type_: unknownType}, nil
	case textExpr:
		if strings.ContainsRune(e.text, 0) {
			return sqlValue{}, e.at.refuse("the character NUL in a string")
		}
		return sqlValue{sql: sqlText(e.text), type_: varcharType}, nil
	case numberExpr:
		return numberValue(e)
	case boolExpr:
		return sqlValue{sql: strconv.FormatInt(boolInt(e.text == "true"), 10), type_: booleanType}, nil
	case nameExpr:
		return c.resolve(e, at)
	case starExpr:
		return sqlValue{}, e.at.fail("SYNTAX_ERROR", "mismatched input '*'")
	case paramExpr:
		return c.parameter(e)
	case callExpr:
		return c.call(e, at)
	case castExpr:
		return c.cast(e, at)
	case caseExpr:
		return c.cases(e, at)
	case fieldExpr:
		v, err := c.expr(e.args[0], at)
		if err != nil {
			return v, err
		}
		return c.field(e.at, v, e.text)
	case itemExpr:
		return c.item(e, at)
	case unaryExpr:
		return c.unary(e, at)
	case binaryExpr:
		return c.binary(e, at)
	case betweenExpr:
		return c.between(e, at)
	case inExpr:
		return c.in(e, at)
	case likeExpr:
		return c.like(e, at)
	case isNullExpr:
		if at.inTry {
			return sqlValue{}, e.at.refuse("IS NULL inside TRY")
		}
		v, err := c.expr(e.args[0], at)
		if err != nil {
			return v, err
		}
		return derive("("+v.sql+" IS "+notIf(e.not)+"NULL)", booleanType, v), nil
	case existsExpr:
		sql, _, err := c.query(e.query, at.scope)
		return sqlValue{sql: "EXISTS (" + sql + ")", type_: booleanType, opaque: true}, err
	case queryExpr:
		return c.scalarQuery(e, at)
	case arrayExpr:
		return c.array(e, at)
	case rowExpr:
		return sqlValue{}, e.at.refuse("row values")
	case intervalExpr:
		return c.interval(e)
	case typedExpr:
		return c.typed(e)
	case tryExpr:
		inner := *at
		inner.inTry = true
		return c.expr(e.args[0], &inner)
	case nowExpr:
		return c.instant(e.text), nil
	case zoneExpr:
		return c.zone(e, at)
	}
	return sqlValue{}, e.at.refuse("this expression")
}

func notIf(not bool) string {
	if not {
		return "NOT "
	}
	return ""
}

// parameter puts a bound value in: as a node of its own, never as text, so a quote
// in a value is a quote.
func (c *compiler) parameter(e *sqlExpr) (sqlValue, error) {
	i, err := strconv.Atoi(e.text)
	if err != nil || i >= len(c.params) {
		return sqlValue{}, e.at.fail("INVALID_PARAMETER_USAGE", "Incorrect number of parameters: expected more than %d", len(c.params))
	}
	return c.expr(c.params[i], &env{scope: &scope{}})
}

// parseParameters reads bound values. Each is SQL: a string wants its quotes. Only
// literals are taken, as on AWS, and casts of them.
func parseParameters(list []string) ([]*sqlExpr, error) {
	var out []*sqlExpr
	for i, text := range list {
		p, err := newSQLParser(text)
		var e *sqlExpr
		if err == nil {
			if e, err = p.expression(); err == nil {
				err = p.end()
			}
		}
		if err != nil || !e.literal() {
			return nil, &queryError{"INVALID_PARAMETER_USAGE", fmt.Sprintf("execution parameter %d is not a literal (a string needs single quotes, with quotes inside doubled): %s", i+1, text)}
		}
		out = append(out, e)
	}
	return out, nil
}

func (e *sqlExpr) literal() bool {
	switch e.kind {
	case nullExpr, textExpr, numberExpr, boolExpr, intervalExpr, typedExpr:
		return true
	case castExpr:
		return e.args[0].literal()
	}
	return false
}

// instant is the time at which the query began: the same for all of it.
func (c *compiler) instant(word string) sqlValue {
	ms := c.now.UnixMilli()
	switch word {
	case "current_date":
		return sqlValue{sql: strconv.FormatInt(ms-ms%86400000, 10), type_: dateType}
	case "localtimestamp":
		return sqlValue{sql: strconv.FormatInt(ms, 10), type_: timestampType}
	}
	return sqlValue{sql: strconv.FormatInt(ms, 10), type_: zonedType}
}

func (c *compiler) typed(e *sqlExpr) (sqlValue, error) {
	t, text := dateType, e.args[0].text
	if e.text == "timestamp" {
		t = timestampType
	}
	ms, zoned, err := parseTime(text, t.kind)
	if err != nil {
		return sqlValue{}, e.at.fail("INVALID_LITERAL", "'%s' is not a valid %s literal", text, strings.ToUpper(e.text))
	}
	if zoned {
		t = zonedType
	}
	return sqlValue{sql: strconv.FormatInt(ms, 10), type_: t}, nil
}

// timeLayouts are what a date and a timestamp may look like as text.
var timeLayouts = map[string][]string{
	"date":      {"2006-1-2"},
	"timestamp": {"2006-1-2 15:4:5", "2006-1-2 15:4", "2006-1-2"}, // a fraction may follow the seconds
}

// parseTime reads a time; with a zone at its end it is one with a time zone, of which
// the sandbox knows UTC and offsets.
func parseTime(text, kind string) (ms int64, zoned bool, err error) {
	text = strings.TrimSpace(text)
	if kind != "date" {
		kind = "timestamp"
		if rest, ok := strings.CutSuffix(text, " UTC"); ok {
			text, zoned = rest, true
		} else if t, err := time.Parse("2006-1-2 15:4:5 Z07:00", text); err == nil {
			if _, offset := t.Zone(); offset != 0 {
				return 0, false, errOffset(text)
			}
			return t.UnixMilli(), true, nil
		}
	}
	for _, layout := range timeLayouts[kind] {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMilli(), zoned, nil
		}
	}
	return 0, false, fmt.Errorf("%q is no %s", text, kind)
}

// errOffset refuses what the sandbox could not show as Athena does.
func errOffset(text string) error {
	return &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena keeps times in UTC and would lose the offset of %s", text)}
}

var unitMillis = map[string]int64{"millisecond": 1, "second": 1000, "minute": 60000, "hour": 3600000, "day": 86400000, "week": 7 * 86400000}
var unitMonths = map[string]int64{"month": 1, "quarter": 3, "year": 12}

func (c *compiler) interval(e *sqlExpr) (sqlValue, error) {
	n, err := strconv.ParseInt(e.args[0].text, 10, 32)
	if err != nil {
		return sqlValue{}, e.at.fail("INVALID_LITERAL", "'%s' is not a valid INTERVAL literal", e.args[0].text)
	}
	if unit, ok := unitMonths[e.text]; ok {
		return sqlValue{sql: strconv.FormatInt(n*unit, 10), type_: monthsType}, nil
	}
	return sqlValue{sql: strconv.FormatInt(n*unitMillis[e.text], 10), type_: daysType}, nil
}

func (c *compiler) zone(e *sqlExpr, at *env) (sqlValue, error) {
	if z := e.args[1]; z.kind != textExpr || z.text != "UTC" {
		return sqlValue{}, e.at.refuse("AT TIME ZONE other than 'UTC'")
	}
	v, err := c.expr(e.args[0], at)
	if err == nil && v.type_.kind != "timestamp" && v.type_.kind != "timestamp with time zone" {
		err = e.at.fail("TYPE_MISMATCH", "Type of value must be a time or timestamp with or without time zone (actual %s)", v.type_)
	}
	v.type_ = zonedType
	return v, err
}

func (c *compiler) unary(e *sqlExpr, at *env) (sqlValue, error) {
	v, err := c.expr(e.args[0], at)
	if err != nil {
		return v, err
	}
	if e.text == "NOT" {
		if v.type_.kind != "boolean" && !v.type_.unknown() {
			return v, e.at.fail("TYPE_MISMATCH", "Value of logical NOT expression must evaluate to a boolean (actual: %s)", v.type_)
		}
		return derive("(NOT "+v.sql+")", booleanType, v), nil
	}
	if !v.type_.isNumber() && v.type_.kind != daysType.kind && v.type_.kind != monthsType.kind {
		return v, e.at.fail("TYPE_MISMATCH", "Cannot negate %s", v.type_)
	}
	return derive("(- "+v.sql+")", v.type_, v), nil
}

// fn is the SQL name of a function of ours; inside TRY its errors are NULLs.
func (at *env) fn(name string) string {
	if at.inTry {
		return "aty_" + name
	}
	return "ath_" + name
}

func (c *compiler) binary(e *sqlExpr, at *env) (sqlValue, error) {
	l, err := c.expr(e.args[0], at)
	if err != nil {
		return l, err
	}
	r, err := c.expr(e.args[1], at)
	if err != nil {
		return r, err
	}
	switch e.text {
	case "AND", "OR":
		for _, v := range []sqlValue{l, r} {
			if v.type_.kind != "boolean" && !v.type_.unknown() {
				return v, e.at.fail("TYPE_MISMATCH", "Logical expression term must evaluate to a boolean (actual: %s)", v.type_)
			}
		}
		if at.inTry {
			return l, e.at.refuse(e.text + " inside TRY")
		}
		return derive("("+l.sql+" "+e.text+" "+r.sql+")", booleanType, l, r), nil
	case "||":
		return c.concat(e, l, r)
	case "+", "-", "*", "/", "%":
		return c.arithmetic(e, at, l, r)
	}
	if err := c.comparable(e, l, r, e.text); err != nil {
		return l, err
	}
	if e.text == "IS DISTINCT FROM" {
		if at.inTry {
			return l, e.at.refuse("IS DISTINCT FROM inside TRY")
		}
		operator := " IS NOT "
		if e.not {
			operator = " IS "
		}
		return derive("("+l.sql+operator+r.sql+")", booleanType, l, r), nil
	}
	return derive("("+l.sql+" "+e.text+" "+r.sql+")", booleanType, l, r), nil
}

// comparable insists that two values have one type, as Trino does: a number is
// never compared with a text.
func (c *compiler) comparable(e *sqlExpr, l, r sqlValue, operator string) error {
	t := common(l.type_, r.type_)
	if t == nil {
		return e.at.fail("TYPE_MISMATCH", "Cannot apply operator: %s %s %s", l.type_, operator, r.type_)
	}
	if t.kind == "map" || t.kind == "row" || t.kind == "array" || t.kind == "json" && operator != "=" && operator != "<>" {
		return e.at.refuse("comparing " + t.String() + " by " + operator)
	}
	return nil
}

func (c *compiler) concat(e *sqlExpr, l, r sqlValue) (sqlValue, error) {
	for _, v := range []sqlValue{l, r} {
		if v.type_.kind == "array" {
			return v, e.at.refuse("|| of arrays")
		}
		if !v.type_.isText() && !v.type_.unknown() {
			return v, e.at.fail("TYPE_MISMATCH", "Unexpected parameters (%s, %s) for function concat. Expected: concat(varchar, varchar)", l.type_, r.type_)
		}
	}
	return derive("("+l.sql+" || "+r.sql+")", varcharType, l, r), nil
}

func (c *compiler) arithmetic(e *sqlExpr, at *env, l, r sqlValue) (sqlValue, error) {
	wrong := e.at.fail("TYPE_MISMATCH", "Cannot apply operator: %s %s %s", l.type_, e.text, r.type_)
	lt, rt := l.type_, r.type_
	if lt.unknown() {
		lt = rt
	}
	if rt.unknown() {
		rt = lt
	}
	if lt.isNumber() && rt.isNumber() {
		return c.numbers(e, at, l, r, lt, rt)
	}
	if rt.isTime() && !lt.isTime() && e.text == "+" { // interval + time
		l, r, lt, rt = r, l, rt, lt
	}
	switch {
	case lt.isTime() && rt.kind == daysType.kind && (e.text == "+" || e.text == "-"):
		if lt.kind == "date" { // only whole days may be added to a date
			return derive(at.fn("adddays")+"("+l.sql+", "+signed(e.text, r.sql)+")", lt, l, r), nil
		}
		return derive("("+l.sql+" "+e.text+" "+r.sql+")", lt, l, r), nil
	case lt.isTime() && rt.kind == monthsType.kind && (e.text == "+" || e.text == "-"):
		return derive(at.fn("addmonths")+"("+l.sql+", "+signed(e.text, r.sql)+")", lt, l, r), nil
	case lt.isTime() && rt.isTime() && e.text == "-":
		return derive("("+l.sql+" - "+r.sql+")", daysType, l, r), nil
	case (lt.kind == daysType.kind || lt.kind == monthsType.kind) && (rt.kind == lt.kind || rt.isNumber()), lt.isNumber() && (rt.kind == daysType.kind || rt.kind == monthsType.kind):
		return l, e.at.refuse("arithmetic of intervals")
	}
	return l, wrong
}

func signed(operator, sql string) string {
	if operator == "-" {
		return "- " + sql
	}
	return sql
}

func (c *compiler) numbers(e *sqlExpr, at *env, l, r sqlValue, lt, rt *athenaType) (sqlValue, error) {
	t := common(lt, rt)
	call := func(name string, more string) (sqlValue, error) {
		return derive(at.fn(name)+"("+l.sql+", "+r.sql+more+")", t, l, r), nil
	}
	switch {
	case t.isInteger():
		switch e.text {
		case "/":
			return call("divide", ", 0")
		case "%":
			return call("modulo", ", 0")
		}
		return call(map[string]string{"+": "add", "-": "subtract", "*": "multiply"}[e.text], ", "+sqlText(t.kind))
	case t.isFloat():
		switch e.text {
		case "/":
			return call("divide", ", 1")
		case "%":
			return call("modulo", ", 1")
		}
		return derive("("+l.sql+" "+e.text+" "+r.sql+")", t, l, r), nil
	}
	a, b := lt.asDecimal(), rt.asDecimal() // Trino's rules for the scale of a result
	switch e.text {
	case "*":
		t = decimalOf(a.precision+b.precision, a.scale+b.scale)
		return derive(fmt.Sprintf("round(%s * %s, %d)", l.sql, r.sql, t.scale), t, l, r), nil
	case "/":
		t = decimalOf(a.precision+b.scale+max(b.scale-a.scale, 0), max(a.scale, b.scale))
		return call("divide", fmt.Sprintf(", 2, %d", t.scale))
	case "%":
		t = decimalOf(min(a.precision-a.scale, b.precision-b.scale)+max(a.scale, b.scale), max(a.scale, b.scale))
		return call("modulo", fmt.Sprintf(", 2, %d", t.scale))
	}
	t = decimalOf(t.precision+1, t.scale)
	return derive(fmt.Sprintf("round(%s %s %s, %d)", l.sql, e.text, r.sql, t.scale), t, l, r), nil
}

func (c *compiler) between(e *sqlExpr, at *env) (sqlValue, error) {
	if at.inTry { // may be false although a part is NULL
		return sqlValue{}, e.at.refuse("BETWEEN inside TRY")
	}
	var parts []sqlValue
	for _, a := range e.args {
		v, err := c.expr(a, at)
		if err != nil {
			return v, err
		}
		parts = append(parts, v)
	}
	for _, bound := range parts[1:] {
		if err := c.comparable(e, parts[0], bound, "BETWEEN"); err != nil {
			return bound, err
		}
	}
	return derive(fmt.Sprintf("(%s %sBETWEEN %s AND %s)", parts[0].sql, notIf(e.not), parts[1].sql, parts[2].sql), booleanType, parts...), nil
}

func (c *compiler) in(e *sqlExpr, at *env) (sqlValue, error) {
	if at.inTry {
		return sqlValue{}, e.at.refuse("IN inside TRY")
	}
	l, err := c.expr(e.args[0], at)
	if err != nil {
		return l, err
	}
	if e.query != nil {
		sql, columns, err := c.query(e.query, at.scope)
		if err != nil {
			return l, err
		}
		if len(columns) != 1 {
			return l, e.at.fail("SYNTAX_ERROR", "Multiple columns returned by subquery are not yet supported. Found %d", len(columns))
		}
		if err := c.comparable(e, l, sqlValue{type_: columns[0].type_}, "IN"); err != nil {
			return l, err
		}
		v := derive(fmt.Sprintf("(%s %sIN (%s))", l.sql, notIf(e.not), sql), booleanType, l)
		v.opaque = true
		return v, nil
	}
	parts, list := []sqlValue{l}, []string{}
	for _, a := range e.args[1:] {
		v, err := c.expr(a, at)
		if err != nil {
			return v, err
		}
		if err := c.comparable(e, l, v, "="); err != nil {
			return v, err
		}
		parts, list = append(parts, v), append(list, v.sql)
	}
	return derive(fmt.Sprintf("(%s %sIN (%s))", l.sql, notIf(e.not), strings.Join(list, ", ")), booleanType, parts...), nil
}

func (c *compiler) like(e *sqlExpr, at *env) (sqlValue, error) {
	var parts []sqlValue
	var list []string
	for _, a := range e.args {
		v, err := c.expr(a, at)
		if err != nil {
			return v, err
		}
		if !v.type_.isText() && !v.type_.unknown() {
			return v, e.at.fail("TYPE_MISMATCH", "Left and right side of LIKE must evaluate to a varchar (actual: %s)", v.type_)
		}
		parts, list = append(parts, v), append(list, v.sql)
	}
	sql := at.fn("like") + "(" + strings.Join(list, ", ") + ")"
	if e.not {
		sql = "(NOT " + sql + ")"
	}
	return derive(sql, booleanType, parts...), nil
}

// scalarQuery is a query for one value; more rows are an error, not the first one.
func (c *compiler) scalarQuery(e *sqlExpr, at *env) (sqlValue, error) {
	sql, columns, err := c.query(e.query, at.scope)
	if err != nil {
		return sqlValue{}, err
	}
	if len(columns) != 1 {
		return sqlValue{}, e.at.fail("SYNTAX_ERROR", "Multiple columns returned by subquery are not yet supported. Found %d", len(columns))
	}
	return sqlValue{sql: "(SELECT ath_only(c0) FROM (" + sql + "))", type_: columns[0].type_, opaque: true}, nil
}

func (c *compiler) array(e *sqlExpr, at *env) (sqlValue, error) {
	t, parts, list := unknownType, []sqlValue{}, []string{}
	for _, a := range e.args {
		v, err := c.expr(a, at)
		if err != nil {
			return v, err
		}
		x := common(t, v.type_)
		if x == nil {
			return v, a.at.fail("TYPE_MISMATCH", "All ARRAY elements must be the same type: %s", t)
		}
		if v.type_.composite() {
			return v, a.at.refuse("arrays of " + v.type_.kind + "s in ARRAY[…]")
		}
		t, parts, list = x, append(parts, v), append(list, v.sql)
	}
	return derive("json_array("+strings.Join(list, ", ")+")", arrayOf(t), parts...), nil
}

// item is a[i] of an array (from 1; beyond it is an error) or m[k] of a map.
func (c *compiler) item(e *sqlExpr, at *env) (sqlValue, error) {
	v, err := c.expr(e.args[0], at)
	if err != nil {
		return v, err
	}
	k, err := c.expr(e.args[1], at)
	if err != nil {
		return k, err
	}
	return c.element(e, at, v, k, true)
}

func (c *compiler) element(e *sqlExpr, at *env, v, k sqlValue, strict bool) (sqlValue, error) {
	flag := strconv.FormatInt(boolInt(strict), 10)
	switch {
	case v.type_.kind == "array" && k.type_.isInteger():
		return derive(at.fn("item")+"("+v.sql+", "+k.sql+", "+flag+")", v.type_.of[0], v, k), nil
	case v.type_.kind == "map" && common(v.type_.of[0], k.type_) != nil && v.type_.of[0].isText():
		return derive(at.fn("entry")+"("+v.sql+", "+k.sql+", "+flag+")", v.type_.of[1], v, k), nil
	case v.type_.kind == "map":
		return v, e.at.refuse("maps whose keys are not varchar")
	case v.type_.kind == "row":
		return v, e.at.refuse("row[n] (name the field)")
	}
	return v, e.at.fail("TYPE_MISMATCH", "Cannot apply operator: %s[%s]", v.type_, k.type_)
}

func (c *compiler) cases(e *sqlExpr, at *env) (sqlValue, error) {
	if at.inTry {
		return sqlValue{}, e.at.refuse("CASE inside TRY")
	}
	var parts []sqlValue
	var b strings.Builder
	b.WriteString("CASE")
	var operand sqlValue
	if len(e.args) > 0 {
		var err error
		if operand, err = c.expr(e.args[0], at); err != nil {
			return operand, err
		}
		parts = append(parts, operand)
		b.WriteString(" " + operand.sql)
	}
	t := unknownType
	for _, k := range e.cases {
		then, err := c.expr(k.then, at)
		if err != nil {
			return then, err
		}
		x := common(t, then.type_)
		if x == nil {
			return then, k.then.at.fail("TYPE_MISMATCH", "All CASE results must be the same type or coercible to a common type. Cannot find common type between %s and %s", t, then.type_)
		}
		t = x
		if k.when == nil {
			b.WriteString(" ELSE " + then.sql)
			parts = append(parts, then)
			continue
		}
		when, err := c.expr(k.when, at)
		if err != nil {
			return when, err
		}
		if len(e.args) > 0 {
			err = c.comparable(k.when, operand, when, "=")
		} else if when.type_.kind != "boolean" && !when.type_.unknown() {
			err = k.when.at.fail("TYPE_MISMATCH", "CASE WHEN clause must evaluate to a boolean (actual: %s)", when.type_)
		}
		if err != nil {
			return when, err
		}
		b.WriteString(" WHEN " + when.sql + " THEN " + then.sql)
		parts = append(parts, when, then)
	}
	return derive("("+b.String()+" END)", t, parts...), nil
}

// castable are the casts that athena_functions.go knows, to -> from.
var castable = map[string]string{
	"varchar": "varchar boolean tinyint smallint integer bigint decimal real double date timestamp zoned json", "boolean": "varchar boolean tinyint smallint integer bigint decimal real double json",
	"tinyint": "varchar boolean tinyint smallint integer bigint decimal real double json", "smallint": "varchar boolean tinyint smallint integer bigint decimal real double json",
	"integer": "varchar boolean tinyint smallint integer bigint decimal real double json", "bigint": "varchar boolean tinyint smallint integer bigint decimal real double json",
	"decimal": "varchar boolean tinyint smallint integer bigint decimal real double", "real": "varchar boolean tinyint smallint integer bigint decimal real double json",
	"double": "varchar boolean tinyint smallint integer bigint decimal real double json", "date": "varchar date timestamp zoned", "timestamp": "varchar date timestamp zoned",
	"zoned": "varchar date timestamp zoned", "json": "varchar boolean tinyint smallint integer bigint real double json", "array": "json", "map": "json", "row": "json",
}

func castName(t *athenaType) string {
	if t.kind == zonedType.kind {
		return "zoned"
	}
	return t.kind
}

func (c *compiler) cast(e *sqlExpr, at *env) (sqlValue, error) {
	v, err := c.expr(e.args[0], at)
	if err != nil {
		return v, err
	}
	t := e.type_
	switch {
	case v.type_.unknown():
		return derive("NULL", t, v), nil
	case v.type_.String() == t.String():
		v.type_ = t
		return v, nil
	case !slices.Contains(strings.Fields(castable[castName(t)]), castName(v.type_)):
		known := (v.type_.composite() || t.composite()) && (v.type_.kind == t.kind || t.kind == "json")
		if known {
			return v, e.at.refuse(fmt.Sprintf("CAST of %s to %s", v.type_, t))
		}
		return v, e.at.fail("TYPE_MISMATCH", "Cannot cast %s to %s", v.type_, t)
	}
	name := at.fn("cast")
	if e.text == "try" {
		name = "aty_cast"
	}
	return derive(fmt.Sprintf("%s(%s, %s, %s)", name, v.sql, sqlText(v.type_.String()), sqlText(t.String())), t, v), nil
}
