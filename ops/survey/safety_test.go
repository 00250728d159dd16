package survey

import (
	"strings"
	"testing"
	"time"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// Looking never changes anything. The ledger is the sandbox's own list of the
// calls that took effect, and the door is open as wide as it goes, so that it is
// the survey itself that is tested and not the gate.
func TestLookingOnlyReads(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{Start: noon, Scenario: "incident"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	cfg := sb.Config()
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &cfg, NoQuotas: true, Access: cloud.Change})
	if err != nil {
		t.Fatal(err)
	}
	s := New(door, Options{NoCache: true, Now: sb.Now})
	for range 3 {
		snapshot := s.Collect(t.Context(), Ask{Focus: everything(s.Snapshot())}, nil)
		for _, arn := range everything(snapshot) {
			if _, err := s.Raw(t.Context(), arn); err != nil {
				t.Errorf("raw %s: %v", arn, err)
			}
		}
		sb.Advance(20 * time.Minute)
	}
	calls := sb.Bill().Calls
	if len(calls) < 12 {
		t.Fatalf("only %d operations were called: the test proves little", len(calls))
	}
	for call := range calls {
		_, operation, _ := strings.Cut(call, ".")
		reads := false
		for _, verb := range []string{"List", "Describe", "Get"} {
			reads = reads || strings.HasPrefix(operation, verb)
		}
		// These begin with Get and take a message, a record or an object away with them.
		if !reads || operation == "GetRecords" || operation == "GetObject" || operation == "GetShardIterator" {
			t.Errorf("a look called %s", call)
		}
	}
}

func everything(s ops.Snapshot) []ops.ARN {
	var out []ops.ARN
	for _, x := range s.Streams.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Deliveries.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Queues.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Topics.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Functions.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Buckets.Items {
		out = append(out, x.ARN)
	}
	return out
}
