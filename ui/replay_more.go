package ui

import (
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
	mapBody, mark              string
	canary, growth, fails, lag string
	async                      string
	where, values, mode        string // of Athena
}

// moreFields are the lines behind the key.
var moreFields = []replayField{
	{"contains", "a text that occurs in the body", func(w *replayWish) *string { return &w.contains }, nil},
	{"keys", "partition keys, with spaces between; streams only", func(w *replayWish) *string { return &w.key }, nil},
	{"where", "athena: the condition, with a ? for each value, such as customer = ? and dt = ?", func(w *replayWish) *string { return &w.more.where }, nil},
	{"values", `athena: for each ? a value, with commas between: 4712 is a number, "4712" or shoes a text`, func(w *replayWish) *string { return &w.more.values }, nil},
	{"mode", "athena: raw (the objects byte for byte, filter chooses the records) or rows (UNLOAD writes them anew)", func(w *replayWish) *string { return &w.more.mode }, choices(ops.QueryRaw, ops.QueryRows)},
	{"key to send", "jq over the body, such as .customer_id; empty: as it was", func(w *replayWish) *string { return &w.mapKey }, nil},
	{"body to send", "jq over the body; empty: byte for byte", func(w *replayWish) *string { return &w.more.mapBody }, nil},
	{"mark", "attributes (the target sees that it is a replay), body (so does who reads the JSON) or none", func(w *replayWish) *string { return &w.more.mark }, choices("attributes", "body", "none")},
	{"order", "key (those of one key in their order), shard or none", func(w *replayWish) *string { return &w.order }, choices("key", "shard", "none")},
	{"canary", "so many first, then dead letters, errors and lag are looked at; none: no canary; empty: the plan's choice", func(w *replayWish) *string { return &w.more.canary }, choices("none", "10", "100", "1000")},
	{"halt: letters", "halts when a dead-letter queue behind the target grows by more than so many; empty: the plan's choice", func(w *replayWish) *string { return &w.more.growth }, nil},
	{"halt: errors", "halts when so many percent more of a function's calls fail; empty: the plan's choice", func(w *replayWish) *string { return &w.more.fails }, nil},
	{"halt: lag", "halts when consumers fall so much further behind, such as 30m; empty: the plan's choice", func(w *replayWish) *string { return &w.more.lag }, nil},
	{"async", "yes: a function's answer is not awaited, and receipts say that Lambda accepted the event, not that it was done", func(w *replayWish) *string { return &w.more.async }, choices("no", "yes")},
}

func choices(words ...string) func(*App) []string { return func(*App) []string { return words } }

// shown are the fields of the form: the basics, and of the rest what is filled in, or all
// of it. The order that every form begins with is not filled in.
func (s *replayForm) shown() []replayField {
	out := append([]replayField(nil), replayFields...)
	for _, f := range moreFields {
		value := *f.value(&s.a.replays.wish)
		filled := value != "" && !(f.name == "order" && value == "key")
		asks := s.a.replays.wish.ofTable() && (f.name == "where" || f.name == "values" || f.name == "mode")
		if s.more || filled || asks {
			out = append(out, f)
		}
	}
	return out
}

// ofTable reports a source that Athena is asked for.
func (w replayWish) ofTable() bool { return strings.HasPrefix(w.from, string(ops.KindAthena)+":") }

// toggleMore shows all fields, or only the basics.
func (s *replayForm) toggleMore() {
	s.more = !s.more
	s.at = min(s.at, len(s.shown())-1)
}

// ask puts what is behind the key into the question. The error names the field.
func (m moreWish) ask(ask *ops.ReplayAsk) error {
	ask.Map.Body, ask.Map.Mark = m.mapBody, m.mark
	ask.Question = ops.ReplayQuestion{Where: m.where, Mode: m.mode}
	var err error
	if ask.Question.Params, err = valuesOf(m.values); err != nil {
		return err
	}
	switch m.canary {
	case "":
	case "none":
		ask.Canary = -1
	default:
		if ask.Canary, err = strconv.Atoi(m.canary); err != nil || ask.Canary < 1 {
			return fmt.Errorf("canary %q must be none, or a number of records from 1", m.canary)
		}
	}
	if m.growth != "" {
		if ask.Grow, err = strconv.Atoi(m.growth); err != nil || ask.Grow < 1 {
			return fmt.Errorf("halt: letters %q must be a number from 1", m.growth)
		}
	}
	if m.fails != "" {
		v, err := strconv.ParseFloat(strings.TrimSuffix(m.fails, "%"), 64)
		if err != nil || !(v > 0 && v <= 100) {
			return fmt.Errorf("halt: errors %q must be above 0 and at most 100 percent", m.fails)
		}
		ask.Errors = v / 100
	}
	if m.lag != "" {
		d, err := ops.ParseSpan(m.lag)
		if err != nil || d < time.Minute {
			return fmt.Errorf("halt: lag %q must be at least 1m: metrics have a point a minute", m.lag)
		}
		ask.Lag = d.Seconds()
	}
	switch m.async {
	case "", "no":
	case "yes":
		ask.Async = true
	default:
		return fmt.Errorf("async %q must be yes or no", m.async)
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
				return nil, fmt.Errorf("values: a text begins with \" and does not end: %s", rest)
			}
			if p.Value, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("values: %s is no text in quotes", quoted)
			}
			rest = strings.TrimSpace(rest[len(quoted):])
			if rest != "" && rest[0] != ',' {
				return nil, fmt.Errorf("values: a comma is missing before %s", rest)
			}
			if rest == "," {
				return nil, fmt.Errorf("values: nothing stands behind the last comma")
			}
			rest = strings.TrimSpace(strings.TrimPrefix(rest, ","))
		} else {
			word, after, more := strings.Cut(rest, ",")
			p.Value, rest = strings.TrimSpace(word), strings.TrimSpace(after)
			if p.Value == "" || more && rest == "" {
				return nil, fmt.Errorf("values: nothing stands beside a comma")
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
