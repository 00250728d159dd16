package alarms

import (
	"testing"

	"kxops/ops"
)

// TestUnknownPartIsNotHidden: of two parts of one rule, such as two channels of a
// stream, one that could not be read is not covered by the alarm of the other.
func TestUnknownPartIsNotHidden(t *testing.T) {
	stream := ops.ARN("arn:aws:kinesis:eu-west-1:123456789012:stream/clicks")
	w := Wanted{
		Specs: []Spec{{Name: "kxops/kds.channel_failed/clicks/a", Rule: "kds.channel_failed", Resource: stream}},
		Skipped: []Skipped{
			{Rule: "kds.channel_failed", Resource: stream, Why: "b could not be read", Unknown: true},
			{Rule: "kds.channel_failed", Resource: stream, Why: "c has none"},
		},
	}
	for _, cover := range []Cover{CoverOurs, CoverMissing} {
		c := CoverageOf(ops.Snapshot{}, w, func(s Spec) CoverCell { return CoverCell{Cover: cover, Alarms: []string{s.Name}} })
		var unknown []CoverCell
		for _, cell := range c.Rows[0].Cells {
			if cell.Cover == CoverUnknown {
				unknown = append(unknown, cell)
			}
		}
		if len(unknown) != 1 || unknown[0].Why != "b could not be read" || len(unknown[0].Alarms) != 1 {
			t.Errorf("%s: %+v", cover, unknown)
		}
		if want := map[Cover]int{CoverMissing: 1}[cover]; c.Rows[0].Missing != want {
			t.Errorf("%s: %d missing", cover, c.Rows[0].Missing)
		}
	}
}
