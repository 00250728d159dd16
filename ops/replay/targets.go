package replay

import (
	"fmt"

	"kxops/ops"
)

// targets is THE list: what events can be replayed to.
var targets = map[ops.Kind]func(*Desk, ops.ReplayPlan) target{}

func (d *Desk) targetOf(p ops.ReplayPlan) (target, error) {
	if make, ok := targets[p.To.Kind]; ok {
		return make(d, p), nil
	}
	return nil, fmt.Errorf("kxops does not replay to a %s", p.To.Kind)
}
