package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// raw shows what AWS says about a resource, as JSON.
type raw struct {
	document
	arn     ops.ARN
	body    []byte
	problem *ops.Problem
	loading bool
	at      time.Time
	drawn   bool
}

// rawLoadedMsg brings the JSON of one resource.
type rawLoadedMsg struct {
	arn  ops.ARN
	body []byte
	err  error
}

const (
	rawMost  = 15 * time.Second
	rawLines = 20_000 // more is not read by a person
)

func newRaw(a ops.ARN) *raw { return &raw{document: newDocument(), arn: a, loading: true} }

func (s *raw) Title() string      { return "raw " + s.arn.Name() }
func (s *raw) Load(*picture)      {}
func (s *raw) Selected() ops.ARN  { return s.arn }
func (s *raw) Visible() []ops.ARN { return nil }

// Start fetches the JSON.
func (s *raw) Start(a *App) tea.Cmd {
	arn, ctx, backend := s.arn, a.poll.ctx, a.opts.Backend
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, rawMost)
		defer done()
		body, err := backend.Raw(ctx, arn)
		var pretty bytes.Buffer
		if err == nil && json.Indent(&pretty, body, "", "  ") == nil {
			body = pretty.Bytes()
		}
		return rawLoadedMsg{arn, body, err}
	}
}

func (a *App) rawLoaded(msg rawLoadedMsg) {
	for _, s := range a.stack {
		if s, ok := s.(*raw); ok && s.arn == msg.arn {
			s.body, s.problem, s.loading, s.at, s.drawn = msg.body, ops.AsProblem(msg.err), false, a.now(), false
		}
	}
}

func (s *raw) Draw(c *text.Canvas, height int, l light) {
	switch {
	case s.loading:
		drawEmpty(c, height, l, "asking AWS about "+s.arn.Name()+"…")
		return
	case s.problem != nil:
		drawEmpty(c, height, l, "could not be read: "+problemText(s.problem))
		return
	}
	if !s.drawn {
		w := &writer{l: l, width: c.Width() - 3}
		w.verbatim(string(s.body), text.Style{})
		s.set(w.lines[:min(len(w.lines), rawLines)])
		s.drawn = true
	}
	s.document.draw(c, height, l)
}
