package alarms

import (
	"fmt"

	"kxops/ops"
)

// Seal sets the hash.
func (p *Plan) Seal() (err error) {
	p.Hash, err = ops.Sum(p.unsealed())
	return err
}

// Check reports whether the plan is one of ours, still what was sealed, and of this
// catalogue.
func (p Plan) Check() error {
	if err := ops.CheckSeal(ops.Seal{Schema: p.Schema, Hash: p.Hash}, PlanSchema, p.unsealed()); err != nil {
		return err
	}
	if p.Catalogue != Catalogue {
		return fmt.Errorf("the plan is of catalogue %d, this kxops has %d: plan again", p.Catalogue, Catalogue)
	}
	return nil
}

func (p Plan) unsealed() Plan {
	p.Hash = ""
	return p
}

// Count returns how many items have one of the actions.
func (p Plan) Count(actions ...Action) int {
	n := 0
	for _, it := range p.Items {
		for _, a := range actions {
			if it.Action == a {
				n++
			}
		}
	}
	return n
}

// Writes returns how many alarms would be created, changed or deleted.
func (p Plan) Writes() int { return p.Count(Create, Update, Adopt, Delete) }
