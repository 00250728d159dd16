package ui

import (
	"fmt"
	"strings"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/chart"
	"kxops/ui/text"
)

// detail is the page of one resource, found by its ARN in every new picture: it
// stays right while the account is refreshed, and says so when the resource is gone.
type detail struct {
	document
	arn     ops.ARN
	kind    string
	pic     *picture
	gone    bool // it was there once and is not any more
	seen    bool
	madeFor madeFor
}

func openDetail(_ *App, target ops.ARN) screen {
	return &detail{document: newDocument(), arn: target, kind: string(target.Kind())}
}

func (s *detail) Title() string {
	if s.pic == nil {
		return s.kind + " " + s.arn.Name()
	}
	return s.kind + " " + s.pic.called(s.arn)
}

func (s *detail) Load(p *picture) {
	s.pic = p
	if p.found(s.arn) {
		s.seen = true
	}
	s.gone = s.seen && !p.found(s.arn)
}

// Selected is the linked resource that tab chose, else the page's own.
func (s *detail) Selected() ops.ARN {
	if t := s.target(); t != "" {
		return t
	}
	return s.arn
}

func (s *detail) Visible() []ops.ARN { return []ops.ARN{s.arn} }

func (s *detail) Draw(c *text.Canvas, height int, l light) {
	want := madeFor{s.pic, c.Width(), l.theme, l.keys, l.now.Unix() / 10}
	if s.madeFor != want {
		w := &writer{l: l, width: c.Width() - 3}
		s.write(w)
		s.set(w.lines)
		s.madeFor = want
	}
	s.document.draw(c, height, l)
}

func (s *detail) write(w *writer) {
	p := s.pic
	if !p.found(s.arn) {
		s.writeMissing(w)
		return
	}
	v := p.verdict(s.arn)
	if v != nil {
		writeVerdict(w, v)
	}
	measures := p.measures(s.arn)
	writeHour(w, measures, v)
	switch s.arn.Kind() {
	case ops.KindStream:
		writeStream(w, p.streams[s.arn])
	case ops.KindDelivery:
		writeDelivery(w, p.deliveries[s.arn])
	case ops.KindQueue:
		writeQueue(w, p.queues[s.arn])
	case ops.KindFunction:
		writeFunction(w, p.functions[s.arn])
	case ops.KindTopic:
		writeTopic(w, p.topics[s.arn])
	case ops.KindBucket:
		writeBucket(w, p.buckets[s.arn])
	case ops.KindAPI:
		writeAPI(w, p.apis[s.arn])
	}
	writeLinks(w, p, s.arn)
	if v != nil {
		writeAlarms(w, v.Alarms)
	}
	writeElsewhere(w, s.arn, p.snap.Identity.Profile)
}

func (s *detail) writeMissing(w *writer) {
	switch {
	case s.gone:
		w.para("This "+s.kind+" is not there any more: it was deleted, or it can no longer be read.", w.l.ticket)
	case s.pic.snap.At.IsZero():
		w.para("reading…", w.l.dim)
	default:
		w.para("This "+s.kind+" exists, because something points to it, but it could not be read here: it may be in another account or region, or not allowed.", w.l.ticket)
	}
	w.blank()
	w.field("ARN", string(s.arn), text.Style{})
	writeLinks(w, s.pic, s.arn)
	writeElsewhere(w, s.arn, s.pic.snap.Identity.Profile)
}

// measures returns what was measured of a resource.
func (p *picture) measures(a ops.ARN) ops.Measures {
	switch a.Kind() {
	case ops.KindStream:
		return p.streams[a].Measures
	case ops.KindDelivery:
		return p.deliveries[a].Measures
	case ops.KindQueue:
		return p.queues[a].Measures
	case ops.KindFunction:
		return p.functions[a].Measures
	case ops.KindTopic:
		return p.topics[a].Measures
	case ops.KindAPI:
		return p.apis[a].Worst().Measures
	}
	return nil
}

// writeVerdict says first what is wrong, then what to do.
func writeVerdict(w *writer, v *alarms.Verdict) {
	w.line(span{pad(string(v.State), 8), w.l.state(v.State)},
		span{v.Headline, w.l.strong}, span{"   " + v.Limit, w.l.dim})
	loss := lossText(v.Loss)
	look := lossLook(w.l, v)
	w.line(span{pad("loss in", labelWidth), w.l.dim}, span{pad(loss, 10), look}, span{trendText(v.Loss), motionLook(w.l, v.Loss.Motion)})
	if v.Loss.Why != "" {
		w.field("because", v.Loss.Why, w.l.dim)
	}
	if v.Loss.WorstCase {
		w.field("*", "worst case: on a standard queue the clock of a message runs on from its first enqueue", w.l.dim)
	}
	if v.Loss.Consumer != "" {
		w.field("slowest reader", v.Loss.Consumer, text.Style{})
	}
	w.field("number is", age(v.At, w.l.now)+" old", w.l.dim)
	if len(v.Findings) > 0 {
		w.head(plural(len(v.Findings), "finding"))
		for _, f := range v.Findings {
			look := map[alarms.Severity]text.Style{alarms.Page: w.l.page, alarms.Ticket: w.l.ticket}[f.Severity]
			w.field(f.Severity.String(), f.Sentence, look)
			if f.Next != "" {
				w.field("  do", f.Next, text.Style{})
			}
			w.field("  rule", f.Rule, w.l.dim)
		}
	}
}

const (
	plotHeight = 6
	axisWidth  = 9
	sparkCells = 30
)

// writeHour draws the deciding measure of the last hour large, and all of them small.
func writeHour(w *writer, ms ops.Measures, v *alarms.Verdict) {
	if len(ms) == 0 {
		return
	}
	w.head("the last hour")
	if v != nil && len(v.Spark.Hour.Points) > 0 {
		writePlot(w, v.Spark, v.Threshold)
	}
	for _, m := range ms {
		writeMeasure(w, m)
	}
}

func writePlot(w *writer, m ops.Measure, threshold ops.Reading) {
	limit := limitOf(threshold)
	width := max(min(w.width-axisWidth-1, 120), 20)
	plot := chart.Draw(m.Hour.Points, width, plotHeight, limit, w.l.ascii)
	if !plot.HasPoints {
		w.line(span{metricName(m.Metric) + ": no data in the last hour", w.l.dim})
		return
	}
	title := []span{{metricName(m.Metric), w.l.accent}}
	if v, known := threshold.Value(); known && v > 0 && plot.LimitRow < 0 {
		title = append(title, span{"   limit " + value(v, m.Metric.Unit()) + " is outside the drawing", w.l.dim})
	}
	w.line(title...)
	for y, cells := range plot.Rows {
		label := ""
		switch {
		case y == 0:
			label = value(plot.Top, m.Metric.Unit())
		case y == plot.LimitRow:
			label = "limit"
		case y == plotHeight-1:
			label = value(plot.Base, m.Metric.Unit())
		}
		spans := []span{{fmt.Sprintf("%*s ", axisWidth-1, text.Cut(label, axisWidth-1)), w.l.dim}}
		w.line(append(spans, cellSpans(w.l, cells)...)...)
	}
	from, to := "-"+ops.Span(m.Hour.Step.Seconds()*float64(len(m.Hour.Points))), "now"
	space := max(width-text.Width(from)-len(to), 1)
	w.line(span{fmt.Sprintf("%*s%s%*s%s", axisWidth, "", from, space, "", to), w.l.dim})
}

// cellSpans groups the cells of a chart into runs of one look.
func cellSpans(l light, cells []chart.Cell) []span {
	var out []span
	for _, x := range cells {
		look := l.cool
		switch {
		case x.Gap:
			look = l.dim
		case x.Hot:
			look = l.hot
		}
		if n := len(out); n > 0 && out[n-1].st == look {
			out[n-1].s += string(x.R)
			continue
		}
		out = append(out, span{string(x.R), look})
	}
	return out
}

func writeMeasure(w *writer, m ops.Measure) {
	unit := m.Metric.Unit()
	spans := []span{
		{pad(metricName(m.Metric), 24), w.l.dim},
		{pad(reading(m.Last, unit), 10), text.Style{}},
	}
	switch {
	case w.width < 24+10+sparkCells:
	case len(m.Hour.Points) > 0:
		spans = append(spans, cellSpans(w.l, chart.Spark(nil, m.Hour.Points, sparkCells, limitOf(ops.Reading{})))...)
	default:
		spans = append(spans, span{strings.Repeat(" ", sparkCells), text.Style{}})
	}
	if !m.Last.At.IsZero() {
		spans = append(spans, span{"  " + age(m.Last.At, w.l.now) + " old", w.l.dim})
	}
	w.line(spans...)
}

// writeLinks lists what feeds the resource and what it feeds; tab chooses one.
func writeLinks(w *writer, p *picture, a ops.ARN) {
	if len(p.linksTo[a])+len(p.linksFrom[a]) == 0 {
		return
	}
	w.head("linked (tab chooses, enter opens)")
	for _, l := range p.linksTo[a] {
		w.link("from", l.From, "  "+p.alias(l.From)+string(l.Kind))
	}
	for _, l := range p.linksFrom[a] {
		w.link("to", l.To, "  "+p.alias(l.To)+string(l.Kind))
	}
}

func writeAlarms(w *writer, all []ops.Alarm) {
	w.head("CloudWatch alarms")
	if len(all) == 0 {
		w.para("none watches it", w.l.ticket)
		return
	}
	for _, x := range all {
		look := w.l.dim
		if x.State == "ALARM" {
			look = w.l.page
		}
		w.line(span{pad(alarmWord(x.State), 9), look}, span{x.Name, text.Style{}},
			span{"  since " + age(x.Since, w.l.now) + "  " + ringsWhen(&x), w.l.dim})
	}
}

// writeElsewhere says where else to look: the AWS console and the aws-cli.
func writeElsewhere(w *writer, a ops.ARN, profile string) {
	w.head("elsewhere (y copies, v shows the raw JSON)")
	w.field("ARN", string(a), w.l.dim)
	w.field("console", ConsoleURL(a), w.l.dim)
	for _, line := range CLILines(a, profile) {
		w.field("aws-cli", line, w.l.dim)
	}
}
