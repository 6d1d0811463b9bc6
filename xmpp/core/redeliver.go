package core

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// passOn deals with what a session that is over has never acknowledged, as if its resource had not been there (XEP-0198 §4): messages go
// where redeliver sends them, requests are answered with an error, presence and answers concern nobody any more. The first stanza of the queue has
// that place.
func (s *Session) passOn(q *unacked, first uint64) {
	sb := s.sb
	q.each(func(i int, b []byte, e *entry) {
		root, err := readBack(b)
		if err != nil {
			sb.log.Error("a stanza that a client did not acknowledge cannot be read any more and is dropped", "error", err)
			return
		}
		st, _ := stanza.Parse(root, nil)
		switch {
		case st.Type == stanza.MessageGroupchat: // the session has left the room, and the account is not in it
		case st.Kind == stanza.Message:
			switch {
			case e.copies.lost():
				s.redeliver(&st, e, first+uint64(i)) //nolint:gosec // an index
			case e.noted && s.sm.Load().resumable: // others without resumption share the note
				sb.ledger.forget(s.noteKey(e.id)) // others have copies of it, and notes
			}
		case st.IsRequest():
			sb.refuse(&st, stanza.ConditionServiceUnavailable, "")
		}
	})
}

// redeliver routes a message again that was sent to the session, which is over and out of the table: to the account, whose next
// resource gets it, or its offline queue, or else the sender an error. It tells when the message was sent (XEP-0203). The session's books follow
// it, and for the case that the client has got it and comes back, its place is noted down.
func (s *Session) redeliver(m *stanza.Stanza, e *entry, place uint64) {
	sb := s.sb
	again := *m
	again.To = m.To.Bare()
	if !sb.delayed(m) {
		again.Payload = xmlstream.NewBuilder(m.AppendPayload(nil)).Open(stanza.NSDelay, "delay").Attr("from", sb.domain).
			Attr("stamp", time.UnixMilli(e.at).UTC().Format("2006-01-02T15:04:05.000Z")).Close().Bytes()
		// Read once more, so that whoever looks inside need not, within limits that it may not know of.
		root, err := readBack(again.Append(nil))
		if err != nil {
			sb.refuse(m, stanza.ConditionServiceUnavailable, "")
			return
		}
		again.Root, again.Payload = root, nil
	}
	if sb.locate(again.To) != atAccount {
		sb.Route(&again)
		return
	}
	out := sb.judge(false, &again)
	out.books, out.again = s, e.noted
	if out.stamps.id == 0 {
		out.stamps.id = e.id
	}
	if sm := s.sm.Load(); sm.resumable && !e.noted && out.worth&worthMailbox != 0 && sb.mailboxes != nil && sb.ledger.journal != nil {
		out.identify(sb)
		s.fly(flight{to: s, kind: placeFlight, mark: place, id: out.stamps.id}, true)
		out.again = true // its place goes when the message does
	}
	buf := sb.takeBuffer()
	defer sb.giveBuffer(buf)
	*buf = sb.deliver(&out, (*buf)[:0])
}

// readBack reads what this server wrote itself, whatever the limits of clients are by now.
func readBack(b []byte) (xmlstream.Element, error) {
	most := len(b) + 1
	return xmlstream.Parse(b, xmlstream.Limits{MaxBytes: most, MaxDepth: most, MaxAttributes: most, MaxElements: most, MaxNamespaces: most})
}

// delayed reports whether this server has said already when a message was sent.
func (sb *Switchboard) delayed(m *stanza.Stanza) bool { return sb.delayedIn(m.Root) }

func (sb *Switchboard) delayedIn(root xmlstream.Element) bool {
	for c := range root.Children() {
		if c.Is(stanza.NSDelay, "delay") && string(c.Attr("from")) == sb.domain {
			return true
		}
	}
	return false
}
