package sandbox

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

const (
	resourceTime = 20 * time.Millisecond  // what each resource takes at least, simulated
	readyLook    = 100 * time.Millisecond // between two looks at a resource that is being made
	readyMost    = 10 * time.Minute       // then it counts as failed
)

// check refuses what can be seen to be wrong before anything is made: unknown
// resource types, references to nothing, circles.
func (t *template) check() error {
	var unknown []string
	for _, id := range sortedNames(t.resources) {
		r := t.resources[id]
		if _, ok := resourceKinds[r.kind]; !ok && !slices.Contains(unknown, r.kind) {
			unknown = append(unknown, r.kind)
		}
	}
	if len(unknown) > 0 {
		return invalidTemplate("Unrecognized resource types: [%s] (the sandbox knows %s)", strings.Join(unknown, ", "), strings.Join(sortedNames(resourceKinds), ", "))
	}
	for _, id := range sortedNames(t.resources) {
		r := t.resources[id]
		for _, d := range r.dependsOn {
			if _, ok := t.resources[d]; !ok {
				return invalidTemplate("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", d)
			}
		}
		if _, ok := t.conditions[r.condition]; r.condition != "" && !ok {
			return invalidTemplate("Template format error: Unrecognized condition %s in resource %s", r.condition, id)
		}
		for _, p := range sortedNames(r.properties) {
			if kind := resourceKinds[r.kind]; !slices.Contains(kind.properties, p) {
				return invalidTemplate("[/Resources/%s/Properties] the sandbox does not support the property %s of %s", id, p, r.kind)
			}
		}
		for _, name := range references(r.properties) {
			if !t.names(name) {
				return invalidTemplate("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", name)
			}
		}
	}
	for _, id := range sortedNames(t.outputs) {
		for _, name := range references(t.outputs[id]["Value"]) {
			if !t.names(name) {
				return invalidTemplate("Template format error: Unresolved resource dependencies [%s] in the Outputs block of the template", name)
			}
		}
		if t.outputs[id]["Export"] != nil {
			return invalidTemplate("[/Outputs/%s] the sandbox does not support Export", id)
		}
	}
	_, err := t.order()
	return err
}

// names reports whether a Ref finds something.
func (t *template) names(name string) bool {
	return t.resources[name] != nil || t.parameters[name] != nil || strings.HasPrefix(name, "AWS::")
}

// references lists what a tree refers to, sorted.
func references(n any) []string {
	found := map[string]bool{}
	var walk func(any)
	text := func(s string, own map[string]any) {
		for _, m := range substitutions.FindAllStringSubmatch(s, -1) {
			name, _, _ := strings.Cut(strings.TrimSpace(m[1]), ".")
			if _, local := own[name]; !local && !strings.HasPrefix(name, "!") {
				found[name] = true
			}
		}
	}
	walk = func(n any) {
		switch x := n.(type) {
		case []any:
			for _, c := range x {
				walk(c)
			}
		case map[string]any:
			name, arg, _ := functionOf(x)
			list, _ := arg.([]any)
			switch {
			case name == "Ref":
				found[textOf(arg)] = true
			case name == "Fn::GetAtt" && len(list) > 0:
				found[textOf(list[0])] = true
			case name == "Fn::Sub" && len(list) == 2:
				own, _ := list[1].(map[string]any)
				text(textOf(list[0]), own)
				walk(list[1])
			case name == "Fn::Sub":
				text(textOf(arg), nil)
			case name == "Condition":
			default:
				for _, c := range x {
					walk(c)
				}
			}
		}
	}
	walk(n)
	return sortedNames(found)
}

// needs lists the resources that must be there before one.
func (t *template) needs(r *templateResource) []string {
	out := append([]string(nil), r.dependsOn...)
	for _, name := range references(r.properties) {
		if t.resources[name] != nil && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// order lists the resources, each after those that it needs.
func (t *template) order() ([]string, error) {
	var out []string
	state := map[string]int{} // 1: being visited, 2: done
	var circle []string
	var visit func(id string) bool
	visit = func(id string) bool {
		if state[id] == 2 {
			return true
		}
		if state[id] == 1 {
			circle = append(circle, id)
			return false
		}
		state[id] = 1
		for _, d := range t.needs(t.resources[id]) {
			if !visit(d) {
				circle = append(circle, id)
				return false
			}
		}
		state[id] = 2
		out = append(out, id)
		return true
	}
	for _, id := range sortedNames(t.resources) {
		if !visit(id) {
			sort.Strings(circle)
			return nil, invalidTemplate("Circular dependency between resources: [%s]", strings.Join(slices.Compact(circle), ", "))
		}
	}
	return out, nil
}

// values computes a state's template against what the stack has made.
func (st *stack) values(next stackState, unmade func(id, attribute string) (any, error)) *values {
	r := st.svc.r
	return &values{
		t: next.template, parameters: next.parameters,
		pseudo: map[string]string{
			"AWS::Region": r.Name, "AWS::AccountId": Account, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
			"AWS::StackName": st.name, "AWS::StackId": st.id,
		},
		made: func(id, attribute string) (any, error) {
			x, ok := st.resources[id]
			if !ok || x.made.physical == "" {
				return unmade(id, attribute)
			}
			if attribute == "" {
				return x.made.ref(), nil
			}
			v, ok := x.made.attributes[attribute]
			if !ok {
				return nil, invalidTemplate("Template error: resource %s does not support attribute type %s in Fn::GetAtt (in the sandbox)", id, attribute)
			}
			return v, nil
		},
	}
}

func missingResource(id, _ string) (any, error) {
	return nil, invalidTemplate("the resource %s is not part of the stack: its condition is false", id)
}

// knownLater stands for what is known only when a resource has been made.
func knownLater(string, string) (any, error) { return "{{changeSet:KNOWN_AFTER_APPLY}}", nil }

// wantedIn lists the resources that a state has, in order.
func (st *stack) wantedIn(next stackState) ([]string, error) {
	order, err := next.template.order()
	if err != nil {
		return nil, err
	}
	v := st.values(next, knownLater)
	var out []string
	for _, id := range order {
		if c := next.template.resources[id].condition; c != "" {
			yes, err := v.condition(c)
			if err != nil {
				return nil, err
			}
			if !yes {
				continue
			}
		}
		out = append(out, id)
	}
	return out, nil
}

// changesTo lists what a state would change.
func (st *stack) changesTo(next stackState) []types.Change {
	ids, err := st.wantedIn(next)
	if err != nil {
		return nil
	}
	var out []types.Change
	add := func(action types.ChangeAction, id, kind, physical string, replaces types.Replacement, scope []types.ResourceAttribute) {
		out = append(out, types.Change{Type: types.ChangeTypeResource, ResourceChange: &types.ResourceChange{
			Action: action, LogicalResourceId: &id, ResourceType: &kind, PhysicalResourceId: optional(physical), Replacement: replaces, Scope: scope}})
	}
	v := st.values(next, knownLater)
	for _, id := range ids {
		r := next.template.resources[id]
		have, ok := st.resources[id]
		if !ok {
			add(types.ChangeActionAdd, id, r.kind, "", "", nil)
			continue
		}
		p, err := v.value(r.properties)
		if err != nil {
			continue // carrying it out will say so
		}
		changed := differing(have.properties, p.(map[string]any))
		if len(changed) == 0 {
			continue
		}
		replaces := types.ReplacementFalse
		if resourceKinds[r.kind].replaces(changed) {
			replaces = types.ReplacementTrue
		}
		add(types.ChangeActionModify, id, r.kind, have.made.physical, replaces, []types.ResourceAttribute{types.ResourceAttributeProperties})
	}
	for _, r := range st.byName() {
		if !slices.Contains(ids, r.id) {
			add(types.ChangeActionRemove, r.id, r.kind, r.made.physical, "", nil)
		}
	}
	return out
}

// differing lists the properties whose values are not the same.
func differing(a, b map[string]any) []string {
	var out []string
	for _, k := range sortedNames(a) {
		if !reflect.DeepEqual(plainTree(a[k]), plainTree(b[k])) {
			out = append(out, k)
		}
	}
	for _, k := range sortedNames(b) {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	return out
}

// plainTree makes scalars texts: 5 and "5" are the same to CloudFormation.
func plainTree(n any) any {
	switch x := n.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, v := range x {
			out[k] = plainTree(v)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, v := range x {
			out[i] = plainTree(v)
		}
		return out
	}
	return textOf(n)
}

func (k resourceKind) replaces(changed []string) bool {
	return k.update == nil || slices.ContainsFunc(changed, func(p string) bool { return slices.Contains(k.replaceOn, p) })
}

// deployment is one creation or update under way.
type deployment struct {
	st    *stack
	next  stackState
	first bool
	ids   []string
	undo  []func() // newest last: what takes back what was done
	old   []*stackResource
	at    int
}

// deploy carries a state out, one resource after the other, as timed events.
func (st *stack) deploy(next stackState, first bool) {
	st.busy = true
	d := &deployment{st: st, next: next, first: first}
	ids, err := st.wantedIn(next)
	if err != nil {
		d.fail(err)
		return
	}
	d.ids = ids
	d.then(d.step)
}

func (d *deployment) then(f func()) { d.st.svc.r.after(d.st.svc.r.setup(resourceTime), f) }

// step makes or changes the next resource.
func (d *deployment) step() {
	if d.at == len(d.ids) {
		d.finish()
		return
	}
	id := d.ids[d.at]
	d.at++
	r := d.next.template.resources[id]
	got, err := d.st.values(d.next, missingResource).value(r.properties)
	if err != nil {
		d.fail(err)
		return
	}
	p := got.(map[string]any)
	have, exists := d.st.resources[id]
	kind := resourceKinds[r.kind]
	switch {
	case !exists:
		d.create(r, p)
	case have.kind != r.kind:
		d.fail(fmt.Errorf("Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s]", id)) //nolint:staticcheck // AWS's text
	default:
		changed := differing(have.properties, p)
		have.retain, have.needs = r.retain, d.next.template.needs(r)
		switch {
		case len(changed) == 0:
			d.step()
		case kind.replaces(changed):
			d.note(have, types.ResourceStatusUpdateInProgress, "Requested update requires the creation of a new physical resource; hence creating one.")
			old := *have
			d.old = append(d.old, &old)
			d.create(r, p)
		default:
			d.change(have, kind, p)
		}
	}
}

// create makes a resource and waits until it is ready.
func (d *deployment) create(r *templateResource, p map[string]any) {
	st := d.st
	before := st.resources[r.id]
	x := &stackResource{id: r.id, kind: r.kind, properties: p, retain: r.retain, needs: d.next.template.needs(r)}
	d.note(x, types.ResourceStatusCreateInProgress, "")
	kind := resourceKinds[r.kind]
	got, err := kind.create(&maker{r: st.svc.r, stack: st.name, id: r.id, tags: d.next.tags}, properties(p))
	if err != nil {
		d.note(x, types.ResourceStatusCreateFailed, errorText(err))
		st.resources[r.id] = before
		if before == nil {
			delete(st.resources, r.id)
		}
		d.fail(fmt.Errorf("The following resource(s) failed to create: [%s]. ", r.id)) //nolint:staticcheck // AWS's text
		return
	}
	x.made = got
	st.resources[r.id] = x
	d.undo = append(d.undo, func() {
		d.note(x, types.ResourceStatusDeleteInProgress, "")
		if err := st.remove(x); err != nil {
			d.note(x, types.ResourceStatusDeleteFailed, errorText(err))
			return
		}
		d.note(x, types.ResourceStatusDeleteComplete, "")
		delete(st.resources, r.id)
		if before != nil {
			st.resources[r.id] = before
		}
	})
	d.note(x, types.ResourceStatusCreateInProgress, "Resource creation Initiated")
	d.whenReady(x, kind, st.svc.r.now().Add(readyMost), types.ResourceStatusCreateComplete)
}

func (d *deployment) whenReady(x *stackResource, kind resourceKind, until time.Time, done types.ResourceStatus) {
	r := d.st.svc.r
	if kind.settle != nil {
		ready, err := kind.settle(&maker{r: r, stack: d.st.name, id: x.id, tags: d.next.tags}, x.made, properties(x.properties))
		if err == nil && !ready && r.now().After(until) {
			err = fail("NotStabilized", "Resource did not stabilize.")
		}
		if err != nil {
			d.note(x, types.ResourceStatusCreateFailed, errorText(err))
			d.fail(fmt.Errorf("The following resource(s) failed to create: [%s]. ", x.id)) //nolint:staticcheck // AWS's text
			return
		}
		if !ready {
			r.after(r.setup(readyLook), func() { d.whenReady(x, kind, until, done) })
			return
		}
	}
	d.note(x, done, "")
	d.then(d.step)
}

// change updates a resource in place.
func (d *deployment) change(x *stackResource, kind resourceKind, p map[string]any) {
	old := x.properties
	d.note(x, types.ResourceStatusUpdateInProgress, "")
	m := &maker{r: d.st.svc.r, stack: d.st.name, id: x.id, tags: d.next.tags}
	if err := kind.update(m, &x.made, properties(old), properties(p)); err != nil {
		d.note(x, types.ResourceStatusUpdateFailed, errorText(err))
		d.fail(fmt.Errorf("The following resource(s) failed to update: [%s]. ", x.id)) //nolint:staticcheck // AWS's text
		return
	}
	x.properties = p
	d.undo = append(d.undo, func() {
		d.note(x, types.ResourceStatusUpdateInProgress, "")
		if err := kind.update(m, &x.made, properties(p), properties(old)); err != nil {
			d.note(x, types.ResourceStatusUpdateFailed, errorText(err))
			return
		}
		x.properties = old
		d.note(x, types.ResourceStatusUpdateComplete, "")
	})
	d.whenReady(x, kind, d.st.svc.r.now().Add(readyMost), types.ResourceStatusUpdateComplete)
}

// note records a resource's status and tells it to the stack's events.
func (d *deployment) note(x *stackResource, status types.ResourceStatus, reason string) {
	d.st.note(x, status, reason)
}

func (st *stack) note(x *stackResource, status types.ResourceStatus, reason string) {
	x.status, x.reason, x.at = status, reason, st.svc.r.now()
	st.event(x.id, x.made.physical, x.kind, status, reason)
}

// finish ends a deployment that went well: what is not wanted any more goes.
func (d *deployment) finish() {
	st := d.st
	outputs, err := st.outputsOf(d.next)
	if err != nil {
		d.fail(err)
		return
	}
	st.template, st.parameters, st.tags, st.outputs = d.next.template, d.next.parameters, d.next.tags, outputs
	if d.first {
		st.busy = false
		st.become(types.StackStatusCreateComplete, "")
		return
	}
	st.updated = st.svc.r.now()
	doomed := d.old
	for _, x := range st.inOrder() {
		if !slices.Contains(d.ids, x.id) {
			doomed = append(doomed, x)
		}
	}
	st.become(types.StackStatusUpdateCompleteCleanupInProgress, "")
	d.then(func() {
		for i := len(doomed) - 1; i >= 0; i-- {
			x := doomed[i]
			if st.resources[x.id] != nil && st.resources[x.id].made.physical == x.made.physical {
				delete(st.resources, x.id)
			}
			st.takeAway(x) // a failure is an event; the update stands (CFN user guide, cleanup)
		}
		st.busy = false
		st.become(types.StackStatusUpdateComplete, "")
	})
}

func (st *stack) outputsOf(next stackState) ([]types.Output, error) {
	v := st.values(next, missingResource)
	var out []types.Output
	for _, name := range sortedNames(next.template.outputs) {
		o := next.template.outputs[name]
		if c := textOf(o["Condition"]); c != "" {
			yes, err := v.condition(c)
			if err != nil {
				return nil, err
			}
			if !yes {
				continue
			}
		}
		text, err := v.text(o["Value"])
		if err != nil {
			return nil, err
		}
		out = append(out, types.Output{OutputKey: aws.String(name), OutputValue: &text, Description: optional(textOf(o["Description"]))})
	}
	return out, nil
}

// fail takes back what was done, unless the stack was asked to keep it.
func (d *deployment) fail(err error) {
	st := d.st
	failed, going, done := types.StackStatusCreateFailed, types.StackStatusRollbackInProgress, types.StackStatusRollbackComplete
	if !d.first {
		failed, going, done = types.StackStatusUpdateFailed, types.StackStatusUpdateRollbackInProgress, types.StackStatusUpdateRollbackComplete
	}
	if st.noRollback {
		st.busy = false
		st.become(failed, errorText(err))
		return
	}
	st.become(going, errorText(err)+"Rollback requested by user.")
	var back func()
	back = func() {
		if len(d.undo) == 0 {
			st.busy = false
			st.become(done, "")
			return
		}
		last := d.undo[len(d.undo)-1]
		d.undo = d.undo[:len(d.undo)-1]
		last()
		d.then(back)
	}
	d.then(back)
}

// inOrder lists the stack's resources, each after those that it needs.
func (st *stack) inOrder() []*stackResource {
	var out []*stackResource
	seen := map[string]bool{}
	var visit func(x *stackResource)
	visit = func(x *stackResource) {
		if x == nil || seen[x.id] {
			return
		}
		seen[x.id] = true
		for _, n := range x.needs {
			visit(st.resources[n])
		}
		out = append(out, x)
	}
	for _, x := range st.byName() {
		visit(x)
	}
	return out
}

// demolish deletes the stack's resources, those that others need last.
func (st *stack) demolish() {
	st.busy = true
	order, failed := st.inOrder(), []string{}
	var step func()
	step = func() {
		if len(order) > 0 {
			x := order[len(order)-1]
			order = order[:len(order)-1]
			if st.takeAway(x) {
				delete(st.resources, x.id)
			} else {
				failed = append(failed, x.id)
			}
			st.svc.r.after(st.svc.r.setup(resourceTime), step)
			return
		}
		st.busy = false
		if len(failed) > 0 {
			sort.Strings(failed)
			st.become(types.StackStatusDeleteFailed, fmt.Sprintf("The following resource(s) failed to delete: [%s]. ", strings.Join(failed, ", ")))
			return
		}
		st.deleted = st.svc.r.now()
		st.become(types.StackStatusDeleteComplete, "")
		delete(st.svc.stacks, st.name)
		st.svc.gone = append(st.svc.gone, st)
		if len(st.svc.gone) > 100 {
			st.svc.gone = st.svc.gone[1:]
		}
	}
	st.svc.r.after(st.svc.r.setup(resourceTime), step)
}

// takeAway deletes one resource with its events and reports whether it is gone.
func (st *stack) takeAway(x *stackResource) bool {
	if x.retain {
		st.note(x, types.ResourceStatusDeleteSkipped, "")
		return true
	}
	st.note(x, types.ResourceStatusDeleteInProgress, "")
	if err := st.remove(x); err != nil {
		st.note(x, types.ResourceStatusDeleteFailed, errorText(err))
		return false
	}
	st.note(x, types.ResourceStatusDeleteComplete, "")
	return true
}

// remove deletes a resource; one that somebody deleted already is gone.
func (st *stack) remove(x *stackResource) error {
	err := resourceKinds[x.kind].remove(&maker{r: st.svc.r, stack: st.name, id: x.id}, x.made, properties(x.properties))
	if err != nil && isGone(err) {
		return nil
	}
	return err
}

// isGone reports that a resource is not there.
func isGone(err error) bool {
	code, _, _ := asAPIError(err)
	return strings.Contains(code, "NotFound") || strings.Contains(code, "DoesNotExist") || strings.Contains(code, "NonExistent") || strings.HasPrefix(code, "NoSuch")
}

// errorText is an error as an event shows it.
func errorText(err error) string {
	code, message, _ := asAPIError(err)
	if code == "InternalFailure" || code == "ValidationError" {
		return message
	}
	return fmt.Sprintf("%s (Error Code: %s)", message, code)
}
