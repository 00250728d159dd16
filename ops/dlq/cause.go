package dlq

import "kxops/ops"

// Groups sorts the letters by cause, largest first.
func Groups(letters []ops.Letter) []ops.CauseGroup { return nil }
