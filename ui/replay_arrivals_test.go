package ui

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"kxops/ops"
)

// replaysOfValues is a replay desk over values.
type replaysOfValues struct {
	mu       sync.Mutex
	arrivals ops.Arrivals
	err      error
	asked    []string // sources whose arrivals were asked for
	plans    []ops.ReplayAsk
	query    *ops.ReplayQuery // a plan runs it, if it may
	queries  []ops.PastQuery
}

func (d *replaysOfValues) Arrivals(_ context.Context, from string) (ops.Arrivals, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, from)
	return d.arrivals, d.err
}

func (d *replaysOfValues) Queries(context.Context) ([]ops.PastQuery, error) {
	return d.queries, d.err
}

func (d *replaysOfValues) Plan(_ context.Context, ask ops.ReplayAsk) (ops.ReplayPlan, []ops.ReplaySample, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.query != nil {
		if err := ask.Agree(*d.query); err != nil {
			return ops.ReplayPlan{}, nil, err
		}
	}
	d.plans = append(d.plans, ask)
	return ops.ReplayPlan{Select: ask.Select}, nil, nil
}

func (d *replaysOfValues) Start(context.Context, ops.ReplayPlan) (Replaying, error) {
	return nil, context.Canceled
}
func (d *replaysOfValues) Resume(context.Context, string) (Replaying, error) {
	return nil, context.Canceled
}
func (d *replaysOfValues) Past(context.Context) ([]PastReplay, error) { return nil, nil }
func (d *replaysOfValues) Verify(context.Context, string) (ops.ReplayProof, error) {
	return ops.ReplayProof{}, nil
}

type accountWithReplays struct {
	*fakeAccount
	desk *replaysOfValues
}

func (a accountWithReplays) ReplayDesk(context.Context) (ReplayDesk, error) { return a.desk, nil }

// aDay is a day in hours: 100 records in each, none at 6, unknown at 0 and 1.
func aDay() ops.Arrivals {
	a := ops.Arrivals{What: ops.ArrivedRecords, Begin: sampleNow.Truncate(time.Hour).Add(-23 * time.Hour), Step: time.Hour}
	for i := range 24 {
		r := ops.Know(100, sampleNow)
		switch {
		case i < 2:
			r = ops.Missing(ops.NoData)
		case i == 6:
			r = ops.Know(0, sampleNow)
		case i == 12:
			r = ops.Know(900, sampleNow)
		}
		a.Steps = append(a.Steps, r)
	}
	return a
}

func replayConsole(t *testing.T, d *replaysOfValues, width, height int) *console {
	t.Helper()
	f := &fakeAccount{snapshot: sampleSnapshot()}
	o := sampleOptions(f)
	o.Backend = accountWithReplays{f, d}
	c := openConsole(t, o, width, height)
	c.app.replays.wish = replayWish{from: "stream:orders", to: "null:", since: "3h"}
	c.press("E")
	return c
}

// The window is moved by keys on what arrived, which is asked for once; the plan is made of it.
func TestTheWindowOnArrivals(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		d := &replaysOfValues{arrivals: aDay()}
		c := replayConsole(t, d, size[0], size[1])
		c.sees("??", "holds about", "window", "[]")
		before := c.app.replays.wish
		c.press("left", "left", "h", "l")
		now := c.app.now()
		since, until, ok := c.app.replays.wish.window(d.arrivals, now)
		if !ok || until.Sub(since)%time.Hour != 0 || !until.Before(now) || c.app.replays.wish == before {
			t.Fatalf("%+v", c.app.replays.wish)
		}
		c.press("{")
		if earlier, same, _ := c.app.replays.wish.window(d.arrivals, now); earlier.Sub(since) != -time.Hour || !same.Equal(until) {
			t.Errorf("wider: %+v", c.app.replays.wish)
		}
		c.press("}", "}")
		if later, _, _ := c.app.replays.wish.window(d.arrivals, now); later.Sub(since) != time.Hour {
			t.Errorf("narrower: %+v", c.app.replays.wish)
		}
		for range 40 {
			c.press("left")
		}
		c.sees("holds ? records", c.app.replays.wish.since[5:10]) // it stands at the beginning, where nothing is known
		if len(d.asked) != 1 {
			t.Errorf("asked %q", d.asked)
		}
		c.press("W")
		if since, _, _ := c.app.replays.wish.window(d.arrivals, now); len(d.plans) != 1 || !d.plans[0].Select.Since.Equal(since) {
			t.Errorf("planned %+v", d.plans)
		}
		// Another source is asked about, and one that nobody knows is not.
		c.app.replays.wish.from = "delivery:clicks"
		c.run(c.app.readArrivals())
		c.app.replays.wish.from = "file:/tmp/x"
		c.run(c.app.readArrivals())
		if len(d.asked) != 2 || d.asked[1] != "delivery:clicks" {
			t.Errorf("asked %q", d.asked)
		}
		c.seesNot("window  ")
	}
}

func TestArrivalsThatCannotBeRead(t *testing.T) {
	d := &replaysOfValues{err: &ops.Problem{Fault: ops.FaultDenied, What: "not allowed to ask for metrics"}}
	c := replayConsole(t, d, 80, 24)
	c.sees("when events arrived is ?", "not allowed to ask for metrics")
	since := c.app.replays.wish.since
	c.press("left", "{")
	if c.app.replays.wish.since != since || len(d.asked) != 1 {
		t.Errorf("%+v %q", c.app.replays.wish, d.asked)
	}
}

func TestMovedWindow(t *testing.T) {
	a := aDay()
	hour := func(h float64) time.Time { return a.Begin.Add(time.Duration(h * float64(time.Hour))) }
	now := hour(23.4)
	for _, c := range []struct {
		name         string
		since, until float64
		begin, end   int
		from, to     float64
	}{
		{"earlier", 10, 12, -1, -1, 9, 11},
		{"later", 10, 12, 1, 1, 11, 13},
		{"a long one moves further", 4, 20, 1, 1, 6, 22},
		{"not beyond now", 21, 23.4, 1, 1, 21, 24},
		{"not before the beginning", 0.5, 2, -1, -1, 0, 2},
		{"odd times go to whole steps", 10.3, 11.2, -1, -1, 9, 11},
		{"wider", 10, 12, -1, 0, 9, 12},
		{"narrower", 10, 12, 1, 0, 11, 12},
		{"never empty", 11, 12, 1, 0, 11, 12},
		{"one from before what is shown", -30, 2, -1, 0, 0, 2},
	} {
		from, to := movedWindow(a, hour(c.since), hour(c.until), now, c.begin, c.end)
		if !from.Equal(hour(c.from)) || !to.Equal(hour(c.to)) {
			t.Errorf("%s: %.1f to %.1f", c.name, from.Sub(a.Begin).Hours(), to.Sub(a.Begin).Hours())
		}
	}
}

func TestBarsOfArrivals(t *testing.T) {
	a := aDay()
	columns, each := columnsOf(a, 12)
	if each != 2 || len(columns) != 12 || columns[0].known || columns[6].sum != 1000 || columns[3].sum != 100 {
		t.Fatalf("%d %+v", each, columns)
	}
	got := strings.Join(append(barLines(columns, 2, true), windowLine(a, 12, each, a.Begin.Add(6*time.Hour), a.Begin.Add(12*time.Hour), true)), "\n")
	const want = "      #     \n?.....#.....\n---[=]------"
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	for _, line := range barLines(columns, 3, false) {
		if len([]rune(line)) != 12 {
			t.Errorf("%q", line)
		}
	}
}
