package dlq

import "kxops/ops"

// Select returns the letters of the pile that the selection means. The error
// says what is wrong with the selection: jq with its position, an unknown cause
// key or message id with the nearest ones.
func (p *Pile) Select(s ops.Selection) ([]ops.Letter, error) { return nil, errNotYet }
