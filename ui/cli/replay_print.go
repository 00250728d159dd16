package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"kxops/ops"
	"kxops/ops/replay"
	"kxops/ui/text"
)

// sampleShown is how much of a sample's body is shown, in columns.
const sampleShown = 160

// replayPreview is `kxops replay plan -o json`: a contract with scripts.
type replayPreview struct {
	Schema  string         `json:"schema"` // kxops/replay-preview/v1
	Plan    ops.ReplayPlan `json:"plan"`
	Samples []sampleReport `json:"samples"`
}

type sampleReport struct {
	Part  string     `json:"part"`
	Key   string     `json:"key,omitempty"`
	At    *time.Time `json:"arrived_at"`
	Body  []byte     `json:"body_base64"`
	Taken bool       `json:"meant"`
	Newer int        `json:"newer_of_key"`
}

func (t *tapes) printReplayPlan(plan ops.ReplayPlan, samples []ops.ReplaySample, each int) error {
	if t.json() {
		r := replayPreview{Schema: "kxops/replay-preview/v1", Plan: plan, Samples: []sampleReport{}}
		for _, s := range samples {
			r.Samples = append(r.Samples, sampleReport{Part: s.Part, Key: s.Key, At: when(s.At), Body: s.Data, Taken: s.Taken, Newer: s.Newer})
		}
		return t.printJSON(r)
	}
	p := t.paper()
	p.replayPlan(plan)
	p.samples("meant", "32", samples, true, each)
	p.samples("not meant", "2", samples, false, each)
	p.line("sha256 " + plan.Hash)
	return t.printText(p.b.String())
}

func (p *printer) replayPlan(x ops.ReplayPlan) {
	p.line(p.paint("1", "plan "+x.ID+": replay"))
	p.sentences("what stands against it", "1;31", x.Blockers)
	width := len("not before ")
	field := func(name, value string) {
		if value != "" {
			p.folded("  "+name+strings.Repeat(" ", max(1, width-text.Width(name))), oneLine(value))
		}
	}
	account := orUnknown(x.Account)
	if x.Alias != "" {
		account += " " + x.Alias
	}
	field("account", account+" · "+orUnknown(x.Region)+" · by "+orUnknown(x.By))
	from := fmt.Sprintf("%s %s: %s", x.From.Kind, x.From.Name(), partsText(x))
	if x.Managed != nil {
		from = "the archive of events " + x.From.Name()
	}
	field("from", from)
	field("to", strings.TrimSpace(fmt.Sprintf("%s %s", endWord(x.To.Kind), x.To.Name())))
	sql, told := queryText(x.Query)
	field("query", sql)
	field("athena", told)
	if x.Query == nil { // else the query says it
		field("window", windowText(x.Select))
	}
	field("keys", strings.Join(x.Select.Keys, ", "))
	field("shard", x.Select.Shard)
	field("sequence", rangeWords(x.Select))
	field("contains", x.Select.Contains)
	field("filter", x.Select.Filter)
	field("except", x.Select.Except)
	field("key", x.Map.Key)
	field("body", x.Map.Body)
	field("attributes", attributesText(x.Map.Attributes))
	if x.Managed == nil {
		field("expects", expectText(x.Estimate))
		field("order", orderText(x.Pace))
	} else {
		field("to rules", rulesText(x.Managed.Rules))
	}
	field("guards", guardText(x))
	field("because", x.Reason)
	for _, f := range x.Facts {
		field(strings.ToLower(text.Clean(f.Name)), f.Value)
	}
	p.sentences("warnings", "33", x.Warnings)
	p.sentences("what cannot be undone", "", x.CannotUndo)
}

func endWord(k ops.Kind) string {
	if k == ops.KindNull {
		return ""
	}
	return string(k)
}

func partsText(x ops.ReplayPlan) string {
	noun := "part"
	switch x.From.Kind {
	case ops.KindStream:
		noun = "shard"
	case ops.KindArchive, ops.KindDelivery, ops.KindAthena:
		noun = "object"
	}
	s := countOf(len(x.Parts), noun)
	if n, ok := x.Estimate.Bytes.Value(); ok {
		s += ", " + sizeText(n)
	}
	return s
}

// sizeText is a size in decimal units, as the console writes it.
func sizeText(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 1000 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.4g TB", n)
}

func windowText(s ops.ReplaySelect) string {
	const form = "2006-01-02 15:04:05 MST"
	switch {
	case s.Since.IsZero() && s.Until.IsZero():
		return "everything that is there"
	case s.Until.IsZero():
		return "from " + s.Since.UTC().Format(form)
	case s.Since.IsZero():
		return "until " + s.Until.UTC().Format(form)
	}
	return s.Since.UTC().Format(form) + " to " + s.Until.UTC().Format(form) + ", " + ops.Span(s.Until.Sub(s.Since).Seconds())
}

func rulesText(rules []ops.ARN) string {
	if len(rules) == 0 {
		return "all of the bus"
	}
	var names []string
	for _, r := range rules {
		names = append(names, r.Name())
	}
	return strings.Join(names, ", ")
}

func attributesText(of []ops.ReplayAttribute) string {
	var parts []string
	for _, a := range of {
		parts = append(parts, a.Name+" from "+cmp.Or(a.Value, "SNS' envelope"))
	}
	return strings.Join(parts, ", ")
}

// rangeWords is a range of sequence numbers, "" where there is none.
func rangeWords(s ops.ReplaySelect) string {
	switch {
	case s.First == "" && s.Last == "":
		return ""
	case s.First == s.Last:
		return s.First
	}
	return cmp.Or(s.First, "the beginning") + " to " + cmp.Or(s.Last, "the end")
}

func expectText(e ops.ReplayEstimate) string {
	about := "about "
	if n, ok := e.Records.Value(); ok && int(n) == e.Sampled {
		about = ""
	}
	s := fmt.Sprintf("%s%s records to read, %s%s to send, %s (by %s that were read)", about, countOr(e.Records), about, countOr(e.Matched), dollars(e.USD), thousands(e.Sampled))
	if secs, ok := e.Seconds.Value(); ok {
		s += ", at least " + ops.Span(max(secs, 1))
	}
	return s
}

func orderText(x ops.ReplayPace) string {
	s := map[string]string{"none": "none kept", "key": "those of one key in their order", "shard": "those of one shard or object in their order"}[x.Order]
	s += ", " + countOf(x.Lanes, "lane")
	if x.Rate > 0 {
		s += fmt.Sprintf(", at most %g records a second", x.Rate)
	}
	switch {
	case x.Speed == 1:
		s += ", spaced as they arrived"
	case x.Speed > 0:
		s += fmt.Sprintf(", spaced as they arrived, %g times as fast", x.Speed)
	}
	if x.MaxGap > 0 {
		s += ", no wait longer than " + time.Duration(x.MaxGap*float64(time.Second)).String()
	}
	return s
}

func guardText(x ops.ReplayPlan) string {
	var parts []string
	if x.Pace.Canary > 0 {
		first := fmt.Sprintf("%d first, watched for %s", x.Pace.Canary, ops.Span(x.Pace.CanaryWait))
		if x.Pace.CanaryMost > 0 {
			first += fmt.Sprintf(", and until there are numbers, %s at most", ops.Span(x.Pace.CanaryMost))
		}
		parts = append(parts, first)
	}
	for _, g := range x.Guards {
		parts = append(parts, g.String())
	}
	return strings.Join(parts, "; ")
}

func (p *printer) samples(head, color string, samples []ops.ReplaySample, taken bool, most int) {
	var of []ops.ReplaySample
	for _, s := range samples {
		if s.Taken == taken && len(of) < most {
			of = append(of, s)
		}
	}
	p.list(p.paint(color, head), len(of), func(i int) {
		at := ""
		if !of[i].At.IsZero() {
			at = of[i].At.UTC().Format("01-02 15:04:05 ")
		}
		key := ""
		if of[i].Key != "" {
			key = text.Cut(text.Clean(of[i].Key), 24) + " "
			if of[i].Newer > 0 {
				key += fmt.Sprintf("(%d newer) ", of[i].Newer)
			}
		}
		p.line("  " + at + key + text.Cut(text.Clean(text.Bound(string(of[i].Data), 4*sampleShown)), sampleShown))
	})
}

// replayReport is the result as a document: a contract with scripts.
type replayReport struct {
	Schema   string             `json:"schema"` // kxops/replay-result/v1
	ID       string             `json:"id"`
	From     string             `json:"from"`
	To       string             `json:"to"`
	State    ops.RunState       `json:"state"`
	TookS    float64            `json:"took_s"`
	Counts   ops.ReplayCounts   `json:"counts"`
	Bound    int64              `json:"duplicates_at_most"`
	USD      float64            `json:"total_usd"`
	Sum      string             `json:"sum"`
	Receipts string             `json:"receipts"`
	Note     string             `json:"note,omitempty"`
	Next     []string           `json:"next"`
	Problem  *problemReport     `json:"problem"`
	Progress ops.ReplayProgress `json:"-"`
}

func (t *tapes) printReplayResult(plan ops.ReplayPlan, r ops.ReplayResult, span time.Duration) error {
	x := replayReport{
		Schema: "kxops/replay-result/v1", ID: r.ID, From: plan.From.Name(), To: plan.To.Name(), State: r.State, TookS: rounded(span.Seconds()),
		Counts: r.Counts, Bound: r.Bound, USD: r.USD, Sum: r.Sum, Receipts: r.Receipts, Note: oneLine(r.Note),
		Next: append([]string{}, r.Next...), Problem: newProblemReport(r.Problem),
	}
	if t.json() {
		return t.printLine(x)
	}
	p := t.paper()
	word, color := stateText(r.State)
	p.line(p.paint("1", "replay "+x.ID) + ": " + p.paint(color, word) + fmt.Sprintf(", took %s, %s", took(span), dollars(x.USD)))
	p.counts(x.Counts)
	if x.Bound > 0 {
		p.folded("  twice     ", fmt.Sprintf("%s at most: their answers were lost, or it was killed", thousands(int(x.Bound))))
	}
	if x.Note != "" {
		p.folded("  ", x.Note)
	}
	if x.Problem != nil {
		p.folded("  error: ", x.Problem.What)
	}
	p.line("  receipts  " + text.Clean(x.Receipts))
	p.sentences("next", "", x.Next)
	return t.printText(p.b.String())
}

func (p *printer) counts(c ops.ReplayCounts) {
	count := func(name string, n int64, why string) {
		if n > 0 {
			p.folded(fmt.Sprintf("  %-9s ", name), strings.TrimSpace(thousands(int(n))+"  "+why))
		}
	}
	p.line(fmt.Sprintf("  %-9s %s of %s that are meant; %s read, %s not meant", "sent", thousands(int(c.Sent)), thousands(int(c.Matched)), thousands(int(c.Read)), thousands(int(c.Rejected))))
	count("skipped", c.Skipped, "of these were sent before, by their receipts, and not again")
	count("parked", c.Parked, "not sent, kept whole in a file with the reason")
	count("held", c.Held(), "read and not sent yet")
	count("broken", c.Broken, "pieces of the source that are no records")
}

// printReplays lists replays.
func (t *tapes) printReplays(past []replay.Past) error {
	if t.json() {
		list := struct {
			Schema  string       `json:"schema"`
			Replays []pastReport `json:"replays"`
		}{Schema: "kxops/replays/v1", Replays: []pastReport{}}
		for _, x := range past {
			list.Replays = append(list.Replays, newPastReport(x))
		}
		return t.printJSON(list)
	}
	p := t.paper()
	if len(past) == 0 {
		p.line("no replay was applied on this machine")
		return t.printText(p.b.String())
	}
	var rows [][]string
	for _, x := range past {
		word, _ := stateText(x.Progress.State)
		sent, parked := thousands(int(x.Progress.Counts.Sent)), thousands(int(x.Progress.Counts.Parked))
		if x.Plan.Managed != nil {
			sent, parked = "?", "?"
		}
		rows = append(rows, []string{x.Plan.ID, word, named(x.Plan.From.Name()), named(x.Plan.To.Name()), sent, parked, x.Last.UTC().Format("2006-01-02 15:04")})
	}
	p.aligned([]string{"ID", "STATE", "FROM", "TO", "SENT", "PARKED", "LAST (UTC)"}, rows)
	return t.printText(p.b.String())
}

func (t *tapes) printReplay(x replay.Past) error {
	if t.json() {
		return t.printJSON(newPastReport(x))
	}
	p := t.paper()
	p.replayPlan(x.Plan)
	word, color := stateText(x.Progress.State)
	p.line(p.paint("1", "state ") + p.paint(color, word) + fmt.Sprintf(", %d of %d parts, %s", x.Progress.Over, x.Progress.Parts, countOf(x.Runs, "run")))
	p.counts(x.Progress.Counts)
	if x.Progress.Note != "" {
		p.folded("  ", x.Progress.Note)
	}
	p.line("  receipts  " + text.Clean(x.Receipts))
	return t.printText(p.b.String())
}

func (t *tapes) printProof(x ops.ReplayProof) error {
	if t.json() {
		return t.printJSON(x)
	}
	p := t.paper()
	word, color := "holds", "32"
	if !x.Holds() {
		word, color = "does not hold", "1;31"
	}
	state, _ := stateText(x.State)
	p.line(p.paint("1", "replay "+x.ID) + " (" + state + "): the proof " + p.paint(color, word))
	for _, c := range x.Checks {
		mark := p.paint("32", "ok   ")
		if !c.Holds {
			mark = p.paint("1;31", "WRONG")
		}
		p.folded("  "+mark+" ", c.What+": "+c.Says)
	}
	for _, n := range x.NotChecked {
		p.folded("  "+p.paint("33", "?    ")+" ", n)
	}
	if x.Twice > 0 {
		p.line(fmt.Sprintf("  %s may be at the target more than once: an answer was lost, or it was killed", countOf(x.Twice, "record")))
	}
	p.line("  hash over what was sent " + x.Sum)
	p.line("  receipts " + text.Clean(x.Receipts))
	return t.printText(p.b.String())
}
