package labs_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kin "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"kxops/labs"
	"kxops/labs/functions"
	"kxops/labs/sandbox"
)

// BenchmarkLab2Up is from nothing to the first archived event, as `kxops lab up`
// does it, without the start of the process.
func BenchmarkLab2Up(b *testing.B) {
	code, err := labs.Code([]byte("in process"))
	if err != nil {
		b.Fatal(err)
	}
	var deployed time.Duration
	for b.Loop() {
		began := time.Now()
		sb, err := sandbox.New(sandbox.Options{Live: true, Brisk: true, Code: func(handler string, f sandbox.Function) sandbox.Handler {
			h, _ := functions.New(handler, functions.Place{Config: f.Config, Environment: f.Environment, Now: f.Now, Wait: f.Wait, Log: func(string) {}})
			return sandbox.Handler(h)
		}})
		if err != nil {
			b.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- sb.Serve(l) }()
		lab, err := labs.Find("lab2")
		if err != nil {
			b.Fatal(err)
		}
		s := lab.In(labs.Place{Config: sandbox.ConfigFor("http://"+l.Addr().String(), sandbox.HomeRegion), Account: sandbox.Account, Region: sandbox.HomeRegion,
			Sandbox: true, Poll: 20 * time.Millisecond})
		plan, err := s.Plan(b.Context(), code, lab.Settings)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := plan.Apply(b.Context(), func(labs.Event) {}); err != nil {
			b.Fatal(err)
		}
		deployed += time.Since(began)
		page, err := s.Page(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		sent, err := page.Submit(b.Context(), "click", map[string]string{"customer": "c", "page": "/"})
		if err != nil {
			b.Fatal(err)
		}
		look := time.NewTicker(10 * time.Millisecond)
		for archived := false; !archived; <-look.C {
			seen, err := page.Trace(b.Context(), []string{sent.ID})
			if err != nil {
				b.Fatal(err)
			}
			for _, x := range seen[sent.ID] {
				archived = archived || x.Step == "archived"
			}
		}
		look.Stop()
		_ = l.Close() // ends Serve
		if err := <-served; err != nil {
			b.Fatal(err)
		}
		sb.Close()
	}
	b.ReportMetric(deployed.Seconds()/float64(b.N), "s/deployed")
}

// endpoints are the sandbox and, where KXOPS_BENCH_ENDPOINTS names some
// (name=url,…), emulators that nobody here wrote.
func endpoints(b *testing.B) map[string]aws.Config {
	sb, err := sandbox.New(sandbox.Options{Live: true, Brisk: true})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- sb.Serve(l) }()
	b.Cleanup(func() {
		_ = l.Close() // ends Serve
		if err := <-served; err != nil {
			b.Error(err)
		}
		sb.Close()
	})
	out := map[string]aws.Config{"sandbox": sandbox.ConfigFor("http://"+l.Addr().String(), sandbox.HomeRegion)}
	for _, e := range strings.Split(os.Getenv("KXOPS_BENCH_ENDPOINTS"), ",") {
		if name, url, ok := strings.Cut(e, "="); ok {
			out[name] = sandbox.ConfigFor(url, sandbox.HomeRegion)
		}
	}
	return out
}

// clients is how many requests are in flight.
const clients = 8

// inBatches runs a call until n items are through, with several clients.
// call says how many were accepted: a throttled record does not count.
func inBatches(b *testing.B, size int, call func(ctx context.Context, batch int) (int, error)) {
	batches := (b.N + size - 1) / size
	g, ctx := errgroup.WithContext(b.Context())
	g.SetLimit(clients)
	b.ResetTimer()
	var accepted atomic.Int64
	for i := range batches {
		g.Go(func() error {
			n, err := call(ctx, i)
			accepted.Add(int64(n))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(accepted.Load())/b.Elapsed().Seconds(), "items/s")
}

// BenchmarkPutRecords puts records of 200 bytes, 500 a request, over HTTP.
func BenchmarkPutRecords(b *testing.B) {
	for name, cfg := range endpoints(b) {
		b.Run(name, func(b *testing.B) {
			client := kinesis.NewFromConfig(cfg)
			stream := fmt.Sprintf("bench-%d", time.Now().UnixNano())
			if _, err := client.CreateStream(b.Context(), &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(50)}); err != nil {
				b.Fatal(err)
			}
			if err := kinesis.NewStreamExistsWaiter(client).Wait(b.Context(), &kinesis.DescribeStreamInput{StreamName: &stream}, time.Minute); err != nil {
				b.Fatal(err)
			}
			data := []byte(strings.Repeat("x", 200))
			inBatches(b, 500, func(ctx context.Context, batch int) (int, error) {
				in := &kinesis.PutRecordsInput{StreamName: &stream}
				for i := range 500 {
					in.Records = append(in.Records, kin.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String(fmt.Sprint(batch, i))})
				}
				out, err := client.PutRecords(ctx, in)
				if err != nil {
					return 0, err
				}
				return 500 - int(aws.ToInt32(out.FailedRecordCount)), nil
			})
		})
	}
}

// BenchmarkSendReceiveDelete takes messages through a queue, ten a request, over HTTP.
func BenchmarkSendReceiveDelete(b *testing.B) {
	for name, cfg := range endpoints(b) {
		b.Run(name, func(b *testing.B) {
			client := sqs.NewFromConfig(cfg)
			made, err := client.CreateQueue(b.Context(), &sqs.CreateQueueInput{QueueName: aws.String(fmt.Sprintf("bench-%d", time.Now().UnixNano()))})
			if err != nil {
				b.Fatal(err)
			}
			inBatches(b, 10, func(ctx context.Context, batch int) (int, error) {
				in := &sqs.SendMessageBatchInput{QueueUrl: made.QueueUrl}
				for i := range 10 {
					in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String("a body of some length, as they are")})
				}
				if _, err := client.SendMessageBatch(ctx, in); err != nil {
					return 0, err
				}
				got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10})
				if err != nil || len(got.Messages) == 0 {
					return 0, err
				}
				del := &sqs.DeleteMessageBatchInput{QueueUrl: made.QueueUrl}
				for i, m := range got.Messages {
					del.Entries = append(del.Entries, sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
				}
				_, err = client.DeleteMessageBatch(ctx, del)
				return len(got.Messages), err
			})
		})
	}
}
