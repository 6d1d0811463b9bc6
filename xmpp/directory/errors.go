package directory

import (
	"errors"
	"fmt"
	"time"
)

// Errors of proposals and waits. They come wrapped: use errors.Is and errors.As.
var (
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is taken.
	ErrExists = errors.New("already exists")
	// ErrNotYetActive: the change is written, but didn't take effect here in time.
	ErrNotYetActive = errors.New("written, but not in force here yet")
	// ErrConflict: others kept changing the same thing; try again.
	ErrConflict = errors.New("changed by others at the same time")
	// ErrPartly: some of what was asked for is done, though it failed.
	ErrPartly = errors.New("a part of it is done")
	// ErrTooManyRequests: more changes than are allowed; try again later.
	ErrTooManyRequests = errors.New("too many changes, try again later")
)

// InvalidError refuses a value, and says which and why.
type InvalidError struct {
	// Field is a path in the declaration, or a property's key.
	Field string
	// Message says what is wrong and what would be right. It never holds a secret.
	Message string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }

// ManagedError refuses a change of something that is declared elsewhere.
type ManagedError struct {
	// Field is the path that may not be changed from here.
	Field string
	// Manager is the field manager that declares it.
	Manager string
	// Deletion is set when the resource was to be deleted.
	Deletion bool
	// Policy is set when not a manager but the resource's inBandPolicy Deny refuses.
	Policy bool
}

func (e *ManagedError) Error() string {
	if e.Policy {
		return fmt.Sprintf("%s may not be changed from here: the resource's inBandPolicy is Deny", e.Field)
	}
	if e.Deletion {
		return fmt.Sprintf("%s is declared by %q: it has to be deleted there", e.Field, e.Manager)
	}
	return fmt.Sprintf("%s is declared by %q: change it there", e.Field, e.Manager)
}

// UnavailableError tells that nothing declared can be changed at the moment.
type UnavailableError struct {
	// Unanswered says that what was asked for may have been done all the same: nobody said what became of it.
	Unanswered bool
	// RetryAfter is a good time to try again.
	RetryAfter time.Duration
	// Err is the cause.
	Err error
}

func (e *UnavailableError) Error() string {
	if e.Err == nil {
		return "declarations cannot be changed at the moment"
	}
	return "declarations cannot be changed at the moment: " + e.Err.Error()
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// Unanswered says of a change's error that the change may have been made all the same, wholly or in part.
func Unanswered(err error) bool {
	e, ok := errors.AsType[*UnavailableError](err)
	return ok && e.Unanswered || errors.Is(err, ErrPartly)
}

// LimitError refuses a list that would become too long.
type LimitError struct {
	Field string
	Limit int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s takes at most %d entries", e.Field, e.Limit)
}
