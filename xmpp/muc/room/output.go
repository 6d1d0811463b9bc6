package room

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Output is something to be done: a *Send, *Broadcast, *Wish, *Archive, *Tombstone, *Remember or *Ended.
type Output interface{ output() }

// Send is one or more whole stanzas to one address, to be written at once and in this order.
type Send struct {
	// To is a session's full JID, a user's bare JID, or whatever asked.
	To jid.JID
	// XML is the stanzas one after another, each with its from and to; Ends says where each ends, so that they can be counted.
	XML  []byte
	Ends []int
	// Kind is that of the first stanza. What has several are stanzas of entering a room.
	Kind stanza.Kind
}

// Broadcast is one stanza to many sessions: for each of To it is Head, the address escaped as an attribute's value, and
// Tail. (Head ends with " to='" and Tail begins with "'".)
type Broadcast struct {
	Kind       stanza.Kind
	To         []jid.JID
	Head, Tail []byte
}

// Wish is what a client wants changed, checked against what it may. It has to be answered by [Room.WishDone] with its ID,
// at any later time, after [Room.Reconfigured] or [Room.Destroyed] if it came true.
type Wish struct {
	ID uint64
	// By is the client, for the audit log and to check permission again by [Wish.Permitted].
	By    jid.JID
	Admin bool // By administers the service
	// Change is nil where the configuration stays.
	Change *Change
	// Affiliations are changes; None takes an entry away. See [Affiliations.With].
	Affiliations []Entry
	// Destroy wants the room gone.
	Destroy bool
	// Cause is why: it tells what a member-made change by invitation or registration is, which need no privilege of By.
	Cause Cause
}

// Cause says which use case a wish comes from.
type Cause uint8

// The causes.
const (
	// CauseRequest is a request of an owner, admin or moderator.
	CauseRequest Cause = iota
	// CauseInvite makes somebody a member that an occupant has invited (XEP-0045 §7.8.2).
	CauseInvite
	// CauseRegister makes By a member that registers (XEP-0045 §7.10).
	CauseRegister
	// CauseUnregister takes By's own membership away (XEP-0077 §3.2).
	CauseUnregister
)

// Archive is a groupchat message, or a change of the subject, of an archived room. It comes before the Broadcast of the
// same message: who wants nothing accepted to be lost holds that back until this is stored.
type Archive struct {
	ID   string // the stanza id that the message goes out with (XEP-0359)
	Time time.Time
	// From is the sender as the room shows it: an occupant's address, or the room's own.
	From jid.JID
	// Real is the sender's own bare address; zero for messages of the room itself. It must not be shown where
	// the room hides it.
	Real jid.JID
	// XML is the whole message element, with from and without to.
	XML []byte
	// History says that the message is among those that newcomers are sent.
	History bool
}

// Tombstone takes the content of an archived message away (XEP-0424 §5, XEP-0425 §4). The archive keeps the message's
// place, with Element inside instead of what it had.
type Tombstone struct {
	ID string // of the message
	// Author, unless zero, is whom the message has to be from (its Archive's Real); otherwise nothing happens.
	Author jid.JID
	// Element is the tombstone: <retracted/> of XEP-0424.
	Element []byte
}

// Subject is a room's subject (XEP-0045 §7.2.15).
type Subject struct {
	// Text is the message's content: usually one subject element, or one for each language.
	XML []byte
	// Plain is the text alone, of the first subject element.
	Plain string
	// From is who set it as the room shows it; zero: nobody yet.
	From jid.JID
	Time time.Time
}

// Remember is something that outlives the room's stay in memory where the room is persistent: give it back by [Memory].
// One of the fields is set.
type Remember struct {
	Subject *Subject
	// Nick is a reserved nickname, or one given up.
	Nick *ReservedNick
	// VCard is the room's vCard (XEP-0486), the vCard element as sent; empty but not nil: taken away.
	VCard []byte
}

// ReservedNick is a nickname that one user has reserved (XEP-0045 §7.10).
type ReservedNick struct {
	User jid.JID // bare
	Nick string  // prepared; empty: given up
}

// Ended says that the room is no more: it is temporary and the last occupant has left, or it was destroyed, or its creator
// cancelled it (XEP-0045 §10.1.3). It is the last output.
type Ended struct {
	Destroyed bool
	// Shutdown: it ends in this process alone.
	Shutdown bool
}

func (*Send) output()      {}
func (*Broadcast) output() {}
func (*Wish) output()      {}
func (*Archive) output()   {}
func (*Tombstone) output() {}
func (*Remember) output()  {}
func (*Ended) output()     {}
