package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// queue makes a queue. It returns URL and ARN.
func (x *run) queue(attributes map[string]string) (url, arn string) {
	name := x.name("queue")
	if attributes["FifoQueue"] == "true" {
		name += ".fifo"
	}
	return x.queueNamed(name, attributes)
}

func (x *run) queueNamed(name string, attributes map[string]string) (url, arn string) {
	out, err := x.set.sqs.CreateQueue(x.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	x.must("CreateQueue", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl})
		return err
	})
	got, err := x.set.sqs.GetQueueAttributes(x.ctx, &sqs.GetQueueAttributesInput{QueueUrl: out.QueueUrl, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
	x.must("GetQueueAttributes", err)
	return aws.ToString(out.QueueUrl), got.Attributes["QueueArn"]
}

func (x *run) send(url string, bodies ...string) {
	for _, body := range bodies {
		_, err := x.set.sqs.SendMessage(x.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
		x.must("SendMessage", err)
	}
}

// receive peeks at one message, as kxops does: all attributes, a lease of 30 s.
func (x *run) receive(url string) types.Message {
	out, err := x.sqs.ReceiveMessage(x.ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 1, VisibilityTimeout: 30,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	x.must("ReceiveMessage", err)
	if len(out.Messages) != 1 {
		x.fatalf("%d messages, want 1", len(out.Messages))
	}
	return out.Messages[0]
}

func (x *run) depth(url string) (visible, inFlight string) {
	out, err := x.sqs.GetQueueAttributes(x.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
		"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"}})
	x.must("GetQueueAttributes", err)
	return out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func redrive(to string, max string) map[string]string {
	return map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + to + `","maxReceiveCount":"` + max + `"}`}
}

var queueCases = []oneCase{
	{name: "pages through all queues", service: "SQS", operation: "ListQueues", run: func(x *run) {
		prefix := x.name("page")
		for _, suffix := range []string{"-a", "-b", "-c"} {
			x.queueNamed(prefix+suffix, nil)
		}
		pages := sqs.NewListQueuesPaginator(x.sqs, &sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: aws.Int32(2)})
		var got []string
		n := 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("ListQueues", err)
			for _, url := range page.QueueUrls {
				got = append(got, url[strings.LastIndex(url, "-"):])
			}
			n++
		}
		slices.Sort(got)
		equal(x, "queues", strings.Join(got, ""), "-a-b-c")
		equal(x, "pages", n, 2)
	}},
	{name: "finds the URL of a name", service: "SQS", operation: "GetQueueUrl", run: func(x *run) {
		url, _ := x.queue(nil)
		out, err := x.sqs.GetQueueUrl(x.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(url[strings.LastIndex(url, "/")+1:])})
		x.must("GetQueueUrl", err)
		equal(x, "URL", aws.ToString(out.QueueUrl), url)
	}},
	{name: "a missing queue is QueueDoesNotExist", service: "SQS", operation: "GetQueueUrl", run: func(x *run) {
		_, err := x.sqs.GetQueueUrl(x.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(x.name("none"))})
		var missing *types.QueueDoesNotExist
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "says what a queue is", service: "SQS", operation: "GetQueueAttributes", run: func(x *run) {
		_, dlq := x.queue(nil)
		attributes := redrive(dlq, "3")
		attributes["VisibilityTimeout"] = "45"
		attributes["MessageRetentionPeriod"] = "3600"
		attributes["DelaySeconds"] = "5"
		url, arn := x.queue(attributes)
		out, err := x.sqs.GetQueueAttributes(x.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
		x.must("GetQueueAttributes", err)
		equal(x, "ARN", out.Attributes["QueueArn"], arn)
		equal(x, "visibility", out.Attributes["VisibilityTimeout"], "45")
		equal(x, "retention", out.Attributes["MessageRetentionPeriod"], "3600")
		equal(x, "delay", out.Attributes["DelaySeconds"], "5")
		equal(x, "depth", out.Attributes["ApproximateNumberOfMessages"], "0")
		if !strings.Contains(out.Attributes["RedrivePolicy"], dlq) {
			x.errorf("redrive policy %q does not name %s", out.Attributes["RedrivePolicy"], dlq)
		}
		if out.Attributes["CreatedTimestamp"] == "" {
			x.errorf("no creation time")
		}
	}},
	{name: "a FIFO queue says so", service: "SQS", operation: "GetQueueAttributes", run: func(x *run) {
		url, _ := x.queue(map[string]string{"FifoQueue": "true"})
		out, err := x.sqs.GetQueueAttributes(x.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
		x.must("GetQueueAttributes", err)
		equal(x, "FifoQueue", out.Attributes["FifoQueue"], "true")
	}},
	{name: "counts visible and in flight apart", service: "SQS", operation: "GetQueueAttributes", run: func(x *run) {
		url, _ := x.queue(nil)
		x.send(url, "a", "b", "c")
		x.receive(url)
		x.until("two visible, one in flight", func() (bool, error) {
			visible, inFlight := x.depth(url)
			return visible == "2" && inFlight == "1", nil
		})
	}},
	{name: "leases a message and tells its story", service: "SQS", operation: "ReceiveMessage", run: func(x *run) {
		url, _ := x.queue(nil)
		sent, err := x.set.sqs.SendMessage(x.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("{\"n\":1}"), MessageAttributes: map[string]types.MessageAttributeValue{
			"text": {DataType: aws.String("String"), StringValue: aws.String("é\n")}, "bytes": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 255}}}})
		x.must("SendMessage", err)
		m := x.receive(url)
		equal(x, "body", aws.ToString(m.Body), "{\"n\":1}")
		equal(x, "id", aws.ToString(m.MessageId), aws.ToString(sent.MessageId))
		equal(x, "receive count", m.Attributes["ApproximateReceiveCount"], "1")
		if m.Attributes["SentTimestamp"] == "" || m.Attributes["ApproximateFirstReceiveTimestamp"] == "" {
			x.errorf("timestamps are missing: %v", m.Attributes)
		}
		equal(x, "text attribute", aws.ToString(m.MessageAttributes["text"].StringValue), "é\n")
		equal(x, "binary attribute", string(m.MessageAttributes["bytes"].BinaryValue), "\x00\x01\xff")
		again, err := x.sqs.ReceiveMessage(x.ctx, &sqs.ReceiveMessageInput{QueueUrl: &url})
		x.must("ReceiveMessage", err)
		equal(x, "messages under a lease", len(again.Messages), 0)
	}},
	{name: "gives at most ten at once", service: "SQS", operation: "ReceiveMessage", run: func(x *run) {
		url, _ := x.queue(nil)
		x.send(url, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12")
		seen := map[string]bool{}
		for range 20 {
			out, err := x.sqs.ReceiveMessage(x.ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 60})
			x.must("ReceiveMessage", err)
			if len(out.Messages) > 10 {
				x.errorf("%d messages at once", len(out.Messages))
			}
			for _, m := range out.Messages {
				seen[aws.ToString(m.MessageId)] = true
			}
			if len(seen) == 12 {
				return
			}
		}
		x.errorf("%d of 12 messages came", len(seen))
	}},
	{name: "moves a message on after maxReceiveCount, keeping its id and age", service: "SQS", operation: "ReceiveMessage", run: func(x *run) {
		dlqURL, dlq := x.queue(nil)
		url, arn := x.queue(redrive(dlq, "1"))
		x.send(url, "poison")
		first := x.receive(url)
		_, err := x.sqs.ChangeMessageVisibility(x.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: first.ReceiptHandle})
		x.must("ChangeMessageVisibility", err)
		out, err := x.sqs.ReceiveMessage(x.ctx, &sqs.ReceiveMessageInput{QueueUrl: &url})
		x.must("ReceiveMessage", err)
		equal(x, "messages left", len(out.Messages), 0)
		moved := x.receive(dlqURL)
		equal(x, "id", aws.ToString(moved.MessageId), aws.ToString(first.MessageId))
		equal(x, "sent", moved.Attributes["SentTimestamp"], first.Attributes["SentTimestamp"])
		equal(x, "source", moved.Attributes["DeadLetterQueueSourceArn"], arn)
	}},
	{name: "zero gives a message back at once", service: "SQS", operation: "ChangeMessageVisibility", run: func(x *run) {
		url, _ := x.queue(nil)
		x.send(url, "a")
		m := x.receive(url)
		_, err := x.sqs.ChangeMessageVisibility(x.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
		x.must("ChangeMessageVisibility", err)
		equal(x, "receive count", x.receive(url).Attributes["ApproximateReceiveCount"], "2")
	}},
	{name: "fails for the bad entry only", service: "SQS", operation: "ChangeMessageVisibilityBatch", run: func(x *run) {
		url, _ := x.queue(nil)
		x.send(url, "a")
		m := x.receive(url)
		out, err := x.sqs.ChangeMessageVisibilityBatch(x.ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
			{Id: aws.String("good"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0},
			{Id: aws.String("bad"), ReceiptHandle: aws.String("no such handle"), VisibilityTimeout: 0},
		}})
		x.must("ChangeMessageVisibilityBatch", err)
		if len(out.Successful) != 1 || aws.ToString(out.Successful[0].Id) != "good" {
			x.errorf("successful: %+v", out.Successful)
		}
		if len(out.Failed) != 1 || aws.ToString(out.Failed[0].Id) != "bad" || aws.ToString(out.Failed[0].Code) == "" {
			x.errorf("failed: %+v", out.Failed)
		}
	}},
}
