package core

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Bounds of what a session may leave unacknowledged. A full queue fits into a connection's output buffer when it is sent again.
const (
	DefaultMaxUnacked      = 2000
	DefaultMaxUnackedBytes = 960 << 10
)

// A client may ask for acknowledgements faster than it sends stanzas, by a burst and a rate a second. Beyond that it is a flood.
const (
	requestBurst = 100
	requestRate  = 10
)

// management is the stream management of one session (XEP-0198). Sessions that have not enabled it have none.
type management struct {
	id        resumptionID
	resumable bool
	max       time.Duration // the longest time that the client wants to be waited for; 0: it does not say

	// handled is how many stanzas of the client are dealt with, modulo 2^32 (§4). It grows on the reader's goroutine.
	handled atomic.Uint32

	// Guarded by the session's mu.
	acked     uint64   // how many stanzas the client has acknowledged; it knows the count modulo 2^32
	queue     *unacked // what was sent since; nil when nothing was
	requested bool     // the client owes an answer to a request
	unasked   int      // stanzas sent since the last request
	held      bool     // what is queued is not sent yet: see SendStored
	traced    uint64   // the last stanza that has left its trace, if it leaves one

	// Set while the session hibernates.
	asleep   atomic.Bool
	deadline time.Time // guarded by the switchboard's sleepers, as is index
	index    int
	info     Info // the last connection

	// Requests that the client may still make; on the reader's goroutine alone.
	allowance int
	refilled  time.Time
}

const requestElement = "<r xmlns='urn:xmpp:sm:3'/>"

// manage takes an element of stream management on a bound session.
func (s *Session) manage(e xmlstream.Element) *stanza.StreamError {
	m := s.sm.Load()
	switch string(e.Local()) {
	case "enable":
		if m != nil {
			// XEP-0198 §3: a second attempt ends the stream.
			s.unmanaged(failedElement(stanza.ConditionUnexpectedRequest, nil))
			return stanza.NewStreamError(stanza.StreamPolicyViolation, "Stream management can be enabled once.")
		}
		s.enable(e)
		return nil
	case "resume": // §5 has it before a resource is bound
		s.unmanaged(failedElement(stanza.ConditionUnexpectedRequest, nil))
		return nil
	case "r":
		if m == nil {
			s.unmanaged(failedElement(stanza.ConditionUnexpectedRequest, nil))
			return nil
		}
		return s.answerRequest(m)
	case "a":
		if m == nil {
			s.unmanaged(failedElement(stanza.ConditionUnexpectedRequest, nil))
			return nil
		}
		return s.acknowledged(m, e)
	}
	return stanza.NewStreamError(stanza.StreamUnsupportedStanzaType, "")
}

// unmanaged sends what is no stanza, and so is not counted.
func (s *Session) unmanaged(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Send(b)
	}
}

// enable begins stream management (XEP-0198 §3).
func (s *Session) enable(e xmlstream.Element) {
	m := &management{allowance: requestBurst, refilled: s.sb.now()}
	reply := xmlstream.NewBuilder(nil).Open(nsManagement, "enabled")
	if seconds, err := strconv.ParseInt(string(bytes.TrimSpace(e.Attr("max"))), 10, 32); err == nil && seconds > 0 {
		m.max = time.Duration(seconds) * time.Second
	}
	// A client without an account could not prove that it is the same one.
	if patience := s.sb.patience(m); isTrue(e.Attr("resume")) && !s.anonymous && patience > 0 {
		m.resumable = true
		m.id = s.sb.resumptions.add(s)
		reply.Attr("id", m.id.String()).Attr("resume", "true").Attr("max", strconv.FormatInt(max(1, int64(patience/time.Second)), 10))
	}
	s.mu.Lock()
	// Both at once, so that the first stanza that counts is the first after the answer.
	s.sm.Store(m)
	if s.conn != nil {
		s.conn.Send(reply.Close().Bytes())
	}
	s.mu.Unlock()
	if m.resumable && s.ended.Load() {
		s.sb.resumptions.remove(s, m) // it ended in the middle, as one without stream management
	}
}

// patience is how long a session without a connection is kept.
func (sb *Switchboard) patience(m *management) time.Duration {
	d := sb.dir.Duration(directory.KeyResumeTimeout)
	if m.max > 0 {
		d = min(d, m.max)
	}
	return d
}

func isTrue(b []byte) bool { return string(b) == "true" || string(b) == "1" }

// answerRequest tells the client how many of its stanzas are handled (XEP-0198 §4).
func (s *Session) answerRequest(m *management) *stanza.StreamError {
	if m.allowance <= 0 {
		now := s.sb.now()
		earned := int(now.Sub(m.refilled).Seconds() * requestRate)
		if earned <= 0 {
			s.sb.meter.Refuse(meter.Flood)
			return stanza.NewStreamError(stanza.StreamPolicyViolation, "Too many requests for acknowledgement.")
		}
		m.allowance, m.refilled = min(earned, requestBurst), now
	}
	m.allowance--
	s.answer(m)
	return nil
}

// sendHandled tells the client how many of its stanzas are handled.
func (s *Session) sendHandled(h uint32) {
	var answer [48]byte
	b := append(answer[:0], "<a xmlns='urn:xmpp:sm:3' h='"...)
	b = strconv.AppendUint(b, uint64(h), 10)
	s.unmanaged(append(b, "'/>"...))
}

// acknowledged takes what the client has handled out of the queue (XEP-0198 §4).
func (s *Session) acknowledged(m *management, e xmlstream.Element) *stanza.StreamError {
	h, ok := handledCount(e)
	if !ok {
		return stanza.NewStreamError(stanza.StreamBadFormat, "An acknowledgement has to say how many stanzas were handled.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if failure := s.acknowledge(m, h); failure != nil {
		return failure
	}
	switch {
	case m.queue == nil:
		m.requested, m.unasked = false, 0
	case m.unasked > 0 && s.conn != nil:
		// These came after the request that this may be the answer to.
		m.requested, m.unasked = true, 0
		s.conn.Send([]byte(requestElement))
	default:
		// The client was not through with what it was sent. It is asked again with what it is sent next.
		m.requested = false
	}
	return nil
}

// acknowledge is acknowledged for a count, with s.mu held.
func (s *Session) acknowledge(m *management, h uint32) *stanza.StreamError {
	owed := 0
	if m.queue != nil {
		owed = m.queue.count()
	}
	n := h - uint32(m.acked) //nolint:gosec // modulo 2^32, as the client counts
	if uint64(n) > uint64(owed) {
		// XEP-0198 §6
		sent := uint32(m.acked) + uint32(owed) //nolint:gosec // bounded, and counted modulo 2^32
		return &stanza.StreamError{
			Condition: stanza.StreamUndefinedCondition,
			App: xmlstream.NewBuilder(nil).Open(nsManagement, "handled-count-too-high").Attr("h", strconv.FormatUint(uint64(h), 10)).
				Attr("send-count", strconv.FormatUint(uint64(sent), 10)).Close().Bytes(),
		}
	}
	m.acked += uint64(n)
	if owed == 0 {
		return nil
	}
	for i := range int(n) {
		if e, _ := m.queue.get(i); e.noted || e.copies != nil && e.copies.noted.Load() {
			s.sb.ledger.forget(NoteKey{Username: s.username, ID: e.id})
		}
	}
	m.queue.drop(int(n))
	if m.queue.count() == 0 {
		s.sb.giveQueue(m.queue)
		m.queue = nil
	}
	return nil
}

// handledCount reads the attribute h, an unsignedInt.
func handledCount(e xmlstream.Element) (uint32, bool) {
	h, err := strconv.ParseUint(string(bytes.TrimSpace(e.Attr("h"))), 10, 32)
	return uint32(h), err == nil
}

// sendManaged queues a stanza until the client acknowledges it. s.mu is held.
func (s *Session) sendManaged(m *management, p parcel, head, to, tail []byte, recipients int) bool {
	if s.ended.Load() {
		return false // what waited has been passed on
	}
	if m.queue == nil {
		m.queue = s.sb.takeQueue()
	}
	p.copies.given()
	m.queue.push(s.sb.now(), p, head, to, tail)
	m.unasked++
	if s.conn != nil && !m.held {
		// A connection that does not take it is on its way out: the stanza waits for the next one.
		s.conn.SendParts(head, to, tail, recipients)
	}
	if m.queue.count() > s.sb.maxUnacked || m.queue.size() > s.sb.maxUnackedBytes {
		s.overflow()
	}
	return true
}

// overflow ends a session whose client acknowledges too little of what it gets. s.mu is held, and the caller may hold locks of the
// presence service, so that everything else is left to Run.
func (s *Session) overflow() {
	if !s.detach() {
		return
	}
	s.sb.meter.Refuse(meter.Unacknowledged)
	s.sb.log.Info("a client acknowledges too little of what is sent to it; its session ends", "jid", s.jid.String())
	if s.conn != nil {
		s.conn.Close(stanza.NewStreamError(stanza.StreamPolicyViolation, "Too many stanzas were not acknowledged."))
	}
	s.sb.departLater(s)
}

// FlushingOn is called when a connection is about to write everything that waits, and may add to it: a request for acknowledgement where the
// client is owed an answer to none yet, so that there is one for everything that is written at once, and never two under way.
func (s *Session) FlushingOn(c Conn, b []byte, taken uint64) []byte {
	m := s.sm.Load()
	if m == nil {
		return b
	}
	var room [8]trace
	s.mu.Lock()
	left := s.trace(m, room[:0])
	if s.conn == c && m.queue != nil && !m.requested {
		m.requested, m.unasked = true, 0
		if o, ok := c.(outputter); ok {
			// What was queued since b was taken comes after the request, which is not about it.
			queued, _, _ := o.Output()
			m.unasked = int(queued - taken) //nolint:gosec // what waits for one client
		}
		b = append(b, requestElement...)
	}
	s.mu.Unlock()
	s.sb.traces.leave(left, s.sb.now())
	return b
}

// failedElement refuses to enable or to resume (XEP-0198 §6).
func failedElement(cond stanza.Condition, handled *uint32) []byte {
	b := xmlstream.NewBuilder(nil).Open(nsManagement, "failed")
	if handled != nil {
		b.Attr("h", strconv.FormatUint(uint64(*handled), 10))
	}
	return b.Open(stanza.NSStanzas, string(cond)).Close().Close().Bytes()
}

const nsManagement = "urn:xmpp:sm:3"

// resumptionID names a session to the one who may resume it: 144 random bits.
type resumptionID [18]byte

func (id resumptionID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseResumptionID(b []byte) (id resumptionID, ok bool) {
	if len(b) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(id[:], b)
	return id, err == nil && n == len(id)
}
