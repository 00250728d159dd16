package ops

import (
	"math"
	"strings"
	"testing"
)

type sealed struct {
	Schema string
	Text   string
	Hash   string
}

func TestASealHoldsOnlyForWhatWasSealed(t *testing.T) {
	made := sealed{Schema: "plan/v1", Text: "redrive"}
	sum, err := Sum(made)
	// printf '{"Schema":"plan/v1","Text":"redrive","Hash":""}' | sha256sum: plans that are
	// saved already must stay good.
	if want := "ad1321db203499ed76959d59f849fb6931d2fc82199af4c8ad2667a424e2a829"; err != nil || sum != want {
		t.Fatalf("%s %v, want %s", sum, err, want)
	}
	for name, c := range map[string]struct {
		said Seal
		plan sealed
		says string // "": it holds
	}{
		"as it was made":     {Seal{"plan/v1", sum}, made, ""},
		"its text changed":   {Seal{"plan/v1", sum}, sealed{Schema: "plan/v1", Text: "archive"}, "changed after it was made"},
		"another schema":     {Seal{"plan/v2", sum}, made, `schema "plan/v2", want "plan/v1"`},
		"never sealed":       {Seal{"plan/v1", ""}, made, "changed after it was made"},
		"its hash not empty": {Seal{"plan/v1", sum}, sealed{Schema: "plan/v1", Text: "redrive", Hash: sum}, "changed after it was made"},
	} {
		err := CheckSeal(c.said, "plan/v1", c.plan)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// A plan that cannot be written has no sum, and does not pass for one that has none.
func TestWhatCannotBeWrittenIsNotSealed(t *testing.T) {
	if sum, err := Sum(math.Inf(1)); err == nil || sum != "" {
		t.Errorf("%q %v", sum, err)
	}
	if err := CheckSeal(Seal{"plan/v1", ""}, "plan/v1", math.Inf(1)); err == nil {
		t.Error("infinity is sealed by nothing")
	}
}
