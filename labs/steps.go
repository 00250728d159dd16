package labs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	gateway "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	fire "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kin "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lam "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithy "github.com/aws/smithy-go"
)

// This file builds lab 1 by hand: call by call, each with its request.

// Step is one call: what it makes, why, and the request.
type Step struct {
	Part    string // of the pipeline that it belongs to, one of handParts
	Title   string
	Why     string
	Command string // of the AWS CLI, up to the request: "kinesis create-stream"
	Request any    // the SDK's input
	Files   string // what the CLI takes beside the request: "--zip-file …"
	do      func(context.Context) error
}

// handParts are the parts of the pipeline in the direction of the events.
var handParts = []string{"HTTP API", "function", "stream", "Firehose", "bucket"}

// Drawing shows the pipeline after the first steps are done: a part in brackets is
// there, one in parentheses is being made, dots stand for what is still to come.
func Drawing(steps []Step, done int) string {
	var out strings.Builder
	before := false
	for i, part := range handParts {
		have, all := 0, 0
		for n, s := range steps {
			if s.Part == part {
				all++
				if n < done {
					have++
				}
			}
		}
		whole := have == all
		if i > 0 {
			out.WriteString(map[bool]string{true: " --> ", false: "     "}[whole && before])
		}
		switch {
		case whole:
			out.WriteString("[" + part + "]")
		case have > 0:
			out.WriteString("(" + part + ")")
		default:
			out.WriteString(" " + strings.Repeat(".", len(part)) + " ")
		}
		before = whole
	}
	return out.String()
}

// JSON is the request as the AWS CLI takes it by --cli-input-json.
func (s Step) JSON() (string, error) {
	text, err := json.MarshalIndent(compact(s.Request), "", "  ")
	return string(text), err
}

// CLI is the line that does the same by the AWS CLI.
func (s Step) CLI() (string, error) {
	text, err := json.Marshal(compact(s.Request))
	if err != nil {
		return "", err
	}
	command := strings.TrimSpace(s.Command + " " + s.Files)
	return "aws " + command + " --cli-input-json '" + strings.ReplaceAll(string(text), "'", `'\''`) + "'", nil
}

// compact drops what is not set, so that a request shows what was said.
func compact(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var n any
	if err := json.Unmarshal(text, &n); err != nil {
		return v
	}
	return pruned(n)
}

func pruned(n any) any {
	switch x := n.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, v := range x {
			if p := pruned(v); p != nil {
				out[k] = p
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		if len(x) == 0 {
			return nil
		}
		out := make([]any, len(x))
		for i, v := range x {
			out[i] = pruned(v)
		}
		return out
	case string:
		if x == "" {
			return nil
		}
	case float64:
		if x == 0 {
			return nil
		}
	case bool:
		if !x {
			return nil
		}
	}
	return n
}

// Hand is lab 1 in a place: the pipeline that steps build.
type Hand struct {
	place Place
	names map[string]string
	out   Outputs
	store *s3.Client
	flow  *kinesis.Client
	fire  *firehose.Client
	who   *iam.Client
	run   *lambda.Client
	door  *apigatewayv2.Client
}

// ByHand is lab 1 in a place.
func ByHand(p Place) *Hand {
	return &Hand{
		place: p, out: Outputs{},
		names: map[string]string{
			"bucket": fmt.Sprintf("kxops-lab1-store-%s-%s", p.Account, p.Region), "code": fmt.Sprintf("kxops-lab1-code-%s-%s", p.Account, p.Region),
			"stream": "kxops-lab1-events", "delivery": "kxops-lab1-archive", "function": "kxops-lab1-ingest",
			"archiveRole": "kxops-lab1-archive", "ingestRole": "kxops-lab1-ingest", "api": "kxops-lab1-events",
		},
		store: s3.NewFromConfig(p.Config, func(o *s3.Options) { o.UsePathStyle = p.Sandbox }), flow: kinesis.NewFromConfig(p.Config), fire: firehose.NewFromConfig(p.Config),
		who: iam.NewFromConfig(p.Config), run: lambda.NewFromConfig(p.Config), door: apigatewayv2.NewFromConfig(p.Config),
	}
}

// Outputs are the names and URLs of what was built.
func (h *Hand) Outputs() Outputs { return h.out }

// assume is the trust policy that lets a service use a role.
func assume(service string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`)
}

func (h *Hand) role(name string) string {
	return "arn:aws:iam::" + h.place.Account + ":role/" + h.names[name]
}

func (h *Hand) streamARN() string {
	return "arn:aws:kinesis:" + h.place.Region + ":" + h.place.Account + ":stream/" + h.names["stream"]
}

// step makes a step of a call.
func step[I, O any](part, title, why, command string, in *I, call func(context.Context, *I) (*O, error), then func(*O)) Step {
	return Step{Part: part, Title: title, Why: why, Command: command, Request: in, do: func(ctx context.Context) error {
		out, err := once(ctx, func(ctx context.Context) (*O, error) { return call(ctx, in) })
		if err == nil && then != nil {
			then(out)
		}
		return err
	}}
}

// Steps are the calls, in order. code is the functions' code.
func (h *Hand) Steps(code []byte) []Step {
	n := h.names
	created := &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(h.place.Region)}
	if h.place.Region == "us-east-1" {
		created = nil
	}
	bucket := func(name string) *s3.CreateBucketInput {
		return &s3.CreateBucketInput{Bucket: aws.String(n[name]), CreateBucketConfiguration: created}
	}
	buffer := int32(60)
	if h.place.Sandbox {
		buffer = 1
	}
	return []Step{
		step("bucket", "A bucket for the events", "The store comes first: what is stored can be read again, by Athena or by a replay.", "s3api create-bucket", bucket("bucket"),
			func(ctx context.Context, in *s3.CreateBucketInput) (*s3.CreateBucketOutput, error) {
				return h.store.CreateBucket(ctx, in)
			},
			func(*s3.CreateBucketOutput) { h.out["StoreBucket"] = n["bucket"] }),
		step("stream", "A stream", "It takes events in order for each partition key and keeps them, here for 24 hours, whoever reads them.", "kinesis create-stream",
			&kinesis.CreateStreamInput{StreamName: aws.String(n["stream"]), ShardCount: aws.Int32(1)},
			func(ctx context.Context, in *kinesis.CreateStreamInput) (*kinesis.CreateStreamOutput, error) {
				return h.flow.CreateStream(ctx, in)
			},
			func(*kinesis.CreateStreamOutput) { h.out["StreamName"] = n["stream"] }),
		h.after(step("stream", "Encryption of the stream", "With the key that AWS manages: free, and nobody has to be let in by a key policy.", "kinesis start-stream-encryption",
			&kinesis.StartStreamEncryptionInput{StreamName: aws.String(n["stream"]), EncryptionType: kin.EncryptionTypeKms, KeyId: aws.String("alias/aws/kinesis")},
			func(ctx context.Context, in *kinesis.StartStreamEncryptionInput) (*kinesis.StartStreamEncryptionOutput, error) {
				return h.flow.StartStreamEncryption(ctx, in)
			}, nil), h.streamActive),
		step("Firehose", "A role for Firehose", "Who may use the role: only Firehose.", "iam create-role",
			&iam.CreateRoleInput{RoleName: aws.String(n["archiveRole"]), AssumeRolePolicyDocument: assume("firehose.amazonaws.com")},
			func(ctx context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
				return h.who.CreateRole(ctx, in)
			}, nil),
		step("Firehose", "What that role may do", "Read this stream, write into this bucket, and nothing else.", "iam put-role-policy",
			&iam.PutRolePolicyInput{RoleName: aws.String(n["archiveRole"]), PolicyName: aws.String("archive"), PolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":[` +
					`{"Effect":"Allow","Action":["kinesis:DescribeStream","kinesis:GetShardIterator","kinesis:GetRecords","kinesis:ListShards"],"Resource":"` + h.streamARN() + `"},` +
					`{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:GetBucketLocation","s3:ListBucket","s3:ListBucketMultipartUploads","s3:PutObject"],` +
					`"Resource":["arn:aws:s3:::` + n["bucket"] + `","arn:aws:s3:::` + n["bucket"] + `/*"]}]}`)},
			func(ctx context.Context, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
				return h.who.PutRolePolicy(ctx, in)
			}, nil),
		h.after(step("Firehose", "A delivery stream", "It collects records and writes them as objects; prefix and error prefix say where, by time and by reason.", "firehose create-delivery-stream",
			&firehose.CreateDeliveryStreamInput{
				DeliveryStreamName: aws.String(n["delivery"]), DeliveryStreamType: fire.DeliveryStreamTypeKinesisStreamAsSource,
				KinesisStreamSourceConfiguration: &fire.KinesisStreamSourceConfiguration{KinesisStreamARN: aws.String(h.streamARN()), RoleARN: aws.String(h.role("archiveRole"))},
				ExtendedS3DestinationConfiguration: &fire.ExtendedS3DestinationConfiguration{
					BucketARN: aws.String("arn:aws:s3:::" + n["bucket"]), RoleARN: aws.String(h.role("archiveRole")),
					Prefix:            aws.String("events/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"),
					ErrorOutputPrefix: aws.String("errors/!{firehose:error-output-type}/dt=!{timestamp:yyyy-MM-dd}/"),
					BufferingHints:    &fire.BufferingHints{IntervalInSeconds: &buffer, SizeInMBs: aws.Int32(5)}, CompressionFormat: fire.CompressionFormatGzip,
				},
			},
			func(ctx context.Context, in *firehose.CreateDeliveryStreamInput) (*firehose.CreateDeliveryStreamOutput, error) {
				return h.fire.CreateDeliveryStream(ctx, in)
			}, func(*firehose.CreateDeliveryStreamOutput) { h.out["DeliveryStreamName"] = n["delivery"] }), h.streamActive),
		step("function", "A role for the function", "Who may use it: only Lambda.", "iam create-role",
			&iam.CreateRoleInput{RoleName: aws.String(n["ingestRole"]), AssumeRolePolicyDocument: assume("lambda.amazonaws.com")},
			func(ctx context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
				return h.who.CreateRole(ctx, in)
			}, nil),
		step("function", "What the function may do", "Put records into this stream, and use the stream's key.", "iam put-role-policy",
			&iam.PutRolePolicyInput{RoleName: aws.String(n["ingestRole"]), PolicyName: aws.String("put"), PolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kinesis:PutRecord","Resource":"` + h.streamARN() + `"},` +
					`{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`)},
			func(ctx context.Context, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
				return h.who.PutRolePolicy(ctx, in)
			}, nil),
		zipped(h.retried(step("function", "The function behind the door", "It checks an event, gives it an id, and puts it into the stream. The code is kxops itself.", "lambda create-function",
			&lambda.CreateFunctionInput{
				FunctionName: aws.String(n["function"]), Role: aws.String(h.role("ingestRole")), Runtime: lam.RuntimeProvidedal2023, Handler: aws.String("ingest"),
				Architectures: []lam.Architecture{lam.ArchitectureArm64}, MemorySize: aws.Int32(256), Timeout: aws.Int32(10), Code: &lam.FunctionCode{ZipFile: code},
				Environment: &lam.Environment{Variables: map[string]string{"STREAM_NAME": n["stream"]}},
			},
			func(ctx context.Context, in *lambda.CreateFunctionInput) (*lambda.CreateFunctionOutput, error) {
				return h.run.CreateFunction(ctx, in)
			},
			func(*lambda.CreateFunctionOutput) { h.out["FunctionName"] = n["function"] }))),
		step("HTTP API", "The front door", "An HTTP API with one route; quick create makes integration, route and stage at once.", "apigatewayv2 create-api",
			&apigatewayv2.CreateApiInput{Name: aws.String(n["api"]), ProtocolType: gateway.ProtocolTypeHttp, RouteKey: aws.String("POST /events"),
				Target: aws.String("arn:aws:lambda:" + h.place.Region + ":" + h.place.Account + ":function:" + n["function"])},
			func(ctx context.Context, in *apigatewayv2.CreateApiInput) (*apigatewayv2.CreateApiOutput, error) {
				return h.door.CreateApi(ctx, in)
			},
			func(out *apigatewayv2.CreateApiOutput) { h.out["ApiUrl"] = aws.ToString(out.ApiEndpoint) + "/events" }),
		step("HTTP API", "The door may call the function", "Without it every request is answered 500, and the function's log is empty.", "lambda add-permission",
			&lambda.AddPermissionInput{FunctionName: aws.String(n["function"]), StatementId: aws.String("api"), Action: aws.String("lambda:InvokeFunction"),
				Principal: aws.String("apigateway.amazonaws.com")},
			func(ctx context.Context, in *lambda.AddPermissionInput) (*lambda.AddPermissionOutput, error) {
				return h.run.AddPermission(ctx, in)
			}, nil),
	}
}

// zipped shows the code as a file: as text it would be megabytes.
func zipped(s Step) Step {
	shown := *s.Request.(*lambda.CreateFunctionInput)
	shown.Code = nil
	s.Request, s.Files = &shown, "--zip-file fileb://bootstrap.zip"
	return s
}

// after lets a step wait for something before it calls.
func (h *Hand) after(s Step, wait func(context.Context) error) Step {
	do := s.do
	s.do = func(ctx context.Context) error {
		if err := wait(ctx); err != nil {
			return err
		}
		return do(ctx)
	}
	return s
}

// retried tries a call again while a new role is not known everywhere: IAM tells
// its news within seconds (IAM user guide, eventual consistency).
func (h *Hand) retried(s Step) Step {
	do := s.do
	s.do = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for {
			err := do(ctx)
			var api smithy.APIError
			if err == nil || !errors.As(err, &api) || !strings.Contains(api.ErrorMessage(), "cannot be assumed by Lambda") {
				return err
			}
			if perr := pause(ctx, h.place.Poll); perr != nil {
				return err
			}
		}
	}
	return s
}

func (h *Hand) streamActive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setMost)
	defer cancel()
	for {
		got, err := once(ctx, func(ctx context.Context) (*kinesis.DescribeStreamSummaryOutput, error) {
			return h.flow.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(h.names["stream"])})
		})
		if err != nil {
			return err
		}
		if got.StreamDescriptionSummary.StreamStatus == kin.StreamStatusActive {
			return nil
		}
		if err := pause(ctx, h.place.Poll); err != nil {
			return fmt.Errorf("the stream is still %s: %w", got.StreamDescriptionSummary.StreamStatus, err)
		}
	}
}

// Do makes the step's call.
func (s Step) Do(ctx context.Context) error {
	if err := s.do(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Title, err)
	}
	return nil
}
