// Package chart draws series of numbers in terminal cells: a sparkline, a bar, a
// braille plot. It knows cells, not colours and not AWS: a cell says whether it
// lies beyond the limit, the caller gives that a look.
//
// Read spark.go, bar.go, plot.go.
package chart

import "math"

// Cell is one character of a drawing.
type Cell struct {
	R   rune
	Hot bool // beyond the limit
	Gap bool // no data here
}

// blocks leaves out the full block: sparklines of two rows must not run together.
var blocks = [...]rune{'▁', '▂', '▃', '▄', '▅', '▆', '▇'}

// Spark appends width cells that show points (a gap is NaN), oldest first. Each
// cell shows the largest of its points, because a short peak must not vanish. A
// value beyond limit is hot; a NaN limit means none. The scale starts at 0, so that
// small numbers look small; only where all points lie far above 0 it starts higher,
// so that the lowest stands at half height and a slope can be seen.
func Spark(dst []Cell, points []float64, width int, limit float64) []Cell {
	if width <= 0 {
		return dst
	}
	top, low := 0.0, math.Inf(1)
	for _, v := range points {
		if finite(v) {
			top, low = max(top, v), min(low, v)
		}
	}
	base := 0.0
	if low > top/2 && low < top*0.995 { // less than half a percent is no slope
		base = low - (top - low)
	}
	for x := range width {
		v := peak(points, x, width)
		switch {
		case math.IsNaN(v):
			dst = append(dst, Cell{R: '·', Gap: true})
		default:
			dst = append(dst, Cell{R: blocks[level(v-base, top-base, len(blocks))], Hot: v > limit})
		}
	}
	return dst
}

// peak returns the largest point that falls into cell x of width cells.
func peak(points []float64, x, width int) float64 {
	n := len(points)
	from, to := x*n/width, (x+1)*n/width
	if n < width { // fewer points than cells: the newest stands at the right edge
		from = x - (width - n)
		to = from + 1
	}
	best := math.NaN()
	for i := max(from, 0); i < min(to, n); i++ {
		if v := points[i]; finite(v) && !(v <= best) {
			best = v
		}
	}
	return best
}

// finite reports whether v is a value: NaN is a gap, an infinity no number.
func finite(v float64) bool { return v-v == 0 }

func level(v, top float64, steps int) int {
	if top <= 0 || v <= 0 {
		return 0
	}
	return min(int(v/top*float64(steps-1)+0.5), steps-1)
}
