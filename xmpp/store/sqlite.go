package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// busyTimeout, in milliseconds, is how long another program may lock the
// database, for instance to back it up. This program has only one writer.
const busyTimeout = "5000"

// sqliteSource is the data source name of a connection. path is absolute.
func sqliteSource(path string, writer bool) string {
	q := url.Values{}
	q.Set("_busy_timeout", busyTimeout)
	// A misspelt column must be an error, not a text.
	q.Set("_dqs", "0")
	q.Set("_defensive", "1")
	q.Set("_error_rc", "1")
	if writer {
		q.Set("_journal_mode", "WAL")
		// FULL: a commit returns after its fsync. With NORMAL the end of the log is lost
		// with the power, though it was acknowledged: a client would see a roster item
		// that the server has forgotten. Group commit is what makes FULL affordable.
		q.Set("_synchronous", "FULL")
		// A burst must not leave its log behind for ever.
		q.Add("_pragma", "journal_size_limit(67108864)")
	} else {
		q.Set("_query_only", "1")
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

// touch makes the file and its folder when they are missing, readable for nobody else, and tells
// in plain words when that fails: the engine's own words are about "unable to open".
func touch(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return unreadable(path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return unreadable(path, err)
	}
	if err := f.Close(); err != nil {
		return unreadable(path, err)
	}
	// A new file is there for good only once its folder is on disk; SQLite sees to
	// that for the files that it makes itself.
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return unreadable(path, err)
	}
	err = folder.Sync()
	if err := errors.Join(err, folder.Close()); err != nil {
		return unreadable(path, err)
	}
	return nil
}

func unreadable(path string, err error) error {
	return &Error{
		Path: path, Kind: ErrUnreadable, Err: err,
		Message: fmt.Sprintf("the database %s cannot be opened: its folder must exist or be creatable, and folder and file must be readable and writable for user %d", path, os.Getuid()),
	}
}

func newSQLite(path string) dialect {
	return dialect{
		migrations: goose.DialectSQLite3,
		// Not plain BEGIN: a transaction that starts as a reader can find itself locked out when it first writes.
		begin:   "BEGIN IMMEDIATE",
		explain: func(err error) error { return explainSQLite(path, err) },
		undone:  func(err error) bool { return sqliteCode(err) == sqlite3.SQLITE_FULL },
	}
}

// sqliteCode is the primary result code of an engine's error, 0 for others.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// explainSQLite says which file is concerned and what to do about it.
func explainSQLite(path string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	if errors.Is(err, fs.ErrPermission) {
		return unreadable(path, err)
	}
	e := &Error{Path: path, Err: err}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_NOTADB:
		e.Kind = ErrCorrupt
		e.Message = fmt.Sprintf("the file %s is not a SQLite database: restore a backup: "+moveAsideHint, path)
	case sqlite3.SQLITE_CORRUPT:
		e.Kind = ErrCorrupt
		e.Message = fmt.Sprintf("the database %s is damaged: look at the storage, and restore a backup: "+moveAsideHint+"; or salvage it with sqlite3's .recover", path)
	case sqlite3.SQLITE_READONLY:
		e.Kind = ErrReadOnly
		e.Message = fmt.Sprintf("the database %s is read-only: make the file, its folder and the volume writable for user %d", path, os.Getuid())
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return unreadable(path, err)
	case sqlite3.SQLITE_FULL:
		e.Kind = ErrFull
		e.Message = fmt.Sprintf("the database %s cannot grow: free space on its volume, or enlarge it", path)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		e.Kind = ErrInUse
		e.Message = fmt.Sprintf("the database %s is locked by another program: end it, or wait for its backup to finish", path)
	case sqlite3.SQLITE_IOERR:
		e.Message = fmt.Sprintf("the volume of the database %s fails: look at the machine's storage", path)
	default:
		return err
	}
	return e
}
