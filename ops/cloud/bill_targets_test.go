package cloud_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// The calls of letters whose data is elsewhere, and of targets that are no queue.
func TestTheMeterEqualsTheSandboxsBillForPointersAndTargets(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	config := sb.Config()
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &config, Access: cloud.Change, NoQuotas: true})
	if err != nil {
		t.Fatal(err)
	}
	raw, cfg := sb.Config(), door.Config()
	setup := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	bucket, key, name, topic := aws.String("lake"), aws.String("a"), aws.String("worker"), aws.String("news")
	_, err = sns.NewFromConfig(raw).CreateTopic(t.Context(), &sns.CreateTopicInput{Name: topic})
	setup(err)
	_, err = s3.NewFromConfig(raw).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: sandbox.HomeRegion}})
	setup(err)
	_, err = s3.NewFromConfig(raw).PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("x")})
	setup(err)
	_, err = lambda.NewFromConfig(raw).CreateFunction(t.Context(), &lambda.CreateFunctionInput{FunctionName: name, Runtime: lambdatypes.RuntimeProvidedal2023,
		Handler: aws.String("h"), Role: aws.String("arn:aws:iam::123456789012:role/worker"), Code: &lambdatypes.FunctionCode{ZipFile: []byte("x")}})
	setup(err)
	_, err = kinesis.NewFromConfig(raw).CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("clicks"), ShardCount: aws.Int32(1)})
	setup(err)
	sb.Advance(time.Minute)
	before := sb.Bill().USD

	stream := aws.String("clicks")
	objects, functions, topics, streams := s3.NewFromConfig(cfg), lambda.NewFromConfig(cfg), sns.NewFromConfig(cfg), kinesis.NewFromConfig(cfg)
	for range 3 {
		_, err = objects.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key})
		setup(err)
		out, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
		setup(err)
		setup(out.Body.Close())
		_, err = functions.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: name, Payload: []byte("{}")})
		setup(err)
		_, err = topics.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: aws.String("arn:aws:sns:" + sandbox.HomeRegion + ":" + sandbox.Account + ":news"),
			PublishBatchRequestEntries: []snstypes.PublishBatchRequestEntry{{Id: aws.String("0"), Message: aws.String("hello")}}})
		setup(err)
		_, err = streams.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: stream})
		setup(err)
		if _, err = objects.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("none")}); err == nil {
			t.Fatal("what does not exist was found")
		}
	}
	spend, bill := door.Meter().Spend().USD, sb.Bill().USD-before
	want := 3 * (2*ops.PricePerBucketGet + ops.PricePerInvocation + ops.PricePerTopicCall)
	if math.Abs(spend-bill) > 1e-9 || math.Abs(spend-want) > 1e-9 {
		t.Errorf("the meter says $%.9f, the sandbox $%.9f, the price list $%.9f", spend, bill, want)
	}
}
