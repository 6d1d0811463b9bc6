// Package lock has one process at a time work in a folder. The lock is the kernel's: it goes with its process, however that ends.
package lock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// HeldError says that another process works in the folder.
type HeldError struct {
	Dir string
	PID string // of that process
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("another process works in %s (process %s)", e.Dir, e.PID)
}

// Dir locks a folder, which is made when it is missing, for this process. Where another has it, the error is a HeldError.
func Dir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		pid, _ := os.ReadFile(f.Name())
		return nil, &HeldError{Dir: dir, PID: strings.TrimSpace(string(pid))}
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintln(os.Getpid()))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}
