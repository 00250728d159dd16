//go:build !windows

package cli

import (
	"testing"

	"kxops/ui/shot/terminal"
)

// The alarms of the demo, by keys alone: what is missing, why, a plan, locked and
// unlocked, applied, and what became of it in the matrix and in the list.
func TestJourneyAlarms(t *testing.T) {
	t.Parallel()
	j := start(t, terminal.Options{}, nil, "demo", "--at", "2026-11-22T03:14:00Z")
	j.sees("DEMO", "incident", "PAGE", "refresh")
	j.types(":alarms\r")
	j.sees("overview > alarms", "payments iterator age", "ALARM for")
	j.types("C")
	j.sees("overview > alarms > coverage", "alarms missing", "▲M", "□F!", "kds.loss", "> 12h, 15 of 15 × 1m")
	j.types("\r")
	j.sees("> kds.loss clicks", "▲M missing", "0.5 × retention", "kxops/kds.loss/clicks")
	j.types("x")
	j.sees("try kds.loss clicks on the past?", "the last 7d", "$")
	j.types("\r")
	j.sees("backtest kds.loss clicks", "periods had a datapoint")
	j.types("\x1b")
	j.seesNoMore("backtest")
	j.types("+")
	j.sees("would tell nobody", "a month", "kds.loss clicks", "0.5 × retention")
	j.types("=")
	j.sees("what is planned", "pages tell")
	j.types("4oncall\r")
	j.sees("tells oncall", "quietly") // with 47 new ones nobody should get 47 mails
	j.types("jjjj=")
	j.sees("only clicks") // the pipeline under the cursor
	j.types("9")
	j.seesNoMore("quietly")
	j.sees("+12", "a month")
	j.types("Y")
	j.sees("apply these changes to the alarms?", "region eu-west-1", "locked: U unlocks")
	j.types("U")
	j.sees("CHANGE 9:5", "y apply")
	j.arms()
	j.types("y")
	j.sees("APPLIED", "created", "+ plans again")
	j.types("+")
	j.sees("nothing to change", "=12")
	j.types("C")
	j.sees("●O", "kxops/kds.loss/clicks")
	j.types("H")
	j.sees("should reach somebody", "the topic oncall has no subscriber", "fix  aws sns subscribe")
	j.types(":alarms\r")
	j.sees("overview > alarms")
	j.types("/kds.loss\r")
	j.sees("kxops/kds.loss/clicks", "kds clicks", "> 12h")
	j.types("S2deploy\r")
	j.sees("mute kxops/kds.loss/clicks for 2h?", "ends by itself", "deploy")
	j.arms()
	j.types("y")
	j.sees("muted 2h", "· deploy")
	j.types("q")
	j.ends(0)
}
