package ui

import (
	"fmt"
	"strings"
	"time"

	"kxops/ops"
	"kxops/ui/text"
)

// segment is a piece of a header line. On a narrow screen the segment with the
// largest rank goes first, rank 0 never.
type segment struct {
	s    string
	st   text.Style
	rank int
}

const gap = 2

// drawSegments writes one line: left pieces from the left, right pieces to the right.
func drawSegments(c *text.Canvas, left, right []segment) {
	for width(left)+width(right)+gap > c.Width() {
		if !dropLast(&left, &right) {
			break
		}
	}
	write := func(segments []segment) {
		for i, s := range segments {
			if i > 0 {
				c.Space(gap)
			}
			c.Text(s.s, s.st)
		}
	}
	write(left)
	c.Space(c.Left() - width(right))
	write(right)
	c.End()
}

func width(segments []segment) int {
	sum := 0
	for i := range segments {
		if i > 0 {
			sum += gap
		}
		sum += text.Width(segments[i].s)
	}
	return sum
}

func dropLast(left, right *[]segment) bool {
	from, at, rank := left, -1, 0
	for _, side := range []*[]segment{left, right} {
		for i, s := range *side {
			if s.rank > rank {
				from, at, rank = side, i, s.rank
			}
		}
	}
	if at < 0 {
		return false
	}
	*from = append((*from)[:at:at], (*from)[at+1:]...)
	return true
}

func (a *App) drawHeader(c *text.Canvas, l light) {
	a.drawPlace(c, l)
	a.drawCounts(c, l)
	a.drawCrumbs(c, l)
}

// drawPlace says where we are: whoever acts on the wrong account read this line too late.
func (a *App) drawPlace(c *text.Canvas, l light) {
	id := a.pic.snap.Identity
	left := []segment{{"kxops", l.title, 0}}
	if p, ok := a.protection(id); ok {
		left = append(left, segment{" " + p.Word + " ", badge(p.Color), 0})
	}
	if a.opts.Demo != "" {
		left = append(left, segment{" DEMO ", l.inverse, 0}, segment{a.opts.Demo, l.accent, 3})
	}
	account := accountName(id)
	if account == "" {
		account = "account ?"
	}
	region := id.Region
	if region == "" {
		region = "region ?"
	}
	left = append(left, segment{text.Clean(text.Bound(account, 40)), l.strong, 0}, segment{text.Clean(text.Bound(region, 40)), l.strong, 0})
	if a.switching != "" {
		left = append(left, segment{"switching to " + text.Clean(a.switching), l.ticket, 0})
	}
	right := a.workSegments(l)
	if id.Profile != "" {
		right = append(right, segment{"profile " + text.Clean(text.Bound(id.Profile, 40)), l.dim, 2})
	}
	if id.Who != "" {
		right = append(right, segment{text.Clean(text.Bound(shortWho(id.Who), 40)), l.dim, 4})
	}
	drawSegments(c, left, right)
}

// shortWho keeps the end of a caller ARN: "user/jo", "assumed-role/ops/jo".
func shortWho(who string) string {
	if i := strings.LastIndexByte(who, ':'); i >= 0 {
		return who[i+1:]
	}
	return who
}

func (a *App) protection(id ops.Identity) (Protection, bool) {
	for _, p := range a.opts.Config.Protected {
		if p.Match != "" && (p.Match == id.Profile || p.Match == id.Account || p.Match == id.Alias) {
			if p.Word == "" {
				p.Word = "PROD"
			}
			if p.Color == "" {
				p.Color = "#d0021b"
			}
			p.Word = text.Clean(text.Bound(p.Word, 20))
			return p, true
		}
	}
	return Protection{}, false
}

func (a *App) drawCounts(c *text.Canvas, l light) {
	p := a.pic
	look := func(n int, st text.Style) text.Style {
		if n == 0 {
			return l.dim
		}
		return st
	}
	left := []segment{
		{fmt.Sprintf("%d page", p.pages), look(p.pages, l.page), 0},
		{fmt.Sprintf("%d ticket", p.tickets), look(p.tickets, l.ticket), 0},
		{plural(p.findings, "finding"), look(p.findings, l.strong), 4},
	}
	if !p.read() {
		left = []segment{{"nothing read yet", l.dim, 0}}
	}
	spend := p.snap.Spend
	cost := money(spend.USD)
	right := []segment{
		a.refreshSegment(l),
		{cost + " spent", l.dim, 2},
		{"~" + money(spend.PerHour) + "/h", l.dim, 3},
		a.ageSegment(l),
	}
	drawSegments(c, left, right)
}

// read reports whether any section was ever confirmed.
func (p *picture) read() bool {
	for _, s := range p.snap.Sections() {
		if !s.At.IsZero() {
			return true
		}
	}
	return false
}

func (a *App) refreshSegment(l light) segment {
	switch {
	case a.poll.busy:
		return segment{"reading…", l.accent, 1}
	case a.poll.paused:
		return segment{"paused", l.ticket, 0}
	case a.poll.slow > 0:
		return segment{"slowed by throttling", l.ticket, 1}
	}
	every := a.poll.delay(a.pic.snap.Next)
	return segment{"refresh " + ops.Span(every.Seconds()), l.dim, 1}
}

// ageSegment says how old the picture is; an old one says so in another word and colour.
func (a *App) ageSegment(l light) segment {
	old, known := a.pic.age(l.now)
	switch {
	case !known || !a.pic.read():
		return segment{"data ?", l.dim, 0}
	case a.pic.snap.Recalled:
		return segment{"LAST KNOWN " + ops.Span(old.Seconds()), l.ticket, 0}
	case a.pic.stale(l.now):
		return segment{"STALE " + ops.Span(old.Seconds()), l.page, 0}
	}
	return segment{"data " + ops.Span(old.Seconds()), l.dim, 0}
}

// stale reports whether the picture is so old that a look must have been missed.
func (p *picture) stale(now time.Time) bool {
	old, known := p.age(now)
	next := p.snap.Next
	if next <= 0 {
		next = defaultPace
	}
	return known && (p.snap.Recalled || old > 3*next)
}

func (a *App) drawCrumbs(c *text.Canvas, l light) {
	var names []string
	for _, s := range a.stack {
		names = append(names, text.Clean(text.Bound(s.Title(), 80)))
	}
	crumbs := strings.Join(names, " > ")
	if room := c.Width() * 2 / 3; text.Width(crumbs) > room && len(names) > 1 {
		crumbs = "… > " + names[len(names)-1]
	}
	left := []segment{{text.Cut(crumbs, c.Width()*2/3), l.accent, 0}}
	var right []segment
	if s, ok := a.top().(lister); ok && a.dialog == nil {
		right = listSegments(s, l)
	}
	drawSegments(c, left, right)
}

func listSegments(s lister, l light) []segment {
	var out []segment
	if n := s.Table().Marked(); n > 0 {
		out = append(out, segment{fmt.Sprintf("%d marked", n), l.accent, 2})
	}
	if f := s.Filter(); f != "" {
		out = append(out, segment{"/" + text.Cut(text.Clean(f), 24), l.ticket, 0})
	}
	at, shown, all := s.Table().Position()
	place := fmt.Sprintf("%d of %d", at, shown)
	if shown != all {
		place += fmt.Sprintf(" (%d in all)", all)
	}
	return append(out, segment{place, l.dim, 1})
}
