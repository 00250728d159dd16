package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

const deliveryRole = "arn:aws:iam::123456789012:role/delivery"

func firehoseClient(sb *Sandbox) *firehose.Client {
	return firehose.NewFromConfig(sb.Config(), func(o *firehose.Options) { o.RetryMaxAttempts = 1 })
}

// aDelivery makes an ACTIVE delivery stream "clicks" to the bucket "archive".
func aDelivery(t *testing.T, shape func(*firehose.CreateDeliveryStreamInput)) (*Sandbox, *firehose.Client, *s3.Client) {
	t.Helper()
	sb, bucket := aBucket(t)
	c := firehoseClient(sb)
	in := &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("clicks"),
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			BucketARN: aws.String("arn:aws:s3:::archive"), RoleARN: aws.String(deliveryRole),
			BufferingHints: &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(60)},
		},
	}
	if shape != nil {
		shape(in)
	}
	if _, err := c.CreateDeliveryStream(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	sb.Advance(firehoseSetupTime)
	return sb, c, bucket
}

func putClicks(t *testing.T, c *firehose.Client, data ...string) {
	t.Helper()
	in := &firehose.PutRecordBatchInput{DeliveryStreamName: aws.String("clicks")}
	for _, d := range data {
		in.Records = append(in.Records, types.Record{Data: []byte(d)})
	}
	out, err := c.PutRecordBatch(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if *out.FailedPutCount != 0 || len(out.RequestResponses) != len(data) {
		t.Fatalf("got %+v", out)
	}
}

// archived returns key and body of every object in the bucket, in order.
func archived(t *testing.T, c *s3.Client) (keys, bodies []string) {
	t.Helper()
	list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("archive")})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list.Contents {
		body, err := getObject(t, c, &s3.GetObjectInput{Key: x.Key})
		if err != nil {
			t.Fatal(err)
		}
		keys, bodies = append(keys, *x.Key), append(bodies, body)
	}
	return keys, bodies
}

func TestFirehoseBuffersAndDelivers(t *testing.T) {
	sb, c, bucket := aDelivery(t, nil)
	putClicks(t, c, "a", "b")
	sb.Advance(59 * time.Second)
	if keys, _ := archived(t, bucket); len(keys) != 0 {
		t.Fatalf("delivered before the buffer interval: %v", keys)
	}
	sb.Advance(time.Second)
	keys, bodies := archived(t, bucket)
	if diff := cmp.Diff([]string{"ab"}, bodies); diff != "" {
		t.Error(diff) // no delimiter by default
	}
	// Object name page: <default prefix><stream>-<version>-<time of the oldest record>-<uuid>.
	if want := regexp.MustCompile(`^2026/11/22/12/clicks-1-2026-11-22-12-00-05-[0-9a-f-]{36}$`); len(keys) != 1 || !want.MatchString(keys[0]) {
		t.Errorf("keys %v", keys)
	}
	putClicks(t, c, strings.Repeat("x", 900_000), strings.Repeat("y", 200_000))
	if keys, _ := archived(t, bucket); len(keys) != 2 {
		t.Errorf("a full buffer was not delivered at once: %v", keys)
	}
}

func TestFirehosePrefixGzipAndTimeZone(t *testing.T) {
	sb, c, bucket := aDelivery(t, func(in *firehose.CreateDeliveryStreamInput) {
		x := in.ExtendedS3DestinationConfiguration
		x.Prefix = aws.String("in/!{timestamp:yyyy'-'MM/'h'HH}/!{firehose:random-string}/")
		x.ErrorOutputPrefix = aws.String("bad/!{firehose:error-output-type}/")
		x.CustomTimeZone = aws.String("Asia/Tokyo")
		x.CompressionFormat = types.CompressionFormatGzip
		x.ProcessingConfiguration = &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []types.Processor{{Type: types.ProcessorTypeAppendDelimiterToRecord,
			Parameters: []types.ProcessorParameter{{ParameterName: types.ProcessorParameterNameDelimiter, ParameterValue: aws.String(`\n`)}}}}}
	})
	putClicks(t, c, "a", "b")
	sb.Advance(time.Minute)
	keys, bodies := archived(t, bucket)
	if want := regexp.MustCompile(`^in/2026-11/h21/[a-zA-Z0-9]{11}/clicks-1-2026-11-22-21-00-05-[0-9a-f-]{36}\.gz$`); len(keys) != 1 || !want.MatchString(keys[0]) {
		t.Fatalf("keys %v", keys)
	}
	z, err := gzip.NewReader(bytes.NewReader([]byte(bodies[0])))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != "a\nb\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestFirehoseTransformation(t *testing.T) {
	sb, c, bucket := aDelivery(t, func(in *firehose.CreateDeliveryStreamInput) {
		in.ExtendedS3DestinationConfiguration.ErrorOutputPrefix = aws.String("bad/!{firehose:error-output-type}/")
		in.ExtendedS3DestinationConfiguration.ProcessingConfiguration = &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []types.Processor{{Type: types.ProcessorTypeLambda,
			Parameters: []types.ProcessorParameter{{ParameterName: types.ProcessorParameterNameLambdaArn, ParameterValue: aws.String("arn:aws:lambda:eu-west-1:123456789012:function:clean")}}}}}
	})
	calls := 0
	sb.do(func() {
		sb.regions[HomeRegion].invoke = func(_ ops.ARN, payload []byte) (invocation, error) {
			calls++
			var in struct {
				Records []struct {
					ID   string `json:"recordId"`
					Data []byte `json:"data"`
				} `json:"records"`
			}
			if err := json.Unmarshal(payload, &in); err != nil {
				return invocation{}, err
			}
			var out []map[string]string
			for _, r := range in.Records {
				switch string(r.Data) {
				case "crash":
					return invocation{Error: "Unhandled"}, nil
				case "drop":
					out = append(out, map[string]string{"recordId": r.ID, "result": "Dropped"})
				case "bad":
					out = append(out, map[string]string{"recordId": r.ID, "result": "ProcessingFailed"})
				default:
					out = append(out, map[string]string{"recordId": r.ID, "result": "Ok", "data": base64.StdEncoding.EncodeToString(bytes.ToUpper(r.Data))})
				}
			}
			b, err := json.Marshal(map[string]any{"records": out})
			return invocation{Payload: b}, err
		}
	})
	putClicks(t, c, "good", "drop", "bad")
	sb.Advance(time.Minute)
	keys, bodies := archived(t, bucket)
	if len(keys) != 2 || bodies[0] != "GOOD" || !strings.HasPrefix(keys[1], "bad/processing-failed/") {
		t.Fatalf("%v %q", keys, bodies)
	}
	// Data transformation page: attemptsMade, arrivalTimestamp, errorCode, errorMessage, attemptEndingTimestamp, rawData, lambdaArn.
	var e map[string]any
	if err := json.Unmarshal([]byte(bodies[1]), &e); err != nil {
		t.Fatal(err)
	}
	if e["rawData"] != base64.StdEncoding.EncodeToString([]byte("bad")) || e["errorCode"] != "Lambda.ProcessingFailedStatus" || e["attemptsMade"] != 1.0 {
		t.Errorf("error record %v", e)
	}
	calls = 0
	putClicks(t, c, "crash")
	sb.Advance(time.Minute)
	if calls != 4 { // NumberOfRetries is 3 by default
		t.Errorf("%d calls", calls)
	}
	if keys, bodies = archived(t, bucket); len(keys) != 3 || !strings.Contains(fmt.Sprint(bodies), "Lambda.FunctionError") {
		t.Errorf("%v %q", keys, bodies)
	}
}

func TestFirehoseDeniedRoleRetriesAndHasNoFreshness(t *testing.T) {
	sb, c, bucket := aDelivery(t, nil)
	r := sb.Region("")
	sb.do(func() { firehoseIn(r).denied[deliveryRole] = true })
	putClicks(t, c, "a")
	sb.Advance(30 * time.Minute)
	fresh := r.metrics.find("AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", "clicks")
	success := r.metrics.find("AWS/Firehose", "DeliveryToS3.Success", "DeliveryStreamName", "clicks")
	now := sb.Now()
	if p := fresh.between(now.Add(-20*time.Minute), now); p.count != 0 { // alarms.md fact 3
		t.Errorf("freshness while blocked: %+v", p)
	}
	if p := success.between(now.Add(-20*time.Minute), now); p.count < 15 || p.sum != 0 {
		t.Errorf("attempts while blocked: %+v", p)
	}
	sb.do(func() { firehoseIn(r).denied[deliveryRole] = false })
	sb.Advance(2 * time.Minute)
	if _, bodies := archived(t, bucket); len(bodies) != 1 || bodies[0] != "a" {
		t.Errorf("after the repair: %q", bodies)
	}
	if p := fresh.between(sb.Now().Add(-2*time.Minute), sb.Now()); p.max < 1800 {
		t.Errorf("the late delivery shows its age: %+v", p)
	}
}

func TestFirehoseReadsAKinesisStream(t *testing.T) {
	sb, bucket := aBucket(t)
	r := sb.Region("")
	var src *stream
	sb.do(func() {
		src = kinesisIn(r).create("orders", 1)
		src.send("k", []byte("before"))
	})
	c := firehoseClient(sb)
	_, err := c.CreateDeliveryStream(t.Context(), &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("clicks"), DeliveryStreamType: types.DeliveryStreamTypeKinesisStreamAsSource,
		KinesisStreamSourceConfiguration: &types.KinesisStreamSourceConfiguration{KinesisStreamARN: aws.String(string(src.arn)), RoleARN: aws.String(deliveryRole)},
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			BucketARN: aws.String("arn:aws:s3:::archive"), RoleARN: aws.String(deliveryRole),
			BufferingHints: &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(60)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	sb.Advance(firehoseSetupTime)
	_, err = c.PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: aws.String("clicks"), Record: &types.Record{Data: []byte("x")}})
	if codeOf(err) != "InvalidArgumentException" {
		t.Errorf("a put into a delivery stream with a source: %v", err)
	}
	sb.do(func() {
		src.send("k", []byte("one "))
		src.rescale(2)
		src.send("k", []byte("two"))
	})
	sb.Advance(2 * time.Minute)
	if _, bodies := archived(t, bucket); len(bodies) != 1 || bodies[0] != "one two" { // it starts at the tip
		t.Errorf("delivered %q", bodies)
	}
	// Nothing can be delivered: what is held is bounded, then the source is not read on.
	sb.do(func() { firehoseIn(r).denied[deliveryRole] = true })
	sb.Advance(10 * time.Minute)
	behind := r.metrics.find("AWS/Firehose", "KinesisMillisBehindLatest", "DeliveryStreamName", "clicks")
	if p := behind.between(sb.Now().Add(-3*time.Minute), sb.Now()); p.max < 300_000 {
		t.Errorf("behind while the role is denied: %+v", p)
	}
}

func TestFirehoseUpdateDestination(t *testing.T) {
	sb, c, bucket := aDelivery(t, nil)
	update := func(version string) error {
		_, err := c.UpdateDestination(t.Context(), &firehose.UpdateDestinationInput{
			DeliveryStreamName: aws.String("clicks"), CurrentDeliveryStreamVersionId: &version, DestinationId: aws.String(destinationID),
			ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{Prefix: aws.String("raw/")},
		})
		return err
	}
	if err := update("7"); codeOf(err) != "ConcurrentModificationException" {
		t.Errorf("a wrong version: %v", err)
	}
	if err := update("1"); err != nil {
		t.Fatal(err)
	}
	out, err := c.DescribeDeliveryStream(t.Context(), &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: aws.String("clicks")})
	if err != nil {
		t.Fatal(err)
	}
	d := out.DeliveryStreamDescription
	x := d.Destinations[0].ExtendedS3DestinationDescription
	got := []any{*d.VersionId, *x.Prefix, *x.BufferingHints.IntervalInSeconds, x.CompressionFormat, *d.Destinations[0].S3DestinationDescription.Prefix, d.DeliveryStreamStatus}
	want := []any{"2", "raw/", int32(60), types.CompressionFormatUncompressed, "raw/", types.DeliveryStreamStatusActive}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	putClicks(t, c, "a")
	sb.Advance(time.Minute)
	if keys, _ := archived(t, bucket); len(keys) != 1 || !strings.HasPrefix(keys[0], "raw/2026/11/22/12/clicks-2-") {
		t.Errorf("keys %v", keys)
	}
}

func TestFirehoseOtherDestinationsAreDescribedOnly(t *testing.T) {
	sb := empty(t)
	c := firehoseClient(sb)
	_, err := c.CreateDeliveryStream(t.Context(), &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: aws.String("search"),
		HttpEndpointDestinationConfiguration: &types.HttpEndpointDestinationConfiguration{
			EndpointConfiguration: &types.HttpEndpointConfiguration{Url: aws.String("https://example.com"), AccessKey: aws.String("secret"), Name: aws.String("x")},
			S3Configuration:       &types.S3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::archive"), RoleARN: aws.String(deliveryRole)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.DescribeDeliveryStream(t.Context(), &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: aws.String("search")})
	if err != nil {
		t.Fatal(err)
	}
	d := out.DeliveryStreamDescription
	h := d.Destinations[0].HttpEndpointDestinationDescription
	if h == nil || *h.EndpointConfiguration.Url != "https://example.com" || *h.S3DestinationDescription.BucketARN != "arn:aws:s3:::archive" {
		t.Errorf("described as %+v", h)
	}
	if d.FailureDescription == nil || !strings.Contains(*d.FailureDescription.Details, "delivers to Amazon S3 only") {
		t.Errorf("failure %+v", d.FailureDescription)
	}
}

func TestFirehoseBackupPartitionsAndPartialBatch(t *testing.T) {
	sb, c, bucket := aDelivery(t, func(in *firehose.CreateDeliveryStreamInput) {
		x := in.ExtendedS3DestinationConfiguration
		x.Prefix, x.ErrorOutputPrefix = aws.String("by/!{partitionKeyFromLambda:team}/"), aws.String("bad/!{firehose:error-output-type}/")
		x.BufferingHints.SizeInMBs = aws.Int32(64)
		x.DynamicPartitioningConfiguration = &types.DynamicPartitioningConfiguration{Enabled: aws.Bool(true)}
		x.S3BackupMode = types.S3BackupModeEnabled
		x.S3BackupConfiguration = &types.S3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::archive"), RoleARN: aws.String(deliveryRole), Prefix: aws.String("raw/")}
		x.ProcessingConfiguration = &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []types.Processor{{Type: types.ProcessorTypeLambda,
			Parameters: []types.ProcessorParameter{{ParameterName: types.ProcessorParameterNameLambdaArn, ParameterValue: aws.String("arn:aws:lambda:eu-west-1:123456789012:function:key")}}}}}
	})
	sb.do(func() {
		sb.regions[HomeRegion].invoke = func(_ ops.ARN, payload []byte) (invocation, error) {
			var in struct {
				Records []struct{ RecordID, Data string }
			}
			if err := json.Unmarshal(payload, &in); err != nil {
				return invocation{}, err
			}
			var out []map[string]any
			for i, r := range in.Records {
				out = append(out, map[string]any{"recordId": r.RecordID, "result": "Ok", "data": r.Data, "metadata": map[string]any{"partitionKeys": map[string]string{"team": fmt.Sprint(i % 2)}}})
			}
			b, err := json.Marshal(map[string]any{"records": out})
			return invocation{Payload: b}, err
		}
	})
	putClicks(t, c, "a", "b", "c")
	sb.Advance(time.Minute)
	keys, bodies := archived(t, bucket)
	if diff := cmp.Diff([]string{"ac", "b", "abc"}, bodies); diff != "" {
		t.Errorf("%v: %s", keys, diff)
	}
	if !strings.HasPrefix(keys[0], "by/0/2026/11/22/12/") || !strings.HasPrefix(keys[2], "raw/2026/11/22/12/") {
		t.Errorf("keys %v", keys)
	}
	sb.SetFaults(Fault{Kind: PartialBatch, Service: "firehose"})
	in := &firehose.PutRecordBatchInput{DeliveryStreamName: aws.String("clicks")}
	for range 60 {
		in.Records = append(in.Records, types.Record{Data: []byte("x")})
	}
	out, err := c.PutRecordBatch(t.Context(), in)
	if err != nil || *out.FailedPutCount == 0 || *out.FailedPutCount == 60 {
		t.Errorf("partial batch: %v, %v", out, err)
	}
}

func TestFirehoseListsTenByDefault(t *testing.T) {
	sb := empty(t)
	c, r := firehoseClient(sb), sb.Region("")
	sb.do(func() {
		for i := range 12 {
			_, err := firehoseIn(r).create(&firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String(fmt.Sprintf("d%02d", i)),
				S3DestinationConfiguration: &types.S3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::archive"), RoleARN: aws.String(deliveryRole)}})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	out, err := c.ListDeliveryStreams(t.Context(), &firehose.ListDeliveryStreamsInput{})
	if err != nil || len(out.DeliveryStreamNames) != 10 || !*out.HasMoreDeliveryStreams {
		t.Fatalf("%+v, %v", out, err)
	}
	out, err = c.ListDeliveryStreams(t.Context(), &firehose.ListDeliveryStreamsInput{ExclusiveStartDeliveryStreamName: &out.DeliveryStreamNames[9]})
	if err != nil || len(out.DeliveryStreamNames) != 2 || *out.HasMoreDeliveryStreams {
		t.Errorf("%+v, %v", out, err)
	}
}

// A delivery without records shows the same metrics as one with records.
func TestFirehoseFlow(t *testing.T) {
	sb, _, _ := aDelivery(t, nil)
	r := sb.Region("")
	var d *deliveryStream
	sb.do(func() {
		d = firehoseIn(r).streams["clicks"]
		d.flow = func(time.Time) (float64, float64) { return 600, 60_000 }
	})
	metric := func(name string, minutes int) datapoint {
		s := r.metrics.find("AWS/Firehose", name, "DeliveryStreamName", "clicks")
		if s == nil {
			return datapoint{}
		}
		return s.between(sb.Now().Add(-time.Duration(minutes)*time.Minute), sb.Now())
	}
	sb.Advance(30 * time.Minute)
	if p := metric("DeliveryToS3.DataFreshness", 10); p.count == 0 || p.max > 120 {
		t.Errorf("healthy freshness %+v", p)
	}
	if in, out := metric("IncomingRecords", 20).sum, metric("DeliveryToS3.Records", 20).sum; in != out || in == 0 {
		t.Errorf("%v records in, %v out", in, out)
	}
	sb.do(func() { d.lag = 0.5 })
	sb.Advance(40 * time.Minute)
	if p := metric("DeliveryToS3.DataFreshness", 1); p.max < 15*60 || p.max > 25*60 {
		t.Errorf("freshness after 40 minutes at half speed: %+v", p)
	}
	sb.do(func() { d.lag, firehoseIn(r).denied[deliveryRole] = 0, true })
	sb.Advance(10 * time.Minute)
	if p := metric("DeliveryToS3.DataFreshness", 9); p.count != 0 {
		t.Errorf("freshness while blocked: %+v", p)
	}
	sb.do(func() { d.freshWhileBlocked = true })
	sb.Advance(10 * time.Minute)
	if p := metric("DeliveryToS3.DataFreshness", 9); p.count == 0 || p.max < 30*60 {
		t.Errorf("freshness while blocked, shown: %+v", p)
	}
}

// Custom prefix page: its rules and examples.
func TestFirehosePrefixRules(t *testing.T) {
	at := time.Date(2018, 8, 27, 10, 30, 0, 0, time.UTC)
	for _, c := range []struct{ prefix, errors, want, wantErrors, refused string }{
		{"", "", "2018/08/27/10/", "processing-failed/2018/08/27/10/", ""},
		{"", "bad/!{firehose:error-output-type}/", "2018/08/27/10/", "bad/processing-failed/", ""},
		{"my/", "", "my/2018/08/27/10/", "my/processing-failed/2018/08/27/10/", ""},
		{"y=!{timestamp:yyyy}/m=!{timestamp:MM}/", "bad/!{firehose:error-output-type}/!{timestamp:yyyy}/any/!{timestamp:dd}", "y=2018/m=08/", "bad/processing-failed/2018/any/27", ""},
		{"!{timestamp:yyyy/MM/dd}", "", "", "", "cannot be null or empty when Prefix contains expressions"},
		{"!{firehose:error-output-type}/", "bad/", "", "", "cannot be used here"},
		{"my/", "bad/!{timestamp:yyyy}", "", "", "at least one instance of !{firehose:error-output-type}"},
		{"!{timestamp:yyyy", "bad/", "", "", "not closed"},
		{"!{timestamp:TT}", "bad/", "", "", "does not support"},
		{"!{partitionKeyFromQuery:x}", "bad/", "", "", "no jq"},
		{"!{nothing:x}", "bad/", "", "", "not known"},
	} {
		s := &deliverySink{role: deliveryRole}
		err := s.names(c.prefix, c.errors)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%q, %q: got %v, want %q", c.prefix, c.errors, err, c.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q, %q: %v", c.prefix, c.errors, err)
			continue
		}
		got, err1 := s.prefix.eval(at, nil, "", nil)
		gotErrors, err2 := s.errors.eval(at, nil, "processing-failed", nil)
		if got != c.want || gotErrors != c.wantErrors || err1 != nil || err2 != nil {
			t.Errorf("%q, %q: got %q and %q", c.prefix, c.errors, got, gotErrors)
		}
	}
}

func FuzzFirehosePrefix(f *testing.F) {
	f.Add("a/!{timestamp:yyyy'-'MM/dd}/!{firehose:random-string}", int64(0))
	f.Add("!{timestamp:''DDD h a EEE}", int64(1e9))
	f.Add("!{", int64(0))
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		n, err := parsePrefix(text, true)
		if err != nil {
			return
		}
		at := time.Unix(unix%1e11, 0).UTC()
		rng := newKernel(at, 1).rng
		if _, err := n.eval(at, rng, "processing-failed", nil); err != nil && !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%q parses and does not evaluate: %v", text, err)
		}
	})
}
