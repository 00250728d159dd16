package sandbox

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// functionKinds are the resource types of Lambda.
var functionKinds = map[string]resourceKind{
	"AWS::Lambda::Function": {
		properties: []string{"FunctionName", "Runtime", "Handler", "Role", "Code", "Architectures", "Environment", "MemorySize", "Timeout", "Description",
			"DeadLetterConfig", "ReservedConcurrentExecutions", "TracingConfig", "KmsKeyArn", "Tags"},
		replaceOn: []string{"FunctionName"},
		create:    createFunctionKind,
		update:    updateFunctionKind,
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[lambda.DeleteFunctionOutput](m.r, "lambda", "DeleteFunction", &lambda.DeleteFunctionInput{FunctionName: &have.physical})
			return err
		},
	},
	"AWS::Lambda::Permission": {
		properties: []string{"FunctionName", "Action", "Principal", "SourceArn", "SourceAccount"},
		create: func(m *maker, p properties) (made, error) {
			in := &lambda.AddPermissionInput{StatementId: aws.String(m.name("", 100))}
			if err := p.into(in); err != nil {
				return made{}, err
			}
			_, err := ask[lambda.AddPermissionOutput](m.r, "lambda", "AddPermission", in)
			return made{physical: *in.StatementId}, err
		},
		remove: func(m *maker, have made, p properties) error {
			_, err := ask[lambda.RemovePermissionOutput](m.r, "lambda", "RemovePermission",
				&lambda.RemovePermissionInput{FunctionName: aws.String(p.text("FunctionName")), StatementId: &have.physical})
			return err
		},
	},
	"AWS::Lambda::EventSourceMapping": {
		properties: []string{"FunctionName", "EventSourceArn", "BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "StartingPosition",
			"BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "DestinationConfig", "Enabled", "ScalingConfig"},
		replaceOn: []string{"EventSourceArn", "StartingPosition"},
		create: func(m *maker, p properties) (made, error) {
			in := &lambda.CreateEventSourceMappingInput{}
			if err := p.into(in); err != nil {
				return made{}, err
			}
			got, err := ask[lambda.CreateEventSourceMappingOutput](m.r, "lambda", "CreateEventSourceMapping", in)
			if err != nil {
				return made{}, err
			}
			return made{physical: aws.ToString(got.UUID), attributes: map[string]any{"Id": aws.ToString(got.UUID)}}, nil
		},
		update: func(m *maker, have *made, _, p properties) error {
			in := &lambda.UpdateEventSourceMappingInput{UUID: &have.physical}
			if err := p.into(in, "EventSourceArn", "StartingPosition"); err != nil {
				return err
			}
			_, err := ask[lambda.UpdateEventSourceMappingOutput](m.r, "lambda", "UpdateEventSourceMapping", in)
			return err
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[lambda.DeleteEventSourceMappingOutput](m.r, "lambda", "DeleteEventSourceMapping", &lambda.DeleteEventSourceMappingInput{UUID: &have.physical})
			return err
		},
		settle: func(m *maker, have made, _ properties) (bool, error) {
			got, err := ask[lambda.GetEventSourceMappingOutput](m.r, "lambda", "GetEventSourceMapping", &lambda.GetEventSourceMappingInput{UUID: &have.physical})
			if err != nil {
				return false, err
			}
			state := aws.ToString(got.State)
			return state == "Enabled" || state == "Disabled", nil
		},
	},
}

func createFunctionKind(m *maker, p properties) (made, error) {
	name := m.name(p.text("FunctionName"), 64)
	in := &lambda.CreateFunctionInput{FunctionName: &name, Tags: m.labels(p)}
	if err := p.into(in, "FunctionName", "Tags", "KmsKeyArn", "ReservedConcurrentExecutions"); err != nil {
		return made{}, err
	}
	if !m.r.sb.iam.trusts(deref(in.Role), "lambda.amazonaws.com") {
		return made{}, invalidParameter("The role defined for the function cannot be assumed by Lambda.")
	}
	if in.Code == nil || in.Code.S3Bucket == nil && in.Code.ZipFile == nil {
		return made{}, invalidParameter("Please provide a source for function code.")
	}
	if p["KmsKeyArn"] != nil {
		in.KMSKeyArn = aws.String(p.text("KmsKeyArn"))
	}
	got, err := ask[lambda.CreateFunctionOutput](m.r, "lambda", "CreateFunction", in)
	if err != nil {
		return made{}, err
	}
	out := made{physical: name, attributes: map[string]any{"Arn": aws.ToString(got.FunctionArn)}}
	return out, reserve(m, name, properties{}, p)
}

// reserve sets reserved concurrency to what the template says.
func reserve(m *maker, name string, old, p properties) error {
	now, was := p.text("ReservedConcurrentExecutions"), old.text("ReservedConcurrentExecutions")
	if now == was {
		return nil
	}
	if now == "" {
		_, err := ask[lambda.DeleteFunctionConcurrencyOutput](m.r, "lambda", "DeleteFunctionConcurrency", &lambda.DeleteFunctionConcurrencyInput{FunctionName: &name})
		return err
	}
	n, ok := asNumber(now)
	if !ok {
		return fail("ValidationError", "ReservedConcurrentExecutions must be a number")
	}
	_, err := ask[lambda.PutFunctionConcurrencyOutput](m.r, "lambda", "PutFunctionConcurrency",
		&lambda.PutFunctionConcurrencyInput{FunctionName: &name, ReservedConcurrentExecutions: aws.Int32(int32(n))})
	return err
}

func updateFunctionKind(m *maker, have *made, old, p properties) error {
	in := &lambda.UpdateFunctionConfigurationInput{FunctionName: &have.physical}
	if err := p.into(in, "FunctionName", "Code", "Architectures", "Tags", "ReservedConcurrentExecutions", "KmsKeyArn"); err != nil {
		return err
	}
	if in.Environment == nil {
		in.Environment = &types.Environment{Variables: map[string]string{}}
	}
	if _, err := ask[lambda.UpdateFunctionConfigurationOutput](m.r, "lambda", "UpdateFunctionConfiguration", in); err != nil {
		return err
	}
	if len(differing(p.object("Code"), old.object("Code"))) > 0 {
		code := &lambda.UpdateFunctionCodeInput{FunctionName: &have.physical}
		if err := p.object("Code").into(code); err != nil {
			return err
		}
		if _, err := ask[lambda.UpdateFunctionCodeOutput](m.r, "lambda", "UpdateFunctionCode", code); err != nil {
			return err
		}
	}
	return reserve(m, have.physical, old, p)
}
