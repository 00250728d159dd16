package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// This file has filter policies: which messages a subscription wants
// (SNS Developer Guide, sns-subscription-filter-policies).

// filterPolicy is a policy as a tree: every key has to match; under a key are
// conditions of which one has to match, or, in a message body, more keys.
type filterPolicy map[string]filterNode

type filterNode struct {
	anyOf  []condition
	nested filterPolicy
}

// condition tells whether a value matches; present is false where there is none.
type condition func(value any, present bool) bool

// maxFilterKeys is AWS's bound on the keys of one policy.
const maxFilterKeys = 5

// readFilter parses a policy. Nested keys are for message bodies only.
func readFilter(text string, inBody bool) (filterPolicy, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var tree map[string]any
	if err := d.Decode(&tree); err != nil {
		return nil, errors.New("failed to parse JSON.")
	}
	keys := 0
	return readFilterKeys(tree, inBody, &keys)
}

func readFilterKeys(tree map[string]any, inBody bool, keys *int) (filterPolicy, error) {
	p := filterPolicy{}
	for _, key := range sortedNames(tree) {
		if key == "$or" {
			return nil, errors.New("the sandbox does not support $or")
		}
		switch v := tree[key].(type) {
		case []any:
			if *keys++; *keys > maxFilterKeys {
				return nil, errors.New("Filter policy can not have more than 5 keys")
			}
			if len(v) == 0 {
				return nil, fmt.Errorf("Empty arrays are not allowed at %q", key)
			}
			var node filterNode
			for _, x := range v {
				c, err := readCondition(x)
				if err != nil {
					return nil, err
				}
				node.anyOf = append(node.anyOf, c)
			}
			p[key] = node
		case map[string]any:
			if !inBody {
				return nil, errors.New("Filter policy scope MessageAttributes does not support nested filter policy")
			}
			nested, err := readFilterKeys(v, inBody, keys)
			if err != nil {
				return nil, err
			}
			p[key] = filterNode{nested: nested}
		default:
			return nil, fmt.Errorf("%q must be an object or an array", key)
		}
	}
	return p, nil
}

func readCondition(x any) (condition, error) {
	object, ok := x.(map[string]any)
	if !ok {
		return isExactly(x), nil
	}
	if len(object) != 1 {
		return nil, errors.New("Only one key allowed in match expression")
	}
	for kind, operand := range object {
		text, isText := operand.(string)
		switch kind {
		case "prefix", "suffix", "equals-ignore-case":
			if !isText {
				return nil, fmt.Errorf("%s match pattern must be a string", kind)
			}
			return onText(textMatch(kind, text)), nil
		case "exists":
			want, ok := operand.(bool)
			if !ok {
				return nil, errors.New("exists match pattern must be either true or false.")
			}
			return func(_ any, present bool) bool { return present == want }, nil
		case "numeric":
			return readNumeric(operand)
		case "anything-but":
			return readAnythingBut(operand)
		default:
			return nil, fmt.Errorf("Unrecognized match type %s", kind)
		}
	}
	return nil, errors.New("empty match expression") // not reached: the object has one key
}

func textMatch(kind, operand string) func(string) bool {
	switch kind {
	case "prefix":
		return func(s string) bool { return strings.HasPrefix(s, operand) }
	case "suffix":
		return func(s string) bool { return strings.HasSuffix(s, operand) }
	}
	return func(s string) bool { return strings.EqualFold(s, operand) }
}

func onText(match func(string) bool) condition {
	return func(value any, present bool) bool {
		s, ok := value.(string)
		return present && ok && match(s)
	}
}

func isExactly(want any) condition {
	return func(value any, present bool) bool { return present && same(want, value) }
}

// same compares as SNS does: numbers by value, everything else as it is.
func same(a, b any) bool {
	x, isNumber := asFloat(a)
	y, other := asFloat(b)
	if isNumber || other {
		return isNumber && other && x == y
	}
	switch a.(type) { // what is no scalar is never the same
	case string, bool, nil:
		switch b.(type) {
		case string, bool, nil:
			return a == b
		}
	}
	return false
}

func asFloat(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// readAnythingBut takes a value, a list of values, or a prefix or suffix.
func readAnythingBut(operand any) (condition, error) {
	if object, ok := operand.(map[string]any); ok {
		for kind, x := range object {
			text, isText := x.(string)
			if len(object) != 1 || !isText || kind != "prefix" && kind != "suffix" {
				return nil, fmt.Errorf("Unsupported anything-but pattern: %s", kind)
			}
			match := textMatch(kind, text)
			return func(value any, present bool) bool {
				s, ok := value.(string)
				return present && (!ok || !match(s))
			}, nil
		}
		return nil, errors.New("empty anything-but pattern")
	}
	unwanted, ok := operand.([]any)
	if !ok {
		unwanted = []any{operand}
	}
	for _, u := range unwanted {
		if _, isObject := u.(map[string]any); isObject {
			return nil, errors.New("anything-but takes strings and numbers")
		}
	}
	return func(value any, present bool) bool {
		if !present {
			return false
		}
		for _, u := range unwanted {
			if same(u, value) {
				return false
			}
		}
		return true
	}, nil
}

// readNumeric takes ["=", n] or one or two bounds such as [">", 0, "<=", 5].
func readNumeric(operand any) (condition, error) {
	list, ok := operand.([]any)
	if !ok || len(list) == 0 || len(list)%2 != 0 || len(list) > 4 {
		return nil, errors.New("Value of numeric must be an array of operators and numbers")
	}
	var all []func(float64) bool
	for i := 0; i < len(list); i += 2 {
		operator, _ := list[i].(string)
		bound, isNumber := asFloat(list[i+1])
		if !isNumber {
			return nil, fmt.Errorf("Value of %s must be numeric", operator)
		}
		compare, known := comparisons[operator]
		if !known {
			return nil, fmt.Errorf("Unrecognized numeric range operator: %s", operator)
		}
		all = append(all, func(v float64) bool { return compare(v, bound) })
	}
	return func(value any, present bool) bool {
		v, ok := asFloat(value)
		if !present || !ok {
			return false
		}
		for _, holds := range all {
			if !holds(v) {
				return false
			}
		}
		return true
	}, nil
}

var comparisons = map[string]func(v, bound float64) bool{
	"=":  func(v, b float64) bool { return v == b },
	"<":  func(v, b float64) bool { return v < b },
	"<=": func(v, b float64) bool { return v <= b },
	">":  func(v, b float64) bool { return v > b },
	">=": func(v, b float64) bool { return v >= b },
}

// wants applies a subscription's filter; reason names the metric of a no.
func (sub *subscription) wants(n *notification) (ok bool, reason string) {
	if sub.inBody {
		d := json.NewDecoder(bytes.NewReader([]byte(n.messageFor(sub.protocol))))
		d.UseNumber()
		var body map[string]any
		if err := d.Decode(&body); err != nil {
			return false, "InvalidMessageBody"
		}
		return sub.filter.matches(body), "MessageBody"
	}
	values, err := attributeValues(n.Attributes)
	if err != nil {
		return false, "InvalidAttributes"
	}
	if sub.filter.matches(values) {
		return true, ""
	}
	if len(n.Attributes) == 0 {
		return false, "NoMessageAttributes"
	}
	return false, "MessageAttributes"
}

// attributeValues are message attributes as values to match: numbers as numbers,
// String.Array as its elements. Binary attributes cannot match.
func attributeValues(attributes map[string]attribute) (map[string]any, error) {
	out := make(map[string]any, len(attributes))
	for name, a := range attributes {
		switch kind, label, _ := strings.Cut(a.Type, "."); {
		case kind == "Number":
			if _, err := strconv.ParseFloat(a.String, 64); err != nil {
				return nil, fmt.Errorf("attribute %s is no number", name)
			}
			out[name] = json.Number(a.String)
		case kind == "String" && label == "Array":
			d := json.NewDecoder(strings.NewReader(a.String))
			d.UseNumber()
			var list []any
			if err := d.Decode(&list); err != nil {
				return nil, fmt.Errorf("attribute %s is no JSON array", name)
			}
			out[name] = list
		case kind == "String":
			out[name] = a.String
		}
	}
	return out, nil
}

// matches asks every key of the policy. Of a list in the message one element has
// to match.
func (p filterPolicy) matches(values map[string]any) bool {
	for key, node := range p {
		value, present := values[key]
		if !node.matches(value, present) {
			return false
		}
	}
	return true
}

func (node filterNode) matches(value any, present bool) bool {
	if list, ok := value.([]any); ok {
		for _, x := range list {
			if node.matches(x, true) {
				return true
			}
		}
		return len(list) == 0 && node.matches(nil, false)
	}
	if node.nested != nil {
		inner, _ := value.(map[string]any)
		return node.nested.matches(inner)
	}
	for _, c := range node.anyOf {
		if c(value, present) {
			return true
		}
	}
	return false
}
