package survey

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// store makes a versioned bucket, and a client that sets it up.
func (p place) store(t testing.TB, name string) *s3.Client {
	t.Helper()
	c := s3.NewFromConfig(p.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: sandbox.HomeRegion}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestABucketsPaidMetricsAreFound(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{Buckets: []string{"lake", "plain"}})
	p.store(t, "plain")
	c := p.store(t, "lake")
	_, err := c.PutBucketMetricsConfiguration(t.Context(), &s3.PutBucketMetricsConfigurationInput{
		Bucket: aws.String("lake"), Id: aws.String("in"),
		MetricsConfiguration: &types.MetricsConfiguration{Id: aws.String("in"), Filter: &types.MetricsFilterMemberPrefix{Value: "in/"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rule := func(id string, metrics types.MetricsStatus) types.ReplicationRule {
		return types.ReplicationRule{ID: &id, Status: types.ReplicationRuleStatusEnabled, Destination: &types.Destination{Bucket: aws.String("arn:aws:s3:::plain"), Metrics: &types.Metrics{Status: metrics}}}
	}
	_, err = c.PutBucketReplication(t.Context(), &s3.PutBucketReplicationInput{Bucket: aws.String("lake"), ReplicationConfiguration: &types.ReplicationConfiguration{
		Role: aws.String("arn:aws:iam::1:role/r"), Rules: []types.ReplicationRule{rule("watched", types.MetricsStatusEnabled), rule("unwatched", types.MetricsStatusDisabled)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	sn := p.look(t)
	if sn.Buckets.Problem != nil || len(sn.Buckets.Items) != 2 {
		t.Fatalf("%+v", sn.Buckets)
	}
	lake, plain := sn.Buckets.Items[0], sn.Buckets.Items[1]
	if diff := cmp.Diff(ops.Bucket{ARN: "arn:aws:s3:::lake", Name: "lake", Filters: []string{"in"}, Replicas: []ops.Replica{{Rule: "watched", To: "arn:aws:s3:::plain"}}}, lake); diff != "" {
		t.Error(diff)
	}
	if len(plain.Filters)+len(plain.Replicas) != 0 || plain.Unread {
		t.Errorf("%+v", plain)
	}

	// What the filter counts is the share of the requests that failed.
	put := func(key, body string) {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("lake"), Key: &key, Body: strings.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
	}
	put("in/a", "a")
	put("out/a", "a")
	if _, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String("in/none")}); err == nil {
		t.Fatal("an object that is not there was read")
	}
	from := p.Now().Truncate(time.Minute)
	p.Advance(2 * time.Minute)
	out, err := cloudwatch.NewFromConfig(p.Config()).GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: aws.Time(p.Now()), MetricDataQueries: []cwtypes.MetricDataQuery{{
		Id: aws.String("a"), MetricStat: &cwtypes.MetricStat{Period: aws.Int32(60), Stat: aws.String("Average"), Metric: &cwtypes.Metric{
			Namespace: aws.String("AWS/S3"), MetricName: aws.String("4xxErrors"),
			Dimensions: []cwtypes.Dimension{{Name: aws.String("BucketName"), Value: aws.String("lake")}, {Name: aws.String("FilterId"), Value: aws.String("in")}},
		}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := out.MetricDataResults[0].Values; len(got) != 1 || got[0] != 0.5 {
		t.Errorf("4xxErrors %v, want half of two requests", got)
	}
}

func TestDeniedBucketMetricsKeepTheNotifications(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{Buckets: []string{"lake"}})
	c := p.store(t, "lake")
	p.queue(t, "orders", map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}]}`})
	_, err := c.PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: aws.String("lake"), NotificationConfiguration: &types.NotificationConfiguration{
		QueueConfigurations: []types.QueueConfiguration{{QueueArn: aws.String(string(queueARN("orders"))), Events: []types.Event{"s3:ObjectCreated:*"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "s3", Operation: "ListBucketMetricsConfigurations"})
	sn := p.look(t)
	if sn.Buckets.Problem == nil || sn.Buckets.Problem.Fault != ops.FaultDenied {
		t.Errorf("problem %+v", sn.Buckets.Problem)
	}
	if len(sn.Buckets.Items) != 1 || !sn.Buckets.Items[0].Unread || len(sn.Buckets.Items[0].Notifications) != 1 {
		t.Errorf("%+v", sn.Buckets.Items)
	}
}
