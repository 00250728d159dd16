package payload

import (
	"errors"
	"strconv"

	"kxops/ops"
)

var kplAggregate = layer{
	name: "KPL aggregate",
	says: "The Kinesis Producer Library put several records into one; each has a partition key of its own.",
	open: openKPL,
}

const shownKeys = 8

func openKPL(in *input) (ops.Layer, bool) {
	records, err := UserRecords(in.body)
	if errors.Is(err, ErrNotAggregate) {
		return ops.Layer{}, false
	}
	f := make(facts, 0, shownKeys+2)
	if err != nil {
		f.add("Damaged", err.Error())
		return ops.Layer{Facts: f}, true
	}
	var l ops.Layer
	f.add("Records", strconv.Itoa(len(records)))
	seen := map[string]bool{}
	for _, r := range records {
		if len(l.Parts) < maxParts {
			l.Parts = append(l.Parts, r.Data)
		}
		if !seen[r.Key] && len(seen) < shownKeys {
			f.add("Partition key", r.Key)
		}
		seen[r.Key] = true
	}
	if len(seen) > shownKeys {
		f.add("Partition keys", strconv.Itoa(len(seen)))
	}
	l.Facts = f
	return l, true
}
