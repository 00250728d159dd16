package ui

import (
	tea "charm.land/bubbletea/v2"

	"kxops/ui/text"
)

// menu is a short list to pick from, shown above the foot line.
type menu struct {
	title string
	items []menuItem
	at    int
}

type menuItem struct {
	title string
	value string // shown dimmed beside the title
	run   func(*App) tea.Cmd
}

func (a *App) pressMenu(key string) tea.Cmd {
	m := a.menu
	switch key {
	case "up", "k", "shift+tab":
		m.at = (m.at - 1 + len(m.items)) % len(m.items)
	case "down", "j", "tab":
		m.at = (m.at + 1) % len(m.items)
	case "enter":
		a.menu = nil
		return m.items[m.at].run(a)
	case "esc", "q":
		a.menu = nil
	default:
		if len(key) == 1 && key[0] >= '1' && int(key[0]-'1') < len(m.items) {
			a.menu = nil
			return m.items[key[0]-'1'].run(a)
		}
	}
	return nil
}

func (a *App) panelHeight() int {
	switch {
	case a.menu != nil:
		return min(len(a.menu.items), a.height/2) + 1
	case a.prompt != nil:
		return len(a.prompt.offers)
	}
	return 0
}

func (a *App) drawPanel(c *text.Canvas, l light) {
	switch {
	case a.menu != nil:
		a.menu.draw(c, a.panelHeight(), l)
	case a.prompt != nil:
		a.prompt.drawOffers(c, l)
	}
}

func (m *menu) draw(c *text.Canvas, height int, l light) {
	c.Text(m.title, l.title)
	c.Text("   enter takes it, esc leaves", l.dim)
	c.End()
	top := max(m.at-(height-1)+1, 0)
	for i := top; i < min(top+height-1, len(m.items)); i++ {
		drawChoice(c, l, i == m.at, string(rune('1'+i))+" "+m.items[i].title, 22, m.items[i].value)
	}
}

func (p *prompt) drawOffers(c *text.Canvas, l light) {
	for i, o := range p.offers {
		drawChoice(c, l, i == p.chosen, o.line, 30, o.help)
	}
}

func drawChoice(c *text.Canvas, l light, chosen bool, title string, width int, note string) {
	if chosen {
		c.Under(l.table.Cursor)
		c.Rune('>', l.table.Sign)
	} else {
		c.Space(1)
	}
	c.Space(1)
	c.Cell(title, width, text.Style{})
	c.Space(1)
	c.Text(note, l.dim)
	c.End()
}
