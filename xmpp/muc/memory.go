package muc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Store remembers declared rooms. An implementation returns from a write once the write would survive a crash, and may be called by
// many goroutines at once.
type Store interface {
	archive.Store
	// OpenRoom gives what is remembered of a room by its identity, and begins to remember it. uid is the declaration's: a room of another
	// one is another room, which inherits nothing, unless the name's data is kept for whoever declares it.
	OpenRoom(ctx context.Context, identity, uid string) (Remembered, error)
	// LookUpRoom gives what is remembered under an identity, but for reserved nicknames and the last message, and of which declaration's room; uid is
	// empty where that is nothing.
	LookUpRoom(ctx context.Context, identity string) (r Remembered, uid string, err error)
	// WriteRoom does what is listed, all or nothing. It fails with ErrForgotten when the room's data has been purged since it was opened.
	WriteRoom(ctx context.Context, owner int64, writes []Write) error
	// RecentMessages gives the last messages after an id that are for those who enter, the oldest first: at most so many, and no more once they
	// have so many bytes.
	RecentMessages(ctx context.Context, owner, after int64, most, mostBytes int) ([]archive.Message, error)
	// PruneRooms deletes the messages of all rooms' archives up to an id, and what is left of archives that nobody has any more, in parts.
	PruneRooms(ctx context.Context, upTo int64) (int64, error)
}

// ErrForgotten says that what is remembered of a room was purged.
var ErrForgotten = errors.New("the room's data was purged")

// Remembered is what a store knows of a room.
type Remembered struct {
	// Owner is the number of the room's archive.
	Owner   int64
	Subject *room.Subject // nil: nobody has set one
	// Declared is the declared subject that was applied last; nil: none.
	Declared *string
	Nicks    []room.ReservedNick
	VCard    []byte
	// LastID is the id of the last message in the archive; 0: there is none.
	LastID int64
}

// Write is what comes of one event in a room. What is not set stays as it is.
type Write struct {
	Message   *archive.Message
	Tombstone *Tombstone
	Subject   *room.Subject
	// Declared comes with a pointer to the pointer, since none is a value, too.
	Declared **string
	Nick     *room.ReservedNick // without a nickname: given up
	VCard    []byte             // empty but not nil: taken away
}

// Tombstone takes the content of an archived message away.
type Tombstone struct {
	ID int64
	// Account, unless empty, has to be the message's.
	Account string
	// Bury makes the message what is left of it; nil leaves it as it is. It can be called more than once.
	Bury func(message []byte) []byte
}

// open gives what is remembered of a declared room. Without a store, that is nothing.
func (s *Service) open(d *directory.Room, addr jid.JID) (Remembered, []room.Past, error) {
	if s.memory == nil {
		return Remembered{}, nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	r, err := s.memory.OpenRoom(ctx, d.Identity(), d.UID)
	if err != nil || r.LastID == 0 {
		return r, nil, err
	}
	s.sb.IDsAfter(r.LastID)
	if !d.Archived {
		return r, nil, nil
	}
	list, err := s.memory.RecentMessages(ctx, r.Owner, max(s.oldest()-1, 0), maxHistory, maxHistoryBytes)
	if err != nil {
		return r, nil, err
	}
	history := make([]room.Past, 0, len(list))
	for i := range list {
		p, err := past(addr, &list[i])
		if err != nil {
			return r, nil, fmt.Errorf("the archive of %s: %w", addr, err)
		}
		history = append(history, p)
	}
	return r, history, nil
}

// maxHistoryBytes bounds the history that is read for a room.
const maxHistoryBytes = 256 << 10

// past is a message as a room has it in its history.
func past(addr jid.JID, m *archive.Message) (p room.Past, err error) {
	p = room.Past{ID: string(core.AppendID(nil, m.ID)), Time: m.Time, From: addr, XML: m.XML}
	if m.Peer != "" {
		p.From, err = addr.WithResource(m.Peer)
	}
	if m.Account != "" && err == nil {
		p.Real, err = jid.Parse(m.Account)
	}
	return p, err
}

// unreadable is what somebody hears who wants into a room of which it cannot be found out what it remembers. It would lose that.
func (s *Service) unreadable(addr jid.JID, err error) *stanza.Error {
	s.log.Error("a room cannot be opened at the moment", "room", addr.String(), "error", err.Error())
	return stanza.NewError(stanza.ConditionResourceConstraint, "The room cannot be opened at the moment. Try again later.")
}

// applyDeclared gives a room that has just been opened the declared subject, if that is another than the last one that was applied: in between,
// what people set is in force.
func (s *Service) applyDeclared(e *entry, d *directory.Room, last *string) {
	switch {
	case d.Subject != nil && (last == nil || *last != *d.Subject):
		s.with(e, func(r *room.Room) []room.Output {
			return r.SetSubject(room.Declared{Subject: *d.Subject, Time: s.now(), ID: s.sb.NewID()}, nil)
		})
	case d.Subject == nil && last != nil:
		s.with(e, func(*room.Room) []room.Output { return []room.Output{&room.Remember{}} })
	}
}

// adopt begins to remember a room that a client made and that is declared by now. It is false when that has to be tried again.
func (s *Service) adopt(e *entry) bool {
	d, ok := s.dir.Room(s.identity(e.addr))
	e.mu.Lock()
	temporary := e.declared == nil && !e.gone
	e.mu.Unlock()
	if !ok || !temporary || s.memory == nil {
		return true
	}
	r, _, err := s.open(d, e.addr)
	if err != nil {
		s.log.Error("a room cannot begin to be remembered; it is tried again", "room", e.addr.String(), "error", err.Error())
		time.AfterFunc(retryAdoption, func() { s.dirty.room(d.Identity()) })
		return false
	}
	e.mu.Lock()
	e.keeping.owner = r.Owner
	e.reload = r.Subject != nil || len(r.Nicks) > 0 || len(r.VCard) > 0 || r.LastID > 0
	e.mu.Unlock()
	return true
}

const retryAdoption = 5 * time.Second

// remembered are the outputs by which a room that has been adopted is remembered as it is.
func remembered(r *room.Room, out []room.Output) []room.Output {
	m := r.Memory()
	if m.Subject != nil {
		out = append(out, &room.Remember{Subject: m.Subject})
	}
	for i := range m.Nicks {
		out = append(out, &room.Remember{Nick: &m.Nicks[i]})
	}
	if len(m.VCard) > 0 {
		out = append(out, &room.Remember{VCard: m.VCard})
	}
	return out
}
