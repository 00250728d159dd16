package dlq

import (
	"fmt"
	"slices"
	"strings"
)

// Where messages do not say why they are here, optional fields make many shapes of
// one cause: with five of them, 32. Folding is done on a whole pile, for display and
// selection; the letters keep their keys. It depends on the pile's content only,
// not on its order.
const (
	// foldOver is how many shapes one origin and event may have before fields are
	// looked for that come and go. Up to that many a field that is missing is a cause.
	foldOver = 3
	// foldTextsOver is the same for messages of one type and frame: more than that
	// many texts hold a word that is data ("no such user: anna").
	foldTextsOver = 6
	// gain is the share of shapes or texts that must fall together for a field to be
	// taken for one that comes and goes. A field that means something (the zip that one
	// cause lacks, while another has a text for a total) makes none fall together.
	gain = 0.3
	// rare is the share of a family's letters under which a field does not count.
	rare = 0.01
)

// fold puts groups together that differ only in what comes and goes.
func fold(groups []*pileOf) []*pileOf {
	families := map[string][]*pileOf{}
	for _, g := range groups {
		families[g.Cause.Family] = append(families[g.Cause.Family], g)
	}
	var out []*pileOf
	for _, name := range sortedKeys(families) {
		family := families[name]
		slices.SortFunc(family, func(a, b *pileOf) int { return strings.Compare(a.Cause.Key, b.Cause.Key) })
		switch {
		case len(family) > foldTextsOver && family[0].Cause.Stated:
			family = foldTexts(family)
		case manyShapes(family) && !family[0].Cause.Stated && family[0].Cause.Fields != nil:
			family = foldShapes(family)
		}
		out = append(out, family...)
	}
	return out
}

// A group is odd in its family when it is both small and a small part of it: nobody
// is described by what differs from it, and it alone does not begin a folding.
const (
	fewLetters = 3
	fewShare   = 0.1
)

// parted parts a family into groups that others can be compared with, and odd ones.
func parted(family []*pileOf) (usual, odd []*pileOf) {
	letters := 0
	for _, g := range family {
		letters += g.Count
	}
	for _, g := range family {
		if g.Count < fewLetters && float64(g.Count) < fewShare*float64(letters) {
			odd = append(odd, g)
		} else {
			usual = append(usual, g)
		}
	}
	return usual, odd
}

// manyShapes reports whether a family has so many shapes that some must come of
// optional fields. One odd message more changes nothing for the others: neither
// their groups nor their keys. Many small groups are no oddity.
func manyShapes(family []*pileOf) bool {
	usual, odd := parted(family)
	return len(usual) > foldOver || len(odd) > foldOver
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// foldShapes drops, one after the other, the field whose absence makes most shapes
// fall together, as long as that is many. A field that has two kinds of values is
// never dropped: a total that is a text for some is what to look for.
func foldShapes(family []*pileOf) []*pileOf {
	letters, counts := 0, map[string]int{}
	kinds := map[string]string{}
	two := map[string]bool{}
	for _, g := range family {
		letters += g.Count
		for _, f := range g.Cause.Fields {
			counts[f] += g.Count
			path, kind, _ := cutKind(f)
			if k, ok := kinds[path]; ok && k != kind {
				two[path] = true
			}
			kinds[path] = kind
		}
	}
	var optional []string // that some have
	dropped := map[string]bool{}
	for _, f := range sortedKeys(counts) {
		path, _, _ := cutKind(f)
		switch n := counts[f]; {
		case n == letters || two[path]:
		case float64(n) < rare*float64(letters):
			dropped[f] = true
		case float64(n) > (1-rare)*float64(letters) && len(optional) > 64:
			// nearly everybody has it, and there is too much to look through
		default:
			optional = append(optional, f)
		}
	}
	shapes := func(without string) int {
		seen := map[string]bool{}
		for _, g := range family {
			seen[remaining(g.Cause.Fields, dropped, without)] = true
		}
		return len(seen)
	}
	optional = parents(optional)
	for now := shapes(""); now > 2 && len(optional) > 0 && len(family) <= 2000; {
		best, at := now, -1
		for i, f := range optional {
			if n := shapes(f); n < best {
				best, at = n, i
			}
		}
		if at < 0 || float64(now-best) < gain*float64(now) {
			break
		}
		f := optional[at]
		dropped[f] = true
		path, _, _ := cutKind(f)
		for other := range counts { // what is below a field goes with it
			if strings.HasPrefix(other, path+".") || strings.HasPrefix(other, path+"[]") {
				dropped[other] = true
			}
		}
		optional = slices.Delete(optional, at, at+1)
		now = shapes("")
	}
	if len(dropped) == 0 {
		return family
	}
	return together(family, func(g *pileOf) string { return remaining(g.Cause.Fields, dropped, "") }, func(g *pileOf) {
		g.Cause.Fields = slices.DeleteFunc(slices.Clone(g.Cause.Fields), func(f string) bool { return dropped[f] })
		g.Cause.Key = prefixOf(g.Cause.Key) + "-" + code(g.Cause.Family, strings.Join(g.Cause.Fields, "\n"))
		g.note = fmt.Sprintf("%d shapes that differ in fields that come and go", len(g.Keys))
	})
}

// parents leaves out fields below a field that comes and goes itself.
func parents(optional []string) []string {
	paths := map[string]bool{}
	for _, f := range optional {
		path, _, _ := cutKind(f)
		paths[path] = true
	}
	return slices.DeleteFunc(optional, func(f string) bool {
		path, _, _ := cutKind(f)
		for i := len(path) - 1; i > 0; i-- {
			if (path[i] == '.' || path[i] == '[') && paths[path[:i]] {
				return true
			}
		}
		return false
	})
}

// remaining is what tells shapes apart when fields are dropped, and without one and what is below it.
func remaining(fields []string, dropped map[string]bool, without string) string {
	path, _, _ := cutKind(without)
	var b strings.Builder
	for _, f := range fields {
		if dropped[f] || without != "" && (f == without || strings.HasPrefix(f, path+".") || strings.HasPrefix(f, path+"[]")) {
			continue
		}
		b.WriteString(f)
		b.WriteByte('\n')
	}
	return b.String()
}

// cutKind parts "items[].sku string"; keys may hold blanks, kinds do not.
func cutKind(field string) (path, kind string, ok bool) {
	at := strings.LastIndexByte(field, ' ')
	if at < 0 {
		return field, "", false
	}
	return field[:at], field[at+1:], true
}

// foldTexts masks the words in which many texts of one type and frame differ.
func foldTexts(family []*pileOf) []*pileOf {
	words := make([][]string, len(family))
	lengths := map[int][]int{}
	for i, g := range family {
		words[i] = strings.Fields(g.Cause.Text)
		lengths[len(words[i])] = append(lengths[len(words[i])], i)
	}
	changed := false
	for _, members := range lengths {
		if len(members) <= foldTextsOver {
			continue
		}
		distinct := func(without int) int {
			seen := map[string]bool{}
			for _, i := range members {
				seen[strings.Join(words[i][:without], " ")+"\x00"+strings.Join(words[i][min(without+1, len(words[i])):], " ")] = true
			}
			return len(seen)
		}
		width := len(words[members[0]])
		if width < 2 {
			continue // the word is all there is: KeyError 'zip'
		}
		for now, masked := len(members), 0; now > 1 && masked < width/2+1; masked++ {
			best, at := now, -1
			for column := range width {
				if n := distinct(column); n < best {
					best, at = n, column
				}
			}
			if at < 0 || now-best < foldTextsOver/2 || float64(now-best) < gain*float64(now) {
				break
			}
			for _, i := range members {
				words[i][at] = "<…>"
			}
			changed = true
			now = distinct(at)
		}
	}
	if !changed {
		return family
	}
	text := map[*pileOf]string{}
	for i, g := range family {
		text[g] = strings.Join(words[i], " ")
	}
	return together(family, func(g *pileOf) string { return text[g] }, func(g *pileOf) {
		g.Cause.Title = strings.Replace(g.Cause.Title, g.Cause.Text, text[g], 1)
		g.Cause.Text = text[g]
		g.Cause.Key = prefixOf(g.Cause.Key) + "-" + code(g.Cause.Family, g.Cause.Text)
	})
}

// together joins the groups with the same name; change is called for those that got company.
func together(family []*pileOf, name func(*pileOf) string, change func(*pileOf)) []*pileOf {
	byName := map[string][]*pileOf{}
	for _, g := range family {
		n := name(g)
		byName[n] = append(byName[n], g)
	}
	var out []*pileOf
	for _, n := range sortedKeys(byName) {
		same := byName[n]
		g := same[0]
		for _, o := range same[1:] {
			g.take(o)
		}
		if len(same) > 1 {
			change(g)
		}
		out = append(out, g)
	}
	return out
}

func prefixOf(key string) string {
	if at := strings.LastIndexByte(key, '-'); at > 0 {
		return key[:at]
	}
	return key
}

// maxDifferences is how many differences a title tells.
const maxDifferences = 3

// explain adds to the titles of groups that are told apart by their shape what is
// different about them: that is the "why" when no message states one.
func explain(groups []*pileOf) {
	families := map[string][]*pileOf{}
	for _, g := range groups {
		if !g.Cause.Stated && g.Cause.Fields != nil {
			families[g.Cause.Family] = append(families[g.Cause.Family], g)
		}
	}
	for _, family := range families {
		for _, g := range family {
			switch found := differences(g, family); {
			case len(found) > 0:
				g.Cause.Title += ": " + strings.Join(found, ", ")
			case g.Cause.Event == "" || len(family) > 1:
				g.Cause.Title += ": " + outline(g.Cause.Fields)
			}
			if g.note != "" {
				g.Cause.Title += " (" + g.note + ")"
			}
		}
	}
}

// differences says in words what a group's bodies have otherwise than all other
// letters of its family, most telling first; odd groups are no measure.
func differences(g *pileOf, family []*pileOf) []string {
	if len(family) < 2 || len(family) > 200 {
		return nil
	}
	others := map[string]map[string]int{} // path -> kind -> letters
	total := 0
	reference, _ := parted(family)
	if len(reference) == 0 {
		reference = family
	}
	if len(reference) == 1 && reference[0] == g {
		return nil // the others are odd, not it
	}
	for _, o := range reference {
		if o == g {
			continue
		}
		total += o.Count
		for _, f := range o.Cause.Fields {
			path, kind, _ := cutKind(f)
			if others[path] == nil {
				others[path] = map[string]int{}
			}
			others[path][kind] += o.Count
		}
	}
	mine := map[string][]string{}
	for _, f := range g.Cause.Fields {
		path, kind, _ := cutKind(f)
		mine[path] = append(mine[path], kind)
	}
	var odd, missing, extra []string
	for _, path := range sortedKeys(mine) {
		kinds, known := others[path]
		if !known {
			if _, below := others[parentOf(path)]; below || parentOf(path) == "" {
				extra = append(extra, path+" is only here")
			}
			continue
		}
		for _, kind := range mine[path] {
			usual := mostOf(kinds)
			// Of two kinds the text, the null and the emptiness are the odd ones, whichever is more frequent.
			if kinds[kind] == 0 && usual != "" && oddness(kind) > oddness(usual) {
				odd = append(odd, fmt.Sprintf("%s is %s (others: %s)", path, article(kind), usual))
			}
		}
	}
	for _, path := range sortedKeys(others) {
		n := 0
		for _, c := range others[path] {
			n = max(n, c)
		}
		if _, have := mine[path]; have || 2*n <= total {
			continue
		}
		if _, parent := mine[parentOf(path)]; parent || parentOf(path) == "" {
			if array, ok := strings.CutSuffix(path, "[]"); ok {
				missing = append(missing, array+" is empty")
			} else {
				missing = append(missing, path+" is missing")
			}
		}
	}
	found := append(odd, missing...)
	if len(found) == 0 {
		found = extra
	}
	if len(found) > maxDifferences {
		found = append(found[:maxDifferences-1:maxDifferences-1], fmt.Sprintf("%d more differences", len(found)-maxDifferences+1))
	}
	return found
}

func oddness(kind string) int {
	switch kind {
	case "null":
		return 3
	case "string":
		return 2
	case "bool":
		return 1
	}
	return 0
}

func article(kind string) string {
	switch kind {
	case "null":
		return "null"
	case "object", "array":
		return "an " + kind
	}
	return "a " + kind
}

func mostOf(kinds map[string]int) string {
	best := ""
	for _, k := range sortedKeys(kinds) {
		if best == "" || kinds[k] > kinds[best] {
			best = k
		}
	}
	return best
}

// parentOf is the path one level up, "" for the top.
func parentOf(path string) string {
	if array, ok := strings.CutSuffix(path, "[]"); ok {
		return array
	}
	if at := strings.LastIndexByte(path, '.'); at >= 0 {
		return path[:at]
	}
	return ""
}

// outline names the first fields of a body.
func outline(fields []string) string {
	var top []string
	for _, f := range fields {
		path, _, _ := cutKind(f)
		if !strings.ContainsAny(path, ".[") && !slices.Contains(top, path) {
			top = append(top, path)
		}
	}
	if len(top) > 5 {
		return strings.Join(top[:5], ", ") + ", …"
	}
	return strings.Join(top, ", ")
}
