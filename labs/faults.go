package labs

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lam "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Fault is one way to break a lab: by calls that a person could make by mistake,
// on the sandbox as on AWS.
type Fault struct {
	Name  string
	About string // what happens, for the person who breaks it
	set   func(context.Context, *Stack, *fixture) error
	// clear is what the team that owns the broken part would do; nil: there is
	// nothing to take back, the damage is done.
	clear func(context.Context, *Stack, *fixture) error
	// stands reports whether the fault is there; nil: it leaves nothing to see.
	stands func(context.Context, *Stack, *fixture) (bool, error)
}

// fixture is what a fault works on: the lab's resources by logical id, and its
// outputs.
type fixture struct {
	physical map[string]string
	out      Outputs
	tell     func(Sent) error
}

// Lasting reports that a fault cannot be taken back: what it broke has to be repaired.
func (f Fault) Lasting() bool { return f.clear == nil }

// Faults lists the ways to break a lab.
func (l *Lab) Faults() []Fault { return l.faults }

// fault finds one by name.
func (l *Lab) fault(name string) (Fault, error) {
	var names []string
	for _, f := range l.faults {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Fault{}, fmt.Errorf("%s has no fault %q: there are %s", l.ID, name, strings.Join(names, ", "))
}

// Break sets a fault. tell is told of events that the fault sends.
func (s *Stack) Break(ctx context.Context, name string, tell func(Sent) error) error {
	f, err := s.Lab.fault(name)
	if err != nil {
		return err
	}
	x, err := s.fixture(ctx, tell)
	if err != nil {
		return err
	}
	if err := f.set(ctx, s, x); err != nil {
		return fmt.Errorf("set the fault %s: %w", name, err)
	}
	return nil
}

// Mend takes a fault away, as the team that owns the broken part would. tell is told of
// events that it sends.
func (s *Stack) Mend(ctx context.Context, name string, tell func(Sent) error) error {
	f, err := s.Lab.fault(name)
	if err != nil {
		return err
	}
	if f.clear == nil {
		return fmt.Errorf("%s cannot be taken back: %s. Repair it", name, f.About)
	}
	x, err := s.fixture(ctx, tell)
	if err != nil {
		return err
	}
	if err := f.clear(ctx, s, x); err != nil {
		return fmt.Errorf("take the fault %s away: %w", name, err)
	}
	return nil
}

// Standing lists the faults that are there.
func (s *Stack) Standing(ctx context.Context) ([]Fault, error) {
	x, err := s.fixture(ctx, nil)
	if err != nil {
		return nil, err
	}
	var out []Fault
	for _, f := range s.Lab.faults {
		if f.stands == nil {
			continue
		}
		there, err := f.stands(ctx, s, x)
		if err != nil {
			return nil, fmt.Errorf("look for the fault %s: %w", f.Name, err)
		}
		if there {
			out = append(out, f)
		}
	}
	return out, nil
}

func (s *Stack) fixture(ctx context.Context, tell func(Sent) error) (*fixture, error) {
	out, err := s.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	if s.hand != nil {
		return &fixture{physical: map[string]string{"ArchiveRole": s.hand.names["archiveRole"]}, out: out, tell: tell}, nil
	}
	got, err := once(ctx, func(ctx context.Context) (*cloudformation.DescribeStackResourcesOutput, error) {
		return s.cfn.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: &s.Name})
	})
	if err != nil {
		return nil, fmt.Errorf("list the resources of %s: %w", s.Name, err)
	}
	x := &fixture{physical: map[string]string{}, out: out, tell: tell}
	for _, r := range got.StackResources {
		x.physical[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
	}
	return x, nil
}

// variable reads a variable of a function, "" when it is not set.
func (s *Stack) variable(ctx context.Context, function, name string) (string, error) {
	env, err := s.variables(ctx, function)
	return env[name], err
}

func (s *Stack) variables(ctx context.Context, function string) (map[string]string, error) {
	client := lambda.NewFromConfig(s.place.Config)
	got, err := once(ctx, func(ctx context.Context) (*lambda.GetFunctionConfigurationOutput, error) {
		return client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &function})
	})
	if err != nil || got.Environment == nil {
		return map[string]string{}, err
	}
	return got.Environment.Variables, nil
}

// setVariable deploys a release of a function that differs by one variable; "" takes
// the variable away.
func (s *Stack) setVariable(ctx context.Context, function, name, value string) error {
	env, err := s.variables(ctx, function)
	if err != nil {
		return err
	}
	delete(env, name)
	if value != "" {
		env[name] = value
	}
	client := lambda.NewFromConfig(s.place.Config)
	_, err = once(ctx, func(ctx context.Context) (*lambda.UpdateFunctionConfigurationOutput, error) {
		return client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: &function, Environment: &lam.Environment{Variables: env}})
	})
	return err
}
