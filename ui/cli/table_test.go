package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func small() (ops.Snapshot, []alarms.Verdict) {
	orders := ops.ARN("arn:aws:kinesis:eu-west-1:123456789012:stream/orders")
	dead := ops.ARN("arn:aws:sqs:eu-west-1:123456789012:orders-dlq")
	s := ops.Snapshot{
		Identity: ops.Identity{Account: "123456789012", Region: "eu-west-1", Who: "arn:aws:sts::123456789012:assumed-role/oncall/jo"},
		Started:  noon.Add(-800 * time.Millisecond), At: noon, MetricsAt: noon,
		Streams: ops.Section[ops.Stream]{At: noon, Items: []ops.Stream{{ARN: orders, Name: "orders", Measures: ops.Measures{
			{Metric: ops.IteratorAge, Last: ops.Know(33120, noon)}, {Metric: ops.Incoming, Last: ops.Missing(ops.NoData)}}}}},
		Queues:     ops.Section[ops.Queue]{At: noon, Items: []ops.Queue{{ARN: dead, Name: "orders-dlq", URL: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dlq"}}},
		Deliveries: ops.Section[ops.Delivery]{Problem: &ops.Problem{Fault: ops.FaultDenied, What: "Firehose ListDeliveryStreams is denied", Hint: "allow firehose:ListDeliveryStreams"}},
	}
	return s, []alarms.Verdict{
		{ARN: orders, Kind: ops.KindStream, Name: "orders", State: alarms.StatePage, Headline: "9h12m behind", Limit: "38% of 24h",
			Share: ops.Know(0.383333333, noon),
			Loss:  ops.Loss{In: ops.Know(53280, noon), Motion: ops.MotionStopped, Consumer: "billing"},
			Findings: []alarms.Finding{{Rule: "kds.stall", Severity: alarms.Page, Resource: orders,
				Sentence: "billing has not moved for 15 minutes and is 9h12m behind", Next: "look at the function's errors"}}},
		{ARN: dead, Kind: ops.KindQueue, Name: "orders-dlq", DeadLetter: true, State: alarms.StateTicket, Headline: "118 msgs, oldest 3d", Limit: "75% of 4d",
			Loss: ops.Loss{In: ops.Know(3600, noon), WorstCase: true, Motion: ops.MotionGrowing}},
		{ARN: "arn:aws:lambda:eu-west-1:123456789012:function:ev\x1b]0;x\ail", Kind: ops.KindFunction, Name: "ev\x1b]0;x\ail", State: alarms.StateOK, Headline: "0 errors/h"},
	}
}

func TestStatusText(t *testing.T) {
	s, vs := small()
	for _, c := range []struct {
		name  string
		width int
		want  string
	}{
		{"no terminal", 0, `123456789012 eu-west-1 · 1 page, 1 ticket, 1 ok · 2026-11-22 12:00:00 UTC, took 0.8s, cost $0.0000
not read: deliveries: Firehose ListDeliveryStreams is denied; allow firehose:ListDeliveryStreams

STATE   LOSS IN  KIND      NAME        NOW                  LIMIT
PAGE    14h48m   stream    orders      9h12m behind         38% of 24h
        billing has not moved for 15 minutes and is 9h12m behind [kds.stall]
        -> look at the function's errors
TICKET  1h*      dlq       orders-dlq  118 msgs, oldest 3d  75% of 4d
ok      -        function  evil        0 errors/h
* at worst: a message in a standard dead-letter queue may have spent its source's whole retention before
`},
		{"60 cells", 60, `123456789012 eu-west-1 · 1 page, 1 ticket, 1 ok · 2026-11-2…
not read: deliveries: Firehose ListDeliveryStreams is
                      denied; allow
                      firehose:ListDeliveryStreams

STATE   LOSS IN  KIND      NAME        NOW
PAGE    14h48m   stream    orders      9h12m behind
        billing has not moved for 15 minutes and is 9h12m
        behind [kds.stall]
        -> look at the function's errors
TICKET  1h*      dlq       orders-dlq  118 msgs, oldest 3d
ok      -        function  evil        0 errors/h
* at worst: a message in a standard dead-letter queue may h…
`},
		{"30 cells", 30, `123456789012 eu-west-1 · 1 pa…
not read: deliveries: Firehose
                      ListDeliveryStreams
                      is denied; allow
                      firehose:ListDeliver
                      yStreams

STATE   LOSS IN  NAME
PAGE    14h48m   orders
        billing has not moved
        for 15 minutes and is
        9h12m behind
        [kds.stall]
        -> look at the
           function's errors
TICKET  1h*      orders-dlq
ok      -        evil
* at worst: a message in a st…
`},
	} {
		p := printer{width: c.width}
		p.status(s, vs, false)
		if d := cmp.Diff(c.want, p.b.String()); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
	}
}

// Colour adds nothing but colour.
func TestStatusColor(t *testing.T) {
	s, vs := small()
	plain, colored := printer{}, printer{color: true}
	plain.status(s, vs, true)
	colored.status(s, vs, true)
	if !strings.Contains(colored.b.String(), "\x1b[1;31mPAGE\x1b[0m") {
		t.Error("PAGE has no colour")
	}
	stripped := strings.NewReplacer("\x1b[1;31m", "", "\x1b[33m", "", "\x1b[32m", "", "\x1b[2m", "", "\x1b[0m", "").Replace(colored.b.String())
	if d := cmp.Diff(plain.b.String(), stripped); d != "" {
		t.Errorf("colour changes the words (-plain +colored)\n%s", d)
	}
}

// A hundred thousand calm resources are counted, not listed; a huge name is cut.
func TestStatusBounds(t *testing.T) {
	s, vs := small()
	vs[2].Name = strings.Repeat("x", 10<<20)
	for len(vs) < 10000 {
		vs = append(vs, vs[2])
	}
	p := printer{}
	p.status(s, vs, false)
	if n := strings.Count(p.b.String(), "\n"); n > 40 || !strings.Contains(p.b.String(), "and 9978 more that are calm; --all shows them") {
		t.Errorf("%d lines for 10,000 resources", n)
	}
	for line := range strings.Lines(p.b.String()) {
		if text.Width(strings.TrimSuffix(line, "\n")) > 250 {
			t.Errorf("a line of %d cells", text.Width(line))
		}
	}
}

func TestStatusJSON(t *testing.T) {
	s, vs := small()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	if err := e.Encode(newStatusReport(s, vs)); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	r := got["resources"].([]any)[0].(map[string]any)
	want := map[string]any{
		"arn": "arn:aws:kinesis:eu-west-1:123456789012:stream/orders", "name": "orders", "kind": "stream", "state": "page",
		"headline": "9h12m behind", "limit": "38% of 24h", "limit_used_ratio": 0.383, "loss_in_s": 53280.0, "worst_case": false,
		"motion": "stopped", "consumer": "billing",
		"readings": []any{
			map[string]any{"name": "iterator_age_s", "value": 33120.0, "unit": "s", "at": "2026-11-22T12:00:00Z"},
			map[string]any{"name": "incoming_records", "value": nil, "unit": "count", "at": nil, "unknown": "no data"},
		},
		"findings": []any{map[string]any{"rule": "kds.stall", "severity": "page",
			"sentence": "billing has not moved for 15 minutes and is 9h12m behind", "next": "look at the function's errors"}},
		"alarms": []any{},
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Errorf("a resource (-want +got)\n%s", d)
	}
	if got["schema"] != "kxops/status/v1" || got["worst"] != "page" || got["partial"] != true || got["took_s"] != 0.8 {
		t.Errorf("the head is %v", got)
	}
	if ok := got["resources"].([]any)[2].(map[string]any); ok["loss_in_s"] != nil {
		t.Errorf("unknown loss is %v, want null", ok["loss_in_s"])
	}
}

func TestPick(t *testing.T) {
	s, vs := small()
	for _, name := range []string{"orders-dlq", "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dlq"} {
		got, err := pick(vs, s, []string{name})
		if err != nil || len(got) != 1 || got[0].Name != "orders-dlq" {
			t.Errorf("%s picks %v, %v", name, got, err)
		}
	}
	_, err := pick(vs, s, []string{"orders", "arn:aws:sqs:eu-west-1:123456789012:ordres-dlq"})
	var p *ops.Problem
	if !errors.As(err, &p) || p.Hint != "did you mean orders-dlq, orders or ev\x1b]0;x\ail?" {
		t.Errorf("an unknown name: %v", err)
	}
	if code, _, hint := judge(err); code != exitError || hint != "did you mean orders-dlq, orders or evil?" {
		t.Errorf("told as %d %q", code, hint)
	}
}

func TestStatusCode(t *testing.T) {
	s, vs := small()
	whole := s
	whole.Deliveries.Problem = nil
	for _, c := range []struct {
		s      ops.Snapshot
		vs     []alarms.Verdict
		failOn string
		want   int
	}{
		{whole, vs, "", exitDone}, {s, vs, "", exitPartial}, {s, vs, "page", exitFindings},
		{whole, vs, "ticket", exitFindings}, {whole, vs[1:], "page", exitDone}, {s, nil, "ticket", exitPartial},
	} {
		var session session
		session.Err = &bytes.Buffer{}
		if got := session.tell(statusCode(c.s, c.vs, c.failOn)); got != c.want {
			t.Errorf("fail-on %q with %d resources: %d, want %d", c.failOn, len(c.vs), got, c.want)
		}
	}
}

// "Nothing can lose data" may only be said by somebody who could read everything.
func TestNothingFoundIsNotNothingThere(t *testing.T) {
	text := func(s ops.Snapshot) string {
		p := &printer{}
		p.status(s, nil, false)
		return p.b.String()
	}
	s := ops.Snapshot{At: noon}
	if have := text(s); !strings.Contains(have, "found nothing that can lose data") {
		t.Errorf("an empty account: %q", have)
	}
	s.Queues.Problem = &ops.Problem{Fault: ops.FaultDenied, What: "SQS ListQueues is denied"}
	if have := text(s); strings.Contains(have, "found nothing that can lose data") || !strings.Contains(have, "the rest is unknown") {
		t.Errorf("queues could not be read: %q", have)
	}
	no := s.Queues.Problem
	s.Streams.Problem, s.Deliveries.Problem, s.Topics.Problem, s.Functions.Problem, s.Alarms.Problem, s.MetricsProblem = no, no, no, no, no, no
	s.Buckets.At = noon // without deliveries no bucket is asked for
	if err := nothingRead(s); err == nil {
		t.Error("nothing was read, and that is no error")
	}
}
