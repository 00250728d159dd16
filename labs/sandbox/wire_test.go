package sandbox

import (
	"bytes"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var ignoreMetadata = cmpopts.IgnoreUnexported(
	cloudwatch.PutMetricDataInput{}, cwtypes.MetricDatum{}, cwtypes.Dimension{}, cwtypes.StatisticSet{},
	sqs.SendMessageInput{}, sqstypes.MessageAttributeValue{}, sqstypes.MessageSystemAttributeValue{},
	sns.PublishInput{}, snstypes.MessageAttributeValue{},
)

// What one of our writers writes, our reader reads back unchanged.
func TestRoundTrips(t *testing.T) {
	when := time.Date(2026, 11, 22, 12, 0, 0, 250e6, time.UTC)
	metric := cloudwatch.PutMetricDataInput{
		Namespace: aws.String("kxops/test"),
		MetricData: []cwtypes.MetricDatum{{
			MetricName: aws.String("age"), Timestamp: &when, Value: aws.Float64(-1.5), Unit: cwtypes.StandardUnitSeconds,
			Dimensions: []cwtypes.Dimension{{Name: aws.String("StreamName"), Value: aws.String("clicks <&>\"é")}},
			Counts:     []float64{1, 2}, Values: []float64{0.25, 1e9},
		}},
		StrictEntityValidation: aws.Bool(true),
	}
	t.Run("json", func(t *testing.T) {
		tree, err := treeOfJSON(appendJSON(nil, reflect.ValueOf(metric)))
		check(t, metric, tree, err)
	})
	t.Run("cbor", func(t *testing.T) {
		tree, err := treeOfCBOR(appendCBOR(nil, reflect.ValueOf(metric)))
		check(t, metric, tree, err)
	})
	message := sqs.SendMessageInput{
		MessageBody: aws.String("a\x7fb\u2028c"), DelaySeconds: 3,
		MessageAttributes: map[string]sqstypes.MessageAttributeValue{"n": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 255}}},
	}
	t.Run("blobs and maps", func(t *testing.T) {
		tree, err := treeOfJSON(appendJSON(nil, reflect.ValueOf(message)))
		check(t, message, tree, err)
	})
}

func check[T any](t *testing.T, want T, tree any, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := decode(reflect.ValueOf(&got).Elem(), tree, "input"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ignoreMetadata); diff != "" {
		t.Error(diff)
	}
}

func TestQueryFormsOfListsAndMaps(t *testing.T) {
	form, err := url.ParseQuery("TopicArn=a&Message=hi&MessageAttributes.entry.1.Name=k&MessageAttributes.entry.1.Value.DataType=String&MessageAttributes.entry.1.Value.StringValue=v")
	if err != nil {
		t.Fatal(err)
	}
	check(t, sns.PublishInput{
		TopicArn: aws.String("a"), Message: aws.String("hi"),
		MessageAttributes: map[string]snstypes.MessageAttributeValue{"k": {DataType: aws.String("String"), StringValue: aws.String("v")}},
	}, treeOfForm(form), nil)
}

func TestTenthListMemberComesAfterTheNinth(t *testing.T) {
	form := url.Values{}
	for i, v := range strings.Split("a b c d e f g h i j k", " ") {
		form.Set("List.member."+itoa(i+1), v)
	}
	got, ok := asList(treeOfForm(form)["List"])
	if !ok || len(got) != 11 || got[9] != "j" || got[10] != "k" {
		t.Errorf("got %v", got)
	}
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }

func TestWrongTypesAreNamed(t *testing.T) {
	for body, want := range map[string]string{
		`{"MessageBody": 5}`:                                 "In.MessageBody",
		`{"DelaySeconds": 1.5}`:                              "In.DelaySeconds",
		`{"MessageAttributes": []}`:                          "In.MessageAttributes",
		`{"MessageAttributes": {"a": {"BinaryValue": "%"}}}`: "In.MessageAttributes.a.BinaryValue",
	} {
		tree, err := treeOfJSON([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var in sqs.SendMessageInput
		if err := decode(reflect.ValueOf(&in).Elem(), tree, "In"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to name %s", body, err, want)
		}
	}
}

func TestXMLIsEscaped(t *testing.T) {
	var b bytes.Buffer
	appendXML(&b, reflect.ValueOf(sns.PublishOutput{MessageId: aws.String("<&\x00>")}))
	if got := b.String(); strings.Contains(got, "<&") {
		t.Errorf("got %s", got)
	}
}

// Whatever a client sends, the readers answer with an error or a value, not a panic.
func FuzzRequestBodies(f *testing.F) {
	f.Add([]byte(`{"QueueUrl":"u","Entries":[{"Id":"1","MessageBody":"b"}]}`))
	f.Add([]byte("Action=X&Entries.member.1.Id=a&Entries.member.x.Id=b&Entries.entry.1.key=k"))
	f.Add(cbor.Encode(cbor.Map{"Entries": cbor.List{cbor.Map{"Id": cbor.String("1")}}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, tree := range trees(body) {
			for _, in := range []any{&sqs.SendMessageBatchInput{}, &cloudwatch.GetMetricDataInput{}, &sns.PublishBatchInput{}, &cloudwatch.PutMetricAlarmInput{}} {
				if err := decode(reflect.ValueOf(in).Elem(), tree, "in"); err == nil {
					appendJSON(nil, reflect.ValueOf(in))
				}
			}
		}
	})
}

func trees(body []byte) []any {
	var out []any
	if n, err := treeOfJSON(body); err == nil {
		out = append(out, n)
	}
	if n, err := treeOfCBOR(body); err == nil {
		out = append(out, n)
	}
	if form, err := url.ParseQuery(string(body)); err == nil {
		out = append(out, treeOfForm(form))
	}
	return out
}
