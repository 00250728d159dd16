package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// queries lists what was asked in Athena lately. What one of them means can be replayed.
type queries struct {
	list
	a    *App
	l    light
	rows []ops.PastQuery
}

var queryColumns = []table.Column{
	{ID: "when", Title: "ASKED (UTC)", Width: 11},
	{ID: "state", Title: "STATE", Width: 9},
	{ID: "scanned", Title: "SCANNED", Width: 9, Priority: 2, Right: true},
	{ID: "group", Title: "WORKGROUP", Width: 12, Priority: 3},
	{ID: "replay", Title: "REPLAYS", Width: 18, Min: 10},
	{ID: "sql", Title: "QUERY", Width: 30, Min: 16, Grow: true},
}

func openQueries(a *App, _ ops.ARN) screen {
	a.replays.query = asked[[]ops.PastQuery]{gen: a.replays.query.gen + 1} // what was asked meanwhile belongs to it
	return &queries{list: newList(table.NewFixed(queryColumns)), a: a}
}

func (s *queries) Title() string      { return "queries" }
func (s *queries) Load(*picture)      {}
func (s *queries) Selected() ops.ARN  { return "" }
func (s *queries) Visible() []ops.ARN { return nil }
func (s *queries) Hints() []string    { return []string{"replay", "filter", "back", "help"} }

// Want reads the list once for a screen.
func (s *queries) Want(a *App) tea.Cmd {
	w := a.replays
	if w.desk == nil {
		return a.openReplayDesk()
	}
	if w.query.at.IsZero() && w.query.problem == nil && !w.query.busy {
		return a.listQueries()
	}
	s.rows = w.query.value
	s.table.Load(queryRows{s})
	return nil
}

func (s *queries) SetFilter(words string) {
	s.parse(words)
	s.table.Reload()
}

func (s *queries) under() (ops.PastQuery, bool) {
	row := s.table.Row()
	if row < 0 || row >= len(s.rows) {
		return ops.PastQuery{}, false
	}
	return s.rows[row], true
}

// Open begins a replay of what the query means.
func (s *queries) Open(a *App) tea.Cmd {
	x, ok := s.under()
	switch {
	case !ok:
		return nil
	case x.From == "":
		a.warn("this query cannot be replayed: " + x.Why)
		return nil
	}
	return a.open(openReplayForm(a, wishOfQuery(x)))
}

func (s *queries) replayWish() (replayWish, bool) {
	x, ok := s.under()
	return wishOfQuery(x), ok && x.From != ""
}

// wishOfQuery is the form that asks for the same.
func wishOfQuery(x ops.PastQuery) replayWish {
	return replayWish{from: x.From, more: moreWish{where: x.Question.Where, values: valuesText(x.Question.Params), workgroup: x.Question.Workgroup}}
}

func (s *queries) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	switch x := &s.a.replays.query; {
	case s.a.replays.desk == nil:
		drawEmpty(c, height, l, s.a.replays.why)
		return
	case x.at.IsZero() && x.problem != nil:
		drawEmpty(c, height, l, "could not be read: "+problemText(x.problem))
		return
	case x.at.IsZero():
		drawEmpty(c, height, l, "asking Athena what was asked lately…")
		return
	}
	s.list.draw(c, height, l, "nothing was asked in Athena lately: it keeps 45 days")
}

// queryRows is the list as the source of its table.
type queryRows struct{ *queries }

func (s queryRows) Len() int                { return len(s.rows) }
func (s queryRows) ID(i int) string         { return s.rows[i].ID }
func (s queryRows) Compare(i, j, _ int) int { return i - j }
func (s queryRows) Match(i int) bool {
	return s.passes(func(col int) string { return s.words(i, col) })
}

func (s queryRows) Draw(c *text.Canvas, row, col, width int) {
	look := text.Style{}
	switch id := queryColumns[col].ID; {
	case id == "state" && s.rows[row].State == "SUCCEEDED":
		look = s.l.good
	case id == "state":
		look = s.l.ticket
	case id == "replay" && s.rows[row].From == "":
		look = s.l.dim
	}
	words := text.Cut(text.Clean(s.words(row, col)), width)
	if queryColumns[col].Right {
		c.Space(width - text.Width(words))
		c.Text(words, look)
		return
	}
	c.Text(words, look)
	c.Space(width - text.Width(words))
}

func (s queryRows) words(i, col int) string {
	x := s.rows[i]
	switch queryColumns[col].ID {
	case "when":
		return x.At.UTC().Format("01-02 15:04")
	case "state":
		return x.State
	case "scanned":
		return bytesText(float64(x.Scanned))
	case "group":
		return x.Question.Workgroup
	case "replay":
		if x.From == "" {
			return "no: " + x.Why
		}
		return strings.TrimPrefix(x.From, string(ops.KindAthena)+":")
	}
	return strings.Join(strings.Fields(x.SQL), " ")
}
