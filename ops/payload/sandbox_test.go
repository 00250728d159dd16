package payload_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/payload"
)

// The dead letters of the bad day, as a client receives them, are all recognised.
func TestIncidentIsRecognised(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{Scenario: "incident", Seed: 7, Start: time.Date(2026, 11, 22, 12, 0, 30, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	client := sqs.NewFromConfig(sb.Config())
	queues, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]map[string]int{}
	for _, url := range queues.QueueUrls {
		name := url[strings.LastIndexByte(url, '/')+1:]
		counts[name] = map[string]int{}
		for _, m := range received(t, client, url) {
			layers := payload.Peel(m)
			d := payload.Summary(layers)
			counts[name][layers[0].Kind]++
			if len(payload.Innermost(layers, m)) == 0 {
				t.Errorf("%s: nothing inside %q", name, m.Body)
			}
			switch last := layers[len(layers)-1].Kind; {
			case last == "text" || last == "binary":
				t.Errorf("%s: %s: %.200q", name, last, m.Body)
			case layers[0].Kind == "Lambda dead letter":
				if d.Failure.Type == "" && d.Failure.Message == "" || d.Failure.RequestID == "" || d.Event != "ObjectCreated:Put" || d.Origin == "" {
					t.Errorf("%s: %+v %+v", name, d, d.Failure)
				}
			case d.Pointer != nil:
				if p := d.Pointer; p.Stream == "" || p.Shard == "" || p.From == "" || p.To == "" || p.First.IsZero() || p.Records == 0 || p.Function == "" || d.Failure.Condition == "" {
					t.Errorf("%s: %+v", name, p)
				}
			case layers[0].Kind == "SNS envelope":
				if d.Origin == "" || d.Failure != nil {
					t.Errorf("%s: %+v", name, d)
				}
			}
		}
	}
	t.Log(counts)
	for queue, kinds := range map[string][]string{
		"orders-dlq":     {"JSON", "SNS envelope", "S3 event", "S3 test event"},
		"thumbnails-dlq": {"Lambda dead letter"},
		"invoices-dlq":   {"JSON"},
	} {
		for _, kind := range kinds {
			if counts[queue][kind] == 0 {
				t.Errorf("%s has no %s: %v", queue, kind, counts[queue])
			}
		}
	}
	pointers := 0
	for _, kinds := range counts {
		pointers += kinds["Kinesis pointer"]
	}
	if pointers == 0 {
		t.Error("no pointer of fraud-score in any queue")
	}
}

// received takes up to 600 messages of a queue.
func received(t *testing.T, client *sqs.Client, url string) (out []ops.Message) {
	t.Helper()
	for range 60 {
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 600,
			MessageAttributeNames:       []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			break
		}
		for _, m := range got.Messages {
			out = append(out, message(m))
		}
	}
	return out
}

func message(m types.Message) ops.Message {
	out := ops.Message{ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), System: m.Attributes, Attributes: map[string]ops.Attribute{}}
	for name, a := range m.MessageAttributes {
		out.Attributes[name] = ops.Attribute{Type: aws.ToString(a.DataType), Text: aws.ToString(a.StringValue), Bytes: a.BinaryValue}
	}
	return out
}
