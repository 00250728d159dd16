package survey

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

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
	return b, nil
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
