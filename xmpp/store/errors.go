package store

import (
	"errors"

	"github.com/chat-operator/chat-operator/xmpp/account"
)

// What can be wrong with a database. Errors of this package wrap one of these where
// it applies, next to the engine's own error.
var (
	// ErrInUse: another process has the database.
	ErrInUse = errors.New("the database is in use")
	// ErrUnreadable: the file or its folder cannot be opened, read or written.
	ErrUnreadable = errors.New("the database cannot be opened")
	// ErrReadOnly: it can be read but not written.
	ErrReadOnly = errors.New("the database is read-only")
	// ErrCorrupt: the file is damaged, or no database at all.
	ErrCorrupt = errors.New("the database is damaged")
	// ErrFull: there is no space left.
	ErrFull = account.ErrFull
	// ErrNewer: a newer program made the database.
	ErrNewer = errors.New("the database is newer than this program")
	// ErrDomain: the database is that of another domain.
	ErrDomain = errors.New("the database is of another domain")
	// ErrNamespace: the database is that of another namespace.
	ErrNamespace = errors.New("the database is of another namespace")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// Error is a problem with the database as such: which file, what is wrong, what to do.
type Error struct {
	// Path is the database file.
	Path string
	// Kind is one of this package's errors, or nil.
	Kind error
	// Message is a sentence that names the file and says what to do.
	Message string
	// Err is the cause, or nil.
	Err error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + " (" + e.Err.Error() + ")"
}

// Unwrap gives both the kind and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Kind != nil {
		all = append(all, e.Kind)
	}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	return all
}
