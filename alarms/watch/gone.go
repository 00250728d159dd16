package watch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
)

// isGone asks AWS about one resource. nil means that it said: there is none. Any
// other answer, a denial or no answer at all is an error: unknown is never gone.
func (d *Desk) isGone(ctx context.Context, resource ops.ARN) error {
	err := d.exists(ctx, resource)
	if err == nil {
		return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("%s %s exists: its alarm is not deleted", resource.Kind(), resource.Name()), Hint: "look again, then plan again"}
	}
	p := d.o.Explain(err)
	if p.Fault == ops.FaultNotFound {
		return nil
	}
	return &ops.Problem{Fault: p.Fault, What: fmt.Sprintf("whether %s %s is gone could not be told: %s", resource.Kind(), resource.Name(), p.What), Hint: p.Hint, Err: err}
}

// exists describes a resource; the error says why it could not be.
func (d *Desk) exists(ctx context.Context, resource ops.ARN) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	name, arn := aws.String(resource.Name()), aws.String(string(resource))
	var err error
	switch resource.Kind() {
	case ops.KindStream:
		_, err = kinesis.NewFromConfig(d.o.Config).DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamARN: arn})
	case ops.KindDelivery:
		_, err = firehose.NewFromConfig(d.o.Config).DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: name})
	case ops.KindQueue:
		_, err = sqs.NewFromConfig(d.o.Config).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: name})
	case ops.KindTopic:
		_, err = sns.NewFromConfig(d.o.Config).GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: arn})
	case ops.KindFunction:
		_, err = lambda.NewFromConfig(d.o.Config).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: arn})
	case ops.KindBucket:
		_, err = s3.NewFromConfig(d.o.Config).GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: name})
	case ops.KindAPI:
		if resource.ByMetrics() { // without requests for two weeks it is not listed either
			return fmt.Errorf("REST API %s is known by its metrics only", resource.Name())
		}
		_, err = apigatewayv2.NewFromConfig(d.o.Config).GetStages(ctx, &apigatewayv2.GetStagesInput{ApiId: name})
	default:
		return fmt.Errorf("no way to ask about %s", resource)
	}
	return err
}
