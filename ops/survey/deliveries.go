package survey

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"kxops/ops"
)

func (s *Survey) surveyDeliveries(ctx context.Context) {
	survey(ctx, s, &s.picture.Deliveries, source[ops.Delivery]{
		workers:  8,
		gentle:   true, // five a second
		list:     s.listDeliveries,
		key:      func(d ops.Delivery) string { return d.Name },
		describe: s.describeDelivery,
	})
}

func (s *Survey) listDeliveries(ctx context.Context, found func([]ops.Delivery)) error {
	in := &firehose.ListDeliveryStreamsInput{Limit: aws.Int32(1000)}
	for range maxPages {
		out, err := s.deliveries.ListDeliveryStreams(ctx, in)
		if err != nil {
			return fmt.Errorf("list deliveries: %w", err)
		}
		page := make([]ops.Delivery, 0, len(out.DeliveryStreamNames))
		for _, name := range out.DeliveryStreamNames {
			page = append(page, ops.Delivery{Name: name})
		}
		found(page)
		if !aws.ToBool(out.HasMoreDeliveryStreams) || len(page) == 0 {
			return nil
		}
		in.ExclusiveStartDeliveryStreamName = aws.String(page[len(page)-1].Name)
	}
	return errTooManyPages("deliveries")
}

func (s *Survey) describeDelivery(ctx context.Context, d ops.Delivery) (ops.Delivery, error) {
	out, err := s.deliveries.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &d.Name})
	if err != nil {
		return d, fmt.Errorf("describe delivery %s: %w", d.Name, err)
	}
	return deliveryFrom(out.DeliveryStreamDescription), nil
}

func deliveryFrom(x *types.DeliveryStreamDescription) ops.Delivery {
	d := ops.Delivery{
		ARN:     ops.ARN(aws.ToString(x.DeliveryStreamARN)),
		Name:    aws.ToString(x.DeliveryStreamName),
		Status:  string(x.DeliveryStreamStatus),
		Created: aws.ToTime(x.CreateTimestamp),
	}
	if x.Source != nil && x.Source.KinesisStreamSourceDescription != nil {
		d.Source = ops.ARN(aws.ToString(x.Source.KinesisStreamSourceDescription.KinesisStreamARN))
	}
	if f := x.FailureDescription; f != nil {
		d.Failure = fmt.Sprintf("%s: %s", f.Type, aws.ToString(f.Details))
	}
	if e := x.DeliveryStreamEncryptionConfiguration; e != nil && e.Status == types.DeliveryStreamEncryptionStatusEnabled {
		d.Encryption = string(e.KeyType)
		if key := aws.ToString(e.KeyARN); key != "" {
			d.Encryption = key
		}
	}
	if len(x.Destinations) == 0 {
		return d
	}
	first := x.Destinations[0] // the service allows exactly one
	destinationOf(first).onto(&d)
	if s3 := first.ExtendedS3DestinationDescription; s3 != nil {
		d.Conversion = s3.DataFormatConversionConfiguration != nil && aws.ToBool(s3.DataFormatConversionConfiguration.Enabled)
		d.Partitioning = s3.DynamicPartitioningConfiguration != nil && aws.ToBool(s3.DynamicPartitioningConfiguration.Enabled)
	}
	return d
}

// destination is what all destination types have in common.
type destination struct {
	kind       string // as in the metric names
	role       *string
	interval   *int32 // seconds
	megabytes  *int32
	processing *types.ProcessingConfiguration
	logging    *types.CloudWatchLoggingOptions
	backupMode string
	target     *types.S3DestinationDescription // where the data goes, or is staged, in S3
	backup     *types.S3DestinationDescription
}

// destinationOf flattens the eleven destination types.
func destinationOf(x types.DestinationDescription) destination {
	switch {
	case x.ExtendedS3DestinationDescription != nil:
		s3 := x.ExtendedS3DestinationDescription
		return destination{
			kind: "S3", role: s3.RoleARN, processing: s3.ProcessingConfiguration, logging: s3.CloudWatchLoggingOptions,
			backupMode: string(s3.S3BackupMode), backup: s3.S3BackupDescription,
			target: &types.S3DestinationDescription{
				BucketARN: s3.BucketARN, Prefix: s3.Prefix, ErrorOutputPrefix: s3.ErrorOutputPrefix,
				CompressionFormat: s3.CompressionFormat, BufferingHints: s3.BufferingHints,
			},
		}
	case x.IcebergDestinationDescription != nil:
		i := x.IcebergDestinationDescription
		d := destination{kind: "Iceberg", role: i.RoleARN, processing: i.ProcessingConfiguration, logging: i.CloudWatchLoggingOptions,
			backupMode: string(i.S3BackupMode), backup: i.S3DestinationDescription}
		if b := i.BufferingHints; b != nil {
			d.interval, d.megabytes = b.IntervalInSeconds, b.SizeInMBs
		}
		return d
	case x.RedshiftDestinationDescription != nil:
		r := x.RedshiftDestinationDescription
		return destination{kind: "Redshift", role: r.RoleARN, processing: r.ProcessingConfiguration, logging: r.CloudWatchLoggingOptions,
			backupMode: string(r.S3BackupMode), target: r.S3DestinationDescription, backup: r.S3BackupDescription}
	case x.SplunkDestinationDescription != nil:
		p := x.SplunkDestinationDescription
		d := destination{kind: "Splunk", processing: p.ProcessingConfiguration, logging: p.CloudWatchLoggingOptions,
			backupMode: string(p.S3BackupMode), backup: p.S3DestinationDescription}
		if b := p.BufferingHints; b != nil {
			d.interval, d.megabytes = b.IntervalInSeconds, b.SizeInMBs
		}
		return d
	case x.HttpEndpointDestinationDescription != nil:
		h := x.HttpEndpointDestinationDescription
		d := destination{kind: "HttpEndpoint", role: h.RoleARN, processing: h.ProcessingConfiguration, logging: h.CloudWatchLoggingOptions,
			backupMode: string(h.S3BackupMode), backup: h.S3DestinationDescription}
		if b := h.BufferingHints; b != nil {
			d.interval, d.megabytes = b.IntervalInSeconds, b.SizeInMBs
		}
		return d
	case x.SnowflakeDestinationDescription != nil:
		w := x.SnowflakeDestinationDescription
		d := destination{kind: "Snowflake", role: w.RoleARN, processing: w.ProcessingConfiguration, logging: w.CloudWatchLoggingOptions,
			backupMode: string(w.S3BackupMode), backup: w.S3DestinationDescription}
		if b := w.BufferingHints; b != nil {
			d.interval, d.megabytes = b.IntervalInSeconds, b.SizeInMBs
		}
		return d
	case x.AmazonopensearchserviceDestinationDescription != nil:
		o := x.AmazonopensearchserviceDestinationDescription
		d := destination{kind: "AmazonOpenSearchService", role: o.RoleARN, processing: o.ProcessingConfiguration, logging: o.CloudWatchLoggingOptions,
			backupMode: string(o.S3BackupMode), backup: o.S3DestinationDescription}
		if b := o.BufferingHints; b != nil {
			d.interval, d.megabytes = b.IntervalInSeconds, b.SizeInMBs
		}
		return d
	case x.AmazonOpenSearchServerlessDestinationDescription != nil:
		o := x.AmazonOpenSearchServerlessDestinationDescription
		d := destination{kind: "AmazonOpenSearchServerless", role: o.RoleARN, processing: o.ProcessingConfiguration, logging: o.CloudWatchLoggingOptions,
			backupMode: string(o.S3BackupMode), backup: o.S3DestinationDescription}
		if b := o.BufferingHints; b != nil {
			d.interval, d.megabytes = b.IntervalInSeconds, b.SizeInMBs
		}
		return d
	case x.ElasticsearchDestinationDescription != nil:
		o := x.ElasticsearchDestinationDescription
		d := destination{kind: "Elasticsearch", role: o.RoleARN, processing: o.ProcessingConfiguration, logging: o.CloudWatchLoggingOptions,
			backupMode: string(o.S3BackupMode), backup: o.S3DestinationDescription}
		if b := o.BufferingHints; b != nil {
			d.interval, d.megabytes = b.IntervalInSeconds, b.SizeInMBs
		}
		return d
	case x.S3DestinationDescription != nil: // the form before ExtendedS3
		s3 := x.S3DestinationDescription
		return destination{kind: "S3", role: s3.RoleARN, logging: s3.CloudWatchLoggingOptions, target: s3}
	}
	return destination{}
}

func (x destination) onto(d *ops.Delivery) {
	d.Destination = x.kind
	d.Role = ops.ARN(aws.ToString(x.role))
	d.BackupMode = x.backupMode
	d.LogErrors = x.logging != nil && aws.ToBool(x.logging.Enabled)
	if x.backup != nil {
		d.Backup = ops.ARN(aws.ToString(x.backup.BucketARN))
		d.ErrorPrefix = aws.ToString(x.backup.ErrorOutputPrefix)
	}
	if x.target != nil {
		d.Target = ops.ARN(aws.ToString(x.target.BucketARN))
		d.Prefix = aws.ToString(x.target.Prefix)
		d.ErrorPrefix = aws.ToString(x.target.ErrorOutputPrefix)
		d.Compression = string(x.target.CompressionFormat)
		if b := x.target.BufferingHints; b != nil {
			x.interval, x.megabytes = b.IntervalInSeconds, b.SizeInMBs
		}
	}
	// Defaults as in the API reference of BufferingHints.
	d.BufferInterval, d.BufferBytes = 300*time.Second, 5<<20
	if x.interval != nil {
		d.BufferInterval = time.Duration(*x.interval) * time.Second
	}
	if x.megabytes != nil {
		d.BufferBytes = int64(*x.megabytes) << 20
	}
	if x.processing == nil || !aws.ToBool(x.processing.Enabled) {
		return
	}
	for _, p := range x.processing.Processors {
		d.Processors = append(d.Processors, string(p.Type))
		for _, param := range p.Parameters {
			if p.Type == types.ProcessorTypeLambda && param.ParameterName == types.ProcessorParameterNameLambdaArn {
				d.Transform = ops.ARN(aws.ToString(param.ParameterValue)).Unqualified()
			}
		}
	}
}
