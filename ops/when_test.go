package ops

import (
	"testing"
	"time"
)

func TestATimeHasItsZoneOrIsSoLongAgo(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 3, 0, 5, time.UTC)
	for text, want := range map[string]string{
		"":                          "0001-01-01T00:00:00Z",
		"36h":                       "2026-11-21T02:03:00Z",
		"2d":                        "2026-11-20T14:03:00Z",
		"1d12h":                     "2026-11-21T02:03:00Z",
		"2026-11-17T08:00Z":         "2026-11-17T08:00:00Z",
		"2026-11-17T09:00+01:00":    "2026-11-17T08:00:00Z",
		"2026-11-17 09:00:30+01:00": "2026-11-17T08:00:30Z",
		"2026-11-17T08:00:00.5Z":    "2026-11-17T08:00:00.5Z",
	} {
		if got, err := ParseWhen(text, now); err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%q is %s, %v", text, got.Format(time.RFC3339Nano), err)
		}
	}
	for _, text := range []string{"2026-11-17", "2026-11-17T08:00", "-2h", "0s", "yesterday", "3d-1h x"} {
		if got, err := ParseWhen(text, now); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
