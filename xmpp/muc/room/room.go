package room

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Options are what a room begins with.
type Options struct {
	// Address is the room's bare JID.
	Address jid.JID
	Config  *Config
	// Key makes occupant ids (XEP-0421): secret, of this room alone, and the same for as long as the room is remembered.
	Key []byte
	// Locked rooms were just created by a client, an owner by Config, who enters first and has to configure them
	// (XEP-0045 §10.1).
	Locked bool
	Memory Memory
	// Extra are further features that the service gives its rooms, for disco#info.
	Extra []string
}

// Memory is what was remembered of the room.
type Memory struct {
	Subject *Subject
	Nicks   []ReservedNick
	VCard   []byte
	// History are the last messages, the oldest first; Config.History of them are enough.
	History []Past
}

// Past is a message of the room's history, as it was given to [Archive].
type Past struct {
	ID   string
	Time time.Time
	From jid.JID
	Real jid.JID
	XML  []byte
}

// Sender is what is known of who sent a stanza.
type Sender struct {
	// From is the full address that the stanza comes from, as the server stamped it.
	From jid.JID
	// Admin says that the sender administers the service: an owner of every room.
	Admin bool
	Time  time.Time
	// ID is fresh and unique: the stanza id of a message that results.
	ID string
}

// Destruction says what to tell occupants of a room that is destroyed (XEP-0045 §10.9).
type Destruction struct {
	Alternate jid.JID
	Reason    string
	Password  string
}

// Declared is a subject that somebody declared outside.
type Declared struct {
	Subject string
	Time    time.Time
	ID      string
}

