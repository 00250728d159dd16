package sandbox

import (
	"testing"
	"time"
)

func built(t testing.TB, scenario string) *Sandbox {
	t.Helper()
	sb, err := New(Options{Scenario: scenario, Seed: 7, Start: time.Date(2026, 11, 22, 12, 0, 30, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	return sb
}

func TestIncidentHasItsDeadLetters(t *testing.T) {
	sb := built(t, "incident")
	queues := sb.Region("").queues.(*sqsService).queues
	for name, least := range map[string]int{"orders-dlq": 40, "thumbnails-dlq": 20, "invoices-dlq": 14, "payments-failures": 6} {
		if n := queues[name].count[ready]; n < least {
			t.Errorf("%s holds %d messages, want at least %d", name, n, least)
		}
	}
}

func BenchmarkScenarios(b *testing.B) {
	for _, s := range Scenarios() {
		b.Run(s.Name, func(b *testing.B) {
			for range b.N {
				sb, err := New(Options{Scenario: s.Name, Seed: 1})
				if err != nil {
					b.Fatal(err)
				}
				sb.Close()
			}
		})
	}
}
