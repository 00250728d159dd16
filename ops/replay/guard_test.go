package replay

import (
	"sync"
	"testing"

	"kxops/ops"
)

// Lanes that all want more than is left of the canary do not wait for each other: what
// goes is never more than the canary, and it is always complete.
func TestACanaryIsCompleteWhateverTheRequestsAre(t *testing.T) {
	for n := 1; n <= 12; n++ {
		o := &Operation{plan: ops.ReplayPlan{Pace: ops.ReplayPace{Canary: 10}}, stop: make(chan struct{})}
		c := newCanary(o, 0)
		var lanes sync.WaitGroup
		for range 16 {
			lanes.Go(func() { c.pass(n) })
		}
		<-c.asked
		if c.passed > 10 || c.passed+int64(n) <= 10 {
			t.Errorf("%d passed in requests of %d", c.passed, n)
		}
		close(c.open)
		lanes.Wait()
	}
}
