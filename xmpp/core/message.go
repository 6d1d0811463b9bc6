package core

import (
	"bytes"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Namespaces of what only servers, and rooms, may put into a stanza.
const (
	nsCarbons     = "urn:xmpp:carbons:2"
	nsArchive     = "urn:xmpp:mam:2"
	nsStanzaID    = "urn:xmpp:sid:0"
	nsOccupantID  = "urn:xmpp:occupant-id:0"
	nsPubSubEvent = "http://jabber.org/protocol/pubsub#event"
)

// messageFromClient is the way of a message that a client sent, in order.
func (sb *Switchboard) messageFromClient(s *Session, m *stanza.Stanza) {
	// 1. No 'to' means the sender's own account (RFC 6120 §10.3.1).
	if m.To.IsZero() {
		m.To = s.jid.Bare()
	}
	// 2. What only servers may say is taken out.
	if !sb.cleanse(m) {
		sb.refuse(m, stanza.ConditionNotAcceptable, "The message consists of what only servers may send.")
		return
	}
	// 3. What a former process has stored already, though the client never heard of it.
	if sb.echoes(s, m) {
		return
	}
	// 4. Nothing is taken that could not be kept.
	if sb.ledger.journal != nil && !s.admits() {
		sb.refusesWork(m)
		return
	}
	// 5. Deliver.
	s.buf = sb.routeMessage(s, m, s.buf[:0])
	s.trim()
}

// maxSessionBuffer is what a session keeps of its buffer between stanzas.
const maxSessionBuffer = 4 << 10

func (s *Session) trim() {
	if cap(s.buf) > maxSessionBuffer {
		s.buf = nil
	}
}

// cleanse removes children that claim to come from a server: carbon copies, archive results, event notifications, ids of occupants, and
// stanza ids and delays in the name of this domain and its services. All of them go, whatever their prefix. It is false when nothing remains.
func (sb *Switchboard) cleanse(m *stanza.Stanza) bool {
	forged := false
	for c := range m.Root.Children() {
		if sb.forged(c) {
			forged = true
			break
		}
	}
	if !forged {
		return true
	}
	payload := make([]byte, 0, 512)
	for c := range m.Root.Children() {
		if !sb.forged(c) {
			payload = c.Append(payload)
		}
	}
	m.Payload = payload
	return len(payload) > 0
}

func (sb *Switchboard) forged(c xmlstream.Element) bool {
	switch string(c.Space()) {
	case nsCarbons:
		// <private/> is the sender's to say (XEP-0280 §9); copies are not.
		return c.Is(nsCarbons, "sent") || c.Is(nsCarbons, "received")
	case nsArchive:
		return c.Is(nsArchive, "result")
	case nsPubSubEvent, nsOccupantID:
		return true
	case nsStanzaID:
		return c.Is(nsStanzaID, "stanza-id") && sb.ours(c.Attr("by"))
	case stanza.NSDelay:
		// One that names nobody is the sender's own word (XEP-0203 §2).
		from := c.Attr("from")
		return from != nil && sb.ours(from)
	}
	return false
}

// ours reports whether an address is of this domain or a service's, or not an address at all: what cannot be told from ours counts as ours.
func (sb *Switchboard) ours(address []byte) bool {
	j, err := jid.ParseBytes(bytes.TrimSpace(address))
	return err != nil || sb.Serves(j.Domain())
}

// routeMessage delivers one message: RFC 6120 §10.4, §10.5 and RFC 6121 §8.5, table 1. It serializes into buf, at most once. from is the session
// of the client that has just sent it; nil when it comes another way.
func (sb *Switchboard) routeMessage(from *Session, m *stanza.Stanza, buf []byte) []byte {
	switch sb.locate(m.To) {
	case elsewhere:
		sb.unreachable(m)
	case atService:
		sb.deliverToHost(from, m)
	case atHost:
		// Nobody reads the server's mail (RFC 6120 §10.5.1).
		sb.undeliverable(m)
	case atAccount:
		return sb.deliverMessage(from, m, buf)
	}
	return buf
}

// undeliverable is the fate of a message that nobody took and that is not kept: an error for the sender, silence for headlines and errors.
// It does not depend on whether the account exists, so it tells no more than that nothing was kept (RFC 6121 §8.5.1, §8.5.2.2, §8.5.3.2.1).
func (sb *Switchboard) undeliverable(m *stanza.Stanza) {
	if m.Type == stanza.MessageHeadline {
		return
	}
	sb.refuse(m, stanza.ConditionServiceUnavailable, "")
}

// deliverMessage hands a message to the resources of an account that RFC 6121 §8.5 picks, or to its mailbox.
func (sb *Switchboard) deliverMessage(from *Session, m *stanza.Stanza, buf []byte) []byte {
	out := sb.judge(from != nil, m)
	out.books = from
	buf = sb.deliver(&out, buf)
	switch {
	case from == nil:
	case out.letter:
		from.fate = meter.Stored
	case out.taken:
		from.fate = meter.Delivered
	}
	return buf
}

func (sb *Switchboard) deliver(out *outgoing, buf []byte) []byte {
	m := out.m
	for {
		var kept, retry bool
		if buf, kept = sb.tryDeliver(out, buf[:0]); kept {
			return buf
		}
		// §8.5.2.2.1, §8.5.3.2.1: nobody is there, or what was kept before has to come first.
		refused := out.refused
		if kept, retry = sb.keep(out, func() bool { return sb.someoneTakes(m, refused) }); kept {
			return buf
		}
		if !retry {
			sb.lose(out)
			return buf
		}
	}
}

// tryDeliver hands a message to the resources that are there for it, or ends its way otherwise. It is false for one that should be kept.
func (sb *Switchboard) tryDeliver(out *outgoing, buf []byte) ([]byte, bool) {
	m := out.m
	keepable := sb.keepable(out)
	owner := sb.owner(out)
	list := sb.table.sessions(m.To.Local())
	if len(out.refused) > 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(s *Session) bool { return slices.Contains(out.refused, s) })
	}
	if m.To.IsFull() {
		// §8.5.3.1: a connected resource that matches gets it, whatever the type and its priority.
		for _, s := range list {
			if s.jid != m.To {
				continue
			}
			if keepable && Hold(s.hold.Load()) == HoldTarget {
				return buf, false
			}
			out.identify(sb)
			buf = out.append(buf)
			if f, ok := s.sendParcel(buf, out.parcel(s, nil, owner), owner); ok {
				out.flies(owner, f, true)
				return buf, true
			}
			out.refused = append(out.refused, s)
			break
		}
		// §8.5.3.2.1: only chat goes on to the account.
		if m.Type != stanza.MessageChat {
			sb.lose(out)
			return buf, true
		}
	}
	// §8.5.2: the bare address.
	reach := everyone
	switch m.Type {
	case stanza.MessageNormal, stanza.MessageChat:
		reach = mostAvailable
	case stanza.MessageHeadline:
	case stanza.MessageGroupchat:
		sb.undeliverable(m)
		return buf, true
	default: // §8.5.2.1.1: an error to a bare address is ignored.
		return buf, true
	}
	for {
		best := int8(0) // negative priorities never get what is meant for the account
		if reach == mostAvailable {
			for _, s := range list {
				if !keepable || s.hold.Load() == 0 {
					best = max(best, s.Priority())
				}
			}
		}
		delivered, refused := false, false
		shared := newCopies(list)
		for _, s := range list {
			p := s.presence.Load()
			if p == nil || p.Priority < best || keepable && s.hold.Load() != 0 {
				continue
			}
			if len(buf) == 0 {
				out.identify(sb)
				buf = out.append(buf)
			}
			if f, ok := s.sendParcel(buf, out.parcel(s, shared, owner), owner); ok {
				out.flies(owner, f, !delivered)
				delivered = true
				continue
			}
			// Its connection is on its way out: the others are asked, once more without it.
			refused, out.refused = true, append(out.refused, s)
		}
		// Where everybody who took it is over already, because it was too much for them, it is for those that are left, too.
		lost := shared.done() && delivered
		if !lost && (delivered || !refused) {
			return buf, delivered
		}
		list = slices.DeleteFunc(slices.Clone(sb.table.sessions(m.To.Local())), func(s *Session) bool { return slices.Contains(out.refused, s) })
	}
}

// keepable reports whether a message is worth a place in a mailbox, and there is one.
func (sb *Switchboard) keepable(out *outgoing) bool {
	return out.worth&worthMailbox != 0 && sb.mailboxes != nil
}

// owner is whose books the flights of a message go into; nil: nobody's.
func (sb *Switchboard) owner(out *outgoing) *Session {
	if s := out.books; sb.keepable(out) && s != nil && s.sm.Load() != nil && sb.ledger.journal != nil {
		return s
	}
	return nil
}

// someoneTakes reports whether a message that is worth keeping can be delivered now.
func (sb *Switchboard) someoneTakes(m *stanza.Stanza, refused []*Session) bool {
	for _, s := range sb.table.sessions(m.To.Local()) {
		hold := Hold(s.hold.Load())
		if (s.jid == m.To && hold != HoldTarget && !s.Ended() || hold == NoHold && s.Receptive()) && !slices.Contains(refused, s) {
			return true
		}
	}
	return false
}

// reach says which of the available resources with a priority of zero or more get a message to the bare address.
type reach uint8

const (
	everyone      reach = iota
	mostAvailable       // those of the highest priority (RFC 6121 §8.5.2.1.1)
)
