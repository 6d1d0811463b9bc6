package core

import (
	"context"
	"time"
)

// Journal remembers what is on its way to clients and not acknowledged by them, so that it outlives the process. Package store implements it.
// An implementation returns from a write once the write would survive a crash.
type Journal interface {
	// Record adds notes and removes others, in this order and in one transaction. A note that is there already stays as it is; one that isn't there
	// is removed all the same.
	Record(ctx context.Context, add []Note, remove []NoteKey) error
	// Received removes the messages that a client has got in a session which is over: those at places up to handled, counted modulo 2^32,
	// from the mailbox as well.
	Received(ctx context.Context, username string, session []byte, handled uint32) error
	// Traces is a file for traces; nil: there is none.
	Traces() TraceFile
	// Recover puts what a former process left into the mailboxes. It gives the sessions whose clients may still say what they have got, and all messages
	// that were received within so long before the last one.
	Recover(ctx context.Context, within time.Duration, session func(username string, session []byte), message func(stanza []byte)) error
}

// Note is a message on its way to a session.
type Note struct {
	NoteKey
	Place    uint64 // among the stanzas of the session
	Received time.Time
	Stanza   []byte // whole, as it would be given back later; nil when the mailbox has it
}

// NoteKey names a note. Without a session, it names those of all sessions.
type NoteKey struct {
	Username string
	ID       int64 // unique for the account, as in its mailbox
	Session  []byte
}
