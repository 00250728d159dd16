package sandbox

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// parser reads one expression (developer guide, "Using expressions"). The first
// error stays; after it everything reads as the end.
type parser struct {
	parameter string // ConditionExpression …
	text      string
	tokens    []token
	at        int
	err       error
	holders   *holders
	roots     map[string]bool // attributes that are named
	operators int
}

// The limits of an expression: developer guide, constraints.
const (
	mostExpressionBytes = 4096
	mostOperators       = 300
	mostInOperands      = 100
)

func parse(e phrase, h *holders) *parser {
	p := &parser{parameter: e.parameter, text: *e.text, holders: h, roots: map[string]bool{}}
	p.tokens = tokensOf(p.text)
	switch {
	case len(p.tokens) == 1:
		p.fail("The expression can not be empty;")
	case len(p.text) > mostExpressionBytes:
		p.fail("Expression size has exceeded the maximum allowed size;")
	}
	return p
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = invalid("Invalid "+p.parameter+": "+format, args...)
		p.at = len(p.tokens) - 1
	}
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if p.at < len(p.tokens)-1 {
		p.at++
	}
	return t
}

// unexpected is a syntax error at the current token, with its neighbours as AWS
// shows them.
func (p *parser) unexpected() {
	from, to := max(p.at-1, 0), min(p.at+1, len(p.tokens)-1)
	near := strings.TrimSpace(p.text[p.tokens[from].from:p.tokens[to].to])
	p.fail("Syntax error; token: \"%s\", near: \"%s\"", p.peek().text, near)
}

// takes goes on if the next token is that sign.
func (p *parser) takes(sign string) bool {
	if t := p.peek(); t.kind == signToken && t.text == sign {
		p.next()
		return true
	}
	return false
}

func (p *parser) want(sign string) {
	if !p.takes(sign) {
		p.unexpected()
	}
}

func (p *parser) isKeyword(word string) bool {
	t := p.peek()
	return t.kind == wordToken && strings.EqualFold(t.text, word)
}

func (p *parser) takesKeyword(word string) bool {
	if p.isKeyword(word) {
		p.next()
		return true
	}
	return false
}

// end wants the end of the expression.
func (p *parser) end() error {
	if p.err == nil && p.peek().kind != endToken {
		p.unexpected()
	}
	if p.operators > mostOperators {
		p.fail("The expression contains too many operators; operator count: %d", p.operators)
	}
	return p.err
}

// keywords cannot be attributes, not even by mistake.
var keywords = map[string][]string{
	"UpdateExpression": {"SET", "REMOVE", "ADD", "DELETE"},
	"":                 {"AND", "OR", "NOT", "BETWEEN", "IN"},
}

func (p *parser) atKeyword() bool {
	words := keywords[""]
	if p.parameter == "UpdateExpression" {
		words = keywords[p.parameter]
	}
	return slices.ContainsFunc(words, p.isKeyword)
}

func (p *parser) path() path {
	out := path{{name: p.attribute()}}
	p.roots[out[0].name] = true
	for p.err == nil {
		switch {
		case p.takes("."):
			out = append(out, step{name: p.attribute()})
		case p.takes("["):
			t := p.peek()
			index, err := strconv.Atoi(t.text)
			if t.kind != numberToken || err != nil {
				p.unexpected()
				return out
			}
			p.next()
			p.want("]")
			out = append(out, step{index: index})
		default:
			return out
		}
	}
	return out
}

// attribute reads one name of a path.
func (p *parser) attribute() string {
	t := p.peek()
	switch {
	case t.kind == nameToken:
		p.next()
		name, ok := p.holders.name(t.text)
		if !ok {
			p.fail("An expression attribute name used in the document path is not defined; attribute name: %s", t.text)
		}
		return name
	case t.kind == wordToken && !p.atKeyword():
		p.next()
		if isReserved(t.text) {
			p.fail("Attribute name is a reserved keyword; reserved keyword: %s", t.text)
		}
		return t.text
	}
	p.unexpected()
	return ""
}

// value reads a :value.
func (p *parser) value() literal {
	t := p.peek()
	if t.kind != valueToken {
		p.unexpected()
		return literal{}
	}
	p.next()
	v, ok := p.holders.value(t.text)
	if !ok {
		p.fail("An expression attribute value used in expression is not defined; attribute value: %s", t.text)
	}
	return literal{v}
}

// operand is what has a value: a path, a placeholder, a function.
type operand interface {
	// of is its value for an item, nil where there is none.
	of(it item) types.AttributeValue
}

type literal struct{ v types.AttributeValue }

func (l literal) of(item) types.AttributeValue { return l.v }

func (p path) of(it item) types.AttributeValue { return p.in(it) }

// wrongType refuses a literal whose type an operator does not take. Other operands
// show their type only with an item.
func (p *parser) wrongType(operator string, x operand, kinds ...string) {
	if l, ok := x.(literal); ok && l.v != nil && !slices.Contains(kinds, kindOf(l.v)) {
		p.fail("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", operator, kindOf(l.v))
	}
}

// arguments reads the operands of a function, up to its closing parenthesis.
func (p *parser) arguments(name string, want int, one func() operand) []operand {
	p.want("(")
	args := []operand{one()}
	for p.takes(",") {
		args = append(args, one())
	}
	p.want(")")
	if len(args) != want {
		p.fail("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(args))
		return make([]operand, want)
	}
	return args
}

// pathOf wants a document path.
func (p *parser) pathOf(function string, x operand) path {
	out, ok := x.(path)
	if !ok {
		p.fail("Operator or function requires a document path; operator or function: %s", function)
	}
	return out
}

// parseProjection reads a ProjectionExpression.
func parseProjection(text *string, h *holders) ([]path, map[string]bool, error) {
	if text == nil {
		return nil, nil, nil
	}
	p := parse(phrase{"ProjectionExpression", text}, h)
	paths := []path{p.path()}
	for p.takes(",") {
		paths = append(paths, p.path())
	}
	if err := p.end(); err != nil {
		return nil, nil, err
	}
	if err := clashing(paths); err != nil {
		return nil, nil, p.prefixed(err)
	}
	return paths, p.roots, nil
}

// prefixed names the expression that an error is about.
func (p *parser) prefixed(err error) error {
	_, message, _ := asAPIError(err)
	return invalid("Invalid %s: %s", p.parameter, message)
}
