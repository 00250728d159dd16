package payload

import (
	"encoding/json"
	"strings"
	"testing"

	"kxops/ops"
)

// typical are messages of 1 to 2 KiB as they lie in dead-letter queues.
func typical() []ops.Message {
	order := strings.Replace(orderJSON, `"items":[`, `"items":[`+strings.Repeat(`{"sku":"MUG-201","qty":2,"price":14.20,"title":"Enamel mug, \"blue\""},`, 12), 1)
	all := samples()
	deadLetter := all["Lambda dead letter"].message
	return []ops.Message{
		{Body: order},
		{Body: envelope(order)},
		{Body: envelope(s3JSON)},
		deadLetter,
		{Body: destination(order)},
		{Body: all["Kinesis pointer"].message.Body},
		{Body: all["EventBridge dead letter"].message.Body, Attributes: all["EventBridge dead letter"].message.Attributes},
		{Body: s3JSON},
	}
}

func BenchmarkPeel(b *testing.B) {
	mixed := typical()
	b.Run("mixed", func(b *testing.B) { peelAll(b, mixed) })
	for _, c := range []struct {
		name string
		m    ops.Message
	}{
		{"order", mixed[0]}, {"SNS of order", mixed[1]}, {"SNS of S3 event", mixed[2]}, {"Lambda dead letter", mixed[3]},
		{"Lambda destination", mixed[4]}, {"Kinesis pointer", mixed[5]},
		{"base64 of gzip", ops.Message{Body: as64(packGzip(mixed[0].Body))}},
		{"base64 of zstd", ops.Message{Body: as64(packZstd(mixed[0].Body))}},
	} {
		b.Run(c.name, func(b *testing.B) { peelAll(b, []ops.Message{c.m}) })
	}
}

func peelAll(b *testing.B, messages []ops.Message) {
	size := 0
	for _, m := range messages {
		size += len(m.Body)
	}
	b.SetBytes(int64(size / len(messages)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if len(Peel(messages[n%len(messages)])) == 0 {
			b.Fatal("no layer")
		}
		n++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// The yardstick for a machine of another speed: what encoding/json takes to read the
// outer document only, into maps.
func BenchmarkStandardLibrary(b *testing.B) {
	messages := typical()
	n := 0
	for b.Loop() {
		var v any
		if err := json.Unmarshal([]byte(messages[n%len(messages)].Body), &v); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

func BenchmarkWalk(b *testing.B) {
	doc := []byte(typical()[0].Body)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		leaves := 0
		Walk(doc, func(_, _ []byte) { leaves++ })
		if leaves == 0 {
			b.Fatal("no leaf")
		}
	}
}

func BenchmarkField(b *testing.B) {
	doc := []byte(typical()[0].Body)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Field(doc, "shipTo", "zip"); !ok {
			b.Fatal("not found")
		}
	}
}
