package ui

import (
	"strings"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// pipelines is the linked map: each connected part of the account as a tree in
// the direction of flow, with the state of every node.
type pipelines struct {
	list
	pic   *picture
	nodes []mapNode
	l     light
}

// mapNode is one line of the map.
type mapNode struct {
	id    string // the arrow that leads here: a resource may appear twice
	arn   ops.ARN
	stem  string // tree lines before the name
	how   ops.LinkKind
	again bool // its branches are drawn at its first place
	head  bool // begins a pipeline
}

const (
	mapFlow = iota
	mapState
	mapNumber
	mapLoss
)

var pipelineColumns = []table.Column{
	mapFlow:   {ID: "flow", Title: "FLOW", Width: 40, Min: 26, Grow: true},
	mapState:  {ID: "state", Title: "STATE", Width: 6},
	mapNumber: {ID: "number", Title: "LAG/DEPTH", Width: 24, Min: 16, Priority: 2},
	mapLoss:   {ID: "loss", Title: "LOSS IN", Width: 8},
}

func openPipelines(_ *App, _ ops.ARN) screen {
	return &pipelines{list: newList(table.NewFixed(pipelineColumns))}
}

func (s *pipelines) Title() string { return "pipelines" }

func (s *pipelines) Load(p *picture) {
	s.pic = p
	s.nodes = drawnMap(p)
	s.table.Load(mapRows{s})
}

func (s *pipelines) SetFilter(f string) {
	s.parse(f)
	s.table.Reload()
}

func (s *pipelines) Selected() ops.ARN {
	if row := s.table.Row(); row >= 0 {
		return s.nodes[row].arn
	}
	return ""
}

func (s *pipelines) Visible() []ops.ARN {
	var out []ops.ARN
	for _, id := range s.table.Visible() {
		if _, arn, ok := strings.Cut(id, " "); ok {
			out = append(out, ops.ARN(arn))
		}
	}
	return out
}

func (s *pipelines) Draw(c *text.Canvas, height int, l light) {
	s.l = l
	empty := "no links between resources were found"
	if len(s.pic.verdicts) == 0 {
		empty = emptyWords(s.pic)
	}
	s.list.draw(c, height, l, empty)
}

// drawnMap lays every pipeline out as a tree. A node with several feeders is
// drawn whole at its first place and named again at the others.
func drawnMap(p *picture) []mapNode {
	var out []mapNode
	for _, pipe := range p.pipelines {
		w := mapWriter{pic: p, seen: map[ops.ARN]bool{}}
		for _, a := range pipe.Nodes {
			if !w.seen[a] {
				w.write("", a, "", "", "")
			}
		}
		out = append(out, w.nodes...)
	}
	return out
}

type mapWriter struct {
	pic   *picture
	seen  map[ops.ARN]bool
	nodes []mapNode
}

// maxDepth bounds the tree: no real pipeline is deeper, and a narrow screen
// could not show it.
const maxDepth = 24

func (w *mapWriter) write(from, a ops.ARN, stem, below string, how ops.LinkKind) {
	again := w.seen[a]
	w.seen[a] = true
	w.nodes = append(w.nodes, mapNode{
		id:  string(from) + "|" + string(how) + " " + string(a),
		arn: a, stem: stem, how: how, again: again, head: how == "",
	})
	if again || len([]rune(below)) > maxDepth*2 {
		return
	}
	links := w.pic.linksFrom[a]
	for i, l := range links {
		branch, next := "├ ", "│ "
		if i == len(links)-1 {
			branch, next = "└ ", "  "
		}
		w.write(a, l.To, below+branch, below+next, l.Kind)
	}
}

// mapRows is the map as the source of its table.
type mapRows struct{ *pipelines }

func (s mapRows) Len() int                { return len(s.nodes) }
func (s mapRows) ID(row int) string       { return s.nodes[row].id }
func (s mapRows) Compare(a, b, _ int) int { return a - b }

func (s mapRows) Match(row int) bool {
	return s.passes(func(col int) string { return s.cell(&s.nodes[row], col) })
}

func (s *pipelines) cell(n *mapNode, col int) string {
	v, reader := s.pic.verdict(n.arn), s.pic.fanOut[n.arn]
	switch col {
	case mapFlow:
		return s.kind(n, v) + " " + s.name(n) + " " + string(n.how)
	case mapState:
		return string(s.state(n.arn))
	case mapNumber:
		switch {
		case v != nil:
			return v.Headline
		case reader != nil:
			return reader.State + ", behind " + reading(reader.Lag.Last, ops.Seconds)
		case !s.pic.found(n.arn):
			return "not read here"
		}
	case mapLoss:
		if v != nil {
			return lossText(v.Loss)
		}
	}
	return ""
}

func (s *pipelines) kind(n *mapNode, v *alarms.Verdict) string {
	if s.pic.fanOut[n.arn] != nil {
		return "efo" // enhanced fan-out
	}
	return shortKind(n.arn.Kind(), v != nil && v.DeadLetter)
}

func (s *pipelines) name(n *mapNode) string {
	if reader := s.pic.fanOut[n.arn]; reader != nil {
		return reader.Name
	}
	return s.pic.called(n.arn)
}

// state is the word for a node: the verdict's, else whether it was seen at all.
func (s *pipelines) state(a ops.ARN) alarms.State {
	if v := s.pic.verdict(a); v != nil {
		return v.State
	}
	if s.pic.found(a) || s.pic.fanOut[a] != nil {
		return "-"
	}
	return alarms.StateUnknown
}

func (s mapRows) Draw(c *text.Canvas, row, col, width int) {
	n := &s.nodes[row]
	v := s.pic.verdict(n.arn)
	switch col {
	case mapFlow:
		s.drawFlow(c, n, v, width)
	case mapState:
		st := s.state(n.arn)
		c.Cell(string(st), width, s.l.state(st))
	case mapNumber:
		c.Cell(s.cell(n, col), width, text.Style{})
	case mapLoss:
		look := s.l.dim
		if v != nil {
			look = lossLook(s.l, v)
		}
		c.Right(s.cell(n, col), width, look)
	}
}

func (s *pipelines) drawFlow(c *text.Canvas, n *mapNode, v *alarms.Verdict, width int) {
	end := c.Left() - width
	put := func(t string, st text.Style) {
		if room := c.Left() - end; room > 0 {
			c.Cell(t, min(room, text.Width(text.Clean(text.Bound(t, width)))), st)
		}
	}
	put(n.stem, s.l.dim)
	put(s.kind(n, v)+" ", s.l.dim)
	name := text.Style{}
	switch {
	case n.how == ops.LinkDeadLetter:
		name = s.l.ticket
	case n.head:
		name = s.l.strong
	}
	put(s.name(n), name)
	note := ""
	if n.how != "" {
		note = "  " + string(n.how)
	}
	if n.again {
		note += " (shown above)"
	}
	put(note, s.l.dim)
}
