package ops

import (
	"fmt"
	"math"
)

// Spans prints a range of durations in seconds: "12-19 min". An unknown end is a ?.
func Spans(soonest, latest Reading) string {
	low, okLow := soonest.Value()
	high, okHigh := latest.Value()
	switch {
	case !okLow:
		return "?"
	case !okHigh:
		return Span(low) + " to ?"
	}
	unit, each := "min", 60.0
	switch {
	case high < 90:
		unit, each = "s", 1
	case high > 2*3600:
		if Span(low) == Span(high) {
			return "about " + Span(low)
		}
		return Span(low) + " to " + Span(high)
	}
	a, b := int(math.Floor(low/each)), int(math.Ceil(high/each)) // a range that is rounded is not made smaller
	if a == b {
		return fmt.Sprintf("about %d %s", a, unit)
	}
	return fmt.Sprintf("%d-%d %s", a, b, unit)
}
