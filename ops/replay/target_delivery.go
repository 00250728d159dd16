package replay

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"kxops/ops"
)

// What PutRecordBatch takes. Source: Firehose API, PutRecordBatch: 500 records, 4 MiB, a
// record of 1,000 KiB before base64.
const (
	deliveryRecords = 500
	deliveryBytes   = 4 << 20
	deliveryRecord  = 1000 << 10
)

// deliveryTarget sends to a delivery stream of type Direct PUT.
type deliveryTarget struct {
	desk *Desk
	name string
}

func newDeliveryTarget(d *Desk, plan ops.ReplayPlan) (target, error) {
	return &deliveryTarget{desk: d, name: plan.To.ARN.Name()}, nil
}

func (t *deliveryTarget) find(ctx context.Context, plan *ops.ReplayPlan) error {
	out, err := t.desk.firehose.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &t.name})
	if err != nil {
		return err
	}
	d := out.DeliveryStreamDescription
	plan.To.ARN = ops.ARN(aws.ToString(d.DeliveryStreamARN))
	plan.Seen["delivery stream"] = string(plan.To.ARN)
	plan.Seen["delivery stream version"] = aws.ToString(d.VersionId)
	if d.DeliveryStreamStatus != types.DeliveryStreamStatusActive {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("the delivery stream %s is %s: it takes no records", t.name, d.DeliveryStreamStatus))
	}
	if d.DeliveryStreamType != types.DeliveryStreamTypeDirectPut {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("%s reads from a stream and takes nothing directly: replay to that stream", t.name))
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "target", Value: "delivery stream " + t.name + ": bodies are sent as they are, in no order; one that needs a line feed at its end needs --map-body"})
	return nil
}

func (t *deliveryTarget) limits() Limits {
	return Limits{Records: deliveryRecords, Bytes: deliveryBytes, Record: deliveryRecord}
}

func (t *deliveryTarget) size(p Parcel) int { return len(p.Body) }

func (t *deliveryTarget) send(ctx context.Context, parcels []Parcel) []Answer {
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	in := &firehose.PutRecordBatchInput{DeliveryStreamName: &t.name, Records: make([]types.Record, len(parcels))}
	for i, p := range parcels {
		in.Records[i].Data = p.Body
	}
	out, err := t.desk.putDelivery.PutRecordBatch(ctx, in)
	if err != nil {
		return halves(t.desk.answerAll(len(parcels), err), parcels, func(some []Parcel) []Answer { return t.send(ctx, some) })
	}
	answers := make([]Answer, len(parcels))
	for i := range answers {
		switch {
		case i >= len(out.RequestResponses):
			answers[i] = Answer{Fate: Unsure, Code: "NoAnswer", Why: "the answer does not name this record"}
		case out.RequestResponses[i].ErrorCode == nil:
			answers[i].At = aws.ToString(out.RequestResponses[i].RecordId)
		case *out.RequestResponses[i].ErrorCode == "ServiceUnavailableException":
			answers[i] = Answer{Fate: Busy, Code: *out.RequestResponses[i].ErrorCode, Why: aws.ToString(out.RequestResponses[i].ErrorMessage)}
		default:
			answers[i] = Answer{Fate: Unsure, Code: *out.RequestResponses[i].ErrorCode, Why: aws.ToString(out.RequestResponses[i].ErrorMessage)}
		}
	}
	return answers
}

func (t *deliveryTarget) close() error { return nil }
