package replay

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"kxops/ops"
)

// What PublishBatch takes. Source: SNS API, PublishBatch: 10 messages, 256 KiB.
const (
	topicRecords = 10
	topicBytes   = 256 << 10
)

// topicTarget publishes to a topic: every subscriber gets each event.
type topicTarget struct {
	desk *Desk
	arn  ops.ARN
	fifo bool
}

func newTopicTarget(d *Desk, plan ops.ReplayPlan) (target, error) {
	arn := plan.To.ARN
	if !strings.HasPrefix(string(arn), "arn:") { // a name: the topic of this account
		partition := "aws"
		switch region := d.o.Identity.Region; {
		case strings.HasPrefix(region, "cn-"):
			partition = "aws-cn"
		case strings.HasPrefix(region, "us-gov-"):
			partition = "aws-us-gov"
		}
		arn = ops.ARN(fmt.Sprintf("arn:%s:sns:%s:%s:%s", partition, d.o.Identity.Region, d.o.Identity.Account, arn))
	}
	return &topicTarget{desk: d, arn: arn, fifo: strings.HasSuffix(string(arn), ".fifo")}, nil
}

func (t *topicTarget) find(ctx context.Context, plan *ops.ReplayPlan) error {
	out, err := t.desk.sns.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(string(t.arn))})
	if err != nil {
		return err
	}
	plan.To.ARN = ops.ARN(cmp.Or(out.Attributes["TopicArn"], string(t.arn)))
	plan.Seen["topic"] = string(plan.To.ARN)
	plan.Seen["topic key"] = out.Attributes["KmsMasterKeyId"]
	plan.Facts = append(plan.Facts, ops.Fact{Name: "target", Value: fmt.Sprintf("topic %s: each of its %s subscribers gets each event", plan.To.ARN.Name(), cmp.Or(out.Attributes["SubscriptionsConfirmed"], "?"))})
	return nil
}

func (t *topicTarget) limits() Limits {
	return Limits{Records: topicRecords, Bytes: topicBytes, Record: topicBytes}
}

func (t *topicTarget) size(p Parcel) int {
	return len(p.Body) + p.attributesSize()
}

func (t *topicTarget) send(ctx context.Context, parcels []Parcel) []Answer {
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	answers := make([]Answer, len(parcels))
	in := &sns.PublishBatchInput{TopicArn: aws.String(string(t.arn))}
	for i, p := range parcels {
		if !speakable(p.Body) {
			answers[i] = Answer{Fate: Refused, Code: "InvalidMessageContents", Why: "SNS takes text only, and the body has bytes that are none: map it (--map-body @base64)"}
			continue
		}
		in.PublishBatchRequestEntries = append(in.PublishBatchRequestEntries, t.entry(i, p))
		answers[i] = Answer{Fate: Unsure, Code: "NoAnswer", Why: "the answer does not name this message"}
	}
	if len(in.PublishBatchRequestEntries) == 0 {
		return answers
	}
	out, err := t.desk.putTopic.PublishBatch(ctx, in)
	if err != nil {
		whole := t.desk.answerAll(len(in.PublishBatchRequestEntries), err)
		for k, e := range in.PublishBatchRequestEntries {
			if i, ok := indexOf(e.Id, len(parcels)); ok {
				answers[i] = whole[k]
			}
		}
		return halves(answers, parcels, func(some []Parcel) []Answer { return t.send(ctx, some) })
	}
	for _, e := range out.Successful {
		if i, ok := indexOf(e.Id, len(parcels)); ok {
			answers[i] = Answer{At: aws.ToString(e.MessageId)}
		}
	}
	for _, e := range out.Failed {
		i, ok := indexOf(e.Id, len(parcels))
		if !ok {
			continue
		}
		answers[i] = Answer{Fate: Refused, Code: cmp.Or(aws.ToString(e.Code), "?"), Why: aws.ToString(e.Message)}
		switch {
		case strings.Contains(answers[i].Code, "Throttl"):
			answers[i].Fate = Busy
		case !e.SenderFault:
			answers[i].Fate = Unsure
		}
	}
	return answers
}

func (t *topicTarget) entry(i int, p Parcel) types.PublishBatchRequestEntry {
	e := types.PublishBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), Message: aws.String(string(p.Body))}
	if len(p.Marks)+len(p.Attributes) > 0 {
		e.MessageAttributes = topicAttributes(p)
	}
	if t.fifo {
		e.MessageGroupId = aws.String(groupID(p))
		e.MessageDeduplicationId = aws.String(p.ID)
	}
	return e
}

func (t *topicTarget) close() error { return nil }
