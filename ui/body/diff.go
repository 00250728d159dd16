package body

// Change is a line of a comparison.
type Change struct {
	Sign byte // ' ' in both, '-' only before, '+' only after
	Text string
}

// maxDiff bounds the table of a comparison; beyond it the middle is shown as one block.
const maxDiff = 1 << 22

// Diff compares two texts line by line, shortest way first. around is how many
// lines that are in both stand about each change.
func Diff(before, after []string, around int) []Change {
	head := 0
	for head < len(before) && head < len(after) && before[head] == after[head] {
		head++
	}
	tail := 0
	for tail < len(before)-head && tail < len(after)-head && before[len(before)-1-tail] == after[len(after)-1-tail] {
		tail++
	}
	var all []Change
	for _, s := range before[:head] {
		all = append(all, Change{' ', s})
	}
	all = append(all, middle(before[head:len(before)-tail], after[head:len(after)-tail])...)
	for _, s := range before[len(before)-tail:] {
		all = append(all, Change{' ', s})
	}
	return near(all, around)
}

// middle compares what differs at both ends by the longest common subsequence.
func middle(a, b []string) []Change {
	var out []Change
	if len(a)*len(b) > maxDiff {
		for _, s := range a {
			out = append(out, Change{'-', s})
		}
		for _, s := range b {
			out = append(out, Change{'+', s})
		}
		return out
	}
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width) // of a[i:] and b[j:]
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, Change{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[(i+1)*width+j] >= common[i*width+j+1]:
			out = append(out, Change{'-', a[i]})
			i++
		default:
			out = append(out, Change{'+', b[j]})
			j++
		}
	}
	return out
}

// near keeps the changes and the lines about them.
func near(all []Change, around int) []Change {
	keep := make([]bool, len(all))
	for i, c := range all {
		if c.Sign == ' ' {
			continue
		}
		for j := max(i-around, 0); j <= min(i+around, len(all)-1); j++ {
			keep[j] = true
		}
	}
	var out []Change
	for i, c := range all {
		if keep[i] {
			out = append(out, c)
		}
	}
	return out
}

// Lines are the visible lines of a document as text, for a comparison.
func (d *Doc) Lines() []string {
	out := make([]string, 0, d.Len())
	for i := range d.Len() {
		l := d.Line(i)
		s := make([]byte, 2*l.Indent, 2*l.Indent+40)
		for j := range s {
			s[j] = ' '
		}
		for _, p := range l.Spans {
			s = append(s, p.Text...)
		}
		out = append(out, string(s))
	}
	return out
}
