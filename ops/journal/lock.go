package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Holder says who holds a lock.
type Holder struct {
	Resource string    `json:"resource"`
	Actor    string    `json:"actor"` // user@host
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
}

// HeldError is the error of a lock that somebody else holds.
type HeldError struct{ Holder Holder }

func (e *HeldError) Error() string {
	if e.Holder.Actor == "" {
		return "another kxops works on it"
	}
	return fmt.Sprintf("%s works on %s since %s (process %d)", e.Holder.Actor, e.Holder.Resource, e.Holder.Since.Format("15:04:05 MST"), e.Holder.PID)
}

// Lock takes the lock of a resource (an ARN) on this machine, without waiting.
// It is gone when released or when the process ends, however it ends. The error
// is a *HeldError when somebody else has it, also within this process.
func (j *Journal) Lock(resource string) (release func() error, err error) {
	sum := sha256.Sum256([]byte(resource))
	f, err := os.OpenFile(filepath.Join(j.dir, locksName, hex.EncodeToString(sum[:12])), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", resource, err)
	}
	if err := tryLock(f); err != nil {
		held := &HeldError{Holder{Resource: resource}}
		readErr := json.NewDecoder(f).Decode(&held.Holder)
		closeErr := f.Close()
		if !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("lock %s: %w", resource, errors.Join(err, closeErr))
		}
		if readErr != nil { // between the holder's lock and its note
			held.Holder = Holder{Resource: resource}
		}
		return nil, fmt.Errorf("lock %s: %w", resource, held)
	}
	if err := note(f, Holder{Resource: resource, Actor: actor(), PID: os.Getpid(), Since: j.now().UTC()}); err != nil {
		return nil, fmt.Errorf("lock %s: %w", resource, errors.Join(err, unlock(f), f.Close()))
	}
	return func() error { return errors.Join(f.Truncate(0), unlock(f), f.Close()) }, nil
}

// note writes who holds the lock, for whoever is turned away.
func note(f *os.File, h Holder) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	return err
}

var errHeld = errors.New("held by another")

// hold takes the lock of a file, waiting until the context ends.
func hold(ctx context.Context, path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := tryLock(f)
		if err == nil {
			return func() error { return errors.Join(unlock(f), f.Close()) }, nil
		}
		if !errors.Is(err, errHeld) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for %s: %w", path, ctx.Err()), f.Close())
		}
	}
}
