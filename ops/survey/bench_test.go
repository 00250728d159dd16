package survey

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// latency is what the benchmarks put before every answer.
const latency = 20 * time.Millisecond

// scaled is the account of the scale scenario.
func scaled(b testing.TB) place {
	b.Helper()
	return at(b, "scale", Options{})
}

// door opens the place anew, with or without the documented quotas.
func (p place) door(b testing.TB, quotas bool) place {
	b.Helper()
	cfg := p.Config()
	c, err := cloud.Open(context.Background(), cloud.Options{Config: &cfg, NoQuotas: !quotas})
	if err != nil {
		b.Fatal(err)
	}
	return place{p.Sandbox, c, New(c, Options{NoCache: true, Now: p.Now})}
}

func whole(b testing.TB, sn ops.Snapshot) {
	b.Helper()
	for _, x := range sn.Sections() {
		if x.Partial || x.Problem != nil {
			b.Fatalf("%s: %d of %d, partial %v, %v", x.Name, x.Count, x.Known, x.Partial, x.Problem)
		}
	}
	if sn.Streams.Known < 100 || sn.Queues.Known < 500 || sn.Deliveries.Known < 50 || sn.Functions.Known < 200 {
		b.Fatalf("only %d streams, %d queues, %d deliveries, %d functions", sn.Streams.Known, sn.Queues.Known, sn.Deliveries.Known, sn.Functions.Known)
	}
}

// BenchmarkSurveyScaleCold is the first look at 100 streams, 500 queues, 50
// deliveries and 200 functions, 20 ms away. It reports when the first rows were
// shown and when the first of them had a number.
func BenchmarkSurveyScaleCold(b *testing.B) {
	p := scaled(b)
	for _, c := range []struct {
		name   string
		quotas bool
	}{{"quotas-off", false}, {"quotas-on", true}} {
		b.Run(c.name, func(b *testing.B) {
			var rows, numbers time.Duration
			metrics := 0
			for b.Loop() {
				p.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Latency: latency})
				d := p.door(b, c.quotas)
				before := p.Bill().Metrics
				start := time.Now()
				firstRows, firstNumbers := time.Duration(0), time.Duration(0)
				sn := d.survey.Collect(b.Context(), Ask{}, func(sn ops.Snapshot) {
					if firstRows == 0 && len(sn.Streams.Items)+len(sn.Queues.Items) > 0 {
						firstRows = time.Since(start)
					}
					if firstNumbers == 0 && !sn.MetricsAt.IsZero() {
						firstNumbers = time.Since(start)
					}
				})
				whole(b, sn)
				rows += firstRows
				numbers += firstNumbers
				metrics += p.Bill().Metrics - before
				p.SetFaults()
			}
			b.ReportMetric(rows.Seconds()/float64(b.N), "first-rows-s")
			b.ReportMetric(numbers.Seconds()/float64(b.N), "first-numbers-s")
			b.ReportMetric(float64(metrics)/float64(b.N), "metrics/look")
		})
	}
}

// BenchmarkSurveyScalePoll is a look a minute after another, 20 ms away. It
// reports what an hour at this pace costs.
func BenchmarkSurveyScalePoll(b *testing.B) {
	p := scaled(b).door(b, true)
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	whole(b, p.survey.Collect(ctx, Ask{}, nil))
	p.Advance(time.Minute)
	whole(b, p.survey.Collect(ctx, Ask{}, nil))
	usd, metrics := p.Bill().USD, p.Bill().Metrics
	slowest, all := time.Duration(0), time.Duration(0)
	for b.Loop() {
		p.SetFaults()
		p.Advance(time.Minute)
		p.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Latency: latency})
		start := time.Now()
		p.survey.Collect(b.Context(), Ask{}, nil)
		took := time.Since(start)
		slowest, all = max(slowest, took), all+took
	}
	p.SetFaults()
	n := float64(b.N)
	b.ReportMetric(slowest.Seconds(), "slowest-s")
	b.ReportMetric(all.Seconds()/n, "poll-s") // without the minute that the sandbox plays before it
	b.ReportMetric((p.Bill().USD-usd)/n*60, "usd/h")
	b.ReportMetric(float64(p.Bill().Metrics-metrics)/n, "metrics/look")
	b.ReportMetric(p.survey.Snapshot().Spend.PerHour, "planned-usd/h")
}

// BenchmarkSnapshotTenThousandQueues is what building one value to show costs.
func BenchmarkSnapshotTenThousandQueues(b *testing.B) {
	p := newPicture()
	for i := range 10000 {
		q := queue{Queue: ops.Queue{ARN: queueARN(fmt.Sprintf("q%05d", i)), Name: fmt.Sprintf("q%05d", i), URL: fmt.Sprintf("https://q/%d", i), RedriveTo: queueARN(fmt.Sprintf("q%05d", i%100))}}
		p.Queues.Entries[q.URL] = &entry[queue]{Item: q, Described: noon}
		p.depth(q, noon)
	}
	for b.Loop() {
		if sn := p.Snapshot(); len(sn.Queues.Items) != 10000 {
			b.Fatal(len(sn.Queues.Items))
		}
	}
}
