package sandbox

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// This file is metric math: a parser for expressions, and their evaluation on the
// queries of one call or alarm. It has what our rules and the usual dashboards
// use; every other function is refused by name. Source of the rules: CloudWatch
// user guide, "Using math expressions with CloudWatch metrics".

// planned is one query, checked and parsed.
type planned struct {
	id, label string
	returned  bool
	period    int32
	// a metric
	key, unit string
	stat      statistic
	// or an expression
	expr *mathNode
}

type queryPlan struct {
	list []*planned
	byID map[string]*planned
}

// planQueries checks the queries as a whole; path names their parameter.
func (c *cloudWatch) planQueries(queries []types.MetricDataQuery, path string) (*queryPlan, error) {
	p := &queryPlan{byID: make(map[string]*planned, len(queries))}
	for i := range queries {
		q, err := planQuery(&queries[i], fmt.Sprintf("%s.member.%d", path, i+1))
		if err != nil {
			return nil, err
		}
		if p.byID[q.id] != nil {
			return nil, invalidRequest("The values for parameter id in %s are not unique.", path)
		}
		p.byID[q.id] = q
		p.list = append(p.list, q)
	}
	for _, q := range p.list {
		if q.expr == nil {
			continue
		}
		for _, id := range q.expr.ids(nil) {
			if p.byID[id] == nil {
				return nil, invalidRequest("Error in expression '%s': Undefined variable: %s", q.id, id)
			}
		}
	}
	return p, p.checkCircles()
}

// checkCircles refuses expressions that depend on themselves.
func (p *queryPlan) checkCircles() error {
	open, closed := map[string]bool{}, map[string]bool{}
	var walk func(q *planned) error
	walk = func(q *planned) error {
		if q.expr == nil || closed[q.id] {
			return nil
		}
		if open[q.id] {
			return invalidRequest("Error in expression '%s': The expression refers to itself", q.id)
		}
		open[q.id] = true
		for _, id := range q.expr.ids(nil) {
			if err := walk(p.byID[id]); err != nil {
				return err
			}
		}
		closed[q.id] = true
		return nil
	}
	for _, q := range p.list {
		if err := walk(q); err != nil {
			return err
		}
	}
	return nil
}

func planQuery(q *types.MetricDataQuery, path string) (*planned, error) {
	id := deref(q.Id)
	switch {
	case id == "":
		return nil, missingParameter(path + ".Id")
	case !queryID.MatchString(id) || len(id) > 255:
		return nil, invalidRequest("The value %s for parameter %s.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.", id, path)
	case q.Expression != nil && q.MetricStat != nil:
		return nil, invalidRequest("The parameters %s.Expression and %s.MetricStat are mutually exclusive and you have specified both.", path, path)
	case q.Expression == nil && q.MetricStat == nil:
		return nil, invalidRequest("Either the parameter %s.Expression or %s.MetricStat must be specified.", path, path)
	case deref(q.AccountId) != "" && *q.AccountId != Account:
		return nil, unsupported(path + ".AccountId")
	}
	p := &planned{id: id, label: deref(q.Label), returned: q.ReturnData == nil || *q.ReturnData}
	if strings.Contains(p.label, "${") {
		return nil, fail("NotImplemented", "the sandbox does not support dynamic labels such as %s", p.label)
	}
	if q.Expression != nil {
		p.period = deref(q.Period)
		expr, err := parseMath(*q.Expression)
		if err != nil {
			return nil, mathError(id, err)
		}
		p.expr = expr
		if p.label == "" {
			p.label = id
		}
		return p, nil
	}
	m := q.MetricStat
	switch {
	case m.Metric == nil:
		return nil, missingParameter(path + ".MetricStat.Metric")
	case deref(m.Metric.Namespace) == "":
		return nil, missingParameter(path + ".MetricStat.Metric.Namespace")
	case deref(m.Metric.MetricName) == "":
		return nil, missingParameter(path + ".MetricStat.Metric.MetricName")
	case m.Period == nil:
		return nil, missingParameter(path + ".MetricStat.Period")
	case deref(m.Stat) == "":
		return nil, missingParameter(path + ".MetricStat.Stat")
	case q.Period != nil:
		return nil, invalidRequest("The parameter %s.Period must not be specified with %s.MetricStat.", path, path)
	}
	if err := checkDimensions(m.Metric.Dimensions, path+".MetricStat.Metric.Dimensions"); err != nil {
		return nil, err
	}
	if err := checkPeriod(*m.Period); err != nil {
		return nil, err
	}
	stat, err := statisticNamed(*m.Stat)
	if err != nil {
		return nil, err
	}
	p.stat, p.period, p.unit = stat, *m.Period, string(m.Unit)
	p.key = seriesKey(*m.Metric.Namespace, *m.Metric.MetricName, dimsOf(m.Metric.Dimensions))
	if p.label == "" {
		p.label = *m.Metric.MetricName
	}
	return p, nil
}

func mathError(id string, err error) error {
	var refused mathUnsupported
	if errors.As(err, &refused) {
		return fail("NotImplemented", "the sandbox does not support %s in the expression %s", string(refused), id)
	}
	return invalidRequest("Error in expression '%s': %v", id, err)
}

// mathUnsupported is something that CloudWatch has and the sandbox has not.
type mathUnsupported string

func (u mathUnsupported) Error() string { return "the sandbox does not support " + string(u) }

// look is one evaluation of a plan over a time range.
type look struct {
	c          *cloudWatch
	plan       *queryPlan
	start, end time.Time
	now        int64 // the current minute: what lies in it is not visible
	done       map[string]lookResult
}

type lookResult struct {
	v   mathValue
	err error
}

// all evaluates what is to be returned, in the order of the queries. An array
// gives one line for each of its series.
func (l *look) all() ([]line, error) {
	var out []line
	for _, q := range l.plan.list {
		if !q.returned {
			continue
		}
		v, err := l.value(q)
		if err != nil {
			return nil, mathError(q.id, err)
		}
		if v.list == nil {
			return nil, mathError(q.id, errors.New("The expression returned a scalar, it must return a time series or an array of time series")) //nolint:staticcheck // AWS's sentence
		}
		for _, s := range v.list {
			switch {
			case !v.array:
				s.label = q.label
			case q.label != q.id:
				s.label = q.label + " " + s.label
			}
			out = append(out, line{q.id, s})
		}
	}
	return out, nil
}

func (l *look) value(q *planned) (mathValue, error) {
	if r, ok := l.done[q.id]; ok {
		return r.v, r.err
	}
	var r lookResult
	if q.expr == nil {
		r.v = l.metric(q)
	} else {
		r.v, r.err = l.eval(q.expr)
		if r.err == nil && q.period > 0 && len(r.v.list) > 0 && r.v.list[0].w.step != int64(q.period)/60 {
			r.err = mathUnsupported("a period other than the metrics' own")
		}
	}
	l.done[q.id] = r
	return r.v, r.err
}

func (l *look) metric(q *planned) mathValue {
	s := l.c.r.metrics.published(q.key)
	if s != nil && q.unit != "" && q.unit != s.unit {
		s = nil
	}
	w := windowOf(l.start, l.end, q.period)
	return mathValue{list: []timeSeries{{label: q.label, w: w, v: q.stat.values(s, w, l.now)}}}
}

// window is that of the first metric: all metrics of an expression share it.
func (l *look) window() (window, error) {
	for _, q := range l.plan.list {
		if q.period > 0 {
			return windowOf(l.start, l.end, q.period), nil
		}
	}
	return window{}, errors.New("a period is needed")
}

// mathValue is a scalar (list is nil), a time series or an array of them.
type mathValue struct {
	n     float64
	list  []timeSeries
	array bool
}

func scalar(n float64) mathValue { return mathValue{n: n} }

// mathNode is one node of a parsed expression.
type mathNode struct {
	kind mathKind
	text string // operator, function, id, word or string
	num  float64
	kids []*mathNode
}

type mathKind int

const (
	mathNumber   mathKind = iota
	mathString            // "…"
	mathWord              // REPEAT, LINEAR: a bare upper-case word
	mathID                // m1
	mathOperator          // + - * / ^ < … and "neg"
	mathCall              // MAX(…)
	mathArray             // […]
)

// ids collects the ids of the queries that the node reads.
func (n *mathNode) ids(out []string) []string {
	if n.kind == mathID {
		out = append(out, n.text)
	}
	for _, k := range n.kids {
		out = k.ids(out)
	}
	return out
}

// The bounds of an expression: its documented length, and a depth that no
// sensible expression reaches.
const (
	maxMathLength = 2048
	maxMathDepth  = 40
)

// parseMath parses an expression.
func parseMath(s string) (*mathNode, error) {
	if len(s) > maxMathLength {
		return nil, fmt.Errorf("Expression too long: %d characters", len(s)) //nolint:staticcheck // shown after AWS's prefix
	}
	if f := strings.Fields(s); len(f) > 0 && strings.EqualFold(f[0], "SELECT") {
		return nil, mathUnsupported("Metrics Insights queries")
	}
	tokens, err := mathTokens(s)
	if err != nil {
		return nil, err
	}
	p := &mathParser{tokens: tokens}
	n, err := p.binary(0, 0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t != "" {
		return nil, fmt.Errorf("Invalid syntax at %q", t) //nolint:staticcheck // as above
	}
	return n, nil
}

// mathTokens cuts an expression into tokens; a string keeps its opening quote.
func mathTokens(s string) ([]string, error) {
	var out []string
	for i := 0; i < len(s); {
		ch := s[i]
		j := i + 1
		switch {
		case ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r':
			i++
			continue
		case isDigit(ch) || ch == '.' && j < len(s) && isDigit(s[j]):
			for j < len(s) && (isDigit(s[j]) || s[j] == '.' || isExponent(s, j)) {
				j++
			}
		case isLetter(ch):
			for j < len(s) && (isLetter(s[j]) || isDigit(s[j])) {
				j++
			}
		case ch == '"' || ch == '\'':
			end := strings.IndexByte(s[j:], ch)
			if end < 0 {
				return nil, errors.New("Invalid syntax: a string does not end") //nolint:staticcheck // as above
			}
			out = append(out, `"`+s[j:j+end])
			i = j + end + 1
			continue
		case strings.IndexByte("<>=!&|", ch) >= 0:
			if j < len(s) && (s[j] == '=' && ch != '&' && ch != '|' || s[j] == ch && (ch == '&' || ch == '|')) {
				j++
			}
		case strings.IndexByte("+-*/^()[],", ch) < 0:
			return nil, fmt.Errorf("Invalid syntax at %q", s[i:j]) //nolint:staticcheck // as above
		}
		out = append(out, s[i:j])
		i = j
	}
	return out, nil
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// isExponent reports whether the byte at j belongs to an exponent: 1e9, 2.5e-3.
func isExponent(s string, j int) bool {
	if s[j] == 'e' || s[j] == 'E' {
		k := j + 1
		if k < len(s) && (s[k] == '+' || s[k] == '-') {
			k++
		}
		return k < len(s) && isDigit(s[k])
	}
	return (s[j] == '+' || s[j] == '-') && (s[j-1] == 'e' || s[j-1] == 'E')
}

type mathParser struct {
	tokens []string
	at     int
}

func (p *mathParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *mathParser) accept(t string) bool {
	if p.peek() == t {
		p.at++
		return true
	}
	return false
}

// mathLevels are the binary operators, loosest first.
var mathLevels = [][]string{
	{"OR", "||"},
	{"AND", "&&"},
	{"==", "!=", "<", ">", "<=", ">="},
	{"+", "-"},
	{"*", "/"},
}

func (p *mathParser) binary(level, depth int) (*mathNode, error) {
	if depth > maxMathDepth {
		return nil, errors.New("Expression too deeply nested") //nolint:staticcheck // shown after AWS's prefix
	}
	if level == len(mathLevels) {
		return p.power(depth)
	}
	left, err := p.binary(level+1, depth)
	if err != nil {
		return nil, err
	}
	for {
		op := p.peek()
		found := false
		for _, o := range mathLevels[level] {
			found = found || op == o
		}
		if !found {
			return left, nil
		}
		p.at++
		right, err := p.binary(level+1, depth)
		if err != nil {
			return nil, err
		}
		left = &mathNode{kind: mathOperator, text: op, kids: []*mathNode{left, right}}
	}
}

func (p *mathParser) power(depth int) (*mathNode, error) {
	if depth > maxMathDepth {
		return nil, errors.New("Expression too deeply nested") //nolint:staticcheck // as above
	}
	if p.accept("-") {
		n, err := p.power(depth + 1)
		if err != nil {
			return nil, err
		}
		return &mathNode{kind: mathOperator, text: "neg", kids: []*mathNode{n}}, nil
	}
	base, err := p.primary(depth)
	if err != nil || !p.accept("^") {
		return base, err
	}
	exponent, err := p.power(depth + 1)
	if err != nil {
		return nil, err
	}
	return &mathNode{kind: mathOperator, text: "^", kids: []*mathNode{base, exponent}}, nil
}

func (p *mathParser) primary(depth int) (*mathNode, error) {
	t := p.peek()
	if t == "" {
		return nil, errors.New("Invalid syntax: unexpected end") //nolint:staticcheck // shown after AWS's prefix
	}
	p.at++
	switch {
	case t == "(":
		n, err := p.binary(0, depth+1)
		if err == nil && !p.accept(")") {
			err = errors.New("Invalid syntax: ) is missing") //nolint:staticcheck // as above
		}
		return n, err
	case t == "[":
		kids, err := p.list("]", depth)
		return &mathNode{kind: mathArray, kids: kids}, err
	case isDigit(t[0]) || t[0] == '.':
		v, err := strconv.ParseFloat(t, 64)
		if err != nil {
			return nil, fmt.Errorf("Invalid syntax at %q", t) //nolint:staticcheck // as above
		}
		return &mathNode{kind: mathNumber, num: v}, nil
	case t[0] == '"':
		return &mathNode{kind: mathString, text: t[1:]}, nil
	case p.peek() == "(" && isLetter(t[0]):
		if _, ok := mathFunctions[t]; !ok {
			if knownMathFunctions[t] {
				return nil, mathUnsupported("the function " + t)
			}
			return nil, fmt.Errorf("Unknown function: %s", t) //nolint:staticcheck // as above
		}
		p.at++
		kids, err := p.list(")", depth)
		return &mathNode{kind: mathCall, text: t, kids: kids}, err
	case t[0] >= 'a' && t[0] <= 'z':
		return &mathNode{kind: mathID, text: t}, nil
	case t == "REPEAT" || t == "LINEAR":
		return &mathNode{kind: mathWord, text: t}, nil
	}
	return nil, fmt.Errorf("Invalid syntax at %q", t) //nolint:staticcheck // as above
}

// list reads expressions separated by commas up to the closing token.
func (p *mathParser) list(end string, depth int) ([]*mathNode, error) {
	var out []*mathNode
	if p.accept(end) {
		return out, nil
	}
	for {
		n, err := p.binary(0, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if p.accept(end) {
			return out, nil
		}
		if !p.accept(",") {
			return nil, fmt.Errorf("Invalid syntax: %s is missing", end) //nolint:staticcheck // as above
		}
	}
}

// knownMathFunctions are what CloudWatch has and the sandbox has not.
var knownMathFunctions = map[string]bool{
	"ANOMALY_DETECTION_BAND": true, "SEARCH": true, "INSIGHT_RULE_METRIC": true, "SLICE": true, "SORT": true,
	"SERVICE_QUOTA": true, "LAMBDA": true, "DAY": true, "HOUR": true, "MINUTE": true, "MONTH": true, "YEAR": true, "DATE": true, "EPOCH": true,
}

func (l *look) eval(n *mathNode) (mathValue, error) {
	switch n.kind {
	case mathNumber:
		return scalar(n.num), nil
	case mathID:
		return l.value(l.plan.byID[n.text])
	case mathArray:
		out := mathValue{array: true, list: []timeSeries{}}
		for _, k := range n.kids {
			v, err := l.eval(k)
			if err != nil {
				return v, err
			}
			if v.list == nil {
				s, err := l.constant(v.n)
				if err != nil {
					return v, err
				}
				v.list = []timeSeries{s}
			}
			out.list = append(out.list, v.list...)
		}
		return out, sameStep(out.list)
	case mathOperator:
		kids, err := l.evalAll(n.kids)
		if err != nil {
			return mathValue{}, err
		}
		if n.text == "neg" {
			return operate("-", scalar(0), kids[0])
		}
		return operate(n.text, kids[0], kids[1])
	case mathCall:
		return mathFunctions[n.text](l, n)
	}
	return mathValue{}, fmt.Errorf("Invalid syntax at %q", n.text) //nolint:staticcheck // shown after AWS's prefix
}

func (l *look) evalAll(nodes []*mathNode) ([]mathValue, error) {
	out := make([]mathValue, len(nodes))
	for i, n := range nodes {
		v, err := l.eval(n)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (l *look) constant(v float64) (timeSeries, error) {
	w, err := l.window()
	if err != nil {
		return timeSeries{}, err
	}
	s := timeSeries{w: w, v: make([]float64, w.n)}
	for i := range s.v {
		s.v[i] = v
	}
	return s, nil
}

func sameStep(list []timeSeries) error {
	for _, s := range list {
		if s.w != list[0].w {
			return mathUnsupported("metrics of different periods in one expression")
		}
	}
	return nil
}

// operate applies a binary operator: number by number, where both sides have a
// value. What cannot be computed (a division by zero) is no data.
func operate(op string, a, b mathValue) (mathValue, error) {
	switch {
	case a.list == nil && b.list == nil:
		return scalar(compute(op, a.n, b.n)), nil
	case a.array && b.array:
		return mathValue{}, fmt.Errorf("Unsupported operand types for %s: arrays on both sides", op) //nolint:staticcheck // as above
	case a.list == nil:
		return b.each(func(y float64) float64 { return compute(op, a.n, y) }), nil
	case b.list == nil:
		return a.each(func(x float64) float64 { return compute(op, x, b.n) }), nil
	}
	out := mathValue{array: a.array || b.array}
	for i := range max(len(a.list), len(b.list)) {
		x, y := a.list[min(i, len(a.list)-1)], b.list[min(i, len(b.list)-1)]
		if err := sameStep([]timeSeries{x, y}); err != nil {
			return out, err
		}
		s := timeSeries{label: x.label, w: x.w, v: make([]float64, len(x.v))}
		if b.array {
			s.label = y.label
		}
		for k := range s.v {
			s.v[k] = compute(op, x.v[k], y.v[k])
		}
		out.list = append(out.list, s)
	}
	return out, nil
}

// each maps the values that are there.
func (v mathValue) each(f func(float64) float64) mathValue {
	if v.list == nil {
		return scalar(f(v.n))
	}
	out := mathValue{array: v.array, list: make([]timeSeries, len(v.list))}
	for i, s := range v.list {
		t := timeSeries{label: s.label, w: s.w, v: make([]float64, len(s.v))}
		for k, x := range s.v {
			t.v[k] = math.NaN()
			if !math.IsNaN(x) {
				t.v[k] = finite(f(x))
			}
		}
		out.list[i] = t
	}
	return out
}

func finite(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}

func compute(op string, a, b float64) float64 {
	if math.IsNaN(a) || math.IsNaN(b) {
		return math.NaN()
	}
	truth := func(t bool) float64 {
		if t {
			return 1
		}
		return 0
	}
	switch op {
	case "+":
		return finite(a + b)
	case "-":
		return finite(a - b)
	case "*":
		return finite(a * b)
	case "/":
		return finite(a / b)
	case "^":
		return finite(math.Pow(a, b))
	case "==":
		return truth(a == b)
	case "!=":
		return truth(a != b)
	case "<":
		return truth(a < b)
	case ">":
		return truth(a > b)
	case "<=":
		return truth(a <= b)
	case ">=":
		return truth(a >= b)
	case "AND", "&&":
		return truth(a != 0 && b != 0)
	case "OR", "||":
		return truth(a != 0 || b != 0)
	}
	return math.NaN()
}
