package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// The form that is made of a plan asks for what the plan had.
func TestAPlanBecomesItsForm(t *testing.T) {
	c := replayConsole(t, &replaysOfValues{}, 80, 24)
	at := time.Date(2026, 11, 17, 8, 0, 0, 123e6, time.UTC)
	for _, p := range []ops.ReplayPlan{
		{
			From:   ops.ReplayEnd{Kind: ops.KindStream, ARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"},
			To:     ops.ReplayEnd{Kind: ops.KindStream, ARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/again"},
			Select: ops.ReplaySelect{Since: at, Until: at.Add(time.Hour), Keys: []string{"a", "b"}, Shard: "shardId-1", First: "7", Last: "9", Contains: "x", Filter: ".a", Except: "old"},
			Map:    ops.ReplayMap{Key: ".k", Body: ".b", Attributes: []ops.ReplayAttribute{{Name: "a"}, {Name: "b", Value: ".c"}}, KeepShard: true, Mark: "body", MarkField: "m"},
			Pace:   ops.ReplayPace{Order: "shard", Rate: 12.5, Speed: 10, MaxGap: 1.5, Headroom: 0.25}, Again: true,
		},
		{
			From:  ops.ReplayEnd{Kind: ops.KindAthena, Table: "shop.orders", Bucket: "b"},
			To:    ops.ReplayEnd{Kind: ops.KindBus, ARN: "arn:aws:events:eu-west-1:123456789012:event-bus/shop"},
			Map:   ops.ReplayMap{EventSource: "shop", DetailType: "order", Mark: "none"},
			Pace:  ops.ReplayPace{Order: "none"},
			Query: &ops.ReplayQuery{ReplayQuestion: ops.ReplayQuestion{Workgroup: "oncall", Where: "a = ? and b = ?", Mode: "rows", Body: "c", Results: "s3://r/x", Params: []ops.ReplayParam{{Value: `4"7, 12`}, {Value: "3", Number: true}}}},
		},
		{From: ops.ReplayEnd{Kind: ops.KindArchive, Bucket: "b", Prefix: "p/"}, To: ops.ReplayEnd{Kind: ops.KindFunction, ARN: "arn:aws:lambda:eu-west-1:123456789012:function:f", Async: true}, Pace: ops.ReplayPace{Order: "key"}},
	} {
		ask, err := wishOf(p).asking(c.app)
		if err != nil {
			t.Fatal(err)
		}
		want := ops.ReplayAsk{From: endText(p.From), To: endText(p.To), Select: p.Select, Map: p.Map, Order: p.Pace.Order, Rate: p.Pace.Rate, Speed: p.Pace.Speed, MaxGap: p.Pace.MaxGap,
			Headroom: p.Pace.Headroom, Async: p.To.Async, Again: p.Again}
		if p.Query != nil {
			want.Question = p.Query.ReplayQuestion
		}
		ask.Links, ask.Protect = nil, false
		if diff := cmp.Diff(want, ask); diff != "" {
			t.Errorf("%s: %s", p.From.Name(), diff)
		}
	}
}

// After a rehearsal one key opens the same again, at the target: only that is missing.
func TestAfterARehearsal(t *testing.T) {
	c := replayConsole(t, &replaysOfValues{}, 80, 24)
	plan := ops.ReplayPlan{From: ops.ReplayEnd{Kind: ops.KindArchive, Bucket: "b", Prefix: "p/"}, To: ops.ReplayEnd{Kind: ops.KindNull}, Select: ops.ReplaySelect{Filter: ".a"}, Pace: ops.ReplayPace{Order: "key"}}
	c.app.replays.now = &replayRun{plan: plan, result: &ops.ReplayResult{ReplayProgress: ops.ReplayProgress{State: ops.Finished}}}
	c.press("Q")
	c.sees("E opens the form with the same selection")
	c.press("E", "enter")
	for range len("null:") {
		c.press("backspace")
	}
	c.typed("queue:again")
	c.press("enter")
	if w := c.app.replays.wish; w.to != "queue:again" || w.filter != ".a" || w.from != "archive:b/p/" {
		t.Errorf("%+v", w)
	}
}

// One key on a letter that only points at its data opens the form on that data, whole.
func TestALetterBeginsAReplay(t *testing.T) {
	c := replayConsole(t, &replaysOfValues{}, 80, 24)
	s := &triage{}
	s.reader.tabs = []tab{{layer: &ops.Layer{Pointer: &ops.Pointer{Kind: ops.KinesisRange, Stream: "arn:aws:kinesis:eu-west-1:123456789012:stream/payments", Shard: "shardId-000000000001", From: "100", To: "107"}}}}
	begin, ok := s.replayWish()
	if !ok {
		t.Fatal("it does not begin a replay")
	}
	c.app.stack = c.app.stack[:len(c.app.stack)-1]
	c.app.open(openReplayForm(c.app, begin))
	c.sees("stream:payments", "shardId-000000000001", "100", "107")
	ask, err := c.app.replays.wish.asking(c.app)
	if err != nil || !ask.Select.Since.IsZero() || ask.Select.First != "100" || ask.Select.Last != "107" {
		t.Errorf("%+v %v", ask.Select, err)
	}
	if line := planReplayLine(c.app.replays.wish, ops.ReplayPlan{}); !strings.HasSuffix(line, "--from stream:payments --to null: --shard shardId-000000000001 --from-sequence 100 --to-sequence 107 --order key") {
		t.Error(line)
	}
}
