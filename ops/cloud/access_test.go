package cloud

import (
	"sync"
	"testing"
	"time"
)

func TestAccessFallsBackByItself(t *testing.T) {
	c := open(t, "http://127.0.0.1:1", Peek)
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	c.gate.raised.now = func() time.Time { return now }
	sends := func() bool { return c.gate.allow("SQS", "SendMessageBatch") == nil }

	if sends() || c.Access() != Peek || !c.AccessUntil().IsZero() {
		t.Fatalf("before: %s until %s, sends %t", c.Access(), c.AccessUntil(), sends())
	}
	until := now.Add(10 * time.Minute)
	c.SetAccess(Change, until)
	now = until.Add(-time.Nanosecond)
	if !sends() || c.Access() != Change || !c.AccessUntil().Equal(until) {
		t.Fatalf("unlocked: %s until %s, sends %t", c.Access(), c.AccessUntil(), sends())
	}
	now = until
	if sends() || c.Access() != Peek || !c.AccessUntil().IsZero() {
		t.Fatalf("after: %s until %s, sends %t", c.Access(), c.AccessUntil(), sends())
	}
	now = until.Add(-time.Minute) // the clock is set back
	if sends() {
		t.Error("what had run out came back with the clock")
	}
	c.SetAccess(Change, now.Add(time.Hour))
	c.SetAccess(Peek, now)
	if sends() {
		t.Error("still unlocked after it was locked by hand")
	}
	c.SetAccess(Look, time.Time{})
	now = now.Add(1000 * time.Hour)
	if c.Access() != Look || c.gate.allow("SQS", "ReceiveMessage") == nil {
		t.Error("a level without an end ended")
	}
}

func TestAccessIsKeptForWhatWasBegun(t *testing.T) {
	c := open(t, "http://127.0.0.1:1", Look)
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	c.gate.raised.now = func() time.Time { return now }
	c.SetAccess(Change, now.Add(10*time.Minute))
	first, second := c.KeepAccess(), c.KeepAccess()
	now = now.Add(time.Hour)
	first()
	first()
	if c.Access() != Change {
		t.Fatal("the level fell back under an operation")
	}
	second()
	if c.Access() != Look {
		t.Fatal("the level did not fall back when the operation was over")
	}
	c.KeepAccess()
	if c.Access() != Look {
		t.Fatal("keeping raised what had fallen back")
	}
}

func TestAccessMayBeSetWhileCallsPass(t *testing.T) {
	c := open(t, "http://127.0.0.1:1", Look)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				c.SetAccess(Change, time.Now().Add(time.Microsecond))
				_ = c.gate.allow("SQS", "ReceiveMessage") // either answer is right
				c.KeepAccess()()
			}
		})
	}
	all.Wait()
	c.SetAccess(Look, time.Now())
	if c.Access() != Look {
		t.Errorf("access %s", c.Access())
	}
}
