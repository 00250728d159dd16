package replay

import (
	"context"

	"kxops/ops"
)

// nullTarget is a rehearsal: everything happens but the sending.
type nullTarget struct{}

func newNullTarget(*Desk, ops.ReplayPlan) (target, error) { return nullTarget{}, nil }

func (nullTarget) find(_ context.Context, plan *ops.ReplayPlan) error {
	plan.Facts = append(plan.Facts, ops.Fact{Name: "rehearsal", Value: "nothing is sent: records are read, chosen, mapped and counted"})
	return nil
}

func (nullTarget) limits() Limits    { return Limits{Records: 500, Ordered: true} }
func (nullTarget) size(p Parcel) int { return len(p.Body) }
func (nullTarget) close() error      { return nil }

func (nullTarget) send(_ context.Context, parcels []Parcel) []Answer {
	return make([]Answer, len(parcels)) // all taken
}
