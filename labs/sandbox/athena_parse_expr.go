package sandbox

import (
	"strings"
)

// Expressions, from the loosest operator to the tightest (Trino's grammar).

func (p *sqlParser) expressions() ([]*sqlExpr, error) {
	var out []*sqlExpr
	for {
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		if !p.sign(",") {
			return out, nil
		}
	}
}

func (p *sqlParser) expression() (*sqlExpr, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	return p.chain(p.conjunction, "OR")
}

func (p *sqlParser) conjunction() (*sqlExpr, error) { return p.chain(p.negation, "AND") }

// chain reads operands listSQL by a word.
func (p *sqlParser) chain(operand func() (*sqlExpr, error), word string) (*sqlExpr, error) {
	left, err := operand()
	if err != nil {
		return nil, err
	}
	for p.isWord(0, word) {
		at := p.next().at
		right, err := operand()
		if err != nil {
			return nil, err
		}
		left = &sqlExpr{kind: binaryExpr, at: at, text: word, args: []*sqlExpr{left, right}}
	}
	return left, nil
}

func (p *sqlParser) negation() (*sqlExpr, error) {
	if !p.isWord(0, "NOT") {
		return p.predicate()
	}
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	at := p.next().at
	e, err := p.negation()
	return &sqlExpr{kind: unaryExpr, at: at, text: "NOT", args: []*sqlExpr{e}}, err
}

var comparisonSigns = map[string]string{"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

func (p *sqlParser) predicate() (*sqlExpr, error) {
	left, err := p.value(0)
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		if operator, ok := comparisonSigns[t.text]; ok && t.kind == sqlSign {
			p.i++
			for _, quantifier := range []string{"ALL", "SOME", "ANY"} {
				if p.isWord(0, quantifier) && p.isSign(1, "(") {
					return nil, t.at.refuse(operator + " " + quantifier)
				}
			}
			right, err := p.value(0)
			if err != nil {
				return nil, err
			}
			left = &sqlExpr{kind: binaryExpr, at: t.at, text: operator, args: []*sqlExpr{left, right}}
			continue
		}
		more, err := p.test(left)
		if err != nil {
			return nil, err
		}
		if more == nil {
			return left, nil
		}
		left = more
	}
}

// test reads what follows an operand as a word: IS NULL, BETWEEN, IN, LIKE; nil
// where nothing follows.
func (p *sqlParser) test(left *sqlExpr) (*sqlExpr, error) {
	at := p.peek().at
	if p.word("IS") {
		not := p.word("NOT")
		if p.word("NULL") {
			return &sqlExpr{kind: isNullExpr, at: at, not: not, args: []*sqlExpr{left}}, nil
		}
		if p.word("DISTINCT", "FROM") {
			right, err := p.value(0)
			return &sqlExpr{kind: binaryExpr, at: at, text: "IS DISTINCT FROM", not: not, args: []*sqlExpr{left, right}}, err
		}
		return nil, p.mismatch("'NULL', 'DISTINCT'")
	}
	not := p.isWord(0, "NOT")
	if not {
		p.i++
	}
	switch {
	case p.word("BETWEEN"):
		low, err := p.value(0)
		if err != nil {
			return nil, err
		}
		if err := p.needWord("AND"); err != nil {
			return nil, err
		}
		high, err := p.value(0)
		return &sqlExpr{kind: betweenExpr, at: at, not: not, args: []*sqlExpr{left, low, high}}, err
	case p.word("IN"):
		e := &sqlExpr{kind: inExpr, at: at, not: not, args: []*sqlExpr{left}}
		var err error
		if p.queryFollows(1) {
			e.query, err = p.inParentheses()
			return e, err
		}
		if err := p.needSign("("); err != nil {
			return nil, err
		}
		list, err := p.expressions()
		if err != nil {
			return nil, err
		}
		e.args = append(e.args, list...)
		return e, p.needSign(")")
	case p.word("LIKE"):
		pattern, err := p.value(0)
		if err != nil {
			return nil, err
		}
		e := &sqlExpr{kind: likeExpr, at: at, not: not, args: []*sqlExpr{left, pattern}}
		if p.word("ESCAPE") {
			escape, err := p.value(0)
			if err != nil {
				return nil, err
			}
			e.args = append(e.args, escape)
		}
		return e, nil
	}
	if not {
		return nil, p.mismatch("'BETWEEN', 'IN', 'LIKE'")
	}
	return nil, nil
}

// valueLevels are the operators on values, loosest first.
var valueLevels = [][]string{{"||"}, {"+", "-"}, {"*", "/", "%"}}

func (p *sqlParser) value(level int) (*sqlExpr, error) {
	if level == len(valueLevels) {
		return p.signed()
	}
	left, err := p.value(level + 1)
	if err != nil {
		return nil, err
	}
	for {
		t, found := p.peek(), false
		for _, s := range valueLevels[level] {
			found = found || t.kind == sqlSign && t.text == s
		}
		if !found {
			return left, nil
		}
		p.i++
		right, err := p.value(level + 1)
		if err != nil {
			return nil, err
		}
		left = &sqlExpr{kind: binaryExpr, at: t.at, text: t.text, args: []*sqlExpr{left, right}}
	}
}

func (p *sqlParser) signed() (*sqlExpr, error) {
	t := p.peek()
	if t.kind == sqlSign && (t.text == "-" || t.text == "+") {
		if err := p.deeper(); err != nil {
			return nil, err
		}
		defer func() { p.depth-- }()
		p.i++
		e, err := p.signed()
		if err != nil || t.text == "+" {
			return e, err
		}
		if e.kind == numberExpr && !strings.HasPrefix(e.text, "-") {
			e.text = "-" + e.text
			return e, nil
		}
		return &sqlExpr{kind: unaryExpr, at: t.at, text: "-", args: []*sqlExpr{e}}, nil
	}
	return p.postfix()
}

// postfix reads a primary with the fields and items behind it.
func (p *sqlParser) postfix() (*sqlExpr, error) {
	e, err := p.primary()
	if err != nil {
		return nil, err
	}
	for {
		at := p.peek().at
		switch {
		case p.isSign(0, "."):
			p.i++
			n, err := p.name()
			if err != nil {
				return nil, err
			}
			if e.kind == nameExpr {
				e.names = append(e.names, n)
			} else {
				e = &sqlExpr{kind: fieldExpr, at: at, text: n, args: []*sqlExpr{e}}
			}
		case p.sign("["):
			index, err := p.expression()
			if err != nil {
				return nil, err
			}
			if err := p.needSign("]"); err != nil {
				return nil, err
			}
			e = &sqlExpr{kind: itemExpr, at: at, args: []*sqlExpr{e, index}}
		case p.word("AT", "TIME", "ZONE"):
			zone, err := p.primary()
			if err != nil {
				return nil, err
			}
			e = &sqlExpr{kind: zoneExpr, at: at, args: []*sqlExpr{e, zone}}
		case p.isSign(0, "->"):
			return nil, at.refuse("lambda expressions (x -> …)")
		default:
			return e, nil
		}
	}
}

func (p *sqlParser) primary() (*sqlExpr, error) {
	t := p.peek()
	e := &sqlExpr{at: t.at, text: t.text}
	switch t.kind {
	case sqlTextToken:
		p.i++
		e.kind = textExpr
		return e, nil
	case sqlNumber:
		p.i++
		e.kind = numberExpr
		return e, nil
	case sqlSign:
		switch t.text {
		case "?":
			p.i++
			return p.parameter(t.at), nil
		case "(":
			return p.parenthesis()
		}
		return nil, p.mismatch("<expression>")
	case sqlQuoted:
		p.i++
		e.kind, e.names = nameExpr, []string{strings.ToLower(t.text)}
		return e, nil
	case sqlEnd:
		return nil, p.mismatch("<expression>")
	}
	return p.keyword(e)
}

// parenthesis reads (expression), (a, b) or (query).
func (p *sqlParser) parenthesis() (*sqlExpr, error) {
	at := p.peek().at
	if p.queryFollows(1) {
		q, err := p.inParentheses()
		return &sqlExpr{kind: queryExpr, at: at, query: q}, err
	}
	p.i++
	list, err := p.expressions()
	if err != nil {
		return nil, err
	}
	if err := p.needSign(")"); err != nil {
		return nil, err
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return &sqlExpr{kind: rowExpr, at: at, args: list}, nil
}

// keyword reads a primary that begins with a word.
func (p *sqlParser) keyword(e *sqlExpr) (*sqlExpr, error) {
	word := strings.ToUpper(e.text)
	following := p.tokens[min(p.i+1, len(p.tokens)-1)]
	switch word {
	case "NULL":
		p.i++
		e.kind = nullExpr
		return e, nil
	case "TRUE", "FALSE":
		p.i++
		e.kind, e.text = boolExpr, strings.ToLower(word)
		return e, nil
	case "CURRENT_DATE", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP":
		p.i++
		if p.isSign(0, "(") {
			return nil, p.peek().at.refuse("a precision of " + word)
		}
		e.kind, e.text = nowExpr, strings.ToLower(word)
		return e, nil
	case "CURRENT_TIME", "LOCALTIME", "CURRENT_USER":
		return nil, e.at.refuse(word)
	case "CASE":
		return p.cases(e)
	case "CAST", "TRY_CAST":
		if p.isSign(1, "(") {
			return p.cast(e, word)
		}
	case "TRY":
		if p.isSign(1, "(") {
			p.i += 2
			inner, err := p.expression()
			if err != nil {
				return nil, err
			}
			e.kind, e.args = tryExpr, []*sqlExpr{inner}
			return e, p.needSign(")")
		}
	case "EXISTS":
		p.i++
		q, err := p.inParentheses()
		e.kind, e.query = existsExpr, q
		return e, err
	case "INTERVAL":
		if following.kind == sqlTextToken || following.kind == sqlSign && (following.text == "-" || following.text == "+") {
			return p.interval(e)
		}
	case "DATE", "TIMESTAMP":
		if following.kind == sqlTextToken {
			p.i += 2
			e.kind, e.text = typedExpr, strings.ToLower(word)
			e.args = []*sqlExpr{{kind: textExpr, at: following.at, text: following.text}}
			return e, nil
		}
	case "TIME", "DECIMAL", "CHAR", "BIGINT", "DOUBLE", "REAL", "JSON", "X", "U&":
		if following.kind == sqlTextToken {
			return nil, e.at.refuse("literals such as " + word + " '…' (use CAST)")
		}
	case "ARRAY":
		if following.kind == sqlSign && following.text == "[" {
			p.i += 2
			e.kind = arrayExpr
			if p.sign("]") {
				return e, nil
			}
			var err error
			if e.args, err = p.expressions(); err != nil {
				return nil, err
			}
			return e, p.needSign("]")
		}
	case "ROW":
		if following.kind == sqlSign && following.text == "(" {
			p.i += 2
			e.kind = rowExpr
			var err error
			if e.args, err = p.expressions(); err != nil {
				return nil, err
			}
			return e, p.needSign(")")
		}
	case "EXTRACT":
		if p.isSign(1, "(") {
			return p.extract(e)
		}
	case "TRIM", "NORMALIZE":
		if !p.isSign(1, "(") {
			return nil, p.mismatch("<expression>")
		}
		return p.called(e)
	}
	if following.kind == sqlSign && following.text == "(" && (!reserved[strings.ToLower(word)] || word == "GROUPING") {
		return p.called(e)
	}
	if following.kind == sqlSign && following.text == "->" {
		return nil, e.at.refuse("lambda expressions (x -> …)")
	}
	n, err := p.name()
	e.kind, e.names = nameExpr, []string{n}
	return e, err
}

func (p *sqlParser) cases(e *sqlExpr) (*sqlExpr, error) {
	p.i++
	e.kind = caseExpr
	if !p.isWord(0, "WHEN") {
		operand, err := p.expression()
		if err != nil {
			return nil, err
		}
		e.args = []*sqlExpr{operand}
	}
	for p.word("WHEN") {
		when, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.needWord("THEN"); err != nil {
			return nil, err
		}
		then, err := p.expression()
		if err != nil {
			return nil, err
		}
		e.cases = append(e.cases, sqlCase{when, then})
	}
	if len(e.cases) == 0 {
		return nil, p.mismatch("'WHEN'")
	}
	if p.word("ELSE") {
		then, err := p.expression()
		if err != nil {
			return nil, err
		}
		e.cases = append(e.cases, sqlCase{nil, then})
	}
	return e, p.needWord("END")
}

func (p *sqlParser) cast(e *sqlExpr, word string) (*sqlExpr, error) {
	p.i += 2
	inner, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.needWord("AS"); err != nil {
		return nil, err
	}
	at, from := p.peek().at, p.peek().start
	depth := 0
	for { // the type is everything up to the closing parenthesis
		t := p.peek()
		if t.kind == sqlEnd {
			return nil, p.mismatch("')'")
		}
		if t.kind == sqlSign && t.text == "(" {
			depth++
		}
		if t.kind == sqlSign && t.text == ")" {
			if depth == 0 {
				break
			}
			depth--
		}
		p.i++
	}
	e.type_, err = trinoType(p.sql[from:p.peek().start])
	if err != nil {
		return nil, at.fail("TYPE_NOT_FOUND", "%v", err)
	}
	e.kind, e.text, e.args = castExpr, "", []*sqlExpr{inner}
	if word == "TRY_CAST" {
		e.text = "try"
	}
	return e, p.needSign(")")
}

var intervalUnits = map[string]string{"SECOND": "second", "MINUTE": "minute", "HOUR": "hour", "DAY": "day", "MONTH": "month", "YEAR": "year"}

func (p *sqlParser) interval(e *sqlExpr) (*sqlExpr, error) {
	p.i++
	minus := p.sign("-")
	p.sign("+")
	t := p.next()
	if t.kind != sqlTextToken {
		p.i--
		return nil, p.mismatch("<string>")
	}
	unit, ok := intervalUnits[strings.ToUpper(p.peek().text)]
	if !ok {
		return nil, p.mismatch("'DAY', 'HOUR', 'MINUTE', 'MONTH', 'SECOND', 'YEAR'")
	}
	p.i++
	if p.isWord(0, "TO") {
		return nil, p.peek().at.refuse("intervals of two units (DAY TO SECOND)")
	}
	if minus {
		t.text = "-" + t.text
	}
	e.kind, e.text, e.args = intervalExpr, unit, []*sqlExpr{{kind: textExpr, at: t.at, text: t.text}}
	return e, nil
}

func (p *sqlParser) extract(e *sqlExpr) (*sqlExpr, error) {
	p.i += 2
	unit := p.next()
	if err := p.needWord("FROM"); err != nil {
		return nil, err
	}
	inner, err := p.expression()
	if err != nil {
		return nil, err
	}
	e.kind, e.text, e.args, e.call = callExpr, strings.ToLower(unit.text), []*sqlExpr{inner}, &sqlCall{}
	if !extractable[e.text] {
		return nil, unit.at.fail("SYNTAX_ERROR", "Invalid EXTRACT field: %s", unit.text)
	}
	return e, p.needSign(")")
}

// extractable are the fields of EXTRACT; each is a function of the same name.
var extractable = map[string]bool{"year": true, "quarter": true, "month": true, "week": true, "day": true, "day_of_month": true, "day_of_week": true, "dow": true,
	"day_of_year": true, "doy": true, "hour": true, "minute": true, "second": true}

// called reads a function's arguments and what may follow them.
func (p *sqlParser) called(e *sqlExpr) (*sqlExpr, error) {
	p.i += 2
	e.kind, e.text, e.call = callExpr, strings.ToLower(e.text), &sqlCall{}
	var err error
	switch {
	case p.sign("*"):
		e.call.star = true
	case p.isSign(0, ")"):
	default:
		if p.word("DISTINCT") {
			e.call.distinct = true
		} else {
			p.word("ALL")
		}
		if e.args, err = p.arguments(e); err != nil {
			return nil, err
		}
		if p.word("ORDER", "BY") {
			if e.call.order, err = p.orderList(); err != nil {
				return nil, err
			}
		}
	}
	if err := p.needSign(")"); err != nil {
		return nil, err
	}
	for _, w := range []string{"WITHIN", "IGNORE", "RESPECT"} {
		if p.isWord(0, w) && (p.isWord(1, "GROUP") || p.isWord(1, "NULLS")) {
			return nil, p.peek().at.refuse(w + " " + strings.ToUpper(p.tokens[p.i+1].text))
		}
	}
	if p.isWord(0, "FILTER") && p.isSign(1, "(") {
		p.i += 2
		if err := p.needWord("WHERE"); err != nil {
			return nil, err
		}
		if e.call.filter, err = p.expression(); err != nil {
			return nil, err
		}
		if err := p.needSign(")"); err != nil {
			return nil, err
		}
	}
	if p.isWord(0, "OVER") {
		p.i++
		if e.call.over, err = p.window(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// arguments reads a list, with the old forms POSITION(a IN b) and SUBSTRING(a FROM b FOR c).
func (p *sqlParser) arguments(e *sqlExpr) ([]*sqlExpr, error) {
	if e.text == "position" {
		needle, err := p.value(0)
		if err != nil {
			return nil, err
		}
		if err := p.needWord("IN"); err != nil {
			return nil, err
		}
		in, err := p.value(0)
		e.text = "strpos"
		return []*sqlExpr{in, needle}, err
	}
	if e.text == "trim" && (p.isWord(0, "BOTH") || p.isWord(0, "LEADING") || p.isWord(0, "TRAILING") || p.isWord(0, "FROM")) {
		return nil, p.peek().at.refuse("TRIM(" + strings.ToUpper(p.peek().text) + " …)")
	}
	list, err := p.expressions()
	if err != nil || e.text != "substring" || !p.word("FROM") {
		if err == nil && e.text == "trim" && p.isWord(0, "FROM") {
			return nil, p.peek().at.refuse("TRIM(… FROM …)")
		}
		return list, err
	}
	from, err := p.expression()
	if err != nil {
		return nil, err
	}
	list = append(list, from)
	if p.word("FOR") {
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func (p *sqlParser) window() (*sqlWindow, error) {
	if !p.isSign(0, "(") {
		return nil, p.peek().at.refuse("a named window (write OVER (…))")
	}
	p.i++
	w := &sqlWindow{}
	var err error
	if p.word("PARTITION", "BY") {
		if w.partition, err = p.expressions(); err != nil {
			return nil, err
		}
	}
	if p.word("ORDER", "BY") {
		if w.order, err = p.orderList(); err != nil {
			return nil, err
		}
	}
	if p.isWord(0, "ROWS") || p.isWord(0, "RANGE") || p.isWord(0, "GROUPS") {
		if w.frame, err = p.frame(); err != nil {
			return nil, err
		}
	}
	return w, p.needSign(")")
}

// frame reads a frame of whole rows; it means the same to SQLite.
func (p *sqlParser) frame() (string, error) {
	if !p.isWord(0, "ROWS") {
		if !p.isWord(0, "RANGE", "BETWEEN", "UNBOUNDED", "PRECEDING", "AND", "CURRENT", "ROW") {
			return "", p.peek().at.refuse("this " + strings.ToUpper(p.peek().text) + " frame")
		}
	}
	unit := strings.ToUpper(p.next().text)
	if !p.word("BETWEEN") {
		bound, err := p.frameBound()
		return unit + " " + bound, err
	}
	from, err := p.frameBound()
	if err != nil {
		return "", err
	}
	if err := p.needWord("AND"); err != nil {
		return "", err
	}
	to, err := p.frameBound()
	return unit + " BETWEEN " + from + " AND " + to, err
}

func (p *sqlParser) frameBound() (string, error) {
	what := ""
	switch t := p.peek(); {
	case p.word("CURRENT", "ROW"):
		return "CURRENT ROW", nil
	case p.word("UNBOUNDED"):
		what = "UNBOUNDED"
	case t.kind == sqlNumber && !strings.ContainsAny(t.text, ".eE"):
		what = t.text
		p.i++
	default:
		return "", p.mismatch("'CURRENT', 'UNBOUNDED', <integer>")
	}
	switch {
	case p.word("PRECEDING"):
		return what + " PRECEDING", nil
	case p.word("FOLLOWING"):
		return what + " FOLLOWING", nil
	}
	return "", p.mismatch("'PRECEDING', 'FOLLOWING'")
}
