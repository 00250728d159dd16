package conformance

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
)

// delivery makes a Direct PUT delivery to a new bucket. It returns name and bucket.
func (x *run) delivery() (name, bucket string) {
	name, bucket = x.name("delivery"), x.bucket()
	_, err := x.set.firehose.CreateDeliveryStream(x.ctx, &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: &name,
		DeliveryStreamType: types.DeliveryStreamTypeDirectPut,
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			BucketARN:         aws.String("arn:aws:s3:::" + bucket),
			RoleARN:           aws.String(role),
			Prefix:            aws.String("in/"),
			ErrorOutputPrefix: aws.String("bad/"),
			BufferingHints:    &types.BufferingHints{IntervalInSeconds: aws.Int32(60), SizeInMBs: aws.Int32(5)},
			CompressionFormat: types.CompressionFormatGzip,
		},
	})
	x.must("CreateDeliveryStream", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.firehose.DeleteDeliveryStream(ctx, &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: &name})
		return err
	})
	x.until("the delivery is active", func() (bool, error) {
		out, err := x.set.firehose.DescribeDeliveryStream(x.ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &name})
		return err == nil && out.DeliveryStreamDescription.DeliveryStreamStatus == types.DeliveryStreamStatusActive, err
	})
	return name, bucket
}

var firehoseCases = []oneCase{
	{name: "pages through all deliveries", service: "Firehose", operation: "ListDeliveryStreams", run: func(x *run) {
		var want, got []string
		for range 3 {
			name, _ := x.delivery()
			want = append(want, name)
		}
		in := &firehose.ListDeliveryStreamsInput{Limit: aws.Int32(1)}
		pages := 0
		for more := true; more && pages < 200; pages++ {
			out, err := x.firehose.ListDeliveryStreams(x.ctx, in)
			x.must("ListDeliveryStreams", err)
			got = append(got, out.DeliveryStreamNames...)
			more = aws.ToBool(out.HasMoreDeliveryStreams)
			if more && len(got) == 0 {
				x.fatalf("more deliveries, but the page is empty")
			}
			if more {
				in.ExclusiveStartDeliveryStreamName = &got[len(got)-1]
			}
		}
		if pages < 3 {
			x.errorf("%d pages of one delivery each, want 3 or more", pages)
		}
		for _, name := range want {
			if !slices.Contains(got, name) {
				x.errorf("%s is not listed", name)
			}
		}
	}},
	{name: "takes several records, and says so for each", service: "Firehose", operation: "PutRecordBatch", run: func(x *run) {
		name, bucket := x.delivery()
		x.emptied(bucket)
		out, err := x.firehose.PutRecordBatch(x.ctx, &firehose.PutRecordBatchInput{DeliveryStreamName: &name, Records: []types.Record{{Data: []byte("one\n")}, {Data: []byte("two\n")}}})
		x.must("PutRecordBatch", err)
		equal(x, "answers", len(out.RequestResponses), 2)
		equal(x, "failed", aws.ToInt32(out.FailedPutCount), 0)
		for i, r := range out.RequestResponses {
			if aws.ToString(r.RecordId) == "" || r.ErrorCode != nil {
				x.errorf("answer %d is %+v", i, r)
			}
		}
	}},
	{name: "says what a delivery is", service: "Firehose", operation: "DescribeDeliveryStream", run: func(x *run) {
		name, bucket := x.delivery()
		out, err := x.firehose.DescribeDeliveryStream(x.ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &name})
		x.must("DescribeDeliveryStream", err)
		d := out.DeliveryStreamDescription
		equal(x, "name", aws.ToString(d.DeliveryStreamName), name)
		equal(x, "type", d.DeliveryStreamType, types.DeliveryStreamTypeDirectPut)
		if len(d.Destinations) != 1 || d.Destinations[0].ExtendedS3DestinationDescription == nil {
			x.fatalf("destinations are %+v, want one to S3", d.Destinations)
		}
		s3 := d.Destinations[0].ExtendedS3DestinationDescription
		equal(x, "bucket", aws.ToString(s3.BucketARN), "arn:aws:s3:::"+bucket)
		equal(x, "prefix", aws.ToString(s3.Prefix), "in/")
		equal(x, "error prefix", aws.ToString(s3.ErrorOutputPrefix), "bad/")
		equal(x, "compression", s3.CompressionFormat, types.CompressionFormatGzip)
		if s3.BufferingHints == nil || aws.ToInt32(s3.BufferingHints.IntervalInSeconds) != 60 || aws.ToInt32(s3.BufferingHints.SizeInMBs) != 5 {
			x.errorf("buffer is %+v, want 60 s and 5 MB", s3.BufferingHints)
		}
	}},
	{name: "a missing delivery is ResourceNotFoundException", service: "Firehose", operation: "DescribeDeliveryStream", run: func(x *run) {
		_, err := x.firehose.DescribeDeliveryStream(x.ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: aws.String(x.name("none"))})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
}
