package cli

import (
	"cmp"
	"context"

	"kxops/ops"
	"kxops/ops/dlq"
	"kxops/ops/journal"
)

// desk is where this account's dead letters are worked on. There is one for each
// account: it remembers what was looked at, so that a third look at the same
// messages is answered from memory. Making it asks who we are and sends nothing
// else; the caller has to give back what it holds (ReleaseAll) before leaving.
func (a *account) desk(ctx context.Context) (*dlq.Desk, error) {
	a.deskMu.Lock()
	defer a.deskMu.Unlock()
	if a.made != nil {
		return a.made, nil
	}
	id, err := a.identity(ctx)
	if err != nil {
		return nil, err
	}
	j, err := journal.Open(a.records)
	if err != nil {
		return nil, err
	}
	a.made = dlq.New(dlq.Options{
		Config: a.cloud.Config(), Identity: id, Journal: j, Now: a.clock, Explain: a.cloud.Explain,
	})
	return a.made, nil
}

// releaseDesk gives back what the desk holds, if one was ever made. It takes a
// context of its own making: the one of the command may be over already.
func (a *account) releaseDesk(ctx context.Context) error {
	a.deskMu.Lock()
	d := a.made
	a.deskMu.Unlock()
	if d == nil {
		return nil
	}
	return d.ReleaseAll(ctx)
}

// identity is who we are here. An endpoint without STS, or an identity that may
// not ask, still has a region, and a display name where one is configured.
func (a *account) identity(ctx context.Context) (ops.Identity, error) {
	id, err := a.cloud.Identity(ctx)
	if p := ops.AsProblem(err); p != nil && p.Fault != ops.FaultUnsupported && p.Fault != ops.FaultDenied {
		return id, err
	}
	here := a.cloud.Place()
	id.Region = cmp.Or(id.Region, here.Region)
	id.Profile = cmp.Or(id.Profile, here.Profile)
	if id.Alias == "" && a.alias != nil {
		id.Alias = a.alias(id.Account)
	}
	return id, nil
}
