package replay

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// bus makes a bus whose rule hands events of a pattern to a queue.
func (w *world) bus(name, pattern string) (url string) {
	w.Helper()
	events := eventbridge.NewFromConfig(w.sb.Config())
	_, err := events.CreateEventBus(w.Context(), &eventbridge.CreateEventBusInput{Name: &name})
	w.must(err)
	rule, err := events.PutRule(w.Context(), &eventbridge.PutRuleInput{Name: aws.String("all"), EventBusName: &name, EventPattern: &pattern})
	w.must(err)
	url = w.queue(name + "-queue")
	arn := "arn:aws:sqs:" + sandbox.HomeRegion + ":" + sandbox.Account + ":" + name + "-queue"
	_, err = w.sqs.SetQueueAttributes(w.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": fmt.Sprintf(
		`{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, *rule.RuleArn)}})
	w.must(err)
	_, err = events.PutTargets(w.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("all"), EventBusName: &name, Targets: []types.Target{{Id: aws.String("1"), Arn: &arn}}})
	w.must(err)
	return url
}

// arrived counts what the rule's queue got, by the record's own number.
func arrived(t *testing.T, bodies []string) map[int]int {
	t.Helper()
	got := map[int]int{}
	for _, b := range bodies {
		var e struct {
			Source     string `json:"source"`
			DetailType string `json:"detail-type"`
			Detail     struct {
				N     int               `json:"n"`
				Marks map[string]string `json:"kxops"`
			} `json:"detail"`
		}
		if err := json.Unmarshal([]byte(b), &e); err != nil {
			t.Fatal(err)
		}
		if e.Source != "shop" || e.DetailType != "order" || e.Detail.Marks[markHop] != "1" || e.Detail.Marks[markSource] == "" {
			t.Errorf("%s", b)
		}
		got[e.Detail.N]++
	}
	return got
}

// Whatever PutEvents does to single events and to requests, every record arrives, and no
// more than the requests whose answer nobody knows can arrive twice.
func TestABusTakesEvents(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"well":         {},
		"partial":      {Kind: sandbox.PartialBatch, Service: "events", Operation: "PutEvents", Percent: 50},
		"throttled":    {Kind: sandbox.Throttle, Service: "events", Operation: "PutEvents", Percent: 40},
		"lost answers": {Kind: sandbox.ResetAfter, Service: "events", Operation: "PutEvents", Percent: 30},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			want := w.events(57)
			url := w.bus("again", `{"source":["shop"],"detail":{"n":[{"numeric":[">=",0]}]}}`)
			plan := w.plan(ops.ReplayAsk{From: "stream:orders", To: "bus:again", Map: ops.ReplayMap{EventSource: "shop", DetailType: "order"}})
			if fault.Kind != "" {
				w.sb.SetFaults(fault)
			}
			w.ticking()
			r := started(w, w.desk, plan).Wait()
			w.sb.SetFaults()
			for range 20 { // five lost answers in a row stop it; a person resumes
				if r.State != ops.Broken {
					break
				}
				next, err := w.desk.Resume(t.Context(), plan.ID)
				w.must(err)
				r = next.Wait()
			}
			if r.State != ops.Finished || r.Counts.Sent != 57 {
				t.Fatalf("%+v %v", r, r.Problem)
			}
			bodies, _ := w.drain(url)
			got := arrived(t, bodies)
			if len(got) != len(want) {
				t.Errorf("%d of %d arrived", len(got), len(want))
			}
			if twice := len(bodies) - len(want); int64(twice) > r.Bound {
				t.Errorf("%d arrived twice, the bound is %d", twice, r.Bound)
			}
			if fault.Kind == "" && len(bodies) != len(want) {
				t.Errorf("%d arrived of %d", len(bodies), len(want))
			}
		})
	}
}

// What a replay put on a bus is known again, and refused by the next one; and an event
// keeps what it is but for the marks.
func TestAnEventOfABusIsKnownAgain(t *testing.T) {
	b := &busTarget{bus: "again"}
	const event = `{"version":"0","source":"shop","detail-type":"order","time":"2026-11-01T10:00:00Z","resources":["r"],"detail":{"n":12345678901234567890,"a":1.50}}`
	e, err := b.entry(Parcel{Body: []byte(event), Marks: map[string]string{markReplay: "r", markHop: "1"}})
	if err != nil || *e.Source != "shop" || *e.DetailType != "order" || e.Resources[0] != "r" || e.Time.Format("15:04") != "10:00" {
		t.Fatalf("%+v %v", e, err)
	}
	if want := `{"kxops":{"kxops-hop":"1","kxops-replay-id":"r"},"n":12345678901234567890,"a":1.50}`; *e.Detail != want {
		t.Errorf("%s, want %s", *e.Detail, want)
	}
	for _, body := range []string{*e.Detail, strings.Replace(event, `{"n"`, `{"kxops":{"kxops-hop":"1","kxops-replay-id":"r"},"n"`, 1)} {
		if n := hops(Record{Data: []byte(body)}); n != 1 {
			t.Errorf("%d hops of %s", n, body)
		}
	}
	if n := hops(Record{Data: []byte(event)}); n != 0 {
		t.Errorf("%d hops of a new event", n)
	}
	again, err := inject([]byte(*e.Detail), DefaultMarkField, map[string]string{markReplay: "r", markHop: "2"})
	if err != nil || strings.Count(string(again), markReplay) != 1 || hops(Record{Data: again}) != 2 {
		t.Errorf("%s %v", again, err)
	}
	if _, err := b.entry(Parcel{Body: []byte(`{"n":1}`)}); err == nil {
		t.Error("what is no event was taken without a source")
	}
	if empty, err := inject([]byte(` {} `), DefaultMarkField, map[string]string{markReplay: "r", markHop: "1"}); err != nil || !json.Valid(empty) {
		t.Errorf("%s %v", empty, err)
	}
}

// What cannot become an event is refused before anything is asked, or parked by name; an
// event is counted as EventBridge counts it.
func TestWhatABusDoesNotTake(t *testing.T) {
	w := newWorld(t)
	w.events(3)
	w.bus("again", `{"source":["shop"]}`)
	for _, x := range []struct {
		to   string
		m    ops.ReplayMap
		want string
	}{
		{"bus:again", ops.ReplayMap{EventSource: "shop"}, "go together"},
		{"bus:again", ops.ReplayMap{DetailType: "order"}, "go together"},
		{"bus:again", ops.ReplayMap{EventSource: "aws.s3", DetailType: "order"}, "those of AWS"},
		{"bus:again", ops.ReplayMap{EventSource: "shop", DetailType: strings.Repeat("x", 129)}, "128 characters"},
		{"queue:x", ops.ReplayMap{EventSource: "shop", DetailType: "order"}, "is no bus"},
		{"bus:none", ops.ReplayMap{EventSource: "shop", DetailType: "order"}, "none"},
	} {
		_, _, err := w.desk.Plan(t.Context(), ops.ReplayAsk{From: "stream:orders", To: x.to, Map: x.m})
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s %+v: %v, want %q", x.to, x.m, err, x.want)
		}
	}
	plan := planOf(t, w.desk, ops.ReplayAsk{From: "stream:orders", To: "bus:again"})
	if len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0]+strings.Join(plan.Warnings, " "), "--event-source and --detail-type say what it becomes") {
		t.Errorf("blockers %q, warnings %q", plan.Blockers, plan.Warnings)
	}

	b := &busTarget{bus: "again", plan: ops.ReplayPlan{Map: ops.ReplayMap{EventSource: "shop", DetailType: "order"}}}
	at := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	body := `{"n":1}`
	if got, want := b.size(Parcel{Body: []byte(body), At: at}), len("shop")+len("order")+len(body)+busTime; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

// An event that was replayed over a bus and stored again is left out by the next replay.
func TestAReplayOfABusIsNotReplayed(t *testing.T) {
	w := newWorld(t)
	w.events(5)
	first := w.bus("first", `{"source":["shop"]}`)
	w.replayed(ops.ReplayAsk{From: "stream:orders", To: "bus:first", Map: ops.ReplayMap{EventSource: "shop", DetailType: "order"}}, ops.Finished)
	stored, _ := w.drain(first)
	if len(stored) != 5 {
		t.Fatalf("%d of 5 arrived", len(stored))
	}
	w.bucket("store")
	_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("store"), Key: aws.String("events"), Body: strings.NewReader(strings.Join(stored, "\n"))})
	w.must(err)
	again := w.bus("again", `{"source":["shop"]}`)
	plan := planOf(t, w.desk, ops.ReplayAsk{From: "archive:store/", To: "bus:again"})
	if !strings.Contains(strings.Join(plan.Warnings, " "), "5 of 5 records that were tried were replayed before") || len(plan.Blockers) == 0 {
		t.Errorf("blockers %q, warnings %q", plan.Blockers, plan.Warnings)
	}
	w.replayed(ops.ReplayAsk{From: "archive:store/", To: "bus:again", Again: true}, ops.Finished)
	bodies, _ := w.drain(again)
	if len(bodies) != 5 || hopsIn([]byte(bodies[0])) != 2 || strings.Count(bodies[0], markReplay) != 1 {
		t.Errorf("%q", bodies)
	}
}
