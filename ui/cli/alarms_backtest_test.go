package cli

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/alarms"
)

func TestBacktestText(t *testing.T) {
	from := time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)
	b := alarms.Backtest{From: from, Until: from.Add(7 * 24 * time.Hour), Calls: 2, USD: 0.00002, Trials: []alarms.Trial{
		{Rule: "kds.loss", Resource: here + "quiet", Points: 10, Periods: 20},
		{Rule: "kds.lag", Resource: here + "clicks", Fired: 2, Longest: 660, First: from.Add(time.Hour), Points: 20, Periods: 20, Factor: 1.25},
		{Rule: "dlq.loss", Resource: here + "dark", Unknown: "denied"},
	}}
	want := `3 alarms tried from 2026-11-16 00:00:00 to 2026-11-23 00:00:00: 1 would have fired, 1 unknown (2 calls, under $0.0001)

RULE      RESOURCE  FIRED  LONGEST  FIRST                NOW  DATA  FACTOR
kds.lag   clicks    2      11m      2026-11-16 01:00:00  ok   100%  1.25
dlq.loss  dark      ?      -        -                    ?    -     denied
and 1 that would not have fired; --all shows them
`
	if d := cmp.Diff(want, printed(0, func(p *printer) { p.backtest(b, false) })); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
