package conformance

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// onlyOurs is the reason why an emulator does not run a case.
const onlyOurs = "the case sets faults, which only the sandbox can be told to have"

var faultCases = slices.Concat(failingCases(), batchFaultCases)

// failing is a fault and what the product must make of it, in every service's
// own protocol and with its own error code.
var failing = []struct {
	kind  sandbox.FaultKind
	fault ops.Fault
}{
	{sandbox.Throttle, ops.FaultThrottled},
	{sandbox.DeniedAction, ops.FaultDenied},
	{sandbox.Expired, ops.FaultExpired},
	{sandbox.ClockSkew, ops.FaultClock},
	{sandbox.ServerError, ops.FaultService},
	{sandbox.ResetBefore, ops.FaultUnreachable},
	{sandbox.ResetAfter, ops.FaultUnreachable},
	{sandbox.Slow, ops.FaultTimeout},
}

// probes has one cheap call for each service.
var probes = []struct {
	service, operation string
	call               func(x *run, bucket string) error
}{
	{"STS", "GetCallerIdentity", func(x *run, _ string) error {
		_, err := x.sts.GetCallerIdentity(x.ctx, &sts.GetCallerIdentityInput{})
		return err
	}},
	{"Kinesis", "ListStreams", func(x *run, _ string) error {
		_, err := x.kinesis.ListStreams(x.ctx, &kinesis.ListStreamsInput{})
		return err
	}},
	{"Firehose", "ListDeliveryStreams", func(x *run, _ string) error {
		_, err := x.firehose.ListDeliveryStreams(x.ctx, &firehose.ListDeliveryStreamsInput{})
		return err
	}},
	{"SQS", "ListQueues", func(x *run, _ string) error { _, err := x.sqs.ListQueues(x.ctx, &sqs.ListQueuesInput{}); return err }},
	{"SNS", "ListTopics", func(x *run, _ string) error { _, err := x.sns.ListTopics(x.ctx, &sns.ListTopicsInput{}); return err }},
	{"Lambda", "ListFunctions", func(x *run, _ string) error {
		_, err := x.lambda.ListFunctions(x.ctx, &lambda.ListFunctionsInput{})
		return err
	}},
	{"S3", "GetBucketNotificationConfiguration", func(x *run, bucket string) error {
		_, err := x.s3.GetBucketNotificationConfiguration(x.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &bucket})
		return err
	}},
	{"CloudWatch", "ListMetrics", func(x *run, _ string) error {
		_, err := x.watch.ListMetrics(x.ctx, &cloudwatch.ListMetricsInput{})
		return err
	}},
}

func failingCases() []oneCase {
	var all []oneCase
	for _, probe := range probes {
		for _, f := range failing {
			all = append(all, oneCase{
				name: fmt.Sprintf("%s becomes %q", f.kind, f.fault), service: probe.service, operation: probe.operation, ours: true, once: true,
				run: func(x *run) {
					bucket := x.bucket()
					x.sandbox.SetFaults(sandbox.Fault{Kind: f.kind, Latency: time.Minute})
					if f.kind == sandbox.Slow {
						x.ctx = x.within(50 * time.Millisecond)
					}
					p := x.door.Explain(probe.call(x, bucket))
					if p == nil {
						x.fatalf("the call succeeded")
					}
					if p.Fault != f.fault || p.What == "" || p.Hint == "" {
						x.errorf("%s: %q, hint %q, from %v", p.Fault, p.What, p.Hint, p.Err)
					}
				},
			})
		}
	}
	return all
}

var batchFaultCases = []oneCase{
	{name: "is retried when throttled, and billed once", service: "SQS", operation: "ListQueues", ours: true, run: func(x *run) {
		x.sandbox.SetFaults(sandbox.Fault{Kind: sandbox.Throttle, Service: "sqs"})
		lifted := make(chan struct{})
		time.AfterFunc(50*time.Millisecond, func() { x.sandbox.SetFaults(); close(lifted) })
		_, err := x.sqs.ListQueues(x.ctx, &sqs.ListQueuesInput{})
		<-lifted
		x.must("ListQueues", err)
		calls := x.door.Calls()
		if last := calls[len(calls)-1]; last.Attempts < 2 {
			x.errorf("%d attempts, want a retry", last.Attempts)
		}
		equal(x, "USD", x.door.Meter().Spend().USD, ops.PricePerQueueCall)
	}},
	{name: "fails in part", service: "SQS", operation: "ChangeMessageVisibilityBatch", ours: true, run: func(x *run) {
		url, _ := x.queue(nil)
		x.send(url, "a")
		m := x.receive(url)
		x.sandbox.SetFaults(sandbox.Fault{Kind: sandbox.PartialBatch, Service: "sqs"})
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i := range 4 {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 30})
		}
		out, err := x.sqs.ChangeMessageVisibilityBatch(x.ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: entries})
		x.must("ChangeMessageVisibilityBatch", err)
		equal(x, "entries answered", len(out.Successful)+len(out.Failed), 4)
		if len(out.Failed) == 0 {
			x.errorf("no entry failed")
		}
		for _, f := range out.Failed {
			if aws.ToString(f.Code) == "" || aws.ToString(f.Id) == "" {
				x.errorf("a failed entry without id or code: %+v", f)
			}
		}
	}},
	{name: "may come back empty though messages wait", service: "SQS", operation: "ReceiveMessage", ours: true, run: func(x *run) {
		url, _ := x.queue(nil)
		x.send(url, "a")
		x.sandbox.SetFaults(sandbox.Fault{Kind: sandbox.FalseEmpty, Service: "sqs"})
		out, err := x.sqs.ReceiveMessage(x.ctx, &sqs.ReceiveMessageInput{QueueUrl: &url})
		x.must("ReceiveMessage", err)
		equal(x, "messages", len(out.Messages), 0)
		x.sandbox.SetFaults()
		x.receive(url)
	}},
	{name: "answers fifty at once", service: "SQS", operation: "GetQueueAttributes", ours: true, run: func(x *run) {
		url, _ := x.queue(nil)
		var all sync.WaitGroup
		errs := make([]error, 50)
		for i := range errs {
			all.Go(func() {
				_, errs[i] = x.sqs.GetQueueAttributes(x.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
			})
		}
		all.Wait()
		for _, err := range errs {
			x.must("GetQueueAttributes", err)
		}
		equal(x, "calls", x.door.Meter().Spend().Calls, 50)
	}},
}
