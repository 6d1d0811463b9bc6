package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// tracesSuffix is that of the file in which Store.traces are.
const tracesSuffix = "-traces"

// moveAsideHint says what to do about a database that this program cannot use.
const moveAsideHint = "with the server stopped, `chat-operator import --move-aside` keeps these files under another name and reads it into a new database"

// Locked is a database that this process has, and no other, though it is not open.
type Locked struct {
	path string
	lock *fileLock
}

// Lock takes the lock of the database at path, which need not exist; its folder has to. It fails with ErrInUse while another process has it.
func Lock(path string) (*Locked, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	lock, err := lockDatabase(absolute)
	if err != nil {
		return nil, err
	}
	return &Locked{absolute, lock}, nil
}

// Release gives the lock back, unless a store has it.
func (l *Locked) Release() error { return l.lock.release() }

// MoveAside gives the files of the database another name, with the date, whatever is in them, and says which; empty: there was none. Nothing is deleted.
func (l *Locked) MoveAside(now time.Time) (string, error) {
	to := l.path + "." + now.UTC().Format("20060102-150405")
	for i := 2; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", unreadable(l.path, err)
		}
		to = fmt.Sprintf("%s.%s-%d", l.path, now.UTC().Format("20060102-150405"), i)
	}
	moved := ""
	// The database last: the engine deletes a log that it finds beside a new one.
	for _, suffix := range []string{"-wal", "-shm", "-journal", tracesSuffix, ""} {
		err := os.Rename(l.path+suffix, to+suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("the database %s cannot be moved aside: %w", l.path, err)
		}
		moved = to
	}
	folder, err := os.Open(filepath.Dir(l.path))
	if err != nil {
		return "", unreadable(l.path, err)
	}
	return moved, errors.Join(folder.Sync(), folder.Close())
}
