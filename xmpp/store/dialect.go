package store

import "github.com/pressly/goose/v3"

// dialect is what differs between engines.
type dialect struct {
	migrations goose.Dialect
	// begin starts a transaction that writes.
	begin string
	// explain turns an engine's error into one that says what to do.
	explain func(error) error
	// undone says of an error that its transaction certainly didn't take effect,
	// so that its parts may be tried again one by one.
	undone func(error) bool
}
