package sandbox

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// path leads to a value inside an item: a.b[0].
type path []step

// step goes into a map by name, or into a list by index.
type step struct {
	name  string // "" for an index
	index int
}

// String is the path as AWS prints it in its errors.
func (p path) String() string {
	var parts []string
	for _, s := range p {
		if s.name == "" {
			parts = append(parts, "["+strconv.Itoa(s.index)+"]")
			continue
		}
		parts = append(parts, s.name)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// in finds the value, nil if it is not there.
func (p path) in(it item) types.AttributeValue {
	v := it[p[0].name]
	for _, s := range p[1:] {
		switch x := v.(type) {
		case *types.AttributeValueMemberM:
			if s.name == "" {
				return nil
			}
			v = x.Value[s.name]
		case *types.AttributeValueMemberL:
			if s.name != "" || s.index >= len(x.Value) {
				return nil
			}
			v = x.Value[s.index]
		default:
			return nil
		}
	}
	return v
}

// clash says what is wrong with two paths in one expression: one lies within the
// other, or they take one value for a map and for a list.
func clash(a, b path) string {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		if (a[i].name == "") != (b[i].name == "") {
			return "conflict"
		}
		return ""
	}
	return "overlap"
}

// clashing finds the first two paths that cannot stand together.
func clashing(paths []path) error {
	for j := range paths {
		for i := range j {
			if why := clash(paths[i], paths[j]); why != "" {
				return invalid("Two document paths %s with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", why, paths[i], paths[j])
			}
		}
	}
	return nil
}

// cut keeps of an item what the paths lead to; elements of lists move together.
func cut(it item, paths []path) item {
	if paths == nil {
		return it
	}
	out := item{}
	for _, name := range sortedNames(it) {
		if v := cutValue(it[name], tails(paths, step{name: name})); v != nil {
			out[name] = v
		}
	}
	return out
}

// tails are the rests of the paths that begin with a step.
func tails(paths []path, first step) []path {
	var out []path
	for _, p := range paths {
		if p[0] == first {
			out = append(out, p[1:])
		}
	}
	return out
}

func cutValue(v types.AttributeValue, paths []path) types.AttributeValue {
	if len(paths) == 0 {
		return nil
	}
	if slices.ContainsFunc(paths, func(p path) bool { return len(p) == 0 }) {
		return v
	}
	switch x := v.(type) {
	case *types.AttributeValueMemberM:
		if inner := cut(x.Value, paths); len(inner) > 0 {
			return &types.AttributeValueMemberM{Value: inner}
		}
	case *types.AttributeValueMemberL:
		var kept []types.AttributeValue
		for i, e := range x.Value {
			if w := cutValue(e, tails(paths, step{index: i})); w != nil {
				kept = append(kept, w)
			}
		}
		if len(kept) > 0 {
			return &types.AttributeValueMemberL{Value: kept}
		}
	}
	return nil
}

// copyValue copies lists and maps to any depth; what they hold is never changed.
func copyValue(v types.AttributeValue) types.AttributeValue {
	switch x := v.(type) {
	case *types.AttributeValueMemberM:
		return &types.AttributeValueMemberM{Value: copyItem(x.Value)}
	case *types.AttributeValueMemberL:
		out := make([]types.AttributeValue, len(x.Value))
		for i, e := range x.Value {
			out[i] = copyValue(e)
		}
		return &types.AttributeValueMemberL{Value: out}
	}
	return v
}

func copyItem(it item) item {
	out := make(item, len(it))
	for name, v := range it {
		out[name] = copyValue(v)
	}
	return out
}
