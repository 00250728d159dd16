package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
	"kxops/ops/payload"
)

const (
	invokeAsync   = "async"
	mostErrorText = 200 // of a function's error message, in bytes
)

// functionSender invokes a function with the event that it would have been given.
// Synchronously its answer tells at once whether it failed again; asynchronously
// the receipt is the request's id.
type functionSender struct {
	desk    *Desk
	to      ops.Target
	async   bool
	lambda  *lambda.Client
	timeout time.Duration
	role    string
	queue   ops.ARN // that the function reads by a mapping, "" when there is none
}

func newFunctionSender(ctx context.Context, d *Desk, plan ops.Plan, to ops.Target) (*functionSender, error) {
	run, err := d.newRunner(ctx, to.ARN)
	if err != nil {
		return nil, d.explain("read function "+to.Name(), err)
	}
	s := &functionSender{desk: d, to: to, async: plan.Invoke == invokeAsync, timeout: run.timeout, role: run.role}
	// One request is one run of the function: nothing repeats it. The door's client
	// gives up after half a minute, a function may take fifteen.
	s.lambda = lambda.NewFromConfig(d.o.Config, func(o *lambda.Options) {
		o.Retryer = aws.NopRetryer{}
		if c, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
			o.HTTPClient = c.WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = mostRun })
		}
	})
	out, err := d.lambda.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(string(to.ARN))})
	if err != nil {
		return nil, d.explain("read what "+to.Name()+" reads", err)
	}
	for _, m := range out.EventSourceMappings {
		if source := ops.ARN(aws.ToString(m.EventSourceArn)); source.Kind() == ops.KindQueue {
			s.queue = source
		}
	}
	return s, nil
}

// batch is one: a function that fails on one of ten does not say on which.
func (s *functionSender) batch() int       { return 1 }
func (s *functionSender) repeatable() bool { return false }

func (s *functionSender) send(ctx context.Context, parcels []parcel) []receipt {
	out := make([]receipt, len(parcels))
	for i, p := range parcels {
		out[i] = s.one(ctx, p.message)
	}
	return out
}

func (s *functionSender) one(ctx context.Context, m ops.Message) receipt {
	event, err := s.event(ctx, m)
	if err != nil {
		return receipt{fate: rejected, code: "Payload", why: err.Error(), sender: true}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	in := &lambda.InvokeInput{FunctionName: aws.String(string(s.to.ARN)), Payload: event}
	if s.async {
		in.InvocationType = types.InvocationTypeEvent
	}
	out, err := s.lambda.Invoke(ctx, in)
	if err != nil {
		return s.desk.failure("invoke "+s.to.Name(), err)
	}
	id, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	if s.async {
		return receipt{fate: sent, id: id}
	}
	return s.answer(out, id)
}

// answer reads what a function returned. A function that failed leaves the message
// where it was.
func (s *functionSender) answer(out *lambda.InvokeOutput, id string) receipt {
	if out.FunctionError != nil {
		var e struct {
			Message string `json:"errorMessage"`
			Type    string `json:"errorType"`
		}
		if json.Unmarshal(out.Payload, &e) != nil || e.Type == "" {
			e.Type = aws.ToString(out.FunctionError)
		}
		// Masked: an error message may quote the body, and this goes into the record.
		why := mask(e.Message)
		if len(why) > mostErrorText {
			why = why[:mostErrorText] + "…"
		}
		return receipt{fate: rejected, code: e.Type, why: why}
	}
	var partial struct {
		Failures []json.RawMessage `json:"batchItemFailures"`
	}
	if json.Unmarshal(out.Payload, &partial) == nil && len(partial.Failures) > 0 {
		return receipt{fate: rejected, code: "batchItemFailures", why: "the function reported the message as failed"}
	}
	return receipt{fate: sent, id: id}
}

// event is the payload that the function would have been given for this message,
// which depends on who put it into the dead-letter queue.
func (s *functionSender) event(ctx context.Context, m ops.Message) ([]byte, error) {
	about := payload.Summary(payload.Peel(m))
	if about.Truncated {
		return nil, errors.New("the producer cut the payload: it must not be replayed")
	}
	switch {
	case m.Source() != "":
		return queueEvent(m, m.Source())
	case about.Pointer != nil && about.Pointer.Kind == ops.KinesisRange:
		return s.streamEvent(ctx, *about.Pointer)
	case about.Pointer != nil && about.Pointer.Kind == ops.DynamoDBRange:
		return nil, errors.New("the message points into a table's stream, which kxops cannot read back")
	case has(m, "RequestID") && has(m, "ErrorCode"): // the dead-letter queue of an asynchronous function
		return wholeJSON(m.Body)
	case has(m, "RULE_ARN"), has(m, "SCHEDULE_ARN"): // EventBridge: the body is the event
		return wholeJSON(m.Body)
	}
	var record struct { // of an on-failure destination (LDG invocation-async-retain-records)
		Context struct {
			Function ops.ARN `json:"functionArn"`
		} `json:"requestContext"`
		Payload json.RawMessage `json:"requestPayload"`
	}
	if json.Unmarshal([]byte(m.Body), &record) == nil && record.Context.Function != "" && record.Payload != nil {
		return record.Payload, nil
	}
	if n, ok := notificationIn(m); ok && s.queue == "" {
		return topicEvent(n)
	}
	if s.queue != "" {
		return queueEvent(m, s.queue)
	}
	return wholeJSON(m.Body)
}

func wholeJSON(body string) ([]byte, error) {
	if !json.Valid([]byte(body)) {
		return nil, errors.New("the body is no JSON, and a function takes nothing else")
	}
	return []byte(body), nil
}

// queueEvent is the event of a function that reads a queue by a mapping (LDG
// with-sqs). The receipt handle is empty: there is nothing that it could delete.
func queueEvent(m ops.Message, from ops.ARN) ([]byte, error) {
	type attribute struct {
		Text     *string  `json:"stringValue,omitempty"`
		Bytes    []byte   `json:"binaryValue,omitempty"`
		Texts    []string `json:"stringListValues"`
		Binaries []string `json:"binaryListValues"`
		Type     string   `json:"dataType"`
	}
	type record struct {
		ID         string               `json:"messageId"`
		Handle     string               `json:"receiptHandle"`
		Body       string               `json:"body"`
		System     map[string]string    `json:"attributes"`
		Attributes map[string]attribute `json:"messageAttributes"`
		Sum        string               `json:"md5OfBody"`
		Source     string               `json:"eventSource"`
		SourceARN  ops.ARN              `json:"eventSourceARN"`
		Region     string               `json:"awsRegion"`
	}
	attributes := map[string]attribute{}
	for name, a := range m.Attributes {
		x := attribute{Type: a.Type, Bytes: a.Bytes, Texts: []string{}, Binaries: []string{}}
		if !isBinary(a.Type) {
			x.Text = aws.String(a.Text)
		}
		attributes[name] = x
	}
	r := record{m.ID, "", m.Body, m.System, attributes, m.Sum(), "aws:sqs", from, from.Region()}
	event, err := json.Marshal(map[string][]record{"Records": {r}})
	if err == nil && len(event) > mostEvent {
		err = fmt.Errorf("the event has %d bytes, and Lambda takes %d", len(event), mostEvent)
	}
	return event, err
}

// topicEvent is the event of a function that subscribes to a topic (LDG with-sns).
func topicEvent(n notification) ([]byte, error) {
	type value struct {
		Type, Value string
	}
	attributes := map[string]value{}
	for name, a := range n.MessageAttributes {
		attributes[name] = value{a.Type, a.Value}
	}
	var subject *string
	if n.Subject != "" {
		subject = &n.Subject
	}
	return json.Marshal(map[string]any{"Records": []any{map[string]any{
		"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": string(n.TopicArn),
		"Sns": map[string]any{
			"Type": n.Type, "MessageId": n.MessageId, "TopicArn": n.TopicArn, "Subject": subject, "Message": n.Message, "Timestamp": n.Timestamp,
			"SignatureVersion": n.SignatureVersion, "Signature": n.Signature, "SigningCertUrl": n.SigningCertURL, "UnsubscribeUrl": n.UnsubscribeURL,
			"MessageAttributes": attributes,
		},
	}}})
}

// streamEvent fetches the records that the message points at. Without all of them
// the function is not run: what is missing would be lost in silence.
func (s *functionSender) streamEvent(ctx context.Context, p ops.Pointer) ([]byte, error) {
	r, err := s.desk.Fetch(ctx, p)
	if err != nil {
		return nil, errors.New(s.desk.o.Explain(err).What)
	}
	if !r.Complete || len(r.Records) == 0 {
		return nil, fmt.Errorf("not all records that it points at can be read: %s", r.Why)
	}
	return kinesisEvent(p, s.role, r.Records)
}
