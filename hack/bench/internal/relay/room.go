package relay

import (
	"bytes"
	"sync"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
)

// room is the least that can be called a chat room: who enters is told of the others and they of it, and what one says, all get.
type room struct {
	mu        sync.Mutex // held while something goes out, so that all get it in one order
	occupants []*occupant
}

type occupant struct {
	session *session
	addr    []byte // the room's with the nickname
}

// room gives the room with a bare address, made if need be.
func (r *Relay) room(addr []byte) *room {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.rooms[string(addr)]
	if m == nil {
		m = &room{}
		r.rooms[string(addr)] = m
	}
	return m
}

// enter takes a presence to a room's address with a nickname (XEP-0045 §7.2): who is there goes to who enters, and who enters to all.
func (r *Relay) enter(s *session, addr []byte) {
	bare, _, ok := bytes.Cut(addr, []byte("/"))
	if !ok {
		return
	}
	m := r.room(bare)
	in := &occupant{session: s, addr: bytes.Clone(addr)}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.rooms = append(s.rooms, m)
	var out []byte
	for _, o := range m.occupants {
		out = appendPresence(out[:0], o.addr, s.jid, "")
		s.send(out, r.config.Coalesce)
	}
	for _, o := range m.occupants {
		out = appendPresence(out[:0], in.addr, o.session.jid, "")
		o.session.send(out, r.config.Coalesce)
	}
	m.occupants = append(m.occupants, in)
	s.send(appendPresence(out[:0], in.addr, s.jid, "<status code='110'/>"), r.config.Coalesce)
	out = append(append(out[:0], "<message type='groupchat' from='"...), bare...)
	s.send(append(append(append(out, "' to='"...), s.jid...), "'><subject/></message>"...), r.config.Coalesce)
}

func appendPresence(dst, from []byte, to, status string) []byte {
	dst = append(append(dst, "<presence from='"...), from...)
	dst = append(append(dst, "' to='"...), to...)
	dst = append(dst, "'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/>"...)
	return append(append(dst, status...), "</x></presence>"...)
}

// say takes a message to everybody in a room: one write each, or with coalescing what each one's flush makes of it.
func (r *Relay) say(s *session, e client.Element) {
	m := r.room(e.Attr("to"))
	m.mu.Lock()
	defer m.mu.Unlock()
	var from []byte
	for _, o := range m.occupants {
		if o.session == s {
			from = o.addr
			break
		}
	}
	if from == nil {
		return
	}
	// The sender wrote the room's address first.
	_, rest, ok := bytes.Cut(e.Raw(), []byte("'"))
	if !ok {
		return
	}
	_, tail, _ := bytes.Cut(rest, []byte("'"))
	out := append(append([]byte("<message from='"), from...), "' to='"...)
	head := len(out)
	for _, o := range m.occupants {
		out = append(append(append(out[:head], o.session.jid...), '\''), tail...)
		o.session.send(out, r.config.Coalesce)
	}
}

// leave takes a session that is over out of its rooms; nobody is told.
func (s *session) leave() {
	for _, m := range s.rooms {
		m.mu.Lock()
		for i, o := range m.occupants {
			if o.session == s {
				m.occupants = append(m.occupants[:i:i], m.occupants[i+1:]...)
				break
			}
		}
		m.mu.Unlock()
	}
}
