package muc

import (
	"runtime"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// with has a room deal with an event, and does what comes of it. It is false when the room is over: there may be another by now.
func (s *Service) with(e *entry, event func(*room.Room) []room.Output) bool {
	later, ok := s.locked(e, event, false)
	s.route(e, later)
	return ok
}

// finish is with for what is due to somebody even if the room is over.
func (s *Service) finish(e *entry, event func(*room.Room) []room.Output) {
	later, _ := s.locked(e, event, true)
	s.route(e, later)
}

// route sends on whole stanzas of a room.
func (s *Service) route(e *entry, list []onward) {
	for _, o := range list {
		if st, err := core.ReadBack(o.xml); err == nil {
			s.sb.Relay(o.by, o.ticket, st)
		} else { // this program wrote it
			s.log.Error("a stanza of a room cannot be read and is dropped", "room", e.addr.String(), "error", err.Error())
			if o.ticket != 0 {
				o.by.Settled(o.ticket)
			}
		}
	}
}

// onward is a whole stanza that is to be routed.
type onward struct {
	xml    []byte
	by     *core.Session // whose message it was made of; nil: nobody's that is here
	ticket uint64        // of that session, which waits for it; 0: it does not
}

// passed is a message that a room makes of a client's for one person, such as a private message or an invitation (XEP-0045 §7.5, §7.8.2). It is not the
// room's to keep, so its sender's books follow it to whoever gets it.
type passed struct {
	*room.Send
	by     *core.Session
	ticket uint64
}

// pass makes of an output that is one what the sender's books can follow.
func (k *keeping) pass(o room.Output) room.Output {
	send, ok := o.(*room.Send)
	if !ok || k.session == nil || k.stanza.Kind != stanza.Message || send.Kind != stanza.Message || send.To == k.stanza.From {
		return o
	}
	p := &passed{Send: send, by: k.session}
	if k.ticket != 0 {
		p.ticket = p.by.AcceptWith(k.ticket)
	}
	return p
}

// longTurn is how many deliveries a room makes before others get theirs: a few milliseconds of work.
const longTurn = 2000

// yield lets everybody else have a turn when a room has made many deliveries. The room stays locked meanwhile: whoever wants to say something in the
// same room waits for the lock then, and not in front of those who have to do with other rooms.
func (e *entry) yield(deliveries int) {
	if e.turn += deliveries; e.turn >= longTurn {
		e.turn = 0
		runtime.Gosched()
	}
}

// locked is with under the room's lock. later are whole stanzas that are to be routed without it.
func (s *Service) locked(e *entry, event func(*room.Room) []room.Output, evenOver bool) (later []onward, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone && !evenOver {
		return nil, false
	}
	e.keeping.begin(e.room)
	e.visited = e.visited || e.room.Len() > 0
	outputs, ended := event(e.room), false
	for i := 0; i < len(outputs); i++ { // wishes add to the list
		outputs[i] = e.keeping.pass(outputs[i])
		if s.keep(e, outputs, i) {
			continue
		}
		switch o := outputs[i].(type) {
		case *room.Send:
			later = s.send(o, later)
		case *passed:
			later = s.passOn(o, later)
		case *room.Broadcast:
			s.sb.Fanout(o.Head, o.Tail, o.To)
			e.yield(len(o.To))
		case *room.Wish:
			outputs = s.grant(e, o, outputs)
		case *room.Ended:
			ended = true
			if e.declared != nil && !o.Destroyed && !o.Shutdown && !e.declared.Persistent && e.visited {
				s.abandoned.add(e)
			}
		}
	}
	e.keeping.settle()
	// A temporary room is over as well when whoever made it was not let in, because of the nickname for one.
	if !e.gone && (ended || e.declared == nil && e.room.Len() == 0 && !e.room.Pending()) {
		s.remove(e)
	}
	return later, true
}

// send gives stanzas to a session, or takes note of them where the account has to decide, or where the session has just gone.
func (s *Service) send(o *room.Send, later []onward) []onward {
	ends := o.Ends
	if len(ends) == 0 {
		ends = []int{len(o.XML)}
	}
	if s.sb.Hand(o.To, o.XML, ends) || o.Kind == stanza.Presence {
		return later
	}
	start := 0
	for _, end := range ends {
		later = append(later, onward{xml: o.XML[start:end]})
		start = end
	}
	return later
}

// passOn gives a message to the session that it is for, or takes note of it where that is not here and the account has to decide.
func (s *Service) passOn(p *passed, later []onward) []onward {
	if st, err := core.ReadBack(p.XML); err == nil && s.sb.Pass(p.by, p.ticket, st) {
		return later
	}
	return append(later, onward{xml: p.XML, by: p.by, ticket: p.ticket})
}

// grant makes a client's wish come true, or says why not, or has it proposed. The room's lock is held.
func (s *Service) grant(e *entry, w *room.Wish, out []room.Output) []room.Output {
	if fault := w.Permitted(e.room.Config(), s.admin(w.By)); fault != nil {
		return e.room.WishDone(w.ID, fault, out)
	}
	if e.declared != nil || e.proposing || lasting(w) {
		// What comes after a wish that is under way may be meant for the room as it is then.
		s.propose(e, w)
		return out
	}
	return s.grantHere(e, w, out)
}

// lasting reports whether a wish is for a room that lasts.
func lasting(w *room.Wish) bool {
	return w.Change != nil && w.Change.Persistent != nil && *w.Change.Persistent
}

// grantHere makes a wish about a temporary room come true. The room's lock is held.
func (s *Service) grantHere(e *entry, w *room.Wish, out []room.Output) []room.Output {
	cfg := e.room.Config()
	fault := w.Permitted(cfg, s.admin(w.By))
	switch {
	case fault != nil:
	case w.Destroy:
		out = e.room.Destroyed(room.Destruction{}, out)
	case w.Change != nil && w.Change.Archived != nil && *w.Change.Archived:
		fault = stanza.NewError(stanza.ConditionNotAllowed, "What is said in a temporary room is not archived.")
	default:
		out = e.room.Reconfigured(cfg.With(w.Change, w.Affiliations), out)
	}
	return e.room.WishDone(w.ID, fault, out)
}
