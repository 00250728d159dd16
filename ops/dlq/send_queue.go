package dlq

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// sendWait is the deadline of one send.
const sendWait = 20 * time.Second

// queueSender sends to a queue: body, attributes, trace header and group as they came.
type queueSender struct {
	desk *Desk
	to   ops.Target
	fifo bool
}

func newQueueSender(d *Desk, to ops.Target) *queueSender {
	return &queueSender{desk: d, to: to, fifo: strings.HasSuffix(to.ARN.Name(), ".fifo")}
}

func (s *queueSender) batch() int       { return ops.MaxBatchEntries }
func (s *queueSender) repeatable() bool { return s.fifo }

// send sends the parcels in as few requests as their size allows.
func (s *queueSender) send(ctx context.Context, parcels []parcel) []receipt {
	var out []receipt
	for len(parcels) > 0 {
		n, size := 0, 0
		for n < len(parcels) && n < ops.MaxBatchEntries && (n == 0 || size+parcels[n].message.Size() <= ops.MaxBatchBytes) {
			size += parcels[n].message.Size()
			n++
		}
		out = append(out, s.request(ctx, parcels[:n])...)
		parcels = parcels[n:]
	}
	return out
}

func (s *queueSender) request(ctx context.Context, parcels []parcel) []receipt {
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	in := &sqs.SendMessageBatchInput{QueueUrl: &s.to.URL}
	for i, p := range parcels {
		in.Entries = append(in.Entries, s.entry(i, p))
	}
	// The SDK fails the whole call for one checksum; here each message has its own fate.
	out, err := s.desk.once.SendMessageBatch(ctx, in, func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
	if err != nil {
		return s.refusedWhole(ctx, parcels, s.desk.failure("send to "+s.to.Name(), err))
	}
	// An entry that the answer does not name is not known.
	receipts := allOf(len(parcels), receipt{fate: unknown, code: "NoAnswer", why: "the answer does not name this message"})
	for _, e := range out.Successful {
		if i, ok := indexOf(e.Id, len(parcels)); ok {
			receipts[i] = s.check(parcels[i].message, e)
		}
	}
	for _, e := range out.Failed {
		if i, ok := indexOf(e.Id, len(parcels)); ok {
			receipts[i] = failed(e)
		}
	}
	return receipts
}

// refusedWhole is the answer for a request that failed as a whole. When SQS refused
// it for what one message in it is, nothing of it was taken: the messages go one by
// one, so that the others need not suffer.
func (s *queueSender) refusedWhole(ctx context.Context, parcels []parcel, r receipt) []receipt {
	if len(parcels) == 1 || r.fate != rejected {
		return allOf(len(parcels), r)
	}
	var out []receipt
	for _, p := range parcels {
		if ctx.Err() != nil { // not sent any more
			out = append(out, receipt{fate: untaken, code: "Stopped", why: "the operation ended before it was sent"})
			continue
		}
		out = append(out, s.request(ctx, []parcel{p})...)
	}
	return out
}

func indexOf(id *string, n int) (int, bool) {
	i, err := strconv.Atoi(aws.ToString(id))
	return i, err == nil && i >= 0 && i < n
}

// entry copies the message. The entry's id is its place in the batch: a message id
// that came twice would make the whole batch fail.
func (s *queueSender) entry(i int, p parcel) types.SendMessageBatchRequestEntry {
	m := p.message
	e := types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(m.Body)}
	if len(m.Attributes) > 0 {
		e.MessageAttributes = make(map[string]types.MessageAttributeValue, len(m.Attributes))
		for name, a := range m.Attributes {
			e.MessageAttributes[name] = attributeValue(a)
		}
	}
	if trace := m.System[ops.TraceAttribute]; trace != "" {
		e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			ops.TraceAttribute: {DataType: aws.String("String"), StringValue: aws.String(trace)},
		}
	}
	if p.group != "" {
		e.MessageGroupId = aws.String(p.group)
	}
	if s.fifo {
		e.MessageDeduplicationId = aws.String(p.dedup)
	}
	return e
}

func attributeValue(a ops.Attribute) types.MessageAttributeValue {
	v := types.MessageAttributeValue{DataType: aws.String(a.Type)}
	if isBinary(a.Type) {
		v.BinaryValue = a.Bytes
	} else {
		v.StringValue = aws.String(a.Text)
	}
	return v
}

func isBinary(dataType string) bool {
	return dataType == "Binary" || strings.HasPrefix(dataType, "Binary.")
}

// check compares what SQS says it took with what was sent.
func (s *queueSender) check(m ops.Message, e types.SendMessageBatchResultEntry) receipt {
	wrong := func(what string) receipt {
		return receipt{fate: unknown, id: aws.ToString(e.MessageId), code: "Checksum", why: "SQS answered another checksum of the " + what}
	}
	if sum := aws.ToString(e.MD5OfMessageBody); sum != m.Sum() {
		return wrong("body")
	}
	if sum := aws.ToString(e.MD5OfMessageAttributes); sum != "" && sum != attributesSum(m.Attributes) {
		return wrong("attributes")
	}
	if trace, sum := m.System[ops.TraceAttribute], aws.ToString(e.MD5OfMessageSystemAttributes); trace != "" && sum != "" &&
		sum != attributesSum(map[string]ops.Attribute{ops.TraceAttribute: {Type: "String", Text: trace}}) {
		return wrong("trace header")
	}
	return receipt{fate: sent, id: aws.ToString(e.MessageId)}
}

// attributesSum is the MD5 over the user attributes as SQS computes it: by name,
// each part with its length, the kind of value as one byte. Source: SQS developer
// guide, message metadata.
func attributesSum(attributes map[string]ops.Attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	h := md5.New()
	for _, name := range (ops.Message{Attributes: attributes}).AttributeNames() {
		a := attributes[name]
		lengthened(h, []byte(name))
		lengthened(h, []byte(a.Type))
		if isBinary(a.Type) {
			h.Write([]byte{2})
			lengthened(h, a.Bytes)
		} else {
			h.Write([]byte{1})
			lengthened(h, []byte(a.Text))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func lengthened(h hash.Hash, b []byte) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(b)))
	h.Write(n[:])
	h.Write(b)
}

// throttles are the entry codes that ask to slow down.
var throttles = []string{"RequestThrottled", "ThrottlingException", "Throttling", "KmsThrottled", "KMS.ThrottlingException"}

// failed is the receipt of an entry that SQS did not take.
func failed(e types.BatchResultErrorEntry) receipt {
	r := receipt{fate: rejected, code: cmp.Or(aws.ToString(e.Code), "?"), why: aws.ToString(e.Message), sender: e.SenderFault}
	if slices.Contains(throttles, strings.TrimPrefix(r.code, "AWS.SimpleQueueService.")) {
		r.fate = untaken
	}
	return r
}

// neverLeft reports whether the request did not leave: no connection was made.
func neverLeft(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}
