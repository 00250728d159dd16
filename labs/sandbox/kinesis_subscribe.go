package sandbox

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/eventstream"
)

const (
	subscriptionLife = 5 * time.Minute // API reference, SubscribeToShard
	subscribeAgain   = 5 * time.Second // the same consumer and shard not sooner; the same source
	fanOutBytes      = 2 << 20         // a second of each consumer and shard; the same source
	mostPushed       = 1 << 20         // bytes of one event: the sandbox's own
	// idlePush is how long a subscription says nothing where nothing arrives: the sandbox's own.
	idlePush = time.Second
)

// shardPush is a consumer that is pushed the records of one shard.
type shardPush struct {
	k        *kinesisService
	consumer *fanOut
	sh       *shard
	next     uint64
	until    time.Time // its five minutes end
	free     time.Time // when the 2 MiB a second allow the next event
	last     string    // sequence number that was pushed last
}

func (k *kinesisService) handleSubscribe() {
	k.r.operations["kinesis.SubscribeToShard"] = &operation{service: "kinesis", name: "SubscribeToShard", input: reflect.TypeFor[kinesis.SubscribeToShardInput](),
		call: func(ctx context.Context, in any) (any, error) {
			return k.subscribeToShard(ctx, in.(*kinesis.SubscribeToShardInput))
		}}
}

func (k *kinesisService) subscribeToShard(_ context.Context, in *kinesis.SubscribeToShardInput) (*shardPush, error) {
	c, err := k.findConsumer(aws.String(deref(in.ConsumerARN)), nil, nil)
	if err != nil {
		return nil, err
	}
	if c.status != types.ConsumerStatusActive {
		return nil, inUsef("Consumer %s is not in ACTIVE state, its state is %s.", c.arn, c.status)
	}
	c.stream.trim()
	sh, err := c.stream.shard(deref(in.ShardId))
	if err != nil {
		return nil, err
	}
	if in.StartingPosition == nil {
		return nil, validationf("1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null")
	}
	next, _, err := sh.position(&kinesis.GetShardIteratorInput{ShardIteratorType: in.StartingPosition.Type, Timestamp: in.StartingPosition.Timestamp, StartingSequenceNumber: in.StartingPosition.SequenceNumber})
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	now := k.r.now()
	if old := c.pushed[sh.id]; old != nil && now.Before(old.until.Add(subscribeAgain-subscriptionLife)) {
		return nil, inUsef("Another active subscription exists for this consumer: %s and shard: %s.", c.arn, sh.id)
	}
	s := &shardPush{k: k, consumer: c, sh: sh, next: next, until: now.Add(subscriptionLife), free: now, last: aws.ToString(sh.describe().SequenceNumberRange.StartingSequenceNumber)}
	if p := in.StartingPosition; p.SequenceNumber != nil {
		s.last = *p.SequenceNumber
	}
	if next > sh.base && next <= sh.end() {
		s.last = sh.records[next-1-sh.base].Sequence
	}
	c.pushed[sh.id] = s // it takes over
	return s, nil
}

// event waits for what is to be pushed next: an event, the code of an exception, or nothing
// at the end. It gives the lock up while it waits.
func (s *shardPush) event(ctx context.Context) (e *types.SubscribeToShardEvent, exception string) {
	r := s.k.r
	r.do(func() {
		r.wait(ctx, s.free, func() bool { return s.over(ctx) })
		r.wait(ctx, earlier(r.now().Add(idlePush), s.until), func() bool { return s.over(ctx) || s.next < s.sh.end() || !s.sh.isOpen() })
		switch {
		case s.consumer.status == types.ConsumerStatusActive && s.consumer.pushed[s.sh.id] != s:
			exception = "ResourceInUseException"
		case s.over(ctx):
		case r.strikes(ServerError, "kinesis", "SubscribeToShardEvent"):
			exception = "InternalFailureException"
			delete(s.consumer.pushed, s.sh.id)
		default:
			e = s.push()
		}
	})
	return e, exception
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// over reports that nothing is pushed any more.
func (s *shardPush) over(ctx context.Context) bool {
	return ctx.Err() != nil || !s.k.r.now().Before(s.until) || s.consumer.status != types.ConsumerStatusActive || s.consumer.pushed[s.sh.id] != s ||
		s.k.streams[s.consumer.stream.name] != s.consumer.stream
}

// push makes the next event. Call it under the lock.
func (s *shardPush) push() *types.SubscribeToShardEvent {
	st, now := s.consumer.stream, s.k.r.now()
	st.trim()
	records, next := s.sh.page(s.next, mostGetRecords)
	e := &types.SubscribeToShardEvent{Records: []types.Record{}}
	size := 0
	for i := range records {
		rec := &records[i]
		if n := len(rec.Data) + len(rec.Key); size+n > mostPushed && size > 0 {
			next -= uint64(len(records) - i)
			break
		} else {
			size += n
		}
		e.Records = append(e.Records, types.Record{Data: rec.Data, PartitionKey: optional(rec.Key), SequenceNumber: aws.String(rec.Sequence),
			ApproximateArrivalTimestamp: aws.Time(rec.Arrived), EncryptionType: st.encryption()})
		s.last = rec.Sequence
	}
	s.next = next
	s.free = now.Add(time.Duration(float64(size) / fanOutBytes * float64(time.Second)))
	e.MillisBehindLatest = aws.Int64(s.sh.behind(next).Milliseconds())
	e.ContinuationSequenceNumber = aws.String(s.last)
	if !s.sh.isOpen() && next >= s.sh.end() {
		e.ChildShards, e.ContinuationSequenceNumber = st.childrenOf(s.sh), nil
		s.until = now // nothing comes any more
	}
	return e
}

// stream writes the subscription until it ends, or nobody reads it.
func (s *shardPush) stream(ctx context.Context, w io.Writer, flush func()) {
	encode := eventstream.NewEncoder()
	send := func(headers map[string]string, payload []byte) bool {
		m := eventstream.Message{Payload: payload}
		for name, value := range headers {
			m.Headers.Set(name, eventstream.StringValue(value))
		}
		if encode.Encode(w, m) != nil {
			return false
		}
		flush()
		return true
	}
	const body = "application/x-amz-json-1.1"
	if !send(map[string]string{eventstream.MessageTypeHeader: eventstream.EventMessageType, eventstream.EventTypeHeader: "initial-response", eventstream.ContentTypeHeader: body}, []byte("{}")) {
		return
	}
	for {
		e, exception := s.event(ctx)
		switch {
		case exception != "":
			send(map[string]string{eventstream.MessageTypeHeader: eventstream.ExceptionMessageType, eventstream.ExceptionTypeHeader: exception, eventstream.ContentTypeHeader: body},
				[]byte(`{"message":"The subscription has ended."}`))
			return
		case e == nil:
			return
		}
		if !send(map[string]string{eventstream.MessageTypeHeader: eventstream.EventMessageType, eventstream.EventTypeHeader: "SubscribeToShardEvent", eventstream.ContentTypeHeader: body}, appendJSON(nil, reflect.ValueOf(e))) {
			return
		}
	}
}

// serve answers over HTTP, or in process.
func (s *shardPush) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	if later, ok := w.(*recorder); ok { // in process: it is read while it is written
		later.later = func(ctx context.Context, w io.Writer) { s.stream(ctx, w, func() {}) }
		return
	}
	flush := func() {}
	if f, ok := w.(http.Flusher); ok {
		flush = f.Flush
	}
	w.WriteHeader(http.StatusOK)
	s.stream(req.Context(), w, flush)
}
