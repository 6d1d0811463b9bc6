package muc

import (
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
)

// moves are the accounts whose data was purged or given to another name while rooms were being read into memory, which may have read what was
// before. Service.mu guards it.
type moves struct {
	loading int // rooms
	list    []move
}

// move is an account that has another name; a zero one: none.
type move struct{ from, to jid.JID }

// Forget takes the nicknames that are reserved for an account (XEP-0045 §7.10) out of the rooms in memory, after what is remembered of it was
// purged: others may have them.
func (s *Service) Forget(username string) { s.Renamed(username, "") }

// Renamed makes the nicknames that are reserved for an account in rooms in memory those of its new name, after what is remembered of it was moved there.
func (s *Service) Renamed(from, to string) {
	var m move
	var err error
	if m.from, err = jid.New(from, s.sb.Domain(), ""); err != nil {
		return // nobody has such a name
	}
	if to != "" {
		if m.to, err = jid.New(to, s.sb.Domain(), ""); err != nil {
			return
		}
	}
	s.mu.Lock()
	if s.moves.loading > 0 {
		s.moves.list = append(s.moves.list, m)
	}
	s.mu.Unlock()
	for _, e := range s.all() {
		s.moved(e, m)
	}
}

// moved has a room remember it as well: what it had under way for the old name may come to the store after what the account's move has changed there.
func (s *Service) moved(e *entry, m move) {
	s.with(e, func(r *room.Room) []room.Output { return r.Renamed(m.from, m.to, nil) })
}

// beginLoading is called before a room is read into memory; since is for those that come after it.
func (s *Service) beginLoading() (since int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves.loading++
	return len(s.moves.list)
}

func (s *Service) endLoading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moves.loading--; s.moves.loading == 0 {
		s.moves.list = nil
	}
}
