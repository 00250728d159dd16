package sandbox

import (
	"fmt"
	"hash/fnv"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
)

func built(t testing.TB, scenario string) *Sandbox {
	t.Helper()
	sb, err := New(Options{Scenario: scenario, Seed: 7, Start: time.Date(2026, 11, 22, 12, 0, 30, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	return sb
}

// looker is a scenario seen through real clients.
type looker struct {
	*testing.T
	sb *Sandbox
	cw *cloudwatch.Client
	q  *sqs.Client
	l  *lambda.Client
}

func looking(t *testing.T, scenario string) *looker {
	t.Helper()
	sb := built(t, scenario)
	return &looker{t, sb, cloudwatch.NewFromConfig(sb.Config()), sqs.NewFromConfig(sb.Config()), lambda.NewFromConfig(sb.Config())}
}

// series returns the settled minutes of a metric between two ages, oldest first.
func (l *looker) series(namespace, metric, stat string, from, to time.Duration, dimension ...string) (at []time.Time, v []float64) {
	l.Helper()
	now := l.sb.Now().Truncate(time.Minute)
	var dims []cwtypes.Dimension
	for i := 0; i+1 < len(dimension); i += 2 {
		dims = append(dims, cwtypes.Dimension{Name: &dimension[i], Value: &dimension[i+1]})
	}
	out, err := l.cw.GetMetricData(l.Context(), &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(now.Add(-from)), EndTime: aws.Time(now.Add(-to)), ScanBy: cwtypes.ScanByTimestampAscending,
		MetricDataQueries: []cwtypes.MetricDataQuery{{Id: aws.String("m"), MetricStat: &cwtypes.MetricStat{
			Metric: &cwtypes.Metric{Namespace: &namespace, MetricName: &metric, Dimensions: dims}, Period: aws.Int32(60), Stat: &stat}}},
	})
	if err != nil {
		l.Fatal(err)
	}
	return out.MetricDataResults[0].Timestamps, out.MetricDataResults[0].Values
}

func sum(v []float64) (n float64) {
	for _, x := range v {
		n += x
	}
	return n
}

func (l *looker) url(queue string) *string {
	l.Helper()
	out, err := l.q.GetQueueUrl(l.Context(), &sqs.GetQueueUrlInput{QueueName: &queue})
	if err != nil {
		l.Fatal(err)
	}
	return out.QueueUrl
}

func (l *looker) depth(queue string) int {
	l.Helper()
	out, err := l.q.GetQueueAttributes(l.Context(), &sqs.GetQueueAttributesInput{QueueUrl: l.url(queue), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	if err != nil {
		l.Fatal(err)
	}
	n, err := strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"])
	if err != nil {
		l.Fatal(err)
	}
	return n
}

// messages receives what a queue holds, with all attributes.
func (l *looker) messages(queue string) (out []sqstypes.Message) {
	l.Helper()
	url := l.url(queue)
	for {
		got, err := l.q.ReceiveMessage(l.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, VisibilityTimeout: 300,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll}})
		if err != nil {
			l.Fatal(err)
		}
		if len(got.Messages) == 0 {
			return out
		}
		out = append(out, got.Messages...)
	}
}

func (l *looker) alarmStates() map[string]string {
	l.Helper()
	out, err := l.cw.DescribeAlarms(l.Context(), &cloudwatch.DescribeAlarmsInput{AlarmTypes: []cwtypes.AlarmType{cwtypes.AlarmTypeMetricAlarm, cwtypes.AlarmTypeCompositeAlarm}})
	if err != nil {
		l.Fatal(err)
	}
	states := map[string]string{}
	for _, a := range out.MetricAlarms {
		states[*a.AlarmName] = string(a.StateValue)
	}
	for _, a := range out.CompositeAlarms {
		states[*a.AlarmName] = string(a.StateValue)
	}
	return states
}

func TestCalmStaysCalm(t *testing.T) {
	l := looking(t, "calm")
	l.sb.Advance(6 * time.Hour)
	for _, name := range []string{"orders-dlq", "stock-dlq.fifo", "thumbnails-dlq", "clicks-index-dlq", "invoices-dlq", "payments-failures"} {
		if n := l.depth(name); n != 0 {
			t.Errorf("%s holds %d messages", name, n)
		}
	}
	for _, f := range []string{"orders-worker", "stock-keeper", "clicks-indexer", "thumbnails", "payments-ledger", "fraud-score"} {
		_, errors := l.series("AWS/Lambda", "Errors", "Sum", 9*time.Hour, 0, "FunctionName", f)
		_, calls := l.series("AWS/Lambda", "Invocations", "Sum", 9*time.Hour, 0, "FunctionName", f)
		if sum(errors) != 0 || sum(calls) < 100 {
			t.Errorf("%s: %v errors in %v invocations", f, sum(errors), sum(calls))
		}
	}
	for _, s := range []string{"clicks", "payments"} {
		if _, age := l.series("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", 3*time.Hour, 0, "StreamName", s); len(age) < 175 || slices.Max(age) > 60_000 {
			t.Errorf("%s: iterator age %v ms in %d minutes", s, slices.Max(age), len(age))
		}
	}
	for _, d := range []string{"clicks-to-s3", "audit-to-s3"} {
		_, fresh := l.series("AWS/Firehose", "DeliveryToS3.DataFreshness", "Maximum", 3*time.Hour, 0, "DeliveryStreamName", d)
		if len(fresh) < 120 || slices.Max(fresh) > 420 {
			t.Errorf("%s: freshness in %d minutes: %v", d, len(fresh), fresh)
		}
	}
	for name, state := range l.alarmStates() {
		if state == "ALARM" {
			t.Errorf("alarm %q is in ALARM", name)
		}
	}
}

// The incident is built once: it is looked at from several sides, and only the
// last look changes it.
func TestIncident(t *testing.T) {
	l := looking(t, "incident")
	for _, side := range []struct {
		name string
		look func(*testing.T, *looker)
	}{
		{"stream", incidentStream}, {"delivery", incidentDelivery}, {"sleeping queue", incidentSleepingQueue}, {"dead letters", incidentDeadLetters},
	} {
		t.Run(side.name, func(t *testing.T) {
			mine := *l
			mine.T = t
			side.look(t, &mine)
		})
	}
}

func incidentStream(t *testing.T, l *looker) {
	at, age := l.series("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", 3*time.Hour, 3*time.Minute, "StreamName", "payments")
	if len(age) < 175 {
		t.Fatalf("iterator age in %d of 177 minutes", len(age))
	}
	slope := (age[len(age)-1] - age[0]) / at[len(at)-1].Sub(at[0]).Seconds()
	if slope < 985 || slope > 1015 { // a stopped reader: 1000 ms of age per second (facts alarms.md 1.1)
		t.Errorf("iterator age rises by %.0f ms a second", slope)
	}
	left := 24*time.Hour - time.Duration(age[len(age)-1])*time.Millisecond
	if left < 2*time.Hour || left > 3*time.Hour {
		t.Errorf("the first loss is in %s", left)
	}
	_, own := l.series("AWS/Lambda", "IteratorAge", "Maximum", 30*time.Minute, 3*time.Minute, "FunctionName", "payments-ledger")
	if len(own) == 0 || slices.Max(own) < 21*3600*1000 {
		t.Errorf("payments-ledger's iterator age: %v", own)
	}
	_, other := l.series("AWS/Lambda", "IteratorAge", "Maximum", 30*time.Minute, 3*time.Minute, "FunctionName", "fraud-score")
	if len(other) == 0 || slices.Max(other) > 60_000 {
		t.Errorf("fraud-score's iterator age: %v", other)
	}
	_, clicks := l.series("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", 3*time.Hour, 3*time.Minute, "StreamName", "clicks")
	if len(clicks) < 175 || slices.Max(clicks) > 60_000 {
		t.Errorf("the healthy stream is %v ms behind, %d minutes", slices.Max(clicks), len(clicks))
	}
	out, err := l.l.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String("payments-ledger")})
	if err != nil {
		t.Fatal(err)
	}
	if r := aws.ToString(out.EventSourceMappings[0].LastProcessingResult); r != resultFailed {
		t.Errorf("last result %q", r)
	}
	want := map[string]string{"payments iterator age": "ALARM", "clicks freshness": "OK", "refunds waiting": "INSUFFICIENT_DATA", "shop loses data": "ALARM"}
	if d := cmp.Diff(want, l.alarmStates()); d != "" {
		t.Error(d)
	}
}

func incidentDelivery(t *testing.T, l *looker) {
	of := func(metric, stat string, from, to time.Duration) []float64 {
		_, v := l.series("AWS/Firehose", metric, stat, from, to, "DeliveryStreamName", "audit-to-s3")
		return v
	}
	if in, out := sum(of("IncomingRecords", "Sum", 30*time.Minute, 0)), sum(of("DeliveryToS3.Records", "Sum", 30*time.Minute, 0)); in < 600 || out != 0 {
		t.Errorf("last half hour: %v records in, %v out", in, out)
	}
	if fresh := of("DeliveryToS3.DataFreshness", "Maximum", 22*time.Minute, 0); len(fresh) != 0 {
		t.Errorf("a blocked delivery publishes freshness: %v", fresh)
	}
	if rising := of("DeliveryToS3.DataFreshness", "Maximum", 30*time.Minute, 25*time.Minute); len(rising) < 4 || slices.Max(rising) < 600 {
		t.Errorf("freshness before it vanished: %v", rising)
	}
	if before := sum(of("DeliveryToS3.Records", "Sum", 3*time.Hour, time.Hour)); before < 3000 {
		t.Errorf("before the role was denied: %v records out", before)
	}
	_, ok := l.series("AWS/Firehose", "DeliveryToS3.Success", "Average", 3*time.Hour, 0, "DeliveryStreamName", "clicks-to-s3")
	if len(ok) < 60 || slices.Min(ok) != 1 {
		t.Errorf("the healthy delivery: %v", ok)
	}
}

func incidentDeadLetters(t *testing.T, l *looker) {
	before := map[string]int{}
	for name, least := range map[string]int{"orders-dlq": 20, "thumbnails-dlq": 15, "invoices-dlq": 14, "payments-failures": 6} {
		if before[name] = l.depth(name); before[name] < least {
			t.Errorf("%s holds %d messages, want at least %d", name, before[name], least)
		}
	}
	causes := map[string]int{}
	for _, m := range l.messages("orders-dlq") {
		body := *m.Body
		switch {
		case strings.Contains(body, `"total":"`):
			causes["text total"]++
		case strings.Contains(body, "Notification") && strings.Contains(body, ":price-changes"):
			causes["SNS envelope"]++
		case strings.Contains(body, `"s3:TestEvent"`):
			causes["S3 test event"]++
		case strings.Contains(body, `"eventSource":"aws:s3"`):
			causes["S3 event"]++
		case !strings.Contains(body, `"zip"`):
			causes["no zip"]++
		default:
			t.Errorf("a dead letter without a reason: %s", body)
		}
		if m.Attributes["DeadLetterQueueSourceArn"] != arnOf("orders") {
			t.Errorf("source %q", m.Attributes["DeadLetterQueueSourceArn"])
		}
	}
	if len(causes) != 5 {
		t.Errorf("causes %v", causes)
	}
	reasons := map[string]bool{}
	for _, m := range l.messages("thumbnails-dlq") {
		message := aws.ToString(m.MessageAttributes["ErrorMessage"].StringValue)
		_, reason, _ := strings.Cut(message, ": ")
		reasons[reason] = true
		if !strings.Contains(*m.Body, `"aws:s3"`) || m.MessageAttributes["RequestID"].StringValue == nil {
			t.Errorf("dead letter of an asynchronous call: %s", *m.Body)
		}
	}
	if len(reasons) != 2 {
		t.Errorf("reasons %v", reasons)
	}
	for _, m := range l.messages("payments-failures") {
		if !strings.Contains(*m.Body, `"KinesisBatchInfo":{"shardId":"shardId-000000000000"`) {
			t.Errorf("pointer %s", *m.Body)
		}
	}
	for _, m := range l.messages("invoices-dlq") {
		ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		// A standard dead-letter queue expires by the first send (facts dlq.md 1).
		if left := 14*24*time.Hour - l.sb.Now().Sub(time.UnixMilli(ms)); left < 8*time.Hour || left > 26*time.Hour {
			t.Errorf("an invoice expires in %s", left)
		}
	}
	_, old := l.series("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", time.Hour, 0, "QueueName", "invoices-dlq")
	if len(old) == 0 || old[0] < 9*86400 {
		t.Errorf("age of the oldest invoice: %v", old)
	}
	l.sb.Advance(2 * time.Hour)
	for _, name := range []string{"orders-dlq", "thumbnails-dlq"} {
		if n := l.depth(name); n <= before[name] {
			t.Errorf("%s went from %d to %d in two more hours", name, before[name], n)
		}
	}
}

func incidentSleepingQueue(t *testing.T, l *looker) {
	out, err := l.cw.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Namespace: aws.String("AWS/SQS"), RecentlyActive: cwtypes.RecentlyActivePt3h})
	if err != nil {
		t.Fatal(err)
	}
	awake := map[string]bool{}
	for _, m := range out.Metrics {
		for _, d := range m.Dimensions {
			awake[*d.Value] = true
		}
	}
	if awake["refunds"] || !awake["orders"] || !awake["orders-dlq"] || !awake["stock-dlq.fifo"] {
		t.Errorf("recently active queues: %v", awake)
	}
	for _, metric := range []string{"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent"} {
		if at, _ := l.series("AWS/SQS", metric, "Maximum", 3*time.Hour, 0, "QueueName", "refunds"); len(at) != 0 {
			t.Errorf("%s of a sleeping queue has %d datapoints", metric, len(at))
		}
	}
	if at, _ := l.series("AWS/SQS", "NumberOfMessagesSent", "Sum", 20*time.Hour, 13*time.Hour, "QueueName", "refunds"); len(at) == 0 {
		t.Error("refunds was never awake")
	}
}

func TestScaleHasItsSize(t *testing.T) {
	l := looking(t, "scale")
	streams, queues, deliveries, functions := 0, 0, 0, 0
	k := kinesis.NewListStreamsPaginator(kinesis.NewFromConfig(l.sb.Config()), &kinesis.ListStreamsInput{})
	for k.HasMorePages() {
		page, err := k.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		streams += len(page.StreamNames)
	}
	q := sqs.NewListQueuesPaginator(l.q, &sqs.ListQueuesInput{MaxResults: aws.Int32(100)})
	for q.HasMorePages() {
		page, err := q.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		queues += len(page.QueueUrls)
	}
	f := lambda.NewListFunctionsPaginator(l.l, &lambda.ListFunctionsInput{})
	for f.HasMorePages() {
		page, err := f.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		functions += len(page.Functions)
	}
	deliveries = len(firehoseIn(l.sb.Region("")).streams)
	if streams != 100 || queues != 500 || deliveries != 50 || functions != 200 {
		t.Errorf("%d streams, %d queues, %d deliveries, %d functions", streams, queues, deliveries, functions)
	}
	for i, want := range map[int][2]float64{17: {18.9, 19.2}, 42: {1.4, 1.6}, 3: {0, 0.02}} { // hours
		_, age := l.series("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", 10*time.Minute, 3*time.Minute, "StreamName", scaleName(i))
		if len(age) == 0 || age[len(age)-1] < want[0]*3600e3 || age[len(age)-1] > want[1]*3600e3 {
			t.Errorf("%s: iterator age %v", scaleName(i), age)
		}
	}
	name := scaleName(11) + "-to-s3"
	_, in := l.series("AWS/Firehose", "IncomingRecords", "Sum", 30*time.Minute, 0, "DeliveryStreamName", name)
	_, out := l.series("AWS/Firehose", "DeliveryToS3.Records", "Sum", 30*time.Minute, 0, "DeliveryStreamName", name)
	if sum(in) == 0 || sum(out) != 0 {
		t.Errorf("%s: %v in, %v out", name, sum(in), sum(out))
	}
	if n := l.depth(scaleName(0) + "-dlq"); n < 10 {
		t.Errorf("%s-dlq holds %d", scaleName(0), n)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 150<<20 {
		t.Errorf("%d MiB of heap", m.HeapAlloc>>20)
	}
}

// One seed, one story: everything that a demo or a test shows can be repeated.
func TestScenariosAreRepeatable(t *testing.T) {
	digest := func() uint64 {
		sb, err := New(Options{Scenario: "incident", Seed: 3, Start: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		defer sb.Close()
		h := fnv.New64a()
		r := sb.Region("")
		for _, s := range r.metrics.all {
			fmt.Fprint(h, s.namespace, s.name, s.dims, s.first, s.points)
		}
		queues := r.queues.(*sqsService).queues
		for _, name := range sortedNames(queues) {
			for _, m := range queues[name].inOrder() {
				fmt.Fprint(h, m.id, m.body, m.sent)
			}
		}
		return h.Sum64()
	}
	if a, b := digest(), digest(); a != b {
		t.Errorf("two runs with one seed differ: %x and %x", a, b)
	}
}

func BenchmarkScenarios(b *testing.B) {
	for _, s := range Scenarios() {
		b.Run(s.Name, func(b *testing.B) {
			for range b.N {
				sb, err := New(Options{Scenario: s.Name, Seed: 1})
				if err != nil {
					b.Fatal(err)
				}
				sb.Close()
			}
		})
	}
}
