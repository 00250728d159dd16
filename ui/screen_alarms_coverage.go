package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// coverage is the matrix resource × rule: who watches a resource for what a rule is
// about. One kind of resource has one set of rules, so each kind is a tab with its
// own columns; the first tab has all rows and, for the lack of common columns, no heads.
type coverage struct {
	list
	a    *App
	l    light
	tabs []coverTab
	tab  int
	rows []int // of the coverage, those of the tab
	col  int   // rule under the cursor, of the row's kind
	left int   // first column that is drawn
	room int   // columns that were drawn
	more int   // columns to the right of them
}

// coverTab is one kind of resource, or all.
type coverTab struct {
	title   string
	prefix  string // of its rules; "" for all
	rows    []int
	rules   []int // into Coverage.Rules
	missing int
}

// kindTabs are the kinds by the prefix of their rules, in the order of the flow.
var kindTabs = []struct{ prefix, title string }{
	{"kds", "streams"}, {"fh", "deliveries"}, {"sqs", "queues"}, {"dlq", "dlqs"}, {"lambda", "functions"}, {"sns", "topics"}, {"apigw", "apis"}, {"s3", "buckets"}, {"account", "account"},
}

var coverColumns = []table.Column{
	{ID: "resource", Title: "RESOURCE", Width: 30, Min: 18, Comfort: 22},
	{ID: "missing", Title: "MISS", Width: 4, Right: true},
	{ID: "cells", Title: "", Width: 24, Min: 15, Comfort: 11 * headedCell, Grow: true},
	{ID: "pipeline", Title: "PIPELINE", Width: 14, Min: 10, Priority: table.Luxury},
}

const (
	coverResource = iota
	coverMissing
	coverCells
	coverPipeline
)

func openCoverage(a *App, _ ops.ARN) screen {
	s := &coverage{list: newList(table.NewFixed(coverColumns)), a: a}
	s.refresh()
	return s
}

func (s *coverage) Title() string      { return "coverage" }
func (s *coverage) Load(*picture)      {}
func (s *coverage) Visible() []ops.ARN { return nil }
func (s *coverage) Hints() []string {
	return []string{"open", "next", "plan", "backtest", "doctor", "refresh", "filter", "back", "help"}
}

func (s *coverage) data() *covered { return &s.a.alarms.cover.value }

// Want reads the coverage when it was never read, and again where the picture has
// become much newer.
func (s *coverage) Want(a *App) tea.Cmd {
	x := &a.alarms.cover
	if ok, _ := a.alarmsReady(); !ok || x.busy {
		return nil
	}
	if x.unread() || x.problem == nil && a.pic.snap.At.Sub(x.of) > coverPace {
		return a.readCover()
	}
	return nil
}

// coverPace is how much newer the picture has to be before the coverage is read again
// by itself: alarms are changed by people.
const coverPace = 5 * time.Minute

// refresh sorts the rows into tabs again.
func (s *coverage) refresh() {
	at := ""
	if s.tab < len(s.tabs) {
		at = s.tabs[s.tab].prefix
	}
	s.tabs = coverTabs(s.data().Coverage, s.a.pic)
	s.tab = max(slices.IndexFunc(s.tabs, func(t coverTab) bool { return t.prefix == at }), 0)
	s.show()
}

func (s *coverage) show() {
	s.rows = nil
	if s.tab < len(s.tabs) {
		s.rows = s.tabs[s.tab].rows
	}
	s.table.Load(coverRows{s})
}

func (s *coverage) SetFilter(words string) {
	s.parse(words)
	s.table.Reload()
}

// coverTabs makes a tab of each kind that has a row, and one of all.
func coverTabs(c alarms.Coverage, p *picture) []coverTab {
	all := coverTab{title: "all"}
	of := map[string]*coverTab{}
	for i, r := range c.Rows {
		kind := coverKind(r.Resource, p)
		t := of[kind]
		if t == nil {
			t = &coverTab{prefix: kind}
			of[kind] = t
		}
		t.rows = append(t.rows, i)
		t.missing += r.Missing
	}
	tabs := []coverTab{all}
	for _, k := range kindTabs {
		t := of[k.prefix]
		if t == nil {
			continue
		}
		t.title = k.title
		for i, rule := range c.Rules {
			if strings.HasPrefix(rule, k.prefix+".") && !mereFinding(rule) || slices.ContainsFunc(t.rows, func(row int) bool { return cellAt(&c.Rows[row], i).Cover != alarms.CoverNone }) {
				t.rules = append(t.rules, i)
			}
		}
		tabs[0].rows = append(tabs[0].rows, t.rows...) // in the order of the flow
		tabs[0].missing += t.missing
		tabs = append(tabs, *t)
	}
	return tabs
}

// mereFinding reports whether a rule only looks: no alarm can see what it is about.
func mereFinding(rule string) bool {
	r, known := alarms.RuleOf(rule)
	return known && r.Watch == nil
}

// noneWords say why a rule has no alarm on a resource where the coverage does not.
func (x *covered) noneWords(rule string) string {
	r, known := alarms.RuleOf(rule)
	tier := cmp.Or(x.ask.Settings.Tier, alarms.Essential)
	switch {
	case known && r.Watch == nil:
		return "a finding of kxops: no alarm can see it"
	case known && !r.Watch.Tier.Within(tier):
		return "tier " + tierWord(r.Watch.Tier) + ": the set that is asked for is " + string(tier)
	}
	return "the rule is not about this resource"
}

// cellAt is a cell of a row; one that the row lacks does not apply.
func cellAt(r *alarms.CoverRow, rule int) alarms.CoverCell {
	if rule < 0 || rule >= len(r.Cells) {
		return alarms.CoverCell{Cover: alarms.CoverNone}
	}
	return r.Cells[rule]
}

// coverKind is the prefix of the rules for a resource.
func coverKind(r ops.ARN, p *picture) string {
	switch r.Kind() {
	case ops.KindStream:
		return "kds"
	case ops.KindDelivery:
		return "fh"
	case ops.KindQueue:
		if q := p.queues[r]; q != nil && q.IsDeadLetter() {
			return "dlq"
		}
		return "sqs"
	case ops.KindFunction:
		return "lambda"
	case ops.KindTopic:
		return "sns"
	case ops.KindAPI:
		return "apigw"
	case ops.KindBucket:
		return "s3"
	}
	return "account"
}

// rulesOf are the columns of a row: those of its kind.
func (s *coverage) rulesOf(row int) []int {
	if s.tabs[s.tab].prefix != "" {
		return s.tabs[s.tab].rules
	}
	kind := coverKind(s.data().Rows[row].Resource, s.a.pic)
	for _, t := range s.tabs {
		if t.prefix == kind {
			return t.rules
		}
	}
	return nil
}

// under is the row and the rule under the cursor.
func (s *coverage) under() (row *alarms.CoverRow, rule string, cell alarms.CoverCell) {
	at := s.table.Row()
	if at < 0 {
		return nil, "", cell
	}
	row = &s.data().Rows[s.rows[at]]
	rules := s.rulesOf(s.rows[at])
	if len(rules) == 0 {
		return row, "", cell
	}
	i := rules[min(s.col, len(rules)-1)]
	return row, s.data().Rules[i], cellAt(row, i)
}

func (s *coverage) Selected() ops.ARN {
	if row, _, _ := s.under(); row != nil {
		return row.Resource
	}
	return ""
}

// Move moves the cursor; tab goes from kind to kind.
func (s *coverage) Move(m motion) {
	step := map[motion]int{nextLink: 1, prevLink: -1}[m]
	if step == 0 || len(s.tabs) == 0 {
		s.list.Move(m)
		return
	}
	s.tab = (s.tab + step + len(s.tabs)) % len(s.tabs)
	s.col, s.left = 0, 0
	s.show()
}

// Side goes from rule to rule.
func (s *coverage) Side(step int) bool {
	if row := s.table.Row(); row >= 0 {
		n := len(s.rulesOf(s.rows[row]))
		s.col = max(min(min(s.col, n-1)+step, n-1), 0)
	}
	return true
}

// Open explains the cell under the cursor.
func (s *coverage) Open(a *App) tea.Cmd {
	row, rule, cell := s.under()
	if rule == "" {
		a.warn("no rule is about this kind of resource")
		return nil
	}
	return a.open(newCoverCell(a, *row, rule, cell))
}

// The widths of a cell with a head above it, and without.
const (
	headedCell = 5
	bareCell   = 4
)

func (s *coverage) step() int {
	if s.tabs[s.tab].prefix == "" {
		return bareCell
	}
	return headedCell
}

func (s *coverage) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	end := c.Line() + height
	x := &s.a.alarms.cover
	if words := askedWords(s.a, x, "comparing the alarms that exist with those that should…"); words != "" {
		drawEmpty(c, height, l, words)
		return
	}
	s.drawTabs(c, l)
	for _, why := range s.data().Partial[:min(len(s.data().Partial), 1)] {
		c.Text("not all is known: "+why, l.ticket)
		c.End()
	}
	legend := 1
	if height >= 16 && c.Width() < 100 {
		legend = 2
	}
	s.drawHeads(c, l)
	s.list.draw(c, max(end-c.Line()-legend-2, 2), l, "nothing here has a rule")
	s.drawStrip(c, l)
	s.drawLegend(c, legend, l)
	c.Until(end)
}

// askedWords is what to show instead of an answer that is not there, "" where it is.
func askedWords[T any](a *App, x *asked[T], reading string) string {
	ok, why := a.alarmsReady()
	switch {
	case x.problem != nil && x.at.IsZero():
		return "could not be read: " + problemText(x.problem)
	case !x.at.IsZero():
		return ""
	case !ok:
		return why
	}
	return reading
}

// drawTabs draws the kinds, with how many alarms are missing.
func (s *coverage) drawTabs(c *text.Canvas, l light) {
	var left []segment
	for i, t := range s.tabs {
		words, look := fmt.Sprintf("%s %d", t.title, len(t.rows)), l.dim
		if i == s.tab {
			words, look = strings.ToUpper(words), l.title
		}
		left = append(left, segment{words, look, max(0, i-s.tab) + max(0, s.tab-i)})
	}
	missing := plural(s.tabs[s.tab].missing, "alarm") + " missing"
	look := l.ticket
	if s.tabs[s.tab].missing == 0 {
		missing, look = "none missing", l.good
	}
	right := []segment{{missing, look, 0}}
	if s.a.alarms.cover.busy {
		right = append(right, segment{"reading…", l.accent, 1})
	} else if p := s.a.alarms.cover.problem; p != nil {
		right = []segment{{"not read again: " + text.Cut(p.What, 40), l.ticket, 0}}
	}
	drawSegments(c, left, right)
}

// drawHeads writes the names of the rules in two lines over their columns.
func (s *coverage) drawHeads(c *text.Canvas, l light) {
	widths := table.Fit(coverColumns, c.Width()-2)
	s.room = max(widths[coverCells]/s.step(), 1)
	rules := s.columns()
	s.col = max(min(s.col, len(rules)-1), 0)
	s.left = max(min(s.left, s.col), s.col-s.room+1, 0)
	s.left = max(min(s.left, len(rules)-s.room), 0)
	s.more = len(rules) - s.left - s.room
	if s.tabs[s.tab].prefix == "" {
		return
	}
	for line := range 2 {
		c.Cell(s.beyond(line), 2+widths[coverResource]+1+widths[coverMissing]+1, l.accent)
		for i := s.left; i < min(s.left+s.room, len(rules)); i++ {
			look := l.dim
			if i == s.col {
				look = l.title
			}
			c.Cell(headOf(s.data().Rules[rules[i]])[line], headedCell-1, look)
			c.Space(1)
		}
		c.End()
	}
}

// beyond says what is out of sight to the left and to the right.
func (s *coverage) beyond(line int) string {
	words := ""
	if s.left > 0 {
		words = fmt.Sprintf("‹ %d", s.left)
	}
	if s.more > 0 {
		words += fmt.Sprintf("  › %d", s.more)
	}
	if line == 1 || words == "" {
		return ""
	}
	return "  " + strings.TrimSpace(words) + " more rules"
}

// columns are those of the row under the cursor.
func (s *coverage) columns() []int {
	if row := s.table.Row(); row >= 0 && row < len(s.rows) {
		return s.rulesOf(s.rows[row])
	}
	return nil
}

// headOf is the name of a rule in two short words: "kds.write_throttle" is writ, thro.
func headOf(rule string) [2]string {
	_, name, _ := strings.Cut(rule, ".")
	first, second, _ := strings.Cut(name, "_")
	if most := headedCell - 1; second == "" && len(first) > most {
		first, second = first[:most], first[most:]
	}
	return [2]string{first[:min(len(first), headedCell-1)], second[:min(len(second), headedCell-1)]}
}

// drawStrip tells the cell under the cursor in full.
func (s *coverage) drawStrip(c *text.Canvas, l light) {
	row, rule, cell := s.under()
	if row == nil || rule == "" {
		c.Until(c.Line() + 2)
		return
	}
	c.Text(rule, l.title)
	c.Space(2)
	c.Text(ruleTitle(rule), l.strong)
	c.End()
	_, word, look := coverLook(l, s.shown(cell))
	c.Text(word, look)
	c.Space(2)
	c.Text(s.cellWords(row, rule, cell), l.dim)
	c.End()
}

// cellWords are what there is to say about a cell in one line.
func (s *coverage) cellWords(row *alarms.CoverRow, rule string, cell alarms.CoverCell) string {
	var words []string
	if len(cell.Alarms) > 0 {
		words = append(words, strings.Join(cell.Alarms, ", "))
	}
	if cell.State != "" {
		words = append(words, alarmWord(cell.State))
	}
	for _, name := range cell.Alarms {
		if muted := s.a.alarms.muted(name, s.l.now); muted != "" {
			words = append(words, muted)
			break
		}
	}
	for _, i := range s.data().specs[cellKey{row.Resource, rule}] {
		words = append(words, specLine(&s.data().wanted.Specs[i]))
	}
	if cell.Why != "" {
		words = append(words, cell.Why)
	} else if cell.Cover == alarms.CoverNone {
		words = append(words, s.data().noneWords(rule))
	}
	return strings.Join(words, " · ")
}

// shown is a cell as it is drawn: one whose alarms are all muted says so.
func (s *coverage) shown(cell alarms.CoverCell) alarms.CoverCell {
	if len(cell.Alarms) == 0 || cell.Cover != alarms.CoverOurs && cell.Cover != alarms.CoverForeign {
		return cell
	}
	for _, name := range cell.Alarms {
		if s.a.alarms.muted(name, s.l.now) == "" {
			return cell
		}
	}
	cell.Cover = alarms.CoverMuted
	return cell
}

func (s *coverage) drawLegend(c *text.Canvas, lines int, l light) {
	end := c.Line() + lines
	order := []alarms.Cover{alarms.CoverOurs, alarms.CoverForeign, alarms.CoverMissing, alarms.CoverNone, alarms.CoverOff, alarms.CoverMuted, alarms.CoverUnknown}
	for _, cover := range order {
		sign, word, look := coverLook(l, alarms.CoverCell{Cover: cover})
		if c.Left() < text.Width(sign+word)+3 {
			if c.Line() == end-1 {
				break
			}
			c.End()
		}
		c.Text(sign, look)
		c.Space(1)
		c.Text(word, l.dim)
		c.Space(2)
	}
	if c.Left() >= 10 {
		c.Text("!", l.page)
		c.Text(" rings", l.dim)
	}
	c.End()
	c.Until(end)
}

// coverLook is a cell's sign (a glyph and a letter), its word and its look.
func coverLook(l light, cell alarms.CoverCell) (sign, word string, look text.Style) {
	switch cell.Cover {
	case alarms.CoverOurs:
		sign, word, look = "●O", "ours", l.good
	case alarms.CoverForeign:
		sign, word, look = "□F", "someone else's", l.cool
	case alarms.CoverMissing:
		sign, word, look = "▲M", "missing", l.ticket
	case alarms.CoverOff:
		sign, word, look = "×X", "off", l.dim
	case alarms.CoverMuted:
		sign, word, look = "▪Z", "muted", l.ticket
	case alarms.CoverNone:
		sign, word, look = "·-", "does not apply", l.dim
	default:
		sign, word, look = " ?", "not known", l.ticket
	}
	if cell.State == "ALARM" {
		return sign + "!", word, l.page
	}
	return sign, word, look
}

// coverRows is the matrix as the source of its table.
type coverRows struct{ *coverage }

func (s coverRows) Len() int { return len(s.rows) }

func (s coverRows) row(i int) *alarms.CoverRow { return &s.data().Rows[s.rows[i]] }

func (s coverRows) ID(i int) string {
	if r := s.row(i); r.Resource != "" {
		return string(r.Resource)
	}
	return "account"
}

func (s coverRows) Compare(i, j, _ int) int { return i - j }

func (s coverRows) Match(i int) bool {
	return s.passes(func(col int) string { return s.words(i, col) })
}

func (s coverRows) words(i, col int) string {
	r := s.row(i)
	switch col {
	case coverResource:
		if r.Resource == "" {
			return "the account"
		}
		kind := coverKind(r.Resource, s.a.pic)
		switch kind {
		case "lambda":
			kind = "fn"
		case "apigw":
			kind = "api"
		}
		return fmt.Sprintf("%-3s %s", kind, s.a.pic.called(r.Resource))
	case coverMissing:
		if r.Missing == 0 {
			return "-"
		}
		return count(float64(r.Missing))
	case coverCells: // what a filter finds: missing, foreign, …
		var words []string
		for _, x := range r.Cells {
			if w := string(x.Cover); !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
		return strings.Join(words, " ")
	}
	return r.Pipeline
}

func (s coverRows) Draw(c *text.Canvas, i, col, width int) {
	l := s.l
	switch col {
	case coverResource:
		c.Cell(s.words(i, col), width, text.Style{})
	case coverMissing:
		look := l.dim
		if s.row(i).Missing > 0 {
			look = l.ticket
		}
		c.Right(s.words(i, col), width, look)
	case coverCells:
		s.drawCells(c, i, width)
	default:
		c.Cell(s.words(i, col), width, l.dim)
	}
}

func (s coverRows) drawCells(c *text.Canvas, i, width int) {
	r, rules, step := s.row(i), s.rulesOf(s.rows[i]), s.step()
	from, room := s.left, max(width/step, 1)
	if s.tabs[s.tab].prefix == "" {
		from = max(min(s.left, len(rules)-room), 0)
	}
	here := i == s.table.Row()
	for at := from; at < min(from+room, len(rules)); at++ {
		sign, _, look := coverLook(s.l, s.shown(cellAt(r, rules[at])))
		if here && at == min(s.col, len(rules)-1) {
			look = s.l.inverse
		}
		c.Cell(sign, step-1, look)
		c.Space(1)
	}
}
