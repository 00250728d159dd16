package sandbox

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update is a parsed UpdateExpression (developer guide, "Using update expressions").
type update struct {
	sets    []assignment
	removes []path
	adds    []merger
	deletes []merger
}

type assignment struct {
	to    path
	value arithmetic
}

// arithmetic is one operand, or two with + or - between.
type arithmetic struct {
	sign        string
	left, right operand
}

// merger adds a literal to what is there, or takes it out of a set.
type merger struct {
	to path
	v  types.AttributeValue
}

// The functions of updates.
type (
	firstOf  struct{ have, otherwise operand } // if_not_exists
	appended struct{ left, right operand }     // list_append
)

func parseUpdate(text *string, h *holders) (*update, error) {
	u := &update{}
	if text == nil {
		return u, nil
	}
	p := parse(phrase{"UpdateExpression", text}, h)
	sections := map[string]func(){
		"SET":    func() { u.sets = append(u.sets, p.assignment()) },
		"REMOVE": func() { u.removes = append(u.removes, p.path()) },
		"ADD":    func() { u.adds = append(u.adds, p.merger("ADD", "N", "SS", "NS", "BS")) },
		"DELETE": func() { u.deletes = append(u.deletes, p.merger("DELETE", "SS", "NS", "BS")) },
	}
	seen := map[string]bool{}
	for p.err == nil && p.peek().kind != endToken {
		word := strings.ToUpper(p.peek().text)
		one, ok := sections[word]
		if !ok {
			p.unexpected()
			break
		}
		if seen[word] {
			p.fail("The \"%s\" section can only be used once in an update expression;", word)
			break
		}
		seen[word] = true
		p.next()
		for one(); p.takes(","); {
			one()
		}
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	if err := clashing(u.targets()); err != nil {
		return nil, p.prefixed(err)
	}
	return u, nil
}

// targets are the paths that the update changes.
func (u *update) targets() []path {
	var out []path
	for _, a := range u.sets {
		out = append(out, a.to)
	}
	out = append(out, u.removes...)
	for _, m := range append(slices.Clone(u.adds), u.deletes...) {
		out = append(out, m.to)
	}
	return out
}

func (p *parser) assignment() assignment {
	a := assignment{to: p.path()}
	p.want("=")
	a.value.left = p.updateOperand()
	if t := p.peek(); t.kind == signToken && (t.text == "+" || t.text == "-") {
		p.next()
		p.operators++
		a.value.sign, a.value.right = t.text, p.updateOperand()
		p.wrongType(t.text, a.value.left, "N")
		p.wrongType(t.text, a.value.right, "N")
	}
	return a
}

// updateOperand reads a path, a value, if_not_exists() or list_append().
func (p *parser) updateOperand() operand {
	t := p.peek()
	if t.kind == valueToken {
		return p.value()
	}
	if t.kind != wordToken || p.tokens[min(p.at+1, len(p.tokens)-1)].text != "(" {
		return p.path()
	}
	p.next()
	p.operators++
	switch t.text {
	case "if_not_exists":
		args := p.arguments(t.text, 2, p.updateOperand)
		if p.err == nil {
			p.pathOf(t.text, args[0])
		}
		return firstOf{args[0], args[1]}
	case "list_append":
		args := p.arguments(t.text, 2, p.updateOperand)
		for _, x := range args {
			p.wrongType(t.text, x, "L")
		}
		return appended{args[0], args[1]}
	}
	if _, ok := conditionFunctions[t.text]; ok || t.text == "size" {
		p.fail("The function is not allowed in an update expression; function: %s", t.text)
	}
	p.fail("Invalid function name; function: %s", t.text)
	return literal{}
}

func (p *parser) merger(section string, kinds ...string) merger {
	m := merger{to: p.path(), v: p.value().v}
	if p.err == nil && !slices.Contains(kinds, kindOf(m.v)) {
		p.fail("Incorrect operand type for operator or function; operator: %s, operand type: %s, typeSet: ALLOWED_FOR_%s_OPERAND", section, longKinds[kindOf(m.v)], section)
	}
	return m
}

// longKinds are the names of types in the errors of ADD and DELETE.
var longKinds = map[string]string{
	"S": "STRING", "N": "NUMBER", "B": "BINARY", "BOOL": "BOOLEAN", "NULL": "NULL", "L": "LIST", "M": "MAP", "SS": "STRING_SET", "NS": "NUMBER_SET", "BS": "BINARY_SET",
}

func (f firstOf) of(it item) types.AttributeValue {
	if v := f.have.of(it); v != nil {
		return v
	}
	return f.otherwise.of(it)
}

// of is nil when an operand is missing or is no list: see whyNone.
func (f appended) of(it item) types.AttributeValue {
	left, ok := f.left.of(it).(*types.AttributeValueMemberL)
	right, also := f.right.of(it).(*types.AttributeValueMemberL)
	if !ok || !also {
		return nil
	}
	return &types.AttributeValueMemberL{Value: slices.Concat(left.Value, right.Value)}
}

var (
	errNoAttribute = invalid("The provided expression refers to an attribute that does not exist in the item")
	errOperandType = invalid("An operand in the update expression has an incorrect data type")
	errUpdatePath  = invalid("The document path provided in the update expression is invalid for update")
)

// whyNone says why an operand has no value.
func whyNone(x operand, it item) error {
	switch f := x.(type) {
	case appended:
		for _, arg := range []operand{f.left, f.right} {
			if arg.of(it) == nil {
				return whyNone(arg, it)
			}
		}
		return errOperandType
	case firstOf:
		return whyNone(f.otherwise, it)
	}
	return errNoAttribute
}

func (s arithmetic) of(it item) (types.AttributeValue, error) {
	left := s.left.of(it)
	if left == nil {
		return nil, whyNone(s.left, it)
	}
	if s.sign == "" {
		return left, nil
	}
	right := s.right.of(it)
	if right == nil {
		return nil, whyNone(s.right, it)
	}
	return addNumbers(left, right, s.sign == "-")
}

func addNumbers(a, b types.AttributeValue, less bool) (types.AttributeValue, error) {
	x, ok := a.(*types.AttributeValueMemberN)
	y, also := b.(*types.AttributeValueMemberN)
	if !ok || !also {
		return nil, errOperandType
	}
	m := numberOf(y)
	if less {
		m = m.negated()
	}
	n, err := numberOf(x).plus(m)
	if err != nil {
		return nil, err
	}
	return &types.AttributeValueMemberN{Value: n.String()}, nil
}

// apply is the item after the update. All values are taken from the item before
// it, and indexes mean the lists as they were.
func (u *update) apply(old item) (item, error) {
	out := copyItem(old)
	for _, a := range u.sets {
		v, err := a.value.of(old)
		if err != nil {
			return nil, err
		}
		if err := assign(out, a.to, v); err != nil {
			return nil, err
		}
	}
	for _, m := range u.adds {
		if err := change(out, old, m, added); err != nil {
			return nil, err
		}
	}
	for _, m := range u.deletes {
		if err := change(out, old, m, without); err != nil {
			return nil, err
		}
	}
	for _, gone := range backwards(u.removes) {
		if err := assign(out, gone, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// backwards puts later elements of a list first, so that none moves before its turn.
func backwards(paths []path) []path {
	out := slices.Clone(paths)
	slices.SortStableFunc(out, func(a, b path) int {
		for i := range min(len(a), len(b)) {
			if c := cmp.Or(cmp.Compare(a[i].name, b[i].name), cmp.Compare(b[i].index, a[i].index)); c != 0 {
				return c
			}
		}
		return 0
	})
	return out
}

// change replaces a value by what f makes of it and the literal; nil takes it away.
func change(out, old item, m merger, f func(have, v types.AttributeValue) (types.AttributeValue, error)) error {
	have := m.to.in(old)
	v, err := f(have, m.v)
	if err != nil || v == nil && have == nil {
		return err
	}
	return assign(out, m.to, v)
}

// assign sets what a path leads to; nil takes it away. The parents must be there.
func assign(it item, to path, v types.AttributeValue) error {
	whole := &types.AttributeValueMemberM{Value: it}
	_, err := assigned(whole, to, v)
	return err
}

// assigned changes a copy of ours in place and gives it back: a list may have grown.
func assigned(in types.AttributeValue, to path, v types.AttributeValue) (types.AttributeValue, error) {
	if len(to) == 0 {
		return v, nil
	}
	first := to[0]
	switch x := in.(type) {
	case *types.AttributeValueMemberM:
		if first.name == "" || len(to) > 1 && x.Value[first.name] == nil {
			return nil, errUpdatePath
		}
		inner, err := assigned(x.Value[first.name], to[1:], v)
		if err != nil {
			return nil, err
		}
		if inner == nil {
			delete(x.Value, first.name)
			return x, nil
		}
		x.Value[first.name] = inner
		return x, nil
	case *types.AttributeValueMemberL:
		return assignedElement(x, to, v)
	}
	return nil, errUpdatePath
}

func assignedElement(x *types.AttributeValueMemberL, to path, v types.AttributeValue) (types.AttributeValue, error) {
	i := to[0].index
	beyond := i >= len(x.Value)
	switch {
	case to[0].name != "" || beyond && len(to) > 1:
		return nil, errUpdatePath
	case beyond && v != nil: // an index beyond the end means the end
		x.Value = append(x.Value, v)
		return x, nil
	case beyond:
		return x, nil
	}
	inner, err := assigned(x.Value[i], to[1:], v)
	if err != nil {
		return nil, err
	}
	if inner == nil {
		x.Value = slices.Delete(x.Value, i, i+1)
		return x, nil
	}
	x.Value[i] = inner
	return x, nil
}

// added is ADD: numbers are summed, sets united.
func added(have, v types.AttributeValue) (types.AttributeValue, error) {
	if have == nil {
		return v, nil
	}
	switch x := v.(type) {
	case *types.AttributeValueMemberN:
		return addNumbers(have, v, false)
	case *types.AttributeValueMemberSS:
		if y, ok := have.(*types.AttributeValueMemberSS); ok {
			return &types.AttributeValueMemberSS{Value: united(y.Value, x.Value, strings.Compare)}, nil
		}
	case *types.AttributeValueMemberNS:
		if y, ok := have.(*types.AttributeValueMemberNS); ok {
			return &types.AttributeValueMemberNS{Value: united(y.Value, x.Value, compareNumbers)}, nil
		}
	case *types.AttributeValueMemberBS:
		if y, ok := have.(*types.AttributeValueMemberBS); ok {
			return &types.AttributeValueMemberBS{Value: united(y.Value, x.Value, bytes.Compare)}, nil
		}
	}
	return nil, errOperandType
}

func compareNumbers(a, b string) int {
	x, y := &types.AttributeValueMemberN{Value: a}, &types.AttributeValueMemberN{Value: b}
	return strings.Compare(numberOf(x).order(), numberOf(y).order())
}

func united[E any](a, b []E, compare func(x, y E) int) []E {
	out := slices.Concat(a, b)
	slices.SortFunc(out, compare)
	return slices.CompactFunc(out, func(x, y E) bool { return compare(x, y) == 0 })
}

// without is DELETE: the rest of a set, nil when nothing is left.
func without(have, v types.AttributeValue) (types.AttributeValue, error) {
	if have == nil {
		return nil, nil
	}
	switch x := v.(type) {
	case *types.AttributeValueMemberSS:
		if y, ok := have.(*types.AttributeValueMemberSS); ok {
			if rest := less(y.Value, x.Value, strings.Compare); len(rest) > 0 {
				return &types.AttributeValueMemberSS{Value: rest}, nil
			}
			return nil, nil
		}
	case *types.AttributeValueMemberNS:
		if y, ok := have.(*types.AttributeValueMemberNS); ok {
			if rest := less(y.Value, x.Value, strings.Compare); len(rest) > 0 {
				return &types.AttributeValueMemberNS{Value: rest}, nil
			}
			return nil, nil
		}
	case *types.AttributeValueMemberBS:
		if y, ok := have.(*types.AttributeValueMemberBS); ok {
			if rest := less(y.Value, x.Value, bytes.Compare); len(rest) > 0 {
				return &types.AttributeValueMemberBS{Value: rest}, nil
			}
			return nil, nil
		}
	}
	return nil, errOperandType
}

func less[E any](a, b []E, compare func(x, y E) int) []E {
	return slices.DeleteFunc(slices.Clone(a), func(x E) bool {
		return slices.ContainsFunc(b, func(y E) bool { return compare(x, y) == 0 })
	})
}
