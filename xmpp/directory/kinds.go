package directory

import (
	"strconv"
	"time"
)

// Kind says what an entry declares.
type Kind uint8

// The kinds of declared things.
const (
	KindUser Kind = iota + 1
	KindGroup
	KindRoom
	KindProperty
)

// Kinds lists every kind, in a fixed order.
func Kinds() []Kind { return []Kind{KindUser, KindGroup, KindRoom, KindProperty} }

// String names the kind for logs and messages.
func (k Kind) String() string {
	switch k {
	case KindUser:
		return "user"
	case KindGroup:
		return "group"
	case KindRoom:
		return "room"
	case KindProperty:
		return "property"
	case kindSecret:
		return "secret"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// kindSecret is only a key for waiters: a Secret is no entry of its own and
// causes events of the users that name it.
const kindSecret Kind = 255

// Ref is the resource behind an entry.
type Ref struct {
	// Name is the resource's name, which need not be the chat name.
	Name string
	// UID tells lives of one name apart.
	UID string
	// Generation counts the changes of the declaration.
	Generation int64
	// Created decides who holds an identity that several resources claim.
	Created time.Time
}

// Resource returns the reference itself; entries embed Ref and so have it, too.
func (r *Ref) Resource() *Ref { return r }

// Before says whether r has the better claim to an identity than other.
func (r *Ref) Before(other *Ref) bool {
	if !r.Created.Equal(other.Created) {
		return r.Created.Before(other.Created)
	}
	return r.Name < other.Name
}

// InBandPolicy says what may change a declaration from inside (XMPP, REST).
type InBandPolicy string

// Values of InBandPolicy. Unset means that field ownership decides.
const (
	InBandUnset InBandPolicy = ""
	InBandDeny  InBandPolicy = "Deny"
	InBandForce InBandPolicy = "Force"
)

// DeletionPolicy says what becomes of remembered data when a declaration goes.
type DeletionPolicy string

// Values of DeletionPolicy.
const (
	DeletionDelete DeletionPolicy = "Delete"
	DeletionRetain DeletionPolicy = "Retain"
)

// Subscription is the state of a roster item (RFC 6121 §2.1.2.5): a set of two
// directions, so that SubscriptionBoth is SubscriptionTo|SubscriptionFrom. The numbers are
// stored and must not change.
type Subscription uint8

// Subscription states, from the roster owner's point of view.
const (
	SubscriptionNone Subscription = 0
	SubscriptionTo   Subscription = 1
	SubscriptionFrom Subscription = 2
	SubscriptionBoth Subscription = 3
)

// String gives the value as RFC 6121 §2.1.2.5 writes it.
func (s Subscription) String() string {
	switch s {
	case SubscriptionTo:
		return "to"
	case SubscriptionFrom:
		return "from"
	case SubscriptionBoth:
		return "both"
	}
	return "none"
}

// ParseSubscription reads the value as RFC 6121 §2.1.2.5 writes it, or in the
// capitalised spelling of declarations.
func ParseSubscription(s string) (Subscription, bool) {
	switch s {
	case "none", "None":
		return SubscriptionNone, true
	case "to", "To":
		return SubscriptionTo, true
	case "from", "From":
		return SubscriptionFrom, true
	case "both", "Both":
		return SubscriptionBoth, true
	}
	return SubscriptionNone, false
}

// SeesContact says whether the roster's owner receives the contact's presence.
func (s Subscription) SeesContact() bool { return s&SubscriptionTo != 0 }

// SeenByContact says whether the contact receives the presence of the roster's owner.
func (s Subscription) SeenByContact() bool { return s&SubscriptionFrom != 0 }

// Property is a named value of a user or a group.
type Property struct {
	Key, Value string
}
