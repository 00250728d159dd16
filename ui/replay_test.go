package ui

import (
	"strings"
	"testing"
	"time"

	"kxops/ops"
	"kxops/ui/text"
)

// A plan that waits for archived objects shows the commands that save it and ask for them:
// they mean the same selection, and nothing in them runs in a shell.
func TestAWaitingPlanShowsItsCommands(t *testing.T) {
	plan := ops.ReplayPlan{
		Select:   ops.ReplaySelect{Since: time.Date(2026, 11, 17, 8, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 17, 9, 0, 0, 0, time.UTC)},
		Archived: []ops.ReplayCold{{Class: "GLACIER", Objects: 2, Bytes: 10}}, Blockers: []string{"2 of 2 objects are archived"},
	}
	c := replayConsole(t, &replaysOfValues{}, 200, 60)
	wish := replayWish{from: "delivery:orders", to: "queue:again", since: "3h", filter: `.id == "$(rm x)"`, mapKey: ".id", order: "key", rate: "500"}
	const want = `kxops replay plan --from delivery:orders --to queue:again --filter '.id == "$(rm x)"' --rate 500 ` +
		`--map-key .id --order key --since 2026-11-17T08:00:00Z --until 2026-11-17T09:00:00Z --plan-out waiting.plan`
	shown := func(p ops.ReplayPlan) string {
		c.app.replays.wish = wish
		x := &c.app.replays.plan
		x.value, x.at, x.problem = plannedReplay{plan: p, wish: wish}, sampleNow, nil
		w := &writer{l: light{theme: &theme{}}, width: 400}
		c.app.top().(*replayForm).writePlan(w)
		var b strings.Builder
		for _, l := range w.lines {
			for _, s := range l.spans {
				b.WriteString(s.s)
			}
			b.WriteByte('\n')
		}
		return text.Clean(b.String())
	}
	if s := shown(plan); !strings.Contains(s, want) || !strings.Contains(s, restoreReplayLine) {
		t.Errorf("not shown:\n%s", s)
	}
	plan.Blockers = append(plan.Blockers, "and the queue is gone")
	if s := shown(plan); strings.Contains(s, restoreReplayLine) {
		t.Errorf("a plan that would not be saved shows how to wait:\n%s", s)
	}
}
