package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// screen is one page of the console. It keeps what the person did to it; the
// data comes with Load and is never changed.
type screen interface {
	Title() string
	// Load hands over a new picture.
	Load(p *picture)
	// Draw writes the next height lines.
	Draw(c *text.Canvas, height int, l light)
	Move(m motion)
	// Selected returns the resource that enter, copy and raw act on, "" for none.
	Selected() ops.ARN
	// Visible returns the resources whose numbers are on the screen.
	Visible() []ops.ARN
}

// light is what a screen needs to draw, besides its data.
type light struct {
	*theme
	now   time.Time
	ascii bool
	keys  *keymap
	muted func(alarm string, now time.Time) string // "muted 2h", "" where it is not
	demo  bool                                     // operations end with the console: there is nothing to resume
}

// lister is a screen that is a list: it can be filtered, sorted and marked.
type lister interface {
	Table() *table.Table
	Filter() string
	SetFilter(string)
}

// starter is a screen that has something to fetch when it opens.
type starter interface {
	Start(a *App) tea.Cmd
}

// opener is a screen where enter does something of its own.
type opener interface {
	Open(a *App) tea.Cmd
}

// backer is a screen where back first does something of its own; it reports whether it did.
type backer interface {
	Back() bool
}

// leaver is a screen that has something to give back when it is closed.
type leaver interface {
	Leave() tea.Cmd
}

// wanter is a screen that fetches what it should show; it is asked after every message.
type wanter interface {
	Want(a *App) tea.Cmd
}

// hinter is a screen that names the actions for its foot line, most wanted first.
type hinter interface {
	Hints() []string
}

// motion is a way to move in a screen.
type motion int

const (
	lineUp motion = iota
	lineDown
	pageUp
	pageDown
	toTop
	toEnd
	nextLink
	prevLink
)
