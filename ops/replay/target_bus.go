package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"kxops/ops"
)

// What PutEvents takes. Source: EventBridge API, PutEvents: 10 entries, which must be
// less than 1 MB together; read as the smaller million.
const (
	busRecords = 10
	busBytes   = 1_000_000 - 1
	// busTime is what an entry's time counts. Source: EventBridge User Guide, calculating
	// the size of PutEvents entries.
	busTime = 14
)

// busTarget puts events on an event bus.
type busTarget struct {
	desk *Desk
	plan ops.ReplayPlan
	bus  string // name or ARN
}

func newBusTarget(d *Desk, plan ops.ReplayPlan) (target, error) {
	return &busTarget{desk: d, plan: plan, bus: string(plan.To.ARN)}, nil
}

func (t *busTarget) find(ctx context.Context, plan *ops.ReplayPlan) error {
	out, err := t.desk.events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &t.bus})
	if err != nil {
		return err
	}
	plan.To.ARN = ops.ARN(aws.ToString(out.Arn))
	plan.Seen["event bus"] = string(plan.To.ARN)
	plan.Seen["event bus key"] = aws.ToString(out.KmsKeyIdentifier)
	t.bus = string(plan.To.ARN)
	named := "a record that is an EventBridge event keeps its source, detail-type, resources and time; any other is parked (--event-source and --detail-type name it)"
	if m := plan.Map; m.EventSource != "" {
		named = fmt.Sprintf("a record that is an EventBridge event keeps its source, detail-type, resources and time; any other becomes the detail of an event %q from %q", m.DetailType, m.EventSource)
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "target", Value: "event bus " + plan.To.ARN.Name() + ": events arrive in no order, and perhaps more than once; " + named})
	return nil
}

func (t *busTarget) limits() Limits {
	return Limits{Records: busRecords, Bytes: busBytes, Record: busBytes}
}

func (t *busTarget) fits(p Parcel) error {
	_, err := t.entry(p)
	return err
}

// size is what EventBridge counts of an entry.
func (t *busTarget) size(p Parcel) int {
	e, err := t.entry(p)
	if err != nil {
		return len(p.Body)
	}
	n := len(*e.Source) + len(*e.DetailType) + len(*e.Detail)
	if e.Time != nil {
		n += busTime
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

func (t *busTarget) send(ctx context.Context, parcels []Parcel) []Answer {
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	answers := make([]Answer, len(parcels))
	in := &eventbridge.PutEventsInput{}
	var at []int // which parcel an entry is
	for i, p := range parcels {
		e, err := t.entry(p)
		if err != nil {
			answers[i] = Answer{Fate: Refused, Code: "MalformedDetail", Why: err.Error()}
			continue
		}
		in.Entries, at = append(in.Entries, e), append(at, i)
	}
	if len(at) == 0 {
		return answers
	}
	out, err := t.desk.putBus.PutEvents(ctx, in)
	if err != nil {
		for k, a := range t.desk.answerAll(len(at), err) {
			answers[at[k]] = a
		}
		return halves(answers, parcels, func(some []Parcel) []Answer { return t.send(ctx, some) })
	}
	for k, i := range at {
		if k >= len(out.Entries) {
			answers[i] = Answer{Fate: Unsure, Code: "NoAnswer", Why: "the answer does not name this event"}
			continue
		}
		answers[i] = busAnswer(out.Entries[k])
	}
	return answers
}

// busAnswer reads one event's answer. After an internal failure nobody knows whether the
// event is there.
func busAnswer(r types.PutEventsResultEntry) Answer {
	code := aws.ToString(r.ErrorCode)
	a := Answer{Fate: Refused, Code: code, Why: aws.ToString(r.ErrorMessage)}
	switch {
	case code == "" && aws.ToString(r.EventId) == "":
		return Answer{Fate: Unsure, Code: "NoAnswer", Why: "the answer has neither an id nor an error for this event"}
	case code == "":
		return Answer{At: *r.EventId}
	case strings.Contains(code, "Throttl"):
		a.Fate = Busy
	case strings.HasPrefix(code, "Internal"):
		a.Fate = Unsure
	}
	return a
}

// busEvent is an event as EventBridge hands it to its targets.
type busEvent struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Resources  []string        `json:"resources"`
	Time       time.Time       `json:"time"`
	Detail     json.RawMessage `json:"detail"`
}

// entry is a parcel as an event. The error is a reason to park it.
func (t *busTarget) entry(p Parcel) (types.PutEventsRequestEntry, error) {
	var e busEvent
	if json.Unmarshal(p.Body, &e) != nil || e.Source == "" || e.DetailType == "" || !isObject(e.Detail) {
		if t.plan.Map.EventSource == "" {
			return types.PutEventsRequestEntry{}, fmt.Errorf("it is no EventBridge event: --event-source and --detail-type say what it becomes")
		}
		if !isObject(p.Body) {
			return types.PutEventsRequestEntry{}, fmt.Errorf("the detail of an event is a JSON object, and the body is none")
		}
		e = busEvent{Source: t.plan.Map.EventSource, DetailType: t.plan.Map.DetailType, Time: p.At, Detail: p.Body}
	}
	detail := []byte(e.Detail)
	if len(p.Marks) > 0 { // an event has no attributes
		var err error
		if detail, err = inject(detail, markField(t.plan.Map), p.Marks); err != nil {
			return types.PutEventsRequestEntry{}, err
		}
	}
	out := types.PutEventsRequestEntry{EventBusName: &t.bus, Source: &e.Source, DetailType: &e.DetailType, Resources: e.Resources, Detail: aws.String(string(detail))}
	if !e.Time.IsZero() {
		out.Time = &e.Time
	}
	return out, nil
}

func isObject(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) && json.Valid(b)
}

func (t *busTarget) close() error { return nil }
