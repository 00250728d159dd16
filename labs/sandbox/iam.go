package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// This file has IAM as far as pipelines need it: roles, and what their policies
// allow. A role that was made here holds the functions and deliveries that use it
// to its policies. A role that was not (any ARN will do in a scenario) may do
// everything: the sandbox cannot know what it allows.

// iamStore is the account's roles; IAM has no regions.
type iamStore struct {
	roles map[string]*role // by name
}

type role struct {
	types.Role
	inline   map[string]string // policy documents by name
	attached []string          // ARNs of managed policies
	rights   []right           // what all of them say; see reread
}

// reread reads the role's policies again after a change of them.
func (r *role) reread() {
	documents := []string{}
	for _, name := range sortedNames(r.inline) {
		documents = append(documents, r.inline[name])
	}
	for _, arn := range r.attached {
		documents = append(documents, managedPolicies[managedName(arn)])
	}
	r.rights = nil
	for _, d := range documents {
		if more, err := readRights(d); err == nil { // it was checked when it came in
			r.rights = append(r.rights, more...)
		}
	}
}

// managedPolicies are AWS's policies that the sandbox knows, by the part of their
// ARN after policy/ (IAM managed policy reference).
var managedPolicies = map[string]string{
	"service-role/AWSLambdaBasicExecutionRole":    `{"Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
	"service-role/AWSLambdaSQSQueueExecutionRole": `{"Statement":[{"Effect":"Allow","Action":["sqs:ReceiveMessage","sqs:DeleteMessage","sqs:GetQueueAttributes","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
	"service-role/AWSLambdaKinesisExecutionRole":  `{"Statement":[{"Effect":"Allow","Action":["kinesis:DescribeStream","kinesis:DescribeStreamSummary","kinesis:GetRecords","kinesis:GetShardIterator","kinesis:ListShards","kinesis:ListStreams","kinesis:SubscribeToShard","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
}

func newIAM(r *Region) {
	if r.sb.iam == nil {
		r.sb.iam = &iamStore{roles: map[string]*role{}}
	}
	s := r.sb.iam
	handle(r, "iam", "CreateRole", func(_ context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
		return s.createRole(r, in)
	})
	handle(r, "iam", "GetRole", s.getRole)
	handle(r, "iam", "ListRoles", s.listRoles)
	handle(r, "iam", "DeleteRole", s.deleteRole)
	handle(r, "iam", "UpdateAssumeRolePolicy", s.updateTrust)
	handle(r, "iam", "PutRolePolicy", s.putRolePolicy)
	handle(r, "iam", "GetRolePolicy", s.getRolePolicy)
	handle(r, "iam", "ListRolePolicies", s.listRolePolicies)
	handle(r, "iam", "DeleteRolePolicy", s.deleteRolePolicy)
	handle(r, "iam", "AttachRolePolicy", s.attach)
	handle(r, "iam", "DetachRolePolicy", s.detach)
	handle(r, "iam", "ListAttachedRolePolicies", s.listAttached)
}

var roleName = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)

func (s *iamStore) find(name *string) (*role, error) {
	if r, ok := s.roles[deref(name)]; ok {
		return r, nil
	}
	return nil, iamError(http.StatusNotFound, "NoSuchEntity", fmt.Sprintf("The role with name %s cannot be found.", deref(name)))
}

// iamError is an error with IAM's own code and status.
func iamError(status int, code, message string) error {
	return statusError{asGeneric(fail(code, "%s", message)), status}
}

func badDocument(err error) error {
	return iamError(http.StatusBadRequest, "MalformedPolicyDocument", "This policy contains invalid Json: "+err.Error())
}

func (s *iamStore) createRole(r *Region, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	if in.PermissionsBoundary != nil {
		return nil, unsupported("PermissionsBoundary")
	}
	name := deref(in.RoleName)
	if !roleName.MatchString(name) {
		return nil, fail("ValidationError", "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-")
	}
	if _, exists := s.roles[name]; exists {
		return nil, iamError(http.StatusConflict, "EntityAlreadyExists", "Role with name "+name+" already exists.")
	}
	if !json.Valid([]byte(deref(in.AssumeRolePolicyDocument))) {
		return nil, badDocument(fmt.Errorf("the trust policy"))
	}
	path := deref(in.Path)
	if path == "" {
		path = "/"
	}
	s.roles[name] = &role{inline: map[string]string{}, Role: types.Role{
		RoleName: &name, Path: &path, Arn: aws.String("arn:aws:iam::" + Account + ":role" + path + name), Tags: in.Tags, Description: in.Description,
		RoleId: aws.String("AROA" + strings.ToUpper(strings.ReplaceAll(r.id(), "-", ""))[:17]), CreateDate: aws.Time(r.now().Truncate(time.Second)),
		AssumeRolePolicyDocument: aws.String(url.QueryEscape(*in.AssumeRolePolicyDocument)), MaxSessionDuration: aws.Int32(3600),
	}}
	return &iam.CreateRoleOutput{Role: &s.roles[name].Role}, nil
}

func (s *iamStore) getRole(_ context.Context, in *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.GetRoleOutput{Role: &r.Role}, nil
}

func (s *iamStore) listRoles(_ context.Context, in *iam.ListRolesInput) (*iam.ListRolesOutput, error) {
	out := &iam.ListRolesOutput{Roles: []types.Role{}}
	for _, name := range sortedNames(s.roles) {
		if r := s.roles[name]; strings.HasPrefix(deref(r.Path), deref(in.PathPrefix)) {
			out.Roles = append(out.Roles, r.Role)
		}
	}
	return out, nil
}

func (s *iamStore) deleteRole(_ context.Context, in *iam.DeleteRoleInput) (*iam.DeleteRoleOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	if len(r.inline) > 0 || len(r.attached) > 0 {
		return nil, iamError(http.StatusConflict, "DeleteConflict", "Cannot delete entity, must delete policies first.")
	}
	delete(s.roles, *in.RoleName)
	return &iam.DeleteRoleOutput{}, nil
}

func (s *iamStore) updateTrust(_ context.Context, in *iam.UpdateAssumeRolePolicyInput) (*iam.UpdateAssumeRolePolicyOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	r.AssumeRolePolicyDocument = aws.String(url.QueryEscape(deref(in.PolicyDocument)))
	return &iam.UpdateAssumeRolePolicyOutput{}, nil
}

func (s *iamStore) putRolePolicy(_ context.Context, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	if _, err := readRights(deref(in.PolicyDocument)); err != nil {
		return nil, badDocument(err)
	}
	r.inline[deref(in.PolicyName)] = *in.PolicyDocument
	r.reread()
	return &iam.PutRolePolicyOutput{}, nil
}

func (s *iamStore) getRolePolicy(_ context.Context, in *iam.GetRolePolicyInput) (*iam.GetRolePolicyOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	doc, ok := r.inline[deref(in.PolicyName)]
	if !ok {
		return nil, noSuchPolicy(deref(in.PolicyName))
	}
	return &iam.GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: aws.String(url.QueryEscape(doc))}, nil
}

func noSuchPolicy(name string) error {
	return iamError(http.StatusNotFound, "NoSuchEntity", fmt.Sprintf("The role policy with name %s cannot be found.", name))
}

func (s *iamStore) listRolePolicies(_ context.Context, in *iam.ListRolePoliciesInput) (*iam.ListRolePoliciesOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.ListRolePoliciesOutput{PolicyNames: sortedNames(r.inline)}, nil
}

func (s *iamStore) deleteRolePolicy(_ context.Context, in *iam.DeleteRolePolicyInput) (*iam.DeleteRolePolicyOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	if _, ok := r.inline[deref(in.PolicyName)]; !ok {
		return nil, noSuchPolicy(deref(in.PolicyName))
	}
	delete(r.inline, *in.PolicyName)
	r.reread()
	return &iam.DeleteRolePolicyOutput{}, nil
}

func (s *iamStore) attach(_ context.Context, in *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	if _, ok := managedPolicies[managedName(deref(in.PolicyArn))]; !ok {
		return nil, iamError(http.StatusNotFound, "NoSuchEntity", fmt.Sprintf("Policy %s does not exist or is not attachable. (the sandbox knows %s)",
			deref(in.PolicyArn), strings.Join(sortedNames(managedPolicies), ", ")))
	}
	if !slices.Contains(r.attached, *in.PolicyArn) {
		r.attached = append(r.attached, *in.PolicyArn)
		r.reread()
	}
	return &iam.AttachRolePolicyOutput{}, nil
}

func managedName(arn string) string { return strings.TrimPrefix(arn, "arn:aws:iam::aws:policy/") }

func (s *iamStore) detach(_ context.Context, in *iam.DetachRolePolicyInput) (*iam.DetachRolePolicyOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	at := slices.Index(r.attached, deref(in.PolicyArn))
	if at < 0 {
		return nil, noSuchPolicy(deref(in.PolicyArn))
	}
	r.attached = slices.Delete(r.attached, at, at+1)
	r.reread()
	return &iam.DetachRolePolicyOutput{}, nil
}

func (s *iamStore) listAttached(_ context.Context, in *iam.ListAttachedRolePoliciesInput) (*iam.ListAttachedRolePoliciesOutput, error) {
	r, err := s.find(in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &iam.ListAttachedRolePoliciesOutput{AttachedPolicies: []types.AttachedPolicy{}}
	for _, arn := range r.attached {
		out.AttachedPolicies = append(out.AttachedPolicies, types.AttachedPolicy{PolicyArn: aws.String(arn), PolicyName: aws.String(tail(arn, "/"))})
	}
	return out, nil
}

// right is one statement of an identity policy.
type right struct {
	allow     bool
	actions   []string
	resources []string
}

// readRights parses an identity policy. Conditions are not evaluated: a statement
// with one is refused, so that nobody believes in it.
func readRights(text string) ([]right, error) {
	var doc struct {
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	type line struct {
		Effect                            string
		Action, Resource                  oneOrMany
		Condition, NotAction, NotResource json.RawMessage
	}
	var lines []line
	if err := json.Unmarshal(doc.Statement, &lines); err != nil {
		var one line
		if err := json.Unmarshal(doc.Statement, &one); err != nil {
			return nil, err
		}
		lines = []line{one}
	}
	var out []right
	for _, l := range lines {
		if l.Condition != nil || l.NotAction != nil || l.NotResource != nil {
			return nil, fmt.Errorf("the sandbox does not support Condition, NotAction and NotResource in the policies of roles")
		}
		out = append(out, right{l.Effect == "Allow", l.Action, l.Resource})
	}
	return out, nil
}

func (x right) covers(action, resource string) bool {
	return slices.ContainsFunc(x.actions, func(a string) bool { return matches(strings.ToLower(a), strings.ToLower(action)) }) &&
		slices.ContainsFunc(x.resources, func(r string) bool { return resource == "*" || matches(r, resource) })
}

// may reports whether a role's policies allow an action on a resource, "*" where
// the resource is not known. A denial wins over everything.
func (s *iamStore) may(roleARN, action, resource string) bool {
	r, ok := s.roles[tail(roleARN, "/")]
	if !ok || deref(r.Arn) != roleARN {
		return true
	}
	allowed := false
	for _, x := range r.rights {
		if x.covers(action, resource) {
			if !x.allow {
				return false
			}
			allowed = true
		}
	}
	return allowed
}

// trusts reports whether a role lets a service use it.
func (s *iamStore) trusts(roleARN, service string) bool {
	r, ok := s.roles[tail(roleARN, "/")]
	if !ok || deref(r.Arn) != roleARN {
		return true
	}
	text, err := url.QueryUnescape(deref(r.AssumeRolePolicyDocument))
	return err == nil && strings.Contains(text, `"`+service+`"`)
}

// iamActions are the services whose actions have another prefix than ours.
var iamActions = map[string]string{"tagging": "tag"}

// roleKey marks the context of a call that a role makes, from within.
type roleKey struct{}

// allowed checks a call from within against the role that makes it.
func (r *Region) allowed(ctx context.Context, op *operation, in any) error {
	arn, ok := ctx.Value(roleKey{}).(string)
	if !ok {
		return nil
	}
	prefix := op.service
	if p, ok := iamActions[prefix]; ok {
		prefix = p
	}
	action, resource := prefix+":"+singular(op.name), r.resourceOf(op, in)
	if r.sb.iam.may(arn, action, resource) {
		return nil
	}
	return statusError{asGeneric(fail(deniedCode(op.service), "User: arn:aws:sts::%s:assumed-role/%s/sandbox is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action",
		Account, tail(arn, "/"), action, resource, action)), http.StatusForbidden}
}

// singular is the action's name where it is not the operation's: the batches of
// SQS and SNS are allowed by the action for one (service authorization reference).
func singular(operation string) string {
	switch operation {
	case "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "PublishBatch":
		return strings.TrimSuffix(operation, "Batch")
	case "ListObjectsV2":
		return "ListBucket"
	case "HeadObject":
		return "GetObject"
	case "CopyObject":
		return "PutObject"
	case "TransactWriteItems": // each item by its own action; most of ours put
		return "PutItem"
	}
	return operation
}

// resourceOf is the ARN that a call is about, "*" where it is not known.
func (r *Region) resourceOf(op *operation, in any) string {
	if c, ok := in.(*s3Call); ok {
		return strings.TrimSuffix("arn:aws:s3:::"+c.bucket+"/"+c.key, "/")
	}
	text := func(field string) string {
		v := reflect.Indirect(reflect.ValueOf(in))
		if v.Kind() != reflect.Struct {
			return ""
		}
		f := reflect.Indirect(v.FieldByName(field))
		if !f.IsValid() || f.Kind() != reflect.String {
			return ""
		}
		return f.String()
	}
	for _, f := range []string{"StreamARN", "TopicArn", "TargetArn", "FunctionName", "TableName", "QueueUrl", "StreamName", "DeliveryStreamName"} {
		v := text(f)
		switch {
		case v == "":
		case strings.HasPrefix(v, "arn:"):
			return v
		case f == "QueueUrl":
			return string(r.arn("sqs", tail(v, "/")))
		case f == "StreamName":
			return string(r.arn("kinesis", "stream/"+v))
		case f == "DeliveryStreamName":
			return string(r.arn("firehose", "deliverystream/"+v))
		case f == "TableName":
			return string(r.arn("dynamodb", "table/"+v))
		case f == "FunctionName":
			return string(r.arn("lambda", "function:"+v))
		}
	}
	return "*"
}
