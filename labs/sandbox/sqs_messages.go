package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithy "github.com/aws/smithy-go"
)

// This file has the operations on messages, single and in batches.

const (
	// maxMessage bounds one message and one batch: body and attributes (API, SendMessage).
	maxMessage = 1 << 20
	maxBatch   = 10
)

// The inputs below are the SDK's but for pointers where zero is not the same as
// absent: the Go SDK cannot send a zero there, other clients can.

type receiveInput struct {
	QueueUrl                    *string
	AttributeNames              []types.QueueAttributeName
	MaxNumberOfMessages         *int32
	MessageAttributeNames       []string
	MessageSystemAttributeNames []types.MessageSystemAttributeName
	ReceiveRequestAttemptId     *string
	VisibilityTimeout           *int32
	WaitTimeSeconds             *int32
}

type sendInput struct {
	QueueUrl                *string
	MessageBody             *string
	DelaySeconds            *int32
	MessageAttributes       map[string]types.MessageAttributeValue
	MessageDeduplicationId  *string
	MessageGroupId          *string
	MessageSystemAttributes map[string]types.MessageSystemAttributeValue
}

type sendBatchInput struct {
	QueueUrl *string
	Entries  []sendEntry
}

// sendEntry is one message of a batch, or, without an id, of a single send.
type sendEntry struct {
	Id                      *string
	MessageBody             *string
	DelaySeconds            *int32
	MessageAttributes       map[string]types.MessageAttributeValue
	MessageDeduplicationId  *string
	MessageGroupId          *string
	MessageSystemAttributes map[string]types.MessageSystemAttributeValue
}

// check refuses a message that this queue would not take.
func (q *queue) check(m *message) error {
	if m.body == "" {
		return missing("MessageBody")
	}
	if err := checkCharacters("message body", m.body); err != nil {
		return err
	}
	if err := checkAttributes(m.attributes); err != nil {
		return err
	}
	if n := m.size(); n > q.maxSize {
		return fail("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.maxSize)
	}
	for name, id := range map[string]string{"MessageGroupId": m.group, "MessageDeduplicationId": m.dedup} {
		if id != "" && !isFIFOID(id) {
			return invalidValue(id, name, name+" can only include alphanumeric and punctuation characters. 1 to 128 in length.")
		}
	}
	switch {
	case q.fifo && m.group == "":
		return missing("MessageGroupId")
	case q.fifo && m.dedup == "" && !q.contentDedup:
		return fail("InvalidParameterValue", "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case !q.fifo && m.dedup != "":
		return invalidValue(m.dedup, "MessageDeduplicationId", "The request include parameter that is not valid for this queue type.")
	case q.full(len(m.body)):
		return fail("OverLimit", "the sandbox keeps at most %d messages and %d MiB in one queue: %s is full", queueMessages, queueBytes>>20, q.name)
	}
	return nil
}

// checkCharacters allows what SQS documents: tab, line feed, carriage return,
// U+0020-D7FF, U+E000-FFFD and U+10000-10FFFF.
func checkCharacters(what, text string) error {
	for i := 0; i < len(text); {
		c := text[i]
		if c >= 0x20 && c < utf8.RuneSelf || c == '\t' || c == '\n' || c == '\r' {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if c < 0x20 || r == utf8.RuneError && n == 1 || r == 0xFFFE || r == 0xFFFF {
			return &types.InvalidMessageContents{Message: aws.String(fmt.Sprintf(
				"Invalid binary character '#x%X' was found in the %s, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF", r, what))}
		}
		i += n
	}
	return nil
}

func checkAttributes(attributes map[string]attribute) error {
	if len(attributes) > 10 {
		return fail("InvalidParameterValue", "Number of message attributes [%d] exceeds the allowed maximum [10].", len(attributes))
	}
	for _, name := range sortedNames(attributes) {
		a := attributes[name]
		if !isAttributeName(name) {
			return fail("InvalidParameterValue", "The message attribute name '%s' is invalid.", name)
		}
		kind, _, _ := strings.Cut(a.Type, ".")
		switch {
		case kind != "String" && kind != "Number" && kind != "Binary" || len(a.Type) > 256:
			return fail("InvalidParameterValue", "The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
		case kind == "Binary" && len(a.Binary) == 0, kind != "Binary" && a.String == "":
			return fail("InvalidParameterValue", "The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, kind)
		}
		if kind == "Number" {
			if _, err := strconv.ParseFloat(a.String, 64); err != nil {
				return fail("InvalidParameterValue", "Can't cast the value of message attribute '%s' to a number.", name)
			}
		}
		if err := checkCharacters("message attribute '"+name+"'", a.String); err != nil {
			return err
		}
	}
	return nil
}

func isAttributeName(name string) bool {
	lower := strings.ToLower(name)
	return name != "" && len(name) <= 256 && !strings.HasPrefix(lower, "aws.") && !strings.HasPrefix(lower, "amazon.") &&
		!strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".") && !strings.Contains(name, "..") &&
		isQueueName(strings.ReplaceAll(name, ".", "-"))
}

func isFIFOID(id string) bool {
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(id) <= 128
}

func contentHash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// readAttributes turns the attributes of a request into our own.
func readAttributes(in map[string]types.MessageAttributeValue) (map[string]attribute, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make(map[string]attribute, len(in))
	for name, a := range in {
		if len(a.StringListValues) > 0 || len(a.BinaryListValues) > 0 {
			return nil, &types.UnsupportedOperation{Message: aws.String("Message attribute list values in SendMessage operation are not supported.")}
		}
		out[name] = attribute{Type: aws.ToString(a.DataType), String: aws.ToString(a.StringValue), Binary: a.BinaryValue}
	}
	return out, nil
}

// read makes a message of an entry and checks it; delay is what to wait, negative
// for the queue's own.
func (q *queue) read(e *sendEntry) (m *message, delay time.Duration, err error) {
	m = &message{body: aws.ToString(e.MessageBody), group: aws.ToString(e.MessageGroupId), dedup: aws.ToString(e.MessageDeduplicationId), sender: senderOf("")}
	if m.attributes, err = readAttributes(e.MessageAttributes); err != nil {
		return nil, 0, err
	}
	for name, a := range e.MessageSystemAttributes {
		if name != "AWSTraceHeader" || aws.ToString(a.DataType) != "String" || aws.ToString(a.StringValue) == "" {
			return nil, 0, fail("InvalidParameterValue", "Message system attribute name '%s' is invalid.", name)
		}
		m.trace = *a.StringValue
	}
	seconds := aws.ToInt32(e.DelaySeconds)
	switch {
	case seconds < 0 || seconds > 900:
		return nil, 0, invalidValue(strconv.Itoa(int(seconds)), "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
	case seconds > 0 && q.fifo:
		return nil, 0, invalidValue(strconv.Itoa(int(seconds)), "DelaySeconds", "The request include parameter that is not valid for this queue type.")
	case e.DelaySeconds != nil && !q.fifo:
		delay = time.Duration(seconds) * time.Second
	default:
		delay = -1
	}
	return m, delay, q.check(m)
}

// sums are the hashes that an answer to a send carries.
func (m *message) sums() (body string, attributes, system *string) {
	if sum := attributesMD5(m.attributes); sum != "" {
		attributes = &sum
	}
	if m.trace != "" {
		system = aws.String(attributesMD5(map[string]attribute{"AWSTraceHeader": {Type: "String", String: m.trace}}))
	}
	return m.bodyMD5(), attributes, system
}

func (m *message) sequenceNumber() *string {
	if m.sequence == "" {
		return nil
	}
	return aws.String(m.sequence)
}

func (s *sqsService) sendMessage(_ context.Context, in *sendInput) (*sqs.SendMessageOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	m, delay, err := q.read(&sendEntry{
		MessageBody: in.MessageBody, DelaySeconds: in.DelaySeconds, MessageAttributes: in.MessageAttributes,
		MessageSystemAttributes: in.MessageSystemAttributes, MessageGroupId: in.MessageGroupId, MessageDeduplicationId: in.MessageDeduplicationId,
	})
	if err != nil {
		return nil, err
	}
	m = q.accept(m, delay)
	body, attributes, system := m.sums()
	return &sqs.SendMessageOutput{MessageId: aws.String(m.id), MD5OfMessageBody: aws.String(body), MD5OfMessageAttributes: attributes,
		MD5OfMessageSystemAttributes: system, SequenceNumber: m.sequenceNumber()}, nil
}

// checkBatch refuses a batch as a whole.
func checkBatch(kind string, ids []string) error {
	if len(ids) == 0 {
		return &types.EmptyBatchRequest{Message: aws.String("There should be at least one " + kind + " in the request.")}
	}
	if len(ids) > maxBatch {
		return &types.TooManyEntriesInBatchRequest{Message: aws.String(fmt.Sprintf("Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(ids)))}
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if !isQueueName(id) || len(id) > 80 {
			return &types.InvalidBatchEntryId{Message: aws.String("A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")}
		}
		if seen[id] {
			return &types.BatchEntryIdsNotDistinct{Message: aws.String("Id " + id + " repeated.")}
		}
		seen[id] = true
	}
	return nil
}

// partialFailure tells which entries of a batch fail under the fault
// PartialBatch: every other one, of a single entry that one.
func (q *queue) partialFailure(operation string) func(i int) bool {
	if !q.r.strikes(PartialBatch, "sqs", operation) {
		return func(int) bool { return false }
	}
	return func(i int) bool { return i%2 == 0 }
}

var errInternal = statusError{&smithy.GenericAPIError{Code: "InternalError", Message: "We encountered an internal error. Please try again.", Fault: smithy.FaultServer}, 500}

// failed is the entry of a batch answer for an error.
func failed(id *string, err error) types.BatchResultErrorEntry {
	code, message, status := asAPIError(err)
	return types.BatchResultErrorEntry{Id: id, Code: aws.String(code), Message: aws.String(message), SenderFault: status < 500}
}

func (s *sqsService) sendMessageBatch(_ context.Context, in *sendBatchInput) (*sqs.SendMessageBatchOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(in.Entries))
	size := 0
	for i := range in.Entries {
		e := &in.Entries[i]
		ids = append(ids, aws.ToString(e.Id))
		size += len(aws.ToString(e.MessageBody))
		for name, a := range e.MessageAttributes {
			size += len(name) + len(aws.ToString(a.DataType)) + len(aws.ToString(a.StringValue)) + len(a.BinaryValue)
		}
	}
	if err := checkBatch("SendMessageBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	if size > maxMessage {
		return nil, &types.BatchRequestTooLong{Message: aws.String(fmt.Sprintf("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessage, size))}
	}
	out := &sqs.SendMessageBatchOutput{Successful: []types.SendMessageBatchResultEntry{}}
	fails := q.partialFailure("SendMessageBatch")
	for i := range in.Entries {
		e := &in.Entries[i]
		m, delay, err := q.read(e)
		if err == nil && fails(i) {
			err = errInternal
		}
		if err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
			continue
		}
		m = q.accept(m, delay)
		body, attributes, system := m.sums()
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id, MessageId: aws.String(m.id), MD5OfMessageBody: aws.String(body),
			MD5OfMessageAttributes: attributes, MD5OfMessageSystemAttributes: system, SequenceNumber: m.sequenceNumber()})
	}
	return out, nil
}

func (s *sqsService) receiveMessage(ctx context.Context, in *receiveInput) (*sqs.ReceiveMessageOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	n, err := receiveSize(in)
	if err != nil {
		return nil, err
	}
	wanted, err := wantedSystem(in)
	if err != nil {
		return nil, err
	}
	visibility, wait := q.visibility, q.wait
	if in.VisibilityTimeout != nil {
		visibility = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	if in.WaitTimeSeconds != nil {
		wait = time.Duration(*in.WaitTimeSeconds) * time.Second
	}
	var got []*message
	if attempt := aws.ToString(in.ReceiveRequestAttemptId); attempt != "" {
		if !q.fifo {
			return nil, invalidValue(attempt, "ReceiveRequestAttemptId", "The request include parameter that is not valid for this queue type.")
		}
		if !isFIFOID(attempt) {
			return nil, invalidValue(attempt, "ReceiveRequestAttemptId", "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
		}
		if got = q.repeat(attempt, visibility); got == nil {
			got, err = q.poll(ctx, n, visibility, wait)
			q.remember(attempt, got)
		}
	} else {
		got, err = q.poll(ctx, n, visibility, wait)
	}
	if err != nil {
		return nil, err
	}
	q.countReceive(s.r.now(), len(got))
	out := &sqs.ReceiveMessageOutput{}
	for _, m := range got {
		out.Messages = append(out.Messages, q.answer(m, wanted, in.MessageAttributeNames))
	}
	return out, nil
}

func receiveSize(in *receiveInput) (int, error) {
	n := 1
	if in.MaxNumberOfMessages != nil {
		n = int(*in.MaxNumberOfMessages)
	}
	wait, visibility := aws.ToInt32(in.WaitTimeSeconds), aws.ToInt32(in.VisibilityTimeout)
	switch {
	case n < 1 || n > maxBatch:
		return 0, invalidValue(strconv.Itoa(n), "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
	case wait < 0 || wait > 20:
		return 0, invalidValue(strconv.Itoa(int(wait)), "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
	case visibility < 0 || visibility > 43200:
		return 0, invalidValue(strconv.Itoa(int(visibility)), "VisibilityTimeout", "Must be between 0 and 43200, if provided.")
	}
	return n, nil
}

// wantedSystem is the set of system attributes that a receive asks for, by the
// new parameter or the old one.
func wantedSystem(in *receiveInput) (map[string]bool, error) {
	known := map[string]bool{}
	for _, n := range types.MessageSystemAttributeName("").Values() {
		known[string(n)] = true
	}
	wanted := map[string]bool{}
	for _, n := range in.AttributeNames {
		wanted[string(n)] = true
	}
	for _, n := range in.MessageSystemAttributeNames {
		wanted[string(n)] = true
	}
	for _, n := range sortedNames(wanted) {
		if !known[n] {
			return nil, &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + n + ".")}
		}
	}
	if wanted["All"] {
		return known, nil
	}
	return wanted, nil
}

// poll takes what is ready, or waits for it. A short poll may miss messages (the
// fault FalseEmpty) and says so when too much is in flight; a long poll asks all
// of SQS's servers and just stays empty (API, ReceiveMessage).
func (q *queue) poll(ctx context.Context, n int, visibility, wait time.Duration) ([]*message, error) {
	now := q.r.now()
	if wait <= 0 {
		q.settle(now)
		if !q.fifo && q.count[leased] >= maxInFlight {
			return nil, &types.OverLimit{Message: aws.String("Too many messages are in flight: the limit is 120000.")}
		}
		if q.r.strikes(FalseEmpty, "sqs", "ReceiveMessage") {
			return nil, nil
		}
		return q.take(now, n, visibility), nil
	}
	deadline := now.Add(wait)
	var got []*message
	var scheduled time.Time
	gone := false
	q.r.wait(ctx, deadline, func() bool {
		if gone = q.service.queues[q.name] != q; gone {
			return true
		}
		if got = q.take(q.r.now(), n, visibility); len(got) > 0 {
			return true
		}
		// A lease or delay that ends is not an event of its own: ask to be woken for the next.
		if t := q.nextTimer(); !t.IsZero() && t.Before(deadline) && !t.Equal(scheduled) {
			scheduled = t
			q.r.at(t, func() {})
		}
		return false
	})
	if gone {
		return nil, noSuchQueue()
	}
	return got, nil
}

// repeat answers a receive that was asked before with the same attempt id: the
// same messages and handles with a fresh lease, if none of them changed since.
func (q *queue) repeat(id string, visibility time.Duration) []*message {
	now := q.r.now()
	q.settle(now)
	a, ok := q.attempts[id]
	if !ok || !a.until.After(now) {
		return nil
	}
	for i, m := range a.messages {
		if q.messages[m.serial] != m || m.state != leased || m.lease != a.leases[i] {
			return nil
		}
	}
	for _, m := range a.messages {
		q.timers.remove(m)
		m.until = now.Add(visibility)
		q.timers.push(m)
	}
	return a.messages
}

func (q *queue) remember(id string, got []*message) {
	now := q.r.now()
	maps.DeleteFunc(q.attempts, func(_ string, a attempt) bool { return !a.until.After(now) })
	if len(got) == 0 {
		return
	}
	a := attempt{until: now.Add(5 * time.Minute), messages: got}
	for _, m := range got {
		a.leases = append(a.leases, m.lease)
	}
	q.attempts[id] = a
}

// answer is a message as a receive shows it.
func (q *queue) answer(m *message, wanted map[string]bool, names []string) types.Message {
	out := types.Message{MessageId: aws.String(m.id), Body: aws.String(m.body), MD5OfBody: aws.String(m.bodyMD5()), ReceiptHandle: aws.String(q.handle(m))}
	for name, value := range q.system(m) {
		if wanted[name] {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[name] = value
		}
	}
	shown := map[string]attribute{}
	for name, a := range m.attributes {
		if !asked(names, name) {
			continue
		}
		if out.MessageAttributes == nil {
			out.MessageAttributes = map[string]types.MessageAttributeValue{}
		}
		value := types.MessageAttributeValue{DataType: aws.String(a.Type), BinaryValue: a.Binary}
		if a.Binary == nil {
			value.StringValue = aws.String(a.String)
		}
		out.MessageAttributes[name], shown[name] = value, a
	}
	if sum := attributesMD5(shown); sum != "" { // of what is returned, not of what was sent
		out.MD5OfMessageAttributes = &sum
	}
	return out
}

// asked matches an attribute against MessageAttributeNames: All, .*, prefix.* or a name.
func asked(names []string, name string) bool {
	for _, n := range names {
		prefix, wild := strings.CutSuffix(n, ".*")
		if n == "All" || n == name || wild && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func (s *sqsService) deleteMessage(_ context.Context, in *sqs.DeleteMessageInput) (*sqs.DeleteMessageOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := q.remove(s.r.now(), aws.ToString(in.ReceiptHandle)); err != nil {
		return nil, err
	}
	return &sqs.DeleteMessageOutput{}, nil
}

func (s *sqsService) deleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(in.Entries))
	for _, e := range in.Entries {
		ids = append(ids, aws.ToString(e.Id))
	}
	if err := checkBatch("DeleteMessageBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	out := &sqs.DeleteMessageBatchOutput{Successful: []types.DeleteMessageBatchResultEntry{}}
	fails := q.partialFailure("DeleteMessageBatch")
	for i, e := range in.Entries {
		err := error(errInternal)
		if !fails(i) {
			err = q.remove(s.r.now(), aws.ToString(e.ReceiptHandle))
		}
		if err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
			continue
		}
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func (s *sqsService) changeVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput) (*sqs.ChangeMessageVisibilityOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := q.changeLease(s.r.now(), aws.ToString(in.ReceiptHandle), in.VisibilityTimeout); err != nil {
		return nil, err
	}
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (q *queue) changeLease(now time.Time, handle string, seconds int32) error {
	if seconds < 0 || seconds > 43200 {
		return invalidValue(strconv.Itoa(int(seconds)), "VisibilityTimeout", "VisibilityTimeout must be an integer between 0 and 43200.")
	}
	return q.extend(now, handle, time.Duration(seconds)*time.Second)
}

func (s *sqsService) changeVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(in.Entries))
	for _, e := range in.Entries {
		ids = append(ids, aws.ToString(e.Id))
	}
	if err := checkBatch("ChangeMessageVisibilityBatchRequestEntry", ids); err != nil {
		return nil, err
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{Successful: []types.ChangeMessageVisibilityBatchResultEntry{}}
	fails := q.partialFailure("ChangeMessageVisibilityBatch")
	for i, e := range in.Entries {
		err := error(errInternal)
		if !fails(i) {
			err = q.changeLease(s.r.now(), aws.ToString(e.ReceiptHandle), e.VisibilityTimeout)
		}
		if err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
			continue
		}
		out.Successful = append(out.Successful, types.ChangeMessageVisibilityBatchResultEntry{Id: e.Id})
	}
	return out, nil
}
