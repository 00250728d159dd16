//go:build !windows

package journal

import (
	"errors"
	"os"
)

// syncDirectory makes a new name in the directory durable.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
