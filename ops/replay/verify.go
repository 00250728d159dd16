package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"kxops/ops"
)

// verifier is a target that can be read back without changing anything.
type verifier interface {
	// holds reads back what the target has of the receipts. visit is called with the place
	// and the body's sum of each record that it finds, in the order of the target for each
	// key; it stops with the error of visit.
	holds(ctx context.Context, plan ops.ReplayPlan, visit func(at string, sum uint64) error) error
}

// Verify checks a replay against its record, its receipts and, where that can be read
// without changing anything, the target. It changes nothing.
func (d *Desk) Verify(ctx context.Context, id string) (ops.ReplayProof, error) {
	s, err := d.stateOf(id)
	if err != nil {
		return ops.ReplayProof{}, err
	}
	if s.plan.Managed != nil {
		return d.verifyManaged(ctx, id)
	}
	past, err := d.past(id, s)
	if err != nil {
		return ops.ReplayProof{}, err
	}
	proof := ops.ReplayProof{Schema: ops.ProofSchema, ID: id, State: past.Progress.State, Counts: past.Progress.Counts, Sum: sumText(s.sum), Receipts: past.Receipts}
	dir := past.Receipts
	r, err := readReceipts(dir)
	if err != nil {
		return proof, err
	}
	c := proof.Counts
	proof.Check("the counts balance", c.Read == c.Rejected+c.Matched && (c.Held() == 0 || proof.State != ops.Finished && proof.State != ops.Incomplete),
		fmt.Sprintf("%d read = %d not meant + %d meant; %d meant = %d sent + %d parked + %d held", c.Read, c.Rejected, c.Matched, c.Matched, c.Sent, c.Parked, c.Held()))
	if proof.State != ops.Finished && proof.State != ops.Incomplete {
		proof.NotChecked = append(proof.NotChecked, fmt.Sprintf("it is not over (%s): what was sent since its last whole page has receipts and is in no count yet, so these are not compared", proof.State))
		proof.Sum = sumText(r.sum)
		proof.Twice = r.again
		return proof, d.readBack(ctx, s, r, &proof)
	}
	proof.Check("every part was read to its end", past.Progress.Over == past.Progress.Parts, fmt.Sprintf("%d of %d", past.Progress.Over, past.Progress.Parts))
	proof.Check("one receipt for each record that was sent", int64(len(r.byID)) == c.Sent, fmt.Sprintf("%d receipts, %d sent", len(r.byID), c.Sent))
	proof.Check("the receipts' hashes add up", r.sum == s.sum, fmt.Sprintf("%s by the receipts, %s by the record", sumText(r.sum), sumText(s.sum)))
	parked, err := countParked(dir)
	if err != nil {
		return proof, err
	}
	proof.Check("one parked line for each parked record", int64(parked) == c.Parked, fmt.Sprintf("%d lines, %d parked", parked, c.Parked))
	proof.Twice = r.again
	return proof, d.readBack(ctx, s, r, &proof)
}

// readBack compares the target with the receipts.
func (d *Desk) readBack(ctx context.Context, s *state, r receipts, proof *ops.ReplayProof) error {
	to := s.plan.To
	dst, err := d.targetOf(s.plan)
	if err != nil {
		return err
	}
	v, ok := dst.(verifier)
	if !ok {
		proof.NotChecked = append(proof.NotChecked, fmt.Sprintf("%s was not read back: that cannot be done without receiving, running or waiting; the receipts name what it answered for each record", to.Name()))
		return nil
	}
	found, wrong, order := 0, 0, 0
	last := map[string]int64{}
	at := make(map[string]receipt, len(r.byID))
	for _, x := range r.byID {
		if x.At != "" {
			at[x.At] = x
		}
	}
	err = v.holds(ctx, s.plan, func(place string, sum uint64) error {
		x, ours := at[place]
		if !ours {
			return nil
		}
		found++
		if sumText(sum) != x.Sum {
			wrong++
		}
		if x.Key != "" && s.plan.Pace.Order == OrderKey {
			key := fmt.Sprintf("%d %s", x.Part, x.Key)
			if x.N < last[key] {
				order++
			}
			last[key] = x.N
		}
		return nil
	})
	if err != nil {
		return d.explain("read "+to.Name()+" back", err)
	}
	proof.Check("the target has every record that has a receipt", found == len(at), fmt.Sprintf("%d of %d found", found, len(at)))
	proof.Check("with the same body", wrong == 0, fmt.Sprintf("%d differ", wrong))
	if s.plan.Pace.Order == OrderKey {
		proof.Check("each key in its order", order == 0, fmt.Sprintf("%d out of order", order))
	}
	return nil
}

// receipts are all of a replay, by the source's id.
type receipts struct {
	byID  map[string]receipt
	sum   uint64
	again int // ids with more than one receipt, and records sent again after a lost answer
}

func readReceipts(dir string) (receipts, error) {
	r := receipts{byID: map[string]receipt{}}
	err := eachReceipt(dir, func(x receipt) error {
		if _, twice := r.byID[x.ID]; twice || x.Twice {
			r.again++
			if twice {
				return nil
			}
		}
		r.byID[x.ID] = x
		var sum uint64
		if _, err := fmt.Sscanf(x.Sum, "%x", &sum); err != nil {
			return fmt.Errorf("the receipt of %s: %w", x.ID, err)
		}
		r.sum += sum
		return nil
	})
	return r, err
}

func countParked(dir string) (int, error) {
	ids := map[string]bool{}
	err := eachParked(dir, func(p parkedRecord) error {
		ids[p.ID] = true
		return nil
	})
	return len(ids), err
}

// holds reads the file back.
func (t *fileTarget) holds(_ context.Context, _ ops.ReplayPlan, visit func(string, uint64) error) error {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing of it is there
	}
	if err != nil {
		return err
	}
	defer f.Close()
	n := 0
	return eachLine(f, func(text []byte) error {
		n++
		r, ok := unwrap(text)
		if !ok {
			return nil
		}
		return visit(fmt.Sprint(n), bodySum(r.Data))
	})
}
