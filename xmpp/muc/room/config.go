package room

import (
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Config is what a room is: what is declared of it, or what its owner set for a temporary one. A Config that was given to a
// Room is immutable.
type Config struct {
	Name, Description string
	// Lang is the language of the room's discussions (muc#roomconfig_lang), or empty.
	Lang string
	// Contacts are whom to ask about the room (muc#roominfo_contactjid).
	Contacts []jid.JID
	// MaxOccupants is the greatest number of occupants; 0: no limit. Owners and admins always get in (XEP-0045 §7.2.9).
	MaxOccupants int
	// Password is what everybody has to know who enters; empty: nothing.
	Password string

	Listed, Persistent, MembersOnly, Moderated, Archived bool
	// RegistrationEnabled lets users register with the room and so become members (XEP-0045 §7.10).
	RegistrationEnabled bool
	// NicknameRestricted holds users who have a reserved nickname to it.
	NicknameRestricted                             bool
	CanChangeSubject, CanInvite, CanChangeNickname bool

	WhoSeesJIDs     directory.WhoSeesJIDs
	PrivateMessages directory.PrivateMessages
	// PresenceBroadcast lists the roles whose presence is told to the others.
	PresenceBroadcast []directory.RoomRole

	// History is how many messages are kept in memory to be sent to who enters.
	History int

	Affiliations *Affiliations
}

// Change is a wish to change a configuration: what is not nil, and nothing else.
type Change struct {
	Name, Description, Lang *string
	Contacts                *[]jid.JID
	MaxOccupants            *int
	Password                *string

	Listed, Persistent, MembersOnly, Moderated, Archived *bool
	RegistrationEnabled, NicknameRestricted              *bool
	CanChangeSubject, CanInvite, CanChangeNickname       *bool

	WhoSeesJIDs       *directory.WhoSeesJIDs
	PrivateMessages   *directory.PrivateMessages
	PresenceBroadcast *[]directory.RoomRole
	History           *int
}

// IsZero reports whether nothing would change.
func (c *Change) IsZero() bool {
	return c == nil || *c == Change{}
}

// With is the configuration after a wish, for rooms whose configuration rests nowhere else: temporary ones.
func (c *Config) With(change *Change, affiliations []Entry) *Config {
	n := *c
	if change != nil {
		set(&n.Name, change.Name)
		set(&n.Description, change.Description)
		set(&n.Lang, change.Lang)
		set(&n.Contacts, change.Contacts)
		set(&n.MaxOccupants, change.MaxOccupants)
		set(&n.Password, change.Password)
		set(&n.Listed, change.Listed)
		set(&n.Persistent, change.Persistent)
		set(&n.MembersOnly, change.MembersOnly)
		set(&n.Moderated, change.Moderated)
		set(&n.Archived, change.Archived)
		set(&n.RegistrationEnabled, change.RegistrationEnabled)
		set(&n.NicknameRestricted, change.NicknameRestricted)
		set(&n.CanChangeSubject, change.CanChangeSubject)
		set(&n.CanInvite, change.CanInvite)
		set(&n.CanChangeNickname, change.CanChangeNickname)
		set(&n.WhoSeesJIDs, change.WhoSeesJIDs)
		set(&n.PrivateMessages, change.PrivateMessages)
		set(&n.PresenceBroadcast, change.PresenceBroadcast)
		set(&n.History, change.History)
	}
	if len(affiliations) > 0 {
		n.Affiliations = n.Affiliations.With(affiliations)
	}
	return &n
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// anonymous reports whether only moderators see real addresses (XEP-0045 §4.2, semi-anonymous room).
func (c *Config) anonymous() bool { return c.WhoSeesJIDs != directory.JIDsAnyone }

// broadcasts reports whether presence of occupants in a role is told to the others.
func (c *Config) broadcasts(r Role) bool { return slices.Contains(c.PresenceBroadcast, r.declared()) }
