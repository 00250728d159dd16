package replay

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// sendWait is the deadline of one request that sends.
const sendWait = 20 * time.Second

// maxGroupID is the longest message group id, in characters. Source: SQS API, SendMessage.
const maxGroupID = 128

// queueTarget sends to a queue, standard or FIFO.
type queueTarget struct {
	desk *Desk
	url  string
	name string
	fifo bool
}

func newQueueTarget(d *Desk, plan ops.ReplayPlan) (target, error) {
	name := plan.To.ARN.Name()
	return &queueTarget{desk: d, url: plan.To.URL, name: name, fifo: strings.HasSuffix(name, ".fifo")}, nil
}

// find asks the queue who it is.
func (t *queueTarget) find(ctx context.Context, plan *ops.ReplayPlan) error {
	in := &sqs.GetQueueUrlInput{QueueName: aws.String(t.name)}
	if account := plan.To.ARN.Account(); account != "" {
		in.QueueOwnerAWSAccountId = &account
	}
	url, err := t.desk.sqs.GetQueueUrl(ctx, in)
	if err != nil {
		return err
	}
	out, err := t.desk.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return err
	}
	a := out.Attributes
	plan.To.ARN, plan.To.URL = ops.ARN(a["QueueArn"]), *url.QueueUrl
	see := func(name string) {
		if v := a[name]; v != "" {
			plan.Seen["queue "+name] = v
		}
	}
	for _, name := range []string{"QueueArn", "CreatedTimestamp", "KmsMasterKeyId", "MaximumMessageSize"} {
		see(name)
	}
	kind := "standard: messages may arrive more than once and in any order"
	if t.fifo {
		kind = "FIFO: the key becomes the group, the source id the deduplication id; SQS itself drops what is sent twice within five minutes"
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "target", Value: fmt.Sprintf("queue %s (%s), now %s messages visible, %s in flight", t.name, kind, cmp.Or(a["ApproximateNumberOfMessages"], "?"), cmp.Or(a["ApproximateNumberOfMessagesNotVisible"], "?"))})
	if most, err := strconv.Atoi(a["MaximumMessageSize"]); err == nil && most < ops.MaxBatchBytes {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "largest", Value: fmt.Sprintf("the queue takes messages of up to %d bytes; larger records are parked", most)})
	}
	if a["KmsMasterKeyId"] != "" {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "encrypted", Value: "with the key " + a["KmsMasterKeyId"] + ": sending needs kms:GenerateDataKey and kms:Decrypt on it"})
	}
	return nil
}

func (t *queueTarget) limits() Limits {
	return Limits{Records: ops.MaxBatchEntries, Bytes: ops.MaxBatchBytes, Record: ops.MaxBatchBytes}
}

// size is the body with the marks: names, types and values count.
func (t *queueTarget) size(p Parcel) int {
	return len(p.Body) + p.attributesSize()
}

func (t *queueTarget) send(ctx context.Context, parcels []Parcel) []Answer {
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	answers := make([]Answer, len(parcels))
	in := &sqs.SendMessageBatchInput{QueueUrl: &t.url}
	for i, p := range parcels {
		if !speakable(p.Body) {
			answers[i] = Answer{Fate: Refused, Code: "InvalidMessageContents", Why: "SQS takes text only, and the body has bytes that are none: replay it to a stream, or map it (--map-body @base64)"}
			continue
		}
		in.Entries = append(in.Entries, t.entry(i, p))
		answers[i] = Answer{Fate: Unsure, Code: "NoAnswer", Why: "the answer does not name this message"}
	}
	if len(in.Entries) == 0 {
		return answers
	}
	// The SDK fails the whole call for one checksum; here each message has its own fate.
	out, err := t.desk.putQueue.SendMessageBatch(ctx, in, func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
	if err != nil {
		whole := t.desk.answerAll(len(in.Entries), err)
		for k, e := range in.Entries {
			if i, ok := indexOf(e.Id, len(parcels)); ok {
				answers[i] = whole[k]
			}
		}
		return halves(answers, parcels, func(some []Parcel) []Answer { return t.send(ctx, some) })
	}
	for _, e := range out.Successful {
		i, ok := indexOf(e.Id, len(parcels))
		if !ok {
			continue
		}
		sum := md5.Sum(parcels[i].Body)
		if aws.ToString(e.MD5OfMessageBody) != hex.EncodeToString(sum[:]) {
			answers[i] = Answer{Fate: Unsure, Code: "Checksum", Why: "SQS answered another checksum of the body"}
			continue
		}
		answers[i] = Answer{Fate: Taken, At: aws.ToString(e.MessageId)}
	}
	for _, e := range out.Failed {
		i, ok := indexOf(e.Id, len(parcels))
		if !ok {
			continue
		}
		answers[i] = Answer{Fate: Refused, Code: cmp.Or(aws.ToString(e.Code), "?"), Why: aws.ToString(e.Message)}
		code := strings.TrimPrefix(answers[i].Code, "AWS.SimpleQueueService.")
		switch {
		case slices.Contains(queueThrottles, code):
			answers[i].Fate = Busy
		case !e.SenderFault: // SQS's own trouble: it may have it
			answers[i].Fate = Unsure
		}
	}
	return answers
}

// queueThrottles are the entry codes that ask to slow down.
var queueThrottles = []string{"RequestThrottled", "ThrottlingException", "Throttling", "KmsThrottled", "KMS.ThrottlingException"}

func (t *queueTarget) entry(i int, p Parcel) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(p.Body))}
	if len(p.Marks)+len(p.Attributes) > 0 {
		e.MessageAttributes = queueAttributes(p)
	}
	if t.fifo {
		e.MessageGroupId = aws.String(groupID(p))
		e.MessageDeduplicationId = aws.String(p.ID)
	}
	return e
}

// groupID is the key as a message group. A key that SQS would not take becomes its
// hash: the same key is the same group.
func groupID(p Parcel) string {
	key := cmp.Or(p.Key, p.ID)
	if len(key) <= maxGroupID && strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) < 0 {
		return key
	}
	return keySum(key)
}

func (t *queueTarget) close() error { return nil }

// speakable reports text that a message may hold. Source: SQS API, SendMessage: #x9, #xA,
// #xD, #x20 to #xD7FF, #xE000 to #xFFFD, #x10000 to #x10FFFF.
func speakable(body []byte) bool {
	if len(body) == 0 {
		return false
	}
	for _, b := range body {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' {
			return false
		}
	}
	return utf8.Valid(body)
}

func indexOf(id *string, n int) (int, bool) {
	i, err := strconv.Atoi(aws.ToString(id))
	return i, err == nil && i >= 0 && i < n
}
