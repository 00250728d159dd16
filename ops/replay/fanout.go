package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	smithy "github.com/aws/smithy-go"

	"kxops/ops"
	"kxops/ops/cloud"
)

// Reading by fan-out: a consumer of the replay's own is registered when it begins and
// removed when it ends, pauses or breaks. It is pushed 2 MiB a second of each shard, which
// nobody else loses, and the stream's iterator age does not show it.

const (
	// mostConsumers is how many a stream has. Source: API reference, RegisterStreamConsumer.
	mostConsumers = 20
	// subscriptionMost is the deadline of one subscription: AWS ends it after five minutes.
	subscriptionMost = 6 * time.Minute
	// subscribeTries is how often a shard is subscribed to without an event, and
	// subscribeWait how long between: AWS takes the same shard again after five seconds.
	subscribeTries = 15
	subscribeWait  = time.Second
	// registerMost is how long a consumer may take to be ACTIVE, or to be gone.
	registerMost = 5 * time.Minute
	leaveMost    = 30 * time.Second
)

func fanOutName(id string) string { return "kxops-replay-" + id }

// planFanOut says what the consumer costs, and that there is room for it.
func (d *Desk) planFanOut(ctx context.Context, plan *ops.ReplayPlan) error {
	n := 0
	in := &kinesis.ListStreamConsumersInput{StreamARN: aws.String(string(plan.From.ARN))}
	for {
		out, err := d.kinesis.ListStreamConsumers(ctx, in)
		if err != nil {
			return err
		}
		n += len(out.Consumers)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if n >= mostConsumers {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("%s has %d registered consumers, and takes no more: leave out --fan-out", plan.From.ARN.Name(), n))
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "read by", Value: fmt.Sprintf("a consumer %s of its own, registered when it begins and removed when it ends or pauses: 2 MiB/s a shard, from nobody else's share (%d of %d are registered). AWS bills $%.3f a shard and hour, each that is begun, and $%.3f a GB. Only the samples of this plan were polled",
		plan.FanOut, n, mostConsumers, ops.PricePerFanOutHour, ops.PricePerGBFanOut)})
	return nil
}

// register makes the consumer of a plan, or finds the one that an earlier run left, and
// waits until it can be subscribed.
func (d *Desk) register(ctx context.Context, plan ops.ReplayPlan) error {
	ctx, cancel := context.WithTimeout(ctx, registerMost)
	defer cancel()
	for {
		c, err := d.consumer(ctx, plan)
		switch {
		case err != nil:
			return err
		case c == nil:
			_, err := d.kinesis.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: aws.String(string(plan.From.ARN)), ConsumerName: &plan.FanOut})
			var there *types.ResourceInUseException
			if err != nil && !errors.As(err, &there) { // it is there where the answer was lost
				return err
			}
		case c.ConsumerStatus == types.ConsumerStatusActive:
			return nil
		}
		if !pauseFor(ctx, ctx.Done(), subscribeWait/5) {
			return fmt.Errorf("the consumer %s is not ready: %w", plan.FanOut, ctx.Err())
		}
	}
}

// consumer is the one of a plan, nil: there is none.
func (d *Desk) consumer(ctx context.Context, plan ops.ReplayPlan) (*types.ConsumerDescription, error) {
	out, err := d.kinesis.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: aws.String(string(plan.From.ARN)), ConsumerName: &plan.FanOut})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.ConsumerDescription, nil
}

// deregister removes the consumer of a plan; one that is gone is no error.
func (d *Desk) deregister(ctx context.Context, plan ops.ReplayPlan) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveMost)
	defer cancel()
	_, err := d.kinesis.DeregisterStreamConsumer(ctx, &kinesis.DeregisterStreamConsumerInput{StreamARN: aws.String(string(plan.From.ARN)), ConsumerName: &plan.FanOut})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil
	}
	return err
}

// leftConsumer is the command that removes a consumer that could not be removed.
func leftConsumer(plan ops.ReplayPlan) string {
	return fmt.Sprintf("the consumer %s may still be registered, which is billed: aws kinesis deregister-stream-consumer --stream-arn %s --consumer-name %s", plan.FanOut, plan.From.ARN, plan.FanOut)
}

// pushed reads the shard by subscriptions, each from behind what was read.
func (w *shardWalk) pushed(ctx context.Context, plan ops.ReplayPlan, give func([]types.Record, string) error) error {
	c, err := w.desk.consumer(ctx, plan)
	if err == nil && c == nil {
		err = fmt.Errorf("the consumer %s is not registered any more", plan.FanOut)
	}
	if err != nil {
		return err
	}
	for tries := 1; ; tries++ {
		over, any, err := w.subscription(ctx, aws.ToString(c.ConsumerARN), give)
		if over || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		var given *giveError
		if errors.As(err, &given) {
			return given.err
		}
		if any {
			tries = 0
		}
		if err != nil && (tries >= subscribeTries || !w.desk.passingPush(err)) {
			return err
		}
		if err != nil && !pauseFor(ctx, ctx.Done(), subscribeWait) {
			return ctx.Err()
		}
	}
}

// passingPush reports an error that another subscription can mend: those of a service that
// is in trouble, and of the same shard within five seconds.
func (d *Desk) passingPush(err error) bool {
	var inUse *types.ResourceInUseException
	var api smithy.APIError
	return errors.As(err, &inUse) || errors.As(err, &api) && api.ErrorCode() == "InternalFailureException" || passingStream(d.o.Explain(err).Fault)
}

// giveError is an error of who takes the pages: it ends the reading, and goes back as it is.
type giveError struct{ err error }

func (e *giveError) Error() string { return e.err.Error() }

// subscription reads until AWS ends it. over: the shard, the range or the window is read;
// any: something came.
func (w *shardWalk) subscription(ctx context.Context, consumer string, give func([]types.Record, string) error) (over, any bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, subscriptionMost)
	defer cancel()
	out, err := w.desk.kinesis.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: &w.shard, StartingPosition: w.startsAt()}, cloud.OwnDecoder)
	if err != nil {
		return false, false, err
	}
	stream := out.GetStream()
	defer stream.Close()
	for event := range stream.Events() {
		e, ok := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
		if !ok {
			continue
		}
		any = true
		records, done := w.inRange(e.Value.Records)
		if n := len(records); n > 0 {
			w.after = aws.ToString(records[n-1].SequenceNumber)
			if err := give(records, w.after); err != nil {
				return false, any, &giveError{err}
			}
		}
		if done || e.Value.ContinuationSequenceNumber == nil || w.past(e.Value.Records, aws.ToInt64(e.Value.MillisBehindLatest)) {
			return true, any, nil
		}
	}
	return false, any, stream.Err()
}

// startsAt is where a subscription begins.
func (w *shardWalk) startsAt() *types.StartingPosition {
	switch {
	case w.after != "":
		return &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &w.after}
	case w.first != "":
		return &types.StartingPosition{Type: types.ShardIteratorTypeAtSequenceNumber, SequenceNumber: &w.first}
	case !w.since.IsZero():
		return &types.StartingPosition{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: &w.since}
	}
	return &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
}
