package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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

func TestS3Versions(t *testing.T) {
	_, c := aBucket(t)
	ctx, bucket, key := t.Context(), aws.String("archive"), aws.String("k")
	putObject(t, c, "k", "zero")
	if _, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	putObject(t, c, "k", "one")
	gone, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key})
	if err != nil || !aws.ToBool(gone.DeleteMarker) {
		t.Fatal(gone, err)
	}
	if _, err := getObject(t, c, &s3.GetObjectInput{Key: key}); codeOf(err) != "NoSuchKey" {
		t.Errorf("behind a delete marker: %v", err)
	}
	if list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket}); err != nil || len(list.Contents) != 0 {
		t.Errorf("listed behind a delete marker: %v, %v", list, err)
	}
	p := s3.NewListObjectVersionsPaginator(c, &s3.ListObjectVersionsInput{Bucket: bucket, MaxKeys: aws.Int32(1)})
	var bodies []string
	markers := 0
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		markers += len(page.DeleteMarkers)
		for _, v := range page.Versions {
			body, err := getObject(t, c, &s3.GetObjectInput{Key: key, VersionId: v.VersionId})
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, body)
		}
	}
	if diff := cmp.Diff([]string{"one", "zero"}, bodies); diff != "" || markers != 1 {
		t.Errorf("%d markers, %s", markers, diff)
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: gone.VersionId}); err != nil {
		t.Fatal(err)
	}
	if body, err := getObject(t, c, &s3.GetObjectInput{Key: key}); err != nil || body != "one" {
		t.Errorf("without the delete marker: %q, %v", body, err)
	}
}

// What is archived is read as a copy, which has to be asked for, takes its time by tier
// and class, and ends at a midnight.
func TestS3ArchivedObjects(t *testing.T) {
	sb, c := aBucket(t)
	ctx, bucket := t.Context(), aws.String("archive")
	ask := func(key string, tier types.Tier, days int32) error {
		_, err := c.RestoreObject(ctx, &s3.RestoreObjectInput{Bucket: bucket, Key: &key,
			RestoreRequest: &types.RestoreRequest{Days: &days, GlacierJobParameters: &types.GlacierJobParameters{Tier: tier}}})
		return err
	}
	listed := func(key string) *types.RestoreStatus {
		out, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &key,
			OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus}})
		if err != nil || len(out.Contents) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		return out.Contents[0].RestoreStatus
	}
	read := func(key string) string {
		body, err := getObject(t, c, &s3.GetObjectInput{Key: &key})
		if err != nil {
			return codeOf(err)
		}
		return body
	}
	for key, class := range map[string]types.StorageClass{"glacier": types.StorageClassGlacier, "deep": types.StorageClassDeepArchive, "warm": types.StorageClassStandardIa} {
		putObject(t, c, key, "old")
		if _, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: &key, CopySource: aws.String("archive/" + key), StorageClass: class}); err != nil {
			t.Fatal(err)
		}
	}
	refusals := map[string]string{"deep": codeOf(ask("deep", types.TierExpedited, 1)), "warm": codeOf(ask("warm", types.TierStandard, 1)),
		"no days": codeOf(ask("deep", types.TierStandard, 0)), "read": read("glacier"), "none": codeOf(ask("none", types.TierBulk, 1))}
	if diff := cmp.Diff(map[string]string{"deep": "InvalidArgument", "warm": "InvalidObjectState", "no days": "MalformedXML", "read": "InvalidObjectState", "none": "NoSuchKey"}, refusals); diff != "" {
		t.Error(diff)
	}
	if state := listed("glacier"); state != nil {
		t.Errorf("before anybody asked: %+v", state)
	}
	began := sb.Now()
	if err := errors.Join(ask("glacier", types.TierBulk, 1), ask("glacier", types.TierExpedited, 1), ask("deep", types.TierStandard, 2)); err != nil {
		t.Fatal(err) // the second is an upgrade
	}
	if err := ask("glacier", types.TierStandard, 1); codeOf(err) != "RestoreAlreadyInProgress" {
		t.Errorf("restoring twice: %v", err)
	}
	head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("glacier")})
	if err != nil || head.StorageClass != types.StorageClassGlacier || aws.ToString(head.Restore) != `ongoing-request="true"` || *head.ContentLength != 3 {
		t.Errorf("head: %+v, %v", head, err)
	}
	if state := listed("glacier"); state == nil || !*state.IsRestoreInProgress || state.RestoreExpiryDate != nil {
		t.Errorf("on its way: %+v", state)
	}
	sb.Advance(5 * time.Minute)
	till := copyEnds(began.Add(5*time.Minute), 1)
	if state := listed("glacier"); read("glacier") != "old" || state == nil || *state.IsRestoreInProgress || !state.RestoreExpiryDate.Equal(till) {
		t.Errorf("after the restore: %q %+v, till %v", read("glacier"), state, till)
	}
	sb.Advance(13 * time.Hour)
	if got := read("deep"); got != "old" {
		t.Errorf("the deep one: %q", got)
	}
	if err := ask("glacier", types.TierStandard, 5); err != nil { // longer
		t.Error(err)
	}
	later := copyEnds(sb.Now(), 5)
	sb.Advance(till.Sub(sb.Now()))
	if got := read("glacier"); got != "old" {
		t.Errorf("it was to stay longer: %q", got)
	}
	sb.Advance(later.Sub(sb.Now()))
	if state := listed("glacier"); read("glacier") != "InvalidObjectState" || state != nil {
		t.Errorf("when the copy has ended: %q %+v", read("glacier"), state)
	}
}

// A lifecycle moves and ends objects at midnights, those below 128 KiB only where the rule
// has a size; an object that moved keeps its ETag and its time.
func TestS3Lifecycle(t *testing.T) {
	sb, c := aBucket(t)
	ctx, bucket := t.Context(), aws.String("archive")
	large := strings.Repeat("x", leastMoved)
	for key, body := range map[string]string{"in/large": large, "in/small": "x", "all/small": "x", "all/empty": "", "off/large": large, "other": large} {
		putObject(t, c, key, body)
	}
	days := func(n int32, class types.TransitionStorageClass) types.Transition {
		return types.Transition{Days: &n, StorageClass: class}
	}
	_, err := c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
		{ID: aws.String("a"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("in/")},
			Transitions: []types.Transition{days(2, "GLACIER"), days(5, "DEEP_ARCHIVE")}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(9)}},
		{ID: aws.String("b"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{Prefix: aws.String("all/"), ObjectSizeGreaterThan: aws.Int64(0)}},
			Transitions: []types.Transition{days(0, "GLACIER")}},
		{ID: aws.String("c"), Status: types.ExpirationStatusDisabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("off/")}, Transitions: []types.Transition{days(0, "GLACIER")}},
		{ID: aws.String("d"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Tag: &types.Tag{Key: aws.String("k"), Value: aws.String("v")}}, Transitions: []types.Transition{days(0, "GLACIER")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	classes := func() map[string]string {
		out, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for _, o := range out.Contents {
			m[*o.Key] = string(o.StorageClass)
		}
		return m
	}
	to := func(day int) { // just behind its midnight
		at := sb.Now().UTC().Truncate(24 * time.Hour)
		sb.Advance(at.AddDate(0, 0, day).Add(time.Minute).Sub(sb.Now()))
	}
	want := map[string]string{"in/large": "STANDARD", "in/small": "STANDARD", "all/small": "GLACIER", "all/empty": "STANDARD", "off/large": "STANDARD", "other": "STANDARD"}
	to(1)
	if diff := cmp.Diff(want, classes()); diff != "" {
		t.Error("after a day", diff)
	}
	to(1)
	if diff := cmp.Diff(want, classes()); diff != "" { // two days are over, their midnight is not
		t.Error("after two days", diff)
	}
	to(1)
	want["in/large"] = "GLACIER"
	if diff := cmp.Diff(want, classes()); diff != "" {
		t.Error("after three days", diff)
	}
	to(3)
	want["in/large"] = "DEEP_ARCHIVE"
	if diff := cmp.Diff(want, classes()); diff != "" {
		t.Error("after six days", diff)
	}
	to(4)
	delete(want, "in/large")
	delete(want, "in/small")
	if diff := cmp.Diff(want, classes()); diff != "" {
		t.Error("after ten days", diff)
	}
}

func TestS3Errors(t *testing.T) {
	sb, c := aBucket(t)
	ctx, bucket := t.Context(), aws.String("archive")
	putObject(t, c, "k", "body")
	etag := aws.String(`"841a2d689ad86bd1611447453c22c6fc"`)
	other := s3.NewFromConfig(sb.Config(), func(o *s3.Options) { o.Region, o.RetryMaxAttempts = "us-east-2", 1 })
	for what, got := range map[string]struct {
		err  error
		want string
	}{
		"no such bucket": {func() error {
			_, e := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("nobody")})
			return e
		}(), "NoSuchBucket"},
		"head of nothing": {func() error {
			_, e := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("no")})
			return e
		}(), "NotFound"},
		"twice": {func() error {
			_, e := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: HomeRegion}})
			return e
		}(), "BucketAlreadyOwnedByYou"},
		"elsewhere": {func() error {
			_, e := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("new"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "us-west-1"}})
			return e
		}(), "IllegalLocationConstraintException"},
		"bad name": {func() error {
			_, e := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("1.2.3.4")})
			return e
		}(), "InvalidBucketName"},
		"not empty":    {func() error { _, e := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket}); return e }(), "BucketNotEmpty"},
		"wrong region": {func() error { _, e := other.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket}); return e }(), "PermanentRedirect"},
		"changed since": {func() error {
			_, e := getObject(t, c, &s3.GetObjectInput{Key: aws.String("k"), IfMatch: aws.String(`"x"`)})
			return e
		}(), "PreconditionFailed"},
		"unchanged": {func() error {
			_, e := getObject(t, c, &s3.GetObjectInput{Key: aws.String("k"), IfMatch: etag})
			return e
		}(), ""},
		"beyond the end": {func() error {
			_, e := getObject(t, c, &s3.GetObjectInput{Key: aws.String("k"), Range: aws.String("bytes=9-")})
			return e
		}(), "InvalidRange"},
		"exists already": {func() error {
			_, e := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), IfNoneMatch: aws.String("*"), Body: strings.NewReader("")})
			return e
		}(), "PreconditionFailed"},
		"corrupt": {func() error {
			_, e := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k2"), ChecksumSHA256: aws.String("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), Body: strings.NewReader("x")})
			return e
		}(), "BadDigest"},
		"an ACL": {func() error {
			_, e := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k3"), ACL: types.ObjectCannedACLPublicRead, Body: strings.NewReader("x")})
			return e
		}(), "NotImplemented"},
		"an unknown operation": {func() error { _, e := c.GetBucketWebsite(ctx, &s3.GetBucketWebsiteInput{Bucket: bucket}); return e }(), "NotImplemented"},
		"no tags":              {func() error { _, e := c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: bucket}); return e }(), "NoSuchTagSet"},
	} {
		if codeOf(got.err) != got.want || got.want == "" && got.err != nil {
			t.Errorf("%s: got %v, want %s", what, got.err, got.want)
		}
	}
	sb.SetFaults(Fault{Kind: Throttle, Service: "s3", Operation: "HeadBucket"}, Fault{Kind: ResetAfter, Service: "s3", Operation: "PutObject"})
	if _, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("throttled: %v", err)
	}
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("after"), Body: strings.NewReader("x")}); err == nil || !strings.Contains(err.Error(), "connection reset") {
		t.Errorf("reset: %v", err)
	}
	if body, err := getObject(t, c, &s3.GetObjectInput{Key: aws.String("after")}); err != nil || body != "x" {
		t.Errorf("the put took effect: %q, %v", body, err)
	}
}

func TestS3CopyAndDeleteMany(t *testing.T) {
	_, c := aBucket(t)
	ctx, bucket := t.Context(), aws.String("archive")
	putObject(t, c, "a", "body")
	if _, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("b"), CopySource: aws.String("archive/a")}); err != nil {
		t.Fatal(err)
	}
	if body, err := getObject(t, c, &s3.GetObjectInput{Key: aws.String("b")}); err != nil || body != "body" {
		t.Errorf("the copy: %q, %v", body, err)
	}
	out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("b")}, {Key: aws.String("none")}}}})
	if err != nil || len(out.Deleted) != 3 || len(out.Errors) != 0 {
		t.Errorf("got %+v, %v", out, err)
	}
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket}); err != nil {
		t.Errorf("an empty bucket: %v", err)
	}
}

func TestS3BucketsAreOneNamespace(t *testing.T) {
	sb, c := aBucket(t)
	ctx := t.Context()
	other := s3.NewFromConfig(sb.Config(), func(o *s3.Options) { o.Region, o.RetryMaxAttempts = "us-east-1", 1 })
	for _, n := range []string{"b1", "b2", "b3"} {
		if _, err := other.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(n + "-east")}); err != nil {
			t.Fatal(err)
		}
	}
	p := s3.NewListBucketsPaginator(c, &s3.ListBucketsInput{MaxBuckets: aws.Int32(3)})
	got := map[string]string{}
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.Buckets {
			got[*b.Name] = *b.BucketRegion
		}
	}
	if len(got) != 4 || got["archive"] != HomeRegion || got["b3-east"] != "us-east-1" {
		t.Errorf("got %v", got)
	}
	where, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("archive")})
	if err != nil || where.LocationConstraint != HomeRegion {
		t.Errorf("location %v, %v", where, err)
	}
}

// What SDKs of other languages send over plain HTTP: aws-chunked with the
// checksum in a trailer.
func TestS3TrailingChecksum(t *testing.T) {
	sb, c := aBucket(t)
	for _, x := range []struct {
		crc32 string
		want  int
	}{{"NhCmhg==", http.StatusOK}, {"AAAAAA==", http.StatusBadRequest}} {
		req, err := http.NewRequestWithContext(t.Context(), "PUT", "http://archive."+inProcessHost+"/k",
			strings.NewReader("3\r\nhel\r\n2\r\nlo\r\n0\r\nx-amz-checksum-crc32:"+x.crc32+"\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{
			"Authorization":        "AWS4-HMAC-SHA256 Credential=AKIASANDBOX/20261122/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0",
			"Content-Encoding":     "aws-chunked",
			"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": "5",
		} {
			req.Header.Set(k, v)
		}
		resp, err := sb.Config().HTTPClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != x.want {
			t.Errorf("checksum %s: status %d, want %d: %s", x.crc32, resp.StatusCode, x.want, body)
		}
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("archive"), Key: aws.String("k")})
	if err != nil || head.ContentEncoding != nil || *head.ContentLength != 5 {
		t.Errorf("stored as %+v, %v", head, err)
	}
}
