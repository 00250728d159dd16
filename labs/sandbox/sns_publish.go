package sandbox

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	smithy "github.com/aws/smithy-go"

	"kxops/ops"
)

// This file takes messages and delivers them to subscriptions.

const (
	// maxNotification bounds a message with its attributes, and a batch (API, Publish).
	maxNotification = 256 << 10
	// maxRetrying bounds the deliveries of one topic that wait for their next try;
	// AWS has no such limit.
	maxRetrying = 10_000
)

// notification is a message on its way to the subscriptions of its topic.
type notification struct {
	id        string
	sequence  string
	at        time.Time
	structure map[string]string // message by protocol, nil: the same for all
	delivery
}

func (n *notification) messageFor(protocol string) string {
	if m, ok := n.structure[protocol]; ok {
		return m
	}
	if n.structure != nil {
		return n.structure["default"]
	}
	return string(n.Body)
}

// publish checks a message and delivers it. Other services (alarms, bucket
// notifications, destinations) come in here as well as the API.
func (s *snsService) publish(target ops.ARN, d delivery, structure string) (*notification, error) {
	t, ok := s.topics[target.Name()]
	if !ok || t.arn != target {
		return nil, noSuchTopic()
	}
	if err := t.admits(d.From); err != nil {
		return nil, err
	}
	if why := s.r.kms.refuses(t.settings["KmsMasterKeyId"], d.From); why != "" {
		return nil, &types.KMSAccessDeniedException{Message: &why}
	}
	n := &notification{id: s.r.id(), at: s.r.now(), delivery: d}
	if err := t.check(n, structure); err != nil {
		return nil, err
	}
	if t.fifo && t.duplicate(n) {
		return n, nil
	}
	t.published.add(n.at, 1)
	t.size.add(n.at, float64(n.length()))
	for _, arn := range s.subscriptionsOf(t) {
		if sub := s.subscriptions[arn]; !sub.pending {
			s.offer(sub, n)
		}
	}
	return n, nil
}

// admits decides by the topic's policy and key. Without a policy of its own a
// topic takes what comes from its account, alarms included; with one, a service
// needs to be allowed. An alarm cannot use the key that AWS manages for SNS
// (CloudWatch User Guide, notify users on alarm changes).
func (t *topic) admits(from ops.ARN) error {
	principal := principalOf(from)
	if t.policy != nil {
		allowed, denied := t.policy.verdict(from, "SNS:Publish")
		if denied || !allowed && principal != Account {
			who := string(from)
			if from.Service() == "" {
				who = caller
			}
			return withStatus{&types.AuthorizationErrorException{Message: aws.String(fmt.Sprintf(
				"%s is not authorized to perform: SNS:Publish on resource: %s because no resource-based policy allows the SNS:Publish action", who, t.arn))}, 403}
		}
	}
	if t.settings["KmsMasterKeyId"] == "alias/aws/sns" && principal != Account {
		return &types.KMSAccessDeniedException{Message: aws.String(principal + " may not use the key alias/aws/sns, which AWS manages")}
	}
	return nil
}

func (n *notification) length() int {
	size := len(n.Body)
	for name, a := range n.Attributes {
		size += len(name) + len(a.Type) + len(a.String) + len(a.Binary)
	}
	return size
}

// check refuses a message that SNS would not take.
func (t *topic) check(n *notification, structure string) error {
	switch {
	case len(n.Body) == 0:
		return badParameter("Empty message")
	case !utf8.Valid(n.Body):
		return badParameter("Message Reason: Message must be encoded in UTF-8")
	case n.length() > maxNotification:
		return badParameter("Message too long")
	case len(n.Subject) > 100 || strings.ContainsAny(n.Subject, "\n\r"):
		return badParameter("Subject")
	case structure != "" && structure != "json":
		return badParameter("MessageStructure")
	case t.fifo && n.Group == "":
		return badParameter("The MessageGroupId parameter is required for FIFO topics")
	case t.fifo && n.Dedup == "" && t.settings["ContentBasedDeduplication"] != "true":
		return badParameter("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case !t.fifo && n.Dedup != "":
		return badParameter("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
	}
	for _, name := range sortedNames(n.Attributes) {
		a := n.Attributes[name]
		kind, _, _ := strings.Cut(a.Type, ".")
		if kind != "String" && kind != "Number" && kind != "Binary" {
			return &types.InvalidParameterValueException{Message: aws.String(fmt.Sprintf(
				"The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name))}
		}
		if kind == "Binary" && len(a.Binary) == 0 || kind != "Binary" && a.String == "" {
			return &types.InvalidParameterValueException{Message: aws.String(fmt.Sprintf(
				"The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type))}
		}
	}
	if structure == "json" {
		parts := map[string]any{}
		if err := json.Unmarshal(n.Body, &parts); err != nil {
			return badParameter("Message Structure - JSON message body failed to parse")
		}
		n.structure = map[string]string{}
		for protocol, m := range parts {
			if text, ok := m.(string); ok {
				n.structure[protocol] = text
			}
		}
		if _, ok := n.structure["default"]; !ok {
			return badParameter("Message Structure - No default entry in JSON message body")
		}
	}
	return nil
}

// duplicate numbers a FIFO message, or recognises one that was published within
// five minutes: that succeeds and is not delivered again.
func (t *topic) duplicate(n *notification) bool {
	if n.Dedup == "" {
		n.Dedup = contentHash(string(n.Body))
	}
	t.forgetDedups(n.at)
	key := n.Dedup
	if t.settings["FifoThroughputScope"] == "MessageGroup" {
		key = n.Group + "\x00" + n.Dedup
	}
	if d, ok := t.dedups[key]; ok {
		n.id, n.sequence = d.id, d.sequence
		return true
	}
	t.sequence++
	n.sequence = fmt.Sprintf("1%019d", t.sequence)
	t.dedups[key] = dedup{until: n.at.Add(dedupWindow), id: n.id, sequence: n.sequence}
	t.dedupAge = append(t.dedupAge, key)
	return false
}

// offer delivers to one subscription unless its filter says no.
func (s *snsService) offer(sub *subscription, n *notification) {
	if sub.filter != nil {
		if ok, reason := sub.wants(n); !ok {
			sub.topic.filtered.add(n.at, 1)
			sub.topic.why[reason].add(n.at, 1)
			return
		}
	}
	s.attempt(sub, sub.form(n), 1)
}

// attempt tries a delivery. A client error (the queue is gone, access is denied)
// is final at once; a server error is tried again on SNS's schedule (Developer
// Guide, sns-message-delivery-retries).
func (s *snsService) attempt(sub *subscription, d delivery, try int) {
	t, now := sub.topic, s.r.now()
	err := sub.reachable(&d)
	if err == nil {
		err = s.r.deliver(ops.ARN(sub.endpoint), d)
	}
	if err == nil {
		t.delivered.add(now, 1)
		return
	}
	if pause, again := retryAfter(try); isServerFault(err) && again && t.retrying < maxRetrying {
		t.retrying++
		s.r.after(pause, func() {
			t.retrying--
			if s.subscriptions[string(sub.arn)] == sub {
				s.attempt(sub, d, try+1)
			}
		})
		return
	}
	t.failed.add(now, 1)
	if sub.redriveTo == "" {
		return
	}
	if err := s.r.deliver(sub.redriveTo, d); err != nil {
		t.lost.add(now, 1)
		return
	}
	t.redriven.add(now, 1)
}

// reachable refuses what cannot be delivered whatever the endpoint says: a raw
// message with more attributes than SQS takes.
func (sub *subscription) reachable(d *delivery) error {
	if sub.protocol == "sqs" && len(d.Attributes) > 10 {
		return fail("InvalidParameterValue", "a raw message has %d attributes: SQS takes 10", len(d.Attributes))
	}
	return nil
}

func isServerFault(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorFault() == smithy.FaultServer
}

// retryAfter is the schedule for AWS endpoints: 3 tries at once, 2 a second
// apart, 10 with a growing pause of up to 20 s, then 100,000 every 20 s.
func retryAfter(try int) (time.Duration, bool) {
	switch {
	case try <= 3:
		return 0, true
	case try <= 5:
		return time.Second, true
	case try <= 15:
		return min(20*time.Second, time.Second<<(try-5)), true
	}
	return 20 * time.Second, try < 100_015
}

// form is what a subscription's endpoint gets.
func (sub *subscription) form(n *notification) delivery {
	d := delivery{From: sub.topic.arn, Group: n.Group, System: n.System}
	if strings.HasSuffix(sub.endpoint, ".fifo") {
		d.Dedup = n.Dedup
	}
	switch {
	case sub.protocol == "lambda":
		d.Body = sub.lambdaEvent(n)
	case sub.raw:
		d.Body, d.Attributes = []byte(n.messageFor(sub.protocol)), n.Attributes
	default:
		d.Body = sub.envelope(n)
	}
	if sub.protocol == "firehose" {
		d.Body, d.Attributes = append(d.Body, '\n'), nil
	}
	return d
}

// pair is a member of an object whose order matters to readers.
type pair struct {
	name  string
	value any
}

// members are those of a notification, in the order in which SNS writes them.
// The signature is a placeholder: nothing here can sign for AWS.
func (sub *subscription) members(n *notification, certURL, unsubscribeURL string) []pair {
	host := "https://sns." + sub.topic.arn.Region() + ".amazonaws.com/"
	out := []pair{{"Type", "Notification"}, {"MessageId", n.id}}
	if n.sequence != "" {
		out = append(out, pair{"SequenceNumber", n.sequence})
	}
	out = append(out, pair{"TopicArn", string(sub.topic.arn)})
	if n.Subject != "" {
		out = append(out, pair{"Subject", n.Subject})
	}
	out = append(out, pair{"Message", n.messageFor(sub.protocol)}, pair{"Timestamp", n.at.UTC().Format("2006-01-02T15:04:05.000Z")})
	if !sub.topic.fifo {
		out = append(out,
			pair{"SignatureVersion", "1"},
			pair{"Signature", base64.StdEncoding.EncodeToString([]byte("sandbox " + n.id))},
			pair{certURL, host + "SimpleNotificationService-0000000000000000000000000000000.pem"})
	}
	out = append(out, pair{unsubscribeURL, host + "?Action=Unsubscribe&SubscriptionArn=" + string(sub.arn)})
	if len(n.Attributes) > 0 {
		out = append(out, pair{"MessageAttributes", shownAttributes(n.Attributes)})
	}
	return out
}

type shownAttribute struct {
	Type  string
	Value string
}

func shownAttributes(in map[string]attribute) map[string]shownAttribute {
	out := make(map[string]shownAttribute, len(in))
	for name, a := range in {
		value := a.String
		if strings.HasPrefix(a.Type, "Binary") {
			value = base64.StdEncoding.EncodeToString(a.Binary)
		}
		out[name] = shownAttribute{a.Type, value}
	}
	return out
}

// envelope is the JSON document around a message, laid out as SNS does.
func (sub *subscription) envelope(n *notification) []byte {
	var b bytes.Buffer
	b.WriteString("{\n")
	for i, m := range sub.members(n, "SigningCertURL", "UnsubscribeURL") {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString("  \"" + m.name + "\" : ")
		b.Write(plainJSON(m.value))
	}
	b.WriteString("\n}")
	return b.Bytes()
}

// lambdaEvent is what a function gets: the members under Records[].Sns.
func (sub *subscription) lambdaEvent(n *notification) []byte {
	members := map[string]any{"Subject": nil, "MessageAttributes": map[string]shownAttribute{}}
	for _, m := range sub.members(n, "SigningCertUrl", "UnsubscribeUrl") {
		members[m.name] = m.value
	}
	return plainJSON(map[string]any{"Records": []any{map[string]any{
		"EventSource":          "aws:sns",
		"EventVersion":         "1.0",
		"EventSubscriptionArn": string(sub.arn),
		"Sns":                  members,
	}}})
}

// plainJSON writes JSON without the escapes that are meant for web pages. The
// values it gets (strings and maps of strings) always have a form in JSON.
func plainJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("sandbox: a notification cannot be written: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func readNotificationAttributes(in map[string]types.MessageAttributeValue) map[string]attribute {
	out := make(map[string]attribute, len(in))
	for name, a := range in {
		out[name] = attribute{Type: aws.ToString(a.DataType), String: aws.ToString(a.StringValue), Binary: a.BinaryValue}
	}
	return out
}

func (n *notification) sequenceNumber() *string {
	if n.sequence == "" {
		return nil
	}
	return aws.String(n.sequence)
}

func (s *snsService) publishOne(_ context.Context, in *sns.PublishInput) (*sns.PublishOutput, error) {
	if in.PhoneNumber != nil {
		return nil, unsupported("PhoneNumber")
	}
	arn := in.TopicArn
	if arn == nil {
		arn = in.TargetArn
	}
	if _, err := s.topicAt(arn); err != nil {
		return nil, err
	}
	n, err := s.publish(ops.ARN(*arn), delivery{
		Body: []byte(aws.ToString(in.Message)), Subject: aws.ToString(in.Subject), Attributes: readNotificationAttributes(in.MessageAttributes),
		Group: aws.ToString(in.MessageGroupId), Dedup: aws.ToString(in.MessageDeduplicationId),
	}, aws.ToString(in.MessageStructure))
	if err != nil {
		return nil, err
	}
	return &sns.PublishOutput{MessageId: aws.String(n.id), SequenceNumber: n.sequenceNumber()}, nil
}

func (s *snsService) publishBatch(_ context.Context, in *sns.PublishBatchInput) (*sns.PublishBatchOutput, error) {
	t, err := s.topicAt(in.TopicArn)
	if err != nil {
		return nil, err
	}
	if err := checkPublishBatch(in.PublishBatchRequestEntries); err != nil {
		return nil, err
	}
	partial := s.r.strikes(PartialBatch, "sns", "PublishBatch")
	out := &sns.PublishBatchOutput{Successful: []types.PublishBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	for i, e := range in.PublishBatchRequestEntries {
		var n *notification
		err := error(errInternal)
		if !partial || i%2 != 0 {
			n, err = s.publish(t.arn, delivery{
				Body: []byte(aws.ToString(e.Message)), Subject: aws.ToString(e.Subject), Attributes: readNotificationAttributes(e.MessageAttributes),
				Group: aws.ToString(e.MessageGroupId), Dedup: aws.ToString(e.MessageDeduplicationId),
			}, aws.ToString(e.MessageStructure))
		}
		if err != nil {
			code, message, status := asAPIError(err)
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String(code), Message: aws.String(message), SenderFault: status < 500})
			continue
		}
		out.Successful = append(out.Successful, types.PublishBatchResultEntry{Id: e.Id, MessageId: aws.String(n.id), SequenceNumber: n.sequenceNumber()})
	}
	return out, nil
}

func checkPublishBatch(entries []types.PublishBatchRequestEntry) error {
	if len(entries) == 0 {
		return &types.EmptyBatchRequestException{Message: aws.String("The batch request doesn't contain any entries.")}
	}
	if len(entries) > maxBatch {
		return &types.TooManyEntriesInBatchRequestException{Message: aws.String("The batch request contains more entries than permissible.")}
	}
	seen, size := map[string]bool{}, 0
	for _, e := range entries {
		id := aws.ToString(e.Id)
		if !isQueueName(id) || len(id) > 80 {
			return &types.InvalidBatchEntryIdException{Message: aws.String("The Id of a batch entry in a batch request doesn't abide by the specification.")}
		}
		if seen[id] {
			return &types.BatchEntryIdsNotDistinctException{Message: aws.String("Two or more batch entries in the request have the same Id.")}
		}
		seen[id] = true
		size += len(aws.ToString(e.Message))
	}
	if size > maxNotification {
		return &types.BatchRequestTooLongException{Message: aws.String("The length of all the batch messages put together is more than the limit.")}
	}
	return nil
}
