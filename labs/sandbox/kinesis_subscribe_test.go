package sandbox

import (
	"context"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

const firstShard = "shardId-000000000000"

// aConsumer is an ACTIVE consumer of "orders".
func aConsumer(t *testing.T, sb *Sandbox, c *kinesis.Client) (stream, consumer string) {
	t.Helper()
	d, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	stream = *d.StreamDescriptionSummary.StreamARN
	out, err := c.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: &stream, ConsumerName: aws.String("again")})
	if err != nil {
		t.Fatal(err)
	}
	consumer = *out.Consumer.ConsumerARN
	if _, err := pushed(t.Context(), c, consumer, types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}); codeOf(err) != "ResourceInUseException" {
		t.Errorf("a consumer that is CREATING was subscribed: %v", err)
	}
	sb.Advance(reshardTime)
	return stream, consumer
}

// ownDecoder spares streams of one client the buffer that they share: cloud.OwnDecoder.
func ownDecoder(o *kinesis.Options) {
	o.Protocol = awsjson.New11(schemas.Kinesis_20131202)
}

func pushed(ctx context.Context, c *kinesis.Client, consumer string, at types.StartingPosition) (*kinesis.SubscribeToShardEventStream, error) {
	out, err := c.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: aws.String(firstShard), StartingPosition: &at}, ownDecoder)
	if err != nil {
		return nil, err
	}
	return out.GetStream(), nil
}

// next is the next event with records, or the last one of a shard; nil at the end.
func next(t *testing.T, sb *Sandbox, s *kinesis.SubscribeToShardEventStream) *types.SubscribeToShardEvent {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case e, ok := <-s.Events():
			if !ok {
				return nil
			}
			v := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
			if len(v.Records) > 0 || v.ContinuationSequenceNumber == nil {
				return &v
			}
		case <-time.After(time.Millisecond): // the world's clock goes on while somebody waits
			sb.Advance(100 * time.Millisecond)
		case <-deadline:
			t.Fatal("nothing is pushed")
		}
	}
}

// A consumer is pushed what is there and what comes, over HTTP and in process; after five
// minutes it ends, and goes on behind what it was pushed.
func TestAShardIsPushed(t *testing.T) {
	for _, name := range []string{"in process", "over HTTP"} {
		t.Run(name, func(t *testing.T) {
			sb, c := aStream(t, 1)
			if name == "over HTTP" {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				go sb.Serve(l)
				c = kinesis.NewFromConfig(ConfigFor("http://"+l.Addr().String(), HomeRegion), func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
			}
			_, consumer := aConsumer(t, sb, c)
			for n := range 3 {
				put(t, c, "k", fmt.Sprint("old ", n))
			}
			s, err := pushed(t.Context(), c, consumer, types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon})
			if err != nil {
				t.Fatal(err)
			}
			e := next(t, sb, s)
			if len(e.Records) != 3 || string(e.Records[0].Data) != "old 0" || *e.Records[0].PartitionKey != "k" || *e.MillisBehindLatest != 0 || *e.ContinuationSequenceNumber != *e.Records[2].SequenceNumber {
				t.Fatalf("%+v", e)
			}
			put(t, c, "k", "new")
			if e = next(t, sb, s); len(e.Records) != 1 || string(e.Records[0].Data) != "new" {
				t.Fatalf("%+v", e)
			}
			go sb.Advance(subscriptionLife)
			if e := next(t, sb, s); e != nil || s.Err() != nil {
				t.Errorf("after five minutes: %+v %v", e, s.Err())
			}
			put(t, c, "k", "later")
			s, err = pushed(t.Context(), c, consumer, types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: e.ContinuationSequenceNumber})
			if err != nil {
				t.Fatal(err)
			}
			if e := next(t, sb, s); len(e.Records) != 1 || string(e.Records[0].Data) != "later" {
				t.Errorf("%+v", e)
			}
			s.Close()
		})
	}
}

// A shard that was split ends with its children; who subscribes again takes over, but not
// within five seconds; a consumer that goes takes its subscription with it.
func TestAPushEnds(t *testing.T) {
	sb, c := aStream(t, 1)
	_, consumer := aConsumer(t, sb, c)
	horizon := types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	put(t, c, "k", "one")
	first, err := pushed(t.Context(), c, consumer, horizon)
	if err != nil {
		t.Fatal(err)
	}
	next(t, sb, first)
	if _, err := pushed(t.Context(), c, consumer, horizon); codeOf(err) != "ResourceInUseException" {
		t.Errorf("twice within five seconds: %v", err)
	}
	sb.Advance(subscribeAgain)
	second, err := pushed(t.Context(), c, consumer, horizon)
	if err != nil {
		t.Fatal(err)
	}
	if e := next(t, sb, first); e != nil || codeOf(first.Err()) != "ResourceInUseException" {
		t.Errorf("the one that was taken over: %+v %v", e, first.Err())
	}
	next(t, sb, second)
	half := new(big.Int).Lsh(big.NewInt(1), 127).String()
	if _, err := c.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("orders"), ShardToSplit: aws.String(firstShard), NewStartingHashKey: &half}); err != nil {
		t.Fatal(err)
	}
	sb.Advance(reshardTime)
	if e := next(t, sb, second); e == nil || len(e.ChildShards) != 2 || e.ContinuationSequenceNumber != nil {
		t.Errorf("%+v", e)
	}
	if e := next(t, sb, second); e != nil {
		t.Errorf("behind the end: %+v", e)
	}
	sb.Advance(subscribeAgain)
	sb.SetFaults(Fault{Kind: ServerError, Service: "kinesis", Operation: "SubscribeToShardEvent"})
	third, err := pushed(t.Context(), c, consumer, horizon)
	if err != nil {
		t.Fatal(err)
	}
	if e := next(t, sb, third); e != nil || codeOf(third.Err()) != "InternalFailureException" {
		t.Errorf("%+v %v", e, third.Err())
	}
	sb.SetFaults()
	if _, err := c.SubscribeToShard(t.Context(), &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: aws.String(firstShard), StartingPosition: &horizon, DryRun: aws.Bool(true)}); codeOf(err) != "DryRunOperationException" {
		t.Errorf("dry run: %v", err)
	}
	if _, err := c.DeregisterStreamConsumer(t.Context(), &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &consumer}); err != nil {
		t.Fatal(err)
	}
	if _, err := pushed(t.Context(), c, consumer, horizon); codeOf(err) != "ResourceInUseException" {
		t.Errorf("while it is DELETING: %v", err)
	}
	sb.Advance(reshardTime)
	if _, err := pushed(t.Context(), c, consumer, horizon); codeOf(err) != "ResourceNotFoundException" {
		t.Errorf("when it is gone: %v", err)
	}
}

// Each consumer and shard gets 2 MiB a second, whatever others read.
func TestAPushHasItsOwnRate(t *testing.T) {
	sb, c := aStream(t, 1)
	_, consumer := aConsumer(t, sb, c)
	for range 8 {
		put(t, c, "k", string(make([]byte, 1<<20-1)))
		sb.Advance(time.Second)
	}
	s, err := pushed(t.Context(), c, consumer, types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	began := sb.Now()
	for n := 0; n < 8; n += len(next(t, sb, s).Records) {
	}
	if took := sb.Now().Sub(began); took < 3500*time.Millisecond {
		t.Errorf("8 MiB took %s", took)
	}
}
