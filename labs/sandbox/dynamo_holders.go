package sandbox

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithy "github.com/aws/smithy-go"
)

// holders are the placeholders of a request's expressions: #names and :values.
// Each must be used somewhere.
type holders struct {
	names               map[string]string
	values              item
	namesUsed, valsUsed map[string]bool
}

// phrase is one expression parameter of a request, "" where it was not given.
type phrase struct {
	parameter string
	text      *string
}

// readHolders checks the placeholders that came with a request's expressions.
func readHolders(names map[string]string, values item, expressions ...phrase) (*holders, error) {
	h := &holders{names: names, values: values, namesUsed: map[string]bool{}, valsUsed: map[string]bool{}}
	var absent []string
	for _, e := range expressions {
		if e.text == nil {
			absent = append(absent, e.parameter)
		}
	}
	none := len(absent) == len(expressions)
	if names != nil && none {
		return nil, invalid("ExpressionAttributeNames can only be specified when using expressions")
	}
	if names != nil && len(names) == 0 {
		return nil, invalid("ExpressionAttributeNames must not be empty")
	}
	for _, holder := range sortedNames(names) {
		if !isHolder(holder, '#') {
			return nil, invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: \"%s\"", holder)
		}
		if names[holder] == "" {
			return nil, invalid("ExpressionAttributeNames contains invalid value: Empty attribute name is not allowed for key %s", holder)
		}
	}
	return h, h.readValues(none, withValues(absent))
}

// withValues keeps those parameters that can use values.
func withValues(parameters []string) []string {
	var out []string
	for _, p := range parameters {
		if p != "ProjectionExpression" {
			out = append(out, p)
		}
	}
	return out
}

func (h *holders) readValues(none bool, absent []string) error {
	if h.values == nil {
		return nil
	}
	if none {
		verb := " is null"
		if len(absent) > 1 {
			verb = " are null"
		}
		return invalid("ExpressionAttributeValues can only be specified when using expressions: %s%s", strings.Join(absent, " and "), verb)
	}
	if len(h.values) == 0 {
		return invalid("ExpressionAttributeValues must not be empty")
	}
	for _, holder := range sortedNames(h.values) {
		if !isHolder(holder, ':') {
			return invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: \"%s\"", holder)
		}
		if err := settleValue(h.values[holder], 0); err != nil {
			var api smithy.APIError
			if errors.As(err, &api) {
				return invalid("ExpressionAttributeValues contains invalid value: %s for key %s", api.ErrorMessage(), holder)
			}
			return err
		}
	}
	return nil
}

func isHolder(s string, mark byte) bool {
	return len(s) > 1 && s[0] == mark && strings.Trim(s[1:], wordLetters+"0123456789") == ""
}

func (h *holders) name(holder string) (string, bool) {
	h.namesUsed[holder] = true
	name, ok := h.names[holder]
	return name, ok
}

func (h *holders) value(holder string) (types.AttributeValue, bool) {
	h.valsUsed[holder] = true
	v, ok := h.values[holder]
	return v, ok
}

// unused refuses placeholders that no expression uses, once all are parsed.
func (h *holders) unused() error {
	if left := leftOver(h.names, h.namesUsed); left != "" {
		return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", left)
	}
	if left := leftOver(h.values, h.valsUsed); left != "" {
		return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", left)
	}
	return nil
}

func leftOver[V any](given map[string]V, used map[string]bool) string {
	var left []string
	for _, k := range sortedNames(given) {
		if !used[k] {
			left = append(left, k)
		}
	}
	return strings.Join(left, ", ")
}
