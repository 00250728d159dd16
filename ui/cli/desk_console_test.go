package cli

import (
	"strings"
	"testing"

	"kxops/ops"
	"kxops/ui/config"
)

func TestUnlockWantsTheNameOfAProtectedAccount(t *testing.T) {
	id := ops.Identity{Account: "123456789012", Alias: "shop", Profile: "shop-ops"}
	byID := func(account string) bool { return account == id.Account }
	for _, c := range []struct {
		what string
		a    *account
		id   ops.Identity
		want string
	}{
		{"not protected", &account{}, id, ""},
		{"protected by its profile", &account{set: config.Profile{Protected: true}}, id, "shop"},
		{"protected by its account id", &account{guards: byID}, id, "shop"},
		{"another account", &account{guards: byID}, ops.Identity{Account: "210987654321"}, ""},
		{"without a name", &account{guards: byID}, ops.Identity{Account: id.Account}, id.Account},
	} {
		if got := c.a.unlockName(c.id); got != c.want {
			t.Errorf("%s: %q has to be typed, want %q", c.what, got, c.want)
		}
	}
}

func TestWhatWasLeftIsTold(t *testing.T) {
	left := []ops.Progress{{ID: "20261122-143000-ab12", Verb: ops.Redrive, From: "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", State: ops.Cancelled, Sent: 11, Total: 31}}
	var b strings.Builder
	sayLeft(&b, left, false)
	want := "operation 20261122-143000-ab12, redrive of orders-dlq: cancelled, 11 of 31 sent\n  kxops --access change dlq resume 20261122-143000-ab12 goes on\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	sayLeft(&b, left, true)
	if strings.Contains(b.String(), "resume") || !strings.Contains(b.String(), "it ended with the demo") {
		t.Errorf("the demo promises what it cannot keep: %q", b.String())
	}
}
