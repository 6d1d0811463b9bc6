package core

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Session is one bound resource (RFC 6120 §7).
type Session struct {
	sb        *Switchboard
	jid       jid.JID
	username  string
	anonymous bool
	created   time.Time

	// ended is set before anything of the session is torn down: whoever sees it unset under a lock that [Presences.Gone]
	// takes as well has his work undone by Gone.
	ended atomic.Bool
	gone  sync.Once
	// presence is nil while the resource is connected but not available (RFC 6121 §4.2).
	presence atomic.Pointer[Presence]

	// receiving is held while a stanza of the client is dealt with: on the connection's own goroutine, so that only a client that resumes its
	// session on another connection ever waits for it. It comes before mu.
	receiving sync.Mutex
	// mu orders what is sent with what enables and resumes; nothing is called under it but the connection.
	mu sync.Mutex
	// conn is nil while the session hibernates. It is changed with receiving and mu held.
	conn Conn
	// sm is nil until the client enables stream management; guarded by mu for writing.
	sm atomic.Pointer[management]
	// unwritten are messages to a client that acknowledges nothing, which leave their traces once they are written; guarded by mu.
	unwritten []outgoingTrace

	hold     atomic.Int32 // how the session stands towards the mailbox, a Hold
	books    books        // what of its client's can be acknowledged
	listed   bool         // by the ledger, whose mu guards it
	passedOn atomic.Bool  // what the client has not acknowledged is on its way to somebody else

	// conflicts counts attempts to bind this session's address; guarded by its table shard.
	conflicts int

	// Used on the reader's goroutine alone, so that the way of a stanza needs no memory of its own.
	cache jid.Cache
	st    stanza.Stanza
	fate  meter.Fate
	buf   []byte
}

// Presence is what an available resource said about itself last (RFC 6121 §4.7).
type Presence struct {
	Priority int8
	Show     string // "", "away", "chat", "dnd" or "xa" (RFC 6121 §4.7.2.1); others are passed on but count as ""
	Status   string // the first <status/>
	At       time.Time
	// Stanza is the broadcast as contacts get it: from the full address, without 'to'. It must not be changed.
	Stanza *stanza.Stanza
}

// JID is the full address.
func (s *Session) JID() jid.JID { return s.jid }

// Username is the account's name, which is the local part.
func (s *Session) Username() string { return s.username }

// Anonymous sessions have no account behind them (XEP-0175).
func (s *Session) Anonymous() bool { return s.anonymous }

// Created is when the resource was bound.
func (s *Session) Created() time.Time { return s.created }

// Info describes the connection, or the last one while the session hibernates.
func (s *Session) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return s.sm.Load().info
	}
	return s.conn.Info()
}

// Ended reports whether the session is over.
func (s *Session) Ended() bool { return s.ended.Load() }

// Presence gives what the resource said last; nil while it is not available.
func (s *Session) Presence() *Presence { return s.presence.Load() }

// SetPresence is for the presence service, which orders the changes of one user; nil makes the resource unavailable.
func (s *Session) SetPresence(p *Presence) { s.presence.Store(p) }

// Available reports whether the resource sent initial presence (RFC 6121 §4.2).
func (s *Session) Available() bool { return s.presence.Load() != nil }

// Priority is that of the last presence; 0 while the resource is not available.
func (s *Session) Priority() int8 {
	if p := s.presence.Load(); p != nil {
		return p.Priority
	}
	return 0
}

// Send queues the bytes of one whole stanza; see [Conn]. With stream management, true means that the stanza is this session's, and goes on to
// somebody else if its client never acknowledges it.
func (s *Session) Send(b []byte) bool {
	_, ok := s.sendParcel(b, parcel{}, nil)
	return ok
}

// sendParcel is Send for a message of which several sessions may get a copy. Where somebody keeps books about it, it gives the flight that the
// copy is.
func (s *Session) sendParcel(b []byte, p parcel, owner *Session) (f flight, ok bool) {
	if s.ended.Load() {
		return flight{}, false
	}
	s.followOut(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.sm.Load(); m != nil {
		if !s.sendManaged(m, p, b, nil, nil, 1) {
			return flight{}, false
		}
		return flight{to: s, kind: managedFlight, mark: m.sent(), id: p.id}, true
	}
	if !s.conn.Send(b) {
		return flight{}, false
	}
	p.copies.given()
	f = flight{to: s, kind: unmanagedFlight, id: p.id}
	if owner == nil && p.sum == 0 {
		return f, true
	}
	if c, ok := s.conn.(outputter); ok {
		if f.mark, _, _ = c.Output(); p.sum != 0 {
			s.unwritten = append(s.unwritten, outgoingTrace{sum: p.sum, mark: f.mark})
		}
	}
	return f, true
}

// SendStanza queues one stanza. nil is nothing to send.
func (s *Session) SendStanza(st *stanza.Stanza) bool {
	if st == nil {
		return true
	}
	buf := s.sb.takeBuffer()
	defer s.sb.giveBuffer(buf)
	*buf = st.Append((*buf)[:0])
	return s.Send(*buf)
}

// ReceiveOn takes in one element that the client sent on a connection. The element need not outlive the call. A stream error ends the
// stream. Once another connection has resumed the session, this one is not listened to any more.
func (s *Session) ReceiveOn(c Conn, e xmlstream.Element) *stanza.StreamError {
	s.receiving.Lock()
	defer s.receiving.Unlock()
	if s.ended.Load() || s.conn != c {
		return nil
	}
	if string(e.Space()) == nsManagement {
		return s.manage(e)
	}
	m := s.sm.Load()
	if failure := s.receive(e); failure != nil || m == nil {
		return failure
	}
	// XEP-0198 §4: now the stanza is handled.
	m.handled.Add(1)
	m.allowance = min(m.allowance+1, requestBurst)
	return nil
}

// Receive is ReceiveOn for the connection that the session has.
func (s *Session) Receive(e xmlstream.Element) *stanza.StreamError {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	return s.ReceiveOn(c, e)
}

func (s *Session) receive(e xmlstream.Element) *stanza.StreamError {
	began := time.Now()
	s.st, s.fate = stanza.Stanza{}, meter.Handled
	failure := s.handle(e)
	if s.st.Kind != 0 {
		if failure != nil || s.st.Refused {
			s.fate = meter.Rejected
		}
		s.sb.meter.Stanza(meter.Kind(s.st.Kind-stanza.Message), s.fate, time.Since(began))
	}
	return failure
}

// handle sees to one stanza, and leaves in s.st and s.fate which one it was and what became of it.
func (s *Session) handle(e xmlstream.Element) *stanza.StreamError {
	// RFC 6120 §4.9.3.24: first-level children are stanzas, of the content namespace.
	if !e.Is(stanza.NSClient, "message") && !e.Is(stanza.NSClient, "presence") && !e.Is(stanza.NSClient, "iq") {
		return &stanza.StreamError{Condition: stanza.StreamUnsupportedStanzaType}
	}
	// RFC 6120 §8.1.2.1: 'from' is this resource or its account; anything else ends the stream (§4.9.3.8).
	if from := e.Attr("from"); from != nil && !s.owns(from) {
		return &stanza.StreamError{Condition: stanza.StreamInvalidFrom}
	}
	var bad *stanza.Error
	s.st, bad = stanza.Parse(e, &s.cache)
	st := &s.st
	st.From = s.jid
	s.followIn(st)
	if st.Lang == nil { // RFC 6120 §8.1.5: an empty one is one
		st.Lang = s.conn.Lang()
	}
	if bad != nil {
		s.SendStanza(stanza.ErrorReply(st, bad))
		return nil
	}
	switch st.Kind {
	case stanza.Message:
		s.sb.messageFromClient(s, st)
	case stanza.Presence:
		s.sb.presenceFromClient(s, st)
	case stanza.IQ:
		s.sb.iqFromClient(s, st)
	}
	return nil
}

// owns reports whether a 'from' that the client wrote is its full or its bare address.
func (s *Session) owns(from []byte) bool {
	if string(from) == s.jid.String() {
		return true
	}
	j, err := s.cache.Parse(bytes.TrimSpace(from))
	return err == nil && (j == s.jid || j == s.jid.Bare())
}

// Closed is called when the connection is over, whoever ended it.
func (s *Session) Closed() {
	s.detach()
	s.depart()
}

// end closes the session at once: it is out of the table, and everybody who has to know knows, when end returns.
func (s *Session) end(e *stanza.StreamError) bool {
	if !s.detach() {
		return false
	}
	s.closeConn(e)
	s.depart()
	return true
}

// closeConn closes the connection of a session that has been detached, so that it gets no other one.
func (s *Session) closeConn(e *stanza.StreamError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close(e)
	}
}

// detach takes the session off the table; true for the caller that did it.
func (s *Session) detach() bool {
	if !s.ended.CompareAndSwap(false, true) {
		return false
	}
	s.sb.table.remove(s)
	return true
}

// depart tells the presence service, once, and passes on what the client has not acknowledged.
func (s *Session) depart() {
	s.gone.Do(func() {
		if p := s.sb.presences; p != nil {
			p.Gone(s)
		}
		m := s.sm.Load()
		if m == nil {
			return
		}
		if m.resumable {
			s.sb.sleepers.remove(m)
			s.sb.resumptions.remove(s, m)
		}
		s.mu.Lock()
		q, first := m.queue, m.acked+1
		m.queue = nil
		s.mu.Unlock()
		b := &s.books
		b.mu.Lock()
		passed := &passage{from: b.begun}
		b.mu.Unlock()
		if q != nil {
			s.passOn(q, first)
			s.sb.giveQueue(q)
		}
		b.mu.Lock()
		passed.to, passed.letters = b.begun, b.accepted
		b.passed = passed
		s.passedOn.Store(true)
		s.demandAll()
		b.mu.Unlock()
	})
}

// maxPooledBuffer keeps a rare huge stanza from pinning memory.
const maxPooledBuffer = 64 << 10

// takeBuffer gives a buffer for a stanza that is built outside a reader's goroutine; giveBuffer takes it back.
func (sb *Switchboard) takeBuffer() *[]byte {
	if b, ok := sb.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, 1024)
	return &b
}

func (sb *Switchboard) giveBuffer(b *[]byte) {
	if cap(*b) <= maxPooledBuffer {
		sb.buffers.Put(b)
	}
}
