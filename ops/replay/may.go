package replay

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
)

// mayWrite asks the gate whether this session may send to such a target, so that
// nothing is begun that will be refused half-way. The requests have nothing in them:
// behind the gate the SDK itself does not send them, so no byte leaves.
func (d *Desk) mayWrite(k ops.Kind) error {
	ctx := context.Background()
	var err error
	switch k {
	case ops.KindStream:
		_, err = d.putStream.PutRecords(ctx, &kinesis.PutRecordsInput{})
	case ops.KindDelivery:
		_, err = d.putDelivery.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{})
	case ops.KindQueue:
		_, err = d.putQueue.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{})
	case ops.KindTopic:
		_, err = d.putTopic.PublishBatch(ctx, &sns.PublishBatchInput{})
	case ops.KindBus:
		_, err = d.putBus.PutEvents(ctx, &eventbridge.PutEventsInput{})
	case ops.KindFunction:
		_, err = d.putFunction.Invoke(ctx, &lambda.InvokeInput{})
	}
	if p := ops.AsProblem(err); p != nil && p.Fault == ops.FaultRefused {
		return p
	}
	return nil
}

// mayRegister asks the gate whether a consumer may be registered, and sends nothing.
func (d *Desk) mayRegister() error {
	_, err := d.putStream.RegisterStreamConsumer(context.Background(), &kinesis.RegisterStreamConsumerInput{})
	if p := ops.AsProblem(err); p != nil && p.Fault == ops.FaultRefused {
		return p
	}
	return nil
}
