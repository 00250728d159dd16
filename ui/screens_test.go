package ui

import (
	"fmt"
	"testing"
)

var sizes = []struct{ w, h int }{{120, 40}, {80, 24}, {60, 16}}

// visits opens every screen of THE list in the way a person would.
var visits = map[string]string{
	"overview": "overview", "pipelines": "pipelines", "stream": "stream clicks", "delivery": "delivery clicks-to-s3",
	"queue": "queue orders-failed", "function": "function clicks-enricher", "topic": "topic lake-events", "bucket": "bucket click-lake", "api": "api order-door",
	"dlq": "dlq", "triage": "triage orders-failed", "operations": "operations",
	"alarms": "alarms", "coverage": "coverage", "plan": "plan", "doctor": "doctor", "replay": "replay", "replaying": "replaying", "replays": "replays", "queries": "queries", "journal": "journal", "info": "info", "spend": "spend", "help": "help",
}

func TestEveryScreenHasGoldens(t *testing.T) {
	for _, spec := range screens {
		line, ok := visits[spec.id]
		if !ok {
			t.Errorf("screen %s has no entry in visits: it would have no golden", spec.id)
			continue
		}
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s-%dx%d", spec.id, size.w, size.h), func(t *testing.T) {
				c := openConsole(t, deskOptions(sampleDesk()), size.w, size.h)
				c.press(":")
				c.typed(line)
				c.press("enter")
				golden(t, fmt.Sprintf("%s-%dx%d", spec.id, size.w, size.h), c.text())
			})
		}
	}
}
