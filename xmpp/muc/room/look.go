package room

import (
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Occupant is an occupant as the service may see it.
type Occupant struct {
	Nick        string
	Address     jid.JID // in the room
	User        jid.JID // bare
	Affiliation Affiliation
	Role        Role
	Sessions    []jid.JID // full
}

// Occupants are all occupants, in the order they came.
func (r *Room) Occupants() []Occupant {
	list := make([]Occupant, 0, len(r.occupants))
	for _, o := range r.occupants {
		list = append(list, o.look())
	}
	return list
}

// Occupant looks an occupant up by its (prepared) nickname.
func (r *Room) Occupant(nick string) (Occupant, bool) {
	if o := r.named(nick); o != nil {
		return o.look(), true
	}
	return Occupant{}, false
}

func (o *occupant) look() Occupant {
	v := Occupant{Nick: o.nick(), Address: o.addr, User: o.user, Affiliation: o.affiliation, Role: o.role}
	for i := range o.sessions {
		v.Sessions = append(v.Sessions, o.sessions[i].jid)
	}
	return v
}

// Has reports whether a session is in the room.
func (r *Room) Has(full jid.JID) bool { return r.find(full) != nil }

// Len is the number of occupants.
func (r *Room) Len() int { return len(r.occupants) }

// Name is what people call the room: its name, else its address' local part.
func (r *Room) Name() string {
	if r.cfg.Name != "" {
		return r.cfg.Name
	}
	return r.addr.Local()
}

// Config is the configuration in force, to be treated as immutable.
func (r *Room) Config() *Config { return r.cfg }

// Address is the room's bare JID.
func (r *Room) Address() jid.JID { return r.addr }

// Subject is the room's subject, or nil.
func (r *Room) Subject() *Subject { return r.subject }

// History are the last messages, the oldest first.
func (r *Room) History() []Past { return slices.Clone(r.history) }

// Locked reports whether the room waits to be configured.
func (r *Room) Locked() bool { return r.locked }

// Over reports whether the room has ended.
func (r *Room) Over() bool { return r.ended }

// Pending reports whether wishes wait for their answer, so that the room has to stay in memory.
func (r *Room) Pending() bool { return len(r.wishes) > 0 }

// Lists reports whether somebody may find the room among those of the service (XEP-0045 §6.3).
func (r *Room) Lists(full jid.JID, admin bool) bool {
	return !r.locked && !r.ended && (r.cfg.Listed || r.affiliation(full, admin) >= Member || r.find(full) != nil)
}
