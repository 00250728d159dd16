package cli

import (
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
