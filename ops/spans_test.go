package ops

import (
	"testing"
	"time"
)

func TestSpans(t *testing.T) {
	for _, c := range []struct {
		low, high float64 // -1: unknown
		want      string
	}{
		{12 * 60, 19 * 60, "12-19 min"},
		{12.5 * 60, 18.2 * 60, "12-19 min"},
		{720, 720, "about 12 min"},
		{5, 20.5, "5-21 s"},
		{30, 100, "0-2 min"},
		{3600, 3 * 3600, "1h to 3h"},
		{9000, 9000, "about 2h30m"},
		{0, 0, "about 0 s"},
		{600, -1, "10m to ?"},
		{-1, -1, "?"},
	} {
		of := func(v float64) Reading {
			if v < 0 {
				return Missing(NoData)
			}
			return Know(v, time.Time{})
		}
		if got := Spans(of(c.low), of(c.high)); got != c.want {
			t.Errorf("%v to %v: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}
