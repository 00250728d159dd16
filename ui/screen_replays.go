package ui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// replays lists the replays of this machine.
type replays struct {
	list
	a    *App
	l    light
	rows []PastReplay
}

var replayColumns = []table.Column{
	{ID: "when", Title: "LAST (UTC)", Width: 11},
	{ID: "state", Title: "STATE", Width: 9},
	{ID: "from", Title: "FROM", Width: 24, Min: 12, Grow: true},
	{ID: "to", Title: "TO", Width: 20, Min: 10, Grow: true},
	{ID: "sent", Title: "SENT", Width: 10, Right: true},
	{ID: "parked", Title: "PARKED", Width: 7, Priority: 2, Right: true},
	{ID: "id", Title: "ID", Width: 22, Priority: 3},
}

func openReplays(a *App, _ ops.ARN) screen {
	return &replays{list: newList(table.NewFixed(replayColumns)), a: a}
}

func (s *replays) Title() string      { return "replays" }
func (s *replays) Load(*picture)      {}
func (s *replays) Selected() ops.ARN  { return "" }
func (s *replays) Visible() []ops.ARN { return nil }
func (s *replays) Hints() []string {
	return []string{"open", "hold", "replay", "filter", "back", "help"}
}

// Want reads the list when it is old.
func (s *replays) Want(a *App) tea.Cmd {
	w := a.replays
	if w.desk == nil {
		return a.openReplayDesk()
	}
	if w.past.at.IsZero() && w.past.problem == nil && !w.past.busy {
		return a.listReplays()
	}
	s.rows = w.past.value
	s.table.Load(replayRows{s})
	return nil
}

func (s *replays) SetFilter(words string) {
	s.parse(words)
	s.table.Reload()
}

func (s *replays) under() (PastReplay, bool) {
	row := s.table.Row()
	if row < 0 || row >= len(s.rows) {
		return PastReplay{}, false
	}
	return s.rows[row], true
}

// Open shows a replay with its proof.
func (s *replays) Open(a *App) tea.Cmd {
	x, ok := s.under()
	if !ok {
		return nil
	}
	if r := a.replays.now; r != nil && r.plan.ID == x.Plan.ID {
		return a.open(&replaying{document: newDocument(), r: r, a: a})
	}
	result := ops.ReplayResult{ReplayProgress: x.Progress, Receipts: x.Receipts}
	cmd := a.open(&replaying{document: newDocument(), r: &replayRun{plan: x.Plan, result: &result}, a: a})
	if x.Running {
		return cmd
	}
	return tea.Batch(cmd, a.verifyReplay(x.Plan.ID))
}

// hold goes on with the one under the cursor.
func (s *replays) hold(a *App) tea.Cmd {
	x, _ := s.under()
	desk, id := a.replays.desk, x.Plan.ID
	return a.startReplay(func(ctx context.Context) (Replaying, error) { return desk.Resume(ctx, id) })
}

func (s *replays) canHold(a *App) (bool, string) {
	x, ok := s.under()
	switch {
	case !ok:
		return false, "there is no replay"
	case a.replays.desk == nil:
		return false, a.replays.why
	case x.Running:
		return false, "it runs: kxops replay pause " + x.Plan.ID
	}
	switch x.Progress.State {
	case ops.Paused, ops.Halted, ops.Broken:
		return true, ""
	}
	return false, "it is over"
}

func (s *replays) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	switch x := &s.a.replays.past; {
	case s.a.replays.desk == nil:
		drawEmpty(c, height, l, s.a.replays.why)
		return
	case x.at.IsZero() && x.problem != nil:
		drawEmpty(c, height, l, "could not be read: "+problemText(x.problem))
		return
	case x.at.IsZero():
		drawEmpty(c, height, l, "reading the records…")
		return
	}
	s.list.draw(c, height, l, "no replay was applied on this machine; "+l.keyOf("replay")+" begins one")
}

// replayRows is the list as the source of its table.
type replayRows struct{ *replays }

func (s replayRows) Len() int                { return len(s.rows) }
func (s replayRows) ID(i int) string         { return s.rows[i].Plan.ID }
func (s replayRows) Compare(i, j, _ int) int { return i - j }
func (s replayRows) Match(i int) bool {
	return s.passes(func(col int) string { return s.words(i, col) })
}

func (s replayRows) Draw(c *text.Canvas, row, col, width int) {
	look := text.Style{}
	if replayColumns[col].ID == "state" {
		switch s.rows[row].Progress.State {
		case ops.Finished:
			look = s.l.good
		case ops.Running:
			look = s.l.accent
		default:
			look = s.l.ticket
		}
	}
	words := text.Cut(text.Clean(s.words(row, col)), width)
	if replayColumns[col].Right {
		c.Space(width - text.Width(words))
		c.Text(words, look)
		return
	}
	c.Text(words, look)
	c.Space(width - text.Width(words))
}

func (s replayRows) words(i, col int) string {
	x := s.rows[i]
	switch replayColumns[col].ID {
	case "when":
		return x.Last.UTC().Format("01-02 15:04")
	case "state":
		return string(x.Progress.State)
	case "from":
		return x.Plan.From.Name()
	case "to":
		return x.Plan.To.Name()
	case "sent", "parked":
		if x.Plan.Managed != nil { // AWS does not say
			return "?"
		}
	}
	switch replayColumns[col].ID {
	case "sent":
		return count(float64(x.Progress.Counts.Sent))
	case "parked":
		return count(float64(x.Progress.Counts.Parked))
	}
	return fmt.Sprint(x.Plan.ID)
}
