package ops

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseSpan reads a Go duration with days before it: 90s, 36h, 2d, 1d12h.
func ParseSpan(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of days", days)
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 {
		return 0, fmt.Errorf("%q is no time", rest)
	}
	return d + more, nil
}

// whenForms are how a time may be written. Each has its zone: a window in the wrong one
// is about other events.
var whenForms = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04Z07:00"}

// ParseWhen reads a point in time: with its zone, or so long before now. The result is
// in UTC; "" is the zero time.
func ParseWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := ParseSpan(s); err == nil && d > 0 {
		return now.Add(-d).UTC().Truncate(time.Second), nil
	}
	for _, form := range whenForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("must be a time with its zone, such as 2026-11-17T08:00Z or 2026-11-17T09:00+01:00, or so long ago, such as 36h")
}
