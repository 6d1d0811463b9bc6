package core

import (
	"context"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Stored is a message that a mailbox gives back.
type Stored struct {
	ID     int64
	Stanza []byte
}

// SendStored is Send for messages that the caller keeps until the client has them; see [Session.Acknowledged]. If the session ends before that, they do
// not go on to anybody.
//
// Where the client may resume its session, their places are noted down before they are sent, so that what the client has got is known even when this
// process ends before it has heard so. Until then, nothing else is sent either, but waits its turn, and nobody waits but the caller.
func (s *Session) SendStored(list []Stored) bool {
	f, sums := s.sb.formerProcess(), make([]uint64, len(list))
	for i := range list {
		if s.sb.traces.file != nil {
			sums[i] = sumOf(list[i].Stanza)
		}
	}
	m := s.sm.Load()
	if m == nil || !m.resumable || s.sb.ledger.journal == nil {
		for i := range list {
			if f.has(sums[i]) {
				continue
			}
			if _, ok := s.sendParcel(list[i].Stanza, parcel{copies: &copies{stored: true}, sum: sums[i]}, nil); !ok {
				return false
			}
		}
		return true
	}
	s.mu.Lock()
	before := m.sent()
	m.held = true
	notes := make([]Note, 0, len(list))
	for i := range list {
		if f.has(sums[i]) {
			continue // the client said so when it came back
		}
		s.followOut(list[i].Stanza)
		if !s.sendManaged(m, parcel{copies: &copies{stored: true}, sum: sums[i]}, list[i].Stanza, nil, nil, 1) {
			m.held = false
			s.mu.Unlock()
			return false
		}
		notes = append(notes, Note{NoteKey: s.noteKey(list[i].ID), Place: m.sent(), Received: s.sb.now()})
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	if err := s.sb.ledger.journal.Record(ctx, notes, nil); err != nil {
		s.sb.log.Error("messages are given back that may come once more if the server ends now", "user", s.username, "error", err.Error())
	}
	s.release(m, before)
	return true
}

// release sends what was held back: all that was queued after so many stanzas. Where the client has come back on another connection meanwhile, it got
// that already.
func (s *Session) release(m *management, before uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !m.held {
		return
	}
	m.held = false
	if s.conn == nil || m.queue == nil {
		return
	}
	m.requested = false // what the client may be asked already is about what came before
	m.queue.each(func(i int, b []byte, _ *entry) {
		if m.acked+uint64(i) >= before { //nolint:gosec // an index
			s.conn.Send(b)
		}
	})
}

// asKept gives a stanza that was sent to a client as its mailbox would give it back: with the time (XEP-0203).
func (sb *Switchboard) asKept(b []byte, at time.Time) []byte {
	out := append(make([]byte, 0, len(b)+len(sb.domain)+96), b...)
	root, err := readBack(b)
	if err != nil || sb.delayedIn(root) {
		return out
	}
	return sb.appendDelay(out, at)
}

// appendDelay writes into a message that the domain kept it (XEP-0203 §2).
func (sb *Switchboard) appendDelay(b []byte, at time.Time) []byte {
	b = append(append(b[:len(b)-len(endOfMessage)], "<delay xmlns='urn:xmpp:delay' from='"...), sb.domain...)
	return append(at.UTC().AppendFormat(append(b, "' stamp='"...), "2006-01-02T15:04:05.000Z"), "'/></message>"...)
}

// Readdress gives a message that this server wrote and kept for an account as it is to be when the account has another name: where the address of the
// message, and of who gave it its id, is the account's, it is the new one.
func Readdress(b []byte, old, now jid.JID) []byte {
	root, err := readBack(b)
	if err != nil {
		return b
	}
	st, bad := stanza.Parse(root, nil)
	if bad != nil {
		return b
	}
	if st.To.Bare() == old {
		if to, err := jid.New(now.Local(), now.Domain(), st.To.Resource()); err == nil {
			st.To = to
		}
	}
	var payload []byte
	for c := range root.Children() {
		if c.Is(stanza.NSStanzaID, "stanza-id") && string(c.Attr("by")) == old.String() {
			payload = append(payload, xmlstream.NewBuilder(nil).Open(stanza.NSStanzaID, "stanza-id").Attr("id", string(c.Attr("id"))).Attr("by", now.String()).Close().Bytes()...)
			continue
		}
		payload = c.Append(payload)
	}
	out := stanza.Stanza{Kind: st.Kind, Type: st.Type, ID: st.ID, From: st.From, To: st.To, Lang: st.Lang, Payload: payload}
	return out.Append(nil)
}
