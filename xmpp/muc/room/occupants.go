package room

import (
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// occupant is a nickname in the room, with one or more sessions of one user under it (XEP-0045 §7.2.8).
type occupant struct {
	addr        jid.JID // the room's with the nickname
	user        jid.JID // bare
	id          string  // XEP-0421
	affiliation Affiliation
	role        Role
	// explicit says that somebody gave this role, so that it stays when the room's moderation is switched.
	explicit bool
	admin    bool // of the service
	// told says that the others know of this occupant: their roles' presence may be kept from them.
	told bool
	// sessions are in the order of their presence: what the last one said is what the room shows.
	sessions []session
	// head and body are the shown presence, serialized up to the role of its item.
	head, body []byte
}

type session struct {
	jid     jid.JID
	seq     uint32 // of this session in the room, for the ids of requests that pass through
	payload []byte // of its presence, cleaned
}

func (o *occupant) nick() string { return o.addr.Resource() }

// real is the address that the room shows to those who may see it.
func (o *occupant) real() jid.JID { return o.sessions[len(o.sessions)-1].jid }

func (o *occupant) session(j jid.JID) int {
	return slices.IndexFunc(o.sessions, func(s session) bool { return s.jid == j })
}

// indexed is the number of occupants from which on maps pay.
const indexed = 16

// find is the occupant that a session is in the room as; nil if it isn't.
func (r *Room) find(full jid.JID) *occupant {
	if r.bySession != nil {
		return r.bySession[full]
	}
	for _, o := range r.occupants {
		if o.session(full) >= 0 {
			return o
		}
	}
	return nil
}

// named is the occupant with a nickname, or nil.
func (r *Room) named(nick string) *occupant {
	if r.byNick != nil {
		return r.byNick[nick]
	}
	for _, o := range r.occupants {
		if o.nick() == nick {
			return o
		}
	}
	return nil
}

// add takes an occupant in, sessions and all.
func (r *Room) add(o *occupant) {
	r.occupants = append(r.occupants, o)
	switch {
	case r.byNick != nil:
		r.byNick[o.nick()] = o
		for i := range o.sessions {
			r.bySession[o.sessions[i].jid] = o
		}
	case len(r.occupants) > indexed:
		r.byNick = make(map[string]*occupant, 4*indexed)
		r.bySession = make(map[jid.JID]*occupant, 4*indexed)
		for _, o := range r.occupants {
			r.byNick[o.nick()] = o
			for i := range o.sessions {
				r.bySession[o.sessions[i].jid] = o
			}
		}
	}
	if o.role == Moderator {
		r.stale = true
		return
	}
	for i := range o.sessions {
		r.reach(o.sessions[i].jid)
	}
}

// reach adds a session that isn't a moderator's to the list of recipients: behind what others may hold of it.
func (r *Room) reach(full jid.JID) {
	if !r.stale {
		r.everybody = append(r.everybody, full)
	}
}

func (r *Room) addSession(o *occupant, s session) {
	o.sessions = append(o.sessions, s)
	if r.bySession != nil {
		r.bySession[s.jid] = o
	}
	if o.role == Moderator {
		r.stale = true
	} else {
		r.reach(s.jid)
	}
}

// drop takes an occupant out.
func (r *Room) drop(o *occupant) {
	if i := slices.Index(r.occupants, o); i >= 0 {
		r.occupants = slices.Delete(r.occupants, i, i+1)
	}
	if r.byNick != nil {
		delete(r.byNick, o.nick())
		for i := range o.sessions {
			delete(r.bySession, o.sessions[i].jid)
		}
		if len(r.occupants) < indexed/2 {
			r.byNick, r.bySession = nil, nil
		}
	}
	r.stale = true
}

func (r *Room) dropSession(o *occupant, i int) {
	if r.bySession != nil {
		delete(r.bySession, o.sessions[i].jid)
	}
	o.sessions = slices.Delete(o.sessions, i, i+1)
	r.stale = true
}

// recipients are all sessions, those of moderators first: their number is the second result. The list is made anew when
// somebody in it has changed and is never written to where it was given out.
func (r *Room) recipients() (all []jid.JID, moderators int) {
	if r.stale {
		list := make([]jid.JID, 0, len(r.occupants)+len(r.occupants)/4+1)
		for _, o := range r.occupants {
			if o.role == Moderator {
				for i := range o.sessions {
					list = append(list, o.sessions[i].jid)
				}
			}
		}
		r.moderators = len(list)
		for _, o := range r.occupants {
			if o.role != Moderator {
				for i := range o.sessions {
					list = append(list, o.sessions[i].jid)
				}
			}
		}
		r.everybody, r.stale = list, false
	}
	return r.everybody[:len(r.everybody):len(r.everybody)], r.moderators
}

// others are the recipients without the sessions of an occupant.
func (r *Room) others(o *occupant) (list []jid.JID, moderators int) {
	all, n := r.recipients()
	own := false
	for i := range o.sessions {
		own = own || slices.Contains(all, o.sessions[i].jid)
	}
	if !own {
		return all, n
	}
	list = make([]jid.JID, 0, len(all))
	for i, j := range all {
		if o.session(j) >= 0 {
			continue
		}
		if i < n {
			moderators++
		}
		list = append(list, j)
	}
	return list, moderators
}

// render serializes the occupant's presence as the room shows it.
func (r *Room) render(o *occupant) {
	o.head = appendAttr([]byte("<presence"), "from", o.addr.String())
	o.head = append(o.head, " to='"...)
	shown := &o.sessions[len(o.sessions)-1]
	payload := shown.payload
	o.body = make([]byte, 0, len(payload)+220)
	o.body = append(append(o.body, '>'), payload...)
	shown.payload = o.body[1:len(o.body):len(o.body)] // kept once
	o.body = appendOccupantID(o.body, o.id)
	o.body = append(o.body, "<x xmlns='"+nsUser+"'>"...)
	o.body = appendItem(o.body, o.affiliation, o.role)
}

func appendItem(dst []byte, a Affiliation, role Role) []byte {
	dst = append(append(dst, "<item affiliation='"...), a.String()...)
	return append(append(append(dst, "' role='"...), role.String()...), '\'')
}

func appendOccupantID(dst []byte, id string) []byte {
	return append(append(append(dst, "<occupant-id xmlns='"+nsOccupantID+"' id='"...), id...), "'/>"...)
}

func appendAttr(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ' '), name...), "='"...)
	return append(xmlstream.AppendEscapedAttrString(dst, value), '\'')
}
