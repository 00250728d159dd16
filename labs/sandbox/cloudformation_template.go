package sandbox

import (
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// This file reads templates: YAML with its short forms, parameters, conditions,
// mappings and intrinsic functions (CloudFormation User Guide, template anatomy
// and intrinsic function reference). What it does not know is an error that names
// the place, never ignored.

// maxTemplate is the largest template in a request (CFN quotas).
const maxTemplate = 51200 // bytes

// template is a parsed template. Values are trees of map[string]any, []any and
// scalars; functions are maps with one key, such as {"Fn::Sub": …}.
type template struct {
	text        string
	description string
	parameters  map[string]map[string]any
	mappings    map[string]any
	conditions  map[string]any
	resources   map[string]*templateResource
	outputs     map[string]map[string]any
}

type templateResource struct {
	id, kind   string
	properties map[string]any
	dependsOn  []string
	condition  string
	retain     bool // DeletionPolicy: Retain
}

func invalidTemplate(format string, args ...any) error {
	return fail("ValidationError", "Template validation error: "+format, args...)
}

var (
	logicalIDs       = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)
	templateSections = []string{"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions", "Resources", "Outputs", "Rules"}
	resourceMembers  = []string{"Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
	parameterMembers = []string{"Type", "Default", "AllowedValues", "AllowedPattern", "ConstraintDescription", "Description", "MinLength", "MaxLength", "MinValue", "MaxValue", "NoEcho"}
)

// readTemplate parses a template body.
func readTemplate(text string) (*template, error) {
	if len(text) > maxTemplate {
		return nil, fail("ValidationError", "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", maxTemplate)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, invalidTemplate("Template format error: YAML not well-formed. (%v)", err)
	}
	if len(doc.Content) == 0 {
		return nil, invalidTemplate("Template format error: At least one Resources member must be defined.")
	}
	n, err := treeOfYAML(doc.Content[0], 0)
	if err != nil {
		return nil, err
	}
	top, ok := n.(map[string]any)
	if !ok {
		return nil, invalidTemplate("Template format error: unsupported structure.")
	}
	for _, k := range sortedNames(top) {
		if !slices.Contains(templateSections, k) {
			return nil, invalidTemplate("Invalid template property or properties [%s]", k)
		}
	}
	if top["Rules"] != nil {
		return nil, invalidTemplate("the sandbox does not support the section Rules")
	}
	t := &template{text: text, description: textOf(top["Description"]), resources: map[string]*templateResource{}}
	if t.parameters, err = named(top, "Parameters", parameterMembers); err != nil {
		return nil, err
	}
	if t.outputs, err = named(top, "Outputs", []string{"Value", "Description", "Export", "Condition"}); err != nil {
		return nil, err
	}
	t.mappings, _ = top["Mappings"].(map[string]any)
	t.conditions, _ = top["Conditions"].(map[string]any)
	resources, err := named(top, "Resources", resourceMembers)
	if err != nil {
		return nil, err
	}
	if len(resources) == 0 {
		return nil, invalidTemplate("Template format error: At least one Resources member must be defined.")
	}
	for id, m := range resources {
		if t.resources[id], err = readResource(id, m); err != nil {
			return nil, err
		}
	}
	return t, t.check()
}

func readResource(id string, m map[string]any) (*templateResource, error) {
	r := &templateResource{id: id, kind: textOf(m["Type"]), condition: textOf(m["Condition"]), properties: map[string]any{}}
	if r.kind == "" {
		return nil, invalidTemplate("[/Resources/%s] Every Resources object must contain a Type member.", id)
	}
	if p, ok := m["Properties"]; ok && p != nil {
		if r.properties, ok = p.(map[string]any); !ok {
			return nil, invalidTemplate("[/Resources/%s/Properties] Properties must be an object", id)
		}
	}
	switch d := m["DependsOn"].(type) {
	case string:
		r.dependsOn = []string{d}
	case []any:
		for _, x := range d {
			r.dependsOn = append(r.dependsOn, textOf(x))
		}
	}
	switch p := textOf(m["DeletionPolicy"]); p {
	case "", "Delete":
	case "Retain":
		r.retain = true
	default:
		return nil, invalidTemplate("[/Resources/%s] the sandbox does not support DeletionPolicy %s", id, p)
	}
	return r, nil
}

// named reads a section whose members are objects with known keys.
func named(top map[string]any, section string, known []string) (map[string]map[string]any, error) {
	out := map[string]map[string]any{}
	if top[section] == nil {
		return out, nil
	}
	all, ok := top[section].(map[string]any)
	if !ok {
		return nil, invalidTemplate("[/%s] must be an object", section)
	}
	for name, x := range all {
		m, ok := x.(map[string]any)
		if !ok {
			return nil, invalidTemplate("[/%s/%s] must be an object", section, name)
		}
		if !logicalIDs.MatchString(name) {
			return nil, invalidTemplate("%s name '%s' is non alphanumeric.", strings.TrimSuffix(section, "s"), name)
		}
		for _, k := range sortedNames(m) {
			if !slices.Contains(known, k) {
				return nil, invalidTemplate("[/%s/%s] Encountered unsupported property %s", section, name, k)
			}
		}
		out[name] = m
	}
	return out, nil
}

// textOf is a scalar as CloudFormation writes it.
func textOf(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case int:
		return strconv.Itoa(x)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return ""
}

// treeOfYAML turns a node into plain values; !Ref x becomes {"Ref": x} and !Sub x
// {"Fn::Sub": x}.
func treeOfYAML(n *yaml.Node, depth int) (any, error) {
	if depth > 60 {
		return nil, invalidTemplate("line %d is nested too deep", n.Line)
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return nil, invalidTemplate("Template error: YAML aliases are not allowed in CloudFormation templates")
	}
	v, err := valueOfYAML(n, depth)
	if err != nil || !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
		return v, err
	}
	name := n.Tag[1:]
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	if _, ok := intrinsics[name]; !ok {
		return nil, invalidTemplate("line %d: the sandbox does not support %s", n.Line, n.Tag)
	}
	if s, ok := v.(string); ok && name == "Fn::GetAtt" {
		resource, attribute, _ := strings.Cut(s, ".")
		v = []any{resource, attribute}
	}
	return map[string]any{name: v}, nil
}

func valueOfYAML(n *yaml.Node, depth int) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i].Value
			if _, twice := m[k]; twice {
				return nil, invalidTemplate("line %d: the key %s is there twice", n.Content[i].Line, k)
			}
			v, err := treeOfYAML(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			m[k] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := treeOfYAML(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
	plain := *n
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		plain.Tag = "!!str"
	}
	if plain.Tag == "!!timestamp" { // 2012-10-17 stays what was written
		return n.Value, nil
	}
	var v any
	if err := plain.Decode(&v); err != nil {
		return nil, invalidTemplate("line %d: %v", n.Line, err)
	}
	return v, nil
}

// values is what a template's functions are computed from.
type values struct {
	t          *template
	parameters map[string]any    // text, or a list of texts for CommaDelimitedList
	pseudo     map[string]string // AWS::Region …
	// made answers Ref and GetAtt of resources that exist; an empty attribute is Ref.
	made func(resource, attribute string) (any, error)
	busy map[string]bool // conditions being evaluated
}

var errNoValue = errors.New("AWS::NoValue")

// intrinsics is THE list of functions.
var intrinsics map[string]func(*values, any) (any, error)

func init() { // the functions call value, which reads the list
	intrinsics = map[string]func(*values, any) (any, error){
		"Ref":             func(v *values, a any) (any, error) { return v.ref(textOf(a)) },
		"Condition":       func(v *values, a any) (any, error) { return v.condition(textOf(a)) },
		"Fn::GetAtt":      (*values).attribute,
		"Fn::Sub":         (*values).sub,
		"Fn::Join":        (*values).join,
		"Fn::Select":      (*values).selects,
		"Fn::Split":       (*values).split,
		"Fn::If":          (*values).ifs,
		"Fn::Equals":      (*values).equals,
		"Fn::And":         func(v *values, a any) (any, error) { return v.logic("Fn::And", a) },
		"Fn::Or":          func(v *values, a any) (any, error) { return v.logic("Fn::Or", a) },
		"Fn::Not":         func(v *values, a any) (any, error) { return v.logic("Fn::Not", a) },
		"Fn::FindInMap":   (*values).findInMap,
		"Fn::Base64":      (*values).base64,
		"Fn::Cidr":        nil,
		"Fn::GetAZs":      nil,
		"Fn::ImportValue": nil,
		"Fn::Transform":   nil,
	}
}

// value computes a tree. An object member or list item that is AWS::NoValue is
// left out.
func (v *values) value(n any) (any, error) {
	switch x := n.(type) {
	case map[string]any:
		if name, arg, ok := functionOf(x); ok {
			f, known := intrinsics[name]
			if !known || f == nil {
				return nil, invalidTemplate("the sandbox does not support %s", name)
			}
			return f(v, arg)
		}
		out := map[string]any{}
		for k, c := range x {
			got, err := v.value(c)
			if errors.Is(err, errNoValue) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out[k] = got
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(x))
		for _, c := range x {
			got, err := v.value(c)
			if errors.Is(err, errNoValue) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, got)
		}
		return out, nil
	}
	return n, nil
}

// functionOf reports whether an object is a function call.
func functionOf(m map[string]any) (name string, arg any, ok bool) {
	if len(m) != 1 {
		return "", nil, false
	}
	for k, a := range m {
		if k == "Ref" || strings.HasPrefix(k, "Fn::") {
			return k, a, true
		}
		if _, isText := a.(string); k == "Condition" && isText {
			return k, a, true
		}
	}
	return "", nil, false
}

func (v *values) text(n any) (string, error) {
	got, err := v.value(n)
	if err != nil {
		return "", err
	}
	switch got.(type) {
	case string, bool, int, float64:
		return textOf(got), nil
	}
	return "", invalidTemplate("a text is needed where %v stands", got)
}

func (v *values) list(n any) ([]any, error) {
	got, err := v.value(n)
	if err != nil {
		return nil, err
	}
	l, ok := got.([]any)
	if !ok {
		return nil, invalidTemplate("a list is needed where %v stands", got)
	}
	return l, nil
}

// arguments are the parts of a function's list, not computed yet.
func arguments(function string, n any, least, most int) ([]any, error) {
	l, ok := n.([]any)
	if !ok || len(l) < least || len(l) > most {
		return nil, invalidTemplate("%s needs a list of %d to %d values", function, least, most)
	}
	return l, nil
}

func (v *values) ref(name string) (any, error) {
	if p, ok := v.parameters[name]; ok {
		return p, nil
	}
	if name == "AWS::NoValue" {
		return nil, errNoValue
	}
	if p, ok := v.pseudo[name]; ok {
		return p, nil
	}
	if _, ok := v.t.resources[name]; ok {
		return v.made(name, "")
	}
	return nil, invalidTemplate("Unresolved resource dependencies [%s] in the template", name)
}

func (v *values) attribute(arg any) (any, error) {
	a, err := arguments("Fn::GetAtt", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	resource, attribute := textOf(a[0]), textOf(a[1])
	if _, ok := v.t.resources[resource]; !ok {
		return nil, invalidTemplate("Template error: instance of Fn::GetAtt references undefined resource %s", resource)
	}
	return v.made(resource, attribute)
}

var substitutions = regexp.MustCompile(`\$\{([^}]*)\}`)

func (v *values) sub(arg any) (any, error) {
	text, own := "", map[string]any{}
	switch a := arg.(type) {
	case string:
		text = a
	case []any:
		if len(a) == 2 {
			text = textOf(a[0])
			own, _ = a[1].(map[string]any)
		}
	}
	if text == "" {
		return nil, invalidTemplate("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments")
	}
	var failed error
	out := substitutions.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.TrimSpace(m[2 : len(m)-1])
		if strings.HasPrefix(name, "!") {
			return "${" + name[1:] + "}"
		}
		got, err := v.substitute(name, own)
		if err != nil && failed == nil {
			failed = err
		}
		return got
	})
	return out, failed
}

func (v *values) substitute(name string, own map[string]any) (string, error) {
	if x, ok := own[name]; ok {
		return v.text(x)
	}
	if resource, attribute, dotted := strings.Cut(name, "."); dotted {
		return v.text(map[string]any{"Fn::GetAtt": []any{resource, attribute}})
	}
	return v.text(map[string]any{"Ref": name})
}

func (v *values) join(arg any) (any, error) {
	a, err := arguments("Fn::Join", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	items, err := v.list(a[1])
	if err != nil {
		return nil, err
	}
	parts := make([]string, len(items))
	for i, x := range items {
		parts[i] = textOf(x)
	}
	return strings.Join(parts, textOf(a[0])), nil
}

func (v *values) selects(arg any) (any, error) {
	a, err := arguments("Fn::Select", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	at, err := v.text(a[0])
	if err != nil {
		return nil, err
	}
	items, err := v.list(a[1])
	if err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(at)
	if err != nil || i < 0 || i >= len(items) {
		return nil, invalidTemplate("Template error: Fn::Select cannot select nonexistent value at index %s", at)
	}
	return items[i], nil
}

func (v *values) split(arg any) (any, error) {
	a, err := arguments("Fn::Split", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	s, err := v.text(a[1])
	if err != nil {
		return nil, err
	}
	var out []any
	for _, p := range strings.Split(s, textOf(a[0])) {
		out = append(out, p)
	}
	return out, nil
}

func (v *values) ifs(arg any) (any, error) {
	a, err := arguments("Fn::If", arg, 3, 3)
	if err != nil {
		return nil, err
	}
	yes, err := v.condition(textOf(a[0]))
	if err != nil {
		return nil, err
	}
	if yes {
		return v.value(a[1])
	}
	return v.value(a[2])
}

func (v *values) condition(name string) (bool, error) {
	c, ok := v.t.conditions[name]
	if !ok {
		return false, invalidTemplate("Template error: unresolved condition dependency %s", name)
	}
	if v.busy[name] {
		return false, invalidTemplate("Template error: circular dependency between conditions at %s", name)
	}
	if v.busy == nil {
		v.busy = map[string]bool{}
	}
	v.busy[name] = true
	defer delete(v.busy, name)
	return v.truth(c)
}

func (v *values) truth(n any) (bool, error) {
	got, err := v.value(n)
	if err != nil {
		return false, err
	}
	switch b := got.(type) {
	case bool:
		return b, nil
	case string:
		if b == "true" || b == "false" {
			return b == "true", nil
		}
	}
	return false, invalidTemplate("Template error: every condition member must be true or false, not %v", got)
}

func (v *values) equals(arg any) (any, error) {
	a, err := arguments("Fn::Equals", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	left, err := v.text(a[0])
	if err != nil {
		return nil, err
	}
	right, err := v.text(a[1])
	return left == right, err
}

func (v *values) logic(function string, arg any) (any, error) {
	least, most := 2, 10
	if function == "Fn::Not" {
		least, most = 1, 1
	}
	a, err := arguments(function, arg, least, most)
	if err != nil {
		return nil, err
	}
	all, some := true, false
	for _, x := range a {
		b, err := v.truth(x)
		if err != nil {
			return nil, err
		}
		all, some = all && b, some || b
	}
	switch function {
	case "Fn::And":
		return all, nil
	case "Fn::Or":
		return some, nil
	}
	return !all, nil
}

func (v *values) findInMap(arg any) (any, error) {
	a, err := arguments("Fn::FindInMap", arg, 3, 3)
	if err != nil {
		return nil, err
	}
	var keys [3]string
	for i, x := range a {
		if keys[i], err = v.text(x); err != nil {
			return nil, err
		}
	}
	first, _ := v.t.mappings[keys[0]].(map[string]any)
	second, _ := first[keys[1]].(map[string]any)
	got, ok := second[keys[2]]
	if !ok {
		return nil, invalidTemplate("Template error: Unable to get mapping for %s::%s::%s", keys[0], keys[1], keys[2])
	}
	return got, nil
}

func (v *values) base64(arg any) (any, error) {
	s, err := v.text(arg)
	return base64.StdEncoding.EncodeToString([]byte(s)), err
}
