package survey

import (
	"slices"
	"strings"

	"kxops/ops"
)

// relate fills in who reads what and who fails into which queue. A queue is a
// dead-letter queue because something sends dead letters to it, never because of
// its name. Consumers and DeadLetterOf of the snapshot's items are replaced, not
// appended to in place: the items are shared with the picture.
func relate(sn *ops.Snapshot, mappings []mapping) {
	r := relation{readers: map[ops.ARN][]ops.Consumer{}, deadLetters: map[ops.ARN][]ops.DeadLetterSource{}}
	fanOut := map[string]mapping{} // by the ARN of the registered consumer
	for _, m := range mappings {
		source := m.Source
		if stream, _, ok := strings.Cut(string(m.Source), "/consumer/"); ok {
			fanOut[string(m.Source)] = m
			source = ops.ARN(stream)
		} else {
			r.readers[source] = append(r.readers[source], m.Consumer)
		}
		r.fails(m.OnFailure, ops.DeadLetterSource{Via: ops.ViaMapping, Source: source, ID: m.ID})
	}
	for _, d := range sn.Deliveries.Items {
		if d.Source != "" {
			r.readers[d.Source] = append(r.readers[d.Source], ops.Consumer{
				Kind: ops.ByDelivery, ARN: d.ARN, Name: d.Name, ID: string(d.ARN), State: d.Status,
				Lag: d.Measures.Get(ops.SourceBehind), LastResult: d.Failure,
			})
		}
	}
	for _, q := range sn.Queues.Items {
		r.fails(q.RedriveTo, ops.DeadLetterSource{Via: ops.ViaRedrivePolicy, Source: q.ARN, ID: q.URL, Retention: q.Retention})
	}
	for _, t := range sn.Topics.Items {
		for _, sub := range t.Subscriptions {
			r.fails(sub.RedriveTo, ops.DeadLetterSource{Via: ops.ViaSubscription, Source: t.ARN, ID: sub.ARN})
		}
	}
	lag := map[ops.ARN]ops.Measure{}
	for _, f := range sn.Functions.Items {
		lag[f.ARN] = f.Measures.Get(ops.FnIteratorAge)
		r.fails(f.DeadLetter, ops.DeadLetterSource{Via: ops.ViaFunctionDLQ, Source: f.ARN, ID: string(f.ARN)})
		r.fails(f.OnFailure, ops.DeadLetterSource{Via: ops.ViaDestination, Source: f.ARN, ID: string(f.ARN)})
	}
	for i := range sn.Streams.Items {
		st := &sn.Streams.Items[i]
		st.Consumers = append(registered(st.Consumers, fanOut), r.readers[st.ARN]...)
		for j := range st.Consumers {
			if c := &st.Consumers[j]; c.Kind == ops.ByMapping {
				c.Lag = lag[c.ARN]
			}
		}
	}
	for i := range sn.Queues.Items {
		q := &sn.Queues.Items[i]
		q.Consumers, q.DeadLetterOf = r.readers[q.ARN], r.deadLetters[q.ARN]
	}
}

type relation struct {
	readers     map[ops.ARN][]ops.Consumer
	deadLetters map[ops.ARN][]ops.DeadLetterSource
}

func (r relation) fails(into ops.ARN, source ops.DeadLetterSource) {
	if into.Kind() == ops.KindQueue {
		r.deadLetters[into] = append(r.deadLetters[into], source)
	}
}

// registered names a registered consumer after the function that reads through
// it, where a mapping says so: that is who a person has to look at.
func registered(consumers []ops.Consumer, fanOut map[string]mapping) []ops.Consumer {
	consumers = slices.Clone(consumers)
	for i := range consumers {
		c := &consumers[i]
		m, ok := fanOut[c.ID]
		if !ok {
			continue
		}
		c.ARN, c.Name, c.State = m.ARN, m.Name, m.State
		c.Counts, c.BatchSize, c.MaxRecordAge, c.OnFailure, c.LastResult = m.Counts, m.BatchSize, m.MaxRecordAge, m.OnFailure, m.LastResult
	}
	return consumers
}
