package dlq

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"kxops/ops"
)

// A stream pointer is worth nothing when its stream has trimmed the records, however
// long the queue keeps the message.

const (
	mostStreams = 20              // of one pile that are asked
	streamWait  = 5 * time.Second // for one of them
)

// streams is how long the streams keep records that a pile's letters point into.
// Each is asked once; one that does not answer is unknown for this pile.
type streams struct {
	mu    sync.Mutex
	keeps map[ops.ARN]time.Duration // zero: unknown
}

// trims is when the first record of a letter's pointer is trimmed; zero: unknown, or
// no stream.
func (p *Pile) trims(layers []ops.Layer) time.Time {
	for _, l := range layers {
		if l.Pointer == nil || l.Pointer.First.IsZero() {
			continue
		}
		if keeps := p.keeps(*l.Pointer); keeps > 0 {
			return l.Pointer.First.Add(keeps)
		}
		return time.Time{}
	}
	return time.Time{}
}

func (p *Pile) keeps(to ops.Pointer) time.Duration {
	switch {
	case to.Kind == ops.DynamoDBRange:
		return tableRetention
	case to.Kind != ops.KinesisRange || p.desk == nil || p.desk.checkPlace(to) != nil:
		return 0
	}
	p.streams.mu.Lock() // also while asking: the other workers want the same answer
	defer p.streams.mu.Unlock()
	keeps, known := p.streams.keeps[to.Stream]
	if known || len(p.streams.keeps) >= mostStreams {
		return keeps
	}
	ctx, cancel := context.WithTimeout(context.Background(), streamWait)
	defer cancel()
	out, err := p.desk.kinesis.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamARN: aws.String(string(to.Stream))})
	if err == nil && out.StreamDescriptionSummary != nil {
		keeps = time.Duration(aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours)) * time.Hour
	}
	if p.streams.keeps == nil {
		p.streams.keeps = map[ops.ARN]time.Duration{}
	}
	p.streams.keeps[to.Stream] = keeps
	return keeps
}

// shorten makes a letter expire with its stream where that is earlier.
func (p *Pile) shorten(l *ops.Letter, layers []ops.Layer) {
	if !l.Pointer {
		return
	}
	if at := p.trims(layers); !at.IsZero() && (l.Expires.IsZero() || at.Before(l.Expires)) {
		l.Expires, l.Trims = at, true
	}
}
