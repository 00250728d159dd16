package dlq

import (
	"fmt"
	"slices"
	"strings"

	"kxops/ops"
)

// Sifted is what a selection found, and what it could not decide.
type Sifted struct {
	Letters []ops.Letter
	Failed  int    // messages on which the jq filter failed: not selected
	NotJSON int    // messages whose innermost body is not JSON: not selected by jq
	Why     string // the first failure
}

// Select returns the letters of the pile that the selection means. The error
// says what is wrong with the selection: jq with its position, an unknown cause
// key or message id with the nearest ones.
func (p *Pile) Select(s ops.Selection) ([]ops.Letter, error) {
	found, err := p.Sift(s)
	return found.Letters, err
}

// Sift is Select that also tells on how many messages a filter failed.
func (p *Pile) Sift(s ops.Selection) (Sifted, error) {
	if s.Empty() {
		return Sifted{}, &ops.Problem{Fault: ops.FaultOther, What: "nothing is selected", Hint: "name a group, a filter or message ids, or say all"}
	}
	letters := p.Letters()
	all, filter, err := p.selection(s, letters)
	if err != nil {
		return Sifted{}, err
	}
	var found Sifted
	for i := range letters {
		if all.match(letters[i]) {
			found.Letters = append(found.Letters, letters[i])
		}
	}
	if filter != nil {
		found.Failed, found.NotJSON = filter.failed, filter.notJSON
		if filter.first != nil {
			found.Why = filter.first.Error()
		}
		if len(found.Letters) == 0 && filter.failed > 0 {
			return found, &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("the jq filter selects nothing and fails on %d messages: %s", filter.failed, found.Why),
				Hint: "a field that is missing in some bodies needs a ? behind it: .items[]?.sku", Err: filter.first}
		}
	}
	return found, nil
}

// selection makes the tests of a selection: cheap ones first, jq last.
func (p *Pile) selection(s ops.Selection, letters []ops.Letter) (*tests, *query, error) {
	all := &tests{pile: p}
	if len(s.IDs) > 0 {
		wanted, err := idsIn(s.IDs, letters)
		if err != nil {
			return nil, nil, err
		}
		all.add(test{letter: func(l ops.Letter) bool { return wanted[l.ID] }})
	}
	if s.Cause != "" {
		keys, err := p.keysOf(s.Cause)
		if err != nil {
			return nil, nil, err
		}
		all.add(causeTest(keys))
	}
	if s.Source != "" {
		if err := sourceIn(string(s.Source), letters); err != nil {
			return nil, nil, err
		}
		all.add(sourceTest(string(s.Source)))
	}
	if s.OlderThan > 0 {
		all.add(p.ageTest(">", s.OlderThan))
	}
	if s.NewerThan > 0 {
		all.add(p.ageTest("<", s.NewerThan))
	}
	if s.Attribute != "" {
		all.add(attributeTest(s.Attribute))
	}
	if s.Contains != "" {
		needle := []byte(strings.ToLower(s.Contains))
		all.add(test{open: func(o *opened) bool { return o.contains(needle) }})
	}
	if s.Filter == "" {
		return all, nil, nil
	}
	filter, err := compile(s.Filter)
	if err != nil {
		return nil, nil, err
	}
	all.add(test{open: filter.holds})
	return all, filter, nil
}

// keysOf finds the cause keys that a group's key stands for: its own, and where
// shapes were folded into one group all of that group. A key as a letter has it
// always works.
func (p *Pile) keysOf(key string) ([]string, error) {
	letters := p.Letters()
	for i := range letters {
		if c := letters[i].Cause; c != nil && c.Key == key {
			return []string{key}, nil
		}
	}
	var names []string
	for _, g := range Groups(letters) {
		if g.Cause.Key == key {
			return g.Keys, nil
		}
		names = append(names, g.Cause.Key)
	}
	problem := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("no group %q among the %d messages that were looked at", key, len(letters))}
	if near := ops.Nearest(key, names, 3); len(near) > 0 {
		problem.Hint = "the nearest groups are " + strings.Join(near, ", ")
	}
	return nil, problem
}

// idsIn checks that every id was seen. A part of an id is not enough: it could mean two messages.
func idsIn(ids []string, letters []ops.Letter) (map[string]bool, error) {
	seen := make(map[string]bool, len(letters))
	for i := range letters {
		seen[letters[i].ID] = true
	}
	wanted := make(map[string]bool, len(ids))
	var missing []string
	for _, id := range ids {
		if seen[id] {
			wanted[id] = true
		} else if !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return wanted, nil
	}
	names := make([]string, 0, len(seen))
	for id := range seen {
		names = append(names, id)
	}
	slices.Sort(names)
	problem := &ops.Problem{Fault: ops.FaultNotFound}
	if len(missing) == 1 {
		problem.What = fmt.Sprintf("message %s is not among the %d that were looked at", missing[0], len(letters))
	} else {
		problem.What = fmt.Sprintf("%d of the %d messages named are not among the %d that were looked at: %s", len(missing), len(ids), len(letters),
			strings.Join(missing[:min(len(missing), 5)], ", "))
	}
	if near := ops.Nearest(missing[0], names, 3); len(near) > 0 {
		problem.Hint = "nearest to " + missing[0] + ": " + strings.Join(near, ", ")
	}
	return nil, problem
}

// sourceIn refuses a source that no letter has: a mistyped name must not look like "nothing failed".
func sourceIn(want string, letters []ops.Letter) error {
	var names []string
	for i := range letters {
		if fromSource(letters[i], want) {
			return nil
		}
		if s := letters[i].Source; s != "" && !slices.Contains(names, s.Name()) {
			names = append(names, s.Name())
		}
	}
	problem := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("none of the %d messages names %s as its source", len(letters), want)}
	if len(names) == 0 {
		problem.Hint = "none of them names a source: they were not sent here by a redrive policy"
	} else {
		problem.Hint = "sources: " + strings.Join(ops.Nearest(want, names, 5), ", ")
	}
	return problem
}
