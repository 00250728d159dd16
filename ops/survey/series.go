package survey

import (
	"math"
	"time"

	"kxops/ops"
)

// hourPoints is the window of every series: one hour of minutes. Asking for less
// costs the same, because CloudWatch bills the metric and not the points.
const hourPoints = 60

// emptyHour returns a series of gaps that ends with the minute before end.
func emptyHour(end time.Time) ops.Series {
	s := ops.Series{Start: end.Add(-hourPoints * time.Minute), Step: time.Minute, Points: make([]float64, hourPoints)}
	for i := range s.Points {
		s.Points[i] = math.NaN()
	}
	return s
}

// withLive returns the series moved up to now's minute, with v as its value.
func withLive(s ops.Series, now time.Time, v float64) ops.Series {
	out := upTo(s, now.Truncate(time.Minute).Add(time.Minute))
	out.Points[len(out.Points)-1] = v
	return out
}

// upTo returns a copy of the series that covers the hour before end.
func upTo(s ops.Series, end time.Time) ops.Series {
	out := emptyHour(end)
	for i, v := range s.Points {
		if j := int(s.At(i).Sub(out.Start) / time.Minute); j >= 0 && j < len(out.Points) && !s.At(i).Before(out.Start) {
			out.Points[j] = v
		}
	}
	return out
}

// mergeLive lays live points under a metric's series: the metric decides where it
// has a value, the live ones fill its gaps and the minutes it has not reached.
func mergeLive(metric, live ops.Series) ops.Series {
	end := metric.At(len(metric.Points))
	if liveEnd := live.At(len(live.Points)); len(live.Points) > 0 && liveEnd.After(end) {
		end = liveEnd
	}
	out := upTo(live, end)
	over := upTo(metric, end)
	for i, v := range over.Points {
		if !math.IsNaN(v) {
			out.Points[i] = v
		}
	}
	return out
}
