package survey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"kxops/ops"
)

// maxBuckets bounds how many buckets are looked at.
const maxBuckets = 300

func (s *Survey) surveyBuckets(ctx context.Context) {
	survey(ctx, s, &s.picture.Buckets, source[ops.Bucket]{
		workers:  8,
		every:    locally,
		list:     s.listBuckets,
		key:      func(b ops.Bucket) string { return b.Name },
		describe: s.describeBucket,
	})
}

// listBuckets names the buckets of the pipelines: where deliveries write, who may
// notify a queue or a topic, and what a person named. The account's other buckets
// are none of our business, so ListBuckets is not called.
func (s *Survey) listBuckets(_ context.Context, found func([]ops.Bucket)) error {
	s.mu.Lock()
	names := s.picture.bucketNames()
	s.mu.Unlock()
	names = append(names, s.options.Buckets...)
	slices.Sort(names)
	names = slices.Compact(names)
	page := make([]ops.Bucket, 0, len(names))
	for _, name := range names[:min(len(names), maxBuckets)] {
		page = append(page, ops.Bucket{ARN: ops.ARN("arn:aws:s3:::" + name), Name: name})
	}
	found(page)
	return nil
}

func (s *Survey) describeBucket(ctx context.Context, b ops.Bucket) (ops.Bucket, error) {
	out, err := s.buckets.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &b.Name})
	if err != nil {
		return b, fmt.Errorf("read the notifications of bucket %s: %w", b.Name, err)
	}
	b.Notifications = nil
	for _, x := range out.QueueConfigurations {
		b.Notifications = append(b.Notifications, notification(x.Events, x.Filter, x.QueueArn))
	}
	for _, x := range out.TopicConfigurations {
		b.Notifications = append(b.Notifications, notification(x.Events, x.Filter, x.TopicArn))
	}
	for _, x := range out.LambdaFunctionConfigurations {
		b.Notifications = append(b.Notifications, notification(x.Events, x.Filter, x.LambdaFunctionArn))
	}
	return s.describeBucketMetrics(ctx, b)
}

// describeBucketMetrics reads which metrics of the bucket exist: those of requests
// and of replication are off unless somebody switched them on.
func (s *Survey) describeBucketMetrics(ctx context.Context, b ops.Bucket) (ops.Bucket, error) {
	b.Filters, b.Replicas, b.Unread = nil, nil, true
	in := &s3.ListBucketMetricsConfigurationsInput{Bucket: &b.Name}
	for n := 0; n == 0 || in.ContinuationToken != nil && n < maxPages; n++ {
		out, err := s.buckets.ListBucketMetricsConfigurations(ctx, in)
		if err != nil {
			if s.unsupported(err) {
				break
			}
			return b, &partlyError{fmt.Errorf("read the metrics filters of bucket %s: %w", b.Name, err)}
		}
		for _, f := range out.MetricsConfigurationList {
			b.Filters = append(b.Filters, aws.ToString(f.Id))
		}
		in.ContinuationToken = out.NextContinuationToken
	}
	slices.Sort(b.Filters)
	out, err := s.buckets.GetBucketReplication(ctx, &s3.GetBucketReplicationInput{Bucket: &b.Name})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "ReplicationConfigurationNotFoundError", s.unsupported(err):
	case err != nil:
		return b, &partlyError{fmt.Errorf("read the replication of bucket %s: %w", b.Name, err)}
	case out.ReplicationConfiguration != nil:
		b.Replicas = replicas(out.ReplicationConfiguration.Rules)
	}
	b.Unread = false
	return b, nil
}

// unsupported reports whether the place does not have an operation at all: then it
// has nothing of what the operation would show.
func (s *Survey) unsupported(err error) bool {
	return err != nil && s.cloud.Explain(err).Fault == ops.FaultUnsupported
}

// replicas are the rules that are on and have metrics.
func replicas(rules []types.ReplicationRule) []ops.Replica {
	var out []ops.Replica
	for _, r := range rules {
		if d := r.Destination; r.Status == types.ReplicationRuleStatusEnabled && d != nil && d.Metrics != nil && d.Metrics.Status == types.MetricsStatusEnabled {
			out = append(out, ops.Replica{Rule: aws.ToString(r.ID), To: ops.ARN(aws.ToString(d.Bucket))})
		}
	}
	slices.SortFunc(out, func(a, b ops.Replica) int { return strings.Compare(a.Rule, b.Rule) })
	return out
}

func notification(events []types.Event, filter *types.NotificationConfigurationFilter, target *string) ops.Notification {
	n := ops.Notification{Target: ops.ARN(aws.ToString(target)).Unqualified()}
	for _, e := range events {
		n.Events = append(n.Events, string(e))
	}
	if filter == nil || filter.Key == nil {
		return n
	}
	for _, rule := range filter.Key.FilterRules {
		switch strings.ToLower(string(rule.Name)) { // S3 answers it in either case
		case "prefix":
			n.Prefix = aws.ToString(rule.Value)
		case "suffix":
			n.Suffix = aws.ToString(rule.Value)
		}
	}
	return n
}
