package sandbox

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// resourceKind is one resource type of templates: what it takes and how it is
// made, changed and removed, each by the operations that anybody calls.
type resourceKind struct {
	properties []string // what it takes; any other property is refused by name
	replaceOn  []string // a change of these makes a new resource
	create     func(m *maker, p properties) (made, error)
	update     func(m *maker, have *made, old, p properties) error // nil: every change makes a new resource
	remove     func(m *maker, have made, p properties) error
	// settle is asked until it is done, after creation and after each change; nil:
	// at once.
	settle func(m *maker, have made, p properties) (done bool, err error)
}

// made is a resource that exists.
type made struct {
	physical   string         // its physical id
	reference  string         // what Ref gives, where that is not the physical id
	attributes map[string]any // what GetAtt gives
}

func (m made) ref() string {
	if m.reference != "" {
		return m.reference
	}
	return m.physical
}

// maker is for whom a resource is made.
type maker struct {
	r     *Region
	stack string
	id    string
	tags  []types.Tag
}

// name is the name given in the template, or one made of stack and logical id as
// CloudFormation makes them.
func (m *maker) name(given string, most int) string {
	if given != "" {
		return given
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	var tail [12]byte
	for i := range tail {
		tail[i] = letters[m.r.rng.IntN(len(letters))]
	}
	head := m.stack + "-" + m.id
	if len(head)+1+len(tail) > most {
		head = head[:most-1-len(tail)]
	}
	return head + "-" + string(tail[:])
}

// labels are the tags of the resource: its own, the stack's, and CloudFormation's.
func (m *maker) labels(p properties) map[string]string {
	out := map[string]string{"aws:cloudformation:stack-name": m.stack, "aws:cloudformation:logical-id": m.id}
	for _, t := range m.tags {
		out[deref(t.Key)] = deref(t.Value)
	}
	list, _ := p["Tags"].([]any)
	for _, x := range list {
		if t, ok := x.(map[string]any); ok {
			out[textOf(t["Key"])] = textOf(t["Value"])
		}
	}
	if named, ok := p["Tags"].(map[string]any); ok { // some types take a map
		for k, v := range named {
			out[k] = textOf(v)
		}
	}
	return out
}

// resourceKinds is THE list of resource types, by the file that has them.
var resourceKinds map[string]resourceKind

func init() {
	resourceKinds = map[string]resourceKind{}
	for _, list := range []map[string]resourceKind{storageKinds, messageKinds, functionKinds, accessKinds, doorKinds, dataKinds, queryKinds} {
		for name, k := range list {
			resourceKinds[name] = k
		}
	}
}

// properties are a resource's resolved properties.
type properties map[string]any

func (p properties) text(name string) string { return textOf(p[name]) }

func (p properties) yes(name string) bool { return textOf(p[name]) == "true" }

func (p properties) object(name string) properties {
	m, _ := p[name].(map[string]any)
	return m
}

func (p properties) objects(name string) []properties {
	list, _ := p[name].([]any)
	var out []properties
	for _, x := range list {
		if m, ok := x.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func (p properties) texts(name string) []string {
	list, _ := p[name].([]any)
	var out []string
	for _, x := range list {
		out = append(out, textOf(x))
	}
	return out
}

// document is a policy, or any JSON that a template writes as an object.
func (p properties) document(name string) (string, error) {
	if s, ok := p[name].(string); ok {
		return s, nil
	}
	b, err := json.Marshal(p[name])
	return string(b), err
}

// into fills an operation's input with the properties but for those named. A
// member that the input does not have is an error: nothing is silently ignored.
func (p properties) into(in any, without ...string) error {
	rest := map[string]any{}
	for k, v := range p {
		if !slices.Contains(without, k) {
			rest[k] = v
		}
	}
	text, err := json.Marshal(rest)
	if err != nil {
		return err
	}
	tree, err := treeOfJSON(text)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(in).Elem()
	if err := onlyMembers(v.Type(), tree, ""); err != nil {
		return err
	}
	return decode(v, texted(v.Type(), tree), "Properties")
}

// onlyMembers refuses members that a type does not have.
func onlyMembers(t reflect.Type, n any, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch x := n.(type) {
	case map[string]any:
		if t.Kind() == reflect.Map {
			return nil
		}
		if t.Kind() != reflect.Struct {
			return fail("ValidationError", "Properties validation failed: #%s: expected type: %s, found: Object", path, t.Kind())
		}
		for _, k := range sortedNames(x) {
			f, ok := t.FieldByName(k)
			if !ok || !f.IsExported() {
				return fail("ValidationError", "Properties validation failed: #%s: the sandbox does not support [%s]", path, k)
			}
			if err := onlyMembers(f.Type, x[k], path+"/"+k); err != nil {
				return err
			}
		}
	case []any:
		if t.Kind() != reflect.Slice {
			return fail("ValidationError", "Properties validation failed: #%s: expected type: %s, found: JSONArray", path, t.Kind())
		}
		for i, c := range x {
			if err := onlyMembers(t.Elem(), c, fmt.Sprintf("%s/%d", path, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// texted writes numbers and booleans as texts where the operation takes a text,
// as CloudFormation converts them.
func texted(t reflect.Type, n any) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch x := n.(type) {
	case map[string]any:
		for k, v := range x {
			if t.Kind() == reflect.Map {
				x[k] = texted(t.Elem(), v)
			} else if f, ok := t.FieldByName(k); ok {
				x[k] = texted(f.Type, v)
			}
		}
	case []any:
		for i, v := range x {
			x[i] = texted(t.Elem(), v)
		}
	case json.Number:
		if t.Kind() == reflect.String {
			return x.String()
		}
	case bool:
		if t.Kind() == reflect.String {
			return textOf(x)
		}
	}
	return n
}

// tail is what stands after the last separator.
func tail(s, separator string) string { return s[strings.LastIndex(s, separator)+1:] }
