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
