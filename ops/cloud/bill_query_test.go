package cloud_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"kxops/labs/sandbox"
	"kxops/ops/cloud"
)

// A query is billed by what it scanned, once, however often it is asked about; not
// when it failed.
func TestTheMeterEqualsTheSandboxsBillForQueries(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	config := sb.Config()
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &config, Access: cloud.Peek, NoQuotas: true})
	if err != nil {
		t.Fatal(err)
	}
	setup := s3.NewFromConfig(sb.Config())
	bucket := aws.String("events")
	if _, err := setup.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: sandbox.HomeRegion}}); err != nil {
		t.Fatal(err)
	}
	if _, err := setup.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("e/a"), Body: strings.NewReader(strings.Repeat(`{"id":"a"}`+strings.Repeat(" ", 100_000)+"\n", 165))}); err != nil {
		t.Fatal(err)
	}
	before := sb.Bill().USD
	asks := athena.NewFromConfig(door.Config())
	for _, sql := range []string{
		"CREATE DATABASE shop",
		"CREATE EXTERNAL TABLE shop.e (id string) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://events/e/'",
		`SELECT count(*) FROM shop.e`,
		`SELECT 1`,
		`SELECT none FROM shop.e`,
	} {
		out, err := asks.StartQueryExecution(t.Context(), &athena.StartQueryExecutionInput{QueryString: &sql, ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String("s3://events/results/")}})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := asks.GetQueryExecution(t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: out.QueryExecutionId}); err != nil {
				t.Fatal(err)
			}
			sb.Advance(5 * time.Second)
		}
	}
	const want = (16.0 + 10.0) / (1 << 20) * 5 // 15.7 MiB and the least, in begun megabytes, at $5 a TB
	if spend, bill := door.Meter().Spend().USD, sb.Bill().USD-before; math.Abs(spend-bill) > 1e-12 || math.Abs(spend-want) > 1e-12 {
		t.Errorf("the meter says $%g, the sandbox $%g, want $%g", spend, bill, want)
	}
}
