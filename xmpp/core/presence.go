package core

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// maxStatus bounds what is kept of a status text for people who look at sessions; contacts get all of it.
const maxStatus = 1024

// presenceFromClient is the way of a presence stanza that a client sent, in order.
func (sb *Switchboard) presenceFromClient(s *Session, p *stanza.Stanza) {
	sb.cleanse(p) // presence may well have nothing inside
	switch p.Type {
	case stanza.PresenceAvailable, stanza.PresenceUnavailable:
		if p.To.IsZero() {
			sb.broadcastFromClient(s, p)
			return
		}
		// RFC 6121 §4.6: directed presence is noted down, so that the other side hears when the session ends.
		if h := sb.hostOf(p.To.Domain()); h != nil {
			sb.presenceToHost(s, h, p)
			return
		}
		if e := sb.presences.Directed(s, p); e != nil {
			sb.fail(p, e)
			return
		}
	case stanza.PresenceSubscribe, stanza.PresenceSubscribed, stanza.PresenceUnsubscribe, stanza.PresenceUnsubscribed:
		if p.To.IsZero() {
			s.SendStanza(stanza.ErrorReply(p, stanza.NewError(stanza.ConditionBadRequest, "A subscription needs the address of a contact in 'to'.")))
			return
		}
		// RFC 6121 §3.1.2: subscriptions are between accounts.
		p.From, p.To = s.jid.Bare(), p.To.Bare()
		sb.presences.Outbound(s, p)
		return
	default: // probes (RFC 6121 §4.3) and errors
		if p.To.IsZero() {
			return
		}
	}
	s.buf = sb.routePresence(s, p, s.buf[:0])
	s.trim()
}

// presenceToHost is the way of directed presence to a service. What is noted down is the place without the name that is used there, which may
// change, and nothing where nobody is present in the end.
func (sb *Switchboard) presenceToHost(s *Session, h Hosts, p *stanza.Stanza) {
	note := stanza.Stanza{Kind: stanza.Presence, Type: p.Type, ID: p.ID, From: p.From, To: p.To.Bare()}
	if p.Type == stanza.PresenceAvailable {
		if e := sb.presences.Directed(s, &note); e != nil {
			sb.fail(p, e)
			return
		}
	}
	h.Receive(s, p)
	if !h.Holds(note.From, note.To) {
		note.Type = stanza.PresenceUnavailable
		_ = sb.presences.Directed(s, &note) // taking a note back is never refused
		return
	}
	if s.ended.Load() {
		// Somebody ended the session meanwhile, and the service may have been told before it knew of the session.
		note.Type, note.ID = stanza.PresenceUnavailable, nil
		h.Receive(nil, &note)
	}
}

// broadcastFromClient reads what a resource says about itself and hands it on.
func (sb *Switchboard) broadcastFromClient(s *Session, p *stanza.Stanza) {
	if p.Type == stanza.PresenceUnavailable {
		sb.presences.Broadcast(s, p, nil)
		return
	}
	next, bad := sb.readPresence(s, p)
	if bad != nil {
		s.SendStanza(stanza.ErrorReply(p, bad))
		return
	}
	sb.presences.Broadcast(s, p, next)
}

// readPresence reads the children that RFC 6121 §4.7.2 defines.
func (sb *Switchboard) readPresence(s *Session, p *stanza.Stanza) (*Presence, *stanza.Error) {
	next := &Presence{At: sb.now()}
	if c := p.Child(stanza.NSClient, "priority"); c.Valid() {
		// RFC 6121 §4.7.2.3: an integer between -128 and +127.
		n, err := strconv.ParseInt(string(bytes.TrimSpace(c.Text())), 10, 8)
		if err != nil {
			return nil, stanza.NewError(stanza.ConditionBadRequest, "The priority has to be a whole number between -128 and 127.")
		}
		next.Priority = int8(n)
	}
	switch show := textOf(p.Child(stanza.NSClient, "show")); show {
	case "away", "chat", "dnd", "xa":
		next.Show = show
	}
	next.Status = textOf(p.Child(stanza.NSClient, "status"))
	if len(next.Status) > maxStatus {
		next.Status = cutUTF8(next.Status, maxStatus)
	}
	next.Stanza = &stanza.Stanza{
		Kind: stanza.Presence, Type: p.Type, From: s.jid,
		ID: slices.Clone(p.ID), Lang: slices.Clone(p.Lang),
		Payload: p.AppendPayload(nil),
	}
	return next, nil
}

func textOf(e xmlstream.Element) string {
	if !e.Valid() {
		return ""
	}
	return string(bytes.TrimSpace(e.Text()))
}

// cutUTF8 cuts a text to at most n bytes without splitting a character.
func cutUTF8(s string, n int) string {
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// routePresence delivers one presence stanza: RFC 6121 §8.5, its subscriptions by §3 and its probes by §4.3.
func (sb *Switchboard) routePresence(s *Session, p *stanza.Stanza, buf []byte) []byte {
	switch sb.locate(p.To) {
	case elsewhere:
		sb.unreachable(p)
		return buf
	case atService:
		sb.deliverToHost(s, p)
		return buf
	case atHost:
		return buf // the server has no presence to share, and nobody's interests it
	}
	switch p.Type {
	case stanza.PresenceSubscribe, stanza.PresenceSubscribed, stanza.PresenceUnsubscribe, stanza.PresenceUnsubscribed:
		sb.presences.Inbound(p)
	case stanza.PresenceProbe:
		sb.presences.Probe(p)
	default:
		buf = sb.deliverPresence(p, buf)
	}
	return buf
}

// deliverPresence hands availability, or an error, to resources. What finds nobody is dropped (RFC 6121 §8.5.1, §8.5.2.2.2, §8.5.3.2.2).
func (sb *Switchboard) deliverPresence(p *stanza.Stanza, buf []byte) []byte {
	list := sb.table.sessions(p.To.Local())
	if p.To.IsFull() {
		// §8.5.3.1: a connected resource that matches, available or not.
		for _, s := range list {
			if s.jid == p.To {
				buf = p.Append(buf)
				s.Send(buf)
				break
			}
		}
		return buf
	}
	if p.Type == stanza.TypeError {
		return buf
	}
	// §8.5.2.1.2: all available resources, negative priorities included.
	for _, s := range list {
		if !s.Available() {
			continue
		}
		if len(buf) == 0 {
			buf = p.Append(buf)
		}
		s.Send(buf)
	}
	return buf
}
