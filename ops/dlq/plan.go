package dlq

import (
	"context"

	"kxops/ops"
)

// Plan works out what would be done, by reading only. Redrive, archive and edit
// plan about the letters of the pile; the other verbs need none. A plan with
// Blockers can be shown and not applied.
func (d *Desk) Plan(ctx context.Context, ask ops.Ask, pile *Pile) (ops.Plan, error) {
	return ops.Plan{}, errNotYet
}
