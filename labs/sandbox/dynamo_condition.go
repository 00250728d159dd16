package sandbox

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// question is a parsed condition; an item that is not there has no attributes.
type question interface {
	holds(it item) bool
}

type (
	both   struct{ left, right question }
	either struct{ left, right question }
	not    struct{ inner question }
	group  struct{ inner question } // in parentheses

	comparison struct {
		operator    string
		left, right operand
	}
	span       struct{ value, low, high operand } // BETWEEN
	membership struct {
		value operand
		of    []operand
	}
	test struct {
		function string
		args     []operand
	}
)

// parseCondition reads a condition, a filter or a key condition. nil, which always
// holds, where there is none.
func parseCondition(e phrase, h *holders) (question, map[string]bool, error) {
	if e.text == nil {
		return nil, nil, nil
	}
	p := parse(e, h)
	c := p.either()
	if err := p.end(); err != nil {
		return nil, nil, err
	}
	return c, p.roots, nil
}

func holdsFor(c question, it item) bool { return c == nil || c.holds(it) }

func (p *parser) either() question {
	c := p.both()
	for p.takesKeyword("OR") {
		p.operators++
		c = either{c, p.both()}
	}
	return c
}

func (p *parser) both() question {
	c := p.negation()
	for p.takesKeyword("AND") {
		p.operators++
		c = both{c, p.negation()}
	}
	return c
}

func (p *parser) negation() question {
	if p.takesKeyword("NOT") {
		p.operators++
		return not{p.negation()}
	}
	if p.takes("(") {
		inner := p.either()
		p.want(")")
		if _, twice := inner.(group); twice {
			p.fail("The expression has redundant parentheses;")
		}
		return group{inner}
	}
	if t := p.peek(); t.kind == wordToken && p.tokens[min(p.at+1, len(p.tokens)-1)].text == "(" && t.text != "size" && !p.atKeyword() {
		return p.test()
	}
	return p.comparison()
}

// conditionFunctions are those that make a condition, with the number of operands.
var conditionFunctions = map[string]int{"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2}

func (p *parser) test() question {
	p.operators++
	name := p.next().text
	count, ok := conditionFunctions[name]
	switch {
	case name == "if_not_exists" || name == "list_append":
		p.fail("The function is not allowed in a condition expression; function: %s", name)
	case !ok:
		p.fail("Invalid function name; function: %s", name)
	}
	t := test{name, p.arguments(name, count, p.operand)}
	if p.err != nil {
		return t
	}
	switch name {
	case "attribute_exists", "attribute_not_exists":
		p.pathOf(name, t.args[0])
	case "attribute_type":
		p.pathOf(name, t.args[0])
		p.wrongType(name, t.args[1], "S")
		if s, ok := t.args[1].of(nil).(*types.AttributeValueMemberS); ok && !slices.Contains(valueKinds, s.Value) {
			p.fail("Invalid attribute type name found; type: %s, valid types: {%s}", s.Value, strings.Join(valueKinds, ","))
		}
	case "begins_with":
		p.wrongType(name, t.args[0], "S", "B")
		p.wrongType(name, t.args[1], "S", "B")
		p.distinct(name, t.args)
	case "contains":
		p.distinct(name, t.args)
	}
	return t
}

var valueKinds = []string{"B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"}

// distinct refuses an operator over one and the same path.
func (p *parser) distinct(operator string, operands []operand) {
	first, ok := operands[0].(path)
	for _, x := range operands[1:] {
		if other, also := x.(path); ok && also && slices.Equal(first, other) {
			p.fail("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s", operator, first)
		}
	}
}

// operand reads a path, a value or size().
func (p *parser) operand() operand {
	t := p.peek()
	if t.kind == valueToken {
		return p.value()
	}
	if t.kind != wordToken || p.tokens[min(p.at+1, len(p.tokens)-1)].text != "(" || p.atKeyword() {
		return p.path()
	}
	p.next()
	if t.text != "size" {
		if _, ok := conditionFunctions[t.text]; ok {
			p.fail("The function is not allowed to be used this way in an expression; function: %s", t.text)
		}
		p.fail("Invalid function name; function: %s", t.text)
	}
	p.operators++
	args := p.arguments("size", 1, p.operand)
	p.wrongType("size", args[0], "S", "B", "SS", "NS", "BS", "L", "M")
	return sizeFunction{args[0]}
}

func (p *parser) comparison() question {
	left := p.operand()
	if p.err != nil {
		return group{}
	}
	p.operators++
	switch t := p.peek(); {
	case t.kind == signToken && slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, t.text):
		p.next()
		c := comparison{t.text, left, p.operand()}
		p.distinct(c.operator, []operand{c.left, c.right})
		if c.operator != "=" && c.operator != "<>" {
			for _, x := range []operand{c.left, c.right} {
				p.unordered(c.operator, x)
			}
		}
		return c
	case p.takesKeyword("BETWEEN"):
		return p.span(left)
	case p.takesKeyword("IN"):
		return p.membership(left)
	}
	if _, ok := left.(sizeFunction); ok && (p.peek().kind == endToken || p.peek().text == ")" || p.isKeyword("AND") || p.isKeyword("OR")) {
		p.fail("The function is not allowed to be used this way in an expression; function: size")
	}
	p.unexpected()
	return group{}
}

func (p *parser) unordered(operator string, x operand) {
	if l, ok := x.(literal); ok && l.v != nil {
		if _, ordered := orderOf(l.v); !ordered {
			p.fail("Incorrect operand type for operator or function; operator: %s, operand type: %s", operator, kindOf(l.v))
		}
	}
}

func (p *parser) span(value operand) question {
	w := span{value: value, low: p.operand()}
	if !p.takesKeyword("AND") {
		p.unexpected()
	}
	w.high = p.operand()
	if p.err != nil {
		return w
	}
	for _, x := range []operand{w.value, w.low, w.high} {
		p.unordered("BETWEEN", x)
	}
	low, ok := w.low.(literal)
	high, also := w.high.(literal)
	if p.err != nil || !ok || !also {
		return w
	}
	from, _ := orderOf(low.v)
	to, _ := orderOf(high.v)
	if kindOf(low.v) != kindOf(high.v) {
		p.fail("The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", shown(low.v), shown(high.v))
	} else if from > to {
		p.fail("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", shown(low.v), shown(high.v))
	}
	return w
}

func (p *parser) membership(value operand) question {
	p.want("(")
	o := membership{value: value, of: []operand{p.operand()}}
	for p.takes(",") {
		o.of = append(o.of, p.operand())
	}
	p.want(")")
	if len(o.of) > mostInOperands {
		p.fail("The IN operator is provided with too many operands; number of operands: %d", len(o.of))
	}
	return o
}

func (c both) holds(it item) bool   { return c.left.holds(it) && c.right.holds(it) }
func (c either) holds(it item) bool { return c.left.holds(it) || c.right.holds(it) }
func (c not) holds(it item) bool    { return !c.inner.holds(it) }
func (c group) holds(it item) bool  { return c.inner.holds(it) }

// holds: what is missing is equal to nothing and neither less nor greater.
func (c comparison) holds(it item) bool {
	left, right := c.left.of(it), c.right.of(it)
	switch c.operator {
	case "=":
		return sameValue(left, right)
	case "<>":
		return !sameValue(left, right)
	}
	n, ok := compareValues(left, right)
	if !ok {
		return false
	}
	switch c.operator {
	case "<":
		return n < 0
	case "<=":
		return n <= 0
	case ">":
		return n > 0
	}
	return n >= 0
}

// compareValues compares two values of one ordered type.
func compareValues(a, b types.AttributeValue) (int, bool) {
	x, ok := orderOf(a)
	y, also := orderOf(b)
	return strings.Compare(x, y), ok && also && kindOf(a) == kindOf(b)
}

func (c span) holds(it item) bool {
	v := c.value.of(it)
	low, ok := compareValues(v, c.low.of(it))
	high, also := compareValues(v, c.high.of(it))
	return ok && also && low >= 0 && high <= 0
}

func (c membership) holds(it item) bool {
	v := c.value.of(it)
	return slices.ContainsFunc(c.of, func(x operand) bool { return sameValue(v, x.of(it)) })
}

func (c test) holds(it item) bool {
	v := c.args[0].of(it)
	switch c.function {
	case "attribute_exists":
		return v != nil
	case "attribute_not_exists":
		return v == nil
	case "attribute_type":
		s, ok := c.args[1].of(it).(*types.AttributeValueMemberS)
		return ok && v != nil && kindOf(v) == s.Value
	case "begins_with":
		return beginsWith(v, c.args[1].of(it))
	}
	return contains(v, c.args[1].of(it))
}

func beginsWith(v, prefix types.AttributeValue) bool {
	if kindOf(v) != kindOf(prefix) || kindOf(v) == "N" {
		return false
	}
	x, ok := orderOf(v)
	y, also := orderOf(prefix)
	return ok && also && strings.HasPrefix(x, y)
}

// contains: a part of a text or of bytes, or an element of a set or a list.
func contains(v, part types.AttributeValue) bool {
	switch x := v.(type) {
	case *types.AttributeValueMemberS:
		y, ok := part.(*types.AttributeValueMemberS)
		return ok && strings.Contains(x.Value, y.Value)
	case *types.AttributeValueMemberB:
		y, ok := part.(*types.AttributeValueMemberB)
		return ok && bytes.Contains(x.Value, y.Value)
	case *types.AttributeValueMemberSS:
		y, ok := part.(*types.AttributeValueMemberS)
		return ok && slices.Contains(x.Value, y.Value)
	case *types.AttributeValueMemberNS:
		y, ok := part.(*types.AttributeValueMemberN)
		return ok && slices.Contains(x.Value, y.Value)
	case *types.AttributeValueMemberBS:
		y, ok := part.(*types.AttributeValueMemberB)
		return ok && slices.ContainsFunc(x.Value, func(b []byte) bool { return bytes.Equal(b, y.Value) })
	case *types.AttributeValueMemberL:
		return slices.ContainsFunc(x.Value, func(e types.AttributeValue) bool { return sameValue(e, part) })
	}
	return false
}

// sizeFunction is size(): characters of a text, bytes, or elements.
type sizeFunction struct{ what operand }

func (s sizeFunction) of(it item) types.AttributeValue {
	n := 0
	switch x := s.what.of(it).(type) {
	case *types.AttributeValueMemberS:
		n = utf8.RuneCountInString(x.Value)
	case *types.AttributeValueMemberB:
		n = len(x.Value)
	case *types.AttributeValueMemberSS:
		n = len(x.Value)
	case *types.AttributeValueMemberNS:
		n = len(x.Value)
	case *types.AttributeValueMemberBS:
		n = len(x.Value)
	case *types.AttributeValueMemberL:
		n = len(x.Value)
	case *types.AttributeValueMemberM:
		n = len(x.Value)
	default:
		return nil
	}
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}
