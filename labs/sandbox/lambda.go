package sandbox

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/schemas"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
)

// This file has Lambda's functions and their configuration. lambda_rest.go is the
// protocol, lambda_invoke.go runs functions (and what happens to asynchronous
// events), lambda_mapping.go and lambda_stream.go are the event source mappings.

// accountConcurrency is the default quota of concurrent executions per region.
const accountConcurrency = 1000

// minUnreserved is what reserved concurrency has to leave to all other functions.
const minUnreserved = 100

// lambdaService is Lambda in one region.
type lambdaService struct {
	r         *Region
	functions map[string]*function
	mappings  map[string]*mapping  // by UUID
	code      map[string]behaviour // by function name, whether the function exists or not
	running   int                  // executions in progress, of all functions

	unreserved int           // executions in progress of functions without a reservation
	claimed    *metricSeries // ClaimedAccountConcurrency
}

// function is one Lambda function.
type function struct {
	arn         ops.ARN
	config      types.FunctionConfiguration
	tags        map[string]string
	reserved    *int32
	async       *types.FunctionEventInvokeConfig
	running     int
	metrics     functionMetrics
	permissions []permission
	warm        Handler       // the code, once it has been found; see codeOf
	waited      time.Duration // by the invocation whose code runs
}

func (f *function) name() string { return aws.ToString(f.config.FunctionName) }

func newLambda(r *Region) {
	s := &lambdaService{r: r, functions: map[string]*function{}, mappings: map[string]*mapping{}, code: map[string]behaviour{}}
	s.claimed = r.metrics.series("AWS/Lambda", "ClaimedAccountConcurrency", "Count")
	r.functions = s
	handle(r, "lambda", "CreateFunction", s.createFunction)
	handle(r, "lambda", "DeleteFunction", s.deleteFunction)
	handle(r, "lambda", "ListFunctions", s.listFunctions)
	handle(r, "lambda", "GetFunction", s.describeFunction)
	handle(r, "lambda", "GetFunctionConfiguration", s.functionConfiguration)
	handle(r, "lambda", "UpdateFunctionConfiguration", s.updateFunctionConfiguration)
	handle(r, "lambda", "GetFunctionConcurrency", s.concurrency)
	handle(r, "lambda", "PutFunctionConcurrency", s.putConcurrency)
	handle(r, "lambda", "DeleteFunctionConcurrency", s.deleteConcurrency)
	handle(r, "lambda", "GetFunctionEventInvokeConfig", s.eventInvokeConfig)
	handle(r, "lambda", "ListFunctionEventInvokeConfigs", s.listEventInvokeConfigs)
	handle(r, "lambda", "PutFunctionEventInvokeConfig", s.putEventInvokeConfig)
	handle(r, "lambda", "UpdateFunctionEventInvokeConfig", s.updateEventInvokeConfig)
	handle(r, "lambda", "DeleteFunctionEventInvokeConfig", s.deleteEventInvokeConfig)
	handle(r, "lambda", "GetAccountSettings", s.accountSettings)
	handle(r, "lambda", "ListTags", s.listTags)
	handle(r, "lambda", "TagResource", s.tagResource)
	handle(r, "lambda", "UntagResource", s.untagResource)
	handle(r, "lambda", "Invoke", s.invokeOperation)
	handle(r, "lambda", "AddPermission", s.addPermission)
	handle(r, "lambda", "RemovePermission", s.removePermission)
	handle(r, "lambda", "GetPolicy", s.policy)
	handle(r, "lambda", "UpdateFunctionCode", s.updateCode)
	handle(r, "lambda", "CreateEventSourceMapping", s.createMapping)
	handle(r, "lambda", "GetEventSourceMapping", s.describeMapping)
	handle(r, "lambda", "ListEventSourceMappings", s.listMappings)
	handle(r, "lambda", "UpdateEventSourceMapping", s.updateMapping)
	handle(r, "lambda", "DeleteEventSourceMapping", s.deleteMapping)

	api := &restJSON{region: r, service: "lambda"}
	api.route(schemas.CreateFunction, schemas.CreateFunctionRequest, schemas.FunctionConfiguration)
	api.route(schemas.DeleteFunction, schemas.DeleteFunctionRequest, schemas.DeleteFunctionResponse)
	api.route(schemas.ListFunctions, schemas.ListFunctionsRequest, schemas.ListFunctionsResponse)
	api.route(schemas.GetFunction, schemas.GetFunctionRequest, schemas.GetFunctionResponse)
	api.route(schemas.GetFunctionConfiguration, schemas.GetFunctionConfigurationRequest, schemas.FunctionConfiguration)
	api.route(schemas.UpdateFunctionConfiguration, schemas.UpdateFunctionConfigurationRequest, schemas.FunctionConfiguration)
	api.route(schemas.GetFunctionConcurrency, schemas.GetFunctionConcurrencyRequest, schemas.GetFunctionConcurrencyResponse)
	api.route(schemas.PutFunctionConcurrency, schemas.PutFunctionConcurrencyRequest, schemas.Concurrency)
	api.route(schemas.DeleteFunctionConcurrency, schemas.DeleteFunctionConcurrencyRequest, nil)
	api.route(schemas.GetFunctionEventInvokeConfig, schemas.GetFunctionEventInvokeConfigRequest, schemas.FunctionEventInvokeConfig)
	api.route(schemas.ListFunctionEventInvokeConfigs, schemas.ListFunctionEventInvokeConfigsRequest, schemas.ListFunctionEventInvokeConfigsResponse)
	api.route(schemas.PutFunctionEventInvokeConfig, schemas.PutFunctionEventInvokeConfigRequest, schemas.FunctionEventInvokeConfig)
	api.route(schemas.UpdateFunctionEventInvokeConfig, schemas.UpdateFunctionEventInvokeConfigRequest, schemas.FunctionEventInvokeConfig)
	api.route(schemas.DeleteFunctionEventInvokeConfig, schemas.DeleteFunctionEventInvokeConfigRequest, nil)
	api.route(schemas.GetAccountSettings, schemas.GetAccountSettingsRequest, schemas.GetAccountSettingsResponse)
	api.route(schemas.ListTags, schemas.ListTagsRequest, schemas.ListTagsResponse)
	api.route(schemas.TagResource, schemas.TagResourceRequest, nil)
	api.route(schemas.UntagResource, schemas.UntagResourceRequest, nil)
	api.route(schemas.Invoke, schemas.InvocationRequest, schemas.InvocationResponse)
	api.route(schemas.AddPermission, schemas.AddPermissionRequest, schemas.AddPermissionResponse)
	api.route(schemas.RemovePermission, schemas.RemovePermissionRequest, nil)
	api.route(schemas.GetPolicy, schemas.GetPolicyRequest, schemas.GetPolicyResponse)
	api.route(schemas.UpdateFunctionCode, schemas.UpdateFunctionCodeRequest, schemas.FunctionConfiguration)
	api.route(schemas.CreateEventSourceMapping, schemas.CreateEventSourceMappingRequest, schemas.EventSourceMappingConfiguration)
	api.route(schemas.GetEventSourceMapping, schemas.GetEventSourceMappingRequest, schemas.EventSourceMappingConfiguration)
	api.route(schemas.ListEventSourceMappings, schemas.ListEventSourceMappingsRequest, schemas.ListEventSourceMappingsResponse)
	api.route(schemas.UpdateEventSourceMapping, schemas.UpdateEventSourceMappingRequest, schemas.EventSourceMappingConfiguration)
	api.route(schemas.DeleteEventSourceMapping, schemas.DeleteEventSourceMappingRequest, schemas.EventSourceMappingConfiguration)
	r.raw["lambda"] = api.serve

	r.invoke = s.invokeSync
	r.receivers["lambda"] = s.acceptEvent
	r.tagged = append(r.tagged, s.taggedResources)
}

var functionNames = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
var roleNames = regexp.MustCompile(`^arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)

func (s *lambdaService) createFunction(_ context.Context, in *lambda.CreateFunctionInput) (*lambda.CreateFunctionOutput, error) {
	if err := firstSet(
		given{"CapacityProviderConfig", in.CapacityProviderConfig != nil},
		given{"CodeSigningConfigArn", in.CodeSigningConfigArn != nil},
		given{"DurableConfig", in.DurableConfig != nil},
		given{"FileSystemConfigs", len(in.FileSystemConfigs) > 0},
		given{"ImageConfig", in.ImageConfig != nil},
		given{"Layers", len(in.Layers) > 0},
		given{"Publish", in.Publish},
		given{"PublishTo", in.PublishTo != ""},
		given{"SnapStart", in.SnapStart != nil && in.SnapStart.ApplyOn != types.SnapStartApplyOnNone},
		given{"TenancyConfig", in.TenancyConfig != nil},
		given{"VpcConfig", in.VpcConfig != nil && len(in.VpcConfig.SubnetIds) > 0},
	); err != nil {
		return nil, err
	}
	name, err := functionName(aws.ToString(in.FunctionName))
	if err != nil {
		return nil, err
	}
	if _, exists := s.functions[name]; exists {
		return nil, &types.ResourceConflictException{Message: aws.String("Function already exist: " + name)}
	}
	role := aws.ToString(in.Role)
	if !roleNames.MatchString(role) {
		return nil, invalidParameter("1 validation error detected: Value '%s' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", role, roleNames)
	}
	if in.Code != nil {
		if err := s.checkArchive(in.Code.S3Bucket, in.Code.S3Key); err != nil {
			return nil, err
		}
	}
	if in.PackageType != types.PackageTypeImage && (in.Runtime == "" || aws.ToString(in.Handler) == "") {
		return nil, invalidParameter("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	f := s.add(name, role)
	c := &f.config
	c.Runtime, c.Handler = in.Runtime, in.Handler
	if in.PackageType != "" {
		c.PackageType = in.PackageType
	}
	c.Architectures = in.Architectures
	if len(c.Architectures) == 0 {
		c.Architectures = []types.Architecture{types.ArchitectureX8664}
	}
	err = f.configure(functionSettings{in.Role, in.Description, in.Timeout, in.MemorySize, in.DeadLetterConfig,
		in.Environment, in.EphemeralStorage, in.KMSKeyArn, in.LoggingConfig, in.TracingConfig})
	if err != nil {
		delete(s.functions, name)
		return nil, err
	}
	for k, v := range in.Tags {
		f.tags[k] = v
	}
	out := lambda.CreateFunctionOutput{}
	copyMembers(&out, f.config)
	return &out, nil
}

// add makes a function with AWS's defaults.
func (s *lambdaService) add(name, role string) *function {
	arn := s.r.arn("lambda", "function:"+name)
	f := &function{
		arn:  arn,
		tags: map[string]string{},
		config: types.FunctionConfiguration{
			FunctionName:     aws.String(name),
			FunctionArn:      aws.String(string(arn)),
			Role:             aws.String(role),
			CodeSha256:       aws.String("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), // of nothing: code is ignored
			Description:      aws.String(""),
			Timeout:          aws.Int32(3),
			MemorySize:       aws.Int32(128),
			EphemeralStorage: &types.EphemeralStorage{Size: aws.Int32(512)},
			LastUpdateStatus: types.LastUpdateStatusSuccessful,
			PackageType:      types.PackageTypeZip,
			State:            types.StateActive,
			TracingConfig:    &types.TracingConfigResponse{Mode: types.TracingModePassThrough},
			LoggingConfig:    &types.LoggingConfig{LogFormat: types.LogFormatText, LogGroup: aws.String("/aws/lambda/" + name)},
			Version:          aws.String("$LATEST"),
		},
	}
	f.metrics = newFunctionMetrics(s.r.metrics, name)
	s.functions[name] = f
	s.touch(f)
	return f
}

func (s *lambdaService) touch(f *function) {
	f.warm = nil // what is configured anew starts anew
	f.config.LastModified = aws.String(s.r.now().Format("2006-01-02T15:04:05.000-0700"))
	f.config.RevisionId = aws.String(s.r.id())
}

// updateCode takes new code: where it lies is recorded by its hash, and what runs
// is found anew by Options.Code.
func (s *lambdaService) updateCode(_ context.Context, in *lambda.UpdateFunctionCodeInput) (*lambda.UpdateFunctionCodeOutput, error) {
	if err := firstSet(
		given{"DryRun", in.DryRun}, given{"ImageUri", in.ImageUri != nil}, given{"Publish", in.Publish}, given{"RevisionId", in.RevisionId != nil},
	); err != nil {
		return nil, err
	}
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if err := s.checkArchive(in.S3Bucket, in.S3Key); err != nil {
		return nil, err
	}
	f.config.CodeSha256 = aws.String(codeHash(in.ZipFile, in.S3Bucket, in.S3Key))
	s.touch(f)
	out := lambda.UpdateFunctionCodeOutput{}
	copyMembers(&out, f.config)
	return &out, nil
}

// checkArchive refuses code in a bucket that Lambda could not unpack. What comes with
// the request is not looked at: the sandbox runs no uploaded code.
func (s *lambdaService) checkArchive(bucket, key *string) error {
	if bucket == nil || key == nil {
		return nil
	}
	b, ok := s.r.s3().buckets[*bucket]
	if !ok {
		return invalidParameter("Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist")
	}
	o := b.current(*key)
	if o == nil || o.deleted {
		return invalidParameter("Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.")
	}
	if _, err := zip.NewReader(bytes.NewReader(o.body), int64(len(o.body))); err != nil {
		return invalidParameter("Could not unzip uploaded file. Please check your file, then try to upload again.")
	}
	return nil
}

// codeHash tells code apart: that of the archive, or of where it lies.
func codeHash(zip []byte, bucket, key *string) string {
	if len(zip) == 0 {
		zip = []byte(deref(bucket) + "/" + deref(key))
	}
	sum := sha256.Sum256(zip)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// functionSettings is what creating and updating have in common; nil keeps.
type functionSettings struct {
	role, description *string
	timeout, memory   *int32
	deadLetter        *types.DeadLetterConfig
	environment       *types.Environment
	storage           *types.EphemeralStorage
	key               *string
	logging           *types.LoggingConfig
	tracing           *types.TracingConfig
}

func (f *function) configure(in functionSettings) error {
	c := &f.config
	if t := in.timeout; t != nil && (*t < 1 || *t > 900) {
		return invalidParameter("1 validation error detected: Value '%d' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900", *t)
	}
	if m := in.memory; m != nil && (*m < 128 || *m > 10240) {
		return invalidParameter("1 validation error detected: Value '%d' at 'memorySize' failed to satisfy constraint: Member must have value between 128 and 10240", *m)
	}
	if d := in.deadLetter; d != nil {
		target := ops.ARN(aws.ToString(d.TargetArn))
		switch {
		case target == "":
			c.DeadLetterConfig = nil
		case target.Service() != "sqs" && target.Service() != "sns":
			return invalidParameter("The provided dead letter config is invalid: %s is neither an Amazon SQS queue nor an Amazon SNS topic", target)
		case strings.HasSuffix(target.Name(), ".fifo"): // Lambda writes without a group: standard only (LDG invocation-async-retain-records)
			return invalidParameter("The provided dead letter config is invalid: FIFO queues and topics are not supported")
		default:
			c.DeadLetterConfig = d
		}
	}
	keep(&c.Role, in.role)
	keep(&c.Description, in.description)
	keep(&c.Timeout, in.timeout)
	keep(&c.MemorySize, in.memory)
	keep(&c.EphemeralStorage, in.storage)
	keep(&c.KMSKeyArn, in.key)
	keep(&c.LoggingConfig, in.logging)
	if in.environment != nil {
		c.Environment = &types.EnvironmentResponse{Variables: in.environment.Variables}
	}
	if in.tracing != nil {
		c.TracingConfig = &types.TracingConfigResponse{Mode: in.tracing.Mode}
	}
	return nil
}

func keep[T any](to **T, from *T) {
	if from != nil {
		*to = from
	}
}

func (s *lambdaService) updateFunctionConfiguration(_ context.Context, in *lambda.UpdateFunctionConfigurationInput) (*lambda.UpdateFunctionConfigurationOutput, error) {
	if err := firstSet(
		given{"CapacityProviderConfig", in.CapacityProviderConfig != nil},
		given{"DurableConfig", in.DurableConfig != nil},
		given{"FileSystemConfigs", len(in.FileSystemConfigs) > 0},
		given{"ImageConfig", in.ImageConfig != nil},
		given{"Layers", len(in.Layers) > 0},
		given{"SnapStart", in.SnapStart != nil && in.SnapStart.ApplyOn != types.SnapStartApplyOnNone},
		given{"VpcConfig", in.VpcConfig != nil && len(in.VpcConfig.SubnetIds) > 0},
	); err != nil {
		return nil, err
	}
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.RevisionId != nil && *in.RevisionId != aws.ToString(f.config.RevisionId) {
		return nil, &types.PreconditionFailedException{Message: aws.String("The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")}
	}
	err = f.configure(functionSettings{in.Role, in.Description, in.Timeout, in.MemorySize, in.DeadLetterConfig,
		in.Environment, in.EphemeralStorage, in.KMSKeyArn, in.LoggingConfig, in.TracingConfig})
	if err != nil {
		return nil, err
	}
	if in.Runtime != "" {
		f.config.Runtime = in.Runtime
	}
	keep(&f.config.Handler, in.Handler)
	s.touch(f)
	out := lambda.UpdateFunctionConfigurationOutput{}
	copyMembers(&out, f.config)
	return &out, nil
}

func (s *lambdaService) deleteFunction(_ context.Context, in *lambda.DeleteFunctionInput) (*lambda.DeleteFunctionOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.Qualifier != nil {
		return nil, unsupported("Qualifier")
	}
	delete(s.functions, f.name()) // its mappings stay and fail, as with AWS
	return &lambda.DeleteFunctionOutput{StatusCode: 204}, nil
}

func (s *lambdaService) describeFunction(_ context.Context, in *lambda.GetFunctionInput) (*lambda.GetFunctionOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := &lambda.GetFunctionOutput{Configuration: &f.config, Code: &types.FunctionCodeLocation{RepositoryType: aws.String("S3")}}
	if len(f.tags) > 0 {
		out.Tags = f.tags
	}
	if f.reserved != nil {
		out.Concurrency = &types.Concurrency{ReservedConcurrentExecutions: f.reserved}
	}
	return out, nil
}

func (s *lambdaService) functionConfiguration(_ context.Context, in *lambda.GetFunctionConfigurationInput) (*lambda.GetFunctionConfigurationOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := lambda.GetFunctionConfigurationOutput{}
	copyMembers(&out, f.config)
	return &out, nil
}

// listFunctions answers at most 50 functions a page, whatever MaxItems says
// (Lambda API reference, ListFunctions).
func (s *lambdaService) listFunctions(_ context.Context, in *lambda.ListFunctionsInput) (*lambda.ListFunctionsOutput, error) {
	if in.MasterRegion != nil && *in.MasterRegion != "ALL" && *in.MasterRegion != s.r.Name {
		return &lambda.ListFunctionsOutput{Functions: []types.FunctionConfiguration{}}, nil // Lambda@Edge replicas: none
	}
	page, next, err := lambdaPage(sortedNames(s.functions), in.Marker, in.MaxItems, 50)
	if err != nil {
		return nil, err
	}
	out := &lambda.ListFunctionsOutput{Functions: []types.FunctionConfiguration{}, NextMarker: next}
	for _, name := range page {
		c := s.functions[name].config
		c.State, c.LastUpdateStatus = "", "" // not part of this answer (API reference)
		out.Functions = append(out.Functions, c)
	}
	return out, nil
}

func (s *lambdaService) concurrency(_ context.Context, in *lambda.GetFunctionConcurrencyInput) (*lambda.GetFunctionConcurrencyOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	return &lambda.GetFunctionConcurrencyOutput{ReservedConcurrentExecutions: f.reserved}, nil
}

func (s *lambdaService) putConcurrency(_ context.Context, in *lambda.PutFunctionConcurrencyInput) (*lambda.PutFunctionConcurrencyOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	n := aws.ToInt32(in.ReservedConcurrentExecutions)
	if n < 0 {
		return nil, invalidParameter("1 validation error detected: Value '%d' at 'reservedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 0", n)
	}
	if accountConcurrency-s.reservedBy(f)-int(n) < minUnreserved {
		return nil, invalidParameter("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", minUnreserved)
	}
	f.reserved = &n
	return &lambda.PutFunctionConcurrencyOutput{ReservedConcurrentExecutions: &n}, nil
}

// reservedBy sums the reservations of all functions but one.
func (s *lambdaService) reservedBy(except *function) int {
	n := 0
	for _, f := range s.functions {
		if f != except {
			n += int(aws.ToInt32(f.reserved))
		}
	}
	return n
}

func (s *lambdaService) deleteConcurrency(_ context.Context, in *lambda.DeleteFunctionConcurrencyInput) (*lambda.DeleteFunctionConcurrencyOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	f.reserved = nil
	return &lambda.DeleteFunctionConcurrencyOutput{}, nil
}

func (s *lambdaService) accountSettings(context.Context, *lambda.GetAccountSettingsInput) (*lambda.GetAccountSettingsOutput, error) {
	return &lambda.GetAccountSettingsOutput{
		AccountLimit: &types.AccountLimit{
			ConcurrentExecutions:           accountConcurrency,
			UnreservedConcurrentExecutions: aws.Int32(int32(accountConcurrency - s.reservedBy(nil))),
			CodeSizeUnzipped:               262144000,
			CodeSizeZipped:                 52428800,
			TotalCodeSize:                  80530636800,
		},
		AccountUsage: &types.AccountUsage{FunctionCount: int64(len(s.functions))},
	}, nil
}

func (s *lambdaService) eventInvokeConfig(_ context.Context, in *lambda.GetFunctionEventInvokeConfigInput) (*lambda.GetFunctionEventInvokeConfigOutput, error) {
	f, err := s.withInvokeConfig(in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := lambda.GetFunctionEventInvokeConfigOutput{}
	copyMembers(&out, *f.async)
	return &out, nil
}

func (s *lambdaService) withInvokeConfig(name *string) (*function, error) {
	f, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if f.async == nil {
		return nil, noSuchThing("The function %s:$LATEST doesn't have an EventInvokeConfig", f.arn)
	}
	return f, nil
}

func (s *lambdaService) listEventInvokeConfigs(_ context.Context, in *lambda.ListFunctionEventInvokeConfigsInput) (*lambda.ListFunctionEventInvokeConfigsOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := &lambda.ListFunctionEventInvokeConfigsOutput{FunctionEventInvokeConfigs: []types.FunctionEventInvokeConfig{}}
	if f.async != nil { // without versions and aliases there is one at most
		out.FunctionEventInvokeConfigs = append(out.FunctionEventInvokeConfigs, *f.async)
	}
	return out, nil
}

func (s *lambdaService) putEventInvokeConfig(_ context.Context, in *lambda.PutFunctionEventInvokeConfigInput) (*lambda.PutFunctionEventInvokeConfigOutput, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if q := aws.ToString(in.Qualifier); q != "" && q != "$LATEST" {
		return nil, unsupported("Qualifier")
	}
	c := &types.FunctionEventInvokeConfig{
		FunctionArn:              aws.String(string(f.arn) + ":$LATEST"),
		DestinationConfig:        &types.DestinationConfig{OnFailure: &types.OnFailure{}, OnSuccess: &types.OnSuccess{}},
		MaximumEventAgeInSeconds: in.MaximumEventAgeInSeconds,
		MaximumRetryAttempts:     in.MaximumRetryAttempts,
	}
	if err := s.setInvokeConfig(f, c, in.DestinationConfig); err != nil {
		return nil, err
	}
	out := lambda.PutFunctionEventInvokeConfigOutput{}
	copyMembers(&out, *c)
	return &out, nil
}

func (s *lambdaService) updateEventInvokeConfig(_ context.Context, in *lambda.UpdateFunctionEventInvokeConfigInput) (*lambda.UpdateFunctionEventInvokeConfigOutput, error) {
	f, err := s.withInvokeConfig(in.FunctionName)
	if err != nil {
		return nil, err
	}
	c := *f.async
	keep(&c.MaximumEventAgeInSeconds, in.MaximumEventAgeInSeconds)
	keep(&c.MaximumRetryAttempts, in.MaximumRetryAttempts)
	if err := s.setInvokeConfig(f, &c, in.DestinationConfig); err != nil {
		return nil, err
	}
	out := lambda.UpdateFunctionEventInvokeConfigOutput{}
	copyMembers(&out, c)
	return &out, nil
}

func (s *lambdaService) setInvokeConfig(f *function, c *types.FunctionEventInvokeConfig, d *types.DestinationConfig) error {
	if n := c.MaximumRetryAttempts; n != nil && (*n < 0 || *n > 2) {
		return invalidParameter("1 validation error detected: Value '%d' at 'maximumRetryAttempts' failed to satisfy constraint: Member must have value less than or equal to 2", *n)
	}
	if n := c.MaximumEventAgeInSeconds; n != nil && (*n < 60 || *n > 21600) {
		return invalidParameter("1 validation error detected: Value '%d' at 'maximumEventAgeInSeconds' failed to satisfy constraint: Member must have value between 60 and 21600", *n)
	}
	if d != nil {
		var success string
		if d.OnSuccess != nil {
			success = aws.ToString(d.OnSuccess.Destination)
		}
		for _, target := range []string{onFailure(d), success} {
			if target == "" {
				continue
			}
			if service := ops.ARN(target).Service(); service != "sqs" && service != "sns" && service != "lambda" && service != "s3" {
				return invalidParameter("The provided destination config DestinationArn is invalid: %s", target)
			}
		}
		c.DestinationConfig = d
	}
	c.LastModified = aws.Time(s.r.now())
	f.async = c
	return nil
}

func (s *lambdaService) deleteEventInvokeConfig(_ context.Context, in *lambda.DeleteFunctionEventInvokeConfigInput) (*lambda.DeleteFunctionEventInvokeConfigOutput, error) {
	f, err := s.withInvokeConfig(in.FunctionName)
	if err != nil {
		return nil, err
	}
	f.async = nil
	return &lambda.DeleteFunctionEventInvokeConfigOutput{}, nil
}

func (s *lambdaService) listTags(_ context.Context, in *lambda.ListTagsInput) (*lambda.ListTagsOutput, error) {
	f, err := s.find(in.Resource)
	if err != nil {
		return nil, err
	}
	return &lambda.ListTagsOutput{Tags: f.tags}, nil
}

func (s *lambdaService) tagResource(_ context.Context, in *lambda.TagResourceInput) (*lambda.TagResourceOutput, error) {
	f, err := s.find(in.Resource)
	if err != nil {
		return nil, err
	}
	for k, v := range in.Tags {
		f.tags[k] = v
	}
	return &lambda.TagResourceOutput{}, nil
}

func (s *lambdaService) untagResource(_ context.Context, in *lambda.UntagResourceInput) (*lambda.UntagResourceOutput, error) {
	f, err := s.find(in.Resource)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(f.tags, k)
	}
	return &lambda.UntagResourceOutput{}, nil
}

func (s *lambdaService) taggedResources() []taggedResource {
	var out []taggedResource
	for _, name := range sortedNames(s.functions) {
		if f := s.functions[name]; len(f.tags) > 0 {
			out = append(out, taggedResource{f.arn, f.tags})
		}
	}
	return out
}

// find resolves a name, a partial ARN or a full ARN.
func (s *lambdaService) find(given *string) (*function, error) {
	name, err := functionName(aws.ToString(given))
	if err != nil {
		return nil, err
	}
	f, ok := s.functions[name]
	if !ok {
		return nil, noSuchThing("Function not found: %s", s.r.arn("lambda", "function:"+name))
	}
	return f, nil
}

// functionName reads what the API takes as a FunctionName: name, account:function:name
// or an ARN, each with an optional qualifier. Only $LATEST exists here.
func functionName(given string) (string, error) {
	parts := strings.Split(given, ":")
	for i, p := range parts {
		if p == "function" && i+1 < len(parts) {
			parts = parts[i+1:]
			break
		}
	}
	if len(parts) > 2 || !functionNames.MatchString(parts[0]) {
		return "", invalidParameter("1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?", given)
	}
	if len(parts) == 2 && parts[1] != "$LATEST" {
		return "", noSuchThing("Function not found: %s", given)
	}
	return parts[0], nil
}

func invalidParameter(format string, args ...any) error {
	return &types.InvalidParameterValueException{Type: aws.String("User"), Message: aws.String(fmt.Sprintf(format, args...))}
}

func noSuchThing(format string, args ...any) error {
	return &types.ResourceNotFoundException{Type: aws.String("User"), Message: aws.String(fmt.Sprintf(format, args...))}
}

// lambdaPage cuts one page out of sorted ids. The marker is the last id of the
// page before, so that a deletion between two pages skips nothing.
func lambdaPage(ids []string, marker *string, maxItems *int32, most int) ([]string, *string, error) {
	size := most
	if maxItems != nil {
		if *maxItems < 1 || *maxItems > 10000 {
			return nil, nil, invalidParameter("1 validation error detected: Value '%d' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and 10000", *maxItems)
		}
		size = min(size, int(*maxItems))
	}
	start := 0
	if marker != nil {
		last, err := openMarker(*marker)
		if err != nil {
			return nil, nil, err
		}
		start = sort.SearchStrings(ids, last)
		if start < len(ids) && ids[start] == last {
			start++
		}
	}
	end := min(len(ids), start+size)
	if end < len(ids) {
		return ids[start:end], aws.String(sealMarker(ids[end-1])), nil
	}
	return ids[start:end], nil, nil
}

// onFailure returns the destination for failures, "" for none.
func onFailure(d *types.DestinationConfig) string {
	if d == nil || d.OnFailure == nil {
		return ""
	}
	return aws.ToString(d.OnFailure.Destination)
}

// timeoutOf is how long the function may run.
func (f *function) timeout() time.Duration {
	return time.Duration(aws.ToInt32(f.config.Timeout)) * time.Second
}

// given says whether a parameter was set.
type given struct {
	parameter string
	set       bool
}

// firstSet refuses the first unsupported parameter that was set.
func firstSet(parameters ...given) error {
	for _, p := range parameters {
		if p.set {
			return unsupported(p.parameter)
		}
	}
	return nil
}

// copyMembers copies the members that two SDK structures share: answers repeat
// the members of the configuration instead of embedding it.
func copyMembers(to, from any) {
	dst, src := reflect.ValueOf(to).Elem(), reflect.ValueOf(from)
	for _, f := range fieldsOf(src.Type()) {
		if d := dst.FieldByName(src.Type().Field(f.index).Name); d.IsValid() {
			d.Set(src.Field(f.index))
		}
	}
}

func sealMarker(last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte("m1:" + last))
}

func openMarker(marker string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(marker)
	last, ok := strings.CutPrefix(string(b), "m1:")
	if err != nil || !ok {
		return "", invalidParameter("Invalid Marker")
	}
	return last, nil
}
