// Package account holds what belongs to one user: the roster (RFC 6121 §2), presence subscriptions (§3) and the exchange
// of presence that follows from them (§4).
//
// A roster has two halves. Declared contacts come from the directory and change only through the resource that declares
// them; contacts that a client made are remembered in a store. Clients see one roster.
package account

import (
	"context"
	"fmt"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Subscription is the state of a roster item from its owner's point of view (RFC 6121 §2.1.2.5). It is a set of two directions:
// SubscriptionBoth == SubscriptionTo|SubscriptionFrom. Its numbers are stored, and must not change.
type Subscription = directory.Subscription

// The states, under the names that rosters use.
const (
	SubscriptionNone = directory.SubscriptionNone
	SubscriptionTo   = directory.SubscriptionTo   // the user sees the contact's presence
	SubscriptionFrom = directory.SubscriptionFrom // the contact sees the user's presence
	SubscriptionBoth = directory.SubscriptionBoth
)

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

	// Shared has the roster groups, sorted and among Groups, that the contact is in through groups of the directory whose members the user
	// sees. Never set on what a RosterStore holds.
	Shared []string
}

// pending reports whether the item carries something that a declaration does not.
func (it *Item) pending() bool { return it.Ask || it.Approved || it.PendingIn }

// overtake forgets what was asked for and is so anyway, by a declaration or a shared group.
func (it *Item) overtake() {
	it.Ask = it.Ask && !it.Subscription.SeesContact()
	it.Approved = it.Approved && !it.Subscription.SeenByContact()
	if it.PendingIn && it.Subscription.SeenByContact() {
		it.PendingIn, it.Request = false, nil
	}
}

// share adds what shared groups make of the contact: the stronger subscription, all groups, and a name where the user gave none.
func (it *Item) share(r relation) {
	if r.subscription == SubscriptionNone {
		return
	}
	it.Subscription |= r.subscription
	it.overtake()
	if len(r.headings) == 0 {
		return // the contact sees the user, and that is all
	}
	it.Hidden, it.Shared = false, r.headings
	if it.Name == "" {
		it.Name = r.name
	}
	if len(it.Groups) == 0 {
		it.Groups = r.headings
		return
	}
	groups := slices.Concat(it.Groups, r.headings)
	slices.Sort(groups)
	it.Groups = slices.Compact(groups)
}

// personal takes out of a wish what shared groups say anyway, so that it stays true when they say something else.
func (it *Item) personal(r relation) {
	if it.Name == r.name {
		it.Name = ""
	}
	if len(r.headings) > 0 {
		it.Groups = slices.DeleteFunc(slices.Clone(it.Groups), func(g string) bool { return slices.Contains(r.headings, g) })
	}
}

// same reports whether clients see no difference between two items.
func (it *Item) same(o *Item) bool {
	return it.Name == o.Name && it.Subscription == o.Subscription && it.Ask == o.Ask && it.Approved == o.Approved &&
		slices.Equal(it.Groups, o.Groups)
}

// check holds what comes from outside to the bounds of one item; its groups are sorted.
func (it *Item) check() error {
	if len(it.Name) > MaxNameBytes {
		return &directory.InvalidError{Field: "nickname", Message: fmt.Sprintf("is longer than %d bytes", MaxNameBytes)}
	}
	if len(it.Groups) > MaxGroups {
		return &directory.LimitError{Field: "groups", Limit: MaxGroups}
	}
	for i, group := range it.Groups {
		if group == "" || len(group) > MaxGroupBytes {
			return &directory.InvalidError{Field: "groups", Message: fmt.Sprintf("has a name that is empty or longer than %d bytes", MaxGroupBytes)}
		}
		if i > 0 && group == it.Groups[i-1] {
			return &directory.InvalidError{Field: "groups", Message: fmt.Sprintf("names %q twice", group)}
		}
	}
	return nil
}

// Bounds of one roster, besides the property xmpp.limits.roster-entries. A client that goes beyond them gets resource-constraint or bad-request.
const (
	MaxPending        = 200 // requests of strangers that await an answer; more are dropped
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
