package ui

import (
	"kxops/ops"
	"kxops/ui/text"
)

// page is a screen that is read: journal, info, spend, help. write fills it from
// the picture whenever the picture, the width or the theme changed.
type page struct {
	document
	title string
	pic   *picture
	write func(w *writer, p *picture)

	madeFor madeFor
}

// madeFor is what the lines of a document were made for.
type madeFor struct {
	pic   *picture
	width int
	theme *theme
	keys  *keymap
	clock int64 // minutes: ages in the text move on
}

func newPage(title string, write func(*writer, *picture)) *page {
	return &page{document: newDocument(), title: title, write: write}
}

func (s *page) Title() string      { return s.title }
func (s *page) Load(p *picture)    { s.pic = p }
func (s *page) Selected() ops.ARN  { return s.target() }
func (s *page) Visible() []ops.ARN { return nil }

func (s *page) Draw(c *text.Canvas, height int, l light) {
	want := madeFor{s.pic, c.Width(), l.theme, l.keys, l.now.Unix() / 60}
	if s.madeFor != want {
		w := &writer{l: l, width: c.Width() - 3}
		s.write(w, s.pic)
		s.set(w.lines)
		s.madeFor = want
	}
	s.document.draw(c, height, l)
}
