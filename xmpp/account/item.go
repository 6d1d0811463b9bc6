// Package account holds what belongs to one user: the roster (RFC 6121 §2), presence subscriptions (§3) and the exchange
// of presence that follows from them (§4).
//
// A roster has two halves. Declared contacts come from the directory and change only through the resource that declares
// them; contacts that a client made are remembered in a store. Clients see one roster.
package account

import (
	"context"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Subscription is the state of a roster item as the client sees it (RFC 6121 §2.1.2.5). It is a set of two directions, so that
// SubscriptionBoth == SubscriptionTo|SubscriptionFrom. The numbers are stored and must not change.
type Subscription uint8

const (
	// SubscriptionNone: neither side sees the other's presence.
	SubscriptionNone Subscription = 0
	// SubscriptionTo: the user sees the contact's presence.
	SubscriptionTo Subscription = 1
	// SubscriptionFrom: the contact sees the user's presence.
	SubscriptionFrom Subscription = 2
	// SubscriptionBoth: each sees the other's presence.
	SubscriptionBoth Subscription = 3
)

// HasTo reports whether the user is subscribed to the contact's presence.
func (s Subscription) HasTo() bool { return s&SubscriptionTo != 0 }

// HasFrom reports whether the contact is subscribed to the user's presence.
func (s Subscription) HasFrom() bool { return s&SubscriptionFrom != 0 }

// String gives the value of the 'subscription' attribute (RFC 6121 §2.1.2.5).
func (s Subscription) String() string {
	switch s {
	case SubscriptionTo:
		return "to"
	case SubscriptionFrom:
		return "from"
	case SubscriptionBoth:
		return "both"
	default:
		return "none"
	}
}

// Item is one contact of one user.
type Item struct {
	JID          jid.JID // bare
	Name         string
	Subscription Subscription
	Ask          bool     // a subscription request of the user awaits an answer: "pending out" (RFC 6121 §2.1.2.2)
	Approved     bool     // the user approved a request before it came (RFC 6121 §2.1.2.1, §3.4)
	Groups       []string // sorted, no duplicates

	// PendingIn says that the contact asked for the user's presence and has no answer yet; Request is that request's payload
	// (the children of the presence stanza), bounded to MaxRequestPayload, handed to the user again at each login (RFC 6121 §3.1.3).
	PendingIn bool
	Request   []byte

	// Hidden marks a row that carries pending state only (PendingIn, or Ask and Approved for a contact whose rest is declared):
	// clients do not see it as a roster item of its own (RFC 6121 §3.1.3, appendix A.1 "None + Pending In").
	Hidden bool

	// Declared says that name, subscription and groups come from the directory. Never set on what a RosterStore holds.
	Declared bool
}

// clone gives a copy that shares no memory with the item.
func (it Item) clone() Item {
	it.Groups = slices.Clone(it.Groups)
	it.Request = slices.Clone(it.Request)
	return it
}

// Bounds of one roster. A client that goes beyond them gets resource-constraint or bad-request.
const (
	MaxItems          = 1000 // remembered contacts of a user, pending requests included
	MaxNameBytes      = 1023
	MaxGroups         = 50 // groups of one item
	MaxGroupBytes     = 1023
	MaxRequestPayload = 4096
)

// RosterStore remembers the contacts that clients and REST made. An implementation returns from a write once the write
// would survive a crash, and may be called by many goroutines at once; calls for one user come one after another. Usernames are
// prepared, contacts are bare JIDs.
type RosterStore interface {
	// LoadRoster gives all rows of a user, hidden ones included, ordered by JID; none for a user it does not know.
	LoadRoster(ctx context.Context, username string) ([]Item, error)
	// PutItem writes one row whole: created when absent, replaced when there. Declared is not stored.
	PutItem(ctx context.Context, username string, item Item) error
	// DeleteItem removes a row; one that does not exist is no error.
	DeleteItem(ctx context.Context, username string, contact jid.JID) error
	// Holders gives the usernames, sorted, whose rosters have a row for this contact.
	Holders(ctx context.Context, contact jid.JID) ([]string, error)
}
