package replay

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// wire is what stands between the desk and the sandbox: it may change a request, and
// answers in its place where it returns a body.
type wire struct {
	to   aws.HTTPClient
	turn func(operation string, body []byte) (request []byte, refusal string)
}

func (w wire) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, refusal := w.turn(operation, body)
	if refusal != "" {
		return &http.Response{StatusCode: 400, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"__type":"` + refusal + `","message":"the key is off"}`))}, nil
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return w.to.Do(r)
}

// through is a desk whose requests pass a wire.
func (w *world) through(access cloud.Level, turn func(operation string, body []byte) ([]byte, string)) *Desk {
	w.Helper()
	cfg := w.sb.Config()
	cfg.HTTPClient = wire{cfg.HTTPClient, turn}
	door, err := cloud.Open(w.Context(), cloud.Options{Config: &cfg, NoQuotas: true, Access: access})
	w.must(err)
	d := New(Options{Config: door.Config(), Identity: w.desk.o.Identity, Journal: w.desk.o.Journal, Now: w.sb.Now, Explain: door.Explain})
	d.polls = w.desk.polls
	return d
}

func factOf(plan ops.ReplayPlan, name string) string {
	for _, f := range plan.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// What would be refused half-way is refused by the plan, and the question leaves nothing.
func TestAPreflightFindsWhatStandsAgainstIt(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	w.stream("again", 1)
	w.put("orders", "c", 1)
	w.ticking()
	ask := ops.ReplayAsk{From: "stream:orders", To: "stream:again"}
	plan := w.plan(ask)
	if diff := cmp.Diff("source: its records may be read, by DryRun; target: it takes records, by DryRun", factOf(plan, preflightFact)); diff != "" {
		t.Error(diff)
	}
	if got := w.shelved("again"); len(got) != 0 {
		t.Errorf("the plan has put %v", got)
	}
	for operation, want := range map[string]string{"GetShardIterator": "read the records of orders", "GetRecords": "read the records of orders", "PutRecords": "put records into again"} {
		w.sb.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "kinesis", Operation: operation})
		denied := planOf(t, w.desk, ask)
		if len(denied.Blockers) != 1 || !strings.HasPrefix(denied.Blockers[0], want) || !strings.Contains(denied.Blockers[0], "kinesis:"+operation) {
			t.Errorf("%s is denied: blockers %q", operation, denied.Blockers)
		}
	}
	// It is asked again when the plan is applied: the right may be gone.
	if _, err := w.desk.Start(t.Context(), plan); ops.AsProblem(err) == nil || !strings.Contains(err.Error(), "put records into again") && !strings.Contains(err.Error(), "read the records of orders") {
		t.Errorf("applied without the right: %v", err)
	}
	w.sb.SetFaults(sandbox.Fault{Kind: sandbox.Throttle, Service: "kinesis", Operation: "PutRecords"})
	if busy := planOf(t, w.desk, ask); len(busy.Blockers) != 0 || !strings.Contains(factOf(busy, preflightFact), "target: not known") {
		t.Errorf("busy: blockers %q, %q", busy.Blockers, factOf(busy, preflightFact))
	}
	w.sb.SetFaults()

	for operation, side := range map[string]string{"GetRecords": "read the records of orders", "PutRecords": "put records into again"} {
		d := w.through(cloud.Change, func(name string, body []byte) ([]byte, string) {
			if name == operation {
				return nil, "KMSDisabledException"
			}
			return body, ""
		})
		if off := planOf(t, d, ask); len(off.Blockers) != 1 || !strings.HasPrefix(off.Blockers[0], side) || !strings.Contains(off.Blockers[0], "the key is off") {
			t.Errorf("%s with a key that is off: blockers %q", operation, off.Blockers)
		}
	}
}

// An endpoint that does not know DryRun would store the record: it is not asked.
func TestAPreflightIsNotSentToWhoMayStoreIt(t *testing.T) {
	w := newWorld(t)
	w.stream("orders", 1)
	w.stream("again", 1)
	w.put("orders", "c", 1)
	w.ticking()
	puts := 0
	deaf := w.through(cloud.Change, func(name string, body []byte) ([]byte, string) {
		if name == "PutRecords" {
			puts++
		}
		return bytes.ReplaceAll(body, []byte(`"DryRun":true`), []byte(`"Unheard":true`)), ""
	})
	plan := planOf(t, deaf, ops.ReplayAsk{From: "stream:orders", To: "stream:again"})
	if got := w.shelved("again"); puts != 0 || len(got) != 0 || len(plan.Blockers) != 0 {
		t.Errorf("%d requests put %v; blockers %q", puts, got, plan.Blockers)
	}
	if want := "source: not done, this endpoint does not know DryRun; the records that are read for the plan tell; target: not done, this endpoint does not know DryRun, and would store the record"; factOf(plan, preflightFact) != want {
		t.Error(cmp.Diff(want, factOf(plan, preflightFact)))
	}

	// One that knows it for reading only has stored the record: that is said, loudly.
	half := w.through(cloud.Change, func(name string, body []byte) ([]byte, string) {
		if name == "PutRecords" {
			body = bytes.ReplaceAll(body, []byte(`"DryRun":true`), []byte(`"Unheard":true`))
		}
		return body, ""
	})
	if plan = planOf(t, half, ops.ReplayAsk{From: "stream:orders", To: "stream:again"}); len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "shardId-000000000000/") {
		t.Errorf("blockers %q", plan.Blockers)
	}

	// A session that may not write does not ask, and the plan can be made.
	peek := w.through(cloud.Peek, func(_ string, body []byte) ([]byte, string) { return body, "" })
	if plan = planOf(t, peek, ops.ReplayAsk{From: "stream:orders", To: "stream:again"}); len(plan.Blockers) != 0 || !strings.Contains(factOf(plan, preflightFact), "target: not done, this session may not write") {
		t.Errorf("blockers %q, %q", plan.Blockers, factOf(plan, preflightFact))
	}
}
