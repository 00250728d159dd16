package conformance

import (
	"context"
	"errors"
	"slices"
	"strconv"
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

// giveBack ends the lease of a message.
func (x *run) giveBack(url string, m types.Message) {
	out, err := x.sqs.ChangeMessageVisibilityBatch(x.ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("0"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0}}})
	x.must("ChangeMessageVisibilityBatch", err)
	if len(out.Failed) > 0 {
		x.fatalf("not given back: %+v", out.Failed)
	}
}

// deadLetters makes a dead-letter queue with messages that its source's redrive
// policy moved there. Their bodies are "1", "2" …
func (x *run) deadLetters(n int) (url, arn, sourceURL, sourceARN string) {
	url, arn = x.queue(nil)
	sourceURL, sourceARN = x.queue(redrive(arn, "1"))
	for i := range n {
		x.send(sourceURL, strconv.Itoa(i+1))
		x.giveBack(sourceURL, x.receive(sourceURL))
		_, err := x.sqs.ReceiveMessage(x.ctx, &sqs.ReceiveMessageInput{QueueUrl: &sourceURL})
		x.must("ReceiveMessage", err)
	}
	return url, arn, sourceURL, sourceARN
}

// tasks lists the move tasks of a queue, newest first.
func (x *run) tasks(arn string) []types.ListMessageMoveTasksResultEntry {
	out, err := x.sqs.ListMessageMoveTasks(x.ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &arn, MaxResults: aws.Int32(10)})
	x.must("ListMessageMoveTasks", err)
	return out.Results
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
		x.giveBack(url, first)
		out, err := x.sqs.ReceiveMessage(x.ctx, &sqs.ReceiveMessageInput{QueueUrl: &url})
		x.must("ReceiveMessage", err)
		equal(x, "messages left", len(out.Messages), 0)
		moved := x.receive(dlqURL)
		equal(x, "id", aws.ToString(moved.MessageId), aws.ToString(first.MessageId))
		equal(x, "sent", moved.Attributes["SentTimestamp"], first.Attributes["SentTimestamp"])
		equal(x, "source", moved.Attributes["DeadLetterQueueSourceArn"], arn)
	}},
	{name: "zero gives a message back at once", service: "SQS", operation: "ChangeMessageVisibilityBatch", run: func(x *run) {
		url, _ := x.queue(nil)
		x.send(url, "a")
		x.giveBack(url, x.receive(url))
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
	{name: "pages through the queues that dead-letter here", service: "SQS", operation: "ListDeadLetterSourceQueues", run: func(x *run) {
		url, arn := x.queue(nil)
		var want, got []string
		for range 3 {
			source, _ := x.queue(redrive(arn, "3"))
			want = append(want, source)
		}
		x.queue(nil)
		pages := sqs.NewListDeadLetterSourceQueuesPaginator(x.sqs, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &url, MaxResults: aws.Int32(2)})
		n := 0
		for ; pages.HasMorePages() && n < 10; n++ {
			page, err := pages.NextPage(x.ctx)
			x.must("ListDeadLetterSourceQueues", err)
			got = append(got, page.QueueUrls...)
		}
		slices.Sort(want)
		slices.Sort(got)
		equal(x, "sources", strings.Join(got, " "), strings.Join(want, " "))
		equal(x, "pages", n, 2)
	}},
	{name: "sends attributes, trace and tenant", service: "SQS", operation: "SendMessageBatch", run: func(x *run) {
		url, _ := x.queue(nil)
		const trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
		out, err := x.sqs.SendMessageBatch(x.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{{
			Id: aws.String("0"), MessageBody: aws.String("é\t1"), MessageGroupId: aws.String("tenant"),
			MessageAttributes: map[string]types.MessageAttributeValue{
				"text":   {DataType: aws.String("String.label"), StringValue: aws.String("a\nb")},
				"number": {DataType: aws.String("Number"), StringValue: aws.String("1.50")},
				"bytes":  {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
			},
			MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String(trace)}},
		}}})
		x.must("SendMessageBatch", err)
		if len(out.Successful) != 1 || len(out.Failed) != 0 {
			x.fatalf("%+v", out)
		}
		m := x.receive(url)
		equal(x, "id", aws.ToString(m.MessageId), aws.ToString(out.Successful[0].MessageId))
		equal(x, "MD5", aws.ToString(m.MD5OfBody), aws.ToString(out.Successful[0].MD5OfMessageBody))
		equal(x, "body", aws.ToString(m.Body), "é\t1")
		equal(x, "type", aws.ToString(m.MessageAttributes["text"].DataType), "String.label")
		equal(x, "number", aws.ToString(m.MessageAttributes["number"].StringValue), "1.50")
		equal(x, "bytes", string(m.MessageAttributes["bytes"].BinaryValue), "\x00\xff")
		equal(x, "trace", m.Attributes["AWSTraceHeader"], trace)
		equal(x, "tenant", m.Attributes["MessageGroupId"], "tenant")
	}},
	{name: "fails for the bad entry only", service: "SQS", operation: "SendMessageBatch", run: func(x *run) {
		url, _ := x.queue(nil)
		out, err := x.sqs.SendMessageBatch(x.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("good"), MessageBody: aws.String("a")}, {Id: aws.String("bad"), MessageBody: aws.String("\x01")}}})
		x.must("SendMessageBatch", err)
		if len(out.Successful) != 1 || aws.ToString(out.Successful[0].Id) != "good" {
			x.errorf("successful: %+v", out.Successful)
		}
		if len(out.Failed) != 1 || aws.ToString(out.Failed[0].Id) != "bad" || aws.ToString(out.Failed[0].Code) == "" {
			x.errorf("failed: %+v", out.Failed)
		}
	}},
	{name: "the same deduplication id is taken once", service: "SQS", operation: "SendMessageBatch", run: func(x *run) {
		url, _ := x.queue(map[string]string{"FifoQueue": "true"})
		for range 2 {
			out, err := x.sqs.SendMessageBatch(x.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{
				{Id: aws.String("0"), MessageBody: aws.String("a"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("once")}}})
			x.must("SendMessageBatch", err)
			equal(x, "successful", len(out.Successful), 1)
		}
		x.receive(url)
		visible, inFlight := x.depth(url)
		equal(x, "visible", visible, "0")
		equal(x, "in flight", inFlight, "1")
	}},
	{name: "deletes each entry by itself", service: "SQS", operation: "DeleteMessageBatch", run: func(x *run) {
		url, _ := x.queue(nil)
		x.send(url, "a")
		m := x.receive(url)
		out, err := x.sqs.DeleteMessageBatch(x.ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("good"), ReceiptHandle: m.ReceiptHandle}, {Id: aws.String("bad"), ReceiptHandle: aws.String("no such handle")}}})
		x.must("DeleteMessageBatch", err)
		if len(out.Successful) != 1 || aws.ToString(out.Successful[0].Id) != "good" {
			x.errorf("successful: %+v", out.Successful)
		}
		if len(out.Failed) != 1 || aws.ToString(out.Failed[0].Id) != "bad" {
			x.errorf("failed: %+v", out.Failed)
		}
		visible, inFlight := x.depth(url)
		equal(x, "visible", visible, "0")
		equal(x, "in flight", inFlight, "0")
	}},
	{name: "moves dead letters to their source", service: "SQS", operation: "StartMessageMoveTask", run: func(x *run) {
		_, arn, sourceURL, _ := x.deadLetters(2)
		started, err := x.sqs.StartMessageMoveTask(x.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn, MaxNumberOfMessagesPerSecond: aws.Int32(100)})
		x.must("StartMessageMoveTask", err)
		if aws.ToString(started.TaskHandle) == "" {
			x.errorf("no handle")
		}
		x.until("two messages at the source", func() (bool, error) {
			visible, _ := x.depth(sourceURL)
			return visible == "2", nil
		})
	}},
	{name: "refuses a queue that is no dead-letter queue", service: "SQS", operation: "StartMessageMoveTask", run: func(x *run) {
		_, arn := x.queue(nil)
		_, err := x.sqs.StartMessageMoveTask(x.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn})
		if err == nil {
			x.errorf("it was started")
		}
	}},
	{name: "tells of a task that is over", service: "SQS", operation: "ListMessageMoveTasks", run: func(x *run) {
		_, arn, _, _ := x.deadLetters(1)
		equal(x, "tasks before", len(x.tasks(arn)), 0)
		_, err := x.sqs.StartMessageMoveTask(x.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn, MaxNumberOfMessagesPerSecond: aws.Int32(100)})
		x.must("StartMessageMoveTask", err)
		x.until("the task is completed", func() (bool, error) {
			tasks := x.tasks(arn)
			return len(tasks) == 1 && aws.ToString(tasks[0].Status) == "COMPLETED" && tasks[0].ApproximateNumberOfMessagesMoved == 1, nil
		})
		task := x.tasks(arn)[0]
		equal(x, "source", aws.ToString(task.SourceArn), arn)
		equal(x, "handle of a task that is over", aws.ToString(task.TaskHandle), "")
		equal(x, "to move", aws.ToInt64(task.ApproximateNumberOfMessagesToMove), 1)
		if task.StartedTimestamp == 0 {
			x.errorf("no start")
		}
	}},
	{name: "stops a running task", service: "SQS", operation: "CancelMessageMoveTask", run: func(x *run) {
		_, arn, _, _ := x.deadLetters(3)
		started, err := x.sqs.StartMessageMoveTask(x.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn, MaxNumberOfMessagesPerSecond: aws.Int32(1)})
		x.must("StartMessageMoveTask", err)
		tasks := x.tasks(arn)
		if len(tasks) != 1 || aws.ToString(tasks[0].Status) != "RUNNING" || aws.ToString(tasks[0].TaskHandle) != aws.ToString(started.TaskHandle) {
			x.errorf("running: %+v", tasks)
		}
		_, err = x.sqs.CancelMessageMoveTask(x.ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: started.TaskHandle})
		x.must("CancelMessageMoveTask", err)
		x.until("the task is cancelled", func() (bool, error) {
			tasks := x.tasks(arn)
			return len(tasks) == 1 && aws.ToString(tasks[0].Status) == "CANCELLED", nil
		})
	}},
	{name: "raises the retention", service: "SQS", operation: "SetQueueAttributes", run: func(x *run) {
		url, _ := x.queue(nil)
		_, err := x.sqs.SetQueueAttributes(x.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"MessageRetentionPeriod": "1209600"}})
		x.must("SetQueueAttributes", err)
		x.until("fourteen days", func() (bool, error) {
			out, err := x.sqs.GetQueueAttributes(x.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"MessageRetentionPeriod"}})
			return err == nil && out.Attributes["MessageRetentionPeriod"] == "1209600", err
		})
	}},
	{name: "refuses a retention over fourteen days", service: "SQS", operation: "SetQueueAttributes", run: func(x *run) {
		url, _ := x.queue(nil)
		_, err := x.sqs.SetQueueAttributes(x.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"MessageRetentionPeriod": "1209601"}})
		if err == nil {
			x.errorf("it was taken")
		}
	}},
}
