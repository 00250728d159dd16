package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops/cloud"
)

// stream makes a stream and waits until it can be used. It returns name and ARN.
func (x *run) stream(shards int32) (name, arn string) {
	name = x.name("stream")
	_, err := x.set.kinesis.CreateStream(x.ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	x.must("CreateStream", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.kinesis.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &name, EnforceConsumerDeletion: aws.Bool(true)})
		return err
	})
	x.until("the stream is active", func() (bool, error) {
		out, err := x.set.kinesis.DescribeStreamSummary(x.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		if err != nil {
			return false, err
		}
		arn = aws.ToString(out.StreamDescriptionSummary.StreamARN)
		return out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive, nil
	})
	return name, arn
}

var kinesisCases = []oneCase{
	{name: "pages through all streams", service: "Kinesis", operation: "ListStreams", run: func(x *run) {
		want := []string{}
		for range 3 {
			name, _ := x.stream(1)
			want = append(want, name)
		}
		pages := kinesis.NewListStreamsPaginator(x.kinesis, &kinesis.ListStreamsInput{Limit: aws.Int32(1)})
		var got []string
		n := 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("ListStreams", err)
			got = append(got, page.StreamNames...)
			n++
		}
		if n < 3 {
			x.errorf("%d pages of one stream each, want 3 or more", n)
		}
		for _, name := range want {
			if !slices.Contains(got, name) {
				x.errorf("%s is not listed", name)
			}
		}
	}},
	{name: "says what a stream is", service: "Kinesis", operation: "DescribeStreamSummary", run: func(x *run) {
		name, arn := x.stream(2)
		for _, in := range []*kinesis.DescribeStreamSummaryInput{{StreamName: &name}, {StreamARN: &arn}} {
			out, err := x.kinesis.DescribeStreamSummary(x.ctx, in)
			x.must("DescribeStreamSummary", err)
			s := out.StreamDescriptionSummary
			equal(x, "name", aws.ToString(s.StreamName), name)
			equal(x, "open shards", aws.ToInt32(s.OpenShardCount), 2)
			equal(x, "retention in hours", aws.ToInt32(s.RetentionPeriodHours), 24)
			if s.StreamModeDetails == nil || s.StreamModeDetails.StreamMode != types.StreamModeProvisioned {
				x.errorf("mode is %+v, want PROVISIONED", s.StreamModeDetails)
			}
			if s.StreamCreationTimestamp == nil {
				x.errorf("no creation time")
			}
		}
	}},
	{name: "a missing stream is ResourceNotFoundException", service: "Kinesis", operation: "DescribeStreamSummary", run: func(x *run) {
		_, err := x.kinesis.DescribeStreamSummary(x.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(x.name("none"))})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "lists fan-out consumers, in pages", service: "Kinesis", operation: "ListStreamConsumers", run: func(x *run) {
		_, arn := x.stream(1)
		for range 2 {
			_, err := x.set.kinesis.RegisterStreamConsumer(x.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &arn, ConsumerName: aws.String(x.name("reader"))})
			x.must("RegisterStreamConsumer", err)
		}
		pages := kinesis.NewListStreamConsumersPaginator(x.kinesis, &kinesis.ListStreamConsumersInput{StreamARN: &arn, MaxResults: aws.Int32(1)})
		consumers, n := 0, 0
		for pages.HasMorePages() && n < 10 {
			page, err := pages.NextPage(x.ctx)
			x.must("ListStreamConsumers", err)
			for _, c := range page.Consumers {
				consumers++
				if aws.ToString(c.ConsumerARN) == "" || aws.ToString(c.ConsumerName) == "" || c.ConsumerStatus == "" {
					x.errorf("consumer %+v lacks ARN, name or status", c)
				}
			}
			n++
		}
		equal(x, "consumers", consumers, 2)
		if n < 2 {
			x.errorf("%d page, want 2 or more", n)
		}
	}},
	{name: "registers a fan-out consumer once by name", service: "Kinesis", operation: "RegisterStreamConsumer", run: func(x *run) {
		_, arn := x.stream(1)
		in := &kinesis.RegisterStreamConsumerInput{StreamARN: &arn, ConsumerName: aws.String(x.name("reader"))}
		out, err := x.kinesis.RegisterStreamConsumer(x.ctx, in)
		x.must("RegisterStreamConsumer", err)
		if c := out.Consumer; c == nil || aws.ToString(c.ConsumerARN) == "" || aws.ToString(c.ConsumerName) != *in.ConsumerName {
			x.errorf("consumer %+v lacks its ARN or name", c)
		}
		_, err = x.kinesis.RegisterStreamConsumer(x.ctx, in)
		var there *types.ResourceInUseException
		if !errors.As(err, &there) {
			x.errorf("the same name again: err = %v", err)
		}
	}},
	{name: "says what a fan-out consumer is", service: "Kinesis", operation: "DescribeStreamConsumer", run: func(x *run) {
		stream, consumer, name := x.consumer()
		out, err := x.kinesis.DescribeStreamConsumer(x.ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: &stream, ConsumerName: &name})
		x.must("DescribeStreamConsumer", err)
		equal(x, "ARN", aws.ToString(out.ConsumerDescription.ConsumerARN), consumer)
		equal(x, "name", aws.ToString(out.ConsumerDescription.ConsumerName), name)
	}},
	{name: "a missing fan-out consumer is ResourceNotFoundException", service: "Kinesis", operation: "DescribeStreamConsumer", run: func(x *run) {
		_, arn := x.stream(1)
		_, err := x.kinesis.DescribeStreamConsumer(x.ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: &arn, ConsumerName: aws.String("none")})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "removes a fan-out consumer by its name", service: "Kinesis", operation: "DeregisterStreamConsumer", run: func(x *run) {
		stream, _, name := x.consumer()
		_, err := x.kinesis.DeregisterStreamConsumer(x.ctx, &kinesis.DeregisterStreamConsumerInput{StreamARN: &stream, ConsumerName: &name})
		x.must("DeregisterStreamConsumer", err)
		x.until("the consumer is gone", func() (bool, error) {
			_, err := x.kinesis.DescribeStreamConsumer(x.ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: &stream, ConsumerName: &name})
			var missing *types.ResourceNotFoundException
			if errors.As(err, &missing) {
				return true, nil
			}
			return false, err
		})
	}},
	{name: "pushes the records from a position on", service: "Kinesis", operation: "SubscribeToShard", run: func(x *run) {
		stream, consumer, _ := x.consumer()
		var shard string
		var sequences []string
		for _, d := range []string{"one", "two", "three"} {
			out, err := x.set.kinesis.PutRecord(x.ctx, &kinesis.PutRecordInput{StreamARN: &stream, PartitionKey: aws.String("key"), Data: []byte(d)})
			x.must("PutRecord", err)
			shard, sequences = aws.ToString(out.ShardId), append(sequences, aws.ToString(out.SequenceNumber))
		}
		for _, c := range []struct {
			from types.StartingPosition
			want []string
		}{
			{types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}, []string{"one", "two", "three"}},
			{types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &sequences[0]}, []string{"two", "three"}},
		} {
			var got []string
			var next string
			x.until("the subscription is taken", func() (bool, error) {
				out, err := x.kinesis.SubscribeToShard(x.ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: &shard, StartingPosition: &c.from}, cloud.OwnDecoder)
				var inUse *types.ResourceInUseException // within five seconds of the one before
				if errors.As(err, &inUse) {
					return false, nil
				}
				if err != nil {
					return false, err
				}
				pushed := out.GetStream()
				defer pushed.Close()
				for event := range pushed.Events() {
					e, ok := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
					if !ok {
						continue
					}
					for _, r := range e.Value.Records {
						got = append(got, string(r.Data))
					}
					next = aws.ToString(e.Value.ContinuationSequenceNumber)
					if len(got) >= len(c.want) {
						return true, nil
					}
				}
				return true, pushed.Err()
			})
			equal(x, "records "+string(c.from.Type), strings.Join(got, " "), strings.Join(c.want, " "))
			if next == "" {
				x.errorf("%s: no continuation sequence number on an open shard", c.from.Type)
			}
		}
	}},
	{name: "lists no channels where there are none", service: "Kinesis", operation: "ListChannels", run: func(x *run) {
		out, err := x.kinesis.ListChannels(x.ctx, &kinesis.ListChannelsInput{})
		x.must("ListChannels", err)
		equal(x, "next token", aws.ToString(out.NextToken), "")
	}},
	{name: "a missing channel is ResourceNotFoundException", service: "Kinesis", operation: "DescribeChannel", run: func(x *run) {
		_, stream := x.stream(1)
		none := strings.Replace(stream, ":stream/", ":channel/", 1)
		_, err := x.kinesis.DescribeChannel(x.ctx, &kinesis.DescribeChannelInput{ChannelARN: &none})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "lists a stream's shards, in pages", service: "Kinesis", operation: "ListShards", run: func(x *run) {
		_, arn := x.stream(3)
		var got []types.Shard
		in := &kinesis.ListShardsInput{StreamARN: &arn, MaxResults: aws.Int32(2)}
		n := 0
		for ; n < 5; n++ {
			page, err := x.kinesis.ListShards(x.ctx, in)
			x.must("ListShards", err)
			got = append(got, page.Shards...)
			if page.NextToken == nil {
				break
			}
			in = &kinesis.ListShardsInput{NextToken: page.NextToken, MaxResults: aws.Int32(2)}
		}
		if n < 1 {
			x.errorf("one page of two shards, want two or more pages")
		}
		equal(x, "shards", len(got), 3)
		for _, s := range got {
			if aws.ToString(s.ShardId) == "" || s.SequenceNumberRange == nil || aws.ToString(s.SequenceNumberRange.StartingSequenceNumber) == "" {
				x.errorf("shard %+v lacks id or first sequence number", s)
			}
		}
	}},
	{name: "reads on from a sequence number", service: "Kinesis", operation: "GetRecords", run: func(x *run) {
		arn, shard, sequences := x.records("one", "two", "three")
		iterator, err := x.kinesis.GetShardIterator(x.ctx, &kinesis.GetShardIteratorInput{StreamARN: &arn, ShardId: &shard,
			ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &sequences[1]})
		x.must("GetShardIterator", err)
		var got []types.Record
		next := iterator.ShardIterator
		x.until("two records are read", func() (bool, error) {
			out, err := x.kinesis.GetRecords(x.ctx, &kinesis.GetRecordsInput{StreamARN: &arn, ShardIterator: next})
			if err != nil {
				return false, err
			}
			got, next = append(got, out.Records...), out.NextShardIterator
			return len(got) >= 2, nil
		})
		for i, want := range []string{"two", "three"} {
			equal(x, "data", string(got[i].Data), want)
			equal(x, "sequence number", aws.ToString(got[i].SequenceNumber), sequences[i+1])
			equal(x, "partition key", aws.ToString(got[i].PartitionKey), "key")
			if got[i].ApproximateArrivalTimestamp == nil {
				x.errorf("no arrival time")
			}
		}
	}},
	{name: "puts several records, and says for each where it is", service: "Kinesis", operation: "PutRecords", run: func(x *run) {
		name, arn := x.stream(2)
		out, err := x.kinesis.PutRecords(x.ctx, &kinesis.PutRecordsInput{StreamName: &name, Records: []types.PutRecordsRequestEntry{
			{PartitionKey: aws.String("a"), Data: []byte("one")},
			{PartitionKey: aws.String("b"), Data: []byte("two"), ExplicitHashKey: aws.String("0")},
			{PartitionKey: aws.String("c"), Data: []byte("three"), ExplicitHashKey: aws.String("340282366920938463463374607431768211454")}, // moto has no shard for the very last one
		}})
		x.must("PutRecords", err)
		equal(x, "answers", len(out.Records), 3)
		equal(x, "failed", aws.ToInt32(out.FailedRecordCount), 0)
		for i, r := range out.Records {
			if aws.ToString(r.SequenceNumber) == "" || aws.ToString(r.ShardId) == "" || r.ErrorCode != nil {
				x.errorf("answer %d is %+v", i, r)
			}
		}
		if aws.ToString(out.Records[1].ShardId) == aws.ToString(out.Records[2].ShardId) {
			x.errorf("the first and the last hash key are in one shard of %s", arn)
		}
	}},
	// A replay's preflight rests on this: who answers DryRun for reading does so for writing.
	{name: "stores nothing by DryRun, where an iterator says that it is known", service: "Kinesis", operation: "PutRecords", run: func(x *run) {
		arn, shard, _ := x.records("one")
		begin, err := x.kinesis.GetShardIterator(x.ctx, &kinesis.GetShardIteratorInput{StreamARN: &arn, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		x.must("GetShardIterator", err)
		it := begin.ShardIterator
		var yes *types.DryRunOperationException
		_, err = x.kinesis.GetShardIterator(x.ctx, &kinesis.GetShardIteratorInput{StreamARN: &arn, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon, DryRun: aws.Bool(true)})
		if !errors.As(err, &yes) {
			if x.sandbox != nil {
				x.errorf("GetShardIterator with DryRun: %v", err)
			}
			return // it does not know the word: nothing is put
		}
		if _, err = x.kinesis.GetRecords(x.ctx, &kinesis.GetRecordsInput{StreamARN: &arn, ShardIterator: it, DryRun: aws.Bool(true)}); !errors.As(err, &yes) {
			x.errorf("GetRecords with DryRun: %v", err)
		}
		if _, err = x.kinesis.PutRecords(x.ctx, &kinesis.PutRecordsInput{StreamARN: &arn, DryRun: aws.Bool(true), Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("a"), Data: []byte("two")}}}); !errors.As(err, &yes) {
			x.errorf("PutRecords with DryRun: %v", err)
		}
		out, err := x.kinesis.GetRecords(x.ctx, &kinesis.GetRecordsInput{StreamARN: &arn, ShardIterator: it})
		x.must("GetRecords", err)
		equal(x, "records", len(out.Records), 1)
	}},
	{name: "a missing stream takes nothing", service: "Kinesis", operation: "PutRecords", run: func(x *run) {
		_, err := x.kinesis.PutRecords(x.ctx, &kinesis.PutRecordsInput{StreamName: aws.String(x.name("none")), Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("a"), Data: []byte("one")}}})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "a sequence number of another stream is refused", service: "Kinesis", operation: "GetShardIterator", run: func(x *run) {
		arn, shard, _ := x.records("one")
		_, err := x.kinesis.GetShardIterator(x.ctx, &kinesis.GetShardIteratorInput{StreamARN: &arn, ShardId: &shard,
			ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: aws.String("17")})
		var invalid *types.InvalidArgumentException
		if !errors.As(err, &invalid) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "a missing shard is ResourceNotFoundException", service: "Kinesis", operation: "GetShardIterator", run: func(x *run) {
		_, arn := x.stream(1)
		_, err := x.kinesis.GetShardIterator(x.ctx, &kinesis.GetShardIteratorInput{StreamARN: &arn, ShardId: aws.String("shardId-000000000099"),
			ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
}

// consumer registers a fan-out consumer on a new stream of one shard, and waits until it
// can be used.
func (x *run) consumer() (stream, arn, name string) {
	_, stream = x.stream(1)
	name = x.name("reader")
	out, err := x.set.kinesis.RegisterStreamConsumer(x.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &stream, ConsumerName: &name})
	x.must("RegisterStreamConsumer", err)
	arn = aws.ToString(out.Consumer.ConsumerARN)
	x.until("the consumer is active", func() (bool, error) {
		out, err := x.set.kinesis.DescribeStreamConsumer(x.ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: &stream, ConsumerName: &name})
		if err != nil {
			return false, err
		}
		return out.ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive, nil
	})
	return stream, arn, name
}

// records puts records into a new stream of one shard.
func (x *run) records(data ...string) (arn, shard string, sequences []string) {
	_, arn = x.stream(1)
	for _, d := range data {
		out, err := x.set.kinesis.PutRecord(x.ctx, &kinesis.PutRecordInput{StreamARN: &arn, PartitionKey: aws.String("key"), Data: []byte(d)})
		x.must("PutRecord", err)
		shard, sequences = aws.ToString(out.ShardId), append(sequences, aws.ToString(out.SequenceNumber))
	}
	return arn, shard, sequences
}
