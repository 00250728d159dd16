package sandbox

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// resend sends what the dead-letter queue of the orders holds and want takes back
// to the orders, and deletes it there. It returns the new ids.
func (l *looker) resend(letters []sqstypes.Message, want func(body string) bool, most int) (ids map[string]bool) {
	l.Helper()
	ids = map[string]bool{}
	for _, m := range letters {
		if len(ids) == most || !want(*m.Body) {
			continue
		}
		out, err := l.q.SendMessage(l.Context(), &sqs.SendMessageInput{QueueUrl: l.url("orders"), MessageBody: m.Body})
		if err != nil {
			l.Fatal(err)
		}
		ids[*out.MessageId] = true
	}
	return ids
}

// back counts which of the sent messages are dead letters again.
func (l *looker) back(letters []sqstypes.Message, ids map[string]bool) (n int) {
	for _, m := range letters {
		if ids[*m.MessageId] {
			n++
		}
	}
	return n
}

func (l *looker) changed(function string) (modified time.Time, sum string) {
	l.Helper()
	out, err := l.l.GetFunctionConfiguration(l.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &function})
	if err != nil {
		l.Fatal(err)
	}
	at, err := time.Parse("2006-01-02T15:04:05.999-0700", aws.ToString(out.LastModified))
	if err != nil {
		l.Fatal(err)
	}
	return at, aws.ToString(out.CodeSha256)
}

func textTotal(body string) bool { return strings.Contains(body, `"total":"`) }
func noZip(body string) bool {
	return strings.Contains(body, `"shipTo"`) && !strings.Contains(body, `"zip"`) && !textTotal(body)
}

// A redrive before the fix comes back, after it it does not; what was not fixed
// fails for ever.
func TestTheFixIsDeployedWhileSomebodyLooks(t *testing.T) {
	l := looking(t, "incident")
	opened := l.sb.Now()
	letters := l.messages("orders-dlq")
	early := l.resend(letters, textTotal, 3)
	before, sum := l.changed("orders-worker")
	if since := opened.Sub(before); since < time.Hour {
		t.Errorf("orders-worker was changed %s before the door opened", since)
	}

	l.sb.Advance(totalsFixed + 10*time.Second) // 3 receives of 40 s, and they are back
	if n := l.back(l.messages("orders-dlq"), early); n != 3 {
		t.Errorf("%d of 3 came back before the fix, want all", n)
	}
	after, fixed := l.changed("orders-worker")
	if !after.Equal(opened.Add(totalsFixed).Truncate(time.Millisecond)) || fixed == sum {
		t.Errorf("the fix is of %s, the door opened %s; code %s then %s", after, opened, sum, fixed)
	}

	late, never := l.resend(letters, textTotal, 5), l.resend(letters, noZip, 1)
	l.sb.Advance(3 * time.Minute)
	again := l.messages("orders-dlq")
	if n := l.back(again, late); n != 0 || len(late) != 5 {
		t.Errorf("%d of %d came back after the fix", n, len(late))
	}
	if n := l.back(again, never); n != 1 {
		t.Errorf("%d of %d orders without zip came back, want 1 of 1", n, len(never))
	}
	for _, m := range again {
		if textTotal(*m.Body) && !early[*m.MessageId] && m.Attributes["SentTimestamp"] > millisOf(opened.Add(totalsFixed)) {
			t.Errorf("a text total failed after the fix: %s", *m.Body)
		}
	}
}

func millisOf(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func TestThumbnailsLearnsHEIC(t *testing.T) {
	l := looking(t, "incident")
	call := func(key string) string {
		t.Helper()
		out, err := l.l.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("thumbnails"),
			Payload: []byte(`{"Records":[{"s3":{"object":{"key":"` + key + `"}}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.FunctionError)
	}
	if call("photos/a.heic") == "" || call("photos/a-partial.jpg") == "" {
		t.Error("thumbnails reads everything before the fix")
	}
	l.sb.Advance(photosFixed + time.Second)
	if e := call("photos/a.heic"); e != "" {
		t.Errorf("thumbnails fails with %q after the fix", e)
	}
	if call("photos/a-partial.jpg") == "" {
		t.Error("thumbnails reads half a picture")
	}
	if at, _ := l.changed("thumbnails"); l.sb.Now().Sub(at) > time.Minute {
		t.Errorf("thumbnails was changed at %s", at)
	}
}

// A function that is invoked by hand with the event of its mapping does what it
// does for the mapping.
func TestScenarioFunctionsUnderstandEventsByHand(t *testing.T) {
	l := looking(t, "incident")
	coin := `{"Records":[{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"1","partitionKey":"k","data":"eyJjdXJyZW5jeSI6IlhCVCJ9"}}]}`
	for _, c := range []struct{ function, event, failed, answer string }{
		{"fraud-score", coin, "Unhandled", "no exchange rate for XBT"},
		{"fraud-score", strings.Replace(coin, "eyJjdXJyZW5jeSI6IlhCVCJ9", "eyJjdXJyZW5jeSI6IkVVUiJ9", 1), "", ""},
		{"orders-worker", `{"Records":[{"messageId":"m-1","body":"{}"}]}`, "", `{"batchItemFailures":[{"itemIdentifier":"m-1"}]}`},
		{"orders-worker", `{}`, "Unhandled", "KeyError"},
	} {
		out, err := l.l.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &c.function, Payload: []byte(c.event)})
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(out.FunctionError) != c.failed || !strings.Contains(string(out.Payload), c.answer) {
			t.Errorf("%s on %s: %q, %s", c.function, c.event, aws.ToString(out.FunctionError), out.Payload)
		}
	}
}
