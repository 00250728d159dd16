package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file reads the part of Trino's SQL that Athena queries are written in here.
// What the grammar does not have is an error that names the place and the word:
// nothing is skipped, because an answer to another question is worse than none.

// queryError is why a query fails, in Trino's words: a code and a message.
type queryError struct{ code, message string }

func (e *queryError) Error() string { return e.code + ": " + e.message }

// sqlPlace is where in the statement something stands.
type sqlPlace struct{ line, column int }

func (p sqlPlace) fail(code, format string, args ...any) error {
	return &queryError{code, fmt.Sprintf("line %d:%d: ", p.line, p.column) + fmt.Sprintf(format, args...)}
}

// refuse is for what Athena can do and the sandbox cannot.
func (p sqlPlace) refuse(what string) error {
	return p.fail("NOT_SUPPORTED", "the sandbox's Athena does not support %s", what)
}

type sqlTokenKind int

const (
	sqlEnd       sqlTokenKind = iota
	sqlWord                   // an identifier or a keyword
	sqlQuoted                 // "an identifier"
	sqlTextToken              // 'a string'
	sqlNumber
	sqlSign
)

type sqlToken struct {
	kind  sqlTokenKind
	text  string
	at    sqlPlace
	start int // where it begins in the statement, in bytes
	end   int
}

// signs are the operators of more than one character, longest first.
var signs = []string{"<>", "!=", "<=", ">=", "||", "->", "=>"}

// scan cuts a statement into tokens.
func scan(sql string) ([]sqlToken, error) {
	var out []sqlToken
	line, lineStart := 1, 0
	for i := 0; i < len(sql); {
		at := sqlPlace{line, utf8.RuneCountInString(sql[lineStart:i]) + 1}
		r, size := utf8.DecodeRuneInString(sql[i:])
		switch {
		case r == '\n':
			line, lineStart = line+1, i+1
			i++
		case unicode.IsSpace(r):
			i += size
		case strings.HasPrefix(sql[i:], "--"):
			n := strings.IndexByte(sql[i:], '\n')
			if n < 0 {
				n = len(sql) - i
			}
			i += n
		case strings.HasPrefix(sql[i:], "/*"):
			n := strings.Index(sql[i:], "*/")
			if n < 0 {
				return nil, at.fail("SYNTAX_ERROR", "a comment does not end")
			}
			for j := i; j < i+n; j++ {
				if sql[j] == '\n' {
					line, lineStart = line+1, j+1
				}
			}
			i += n + 2
		case r == '\'' || r == '"' || r == '`':
			text, n, err := quoted(sql[i:], byte(r), at)
			if err != nil {
				return nil, err
			}
			kind := sqlQuoted
			if r == '\'' {
				kind = sqlTextToken
			}
			out = append(out, sqlToken{kind, text, at, i, i + n})
			for j := i; j < i+n; j++ {
				if sql[j] == '\n' {
					line, lineStart = line+1, j+1
				}
			}
			i += n
		case r >= '0' && r <= '9' || r == '.' && i+1 < len(sql) && sql[i+1] >= '0' && sql[i+1] <= '9':
			n := numberLength(sql[i:])
			out = append(out, sqlToken{sqlNumber, sql[i : i+n], at, i, i + n})
			i += n
		case r == '_' || unicode.IsLetter(r):
			n := strings.IndexFunc(sql[i:], func(r rune) bool { return r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			if n < 0 {
				n = len(sql) - i
			}
			out = append(out, sqlToken{sqlWord, sql[i : i+n], at, i, i + n})
			i += n
		default:
			sign := string(r)
			for _, s := range signs {
				if strings.HasPrefix(sql[i:], s) {
					sign = s
					break
				}
			}
			out = append(out, sqlToken{sqlSign, sign, at, i, i + len(sign)})
			i += len(sign)
		}
	}
	at := sqlPlace{line, utf8.RuneCountInString(sql[min(lineStart, len(sql)):]) + 1}
	return append(out, sqlToken{sqlEnd, "<EOF>", at, len(sql), len(sql)}), nil
}

// quoted reads a quoted text whose quotes are doubled inside it.
func quoted(s string, quote byte, at sqlPlace) (text string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		return b.String(), i + 1, nil
	}
	return "", 0, at.fail("SYNTAX_ERROR", "the quote %c does not end", quote)
}

func numberLength(s string) int {
	digits := func(i int) int {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i
	}
	i := digits(0)
	if i < len(s) && s[i] == '.' {
		i = digits(i + 1)
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if k := digits(j); k > j {
			i = k
		}
	}
	return i
}

// sqlExpr is a node of an expression. What args and text mean is said at the kinds.
type sqlExpr struct {
	kind  exprKind
	at    sqlPlace
	text  string
	args  []*sqlExpr
	names []string    // of nameExpr: its parts
	not   bool        // of between, in, like, null
	type_ *athenaType // of cast
	query *sqlQuery
	call  *sqlCall
	cases []sqlCase
}

type exprKind int

const (
	nullExpr exprKind = iota
	textExpr
	numberExpr
	boolExpr  // text true or false
	nameExpr  // a.b.c
	starExpr  // * or a.*
	paramExpr // text is its number
	callExpr
	castExpr // text try for TRY_CAST
	caseExpr // args: operand (or none); text
	fieldExpr
	itemExpr // args[0][args[1]]
	unaryExpr
	binaryExpr // also and, or, comparisonSigns, is distinct from
	betweenExpr
	inExpr // args[0] in args[1:], or in query
	likeExpr
	isNullExpr
	existsExpr
	queryExpr
	arrayExpr
	rowExpr
	intervalExpr // text is the unit, args[0] the number
	typedExpr    // DATE '…', TIMESTAMP '…': text is the type
	tryExpr
	nowExpr // text is current_date and the like
	zoneExpr
)

type sqlCase struct{ when, then *sqlExpr } // when nil: else

type sqlCall struct {
	distinct bool
	star     bool
	order    []sqlOrder
	filter   *sqlExpr
	over     *sqlWindow
}

type sqlWindow struct {
	partition []*sqlExpr
	order     []sqlOrder
	frame     string
}

type sqlOrder struct {
	expr       *sqlExpr
	descending bool
	nullsFirst bool
}

type sqlQuery struct {
	with   []sqlWith
	body   *sqlBody
	order  []sqlOrder
	limit  *sqlExpr
	offset *sqlExpr
}

type sqlWith struct {
	name    string
	columns []string
	query   *sqlQuery
}

// sqlBody is a select, a query in parentheses, VALUES, or two bodies with an operator.
type sqlBody struct {
	at          sqlPlace
	operator    string // UNION, UNION ALL, INTERSECT, EXCEPT
	left, right *sqlBody
	query       *sqlQuery
	selection   *sqlSelect
	values      [][]*sqlExpr
}

type sqlSelect struct {
	at       sqlPlace
	distinct bool
	items    []sqlItem
	from     *sqlRelation
	where    *sqlExpr
	group    []*sqlExpr
	having   *sqlExpr
}

type sqlItem struct {
	expr  *sqlExpr
	alias string
}

// sqlRelation is a table, a query, an UNNEST or a join of two.
type sqlRelation struct {
	at         sqlPlace
	names      []string
	query      *sqlQuery
	unnest     []*sqlExpr
	ordinality bool
	alias      string
	columns    []string

	join        string // CROSS, INNER, LEFT, RIGHT, FULL
	left, right *sqlRelation
	on          *sqlExpr
	using       []string
}

// sqlParser walks the tokens of one statement.
type sqlParser struct {
	sql    string
	tokens []sqlToken
	i      int
	params int
	depth  int
}

// mostDepth bounds how deep expressions and queries nest.
const mostDepth = 200

func newSQLParser(sql string) (*sqlParser, error) {
	tokens, err := scan(sql)
	if err != nil {
		return nil, err
	}
	return &sqlParser{sql: sql, tokens: tokens}, nil
}

func (p *sqlParser) peek() sqlToken { return p.tokens[p.i] }

func (p *sqlParser) next() sqlToken {
	t := p.tokens[p.i]
	if t.kind != sqlEnd {
		p.i++
	}
	return t
}

// isWord reports whether the token at a distance is this keyword.
func (p *sqlParser) isWord(ahead int, words ...string) bool {
	for n, w := range words {
		i := p.i + ahead + n
		if i >= len(p.tokens) || p.tokens[i].kind != sqlWord || !strings.EqualFold(p.tokens[i].text, w) {
			return false
		}
	}
	return true
}

// word takes the keywords if they are next.
func (p *sqlParser) word(words ...string) bool {
	if !p.isWord(0, words...) {
		return false
	}
	p.i += len(words)
	return true
}

func (p *sqlParser) isSign(ahead int, sign string) bool {
	i := p.i + ahead
	return i < len(p.tokens) && p.tokens[i].kind == sqlSign && p.tokens[i].text == sign
}

func (p *sqlParser) sign(sign string) bool {
	if !p.isSign(0, sign) {
		return false
	}
	p.i++
	return true
}

// mismatch says what stands where something else was expected.
func (p *sqlParser) mismatch(expecting string) error {
	t := p.peek()
	if expecting == "" {
		return t.at.fail("SYNTAX_ERROR", "mismatched input '%s'", t.text)
	}
	return t.at.fail("SYNTAX_ERROR", "mismatched input '%s'. Expecting: %s", t.text, expecting)
}

func (p *sqlParser) needWord(words ...string) error {
	for _, w := range words {
		if !p.word(w) {
			return p.mismatch("'" + w + "'")
		}
	}
	return nil
}

func (p *sqlParser) needSign(sign string) error {
	if !p.sign(sign) {
		return p.mismatch("'" + sign + "'")
	}
	return nil
}

// reserved are the words that no bare identifier can be (Trino's reserved words).
var reserved = wordSet(`alter and as between by case cast constraint create cross cube current_date current_time
	current_timestamp current_user deallocate delete describe distinct drop else end escape except execute exists extract false for from full
	group grouping having in inner insert intersect into is join left like localtime localtimestamp natural normalize not null on or order
	outer prepare recursive right rollup select table then trim true uescape union unnest using values when where with`)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// name reads an identifier; names are case-insensitive, also quoted ones.
func (p *sqlParser) name() (string, error) {
	t := p.peek()
	if t.kind == sqlQuoted || t.kind == sqlWord && !reserved[strings.ToLower(t.text)] {
		p.i++
		return strings.ToLower(t.text), nil
	}
	return "", p.mismatch("<identifier>")
}

func (p *sqlParser) nameList() ([]string, error) {
	if err := p.needSign("("); err != nil {
		return nil, err
	}
	var out []string
	for {
		n, err := p.name()
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if !p.sign(",") {
			return out, p.needSign(")")
		}
	}
}

// path reads a.b.c.
func (p *sqlParser) path() ([]string, error) {
	n, err := p.name()
	if err != nil {
		return nil, err
	}
	out := []string{n}
	for p.isSign(0, ".") {
		p.i++
		if n, err = p.name(); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// end insists that the statement is over.
func (p *sqlParser) end() error {
	p.sign(";")
	if p.peek().kind != sqlEnd {
		return p.mismatch("<EOF>")
	}
	return nil
}

func (p *sqlParser) deeper() error {
	if p.depth++; p.depth > mostDepth {
		return p.peek().at.refuse(fmt.Sprintf("expressions nested deeper than %d", mostDepth))
	}
	return nil
}

func (p *sqlParser) query() (*sqlQuery, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	q := &sqlQuery{}
	if p.word("WITH") {
		if p.isWord(0, "RECURSIVE") {
			return nil, p.peek().at.refuse("WITH RECURSIVE")
		}
		for {
			w := sqlWith{}
			var err error
			if w.name, err = p.name(); err != nil {
				return nil, err
			}
			if p.isSign(0, "(") {
				if w.columns, err = p.nameList(); err != nil {
					return nil, err
				}
			}
			if err = p.needWord("AS"); err != nil {
				return nil, err
			}
			if w.query, err = p.inParentheses(); err != nil {
				return nil, err
			}
			q.with = append(q.with, w)
			if !p.sign(",") {
				break
			}
		}
	}
	var err error
	if q.body, err = p.body(); err != nil {
		return nil, err
	}
	if p.word("ORDER", "BY") {
		if q.order, err = p.orderList(); err != nil {
			return nil, err
		}
	}
	if p.word("OFFSET") {
		if q.offset, err = p.rowCount(); err != nil {
			return nil, err
		}
		if !p.word("ROWS") {
			p.word("ROW")
		}
	}
	if p.word("LIMIT") {
		if p.word("ALL") {
			return q, nil
		}
		if q.limit, err = p.rowCount(); err != nil {
			return nil, err
		}
	}
	if p.isWord(0, "FETCH") {
		return nil, p.peek().at.refuse("FETCH FIRST (use LIMIT)")
	}
	return q, nil
}

func (p *sqlParser) rowCount() (*sqlExpr, error) {
	t := p.next()
	switch {
	case t.kind == sqlNumber && !strings.ContainsAny(t.text, ".eE"):
		return &sqlExpr{kind: numberExpr, at: t.at, text: t.text}, nil
	case t.kind == sqlSign && t.text == "?":
		return p.parameter(t.at), nil
	}
	p.i--
	return nil, p.mismatch("<integer>, '?'")
}

func (p *sqlParser) parameter(at sqlPlace) *sqlExpr {
	p.params++
	return &sqlExpr{kind: paramExpr, at: at, text: fmt.Sprint(p.params - 1)}
}

func (p *sqlParser) inParentheses() (*sqlQuery, error) {
	if err := p.needSign("("); err != nil {
		return nil, err
	}
	q, err := p.query()
	if err != nil {
		return nil, err
	}
	return q, p.needSign(")")
}

func (p *sqlParser) orderList() ([]sqlOrder, error) {
	var out []sqlOrder
	for {
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		o := sqlOrder{expr: e}
		if p.word("DESC") {
			o.descending = true
		} else {
			p.word("ASC")
		}
		if p.word("NULLS", "FIRST") {
			o.nullsFirst = true
		} else {
			p.word("NULLS", "LAST")
		}
		out = append(out, o)
		if !p.sign(",") {
			return out, nil
		}
	}
}

// body reads selects listSQL by set operators; INTERSECT binds tighter.
func (p *sqlParser) body() (*sqlBody, error) {
	left, err := p.intersection()
	if err != nil {
		return nil, err
	}
	for {
		at, operator := p.peek().at, ""
		switch {
		case p.word("UNION", "ALL"):
			operator = "UNION ALL"
		case p.word("UNION"):
			p.word("DISTINCT")
			operator = "UNION"
		case p.word("EXCEPT"):
			if p.isWord(0, "ALL") {
				return nil, at.refuse("EXCEPT ALL")
			}
			p.word("DISTINCT")
			operator = "EXCEPT"
		default:
			return left, nil
		}
		right, err := p.intersection()
		if err != nil {
			return nil, err
		}
		left = &sqlBody{at: at, operator: operator, left: left, right: right}
	}
}

func (p *sqlParser) intersection() (*sqlBody, error) {
	left, err := p.term()
	if err != nil {
		return nil, err
	}
	for p.isWord(0, "INTERSECT") {
		at := p.next().at
		if p.isWord(0, "ALL") {
			return nil, at.refuse("INTERSECT ALL")
		}
		p.word("DISTINCT")
		right, err := p.term()
		if err != nil {
			return nil, err
		}
		left = &sqlBody{at: at, operator: "INTERSECT", left: left, right: right}
	}
	return left, nil
}

func (p *sqlParser) term() (*sqlBody, error) {
	at := p.peek().at
	switch {
	case p.isSign(0, "("):
		q, err := p.inParentheses()
		return &sqlBody{at: at, query: q}, err
	case p.word("VALUES"):
		b := &sqlBody{at: at}
		for {
			e, err := p.expression()
			if err != nil {
				return nil, err
			}
			row := []*sqlExpr{e}
			if e.kind == rowExpr {
				row = e.args
			}
			b.values = append(b.values, row)
			if !p.sign(",") {
				return b, nil
			}
		}
	case p.isWord(0, "SELECT"):
		s, err := p.selection()
		return &sqlBody{at: at, selection: s}, err
	}
	return nil, p.mismatch("'(', 'SELECT', 'VALUES', 'WITH'")
}

func (p *sqlParser) selection() (*sqlSelect, error) {
	s := &sqlSelect{at: p.next().at}
	if p.word("DISTINCT") {
		s.distinct = true
	} else {
		p.word("ALL")
	}
	for {
		item, err := p.item()
		if err != nil {
			return nil, err
		}
		s.items = append(s.items, item)
		if !p.sign(",") {
			break
		}
	}
	var err error
	if p.word("FROM") {
		if s.from, err = p.relations(); err != nil {
			return nil, err
		}
	}
	if p.word("WHERE") {
		if s.where, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.word("GROUP", "BY") {
		if s.group, err = p.groups(); err != nil {
			return nil, err
		}
	}
	if p.word("HAVING") {
		if s.having, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.isWord(0, "WINDOW") {
		return nil, p.peek().at.refuse("a WINDOW clause (write OVER (…) at the function)")
	}
	return s, nil
}

func (p *sqlParser) groups() ([]*sqlExpr, error) {
	if p.isWord(0, "DISTINCT") || p.isWord(0, "ALL") {
		return nil, p.peek().at.refuse("GROUP BY " + p.peek().text)
	}
	var out []*sqlExpr
	for {
		for _, w := range []string{"CUBE", "ROLLUP", "GROUPING"} {
			if p.isWord(0, w) {
				return nil, p.peek().at.refuse("GROUP BY " + w)
			}
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		if e.kind == rowExpr { // (a, b) groups by both
			out = append(out, e.args...)
		} else {
			out = append(out, e)
		}
		if !p.sign(",") {
			return out, nil
		}
	}
}

func (p *sqlParser) item() (sqlItem, error) {
	at := p.peek().at
	if p.sign("*") {
		return sqlItem{expr: &sqlExpr{kind: starExpr, at: at}}, nil
	}
	from := p.i
	if names, err := p.path(); err == nil || p.isSign(0, "*") {
		if len(names) == 0 { // path stops at the star with the dot taken
			p.i = from
			names, err = p.starPath()
			if err == nil {
				return sqlItem{expr: &sqlExpr{kind: starExpr, at: at, names: names}}, nil
			}
		}
	}
	p.i = from
	e, err := p.expression()
	if err != nil {
		return sqlItem{}, err
	}
	item := sqlItem{expr: e}
	if p.word("AS") {
		item.alias, err = p.name()
		return item, err
	}
	if t := p.peek(); t.kind == sqlQuoted || t.kind == sqlWord && !reserved[strings.ToLower(t.text)] && !p.clauseFollows() {
		item.alias, err = p.name()
	}
	return item, err
}

// starPath reads a.b.* where the star is certain.
func (p *sqlParser) starPath() ([]string, error) {
	var out []string
	for {
		n, err := p.name()
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if err := p.needSign("."); err != nil {
			return nil, err
		}
		if p.sign("*") {
			return out, nil
		}
	}
}

// clauseFollows tells an alias from the clauses that begin with an unreserved word.
func (p *sqlParser) clauseFollows() bool {
	return slices.ContainsFunc([]string{"LIMIT", "OFFSET", "FETCH", "WINDOW", "TABLESAMPLE"}, func(w string) bool { return p.isWord(0, w) })
}

func (p *sqlParser) relations() (*sqlRelation, error) {
	left, err := p.relation()
	if err != nil {
		return nil, err
	}
	for p.isSign(0, ",") {
		at := p.next().at
		right, err := p.relation()
		if err != nil {
			return nil, err
		}
		left = &sqlRelation{at: at, join: "CROSS", left: left, right: right}
	}
	return left, nil
}

func (p *sqlParser) relation() (*sqlRelation, error) {
	left, err := p.source()
	if err != nil {
		return nil, err
	}
	for {
		at, join := p.peek().at, ""
		switch {
		case p.isWord(0, "NATURAL"):
			return nil, at.refuse("NATURAL JOIN")
		case p.word("CROSS", "JOIN"):
			join = "CROSS"
		case p.word("JOIN"), p.word("INNER", "JOIN"):
			join = "INNER"
		case p.word("LEFT", "JOIN"), p.word("LEFT", "OUTER", "JOIN"):
			join = "LEFT"
		case p.word("RIGHT", "JOIN"), p.word("RIGHT", "OUTER", "JOIN"):
			join = "RIGHT"
		case p.word("FULL", "JOIN"), p.word("FULL", "OUTER", "JOIN"):
			join = "FULL"
		default:
			return left, nil
		}
		right, err := p.source()
		if err != nil {
			return nil, err
		}
		j := &sqlRelation{at: at, join: join, left: left, right: right}
		switch {
		case join == "CROSS":
		case p.word("ON"):
			if j.on, err = p.expression(); err != nil {
				return nil, err
			}
		case p.word("USING"):
			if j.using, err = p.nameList(); err != nil {
				return nil, err
			}
		default:
			return nil, p.mismatch("'ON', 'USING'")
		}
		left = j
	}
}

func (p *sqlParser) source() (*sqlRelation, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	s := &sqlRelation{at: p.peek().at}
	var err error
	switch {
	case p.isWord(0, "UNNEST"):
		p.i++
		if err = p.needSign("("); err != nil {
			return nil, err
		}
		if s.unnest, err = p.expressions(); err != nil {
			return nil, err
		}
		if err = p.needSign(")"); err != nil {
			return nil, err
		}
		s.ordinality = p.word("WITH", "ORDINALITY")
	case p.isWord(0, "LATERAL"), p.isWord(0, "TABLE"):
		return nil, s.at.refuse(strings.ToUpper(p.peek().text) + " in FROM")
	case p.isSign(0, "("):
		if p.queryFollows(1) {
			s.query, err = p.inParentheses()
			break
		}
		p.i++
		if s, err = p.relations(); err != nil {
			return nil, err
		}
		if err = p.needSign(")"); err != nil {
			return nil, err
		}
		return s, nil
	default:
		s.names, err = p.path()
	}
	if err != nil {
		return nil, err
	}
	return s, p.aliasOf(s)
}

// aliasOf reads [AS] name [(column, …)].
func (p *sqlParser) aliasOf(s *sqlRelation) error {
	if p.isWord(0, "TABLESAMPLE") || p.isWord(0, "MATCH_RECOGNIZE") || p.isWord(0, "FOR") {
		return p.peek().at.refuse(strings.ToUpper(p.peek().text))
	}
	t := p.peek()
	if !p.word("AS") && (t.kind != sqlQuoted && (t.kind != sqlWord || reserved[strings.ToLower(t.text)]) || p.clauseFollows()) {
		return nil
	}
	var err error
	if s.alias, err = p.name(); err != nil {
		return err
	}
	if p.isSign(0, "(") {
		s.columns, err = p.nameList()
	}
	return err
}

// queryFollows tells a query in parentheses from an expression or a join in them.
func (p *sqlParser) queryFollows(ahead int) bool {
	for p.isSign(ahead, "(") {
		ahead++
	}
	return p.isWord(ahead, "SELECT") || p.isWord(ahead, "WITH") || p.isWord(ahead, "VALUES")
}
