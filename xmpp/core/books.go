package core

import (
	"slices"
	"sync"
	"time"
)

// Bounds of what one session has caused and cannot be acknowledged yet.
const (
	// maxLettersUnderWay bounds the messages of one session that are accepted for mailboxes and not stored yet: beyond, its reader waits.
	maxLettersUnderWay = 512
	// maxFlights bounds the copies of its messages that recipients have not acknowledged. Beyond half of it they are noted down unasked, beyond all
	// of it the reader waits, or refuses messages while nothing can be noted down.
	maxFlights = 2048
	// maxAsks bounds the answers that a client waits for; more requests get one answer together.
	maxAsks = 128
	// settlePatience is how long a client that comes back waits for what it has sent to be stored.
	settlePatience = 5 * time.Second
)

// books say how much of what a client sent can be acknowledged (XEP-0198 §4): what is answered, what a recipient has acknowledged, and what the
// store has. That is known later than the stanza is dealt with, and never waited for by the goroutine that reads.
type books struct {
	mu   sync.Mutex
	cond sync.Cond // letters or flights have become fewer

	// Letters are on their way into mailboxes, which settle them in order.
	accepted, settled uint64

	// Flights are copies of messages in the queues of other sessions, numbered as they began. Those below cleared are over.
	flights        *flights // nil when there are none
	begun, cleared uint64
	storing        *epochs   // what services store for the session; nil when there was never anything
	passed         *passage  // what was passed on when the session ended; nil before
	demand         uint64    // those below have to be over
	landing        []landing // in order
	asks           []ask     // answers that the client waits for, in order
}

// ask waits for so many letters and flights to be over.
type ask struct {
	letters, flights uint64
	epoch            uint64        // of what services store
	handled          uint32        // what the client is told then
	done             chan struct{} // closed instead of telling the client
}

// landing is what is settled once so many flights are over.
type landing struct{ flights, ticket uint64 }

// flight is a copy of a message in the queue of a session.
type flight struct {
	to    *Session // nil when it is over
	mark  uint64   // where in the session's queue, or in its connection's output
	id    int64
	kind  flightKind
	more  bool // the next flight is another copy of the same message
	again bool // there may be a note of it already
	taken bool // it is being noted down
}

type flightKind uint8

const (
	managedFlight   flightKind = iota // its recipient acknowledges it
	unmanagedFlight                   // it is over once it is written
	placeFlight                       // it was one of a session that is over, and its place is to be noted down
)

// flights are numbered from first.
type flights struct {
	list  []flight
	first uint64
}

// maxPooledFlights keeps the flights of a rare burst from pinning memory.
const maxPooledFlights = 256

// accept counts a letter, and waits while there are too many.
func (b *books) accept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prepare()
	for b.accepted-b.settled >= maxLettersUnderWay {
		b.cond.Wait()
	}
	b.accepted++
}

func (b *books) prepare() {
	if b.cond.L == nil {
		b.cond.L = &b.mu
	}
}

// unaccept takes the last letter back.
func (b *books) unaccept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accepted--
	for i := range b.asks {
		b.asks[i].letters = min(b.asks[i].letters, b.accepted)
	}
}

// letterSettled notes that the oldest letter is stored or refused.
func (s *Session) letterSettled() {
	b := &s.books
	b.mu.Lock()
	b.settled++
	b.cond.Broadcast()
	s.answerAsks()
	b.mu.Unlock()
}

// passage is what a session that has ended passed on: these flights, and letters up to a number.
type passage struct{ from, to, letters uint64 }

// passedOver reports whether all that was passed on is stored, acknowledged or noted down. Only that is asked for: two sessions that have ended and
// passed on to each other would wait for each other's own messages for ever, while what is passed on goes from an earlier end to a later one. b.mu is held.
func (b *books) passedOver() bool {
	p := b.passed
	if p == nil || b.settled < p.letters {
		return false
	}
	for i := max(p.from, b.cleared); i < p.to; {
		group := b.groupAt(i)
		if group[0].to != nil {
			return false
		}
		i += uint64(len(group))
	}
	return true
}

// idle reports whether nothing is under way. b.mu is held.
func (b *books) idle() bool {
	return b.accepted == b.settled && b.begun == b.cleared && !b.storing.underWay()
}

// fly counts a copy that was given to a session; first is false for another copy of the message before.
func (s *Session) fly(f flight, first bool) {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.flights == nil {
		b.flights = s.sb.takeFlights()
		b.flights.first = b.begun
	}
	q := b.flights
	// A service may have passed something else on meanwhile: then it stands for itself.
	if last := len(q.list) - 1; !first && last >= 0 && q.list[last].id == f.id {
		q.list[last].more = true
	}
	q.list = append(q.list, f)
	b.begun++
	if b.begun%64 == 0 {
		s.clearDelivered()
	}
	if b.begun-b.cleared > maxFlights/2 {
		s.demandAll()
	}
}

// admits waits while too many copies are under way; false says that the message has to be refused because nothing can be noted down.
func (s *Session) admits() bool {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prepare()
	for b.begun-b.cleared >= maxFlights {
		if s.clearDelivered(); b.begun-b.cleared < maxFlights {
			break
		}
		if s.sb.ledger.failing.Load() {
			return false
		}
		s.demandAll()
		b.cond.Wait()
	}
	return true
}

// demandAll has everything noted down that is under way. b.mu is held.
func (s *Session) demandAll() {
	b := &s.books
	if b.demand = b.begun; b.demand > b.cleared {
		s.sb.ledger.due(s)
	}
}

// hurried reports whether somebody cannot go on before flights are over: a client that comes back, or one that has as many as there may be. b.mu is held.
func (b *books) hurried() bool {
	return b.begun-b.cleared >= maxFlights || b.storing.underWay() && b.storing.total >= maxLettersUnderWay || slices.ContainsFunc(b.asks, func(a ask) bool { return a.done != nil })
}

// groupAt gives the flights of one message, of which i is the first. b.mu is held.
func (b *books) groupAt(i uint64) []flight {
	list := b.flights.list[i-b.flights.first:]
	n := 1
	for n < len(list) && list[n-1].more {
		n++
	}
	return list[:n]
}

// clearDelivered ends the oldest flights that recipients have acknowledged. b.mu is held.
func (s *Session) clearDelivered() {
	b := &s.books
	for b.cleared < b.begun {
		group := b.groupAt(b.cleared)
		if group[0].to != nil {
			if group[0].taken || !delivered(group) {
				break
			}
			s.sb.ledger.over(group)
		}
		clear(group)
		b.cleared += uint64(len(group))
	}
	b.trim(s.sb)
}

// trim gives up what is over. b.mu is held.
func (b *books) trim(sb *Switchboard) {
	q := b.flights
	if q == nil {
		return
	}
	if b.cleared == b.begun {
		b.flights = nil
		sb.giveFlights(q)
		return
	}
	if n := int(b.cleared - q.first); n > len(q.list)/2 { //nolint:gosec // within the list
		left := copy(q.list, q.list[n:])
		clear(q.list[left:])
		q.list, q.first = q.list[:left], b.cleared
	}
}

// answerAsks tells the client, and others that wait, how far it has got. b.mu is held.
func (s *Session) answerAsks() {
	b := &s.books
	n := 0
	for n < len(b.landing) && b.cleared >= b.landing[n].flights {
		b.settle(b.landing[n].ticket)
		n++
	}
	if n > 0 {
		b.landing = b.landing[:copy(b.landing, b.landing[n:])]
	}
	n = 0
	for _, a := range b.asks {
		if b.settled < a.letters || b.cleared < a.flights || !b.storing.over(a.epoch) {
			break
		}
		if n++; a.done != nil {
			close(a.done)
			continue
		}
		s.sendHandled(a.handled)
	}
	if n > 0 {
		b.asks = b.asks[:copy(b.asks, b.asks[n:])]
	}
}

// answer tells the client how many of its stanzas are handled once all of them can be acknowledged.
func (s *Session) answer(m *management) {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	s.clearDelivered()
	handled := m.handled.Load()
	if b.idle() && len(b.asks) == 0 {
		s.sendHandled(handled)
		return
	}
	next := ask{letters: b.accepted, flights: b.begun, epoch: b.storing.ask(), handled: handled}
	if n := len(b.asks); n >= maxAsks && b.asks[n-1].done == nil {
		b.asks[n-1] = next
	} else {
		b.asks = append(b.asks, next)
	}
	s.demandAll()
}

// settle waits until everything that the client has sent can be acknowledged, for a while.
func (s *Session) settle() bool {
	b := &s.books
	b.mu.Lock()
	s.clearDelivered()
	if b.idle() {
		b.mu.Unlock()
		return true
	}
	done := make(chan struct{})
	b.asks = append(b.asks, ask{letters: b.accepted, flights: b.begun, epoch: b.storing.ask(), done: done})
	s.demandAll()
	b.mu.Unlock()
	patience := time.NewTimer(settlePatience)
	defer patience.Stop()
	select {
	case <-done:
		return true
	case <-patience.C:
		return false
	}
}

// delivered reports whether a copy of a message has reached its client.
func delivered(group []flight) bool {
	for i := range group {
		if f := &group[i]; f.to != nil && f.to.reached(f) {
			return true
		}
	}
	return false
}

// reached reports whether the session's client has acknowledged a flight, or it is written to a client that acknowledges nothing.
func (s *Session) reached(f *flight) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f.kind {
	case managedFlight:
		return s.sm.Load().acked >= f.mark
	case unmanagedFlight:
		return s.written(f.mark) == writtenYes
	default:
		return false
	}
}

// writing is how far the output of a connection has got.
type writing uint8

const (
	writtenNot writing = iota
	writtenYes
	writtenNever // the connection is over, or going
)

// written looks at the output of a connection: what is handed to the operating system counts as written. s.mu is held.
func (s *Session) written(mark uint64) writing {
	c, ok := s.conn.(outputter)
	switch {
	case s.conn == nil:
		return writtenNever
	case !ok:
		return writtenYes
	}
	_, done, open := c.Output()
	switch {
	case done >= mark:
		return writtenYes
	case !open || s.ended.Load():
		return writtenNever
	}
	return writtenNot
}

// outputter is a connection that can tell how many stanzas were queued, and how many of them are written.
type outputter interface {
	Output() (queued, written uint64, open bool)
}

func (sb *Switchboard) takeFlights() *flights {
	if q, ok := sb.flights.Get().(*flights); ok {
		return q
	}
	return &flights{}
}

func (sb *Switchboard) giveFlights(q *flights) {
	if cap(q.list) > maxPooledFlights {
		return
	}
	clear(q.list)
	q.list = q.list[:0]
	sb.flights.Put(q)
}
