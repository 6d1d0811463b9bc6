// Package archive answers queries of message archives (XEP-0313): of rooms, and of whatever else keeps messages under an owner's number. What an
// archive has, who may read it and how a message looks to whom is for its owner; this package knows the protocol: the query form, result sets
// (XEP-0059), pages, and the messages that carry results.
package archive

import (
	"context"
	"time"
)

// Message is one archived message.
type Message struct {
	// ID is the number behind the message's stanza id (XEP-0359): it grows from message to message of an archive, and is never 0.
	ID   int64
	Time time.Time
	// Peer is what the message can be looked up by: in a room, the nickname of who sent it; empty for the room itself.
	Peer string
	// Account is the bare address of who sent it, where that is not what everybody sees; it can be empty.
	Account string
	// Recent messages are given to those who enter a room; others are only found by queries.
	Recent bool
	// XML is the whole message element, for the default namespace jabber:client.
	XML []byte
}

// Query picks messages of one archive.
type Query struct {
	Owner int64
	// After and Before bound the ids, neither included; 0 is open.
	After, Before int64
	// Peer and Account, unless nil, have to match exactly; at most one of them is set.
	Peer, Account *string
	// Last takes from the end what First would take from the beginning.
	Last bool
	// Skip passes over so many messages before the first that counts.
	Skip int
	// Most bounds the messages, and MostBytes their XML, though one message is given in any case.
	Most, MostBytes int
}

// Store reads archives. An archive that nobody has written to is empty.
type Store interface {
	// Messages gives what a query picks, the oldest first.
	Messages(ctx context.Context, q Query) ([]Message, error)
	// CountMessages says how many messages match a query, without regard to Skip, Last and MostBytes; it counts no further than Most.
	CountMessages(ctx context.Context, q Query) (int, error)
	// Message gives one message.
	Message(ctx context.Context, owner, id int64) (m Message, ok bool, err error)
}
