package survey

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	fhtypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/labs/sandbox"
	"kxops/ops"
)

const role = "arn:aws:iam::" + sandbox.Account + ":role/worker"

// build sets up one whole pipeline: clicks -> clicks-s3 -> bucket -> news ->
// orders -> worker, and every way there is into a dead-letter queue.
func (p place) build(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	ok := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg := p.Config()
	k, f, l, n, b := kinesis.NewFromConfig(cfg), firehose.NewFromConfig(cfg), lambda.NewFromConfig(cfg), sns.NewFromConfig(cfg), s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })

	p.stream(t, "clicks")
	p.queue(t, "orders-dead", nil)
	p.queue(t, "function-dead", nil)
	p.queue(t, "async-dead", nil)
	p.queue(t, "mapping-dead", nil)
	p.queue(t, "subscription-dead", map[string]string{"Policy": letIn("sns.amazonaws.com")})
	orders := redriveTo("orders-dead", 3)
	orders["Policy"] = letIn("sns.amazonaws.com")
	p.queue(t, "orders", orders)
	p.Advance(time.Minute)

	ok(k.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: aws.String(string(arn("kinesis", "stream/clicks"))), ConsumerName: aws.String("efo")}))
	ok(b.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("lake"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(sandbox.HomeRegion)}}))
	ok(f.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("clicks-s3"), DeliveryStreamType: fhtypes.DeliveryStreamTypeKinesisStreamAsSource,
		KinesisStreamSourceConfiguration: &fhtypes.KinesisStreamSourceConfiguration{KinesisStreamARN: aws.String(string(arn("kinesis", "stream/clicks"))), RoleARN: aws.String(role)},
		ExtendedS3DestinationConfiguration: &fhtypes.ExtendedS3DestinationConfiguration{
			BucketARN: aws.String("arn:aws:s3:::lake"), RoleARN: aws.String(role), Prefix: aws.String("clicks/"), ErrorOutputPrefix: aws.String("errors/"),
			BufferingHints: &fhtypes.BufferingHints{IntervalInSeconds: aws.Int32(120), SizeInMBs: aws.Int32(3)},
		},
	}))
	topicOut, err := n.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("news"), Attributes: map[string]string{"Policy": letIn("s3.amazonaws.com")}})
	ok(topicOut, err)
	topicARN := topicOut.TopicArn
	ok(n.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topicARN, Protocol: aws.String("sqs"), Endpoint: aws.String(string(queueARN("orders"))),
		Attributes: map[string]string{"RawMessageDelivery": "true", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q}`, queueARN("subscription-dead"))}}))
	ok(b.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{Bucket: aws.String("lake"),
		NotificationConfiguration: &s3types.NotificationConfiguration{TopicConfigurations: []s3types.TopicConfiguration{{TopicArn: topicARN, Events: []s3types.Event{"s3:ObjectCreated:*"},
			Filter: &s3types.NotificationConfigurationFilter{Key: &s3types.S3KeyFilter{FilterRules: []s3types.FilterRule{{Name: "prefix", Value: aws.String("clicks/")}}}}}}}}))

	for _, name := range []string{"worker", "reader"} {
		ok(l.CreateFunction(ctx, &lambda.CreateFunctionInput{FunctionName: &name, Role: aws.String(role), Runtime: lambdatypes.RuntimeProvidedal2023, Timeout: aws.Int32(5),
			Handler: aws.String("bootstrap"), Code: &lambdatypes.FunctionCode{ZipFile: []byte("x")},
			Environment:      &lambdatypes.Environment{Variables: map[string]string{"TOKEN": "hunter2"}},
			DeadLetterConfig: &lambdatypes.DeadLetterConfig{TargetArn: aws.String(string(queueARN("function-dead")))}}))
		p.Handler(name, func(context.Context, []byte) ([]byte, error) {
			if name == "reader" {
				return nil, errors.New("cannot parse the record")
			}
			return []byte("{}"), nil
		})
	}
	p.Advance(time.Minute)
	ok(l.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{FunctionName: aws.String("worker"), MaximumEventAgeInSeconds: aws.Int32(3600), MaximumRetryAttempts: aws.Int32(1),
		DestinationConfig: &lambdatypes.DestinationConfig{OnFailure: &lambdatypes.OnFailure{Destination: aws.String(string(queueARN("async-dead")))}}}))
	ok(l.CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("worker"), EventSourceArn: aws.String(string(queueARN("orders")))}))
	ok(l.CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("reader"), EventSourceArn: aws.String(string(arn("kinesis", "stream/clicks"))),
		StartingPosition: lambdatypes.EventSourcePositionTrimHorizon, BatchSize: aws.Int32(1), MaximumRecordAgeInSeconds: aws.Int32(7200),
		DestinationConfig: &lambdatypes.DestinationConfig{OnFailure: &lambdatypes.OnFailure{Destination: aws.String(string(queueARN("mapping-dead")))}}}))
	p.Advance(2 * time.Minute)
}

func letIn(service string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"*","Resource":"*"}]}`, service)
}

func TestAWholePipelineIsLinked(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.build(t)
	sn := p.look(t)
	for _, x := range sn.Sections() {
		if x.Problem != nil || x.Partial {
			t.Errorf("%s: partial %v, %v", x.Name, x.Partial, x.Problem)
		}
	}
	var arrows []string
	for _, l := range sn.Links {
		arrows = append(arrows, fmt.Sprintf("%s -%s-> %s", l.From.Name(), l.Kind, l.To.Name()))
	}
	for _, want := range []string{
		"clicks -consumes-> clicks-s3", "clicks -consumes-> reader", "clicks -consumes-> efo", "clicks-s3 -delivers-> lake", "lake -notifies-> news",
		"news -subscribes-> orders", "news -dead-letter-> subscription-dead", "orders -triggers-> worker", "orders -dead-letter-> orders-dead",
		"worker -dead-letter-> function-dead", "worker -dead-letter-> async-dead", "reader -dead-letter-> mapping-dead",
	} {
		if !strings.Contains(strings.Join(arrows, "\n")+"\n", want+"\n") {
			t.Errorf("missing: %s\nin:\n%s", want, strings.Join(arrows, "\n"))
		}
	}
	via := map[string]ops.DeadLetterVia{}
	for _, q := range sn.Queues.Items {
		for _, d := range q.DeadLetterOf {
			via[q.Name] = d.Via
		}
	}
	for name, want := range map[string]ops.DeadLetterVia{"orders-dead": ops.ViaRedrivePolicy, "function-dead": ops.ViaFunctionDLQ, "async-dead": ops.ViaDestination,
		"mapping-dead": ops.ViaMapping, "subscription-dead": ops.ViaSubscription, "orders": ""} {
		if via[name] != want {
			t.Errorf("%s is a dead-letter queue via %q, want %q", name, via[name], want)
		}
	}
	d := sn.Deliveries.Items[0]
	if d.Destination != "S3" || d.BufferInterval != 2*time.Minute || d.BufferBytes != 3<<20 || d.ErrorPrefix != "errors/" || d.Target != "arn:aws:s3:::lake" {
		t.Errorf("delivery %+v", d)
	}
	if n := sn.Buckets.Items[0].Notifications; len(n) != 1 || n[0].Prefix != "clicks/" || n[0].Target.Name() != "news" {
		t.Errorf("notifications %+v", n)
	}
	if sub := sn.Topics.Items[0].Subscriptions; len(sub) != 1 || !sub[0].Raw {
		t.Errorf("subscriptions %+v", sub)
	}
	for _, f := range sn.Functions.Items {
		if f.Name == "worker" && (f.MaxRetries != 1 || f.MaxEventAge != time.Hour || f.Timeout != 5*time.Second || fmt.Sprint(f.Environments) != "[TOKEN]") {
			t.Errorf("worker %+v", f)
		}
	}
	for _, c := range sn.Streams.Items[0].Consumers {
		if c.Kind == ops.ByMapping && c.MaxRecordAge != 2*time.Hour {
			t.Errorf("consumer %+v", c)
		}
	}
}

func TestAStuckReaderIsMeasured(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.build(t)
	k := kinesis.NewFromConfig(p.Config())
	for i := range 40 {
		for range 3 {
			if _, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("clicks"), PartitionKey: aws.String(fmt.Sprint(i)), Data: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		p.Advance(time.Minute)
	}
	sn := p.look(t)
	st := sn.Streams.Items[0]
	age, ok := st.Measures.Last(ops.IteratorAge).Value()
	if !ok || age < 600 {
		t.Errorf("iterator age %v (%s) after 40 minutes of a failing reader", age, st.Measures.Last(ops.IteratorAge).Why())
	}
	if n, ok := st.Measures.Last(ops.Incoming).Value(); !ok || n < 3 {
		t.Errorf("incoming %v %v", n, ok)
	}
	var reader ops.Consumer
	for _, c := range st.Consumers {
		if c.Name == "reader" {
			reader = c
		}
	}
	if lag, ok := reader.Lag.Last.Value(); !ok || lag < 600 {
		t.Errorf("the reader's lag is %v (%s)", lag, reader.Lag.Last.Why())
	}
	if l := ops.StreamLoss(st, p.Now()); l.Motion != ops.MotionStopped || l.Consumer != "reader" {
		t.Errorf("loss %+v", l)
	}
	d := sn.Deliveries.Items[0]
	if n, ok := d.Measures.Last(ops.Delivered).Value(); !ok || n <= 0 {
		t.Errorf("delivered %v (%s)", n, d.Measures.Last(ops.Delivered).Why())
	}
	if f, ok := d.Measures.Last(ops.Freshness).Value(); !ok || f <= 0 || f > 600 {
		t.Errorf("freshness %v s (%s)", f, d.Measures.Last(ops.Freshness).Why())
	}
	if sn.MetricsAt.IsZero() || sn.MetricsProblem != nil {
		t.Errorf("metrics at %s: %v", sn.MetricsAt, sn.MetricsProblem)
	}
	// The stream is in danger, so it is asked for again a minute later, and no more than that.
	before := p.Bill().Metrics
	p.Advance(time.Minute)
	sn = p.look(t)
	again := p.Bill().Metrics - before
	if got := sn.Streams.Items[0].Measures.Last(ops.IteratorAge).At; !got.After(st.Measures.Last(ops.IteratorAge).At) {
		t.Error("the age of a stream in danger was not read again after a minute")
	}
	if again == 0 || again > 10 {
		t.Errorf("the second look asked for %d metrics", again)
	}
}

func TestDeniedMetricsAreDeniedNotZero(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.build(t)
	if _, err := kinesis.NewFromConfig(p.Config()).PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("clicks"), PartitionKey: aws.String("k"), Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	p.Advance(30 * time.Minute) // until ListMetrics lists what is new
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "cloudwatch", Operation: "GetMetricData"})
	sn := p.look(t)
	if sn.MetricsProblem == nil || sn.MetricsProblem.Fault != ops.FaultDenied {
		t.Errorf("metrics: %v", sn.MetricsProblem)
	}
	if why := sn.Deliveries.Items[0].Measures.Last(ops.Freshness).Why(); why != ops.Denied {
		t.Errorf("freshness is %q", why)
	}
	if why := sn.Streams.Items[0].Measures.Last(ops.Incoming).Why(); why != ops.Denied {
		t.Errorf("incoming is %q", why)
	}
	for _, q := range sn.Queues.Items {
		if _, ok := q.Depth().Value(); !ok {
			t.Errorf("the depth of %s comes from SQS and is %q", q.Name, q.Depth().Why())
		}
	}
}

func TestTheMeterEqualsTheSandboxesBill(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.build(t)
	before := p.Bill().USD
	for range 5 {
		p.look(t)
		p.Advance(time.Minute)
	}
	billed, metered := p.Bill().USD-before, p.survey.Snapshot().Spend.USD
	if billed <= 0 || math.Abs(billed-metered) > 1e-9 {
		t.Errorf("the sandbox billed $%.6f, the meter says $%.6f", billed, metered)
	}
}

func TestAlarmsNameWhatTheyWatch(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.queue(t, "orders", nil)
	c := cloudwatch.NewFromConfig(p.Config())
	if _, err := c.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("orders-depth"), Namespace: aws.String("AWS/SQS"), MetricName: aws.String("ApproximateNumberOfMessagesVisible"),
		Dimensions: []cwtypes.Dimension{{Name: aws.String("QueueName"), Value: aws.String("orders")}}, Statistic: cwtypes.StatisticMaximum,
		Period: aws.Int32(60), EvaluationPeriods: aws.Int32(5), DatapointsToAlarm: aws.Int32(1), Threshold: aws.Float64(0),
		ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold, ActionsEnabled: aws.Bool(true),
	}); err != nil {
		t.Fatal(err)
	}
	sn := p.look(t)
	if len(sn.Alarms.Items) != 1 {
		t.Fatalf("alarms %+v: %v", sn.Alarms.Items, sn.Alarms.Problem)
	}
	a := sn.Alarms.Items[0]
	if a.Resource != queueARN("orders") || a.Evaluation != "1/5" || a.Threshold.Or(-1) != 0 || a.Period != time.Minute || !a.Enabled {
		t.Errorf("alarm %+v", a)
	}
}

func TestTheLastPictureIsPaintedAndCorrected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := at(t, "", Options{CacheDir: dir})
	p.build(t)
	if _, ok := p.survey.LastKnown(); ok {
		t.Error("a first start knows something")
	}
	first := p.look(t)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}

	p.Advance(3 * time.Minute)
	again := p.open(t, Options{CacheDir: dir})
	last, ok := again.survey.LastKnown()
	if !ok || !last.Recalled || last.Identity.Account != sandbox.Account {
		t.Fatalf("ok %v, recalled %v, account %q, note %q", ok, last.Recalled, last.Identity.Account, again.survey.Note())
	}
	if len(last.Links) != len(first.Links) || queueNames(last) != queueNames(first) || !last.Streams.At.Equal(first.Streams.At) {
		t.Errorf("%d links, want %d; queues %q; streams at %s", len(last.Links), len(first.Links), queueNames(last), last.Streams.At)
	}
	if a, b := last.Queues.Items[0].Depth(), first.Queues.Items[0].Depth(); a.Or(-1) != b.Or(-1) || !a.At.Equal(b.At) {
		t.Errorf("depth %+v, want %+v", a, b)
	}

	described := p.Bill().Calls["kinesis.DescribeStreamSummary"]
	p.queue(t, "new", nil)
	sn := again.look(t)
	if sn.Recalled || !strings.Contains(queueNames(sn), "new") {
		t.Errorf("recalled %v, queues %q", sn.Recalled, queueNames(sn))
	}
	if n := p.Bill().Calls["kinesis.DescribeStreamSummary"] - described; n != 0 {
		t.Errorf("a description three minutes old was read again %d times", n)
	}
	p.Advance(20 * time.Minute)
	if sn := p.open(t, Options{CacheDir: dir}).look(t); !sn.Streams.Items[0].Created.Equal(first.Streams.Items[0].Created) {
		t.Errorf("stream %+v", sn.Streams.Items[0])
	}
	if n := p.Bill().Calls["kinesis.DescribeStreamSummary"] - described; n != 1 {
		t.Errorf("an old description was read %d times, want once", n)
	}
}

func TestACorruptCacheIsIgnoredWithANote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := at(t, "", Options{CacheDir: dir})
	p.queue(t, "orders", nil)
	p.look(t)
	files, err := filepath.Glob(filepath.Join(dir, "survey-*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	for _, content := range []string{"", "{", `{"Version":99}`, "\x00\xff"} {
		if err := os.WriteFile(files[0], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		again := p.open(t, Options{CacheDir: dir})
		if _, ok := again.survey.LastKnown(); ok || again.survey.Note() == "" {
			t.Errorf("%q: ok %v, note %q", content, ok, again.survey.Note())
		}
		if sn := again.look(t); queueNames(sn) != "orders" {
			t.Errorf("%q: queues %q", content, queueNames(sn))
		}
	}
}

func TestASleepingQueueIsLeftAsleep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := at(t, "", Options{CacheDir: dir})
	p.queue(t, "refunds", nil)
	url := p.queue(t, "orders", nil)
	p.look(t)
	p.Advance(11 * time.Hour)
	body := "x"
	if _, err := sqs.NewFromConfig(p.Config()).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
	p.Advance(time.Hour)

	p = p.open(t, Options{CacheDir: dir})
	touched := p.Bill().Calls["sqs.GetQueueAttributes"]
	var sn ops.Snapshot
	for range 20 {
		sn = p.look(t)
		p.Advance(time.Minute)
	}
	orders, refunds := sn.Queues.Items[0], sn.Queues.Items[1]
	if refunds.Awake || refunds.Depth().Why() != ops.Asleep || refunds.Measures.Last(ops.OldestAge).Why() != ops.Asleep {
		t.Errorf("refunds: awake %v, depth %q", refunds.Awake, refunds.Depth().Why())
	}
	if n, ok := orders.Depth().Value(); !orders.Awake || !ok || n != 1 {
		t.Errorf("orders: awake %v, depth %v %q", orders.Awake, n, orders.Depth().Why())
	}
	if age, ok := orders.Measures.Last(ops.OldestAge).Value(); !ok || age < 3600 {
		t.Errorf("orders: oldest %v %q", age, orders.Measures.Last(ops.OldestAge).Why())
	}
	if n := p.Bill().Calls["sqs.GetQueueAttributes"] - touched; n < 15 || n > 20 {
		t.Errorf("%d queue reads in twenty looks: the sleeping queue was touched, or the busy one was not read", n)
	}
}

func TestThousandsOfQueues(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	const n = 2345 // three pages
	c := sqs.NewFromConfig(p.Config())
	for i := range n {
		if _, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(fmt.Sprintf("q%04d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	sn := p.look(t)
	if len(sn.Queues.Items) != n || sn.Queues.Known != n || sn.Queues.Partial {
		t.Errorf("%d of %d queues, partial %v: %v", len(sn.Queues.Items), sn.Queues.Known, sn.Queues.Partial, sn.Queues.Problem)
	}
}

func TestRawHidesSecretsAndOpensPolicies(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.build(t)
	for of, want := range map[ops.ARN]string{
		arn("kinesis", "stream/clicks"):             `"OpenShardCount": 2`,
		arn("firehose", "deliverystream/clicks-s3"): `"ErrorOutputPrefix": "errors/"`,
		queueARN("orders"):                          `"deadLetterTargetArn": "` + string(queueARN("orders-dead")) + `"`,
		arn("sns", "news"):                          `"TopicArn"`,
		arn("lambda", "function:worker"):            `"TOKEN": "(not shown)"`,
		"arn:aws:s3:::lake":                         `"TopicConfigurations"`,
	} {
		raw, err := p.survey.Raw(t.Context(), of)
		if err != nil {
			t.Errorf("%s: %v", of, err)
			continue
		}
		if !strings.Contains(string(raw), want) || strings.Contains(string(raw), "hunter2") || strings.Contains(string(raw), "ResultMetadata") {
			t.Errorf("%s: %s\nlacks %s or shows too much", of, raw, want)
		}
	}
	var problem *ops.Problem
	if _, err := p.survey.Raw(t.Context(), arn("kinesis", "stream/none")); !errors.As(err, &problem) || problem.Fault != ops.FaultNotFound {
		t.Errorf("an unknown stream: %v", err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	sn := ops.Snapshot{
		Streams:   one(ops.Stream{ARN: arn("kinesis", "stream/orders")}),
		Queues:    ops.Section[ops.Queue]{Items: []ops.Queue{{ARN: queueARN("orders"), URL: "https://sqs.eu-west-1.amazonaws.com/1/orders"}, {ARN: queueARN("orders-dlq")}, {ARN: queueARN("refunds")}}},
		Functions: one(ops.Function{ARN: arn("lambda", "function:worker")}),
	}
	for ref, want := range map[string]ops.ARN{
		"refunds":                        queueARN("refunds"),
		"queue:orders":                   queueARN("orders"),
		"stream:orders":                  arn("kinesis", "stream/orders"),
		string(queueARN("orders")):       queueARN("orders"),
		"http://127.0.0.1:4566/1/orders": queueARN("orders"),
		string(arn("lambda", "function:worker:live")): arn("lambda", "function:worker"),
	} {
		if got, err := Find(sn, ref); err != nil || got != want {
			t.Errorf("%s: %s, %v", ref, got, err)
		}
	}
	for ref, want := range map[string]string{
		"orders":                   "queue:orders",
		"order-dlq":                "orders-dlq",
		"":                         "no resource",
		"stream:xyz":               "orders",
		string(queueARN("refund")): "refunds",
	} {
		if _, err := Find(sn, ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v lacks %q", ref, err, want)
		}
	}
}

// A queue that was made a minute ago cannot have been idle for six hours.
func TestANewQueueIsNotAsleep(t *testing.T) {
	made := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for age, awake := range map[time.Duration]bool{time.Minute: true, 5 * time.Hour: true, 7 * time.Hour: false} {
		p := &picture{Queues: shelf[queue]{At: made.Add(age)}}
		p.activity = newActivity()
		p.activity.lists[roster{"AWS/SQS", "ApproximateNumberOfMessagesVisible"}] = map[string]bool{} // it published nothing lately
		if got := p.awake(&queue{Queue: ops.Queue{Name: "orders", Created: made}}); got != awake {
			t.Errorf("awake after %s: %v", age, got)
		}
	}
}

// CloudWatch lists new metrics up to a quarter of an hour late. A delivery that was just
// made is followed all the same: it would pass for idle while it fails.
func TestWhatWasJustMadeIsFollowed(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.build(t)
	k := kinesis.NewFromConfig(p.Config())
	for i := range 8 {
		if _, err := k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("clicks"), PartitionKey: aws.String(fmt.Sprint(i)), Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		p.Advance(time.Minute)
	}
	sn := p.look(t)
	if n, ok := sn.Streams.Items[0].Measures.Last(ops.Incoming).Value(); !ok || n < 1 {
		t.Errorf("incoming %v (%s)", n, sn.Streams.Items[0].Measures.Last(ops.Incoming).Why())
	}
	d := sn.Deliveries.Items[0]
	if n, ok := d.Measures.Last(ops.SourceRead).Value(); !ok || n < 1 {
		t.Errorf("read from the stream: %v (%s)", n, d.Measures.Last(ops.SourceRead).Why())
	}
	if _, ok := d.Measures.Last(ops.Delivered).Value(); !ok {
		t.Errorf("delivered: %s", d.Measures.Last(ops.Delivered).Why())
	}
}
