package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// fileLock keeps a second process away from a database. SQLite's own locks would let both
// in, and then each would believe in what it has in memory. The kernel lets go of
// the lock when the process ends, however it ends, so there is nothing to clean up.
type fileLock struct{ file *os.File }

// lockDatabase takes the lock of a database, path + ".lock".
func lockDatabase(path string) (*fileLock, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unreadable(path, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		host, _ := os.Hostname()
		// For people only: who has it. That it cannot be written is no reason not to start.
		if f.Truncate(0) == nil {
			_, _ = fmt.Fprintf(f, "process %d on %s\n", os.Getpid(), host)
		}
		return &fileLock{f}, nil
	}
	defer func() { _ = f.Close() }()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, &Error{
			Path: path, Kind: ErrUnreadable, Err: err,
			Message: fmt.Sprintf("the lock file %s cannot be locked: the volume of the database must support flock", name),
		}
	}
	who := "another process"
	if b, err := io.ReadAll(io.LimitReader(f, 256)); err == nil && len(strings.TrimSpace(string(b))) > 0 {
		who = strings.TrimSpace(string(b))
	}
	return nil, &Error{
		Path: path, Kind: ErrInUse,
		Message: fmt.Sprintf("the database %s is in use by %s (lock file %s): end that process, or give this one a folder of its own", path, who, name),
	}
}

// release gives the lock back. The file stays: were it removed, two processes could each
// lock a file of that name.
func (l *fileLock) release() error { return l.file.Close() }
