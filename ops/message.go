package ops

import (
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strconv"
	"time"
)

// Attribute is a message attribute as SQS types it: "String", "Number",
// "Binary", or one of these with a custom label such as "Number.float".
type Attribute struct {
	Type  string `json:"type"`
	Text  string `json:"text,omitempty"`
	Bytes []byte `json:"bytes,omitempty"` // Binary types; JSON holds it as base64
}

// Size is what the attribute counts towards a message's size, in bytes, without its name.
func (a Attribute) Size() int { return len(a.Type) + len(a.Text) + len(a.Bytes) }

// The system attributes that kxops reads. Source: SQS API, ReceiveMessage.
const (
	SentAttribute       = "SentTimestamp"
	FirstAttribute      = "ApproximateFirstReceiveTimestamp"
	ReceivesAttribute   = "ApproximateReceiveCount"
	GroupAttribute      = "MessageGroupId"
	DedupAttribute      = "MessageDeduplicationId"
	SequenceAttribute   = "SequenceNumber"
	SourceAttribute     = "DeadLetterQueueSourceArn"
	TraceAttribute      = "AWSTraceHeader"
	SenderAttribute     = "SenderId"
	MaxAttributes       = 10      // user attributes of one message
	MaxMessageBytes     = 1 << 20 // body and attributes, since August 2025
	MaxBatchEntries     = 10
	MaxBatchBytes       = 1 << 20
	DedupWindow         = 5 * time.Minute
	MaxRetention        = 14 * 24 * time.Hour
	MaxVisibility       = 12 * time.Hour
	MaxStandardInFlight = 120_000
)

// Message is one message as it was received. Nothing in it was decoded and
// written again: what is sent back is what came.
type Message struct {
	ID         string               `json:"message_id"`
	Queue      ARN                  `json:"queue"`
	Body       string               `json:"body"`
	Attributes map[string]Attribute `json:"attributes,omitempty"`
	System     map[string]string    `json:"system,omitempty"`
	At         time.Time            `json:"at"` // when we received it

	// Handle is the receipt handle; it is good for deleting until Until. Never stored.
	Handle string    `json:"-"`
	Until  time.Time `json:"-"`
}

// Sent is when the message was first put into a queue; zero when unknown.
func (m Message) Sent() time.Time { return millis(m.System[SentAttribute]) }

// FirstReceived is when it was received for the first time; zero when unknown.
func (m Message) FirstReceived() time.Time { return millis(m.System[FirstAttribute]) }

// Receives is how often it was received, over all queues, this time included; 0 when unknown.
func (m Message) Receives() int {
	n, err := strconv.Atoi(m.System[ReceivesAttribute])
	if err != nil {
		return 0
	}
	return n
}

// Group is the MessageGroupId: the order's key in a FIFO queue, the tenant in a fair one.
func (m Message) Group() string { return m.System[GroupAttribute] }

// Source is the queue whose redrive policy sent it here, "" for direct sends and
// for dead letters of SNS, Lambda and EventBridge.
func (m Message) Source() ARN { return ARN(m.System[SourceAttribute]) }

// Size is the message's size as SQS counts it, in bytes: body, and name, type
// and value of each user attribute. System attributes do not count.
func (m Message) Size() int {
	n := len(m.Body)
	for name, a := range m.Attributes {
		n += len(name) + a.Size()
	}
	return n
}

// Sum is the MD5 of the body in hex: what SQS itself answers on send and receive.
func (m Message) Sum() string {
	sum := md5.Sum([]byte(m.Body))
	return hex.EncodeToString(sum[:])
}

// AttributeNames lists the user attributes, sorted.
func (m Message) AttributeNames() []string {
	names := make([]string, 0, len(m.Attributes))
	for n := range m.Attributes {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func millis(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
