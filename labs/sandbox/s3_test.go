package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

func s3Client(sb *Sandbox, pathStyle bool) *s3.Client {
	return s3.NewFromConfig(sb.Config(), func(o *s3.Options) { o.RetryMaxAttempts, o.UsePathStyle = 1, pathStyle })
}

// aBucket makes a bucket "archive".
func aBucket(t *testing.T) (*Sandbox, *s3.Client) {
	t.Helper()
	sb := empty(t)
	c := s3Client(sb, false)
	makeBucket(t, c, "archive")
	return sb, c
}

func makeBucket(t *testing.T, c *s3.Client, name string) {
	t.Helper()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: HomeRegion}}); err != nil {
		t.Fatal(err)
	}
}

func putObject(t *testing.T, c *s3.Client, key, body string) {
	t.Helper()
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("archive"), Key: &key, Body: strings.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
}

func getObject(t *testing.T, c *s3.Client, in *s3.GetObjectInput) (string, error) {
	t.Helper()
	in.Bucket = aws.String("archive")
	out, err := c.GetObject(t.Context(), in)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(out.Body)
	return string(b), err
}

func TestS3PutAndGet(t *testing.T) {
	for _, pathStyle := range []bool{true, false} {
		sb := empty(t)
		c := s3Client(sb, pathStyle)
		makeBucket(t, c, "archive")
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("archive"), Key: aws.String("a dir/ö+1.txt"), Body: strings.NewReader("hello, world"),
			ContentType: aws.String("text/plain"), Metadata: map[string]string{"origin": "test"},
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("archive"), Key: aws.String("a dir/ö+1.txt")})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		got := []any{string(body), *out.ContentType, out.Metadata["origin"], *out.ETag, *out.ContentLength}
		want := []any{"hello, world", "text/plain", "test", `"e4d7f1b4ed2e42d15898f4b27b019da4"`, int64(12)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("path style %v: %s", pathStyle, diff)
		}
		part, err := getObject(t, c, &s3.GetObjectInput{Key: aws.String("a dir/ö+1.txt"), Range: aws.String("bytes=7-")})
		if err != nil || part != "world" {
			t.Errorf("range: %q, %v", part, err)
		}
		if n := sb.Bill().Calls["s3.PutObject"]; n != 1 {
			t.Errorf("%d puts on the bill", n)
		}
	}
}

func TestS3OverASocketWithTrailingChecksum(t *testing.T) {
	sb := empty(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- sb.Serve(l) }()
	cfg := sb.Config()
	cfg.HTTPClient = nil
	cfg.BaseEndpoint = aws.String("http://" + l.Addr().String())
	c := s3.NewFromConfig(cfg)
	makeBucket(t, c, "archive")
	putObject(t, c, "k", strings.Repeat("x", 200_000))
	got, err := getObject(t, c, &s3.GetObjectInput{Key: aws.String("k")})
	if err != nil || len(got) != 200_000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	l.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestS3Listing(t *testing.T) {
	_, c := aBucket(t)
	for _, k := range []string{"a/1", "a/2", "b/1", "c", "d"} {
		putObject(t, c, k, k)
	}
	p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String("archive"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(1)})
	var got []string
	for p.HasMorePages() {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page.CommonPrefixes {
			got = append(got, *x.Prefix)
		}
		for _, x := range page.Contents {
			got = append(got, *x.Key)
		}
	}
	if diff := cmp.Diff([]string{"a/", "b/", "c", "d"}, got); diff != "" {
		t.Error(diff)
	}
	out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("archive"), StartAfter: aws.String("a/1"), Prefix: aws.String("a/")})
	if err != nil || len(out.Contents) != 1 || *out.Contents[0].Key != "a/2" {
		t.Errorf("start after: %v, %v", out, err)
	}
}

func TestS3Notifications(t *testing.T) {
	sb, c := aBucket(t)
	r := sb.Region("")
	var events []map[string]any
	sb.do(func() {
		r.receivers["sqs"] = func(target ops.ARN, d delivery) error {
			if target.Name() == "closed" {
				return fmt.Errorf("no such queue")
			}
			var e map[string]any
			if err := json.Unmarshal(d.Body, &e); err != nil {
				return err
			}
			events = append(events, e)
			return nil
		}
	})
	configure := func(queue string) error {
		_, err := c.PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{
			Bucket: aws.String("archive"),
			NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{{
				QueueArn: aws.String(string(r.arn("sqs", queue))), Events: []types.Event{"s3:ObjectCreated:*"},
				Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{{Name: types.FilterRuleNamePrefix, Value: aws.String("in/")}}}},
			}}},
		})
		return err
	}
	if err := configure("closed"); codeOf(err) != "InvalidArgument" {
		t.Errorf("an unreachable queue: %v", err)
	}
	if err := configure("open"); err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || events[0]["Event"] != "s3:TestEvent" {
		t.Fatalf("test event: %v", events)
	}
	putObject(t, c, "out/1", "x")
	putObject(t, c, "in/a b", "x")
	sb.Advance(time.Minute)
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	record := events[1]["Records"].([]any)[0].(map[string]any)
	if record["eventName"] != "ObjectCreated:Put" || record["s3"].(map[string]any)["object"].(map[string]any)["key"] != "in/a+b" {
		t.Errorf("got %v", record)
	}
	got, err := c.GetBucketNotificationConfiguration(t.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: aws.String("archive")})
	if err != nil || len(got.QueueConfigurations) != 1 || *got.QueueConfigurations[0].Filter.Key.FilterRules[0].Value != "in/" {
		t.Errorf("read back: %v, %v", got, err)
	}
}

func TestUnchunk(t *testing.T) {
	body, trailer, err := unchunk(bufio.NewReader(strings.NewReader("5;chunk-signature=ab\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n")))
	if err != nil || !bytes.Equal(body, []byte("hello")) || trailer.Get("x-amz-checksum-crc32") != "AAAA" {
		t.Errorf("%q, %v, %v", body, trailer, err)
	}
}

func FuzzUnchunk(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte("ffffffff\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		body, _, err := unchunk(bufio.NewReader(bytes.NewReader(in)))
		if err == nil && len(body) > len(in) {
			t.Errorf("%d bytes out of %d", len(body), len(in))
		}
	})
}
