package core

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// DefaultGrace is how long a recipient has to acknowledge a message before it is noted down because its sender asks. Where clients are quick,
// nothing is written.
const DefaultGrace = 50 * time.Millisecond

const (
	// noteBatch and noteBytes bound one write.
	noteBatch = 256
	noteBytes = 1 << 20
	// lookAgain is how soon it is looked again for what recipients have acknowledged meanwhile, retryNotes how soon a failed write is tried again.
	lookAgain  = 2 * time.Millisecond
	retryNotes = time.Second
	noteTime   = 30 * time.Second
	// writtenPatience is how long an acknowledgement waits for output to a recipient that acknowledges nothing and takes it slowly.
	writtenPatience = 10 * time.Second
)

// ledger notes down messages that are in the queues of sessions, so that their senders can be told that they are handled. One goroutine writes
// for all, and what is demanded while it does goes into the next write together.
type ledger struct {
	journal Journal // nil: nothing is noted down, and a message counts as handled when it is in a queue
	grace   time.Duration

	mu      sync.Mutex
	list    []*Session // whose flights are demanded
	remove  []NoteKey  // notes that are over
	signal  chan struct{}
	failing atomic.Bool
	retry   time.Time // not before then, while it fails; the goroutine's
}

// UseJournal gives the switchboard where to note down what is on its way. It is called at most once, before the first Bind, and takes mailboxes.
func (sb *Switchboard) UseJournal(j Journal) { sb.ledger.journal = j }

// due puts a session on the list.
func (l *ledger) due(s *Session) {
	if l.journal == nil {
		return
	}
	l.mu.Lock()
	listed := s.listed
	if !listed {
		s.listed = true
		l.list = append(l.list, s)
	}
	l.mu.Unlock()
	if !listed {
		l.wake()
	}
}

func (l *ledger) wake() {
	select {
	case l.signal <- struct{}{}:
	default: // one signal covers the whole list
	}
}

// over has notes removed, of flights that have arrived.
func (l *ledger) over(group []flight) {
	for i := range group {
		if f := &group[i]; f.again && f.to != nil {
			l.forget(NoteKey{Username: f.to.username, ID: f.id})
			return
		}
	}
}

// forget has a note removed with the next write.
func (l *ledger) forget(k NoteKey) {
	if l.journal == nil {
		return
	}
	l.mu.Lock()
	l.remove = append(l.remove, k)
	first := len(l.remove) == 1
	l.mu.Unlock()
	if first {
		l.wake()
	}
}

// runLedger notes down until ctx ends, and then what is left.
func (sb *Switchboard) runLedger(ctx context.Context) {
	l := &sb.ledger
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			sb.noteDown()
			return
		case <-l.signal:
		case <-timer.C:
		}
		timer.Stop()
		if wait := sb.noteDown(); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// notes is what one write takes.
type notes struct {
	add    []Note
	remove []NoteKey
	bytes  int
	now    time.Time
	closed bool // takes none: the last write failed, and it is too early for another
}

func (n *notes) full() bool { return len(n.add) >= noteBatch || n.bytes >= noteBytes }

// noteDown goes through the list once, and says how soon to look again: 0 for not before something happens.
func (sb *Switchboard) noteDown() time.Duration {
	l := &sb.ledger
	n := notes{now: sb.now()}
	n.closed = l.failing.Load() && time.Now().Before(l.retry)
	l.mu.Lock()
	list := l.list
	l.list = nil
	if !n.closed {
		n.remove, l.remove = l.remove, nil
	}
	l.mu.Unlock()
	for _, s := range list {
		s.takeFlights(&n)
	}
	err := sb.record(&n)
	open := list[:0]
	for _, s := range list {
		if s.finishFlights(err == nil) {
			open = append(open, s)
		}
	}
	l.mu.Lock()
	if err != nil {
		l.remove = append(n.remove, l.remove...)
	}
	left := len(l.remove) > 0
	l.list = append(l.list, open...)
	l.mu.Unlock()
	switch {
	case n.full() && err == nil:
		l.wake()
	case len(open) > 0:
		return lookAgain
	case left && l.failing.Load():
		return retryNotes
	}
	return 0
}

// record writes, and tells once when that begins to fail and when it works again.
func (sb *Switchboard) record(n *notes) error {
	if len(n.add) == 0 && len(n.remove) == 0 {
		return nil
	}
	l := &sb.ledger
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	err := l.journal.Record(ctx, n.add, n.remove)
	l.retry = time.Now().Add(retryNotes)
	switch failed := err != nil; {
	case failed && !l.failing.Swap(true):
		sb.log.Error("messages on their way to clients cannot be noted down; their senders are told that they are handled once the recipients have them",
			"messages", len(n.add), "error", err.Error())
	case !failed && l.failing.Swap(false):
		sb.log.Info("messages on their way to clients are noted down again")
	}
	return err
}

// takeFlights looks what has become of the flights that are demanded, and takes notes of those that nobody has yet.
func (s *Session) takeFlights(n *notes) {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	s.clearDelivered()
	patience := writtenPatience
	if b.hurried() {
		patience = 0
	}
	for i := b.cleared; i < b.demand && !n.full(); {
		group := b.groupAt(i)
		i += uint64(len(group))
		if group[0].to == nil {
			continue
		}
		if delivered(group) {
			s.sb.ledger.over(group)
			end(group)
			continue
		}
		switch s.noteGroup(group, n, patience) {
		case fateOver:
			end(group)
		case fateNoted:
			for j := range group {
				group[j].taken = true
			}
		case fateOpen:
		}
	}
}

// end marks the flights of a message as over.
func end(group []flight) {
	for i := range group {
		group[i].to = nil
	}
}

// fate is what becomes of a message.
type fate uint8

const (
	fateOpen  fate = iota // it has to be looked at again
	fateNoted             // it is over once the notes are written
	fateOver
)

// noteGroup takes notes of one message that has not arrived. That a client without acknowledgements may get a copy, too, is not waited for;
// that only such clients do is, for so long since the message came.
func (s *Session) noteGroup(group []flight, n *notes, patience time.Duration) fate {
	for i := range group {
		if f := &group[i]; f.kind == managedFlight && f.to.answersSoon(f, n.now) {
			return fateOpen
		}
	}
	noted, open := false, false
	for i := range group {
		f := &group[i]
		switch f.kind {
		case managedFlight:
			switch f.to.note(f, n, s) {
			case fateNoted:
				noted = true
			case fateOpen:
				open = true
			case fateOver:
			}
		case placeFlight:
			if open = n.closed; !open {
				n.add = append(n.add, Note{NoteKey: f.to.noteKey(f.id), Place: f.mark, Received: n.now})
				noted = true
			}
		case unmanagedFlight:
			f.to.mu.Lock()
			open = open || n.now.Sub(IDTime(f.id)) < patience && f.to.written(f.mark) == writtenNot
			f.to.mu.Unlock()
		}
	}
	switch {
	case noted:
		return fateNoted
	case open:
		return fateOpen
	}
	s.sb.ledger.over(group)
	return fateOver
}

// noteKey names the note of a message to this session.
func (s *Session) noteKey(id int64) NoteKey {
	k := NoteKey{Username: s.username, ID: id, Session: []byte{}}
	if m := s.sm.Load(); m != nil && m.resumable {
		k.Session = m.id[:]
	}
	return k
}

// answersSoon reports whether the client may well acknowledge a flight in a moment, so that nothing need be written.
func (s *Session) answersSoon(f *flight, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.ended.Load() {
		return false
	}
	e, _ := s.queued(f.mark)
	return e != nil && now.Sub(time.UnixMilli(e.at)) < s.sb.ledger.grace
}

// queued gives an entry of the queue and its bytes; nil when it isn't there. s.mu is held.
func (s *Session) queued(mark uint64) (*entry, []byte) {
	m := s.sm.Load()
	if m.queue == nil || mark <= m.acked || mark-m.acked > uint64(m.queue.count()) {
		return nil, nil
	}
	return m.queue.get(int(mark - m.acked - 1)) //nolint:gosec // within the queue
}

// note takes a note of a flight that a sender's books have. Where the session is over, what it had not delivered has been passed on, and everything
// is well once its own books say so.
func (s *Session) note(f *flight, n *notes, sender *Session) fate {
	s.mu.Lock()
	e, b := s.queued(f.mark)
	if e != nil && n.closed {
		s.mu.Unlock()
		return fateOpen
	}
	if e != nil {
		if _, ok := s.sb.dir.User(s.username); !ok {
			s.mu.Unlock()
			return fateOver // an account that is over with its session has no mailbox
		}
		e.noted = true
		if e.copies != nil {
			e.copies.noted.Store(true)
		}
		at := time.UnixMilli(e.at)
		n.add = append(n.add, Note{NoteKey: s.noteKey(f.id), Place: f.mark, Received: at, Stanza: s.sb.asKept(b, at)})
		n.bytes += len(b)
		s.mu.Unlock()
		return fateNoted
	}
	arrived := s.sm.Load().acked >= f.mark
	s.mu.Unlock()
	switch {
	case arrived:
		s.sb.ledger.over([]flight{*f})
		return fateOver
	case !s.passedOn.Load():
		return fateOpen
	case s == sender:
		return fateOver // these are its own books
	}
	o := &s.books
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.passedOver() {
		return fateOver
	}
	s.demandAll()
	return fateOpen
}

// finishFlights ends what was noted down, and tells those who wait for it. It reports whether anything that is demanded is still open.
func (s *Session) finishFlights(written bool) bool {
	b := &s.books
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := b.cleared; i < b.begun; {
		group := b.groupAt(i)
		i += uint64(len(group))
		for j := range group {
			if group[j].taken {
				if group[j].taken = false; written {
					group[j].to = nil
				}
			}
		}
		if i >= b.demand {
			break
		}
	}
	s.clearDelivered()
	b.cond.Broadcast()
	s.answerAsks()
	if b.demand > b.cleared {
		return true
	}
	s.sb.ledger.mu.Lock()
	s.listed = false
	s.sb.ledger.mu.Unlock()
	return false
}

// refusesWork tells a client that its message cannot be taken, because nothing can be stored.
func (sb *Switchboard) refusesWork(m *stanza.Stanza) {
	sb.meter.Refuse(meter.Storage)
	sb.refuse(m, stanza.ConditionResourceConstraint, "The message cannot be kept at the moment. Try again later.")
}
