package survey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

func (s *Survey) surveyStreams(ctx context.Context) {
	survey(ctx, s, &s.picture.Streams, source[ops.Stream]{
		workers:  12,
		list:     s.listStreams,
		key:      func(st ops.Stream) string { return st.Name },
		renew:    renewStream,
		describe: s.describeStream,
	})
}

func (s *Survey) listStreams(ctx context.Context, found func([]ops.Stream)) error {
	pages := kinesis.NewListStreamsPaginator(s.streams, &kinesis.ListStreamsInput{Limit: aws.Int32(1000)})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return errTooManyPages("streams")
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list streams: %w", err)
		}
		page := make([]ops.Stream, 0, len(out.StreamNames))
		told := map[string]types.StreamSummary{}
		for _, x := range out.StreamSummaries {
			told[aws.ToString(x.StreamName)] = x
		}
		for _, name := range out.StreamNames {
			x := told[name] // older endpoints answer the names only
			st := ops.Stream{
				ARN:     ops.ARN(aws.ToString(x.StreamARN)),
				Name:    name,
				Status:  string(x.StreamStatus),
				Created: aws.ToTime(x.StreamCreationTimestamp),
			}
			if x.StreamModeDetails != nil {
				st.Mode = string(x.StreamModeDetails.StreamMode)
			}
			page = append(page, st)
		}
		found(page)
	}
	return nil
}

// renewStream takes over what the list says anyway.
func renewStream(known, listed ops.Stream) ops.Stream {
	if listed.Status != "" {
		known.Status = listed.Status
	}
	if listed.Mode != "" {
		known.Mode = listed.Mode
	}
	return known
}

func (s *Survey) describeStream(ctx context.Context, st ops.Stream) (ops.Stream, error) {
	out, err := s.streams.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &st.Name})
	if err != nil {
		return st, fmt.Errorf("describe stream %s: %w", st.Name, err)
	}
	d := out.StreamDescriptionSummary
	st = streamFrom(d)
	// The two lists below allow five calls a second, so they are read only where the
	// summary says that there is something to list.
	if aws.ToInt32(d.ConsumerCount) > 0 {
		registered, err := s.registeredConsumers(ctx, st.ARN)
		if err != nil {
			return st, &partlyError{err}
		}
		st.Consumers = append(st.Consumers, registered...)
	}
	if st.Channels > 0 {
		channels, err := s.channels(ctx, st.ARN)
		st.Consumers = append(st.Consumers, channels...)
		if err != nil {
			return st, &partlyError{err}
		}
	}
	return st, nil
}

func streamFrom(d *types.StreamDescriptionSummary) ops.Stream {
	st := ops.Stream{
		ARN:        ops.ARN(aws.ToString(d.StreamARN)),
		Name:       aws.ToString(d.StreamName),
		Status:     string(d.StreamStatus),
		Mode:       string(types.StreamModeProvisioned), // what an absent mode means
		OpenShards: int(aws.ToInt32(d.OpenShardCount)),
		Retention:  time.Duration(aws.ToInt32(d.RetentionPeriodHours)) * time.Hour,
		Channels:   int(aws.ToInt32(d.ChannelCount)),
		Created:    aws.ToTime(d.StreamCreationTimestamp),
	}
	if d.StreamModeDetails != nil && d.StreamModeDetails.StreamMode != "" {
		st.Mode = string(d.StreamModeDetails.StreamMode)
	}
	if d.RecordDistributionStrategy == types.RecordDistributionStrategyAuto {
		st.Distribution = string(d.RecordDistributionStrategy)
	}
	if d.EncryptionType == types.EncryptionTypeKms {
		st.Encryption = aws.ToString(d.KeyId)
	}
	return st
}

func (s *Survey) registeredConsumers(ctx context.Context, stream ops.ARN) ([]ops.Consumer, error) {
	var consumers []ops.Consumer
	pages := kinesis.NewListStreamConsumersPaginator(s.streams, &kinesis.ListStreamConsumersInput{StreamARN: aws.String(string(stream))})
	for n := 0; pages.HasMorePages() && n < maxPages; n++ {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list consumers of %s: %w", stream.Name(), err)
		}
		for _, c := range out.Consumers {
			consumers = append(consumers, ops.Consumer{
				Kind:  ops.ByFanOut,
				ARN:   ops.ARN(aws.ToString(c.ConsumerARN)),
				Name:  aws.ToString(c.ConsumerName),
				ID:    aws.ToString(c.ConsumerARN),
				State: string(c.ConsumerStatus),
			})
		}
	}
	return consumers, nil
}

func (s *Survey) channels(ctx context.Context, stream ops.ARN) ([]ops.Consumer, error) {
	var consumers []ops.Consumer
	pages := kinesis.NewListChannelsPaginator(s.streams, &kinesis.ListChannelsInput{
		StreamFilter: []types.StreamFilter{{StreamARN: aws.String(string(stream))}},
	})
	for n := 0; pages.HasMorePages() && n < maxPages; n++ {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list channels of %s: %w", stream.Name(), err)
		}
		for _, c := range out.ChannelSummaries {
			consumers = append(consumers, ops.Consumer{
				Kind:        ops.ByChannel,
				ARN:         ops.ARN(aws.ToString(c.ChannelARN)),
				Name:        aws.ToString(c.ChannelName),
				ID:          aws.ToString(c.ChannelId),
				State:       string(c.ChannelStatus),
				LastResult:  aws.ToString(c.ChannelStatusReason),
				Destination: channelMetrics[c.ChannelDestinationType],
			})
		}
	}
	for i := range consumers { // two at most: one for each kind of destination
		c := &consumers[i]
		held, err := s.channelFreshness(ctx, c.ARN)
		if err != nil {
			return consumers, err
		}
		c.Freshness = held
	}
	return consumers, nil
}

// channelMetrics is how the metrics call a channel's destination.
var channelMetrics = map[types.ChannelDestinationType]string{
	types.ChannelDestinationTypeS3:       "S3",
	types.ChannelDestinationTypeS3Tables: "Iceberg",
}

// channelFreshness reads how long a channel holds data back: its list does not say.
func (s *Survey) channelFreshness(ctx context.Context, channel ops.ARN) (time.Duration, error) {
	out, err := s.streams.DescribeChannel(ctx, &kinesis.DescribeChannelInput{ChannelARN: aws.String(string(channel))})
	var gone *types.ResourceNotFoundException
	switch {
	case errors.As(err, &gone): // deleted since it was listed; the stream is still there
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("describe channel %s: %w", channel.Name(), err)
	}
	seconds := int32(0)
	if d := out.ChannelDescription; d != nil && d.S3DestinationConfiguration != nil {
		seconds = aws.ToInt32(d.S3DestinationConfiguration.DataFreshnessInSeconds)
	} else if d != nil && d.S3TablesDestinationConfiguration != nil {
		seconds = aws.ToInt32(d.S3TablesDestinationConfiguration.DataFreshnessInSeconds)
	}
	return time.Duration(seconds) * time.Second, nil
}

func errTooManyPages(of string) error {
	return fmt.Errorf("list %s: the service did not stop after %d pages", of, maxPages)
}
