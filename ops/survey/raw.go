package survey

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// Raw returns what AWS says about a resource, as indented JSON. The values of a
// function's environment variables are left out: they are secrets more often than
// not. The error is an *ops.Problem.
func (s *Survey) Raw(ctx context.Context, of ops.ARN) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := s.describe(ctx, of)
	if err != nil {
		return nil, s.cloud.Explain(err)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("print %s as JSON: %w", of.Name(), err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("print %s as JSON: %w", of.Name(), err)
	}
	return json.MarshalIndent(plain(tree), "", "  ")
}

func (s *Survey) describe(ctx context.Context, of ops.ARN) (any, error) {
	name, arn := of.Name(), aws.String(string(of))
	switch of.Kind() {
	case ops.KindStream:
		return s.streams.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
	case ops.KindDelivery:
		return s.deliveries.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &name})
	case ops.KindQueue:
		url, err := s.queueURL(ctx, of)
		if err != nil {
			return nil, err
		}
		return s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
		})
	case ops.KindTopic:
		return s.topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: arn})
	case ops.KindFunction:
		out, err := s.functions.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		if err == nil && out.Environment != nil {
			for k := range out.Environment.Variables {
				out.Environment.Variables[k] = "(not shown)"
			}
		}
		return out, err
	case ops.KindBucket:
		return s.buckets.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &name})
	case ops.KindAPI:
		if of.ByMetrics() {
			return nil, &ops.Problem{Fault: ops.FaultUnsupported, What: fmt.Sprintf("REST API %s is known by its metrics only", of.Name())}
		}
		return s.apis.GetIntegrations(ctx, &apigatewayv2.GetIntegrationsInput{ApiId: &name})
	}
	return nil, &ops.Problem{Fault: ops.FaultUnsupported, What: fmt.Sprintf("%s is of no kind that kxops can describe", of)}
}

// queueURL looks the URL up in the picture, and asks for it where it is not known.
func (s *Survey) queueURL(ctx context.Context, of ops.ARN) (string, error) {
	s.mu.Lock()
	for url, e := range s.picture.Queues.Entries {
		if e.Item.ARN == of {
			s.mu.Unlock()
			return url, nil
		}
	}
	s.mu.Unlock()
	name, owner := of.Name(), of.Account()
	out, err := s.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name, QueueOwnerAWSAccountId: &owner})
	if err != nil {
		return "", fmt.Errorf("find the URL of queue %s: %w", name, err)
	}
	return aws.ToString(out.QueueUrl), nil
}

// plain drops what the SDK adds and what is not set, and opens the policies that
// AWS wraps as JSON in a string.
func plain(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, y := range x {
			if y == nil || k == "ResultMetadata" {
				delete(x, k)
				continue
			}
			x[k] = plain(y)
		}
	case []any:
		for i := range x {
			x[i] = plain(x[i])
		}
	case string:
		if len(x) > 1 && x[0] == '{' {
			var inner any
			if json.Unmarshal([]byte(x), &inner) == nil {
				return inner
			}
		}
	}
	return v
}
