package sandbox

import (
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// Bill is what the calls that the sandbox answered would have cost, at the list
// prices of ops.PricesOf. Calls that failed are not billed.
type Bill struct {
	USD     float64
	Calls   map[string]int // "sqs.ReceiveMessage" -> successful calls
	Metrics int            // metrics billed by GetMetricData
}

type bill struct {
	mu      sync.Mutex
	calls   map[string]int
	metrics int
	chunks  int     // 64 KiB chunks of messages beyond the first of each SQS call
	reads   float64 // request units of tables
	writes  float64
	queries float64 // USD of what Athena scanned
}

// add counts one answered call.
func (b *bill) add(service, operation string, in, out any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[service+"."+operation]++
	if g, ok := in.(*cloudwatch.GetMetricDataInput); ok {
		b.metrics += billedMetrics(g.MetricDataQueries)
	}
	b.chunks += ops.QueueRequests(carried(in)+carried(out)) - 1
}

// capacity counts the request units of one call to a table.
func (b *bill) capacity(reads, writes float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads, b.writes = b.reads+reads, b.writes+writes
}

// scanned bills what a query of Athena read; its calls themselves are free.
func (b *bill) scanned(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queries += ops.QueryPrice(bytes)
}

// Bill returns the bill so far.
func (sb *Sandbox) Bill() Bill {
	b := &sb.bill
	b.mu.Lock()
	defer b.mu.Unlock()
	out := Bill{Calls: make(map[string]int, len(b.calls)), Metrics: b.metrics}
	for key, n := range b.calls {
		service, operation, _ := strings.Cut(key, ".")
		out.Calls[key] = n
		if key == "cloudwatch.GetMetricData" {
			out.USD += ops.CallPrice(service, operation, b.metrics)
			continue
		}
		out.USD += float64(n) * ops.CallPrice(service, operation, 0)
	}
	out.USD += float64(b.chunks) * ops.PricePerQueueCall
	out.USD += b.reads*ops.PricePerReadUnit + b.writes*ops.PricePerWriteUnit + b.queries
	return out
}

// carried is how many bytes of messages a call of SQS carries.
func carried(x any) int {
	n := 0
	switch x := x.(type) {
	case *sendInput:
		n += len(deref(x.MessageBody)) + attributeSizes(x.MessageAttributes)
	case *sendBatchInput:
		for _, e := range x.Entries {
			n += len(deref(e.MessageBody)) + attributeSizes(e.MessageAttributes)
		}
	case *sqs.ReceiveMessageOutput:
		for _, m := range x.Messages {
			n += len(deref(m.Body)) + attributeSizes(m.MessageAttributes)
		}
	}
	return n
}

func attributeSizes(attributes map[string]sqstypes.MessageAttributeValue) int {
	n := 0
	for name, a := range attributes {
		n += len(name) + len(deref(a.DataType)) + len(deref(a.StringValue)) + len(a.BinaryValue)
	}
	return n
}

// billedMetrics counts as AWS does: distinct metrics, up to five statistics of
// one metric count once, then again for every five; expressions are free.
func billedMetrics(queries []cwtypes.MetricDataQuery) int {
	statistics := map[string]int{}
	for _, q := range queries {
		if q.MetricStat == nil || q.MetricStat.Metric == nil {
			continue
		}
		m := q.MetricStat.Metric
		d := make([]string, 0, 2*len(m.Dimensions))
		for _, x := range m.Dimensions {
			d = append(d, deref(x.Name), deref(x.Value))
		}
		statistics[seriesKey(deref(m.Namespace), deref(m.MetricName), sortedDims(d))]++
	}
	n := 0
	for _, s := range statistics {
		n += (s + 4) / 5
	}
	return n
}

// deref returns the value behind p, the zero value for nil.
func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
