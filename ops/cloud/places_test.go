package cloud

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

func TestProfilesOfBothFiles(t *testing.T) {
	home(t, someProfiles)
	if err := os.WriteFile(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), []byte("[default]\n[legacy]\naws_access_key_id = x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Profiles()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"default", "keys", "legacy", "loop", "mfa", "process", "prod", "staging"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzReadProfiles(f *testing.F) {
	f.Add(someProfiles, true)
	f.Add("[default]\n[ x ]\n[profile \"a b\"]\n[profile", true)
	f.Fuzz(func(t *testing.T, text string, isConfig bool) {
		names, err := readProfiles(strings.NewReader(text), isConfig)
		if err != nil {
			return // a line beyond the bound
		}
		if len(names) > strings.Count(text, "[") {
			t.Errorf("%d profiles from %d headers", len(names), strings.Count(text, "["))
		}
		if slices.Contains(names, "") {
			t.Error("a profile without a name")
		}
	})
}

func TestRegionsAreWellFormedAndSorted(t *testing.T) {
	names := regionNames()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error("regions must be sorted and without doubles")
	}
	for _, n := range names {
		if !wellFormedRegion.MatchString(n) {
			t.Errorf("%q does not look like a region", n)
		}
	}
}

func TestQuotasNameListedOperations(t *testing.T) {
	for _, q := range Quotas {
		if q.Source == "" || q.PerSecond <= 0 {
			t.Errorf("quota %s %s needs a rate and a source", q.Service, q.Operation)
		}
		if _, ok := OperationOf(q.Service, q.Operation); !ok && q.Operation != "" {
			t.Errorf("quota of %s %s, which is not listed", q.Service, q.Operation)
		}
	}
}

func TestQuotaSpacesCalls(t *testing.T) {
	q := newQuotas()
	call := &Call{Service: "Firehose", Operation: "DescribeDeliveryStream"}
	start := time.Now()
	for range 3 {
		if err := q.wait(t.Context(), call); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 390*time.Millisecond {
		t.Errorf("three calls at 5 a second took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var p *ops.Problem
	if err := q.wait(ctx, call); !errors.As(err, &p) || p.Fault != ops.FaultTimeout {
		t.Errorf("a turn after the deadline: %v", err)
	}
}

func TestQuotaOfAStreamIsItsOwn(t *testing.T) {
	q := newQuotas()
	start := time.Now()
	for _, stream := range []string{"a", "b", "c", "d", "e", "f"} {
		if err := q.wait(t.Context(), &Call{Service: "Kinesis", Operation: "ListStreamConsumers", quotaKey: stream}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 150*time.Millisecond {
		t.Errorf("six streams waited %s for each other", took)
	}
}

func TestCloudWatchProtocol(t *testing.T) {
	for protocol, want := range map[string]string{"": "rpc", "cbor": "rpc", "json": "json", "query": "query"} {
		c, err := Open(t.Context(), Options{Protocol: protocol, Config: testConfig()})
		if err != nil {
			t.Fatal(err)
		}
		// Clients that others make from the configuration speak it too.
		for _, client := range []*cloudwatch.Client{c.CloudWatch(), cloudwatch.NewFromConfig(c.Config())} {
			if id := client.Options().Protocol.ID().String(); !strings.Contains(strings.ToLower(id), want) {
				t.Errorf("%q: protocol %s", protocol, id)
			}
		}
	}
	if _, err := Open(t.Context(), Options{Protocol: "soap", Config: testConfig()}); err == nil {
		t.Error("soap was accepted")
	}
}
