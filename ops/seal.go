package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Sum is what seals a plan of any kind: the SHA-256 of the plan as JSON, in hex. The
// plan is handed over with the field emptied that is to hold the sum.
func Sum(unsealed any) (string, error) {
	text, err := json.Marshal(unsealed)
	if err != nil {
		return "", fmt.Errorf("seal the plan: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Seal is what a plan says of itself: its schema, and its sum when it was made.
type Seal struct {
	Schema string
	Hash   string
}

// CheckSeal reports whether a plan is of the schema that is wanted and still what was
// sealed. The plan is handed over as it was to Sum: with the field of its hash emptied.
func CheckSeal(said Seal, schema string, unsealed any) error {
	if said.Schema != schema {
		return fmt.Errorf("not a plan of this kxops: schema %q, want %q", said.Schema, schema)
	}
	sum, err := Sum(unsealed)
	if err != nil {
		return err
	}
	if sum != said.Hash {
		return fmt.Errorf("the plan was changed after it was made: its content has sha256 %.12s, it says %.12s", sum, said.Hash)
	}
	return nil
}
