package muc

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// What a declared room remembers is stored before anybody is told of it. In a room, its own copy of a message is what tells a client that the message
// was accepted (XEP-0045 §7.4), so a message goes out when it is in the archive: nobody has seen what the archive lacks, a stanza id that was seen is
// found there, and what cannot be stored is refused to its author instead of being taken back from everybody.
//
// A room does not wait for that. It goes on deciding, under its lock, in memory; only its outputs are held, in their order, behind the first one that
// has to be stored. One goroutine a room, which is there only while something is held, stores all that has queued up in one write and lets it go. The
// writes of different rooms share commits, and a room has one of a bounded size under way, so that a busy room costs others no more than a share of a
// commit. A message is acknowledged (XEP-0198) when it is stored or its author was told why not.

// Bounds of what waits in one room.
const (
	maxHeld       = 2048      // events; beyond, clients are told to wait
	maxBatch      = 256       // events of one write
	maxBatchBytes = 512 << 10 // and their bytes, but for one large message
	storeTimeout  = 15 * time.Second
)

// keeping is what an entry has under way into the store. The room's lock guards it.
type keeping struct {
	owner int64 // whose the room's archive is; 0: nothing is remembered
	held  []*held
	// storing says that a goroutine is at it.
	storing bool

	// The event that the room deals with.
	before  room.Memory
	session *core.Session  // of the client that sent the stanza; nil: none that is here
	stanza  *stanza.Stanza // nil: it is no stanza
	ticket  uint64         // of the session for the stanza; 0: it has none yet
	now     *held          // what has to be stored of this event; nil: nothing so far
	outcome chan<- error   // takes whether the event could be stored, as soon as it is known; nil: nobody waits for that
}

// held is an event that is being stored, and what goes out when it is.
type held struct {
	write   Write
	undo    room.Undo
	session *core.Session // waits for its acknowledgement; nil: nobody does
	ticket  uint64        // of it
	request *stanza.Stanza
	// outputs are this event's from the first that was held, own of them, and those of later ones up to the next held. said is the one
	// of them that brings a message to everybody; nil: there is none.
	outputs []room.Output
	own     int
	said    *room.Broadcast
	done    chan struct{} // closed when nothing of it is held any more; nil: nobody waits for that
	outcome chan<- error  // as of keeping
}

// untrue reports whether an output must not go out if the event could not be stored: it tells everybody, or its author, that it was.
func (h *held) untrue(i int) bool {
	switch o := h.outputs[i].(type) {
	case *room.Broadcast:
		return o == h.said
	case *room.Send:
		return i < h.own && h.request != nil && o.Kind == stanza.IQ && o.To == h.request.From
	}
	return false
}

// begin prepares for an event.
func (k *keeping) begin(r *room.Room) {
	k.before, k.session, k.stanza, k.ticket, k.now, k.outcome = r.Memory(), nil, nil, 0, nil, nil
}

// by says which stanza the event is. It is called within the event.
func (k *keeping) by(s *core.Session, st *stanza.Stanza) { k.session, k.stanza = s, st }

// settle tells who waits for the outcome of an event of which nothing had to be stored.
func (k *keeping) settle() {
	if k.outcome != nil {
		k.outcome <- nil
		k.outcome = nil
	}
}

// full reports whether the room takes nothing more at the moment that would have to wait.
func (k *keeping) full() bool { return len(k.held) >= maxHeld }

// keep takes an output that has to be stored, or wait for that. It is false for what can be done at once. The room's lock is held.
func (s *Service) keep(e *entry, outputs []room.Output, i int) bool {
	k := &e.keeping
	switch o := outputs[i].(type) {
	case *room.Archive:
		if h := s.hold(e, outputs, i); h != nil {
			h.write.Message = archived(o)
			h.undo.Message = o.ID
		}
	case *room.Tombstone:
		if id, ok := core.ParseID([]byte(o.ID)); ok {
			if h := s.hold(e, outputs, i); h != nil {
				h.write.Tombstone = &Tombstone{ID: id, Bury: bury(o.Element)}
				if !o.Author.IsZero() {
					h.write.Tombstone.Account = o.Author.String()
				}
			}
		}
	case *room.Remember:
		h := s.hold(e, outputs, i)
		if h == nil {
			break
		}
		switch {
		case o.Nick != nil:
			h.write.Nick, h.undo.Nick = o.Nick, o.Nick
		case o.VCard != nil:
			h.write.VCard, h.undo.VCard = o.VCard, o.VCard
		default:
			// The declared subject that is in force now has had its effect.
			declared := e.declared.Subject
			h.write.Declared = &declared
			h.write.Subject, h.undo.Subject = o.Subject, o.Subject
		}
	case *room.Send, *room.Broadcast, *passed:
		if len(k.held) == 0 {
			return false
		}
		if p, ok := o.(*passed); ok && p.ticket == 0 {
			p.ticket = p.by.Accept()
		}
		last := k.held[len(k.held)-1]
		last.outputs = append(last.outputs, o)
		if last == k.now {
			last.own = len(last.outputs)
		}
	default:
		return false
	}
	return true
}

// hold begins to hold the event's outputs, or goes on; nil where nothing is remembered.
func (s *Service) hold(e *entry, outputs []room.Output, i int) *held {
	k := &e.keeping
	if k.owner == 0 || e.declared == nil {
		return nil
	}
	h := k.now
	// More than one nickname, say, is remembered of one event by as many writes.
	if r, again := outputs[i].(*room.Remember); h == nil || again && (r.Nick != nil && h.write.Nick != nil) {
		h = &held{undo: room.Undo{Before: k.before}}
		if k.stanza != nil && k.now == nil {
			h.request = &stanza.Stanza{
				Kind: k.stanza.Kind, Type: k.stanza.Type, ID: bytes.Clone(k.stanza.ID), From: k.stanza.From, To: k.stanza.To,
			}
			if h.session = k.session; h.session != nil {
				h.ticket = h.session.Accept()
			}
		}
		h.outcome, k.outcome = k.outcome, nil
		k.now = h
		k.held = append(k.held, h)
	}
	if b, ok := following(outputs, i).(*room.Broadcast); ok {
		h.said = b
	}
	if !k.storing {
		k.storing = true
		s.flights.begin()
		go s.store(e)
	}
	return h
}

// following is the output after one that is about a message: the message itself, if anybody gets it.
func following(outputs []room.Output, i int) room.Output {
	switch o := outputs[i].(type) {
	case *room.Archive:
	case *room.Remember:
		if o.Subject == nil {
			return nil
		}
	default:
		return nil
	}
	if i+1 == len(outputs) {
		return nil
	}
	return outputs[i+1]
}

// archived is a message as the store has it.
func archived(o *room.Archive) *archive.Message {
	id, _ := core.ParseID([]byte(o.ID))
	m := &archive.Message{ID: id, Time: core.IDTime(id), Peer: o.From.Resource(), Recent: o.History, XML: o.XML}
	if !o.Real.IsZero() {
		m.Account = o.Real.String()
	}
	return m
}

// store stores what is held in one room, until nothing is.
func (s *Service) store(e *entry) {
	defer s.flights.end()
	most, refused := maxBatch, 0
	for {
		owner, batch := e.batch(most)
		if len(batch) == 0 {
			if refused > 1 {
				s.log.Error("events of a room were refused because they could not be stored", "room", e.addr.String(), "events", refused)
			}
			return
		}
		err := s.write(e, owner, batch)
		switch {
		case err == nil:
			most = min(2*most, maxBatch)
		case errors.Is(err, context.DeadlineExceeded):
			most = maxBatch // nobody waits that long for each of them
		case len(batch) > 1:
			// One of them may be to blame. Alone, those that can be stored are.
			most = 1
			continue
		}
		if err != nil {
			if refused == 0 { // the others most likely for the same reason
				s.log.Error("what happened in a room could not be stored, and is refused", "room", e.addr.String(), "error", err.Error())
			}
			refused += len(batch)
		}
		s.release(e, batch, err)
	}
}

// batch gives what is to be stored next; without anything, storing has ended.
func (e *entry) batch(most int) (owner int64, batch []*held) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, size := 0, 0
	for n < min(most, len(e.keeping.held)) {
		if m := e.keeping.held[n].write.Message; m != nil {
			if size += len(m.XML); size > maxBatchBytes && n > 0 {
				break
			}
		}
		n++
	}
	e.keeping.storing = n > 0
	return e.keeping.owner, slices.Clone(e.keeping.held[:n])
}

// write stores a batch.
func (s *Service) write(e *entry, owner int64, batch []*held) error {
	writes := make([]Write, len(batch))
	for i, h := range batch {
		writes[i] = h.write
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := s.memory.WriteRoom(ctx, owner, writes)
	if !errors.Is(err, ErrForgotten) {
		return err
	}
	// The name was purged. Whoever declares the room still, or again, begins anew.
	d, ok := s.dir.Room(s.identity(e.addr))
	if !ok {
		return err
	}
	r, err := s.memory.OpenRoom(ctx, d.Identity(), d.UID)
	if err != nil {
		return err
	}
	e.mu.Lock()
	same := e.declared != nil && e.declared.UID == d.UID
	if same {
		e.keeping.owner = r.Owner
	}
	e.mu.Unlock()
	if !same {
		return ErrForgotten
	}
	return s.memory.WriteRoom(ctx, r.Owner, writes)
}

// release lets go what was held behind a batch, or says why it could not be stored.
func (s *Service) release(e *entry, batch []*held, failed error) {
	s.route(e, s.released(e, batch, failed))
	for _, h := range batch {
		if h.session != nil {
			h.session.Settled(h.ticket)
		}
	}
}

// released is release under the room's lock. later are whole stanzas that are to be routed without it.
func (s *Service) released(e *entry, batch []*held, failed error) (later []onward) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := &e.keeping
	for i, h := range batch {
		if failed != nil {
			e.undo(h, k.held[i+1:])
		}
		for n, o := range h.outputs {
			if failed != nil && h.untrue(n) {
				continue
			}
			switch o := o.(type) {
			case *room.Send:
				later = s.send(o, later)
			case *passed:
				later = s.passOn(o, later)
			case *room.Broadcast:
				s.sb.Fanout(o.Head, o.Tail, o.To)
			}
		}
		if failed != nil && h.request != nil {
			if reply := stanza.ErrorReply(h.request, notNow()); reply != nil {
				later = append(later, onward{xml: reply.Append(nil)})
			}
		}
		if h.done != nil {
			close(h.done)
		}
		if h.outcome != nil {
			h.outcome <- failed
		}
	}
	k.held = slices.Delete(k.held, 0, len(batch))
	return later
}

// notNow is what the author hears when the store fails: it can be tried again.
func notNow() *stanza.Error {
	return stanza.NewError(stanza.ConditionResourceConstraint, "This cannot be kept at the moment. Try again later.")
}

// undo takes back what could not be stored, in the room and in what waits behind it.
func (e *entry) undo(h *held, behind []*held) {
	e.room.Undo(h.undo)
	for _, later := range behind {
		if h.undo.Subject != nil && later.undo.Before.Subject == h.undo.Subject {
			later.undo.Before.Subject = h.undo.Before.Subject
		}
	}
	if h.undo.Message == "" {
		return
	}
	// Who has entered since would get it as history.
	mark := []byte("id='" + h.undo.Message + "'/>")
	for _, list := range append([]*held{h}, behind...) {
		for i, o := range list.outputs {
			if o, ok := o.(*room.Send); ok && len(o.Ends) > 1 {
				list.outputs[i] = without(o, mark)
			}
		}
	}
}

// without leaves out stanzas that have a mark.
func without(o *room.Send, mark []byte) *room.Send {
	if !bytes.Contains(o.XML, mark) {
		return o
	}
	rest := &room.Send{To: o.To, Kind: o.Kind}
	start := 0
	for _, end := range o.Ends {
		if one := o.XML[start:end]; !bytes.Contains(one, mark) {
			rest.XML = append(rest.XML, one...)
			rest.Ends = append(rest.Ends, len(rest.XML))
		}
		start = end
	}
	return rest
}

// settled waits until everything is out that the room had decided when it was called.
func (e *entry) settled(ctx context.Context) error {
	e.mu.Lock()
	n := len(e.keeping.held)
	if n == 0 {
		e.mu.Unlock()
		return nil
	}
	last := e.keeping.held[n-1]
	if last.done == nil {
		last.done = make(chan struct{})
	}
	done := last.done
	e.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flights counts the rooms that are storing.
type flights struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil when nobody waits for that
}

func (f *flights) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
}

func (f *flights) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// wait waits until no room is storing.
func (f *flights) wait() {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	<-idle
}
