package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"unicode/utf8"

	uv "github.com/charmbracelet/ultraviolet"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"

	"kxops/ui/shot/terminal"
)

// The picture's measures in pixels: Go Mono at 15 pixels is 9 wide.
const (
	fontSize = 15
	cellW    = 9
	cellH    = 19
	baseline = 14
	padding  = 14
)

var (
	paper = color.RGBA{0x1a, 0x1b, 0x26, 0xff}
	ink   = color.RGBA{0xc0, 0xca, 0xf5, 0xff}
)

// brush draws cells.
type brush struct {
	img           *image.RGBA
	regular, bold face
}

type face struct {
	font.Face
	glyphs *sfnt.Font
}

func openFace(ttf []byte) (face, error) {
	f, err := opentype.Parse(ttf)
	if err != nil {
		return face{}, err
	}
	drawn, err := opentype.NewFace(f, &opentype.FaceOptions{Size: fontSize, DPI: 72, Hinting: font.HintingFull})
	return face{drawn, f}, err
}

// has reports whether the font has a glyph for the character.
func (f face) has(r rune) bool {
	i, err := f.glyphs.GlyphIndex(nil, r)
	return err == nil && i != 0
}

// paint draws the whole screen; a character without a glyph is an error.
func paint(cells [][]terminal.Cell) (image.Image, error) {
	regular, err := openFace(gomono.TTF)
	if err != nil {
		return nil, err
	}
	bold, err := openFace(gomonobold.TTF)
	if err != nil {
		return nil, err
	}
	cols := 0
	for _, row := range cells {
		cols = max(cols, len(row))
	}
	b := brush{image.NewRGBA(image.Rect(0, 0, cols*cellW+2*padding, len(cells)*cellH+2*padding)), regular, bold}
	draw.Draw(b.img, b.img.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	for y, row := range cells {
		for x := 0; x < len(row); x += max(row[x].Width, 1) {
			if err := b.cell(x, y, row[x]); err != nil {
				return nil, fmt.Errorf("row %d, column %d: %w", y+1, x+1, err)
			}
		}
	}
	return b.img, nil
}

func (b brush) cell(x, y int, c terminal.Cell) error {
	fg, bg := rgba(c.Style.Fg, ink), rgba(c.Style.Bg, paper)
	if c.Style.Attrs&uv.AttrReverse != 0 {
		fg, bg = bg, fg
	}
	if c.Style.Attrs&uv.AttrFaint != 0 {
		fg = mixed(fg, bg)
	}
	px, py := padding+x*cellW, padding+y*cellH
	b.fill(px, py, max(c.Width, 1)*cellW, cellH, bg)
	if c.Style.Underline != uv.UnderlineNone {
		b.fill(px, py+baseline+2, max(c.Width, 1)*cellW, 1, fg)
	}
	r, size := utf8.DecodeRuneInString(c.Content)
	switch {
	case c.Content == "" || c.Content == " " || r == 0xa0:
		return nil
	case size != len(c.Content):
		return fmt.Errorf("%q is more than one character", c.Content)
	case r >= 0x2580 && r <= 0x259f && b.block(px, py, r, fg, bg):
		return nil
	case r >= 0x2500 && r <= 0x257f && b.line(px, py, r, fg):
		return nil
	case r >= 0x2800 && r <= 0x28ff:
		b.braille(px, py, r, fg)
		return nil
	}
	f := b.regular
	if c.Style.Attrs&uv.AttrBold != 0 {
		f = b.bold
	}
	if !f.has(r) {
		return fmt.Errorf("no glyph for %q (U+%04X)", r, r)
	}
	d := font.Drawer{Dst: b.img, Src: image.NewUniform(fg), Face: f, Dot: fixed.P(px, py+baseline)}
	d.DrawString(c.Content)
	return nil
}

// line draws a box line from arms: bits 1 up, 2 right, 4 down, 8 left.
func (b brush) line(px, py int, r rune, fg color.RGBA) bool {
	const up, right, down, left = 1, 2, 4, 8
	arms, ok := map[rune]int{
		'─': left | right, '│': up | down, '┌': right | down, '┐': left | down, '└': up | right, '┘': up | left,
		'├': up | down | right, '┤': up | down | left, '┬': left | right | down, '┴': left | right | up, '┼': up | right | down | left,
		'╭': right | down, '╮': left | down, '╰': up | right, '╯': up | left, '╴': left, '╵': up, '╶': right, '╷': down,
		'━': left | right, '┃': up | down, '═': left | right, '║': up | down,
	}[r]
	if !ok {
		return false
	}
	thick := 1
	if r == '━' || r == '┃' {
		thick = 3
	}
	cx, cy := px+cellW/2, py+cellH/2
	if arms&up != 0 {
		b.fill(cx-thick/2, py, thick, cellH/2+1, fg)
	}
	if arms&down != 0 {
		b.fill(cx-thick/2, cy, thick, cellH-cellH/2, fg)
	}
	if arms&left != 0 {
		b.fill(px, cy-thick/2, cellW/2+1, thick, fg)
	}
	if arms&right != 0 {
		b.fill(cx, cy-thick/2, cellW-cellW/2, thick, fg)
	}
	return true
}

// block draws the block elements: eighths, shades and quadrants.
func (b brush) block(px, py int, r rune, fg, bg color.RGBA) bool {
	const w, h = cellW, cellH
	switch {
	case r == '▀':
		b.fill(px, py, w, h/2, fg)
	case r >= '▁' && r <= '█':
		n := max(1, int(r-0x2580)*h/8)
		b.fill(px, py+h-n, w, n, fg)
	case r >= '▉' && r <= '▏':
		b.fill(px, py, max(1, int(0x2590-r)*w/8), h, fg)
	case r == '▐':
		b.fill(px+w/2, py, w-w/2, h, fg)
	case r == '░', r == '▒', r == '▓':
		share := map[rune]int{'░': 1, '▒': 2, '▓': 3}[r]
		b.fill(px, py, w, h, blend(bg, fg, share, 4))
	case r == '▔':
		b.fill(px, py, w, max(1, h/8), fg)
	default:
		return false
	}
	return true
}

// braille draws dots; bit order is column by column, the last row apart.
func (b brush) braille(px, py int, r rune, fg color.RGBA) {
	dots := [8][2]int{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}}
	for bit, at := range dots {
		if (r-0x2800)>>bit&1 == 1 {
			b.fill(px+1+at[0]*cellW/2, py+2+at[1]*cellH/4, 3, 3, fg)
		}
	}
}

func (b brush) fill(x, y, w, h int, c color.RGBA) {
	draw.Draw(b.img, image.Rect(x, y, x+w, y+h), image.NewUniform(c), image.Point{}, draw.Src)
}

func rgba(c color.Color, otherwise color.RGBA) color.RGBA {
	if c == nil {
		return otherwise
	}
	r, g, b, _ := c.RGBA()
	return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0xff}
}

func mixed(a, b color.RGBA) color.RGBA { return blend(a, b, 1, 2) }

// blend goes n of m steps from a to b.
func blend(a, b color.RGBA, n, m int) color.RGBA {
	mix := func(x, y uint8) uint8 { return uint8((int(x)*(m-n) + int(y)*n) / m) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}
