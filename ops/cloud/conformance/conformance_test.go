package conformance

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"kxops/ops/cloud"
)

// oneCase is one thing that a call must do. It sets up with x's unguarded
// clients and makes the call under test through the door of the product.
type oneCase struct {
	name      string // what is expected, unique within the operation
	service   string // the SDK's service id
	operation string
	run       func(x *run)

	ours bool // needs the sandbox's faults: see onlyOurs
	once bool // a single attempt for each call
}

func (c oneCase) id() string { return c.service + " " + c.operation + ": " + c.name }

// cases is THE list.
var cases = slices.Concat(
	identityCases, kinesisCases, firehoseCases, queueCases, topicCases, functionCases, bucketCases, apiCases, metricCases, alarmCases, drillCases, faultCases, athenaCases, busCases,
)

const patience = 30 * time.Second // for one case; an emulator on a busy machine is slow

func TestConformance(t *testing.T) {
	for _, target := range targets(t) {
		t.Run(target.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				t.Run(c.id(), func(t *testing.T) {
					t.Parallel()
					target.judge(t, c)
				})
			}
		})
	}
}

// judge runs a case and holds the result against the target's list of what it
// cannot serve. The list must stay true: a listed case that passes fails.
func (target target) judge(t *testing.T, c oneCase) {
	if reason := target.lacks(c.service); reason != "" {
		t.Skip(reason)
	}
	if c.ours && target.endpoint != "" {
		t.Skip(onlyOurs)
	}
	reason, listed := target.exceptions[c.id()]
	failures := target.try(t, c)
	switch {
	case listed && len(failures) == 0:
		t.Errorf("listed as something %s cannot serve (%s), but it passes: take it off the list", target.name, reason)
	case listed:
		t.Skipf("%s: %s", reason, failures[0])
	}
	for _, f := range failures {
		t.Error(f)
	}
}

// try runs a case on its own, so that a failure can be looked at before it counts.
func (target target) try(t *testing.T, c oneCase) []string {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	x := target.start(ctx, t, c.once)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer x.cleanUp(t)
		defer func() {
			if p := recover(); p != nil {
				x.errorf("panic: %v", p)
			}
		}()
		c.run(x)
	}()
	<-done
	return x.failures
}

// errorf notes a failure and goes on.
func (x *run) errorf(format string, args ...any) {
	x.failures = append(x.failures, fmt.Sprintf(format, args...))
}

// fatalf notes a failure and ends the case.
func (x *run) fatalf(format string, args ...any) {
	x.errorf(format, args...)
	runtime.Goexit()
}

// must ends the case when a call that has to work does not.
func (x *run) must(what string, err error) {
	if err != nil {
		x.fatalf("%s: %v", what, err)
	}
}

// equal compares one field of an answer.
func equal[T comparable](x *run, what string, got, want T) {
	if got != want {
		x.errorf("%s is %v, want %v", what, got, want)
	}
}

// within is the case's context with a shorter deadline.
func (x *run) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(x.ctx, d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// after registers a clean-up: an emulator is shared by all cases. The sandbox is
// thrown away whole.
func (x *run) after(f func(context.Context) error) {
	if x.sandbox == nil {
		x.cleanups = append(x.cleanups, f)
	}
}

// cleanUp is best effort: an emulator that cannot delete says so in its own case,
// and names are never used twice.
func (x *run) cleanUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), 10*time.Second)
	defer cancel()
	for _, f := range slices.Backward(x.cleanups) {
		if err := f(ctx); err != nil {
			t.Logf("clean up: %v", err)
		}
	}
}

// until repeats a check until it holds: the sandbox's clock is stepped, an
// emulator is given time.
func (x *run) until(what string, holds func() (bool, error)) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	var last error
	for range 100 {
		ok, err := holds()
		if ok && err == nil {
			return
		}
		last = err
		if x.sandbox != nil {
			x.sandbox.Advance(time.Minute)
			continue
		}
		select {
		case <-again.C:
		case <-x.ctx.Done():
			x.fatalf("%s: %v (%v)", what, x.ctx.Err(), last)
		}
	}
	x.fatalf("%s did not come true: %v", what, last)
}

// TestEveryOperationHasACase keeps the gate's list and this one together.
func TestEveryOperationHasACase(t *testing.T) {
	seen := map[string]bool{}
	covered := map[string]bool{}
	for _, c := range cases {
		if seen[c.id()] {
			t.Errorf("%s stands twice", c.id())
		}
		seen[c.id()] = true
		covered[c.service+" "+c.operation] = true
		if _, ok := cloud.OperationOf(c.service, c.operation); !ok {
			t.Errorf("%s is a case of an operation that the gate does not list", c.id())
		}
	}
	for _, o := range cloud.Operations {
		if !covered[o.Service+" "+o.Name] {
			t.Errorf("%s %s has no conformance case", o.Service, o.Name)
		}
	}
	for name, e := range emulators {
		for id := range e.exceptions {
			if !seen[id] {
				t.Errorf("%s lists %q, which is no case", name, id)
			}
		}
	}
}
