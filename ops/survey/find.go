package survey

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"kxops/ops"
)

// Find resolves what a person typed to one resource of the snapshot: an ARN, a
// queue URL, a name, or kind:name where a name is used twice. The error is an
// *ops.Problem that says what was meant perhaps.
func Find(sn ops.Snapshot, ref string) (ops.ARN, error) {
	ref = strings.TrimSpace(ref)
	known := inventory(sn)
	kind, name := ops.Kind(""), ref
	switch {
	case ref == "":
		return "", &ops.Problem{Fault: ops.FaultNotFound, What: "no resource was named"}
	case strings.HasPrefix(ref, "arn:"):
		if slices.Contains(known, ops.ARN(ref).Unqualified()) {
			return ops.ARN(ref).Unqualified(), nil
		}
		kind, name = ops.ARN(ref).Kind(), ops.ARN(ref).Unqualified().Name()
		return "", unknownName(known, ref, kind, name)
	case strings.HasPrefix(ref, "http://"), strings.HasPrefix(ref, "https://"):
		for _, q := range sn.Queues.Items {
			if sameQueue(q.URL, ref) {
				return q.ARN, nil
			}
		}
		return "", unknownName(known, ref, ops.KindQueue, queueName(ref))
	}
	if k, rest, ok := strings.Cut(ref, ":"); ok && slices.Contains(kinds, ops.Kind(k)) {
		kind, name = ops.Kind(k), rest
	}
	var hits []ops.ARN
	for _, a := range known {
		if a.Name() == name && (kind == "" || a.Kind() == kind) {
			hits = append(hits, a)
		}
	}
	for _, x := range sn.APIs.Items { // its ARN knows only the id
		if x.Name == name && !slices.Contains(hits, x.ARN) && (kind == "" || kind == ops.KindAPI) {
			hits = append(hits, x.ARN)
		}
	}
	switch len(hits) {
	case 0:
		return "", unknownName(known, name, kind, name)
	case 1:
		return hits[0], nil
	}
	var choices []string
	for _, a := range hits {
		if a.Kind() == ops.KindAPI { // two APIs may have one name
			choices = append(choices, string(a))
			continue
		}
		choices = append(choices, string(a.Kind())+":"+name)
	}
	return "", &ops.Problem{
		Fault: ops.FaultNotFound,
		What:  fmt.Sprintf("%q is the name of %d resources", name, len(hits)),
		Hint:  "say which: " + strings.Join(choices, ", "),
	}
}

var kinds = []ops.Kind{ops.KindStream, ops.KindDelivery, ops.KindQueue, ops.KindTopic, ops.KindFunction, ops.KindBucket, ops.KindAPI}

func inventory(sn ops.Snapshot) []ops.ARN {
	var out []ops.ARN
	for _, x := range sn.Streams.Items {
		out = append(out, x.ARN)
	}
	for _, x := range sn.Deliveries.Items {
		out = append(out, x.ARN)
	}
	for _, x := range sn.Queues.Items {
		out = append(out, x.ARN)
	}
	for _, x := range sn.Topics.Items {
		out = append(out, x.ARN)
	}
	for _, x := range sn.Functions.Items {
		out = append(out, x.ARN)
	}
	for _, x := range sn.Buckets.Items {
		out = append(out, x.ARN)
	}
	for _, x := range sn.APIs.Items {
		out = append(out, x.ARN)
	}
	return out
}

// sameQueue compares the account and name of two queue URLs: the host differs
// between an endpoint and the name it gives itself.
func sameQueue(a, b string) bool {
	u, errA := url.Parse(a)
	v, errB := url.Parse(b)
	return errA == nil && errB == nil && u.Path == v.Path
}

func unknownName(known []ops.ARN, ref string, kind ops.Kind, name string) error {
	p := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("there is no %s %q", cmp.Or(string(kind), "resource"), ref)}
	if near := nearest(known, kind, name, 3); len(near) > 0 {
		p.Hint = "the nearest names are " + strings.Join(near, ", ")
	}
	return p
}

// nearest returns the n names that are the fewest edits away.
func nearest(known []ops.ARN, kind ops.Kind, name string, n int) []string {
	var names []string
	for _, a := range known {
		if kind == "" || a.Kind() == kind {
			names = append(names, a.Name())
		}
	}
	slices.Sort(names)
	return ops.Nearest(name, slices.Compact(names), n)
}
