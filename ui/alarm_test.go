package ui

import (
	"fmt"
	"testing"
)

// at opens a screen by its command.
func atAlarms(t *testing.T, d *alarmsOfValues, line string, w, h int) *console {
	t.Helper()
	c := openConsole(t, alarmOptions(d), w, h)
	c.press(":")
	c.typed(line)
	c.press("enter")
	return c
}

// alarmScenes are the screens about alarms as a person comes by them.
var alarmScenes = map[string]func(t *testing.T, w, h int) *console{
	"list":     func(t *testing.T, w, h int) *console { return atAlarms(t, sampleAlarms(), "alarms", w, h) },
	"coverage": func(t *testing.T, w, h int) *console { return atAlarms(t, sampleAlarms(), "coverage", w, h) },
	"coverage-streams": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "coverage", w, h)
		c.press("tab", "right")
		return c
	},
	"cell": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "coverage", w, h)
		c.press("enter")
		return c
	},
	"plan": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("down")
		return c
	},
	"plan-item": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("down", "down", "down", "enter")
		return c
	},
	"plan-options": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("=")
		return c
	},
	"apply-question": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("Y")
		return c
	},
	"apply-result": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("Y", "U", "y")
		return c
	},
	"doctor": func(t *testing.T, w, h int) *console { return atAlarms(t, sampleAlarms(), "doctor", w, h) },
	"backtest-question": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("down", "down", "down", "x")
		return c
	},
	"backtest": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("down", "down", "down", "x", "enter")
		return c
	},
	"mute-menu": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "alarms", w, h)
		c.press("U", "S")
		return c
	},
}

func TestAlarmScenesHaveGoldens(t *testing.T) {
	for name, play := range alarmScenes {
		for _, size := range newSizes {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size.w, size.h), func(t *testing.T) {
				golden(t, fmt.Sprintf("alarms-%s-%dx%d", name, size.w, size.h), play(t, size.w, size.h).text())
			})
		}
	}
}

func TestCoverageSaysWhoWatchesWhat(t *testing.T) {
	c := atAlarms(t, sampleAlarms(), "coverage", 120, 36)
	c.sees("ALL 5", "streams 2", "dlqs 1", "8 alarms missing", "kds clicks", "▲M", "□F!", "●O", "kds.loss", "missing")
	c.sees("> 12h, 15 of 15 × 1m") // what is under the cursor
	c.press("right")
	c.sees("someone else's", "clicks-lag · ALARM")
	c.press("tab")
	c.sees("STREAMS 2", "loss stal lag  writ", "thro", "2 alarms missing")
	c.seesNot("orders-failed")
	c.press("enter")
	c.sees("> kds.loss clicks", "▲M missing", "0.5 × retention 24h", "retention is 24h", "records are trimmed", "kxops status clicks", "AWS: recommended alarms")
	c.press("esc", "down", "enter")
	c.sees("does not apply", "nobody reads the stream by polling", "the rule")
	c.press("esc", "/")
	c.typed("cells:off")
	c.press("enter")
	c.sees("1 of 1 (2 in all)", "payments")
}
