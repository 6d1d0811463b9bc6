package core

// What a client sent counts as handled (XEP-0198 §4) when it is stored, where it has to be stored. A service that stores after it has returned says
// so by Accept, and by Settled when that is done: until then the client gets no acknowledgement, and a session that ends waits for it.

// epochs count what services are storing for a session. Different services settle in no common order, so an answer cannot wait for a number of them:
// each answer that the client waits for begins an epoch, and waits for all before it.
type epochs struct {
	first  uint64 // epoch of counts[0]: nothing older is under way
	counts []int  // the last is that of now
	total  int
}

// now is the present epoch.
func (e *epochs) now() uint64 { return e.first + uint64(len(e.counts)) - 1 }

// ask gives the epoch up to which all has to be settled, 0 when nothing is under way, and begins another.
func (e *epochs) ask() uint64 {
	if e == nil || e.total == 0 {
		return 0
	}
	last := e.now()
	e.counts = append(e.counts, 0)
	return last
}

// over reports whether everything up to an epoch is settled.
func (e *epochs) over(epoch uint64) bool { return epoch == 0 || e.first > epoch }

// underWay reports whether anything is.
func (e *epochs) underWay() bool { return e != nil && e.total > 0 }

// AwaitRoom waits as long as too much of what the client sent has been accepted and is not stored yet. It is called on the client's goroutine,
// without any lock.
func (s *Session) AwaitRoom() {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prepare()
	for b.storing != nil && b.storing.total >= maxLettersUnderWay {
		b.cond.Wait()
	}
}

// Accept says that a stanza of the client is on its way into a store. It does not wait. The ticket is for Settled.
func (s *Session) Accept() (ticket uint64) { return s.AcceptWith(0) }

// AcceptWith is Accept for what comes of a stanza that has a ticket already, and is not settled: the same answers wait for both. 0: it has none.
func (s *Session) AcceptWith(ticket uint64) uint64 {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.storing == nil {
		b.storing = &epochs{first: 1, counts: []int{0}}
	}
	e := b.storing
	if ticket == 0 {
		ticket = e.now()
	}
	e.counts[ticket-e.first]++
	e.total++
	return ticket
}

// Settled says that a stanza that was accepted is stored, or that its sender was told why not.
func (s *Session) Settled(ticket uint64) {
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	s.books.settle(ticket)
	s.answerAsks()
}

// settledWithFlights is Settled once the flights that there are now are over.
func (s *Session) settledWithFlights(ticket uint64) {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	b.landing = append(b.landing, landing{flights: b.begun, ticket: ticket})
	s.clearDelivered()
	s.answerAsks()
	s.demandAll()
}

// settle takes a ticket back. b.mu is held.
func (b *books) settle(ticket uint64) {
	b.prepare()
	e := b.storing
	e.counts[ticket-e.first]--
	e.total--
	done := 0
	for done < len(e.counts)-1 && e.counts[done] == 0 {
		done++
	}
	e.counts = e.counts[:copy(e.counts, e.counts[done:])]
	e.first += uint64(done)
	b.cond.Broadcast()
}
