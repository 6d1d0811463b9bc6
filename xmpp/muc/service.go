// Package muc runs chat rooms (XEP-0045): it finds the room that a stanza is for, feeds it to that room's state machine (package room),
// and carries out what comes of it. Rooms are declared in the directory, or made by clients for as long as somebody is in them.
//
// Locks: Service.mu guards the table of rooms and is held for map operations only. Each room has a lock of its own, which is held while an
// event of that room is dealt with, on the goroutine that brought it: so a busy room never slows another, and a room's stanzas go out in one order. Under it
// nothing waits: sessions only queue what they are sent. What goes to accounts rather than sessions is routed after the lock was given
// back, because the answer may come to the same room at once. A room's lock comes before Service.mu.
package muc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Config is what a Service needs.
type Config struct {
	Switchboard *core.Switchboard
	Directory   *directory.Directory
	Proposer    Proposer
	// Store remembers declared rooms; nil: they remember nothing, and none is archived.
	Store Store
	// Key is the installation's: occupant ids (XEP-0421) are made with keys derived from it.
	Key []byte
	// Meter counts refusals; nil counts nothing.
	Meter *meter.Meter
	Log   *slog.Logger
	Now   func() time.Time // nil: time.Now
}

// Service has all rooms of all chat services. It implements core.Hosts.
type Service struct {
	sb       *core.Switchboard
	dir      *directory.Directory
	proposer Proposer
	key      []byte
	meter    *meter.Meter
	log      *slog.Logger
	now      func() time.Time

	hosts     atomic.Pointer[map[string]host] // by domain
	dirty     dirty
	proposals proposals
	// abandoned has rooms that everybody has left and that are not persistent.
	abandoned proposals

	memory    Store         // nil: nothing is remembered
	flights   flights       // rooms that are storing
	retention chan struct{} // the property has changed

	mu    sync.Mutex
	rooms map[jid.JID]*entry
	made  map[jid.JID]int // temporary rooms by who made them
	over  bool            // no room comes into memory any more
	moves moves
}

// entry is one room in memory.
type entry struct {
	addr  jid.JID
	maker jid.JID // of a room that a client made, as long as it is temporary
	made  time.Time

	mu        sync.Mutex
	room      *room.Room
	declared  *directory.Room  // what the room was last configured by; nil while it is temporary
	wishes    []*room.Wish     // to be proposed
	causes    map[uint64]cause // of wishes, by their ids; nil: none came of a message
	visited   bool             // somebody has been in it
	reload    bool             // more is remembered of its name than it knows
	proposing bool             // somebody does, or is about to
	gone      bool             // not in the table any more
	keeping   keeping
	turn      int // deliveries since others had theirs
}

var _ core.Hosts = (*Service)(nil)

// New makes the service. With Watch and Run, changed declarations reach rooms that are in memory.
func New(cfg Config) *Service {
	s := &Service{
		sb: cfg.Switchboard, dir: cfg.Directory, proposer: cfg.Proposer, key: cfg.Key, meter: cfg.Meter, log: cfg.Log, now: cfg.Now,
		memory: cfg.Store, retention: make(chan struct{}, 1),
		rooms: make(map[jid.JID]*entry), made: make(map[jid.JID]int),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	for _, signal := range []*chan struct{}{&s.dirty.signal, &s.proposals.signal, &s.abandoned.signal} {
		*signal = make(chan struct{}, 1)
	}
	s.readHosts()
	return s
}

// Serves implements core.Hosts.
func (s *Service) Serves(domain string) bool {
	_, ok := (*s.hosts.Load())[domain]
	return ok
}

// Holds implements core.Hosts.
func (s *Service) Holds(who, at jid.JID) bool {
	e := s.find(at.Bare())
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.room.Has(who)
}

// Receive implements core.Hosts.
func (s *Service) Receive(from *core.Session, st *stanza.Stanza) {
	if st.To.Local() == "" {
		s.toService(st)
		return
	}
	if st.Kind == stanza.Presence {
		switch st.Type {
		case stanza.PresenceAvailable, stanza.PresenceUnavailable, stanza.TypeError:
		default:
			return // nobody subscribes to a room (XEP-0045 §7.2)
		}
	}
	for {
		e, bad := s.enter(st)
		if bad != nil {
			s.refuse(st, bad)
			return
		}
		if e == nil {
			return
		}
		if s.query(from, e, st) {
			return
		}
		if from != nil && st.Kind == stanza.Message {
			from.AwaitRoom()
		}
		by, busy := room.Sender{From: st.From, Admin: s.admin(st.From)}, false
		handled := s.with(e, func(r *room.Room) []room.Output {
			if busy = e.keeping.full() && st.Kind != stanza.Presence; busy {
				return nil
			}
			e.keeping.by(from, st)
			// Under the room's lock, so that ids are in the order of the messages.
			by.Time, by.ID = s.now(), s.sb.NewID()
			return r.Stanza(by, st, nil)
		})
		if busy {
			s.refuse(st, notNow())
		}
		if handled {
			return
		}
	}
}

// refuse answers a stanza that is for no room. Errors and results are not answered.
func (s *Service) refuse(st *stanza.Stanza, e *stanza.Error) {
	if reply := room.Refusal(st, e); reply != nil {
		s.sb.Route(reply)
	}
}

// admin reports whether somebody administers the service, and so every room.
func (s *Service) admin(j jid.JID) bool {
	if j.Domain() != s.sb.Domain() {
		return false
	}
	u, ok := s.dir.User(j.Local())
	return ok && u.Admin
}

// find gives a room that is in memory.
func (s *Service) find(addr jid.JID) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[addr]
}

// enter gives the room that a stanza is for, made if need be: from its declaration, or for the client that enters a room that is not there
// (XEP-0045 §10.1). Without an error and a room, nobody is interested in the stanza.
func (s *Service) enter(st *stanza.Stanza) (*entry, *stanza.Error) {
	addr := st.To.Bare()
	if e := s.find(addr); e != nil {
		return e, nil
	}
	if st.Kind == stanza.Presence && st.Type != stanza.PresenceAvailable || st.Type == stanza.TypeError || st.Type == stanza.IQResult {
		return nil, nil
	}
	if d, ok := s.dir.Room(s.identity(addr)); ok {
		return s.load(addr, d)
	}
	switch {
	case st.Kind == stanza.Presence && st.To.IsFull() && st.Child(nsMUC, "x").Valid():
		return s.create(addr, st.From)
	case st.Kind == stanza.IQ && st.To.IsFull():
		// To a client that asks whether it is still in the room, item-not-found says that it is (XEP-0410 §3.2).
		return nil, stanza.NewError(stanza.ConditionNotAcceptable, "You are not in this room: there is none.")
	}
	return nil, stanza.NewError(stanza.ConditionItemNotFound, "There is no such room.")
}

// identity is a room's in the directory.
func (s *Service) identity(addr jid.JID) string {
	return directory.RoomIdentity(addr.Local(), s.service(addr))
}

// service is the name of a room's service in the directory.
func (s *Service) service(addr jid.JID) string {
	return strings.TrimSuffix(addr.Domain(), "."+s.sb.Domain())
}

// load takes a declared room into memory, where it stays: what was said last in it is nowhere else unless it is archived.
func (s *Service) load(addr jid.JID, d *directory.Room) (*entry, *stanza.Error) {
	since := s.beginLoading()
	defer s.endLoading()
	memory, history, err := s.open(d, addr)
	if err != nil {
		return nil, s.unreadable(addr, err)
	}
	e := &entry{addr: addr, declared: d, keeping: keeping{owner: memory.Owner}, room: room.New(room.Options{
		Address: addr, Config: s.config(d), Key: s.occupantKey(addr, d.UID),
		Memory: room.Memory{Subject: memory.Subject, Nicks: memory.Nicks, VCard: memory.VCard, History: history},
	})}
	s.mu.Lock()
	if there := s.rooms[addr]; there != nil || s.over {
		s.mu.Unlock()
		if there == nil {
			return nil, closing()
		}
		return there, nil
	}
	s.rooms[addr] = e
	missed := s.moves.list[since:]
	s.mu.Unlock()
	for _, m := range missed {
		s.moved(e, m)
	}
	s.applyDeclared(e, d, memory.Declared)
	// A change that came since was told before the room was there to hear it.
	if now, ok := s.dir.Room(s.identity(addr)); !ok || now != d {
		s.dirty.room(s.identity(addr))
	}
	return e, nil
}

func closing() *stanza.Error {
	return stanza.NewError(stanza.ConditionServiceUnavailable, "The server is shutting down.")
}

// mayCreate says why somebody may not create any room.
func (s *Service) mayCreate(who jid.JID) *stanza.Error {
	switch s.dir.String(directory.KeyRoomCreation) {
	case directory.RoomCreationAdmins:
		if !s.admin(who) {
			return stanza.NewError(stanza.ConditionNotAllowed, "Only administrators may create rooms.")
		}
	case directory.RoomCreationNobody:
		return stanza.NewError(stanza.ConditionNotAllowed, "Rooms are not created from here. Ask whoever runs this server for one.")
	}
	return nil
}

// create makes a temporary room for a client, or says why not.
func (s *Service) create(addr, from jid.JID) (*entry, *stanza.Error) {
	maker := from.Bare()
	if bad := s.mayCreate(from); bad != nil {
		return nil, bad
	}
	quota := s.dir.Int(directory.KeyRoomsOfUser)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.rooms[addr]; e != nil {
		return e, nil
	}
	switch {
	case s.over:
		return nil, closing()
	case quota > 0 && s.made[maker] >= quota && !s.admin(from):
		s.meter.Refuse(meter.RoomsOfUser)
		return nil, stanza.NewError(stanza.ConditionResourceConstraint, "You have made too many rooms. Leave one and try again.")
	}
	id := s.sb.NewID()
	e := &entry{addr: addr, maker: maker, made: s.now(), room: room.New(room.Options{
		Address: addr, Config: temporary(maker), Key: s.occupantKey(addr, id), Locked: true,
	})}
	s.rooms[addr] = e
	s.made[maker]++
	if _, declared := s.dir.Room(s.identity(addr)); declared { // since it was looked up
		s.dirty.room(s.identity(addr))
	}
	return e, nil
}

// remove takes a room that is over off the table. Its lock is held.
func (s *Service) remove(e *entry) {
	e.gone = true
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms[e.addr] == e {
		delete(s.rooms, e.addr)
	}
	s.unmake(e)
}

// unmake ends what counts as a room that its maker has made. s.mu is held.
func (s *Service) unmake(e *entry) {
	if e.maker.IsZero() {
		return
	}
	if s.made[e.maker]--; s.made[e.maker] <= 0 {
		delete(s.made, e.maker)
	}
	e.maker = jid.JID{}
}

// occupantKey makes the key of a room's occupant ids (XEP-0421 §5): another one for each room and each of its lives, and no secret that the
// destruction of a room could touch.
func (s *Service) occupantKey(addr jid.JID, life string) []byte {
	return s.derive("occupant ids", addr.String(), life)
}

// derive makes a secret of the installation's for one purpose.
func (s *Service) derive(purpose, of, life string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(purpose + "\x00" + of + "\x00" + life))
	return mac.Sum(nil)
}

// Shutdown tells all occupants that the service ends (XEP-0045 §11.2). No room comes into memory any more.
func (s *Service) Shutdown() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	for _, e := range s.all() {
		s.with(e, func(r *room.Room) []room.Output { return r.Shutdown(nil) })
	}
	s.AwaitStored() // what they said last goes out by then
}

// AwaitStored waits until there is nothing that a room has decided and that is not stored, and out.
func (s *Service) AwaitStored() { s.flights.wait() }

// all gives the rooms in memory.
func (s *Service) all() []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*entry, 0, len(s.rooms))
	for _, e := range s.rooms {
		list = append(list, e)
	}
	return list
}

// Counts says how many rooms are in memory and how many occupants they have.
func (s *Service) Counts() (rooms, occupants int) {
	list := s.all()
	for _, e := range list {
		e.mu.Lock()
		occupants += e.room.Len()
		e.mu.Unlock()
	}
	return len(list), occupants
}

// Run carries changed declarations into rooms, and the wishes of their clients to the proposer, and deletes what archives need not keep any more, until
// ctx ends. What was accepted by then is still stored.
func (s *Service) Run(ctx context.Context) {
	defer s.AwaitStored()
	var workers sync.WaitGroup
	defer workers.Wait()
	if s.memory != nil {
		workers.Go(func() { s.keepArchives(ctx) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dirty.signal:
			s.apply()
		case <-s.proposals.signal:
			for _, e := range s.proposals.take() {
				workers.Go(func() { s.carryOut(ctx, e) })
			}
		case <-s.abandoned.signal:
			for _, e := range s.abandoned.take() {
				workers.Go(func() { s.left(ctx, e.addr) })
			}
		}
	}
}
