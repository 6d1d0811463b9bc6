package directory

import (
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// User is a declared account. Entries are immutable once they were put.
type User struct {
	Ref
	// Username is the prepared local part (RFC 7622 §3.3): the identity.
	Username    string
	DisplayName string
	Email       string
	// Locked accounts cannot log in, and have no sessions.
	Locked bool
	// Admin makes the user an administrator of the service.
	Admin bool
	// Properties are sorted by key.
	Properties []Property
	// Contacts is the declared part of the roster, sorted by address.
	Contacts []Contact
	// SecretName names the Secret that holds the credential; empty: none yet.
	SecretName     string
	Labels         map[string]string
	InBandPolicy   InBandPolicy
	DeletionPolicy DeletionPolicy
	// Managed entries were made by REST or a client, not declared by hand.
	Managed    bool
	CreatedAt  time.Time
	ModifiedAt time.Time
}

// Identity is the prepared username.
func (u *User) Identity() string { return u.Username }

// Property looks a property of the user up.
func (u *User) Property(key string) (string, bool) { return lookup(u.Properties, key) }

// Contact looks a declared contact up by its bare address.
func (u *User) Contact(j jid.JID) (Contact, bool) {
	i := slices.IndexFunc(u.Contacts, func(c Contact) bool { return c.JID == j })
	if i < 0 {
		return Contact{}, false
	}
	return u.Contacts[i], true
}

// Contact is an entry of a declared roster.
type Contact struct {
	JID          jid.JID
	Name         string
	Subscription Subscription
	Groups       []string
}

// Group is a declared group of users.
type Group struct {
	Ref
	// GroupName is the identity: exact, in any script.
	GroupName   string
	DisplayName string
	Description string
	// Members and Admins are bare addresses, sorted. Names of this server's users are
	// completed with its domain; nobody checks that they exist.
	Members []jid.JID
	Admins  []jid.JID
	// Selector adds users of this server by label; nil adds nobody.
	Selector *Selector
	// Properties are sorted by key.
	Properties   []Property
	SharedRoster SharedRoster
	InBandPolicy InBandPolicy
	Managed      bool
	CreatedAt    time.Time
	ModifiedAt   time.Time
}

// Identity is the group's name.
func (g *Group) Identity() string { return g.GroupName }

// Property looks a property of the group up.
func (g *Group) Property(key string) (string, bool) { return lookup(g.Properties, key) }

// SharedRosterMode says in whose rosters a group shows up.
type SharedRosterMode string

// Modes of a shared roster.
const (
	SharedNobody    SharedRosterMode = "Nobody"
	SharedOnlyGroup SharedRosterMode = "OnlyGroup"
	SharedEverybody SharedRosterMode = "Everybody"
)

// SharedRoster says who sees a group's members in the roster.
type SharedRoster struct {
	Mode SharedRosterMode
	// VisibleTo names further groups whose members see this one.
	VisibleTo []string
}

// Selector picks users by their labels, as Kubernetes label selectors do.
type Selector struct {
	MatchLabels      map[string]string
	MatchExpressions []Requirement
}

// Requirement is one condition of a Selector.
type Requirement struct {
	Key      string
	Operator SelectorOperator
	Values   []string
}

// SelectorOperator relates a label to a Requirement's values.
type SelectorOperator string

// Operators of a Requirement.
const (
	SelectorIn           SelectorOperator = "In"
	SelectorNotIn        SelectorOperator = "NotIn"
	SelectorExists       SelectorOperator = "Exists"
	SelectorDoesNotExist SelectorOperator = "DoesNotExist"
)

// Matches says whether labels fulfil every condition. An empty selector matches
// everything, a nil one nothing.
func (s *Selector) Matches(labels map[string]string) bool {
	if s == nil {
		return false
	}
	for k, v := range s.MatchLabels {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	for _, r := range s.MatchExpressions {
		have, ok := labels[r.Key]
		switch r.Operator {
		case SelectorIn:
			ok = ok && slices.Contains(r.Values, have)
		case SelectorNotIn:
			// As in Kubernetes, a label that isn't there is in no list.
			ok = !ok || !slices.Contains(r.Values, have)
		case SelectorExists:
		case SelectorDoesNotExist:
			ok = !ok
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return true
}

// Room is a declared chat room (XEP-0045). Absent fields of the declaration
// have their default here.
type Room struct {
	Ref
	// RoomName and Service make the identity: the prepared local part, and
	// the subdomain alone, such as "conference".
	RoomName, Service string
	DisplayName       string
	Description       string
	// Subject acts when it changes; nil: the declaration says nothing about it.
	Subject *string
	// MaxOccupants is the greatest number of occupants; 0: no limit.
	MaxOccupants int
	// PasswordSecret says where the room's password is; nil: none.
	PasswordSecret *SecretKey

	Listed, Persistent, MembersOnly, Moderated, Archived bool
	RegistrationEnabled, NicknameRestricted              bool
	CanChangeSubject, CanInvite, CanChangeNickname       bool

	WhoSeesJIDs     WhoSeesJIDs
	PrivateMessages PrivateMessages
	// PresenceBroadcast lists the roles whose presence is broadcast.
	PresenceBroadcast []RoomRole
	// Affiliations are sorted by address, one for each.
	Affiliations []Affiliation
	// GroupAffiliations are sorted by group, one for each.
	GroupAffiliations []GroupAffiliation

	InBandPolicy   InBandPolicy
	DeletionPolicy DeletionPolicy
	Managed        bool
	CreatedAt      time.Time
	ModifiedAt     time.Time
}

// Identity is roomName@service, such as "lobby@conference".
func (r *Room) Identity() string { return RoomIdentity(r.RoomName, r.Service) }

// RoomIdentity puts a room's identity together.
func RoomIdentity(roomName, service string) string { return roomName + "@" + service }

// SecretKey is one key of a Secret.
type SecretKey struct{ Name, Key string }

// WhoSeesJIDs says who sees the real addresses of a room's occupants.
type WhoSeesJIDs string

// Values of WhoSeesJIDs.
const (
	JIDsAnyone     WhoSeesJIDs = "Anyone"
	JIDsModerators WhoSeesJIDs = "Moderators"
)

// PrivateMessages says who may send private messages in a room.
type PrivateMessages string

// Values of PrivateMessages.
const (
	PrivateAnyone       PrivateMessages = "Anyone"
	PrivateParticipants PrivateMessages = "Participants"
	PrivateModerators   PrivateMessages = "Moderators"
	PrivateNone         PrivateMessages = "None"
)

// RoomRole is a role in a room (XEP-0045 §5.1).
type RoomRole string

// Roles whose presence a room may broadcast.
const (
	RoleModerator   RoomRole = "Moderator"
	RoleParticipant RoomRole = "Participant"
	RoleVisitor     RoomRole = "Visitor"
)

// AffiliationName is a long-lived relation to a room (XEP-0045 §5.2).
type AffiliationName string

// Affiliations that can be declared.
const (
	AffiliationOwner   AffiliationName = "Owner"
	AffiliationAdmin   AffiliationName = "Admin"
	AffiliationMember  AffiliationName = "Member"
	AffiliationOutcast AffiliationName = "Outcast"
)

// Affiliation gives one address, or everybody of a domain, an affiliation.
type Affiliation struct {
	JID         jid.JID
	Affiliation AffiliationName
}

// GroupAffiliation gives every member of a group an affiliation.
type GroupAffiliation struct {
	Group       string
	Affiliation AffiliationName
}

// SystemProperty is a declared setting of the server. Those that the server
// honours are listed by [Settings]; others are kept and served back.
type SystemProperty struct {
	Ref
	// Key is the identity: exact, in any script.
	Key   string
	Value string
	// Secret values came from a Secret and are masked wherever they are shown.
	Secret     bool
	Managed    bool
	CreatedAt  time.Time
	ModifiedAt time.Time
}

// Identity is the property's key.
func (p *SystemProperty) Identity() string { return p.Key }

// lookup finds a key in a list that is sorted by key.
func lookup(list []Property, key string) (string, bool) {
	i, ok := slices.BinarySearchFunc(list, key, func(p Property, k string) int { return strings.Compare(p.Key, k) })
	if !ok {
		return "", false
	}
	return list[i].Value, true
}
