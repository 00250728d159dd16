package chart

import (
	"math"
	"strings"
	"testing"
)

var gap = math.NaN()

func draw(cells []Cell) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteRune(c.R)
	}
	return b.String()
}

func TestSpark(t *testing.T) {
	for name, x := range map[string]struct {
		points []float64
		width  int
		want   string
	}{
		"rising":                    {[]float64{0, 1, 2, 3, 4, 5, 6}, 7, "▁▂▃▄▅▆▇"},
		"the newest is right":       {[]float64{1, 2}, 4, "··▄▇"},
		"a peak survives":           {[]float64{0, 0, 0, 9, 0, 0, 0, 0}, 4, "▁▇▁▁"},
		"a gap is no zero":          {[]float64{1, gap, 1, 0}, 4, "▇·▇▁"},
		"nothing at all":            {nil, 3, "···"},
		"all zero is flat":          {[]float64{0, 0, 0}, 3, "▁▁▁"},
		"no room":                   {[]float64{1}, 0, ""},
		"negatives lie at the foot": {[]float64{-5, 1}, 2, "▁▇"},
		"infinity is no value":      {[]float64{math.Inf(1), 1}, 2, "·▇"},
		"many points, few cells":    {[]float64{1, 1, 1, 1, 1, 4, 1, 1, 1, 1}, 2, "▃▇"},
		"gaps beside values":        {[]float64{gap, 2, gap, gap}, 2, "▇·"},
		"one point fills one cell":  {[]float64{3}, 3, "··▇"},
		"a slope high above zero":   {[]float64{100, 102, 104}, 3, "▄▆▇"},
		"a plateau stays flat":      {[]float64{1000, 1001, 1002}, 3, "▇▇▇"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := draw(Spark(nil, x.points, x.width, gap)); got != x.want {
				t.Errorf("got %s, want %s", got, x.want)
			}
		})
	}
}

func TestSparkIsHotBeyondTheLimit(t *testing.T) {
	cells := Spark(nil, []float64{1, 5, 6}, 3, 5)
	if cells[0].Hot || cells[1].Hot || !cells[2].Hot {
		t.Errorf("only 6 lies beyond 5: %+v", cells)
	}
}

func TestBar(t *testing.T) {
	for _, x := range []struct {
		share float64
		want  string
	}{{0, "────"}, {0.001, "━───"}, {0.5, "━━──"}, {0.99, "━━━━"}, {3, "━━━━"}, {-1, "────"}} {
		if got := draw(Bar(nil, x.share, 4)); got != x.want {
			t.Errorf("Bar(%v) = %s, want %s", x.share, got, x.want)
		}
	}
	if Bar(nil, 0.99, 4)[0].Hot || !Bar(nil, 1, 4)[0].Hot {
		t.Error("a bar is hot from a share of 1 on")
	}
}

func TestPlotRises(t *testing.T) {
	p := Draw([]float64{0, 10}, 4, 2, gap, false)
	if got := draw(p.Rows[0]) + "\n" + draw(p.Rows[1]); got != "  ⢀⡰\n⡰⠊⠁ " && !strings.Contains(got, "⠁") {
		t.Errorf("plot:\n%s", got)
	}
	left, right := p.Rows[1][0], p.Rows[0][3]
	if left.Gap || right.Gap || !p.Rows[0][0].Gap || !p.Rows[1][3].Gap {
		t.Errorf("the line must run from lower left to upper right: %v", p.Rows)
	}
}

func TestPlotScale(t *testing.T) {
	if p := Draw([]float64{900, 1000}, 4, 4, gap, false); p.Base != 875 || p.Top != 1000 {
		t.Errorf("a high plateau is drawn from %v to %v", p.Base, p.Top)
	}
	if p := Draw([]float64{1, 1000}, 4, 4, gap, false); p.Base != 0 {
		t.Errorf("base is %v, want 0", p.Base)
	}
	if p := Draw([]float64{1, 10}, 4, 4, 20, false); p.Top != 20 || p.LimitRow != 0 {
		t.Errorf("a near limit belongs into the drawing: top %v, row %d", p.Top, p.LimitRow)
	}
	if p := Draw([]float64{1, 10}, 4, 4, 900, false); p.Top != 10 || p.LimitRow != -1 {
		t.Errorf("a far limit must not flatten the line: top %v, row %d", p.Top, p.LimitRow)
	}
	if p := Draw([]float64{gap, gap}, 4, 4, gap, false); p.HasPoints {
		t.Error("gaps are no points")
	}
}

func TestPlotASCII(t *testing.T) {
	p := Draw([]float64{0, 1, 2, 3}, 8, 3, gap, true)
	for _, row := range p.Rows {
		for _, c := range row {
			if c.R != '*' && c.R != ' ' {
				t.Fatalf("%q is not ASCII", c.R)
			}
		}
	}
}

func FuzzPlot(f *testing.F) {
	f.Add(3.0, -2.0, 1e300, 10, 3, 5.0)
	f.Add(math.Inf(1), math.NaN(), 0.0, 1, 1, math.NaN())
	f.Fuzz(func(t *testing.T, a, b, c float64, width, height int, limit float64) {
		width, height = width%100, height%30
		p := Draw([]float64{a, b, c, a}, width, height, limit, false)
		if len(p.Rows) != max(height, 0) {
			t.Fatalf("%d rows of %d", len(p.Rows), height)
		}
		for _, row := range p.Rows {
			if len(row) != max(width, 0) {
				t.Fatalf("a row of %d cells, want %d", len(row), width)
			}
		}
		if n := len(Spark(nil, []float64{a, b, c}, width, limit)); n != max(width, 0) {
			t.Fatalf("spark of %d cells, want %d", n, width)
		}
	})
}
