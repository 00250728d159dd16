package ui

import (
	"strings"

	"charm.land/lipgloss/v2"

	"kxops/alarms"
	"kxops/ui/table"
	"kxops/ui/text"
)

// tokens are the colours of a theme by what they mean, never by where they are
// used. They are the only thing that differs between themes.
type tokens struct {
	dim, accent, page, ticket, good, cool, hot, bar string
}

var (
	darkTokens = tokens{
		dim: "#7a83a6", accent: "#7aa2f7", page: "#ff6b7d", ticket: "#e5b567",
		good: "#9ece6a", cool: "#7dcfff", hot: "#ff6b7d", bar: "#2c3350",
	}
	lightTokens = tokens{
		dim: "#6b7080", accent: "#1f5fbf", page: "#b3122a", ticket: "#8a5a00",
		good: "#2f6d1e", cool: "#0b6b8a", hot: "#b3122a", bar: "#d5def5",
	}
)

// theme holds the ready-made styles. Colour never carries a meaning alone: a
// word stands beside it.
type theme struct {
	name                          string
	dim, strong, accent, title    text.Style
	page, ticket, good, cool, hot text.Style
	inverse                       text.Style
	table                         table.Looks
}

func newTheme(name string, t tokens) *theme {
	fg := func(color string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(color)) }
	return &theme{
		name:    name,
		dim:     prefix(fg(t.dim)),
		strong:  prefix(lipgloss.NewStyle().Bold(true)),
		accent:  prefix(fg(t.accent)),
		title:   prefix(fg(t.accent).Bold(true)),
		page:    prefix(fg(t.page).Bold(true)),
		ticket:  prefix(fg(t.ticket)),
		good:    prefix(fg(t.good)),
		cool:    prefix(fg(t.cool)),
		hot:     prefix(fg(t.hot)),
		inverse: prefix(lipgloss.NewStyle().Reverse(true).Bold(true)),
		table: table.Looks{
			Head:     prefix(fg(t.dim)),
			SortHead: prefix(fg(t.accent).Bold(true)),
			Cursor:   prefix(lipgloss.NewStyle().Background(lipgloss.Color(t.bar))),
			Sign:     prefix(fg(t.accent).Bold(true)),
		},
	}
}

// prefix returns the escape sequence that turns the style on.
func prefix(s lipgloss.Style) text.Style {
	const mark = "x"
	on, _, _ := strings.Cut(s.Render(mark), mark)
	return text.Prefixed(on)
}

func themeNamed(name string, dark bool) *theme {
	if name == "light" || name == "" && !dark {
		return newTheme("light", lightTokens)
	}
	return newTheme("dark", darkTokens)
}

// state returns the look of a state word.
func (t *theme) state(s alarms.State) text.Style {
	switch s {
	case alarms.StatePage:
		return t.page
	case alarms.StateTicket, alarms.StateDenied:
		return t.ticket
	case alarms.StateOK:
		return t.good
	}
	return t.dim
}

// badge returns an inverted block in the given colour.
func badge(color string) text.Style {
	s := lipgloss.NewStyle().Bold(true).Reverse(true)
	if color != "" {
		s = s.Foreground(lipgloss.Color(color))
	}
	return prefix(s)
}
