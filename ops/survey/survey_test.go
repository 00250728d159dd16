package survey

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/goleak"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

var noon = time.Date(2026, 11, 22, 12, 0, 45, 0, time.UTC)

// place is a sandbox and a survey of it that shares its clock.
type place struct {
	*sandbox.Sandbox
	cloud  *cloud.Cloud
	survey *Survey
}

func at(t testing.TB, scenario string, o Options) place {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Start: noon, Scenario: scenario})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	return place{sb, nil, nil}.open(t, o)
}

// open makes a new survey of the same place: the program started again.
func (p place) open(t testing.TB, o Options) place {
	t.Helper()
	cfg := p.Config()
	c, err := cloud.Open(context.Background(), cloud.Options{Config: &cfg, NoQuotas: true})
	if err != nil {
		t.Fatal(err)
	}
	if o.CacheDir == "" {
		o.NoCache = true
	}
	o.Now = p.Now
	return place{p.Sandbox, c, New(c, o)}
}

func (p place) look(t testing.TB) ops.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return p.survey.Collect(ctx, Ask{}, nil)
}

func (p place) stream(t testing.TB, name string) {
	t.Helper()
	k := kinesis.NewFromConfig(p.Config())
	if _, err := k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}
}

func (p place) queue(t testing.TB, name string, attributes map[string]string) (url string) {
	t.Helper()
	out, err := sqs.NewFromConfig(p.Config()).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.QueueUrl)
}

func queueARN(name string) ops.ARN {
	return ops.ARN("arn:aws:sqs:" + sandbox.HomeRegion + ":" + sandbox.Account + ":" + name)
}

func redriveTo(name string, max int) map[string]string {
	return map[string]string{string(sqstypes.QueueAttributeNameRedrivePolicy): fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, queueARN(name), max)}
}

func names[T any](items []T, name func(T) string) string {
	var out []string
	for _, x := range items {
		out = append(out, name(x))
	}
	return strings.Join(out, " ")
}

func streamNames(sn ops.Snapshot) string {
	return names(sn.Streams.Items, func(s ops.Stream) string { return s.Name })
}
func queueNames(sn ops.Snapshot) string {
	return names(sn.Queues.Items, func(q ops.Queue) string { return q.Name })
}

func TestStreamsAndQueuesAreFound(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.stream(t, "clicks")
	p.queue(t, "graveyard", map[string]string{"MessageRetentionPeriod": "1209600"})
	url := p.queue(t, "orders", redriveTo("graveyard", 3))
	p.queue(t, "looks-like-a-dlq", nil)
	p.Advance(time.Minute)
	for _, body := range []string{"a", "b"} {
		if _, err := sqs.NewFromConfig(p.Config()).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}

	sn := p.look(t)
	if sn.Identity.Account != sandbox.Account || sn.Identity.Region != sandbox.HomeRegion {
		t.Errorf("identity %+v", sn.Identity)
	}
	if got := streamNames(sn); got != "clicks" {
		t.Fatalf("streams %q (%v)", got, sn.Streams.Problem)
	}
	st := sn.Streams.Items[0]
	if st.Mode != "PROVISIONED" || st.OpenShards != 2 || st.Retention != 24*time.Hour || st.Status != "ACTIVE" {
		t.Errorf("stream %+v", st)
	}
	if got := queueNames(sn); got != "graveyard looks-like-a-dlq orders" {
		t.Fatalf("queues %q (%v)", got, sn.Queues.Problem)
	}
	dead, lookalike, orders := sn.Queues.Items[0], sn.Queues.Items[1], sn.Queues.Items[2]
	if len(dead.DeadLetterOf) != 1 || dead.DeadLetterOf[0].Source != orders.ARN || dead.DeadLetterOf[0].Via != ops.ViaRedrivePolicy ||
		dead.DeadLetterOf[0].Retention != 4*24*time.Hour {
		t.Errorf("dead letters of %+v", dead.DeadLetterOf)
	}
	if lookalike.IsDeadLetter() {
		t.Error("a queue became a dead-letter queue by its name")
	}
	if n, ok := orders.Depth().Value(); !ok || n != 2 {
		t.Errorf("depth %v %v", n, orders.Depth().Why())
	}
	if orders.MaxReceive != 3 || orders.RedriveTo != dead.ARN || dead.Retention != 14*24*time.Hour {
		t.Errorf("orders %+v", orders)
	}
	if want := (ops.Link{From: orders.ARN, To: dead.ARN, Kind: ops.LinkDeadLetter}); len(sn.Links) != 1 || sn.Links[0] != want {
		t.Errorf("links %v", sn.Links)
	}
	if sn.Streams.Partial || sn.Queues.Partial || sn.At.IsZero() {
		t.Error("a whole look says it is partial")
	}
	if sn.Spend.Calls == 0 || sn.Spend.USD <= 0 {
		t.Errorf("spend %+v", sn.Spend)
	}
}

func TestADeletedQueueGoesAndANewOneComes(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	url := p.queue(t, "old", nil)
	p.queue(t, "stays", nil)
	p.look(t)
	if _, err := sqs.NewFromConfig(p.Config()).DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
		t.Fatal(err)
	}
	p.Advance(time.Minute)
	p.queue(t, "new", nil)
	if got := queueNames(p.look(t)); got != "new stays" {
		t.Errorf("queues %q", got)
	}
}

func TestADeniedSectionSaysSoAndTheRestStands(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.stream(t, "clicks")
	p.queue(t, "orders", nil)
	p.look(t)
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs", Operation: "ListQueues"})
	before := p.Now()
	p.Advance(time.Minute)
	sn := p.look(t)
	if sn.Queues.Problem == nil || sn.Queues.Problem.Fault != ops.FaultDenied || sn.Queues.Problem.Hint == "" {
		t.Errorf("problem %+v", sn.Queues.Problem)
	}
	if queueNames(sn) != "orders" || sn.Queues.At.After(before) {
		t.Errorf("the queues of the last look are gone, or look new: %q at %s", queueNames(sn), sn.Queues.At)
	}
	if streamNames(sn) != "clicks" || sn.Streams.Problem != nil || !sn.Streams.At.After(before) {
		t.Errorf("streams %q at %s: %v", streamNames(sn), sn.Streams.At, sn.Streams.Problem)
	}
	p.SetFaults()
	if sn := p.look(t); sn.Queues.Problem != nil || !sn.Queues.At.After(before) {
		t.Errorf("the section did not recover: %v at %s", sn.Queues.Problem, sn.Queues.At)
	}
}

func TestADeniedDescriptionKeepsItsName(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.queue(t, "orders", nil)
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs", Operation: "GetQueueAttributes"})
	sn := p.look(t)
	if queueNames(sn) != "orders" || sn.Queues.Items[0].ARN != queueARN("orders") {
		t.Fatalf("queues %+v", sn.Queues.Items)
	}
	if sn.Queues.Problem == nil || sn.Queues.Problem.Fault != ops.FaultDenied || !sn.Queues.Partial {
		t.Errorf("section %+v", sn.Queues)
	}
	if _, known := sn.Queues.Items[0].Depth().Value(); known {
		t.Error("a depth that may not be read has a value")
	}
}

// Who may not list a stream's consumers still knows its retention, and so its time to loss.
func TestADeniedConsumerListKeepsTheStream(t *testing.T) {
	t.Parallel()
	p := at(t, "incident", Options{})
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "kinesis", Operation: "ListStreamConsumers"})
	sn := p.look(t)
	for _, st := range sn.Streams.Items {
		if st.Retention == 0 || st.OpenShards == 0 {
			t.Errorf("%s lost its description: retention %s, %d shards", st.Name, st.Retention, st.OpenShards)
		}
	}
	if sn.Streams.Problem == nil || sn.Streams.Problem.Fault != ops.FaultDenied {
		t.Errorf("the section says %v", sn.Streams.Problem)
	}
}

// Who may not read a function's concurrency still sees what else is known of it.
func TestADeniedConcurrencyKeepsTheFunction(t *testing.T) {
	t.Parallel()
	p := at(t, "incident", Options{})
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "lambda", Operation: "GetFunctionConcurrency"})
	sn := p.look(t)
	if len(sn.Functions.Items) == 0 {
		t.Fatal("no functions")
	}
	screen := sn.Functions.Items[0].ARN
	p.Advance(2 * time.Minute)
	for _, f := range p.survey.Collect(t.Context(), Ask{Focus: []ops.ARN{screen}}, nil).Functions.Items {
		if f.ARN == screen && f.State == "" {
			t.Errorf("%s lost its state", f.Name)
		}
	}
}

func TestTheAccountsConcurrencyIsReadNowAndThen(t *testing.T) {
	t.Parallel()
	p := at(t, "incident", Options{})
	calls := func() int { return p.Bill().Calls["lambda.GetAccountSettings"] }
	if n, ok := p.look(t).Concurrency.Value(); !ok || n != 1000 {
		t.Errorf("%v at once, %v", n, ok)
	}
	for range 3 {
		p.Advance(10 * time.Minute)
		p.look(t)
	}
	if calls() != 1 {
		t.Errorf("%d calls in half an hour", calls())
	}
	p.Advance(31 * time.Minute)
	p.look(t)
	if calls() != 2 {
		t.Errorf("%d calls in an hour", calls())
	}
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "lambda", Operation: "GetAccountSettings"})
	p.Advance(time.Hour)
	sn := p.look(t)
	if sn.Concurrency.Why() != ops.Denied || sn.Functions.Problem != nil || len(sn.Functions.Items) == 0 {
		t.Errorf("denied: %q, %v, %d functions", sn.Concurrency.Why(), sn.Functions.Problem, len(sn.Functions.Items))
	}
}

// A channel reads no shard: all that is known of it is what its description says.
func TestChannelsAreDescribed(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	ctx, k := t.Context(), kinesis.NewFromConfig(p.Config())
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("clicks"), StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}}))
	p.Advance(time.Minute)
	role := aws.String("arn:aws:iam::" + sandbox.Account + ":role/delivery")
	must(k.CreateChannel(ctx, &kinesis.CreateChannelInput{
		ChannelName: aws.String("lake"), ServiceExecutionRoleARN: role,
		StreamConfigurationList: []types.ChannelStreamConfiguration{{StreamARN: aws.String("arn:aws:kinesis:" + sandbox.HomeRegion + ":" + sandbox.Account + ":stream/clicks"),
			RecordConfiguration: &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeJson}}},
		S3DestinationConfiguration: &types.S3DestinationConfiguration{DataFreshnessInSeconds: aws.Int32(600), StorageConfiguration: &types.S3StorageConfiguration{
			BucketARN: aws.String("arn:aws:s3:::lake"), ExpectedBucketOwner: aws.String(sandbox.Account), CompressionType: types.S3CompressionTypeGzip, StorageClass: types.S3StorageClassStandard}},
	}))
	p.Advance(time.Minute)
	channel := func() ops.Consumer {
		t.Helper()
		for _, st := range p.look(t).Streams.Items {
			for _, c := range st.Consumers {
				if c.Kind == ops.ByChannel {
					return c
				}
			}
		}
		t.Fatal("no channel is found")
		return ops.Consumer{}
	}
	if c := channel(); c.Name != "lake" || c.Destination != "S3" || c.Freshness != 10*time.Minute {
		t.Errorf("%+v", c)
	}
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "kinesis", Operation: "DescribeChannel"})
	p = p.open(t, Options{})
	if c := channel(); c.Destination != "S3" || c.Freshness != 0 {
		t.Errorf("denied: %+v", c)
	}
}

func TestExpiredCredentialsEndTheLook(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.stream(t, "clicks")
	p.look(t)
	p.SetFaults(sandbox.Fault{Kind: sandbox.Expired})
	start := time.Now()
	sn := p.look(t)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s to say that the credentials have expired", took)
	}
	for _, x := range sn.Sections() {
		if x.Problem != nil && x.Problem.Fault == ops.FaultUnsupported {
			continue // an operation that the sandbox does not offer never gets as far as the credentials
		}
		if x.Name != "metrics" && (x.Problem == nil || x.Problem.Fault != ops.FaultExpired) {
			t.Errorf("%s: %v", x.Name, x.Problem)
		}
	}
	if streamNames(sn) != "clicks" {
		t.Errorf("the last known streams are gone: %q", streamNames(sn))
	}
}

func TestOneServiceDown(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.stream(t, "clicks")
	p.queue(t, "orders", nil)
	p.SetFaults(sandbox.Fault{Kind: sandbox.ServerError, Service: "kinesis"})
	sn := p.look(t)
	if sn.Streams.Problem == nil || sn.Streams.Problem.Fault != ops.FaultService {
		t.Errorf("streams: %v", sn.Streams.Problem)
	}
	if sn.Queues.Problem != nil || queueNames(sn) != "orders" {
		t.Errorf("queues %q: %v", queueNames(sn), sn.Queues.Problem)
	}
}

func TestAThrottledSectionRecovers(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	for i := range 30 {
		p.stream(t, fmt.Sprintf("s%02d", i))
	}
	p.SetFaults(sandbox.Fault{Kind: sandbox.Throttle, Service: "kinesis", Operation: "DescribeStreamSummary", Percent: 30})
	sn := p.look(t)
	for range 5 {
		if len(sn.Streams.Items) == 30 {
			break
		}
		if !sn.Streams.Partial || sn.Streams.Known != 30 {
			t.Fatalf("%d of %d streams, partial %v: %v", len(sn.Streams.Items), sn.Streams.Known, sn.Streams.Partial, sn.Streams.Problem)
		}
		sn = p.look(t)
	}
	if len(sn.Streams.Items) != 30 {
		t.Errorf("after six looks %d streams are described: %v", len(sn.Streams.Items), sn.Streams.Problem)
	}
}

func TestPartialPicturesGrow(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	for i := range 40 {
		p.stream(t, fmt.Sprintf("s%02d", i))
	}
	p.queue(t, "orders", nil)
	p.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Operation: "DescribeStreamSummary", Latency: 120 * time.Millisecond})
	var seen []ops.Snapshot
	last := p.survey.Collect(t.Context(), Ask{}, func(sn ops.Snapshot) { seen = append(seen, sn) })
	if len(seen) < 3 {
		t.Fatalf("only %d partial pictures", len(seen))
	}
	growing := false
	for i, sn := range seen {
		if !sn.At.IsZero() {
			t.Errorf("partial picture %d says that the look has ended", i)
		}
		n := len(sn.Streams.Items)
		if n > 0 && n < 40 {
			growing = true
			if !sn.Streams.Partial || sn.Streams.Known != 40 {
				t.Errorf("picture %d: %d streams of %d, partial %v", i, n, sn.Streams.Known, sn.Streams.Partial)
			}
		}
	}
	if !growing || len(last.Streams.Items) != 40 || last.Streams.Partial {
		t.Errorf("growing %v, in the end %d streams, partial %v", growing, len(last.Streams.Items), last.Streams.Partial)
	}
}

func TestGivingUpWaitingIsNoProblemOfTheAccount(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.stream(t, "clicks")
	p.look(t)
	p.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Latency: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	sn := p.survey.Collect(ctx, Ask{}, nil)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("quitting took %s", took)
	}
	if streamNames(sn) != "clicks" || sn.Streams.Problem != nil {
		t.Errorf("streams %q: %v", streamNames(sn), sn.Streams.Problem)
	}
}

func TestAnUnreachableEndpointIsToldSoon(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for name, endpoint := range map[string]string{"refused": "http://127.0.0.1:1", "silent": "http://" + silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := at(t, "", Options{})
			cfg := p.Config()
			cfg.HTTPClient, cfg.BaseEndpoint = nil, aws.String(endpoint)
			c, err := cloud.Open(t.Context(), cloud.Options{Config: &cfg})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			sn := New(c, Options{NoCache: true}).Collect(t.Context(), Ask{}, nil)
			if took := time.Since(start); took > 6*time.Second { // 5 s, and what a busy test machine adds
				t.Errorf("it took %s", took)
			}
			for _, x := range sn.Sections() {
				if x.Name != "metrics" && x.Name != "buckets" && (x.Problem == nil || x.Problem.Fault != ops.FaultUnreachable && x.Problem.Fault != ops.FaultTimeout) {
					t.Errorf("%s: %v", x.Name, x.Problem)
				}
			}
		})
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	p := at(t, "", Options{})
	p.stream(t, "clicks")
	p.look(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	p.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Latency: time.Minute})
	p.survey.Collect(ctx, Ask{Fresh: true}, nil)
}

// A list of active metrics that failed once is asked for again with the next look:
// its problem must not outlive its cause, nor the numbers wait for it.
func TestFailedListsOfMetricsRecover(t *testing.T) {
	p := at(t, "incident", Options{})
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "cloudwatch", Operation: "ListMetrics"})
	if sn := p.look(t); sn.MetricsProblem == nil {
		t.Fatal("ListMetrics is denied, and nobody says so")
	}
	p.SetFaults()
	p.Advance(time.Minute)
	began := time.Now()
	sn := p.look(t)
	if sn.MetricsProblem != nil {
		t.Errorf("the cause is gone, the problem stays: %v", sn.MetricsProblem)
	}
	if took := time.Since(began); took > sectionTimeout/2 {
		t.Errorf("the look took %s", took)
	}
	if len(sn.Streams.Items) == 0 {
		t.Fatal("no streams")
	}
	for _, st := range sn.Streams.Items {
		if _, ok := st.Measures.Last(ops.IteratorAge).Value(); !ok {
			t.Errorf("%s: the age is unknown", st.Name)
		}
	}
}
