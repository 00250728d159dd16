package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ui/text"
)

// prompt is the line at the foot that a person types into: a filter or a command.
type prompt struct {
	sign   string // ":" or "/"
	runes  []rune
	at     int // caret
	chosen int // candidate, -1 for none
	offers []offer

	changed  func(line string)                 // after every key
	complete func(line string) []offer         // nil: no candidates
	accept   func(a *App, line string) tea.Cmd // enter
	cancel   func()                            // esc
}

// offer is a candidate: the whole line it would make, and what it means.
type offer struct {
	line string
	help string
}

const maxLine = 512

func (p *prompt) line() string { return string(p.runes) }

func (p *prompt) set(line string) {
	p.runes = []rune(line)
	p.at = len(p.runes)
	p.edited()
}

func (p *prompt) edited() {
	p.chosen = -1
	if p.complete != nil {
		p.offers = p.complete(p.line())
	}
	if p.changed != nil {
		p.changed(p.line())
	}
}

func (p *prompt) insert(s string) {
	room := maxLine - len(p.runes)
	added := []rune(text.Clean(text.Bound(s, maxLine)))
	added = added[:min(len(added), max(room, 0))]
	p.runes = slices.Insert(p.runes, p.at, added...)
	p.at += len(added)
	p.edited()
}

func (p *prompt) cut(from, to int) {
	from, to = max(from, 0), min(to, len(p.runes))
	if from >= to {
		return
	}
	p.runes = slices.Delete(p.runes, from, to)
	p.at = from
	p.edited()
}

func (p *prompt) wordStart() int {
	i := p.at
	for i > 0 && p.runes[i-1] == ' ' {
		i--
	}
	for i > 0 && p.runes[i-1] != ' ' {
		i--
	}
	return i
}

// choose moves through the candidates.
func (p *prompt) choose(step int) {
	if n := len(p.offers); n > 0 {
		p.chosen = (p.chosen + step + n) % n
		if p.chosen < 0 {
			p.chosen = n - 1
		}
	}
}

// tab takes the chosen candidate, or the first.
func (p *prompt) tab() {
	if len(p.offers) > 0 {
		p.set(p.offers[max(p.chosen, 0)].line)
	}
}

func (a *App) pressPrompt(msg tea.KeyPressMsg) tea.Cmd {
	p := a.prompt
	switch msg.String() {
	case "esc":
		a.prompt = nil
		if p.cancel != nil {
			p.cancel()
		}
	case "enter":
		if p.chosen >= 0 {
			p.set(p.offers[p.chosen].line)
			if strings.HasSuffix(p.line(), " ") { // the command still wants an argument
				return nil
			}
		}
		a.prompt = nil
		return p.accept(a, p.line())
	case "tab":
		p.tab()
	case "up", "shift+tab", "ctrl+p":
		p.choose(-1)
	case "down", "ctrl+n":
		p.choose(1)
	case "left":
		p.at = max(p.at-1, 0)
	case "right":
		p.at = min(p.at+1, len(p.runes))
	case "home", "ctrl+a":
		p.at = 0
	case "end", "ctrl+e":
		p.at = len(p.runes)
	case "backspace":
		if len(p.runes) == 0 { // backspace on an empty line leaves it, as people expect
			a.prompt = nil
			if p.cancel != nil {
				p.cancel()
			}
			return nil
		}
		p.cut(p.at-1, p.at)
	case "delete":
		p.cut(p.at, p.at+1)
	case "ctrl+u":
		p.cut(0, p.at)
	case "ctrl+w":
		p.cut(p.wordStart(), p.at)
	default:
		if msg.Text != "" {
			p.insert(msg.Text)
		}
	}
	return nil
}

func (a *App) paste(s string) {
	if a.prompt != nil {
		a.prompt.insert(s)
	}
}

func (p *prompt) draw(c *text.Canvas, l light) {
	c.Text(p.sign, l.title)
	from := max(p.at-(c.Width()-4), 0) // keep the caret in sight
	c.Text(string(p.runes[from:p.at]), text.Style{})
	under := " "
	if p.at < len(p.runes) {
		under = string(p.runes[p.at])
	}
	c.Text(under, l.inverse)
	if p.at < len(p.runes) {
		c.Text(string(p.runes[p.at+1:]), text.Style{})
	}
	c.End()
}

// newFilterPrompt filters while the person types; esc brings the old filter back.
func newFilterPrompt(s lister) *prompt {
	before := s.Filter()
	p := &prompt{sign: "/", chosen: -1, runes: []rune(before), at: len([]rune(before))}
	p.changed = s.SetFilter
	p.accept = func(*App, string) tea.Cmd { return nil }
	p.cancel = func() { s.SetFilter(before) }
	return p
}
