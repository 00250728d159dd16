package ui

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// The form is calm until it is asked for more, and what is filled in never hides.
func TestTheFormsMore(t *testing.T) {
	for _, size := range [][2]int{{80, 30}, {120, 40}} {
		d := &replaysOfValues{arrivals: aDay()}
		c := replayConsole(t, d, size[0], size[1])
		c.sees("filter", "rate")
		c.seesNot("halt: lag", "body to send", "async")
		c.press("*")
		c.sees("halt: lag", "body to send", "canary", "from sequence")
		c.seesNot("async", "workgroup") // that is for other ends
		fields := (&replayForm{a: c.app, more: true}).shown()
		for i, f := range fields {
			if f.name == "halt: lag" {
				c.press("g")
				for range i {
					c.press("tab")
				}
			}
		}
		c.press("enter")
		c.typed("30m")
		c.press("enter", "*")
		c.sees("halt: lag", "30m")
		c.seesNot("body to send")
		c.press("W")
		if len(d.plans) != 1 || d.plans[0].Lag != 1800 {
			t.Errorf("%+v", d.plans)
		}
	}
}

func TestMoreBecomesAQuestion(t *testing.T) {
	for _, c := range []struct {
		wish replayWish // of basics that are behind the key
		more moreWish
		want ops.ReplayAsk
		err  string
	}{
		{more: moreWish{}},
		{more: moreWish{canary: "none", growth: "3", fails: "5%", lag: "30m", async: "yes", mapBody: ".x", mark: "none"},
			want: ops.ReplayAsk{Canary: -1, Grow: 3, Errors: 0.05, Lag: 1800, Async: true, Map: ops.ReplayMap{Body: ".x", Mark: "none"}}},
		{more: moreWish{where: "a = ? and b = ?", values: `4712, "x, y"`, mode: "rows"}, want: ops.ReplayAsk{Question: ops.ReplayQuestion{Where: "a = ? and b = ?", Mode: "rows",
			Params: []ops.ReplayParam{{Value: "4712", Number: true}, {Value: "x, y"}}}}},
		{more: moreWish{canary: "0"}, err: `canary "0" must be none, or a number of records from 1`},
		{more: moreWish{growth: "-1"}, err: `halt: letters "-1" must be a number from 1`},
		{more: moreWish{fails: "101"}, err: `halt: errors "101" must be above 0 and at most 100 percent`},
		{more: moreWish{fails: "NaN"}, err: `halt: errors "NaN" must be above 0 and at most 100 percent`},
		{more: moreWish{lag: "5s"}, err: `halt: lag "5s" must be at least 1m: metrics have a point a minute`},
		{more: moreWish{async: "maybe"}, err: `async "maybe" must be yes or no`},
		{more: moreWish{values: "1,"}, err: `values "1," cannot be read: nothing stands beside a comma`},
		{more: moreWish{values: `"a" b`}, err: `values "\"a\" b" cannot be read: a comma is missing before b`},
		{more: moreWish{values: `"a`}, err: `values "\"a" cannot be read: a text begins with " and does not end: "a`},
		{wish: replayWish{contains: "x", key: "a b", mapKey: ".k", order: "none"}, want: ops.ReplayAsk{Order: "none", Map: ops.ReplayMap{Key: ".k"}, Select: ops.ReplaySelect{Contains: "x", Keys: []string{"a", "b"}}}},
		{more: moreWish{shard: "shardId-1", first: "10", last: "20", except: "old"}, want: ops.ReplayAsk{Select: ops.ReplaySelect{Shard: "shardId-1", First: "10", Last: "20", Except: "old"}}},
		{more: moreWish{keepShard: "yes", again: "yes", markField: "m", source: "shop", detailType: "order", lanes: "3", pace: "10x", gap: "5s", headroom: "50%"},
			want: ops.ReplayAsk{Again: true, Lanes: 3, Speed: 10, MaxGap: 5, Headroom: 0.5, Map: ops.ReplayMap{KeepShard: true, MarkField: "m", EventSource: "shop", DetailType: "order"}}},
		{more: moreWish{whole: "yes", column: "body", workgroup: "oncall", results: "s3://r/"}, want: ops.ReplayAsk{Question: ops.ReplayQuestion{Whole: true, Body: "body", Workgroup: "oncall", Results: "s3://r/"}}},
		{more: moreWish{lanes: "257"}, err: `lanes "257" must be a number from 1 to 256`},
		{more: moreWish{pace: "fast"}, err: `pace "fast" must be original, or 1x to 10000x`},
		{more: moreWish{gap: "0s"}, err: `longest wait "0s" must be at least 1ms, such as 5s`},
		{more: moreWish{headroom: "0"}, err: `headroom "0" must be above 0 and at most 100 percent`},
		{more: moreWish{whole: "ja"}, err: `whole objects "ja" must be yes or no`},
	} {
		var ask ops.ReplayAsk
		c.wish.more = c.more
		err := c.wish.askMore(&ask)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%+v: %v", c.more, err)
			}
			continue
		}
		ask.Agree = nil
		if diff := cmp.Diff(c.want, ask); err != nil || diff != "" {
			t.Errorf("%+v: %v %s", c.more, err, diff)
		}
	}
}

// A query of Athena costs: nothing runs before a person has seen it and agreed.
func TestAQueryIsAskedAbout(t *testing.T) {
	d := &replaysOfValues{query: &ops.ReplayQuery{SQL: "SELECT 1", ReplayQuestion: ops.ReplayQuestion{Workgroup: "primary"}}}
	c := replayConsole(t, d, 120, 40)
	c.press("g", "enter")
	for range len("stream:orders") {
		c.press("backspace")
	}
	c.typed("athena:shop.orders")
	c.press("enter")
	c.sees("where", "values", "mode") // a table shows what it needs
	if w := c.app.replays.wish; w.from != "athena:shop.orders" || w.since != "" {
		t.Fatalf("%+v", w)
	}
	c.press("W")
	c.sees("SELECT 1", "does not limit")
	c.press("esc")
	if len(d.plans) != 0 {
		t.Fatalf("planned without a yes: %+v", d.plans)
	}
	c.press("W", "y")
	if len(d.plans) != 1 {
		t.Fatalf("planned %d times", len(d.plans))
	}
	c.press("W") // agreed to once is not agreed to for good
	c.sees("SELECT 1")
	if len(d.plans) != 1 {
		t.Error("a second query ran on the first yes")
	}
}
