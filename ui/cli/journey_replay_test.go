//go:build !windows

package cli

import (
	"testing"

	"kxops/ui/shot/terminal"
)

// The support request on the demo, by keys alone: what a customer did, out of the
// archive, rehearsed, then to a queue after a canary, paused, gone on with, and proven.
func TestJourneyReplay(t *testing.T) {
	t.Parallel()
	j := start(t, terminal.Options{}, nil, "demo", "--at", "2026-11-22T03:14:00Z")
	j.sees("DEMO", "incident", "PAGE", "refresh")
	j.types(":delivery clicks-to-s3\r")
	j.sees("overview > delivery clicks-to-s3")
	j.types("E")
	j.sees("> replay", "from            delivery:clicks-to-s3", "null:", "it sends nothing")
	j.types("jjjj\r.page == \"/cart\"\r")
	j.sees("filter          .page == \"/cart\"")
	j.types("W")
	j.sees("sends", "objects", "rehearsal", "meant (20 of what was read)")
	j.types("Y")
	j.sees("replay?", "nowhere (rehearsal)", "sha256", "y begin")
	j.arms()
	j.types("y")
	j.sees("DONE", "clicks-to-s3 to nowhere (rehearsal)", "with a receipt each", "V proves")
	j.types("V")
	j.sees("the proof holds", "one receipt for each record that was sent")

	j.types("\x1b")
	j.seesNoMore("the proof holds")
	j.types("kkkk\r\x15queue:clicks-index\r")
	j.sees("the form has changed since")
	j.types("W")
	j.sees("canary", "halts when clicks-index-dlq has more than", "runs clicks-indexer")
	j.types("Y")
	j.sees("replay?", "cannot be undone", "locked: U unlocks")
	j.types("U")
	j.sees("CHANGE 9:5", "y replay")
	j.arms()
	j.types("y")
	j.sees("watching", "sent; watching what they do", "lanes", "replay ")
	j.types("w")
	j.sees("PAUSED", "w goes on", "held")
	j.types("w")
	j.sees("watching") // the watch was interrupted, so it begins again: 20 s, and the first minute's numbers
	if err := j.See(6*patience, "DONE", "clicks-to-s3 to clicks-index"); err != nil {
		t.Fatal(err)
	}
	j.types("V")
	j.sees("the proof holds", "was not read back")
	j.types(":replays\r")
	j.sees("> replays", "clicks-index", "nowhere (rehearsal)", "done")
	j.types("q")
	j.ends(0)
}
