package dlq

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// The measured case of issue 3: messages of 2 KiB, every call takes 20 ms.
const (
	benchMessages = 10_000
	benchSequence = 1_000 // for the one-at-a-time loop, which takes 6 ms a message
	benchLatency  = 20 * time.Millisecond
)

// liveBench is a sandbox whose clock is the wall clock.
func liveBench(b *testing.B, n int) (w *bench, source, dead string) {
	b.Helper()
	sb, err := sandbox.New(sandbox.Options{Live: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sb.Close)
	w = &bench{Sandbox: sb, t: b, sqs: sqs.NewFromConfig(sb.Config())}
	source, dead = w.queue("work", nil), w.queue("work-dlq", nil)
	filler := strings.Repeat("x", 2<<10)
	w.fill(dead, n, func(i int) string { return fmt.Sprintf("%06d%s", i, filler[6:]) })
	return w, source, dead
}

func slow() sandbox.Fault {
	return sandbox.Fault{Kind: sandbox.Slow, Service: "sqs", Latency: benchLatency}
}

// BenchmarkRedrive measures a redrive against the loop that every script has. Run it
// with -benchtime 1x. The journal is once on a disk and once in memory, where a sync
// costs nothing: the difference is what the journal costs.
func BenchmarkRedrive(b *testing.B) {
	b.Run("sequential loop", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			w, source, dead := liveBench(b, benchSequence)
			w.SetFaults(slow())
			b.StartTimer()
			began := time.Now()
			oneByTen(b, w.sqs, dead, source, benchSequence)
			b.ReportMetric(benchSequence/time.Since(began).Seconds(), "msg/s")
		}
	})
	for _, c := range []struct{ name, dir string }{{"journal on disk", os.TempDir()}, {"journal in memory", "/dev/shm"}} {
		b.Run(c.name, func(b *testing.B) {
			if _, err := os.Stat(c.dir); err != nil {
				b.Skipf("no %s here", c.dir)
			}
			for b.Loop() {
				b.StopTimer()
				w, source, dead := liveBench(b, benchMessages)
				dir, err := os.MkdirTemp(c.dir, "kxops-bench-")
				if err != nil {
					b.Fatal(err)
				}
				w.changing(dir)
				plan := w.planOfAll("work-dlq", "work")
				w.SetFaults(slow())
				b.StartTimer()
				began := time.Now()
				res := w.apply(plan)
				took := time.Since(began)
				b.StopTimer()
				if res.State != ops.Finished || res.Deleted != benchMessages {
					b.Fatalf("%+v", res)
				}
				if n, _ := w.depth(source); n != benchMessages {
					b.Fatalf("%d arrived", n)
				}
				if n, hidden := w.depth(dead); n+hidden != 0 {
					b.Fatalf("%d left", n+hidden)
				}
				b.ReportMetric(benchMessages/took.Seconds(), "msg/s")
				b.ReportMetric(float64(res.Calls)/benchMessages, "calls/msg")
				if err := os.RemoveAll(dir); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// planOfAll plans about everything that a look finds.
func (b *bench) planOfAll(dead, to string) ops.Plan {
	b.t.Helper()
	pile, err := b.desk.Look(context.Background(), b.describe(dead), Look{Limit: 20_000}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.release(pile)
	plan, err := b.desk.Plan(context.Background(), ops.Ask{Verb: ops.Redrive, Queue: pile.Queue().ARN, Select: ops.Selection{All: true}, To: "queue:" + to}, pile)
	if err != nil {
		b.t.Fatal(err)
	}
	return plan
}

// oneByTen receives, sends and deletes by tens, one call after the other.
func oneByTen(b *testing.B, c *sqs.Client, from, to string, n int) {
	b.Helper()
	ctx := context.Background()
	for done := 0; done < n; {
		got, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &from, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
		if err != nil || len(got.Messages) == 0 {
			b.Fatal(done, err)
		}
		send, remove := &sqs.SendMessageBatchInput{QueueUrl: &to}, &sqs.DeleteMessageBatchInput{QueueUrl: &from}
		for i, m := range got.Messages {
			id := aws.String(fmt.Sprint(i))
			send.Entries = append(send.Entries, types.SendMessageBatchRequestEntry{Id: id, MessageBody: m.Body})
			remove.Entries = append(remove.Entries, types.DeleteMessageBatchRequestEntry{Id: id, ReceiptHandle: m.ReceiptHandle})
		}
		if _, err := c.SendMessageBatch(ctx, send); err != nil {
			b.Fatal(err)
		}
		if _, err := c.DeleteMessageBatch(ctx, remove); err != nil {
			b.Fatal(err)
		}
		done += len(got.Messages)
	}
}
