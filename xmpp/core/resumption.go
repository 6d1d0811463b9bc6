package core

import (
	"container/heap"
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// DefaultMaxHibernating bounds the sessions of one user that wait for their clients to come back.
const DefaultMaxHibernating = 10

// maxRemembered is how many sessions that are over are remembered, so that their clients learn which of their stanzas were handled.
const maxRemembered = 4096

// resumptions knows the sessions that can be resumed, and the last ones that could.
type resumptions struct {
	mu   sync.Mutex
	live map[resumptionID]*Session
	past map[resumptionID]past
	ring []resumptionID // the keys of past; next is the oldest once it is full
	next int
}

// past is a session that is over. Its count is asked for when its client comes: whoever ended it may have done so while the client's last stanza was
// dealt with, and what it has sent may not be stored yet.
type past struct {
	username string
	session  *Session // nil for one of a former process
}

func (r *resumptions) add(s *Session) resumptionID {
	var id resumptionID
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live == nil {
		r.live, r.past = make(map[resumptionID]*Session), make(map[resumptionID]past)
	}
	r.live[id] = s
	return id
}

// remove makes a session one of the past.
func (r *resumptions) remove(s *Session, m *management) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, m.id)
	if len(r.ring) < maxRemembered {
		r.ring = append(r.ring, m.id)
	} else {
		delete(r.past, r.ring[r.next])
		r.ring[r.next] = m.id
		r.next = (r.next + 1) % maxRemembered
	}
	r.past[m.id] = past{username: s.username, session: s}
}

// find gives a user's session of this id, or else what is known of it if it was the user's and is over.
func (r *resumptions) find(username string, id resumptionID) (s *Session, p past, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.live[id]; s != nil && s.username == username {
		return s, past{}, true
	}
	if p, ok := r.past[id]; ok && p.username == username {
		return nil, p, true
	}
	return nil, past{}, false
}

// Resume gives a session to a new connection of its account (XEP-0198 §5). What the client has not seen follows reply at once. The session is
// nil where the client may go on to bind a resource, and reply says so; an error ends the new stream. Of several connections that resume one
// session, the last one has it, and the others are closed with a conflict.
func (sb *Switchboard) Resume(conn Conn, username string, request xmlstream.Element) (s *Session, reply []byte, failure *stanza.StreamError) {
	previd := request.Attr("previd")
	h, ok := handledCount(request)
	if !ok || len(previd) == 0 {
		return nil, failedElement(stanza.ConditionBadRequest, nil), nil
	}
	id, ok := parseResumptionID(previd)
	if !ok || username == "" {
		return nil, failedElement(stanza.ConditionItemNotFound, nil), nil
	}
	s, p, known := sb.resumptions.find(username, id)
	if !known {
		f := sb.formerProcess()
		session := f.find(username, id)
		if session == nil {
			return nil, failedElement(stanza.ConditionItemNotFound, nil), nil
		}
		sb.traces.leave(f.received(session, h), sb.now())
		p = past{username: username}
	}
	if s == nil {
		return nil, sb.over(p, id, h), nil
	}
	reply, old, failure := s.resume(conn, h)
	if failure != nil {
		return nil, nil, failure
	}
	if reply == nil { // it has just ended
		return nil, sb.over(past{username: username, session: s}, id, h), nil
	}
	if old != nil {
		old.Close(stanza.NewStreamError(stanza.StreamConflict, "The session was resumed on another connection."))
	}
	return s, reply, nil
}

// over answers a client whose session is over: it learns how many of its stanzas were handled, where that is known, and what it has got of the
// messages that wait for the account now is not given back to it once more. A former process has not left how many it had handled; what its client sends
// again is recognized instead.
func (sb *Switchboard) over(p past, id resumptionID, h uint32) []byte {
	var handled *uint32
	passed := p.session == nil
	if s := p.session; s != nil && s.settle() {
		n := s.sm.Load().handled.Load()
		handled, passed = &n, s.passedOn.Load()
	}
	if j := sb.ledger.journal; j != nil && passed {
		ctx, cancel := context.WithTimeout(context.Background(), settlePatience)
		defer cancel()
		if err := j.Received(ctx, p.username, id[:], h); err != nil {
			sb.log.Error("messages that a client has got already may come once more", "user", p.username, "error", err.Error())
		}
	}
	return failedElement(stanza.ConditionItemNotFound, handled)
}

// resume swaps the connection. It gives the one that was there; reply is nil when the session is over.
func (s *Session) resume(conn Conn, h uint32) (reply []byte, old Conn, failure *stanza.StreamError) {
	// A stanza that the old connection's reader is at counts as handled, and it takes no further one.
	s.receiving.Lock()
	defer s.receiving.Unlock()
	if !s.settle() && !s.ended.Load() {
		return nil, nil, stanza.NewStreamError(stanza.StreamResourceConstraint, "What the session has sent cannot be stored at the moment. Try again later.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.sm.Load()
	if s.ended.Load() {
		return nil, nil, nil
	}
	if failure := s.acknowledge(m, h); failure != nil {
		return nil, nil, failure
	}
	old, s.conn = s.conn, conn
	s.sb.sleepers.remove(m)
	m.info = Info{}
	m.requested, m.unasked, m.held = false, 0, false
	if m.queue != nil {
		m.unasked = m.queue.count()
		m.queue.each(func(_ int, b []byte, _ *entry) { conn.Send(b) })
	}
	reply = xmlstream.NewBuilder(nil).Open(nsManagement, "resumed").Attr("previd", m.id.String()).
		Attr("h", strconv.FormatUint(uint64(m.handled.Load()), 10)).Close().Bytes()
	return reply, old, nil
}

// ClosedOn is called when a connection of the session is over. Lost means that neither side ended the stream for good, so that a session with
// stream management waits for its client (XEP-0198 §7); otherwise the session ends, unless it has another connection already.
func (s *Session) ClosedOn(c Conn, lost bool) {
	s.receiving.Lock()
	s.mu.Lock()
	mine := s.conn == c
	kept := mine && lost && s.hibernate()
	s.mu.Unlock()
	s.receiving.Unlock()
	switch {
	case kept:
		s.sb.boundHibernating(s)
	case mine || s.ended.Load():
		s.end(nil)
		s.depart()
	}
}

// hibernate keeps the session without a connection; false when it has to end instead. receiving and mu are held.
func (s *Session) hibernate() bool {
	m := s.sm.Load()
	if m == nil || !m.resumable || s.ended.Load() {
		return false
	}
	patience := s.sb.patience(m)
	if patience <= 0 {
		return false
	}
	m.info = s.conn.Info()
	s.conn = nil
	s.sb.sleepers.add(s, m, s.sb.now().Add(patience))
	return true
}

// Hibernating reports whether the session waits for its client to come back.
func (s *Session) Hibernating() bool {
	m := s.sm.Load()
	return m != nil && m.asleep.Load()
}

// boundHibernating ends the hibernating sessions of a user that are too many, those first that would end first.
func (sb *Switchboard) boundHibernating(s *Session) {
	for {
		var first *Session
		n := 0
		for _, o := range sb.table.sessions(s.username) {
			if !o.Hibernating() {
				continue
			}
			n++
			if first == nil || sb.sleepers.deadline(o).Before(sb.sleepers.deadline(first)) {
				first = o
			}
		}
		if n <= sb.maxHibernating {
			return
		}
		sb.meter.Refuse(meter.Hibernating)
		first.endAsleep()
	}
}

// endAsleep ends the session unless its client has come back.
func (s *Session) endAsleep() {
	s.mu.Lock()
	asleep := s.conn == nil
	over := asleep && s.detach()
	if asleep {
		s.sb.sleepers.remove(s.sm.Load())
	}
	s.mu.Unlock()
	if over {
		s.depart()
	}
}

// Drain ends all hibernating sessions, so that what they hold is passed on. It is for the end of the process, when no connection is left.
func (sb *Switchboard) Drain() {
	sb.departGone()
	for _, s := range sb.table.all() {
		if s.Hibernating() {
			s.endAsleep()
		}
	}
}

// sleepers are the hibernating sessions, a heap by deadline.
type sleepers struct {
	mu     sync.Mutex
	list   sleeperHeap
	signal chan struct{} // the first deadline may have changed
}

func (z *sleepers) count() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.list)
}

func (z *sleepers) add(s *Session, m *management, deadline time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	m.asleep.Store(true)
	m.deadline = deadline
	heap.Push(&z.list, s)
	if m.index == 0 {
		select {
		case z.signal <- struct{}{}:
		default: // one signal is enough
		}
	}
}

func (z *sleepers) remove(m *management) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if m.asleep.CompareAndSwap(true, false) {
		heap.Remove(&z.list, m.index)
	}
}

func (z *sleepers) deadline(s *Session) time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	return s.sm.Load().deadline
}

// due gives one session whose time is over at now, or else how long the next one has: 0 when there is none.
func (z *sleepers) due(now time.Time) (s *Session, wait time.Duration) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.list) == 0 {
		return nil, 0
	}
	first := z.list[0]
	if wait := first.sm.Load().deadline.Sub(now); wait > 0 {
		return nil, wait
	}
	return first, 0
}

// expire ends the sessions that nobody came back for and says how long until the next one is due, 0 when there is none.
func (sb *Switchboard) expire() time.Duration {
	for {
		s, wait := sb.sleepers.due(sb.now())
		if s == nil {
			return wait
		}
		s.endAsleep()
		// It has either ended, which took it off the list, or its client was faster, which did so as well.
	}
}

type sleeperHeap []*Session

func (h sleeperHeap) Len() int { return len(h) }
func (h sleeperHeap) Less(i, j int) bool {
	return h[i].sm.Load().deadline.Before(h[j].sm.Load().deadline)
}
func (h sleeperHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].sm.Load().index, h[j].sm.Load().index = i, j
}

// Push and Pop are for package heap.
func (h *sleeperHeap) Push(x any) {
	s := x.(*Session) //nolint:forcetypeassert // add pushes nothing else
	s.sm.Load().index = len(*h)
	*h = append(*h, s)
}

func (h *sleeperHeap) Pop() any {
	n := len(*h) - 1
	s := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	return s
}
