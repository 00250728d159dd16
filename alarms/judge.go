package alarms

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"kxops/ops"
)

// Judge turns a snapshot into one verdict for each resource that can lose data,
// the one that needs a person first on top: by state, then by time to loss. It
// is pure: the same snapshot and time give the same answer.
func Judge(s ops.Snapshot, now time.Time) []Verdict {
	l := lookAt(s, now)
	watched := alarmsByResource(s.Alarms.Items)
	var vs []Verdict
	add := func(v Verdict, findings []Finding, known ops.Reading) {
		slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
		v.Findings = findings
		v.Alarms = watched[v.ARN]
		v.State = stateOf(findings, known)
		v.At = known.At
		vs = append(vs, v)
	}
	for _, x := range s.Streams.Items {
		v, known := streamVerdict(x, l)
		add(v, findings(x.ARN, func(r Rule) string { return call(r.Stream, x, l) }), known)
	}
	for _, x := range s.Deliveries.Items {
		v, known := deliveryVerdict(x, l)
		add(v, findings(x.ARN, func(r Rule) string { return call(r.Delivery, x, l) }), known)
	}
	for _, x := range s.Queues.Items {
		v, known := queueVerdict(x, l)
		add(v, findings(x.ARN, func(r Rule) string {
			if x.IsDeadLetter() {
				return call(r.Dead, x, l)
			}
			return call(r.Queue, x, l)
		}), known)
	}
	for _, x := range s.Functions.Items {
		v, known := functionVerdict(x, l)
		add(v, findings(x.ARN, func(r Rule) string { return call(r.Function, x, l) }), known)
	}
	for _, x := range s.Topics.Items {
		v, known := topicVerdict(x, l)
		add(v, findings(x.ARN, func(r Rule) string { return call(r.Topic, x, l) }), known)
	}
	for _, x := range s.APIs.Items {
		if !x.FeedsPipeline() {
			continue // nothing that is followed here can be lost at it
		}
		v, known := apiVerdict(x, l)
		add(v, findings(x.ARN, func(r Rule) string { return call(r.API, x, l) }), known)
	}
	return sorted(vs)
}

// sorted orders verdicts by urgency. It sorts their places, not the large values.
func sorted(vs []Verdict) []Verdict {
	places := make([]int32, len(vs))
	for i := range places {
		places[i] = int32(i)
	}
	slices.SortFunc(places, func(a, b int32) int { return byUrgency(&vs[a], &vs[b]) })
	out := make([]Verdict, len(vs))
	for i, p := range places {
		out[i] = vs[p]
	}
	return out
}

// byUrgency orders verdicts: state, then time to loss, then kind and name.
func byUrgency(a, b *Verdict) int {
	const never = 1e18
	return cmp.Or(
		cmp.Compare(rank(a.State), rank(b.State)),
		cmp.Compare(a.Loss.In.Or(never), b.Loss.In.Or(never)),
		cmp.Compare(b.Share.Or(0), a.Share.Or(0)),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.ARN, b.ARN),
	)
}

func rank(s State) int {
	return slices.Index([]State{StatePage, StateTicket, StateDenied, StateUnknown, StateOK, StateAsleep}, s)
}

func call[T any](check func(T, look) string, x T, l look) string {
	if check == nil {
		return ""
	}
	return check(x, l)
}

func findings(arn ops.ARN, check func(Rule) string) []Finding {
	var out []Finding
	for _, r := range Rules {
		if sentence := check(r); sentence != "" {
			out = append(out, Finding{Rule: r.ID, Severity: r.Severity, Resource: arn, Sentence: sentence, Next: r.Next})
		}
	}
	return out
}

// stateOf says the worst of the findings; without any, whether the number that
// decides is known at all. No metric of an idle resource is a healthy answer:
// the services publish nothing when nothing happens.
func stateOf(fs []Finding, known ops.Reading) State {
	if len(fs) > 0 && fs[0].Severity == Page {
		return StatePage
	}
	if len(fs) > 0 && fs[0].Severity == Ticket {
		return StateTicket
	}
	switch known.Why() {
	case ops.Denied:
		return StateDenied
	case ops.NotRead, ops.Unsupported:
		return StateUnknown
	case ops.Asleep:
		return StateAsleep
	}
	return StateOK
}

// alarmsByResource groups alarms by what they watch, those in ALARM first, the
// longest first.
func alarmsByResource(all []ops.Alarm) map[ops.ARN][]ops.Alarm {
	out := map[ops.ARN][]ops.Alarm{}
	for _, a := range all {
		if a.Resource != "" {
			out[a.Resource] = append(out[a.Resource], a)
		}
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b ops.Alarm) int {
			return cmp.Or(boolFirst(a.State == "ALARM", b.State == "ALARM"), a.Since.Compare(b.Since), cmp.Compare(a.Name, b.Name))
		})
	}
	return out
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func streamVerdict(s ops.Stream, l look) (Verdict, ops.Reading) {
	age := s.Measures.Get(ops.IteratorAge)
	for _, c := range s.Consumers { // a stream read by fan-out only has no iterator age
		if v, ok := c.Lag.Last.Value(); ok && v > age.Last.Or(-1) {
			if _, polled := age.Last.Value(); !polled {
				age = c.Lag
			}
		}
	}
	v := Verdict{
		ARN: s.ARN, Kind: ops.KindStream, Name: s.Name,
		Spark:     age,
		Threshold: ops.Know(lagAfter(s.Retention).Seconds(), age.Last.At),
		Loss:      ops.StreamLoss(s, l.now),
	}
	v.Share = v.Loss.Used
	a, ok := age.Last.Value()
	unread, _ := s.Unread()
	switch {
	case unread:
		v.Headline = "nobody reads"
		if used, known := v.Share.Value(); known {
			v.Limit = fmt.Sprintf("%.0f%% of %s", 100*used, ops.Span(s.Retention.Seconds()))
		}
	case ok:
		v.Headline = ops.Span(a) + " behind"
		v.Limit = fmt.Sprintf("%.0f%% of %s", 100*v.Share.Or(0), ops.Span(s.Retention.Seconds()))
	case age.Last.Why() == ops.NoData && l.recent(s.Measures.Get(ops.Incoming), 60) == 0:
		v.Headline = "idle"
	case age.Last.Why() == ops.NoData:
		v.Headline = "not read"
	default:
		v.Headline = string(age.Last.Why())
	}
	return v, age.Last
}

func deliveryVerdict(d ops.Delivery, l look) (Verdict, ops.Reading) {
	fresh := d.Measures.Get(ops.Freshness)
	limit := d.StaleAfter().Seconds()
	v := Verdict{
		ARN: d.ARN, Kind: ops.KindDelivery, Name: d.Name,
		Spark:     fresh,
		Threshold: ops.Know(limit, fresh.Last.At),
		Loss:      ops.DeliveryLoss(d, l.retention[d.Source], l.now),
	}
	known := fresh.Last
	blocked, told := d.Blocked(l.now)
	f, ok := fresh.Last.Value()
	if ok && told && blocked && l.now.Sub(fresh.Last.At) > 10*time.Minute {
		ok = false // the last freshness before it went silent
	}
	in := d.Measures.Get(ops.Incoming)
	if d.Source != "" {
		in = d.Measures.Get(ops.SourceRead)
	}
	switch {
	case ok:
		v.Headline = "fresh " + ops.Span(f)
		v.Share = ops.Know(f/limit, fresh.Last.At)
		v.Limit = fmt.Sprintf("%.1fx of %s", f/limit, ops.Span(limit))
	case told && blocked:
		v.Headline = "nothing delivered"
		v.Limit = "data goes in"
		v.Share = ops.Know(1, in.Last.At)
		known = in.Last
		v.Spark, v.Threshold = in, ops.Missing(ops.NoData)
	case fresh.Last.Why() == ops.NoData && l.recent(in, 60) == 0:
		v.Headline = "idle"
	default:
		v.Headline = string(fresh.Last.Why())
	}
	return v, known
}

func queueVerdict(q ops.Queue, l look) (Verdict, ops.Reading) {
	depth, age := q.Depth(), q.Measures.Get(ops.OldestAge)
	v := Verdict{
		ARN: q.ARN, Kind: ops.KindQueue, Name: q.Name, DeadLetter: q.IsDeadLetter(),
		Spark: q.Measures.Get(ops.Visible),
		Loss:  ops.QueueLoss(q, l.now),
	}
	v.Share = v.Loss.Used
	if v.DeadLetter {
		v.Threshold = ops.Know(0, depth.At)
	} else {
		v.Spark = age
		v.Threshold = ops.Know(slowAfter(q).Seconds(), age.Last.At)
	}
	n, ok := depth.Value()
	if !ok {
		v.Headline = string(depth.Why())
		if depth.Why() == ops.Asleep {
			v.Headline = "idle > 6h"
		}
		return v, depth
	}
	unit := "msgs"
	if n == 1 {
		unit = "msg"
	}
	v.Headline = fmt.Sprintf("%s %s", thousands(n), unit)
	if a, aged := age.Last.Value(); aged && n > 0 {
		v.Headline += ", oldest " + ops.Span(a)
	} else if n > 0 && v.DeadLetter {
		v.Headline += ", age " + string(age.Last.Why())
	}
	if used, known := v.Share.Value(); known && used > 0 && n > 0 {
		// What is used is a share of the time that is left to a message here: less
		// than the retention where the source queue may have spent some of it.
		v.Limit = fmt.Sprintf("%.0f%% of %s", 100*used, ops.Span(age.Last.Or(0)/used))
		if v.Loss.WorstCase {
			v.Limit += "*"
		}
	}
	return v, depth
}

func functionVerdict(f ops.Function, l look) (Verdict, ops.Reading) {
	errs, calls := f.Measures.Get(ops.Errors), f.Measures.Get(ops.Invocations)
	v := Verdict{ARN: f.ARN, Kind: ops.KindFunction, Name: f.Name, Spark: errs, Threshold: ops.Know(0, errs.Last.At)}
	known := calls.Last
	switch n := l.recent(calls, 60); {
	case known.Why() == ops.NoData || known.Why() == "" && n == 0:
		v.Headline = "idle"
	case known.Why() != "":
		v.Headline = string(known.Why())
	default:
		e := l.recent(errs, 60)
		v.Headline = fmt.Sprintf("%s errors/h", thousands(e))
		v.Share = ops.Know(e/max(e, n), known.At)
		v.Limit = fmt.Sprintf("%.1f%% of calls", 100*e/max(e, n))
	}
	return v, known
}

func topicVerdict(t ops.Topic, l look) (Verdict, ops.Reading) {
	failed, sent := t.Measures.Get(ops.NotifyFailed), t.Measures.Get(ops.Published)
	v := Verdict{ARN: t.ARN, Kind: ops.KindTopic, Name: t.Name, Spark: failed, Threshold: ops.Know(0, failed.Last.At)}
	known := sent.Last
	switch n := l.recent(sent, 60); {
	case known.Why() == ops.NoData || known.Why() == "" && n == 0:
		v.Headline = "idle"
	case known.Why() != "":
		v.Headline = string(known.Why())
	default:
		v.Headline = fmt.Sprintf("%s failed/h", thousands(l.recent(failed, 60)))
	}
	return v, known
}

func apiVerdict(a ops.API, l look) (Verdict, ops.Reading) {
	worst := a.Worst()
	failed, requests := worst.Measures.Get(ops.APIFailed), worst.Measures.Get(ops.APIRequests)
	v := Verdict{ARN: a.ARN, Kind: ops.KindAPI, Name: a.Name, Spark: failed, Threshold: ops.Know(apiShare, failed.Last.At)}
	known := failed.Last
	share, ok := known.Value()
	switch {
	case len(a.Stages) == 0:
		return Verdict{ARN: a.ARN, Kind: ops.KindAPI, Name: a.Name, Headline: "no stage"}, ops.Missing(ops.NoData)
	case known.Why() == ops.NoData, ok && l.now.Sub(known.At) > time.Hour:
		v.Headline = "idle"
	case !ok:
		v.Headline = string(known.Why())
	default:
		v.Headline = fmt.Sprintf("%.1f%% failed", 100*share)
		v.Share = ops.Know(share/apiShare, known.At)
		v.Limit = fmt.Sprintf("of %s requests/h", thousands(l.recent(requests, 60)))
	}
	return v, known
}

// thousands prints a count with separators: 1204 as 1,204.
func thousands(n float64) string {
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
