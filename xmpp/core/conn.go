package core

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Conn is the connection of one session as the switchboard needs it.
type Conn interface {
	// Send queues the bytes of one whole stanza and does not keep them. It never blocks; false means that the connection is
	// over or being closed, and that nothing was queued.
	Send(b []byte) bool
	// SendParts is Send for a stanza in three parts, of which only the address differs from recipient to recipient, and how many these are: what
	// goes to many may wait a moment for more of it.
	SendParts(head, to, tail []byte, recipients int) bool
	// Close ends the stream, with a stream error unless it is nil. It does not wait, and only the first call counts.
	Close(e *stanza.StreamError)
	// Lang is the language that the client's stream header names (RFC 6120 §4.7.4), nil without one. It must not be changed.
	Lang() []byte
	// Info describes the connection.
	Info() Info
}

// Info describes a connection for people.
type Info struct {
	RemoteAddr   string // host and port, or what the transport has instead
	Secure       bool   // inside TLS
	Created      time.Time
	LastActivity time.Time // when the client sent something last
}
