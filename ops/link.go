package ops

import (
	"cmp"
	"slices"
	"sort"
)

// LinkKind says how data gets from one resource to the next.
type LinkKind string

const (
	LinkConsumes   LinkKind = "consumes"    // stream -> function or delivery
	LinkDelivers   LinkKind = "delivers"    // delivery -> bucket
	LinkTransforms LinkKind = "transforms"  // delivery -> function
	LinkNotifies   LinkKind = "notifies"    // bucket -> topic, queue or function
	LinkSubscribes LinkKind = "subscribes"  // topic -> queue, function or delivery
	LinkTriggers   LinkKind = "triggers"    // queue -> function
	LinkDeadLetter LinkKind = "dead-letter" // anything -> its dead-letter queue
	LinkOnSuccess  LinkKind = "on-success"  // function -> destination
	LinkForwards   LinkKind = "forwards"    // API -> function, stream or queue
)

// Link is one arrow of the map.
type Link struct {
	From, To ARN
	Kind     LinkKind
}

// Pipeline is a connected part of the map: everything an event can pass through.
type Pipeline struct {
	Name  string // the name of its first source
	Nodes []ARN  // sources first, in order of flow
	Links []Link
}

// Linked derives the arrows from the resources of the snapshot. Arrows to
// resources that were not found are kept: the end exists, we just cannot see it.
func Linked(s Snapshot) []Link {
	var links []Link
	add := func(from, to ARN, kind LinkKind) {
		if from != "" && to != "" {
			links = append(links, Link{from, to, kind})
		}
	}
	for _, st := range s.Streams.Items {
		for _, c := range st.Consumers {
			add(st.ARN, c.ARN, LinkConsumes)
			add(c.ARN, c.OnFailure, LinkDeadLetter)
		}
	}
	for _, d := range s.Deliveries.Items {
		add(d.Source, d.ARN, LinkConsumes)
		add(d.ARN, d.Target, LinkDelivers)
		add(d.ARN, d.Transform, LinkTransforms)
	}
	for _, b := range s.Buckets.Items {
		for _, n := range b.Notifications {
			add(b.ARN, n.Target, LinkNotifies)
		}
	}
	for _, t := range s.Topics.Items {
		for _, sub := range t.Subscriptions {
			if to := ARN(sub.Endpoint).Unqualified(); to.Kind() != "" {
				add(t.ARN, to, LinkSubscribes)
			}
			add(t.ARN, sub.RedriveTo, LinkDeadLetter)
		}
	}
	for _, q := range s.Queues.Items {
		add(q.ARN, q.RedriveTo, LinkDeadLetter)
		for _, c := range q.Consumers {
			add(q.ARN, c.ARN, LinkTriggers)
		}
	}
	for _, a := range s.APIs.Items {
		for _, to := range a.Feeds {
			add(a.ARN, to, LinkForwards)
		}
	}
	for _, f := range s.Functions.Items {
		add(f.ARN, f.DeadLetter, LinkDeadLetter)
		add(f.ARN, f.OnFailure, LinkDeadLetter)
		add(f.ARN, f.OnSuccess, LinkOnSuccess)
	}
	sort.Slice(links, func(i, j int) bool {
		a, b := links[i], links[j]
		if a.From != b.From {
			return a.From < b.From
		}
		if a.To != b.To {
			return a.To < b.To
		}
		return a.Kind < b.Kind
	})
	return dedupe(links)
}

func dedupe(links []Link) []Link {
	out := links[:0]
	for i, l := range links {
		if i == 0 || l != links[i-1] {
			out = append(out, l)
		}
	}
	return out
}

// Pipelines groups the links into connected parts, each ordered by flow: a node
// comes after everything that feeds it, except where the arrows form a loop.
func Pipelines(links []Link) []Pipeline {
	root := map[ARN]ARN{}
	var find func(a ARN) ARN
	find = func(a ARN) ARN {
		p, ok := root[a]
		if !ok {
			root[a] = a
			return a
		}
		if p != a {
			p = find(p)
			root[a] = p
		}
		return p
	}
	for _, l := range links {
		a, b := find(l.From), find(l.To)
		if a != b {
			root[a] = b
		}
	}
	parts := map[ARN][]Link{}
	for _, l := range links {
		r := find(l.From)
		parts[r] = append(parts[r], l)
	}
	pipelines := make([]Pipeline, 0, len(parts))
	for _, part := range parts {
		nodes := byFlow(part)
		pipelines = append(pipelines, Pipeline{Name: named(nodes), Nodes: nodes, Links: part})
	}
	sort.Slice(pipelines, func(i, j int) bool { return pipelines[i].Nodes[0] < pipelines[j].Nodes[0] })
	return pipelines
}

// named is what a person calls a pipeline: its first source, but not an API, whose
// ARN knows only an id.
func named(nodes []ARN) string {
	for _, a := range nodes {
		if a.Kind() != KindAPI {
			return a.Name()
		}
	}
	return nodes[0].Name()
}

// byFlow is Kahn's topological order; among nodes that are equally ready the
// producers' side comes first, then the smaller ARN. A loop is broken at the node
// that comes first by the same order.
func byFlow(links []Link) []ARN {
	feeds := map[ARN]int{}
	next := map[ARN][]ARN{}
	for _, l := range links {
		feeds[l.From] += 0
		feeds[l.To]++
		next[l.From] = append(next[l.From], l.To)
	}
	all := make([]flowNode, 0, len(feeds))
	for a := range feeds {
		all = append(all, flowNode{rankOf(a.Kind()), a})
	}
	slices.SortFunc(all, flowNode.compare)
	var ready []flowNode // sorted
	for _, n := range all {
		if feeds[n.arn] == 0 {
			ready = append(ready, n)
		}
	}
	order := make([]ARN, 0, len(all))
	done := map[ARN]bool{}
	for rest := all; len(order) < len(all); {
		if len(ready) == 0 { // a loop
			for done[rest[0].arn] {
				rest = rest[1:]
			}
			ready = append(ready, rest[0])
		}
		a := ready[0].arn
		ready = ready[1:]
		if done[a] {
			continue
		}
		done[a] = true
		order = append(order, a)
		for _, b := range next[a] {
			if feeds[b]--; feeds[b] == 0 && !done[b] {
				n := flowNode{rankOf(b.Kind()), b}
				at, _ := slices.BinarySearchFunc(ready, n, flowNode.compare)
				ready = slices.Insert(ready, at, n)
			}
		}
	}
	return order
}

type flowNode struct {
	rank int
	arn  ARN
}

func (n flowNode) compare(o flowNode) int {
	return cmp.Or(cmp.Compare(n.rank, o.rank), cmp.Compare(n.arn, o.arn))
}

// rankOf is the usual place of a kind in a pipeline.
func rankOf(k Kind) int {
	kinds := [...]Kind{KindAPI, KindStream, KindDelivery, KindBucket, KindTopic, KindQueue, KindFunction}
	if i := slices.Index(kinds[:], k); i >= 0 {
		return i
	}
	return len(kinds)
}
