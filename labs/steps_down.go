package labs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go"
)

// There says that a step's resource exists already: an earlier run made it.
func There(err error) bool {
	code := errorCode(err)
	return strings.Contains(code, "AlreadyExists") || strings.Contains(code, "AlreadyOwned") || code == "ResourceInUseException" || code == "ResourceConflictException"
}

// gone says that what shall be deleted is not there.
func gone(err error) bool {
	code := errorCode(err)
	return strings.Contains(code, "NotFound") || strings.HasPrefix(code, "NoSuch")
}

func errorCode(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}

// api finds the API by its name, "" when there is none.
func (h *Hand) api(ctx context.Context) (id, endpoint string, err error) {
	in := &apigatewayv2.GetApisInput{}
	for {
		page, err := once(ctx, func(ctx context.Context) (*apigatewayv2.GetApisOutput, error) { return h.door.GetApis(ctx, in) })
		if err != nil {
			return "", "", fmt.Errorf("look for the API: %w", err)
		}
		for _, a := range page.Items {
			if aws.ToString(a.Name) == h.names["api"] {
				return aws.ToString(a.ApiId), aws.ToString(a.ApiEndpoint), nil
			}
		}
		if aws.ToString(page.NextToken) == "" {
			return "", "", nil
		}
		in.NextToken = page.NextToken
	}
}

// find reads what was built; ok is false while the front door, the last part, is
// not there.
func (h *Hand) find(ctx context.Context) (out Outputs, ok bool, err error) {
	id, endpoint, err := h.api(ctx)
	if err != nil || id == "" {
		return nil, false, err
	}
	return Outputs{"ApiUrl": endpoint + "/events", "StoreBucket": h.names["bucket"], "StreamName": h.names["stream"],
		"DeliveryStreamName": h.names["delivery"], "FunctionName": h.names["function"]}, true, nil
}

// Down deletes what was built, the door first, so that nothing comes in any more.
// tell is told of each part. What could not be deleted is in the error; the rest
// is deleted all the same.
func (h *Hand) Down(ctx context.Context, tell func(string)) error {
	var failed []error
	remove := func(what string, do func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, callMost)
		defer cancel()
		switch err := do(ctx); {
		case err == nil:
			tell(what + " deleted")
		case !gone(err):
			failed = append(failed, fmt.Errorf("%s stays: %w", what, err))
		}
	}
	id, _, err := h.api(ctx)
	if err != nil {
		return err
	}
	n := h.names
	if id != "" {
		remove("the front door", func(ctx context.Context) error {
			_, err := h.door.DeleteApi(ctx, &apigatewayv2.DeleteApiInput{ApiId: &id})
			return err
		})
	}
	remove("the function", func(ctx context.Context) error {
		_, err := h.run.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: aws.String(n["function"])})
		return err
	})
	remove("the delivery stream", func(ctx context.Context) error {
		_, err := h.fire.DeleteDeliveryStream(ctx, &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: aws.String(n["delivery"])})
		return err
	})
	remove("the stream", func(ctx context.Context) error {
		_, err := h.flow.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: aws.String(n["stream"]), EnforceConsumerDeletion: aws.Bool(true)})
		return err
	})
	for role, policy := range map[string]string{"archiveRole": "archive", "ingestRole": "put"} {
		remove("the policy of the role "+n[role], func(ctx context.Context) error {
			_, err := h.who.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String(n[role]), PolicyName: aws.String(policy)})
			return err
		})
		remove("the role "+n[role], func(ctx context.Context) error {
			_, err := h.who.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String(n[role])})
			return err
		})
	}
	// A stream takes a while to go; until then its name is taken.
	remove("the stream's name", func(ctx context.Context) error { return h.streamGone(ctx) })
	bucket := n["bucket"]
	remove("the bucket", func(ctx context.Context) error {
		if err := empty(ctx, h.store, bucket); err != nil {
			return err
		}
		_, err := h.store.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
		return err
	})
	return errors.Join(failed...)
}

// streamGone waits until the stream is not there any more. It answers nil then.
func (h *Hand) streamGone(ctx context.Context) error {
	for {
		_, err := once(ctx, func(ctx context.Context) (*kinesis.DescribeStreamSummaryOutput, error) {
			return h.flow.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(h.names["stream"])})
		})
		if err != nil {
			return err // not found is what remove takes for done
		}
		if err := pause(ctx, h.place.Poll); err != nil {
			return fmt.Errorf("it is still being deleted: %w", err)
		}
	}
}
