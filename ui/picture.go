package ui

import (
	"strings"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// picture is one snapshot as the screens need it: judged, indexed, linked. It is
// made away from the drawing loop and never changed afterwards.
type picture struct {
	snap      ops.Snapshot
	verdicts  []alarms.Verdict
	pipelines []ops.Pipeline
	verdictOf map[ops.ARN]int
	linksFrom map[ops.ARN][]ops.Link
	linksTo   map[ops.ARN][]ops.Link

	streams    map[ops.ARN]*ops.Stream
	deliveries map[ops.ARN]*ops.Delivery
	queues     map[ops.ARN]*ops.Queue
	functions  map[ops.ARN]*ops.Function
	topics     map[ops.ARN]*ops.Topic
	buckets    map[ops.ARN]*ops.Bucket
	apis       map[ops.ARN]*ops.API
	fanOut     map[ops.ARN]*ops.Consumer // registered stream consumers: arrows lead to them, they have no page

	pages, tickets, findings int
}

type judge func(ops.Snapshot, time.Time) []alarms.Verdict

func newPicture(s ops.Snapshot, judge judge, now time.Time) *picture {
	links := s.Links
	if links == nil {
		links = ops.Linked(s)
	}
	p := &picture{
		snap:       s,
		verdicts:   judge(s, now),
		pipelines:  ops.Pipelines(links),
		linksFrom:  map[ops.ARN][]ops.Link{},
		linksTo:    map[ops.ARN][]ops.Link{},
		streams:    index(s.Streams.Items, func(x *ops.Stream) ops.ARN { return x.ARN }),
		deliveries: index(s.Deliveries.Items, func(x *ops.Delivery) ops.ARN { return x.ARN }),
		queues:     index(s.Queues.Items, func(x *ops.Queue) ops.ARN { return x.ARN }),
		functions:  index(s.Functions.Items, func(x *ops.Function) ops.ARN { return x.ARN }),
		topics:     index(s.Topics.Items, func(x *ops.Topic) ops.ARN { return x.ARN }),
		buckets:    index(s.Buckets.Items, func(x *ops.Bucket) ops.ARN { return x.ARN }),
		apis:       index(s.APIs.Items, func(x *ops.API) ops.ARN { return x.ARN }),
	}
	p.fanOut = map[ops.ARN]*ops.Consumer{}
	for i := range s.Streams.Items {
		for j := range s.Streams.Items[i].Consumers {
			if c := &s.Streams.Items[i].Consumers[j]; c.Kind == ops.ByFanOut {
				p.fanOut[c.ARN] = c
			}
		}
	}
	for _, l := range links {
		p.linksFrom[l.From] = append(p.linksFrom[l.From], l)
		p.linksTo[l.To] = append(p.linksTo[l.To], l)
	}
	p.verdictOf = make(map[ops.ARN]int, len(p.verdicts))
	for i := range p.verdicts {
		v := &p.verdicts[i]
		p.verdictOf[v.ARN] = i
		p.findings += len(v.Findings)
		switch v.State {
		case alarms.StatePage:
			p.pages++
		case alarms.StateTicket:
			p.tickets++
		}
	}
	return p
}

func index[T any](items []T, id func(*T) ops.ARN) map[ops.ARN]*T {
	m := make(map[ops.ARN]*T, len(items))
	for i := range items {
		m[id(&items[i])] = &items[i]
	}
	return m
}

// verdict returns the verdict on a resource, nil when there is none.
func (p *picture) verdict(a ops.ARN) *alarms.Verdict {
	if i, ok := p.verdictOf[a]; ok {
		return &p.verdicts[i]
	}
	return nil
}

// found reports whether the resource itself was read, not only an arrow to it.
func (p *picture) found(a ops.ARN) bool {
	switch a.Kind() {
	case ops.KindStream:
		return p.streams[a] != nil
	case ops.KindDelivery:
		return p.deliveries[a] != nil
	case ops.KindQueue:
		return p.queues[a] != nil
	case ops.KindFunction:
		return p.functions[a] != nil
	case ops.KindTopic:
		return p.topics[a] != nil
	case ops.KindBucket:
		return p.buckets[a] != nil
	case ops.KindAPI:
		return p.apis[a] != nil
	}
	return false
}

// page returns the resource whose page tells about a: its own, or the stream's for
// a registered consumer.
func (p *picture) page(a ops.ARN) ops.ARN {
	if p.fanOut[a] != nil {
		stream, _, _ := strings.Cut(string(a), "/consumer/")
		return ops.ARN(stream)
	}
	return a
}

// resources lists everything a person can name, in the order of the snapshot.
func (p *picture) resources() []ops.ARN {
	var all []ops.ARN
	for i := range p.snap.Streams.Items {
		all = append(all, p.snap.Streams.Items[i].ARN)
	}
	for i := range p.snap.Deliveries.Items {
		all = append(all, p.snap.Deliveries.Items[i].ARN)
	}
	for i := range p.snap.Queues.Items {
		all = append(all, p.snap.Queues.Items[i].ARN)
	}
	for i := range p.snap.Functions.Items {
		all = append(all, p.snap.Functions.Items[i].ARN)
	}
	for i := range p.snap.Topics.Items {
		all = append(all, p.snap.Topics.Items[i].ARN)
	}
	for i := range p.snap.Buckets.Items {
		all = append(all, p.snap.Buckets.Items[i].ARN)
	}
	for i := range p.snap.APIs.Items {
		all = append(all, p.snap.APIs.Items[i].ARN)
	}
	return all
}

// called is what a person calls a resource: its name, which of an API stands not in
// the ARN.
func (p *picture) called(a ops.ARN) string {
	if x := p.apis[a]; x != nil {
		return x.Name
	}
	return a.Name()
}

// alias is the name of what is shown by its id, with a space after it.
func (p *picture) alias(a ops.ARN) string {
	if name := p.called(a); name != a.Name() {
		return name + " "
	}
	return ""
}

// age returns how old the picture is: the time since AWS last confirmed it.
// A look that brought nothing does not make it younger, and while the metrics fail
// it is as old as they are: the numbers that decide come from them.
func (p *picture) age(now time.Time) (time.Duration, bool) {
	at := p.confirmed()
	if at.IsZero() {
		return 0, false
	}
	return max(now.Sub(at), 0), true
}

func (p *picture) confirmed() time.Time {
	s := &p.snap
	if s.MetricsProblem != nil && !s.MetricsAt.IsZero() {
		return s.MetricsAt
	}
	var last time.Time
	for _, x := range s.Sections() {
		if x.At.After(last) {
			last = x.At
		}
	}
	if !last.Before(s.Started) { // this look was answered
		if s.At.IsZero() {
			return s.Started
		}
		return s.At
	}
	return last
}

// keepLast fills sections of s that could not be read at all with what was known
// before: an expired login must not empty the screen. Age and problem stay visible.
func keepLast(s, before ops.Snapshot) ops.Snapshot {
	s.Streams = keep(s.Streams, before.Streams)
	s.Deliveries = keep(s.Deliveries, before.Deliveries)
	s.Queues = keep(s.Queues, before.Queues)
	s.Topics = keep(s.Topics, before.Topics)
	s.Functions = keep(s.Functions, before.Functions)
	s.Buckets = keep(s.Buckets, before.Buckets)
	s.APIs = keep(s.APIs, before.APIs)
	s.Alarms = keep(s.Alarms, before.Alarms)
	return s
}

func keep[T any](s, before ops.Section[T]) ops.Section[T] {
	if len(s.Items) == 0 && s.Problem != nil && len(before.Items) > 0 {
		s.Items, s.At, s.Known = before.Items, before.At, before.Known
	}
	return s
}
