package room

import "github.com/chat-operator/chat-operator/xmpp/directory"

// Role is a relation of an occupant to a room that ends with the visit (XEP-0045 §5.1). They are ordered.
type Role uint8

// The roles. The zero value is that of somebody who isn't there.
const (
	NoRole Role = iota
	Visitor
	Participant
	Moderator
)

// String is the value on the wire.
func (r Role) String() string {
	switch r {
	case Visitor:
		return "visitor"
	case Participant:
		return "participant"
	case Moderator:
		return "moderator"
	}
	return "none"
}

// ParseRole reads the value on the wire.
func ParseRole(s string) (Role, bool) {
	for r := NoRole; r <= Moderator; r++ {
		if s == r.String() {
			return r, true
		}
	}
	return NoRole, false
}

// declared is the role as declarations spell it.
func (r Role) declared() directory.RoomRole {
	switch r {
	case Visitor:
		return directory.RoleVisitor
	case Participant:
		return directory.RoleParticipant
	case Moderator:
		return directory.RoleModerator
	}
	return ""
}

// defaultRole is the role that an affiliation enters with (XEP-0045 §5.1.2).
func defaultRole(a Affiliation, moderated bool) Role {
	switch {
	case a >= Admin:
		return Moderator
	case a == Member, a == None && !moderated:
		return Participant
	case a == None:
		return Visitor
	}
	return NoRole
}
