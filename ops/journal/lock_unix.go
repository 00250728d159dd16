//go:build !windows

package journal

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the file's lock or returns errHeld. flock belongs to the open
// file, so it also keeps two parts of one process apart.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errHeld
	}
	return err
}

func unlock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
}
