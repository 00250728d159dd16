package ui

import (
	"cmp"
	"strings"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/chart"
	"kxops/ui/table"
	"kxops/ui/text"
)

// overview is the first screen: everything that can lose data, what loses first
// on top.
type overview struct {
	list
	pic   *picture
	l     light
	cells []chart.Cell // reused while drawing
}

// The columns of the overview, in the order of the constants.
const (
	colState = iota
	colKind
	colName
	colNumber
	colLimit
	colSpark
	colTrend
	colLoss
	colAlarm
	colAge
)

var overviewColumns = []table.Column{
	colState:  {ID: "state", Title: "STATE", Width: 6},
	colKind:   {ID: "kind", Title: "KIND", Width: 4},
	colName:   {ID: "name", Title: "RESOURCE", Width: 28, Min: 14, Comfort: 22, Grow: true},
	colNumber: {ID: "number", Title: "LAG/DEPTH", Width: 26, Min: 21},
	colLimit:  {ID: "limit", Title: "vs LIMIT", Width: 13, Min: 11, Priority: 2},
	colSpark:  {ID: "hour", Title: "1h", Width: 30, Min: 8, Priority: 3},
	colTrend:  {ID: "trend", Title: "TREND", Width: 17, Min: 14, Priority: 4},
	colLoss:   {ID: "loss", Title: "LOSS IN", Width: 8, Right: true},
	colAlarm:  {ID: "alarm", Title: "ALARM", Width: 20, Min: 14, Priority: 5},
	colAge:    {ID: "age", Title: "AGE", Width: 6, Priority: 6, Right: true},
}

func openOverview(_ *App, target ops.ARN) screen {
	o := &overview{list: newList(table.New(overviewColumns, "loss"))}
	if target != "" {
		o.table.Seek(string(target))
	}
	return o
}

func (o *overview) Title() string { return "overview" }

func (o *overview) Load(p *picture) {
	o.pic = p
	o.table.Load(overviewRows{o})
}

func (o *overview) SetFilter(s string) {
	o.parse(s)
	o.table.Reload()
}

func (o *overview) Selected() ops.ARN  { return ops.ARN(o.table.Cursor()) }
func (o *overview) Visible() []ops.ARN { return arns(o.table.Visible()) }

func (o *overview) Draw(c *text.Canvas, height int, l light) {
	o.l = l
	o.list.draw(c, height, l, emptyWords(o.pic))
}

// emptyWords says why there is nothing to show: still reading, not allowed, or
// really nothing there. They must never look the same.
func emptyWords(p *picture) string {
	denied, failed := 0, 0
	for _, s := range p.snap.Sections() {
		if s.Problem != nil {
			failed++
			if s.Problem.Fault == ops.FaultDenied {
				denied++
			}
		}
	}
	switch {
	case denied > 0 && denied == failed:
		return "denied: this identity may not list resources here (the sentence below says which); kxops policy look prints what it needs"
	case failed > 0:
		return "nothing could be read; the sentence below says why"
	case !p.read() || p.snap.At.IsZero():
		return "reading the account…"
	}
	return "no streams, deliveries or queues in this region; R switches to another"
}

// overviewRows is the overview as the source of its table.
type overviewRows struct{ *overview }

func (o overviewRows) Len() int          { return len(o.pic.verdicts) }
func (o overviewRows) ID(row int) string { return string(o.pic.verdicts[row].ARN) }

func (o overviewRows) Draw(c *text.Canvas, row, col, width int) { o.drawCell(c, row, col, width) }

// Match looks at the words that are drawn, so that what is filtered is what is seen.
func (o overviewRows) Match(row int) bool {
	return o.passes(func(col int) string {
		v := &o.pic.verdicts[row]
		if col == colKind {
			return o.cell(v, col) + " " + string(v.Kind)
		}
		return o.cell(v, col)
	})
}

func (o *overview) cell(v *alarms.Verdict, col int) string {
	switch col {
	case colState:
		return string(v.State)
	case colKind:
		return shortKind(v.Kind, v.DeadLetter)
	case colName:
		return v.Name
	case colNumber:
		return v.Headline
	case colLimit:
		return v.Limit
	case colTrend:
		return trendText(v.Loss)
	case colLoss:
		return lossText(v.Loss)
	case colAlarm:
		return alarmText(v, o.l)
	case colAge:
		return o.age(v)
	}
	return ""
}

// Compare orders rows, worst first. The verdicts come in the judge's order (who
// needs a person first, then the shortest time to loss), which is the order of
// the loss column and decides between equals in all others: the same list as
// `kxops status` prints.
func (o overviewRows) Compare(i, j, col int) int {
	a, b := &o.pic.verdicts[i], &o.pic.verdicts[j]
	by := 0
	switch col {
	case colState:
		by = cmp.Compare(stateRank(a.State), stateRank(b.State))
	case colKind:
		by = cmp.Compare(shortKind(a.Kind, a.DeadLetter), shortKind(b.Kind, b.DeadLetter))
	case colName:
		by = strings.Compare(a.Name, b.Name)
	case colNumber, colSpark:
		by = -cmp.Compare(a.Spark.Last.Or(-1), b.Spark.Last.Or(-1))
	case colLimit:
		by = -cmp.Compare(a.Share.Or(-1), b.Share.Or(-1))
	case colTrend:
		by = -cmp.Compare(a.Loss.Slope.Or(-1e18), b.Loss.Slope.Or(-1e18))
	case colAlarm:
		by = -cmp.Compare(ringing(a), ringing(b))
	case colAge:
		by = a.At.Compare(b.At)
	}
	return cmp.Or(by, cmp.Compare(i, j))
}

func ringing(v *alarms.Verdict) int {
	for _, x := range v.Alarms {
		if x.State == "ALARM" {
			return 2
		}
	}
	return min(len(v.Alarms), 1)
}

func stateRank(s alarms.State) int {
	switch s {
	case alarms.StatePage:
		return 0
	case alarms.StateTicket:
		return 1
	case alarms.StateDenied:
		return 2
	case alarms.StateUnknown:
		return 3
	case alarms.StateOK:
		return 4
	}
	return 5
}

// rowStale is the age from which a number is drawn dimmed.
const rowStale = 5 * 60 // seconds

func (o *overview) drawCell(c *text.Canvas, row, col, width int) {
	v, l := &o.pic.verdicts[row], o.l
	look := text.Style{}
	if o.pic.snap.Recalled || v.State == alarms.StateAsleep || !v.At.IsZero() && l.now.Sub(v.At).Seconds() > rowStale {
		look = l.dim
	}
	switch col {
	case colState:
		c.Cell(string(v.State), width, l.state(v.State))
	case colKind:
		c.Cell(shortKind(v.Kind, v.DeadLetter), width, l.dim)
	case colName:
		if v.State == alarms.StatePage {
			look = l.strong
		}
		c.Cell(v.Name, width, look)
	case colNumber:
		c.Cell(v.Headline, width, look)
	case colLimit:
		o.drawLimit(c, v, width)
	case colSpark:
		o.drawSpark(c, v, width)
	case colTrend:
		c.Cell(trendText(v.Loss), width, motionLook(l, v.Loss.Motion))
	case colLoss:
		c.Right(lossText(v.Loss), width, lossLook(l, v))
	case colAlarm:
		c.Cell(alarmText(v, l), width, alarmLook(l, v))
	case colAge:
		c.Right(o.age(v), width, l.dim)
	}
}

// age is how old the deciding number is; a sleeping queue has none to be old.
func (o *overview) age(v *alarms.Verdict) string {
	if v.At.IsZero() && v.State == alarms.StateAsleep {
		return "-"
	}
	return age(v.At, o.l.now)
}

func motionLook(l light, m ops.Motion) text.Style {
	switch m {
	case ops.MotionStopped, ops.MotionBehind, ops.MotionGrowing:
		return l.ticket
	case ops.MotionCatching, ops.MotionDraining:
		return l.good
	}
	return l.dim
}

func lossLook(l light, v *alarms.Verdict) text.Style {
	if _, known := v.Loss.In.Value(); !known {
		return l.dim
	}
	switch v.State {
	case alarms.StatePage:
		return l.page
	case alarms.StateTicket:
		return l.ticket
	}
	return l.dim
}

func alarmLook(l light, v *alarms.Verdict) text.Style {
	if ringing(v) == 2 {
		return l.page
	}
	return l.dim
}

// percentWidth is the room for " 140%" beside the bar.
const percentWidth = 5

// drawLimit draws how much of the limit is used: a bar and the percentage.
func (o *overview) drawLimit(c *text.Canvas, v *alarms.Verdict, width int) {
	share, known := v.Share.Value()
	if !known {
		word := v.Limit
		if word == "" {
			word = "-"
		}
		c.Cell(word, width, o.l.dim)
		return
	}
	bar := max(width-percentWidth, 1)
	o.cells = chart.Bar(o.cells[:0], share, bar)
	drawCells(c, o.cells, o.l.state(v.State), o.l.hot, o.l.dim)
	c.Right(percent(share), width-bar, o.l.state(v.State))
}

func (o *overview) drawSpark(c *text.Canvas, v *alarms.Verdict, width int) {
	o.cells = chart.Spark(o.cells[:0], v.Spark.Hour.Points, width, limitOf(v.Threshold))
	drawCells(c, o.cells, o.l.cool, o.l.hot, o.l.dim)
}

// drawCells draws the cells of a chart, each in the look of what it means.
func drawCells(c *text.Canvas, cells []chart.Cell, normal, hot, none text.Style) {
	for _, x := range cells {
		switch {
		case x.Gap:
			c.Rune(x.R, none)
		case x.Hot:
			c.Rune(x.R, hot)
		default:
			c.Rune(x.R, normal)
		}
	}
}
