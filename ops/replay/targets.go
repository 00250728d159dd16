package replay

import (
	"kxops/ops"
)

// targets is THE list: what events can be replayed to.
var targets = map[ops.Kind]func(*Desk, ops.ReplayPlan) (target, error){
	ops.KindNull:     newNullTarget,
	ops.KindFile:     newFileTarget,
	ops.KindQueue:    newQueueTarget,
	ops.KindStream:   newStreamTarget,
	ops.KindTopic:    newTopicTarget,
	ops.KindBus:      newBusTarget,
	ops.KindFunction: newFunctionTarget,
	ops.KindDelivery: newDeliveryTarget,
}

func (d *Desk) targetOf(p ops.ReplayPlan) (target, error) {
	if open, ok := targets[p.To.Kind]; ok {
		return open(d, p)
	}
	return nil, refused("kxops does not replay to a %s", p.To.Kind)
}
