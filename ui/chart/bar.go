package chart

// Bar appends width cells that show share (0 to 1; more fills the bar). Whatever
// is above 0 shows at least one cell. The whole bar is hot from share 1 on.
func Bar(dst []Cell, share float64, width int) []Cell {
	full := 0
	if share > 0 {
		full = min(max(int(share*float64(width)+0.5), 1), width)
	}
	for i := range width {
		r := '─'
		if i < full {
			r = '━'
		}
		dst = append(dst, Cell{R: r, Hot: share >= 1, Gap: i >= full})
	}
	return dst
}
