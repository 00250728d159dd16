package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// heard is a function that keeps what it was given.
func (s *scene) heard(name string, answer func(event []byte) ([]byte, error)) (to ops.Target, events *[]string) {
	events = new([]string)
	arn := s.function(name)
	s.sb.Handler(name, func(_ context.Context, event []byte) ([]byte, error) {
		*events = append(*events, string(event))
		return answer(event)
	})
	return ops.Target{ARN: arn, Kind: ops.KindFunction}, events
}

func fine([]byte) ([]byte, error) { return []byte("null"), nil }

func TestFunctionGetsTheEventOfItsProducer(t *testing.T) {
	s := newScene(t, "")
	to, events := s.heard("worker", fine)
	f, err := newFunctionSender(t.Context(), s.desk, ops.Plan{}, to)
	s.must(err)
	async := map[string]ops.Attribute{"RequestID": {Type: "String", Text: "r"}, "ErrorCode": {Type: "Number", Text: "200"}}
	for _, c := range []struct {
		name string
		m    ops.Message
		want string
	}{
		{"asynchronous dead letter", ops.Message{ID: "a", Body: `{ "n" : 1.0 }`, Attributes: async}, `{ "n" : 1.0 }`},
		{"destination record", ops.Message{ID: "b", Body: `{"version":"1.0","requestContext":{"functionArn":"arn:aws:lambda:eu-west-1:123456789012:function:worker:$LATEST","condition":"RetriesExhausted"},"requestPayload":{"b": 2, "a":1e1},"responseContext":{}}`},
			`{"b": 2, "a":1e1}`},
		{"EventBridge", ops.Message{ID: "c", Body: `{"detail":{}}`, Attributes: map[string]ops.Attribute{"RULE_ARN": {Type: "String", Text: "arn:aws:events:eu-west-1:123456789012:rule/x"}}}, `{"detail":{}}`},
	} {
		*events = nil
		r := f.send(t.Context(), []parcel{{message: c.m}})
		if len(r) != 1 || r[0].fate != sent || r[0].id == "" || !slices.Equal(*events, []string{c.want}) {
			t.Errorf("%s: %+v, the function got %q", c.name, r, *events)
		}
	}
	*events = nil
	m := ops.Message{ID: "q-1", Body: "not JSON <&>", System: map[string]string{ops.SourceAttribute: "arn:aws:sqs:eu-west-1:123456789012:orders", ops.SentAttribute: "17"},
		Attributes: map[string]ops.Attribute{"k": {Type: "String", Text: "v"}, "b": {Type: "Binary", Bytes: []byte{0, 255}}}}
	if r := f.send(t.Context(), []parcel{{message: m}}); r[0].fate != sent {
		t.Fatalf("%+v", r)
	}
	var got struct {
		Records []struct {
			MessageID, ReceiptHandle, Body, MD5OfBody, EventSource, EventSourceARN, AwsRegion string
			Attributes                                                                        map[string]string
			MessageAttributes                                                                 map[string]struct {
				StringValue, DataType string
				BinaryValue           []byte
			}
		}
	}
	s.must(json.Unmarshal([]byte((*events)[0]), &got))
	x := got.Records[0]
	if x.MessageID != "q-1" || x.Body != m.Body || x.MD5OfBody != m.Sum() || x.EventSource != "aws:sqs" || x.EventSourceARN != "arn:aws:sqs:eu-west-1:123456789012:orders" ||
		x.AwsRegion != "eu-west-1" || x.Attributes[ops.SentAttribute] != "17" || x.MessageAttributes["k"].StringValue != "v" || !slices.Equal(x.MessageAttributes["b"].BinaryValue, []byte{0, 255}) {
		t.Errorf("the event of a queue: %s", (*events)[0])
	}
	if r := f.send(t.Context(), []parcel{{message: ops.Message{ID: "t", Body: "no JSON"}}}); r[0].fate != rejected || !r[0].sender {
		t.Errorf("a body that is no event: %+v", r)
	}
}

func TestFunctionThatFailsKeepsTheMessage(t *testing.T) {
	s := newScene(t, "")
	source := ops.Message{ID: "q-1", Body: "x", System: map[string]string{ops.SourceAttribute: "arn:aws:sqs:eu-west-1:123456789012:orders"}}
	failing, _ := s.heard("failing", func([]byte) ([]byte, error) { return nil, errors.New("no such order 'secret-4711'") })
	partial, _ := s.heard("partial", func([]byte) ([]byte, error) { return []byte(`{"batchItemFailures":[{"itemIdentifier":"q-1"}]}`), nil })
	for _, to := range []ops.Target{failing, partial} {
		f, err := newFunctionSender(t.Context(), s.desk, ops.Plan{}, to)
		s.must(err)
		r := f.send(t.Context(), []parcel{{message: source}})[0]
		if r.fate != rejected || r.code == "" || strings.Contains(r.why, "secret-4711") {
			t.Errorf("%s: %+v", to.Name(), r)
		}
	}
	f, err := newFunctionSender(t.Context(), s.desk, ops.Plan{}, failing)
	s.must(err)
	for kind, want := range map[sandbox.FaultKind]fate{sandbox.Throttle: untaken, sandbox.ResetAfter: unknown, sandbox.DeniedAction: untaken} {
		s.sb.SetFaults(sandbox.Fault{Kind: kind, Service: "lambda", Operation: "Invoke"})
		if r := f.send(t.Context(), []parcel{{message: source}})[0]; r.fate != want || kind == sandbox.DeniedAction && r.stop == nil {
			t.Errorf("%s: %+v, want %s", kind, r, want)
		}
	}
}

func TestFunctionAsynchronous(t *testing.T) {
	s := newScene(t, "")
	to, _ := s.heard("worker", func([]byte) ([]byte, error) { return nil, errors.New("later") })
	f, err := newFunctionSender(t.Context(), s.desk, ops.Plan{Invoke: "async"}, to)
	s.must(err)
	if r := f.send(t.Context(), []parcel{{message: ops.Message{ID: "a", Body: "{}"}}})[0]; r.fate != sent || r.id == "" {
		t.Errorf("%+v", r)
	}
}

func TestTopicGetsWhatWasInTheEnvelope(t *testing.T) {
	s := newScene(t, "")
	topics := sns.NewFromConfig(s.sb.Config())
	made, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("orders")})
	s.must(err)
	q := s.queue("sub", nil)
	_, err = topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String(string(q.ARN))})
	s.must(err)
	f := newTopicSender(s.desk, ops.Target{ARN: ops.ARN(*made.TopicArn), Kind: ops.KindTopic})
	envelope := `{"Type":"Notification","MessageId":"old","TopicArn":"` + *made.TopicArn + `","Subject":"hello","Message":"{\"n\": 1}","MessageAttributes":{"k":{"Type":"String","Value":"v"},"b":{"Type":"Binary","Value":"AP8="}}}`
	plain := ops.Message{ID: "p", Body: "plain <&>", Attributes: map[string]ops.Attribute{"n": {Type: "Number.float", Text: "1.5"}}}
	for i, r := range f.send(t.Context(), []parcel{{message: ops.Message{ID: "e", Body: envelope}}, {message: plain}}) {
		if r.fate != sent || r.id == "" {
			t.Errorf("parcel %d: %+v", i, r)
		}
	}
	got := map[string]notification{}
	for range 5 {
		out, err := s.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: 10})
		s.must(err)
		for _, m := range out.Messages {
			n, ok := notificationIn(ops.Message{Body: *m.Body})
			if !ok {
				t.Fatalf("no envelope: %s", *m.Body)
			}
			got[n.Message] = n
		}
	}
	if n := got[`{"n": 1}`]; n.Subject != "hello" || n.MessageId == "old" || !cmp.Equal(n.attributes(), map[string]ops.Attribute{"k": {Type: "String", Text: "v"}, "b": {Type: "Binary", Bytes: []byte{0, 255}}}) {
		t.Errorf("what was in the envelope: %+v", n)
	}
	if n := got["plain <&>"]; n.MessageAttributes["n"].Type != "Number" || n.MessageAttributes["n"].Value != "1.5" {
		t.Errorf("the plain message: %+v", n)
	}
	s.sb.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "sns", Operation: "PublishBatch"})
	if r := f.send(t.Context(), []parcel{{message: plain}})[0]; r.fate != unknown {
		t.Errorf("a lost reply: %+v", r)
	}
}
