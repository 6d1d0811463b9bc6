package core

import (
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Hosts are services with domains of their own below the server's, such as those of chat rooms. All methods may be called by many
// goroutines at once.
type Hosts interface {
	// Serves reports whether a domain is one of these services.
	Serves(domain string) bool
	// Items lists the services for those who discover the server (XEP-0030 §4).
	Items() []HostItem
	// Receive takes a stanza to an address at one of the domains that Serves knows: it delivers and answers it. The stanza is what its sender
	// wrote, but for what only servers may say, and is the caller's again when Receive returns. s is the session of the client that has just sent
	// it, nil when it comes another way.
	Receive(s *Session, st *stanza.Stanza)
	// Holds reports whether somebody is present at an address, so that the service has to hear when that ends.
	Holds(who, at jid.JID) bool
}

// HostItem is a service as service discovery lists it.
type HostItem struct {
	JID  jid.JID
	Name string // for people; may be empty
}

// UseHosts adds services. It is called before the first Bind.
func (sb *Switchboard) UseHosts(h Hosts) { sb.hosts = append(sb.hosts, h) }

// hostOf gives the service of a domain, nil when there is none.
func (sb *Switchboard) hostOf(domain string) Hosts {
	for _, h := range sb.hosts {
		if h.Serves(domain) {
			return h
		}
	}
	return nil
}

// Serves reports whether a domain is this server's: its own, or that of one of its services.
func (sb *Switchboard) Serves(domain string) bool {
	return domain == sb.domain || sb.hostOf(domain) != nil
}

// deliverToHost hands a stanza to the service at its address.
func (sb *Switchboard) deliverToHost(s *Session, st *stanza.Stanza) {
	if h := sb.hostOf(st.To.Domain()); h != nil {
		h.Receive(s, st)
		return
	}
	sb.unreachable(st) // it has just gone
}

// Fanout sends one stanza to many sessions: head, the address of each, escaped, and tail make the whole of it. Addresses without a session are
// passed over. It gives how many sessions took it.
func (sb *Switchboard) Fanout(head, tail []byte, to []jid.JID) (taken int) {
	var room [256]byte
	for _, j := range to {
		s := sb.table.find(j.Local(), j.Resource())
		if s == nil || j.Domain() != sb.domain {
			continue
		}
		if s.SendParts(head, xmlstream.AppendEscapedAttrString(room[:0], j.String()), tail, len(to)) {
			taken++
		}
	}
	return taken
}

// SendParts is Send for a stanza in three parts that so many recipients get; see [Conn].
func (s *Session) SendParts(head, to, tail []byte, recipients int) bool {
	if s.ended.Load() {
		return false
	}
	s.followOut(head, to, tail)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.sm.Load(); m != nil {
		return s.sendManaged(m, parcel{}, head, to, tail, recipients)
	}
	return s.conn.SendParts(head, to, tail, recipients)
}

// Hand gives a session stanzas that belong together, which end at ends, in one go. False: there is no such session.
func (sb *Switchboard) Hand(to jid.JID, stanzas []byte, ends []int) bool {
	if to.Domain() != sb.domain || !to.IsFull() {
		return false
	}
	s := sb.table.find(to.Local(), to.Resource())
	if s == nil {
		return false
	}
	start := 0
	for _, end := range ends {
		if !s.Send(stanzas[start:end]) {
			return false
		}
		start = end
	}
	return true
}

// Relay routes what a service has made of a message that a client sent: the client's message counts as handled when this one does (XEP-0198 §4). by is
// the client's session, nil when there is none here. A ticket that the session gave for the message is settled with it; 0: there is none, and the session's
// goroutine is the caller.
func (sb *Switchboard) Relay(by *Session, ticket uint64, st *stanza.Stanza) {
	if ticket != 0 {
		defer by.settledWithFlights(ticket)
	}
	if by == nil || st.Kind != stanza.Message || sb.locate(st.To) != atAccount {
		sb.Route(st)
		return
	}
	if sb.echoes(by, st) {
		return
	}
	buf := sb.takeBuffer()
	defer sb.giveBuffer(buf)
	out := sb.judge(false, st)
	out.books, out.relayed, out.ticket = by, true, ticket
	*buf = sb.deliver(&out, (*buf)[:0])
}

// Pass is Relay under a service's own lock, so that what it passes on keeps its place among all else that the service sends: it hands the message to the
// session that it is for and never does more. False: that is not here, and the account has to decide, by Relay.
func (sb *Switchboard) Pass(by *Session, ticket uint64, st *stanza.Stanza) bool {
	if by == nil || st.To.Domain() != sb.domain || !st.To.IsFull() {
		return false
	}
	s := sb.table.find(st.To.Local(), st.To.Resource())
	if s == nil || Hold(s.hold.Load()) == HoldTarget {
		return false
	}
	if !sb.echoes(by, st) {
		out := sb.judge(false, st)
		out.books, out.relayed, out.ticket = by, true, ticket
		owner := sb.owner(&out)
		buf := sb.takeBuffer()
		defer sb.giveBuffer(buf)
		out.identify(sb)
		*buf = out.append((*buf)[:0])
		f, ok := s.sendParcel(*buf, out.parcel(s, nil, owner), owner)
		if !ok {
			return false
		}
		out.flies(owner, f, true)
	}
	if ticket != 0 {
		by.settledWithFlights(ticket)
	}
	return true
}

// RemoteAddr gives the network address of a session's client, as far as it is known.
func (sb *Switchboard) RemoteAddr(full jid.JID) string {
	if s := sb.table.find(full.Local(), full.Resource()); s != nil && full.Domain() == sb.domain {
		return s.Info().RemoteAddr
	}
	return ""
}

// NewID gives a fresh stanza id (XEP-0359): later ones are greater, as text too.
func (sb *Switchboard) NewID() string { return string(appendStanzaID(nil, sb.nextID(sb.now()))) }

// ReadBack reads one stanza that this server wrote itself.
func ReadBack(b []byte) (*stanza.Stanza, error) {
	root, err := readBack(b)
	if err != nil {
		return nil, err
	}
	st, bad := stanza.Parse(root, nil)
	if bad != nil {
		return nil, bad
	}
	return &st, nil
}
