package chart

import "math"

// Plot is a line drawing of one series, ready to be printed row by row.
type Plot struct {
	Rows      [][]Cell
	Top       float64 // the value at the upper edge
	Base      float64 // the value at the lower edge: 0, unless all points lie far above it
	LimitRow  int     // the row that the limit runs through, -1 when it is outside or there is none
	HasPoints bool
}

// braille dot bits by column and row of a cell (Unicode 2800 block).
var braille = [2][4]rune{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

// Draw plots points (a gap is NaN, oldest first) into width × height cells of
// 2 × 4 dots each. limit is drawn as a dotted line where it fits in; NaN means
// none. With ascii set, cells are drawn with '*' instead of braille.
func Draw(points []float64, width, height int, limit float64, ascii bool) Plot {
	p := Plot{LimitRow: -1, Rows: make([][]Cell, max(height, 0))}
	for y := range p.Rows {
		p.Rows[y] = make([]Cell, max(width, 0))
		for x := range p.Rows[y] {
			p.Rows[y][x] = Cell{R: ' ', Gap: true}
		}
	}
	if width <= 0 || height <= 0 {
		return p
	}
	low := math.Inf(1)
	for _, v := range points {
		if finite(v) {
			p.HasPoints = true
			p.Top = max(p.Top, v)
			low = min(low, v)
		}
	}
	if limit > 0 && limit > p.Top && limit <= 3*p.Top { // near enough to be worth the room
		p.Top = limit
	}
	if p.Top <= 0 {
		p.Top = 1
	}
	if p.HasPoints && low > p.Top/2 && low < p.Top { // a slope high above 0 would look flat
		p.Base = low - (p.Top-low)/4
	}
	p.limit(limit, width, height)
	p.line(points, width, height, limit, ascii)
	return p
}

func (p *Plot) limit(limit float64, width, height int) {
	if !(limit > p.Base) || limit > p.Top {
		return
	}
	p.LimitRow = p.row(limit, height*4) / 4
	for x := range width {
		p.Rows[p.LimitRow][x] = Cell{R: '─', Gap: true}
	}
}

func (p *Plot) line(points []float64, width, height int, limit float64, ascii bool) {
	last := -1
	for px := range width * 2 {
		v := at(points, px, width*2)
		if !finite(v) {
			last = -1
			continue
		}
		y := p.row(v, height*4)
		from := y
		if last >= 0 { // join the dots, or a steep line falls apart
			from = last
		}
		for dy := min(from, y); dy <= max(from, y); dy++ {
			p.dot(px, dy, v > limit, ascii)
		}
		last = y
	}
}

func (p *Plot) dot(px, py int, hot, ascii bool) {
	c := &p.Rows[py/4][px/2]
	if ascii {
		*c = Cell{R: '*', Hot: hot || c.Hot && c.R == '*'}
		return
	}
	if c.R < 0x2800 || c.R > 0x28FF {
		*c = Cell{R: 0x2800}
	}
	c.R |= braille[px%2][py%4]
	c.Hot = c.Hot || hot
}

func (p *Plot) row(v float64, rows int) int {
	share := (v - p.Base) / (p.Top - p.Base)
	y := int(math.Round((1 - min(max(share, 0), 1)) * float64(rows-1)))
	return min(max(y, 0), rows-1)
}

// at returns the value at dot column px: the peak of its points when there are
// many, the straight line between two points when there are few.
func at(points []float64, px, cols int) float64 {
	n := len(points)
	if n == 0 {
		return math.NaN()
	}
	if n >= cols {
		return peak(points, px, cols)
	}
	if n == 1 {
		return points[0]
	}
	pos := float64(px) * float64(n-1) / float64(cols-1)
	i := min(int(pos), n-2)
	a, b, f := points[i], points[i+1], pos-float64(i)
	switch {
	case f == 0 || !finite(b) && f < 0.5:
		return a
	case !finite(a) && f > 0.5:
		return b
	}
	return a + (b-a)*f
}
