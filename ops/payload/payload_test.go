package payload

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

func kinds(layers []ops.Layer) (out []string) {
	for _, l := range layers {
		out = append(out, l.Kind)
	}
	return out
}

func TestLayersInLayers(t *testing.T) {
	s3 := `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b","arn":"arn:aws:s3:::b"},"object":{"key":"a+b/%C3%BC.csv","size":3}}}]}`
	m := ops.Message{
		Body: `{"Type" : "Notification", "MessageId":"1","TopicArn":"arn:aws:sns:eu-west-1:123456789012:t","Message":` + quote(s3) + `}`,
		Attributes: map[string]ops.Attribute{
			"RequestID":    {Type: "String", Text: "r-1"},
			"ErrorCode":    {Type: "Number", Text: "200"},
			"ErrorMessage": {Type: "String", Text: `{"errorType":"KeyError","errorMessage":"no zip","stackTrace":["a","b`},
		},
	}
	got := Peel(m)
	if d := cmp.Diff([]string{"Lambda dead letter", "SNS envelope", "S3 event"}, kinds(got)); d != "" {
		t.Fatal(d)
	}
	if string(Innermost(got, m)) != s3 {
		t.Errorf("innermost %s", Innermost(got, m))
	}
	want := Digest{Failure: &ops.Failure{Type: "KeyError", Message: "no zip", RequestID: "r-1"}, Event: "ObjectCreated:Put", Origin: "arn:aws:s3:::b"}
	if d := cmp.Diff(want, Summary(got)); d != "" {
		t.Error(d)
	}
	if f := got[2].Facts[2]; f.Value != "a b/ü.csv" {
		t.Errorf("key %q", f.Value)
	}
}

// The outermost failure says why a message is here: an event that a function gave
// up may hold the record of an earlier failure.
func TestSummaryTakesTheOuterFailure(t *testing.T) {
	m := ops.Message{
		Body: destination(s3JSON),
		Attributes: map[string]ops.Attribute{
			"RequestID":    {Type: "String", Text: "r-2"},
			"ErrorCode":    {Type: "Number", Text: "429"},
			"ErrorMessage": {Type: "String", Text: "Rate Exceeded."},
		},
	}
	d := Summary(Peel(m))
	if want := (&ops.Failure{Type: "429", Message: "Rate Exceeded.", RequestID: "r-2"}); cmp.Diff(want, d.Failure) != "" {
		t.Error(cmp.Diff(want, d.Failure))
	}
	if d.Event != "ObjectCreated:Put" || d.Origin != "arn:aws:s3:::shop-uploads" {
		t.Errorf("%+v", d)
	}
}

func TestSuccessIsNoFailure(t *testing.T) {
	d := Summary(Peel(ops.Message{Body: `{"version":"1.0","timestamp":"2026-11-14T18:16:05.568Z","requestContext":{"requestId":"r","functionArn":"arn:aws:lambda:eu-west-1:123456789012:function:f","condition":"Success","approximateInvokeCount":1},"requestPayload":{"a":1},"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":null}`}))
	if d.Failure != nil || d.Origin == "" {
		t.Errorf("%+v", d)
	}
}

func TestStacks(t *testing.T) {
	for _, c := range []struct {
		written string
		want    []string
	}{
		{`{"errorType":"Error","errorMessage":"no","trace":["Error: no","    at ship (/var/task/a.js:3:9)","    at Runtime.handler (/var/task/a.js:9:1)"]}`,
			[]string{"at ship (/var/task/a.js:3:9)", "at Runtime.handler (/var/task/a.js:9:1)"}},
		{`{"stackTrace":[["/var/task/a.py",9,"handler","ship(e)"],["/var/task/a.py",3,"ship","raise"]]}`,
			[]string{"/var/task/a.py 3 ship raise", "/var/task/a.py 9 handler ship(e)"}},
		{`{"stackTrace":["shop.Orders.ship(Orders.java:31)","shop.Orders.handle(Orders.java:12)"]}`,
			[]string{"shop.Orders.ship(Orders.java:31)", "shop.Orders.handle(Orders.java:12)"}},
		{`{"stackTrace":null}`, nil},
		{`{"stackTrace":[null,7,{}]}`, []string{"7", "{}"}},
	} {
		var f ops.Failure
		readError([]byte(c.written), &f)
		if d := cmp.Diff(c.want, f.Stack); d != "" {
			t.Errorf("%s: %s", c.written, d)
		}
	}
}

func TestSubscriptionConfirmation(t *testing.T) {
	got := Peel(ops.Message{Body: `{"Type":"SubscriptionConfirmation","MessageId":"165545c9","Token":"2336412f37","TopicArn":"arn:aws:sns:eu-west-1:123456789012:t","Message":"You have chosen to subscribe to the topic.","SubscribeURL":"https://sns.example.com/?Action=ConfirmSubscription","Timestamp":"2026-11-22T10:00:00.000Z"}`})
	if d := Summary(got); d.Event != "SubscriptionConfirmation" || d.Harmless == "" {
		t.Errorf("%+v", d)
	}
	if d := Summary(Peel(ops.Message{Body: envelope("x")})); d.Event != "" || d.Harmless != "" {
		t.Errorf("%+v", d)
	}
}

// A message says nothing of SNS unless its sender is known to be SNS.
func TestRawDeliveryNeedsEvidence(t *testing.T) {
	for sender, want := range map[string]string{"AIDAISMY7JYY5F7RTT6AO": "SNS raw delivery", "AIDAIT2UOQQY3AUEKVGXU": "JSON", "AROAEXAMPLE:worker": "JSON", "": "JSON"} {
		got := Peel(ops.Message{Body: orderJSON, System: map[string]string{ops.SenderAttribute: sender}})
		if got[0].Kind != want {
			t.Errorf("%s: %v", sender, kinds(got))
		}
	}
}

// EventBridge Pipes leaves pointers too, with less around them; a pipe is no
// function that could be invoked.
func TestPointerOfAPipe(t *testing.T) {
	d := Summary(Peel(ops.Message{Body: `{"context":{"partnerResourceArn":"arn:aws:pipes:eu-west-1:123456789012:pipe/orders","condition":"RetryAttemptsExhausted"},"version":"1.0","timestamp":"2026-11-22T00:00:00Z",` +
		`"DDBStreamBatchInfo":{"shardId":"shardId-1","startSequenceNumber":"1","endSequenceNumber":"9","approximateArrivalOfFirstRecord":"2026-11-22T00:00:00Z","approximateArrivalOfLastRecord":"2026-11-22T00:00:00Z","batchSize":2,"streamArn":"arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/x"}}`}))
	if f := d.Failure; f == nil || f.Condition != "RetryAttemptsExhausted" || f.Function != "" || f.At.IsZero() {
		t.Errorf("%+v", f)
	}
	if p := d.Pointer; p == nil || p.Kind != ops.DynamoDBRange || p.To != "9" || p.Function != "" {
		t.Errorf("%+v", p)
	}
	d = Summary(Peel(ops.Message{Body: `{"KinesisBatchInfo":{"shardId":"s"}}`}))
	if d.Failure != nil || d.Pointer == nil {
		t.Errorf("%+v", d)
	}
}
