package dlq

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// orders makes dead letters of 2 KiB as a topic's subscription leaves them: an
// envelope with a signature that does not compress, and an order inside it.
type orders struct{ rng *rand.Rand }

func (o orders) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(o.rng.UintN(256))
	}
	return b
}

func (o orders) uuid() string {
	b := o.random(16)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (o orders) body(i int) string {
	var lines []map[string]any
	for range 9 {
		lines = append(lines, map[string]any{"sku": fmt.Sprintf("SKU-%05d", o.rng.IntN(2000)), "quantity": 1 + o.rng.IntN(5), "price_cents": o.rng.IntN(90000), "warehouse": "eu-west-" + strconv.Itoa(1+o.rng.IntN(3))})
	}
	order, err := json.Marshal(map[string]any{"type": "OrderPlaced", "order_id": o.uuid(), "customer_id": o.uuid(), "number": i, "lines": lines,
		"placed_at": night.Add(time.Duration(i) * time.Second).Format(time.RFC3339Nano), "currency": "EUR", "note": "leave it at the door of the neighbour when nobody answers the bell, and write down who has taken it", "trace": o.uuid()})
	if err != nil {
		panic(err)
	}
	envelope, err := json.Marshal(map[string]string{"Type": "Notification", "MessageId": o.uuid(), "TopicArn": "arn:aws:sns:eu-west-1:123456789012:orders", "Message": string(order),
		"Timestamp": night.Format(time.RFC3339), "SignatureVersion": "1", "Signature": base64.StdEncoding.EncodeToString(o.random(256)),
		"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
		"UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:eu-west-1:123456789012:orders:0"})
	if err != nil {
		panic(err)
	}
	return string(envelope)
}

func (o orders) message(i int, now time.Time) ops.Message {
	return ops.Message{ID: o.uuid(), Body: o.body(i), At: now, Until: now.Add(time.Hour),
		Attributes: map[string]ops.Attribute{"tenant": {Type: "String", Text: "t" + strconv.Itoa(i%50)}},
		System: map[string]string{ops.SentAttribute: strconv.FormatInt(now.UnixMilli()+int64(i), 10), ops.FirstAttribute: strconv.FormatInt(now.UnixMilli(), 10),
			ops.ReceivesAttribute: "4", ops.SourceAttribute: "arn:aws:sqs:eu-west-1:123456789012:orders", ops.SenderAttribute: "AIDASANDBOX"},
		Handle: base64.StdEncoding.EncodeToString(o.random(300)), // as long as SQS's
	}
}

// liveHeap is what is alive.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// browsed is a pile of n messages; everything that is held counts, handles too.
func browsed(t testing.TB, n int) (p *Pile, bytes int64, mega float64) {
	t.Helper()
	o := orders{rand.New(rand.NewPCG(3, 4))}
	desk := New(Options{Config: aws.Config{Region: "eu-west-1"}, Now: func() time.Time { return night }})
	before := liveHeap()
	p = newPile(desk, ops.Queue{ARN: "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", Name: "orders-dlq", Retention: ops.MaxRetention})
	for i := range n {
		m := o.message(i, night)
		bytes += int64(m.Size())
		p.add(m)
	}
	p.end(night, "")
	if got := len(p.Letters()); got != n {
		t.Fatalf("%d letters", got)
	}
	mega = (float64(liveHeap()) - float64(before)) / 1e6
	runtime.KeepAlive(p)
	return p, bytes, mega
}

// 100,000 messages of 2 KiB must fit into 150 MB. What one more message takes is
// tested; the benchmark has them all.
func TestAPileIsSmall(t *testing.T) {
	small, _, before := browsed(t, 2_000)
	large, bytes, after := browsed(t, 12_000)
	if per := bytes / 12_000; per < 1950 || per > 2150 {
		t.Errorf("the messages have %d bytes each", per)
	}
	per := (after - before) / 10_000 * 1e6
	t.Logf("%.0f bytes for each message", per)
	if per > 1500 {
		t.Errorf("%.0f bytes for each message: 100,000 would take %.0f MB", per, per/10)
	}
	runtime.KeepAlive(small)
	runtime.KeepAlive(large)
}

func BenchmarkPileOf100000(b *testing.B) {
	for b.Loop() {
		p, bytes, mega := browsed(b, 100_000)
		b.ReportMetric(mega, "MB-held")
		b.ReportMetric(float64(bytes)/1e6, "MB-of-messages")
		now := time.Now()
		if n := len(p.Letters()); n != 100_000 {
			b.Fatal(n)
		}
		n := 0
		p.Each(func(ops.Message) bool { n++; return true })
		b.ReportMetric(float64(n)/time.Since(now).Seconds(), "messages-read/s")
		runtime.KeepAlive(p)
	}
}

// BenchmarkPeek10000 looks at 10,000 of 100,000 messages where every call takes 20 ms,
// and gives them back; the loop does the same one call after the other.
func BenchmarkPeek10000(b *testing.B) {
	bench := newBench(b)
	url := bench.queue("dlq", nil)
	o := orders{rand.New(rand.NewPCG(5, 6))}
	bench.fill(url, 100_000, o.body)
	q := bench.describe("dlq")
	bench.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Latency: 20 * time.Millisecond})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			began := time.Now()
			first := time.Duration(0)
			pile, err := bench.desk.Look(context.Background(), q, Look{Limit: 10_000, Again: true}, func(p ops.LookProgress) {
				if first == 0 && p.Read >= 100 {
					first = time.Since(began)
				}
				if p.Held > 10_000 {
					b.Error("more than the budget is held")
				}
			})
			if err != nil || pile.Len() != 10_000 {
				b.Fatal(err, pile.Len())
			}
			looked := time.Since(began)
			if err := pile.Release(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(first.Seconds(), "s-to-100")
			b.ReportMetric(looked.Seconds(), "s-look")
			b.ReportMetric(10_000/time.Since(began).Seconds(), "messages/s")
		}
	})
	b.Run("loop", func(b *testing.B) {
		for b.Loop() {
			began := time.Now()
			var handles []*string
			for len(handles) < 10_000 {
				out, err := bench.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 600, WaitTimeSeconds: 1})
				if err != nil || len(out.Messages) == 0 {
					b.Fatal(err)
				}
				for _, m := range out.Messages {
					handles = append(handles, m.ReceiptHandle)
				}
			}
			for from := 0; from < len(handles); from += 10 {
				in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url}
				for i, h := range handles[from:min(from+10, len(handles))] {
					in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: h})
				}
				if _, err := bench.sqs.ChangeMessageVisibilityBatch(context.Background(), in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(10_000/time.Since(began).Seconds(), "messages/s")
		}
	})
}
