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
