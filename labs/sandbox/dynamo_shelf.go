package sandbox

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// shelf holds items by key: partitions in the order of their key's hash, as a scan
// sees them; in each the items in the order of their range key, as a query does.
// A table is one, and each of its indexes.
type shelf struct {
	byKey map[string]*drawer
	order []*drawer
}

type drawer struct {
	hash uint64
	key  string
	rows []row
}

type row struct {
	place
	it    item
	bytes int
}

// place is where an item stands, in strings that compare as its keys do.
type place struct {
	hash string // the partition
	sort string // "" without a range key
	tie  string // in an index, where keys are not unique: the item's place in its table
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.sort, q.sort), cmp.Compare(p.tie, q.tie))
}

func newShelf() shelf { return shelf{byKey: map[string]*drawer{}} }

func (s *shelf) find(p place) (row, bool) {
	part, ok := s.byKey[p.hash]
	if !ok {
		return row{}, false
	}
	i, ok := part.search(p)
	if !ok {
		return row{}, false
	}
	return part.rows[i], true
}

func (d *drawer) search(p place) (int, bool) {
	return slices.BinarySearchFunc(d.rows, p, func(r row, p place) int { return r.compare(p) })
}

// put lays an item on its place, instead of the one there.
func (s *shelf) put(r row) {
	part, ok := s.byKey[r.hash]
	if !ok {
		part = &drawer{hash: hash64(r.hash), key: r.hash}
		s.byKey[r.hash] = part
		i, _ := s.search(part.hash, part.key)
		s.order = slices.Insert(s.order, i, part)
	}
	i, found := part.search(r.place)
	if found {
		part.rows[i] = r
		return
	}
	part.rows = slices.Insert(part.rows, i, r)
}

func (s *shelf) remove(p place) {
	part, ok := s.byKey[p.hash]
	if !ok {
		return
	}
	i, found := part.search(p)
	if !found {
		return
	}
	if part.rows = slices.Delete(part.rows, i, i+1); len(part.rows) == 0 {
		delete(s.byKey, p.hash)
		j, _ := s.search(part.hash, part.key)
		s.order = slices.Delete(s.order, j, j+1)
	}
}

// search finds the partition in the order of a scan, or where it would be.
func (s *shelf) search(hash uint64, key string) (int, bool) {
	return slices.BinarySearchFunc(s.order, key, func(p *drawer, key string) int {
		return cmp.Or(cmp.Compare(p.hash, hash), cmp.Compare(p.key, key))
	})
}

func hash64(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
