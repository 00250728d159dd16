package labs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// This file breaks lab 2.

// denied is the name of the policy that a fault adds to a role.
const denied = "kxops-lab-fault"

// awsManagedKey is the key that AWS manages for SQS.
const awsManagedKey = "alias/aws/sqs"

var archiveDenied = Fault{
	Name: "archive-denied", About: "somebody tightened a role: the delivery stream may not write to the event store",
	set: func(ctx context.Context, s *Stack, x *fixture) error {
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}]}`
		client := iam.NewFromConfig(s.place.Config)
		_, err := once(ctx, func(ctx context.Context) (*iam.PutRolePolicyOutput, error) {
			return client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(x.physical["ArchiveRole"]), PolicyName: aws.String(denied), PolicyDocument: &policy})
		})
		return err
	},
	clear: func(ctx context.Context, s *Stack, x *fixture) error {
		client := iam.NewFromConfig(s.place.Config)
		_, err := once(ctx, func(ctx context.Context) (*iam.DeleteRolePolicyOutput, error) {
			return client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String(x.physical["ArchiveRole"]), PolicyName: aws.String(denied)})
		})
		var none *iamtypes.NoSuchEntityException
		if errors.As(err, &none) {
			return nil
		}
		return err
	},
	stands: func(ctx context.Context, s *Stack, x *fixture) (bool, error) {
		client := iam.NewFromConfig(s.place.Config)
		_, err := once(ctx, func(ctx context.Context) (*iam.GetRolePolicyOutput, error) {
			return client.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: aws.String(x.physical["ArchiveRole"]), PolicyName: aws.String(denied)})
		})
		var none *iamtypes.NoSuchEntityException
		if errors.As(err, &none) {
			return false, nil
		}
		return err == nil, err
	},
}

// pipelineFaults are the ways to break labs built like lab 2.
var pipelineFaults = []Fault{
	{
		Name: "consumer-stopped", About: "somebody switched the processing function's event source mapping off",
		set:   func(ctx context.Context, s *Stack, x *fixture) error { return s.mapping(ctx, x, false) },
		clear: func(ctx context.Context, s *Stack, x *fixture) error { return s.mapping(ctx, x, true) },
		stands: func(ctx context.Context, s *Stack, x *fixture) (bool, error) {
			client := lambda.NewFromConfig(s.place.Config)
			got, err := once(ctx, func(ctx context.Context) (*lambda.GetEventSourceMappingOutput, error) {
				return client.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: aws.String(x.physical["ProcessMapping"])})
			})
			if err != nil {
				return false, err
			}
			state := aws.ToString(got.State)
			return state == "Disabled" || state == "Disabling", nil
		},
	},
	archiveDenied,
	{
		Name: "subscription-gone", About: "somebody deleted the queue's subscription: new objects are stored and nobody is told",
		set: func(ctx context.Context, s *Stack, x *fixture) error {
			client := sns.NewFromConfig(s.place.Config)
			arn, err := s.subscription(ctx, x)
			if err != nil || arn == "" {
				return err
			}
			_, err = once(ctx, func(ctx context.Context) (*sns.UnsubscribeOutput, error) {
				return client.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &arn})
			})
			return err
		},
		clear: func(ctx context.Context, s *Stack, x *fixture) error {
			client := sns.NewFromConfig(s.place.Config)
			_, err := once(ctx, func(ctx context.Context) (*sns.SubscribeOutput, error) {
				return client.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(x.physical["Topic"]), Protocol: aws.String("sqs"), Endpoint: aws.String(s.queueARN(x.physical["Work"]))})
			})
			return err
		},
		stands: func(ctx context.Context, s *Stack, x *fixture) (bool, error) {
			arn, err := s.subscription(ctx, x)
			return arn == "" && err == nil, err
		},
	},
	{
		Name: "poison", About: "a new version of the shop sends orders whose amount is a word: 25 of them",
		set: func(ctx context.Context, s *Stack, x *fixture) error { return s.poison(ctx, x, 25) },
	},
	{
		Name: "customer-lost", About: "a clean-up job deleted a customer's rows from the table of processed events",
		set: func(ctx context.Context, s *Stack, x *fixture) error { return s.forget(ctx, x.out["ProcessedTable"]) },
	},
	{
		Name: "slow", About: "a release of the processing function waits for an answer that does not come: every batch times out",
		set: func(ctx context.Context, s *Stack, x *fixture) error {
			return s.setVariable(ctx, x.physical["Process"], "SLOW", "15m") // longer than any function may run
		},
		clear: func(ctx context.Context, s *Stack, x *fixture) error {
			return s.setVariable(ctx, x.physical["Process"], "SLOW", "")
		},
		stands: func(ctx context.Context, s *Stack, x *fixture) (bool, error) {
			v, err := s.variable(ctx, x.physical["Process"], "SLOW")
			return v != "", err
		},
	},
	{
		Name: "throttled", About: "somebody reserved no concurrency at all for the processing function: each try of a batch counts as a receive",
		set: func(ctx context.Context, s *Stack, x *fixture) error {
			client := lambda.NewFromConfig(s.place.Config)
			_, err := once(ctx, func(ctx context.Context) (*lambda.PutFunctionConcurrencyOutput, error) {
				return client.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String(x.physical["Process"]), ReservedConcurrentExecutions: aws.Int32(0)})
			})
			return err
		},
		clear: func(ctx context.Context, s *Stack, x *fixture) error {
			client := lambda.NewFromConfig(s.place.Config)
			_, err := once(ctx, func(ctx context.Context) (*lambda.DeleteFunctionConcurrencyOutput, error) {
				return client.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: aws.String(x.physical["Process"])})
			})
			return err
		},
		stands: func(ctx context.Context, s *Stack, x *fixture) (bool, error) {
			client := lambda.NewFromConfig(s.place.Config)
			got, err := once(ctx, func(ctx context.Context) (*lambda.GetFunctionConcurrencyOutput, error) {
				return client.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: aws.String(x.physical["Process"])})
			})
			return err == nil && got.ReservedConcurrentExecutions != nil && *got.ReservedConcurrentExecutions == 0, err
		},
	},
	{
		// The policy of alias/aws/sqs cannot be changed, so that it never lets SNS in
		// (SQS developer guide, configuring KMS permissions for AWS services).
		Name: "wrong-key", About: "somebody encrypted the work queue with the key that AWS manages, which SNS may not use: notifications are lost",
		set: func(ctx context.Context, s *Stack, x *fixture) error {
			return s.setQueue(ctx, x.physical["Work"], map[string]string{"KmsMasterKeyId": awsManagedKey})
		},
		clear: func(ctx context.Context, s *Stack, x *fixture) error {
			return s.setQueue(ctx, x.physical["Work"], map[string]string{"KmsMasterKeyId": x.physical["Key"]}) // "" without encryption
		},
		stands: func(ctx context.Context, s *Stack, x *fixture) (bool, error) {
			v, err := s.queueSetting(ctx, x.physical["Work"], "KmsMasterKeyId")
			return v == awsManagedKey, err
		},
	},
	{
		Name: "dlq-full", About: "a broken release of the shop filled the dead-letter queue, and its retention is an hour: the letters expire soon",
		set: func(ctx context.Context, s *Stack, x *fixture) error {
			if err := s.setQueue(ctx, x.physical["DeadLetters"], map[string]string{"MessageRetentionPeriod": "3600"}); err != nil {
				return err
			}
			return s.poison(ctx, x, 500)
		},
		clear: func(ctx context.Context, s *Stack, x *fixture) error {
			return s.setQueue(ctx, x.physical["DeadLetters"], map[string]string{"MessageRetentionPeriod": "1209600"}) // as the template has it
		},
		stands: func(ctx context.Context, s *Stack, x *fixture) (bool, error) {
			v, err := s.queueSetting(ctx, x.physical["DeadLetters"], "MessageRetentionPeriod")
			return v == "3600", err
		},
	},
}

func (s *Stack) mapping(ctx context.Context, x *fixture, on bool) error {
	client := lambda.NewFromConfig(s.place.Config)
	_, err := once(ctx, func(ctx context.Context) (*lambda.UpdateEventSourceMappingOutput, error) {
		return client.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: aws.String(x.physical["ProcessMapping"]), Enabled: &on})
	})
	return err
}

// queueARN is the ARN of a queue of the place, by its URL.
func (s *Stack) queueARN(url string) string {
	return "arn:aws:sqs:" + s.place.Region + ":" + s.place.Account + ":" + url[strings.LastIndex(url, "/")+1:]
}

// subscription finds the work queue's subscription, "" when there is none.
func (s *Stack) subscription(ctx context.Context, x *fixture) (string, error) {
	client := sns.NewFromConfig(s.place.Config)
	got, err := once(ctx, func(ctx context.Context) (*sns.ListSubscriptionsByTopicOutput, error) {
		return client.ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(x.physical["Topic"])})
	})
	if err != nil {
		return "", err
	}
	for _, sub := range got.Subscriptions {
		if aws.ToString(sub.Endpoint) == s.queueARN(x.physical["Work"]) {
			return aws.ToString(sub.SubscriptionArn), nil
		}
	}
	return "", nil
}

// forget deletes the rows of the customer of the first event in the table.
func (s *Stack) forget(ctx context.Context, table string) error {
	client := dynamodb.NewFromConfig(s.place.Config)
	in := &dynamodb.ScanInput{TableName: &table, ProjectionExpression: aws.String("#id, customer"), ExpressionAttributeNames: map[string]string{"#id": "id"}}
	victim, doomed := "", []dynamo.AttributeValue{}
	for {
		page, err := once(ctx, func(ctx context.Context) (*dynamodb.ScanOutput, error) { return client.Scan(ctx, in) })
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			c, ok := item["customer"].(*dynamo.AttributeValueMemberS)
			if !ok {
				continue
			}
			if victim == "" {
				victim = c.Value
			}
			if c.Value == victim {
				doomed = append(doomed, item["id"])
			}
		}
		if len(page.LastEvaluatedKey) == 0 {
			break
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
	if victim == "" {
		return errors.New("the table is empty: send some traffic first")
	}
	for _, id := range doomed {
		if _, err := once(ctx, func(ctx context.Context) (*dynamodb.DeleteItemOutput, error) {
			return client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: map[string]dynamo.AttributeValue{"id": id}})
		}); err != nil {
			return err
		}
	}
	return nil
}

// poison sends orders that cannot be processed.
func (s *Stack) poison(ctx context.Context, x *fixture, count int) error {
	poisoned := *s
	lab := *s.Lab
	lab.next = func(r *rand.Rand, n int, _ bool) (string, string, any) {
		return fmt.Sprintf("poison-%03d", n), "order", map[string]any{"type": "order", "customer": fmt.Sprintf("c-%04d", r.IntN(500)),
			"detail": map[string]any{"amount": "twelve", "currency": "EUR"}}
	}
	poisoned.Lab = &lab
	return poisoned.Send(ctx, Traffic{Count: count, Bad: 1}, x.tell)
}

func (s *Stack) setQueue(ctx context.Context, url string, settings map[string]string) error {
	client := sqs.NewFromConfig(s.place.Config)
	_, err := once(ctx, func(ctx context.Context) (*sqs.SetQueueAttributesOutput, error) {
		return client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: settings})
	})
	return err
}

func (s *Stack) queueSetting(ctx context.Context, url, name string) (string, error) {
	client := sqs.NewFromConfig(s.place.Config)
	got, err := once(ctx, func(ctx context.Context) (*sqs.GetQueueAttributesOutput, error) {
		return client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	})
	if err != nil {
		return "", err
	}
	return got.Attributes[name], nil
}
