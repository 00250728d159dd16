package sandbox

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

func createRoleKind(m *maker, p properties) (made, error) {
	name := m.name(p.text("RoleName"), 64)
	trust, err := p.document("AssumeRolePolicyDocument")
	if err != nil {
		return made{}, err
	}
	in := &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}
	if p["Path"] != nil {
		in.Path = aws.String(p.text("Path"))
	}
	if p["Description"] != nil {
		in.Description = aws.String(p.text("Description"))
	}
	got, err := m.r.sb.iam.createRole(m.r, in)
	if err != nil {
		return made{}, err
	}
	if err := dressRole(m, name, p); err != nil {
		if serr := stripRole(m, name); serr != nil {
			return made{}, fmt.Errorf("%w (and the role %s stays: %w)", err, name, serr)
		}
		if derr := m.r.sb.iam.drop(name); derr != nil {
			return made{}, fmt.Errorf("%w (and the role %s stays: %w)", err, name, derr)
		}
		return made{}, err
	}
	return made{physical: name, attributes: map[string]any{"Arn": *got.Role.Arn, "RoleId": *got.Role.RoleId}}, nil
}

func updateRoleKind(m *maker, have *made, _, p properties) error {
	trust, err := p.document("AssumeRolePolicyDocument")
	if err != nil {
		return err
	}
	if _, err := m.r.sb.iam.updateTrust(context.Background(), &iam.UpdateAssumeRolePolicyInput{RoleName: &have.physical, PolicyDocument: &trust}); err != nil {
		return err
	}
	if err := stripRole(m, have.physical); err != nil {
		return err
	}
	return dressRole(m, have.physical, p)
}

// dressRole gives a role its policies.
func dressRole(m *maker, name string, p properties) error {
	ctx, s := context.Background(), m.r.sb.iam
	for _, arn := range p.texts("ManagedPolicyArns") {
		if _, err := s.attach(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: &arn}); err != nil {
			return err
		}
	}
	for _, policy := range p.objects("Policies") {
		doc, err := policy.document("PolicyDocument")
		if err != nil {
			return err
		}
		in := &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String(policy.text("PolicyName")), PolicyDocument: &doc}
		if _, err := s.putRolePolicy(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// stripRole takes all policies from a role.
func stripRole(m *maker, name string) error {
	r, err := m.r.sb.iam.find(&name)
	if err != nil {
		return err
	}
	clear(r.inline)
	r.attached = nil
	r.reread()
	return nil
}

func (s *iamStore) drop(name string) error {
	_, err := s.deleteRole(context.Background(), &iam.DeleteRoleInput{RoleName: &name})
	return err
}
