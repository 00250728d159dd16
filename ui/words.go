package ui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"kxops/ops"
	"kxops/ui/text"
)

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// times says how often.
func times(n int) string {
	switch n {
	case 0:
		return "? times"
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return count(float64(n)) + " times"
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// metricName is the name of a metric without its unit: "iterator age".
func metricName(m ops.Metric) string {
	s := strings.TrimSuffix(strings.TrimSuffix(string(m), "_s"), "_ratio")
	return strings.ReplaceAll(s, "_", " ")
}

// limitOf is a threshold as charts want it: NaN for none.
func limitOf(threshold ops.Reading) float64 { return threshold.Or(math.NaN()) }

func writeCreated(w *writer, at time.Time) {
	if !at.IsZero() {
		w.field("created", fmt.Sprintf("%s (%s ago)", at.UTC().Format("2006-01-02"), age(at, w.l.now)), text.Style{})
	}
}
