package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// replayForm asks what is to be replayed and shows the plan of it: what would be read
// and sent, some records that are meant and some that are not.
type replayForm struct {
	document
	a    *App
	at   int  // the field under the cursor
	more bool // all fields are shown
}

// replayField is one line of the form.
type replayField struct {
	name, help string
	value      func(*replayWish) *string
	offers     func(a *App) []string
}

var replayFields = []replayField{
	{"from", "stream:NAME, delivery:NAME (what it wrote to S3), archive:BUCKET/PREFIX or file:PATH, athena:DATABASE.TABLE", func(w *replayWish) *string { return &w.from }, sourcesHere},
	{"to", "null: is a rehearsal; queue:, stream:, topic:, bus:, function:, delivery:NAME or file:PATH", func(w *replayWish) *string { return &w.to }, targetsHere},
	{"since", "so long ago (3h, 2d), or a time with its zone (2026-11-17T08:00Z)", func(w *replayWish) *string { return &w.since }, someTimes},
	{"until", "as since; empty: now", func(w *replayWish) *string { return &w.until }, someTimes},
	{"filter", `jq over the body, such as .customer_id == "4712"`, func(w *replayWish) *string { return &w.filter }, nil},
	{"rate", "records a second at most; empty: what the target takes", func(w *replayWish) *string { return &w.rate }, nil},
}

func openReplay(a *App, from ops.ARN) screen {
	return openReplayForm(a, replayWish{from: sourceText(from)})
}

// openReplayForm opens the form on what is to be replayed, and as it was left where that
// is the same source or none.
func openReplayForm(a *App, begin replayWish) screen {
	w := &a.replays.wish
	if begin.from != "" && (begin.from != w.from || begin.whole()) {
		*w = begin
		a.replays.plan = asked[plannedReplay]{gen: a.replays.plan.gen + 1}
	}
	w.to, w.order = cmp.Or(w.to, "null:"), cmp.Or(w.order, "key")
	if !w.ofTable() && !w.whole() { // of a table the condition chooses the time
		w.since = cmp.Or(w.since, "1h")
	}
	form := &replayForm{document: newDocument(), a: a}
	if begin.to == "null:" { // it was rehearsed: what changes now is the target
		form.at = slices.IndexFunc(form.shown(), func(f replayField) bool { return f.name == "to" })
	}
	return form
}

// sourceText is how a resource is named as a source, "" where it is none.
func sourceText(arn ops.ARN) string {
	switch arn.Kind() {
	case ops.KindStream, ops.KindDelivery:
		return string(arn.Kind()) + ":" + arn.Name()
	case ops.KindBucket:
		return "archive:" + arn.Name() + "/"
	}
	return ""
}

func sourcesHere(a *App) []string {
	var out []string
	for _, x := range a.pic.snap.Streams.Items {
		out = append(out, "stream:"+x.Name)
	}
	for _, x := range a.pic.snap.Deliveries.Items {
		out = append(out, "delivery:"+x.Name)
	}
	for _, x := range a.pic.snap.Buckets.Items {
		out = append(out, "archive:"+x.ARN.Name()+"/")
	}
	return out
}

func targetsHere(a *App) []string {
	out := []string{"null:"}
	for _, x := range a.pic.snap.Queues.Items {
		if !x.IsDeadLetter() {
			out = append(out, "queue:"+x.Name)
		}
	}
	for _, x := range a.pic.snap.Streams.Items {
		out = append(out, "stream:"+x.Name)
	}
	for _, x := range a.pic.snap.Topics.Items {
		out = append(out, "topic:"+x.Name)
	}
	for _, x := range a.pic.snap.Functions.Items {
		out = append(out, "function:"+x.Name)
	}
	return out
}

func someTimes(*App) []string { return []string{"15m", "1h", "3h", "12h", "1d", "2d", "7d"} }

func rateOf(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0 && v <= 1e6) {
		return 0, fmt.Errorf("rate %q must be a number above 0, in records a second", s)
	}
	return v, nil
}

func (s *replayForm) Title() string      { return "replay" }
func (s *replayForm) Load(*picture)      {}
func (s *replayForm) Selected() ops.ARN  { return "" }
func (s *replayForm) Visible() []ops.ARN { return nil }
func (s *replayForm) Hints() []string {
	return []string{"open", "more", "replan", "apply", "unlock", "replays", "replaying", "back", "help"}
}

func (s *replayForm) Want(a *App) tea.Cmd { return tea.Batch(a.openReplayDesk(), a.readArrivals()) }

// Move goes through the fields, and below them scrolls.
func (s *replayForm) Move(m motion) {
	last := len(s.shown()) - 1
	switch {
	case m == lineDown && s.at < last && s.top == 0, m == nextLink && s.at < last:
		s.at++
	case m == lineUp && s.top == 0, m == prevLink:
		s.at = max(s.at-1, 0)
	case m == toTop:
		s.at = 0
		s.document.Move(m)
	case m == nextLink:
	default:
		s.document.Move(m)
	}
}

// Open edits the field under the cursor.
func (s *replayForm) Open(a *App) tea.Cmd {
	f := s.shown()[s.at]
	value := f.value(&a.replays.wish)
	p := &prompt{sign: f.name + ": ", chosen: -1, runes: []rune(*value), at: len([]rune(*value))}
	if f.offers != nil {
		words := f.offers(a)
		p.complete = func(line string) []offer {
			var out []offer
			for _, w := range words {
				if strings.Contains(strings.ToLower(w), strings.ToLower(line)) && w != line {
					out = append(out, offer{line: w})
				}
			}
			return out
		}
		p.offers = p.complete("")
	}
	p.accept = func(a *App, line string) tea.Cmd {
		*value = strings.TrimSpace(line)
		if w := &a.replays.wish; f.name == "from" && w.ofTable() {
			w.since, w.until = "", "" // there the condition chooses the time
		}
		s.at = min(s.at+1, len(s.shown())-1)
		return a.readArrivals()
	}
	a.prompt = p
	return nil
}

func (s *replayForm) Draw(c *text.Canvas, height int, l light) {
	w := &writer{l: l, width: c.Width() - 3}
	fields := s.shown()
	s.at = min(s.at, len(fields)-1)
	for i, f := range fields {
		value := *f.value(&s.a.replays.wish)
		look := text.Style{}
		if value == "" {
			value, look = "-", l.dim
		}
		w.line(span{pad(f.name, labelWidth), l.dim}, span{text.Clean(value), look})
		if i == s.at {
			w.lines[len(w.lines)-1].target = "field" // the cursor
		}
	}
	w.para(fields[s.at].help, l.dim)
	w.blank()
	if s.answered() { // what was asked for stands where it is seen
		s.writePlan(w)
		w.blank()
		s.writeArrivals(w)
	} else {
		s.writeArrivals(w)
		s.writePlan(w)
	}
	s.set(w.lines)
	s.chosen = s.at
	s.document.draw(c, height, l)
}

// answered reports a plan of this form, or that it is being made.
func (s *replayForm) answered() bool {
	x := &s.a.replays.plan
	return x.busy || x.problem != nil || !x.at.IsZero() && x.value.wish == s.a.replays.wish
}

// writePlan tells what would be done.
func (s *replayForm) writePlan(w *writer) {
	x := &s.a.replays.plan
	switch {
	case s.a.replays.desk == nil:
		w.para(s.a.replays.why, w.l.ticket)
		return
	case x.busy:
		w.para("reading some of it, and asking the target who it is; nothing is sent…", w.l.accent)
		return
	case x.problem != nil:
		w.para(problemText(x.problem), w.l.page)
		return
	case x.at.IsZero():
		w.para(w.l.keyOf("open")+" fills in a field, "+w.l.keyOf("replan")+" works out what would be read and sent. That only reads; it sends nothing.", w.l.dim)
		return
	case x.value.wish != s.a.replays.wish:
		w.para("the form has changed since this was worked out; "+w.l.keyOf("replan")+" works it out again", w.l.ticket)
		w.blank()
	}
	if x.value.plan.Waits() { // for hours: longer than a console is open, so the command line has it
		w.field("then", planReplayLine(x.value.wish, x.value.plan)+" --plan-out "+waitingPlan, text.Style{})
		w.field("", restoreReplayLine, text.Style{})
	}
	writeReplayPlan(w, x.value.plan)
	writeSamples(w, x.value.samples)
	w.head("as a command")
	w.para(planReplayLine(x.value.wish, x.value.plan), w.l.dim)
}

func writeReplayPlan(w *writer, p ops.ReplayPlan) {
	for _, b := range p.Blockers {
		w.field("BLOCKED", b, w.l.page)
	}
	e := p.Estimate
	about := "about "
	if n, ok := e.Records.Value(); ok && int(n) == e.Sampled {
		about = ""
	}
	w.field("sends", fmt.Sprintf("%s%s of %s records, from %s; %s", about, reading(e.Matched, ops.Count), reading(e.Records, ops.Count), plural(len(p.Parts), replayPart(p.From.Kind)), money(e.USD)), w.l.strong)
	if q := p.Query; q != nil {
		w.field("query", q.SQL, w.l.dim)
	}
	for _, x := range p.Warnings {
		w.field("warning", x, w.l.ticket)
	}
	for _, x := range p.CannotUndo {
		w.field("cannot be undone", x, text.Style{})
	}
	for _, g := range p.Guards {
		w.field("guard", g.String(), text.Style{})
	}
	if n := p.Pace.Canary; n > 0 {
		words := fmt.Sprintf("%d first, watched for %.0f s", n, p.Pace.CanaryWait)
		if p.Pace.CanaryMost > 0 {
			words += ", and until there are numbers, " + ops.Span(p.Pace.CanaryMost) + " at most"
		}
		w.field("canary", words, text.Style{})
	}
	for _, f := range p.Facts {
		w.field(f.Name, f.Value, w.l.dim)
	}
}

// waitingPlan is the file that the lines below save a waiting plan in.
const waitingPlan = "waiting.plan"

const restoreReplayLine = "kxops --access change replay restore " + waitingPlan

// planReplayLine is the command that makes the plan of a form again, for the same window.
func planReplayLine(w replayWish, p ops.ReplayPlan) string {
	words := w.flags()
	for _, t := range []struct {
		flag string
		at   time.Time
	}{{"--since", p.Select.Since}, {"--until", p.Select.Until}} {
		if !t.at.IsZero() {
			words = append(words, t.flag, t.at.UTC().Format(time.RFC3339Nano))
		}
	}
	for i := range words {
		words[i] = quote(words[i])
	}
	return "kxops replay plan " + strings.Join(words, " ")
}

func replayPart(k ops.Kind) string {
	switch k {
	case ops.KindStream:
		return "shard"
	case ops.KindArchive, ops.KindDelivery, ops.KindAthena:
		return "object"
	}
	return "file"
}

func writeSamples(w *writer, samples []ops.ReplaySample) {
	for _, taken := range []bool{true, false} {
		of := slices.DeleteFunc(slices.Clone(samples), func(s ops.ReplaySample) bool { return s.Taken != taken })
		if len(of) == 0 {
			continue
		}
		title, look := "meant", w.l.good
		if !taken {
			title, look = "not meant", w.l.dim
		}
		w.head(fmt.Sprintf("%s (%d of what was read)", title, len(of)))
		for _, s := range of {
			at := ""
			if !s.At.IsZero() {
				at = s.At.UTC().Format("01-02 15:04:05 ")
			}
			w.line(span{at, w.l.dim}, span{text.Clean(text.Bound(string(s.Data), 600)), look})
		}
	}
}

// planned is the plan that the form shows, if it is that of the form.
func (s *replayForm) planned() (ops.ReplayPlan, bool, string) {
	x := &s.a.replays.plan
	switch {
	case x.busy:
		return ops.ReplayPlan{}, false, "the plan is being worked out"
	case x.at.IsZero() || x.problem != nil:
		return ops.ReplayPlan{}, false, "there is no plan; " + s.a.keyOf("replan") + " makes one"
	case x.value.wish != s.a.replays.wish:
		return ops.ReplayPlan{}, false, "the form has changed; " + s.a.keyOf("replan") + " plans again"
	case len(x.value.plan.Blockers) > 0:
		return ops.ReplayPlan{}, false, "this plan is blocked: " + x.value.plan.Blockers[0]
	}
	if x.value.plan.Managed != nil { // it is watched for longer than a console is open
		return ops.ReplayPlan{}, false, "EventBridge carries this out: the command below, with --plan-out, and kxops replay apply start it"
	}
	return x.value.plan, true, ""
}

// Hints names what can be done with a resource beside reading about it.
func (d *detail) Hints() []string {
	if sourceText(d.arn) == "" {
		return nil
	}
	return []string{"replay"}
}
