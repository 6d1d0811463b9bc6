package muc

import (
	"context"
	"errors"

	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
)

// Store remembers declared rooms. An implementation returns from a write once the write would survive a crash, and may be called by
// many goroutines at once.
type Store interface {
	archive.Store
	// OpenRoom gives what is remembered of a room by its identity, and begins to remember it. uid is the declaration's: a room of another
	// one is another room, which inherits nothing, unless the name's data is kept for whoever declares it.
	OpenRoom(ctx context.Context, identity, uid string) (Remembered, error)
	// WriteRoom does what is listed, all or nothing. It fails with ErrForgotten when the room's data has been purged since it was opened.
	WriteRoom(ctx context.Context, owner int64, writes []Write) error
	// RecentMessages gives the last messages after an id that are for those who enter, the oldest first: at most so many, and no more once they
	// have so many bytes.
	RecentMessages(ctx context.Context, owner, after int64, most, mostBytes int) ([]archive.Message, error)
	// PruneRooms deletes the messages of all rooms' archives up to an id, and what is left of archives that nobody has any more, in parts.
	PruneRooms(ctx context.Context, upTo int64) (int64, error)
}

// ErrForgotten says that what is remembered of a room was purged.
var ErrForgotten = errors.New("the room's data was purged")

// Remembered is what a store knows of a room.
type Remembered struct {
	// Owner is the number of the room's archive.
	Owner   int64
	Subject *room.Subject // nil: nobody has set one
	// Declared is the declared subject that was applied last; nil: none.
	Declared *string
	Nicks    []room.ReservedNick
	VCard    []byte
	// LastID is the id of the last message in the archive; 0: there is none.
	LastID int64
}

// Write is what comes of one event in a room. What is not set stays as it is.
type Write struct {
	Message   *archive.Message
	Tombstone *Tombstone
	Subject   *room.Subject
	// Declared comes with a pointer to the pointer, since none is a value, too.
	Declared **string
	Nick     *room.ReservedNick // without a nickname: given up
	VCard    []byte             // empty but not nil: taken away
}

// Tombstone takes the content of an archived message away.
type Tombstone struct {
	ID int64
	// Account, unless empty, has to be the message's.
	Account string
	// Bury makes the message what is left of it; nil leaves it as it is. It can be called more than once.
	Bury func(message []byte) []byte
}
