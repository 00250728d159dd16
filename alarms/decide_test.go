package alarms

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// The table is the sandbox's too (labs/sandbox, TestMissingData): rows of the
// CloudWatch user guide first, then what follows from its text.
func TestDecide(t *testing.T) {
	text, err := os.ReadFile("testdata/decide.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Points                                   string
		M, N                                     int
		Missing, Ignore, Breaching, NotBreaching string
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, c := range cases {
		var points []float64
		for _, p := range strings.Fields(c.Points) {
			points = append(points, map[string]float64{"-": math.NaN(), "X": 10, "0": 0}[p])
		}
		for missing, want := range map[string]string{MissingIsMissing: c.Missing, MissingIsIgnored: c.Ignore, MissingIsBad: c.Breaching, MissingIsGood: c.NotBreaching} {
			for _, before := range []AlarmState{StateIsOK, StateIsAlarm, StateIsNoData} {
				tried++
				expect := AlarmState(want)
				if want == "keep" {
					expect = before
				}
				if got := Decide(points, c.M, c.N, Above.Beyond(5), missing, before); got != expect {
					t.Errorf("%s, %d of %d, %s, from %s: %s, want %s", c.Points, c.M, c.N, missing, before, got, expect)
				}
			}
		}
	}
	if tried < 4*60 {
		t.Errorf("only %d cases", tried)
	}
}
