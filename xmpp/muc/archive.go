package muc

import (
	"bytes"
	"context"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Namespaces of what messages in archives have.
const (
	nsUser    = "http://jabber.org/protocol/muc#user" // XEP-0045
	nsRetract = "urn:xmpp:message-retract:1"          // XEP-0424
)

// pruneEvery is how often messages that have run out are deleted.
const pruneEvery = time.Hour

// oldest is the least id that archives still give.
func (s *Service) oldest() int64 {
	if age := s.dir.Duration(directory.KeyArchiveRetention); age > 0 {
		return core.FirstID(s.now().Add(-age))
	}
	return 0
}

// query answers what is asked of a room's archive (XEP-0313), on the goroutine of the client that asks. It is false for rooms without an
// archive, and for everything else.
func (s *Service) query(from *core.Session, e *entry, st *stanza.Stanza) bool {
	if s.memory == nil || st.Kind != stanza.IQ || !st.IsRequest() || !st.To.IsBare() || !archive.Asks(st.FirstChild()) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), core.HandlerTimeout)
	defer cancel()
	a, there, bad := s.readable(e, st.From)
	switch {
	case !there:
		return false
	case bad != nil:
		s.refuse(st, bad)
		return true
	}
	// Who has entered is sent what is said from then on; what was said before has to be in the archive by the time that it is asked.
	if err := e.settled(ctx); err != nil {
		s.refuse(st, notNow())
		return true
	}
	sent := 0
	reply := a.Answer(ctx, st, func(result *stanza.Stanza) bool {
		sent += len(result.Payload)
		if from == nil {
			s.sb.Route(result)
			return true
		}
		return from.SendStanza(result)
	})
	switch {
	case reply == nil:
	case from == nil:
		s.sb.Route(reply)
	default:
		from.SendStanza(reply)
		if sent >= slowPage {
			from.AwaitWritten() // so that a client which asks for page after page does not fill its own buffer
		}
	}
	return true
}

// slowPage is how many bytes of results a client has to have taken before it is listened to again.
const slowPage = 64 << 10

// readable gives a room's archive for somebody: there is one, and whether it may be read by that user (XEP-0313 §6.1.2).
func (s *Service) readable(e *entry, who jid.JID) (a *archive.Archive, there bool, bad *stanza.Error) {
	admin := s.admin(who)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone || e.keeping.owner == 0 || !e.room.Config().Archived {
		return nil, false, nil
	}
	if bad := e.room.MayRead(who, admin); bad != nil {
		return nil, true, bad
	}
	sees := e.room.SeesJIDs(who, admin)
	return &archive.Archive{
		Store: s.memory, Log: s.log, Owner: e.keeping.owner, JID: e.addr, Oldest: s.oldest(),
		Most: s.dir.Int(directory.KeyArchivePage), MostBytes: min(maxPageBytes, s.dir.Int(directory.KeyOutputBytes)/4),
		With: func(j jid.JID) (archive.Filter, *stanza.Error) { return with(e.addr, who, j, sees) },
		Show: func(m *archive.Message) []byte { return show(m, sees) },
	}, true, nil
}

// maxPageBytes bounds a page of an archive; a quarter of what may wait for a client is a bound, too.
const maxPageBytes = 256 << 10

// with picks messages by who they are from: an occupant's address, or a user's where that may be seen, and one's own.
func with(addr, who, j jid.JID, sees bool) (f archive.Filter, bad *stanza.Error) {
	switch {
	case j == addr:
	case j.Bare() == addr:
		nick := j.Resource()
		f.Peer = &nick
	case !sees && j.Bare() != who.Bare():
		return f, stanza.NewError(stanza.ConditionForbidden, "This room does not tell whose messages are whose.")
	case j.IsFull():
		f.None = true // the archive knows users and not their devices, so a message matches a bare address alone (XEP-0313 §4.1.1)
	default:
		account := j.String()
		f.Account = &account
	}
	return f, nil
}

const endOfMessage = "</message>"

// show gives a message as somebody may see it: with the sender's real address only where that is open to them (XEP-0313 §6.1.2).
func show(m *archive.Message, sees bool) []byte {
	if !sees || m.Account == "" || !bytes.HasSuffix(m.XML, []byte(endOfMessage)) {
		return m.XML
	}
	b := append(make([]byte, 0, len(m.XML)+128), m.XML[:len(m.XML)-len(endOfMessage)]...)
	b = xmlstream.NewBuilder(b).Open(nsUser, "x").Open(nsUser, "item").Attr("jid", m.Account).Bytes()
	return append(b, endOfMessage...)
}

// bury makes a message what is left of one that was retracted: its attributes, the ids that the room gave it, and the tombstone (XEP-0424 §5,
// XEP-0425 §5). The first retraction counts.
func bury(tombstone []byte) func([]byte) []byte {
	return func(message []byte) []byte {
		st, err := core.ReadBack(message)
		if err != nil || st.Child(nsRetract, "retracted").Valid() {
			return nil
		}
		b := xmlstream.NewBuilder(nil)
		for c := range st.Root.Children() {
			if c.Is(nsOccupants, "occupant-id") || c.Is(stanza.NSStanzaID, "stanza-id") {
				b.Element(c)
			}
		}
		st.Payload = b.Raw(tombstone).Bytes()
		return st.Append(nil)
	}
}

// keepArchives deletes what has run out, now and then, and when the property changes.
func (s *Service) keepArchives(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		s.prune(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.retention:
		}
	}
}

func (s *Service) prune(ctx context.Context) {
	oldest := s.oldest()
	n, err := s.memory.PruneRooms(ctx, max(oldest-1, 0))
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.log.Error("old messages of rooms could not be deleted; it is tried again", "error", err.Error())
	case n > 0:
		s.log.Info("Deleted old messages of rooms", "messages", n)
	}
	if oldest == 0 {
		return
	}
	before := core.IDTime(oldest)
	for _, e := range s.all() {
		e.mu.Lock()
		if e.room.Config().Archived {
			e.room.Expire(before)
		}
		e.mu.Unlock()
	}
}

// retentionChanged has keepArchives look again.
func (s *Service) retentionChanged() {
	select {
	case s.retention <- struct{}{}:
	default: // it is about to
	}
}
