package ops

import (
	"testing"
	"time"
)

func TestArrivalsWithinAWindow(t *testing.T) {
	at := time.Date(2026, 11, 17, 8, 0, 0, 0, time.UTC)
	a := Arrivals{Begin: at, Step: time.Hour, Steps: []Reading{Know(10, at), Missing(NoData), Know(0, at), Know(40, at)}}
	for _, c := range []struct {
		name         string
		since, until float64 // hours
		sum          float64
		known, whole bool
	}{
		{"one step", 0, 1, 10, true, true},
		{"half a step", 3.5, 4, 20, true, true},
		{"nothing came, and that is known", 2, 3, 0, true, true},
		{"nothing is known", 1, 2, 0, false, false},
		{"a gap", 0, 4, 50, true, false},
		{"before what is known", -1, 1, 10, true, false},
		{"beyond it", 3, 5, 40, true, false},
	} {
		hours := func(h float64) time.Time { return at.Add(time.Duration(h * float64(time.Hour))) }
		sum, whole := a.Within(hours(c.since), hours(c.until))
		v, known := sum.Value()
		if v != c.sum || known != c.known || whole != c.whole {
			t.Errorf("%s: %v %v %v", c.name, v, known, whole)
		}
	}
}
