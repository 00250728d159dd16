package ops

import (
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	queues := []string{"orders", "orders-dlq", "billing-events", "prod-invoices", strings.Repeat("x", 10<<20)}
	for word, want := range map[string][]string{
		"ordres":    {"orders", "orders-dlq"},
		"invoices":  {"prod-invoices", "orders"},
		"ORDERS":    {"orders", "orders-dlq"},
		"orders-dl": {"orders-dlq", "orders"},
	} {
		if got := Nearest(word, queues, 2); !slices.Equal(got, want) {
			t.Errorf("nearest to %q: %q, want %q", word, got, want)
		}
	}
	if got := Nearest("x", nil, 3); len(got) != 0 {
		t.Errorf("nearest of nothing: %q", got)
	}
}

func TestNear(t *testing.T) {
	queues := []string{"orders", "orders-dlq", "billing-events", "prod-invoices"}
	for word, want := range map[string][]string{
		"ordres":     {"orders"},
		"ordres-dlq": {"orders-dlq"},
		"invoices":   {"prod-invoices"},
		"zzz":        nil,
		"shipments":  nil,
	} {
		if got := Near(word, queues, 3); !slices.Equal(got, want) {
			t.Errorf("near %q: %q, want %q", word, got, want)
		}
	}
}
