package ui

import (
	"strconv"
	"strings"
	"time"

	"kxops/ops"
)

// replayable is a screen that shows what a replay could begin with, beside the resource
// under its cursor.
type replayable interface {
	replayWish() (replayWish, bool)
}

// replayHere is what the form begins with where the person is.
func replayHere(a *App) replayWish {
	if s, ok := a.top().(replayable); ok {
		if w, ok := s.replayWish(); ok {
			return w
		}
	}
	return replayWish{from: sourceText(a.top().Selected())}
}

// whole reports a selection that needs no window: a range of a shard.
func (w replayWish) whole() bool { return w.more.shard != "" || w.more.first != "" }

// A letter that only points at its data: that data.
func (s *triage) replayWish() (replayWish, bool) {
	p := s.reader.pointerOf()
	if p == nil {
		return replayWish{}, false
	}
	from, sel := p.Replay()
	return replayWish{from: from, more: moreWish{shard: sel.Shard, first: sel.First, last: sel.Last}}, true
}

func (s *message) replayWish() (replayWish, bool) { return s.s.replayWish() }

// A replay of the past: the same again, to be changed.
func (s *replays) replayWish() (replayWish, bool) {
	x, ok := s.under()
	if !ok {
		return replayWish{}, false
	}
	return wishOf(x.Plan), true
}

func (s *replaying) replayWish() (replayWish, bool) {
	if s.r == nil {
		return replayWish{}, false
	}
	return wishOf(s.r.plan), true
}

// wishOf is the form that a plan came from, with the window that it froze. What the plan
// chose by itself is its choice again.
func wishOf(p ops.ReplayPlan) replayWish {
	instant := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	flag := func(on bool) string {
		if on {
			return "yes"
		}
		return ""
	}
	number := func(v float64) string {
		if v == 0 {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	s, m := p.Select, p.Map
	w := replayWish{
		from: endText(p.From), to: endText(p.To), since: instant(s.Since), until: instant(s.Until), filter: s.Filter, contains: s.Contains, key: strings.Join(s.Keys, " "),
		mapKey: m.Key, order: p.Pace.Order, rate: number(p.Pace.Rate),
		more: moreWish{shard: s.Shard, first: s.First, last: s.Last, except: s.Except, mapBody: m.Body, markField: m.MarkField, keepShard: flag(m.KeepShard), again: flag(p.Again),
			source: m.EventSource, detailType: m.DetailType, async: flag(p.To.Async), fanOut: flag(p.FanOut != "")},
	}
	var attributes []string
	for _, a := range m.Attributes {
		word := a.Name
		if a.Value != "" {
			word += "=" + a.Value
		}
		attributes = append(attributes, word)
	}
	w.more.attributes = strings.Join(attributes, " ")
	if m.Mark != "attributes" {
		w.more.mark = m.Mark
	}
	if p.Pace.Speed > 0 {
		w.more.pace = number(p.Pace.Speed) + "x"
	}
	if p.Pace.MaxGap > 0 {
		w.more.gap = time.Duration(p.Pace.MaxGap * float64(time.Second)).String()
	}
	if p.Pace.Headroom > 0 {
		w.more.headroom = number(100*p.Pace.Headroom) + "%"
	}
	if q := p.Query; q != nil {
		w.more.where, w.more.mode, w.more.column, w.more.workgroup, w.more.results, w.more.whole = q.Where, q.Mode, q.Body, q.Workgroup, q.Results, flag(q.Whole)
		w.more.values = valuesText(q.Params)
	}
	return w
}

// valuesText are values as valuesOf reads them.
func valuesText(params []ops.ReplayParam) string {
	var values []string
	for _, x := range params {
		if x.Number {
			values = append(values, x.Value)
		} else {
			values = append(values, strconv.Quote(x.Value))
		}
	}
	return strings.Join(values, ", ")
}

// endText is an end as --from and --to take it.
func endText(e ops.ReplayEnd) string {
	switch e.Kind {
	case ops.KindArchive:
		return "archive:" + e.Bucket + "/" + e.Prefix
	case ops.KindAthena:
		return "athena:" + e.Table
	case ops.KindFile:
		return "file:" + e.Path
	case ops.KindNull:
		return "null:"
	}
	return string(e.Kind) + ":" + e.ARN.Name()
}
