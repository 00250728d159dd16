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
		From:   ops.ReplayEnd{Kind: ops.KindDelivery, ARN: "arn:aws:firehose:eu-west-1:123456789012:deliverystream/orders", Bucket: "b"},
		To:     ops.ReplayEnd{Kind: ops.KindQueue, ARN: "arn:aws:sqs:eu-west-1:123456789012:again"},
		Select: ops.ReplaySelect{Since: time.Date(2026, 11, 17, 8, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 17, 9, 0, 0, 0, time.UTC), Filter: `.id == "$(rm x)"`},
		Map:    ops.ReplayMap{Key: ".id"}, Pace: ops.ReplayPace{Order: "key", Rate: 500},
		Archived: []ops.ReplayCold{{Class: "GLACIER", Objects: 2, Bytes: 10}}, Blockers: []string{"2 of 2 objects are archived"},
	}
	const want = `kxops replay plan --from delivery:orders --to queue:again --since 2026-11-17T08:00:00Z --until 2026-11-17T09:00:00Z --filter '.id == "$(rm x)"' ` +
		`--map-key .id --order key --rate 500 --plan-out waiting.plan`
	if line := planReplayLine(plan); line != want {
		t.Errorf("%s\nwant %s", line, want)
	}
	shown := func(p ops.ReplayPlan) string {
		w := &writer{l: light{theme: &theme{}}, width: 400}
		writeReplayPlan(w, p)
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
