package core

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Mailboxes keeps messages for accounts that nobody is there to take them for (XEP-0160). Package account implements it.
type Mailboxes interface {
	// Keep accepts a message, and settles it once it is stored or refused, which may be after Keep has returned. False: somebody is
	// there after all, says reachable, and the message has to be delivered. While one sender's messages to one account are kept, none that
	// it sends later overtakes them: reachable is asked under the lock that orders keeping and giving back.
	Keep(l *Letter, reachable func() bool) bool
}

// Letter is a message on its way into a mailbox.
type Letter struct {
	Username string
	ID       int64 // unique in the mailbox; it grows with time
	At       time.Time
	Stanza   []byte // whole, as it will be given back: with stanza id and delay

	sb      *Switchboard
	session *Session // whose books it is in: the sender's, nil when the message came another way
	ticket  uint64   // of what a service made of the sender's message; 0: it is the sender's message itself
	again   bool     // there is a note of it
	sent    stanza.Stanza
	fate    chan<- *stanza.Error // hears what Settle is told, instead of a sender; nil: nobody does
}

// Settle says what became of the letter, once: nil that it is stored for good, or the error that its sender gets.
func (l *Letter) Settle(bad *stanza.Error) {
	if l.fate != nil {
		l.fate <- bad
		return
	}
	if bad != nil {
		l.sb.fail(&l.sent, bad)
		if l.again {
			l.sb.ledger.forget(NoteKey{Username: l.Username, ID: l.ID})
		}
	}
	switch {
	case l.session == nil:
	case l.ticket != 0:
		l.session.Settled(l.ticket)
	default:
		l.session.letterSettled()
	}
}

// NewLetter is a letter that no switchboard made and nobody waits for: for tests of mailboxes.
func (sb *Switchboard) NewLetter(username string, id int64, at time.Time, b []byte) *Letter {
	return &Letter{Username: username, ID: id, At: at, Stanza: b, sb: sb}
}

// UseMailboxes gives the switchboard where to keep messages. It is called at most once, before the first Bind; without it, what nobody is
// there for goes back as an error.
func (sb *Switchboard) UseMailboxes(m Mailboxes) { sb.mailboxes = m }

// Offline is offline messages as a protocol feature (XEP-0160 §4).
func Offline() Feature { return Feature{Name: "offline messages", ServerVars: []string{"msgoffline"}} }

// StanzaIDs is unique and stable stanza ids as a protocol feature (XEP-0359 §5): an account's ids can be trusted.
func StanzaIDs() Feature {
	return Feature{Name: "stanza ids", ServerVars: []string{stanza.NSStanzaID}, AccountVars: []string{stanza.NSStanzaID}}
}

// Hold says how a session stands towards its account's mailbox.
type Hold int32

// States of a session towards the mailbox.
const (
	// NoHold: messages are delivered.
	NoHold Hold = iota
	// HoldWaiting: older messages are being given back to another session of the account; what is kept does not overtake them.
	HoldWaiting
	// HoldTarget: older messages are being given back to this session.
	HoldTarget
)

// SetHold is for the mailboxes, under the lock that they ask reachable under, or before the session becomes available.
func (s *Session) SetHold(h Hold) { s.hold.Store(int32(h)) }

// Receptive reports whether the session can be handed its account's messages (RFC 6121 §8.5.2.1.1).
func (s *Session) Receptive() bool {
	p := s.presence.Load()
	return p != nil && p.Priority >= 0 && !s.ended.Load()
}

// Sent gives a mark for what has been sent so far, and whether the client acknowledges it (XEP-0198).
func (s *Session) Sent() (mark uint64, managed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.sm.Load()
	if m == nil {
		return 0, false
	}
	return m.sent(), true
}

// sent is how many stanzas were queued. The session's mu is held.
func (m *management) sent() uint64 {
	if m.queue == nil {
		return m.acked
	}
	return m.acked + uint64(m.queue.count()) //nolint:gosec // a count
}

// Acknowledged reports whether the client has acknowledged what was sent up to a mark.
func (s *Session) Acknowledged(mark uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.sm.Load()
	return m != nil && m.acked >= mark
}

// AwaitWritten waits until what was sent has been written to the connection, where the connection can tell; false when it may not have been.
func (s *Session) AwaitWritten() bool {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if w, ok := c.(interface{ AwaitWritten() bool }); ok {
		return w.AwaitWritten()
	}
	return c != nil && !s.ended.Load()
}

// worth is what a message is worth keeping for.
type worth uint8

const (
	worthMailbox worth = 1 << iota // offline (XEP-0160 §3)
	worthArchive                   // for good; such messages get a stanza id (XEP-0359 §3)
)

// Namespaces of what does not make a message worth keeping by itself.
const (
	nsChatStates = "http://jabber.org/protocol/chatstates" // XEP-0085
	nsReceipts   = "urn:xmpp:receipts"                     // XEP-0184
	nsMarkers    = "urn:xmpp:chat-markers:0"               // XEP-0333
	nsRealTime   = "urn:xmpp:rtt:0"                        // XEP-0301
	nsEvents     = "jabber:x:event"                        // XEP-0022
	nsNick       = "http://jabber.org/protocol/nick"       // XEP-0172
	nsCorrect    = "urn:xmpp:message-correct:0"            // XEP-0308
)

// weigh judges a message by type and content (XEP-0160 §3), and by what its sender asks for (XEP-0334). It tells, too, whether
// this server has stamped it with an id and a delay already.
func (sb *Switchboard) weigh(m *stanza.Stanza, stamped *stamps) worth {
	if m.Type != stanza.MessageChat && m.Type != stanza.MessageNormal {
		return 0
	}
	content, temporary := false, false
	for c := m.FirstChild(); c.Valid(); c = c.NextSibling() {
		switch string(c.Space()) {
		case stanza.NSHints:
			switch string(c.Local()) {
			case "no-store":
				return 0
			case "no-permanent-store":
				temporary = true
			case "store":
				content = true
			}
		case stanza.NSClient:
			switch string(c.Local()) {
			case "body", "subject":
				content = true
			}
		case stanza.NSStanzaID:
			if stamped != nil && c.Is(stanza.NSStanzaID, "stanza-id") && string(c.Attr("by")) == m.To.Bare().String() {
				stamped.id, stamped.has = parseStanzaID(c.Attr("id"))
			}
		case stanza.NSDelay:
			if stamped != nil && string(c.Attr("from")) == sb.domain {
				stamped.delayed = true
			}
		case nsReceipts:
			content = content || !c.Is(nsReceipts, "request")
		case nsMarkers:
			content = content || !c.Is(nsMarkers, "markable")
		case nsChatStates, nsRealTime, nsEvents, nsNick, nsCorrect:
		default:
			content = true
		}
	}
	switch {
	case !content:
		return 0
	case temporary:
		return worthMailbox
	default:
		return worthMailbox | worthArchive
	}
}

// stamps is what this server has written into a message that it routes again.
type stamps struct {
	id      int64
	has     bool // a stanza id
	delayed bool
}

// idEpoch is where stanza ids begin to count, in Unix microseconds: 2020-01-01.
const idEpoch = 1577836800_000000

// nextID gives a number for a message: microseconds, made to grow with every call, and some bits that tell this process from others. It stays positive
// for seventy years.
func (sb *Switchboard) nextID(now time.Time) int64 {
	t := now.UnixMicro() - idEpoch
	for {
		last := sb.lastID.Load()
		next := max(t, last+1)
		if sb.lastID.CompareAndSwap(last, next) {
			return next<<12 | sb.idSalt
		}
	}
}

const idDigits = "0123456789abcdefghijklmnopqrstuv"

// appendStanzaID writes an id as 13 digits of base 32: their order is that of the numbers.
func appendStanzaID(dst []byte, id int64) []byte {
	for shift := 60; shift >= 0; shift -= 5 {
		dst = append(dst, idDigits[id>>shift&31])
	}
	return dst
}

func parseStanzaID(b []byte) (id int64, ok bool) {
	if len(b) != 13 || b[0] > '7' {
		return 0, false
	}
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			id = id<<5 | int64(c-'0')
		case c >= 'a' && c <= 'v':
			id = id<<5 | int64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return id, true
}

const endOfMessage = "</message>"

// appendStamped writes a message that has content, with the id that the account gives it (XEP-0359 §3).
func appendStamped(dst []byte, m *stanza.Stanza, id int64) []byte {
	dst = m.Append(dst)
	dst = append(dst[:len(dst)-len(endOfMessage)], "<stanza-id xmlns='urn:xmpp:sid:0' id='"...)
	dst = append(appendStanzaID(dst, id), "' by='"...)
	dst = xmlstream.AppendEscapedAttrString(dst, m.To.Bare().String())
	return append(dst, "'/></message>"...)
}

// keep puts a message into the mailbox of its account, unless somebody has come to take it meanwhile: then it is false, and so it is when nothing
// can be kept for that address.
func (sb *Switchboard) keep(out *outgoing, reachable func() bool) (kept, retry bool) {
	s, m := out.books, out.m
	if sb.mailboxes == nil || out.worth&worthMailbox == 0 {
		return false, false
	}
	if _, ok := sb.dir.User(m.To.Local()); !ok {
		return false, false // RFC 6121 §8.5.1; anonymous accounts are over when their session is
	}
	now := sb.now()
	out.identify(sb)
	b := out.append(make([]byte, 0, 512+len(m.Payload)))
	if !out.stamps.delayed {
		b = sb.appendDelay(b, now)
	}
	l := &Letter{
		Username: m.To.Local(), ID: out.stamps.id, At: now, Stanza: b, sb: sb, session: s, again: out.again,
		fate: out.fate,
		sent: stanza.Stanza{Kind: m.Kind, Type: m.Type, ID: append([]byte(nil), m.ID...), From: m.From, To: m.To},
	}
	if m.ID == nil {
		l.sent.ID = nil
	}
	switch {
	case s == nil:
	case out.relayed:
		l.ticket = s.AcceptWith(out.ticket)
	default:
		s.books.accept()
	}
	if !sb.mailboxes.Keep(l, reachable) {
		switch {
		case s == nil:
		case out.relayed:
			s.Settled(l.ticket)
		default:
			s.books.unaccept()
		}
		return false, true
	}
	out.letter = true
	return true, false
}

// outgoing is a message on its way to an account's resources: judged once, serialized when somebody takes it.
type outgoing struct {
	m      *stanza.Stanza
	worth  worth
	stamps stamps
	// refused did not take it: their connections are on their way out.
	refused []*Session
	// books is the session whose books follow what becomes of it; nil when nobody does.
	books *Session
	// relayed: it is what a service made of a message of that session. It may be another goroutine than the session's that sees to it.
	relayed bool
	ticket  uint64 // of that session for that message; 0: it has none
	again   bool   // there is a note of it
	letter  bool   // the mailbox has it
	taken   bool   // a session has it
	// fate hears once, and has room for it, when it is lost, or settled by the mailbox; nil: the sender is told.
	fate chan *stanza.Error

	sum    uint64
	summed bool
}

// judge looks at a message. What a client has just sent carries no stamps: cleanse took them out.
func (sb *Switchboard) judge(fromClient bool, m *stanza.Stanza) outgoing {
	o := outgoing{m: m}
	if fromClient {
		o.worth = sb.weigh(m, nil)
	} else {
		o.worth = sb.weigh(m, &o.stamps)
	}
	return o
}

// identify gives the message an id.
func (o *outgoing) identify(sb *Switchboard) {
	if o.stamps.id == 0 {
		o.stamps.id = sb.nextID(sb.now())
	}
}

// append writes the message, with an id if it is one to be archived and has none yet. identify was called.
func (o *outgoing) append(dst []byte) []byte {
	if o.worth&worthArchive == 0 || o.stamps.has {
		return o.m.Append(dst)
	}
	return appendStamped(dst, o.m, o.stamps.id)
}

// parcel is what goes with a copy into a session's queue. Where there are books, it may be noted down, and leaves a trace.
func (o *outgoing) parcel(s *Session, c *copies, owner *Session) parcel {
	p := parcel{copies: c}
	if owner == nil {
		return p
	}
	if p.id = o.stamps.id; !o.summed && s.sb.traces.file != nil {
		room := s.sb.takeBuffer()
		o.sum, o.summed = sum(o.m, (*room)[:0]), true
		s.sb.giveBuffer(room)
	}
	p.sum = o.sum
	return p
}

// flies enters a copy that was handed out into the books.
func (o *outgoing) flies(owner *Session, f flight, first bool) {
	o.taken = true
	if owner != nil {
		f.again = o.again
		owner.fly(f, first)
	}
}

// lose ends the way of a message that nobody takes.
func (sb *Switchboard) lose(o *outgoing) {
	if o.fate != nil {
		o.fate <- stanza.NewError(stanza.ConditionServiceUnavailable, "")
		return
	}
	sb.undeliverable(o.m)
	if o.again {
		sb.ledger.forget(NoteKey{Username: o.m.To.Local(), ID: o.stamps.id})
	}
}
