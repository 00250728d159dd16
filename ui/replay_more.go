package ui

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// moreWish is what the form keeps behind a key: what most replays do not need.
type moreWish struct {
	shard, first, last, except string
	mapBody, mark, markField   string
	attributes                 string
	keepShard, again           string
	source, detailType         string // of events on a bus
	lanes, pace, gap, headroom string
	canary, growth, fails, lag string
	async, fanOut              string
	where, values, mode        string // of Athena
	whole, column, workgroup   string
	results                    string
}

// moreField is a line behind the key. It is offered where it fits the ends that the form
// names, and puts what is filled in into the question. What put says is wrong is said with
// the name and the value of the field.
type moreField struct {
	replayField
	flag string                // of kxops replay plan, which means the same
	fits func(replayWish) bool // nil: always
	put  func(ask *ops.ReplayAsk, value string) error
}

func more(name, flag, help string, value func(*replayWish) *string, offers func(*App) []string, fits func(replayWish) bool, put func(*ops.ReplayAsk, string) error) moreField {
	return moreField{replayField{name, help, value, offers}, flag, fits, put}
}

// moreFields are the lines behind the key.
var moreFields = []moreField{
	more("contains", "contains", "a text that occurs in the body", func(w *replayWish) *string { return &w.contains }, nil, nil, into(func(a *ops.ReplayAsk) *string { return &a.Select.Contains })),
	more("keys", "key", "partition keys, with spaces between", func(w *replayWish) *string { return &w.key }, nil, fromA(ops.KindStream),
		func(a *ops.ReplayAsk, v string) error { a.Select.Keys = strings.Fields(v); return nil }),
	more("shard", "shard", "only this shard, such as shardId-000000000001", func(w *replayWish) *string { return &w.more.shard }, nil, fromA(ops.KindStream), into(func(a *ops.ReplayAsk) *string { return &a.Select.Shard })),
	more("from sequence", "from-sequence", "of that shard, from this sequence number on", func(w *replayWish) *string { return &w.more.first }, nil, fromA(ops.KindStream), into(func(a *ops.ReplayAsk) *string { return &a.Select.First })),
	more("to sequence", "to-sequence", "of that shard, to this sequence number, which is meant too", func(w *replayWish) *string { return &w.more.last }, nil, fromA(ops.KindStream), into(func(a *ops.ReplayAsk) *string { return &a.Select.Last })),
	more("fan-out", "fan-out", "yes: read by a registered consumer of its own, 2 MiB/s a shard that no other consumer loses; removed at the end; billed", func(w *replayWish) *string { return &w.more.fanOut }, choices("no", "yes"), fromA(ops.KindStream), yes(func(a *ops.ReplayAsk) *bool { return &a.FanOut })),
	more("where", "where", "the condition, with a ? for each value, such as customer = ? and dt = ?", func(w *replayWish) *string { return &w.more.where }, nil, replayWish.ofTable, into(func(a *ops.ReplayAsk) *string { return &a.Question.Where })),
	more("values", "param", `for each ? a value, with commas between: 4712 is a number, "4712" or shoes a text`, func(w *replayWish) *string { return &w.more.values }, nil, replayWish.ofTable,
		putValues),
	more("mode", "mode", "raw (the objects byte for byte, filter chooses the records) or rows (UNLOAD writes them anew)", func(w *replayWish) *string { return &w.more.mode },
		choices(ops.QueryRaw, ops.QueryRows), replayWish.ofTable, into(func(a *ops.ReplayAsk) *string { return &a.Question.Mode })),
	more("whole objects", "whole-objects", "yes: with raw, all records of the objects that the query found", func(w *replayWish) *string { return &w.more.whole }, choices("no", "yes"), replayWish.ofTable, yes(func(a *ops.ReplayAsk) *bool { return &a.Question.Whole })),
	more("body column", "body-column", "with rows: the column that is the event; empty: the whole row", func(w *replayWish) *string { return &w.more.column }, nil, replayWish.ofTable, into(func(a *ops.ReplayAsk) *string { return &a.Question.Body })),
	more("workgroup", "workgroup", "of Athena, whose limit and place for results count; empty: primary", func(w *replayWish) *string { return &w.more.workgroup }, nil, replayWish.ofTable, into(func(a *ops.ReplayAsk) *string { return &a.Question.Workgroup })),
	more("results", "results", "s3://BUCKET/PREFIX for what Athena writes; empty: where the workgroup says", func(w *replayWish) *string { return &w.more.results }, nil, replayWish.ofTable, into(func(a *ops.ReplayAsk) *string { return &a.Question.Results })),
	more("except", "except", "the id of an earlier replay: not what it has sent, by its receipts", func(w *replayWish) *string { return &w.more.except }, nil, nil, into(func(a *ops.ReplayAsk) *string { return &a.Select.Except })),
	more("replayed too", "allow-rereplay", "yes: also events that carry the mark of a replay", func(w *replayWish) *string { return &w.more.again }, choices("no", "yes"), nil, yes(func(a *ops.ReplayAsk) *bool { return &a.Again })),
	more("key to send", "map-key", "jq over the body, such as .customer_id; empty: as it was", func(w *replayWish) *string { return &w.mapKey }, nil, nil, into(func(a *ops.ReplayAsk) *string { return &a.Map.Key })),
	more("body to send", "map-body", "jq over the body; empty: byte for byte", func(w *replayWish) *string { return &w.more.mapBody }, nil, nil, into(func(a *ops.ReplayAsk) *string { return &a.Map.Body })),
	more("attributes", "attribute", "names with spaces between, of attributes in SNS' envelope; NAME=JQ makes one of the body, with no space in it", func(w *replayWish) *string { return &w.more.attributes }, nil,
		func(w replayWish) bool { return toA(ops.KindQueue)(w) || toA(ops.KindTopic)(w) }, putAttributes),
	more("keep shard", "keep-shard", "yes: the range of the old shard decides where a record goes, not its key", func(w *replayWish) *string { return &w.more.keepShard }, choices("no", "yes"),
		func(w replayWish) bool { return fromA(ops.KindStream)(w) && toA(ops.KindStream)(w) }, yes(func(a *ops.ReplayAsk) *bool { return &a.Map.KeepShard })),
	more("event source", "event-source", "of an event whose detail is a record that is no event of EventBridge; with detail type", func(w *replayWish) *string { return &w.more.source }, nil, toA(ops.KindBus), into(func(a *ops.ReplayAsk) *string { return &a.Map.EventSource })),
	more("detail type", "detail-type", "of such an event", func(w *replayWish) *string { return &w.more.detailType }, nil, toA(ops.KindBus), into(func(a *ops.ReplayAsk) *string { return &a.Map.DetailType })),
	more("mark", "mark", "attributes (the target sees that it is a replay), body (so does who reads the JSON) or none", func(w *replayWish) *string { return &w.more.mark }, choices("attributes", "body", "none"), nil, into(func(a *ops.ReplayAsk) *string { return &a.Map.Mark })),
	more("mark field", "mark-field", "with mark body: the field that has the marks; empty: kxops", func(w *replayWish) *string { return &w.more.markField }, nil, func(w replayWish) bool { return w.more.mark == "body" }, into(func(a *ops.ReplayAsk) *string { return &a.Map.MarkField })),
	more("order", "order", "key (those of one key in their order), shard or none", func(w *replayWish) *string { return &w.order }, choices("key", "shard", "none"), nil, into(func(a *ops.ReplayAsk) *string { return &a.Order })),
	more("lanes", "lanes", "requests in the air; empty: the plan's choice", func(w *replayWish) *string { return &w.more.lanes }, nil, nil, putLanes),
	more("pace", "pace", "spaced as they arrived: original, or so many times as fast, such as 10x; empty: as fast as they may go", func(w *replayWish) *string { return &w.more.pace }, choices("original", "2x", "10x", "60x"), nil,
		func(a *ops.ReplayAsk, v string) (err error) { a.Speed, err = ops.ParseSpeed(v); return err }),
	more("longest wait", "max-gap", "with pace: no wait between two records longer than this, such as 5s", func(w *replayWish) *string { return &w.more.gap }, nil, func(w replayWish) bool { return w.more.pace != "" }, putGap),
	more("headroom", "headroom", "of what a stream's producers leave free, such as 50%; empty: nobody looks", func(w *replayWish) *string { return &w.more.headroom }, choices("25%", "50%", "75%"), toA(ops.KindStream),
		func(a *ops.ReplayAsk, v string) (err error) { a.Headroom, err = ops.ParseShare(v); return err }),
	more("canary", "canary", "so many first, then dead letters, errors and lag are looked at; none: no canary; empty: the plan's choice", func(w *replayWish) *string { return &w.more.canary }, choices("none", "10", "100", "1000"), nil, putCanary),
	more("halt: letters", "guard-growth", "halts when a dead-letter queue behind the target grows by more than so many; empty: the plan's choice", func(w *replayWish) *string { return &w.more.growth }, nil, nil, putGrowth),
	more("halt: errors", "guard-errors", "halts when so many percent more of a function's calls fail; empty: the plan's choice", func(w *replayWish) *string { return &w.more.fails }, nil, nil,
		func(a *ops.ReplayAsk, v string) (err error) { a.Errors, err = ops.ParseShare(v); return err }),
	more("halt: lag", "guard-lag", "halts when consumers fall so much further behind, such as 30m; empty: the plan's choice", func(w *replayWish) *string { return &w.more.lag }, nil, nil, putLag),
	more("async", "async", "yes: a function's answer is not awaited, and receipts say that Lambda accepted the event, not that it was done", func(w *replayWish) *string { return &w.more.async }, choices("no", "yes"), toA(ops.KindFunction), yes(func(a *ops.ReplayAsk) *bool { return &a.Async })),
}

func choices(words ...string) func(*App) []string { return func(*App) []string { return words } }

// fromA and toA are for lines that are for one kind of source or target.
func fromA(k ops.Kind) func(replayWish) bool {
	return func(w replayWish) bool { return strings.HasPrefix(w.from, string(k)+":") }
}

func toA(k ops.Kind) func(replayWish) bool {
	return func(w replayWish) bool { return strings.HasPrefix(w.to, string(k)+":") }
}

// into puts a line in as it stands.
func into(of func(*ops.ReplayAsk) *string) func(*ops.ReplayAsk, string) error {
	return func(a *ops.ReplayAsk, v string) error { *of(a) = v; return nil }
}

// yes puts a yes or a no in.
func yes(of func(*ops.ReplayAsk) *bool) func(*ops.ReplayAsk, string) error {
	return func(a *ops.ReplayAsk, v string) error {
		if v != "yes" && v != "no" {
			return errors.New("must be yes or no")
		}
		*of(a) = v == "yes"
		return nil
	}
}

func putValues(a *ops.ReplayAsk, v string) (err error) {
	if a.Question.Params, err = valuesOf(v); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	return nil
}

func putAttributes(a *ops.ReplayAsk, v string) error {
	for _, word := range strings.Fields(v) {
		a.Map.Attributes = append(a.Map.Attributes, ops.ParseAttribute(word))
	}
	return nil
}

func putLanes(a *ops.ReplayAsk, v string) (err error) {
	if a.Lanes, err = strconv.Atoi(v); err != nil || a.Lanes < 1 || a.Lanes > ops.MostLanes {
		return fmt.Errorf("must be a number from 1 to %d", ops.MostLanes)
	}
	return nil
}

func putGap(a *ops.ReplayAsk, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Millisecond {
		return errors.New("must be at least 1ms, such as 5s")
	}
	a.MaxGap = d.Seconds()
	return nil
}

func putCanary(a *ops.ReplayAsk, v string) (err error) {
	if v == "none" {
		a.Canary = -1
		return nil
	}
	if a.Canary, err = strconv.Atoi(v); err != nil || a.Canary < 1 {
		return errors.New("must be none, or a number of records from 1")
	}
	return nil
}

func putGrowth(a *ops.ReplayAsk, v string) (err error) {
	if a.Grow, err = strconv.Atoi(v); err != nil || a.Grow < 1 {
		return errors.New("must be a number from 1")
	}
	return nil
}

func putLag(a *ops.ReplayAsk, v string) error {
	d, err := ops.ParseSpan(v)
	if err != nil || d < time.Minute {
		return errors.New("must be at least 1m: metrics have a point a minute")
	}
	a.Lag = d.Seconds()
	return nil
}

// shown are the fields of the form: the basics, and of the rest what is filled in, or all
// that fits the source and the target. The order that every form begins with is not filled in.
func (s *replayForm) shown() []replayField {
	out := append([]replayField(nil), replayFields...)
	wish := s.a.replays.wish
	for _, f := range moreFields {
		value := *f.value(&wish)
		filled := value != "" && !(f.name == "order" && value == "key")
		asks := wish.ofTable() && (f.name == "where" || f.name == "values" || f.name == "mode")
		if filled || asks || s.more && (f.fits == nil || f.fits(wish)) {
			out = append(out, f.replayField)
		}
	}
	return out
}

// ofTable reports a source that Athena is asked for.
func (w replayWish) ofTable() bool { return fromA(ops.KindAthena)(w) }

// toggleMore shows all fields, or only the basics.
func (s *replayForm) toggleMore() {
	s.more = !s.more
	s.at = min(s.at, len(s.shown())-1)
}

// flags are what the form says as flags of kxops replay plan, without the window.
func (w replayWish) flags() []string {
	out := []string{"--from", w.from, "--to", w.to}
	for _, f := range []struct{ flag, value string }{{"--filter", w.filter}, {"--rate", w.rate}} {
		if f.value != "" {
			out = append(out, f.flag, f.value)
		}
	}
	for _, f := range moreFields {
		if value := *f.value(&w); value != "" {
			out = append(out, f.words(value)...)
		}
	}
	return out
}

// words are the flag with its value, as the command line takes it.
func (f moreField) words(value string) []string {
	flag := "--" + f.flag
	var out []string
	switch {
	case f.flag == "key", f.flag == "attribute":
		for _, k := range strings.Fields(value) {
			out = append(out, flag, k)
		}
	case f.flag == "param":
		params, _ := valuesOf(value) // what cannot be read made no plan
		for _, p := range params {
			if p.Number {
				out = append(out, "--number", p.Value)
			} else {
				out = append(out, flag, p.Value)
			}
		}
	case f.flag == "canary" && value == "none":
		out = []string{flag, "-1"}
	case f.flag == "guard-errors":
		out = []string{flag, strings.TrimSuffix(value, "%")}
	case f.flag == "guard-lag": // a Go duration there: no days
		d, _ := ops.ParseSpan(value)
		out = []string{flag, d.String()}
	case value == "no":
	case value == "yes":
		out = []string{flag}
	default:
		out = []string{flag, value}
	}
	return out
}

// askMore puts what is behind the key into the question. The error names the field.
func (w replayWish) askMore(ask *ops.ReplayAsk) error {
	for _, f := range moreFields {
		value := *f.value(&w)
		if value == "" {
			continue
		}
		if err := f.put(ask, value); err != nil {
			return fmt.Errorf("%s %q %w", f.name, value, err)
		}
	}
	return nil
}

// valuesOf reads the values of a query's question marks. What is in quotes may hold commas.
func valuesOf(s string) ([]ops.ReplayParam, error) {
	var out []ops.ReplayParam
	for rest := strings.TrimSpace(s); rest != ""; {
		var p ops.ReplayParam
		if rest[0] == '"' {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("a text begins with \" and does not end: %s", rest)
			}
			if p.Value, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("%s is no text in quotes", quoted)
			}
			rest = strings.TrimSpace(rest[len(quoted):])
			if rest != "" && rest[0] != ',' {
				return nil, fmt.Errorf("a comma is missing before %s", rest)
			}
			if rest == "," {
				return nil, fmt.Errorf("nothing stands behind the last comma")
			}
			rest = strings.TrimSpace(strings.TrimPrefix(rest, ","))
		} else {
			word, after, more := strings.Cut(rest, ",")
			p.Value, rest = strings.TrimSpace(word), strings.TrimSpace(after)
			if p.Value == "" || more && rest == "" {
				return nil, fmt.Errorf("nothing stands beside a comma")
			}
			_, err := strconv.ParseFloat(p.Value, 64)
			p.Number = err == nil
		}
		out = append(out, p)
	}
	return out, nil
}

// costsFirst ends the planning in front of a query of Athena: a person is asked.
type costsFirst struct{ query ops.ReplayQuery }

func (c *costsFirst) Error() string { return "a query of Athena costs, and was not agreed to" }

// askQuery shows the query and what it costs at most; yes plans again and runs it. What is
// agreed to is this query: another one is asked about again.
func (a *App) askQuery(q ops.ReplayQuery) {
	a.ask(newSureDialog("run this query?", "run it", func(w *writer) {
		w.field("query", q.SQL, w.l.strong)
		for i, p := range q.Params {
			w.field("value "+strconv.Itoa(i+1), p.Value, text.Style{})
		}
		w.field("workgroup", q.Workgroup, text.Style{})
		cost := "? : the workgroup does not limit what it scans"
		if most, limited := q.MostUSD(); limited {
			cost = "at most " + money(most) + ", where the workgroup stops it"
		}
		w.field("costs", fmt.Sprintf("%s; $%.2f a TB scanned", cost, ops.PricePerTBScanned), w.l.ticket)
		w.para("Athena runs it once, for the plan.", w.l.dim)
	}, func(a *App) tea.Cmd { return a.planReplayOf(agreement(q)) }))
}

// agreement is what was agreed to: the query with its values, where it runs, up to which limit.
func agreement(q ops.ReplayQuery) string {
	return fmt.Sprintf("%q %+v %q %d", q.SQL, q.Params, q.Workgroup, q.Limit)
}
