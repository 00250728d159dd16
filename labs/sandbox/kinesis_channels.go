package sandbox

import (
	"context"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Channels deliver a stream natively to S3 or to S3 Tables. The sandbox keeps and
// describes them, and says in ChannelStatusReason that they deliver nothing.

const undelivered = "the sandbox keeps and describes channels: this one delivers nothing"

func (k *kinesisService) handleChannels() {
	handle(k.r, "kinesis", "CreateChannel", k.createChannel)
	handle(k.r, "kinesis", "DescribeChannel", k.describeChannel)
	handle(k.r, "kinesis", "ListChannels", k.listChannels)
	handle(k.r, "kinesis", "DeleteChannel", k.deleteChannel)
}

func (k *kinesisService) createChannel(_ context.Context, in *kinesis.CreateChannelInput) (*kinesis.CreateChannelOutput, error) {
	name := deref(in.ChannelName)
	if !resourceName.MatchString(name) {
		return nil, validationf("1 validation error detected: Value '%s' at 'channelName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", name)
	}
	if (in.S3DestinationConfiguration == nil) == (in.S3TablesDestinationConfiguration == nil) {
		return nil, invalidf("Exactly one of S3DestinationConfiguration and S3TablesDestinationConfiguration must be specified.")
	}
	if len(in.StreamConfigurationList) != 1 {
		return nil, invalidf("Exactly one stream must be specified for a channel.")
	}
	if len(in.Tags) > 0 {
		return nil, unsupported("Tags of a channel")
	}
	from := in.StreamConfigurationList[0]
	s, err := k.findActive(ref{nil, from.StreamARN, nil})
	if err != nil {
		return nil, err
	}
	if s.mode != types.StreamModeOnDemand {
		return nil, invalidf("Channels are only supported for streams in ON_DEMAND mode.")
	}
	d := &types.ChannelDescription{
		ChannelName: aws.String(name), ChannelId: aws.String(strings.ReplaceAll(k.r.id(), "-", "")[:17]), ChannelStatus: types.ChannelStatusCreating,
		ChannelCreationTimestamp: aws.Time(k.r.now()), ServiceExecutionRoleARN: in.ServiceExecutionRoleARN,
		EncryptionConfiguration: in.EncryptionConfiguration, LoggingConfiguration: in.LoggingConfiguration,
		StreamConfigurationList: []types.ChannelStreamDescription{{StreamARN: from.StreamARN, RecordConfiguration: from.RecordConfiguration, StreamCreationTimestamp: aws.Time(s.created)}},
		ChannelStatusReason:     aws.String(undelivered),
	}
	d.ChannelARN = aws.String(string(k.r.arn("kinesis", "channel/"+*d.ChannelId)))
	if c := in.S3DestinationConfiguration; c != nil {
		d.S3DestinationConfiguration = &types.S3DestinationDescription{
			StorageConfiguration: c.StorageConfiguration, DataFreshnessInSeconds: c.DataFreshnessInSeconds, DeadLetterQueueS3Configuration: c.DeadLetterQueueS3Configuration,
		}
	}
	if c := in.S3TablesDestinationConfiguration; c != nil {
		d.S3TablesDestinationConfiguration = &types.S3TablesDestinationDescription{
			S3TablesConfigurationList: c.S3TablesConfigurationList, DataFreshnessInSeconds: c.DataFreshnessInSeconds, DeadLetterQueueS3Configuration: c.DeadLetterQueueS3Configuration,
		}
	}
	for _, other := range k.channels {
		switch {
		case *other.ChannelName == name:
			return nil, inUsef("Channel %s under account %s already exists.", name, Account)
		case channelOf(other, s) && destinationType(other) == destinationType(d):
			return nil, limitf("Stream %s under account %s already has a channel of the type %s.", s.name, Account, destinationType(d))
		}
	}
	k.channels = append(k.channels, d)
	sort.Slice(k.channels, func(i, j int) bool { return *k.channels[i].ChannelName < *k.channels[j].ChannelName })
	k.settleChannel(d, types.ChannelStatusActive)
	return &kinesis.CreateChannelOutput{ChannelDescription: copyOf(d)}, nil
}

func copyOf[T any](p *T) *T {
	c := *p
	return &c
}

// settleChannel ends a passing state of a channel.
func (k *kinesisService) settleChannel(d *types.ChannelDescription, as types.ChannelStatus) {
	from := d.ChannelStatus
	k.r.after(k.r.setup(reshardTime), func() {
		if d.ChannelStatus == from {
			d.ChannelStatus = as
		}
	})
}

func destinationType(d *types.ChannelDescription) types.ChannelDestinationType {
	if d.S3DestinationConfiguration != nil {
		return types.ChannelDestinationTypeS3
	}
	return types.ChannelDestinationTypeS3Tables
}

// channelOf reports whether a channel reads this very stream.
func channelOf(d *types.ChannelDescription, s *stream) bool {
	from := d.StreamConfigurationList[0]
	return *from.StreamARN == string(s.arn) && from.StreamCreationTimestamp.Equal(s.created)
}

func (s *stream) channels() int {
	n := 0
	for _, d := range s.svc.channels {
		if channelOf(d, s) {
			n++
		}
	}
	return n
}

func (k *kinesisService) channel(arn *string) (*types.ChannelDescription, error) {
	for _, d := range k.channels {
		if *d.ChannelARN == deref(arn) {
			return d, nil
		}
	}
	return nil, notFoundf("Channel %s under account %s not found.", deref(arn), Account)
}

func (k *kinesisService) describeChannel(_ context.Context, in *kinesis.DescribeChannelInput) (*kinesis.DescribeChannelOutput, error) {
	d, err := k.channel(in.ChannelARN)
	if err != nil {
		return nil, err
	}
	return &kinesis.DescribeChannelOutput{ChannelDescription: copyOf(d)}, nil
}

func (k *kinesisService) deleteChannel(_ context.Context, in *kinesis.DeleteChannelInput) (*kinesis.DeleteChannelOutput, error) {
	d, err := k.channel(in.ChannelARN)
	if err != nil {
		return nil, err
	}
	d.ChannelStatus = types.ChannelStatusDeleting
	k.r.after(k.r.setup(reshardTime), func() {
		k.channels = slices.DeleteFunc(k.channels, func(x *types.ChannelDescription) bool { return x == d })
	})
	return &kinesis.DeleteChannelOutput{}, nil
}

func (k *kinesisService) listChannels(_ context.Context, in *kinesis.ListChannelsInput) (*kinesis.ListChannelsOutput, error) {
	limit, err := pageSize(in.MaxResults, 100, 100)
	if err != nil {
		return nil, err
	}
	var t pageToken
	if in.NextToken != nil {
		if err := t.open(*in.NextToken, k.r.now()); err != nil {
			return nil, err
		}
	}
	out := &kinesis.ListChannelsOutput{ChannelSummaries: []types.ChannelSummary{}}
	for _, d := range k.channels {
		if *d.ChannelName <= t.After || !filtered(d, in.StreamFilter) {
			continue
		}
		if len(out.ChannelSummaries) == limit {
			out.NextToken = pageToken{After: *out.ChannelSummaries[limit-1].ChannelName, Issued: k.r.now()}.seal()
			break
		}
		from := d.StreamConfigurationList[0]
		out.ChannelSummaries = append(out.ChannelSummaries, types.ChannelSummary{
			ChannelARN: d.ChannelARN, ChannelCreationTimestamp: d.ChannelCreationTimestamp, ChannelDestinationType: destinationType(d),
			ChannelId: d.ChannelId, ChannelName: d.ChannelName, ChannelStatus: d.ChannelStatus, ChannelStatusReason: d.ChannelStatusReason,
			Streams: []types.ChannelStreamIdentifier{{StreamARN: from.StreamARN, StreamCreationTimestamp: from.StreamCreationTimestamp}},
		})
	}
	return out, nil
}

// filtered reports whether a channel passes the filter of a listing.
func filtered(d *types.ChannelDescription, filters []types.StreamFilter) bool {
	from := d.StreamConfigurationList[0]
	for _, f := range filters {
		if deref(f.StreamARN) == *from.StreamARN && (f.StreamCreationTimestamp == nil || f.StreamCreationTimestamp.Unix() == from.StreamCreationTimestamp.Unix()) {
			return true
		}
	}
	return len(filters) == 0
}
