package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"kxops/ops"
)

const (
	// arrivalsBack is how far back is looked where nothing says how long events are kept.
	arrivalsBack = 7 * 24 * time.Hour
	// arrivalLists bounds the pages that are listed of an archive: each is billed.
	arrivalLists = 400
)

// Arrivals counts what arrived at a source over its retention, or the last days of it, for
// a person to choose a window by. One metric is asked for, or object names are listed.
func (d *Desk) Arrivals(ctx context.Context, from string) (ops.Arrivals, error) {
	end, err := endOf("from", from)
	if err != nil {
		return ops.Arrivals{}, err
	}
	back := arrivalsBack
	switch end.Kind {
	case ops.KindStream:
		in := &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(end.ARN.Name())}
		out, err := d.kinesis.DescribeStreamSummary(ctx, in)
		if err != nil {
			return ops.Arrivals{}, d.explain("ask about "+from, err)
		}
		back = time.Duration(aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours)) * time.Hour
		return d.counted(ctx, d.arrivalSteps(back), "AWS/Kinesis", "IncomingRecords", "StreamName", end.ARN.Name())
	case ops.KindDelivery:
		return d.counted(ctx, d.arrivalSteps(back), "AWS/Firehose", "DeliveryToS3.Records", "DeliveryStreamName", end.ARN.Name())
	case ops.KindArchive:
		return d.listed(ctx, d.arrivalSteps(back), end)
	}
	return ops.Arrivals{}, refused("when the events of %s arrived is not known before they are read", from)
}

// arrivalSteps cuts so much of the past into steps that a terminal can show. CloudWatch
// keeps points of five minutes for 63 days, and those of an hour for 455.
func (d *Desk) arrivalSteps(back time.Duration) ops.Arrivals {
	step := 24 * time.Hour
	switch {
	case back <= 24*time.Hour:
		step = 15 * time.Minute
	case back <= 7*24*time.Hour:
		step = time.Hour
	case back <= 60*24*time.Hour:
		step = 6 * time.Hour
	}
	a := ops.Arrivals{Step: step}
	now := d.o.Now().UTC()
	a.Begin = now.Add(-back).Truncate(step)
	a.Steps = make([]ops.Reading, int(now.Sub(a.Begin)/step)+1)
	for i := range a.Steps {
		a.Steps[i] = ops.Missing(ops.NoData)
	}
	return a
}

// counted asks one metric. A step without a point stays unknown: CloudWatch says the same
// of nothing that arrived and of nothing that it knows.
func (d *Desk) counted(ctx context.Context, a ops.Arrivals, namespace, metric, dimension, name string) (ops.Arrivals, error) {
	a.What = ops.ArrivedRecords
	in := &cloudwatch.GetMetricDataInput{StartTime: &a.Begin, EndTime: aws.Time(a.End()), ScanBy: types.ScanByTimestampAscending,
		MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("arrived"), MetricStat: &types.MetricStat{Stat: aws.String("Sum"), Period: aws.Int32(int32(a.Step / time.Second)),
			Metric: &types.Metric{Namespace: &namespace, MetricName: &metric, Dimensions: []types.Dimension{{Name: &dimension, Value: &name}}}}}}}
	pages := cloudwatch.NewGetMetricDataPaginator(d.metrics, in)
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return a, d.explain("ask for "+metric, err)
		}
		for _, r := range out.MetricDataResults {
			if r.StatusCode == types.StatusCodeForbidden || r.StatusCode == types.StatusCodeInternalError {
				a.Note = "CloudWatch did not answer for all of it"
				continue
			}
			for i, at := range r.Timestamps {
				if n := int(at.Sub(a.Begin) / a.Step); i < len(r.Values) && !at.Before(a.Begin) && n < len(a.Steps) {
					a.Steps[n] = ops.Know(a.Steps[n].Or(0)+r.Values[i], at)
				}
			}
		}
	}
	return a, nil
}

// listed counts the bytes of objects by the time in their names, else by when they were
// stored.
func (d *Desk) listed(ctx context.Context, a ops.Arrivals, end ops.ReplayEnd) (ops.Arrivals, error) {
	a.What = ops.ArrivedBytes
	src := archiveSource{d}
	l := layout{prefix: end.Prefix, zone: time.UTC}
	var err error
	if l.hours, err = src.byHour(ctx, end.Bucket, l.prefix); err != nil {
		return a, d.explain("list "+end.Bucket, err)
	}
	f := &finding{layout: l}
	sums := make([]float64, len(a.Steps))
	left := arrivalLists
	full := false
	for _, prefix := range l.prefixes(ops.ReplaySelect{Since: a.Begin, Until: a.End()}) {
		pages := s3.NewListObjectsV2Paginator(d.s3, &s3.ListObjectsV2Input{Bucket: &end.Bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			if left--; left < 0 {
				full = true
				break
			}
			out, err := pages.NextPage(ctx)
			if err != nil {
				return a, d.explain("list "+end.Bucket, err)
			}
			for _, o := range out.Contents {
				at, ok := f.oldest(aws.ToString(o.Key))
				if !ok {
					at = aws.ToTime(o.LastModified)
				}
				if n := int(at.Sub(a.Begin) / a.Step); !at.Before(a.Begin) && n < len(sums) {
					sums[n] += float64(aws.ToInt64(o.Size))
				}
			}
		}
	}
	if full {
		a.Note = fmt.Sprintf("there are more objects than %d lists name: hours without any are unknown, the others hold at least so much", arrivalLists)
	}
	for i, v := range sums {
		if v > 0 || !full { // what was listed whole and holds nothing is 0, and known
			a.Steps[i] = ops.Know(v, a.End())
		}
	}
	return a, nil
}
