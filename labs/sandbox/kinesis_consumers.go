package sandbox

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const mostConsumers = 20

// fanOut is a registered consumer: its own read capacity, its own metrics. What it is
// pushed is in kinesis_subscribe.go; scenarios attach a simulatedReader to show one at work.
type fanOut struct {
	stream  *stream
	name    string
	arn     string
	created time.Time
	status  types.ConsumerStatus
	tags    map[string]string
	pushed  map[string]*shardPush // by shard: the one that is valid
}

func (k *kinesisService) handleConsumers() {
	handle(k.r, "kinesis", "RegisterStreamConsumer", k.registerConsumer)
	handle(k.r, "kinesis", "DeregisterStreamConsumer", k.deregisterConsumer)
	handle(k.r, "kinesis", "DescribeStreamConsumer", k.describeConsumer)
	handle(k.r, "kinesis", "ListStreamConsumers", k.listConsumers)
	k.handleSubscribe()
}

// register adds a consumer that is ACTIVE at once.
func (s *stream) register(name string) *fanOut {
	now := s.svc.r.now()
	c := &fanOut{
		stream: s, name: name, arn: fmt.Sprintf("%s/consumer/%s:%d", s.arn, name, now.Unix()),
		created: now, status: types.ConsumerStatusActive, tags: map[string]string{}, pushed: map[string]*shardPush{},
	}
	s.consumers[name] = c
	return c
}

func (c *fanOut) summary() *types.Consumer {
	return &types.Consumer{
		ConsumerARN: aws.String(c.arn), ConsumerName: aws.String(c.name),
		ConsumerCreationTimestamp: aws.Time(c.created), ConsumerStatus: c.status,
	}
}

func (k *kinesisService) registerConsumer(_ context.Context, in *kinesis.RegisterStreamConsumerInput) (*kinesis.RegisterStreamConsumerOutput, error) {
	s, err := k.find(ref{nil, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	name := deref(in.ConsumerName)
	if !resourceName.MatchString(name) {
		return nil, validationf("1 validation error detected: Value '%s' at 'consumerName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", name)
	}
	if s.consumers[name] != nil {
		return nil, inUsef("Consumer under stream %s in account %s already exists.", s.arn, Account)
	}
	if len(s.consumers) >= mostConsumers {
		return nil, limitf("Stream %s under account %s has reached its limit of %d consumers.", s.name, Account, mostConsumers)
	}
	c := s.register(name)
	c.status = types.ConsumerStatusCreating
	for key, v := range in.Tags {
		c.tags[key] = v
	}
	k.r.after(k.r.setup(reshardTime), func() { c.status = types.ConsumerStatusActive })
	return &kinesis.RegisterStreamConsumerOutput{Consumer: c.summary()}, nil
}

// findConsumer finds a consumer by its ARN, or by stream and name.
func (k *kinesisService) findConsumer(arn, streamARN, name *string) (*fanOut, error) {
	if arn != nil {
		owner, rest, _ := strings.Cut(*arn, "/consumer/")
		consumer, _, _ := strings.Cut(rest, ":")
		if s, err := k.find(ref{nil, &owner, nil}); err == nil {
			if c := s.consumers[consumer]; c != nil && c.arn == *arn {
				return c, nil
			}
		}
		return nil, notFoundf("Consumer %s, account %s not found.", *arn, Account)
	}
	s, err := k.find(ref{nil, streamARN, nil})
	if err != nil {
		return nil, err
	}
	c := s.consumers[deref(name)]
	if c == nil {
		return nil, notFoundf("Consumer %s under stream %s in account %s not found.", deref(name), s.name, Account)
	}
	return c, nil
}

func (k *kinesisService) deregisterConsumer(_ context.Context, in *kinesis.DeregisterStreamConsumerInput) (*kinesis.DeregisterStreamConsumerOutput, error) {
	c, err := k.findConsumer(in.ConsumerARN, in.StreamARN, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	c.status = types.ConsumerStatusDeleting
	k.r.after(k.r.setup(reshardTime), func() {
		if c.stream.consumers[c.name] == c {
			delete(c.stream.consumers, c.name)
		}
	})
	return &kinesis.DeregisterStreamConsumerOutput{}, nil
}

func (k *kinesisService) describeConsumer(_ context.Context, in *kinesis.DescribeStreamConsumerInput) (*kinesis.DescribeStreamConsumerOutput, error) {
	c, err := k.findConsumer(in.ConsumerARN, in.StreamARN, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	return &kinesis.DescribeStreamConsumerOutput{ConsumerDescription: &types.ConsumerDescription{
		ConsumerARN: aws.String(c.arn), ConsumerName: aws.String(c.name), ConsumerCreationTimestamp: aws.Time(c.created),
		ConsumerStatus: c.status, StreamARN: aws.String(string(c.stream.arn)),
	}}, nil
}

func (k *kinesisService) listConsumers(_ context.Context, in *kinesis.ListStreamConsumersInput) (*kinesis.ListStreamConsumersOutput, error) {
	s, err := k.find(ref{nil, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	limit, err := pageSize(in.MaxResults, 100, 10000)
	if err != nil {
		return nil, err
	}
	var t pageToken
	if in.NextToken != nil {
		if err := t.open(*in.NextToken, k.r.now()); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(s.consumers))
	for n := range s.consumers {
		names = append(names, n)
	}
	sort.Strings(names)
	out := &kinesis.ListStreamConsumersOutput{Consumers: []types.Consumer{}}
	for _, n := range names {
		if n <= t.After {
			continue
		}
		if len(out.Consumers) == limit {
			out.NextToken = pageToken{Stream: s.name, After: *out.Consumers[limit-1].ConsumerName, Issued: k.r.now()}.seal()
			break
		}
		out.Consumers = append(out.Consumers, *s.consumers[n].summary())
	}
	return out, nil
}

// simulatedReader is a consumer that a scenario plays: its position is a time,
// so it costs nothing, and the metrics show it as they would show a real one.
type simulatedReader struct {
	stream   *stream
	position time.Time // it has read everything that arrived before
	// speed is how much stream time it reads per second: 0 is stuck (it keeps
	// reading the same position, so the age grows by 1000 ms a second), below 1
	// falls behind, above 1 catches up.
	speed float64
	// stopped: it does not read at all, and its metric vanishes.
	stopped bool
	fanOut  *fanOut // nil: it polls with GetRecords
	last    time.Time
	behind  *metricSeries
}

// poll adds a simulated polling consumer that keeps up.
func (s *stream) poll() *simulatedReader {
	now := s.svc.r.now()
	p := &simulatedReader{stream: s, position: now, speed: 1, last: now}
	s.readers = append(s.readers, p)
	return p
}

// subscribe adds a simulated subscriber of a registered consumer.
func (s *stream) subscribe(c *fanOut) *simulatedReader {
	p := s.poll()
	p.fanOut = c
	p.behind = s.svc.r.metrics.series("AWS/Kinesis", "SubscribeToShardEvent.MillisBehindLatest", "Milliseconds", "StreamName", s.name, "ConsumerName", c.name)
	return p
}

// minute plays the minute up to now.
func (p *simulatedReader) minute(now time.Time, records, bytes float64) {
	p.position = p.position.Add(time.Duration(p.speed * float64(now.Sub(p.last))))
	p.last = now
	if p.position.After(now) {
		p.position = now
	}
	if horizon := now.Add(-p.stream.retention); p.position.Before(horizon) {
		p.position = horizon // retention takes what it did not read
	}
	if p.stopped {
		return
	}
	age, calls := float64(now.Sub(p.position).Milliseconds()), 60*float64(len(p.stream.openShards()))
	oldest := max(0, age-60_000*(1-min(1, p.speed)))
	sample := datapoint{sum: calls * (age + oldest) / 2, min: oldest, max: age, count: calls}
	at := now.Add(-time.Second) // within the minute that has passed
	if p.fanOut != nil {
		p.behind.merge(at, sample)
		return
	}
	p.stream.metrics.polled(at, sample, p.speed*records, p.speed*bytes)
}
