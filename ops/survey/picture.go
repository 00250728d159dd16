package survey

import (
	"slices"
	"strings"
	"time"

	"kxops/ops"
)

// picture is everything known about the account so far. It lives under the
// survey's lock; what leaves it is a snapshot.
type picture struct {
	Identity      ops.Identity
	Streams       shelf[ops.Stream]
	Deliveries    shelf[ops.Delivery]
	Queues        shelf[queue]
	Topics        shelf[topic]
	Subscriptions shelf[subscription]
	Functions     shelf[ops.Function]
	Mappings      shelf[mapping]
	Buckets       shelf[ops.Bucket]
	APIs          shelf[api]
	Alarms        shelf[ops.Alarm]

	Concurrency ops.Reading // functions at once, as the account's quota allows
	quotaAt     time.Time   // when that was asked for

	// Measures holds what was read of each resource. A value is replaced whole and
	// never written to, so that snapshots can share it.
	Measures       map[ops.ARN]ops.Measures
	MetricsAt      time.Time
	MetricsProblem *ops.Problem
	refusedIn      int // the look in which the problem came up

	Look     int // how many looks there were
	Started  time.Time
	Ended    time.Time
	Problems map[string]*ops.Problem // mistakes of our own, by section

	asked     map[measureOf]int64 // the tick in which a measure was last asked for
	activity  activity
	load      load // what an hour at the full pace takes, as last planned
	pace      pace
	recalled  bool // there are things from disk
	confirmed bool // AWS has answered at least one list
	answered  bool // and one in this look
	read      bool // the disk was looked at
	kept      time.Time
	note      string // what was wrong with the file on disk
}

type measureOf struct {
	of     ops.ARN
	metric ops.Metric
}

func newPicture() picture {
	return picture{
		Streams:       newShelf[ops.Stream](),
		Deliveries:    newShelf[ops.Delivery](),
		Queues:        newShelf[queue](),
		Topics:        newShelf[topic](),
		Subscriptions: newShelf[subscription](),
		Functions:     newShelf[ops.Function](),
		Mappings:      newShelf[mapping](),
		Buckets:       newShelf[ops.Bucket](),
		APIs:          newShelf[api](),
		Alarms:        newShelf[ops.Alarm](),
		Measures:      map[ops.ARN]ops.Measures{},
		Problems:      map[string]*ops.Problem{},
		asked:         map[measureOf]int64{},
		activity:      newActivity(),
		pace:          pace{Interval: time.Minute, Stretch: 1},
	}
}

// Empty reports whether nothing at all is known.
func (p *picture) Empty() bool {
	return len(p.Streams.Entries)+len(p.Deliveries.Entries)+len(p.Queues.Entries)+len(p.Topics.Entries)+
		len(p.Functions.Entries)+len(p.Buckets.Entries)+len(p.APIs.Entries)+len(p.Alarms.Entries) == 0
}

// itIs takes over who we are. A picture of another account, left on disk when the
// profile still led there, is thrown away.
func (p *picture) itIs(id ops.Identity) {
	if p.recalled && p.Identity.Account != "" && p.Identity.Account != id.Account {
		dropRecalled(&p.Streams)
		dropRecalled(&p.Deliveries)
		dropRecalled(&p.Queues)
		dropRecalled(&p.Topics)
		dropRecalled(&p.Subscriptions)
		dropRecalled(&p.Functions)
		dropRecalled(&p.Mappings)
		dropRecalled(&p.Buckets)
		dropRecalled(&p.APIs)
		dropRecalled(&p.Alarms)
		p.recalled = false
	}
	p.Identity = id
}

func dropRecalled[T any](sh *shelf[T]) {
	for key, e := range sh.Entries {
		if e.recalled {
			delete(sh.Entries, key)
		}
	}
}

// unfinished reports whether our own deadline ended the last look early.
func (p *picture) unfinished() bool {
	return p.Streams.cut || p.Deliveries.cut || p.Queues.cut || p.Topics.cut || p.Subscriptions.cut || p.Functions.cut || p.Buckets.cut || p.APIs.cut
}

// Snapshot builds the value that is handed out.
func (p *picture) Snapshot() ops.Snapshot {
	sn := ops.Snapshot{
		Identity:       p.Identity,
		Started:        p.Started,
		At:             p.Ended,
		Recalled:       p.recalled && !p.confirmed,
		Streams:        section(&p.Streams, false, func(st *ops.Stream) string { return st.Name }),
		Deliveries:     section(&p.Deliveries, false, func(d *ops.Delivery) string { return d.Name }),
		Queues:         p.queues(),
		Topics:         p.topics(),
		Functions:      section(&p.Functions, true, func(f *ops.Function) string { return f.Name }),
		Buckets:        section(&p.Buckets, false, func(b *ops.Bucket) string { return b.Name }),
		APIs:           p.apis(),
		Alarms:         section(&p.Alarms, true, func(a *ops.Alarm) string { return a.Name }),
		Concurrency:    p.Concurrency,
		MetricsAt:      p.MetricsAt,
		MetricsProblem: p.MetricsProblem,
	}
	for i := range sn.Streams.Items {
		st := &sn.Streams.Items[i]
		st.ARN = p.arnOf(st.ARN, "kinesis", "stream/"+st.Name)
		st.Measures = p.Measures[st.ARN]
		st.Consumers = slices.Clone(st.Consumers)
		for j := range st.Consumers {
			if c := &st.Consumers[j]; c.Kind == ops.ByFanOut {
				c.Lag = p.Measures[ops.ARN(c.ID)].Get(ops.FanOutBehind)
			}
		}
	}
	for i := range sn.Deliveries.Items {
		d := &sn.Deliveries.Items[i]
		d.ARN = p.arnOf(d.ARN, "firehose", "deliverystream/"+d.Name)
		d.Measures = p.Measures[d.ARN]
	}
	for i := range sn.Functions.Items {
		f := &sn.Functions.Items[i]
		f.Measures = p.Measures[f.ARN]
	}
	mappings := section(&p.Mappings, true, func(m *mapping) string { return m.ID }).Items
	relate(&sn, mappings)
	sn.Links = ops.Linked(sn)

	sn.Streams.Problem = first(sn.Streams.Problem, p.Problems["streams"])
	sn.Deliveries.Problem = first(sn.Deliveries.Problem, p.Problems["deliveries"])
	sn.Queues.Problem = first(sn.Queues.Problem, p.Problems["queues"])
	// Without the subscriptions or the mappings a section is not whole, even where
	// its own list is.
	sn.Topics.Problem = first(sn.Topics.Problem, p.Subscriptions.Problem, p.Problems["topics"])
	sn.Functions.Problem = first(sn.Functions.Problem, p.Mappings.Problem, p.Problems["functions"], p.Problems["descriptions"])
	sn.Buckets.Problem = first(sn.Buckets.Problem, p.Problems["buckets"])
	sn.APIs.Problem = first(sn.APIs.Problem, p.Problems["apis"])
	sn.Alarms.Problem = first(sn.Alarms.Problem, p.Problems["alarms"])
	sn.MetricsProblem = first(sn.MetricsProblem, p.Problems["metrics"], p.activity.problem)
	return sn
}

// arnOf returns the ARN, or builds it for a resource that may be listed but not
// described.
func (p *picture) arnOf(known ops.ARN, service, resource string) ops.ARN {
	if known != "" || p.Identity.Account == "" {
		return known
	}
	return ops.ARN(strings.Join([]string{"arn", partitionOf(p.Identity.Region), service, p.Identity.Region, p.Identity.Account, resource}, ":"))
}

// partitionOf is the part of AWS that a region is in.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func first(problems ...*ops.Problem) *ops.Problem {
	for _, p := range problems {
		if p != nil {
			return p
		}
	}
	return nil
}

// sleepsAfter is how long a queue is idle before it publishes no metrics any more
// (SQS developer guide, available CloudWatch metrics).
const sleepsAfter = 6 * time.Hour

// asleep is what is known of a queue that publishes nothing: not zeros.
var asleep = ops.Measures{
	{Metric: ops.Visible, Last: ops.Missing(ops.Asleep)},
	{Metric: ops.InFlight, Last: ops.Missing(ops.Asleep)},
	{Metric: ops.Delayed, Last: ops.Missing(ops.Asleep)},
	{Metric: ops.OldestAge, Last: ops.Missing(ops.Asleep)},
}

func (p *picture) queues() ops.Section[ops.Queue] {
	deadLetters := p.deadLetterQueues()
	return sectionOf(&p.Queues, false, func(q *queue) string { return q.Name }, func(x *queue) ops.Queue {
		q := x.Queue
		q.ARN = p.arnOf(q.ARN, "sqs", q.Name)
		q.Measures = p.Measures[q.ARN]
		q.Awake = deadLetters[q.ARN] || p.awake(x)
		if !q.Awake {
			q.Measures = asleep
		}
		return q
	})
}

func (p *picture) topics() ops.Section[ops.Topic] {
	subscriptions := map[ops.ARN][]ops.Subscription{}
	for _, x := range section(&p.Subscriptions, true, func(x *subscription) string { return string(x.Topic) + " " + x.Endpoint }).Items {
		subscriptions[x.Topic] = append(subscriptions[x.Topic], x.Subscription)
	}
	return sectionOf(&p.Topics, true, func(t *topic) string { return t.Name }, func(x *topic) ops.Topic {
		t := x.Topic
		t.Subscriptions, t.Measures = subscriptions[t.ARN], p.Measures[t.ARN]
		return t
	})
}

func (p *picture) apis() ops.Section[ops.API] {
	return sectionOf(&p.APIs, false, func(a *api) string { return a.Name + " " + string(a.ARN) }, func(x *api) ops.API {
		a := x.API
		a.Stages = slices.Clone(a.Stages)
		for i := range a.Stages {
			a.Stages[i].Measures = p.Measures[a.StageARN(a.Stages[i].Name)]
		}
		a.Feeds = slices.Clone(a.Feeds)
		for _, name := range x.Streams { // an integration names a stream of its own account
			if arn := p.arnOf("", "kinesis", "stream/"+name); arn != "" {
				a.Feeds = append(a.Feeds, arn)
				a.Unnamed--
			}
		}
		slices.Sort(a.Feeds)
		a.Feeds = slices.Compact(a.Feeds)
		return a
	})
}

// awake reports whether a queue publishes metrics, as far as can be told.
func (p *picture) awake(q *queue) bool {
	if q.Depths != [3]int64{} {
		return true
	}
	if p.Queues.At.Sub(q.Created) < sleepsAfter {
		return true // it is too young to have been idle for so long: it has no data yet
	}
	known, active := p.activity.of("AWS/SQS", "ApproximateNumberOfMessagesVisible", []string{"QueueName", q.Name})
	return !known || active
}

// busy reports whether a queue is worth reading live: it held messages when it
// was last read, or something was sent to it within the hour.
func (p *picture) busy(q *queue, now time.Time) bool {
	if q.Depths != [3]int64{} {
		return true
	}
	sent := p.Measures[q.ARN].Get(ops.Sent)
	for i, n := range sent.Hour.Points {
		if n > 0 && now.Sub(sent.Hour.At(i)) < time.Hour+contextEvery*time.Minute {
			return true
		}
	}
	return false
}

// deadLetterQueues returns the queues that something sends dead letters to.
func (p *picture) deadLetterQueues() map[ops.ARN]bool {
	out := map[ops.ARN]bool{}
	add := func(a ops.ARN) {
		if a.Kind() == ops.KindQueue {
			out[a] = true
		}
	}
	for _, e := range p.Queues.Entries {
		add(e.Item.RedriveTo)
	}
	for _, e := range p.Subscriptions.Entries {
		add(e.Item.RedriveTo)
	}
	for _, e := range p.Functions.Entries {
		add(e.Item.DeadLetter)
		add(e.Item.OnFailure)
	}
	for _, e := range p.Mappings.Entries {
		add(e.Item.OnFailure)
	}
	return out
}

// bucketNames returns the buckets that deliveries write to and that policies let
// send, unordered.
func (p *picture) bucketNames() []string {
	var names []string
	for _, e := range p.Deliveries.Entries {
		for _, a := range []ops.ARN{e.Item.Target, e.Item.Backup} {
			if a.Kind() == ops.KindBucket {
				names = append(names, strings.TrimPrefix(a.Name(), "/"))
			}
		}
	}
	for _, e := range p.Queues.Entries {
		names = append(names, e.Item.Buckets...)
	}
	for _, e := range p.Topics.Entries {
		names = append(names, e.Item.Buckets...)
	}
	return names
}

// set takes over a measure.
func (p *picture) set(of ops.ARN, m ops.Measure) {
	known := p.Measures[of]
	for i := range known {
		if known[i].Metric == m.Metric {
			known = slices.Clone(known)
			known[i] = m
			p.Measures[of] = known
			return
		}
	}
	p.Measures[of] = append(slices.Clone(known), m)
}

// depth takes over a live read of a queue's depth. The live value also becomes a
// point of the hour's series, so that a depth's slope is known without paying for
// its metric.
func (p *picture) depth(q queue, now time.Time) {
	hour := p.Measures[q.ARN].Get(ops.Visible).Hour
	p.set(q.ARN, ops.Measure{Metric: ops.Visible, Last: ops.Know(float64(q.Depths[0]), now), Hour: withLive(hour, now, float64(q.Depths[0]))})
	p.set(q.ARN, ops.Measure{Metric: ops.InFlight, Last: ops.Know(float64(q.Depths[1]), now)})
	p.set(q.ARN, ops.Measure{Metric: ops.Delayed, Last: ops.Know(float64(q.Depths[2]), now)})
	if q.Depths == [3]int64{} {
		// An empty queue has no oldest message: yesterday's age must not stay.
		age := p.Measures[q.ARN].Get(ops.OldestAge)
		age.Metric, age.Last = ops.OldestAge, ops.Missing(ops.NoData)
		p.set(q.ARN, age)
	}
}

// focus returns what is on screen. Call it under the lock.
func (s *Survey) focus() map[ops.ARN]bool {
	out := make(map[ops.ARN]bool, len(s.ask.Focus))
	for _, a := range s.ask.Focus {
		out[a] = true
	}
	return out
}
