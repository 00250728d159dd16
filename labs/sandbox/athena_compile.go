package sandbox

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file gives names and types to a parsed query and writes it anew for SQLite.
// SQLite is the engine that joins, groups and sorts; it is lenient where Trino is
// strict (types, names in quotes, columns beside aggregates, order of NULLs), so all
// of that is decided here and SQLite is left nothing to guess.

// compiler works on one statement.
type compiler struct {
	a        *athenaService
	database string
	now      time.Time
	params   []*sqlExpr
	scans    []*tableScan
	names    int
	ctes     []cte
	depth    int
}

// cte is a query by name. Trino puts it in wherever it is named, and so do we.
type cte struct {
	sqlWith
	outer int // how many of the earlier ones it sees
}

// sqlValue is a compiled expression.
type sqlValue struct {
	sql    string
	type_  *athenaType
	agg    bool   // has an aggregate
	window bool   // has a window function
	bare   string // a column outside of aggregates that is not grouped by
	bareAt sqlPlace
	refs   []columnRef
	opaque bool // holds a query: not to be judged on partitions alone
}

type columnRef struct {
	scan *tableScan // nil: a column that no table has
	i    int
}

// constant reports whether a value is the same for every row.
func (v sqlValue) constant() bool {
	return !v.agg && !v.window && !v.opaque && len(v.refs) == 0
}

// derive combines the marks of parts into a new value.
func derive(sql string, t *athenaType, parts ...sqlValue) sqlValue {
	v := sqlValue{sql: sql, type_: t}
	for _, p := range parts {
		v.agg = v.agg || p.agg
		v.window = v.window || p.window
		v.opaque = v.opaque || p.opaque
		v.refs = append(v.refs, p.refs...)
		if v.bare == "" {
			v.bare, v.bareAt = p.bare, p.bareAt
		}
	}
	return v
}

// scope is the columns that an expression can name.
type scope struct {
	parent  *scope
	columns []scopeColumn
}

type scopeColumn struct {
	table  []string // by which it can be qualified: the alias, or database and table
	name   string
	value  sqlValue
	hidden bool // not part of *
}

// env is where an expression stands.
type env struct {
	scope   *scope
	groups  map[string]bool
	clause  string // where no aggregate may be: WHERE, GROUP BY, JOIN
	inAgg   bool
	inTry   bool
	aliases map[string]sqlValue // ORDER BY sees the names of the output first
}

// outColumn is a column of a query's result.
type outColumn struct {
	name  string
	type_ *athenaType
}

func (c *compiler) alias(prefix string) string {
	c.names++
	return prefix + strconv.Itoa(c.names)
}

// statement compiles a whole query.
func (c *compiler) statement(q *sqlQuery) (string, []outColumn, error) { return c.query(q, nil) }

// query compiles a query; its columns are named c0, c1 … in the SQL.
func (c *compiler) query(q *sqlQuery, outer *scope) (string, []outColumn, error) {
	if c.depth++; c.depth > mostDepth {
		return "", nil, &queryError{"NOT_SUPPORTED", "the sandbox's Athena does not nest queries so deep"}
	}
	known := len(c.ctes)
	defer func() { c.depth--; c.ctes = c.ctes[:known] }()
	for _, w := range q.with {
		c.ctes = append(c.ctes, cte{w, len(c.ctes)})
	}
	var sql, order string
	var columns []outColumn
	var err error
	if s := q.body.selection; s != nil {
		sql, columns, order, err = c.selection(s, q.order, outer)
	} else if sql, columns, err = c.body(q.body, outer); err == nil && len(q.order) > 0 {
		sql, order, err = c.orderWhole(sql, columns, q.order, outer)
	}
	if err != nil {
		return "", nil, err
	}
	sql += order
	limit, err := c.count(q.limit, "-1")
	if err != nil {
		return "", nil, err
	}
	offset, err := c.count(q.offset, "0")
	if err != nil {
		return "", nil, err
	}
	if q.limit != nil || q.offset != nil {
		sql += " LIMIT " + limit + " OFFSET " + offset
	}
	return sql, columns, nil
}

func (c *compiler) count(e *sqlExpr, none string) (string, error) {
	if e == nil {
		return none, nil
	}
	v, err := c.expr(e, &env{scope: &scope{}})
	if err != nil {
		return "", err
	}
	if n, nerr := strconv.ParseInt(v.sql, 10, 64); nerr != nil || n < 0 {
		return "", e.at.fail("INVALID_PARAMETER_USAGE", "a number of rows must be an integer and not negative: %s", v.sql)
	}
	return v.sql, nil
}

// orderWhole orders what is not a plain select, by its columns.
func (c *compiler) orderWhole(sql string, columns []outColumn, order []sqlOrder, outer *scope) (string, string, error) {
	t := c.alias("q")
	s := &scope{parent: outer}
	for i, col := range columns {
		s.columns = append(s.columns, scopeColumn{name: col.name, value: sqlValue{sql: fmt.Sprintf("%s.c%d", t, i), type_: col.type_, refs: []columnRef{{}}}})
	}
	var terms []string
	for _, o := range order {
		v, err := c.ordinal(o.expr, len(columns), func(i int) sqlValue { return s.columns[i].value })
		if v == nil && err == nil {
			v = &sqlValue{}
			*v, err = c.expr(o.expr, &env{scope: s, clause: "ORDER BY"})
		}
		if err != nil {
			return "", "", err
		}
		terms = append(terms, o.term(v.sql))
	}
	return "SELECT * FROM (" + sql + ") AS " + t, " ORDER BY " + strings.Join(terms, ", "), nil
}

// term is one sort key; NULLs come last in Trino, whatever the direction.
func (o sqlOrder) term(sql string) string {
	if o.descending {
		sql += " DESC"
	}
	if o.nullsFirst {
		return sql + " NULLS FIRST"
	}
	return sql + " NULLS LAST"
}

// ordinal is the column that a bare number in ORDER BY or GROUP BY means; nil if
// the expression is none.
func (c *compiler) ordinal(e *sqlExpr, n int, column func(int) sqlValue) (*sqlValue, error) {
	if e.kind != numberExpr || strings.ContainsAny(e.text, ".eE") {
		return nil, nil
	}
	i, err := strconv.Atoi(e.text)
	if err != nil || i < 1 || i > n {
		return nil, e.at.fail("INVALID_COLUMN_REFERENCE", "ORDER BY or GROUP BY position %s is not in select list", e.text)
	}
	v := column(i - 1)
	return &v, nil
}

// body compiles whatever gives rows.
func (c *compiler) body(b *sqlBody, outer *scope) (string, []outColumn, error) {
	switch {
	case b.selection != nil:
		sql, columns, _, err := c.selection(b.selection, nil, outer)
		return sql, columns, err
	case b.query != nil:
		sql, columns, err := c.query(b.query, outer)
		if err != nil {
			return "", nil, err
		}
		return "SELECT * FROM (" + sql + ")", columns, nil
	case b.values != nil:
		return c.values(b, outer)
	}
	left, lc, err := c.body(b.left, outer)
	if err != nil {
		return "", nil, err
	}
	right, rc, err := c.body(b.right, outer)
	if err != nil {
		return "", nil, err
	}
	if len(lc) != len(rc) {
		return "", nil, b.at.fail("TYPE_MISMATCH", "%s query has different number of fields: %d, %d", strings.Fields(b.operator)[0], len(lc), len(rc))
	}
	out := make([]outColumn, len(lc))
	for i := range lc {
		t := common(lc[i].type_, rc[i].type_)
		if t == nil {
			return "", nil, b.at.fail("TYPE_MISMATCH", "column %d in %s query has incompatible types: %s, %s", i+1, strings.Fields(b.operator)[0], lc[i].type_, rc[i].type_)
		}
		out[i] = outColumn{lc[i].name, t}
	}
	return "SELECT * FROM (" + left + ") " + b.operator + " SELECT * FROM (" + right + ")", out, nil
}

func (c *compiler) values(b *sqlBody, outer *scope) (string, []outColumn, error) {
	var rows []string
	var out []outColumn
	for _, row := range b.values {
		var cells []string
		for i, e := range row {
			v, err := c.expr(e, &env{scope: &scope{parent: outer}, clause: "VALUES"})
			if err != nil {
				return "", nil, err
			}
			if len(rows) == 0 {
				out = append(out, outColumn{fmt.Sprintf("_col%d", i), v.type_})
			} else if i < len(out) {
				t := common(out[i].type_, v.type_)
				if t == nil {
					return "", nil, e.at.fail("TYPE_MISMATCH", "Values rows have mismatched types: %s vs %s", out[i].type_, v.type_)
				}
				out[i].type_ = t
			}
			cells = append(cells, fmt.Sprintf("%s AS c%d", v.sql, i))
		}
		if len(cells) != len(out) {
			return "", nil, b.at.fail("TYPE_MISMATCH", "Values rows have mismatched sizes: %d vs %d", len(out), len(cells))
		}
		rows = append(rows, "SELECT "+strings.Join(cells, ", "))
	}
	return strings.Join(rows, " UNION ALL "), out, nil
}

// selection compiles SELECT … HAVING and the ORDER BY that follows it.
func (c *compiler) selection(s *sqlSelect, order []sqlOrder, outer *scope) (sql string, columns []outColumn, orderSQL string, err error) {
	in, from := &scope{parent: outer}, ""
	if s.from != nil {
		if from, in.columns, err = c.relation(s.from, outer); err != nil {
			return "", nil, "", err
		}
		from = " FROM " + from
	}
	where := ""
	if s.where != nil {
		if where, err = c.where(s.where, in); err != nil {
			return "", nil, "", err
		}
	}
	items, columns, err := c.expand(s.items, in)
	if err != nil {
		return "", nil, "", err
	}
	e := &env{scope: in, groups: map[string]bool{}}
	groups, err := c.group(s, items, e)
	if err != nil {
		return "", nil, "", err
	}
	aggregated := len(s.group) > 0 || s.having != nil
	values := make([]sqlValue, len(items))
	for i, item := range items {
		if values[i], err = c.expr(item.expr, e); err != nil {
			return "", nil, "", err
		}
		columns[i].type_ = values[i].type_
		aggregated = aggregated || values[i].agg
	}
	having := ""
	var checked []sqlValue
	if s.having != nil {
		v, err := c.boolean(s.having, e, "HAVING clause")
		if err != nil {
			return "", nil, "", err
		}
		having = " HAVING " + v.sql
		checked = append(checked, v)
	}
	terms, sorted, err := c.order(order, items, columns, values, e, s.distinct)
	if err != nil {
		return "", nil, "", err
	}
	for _, v := range sorted {
		aggregated = aggregated || v.agg
	}
	if aggregated {
		for _, v := range slices.Concat(values, checked, sorted) {
			if v.bare != "" {
				return "", nil, "", v.bareAt.fail("EXPRESSION_NOT_AGGREGATE", "'%s' must be an aggregate expression or appear in GROUP BY clause", v.bare)
			}
		}
	}
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = fmt.Sprintf("%s AS c%d", v.sql, i)
	}
	distinct := ""
	if s.distinct {
		distinct = "DISTINCT "
	}
	if aggregated && groups == "" && !slices.ContainsFunc(values, func(v sqlValue) bool { return v.agg }) {
		return "", nil, "", s.at.refuse("aggregates in HAVING or ORDER BY alone, without GROUP BY or one in the select list")
	}
	if len(terms) > 0 {
		orderSQL = " ORDER BY " + strings.Join(terms, ", ")
	}
	return "SELECT " + distinct + strings.Join(list, ", ") + from + where + groups + having, columns, orderSQL, nil
}

// where compiles the condition part by part, and tells each table which parts
// speak of its partitions alone.
func (c *compiler) where(e *sqlExpr, in *scope) (string, error) {
	var parts []string
	for _, part := range conjuncts(e) {
		v, err := c.boolean(part, &env{scope: in, clause: "WHERE clause"}, "WHERE clause")
		if err != nil {
			return "", err
		}
		parts = append(parts, "("+v.sql+")")
		if scan := v.partitionsOf(); scan != nil {
			scan.conjuncts = append(scan.conjuncts, v)
			if err := c.pin(part, scan, in); err != nil {
				return "", err
			}
		}
	}
	return " WHERE " + strings.Join(parts, " AND "), nil
}

func conjuncts(e *sqlExpr) []*sqlExpr {
	if e.kind == binaryExpr && e.text == "AND" {
		return append(conjuncts(e.args[0]), conjuncts(e.args[1])...)
	}
	return []*sqlExpr{e}
}

// partitionsOf is the one table whose partition columns a condition reads, nil if it
// reads anything else.
func (v sqlValue) partitionsOf() *tableScan {
	if v.opaque || len(v.refs) == 0 {
		return nil
	}
	for _, r := range v.refs {
		if r.scan == nil || r.scan != v.refs[0].scan || !r.scan.columns[r.i].partition {
			return nil
		}
	}
	return v.refs[0].scan
}

// pin notes the constants that column = constant and column IN (…) allow: an
// injected partition column has no other source of values.
func (c *compiler) pin(e *sqlExpr, scan *tableScan, in *scope) error {
	isEqual := e.kind == binaryExpr && e.text == "="
	if !isEqual && (e.kind != inExpr || e.not || e.query != nil) {
		return nil
	}
	var column *columnRef
	var constants []string
	for _, a := range e.args {
		v, err := c.expr(a, &env{scope: in})
		if err != nil {
			return err
		}
		switch {
		case v.constant():
			constants = append(constants, v.sql)
		case a.kind == nameExpr && len(v.refs) == 1 && column == nil:
			column = &v.refs[0]
		default:
			return nil
		}
	}
	if column != nil && scan.pinned[column.i] == nil { // a second condition only narrows, and is applied anyway
		scan.pinned[column.i] = constants
	}
	return nil
}

// expand replaces every * by the columns it stands for, and names the columns.
func (c *compiler) expand(items []sqlItem, in *scope) ([]sqlItem, []outColumn, error) {
	var out []sqlItem
	var columns []outColumn
	for _, item := range items {
		if item.expr.kind != starExpr {
			name := item.alias
			if name == "" {
				name = nameOf(item.expr, len(out))
			}
			out, columns = append(out, item), append(columns, outColumn{name: name})
			continue
		}
		found := false
		for i, col := range in.columns {
			if col.hidden || len(item.expr.names) > 0 && !col.qualifiedBy(item.expr.names) {
				continue
			}
			found = true
			out = append(out, sqlItem{expr: &sqlExpr{kind: nameExpr, at: item.expr.at, text: strconv.Itoa(i)}})
			columns = append(columns, outColumn{name: col.name})
		}
		if !found {
			if len(item.expr.names) > 0 {
				return nil, nil, item.expr.at.fail("TABLE_NOT_FOUND", "Table '%s' not found", strings.Join(item.expr.names, "."))
			}
			return nil, nil, item.expr.at.fail("COLUMN_NOT_FOUND", "SELECT * not allowed in queries without FROM clause")
		}
	}
	return out, columns, nil
}

// nameOf is how Trino names a column without an alias.
func nameOf(e *sqlExpr, i int) string {
	switch e.kind {
	case nameExpr:
		return e.names[len(e.names)-1]
	case fieldExpr:
		return e.text
	}
	return fmt.Sprintf("_col%d", i)
}

// group compiles GROUP BY; e learns what is grouped by.
func (c *compiler) group(s *sqlSelect, items []sqlItem, e *env) (string, error) {
	var keys []string
	for _, g := range s.group {
		target := g
		if g.kind == numberExpr && !strings.ContainsAny(g.text, ".eE") {
			i, err := strconv.Atoi(g.text)
			if err != nil || i < 1 || i > len(items) {
				return "", g.at.fail("INVALID_COLUMN_REFERENCE", "GROUP BY position %s is not in select list", g.text)
			}
			target = items[i-1].expr
		}
		v, err := c.expr(target, &env{scope: e.scope, clause: "GROUP BY clause"})
		if err != nil {
			return "", err
		}
		e.groups[v.sql] = true
		if v.constant() {
			v.sql = "coalesce(NULL, " + v.sql + ")" // a bare number would be a position
		}
		keys = append(keys, v.sql)
	}
	if len(keys) == 0 {
		return "", nil
	}
	return " GROUP BY " + strings.Join(keys, ", "), nil
}

// order compiles ORDER BY of a select: positions, names of the output, or
// expressions on the input.
func (c *compiler) order(order []sqlOrder, items []sqlItem, columns []outColumn, values []sqlValue, e *env, distinct bool) (terms []string, sorted []sqlValue, err error) {
	inner := *e
	inner.aliases = map[string]sqlValue{}
	for i, item := range items {
		if item.alias != "" {
			inner.aliases[item.alias] = values[i]
		}
	}
	for _, o := range order {
		v, err := c.ordinal(o.expr, len(columns), func(i int) sqlValue { return values[i] })
		if v == nil && err == nil {
			v = &sqlValue{}
			*v, err = c.expr(o.expr, &inner)
		}
		if err != nil {
			return nil, nil, err
		}
		if v.type_.kind == "map" || v.type_.kind == "json" || v.type_.kind == "row" {
			return nil, nil, o.expr.at.fail("TYPE_MISMATCH", "Type %s is not orderable, and therefore cannot be used in ORDER BY", v.type_)
		}
		at := slices.IndexFunc(values, func(x sqlValue) bool { return x.sql == v.sql })
		switch {
		case at >= 0:
			terms = append(terms, o.term(fmt.Sprintf("c%d", at)))
		case distinct:
			return nil, nil, o.expr.at.fail("EXPRESSION_NOT_IN_DISTINCT", "For SELECT DISTINCT, ORDER BY expressions must appear in select list")
		case v.constant(): // orders nothing, and a bare number would be a position
		default:
			terms = append(terms, o.term(v.sql))
			sorted = append(sorted, *v)
		}
	}
	return terms, sorted, nil
}

func (col scopeColumn) qualifiedBy(names []string) bool {
	if len(names) > len(col.table) {
		return len(names) == len(col.table)+1 && len(col.table) == 2 && strings.EqualFold(names[0], defaultCatalog) && slices.Equal(names[1:], col.table)
	}
	return len(names) > 0 && slices.Equal(col.table[len(col.table)-len(names):], names)
}

// relation compiles what stands in FROM.
func (c *compiler) relation(r *sqlRelation, outer *scope) (string, []scopeColumn, error) {
	switch {
	case r.join != "":
		return c.join(r, outer)
	case r.unnest != nil:
		return "", nil, r.at.refuse("UNNEST other than behind CROSS JOIN, a comma or LEFT JOIN … ON TRUE")
	case r.query != nil:
		sql, columns, err := c.query(r.query, outer)
		if err != nil {
			return "", nil, err
		}
		return c.derived(r, sql, columns, r.alias)
	}
	if len(r.names) == 1 {
		for i := len(c.ctes) - 1; i >= 0; i-- {
			w := c.ctes[i]
			if w.name != r.names[0] {
				continue
			}
			seen := c.ctes
			c.ctes = c.ctes[:w.outer:w.outer]
			sql, columns, err := c.query(w.query, nil)
			c.ctes = seen
			if err != nil {
				return "", nil, err
			}
			if w.columns != nil {
				if columns, err = withNames(r.at, columns, w.columns); err != nil {
					return "", nil, err
				}
			}
			alias := r.alias
			if alias == "" {
				alias = w.name
			}
			return c.derived(r, sql, columns, alias)
		}
	}
	return c.table(r)
}

func withNames(at sqlPlace, columns []outColumn, names []string) ([]outColumn, error) {
	if len(names) != len(columns) {
		return nil, at.fail("MISMATCHED_COLUMN_ALIASES", "Column alias list has %d entries but relation has %d columns", len(names), len(columns))
	}
	out := slices.Clone(columns)
	for i, n := range names {
		out[i].name = n
	}
	return out, nil
}

// derived makes a query a table.
func (c *compiler) derived(r *sqlRelation, sql string, columns []outColumn, alias string) (string, []scopeColumn, error) {
	var err error
	if r.columns != nil {
		if columns, err = withNames(r.at, columns, r.columns); err != nil {
			return "", nil, err
		}
	}
	t := c.alias("q")
	var qualified []string
	if alias != "" {
		qualified = []string{alias}
	}
	var out []scopeColumn
	for i, col := range columns {
		out = append(out, scopeColumn{table: qualified, name: col.name, value: sqlValue{sql: fmt.Sprintf("%s.c%d", t, i), type_: col.type_, refs: []columnRef{{}}}})
	}
	return "(" + sql + ") AS " + t, out, nil
}

// table compiles a table of the catalog.
func (c *compiler) table(r *sqlRelation) (string, []scopeColumn, error) {
	database, name, names := c.database, r.names[len(r.names)-1], r.names
	if len(names) == 3 {
		if !strings.EqualFold(names[0], defaultCatalog) {
			return "", nil, r.at.fail("CATALOG_NOT_FOUND", "Catalog '%s' does not exist", names[0])
		}
		names = names[1:]
	}
	if len(names) == 2 {
		database = names[0]
	}
	if database == "information_schema" {
		return "", nil, r.at.refuse("information_schema (use SHOW TABLES, DESCRIBE)")
	}
	if len(names) > 2 {
		return "", nil, r.at.fail("SYNTAX_ERROR", "Too many dots in table name: %s", strings.Join(r.names, "."))
	}
	d, ok := c.a.r.catalog.databases[database]
	if !ok {
		return "", nil, r.at.fail("SCHEMA_NOT_FOUND", "Schema '%s' does not exist", database)
	}
	t, ok := d.tables[name]
	if !ok {
		return "", nil, r.at.fail("TABLE_NOT_FOUND", "Table 'awsdatacatalog.%s.%s' does not exist", database, name)
	}
	scan, err := newTableScan(t, c.alias("t"))
	if err != nil {
		return "", nil, err
	}
	c.scans = append(c.scans, scan)
	qualified := []string{database, name}
	if r.alias != "" {
		qualified = []string{r.alias}
	}
	var out []scopeColumn
	for i, col := range scan.columns {
		out = append(out, scopeColumn{table: qualified, name: col.name, hidden: col.hidden(),
			value: sqlValue{sql: fmt.Sprintf("%s.k%d", scan.alias, i), type_: col.type_, refs: []columnRef{{scan, i}}}})
	}
	if r.columns != nil {
		visible := slices.IndexFunc(out, func(c scopeColumn) bool { return c.hidden })
		if len(r.columns) != visible {
			return "", nil, r.at.fail("MISMATCHED_COLUMN_ALIASES", "Column alias list has %d entries but '%s' has %d columns available", len(r.columns), name, visible)
		}
		for i, n := range r.columns {
			out[i].name = n
		}
	}
	return scan.alias, out, nil
}

func (c *compiler) join(r *sqlRelation, outer *scope) (string, []scopeColumn, error) {
	left, lc, err := c.relation(r.left, outer)
	if err != nil {
		return "", nil, err
	}
	if r.right.unnest != nil {
		return c.unnest(r, left, lc, outer)
	}
	right, rc, err := c.relation(r.right, outer)
	if err != nil {
		return "", nil, err
	}
	if r.right.join != "" {
		right = "(" + right + ")"
	}
	if r.using != nil {
		return c.using(r, left, right, lc, rc)
	}
	columns := append(slices.Clone(lc), rc...)
	sql := left + " " + r.join + " JOIN " + right
	if r.join == "CROSS" {
		return sql, columns, nil
	}
	on, err := c.boolean(r.on, &env{scope: &scope{parent: outer, columns: columns}, clause: "JOIN clause"}, "JOIN ON clause")
	return sql + " ON " + on.sql, columns, err
}

// using joins by columns of one name, which are one column afterwards.
func (c *compiler) using(r *sqlRelation, left, right string, lc, rc []scopeColumn) (string, []scopeColumn, error) {
	var conditions []string
	var shared, rest []scopeColumn
	for _, name := range r.using {
		find := func(columns []scopeColumn, side string) (scopeColumn, error) {
			i := slices.IndexFunc(columns, func(c scopeColumn) bool { return c.name == name })
			if i < 0 {
				return scopeColumn{}, r.at.fail("COLUMN_NOT_FOUND", "Column '%s' is missing from %s side of join", name, side)
			}
			return columns[i], nil
		}
		l, err := find(lc, "left")
		if err != nil {
			return "", nil, err
		}
		x, err := find(rc, "right")
		if err != nil {
			return "", nil, err
		}
		t := common(l.value.type_, x.value.type_)
		if t == nil {
			return "", nil, r.at.fail("TYPE_MISMATCH", "JOIN USING column '%s': %s and %s cannot be compared", name, l.value.type_, x.value.type_)
		}
		v := l.value
		switch r.join {
		case "RIGHT":
			v = x.value
		case "FULL":
			v = derive("coalesce("+l.value.sql+", "+x.value.sql+")", t, l.value, x.value)
		}
		v.type_ = t
		l.used()
		x.used()
		conditions = append(conditions, l.value.sql+" = "+x.value.sql)
		shared = append(shared, scopeColumn{name: name, value: v})
	}
	for _, col := range slices.Concat(lc, rc) {
		if !slices.Contains(r.using, col.name) {
			rest = append(rest, col)
		}
	}
	return left + " " + r.join + " JOIN " + right + " ON " + strings.Join(conditions, " AND "), append(shared, rest...), nil
}

// used marks a column as read.
func (col scopeColumn) used() {
	for _, ref := range col.value.refs {
		if ref.scan != nil {
			ref.scan.columns[ref.i].used = true
		}
	}
}

// unnest makes rows of an array or a map, one for each element.
func (c *compiler) unnest(r *sqlRelation, left string, lc []scopeColumn, outer *scope) (string, []scopeColumn, error) {
	u := r.right
	if len(u.unnest) != 1 {
		return "", nil, u.at.refuse("UNNEST of several arrays at once")
	}
	isTrue := r.on != nil && r.on.kind == boolExpr && r.on.text == "true"
	if r.join != "CROSS" && (r.join != "LEFT" || !isTrue) {
		return "", nil, u.at.refuse(r.join + " JOIN UNNEST (use CROSS JOIN, or LEFT JOIN … ON TRUE)")
	}
	v, err := c.expr(u.unnest[0], &env{scope: &scope{parent: outer, columns: lc}, clause: "UNNEST"})
	if err != nil {
		return "", nil, err
	}
	t := c.alias("u")
	var columns []scopeColumn
	add := func(sql string, of *athenaType) {
		columns = append(columns, scopeColumn{name: fmt.Sprintf("_col%d", len(columns)), value: sqlValue{sql: sql, type_: of, refs: []columnRef{{}}}})
	}
	switch v.type_.kind {
	case "array":
		if of := v.type_.of[0]; of.kind == "row" { // a row gives a column for each of its fields
			for i, f := range of.of {
				add(fmt.Sprintf("ath_field(%s.value, %d)", t, i), f)
			}
		} else {
			add(t+".value", of)
		}
	case "map":
		add(t+".key", v.type_.of[0])
		add(t+".value", v.type_.of[1])
	default:
		return "", nil, u.at.fail("INVALID_FUNCTION_ARGUMENT", "Cannot unnest type: %s", v.type_)
	}
	if u.ordinality {
		add("("+t+".key + 1)", bigintType)
	}
	if u.columns != nil {
		if len(u.columns) != len(columns) {
			return "", nil, u.at.fail("MISMATCHED_COLUMN_ALIASES", "Column alias list has %d entries but '%s' has %d columns available", len(u.columns), u.alias, len(columns))
		}
		for i, n := range u.columns {
			columns[i].name = n
		}
	}
	for i := range columns {
		if u.alias != "" {
			columns[i].table = []string{u.alias}
		}
		if u.ordinality && i == len(columns)-1 {
			if v.type_.kind == "map" {
				return "", nil, u.at.refuse("WITH ORDINALITY of a map")
			}
		}
	}
	on := ""
	if r.join == "LEFT" {
		on = " ON 1"
	}
	return left + " " + r.join + " JOIN json_each(" + v.sql + ") AS " + t + on, append(slices.Clone(lc), columns...), nil
}

// resolve finds the column that a name means; what is left over are fields.
func (c *compiler) resolve(e *sqlExpr, at *env) (sqlValue, error) {
	if e.names == nil { // a column that * stood for
		i, err := strconv.Atoi(e.text)
		if err != nil {
			return sqlValue{}, fmt.Errorf("sandbox: a star's column: %w", err)
		}
		return c.columnValue(e, at.scope.columns[i], true), nil
	}
	if v, ok := at.aliases[e.names[0]]; ok && len(e.names) == 1 {
		return v, nil
	}
	level := 0
	for s := at.scope; s != nil; s = s.parent {
		for n := min(len(e.names), 4); n >= 1; n-- { // the longest qualification first
			var hits []scopeColumn
			for _, col := range s.columns {
				if col.name == e.names[n-1] && (n == 1 || col.qualifiedBy(e.names[:n-1])) {
					hits = append(hits, col)
				}
			}
			if len(hits) > 1 {
				return sqlValue{}, e.at.fail("AMBIGUOUS_NAME", "Column '%s' is ambiguous", strings.Join(e.names[:n], "."))
			}
			if len(hits) == 0 {
				continue
			}
			v := c.columnValue(e, hits[0], level == 0)
			var err error
			for _, field := range e.names[n:] {
				if v.bare != "" && at.groups[v.sql] {
					v.bare = ""
				}
				if v, err = c.field(e.at, v, field); err != nil {
					return sqlValue{}, err
				}
			}
			return v, nil
		}
		level++
	}
	return sqlValue{}, e.at.fail("COLUMN_NOT_FOUND", "Column '%s' cannot be resolved or requester is not authorized to access requested resources", strings.Join(e.names, "."))
}

func (c *compiler) columnValue(e *sqlExpr, col scopeColumn, own bool) sqlValue {
	col.used()
	v := col.value
	v.refs = slices.Clone(v.refs)
	if own {
		v.bare, v.bareAt = col.name, e.at
	} else {
		v.opaque = true // of an outer query: the inner one cannot judge it alone
	}
	return v
}

// field is a field of a row.
func (c *compiler) field(at sqlPlace, v sqlValue, name string) (sqlValue, error) {
	if v.type_.kind != "row" {
		return sqlValue{}, at.fail("TYPE_MISMATCH", "Expression %s is not of type ROW", v.bare)
	}
	i := slices.IndexFunc(v.type_.names, func(n string) bool { return strings.EqualFold(n, name) })
	if i < 0 {
		return sqlValue{}, at.fail("COLUMN_NOT_FOUND", "Column '%s' cannot be resolved or requester is not authorized to access requested resources", name)
	}
	return derive(fmt.Sprintf("ath_field(%s, %d)", v.sql, i), v.type_.of[i], v), nil
}

func (c *compiler) boolean(e *sqlExpr, at *env, where string) (sqlValue, error) {
	v, err := c.expr(e, at)
	if err == nil && v.type_.kind != "boolean" && !v.type_.unknown() {
		err = e.at.fail("TYPE_MISMATCH", "%s must evaluate to a boolean: actual type %s", where, v.type_)
	}
	return v, err
}

// sqlText writes a string literal.
func sqlText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// numberValue compiles a number: 1 is an integer, 1.5 a decimal, 1e0 a double.
func numberValue(e *sqlExpr) (sqlValue, error) {
	if strings.ContainsAny(e.text, "eE") {
		f, err := strconv.ParseFloat(e.text, 64)
		if err != nil {
			return sqlValue{}, e.at.fail("SYNTAX_ERROR", "not a number: %s", e.text)
		}
		return sqlValue{sql: doubleSQL(f), type_: doubleType}, nil
	}
	whole, fraction, isDecimal := strings.Cut(strings.TrimPrefix(e.text, "-"), ".")
	if isDecimal {
		if len(strings.TrimLeft(whole, "0"))+len(fraction) > 15 {
			return sqlValue{}, e.at.refuse("decimals of more than 15 digits")
		}
		f, err := strconv.ParseFloat(e.text, 64)
		if err != nil {
			return sqlValue{}, e.at.fail("SYNTAX_ERROR", "not a number: %s", e.text)
		}
		return sqlValue{sql: doubleSQL(f), type_: decimalOf(max(1, len(strings.TrimLeft(whole, "0"))+len(fraction)), len(fraction))}, nil
	}
	n, ok := new(big.Int).SetString(e.text, 10)
	if !ok || !n.IsInt64() {
		return sqlValue{}, e.at.fail("INVALID_LITERAL", "Invalid numeric literal: %s", e.text)
	}
	t := bigintType
	if v := n.Int64(); v < 1<<31 && v >= -1<<31 {
		t = integerType
	}
	return sqlValue{sql: e.text, type_: t}, nil
}

// doubleSQL writes a double so that SQLite reads a double and the same one.
func doubleSQL(f float64) string {
	s := strconv.FormatFloat(f, 'e', -1, 64)
	if !strings.Contains(s, ".") {
		s = strings.Replace(s, "e", ".0e", 1)
	}
	return s
}
