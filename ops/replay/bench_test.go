package replay

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/klauspost/compress/gzip"

	"kxops/ops"
	"kxops/ops/journal"
)

// order is an event of about n bytes, not too easy to compress.
func order(i, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"customer_id":"%d","order":"o-%08x","at":"2026-11-17T08:%02d:%02dZ","items":[`, 4000+i%997, i*2654435761, i/60%60, i%60)
	for k := 0; b.Len() < n-40; k++ {
		if k > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"%x","count":%d}`, (i+k)*40503%65521, k%7)
	}
	b.WriteString("]}")
	return b.String()
}

// BenchmarkScan reads an object of JSON lines, on one core: the bytes a second are
// unpacked ones. "gunzip" is what unpacking alone takes.
func BenchmarkScan(b *testing.B) {
	for _, n := range []int{100, 1024} {
		var text bytes.Buffer
		for i := 0; text.Len() < 32<<20; i++ {
			text.WriteString(order(i, n))
			text.WriteByte('\n')
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(text.Bytes()); err != nil {
			b.Fatal(err)
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
		for how, stored := range map[string][]byte{"plain": text.Bytes(), "gzip": packed.Bytes()} {
			b.Run(fmt.Sprintf("%s/%d", how, n), func(b *testing.B) {
				b.SetBytes(int64(text.Len()))
				for b.Loop() {
					if err := readObject(bytes.NewReader(stored), "bucket", "key", "", func(Page) error { return nil }); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("gunzip/%d", n), func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				r, err := gzip.NewReader(bytes.NewReader(packed.Bytes()))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkChoose judges records of 1 KiB of which one in a thousand is meant.
func BenchmarkChoose(b *testing.B) {
	var records []Record
	for i := range 10_000 {
		records = append(records, Record{ID: fmt.Sprint(i), Data: []byte(order(i, 1024))})
	}
	for name, filter := range map[string]string{"needle": `.customer_id == "4712"`, "jq": `.customer_id | test("^4712$")`} {
		b.Run(name, func(b *testing.B) {
			c, err := newChooser(ops.ReplaySelect{Filter: filter}, nil)
			if err != nil {
				b.Fatal(err)
			}
			meant := 0
			for i := 0; b.Loop(); i++ {
				ok, err := c.takes(records[i%len(records)])
				if err != nil {
					b.Fatal(err)
				}
				if ok {
					meant++
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// flood is a source of so many records of 1 KiB in eight parts.
type flood struct{ records int }

func (f flood) find(_ context.Context, plan *ops.ReplayPlan) error {
	for p := range 8 {
		plan.Parts = append(plan.Parts, ops.ReplayPart{ID: fmt.Sprint(p)})
	}
	return nil
}

func (f flood) read(ctx context.Context, _ ops.ReplayPlan, part int, _ string, give func(Page) error) error {
	body := []byte(order(part, 1024))
	for at := 0; at < f.records/8; at += pageRecords {
		pg := Page{Place: fmt.Sprint(at), Records: make([]Record, min(pageRecords, f.records/8-at))}
		for i := range pg.Records {
			pg.Records[i] = Record{ID: fmt.Sprintf("%d-%d", part, at+i), Key: fmt.Sprintf("k%d-%d", part, i), Data: bytes.Clone(body)}
		}
		if err := give(pg); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// counting is a target that only counts.
type counting struct{ n atomic.Int64 }

func (c *counting) find(context.Context, *ops.ReplayPlan) error { return nil }
func (c *counting) limits() Limits                              { return Limits{Records: 500, Bytes: 5 << 20} }
func (c *counting) size(p Parcel) int                           { return len(p.Body) }
func (c *counting) close() error                                { return nil }
func (c *counting) send(_ context.Context, parcels []Parcel) []Answer {
	c.n.Add(int64(len(parcels)))
	return make([]Answer, len(parcels))
}

// BenchmarkEngine moves a million records of 1 KiB into a target that only counts, with
// hashes, receipts and checkpoints; "rehearsal" lets receipts wait, as to nowhere.
func BenchmarkEngine(b *testing.B) {
	const n = 1_000_000
	for _, order := range []string{OrderNone, OrderKey} {
		b.Run("order-"+order, func(b *testing.B) {
			for b.Loop() {
				to := &counting{}
				on(b, flood{n}, to)
				d := testDesk(b)
				plan := planOf(b, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y", Order: order})
				o := started(b, d, plan)
				if r := o.Wait(); r.Counts.Sent != n || to.n.Load() != n {
					b.Fatalf("%+v %v", r, r.Problem)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys)/1e6, "MB-from-OS")
		})
	}
}

// BenchmarkQueue sends records of 1 KiB to a queue that answers after five milliseconds:
// a replay, a loop over the bare SDK with as many requests in the air, and the script that
// people write, one request after the other.
func BenchmarkQueue(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(queueStub))
	defer server.Close()
	cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""), HTTPClient: server.Client()}
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	const n = 20_000
	body := order(1, 1024)
	loop := func(b *testing.B, lanes int) {
		c := sqs.NewFromConfig(cfg)
		var left atomic.Int64
		left.Store(n / 10)
		done := make(chan error, lanes)
		for range lanes {
			go func() {
				for left.Add(-1) >= 0 {
					in := &sqs.SendMessageBatchInput{QueueUrl: aws.String(server.URL + "/q")}
					for i := range 10 {
						in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: &body})
					}
					if _, err := c.SendMessageBatch(context.Background(), in, func(o *sqs.Options) { o.DisableMessageChecksumValidation = true }); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range lanes {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	}
	report := func(b *testing.B) { b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s") }
	b.Run("script", func(b *testing.B) {
		for b.Loop() {
			loop(b, 1)
		}
		report(b)
	})
	b.Run("bare-16", func(b *testing.B) {
		for b.Loop() {
			loop(b, 16)
		}
		report(b)
	})
	b.Run("replay-16", func(b *testing.B) {
		for b.Loop() {
			j, err := journal.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			d := New(Options{Config: cfg, Identity: ops.Identity{Account: "123456789012", Region: "eu-west-1"}, Journal: j, Now: time.Now})
			on(b, flood{n}, knownQueue{&queueTarget{desk: d, url: server.URL + "/q", name: "q"}})
			o := started(b, d, planOf(b, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y", Order: OrderNone, Map: ops.ReplayMap{Mark: MarkNone}}))
			if r := o.Wait(); r.Counts.Sent != n {
				b.Fatalf("%+v %v", r, r.Problem)
			}
		}
		report(b)
	})
}

// knownQueue is a queue that needs not be asked who it is.
type knownQueue struct{ *queueTarget }

func (knownQueue) find(context.Context, *ops.ReplayPlan) error { return nil }

// queueStub answers SendMessageBatch after five milliseconds.
func queueStub(w http.ResponseWriter, req *http.Request) {
	var in struct {
		Entries []struct{ Id, MessageBody string }
	}
	if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	type entry struct{ Id, MessageId, MD5OfMessageBody string }
	var out struct{ Successful []entry }
	for _, e := range in.Entries {
		sum := md5.Sum([]byte(e.MessageBody))
		out.Successful = append(out.Successful, entry{e.Id, "m-" + e.Id, hex.EncodeToString(sum[:])})
	}
	<-time.After(5 * time.Millisecond) // the network
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		return // the client has gone
	}
}
