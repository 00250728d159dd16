package replay

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

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
	case ops.FaultOther:
		switch {
		case errors.Is(err, context.Canceled): // it may have left
		case keyTrouble(err):
			a.Fate, a.Stop = Busy, p
		default: // what the service says of the request: it will say so again
			a.Fate = Refused
		}
	default: // about us or the target, and not about these records
		a.Fate, a.Stop = Busy, p
	}
	out := make([]Answer, n)
	for i := range out {
		out[i] = a
	}
	return out
}

// keyTrouble reports that the encryption key of the target cannot be used: KMSDisabled,
// KMSInvalidState, KMSNotFound, KMSOptInRequired and their spellings by other services.
func keyTrouble(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && strings.HasPrefix(strings.ToUpper(api.ErrorCode()), "KMS")
}

// halves sends a request that was refused as a whole in two parts: nothing of it was
// taken, and the others need not suffer for one of them.
func halves(answers []Answer, parcels []Parcel, send func([]Parcel) []Answer) []Answer {
	n := len(parcels)
	if n < 2 || slices.ContainsFunc(answers, func(a Answer) bool { return a.Fate != Refused || a.Stop != nil }) {
		return answers
	}
	return append(send(parcels[:n/2]), send(parcels[n/2:])...)
}

// neverLeft reports whether no connection was made.
func neverLeft(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}
