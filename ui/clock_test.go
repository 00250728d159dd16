package ui

import (
	"testing"
	"time"
)

func TestAgesAreRedrawnAsOftenAsSomebodyLooks(t *testing.T) {
	now := sampleNow
	o := sampleOptions(&fakeAccount{snapshot: manyQueues(3)})
	o.Now = func() time.Time { return now }
	c := openConsole(t, o, 80, 24)
	paces := func(want time.Duration, when string) {
		t.Helper()
		if got := c.app.clockPace(); got != want {
			t.Errorf("%s: every %s, want %s", when, got, want)
		}
	}
	paces(clockPaceBusy, "at the start")
	now = now.Add(idleAfter + time.Second)
	paces(clockPaceIdle, "untouched")
	c.press("j")
	paces(clockPaceBusy, "after a key")
	c.app.poll.blur = true
	paces(clockPaceBlur, "in the background")
}
