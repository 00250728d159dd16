package watch

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
)

// who says which alarms do what a spec asks for: ours, else somebody else's
// equivalents.
func (b *draft) who(s alarms.Spec) alarms.CoverCell {
	there := b.existing.Named(s.Name)
	if there == nil {
		there = b.adopted[shortSum(s.Name)]
	}
	switch {
	case there != nil && there.untagged:
		return alarms.CoverCell{Cover: alarms.CoverUnknown, Alarms: []string{there.Name()}, State: string(there.StateValue), Why: "its tags could not be read"}
	case there != nil && there.Managed():
		return cellOf(alarms.CoverOurs, there)
	}
	same := b.foreign[watchesKey(wanted(s, b.to, nil))]
	if there != nil {
		same = append([]*Alarm{there}, same...)
	}
	if len(same) == 0 {
		return alarms.CoverCell{Cover: alarms.CoverMissing}
	}
	return cellOf(alarms.CoverForeign, same...)
}

// cellOf shows alarms with the worst of their states.
func cellOf(c alarms.Cover, list ...*Alarm) alarms.CoverCell {
	cell := alarms.CoverCell{Cover: c}
	for _, a := range list {
		cell.Alarms = append(cell.Alarms, a.Name())
		if cell.State == "" || badness[a.StateValue] > badness[types.StateValue(cell.State)] {
			cell.State = string(a.StateValue)
		}
		if !aws.ToBool(a.ActionsEnabled) {
			cell.Why = cmp.Or(cell.Why, "the actions of "+a.Name()+" are off")
		}
	}
	return cell
}

var badness = map[types.StateValue]int{types.StateValueOk: 1, types.StateValueInsufficientData: 2, types.StateValueAlarm: 3}

// Coverage says, for every resource and rule, who watches it. It reads only.
func (d *Desk) Coverage(ctx context.Context, s ops.Snapshot, ask alarms.Ask) (alarms.Coverage, error) {
	ask.Remove = false
	c, ask, err := d.catalogue(ctx, s, ask)
	if err != nil {
		return alarms.Coverage{}, err
	}
	existing, err := d.Existing(ctx)
	if err != nil {
		return alarms.Coverage{}, err
	}
	c = d.measured(ctx, s, ask, existing, c)
	p := alarms.Plan{Partial: c.unread}
	out := newDraft(s, ask, existing, &p).coverage(c)
	mutes, err := d.Mutes(ctx)
	if problem := ops.AsProblem(err); problem != nil && problem.Fault != ops.FaultUnsupported {
		out.Partial = append(out.Partial, "what is muted: "+problem.What)
	}
	muted(out, mutes)
	return out, ctx.Err()
}

// muted marks the cells all of whose alarms are muted now: nobody hears them.
func muted(c alarms.Coverage, mutes []alarms.Mute) {
	by := map[string]string{}
	for _, m := range mutes {
		if m.State != "active" {
			continue
		}
		for _, name := range m.Alarms {
			by[name] = m.Name
		}
	}
	for _, row := range c.Rows {
		for i := range row.Cells {
			cell := &row.Cells[i]
			silent := len(cell.Alarms) > 0 && (cell.Cover == alarms.CoverOurs || cell.Cover == alarms.CoverForeign)
			for _, name := range cell.Alarms {
				silent = silent && by[name] != ""
			}
			if silent {
				cell.Cover, cell.Why = alarms.CoverMuted, "muted by "+by[cell.Alarms[0]]
			}
		}
	}
}

func (b *draft) coverage(c catalogue) alarms.Coverage {
	var w alarms.Wanted
	for _, x := range c.wanted.Specs {
		if b.selects(x.Rule, x.Resource) {
			w.Specs = append(w.Specs, x)
		}
	}
	for _, x := range c.wanted.Skipped {
		if b.selects(x.Rule, x.Resource) {
			w.Skipped = append(w.Skipped, x)
		}
	}
	out := alarms.CoverageOf(b.snapshot, w, b.who)
	out.Partial = b.Partial
	for i, row := range out.Rows {
		out.Rows[i].Pipeline = b.pipelines[row.Resource]
	}
	return out
}
