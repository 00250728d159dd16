package sandbox

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// metric is the sum of a queue's metric over the last d; ok is false without data.
func (q *queues) metric(queue, name string, d time.Duration) (p datapoint, ok bool) {
	q.Helper()
	q.sb.do(func() {
		s := q.sb.regions[HomeRegion].metrics.find("AWS/SQS", name, "QueueName", queue)
		if s != nil {
			p = s.between(q.sb.now().Add(-d).Truncate(time.Minute), q.sb.now().Add(time.Minute))
		}
	})
	return p, p.count > 0
}

func (q *queues) latest(queue, name string) float64 {
	q.Helper()
	p, ok := q.metric(queue, name, 0)
	if !ok {
		q.Errorf("%s of %s has no data", name, queue)
	}
	return p.max
}

func TestQueueCountersAndGauges(t *testing.T) {
	q := sqsOf(t)
	url, _ := q.pair("", 1)
	for range 3 {
		q.send(url, "12345")
	}
	got := q.receive(url, 2)
	q.ok(q.delete(url, got[0]))
	q.sb.Advance(20 * time.Second)
	q.receive(url, 1)
	q.receive(url, 1) // nothing left to receive
	q.sb.Advance(40 * time.Second)
	for name, want := range map[string]float64{
		"NumberOfMessagesSent": 3, "NumberOfMessagesReceived": 3, "NumberOfMessagesDeleted": 1, "NumberOfEmptyReceives": 1, "SentMessageSize": 15,
	} {
		if p, _ := q.metric("orders", name, time.Minute); p.sum != want {
			t.Errorf("%s is %v, want %v", name, p.sum, want)
		}
	}
	for name, want := range map[string]float64{
		"ApproximateNumberOfMessagesVisible": 2, "ApproximateNumberOfMessagesNotVisible": 0, "ApproximateNumberOfMessagesDelayed": 0, "ApproximateAgeOfOldestMessage": 60,
	} {
		if got := q.latest("orders", name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// Dead-lettering does not count as sent (API, GetQueueAttributes); the age of a
// dead letter counts from its move (Developer Guide, sqs-available-cloudwatch-metrics).
func TestDeadLetterMetrics(t *testing.T) {
	q := sqsOf(t)
	url, _ := q.pair("", 1)
	q.send(url, "poison")
	q.sb.Advance(2 * time.Hour)
	q.receive(url, 1)
	q.sb.Advance(31 * time.Second)
	q.receive(url, 1)
	q.sb.Advance(3*time.Minute - 31*time.Second)
	if p, _ := q.metric("orders-dlq", "NumberOfMessagesSent", 3*time.Hour); p.sum != 0 {
		t.Errorf("sent %v", p.sum)
	}
	if got := q.latest("orders-dlq", "ApproximateNumberOfMessagesVisible"); got != 1 {
		t.Errorf("visible %v", got)
	}
	if got := q.latest("orders-dlq", "ApproximateAgeOfOldestMessage"); got != 149 {
		t.Errorf("age %v, want 149 s since the move", got)
	}
}

// A message received three times leaves the age metric and goes to the back of a
// standard queue (Developer Guide, sqs-available-cloudwatch-metrics).
func TestThreeReceivesLeaveTheAgeMetric(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders", "VisibilityTimeout", "10")
	q.send(url, "old")
	q.sb.Advance(10 * time.Minute)
	q.send(url, "new")
	for i := range backOfQueue {
		if got := bodies(q.receive(url, 1)); got != "old" {
			t.Fatalf("receive %d gave %q", i+1, got)
		}
		q.sb.Advance(10 * time.Second)
	}
	if got := bodies(q.receive(url, 2)); got != "new old" {
		t.Errorf("after three receives the order is %q", got)
	}
	q.sb.Advance(30 * time.Second)
	if got := q.latest("orders", "ApproximateAgeOfOldestMessage"); got != 60 {
		t.Errorf("age %v, want that of the message with fewer receives", got)
	}
}

// A queue sleeps six hours after it last held messages or was touched; when it
// wakes its metrics are late by up to 15 minutes (Developer Guide, monitoring-using-cloudwatch).
func TestQueueSleepsAndWakesLate(t *testing.T) {
	q := sqsOf(t)
	url := q.create("orders")
	const visible = "ApproximateNumberOfMessagesVisible"
	q.sb.Advance(6 * time.Hour)
	if _, ok := q.metric("orders", visible, 0); !ok {
		t.Error("asleep too early")
	}
	q.sb.Advance(time.Minute)
	if _, ok := q.metric("orders", visible, 0); ok {
		t.Error("still awake after six hours")
	}
	q.sb.Advance(time.Hour)
	q.send(url, "wake up")
	q.sb.Advance(2 * time.Minute)
	if p, ok := q.metric("orders", visible, 30*time.Minute); ok {
		t.Errorf("metrics two minutes after waking: %v", p)
	}
	q.sb.Advance(13 * time.Minute)
	if p, _ := q.metric("orders", "NumberOfMessagesSent", 16*time.Minute); p.sum != 1 {
		t.Errorf("sent %v: what was kept back did not arrive", p.sum)
	}
	if got := q.latest("orders", visible); got != 1 {
		t.Errorf("visible %v", got)
	}
	// Reading its attributes keeps a queue awake as well.
	q.ok(func() error {
		_, err := q.client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url})
		return err
	}())
	q.sb.Advance(5 * time.Hour)
	q.attributes(url)
	q.sb.Advance(5 * time.Hour)
	if _, ok := q.metric("orders", visible, 0); !ok {
		t.Error("asleep although it was touched")
	}
}

// BenchmarkQueueHistory is the standing cost of many queues: three hours of gauges.
func BenchmarkQueueHistory(b *testing.B) {
	for b.Loop() {
		sb, err := New(Options{Start: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
		if err != nil {
			b.Fatal(err)
		}
		sb.do(func() {
			for i := range 500 {
				if _, err := sb.regions[HomeRegion].queues.(*sqsService).queueNamed(fmt.Sprintf("q%03d", i), nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		sb.Advance(3 * time.Hour)
		sb.Close()
	}
}

// BenchmarkQueueMessage is the cost of one message: sent, received, deleted.
func BenchmarkQueueMessage(b *testing.B) {
	sb, err := New(Options{Start: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		b.Fatal(err)
	}
	defer sb.Close()
	b.ReportAllocs()
	sb.do(func() {
		s := sb.regions[HomeRegion].queues.(*sqsService)
		q, err := s.queueNamed("orders", nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		for range 1000 {
			q.accept(&message{body: "waiting"}, -1)
		}
		for b.Loop() {
			q.accept(&message{body: "hello"}, -1)
			for _, m := range q.take(s.r.now(), 1, time.Minute) {
				if err := q.remove(s.r.now(), q.handle(m)); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func TestIDsLookLikeUUIDs(t *testing.T) {
	q := sqsOf(t)
	id := *q.send(q.create("orders"), "x").MessageId
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("message id %q", id)
	}
}
