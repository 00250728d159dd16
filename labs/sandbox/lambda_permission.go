package sandbox

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// permission is one statement of a function's resource policy: who may invoke it.
type permission struct {
	id, action, principal, source, account string
}

func (s *lambdaService) addPermission(_ context.Context, in *lambda.AddPermissionInput) (*lambda.AddPermissionOutput, error) {
	if err := firstSet(
		given{"EventSourceToken", in.EventSourceToken != nil}, given{"FunctionUrlAuthType", in.FunctionUrlAuthType != ""},
		given{"PrincipalOrgID", in.PrincipalOrgID != nil}, given{"Qualifier", in.Qualifier != nil},
		given{"RevisionId", in.RevisionId != nil}, given{"InvokedViaFunctionUrl", in.InvokedViaFunctionUrl != nil},
	); err != nil {
		return nil, err
	}
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	p := permission{deref(in.StatementId), deref(in.Action), deref(in.Principal), deref(in.SourceArn), deref(in.SourceAccount)}
	for _, have := range f.permissions {
		if have.id == p.id {
			return nil, &types.ResourceConflictException{Message: aws.String(fmt.Sprintf("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", p.id))}
		}
	}
	f.permissions = append(f.permissions, p)
	return &lambda.AddPermissionOutput{Statement: aws.String(string(mustJSON(p.statement(f))))}, nil
}

// statement is a permission as a policy shows it.
func (p permission) statement(f *function) map[string]any {
	out := map[string]any{"Sid": p.id, "Effect": "Allow", "Action": p.action, "Resource": string(f.arn), "Principal": map[string]string{"Service": p.principal}}
	condition := map[string]any{}
	if p.source != "" {
		condition["ArnLike"] = map[string]string{"AWS:SourceArn": p.source}
	}
	if p.account != "" {
		condition["StringEquals"] = map[string]string{"AWS:SourceAccount": p.account}
	}
	if len(condition) > 0 {
		out["Condition"] = condition
	}
	return out
}

func (s *lambdaService) removePermission(_ context.Context, in *lambda.RemovePermissionInput) (*lambda.RemovePermissionOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	for i, p := range f.permissions {
		if p.id == deref(in.StatementId) {
			f.permissions = append(f.permissions[:i:i], f.permissions[i+1:]...)
			return &lambda.RemovePermissionOutput{}, nil
		}
	}
	return nil, noSuchThing("Statement %s is not found in resource policy.", deref(in.StatementId))
}

func (s *lambdaService) policy(_ context.Context, in *lambda.GetPolicyInput) (*lambda.GetPolicyOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if len(f.permissions) == 0 {
		return nil, noSuchThing("The resource you requested does not exist.")
	}
	lines := []map[string]any{}
	for _, p := range f.permissions {
		lines = append(lines, p.statement(f))
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Id": "default", "Statement": lines})
	if err != nil {
		return nil, err
	}
	return &lambda.GetPolicyOutput{Policy: aws.String(string(text)), RevisionId: f.config.RevisionId}, nil
}

// lets reports whether a function's policy lets a service invoke it for a resource.
func (f *function) lets(service, source string) bool {
	for _, p := range f.permissions {
		if (p.action == "lambda:InvokeFunction" || p.action == "lambda:*") && (p.principal == service || p.principal == "*") &&
			(p.source == "" || matches(p.source, source)) && (p.account == "" || p.account == Account) {
			return true
		}
	}
	return false
}
