package ui

import (
	"errors"
	"testing"

	"kxops/ops"
)

// What was asked in Athena is listed, and one key asks for it again: in the form, with
// its condition and values.
func TestAQueryBeginsAReplay(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {140, 40}} {
		d := &replaysOfValues{queries: []ops.PastQuery{
			{ID: "q1", SQL: "SELECT *\nFROM orders WHERE customer = ?", State: "SUCCEEDED", At: sampleNow, Scanned: 12 << 20, From: "athena:shop.orders",
				Question: ops.ReplayQuestion{Workgroup: "oncall", Where: "customer = ?", Params: []ops.ReplayParam{{Value: `o"hara, 7`}}}},
			{ID: "q2", SQL: "SELECT 1", State: "FAILED", At: sampleNow, Why: "it reads no table"},
		}}
		c := replayConsole(t, d, size[0], size[1])
		c.press(":")
		c.typed("queries")
		c.press("enter")
		c.sees("shop.orders", "SELECT * FROM", "no: it reads")
		c.press("down", "enter")
		c.sees("cannot be replayed: it reads no table")
		c.press("up", "E")
		c.sees("athena:shop.orders", "customer = ?", `"o\"hara, 7"`, "oncall")
		ask, err := c.app.replays.wish.asking(c.app)
		if err != nil || ask.From != "athena:shop.orders" || ask.Question.Workgroup != "oncall" || len(ask.Question.Params) != 1 || ask.Question.Params[0] != d.queries[0].Question.Params[0] || !ask.Select.Since.IsZero() {
			t.Errorf("%+v %v", ask, err)
		}
	}
}

func TestQueriesThatCannotBeRead(t *testing.T) {
	d := &replaysOfValues{err: errors.New("list the workgroups: denied")}
	c := replayConsole(t, d, 80, 24)
	c.press(":")
	c.typed("queries")
	c.press("enter")
	c.sees("could not be read: list the workgroups: denied")
	d.err = nil
	c.press("esc", ":")
	c.typed("queries")
	c.press("enter")
	c.sees("nothing was asked in Athena lately")
}
