package conformance

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"kxops/labs/sandbox"
)

func (x *run) bucket() string {
	name := x.name("bucket")
	_, err := x.set.s3.CreateBucket(x.ctx, &s3.CreateBucketInput{
		Bucket:                    &name,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: sandbox.HomeRegion},
	})
	x.must("CreateBucket", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name})
		return err
	})
	return name
}

var bucketCases = []oneCase{
	{name: "says what a bucket notifies", service: "S3", operation: "GetBucketNotificationConfiguration", run: func(x *run) {
		bucket := x.bucket()
		queue, arn := x.queue(map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}]}`})
		_ = queue
		_, err := x.set.s3.PutBucketNotificationConfiguration(x.ctx, &s3.PutBucketNotificationConfigurationInput{
			Bucket: &bucket,
			NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{{
				QueueArn: &arn,
				Events:   []types.Event{"s3:ObjectCreated:*"},
				Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{
					{Name: types.FilterRuleNamePrefix, Value: aws.String("in/")}, {Name: types.FilterRuleNameSuffix, Value: aws.String(".gz")},
				}}},
			}}},
		})
		x.must("PutBucketNotificationConfiguration", err)
		out, err := x.s3.GetBucketNotificationConfiguration(x.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &bucket})
		x.must("GetBucketNotificationConfiguration", err)
		if len(out.QueueConfigurations) != 1 {
			x.fatalf("%d queue notifications, want 1", len(out.QueueConfigurations))
		}
		q := out.QueueConfigurations[0]
		equal(x, "target", aws.ToString(q.QueueArn), arn)
		if len(q.Events) != 1 || q.Events[0] != "s3:ObjectCreated:*" {
			x.errorf("events are %v", q.Events)
		}
		if q.Filter == nil || q.Filter.Key == nil || len(q.Filter.Key.FilterRules) != 2 {
			x.errorf("filter is %+v, want prefix and suffix", q.Filter)
		}
	}},
	{name: "a bucket without notifications has none", service: "S3", operation: "GetBucketNotificationConfiguration", run: func(x *run) {
		bucket := x.bucket()
		out, err := x.s3.GetBucketNotificationConfiguration(x.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &bucket})
		x.must("GetBucketNotificationConfiguration", err)
		equal(x, "notifications", len(out.QueueConfigurations)+len(out.TopicConfigurations)+len(out.LambdaFunctionConfigurations), 0)
	}},
	{name: "a missing bucket is NoSuchBucket", service: "S3", operation: "GetBucketNotificationConfiguration", run: func(x *run) {
		_, err := x.s3.GetBucketNotificationConfiguration(x.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: aws.String(x.name("none"))})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "NoSuchBucket" {
			x.errorf("err = %v", err)
		}
	}},
	{name: "lists the filters of request metrics", service: "S3", operation: "ListBucketMetricsConfigurations", run: func(x *run) {
		bucket := x.bucket()
		out, err := x.s3.ListBucketMetricsConfigurations(x.ctx, &s3.ListBucketMetricsConfigurationsInput{Bucket: &bucket})
		x.must("ListBucketMetricsConfigurations", err)
		equal(x, "filters of a new bucket", len(out.MetricsConfigurationList), 0)
		_, err = x.set.s3.PutBucketMetricsConfiguration(x.ctx, &s3.PutBucketMetricsConfigurationInput{
			Bucket: &bucket, Id: aws.String("all"), MetricsConfiguration: &types.MetricsConfiguration{Id: aws.String("all")},
		})
		x.must("PutBucketMetricsConfiguration", err)
		out, err = x.s3.ListBucketMetricsConfigurations(x.ctx, &s3.ListBucketMetricsConfigurationsInput{Bucket: &bucket})
		x.must("ListBucketMetricsConfigurations", err)
		if len(out.MetricsConfigurationList) != 1 || aws.ToString(out.MetricsConfigurationList[0].Id) != "all" {
			x.errorf("filters %+v", out.MetricsConfigurationList)
		}
	}},
	{name: "a bucket that is not replicated says so", service: "S3", operation: "GetBucketReplication", run: func(x *run) {
		bucket := x.bucket()
		_, err := x.s3.GetBucketReplication(x.ctx, &s3.GetBucketReplicationInput{Bucket: &bucket})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "ReplicationConfigurationNotFoundError" {
			x.errorf("err = %v", err)
		}
	}},
	{name: "says where a bucket is replicated and whether there are metrics", service: "S3", operation: "GetBucketReplication", run: func(x *run) {
		bucket, other := x.bucket(), x.bucket()
		for _, b := range []string{bucket, other} {
			_, err := x.set.s3.PutBucketVersioning(x.ctx, &s3.PutBucketVersioningInput{Bucket: &b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
			x.must("PutBucketVersioning", err)
		}
		_, err := x.set.s3.PutBucketReplication(x.ctx, &s3.PutBucketReplicationInput{Bucket: &bucket, ReplicationConfiguration: &types.ReplicationConfiguration{
			Role: aws.String(role), Rules: []types.ReplicationRule{{
				ID: aws.String("everything"), Status: types.ReplicationRuleStatusEnabled, Priority: aws.Int32(1), Filter: &types.ReplicationRuleFilter{Prefix: aws.String("")},
				DeleteMarkerReplication: &types.DeleteMarkerReplication{Status: types.DeleteMarkerReplicationStatusDisabled},
				Destination:             &types.Destination{Bucket: aws.String("arn:aws:s3:::" + other), Metrics: &types.Metrics{Status: types.MetricsStatusEnabled}},
			}},
		}})
		x.must("PutBucketReplication", err)
		out, err := x.s3.GetBucketReplication(x.ctx, &s3.GetBucketReplicationInput{Bucket: &bucket})
		x.must("GetBucketReplication", err)
		if out.ReplicationConfiguration == nil || len(out.ReplicationConfiguration.Rules) != 1 {
			x.fatalf("replication %+v", out.ReplicationConfiguration)
		}
		rule := out.ReplicationConfiguration.Rules[0]
		equal(x, "rule", aws.ToString(rule.ID), "everything")
		if d := rule.Destination; d == nil || aws.ToString(d.Bucket) != "arn:aws:s3:::"+other || d.Metrics == nil || d.Metrics.Status != types.MetricsStatusEnabled {
			x.errorf("destination %+v", d)
		}
	}},
	{name: "lists the objects under a prefix, in pages and in order", service: "S3", operation: "ListObjectsV2", run: func(x *run) {
		bucket := x.bucket()
		for _, key := range []string{"in/2026/11/17/08/b", "in/2026/11/17/08/a", "in/2026/11/17/09/c", "other/d"} {
			x.object(bucket, key, "12345")
		}
		pages := s3.NewListObjectsV2Paginator(x.s3, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String("in/2026/11/17/"), MaxKeys: aws.Int32(2)})
		var keys []string
		n := 0
		for ; pages.HasMorePages() && n < 9; n++ {
			page, err := pages.NextPage(x.ctx)
			x.must("ListObjectsV2", err)
			for _, o := range page.Contents {
				keys = append(keys, aws.ToString(o.Key))
				if aws.ToInt64(o.Size) != 5 || aws.ToString(o.ETag) == "" || o.LastModified == nil {
					x.errorf("object %+v lacks size, ETag or time", o)
				}
			}
		}
		equal(x, "pages", n, 2)
		equal(x, "keys", strings.Join(keys, " "), "in/2026/11/17/08/a in/2026/11/17/08/b in/2026/11/17/09/c")
		out, err := x.s3.ListObjectsV2(x.ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String("in/"), Delimiter: aws.String("/")})
		x.must("ListObjectsV2", err)
		if len(out.CommonPrefixes) != 1 || aws.ToString(out.CommonPrefixes[0].Prefix) != "in/2026/" || len(out.Contents) != 0 {
			x.errorf("folders %+v, objects %+v", out.CommonPrefixes, out.Contents)
		}
	}},
	{name: "an object that is not what it was is not read", service: "S3", operation: "GetObject", run: func(x *run) {
		bucket := x.bucket()
		x.object(bucket, "changed", "one")
		head, err := x.s3.HeadObject(x.ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("changed")})
		x.must("HeadObject", err)
		x.object(bucket, "changed", "two")
		_, err = x.s3.GetObject(x.ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("changed"), IfMatch: head.ETag})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "PreconditionFailed" {
			x.errorf("err = %v", err)
		}
	}},
	{name: "says how large an object is, without reading it", service: "S3", operation: "HeadObject", run: func(x *run) {
		bucket := x.bucket()
		x.object(bucket, "large/payload 1.json", `{"order":7}`)
		out, err := x.s3.HeadObject(x.ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("large/payload 1.json")})
		x.must("HeadObject", err)
		equal(x, "size", aws.ToInt64(out.ContentLength), 11)
		if out.LastModified == nil {
			x.errorf("no time of the last change")
		}
	}},
	{name: "a missing object is not found", service: "S3", operation: "HeadObject", run: func(x *run) {
		bucket := x.bucket()
		_, err := x.s3.HeadObject(x.ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("none")})
		var missing *types.NotFound
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "an archived object is asked back, and its state is in the listing", service: "S3", operation: "RestoreObject", run: func(x *run) {
		bucket, key := x.bucket(), aws.String("2026/11/17/08/old.gz")
		_, err := x.set.s3.PutObject(x.ctx, &s3.PutObjectInput{Bucket: &bucket, Key: key, Body: strings.NewReader("old"), StorageClass: types.StorageClassGlacier})
		x.must("PutObject", err)
		x.emptied(bucket)
		var cold *types.InvalidObjectState
		if _, err := x.s3.GetObject(x.ctx, &s3.GetObjectInput{Bucket: &bucket, Key: key}); !errors.As(err, &cold) {
			x.errorf("read before it is back: %v", err)
		}
		_, err = x.s3.RestoreObject(x.ctx, &s3.RestoreObjectInput{Bucket: &bucket, Key: key,
			RestoreRequest: &types.RestoreRequest{Days: aws.Int32(2), GlacierJobParameters: &types.GlacierJobParameters{Tier: types.TierExpedited}}})
		x.must("RestoreObject", err)
		x.until("the object is back", func() (bool, error) {
			out, err := x.s3.ListObjectsV2(x.ctx, &s3.ListObjectsV2Input{Bucket: &bucket, OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus}})
			if err != nil || len(out.Contents) != 1 {
				return false, err
			}
			state := out.Contents[0].RestoreStatus
			return state != nil && !aws.ToBool(state.IsRestoreInProgress) && state.RestoreExpiryDate != nil, nil
		})
		out, err := x.s3.GetObject(x.ctx, &s3.GetObjectInput{Bucket: &bucket, Key: key})
		x.must("GetObject", err)
		body, err := io.ReadAll(out.Body)
		x.must("read", errors.Join(err, out.Body.Close()))
		equal(x, "object", string(body), "old")
	}},
	{name: "what is not archived has nothing to restore", service: "S3", operation: "RestoreObject", run: func(x *run) {
		bucket := x.bucket()
		x.object(bucket, "warm", "one")
		_, err := x.s3.RestoreObject(x.ctx, &s3.RestoreObjectInput{Bucket: &bucket, Key: aws.String("warm"), RestoreRequest: &types.RestoreRequest{Days: aws.Int32(1)}})
		var api smithy.APIError
		// S3 answers the first; the API reference lists the second.
		if !errors.As(err, &api) || api.ErrorCode() != "InvalidObjectState" && api.ErrorCode() != "ObjectAlreadyInActiveTierError" {
			x.errorf("err = %v", err)
		}
	}},
	{name: "reads an object byte for byte", service: "S3", operation: "GetObject", run: func(x *run) {
		bucket := x.bucket()
		x.object(bucket, "large/payload", "<html>\x00 not a web page")
		out, err := x.s3.GetObject(x.ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("large/payload")})
		x.must("GetObject", err)
		body, err := io.ReadAll(out.Body)
		x.must("read", err)
		x.must("close", out.Body.Close())
		equal(x, "object", string(body), "<html>\x00 not a web page")
	}},
	{name: "a missing object is NoSuchKey", service: "S3", operation: "GetObject", run: func(x *run) {
		bucket := x.bucket()
		_, err := x.s3.GetObject(x.ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("none")})
		var missing *types.NoSuchKey
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
}

// emptied takes everything out of a bucket at the end.
func (x *run) emptied(bucket string) {
	x.after(func(ctx context.Context) error {
		out, err := x.set.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
		if err != nil {
			return err
		}
		for _, o := range out.Contents {
			if _, err := x.set.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *run) object(bucket, key, content string) {
	_, err := x.set.s3.PutObject(x.ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content)})
	x.must("PutObject", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
		return err
	})
}
