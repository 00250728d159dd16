package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockedRange is one byte far behind the content: on Windows a locked range
// cannot be read by others, and the holder's note must be readable.
func lockedRange() *windows.Overlapped {
	return &windows.Overlapped{OffsetHigh: 1 << 16}
}

// tryLock takes the file's lock or returns errHeld.
func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, lockedRange())
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errHeld
	}
	return err
}

func unlock(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, lockedRange())
}
