package alarms

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Seal sets the hash.
func (p *Plan) Seal() error {
	sum, err := p.sum()
	p.Hash = sum
	return err
}

// Check reports whether the plan is one of ours, of this catalogue, and still what
// was sealed.
func (p Plan) Check() error {
	if p.Schema != PlanSchema {
		return fmt.Errorf("not a plan of this kxops: schema %q, want %q", p.Schema, PlanSchema)
	}
	sum, err := p.sum()
	if err != nil {
		return err
	}
	if sum != p.Hash {
		return fmt.Errorf("the plan was changed after it was made: its content has sha256 %.12s, it says %.12s", sum, p.Hash)
	}
	if p.Catalogue != Catalogue {
		return fmt.Errorf("the plan is of catalogue %d, this kxops has %d: plan again", p.Catalogue, Catalogue)
	}
	return nil
}

func (p Plan) sum() (string, error) {
	p.Hash = ""
	text, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("seal the plan: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
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
