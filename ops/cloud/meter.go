package cloud

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

const (
	paceWindow = 10 * time.Minute // how far back the projection looks
	paceSlot   = 10 * time.Second // its resolution
	// paceFloor is the shortest time the projection divides by: one poll's pace.
	// Without it the first call of a session would be projected to a fortune.
	paceFloor = time.Minute
	// statisticsPerMetric: up to five statistics of one metric in one
	// GetMetricData call bill as one metric, then again for every five more.
	statisticsPerMetric = 5
)

// Meter counts the calls that were sent and what they cost at list price
// (ops.CallPrice), by AWS's rules as far as a client can see them:
//
//   - every attempt that was sent counts as a call, retries included;
//   - an answer with a 4xx or 5xx status (throttled, denied, failed) is not billed;
//   - an attempt without an answer (reset, our deadline) is billed, because the
//     service may have done the work: the meter errs towards more money;
//   - SQS bills a call once for every 64 KiB of messages that it carries, whichever
//     way they go;
//   - Athena bills what a query scanned, not the calls: it is booked once, when an answer
//     says that the query has ended and has not failed;
//   - GetMetricData bills the metrics asked for, not the call, and not its
//     expressions. A SEARCH or Metrics Insights expression also bills what it
//     finds, which a client cannot know: kxops does not use them.
//
// Against an emulator it shows what the same calls would have cost on AWS.
type Meter struct {
	now func() time.Time

	mu      sync.Mutex
	start   time.Time
	usd     float64
	calls   int
	metrics int
	lines   map[operationKey]Line
	queries map[string]bool // of Athena, that are booked
	slots   [paceWindow / paceSlot]paceEntry
}

type paceEntry struct {
	slot int64
	usd  float64
}

// Line is one operation's share of the bill.
type Line struct {
	Service   string
	Operation string
	Calls     int
	Metrics   int
	USD       float64
}

// NewMeter returns a meter that starts now, for Options.Meter.
func NewMeter() *Meter { return newMeter(time.Now) }

func newMeter(now func() time.Time) *Meter {
	return &Meter{now: now, start: now(), lines: map[operationKey]Line{}, queries: map[string]bool{}}
}

// count books one attempt, with the answer it got, and returns its price in USD.
func (m *Meter) count(c *Call, answer any, err error) float64 {
	metrics, usd := 0, 0.0
	if status(err) < 400 {
		metrics = c.metrics
		usd = ops.CallPrice(c.Service, c.Operation, metrics) * float64(ops.QueueRequests(c.bytes+messageBytes(answer)))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	usd += m.scanned(answer)
	m.calls++
	m.metrics += metrics
	m.usd += usd

	key := operationKey{c.Service, c.Operation}
	line := m.lines[key]
	line.Service, line.Operation = c.Service, c.Operation
	line.Calls++
	line.Metrics += metrics
	line.USD += usd
	m.lines[key] = line

	slot := m.now().UnixNano() / int64(paceSlot)
	e := &m.slots[slot%int64(len(m.slots))]
	if e.slot != slot {
		*e = paceEntry{slot: slot}
	}
	e.usd += usd
	return usd
}

// scanned is what a query of Athena costs, when an answer is the first to tell of its
// end. Call it under the lock.
func (m *Meter) scanned(answer any) float64 {
	out, ok := answer.(*athena.GetQueryExecutionOutput)
	if !ok || out == nil || out.QueryExecution == nil || out.QueryExecution.Status == nil || out.QueryExecution.Statistics == nil {
		return 0
	}
	x := out.QueryExecution
	over := x.Status.State == athenatypes.QueryExecutionStateSucceeded || x.Status.State == athenatypes.QueryExecutionStateCancelled
	id := aws.ToString(x.QueryExecutionId)
	if !over || x.StatementType != athenatypes.StatementTypeDml || m.queries[id] {
		return 0
	}
	m.queries[id] = true
	return ops.QueryPrice(aws.ToInt64(x.Statistics.DataScannedInBytes))
}

// Spend returns the totals since Open. PerHour is what was spent in the last ten
// minutes (or since Open, but at least one minute), projected to an hour.
func (m *Meter) Spend() ops.Spend {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	oldest := now.Add(-paceWindow).UnixNano() / int64(paceSlot)
	recent := 0.0
	for _, e := range m.slots {
		if e.slot > oldest {
			recent += e.usd
		}
	}
	since := now.Sub(m.start)
	return ops.Spend{
		USD:     m.usd,
		PerHour: recent / min(max(since, paceFloor), paceWindow).Hours(),
		Calls:   m.calls,
		Metrics: m.metrics,
		For:     since,
	}
}

// Lines returns the bill by operation, dearest first, then by name.
func (m *Meter) Lines() []Line {
	m.mu.Lock()
	lines := make([]Line, 0, len(m.lines))
	for _, l := range m.lines {
		lines = append(lines, l)
	}
	m.mu.Unlock()
	slices.SortFunc(lines, func(a, b Line) int {
		switch {
		case a.USD > b.USD:
			return -1
		case a.USD < b.USD:
			return 1
		}
		return strings.Compare(a.Service+a.Operation, b.Service+b.Operation)
	})
	return lines
}

// billedMetrics returns how many metrics a GetMetricData input bills, 0 for any
// other input. The same metric is the same account, namespace, name and
// dimensions; the queries for its statistics bill in groups of five. The same
// statistic asked twice counts twice: AWS does not say, so the meter errs
// towards more.
func billedMetrics(input any) int {
	in, ok := input.(*cloudwatch.GetMetricDataInput)
	if !ok || in == nil {
		return 0
	}
	statistics := map[string]int{}
	for _, q := range in.MetricDataQueries {
		if q.MetricStat == nil || q.MetricStat.Metric == nil {
			continue
		}
		statistics[metricKey(aws.ToString(q.AccountId), *q.MetricStat.Metric)]++
	}
	billed := 0
	for _, n := range statistics {
		billed += (n + statisticsPerMetric - 1) / statisticsPerMetric
	}
	return billed
}

// messageBytes is how many bytes of messages an SQS input or output carries, 0 for
// anything else: only SQS bills by size.
func messageBytes(carrier any) int {
	n := 0
	switch c := carrier.(type) {
	case *sqs.SendMessageBatchInput:
		for _, e := range c.Entries {
			n += len(aws.ToString(e.MessageBody)) + attributeBytes(e.MessageAttributes)
		}
	case *sqs.ReceiveMessageOutput:
		for _, m := range c.Messages {
			n += len(aws.ToString(m.Body)) + attributeBytes(m.MessageAttributes)
		}
	}
	return n
}

func attributeBytes(attributes map[string]sqstypes.MessageAttributeValue) int {
	n := 0
	for name, a := range attributes {
		n += len(name) + len(aws.ToString(a.DataType)) + len(aws.ToString(a.StringValue)) + len(a.BinaryValue)
	}
	return n
}

func metricKey(account string, m types.Metric) string {
	parts := make([]string, 0, len(m.Dimensions))
	for _, d := range m.Dimensions {
		parts = append(parts, aws.ToString(d.Name)+"\x00"+aws.ToString(d.Value))
	}
	slices.Sort(parts)
	return strings.Join(append([]string{account, aws.ToString(m.Namespace), aws.ToString(m.MetricName)}, parts...), "\x01")
}
