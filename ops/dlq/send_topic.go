package dlq

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"kxops/ops"
)

// topicSender publishes to a topic. Every subscriber gets it. A message that is
// itself what SNS delivered, its envelope, is not wrapped a second time: what was in
// it is published, with its subject and attributes.
type topicSender struct {
	desk *Desk
	to   ops.Target
	fifo bool
}

func newTopicSender(d *Desk, to ops.Target) *topicSender {
	return &topicSender{desk: d, to: to, fifo: strings.HasSuffix(to.ARN.Name(), ".fifo")}
}

func (s *topicSender) batch() int       { return ops.MaxBatchEntries }
func (s *topicSender) repeatable() bool { return s.fifo }

func (s *topicSender) send(ctx context.Context, parcels []parcel) []receipt {
	var out []receipt
	for len(parcels) > 0 {
		n, size := 0, 0
		for n < len(parcels) && n < ops.MaxBatchEntries && (n == 0 || size+parcels[n].message.Size() <= mostTopicBytes) {
			size += parcels[n].message.Size()
			n++
		}
		out = append(out, s.request(ctx, parcels[:n])...)
		parcels = parcels[n:]
	}
	return out
}

func (s *topicSender) request(ctx context.Context, parcels []parcel) []receipt {
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	in := &sns.PublishBatchInput{TopicArn: aws.String(string(s.to.ARN))}
	for i, p := range parcels {
		in.PublishBatchRequestEntries = append(in.PublishBatchRequestEntries, s.entry(i, p))
	}
	out, err := s.desk.sns.PublishBatch(ctx, in)
	if err != nil {
		return allOf(len(parcels), s.desk.failure("publish to "+s.to.Name(), err))
	}
	receipts := allOf(len(parcels), receipt{fate: unknown, code: "NoAnswer", why: "the answer does not name this message"})
	for _, e := range out.Successful {
		if i, ok := indexOf(e.Id, len(parcels)); ok {
			receipts[i] = receipt{fate: sent, id: aws.ToString(e.MessageId)}
		}
	}
	for _, e := range out.Failed {
		if i, ok := indexOf(e.Id, len(parcels)); ok {
			r := receipt{fate: rejected, code: aws.ToString(e.Code), why: aws.ToString(e.Message), sender: e.SenderFault}
			if strings.Contains(r.code, "Throttl") {
				r.fate = untaken
			}
			receipts[i] = r
		}
	}
	return receipts
}

func (s *topicSender) entry(i int, p parcel) types.PublishBatchRequestEntry {
	e := types.PublishBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), Message: aws.String(p.message.Body)}
	attributes := p.message.Attributes
	if n, ok := notificationIn(p.message); ok {
		e.Message, attributes = aws.String(n.Message), n.attributes()
		if n.Subject != "" {
			e.Subject = aws.String(n.Subject)
		}
	}
	if len(attributes) > 0 {
		e.MessageAttributes = make(map[string]types.MessageAttributeValue, len(attributes))
	}
	for name, a := range attributes {
		kind, _, _ := strings.Cut(a.Type, ".") // SNS knows no labels; String.Array is its own
		if strings.HasPrefix(a.Type, "String.Array") {
			kind = "String.Array"
		}
		v := types.MessageAttributeValue{DataType: aws.String(kind)}
		if isBinary(a.Type) {
			v.BinaryValue = a.Bytes
		} else {
			v.StringValue = aws.String(a.Text)
		}
		e.MessageAttributes[name] = v
	}
	if s.fifo {
		e.MessageGroupId, e.MessageDeduplicationId = aws.String(p.group), aws.String(p.dedup)
	}
	return e
}

// notification is what SNS delivers to a queue without raw delivery. Source: SNS
// developer guide, HTTP/HTTPS notification JSON format, which SQS gets too.
type notification struct {
	Type              string
	MessageId         string
	TopicArn          ops.ARN
	Subject           string
	Message           string
	Timestamp         string
	SignatureVersion  string
	Signature         string
	SigningCertURL    string
	UnsubscribeURL    string
	MessageAttributes map[string]struct{ Type, Value string }
}

// notificationIn reads a message as an SNS envelope.
func notificationIn(m ops.Message) (notification, bool) {
	var n notification
	err := json.Unmarshal([]byte(m.Body), &n)
	return n, err == nil && n.Type == "Notification" && n.TopicArn != ""
}

func (n notification) attributes() map[string]ops.Attribute {
	out := make(map[string]ops.Attribute, len(n.MessageAttributes))
	for name, a := range n.MessageAttributes {
		b, err := base64.StdEncoding.DecodeString(a.Value)
		if isBinary(a.Type) && err == nil {
			out[name] = ops.Attribute{Type: a.Type, Bytes: b}
			continue
		}
		out[name] = ops.Attribute{Type: a.Type, Text: a.Value}
	}
	return out
}
