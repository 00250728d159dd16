package sandbox

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// This file has CloudFormation's operations: stacks and change sets.
// cloudformation_template.go reads templates, cloudformation_deploy.go carries
// them out, cloudformation_kinds.go and the files beside it have the resource
// types.

// keptStackEvents bounds what a stack remembers.
const keptStackEvents = 2000

// stackService is CloudFormation in one region.
type stackService struct {
	r      *Region
	stacks map[string]*stack // by name, those that are not deleted
	gone   []*stack          // deleted ones, which answer to their id, newest last
}

// stack is one stack.
type stack struct {
	svc        *stackService
	id, name   string
	status     types.StackStatus
	reason     string
	created    time.Time
	updated    time.Time
	deleted    time.Time
	template   *template // in force
	parameters map[string]any
	tags       []types.Tag
	resources  map[string]*stackResource
	outputs    []types.Output
	events     []types.StackEvent // oldest first
	changeSets map[string]*changeSet
	noRollback bool
	busy       bool
}

// stackResource is a resource that a stack made.
type stackResource struct {
	id, kind   string
	made       made
	properties map[string]any // resolved
	status     types.ResourceStatus
	reason     string
	at         time.Time
	retain     bool
	needs      []string
}

// changeSet is a change that was computed and not carried out yet.
type changeSet struct {
	id, name    string
	kind        types.ChangeSetType
	status      types.ChangeSetStatus
	execution   types.ExecutionStatus
	reason      string
	description string
	created     time.Time
	next        stackState
	changes     []types.Change
}

// stackState is what a stack shall become.
type stackState struct {
	template   *template
	parameters map[string]any
	tags       []types.Tag
}

func newCloudFormation(r *Region) {
	s := &stackService{r: r, stacks: map[string]*stack{}}
	handle(r, "cloudformation", "CreateChangeSet", s.createChangeSet)
	handle(r, "cloudformation", "DescribeChangeSet", s.describeChangeSet)
	handle(r, "cloudformation", "ExecuteChangeSet", s.executeChangeSet)
	handle(r, "cloudformation", "DeleteChangeSet", s.deleteChangeSet)
	handle(r, "cloudformation", "CreateStack", s.createStack)
	handle(r, "cloudformation", "UpdateStack", s.updateStack)
	handle(r, "cloudformation", "DeleteStack", s.deleteStack)
	handle(r, "cloudformation", "DescribeStacks", s.describeStacks)
	handle(r, "cloudformation", "ListStacks", s.listStacks)
	handle(r, "cloudformation", "DescribeStackEvents", s.describeEvents)
	handle(r, "cloudformation", "DescribeStackResources", s.describeResources)
	handle(r, "cloudformation", "ListStackResources", s.listResources)
	handle(r, "cloudformation", "GetTemplate", s.templateOf)
	handle(r, "cloudformation", "ValidateTemplate", s.validate)
}

func (s *stackService) find(name *string) (*stack, error) {
	if st, ok := s.stacks[deref(name)]; ok {
		return st, nil
	}
	for _, st := range s.stacks {
		if st.id == deref(name) {
			return st, nil
		}
	}
	for _, st := range s.gone {
		if st.id == deref(name) {
			return st, nil
		}
	}
	return nil, fail("ValidationError", "Stack with id %s does not exist", deref(name))
}

var stackNames = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// wanted is what a request asks a stack to become.
type wanted struct {
	body, url    *string
	previous     *bool
	parameters   []types.Parameter
	tags         []types.Tag
	capabilities []types.Capability
}

// state checks a request and resolves its parameters.
func (s *stackService) state(w wanted, now *stack) (stackState, error) {
	if w.url != nil {
		return stackState{}, unsupported("TemplateURL")
	}
	next := stackState{tags: w.tags}
	var err error
	switch {
	case deref(w.previous) && now != nil && now.template != nil:
		next.template = now.template
	case w.body == nil:
		return next, fail("ValidationError", "Either Template URL or Template Body must be specified.")
	default:
		if next.template, err = readTemplate(*w.body); err != nil {
			return next, err
		}
	}
	if err := next.template.capable(w.capabilities); err != nil {
		return next, err
	}
	var before map[string]any
	if now != nil {
		before = now.parameters
	}
	next.parameters, err = next.template.settle(w.parameters, before)
	return next, err
}

// capable insists on the acknowledgement that AWS wants for roles.
func (t *template) capable(given []types.Capability) error {
	need, named := false, false
	for _, r := range t.resources {
		if strings.HasPrefix(r.kind, "AWS::IAM::") {
			need = true
			named = named || r.properties["RoleName"] != nil
		}
	}
	all := slices.Contains(given, types.CapabilityCapabilityNamedIam)
	switch {
	case named && !all:
		return fail("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]")
	case need && !all && !slices.Contains(given, types.CapabilityCapabilityIam):
		return fail("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]")
	}
	return nil
}

// settle gives each parameter its value and checks it.
func (t *template) settle(given []types.Parameter, before map[string]any) (map[string]any, error) {
	texts := map[string]string{}
	for _, p := range given {
		name := deref(p.ParameterKey)
		if _, known := t.parameters[name]; !known {
			return nil, fail("ValidationError", "Parameters: [%s] do not exist in the template", name)
		}
		if deref(p.UsePreviousValue) {
			if old, ok := before[name]; ok {
				texts[name] = joined(old)
				continue
			}
			return nil, fail("ValidationError", "Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", name)
		}
		texts[name] = deref(p.ParameterValue)
	}
	out := map[string]any{}
	for _, name := range sortedNames(t.parameters) {
		m := t.parameters[name]
		text, ok := texts[name]
		if !ok {
			if m["Default"] == nil {
				return nil, fail("ValidationError", "Parameters: [%s] must have values", name)
			}
			text = textOf(m["Default"])
		}
		v, err := checkParameter(name, text, m)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

func joined(v any) string {
	list, ok := v.([]any)
	if !ok {
		return textOf(v)
	}
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = textOf(x)
	}
	return strings.Join(parts, ",")
}

// checkParameter holds a value to what the template says of it.
func checkParameter(name, text string, m map[string]any) (any, error) {
	bad := func(why string) error {
		if c := textOf(m["ConstraintDescription"]); c != "" {
			why = "failed to satisfy constraint: " + c
		}
		return fail("ValidationError", "Parameter %s %s", name, why)
	}
	if list, ok := m["AllowedValues"].([]any); ok && !slices.ContainsFunc(list, func(x any) bool { return textOf(x) == text }) {
		return nil, bad("must be one of AllowedValues")
	}
	if p := textOf(m["AllowedPattern"]); p != "" {
		re, err := regexp.Compile(`^(?:` + p + `)$`)
		if err != nil {
			return nil, invalidTemplate("[/Parameters/%s] AllowedPattern: %v", name, err)
		}
		if !re.MatchString(text) {
			return nil, bad("must match pattern " + p)
		}
	}
	if err := within(m, "Min", "Max", "Length", float64(len(text))); err != "" {
		return nil, bad(err)
	}
	switch kind := textOf(m["Type"]); kind {
	case "String":
	case "Number":
		n, ok := asNumber(text)
		if !ok {
			return nil, bad("must be a number")
		}
		if err := within(m, "Min", "Max", "Value", n); err != "" {
			return nil, bad(err)
		}
	case "CommaDelimitedList":
		list := []any{}
		for _, p := range strings.Split(text, ",") {
			list = append(list, strings.TrimSpace(p))
		}
		return list, nil
	default:
		return nil, invalidTemplate("[/Parameters/%s] the sandbox does not support parameters of type %q", name, kind)
	}
	return text, nil
}

func within(m map[string]any, least, most, what string, n float64) string {
	if x, ok := asNumber(textOf(m[least+what])); ok && m[least+what] != nil && n < x {
		return fmt.Sprintf("must have a %s of at least %v", strings.ToLower(what), x)
	}
	if x, ok := asNumber(textOf(m[most+what])); ok && m[most+what] != nil && n > x {
		return fmt.Sprintf("must have a %s of at most %v", strings.ToLower(what), x)
	}
	return ""
}

func (s *stackService) newStack(name string, status types.StackStatus) *stack {
	st := &stack{svc: s, name: name, id: string(s.r.arn("cloudformation", "stack/"+name+"/"+s.r.id())), created: s.r.now(),
		resources: map[string]*stackResource{}, changeSets: map[string]*changeSet{}}
	s.stacks[name] = st
	st.become(status, "")
	return st
}

func (s *stackService) createStack(_ context.Context, in *cloudformation.CreateStackInput) (*cloudformation.CreateStackOutput, error) {
	if err := firstSet(
		given{"StackPolicyBody", in.StackPolicyBody != nil}, given{"StackPolicyURL", in.StackPolicyURL != nil},
		given{"RollbackConfiguration", in.RollbackConfiguration != nil}, given{"RoleARN", in.RoleARN != nil},
		given{"EnableTerminationProtection", deref(in.EnableTerminationProtection)}, given{"ResourceTypes", len(in.ResourceTypes) > 0},
		given{"NotificationARNs", len(in.NotificationARNs) > 0}, given{"OnFailure DELETE", in.OnFailure == types.OnFailureDelete},
	); err != nil {
		return nil, err
	}
	if !stackNames.MatchString(deref(in.StackName)) {
		return nil, badStackName(deref(in.StackName))
	}
	if _, exists := s.stacks[*in.StackName]; exists {
		return nil, &types.AlreadyExistsException{Message: aws.String("Stack [" + *in.StackName + "] already exists")}
	}
	next, err := s.state(wanted{in.TemplateBody, in.TemplateURL, nil, in.Parameters, in.Tags, in.Capabilities}, nil)
	if err != nil {
		return nil, err
	}
	st := s.newStack(*in.StackName, types.StackStatusCreateInProgress)
	st.noRollback = deref(in.DisableRollback) || in.OnFailure == types.OnFailureDoNothing
	st.deploy(next, true)
	return &cloudformation.CreateStackOutput{StackId: &st.id}, nil
}

func badStackName(name string) error {
	return fail("ValidationError", "1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
}

func (s *stackService) updateStack(_ context.Context, in *cloudformation.UpdateStackInput) (*cloudformation.UpdateStackOutput, error) {
	if err := firstSet(
		given{"StackPolicyBody", in.StackPolicyBody != nil}, given{"RollbackConfiguration", in.RollbackConfiguration != nil},
		given{"RoleARN", in.RoleARN != nil}, given{"ResourceTypes", len(in.ResourceTypes) > 0},
	); err != nil {
		return nil, err
	}
	st, err := s.find(in.StackName)
	if err != nil {
		return nil, err
	}
	if err := st.canUpdate(); err != nil {
		return nil, err
	}
	next, err := s.state(wanted{in.TemplateBody, in.TemplateURL, in.UsePreviousTemplate, in.Parameters, in.Tags, in.Capabilities}, st)
	if err != nil {
		return nil, err
	}
	if len(st.changesTo(next)) == 0 {
		return nil, fail("ValidationError", "No updates are to be performed.")
	}
	st.noRollback = deref(in.DisableRollback)
	st.become(types.StackStatusUpdateInProgress, "User Initiated")
	st.deploy(next, false)
	return &cloudformation.UpdateStackOutput{StackId: &st.id}, nil
}

// updatable are the states from which a stack can be updated.
var updatable = []types.StackStatus{types.StackStatusCreateComplete, types.StackStatusUpdateComplete, types.StackStatusUpdateRollbackComplete}

func (st *stack) canUpdate() error {
	if st.busy || !slices.Contains(updatable, st.status) {
		return fail("ValidationError", "Stack:%s is in %s state and can not be updated.", st.id, st.status)
	}
	return nil
}

func (s *stackService) deleteStack(_ context.Context, in *cloudformation.DeleteStackInput) (*cloudformation.DeleteStackOutput, error) {
	if err := firstSet(given{"RoleARN", in.RoleARN != nil}, given{"DeletionMode", in.DeletionMode != "" && in.DeletionMode != types.DeletionModeStandard}); err != nil {
		return nil, err
	}
	st, err := s.find(in.StackName)
	if err != nil { // deleting what is not there succeeds (API reference, DeleteStack)
		return &cloudformation.DeleteStackOutput{}, nil
	}
	if st.status == types.StackStatusDeleteComplete {
		return &cloudformation.DeleteStackOutput{}, nil
	}
	if st.busy {
		return nil, fail("ValidationError", "Stack:%s is in %s state and can not be deleted.", st.id, st.status)
	}
	if len(in.RetainResources) > 0 && st.status != types.StackStatusDeleteFailed {
		return nil, fail("ValidationError", "Invalid operation on stack [%s]. Specify which resources to retain only when the stack is in the DELETE_FAILED state.", st.id)
	}
	for _, id := range in.RetainResources {
		if r, ok := st.resources[id]; ok {
			r.retain = true
		}
	}
	st.become(types.StackStatusDeleteInProgress, "User Initiated")
	st.demolish()
	return &cloudformation.DeleteStackOutput{}, nil
}

func (s *stackService) createChangeSet(_ context.Context, in *cloudformation.CreateChangeSetInput) (*cloudformation.CreateChangeSetOutput, error) {
	if err := firstSet(
		given{"RollbackConfiguration", in.RollbackConfiguration != nil}, given{"RoleARN", in.RoleARN != nil},
		given{"ResourceTypes", len(in.ResourceTypes) > 0}, given{"ResourcesToImport", len(in.ResourcesToImport) > 0},
		given{"IncludeNestedStacks", deref(in.IncludeNestedStacks)}, given{"NotificationARNs", len(in.NotificationARNs) > 0},
	); err != nil {
		return nil, err
	}
	kind := in.ChangeSetType
	if kind == "" {
		kind = types.ChangeSetTypeUpdate
	}
	if !stackNames.MatchString(deref(in.ChangeSetName)) {
		return nil, fail("ValidationError", "1 validation error detected: Value '%s' at 'changeSetName' failed to satisfy constraint", deref(in.ChangeSetName))
	}
	st, err := s.find(in.StackName)
	switch {
	case kind == types.ChangeSetTypeCreate && err != nil:
		if !stackNames.MatchString(deref(in.StackName)) {
			return nil, badStackName(deref(in.StackName))
		}
		st = nil
	case kind == types.ChangeSetTypeCreate && st.status != types.StackStatusReviewInProgress:
		return nil, fail("ValidationError", "Stack [%s] already exists and cannot be created again with the changeSet [%s].", st.name, *in.ChangeSetName)
	case kind == types.ChangeSetTypeImport:
		return nil, unsupported("ChangeSetType IMPORT")
	case err != nil:
		return nil, err
	case kind == types.ChangeSetTypeUpdate:
		if err := st.canUpdate(); err != nil {
			return nil, err
		}
	}
	next, err := s.state(wanted{in.TemplateBody, in.TemplateURL, in.UsePreviousTemplate, in.Parameters, in.Tags, in.Capabilities}, st)
	if err != nil {
		return nil, err
	}
	if st == nil {
		st = s.newStack(*in.StackName, types.StackStatusReviewInProgress)
	}
	if _, exists := st.changeSets[*in.ChangeSetName]; exists {
		return nil, &types.AlreadyExistsException{Message: aws.String("ChangeSet " + *in.ChangeSetName + " already exists")}
	}
	c := &changeSet{id: string(s.r.arn("cloudformation", "changeSet/"+*in.ChangeSetName+"/"+s.r.id())), name: *in.ChangeSetName, kind: kind, created: s.r.now(),
		description: deref(in.Description), next: next, changes: st.changesTo(next), status: types.ChangeSetStatusCreateComplete, execution: types.ExecutionStatusAvailable}
	if len(c.changes) == 0 {
		c.status, c.execution = types.ChangeSetStatusFailed, types.ExecutionStatusUnavailable
		c.reason = "The submitted information didn't contain changes. Submit different information to create a change set."
	}
	st.changeSets[c.name] = c
	return &cloudformation.CreateChangeSetOutput{Id: &c.id, StackId: &st.id}, nil
}

// changeSetOf finds a change set by its id, or by name and stack.
func (s *stackService) changeSetOf(name, stackName *string) (*stack, *changeSet, error) {
	for _, st := range s.stacks {
		for _, c := range st.changeSets {
			if c.id == deref(name) || c.name == deref(name) && (st.name == deref(stackName) || st.id == deref(stackName)) {
				return st, c, nil
			}
		}
	}
	return nil, nil, &types.ChangeSetNotFoundException{Message: aws.String(fmt.Sprintf("ChangeSet [%s] does not exist", deref(name)))}
}

func (s *stackService) describeChangeSet(_ context.Context, in *cloudformation.DescribeChangeSetInput) (*cloudformation.DescribeChangeSetOutput, error) {
	st, c, err := s.changeSetOf(in.ChangeSetName, in.StackName)
	if err != nil {
		return nil, err
	}
	return &cloudformation.DescribeChangeSetOutput{
		ChangeSetId: &c.id, ChangeSetName: &c.name, StackId: &st.id, StackName: &st.name, Status: c.status, ExecutionStatus: c.execution,
		StatusReason: optional(c.reason), Description: optional(c.description), CreationTime: aws.Time(c.created), Changes: c.changes, Tags: c.next.tags,
		Parameters: c.next.template.shownParameters(c.next.parameters),
	}, nil
}

// shownParameters are the values as they may be shown: NoEcho is not.
func (t *template) shownParameters(values map[string]any) []types.Parameter {
	var out []types.Parameter
	for _, name := range sortedNames(values) {
		shown := joined(values[name])
		if textOf(t.parameters[name]["NoEcho"]) == "true" {
			shown = "****"
		}
		out = append(out, types.Parameter{ParameterKey: aws.String(name), ParameterValue: &shown})
	}
	return out
}

func (s *stackService) executeChangeSet(_ context.Context, in *cloudformation.ExecuteChangeSetInput) (*cloudformation.ExecuteChangeSetOutput, error) {
	st, c, err := s.changeSetOf(in.ChangeSetName, in.StackName)
	if err != nil {
		return nil, err
	}
	if c.execution != types.ExecutionStatusAvailable || st.busy {
		return nil, &types.InvalidChangeSetStatusException{Message: aws.String(fmt.Sprintf("ChangeSet [%s] cannot be executed in its current status of [%s]", c.id, c.status))}
	}
	clear(st.changeSets) // the others are out of date now
	st.noRollback = deref(in.DisableRollback)
	first := c.kind == types.ChangeSetTypeCreate
	status := types.StackStatusUpdateInProgress
	if first {
		status = types.StackStatusCreateInProgress
	}
	st.become(status, "User Initiated")
	st.deploy(c.next, first)
	return &cloudformation.ExecuteChangeSetOutput{}, nil
}

func (s *stackService) deleteChangeSet(_ context.Context, in *cloudformation.DeleteChangeSetInput) (*cloudformation.DeleteChangeSetOutput, error) {
	if st, c, err := s.changeSetOf(in.ChangeSetName, in.StackName); err == nil {
		delete(st.changeSets, c.name)
	}
	return &cloudformation.DeleteChangeSetOutput{}, nil
}

func (st *stack) describe() types.Stack {
	out := types.Stack{StackId: &st.id, StackName: &st.name, StackStatus: st.status, StackStatusReason: optional(st.reason), CreationTime: aws.Time(st.created),
		Outputs: st.outputs, Tags: st.tags, DisableRollback: aws.Bool(st.noRollback)}
	if st.template != nil {
		out.Description = optional(st.template.description)
		out.Parameters = st.template.shownParameters(st.parameters)
	}
	if !st.updated.IsZero() {
		out.LastUpdatedTime = aws.Time(st.updated)
	}
	if !st.deleted.IsZero() {
		out.DeletionTime = aws.Time(st.deleted)
	}
	return out
}

func (s *stackService) describeStacks(_ context.Context, in *cloudformation.DescribeStacksInput) (*cloudformation.DescribeStacksOutput, error) {
	out := &cloudformation.DescribeStacksOutput{Stacks: []types.Stack{}}
	if in.StackName != nil {
		st, err := s.find(in.StackName)
		if err != nil {
			return nil, err
		}
		out.Stacks = append(out.Stacks, st.describe())
		return out, nil
	}
	for _, name := range sortedNames(s.stacks) {
		out.Stacks = append(out.Stacks, s.stacks[name].describe())
	}
	return out, nil
}

func (s *stackService) listStacks(_ context.Context, in *cloudformation.ListStacksInput) (*cloudformation.ListStacksOutput, error) {
	out := &cloudformation.ListStacksOutput{StackSummaries: []types.StackSummary{}}
	all := append([]*stack(nil), s.gone...)
	for _, name := range sortedNames(s.stacks) {
		all = append(all, s.stacks[name])
	}
	for _, st := range all {
		if len(in.StackStatusFilter) > 0 && !slices.Contains(in.StackStatusFilter, st.status) {
			continue
		}
		d := st.describe()
		out.StackSummaries = append(out.StackSummaries, types.StackSummary{StackId: d.StackId, StackName: d.StackName, StackStatus: d.StackStatus,
			StackStatusReason: d.StackStatusReason, CreationTime: d.CreationTime, LastUpdatedTime: d.LastUpdatedTime, DeletionTime: d.DeletionTime, TemplateDescription: d.Description})
	}
	return out, nil
}

// describeEvents answers the newest first, a hundred a page.
func (s *stackService) describeEvents(_ context.Context, in *cloudformation.DescribeStackEventsInput) (*cloudformation.DescribeStackEventsOutput, error) {
	st, err := s.find(in.StackName)
	if err != nil {
		return nil, err
	}
	at := len(st.events)
	if after := deref(in.NextToken); after != "" {
		at = slices.IndexFunc(st.events, func(e types.StackEvent) bool { return deref(e.EventId) == after })
		if at < 0 {
			return nil, fail("ValidationError", "Invalid NextToken")
		}
	}
	out := &cloudformation.DescribeStackEventsOutput{StackEvents: []types.StackEvent{}}
	for at > 0 && len(out.StackEvents) < 100 {
		at--
		out.StackEvents = append(out.StackEvents, st.events[at])
	}
	if at > 0 {
		out.NextToken = out.StackEvents[len(out.StackEvents)-1].EventId
	}
	return out, nil
}

func (st *stack) byName() []*stackResource {
	out := make([]*stackResource, 0, len(st.resources))
	for _, r := range st.resources {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].id < out[j].id })
	return out
}

func (s *stackService) describeResources(_ context.Context, in *cloudformation.DescribeStackResourcesInput) (*cloudformation.DescribeStackResourcesOutput, error) {
	if in.PhysicalResourceId != nil {
		return nil, unsupported("PhysicalResourceId")
	}
	st, err := s.find(in.StackName)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStackResourcesOutput{StackResources: []types.StackResource{}}
	for _, r := range st.byName() {
		if in.LogicalResourceId != nil && *in.LogicalResourceId != r.id {
			continue
		}
		out.StackResources = append(out.StackResources, types.StackResource{StackId: &st.id, StackName: &st.name, LogicalResourceId: &r.id,
			PhysicalResourceId: optional(r.made.physical), ResourceType: &r.kind, ResourceStatus: r.status, ResourceStatusReason: optional(r.reason), Timestamp: aws.Time(r.at)})
	}
	return out, nil
}

func (s *stackService) listResources(_ context.Context, in *cloudformation.ListStackResourcesInput) (*cloudformation.ListStackResourcesOutput, error) {
	st, err := s.find(in.StackName)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackResourcesOutput{StackResourceSummaries: []types.StackResourceSummary{}}
	for _, r := range st.byName() {
		out.StackResourceSummaries = append(out.StackResourceSummaries, types.StackResourceSummary{LogicalResourceId: &r.id,
			PhysicalResourceId: optional(r.made.physical), ResourceType: &r.kind, ResourceStatus: r.status, ResourceStatusReason: optional(r.reason), LastUpdatedTimestamp: aws.Time(r.at)})
	}
	return out, nil
}

func (s *stackService) templateOf(_ context.Context, in *cloudformation.GetTemplateInput) (*cloudformation.GetTemplateOutput, error) {
	st, err := s.find(in.StackName)
	if err != nil {
		return nil, err
	}
	if st.template == nil {
		return nil, fail("ValidationError", "Stack:%s is in %s state and has no template yet", st.id, st.status)
	}
	return &cloudformation.GetTemplateOutput{TemplateBody: &st.template.text, StagesAvailable: []types.TemplateStage{types.TemplateStageOriginal}}, nil
}

func (s *stackService) validate(_ context.Context, in *cloudformation.ValidateTemplateInput) (*cloudformation.ValidateTemplateOutput, error) {
	if in.TemplateURL != nil {
		return nil, unsupported("TemplateURL")
	}
	t, err := readTemplate(deref(in.TemplateBody))
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ValidateTemplateOutput{Description: optional(t.description)}
	for _, name := range sortedNames(t.parameters) {
		m := t.parameters[name]
		p := types.TemplateParameter{ParameterKey: aws.String(name), Description: optional(textOf(m["Description"])), NoEcho: aws.Bool(textOf(m["NoEcho"]) == "true")}
		if m["Default"] != nil {
			p.DefaultValue = aws.String(textOf(m["Default"]))
		}
		out.Parameters = append(out.Parameters, p)
	}
	if t.capable(nil) != nil {
		out.Capabilities = []types.Capability{types.CapabilityCapabilityIam}
		if t.capable(out.Capabilities) != nil {
			out.Capabilities = []types.Capability{types.CapabilityCapabilityNamedIam}
		}
		out.CapabilitiesReason = aws.String("The following resource(s) require capabilities: [AWS::IAM::Role]")
	}
	return out, nil
}

// become changes the stack's status and records it.
func (st *stack) become(status types.StackStatus, reason string) {
	st.status, st.reason = status, reason
	st.event(st.name, st.id, "AWS::CloudFormation::Stack", types.ResourceStatus(status), reason)
}

func (st *stack) event(logical, physical, kind string, status types.ResourceStatus, reason string) {
	if len(st.events) >= keptStackEvents {
		st.events = st.events[1:]
	}
	st.events = append(st.events, types.StackEvent{EventId: aws.String(st.svc.r.id()), StackId: &st.id, StackName: &st.name, LogicalResourceId: &logical,
		PhysicalResourceId: optional(physical), ResourceType: &kind, ResourceStatus: status, ResourceStatusReason: optional(reason), Timestamp: aws.Time(st.svc.r.now())})
}

// ask runs an operation of another service of the region, as a stack does.
func ask[O any](r *Region, service, operation string, in any) (*O, error) {
	op, ok := r.operations[service+"."+operation]
	if !ok {
		return nil, fmt.Errorf("the sandbox has no %s of %s", operation, service)
	}
	out, err := r.runInside(context.Background(), op, in)
	if err != nil {
		return nil, err
	}
	return out.(*O), nil
}
