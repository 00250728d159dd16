package replay

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

const (
	watchEvery = 5 * time.Second // the guards, while it runs
	canaryLook = 2 * time.Second // … and while a canary is watched
	askTimeout = 10 * time.Second
)

// canary lets some records through, and the rest when the guards have nothing against
// it. A nil canary lets everything through.
type canary struct {
	o *Operation

	mu    sync.Mutex
	left  int
	inAir int // records let through, whose request has not come back
	open  chan struct{}
	asked chan struct{} // closed when all of the canary's are let through
}

// newCanary is nil where the plan has none, or it was passed before an interruption.
// One that was interrupted is watched again, from the start; what was sent before
// counts as part of it.
func newCanary(o *Operation, sent int64, passed bool) *canary {
	n := o.plan.Pace.Canary
	if n <= 0 || passed {
		return nil
	}
	c := &canary{o: o, left: int(max(0, int64(n)-sent)), open: make(chan struct{}), asked: make(chan struct{})}
	c.close()
	return c
}

// most is how many may go at once; 0: no limit.
func (c *canary) most() int {
	if c == nil {
		return 0
	}
	select {
	case <-c.open:
		return 0
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(1, c.left)
}

// pass waits until n may go. It reports false when the replay is stopping.
func (c *canary) pass(n int) bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	if c.left >= n {
		c.left -= n
		c.inAir += n
		c.close()
		c.mu.Unlock()
		return true
	}
	if c.left > 0 { // a request is not split: the canary is complete without the last few
		c.left = 0
		c.close()
	}
	c.mu.Unlock()
	select {
	case <-c.open:
		return true
	case <-c.o.stop:
		return false
	}
}

// landed says that a request of n records has come back, whatever its answers are: what
// was throttled waits for the gate like the rest.
func (c *canary) landed(n int) {
	if c == nil {
		return
	}
	select {
	case <-c.open: // nobody waits for it any more
		return
	default:
	}
	c.mu.Lock()
	c.inAir -= n
	c.mu.Unlock()
	c.o.wake()
}

func (c *canary) flying() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inAir > 0
}

// close tells the watcher that the canary is on its way. Call it under the lock.
func (c *canary) close() {
	if c.left == 0 {
		close(c.asked)
	}
}

// keepWatch asks the guards and reads the control file until the replay is over.
func (o *Operation) keepWatch(ctx context.Context, over <-chan struct{}) {
	tick := time.NewTicker(cmp.Or(o.desk.watches, watchEvery))
	defer tick.Stop()
	control := time.NewTicker(checkpointEvery / 2)
	defer control.Stop()
	var asked chan struct{}
	if o.gate != nil {
		asked = o.gate.asked
	}
	for {
		select {
		case <-over:
			return
		case <-o.stop:
			return
		case <-control.C:
			o.obey()
		case <-tick.C:
			o.askGuards(ctx)
			o.askHeadroom(ctx, false)
		case <-asked:
			asked = nil
			o.watchCanary(ctx, over)
		}
	}
}

// watchCanary waits for the canary's answers, watches the guards for a while and then
// opens the gate.
func (o *Operation) watchCanary(ctx context.Context, over <-chan struct{}) {
	o.mu.Lock()
	for o.gate.flying() && !o.stopping() {
		o.moved.Wait()
	}
	if o.state == ops.Running {
		o.state = ops.Watching
		o.note = fmt.Sprintf("%d sent; watching what they do for %.0f s before the rest", o.live.Sent, o.plan.Pace.CanaryWait)
	}
	o.mu.Unlock()
	began := time.Now()
	most := time.Duration(o.plan.Pace.CanaryMost * float64(time.Second))
	until := time.NewTimer(time.Duration(o.plan.Pace.CanaryWait * float64(time.Second)))
	defer until.Stop()
	tick := time.NewTicker(canaryLook)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-until.C:
			// What is not known yet is not fine: a failing function shows a minute later.
			if o.askMetrics(ctx, true); len(o.unknown()) > 0 && time.Since(began) < most {
				o.say(ops.Watching, fmt.Sprintf("the canary is sent; waiting for the first numbers of %s, %s at most", strings.Join(o.unknown(), ", "), ops.Span(o.plan.Pace.CanaryMost)))
				until.Reset(cmp.Or(o.desk.watches, metricsSoon))
				continue
			}
			waiting = false
		case <-tick.C:
			o.obey()
			o.askGuards(ctx)
		case <-over:
			return
		case <-o.stop:
			return
		}
	}
	o.askGuards(ctx)
	o.mu.Lock()
	if o.state == ops.Watching {
		o.state, o.note = ops.Running, ""
	}
	o.mu.Unlock()
	if o.stopping() {
		return
	}
	if err := o.log.Append(line{Word: linePassed, At: o.desk.o.Now().UTC()}); err != nil {
		o.fail(err)
		return
	}
	o.pacer.again() // the time of watching was none of the events'
	close(o.gate.open)
}

// askGuards halts the replay when a number is worse than the plan allows. A guard that
// cannot be asked halts nothing: it is said.
func (o *Operation) askGuards(ctx context.Context) {
	o.askMetrics(ctx, false)
	for _, g := range o.plan.Guards {
		if g.What != ops.GuardDepth {
			continue
		}
		now, err := o.desk.depthOf(ctx, g.ARN)
		if err != nil {
			o.mu.Lock()
			o.note = fmt.Sprintf("the guard on %s cannot be asked: %s", g.ARN.Name(), ops.AsProblem(o.explained("ask for its depth", err)).What)
			o.mu.Unlock()
			continue
		}
		if now > g.Most {
			o.halt(fmt.Sprintf("%s grew from %.0f to %.0f messages, and the plan allows %.0f: what was sent fails", g.ARN.Name(), g.Was.Or(0), now, g.Most))
		}
	}
}

// depthOf is how many messages a queue has, by its own count.
func (d *Desk) depthOf(ctx context.Context, queue ops.ARN) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	name := queue.Name()
	url, err := d.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return 0, err
	}
	out, err := d.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed}})
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, v := range out.Attributes {
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return 0, fmt.Errorf("the count %q of %s: %w", v, name, err)
		}
		sum += n
	}
	return sum, nil
}
