package muc

import (
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// with has a room deal with an event, and does what comes of it. It is false when the room is over: there may be another by now.
func (s *Service) with(e *entry, event func(*room.Room) []room.Output) bool {
	later, ok := s.locked(e, event)
	for _, b := range later {
		st, err := core.ReadBack(b)
		if err != nil {
			s.log.Error("a stanza of a room cannot be read and is dropped", "room", e.addr.String(), "error", err.Error())
			continue
		}
		s.sb.Route(st)
	}
	return ok
}

// locked is with under the room's lock. later are whole stanzas that are to be routed without it.
func (s *Service) locked(e *entry, event func(*room.Room) []room.Output) (later [][]byte, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return nil, false
	}
	outputs, ended := event(e.room), false
	for i := 0; i < len(outputs); i++ { // wishes add to the list
		switch o := outputs[i].(type) {
		case *room.Send:
			later = s.send(o, later)
		case *room.Broadcast:
			s.sb.Fanout(o.Head, o.Tail, o.To)
		case *room.Wish:
			outputs = s.grant(e, o, outputs)
		case *room.Ended:
			ended = true
		case *room.Archive, *room.Tombstone, *room.Remember:
			// Rooms are configured as not archived, and keep what they remember in memory.
		}
	}
	if ended {
		s.remove(e)
	}
	return later, true
}

// send gives stanzas to a session, or takes note of them where the account has to decide, or where the session has just gone.
func (s *Service) send(o *room.Send, later [][]byte) [][]byte {
	ends := o.Ends
	if len(ends) == 0 {
		ends = []int{len(o.XML)}
	}
	if s.sb.Hand(o.To, o.XML, ends) || o.Kind == stanza.Presence {
		return later
	}
	start := 0
	for _, end := range ends {
		later = append(later, o.XML[start:end])
		start = end
	}
	return later
}

// grant makes a client's wish come true, or says why not. The room's lock is held.
func (s *Service) grant(e *entry, w *room.Wish, out []room.Output) []room.Output {
	if e.declared != nil {
		return e.room.WishDone(w.ID, stanza.NewError(stanza.ConditionNotAllowed,
			"This room is declared by the ChatRoom "+e.declared.Name+": change it there."), out)
	}
	cfg := e.room.Config()
	if fault := w.Permitted(cfg, s.admin(w.By)); fault != nil {
		return e.room.WishDone(w.ID, fault, out)
	}
	switch {
	case w.Destroy:
		out = e.room.Destroyed(room.Destruction{}, out)
	case w.Change != nil && w.Change.Persistent != nil && *w.Change.Persistent:
		return e.room.WishDone(w.ID, stanza.NewError(stanza.ConditionNotAllowed,
			"A lasting room is declared as a ChatRoom. Ask whoever runs this server for one."), out)
	case w.Change != nil && w.Change.Archived != nil && *w.Change.Archived:
		return e.room.WishDone(w.ID, stanza.NewError(stanza.ConditionNotAllowed, "What is said in a temporary room is not archived."), out)
	default:
		out = e.room.Reconfigured(cfg.With(w.Change, w.Affiliations), out)
	}
	return e.room.WishDone(w.ID, nil, out)
}
