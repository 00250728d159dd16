package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kxops/ops"
)

// An old event that is replayed behind a newer one of its key may overwrite what that
// did. So a plan for a window that is over reads on behind it, within bounds, and counts
// what came later for the keys that are meant.

const (
	newerRecords = 20_000
	newerTime    = 10 * time.Second
)

// newer counts, and says so in the plan. keys are those of the records that were tried
// and are meant; whole: no other is meant. It returns the counts by key.
func (d *Desk) newer(ctx context.Context, plan *ops.ReplayPlan, src source, keys map[string]bool, whole bool) map[string]int {
	until := plan.Select.Until
	if plan.From.Kind != ops.KindStream || until.IsZero() || !until.Before(plan.Created) {
		return nil
	}
	for _, k := range plan.Select.Keys {
		keys[k] = true
	}
	delete(keys, "")
	if len(keys) == 0 {
		return nil
	}
	n := ops.ReplayNewer{Known: len(keys)}
	if !whole && len(plan.Select.Keys) == 0 {
		n.Partial = append(n.Partial, "not all keys that are meant are known yet")
	}
	if w, ok := src.(taster); ok {
		src = w.taste()
	}
	after := *plan
	after.Select = ops.ReplaySelect{Since: until, Keys: plan.Select.Keys}
	ctx, cancel := context.WithTimeout(ctx, newerTime)
	defer cancel()
	count := map[string]int{}
	newest := map[string]time.Time{}
	for i, part := range plan.Parts {
		err := src.read(ctx, after, i, "", func(p Page) error {
			for _, r := range p.Records {
				if keys[r.Key] {
					count[r.Key]++
					n.Records++
					if r.At.After(newest[r.Key]) {
						newest[r.Key] = r.At
					}
				}
			}
			if n.Read += int64(len(p.Records) + p.Early); n.Read >= newerRecords {
				return errSampled
			}
			return nil
		})
		if errors.Is(err, errSampled) || ctx.Err() != nil {
			n.Partial = append(n.Partial, fmt.Sprintf("of what came after the window %d records were read, and there is more", n.Read))
			break
		}
		if err != nil {
			n.Partial = append(n.Partial, fmt.Sprintf("%s could not be read behind the window: %s", part.ID, ops.AsProblem(d.explain("read "+part.ID, err)).What))
		}
	}
	n.Keys = len(count)
	for _, k := range plan.Select.Keys { // others are not named: a plan is saved, and keys may be names
		if count[k] > 0 && !slices.ContainsFunc(n.Asked, func(a ops.ReplayNewerKey) bool { return a.Key == k }) {
			n.Asked = append(n.Asked, ops.ReplayNewerKey{Key: k, Records: count[k], Newest: newest[k]})
		}
	}
	plan.Newer = &n
	sayNewer(plan, until)
	return count
}

func sayNewer(plan *ops.ReplayPlan, until time.Time) {
	n := plan.Newer
	partly := ""
	if len(n.Partial) > 0 {
		partly = " (" + strings.Join(n.Partial, "; ") + ")"
	}
	const form = "2006-01-02 15:04:05 MST"
	if n.Records == 0 {
		said := fmt.Sprintf("none since %s of the %d keys that are meant", until.UTC().Format(form), n.Known)
		if partly != "" {
			said = "none was seen" + partly
		}
		plan.Facts = append(plan.Facts, ops.Fact{Name: "newer", Value: said})
		return
	}
	least := ""
	if partly != "" {
		least = "at least "
	}
	who := fmt.Sprintf("%s%d of %d keys that are meant had %s%d newer events", least, n.Keys, n.Known, least, n.Records)
	if len(n.Asked) > 0 {
		var each []string
		for _, a := range n.Asked {
			each = append(each, fmt.Sprintf("key %s had %s%d newer events, the last at %s", a.Key, least, a.Records, a.Newest.UTC().Format(form)))
		}
		who = strings.Join(each, "; ")
	}
	plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s since the end of the window%s; replaying the old ones may overwrite what these did", who, partly))
}
