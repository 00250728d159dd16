// Package payload peels message bodies: what is an SNS envelope, what is gzip,
// what says why it failed. It reads bytes and tells; it never writes a body back.
//
// Read payload.go first; then each layer_x.go is one wrapping, and layers.go is
// THE list of them.
package payload

import "kxops/ops"

// Peel returns the layers of a message, outermost first. It never fails: what
// nothing recognises is one layer "text" or "binary".
func Peel(m ops.Message) []ops.Layer { return nil }
