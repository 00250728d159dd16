package replay

import (
	"errors"
	"net"

	"kxops/ops"
)

// answerAll is the answer for a request that failed as a whole, n times.
func (d *Desk) answerAll(n int, err error) []Answer {
	p := d.o.Explain(err)
	a := Answer{Fate: Unsure, Code: string(p.Fault), Why: p.What}
	switch p.Fault {
	case ops.FaultThrottled:
		a.Fate = Busy
	case ops.FaultUnreachable, ops.FaultTimeout, ops.FaultService:
		if neverLeft(err) {
			a.Fate = Busy
		}
	case ops.FaultOther: // what the service says of the request: it will say so again
		a.Fate = Refused
	default: // about us or the target, and not about these records
		a.Fate, a.Stop = Busy, p
	}
	out := make([]Answer, n)
	for i := range out {
		out[i] = a
	}
	return out
}

// neverLeft reports whether no connection was made.
func neverLeft(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}
