package ui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// message is one letter on the whole screen. It shares the reader with the triage
// screen below it: what is read here is read there.
type message struct {
	s *triage
}

func newMessage(s *triage) *message { return &message{s} }

func (m *message) Title() string { return "message " + text.Cut(m.s.reader.letter.ID, 8) }

func (m *message) Load(*picture)      {}
func (m *message) Selected() ops.ARN  { return m.s.arn }
func (m *message) Visible() []ops.ARN { return nil }
func (m *message) Move(x motion)      { m.s.reader.Move(x) }

func (m *message) Draw(c *text.Canvas, height int, l light) {
	m.s.l = l
	r := &m.s.reader
	r.draw(c, height-1, l, true)
	if len(r.tabs) == 0 || r.gone {
		return
	}
	place := segment{fmt.Sprintf("line %s of %s", count(float64(r.cursor+1)), count(float64(r.rows))), l.dim, 0}
	if r.below > 0 {
		place = segment{place.s + fmt.Sprintf("  ↓ %s more below", count(float64(r.below))), l.ticket, 0}
	}
	cause := text.Cut(text.Clean(text.Bound(r.cause, 400)), max(c.Width()-text.Width(place.s)-gap, 0))
	drawSegments(c, []segment{{cause, l.dim, 0}}, []segment{place})
}

// Open folds what is under the cursor: there is nothing further to go to.
func (m *message) Open(*App) tea.Cmd {
	m.s.reader.fold()
	return nil
}

// Want keeps the triage screen below in step, and asks how long the data stays
// where the letter only points to it.
func (m *message) Want(a *App) tea.Cmd {
	want := m.s.Want(a)
	if m.s.reader.busy || m.s.reader.pointer != nil {
		return want
	}
	return tea.Batch(want, m.s.resolve(a))
}
