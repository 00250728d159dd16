package dlq

import (
	"os"
	"testing"
)

// TestMain shortens the pauses between tries: the sandbox's clock runs a hundred
// times faster than ours.
func TestMain(m *testing.M) {
	haste = 50
	os.Exit(m.Run())
}
